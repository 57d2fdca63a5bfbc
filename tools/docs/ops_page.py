"""docs/ops.md, and the table of primitives in the README: each primitive, its ops and how they are computed.

May import both frameworks, both fronts, `overbar` and its neighbours.
"""

import inspect
import re
import textwrap

import tensorflow as tf
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import torch_ops
from overbar.rules import REGISTRY
from overbar.verify import call, draw_cases
from tools.docs.common import FRONTS, dimensions, family, first_line, is_op, ops_of, shown, table
from tools.docs.passed_on import remarks

# What the linear algebra kernels are called here. One that is not in the list is shown by its own name.
WORDS = {
    "matrix product": r"mm|addmm|bmm|baddbmm|mv|dot|MatMul|BatchMatMul\w*",
    "Cholesky factorisation": r"linalg_cholesky(_ex)?|Cholesky",
    "triangular solve": r"linalg_solve_triangular|(Batch)?MatrixTriangularSolve",
    "LU solve": r"_?linalg_solve(_ex)?|MatrixSolve",
}
LINEAR_ALGEBRA = {
    "PyTorch": re.compile(
        WORDS["matrix product"] + r"|_?linalg_(?!check_errors)\w+|\w*(cholesky|triangular_solve|geqrf|ormqr|lobpcg)\w*"
    ),
    "TensorFlow": re.compile(
        WORDS["matrix product"] + r"|(Batch)?Matrix(Inverse|Solve\w*|TriangularSolve|Determinant|SquareRoot|Logarithm)"
        r"|LogMatrixDeterminant|(Batch)?(Cholesky|SelfAdjointEig\w*|Svd|Qr|Lu)|Eig|Tridiagonal\w+"
    ),
}


class _Kernels(TorchDispatchMode):
    """Writes down the names of the kernels that torch calls."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.add(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def torch_kernels(primitive, case):
    """The names of the kernels behind a primitive in PyTorch, or None where it leaves the device: such a primitive
    fails on torch's meta device, which has shapes and no numbers."""
    tensors = [torch.as_tensor(a) for a in case.arrays]
    with _Kernels() as kernels:
        call(primitive, tensors, case.options)
    try:
        call(primitive, [t.to("meta") for t in tensors], case.options)
    except Exception:
        return None
    return kernels.names


def tf_kernels(primitive, case):
    """The names of the kernels behind a primitive in TensorFlow, or None where a graph calls back into Python."""

    @tf.function
    @tf.autograph.experimental.do_not_convert
    def traced(*arrays):
        return call(primitive, arrays, case.options)

    specs = [tf.TensorSpec(a.shape, a.dtype) for a in case.arrays]
    definition = traced.get_concrete_function(*specs).graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    names = {node.op for node in nodes}
    return None if names & {"PyFunc", "EagerPyFunc", "PyFuncStateless"} else names


def computed_by(primitive):
    """How the frameworks compute the value, in words."""
    said = {}
    for framework, kernels_of in (("PyTorch", torch_kernels), ("TensorFlow", tf_kernels)):
        kernels = [kernels_of(primitive, case) for case in draw_cases(primitive)]
        if None in kernels:
            said[framework] = "SciPy on the host"
            continue
        names = {name for name in set().union(*kernels) if LINEAR_ALGEBRA[framework].fullmatch(name)}
        words = {next((word for word, names in WORDS.items() if re.fullmatch(names, name)), name) for name in names}
        said[framework] = "kernels of the framework" + (f" ({', '.join(sorted(words))})" if words else "")
    if len(set(said.values())) == 1:
        return said["PyTorch"].replace("the framework", "each framework")
    return "; ".join(f"in {framework}, {text}" for framework, text in said.items())


# -- pages ------------------------------------------------------------------------------------------------------------


def primitives_table():
    """Every primitive with its formula, by family."""
    rows, last = [], None
    for name, primitive in sorted(REGISTRY.items(), key=lambda item: (item[1].function.__module__, item[0])):
        group = family(primitive)
        rows.append(("" if group == last else group, f"[`{name}`](docs/ops.md#{name})", first_line(primitive)))
        last = group
    return table(("family", "primitive", "what it computes"), rows)


def ops_page():
    """docs/ops.md."""
    ops = {framework: ops_of(front) for framework, front in FRONTS.items()}
    index, parts = [], []
    for name, primitive in REGISTRY.items():
        index.append((f"[`{name}`](#{name})", family(primitive), dimensions(primitive), first_line(primitive)))
        lines = [f"## {name}", "", first_line(primitive), ""]
        lines.append(f"- NumPy: `overbar.{name}{primitive.__signature__}`")
        for framework, front in FRONTS.items():
            for op in ops[framework].get(name, []):
                lines.append(f"- {framework}: `{front.__name__}.{op.__name__}{shown(inspect.signature(op))}`")
                lines += [f"  - {remark}" for remark in remarks(front, op)]
        lines.append(f"- Dimensions: {dimensions(primitive)}")
        lines.append(f"- Value: {computed_by(primitive)}")
        parts.append("\n".join(lines) + "\n")
    return f"""# The ops

<!-- This file is written by make docs. -->

The {len(REGISTRY)} primitives of overbar, in alphabetical order. `help(overbar.cholesky)` has the rest: parameters,
errors, the derivation with its source, the cost and an example. `help(torch_ops.cholesky)` says the same for PyTorch.

*Dimensions* are the core dimensions of the arrays, as NumPy writes them for generalised ufuncs. Batch dimensions go in
front of them and broadcast. `k?` may be absent: a vector instead of a matrix. `()` means that the function works
entry by entry, on arrays of any shape; *whole arrays*, that it has no batch dimensions and sees the array as it is.
*Value* says which of a framework's kernels do the work.

The derivative is the shared rule, but for what is *passed on*: where a framework has the function, its derivative is
right and it is not slower, the op calls it, and the derivative is the framework's. Where only some calls are passed
on, those that nobody differentiates are passed on, too. A primitive called by its own name (`overbar.cholesky` of a
tensor) and your own primitives are never passed on.

{chr(10).join(linalg_words(front) for front in FRONTS.values() if hasattr(front, "linalg"))}

{table(("name", "family", "dimensions", "what it computes"), index)}
{chr(10).join(parts)}"""


def linalg_words(front):
    """What there is to say of a mirror of the framework's own module of linear algebra."""
    theirs = "torch.linalg" if front is torch_ops else "tf.linalg"
    ours = [f"`{name}`" for name in front.linalg.__all__ if is_ours(front, getattr(front.linalg, name))]
    return textwrap.fill(
        f"`{front.__name__}.linalg` is `{theirs}` with the functions of `{front.__name__}` in it, so that "
        f"`from {front.__name__} import linalg` is the whole change. Of its {len(front.linalg.__all__)} names "
        f"these are ours: {', '.join(ours)}.",
        120,
        break_long_words=False,
        break_on_hyphens=False,
    )


def is_ours(front, function):
    """Whether a function of the mirror is an op, or made of ops."""
    return is_op(front, function) or getattr(function, "__module__", "").partition(".")[0] == front.__name__
