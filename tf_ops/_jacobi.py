"""Eigenvalues and eigenvectors, and singular values and vectors, under XLA, to rounding.

May import tensorflow, NumPy and the neighbour `_tridiagonal`. XLA's own kernels have residuals of 1e-9 to 1e-7 in
double precision. Its eigenvalues of complex Hermitian matrices are bytes read as another dtype, and it has no singular
values of complex matrices. Here are Jacobi's iterations (Jacobi 1846 for eigenvalues, Hestenes 1958 for singular
values; in parallel, as Brent and Luk 1985 have them): a sweep has rounds in which disjoint pairs of rows are rotated
all at once, until every pair was. On a CPU, eigenvectors come from a tridiagonal form instead, in less time.
"""

import numpy as np
import tensorflow as tf

from tf_ops import _tridiagonal as tridiagonal

# More sweeps than matrices of any size take: about ten, and twice as many where eigenvalues are equal.
_SWEEPS = 40


def eigh(A, in_parallel=True):
    """The eigenvalues, in ascending order, and eigenvectors of Hermitian matrices, of which the lower triangle counts.
    Those of a matrix that is not finite are NaN. `in_parallel`: by Jacobi's iteration, for a GPU."""
    lower = tf.linalg.band_part(A, -1, 0)
    diagonal = tf.cast(tf.math.real(tf.linalg.diag_part(A)), A.dtype)
    H, finite, scale = _scaled(tf.linalg.set_diag(lower + tf.linalg.adjoint(lower), diagonal))
    V = _vectors(H) if in_parallel else _of_stack(tridiagonal.vectors, H)
    # Rounding has left V a little off: a step of Newton's iteration towards orthonormal columns, and Rayleigh's
    # quotients, whose error is the square of the vectors'.
    V = V + V @ (tf.eye(_size(H), dtype=H.dtype) - tf.matmul(V, V, adjoint_a=True)) / 2
    w = tf.reduce_sum(tf.math.real(tf.math.conj(V) * (H @ V)), axis=-2)
    order, lead = tf.argsort(w, axis=-1), w.shape.rank - 1
    w, V = tf.gather(w, order, batch_dims=lead), tf.gather(V, order, axis=-1, batch_dims=lead)
    nan = tf.constant(np.nan, w.dtype)
    return tf.where(finite[..., 0], w * scale[..., 0], nan), tf.where(finite, V, tf.cast(nan, V.dtype))


def _of_stack(function, H):
    """A function of matrices of order 2 and more, with one batch dimension, whose result nothing decoupled changes."""
    if H.shape[-1] == 1 or 0 in H.shape:
        return tf.ones_like(H)
    n, known = tf.shape(H)[-1], H.shape[-1]
    stack = tf.reshape(H, [-1, n, n])
    if known is None:
        return tf.reshape(function(tf.pad(stack, [[0, 0], [0, 1], [0, 1]]))[:, :n, :n], tf.shape(H))
    return tf.reshape(function(tf.ensure_shape(stack, [None, known, known])), tf.shape(H))


def _vectors(H):
    """Eigenvectors of Hermitian matrices whose entries are about 1."""
    T, half = _even(H)
    n, eye = _size(H), tf.eye(2 * half, dtype=H.dtype)
    # With what is left undone, these are the eigenvalues of a matrix whose entries are as near as rounding them.
    negligible = _eps(H) / 4 * tf.sqrt(_square(H, [-2, -1]))[..., None]

    def rotate(T, V):
        off, values = tf.linalg.diag_part(T[..., :half, half:]), tf.math.real(tf.linalg.diag_part(T))
        skewed = tf.abs(off) > negligible
        rotation = _rotation(off, values[..., half:] - values[..., :half], skewed)
        T = tf.linalg.adjoint(_rotated(T, half, *rotation))
        T = tf.linalg.adjoint(_rotated(T, half, *rotation))
        return tf.reduce_any(skewed), T, _rotated(V, half, *rotation)

    _, V = _swept(rotate, half, T, tf.zeros_like(T) + eye)
    return tf.linalg.adjoint(V)[..., :n, :n]


def svd(A, full_matrices):
    """U, the singular values in descending order, and Vᴴ, of matrices whose sizes are known."""
    m, n = A.shape[-2:]
    if m < n:
        U, S, Vh = svd(tf.linalg.adjoint(A), full_matrices)
        return tf.linalg.adjoint(Vh), S, tf.linalg.adjoint(U)
    if n == 0:
        U, S, Vh = tf.eye(m, m if full_matrices else 0, tf.shape(A)[:-2], A.dtype), A[..., 0, :], A[..., :0, :]
        return U, tf.math.real(S), Vh
    A, finite, scale = _scaled(A)
    # The columns of Rᴴ are nearer to orthogonal ones than those of A, and fewer numbers where A is tall.
    Q, R = tf.linalg.qr(A)
    V, S, W = _one_sided(tf.math.conj(R))
    U = Q @ W
    if full_matrices and m > n:
        U = tf.concat([U, tf.linalg.qr(U, full_matrices=True)[0][..., n:]], axis=-1)
    nan = tf.constant(np.nan, S.dtype)
    U = tf.where(finite, U, tf.cast(nan, U.dtype))
    S = tf.where(finite[..., 0], S * scale[..., 0], nan)
    return U, S, tf.linalg.adjoint(V)


def _one_sided(X):
    """U, S and V of the transpose of square X: rotations make its columns, the rows of X, orthogonal, Xᵀ V = U S."""
    n, lead, eps = _size(X), X.shape.rank - 2, _eps(X)
    X, half = _even(X, axes=1)
    # rows that are rounding are not worth to be made orthogonal
    rounding = (n * eps) ** 2 * _square(X, [-2, -1])[..., None]

    def rotate(both):
        squares, X = _square(both[..., :n], -1), both[..., :n]
        xx, yy = squares[..., :half], squares[..., half:]
        xy = tf.reduce_sum(tf.math.conj(X[..., :half, :]) * X[..., half:, :], axis=-1)
        size, bound = tf.abs(xy), tf.sqrt(xx) * tf.sqrt(yy)
        skewed = (size > eps * bound) & (size > rounding)
        # of the columns, for which off-diagonal entries of XᴴX are the conjugates of those that rows would have
        both = _rotated(both, half, *_rotation(tf.math.conj(xy), yy - xx, skewed))
        return tf.reduce_any(skewed & (size > n * eps * bound)), both

    eye = tf.eye(2 * half, n, batch_shape=tf.shape(X)[:-2], dtype=X.dtype)
    (both,) = _swept(rotate, half, tf.concat([X, eye], axis=-1))
    both = both[..., :n, :]  # a whole sweep brings each row back to its place, and the one that was added to the end
    S = tf.sqrt(_square(both[..., :n], -1))
    order = tf.argsort(S, axis=-1, direction="DESCENDING")
    S = tf.gather(S, order, axis=-1, batch_dims=lead)
    both = tf.linalg.matrix_transpose(tf.gather(both, order, axis=lead, batch_dims=lead))
    # R of U S is diagonal, and Q is unitary even where S is zero
    U, R = tf.linalg.qr(both[..., :n, :])
    diagonal = tf.linalg.diag_part(R)
    size = tf.cast(tf.abs(diagonal), R.dtype)
    one = tf.ones_like(size)
    phase = tf.where(tf.equal(size, 0), one, diagonal / tf.where(tf.equal(size, 0), one, size))
    return U * phase[..., None, :], S, both[..., n:, :]


# -- the rotations -----------------------------------------------------------------------------------------------------


def _rotation(off, gap, skewed):
    """Cosine and sine, with its phase, of the rotation [[c, −s], [s̄, c]] that makes [[a, off], [conj(off), a + gap]]
    diagonal, by an angle of at most 45 degrees; 1 and 0 where it is not `skewed`. Columns, for rows to be multiplied
    with."""
    one = tf.ones_like(gap)
    size = tf.where(skewed, tf.abs(off), one)
    zeta = gap / (2 * size)
    tangent = tf.where(zeta < 0, -one, one) / (tf.abs(zeta) + tf.sqrt(1 + zeta * zeta))
    tangent = tf.where(skewed, tangent, tf.zeros_like(one))
    cosine = tf.math.rsqrt(1 + tangent * tangent)
    return tf.cast(cosine, off.dtype)[..., None], (tf.cast(cosine * tangent / size, off.dtype) * off)[..., None]


def _rotated(X, half, c, s):
    """X with each row of the first half rotated against that in its place of the second, and then with all rows but the
    first moved on by one place, round a table of two halves."""
    x, y = X[..., :half, :], X[..., half:, :]
    x, y = c * x - s * y, tf.math.conj(s) * x + c * y
    return tf.concat([x[..., :1, :], y[..., :1, :], x[..., 1:-1, :], y[..., 1:, :], x[..., 1:, :][..., -1:, :]], -2)


def _swept(rotate, half, *arrays):
    """The arrays after as many sweeps as it takes. `rotate` is a round of one, and says whether there was need."""

    def once(step, needed, *arrays):
        here, *arrays = rotate(*arrays)
        return step + 1, needed | here, *arrays

    def sweep(count, _, *arrays):
        start = [0, tf.constant(False), *arrays]
        return count + 1, *tf.while_loop(lambda step, *_: step < 2 * half - 1, once, start)[1:]

    start = [0, tf.constant(True), *arrays]
    return tf.while_loop(lambda count, needed, *_: needed & (count < _SWEEPS), sweep, start)[2:]


def _even(X, axes=2):
    """Square X with a row of zeros (and a column, for two axes) where their number is odd, and half of that number."""
    n = _size(X)
    half = (n + 1) // 2
    added = [[0, 0]] * (X.shape.rank - 2) + [[0, 2 * half - n]] + [[0, (2 * half - n) * (axes - 1)]]
    return tf.pad(X, added), half


def _size(X):
    """The number of columns, a tensor where it is not known while the graph is built."""
    return tf.shape(X)[-1] if X.shape[-1] is None else X.shape[-1]


def _scaled(A):
    """A, relative to its largest entry, so that no square overflows; whether it is finite; and that entry. Zeros stand
    where A is not finite."""
    scale = tf.reduce_max(tf.abs(A), axis=[-2, -1], keepdims=True)
    finite = tf.reduce_all(tf.math.is_finite(tf.abs(A)), axis=[-2, -1], keepdims=True)  # a maximum may lose a NaN
    scale = tf.where(scale > 0, scale, tf.ones_like(scale))
    return tf.where(finite, A / tf.cast(scale, A.dtype), tf.zeros_like(A)), finite, scale


def _square(X, axis):
    return tf.reduce_sum(tf.math.real(X * tf.math.conj(X)), axis=axis)


def _eps(X):
    return np.finfo(X.dtype.as_numpy_dtype).eps
