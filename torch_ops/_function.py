"""A primitive as a torch.autograd.Function.

May import torch, `overbar._front`, `torch_ops._batching`, `_numpy`, `_watching` and `_internals`. The one place where
rules meet autograd: no op has code of its own here. What a Function must do to be at home under every transform is
listed, with the reasons, at the methods below. Each step is there for a reason, too: a small matrix takes no longer
than five of them.
"""

import types

import torch

from overbar._front import NUMPY
from torch_ops._batching import batched, mapped
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
from torch_ops._numpy import quicker
from torch_ops._watching import recording, transformed


class Call:
    """What `apply` passes besides tensors. An object of its own, so that no transform takes the options for tensors."""

    __slots__ = ("front", "options", "outputs", "primitive")

    def __init__(self, front, primitive, options, outputs=None):
        self.front, self.primitive, self.options, self.outputs = front, primitive, options, outputs


def without_autocast(method, *tensors):
    """What a method returns where autocast leaves it alone: products inside a rule would lose digits that the function
    itself has. torch.amp.custom_fwd is meant for this, but does not go together with setup_context."""
    device = next((x.device.type for x in tensors if x is not None), "cpu")
    with torch.autocast(device, enabled=False):
        return method()


class PrimitiveFunction(torch.autograd.Function):
    """The base of the Functions of all primitives, which differ in their name only (as autograd graphs show it)."""

    @staticmethod
    def forward(call, *inputs):
        outputs = call.outputs
        if outputs is not None:
            call.outputs = None  # autograd keeps the call
            return outputs
        if is_any_autocast_enabled():
            outputs = without_autocast(lambda: call.primitive.function(*inputs, **call.options), *inputs)
        else:
            run = lambda *arrays: call.primitive.function(*arrays, **call.options)  # noqa: E731
            outputs = quicker(call.primitive, call.options, run, inputs)
            if outputs is None:
                outputs = call.primitive.function(*inputs, **call.options)
        if not isinstance(outputs, tuple):
            outputs = (outputs,)
        # An output must not be an input, nor a view of one: autograd would refuse tangents and in-place use.
        apart = []
        for out in outputs:
            try:
                if is_view(out):
                    out = out.clone()
            except TypeError:  # it is no tensor: the call says so in words
                call.primitive.check_outputs(call.front, outputs, inputs)
                raise
            for x in inputs:
                if out is x:
                    out = out.clone()
            apart.append(out)
        return tuple(apart)

    @staticmethod
    def setup_context(ctx, inputs, outputs):
        ctx.call = call = inputs[0]
        # Intermediates are saved as outputs, so that a second derivative sees how they depend on the inputs.
        ctx.save_for_backward(*inputs[1:], *outputs)
        if forward_mode():
            ctx.save_for_forward(*inputs[1:], *outputs)
        ctx.set_materialize_grads(False)  # an absent cotangent is None, not a tensor of zeros
        if len(outputs) > 1 or not outputs[0].is_floating_point():
            smooth = call.primitive.differentiable
            if constant := [
                out for i, out in enumerate(outputs) if i >= smooth or not (out.is_floating_point() or out.is_complex())
            ]:
                ctx.mark_non_differentiable(*constant)

    @staticmethod
    def backward(ctx, *bars):
        return _recorded(_pulled, ctx, *bars)

    @staticmethod
    def jvp(ctx, _, *dots):
        return _recorded(_pushed, ctx, *dots)

    @staticmethod
    def vmap(info, in_dims, call, *inputs):
        inputs, options = batched(call.primitive, call.options, info.batch_size, in_dims[1:], inputs)
        outputs = record(call.front, call.primitive, inputs, options)
        return outputs, mapped(call.primitive, inputs, outputs)


def _recorded(function, *arguments):
    """What a function returns in which autograd is off, whatever the user has said."""
    recording.depth += 1
    try:
        return function(*arguments)
    finally:
        recording.depth -= 1


def _pulled(ctx, *bars):
    call = ctx.call
    saved = ctx.saved_tensors  # once: activation checkpoints recompute them at the first look and refuse a second
    count = len(saved) - call.primitive.outputs
    needed = ctx.needs_input_grad[1:]
    arguments = call.front, bars, saved[count:], saved[:count], call.options, needed
    if is_any_autocast_enabled():
        return (None, *without_autocast(lambda: call.primitive.pull(*arguments), *bars))

    k = len(bars)

    def pull(*arrays):
        some, inputs, outputs = arrays[:k], arrays[k : k + count], arrays[k + count :]
        return call.primitive.pull(NUMPY, some, outputs, inputs, call.options, needed)

    found = quicker(call.primitive, call.options, pull, (*bars, *saved), rule=True)
    return (None, *(call.primitive.pull(*arguments) if found is None else found))


def _pushed(ctx, *dots):
    call = ctx.call
    # torch calls this with forward AD switched off, and gives saved tensors that still carry the tangents of
    # this level. A second forward derivative needs it on; this level's tangents must not be counted twice.
    with set_forward_mode(True):
        saved = [unpack_dual(x)[0] for x in ctx.saved_tensors]
        count = len(saved) - call.primitive.outputs
        arguments = call.front, dots, saved[count:], saved[:count], call.options
        if is_any_autocast_enabled():
            return without_autocast(lambda: call.primitive.push(*arguments), *dots)
        return call.primitive.push(*arguments)


def function_of(primitive):
    """The torch.autograd.Function of a primitive."""
    name = "".join(part.capitalize() for part in primitive.name.split("_"))
    return type(name, (PrimitiveFunction,), {"__doc__": primitive.__doc__})


def _recorder(primitive):
    """What is kept for a primitive: its Function, and how that is applied where no transform is at work. (Nothing that
    refers to the primitive, so that one that nobody has is forgotten.)"""
    found = primitive.recorded.get("torch")
    if found is None:
        function = function_of(primitive)
        found = primitive.recorded["torch"] = function, apply_outside_transforms(function)
    return found


def record(front, primitive, arrays, options):
    """All outputs of a primitive, intermediates and residuals too, as a tuple."""
    if are_transforms_active():
        call = Call(front, primitive, options)
        if _wrapped(options):
            return PrimitiveFunction.forward(call, *arrays)
        _check_constant(primitive, options)
        return _recorded(_recorder(primitive)[0].apply, call, *arrays)
    # The pullback of a torch.func.vjp runs after that has ended, on tensors which its level still wraps, and which
    # autograd would take for constants.
    arrays = list(map(unwrap_if_dead, arrays))
    watched = False
    if torch.is_grad_enabled():
        for A in arrays:
            if A.requires_grad:
                watched = True
    watched = watched or transformed(arrays) or torch.compiler.is_compiling()
    if options is not primitive.defaults and (watched or torch.is_grad_enabled()):
        _check_constant(primitive, options)
    call = Call(front, primitive, options)
    if not watched:
        return PrimitiveFunction.forward(call, *arrays)  # a graph of constants has no nodes
    return _recorded((primitive.recorded.get("torch") or _recorder(primitive))[1], call, *arrays)


def adopt(front, primitive, arrays, outputs, options):
    """The outputs of a primitive, which are there already, as ones whose derivatives are the rules."""
    return _recorder(primitive)[1](Call(front, primitive, options, outputs), *arrays)


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
