"""What the tests of PyTorch share: a primitive as a function that torch may differentiate, and how results are
compared. May import `overbar` and torch."""

import math

import numpy as np
import torch

from overbar import verify
from overbar.verify import call

#: Central differences of 1e-6 are worth 1e-9 here.
TIGHT = {"atol": 1e-7, "rtol": 1e-5}


def op(primitive, options):
    """The primitive as a function of tensors. Arguments that must be Hermitian are made so first: the derivative is
    that of a function of any matrix then, which is what torch differentiates. Outputs of integers are left out."""

    def f(*tensors):
        tensors = [
            # conj_physical, as gradcheck with batched forward gradients fails within torch for any function of x.mH
            (x + x.conj_physical().mT) / 2 if primitive.argument(i) in primitive.hermitian else x
            for i, x in enumerate(tensors)
        ]
        outputs = smooth(call(primitive, tensors, options))
        return outputs[0] if len(outputs) == 1 else outputs

    return f


def real_op(primitive, options):
    """The same, where a complex output of real arguments is given by its real and imaginary parts, as a last dimension:
    reverse mode has no Jacobian of a complex output by a real argument."""
    f = op(primitive, options)

    def g(*tensors):
        outputs = several(f(*tensors))
        if not any(x.is_complex() for x in tensors):
            outputs = tuple(torch.view_as_real(o.resolve_conj()) if o.is_complex() else o for o in outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    return g


def several(outputs):
    """What a function returned, as a tuple."""
    return outputs if isinstance(outputs, tuple) else (outputs,)


def smooth(outputs):
    """The outputs that have a derivative, as a tuple."""
    return tuple(out for out in several(outputs) if out.is_floating_point() or out.is_complex())


def loss(primitive, options):
    """A real number that depends on every output, and not linearly: no second derivative of it vanishes."""
    f = op(primitive, options)

    def g(*tensors):
        return sum((out.abs().square().sum() + _weighted(out)) for out in several(f(*tensors)))

    return g


def _weighted(out):
    weights = torch.linspace(0.5, 1.5, out.numel(), dtype=torch.float64).reshape(out.shape).to(out.real.dtype)
    total = (weights * out.real).sum()
    return total + (weights.flip(-1) * out.imag).sum() if out.is_complex() and out.ndim else total


def tensors(case, requires_grad=True):
    return [torch.tensor(a, requires_grad=requires_grad) for a in case.arrays]


def weights(shape):
    """Fixed numbers of this shape and of size one, no two alike."""
    return torch.cos(torch.arange(1, 1 + math.prod(shape), dtype=torch.float64)).reshape(shape)


def condensed(outputs):
    """Two numbers that depend on every entry of the outputs, and in such a way that no derivative vanishes."""
    total = 0
    for out in several(outputs):
        parts = torch.view_as_real(out.resolve_conj()) if out.is_complex() else out
        total = total + weights((2, parts.numel())) @ parts.reshape(-1) / max(1, parts.numel()) ** 0.5
    return torch.exp(total)


def directions(arrays):
    """For each array two directions to move in, as its last dimension."""
    rng = np.random.default_rng(1)
    return [torch.tensor(np.stack([verify.noise(rng, a).astype(a.dtype) for _ in range(2)], -1)) / 2 for a in arrays]


def derivatives(F, t, order):
    """F and its derivatives at t up to an order, by plain reverse mode, one entry at a time."""
    found = [F(t)]
    for _ in range(order):
        last = found[-1]
        rows = [torch.autograd.grad(entry, t, create_graph=True)[0] for entry in last.flatten()]
        found.append(torch.stack(rows).reshape(*last.shape, *t.shape))
    return [x.detach() for x in found]
