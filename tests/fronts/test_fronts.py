"""The contract of a front, held by each front; and the toy with one promise broken, which the contract's test notices.

May import `overbar` and the fronts, each where it is installed.
"""

import re

import numpy as np
import pytest

import overbar
from overbar._front import Front
from overbar._namespace import _found as registered
from overbar.rules import REGISTRY
from tests.fronts import toy
from tests.fronts.contract import FrontContract, made, seen


class TestToy(FrontContract):
    def array(self, x):
        return toy.Toy(np.asarray(x))

    def numpy(self, A):
        return A.value

    def pull(self, f, arrays, bars):
        return toy.pull(f, arrays, bars)

    def push(self, f, arrays, dots):
        return toy.push(f, arrays, dots)

    def map(self, f, axis):
        return toy.mapped(f, axis)


class TestSweep(FrontContract):
    """NumPy's sweep."""

    def array(self, x):
        return np.asarray(x)

    def numpy(self, A):
        return np.asarray(A)

    def pull(self, f, arrays, bars):
        return overbar.vjp(f, *arrays)[1](bars)

    def push(self, f, arrays, dots):
        return overbar.jvp(f, arrays, dots)[1]


# ---------------------------------------------------------------------------------------------------------------------
# Fronts that break a promise: the toy, with one thing done otherwise


def apart(A):
    """An array of which nobody knows how it was made."""
    return None if A is None else toy.Toy(A.value)


class LooksInside(toy.ToyFront):
    def call(self, primitive, arrays, options):
        if primitive in REGISTRY.values():  # the steps of the others
            return super().call(primitive, arrays, options)
        return primitive.run(arrays, options)


class ShowsCopiesOfOutputs(toy.ToyFront):
    def pull(self, primitive, bars, outputs, arrays, options, needed):
        return super().pull(primitive, bars, [*map(apart, outputs)], arrays, options, needed)

    def push(self, primitive, dots, outputs, arrays, options):
        return super().push(primitive, dots, [*map(apart, outputs)], arrays, options)


class DifferentiatesResiduals(toy.ToyFront):
    def pull(self, primitive, bars, outputs, arrays, options, needed):
        n = primitive.differentiable
        return super().pull(
            primitive, bars, [*outputs[:n], *primitive.run(arrays, options)[n:]], arrays, options, needed
        )


class FillsUpWithZeros(toy.ToyFront):
    def pull(self, primitive, bars, outputs, arrays, options, needed):
        bars = [self.xp.zeros_like(A) if bar is None else bar for bar, A in zip(bars, outputs, strict=True)]
        return super().pull(primitive, bars, outputs, arrays, options, needed)


class ComputesAllBars(toy.ToyFront):
    def pull(self, primitive, bars, outputs, arrays, options, needed):
        return super().pull(primitive, bars, outputs, arrays, options, None)


class WatchesNoRules(toy.ToyFront):
    def pull(self, primitive, bars, outputs, arrays, options, needed):
        return [*map(apart, super().pull(primitive, bars, outputs, arrays, options, needed))]


class TakesOptionsForConstants(toy.ToyFront):
    def call(self, primitive, arrays, options):
        plain = {name: value.value if isinstance(value, toy.Toy) else value for name, value in options.items()}
        return super().call(primitive, arrays, plain)


class ReturnsItsArrays(toy.ToyFront):
    def call(self, primitive, arrays, options):
        outputs = super().call(primitive, arrays, options)
        return tuple(
            next((A for A in arrays if np.array_equal(A.value, out.value) and primitive.name == "same"), out)
            for out in outputs
        )


class RaisesItsOwnErrors(toy.ToyFront):
    def pull(self, *args):
        try:
            return super().pull(*args)
        except Exception as error:
            raise RuntimeError("a rule failed") from error


class LeavesBarsAsTheyAre(toy.ToyFront):
    def fits(self, bar, array):
        return True


class KeepsEverything(toy.ToyFront):
    kept = ()

    def call(self, primitive, arrays, options):
        outputs = super().call(primitive, arrays, options)
        self.kept = (*self.kept, *outputs)
        return outputs


BROKEN = {
    1: LooksInside,
    2: ShowsCopiesOfOutputs,
    3: DifferentiatesResiduals,
    4: FillsUpWithZeros,
    5: ComputesAllBars,
    6: WatchesNoRules,
    7: TakesOptionsForConstants,
    8: toy.ToyFront,  # with functions that are mapped by a loop
    9: ReturnsItsArrays,
    10: RaisesItsOwnErrors,
    11: LeavesBarsAsTheyAre,
    12: KeepsEverything,
}


@pytest.mark.parametrize("promise", BROKEN)
def test_a_broken_promise_is_noticed(promise, monkeypatch):
    broken = BROKEN[promise](toy.TOY.xp)
    monkeypatch.setattr(toy, "TOY", broken)
    monkeypatch.setitem(registered, toy.Toy, broken)
    if promise == 8:
        rows = lambda f, axis: lambda A: [f(toy.Toy(x)) for x in np.moveaxis(A.value, axis, 0)]  # noqa: E731
        monkeypatch.setattr(
            toy, "mapped", lambda f, axis: lambda A: toy.Toy(np.array([x.value for x in rows(f, axis)(A)]))
        )
    seen.clear()
    made.clear()
    (test,) = [name for name in dir(FrontContract) if name.startswith(f"test_{promise}_")]
    with pytest.raises(RuntimeError if promise == 10 else (AssertionError, pytest.fail.Exception)):
        getattr(TestToy(), test)()


def test_each_promise_has_a_test_and_a_front_that_breaks_it():
    promises = [int(n) for n in re.findall(r"(?m)^ +(\d+)\. \*", Front.__doc__)]
    assert promises == [*BROKEN] == [*range(1, len(BROKEN) + 1)]
    tests = [name.split("_")[1] for name in dir(FrontContract) if name.startswith("test_")]
    assert sorted(map(int, tests)) == promises
