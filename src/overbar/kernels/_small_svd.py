"""The singular values and vectors of many small matrices: by compiled loops, where there is numba.

May import NumPy, `compiled`, `kernel` and `side_by_side` of the kernels.
"""

import numpy as np

from overbar.kernels import _compiled
from overbar.kernels._kernel import kernel
from overbar.kernels._side_by_side import by_parts, filled

#: The largest number of singular values for which the loops take less time than LAPACK.
LARGEST = 24

#: From so many numbers on the work is shared among threads.
SHARED = 50_000


@kernel("(m,n)->(m,n),(n),(n,n),()", "=r=i", stacked=True)
def small_svd(A, part, by_right=False, threads=1):
    """U, S and Vᴴ of real matrices (m, n), m ≥ n, as many columns as there are singular values, in descending order;
    and for each 0; 1 where a matrix is not finite or its iteration does not end, and what stands there is no result. By
    numba alone: `side_by_side.for_loops` says where. Of the components of a column of U, or with `by_right` of a row of
    Vᴴ, that are no smaller than this part of the largest, the first is positive.

    One-sided Jacobi rotations (Hestenes 1958; Demmel and Veselić 1992): V turns two columns of A at a time until they
    are orthogonal, and sweeps over all pairs are repeated until all are. The angle is that which makes the two by two
    of inner products a, b and c diagonal,

        ζ = (b − a)/2c,    t = sign ζ/(|ζ| + √(1 + ζ²)),    cos = 1/√(1 + t²),    sin = t cos.

    Then A V = U diag(S), so that the columns have the singular values for norms. What remains is orthogonal to √m ε of
    the product of its norms: also small singular values are as exact as the columns of A determine them. A column that
    is zero, or less than the square of rounding beside the largest entry, is replaced by one that is orthogonal to the
    others. 2n² (4m + 2n) flops or so for each of five to nine sweeps, in vectors.
    """
    loops, (count, m, n) = _compiled.loops("singular"), A.shape
    (A,) = filled(loops.LANES, A)
    A = np.ascontiguousarray(A)
    U, S, Vh = (np.empty((len(A), *shape), A.dtype) for shape in ((m, n), (n,), (n, n)))
    failed = np.empty(len(A), np.int64)

    def compute(first, end):
        parts = (X[first:end] for X in (U, S, Vh, failed))
        loops.singular_vectors(A[first:end], part, by_right, *parts)

    by_parts(compute, A, loops.LANES, threads, SHARED)
    return U[:count], S[:count], Vh[:count], failed[:count]
