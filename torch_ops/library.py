"""The primitives as ops of torch.library: `torch.ops.overbar.cholesky`, one node of an exported graph.

May import torch and `overbar`. It is not imported with `torch_ops`: whoever wants the ops imports it, and so does the
program that loads what was exported with them. What it is for is `torch.export`:

- `torch_ops.cholesky` leaves PyTorch's own ops in the exported graph. It runs where there is no overbar, and is
  differentiated there by PyTorch's rules for these ops.
- ``custom_op(overbar.cholesky)`` leaves one op with overbar's rules, in reverse and forward mode, to any order. It runs
  where ``import torch_ops.library`` came first.

Everywhere else the two do the same, the former with less overhead.
"""

import contextlib
import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from overbar._functions import Wrapped, as_function
from overbar._primitive import Primitive
from overbar.rules import REGISTRY
from torch_ops._batching import batched, mapped
from torch_ops._front import TORCH, TorchFront
from torch_ops._function import Call, PrimitiveFunction, function_of
from torch_ops._graphs import graph_key, in_graph
from torch_ops._internals import (
    AFTER_AUTOGRAD,
    BEFORE_TRANSFORMS,
    SCHEMA_TYPES,
    apply_outside_transforms,
    below_autograd,
    functionalized,
    is_alias_of,
    is_view,
    lazy_conjugation,
    remove_ops,
)

__all__ = ["custom_op"]


def custom_op(primitive: Primitive, name: str | None = None) -> Callable[..., Any]:
    """Register a primitive, one of overbar's or your own, as an op of torch.library.

    Parameters
    ----------
    primitive : overbar.Primitive
        It takes a fixed number of arrays. The types of its options are those of their defaults; an option without a
        default, or with the default None, is annotated: ``upper: bool``, ``rank: int | None``, ``shape: list[int]``.
    name : str, optional
        The op's name with its namespace, ``"mine::gram"``; by default ``"overbar::"`` and the name of the primitive.
        An op of this name that was registered before is replaced.

    Returns
    -------
    callable
        As `torch_ops.wrap` returns, with the op behind it. (The op itself takes arrays with all their dimensions, and
        returns the intermediates too.)

    Raises
    ------
    TypeError
        No schema of torch.library describes the primitive.
    ValueError
        The name belongs to a primitive of overbar's own.

    Examples
    --------
    >>> import torch, overbar
    >>> from torch_ops.library import custom_op
    >>> cholesky = custom_op(overbar.cholesky)
    >>> cholesky(torch.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    >>> torch.ops.overbar.cholesky.default._schema
    overbar::cholesky(Tensor A, *, bool upper=False) -> Tensor
    """
    name = name or f"overbar::{primitive.name}"
    owner = REGISTRY.get(name.removeprefix("overbar::"), primitive)
    if owner is not primitive:
        raise ValueError(
            f'{name} is overbar\'s own. Give your op another name: custom_op({primitive.name}, "mine::op").'
        )
    function = as_function(primitive, _LibraryFront(forward_op(primitive, name)))
    key = graph_key(name, function)

    @functools.wraps(function)
    def op(*arrays, **options):
        if torch.compiler.is_dynamo_compiling():
            return in_graph(key, *arrays, **options)
        return function(*arrays, **options)

    return Wrapped(op, custom_op, primitive, name)


class _LibraryFront(TorchFront):
    """PyTorch, with an op of torch.library for a primitive."""

    def __init__(self, op):
        super().__init__(TORCH.xp)
        self.op = op

    def call(self, primitive, arrays, options):
        return _as_tuple(self.op(*arrays, **options))


def forward_op(primitive, name):
    """The op that computes a primitive; what has its name already is replaced, unless it is this very op."""
    if name in _registered and _registered[name].primitive is primitive:
        return _registered[name].op
    arrays, options = _parameters(primitive)
    returns = torch.Tensor if primitive.outputs == 1 else tuple[(torch.Tensor,) * primitive.outputs]

    def kernel(*arrays, **options):
        with lazy_conjugation():
            return _as_result(_owned(primitive.run(arrays, primitive.defaults | options), arrays))

    below, whole = (_function_of(primitive, kind) for kind in (_BelowAutograd, _WholeOp))

    # An autograd kernel of its own: that of torch.library.register_autograd has no forward mode and cannot be
    # differentiated by torch.func.
    def autograd(keyset, *arrays, **options):
        call = _OpCall(primitive, primitive.defaults | options, op, keyset & AFTER_AUTOGRAD)
        return _as_result(apply_outside_transforms(below)(call, *arrays))

    # And one for torch.func, before the op is on its way through the levels: a rule that were called on the way could
    # not call primitives, which go through the levels as Functions.
    def transforms(*arrays, **options):
        found = functionalized(op, arrays, options)
        if found is not None:
            return found
        return _as_result(whole.apply(_OpCall(primitive, primitive.defaults | options, op), *arrays))

    op = _define(primitive, name, [*arrays, *options], returns, kernel, kernel, autograd, transforms)
    return op


class _OpCall(Call):
    __slots__ = ("keyset", "op")

    def __init__(self, primitive, options, op, keyset=None):
        super().__init__(TORCH, primitive, options)
        self.op, self.keyset = op, keyset


class _BelowAutograd(PrimitiveFunction):
    """What autograd records where an op is called: the same rules, with what is below autograd as the forward pass."""

    @staticmethod
    def forward(call, *inputs):
        with below_autograd():
            return _as_tuple(call.op.redispatch(call.keyset, *inputs, **call.options))


class _WholeOp(PrimitiveFunction):
    """What torch.func records at each of its levels: the same rules, with the op as the forward pass below all."""

    @staticmethod
    def forward(call, *inputs):
        return _as_tuple(call.op(*inputs, **call.options))

    @staticmethod
    def vmap(info, in_dims, call, *inputs):
        inputs, options = batched(call.primitive, call.options, info.batch_size, in_dims[1:], inputs)
        outputs = _as_tuple(call.op(*inputs, **options))
        return outputs, mapped(call.primitive, inputs, outputs)


def _function_of(primitive, kind):
    return type(function_of(primitive).__name__, (kind,), {"__doc__": primitive.__doc__})


# ---------------------------------------------------------------------------------------------------------------------
# Schemas and registration


class _Registered(NamedTuple):
    library: torch.library.Library
    op: Callable
    primitive: Primitive


_registered = {}  # the ops, by their names


def _parameters(primitive):
    """The arrays and the options of a primitive as parameters with types."""
    if primitive.variadic:
        raise TypeError(f"{primitive.name} takes any number of arrays, an op of torch.library a fixed number.")
    arrays = [_parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, torch.Tensor) for name in primitive.arguments]
    annotations = inspect.get_annotations(primitive.function, eval_str=True)
    options = []
    for name, default in primitive.defaults.items():
        kind = annotations.get(name, type(default))
        if kind not in SCHEMA_TYPES:
            raise TypeError(
                f"{primitive.name}: torch.library wants a type for the option {name}. Give it a default that is a "
                f"bool, int, float or str, or an annotation that torch.library knows, {name}: list[int] for instance."
            )
        options.append(_parameter(name, inspect.Parameter.KEYWORD_ONLY, kind, default))
    return arrays, options


def _parameter(name, where, kind, default=inspect.Parameter.empty):
    return inspect.Parameter(name, where, annotation=kind, default=default)


def _define(primitive, name, parameters, returns, kernel, fake, autograd, transforms):
    """Register an op, in place of one that has the name already."""

    def prototype():
        """What infer_schema reads."""

    prototype.__signature__ = inspect.Signature(parameters, return_annotation=returns)
    namespace, _, short = name.partition("::")
    if name in _registered:
        remove_ops(_registered.pop(name).library)
    library = torch.library.Library(namespace, "FRAGMENT")
    library.define(
        torch.library.infer_schema(prototype, mutates_args=(), op_name=short), tags=(torch.Tag.pt2_compliant_tag,)
    )
    library.impl(short, kernel, "CompositeExplicitAutograd")
    library.impl(short, autograd, "Autograd", with_keyset=True)
    library.impl(short, transforms, BEFORE_TRANSFORMS)
    torch.library.register_fake(name, fake, lib=library)
    op = getattr(getattr(torch.ops, namespace), short).default
    _registered[name] = _Registered(library, op, primitive)
    return op


def _owned(outputs, inputs):
    """The outputs with memory of their own each, which an op must return; no views, and not lazily conjugated."""
    seen, owned = list(inputs), []
    for out in outputs:
        out = out.resolve_conj().resolve_neg()
        shared = is_view(out) or any(is_alias_of(out, x) for x in seen)
        owned.append(out.clone() if shared else out)
        seen.append(out)
    return owned


def _tensors(*lists):
    return [x for tensors in lists for x in tensors if x is not None]


def _as_tuple(outputs):
    return outputs if isinstance(outputs, (tuple, list)) else (outputs,)


def _as_result(outputs):
    return outputs[0] if len(outputs) == 1 else tuple(outputs)


for _primitive in REGISTRY.values():
    with contextlib.suppress(TypeError):  # an option that has no type, such as an index
        custom_op(_primitive)
