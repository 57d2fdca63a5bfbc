"""Norms of vectors without over- and underflow.

May import torch and `torch_ops._host`. A norm is homogeneous, ‖x‖ = s ‖x/s‖ for any s > 0, and so are all of its
derivatives: PyTorch's own norm and derivatives of x/s are right where s, which counts as a constant, brings the entries
near to one. Neither multiplying nor dividing by a power of two rounds.
"""

import functools
import math

import torch

from torch_ops._watching import are_plain


@functools.lru_cache(256)
def _room(dtype, ord):
    """Up to how large a norm may be, and one over it how small, so that no power in PyTorch's derivatives is out of the
    range of numbers."""
    return 2.0 ** (math.log2(torch.finfo(dtype).max) / 4 / max(abs(ord), 1))


def vector_norm(x, ord=2, dim=None, keepdim=False, *, dtype=None):
    """The norm of a vector, of any order, as torch.linalg.vector_norm; entries may be as large or small as their dtype
    has them, where the squares and powers that PyTorch's derivatives are made of overflow.

    Examples::

        >>> import torch
        >>> from torch_ops import linalg
        >>> x = torch.tensor([3e30, 4e30], requires_grad=True)
        >>> torch.autograd.grad(linalg.vector_norm(x), x)
        (tensor([0.6000, 0.8000]),)
    """
    builtin = torch.linalg.vector_norm
    kind = dtype or x.dtype
    powers = isinstance(ord, (int, float)) and math.isfinite(ord) and ord not in (0, 1)
    if not powers or not (kind.is_floating_point or kind.is_complex) or not x.numel():
        return builtin(x, ord, dim, keepdim, dtype=dtype)  # sums and extremes do not overflow before their result
    if not x.ndim:
        return vector_norm(x.reshape(1), ord, dtype=dtype)
    if x.is_cpu and are_plain((x,)):  # it costs no waiting to look at the result
        norm, room = builtin(x, ord, dim, keepdim, dtype=dtype), _room(kind, ord)
        low, high = (norm, norm) if not norm.ndim else torch.aminmax(norm.detach())
        if 1 / room <= low.item() and high.item() <= room:
            return norm
    bits = math.log2(torch.finfo(kind).max)
    if dtype is not None:
        x = x.to(dtype)
    everything = dim is None or dim in ((), [])
    dims = tuple(range(x.ndim)) if everything else dim
    size = x.detach().abs()
    size = size.amax(dims, True) if ord > 0 else size.amin(dims, True)  # the entries that decide
    known = (size > 0) & torch.isfinite(size)
    if ord == 2:
        # not the largest and smallest powers: a cotangent is multiplied by it
        scale = size.log2().floor().clamp(-0.75 * bits, 0.75 * bits).exp2()
    else:
        scale = size  # of a high order, that of 2 would overflow
    scale = torch.where(known, scale, 1.0)
    norm = builtin(x / scale, ord, dims, True) * scale
    if keepdim:
        return norm
    return norm.reshape(()) if everything else norm.squeeze(dims)
