"""Sylvester's equation and Lyapunov's, continuous and discrete, under XLA: by Schur forms, as on the host.

May import tensorflow, `overbar` and the neighbours below it: `_in_xla` and `_schur`. Where the host raises, because the
equation is singular to working precision or something is not finite, the solution is NaN: by the same criteria.
"""

import numpy as np
import tensorflow as tf

from overbar.kernels._matrix_equations import CLOSE, continuous_lyapunov, discrete_lyapunov, sylvester
from tf_ops._in_xla import cast, norm, or_nan, power_of_two, sizes, way_of
from tf_ops._schur import schur_forms, triangular_stein, triangular_sylvester


@way_of(sylvester)
def _(A, B, Q):
    scale = tf.maximum(power_of_two(A), power_of_two(B))
    (R, U, ours), (S, V, theirs) = _forms(A / cast(scale, A.dtype)), _forms(B / cast(scale, B.dtype))
    size = _size(R, ours) + _size(S, theirs)
    gap = _smallest(ours[:, :, None] + theirs[:, None, :])
    F, unit = _turned(U, Q, V)
    return _back(U, triangular_sylvester(R, S, F), V, F, gap, size, scale, unit)


@way_of(continuous_lyapunov)
def _(A, Q):
    scale = power_of_two(A)
    R, U, eigenvalues = _forms(A / cast(scale, A.dtype))
    gap = _smallest(eigenvalues[:, :, None] + tf.math.conj(eigenvalues)[:, None, :])
    F, unit = _turned(U, Q, U)
    Y = triangular_sylvester(R, R, F, adjoint=True)
    return _back(U, Y, U, F, gap, 2 * _size(R, eigenvalues), scale, unit)


@way_of(discrete_lyapunov)
def _(A, Q):
    R, U, eigenvalues = _forms(A)
    gap = _smallest(1 - eigenvalues[:, :, None] * tf.math.conj(eigenvalues)[:, None, :])
    F, unit = _turned(U, Q, U)
    size = 1 + _size(R, eigenvalues) ** 2
    return _back(U, triangular_stein(R, F), U, F, gap, size, tf.ones_like(unit), unit)


def _forms(A):
    wide = A if A.dtype.is_complex else tf.cast(A, tf.complex64 if A.dtype == tf.float32 else tf.complex128)
    T, Z = schur_forms(wide)
    return T, Z, tf.linalg.diag_part(T)


def _turned(U, Q, V):
    """Uᴴ Q V, relative to a power of two, and that."""
    unit = power_of_two(Q)
    return tf.matmul(U, cast(Q / cast(unit, Q.dtype), U.dtype), adjoint_a=True) @ V, unit


def _back(U, Y, V, F, gap, size, scale, unit):
    """The solution in the words of the equation, NaN where it is not the only one to working precision."""
    eps, tiny = np.finfo(size.dtype.as_numpy_dtype).eps, np.finfo(size.dtype.as_numpy_dtype).tiny
    fine = (gap > CLOSE * eps * size) & (norm(Y) * size * eps < tf.maximum(norm(F), tiny))
    return or_nan(fine, U @ Y @ tf.linalg.adjoint(V) / cast(scale, Y.dtype) * cast(unit, Y.dtype))


def _size(R, eigenvalues):
    """As the host has it."""
    n = tf.cast(sizes(R)[1], R.dtype.real_dtype)
    return tf.maximum(tf.reduce_max(tf.abs(eigenvalues), axis=-1), norm(R) / tf.sqrt(n))


def _smallest(A):
    return tf.reduce_min(tf.abs(A), axis=[-2, -1])
