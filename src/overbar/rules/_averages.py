"""Averages: mean, variance and standard deviation over some dimensions.

May import `overbar._namespace`, `rules.arithmetic` and `rules.elementwise`. They are made of sums and products, and
have the rules of these.
"""

import math

from overbar._namespace import front, namespace
from overbar.rules._arithmetic import axes_of, multiply, sum
from overbar.rules._elementwise import sqrt


def mean(A, axis=None, keepdims=False):
    """The mean of the entries of A over some of its dimensions.

    Parameters
    ----------
    A : array
        Real or complex floating point.
    axis : int, tuple of int or None
        Which dimensions; all of them by default.
    keepdims : bool
        Keep the dimensions with size 1.

    Returns
    -------
    array

    Raises
    ------
    LinAlgError of the array's library
        A does not have such a dimension, or is not floating point.

    Notes
    -----
    The sum over m entries, divided by m: Ā is C̄/m, repeated. Cost: one pass over A.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.grad(overbar.mean)(np.array([1.0, 2.0, 6.0, 7.0]))
    array([0.25, 0.25, 0.25, 0.25])
    """
    (A,) = front(A).as_arrays([A])
    return _over(sum(A, axis=axis, keepdims=keepdims), _count(A, axis))


def _count(A, axis):
    """How many entries there are along the dimensions; an array where a size is not known yet."""
    shape = namespace(A).shape(A)
    return math.prod(shape[i] for i in axes_of(A, axis, name="mean"))


def _over(total, count):
    xp = namespace(total)
    if isinstance(count, int):
        return total / count if count > 0 else total * math.nan
    return total / xp.cast(count, total)


def var(A, axis=None, ddof=0, keepdims=False):
    """The variance of the entries of A over some of its dimensions, Σ |Aᵢ − mean|²/(m − ddof).

    Parameters
    ----------
    A : array
        Real or complex floating point.
    axis : int, tuple of int or None
        Which dimensions; all of them by default.
    ddof : int
        Divides by the number m of entries less this; 1 for the estimate without bias.
    keepdims : bool
        Keep the dimensions with size 1.

    Returns
    -------
    array
        Real. NaN, and its derivative too, where there are no more than `ddof` entries.

    Raises
    ------
    LinAlgError of the array's library
        A does not have such a dimension, or is not floating point.

    Notes
    -----
    Computed of the differences from the mean, in two passes, so that a large mean costs no digits. The rules are those
    of its parts, and give Āᵢ = 2 C̄ (Aᵢ − mean)/(m − ddof). Cost: four passes over A.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.grad(overbar.var)(np.array([1.0, 2.0, 3.0, 6.0]))
    array([-1. , -0.5,  0. ,  1.5])
    """
    (A,) = front(A).as_arrays([A])
    xp = namespace(A)
    centred = A - mean(A, axis=axis, keepdims=True)
    square = xp.real(multiply(xp.conj(centred), centred)) if xp.is_complex(A) else multiply(centred, centred)
    return _over(sum(square, axis=axis, keepdims=keepdims), _count(A, axis) - ddof)


def std(A, axis=None, ddof=0, keepdims=False):
    """The standard deviation of the entries of A over some of its dimensions, the root of the variance.

    Parameters
    ----------
    A : array
        Real or complex floating point.
    axis : int, tuple of int or None
        Which dimensions; all of them by default.
    ddof : int
        As in `var`.
    keepdims : bool
        Keep the dimensions with size 1.

    Returns
    -------
    array
        Real. NaN where there are no more than `ddof` entries.

    Raises
    ------
    LinAlgError of the array's library
        A does not have such a dimension, or is not floating point.

    Notes
    -----
    By the rules of `var` and `sqrt`. Of equal entries it is zero, and has no derivative there: that is NaN. Cost: that
    of the variance.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.std(np.array([[1.0, 3.0], [2.0, 6.0]]), axis=1)
    array([1., 2.])
    """
    return sqrt(var(A, axis=axis, ddof=ddof, keepdims=keepdims))
