"""Schur forms of stacks of matrices, real and complex.

May import NumPy, and `stacks` of the kernels.
"""

import functools

import numpy as np

from overbar.kernels._stacks import lapack, mH


@functools.lru_cache(32)
def _gees(dtype, n):
    """LAPACK's Schur decomposition of n by n matrices."""
    routine = lapack("gees", dtype)
    # the first call asks for the best size of the workspace
    size = int(routine(_unsorted, np.zeros((n, n), dtype), lwork=-1)[-2][0].real)
    return lambda A: routine(_unsorted, A, lwork=size)


def _unsorted(*_):
    return None


def schur_forms(A):
    """T, Z and the eigenvalues of A = Z T Zᴴ, for a stack; a real A has real Z, and a T with 2 by 2 blocks."""
    T, Z = np.empty_like(A), np.empty_like(A)
    w = np.empty(A.shape[:-1], np.result_type(A.dtype, np.complex64))
    if not A.size:
        return T, Z, w
    gees = _gees(A.dtype, A.shape[-1])
    for i, M in enumerate(A):
        found = gees(M)
        if found[-1]:
            raise np.linalg.LinAlgError("the QR iteration for a Schur decomposition did not converge.")
        T[i], Z[i] = found[0], found[-3]
        w[i] = found[2] if A.dtype.kind == "c" else found[2] + 1j * found[3]
    return T, Z, w


def complex_forms(T, Z):
    """Triangular T and Z from those of real matrices with blocks.

    A block of LAPACK's is [[a, b], [c, a]] with b c < 0, eigenvalues a ± i √(−b c) and, for the first of them, the
    eigenvector (b, i √(−b c)), or (√|b|, ± i √|c|) with the sign of b.
    """
    T, Z = T.astype(np.result_type(T, np.complex64)), Z.astype(np.result_type(Z, np.complex64))
    for j in range(T.shape[-1] - 1):
        (blocks,) = np.nonzero(T[:, j + 1, j])
        if not blocks.size:
            continue
        b, c = T[blocks, j, j + 1].real, T[blocks, j + 1, j].real
        first, second = np.sqrt(abs(b)), 1j * np.copysign(np.sqrt(abs(c)), b)
        size = np.hypot(first, abs(second))
        first, second = first / size, second / size
        G = np.stack([first, second, -second.conj(), first], axis=-1).reshape(-1, 2, 2).swapaxes(-1, -2)
        both, above, behind = slice(j, j + 2), slice(0, j + 2), slice(j, None)
        T[blocks, both, behind] = mH(G) @ T[blocks, both, behind]
        T[blocks, above, both] = T[blocks, above, both] @ G
        Z[blocks, :, both] = Z[blocks, :, both] @ G
        T[blocks, j + 1, j] = 0
    return T, Z
