"""What the one wrapper owes to PyTorch beyond derivatives. May import `torch_ops`."""

import pytest

torch = pytest.importorskip("torch")

import overbar  # noqa: E402
import torch_ops  # noqa: E402


def test_matrix_functions_do_not_mix_dtypes_silently():
    L, B = torch.eye(2, dtype=torch.float64), torch.ones(2, 2, dtype=torch.complex128)
    with pytest.raises(RuntimeError, match=r"L has torch\.float64, B has torch\.complex128"):
        overbar.cho_solve(L, B)


def test_arithmetic_promotes_as_torch_does():
    a = torch.ones(2, requires_grad=True)
    total = torch_ops.add(a, torch.ones(2, dtype=torch.float64))
    assert total.dtype == torch.float64
    assert torch.autograd.grad(total.sum(), a)[0].dtype == torch.float32
