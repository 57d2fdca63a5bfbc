"""On a busy machine a rule of many steps runs in one thread, and PyTorch has its threads again afterwards. May import
`torch_ops`."""

import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch_ops  # noqa: E402
from overbar.rules import _halving as halving  # noqa: E402
from tests.compare import close  # noqa: E402
from torch_ops import _front, _ops, _threads  # noqa: E402


@pytest.fixture
def asked(monkeypatch):
    """For how many threads PyTorch is asked, one call after the other, on a machine that is busy. It has two."""
    calls, before, given = [], torch.get_num_threads(), torch.set_num_threads
    monkeypatch.setattr(_threads, "is_busy", lambda: True)
    given(2)
    monkeypatch.setattr(torch, "set_num_threads", lambda threads: calls.append(threads) or given(threads))
    yield calls
    given(before)


def bar(n, scale=1.0):
    X = np.random.default_rng(n).normal(size=(n, n))
    A = torch.tensor(X @ X.T / n + np.eye(n), requires_grad=True)
    (found,) = torch.autograd.grad((torch_ops.cholesky(A) * torch.tensor(scale * X)).sum(), A)
    return found.numpy()


def test_one_thread_and_then_as_many_as_before(asked, monkeypatch):
    found = bar(200)
    assert asked == [1, 2]
    assert torch.get_num_threads() == 2
    monkeypatch.setattr(_threads, "is_busy", lambda: False)
    close(found, bar(200), 1e-13)
    assert asked == [1, 2]


def test_an_error_leaves_the_threads_as_they_were(asked, monkeypatch):
    def failing(*arrays, out):
        assert torch.get_num_threads() == 1
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        torch_ops._front.TORCH.as_one(failing, torch.eye(100))
    assert asked == [1, 2]


@pytest.mark.parametrize("why", ["large", "many threads", "one thread", "deterministic", "small"])
def test_where_all_threads_work(asked, monkeypatch, why):
    n = 200
    if why == "large":
        monkeypatch.setattr(_threads, "LARGEST", 150)
    elif why == "small":
        n = 40  # one step
    elif why == "deterministic":
        monkeypatch.setattr(torch, "are_deterministic_algorithms_enabled", lambda: True)
    else:
        monkeypatch.setattr(torch, "get_num_threads", lambda: 1 if why == "one thread" else _threads.MOST + 1)
    bar(n)
    assert asked == []


def test_a_machine_is_busy_where_more_threads_want_to_run_than_it_has_cores(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    for load, expected in ((0.5, False), (4.4, False), (6.0, True)):
        monkeypatch.setattr(os, "getloadavg", lambda load=load: (load, 1.0, 1.0))
        assert _threads.is_busy() == expected
    monkeypatch.delattr(os, "getloadavg")
    assert not _threads.is_busy()


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_with_intel_mkl_at_home_its_derivative_serves_larger_matrices(threads, dtype, monkeypatch):
    """And what is ours goes by larger blocks, with the same result."""
    before, tolerance = torch.get_num_threads(), 2e-5 if dtype is torch.float32 else 1e-13
    torch.set_num_threads(threads)
    try:
        for n in (250, 700):
            X = np.random.default_rng(n).normal(size=(n, n))
            A, L_bar = torch.tensor(X @ X.T / n + np.eye(n), dtype=dtype), torch.tensor(X, dtype=dtype)
            found, names = [], []
            for on_intel in (False, True):
                for module in (_front, _ops):
                    monkeypatch.setattr(module, "ON_INTEL", on_intel)
                x = A.clone().requires_grad_()
                L = torch_ops.cholesky(x)
                names.append(type(L.grad_fn).__name__)
                found.append(torch.autograd.grad(L, x, L_bar)[0].numpy())
            close(found[0], found[1], tolerance * np.abs(found[0]).max())
            assert names == ["CholeskyBackward", "CholeskyBackward" if n == 700 else "LinalgCholeskyExBackward0"]
            with torch_ops.reroute():  # where it may become part of one op
                assert type(torch.linalg.cholesky(x).grad_fn).__name__ == "CholeskyBackward"
            assert type(torch_ops.cholesky(x).grad_fn).__name__ == names[-1]
        assert halving.base(A) == 2 * halving.BASE == 2 * halving.base(A[None])
    finally:
        torch.set_num_threads(before)
