"""A primitive as a torch.autograd.Function.

May import torch and `overbar`. The one place where rules meet autograd: no op has code of its own here. What a Function
must do to be at home under every transform is listed, with the reasons, at the methods below.
"""

import functools

import array_api_compat.torch
import torch
from torch._C._functorch import unwrap_if_dead
from torch.autograd import forward_ad

from overbar.namespace import register
from torch_ops.namespace import TorchNamespace, watched


class _Call:
    """What `apply` passes besides tensors. An object of its own, so that no transform takes the options for tensors."""

    __slots__ = ("options", "primitive")

    def __init__(self, primitive, options):
        self.primitive, self.options = primitive, options


def in_full_precision(method):
    """Make autocast leave a method alone: products inside a rule would lose digits that the function itself has.
    torch.amp.custom_fwd is meant for this, but does not go together with setup_context."""

    @functools.wraps(method)
    def alone(first, *tensors):
        if not torch._C._is_any_autocast_enabled():
            return method(first, *tensors)
        device = next((x.device.type for x in tensors if x is not None), "cpu")
        with torch.autocast(device, enabled=False):
            return method(first, *tensors)

    return alone


class PrimitiveFunction(torch.autograd.Function):
    """The base of the Functions of all primitives, which differ in their name only (as autograd graphs show it)."""

    @staticmethod
    @in_full_precision
    def forward(call, *inputs):
        outputs = call.primitive.run(inputs, call.options)
        return tuple([_apart(out, inputs) for out in outputs])

    @staticmethod
    def setup_context(ctx, inputs, outputs):
        ctx.call, *arrays = inputs
        # Hidden outputs are saved as outputs, so that a second derivative sees how they depend on the inputs.
        ctx.save_for_backward(*arrays, *outputs)
        if forward_ad._current_level >= 0:
            ctx.save_for_forward(*arrays, *outputs)
        ctx.set_materialize_grads(False)  # an absent cotangent is None, not a tensor of zeros
        if constant := [out for out in outputs if not (out.is_floating_point() or out.is_complex())]:
            ctx.mark_non_differentiable(*constant)

    @staticmethod
    @in_full_precision
    def backward(ctx, *bars):
        primitive, options = ctx.call.primitive, ctx.call.options
        saved = ctx.saved_tensors  # once: activation checkpoints recompute them at the first look and refuse a second
        count = len(saved) - primitive.outputs
        arrays, outputs = saved[:count], saved[count:]
        needed = ctx.needs_input_grad[1:]
        return (None, *primitive.pull(TORCH, bars, outputs, arrays, options, needed))

    @staticmethod
    @in_full_precision
    def jvp(ctx, _, *dots):
        primitive, options = ctx.call.primitive, ctx.call.options
        # torch calls this with forward AD switched off, and hands over saved tensors that still carry the tangents of
        # this level. A second forward derivative needs it on; this level's tangents must not be counted twice.
        with forward_ad._set_fwd_grad_enabled(True):
            saved = [forward_ad.unpack_dual(x).primal for x in ctx.saved_tensors]
            count = len(saved) - primitive.outputs
            return primitive.push(TORCH, dots, saved[count:], saved[:count], options)

    @staticmethod
    def vmap(info, in_dims, call, *inputs):
        # The new batch dimension becomes the first of the batch dimensions, which every primitive has: no loop, and
        # an input without it stays as it is.
        primitive, options = call.primitive, call.options
        if primitive.signature.whole:
            lead = options["batch_ndim"]
            options = {**options, "batch_ndim": lead + 1}
            inputs = [
                x.unsqueeze(0).expand(info.batch_size, *x.shape) if dim is None else x.movedim(dim, 0)
                for x, dim in zip(inputs, in_dims[1:], strict=True)
            ]
        else:
            cores = [len(core) for core in primitive.signature.inputs]
            batch = max(
                x.ndim - (dim is not None) - core for x, dim, core in zip(inputs, in_dims[1:], cores, strict=True)
            )
            inputs = [
                x if dim is None else _lead(x.movedim(dim, 0), batch + core)
                for x, dim, core in zip(inputs, in_dims[1:], cores, strict=True)
            ]
        outputs = apply(primitive, inputs, options)
        return outputs, (0,) * len(outputs)


def _lead(x, ndim):
    """x (v, ...) with ones behind v until the rest has `ndim` dimensions, where the others' batch dimensions go."""
    return x.reshape(x.shape[0], *(1,) * (ndim - x.ndim + 1), *x.shape[1:])


def _apart(out, inputs):
    """An output must not be an input, nor a view of one: autograd would refuse tangents and in-place use."""
    if out._is_view():
        return out.clone()
    for x in inputs:
        if out is x:
            return out.clone()
    return out


@functools.cache
def function_of(primitive):
    """The torch.autograd.Function of a primitive."""
    name = "".join(part.capitalize() for part in primitive.name.split("_"))
    function = type(name, (PrimitiveFunction,), {"__doc__": primitive.__doc__})
    # Function.apply would bind the arguments to forward's signature first, which costs as much as a small op.
    function.apply_outside_transforms = super(torch.autograd.Function, function).apply
    return function


def apply(primitive, arrays, options):
    """All outputs of a primitive, hidden ones too, as a tuple."""
    if torch.compiler.is_dynamo_compiling():
        return _outside_graph(primitive, arrays, options)
    call = _Call(primitive, options)
    if torch._C._are_functorch_transforms_active():
        return function_of(primitive).apply(call, *arrays)
    # The pullback of a torch.func.vjp runs after that has ended, on tensors which its level still wraps, and which
    # autograd would take for constants.
    arrays = list(map(unwrap_if_dead, arrays))
    if not watched(arrays):
        return PrimitiveFunction.forward(call, *arrays)  # a graph of constants has no nodes
    return function_of(primitive).apply_outside_transforms(call, *arrays)


# The ops of `torch_ops.ops` are put into a compiled graph whole. A primitive called by its own name (overbar.cholesky)
# breaks the graph instead.
_outside_graph = torch.compiler.disable(apply)


# There are no kernels of linear algebra for these.
_HALF = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}


class _Front(TorchNamespace):
    def call(self, primitive, arrays, options):
        for A in arrays:
            if A.dtype in _HALF:
                break
        else:
            return apply(primitive, arrays, options)
        dtype = functools.reduce(torch.promote_types, (A.dtype for A in arrays))
        outputs = apply(primitive, [A.to(_HALF.get(A.dtype, A.dtype)) for A in arrays], options)
        if dtype not in _HALF or torch._C._is_any_autocast_enabled():
            return outputs  # autocast's own functions of matrices return float32, too
        narrow = {_HALF[dtype]: dtype, torch.float32: dtype.to_real()}
        return tuple(out.to(narrow.get(out.dtype, out.dtype)) for out in outputs)


TORCH = _Front(array_api_compat.torch)
register(torch.Tensor, TORCH)
