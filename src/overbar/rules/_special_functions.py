"""Special functions, entry by entry: those of statistics and of networks, without loss of digits.

May import `overbar._namespace` and `overbar._primitive`.
"""

import math

import numpy as np

from overbar._messages import dtype_name
from overbar._namespace import front, namespace
from overbar._primitive import elementwise


def only_real(name, *arrays):
    """Raise where an array is complex, of a function that has no complex values."""
    for A in arrays:
        if namespace(A).is_complex(A):
            raise front(A).DtypeError(
                f"{name}: an argument has dtype {dtype_name(A.dtype)}, but the function is one of real "
                "numbers. Take overbar.real(A) or overbar.abs(A) of it."
            )


@elementwise
def log1p(A):
    """The function C = log(1 + A) of each entry, with all digits for small A.

    Returns
    -------
    array (...)

    Notes
    -----
    C′ = 1/(1 + A). A real entry below −1 gives NaN; at −1 the derivative is infinite. Cost: one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.log1p(np.array([1e-20]))
    array([1.e-20])
    """
    return namespace(A).log1p(A)


@log1p.derivative
def _(C, A):
    return 1 / (1 + A)


@log1p.samples
def _(case):
    yield case(case.positive(3, 2))


@log1p.reference
def _(mp, A):
    return mp.log(1 + A)


@elementwise
def expm1(A):
    """The function C = exp(A) − 1 of each entry, with all digits for small A.

    Returns
    -------
    array (...)

    Notes
    -----
    C′ = exp A. Cost: one more function of the same kind, and one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.expm1(np.array([1e-20]))
    array([1.e-20])
    """
    return namespace(A).expm1(A)


@expm1.derivative
def _(C, A):
    return namespace(A).exp(A)


@expm1.samples
def _(case):
    yield case(case.normal(3, 2))


@expm1.reference
def _(mp, A):
    return mp.exp(A) - 1


@elementwise
def sigmoid(A):
    """The logistic function C = 1/(1 + exp(−A)) of each entry. (SciPy calls it expit.)

    Returns
    -------
    array (...)

    Notes
    -----
    C′ = C (1 − C), where 1 − C is the sigmoid of −A: so computed it keeps its digits where C is 1 up to rounding. No
    exponential overflows. Cost: one more function of the same kind, and two products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.sigmoid(np.array([-800.0, 0.0, 800.0]))
    array([0. , 0.5, 1. ])
    """
    xp = namespace(A)
    right = xp.real(A) >= 0
    one = xp.ones_like(A)
    E = xp.exp(-xp.where(right, A, -A))
    return xp.where(right, one, E) / (1 + E)


@sigmoid.derivative
def _(C, A):
    return C * sigmoid(-A)


@sigmoid.samples
def _(case):
    yield case(case.normal(3, 2))


@sigmoid.reference
def _(mp, A):
    return 1 / (1 + mp.exp(-A))


@elementwise
def softplus(A):
    """The function C = log(1 + exp A) of each entry, a smooth max(A, 0).

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        A is complex.

    Notes
    -----
    Computed as max(A, 0) + log(1 + exp(−|A|)), so that nothing overflows. C′ is the `sigmoid` of A. Cost: one more
    function of the same kind, and one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.softplus, np.array([-800.0, 0.0, 1.0]))
    >>> C, pullback(np.ones(3))[0]
    (array([0.        , 0.69314718, 1.31326169]), array([0.        , 0.5       , 0.73105858]))
    """
    only_real("softplus", A)
    return log_one_plus_exp(A)


def log_one_plus_exp(A):
    """log(1 + exp A), of complex A too, where nothing overflows."""
    xp = namespace(A)
    right = xp.real(A) >= 0
    return xp.where(right, A, xp.zeros_like(A)) + xp.log1p(xp.exp(-xp.where(right, A, -A)))


@softplus.derivative
def _(C, A):
    return sigmoid(A)


@softplus.samples
def _(case):
    yield case(case.normal(3, 2))


@softplus.reference
def _(mp, A):
    return mp.log(1 + mp.exp(A))


@elementwise
def erf(A):
    """The error function of each entry, C = 2/√π ∫₀ᴬ exp(−t²) dt.

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        A is complex.

    Notes
    -----
    C′ = 2/√π exp(−A²). Cost: one exponential, and three products. The distribution function of the normal distribution
    is (1 + erf(A/√2))/2.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.erf, np.array([0.0, 1.0]))
    >>> C, pullback(np.ones(2))[0]
    (array([0.        , 0.84270079]), array([1.12837917, 0.4151075 ]))
    """
    only_real("erf", A)
    return namespace(A).erf(A)


@erf.derivative
def _(C, A):
    return 2 / math.sqrt(math.pi) * namespace(A).exp(-A * A)


@erf.samples
def _(case):
    yield case(case.normal(3, 2))


@erf.reference
def _(mp, A):
    return mp.erf(A)


@elementwise
def gammaln(A):
    """The logarithm of the modulus of the gamma function of each entry, C = log |Γ(A)|.

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        A is complex.

    Notes
    -----
    C′ is the `digamma` function of A. At 0, −1, −2, … the value is infinite. Cost: one more function of the same kind,
    and one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.gammaln, np.array([1.0, 5.0]))
    >>> C, pullback(np.ones(2))[0]
    (array([0.        , 3.17805383]), array([-0.57721566,  1.50611767]))
    """
    only_real("gammaln", A)
    return namespace(A).gammaln(A)


@gammaln.derivative
def _(C, A):
    return polygamma(A, n=0)


@gammaln.samples
def _(case):
    yield case(case.positive(3, 2))


@gammaln.reference
def _(mp, A):
    return mp.loggamma(A)


@elementwise
def polygamma(A, *, n=0):
    """The polygamma function of each entry, the derivative of order n + 1 of log Γ(A).

    Parameters
    ----------
    n : int
        The order, at least 0: 0 is the `digamma` function, 1 the trigamma function. A call as SciPy has it, with the
        integer in front, is taken, too.

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        A is complex.
    ValueError
        n is negative.

    Notes
    -----
    C′ is the polygamma function of order n + 1. (TensorFlow has NaN for negative A and n > 0.) Cost: one more function
    of the same kind, and one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.polygamma(np.array([1.0]), n=1)
    array([1.64493407])
    >>> overbar.polygamma(1, np.array([1.0]))
    array([1.64493407])
    """
    only_real("polygamma", A)
    if n < 0:
        raise ValueError(f"polygamma: the option n is {n}. It must be an integer, 0 or larger.")
    return namespace(A).polygamma(n, A)


@polygamma.also
def _(*args, **kwargs):
    if len(args) == 2 and isinstance(args[0], (int, np.integer)):  # as SciPy has it
        args, kwargs = args[1:], {"n": int(args[0]), **kwargs}
    return args, kwargs


@polygamma.derivative
def _(C, A, *, n):
    return polygamma(A, n=n + 1)


@polygamma.samples
def _(case):
    yield case(case.positive(3, 2))
    yield case(case.positive(3, 2), n=2)


@polygamma.reference
def _(mp, A, *, n):
    return np.asarray(np.frompyfunc(lambda x: mp.context.psi(n, x), 1, 1)(A), dtype=object)


def digamma(A):
    """The digamma function ψ(A) = Γ′(A)/Γ(A) of each entry: `polygamma` of order 0.

    Parameters
    ----------
    A : array (...)
        Real floating point.

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        A is complex, or not floating point.

    Notes
    -----
    ψ′ is the `polygamma` function of order 1. Cost: one more function of the same kind, and one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.digamma(np.array([1.0]))
    array([-0.57721566])
    """
    return polygamma(A, n=0)
