"""The functions of this package under the name of a framework's front. May import `overbar._front`
and `_namespace`."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from overbar._front import Front
from overbar._namespace import named

__all__ = ["of_library"]


def of_library(function: Callable[..., Any], front: Front) -> Callable[..., Any]:
    """A function of data (X, y) for the arrays of one library: others are converted or refused, as the front does it,
    and not computed with in another library."""

    @functools.wraps(function)
    def of_arrays(X, y, *args, **kwargs):
        X, y = named(function.__name__, lambda *values: front.as_arrays(values), X=X, y=y)
        return function(X, y, *args, **kwargs)

    of_arrays.__module__ = inspect.currentframe().f_back.f_globals["__name__"]
    return of_arrays
