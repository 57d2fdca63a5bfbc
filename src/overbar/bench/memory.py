"""The peak memory of a computation, as the operating system counts it.

May import nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path

__all__ = ["peak"]

_PROCESS = Path("/proc/self")


def peak(thing: Callable[[], object]) -> int | None:
    """By how many bytes the memory of this process grows at most while ``thing()`` runs, its result included.

    The pages that are in memory, of libraries written in any language. None on systems other than Linux. What this
    process has freed and not given back is given back first; a library that keeps freed memory for itself hides what
    it reuses, so the figure is one from below.

    Examples
    --------
    >>> import numpy as np
    >>> bytes = peak(lambda: np.ones(2**22))
    >>> bytes is None or 2**24 < bytes < 2**26
    True
    """
    if not sys.platform.startswith("linux"):
        return None
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):  # where it is not glibc
        ctypes.CDLL(None).malloc_trim(0)
    try:
        (_PROCESS / "clear_refs").write_text("5")  # the peak starts anew; see proc(5)
    except OSError:
        return None
    before = _kilobytes("VmRSS")
    result = thing()
    most = _kilobytes("VmHWM")
    del result
    return max(0, most - before) * 1024


def _kilobytes(name):
    for line in (_PROCESS / "status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise OSError(f"{_PROCESS / 'status'} has no line {name}")
