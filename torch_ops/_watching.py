"""Who looks at a tensor: somebody who differentiates, a transform, a compiler.

May import torch and `torch_ops._internals`.
"""

import threading

import torch

from torch_ops._internals import (
    are_transforms_active,
    count_dispatch_modes,
    forward_mode,
    is_legacy_batched,
    is_traced,
    is_wrapped_tensor,
)

#: the classes of tensors that are numbers in memory and nothing more
_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter})


class _Recording(threading.local):
    """How many primitives this thread is inside of that autograd, a transform or a compiler records, or whose rules it
    runs. In there autograd is switched off whatever the user has said."""

    depth = 0


recording = _Recording()


def watched(values):
    """Whether somebody may ask for a derivative of what is computed from these tensors, or a compiler looks on. What is
    no tensor counts for nothing."""
    if torch.is_grad_enabled():
        for A in values:
            if isinstance(A, torch.Tensor) and A.requires_grad:
                return True
    return transformed(values) or torch.compiler.is_compiling()


def transformed(values):
    """Whether a transform looks at every operation on these tensors."""
    if are_transforms_active() or forward_mode():
        return True
    for A in values:  # noqa: SIM110 - a generator takes longer than all else here
        if isinstance(A, torch.Tensor) and is_legacy_batched(A):
            return True
    return False


def are_plain(tensors):
    """Whether the numbers in these tensors can be looked at: no compiler and no transform looks on."""
    if torch.compiler.is_compiling():
        return False
    if count_dispatch_modes() and is_traced():  # a mode of the user's sees ops go by, and the numbers are there
        return False
    for A in tensors:
        if type(A) not in _PLAIN or A.is_meta or is_wrapped_tensor(A) or is_legacy_batched(A):
            return False
    return True
