"""The bars and tangents of singular vectors, with derivatives of their own.

May import `overbar._namespace`, `overbar._primitive`, `rules.equal_values` and `rules.eigenvectors`.
"""

from overbar._namespace import mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._eigenvectors import (
    CLOSE,
    SILENT,
    Pairs,
    Turning,
    bracket_noise,
    nan_where_lost,
    nan_where_turned,
    of_one_batch,
)
from overbar.rules._equal_values import EQUAL, largest_entry, rounding


def is_size(size, k):
    """Whether a static size is known to be k, that of another array. While a graph is built either of the two may be
    unknown where the other is known: k, out of `xp.shape`, is then an array of the graph."""
    return size is not None and not hasattr(k, "shape") and size == k


def first_and_others(X, k):
    """The first k columns of X and the others; None where it is known that there are none."""
    # Not even a slice of everything, which PyTorch's legacy vmap refuses.
    return (X, None) if is_size(X.shape[-1], k) else (X[..., :k], X[..., k:])


# ---------------------------------------------------------------------------------------------------------------------
# What both rules divide by


def reciprocal(xp, x, zero):
    """1/x, and 0 where `zero` says that x is rounding. By a word of its own, as TensorFlow's derivative of a quotient
    computes 1/x² first, which overflows for an x of 1e-165: a gap of singular values that are 1e-150."""
    return xp.reciprocal(xp.where(zero, xp.full_like(x, float("inf")), x))


class Divisors:
    """1/(σⱼ − σᵢ), 1/(σᵢ + σⱼ) and 1/σⱼ, each with 0 instead of what is not there but for rounding."""

    def __init__(self, xp, A, S):
        self.xp, self.A, self.S = xp, A, S
        self.largest = S[..., :1]
        self.rounding = xp.rounding(A) * self.largest

    def of_gaps(self):
        gap = self.S[..., None, :] - self.S[..., :, None]
        return reciprocal(self.xp, gap, self.xp.abs(gap) <= rounding(self.S)[..., None])

    def nothing(self, plus, size):
        """Where a bracket that is no more than rounding would be blown up to something that matters."""
        gap = self.S[..., None, :] - self.S[..., :, None]
        small = self.xp.abs(gap) <= self.xp.eps(self.S) ** CLOSE * self.largest[..., None]
        # Less than, not less or equal: cotangents of zero are used to ask for the derivative of this rule.
        return small & (self.xp.abs(plus) < SILENT * bracket_noise(self.A) * size)

    def of_sums(self):
        total = self.S[..., None, :] + self.S[..., :, None]
        return reciprocal(self.xp, total, total <= self.rounding[..., None])

    def of_values(self):
        return reciprocal(self.xp, self.S, self.rounding >= self.S)[..., None, :]


def svd_reverse(bars, factors, A):
    """Ā of U, S, Vᴴ (reduced or full) from the bars of any of them, whatever the signs and phases are."""
    (U_bar, S_bar, Vh_bar), (U, S, Vh), xp = bars, factors, namespace(A)
    k = xp.shape(S)[-1]
    U1, Vh1 = U[..., :k], Vh[..., :k, :]
    if U_bar is None and Vh_bar is None:
        return (U1 * xp.cast(S_bar, A)[..., None, :]) @ Vh1
    S = of_one_batch(S, U_bar, Vh_bar)
    divide = Divisors(xp, A, S)
    pairs = _near_pairs(xp, S, A)
    square = pairs is not None and A.shape[-1] == A.shape[-2]
    over_S = None if square else xp.cast(divide.of_values(), A)
    plus = minus = size = 0
    left = right = None
    if U_bar is not None:
        X, left = inside_and_outside(xp, U, U_bar, k, A.shape[-2])
        plus, minus = X, X
        size = largest_entry(xp, X) if pairs != () else 0
    if Vh_bar is not None:
        Y, right = inside_and_outside(xp, mH(Vh), mH(Vh_bar), k, A.shape[-1])
        plus, minus = plus + Y, minus - Y
        size = size + largest_entry(xp, Y) if pairs != () else 0
    plus, minus = plus - mH(plus), minus - mH(minus)
    if pairs is not None:
        # all are divided by the differences, and the few that are close looked at afterwards
        there = xp.abs(plus[pairs]) if pairs else None
        P = xp.over_gaps(plus, 2 * S, 0.0 if S_bar is None else S_bar)
        if pairs:
            *batch, i, j = pairs
            size = size + xp.zeros_like(S[..., :1, None])
            silent = there < SILENT * bracket_noise(A) * size[(*batch, 0 * i, 0 * j)]
            *batch, i, j = (index[silent] for index in pairs)
            P[(*batch, i, j)] = P[(*batch, j, i)] = 0.0
        P = P + minus / (2 * (S[..., None, :] + S[..., :, None]))
        P = U1 @ P
        A_bar = (P if left is None else P + left * over_S) @ Vh1
        return A_bar if right is None else A_bar + U1 @ mH(right * over_S)
    plus = xp.where(divide.nothing(plus, size), xp.zeros_like(plus), plus)
    P = (xp.cast(divide.of_gaps(), A) * plus + xp.cast(divide.of_sums(), A) * minus) / 2
    if S_bar is not None:
        P = P + xp.diagonal_embed(xp.cast(S_bar, A), k, k)
    P = U1 @ P
    A_bar = (P if left is None else P + left * over_S) @ Vh1
    return A_bar if right is None else A_bar + U1 @ mH(right * over_S)


def _near_pairs(xp, S, A):
    """What `near_pairs` says of singular values; None where it says nothing, and where some are equal or zero."""
    if None in A.shape[-2:] or 0 in A.shape[-2:]:
        return None
    ascending = xp.concat([-S, xp.zeros_like(S[..., :1])], axis=-1)
    if xp.near_pairs(ascending, max(EQUAL, *A.shape[-2:]) * xp.eps(S)) != ():
        return None
    return xp.near_pairs(-S, xp.eps(S) ** CLOSE)


def inside_and_outside(xp, U, U_bar, k, m):
    """X = U₁ᴴŪ₁ and U₂ (U₂ᴴŪ₁ − Ū₂ᴴU₁), with the first k columns U₁ of U and all others U₂, also those that are not at
    hand. The second is None where U₁ is known to be square."""
    X = mH(U[..., :k]) @ U_bar
    if is_size(m, k):
        return X, None
    (X, X12), (U1, U2), (outside, _) = first_and_others(X, k), first_and_others(U, k), first_and_others(U_bar, k)
    outside = outside - U1 @ X
    return X, outside if U2 is None else outside - U2 @ mH(X12)


def svd_forward(A_dot, factors, A):
    """U̇, Ṡ and V̇ᴴ, for phases with Im (uᴴu̇ + vᴴv̇) = 0."""
    (U, S, Vh), xp = factors, namespace(A)
    k = xp.shape(S)[-1]
    U1, Vh1 = U[..., :k], Vh[..., :k, :]
    divide = Divisors(xp, A, S)
    over_S = xp.cast(divide.of_values(), A)
    W, Zh = A_dot @ mH(Vh1), mH(U1) @ A_dot
    P = mH(U1) @ W
    plus = xp.cast(divide.of_gaps(), A) * (P + mH(P))
    minus = xp.cast(divide.of_sums(), A) * (P - mH(P))
    U_dot = U1 @ ((plus + minus) / 2)
    V_dot = mH(Vh1) @ ((plus - minus) / 2)
    if not is_size(A.shape[-2], k):
        U_dot = U_dot + (W - U1 @ P) * over_S
    if not is_size(A.shape[-1], k):
        V_dot = V_dot + (mH(Zh) - mH(Vh1) @ mH(P)) * over_S
    return _with_others(xp, U, U_dot, k), xp.real(xp.diagonal(P)), mH(_with_others(xp, mH(Vh), V_dot, k))


def _with_others(xp, U, U1_dot, k):
    """The tangents of all columns of a unitary U from those of its first k columns U₁: U̇₂ = −U₁ U̇₁ᴴU₂."""
    U1, U2 = first_and_others(U, k)
    return U1_dot if U2 is None else xp.concat([U1_dot, -U1 @ (mH(U1_dot) @ U2)], axis=-1)


# -- second derivatives of vectors


def _joint(xp, U, V, k):
    """The vectors (u, v)/√2 and (u, −v)/√2, and (u, 0), (0, v) of those behind the k-th."""
    # One may lack a dimension of the other's batch: the stand-in for an absent bar, of as many others at once.
    zero = xp.zeros_like(U[..., :1, :1]) * xp.zeros_like(V[..., :1, :1])
    (U1, U2), (V1, V2) = first_and_others(U + zero, k), first_and_others(V + zero, k)
    U1, V1 = U1 / 2**0.5, V1 / 2**0.5
    top, bottom = [U1, U1], [V1, -V1]
    if U2 is not None:
        top, bottom = [*top, U2], [*bottom, xp.zeros_like(V1[..., :1]) * xp.zeros_like(U2[..., :1, :])]
    if V2 is not None:
        top, bottom = [*top, xp.zeros_like(U1[..., :1]) * xp.zeros_like(V2[..., :1, :])], [*bottom, V2]
    return xp.concat([xp.concat(top, axis=-1), xp.concat(bottom, axis=-1)], axis=-2)


def _parts(xp, G, U, V, k):
    """The adjoint of `_joint`."""
    m, p = xp.shape(U)[-2:]
    top, bottom = G[..., :m, :], G[..., m:, :]
    U_part = (top[..., :k] + top[..., k : 2 * k]) / 2**0.5
    V_part = (bottom[..., :k] - bottom[..., k : 2 * k]) / 2**0.5
    if first_and_others(U, k)[1] is not None:
        U_part = xp.concat([U_part, top[..., 2 * k : k + p]], axis=-1)
    if first_and_others(V, k)[1] is not None:
        V_part = xp.concat([V_part, bottom[..., k + p :]], axis=-1)
    return U_part, V_part


@primitive("(m,p),(q,n),(m,n),(m,p),(k),(q,n)->(m,n)")
def svd_vectors_bar(U_bar, Vh_bar, A, U, S, Vh, *, full_matrices: bool = False, left: bool = True, right: bool = True):
    """The part of Ā in `svd` that comes from singular vectors, of any phase.

    A function of the bars, U, V and A, with rules of its own for second derivatives; S has no bar. They are those of
    `vectors_bar` for the Hermitian matrix [0 A; Aᴴ 0], which has the eigenvalues ±σ with the
    vectors (u, ±v)/√2. Of what is orthogonal to these, with the eigenvalue 0, only projections are needed. `left` and
    `right` say which of the bars there are.
    """
    return svd_reverse((U_bar if left else None, None, Vh_bar if right else None), (U, namespace(A).real(S), Vh), A)


def _hermitian_problem(A, U, S, Vh, full_matrices):
    """The eigenvalues and vectors of [0 A; Aᴴ 0], and whether there are others."""
    xp, k = namespace(A), S.shape[-1] if S.shape[-1] is not None else namespace(A).shape(S)[-1]
    V = mH(Vh)
    w = [xp.real(S), -xp.real(S)]
    w += [
        xp.zeros_like(xp.real(X[..., 0, :]))
        for X in (first_and_others(U, k)[1], first_and_others(V, k)[1])
        if X is not None
    ]
    m, n = A.shape[-2:]
    others = not full_matrices and (m is None or n is None or m != n)
    return xp.concat(w, axis=-1), _joint(xp, U, V, k), others


def _pairs(U_bar, Vh_bar, A, U, S, Vh, full_matrices):
    xp = namespace(A)
    return Pairs(_joint(xp, U_bar, mH(Vh_bar), xp.shape(S)[-1]), *_hermitian_problem(A, U, S, Vh, full_matrices))


def _times(xp, E, m):
    """The products with [0 E; Eᴴ 0]."""
    return lambda Y: xp.concat([E @ Y[..., m:, :], mH(E) @ Y[..., :m, :]], axis=-2)


def _corner(pairs, middle, rest, m):
    """Twice the block in the upper right corner of what `Pairs` found."""
    T, B = pairs.V[..., :m, :], pairs.V[..., m:, :]
    found = T @ middle @ mH(B)
    if rest is not None:
        r, q, x = rest
        found = found + r[..., :m, :] @ mH(B) + T @ mH(r[..., m:, :])
        found = found + q[..., :m, :] @ mH(x[..., m:, :]) + x[..., :m, :] @ mH(q[..., m:, :])
    return 2 * found


@svd_vectors_bar.vjp
def _(A_bar_bar, A_bar, U_bar, Vh_bar, A, U, S, Vh, *, full_matrices, left, right):
    xp = namespace(A)
    m, k = xp.shape(A)[-2], xp.shape(S)[-1]

    @once
    def found():
        pairs = _pairs(U_bar, Vh_bar, A, U, S, Vh, full_matrices)
        of_bars, of_vectors, of_A = pairs.reverse(_times(xp, A_bar_bar, m))
        parts = [_parts(xp, G, U, mH(Vh), k) for G in (of_bars, of_vectors)]
        return parts, lambda: _corner(pairs, *of_A(), m)

    return (
        lambda: found()[0][0][0],
        lambda: mH(found()[0][0][1]),
        lambda: found()[1](),
        lambda: found()[0][1][0],
        None,
        lambda: mH(found()[0][1][1]),
    )


@svd_vectors_bar.jvp
def _(A_bar, U_bar, Vh_bar, A, U, S, Vh, *, full_matrices, left, right):
    xp = namespace(A)
    m, k = xp.shape(A)[-2], xp.shape(S)[-1]

    def dot(U_bar_dot, Vh_bar_dot, A_dot, U_dot, _, Vh_dot):
        pairs = _pairs(U_bar, Vh_bar, A, U, S, Vh, full_matrices)
        bars, vectors = (_joint(xp, X, mH(Y), k) for X, Y in ((U_bar_dot, Vh_bar_dot), (U_dot, Vh_dot)))
        return _corner(pairs, *pairs.forward(_times(xp, A_dot, m), bars, vectors), m)

    return dot


@primitive("(m,n),(m,n),(m,p),(k),(q,n)->(m,p),(q,n)")
def svd_vectors_dot(A_dot, A, U, S, Vh, *, full_matrices: bool = False):
    """U̇ and V̇ᴴ of `svd`, of phases with Im (uᴴu̇ + vᴴv̇) = 0: those that `vectors_dot` has for [0 A; Aᴴ 0], with rules of
    its own for second derivatives. They are a function of Ȧ and A, and of U and V as a factor; S has no bar."""
    U_dot, _, Vh_dot = svd_forward(A_dot, (U, namespace(A).real(S), Vh), A)
    return U_dot, Vh_dot


def _turning(A_dot, A, U, S, Vh, full_matrices):
    return Turning(
        _times(namespace(A), A_dot, namespace(A).shape(A)[-2]), *_hermitian_problem(A, U, S, Vh, full_matrices)
    )


@svd_vectors_dot.vjp
def _(bars, dots, A_dot, A, U, S, Vh, *, full_matrices):
    xp = namespace(A)
    m, k = xp.shape(A)[-2], xp.shape(S)[-1]

    @once
    def found():
        U_bar, Vh_bar = (xp.zeros_like(X) if bar is None else bar for bar, X in zip(bars, (U, Vh), strict=True))
        return _turning(A_dot, A, U, S, Vh, full_matrices).reverse(_joint(xp, U_bar, mH(Vh_bar), k))

    @once
    def of_vectors():
        return _parts(xp, found()[1], U, mH(Vh), k)

    def bar(which):
        pairs = found()[0]
        A_bar = _corner(pairs, *found()[which](), m)
        # the bracket of u and v together, of which [0 A; Aᴴ 0] has two halves
        plus = pairs.bracket[..., :k, :k] + pairs.bracket[..., k : 2 * k, k : 2 * k]
        return nan_where_turned(A_bar, plus, pairs.noise[..., :k, :k], -xp.real(S))

    return lambda: bar(2), lambda: bar(3), lambda: of_vectors()[0], None, lambda: mH(of_vectors()[1])


@svd_vectors_dot.jvp
def _(dots, A_dot, A, U, S, Vh, *, full_matrices):
    xp = namespace(A)
    m, k = xp.shape(A)[-2], xp.shape(S)[-1]

    def dot(A_dot_dot, A_other, U_other, _, Vh_other):
        at, other = (_turning(Y, A, U, S, Vh, full_matrices) for Y in (A_dot, A_other))
        vectors = _joint(xp, U_other, mH(Vh_other), k)
        found, blown = at.forward(_times(xp, A_dot_dot, m), other, vectors)
        if 0 not in A.shape[-2:]:
            # where σᵢ + σⱼ and σ are small, what they divide is as large as it has to be
            blown = blown * xp.real(S)[..., :1, None] ** 2
            usual = at.largest() * other.largest()
            usual = xp.maximum(usual, xp.max(blown[..., :k, k:], axis=(-2, -1), keepdims=True))
            found = nan_where_lost(found, blown[..., :k, :k], usual)
        U_dot, V_dot = _parts(xp, found, U, mH(Vh), k)
        return U_dot, mH(V_dot)

    return dot
