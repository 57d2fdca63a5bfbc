"""Writes what the documents say about every primitive, from the registry and from running the ops:

    python docs/generate.py

docs/ops.md as a whole, the table of primitives in README.md, and the table of errors in docs/conventions.md. And what
the packages carry for those who read and type-check: the types of the primitives and ops, as stub files, and the
examples in the docstrings of the ops. The tests compare the files with what this program gives. It imports both
frameworks.
"""

import bisect
import doctest
import inspect
import itertools
import os
import re
import subprocess
import sys
import textwrap
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from overbar.import_order import triton_first

triton_first()

import numpy as np
import tensorflow as tf
import torch
from torch.autograd import forward_ad
from torch.utils._python_dispatch import TorchDispatchMode

import tf_ops
import torch_ops
from overbar.docstrings import PYTORCH, TENSORFLOW, counterparts, entries, full_name, sections
from overbar.primitive import Primitive
from overbar.rules import REGISTRY
from overbar.verify import call, draw_cases

ROOT = Path(__file__).resolve().parents[1]
FRONTS = {"PyTorch": torch_ops, "TensorFlow": tf_ops}
MODULES = {"torch.linalg": torch.linalg, "torch": torch, "tf.linalg": tf.linalg, "tf.math": tf.math, "tf": tf}


def documents():
    """The generated documents: their text, by path."""
    readme, conventions = ROOT / "README.md", ROOT / "docs" / "conventions.md"
    written = {
        ROOT / "docs" / "ops.md": ops_page(),
        readme: replaced(readme.read_text(encoding="utf-8"), "primitives", primitives_table()),
        conventions: replaced(conventions.read_text(encoding="utf-8"), "errors", errors_table()),
        ROOT / "src" / "overbar" / "rules" / "__init__.pyi": primitives_stub(),
    }
    for front in FRONTS.values():
        folder = ROOT / front.__name__
        written[folder / "ops.pyi"] = ops_stub(front)
        written[folder / "examples.py"] = examples_module(front)
        if hasattr(front, "linalg"):
            written[folder / "linalg.pyi"] = linalg_stub(front)
    return written


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
    for _, function in sorted(vars(front.ops).items()):
        if isinstance(getattr(function, "primitive", None), Primitive):
            found.setdefault(function.primitive.name, []).append(function)
    return found


def shown(signature):
    """A signature as one would write it: with the short names of its types."""
    text = str(signature).replace("int | float | complex", "Number").replace("'Any'", "Any")
    return re.sub(r"\b(torch\.(?=Tensor)|collections\.abc\.|typing\.|overbar\.primitive\.)", "", text)


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

<!-- This file is written by docs/generate.py. -->

The {len(REGISTRY)} primitives of overbar, in alphabetical order. `help(overbar.cholesky)` has the rest: parameters,
errors, the derivation with its source, the cost and an example. `help(torch_ops.cholesky)` says the same for PyTorch.

*Dimensions* are the core dimensions of the arrays, as NumPy writes them for generalised ufuncs. Batch dimensions go in
front of them and broadcast. `k?` may be absent: a vector in the place of a matrix. `()` means that the function works
entry by entry, on arrays of any shape; *whole arrays*, that it has no batch dimensions and sees the array as it is.
*Value* says which of a framework's kernels do the work.

The derivative is the shared rule, but for what is *handed over*: where a framework has the function, its derivative is
right and it is not slower, the op calls it, and the derivative is the framework's. Where only some calls are handed
over, those that nobody differentiates are handed over, too. A primitive called by its own name (`overbar.cholesky` of a
tensor) and your own primitives are never handed over.

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


def is_op(front, function):
    return getattr(function, "__module__", None) == front.ops.__name__ and hasattr(function, "primitive")


def is_ours(front, function):
    """Whether a function of the mirror is an op, or made of ops."""
    return is_op(front, function) or getattr(function, "__module__", "").partition(".")[0] == front.__name__


def remarks(front, op):
    """Where else an op is found, and which calls of it are handed over to the framework's own function."""
    linalg = getattr(front, "linalg", None)
    if getattr(linalg, op.__name__, None) is op:
        yield f"also `{linalg.__name__}.{op.__name__}`"
    builtin = getattr(op, "builtin", None)
    if builtin is None:
        return
    name = f"`{full_name(builtin, MODULES)}`"
    if getattr(op, "mended", None) is not None:
        name += ", with its derivative put right"
    if getattr(op, "when", None) is None:
        yield f"handed over to {name}"
        return
    if (words := handed_over(op)) is not None:
        yield f"handed over to {name}: {words}".removesuffix(": ")
    if (reason := getattr(op.when, "reason", None)) is not None:
        yield f"{'all others are' if words is not None else 'its derivatives are'} ours, as {reason}"


HUGE = 4096  # larger matrices are not asked about


def handed_over(op):
    """Which calls `op.when` selects, in words; None where it selects none. It is asked about tensors of every
    dtype, small and large, with and without a batch, with each switch on and off (left out where that is its default),
    inside forward mode and outside."""
    primitive, cores = op.primitive, op.primitive.signature.inputs
    theirs, parameters = counterparts_of(op), inspect.signature(op).parameters
    types = option_types(primitive)
    switches = [name for name, our in theirs.items() if types.get(our) == "bool"]
    dtypes = [torch.float32, torch.float64, torch.complex64, torch.complex128]
    batches = list(itertools.product([(), (3,)], repeat=len(cores)))
    settings = list(itertools.product([False, True], repeat=len(switches)))

    def asked(n, dtype, batch, setting):
        shapes = [(*lead, *[n] * len(core)) for lead, core in zip(batch, cores, strict=True)]
        if op.__module__.startswith("torch_ops"):
            made = [torch.empty(shape, dtype=dtype, device="meta") for shape in shapes]
        else:
            made = [tf.zeros(shape, str(dtype).removeprefix("torch.")) for shape in shapes]
        tensors = dict(zip(primitive.arguments, made, strict=True))
        options = {name: on for name, on in zip(switches, setting, strict=True) if on is not parameters[name].default}
        return bool(op.when(*(tensors[our] for our in theirs.values() if our in tensors), **options))

    chosen = {call for call in itertools.product(dtypes, batches, settings) if asked(2, *call)}
    if not chosen:
        return None
    words, product = [], 1
    for place, (kind, everything) in enumerate((("dtype", dtypes), ("batch", batches), ("setting", settings))):
        found = [x for x in everything if any(call[place] == x for call in chosen)]
        product *= len(found)
        if len(found) == len(everything):
            continue
        if kind == "dtype":
            words.append(" and ".join(str(dtype).removeprefix("torch.") for dtype in found))
        elif kind == "batch":
            others = [batch for batch in everything if batch not in found]
            few = others if len(others) < len(found) else found
            written = " or ".join(_batch_words(primitive, theirs, batch) for batch in few)
            words.append(f"not with {written}" if few is others else f"with {written}")
        else:
            fixed = [{setting[i] for setting in found} for i in range(len(switches))]
            words += [f"`{name}={next(iter(f))}`" for name, f in zip(switches, fixed, strict=True) if len(f) == 1]
            product *= np.prod([len(f) for f in fixed]) / len(found)
    if product != len(chosen):
        raise ValueError(f"the calls of {op.__name__} that are handed over need more words than these: {words}")
    sizes = {}
    for kind in chosen:
        largest = bisect.bisect_left(range(HUGE + 1), True, key=lambda n, kind=kind: n > 2 and not asked(n, *kind)) - 1
        sizes.setdefault(largest, set()).add(str(kind[0]).removeprefix("torch."))
    for largest, dtypes in sorted(sizes.items()):
        of = f" ({' and '.join(sorted(dtypes))})" if len(sizes) > 1 else ""
        words += [f"up to {largest} × {largest}{of}"] if largest < HUGE else []
    with forward_ad.dual_level():
        words += [] if asked(2, *next(iter(chosen))) else ["not in forward mode"]
    return "; ".join(words)


def _batch_words(primitive, theirs, batch):
    names = {our: name for name, our in theirs.items()}
    having = [f"`{names[our]}`" for our, lead in zip(primitive.arguments, batch, strict=True) if lead]
    only = " only" if len(having) < len(batch) else ""
    return "batch dimensions in " + " and ".join(having) + only if having else "no batch dimensions"


def counterparts_of(op):
    """Which argument of the primitive each argument of an op stands for."""
    words = PYTORCH if op.__module__.startswith("torch_ops") else TENSORFLOW
    return counterparts(op.primitive, inspect.signature(op).parameters, getattr(op, "names", {}), words.options)


# -- types -------------------------------------------------------------------------------------------------------------

WRITTEN = "# This file is written by docs/generate.py.\n"
TYPES = {"int": "int", "bool": "bool", "float": "float", "str": "str", "tuple of int": "Sequence[int]", "None": "None"}


def option_types(primitive):
    """The types of a primitive's options: as annotated, as its docstring says, or that of the default."""
    parameters = inspect.signature(primitive.function).parameters
    said = {name: kind for names, kind, _ in entries(sections(primitive.__doc__)["Parameters"]) for name in names}
    found = {}
    for name, default in primitive.defaults.items():
        words = re.split(r", | or ", said.get(name, ""))
        if parameters[name].annotation is not inspect.Parameter.empty:
            found[name] = inspect.formatannotation(parameters[name].annotation).strip("'")
        elif set(words) <= TYPES.keys():
            found[name] = " | ".join(TYPES[word] for word in words)
        else:
            found[name] = type(default).__name__ if isinstance(default, (bool, int, float, str)) else "Any"
    return found


def with_types(op, array, number):
    """The signature of an op with a type for each argument that has none, and for the result."""
    signature, primitive = inspect.signature(op), op.primitive
    theirs, types = counterparts_of(op), option_types(primitive)
    elementwise = len(primitive.arguments) > 1 and not any(primitive.signature.inputs)
    parameters = []
    for name, parameter in signature.parameters.items():
        our = theirs[name]
        if parameter.annotation is not parameter.empty:
            pass
        elif our in primitive.arguments:
            numbers = elementwise or not primitive.signature.inputs[primitive.arguments.index(our)]
            one = f"{array} | {number}" if number and numbers and len(primitive.arguments) > 1 else array
            one = f"{one} | None" if our in primitive.absent and one != "Any" else one
            parameter = parameter.replace(annotation=_Written(f"Sequence[{array}]" if primitive.variadic else one))
        elif our is not None:
            parameter = parameter.replace(annotation=_Written(types[our]))
        else:
            parameter = parameter.replace(annotation=_Written("str | None" if name == "name" else "Any"))
        parameters.append(parameter)
    result = signature.return_annotation
    if result is signature.empty:
        single = "Tensor" if array == "Tensor" else "Any"
        result = _Written(single if primitive.public == 1 else f"tuple[{', '.join([single] * primitive.public)}]")
    return signature.replace(parameters=parameters, return_annotation=result)


class _Written(str):
    """An annotation to be shown without quotes."""

    __repr__ = str.__str__


def summary(documented, indent="    "):
    """The first paragraph of a docstring, as a docstring."""
    text = " ".join(inspect.getdoc(documented).split("\n\n")[0].split())
    return textwrap.indent(textwrap.fill(f'"""{text}"""', 116 - len(indent), break_long_words=False), indent)


def primitives_stub():
    """The types of the primitives, src/overbar/rules/__init__.pyi."""
    lines = [WRITTEN + "from collections.abc import Sequence", "from typing import Any", ""]
    lines += ["from overbar.primitive import Primitive", ""]
    for name, primitive in REGISTRY.items():
        types = option_types(primitive)
        arguments = [f"{n}: Sequence[Any]" if primitive.variadic else f"{n}: Any" for n in primitive.arguments]
        arguments = [
            f"{a} = None" if n in primitive.absent else a for n, a in zip(primitive.arguments, arguments, strict=True)
        ]
        # options may be given by position, but those that must be given come first then
        required = [n for n, default in primitive.defaults.items() if default is inspect.Parameter.empty]
        rest = [n for n in primitive.defaults if n not in (*required, "batch_ndim")]
        arguments += ["*"] if primitive.absent and required else []
        arguments += [f"{n}: {types[n]}" for n in required]
        arguments += [f"{n}: {types[n]} = {primitive.defaults[n]!r}" for n in rest]
        lines += [f"class _{name}(Primitive):", f"    def __call__(self, {', '.join(arguments)}) -> Any:"]
        lines += [summary(primitive, " " * 8), ""]
    lines += [f"{name}: _{name}" for name in REGISTRY]
    lines += ["", "REGISTRY: dict[str, Primitive]", "", f"__all__ = {[*REGISTRY]}"]
    return formatted("\n".join(lines))


def ops_stub(front):
    """The types of a front's ops."""
    if front is torch_ops:
        array, number = "Tensor", "Number"
        header = ["import torch", "from torch import Tensor", "", "Number: TypeAlias = int | float | complex"]
    else:  # TensorFlow has no types that a checker could read; what it takes is whatever converts to a tensor
        array, number, header = "Any", "", []
    lines = [WRITTEN + "from collections.abc import Callable, Sequence", "from typing import Any, TypeAlias", *header]
    if front is tf_ops:
        lines += ["from overbar.primitive import Primitive", ""]
    if front.wrap.__module__ == front.ops.__name__:
        lines.append(stub_of(front.wrap))
    for name, op in sorted(vars(front.ops).items()):
        if is_op(front, op):
            text = shown(with_types(op, array, number))
            lines += [f"def {name}{text}:", summary(op.primitive)]
    return formatted("\n".join(lines))


def stub_of(function):
    return f"def {function.__name__}{shown(inspect.signature(function))}:\n{summary(function)}"


def linalg_stub(front):
    """The types of a mirror of the framework's own module: its own names, but for ours."""
    imports, rest = [], []
    for name in front.linalg.__all__:
        value = getattr(front.linalg, name)
        if is_op(front, value):
            imports.append(f"from {front.ops.__name__} import {name} as {name}")
        elif front is tf_ops:
            rest = ["from typing import Any", "", "def __getattr__(name: str) -> Any: ..."]  # TensorFlow has no types
        elif isinstance(value, type) and value.__name__ != name:  # an exception that PyTorch's own stubs do not have
            rest.append(f"class {name}({value.__base__.__name__}): ...")
        else:
            imports.append(f"from torch.linalg import {name} as {name}")
    return formatted("\n".join([WRITTEN.rstrip(), *imports, "", *rest]))


def formatted(text):
    """A stub without the imports that it does not need, as `make format` would leave it."""
    for command in (["check", "--quiet", "--select", "I,F401", "--fix"], ["format"]):
        command = [sys.executable, "-m", "ruff", *command, "--stdin-filename", "generated.pyi", "-"]
        text = subprocess.run(command, input=text, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    return text


# -- examples ----------------------------------------------------------------------------------------------------------


def examples_module(front):
    """For each op of a front an example in that framework: the call in the docstring of its primitive."""
    lines = ['"""The examples in the docstrings of the ops, by name. This file is written by docs/generate.py."""', ""]
    lines.append("EXAMPLES = {")
    for name, op in sorted(vars(front.ops).items()):
        if is_op(front, op) and (example := example_of(front, op)):
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
            exec(example.source, scope)
    finally:
        Primitive.__call__ = original
    arrays, options = seen[0]
    return arrays, {name: value for name, value in options.items() if name != "batch_ndim"}


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
