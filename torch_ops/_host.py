"""The kernels of overbar.kernels as ops of torch.library, so that compilers, vmap and every device know them.

May import torch and `overbar`. These ops have no derivative: the primitives that call them have.
"""

import json

import numpy as np
import torch

import overbar.rules  # noqa: F401 - it writes the kernels
from overbar.kernels import KERNELS
from torch_ops._batching import batched
from torch_ops._internals import count_dispatch_modes
from torch_ops._watching import are_plain

_DTYPES = {"f": torch.float32, "d": torch.float64, "F": torch.complex64, "D": torch.complex128, "q": torch.int64}
_CHARS = {dtype: char for char, dtype in _DTYPES.items()}


def call(kernel, tensors, options):
    """All outputs of a kernel, as a tuple of tensors beside the inputs."""
    watched = count_dispatch_modes() or torch.jit.is_tracing()  # which would keep what came out
    if not watched and all(A.device.type == "cpu" for A in tensors) and are_plain(tensors):
        return _compute(kernel, tensors, options)  # without the dispatcher's twenty microseconds
    op = _ops.get(kernel.name) or _define(kernel)
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


_ops = {}  # by the names of their kernels


def _define(kernel):
    """Register the op of a kernel."""
    arguments = [chr(ord("A") + i) for i in range(len(kernel.signature.inputs))]
    count = len(kernel.kinds)
    returns = "Tensor" if count == 1 else f"({', '.join(['Tensor'] * count)})"
    schema = f"({', '.join(f'Tensor {name}' for name in arguments)}, str options) -> {returns}"

    def result(outputs):
        return outputs[0] if count == 1 else tuple(outputs)

    def compute(*arguments):
        *tensors, options = arguments
        return result(_compute(kernel, tensors, json.loads(options)))

    op = torch.library.custom_op(f"overbar::{kernel.name}_on_host", compute, mutates_args=(), schema=schema)

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

    _ops[kernel.name] = op
    return op


for _kernel in KERNELS.values():  # now, and not while a compiler traces the first call
    _define(_kernel)
