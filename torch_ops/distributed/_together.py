"""What ranks agree on before they compute: that no argument is wrong anywhere, and that what should be the same is.

May import torch and `torch_ops._internals`. An error on one rank alone would leave the others in a
sum or a broadcast that it never comes to. So arguments are looked at in `agreed`, and every rank raises.
"""

import functools
import hashlib
from collections.abc import Callable
from typing import Any, TypeVar, cast

import torch

from torch_ops._internals import are_transforms_active, is_compiler_in_use

#: Errors that every rank raises, if one does. Of others it is a RuntimeError on the ranks that are not to blame.
_KINDS = {kind.__name__.lstrip("_"): kind for kind in (torch.linalg.LinAlgError, TypeError, ValueError)}


Function = TypeVar("Function", bound=Callable[..., Any])


def on_all_ranks(function: Function) -> Function:
    """A function that every rank calls, in the same order as the others. No compiler traces it, and no transform of
    torch.func, which would go another way through it."""

    @functools.wraps(function)
    def call(*args, **options):
        if torch.compiler.is_dynamo_compiling() or is_compiler_in_use():
            return torch.compiler.disable(checked)(*args, **options)
        return checked(*args, **options)

    def checked(*args, **options):
        if are_transforms_active():
            raise NotImplementedError(
                f"torch_ops.distributed.{function.__name__} is not for transforms of torch.func. Use backward() or "
                "torch.autograd.grad."
            )
        return function(*args, **options)

    return cast(Function, call)


def agreed(grid, device, function, check, shared=()):
    """What ``check()`` returns. If it raised an error, or if what is in `shared`, pairs of a name and what can be
    written down, is not the same on every rank, then every rank raises."""
    error = value = None
    try:
        value = check()
    except Exception as found:
        error = found
    marks = [int(error is not None)]
    for _, thing in shared:
        mark = _mark(thing)
        marks += [mark, -mark]
    marks = torch.tensor(marks, dtype=torch.int64, device=device)
    failed, *marks = grid.total(marks, "MAX").tolist()
    if failed:
        failures = grid.gathered(None if error is None else (type(error).__name__.lstrip("_"), str(error)))
        if error is not None:
            raise error
        first = next(place for place, failure in enumerate(failures) if failure is not None)
        kind, text = failures[first]
        text = text if kind in _KINDS else f"{function}: {kind}: {text}"
        raise _KINDS.get(kind, RuntimeError)(f"{text}\n(So it is on rank {first} of the group.)")
    for (name, thing), most, least in zip(shared, marks[::2], marks[1::2], strict=True):
        if most != -least:
            found = grid.gathered(thing if len(str(thing)) < 100 else f"one with the number {_mark(thing)}")
            raise ValueError(
                f"{function}: {name} is not the same on every rank of the group: {', '.join(map(str, found))}."
            )
    return value


def _mark(thing):
    return int.from_bytes(hashlib.blake2b(repr(thing).encode(), digest_size=7).digest())


def same_values(grid, device, function, named):
    """None if tensors are the same on every rank, as they should be. Where they differ by rounding, what they are on
    the first; where by more, every rank raises.

    Ranks whose processors round differently drift apart in the last digits. What counts then is the first rank's."""
    named = [(name, x.detach()) for name, x in named]
    forms = [(f"the form of {name}", (tuple(x.shape), str(x.dtype), x.device.type)) for name, x in named]
    agreed(grid, device, function, lambda: None, forms)
    marks = [mark for _, x in named for mark in _bits(x)]
    if not marks:
        return None
    marks = torch.stack(marks).to(device)
    marks = torch.cat([marks, -marks])
    total = grid.total(marks.clone(), "MAX")
    if torch.equal(total, -total.roll(len(total) // 2)):
        return None
    values = []
    for _, x in named:
        x = x.to(device, copy=True).contiguous()
        grid.everywhere(x, 0, 0)
        values.append(x)

    def check():
        for (name, x), first in zip(named, values, strict=True):
            if x.is_floating_point():
                near = torch.finfo(x.dtype).eps ** 0.5
                scale = first.abs().nan_to_num(0, 0, 0).amax().item() if first.numel() else 0.0
                close = torch.allclose(x.to(device), first, rtol=near, atol=near * scale, equal_nan=True)
            else:
                close = torch.equal(x.to(device), first)
            if not close:
                raise ValueError(
                    f"{function}: {name} is not what it is on the first rank of the group. It must be the same on "
                    "every rank: make it from one seed, or send it with torch.distributed.broadcast first; and every "
                    "rank calls backward of the same number."
                )

    agreed(grid, device, function, check)
    return [first.to(x.device) for (_, x), first in zip(named, values, strict=True)]


def _bits(x):
    """Two numbers that change with every bit of a tensor and with the order of its entries."""
    x = torch.view_as_real(x) if x.is_complex() else x
    integer = {8: torch.int64, 4: torch.int32, 2: torch.int16, 1: torch.uint8}[x.element_size()]
    bits = x.contiguous().reshape(-1).view(integer).to(torch.int64)
    order = torch.arange(1, len(bits) + 1, device=bits.device)
    # without the highest bits, whose negative would be another number than the negative
    return [mark % (1 << 61) for mark in (bits.sum(), (bits * order * order).sum())]
