"""The pseudoinverse and least squares, at any constant rank, by Golub and Pereyra (1973), "The differentiation of
pseudo-inverses and nonlinear least squares problems whose variables separate".

May import NumPy, `overbar._namespace`, `overbar._primitive`, `rules.decompositions`, `rules.singular_vectors`
and `rules.svd`.
"""

import numpy as np

from overbar._namespace import front, mH, mT, namespace
from overbar._primitive import once, primitive
from overbar.rules._decompositions import eigenpairs, singular_triples
from overbar.rules._singular_vectors import reciprocal
from overbar.rules._svd import decomposed, decomposed_bar, decomposed_dots, distinct


@primitive("(m,n),(n,m),(m,k)->(m,k),(n,k)")
def outside_and_inside(A, X, B):
    """N B = B − A X B, which is what of B is orthogonal to the range of A, and X B, where X = A⁺.

    In N = I − A X, X is a factor that belongs to A and gets no bar: N² = N and N A = 0 have the derivative

        Ṅ = −N Ȧ X − (N Ȧ X)ᴴ,

    as long as the rank stays. Ẋ, as 1/σ² for the smallest singular value σ, does not appear in it. By the product rule,
    −Ȧ X − A Ẋ, its rounding would, and second derivatives of X, where N stands beside 1/σ² once more, would lose ε/σ²
    instead of ε/σ. With E = N B and Y = X B:

        Ė = N (Ḃ − Ȧ Y) − Xᴴ Ȧᴴ E,    Ẏ = Ẋ B + X Ḃ,
        Ā = −(N Ē) Yᴴ − E (X Ē)ᴴ,    B̄ = N Ē + Xᴴ Ȳ,    X̄ = Ȳ Bᴴ.
    """
    Y = X @ B
    return B - A @ Y, Y


@outside_and_inside.vjp
def _(bars, outputs, A, X, B):
    (E_bar, Y_bar), (E, Y), xp = bars, outputs, namespace(A)

    @once
    def of_E():
        return outside_and_inside(A, X, E_bar)

    def A_bar():
        if E_bar is None:
            return xp.zeros_like(A)
        outside, inside = of_E()
        return -outside @ mH(Y) - E @ mH(inside)

    def B_bar():
        if Y_bar is None:
            return of_E()[0]
        return mH(X) @ Y_bar if E_bar is None else of_E()[0] + mH(X) @ Y_bar

    return A_bar, lambda: xp.zeros_like(X) if Y_bar is None else Y_bar @ mH(B), B_bar


@outside_and_inside.jvp
def _(outputs, A, X, B):
    E, Y = outputs

    def dots(A_dot, X_dot, B_dot):
        outside, _ = outside_and_inside(A, X, B_dot - A_dot @ Y)
        return outside - mH(X) @ (mH(A_dot) @ E), X_dot @ B + X @ B_dot

    return dots


def _unless_full(term, rank, size):
    """A term with a factor I − A X, where `size` is the number of rows of A, or I − X A, where it is that of columns:
    nothing but rounding, and left out, where that is the rank. It would be multiplied by 1/σ² and differentiated."""
    xp = namespace(term)
    full = xp.equal(xp.astype(rank, xp.int32), size)[..., None, None]
    return xp.where(full, xp.zeros_like(term), term)


# No product in these two, nor in their own derivatives, is beyond the range of numbers where the result is not. X Xᴴ is
# as 1/A², which is as large as the bar is where X̄ is 1, but X̄ may be as small as A is, and what is multiplied by it may
# be zero. So X/c stands for X, with a power of 2 for c, and A c for A, and the two factors c of the result are given to
# two of its factors. And for tall matrices no product has m by m entries; for wide ones the rules are those of Aᴴ.


def _scale(X):
    """A power of 2 next to the largest entry of X, a constant."""
    return namespace(X).cast(namespace(X).power_of_two(X), X)


def _in_scale(c, A, X, B):
    """`outside_and_inside`, where A and X are not near to one: c is the scale of X."""
    outside, inside = outside_and_inside(A * c, X / c, B)
    return outside, inside * c


def _pinv_reverse(X_bar, X, A, rank):
    """Ā = −Xᴴ X̄ Xᴴ + (I − A X) X̄ᴴ X Xᴴ + Xᴴ X X̄ᴴ (I − X A), with K = X X̄ᴴ."""
    if _is_wide(A):
        return mH(_pinv_reverse(mH(X_bar), mH(X), mH(A), rank))
    m, n = namespace(A).shape(A)[-2:]
    c = _scale(X)
    E, K = _in_scale(c, A, X, mH(X_bar))
    F, _ = _in_scale(c, mH(A), mH(X), mH(K))
    E, Y = E if _is_tall(A) else _unless_full(E, rank, m), X / c
    return (E * c) @ (Y @ mH(Y)) * c + mH(X) @ mH(_unless_full(F, rank, n) - K)


def _pinv_forward(A_dot, X, A, rank):
    """Ȧ⁺ = −X Ȧ X + X Xᴴ Ȧᴴ (I − A X) + (I − X A) Ȧᴴ Xᴴ X."""
    if _is_wide(A):
        return mH(_pinv_forward(mH(A_dot), mH(X), mH(A), rank))
    m, n = namespace(A).shape(A)[-2:]
    c = _scale(X)
    E, Y = _in_scale(c, A, X, A_dot)
    F, _ = _in_scale(c, mH(A), mH(X), mH(A_dot) @ mH(X))
    E, Z = E if _is_tall(A) else _unless_full(E, rank, m), X / c
    return (Z @ mH(Z)) @ mH(E * c) * c + (_unless_full(F, rank, n) - Y) @ X


def _is_tall(A):
    m, n = A.shape[-2:]
    return m is not None and n is not None and m > n


def _is_wide(A):
    m, n = A.shape[-2:]
    return m is not None and n is not None and m < n


def _cutoff(xp, A, largest, atol, rtol):
    """Up to which size singular values count as zero, as torch.linalg.pinv has it; `largest` is σ₁, (..., 1)."""
    atol = _for_each(xp, 0.0 if atol is None else atol, largest)
    if rtol is None:
        rtol = xp.where(atol > 0, xp.zeros_like(largest), _for_each(xp, xp.rounding(A), largest))
    else:
        rtol = _for_each(xp, rtol, largest)
    return xp.maximum(rtol * largest, atol)


def _refuse_nan(function, **tolerances):
    """No number is larger than NaN, nor smaller: as a tolerance it says nothing."""
    for name, x in tolerances.items():
        is_array = hasattr(x, "shape") and not isinstance(x, np.generic)
        if x is None or (is_array and not (front(x).sees_numbers(x) and front(x).on_the_host(x))):
            continue
        if bool(front(x).xp.any(x != x)) if is_array else x != x:
            raise ValueError(f"{function}: the option {name} is {x!r}. NaN is no tolerance.")


def _rcond(xp, A, rcond):
    """The option of `lstsq` without negative numbers, or None: for these LAPACK takes the unit roundoff, ε/2, and so do
    NumPy and SciPy. In an array, which has one for each matrix or which nobody may look at, they are replaced."""
    _refuse_nan("lstsq", rcond=rcond)
    if rcond is None:
        return None
    if not hasattr(rcond, "shape") or (isinstance(rcond, (np.generic, np.ndarray)) and rcond.shape == ()):
        return xp.eps(A) / 2 if rcond < 0 else rcond
    rcond = xp.cast(rcond, xp.real(A[..., :0, :0]))
    return xp.where(rcond < 0, xp.full_like(rcond, xp.eps(A) / 2), rcond)


def _for_each(xp, tolerance, largest):
    """A tolerance, one number or one for each matrix (...), as (..., 1)."""
    if getattr(tolerance, "shape", ()) != ():
        tolerance = xp.cast(tolerance, largest)[..., None]
    return xp.zeros_like(largest) + tolerance


def _inverse_by_svd(xp, A, factors, atol, rtol):
    """A⁺ from U, S, Vᴴ, and which singular values count as zero."""
    U, S, Vh = factors
    zero = _cutoff(xp, A, S[..., :1], atol, rtol) >= S
    return (mH(Vh) * xp.cast(reciprocal(xp, S, zero), A)[..., None, :]) @ mH(U), zero


@primitive("(m,n)->(n,m),()", residuals=1, steps=("atol", "rtol"))
def pinv(A, *, atol=None, rtol=None, hermitian=False):
    """The Moore–Penrose pseudoinverse A⁺ of any matrix.

    Parameters
    ----------
    atol, rtol : float, array (...) or None
        Singular values up to max(atol, rtol σ₁) count as zero, where σ₁ is the largest; an array has one tolerance for
        each matrix. By default atol is 0, and rtol max(m, n) ε, or 0 where an atol other than 0 is given.
    hermitian : bool
        A is Hermitian (symmetric). Its Hermitian part is taken, and an eigendecomposition computed, which is
        faster.

    Returns
    -------
    array (..., n, m)

    Raises
    ------
    LinAlgError of the array's library
        A is not square though `hermitian` says so, or not finite, or the iteration does not converge.
    ValueError
        A tolerance is NaN.

    Notes
    -----
    Golub and Pereyra (1973), for changes that do not change the rank, with X = A⁺. Differentiate A X A = A and use that
    A X and X A are Hermitian projections:

        Ẋ = −X Ȧ X + X Xᴴ Ȧᴴ (I − A X) + (I − X A) Ȧᴴ Xᴴ X,

    of which the second term is zero where the rank is m, and the third where it is n. Reverse:

        Ā = −Xᴴ X̄ Xᴴ + (I − A X) X̄ᴴ X Xᴴ + Xᴴ X X̄ᴴ (I − X A).

    Both are products of A and X, and so are the derivatives of any order. A term that is zero by the rank is left out:
    it would be rounding, times the square of the inverse of the smallest singular value. The rank is a residual, which
    these rules read. A change that raises the rank makes A⁺ jump: there the rule gives the derivative along those
    changes that do not.

    Cost: seven products, which take about as long as the function.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.pinv(np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 2.0]])) + 0.0
    array([[1. , 0. , 0. ],
           [0. , 0. , 0.5]])
    """
    xp = namespace(A)
    _refuse_nan("pinv", atol=atol, rtol=rtol)
    if not hermitian:
        return _inverse_and_rank(xp, A, singular_triples(A), atol, rtol)
    m, n = A.shape[-2:]
    if m != n:
        raise front(A).ShapeError(
            f"pinv: argument A of shape {tuple(A.shape)} is not square: leave out hermitian=True."
        )
    w, V = eigenpairs((A + mH(A)) / 2)
    size = xp.abs(w)
    zero = _cutoff(xp, A, xp.maximum(size[..., :1], size[..., -1:]), atol, rtol) >= size
    return (V * xp.cast(reciprocal(xp, w, zero), A)[..., None, :]) @ mH(V), _rank(xp, size, zero)


@pinv.vjp
def _(X_bar, outputs, A, *, atol, rtol, hermitian):
    X, rank = outputs
    if not hermitian:
        return (lambda: _pinv_reverse(X_bar, X, A, rank),)

    def A_bar():
        bar = _pinv_reverse(X_bar, X, (A + mH(A)) / 2, rank)
        return (bar + mH(bar)) / 2

    return (A_bar,)


@pinv.jvp
def _(outputs, A, *, atol, rtol, hermitian):
    X, rank = outputs
    if not hermitian:
        return (lambda A_dot: _pinv_forward(A_dot, X, A, rank),)
    return (lambda A_dot: _pinv_forward((A_dot + mH(A_dot)) / 2, X, (A + mH(A)) / 2, rank),)


@pinv.samples
def _(case):
    yield case(distinct(case, 4, 3))
    A = case.positive_definite(3)
    # the second derivative grows with the third power of the inverse
    yield case(A + 2 * np.eye(A.shape[-1], dtype=A.dtype), hermitian=True)


@pinv.reference
def _(mp, A, *, atol, rtol, hermitian):
    if hermitian:
        A = (A + mp.mH(A)) / 2
    m, n = A.shape
    if m >= n:
        return mp.solve(mp.mH(A) @ A, mp.mH(A))
    return mp.mH(mp.solve(A @ mp.mH(A), A))


@primitive("(m,n),(m,k?)->(n,k?),(k?),(),(p),(q,p),(p,n),(q,n),(t),(n,r)", intermediates=5, steps=("rcond",))
def lstsq(A, B, *, rcond=None, l2_regularizer=0.0, singular_values=True):
    """The solution X of least norm of the least squares problem min ‖A X − B‖, of any rank.

    Parameters
    ----------
    rcond : float, array (...) or None
        Singular values up to rcond σ₁ count as zero, where σ₁ is the largest; an array has one number for each matrix.
        By default it is max(m, n) ε. A negative number stands for ε/2, as in NumPy.
    l2_regularizer : float
        Minimise ‖A X − B‖² + l2_regularizer ‖X‖² instead.
    singular_values : bool
        False: leave them out, their array is empty. Then they are computed only where a matrix of the batch is nearly
        singular, which takes several times as long as the rest.

    Returns
    -------
    solution : array (..., n, k) or (n,)
    residuals : array (..., k) or ()
        ‖A X − B‖², column by column. (PyTorch leaves it empty where m ≤ n or the rank is less than n.)
    rank : array of integers (...)
        How many singular values do not count as zero.
    singular_values : array (..., p)
        Those of A, p = min(m, n), in descending order. With l2_regularizer, they and the rank are those of A on top of
        √l2_regularizer I, and so the residuals.

    Raises
    ------
    LinAlgError of the array's library
        A is not finite, or the iteration does not converge.
    ValueError
        l2_regularizer is negative, or rcond is NaN.

    Notes
    -----
    X = A⁺ B, with the derivative of A⁺ from `pinv` (Golub and Pereyra 1973, for changes that keep the rank). With the
    residual R = B − A X:

        Ẋ = A⁺ (Ḃ − Ȧ X) + A⁺ A⁺ᴴ Ȧᴴ R + (I − A⁺A) Ȧᴴ A⁺ᴴ X.

    Reverse, with B̄ = A⁺ᴴ X̄:

        Ā = −B̄ Xᴴ + R (A⁺ B̄)ᴴ + (A⁺ᴴ X) X̄ᴴ (I − A⁺A).

    The residuals r = ‖R‖² move by 2 Re⟨R, Ḃ − Ȧ X⟩, as R is orthogonal to the range of A: B̄ gets 2 R r̄ and Ā
    −2 R r̄ Xᴴ. The singular values have the rules of `svdvals`, for which U and V are intermediates, and the rank is a
    constant. Regularised least squares is the same for A on top of √l2_regularizer I, and B on top of zeros. A⁺ is an
    intermediate, with the rules of `pinv`, which makes second derivatives right at any constant rank; as there, what is
    zero by the rank is left out. (Where one A stands for a batch, there is no copy for each of the batch: the rules
    compute it again.)

    Without singular values, A⁺ of a tall A is P = (Aᴴ A)⁻¹ Aᴴ, corrected once by P ← 2 P − (P A) P. If it came from
    rounding to A⁺ + E, the next error is −E A E: of P, whose relative error is κ² ε, a step of Newton's method squares
    that (Schulz 1933). It is taken where ‖A‖ ‖P‖ < ε^(−1/3), so that what is left is not larger than κ ε. A wide A is
    the adjoint of a tall one.

    Cost: products with k columns, and two of them with m or n columns instead.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> X, residuals, rank, S = overbar.lstsq(np.ones((3, 2)), np.array([1.0, 2.0, 3.0]))
    >>> X.round(12), round(float(residuals), 12), int(rank)
    (array([1., 1.]), 2.0, 1)
    """
    xp = namespace(A)
    rcond = _rcond(xp, A, rcond)
    A, B = _regularised(xp, A, B, l2_regularizer)
    if singular_values:
        U, S, Vh, *others = decomposed(A, full_matrices=False)
        inverse, rank = _inverse_and_rank(xp, A, (U, S, Vh), None, rcond)
    else:
        inverse, rank = _without_svd(xp, A, rcond)
        U, Vh, S = inverse[..., :0, :0], mT(inverse[..., :0]), xp.real(xp.sum(inverse[..., :0], axis=-2))
        others = Vh, S
    X = inverse @ B
    residuals = xp.sum(xp.abs(B - A @ X) ** 2, axis=-2)
    batch = xp.shape(X)[:-2]
    if not _is_for_each(xp, inverse, X):
        inverse = xp.broadcast_to(inverse[..., :0], (*batch, xp.shape(X)[-2], 0))
    hidden = zip((S, U, Vh, *others, inverse), (1, 2, 2, 2, 1, 2), strict=True)
    hidden = (xp.broadcast_to(C, (*batch, *xp.shape(C)[-core:])) for C, core in hidden)
    return X, residuals, xp.broadcast_to(rank, batch), *hidden


def _inverse_and_rank(xp, A, factors, atol, rtol):
    inverse, zero = _inverse_by_svd(xp, A, factors, atol, rtol)
    return inverse, _rank(xp, factors[1], zero)


def _rank(xp, sizes, zero):
    return xp.sum(xp.astype(sizes > 0, xp.int64) * xp.astype(~zero, xp.int64), axis=-1)


def _without_svd(xp, A, rcond):
    """A⁺ and the rank, by a singular value decomposition only where a matrix may be nearly singular."""

    def by_svd():
        return _inverse_and_rank(xp, A, singular_triples(A), None, rcond)

    m, n = A.shape[-2:]
    if rcond is not None or not m or not n:
        return by_svd()
    c = xp.cast(xp.power_of_two(A), A)
    inverse = _full_rank_inverse(xp, A / c) / c
    size = xp.sum_of_squares(A / c, inverse * c)
    full = xp.astype(xp.zeros_like(size) + min(m, n), xp.int64)
    return front(A).choose(size < xp.eps(A) ** (-2 / 3), lambda: (inverse, full), by_svd)


def _full_rank_inverse(xp, A):
    if _is_wide(A):
        return mH(_full_rank_inverse(xp, mH(A)))
    P = xp.cho_solve(xp.cholesky(mH(A) @ A, on_error="nan"), mH(A))
    return 2 * P - (P @ A) @ P


def _is_for_each(xp, inverse, X):
    """Whether it is known that there is an inverse for each solution."""
    one, other = xp.static_shape(inverse), xp.static_shape(X)
    return one is not None and other is not None and None not in one[:-2] and one[:-2] == other[:-2]


def _regularised(xp, A, B, weight):
    """A on top of √weight I, and B on top of zeros."""
    if not weight:
        return A, B
    if weight < 0:
        raise ValueError(f"lstsq: l2_regularizer is {weight}. It must not be negative.")
    zeros = xp.zeros_like(mH(A) @ A)
    eye = zeros + weight**0.5 * xp.eye_like(zeros)
    return xp.concat([A, eye], axis=-2), xp.concat([B, _zero_rows(xp, B, A)], axis=-2)


def _zero_rows(xp, B, A):
    """As many rows of zeros, as long as those of B, as A has columns."""
    *batch, _, k = xp.shape(B)
    return xp.broadcast_to(xp.zeros_like(xp.sum(B, axis=-2, keepdims=True)), (*batch, xp.shape(A)[-1], k))


def _of_svd(outputs):
    """U, S, Vᴴ and the two other intermediates, as `svd` has them, or the bars of these."""
    S, U, *others, _ = outputs[3:]
    return U, S, *others


@lstsq.vjp
def _(bars, outputs, A, B, *, rcond, l2_regularizer, singular_values):
    (X_bar, r_bar, _, *of_svd, P_bar), (X, _, rank, *_, P), xp = bars, outputs, namespace(A)
    m = xp.shape(A)[-2]
    A, B = _regularised(xp, A, B, l2_regularizer)
    rows, n = xp.shape(A)[-2:]

    @once
    def inverse():
        return pinv(A, rtol=_rcond(xp, A, rcond)) if P.shape[-1] == 0 else P

    @once
    def scale():
        return _scale(inverse())

    @once
    def R():
        return _unless_full(B - A @ X, rank, rows)

    @once
    def of_X():
        return _in_scale(scale(), mH(A), mH(inverse()), X_bar)

    def from_X():
        return of_X()[1]

    @once
    def from_r():
        return R() * xp.cast(2 * r_bar[..., None, :], R())

    def A_bar():
        bar = 0
        if X_bar is not None:
            outside, c = _unless_full(of_X()[0], rank, n), scale()
            # R may be as small as A⁺ B̄ is large, and X̄ as A⁺ᴴ X
            bar = (R() * c) @ mH((inverse() / c) @ from_X())
            bar = bar - from_X() @ mH(X) + (mH(inverse() / c) @ X) @ mH(outside * c)
        if r_bar is not None:
            bar = bar - from_r() @ mH(X)
        if singular_values and any(of_factor is not None for of_factor in of_svd):
            bar = bar + decomposed_bar("lstsq", _of_svd(bars), _of_svd(outputs), A, full_matrices=False)
        if P_bar is not None and P.shape[-1] != 0:
            bar = bar + _pinv_reverse(P_bar, P, A, rank)
        bar = xp.zeros_like(A) if isinstance(bar, int) else bar
        return bar[..., :m, :] if l2_regularizer else bar

    def B_bar():
        bar = xp.zeros_like(B)
        if X_bar is not None:
            bar = bar + from_X()
        if r_bar is not None:
            bar = bar + from_r()
        return bar[..., :m, :] if l2_regularizer else bar

    return A_bar, B_bar


@lstsq.jvp
def _(outputs, A, B, *, rcond, l2_regularizer, singular_values):
    (X, _, rank, *_, P), xp = outputs, namespace(A)
    A, B = _regularised(xp, A, B, l2_regularizer)
    rows, n = xp.shape(A)[-2:]

    def dots(A_dot, B_dot):
        if l2_regularizer:
            A_dot, B_dot = (xp.concat([dot, _zero_rows(xp, dot, A)], axis=-2) for dot in (A_dot, B_dot))
        inverse = pinv(A, rtol=_rcond(xp, A, rcond)) if P.shape[-1] == 0 else P
        R, change = _unless_full(B - A @ X, rank, rows), B_dot - A_dot @ X
        c = _scale(inverse)
        outside, _ = outside_and_inside(mH(A) * c, mH(inverse) / c, mH(A_dot) @ (mH(inverse / c) @ X) * c)
        X_dot = inverse @ (change + mH(inverse / c) @ (mH(A_dot) @ (R * c))) + _unless_full(outside, rank, n)
        r_dot = 2 * xp.sum(xp.real(xp.conj(R) * change), axis=-2)
        P_dot = None if P.shape[-1] == 0 else _pinv_forward(A_dot, P, A, rank)
        if not singular_values:
            return X_dot, r_dot, *[None] * 6, P_dot
        U_dot, S_dot, Vh_dot, *none = decomposed_dots(A_dot, _of_svd(outputs), A, vectors=False)
        return X_dot, r_dot, None, S_dot, U_dot, Vh_dot, *none, P_dot

    return dots


@lstsq.samples
def _(case):
    yield case(distinct(case, 4, 3), case.normal(4, 2))
    yield case(distinct(case, 2, 3), case.normal(2, 2), l2_regularizer=0.5)
    yield case(distinct(case, 4, 3), case.normal(4, 2), singular_values=False)


@lstsq.reference
def _(mp, A, B, *, rcond, l2_regularizer, singular_values):
    n = A.shape[1]
    if l2_regularizer:
        weight = mp.sqrt(mp.array(np.float64(l2_regularizer)))
        A, B = np.concatenate([A, weight * mp.eye(n)]), np.concatenate([B, mp.zeros((n, B.shape[1]))])
    X = mp.solve(mp.mH(A) @ A, mp.mH(A) @ B)
    S = mp.svd(A)[1]
    return X, (mp.abs(B - A @ X) ** 2).sum(0), len(S), S if singular_values else S[:0]
