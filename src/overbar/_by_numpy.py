"""Few numbers, by NumPy instead of another library: which primitives may be computed so.

May import NumPy. PyTorch takes two or three microseconds for an operation on the smallest array, TensorFlow ten to
fifty when it runs eagerly, and a primitive is dozens of them: it looks for NaN, chooses signs, tells equal values
from others. NumPy takes less for each. To whoever differentiates a primitive is one operation, so that it makes no
difference who computes it, nor its rules where nobody watches them. Whatever goes wrong in NumPy is left to the
library, which has its say, and its error.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["attempt", "takes_constants"]

_PLAIN = (type(None), bool, int, float, complex, str)


def takes_constants(primitive: Any, options: dict[str, Any]) -> bool:
    """Whether a primitive is one of the collection, with options that mean the same to NumPy. A user's own may be
    written in a framework's functions, and so may a function that is among the options."""
    return (primitive.__module__ or "").startswith("overbar.") and (
        options is primitive.defaults or all(map(_is_plain, options.values()))
    )


def _is_plain(option):
    return isinstance(option, _PLAIN) or (type(option) is tuple and all(map(_is_plain, option)))


def attempt(compute: Callable[[], Any]) -> Any:
    """``compute()``, or None where that fails."""
    try:
        with np.errstate(all="ignore"):  # frameworks say nothing of NaN
            return compute()
    except Exception:  # whatever it is, it happens again where the error has the words of the library
        return None
