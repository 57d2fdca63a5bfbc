"""Square roots, logarithms and powers of matrices under XLA, and their derivatives: by Schur forms, as on the host.

May import tensorflow, NumPy, `overbar` and the neighbours below it: `_in_xla` and `_schur`. Complex forms serve real
matrices, too, in double precision whatever the dtype, and the algorithms are those of `overbar.kernels._matrix_roots`,
on jets (`overbar._jets`). Where the host raises, the result is NaN. It is NaN for two more kinds of matrices: singular
ones, whose zeros the host moves to the end of the form, and real ones with a pair of eigenvalues so near to the
negative axis that rounding says on which side of it each lies.
"""

import numpy as np
import tensorflow as tf

from overbar._jets import Jet, exponential, longest_term, subsets
from overbar.kernels._matrix_roots import NODES, PADE, RANGE, pade_exact_to
from overbar.rules._frechet import each_kernel
from tf_ops._in_xla import cast, is_finite, is_zero, loop, or_nan, power_of_two, sizes, way_of
from tf_ops._schur import schur_forms, triangular_root, triangular_sylvester

# A root halves an entry beside the diagonal, which is less than 2¹⁰²⁴, at least. (Eigenvalues need some ten.)
_ROOTS = 1100

# The imaginary part of what should be real, relative to it, from which eigenvalues are taken for negative ones.
_IMAGINARY = 1e-3


def _root(X):
    R = Jet([triangular_root(X.parts[0]), *[None] * (len(X.parts) - 1)])
    for s in range(1, len(R.parts)):
        known = R.coefficient(R, s, [t for t in subsets(s) if t not in (0, s)])
        R.parts[s] = _over(X.parts[s], known, lambda F: triangular_sylvester(R.parts[0], R.parts[0], F))
    return R


def _solved(M, B):
    """The jet X with M X = B."""
    X = Jet([None] * len(B.parts))
    for s in range(len(B.parts)):
        known = M.coefficient(X, s, [t for t in subsets(s) if t])
        X.parts[s] = _over(B.parts[s], known, lambda F: tf.linalg.triangular_solve(M.parts[0], F, lower=False))
    return X


def _over(part, known, solve):
    right = part if known is None else -known if part is None else part - known
    return None if right is None else solve(right)


def _logarithm(X):
    xp, T, order = X.xp, X.parts[0], X.order
    exact_to = pade_exact_to(order)

    def far(T):
        return longest_term(xp, T - xp.eye_like(T), 2 * PADE + 1, order) > exact_to

    def step(count, _, roots, *parts):
        taken = far(parts[0])
        root = _root(Jet(list(parts)))
        parts = [tf.where(taken[:, None, None], R, P) for R, P in zip(root.parts, parts, strict=True)]
        return count + 1, tf.reduce_any(far(parts[0])), roots + tf.cast(taken, roots.dtype), *parts

    parts = [tf.zeros_like(T) if P is None else P for P in X.parts]
    state = [0, tf.reduce_any(far(T)), tf.zeros_like(tf.math.real(T[:, 0, 0])), *parts]
    _, _, roots, *parts = loop(lambda count, needed, *_: needed & (count < _ROOTS), step, state)
    near = Jet(parts).plus_identity(-1)
    total = Jet([None] * len(parts))
    for node, weight in NODES:
        total = total + _solved((near * ((1 + node) / 2)).plus_identity(1), near) * (weight / 2)
    total = total * cast(2.0**roots, T.dtype)[:, None, None]
    total.parts[0] = tf.linalg.set_diag(total.parts[0], tf.math.log(tf.linalg.diag_part(T)))
    return total


def _exponent(x):
    return tf.floor(tf.experimental.numpy.log2(x)) + 1


def _power(X, t):
    T = X.parts[0]
    diagonal = tf.linalg.diag_part(T)
    size = tf.abs(diagonal)
    largest, smallest = (_exponent(reduce(size, axis=-1)) for reduce in (tf.reduce_max, tf.reduce_min))
    exponent = tf.maximum(tf.minimum(largest, smallest + RANGE), largest - RANGE)
    t = tf.cast(t, exponent.dtype)
    X = X * cast(2.0**-exponent, T.dtype)[:, None, None]
    total = exponential(_logarithm(X) * cast(t, T.dtype)[:, None, None])
    total = total * cast(2.0 ** (exponent * t), T.dtype)[:, None, None]
    total.parts[0] = tf.linalg.set_diag(total.parts[0], diagonal ** cast(t, T.dtype)[:, None])
    return total


def _by_schur(function, A, directions, parameters):
    parts, real = [A, *directions], not any(E.dtype.is_complex for E in (A, *directions))
    wide = [tf.cast(E, tf.complex128) for E in parts]
    fine = tf.reduce_all(tf.stack([is_finite(E) for E in wide]), axis=0)
    # The rows and columns of a lower triangular matrix in reverse order are an upper triangular one.
    lower = is_zero(tf.linalg.band_part(wide[0], 0, -1) - tf.linalg.band_part(wide[0], 0, 0))
    form = tf.where(lower, wide[0][:, ::-1, ::-1], wide[0])
    scale = _scale(form)
    T, Z = schur_forms(form / cast(scale, tf.complex128))
    Z = tf.where(lower, Z[:, ::-1], Z)
    T = T * cast(scale, tf.complex128)
    eigenvalues = tf.linalg.diag_part(T)
    if not A.dtype.is_complex:
        n = tf.cast(sizes(A)[1], tf.float64)
        small = 10 * n * np.finfo(A.dtype.as_numpy_dtype).eps * tf.reduce_max(tf.abs(T), axis=[-2, -1])[:, None]
        negative = (tf.math.real(eigenvalues) <= 0) & (tf.abs(tf.math.imag(eigenvalues)) <= small)
        fine &= ~tf.reduce_any(negative, axis=-1)
    turned = Jet.along(T, *(tf.matmul(Z, E, adjoint_a=True) @ Z for E in wide[1:]))
    C = Z @ function(turned, *parameters).derivative @ tf.linalg.adjoint(Z)
    if real:
        fine &= _largest(tf.math.imag(C)) <= _IMAGINARY * _largest(C)
    return or_nan(fine, C)


def _scale(A):
    """The scale at which the Schur form of A is found: 1 for upper triangular A, which is its own, digit for digit.
    Where the least entry would be lost beside the largest one, so much smaller a scale as squares of numbers allow."""
    size, scale = tf.abs(A), power_of_two(A)
    triangular = is_zero(tf.linalg.band_part(A, -1, 0) - tf.linalg.band_part(A, 0, 0))
    least = tf.reduce_min(tf.where(size > 0, size, np.inf), axis=[-2, -1], keepdims=True)
    wide = least / scale < np.finfo(float).tiny
    return tf.where(triangular, tf.ones_like(scale), tf.where(wide, scale * 2.0**-400, scale))


def _largest(E):
    return tf.reduce_max(tf.abs(E), axis=[-2, -1])


_WAYS = {"sqrtm": _root, "logm": _logarithm, "logm_or_nan": _logarithm, "fractional_matrix_power": _power}


@each_kernel
def _(kernel, name, order):
    if name in _WAYS:
        way_of(kernel)(lambda A, *rest: _by_schur(_WAYS[name], A, rest[:order], rest[order:]))
