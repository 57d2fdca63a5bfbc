"""Any function of a square matrix, from its Schur form and values of the function around clusters of eigenvalues.

May import NumPy, `overbar._jets`, and `kernel`, `schur_forms` and `stacks` of the kernels. `funm` has the description.
"""

import functools
import itertools
import math
import typing

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


# Errors are estimates: one circle is about as good as another up to this factor.
_ROUGHLY = 16


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
            self.error = rest + _EPS * self.size + POINTS * np.finfo(float).smallest_subnormal
            # Terms of a negative exponent are those of a function that is not analytic, however small they may be
            # beside the value: they are measured by the others.
            fine &= rest <= 1e-8 * variation + 64 * _EPS * self.size
        # Where f is constant to rounding on a small circle and is not on another one, the small one says nothing: all
        # values of 1 − cos z near 0 are 0.
        varies = fine & (abs(values - values[..., :1]).max(-1) > 0)
        self.fine = fine if given else np.where(varies.any(-1, keepdims=True), varies, fine)
        self.tail = abs(self.c[..., TERMS - 3 :]).max(-1)
        # How exact values of f are: to ε times their size, or less where they come of larger terms that cancel. That
        # is seen on circles, the coefficients of which should vanish.
        noise = np.where(self.fine, self.error, np.inf).min(-1)[: len(self.at)]
        self.noise = np.fmax(_EPS * abs(self.at), np.where(np.isfinite(noise), noise, 0))

    def errors(self, i, N):
        """An estimate of the error of f(N + centre) for the i-th cluster, and of its derivatives up to the order that
        is asked for, along unit directions: a row for each radius; infinite where the series is of no use."""
        with np.errstate(all="ignore"):
            terms = self._terms(i, N, self.order)
            each = self.error[i][:, None] + _EPS * abs(self.c[i])
            total = (each[:, None] * terms[..., :-1]).sum(-1) + 2 * self.tail[i][:, None] * terms[..., -1]
            return np.where(self.fine[i][:, None] & np.isfinite(total), total, np.inf)

    def rounding(self, labels):
        """How large rounding may be in f of the clusters: that of f and its series, and what that of the Schur form
        makes of it."""
        largest = 0.0
        for i in np.unique(labels):
            inside = np.flatnonzero(self.tree.members[i])
            N = self.T[np.ix_(inside, inside)] - self.tree.centres[i] * np.eye(len(inside))
            with np.errstate(all="ignore"):
                errors = self.errors(i, N)[:, 0]
                j = int(errors.argmin())
                moved = (abs(self.c[i, j]) * self._terms(i, N, 1)[j, 1, :-1]).sum() * abs(self.T).sum(0).max()
            found = _ROUGHLY * errors[j] + 8 * _EPS * moved if self.fine[i, j] else self.noise[inside].max()
            largest = max(largest, found)
        return largest

    def _terms(self, i, N, order):
        """How large, for each radius and derivatives up to the order, is what the coefficients are multiplied by."""
        left, rows, falling = _falling(order)
        logs = _run_logs(N, order)[rows, left]
        r = self.radii[i][:, None, None]
        return falling * np.exp2(logs - left * np.log2(r)) / r ** np.arange(order + 1)[:, None]

    def clusters(self, slack=1.0):
        """The labels of the eigenvalues, one for each cluster, cut out of the tree where the error is least: that of
        a series grows with the size of a cluster, that of separating two clusters with 1/gap.

        With X = U D U⁻¹, where U has coupling/gap beside the identity, an error of f(D) becomes one of f(X) that is up
        to (1 + coupling/gap)² as large: so each cut multiplies the errors of those inside. And a derivative of U takes
        a factor 1/gap to what derivatives of f(D) of a lower order lack. These errors are absolute ones. Where f and f′
        vanish, f at the eigenvalues is small, and f(X) need not be: eigenvalues of a nilpotent matrix are as large as
        roots of ε, and so f there says nothing. With `slack`, only what is so many times better is cut.
        """
        n, tree, size, order = len(self.x), self.tree, abs(self.T), self.order
        size = size + size.T
        best, cut = np.zeros((2 * n - 1, order + 1)), np.zeros(2 * n - 1, bool)
        none = np.zeros((1, 1))
        if order:
            best[:n] = [self.errors(i, none).min(0) for i in range(n)]
        best[:n, 0] = self.noise
        for i, (a, b, gap) in enumerate(tree.joins, n):
            inside = np.flatnonzero(tree.members[i])
            coupling = size[np.ix_(tree.members[a], tree.members[b])].max()
            apart = _cut(np.maximum(best[a], best[b]), gap, coupling)
            together = np.full(order + 1, np.inf)
            if (self.fine[i] & (self.radii[i] > 1.5 * tree.spread[i])).any():
                N = self.T[np.ix_(inside, inside)] - tree.centres[i] * np.eye(len(inside))
                together = self.errors(i, N).min(0)
            cut[i] = together[-1] > slack * apart[-1]
            best[i] = apart if cut[i] else together
        labels, todo = np.zeros(n, int), [2 * n - 2]
        while todo:
            i = todo.pop()
            if i >= n and cut[i]:
                todo += self.tree.joins[i - n][:2]
            else:
                labels[tree.members[i]] = i
        return labels


def _cut(errors, gap, coupling):
    """The errors of f and of its derivatives where two clusters are cut, from those of each of them."""
    if gap == 0 and len(errors) > 1:
        return np.full_like(errors, np.inf)
    with np.errstate(all="ignore"):
        carried, found = 0.0, []
        for error in errors:
            carried = error + (carried / gap if found else 0.0)
            found.append(carried)
        found = np.array(found) * ((1 + coupling / gap) ** 2 if coupling else 1)
    return np.where(np.isnan(found), np.inf, found)


def _run_logs(N, order):
    """log₂ ‖|N|ᵏ‖₁ for k = 0, 1, ..., where |N| has the moduli of the entries: so large are the terms of a series in N
    before they cancel. In a row for each further order, directions cut the k factors into one run more: N E N need not
    be zero where N² is."""
    M, found = abs(N), [1.0]
    size = M.sum(0).max()
    if size == 0:
        return np.array([[0.0] + [-np.inf] * (TERMS + 1)] * (order + 1))
    M, v = M / size, np.ones(len(M))
    for _ in range(TERMS + 1):
        v = v @ M
        found.append(v.max())
    one = np.log2(found)
    rows = [one]
    for _ in range(order):
        rest = np.where(_REST < 0, -np.inf, one[_REST])
        rows.append((rows[-1][:, None] + rest).max(0))
    return np.array(rows) + np.arange(TERMS + 2) * np.log2(size)


_REST = np.arange(TERMS + 2) - np.arange(TERMS + 2)[:, None]


@functools.cache
def _falling(order):
    """For derivatives of the orders 0, 1, ..., a row each: how many factors they leave of the k-th power, the numbers
    of the rows, and k (k − 1) ⋯, which comes in front of them and is 0 where there is no such power."""
    orders, k = range(order + 1), range(TERMS + 2)
    left = np.array([[max(m - s, 0) for m in k] for s in orders])
    return left, np.arange(order + 1)[:, None], np.array([[float(math.perm(m, s)) for m in k] for s in orders])


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
    found = _by_clusters(known, known.clusters(), T, Q, directions)
    if not found.doubt < 1e-8:
        # The price of a cut is an estimate, which sees pairs of clusters; separated, they tell what it was.
        with np.errstate(all="ignore"):
            other = _by_clusters(known, known.clusters(slack=1e10), T, Q, directions)
        found = min(found, other, key=lambda each: (not each.certain, each.error))
    if not found.certain:
        raise np.linalg.LinAlgError(_unknown(x, found.labels, known))
    C = found.parts
    imaginary = 0 if np.iscomplexobj(A) else abs(C[0].imag).max()
    # Of a result that is zero but for rounding, any part may be imaginary.
    beyond = imaginary > 1e-6 * max(abs(C[0]).max(), abs(at).max())
    if beyond and imaginary > found.condition * known.rounding(found.labels):
        raise np.linalg.LinAlgError("funm: f(A) of the real argument A is not real. Convert A to a complex dtype.")
    return C[-1] if C[-1] is not None else np.zeros_like(T)


class _Found(typing.NamedTuple):
    """A jet f(A), by these clusters."""

    labels: np.ndarray
    parts: list
    #: how much is not certain: relative to the size of f, and as it is
    doubt: float
    error: float
    #: and how much of that is due to the separation of the clusters
    condition: float

    @property
    def certain(self):
        return self.doubt < 1e-3 and all(np.isfinite(P).all() for P in self.parts if P is not None)


def _by_clusters(known, labels, T, Q, directions):
    T, Q, labels, at = _ordered(T, Q, labels, known.at)
    X = Jet.along(T, *(mH(Q) @ E @ Q for E in directions))
    F, *doubts = _of_jet(X, labels, known, at)
    return _Found(labels, [None if P is None else Q @ P @ mH(Q) for P in F.parts], *doubts)


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
    certain, relative to the size of f and as it is; and how much of that is due to the separation of the clusters."""
    T, n = X.parts[0], len(labels)
    starts = [0, *(np.flatnonzero(labels[1:] != labels[:-1]) + 1).tolist(), n]
    blocks = [slice(a, b) for a, b in itertools.pairwise(starts)]
    inside = labels[:, None] == labels
    U, V = _separated(T, blocks)
    X = Jet([np.where(inside, T, 0), *(None if E is None else V @ E @ U for E in X.parts[1:])])
    S, B = _block_diagonal(X, blocks, inside)
    F = Jet([None if P is None else np.zeros_like(T) for P in B.parts])
    doubt = error = 0.0
    for block in blocks:
        on_block = Jet([None if P is None else P[block, block] for P in B.parts])
        part, relative, absolute = _of_block(known, labels[block.start], at[block], on_block)
        doubt, error = max(doubt, relative), max(error, absolute)
        for P, found in zip(F.parts, part.parts, strict=True):
            if found is not None:
                P[block, block] = found
    C = S @ F  # C S = S F, and S₀ is the identity
    for s in range(1, len(C.parts)):
        known_part = C.coefficient(S, s, [t for t in subsets(s) if t != s])
        if known_part is not None:
            C.parts[s] = -known_part if C.parts[s] is None else C.parts[s] - known_part
    condition = abs(U).sum(0).max() * abs(V).sum(0).max()
    return Jet([None if P is None else U @ P @ V for P in C.parts]), condition * doubt, condition * error, condition


def _of_block(known, i, at, X):
    """f of a jet whose first part has the eigenvalues of the i-th cluster, and its relative error and the
    absolute one."""
    centre, order = known.tree.centres[i], known.order
    if order == 0 and len(at) == 1:
        return Jet([at[:, None]]), _EPS, known.noise[i]
    N = X.plus_identity(-centre)
    errors = known.errors(i, N.parts[0])
    least = errors.min(0)
    if not np.isfinite(least[-1]):
        return X * np.nan, np.inf, np.inf
    # Each order by the circle that serves it best, unless that of the last one is about as good.
    j = int(errors[:, -1].argmin())
    best = [j if errors[j, s] <= _ROUGHLY * least[s] else int(errors[:, s].argmin()) for s in range(order + 1)]
    with np.errstate(all="ignore"):  # of a circle that serves a lower order, parts of a higher one are not wanted
        series = {
            k: polynomial_of(powers_of(N * (1 / known.radii[i, k]), 5), known.c[i, k].tolist())
            for k in dict.fromkeys(best)
        }
    F = Jet([series[best[s.bit_count()]].parts[s] for s in range(len(X.parts))])
    np.fill_diagonal(F.parts[0], at)
    # The size of f is that on any circle by which some digits are certain: on the smallest ones it may be rounding.
    with np.errstate(all="ignore"):
        relative = errors[:, -1] * known.radii[i] ** order / np.maximum(known.size[i], np.finfo(float).tiny)
    return F, np.where(np.isnan(relative), np.inf, relative).min(), least[-1]


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
