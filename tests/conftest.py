"""Runs tests over the whole registry: a test that takes `primitive` runs for each primitive, one that takes `sample`
for each branch that a primitive's sampler yields, one that takes `first` for the first of them only. May import
`overbar`.

A new rule is tested without a line here. A test file with a list `OWN_PRIMITIVES`, primitives that are not in the
registry, gets their samples too.

Every test of tests/rules and tests/check runs over every primitive: the rules by all oracles, and what each can do in
each framework. What the other tests ask of a primitive is asked of the wrapper, which is one for all; each of them runs
for every `SHARE`-th primitive, drawn by the names of both, so that each primitive meets other tests and each test meets
primitives of many kinds. With OVERBAR_TESTS=all they run for every primitive.
"""

import functools
import os
import zlib
from typing import NamedTuple

import numpy as np
import pytest

from overbar._import_order import triton_first
from overbar._namespace import NUMPY
from overbar._primitive import Primitive
from overbar.rules import REGISTRY
from overbar.verify import Case, draw_cases

triton_first()  # now, before a test file imports TensorFlow


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
    """Whether a primitive calls a kernel on the host (`overbar.kernels`). There XLA and a program of PyTorch's own ops
    cannot follow, and no framework has a derivative of its own."""
    case, called = draw_cases(primitive)[0], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            NUMPY, "on_host", lambda kernel, *args, **kwargs: called.append(kernel) or kernel(*args, **kwargs)
        )
        primitive.run(case.arrays, case.options)
    return bool(called)


@functools.cache
def decomposes(primitive):
    """Whether a primitive calls eigh or svd. XLA takes half a minute to compile a derivative of those."""
    return _calls(primitive, "eigh", "svd")


@functools.cache
def cannot_be_compiled(primitive):
    """Whether XLA has no way to run a primitive, and says so: what is computed on the host, and what calls eig."""
    return computed_on_the_host(primitive) or _calls(primitive, "eig")


def _calls(primitive, *names):
    case, called = draw_cases(primitive)[0], []
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            function = getattr(NUMPY, name)
            patch.setattr(NUMPY, name, lambda *args, f=function, **kwargs: called.append(f) or f(*args, **kwargs))
        primitive.run(case.arrays, case.options)
    return bool(called)


@functools.cache
def repeats_by_numbers(primitive):
    """Whether how often a primitive repeats a step depends on the numbers in its arrays. To a compiler of PyTorch's it
    is one op, which runs the same steps by NumPy."""
    case, called = draw_cases(primitive)[0], []
    with pytest.MonkeyPatch.context() as patch:
        repeat = NUMPY.repeat
        patch.setattr(NUMPY, "repeat", lambda *args: called.append(args) or repeat(*args))
        primitive.run(case.arrays, case.options)
    return bool(called)


SHARE = 1 if os.environ.get("OVERBAR_TESTS") == "all" else 8
EVERYWHERE = {"rules", "check", "benchmarks", "hard_cases", "docs"}


def is_drawn(metafunc, primitive):
    """Whether a test runs for a primitive of the registry; it does for all others."""
    if metafunc.definition.path.parent.name in EVERYWHERE or REGISTRY.get(primitive.name) is not primitive:
        return True
    return zlib.crc32(f"{metafunc.function.__name__} {primitive.name}".encode()) % SHARE == 0


def pytest_generate_tests(metafunc):
    taken = {name.strip() for mark in metafunc.definition.iter_markers("parametrize") for name in _names(mark.args[0])}
    wanted = set(metafunc.fixturenames) - taken
    some = [p for p in REGISTRY.values() if is_drawn(metafunc, p)]
    every = samples((*some, *getattr(metafunc.module, "OWN_PRIMITIVES", ())))
    if "primitive" in wanted:
        metafunc.parametrize("primitive", some, ids=[p.name for p in some])
    if "sample" in wanted:
        metafunc.parametrize("sample", every, ids=str)
    if "first" in wanted:
        metafunc.parametrize("first", [s for s in every if s.index == 0], ids=str)


def _names(argnames):
    return argnames.split(",") if isinstance(argnames, str) else argnames
