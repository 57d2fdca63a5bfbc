"""The free signs of real singular and eigenvectors, chosen in place. May import NumPy and torch.

Where the numbers can be looked at, this takes a part of the time that it takes in the words of the rules, and no sign
is an operation of its own for autograd: PyTorch's derivative of a decomposition is made of the vectors that it
returned, whose memory is written here, and it is right for any signs.
"""

import numpy as np
import torch

#: longer columns are not gone through one by one
_SHORT = 4

#: entries of a batch that are looked at together: what is computed of them stays in the cache
_AT_A_TIME = 2**17

#: 3⁻ⁱ: of a sum of some of these, with any signs, the first decides the sign
_WEIGHTS = 1 / 3.0 ** torch.arange(600, dtype=torch.float64)


def turn(V, nearly, *others):
    """Turn the columns of a real V (..., m, n), m > 0, so that of the entries whose modulus is at least `nearly` times
    the largest of its column the first is positive, and the rows of `others` with them."""
    V, others = V.detach(), [X.detach() for X in others]
    if V.ndim == 2:
        _times((_of_short if len(V) <= _SHORT else _of_one)(V.numpy(), nearly), V, *others)
        return
    count = max(1, _AT_A_TIME // (V.shape[-1] * V.shape[-2]))
    stacks = [X.view(-1, *X.shape[-2:]).split(count) for X in (V, *others)]
    for part, *rest in zip(*stacks, strict=True):
        _times(_of_many(part, nearly), part, *rest)


def _times(signs, V, *others):
    V = V.numpy()
    V *= signs
    for X in others:  # the rows of Vᴴ
        X = X.numpy()
        X *= signs[..., None] if signs.ndim == 1 else signs.swapaxes(-1, -2)


def can_turn():
    """Whether autograd keeps the vectors themselves, and not what a hook made of them before they were turned."""
    return torch._C._autograd._top_saved_tensors_default_hooks(True) is None


def _of_one(V, nearly):
    """The signs (n,) of the entries that are to become positive."""
    size = np.abs(V)
    first = (size >= nearly * size.max(0)).argmax(0)
    return np.where(V[first, np.arange(V.shape[1])] < 0, V.dtype.type(-1), V.dtype.type(1))


def _of_short(V, nearly):
    """The same for a small matrix."""
    signs = []
    for j, (high, low) in enumerate(zip(V.max(0).tolist(), V.min(0).tolist(), strict=True)):
        if -low < nearly * high:
            signs.append(1.0)
        elif high < nearly * -low:
            signs.append(-1.0)
        else:
            least = nearly * max(high, -low)
            signs.append(next((-1.0 if x < 0 else 1.0 for x in V[:, j].tolist() if abs(x) >= least), 1.0))
    return np.array(signs, V.dtype)


def _of_many(V, nearly):
    """The same for a batch, (..., 1, n)."""
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
    return signs[..., None, :].numpy()
