"""Masking: functions that keep some entries of a matrix and set the others to zero.

May import `overbar._namespace` and `overbar._primitive`. All are linear, and a real diagonal in the space of entries,
so that each is its own adjoint: the function itself is both of its rules.
"""

import numpy as np

from overbar._namespace import front, namespace
from overbar._primitive import primitive


def _self_adjoint(function):
    """Register the rules of a linear function that is its own adjoint."""

    @function.vjp
    def _(C_bar, C, A, **options):
        return (lambda: function.function(C_bar, **options),)

    @function.jvp
    def _(C, A, **options):
        return (lambda A_dot: function.function(A_dot, **options),)

    return function


@_self_adjoint
@primitive("(m,n)->(m,n)")
def tril(A, *, diagonal=0):
    """The lower triangle of A: entries with j − i ≤ diagonal, zero elsewhere.

    Parameters
    ----------
    diagonal : int
        The last diagonal to keep: 0 the main one, −1 the one below it.

    Returns
    -------
    array (..., m, n)

    Notes
    -----
    C = M ∘ A with a mask M of zeros and ones: Ċ = M ∘ Ȧ and Ā = M ∘ C̄. Cost: one pass over the matrix.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.tril(np.ones((2, 2)))
    array([[1., 0.],
           [1., 1.]])
    """
    return namespace(A).tril(A, k=diagonal)


@tril.samples
def _(case):
    yield case(case.normal(4, 4))
    yield case(case.normal(3, 4), diagonal=1)
    yield case(case.normal(4, 3), diagonal=-1)


@tril.reference
def _(mp, A, *, diagonal):
    return mp.tril(A, diagonal)


@_self_adjoint
@primitive("(m,n)->(m,n)")
def triu(A, *, diagonal=0):
    """The upper triangle of A: entries with j − i ≥ diagonal, zero elsewhere.

    Parameters
    ----------
    diagonal : int
        The first diagonal to keep: 0 the main one, 1 the one above it.

    Returns
    -------
    array (..., m, n)

    Notes
    -----
    C = M ∘ A with a mask M of zeros and ones: Ċ = M ∘ Ȧ and Ā = M ∘ C̄. Cost: one pass over the matrix.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.triu(np.ones((2, 2)), diagonal=1)
    array([[0., 1.],
           [0., 0.]])
    """
    return namespace(A).triu(A, k=diagonal)


@triu.samples
def _(case):
    yield case(case.normal(4, 4))
    yield case(case.normal(3, 4), diagonal=1)
    yield case(case.normal(4, 3), diagonal=-1)


@triu.reference
def _(mp, A, *, diagonal):
    return mp.triu(A, diagonal)


@_self_adjoint
@primitive("...->...")
def mask(A, *, mask, batch_ndim=0):
    """The entries of A where a mask is true, zero elsewhere (whatever A holds there, NaN too).

    Parameters
    ----------
    A : array (..., *shape of the mask)
    mask : array of bool
        Broadcasts to the shape of A. A constant.

    Returns
    -------
    array of the shape of A

    Raises
    ------
    LinAlgError of the array's library
        The mask is not boolean, or does not broadcast to the shape of A.

    Notes
    -----
    C = M ∘ A: Ċ = M ∘ Ȧ and Ā = M ∘ C̄. Cost: one pass over the array.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.mask(np.array([1.0, np.nan]), mask=np.array([True, False]))
    array([1., 0.])
    """
    xp = namespace(A)
    if not hasattr(mask, "dtype"):
        mask = np.asarray(mask)
    if not str(mask.dtype).removeprefix("torch.").startswith(("bool", "<dtype: 'bool")):
        raise front(A).DtypeError(f"mask: argument mask has dtype {mask.dtype}. Pass booleans: M != 0.")
    core, have = tuple(A.shape)[batch_ndim:], tuple(mask.shape)
    if len(have) > len(core) or any(
        m not in (1, n) for m, n in zip(have[::-1], core[::-1], strict=False) if n is not None
    ):
        raise front(A).ShapeError(f"mask: argument mask of shape {have} does not broadcast to A of shape {core}.")
    return xp.where(xp.constant(mask, A), A, xp.zeros_like(A))


@mask.samples
def _(case):
    yield case(case.normal(2, 3), mask=np.array([[True, False, True], [False, False, True]]))
    yield case(case.normal(2, 3), mask=np.array([True, False, True]))


@mask.reference
def _(mp, A, *, mask, batch_ndim):
    return A * np.where(mask, 1, 0)


@_self_adjoint
@primitive("(n,n)->(n,n)")
def phi(A):
    """Φ(A), the lower triangle of A with halved diagonal, which appears in every rule of the Cholesky decomposition.

    Returns
    -------
    array (..., n, n)

    Notes
    -----
    The inverse of X ↦ X + Xᴴ, from Hermitian matrices to lower triangular ones with real diagonal. Linear and
    diagonal in the entries: Φ is its own derivative and its own adjoint. Murray (2016), section 3. Cost: one pass
    over the matrix.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.phi(np.full((2, 2), 2.0))
    array([[1., 0.],
           [2., 1.]])
    """
    return namespace(A).phi(A)


@phi.samples
def _(case):
    yield case(case.normal(4, 4))


@phi.reference
def _(mp, A):
    return (mp.tril(A, 0) + mp.tril(A, -1)) / 2
