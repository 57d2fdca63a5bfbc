"""Both rules of the Cholesky factor of one matrix of medium size, by SciPy's BLAS.

May import NumPy, SciPy, and `kernel` and `stacks` of the kernels. At these sizes a product takes as long as the handful
of passes over a block that words take beside it, and as a call of Python: triangular products and solutions, in place,
are half of the flops and of the calls. The rules are those of `rules.cholesky`, which has the derivation.

BLAS stores by columns, so that it gets the transposes: Lᵀ is upper triangular, and X op(L) = B is op(Lᵀ) Xᵀ = Bᵀ.
"""

import numpy as np
from scipy.linalg import blas

from overbar.kernels._kernel import kernel
from overbar.kernels._stacks import above

LEAST = 40  #: the size from which on these kernels take less time than words, on one thread
LARGEST = 5120  #: up to so many bytes for a row; above it words do, with less memory

_WHOLE = 72  # the size of blocks that are not cut again, as in `rules.halving`
EVEN = 8  #: the ratio of two entries on the diagonal of a factor up to which halves are as exact as the whole

_BLAS = {
    kind: (getattr(blas, f"{name}trmm"), getattr(blas, f"{name}trsm"))
    for kind, name in zip("fdFD", "sdcz", strict=True)
}


@kernel("(n,n),(n,n)->(n,n)")
def cholesky_cotangent(L, L_bar):
    """The reverse rule."""
    dtype = np.result_type(L, L_bar)
    return _cotangent(L.astype(dtype, copy=False), L_bar.astype(dtype, copy=False), _size(L))


@kernel("(n,n),(n,n)->(n,n)")
def cholesky_tangent(L, A_dot):
    """The forward rule, for Hermitian Ȧ."""
    dtype = np.result_type(L, A_dot)
    return _tangent(L.astype(dtype, copy=False), A_dot.astype(dtype, copy=False), _size(L))


def _size(L):
    d = np.abs(L.diagonal())
    return _WHOLE if len(d) and d.max() <= EVEN * d.min() else len(d)


def _middle(n):
    """Where to cut, in blocks of about the same size."""
    return -(-n // 16) * 8


def _halves(L):
    """Where to cut, and copies of the blocks of L, whose rows do not collide in the
    cache as those of a matrix of 128 do."""
    k = _middle(len(L))
    return k, np.ascontiguousarray(L[:k, :k]), np.ascontiguousarray(L[k:, :k]), np.ascontiguousarray(L[k:, k:])


def _subtract(C, X, Y, size):
    """C − X Y in the memory of C: of blocks that are cut, the lower ones."""
    n = len(C)
    if n <= size:
        C -= X @ Y
        return
    k = _middle(n)
    _subtract(C[:k, :k], X[:k], Y[:, :k], size)
    _subtract(C[k:, k:], X[k:], Y[:, k:], size)
    C[k:, :k] -= X[k:] @ Y[:, :k]


def _phi(X):
    np.copyto(X, 0, where=above(len(X), 0))
    X.flat[:: len(X) + 1] *= 0.5
    return X


def _cotangent(L, G, size):
    n = len(L)
    if n <= size:
        trmm, trsm = _BLAS[L.dtype.char]
        X = G.copy()
        np.copyto(X, 0, where=above(n, 0))
        X = _phi(trmm(1.0, L.T, X.T, side=1, trans_a=2, overwrite_b=1).T)  # Lᴴ L̄
        X = trsm(1.0, L.T, X.T, side=1, trans_a=2, overwrite_b=1)
        X = trsm(1.0, L.T, X, overwrite_b=1).T
        A_bar = X + X.conj().T
        A_bar *= 0.5
        return A_bar
    k, L11, L21, L22 = _halves(L)
    A_bar = np.empty_like(G)
    A22_bar = _cotangent(L22, G[k:, k:], size)
    X = A22_bar @ L21
    X *= -2
    X += G[k:, :k]
    _, trsm = _BLAS[L.dtype.char]
    X = trsm(1.0, L11.T, X.T, overwrite_b=1).T
    A_bar[k:, k:] = A22_bar
    G11 = G[:k, :k].copy()
    _subtract(G11, X.conj().T, L21, size)
    A_bar[:k, :k] = _cotangent(L11, G11, size)
    X *= 0.5
    A_bar[k:, :k] = X
    A_bar[:k, k:] = X.conj().T
    return A_bar


def _tangent(L, A_dot, size):
    n, (trmm, trsm) = len(L), _BLAS[L.dtype.char]
    if n <= size:
        X = trsm(1.0, L.T, A_dot.T, side=1)
        X = _phi(trsm(1.0, L.T, X, trans_a=2, overwrite_b=1).T)
        return trmm(1.0, L.T, X.T, side=1, overwrite_b=1).T
    k, L11, L21, L22 = _halves(L)
    L_dot = np.zeros_like(A_dot)
    L_dot[:k, :k] = L11_dot = _tangent(L11, A_dot[:k, :k], size)
    X = L21 @ L11_dot.conj().T
    np.subtract(A_dot[k:, :k], X, out=X)
    L_dot[k:, :k] = X = trsm(1.0, L11.T, X.T, trans_a=2, overwrite_b=1).T
    X = X @ L21.conj().T
    L_dot[k:, k:] = _tangent(L22, A_dot[k:, k:] - X - X.conj().T, size)
    return L_dot
