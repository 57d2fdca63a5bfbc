"""Systems of banded matrices, of which only the band is stored.

May import NumPy, SciPy, and `kernel` of the kernels.
"""

import numpy as np
import scipy.linalg

from overbar.kernels._kernel import kernel


def without_corners(ab, lower, upper, out=None):
    """A copy in which what lies outside the matrix is zero, in `out` where that is given."""
    n, out = ab.shape[1], np.empty_like(ab) if out is None else out
    out[...] = ab
    for d in range(1, upper + 1):
        out[upper - d, :d] = 0
    for d in range(1, lower + 1):
        out[upper + d, max(n - d, 0) :] = 0
    return out


@kernel("(p,n),(n,k)->(n,k)", "=")
def gbsv(ab, B, *, lower, upper, adjoint, name):
    """LAPACK's solution of A X = B, or Aᴴ X = B, for a band with so many diagonals below and above the main one."""
    kind, n = np.result_type(ab, B), ab.shape[1]
    if B.size == 0:
        return np.zeros(B.shape, kind)
    if lower == upper == 1 and n > 1:
        (solve,) = scipy.linalg.get_lapack_funcs(("gtsv",), (ab, B))
        above, main, below = ab[0, 1:], ab[1], ab[2, :-1]
        if adjoint:
            above, main, below = below.conj(), main.conj(), above.conj()
        *_, X, info = solve(below, main, above, B)
    else:
        factor, substitute = scipy.linalg.get_lapack_funcs(("gbtrf", "gbtrs"), (ab, B))
        band = np.zeros((2 * lower + upper + 1, n), kind, order="F")
        without_corners(ab, lower, upper, out=band[lower:])
        LU, pivots, info = factor(band, lower, upper, overwrite_ab=True)
        X = B
        if info <= 0:
            X, _ = substitute(LU, lower, upper, B, pivots, trans=2 if adjoint else 0)
    if info > 0:
        raise np.linalg.LinAlgError(
            f"{name}: the matrix is singular: its pivot {info} is zero. There is no solution, or more than one."
        )
    return X
