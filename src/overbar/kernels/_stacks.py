"""What kernels share, for whole stacks of matrices (k, m, n).

May import NumPy and SciPy. Where matrices are small, a call of LAPACK through SciPy takes longer than the work that it
does, so that loops over a stack contain single calls, and everything else is done for all of its matrices at once.
"""

import functools

import numpy as np
import scipy.linalg

from overbar._messages import not_finite

# Up to this order, triangular systems of a stack are solved all at once.
TOGETHER = 16


@functools.cache
def lapack(name, dtype):
    """The routine of LAPACK for arrays of this dtype."""
    return scipy.linalg.get_lapack_funcs((name,), dtype=dtype)[0]


def solve_upper(T, B):
    """T⁻¹ B for upper triangular T without zeros on the diagonal, for stacks of both."""
    if len(T) > 1 and T.shape[-1] <= TOGETHER:
        # LAPACK's LU of an upper triangular matrix eliminates nothing and pivots nowhere
        return np.linalg.solve(T, B)
    X = np.empty(B.shape, np.result_type(T, B))
    if X.size:
        trtrs = lapack("trtrs", X.dtype)
        for i in range(len(X)):
            X[i] = trtrs(T[i], B[i])[0]
    return X


def mH(A):
    """The conjugate transpose."""
    return A.conj().swapaxes(-1, -2)


@functools.lru_cache(32)
def above(n, k):
    """Which entries of a matrix of order n lie above its k-th diagonal; kept, and not to be written to."""
    mask = ~np.tri(n, k=k, dtype=bool)
    mask.flags.writeable = False
    return mask


def whole_pivots(pivots):
    """Pivots, which primitives have as floats, as integers. What is no integer is refused, but for the small steps of
    somebody who takes differences: the function does not change with those."""
    pivots = np.real(pivots)
    whole = np.rint(pivots)
    wrong = ~(abs(pivots - whole) < 0.1)
    if wrong.any():
        i = int(wrong.argmax())
        raise np.linalg.LinAlgError(f"pivot {i} is {pivots[i]:g}, and must be an integer: take those of the factors.")
    return whole.astype(int)


def refuse_not_finite(function, **arrays):
    """Refuse NaN and infinity, on which LAPACK's iterations need not end. (`Kernel` says which matrix of a batch.)"""
    for name, A in arrays.items():
        if not np.isfinite(A).all():
            place = tuple(np.argwhere(~np.isfinite(A))[0].tolist())
            raise np.linalg.LinAlgError(not_finite(name, (), place[-2:], A[place], function))
