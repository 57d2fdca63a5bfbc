"""A primitive as a torch.autograd.Function.

May import torch and `overbar`. The one place where rules meet autograd: no op has code of its own here. What a Function
must do to be at home under every transform is listed, with the reasons, at the methods below.
"""

import functools
import types
import weakref

import array_api_compat.torch
import torch

from overbar._namespace import register
from torch_ops._batching import batched
from torch_ops._graphs import in_graph, key_of
from torch_ops._internals import (
    apply_outside_transforms,
    are_transforms_active,
    forward_mode,
    is_any_autocast_enabled,
    is_view,
    is_wrapped_tensor,
    set_forward_mode,
    unpack_dual,
    unwrap_if_dead,
)
from torch_ops._namespace import BufferRefused, TorchNamespace, refusing_buffers, watched


class Call:
    """What `apply` passes besides tensors. An object of its own, so that no transform takes the options for tensors."""

    __slots__ = ("options", "outputs", "primitive")

    def __init__(self, primitive, options, outputs=None):
        self.primitive, self.options, self.outputs = primitive, options, outputs


def in_full_precision(method):
    """Make autocast leave a method alone: products inside a rule would lose digits that the function itself has.
    torch.amp.custom_fwd is meant for this, but does not go together with setup_context."""

    @functools.wraps(method)
    def alone(first, *tensors):
        if not is_any_autocast_enabled():
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
        if call.outputs is not None:
            outputs, call.outputs = call.outputs, None  # autograd keeps the call
            return outputs
        outputs = call.primitive.run(inputs, call.options)
        return tuple([_apart(out, inputs) for out in outputs])

    @staticmethod
    def setup_context(ctx, inputs, outputs):
        ctx.call, *arrays = inputs
        # Hidden outputs are saved as outputs, so that a second derivative sees how they depend on the inputs.
        ctx.save_for_backward(*arrays, *outputs)
        if forward_mode():
            ctx.save_for_forward(*arrays, *outputs)
        ctx.set_materialize_grads(False)  # an absent cotangent is None, not a tensor of zeros
        smooth = ctx.call.primitive.differentiable
        if constant := [
            out for i, out in enumerate(outputs) if i >= smooth or not (out.is_floating_point() or out.is_complex())
        ]:
            ctx.mark_non_differentiable(*constant)

    @staticmethod
    @in_full_precision
    def backward(ctx, *bars):
        primitive, options = ctx.call.primitive, ctx.call.options
        saved = ctx.saved_tensors  # once: activation checkpoints recompute them at the first look and refuse a second
        count = len(saved) - primitive.outputs
        arrays, outputs = saved[:count], saved[count:]
        needed = ctx.needs_input_grad[1:]
        return (None, *pull(primitive, bars, outputs, arrays, options, needed))

    @staticmethod
    @in_full_precision
    def jvp(ctx, _, *dots):
        primitive, options = ctx.call.primitive, ctx.call.options
        # torch calls this with forward AD switched off, and hands over saved tensors that still carry the tangents of
        # this level. A second forward derivative needs it on; this level's tangents must not be counted twice.
        with set_forward_mode(True):
            saved = [unpack_dual(x)[0] for x in ctx.saved_tensors]
            count = len(saved) - primitive.outputs
            return primitive.push(TORCH, dots, saved[count:], saved[:count], options)

    @staticmethod
    def vmap(info, in_dims, call, *inputs):
        inputs, options = batched(call.primitive, call.options, info.batch_size, in_dims[1:], inputs)
        outputs = apply(call.primitive, inputs, options)
        return outputs, (0,) * len(outputs)


def _apart(out, inputs):
    """An output must not be an input, nor a view of one: autograd would refuse tangents and in-place use."""
    if is_view(out):
        return out.clone()
    for x in inputs:
        if out is x:
            return out.clone()
    return out


_functions = weakref.WeakKeyDictionary()


def function_of(primitive):
    """The torch.autograd.Function of a primitive."""
    function = _functions.get(primitive)
    if function is None:
        function = _functions[primitive] = _function(primitive)
    return function


def _function(primitive):
    name = "".join(part.capitalize() for part in primitive.name.split("_"))
    function = type(name, (PrimitiveFunction,), {"__doc__": primitive.__doc__})
    function.apply_outside_transforms = apply_outside_transforms(function)
    return function


def apply(primitive, arrays, options):
    """All outputs of a primitive, hidden ones too, as a tuple."""
    call = Call(primitive, options)
    if are_transforms_active():
        if _wrapped(options):
            return PrimitiveFunction.forward(call, *arrays)
        _check_constant(primitive, options)
        return function_of(primitive).apply(call, *arrays)
    # The pullback of a torch.func.vjp runs after that has ended, on tensors which its level still wraps, and which
    # autograd would take for constants.
    arrays = list(map(unwrap_if_dead, arrays))
    if not watched(arrays):
        return PrimitiveFunction.forward(call, *arrays)  # a graph of constants has no nodes
    _check_constant(primitive, options)
    return function_of(primitive).apply_outside_transforms(call, *arrays)


def adopt(primitive, arrays, outputs, **options):
    """The outputs of a primitive that the caller sees, as a tuple. All of them, hidden ones too, are there already, in
    memory of their own: nothing is computed again, and the derivatives are the primitive's."""
    call = Call(primitive, {**primitive.defaults, **options}, outputs)
    return function_of(primitive).apply_outside_transforms(call, *arrays)[: primitive.public]


def _wrapped(options):
    """Whether a transform of torch.func looks at an index or a mask among the options: vmap over it, or ``mask=A > 0``.
    A Function would take it for a constant of all levels. The ops inside the function see what it is, each of them."""
    return any(
        isinstance(x, torch.Tensor) and not (x.is_floating_point() or x.is_complex()) and is_wrapped_tensor(x)
        for value in options.values()
        for x in (value if isinstance(value, (tuple, list)) else (value,))
    )


def _check_constant(primitive, options):
    """The Function would take an option for a constant, and its gradient would silently lack what comes from here."""
    for name, value in options.items():
        if isinstance(value, torch.Tensor) and value.requires_grad:
            raise TypeError(
                f"{primitive.name}: the option {name} requires a gradient, but a primitive is differentiated with "
                "respect to its arrays only. Make it an array, in front of the `*` and in the signature, or detach it."
            )
        # Where no transform is at work, the function itself is asked, by `constant_function`. In here a Function's
        # forward pass would see the tensors of a transform bare.
        if callable(value) and any(map(is_wrapped_tensor, _held(value))):
            raise TypeError(
                f"{primitive.name}: the option {name} is differentiated with respect to its arguments only, but it "
                "holds a tensor which a transform of torch.func looks at, and whose derivative would be lost. Give "
                "such parameters as arrays (spectral_function takes args=), or detach them."
            )


def _held(function, depth=4):
    """The tensors that a function has from where it was written: in its closure, its defaults, its globals, bound to it
    or among its attributes."""
    if isinstance(function, torch.Tensor):
        return [function]
    if (
        depth == 0
        or isinstance(function, (str, bytes, int, float, complex, type, types.ModuleType))
        or function is None
    ):
        return []
    if isinstance(function, (list, tuple, set, frozenset)):
        parts = function
    elif isinstance(function, dict):
        parts = function.values()
    else:
        code, scope = getattr(function, "__code__", None), getattr(function, "__globals__", {})
        parts = [
            *(cell.cell_contents for cell in getattr(function, "__closure__", None) or () if cell != types.CellType()),
            *(scope[name] for name in (code.co_names if code is not None else ()) if name in scope),
            *(getattr(function, name, None) for name in ("__defaults__", "__kwdefaults__", "__self__", "__dict__")),
            *(getattr(function, name, None) for name in ("func", "args", "keywords")),
        ]
    return [tensor for part in parts for tensor in _held(part, depth - 1)]


def pull(primitive, bars, outputs, arrays, options, needed):
    """The bars of the inputs, by the rule.

    A compiler traces the rule into its graph. Rules that recurse over blocks have a graph for every number of blocks
    and thousands of nodes for large matrices; these are the rules that ask for a buffer to write into. Such a rule
    becomes one node, which runs it as it is: a graph for matrices that are too small for blocks, and one for all
    others. torch.export gets PyTorch's own ops always.
    """
    if torch.is_grad_enabled() or not torch.compiler.is_compiling() or torch.compiler.is_exporting():
        return primitive.pull(TORCH, bars, outputs, arrays, options, needed)
    try:
        with refusing_buffers():
            return primitive.pull(TORCH, bars, outputs, arrays, options, needed)
    except BufferRefused:
        from torch_ops import library  # only a compiler needs it

        return library.pull(primitive, bars, outputs, arrays, options, needed)


# There are no kernels of linear algebra for these.
_HALF = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}


class _Front(TorchNamespace):
    def enter(self, primitive, arrays, options):
        if torch.compiler.is_dynamo_compiling():
            return in_graph(key_of(primitive), *arrays, **options)
        return primitive.apply(self, arrays, options)

    def call(self, primitive, arrays, options):
        for A in arrays:
            if A.dtype in _HALF:
                break
        else:
            return apply(primitive, arrays, options)
        dtype = functools.reduce(torch.promote_types, (A.dtype for A in arrays))
        outputs = apply(primitive, [A.to(_HALF.get(A.dtype, A.dtype)) for A in arrays], options)
        if dtype not in _HALF or is_any_autocast_enabled():
            return outputs  # autocast's own functions of matrices return float32, too
        narrow = {_HALF[dtype]: dtype, torch.float32: dtype.to_real()}
        return tuple(out.to(narrow.get(out.dtype, out.dtype)) for out in outputs)


TORCH = _Front(array_api_compat.torch)
register(torch.Tensor, TORCH)
