"""The free signs of real singular and eigenvectors, chosen in place.

May import NumPy, torch and `torch_ops._internals`.

Where the numbers can be looked at, this takes a part of the time that it takes in the words of the rules, and no sign
is an operation of its own for autograd: PyTorch's derivative of a decomposition is made of the vectors that it
returned, whose memory is written here, and it is right for any signs.
"""

import functools

import numpy as np
import torch

from torch_ops._internals import top_saved_tensors_hooks

#: Columns up to this length are gone through in Python, which takes less time than a few operations of PyTorch do.
_SHORT = 8

#: entries of a batch that are looked at together: what is computed of them stays in the cache
_AT_A_TIME = 2**17

#: 3⁻ⁱ: of a sum of some of these, with any signs, the first decides the sign
_WEIGHTS = 1 / 3.0 ** torch.arange(600, dtype=torch.float64)


def turn(V, nearly, *others):
    """Turn the columns of a real V (..., m, n), m > 0, so that of the entries whose modulus is at least `nearly` times
    the largest of its column the first is positive, and the rows of `others` with them."""
    V = V.data  # and not .detach(): autograd must not take this for a change of what it has kept
    if V.ndim == 2:
        signs = _of_short(V, nearly) if V.size(0) <= _SHORT else _of_one(V, nearly)
        if signs is not None:
            V.mul_(signs)
            for X in others:
                X.data.mT.mul_(signs)
        return
    count = max(1, _AT_A_TIME // (V.shape[-1] * V.shape[-2]))
    stacks = [X.view(-1, *X.shape[-2:]).split(count) for X in (V, *[X.data for X in others])]
    for part, *rest in zip(*stacks, strict=True):
        signs = _of_many(part, nearly)
        part.mul_(signs[..., None, :])
        for X in rest:
            X.mul_(signs[..., None])


def can_turn():
    """Whether autograd keeps the vectors themselves, and not what a hook made of them before they were turned."""
    return top_saved_tensors_hooks(True) is None


@functools.lru_cache(2 ** (_SHORT + 2))  # all that there are
def _tensor(signs, dtype):
    return torch.tensor(signs, dtype=dtype)


def _of_short(V, nearly):
    """The signs (n,) of the entries that are to become positive, of a small matrix; None where all are."""
    signs, flipped = [], False
    for column in zip(*V.tolist(), strict=True):
        high, low = max(column), -min(column)
        if low < nearly * high:
            positive = True
        elif high < nearly * low:
            positive = False
        else:
            least = nearly * max(high, low)
            positive = next((x for x in column if abs(x) >= least), 0.0) >= 0
        signs.append(1.0 if positive else -1.0)
        flipped |= not positive
    return _tensor(tuple(signs), V.dtype) if flipped else None


def _of_one(V, nearly):
    """The same for a larger one."""
    # NumPy looks for the first of a column no further than that
    V = V.numpy()
    size = np.abs(V)
    first = (size >= nearly * size.max(0)).argmax(0)
    return torch.from_numpy(np.where(V[first, np.arange(V.shape[1])] < 0, V.dtype.type(-1), V.dtype.type(1)))


def _of_many(V, nearly):
    """The same for a batch, (..., n)."""
    high, low = V.amax(-2), -V.amin(-2)
    signs = torch.where(low > high, -1.0, 1.0).to(V.dtype)
    least = nearly * torch.maximum(high, low)
    undecided = (low >= least) & (high >= least)
    rows = V.mT[undecided]
    if len(rows):
        least = least[undecided][:, None]
        if V.size(-2) <= len(_WEIGHTS):
            large = (rows >= least).to(_WEIGHTS.dtype) - (rows <= -least).to(_WEIGHTS.dtype)
            first = large @ _WEIGHTS[: V.size(-2)]
        else:
            first = rows.gather(-1, (rows.abs() >= least).view(torch.uint8).argmax(-1, keepdim=True))[:, 0]
        signs[undecided] = torch.where(first < 0, -1.0, 1.0).to(V.dtype)
    return signs
