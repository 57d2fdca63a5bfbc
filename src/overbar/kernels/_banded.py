"""Systems of banded matrices, of which only the band is stored.

May import NumPy, and `kernel` and `stacks` of the kernels.
"""

import numpy as np

from overbar.kernels._kernel import kernel
from overbar.kernels._stacks import lapack


def without_corners(ab, lower, upper, out=None):
    """A copy in which what lies outside the matrix is zero, in `out` where that is given."""
    out = np.empty_like(ab) if out is None else out
    out[...] = ab
    return cleared(out, lower, upper)


def cleared(ab, lower, upper):
    """The same in its own memory."""
    n = ab.shape[1]
    for d in range(1, upper + 1):
        ab[upper - d, :d] = 0
    for d in range(1, lower + 1):
        ab[upper + d, max(n - d, 0) :] = 0
    return ab


@kernel("(p,n),(n,k)->(n,k)", "=")
def gbsv(ab, B, *, lower, upper, adjoint, name):
    """LAPACK's solution of A X = B, or Aᴴ X = B, for a band with so many diagonals below and above the main one."""
    kind, n = np.result_type(ab, B), ab.shape[1]
    if B.size == 0:
        return np.zeros(B.shape, kind)
    if lower == upper == 1 and n > 1:
        above, main, below = ab[0, 1:], ab[1], ab[2, :-1]
        if adjoint:
            above, main, below = below.conj(), main.conj(), above.conj()
        *_, X, info = lapack("gtsv", kind)(below, main, above, B)
    else:
        band = np.zeros((2 * lower + upper + 1, n), kind, order="F")
        without_corners(ab, lower, upper, out=band[lower:])
        LU, pivots, info = lapack("gbtrf", kind)(band, lower, upper, overwrite_ab=True)
        X = B
        if info <= 0:
            X, _ = lapack("gbtrs", kind)(LU, lower, upper, B, pivots, trans=2 if adjoint else 0)
    if info > 0:
        raise np.linalg.LinAlgError(
            f"{name}: the matrix is singular: its pivot {info} is zero. There is no solution, or more than one."
        )
    return X
