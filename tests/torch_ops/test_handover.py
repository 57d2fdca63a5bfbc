"""What is handed over to PyTorch's function and what becomes of its errors. May import `torch_ops`."""

import pytest

torch = pytest.importorskip("torch")

import overbar  # noqa: E402
import torch_ops  # noqa: E402


@overbar.primitive("(m,n)->(n)")
def largest(A):
    """The largest entry of each column."""
    calls.append("ours")
    return overbar.namespace(A).max(A, axis=-2)


calls = []


def op(builtin, when=lambda A: True):
    calls.clear()
    return torch_ops.wrap(largest, builtin=builtin, when=when)


def raising(error):
    def builtin(A):
        calls.append("PyTorch's")
        raise error

    return builtin


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
        torch.AcceleratorError("an illegal memory access was encountered", 700)
        if hasattr(torch, "AcceleratorError")
        else torch.OutOfMemoryError("another one"),
        KeyError("a mistake"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_not_about_the_call_is_not_tried_again(error):
    with pytest.raises(type(error)):
        op(raising(error))(torch.ones(2, 2))
    assert calls == ["PyTorch's"]


def test_what_torch_does_not_take_is_ours():
    assert op(raising(RuntimeError("expected a square matrix")))(torch.ones(3, 2)).tolist() == [1, 1]
    assert calls == ["PyTorch's", "ours"]


def test_a_singular_matrix_is_an_error_also_where_ours_has_none():
    with pytest.raises(torch.linalg.LinAlgError, match="is singular"):
        op(raising(torch.linalg.LinAlgError("the matrix is singular")))(torch.ones(3, 2))


@pytest.mark.parametrize("error", [AttributeError, IndexError, TypeError, ValueError, RuntimeError])
def test_a_mistake_in_when_comes_out(error):
    def when(A):
        raise error("a mistake")

    with pytest.raises(error, match="a mistake"):
        op(torch.amax, when)(torch.ones(2, 2))
    assert calls == []


def test_wrong_arguments_are_not_a_mistake_in_when():
    function = op(torch.amax, lambda A: A.size(-1) < 3)
    with pytest.raises(TypeError):
        function(torch.ones(2, 2), axes=1)
    with pytest.raises(TypeError, match="must be Tensor"):
        function([[1.0]])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda A: torch_ops.qr(A, "thin"), "unrecognized mode 'thin'"),
        (lambda A: torch_ops.eigh(A, "X"), "Expected UPLO argument to be 'L' or 'U'"),
        (lambda A: torch_ops.matrix_norm(A, 5), "Order 5 not supported"),
        (lambda A: torch_ops.cond(A, "max"), "invalid norm type: max"),
        (lambda A: torch_ops.lstsq(A, A, driver="qr"), "parameter `driver` should be one of"),
        (lambda A: torch_ops.svd(A, driver="gesvd"), "only supported on CUDA"),
        (lambda A: torch_ops.matrix_norm(A, dtype=torch.complex128), "dtype should be real for real inputs"),
    ],
)
@pytest.mark.parametrize("watched", [False, True])
def test_options_that_torch_refuses_are_refused_as_there(call, message, watched):
    with pytest.raises(RuntimeError, match=message):
        call(torch.eye(3, dtype=torch.float64, requires_grad=watched))
