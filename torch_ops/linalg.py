"""torch.linalg with the functions of `torch_ops` in it, so that ``from torch_ops import linalg`` is the whole change.

May import torch and `torch_ops.ops`. Every other name is PyTorch's own.
"""

import torch.linalg

from torch_ops import ops

__all__ = [name for name in dir(torch.linalg) if not name.startswith("_") and callable(getattr(torch.linalg, name))]

globals().update({name: getattr(ops, name, getattr(torch.linalg, name)) for name in __all__})
