"""The factorisation of symmetric indefinite matrices by Bunch and Kaufman's pivots, and what these say.

May import NumPy, SciPy, and `kernel` and `stacks` of the kernels.
"""

import numpy as np
import scipy.linalg

from overbar.kernels._kernel import kernel
from overbar.kernels._stacks import lapack, refuse_not_finite


@kernel("(n,n)->(n,n),(n,n),(n)", "==i")
def bunch_kaufman(A, *, lower):
    """SciPy's ldl of a Hermitian matrix."""
    refuse_not_finite("ldl", A=A)
    if len(A) == 0:
        return A, A, np.arange(0)
    if A.dtype.kind == "c":  # LAPACK takes the diagonal for real, and SciPy warns where it is not
        A = A - 1j * np.diag(A.diagonal().imag)
    return scipy.linalg.ldl(A, lower=lower)


@kernel("(n,n)->(n,n),(n)", "=i")
def sytrf(A, *, hermitian):
    """LAPACK's factors of A in one array, and its pivots."""
    if len(A) == 0:
        return A, np.arange(0)
    name = "hetrf" if hermitian and A.dtype.kind == "c" else "sytrf"
    size = int(lapack(f"{name}_lwork", A.dtype)(len(A), lower=1)[0].real)
    LD, pivots, _ = lapack(name, A.dtype)(A, lower=1, lwork=size)
    return np.tril(LD), pivots


@kernel("(n)->(n),(n,n),(n,n),(n)", "iiii")
def ldl_order(pivots):
    """What pivots say: the order of the rows; for each column of LD in which rows of it those of L[perm] are, and where
    the rows of LD are in that; and a 1 where a block of two begins.

    LAPACK exchanges rows of what is left of A, and not those of the columns that it has done."""
    pivots = np.rint(pivots.real).astype(int)
    n = len(pivots)
    perm, rows, double = np.arange(n), np.arange(n)[:, None] + np.zeros((1, n), int), np.zeros(n, int)
    k = 0
    while k < n:
        two = pivots[k] < 0
        i, j = (k + 1, -pivots[k] - 1) if two else (k, pivots[k] - 1)
        if not i <= j < n:
            raise np.linalg.LinAlgError(
                f"pivot {k + 1} is {pivots[k]}, which belongs to no factorisation. Take those that ldl_factor returns."
            )
        if i != j:
            perm[[i, j]] = perm[[j, i]]
            rows[[i, j], :k] = rows[[j, i], :k]
        double[k] = two
        k += 1 + two
    back = np.empty_like(rows)
    np.put_along_axis(back, rows, np.arange(n)[:, None], 0)
    return perm, rows, back, double
