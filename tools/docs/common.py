"""What the generators share: where things lie, and what an op or a primitive says of itself.

May import both frameworks, both fronts and `overbar`.
"""

import inspect
import re
from pathlib import Path

import tensorflow as tf
import torch

import tf_ops
import torch_ops
from overbar._docstrings import PYTORCH, TENSORFLOW, counterparts, entries, sections
from overbar._primitive import Primitive

ROOT = Path(__file__).resolve().parents[2]
FRONTS = {"PyTorch": torch_ops, "TensorFlow": tf_ops}
MODULES = {"torch.linalg": torch.linalg, "torch": torch, "tf.linalg": tf.linalg, "tf.math": tf.math, "tf": tf}


def first_line(documented):
    """The first sentence or two of a docstring, for Markdown."""
    text = " ".join(inspect.getdoc(documented).split("\n\n")[0].split())
    return text.replace("``", "`").replace("|", "\\|")


def family(primitive):
    """What the file of a primitive calls its family: the docstring's first words."""
    module = inspect.getmodule(primitive.function)
    return re.split(r"[:,.]", module.__doc__)[0]


def dimensions(primitive):
    """The core dimensions, without those of intermediates."""
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
    for _, function in sorted(vars(front._ops).items()):
        if isinstance(getattr(function, "primitive", None), Primitive):
            found.setdefault(function.primitive.name, []).append(function)
    return found


def shown(signature):
    """A signature as one would write it: with the short names of its types."""
    text = str(signature).replace("int | float | complex", "Number").replace("'Any'", "Any")
    return re.sub(r"\b(torch\.(?=Tensor)|collections\.abc\.|typing\.|overbar\.primitive\.)", "", text)


def is_op(front, function):
    return getattr(function, "__module__", None) == front._ops.__name__ and hasattr(function, "primitive")


def counterparts_of(op):
    """Which argument of the primitive each argument of an op stands for."""
    words = PYTORCH if op.__module__.startswith("torch_ops") else TENSORFLOW
    return counterparts(op.primitive, inspect.signature(op).parameters, getattr(op, "names", {}), words.options)


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


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def table(header, rows):
    return "\n".join([row(*header), row(*["---"] * len(header)), *(row(*cells) for cells in rows)]) + "\n"
