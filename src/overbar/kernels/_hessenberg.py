"""The Hessenberg form, and what its derivative solves: X H − H X = F below the subdiagonal.

May import NumPy, SciPy, and `kernel` and `stacks` of the kernels.
"""

import numpy as np
import scipy.linalg

from overbar.kernels._kernel import kernel
from overbar.kernels._stacks import mH, refuse_not_finite


@kernel("(n,n)->(n,n),(n,n)", "==")
def gehrd(A):
    """SciPy's Hessenberg form H and the unitary Q."""
    refuse_not_finite("hessenberg", A=A)
    if len(A) == 2 and A.dtype.kind == "c":
        return _two(A)
    return scipy.linalg.hessenberg(A, calc_q=True, check_finite=False) if A.size else (A, A)


def _two(A):
    """What LAPACK does to the last column of larger complex matrices, and SciPy leaves out: it makes the subdiagonal
    real."""
    below = A[1, 0]
    if below.imag == 0:
        return A, np.eye(2, dtype=A.dtype)
    Q = np.diag([1, below / abs(below) * (-1 if below.real >= 0 else 1)]).astype(A.dtype)
    H = Q.conj() @ A @ Q
    H[1, 0] = H[1, 0].real
    return H, Q


@kernel("(n,n),(n,n)->(n,n)", "=", stacked=True)
def hessenberg_commutator(H, F, *, adjoint):
    """The X below the diagonal, zero in its first column, for which X H − H X agrees with F below the subdiagonal. Or
    the adjoint: the Y below the subdiagonal for which Y Hᴴ − Hᴴ Y agrees with F where X may differ from zero."""
    kind = np.result_type(H, F)
    n, H = H.shape[-1], np.triu(H, -1)
    X = np.zeros(F.shape, kind)
    beside = np.diagonal(H, -1, -2, -1)
    small = 10 * n * np.finfo(kind).eps * abs(H).max((-2, -1), initial=0)[:, None]
    counted = n - 1 if kind.kind == "c" else n - 2  # the sign of the last number of a real matrix is its own
    zero = np.argwhere(abs(beside[:, : max(counted, 0)]) <= small)
    if len(zero):
        raise np.linalg.LinAlgError(
            f"hessenberg: number {zero[0, 1]} on the subdiagonal of H is zero, to rounding: the columns of Q behind it "
            "are arbitrary, and there is no derivative."
        )

    def times(A, x):
        return (A @ x[..., None])[..., 0]

    if not adjoint:
        for j in range(n - 2):
            rows = slice(j + 2, n)
            rest = F[:, rows, j] - times(X[:, rows, 1 : j + 1], H[:, 1 : j + 1, j])
            rest += times(H[:, rows, j + 1 :], X[:, j + 1 :, j])
            X[:, rows, j + 1] = rest / beside[:, j, None]
        return X
    G, C = mH(H), H.conj()
    for j in reversed(range(n - 2)):
        rows = slice(j + 2, n)
        rest = F[:, rows, j + 1] - times(X[:, rows, j + 1 :], C[:, j + 1, j + 1 :])
        rest += times(G[:, rows, j + 3 :], X[:, j + 3 :, j + 1])
        X[:, rows, j] = rest / C[:, j + 1, j, None]
    return X
