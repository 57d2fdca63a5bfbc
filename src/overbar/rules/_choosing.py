"""Choosing between entries: the larger, the smaller, those where a condition holds.

May import `overbar._namespace`, `overbar._primitive` and `rules.special_functions`. The bar of each array is C̄ where
its entry was taken, and zero elsewhere, whatever C̄ is there.
"""

import numpy as np

from overbar._namespace import front, namespace
from overbar._primitive import elementwise, primitive
from overbar.rules._special_functions import only_real


def _of_two(function, first):
    """Register the rules of a function that takes the entry of A where `first` holds, and that of B elsewhere."""

    @function.vjp
    def _(C_bar, C, A, B):
        xp, taken = namespace(C_bar), first(A, B)
        zero = xp.zeros_like(C_bar)
        return lambda: xp.where(taken, C_bar, zero), lambda: xp.where(taken, zero, C_bar)

    @function.jvp
    def _(C, A, B):
        xp, taken = namespace(C), first(A, B)
        return (
            lambda A_dot: xp.where(taken, A_dot, xp.zeros_like(A_dot)),
            lambda B_dot: xp.where(taken, xp.zeros_like(B_dot), B_dot),
        )

    @function.samples
    def _(case):
        yield case(case.normal(3, 2), case.normal(3, 2))

    return function


def _at_least(A, B):
    return (A >= B) | namespace(A).isnan(A)


def _at_most(A, B):
    return (A <= B) | namespace(A).isnan(A)


@primitive("(),()->()")
def maximum(A, B):
    """The larger of two numbers, C = max(A, B), entry by entry; NaN where either is.

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        An array is complex.

    Notes
    -----
    The derivative is that of the entry that was taken. Where both are equal there is none, and that of A is taken: so
    ``maximum(A, 0)`` has the derivative 1 at 0, and ``maximum(0, A)`` has 0. Cost: a comparison, and one pass for each
    bar.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.maximum, np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]))
    >>> pullback(np.ones(3))
    (array([0., 1., 1.]), array([1., 0., 0.]))
    """
    only_real("maximum", A, B)
    return namespace(A, B).maximum(A, B)


@primitive("(),()->()")
def minimum(A, B):
    """The smaller of two numbers, C = min(A, B), entry by entry; NaN where either is.

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        An array is complex.

    Notes
    -----
    The derivative is that of the entry that was taken. Where both are equal there is none, and that of A is taken.
    Cost: a comparison, and one pass for each bar.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.minimum, np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0]))
    >>> pullback(np.ones(3))
    (array([1., 1., 0.]), array([0., 0., 1.]))
    """
    only_real("minimum", A, B)
    return namespace(A, B).minimum(A, B)


_of_two(maximum, _at_least)
_of_two(minimum, _at_most)


@maximum.reference
def _(mp, A, B):
    return np.where(A >= B, A, B)


@minimum.reference
def _(mp, A, B):
    return np.where(A <= B, A, B)


@elementwise
def relu(A):
    """The positive part of each entry, C = max(A, 0).

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        A is complex.

    Notes
    -----
    C′ is 1 for positive entries and 0 for negative ones; at 0 there is none, and 0 is taken, as PyTorch and TensorFlow
    have it. Cost: one pass over the array.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.relu, np.array([-1.0, 0.0, 2.0]))
    >>> C, pullback(np.ones(3))[0]
    (array([0., 0., 2.]), array([0., 0., 1.]))
    """
    only_real("relu", A)
    return _where_positive(A, A)


def _where_positive(A, B):
    """B, but 0 where A is not positive. (B where A is NaN.)"""
    xp = namespace(B)
    return xp.where(A <= 0, xp.zeros_like(B), B)


@relu.vjp
def _(C_bar, C, A):
    return (lambda: _where_positive(A, C_bar),)


@relu.jvp
def _(C, A):
    return (lambda A_dot: _where_positive(A, A_dot),)


@relu.samples
def _(case):
    yield case(case.normal(3, 2))


@relu.reference
def _(mp, A):
    return np.where(A > 0, A, 0 * A)


def where(condition, x, y):
    """The entries of x where a condition holds, and those of y elsewhere.

    Parameters
    ----------
    condition : array of bool
        Has no derivative.
    x, y : array (...)
        The shapes of all three broadcast.

    Returns
    -------
    array (...)

    Notes
    -----
    The bar of x is C̄ where the condition holds and zero elsewhere, whatever C̄ is there, and that of y the other way
    round. But a NaN that arose on the way to an entry which was not taken comes back, as zero times infinity:
    ``where(x > 0, log(x), 0)`` has a NaN in its derivative at x = 0. Choose first, and compute then:
    ``log(where(x > 0, x, 1))``. Cost: one pass over the array.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.grad(lambda x: overbar.sum(overbar.where(x > 0, x, 2 * x)))(np.array([-1.0, 3.0]))
    array([2., 1.])
    """
    there = front(condition, x, y)
    x, y = there.as_arrays([x, y])
    if not hasattr(condition, "dtype"):
        condition = np.asarray(condition, bool)
    return there.xp.where(there.xp.constant(condition, x), x, y)


def clip(A, min=None, max=None):
    """The entries of A, but none below `min` and none above `max`.

    Parameters
    ----------
    A : array (...)
        Real floating point.
    min, max : array (...), optional
        The bounds, of which one may be left out. They are differentiated, too.

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        An array is complex or not floating point, or the shapes do not broadcast.

    Notes
    -----
    min(max(A, min), max), by the rules of `maximum` and `minimum`: at a bound the derivative is that of A. Cost: a
    comparison and one pass for each bound.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.grad(lambda A: overbar.sum(overbar.clip(A, 0.0, 1.0)))(np.array([-1.0, 0.0, 0.5, 2.0]))
    array([0., 1., 1., 0.])
    """
    (A,) = front(A).as_arrays([A])
    A = A if min is None else maximum(A, min)
    return A if max is None else minimum(A, max)
