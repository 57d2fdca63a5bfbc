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
    gees, wide = _gees(A.dtype, A.shape[-1]), of_wide_range(A)
    for i, M in enumerate(A):
        T[i], Z[i], w[i] = _by_parts(M) if wide[i] else _form(gees, M)
    return T, Z, w


def _form(gees, M):
    found = gees(M)
    if found[-1]:
        raise np.linalg.LinAlgError("the QR iteration for a Schur decomposition did not converge.")
    return found[0], found[-3], found[2] if M.dtype.kind == "c" else found[2] + 1j * found[3]


def of_wide_range(A):
    """Which matrices of a stack have entries that would be lost if the largest one were 1."""
    size = abs(A)
    smallest = np.min(size, (-2, -1), where=size > 0, initial=np.inf)
    return smallest < size.max((-2, -1), initial=0) * np.finfo(A.dtype).tiny


def isolated(M):
    """The eigenvalues of a matrix that a permutation alone isolates: `order` and `inner`, where M[order][:, order] is
    upper triangular but for the rows and columns of the slice. LAPACK's Schur decomposition begins with it, so that
    outside the slice the diagonal of its T has entries of M, not rounded."""
    _, first, last, swaps, _ = lapack("gebal", M.dtype)(M, permute=1, scale=0)
    order, swaps = np.arange(len(M)), swaps.real.astype(int) - 1
    for i in [*range(len(M) - 1, last, -1), *range(first)]:
        order[[i, swaps[i]]] = order[[swaps[i], i]]
    return order, slice(first, last + 1) if last > first else slice(0, 0)


def _by_parts(M):
    """T, Z and the eigenvalues of a matrix of wide range, which LAPACK would scale, and lose the smallest entries: it
    gets only what no permutation makes triangular, and all else is as it was. A triangular matrix has every digit."""
    order, inner = isolated(M)
    T, Z = M[order][:, order], np.eye(len(M), dtype=M.dtype)
    w = T.diagonal().astype(np.result_type(M, np.complex64))
    if inner.stop:
        # as large as LAPACK takes it without a scale of its own: most of the range of numbers is below
        kind, largest = np.finfo(M.dtype), abs(T[inner, inner]).max()
        c = 2.0 ** max(np.frexp(largest)[1] - kind.maxexp // 3, kind.minexp)
        part, turn, eigenvalues = _form(_gees(M.dtype, inner.stop - inner.start), T[inner, inner] / c)
        T[inner], T[:, inner] = mH(turn) @ T[inner], T[:, inner] @ turn
        T[inner, inner], w[inner], Z[inner, inner] = part * c, eigenvalues * c, turn
    return T, Z[np.argsort(order)], w


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
