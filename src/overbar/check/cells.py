"""The cells of the table: what a primitive can do in one framework, each letter measured.

May import the rest of `overbar.check` and `overbar.verify`; frameworks inside functions.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import warnings
from typing import NamedTuple

import numpy as np

from overbar import verify
from overbar.bench.frameworks import load
from overbar.check.agreement import (
    Found,
    directions,
    disagreement,
    in_numpy,
    in_sweeps,
    in_tensorflow,
    in_torch,
    under_xla,
)
from overbar.rules import REGISTRY

#: What the letters stand for.
LETTERS = {
    "R": "reverse mode",
    "B": "batches that broadcast",
    "2": "the second derivative, reverse over reverse",
    "F": "forward mode",
    "C": "complex arrays",
    "K": "compiled by torch.compile",
    "X": "compiled by XLA",
}

#: The letters of each framework, in the order of the cell. NumPy has no compiler.
COLUMNS = {"numpy": "RB2FC", "torch": "RB2FCK", "tf": "RB2FCX"}

BROADCAST = [(3, 1), (4,), ()]

#: What a compiler may cost in digits before its letter becomes small: the tolerance times this.
LOOSE = 1e3


class Cell(NamedTuple):
    """What was found of a primitive in one framework."""

    primitive: str
    framework: str
    #: a character for each letter of COLUMNS: the letter; small, where fewer digits are right; "." where it is refused;
    #: "!" where it is wrong
    flags: str
    #: why a character is not its letter
    remarks: dict[str, str]

    @property
    def right(self) -> bool:
        """Whether nothing is wrong, and reverse mode and batches are there."""
        return "!" not in self.flags and self.flags[:2] == COLUMNS[self.framework][:2]


def measure(name: str, framework: str, seed: int = 0) -> Cell:
    """Measure a cell. Takes between a hundredth of a second and a few."""
    if framework != "numpy":
        package = load(framework)
    if framework == "tf":
        package.get_logger().setLevel("ERROR")  # it remarks on functions that are traced more than once
    primitive, flags, remarks = REGISTRY[name], "", {}
    trials = _Trials(primitive, seed)
    for letter in COLUMNS[framework]:
        try:
            with _quietly():
                errors = getattr(trials, framework)(letter)
        except Exception as error:
            flags += "."
            remarks[letter] = f"{type(error).__name__}: {str(error).strip()}"
            continue
        worst = max(errors.values(), key=lambda e: np.inf if np.isnan(e) else e, default=0.0)
        if worst < 1:
            flags += letter
        elif worst < LOOSE and letter in "KX":
            flags += letter.lower()
            remarks[letter] = f"right to {worst:.0f} times the tolerance"
        else:
            flags += "!"
            remarks[letter] = ", ".join(f"{what}: {e:.1e} times the tolerance" for what, e in errors.items())
    return Cell(name, framework, flags, remarks)


class _Trials:
    """The measurements of one primitive. What several letters need is computed once."""

    def __init__(self, primitive, seed):
        self.primitive, self.seed, self.found = primitive, seed, {}

    def _case(self, dtype=np.float64, batch=()):
        def drawn():
            case = verify.draw_cases(self.primitive, dtype, batch, self.seed)[0]
            if dtype is np.complex128 and not any(map(np.iscomplexobj, case.arrays)):
                # a function of real numbers: its sampler knows no others, and whether it refuses them is asked here
                case = dataclasses.replace(case, arrays=tuple(A.astype(dtype) for A in case.arrays))
            return case, directions(self.primitive, case)

        return self._once((dtype, str(batch)), drawn)

    def _once(self, key, compute):
        if key not in self.found:
            try:
                self.found[key] = compute()
            except Exception as error:
                self.found[key] = error
        if isinstance(self.found[key], Exception):
            raise self.found[key]
        return self.found[key]

    def _errors(self, found: Found, expected: Found, dtype, *groups):
        errors = disagreement(self.primitive, found, expected, dtype)
        return {what: errors[what] for what in groups}

    def numpy(self, letter):
        if letter == "B":
            case, _ = self._case(batch=(2, 3))
            return _oracles(self.primitive, case, ["adjoint", "difference"])
        if letter == "C":
            case, _ = self._case(np.complex128)
            return _oracles(self.primitive, case, ["adjoint", "difference"])
        if letter == "2":
            return self._framework(in_sweeps, letter)
        # an adjoint identity that fails says that one of the rules is wrong, and not which
        return self._once("oracles", self._every_sample)

    def _every_sample(self):
        errors, oracles = {}, list(_ORACLES)
        for case in verify.draw_cases(self.primitive, np.float64, (), self.seed):
            for oracle, e in _oracles(self.primitive, case, oracles).items():
                errors[oracle] = max(e, errors.get(oracle, 0.0))
            oracles = [oracle for oracle in oracles if oracle != "exact"]  # 50 digits take long: of the first sample
        return errors

    def torch(self, letter):
        if letter == "K":
            return self._compiled(functools.partial(in_torch, wrap=_torch_compile), in_torch)
        return self._framework(in_torch, letter)

    def tf(self, letter):
        if letter == "X":
            return self._compiled(under_xla, in_tensorflow)
        return self._framework(in_tensorflow, letter)

    def _framework(self, run, letter):
        if letter in "2F":
            case, to = self._case()
            expected = self._once("in NumPy", lambda: in_numpy(self.primitive, case, to))
            found = self._once("here", lambda: run(self.primitive, case, to))
            groups = ("second", "tangents, again") if letter == "2" else ("tangents",)
            return self._errors(found, expected, np.float64, *groups)
        batch, dtype = BROADCAST if letter == "B" else (), np.complex128 if letter == "C" else np.float64
        case, to = self._case(dtype, batch)
        found = self._first(run) if letter == "R" else run(self.primitive, case, to, second=False)
        expected = in_numpy(self.primitive, case, to, second=False)
        return self._errors(found, expected, dtype, "outputs", "bars")

    def _first(self, run):
        """The first derivatives in double precision, without batch dimensions."""
        return self._once("first", lambda: run(self.primitive, *self._case(), second=False))

    def _compiled(self, compiled, run):
        """Against the same framework without its compiler."""
        found = compiled(self.primitive, *self._case(), second=False)
        return self._errors(found, self._first(run), np.float64, "outputs", "bars")


# Along random directions, since each of dozens of entries would take as long.
_ORACLES = {**verify.ORACLES, "exact": functools.partial(verify.exact_error, entries=0)}


def _oracles(primitive, case, names):
    """The errors by the name of the oracle, in units of its tolerance."""
    found = {name: _ORACLES[name](primitive, case) for name in names}
    return {name: e / verify.TOLERANCE[name]["double"] for name, e in found.items() if e is not None}


def _torch_compile(function):
    import torch

    torch._dynamo.reset()
    # Without code generation, which would take seconds for each primitive: what is compiled here calls the kernels.
    return torch.compile(function, backend="aot_eager", fullgraph=True)


@contextlib.contextmanager
def _quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
