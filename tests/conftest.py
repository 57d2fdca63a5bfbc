"""Runs tests over the whole registry: a test that takes `primitive` runs for each primitive, one that takes `sample`
for each branch that a primitive's sampler yields, one that takes `first` for the first of them only. May import
`overbar`.

A new rule is tested without a line here. A test file with a list `OWN_PRIMITIVES`, primitives that are not in the
registry, gets their samples too.

Every test of the folders in `EVERYWHERE` that is not slow runs over every primitive: the rules by all oracles. What the
other tests ask of a primitive is asked of the wrapper, which is one for all, or takes long. Each of them runs for one
primitive in `SHARES`, so that each primitive meets other tests and each test meets primitives of many kinds (`drawn` is
for those that go through other lists). The mark `turns(n)` stands on a test with many combinations of parameters: one
in n of them runs, and all that are `quick`. The share changes with the calendar week, and after `SHARES` weeks every
pair has run. The first line of a run says which share it has; the environment variable OVERBAR_TESTS repeats it, and
OVERBAR_TESTS=all runs all of them.

Three selections of tests, by the marks `quick` and `slow` (see `pytest_collection_modifyitems`):

    make quick      -m "quick and not slow"    the rules, the sweep, the oracles, and each primitive in each framework
    make test       -m "not slow"              all that a change can break in the usual way
    make test-rest  -m slow                    what `make test` leaves out
    make test-all                              everything, for every primitive
"""

import datetime
import functools
import importlib.util
import os
import sys
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from overbar._front import NUMPY
from overbar._primitive import Primitive
from overbar.import_order import triton_first
from overbar.rules import REGISTRY
from overbar.verify import Case, draw_cases


class Hidden:
    """Finds no module of these names, as if it were not installed."""

    def __init__(self, names):
        self.names = names

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"OVERBAR_WITHOUT hides {name}", name=name)


# What somebody has measured on this machine is not what is tested.
os.environ["OVERBAR_SETTINGS"] = os.devnull

if "OVERBAR_WITHOUT" in os.environ:
    sys.meta_path.insert(0, Hidden(os.environ["OVERBAR_WITHOUT"].split(",")))

triton_first()  # now, before a test file imports TensorFlow

# Whoever tests the core alone need not have what the command line is made of.
NO_COMMAND_LINE = importlib.util.find_spec("typer") is None or importlib.util.find_spec("threadpoolctl") is None
collect_ignore = ["benchmarks", "check", "demo"] if NO_COMMAND_LINE else []


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
    """Whether a primitive calls a kernel on the host (`overbar.kernels`). There a program of PyTorch's own ops cannot
    follow, and no framework has a derivative of its own."""
    return bool(_kernels_of(primitive))


def _kernels_of(primitive):
    """The kernels that a primitive calls in any case, each with arrays and options: not those that are a shorter way
    where the numbers are on the host, and may be computed with there."""
    case, called = draw_cases(primitive)[0], []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(NUMPY, "may_compute", lambda *arrays: False)
        patch.setattr(
            NUMPY, "compute", lambda kernel, *args, **kw: called.append((kernel, args, kw)) or kernel(*args, **kw)
        )
        primitive.run(case.arrays, case.options)
    return called


@functools.cache
def decomposes(primitive):
    """Whether a primitive calls eigh or svd. XLA takes half a minute to compile a derivative of those."""
    return _calls(primitive, "eigh", "svd")


@functools.cache
def cannot_be_compiled(primitive):
    """Whether XLA has no way to run a primitive, and says so: what is computed on the host by a kernel that has no way
    of its own there."""
    import tf_ops  # noqa: F401  (which knows these ways)

    return any(kernel.chosen("XLA", arrays, options) is None for kernel, arrays, options in _kernels_of(primitive))


def _calls(primitive, *names):
    case, called = draw_cases(primitive)[0], []
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            function = getattr(NUMPY.xp, name)
            patch.setattr(NUMPY.xp, name, lambda *args, f=function, **kwargs: called.append(f) or f(*args, **kwargs))
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


@pytest.fixture(autouse=True)
def either_way(request, monkeypatch):
    """Of few numbers the frameworks' primitives are computed by NumPy, eagerly. Half of the tests has them computed as
    in graphs and with more numbers: by the framework."""
    if request.path.parent.name == "docs" or zlib.crc32(request.node.nodeid.encode()) % 2:
        return
    for name in ("tf_ops._by_numpy", "torch_ops._numpy"):
        if name in sys.modules:
            monkeypatch.setattr(sys.modules[name], "FEW", -1)


SHARES = 8
EVERYWHERE = {"rules", "check", "benchmarks", "hard_cases", "docs"}


def this_week(today):
    return (today.toordinal() - 1) // 7 % SHARES  # day 1 was a Monday


# Put into the environment, so that the processes of a run, which inherit it, have the same on a Sunday at midnight.
SHARE = os.environ.setdefault("OVERBAR_TESTS", str(this_week(datetime.date.today())))
if SHARE not in ("all", *map(str, range(SHARES))):
    raise pytest.UsageError(f"OVERBAR_TESTS is 'all' or a number from 0 to {SHARES - 1}, and not {SHARE!r}")


def pytest_report_header():
    left_out = f", without {', '.join(collect_ignore)} as the extra cli is not installed" if collect_ignore else ""
    return f"overbar: tests of the wrappers with OVERBAR_TESTS={SHARE}{left_out}"


def pytest_terminal_summary(terminalreporter):
    if terminalreporter.stats.get("failed") or terminalreporter.stats.get("error"):
        terminalreporter.write_line(f"To run the same tests again, this week or another: OVERBAR_TESTS={SHARE}")


def is_drawn(metafunc, primitive):
    """Whether a test runs for a primitive of the registry; it does for all others."""
    everywhere = metafunc.definition.path.parent.name in EVERYWHERE
    if everywhere and not metafunc.definition.get_closest_marker("slow"):
        return True
    return REGISTRY.get(primitive.name) is not primitive or drawn(metafunc.function.__name__, primitive.name)


def drawn(test, name):
    """Whether a test runs for what has this name."""
    return SHARE == "all" or share(test, name) == int(SHARE)


def share(test, primitive):
    return zlib.crc32(f"{test} {primitive}".encode()) % SHARES


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


#: Whole folders and files with the mark `quick`, and with the mark `slow`. Single tests have theirs where they are.
QUICK = (
    "rules/", "kernels/", "test_checkpoint.py", "test_gradients.py", "test_graph.py", "test_primitive.py",
    "test_sweep.py", "test_traced_arrays.py", "test_verify.py",
)  # fmt: skip
SLOW = ("torch_ops/test_operator_database.py", "notebooks/")

#: Over the registry, `quick` tests run for these only, where they run for others as well.
QUICK_PARAMETERS = {"dtype": [np.complex128], "batch": [(), [(3, 1), (4,), ()]]}


def pytest_collection_modifyitems(config, items):
    for item in items:
        path = Path(os.path.relpath(item.path, Path(__file__).parent)).as_posix()
        if path.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        if path.startswith(QUICK) and not _is_thorough(item):
            item.add_marker(pytest.mark.quick)
    waiting = [item for item in items if not _has_its_turn(item)]
    if waiting:
        config.hook.pytest_deselected(items=waiting)
        items[:] = [item for item in items if _has_its_turn(item)]


def _has_its_turn(item):
    turns = item.get_closest_marker("turns")
    if SHARE == "all" or turns is None or item.get_closest_marker("quick"):
        return True
    (n,) = turns.args
    # Other bits than those of `either_way`, or all that run in one week would be computed alike.
    return (zlib.crc32(item.nodeid.encode()) >> 8) % n == int(SHARE) % n


def _is_thorough(item):
    parameters = getattr(item, "callspec", None) and item.callspec.params
    if not parameters or not parameters.keys() & {"primitive", "sample", "first"}:
        return False
    return any(
        name in parameters and not any(parameters[name] == value for value in values)
        for name, values in QUICK_PARAMETERS.items()
    )


def _names(argnames):
    return argnames.split(",") if isinstance(argnames, str) else argnames
