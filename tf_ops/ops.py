"""The ops: one line for each primitive of `overbar.rules`.

May import tensorflow and `overbar`. Where tf.linalg, tf.math or tf has the function, its name, argument names, their
order and defaults are TensorFlow's; an op that has no counterpart there keeps overbar's. No op has code of its own.
"""

import functools
import inspect

import tensorflow as tf

from overbar import rules
from overbar.primitive import as_function
from tf_ops.wrapper import TENSORFLOW, in_single_precision


def wrap(primitive, signature=None, *, builtin=None, **names):
    """Make a primitive, one of overbar's or your own, a function of TensorFlow tensors.

    The function is differentiable to any order, eagerly, in a tf.function and under XLA. Like TensorFlow's own it takes
    the argument `name`, the scope of its ops in a graph, which else is called like the function.

    Parameters
    ----------
    primitive : overbar.Primitive
    signature : str, optional
        Name and arguments in another order or with other names: "cholesky_solve(chol, rhs)". `name` comes last among
        those that may be given by position, as in TensorFlow.
    builtin : callable, optional
        TensorFlow's own function, to which every call is handed over. For functions whose derivative TensorFlow has
        right and computes no slower; the signature is then that function's, and only the name is taken from
        `signature`.
    **names : str
        What the arguments in `signature` are called in the primitive: ``chol="L"``.

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
    if builtin is None:
        function = _with_name(as_function(primitive, TENSORFLOW, signature, names), positional=signature is not None)
    else:
        function = _handed_over(primitive, signature, builtin)
    function.__module__ = inspect.currentframe().f_back.f_globals["__name__"]
    # The mark that tf.autograph.experimental.do_not_convert sets: there is nothing to rewrite here.
    function.autograph_info__ = {}
    return function


def _with_name(function, positional):
    """Give a function the argument `name`, by position too where TensorFlow's own function takes it so."""
    shown = inspect.signature(function)
    parameters = list(shown.parameters.values())
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if positional else inspect.Parameter.KEYWORD_ONLY
    place = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters) if positional else len(parameters)
    parameters.insert(place, inspect.Parameter("name", kind, default=None))
    # a primitive's own function opens the scope of its name itself, see tf_ops.wrapper
    scope = None if function.__name__ == function.primitive.name else function.__name__

    @functools.wraps(function)
    def named(*args, name=None, **kwargs):
        if positional and len(args) == place + 1:
            *args, name = args
        if name is None:
            name = scope
        if name is None:
            return function(*args, **kwargs)
        with tf.name_scope(name):
            return function(*args, **kwargs)

    named.__signature__ = shown.replace(parameters=parameters)
    return named


def _handed_over(primitive, signature, builtin):
    @functools.wraps(builtin)
    def function(*args, **kwargs):
        return builtin(*args, **kwargs)

    function.__name__ = function.__qualname__ = signature or builtin.__name__
    shown = inspect.signature(builtin)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in shown.parameters.values()]
    function.__signature__ = inspect.Signature(bare)
    function.__doc__ = (
        primitive.__doc__ or ""
    ) + "\n    TensorFlow's own function computes it, with all its arguments.\n"
    function.primitive, function.builtin = primitive, builtin
    return function


add = wrap(rules.add, builtin=tf.add)
bilinear = wrap(rules.bilinear)
cho_logdet = wrap(rules.cho_logdet)
cho_solve = wrap(rules.cho_solve)
cholesky = wrap(rules.cholesky, "cholesky(input, *, upper=False)", input="A")
cholesky_solve = wrap(rules.cho_solve, builtin=in_single_precision(tf.linalg.cholesky_solve))
concat = wrap(rules.concatenate, builtin=tf.concat)
concatenate = wrap(rules.concatenate)
congruence = wrap(rules.congruence)
cos = wrap(rules.cos, builtin=tf.cos)
diag = wrap(rules.diag_embed, "diag", builtin=tf.linalg.diag)
diag_embed = wrap(rules.diag_embed)
diag_part = wrap(rules.diagonal, "diag_part", builtin=tf.linalg.diag_part)
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
pow = wrap(rules.power, "pow(x, y)", x="A", y="p")
power = wrap(rules.power)
quadratic = wrap(rules.quadratic)
reciprocal = wrap(rules.reciprocal, builtin=tf.math.reciprocal)
reduce_sum = wrap(rules.sum, builtin=tf.reduce_sum)
reshape = wrap(rules.reshape, builtin=tf.reshape)
sin = wrap(rules.sin, builtin=tf.sin)
solve_triangular = wrap(rules.solve_triangular)
sqrt = wrap(rules.sqrt, builtin=tf.sqrt)
subset = wrap(rules.subset)
subtract = wrap(rules.subtract, builtin=tf.subtract)
sum = wrap(rules.sum)
tanh = wrap(rules.tanh, builtin=tf.tanh)
trace = wrap(rules.trace, builtin=tf.linalg.trace)
transpose_matmul = wrap(rules.transpose_matmul)
triangular_solve = wrap(rules.solve_triangular, builtin=in_single_precision(tf.linalg.triangular_solve))
tril = wrap(rules.tril)
triu = wrap(rules.triu)
vec = wrap(rules.vec)
