"""Quadratic forms: xᵀAy, xᵀAx, BᵀAB, BᵀA⁻¹B.

May import `overbar._namespace` and `overbar._primitive`. As everywhere in Giles's collection, ᵀ transposes without
conjugating, so that these are analytic functions of complex arrays too; the rules then have conjugates.
"""

from overbar._namespace import mH, mT, namespace
from overbar._primitive import once, primitive


def _column(x):
    return x[..., :, None]


def _row(x):
    return x[..., None, :]


@primitive("(m),(m,n),(n)->()")
def bilinear_form(x, A, y):
    """The bilinear form c = xᵀ A y.

    Returns
    -------
    array (...)

    Notes
    -----
    From ċ = ẋᵀ A y + xᵀ Ȧ y + xᵀ A ẏ, with c̄ a scalar:

        x̄ = c̄ conj(A y),    Ā = c̄ conj(x yᵀ),    ȳ = c̄ conj(Aᵀ x).

    Source: the product rule of Giles (2008), section 2.2.2, applied twice. Cost: one product of A with a vector, or one
    outer product, for each bar.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> c, pullback = overbar.vjp(overbar.bilinear_form, np.array([1.0, 2.0]), np.eye(2), np.array([3.0, 4.0]))
    >>> c, pullback(1.0)[1]
    (np.float64(11.0), array([[3., 4.],
           [6., 8.]]))
    """
    return (_row(x) @ (A @ _column(y)))[..., 0, 0]


@bilinear_form.vjp
def _(c_bar, c, x, A, y):
    xp = namespace(A)
    row_bar = c_bar[..., None, None]
    return (
        lambda: xp.conj(A @ _column(y))[..., 0] * c_bar[..., None],
        lambda: xp.conj(_column(x) * _row(y)) * row_bar,
        lambda: xp.conj(mT(A) @ _column(x))[..., 0] * c_bar[..., None],
    )


@bilinear_form.jvp
def _(c, x, A, y):
    return (
        lambda x_dot: bilinear_form.function(x_dot, A, y),
        lambda A_dot: bilinear_form.function(x, A_dot, y),
        lambda y_dot: bilinear_form.function(x, A, y_dot),
    )


@bilinear_form.samples
def _(case):
    yield case(case.normal(3), case.normal(3, 4), case.normal(4))


@bilinear_form.reference
def _(mp, x, A, y):
    return x @ A @ y


@primitive("(n,n),(n)->()")
def quadratic(A, x):
    """The quadratic form c = xᵀ A x.

    Parameters
    ----------
    A
        Any square matrix; only its symmetric part matters.

    Returns
    -------
    array (...)

    Notes
    -----
    `bilinear_form` with y = x, whose bars for x and y add up:

        Ā = c̄ conj(x xᵀ),    x̄ = c̄ conj((A + Aᵀ) x).

    Cost: one outer product for Ā, two products of A with a vector for x̄.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> c, pullback = overbar.vjp(overbar.quadratic, np.array([[1.0, 2.0], [0.0, 3.0]]), np.array([1.0, 1.0]))
    >>> c, pullback(1.0)[1]
    (np.float64(6.0), array([4., 8.]))
    """
    return (_row(x) @ (A @ _column(x)))[..., 0, 0]


@quadratic.vjp
def _(c_bar, c, A, x):
    xp = namespace(A)
    return (
        lambda: xp.conj(_column(x) * _row(x)) * c_bar[..., None, None],
        lambda: xp.conj(A @ _column(x) + mT(A) @ _column(x))[..., 0] * c_bar[..., None],
    )


@quadratic.jvp
def _(c, A, x):
    return (
        lambda A_dot: quadratic.function(A_dot, x),
        lambda x_dot: bilinear_form.function(x_dot, A, x) + bilinear_form.function(x, A, x_dot),
    )


@quadratic.samples
def _(case):
    yield case(case.normal(4, 4), case.normal(4))


@quadratic.reference
def _(mp, A, x):
    return x @ A @ x


@primitive("(m,m),(m,n)->(n,n)")
def congruence(A, B):
    """The matrix quadratic form C = Bᵀ A B.

    Returns
    -------
    array (..., n, n)

    Notes
    -----
    Giles (2008), first quadratic form. From Ċ = Ḃᵀ A B + Bᵀ Ȧ B + Bᵀ A Ḃ:

        Re tr(C̄ᴴ Bᵀ Ȧ B)                      ⇒    Ā = conj(B) C̄ Bᴴ,
        Re tr(C̄ᴴ Bᵀ A Ḃ + Bᵀ Aᵀ Ḃ conj(C̄))    ⇒    B̄ = Aᴴ conj(B) C̄ + conj(A B) C̄ᵀ

    (the second by transposing inside the trace). Cost: for each bar, twice that of the function.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.congruence(np.eye(2), np.array([[1.0], [2.0]]))
    array([[5.]])
    """
    return mT(B) @ (A @ B)


@congruence.vjp
def _(C_bar, C, A, B):
    xp = namespace(A)
    return (
        lambda: xp.conj(B) @ C_bar @ mH(B),
        lambda: mH(A) @ (xp.conj(B) @ C_bar) + xp.conj(A) @ (xp.conj(B) @ mT(C_bar)),
    )


@congruence.jvp
def _(C, A, B):
    return (
        lambda A_dot: congruence.function(A_dot, B),
        lambda B_dot: mT(B_dot) @ (A @ B) + mT(B) @ (A @ B_dot),
    )


@congruence.samples
def _(case):
    yield case(case.normal(4, 4), case.normal(4, 2))


@congruence.reference
def _(mp, A, B):
    return mp.mT(B) @ A @ B


@primitive("(m,m),(m,n)->(n,n),(m,n)", intermediates=1)
def inv_congruence(A, B):
    """The matrix quadratic form with the inverse, C = Bᵀ A⁻¹ B, without forming A⁻¹.

    Parameters
    ----------
    A
        Any invertible matrix; not assumed symmetric.

    Returns
    -------
    array (..., n, n)

    Raises
    ------
    LinAlgError of the array's library
        A is singular. Under XLA, which cannot raise, a singular A gives infinities or NaN.

    Notes
    -----
    Giles (2008), second quadratic form. The solution X = A⁻¹ B is kept as an intermediate, so that a reverse pass
    solves but once. Forward:

        Ẋ = A⁻¹ (Ḃ − Ȧ X),    Ċ = Ḃᵀ X + Bᵀ Ẋ.

    Reverse: C = Bᵀ X sends the bar conj(B) C̄ to X, which adds to what X has already (X̄ is absent in a first
    derivative, not in a second), and the solve sends it on:

        G = A⁻ᴴ (X̄ + conj(B) C̄),    Ā = −G Xᴴ,    B̄ = G + conj(X) C̄ᵀ.

    Cost: one factorisation, as the function, and products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.inv_congruence, 2 * np.eye(2), np.array([[1.0], [2.0]]))
    >>> C, pullback(np.array([[1.0]]))[0]
    (array([[2.5]]), array([[-0.25, -0.5 ],
           [-0.5 , -1.  ]]))
    """
    X = namespace(A).solve(A, B)
    return mT(B) @ X, X


@inv_congruence.vjp
def _(bars, outputs, A, B):
    (C_bar, X_bar), (_, X), xp = bars, outputs, namespace(A)

    @once
    def G():
        from_C = 0 if C_bar is None else xp.conj(B) @ C_bar
        return xp.solve(mH(A), from_C if X_bar is None else X_bar + from_C, check=False)

    return (
        lambda: -G() @ mH(X),
        lambda: G() if C_bar is None else G() + xp.conj(X) @ mT(C_bar),
    )


@inv_congruence.jvp
def _(outputs, A, B):
    _, X = outputs

    def dots(A_dot, B_dot):
        X_dot = namespace(A).solve(A, B_dot - A_dot @ X, check=False)
        return mT(B_dot) @ X + mT(B) @ X_dot, X_dot

    return dots


@inv_congruence.samples
def _(case):
    yield case(case.square(4), case.normal(4, 2))


@inv_congruence.reference
def _(mp, A, B):
    return mp.mT(B) @ mp.solve(A, B)
