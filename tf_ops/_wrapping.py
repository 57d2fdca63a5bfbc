"""How a primitive becomes a function of TensorFlow's: with its name, its arguments, a name scope, and passed on to
TensorFlow's own function where that is right and no slower.

May import tensorflow and `overbar`. What is passed on has TensorFlow's speed, and all of its arguments work. A rule
of ours takes over where TensorFlow is wrong or slow; a user's own primitive and what TensorFlow lacks always go through
`tf_ops._recording`.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from overbar._docstrings import TENSORFLOW as WORDS
from overbar._docstrings import describe, full_name
from overbar._functions import NEVER, Wrapped, as_function
from overbar._primitive import Primitive
from tf_ops._examples import EXAMPLES
from tf_ops._front import TENSORFLOW
from tf_ops._internals import unconverted


def wrap(
    primitive: Primitive,
    signature: str | None = None,
    *,
    builtin: Callable[..., Any] | None = None,
    use_builtin_when: Callable[..., bool] | None = None,
    returns: Callable[..., Any] | None = None,
    takes: Callable[..., Any] | None = None,
    **names: str,
) -> Callable[..., Any]:
    """Make a primitive, one of overbar's or your own, a function of TensorFlow tensors.

    The function is differentiable to any order, eagerly, in a tf.function and under XLA. Like TensorFlow's own it takes
    the argument `name`, the scope of its ops in a graph, which else is called like the function.

    Parameters
    ----------
    primitive : overbar.Primitive
    signature : str, optional
        Name and arguments in another order or with other names: "pow(x, y)". `name` comes last among those that may be
        given by position, as in TensorFlow.
    builtin : callable, optional
        The function of TensorFlow's own that this one stands for. Calls are passed to it, with all the arguments
        that it takes: for functions whose derivative TensorFlow has right and computes no slower. Of `signature` only
        the name is needed then.
    use_builtin_when : callable, optional
        Takes the arguments of a call and says whether it is passed on; by default every call is.
    returns : callable, optional
        Makes of the outputs what TensorFlow's function returns: another order, a named tuple. Its docstring says so,
        and its keyword-only arguments are options of the function.
    takes : callable, optional
        Makes of the function's tensors those that the primitive takes; its keyword-only arguments are options, too.
    **names : str
        What the arguments in `signature` are called in the primitive: ``x="A"``.

    Returns
    -------
    callable
        Takes whatever tf.convert_to_tensor takes. It can be pickled where the primitive and the other arguments can.

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
    if builtin is None or use_builtin_when is not None:
        rule_op = as_function(primitive, TENSORFLOW, signature, names, returns, takes)
        function = _with_name(rule_op, positional=signature is not None)
    if builtin is not None:
        function = (
            _passed_on(primitive, signature, builtin)
            if use_builtin_when is None
            else _choice(function, builtin, use_builtin_when)
        )
    function.names, function.builtin, function.use_builtin_when = names, builtin, use_builtin_when
    function.__module__ = inspect.currentframe().f_back.f_globals.get("__name__")
    function.__doc__ = describe(
        primitive,
        function.__signature__,
        WORDS,
        name=function.__name__,
        names=names,
        builtin=full_name(builtin, {"tf.linalg": tf.linalg, "tf.math": tf.math, "tf": tf})
        if use_builtin_when not in NEVER
        else "",
        always=builtin is not None and use_builtin_when is None,
        returned=inspect.getdoc(returns) if returns is not None else "",
        example=EXAMPLES.get(function.__name__, "") if function.__module__ == "tf_ops._ops" else "",
    )
    unconverted(function)  # there is nothing to rewrite here
    if function.__module__ == "tf_ops._ops":
        return function  # pickled by its name
    given = {"builtin": builtin, "use_builtin_when": use_builtin_when, "returns": returns, "takes": takes}
    return Wrapped(function, wrap, primitive, signature, **given, **names)


def _with_name(function, positional):
    """Give a function the argument `name`, by position too where TensorFlow's own function takes it so."""
    shown = inspect.signature(function)
    parameters = list(shown.parameters.values())
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD if positional else inspect.Parameter.KEYWORD_ONLY
    place = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters) if positional else len(parameters)
    parameters.insert(place, inspect.Parameter("name", kind, default=None))
    # a primitive's own function opens the scope of its name itself, see tf_ops._recording
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


def _passed_on(primitive, signature, builtin):
    @functools.wraps(builtin)
    def function(*args, **kwargs):
        return builtin(*args, **kwargs)

    function.__name__ = function.__qualname__ = signature or builtin.__name__
    shown = inspect.signature(builtin)
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in shown.parameters.values()]
    function.__signature__ = inspect.Signature(bare)
    function.primitive = primitive
    return function


def _choice(rule_op, builtin, use_builtin_when):
    @functools.wraps(rule_op)
    def function(*args, **kwargs):
        return (builtin if use_builtin_when(*args, **kwargs) else rule_op)(*args, **kwargs)

    return function


unconverted(wrap)
