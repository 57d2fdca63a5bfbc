"""The harness: several things timed by turns in one process, and on what machine that was.

May import NumPy and, where they are there, threadpoolctl and the frameworks (to ask for versions and threads only).

A time says little on its own: the machine, its other work and its clock frequency are all in it. So a figure of this
project is a ratio. The things to compare run one after the other, round after round, in an order that turns around each
round; the ratio is the median of the ratios of the single rounds, in each of which both sides met the same machine.
"""

from __future__ import annotations

import gc
import importlib.metadata
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

__all__ = ["Comparison", "Ratio", "Timing", "compare", "environment", "package_version"]


@dataclass(frozen=True)
class Timing:
    """How long one thing took: seconds for one call, an entry for each round."""

    name: str
    seconds: tuple[float, ...]
    calls: int = 1  #: how many calls were timed together in each round

    @property
    def median(self) -> float:
        """Seconds for one call."""
        return float(np.median(self.seconds))

    @property
    def quartiles(self) -> tuple[float, float]:
        """Between these lies the middle half of the rounds, in seconds for one call."""
        low, high = np.quantile(self.seconds, (0.25, 0.75))
        return float(low), float(high)


@dataclass(frozen=True)
class Ratio:
    """How many times as long one thing took as another: the median over the rounds, and an interval for that median."""

    median: float
    low: float
    high: float
    rounds: int

    def __str__(self):
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


@dataclass(frozen=True)
class Comparison:
    """What `compare` measured: a `Timing` for each thing, by name."""

    timings: dict[str, Timing]

    @property
    def rounds(self) -> int:
        return min(len(timing.seconds) for timing in self.timings.values())

    def __getitem__(self, name) -> Timing:
        return self.timings[name]

    def ratio(self, of: str, to: str) -> Ratio:
        """How many times as long `of` took as `to`, both names of things that were compared.

        The interval holds the true median with a confidence of 95 % whatever the distribution of the times: its ends
        are two of the measured ratios, chosen by the binomial distribution. Below six rounds no two of them reach 95
        %; the interval is then all of them.
        """
        ratios = sorted(a / b for a, b in zip(self.timings[of].seconds, self.timings[to].seconds, strict=True))
        k = _order(len(ratios))
        return Ratio(float(np.median(ratios)), ratios[k], ratios[-1 - k], len(ratios))

    def as_dict(self) -> dict:
        """For JSON: the seconds of each round (four digits), with medians and quartiles."""
        return {
            name: {
                "calls": timing.calls,
                "median": _rounded(timing.median),
                "quartiles": [_rounded(seconds) for seconds in timing.quartiles],
                "seconds": [_rounded(seconds) for seconds in timing.seconds],
            }
            for name, timing in self.timings.items()
        }


def _rounded(seconds):
    return float(f"{seconds:.4g}")


def _order(count):
    """The largest k for which the k-th value from below and from above (from 0) enclose the median with 95 %."""
    total, k = 1, 0  # total: how many of the 2**count ways of falling left and right have fewer than k + 1 on one side
    while 40 * (total + math.comb(count, k + 1)) <= 2**count:  # in integers: a float ends at 2**1024
        k += 1
        total += math.comb(count, k)
    return k


def compare(
    things: Mapping[str, Callable[[], object]],
    *,
    seconds: float = 2.0,
    least: int = 5,
    most: int = 200,
    shortest: float = 2e-3,
    clock: Callable[[], float] = time.perf_counter,
) -> Comparison:
    """Time several things by turns.

    Parameters
    ----------
    things : dict of callables without arguments
        What to time, by name. What they return is dropped; a result that is computed later (on a GPU) must be waited
        for inside.
    seconds : float
        The budget. A round begins only if it is expected to end within, except that `least` rounds always run.
    least, most : int
        Bounds for the number of rounds.
    shortest : float
        A thing that takes less than so many seconds is called several times in a row in each round, so that the clock
        and the loop around it do not count.
    clock : callable
        Returns seconds; tests put a clock of their own here.

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        There is nothing to compare, or `least` is not between 1 and `most`.

    Notes
    -----
    Each thing is first called twice and not timed: the first call compiles, traces and allocates, the second says how
    many calls fill `shortest`. Python's garbage collector rests meanwhile, as in `timeit`.

    Examples
    --------
    >>> result = compare({"product": lambda: 3 * 5, "power": lambda: 3**500}, seconds=0.1)
    >>> result.ratio("power", "product").median > 1
    True
    """
    if not things:
        raise ValueError("compare needs at least one thing to time")
    if not 1 <= least <= most:
        raise ValueError(f"compare needs 1 <= least <= most, but got least={least} and most={most}")
    calls = {}
    for name, thing in things.items():
        thing()
        calls[name] = _calls(_time(thing, 1, clock), shortest)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        rounds = {name: [] for name in things}
        start = clock()
        for done in range(most):
            elapsed = clock() - start
            if done >= least and elapsed * (done + 1) / done > seconds:
                break
            order = list(things.items())
            for name, thing in order if done % 2 == 0 else reversed(order):
                rounds[name].append(_time(thing, calls[name], clock))
    finally:
        if collecting:
            gc.enable()
    return Comparison({name: Timing(name, tuple(times), calls[name]) for name, times in rounds.items()})


def _time(thing, calls, clock):
    start = clock()
    for _ in range(calls):
        thing()
    return (clock() - start) / calls


def _calls(seconds, shortest):
    return 1 if seconds >= shortest else min(100_000, math.ceil(shortest / max(seconds, 1e-9)))


# -- where was it measured? --------------------------------------------------------------------------------------------


def environment() -> dict:
    """The machine, the versions and the numbers of threads that a measurement depends on.

    `load` is that of the last minute, this process included. Frameworks appear only if this process has imported them
    already. Threads of BLAS libraries need threadpoolctl (in the extra `cli`); without it they are left out.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = {
        "processor": _processor(),
        "cores": cores,
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "versions": {"python": platform.python_version()},
        "threads": {},
    }
    for name in ("overbar", "numpy", "scipy", "torch", "tensorflow"):
        if name in sys.modules:
            found["versions"][name] = package_version(name)
    if "torch" in sys.modules:
        found["threads"]["torch"] = sys.modules["torch"].get_num_threads()
    if "tensorflow" in sys.modules:
        # 0 stands for TensorFlow's own choice, which is one thread for each core
        own = sys.modules["tensorflow"].config.threading.get_intra_op_parallelism_threads()
        found["threads"]["tensorflow"] = own or int(os.environ.get("TF_NUM_INTRAOP_THREADS") or cores)
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return found
    for pool in threadpool_info():
        owner = next((part.partition(".")[0] for part in _parts(pool["filepath"]) if part.endswith(".libs")), "")
        name = f"{owner}'s {pool['internal_api']}" if owner else pool["internal_api"]
        found["threads"].setdefault(name, pool["num_threads"])
    return found


def _parts(path):
    return path.replace("\\", "/").split("/")


def package_version(name: str) -> str:
    """The version of an installed package, or what its module says."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return getattr(sys.modules.get(name), "__version__", "(not installed)")


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
