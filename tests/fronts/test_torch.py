"""The contract of a front, held by PyTorch's: by autograd, and by the transforms of torch.func."""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd import forward_ad  # noqa: E402

import torch_ops  # noqa: E402 - makes the primitives ops of PyTorch
from tests.fronts.contract import FrontContract  # noqa: E402


class TestTorchFunc(FrontContract):
    def array(self, x):
        return torch.tensor(x)

    def numpy(self, A):
        return A.detach().resolve_conj().numpy()

    def pull(self, f, arrays, bars):
        _, pullback = torch.func.vjp(lambda *arrays: tuple(f(*arrays)), *arrays)
        return list(pullback(tuple(bars)))

    def push(self, f, arrays, dots):
        return list(torch.func.jvp(lambda *arrays: tuple(f(*arrays)), tuple(arrays), tuple(dots))[1])

    def map(self, f, axis):
        return torch.func.vmap(f, in_dims=axis)


class TestAutograd(TestTorchFunc):
    """Reverse mode of any order, and forward mode, which does not nest by itself."""

    def nests(self, ways):
        return ways == ["forward"] or "forward" not in ways

    def pull(self, f, arrays, bars):
        arrays = [A if A.requires_grad else A.detach().requires_grad_() for A in arrays]
        bars = torch.autograd.grad(f(*arrays), arrays, bars, create_graph=True, allow_unused=True)
        return list(bars)

    def push(self, f, arrays, dots):
        with forward_ad.dual_level():
            outputs = f(*itertools.starmap(forward_ad.make_dual, zip(arrays, dots, strict=True)))
            return [forward_ad.unpack_dual(out).tangent for out in outputs]

    def map(self, f, axis):
        return None


def test_half_precision_is_computed_in_single_precision():
    A = torch.tensor(np.eye(3) * 2, dtype=torch.bfloat16, requires_grad=True)
    L = torch_ops.cholesky(A)
    (bar,) = torch.autograd.grad(L.sum(), A)
    assert L.dtype == bar.dtype == torch.bfloat16
