"""docs/functions.md: NumPy's and SciPy's functions by name, beside the primitives of the registry.

May import `overbar` and its neighbours.
"""

import inspect

from overbar.rules import FUNCTIONS
from tools.docs.common import first_line, table

HEAD = """# Functions of NumPy and SciPy

<!-- This file is written by make docs. -->

Code with NumPy alone needs more than matrices. `overbar` has these functions under NumPy's or SciPy's names, or those
of networks, with the same values, and with derivatives of any order by its sweeps. They take tensors of PyTorch and
TensorFlow as well. `help(overbar.logsumexp)` has the rest: errors, derivation, cost and an example. Of an array whose
derivative is being traced, NumPy's own names are the same, `numpy.var(A)` or `numpy.einsum("ij,j", A, x)`, and so are
those of SciPy's ufuncs, `scipy.special.expit(A)`. Other functions of SciPy's, `scipy.special.logsumexp` for instance, do
not take such arrays: use these ([what to write instead](numpy_users.md#what-to-write-instead)).

"""


def functions_page():
    rows = [[f"`{name}{inspect.signature(f)}`", first_line(f)] for name, f in FUNCTIONS.items()]
    return HEAD + table(("function", "what it computes"), rows)
