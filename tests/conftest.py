"""Runs tests over the whole registry: a test that takes `primitive` runs for each primitive, one that takes `sample`
for each branch that a primitive's sampler yields, one that takes `first` for the first of them only. May import
`overbar`.

A new rule is tested by all of them without a line here. A test file with a list `OWN_PRIMITIVES`, primitives that are
not in the registry, gets their samples too.
"""

import functools
from typing import NamedTuple

import numpy as np
import pytest

from overbar.namespace import NUMPY
from overbar.primitive import Primitive
from overbar.rules import REGISTRY
from overbar.verify import Case, draw_cases


class Sample(NamedTuple):
    """One of the cases that the sampler of a primitive yields, to be drawn in any dtype and batch shape."""

    primitive: Primitive
    index: int

    def draw(self, dtype=np.float64, batch=(), rng=0) -> Case:
        return draw_cases(self.primitive, dtype, batch, rng)[self.index]

    def __str__(self):
        return f"{self.primitive.name}-{self.index}"


@functools.cache
def samples(primitives) -> list[Sample]:
    return [Sample(p, i) for p in primitives for i in range(len(draw_cases(p)))]


@functools.cache
def computed_on_the_host(primitive):
    """Whether a primitive calls a kernel on the host (`overbar.kernel`). There XLA and a program of PyTorch's own ops
    cannot follow, and no framework has a derivative of its own."""
    case, called = draw_cases(primitive)[0], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            NUMPY, "on_host", lambda kernel, *args, **kwargs: called.append(kernel) or kernel(*args, **kwargs)
        )
        primitive.run(case.arrays, case.options)
    return bool(called)


def pytest_generate_tests(metafunc):
    taken = {name.strip() for mark in metafunc.definition.iter_markers("parametrize") for name in _names(mark.args[0])}
    wanted = set(metafunc.fixturenames) - taken
    every = samples((*REGISTRY.values(), *getattr(metafunc.module, "OWN_PRIMITIVES", ())))
    if "primitive" in wanted:
        metafunc.parametrize("primitive", REGISTRY.values(), ids=REGISTRY)
    if "sample" in wanted:
        metafunc.parametrize("sample", every, ids=str)
    if "first" in wanted:
        metafunc.parametrize("first", [s for s in every if s.index == 0], ids=str)


def _names(argnames):
    return argnames.split(",") if isinstance(argnames, str) else argnames
