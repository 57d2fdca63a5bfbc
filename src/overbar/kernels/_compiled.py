"""Kernels that numba compiles, where it is installed: `pip install "overbar[fast]"`. Without it everything works as
before, and loops over small things take the time that Python takes for them.

May import nothing but Python's own library; numba when a call would first take such a kernel. The loops are in files
beside this one (`_compiled_…`), which import numba and are imported by `loops` alone. A loop is compiled when it first
meets a dtype, which takes some seconds, and stored on disk for the next process.
"""

from __future__ import annotations

import _thread
import functools
import importlib
import os
import threading
from collections.abc import Callable
from typing import Any

__all__ = ["available", "compiled", "in_parts", "loops"]

#: Sums may be taken in another order, by wide vectors. NaN and infinity stay what they are.
_REORDERED = {"reassoc", "contract", "nsz"}


def available() -> bool:
    """Whether there is numba, for this version of NumPy, and nobody has set OVERBAR_COMPILED=0 in the environment, or
    has told numba to compile nothing (NUMBA_DISABLE_JIT=1, to see one's own loops in a debugger): Python cannot run
    what these loops call."""
    numba = _numba()
    return numba is not None and not numba.config.DISABLE_JIT  # which may be set at any time


@functools.cache
def _numba() -> Any:
    """The module, if it may be used."""
    if os.environ.get("OVERBAR_COMPILED") == "0":
        return None
    try:
        import numba
    except ImportError:
        return None
    return numba


def loops(name: str) -> Any:
    """The module of compiled loops of this name."""
    return importlib.import_module(f"overbar.kernels._compiled_{name}")


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A loop of such a module, compiled for the dtypes that it meets. It divides as NumPy does, by zero as well, and
    lets other threads run."""
    import numba

    jit = functools.partial(numba.njit, fastmath=_REORDERED, error_model="numpy", nogil=True)
    try:
        return jit(cache=True)(function)
    except RuntimeError:  # there is no folder to store it in
        return jit()(function)


def in_parts(compute: Callable[[int], None], count: int, step: int, threads: int) -> None:
    """``compute(first)`` for first = 0, step, 2 step, ... below `count`, on so many threads: loops that let other
    threads run, each for a part of an array.

    Whichever thread is free takes the next part. One that gets no core, on a machine that is busy, takes none, and is
    not waited for. There is no pool, which would have to survive a fork.
    """
    compute(0)  # by one thread, which compiles
    starts, lock, errors = iter(range(step, count, step)), threading.Condition(), []
    working = 0

    def work():
        nonlocal working
        while True:
            with lock:
                start = None if errors else next(starts, None)
                if start is None:
                    return
                working += 1
            try:
                compute(start)
            except BaseException as error:  # it belongs to the thread that asked
                errors.append(error)
            finally:
                with lock:
                    working -= 1
                    lock.notify_all()

    for _ in range(min(threads, -(-count // step)) - 1):
        try:
            _thread.start_new_thread(work, ())  # unlike threading.Thread it does not wait until the thread has begun
        except RuntimeError:  # there are as many as there may be
            break
    work()
    with lock:
        lock.wait_for(lambda: not working)
    if errors:
        raise errors[0]
