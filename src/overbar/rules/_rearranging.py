"""Rearranging: functions that move entries about without computing with them.

May import `overbar._namespace` and `overbar._primitive`. All are linear, so that the forward rule is the function
itself, and the reverse rule puts each entry of the bar back where the entry came from, with zero elsewhere.
"""

import math

import numpy as np

from overbar._namespace import front, mT, namespace
from overbar._primitive import primitive


def _linear(function):
    """Register the forward rule of a linear function of one array."""

    @function.jvp
    def _(C, A, **options):
        return (lambda A_dot: function.function(A_dot, **options),)

    return function


@_linear
@primitive("(m,n)->(n,m)")
def matrix_transpose(A):
    """The transpose C = Aᵀ of the last two dimensions. (Not conjugated.)

    Returns
    -------
    array (..., n, m)

    Notes
    -----
    Ċ = Ȧᵀ, hence Ā = C̄ᵀ. Cost: none in NumPy, where it is a view; one copy in the frameworks.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.matrix_transpose(np.array([[1.0, 2.0]]))
    array([[1.],
           [2.]])
    """
    return mT(A)


@matrix_transpose.vjp
def _(C_bar, C, A):
    return (lambda: mT(C_bar),)


@matrix_transpose.samples
def _(case):
    yield case(case.normal(2, 3))


@matrix_transpose.reference
def _(mp, A):
    return mp.mT(A)


@_linear
@primitive("...->...")
def reshape(A, *, shape, batch_ndim=0):
    """The entries of A, in row-major order, in another shape.

    Parameters
    ----------
    shape : int or tuple of int
        The new shape; one entry may be −1.

    Returns
    -------
    array of that shape

    Raises
    ------
    ValueError, RuntimeError or InvalidArgumentError, as the library's own reshape
        The number of entries differs.

    Notes
    -----
    Ċ = reshape(Ȧ), hence Ā is C̄ in the shape of A. Cost: none, or one copy.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.reshape(np.array([[1.0, 2.0], [3.0, 4.0]]), shape=(4,))
    array([1., 2., 3., 4.])
    """
    xp = namespace(A)
    shape = (shape,) if isinstance(shape, int) else shape
    if not batch_ndim:
        return xp.reshape(A, shape)
    batch, core = xp.shape(A)[:batch_ndim], xp.shape(A)[batch_ndim:]
    if -1 in shape and any(
        isinstance(size, int) and size == 0 for size in batch
    ):  # of an empty array the library cannot tell what −1 stands for
        shape = tuple(math.prod(core) // -math.prod(shape) if size == -1 else size for size in shape)
    return xp.reshape(A, (*batch, *shape))


@reshape.vjp
def _(C_bar, C, A, **options):
    xp = namespace(A)
    return (lambda: xp.reshape(C_bar, xp.shape(A)),)


@reshape.samples
def _(case):
    yield case(case.normal(2, 6), shape=(3, 4))
    yield case(case.normal(2, 6), shape=-1)


@reshape.reference
def _(mp, A, *, shape, batch_ndim):
    return A.reshape(shape)


@_linear
@primitive("(m,n)->(k)")
def vec(A):
    """vec(A): the columns of A stacked into one vector.

    Returns
    -------
    array (..., m n)

    Notes
    -----
    The vec of the matrix calculus literature, where vec(A X B) = (Bᵀ ⊗ A) vec(X). Ċ = vec(Ȧ), hence Ā is C̄ cut into
    columns again. Cost: one copy.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.vec(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([1., 3., 2., 4.])
    """
    xp = namespace(A)
    *batch, m, n = xp.shape(A)
    return xp.reshape(mT(A), (*batch, m * n))


@vec.vjp
def _(C_bar, C, A):
    xp = namespace(A)
    *batch, m, n = xp.shape(A)
    return (lambda: mT(xp.reshape(C_bar, (*batch, n, m))),)


@vec.samples
def _(case):
    yield case(case.normal(2, 3))


@vec.reference
def _(mp, A):
    return A.T.reshape(-1)


@_linear
@primitive("...->...")
def subset(A, *, index, batch_ndim=0):
    """A selection of the entries of A, ``C = A[index]``.

    Parameters
    ----------
    index
        Whatever NumPy takes: integers, slices, integer arrays (an entry may be taken twice), boolean masks, None,
        ``...``, and tuples of them. A constant. For tensors of PyTorch the arrays may be tensors, too; on an
        accelerator that saves copying them there in each call.

    Returns
    -------
    array

    Raises
    ------
    IndexError
        The index does not fit the shape.

    Notes
    -----
    C = S A with a matrix S of zeros and ones: Ċ = S Ȧ and Ā = Sᵀ C̄, which is `embed`: zero where nothing was taken,
    a sum where an entry was taken more than once. Cost: one pass over C, and one over A for Ā.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(lambda A: overbar.subset(A, index=[0, 0, 2]), np.array([1.0, 2.0, 3.0]))
    >>> C, pullback(np.ones(3))[0]
    (array([1., 1., 3.]), array([2., 0., 1.]))
    """
    return namespace(A).subset(A, index, len(A.shape) - batch_ndim)


@subset.vjp
def _(C_bar, C, A, *, index, batch_ndim):
    def A_bar():
        xp = namespace(A)
        shape = xp.shape(A)
        core = shape[batch_ndim:]
        return xp.put_back(C_bar, index, core, shape[:batch_ndim])

    return (A_bar,)


@subset.samples
def _(case):
    yield case(case.normal(4, 3), index=(slice(1, 3), 2))
    yield case(case.normal(4, 3), index=([0, 2, 2], slice(None, None, -1)))
    yield case(case.normal(2, 3), index=np.array([[True, False, True], [False, True, False]]))


@subset.reference
def _(mp, A, *, index, batch_ndim):
    return A[index]


@_linear
@primitive("...->...")
def embed(B, *, index, shape, batch_ndim=0):
    """The array C of zeros of a given shape, but for B at an index: ``C[index] += B``.

    Parameters
    ----------
    B
        Of the shape of ``C[index]``.
    index
        As in `subset`. Where it names an entry twice, what falls there adds up.
    shape : int or tuple of int
        The shape of C.

    Returns
    -------
    array of that shape

    Raises
    ------
    IndexError
        The index does not fit the shape.
    LinAlgError of the array's library
        B does not have the shape of ``C[index]``.

    Notes
    -----
    The adjoint of `subset`: Ċ = embed(Ḃ), B̄ = C̄[index]. Cost: one pass over C.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.embed(np.array([1.0, 2.0]), index=(slice(0, 2), 1), shape=(2, 2))
    array([[0., 1.],
           [0., 2.]])
    """
    xp = namespace(B)
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    target, core = xp.positions(shape, index, B).shape, tuple(B.shape)[batch_ndim:]
    if len(core) != len(target) or any(m is not None and m != n for m, n in zip(core, target, strict=True)):
        raise front(B).ShapeError(
            f"embed: argument B of shape {core} does not have the shape {tuple(target)} of C[index]."
        )
    return xp.put_back(B, index, shape, xp.shape(B)[:batch_ndim])


@embed.vjp
def _(C_bar, C, B, *, index, shape, batch_ndim):
    return (lambda: namespace(B).subset(C_bar, index, len(C.shape) - batch_ndim),)


@embed.samples
def _(case):
    yield case(case.normal(2), index=(slice(1, 3), 2), shape=(4, 3))
    yield case(case.normal(3), index=[0, 2, 2], shape=(4,))


@embed.reference
def _(mp, B, *, index, shape, batch_ndim):
    C = mp.zeros(shape)
    np.add.at(C, index, B)
    return C


@_linear
@primitive("(m,n)->(k)")
def diagonal(A, *, offset=0):
    """A diagonal of A as a vector, Cᵢ = A[i, i + offset] (for a negative offset A[i − offset, i]).

    Parameters
    ----------
    offset : int
        0 for the main diagonal, positive above it.

    Returns
    -------
    array (..., k)
        k is the length of the diagonal, 0 where the offset leads out of the matrix.

    Notes
    -----
    Ċ = diagonal(Ȧ), hence Ā has C̄ on that diagonal and zero elsewhere. Cost: one matrix written for Ā.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.diagonal(np.array([[1.0, 2.0], [3.0, 4.0]]), offset=1)
    array([2.])
    """
    return namespace(A).diagonal(A, offset)


@diagonal.vjp
def _(C_bar, C, A, *, offset):
    xp = namespace(A)
    return (lambda: xp.diagonal_embed(C_bar, *xp.shape(A)[-2:], offset),)


@diagonal.samples
def _(case):
    yield case(case.normal(3, 3))
    yield case(case.normal(4, 3), offset=-2)
    yield case(case.normal(3, 4), offset=1)


@diagonal.reference
def _(mp, A, *, offset):
    return A.diagonal(offset)


@_linear
@primitive("(k)->(n,n)")
def diag_embed(d, *, offset=0):
    """The square matrix with d on a diagonal, C[i, i + offset] = dᵢ, and zero elsewhere: the adjoint of `diagonal`.

    Parameters
    ----------
    offset : int
        0 for the main diagonal, positive above it.

    Returns
    -------
    array (..., n, n)
        n = k + |offset|.

    Notes
    -----
    Ċ = diag_embed(ḋ), hence d̄ is that diagonal of C̄. Cost: one matrix written.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.diag_embed(np.array([1.0, 2.0]))
    array([[1., 0.],
           [0., 2.]])
    """
    xp = namespace(d)
    n = xp.shape(d)[-1] + abs(offset)
    return xp.diagonal_embed(d, n, n, offset)


@diag_embed.vjp
def _(C_bar, C, d, *, offset):
    return (lambda: namespace(d).diagonal(C_bar, offset),)


@diag_embed.samples
def _(case):
    yield case(case.normal(3))
    yield case(case.normal(3), offset=-1)


@diag_embed.reference
def _(mp, d, *, offset):
    return np.diag(d, offset)


@primitive("...->...")
def concatenate(*arrays, axis=0, batch_ndim=0):
    """Arrays joined along a dimension.

    Parameters
    ----------
    arrays
        Of equal shapes but for that dimension.
    axis : int
        The dimension.

    Returns
    -------
    array

    Raises
    ------
    ValueError, RuntimeError or InvalidArgumentError, as the library's own function
        The shapes do not fit.

    Notes
    -----
    The bar of each array is the part of C̄ where it lies. Cost: one copy.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.concatenate([np.array([1.0]), np.array([2.0, 3.0])])
    array([1., 2., 3.])
    """
    xp = namespace(*arrays)
    for i, A in enumerate(arrays):
        if xp.static_shape(A) is not None and len(A.shape) <= batch_ndim:
            raise front(*arrays).ShapeError(
                f"concatenate: argument arrays[{i}] is a scalar and has no dimension. Scalars become an array by "
                "overbar.stack."
            )
    return xp.concat(arrays, axis=axis if axis < 0 else axis + batch_ndim)


@concatenate.vjp
def _(C_bar, C, *arrays, axis, batch_ndim):
    xp, ndim = namespace(*arrays), len(C.shape)
    axis = axis % ndim if axis < 0 else axis + batch_ndim

    def part(i):
        start = 0
        for array in arrays[:i]:
            start = start + xp.shape(array)[axis]
        stop = start + xp.shape(arrays[i])[axis]
        return C_bar[(slice(None),) * axis + (slice(start, stop),) + (slice(None),) * (ndim - axis - 1)]

    return tuple(lambda i=i: part(i) for i in range(len(arrays)))


@concatenate.jvp
def _(C, *arrays, **options):
    return lambda *dots: concatenate.function(*dots, **options)


@concatenate.samples
def _(case):
    yield case(case.normal(2, 3), case.normal(1, 3))
    yield case(case.normal(2, 3), case.normal(2, 1), case.normal(2, 2), axis=-1)


@concatenate.reference
def _(mp, *arrays, axis, batch_ndim):
    return np.concatenate(arrays, axis)
