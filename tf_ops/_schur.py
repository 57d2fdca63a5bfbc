"""Schur forms, eigenvectors and triangular equations of stacks of complex matrices, under XLA.

May import tensorflow, `overbar` and the neighbours below it: `_in_xla` and `_internals`. The QR iteration has steps of
a few microseconds, 2n² of them: on a CPU, XLA takes two to ten times as long for it as LAPACK. Matrices of a stack go
through them together. (A real form, with blocks of two, is not here: complex numbers do as well for equations and
functions.)
"""

import tensorflow as tf

from overbar._namespace import namespace
from tf_ops._in_xla import APART, SWEEPS, cast, divided, eps_of, is_finite, loop, modulus, or_nan, sizes, square_of
from tf_ops._internals import update_slice

# Where so many steps made nothing smaller, the shift is another one, as LAPACK has it.
_PATIENCE = 10


def schur_forms(A):
    """T and Z of A = Z T Zᴴ for complex (k, n, n); NaN where A is not finite, or the iteration does not converge."""
    n = sizes(A)[1]
    if not isinstance(n, int) or n == 1:  # rows are turned in pairs: one more that nothing is coupled to
        more = [[0, 0], [0, 1], [0, 1]]
        T, Z = _schur_forms(tf.ensure_shape(tf.pad(A, more), [A.shape[0], *([None if A.shape[1] is None else 2] * 2)]))
        return T[:, :n, :n], Z[:, :n, :n]
    return _schur_forms(A)


def _schur_forms(A):
    n = sizes(A)[1]
    finite = is_finite(A)
    largest = tf.reduce_max(tf.abs(A), axis=[-2, -1])
    H = tf.where(finite[:, None, None], A, tf.zeros_like(A))
    # the form beside Zᴴ, so that rows of both are turned at once
    W, active = _iterated(_hessenberg(H), tf.where(finite, largest, tf.zeros_like(largest)))
    T, Z = tf.linalg.band_part(W[..., :n], 0, -1), tf.linalg.adjoint(W[..., n : 2 * n])
    fine = finite & tf.equal(active, 0)
    return or_nan(fine, T), or_nan(fine, Z)


def _hessenberg(A):
    """H and Zᴴ beside each other, by Householder's reflections."""
    k, n = sizes(A)[:2]
    i = tf.range(n)

    def step(j, W):
        x = tf.where(i > j, tf.gather(W, j, axis=2), tf.zeros([], A.dtype))
        size = tf.reduce_max(tf.abs(x), axis=-1, keepdims=True)
        x = x / tf.cast(tf.where(size > 0, size, tf.ones_like(size)), A.dtype)
        first = tf.gather(x, j + 1, axis=1)[:, None]
        modulus_of_first = tf.abs(first)
        phase = tf.where(modulus_of_first > 0, divided(first, tf.cast(modulus_of_first, A.dtype)), tf.ones_like(first))
        squares = square_of(x)
        norm = tf.cast(tf.sqrt(tf.reduce_sum(squares, axis=-1, keepdims=True)), A.dtype)
        v = x + phase * norm * tf.cast(tf.equal(i, j + 1), A.dtype)
        rest = tf.reduce_sum(tf.where(i > j + 1, squares, tf.zeros_like(squares)), axis=-1, keepdims=True)
        factor = tf.where(rest > 0, divided(2 * tf.ones_like(rest), tf.reduce_sum(square_of(v), -1, keepdims=True)), 0)
        v, turned = v[..., None], tf.math.conj(v * tf.cast(factor, A.dtype))[:, None, :]
        W = W - v @ (turned @ W)
        H = W[..., :n]
        return j + 1, tf.concat([H - (H @ v) @ turned, W[..., n:]], axis=-1)

    W = tf.concat([A, tf.eye(n, n + APART, [k], A.dtype)], axis=-1)
    if isinstance(n, int):
        W.set_shape([None, n, 2 * n + APART])
    return loop(lambda j, _: j < n - 2, step, [0, W])[1]


def _iterated(W, largest):
    """The QR iteration with Wilkinson's shifts, from H and Zᴴ beside each other: these, and the numbers of the last
    column that still has a subdiagonal (0 where all is done)."""
    k, n, width = sizes(W)
    i, eps = tf.range(n), eps_of(W)
    beside = tf.equal(i[:, None] - 1, tf.range(width))
    zero = tf.zeros([], W.dtype)

    def parts(W):
        """The diagonal, what is left of it and what is above it; 0 in front."""
        H = W[..., :n]
        left = tf.reduce_sum(tf.where(beside[:, :n], H, zero), axis=-1)
        above = tf.reduce_sum(tf.where(tf.transpose(beside[:, :n]), H, zero), axis=-2)
        return tf.linalg.diag_part(H), left, above

    def split(W):
        """W without what is negligible left of the diagonal, and where its active block begins and ends."""
        diagonal, left, _ = parts(W)
        size = modulus(diagonal)
        size = size + tf.roll(size, 1, axis=-1)
        size = tf.where(tf.equal(size, 0), largest[:, None], size)
        coupled = (modulus(left) > eps * size) & (i > 0)
        W = tf.where(beside & ~coupled[..., None], zero, W)
        end = tf.reduce_max(tf.where(coupled, i, 0), axis=-1)
        return W, tf.reduce_max(tf.where(~coupled & (i <= end[:, None]), i, 0), axis=-1), end

    def shift_of(W, start, end, waited):
        diagonal, left, above = parts(W)
        at = lambda x, j: tf.gather(x, j, axis=1, batch_dims=1)  # noqa: E731
        a, d = at(diagonal, tf.maximum(end - 1, 0)), at(diagonal, end)
        b, c = at(above, end), at(left, end)
        # scaled, so that no product overflows
        scale = tf.cast(modulus(a - d) + modulus(b) + modulus(c), W.dtype)
        half, b, c = divided((a - d) / 2, scale), divided(b, scale), divided(c, scale)
        root = tf.sqrt(half * half + b * c)
        root = tf.where(tf.math.real(tf.math.conj(half) * root) < 0, -root, root)
        wilkinson = d - divided(b * c, half + root) * scale
        another = d + tf.cast(0.75 * modulus(c), W.dtype) * scale
        return tf.where((waited > 0) & tf.equal(waited % _PATIENCE, 0), another, wilkinson)

    def sweep(count, W, start, end, waited):
        shift = shift_of(W, start, end, waited)

        def turn(j, W):
            """Row j against the next, and the columns: the bulge moves on."""
            here = (j >= start) & (j < end)
            column = tf.slice(W, [0, j, tf.maximum(j - 1, 0)], [k, 2, 1])[..., 0]
            shifted = tf.slice(W, [0, j, j], [k, 2, 1])[..., 0] - tf.stack([shift, tf.zeros_like(shift)], axis=-1)
            x = tf.where(tf.equal(j, start)[:, None], shifted, column)
            size = tf.reduce_max(modulus(x), axis=-1, keepdims=True)
            here = (here & (size[:, 0] > 0))[:, None, None]
            x = x / tf.cast(tf.where(size > 0, size, tf.ones_like(size)), W.dtype)
            x, y = x[:, :1, None], x[:, 1:, None]
            first = tf.abs(x)
            norm = tf.sqrt(first * first + square_of(y))
            phase = tf.where(first > 0, divided(x, tf.cast(first, W.dtype)), tf.ones_like(x))
            cosine = tf.cast(tf.where(here, divided(first, norm), tf.ones_like(first)), W.dtype)
            sine = tf.where(here, phase * tf.math.conj(y) / tf.cast(norm, W.dtype), zero)
            p, q = tf.split(tf.slice(W, [0, j, 0], [k, 2, width]), 2, axis=1)
            # what becomes zero is zero: its rounding would be taken for the bulge of the next sweep, and stop it
            left = tf.where(tf.range(width) >= j, cosine * q - tf.math.conj(sine) * p, zero)
            W = update_slice(W, tf.concat([cosine * p + sine * q, left], axis=1), [0, j, 0])
            p, q = tf.split(tf.slice(W, [0, 0, j], [k, n, 2]), 2, axis=2)
            turned = tf.concat([cosine * p + tf.math.conj(sine) * q, cosine * q - sine * p], axis=2)
            return j + 1, update_slice(W, turned, [0, 0, j])

        from_, to = tf.reduce_min(tf.where(end > 0, start, n)), tf.reduce_max(end)
        W, new_start, new_end = split(loop(lambda j, _: j < to, turn, [from_, W])[1])
        waited = tf.where(tf.equal(start, new_start) & tf.equal(end, new_end), waited + 1, 0)
        return count + 1, W, new_start, new_end, waited

    W, start, end = split(W)
    going_on = lambda count, W, start, end, waited: tf.reduce_any(end > 0) & (count < SWEEPS * n)  # noqa: E731
    state = loop(going_on, sweep, [0, W, start, end, tf.zeros_like(end)])
    return state[1], state[3]


def eig(A):
    """The eigenvalues, and the eigenvectors of norm 1 as columns, of square matrices, NaN where A is not finite."""
    n = sizes(A)[-1]
    if A.shape[-1] == 0:
        w = tf.cast(tf.reduce_sum(A, axis=-1), _complex(A))
        return w, tf.cast(A, w.dtype)
    stack = tf.reshape(A, tf.concat([[tf.reduce_prod(tf.shape(A)[:-2])], tf.shape(A)[-2:]], 0))
    stack = tf.cast(tf.ensure_shape(stack, [None, *A.shape[-2:]]), _complex(A))
    scale = cast(namespace(A).power_of_two(stack), stack.dtype)
    T, Z = schur_forms(stack / scale)
    w, i = tf.linalg.diag_part(T), tf.range(n)
    # as LAPACK has it: instead of a difference of equal eigenvalues, what rounding makes of it
    size = tf.reduce_max(modulus(T), axis=[-2, -1])[:, None]
    least = eps_of(T) * tf.where(size > 0, size, tf.ones_like(size))

    def column(j, Y):
        mine = tf.gather(w, j, axis=1)[:, None]
        gaps = tf.where(modulus(w - mine) > least, w - mine, tf.cast(least, w.dtype))
        right = tf.where(i < j, -tf.gather(T, j, axis=2), tf.zeros([], T.dtype))
        vector = back_substituted(T, gaps, right, j - 1)
        vector = tf.where(tf.equal(i, j), tf.ones([], T.dtype), vector)
        return vector / tf.cast(tf.reduce_max(tf.abs(vector), axis=-1, keepdims=True), T.dtype)

    V = Z @ by_columns(tf.zeros_like(T), column)
    V = V / tf.cast(tf.sqrt(tf.reduce_sum(square_of(V), axis=-2, keepdims=True)), V.dtype)
    return tf.reshape(w * scale[..., 0], tf.shape(A)[:-1]), tf.reshape(V, tf.shape(A))


def _complex(A):
    return {tf.float32: tf.complex64, tf.float64: tf.complex128}.get(A.dtype, A.dtype)


# -- triangular systems and equations ----------------------------------------------------------------------------------


def back_substituted(M, diagonal, b, last):
    """The solution x (k, n) of (M + diag(diagonal − diag M)) x = b for upper triangular M, of which the entries behind
    `last` are zero, as those of b are. (XLA's own inverts blocks, and loses digits to their condition.)"""
    i, Mt = tf.range(sizes(M)[1]), tf.linalg.matrix_transpose(M)

    def step(j, x):
        found = tf.gather(x, j, axis=1)[:, None] / tf.gather(diagonal, j, axis=1)[:, None]
        x = tf.where(i < j, x - tf.gather(Mt, j, axis=1) * found, x)
        return j - 1, tf.where(tf.equal(i, j), found, x)

    return loop(lambda j, _: j >= 0, step, [last, b])[1]


def by_columns(Y, column, descending=False):
    """Y (k, m, n) with its columns j replaced by ``column(j, Y)``, one after the other."""
    n = sizes(Y)[2]

    def step(count, Y):
        j = n - 1 - count if descending else count
        return count + 1, update_slice(Y, column(j, Y)[..., None], [0, 0, j])

    return loop(lambda count, _: count < n, step, [0, Y])[1]


def triangular_sylvester(R, S, F, adjoint=False):
    """The solution Y of R Y + Y S = F, or of R Y + Y Sᴴ = F: (R + sⱼⱼ I) yⱼ = fⱼ − Σ sₖⱼ yₖ."""
    S = tf.linalg.adjoint(S) if adjoint else S
    ours, theirs, end = tf.linalg.diag_part(R), tf.linalg.diag_part(S), sizes(R)[1] - 1

    def column(j, Y):
        known = (Y @ tf.gather(S, j, axis=2)[..., None])[..., 0]  # of the columns that are not yet, zero
        return back_substituted(R, ours + tf.gather(theirs, j, axis=1)[:, None], tf.gather(F, j, axis=2) - known, end)

    return by_columns(tf.zeros_like(F), column, descending=adjoint)


def triangular_stein(R, F):
    """The solution Y of Y − R Y Rᴴ = F: (I − conj(rⱼⱼ) R) yⱼ = fⱼ + R Σ conj(rⱼₖ) yₖ."""
    diagonal, conj, end = tf.linalg.diag_part(R), tf.math.conj(R), sizes(R)[1] - 1

    def column(j, Y):
        factor = tf.gather(tf.math.conj(diagonal), j, axis=1)[:, None]
        right = tf.gather(F, j, axis=2) + (R @ (Y @ tf.gather(conj, j, axis=1)[..., None]))[..., 0]
        return back_substituted(-factor[..., None] * R, 1 - factor * diagonal, right, end)

    return by_columns(tf.zeros_like(F), column, descending=True)


def triangular_root(T):
    """The principal square root of T: R² = T, column by column (Björck and Hammarling, 1983)."""
    roots, i = tf.sqrt(tf.linalg.diag_part(T)), tf.range(sizes(T)[1])

    def column(j, R):
        root = tf.gather(roots, j, axis=1)[:, None]
        right = tf.where(i < j, tf.gather(T, j, axis=2), tf.zeros([], T.dtype))
        found = back_substituted(R, roots + root, right, j - 1)
        return tf.where(tf.equal(i, j), root, found)

    return by_columns(tf.zeros_like(T), column)
