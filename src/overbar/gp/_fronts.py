"""The functions of this package under the name of a framework's front. May import `overbar._front`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from overbar._front import Front

__all__ = ["of_library"]


def of_library(function: Callable[..., Any], front: Front) -> Callable[..., Any]:
    """A function of data (X, y) for the arrays of one library: others are converted or refused, as the front does it,
    and not computed with in another library."""

    @functools.wraps(function)
    def of_arrays(X, y, *args, **kwargs):
        X, y = front.as_arrays([X, y])
        return function(X, y, *args, **kwargs)

    of_arrays.__module__ = inspect.currentframe().f_back.f_globals["__name__"]
    return of_arrays
