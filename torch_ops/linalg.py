"""torch.linalg with the functions of `torch_ops` in it, so that ``from torch_ops import linalg`` is the whole change.

May import torch, `torch_ops._ops` and `torch_ops._spellings`. Every other name is PyTorch's own: also one that an op
has, too, where the installed PyTorch means another function by it.
"""

import torch.linalg

from torch_ops import _ops as ops
from torch_ops._spellings import LINALG

__all__ = [name for name in dir(torch.linalg) if not name.startswith("_") and callable(getattr(torch.linalg, name))]


def _ours(name):
    builtin, op = getattr(torch.linalg, name), LINALG.get(name, getattr(ops, name, None))
    return op if getattr(op, "builtin", None) is builtin else builtin


globals().update({name: _ours(name) for name in __all__})
