"""Banded systems and the Cholesky decomposition of bands under XLA, and what the derivatives of these need.

May import tensorflow, NumPy, `overbar.kernels` and the neighbours below it: `_in_xla` and `_internals`. All of it goes
along the band column by column, or row by row, with a window on as many of them as there are diagonals: n steps of some
p² flops. On a CPU, XLA makes one loop of machine code of it, as the body is small. A band (p, n) is taken by columns
(n, p), or by rows, so that what a step reads and writes lies in one piece. Where the host raises, the result is NaN for
the whole matrix.
"""

import numpy as np
import tensorflow as tf

from overbar.kernels._banded import gbsv
from overbar.kernels._banded_cholesky import (
    banded_cotangent,
    banded_tangent,
    pbtrf,
    pbtrs,
    pbtrs_cotangent,
    products_of_bands,
)
from tf_ops._in_xla import divided, is_finite, loop, modulus, or_nan, sizes, way_of
from tf_ops._internals import update_slice

# -- storage -----------------------------------------------------------------------------------------------------------


def _rows(ab, lower, upper):
    """The rows (k, n, p) of the matrix whose band is stored in ab: row i from its column i − lower on, with zeros for
    what lies outside. In ab they are diagonals, and so in memory one place more than a row of it apart."""
    k, _, n = sizes(ab)
    p = lower + upper + 1
    wide = tf.pad(ab[:, ::-1], [[0, 0], [0, 0], [lower, upper]])
    flat = tf.pad(tf.reshape(wide, [k, p * (n + p - 1)]), [[0, 0], [0, p]])
    return tf.linalg.matrix_transpose(tf.reshape(flat, [k, p, n + p])[..., :n])


def _inside(n, p, before=0):
    """Which entries lie in the matrix, of columns or rows that begin so many places before the diagonal."""
    place = tf.range(n)[:, None] + tf.range(p) - before
    return (place >= 0) & (place < n)


def _columns(ab, lower):
    """The columns (k, n, p) of a lower triangular matrix, from its diagonal on, zero outside: of L, or of L = Uᴴ."""
    _, p, n = sizes(ab)
    if not lower:
        return tf.math.conj(_rows(ab, 0, p - 1))
    return tf.where(_inside(n, p), tf.linalg.matrix_transpose(ab), tf.zeros([], ab.dtype))


def _stored(columns, lower):
    """The inverse of `_columns`, with zeros in the corners."""
    k, n, p = sizes(columns)
    ab = tf.linalg.matrix_transpose(columns)
    if lower:
        return tf.where(tf.transpose(_inside(n, p)), ab, tf.zeros([], ab.dtype))
    flat = tf.reshape(tf.pad(tf.math.conj(ab), [[0, 0], [0, 0], [0, p]]), [k, p * (n + p)])
    return tf.reshape(flat[:, : p * (n + p - 1)], [k, p, n + p - 1])[:, ::-1, :n]


def _followed(A, count):
    """A with so many rows of zeros behind: what a window at the end looks at, and, if its size is not known while the
    graph is built and then zero, the body of a loop that makes no step."""
    return tf.pad(A, [[0, 0], [0, count], [0, 0]])


# -- Cholesky ----------------------------------------------------------------------------------------------------------


def _moved(x):
    """The matrix (k, p, p) with the entries xₐ₊ᵦ, of columns (k, p)."""
    p = x.shape[1]
    a, b = np.ogrid[:p, :p]
    return tf.gather(tf.pad(x, [[0, 0], [0, p - 1]]), a + b, axis=1)


def _shifted(W):
    """The matrix (k, p, p) with the entries Wᵦ,ₐ₋ᵦ: the lower triangle of which W has the columns."""
    p = W.shape[1]
    a, b = np.ogrid[:p, :p]
    flat = tf.pad(tf.reshape(W, tf.concat([tf.shape(W)[:1], [p * p]], 0)), [[0, 0], [0, 1]])
    return tf.gather(flat, np.where(a >= b, b * p + a - b, p * p), axis=1)


def _real(x):
    return tf.cast(tf.math.real(x), x.dtype)


def _first(p):
    return np.arange(p)[:, None] == 0


@way_of(pbtrf)
def _(ab, *, lower):
    A = _columns(ab, lower)
    k, n, p = sizes(A)
    A = tf.concat([_real(A[..., :1]), A[..., 1:]], axis=-1)

    def step(j, A):
        """Column j, and what it takes from those in its window."""
        W = tf.slice(A, [0, j, 0], [k, p, p])
        pivot = tf.cast(tf.sqrt(tf.math.real(W[:, 0, :1])), A.dtype)
        column = tf.concat([pivot, W[:, 0, 1:] / pivot], axis=-1)
        W = tf.where(_first(p), column[:, None], W - _moved(column) * tf.math.conj(column)[..., None])
        return j + 1, update_slice(A, W, [0, j, 0])

    L = loop(lambda j, _: j < n, step, [0, _followed(A, p)])[1][:, :n]
    return _stored(or_nan(is_finite(A) & tf.reduce_all(tf.math.real(L[..., 0]) > 0, axis=-1), L), lower)


@way_of(banded_tangent)
def _(L, E):
    """Column by column: what those to its left have of X Lᴴ + L Xᴴ has been taken from that of E, and of the rest its
    entry on the diagonal is half, over L's."""
    k, p, n = sizes(L)
    L, E = _followed(_columns(L, True), 1), _followed(_columns(E, True), p)

    def step(j, R):
        W = tf.slice(R, [0, j, 0], [k, p, p])
        of_L = tf.slice(L, [0, j, 0], [k, 1, p])[:, 0]
        pivot, rest = tf.math.conj(of_L[:, :1]), W[:, 0]
        half = tf.math.conj(_real(rest[:, :1]) / (2 * pivot))
        of_X = tf.concat([tf.math.conj(half), (rest - of_L * half)[:, 1:] / pivot], axis=-1)
        taken = _moved(of_X) * tf.math.conj(of_L)[..., None] + _moved(of_L) * tf.math.conj(of_X)[..., None]
        return j + 1, update_slice(R, tf.where(_first(p), of_X[:, None], W - taken), [0, j, 0])

    X = loop(lambda j, _: j < n, step, [0, E])[1][:, :n]
    return _stored(or_nan(_regular(L[:, :n]), X), True)


def _regular(L):
    """Whether a triangular matrix has no zero on its diagonal, which is the first of each column or row."""
    return tf.reduce_all(tf.not_equal(L[..., 0], 0), axis=-1)


@way_of(banded_cotangent)
def _(L, G):
    """From the last column to the first: what the columns behind it, and so the rows, of S have of column j of S L is
    taken from that of G, and what is left belongs to column j of S."""
    k, p, n = sizes(L)
    L, G = _followed(_columns(L, True), 1), _followed(_columns(G, True), p)

    def step(count, Y):
        j = n - 1 - count
        of_L, of_G = (tf.slice(A, [0, j, 0], [k, 1, p])[:, 0] for A in (L, G))
        S = _shifted(tf.slice(Y, [0, j, 0], [k, p, p]))  # half of it
        product = tf.reduce_sum(S * of_L[:, None], axis=-1)
        product += tf.reduce_sum(tf.math.conj(S) * of_L[..., None], axis=-2)
        bar, pivot = of_G - product, of_L[:, :1]
        below = bar[:, 1:] / pivot
        main = bar[:, :1] - tf.reduce_sum(tf.math.conj(below) * of_L[:, 1:], axis=-1, keepdims=True)
        column = tf.concat([_real(main / (2 * pivot)), below], axis=-1)
        return count + 1, update_slice(Y, column[:, None], [0, j, 0])

    Y = loop(lambda count, _: count < n, step, [0, tf.zeros_like(G)])[1][:, :n]
    return _stored(or_nan(_regular(L[:, :n]), Y), True)


@way_of(pbtrs)
def _(cb, B, *, lower):
    (k, p, n), columns = sizes(cb), sizes(B)[2]
    L = _followed(_columns(cb, lower), 1)

    def step(j, Y):
        W = tf.slice(Y, [0, j, 0], [k, p, columns])
        of_L = tf.slice(L, [0, j, 0], [k, 1, p])[:, 0, :, None]
        row = W[:, :1] / of_L[:, :1]
        return j + 1, update_slice(Y, tf.where(_first(p), row, W - of_L * row), [0, j, 0])

    Y = loop(lambda j, _: j < n, step, [0, _followed(B, p)])[1]
    return or_nan(_regular(L[:, :n]), _back_substituted(tf.math.conj(L), Y, n))


def _back_substituted(U, Y, n):
    """The solution X of U X = Y from the n rows of an upper triangular U, each from its diagonal on. There is one more
    of zeros, and p more of Y."""
    (k, _, p), columns = sizes(U), sizes(Y)[2]

    def step(count, X):
        j = n - 1 - count
        W = tf.slice(X, [0, j, 0], [k, p, columns])
        of_U = tf.slice(U, [0, j, 0], [k, 1, p])[:, 0, :, None]
        known = tf.reduce_sum(of_U[:, 1:] * W[:, 1:], axis=1, keepdims=True)
        return count + 1, update_slice(X, (W[:, :1] - known) / of_U[:, :1], [0, j, 0])

    return loop(lambda count, _: count < n, step, [0, Y])[1][:, :n]


@way_of(products_of_bands)
def _(L, G, X):
    """Column j of L, or of G, in its window: its product with a row of Gᴴ X, or Lᴴ X."""
    (k, p, n), columns = sizes(L), sizes(X)[2]
    L, G, X = (_followed(A, p) for A in (_columns(L, True), _columns(G, True), X))

    def step(j, Y):
        of_L, of_G = (tf.slice(A, [0, j, 0], [k, 1, p])[:, 0, :, None] for A in (L, G))
        W = tf.slice(X, [0, j, 0], [k, p, columns])
        by_L, by_G = (tf.reduce_sum(tf.math.conj(A) * W, axis=1, keepdims=True) for A in (of_L, of_G))
        taken = of_L * by_G + of_G * by_L
        return j + 1, update_slice(Y, tf.slice(Y, [0, j, 0], [k, p, columns]) - taken, [0, j, 0])

    return loop(lambda j, _: j < n, step, [0, tf.zeros_like(X)])[1][:, :n]


@way_of(pbtrs_cotangent)
def _(L, X, B_bar):
    """Column j of S L, which needs the rows of X and B̄ in its window."""
    (k, p, n), columns = sizes(L), sizes(X)[2]
    L, X, B_bar = _followed(_columns(L, True), 1), _followed(X, p), _followed(B_bar, p)

    def step(j, Y):
        column = tf.slice(L, [0, j, 0], [k, 1, p])[:, 0, :, None]
        windows = [tf.slice(A, [0, j, 0], [k, p, columns]) for A in (X, B_bar)]
        by_X, by_B = (tf.reduce_sum(column * tf.math.conj(W), axis=1, keepdims=True) for W in windows)
        bar = -tf.reduce_sum(windows[1] * by_X + windows[0] * by_B, axis=-1)[:, None]
        return j + 1, update_slice(Y, bar, [0, j, 0])

    Y = loop(lambda j, _: j < n, step, [0, tf.zeros_like(L)])[1][:, :n]
    return _stored(Y, True)


# -- any band ----------------------------------------------------------------------------------------------------------


@way_of(gbsv)
def _(ab, B, *, lower, upper, adjoint, name):
    """By elimination with partial pivoting, where the right-hand side stands beside the rows of the matrix. In the
    window are those that may be the next row of U: `lower` + 1 of them, as far as they go."""
    if adjoint:  # of which row i is column i of A
        lower, upper = upper, lower
        rows = tf.linalg.matrix_transpose(tf.math.conj(ab))
        rows = tf.where(_inside(sizes(ab)[2], lower + upper + 1, lower), rows, tf.zeros([], ab.dtype))
    else:
        rows = _rows(ab, lower, upper)
    n, p = sizes(ab)[2], lower + upper + 1
    rows, B = _followed(rows, 1), _followed(B, 1)
    if lower:
        both = _eliminated(_followed(tf.concat([rows, B], axis=-1), lower), n, lower, p)
        rows, B = both[..., :p], both[..., p:]
    return or_nan(_regular(rows[:, :n]), _back_substituted(rows, _followed(B, p - 1), n))


def _eliminated(both, n, lower, p):
    """U, and what is left of B beside it, of A and B, which have rows of zeros behind them."""
    k, _, width = sizes(both)
    r, c = np.ogrid[: lower + 1, :p]
    # at first the rows begin with column 0, and those in `both` with column r − lower
    flat = tf.pad(tf.reshape(both[:, : lower + 1, :p], [k, (lower + 1) * p]), [[0, 0], [0, 1]])
    W = tf.gather(flat, np.where(c + lower < p + r, r * p + c + lower - r, (lower + 1) * p), axis=1)
    W = tf.concat([W, both[:, : lower + 1, p:]], axis=-1)
    r = tf.range(lower + 1)

    def step(j, U, W):
        column = W[..., 0]
        place = tf.argmax(modulus(column), axis=-1, output_type=tf.int32)[:, None]
        row = tf.reduce_sum(tf.where(tf.equal(r, place)[..., None], W, tf.zeros([], W.dtype)), axis=1, keepdims=True)
        # the first row in the place of the one that leaves
        W = tf.where(tf.equal(r, place)[..., None], W[:, :1], W)[:, 1:]
        W = W - divided(W[..., :1], row[..., :1]) * row
        W = tf.concat([W[..., 1:p], tf.zeros_like(W[..., :1]), W[..., p:]], axis=-1)
        entering = tf.slice(both, [0, j + lower + 1, 0], [k, 1, width])
        return j + 1, update_slice(U, row, [0, j, 0]), tf.concat([W, entering], axis=1)

    # written to another array than it reads from: XLA would copy all of one for both, in each step
    return loop(lambda j, *_: j < n, step, [0, tf.zeros_like(both[:, : n + 1]), W])[1]
