"""Cholesky decompositions of many small matrices in plain array words, where a library has no quick loop over them.

May import `overbar._namespace`. An entry of all matrices of a batch is one vector here, and a step for one matrix is a
call for all of them: as many calls as the matrices are large, whatever their number.
"""

import math

from overbar._namespace import front, namespace

#: Up to this size matrices are small, and from so many on they are many.
LARGEST, FEWEST = 32, 64


def are_many_small(*arrays):
    """Whether these are batches of one shape, known by now, of many small real matrices."""
    xp, A = namespace(*arrays), arrays[0]
    shape = xp.static_shape(A)
    if shape is None or len(shape) < 3:
        return False
    for size in shape:
        if type(size) is not int:  # not known yet, or a symbol of a compiler
            return False
    if not 0 < shape[-1] <= LARGEST or math.prod(shape[:-2]) < FEWEST or xp.is_complex(A):
        return False
    return all(xp.static_shape(B) == shape for B in arrays[1:])


def are_quicker_otherwise(*arrays):
    """Whether they are such, and by `as_stacks` quicker than in one call for all of them, as far as that is known."""
    if not are_many_small(*arrays):
        return False
    library, n, count, at_once = _sizes(arrays)
    return library.prefers_vectors(arrays[0], n, count) or at_once < count


def as_stacks(in_vectors, in_words, *arrays):
    """A function of batches of many small matrices, of one shape, which returns such a batch; by whichever is quicker,
    `in_vectors` or `in_words`, both of stacks (count, n, n), and by pieces of these where that is quicker."""
    library, n, count, at_once = _sizes(arrays)
    xp = library.xp
    compute = in_vectors if library.prefers_vectors(arrays[0], n, count) else in_words
    stacks = [xp.reshape(A, (count, n, n)) for A in arrays]
    if at_once < count:
        pieces = [[A[i : i + at_once, ...] for A in stacks] for i in range(0, count, at_once)]
        found = xp.concat([compute(*piece) for piece in pieces], axis=0)
    else:
        found = compute(*stacks)
    return xp.reshape(found, xp.static_shape(arrays[0]))


def _sizes(arrays):
    """The library, the order of the matrices, how many there are, and how many it is quickest to compute at once."""
    library = front(*arrays)
    *batch, _, n = library.xp.static_shape(arrays[0])
    count = math.prod(batch)
    return library, n, count, max(FEWEST, library.at_once(arrays[0], n, count))


def factor_in_vectors(A):
    """L of a stack (count, n, n), column by column: Lⱼ is the first column of what is left of A over the root of its
    first entry, and Lⱼ Lⱼᵀ is taken from the rest. NaN or infinite where there is none."""
    xp, n = namespace(A), A.shape[-1]
    rest, columns = xp.batch_last(A), []
    for j in range(n):
        column = rest[:, 0, ...] / xp.sqrt(rest[0, 0, ...])
        columns.append(column)
        if j < n - 1:
            below = column[1:, ...]
            rest = rest[1:, 1:, ...] - below[:, None, ...] * below[None, ...]
    zero = xp.zeros_like(columns[0][:1, ...])
    columns = [xp.concat([*[zero] * j, column], axis=0) for j, column in enumerate(columns)]
    return xp.batch_first(xp.stack(columns, axis=1))


def reverse_in_vectors(L, L_bar):
    """Ā of stacks (count, n, n), the last column first:

        Āᵢⱼ = (L̄ᵢⱼ/2 − Σₖ Āᵢₖ Lₖⱼ)/Lⱼⱼ    for i ≥ j, the sum over k > j.

    The block of Ā below and to the right of j, which is symmetric, grows by a column and a row in each step.
    """
    xp, n, in_place = namespace(L), L.shape[-1], front(L).may_write(L, L_bar)
    L, half = xp.batch_last(L), xp.batch_last(L_bar) / 2
    A_bar = half[n - 1 :, n - 1 :, ...] / L[n - 1 :, n - 1 :, ...]
    if in_place:
        half[n - 1 :, n - 1 :, ...] = A_bar
    for j in range(n - 2, -1, -1):
        below, pivot = L[j + 1 :, j, ...], L[j, j, ...]
        if in_place:
            A_bar = half[j + 1 :, j + 1 :, ...]
        column = (half[j + 1 :, j, ...] - xp.sum(A_bar * below[None, ...], axis=1)) / pivot
        corner = (half[j : j + 1, j, ...] - xp.sum(column * below, axis=0, keepdims=True)) / pivot
        if in_place:
            half[j, j, ...], half[j + 1 :, j, ...], half[j, j + 1 :, ...] = corner[0, ...], column, column
        else:
            whole = xp.concat([corner, column], axis=0)
            A_bar = xp.concat([whole[:, None, ...], xp.concat([column[None, ...], A_bar], axis=0)], axis=1)
    return xp.batch_first(half if in_place else A_bar)
