"""The ops: one entry for each primitive of `overbar.rules`.

May import tensorflow and `overbar`. Where tf.linalg, tf.math or tf has the function, its name, argument names, their
order and defaults are TensorFlow's; an op that has no counterpart there keeps overbar's. No op has code of its own: an
entry says what the op is called, which of TensorFlow's functions it stands for, and whether calls are handed over to
that function; `tf_ops.handover` says what that means.
"""

import tensorflow as tf

from overbar import rules
from tf_ops.handover import never, wrap
from tf_ops.wrapper import in_single_precision


def _integers(x, y, name=None):
    return all(tf.convert_to_tensor(z).dtype.is_integer for z in (x, y))


add = wrap(rules.add, builtin=tf.add)
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
cholesky_solve = wrap(rules.cho_solve, builtin=in_single_precision(tf.linalg.cholesky_solve))
concat = wrap(rules.concatenate, builtin=tf.concat)
concatenate = wrap(rules.concatenate)
congruence = wrap(rules.congruence)
cos = wrap(rules.cos, builtin=tf.cos)
diag = wrap(rules.diag_embed, "diag", builtin=tf.linalg.diag, k="offset")
diag_embed = wrap(rules.diag_embed)
diag_part = wrap(rules.diagonal, "diag_part", builtin=tf.linalg.diag_part, k="offset")
diagonal = wrap(rules.diagonal)
embed = wrap(rules.embed)
exp = wrap(rules.exp, builtin=tf.exp)
inv_congruence = wrap(rules.inv_congruence)
log = wrap(rules.log, builtin=tf.math.log)
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
solve_continuous_are = wrap(rules.solve_continuous_are)
solve_continuous_lyapunov = wrap(rules.solve_continuous_lyapunov)
solve_discrete_are = wrap(rules.solve_discrete_are)
solve_discrete_lyapunov = wrap(rules.solve_discrete_lyapunov)
solve_sylvester = wrap(rules.solve_sylvester)
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
