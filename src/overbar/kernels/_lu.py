"""The LU decomposition with partial pivoting, and what its pivots say.

May import NumPy, `overbar._numpy_words`, and `kernel` and `stacks` of the kernels.
"""

import numpy as np

from overbar._numpy_words import has_nan
from overbar.kernels._kernel import kernel
from overbar.kernels._stacks import lapack, whole_pivots


@kernel("(m,n)->(m,n),(m),(m)", "=ii")
def getrf(A):
    """LAPACK's factors of A in one array, its pivots, counted from 1 and filled up to m, and the rows p that they
    bring to the top: A[p] = L U."""
    m = len(A)
    pivots, p = np.arange(1, m + 1), np.arange(m)
    if A.size:
        unknown = has_nan(A)
        A, swaps, _ = lapack("getrf", A.dtype)(A)
        if unknown:  # of a NaN that it divides by OpenBLAS makes finite numbers
            A[...] = np.nan
        pivots[: len(swaps)] = swaps + 1
        _exchange(p, swaps)
    return A, pivots, p


def _exchange(p, swaps):
    for i, j in enumerate(swaps):
        p[[i, j]] = p[[j, i]]


@kernel("(m),(k)->(m)", "i")
def permutation(rows, pivots):
    """The rows that the pivots of `lu_factor` bring to the top: 0, 1, … m − 1 in another order. Of `rows` only the
    length is read."""
    p, m = np.arange(len(rows)), len(rows)
    pivots = whole_pivots(pivots)
    possible = (pivots > np.arange(len(pivots))) & (pivots <= m)
    if not possible.all():
        i = int(possible.argmin())
        raise np.linalg.LinAlgError(
            f"pivot {i} is {pivots[i]}, but must be between {i + 1} and {m}: pivots count from 1, as those of "
            "lu_factor do. (Add 1 to SciPy's.)"
        )
    _exchange(p, pivots - 1)
    return p
