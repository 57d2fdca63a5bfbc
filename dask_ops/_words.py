"""The words in which rules speak to Dask's arrays (`overbar._words`).

May import NumPy, Dask, array-api-compat and `overbar`. These are for matrices in tiles; functions of a batch that is
chunked along its batch dimensions are computed by NumPy's rules, chunk by chunk (`dask_ops._blocks`). What has no way
by tiles is refused by name. Dask's own linear algebra is never taken: its Cholesky factor is the upper one, and it
solves triangular systems by LU.
"""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np

from dask_ops import _tiled
from overbar._front import NUMPY
from overbar._words import Words

__all__ = ["DaskWords", "NoTiles"]


class NoTiles(NotImplementedError):
    """What was asked for is not computed by tiles."""


#: what Dask computes as NumPy does, by chunks, whichever these are
_OF_DASK = (
    "abs", "add", "all", "any", "arange", "asarray", "atan", "bool", "ceil", "complex64", "complex128", "cos",
    "cosh", "divide", "equal", "exp", "expm1", "finfo", "float32", "float64", "floor", "imag", "inf", "int32", "int64",
    "isdtype", "isfinite", "isinf", "isnan", "log", "log1p", "log2", "logaddexp", "logical_and", "logical_not",
    "logical_or", "maximum", "minimum", "multiply", "nan", "negative", "not_equal", "pi", "pow", "result_type", "round",
    "sign", "signbit", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh", "where",
)  # fmt: skip


class DaskWords(Words):
    name = "Dask"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name == "base":
            raise AttributeError(name)
        if name not in _OF_DASK:
            raise NoTiles(name)
        attribute = getattr(self.base, name)
        setattr(self, name, attribute)
        return attribute

    # -- arrays

    def is_floating(self, A):
        return A.dtype.char in "fdFD"

    def is_complex(self, A):
        return A.dtype.kind == "c"

    def eps(self, A):
        return NUMPY.xp.eps(A)

    def constant(self, value, like):
        return da.from_array(np.asarray(value), chunks=-1)

    def count(self, n, like):
        return da.arange(n, chunks=-1)

    def astype(self, A, dtype, copy=True):
        return A if A.dtype == dtype else A.astype(dtype)

    def cast(self, A, like):
        if A.dtype == like.dtype:
            return A
        if self.is_complex(A) and not self.is_complex(like):
            A = da.real(A)
        return A.astype(like.dtype)

    def zeros_like(self, A):
        return da.zeros(A.shape, dtype=A.dtype, chunks=A.chunks)

    def ones_like(self, A):
        return da.ones(A.shape, dtype=A.dtype, chunks=A.chunks)

    def full_like(self, A, value):
        return da.full(A.shape, value, dtype=A.dtype, chunks=A.chunks)

    def eye_like(self, A):
        if A.ndim == 2 and A.chunks[0] == A.chunks[1]:
            return _tiled.diagonal_embed(da.ones(A.shape[:1], dtype=A.dtype, chunks=A.chunks[:1]))
        return da.broadcast_to(_on_diagonal(A.chunks[-2:], 0).astype(A.dtype), A.shape, chunks=A.chunks)

    # -- elementwise

    def conj(self, A):
        return da.conj(A) if self.is_complex(A) else A

    def real(self, A):
        return da.real(A) if self.is_complex(A) else A

    def erf(self, A):
        return da.map_blocks(NUMPY.xp.erf, A, dtype=A.dtype)

    def gammaln(self, A):
        return da.map_blocks(NUMPY.xp.gammaln, A, dtype=A.dtype)

    def polygamma(self, n, A):
        return da.map_blocks(lambda A: NUMPY.xp.polygamma(n, A), A, dtype=A.dtype)

    def as_power_of_two(self, x):
        return da.map_blocks(NUMPY.xp.as_power_of_two, x, dtype=x.dtype)

    # -- shapes

    def mT(self, A):
        return _tiled.transposed(A) if A.dtype.kind != "c" else self.permute_dims(A, self._swapped(A))

    matrix_transpose = mT

    def mH(self, A):
        return _tiled.transposed(A)

    @staticmethod
    def _swapped(A):
        return (*range(A.ndim - 2), A.ndim - 1, A.ndim - 2)

    def permute_dims(self, A, axes):
        return da.transpose(A, tuple(axes))

    def reshape(self, A, shape, copy=None):
        return A.reshape(tuple(shape) if isinstance(shape, (list, tuple)) else shape)

    def expand_dims(self, A, axis=0):
        return da.expand_dims(A, axis)

    def squeeze(self, A, axis):
        return da.squeeze(A, axis)

    def broadcast_to(self, A, shape):
        return A if A.shape == tuple(shape) else da.broadcast_to(A, tuple(shape))

    def concat(self, arrays, axis=0):
        return da.concatenate(list(arrays), axis=axis)

    def stack(self, arrays, axis=0):
        return da.stack(list(arrays), axis=axis)

    def sum(self, A, axis=None, keepdims=False, **kwargs):
        if A.dtype.kind in "fc":
            kwargs.setdefault("dtype", A.dtype)
        return da.sum(A, axis=axis, keepdims=keepdims, **kwargs)

    def max(self, A, axis=None, keepdims=False):
        return da.max(A, axis=axis, keepdims=keepdims)

    def min(self, A, axis=None, keepdims=False):
        return da.min(A, axis=axis, keepdims=keepdims)

    def tril(self, A, k=0):
        return A if k == 0 and getattr(A, "is_lower", False) else self._triangle("tril", A, k, False)

    def triu(self, A, k=0):
        return self._triangle("triu", A, k, True)

    def phi(self, A):
        return self._triangle("phi", A, 0, False, halved=True)

    def _triangle(self, name, A, k, upper, halved=False):
        if A.ndim != 2:
            raise NoTiles(f"{name} of a batch of matrices")
        return _tiled.triangle(A, k, upper, halved)

    def diagonal(self, A, offset=0):
        return _tiled.diagonal(A) if offset == 0 and A.shape[0] == A.shape[1] else da.diagonal(A, offset)

    def diagonal_embed(self, d, m, n, offset=0):
        if d.ndim != 1:
            raise NoTiles("the diagonals of a batch of matrices")
        if not offset and (m, n) == (d.shape[0], d.shape[0]):
            return _tiled.diagonal_embed(d)
        # one entry in a row; the columns in chunks as the rows, as far as there are so many
        rows = _padded(d, 0, max(-offset, 0), m)
        columns = da.core.normalize_chunks(max(*rows.chunks[0], 1), (n,)) if m != n else rows.chunks
        return da.where(_on_diagonal((*rows.chunks, *columns), offset), rows[:, None], da.zeros_like(d, shape=()))

    def fill_diagonal(self, A, d):
        return _tiled.fill_diagonal(A, d)

    def subset(self, A, index, ndim):
        index = [_numbers(i) for i in (index if isinstance(index, tuple) else (index,))]
        if sum(isinstance(i, np.ndarray) for i in index) > 1:
            raise NoTiles("an index by several arrays")
        return A[(*[slice(None)] * (A.ndim - ndim), *index)]

    def positions(self, shape, index, like):
        # for its shape alone: of a matrix in tiles nobody holds the positions
        return np.broadcast_to(np.intp(0), shape)[index]

    def put_back(self, B, index, shape, batch):
        axis, rest = len(batch), iter(shape)
        for i in _every_axis(index, len(shape)):
            if i is None:
                B = da.squeeze(B, axis)
                continue
            n = next(rest)
            if isinstance(i, slice):
                B = _put_along(B, axis, i, n)
            else:
                B = _padded(da.expand_dims(B, axis), axis, int(i) % n, n)
            axis += 1
        return B

    # -- linear algebra

    def matmul(self, A, B):
        return _tiled.add_product(None, A, B)

    def add_product(self, C, A, B, scale):
        return _tiled.add_product(C, A, B, scale)

    def cholesky(self, A, argument="A", on_error="raise"):
        if on_error != "raise":
            raise NoTiles("a factorisation that may fail and is tried again with other numbers")
        return _tiled.cholesky(A, argument)

    def solve_triangular(self, A, B, *, upper, left=True, adjoint=False, unitriangular=False):
        return _tiled.solve_triangular(A, B, upper, left, adjoint, unitriangular)


def _on_diagonal(chunks, offset):
    """Whether an entry of a matrix lies on a diagonal, in these chunks."""
    rows, columns = (da.arange(sum(sizes), chunks=(sizes,)) for sizes in chunks)
    return da.equal(columns[None, :] - rows[:, None], offset)


def _every_axis(index, ndim):
    """An index with an entry for each dimension, of numbers and slices, and None for new dimensions."""
    index = list(index) if isinstance(index, tuple) else [index]
    for i in index:
        if i is not None and i is not ... and (isinstance(i, bool) or not isinstance(i, (int, np.integer, slice))):
            raise NoTiles("the derivative of an index of other than numbers and slices")
    lacking = [slice(None)] * (ndim - sum(i is not None and i is not ... for i in index))
    at = next((k for k, i in enumerate(index) if i is ...), len(index))
    return index[:at] + lacking + index[at + 1 :]


def _put_along(B, axis, i, n):
    """Zeros of size n along an axis, but for B at a slice."""
    count, (start, _, step) = B.shape[axis], i.indices(n)
    if not count:
        start, step = 0, 1
    if step < 0:
        B, start, step = da.flip(B, axis), start + (count - 1) * step, -step
    if step > 1:  # zeros behind each entry
        B = da.stack([B, *[da.zeros_like(B)] * (step - 1)], axis=axis + 1)
        B = B.reshape((*B.shape[:axis], count * step, *B.shape[axis + 2 :]))
        B = B[(*[slice(None)] * axis, slice(n - start))]
    return _padded(B, axis, start, n)


def _padded(B, axis, before, n):
    """B with zeros before and behind it along an axis, which has n entries then."""

    def zeros(count):
        shape = (*B.shape[:axis], count, *B.shape[axis + 1 :])
        return da.zeros(shape, dtype=B.dtype, chunks=(*B.chunks[:axis], (count,), *B.chunks[axis + 1 :]))

    count = B.shape[axis]
    parts = [zeros(before), B, zeros(n - before - count)]
    parts = [part for part in parts if part.shape[axis]]
    return da.concatenate(parts, axis=axis) if parts else B


def _numbers(i):
    """An entry of an index, with a mask as the places where it holds: else a size would not be known."""
    if isinstance(i, list):
        i = np.asarray(i)
    if not isinstance(i, np.ndarray):
        return i
    if i.ndim > 1:
        raise NoTiles("an index by an array of several dimensions")
    return np.flatnonzero(i) if i.dtype == bool else i


def _no_word(name):
    def word(self, *args, **kwargs):
        raise NoTiles(name)

    word.__name__ = name
    return word


for _name in (
    "solve", "inv", "inverse", "slogdet", "qr", "eigh", "eig", "svd", "permutation_matrix", "take_rows", "first",
    "embed", "near_pairs", "over_gaps", "expm_along", "without_singular",
):  # fmt: skip
    setattr(DaskWords, _name, _no_word(_name))
