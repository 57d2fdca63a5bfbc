"""Kernels that numba compiles, where it is installed: `pip install "overbar[fast]"`. Without it everything works as
before, and loops over small things take the time that Python takes for them.

May import nothing but Python's own library; numba when a call would first take such a kernel. The loops are in files
beside this one (`_compiled_…`), which import numba and are imported by `loops` alone. A loop is compiled when it first
meets a dtype, which takes about a second, and stored on disk for the next process.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Callable
from typing import Any

__all__ = ["available", "compiled", "loops"]

#: Sums may be taken in another order, by wide vectors. NaN and infinity stay what they are.
_REORDERED = {"reassoc", "contract", "nsz"}


@functools.cache
def available() -> bool:
    """Whether there is numba, for this version of NumPy, and nobody has set OVERBAR_COMPILED=0 in the environment."""
    if os.environ.get("OVERBAR_COMPILED") == "0":
        return False
    try:
        import numba  # noqa: F401
    except ImportError:
        return False
    return True


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
