"""The polar decomposition, A = U P.

May import `overbar._namespace`, `overbar._primitive`, `rules.decompositions`, `rules.eigen`,
`rules.equal_values`, `rules.singular_vectors`, `rules.svd` and `rules.two_by_two`.
"""

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._decompositions import singular_triples
from overbar.rules._eigen import eigh
from overbar.rules._equal_values import from_eigen, hermitian_part, norm_of
from overbar.rules._singular_vectors import reciprocal
from overbar.rules._svd import distinct
from overbar.rules._two_by_two import are_of_two, polar_of_two

# ---------------------------------------------------------------------------------------------------------------------
# The polar decomposition


@primitive("(n,n),(n,n),(n),(n,n)->(n,n),()", hermitian=("P",))
def anticommutator_solve(P, C, w, V):
    """The solution X of P X + X P = (C − Cᴴ)/2 for Hermitian positive semidefinite P, and how many eigenvalues of P are
    zero.

    A function of P and C: w and V, the eigenvalues and eigenvectors of P, get no bars. In the basis of these,
    Xᵢⱼ = Cᵢⱼ / (wᵢ + wⱼ), and 0 where both are zero. Nothing is divided by a difference of eigenvalues, and the
    eigenvectors do not show. From Ṗ X + P Ẋ + Ẋ P + X Ṗ = Ċ, Ẋ solves the same equation with Ċ − Ṗ X − X Ṗ on the
    right; the map from C to X is its own adjoint, so that

        C̄ = the solution for X̄,    P̄ = −C̄ Xᴴ − Xᴴ C̄ (its Hermitian part).

    X is antihermitian, and its diagonal zero in any real basis. In the basis of eigenvectors, that of C is made so
    before it is divided by 2 wᵢ: else rounding over the smallest eigenvalue would be there, and be divided once more in
    each derivative.
    """
    xp = namespace(P)
    w = xp.real(w)
    rounding = _rounding(xp, P, w)
    total = w[..., :, None] + w[..., None, :]
    over = reciprocal(xp, total, total <= 2 * rounding[..., None])
    K = mH(V) @ C @ V
    X = V @ ((K - mH(K)) / 2 * xp.cast(over, C)) @ mH(V)
    # in all of the batch, as vmap over C alone has it
    return X, xp.broadcast_to(_zeros(xp, P, w), xp.shape(X)[:-2])


def _rounding(xp, P, w):
    return xp.rounding(P) * xp.maximum(w[..., :1], w[..., -1:])


def _is_zero(xp, P, w):
    """Which eigenvalues w of P are zero."""
    return w <= _rounding(xp, P, w)


def _zeros(xp, P, w):
    """How many of them."""
    return xp.sum(xp.astype(_is_zero(xp, P, w), xp.int32), axis=-1)


@anticommutator_solve.vjp
def _(bars, outputs, P, C, w, V):
    (X_bar, _), (X, _) = bars, outputs

    @once
    def C_bar():
        return anticommutator_solve(P, X_bar, w, V)[0]

    def P_bar():
        return hermitian_part(-C_bar() @ mH(X) - mH(X) @ C_bar())

    return P_bar, C_bar, None, None


@anticommutator_solve.jvp
def _(outputs, P, C, w, V):
    X, _ = outputs

    def dots(P_dot, C_dot, *_):
        return anticommutator_solve(P, C_dot - P_dot @ X - X @ P_dot, w, V)[0], None

    return dots


@primitive("(m,n)->(m,n),(p,p),(k),(k,k)", residuals=2)
def polar(A, *, side="right"):
    """The polar decomposition A = U P, or A = P U, with orthonormal columns or rows in U and Hermitian P ≥ 0.

    U is the matrix with orthonormal columns (rows) that is nearest to A.

    Parameters
    ----------
    side : str
        "right" for A = U P with P = (AᴴA)^½ (n by n), "left" for A = P U with P = (AAᴴ)^½
        (m by m).

    Returns
    -------
    U : array (..., m, n)
        Its columns are orthonormal where m ≥ n, its rows where m ≤ n.
    P : array (..., n, n), or (..., m, m) with side="left"

    Raises
    ------
    LinAlgError of the array's library
        As `svd`.
    ValueError
        `side` is neither "right" nor "left".

    Notes
    -----
    By the singular value decomposition A = W S Vᴴ, U = W Vᴴ; both P are Hermitian parts of products, UᴴA and A Uᴴ. Take
    m ≥ n and P = UᴴA; the other case is this one of Aᴴ. Multiply Ȧ = U̇ P + U Ṗ by Uᴴ and subtract the adjoint. With
    Ω = UᴴU̇, which is antihermitian,

        P Ω + Ω P = UᴴȦ − ȦᴴU,    U̇ = U Ω + (I − UUᴴ) Ȧ P⁻¹,    Ṗ = UᴴȦ − Ω P.

    Reverse: the solution X = L(C) of P X + X P = C is a linear map of C that is its own adjoint. With P̄ Hermitian,

        Ā = U L(UᴴŪ − ŪᴴU + P P̄ − P̄ P) + (I − UUᴴ) Ū P⁻¹ + U P̄.

    Where A is square, I − UUᴴ is zero and its terms are left out: of them, P⁻¹ would make rounding over the smallest
    singular value, and its derivative rounding over the square of that.

    L divides by sums of singular values and is differentiated by solving again, in the basis that the function found.
    No singular vector shows: the rule and its derivatives of any order are right at equal singular values. (Source: the
    differential as for the square root in Giles (2008) and Higham, Functions of Matrices, chapter 8.)

    U has no derivative where A is singular, has a singular value that is rounding: its bar then sends NaN to Ā, with a
    RuntimeWarning (where numbers can be looked at: not on a GPU, in a graph or in torch.func). P has one along changes
    that keep the rank. In its rules stands G = U P⁺P instead of U, `isometry`, which is unique: Ā is then tangent to
    the matrices of this rank, (I − GGᴴ) Ā (I − GᴴG) = 0, and Ṗ that of the part of Ȧ which is. Second derivatives are
    right along such changes, too, and NaN along others, with a RuntimeWarning: there P has a kink, as |x|.

    Cost: ten products for Ā, where the function is a singular value decomposition.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> U, P = overbar.polar(np.array([[0.0, -2.0], [3.0, 0.0]]))
    >>> U.round(12) + 0.0, P.round(12) + 0.0
    (array([[ 0., -1.],
           [ 1.,  0.]]), array([[3., 0.],
           [0., 2.]]))
    """
    if side not in ("right", "left"):
        raise ValueError(f'polar: side must be "right" or "left", not {side!r}.')
    xp = namespace(A)
    if are_of_two(A):
        return polar_of_two(A, side)
    W, S, Vh = singular_triples(A)
    m, n = xp.shape(A)[-2:]
    P = from_eigen(S, mH(Vh) if side == "right" else W)
    # PyTorch has vectors of an infinite matrix beside singular values that are NaN
    U = (W + xp.cast(0 * S[..., None, :], W)) @ Vh
    return U, P, S, front(A).if_else(m >= n, lambda: mH(Vh), lambda: W)


_SINGULAR = (
    "polar: argument A is singular, to working precision. Its factor U has no derivative there, and the bar of A is "
    "NaN; the factor P has one along changes that keep the rank."
)

_KINK = (
    "polar: argument A is singular, to working precision. The factor P has a second derivative along changes that keep "
    "the rank, but this one does not: NaN."
)


@primitive("(m,n),(m,n),(k),(k,k)->(m,n)")
def isometry(A, U, w, V):
    """G = U P⁺P for the polar factors of A = U P: the partial isometry of A, which is U where A is regular.

    A function of A alone: U and the eigenvalues and eigenvectors of the smaller P get no bars. It is unique, W₁V₁ᴴ with
    the singular vectors to all σ that are not zero, where U has any vectors to the others. Along changes that keep the
    rank it moves by `isometry_along`, and has no derivative along others.
    """
    xp = namespace(A)
    of_tall, of_wide = _tall_and_wide(A, (w, V))

    def projected(U, basis):
        w, V = basis
        zero = _is_zero(xp, A, xp.real(w))
        there = xp.where(zero, xp.zeros_like(xp.real(w)), xp.ones_like(xp.real(w)))
        found = ((U @ V) * xp.cast(there, U)[..., None, :]) @ mH(V)
        # to the last bit of regular ones
        return xp.where(xp.any(zero, axis=-1)[..., None, None], found, U + 0 * found)

    m, n = xp.shape(A)[-2:]
    return front(A).if_else(m >= n, lambda: projected(U, of_tall), lambda: mH(projected(mH(U), of_wide)))


@isometry.vjp
def _(G_bar, G, A, U, w, V):
    return lambda: isometry_along(A, G, G_bar, (w, V)), None, None, None


@isometry.jvp
def _(G, A, U, w, V):
    return lambda A_dot: isometry_along(A, G, A_dot, (w, V)), None, None, None


def isometry_along(A, G, E, basis=None, message=_KINK):
    """The derivative of G, the `isometry` of A, along E; for m ≥ n

        Ġ = G L(GᴴE − EᴴG) + (I − GGᴴ) E P⁺.

    As a map of E it is its own adjoint, and so the rule of both modes. It is NaN where E changes the rank, with the
    message as a warning."""
    xp = namespace(A)
    m, n = xp.shape(A)[-2:]
    of_tall, of_wide = _tall_and_wide(A, basis)
    return front(A).if_else(
        m >= n,
        lambda: _tall_isometry_along(xp, A, G, E, of_tall, message),
        lambda: mH(_tall_isometry_along(xp, mH(A), mH(G), mH(E), of_wide, message)),
    )


def _tall_isometry_along(xp, A, G, E, basis, message):
    P = hermitian_part(mH(G) @ A)
    w, V = basis or eigh(P)
    zero = _is_zero(xp, P, xp.real(w))
    some = front(zero).may_hold(zero)
    singular = xp.any(zero, axis=-1)[..., None, None]
    if some:
        E = _keeping_the_rank(xp, E, G, xp.real(w), zero, message)
    B = mH(G) @ E
    found = G @ _anticommutator_solve(P, B - mH(B), (w, V))[0]

    def over():
        rest = E - G @ B
        if not some:
            return mH(xp.solve(P, mH(rest), check=False))
        # (P + c N)⁻¹ is P⁺ but for N = I − P⁺P, of which nothing is left in rest (I − N)
        N = xp.eye_like(P) - mH(G) @ G
        N = xp.where(singular, N, xp.zeros_like(N))
        c = xp.cast(xp.power_of_two(P), P)
        return mH(xp.solve(P + c * N, mH(rest - rest @ N), check=False))

    return found + _outside(xp, A, over, singular if some else None)


def _keeping_the_rank(xp, E, G, w, zero, message):
    """E, and NaN where it changes the rank of a matrix of this G, of which `zero` says that eigenvalues w are zero."""
    R = E - G @ (mH(G) @ E)
    R = R - (R @ mH(G)) @ G
    # G is known to rounding over the smallest singular value that counts
    largest = xp.maximum(w[..., :1], w[..., -1:])
    smallest = xp.min(xp.where(zero, largest + 0 * w, w), axis=-1)[..., None]
    unsure = xp.rounding(E) * largest / xp.where(smallest > 0, smallest, xp.ones_like(smallest))
    unsure = xp.minimum(1e3 * unsure, xp.eps(w) ** 0.5 + 0 * unsure)
    moved = xp.any(zero, axis=-1)[..., None] & (norm_of(R) > unsure * norm_of(E))
    front(E).warn(moved, message)
    # NaN is added: as a factor it would come back in the derivative from where it is not.
    none = xp.zeros_like(E)
    return E + xp.where(moved[..., None], none + float("nan"), none)


def _tall_and_wide(A, basis):
    """The eigenvalues and eigenvectors of (AᴴA)^½ and of (AAᴴ)^½, of which there are those of the smaller, for a branch
    each.

    Where the sizes are not known while a graph is built, both branches are in it, and the basis has n rows in one and m
    in the other. TensorFlow's optimiser takes what fits together in some branch for equal everywhere, thus m for n, and
    computes with the wrong shapes. A slice is a matrix of whose size it knows nothing.
    """
    m, n = A.shape[-2:]
    if basis is None or (m is not None and n is not None):
        return basis, basis
    (m, n), (w, V) = namespace(A).shape(A)[-2:], basis
    return tuple((w[..., :k], V[..., :k, :k]) for k in (n, m))


def _unique(A, U, basis):
    """U, or the `isometry` G where one of the matrices may be singular; and which are, or None where it is seen that
    none is."""
    w, V = basis
    xp = namespace(A)
    zero = _is_zero(xp, A, w)
    if not front(zero).may_hold(zero):
        return U, None
    return isometry(A, U, xp.cast(w, A), V), xp.any(zero, axis=-1)[..., None, None]


def polar_reverse(A, U, U_bar, P_bar, side, basis):
    """Ā from the bars of U and P. `basis` has the eigenvalues and eigenvectors of (AᴴA)^½, or of (AAᴴ)^½ where A is
    wide."""
    xp = namespace(A)
    m, n = xp.shape(A)[-2:]
    U, _ = _unique(A, U, basis)
    right, left = (P_bar, None) if side == "right" else (None, P_bar)
    of_tall, of_wide = _tall_and_wide(A, basis)

    def wide():
        return mH(_tall_bar(xp, mH(A), mH(U), of_wide, None if U_bar is None else mH(U_bar), left, right))

    return front(A).if_else(m >= n, lambda: _tall_bar(xp, A, U, of_tall, U_bar, right, left), wide)


def _tall_bar(xp, A, U, basis, U_bar, right_bar, left_bar):
    """Ā from the bars of U, of (AᴴA)^½ and of (AAᴴ)^½, for m ≥ n. The latter is U (AᴴA)^½ Uᴴ."""
    P, C, outside = hermitian_part(mH(U) @ A), 0, 0
    if U_bar is not None:
        singular = _zeros(xp, P, xp.real(basis[0]))
        # before anything is made of it, so that derivatives of this rule are NaN, too
        U_bar = _no_derivative(xp, U_bar, singular, _SINGULAR)
        X = mH(U) @ U_bar
        C = X - mH(X)
        outside = _outside(xp, A, lambda: _over(xp, U_bar - U @ X, P, singular))
    if right_bar is not None:
        H = hermitian_part(right_bar)
        C, outside = C + P @ H - H @ P, outside + U @ H
    if left_bar is not None:
        HU = hermitian_part(left_bar) @ U
        Q = mH(U) @ HU
        C, outside = C + Q @ P - P @ Q, outside + 2 * HU - U @ Q
    return U @ _anticommutator_solve(P, C, basis)[0] + outside


def _outside(xp, A, term, singular=None):
    """``term()``, which has a factor I − UUᴴ: 0 of a square A, but not of those matrices that are `singular`, where G
    stands for U. (None: no matrix is. While a graph is built, nobody may know whether A is square.)"""
    m, n = A.shape[-2:]
    square = None if m is None or n is None else m == n
    if square and singular is None:
        return 0
    found = term()
    if square is False:
        return found
    zero = xp.zeros_like(found)
    of_square = zero if singular is None else xp.where(singular, found, zero)
    return of_square if square else xp.where(xp.equal(*xp.shape(A)[-2:]), of_square, found)


def _anticommutator_solve(P, C, basis):
    w, V = basis or eigh(P)
    return anticommutator_solve(P, C, namespace(P).cast(w, V), V)


def polar_forward(A_dot, A, U, basis):
    """U̇, and the tangents of (AᴴA)^½ and (AAᴴ)^½."""
    xp = namespace(A)
    m, n = xp.shape(A)[-2:]
    U, some = _unique(A, U, basis)
    of_tall, of_wide = _tall_and_wide(A, basis)

    def wide():
        U_dot, left_dot, right_dot = _tall_dots(xp, mH(A_dot), mH(A), mH(U), of_wide, some)
        return mH(U_dot), right_dot, left_dot

    return front(A).if_else(m >= n, lambda: _tall_dots(xp, A_dot, A, U, of_tall, some), wide)


def _tall_dots(xp, A_dot, A, U, basis, some):
    P, B = hermitian_part(mH(U) @ A), mH(U) @ A_dot
    Omega, singular = _anticommutator_solve(P, B - mH(B), basis)
    inside, outside = U @ Omega, _outside(xp, A, lambda: A_dot - U @ B, some)
    U_dot = inside + _outside(xp, A, lambda: _over(xp, outside, P, singular), some)
    U_dot = _no_derivative(xp, U_dot, singular)
    P_dot = hermitian_part(B - Omega @ P)
    half = (inside @ P + outside) @ mH(U)
    return U_dot, P_dot, half + mH(half) + U @ P_dot @ mH(U)


def _no_derivative(xp, dot, singular, message=None):
    """NaN instead of all numbers but zero, where A is singular; with the message as a warning."""
    lost = (singular > 0)[..., None, None] & xp.not_equal(dot, 0)
    if message is not None:
        front(dot).warn(lost, message)
    # NaN is added: as a factor it would come back in the derivative from where it is not.
    zero = xp.zeros_like(dot)
    return dot + xp.where(lost, zero + float("nan"), zero)


def _over(xp, E, P, singular):
    """E P⁻¹. Instead of a singular P, which need not be an error as E may be zero, stands P + I."""
    eye = xp.eye_like(P)
    return mH(xp.solve(P + xp.where((singular > 0)[..., None, None], eye, xp.zeros_like(eye)), mH(E), check=False))


@polar.vjp
def _(bars, outputs, A, *, side):
    (U_bar, P_bar), (U, _, *basis) = bars, outputs
    return (lambda: polar_reverse(A, U, U_bar, P_bar, side, basis),)


@polar.jvp
def _(outputs, A, *, side):
    U, _, *basis = outputs

    def dots(A_dot):
        U_dot, right_dot, left_dot = polar_forward(A_dot, A, U, basis)
        return U_dot, right_dot if side == "right" else left_dot

    return (dots,)


@polar.samples
def _(case):
    yield case(distinct(case, 4, 3))
    yield case(distinct(case, 3, 4), side="left")


@polar.reference
def _(mp, A, *, side):
    W, S, Vh = mp.svd(A)
    return W @ Vh, (mp.mH(Vh) * S) @ Vh if side == "right" else (W * S) @ mp.mH(W)
