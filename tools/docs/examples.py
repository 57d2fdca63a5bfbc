"""The examples in the docstrings of the ops: the call that the docstring of the primitive shows, in each framework.

May import both frameworks, both fronts, `overbar`, `tools.rounding` and its neighbours.
"""

import contextlib
import doctest
import importlib
import inspect
import re

import numpy as np
import tensorflow as tf

import tf_ops
from overbar._primitive import Primitive
from tools.docs.common import counterparts_of, is_op
from tools.rounding import agree


def examples_module(front):
    """For each op of a front an example in that framework: the call in the docstring of its primitive. One that differs
    by rounding alone from that in the file, which another processor may have computed, stays as it is there."""
    written = importlib.import_module(f"{front.__name__}._examples").EXAMPLES
    lines = ['"""The examples in the docstrings of the ops, by name. This file is written by make docs."""', ""]
    lines.append("EXAMPLES = {")
    for name, op in sorted(vars(front._ops).items()):
        if is_op(front, op) and (example := example_of(front, op)):
            if agree(before := written.get(name, "").rstrip("\n"), example):
                example = before
            lines += [f'    "{name}": """\\', example.replace("\\", "\\\\"), '""",']
    return "\n".join([*lines, "}", ""])


# Where a framework's function takes something else than the primitive.
OTHER_ARRAYS = {"tf_ops.lu_solve": [np.array([[2.0, 4.0], [0.5, 1.0]]), np.array([1, 0]), np.array([5.0, 6.0])]}


def example_of(front, op):
    """A session with the call that the docstring of the primitive shows; None where the op has no such argument."""
    arrays, options = first_call(op.primitive)
    arrays = OTHER_ARRAYS.get(f"{front.__name__}.{op.__name__}", arrays)
    try:
        return session(front, op, arrays, options)
    except (RuntimeError, ValueError, tf.errors.InvalidArgumentError):  # it takes no vectors: a column, then
        cores = op.primitive.signature.inputs
        columns = [A[:, None] if A.ndim < len(core) else A for A, core in zip(arrays, cores, strict=True)]
        return session(front, op, columns, options)


def session(front, op, arrays, options):
    """The call of an op with these arrays, as the interpreter shows it."""
    library, tensor, dtypes = "torch", "torch.tensor", {"f": "", "i": ", dtype=torch.int32"}
    if front is tf_ops:  # prints all digits, and those of single precision are not the same on every machine
        library, tensor, dtypes = "tensorflow as tf", "tf.constant", {"f": ", tf.float64", "i": ""}
    theirs = counterparts_of(op)
    primitive, parameters = op.primitive, inspect.signature(op).parameters
    if not {k for k, v in options.items() if v is not primitive.defaults[k]} <= set(theirs.values()):
        return None
    lines, arguments = [f"import {library}, {front.__name__}"], []
    written = [
        "None"
        if a is None
        else str(a)
        if a.ndim == 0 and len(arrays) > 1
        else f"{tensor}({a.tolist()}{dtypes[a.dtype.kind]})"
        for a in arrays
    ]
    written = [re.sub(r"\b(nan|inf)\b", r'float("\1")', text) for text in written]
    for name, our in theirs.items():
        if primitive.variadic and our in primitive.arguments:
            arguments.append(f"[{', '.join(written)}]")
        elif our in primitive.arguments:
            value = written[primitive.arguments.index(our)]
            if value == "None":  # an array that may be left out
                continue
            if value.startswith(tensor):
                called = name if f"{front.__name__}.{op.__name__}" in OTHER_ARRAYS else our
                lines.append(f"{called} = {value}")
                value = called
            arguments.append(value)
        elif our is not None and (
            parameters[name].default is inspect.Parameter.empty
            or not (options[our] is parameters[name].default or options[our] is primitive.defaults[our])
        ):
            value = options[our]
            if isinstance(value, Primitive):  # a function as an option
                value = f"{front.__name__}.{value.name}"
            else:
                value = repr(value.tolist() if isinstance(value, np.ndarray) else value)
            required = parameters[name].default is inspect.Parameter.empty
            by_position = required and parameters[name].kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
            arguments.append(value if by_position else f"{name}={value}")
    call = f"{front.__name__}.{op.__name__}({', '.join(arguments)})"
    scope = {}
    exec("\n".join(lines), scope)
    value = eval(call, scope)
    result = repr(value)
    if max(map(len, result.splitlines())) > 100 and isinstance(value, tuple):  # one output after the other
        shown = [f">>> {call}[{i}]\n{output!r}" for i, output in enumerate(value)]
        return "\n".join([*(f">>> {line}" for line in lines), *shown])
    return "\n".join([*(f">>> {line}" for line in (*lines, call)), result])


def first_call(primitive):
    """The arrays and the options of the first call of a primitive in the example of its own docstring."""
    seen, original = [], Primitive.__call__

    def watching(self, *args, **kwargs):
        if self is primitive and not seen:
            arrays, options = self.bind(args, kwargs)
            values = [getattr(a, "value", a) for a in arrays]
            seen.append(([a if a is None else np.asarray(a) for a in values], options))
        return original(self, *args, **kwargs)

    Primitive.__call__ = watching
    try:
        scope = {}
        for example in doctest.DocTestParser().get_examples(inspect.getdoc(primitive)):
            with contextlib.redirect_stdout(None):
                exec(example.source, scope)
    finally:
        Primitive.__call__ = original
    arrays, options = seen[0]
    return arrays, {name: value for name, value in options.items() if name != "batch_ndim"}
