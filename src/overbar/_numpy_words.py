"""The words of `overbar._words` in NumPy.

May import NumPy, SciPy and `overbar._words`, `_messages` and `_refinement`.
"""

from __future__ import annotations

import functools
import math
import mmap
import os

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg import blas, lapack

from overbar._messages import bad_spectrum, first_not_finite, no_inverse, not_positive_definite, singular
from overbar._refinement import probe, refined
from overbar._words import Words

__all__ = [
    "ONE_THREAD",
    "NumpyWords",
    "compact",
    "factor_in_one_call",
    "has_nan",
    "is_large",
    "pairs_of",
    "power_of_two",
]


_TINY = float(np.finfo(float).tiny)

#: Arrays of fewer numbers than this take less time than the operations on them take to begin.
_FEW_NUMBERS = 2**12


def _one_thread():
    """Whether BLAS starts no threads, as far as the environment of this process tells: OpenBLAS reads it when it is
    loaded, and there is one for NumPy and one for SciPy."""
    for name in ("OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS", "OMP_NUM_THREADS"):
        if (value := os.environ.get(name, "")).isdigit():
            return value == "1"
    return (len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()) == 1


#: Where threads are started, SciPy's BLAS is taken for what is small only: see `_substitute`.
ONE_THREAD = _one_thread()

_SMALL = 48  # the size up to which NumPy solves triangular systems without halving them
_IN_ONE_THREAD = 1023  # the entries of B up to which trsm is sure to start no threads: OpenBLAS does from 1,024 on
_LU_IN_ONE_THREAD = 199  # the size up to which getrf starts no threads
_SINGLE = 64  # the size from which on a call for each matrix of a batch is no slower than NumPy's loop
_COMPACT = 2**26  # the bytes of a matrix from which on memory is saved that the zeros of a triangle would take
_STRIP = 256  # the rows that are copied at once
_KEPT_MASK = 72**2  # the entries of masks that are kept: rules go by blocks of 72 rows (`rules.halving`)
_LITTLE = 256  # the entries of a matrix up to which those outside a triangle are faster written one by one
_IN_CACHE = 2**17  # the entries of a product that are still in the cache when it is added to something
_EASY = 1e3  # the condition of a factor's diagonal up to which a solution with it is taken as it is
_GER = {"f": blas.sger, "d": blas.dger, "F": blas.cgeru, "D": blas.zgeru}
_POTRF = {"f": lapack.spotrf, "d": lapack.dpotrf, "F": lapack.cpotrf, "D": lapack.zpotrf}
_POTRS = {"f": lapack.spotrs, "d": lapack.dpotrs, "F": lapack.cpotrs, "D": lapack.zpotrs}
# in double precision, single precision too, as in NumPy's linear algebra
_LU = {"f": (lapack.dgetrf, lapack.dgetrs), "F": (lapack.zgetrf, lapack.zgetrs)}
_LU |= {"d": _LU["f"], "D": _LU["F"]}
_GETRI = {"f": lapack.dgetri, "d": lapack.dgetri, "F": lapack.zgetri, "D": lapack.zgetri}
_SOLVERS = {
    "f": (lapack.strtrs, blas.strsm),
    "d": (lapack.dtrtrs, blas.dtrsm),
    "F": (lapack.ctrtrs, blas.ctrsm),
    "D": (lapack.ztrtrs, blas.ztrsm),
}


def pairs_of(w: np.ndarray, part: float) -> tuple[np.ndarray, ...] | None:
    """`Words.near_pairs` of a NumPy array."""
    if 0 in w.shape:
        return ()
    least = part * np.maximum(-w[..., :1], w[..., -1:])
    found, count = [], 0
    for distance in range(1, w.shape[-1]):
        near = w[..., distance:] - w[..., :-distance] <= least
        if not near.any():
            break
        *batch, i = np.nonzero(near)
        count += len(i)
        if count > w.size * (1 + w.shape[-1] // 16):
            return None
        found.append((*batch, i, i + distance))
    return tuple(map(np.concatenate, zip(*found, strict=True))) if found else ()


class NumpyWords(Words):
    """NumPy. What SciPy's LAPACK is taken for, and why for no more, says `_substitute`."""

    name = "NumPy"

    def is_floating(self, A):
        return A.dtype.char in "fdFD"  # what LAPACK has

    def is_complex(self, A):
        return A.dtype.kind == "c"

    def mT(self, A):
        return A.swapaxes(-1, -2)

    def mH(self, A):
        return self.conj(A.swapaxes(-1, -2))

    def batch_last(self, A):
        return np.ascontiguousarray(A.transpose(1, 2, 0))

    def batch_first(self, A):
        return np.ascontiguousarray(A.transpose(2, 0, 1))

    def conj(self, A):
        return A.conj() if A.dtype.kind == "c" else A

    def real(self, A):
        return A.real if A.dtype.kind == "c" else A

    # NumPy's own functions of these names take several times as long for small arrays, in Python

    def zeros_like(self, A, **kwargs):
        return np.zeros_like(A, **kwargs) if kwargs else np.zeros(A.shape, A.dtype)

    def expand_dims(self, A, axis=0):
        if axis == -1:
            return A[..., None]
        return A[None] if axis == 0 else np.expand_dims(A, axis)

    def squeeze(self, A, axis):
        return A.squeeze(axis)

    def broadcast_to(self, A, shape):
        shape = tuple(shape)
        if A.shape == shape:
            return A
        if math.prod(shape) > 1024:
            return np.broadcast_to(A, shape)
        B = np.empty(shape, A.dtype)
        B[...] = A
        return B

    def sum(self, A, axis=None, keepdims=False, **kwargs):
        if kwargs or A.dtype.kind not in "fc":
            return self.base.sum(A, axis=axis, keepdims=keepdims, **kwargs)
        return np.add.reduce(A, axis=axis, keepdims=keepdims)

    def any(self, A, axis=None, keepdims=False):
        return np.logical_or.reduce(A, axis=axis, keepdims=keepdims)

    def all(self, A, axis=None, keepdims=False):
        return np.logical_and.reduce(A, axis=axis, keepdims=keepdims)

    def tril(self, A, k=0):
        if A.ndim == 2 and A.size <= _LITTLE:
            A = A.copy()
            A.put(_outside(*A.shape, k, False), 0)
            return A
        inside = triangle(*A.shape[-2:], k)
        if A.ndim > 2:
            return np.where(inside, A, A.dtype.type(0))
        found = np.zeros(A.shape, A.dtype)  # which one matrix takes less time for
        np.copyto(found, A, where=inside)
        return found

    def triu(self, A, k=0):
        if A.ndim == 2 and A.size <= _LITTLE:
            A = A.copy()
            A.put(_outside(*A.shape, k, True), 0)
            return A
        return np.where(triangle(*A.shape[-2:], k - 1), A.dtype.type(0), A)

    def phi(self, A):
        n = A.shape[-1]
        if A.ndim == 2 and A.size <= _LITTLE:
            A = A * _half_diagonal(n, A.dtype)
            A.put(_outside(n, n, 0, False), 0)
            return A
        return self.tril(A) * _half_diagonal(n, A.dtype) if n * n <= _KEPT_MASK else super().phi(A)

    def sum_to(self, A, shape):
        return super().sum_to(np.asarray(A), shape)

    def near_pairs(self, w, part):
        return pairs_of(w, part)

    def over_gaps(self, K, w, diagonal):
        i = np.arange(w.shape[-1])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            K = K / (w[..., None, :] - w[..., :, None] + np.eye(len(i), dtype=w.dtype))
        K[..., i, i] = diagonal
        return K

    def add_product(self, C, A, B, scale):
        product = A @ B
        if scale != 1:
            product *= scale
        product += C
        return product

    def combined(self, matrices, rows, constants=None):
        if not matrices or matrices[0].size > _FEW_NUMBERS:
            return Words.combined(self, matrices, rows, constants)
        # one product, as each operation takes a microsecond to begin
        most = max(map(len, rows))
        numbers = np.array([[*row, *[0] * (most - len(row))] for row in rows])
        A = matrices[0]
        together = np.stack(matrices[:most], axis=-3)
        if not np.iscomplexobj(numbers):
            numbers = numbers.astype(together.real.dtype)
        found = numbers @ together.reshape(*A.shape[:-2], most, A.shape[-2] * A.shape[-1])
        if constants is not None:
            found[..., :: A.shape[-1] + 1] += np.array(constants)[:, None]
        return [found[..., i, :].reshape(A.shape) if row else None for i, row in enumerate(rows)]

    def add_product_to(self, C, A, B, scale):
        if A.shape[-1] == 1 and C.ndim == A.ndim == B.ndim == 2 and ONE_THREAD:
            ger = _GER.get(C.dtype.char)
            if ger and A.dtype == B.dtype == C.dtype and C.flags.c_contiguous and C.size:
                # NumPy has no BLAS for products of one column; by columns this is Cᵀ + c B₁ A₁ᵀ, in place
                ger(scale, B[0], A[:, 0], a=C.T, overwrite_a=1)
                return
        rows = max(1, _IN_CACHE // max(1, C.shape[-1]))
        for i in range(0, C.shape[-2], rows):  # the product would be new memory, and pass through it twice
            some = C[..., i : i + rows, :]
            product = A[..., i : i + rows, :] @ B
            if scale == 1:
                some += product
            elif scale == -1:
                some -= product
            else:
                some += scale * product

    def product_to(self, C, A, B):
        np.matmul(A, B, out=C)

    def sum_of_squares(self, *arrays):
        with np.errstate(all="ignore"):
            return super().sum_of_squares(*arrays)

    def power_of_two(self, A):
        return power_of_two(A)

    def diagonal(self, A, offset=0):
        return np.diagonal(A, offset, -2, -1)

    def diagonal_embed(self, d, m, n, offset=0):
        A = np.zeros((*d.shape[:-1], m * n), d.dtype)
        first = offset if offset > 0 else -offset * n
        A[..., first : first + d.shape[-1] * (n + 1) : n + 1] = d
        return A.reshape((*d.shape[:-1], m, n))

    def fill_diagonal(self, A, d):
        n, batch = A.shape[-1], np.broadcast_shapes(A.shape[:-2], d.shape[:-1])
        filled = np.empty((*batch, n, n), A.dtype)
        filled[...] = A
        filled.reshape((*batch, n * n))[..., :: n + 1] = d
        return filled

    def subset(self, A, index, ndim):
        index = index if isinstance(index, tuple) else (index,)
        if _is_basic(index):
            return A[(slice(None),) * (A.ndim - ndim) + index]
        return super().subset(A, index, ndim)

    def put_back(self, B, index, shape, batch):
        index = index if isinstance(index, tuple) else (index,)
        if not _is_basic(index):
            return super().put_back(B, index, shape, batch)
        A = np.zeros((*batch, *shape), B.dtype)
        A[(slice(None),) * len(batch) + index] = B
        return A

    def embed(self, B, where, shape):
        size = math.prod(shape)
        A = np.zeros((*B.shape[:-1], size), B.dtype)
        seen = np.zeros(size, bool)
        seen[where] = True
        if np.count_nonzero(seen) == len(where):
            A[..., where] = B
        else:  # some entry more than once
            np.add.at(A, (..., where), B)
        return A.reshape((*B.shape[:-1], *shape))

    def cholesky(self, A, argument="A", on_error="raise"):
        if A.ndim == 2 and len(A) > 0 and (ONE_THREAD or len(A) <= _SMALL or is_large(A.nbytes)):
            L = factor_in_one_call(A)
            if L is not None:
                return L
        try:
            L = np.linalg.cholesky(A)
        except LinAlgError:
            L = None
        # NaN in the triangle that is read reaches the diagonal; infinity may hide behind it
        if L is None or not np.isfinite(L.diagonal(0, -2, -1)).all():
            if on_error == "raise":
                raise LinAlgError(not_positive_definite(A, argument))
            if A.ndim == 2:
                return np.full_like(A, np.nan)
            return np.stack([self.cholesky(M, argument, on_error) for M in A])
        return L

    def solve(self, A, B, check=True):
        if A.ndim == 2 and B.ndim > 2:
            return _by_columns(lambda columns: self.solve(A, columns), B)
        try:
            X, inverse = _solved_with_probe(A, B)
            X = refined(lambda A, R, X: np.linalg.solve(A, R), A, B, X, "solve" if check else "", inverse)
            return _nan_of(A, X)
        except LinAlgError:
            raise LinAlgError(first_not_finite("solve", A, "A") or singular("A", _first_singular(A))) from None

    def solve_by_factors(self, A, B, left=True, adjoint=False, check=True):
        if not _is_factorised(A, B):
            return super().solve_by_factors(A, B, left, adjoint, check)
        getrf, _ = _LU[A.dtype.char]
        if A.ndim == 2:
            factors, pivots, info = getrf(A)
            if info:
                raise LinAlgError(first_not_finite("solve", A, "A") or singular("A", ()))
            pivots = pivots.astype(factors.dtype)
        else:
            factors = np.empty(A.shape, np.result_type(A.dtype, np.float64)).swapaxes(-1, -2)  # by columns
            pivots = np.empty(A.shape[:-1], factors.dtype)
            for index in np.ndindex(A.shape[:-2]):
                factors[index], pivots[index], info = getrf(A[index])
                if info:
                    raise LinAlgError(first_not_finite("solve", A, "A") or singular("A", index))
        return self._with_factors(A, factors, pivots, B, left, adjoint, "solve" if check else ""), factors, pivots

    def solve_with_factors(self, A, factors, pivots, B, left=True, adjoint=False):
        if factors.shape[-1] == 0 or not _is_factorised(A, B):
            return super().solve_with_factors(A, factors, pivots, B, left, adjoint)
        return self._with_factors(A, factors, pivots, B, left, adjoint, "")

    def _with_factors(self, A, factors, pivots, B, left, adjoint, name):
        """The solution from the factors of A, corrected as that of `solve`."""
        if not left:  # X op(A) = B  is  op(A)ᴴ Xᴴ = Bᴴ
            return self.mH(self._with_factors(A, factors, pivots, self.mH(B), True, not adjoint, name))
        if A.ndim == 2 and B.ndim > 2:
            return _by_columns(lambda columns: self._with_factors(A, factors, pivots, columns, True, adjoint, name), B)
        _, getrs = _LU[A.dtype.char]
        pivots = pivots.real.astype(np.int32)

        def solved(factors, pivots, B):
            return getrs(factors, pivots, B, 2 if adjoint else 0)[0]

        again = np.linalg.solve
        if A.ndim == 2:
            X = solved(factors, pivots, B)
            again = lambda A, R: solved(factors, pivots, R[0])[None]  # noqa: E731
        else:
            batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
            X = np.empty((*batch, *B.shape[-2:]), factors.dtype)
            factors, pivots, of = (
                np.broadcast_to(M, (*batch, *M.shape[M.ndim - core :]))
                for M, core in ((factors, 2), (pivots, 1), (B, 2))
            )
            for index in np.ndindex(batch):
                X[index] = solved(factors[index], pivots[index], of[index])
        X = X.astype(A.dtype, copy=False)
        least = np.abs(factors.diagonal(0, -2, -1)).min(-1)  # the last pivot bounds the last row of A⁻¹
        inverse = 1 / np.maximum(least, _TINY)
        return _nan_of(A, refined(lambda A, R, X: again(A, R), self.mH(A) if adjoint else A, B, X, name, inverse))

    def slogdet_by_factors(self, A):
        if not (ONE_THREAD and A.ndim == 2 and len(A) >= _SINGLE and A.dtype.char in _LU):
            return super().slogdet_by_factors(A)
        factors, pivots, singular = _LU[A.dtype.char][0](A)
        if singular:
            return super().slogdet_by_factors(A)
        d = factors.diagonal()
        size = np.abs(d)
        sign = np.multiply.reduce(d / size) * (-1) ** np.count_nonzero(pivots != np.arange(len(A)))
        logabsdet = np.add.reduce(np.log(size))
        return sign.astype(A.dtype), logabsdet.astype(A.real.dtype), factors, pivots.astype(factors.dtype)

    def inverse_with_factors(self, A, factors, pivots):
        if factors.shape[-1] == 0:
            return self.inverse(A)
        # without room for blocks, which SciPy does not give it by itself, LAPACK works with vectors
        C, _ = _GETRI[A.dtype.char](factors, pivots.real.astype(np.int32), lwork=64 * len(A))
        C = C.astype(A.dtype, copy=False)
        return _nan_of(A, refined(lambda A, R, X: X @ R, A, np.eye(len(A), dtype=A.dtype), C, ""))

    def inv(self, A, warn=False, regular=False):
        try:
            eye = np.eye(A.shape[-1], dtype=A.dtype)
            return _nan_of(A, refined(lambda A, R, X: X @ R, A, eye, np.linalg.inv(A), "inv" if warn else ""))
        except LinAlgError:
            raise LinAlgError(first_not_finite("inv", A, "A") or no_inverse("A", _first_singular(A))) from None

    def eigh(self, A):
        # LAPACK's result need not show NaN: its comparisons take one for small beside another number, and where a block
        # falls apart the others are finite. What is above the diagonal is not read, and may be anything.
        if not are_finite(A) and (message := first_not_finite("eigh", np.tril(A), "A")):
            raise LinAlgError(message)
        try:
            w, V = np.linalg.eigh(A)
        except LinAlgError as error:
            raise LinAlgError(f"{error}\n{bad_spectrum('eigh', np.tril(A), 'A')}") from None
        if not np.isfinite(w).all():
            raise LinAlgError(bad_spectrum("eigh", np.tril(A), "A"))
        return w, V

    def svd(self, A, full_matrices=False):
        if not are_finite(A):  # LAPACK's algorithm never ends for some infinities
            raise LinAlgError(bad_spectrum("svd", A, "A"))
        try:
            return tuple(np.linalg.svd(A, full_matrices=full_matrices))
        except LinAlgError as error:
            raise LinAlgError(f"{error}\n{bad_spectrum('svd', A, 'A')}") from None

    def eig(self, A):
        try:
            w, V = np.linalg.eig(A)
        except LinAlgError as error:
            raise LinAlgError(f"{error}\n{bad_spectrum('eig', A, 'A')}") from None
        kind = np.result_type(A.dtype, np.complex64)  # numpy.linalg.eig gives real arrays where it can
        return w.astype(kind, copy=False), V.astype(kind, copy=False)

    def solve_triangular(self, A, B, *, upper, left=True, adjoint=False, unitriangular=False):
        if _starts_no_threads(A, B):
            return self._in_one_call(A, B, upper, left, adjoint, unitriangular)
        if not unitriangular:
            self._refuse_singular(A)
        if not left:  # X op(A) = B  is  op(A)ᵀ Xᵀ = Bᵀ
            if adjoint:  # (Aᴴ)ᵀ = conj(A)
                A = self.conj(A)
            else:
                A, upper = A.swapaxes(-1, -2), not upper
            return self._substitute(A, B.swapaxes(-1, -2), upper, unitriangular).swapaxes(-1, -2)
        if adjoint:
            A, upper = self.mH(A), not upper
        if A.ndim == 2 and B.ndim > 2:
            return _by_columns(lambda columns: self._substitute(A, columns, upper, unitriangular), B)
        return self._substitute(A, B, upper, unitriangular)

    def cho_solve(self, L, B, *, upper=False):
        if not _starts_no_threads(L, B) or B.shape[1] == 1:
            return super().cho_solve(L, B, upper=upper)
        self._refuse_singular(L)
        # by columns Lᵀ is an upper factor, but of conj(A)
        T, lower = (L.T, upper) if L.dtype.kind != "c" else (L, not upper)
        return _POTRS[L.dtype.char](T, B, lower=lower)[0]

    def solve_with_factor(self, A, L, B, half=None):
        X, d = super().solve_with_factor(A, L, B, half), self.real(L.diagonal(0, -2, -1))
        # the condition of L is at least that of its diagonal; of easy systems nothing more is looked at
        if not d.size or not (d.min(-1) * _EASY < d.max(-1)).any():
            return X
        A = np.tril(A) + self.mH(np.tril(A, -1))
        return refined(lambda A, R, X: self.cho_solve(np.linalg.cholesky(A), R), A, B, X, "")

    def _refuse_singular(self, A):
        diagonal = A.diagonal(0, -2, -1)
        if np.count_nonzero(diagonal) != diagonal.size:
            *index, i = np.argwhere(diagonal == 0)[0].tolist()
            error = LinAlgError(f"{singular('A', index)} Its diagonal is zero at ({i}, {i}).")
            error.matrix = A  # by which the caller knows what it is called there
            raise error

    def _in_one_call(self, A, B, upper, left, adjoint, unitriangular):
        """`solve_triangular` of one small system by one call of SciPy's."""
        # With M = op(A), or op(A)ᵀ where X op(A) = B, all is M X = B. LAPACK and BLAS store by columns: the rows of an
        # array are the columns of what they get. So trtrs gets A or Aᵀ for one right-hand side, and says itself where
        # the diagonal is zero; for more of them it starts threads, and trsm solves Xᵀ Mᵀ = Bᵀ.
        B = B if left else B.T
        single = B.shape[1] == 1
        if adjoint and A.dtype.kind == "c":  # M is Aᴴ, or conj(A)
            plain, how = left == single, 2
        else:
            plain = A.flags.f_contiguous
            how = int(((adjoint == left) == plain) == single)
        T, upper = (A, upper) if plain else (A.T, not upper)
        trtrs, trsm = _SOLVERS[A.dtype.char]
        if single:
            X, info = trtrs(T, B, lower=not upper, trans=how, unitdiag=unitriangular)
            if info:
                self._refuse_singular(A)
        else:
            if not unitriangular:
                self._refuse_singular(A)
            X = trsm(1.0, T, B.T, side=1, lower=not upper, trans_a=how, diag=unitriangular).T
        return X if left else X.T

    def _substitute(self, T, B, upper, unitriangular):
        """T⁻¹ B for triangular T, by halves, so that most of the work is in matrix products.

        SciPy has trsm, which does this in one call, but from a BLAS of its own beside NumPy's. When the two take turns,
        the threads of one still wait busily while those of the other work: on two cores the reverse rule of Cholesky
        took several times as long. SciPy's is taken where it is sure to work in one thread, as for few entries of B, or
        where the environment says that there is no other.
        """
        n = T.shape[-1]
        if _starts_no_threads(T, B):
            return self._in_one_call(T, B, upper, True, False, unitriangular)
        if n <= _SMALL and T.ndim == B.ndim == 2 and T.dtype == B.dtype and B.size:
            X = np.empty(B.shape, B.dtype)
            width = _IN_ONE_THREAD // n
            for first in range(0, B.shape[1], width):
                some = slice(first, first + width)
                X[:, some] = self._in_one_call(T, B[:, some], upper, True, False, unitriangular)
            return X
        if n <= _SMALL:
            # LAPACK's LU of an upper triangular matrix eliminates nothing and pivots nowhere: solving with it is
            # back substitution to the last bit; a lower triangle is turned into an upper one.
            T = np.triu(T) if upper else np.tril(T)
            if unitriangular:
                T[..., range(n), range(n)] = 1
            if upper:
                return np.linalg.solve(T, B)
            return np.linalg.solve(T[..., ::-1, ::-1], B[..., ::-1, :])[..., ::-1, :]
        k = n // 2
        X = np.empty((*np.broadcast_shapes(T.shape[:-2], B.shape[:-2]), *B.shape[-2:]), np.result_type(T, B))
        first, last = (slice(k, n), slice(0, k)) if upper else (slice(0, k), slice(k, n))
        X[..., first, :] = self._substitute(T[..., first, first], B[..., first, :], upper, unitriangular)
        rest = self.add_product(B[..., last, :], T[..., last, first], X[..., first, :], -1)
        X[..., last, :] = self._substitute(T[..., last, last], rest, upper, unitriangular)
        return X


def are_finite(A):
    """Whether no entry is NaN or infinite, by their sum: which may be infinite for finite ones, too."""
    with np.errstate(all="ignore"):
        total = np.add.reduce(A, None)
    return bool(np.isfinite(total)) or bool(np.isfinite(A).all())


def has_nan(A):
    """Whether an entry is NaN, by the least of them, which is NaN then."""
    return bool(np.isnan(np.minimum.reduce(A, None, initial=0)))


def _nan_of(A, X):
    """A⁻¹ B, or what else was computed with A⁻¹, and NaN for the matrices A with a NaN. OpenBLAS leaves out products
    with zeros, also those of a NaN: from one at (0, 0) all rows of A⁻¹ but the first would be finite, and wrong."""
    if not has_nan(A):
        return X
    return np.where(np.isnan(A).any((-2, -1), keepdims=True), X.dtype.type(np.nan), X)


def _starts_no_threads(A, B):
    """Whether a triangular system is one that SciPy's BLAS solves in one thread."""
    if A.ndim != 2 or B.ndim != 2 or A.dtype != B.dtype:
        return False
    if B.size == len(A) or ONE_THREAD:  # one right-hand side, or no threads
        return B.size > 0
    return len(A) <= _SMALL and 0 < B.size <= _IN_ONE_THREAD


def _is_factorised(A, B):
    """Whether SciPy's LU decomposition solves a system, which can be kept; that of NumPy cannot. Not where SciPy's
    BLAS would start threads (see `_substitute`), nor for many small matrices, of which NumPy has the quicker loop."""
    n = A.shape[-1]
    if not B.size or A.dtype != B.dtype or A.dtype.char not in _LU or (A.ndim > 2 and n < _SINGLE):
        return False
    return ONE_THREAD or (n <= _LU_IN_ONE_THREAD and (B.size == n or B.size <= _IN_ONE_THREAD))


def _solved_with_probe(A, B):
    """The solution, and how large that of another right-hand side is, which shows whether A is ill-conditioned."""
    if not (B.size and A.size) or A.dtype.char in "fF" or B.dtype.char in "fF":
        return np.linalg.solve(A, B), None
    batch = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    right = np.empty((*batch, B.shape[-2], B.shape[-1] + 1), np.result_type(B, np.float64))
    right[..., :-1], right[..., -1:] = B, probe(B.shape[-2])
    X = np.linalg.solve(A, right)
    return np.ascontiguousarray(X[..., :-1]), np.abs(X[..., -1]).max(-1)


def _by_columns(solve, B):
    """One matrix, many right-hand sides B (..., n, k): as the columns of one system."""
    n, k = B.shape[-2:]
    X = solve(np.moveaxis(B, -2, 0).reshape(n, math.prod(B.shape[:-2]) * k))
    return np.moveaxis(X.reshape(n, *B.shape[:-2], k), 0, -2)


def _is_basic(index):
    """Whether an index takes each entry at most once, as a view does."""
    return all(isinstance(i, (int, slice)) and i is not True and i is not False for i in index)


def factor_in_one_call(A: np.ndarray) -> np.ndarray | None:
    """The Cholesky factor of one matrix, which has rows, in memory of its own, by one call of SciPy's LAPACK without
    NumPy's copies; None where there is none, or a number that is not finite. For where `ONE_THREAD` holds, or A is
    small, or so large that waking other threads is nothing to it."""
    # LAPACK stores by columns: the upper factor U of Aᵀ = conj(A) = Uᴴ U, and L = Uᵀ.
    if not is_large(A.nbytes):
        U, info = _POTRF[A.dtype.char](A.T, lower=0, clean=1)
    else:
        U, info = _POTRF[A.dtype.char](compact(A).T, lower=0, clean=0, overwrite_a=1)
    # NaN in the triangle that is read reaches the diagonal
    return None if info or not np.isfinite(np.add.reduce(U.diagonal())) else U.T


def is_large(size: int) -> bool:
    """Whether a matrix of so many bytes is worth the trouble to save memory."""
    return size >= _COMPACT


def compact(A: np.ndarray) -> np.ndarray:
    """The lower triangle of a large matrix and zeros, in memory of its own, of which the zeros of the first quarter of
    the rows take none: a fifth of the matrix.

    The system gives memory a page at a time, where something is written. NumPy asks for pages of 2 MiB, which are there
    whole as soon as one number is. In those rows, whose triangle is short, the pages are the usual small ones, and
    those that hold zeros only are not there. (In all rows it would be a third of the matrix; but so many pages are
    looked up for so long that the factorisation takes 6 % longer.)"""
    n = len(A)
    memory = _pages(A.nbytes, n // 4 * n * A.itemsize)
    out = np.zeros(A.shape, A.dtype) if memory is None else np.frombuffer(memory, A.dtype).reshape(A.shape)
    for i in range(0, n, _STRIP):
        rows = slice(i, i + _STRIP)
        out[rows, :i] = A[rows, :i]
        out[rows, rows] = np.tril(A[rows, rows])
    return out


def _pages(size, small):
    """Memory of a number of bytes, all zero, of which the first, `small` of them, are in small pages; None where the
    system has no such memory to give."""
    if not hasattr(mmap, "MAP_ANONYMOUS"):
        return None
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            small = -(-small // mmap.PAGESIZE) * mmap.PAGESIZE
            memory.madvise(mmap.MADV_NOHUGEPAGE, 0, small)
            memory.madvise(mmap.MADV_HUGEPAGE, small)
    except OSError:
        return None
    return memory


def power_of_two(A: np.ndarray) -> np.ndarray:
    """`Words.power_of_two` of a NumPy array."""
    _, exponent = np.frexp(np.abs(A).max((-2, -1), keepdims=True, initial=0))  # 0 for what has none
    limit = 120 if A.dtype.char in "fF" else 1000
    return np.ldexp(A.real.dtype.type(1), exponent.clip(-limit, limit))


@functools.lru_cache(maxsize=128)
def _small_triangle(m, n, k):
    mask = np.tri(m, n, k, bool)
    mask.flags.writeable = False
    return mask


@functools.lru_cache(maxsize=128)
def _outside(m, n, k, upper):
    """Where the entries outside a triangle of an m by n matrix lie in the flattened matrix."""
    return np.flatnonzero(np.tri(m, n, k - 1, bool) if upper else ~np.tri(m, n, k, bool))


@functools.lru_cache(maxsize=128)
def _half_diagonal(n, dtype):
    ones = np.ones((n, n), dtype)
    np.fill_diagonal(ones, 0.5)
    ones.flags.writeable = False
    return ones


def triangle(m, n, k):
    """Which entries of an m by n matrix lie on or below its k-th diagonal; read-only where the matrix is small."""
    return _small_triangle(m, n, k) if m * n <= _KEPT_MASK else np.tri(m, n, k, bool)


def _first_singular(A):
    """The index of the first matrix of a batch that LAPACK's LU decomposition finds to be singular."""
    return next((tuple(index) for index in np.argwhere(np.isneginf(np.linalg.slogdet(A)[1])).tolist()), ())
