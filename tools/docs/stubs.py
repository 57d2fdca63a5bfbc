"""The types of the primitives and of the ops, as stub files.

May import `overbar`, both fronts and its neighbours.
"""

import inspect
import re
import subprocess
import sys
import textwrap

import tf_ops
import torch_ops
from overbar._docstrings import entries, sections
from overbar._primitive import Primitive
from overbar.rules import FUNCTIONS, REGISTRY
from tools.docs.common import ROOT, TYPES, counterparts_of, is_op, option_types, shown

WRITTEN = "# This file is written by make docs.\n"


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
            parameter = parameter.replace(annotation=_Written(_of_default(parameter.default, types[our])))
        else:
            kind = "bool" if isinstance(parameter.default, bool) else "str | None" if name == "name" else "Any"
            parameter = parameter.replace(annotation=_Written(kind))
        parameters.append(parameter)
    result = signature.return_annotation
    if result is signature.empty:
        single = "Tensor" if array == "Tensor" else "Any"
        result = _Written(single if primitive.public == 1 else f"tuple[{', '.join([single] * primitive.public)}]")
    return signature.replace(parameters=parameters, return_annotation=result)


def _of_default(default, kind):
    """The type of an option, `kind` in the primitive. What the primitive calls a mode, "complete", another library may
    call a switch: then its own default tells the type."""
    if not isinstance(default, (bool, int, float, str)) or fits_type(default, kind):
        return kind
    return type(default).__name__


def fits_type(value, kind):
    """Whether a number, switch or word is of a type as it is written in a stub."""
    number = not isinstance(value, bool) and isinstance(value, int)
    return bool({type(value).__name__, "Any", *(["float"] if number else [])} & set(kind.split(" | ")))


class _Written(str):
    """An annotation to be shown without quotes."""

    __repr__ = str.__str__


def summary(documented, indent="    "):
    """The first paragraph of a docstring, as a docstring."""
    text = " ".join(inspect.getdoc(documented).split("\n\n")[0].split())
    return textwrap.indent(textwrap.fill(f'"""{text}"""', 116 - len(indent), break_long_words=False), indent)


def primitives_stub():
    """The types of the primitives, src/overbar/rules/__init__.pyi."""
    lines = [WRITTEN + "from collections.abc import Callable, Sequence", "from typing import Any", ""]
    lines += ["from overbar._primitive import Primitive", ""]
    functions = {name: f for name, f in FUNCTIONS.items() if not isinstance(f, Primitive)}
    primitives = REGISTRY | {name: f for name, f in FUNCTIONS.items() if isinstance(f, Primitive)}
    for name, primitive in primitives.items():
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
    for name, function in functions.items():
        lines += [f"def {name}{_function_types(function)}:", summary(function), ""]
    lines += [f"{name}: _{name}" for name in primitives]
    lines += ["", "REGISTRY: dict[str, Primitive]", "FUNCTIONS: dict[str, Callable[..., Any]]"]
    lines += ["", f"__all__ = {sorted([*REGISTRY, *FUNCTIONS])}"]
    return formatted("\n".join(lines))


def _function_types(function):
    """The signature of a function made of primitives, with a type for each argument: as its docstring says, or that of
    the default, and anything that is an array."""
    said = {name: kind for names, kind, _ in entries(sections(function.__doc__)["Parameters"]) for name in names}
    parameters = []
    for name, parameter in inspect.signature(function).parameters.items():
        words = re.split(r", | or ", said[name])
        if set(words) <= TYPES.keys():
            kind = " | ".join(TYPES[word] for word in words)
        else:
            kind = "Sequence[Any]" if said[name].startswith("sequence") else "Any"
        parameters.append(parameter.replace(annotation=_Written(kind)))
    return inspect.Signature(parameters, return_annotation=_Written("Any"))


def ops_stub(front):
    """The types of a front's ops."""
    if front is torch_ops:
        array, number = "Tensor", "Number"
        header = ["import torch", "from torch import Tensor", "", "Number: TypeAlias = int | float | complex"]
    else:  # TensorFlow has no types that a checker could read; what it takes is whatever converts to a tensor
        array, number, header = "Any", "", []
    lines = [WRITTEN + "from collections.abc import Callable, Sequence", "from typing import Any, TypeAlias", *header]
    if front is tf_ops:
        lines += ["from overbar._primitive import Primitive", ""]
    if front.wrap.__module__ == front._ops.__name__:
        lines.append(stub_of(front.wrap))
    for name, op in sorted(vars(front._ops).items()):
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
            imports.append(f"from {front._ops.__name__} import {name} as {name}")
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
