"""Functions g(A) applied to each entry, of which a rule is just g′: Ċ = g′(A) ∘ Ȧ and Ā = conj(g′(A)) ∘ C̄.

May import `overbar._namespace` and `overbar._primitive`. Where g′ can be had from the value C = g(A), it is.
"""

from overbar._namespace import namespace
from overbar._primitive import elementwise


@elementwise
def exp(A):
    """The function C = exp A, the exponential function of each entry.

    Returns
    -------
    array (...)

    Notes
    -----
    C′ = exp A = C. Cost: one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.exp, np.zeros(2))
    >>> pullback(np.ones(2))[0]
    array([1., 1.])
    """
    return namespace(A).exp(A)


@exp.derivative
def _(C, A):
    return C


@exp.samples
def _(case):
    yield case(case.normal(3, 2))


@exp.reference
def _(mp, A):
    return mp.exp(A)


@elementwise
def log(A):
    """The function C = log A, the natural logarithm of each entry.

    Returns
    -------
    array (...)

    Notes
    -----
    C′ = 1/A. A real negative entry gives NaN; at 0 the derivative is infinite. Cost: one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.log, np.array([1.0, 2.0]))
    >>> pullback(np.ones(2))[0]
    array([1. , 0.5])
    """
    return namespace(A).log(A)


@log.derivative
def _(C, A):
    return 1 / A


@log.samples
def _(case):
    yield case(case.positive(3, 2))


@log.reference
def _(mp, A):
    return mp.log(A)


@elementwise
def sqrt(A):
    """The function C = sqrt A, the square root of each entry.

    Returns
    -------
    array (...)

    Notes
    -----
    C′ = 1/(2C). A real negative entry gives NaN; at 0 the derivative is infinite. Cost: one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.sqrt, np.array([1.0, 4.0]))
    >>> pullback(np.ones(2))[0]
    array([0.5 , 0.25])
    """
    return namespace(A).sqrt(A)


@sqrt.derivative
def _(C, A):
    return 0.5 / C


@sqrt.samples
def _(case):
    yield case(case.positive(3, 2))


@sqrt.reference
def _(mp, A):
    return mp.sqrt(A)


@elementwise
def sin(A):
    """The function C = sin A, the sine of each entry.

    Returns
    -------
    array (...)

    Notes
    -----
    C′ = cos A. Cost: one more function of the same kind, and one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.sin, np.zeros(2))
    >>> pullback(np.ones(2))[0]
    array([1., 1.])
    """
    return namespace(A).sin(A)


@sin.derivative
def _(C, A):
    return namespace(A).cos(A)


@sin.samples
def _(case):
    yield case(case.normal(3, 2))


@sin.reference
def _(mp, A):
    return mp.sin(A)


@elementwise
def cos(A):
    """The function C = cos A, the cosine of each entry.

    Returns
    -------
    array (...)

    Notes
    -----
    C′ = −sin A. Cost: one more function of the same kind, and one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.cos, np.zeros(2))
    >>> pullback(np.ones(2))[0]
    array([-0., -0.])
    """
    return namespace(A).cos(A)


@cos.derivative
def _(C, A):
    return -namespace(A).sin(A)


@cos.samples
def _(case):
    yield case(case.normal(3, 2))


@cos.reference
def _(mp, A):
    return mp.cos(A)


@elementwise
def tanh(A):
    """The function C = tanh A, the hyperbolic tangent of each entry.

    Returns
    -------
    array (...)

    Notes
    -----
    C′ = 1 − C². Cost: one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.tanh, np.zeros(2))
    >>> pullback(np.ones(2))[0]
    array([1., 1.])
    """
    return namespace(A).tanh(A)


@tanh.derivative
def _(C, A):
    return 1 - C * C


@tanh.samples
def _(case):
    yield case(case.normal(3, 2))


@tanh.reference
def _(mp, A):
    return mp.tanh(A)


@elementwise
def reciprocal(A):
    """The function C = 1/A, the reciprocal of each entry.

    Returns
    -------
    array (...)

    Notes
    -----
    C′ = −C². At 0 there is neither value nor derivative. Cost: one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.reciprocal, np.array([1.0, 2.0]))
    >>> pullback(np.ones(2))[0]
    array([-1.  , -0.25])
    """
    return 1 / A


@reciprocal.derivative
def _(C, A):
    return -C * C


@reciprocal.samples
def _(case):
    yield case(case.positive(3, 2))


@reciprocal.reference
def _(mp, A):
    return 1 / A
