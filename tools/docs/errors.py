"""The table of errors in docs/conventions.md: what each mistake raises in each library.

May import both frameworks, `overbar` and its neighbours.
"""

import re
import textwrap
import warnings

import numpy as np
import tensorflow as tf
import torch

from overbar.rules import REGISTRY
from tools.docs.common import table

EYE = np.eye(2)
INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])

# What is wrong, and a call of a primitive that shows it. The call is shown to the reader as it is written here.
MISTAKES = {
    "not square": "cholesky(ones(2, 3))",
    "too few dimensions": "cholesky(ones(3))",
    "shapes that do not fit": "matmul(ones(3, 2), ones(3, 2))",
    "batch dimensions that do not broadcast": "matmul(ones(2, 3, 3), ones(4, 3, 3))",
    "not floating point": "cholesky(integers)",
    "NaN": "cholesky(with_nan)",
    "not positive definite": "cholesky(indefinite)",
    "the same in a batch": "cholesky(stack(eye, indefinite))",
    "singular, triangular": "solve_triangular(zeros, eye, upper=False)",
    "singular, general": "inv_congruence(zeros, eye)",
    "an option that is not there": "cholesky(eye, uper=True)",
}
BASES = {
    "NumPy": {"`LinAlgError`": np.linalg.LinAlgError},
    "PyTorch": {"`torch.linalg.LinAlgError`": torch.linalg.LinAlgError},
    "TensorFlow": {"`InvalidArgumentError`": tf.errors.InvalidArgumentError},
}
PYTHON = {"`TypeError`": TypeError, "`ValueError`": ValueError}


def run(mistake, convert):
    """Run the call of a mistake on one library's arrays: the result, or the exception."""
    arrays = {
        "eye": EYE,
        "zeros": np.zeros((2, 2)),
        "indefinite": INDEFINITE,
        "integers": np.eye(2, dtype=int),
        "with_nan": np.array([[1.0, np.nan], [np.nan, 1.0]]),
    }
    words = {name: convert(array) for name, array in arrays.items()}
    words["ones"] = lambda *shape: convert(np.ones(shape))
    words["stack"] = lambda *_: convert(np.stack([EYE, INDEFINITE]))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return eval(MISTAKES[mistake], {**REGISTRY, **words})
    except Exception as error:
        return error


def in_graph(mistake, jit_compile):
    """The same with the arrays as arguments of a tf.function."""
    seen = []
    run(mistake, lambda array: seen.append(tf.constant(array)) or tf.constant(array))

    def function(*arrays):
        arrays = iter(arrays)
        result = run(mistake, lambda _: next(arrays))
        if isinstance(result, Exception):
            raise result
        return result

    function = tf.autograph.experimental.do_not_convert(function)
    try:
        return tf.function(function, jit_compile=jit_compile)(*seen)
    except Exception as error:
        return error


def outcome(result, library):
    """What a result or an exception is, in a cell of the table."""
    if isinstance(result, Exception):
        return next(name for name, kind in {**BASES[library], **PYTHON}.items() if isinstance(result, kind))
    bad = np.asarray(result).reshape(-1)
    kinds = [word for word, found in (("infinity", np.isinf(bad)), ("NaN", np.isnan(bad))) if found.any()]
    return "no error: " + " and ".join(kinds)


def message(result):
    """The words of an exception, without the trace of a graph."""
    text = getattr(result, "message", None) or str(result)
    failed = re.search(r"assertion failed: (.*)", text)
    text = failed[1] if failed else text.splitlines()[0]
    return textwrap.fill(text, 118, initial_indent="    ", subsequent_indent="    ", break_long_words=False)


def errors_table():
    """Which mistake raises what, and the messages."""
    rows, messages = [], []
    for mistake, code in MISTAKES.items():
        results = {
            "NumPy": run(mistake, np.asarray),
            "PyTorch": run(mistake, torch.as_tensor),
            "TensorFlow": run(mistake, tf.constant),
        }
        graph, compiled = in_graph(mistake, False), in_graph(mistake, True)
        cells = [outcome(result, library) for library, result in results.items()]
        cells += [outcome(graph, "TensorFlow"), outcome(compiled, "TensorFlow")]
        errors = [result for result in (*results.values(), graph, compiled) if isinstance(result, Exception)]
        also = [name for name, kind in PYTHON.items() if all(isinstance(e, kind) for e in errors) and name not in cells]
        also = also if len(errors) == len(cells) else []
        rows.append((mistake, f"`{code}`", *cells, ", ".join(also)))
        messages.append(f"{mistake}:\n{message(results['NumPy'])}\n")
        if isinstance(graph, Exception) and "assertion failed" in str(graph):
            messages.append(f"{mistake}, in a tf.function:\n{message(graph)}\n")
    header = ("mistake", "call", "NumPy", "PyTorch", "TensorFlow, eager", "TensorFlow, `tf.function`", "XLA", "also a")
    return table(header, rows) + "\nThe messages, as NumPy gives them:\n\n```text\n" + "\n".join(messages) + "```\n"
