"""The primitives of overbar as PyTorch ops: each a torch.autograd.Function whose derivative is the shared rule.

May import torch and `overbar`. Importing it also makes overbar's own primitives take tensors:
`overbar.cholesky(tensor)` is `torch_ops.cholesky(tensor)`.
"""

import importlib
import typing

try:
    import torch
except ImportError as error:
    raise ImportError('torch_ops needs PyTorch. Install it with: pip install "overbar[torch]"') from error

from torch_ops import _ops, linalg
from torch_ops._gp import gp_fit, gp_log_marginal_likelihood, gp_predict
from torch_ops._ops import *
from torch_ops._rerouting import install, reroute, uninstall
from torch_ops._wrapping import wrap

if typing.TYPE_CHECKING:
    from torch_ops import distributed, library

__all__ = [
    "gp_fit",
    "gp_log_marginal_likelihood",
    "gp_predict",
    "install",
    "linalg",
    "reroute",
    "uninstall",
    "wrap",
    *sorted(name for name, value in vars(_ops).items() if hasattr(value, "primitive")),
]

_LATE = ("distributed", "library")

if not typing.TYPE_CHECKING:  # a type checker would take it for an attribute of any name

    def __getattr__(name):
        # imported when they are asked for: registering the ops, and DTensor, take longer than most programs want
        if name in _LATE:
            return importlib.import_module(f"torch_ops.{name}")
        raise AttributeError(f"module 'torch_ops' has no attribute {name!r}")


def __dir__():
    return sorted([*__all__, *_LATE])
