"""The singular value decomposition under XLA, to rounding.

May import tensorflow and NumPy. XLA's own has a residual of 1e-7 in double precision, and takes no complex matrices.
Here it is the one-sided Jacobi iteration (Hestenes 1958; in parallel, as Brent and Luk 1985 have it), whose every step
rotates all pairs of columns of a round at once.
"""

import numpy as np
import tensorflow as tf

# More sweeps than matrices of any size take, which is about ten.
_SWEEPS = 30


def svd(A, full_matrices):
    """U, the singular values in descending order, and Vᴴ, of matrices whose sizes are known."""
    m, n = A.shape[-2:]
    if m < n:
        U, S, Vh = svd(tf.linalg.adjoint(A), full_matrices)
        return tf.linalg.adjoint(Vh), S, tf.linalg.adjoint(U)
    if n == 0:
        U, S, Vh = tf.eye(m, m if full_matrices else 0, tf.shape(A)[:-2], A.dtype), A[..., 0, :], A[..., :0, :]
        return U, tf.math.real(S), Vh
    scale = tf.reduce_max(tf.abs(A), axis=[-2, -1], keepdims=True)
    fine = tf.math.is_finite(scale)
    scale = tf.where(scale > 0, scale, tf.ones_like(scale))
    A = tf.where(fine, A / tf.cast(scale, A.dtype), tf.zeros_like(A))
    # The columns of Rᴴ are nearer to orthogonal ones than those of A, and fewer numbers where A is tall.
    Q, R = tf.linalg.qr(A)
    V, S, W = _one_sided(tf.linalg.adjoint(R))
    U = Q @ W
    if full_matrices and m > n:
        U = tf.concat([U, tf.linalg.qr(U, full_matrices=True)[0][..., n:]], axis=-1)
    nan = tf.constant(np.nan, S.dtype)
    U = tf.where(fine, U, tf.cast(nan, U.dtype))
    S = tf.where(fine[..., 0], S * scale[..., 0], nan)
    return U, S, tf.linalg.adjoint(V)


def _one_sided(X):
    """U, S and V of square X: rotations make its columns orthogonal, X V = U S."""
    n, lead = X.shape[-1], X.shape.rank - 2
    eps = np.finfo(X.dtype.as_numpy_dtype).eps
    half = (n + 1) // 2  # an odd number of columns gets a column of zeros
    eye = tf.eye(n, batch_shape=tf.shape(X)[:-2], dtype=X.dtype)
    both = tf.pad(tf.concat([X, eye], axis=-2), [[0, 0]] * (lead + 1) + [[0, 2 * half - n]])
    # columns that are rounding are not worth to be made orthogonal
    rounding = (n * eps) ** 2 * tf.reduce_sum(_squares(X), axis=[-2, -1])[..., None]

    def rotate(step, left, right, worst):
        x, y = left[..., :n, :], right[..., :n, :]
        xx, yy = (tf.reduce_sum(_squares(z), axis=-2) for z in (x, y))
        xy = tf.reduce_sum(tf.math.conj(x) * y, axis=-2)
        size, bound, one = tf.abs(xy), tf.sqrt(xx) * tf.sqrt(yy), tf.ones_like(xx)
        skewed = (size > eps * bound) & (size > rounding)
        size = tf.where(skewed, size, one)
        zeta = (yy - xx) / (2 * size)
        t = tf.where(zeta < 0, -one, one) / (tf.abs(zeta) + tf.sqrt(1 + zeta * zeta))
        t = tf.where(skewed, t, tf.zeros_like(t))
        cosine = tf.math.rsqrt(1 + t * t)
        phase = tf.where(skewed, xy / tf.cast(size, xy.dtype), tf.ones_like(xy))
        c, s = (tf.cast(z, X.dtype)[..., None, :] for z in (cosine, cosine * t))
        right = right * tf.math.conj(phase)[..., None, :]
        left, right = c * left - s * right, s * left + c * right
        angles = tf.where(skewed, size / tf.where(skewed, bound, one), tf.zeros_like(one))
        if half > 1:  # all but the first move on by one place, round a table of two rows
            left, right = (
                tf.concat([left[..., :1], right[..., :1], left[..., 1:-1]], axis=-1),
                tf.concat([right[..., 1:], left[..., -1:]], axis=-1),
            )
        return step + 1, left, right, tf.maximum(worst, tf.reduce_max(angles))

    def sweep(count, left, right, worst):
        start = [0, left, right, tf.zeros_like(worst)]
        _, left, right, worst = tf.while_loop(lambda step, *_: step < 2 * half - 1, rotate, start)
        return count + 1, left, right, worst

    def unfinished(count, left, right, worst):
        return (count < _SWEEPS) & (worst > n * eps)

    start = [0, both[..., :half], both[..., half:], tf.ones([], X.dtype.real_dtype)]
    _, left, right, _ = tf.while_loop(unfinished, sweep, start)
    columns = tf.linalg.matrix_transpose(tf.concat([left, right], axis=-1)[..., :n])
    S = tf.sqrt(tf.reduce_sum(_squares(columns[..., :n]), axis=-1))
    order = tf.argsort(S, axis=-1, direction="DESCENDING")
    S = tf.gather(S, order, axis=-1, batch_dims=lead)
    both = tf.linalg.matrix_transpose(tf.gather(columns, order, axis=lead, batch_dims=lead))
    # R of U S is diagonal, and Q is unitary even where S is zero
    U, R = tf.linalg.qr(both[..., :n, :])
    diagonal = tf.linalg.diag_part(R)
    size = tf.cast(tf.abs(diagonal), R.dtype)
    one = tf.ones_like(size)
    phase = tf.where(size == 0, one, diagonal / tf.where(size == 0, one, size))
    return U * phase[..., None, :], S, both[..., n:, :]


def _squares(X):
    return tf.math.real(X * tf.math.conj(X))
