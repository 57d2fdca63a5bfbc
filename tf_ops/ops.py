"""The ops: one entry for each primitive of `overbar.rules`.

May import tensorflow and `overbar`. Where tf.linalg, tf.math or tf has the function, its name, argument names, their
order and defaults are TensorFlow's; an op that has no counterpart there keeps overbar's. No op has code of its own: an
entry says what the op is called, which of TensorFlow's functions it stands for, and whether calls are handed over to
that function; `tf_ops.handover` says what that means.
"""

from typing import NamedTuple

import tensorflow as tf

from overbar import rules
from tf_ops.handover import never, wrap
from tf_ops.wrapper import in_single_precision


def _integers(x, y, name=None):
    return all(tf.convert_to_tensor(z).dtype.is_integer for z in (x, y))


class LogMatrixDeterminant(NamedTuple):
    """What tf.linalg.slogdet returns."""

    sign: tf.Tensor
    log_abs_determinant: tf.Tensor


def _slogdet(sign, logabsdet):
    """A named tuple (sign, log_abs_determinant), both of the dtype of the input, as that of tf.linalg.slogdet."""
    return LogMatrixDeterminant(sign, tf.cast(logabsdet, sign.dtype))


def _inv(C, *, adjoint=False):
    """With ``adjoint=True``, the adjoint (conjugate transpose) of the inverse."""
    return tf.linalg.adjoint(C) if adjoint else C


def _logdet(c):
    """A real number, as that of tf.linalg.logdet: the real part of the logarithm."""
    return tf.math.real(c)


add = wrap(rules.add, builtin=tf.add)
adjugate = wrap(rules.adjugate)
bilinear_form = wrap(rules.bilinear_form)
cho_logdet = wrap(rules.cho_logdet)
cho_solve = wrap(rules.cho_solve)
cholesky = wrap(
    rules.cholesky,
    "cholesky(input, *, upper=False)",
    input="A",
    builtin=tf.linalg.cholesky,
    when=never,  # of a matrix that has no factor it returns numbers; and its derivative is slow where n is large
)
cholesky_inverse = wrap(rules.cholesky_inverse)
cholesky_solve = wrap(rules.cho_solve, builtin=in_single_precision(tf.linalg.cholesky_solve))
concat = wrap(rules.concatenate, builtin=tf.concat)
concatenate = wrap(rules.concatenate)
congruence = wrap(rules.congruence)
cos = wrap(rules.cos, builtin=tf.cos)
det = wrap(
    rules.det,
    "det(input)",
    input="A",
    builtin=tf.linalg.det,
    when=never,  # its derivative fails where A is singular, or is wrong if that is so but for rounding
)
diag = wrap(rules.diag_embed, "diag", builtin=tf.linalg.diag, k="offset")
diag_embed = wrap(rules.diag_embed)
diag_part = wrap(rules.diagonal, "diag_part", builtin=tf.linalg.diag_part, k="offset")
diagonal = wrap(rules.diagonal)
embed = wrap(rules.embed)
exp = wrap(rules.exp, builtin=tf.exp)
inv = wrap(
    rules.inv,
    "inv(input, adjoint=False)",
    input="A",
    builtin=tf.linalg.inv,
    when=never,  # its error does not say which matrix is singular, and for XLA it is inexact
    returns=_inv,
)
inv_congruence = wrap(rules.inv_congruence)
inv_quad = wrap(rules.inv_quad)
inv_quad_logdet = wrap(rules.inv_quad_logdet)
kron = wrap(rules.kron)
log = wrap(rules.log, builtin=tf.math.log)
logdet = wrap(
    rules.logdet,
    "logdet(matrix)",
    matrix="A",
    builtin=tf.linalg.logdet,
    when=never,  # a symmetric matrix that is not positive definite has no logarithm there
    returns=_logdet,
)
mask = wrap(rules.mask)
matmul = wrap(rules.matmul, builtin=tf.linalg.matmul)
matrix_transpose = wrap(rules.matrix_transpose, builtin=tf.linalg.matrix_transpose)
multiply = wrap(rules.multiply, builtin=tf.multiply)
phi = wrap(rules.phi)
pow = wrap(
    rules.power,
    "pow(x, y)",
    x="A",
    y="p",
    builtin=tf.pow,
    when=_integers,  # else the derivative of 0**0 by the base would be NaN
)
power = wrap(rules.power)
quadratic = wrap(rules.quadratic)
reciprocal = wrap(rules.reciprocal, builtin=tf.math.reciprocal)
reduce_sum = wrap(rules.sum, builtin=tf.reduce_sum)
reshape = wrap(rules.reshape, builtin=tf.reshape)
sin = wrap(rules.sin, builtin=tf.sin)
slogdet = wrap(
    rules.slogdet,
    "slogdet(input)",
    input="A",
    builtin=tf.linalg.slogdet,
    when=never,  # there is no kernel for XLA
    returns=_slogdet,
)
solve = wrap(
    rules.solve,
    "solve(matrix, rhs, adjoint=False)",
    matrix="A",
    rhs="B",
    builtin=tf.linalg.solve,
    when=never,  # it does not broadcast, its error does not say which matrix is singular, and for XLA it is inexact
)
solve_triangular = wrap(rules.solve_triangular)
sqrt = wrap(rules.sqrt, builtin=tf.sqrt)
subset = wrap(rules.subset)
subtract = wrap(rules.subtract, builtin=tf.subtract)
sum = wrap(rules.sum)
tanh = wrap(rules.tanh, builtin=tf.tanh)
trace = wrap(rules.trace, builtin=tf.linalg.trace)
transpose_matmul = wrap(rules.transpose_matmul)
triangular_solve = wrap(
    rules.solve_triangular, "triangular_solve", builtin=in_single_precision(tf.linalg.triangular_solve)
)
tril = wrap(rules.tril)
triu = wrap(rules.triu)
vec = wrap(rules.vec)
