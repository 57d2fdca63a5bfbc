"""The words of `overbar._words` in TensorFlow.

May import tensorflow, ml_dtypes, which comes with it, NumPy, `overbar` and the neighbours below it. array-api-compat
does not know TensorFlow, so the names of the array API that rules use are listed here. Sizes may be unknown while a
graph is built: `shape` then gives scalar tensors.
"""

import contextlib
import contextvars
import functools
import math

import ml_dtypes
import numpy as np
import tensorflow as tf

from overbar._messages import bad_spectrum, no_inverse, not_positive_definite, of_function, of_inner, singular
from overbar._numpy_words import are_finite
from overbar._words import Words
from overbar.rules._halving import cholesky_by_halves, columns_collide
from overbar.rules._many_small import are_many_small, factor_in_vectors
from tf_ops import _elimination as elimination
from tf_ops import _jacobi as jacobi
from tf_ops import _schur as schur
from tf_ops._errors import linalg_error, shape_error
from tf_ops._in_xla import or_nan
from tf_ops._internals import compiled_by_xla
from tf_ops._recording import is_watched, somebody_watches
from tf_ops._vectorizing import in_one_piece, of_all_passes

# Functions of the array API standard that TensorFlow calls otherwise, or whose arguments are others there.
_OTHER_NAME = {
    "all": tf.reduce_all,
    "any": tf.reduce_any,
    "atan2": tf.math.atan2,
    "clip": lambda x, min=None, max=None: _clip(x, min, max),
    "cumulative_sum": tf.cumsum,
    "empty_like": tf.zeros_like,
    "flip": lambda x, axis=None: tf.reverse(x, _axes(x, axis)),
    "floor_divide": tf.math.floordiv,
    "full": lambda shape, value, dtype=None: tf.fill(shape, tf.convert_to_tensor(value, dtype=dtype)),
    "full_like": lambda x, value: tf.fill(tf.shape(x), tf.cast(value, x.dtype)),
    "hypot": lambda x, y: tf.sqrt(x * x + y * y),
    "isfinite": tf.math.is_finite,
    "isinf": tf.math.is_inf,
    "isnan": tf.math.is_nan,
    "log10": lambda x: tf.math.log(x) / math.log(10),
    "log2": lambda x: tf.math.log(x) / math.log(2),
    "matrix_transpose": tf.linalg.matrix_transpose,
    "mean": tf.reduce_mean,
    "min": tf.reduce_min,
    "moveaxis": lambda x, source, destination: tf.experimental.numpy.moveaxis(x, source, destination),
    "outer": lambda x, y: x[..., :, None] * y[..., None, :],
    "permute_dims": tf.transpose,
    "pow": tf.pow,
    "prod": tf.reduce_prod,
    "remainder": tf.math.floormod,
    "std": tf.math.reduce_std,
    "take_along_axis": lambda x, indices, axis=-1: tf.experimental.numpy.take_along_axis(x, indices, axis),
    "trunc": lambda x: tf.where(x < 0, tf.math.ceil(x), tf.math.floor(x)),
    "var": tf.math.reduce_variance,
    "vecdot": lambda x, y, axis=-1: tf.reduce_sum((tf.math.conj(x) if x.dtype.is_complex else x) * y, axis=axis),
}


def _clip(x, low, high):
    x = x if low is None else tf.maximum(x, low)
    return x if high is None else tf.minimum(x, high)


def _axes(x, axis):
    return list(range(x.shape.rank)) if axis is None else [axis] if isinstance(axis, int) else list(axis)


# From this size on, two solutions with one LU decomposition take less time than two of tf.linalg.solve, in a graph and
# eagerly: TensorFlow's kernel that gives out the factors takes longer than the one that does not.
_KEPT, _KEPT_EAGERLY = 64, 256

# Up to this size a batch of matrices is looked at for a singular one, in a graph, before it is solved with.
_SMALL = 32


class TensorFlowWords(Words):
    name = "TensorFlow"

    def __init__(self):
        super().__init__(tf)

    def __getattr__(self, name):
        if name.startswith("__") or name == "base":
            raise AttributeError(name)
        for function in (_OTHER_NAME.get(name), getattr(tf, name, None), getattr(tf.math, name, None)):
            if function is not None:
                setattr(self, name, function)
                return function
        raise AttributeError(
            f"TensorFlow has nothing of the name {name}. Rules use the names of the array API; those that TensorFlow "
            "calls otherwise are listed in tf_ops._words."
        )

    # -- arrays in, arrays out

    def static_shape(self, A):
        return None if A.shape.rank is None else tuple(A.shape)

    def shape(self, A):
        static = A.shape
        if static.is_fully_defined():
            return tuple(static)
        if static.rank is None:
            return tf.shape(A)
        dynamic = tf.shape(A)
        return tuple(dynamic[i] if size is None else size for i, size in enumerate(static))

    def is_floating(self, A):
        return A.dtype.is_floating or A.dtype.is_complex

    def is_complex(self, A):
        return A.dtype.is_complex

    def eps(self, A):
        return float(ml_dtypes.finfo(A.dtype.as_numpy_dtype).eps)  # NumPy's knows no bfloat16

    def cast(self, A, like):
        if A.dtype == like.dtype:
            return A
        if A.dtype.is_complex and not like.dtype.is_complex:
            A = tf.math.real(A)
        elif like.dtype.is_complex and A.dtype.is_floating:
            A = tf.cast(A, like.dtype.real_dtype)
            return tf.complex(A, tf.zeros_like(A))  # the gradient of tf.cast warns that it is the real part
        return tf.cast(A, like.dtype)

    def constant(self, value, like):
        return tf.convert_to_tensor(value)

    def asarray(self, value, dtype=None):
        return tf.convert_to_tensor(value, dtype=dtype)

    def astype(self, A, dtype):
        return tf.cast(A, dtype)

    def arange(self, *args, dtype=None):
        return tf.range(*args, dtype=dtype)

    def count(self, n, like):
        return tf.range(n)

    # -- elementwise

    def conj(self, A):
        return tf.math.conj(A) if A.dtype.is_complex else A

    def real(self, A):
        return tf.math.real(A)

    def complex(self, real, imag):
        like = real if tf.is_tensor(real) else imag
        return tf.complex(*(x if tf.is_tensor(x) else tf.cast(x, like.dtype) for x in (real, imag)))

    def erf(self, A):
        return tf.math.erf(A)

    def gammaln(self, A):
        return tf.math.lgamma(A)

    def polygamma(self, n, A):
        return tf.math.polygamma(tf.constant(n, A.dtype), A) if n else tf.math.digamma(A)

    def logaddexp(self, A, B):
        # the difference of equal infinities would be NaN
        apart = tf.abs(tf.where(tf.equal(A, B), tf.zeros_like(A - B), A - B))
        return tf.maximum(A, B) + tf.math.log1p(tf.exp(-apart))

    # -- shapes

    def eye_like(self, A):
        m, n = self.shape(A)[-2:]
        return tf.eye(m, n, dtype=A.dtype)

    def mT(self, A):
        return tf.linalg.matrix_transpose(A)

    # As the transpose of one matrix, which takes TensorFlow half of the time.

    def batch_last(self, A):
        k, m, n = self.shape(A)
        return tf.reshape(tf.transpose(tf.reshape(A, (k, m * n))), (m, n, k))

    def batch_first(self, A):
        m, n, k = self.shape(A)
        return tf.reshape(tf.transpose(tf.reshape(A, (m * n, k))), (k, m, n))

    def mH(self, A):
        return tf.linalg.adjoint(A)

    def sum(self, A, axis=None, keepdims=False):
        return tf.reduce_sum(A, axis=axis, keepdims=keepdims)

    def expand_dims(self, A, axis):
        return tf.expand_dims(A, axis)

    def concat(self, arrays, axis=0):
        return tf.concat(list(arrays), axis=axis)

    def detached(self, A):
        return tf.stop_gradient(A)

    def as_power_of_two(self, x):
        # of the bits of a number, those of its exponent
        kind, exponent = (tf.int32, 0x7F800000) if x.dtype == tf.float32 else (tf.int64, 0x7FF0000000000000)
        bits = tf.bitcast(x, kind)
        return tf.bitcast(tf.bitwise.bitwise_and(bits, tf.constant(exponent, kind)), x.dtype)

    def max(self, A, axis=None, keepdims=False):
        return tf.reduce_max(A, axis=axis, keepdims=keepdims)

    def take(self, A, indices, axis):
        return tf.gather(A, indices, axis=axis)

    def broadcast_to(self, A, shape):
        if all(isinstance(size, int) for size in shape) and A.shape == shape:
            return A
        return tf.broadcast_to(A, shape)

    def sum_to(self, A, shape):
        if isinstance(shape, tuple) and A.shape.is_fully_defined() and all(isinstance(size, int) for size in shape):
            have = tuple(A.shape)
            if have == shape:
                return A
            lead = len(have) - len(shape)
            axes = [i for i in range(len(have)) if i < lead or (shape[i - lead] == 1 and have[i] != 1)]
            return tf.reshape(tf.reduce_sum(A, axis=axes), shape)
        axes = tf.raw_ops.BroadcastGradientArgs(s0=tf.convert_to_tensor(shape, tf.int32), s1=tf.shape(A)).r0
        return tf.reshape(tf.reduce_sum(A, axis=axes), shape)

    def tril(self, A, k=0):
        if k == 0:
            return self._band(A, -1, 0)
        if k == -1 and A.shape[-2:].is_fully_defined() and 0 not in A.shape[-2:]:
            lower = self._band(A, -1, 0)  # much faster than tf.where
            return tf.linalg.set_diag(lower, tf.zeros_like(tf.linalg.diag_part(A)))
        return tf.where(self._above(A) <= k, A, tf.zeros_like(A))

    def triu(self, A, k=0):
        if k == 0:
            return self._band(A, 0, -1)
        return tf.where(self._above(A) >= k, A, tf.zeros_like(A))

    def phi(self, A):
        if 0 in A.shape[-2:]:
            return A
        lower = self._band(A, -1, 0)
        return tf.linalg.set_diag(lower, tf.linalg.diag_part(lower) / 2)

    def _band(self, A, below, above):
        if not tf.executing_eagerly() and A.shape.is_fully_defined() and A.dtype.is_floating:
            # The kernel takes ten times as long where it does not write into memory that nobody else reads. A product
            # is such; and infinities and NaN outside of the band go with the rest.
            A = A * tf.linalg.band_part(tf.ones(A.shape[-2:], A.dtype), below, above)
        return tf.linalg.band_part(A, below, above)

    def _above(self, A):
        """How far above the diagonal each entry of a matrix lies: j - i."""
        m, n = self.shape(A)[-2:]
        return tf.range(n)[None, :] - tf.range(m)[:, None]

    def diagonal(self, A, offset=0):
        m, n = A.shape[-2:]
        if m is not None and n is not None and not -m < offset < n:
            return tf.reshape(A[..., :0, :0], (*self.shape(A)[:-2], 0))  # TensorFlow has no empty diagonals
        return tf.linalg.diag_part(A, k=offset)

    def fill_diagonal(self, A, d):
        if A.shape[-1] == 0 or A.shape.rank is None or A.shape[:-1] != d.shape or None in A.shape:
            return super().fill_diagonal(A, d)
        return tf.linalg.set_diag(A, d)

    def diagonal_embed(self, d, m, n, offset=0):
        if d.shape[-1] == 0:
            return tf.zeros((*self.shape(d)[:-1], m, n), d.dtype)
        if isinstance(m, int) and isinstance(n, int):
            if d.shape[-1] is None:  # tf.linalg.diag would have to guess how long it is
                d = tf.identity(d)
                d.set_shape([*d.shape[:-1], max(0, min(m + min(offset, 0), n - max(offset, 0)))])
            return tf.linalg.diag(d, k=offset, num_rows=m, num_cols=n)
        # tf.linalg.diag infers a wrong static shape where the sizes are tensors
        return tf.linalg.set_diag(tf.zeros((*self.shape(d)[:-1], m, n), d.dtype), d, k=offset)

    def positions(self, shape, index, like):
        index = tuple(map(_static, index)) if isinstance(index, tuple) else _static(index)
        tensors = [i for i in (index if isinstance(index, tuple) else (index,)) if isinstance(i, tf.Tensor)]
        if not tensors and all(isinstance(size, int) for size in shape):
            return super().positions(shape, index, like)
        if any(i.shape.rank != 0 for i in tensors):
            raise NotImplementedError(
                "an index or mask whose numbers are not known while the graph is built. Only a single integer may be a "
                "tensor there; tf.gather and tf.boolean_mask take more."
            )
        try:
            return tf.reshape(tf.range(tf.reduce_prod(shape)), shape)[index]
        except TypeError:
            raise shape_error(
                f"the index {index!r} needs a known shape. Only integers and slices can select from a tensor whose "
                "sizes are not known while the graph is built. Set the shape of the tensor with tf.ensure_shape."
            ) from None

    def reshape_positions(self, where):
        return where.reshape(-1) if isinstance(where, np.ndarray) else tf.reshape(where, [-1])

    def subset(self, A, index, ndim):
        index = index if isinstance(index, tuple) else (index,)
        if all(isinstance(i, (int, slice)) for i in index):
            return A[(slice(None),) * (len(A.shape) - ndim) + index]
        shape = self.shape(A)
        batch, core = shape[: len(shape) - ndim], shape[len(shape) - ndim :]
        where = self.positions(core, index, A)
        flat = tf.reshape(A, (*batch, tf.reduce_prod(core)))
        taken = tf.gather(flat, self.reshape_positions(where), axis=-1)
        return tf.reshape(taken, (*batch, *(where.shape if isinstance(where, np.ndarray) else self.shape(where))))

    def embed(self, B, where, shape):
        lead = self.shape(B)[:-1]
        columns = tf.transpose(tf.reshape(B, tf.stack([tf.reduce_prod(tf.shape(B)[:-1]), tf.shape(B)[-1]])))
        size = tf.reduce_prod(shape)
        # scatter_nd refuses to work without columns, which an empty batch has: it gets one more
        columns = tf.pad(columns, [[0, 0], [0, 1]])
        # indices of one more dimension than needed: for a plain list of rows TensorFlow's second derivative is sparse,
        # and a forward accumulator fails over that
        rows = tf.cast(where, tf.int32)[None, :, None]
        zeros = tf.scatter_nd(rows, columns[None], tf.stack([size, tf.shape(columns)[1]]))
        return tf.reshape(tf.transpose(zeros[:, :-1]), (*lead, *shape))

    # -- linear algebra

    def add_product(self, C, A, B, scale):
        if A.shape[-1] == 1:  # the kernel of matrix products takes longer for one column
            return C + (A if scale == 1 else scale * A) * B
        return super().add_product(C, A, B, scale)

    def cholesky(self, A, argument="A", on_error="raise"):
        # TensorFlow's kernel does not raise where there is no factor: it leaves NaN on and below the diagonal, zeros
        # where A is complex, and memory that nobody wrote above it.
        L = _factor(A)
        ok = _is_factor(L)
        if on_error == "nan" or (not tf.executing_eagerly() and compiled_by_xla()):  # which could raise no error
            return or_nan(ok, L)
        if tf.executing_eagerly():
            if not bool(tf.reduce_all(ok)):
                raise linalg_error(not_positive_definite(A.numpy(), argument))
            return L
        return tf.cond(tf.reduce_all(ok), lambda: L, lambda: _report(L, A, ok, argument))

    def first(self, mask):
        # cumulative sums take several times as long as numbers that fall from row to row
        rank = tf.cast(mask, tf.float32) * tf.cast(tf.range(self.shape(mask)[-2], 0, -1), tf.float32)[:, None]
        return mask & tf.equal(rank, tf.reduce_max(rank, axis=-2, keepdims=True))

    def solve(self, A, B, check=True):
        # tf.linalg.solve does not broadcast
        fit = A.shape[:-2].is_fully_defined() and A.shape[:-2] == B.shape[:-2]
        if not fit and (A.shape.rank > 2 or B.shape.rank > 2):
            batch = tf.broadcast_dynamic_shape(tf.shape(A)[:-2], tf.shape(B)[:-2])
            A, B = (tf.broadcast_to(M, tf.concat([batch, tf.shape(M)[-2:]], 0)) for M in (A, B))
        if tf.executing_eagerly():
            try:
                return tf.linalg.solve(A, B)
            except tf.errors.InvalidArgumentError as error:
                if "not invertible" not in error.message:
                    raise
                regular, nan = _without_nan(A)
                if nan is not None:
                    return self.solve(regular, B) + nan
                index = next(iter(np.argwhere(_is_singular(A))), ())
                raise linalg_error(singular("A", index)) from None
        if compiled_by_xla():
            if A.shape[-1] == 0:  # whose factors, of size 0, would say that there are none
                return B
            # XLA's own solver takes no complex matrices, and where the condition number is 10⁸ its residual is 10⁵
            # times as large as that of this, which is what a solution by rounded operations has.
            return self.solve_by_factors(A, B)[0]
        words = "argument A is singular, so that there is no A⁻¹ B."
        # the kernel's error shows the name
        solve = lambda A: tf.linalg.solve(A, B, name="solve_A")  # noqa: E731
        return self._looked_at(A, check, words, solve, is_watched([A, B]))

    def solve_by_factors(self, A, B, left=True, adjoint=False, check=True):
        if compiled_by_xla():
            factors = tf.concat(tf.linalg.qr(A), -1)
            pivots = tf.reduce_sum(factors[..., :0], axis=-2)
            return self.solve_with_factors(A, factors, pivots, B, left, adjoint), factors, pivots
        if not _is_kept(A, B):
            return super().solve_by_factors(A, B, left, adjoint, check)

        def factorised(A):
            factors, pivots = tf.linalg.lu(A, name="solve_A")
            pivots = tf.cast(pivots, A.dtype)
            return self.solve_with_factors(A, factors, pivots, B, left, adjoint), factors, pivots

        def careful():
            regular, nan = _without_nan(A)
            X, factors, pivots = factorised(regular)
            return X + nan, factors + nan, pivots

        if not tf.executing_eagerly():
            return tf.cond(of_all_passes(tf.reduce_all, tf.equal(A, A)), lambda: factorised(A), careful)
        try:
            return factorised(A)
        except tf.errors.InvalidArgumentError:
            # whether A is singular or has a NaN is found out there
            return super().solve_by_factors(A, B, left, adjoint, check)

    def solve_with_factors(self, A, factors, pivots, B, left=True, adjoint=False):
        kept = factors.shape[-1]
        if kept == 0 or (kept is None and not compiled_by_xla()):
            return super().solve_with_factors(A, factors, pivots, B, left, adjoint)
        if not left:  # X op(A) = B  is  op(A)ᴴ Xᴴ = Bᴴ
            return self.mH(self.solve_with_factors(A, factors, pivots, self.mH(B), True, not adjoint))
        if pivots.shape[-1] in (0, None):
            n = self.shape(A)[-1]
            Q, R = factors[..., :n], factors[..., n:]
            batch = tf.broadcast_dynamic_shape(tf.shape(A)[:-2], tf.shape(B)[:-2])
            Q, R, B = (tf.broadcast_to(M, tf.concat([batch, tf.shape(M)[-2:]], 0)) for M in (Q, R, B))
            if adjoint:
                return Q @ tf.linalg.triangular_solve(R, B, lower=False, adjoint=True)
            return tf.linalg.triangular_solve(R, self.mH(Q) @ B, lower=False)
        p = tf.cast(self.real(pivots), tf.int32)
        if adjoint:
            half = self.solve_triangular(factors, B, upper=True, adjoint=True)
            half = self.solve_triangular(factors, half, upper=False, adjoint=True, unitriangular=True)
            return self.take_rows(half, self.argsort(p))
        half = self.solve_triangular(factors, self.take_rows(B, p), upper=False, unitriangular=True)
        return self.solve_triangular(factors, half, upper=True)

    def inv(self, A, warn=False, regular=False):
        return self._inverse(A, None if regular else True)

    def inverse(self, A):
        return self._inverse(A, False)

    def _inverse(self, A, check):
        if tf.executing_eagerly():
            try:
                return tf.linalg.inv(A)
            except tf.errors.InvalidArgumentError as error:
                if "not invertible" not in error.message:
                    raise
                regular, nan = _without_nan(A)
                if nan is not None:
                    return self._inverse(regular, check) + nan
                index = next(iter(np.argwhere(_is_singular(A))), ())
                raise linalg_error(no_inverse("A", index)) from None
        if compiled_by_xla():
            return self.solve(A, self.eye_like(A))
        words = "argument A is singular: it has no inverse."
        return self._looked_at(A, check, words, lambda A: tf.linalg.inv(A, name="inv_A"), is_watched([A]))

    def slogdet(self, A):
        sign, logabsdet = _by_xla(elimination.slogdet, A) if compiled_by_xla() else tf.linalg.slogdet(A)
        return sign, tf.math.real(logabsdet)  # TensorFlow's is complex where A is

    def permutation_matrix(self, p, like):
        return self.mT(tf.one_hot(p, self.shape(p)[-1], dtype=like.dtype))

    def take_rows(self, A, p):
        if A.shape[:-2] != p.shape[:-1] or not A.shape[:-2].is_fully_defined():
            batch = tf.broadcast_dynamic_shape(tf.shape(A)[:-2], tf.shape(p)[:-1])
            A = tf.broadcast_to(A, tf.concat([batch, tf.shape(A)[-2:]], axis=0))
            p = tf.broadcast_to(p, tf.concat([batch, tf.shape(p)[-1:]], axis=0))
        taken = tf.gather(A, p, axis=-2, batch_dims=A.shape.rank - 2)
        # XLA takes another row instead of one that there is not; which can be the case where it could raise no error
        return or_nan(p >= 0, taken[..., None])[..., 0] if compiled_by_xla() else taken

    def qr(self, A, mode="reduced"):
        return tuple(tf.linalg.qr(A, full_matrices=mode == "complete"))

    def eigh(self, A):
        if compiled_by_xla():
            return _by_xla(lambda A: jacobi.eigh(A, in_parallel=bool(gpus())), A)
        try:
            w, V = tf.linalg.eigh(A)
        except tf.errors.InvalidArgumentError as error:
            raise linalg_error(f"{error.message}\n{bad_spectrum('eigh', A.numpy(), 'A')}") from None
        # for an infinite entry the values may be NaN beside vectors that are finite
        w = self.real(w)  # TensorFlow's eigenvalues have the dtype of A
        if tf.executing_eagerly() and "CPU" in A.device:  # NumPy's sum takes less time than one of TensorFlow's words
            matrix = A.numpy()
            if not are_finite(matrix) and not np.isfinite(np.tril(matrix)).all():
                raise linalg_error(bad_spectrum("eigh", np.tril(matrix), "A"))
            return w, V
        fine = tf.reduce_all(tf.math.is_finite(tf.math.abs(tf.linalg.band_part(A, -1, 0))), axis=(-2, -1))
        if tf.executing_eagerly() and not bool(tf.reduce_all(fine)):
            raise linalg_error(bad_spectrum("eigh", tf.linalg.band_part(A, -1, 0).numpy(), "A"))
        return or_nan(fine, w[..., None, :])[..., 0, :], or_nan(fine, V)

    def eig(self, A):
        if compiled_by_xla():
            return _by_xla(schur.eig, A)
        try:
            return tuple(tf.linalg.eig(A))
        except tf.errors.InvalidArgumentError as error:
            raise linalg_error(f"{error.message}\n{bad_spectrum('eig', A.numpy(), 'A')}") from None

    def svd(self, A, full_matrices=False):
        if compiled_by_xla() and A.shape[-2:].is_fully_defined():
            return _by_xla(lambda A: jacobi.svd(A, full_matrices), A)
        s, U, V = tf.linalg.svd(A, full_matrices=full_matrices)
        return U, s, self.mH(V)

    def rounding(self, A):
        m, n = self.shape(A)[-2:]
        eps = self.eps(A)
        if isinstance(m, int) and isinstance(n, int):
            return eps * max(m, n)
        return eps * tf.cast(tf.maximum(m, n), A.dtype.real_dtype)

    def _looked_at(self, A, check, problem, compute, watched):
        """``compute(A)``, in a graph, where TensorFlow's kernels fail for a singular matrix, without saying which of
        the batch it is, and for some that have a NaN. With `check`, small matrices of a batch are looked at before, by
        a second factorisation: that counts for little, and for larger ones it is left out. With None for it, there are
        none of these matrices."""
        if check is None:
            return compute(A)
        small = check and A.shape.rank > 2 and self.shape(A)[-1] <= _SMALL
        if small is True:
            logarithm = tf.math.real(tf.linalg.slogdet(tf.stop_gradient(A)).log_abs_determinant)
            clean = tf.reduce_all(tf.math.is_finite(logarithm))
        elif small is False:
            clean = tf.reduce_all(tf.equal(A, A))
        else:
            clean = False

        def careful():
            regular = A if small is False else self._assert_invertible(A, small, problem)
            regular, nan = _without_nan(regular)
            return compute(regular) + nan

        # Most matrices need no more than one look, at all of them together. But TensorFlow does not differentiate a
        # branch in every mixture of modes.
        return careful() if clean is False or watched else tf.cond(clean, lambda: compute(A), careful)

    def _assert_invertible(self, A, small, problem):
        """A batch of matrices, with an error that says which of them is singular."""
        regular = lambda: ~_is_singular(tf.stop_gradient(A))  # noqa: E731
        fine = regular() if small is True else tf.cond(small, regular, lambda: tf.ones(tf.shape(A)[:-2], tf.bool))
        words = [f"{_of_the_call(problem)} Matrix of the batch:", first_place(~fine)]
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(fine), words)]):
            return tf.identity(A)

    def solve_triangular(self, A, B, *, upper, left=True, adjoint=False, unitriangular=False):
        if unitriangular:
            A = tf.linalg.set_diag(A, tf.ones_like(tf.linalg.diag_part(A)))
        if not left:  # X op(A) = B  is  op(A)ᴴ Xᴴ = Bᴴ
            return self.mH(self.solve_triangular(A, self.mH(B), upper=upper, adjoint=not adjoint))
        return tf.linalg.triangular_solve(A, B, lower=not upper, adjoint=adjoint)


def _is_kept(A, B):
    """Whether the factors of A are kept: where somebody differentiates, who will ask for another solution."""
    n, batch = A.shape[-1], A.shape[:-2]
    size = _KEPT_EAGERLY if tf.executing_eagerly() else _KEPT
    return (
        somebody_watches()
        and n is not None
        and n >= size
        and A.dtype == B.dtype
        and batch.is_fully_defined()
        and batch == B.shape[:-2]
        and not gpus()
    )


def _by_xla(function, A):
    """A function of stacks of matrices, with loops over their columns, in a program of XLA."""
    return in_one_piece(function, [A], [("m", "n")])


def _static(i):
    """A tensor in an index as an array of NumPy's, where its numbers are known while a graph is built."""
    value = tf.get_static_value(i) if isinstance(i, tf.Tensor) else None
    return i if value is None else value


def _without_nan(A):
    """The matrices, with the identity instead of those that have a NaN, and what is to be added to what has been
    computed of them: NaN, or 0 for the others; None, eagerly, if there is none. TensorFlow's kernels call some of these
    matrices singular."""
    bad = tf.reduce_any(tf.not_equal(A, A), axis=[-2, -1], keepdims=True)  # is_nan takes no complex numbers
    if tf.executing_eagerly() and not bool(tf.reduce_any(bad)):
        return A, None
    nan = tf.where(bad, tf.constant(math.nan, A.dtype.real_dtype), tf.constant(0, A.dtype.real_dtype))
    return tf.where(bad, tf.eye(tf.shape(A)[-1], dtype=A.dtype), A), tf.cast(nan, A.dtype)


@functools.cache
def gpus():
    """How many there are. It does not start them."""
    return len(tf.config.list_physical_devices("GPU"))


def in_vectors(n, count, of_factor=False):
    """`Front.prefers_vectors`; or the same of the factor itself, for which TensorFlow has a quick loop, unlike XLA."""
    if tf.executing_eagerly() or gpus():
        return False
    if compiled_by_xla():
        return n <= 16
    return n <= (4 if of_factor else 8) and count >= 64 * n


#: From this order on a factor goes by halves where its columns fall on one another in the cache
#: (`halving.columns_collide`); blocks up to that one do not.
_LARGE, _BLOCK = 512, 288


def _factor(A):
    """tf.linalg.cholesky."""
    n = A.shape[-1] if A.shape.rank == 2 else None
    collide = n is not None and n >= _LARGE and A.dtype.is_floating and columns_collide(n, A.dtype.size)
    if collide and not (compiled_by_xla() or gpus()):
        return cholesky_by_halves(A, tf.linalg.cholesky, _BLOCK)
    if are_many_small(A):
        n, count = A.shape[-1], math.prod(A.shape[:-2])
        if in_vectors(n, count, of_factor=True):
            return tf.reshape(factor_in_vectors(tf.reshape(A, (count, n, n))), A.shape)
    return tf.linalg.cholesky(A)


def _is_factor(L):
    """Whether what TensorFlow's kernel left is a Cholesky factor."""
    diagonal = tf.math.real(tf.linalg.diag_part(L))
    return tf.reduce_all(tf.math.is_finite(diagonal) & (diagonal > 0), axis=-1)


def _is_singular(A):
    # This factorisation, unlike that of tf.linalg.solve, does not mind.
    return tf.math.is_inf(tf.math.real(tf.linalg.slogdet(A).log_abs_determinant))


def first_place(found):
    """The first place in the flattened array where something was found. (Where there is none, in an empty batch too, a
    place behind the last one: XLA and vectorized_map compute it even then.)"""
    flat = tf.pad(tf.reshape(tf.cast(found, tf.int32), [-1]), [[0, 1]], constant_values=1)
    return tf.argmax(flat, output_type=tf.int32)


_called = contextvars.ContextVar("called", default=())


@contextlib.contextmanager
def calling(primitive):
    """While the graph of a primitive is built, and of those that it calls."""
    token = _called.set((*_called.get(), primitive))
    try:
        yield
    finally:
        _called.reset(token)


def _of_the_call(message):
    """A message of a graph as that of the primitive that was called: an error of a graph has no other words."""
    outer, inner = [], False
    for primitive in _called.get():
        if primitive.is_of_collection:
            message, inner = of_function(primitive.name, primitive.arguments, message), True
            break
        outer.append(primitive.name)
    for name in reversed(outer):  # of arrays that may be theirs or not
        message, inner = of_inner(name, message, inner) or f"{name}: {message}", True
    return message


def _report(L, A, ok, argument):
    """Fail, in a graph, with the first matrix that has no Cholesky factor and its first leading minor that is not
    positive. That one is found by bisection, in all matrices at once: the factor of A with the identity in place of its
    rows and columns from k on tells whether the leading block of order k is positive definite."""
    n = tf.shape(A)[-1]
    eye = tf.eye(n, dtype=A.dtype)

    def halve(low, high):
        middle = (low + high) // 2
        inside = tf.range(n) < middle[..., None]
        block = tf.where(inside[..., :, None] & inside[..., None, :], A, eye)
        good = _is_factor(tf.linalg.cholesky(block))
        return tf.where(good, middle, low), tf.where(good, high, middle)

    low = tf.zeros_like(ok, tf.int32)
    _, order = tf.while_loop(lambda low, high: tf.reduce_any(high - low > 1), halve, [low, low + n])
    first = first_place(~ok)
    order = tf.gather(tf.pad(tf.reshape(order, [-1]), [[0, 1]]), first)
    finite = tf.reduce_all(tf.math.is_finite(tf.math.abs(tf.linalg.band_part(A, -1, 0))))
    problem = f"cholesky: argument {argument} is not positive definite. Matrix of the batch (0 where there is none):"
    words = [_of_the_call(problem)]
    words += [first, "; order of its leading minor that is not positive:", order]
    words += [f"; are all entries of {argument} finite:", finite]
    words += [f". If it should be positive definite, add a small multiple of the identity to {argument}."]
    # The condition is false here, but it says so for each matrix: vectorized_map runs this branch for those that come
    # here, which are none where all is well, and a constant would fail then too.
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(ok), words, summarize=1)]):
        return or_nan(ok, L)  # XLA drops the assertion; then NaN in the whole matrix is all that tells
