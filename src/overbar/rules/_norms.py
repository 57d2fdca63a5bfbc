"""Norms of matrices and the condition number.

May import `overbar._namespace`, `overbar._primitive`, `rules.decompositions`, `rules.polar`, `rules.singular_vectors`
and `rules.svd`. Every function here keeps its gradient G as an intermediate: A gets the bar c̄ G, and what G itself
depends on A by is the second derivative, a map from matrices to matrices that is its own adjoint and hence both the
forward and the reverse rule of G.
"""

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive
from overbar.rules._decompositions import singular_triples
from overbar.rules._polar import isometry_along
from overbar.rules._singular_vectors import svd_reverse
from overbar.rules._svd import distinct, svd

_INFINITY, _NAN = float("inf"), float("nan")
_NORMS = {"fro": "fro", "nuc": "nuc"} | {p: p for p in (2, -2, 1, -1, _INFINITY, -_INFINITY)}


def _which(option, ord):
    """The norm that is meant: "fro", "nuc", or a number."""
    if isinstance(ord, (str, int, float)) and ord in _NORMS:
        return _NORMS[ord]
    raise ValueError(f'{option} must be "fro", "nuc", 2, -2, 1, -1, inf or -inf, but is {ord!r}.')


def _inner(xp, A, B):
    """⟨A, B⟩ = Re Σ conj(A) B of each matrix, as (..., 1, 1)."""
    return xp.cast(xp.sum(xp.real(xp.conj(A) * B), axis=(-2, -1), keepdims=True), A)


def _over(xp, A, c):
    """A / c, and 0 where c is 0."""
    zero = xp.equal(c, 0)
    one = xp.ones_like(c)
    return xp.where(zero, xp.zeros_like(A), A / xp.cast(xp.where(zero, one, c), A))


def _share(xp, A, values, extreme):
    """One for what is extreme among the values (..., k), or parts of it for several that are equal but for rounding."""
    equal = xp.abs(values - extreme) <= 8 * xp.rounding(A) * xp.abs(extreme)
    chosen = xp.where(equal, xp.ones_like(values), xp.zeros_like(values))
    count = xp.sum(chosen, axis=-1, keepdims=True)
    return chosen / xp.where(xp.equal(count, 0), count + 1, count)  # none is equal to NaN


# ---------------------------------------------------------------------------------------------------------------------
# The norms: value and gradient, and the derivative of the gradient along E


def _norm(xp, A, ord):
    if 0 in A.shape[-2:]:
        return xp.sum(xp.abs(A), axis=(-2, -1)), A
    if ord == "fro":
        square = xp.sum_of_squares(A)

        def plain():
            c = xp.sqrt(square)
            return c, A * xp.cast(1 / c, A)[..., None, None]

        def scaled():
            scale = xp.power_of_two(A)
            scaled = A / xp.cast(scale, A)
            length = xp.sqrt(xp.sum(xp.abs(scaled) ** 2, axis=(-2, -1), keepdims=True))
            return (scale * length)[..., 0, 0], _over(xp, scaled, length)

        # what has underflowed in such a sum is less than its rounding
        safe = xp.isfinite(square) & (square > xp.smallest_scale(square) / xp.eps(square) ** 2)
        return front(A).choose(safe, plain, scaled)
    if ord == "nuc":
        U, S, Vh = singular_triples(A)
        there = xp.where(xp.rounding(A) * S[..., :1] < S, xp.ones_like(S), xp.zeros_like(S))
        return xp.sum(S, axis=-1), (U * xp.cast(there, A)[..., None, :]) @ Vh
    if ord in (2, -2):
        U, S, Vh = singular_triples(A)
        c = S[..., :1] if ord == 2 else S[..., -1:]
        return c[..., 0], (U * xp.cast(_share(xp, A, S, c), A)[..., None, :]) @ Vh
    sums, c = _sums(xp, A, ord)
    return c[..., 0], _over(xp, A, xp.abs(A)) * _spread(xp, A, sums, c, ord)


def _sums(xp, A, ord):
    """The sums of moduli in columns or rows, and the largest or smallest of them."""
    sums = xp.sum(xp.abs(A), axis=-2 if ord in (1, -1) else -1)
    return sums, (xp.max if ord > 0 else xp.min)(sums, axis=-1, keepdims=True)


def _spread(xp, A, sums, c, ord):
    share = xp.cast(_share(xp, A, sums, c), A)
    return share[..., None, :] if ord in (1, -1) else share[..., :, None]


_KINK = (
    "matrix_norm: argument A is singular, to working precision. The nuclear norm has a second derivative along changes "
    "that keep the rank, but this one does not: NaN."
)


def _norm_second(xp, A, c, G, E, ord):
    if 0 in A.shape[-2:]:
        return E
    if ord == "fro":
        found = _over(xp, E - G * _inner(xp, G, E), c[..., None, None])
        return _nan_where_moved(xp, xp.equal(c, 0), found, E)
    if ord == "nuc":
        return isometry_along(A, G, E, message=_KINK)
    if ord in (2, -2):
        U, S, Vh = svd(A, full_matrices=False)
        share = _share(xp, A, S, c[..., None])
        return _if_simple(xp, _vectors_bar(A, U, S, Vh, xp.cast(share, A), E), E, share)
    if not xp.is_complex(A):
        return xp.zeros_like(E)
    size = xp.abs(A)
    phase = _over(xp, A, size)
    turned = E - phase * xp.cast(xp.real(xp.conj(phase) * E), A)
    return _over(xp, turned, size) * _spread(xp, A, *_sums(xp, A, ord), ord)


def _if_simple(xp, found, E, *shares):
    """What was found along E, and NaN where an extreme singular value occurs several times: there is no gradient then
    that could have a derivative."""
    several = sum(xp.cast(xp.max(share, axis=-1) < 1, share) for share in shares) > 0
    return _nan_where_moved(xp, several, found, E)


def _nan_where_moved(xp, lacking, found, E):
    """What was found along E, and NaN for the matrices that lack a derivative and move."""
    moved = xp.max(xp.max(xp.abs(E), axis=-1), axis=-1) > 0
    zero = xp.zeros_like(found)
    return found + xp.where((lacking & moved)[..., None, None], zero + float("nan"), zero)


def _vectors_bar(A, U, S, Vh, w, E, S_bar=None):
    """Ā from the bar E of U diag(w) Vᴴ."""
    return svd_reverse(((E @ mH(Vh)) * w[..., None, :], S_bar, w[..., :, None] * (mH(U) @ E)), (U, S, Vh), A)


def _rules_of_a_function_with_its_gradient(function, second):
    @function.vjp
    def _(bars, outputs, A, **options):
        (c_bar, G_bar), (c, G), xp = bars, outputs, namespace(A)

        def A_bar():
            bar = 0 if c_bar is None else xp.cast(c_bar, A)[..., None, None] * G
            return bar if G_bar is None else bar + second(xp, A, c, G, G_bar, **options)

        return (A_bar,)

    @function.jvp
    def _(outputs, A, **options):
        (c, G), xp = outputs, namespace(A)
        return (lambda A_dot: (xp.real(_inner(xp, G, A_dot))[..., 0, 0], second(xp, A, c, G, A_dot, **options)),)


@primitive("(m,n)->(),(m,n)", intermediates=1)
def matrix_norm(A, *, ord="fro"):
    """The norm ‖A‖ of a matrix: Frobenius, nuclear, spectral, or the largest sum of a column or row.

    Parameters
    ----------
    ord : str or number
        "fro" for the Frobenius norm (Σ |Aᵢⱼ|²)^½, "nuc" for the nuclear one, the sum of the singular values; 2 and −2
        for the largest and smallest singular value; 1 and −1 for the largest and smallest sum of moduli in a column,
        inf and −inf in a row.

    Returns
    -------
    array (...)
        Real; 0 where A has no entries.

    Raises
    ------
    LinAlgError of the array's library
        With singular values, as `svd`.
    ValueError
        There is no such `ord`.

    Notes
    -----
    All rules are ċ = ⟨G, Ȧ⟩ and Ā = c̄ G with the gradient G, an intermediate. Its derivative is the second one of the
    norm, which is symmetric: Ġ = H[Ȧ] and H[Ḡ] for Ā are the same map. With A = U S Vᴴ:

        "fro"       G = A / c                               H[E] = (E − G ⟨G, E⟩) / c
        "nuc"       G = U Vᴴ                                as for `polar`
        2, −2       G = u vᴴ, of that singular value        as for the vectors of `svd`
        1, inf      G = the signs (phases) of that column   H = 0; of complex entries, what turns their phases

    (Giles 2008, section 2.3, and Watson 1992, "Characterization of the subdifferential of some matrix norms".) The
    Frobenius norm is computed on A divided by a power of 2 where squares would over- or underflow. The rule of the
    nuclear norm divides by no differences of singular values and is right at equal ones, to any order; that of the
    others is where the singular value (sum) itself is a simple one.

    Where there is no derivative, G is a subgradient: for "fro" 0 at A = 0; for "nuc" U Vᴴ of the singular values that
    are not zero to rounding, 0 at A = 0; else the mean over those that are equal to rounding, (u₁v₁ᴴ + u₂v₂ᴴ)/2 for
    σ₁ = σ₂, so that the spectral norm of an n by n matrix has U Vᴴ/n at A = 0, which is not zero. The second
    derivative of the nuclear norm at a singular matrix is right along changes that keep the rank, and NaN along others.
    That of the Frobenius norm at A = 0 is NaN, and so is that of a singular value that occurs several times. (The
    square of the Frobenius norm has one at A = 0, which only ``sum(real(conj(A) * A))`` knows.)

    Cost: a pass over A; for singular values, one product beside the decomposition.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> c, pullback = overbar.vjp(overbar.matrix_norm, np.array([[3.0, 0.0], [0.0, 4.0]]))
    >>> float(c), pullback(1.0)[0]
    (5.0, array([[0.6, 0. ],
           [0. , 0.8]]))
    >>> float(overbar.matrix_norm(np.array([[3.0, 0.0], [0.0, 4.0]]), ord="nuc"))
    7.0
    """
    return _norm(namespace(A), A, _which("matrix_norm: ord", ord))


def two_dimensions(dim, rank):
    """The argument `dim` of the fronts' matrix_norm as two different numbers in range(rank)."""
    if (
        isinstance(dim, (tuple, list))
        and len(dim) == 2
        and all(isinstance(d, int) and -rank <= d < rank for d in dim)
        and (dim[0] - dim[1]) % rank
    ):
        return tuple(d % rank for d in dim)
    raise ValueError(
        f"matrix_norm: dim must be two different dimensions of the array, which has {rank}, but is {dim!r}."
    )


def _matrix_norm_second(xp, A, c, G, E, ord):
    return _norm_second(xp, A, c, G, E, _which("ord", ord))


_rules_of_a_function_with_its_gradient(matrix_norm, _matrix_norm_second)


@matrix_norm.samples
def _(case):
    yield case(distinct(case, 4, 3))
    yield case(distinct(case, 3, 3), ord="nuc")
    yield case(distinct(case, 3, 4), ord=2)


@matrix_norm.reference
def _(mp, A, *, ord):
    size = mp.abs(A)
    if ord == "fro":
        return mp.sqrt((size**2).sum())
    if ord in (1, -1, _INFINITY, -_INFINITY):
        return (max if ord > 0 else min)(size.sum(0 if ord in (1, -1) else 1))
    S = mp.svd(A)[1]
    return S.sum() if ord == "nuc" else max(S) if ord == 2 else min(S)


# ---------------------------------------------------------------------------------------------------------------------
# The condition number


def _ends(xp, A, S, p):
    """σ₁ and σₙ, with their shares of S, or the other way round for p = −2."""
    first, last = S[..., :1], S[..., -1:]
    ends = (first, _share(xp, A, S, first)), (last, _share(xp, A, S, last))
    return ends if p == 2 else ends[::-1]


@primitive("(m,n)->(),(m,n)", intermediates=1)
def cond(A, *, p=None):
    """The condition number of a matrix with respect to solving, ‖A‖ ‖A⁻¹‖.

    Parameters
    ----------
    A
        Square, but for p = 2 and −2.
    p : str, number or None
        The norm, as `matrix_norm` has them. None is 2, for σ₁/σₙ, the largest singular value over the smallest; −2
        is for σₙ/σ₁.

    Returns
    -------
    array (...)
        Real; infinity for a singular matrix, 0 for p = −2, and 0 where A has no entries.

    Raises
    ------
    LinAlgError of the array's library
        A is not square where an inverse is taken; with singular values, as `svd`.
    ValueError
        There is no such `p`.

    Notes
    -----
    For c = σ₁/σₙ, with the derivative of singular values from `svd`, the gradient is

        G = u₁v₁ᴴ / σₙ − (c / σₙ) uₙvₙᴴ,

    where a singular value that occurs several times has the mean of its u vᴴ (there is no derivative then, and the
    second one is NaN). In other
    norms, with B = A⁻¹ and the gradients G₁ of c₁ = ‖A‖ at A and G₂ of c₂ = ‖B‖ at B, Ḃ = −B Ȧ B gives

        G = c₂ G₁ − c₁ Bᴴ G₂ Bᴴ.

    G is an intermediate, whose derivative along E is a symmetric map and hence both of its rules; it is what the
    product rule makes of G, with the derivatives of `matrix_norm`. At a singular matrix there is no derivative, and G
    is NaN. (A matrix counts as singular where a pivot or a singular value is zero. Where rounding makes it a number of
    about ε instead, the condition number is about 1/ε.)

    Cost: one decomposition, and a few products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> float(overbar.cond(np.diag([4.0, 2.0])))
    2.0
    """
    xp, p = namespace(A), _which("cond: p", 2 if p is None else p)
    if 0 in A.shape[-2:]:
        return xp.sum(xp.abs(A), axis=(-2, -1)), A
    if p in (2, -2):
        U, S, Vh = singular_triples(A)
        (top, a), (bottom, b) = _ends(xp, A, S, p)
        zero = xp.equal(bottom, 0)  # the quotient is infinite, or of a zero matrix and p = -2 the limit of zeros
        over = xp.where(zero, xp.ones_like(bottom), bottom)
        c = top / over
        w = xp.where(zero, xp.zeros_like(S) + _NAN, (a - c * b) / over)
        c = xp.where(zero, xp.zeros_like(c) + (_INFINITY if p == 2 else 0.0), c)
        return c[..., 0], (U * xp.cast(w, A)[..., None, :]) @ Vh
    m, n = A.shape[-2:]
    if m != n:
        raise front(A).ShapeError(
            f"cond: argument A of shape {tuple(A.shape)} is not square: only p=2 and p=-2 know its condition number."
        )
    singular, scale, scaled = _regular(xp, A)
    B = xp.inv(scaled)
    (c1, G1), (c2, G2) = _norm(xp, scaled, p), _norm(xp, B, p)
    G = _column(xp, c2, A) * G1 - _column(xp, c1, A) * (mH(B) @ G2 @ mH(B))
    return xp.where(singular, xp.zeros_like(c1) + _INFINITY, c1 * c2), _nan_where(xp, singular, G) / scale


def _regular(xp, A):
    """Which matrices are singular, with a pivot of zero; a power of 2 next to the size of each; and A over that, with
    the identity instead of singular ones. (Of A⁻¹ and its square products are made, which for A itself may leave
    the range of numbers.)"""
    singular, scale = xp.equal(xp.slogdet(A)[1], -_INFINITY), xp.cast(xp.power_of_two(A), A)
    return singular, scale, xp.where(singular[..., None, None], xp.eye_like(A) + xp.zeros_like(A), A / scale)


def _nan_where(xp, singular, G):
    return xp.where(singular[..., None, None], xp.zeros_like(G) + _NAN, G)


def _column(xp, c, A):
    return xp.cast(c, A)[..., None, None]


def _cond_second(xp, A, c, G, E, p):
    p = _which("cond: p", 2 if p is None else p)
    if 0 in A.shape[-2:]:
        return E
    if p in (2, -2):
        U, S, Vh = svd(A, full_matrices=False)
        (top, a), (bottom, b) = _ends(xp, A, S, p)
        zero = xp.equal(bottom, 0)
        bottom = xp.where(zero, xp.zeros_like(bottom) + _NAN, bottom)
        c = top / bottom
        # G = U diag(w) Vᴴ with w = (a − c b)/σₙ, c = σ₁/σₙ
        w_bar = xp.sum(xp.real(xp.conj(U) * (E @ mH(Vh))), axis=-2)
        wa, wb = xp.sum(w_bar * a, axis=-1, keepdims=True), xp.sum(w_bar * b, axis=-1, keepdims=True)
        S_bar = (b * (2 * c * wb - wa) - a * wb) / bottom / bottom
        found = _vectors_bar(A, U, S, Vh, xp.cast((a - c * b) / bottom, A), E, S_bar)
        return _if_simple(xp, found, E, a, b)
    singular, scale, A = _regular(xp, A)
    B = xp.solve(A, xp.eye_like(A) + xp.zeros_like(A), check=False)
    B_dot, Bh = -B @ E @ B, mH(B)
    (c1, G1), (c2, G2) = (front(A).call(matrix_norm, (M,), {"ord": p}) for M in (A, B))
    G1_dot, G2_dot = _norm_second(xp, A, c1, G1, E, p), _norm_second(xp, B, c2, G2, B_dot, p)
    product = Bh @ G2 @ Bh
    product_dot = mH(B_dot) @ G2 @ Bh + Bh @ G2_dot @ Bh + Bh @ G2 @ mH(B_dot)
    G_dot = (
        _inner(xp, G2, B_dot) * G1
        + _column(xp, c2, A) * G1_dot
        - _inner(xp, G1, E) * product
        - _column(xp, c1, A) * product_dot
    )
    return _nan_where(xp, singular, G_dot) / scale / scale


_rules_of_a_function_with_its_gradient(cond, _cond_second)


@cond.samples
def _(case):
    yield case(distinct(case, 3, 4))
    yield case(distinct(case, 3, 3), p="fro")


@cond.reference
def _(mp, A, *, p):
    if p is None:
        S = mp.svd(A)[1]
        return max(S) / min(S)
    return matrix_norm.exact(mp, A, ord=p) * matrix_norm.exact(mp, mp.inverse(A), ord=p)
