"""Inverses and systems of equations: A⁻¹, A⁻¹B, and what Gaussian processes want of A⁻¹.

May import `overbar._namespace`, `overbar._primitive`, `rules.cholesky`, `rules.equal_values`,
`rules.factorised`, `rules.failing`, `rules.positive_definite` and `rules.triangular`.
"""

from overbar._namespace import mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._cholesky import factor_to_keep
from overbar.rules._equal_values import hermitian_part
from overbar.rules._factorised import bar_of_matrix, moved, solve_with_factors
from overbar.rules._failing import what_on_error
from overbar.rules._positive_definite import inverse_of_factor, inverse_with_factor, solve_with_factor, summed_product
from overbar.rules._triangular import check_sides


@primitive("(n,n)->(n,n)")
def inv(A, *, on_error="raise"):
    """The inverse C = A⁻¹ of a square matrix.

    Parameters
    ----------
    on_error : str
        "raise", or "nan": then a singular matrix has an inverse and a bar of NaN, and the others of the batch are as if
        it were not there.

    Returns
    -------
    array (..., n, n)

    Raises
    ------
    LinAlgError of the array's library
        A is singular (the message names the matrix of the batch). Under XLA, which cannot raise, a singular A gives
        infinities or NaN. An A that is singular but for rounding has an inverse as large as 1/ε, and a NaN in A goes
        through to C.

    Notes
    -----
    Giles (2008), section 2.2.3. Differentiate A C = I and multiply by C:

        Ȧ C + A Ċ = 0    ⇒    Ċ = −C Ȧ C.

    Reverse: ⟨C̄, −C Ȧ C⟩ = ⟨−Cᴴ C̄ Cᴴ, Ȧ⟩, hence

        Ā = −Cᴴ C̄ Cᴴ.

    Cost: two products, 4n³ flops, where the function takes 2n³. To multiply by an inverse, `solve` is cheaper and more
    accurate. In NumPy the inverse of an ill-conditioned A, and what `solve` finds, is corrected once with a residual in
    twice the precision: at condition 1e12 ten digits are right, not six. So are the rules that invert or solve.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.inv, np.array([[2.0, 0.0], [0.0, 4.0]]))
    >>> C, pullback(np.ones((2, 2)))[0]
    (array([[0.5 , 0.  ],
           [0.  , 0.25]]), array([[-0.25  , -0.125 ],
           [-0.125 , -0.0625]]))
    """
    xp = namespace(A)
    if what_on_error("inv", on_error) == "raise":
        return xp.inv(A, warn=True)
    A, nan = xp.without_singular(A)
    return xp.inv(A, warn=True) * nan


@inv.vjp
def _(C_bar, C, A, *, on_error):
    return (lambda: -(mH(C) @ C_bar @ mH(C)),)


@inv.jvp
def _(C, A, *, on_error):
    return (lambda A_dot: -(C @ A_dot @ C),)


@inv.samples
def _(case):
    yield case(case.square(4))


@inv.reference
def _(mp, A, *, on_error):
    return mp.inverse(A)


@primitive("(n,n),(p,q?)->(p,q?),(n,r),(s)", residuals=2)
def solve(A, B, *, left=True, adjoint=False, on_error="raise"):
    """The solution X of a system of equations, op(A) X = B or X op(A) = B.

    Parameters
    ----------
    B : array (..., n, k) or (n,); with ``left=False`` (..., k, n)
        One A for many B is factorised once.
    left : bool
        op(A) X = B; otherwise X op(A) = B.
    adjoint : bool
        op(A) = Aᴴ in place of A.
    on_error : str
        "raise", or "nan": then the solution with a singular matrix is NaN, and so are the bars of this matrix and its
        right-hand side, and the others of the batch are as if it were not there.

    Returns
    -------
    array of the shape of B

    Raises
    ------
    LinAlgError of the array's library
        A is singular (the message names the matrix of the batch). Under XLA, which cannot raise, a singular A gives
        infinities or NaN. A NaN in A or B goes through to X.

    Notes
    -----
    Giles (2008), section 2.2.3, matrix inverse product. From op(A) Ẋ + op(Ȧ) X = Ḃ:

        Ẋ = op(A)⁻¹ (Ḃ − op(Ȧ) X).

    With ⟨X̄, Ẋ⟩ = ⟨op(A)⁻ᴴ X̄, Ḃ − op(Ȧ) X⟩ the reverse rule is

        B̄ = op(A)⁻ᴴ X̄,    Ā = −B̄ Xᴴ    (its adjoint, −X B̄ᴴ, where op(A) = Aᴴ).

    For X op(A) = B the factors change sides: B̄ = X̄ op(A)⁻ᴴ and Ā = −Xᴴ B̄, its adjoint −B̄ᴴ X. The factors of A are
    kept for derivatives of every order. Cost: 2n³/3 + 2n²k flops for k right-hand sides; 2n²k for B̄, as many for Ā. It
    is factorised again where the library solves quicker without keeping them: in NumPy by threads and for many small
    matrices; in TensorFlow for small matrices, and where no tape watches when the function is called.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> X, pullback = overbar.vjp(overbar.solve, np.array([[2.0, 1.0], [0.0, 4.0]]), np.array([4.0, 8.0]))
    >>> X, pullback(np.array([1.0, 0.0]))
    (array([1., 2.]), (array([[-0.5  , -1.   ],
           [ 0.125,  0.25 ]]), array([ 0.5  , -0.125])))
    """
    xp = namespace(A)
    check_sides("solve", A, B, left)
    nan = None
    if what_on_error("solve", on_error) == "nan":
        A, nan = xp.without_singular(A)
    X, factors, pivots = xp.solve_by_factors(A, B, left, adjoint)
    return X if nan is None else X * nan, factors, pivots


def _again(kept, A, B, left, adjoint, on_error):
    """Another solution, with what was kept of A."""
    if on_error == "nan":
        A, nan = namespace(A).without_singular(A)
        return _again(kept, A, B, left, adjoint, "raise") * nan
    return solve_with_factors(A, B, *kept, left=left, adjoint=adjoint)


@solve.vjp
def _(X_bar, outputs, A, B, *, left, adjoint, on_error):
    X, *kept = outputs
    B_bar = once(lambda: _again(kept, A, X_bar, left, not adjoint, on_error))
    return lambda: bar_of_matrix(B_bar(), X, left, adjoint), B_bar


@solve.jvp
def _(outputs, A, B, *, left, adjoint, on_error):
    X, *kept = outputs
    return lambda A_dot, B_dot: _again(kept, A, moved(A_dot, B_dot, X, left, adjoint), left, adjoint, on_error)


@solve.samples
def _(case):
    yield case(case.square(4), case.normal(4, 2))
    yield case(case.square(4), case.normal(2, 4), left=False)
    yield case(case.square(4), case.normal(4, 1), adjoint=True)


@solve.reference
def _(mp, A, B, *, left, adjoint, on_error):
    if adjoint:
        A = mp.mH(A)
    return mp.solve(A, B) if left else mp.mT(mp.solve(mp.mT(A), mp.mT(B)))


@primitive("(n,n)->(n,n)")
def cholesky_inverse(L, *, upper=False):
    """The inverse C = (L Lᴴ)⁻¹ of a positive definite matrix from its Cholesky factor.

    Parameters
    ----------
    L
        The lower factor. Only its lower triangle is read, and only it gets a bar.
    upper : bool
        L is the upper factor instead, C = (Lᴴ L)⁻¹, and its upper triangle is read.

    Returns
    -------
    array (..., n, n)
        Hermitian.

    Raises
    ------
    LinAlgError of the array's library
        L is singular (in NumPy; PyTorch and TensorFlow give infinities and NaN, as `solve_triangular` does).

    Notes
    -----
    With A = L Lᴴ and Ċ = −C Ȧ C (see `inv`), and because of C L = L⁻ᴴ:

        Ċ = −C (L̇ Lᴴ + L L̇ᴴ) C = −(Q + Qᴴ),    Q = C L̇ L⁻¹.

    Reverse: ⟨C̄, −(Q + Qᴴ)⟩ = −⟨H, C L̇ L⁻¹⟩ with H = C̄ + C̄ᴴ, and C is Hermitian:

        L̄ = −tril(C H L⁻ᴴ),

    the triangle that was read. For an upper factor U = Lᴴ it is the adjoint of this. Source: Giles (2008), sections
    2.2.2 and 2.2.3. Cost: the function takes 2n³/3 flops, by halves, L̄ one triangular solve and one product, 3n³.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.cholesky_inverse(np.array([[2.0, 9.0], [0.0, 4.0]]))
    array([[0.25  , 0.    ],
           [0.    , 0.0625]])
    """
    return inverse_of_factor(mH(L) if upper else L)


@cholesky_inverse.vjp
def _(C_bar, C, L, *, upper):
    def L_bar():
        xp = namespace(L)
        middle = xp.solve_triangular(mH(L) if upper else L, C_bar + mH(C_bar), upper=False, left=False, adjoint=True)
        bar = -xp.tril(C @ middle)
        return mH(bar) if upper else bar

    return (L_bar,)


@cholesky_inverse.jvp
def _(C, L, *, upper):
    def C_dot(L_dot):
        xp = namespace(L)
        T, T_dot = (mH(L), mH(L_dot)) if upper else (L, L_dot)
        Q = xp.solve_triangular(T, C @ xp.tril(T_dot), upper=False, left=False)
        return -(Q + mH(Q))

    return (C_dot,)


@cholesky_inverse.samples
def _(case):
    yield case(case.square(4))
    yield case(case.upper(4), upper=True)


@cholesky_inverse.reference
def _(mp, L, *, upper):
    L = mp.mH(mp.triu(L, 0)) if upper else mp.tril(L, 0)
    return mp.inverse(L @ mp.mH(L))


def _squares(xp, Z):
    """Σ |Zᵢⱼ|²."""
    return xp.sum(xp.real(xp.conj(Z) * Z), axis=(-2, -1))


def _inner(xp, X, Y):
    """Re tr(Xᴴ Y)."""
    return xp.sum(xp.real(xp.conj(X) * Y), axis=(-2, -1))


def _by_cholesky(A, B):
    """The factor L of A, tr(Bᴴ A⁻¹ B) and A⁻¹ B."""
    xp = namespace(A)
    L = factor_to_keep(A)
    half = xp.solve_triangular(L, B, upper=False)
    return L, _squares(xp, half), xp.solve_with_factor(A, L, B, half)


@primitive("(n,n),(n,k?)->(),(n,k?),(n,n)", hermitian=("A",), intermediates=1, residuals=1)
def inv_quad(A, B):
    """The quadratic form with an inverse, c = tr(Bᴴ A⁻¹ B), of a positive definite matrix; bᴴ A⁻¹ b for a vector.

    Parameters
    ----------
    A
        Symmetric or Hermitian positive definite. Only its lower triangle is read; its bar comes back Hermitian.

    Returns
    -------
    array (...)
        Real: the sum over the columns of B.

    Raises
    ------
    LinAlgError of the array's library
        A is not positive definite (see `cholesky`).

    Notes
    -----
    With A = L Lᴴ it is Σ |L⁻¹B|², which cannot become negative by rounding. The solution X = A⁻¹ B is kept as an
    intermediate, so that a first derivative in reverse mode needs no solution, and L for those that follow: A is
    factorised once for the value and the derivatives of every order. Forward:

        Ẋ = A⁻¹ (Ḃ − Ȧ X),    ċ = 2 Re⟨X, Ḃ⟩ − ⟨X, Ȧ X⟩.

    Reverse, where X̄ is absent in a first derivative, not in a second:

        G = A⁻¹ X̄,    Ā = −c̄ X Xᴴ − sym(G Xᴴ),    B̄ = 2 c̄ X + G,    sym(X) = (X + Xᴴ)/2.

    Source: Giles (2008), section 2.3.1; the function `inv_quad` of GPyTorch. Cost: the function takes n³/3 flops, Ā one
    product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> c, pullback = overbar.vjp(overbar.inv_quad, 4 * np.eye(2), np.array([2.0, 4.0]))
    >>> float(c), pullback(1.0)[0]
    (5.0, array([[-0.25, -0.5 ],
           [-0.5 , -1.  ]]))
    """
    L, c, X = _by_cholesky(A, B)
    return c, X, L


def _quad_bars(xp, c_bar, X_bar, X, A, L):
    """The functions that give Ā and B̄ of `inv_quad`; each may be called where one of the cotangents is there. Ā is
    added to what is there already, if anything is."""

    @once
    def G():
        return solve_with_factor(A, X_bar, L)

    def A_bar(bar=None):
        if c_bar is not None:
            bar = summed_product(xp.cast(-c_bar[..., None, None], X) * X, X, A, bar)
        if X_bar is not None:
            change = hermitian_part(summed_product(G(), X, A))
            bar = -change if bar is None else bar - change
        return bar

    def B_bar():
        if c_bar is None:
            return G()
        bar = 2 * xp.cast(c_bar[..., None, None], X) * X
        return bar if X_bar is None else bar + G()

    return A_bar, B_bar


@inv_quad.vjp
def _(bars, outputs, A, B):
    (c_bar, X_bar), (_, X, L) = bars, outputs
    return _quad_bars(namespace(A), c_bar, X_bar, X, A, L)


def _quad_dots(xp, A, X, L, A_dot, B_dot):
    change = A_dot @ X
    c_dot = 2 * _inner(xp, X, B_dot) - _inner(xp, X, change)
    return c_dot, solve_with_factor(A, B_dot - change, L)


@inv_quad.jvp
def _(outputs, A, B):
    _, X, L = outputs
    return lambda A_dot, B_dot: _quad_dots(namespace(A), A, X, L, hermitian_part(A_dot), B_dot)


@inv_quad.samples
def _(case):
    yield case(case.positive_definite(4), case.normal(4, 2))


@inv_quad.reference
def _(mp, A, B):
    return mp.real((mp.conj(B) * mp.solve(A, B)).sum())


@primitive("(n,n),(n,k?)->(),(),(n,k?),(n,n)", hermitian=("A",), intermediates=1, residuals=1)
def inv_quad_logdet(A, B):
    """The two terms of a Gaussian log-likelihood, tr(Bᴴ A⁻¹ B) and log det A, from one Cholesky decomposition.

    Parameters
    ----------
    A
        Symmetric or Hermitian positive definite. Only its lower triangle is read; its bar comes back Hermitian.

    Returns
    -------
    inv_quad : array (...)
    logdet : array (...)
        Both real, so that a complex step gives zero (see `cholesky`), and both with the batch dimensions of A and B
        together.

    Raises
    ------
    LinAlgError of the array's library
        A is not positive definite (see `cholesky`).

    Notes
    -----
    To the bars of `inv_quad` comes that of ℓ = log det A, from ℓ̇ = tr(A⁻¹ Ȧ) (Giles 2008, section 2.2.4):

        Ā = −c̄ X Xᴴ − sym(G Xᴴ) + ℓ̄ A⁻¹.

    A⁻¹ comes from the factor of the value, one triangle of it, by halves, and so do the derivatives of every order: A
    is factorised once. Source: the function of this name in GPyTorch. Cost: the function n³/3 flops, Ā 2n³/3 where ℓ
    has a cotangent, otherwise one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> (c, l), pullback = overbar.vjp(overbar.inv_quad_logdet, 4 * np.eye(2), np.array([2.0, 4.0]))
    >>> float(c), round(float(l), 3), pullback((1.0, 1.0))[0]
    (5.0, 2.773, array([[ 0.  , -0.5 ],
           [-0.5 , -0.75]]))
    """
    xp = namespace(A)
    L, c, X = _by_cholesky(A, B)
    logdet = 2 * xp.sum(xp.log(xp.real(xp.diagonal(L))), axis=-1)
    return c, logdet + xp.zeros_like(c), X, L  # the zeros broadcast


@inv_quad_logdet.vjp
def _(bars, outputs, A, B):
    (c_bar, l_bar, X_bar), (_, _, X, L), xp = bars, outputs, namespace(A)
    from_quad, B_bar = _quad_bars(xp, c_bar, X_bar, X, A, L)

    def A_bar():
        if l_bar is None:
            return from_quad()
        return from_quad(inverse_with_factor(A, xp.sum_to(l_bar, xp.shape(A)[:-2]), L))

    return A_bar, (lambda: xp.zeros_like(B)) if c_bar is None and X_bar is None else B_bar


@inv_quad_logdet.jvp
def _(outputs, A, B):
    (_, _, X, L), xp = outputs, namespace(A)

    def dots(A_dot, B_dot):
        A_dot = hermitian_part(A_dot)
        c_dot, X_dot = _quad_dots(xp, A, X, L, A_dot, B_dot)
        return c_dot, _inner(xp, inverse_with_factor(A, 1.0, L), A_dot), X_dot

    return dots


@inv_quad_logdet.samples
def _(case):
    yield case(case.positive_definite(4), case.normal(4, 2))


@inv_quad_logdet.reference
def _(mp, A, B):
    return mp.real((mp.conj(B) * mp.solve(A, B)).sum()), mp.log(mp.real(mp.det(A)))
