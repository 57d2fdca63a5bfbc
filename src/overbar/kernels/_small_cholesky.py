"""The Cholesky decompositions of many small matrices, and their reverse rule: by compiled loops, where there is numba.

May import NumPy, `compiled`, `kernel` and `side_by_side` of the kernels.
"""

import numpy as np

from overbar.kernels import _compiled
from overbar.kernels._kernel import kernel
from overbar.kernels._side_by_side import by_parts, filled, rows

#: From so many numbers on the work is shared among threads.
SHARED = 2_000_000


@kernel("(n,n)->(n,n),()", "=i", stacked=True)
def small_cholesky(A, threads=1):
    """The lower Cholesky factors of real matrices, whose lower triangles are read, and for each 0; 1 where it has none,
    or one that is not finite, and what stands there is no factor. By numba alone: `side_by_side.for_loops` says where.

    Column by column: Lⱼⱼ is the root of what is left of Aⱼⱼ, Aⱼⱼ − Σₖ Lⱼₖ² for k < j, and Lᵢⱼ = (Aᵢⱼ − Σₖ Lᵢₖ Lⱼₖ)/Lⱼⱼ.
    """
    loops, count = _compiled.loops("small"), len(A)
    (A,) = filled(loops.LANES, A)
    A, upper = rows(A)
    L, failed = np.empty(A.shape, A.dtype), np.empty(len(A), np.int64)

    def compute(first, end):
        loops.decomposition(A[first:end], upper, L[first:end], failed[first:end])

    by_parts(compute, A, loops.LANES, threads, SHARED)
    return L[:count], failed[:count]


@kernel("(n,n),(n,n)->(n,n)", stacked=True)
def small_cholesky_cotangent(L, L_bar, threads=1):
    """Ā from the lower triangles of real L and L̄, each entry beside the diagonal half of the bar of both. By numba
    alone: `side_by_side.for_loops` says where.

    The reverse sweep of `small_cholesky`, the last column first. A column of the factor has its bar from every line in
    which it stood; divided by the pivot it is twice a column of Ā, which is symmetric:

        Āᵢⱼ = (L̄ᵢⱼ/2 − Σₖ Āᵢₖ Lₖⱼ)/Lⱼⱼ    for i ≥ j, the sum over k > j.

    (This is the unblocked algorithm of Murray 2016, section 4.1, with the sums gathered: an entry of Ā is written
    once.) n³/3 multiplications, as many as the function has flops.
    """
    loops, dtype, count = _compiled.loops("small"), np.result_type(L, L_bar), len(L)
    L, L_bar = filled(loops.LANES, L.astype(dtype, copy=False), L_bar.astype(dtype, copy=False))
    (L, upper), (L_bar, upper_bar) = rows(L), rows(L_bar)
    A_bar = np.empty(L.shape, dtype)

    def compute(first, end):
        loops.cotangent(L[first:end], upper, L_bar[first:end], upper_bar, A_bar[first:end])

    by_parts(compute, L, loops.LANES, threads, SHARED)
    return A_bar[:count]
