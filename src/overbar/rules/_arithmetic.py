"""Arithmetic, entry by entry: sum, difference, product and power of two arrays, and the sum over dimensions.

May import `overbar._namespace` and `overbar._primitive`. The inputs broadcast; the reverse of broadcasting, a sum over
the broadcast dimensions, is done for all primitives alike outside the rules.
"""

from overbar._call import of_python
from overbar._namespace import front, namespace
from overbar._primitive import primitive


@primitive("(),()->()")
def add(A, B):
    """The sum C = A + B, entry by entry.

    Returns
    -------
    array (...)

    Notes
    -----
    Giles (2008), section 2.2.1: Ċ = Ȧ + Ḃ, hence Ā = C̄ and B̄ = C̄. Cost: that of the sum.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.add, np.ones((2, 2)), np.ones(2))
    >>> pullback(np.ones((2, 2)))[1]
    array([2., 2.])
    """
    return A + B


@add.vjp
def _(C_bar, C, A, B):
    return lambda: C_bar, lambda: C_bar


@add.jvp
def _(C, A, B):
    return lambda A_dot: A_dot, lambda B_dot: B_dot


@add.samples
def _(case):
    yield case(case.normal(3, 2), case.normal(3, 2))


@add.reference
def _(mp, A, B):
    return A + B


@primitive("(),()->()")
def subtract(A, B):
    """The difference C = A − B, entry by entry.

    Returns
    -------
    array (...)

    Notes
    -----
    Giles (2008), section 2.2.1: Ċ = Ȧ − Ḃ, hence Ā = C̄ and B̄ = −C̄. Cost: that of the difference.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.subtract, np.ones(2), np.ones(2))
    >>> pullback(np.array([1.0, 2.0]))[1]
    array([-1., -2.])
    """
    return A - B


@subtract.vjp
def _(C_bar, C, A, B):
    return lambda: C_bar, lambda: -C_bar


@subtract.jvp
def _(C, A, B):
    return lambda A_dot: A_dot, lambda B_dot: -B_dot


@subtract.samples
def _(case):
    yield case(case.normal(3, 2), case.normal(3, 2))


@subtract.reference
def _(mp, A, B):
    return A - B


@primitive("(),()->()")
def multiply(A, B):
    """The product C = A ∘ B, entry by entry (Hadamard's).

    Returns
    -------
    array (...)

    Notes
    -----
    Ċ = Ȧ ∘ B + A ∘ Ḃ, hence Ā = C̄ ∘ conj(B) and B̄ = C̄ ∘ conj(A). Cost: two products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.multiply, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> pullback(np.ones(2))
    (array([3., 4.]), array([1., 2.]))
    """
    return A * B


@multiply.vjp
def _(C_bar, C, A, B):
    xp = namespace(A)
    return lambda: C_bar * xp.conj(B), lambda: C_bar * xp.conj(A)


@multiply.jvp
def _(C, A, B):
    return lambda A_dot: A_dot * B, lambda B_dot: A * B_dot


@multiply.samples
def _(case):
    yield case(case.normal(3, 2), case.normal(3, 2))


@multiply.reference
def _(mp, A, B):
    return A * B


@primitive("(),()->()")
def power(A, p):
    """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable.

    Parameters
    ----------
    A, p
        A real negative entry of A needs an integer exponent, else the entry of C is NaN.

    Returns
    -------
    array (...)

    Notes
    -----
    Ċ = p A^(p−1) ∘ Ȧ + C ∘ log A ∘ ṗ; the reverse rule multiplies C̄ by the conjugates of the same two factors. The
    first factor is 0 where p = 0, at A = 0 too; the second is 0 where A = 0 and p > 0. With respect to the exponent
    of a negative real A there is no derivative, and it is NaN. Cost: one power, or one logarithm, for each bar.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.power, np.array([0.0, 3.0]), 2.0)
    >>> pullback(np.ones(2))[0]
    array([0., 6.])
    """
    return A**p


def _power_by_base(A, p):
    xp = namespace(A)
    # `power` and not `**`: differentiating this once more meets the same points
    return p * power(A, xp.where(xp.equal(p, 0), xp.ones_like(p), p - 1))


def _power_by_exponent(C, A, p):
    xp = namespace(A)
    flat = xp.equal(A, 0) & (xp.real(p) > 0)  # C is 0 there, and may be multiplied by any number
    return C * xp.log(xp.where(flat, xp.ones_like(C), xp.cast(A, C)))


@power.vjp
def _(C_bar, C, A, p):
    xp = namespace(A)
    return lambda: C_bar * xp.conj(_power_by_base(A, p)), lambda: C_bar * xp.conj(_power_by_exponent(C, A, p))


@power.jvp
def _(C, A, p):
    return lambda A_dot: A_dot * _power_by_base(A, p), lambda p_dot: p_dot * _power_by_exponent(C, A, p)


@power.samples
def _(case):
    yield case(case.positive(3, 2), case.normal(3, 2))


@power.reference
def _(mp, A, p):
    return mp.power(A, p)


@primitive("...->...")
def sum(A, *, axis=None, keepdims=False, batch_ndim=0):
    """The sum of the entries of A over some of its dimensions.

    Parameters
    ----------
    axis : int, tuple of int or None
        Which dimensions to sum over; all of them by default.
    keepdims : bool
        Keep the summed dimensions with size 1.

    Returns
    -------
    array

    Raises
    ------
    LinAlgError of the array's library
        A does not have such a dimension.

    Notes
    -----
    Ċ = Σ Ȧ, and so Ā is C̄ repeated along the summed dimensions. Cost: one pass over A.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.sum, np.ones((2, 2)))
    >>> pullback(3.0)[0]
    array([[3., 3.],
           [3., 3.]])
    """
    return namespace(A).sum(A, axis=axes_of(A, axis, batch_ndim), keepdims=keepdims)


def axes_of(A, axis, batch_ndim=0, name="sum"):
    """The dimensions that a function reduces, all counted from the end."""
    ndim = len(A.shape)
    if axis is None:
        return tuple(range(batch_ndim - ndim, 0))
    axis = of_python(tuple(axis) if isinstance(axis, (tuple, list)) else (axis,))
    for i in axis:
        if not batch_ndim - ndim <= i < ndim - batch_ndim:
            raise front(A).ShapeError(f"{name}: argument A has {ndim - batch_ndim} dimensions, and no axis {i}.")
    return tuple(sorted(i if i < 0 else i + batch_ndim - ndim for i in axis))


@sum.vjp
def _(C_bar, C, A, *, axis, keepdims, batch_ndim):
    def A_bar():
        xp = namespace(A)
        return xp.broadcast_to(spread(C_bar, axes_of(A, axis, batch_ndim), keepdims), xp.shape(A))

    return (A_bar,)


def spread(C, axes, keepdims=False):
    """What a function that reduces these dimensions gave, with a size of 1 in each of them."""
    if not keepdims:
        xp = namespace(C)
        for i in reversed(axes):  # from the last, so that the others count from the end still
            C = xp.expand_dims(C, axis=i)
    return C


@sum.jvp
def _(C, A, **options):
    return (lambda A_dot: sum.function(A_dot, **options),)


@sum.samples
def _(case):
    yield case(case.normal(3, 2))
    yield case(case.normal(2, 3, 2), axis=(-3, -1), keepdims=True)
    yield case(case.normal(2, 3, 2), axis=(0, 2))


@sum.reference
def _(mp, A, *, axis, keepdims, batch_ndim):
    return A.sum(axis=axis, keepdims=keepdims)
