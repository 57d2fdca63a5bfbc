"""The adjugate, which is the gradient of the determinant: right for singular matrices of every rank.

May import `overbar._namespace`, `overbar._primitive` and `rules.log_determinant`.
"""

import math

from overbar._namespace import front, mH, mT, namespace
from overbar._primitive import primitive
from overbar.rules._log_determinant import slogdet

# So many of the directions in which a matrix may be singular are treated without a division.
SMALL = 3


def expansion(mp, A):
    """The determinant by expansion along the first row: no division."""
    if len(A) == 0:
        return mp.number(1)
    rest = [expansion(mp, _without(A, 0, j)) for j in range(len(A))]
    return sum((-1) ** j * A[0, j] * minor for j, minor in enumerate(rest))


def _without(A, i, j):
    """A without row i and column j."""
    rows, columns = ([k for k in range(len(A)) if k != skipped] for skipped in (i, j))
    return A[rows][:, columns]


@primitive("(n,n)->(n,n)")
def adjugate(A):
    """The adjugate C = adj(A), the transposed matrix of the cofactors: A adj(A) = adj(A) A = det(A) I.

    Parameters
    ----------
    A
        It may be singular: of a matrix of rank n − 1 the adjugate has rank one, and of one of lower rank it is zero.

    Returns
    -------
    array (..., n, n)

    Notes
    -----
    Its entries are polynomials, and adj(A) = det(A) A⁻¹ only where there is an inverse. Where the numbers of A may be
    looked at, and no matrix of the batch is nearly singular, this is how it is computed. Otherwise:

    *Frames.* For fixed invertible U and V, det(Uᴴ A V) = det(Uᴴ) det(V) det(A), whatever A is. So they may be chosen
    for the A that came, and are constants all the same when the formulas below are differentiated: nothing is lost, to
    any order. M = Uᴴ A V has

        adj(A) = V adj(M) Uᴴ / (det(Uᴴ) det(V)).

    V = D₂ W scales the columns and mixes them by a fixed orthogonal W. U = D₁ Q scales the rows, and Q is that of a QR
    decomposition of D₁ A V: so M is upper triangular, and all but certainly its leading block is about as well
    conditioned as a block of its size can be (Demmel, Dumitriu and Holtz, 2007, "Fast linear algebra is stable",
    section 5). The scales D₁ and D₂ make the largest entry of each row and column 1.

    *Blocks.* A is bordered by an identity of order 3, and the last three rows and columns of M are split off,
    M = [[M₁₁, M₁₂], [M₂₁, M₂₂]]. With P = M₁₁⁻¹, X = P M₁₂, Y = M₂₁ P and the Schur complement S = M₂₂ − M₂₁ X,

        det(M) = det(M₁₁) det(S),
        adj(M) = det(M₁₁) (det(S) [[P, 0], [0, 0]] + Z adj(S) W),    Z = [−X; I],    W = [−Y, I].

    S is 3 by 3: its adjugate is written out, without a division. Up to three directions in which A is singular are in
    S, and M₁₁ is regular.

    *Derivative.* In these frames, Ȧ is N = Uᴴ Ȧ V, and by the product rule, with Ṗ = −P N₁₁ P, Ẋ = P (N₁₂ − N₁₁ X),
    Ẏ = (N₂₁ − Y N₁₁) P, Ṡ = W N Z and (det S)˙ = tr(adj(S) Ṡ),

        adj(M)˙ = tr(P N₁₁) adj(M) + det(M₁₁) ((det S)˙ [[P, 0], [0, 0]] + det(S) [[Ṗ, 0], [0, 0]]
                  + Ż adj(S) W + Z adj(S)˙ W + Z adj(S) Ẇ).

    The forward rule D[Ȧ] is this. The second derivative of det is symmetric, tr(D[Ȧ] H) = tr(D[H] Ȧ), which gives the
    reverse rule: ⟨C̄, D[Ȧ]⟩ = Re tr(D[Ȧ] C̄ᴴ) = Re tr(D[C̄ᴴ] Ȧ), hence

        Ā = D[C̄ᴴ]ᴴ.

    Where no matrix is nearly singular, and nobody differentiates it again, D[Ȧ] = det(A) (tr(P Ȧ) P − P Ȧ P) with
    P = A⁻¹, from the same rule for det(A) A⁻¹.

    *Scales.* The frames mix the entries of Ȧ. Where those of A differ much in size, as in [[1e8, 1], [1, 0]], Ȧ in the
    scales of A has large entries that must cancel, and all digits may be lost. So of order 3 or less D[Ȧ] is written
    out, a sum of products of entries, and exact to any order. Of larger ones whose rows and columns differ by 2¹⁰ or
    more in scale, they are scaled by powers of two, and D[Ȧ] is computed by the inverse, if the matrix is regular then,
    without those terms that cancel. Derivatives of that are by blocks.

    *Orders.* Where the rank is n − 3 or more, all derivatives are right, to any order. Where it is lower, those of det
    up to the third are right, being zero, as are those of adj up to the second; higher ones are not.

    Source: Jacobi's formula, see `det`; Stewart (1998), "On the adjugate matrix", for the singular case. Cost: an LU
    decomposition and an inverse, 8n³/3 flops, where no matrix is nearly singular; otherwise, and always where a
    compiler traces, QR, LU, an inverse and products, about 20n³. The derivative costs that and six more products,
    or, by the inverse, 20n³/3.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.adjugate(np.array([[1.0, 2.0], [3.0, 4.0]])).round(12)
    array([[ 4., -2.],
           [-3.,  1.]])
    """
    xp = namespace(A)
    if A.shape[-1] == 0:
        return A
    # That of A; but the pivots are those of the inverse below.
    sign, logabsdet = xp.slogdet(mT(A) if xp.inverse_by_columns else A)

    def by_inverse():
        inverse, limit = _inverse(xp, A), xp.eps(A) ** -0.5

        def closer():
            # Both from the same rounded factors, which belong to a matrix A + E: they give adj(A + E) to rounding,
            # until the inverse of the scaled matrix loses all its digits.
            good = _condition(xp, A, inverse) < limit
            return front(A).choose(good, lambda: _times_exp(xp, sign, logabsdet, inverse), lambda: _by_blocks(A))

        # An upper bound of the condition: where one of the factors underflows, the other is infinite. Most matrices
        # need no more than that, if no determinant is near the ends of the range of numbers.
        plain = xp.sum_of_squares(A, inverse) < limit**2
        plain = plain & (xp.abs(logabsdet) < -5 * math.log(xp.eps(A)))
        weight = lambda: (sign * xp.cast(xp.exp(logabsdet), A))[..., None, None]  # noqa: E731
        return front(A).choose(plain, lambda: weight() * inverse, closer)

    return front(A).choose(xp.isfinite(logabsdet), by_inverse, lambda: _by_blocks(A))


@adjugate.vjp
def _(C_bar, C, A):
    return (lambda: mH(_derivative(A, mH(C_bar))),)


@adjugate.jvp
def _(C, A):
    return (lambda A_dot: _derivative(A, A_dot),)


@primitive("(n,n),(),(n,r),(s)->(n,n)")
def adjugate_with_det(A, c, factors, pivots):
    """`adjugate`, where c = det A is known, and what `Words.slogdet_by_factors` has kept of A: a function of A."""
    xp = namespace(A)
    if A.shape[-1] == 0:
        return A
    size, tiny = xp.abs(c), 1e-28 if xp.eps(A) > 1e-12 else 1e-280  # where c has all its digits

    def by_inverse():
        inverse = _inverse(xp, A) if factors.shape[-1] in (0, None) else xp.inverse_with_factors(A, factors, pivots)
        good = xp.sum_of_squares(A, inverse) < 1 / xp.eps(A)
        return front(A).choose(good, lambda: c[..., None, None] * inverse, lambda: adjugate.function(A))

    return front(A).choose((size > tiny) & (size < 1 / tiny), by_inverse, lambda: adjugate.function(A))


@adjugate_with_det.vjp
def _(C_bar, C, A, c, factors, pivots):
    return lambda: mH(_derivative(A, mH(C_bar))), None, None, None


@adjugate_with_det.jvp
def _(C, A, c, factors, pivots):
    return lambda A_dot: _derivative(A, A_dot), None, None, None


@adjugate.samples
def _(case):
    yield case(case.square(4))


@adjugate.reference
def _(mp, A):
    C = mp.zeros(A.shape)
    for i in range(len(A)):
        for j in range(len(A)):
            C[j, i] = (-1) ** (i + j) * expansion(mp, _without(A, i, j))
    return C


# -- how the adjugate is computed --------------------------------------------------------------------------------------


def _inverse(xp, A):
    """A⁻¹ of regular A. One that comes by columns is that of the transpose, transposed, by rows, as products are:
    compilers want to know."""
    return mT(xp.inv(mT(A), regular=True)) if xp.inverse_by_columns else xp.inv(A, regular=True)


def _scales(xp, A):
    """Numbers for the rows and the columns that make the largest entry of each 1; for those of zeros, 1."""

    def inverse_or_one(largest):
        usable = largest > 0
        return xp.where(usable, 1 / xp.where(usable, largest, xp.ones_like(largest)), xp.ones_like(largest))

    size = xp.abs(A)
    rows = inverse_or_one(xp.max(size, axis=-1))
    columns = inverse_or_one(xp.max(size * rows[..., :, None], axis=-2))
    return rows, columns


def _condition(xp, A, inverse):
    """An estimate of the condition number of A after its rows and columns have been scaled."""
    rows, columns = _scales(xp, A)
    scaled = xp.abs(inverse) / columns[..., :, None] / rows[..., None, :]
    return xp.max(xp.sum(scaled, axis=-1), axis=-1)


def _times_exp(xp, sign, logarithm, A):
    """s exp(ℓ) A, without overflow on the way."""
    half, inverse = (xp.cast(xp.exp(x / 2), A)[..., None, None] for x in (logarithm, -logarithm))
    # A quotient, as the graph optimiser of TensorFlow puts the small factors of a product of three together.
    return (sign[..., None, None] * half * A) / inverse


def _mixing(xp, K):
    """An orthogonal matrix of the size of K that mixes columns thoroughly, and its determinant.

    It is W = D H D' H, with the symmetric orthogonal Hartley matrix, Hⱼₖ = (cos + sin)(2πjk/n) / √n, and diagonal
    matrices of signs that follow no pattern. The same for each call: a function gives the same number twice.
    """
    ones = xp.ones_like(xp.real(xp.eye_like(K)[0, :]))
    n = xp.sum(ones)
    j = xp.cumulative_sum(ones, axis=0) - 1
    jk = j[:, None] * j[None, :]
    angle = (jk - n * xp.floor(jk / n)) * (2 * math.pi / n)
    H = (xp.cos(angle) + xp.sin(angle)) / xp.sqrt(n)
    one, two = (xp.where(xp.sin(a * j * j + b * j) < 0, -ones, ones) for a, b in ((1.7, 0.6), (2.9, 1.3)))
    return one[:, None] * (H @ (two[:, None] * H)), xp.prod(one * two)


@primitive("(n,n)->(n,n),(n,n),(),(),(n)")
def _frame(K):
    """U and V for the matrix M = Uᴴ K V + diag(shift), the sign and the logarithm of 1 / (det(Uᴴ) det(V)), and the
    shift.

    The shift replaces pivots of M that are zero to rounding, other than the last three, so that the block in front of
    these has an inverse. Where there are such pivots, K is singular in four directions or more.
    """
    xp = namespace(K)
    rows, columns = _scales(xp, K)
    mixing, det_V = _mixing(xp, K)
    V = xp.cast(columns[..., :, None] * mixing, K)
    Q, R = xp.qr(xp.cast(rows[..., :, None], K) * (K @ V))
    U = xp.cast(rows[..., :, None], K) * Q
    det_Q, _ = xp.slogdet(Q)
    logarithm = -xp.sum(xp.log(rows), axis=-1) - xp.sum(xp.log(columns), axis=-1)
    pivots = xp.abs(xp.diagonal(R))
    # rounding leaves about ε times the largest pivot
    ones = xp.ones_like(pivots)
    tiny = 4 * xp.eps(K) * ones * xp.sum(ones, axis=-1, keepdims=True)
    shift = xp.where(pivots < tiny, 2 * tiny, xp.zeros_like(tiny))
    shift = xp.concat([shift[..., :-SMALL], xp.zeros_like(shift[..., -SMALL:])], axis=-1)
    return U, V, det_Q * xp.cast(det_V, K), logarithm, xp.cast(shift, K)


@_frame.vjp
def _(bars, outputs, K):
    return (lambda: namespace(K).zeros_like(K),)  # a choice, on which no result depends


@_frame.jvp
def _(outputs, K):
    return (lambda K_dot: (None,) * 5,)


def _bordered(xp, A, corner):
    """[[A, 0], [0, corner · I]] with an identity of order `SMALL`. Its parts are cut from sums, because sizes may be
    unknown."""
    column = xp.zeros_like(xp.sum(A, axis=-1, keepdims=True))
    A = xp.concat([A] + [column] * SMALL, axis=-1)
    row = xp.zeros_like(xp.sum(A, axis=-2, keepdims=True))
    A = xp.concat([A] + [row] * SMALL, axis=-2)
    if not corner:
        return A
    eye = xp.eye_like(A)
    return A + xp.concat([xp.zeros_like(eye[:-SMALL, :]), eye[-SMALL:, :]], axis=0)


def _split(M):
    one, two = slice(None, -SMALL), slice(-SMALL, None)
    return M[..., one, one], M[..., one, two], M[..., two, one], M[..., two, two]


def _shifted(xp, S, axis):
    """The rows or columns of S, each instead of the one before."""
    parts = (S[..., 1:, :], S[..., :1, :]) if axis == -2 else (S[..., :, 1:], S[..., :, :1])
    return xp.concat(parts, axis=axis)


def _polar_cofactors(xp, S, T):
    """Twice the bilinear form that gives the cofactors of a 3 by 3 matrix where S = T: their derivative at S along T.
    The cofactor (i, j) of S is Sᵢ₊₁ⱼ₊₁ Sᵢ₊₂ⱼ₊₂ − Sᵢ₊₁ⱼ₊₂ Sᵢ₊₂ⱼ₊₁, the indices modulo 3."""

    def corners(S):
        one = _shifted(xp, S, -2)
        two = _shifted(xp, one, -2)
        one, two = (_shifted(xp, x, -1) for x in (one, two))
        return one, _shifted(xp, one, -1), two, _shifted(xp, two, -1)

    (s11, s12, s21, s22), (t11, t12, t21, t22) = corners(S), corners(T)
    return s11 * t22 + t11 * s22 - s12 * t21 - t12 * s21


def _trace_of_product(xp, A, B):
    return xp.sum(mT(A) * B, axis=(-2, -1))[..., None, None]


class _Blocks:
    """The quantities of the docstring of `adjugate`, for a matrix A."""

    def __init__(self, A):
        self.xp = xp = namespace(A)
        #: A/c is what the rest is about
        c = xp.power_of_two(A)
        self.c, self.log_c = xp.cast(c, A), xp.log(c)[..., 0]
        A = A / self.c
        #: the order of the matrix, which need not be known, as a vector of ones
        self.ones = xp.ones_like(xp.real(A)[..., 0, :])
        K = _bordered(xp, A, 1)
        U, V, sign, logarithm, shift = _frame(K)
        M = mH(U) @ K @ V + shift[..., None, :] * xp.eye_like(K)
        M11, M12, M21, M22 = _split(M)
        self.P = xp.inverse(M11)
        self.X, self.Y = self.P @ M12, M21 @ self.P
        S = M22 - M21 @ self.X
        self.S, self.T = S, mT(_polar_cofactors(xp, S, S)) / 2
        self.det_S = _trace_of_product(xp, S, self.T) / SMALL
        eye = xp.eye_like(S) + xp.zeros_like(S)
        self.Z, self.W = xp.concat([-self.X, eye], axis=-2), xp.concat([-self.Y, eye], axis=-1)
        s, l = slogdet(M11)
        self.sign, self.logarithm = sign * s, logarithm + l
        #: from the frames to A
        self.left, self.right = V[..., :-SMALL, :], mH(U[..., :-SMALL, :])

    def _in_corner(self, P):
        """[[P, 0], [0, 0]]"""
        return _bordered(self.xp, P, 0)

    def adjugate(self):
        return self.Z @ self.T @ self.W + self._in_corner(self.det_S * self.P)

    def derivative(self, A_dot):
        xp, P, T, Z, W = self.xp, self.P, self.T, self.Z, self.W
        N = self.right @ A_dot @ self.left
        N11, N12, N21, _ = _split(N)
        PN = P @ N11
        P_dot = -(PN @ P)
        X_dot = P @ N12 - PN @ self.X
        Y_dot = (N21 - self.Y @ N11) @ P
        S_dot = W @ N @ Z
        T_dot = mT(_polar_cofactors(xp, self.S, S_dot))
        none = xp.zeros_like(S_dot)
        Z_dot, W_dot = xp.concat([-X_dot, none], axis=-2), xp.concat([-Y_dot, none], axis=-1)
        det_S_dot = _trace_of_product(xp, T, S_dot)
        trace = xp.sum(xp.diagonal(PN), axis=-1)[..., None, None]
        return (
            trace * self.adjugate()
            + self._in_corner(det_S_dot * P + self.det_S * P_dot)
            + Z_dot @ (T @ W)
            + Z @ (T_dot @ W + T @ W_dot)
        )

    def outside(self, C, order):
        """V C Uᴴ / (det(Uᴴ) det(V)) times det M₁₁ and c^(n−1−order), without overflow on the way."""
        xp = self.xp
        powers = xp.sum(self.log_c * self.ones, axis=-1) - (order + 1) * self.log_c[..., 0]
        half = xp.cast(xp.exp((self.logarithm + powers) / 2)[..., None, None], C)
        return (half * self.left) @ (self.sign[..., None, None] * C) @ (half * self.right)


def _by_blocks(A):
    blocks = _Blocks(A)
    return blocks.outside(blocks.adjugate(), 0)


def _derivative(A, A_dot):
    """adj(A)˙, in operations that are differentiable themselves, where somebody watches."""
    if A.shape[-1] == 0:
        return A_dot
    watched = not front(A).may_compute(A, A_dot)
    if A.shape[-1] in (1, 2, 3):
        D = _derivative_by_cofactors(A, A_dot)
        return D + 0 * A if watched else D  # a derivative that is zero, but is one
    if watched:
        return _where_badly_scaled(A, A_dot, _derivative_by_blocks(A, A_dot))
    xp = namespace(A)
    c = xp.power_of_two(A)
    scaled = A / xp.cast(c, A)
    sign, logabsdet = xp.slogdet(scaled)

    def by_inverse():
        P = xp.inv(scaled, regular=True)
        # the terms cancel where A is nearly singular: an upper bound of the condition says that few digits are lost
        good = xp.sum_of_squares(scaled, P) < xp.eps(A) ** -0.5
        return front(A).choose(good, lambda: closed(P), otherwise)

    def closed(P):
        """adj(A) = det(A) A⁻¹ by the product rule, with A⁻¹ = P/c and det A = cⁿ det(A/c)."""
        D = _trace_of_product(xp, P, A_dot) * P - P @ A_dot @ P
        return _times_exp(xp, sign, logabsdet + (A.shape[-1] - 2) * xp.log(c)[..., 0, 0], D)

    def otherwise():
        return _derivative_by_scales(A, A_dot, _equilibrated(xp, A), lambda: _derivative_by_blocks(A, A_dot))

    return front(A).choose(xp.isfinite(logabsdet), by_inverse, otherwise)


def _derivative_by_cofactors(A, A_dot):
    """adj(A)˙ of order 3 or less, from the entries: no terms cancel that are larger than these."""
    xp = namespace(A)
    if A.shape[-1] == 1:
        return xp.zeros_like(A_dot)
    if A.shape[-1] == 3:
        return mT(_polar_cofactors(xp, A, A_dot))
    return (2 * xp.eye_like(A_dot) - 1) * mT(_shifted(xp, _shifted(xp, A_dot, -2), -1))


def _equilibrated(xp, A):
    """Powers of two r (..., n, 1) and c (..., 1, n), and A with its entries divided by rᵢ cⱼ, so that the largest one
    of each row and column is about 1."""
    rows = xp.power_of_two(A[..., :, None, :])[..., 0]
    A = A / xp.cast(rows, A)
    columns = mT(xp.power_of_two(mT(A)[..., :, None, :])[..., 0])
    return rows, columns, A / xp.cast(columns, A)


# Scales of rows and columns that are further apart are those of a badly scaled matrix.
_FAR = 2.0**10


def _derivative_by_scales(A, A_dot, equilibrated, otherwise):
    """adj(A)˙ of matrices that are regular after their rows and columns have been scaled; that of others is
    `otherwise()`. For functions of primitives.

    With B = A/(r cᵀ) and F = Ȧ/(r cᵀ), entry by entry, and P = B⁻¹,

        adj(A)˙ = det(B) ∏ rₖ cₖ (tr(P F) P − P F P) / (c rᵀ).

    An entry (a, b) of it has no entries of F from row b or column a in it: they are in both terms, and may be larger
    than all others, as F is that of any direction, and not scaled like A. So the column a is left out, of the trace and
    of the product. Row b matters where its scale is by far the smallest, and is left out of that one column b.
    """
    xp = namespace(A)
    rows, columns, B = equilibrated
    sign, logabsdet = xp.slogdet(B)
    eye, none = xp.eye_like(B), xp.zeros_like(B)
    good = xp.isfinite(logabsdet)
    B = xp.where(good[..., None, None], B, eye + none)
    P = xp.inv(B, regular=True)
    good = good & (xp.sum_of_squares(B, P) < xp.eps(A) ** -0.5)

    def change(P, F):
        PF = P @ F
        return ((1 - eye) @ xp.diagonal(PF)[..., None]) * P - ((1 - eye) * PF) @ P

    def closed():
        # of those that are not good, numbers that do not overflow
        here = good[..., None, None]
        inverse, F = xp.where(here, P, eye + none), xp.where(here, A_dot, none)
        # Scales around 1, so that products of them do not overflow; the determinant has the rest.
        logs = [xp.log(x) for x in (rows, columns)]
        means = [xp.sum(x, axis=(-2, -1)) / xp.sum(xp.ones_like(x), axis=(-2, -1)) for x in logs]
        r, c = (xp.where(here, xp.exp(x - m[..., None, None]), 1 + 0 * x) for x, m in zip(logs, means, strict=True))
        rest = sum(xp.sum(x, axis=(-2, -1)) - 2 * m for x, m in zip(logs, means, strict=True))
        F = F / xp.cast(r, A) / xp.cast(c, A)
        least = r == xp.min(r, axis=-2, keepdims=True)
        ones = xp.where(least, xp.ones_like(r), xp.zeros_like(r))
        alone = least & (xp.sum(ones, axis=-2, keepdims=True) < 2)
        D = xp.where(mT(alone), change(inverse, xp.where(alone, none, F)), change(inverse, F))
        D = D / xp.cast(mT(c), A) / xp.cast(mT(r), A)
        return _times_exp(xp, sign, xp.where(good, logabsdet + rest, 0 * rest), D)

    def mixed():
        return xp.where(good[..., None, None], closed(), otherwise())

    return front(A).choose(good, closed, lambda: front(A).choose(~good, otherwise, mixed))


@primitive("(n,n),(n,n),(n,n)->(n,n)")
def _where_badly_scaled(A, A_dot, D):
    """D, which is adj(A)˙ by blocks: the same, with more digits. Where somebody watches, D has all derivatives."""
    xp = namespace(A)
    rows, columns, B = _equilibrated(xp, A)
    apart = sum(xp.max(xp.log(x), axis=(-2, -1)) - xp.min(xp.log(x), axis=(-2, -1)) for x in (rows, columns))
    return front(A).choose(
        apart < math.log(_FAR), lambda: D, lambda: _derivative_by_scales(A, A_dot, (rows, columns, B), lambda: D)
    )


@_where_badly_scaled.vjp
def _(C_bar, C, A, A_dot, D):
    return None, None, lambda: C_bar


@_where_badly_scaled.jvp
def _(C, A, A_dot, D):
    return None, None, lambda D_dot: D_dot


def _derivative_by_blocks(A, A_dot):
    blocks = _Blocks(A)
    return blocks.outside(blocks.derivative(A_dot), 1)
