"""The eigenvalues and eigenvectors of many small symmetric matrices: by compiled loops, where there is numba.

May import NumPy, `compiled`, `kernel` and `side_by_side` of the kernels.
"""

import numpy as np

from overbar.kernels import _compiled
from overbar.kernels._kernel import kernel
from overbar.kernels._side_by_side import by_parts, filled, rows

#: So many matrices are one vector; and the fewest numbers for which that is worth a compiler, which takes longer than
#: for a Cholesky decomposition.
MATRICES, NUMBERS = 8, 16384

#: From so many numbers on the work is shared among threads.
SHARED = 50_000


@kernel("(n,n)->(n),(n,n),()", "==i", stacked=True)
def small_eigh(A, part, threads=1):
    """The eigenvalues, in ascending order, and eigenvectors of real symmetric matrices, whose lower triangles are read,
    and for each 0; 1 where a matrix is not finite or its iteration does not end, and what stands there is no result. By
    numba alone: `side_by_side.for_loops` says where. Of the components of a vector that are no smaller than this part
    of the largest, the first is positive.

    Householder's reflections make a matrix T tridiagonal, and the QL iteration with Wilkinson's shifts makes T diagonal
    (Golub and Van Loan 2013, sections 8.3.1 and 8.3.3; Bowdler, Martin, Reinsch and Wilkinson 1968). A step of it goes
    from the last row up to the first one whose entry beside the diagonal is left. The last row and column of a matrix
    are reduced first, here as the first ones of a matrix in the opposite order: what is large in a smooth matrix, as a
    covariance is, is where reductions end, and the iteration wants it in the last rows. Matrices that are computed side
    by side take the same steps, one that has converged by no angle, and none begins later where T has come apart: with
    g, c, s and p as in that paper, a block ends at row i + 1 where eᵢ is negligible, beside half an ε of |dᵢ| + |dᵢ₊₁|,
    and the next one begins above it, as if the step began there,

        eᵢ₊₁ = g,    dᵢ₊₁ − p → dᵢ₊₁,    g = dᵢ − σ,    c = s = 1,    p = 0,

    with a rotation by no angle. The shift σ is that of the topmost block, and for others one as good as any.

    The error is that of LAPACK, a few ε of the largest eigenvalue. 9n³ flops, in vectors.
    """
    loops, count = _compiled.loops("eigen"), len(A)
    (A,) = filled(loops.LANES, A)
    A, upper = rows(A)
    w, V = np.empty(A.shape[:2], A.dtype), np.empty(A.shape, A.dtype)
    failed = np.empty(len(A), np.int64)

    def compute(first, end):
        loops.eigenvectors(A[first:end], upper, part, w[first:end], V[first:end], failed[first:end])

    by_parts(compute, A, loops.LANES, threads, SHARED)
    return w[:count], V[:count], failed[:count]
