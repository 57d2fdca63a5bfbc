"""Containers of arrays: nested dicts, lists, tuples and dataclasses of them.

May import NumPy, `overbar._front`, `_namespace` and `_traced`. A model has its parameters in such containers. Their
arrays and numbers, the leaves, are the arguments of a sweep, and what comes back is put into the same containers.
"""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np

from overbar._front import NUMPY
from overbar._namespace import differentiated_elsewhere, known_front
from overbar._traced import Traced

__all__ = ["Bars", "Given", "Leaves", "Opened", "arrays_of", "is_container", "of_parameters", "parts_of", "sequence"]


class Leaves:
    """The arrays and numbers in nested containers, in order; `paths` says where each of them is. What counts as one is
    asked of `chosen(entry, path)`."""

    def __init__(self, chosen):
        self.values, self.paths, self.chosen = [], [], chosen

    def collect(self, tree, path):
        """Take in a container. Returns what makes one of the same kind from the values of a list."""
        parts = parts_of(tree)
        if parts is not None:
            builders = [(key, self.collect(part, path + name)) for key, name, part in parts]
            return lambda values: _rebuilt(tree, {key: build(values) for key, build in builders})
        if not self.chosen(tree, path):
            return lambda values: values.constant(tree)
        place = len(self.values)
        self.values.append(tree)
        self.paths.append(path)
        return lambda values: values[place]


class Given(list):
    """Values of a function's leaves; what is no leaf stays as it is."""

    def constant(self, x):
        return x


class Bars(list):
    """Bars of leaves; what is no leaf has none."""

    def constant(self, x):
        return None


def parts_of(tree):
    """The parts of a container, each with the key and with the name that it has in messages; None for what is none. A
    field of a dataclass with ``metadata={"static": True}`` is no part: a number, say, that is an option."""
    if isinstance(tree, dict):
        return [(key, f"[{key!r}]", part) for key, part in tree.items()]
    if isinstance(tree, (list, tuple)):
        return [(i, f"[{i}]", part) for i, part in enumerate(tree)]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        fields = [f for f in dataclasses.fields(tree) if f.init and not f.metadata.get("static")]
        return [(f.name, f".{f.name}", getattr(tree, f.name)) for f in fields]
    return None


def _rebuilt(tree, parts):
    if isinstance(tree, dict):
        new = copy.copy(tree)  # of the same class, a defaultdict with its factory
        new.update(parts)
        return new
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*parts.values())
    if isinstance(tree, (list, tuple)):
        return type(tree)(parts.values())
    return dataclasses.replace(tree, **parts)


def of_parameters(otherwise):
    """Which entries of a container are differentiated: arrays and numbers. Words, switches and functions are not. What
    might be meant either way is refused, with the words for what to do with one that is no parameter."""

    def has_derivative(x, path):
        if x is None or isinstance(x, (str, bytes, bool, np.bool_)) or (callable(x) and not hasattr(x, "dtype")):
            return False
        elsewhere = differentiated_elsewhere(x)
        if elsewhere is not None:
            raise TypeError(f"{path} is {elsewhere}")
        library = known_front(x)
        array = isinstance(x, (np.ndarray, np.generic)) or (library is not None and library.swept)
        if isinstance(x, (float, complex, Traced)) or (array and NUMPY.xp.is_floating(x)):
            return True
        if isinstance(x, int) or (array and x.dtype.kind in "biu"):
            raise NUMPY.DtypeError(
                f"{path} is of integers, {x!r}, and may be a count, which has no derivative. If it is a parameter, "
                f"make it floating point, by float(x) or x.astype(float); {otherwise}."
            )
        if array:
            raise NUMPY.DtypeError(
                f"{path} has dtype {x.dtype.name}. Parameters are of dtype float32, float64, complex64 or complex128: "
                f"convert it, by x.astype(float) for instance; {otherwise}."
            )
        raise TypeError(
            f"{path} is a {type(x).__module__}.{type(x).__name__}. Gradients are of arrays, numbers, and dicts, lists, "
            "tuples and dataclasses of them."
        )

    return has_derivative


def arrays_of(values):
    """Numbers as arrays without dimensions, real ones real, in single precision where all arrays are."""
    single = [x.dtype.char in "fF" for x in values if hasattr(x, "dtype")]
    real = np.float32 if single and all(single) else np.float64
    return [
        x
        if hasattr(x, "dtype")
        else np.asarray(x, np.result_type(real, np.complex64) if isinstance(x, complex) else real)
        for x in values
    ]


def is_container(x: Any) -> bool:
    """Whether an argument is a container. A list or tuple of numbers, nested or not, is an array."""
    if isinstance(x, (list, tuple)):
        return any(
            is_container(part) if isinstance(part, (list, tuple)) else not isinstance(part, _NUMBERS) for part in x
        )
    return isinstance(x, dict) or (dataclasses.is_dataclass(x) and not isinstance(x, type))


_NUMBERS = (int, float, complex, np.generic)


def sequence(function: str, what: str, given: Any) -> Any:
    """The arguments of a function, or their tangents, which come as a tuple."""
    if not isinstance(given, (tuple, list)):
        kind = "an array" if hasattr(given, "dtype") else f"a {type(given).__name__}"
        raise TypeError(
            f"{function}: {what} is {kind}, and must be a tuple with an entry for each argument: write (x,) for one."
        )
    return given


class Opened:
    """Arguments of a call, taken apart into arrays. `paths` names each of these."""

    def __init__(self, name, args, labels, otherwise, only_containers=False):
        self.name, self.args, self.labels = name, args, labels
        leaves = Leaves(of_parameters(otherwise))
        #: of each argument, which of the arrays are its own
        self.builders, self.spans, plain = [], [], {}
        for x, label in zip(args, labels, strict=True):
            if only_containers and not is_container(x):  # an array, a number or a list of numbers, as the sweep has it
                plain[len(leaves.values)] = x
                x = 0.0
            start = len(leaves.values)
            self.builders.append(leaves.collect(x, label))
            self.spans.append(range(start, len(leaves.values)))
        self.paths = leaves.paths
        parts = arrays_of([x for i, x in enumerate(leaves.values) if i not in plain])
        self.arrays = [plain[i] if i in plain else parts.pop(0) for i in range(len(leaves.values))]

    def given(self, values):
        """The arguments, of other values."""
        return [build(Given(values)) for build in self.builders]

    def inside(self, found):
        """One thing for each array, in the containers of the arguments."""
        return tuple([build(Bars(found)) for build in self.builders])

    def dots(self, dots):
        """Tangents in the same containers, as a list: each of its array, or None."""
        if len(dots) != len(self.args):
            raise TypeError(f"{self.name}: got {len(dots)} directions for {len(self.args)} arguments.")
        found = []
        for x, dot, label in zip(self.args, dots, self.labels, strict=True):
            self._match(x, dot, label, found)
        return found

    def _remedy(self, dot):
        """What may be meant by a direction that does not fit, in a sentence."""
        return ""

    def _match(self, tree, dot, path, found):
        parts = None if path in self.paths else parts_of(tree)  # a list of numbers may be an array
        place = path.removeprefix(f"{self.name}: ")
        if parts is None:
            if path in self.paths:
                want, have = np.shape(tree), _shape_of(dot)
                if dot is not None and have != want:
                    raise NUMPY.ShapeError(
                        f"{self.name}: the direction of {place} has {_words(have)}, and must have shape {want}, that "
                        f"of the array. {self._remedy(dot)}".rstrip()
                    )
                found.append(dot)
            return
        given = None if dot is None else parts_of(dot)
        if dot is not None and (given is None or {key for key, *_ in given} != {key for key, *_ in parts}):
            raise TypeError(
                f"{self.name}: the direction of {place} has other entries than that. It needs the same containers, "
                f"with None for what does not move. {self._remedy(dot)}".rstrip()
            )
        of = {} if given is None else {key: part for key, _, part in given}
        for key, name, part in parts:
            self._match(part, of.get(key), path + name, found)


def _shape_of(x):
    """The shape of an array, or of what would be one; None where it would be none."""
    try:
        return np.shape(x)
    except ValueError:  # a list of arrays of several shapes
        return None


def _words(shape):
    return "entries of several shapes" if shape is None else f"shape {shape}"
