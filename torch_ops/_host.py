"""The kernels of overbar.kernels as ops of torch.library, so that compilers, vmap and every device know them.

May import torch and `overbar`. These ops have no derivative: the primitives that call them have. Whoever asks for one
is told so.
"""

import json
import re

import numpy as np
import torch

import overbar.rules  # noqa: F401 - it writes the kernels
from overbar.kernels import KERNELS
from torch_ops._batching import batched
from torch_ops._internals import are_transforms_active, count_dispatch_modes, forward_mode, is_forward_mode_on
from torch_ops._watching import are_plain

_DTYPES = {"f": torch.float32, "d": torch.float64, "F": torch.complex64, "D": torch.complex128, "q": torch.int64}
_CHARS = {dtype: char for char, dtype in _DTYPES.items()}


def call(kernel, tensors, options):
    """All outputs of a kernel, as a tuple of tensors beside the inputs."""
    if _is_differentiated(tensors):
        return _Underivable.apply(_Call(kernel, options), *tensors)
    watched = count_dispatch_modes() or torch.jit.is_tracing()  # which would keep what came out
    if not watched and all(A.device.type == "cpu" for A in tensors) and are_plain(tensors):
        return _compute(kernel, tensors, options)  # without the dispatcher's twenty microseconds
    op = _ops.get(kernel) or _define(kernel)
    found = op(*tensors, json.dumps(options))
    return found if isinstance(found, (tuple, list)) else (found,)


def _compute(kernel, tensors, options):
    device = tensors[0].device
    # This shares the memory of a tensor on the host. Forced, as a tangent may be one of zeros that has no memory.
    arrays = [A.numpy(force=True) for A in tensors]
    try:
        outputs = kernel(*arrays, **options)
    except np.linalg.LinAlgError as error:
        raise torch.linalg.LinAlgError(str(error)) from None
    return tuple(torch.from_numpy(_own(out, arrays)).to(device) for out in outputs)


def _own(out, arrays):
    """An output in memory that is nobody else's: what shares it with an input would change with it."""
    copy = not out.flags.writeable or any(np.may_share_memory(out, A) for A in arrays)
    return np.array(out, copy=copy or None, order="C")


def _is_differentiated(tensors):
    """Whether somebody may ask for a derivative of what a kernel computes of these. Nobody does in the function of a
    primitive, which is computed with autograd and forward mode off, and below all transforms."""
    if are_transforms_active():
        return True
    if torch.is_grad_enabled():
        for A in tensors:
            if A.requires_grad:
                return True
    return forward_mode() and is_forward_mode_on()


class _Call:
    """An object, so that no transform takes the options for tensors."""

    __slots__ = ("kernel", "options")

    def __init__(self, kernel, options):
        self.kernel, self.options = kernel, options


class _Underivable(torch.autograd.Function):
    """A kernel that is called where somebody watches, in a rule: what it computes is no constant, and has no
    derivative. It says so when that is asked for, and not before: torch.func.grad watches the rule of a first
    derivative, too, of which nobody will ask for another."""

    @staticmethod
    def forward(call_, *tensors):
        return call(call_.kernel, tensors, call_.options)

    @staticmethod
    def setup_context(ctx, inputs, outputs):
        ctx.kernel = inputs[0].kernel
        ctx.mark_non_differentiable(*(out for out in outputs if not (out.is_floating_point() or out.is_complex())))

    @staticmethod
    def backward(ctx, *bars):
        raise ctx.kernel.no_derivative()

    @staticmethod
    def jvp(ctx, *dots):
        raise ctx.kernel.no_derivative()

    @staticmethod
    def vmap(info, in_dims, call_, *tensors):
        moved, _ = batched(call_.kernel, {}, info.batch_size, in_dims[1:], tensors)
        found = call(call_.kernel, moved, call_.options)
        return found, (0,) * len(found)


# By the kernels, as two may have one name: that of a cell of a notebook, before it was corrected and afterwards. For
# good, as a program that has been exported knows nothing of its ops but their names.
_ops = {}
_named = {}  # how many kernels of a name there were before


def _define(kernel):
    """Register the op of a kernel. The first one of its name has that name in a program."""
    name = re.sub(r"\W+", "_", kernel.name)
    _named[name] = _named.get(name, -1) + 1
    number = f"_{_named[name]}" if _named[name] else ""
    arguments = [chr(ord("A") + i) for i in range(len(kernel.signature.inputs))]
    count = len(kernel.kinds)
    returns = "Tensor" if count == 1 else f"({', '.join(['Tensor'] * count)})"
    schema = f"({', '.join(f'Tensor {name}' for name in arguments)}, str options) -> {returns}"

    def result(outputs):
        return outputs[0] if count == 1 else tuple(outputs)

    def compute(*arguments):
        *tensors, options = arguments
        return result(_compute(kernel, tensors, json.loads(options)))

    op = torch.library.custom_op(f"overbar::{name}_on_host{number}", compute, mutates_args=(), schema=schema)

    @op.register_fake
    def _(*arguments):
        *tensors, _ = arguments
        shapes = kernel.shapes(*(tuple(A.shape) for A in tensors))
        dtypes = kernel.dtypes(*(_CHARS[A.dtype] for A in tensors))
        return result(
            [
                tensors[0].new_empty(shape, dtype=_DTYPES[dtype.char])
                for shape, dtype in zip(shapes, dtypes, strict=True)
            ]
        )

    @op.register_vmap
    def _(info, in_dims, *arguments):
        *tensors, options = arguments
        moved, _ = batched(kernel, {}, info.batch_size, in_dims[:-1], tensors)
        return op(*moved, options), 0 if count == 1 else (0,) * count

    _ops[kernel] = op
    return op


for _kernel in KERNELS.values():  # now, so that their names are theirs, and no compiler is tracing the first call
    _define(_kernel)
