"""The ops: one line for each primitive of `overbar.rules`.

May import tensorflow and `overbar`. Where tf.linalg or tf.math has the function, its name, argument names and their
order are TensorFlow's; an op that has no counterpart there keeps overbar's. No op has code of its own.
"""

import functools
import inspect

import tensorflow as tf

from overbar import rules
from overbar.primitive import as_function
from tf_ops.wrapper import TENSORFLOW


def wrap(primitive, signature=None, **names):
    """Make a primitive, one of overbar's or your own, a function of TensorFlow tensors.

    The function is differentiable to any order, eagerly, in a tf.function and under XLA.

    Parameters
    ----------
    primitive : overbar.Primitive
    signature : str, optional
        Name and arguments in another order or with other names: "triangular_solve(matrix, rhs)".
    **names : str
        What the arguments in `signature` are called in the primitive: ``matrix="A"``.

    Returns
    -------
    callable
        Takes whatever tf.convert_to_tensor takes.

    Examples
    --------
    >>> import tensorflow as tf, overbar, tf_ops
    >>> @overbar.elementwise
    ... def cube(A):
    ...     return A**3
    >>> @cube.derivative
    ... def _(C, A):
    ...     return 3 * A**2
    >>> x = tf.Variable(2.0)
    >>> with tf.GradientTape() as tape:
    ...     y = tf_ops.wrap(cube)(x)
    >>> float(tape.gradient(y, x))
    12.0
    """
    return with_name(as_function(primitive, TENSORFLOW, signature, names))


def with_name(function):
    """Give a function the argument `name` that every TensorFlow function has: the scope of its ops in a graph."""

    @functools.wraps(function)
    @tf.autograph.experimental.do_not_convert
    def named(*args, name=None, **kwargs):
        if name is None:
            return function(*args, **kwargs)
        with tf.name_scope(name):
            return function(*args, **kwargs)

    shown = inspect.signature(function)
    named.__signature__ = shown.replace(
        parameters=[*shown.parameters.values(), inspect.Parameter("name", inspect.Parameter.KEYWORD_ONLY, default=None)]
    )
    named.__module__ = inspect.currentframe().f_back.f_globals["__name__"]
    return named


add = wrap(rules.add, "add(x, y)", x="A", y="B")
bilinear = wrap(rules.bilinear)
cho_logdet = wrap(rules.cho_logdet)
cho_solve = wrap(rules.cho_solve)
cholesky = wrap(rules.cholesky, "cholesky(input, upper=False)", input="A")
cholesky_solve = wrap(rules.cho_solve, "cholesky_solve(chol, rhs)", chol="L", rhs="B")
concat = wrap(rules.concatenate, "concat(values, axis)", values="arrays")
concatenate = wrap(rules.concatenate)
congruence = wrap(rules.congruence)
cos = wrap(rules.cos, "cos(x)", x="A")
diag = wrap(rules.diag_embed, "diag(diagonal, k=0)", diagonal="d", k="offset")
diag_embed = wrap(rules.diag_embed)
diag_part = wrap(rules.diagonal, "diag_part(input, k=0)", input="A", k="offset")
diagonal = wrap(rules.diagonal)
embed = wrap(rules.embed)
exp = wrap(rules.exp, "exp(x)", x="A")
inv_congruence = wrap(rules.inv_congruence)
log = wrap(rules.log, "log(x)", x="A")
mask = wrap(rules.mask)
matrix_transpose = wrap(rules.matrix_transpose, "matrix_transpose(a)", a="A")
multiply = wrap(rules.multiply, "multiply(x, y)", x="A", y="B")
phi = wrap(rules.phi)
pow = wrap(rules.power, "pow(x, y)", x="A", y="p")
power = wrap(rules.power)
quadratic = wrap(rules.quadratic)
reciprocal = wrap(rules.reciprocal, "reciprocal(x)", x="A")
reduce_sum = wrap(rules.sum, "reduce_sum(input_tensor, axis=None, keepdims=False)", input_tensor="A")
reshape = wrap(rules.reshape, "reshape(tensor, shape)", tensor="A")
sin = wrap(rules.sin, "sin(x)", x="A")
solve_triangular = wrap(rules.solve_triangular)
sqrt = wrap(rules.sqrt, "sqrt(x)", x="A")
subset = wrap(rules.subset)
subtract = wrap(rules.subtract, "subtract(x, y)", x="A", y="B")
sum = wrap(rules.sum)
tanh = wrap(rules.tanh, "tanh(x)", x="A")
trace = wrap(rules.trace, "trace(x)", x="A")
transpose_matmul = wrap(rules.transpose_matmul)
tril = wrap(rules.tril)
triu = wrap(rules.triu)
vec = wrap(rules.vec)


# Where TensorFlow says with an option what a primitive says with another one, or with a transpose of its argument.


@with_name
def matmul(a, b, transpose_a=False, transpose_b=False, adjoint_a=False, adjoint_b=False):
    """The matrix product of tf.linalg.matmul; see `overbar.matmul` for shapes and derivation."""
    a, b = TENSORFLOW.as_arrays((a, b))
    for flags in ((transpose_a, adjoint_a), (transpose_b, adjoint_b)):
        if all(flags):
            raise ValueError("matmul: only one of transpose and adjoint can be true for an argument.")
    a = TENSORFLOW.mH(a) if adjoint_a else TENSORFLOW.mT(a) if transpose_a else a
    b = TENSORFLOW.mH(b) if adjoint_b else TENSORFLOW.mT(b) if transpose_b else b
    return rules.matmul.apply(TENSORFLOW, (a, b), {})


@with_name
def triangular_solve(matrix, rhs, lower=True, adjoint=False):
    """The triangular system of tf.linalg.triangular_solve; see `overbar.solve_triangular` for shapes and derivation."""
    arrays, options = rules.solve_triangular.bind((matrix, rhs), {"upper": not lower, "adjoint": adjoint})
    return rules.solve_triangular.apply(TENSORFLOW, arrays, options)


matmul.primitive, triangular_solve.primitive = rules.matmul, rules.solve_triangular
