"""Any function of a square matrix, from its Schur form and values of the function around clusters of eigenvalues.

May import NumPy, `overbar._jets`, and `kernel`, `schur_forms` and `stacks` of the kernels. `funm` has the description.
"""

import functools
import itertools
import math

import numpy as np

from overbar._jets import Jet, polynomial_of, powers_of, subsets
from overbar.kernels._kernel import kernel
from overbar.kernels._schur_forms import schur_forms
from overbar.kernels._stacks import lapack, mH, refuse_not_finite, solve_upper

# f is seen on circles, at this number of points each, and taken for a polynomial of this degree inside. The other
# coefficients tell how well it is one.
POINTS, TERMS = 32, 25


_ROOTS = np.exp(2j * np.pi * np.arange(POINTS) / POINTS)


_EPS = float(np.finfo(float).eps)


# The radii of the circles: absolute ones; in parts of the distance of the centre from 0, where singularities often are;
# of the size of the matrix; and of how far the eigenvalues inside are from the centre.
_RADII = {
    "absolute": 4.0 ** np.arange(1, -7, -1),
    "centre": np.array([1 / 4, 1 / 8, 1 / 16, 1 / 64]),
    "size": np.array([4, 1, 1 / 4, 1 / 16]),
    "spread": np.array([16, 4, 2]),
}


CIRCLES = sum(map(len, _RADII.values()))


class _Tree:
    """Clusters of n numbers: each of them, and the n − 1 that come of joining the two nearest again and again."""

    def __init__(self, x):
        n = len(x)
        #: for each join the two clusters, and the distance between them
        self.joins = _joins(x)
        self.members = np.zeros((2 * n - 1, n), bool)
        self.members[range(n), range(n)] = True
        for i, (a, b, _) in enumerate(self.joins):
            self.members[n + i] = self.members[a] | self.members[b]
        self.centres = self.members @ x / self.members.sum(-1)
        self.centres[:n] = x
        self.spread = np.where(self.members, abs(x - self.centres[:, None]), 0).max(-1)


def _joins(x):
    """The joins of single linkage, by the shortest tree that connects the numbers (Prim)."""
    n = len(x)
    nearest, distance = np.zeros(n, int), abs(x - x[0])
    outside, edges = np.ones(n, bool), []
    outside[0] = False
    for _ in range(n - 1):
        j = int(np.where(outside, distance, np.inf).argmin())
        edges.append((float(distance[j]), int(nearest[j]), j))
        outside[j] = False
        d = abs(x - x[j])
        nearest, distance = np.where(d < distance, j, nearest), np.minimum(d, distance)
    label, joins = list(range(n)), []
    for gap, i, j in sorted(edges):
        a, b = label[i], label[j]
        joins.append((a, b, gap))
        label = [n + len(joins) - 1 if c in (a, b) else c for c in label]
    return joins


@kernel(f"(n,n),(m)->(n,n),(n,n),(m),(m,{CIRCLES}),(m,{CIRCLES},{POINTS})", "DDDDD")
def funm_nodes(A, clusters):
    """The Schur form A = Q T Qᴴ; around which centres and with which radii f has to be known, and these circles. The
    second argument is of the length 2n − 1, and only that matters."""
    refuse_not_finite("funm", A=A)
    T, Q, _ = schur_forms(A.astype(complex)[None])
    T, Q = np.triu(T[0]), Q[0]
    tree = _Tree(T.diagonal())
    size = np.full(len(tree.centres), abs(T).max())
    parts = {"absolute": np.ones_like(size), "centre": abs(tree.centres), "size": size, "spread": tree.spread}
    radii = [np.where(parts[name] > 0, parts[name], 1)[:, None] * steps for name, steps in _RADII.items()]
    radii = np.concatenate(radii, axis=-1)
    return T, Q, tree.centres, radii, tree.centres[:, None, None] + radii[..., None] * _ROOTS


class _Known:
    """f around the clusters of eigenvalues: its values there, and the coefficients of its series on each circle."""

    def __init__(self, T, at_eigenvalues, values, radii, given, order):
        self.T, self.x, self.order, self.radii = T, T.diagonal(), order, radii.real
        self.tree, self.at = _Tree(self.x), at_eigenvalues
        with np.errstate(all="ignore"):
            self._read(values, given)

    def _read(self, values, given):
        if given:
            self.c = values / np.array([float(math.factorial(k)) for k in range(TERMS + 1)])
            fine = np.isfinite(self.c).all(-1)
            self.error, self.size = np.zeros_like(self.radii), abs(self.c).max(-1)
        else:
            fine = np.isfinite(values).all(-1)
            c = np.fft.fft(np.where(fine[..., None], values, 0), axis=-1) / POINTS
            self.c, rest = c[..., : TERMS + 1], abs(c[..., TERMS + 1 :]).max(-1)
            self.size = abs(values).max(-1)
            variation = abs(self.c[..., 1:]).max(-1)
            self.error = rest + _EPS * self.size
            # Terms of a negative exponent are those of a function that is not analytic, however small they may be
            # beside the value: they are measured by the others.
            fine &= rest <= 1e-8 * variation + 64 * _EPS * self.size
        self.fine = fine
        self.tail = abs(self.c[..., TERMS - 3 :]).max(-1)

    def errors(self, i, N):
        """An estimate of the error of f(N + centre) for the i-th cluster, or of its derivative along unit directions,
        for each radius; infinite where the series is of no use."""
        order, r = self.order, self.radii[i]
        with np.errstate(all="ignore"):
            k, falling = _falling(order)
            runs = np.exp2(_run_logs(N)[k - order] - (k - order) * np.log2(r)[:, None])
            terms = falling * runs
            own = _EPS * abs(self.c[i])[:, order:] if order <= TERMS else 0
            total = ((self.error[i][:, None] + own) * terms[:, :-1]).sum(-1) + 2 * self.tail[i] * terms[:, -1]
            return np.where(self.fine[i] & np.isfinite(total), total / r**order, np.inf)

    def clusters(self):
        """The labels of the eigenvalues, one for each cluster, cut out of the tree where the error is least: that of
        a series grows with the size of a cluster, that of separating two clusters with 1/gap."""
        n, tree, size, order = len(self.x), self.tree, abs(self.T), self.order
        size = size + size.T
        best, cut = np.zeros(2 * n - 1), np.zeros(2 * n - 1, bool)
        none = np.zeros((1, 1))
        best[:n] = _EPS * abs(self.at) if order == 0 else [self.errors(i, none).min() for i in range(n)]
        for i, (a, b, gap) in enumerate(tree.joins, n):
            inside = np.flatnonzero(tree.members[i])
            coupling = size[np.ix_(tree.members[a], tree.members[b])].max()
            apart = max(best[a], best[b])
            if gap > 0:
                loss = (1 + coupling / gap) ** 2 / gap**order if gap > 1e-100 else np.inf
                apart = apart + _EPS * abs(self.at[inside]).max() * loss
            elif coupling > 0 or order > 0:
                apart = np.inf
            together = np.inf
            if (self.fine[i] & (self.radii[i] > 1.5 * tree.spread[i])).any():
                N = self.T[np.ix_(inside, inside)] - tree.centres[i] * np.eye(len(inside))
                together = self.errors(i, N).min()
            best[i], cut[i] = min(together, apart), together > apart
        labels, todo = np.zeros(n, int), [2 * n - 2]
        while todo:
            i = todo.pop()
            if i >= n and cut[i]:
                todo += self.tree.joins[i - n][:2]
            else:
                labels[tree.members[i]] = i
        return labels


def _run_logs(N):
    """log₂ ‖|N|ᵏ‖₁ for k = 0, 1, ..., where |N| has the moduli of the entries: so large are the terms of a series in N
    before they cancel."""
    M, found = abs(N), [1.0]
    size = M.sum(0).max()
    if size == 0:
        return np.array([0.0] + [-np.inf] * (TERMS + 1))
    M, v = M / size, np.ones(len(M))
    for _ in range(TERMS + 1):
        v = v @ M
        found.append(v.max())
    return np.log2(found) + np.arange(TERMS + 2) * np.log2(size)


@functools.cache
def _falling(order):
    """The exponents k of the terms that a derivative leaves, and k (k − 1) ⋯, which comes in front of them."""
    k = np.arange(order, TERMS + 2)
    return k, np.array([float(math.perm(int(m), order)) for m in k])


def funm_along(A, T, Q, at, values, radii, directions, given):
    if not all(np.isfinite(E).all() for E in directions):
        raise np.linalg.LinAlgError(
            "funm: a direction in which f(A) is differentiated has an entry that is not finite."
        )
    x = T.diagonal()
    if not np.isfinite(at).all():
        i = int(np.flatnonzero(~np.isfinite(at))[0])
        raise np.linalg.LinAlgError(f"funm: f is not finite at {_number(x[i])}, an eigenvalue of argument A: {at[i]}.")
    known = _Known(T, at, values, radii, given, len(directions))
    labels = known.clusters()
    T, Q, labels, at = _ordered(T, Q, labels, at)
    X = Jet.along(T, *(mH(Q) @ E @ Q for E in directions))
    F, doubt = _of_jet(X, labels, known, at)
    if not doubt < 1e-3 or not all(np.isfinite(P).all() for P in F.parts if P is not None):
        raise np.linalg.LinAlgError(_unknown(x, labels, known))
    C = [None if P is None else Q @ P @ mH(Q) for P in F.parts]
    if not np.iscomplexobj(A) and abs(C[0].imag).max() > 1e-6 * max(abs(C[0]).max(), abs(at).max()):
        raise np.linalg.LinAlgError("funm: f(A) of the real argument A is not real. Convert A to a complex dtype.")
    return C[-1] if C[-1] is not None else np.zeros_like(T)


def _unknown(x, labels, known):
    """The message where f(A), or its derivative, has no digit that is certain."""
    n, what = len(x), "a derivative of f(A)" if known.order else "f(A)"
    for i in [*(range(n) if known.order else ()), *np.unique(labels)]:
        if not known.fine[i].any() and (i >= n or known.order):
            near = "the eigenvalue" if i < n else "the eigenvalues near"
            return (
                f"funm: {what} needs that f is analytic around {near} {_number(known.tree.centres[i])} of argument A, "
                "and its values there are not those of such a function: it has a pole or a branch point nearby, is not "
                "finite, or takes moduli or real parts."
            )
    return (
        f"funm: no digit of {what} is certain: eigenvalues of argument A are too close to each other, or depend too "
        "much on its entries, for how far f is analytic around them."
    )


def _number(x):
    return f"{x if x.imag else x.real:.6g}"


def _ordered(T, Q, labels, at):
    """The Schur form with the eigenvalues of each cluster next to each other."""
    trexc, T, Q, position = lapack("trexc", T.dtype), T.copy(), Q.copy(), 0
    order = np.arange(len(T))
    for label in dict.fromkeys(labels.tolist()):
        for i in range(position, len(T)):
            if labels[order[i]] == label:
                if i > position:
                    T, Q, _ = trexc(T, Q, i + 1, position + 1)
                    order = np.concatenate([order[:position], order[i : i + 1], order[position:i], order[i + 1 :]])
                position += 1
    return T, Q, labels[order], at[order]


def _of_jet(X, labels, known, at):
    """The jet f(X), where X₀ is upper triangular and has its clusters next to each other, and how much of it is not
    certain, relative to the size of f."""
    T, n = X.parts[0], len(labels)
    starts = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1).tolist(), n]
    blocks = [slice(a, b) for a, b in itertools.pairwise(starts)]
    inside = labels[:, None] == labels
    U, V = _separated(T, blocks)
    X = Jet([np.where(inside, T, 0), *(None if E is None else V @ E @ U for E in X.parts[1:])])
    S, B = _block_diagonal(X, blocks, inside)
    F = Jet([None if P is None else np.zeros_like(T) for P in B.parts])
    doubt = 0.0
    for block in blocks:
        on_block = Jet([None if P is None else P[block, block] for P in B.parts])
        part, error = _of_block(known, labels[block.start], at[block], on_block)
        doubt = max(doubt, error)
        for P, found in zip(F.parts, part.parts, strict=True):
            if found is not None:
                P[block, block] = found
    C = S @ F  # C S = S F, and S₀ is the identity
    for s in range(1, len(C.parts)):
        known_part = C.coefficient(S, s, [t for t in subsets(s) if t != s])
        if known_part is not None:
            C.parts[s] = -known_part if C.parts[s] is None else C.parts[s] - known_part
    condition = abs(U).sum(0).max() * abs(V).sum(0).max()
    return Jet([None if P is None else U @ P @ V for P in C.parts]), condition * doubt


def _of_block(known, i, at, X):
    """f of a jet whose first part has the eigenvalues of the i-th cluster, and its relative error."""
    centre, order = known.tree.centres[i], known.order
    if order == 0 and len(at) == 1:
        return Jet([at[:, None]]), _EPS
    N = X.plus_identity(-centre)
    errors = known.errors(i, N.parts[0])
    j = int(errors.argmin())
    if not np.isfinite(errors[j]):
        return X * np.nan, np.inf
    r = known.radii[i, j]
    F = polynomial_of(powers_of(N * (1 / r), 5), known.c[i, j].tolist())
    np.fill_diagonal(F.parts[0], at)
    return F, errors[j] * r**order / max(known.size[i, j], np.finfo(float).tiny)


def _separated(T, blocks):
    """U, upper triangular with the identity in each block, and its inverse V, for which V T U is T without what is
    outside the blocks: T U = U D, column by column."""
    n = len(T)
    U = np.eye(n, dtype=T.dtype)
    for block in blocks[1:]:
        first = block.start
        head = T[:first, :first]
        for j in range(first, block.stop):
            right = U[:first, first:j] @ T[first:j, j] - T[:first, j]
            U[:first, j] = _triangular(head, T[j, j], right)
    V = solve_upper(U[None], np.eye(n, dtype=T.dtype)[None])[0]
    return U, V


def _triangular(T, x, b):
    """(T − x)⁻¹ b; zero where an eigenvalue is x and nothing is asked for."""
    M = T - x * np.eye(len(T))
    d = M.diagonal()
    if not d.all():
        if not b.any():
            return b
        M = M.copy()
        np.fill_diagonal(M, np.where(d == 0, np.nan, d))
    return solve_upper(M[None], b[None, :, None])[0, :, 0]


def _block_diagonal(X, blocks, inside):
    """Jets S and B with X S = S B, B block diagonal, S₀ = I, and no other part of S inside the blocks. Of order s,

        D S_s − S_s D + G = B_s,    G = Σ X_t S_(s−t) over t ≠ 0, less Σ S_t B_(s−t) over t ≠ 0, s,

    whose blocks on the diagonal say what B_s is, and the others are Sylvester equations for S_s.
    """
    D = X.parts[0]
    S, B = Jet([np.eye(len(D), dtype=D.dtype)] + [None] * (len(X.parts) - 1)), Jet([D] + [None] * (len(X.parts) - 1))
    for s in range(1, len(X.parts)):
        G = X.coefficient(S, s, [t for t in subsets(s) if t])
        less = S.coefficient(B, s, [t for t in subsets(s) if t not in (0, s)])
        G = G if less is None else -less if G is None else G - less
        if G is not None:
            B.parts[s] = np.where(inside, G, 0)
            S.parts[s] = _sylvester(D, blocks, inside, np.where(inside, 0, -G))
    return S, B


def _sylvester(D, blocks, inside, R):
    """The solution Y of D Y − Y D = R outside the blocks of the block diagonal D, zero inside."""
    d = D.diagonal()
    if len(blocks) == len(D):
        return np.where(inside, 0, R / np.where(inside, 1, d[:, None] - d))
    Y = np.zeros_like(R)
    for block in blocks:
        for j in range(block.start, block.stop):
            right = R[:, j] + Y[:, block.start : j] @ D[block.start : j, j]
            M = D - d[j] * np.eye(len(D))
            M[block, block] = np.eye(block.stop - block.start)
            Y[:, j] = solve_upper(M[None], right[None, :, None])[0, :, 0]
    return Y
