"""Existing code that calls TensorFlow's functions, made to use ours: `tf_ops.reroute`.

May import tensorflow, `overbar._routes`, `tf_ops.linalg`, `tf_ops._fused` and `tf_ops._internals`. Which function
becomes which op follows from the ops: each knows the one of TensorFlow's that it stands for.
"""

import contextlib
import functools
import sys
import threading
import types
import warnings
from collections.abc import Iterator

import tensorflow as tf

from overbar._routes import Routes
from tf_ops import linalg
from tf_ops._fused import attach, remember
from tf_ops._internals import unconverted


@contextlib.contextmanager
def reroute() -> Iterator[Routes]:
    """Reroute TensorFlow's functions to the ops of `tf_ops`, in code that is not yours to change.

    Inside, ``tf.linalg.cholesky`` is `tf_ops.cholesky`, wherever it is called from: a library, a distribution of
    TensorFlow Probability, a layer of Keras. The same holds under its names in ``tf.compat``. What is traced inside
    stays so: only the first call of a `tf.function` has to be inside, and derivatives taken later are ours, too.

    Other spellings are found wherever TensorFlow's modules have them, also in those that ``import tensorflow.linalg``
    makes. Where a function of tf.linalg could not be replaced, because somebody else has put another one there, or has
    imported a module of TensorFlow's inside, a warning says so.

    Left alone are code that keeps the function itself (by ``from tensorflow.linalg import cholesky``, or as a default
    argument), TensorFlow's own insides, such as `tf.linalg.LinearOperatorFullMatrix`, and linear operators instead
    of tensors. Entering takes some 10 ms, to find the function under all its names.

    It holds for the thread that enters it (a replica of a `tf.distribute` strategy is another one: enter it in the
    function that the strategy runs), may be nested, and may decorate a function. ``with tf_ops.reroute() as routes``
    gives what was rerouted and how often, of what is traced once: ``print(routes)``.

    The likelihood of GPflow's `GPR`, the products in the bound of its `SGPR`, and ``tfp.math.hpsd_logdet`` are one op
    each inside, whose rule has less work than those of the steps.

    Where a loss depends on which vectors stand for equal eigenvalues or singular values, its gradient is NaN inside,
    with a warning, and not a number: `spectral_function`, `invsqrtmh` or `logmh` know that of V f(w) Vᴴ at any.

    See Also
    --------
    install : The same for the whole process.

    Examples
    --------
    >>> import tensorflow as tf, tf_ops
    >>> A = tf.constant([[1.0, 2.0], [2.0, 1.0]])
    >>> with tf_ops.reroute():
    ...     tf.linalg.cholesky(A)
    Traceback (most recent call last):
      ...
    tensorflow.python.framework.errors_impl.InvalidArgumentError: cholesky: argument A is not positive definite: ...
    """
    outer, routes = _here.routes, Routes(_here.routes or _installed)
    _change(+1)
    _here.routes = routes
    try:
        _warn_of_others()
        yield routes
    finally:
        missed = _missed(lambda value, _: _is_replaced(value))
        _here.routes = outer
        _change(-1)
    _warn(missed, _BROUGHT_BACK)


def install() -> Routes:
    """Reroute TensorFlow's functions to the ops of `tf_ops` in the whole process, from now on: in every thread, as
    `reroute` does inside of one.

    Modules of TensorFlow's, and what is traced already, stay as they are: call it after the imports and before the
    first call of a `tf.function`. Done twice, it is done once.

    Returns
    -------
    Routes
        What was rerouted since, and how often.

    See Also
    --------
    uninstall : Ends it.

    Examples
    --------
    >>> import tensorflow as tf, tf_ops
    >>> routes = tf_ops.install()
    >>> float(tf.linalg.det(tf.eye(2)))
    1.0
    >>> tf_ops.uninstall()
    >>> print(routes)
    1 × tf.linalg.det
    """
    global _installed
    with _installing:
        if _installed is None:
            _change(+1)
            _installed = Routes()
            _warn_of_others()
        return _installed


def uninstall() -> None:
    """End what `install` has begun. (Inside of a `reroute`, it goes on to the end of that.)"""
    global _installed
    with _installing:
        if _installed is None:
            return
        missed = _missed(lambda value, _: _is_replaced(value))
        _installed = None
        _change(-1)
    _warn(missed, _BROUGHT_BACK)


class _Here(threading.local):
    """This thread: the innermost `reroute` that it is in, and whether it is in an op at the moment."""

    routes = None
    in_op = False


_installed = None
_installing = threading.Lock()
_BROUGHT_BACK = "a module that has been imported meanwhile brought TensorFlow's back"
_here = _Here()
_lock = threading.Lock()
_inside = 0  # how many times threads are inside, all together: the first replaces the functions, the last restores them
_replaced = []


def _change(step):
    global _inside
    if step > 0:
        attach(_is_inside, _as_op)
    with _lock:
        before, _inside = _inside, _inside + step
        if before == 0:
            _replaced.extend(_places())
        if before == 0 or _inside == 0:
            for module, name, function, stand_in in _replaced:
                # as it was, unless somebody else has put something there meanwhile
                if step > 0 or vars(module)[name] is stand_in:
                    setattr(module, name, stand_in if step > 0 else function)
        if _inside == 0:
            _replaced.clear()


def _places():
    """Where TensorFlow's public interface has the functions. They are in several modules, as tf, tf.linalg,
    tf.compat.v2.linalg and so on are objects of their own, and so is what ``import tensorflow.linalg`` makes of a
    tf.linalg that has been there before."""
    stand_ins = {id(function): (function, stand_in) for function, stand_in in STAND_INS.items()}
    return [
        (module, name, *stand_ins[id(value)])
        for module in _public_modules()
        for name, value in list(vars(module).items())
        if id(value) in stand_ins
    ]


def _public_modules():
    found = {
        id(module): module
        for key, module in list(sys.modules.items())
        if isinstance(module, types.ModuleType)
        and (key == "tensorflow" or (key.startswith("tensorflow.") and not key.startswith("tensorflow.python")))
    }
    return {**found, id(tf): tf, id(tf.linalg): tf.linalg}.values()


def _missed(is_missed):
    """The names of functions of tf.linalg that are not ours now."""
    missing = object()
    return [name for name, stand_in in _EXPECTED.items() if is_missed(getattr(tf.linalg, name, missing), stand_in)]


def _warn_of_others():
    _warn(_missed(lambda value, stand_in: value is not stand_in), "somebody else has put functions there")


def _warn(names, reason):
    if names:
        warnings.warn(
            f"tf_ops.reroute: calls of tf.linalg.{', '.join(names)} are not rerouted: {reason}. Import TensorFlow's "
            "modules before, and put other functions into them inside or afterwards.",
            stacklevel=5,
        )


def _stand_in(name, function, op):
    @functools.wraps(function)
    def rerouted(*args, **kwargs):
        if not _is_inside() or any(isinstance(x, tf.linalg.LinearOperator) for x in (*args, *kwargs.values())):
            return function(*args, **kwargs)
        result = _as_op(name, op, *args, **kwargs)
        if is_factorisation and not kwargs.get("upper"):
            attach(_is_inside, _as_op)
            remember(result, args[0] if args else kwargs.get("input"))
        return result

    is_factorisation = function is tf.linalg.cholesky
    return unconverted(rerouted)  # as an op: AutoGraph has nothing to rewrite here


@unconverted
def _is_inside():
    """Whether what this thread calls is rerouted. An op computes with TensorFlow's functions themselves."""
    return not _here.in_op and (_here.routes is not None or _installed is not None)


@unconverted
def _as_op(name, op, /, *args, **kwargs):
    routes = _here.routes or _installed
    if routes is not None:
        routes.add(name)
    _here.in_op = True
    try:
        return op(*args, **kwargs)
    finally:
        _here.in_op = False


def _norm_with_keep_dims(tensor, ord="euclidean", axis=None, keepdims=None, name=None, keep_dims=None):
    return linalg.norm(tensor, ord, axis, keepdims if keep_dims is None else keep_dims, name)


def _is_replaced(function):
    return isinstance(function, types.FunctionType) and function in STAND_INS


#: what is called instead of each function; an op that passes on every call is TensorFlow's function already
STAND_INS = {
    op.builtin: _stand_in(f"tf.linalg.{name}", op.builtin, op)
    for name, op in vars(linalg).items()
    if hasattr(op, "primitive") and op.use_builtin_when is not None
}
# an older one, with another signature
STAND_INS[tf.compat.v1.norm] = _stand_in("tf.compat.v1.norm", tf.compat.v1.norm, _norm_with_keep_dims)

_EXPECTED = {name: STAND_INS[function] for name, function in vars(tf.linalg).items() if _is_replaced(function)}
