"""Functions of symmetric (Hermitian) matrices by name: roots, powers, logarithm, exponential.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `rules.eigen`, `rules.scalars` and `rules.spectral`.
"""

import numpy as np

from overbar._namespace import mH
from overbar._primitive import primitive
from overbar.rules._eigen import spread
from overbar.rules._scalars import EXP, INVSQRT, LOG, POWER, SIGN, SOFTPLUS, SQRT
from overbar.rules._spectral import At, exact_spectral, no_derivative, register_rules, value_of


@primitive("(n,n)->(n,n),(n),(n,n)", residuals=2, hermitian=("A",))
def sqrtmh(A):
    """The square root C = A^(1/2) of a positive definite (Hermitian) matrix, itself positive definite.

    Parameters
    ----------
    A
        Symmetric or Hermitian, positive definite or, for the value alone, positive semidefinite. Only its lower
        triangle is read; its bar comes back Hermitian.

    Returns
    -------
    array (..., n, n)
        Hermitian, in the dtype of A.

    Notes
    -----
    `spectral_function` with f[x, y] = 1/(√x + √y): Ċ is the solution of C Ċ + Ċ C = Ȧ, and Ā that of the same equation
    with C̄ on its right (Higham 2008, section 6.1).

    An eigenvalue that is negative by no more than rounding, n ε times the largest one in size, counts as zero. A
    smaller one makes everything NaN, value and derivatives. Where an eigenvalue
    is zero, the root has a value but no derivative: it is infinite or NaN.

    Cost: a decomposition into eigenvalues and eigenvectors for the function, four products for its rules.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.sqrtmh, 4 * np.eye(2))
    >>> C, pullback(np.eye(2))[0]
    (array([[2., 0.],
           [0., 2.]]), array([[0.25, 0.  ],
           [0.  , 0.25]]))
    """
    return value_of(A, SQRT)


register_rules(sqrtmh, lambda: SQRT)


@sqrtmh.samples
def _(case):
    yield case(case.positive_definite(4))


@sqrtmh.reference
def _(mp, A):
    return exact_spectral(mp, A, mp.sqrt)


@primitive("(n,n)->(n,n),(n),(n,n)", residuals=2, hermitian=("A",))
def invsqrtmh(A):
    """The inverse square root C = A^(−1/2) of a positive definite (Hermitian) matrix: C A C = I.

    Parameters
    ----------
    A
        Symmetric or Hermitian, positive definite. Only its lower triangle is read; its bar comes back Hermitian.

    Returns
    -------
    array (..., n, n)
        Hermitian, in the dtype of A.

    Notes
    -----
    `spectral_function` with f[x, y] = −1/(√x √y (√x + √y)). It whitens: for a covariance A, the components of C x are
    uncorrelated.

    An eigenvalue that is negative by no more than rounding, n ε times the largest one in size, counts as zero. A
    smaller one makes everything NaN, value and derivatives. Where an eigenvalue
    is zero, the result is infinite or NaN.

    Cost: a decomposition into eigenvalues and eigenvectors for the function, four products for its rules.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.invsqrtmh(np.diag([4.0, 1.0]))
    array([[0.5, 0. ],
           [0. , 1. ]])
    """
    return value_of(A, INVSQRT)


register_rules(invsqrtmh, lambda: INVSQRT)


@invsqrtmh.samples
def _(case):
    yield case(case.positive_definite(4))


@invsqrtmh.reference
def _(mp, A):
    return exact_spectral(mp, A, lambda w: 1 / mp.sqrt(w))


@primitive("(n,n),()->(n,n),(n),(n,n)", residuals=2, hermitian=("A",), real=("p",))
def powmh(A, p):
    """The power C = Aᵖ of a symmetric (Hermitian) matrix.

    Parameters
    ----------
    A
        Symmetric or Hermitian; positive definite unless p is an integer, invertible where p is negative. Only its lower
        triangle is read; its bar comes back Hermitian.
    p
        The exponent, one for each matrix, or a number: real.

    Returns
    -------
    array (..., n, n)
        Hermitian, in the dtype of A.

    Notes
    -----
    `spectral_function` with f[x, y] = M^(p−1) (1 − rᵖ)/(1 − r) for x and y of one sign, M the larger and m the smaller
    of them in size and r = m/M; 1 − rᵖ is computed as −expm1(p log r). The derivative by the exponent is the spectral
    function of ∂f/∂p = wᵖ log w, hence p̄ = Re tr(C̄ᴴ V diag(wᵖ log w) Vᴴ). It is NaN where an eigenvalue is negative:
    there f is not defined for the exponents beside a whole one.

    Where p is not an integer, an eigenvalue that is negative by no more than rounding, n ε times the largest one in
    size, counts as zero, and a smaller one makes everything NaN. Where an eigenvalue is zero, derivatives and values
    that do not exist come out infinite or NaN.

    Cost: a decomposition into eigenvalues and eigenvectors for the function, four products for its rules.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.powmh(np.diag([4.0, 9.0]), p=1.5)
    array([[ 8.,  0.],
           [ 0., 27.]])
    """
    return value_of(A, POWER, p[..., None])


@powmh.vjp
def _(C_bar, outputs, A, p):
    at = At(A, *outputs[1:], p[..., None], POWER)
    return lambda: at.along(C_bar), lambda: at.args_bar(C_bar, no_derivative(A))[..., 0]


@powmh.jvp
def _(outputs, A, p):
    at = At(A, *outputs[1:], p[..., None], POWER)
    return lambda A_dot: (at.along(A_dot),), lambda p_dot: (at.args_dot(no_derivative(A), p_dot[..., None]),)


@powmh.samples
def _(case):
    yield case(case.positive_definite(4), case.real())
    A = spread(case, 3)
    yield case(case._cast(A + 2 * A.shape[-1] * np.eye(A.shape[-1])), -case.real())


@powmh.reference
def _(mp, A, p):
    return exact_spectral(mp, A, lambda w: mp.power(w, p))


@primitive("(n,n)->(n,n),(n),(n,n)", residuals=2, hermitian=("A",))
def logmh(A):
    """The logarithm C = log A of a positive definite (Hermitian) matrix: the Hermitian matrix with exp C = A.

    Parameters
    ----------
    A
        Symmetric or Hermitian, positive definite. Only its lower triangle is read; its bar comes back Hermitian.

    Returns
    -------
    array (..., n, n)
        Hermitian, in the dtype of A.

    Notes
    -----
    `spectral_function` with f[x, y] = log1p(g/m)/g, where m is the smaller of the two and g the gap between them.

    An eigenvalue that is negative by no more than rounding, n ε times the largest one in size, counts as zero. A
    smaller one makes everything NaN, value and derivatives. Where an eigenvalue
    is zero, the result is infinite or NaN.

    Cost: a decomposition into eigenvalues and eigenvectors for the function, four products for its rules.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.logmh(np.diag([1.0, np.e]))
    array([[0., 0.],
           [0., 1.]])
    """
    return value_of(A, LOG)


register_rules(logmh, lambda: LOG)


@logmh.samples
def _(case):
    yield case(case.positive_definite(4))


@logmh.reference
def _(mp, A):
    return exact_spectral(mp, A, mp.log)


@primitive("(n,n)->(n,n),(n),(n,n)", residuals=2, hermitian=("A",))
def expmh(A):
    """The exponential C = exp A of a symmetric (Hermitian) matrix.

    Parameters
    ----------
    A
        Symmetric or Hermitian. Only its lower triangle is read; its bar comes back Hermitian.

    Returns
    -------
    array (..., n, n)
        Hermitian, in the dtype of A, positive definite.

    Notes
    -----
    `spectral_function` with f[x, y] = exp M (1 − exp(−g))/g, where M is the larger of the two and g the gap between
    them, by expm1. For matrices that are not Hermitian there is the exponential of general ones.

    Cost: a decomposition into eigenvalues and eigenvectors for the function, four products for its rules.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.expmh, np.zeros((2, 2)))
    >>> C, pullback(np.array([[1.0, 2.0], [2.0, 3.0]]))[0]
    (array([[1., 0.],
           [0., 1.]]), array([[1., 2.],
           [2., 3.]]))
    """
    return value_of(A, EXP)


register_rules(expmh, lambda: EXP)


@expmh.samples
def _(case):
    yield case(case.hermitian(4))


@expmh.reference
def _(mp, A):
    return exact_spectral(mp, A, mp.exp)


@primitive("(n,n)->(n,n),(n),(n,n)", residuals=2, hermitian=("A",))
def signmh(A):
    """The sign C = sign A of a symmetric (Hermitian) matrix: its eigenvalues are −1 and 1, and C² = I.

    Parameters
    ----------
    A
        Symmetric or Hermitian, invertible. Only its lower triangle is read; its bar comes back Hermitian.

    Returns
    -------
    array (..., n, n)
        Hermitian, in the dtype of A.

    Notes
    -----
    `spectral_function` with f[x, y] = 2/(|x| + |y|) for x and y of different signs and 0 for others. (I + C)/2 is the
    projection onto the eigenvectors of positive eigenvalues.

    Where an eigenvalue is zero, its sign is taken for 0, and the derivative, which does not exist, is NaN.

    Cost: a decomposition into eigenvalues and eigenvectors for the function, four products for its rules.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.signmh(np.diag([2.0, -3.0]))
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    return value_of(A, SIGN)


register_rules(signmh, lambda: SIGN)


@signmh.samples
def _(case):
    # [[P, B], [Bᴴ, −Q]] has as many positive and negative eigenvalues as P and −Q, none of them smaller in size
    P, Q, B = case.positive_definite(2), case.positive_definite(2), case.normal(2, 2)
    yield case(np.concatenate([np.concatenate([P, B], -1), np.concatenate([mH(B), -Q], -1)], -2))


@signmh.reference
def _(mp, A):
    return exact_spectral(mp, A, mp.sign)


@primitive("(n,n)->(n,n),(n),(n,n)", residuals=2, hermitian=("A",))
def softplusmh(A):
    """The softplus C = log(I + exp A) of a symmetric (Hermitian) matrix: a smooth positive part.

    Parameters
    ----------
    A
        Symmetric or Hermitian. Only its lower triangle is read; its bar comes back Hermitian.

    Returns
    -------
    array (..., n, n)
        Hermitian, in the dtype of A, positive definite.

    Notes
    -----
    `spectral_function` with f′ = s, the logistic function s(w) = 1/(1 + exp(−w)), and f[x, y] = log1p(s(m) expm1(g))/g,
    where m is the smaller of the two and g the gap between them. A parameter without constraints becomes a positive
    definite matrix.

    Cost: a decomposition into eigenvalues and eigenvectors for the function, four products for its rules.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.softplusmh(np.zeros((2, 2))).round(4)
    array([[0.6931, 0.    ],
           [0.    , 0.6931]])
    """
    return value_of(A, SOFTPLUS)


register_rules(softplusmh, lambda: SOFTPLUS)


@softplusmh.samples
def _(case):
    yield case(case.hermitian(4))


@softplusmh.reference
def _(mp, A):
    return exact_spectral(mp, A, lambda w: mp.log(1 + mp.exp(w)))
