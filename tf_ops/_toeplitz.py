"""Toeplitz matrices under XLA: as full ones, in n² numbers and n³ flops.

May import tensorflow, `overbar` and the neighbours below it: `_in_xla` and `_elimination`. Where the host raises,
because the matrix is singular, X is NaN.
"""

import tensorflow as tf

from overbar.kernels._toeplitz import levinson, toeplitz_sums, toeplitz_times
from tf_ops._elimination import factored, is_regular
from tf_ops._in_xla import cast, double_precision, is_finite, or_nan, power_of_two, sizes, way_of


def _full(c, r, adjoint):
    """T, or Tᴴ: Tᵢⱼ is entry i − j + n − 1 of the diagonals from the upper right corner on."""
    n = sizes(c)[1]
    i = tf.range(n)
    T = tf.gather(tf.concat([r[:, :0:-1], c], -1), i[:, None] - i + n - 1, axis=1)
    return tf.linalg.adjoint(T) if adjoint else T


@way_of(toeplitz_times)
def _(c, r, X, *, adjoint):
    return _full(c, r, adjoint) @ X


@way_of(toeplitz_sums)
def _(P, Q):
    k, n = sizes(P)[:2]
    # row i of P Qᴴ from below, followed by n zeros, is in rows of length 2n − 1 moved to the right by i
    rows = tf.pad(tf.reverse(tf.matmul(P, Q, adjoint_b=True), [1]), [[0, 0], [0, 0], [0, n]])
    moved = tf.reshape(tf.reshape(rows, [k, 2 * n * n])[:, : n * (2 * n - 1)], [k, n, 2 * n - 1])
    total = tf.reduce_sum(moved, axis=1)
    below, above = tf.reverse(total[:, :n], [1]), total[:, n - 1 :]
    return below, tf.concat([tf.zeros_like(above[:, :1]), above[:, 1:]], -1)


@way_of(levinson)
def _(c, r, B, *, adjoint):
    """By elimination, in double precision as on the host."""
    kind = double_precision((c, r, B))
    T, B = _full(tf.cast(c, kind), tf.cast(r, kind), adjoint), tf.cast(B, kind)
    scale = cast(power_of_two(T), kind)
    LU, _, order = factored(T / scale)
    L = tf.linalg.set_diag(LU, tf.ones_like(LU[..., 0]))
    Y = tf.linalg.triangular_solve(L, tf.gather(B, order, axis=1, batch_dims=1))
    X = tf.linalg.triangular_solve(LU, Y, lower=False) / scale
    return or_nan(is_regular(LU) & is_finite(T) & is_finite(B), X)
