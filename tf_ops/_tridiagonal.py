"""Eigenvectors of Hermitian matrices under XLA on a CPU: by a tridiagonal form, and the QR iteration on that.

May import tensorflow, NumPy and the neighbours below it: `_in_xla` and `_internals`. Steps that follow one another, n²
of a microsecond each, are what a CPU is good at. A GPU takes longer to start one: `_jacobi` has few and large ones.
"""

import numpy as np
import tensorflow as tf

from tf_ops._in_xla import APART, SWEEPS, divided, eps_of, loop, sizes, square_of
from tf_ops._internals import update_slice


def vectors(H):
    """Eigenvectors, in any order, of Hermitian matrices (k, n, n) whose entries are about 1."""
    Q, d, e = _tridiagonal(H)
    size = tf.abs(e)
    # H = Q D T Dᴴ Qᴴ with a real T
    k, n = sizes(e)
    phases = tf.where(size > 0, divided(e, tf.cast(size, e.dtype)), tf.ones_like(e))

    def step(j, phases):  # cumulative products, which XLA does not have of complex numbers
        product = tf.slice(phases, [0, j - 1], [k, 1]) * tf.slice(phases, [0, j], [k, 1])
        return j + 1, update_slice(phases, product / tf.cast(tf.abs(product), product.dtype), [0, j])

    phases = tf.concat([tf.ones_like(phases[:, :1]), phases[:, :-1]], axis=1)
    phases = loop(lambda j, _: j < n, step, [1, phases])[1]
    return (Q * phases[:, None, :]) @ tf.cast(tf.linalg.matrix_transpose(_iterated(tf.math.real(d), size)), H.dtype)


def _tridiagonal(H):
    """Q, the diagonal of T and what is below it (with a 0 behind), H = Q T Qᴴ, by Householder's reflections."""
    k, n = sizes(H)[:2]
    i = tf.range(n)
    zero = tf.zeros([], H.dtype)

    def step(j, H, Vt, d, e, scales):
        x = tf.math.conj(tf.slice(H, [0, j, 0], [k, 1, n])[:, 0])
        d = tf.where(tf.equal(i, j), x, d)
        x = tf.where(i > j, x, zero)
        largest = tf.reduce_max(tf.abs(x), axis=-1, keepdims=True)
        size = tf.cast(tf.where(largest > 0, largest, tf.ones_like(largest)), H.dtype)
        x = x / size
        first = tf.slice(x, [0, j + 1], [k, 1])
        length = tf.abs(first)
        phase = tf.where(length > 0, divided(first, tf.cast(length, H.dtype)), tf.ones_like(first))
        squares = square_of(x)
        norm = tf.cast(tf.sqrt(tf.reduce_sum(squares, axis=-1, keepdims=True)), H.dtype)
        here = tf.reduce_sum(tf.where(i > j + 1, squares, tf.zeros_like(squares)), axis=-1, keepdims=True) > 0
        v = tf.where(here, x + phase * norm * tf.cast(tf.equal(i, j + 1), H.dtype), zero)
        e = tf.where(tf.equal(i, j), tf.where(here, -phase * norm, first) * size, e)
        scale = tf.reduce_sum(square_of(v), axis=-1, keepdims=True) / 2
        beta = tf.cast(tf.where(here, divided(tf.ones_like(scale), scale), tf.zeros_like(scale)), H.dtype)
        w = (H @ v[..., None])[..., 0] * beta
        w = w - v * (beta / 2 * tf.reduce_sum(tf.math.conj(v) * w, axis=-1, keepdims=True))
        # H − v wᴴ − w vᴴ as a product: else XLA computes w once for each entry of H
        H = H - tf.stack([v, w], axis=2) @ tf.math.conj(tf.stack([w, v], axis=1))
        scales = tf.where(tf.equal(i, j) & here, scale, scales)
        return j + 1, H, update_slice(Vt, v[:, None, :], [0, j, 0]), d, e, scales

    row = tf.zeros_like(H[:, 0])
    state = [0, H, tf.zeros_like(H), row, row, tf.ones_like(tf.math.real(row))]
    _, H, Vt, d, e, scales = loop(lambda j, *_: j < n - 1, step, state)
    d = tf.where(tf.equal(i, n - 1), H[:, -1], d)
    # The product of the reflections I − v vᴴ/scale is I − V U⁻¹ Vᴴ, where U + Uᴴ = Vᴴ V.
    U = tf.linalg.band_part(tf.matmul(tf.math.conj(Vt), Vt, transpose_b=True), 0, -1)
    U = tf.linalg.set_diag(U, tf.cast(scales, H.dtype))
    inner = tf.linalg.triangular_solve(U, tf.math.conj(Vt), lower=False)
    return tf.eye(n, dtype=H.dtype) - tf.matmul(Vt, inner, transpose_a=True), d, e


def _iterated(d, e):
    """Sᵀ of T = S diag(w) Sᵀ, for real T with the diagonal d and e beside it: the QR iteration with Wilkinson's shifts
    (Golub and Van Loan, 2013, section 8.3). NaN where it does not converge."""
    k, n = sizes(d)
    i, eps, tiny = tf.range(n), eps_of(d), float(np.finfo(d.dtype.as_numpy_dtype).tiny)
    at = lambda x, j: tf.gather(x, j, axis=1, batch_dims=1)  # noqa: E731

    def split(d, e):
        """e without what is negligible, and where the last block that is left begins and ends."""
        size = tf.abs(d)
        coupled = (tf.abs(e) > eps * (size + tf.roll(size, -1, axis=-1)) + tiny) & (i < n - 1)
        end = tf.reduce_max(tf.where(coupled, i + 1, 0), axis=-1)
        start = tf.reduce_max(tf.where(~coupled & (i < end[:, None]), i + 1, 0), axis=-1)
        return tf.where(coupled, e, tf.zeros_like(e)), start, end

    def sweep(count, St, d, e, start, end):
        before = tf.maximum(end - 1, 0)
        half, b, last = (at(d, before) - at(d, end)) / 2, at(e, before), at(d, end)
        root = tf.sqrt(half * half + b * b)
        shift = last - divided(b * b, half + tf.where(half < 0, -root, root))

        def turn(j, St, T, bulge):
            """Row j against the next. T has d and e as columns, with a row of zeros before the first."""
            here = (j >= start) & (j < end)
            first, three = tf.equal(j, start), tf.slice(T, [0, j, 0], [k, 3, 2])
            (d0, e0), (d1, e1), (d2, e2) = ((three[:, i, 0], three[:, i, 1]) for i in range(3))
            x, z = tf.where(first, d1 - shift, e0), tf.where(first, e1, bulge)
            norm = tf.sqrt(x * x + z * z)
            here &= norm > 0
            c = tf.where(here, divided(x, norm), tf.ones_like(x))
            s = tf.where(here, divided(z, norm), tf.zeros_like(x))
            twice, e0 = 2 * c * s * e1, tf.where(here & ~first, norm, e0)
            new = [d0, e0, c * c * d1 + twice + s * s * d2, c * s * (d2 - d1) + (c * c - s * s) * e1]
            new += [s * s * d1 - twice + c * c * d2, c * e2]
            T = update_slice(T, tf.reshape(tf.stack(new, axis=1), [k, 3, 2]), [0, j, 0])
            p, q = tf.split(tf.slice(St, [0, j, 0], [k, 2, n + APART]), 2, axis=1)
            cosine, sine = c[:, None, None], s[:, None, None]
            turned = tf.concat([cosine * p + sine * q, cosine * q - sine * p], axis=1)
            return j + 1, update_slice(St, turned, [0, j, 0]), T, s * e2

        from_, to = tf.reduce_min(tf.where(end > 0, start, n)), tf.reduce_max(end)
        T = tf.pad(tf.stack([d, e], axis=2), [[0, 0], [1, 0], [0, 0]])
        _, St, T, _ = loop(lambda j, *_: j < to, turn, [from_, St, T, tf.zeros_like(shift)])
        d, e = T[:, 1:, 0], T[:, 1:, 1]
        return count + 1, St, d, *split(d, e)

    St = tf.eye(n, n + APART, [k], d.dtype)
    St.set_shape([d.shape[0], d.shape[1], n + APART if isinstance(n, int) else None])
    e, start, end = split(d, e)
    going_on = lambda count, St, d, e, start, end: tf.reduce_any(end > 0) & (count < SWEEPS * n)  # noqa: E731
    _, St, *_, end = loop(going_on, sweep, [0, St, d, e, start, end])
    return tf.where(tf.equal(end, 0)[:, None, None], St[..., :n], tf.constant(np.nan, d.dtype))
