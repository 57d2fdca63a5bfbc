"""Arranging and contracting arrays of any dimensions: stack, squeeze, expand_dims, outer, einsum.

May import `overbar._namespace` and `rules.arithmetic`. They are made of other functions, and have the rules of these.
"""

import math
import string

from overbar._namespace import front
from overbar.rules._arithmetic import multiply


def stack(arrays, axis=0):
    """Arrays of one shape along a new dimension.

    Parameters
    ----------
    arrays : sequence of array
        Of equal shapes.
    axis : int
        Where in the result the new dimension is.

    Returns
    -------
    array

    Raises
    ------
    ValueError, RuntimeError or InvalidArgumentError, as the library's own function
        The shapes differ.

    Notes
    -----
    The bar of each array is the part of C̄ where it lies. Cost: one copy.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])], axis=-1)
    array([[1., 3.],
           [2., 4.]])
    """
    if not isinstance(arrays, (list, tuple)) or not arrays:
        raise TypeError("stack takes a list or tuple of arrays, with at least one in it.")
    there = front(*arrays)
    return there.xp.stack(list(there.as_arrays(arrays)), axis=axis)


def expand_dims(A, axis=0):
    """A with new dimensions of size 1.

    Parameters
    ----------
    A : array
    axis : int or tuple of int
        Where in the result the new dimensions are.

    Returns
    -------
    array

    Notes
    -----
    Ā is C̄ in the shape of A. Cost: none, or one copy.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.expand_dims(np.array([1.0, 2.0]), axis=1)
    array([[1.],
           [2.]])
    """
    there = front(A)
    (A,) = there.as_arrays([A])
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    total = len(A.shape) + len(axes)
    places = sorted({_place(there, "expand_dims", i, total) for i in axes})
    if len(places) < len(axes):
        raise ValueError(f"expand_dims: axis {axis} names a dimension twice.")
    for i in places:
        A = there.xp.expand_dims(A, axis=i)
    return A


def squeeze(A, axis=None):
    """A without dimensions of size 1.

    Parameters
    ----------
    A : array
    axis : int, tuple of int or None
        Which ones; all of size 1 by default.

    Returns
    -------
    array

    Raises
    ------
    LinAlgError of the array's library
        There is no such dimension, or its size is not 1.

    Notes
    -----
    Ā is C̄ in the shape of A. Cost: none, or one copy.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.squeeze(np.ones((1, 2, 1)), axis=0).shape
    (2, 1)
    """
    there = front(A)
    (A,) = there.as_arrays([A])
    shape = tuple(A.shape)
    if axis is None:
        axes = [i for i, size in enumerate(shape) if size == 1]
    else:
        axes = [_place(there, "squeeze", i, len(shape)) for i in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    wrong = [i for i in axes if shape[i] not in (1, None)]
    if wrong:
        raise there.ShapeError(
            f"squeeze: argument A of shape {shape} has size {shape[wrong[0]]} along axis {wrong[0]}, not 1."
        )
    return there.xp.squeeze(A, axis=tuple(axes)) if axes else A


def _place(there, name, i, ndim):
    if not -ndim <= i < ndim:
        raise there.ShapeError(f"{name}: there are {ndim} dimensions, and no axis {i}.")
    return i % ndim


def outer(a, b):
    """The outer product of two vectors, C = a bᵀ. (Not conjugated.)

    Parameters
    ----------
    a : array (..., m)
    b : array (..., n)
        Real or complex floating point. Batch dimensions broadcast. (`numpy.outer` has none: it flattens.)

    Returns
    -------
    array (..., m, n)

    Raises
    ------
    LinAlgError of the array's library
        An array has no dimension, or the batch dimensions do not broadcast.

    Notes
    -----
    Ċ = ȧ bᵀ + a ḃᵀ, hence ā = C̄ conj(b) and b̄ = C̄ᵀ conj(a). Cost: one pass over C for each bar.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.outer(np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    array([[3., 4.],
           [6., 8.]])
    """
    there = front(a, b)
    a, b = there.as_arrays([a, b])
    if not len(a.shape) or not len(b.shape):
        raise there.ShapeError(
            f"outer: arguments a of shape {tuple(a.shape)} and b of shape {tuple(b.shape)} must be vectors."
        )
    return multiply(a[..., None], b[..., None, :])


def einsum(subscripts, *operands):
    """Einstein's sum of products over indices, of one or two arrays: ``einsum("ij,jk->ik", A, B)`` is A B.

    Parameters
    ----------
    subscripts : str
        The indices of each array, one letter for each dimension, and behind ``->`` those of the result, by default the
        letters that occur once, in alphabetical order. ``...`` stands for further dimensions in front or in between,
        which broadcast.
    operands : array
        One or two. Real or complex floating point.

    Returns
    -------
    array

    Raises
    ------
    LinAlgError of the array's library
        The shapes do not fit the subscripts.
    ValueError
        The subscripts are none, an index occurs twice in one array, or there are more than two arrays.

    Notes
    -----
    Indices that one array alone has are summed first; the others are arranged so that one product of matrices does the
    rest, in BLAS. Both bars are such products: Ā = C̄ conj(B) over the indices of B that A lacks. Cost: that of the
    product, and copies where dimensions have to be moved; twice that for the bars.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A, B = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 1.0], [0.0, 1.0]])
    >>> overbar.einsum("ij,jk->ik", A, B)
    array([[1., 3.],
           [3., 7.]])
    >>> overbar.grad(lambda A: overbar.einsum("ij,ij->", A, B))(A)
    array([[1., 1.],
           [0., 1.]])
    """
    there = front(*operands)
    operands = there.as_arrays(operands)
    labels, result = _indices(there, subscripts, operands)
    sizes = _sizes_of(there, subscripts, operands, labels)
    xp = there.xp
    if len(operands) == 1:
        A, letters = _summed(xp, operands[0], labels[0], result)
        return _permuted(xp, A, letters, result)
    A, B = operands
    A, a = _summed(xp, _widened(xp, A, labels[0], sizes), labels[0], labels[1] + result)
    B, b = _summed(xp, _widened(xp, B, labels[1], sizes), labels[1], labels[0] + result)
    both = [c for c in a if c in b and c in result]
    inner = [c for c in a if c in b and c not in result]
    left, right = [c for c in a if c not in b], [c for c in b if c not in a]
    count = lambda letters: math.prod([sizes[c] for c in letters])  # noqa: E731
    if not inner or not (left or right):  # no matrices: products entry by entry
        A = xp.reshape(_permuted(xp, A, a, [*both, *left, *inner]), _sizes(sizes, both, left, len(right), inner))
        B = xp.reshape(_permuted(xp, B, b, [*both, *right, *inner]), _sizes(sizes, both, len(left), right, inner))
        C, found = A * B, [*both, *left, *right]
        if inner:
            C = xp.sum(C, axis=tuple(range(-len(inner), 0)))
    else:
        lead = tuple(sizes[c] for c in both)
        A = xp.reshape(_permuted(xp, A, a, [*both, *left, *inner]), (*lead, count(left), count(inner)))
        B = xp.reshape(_permuted(xp, B, b, [*both, *inner, *right]), (*lead, count(inner), count(right)))
        found = [*both, *left, *right]
        C = xp.reshape(A @ B, tuple(sizes[c] for c in found))
    return _permuted(xp, C, found, result)


def _sizes_of(there, subscripts, operands, labels):
    """The size of each letter: the larger one, where an array has 1."""
    sizes = {}
    for A, letters in zip(operands, labels, strict=True):
        for letter, size in zip(letters, there.xp.shape(A), strict=True):
            known = sizes.get(letter, 1)
            if _is_one(known):
                sizes[letter] = size
            elif isinstance(size, int) and isinstance(known, int) and size not in (1, known):
                shapes = " and ".join(str(tuple(A.shape)) for A in operands)
                raise there.ShapeError(
                    f'einsum: the index {letter} of "{subscripts}" is {known} in one place and {size} in another, of '
                    f"arrays of shapes {shapes}."
                )
    return sizes


def _is_one(size):
    return isinstance(size, int) and size == 1


def _sizes(sizes, *groups):
    """The sizes of the letters in each group; a number stands for so many dimensions of size 1."""
    return tuple(
        n for group in groups for n in ([1] * group if isinstance(group, int) else [sizes[letter] for letter in group])
    )


def _widened(xp, A, letters, sizes):
    """A with the dimensions of size 1 repeated that are larger in the other array."""
    wide = [sizes[c] for c in letters]
    narrow = any(_is_one(n) and not _is_one(m) for n, m in zip(xp.shape(A), wide, strict=True))
    return xp.broadcast_to(A, tuple(wide)) if narrow else A


def _summed(xp, A, letters, wanted):
    """A summed over the indices that nobody else wants, and the others."""
    axes = tuple(i for i, c in enumerate(letters) if c not in wanted)
    return (xp.sum(A, axis=axes) if axes else A), [c for c in letters if c in wanted]


def _permuted(xp, A, letters, order):
    axes = tuple(list(letters).index(c) for c in order)
    return A if axes == tuple(range(len(axes))) else xp.permute_dims(A, axes)


def _indices(there, subscripts, operands):
    """The letters of each array and those of the result, with letters for `...`."""

    def fail(problem):
        return ValueError(f'einsum: the subscripts "{subscripts}" {problem}')

    if not isinstance(subscripts, str):
        raise TypeError(f"einsum takes the subscripts first, as text, and got a {type(subscripts).__name__}.")
    text, arrow, result = subscripts.replace(" ", "").partition("->")
    parts = text.split(",")
    if len(parts) != len(operands):
        raise fail(f"are for {len(parts)} arrays, but there are {len(operands)}.")
    if len(operands) > 2:
        raise ValueError("einsum takes one or two arrays. Contract more of them two at a time.")
    if any(c not in string.ascii_letters for part in (*parts, result) for c in part.replace("...", "", 1)):
        raise fail("have other signs than letters, commas, one `...` for each array, and `->`.")
    known = {c for c in subscripts if c in string.ascii_letters}
    free = [c for c in string.ascii_letters if c not in known]
    further = [len(A.shape) - len(part.replace("...", "")) for A, part in zip(operands, parts, strict=True)]
    dots, labels = [], []
    for part, more, A in zip(parts, further, operands, strict=True):
        if more < 0 or (more > 0 and "..." not in part):
            raise there.ShapeError(
                f'einsum: an array of shape {tuple(A.shape)} does not have the dimensions "{part}" of "{subscripts}".'
            )
        here = free[:more][::-1]  # counted from the right, as broadcasting does
        dots = here if len(here) > len(dots) else dots
        letters = list(part.replace("...", "".join(here)))
        twice = [c for c in letters if letters.count(c) > 1]
        if twice:
            raise fail(f"have the index {twice[0]} twice in one array. Take overbar.diagonal or overbar.trace first.")
        labels.append(letters)
    if not arrow:
        every = [c for letters in labels for c in letters if c not in dots]
        return labels, [*dots, *sorted(c for c in every if every.count(c) == 1)]
    result = list(result.replace("...", "".join(dots)))
    if len({*result}) < len(result):
        raise fail("have an index twice in the result.")
    missing = [c for c in result if not any(c in letters for letters in labels)]
    if missing:
        raise fail(f"have the index {missing[0]} in the result, but in no array.")
    return labels, result
