"""What a task does with tiles of a matrix: NumPy's arrays, by BLAS and LAPACK, in one thread where the worker has one.

May import NumPy, SciPy and `overbar`. A task writes only into memory of its own: what it was given belongs to others,
too. The result of a task is the same, to the last bit, on whichever worker it is computed: so a tile is stored by rows,
and aligned, before BLAS gets it. (One that came over the network starts at an odd address, and NumPy takes other
functions of BLAS for such, with other last bits.)
"""

from __future__ import annotations

import math

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import blas, lapack

from dask_ops._memory import enough
from overbar._messages import bad_minor, not_finite
from overbar.rules._cholesky import forward, reverse

__all__ = [
    "added",
    "bar_of_diagonal",
    "checked",
    "divided",
    "factor",
    "inverse_of_triangle",
    "solved",
    "step",
    "tangent_of_diagonal",
]

_GEMM = {"f": blas.sgemm, "d": blas.dgemm, "F": blas.cgemm, "D": blas.zgemm}
_TRSM = {"f": blas.strsm, "d": blas.dtrsm, "F": blas.ctrsm, "D": blas.ztrsm}
_POTRF = {"f": lapack.spotrf, "d": lapack.dpotrf, "F": lapack.cpotrf, "D": lapack.zpotrf}


def _stored(A, dtype=None):
    return np.require(A, dtype, requirements=("C", "A"))


def step(C, first, shape, dtype, scale, forms, then, *tiles):
    """A task of a chain: `added`, after ``first[0](C, *first[1:])`` and before ``then[0](sum, *others, *then[1:])``, of
    the tiles behind those of the products."""
    given = sum([x.nbytes for x in tiles]) + (0 if C is None else C.nbytes)
    enough(given + math.prod(shape) * np.dtype(dtype).itemsize, shape)
    if first is not None:
        C = first[0](C, *first[1:])
    if forms or C is None:
        C = added(C, shape, dtype, scale, forms, *tiles)
    return C if then is None else then[0](C, *tiles[2 * len(forms) :], *then[1:])


def added(C, shape, dtype, scale, forms, *tiles):
    """C + scale Σ op(A) op(B), for pairs of tiles; without C the sum alone. `forms` says for each pair whether A and B
    are meant as they are, "n", or their conjugate transposes, "h": "nh" for A Bᴴ."""
    if C is None:
        total, beta = np.zeros(shape, dtype), 0.0
    else:
        total, beta = np.array(C, dtype, order="C"), 1.0
    if not total.size:
        return total
    gemm, complex_ = _GEMM[np.dtype(dtype).char], np.dtype(dtype).kind == "c"
    for k, form in enumerate(forms):
        A, B = _stored(tiles[2 * k], dtype), _stored(tiles[2 * k + 1], dtype)
        if not A.size or not B.size:
            continue
        # By columns, as BLAS stores, a tile is its transpose: Cᵀ += op(B)ᵀ op(A)ᵀ. Of op(B) = Bᴴ that is conj(B), of
        # which BLAS gets Bᵀ and the word for a conjugate transpose.
        how = [2 if complex_ and h == "h" else int(h == "h") for h in (form[1], form[0])]
        total, beta = gemm(scale, B.T, A.T, beta, total.T, trans_a=how[0], trans_b=how[1], overwrite_c=1).T, 1.0
    return total


def checked(A, argument, row, column, triangle):
    """The tile, if it is finite; of one on the diagonal its lower triangle counts."""
    if not np.isfinite(np.add.reduce(A, axis=None)):
        looked = np.tril(A) if triangle else A
        bad = np.argwhere(~np.isfinite(looked))
        if len(bad):
            i, j = bad[0].tolist()
            raise LinAlgError(not_finite(argument, (), (row + i, column + j), A[i, j]))
    return A


def factor(A, argument, row):
    """The lower Cholesky factor of a tile on the diagonal, from which is taken what comes from those beside it."""
    A = _stored(A)
    if not A.size:
        return A
    # by columns: the upper factor U of Aᵀ = conj(A) = Uᴴ U, and L = Uᵀ
    U, info = _POTRF[A.dtype.char](A.T, lower=0, clean=1)
    if info > 0:
        raise LinAlgError(bad_minor(argument, (), row + info))
    if not np.isfinite(np.add.reduce(U.diagonal())):
        raise LinAlgError(
            f"cholesky: argument {argument} is not positive definite, or so large that its factor overflows, in its "
            f"rows {row} to {row + len(A) - 1}. Scale it, or compute it in a higher precision."
        )
    return U.T


def solved(T, B, upper, left, adjoint, unitriangular, row, check=True):
    """op(T)⁻¹ B, or B op(T)⁻¹, for a tile T on the diagonal of a triangular matrix."""
    dtype = np.result_type(T, B)
    T, B = _stored(T, dtype), _stored(B, dtype)
    if not T.size or not B.size:
        return B
    if check and not unitriangular:
        zero = np.flatnonzero(T.diagonal() == 0)
        if len(zero):
            i = row + int(zero[0])
            raise LinAlgError(f"argument A is singular, so that there is no A⁻¹ B. Its diagonal is zero at ({i}, {i}).")
    how = (2 if dtype.kind == "c" else 1) if adjoint else 0
    # by columns: Xᵀ op(T)ᵀ = Bᵀ, and Tᵀ is an upper triangle where T is a lower one. BLAS has op(Tᵀ) = Tᵀ, T or
    # conj(T) to offer: (Tᴴ)ᵀ = conj(T) is the last.
    trsm = _TRSM[dtype.char]
    return trsm(1.0, T.T, B.T, side=int(left), lower=int(upper), trans_a=how, diag=int(unitriangular)).T


def divided(B, T, upper, left, adjoint, unitriangular, row=None):
    """`solved`, where a zero on the diagonal is looked for if it is said which row is the first."""
    return solved(T, B, upper, left, adjoint, unitriangular, row, check=row is not None)


def inverse_of_triangle(T):
    """T⁻¹ of a lower tile on the diagonal."""
    return np.tril(solved(T, np.eye(len(T), dtype=T.dtype), False, True, False, False, 0, check=False))


def bar_of_diagonal(L_bar, L):
    """Twice the bar of a tile on the diagonal, for its Cholesky factor: `overbar.cholesky`'s rule."""
    return 2 * reverse(_stored(L), _stored(L_bar, L.dtype))


def tangent_of_diagonal(A_dot, L):
    """The tangent of the factor of a tile on the diagonal, of whose tangent only the lower triangle is right."""
    A_dot = _stored(A_dot, L.dtype)
    low = np.tril(A_dot, -1)
    return forward(_stored(L), low + low.conj().T + np.diag(A_dot.diagonal().real).astype(A_dot.dtype))
