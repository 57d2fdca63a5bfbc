"""The Cholesky decompositions of many small matrices, and their reverse rule: by compiled loops, where there is numba.

May import NumPy, `compiled` and `kernel` of the kernels.
"""

import math

import numpy as np

from overbar.kernels import _compiled
from overbar.kernels._kernel import kernel

#: The largest matrices for which the loops are faster than LAPACK, products and triangular solves, and the fewest
#: numbers for which that is worth a compiler.
LARGEST, FEWEST = 64, 4096

#: So many numbers are one part of the work of a thread, and from so many on it is shared among threads.
PART, SHARED = 2**16, 2_000_000


def for_loops(A):
    """Whether the kernels of this file can take a stack of matrices, and are faster than words."""
    shape = A.shape
    if len(shape) < 3 or None in shape or not 0 < shape[-1] <= LARGEST or math.prod(shape) < FEWEST:
        return False
    dtype = getattr(A.dtype, "name", str(A.dtype))
    return dtype.endswith(("float32", "float64")) and _compiled.available()


@kernel("(n,n)->(n,n),()", "=i", stacked=True)
def small_cholesky(A, threads=1):
    """The lower Cholesky factors of real matrices, whose lower triangles are read, and for each 0; 1 where it has none,
    or one that is not finite, and what stands there is no factor. By numba alone: `for_loops` says where.

    Column by column: Lⱼⱼ is the root of what is left of Aⱼⱼ, Aⱼⱼ − Σₖ Lⱼₖ² for k < j, and Lᵢⱼ = (Aᵢⱼ − Σₖ Lᵢₖ Lⱼₖ)/Lⱼⱼ.
    """
    loops, count = _compiled.loops("small"), len(A)
    (A,) = _filled(loops.LANES, A)
    A, upper = _rows(A)
    L, failed = np.empty(A.shape, A.dtype), np.empty(len(A), np.int64)

    def compute(first, end):
        loops.decomposition(A[first:end], upper, L[first:end], failed[first:end])

    _by_parts(compute, A, loops.LANES, threads)
    return L[:count], failed[:count]


@kernel("(n,n),(n,n)->(n,n)", stacked=True)
def small_cholesky_cotangent(L, L_bar, threads=1):
    """Ā from the lower triangles of real L and L̄, each entry beside the diagonal half of the bar of both. By numba
    alone: `for_loops` says where.

    The reverse sweep of `small_cholesky`, the last column first. A column of the factor has its bar from every line in
    which it stood; divided by the pivot it is twice a column of Ā, which is symmetric:

        Āᵢⱼ = (L̄ᵢⱼ/2 − Σₖ Āᵢₖ Lₖⱼ)/Lⱼⱼ    for i ≥ j, the sum over k > j.

    (This is the unblocked algorithm of Murray 2016, section 4.1, with the sums gathered: an entry of Ā is written
    once.) n³/3 multiplications, as many as the function has flops.
    """
    loops, dtype, count = _compiled.loops("small"), np.result_type(L, L_bar), len(L)
    L, L_bar = _filled(loops.LANES, L.astype(dtype, copy=False), L_bar.astype(dtype, copy=False))
    (L, upper), (L_bar, upper_bar) = _rows(L), _rows(L_bar)
    A_bar = np.empty(L.shape, dtype)

    def compute(first, end):
        loops.cotangent(L[first:end], upper, L_bar[first:end], upper_bar, A_bar[first:end])

    _by_parts(compute, L, loops.LANES, threads)
    return A_bar[:count]


def _by_parts(compute, A, least, threads):
    """``compute(first, end)`` for all matrices of the stack A, at least so many at a time."""
    count, _, n = A.shape
    step = count if threads == 1 or A.size < SHARED else max(least, PART // n**2)

    def part(first):
        end = min(first + step, count)
        compute(min(first, end - least), end)

    _compiled.in_parts(part, count, step, threads)


def _filled(least, *stacks):
    """The stacks, the last matrix repeated where there are fewer than that."""
    count = len(stacks[0])
    return [A if count >= least else np.concatenate([A, *[A[-1:]] * (least - count)]) for A in stacks]


def _rows(A):
    """A stack without gaps, and whether it has the transposes: those of a transposed stack are there already."""
    turned = A.mT
    if turned.flags.c_contiguous and not A.flags.c_contiguous:
        return turned, True
    return np.ascontiguousarray(A), False
