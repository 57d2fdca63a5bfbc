"""The LU decomposition and the determinant under XLA, for which TensorFlow's own have no kernel.

May import tensorflow, `overbar.kernels` and the neighbours below it: `_in_xla` and `_internals`.
"""

import tensorflow as tf

from overbar.kernels._lu import getrf, permutation
from tf_ops._in_xla import divided, loop, modulus, sizes, way_of
from tf_ops._internals import update_slice

# Columns are eliminated one after the other within panels so wide, and the rest by a product for each panel.
_PANEL = 32


@way_of(getrf)
def factored(A):
    """A by panels of columns, all of which have the full height and are looked at below the diagonal only: XLA has no
    loop whose matrices become smaller. So there are three times the flops of LAPACK, in products."""
    k, m, n = sizes(A)
    least = tf.minimum(m, n) if isinstance(m, tf.Tensor) or isinstance(n, tf.Tensor) else min(m, n)
    width = _PANEL if isinstance(least, tf.Tensor) else min(_PANEL, least)
    panels = -(-least // width)
    # so that the last panel does not stand out
    A = tf.pad(A, [[0, 0], [0, _lacking(panels * width, m)], [0, _lacking(panels * width, n)]])
    rows, columns = sizes(A)[1:]
    i, local = tf.range(rows), tf.range(width)

    def eliminate(start, j, P, order, pivots):
        """One step on the panel whose first column is `start`."""
        column = tf.gather(P, j - start, axis=2)
        candidates = tf.where((i >= j) & (i < m), modulus(column), -tf.ones([], modulus(column).dtype))
        found = tf.minimum(tf.argmax(candidates, axis=-1, output_type=tf.int32), m - 1)
        pivot = tf.where(j < least, tf.maximum(found, j), j)  # whatever argmax makes of NaN
        P, order = (_exchanged(x, i, j, pivot) for x in (P, order))
        row = tf.gather(P, j, axis=1)[:, None, :]
        column = tf.gather(P, j - start, axis=2)
        below = (i > j) & (j < least)
        factors = tf.where(below, divided(column, tf.gather(row, j - start, axis=2)), tf.zeros([], P.dtype))
        reduced = P - factors[..., None] * tf.where(local > j - start, row, tf.zeros([], P.dtype))
        P = tf.where(below[:, None] & tf.equal(local, j - start), factors[..., None], reduced)
        return start, j + 1, P, order, tf.where(tf.equal(i, j), pivot[:, None], pivots)

    def panel(start, A, p, pivots):
        end = start + width
        P = tf.slice(A, [0, 0, start], [k, rows, width])
        state = [start, start, P, tf.zeros([k, 1], tf.int32) + i, pivots]
        _, _, P, order, pivots = loop(lambda start, j, *_: j < end, eliminate, state)
        A, p = (tf.gather(x, order, axis=1, batch_dims=1) for x in (A, p))
        A = update_slice(A, P, [0, 0, start])
        # the rows of U beside the panel, and what is left below them
        beside = tf.range(columns) >= end
        L = tf.linalg.set_diag(tf.slice(P, [0, start, 0], [k, width, width]), tf.ones([k, width], P.dtype))
        old = tf.slice(A, [0, start, 0], [k, width, columns])
        U = tf.linalg.triangular_solve(L, tf.where(beside, old, tf.zeros([], P.dtype)))
        A = update_slice(A, tf.where(beside, U, old), [0, start, 0])
        below = tf.where((i >= end)[:, None], P, tf.zeros([], P.dtype))
        return end, A - below @ tf.where(beside, U, tf.zeros([], P.dtype)), p, pivots

    state = [0, A, tf.zeros([k, 1], tf.int32) + i, tf.zeros([k, 1], tf.int32) + i]
    _, A, p, pivots = loop(lambda start, *_: start < least, panel, state)
    return A[:, :m, :n], pivots[:, :m] + 1, p[:, :m]


def _lacking(wanted, size):
    lacking = wanted - size
    return tf.maximum(lacking, 0) if isinstance(lacking, tf.Tensor) else max(lacking, 0)


def _exchanged(x, i, j, pivot):
    """x with row j and row pivot, one for each matrix, exchanged."""
    first, second = tf.gather(x, j, axis=1)[:, None], tf.gather(x, pivot, axis=1, batch_dims=1)[:, None]
    to_first, to_second = tf.equal(i, j)[None], tf.equal(i, pivot[:, None])
    if x.shape.rank == 3:
        to_first, to_second = to_first[..., None], to_second[..., None]
    return tf.where(to_first, second, tf.where(to_second, first, x))


@way_of(permutation)
def _(rows, pivots):
    """Where a pivot is not possible, all are −1."""
    m, count = sizes(rows)[1], sizes(pivots)[1]
    pivots = tf.cast(tf.round(tf.math.real(pivots)) if not pivots.dtype.is_integer else pivots, tf.int32) - 1
    possible = tf.reduce_all((pivots >= tf.range(count)) & (pivots < m), axis=-1, keepdims=True)
    i = tf.range(m)

    def exchange(j, p):
        return j + 1, _exchanged(p, i, j, tf.clip_by_value(tf.gather(pivots, j, axis=1), 0, m - 1))

    _, p = loop(lambda j, _: j < count, exchange, [0, tf.zeros([sizes(rows)[0], 1], tf.int32) + i])
    return tf.where(possible, p, -tf.ones_like(p))


def is_regular(LU):
    """Whether a factor has no zero for a pivot: what LAPACK means by it, for each matrix."""
    return tf.reduce_all(tf.not_equal(tf.linalg.diag_part(LU), 0), axis=-1)


def slogdet(A):
    LU, pivots, _ = factored(A)
    turned = tf.reduce_sum(
        tf.cast(tf.not_equal(pivots, tf.range(1, sizes(pivots)[-1] + 1, dtype=pivots.dtype)), tf.int32), axis=-1
    )
    diagonal = tf.linalg.diag_part(LU)
    sign = tf.cast(1 - 2 * (turned % 2), A.dtype) * tf.reduce_prod(tf.sign(diagonal), axis=-1)
    return sign, tf.reduce_sum(tf.math.log(tf.abs(diagonal)), axis=-1)
