"""Writes what the documents say about every primitive, from the registry and from running the ops:

    python docs/generate.py

docs/ops.md as a whole, the table of primitives in README.md, and the table of errors in docs/conventions.md. The tests
compare the files with what this program gives. It imports both frameworks.
"""

import inspect
import os
import re
import textwrap
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import tf_ops
import torch_ops
from overbar.rules import REGISTRY
from overbar.verify import call, draw_cases

ROOT = Path(__file__).resolve().parents[1]
FRONTS = {"PyTorch": torch_ops, "TensorFlow": tf_ops}


def documents():
    """The generated documents: their text, by path."""
    readme, conventions = ROOT / "README.md", ROOT / "docs" / "conventions.md"
    return {
        ROOT / "docs" / "ops.md": ops_page(),
        readme: replaced(readme.read_text(encoding="utf-8"), "primitives", primitives_table()),
        conventions: replaced(conventions.read_text(encoding="utf-8"), "errors", errors_table()),
    }


def replaced(text, name, part):
    """The text with `part` between the two comments that mark the generated part of that name."""
    start, end = f"<!-- {name}: written by docs/generate.py -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"there is no part between {start} and {end}")
    return f"{before}{start}\n\n{part}\n{end}{after}"


# -- what a primitive says of itself -----------------------------------------------------------------------------------


def first_line(documented):
    """The first sentence or two of a docstring, for Markdown."""
    text = " ".join(inspect.getdoc(documented).split("\n\n")[0].split())
    return text.replace("``", "`").replace("|", "\\|")


def family(primitive):
    """What the file of a primitive calls its family: the docstring's first words."""
    module = inspect.getmodule(primitive.function)
    return re.split(r"[:,.]", module.__doc__)[0]


def dimensions(primitive):
    """The core dimensions, without those of hidden outputs."""
    if primitive.signature.whole:
        return "whole arrays"

    def group(dims):
        return "(" + ", ".join(f"{d}?" if d in primitive.signature.optional else d for d in dims) + ")"

    inputs = ", ".join(map(group, primitive.signature.inputs))
    outputs = ", ".join(map(group, primitive.signature.outputs[: primitive.public]))
    return f"`{inputs} → {outputs}`"


def ops_of(front):
    """The functions that a front offers, by the name of the primitive that each of them is."""
    found = {}
    for name, function in sorted(vars(front.ops).items()):
        if name.startswith("_") or getattr(function, "__module__", None) != front.ops.__name__:
            continue
        if hasattr(function, "primitive"):
            primitive = function.primitive.name
        else:  # an op with options of the framework's own names its primitive in its docstring
            named = re.search(r"see `overbar\.(\w+)`", function.__doc__ or "")
            if named is None:
                continue
            primitive = named[1]
        found.setdefault(primitive, []).append(f"{front.__name__}.{name}{inspect.signature(function)}")
    return found


# -- how a value is computed -------------------------------------------------------------------------------------------

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


# -- tables ------------------------------------------------------------------------------------------------------------


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def table(header, rows):
    return "\n".join([row(*header), row(*["---"] * len(header)), *(row(*cells) for cells in rows)]) + "\n"


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
    names = {framework: ops_of(front) for framework, front in FRONTS.items()}
    index, sections = [], []
    for name, primitive in REGISTRY.items():
        index.append((f"[`{name}`](#{name})", family(primitive), dimensions(primitive), first_line(primitive)))
        lines = [f"## {name}", "", first_line(primitive), ""]
        lines.append(f"- NumPy: `overbar.{name}{primitive.__signature__}`")
        for framework, found in names.items():
            lines.append(f"- {framework}: " + ", ".join(f"`{text}`" for text in found.get(name, [])))
        lines.append(f"- Dimensions: {dimensions(primitive)}")
        lines.append(f"- Value: {computed_by(primitive)}")
        sections.append("\n".join(lines) + "\n")
    return f"""# The ops

<!-- This file is written by docs/generate.py. -->

The {len(REGISTRY)} primitives of overbar, in alphabetical order. `help(overbar.cholesky)` has the rest: parameters,
errors, the derivation with its source, the cost and an example.

*Dimensions* are the core dimensions of the arrays, as NumPy writes them for generalised ufuncs. Batch dimensions go in
front of them and broadcast. `k?` may be absent: a vector in the place of a matrix. `()` means that the function works
entry by entry, on arrays of any shape; *whole arrays*, that it has no batch dimensions and sees the array as it is.
*Value* says which of a framework's kernels do the work. The derivative is the shared rule in every case.

{table(("name", "family", "dimensions", "what it computes"), index)}
{chr(10).join(sections)}"""


# -- errors ------------------------------------------------------------------------------------------------------------

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


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
