"""Averages: mean, variance and standard deviation over some dimensions.

May import `overbar._namespace`, `overbar._primitive`, `rules.arithmetic` and `rules.elementwise`.
"""

import math

import numpy as np

from overbar._namespace import front, namespace
from overbar._primitive import primitive
from overbar.rules._arithmetic import axes_of, spread, sum
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
    return _over(sum(A, axis=axis, keepdims=keepdims), _count(A, axes_of(A, axis, name="mean")))


def _count(A, axes):
    """How many entries there are along the dimensions; an array where a size is not known yet."""
    shape = namespace(A).shape(A)
    return math.prod([shape[i] for i in axes])


def _over(total, count):
    xp = namespace(total)
    if isinstance(count, int):
        return total / count if count > 0 else total * math.nan
    return total / xp.cast(count, total)


@primitive("...->...")
def var(A, *, axis=None, ddof=0, keepdims=False, batch_ndim=0):
    """The variance of the entries of A over some of its dimensions, c = Σ |Aᵢ − mean|²/(m − ddof).

    Parameters
    ----------
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
        A does not have such a dimension.

    Notes
    -----
    Computed of the differences from the mean, in two passes, so that a large mean costs no digits. As the differences
    add up to zero, the mean's own change drops out: ċ = 2 Re Σ conj(Aᵢ − mean) Ȧᵢ/(m − ddof), hence
    Āᵢ = 2 c̄ (Aᵢ − mean)/(m − ddof). Cost: two passes over A for the bar.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.grad(overbar.var)(np.array([1.0, 2.0, 3.0, 6.0]))
    array([-1. , -0.5,  0. ,  1.5])
    """
    xp, axes = namespace(A), axes_of(A, axis, batch_ndim, "var")
    D = _centred(A, axes)
    square = xp.real(xp.conj(D) * D) if xp.is_complex(A) else D * D
    return _over(xp.sum(square, axis=axes, keepdims=keepdims), _count(A, axes) - ddof)


def _centred(A, axes):
    return A - _over(namespace(A).sum(A, axis=axes, keepdims=True), _count(A, axes))


@var.vjp
def _(C_bar, C, A, *, axis, ddof, keepdims, batch_ndim):
    def A_bar():
        axes = axes_of(A, axis, batch_ndim)
        weight = _over(2 * spread(C_bar, axes, keepdims), _count(A, axes) - ddof)
        return namespace(A).cast(weight, A) * _centred(A, axes)

    return (A_bar,)


@var.jvp
def _(C, A, *, axis, ddof, keepdims, batch_ndim):
    def along(A_dot):
        xp, axes = namespace(A), axes_of(A, axis, batch_ndim)
        change = xp.real(xp.conj(_centred(A, axes)) * A_dot)
        return _over(2 * xp.sum(change, axis=axes, keepdims=keepdims), _count(A, axes) - ddof)

    return (along,)


@var.samples
def _(case):
    yield case(case.normal(3, 2))
    yield case(case.normal(2, 3, 2), axis=(-3, -1), ddof=1, keepdims=True)
    yield case(case.normal(2, 3), axis=1)


@var.reference
def _(mp, A, *, axis, ddof, keepdims, batch_ndim):
    count = A.size if axis is None else math.prod(A.shape[i] for i in (axis if isinstance(axis, tuple) else (axis,)))
    D = mp.abs(A - A.sum(axis=axis, keepdims=True) / count)
    return np.asarray((D * D).sum(axis=axis, keepdims=keepdims) / (count - ddof), dtype=object)


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
