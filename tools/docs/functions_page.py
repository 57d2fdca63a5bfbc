"""docs/functions.md: NumPy's and SciPy's functions by name, beside the primitives of the registry.

May import `overbar` and its neighbours.
"""

import inspect

import numpy as np

from overbar import _traced
from overbar._traced_functions import INSTEAD, METHODS, OF_NUMBERS, STEPS
from overbar.rules import FUNCTIONS
from tools.docs.common import first_line, table

HEAD = """# Functions of NumPy and SciPy

<!-- This file is written by make docs. -->

Code with NumPy alone needs more than matrices. `overbar` has these functions under NumPy's or SciPy's names, or those
of networks, with the same values, and with derivatives of any order by its sweeps. They take tensors of PyTorch and
TensorFlow as well. `help(overbar.logsumexp)` has the rest: errors, derivation, cost and an example. Which of NumPy's
own names mean the same for an array whose derivative is being traced is [below](#numpys-names-on-traced-arrays), and
which of SciPy's: ufuncs such as `scipy.special.expit`, and no other functions.

"""

NAMES = """
## NumPy's names on traced arrays

Within a function that is differentiated these of NumPy's names do what they always do, derivatives included, in their
usual calls. One with `out`, `dtype`, `where` or `initial`, and what is rare (`einsum` with a diagonal or three
operands, `diff` with `prepend`, `eigvalsh` with `UPLO`), is an error that says so. Operators, indexing, comparisons and
iteration are NumPy's, too.

"""

OTHERS = """
Any other function of NumPy's or SciPy's raises an error, which says what to write instead. Of habits that need another
line there is [a list with examples](numpy_users.md#what-to-write-instead). Functions that people look for:

"""


def functions_page():
    rows = [[f"`{name}{inspect.signature(f)}`", first_line(f)] for name, f in FUNCTIONS.items()]
    page = HEAD + table(("function", "what it computes"), rows)
    groups = [[kind, ", ".join(f"`{name}`" for name in sorted(names))] for kind, names in _names().items()]
    alike = {}
    for name, text in INSTEAD.items():
        alike.setdefault(text, []).append(f"`numpy.{name}`")
    instead = [[", ".join(names), f"{text}."] for text, names in alike.items()]
    return page + NAMES + table(("kind", "names"), groups) + OTHERS + table(("instead of", "this"), instead)


def _names():
    """The names that traced arrays take, by kind."""
    ufuncs = _traced.UFUNCS.keys()
    named = {f: f"{f.__module__}.{f.__name__}".removeprefix("numpy.") for f in (*_traced.FUNCTIONS, *OF_NUMBERS)}
    functions = [named[f] for f in _traced.FUNCTIONS if f is not np.linalg.svd]
    array = [
        name
        for name in vars(_traced.Traced)
        if not name.startswith("_") and name not in _traced.Traced.__slots__ and hasattr(np.ndarray, name)
    ]
    return {
        "of `numpy`, entry by entry": [name for name in ufuncs if hasattr(np, name)],
        "methods of these": [*METHODS, "subtract.outer"],
        "of `numpy`, of whole arrays": [name for name in functions if not name.startswith("linalg.")],
        "of `numpy.linalg`": [name.removeprefix("linalg.") for name in functions if name.startswith("linalg.")],
        "of `scipy.special`": [name for name in ufuncs if not hasattr(np, name)],
        "attributes and methods of arrays": array,
        "of `numpy`, of the numbers alone, without a derivative": [*STEPS, *(named[f] for f in OF_NUMBERS)],
    }
