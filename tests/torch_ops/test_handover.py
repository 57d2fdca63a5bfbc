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
        (lambda A: torch_ops.cond(A, "max"), "max"),
        (lambda A: torch_ops.lstsq(A, A, driver="qr"), "parameter `driver` should be one of"),
        (lambda A: torch_ops.svd(A, driver="gesvd"), "only supported on CUDA"),
        (lambda A: torch_ops.matrix_norm(A, dtype=torch.complex128), "dtype should be real for real inputs"),
    ],
)
@pytest.mark.parametrize("watched", [False, True])
def test_options_that_torch_refuses_are_refused_as_there(call, message, watched):
    with pytest.raises((RuntimeError, ValueError), match=message):
        call(torch.eye(3, dtype=torch.float64, requires_grad=watched))


# ---------------------------------------------------------------------------------------------------------------------
# Calls whose numbers tell that PyTorch's derivative is right

D = torch.float64
LOOKED_AT = ["det", "eigvalsh", "logdet", "lu", "lu_factor", "slogdet", "svdvals"]


def regular(n=4):
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(n), dtype=D)
    return A @ A.mT + torch.diag(torch.arange(1.0, n + 1, dtype=D))


def degenerate(name, n=4):
    """Where PyTorch's first or second derivative is wrong."""
    if name in ("eigvalsh", "svdvals"):
        Q = torch.linalg.qr(regular(n)).Q
        return Q @ torch.diag(torch.tensor([2.0, 2.0, *range(3, n + 1)], dtype=D)) @ Q.mT
    A = regular(n)
    A[-1] = 0.0 if name in ("logdet", "slogdet") else A[:-1].sum(0)
    return A


def first_and_second(f, A):
    def loss(A):
        out = f(A)
        out = [x for x in (out if isinstance(out, tuple) else (out,)) if x.is_floating_point()]
        return sum((x * torch.cos(torch.arange(x.numel(), dtype=D)).reshape(x.shape)).sum() for x in out)

    A = A.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(A), A, create_graph=True)
    W = torch.sin(torch.arange(A.numel(), dtype=D)).reshape(A.shape)
    (second,) = torch.autograd.grad((first * (W + W.mT)).sum(), A, allow_unused=True)
    return first.detach(), torch.zeros_like(A) if second is None else second


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("name", LOOKED_AT)
def test_a_regular_matrix_is_handed_over_and_one_that_is_not_is_ours(name, batch, monkeypatch):
    op, seen = getattr(torch_ops, name), []
    primitive = op.primitive
    rule = primitive.vjp_rule
    monkeypatch.setattr(primitive, "vjp_rule", lambda *args, **options: seen.append(1) or rule(*args, **options))
    fine = torch.stack([regular(), 2 * regular()]) if batch else regular()
    expected = first_and_second(op.ours, fine)
    assert seen
    seen.clear()
    for a, b in zip(first_and_second(op, fine), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    assert not seen
    hard = torch.stack([regular(), degenerate(name)]) if batch else degenerate(name)
    if name == "lu_factor":
        hard = hard + 1e-9 * torch.eye(4, dtype=D)  # one that is singular is refused
    for a, b in zip(first_and_second(op, hard), first_and_second(op.ours, hard), strict=True):
        torch.testing.assert_close(a, b, equal_nan=True)
    assert seen


@pytest.mark.parametrize("name", LOOKED_AT)
def test_extreme_numbers_are_ours(name):
    """Equal values, NaN, zero, and determinants beyond the range of numbers."""
    op = getattr(torch_ops, name)
    for A in (torch.zeros(3, 3, dtype=D), torch.eye(3, dtype=D), 1e-150 * regular(3), 1e150 * regular(3)):
        if name == "lu_factor" and not A.any():
            continue
        for f in (op, op.ours):
            A = A.clone().requires_grad_()
            out = f(A)
            out = out[-1] if name == "slogdet" else out[0] if isinstance(out, tuple) else out
            bar = torch.autograd.grad(out.sum(), A)[0] if out.requires_grad else torch.zeros_like(A)
            if f is op:
                found = bar
        torch.testing.assert_close(found, bar, rtol=1e-9, atol=0, equal_nan=True)


@pytest.mark.parametrize("gap", [1.0, 1e-2, 1e-5])
@pytest.mark.parametrize("name", ["eigh", "svd"])
def test_vectors_have_our_signs_and_derivatives_whoever_computes_them(name, gap, monkeypatch):
    """PyTorch's derivatives where values are apart; ours where they are close, and digits would be lost."""
    op, seen = getattr(torch_ops, name), []
    primitive, rule = op.primitive, op.primitive.vjp_rule
    monkeypatch.setattr(primitive, "vjp_rule", lambda *args, **options: seen.append(1) or rule(*args, **options))
    Q = torch.linalg.qr(torch.randn(3, 4, 4, generator=torch.Generator().manual_seed(5), dtype=D)).Q
    A = Q @ torch.diag(torch.tensor([1.0, 1 + gap, 3.0, 4.5], dtype=D)) @ Q.mT
    A = A if name == "eigh" else A @ Q.flip(0)
    for a, b in zip(op(A), op.ours(A), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14 / gap)
    found = first_and_second(op, A)
    assert bool(seen) == (gap < 1e-4)
    for a, b in zip(found, first_and_second(op.ours, A), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12 / gap * b.abs().max().item())


@pytest.mark.parametrize("name", [*LOOKED_AT, "eigh", "svd"])
def test_transforms_and_compilers_see_no_numbers(name):
    """What looks on is vmap, forward mode or a graph: no call is decided by numbers there."""
    op, A = getattr(torch_ops, name), regular()
    from torch._subclasses.fake_tensor import FakeTensorMode

    assert op.when(A.clone().requires_grad_())
    assert op.when(A) == (name in ("eigh", "svd"))  # the value alone is PyTorch's with our signs
    seen = []

    def look(A):
        seen.append(op.when(A))
        return A.sum()

    torch.func.grad(look)(A)
    torch.func.vmap(torch.func.grad(look))(A[None])
    torch.func.jvp(look, (A,), (A,))
    with FakeTensorMode():
        look(torch.empty(3, 3, dtype=D, requires_grad=True))
    look(torch.empty(3, 3, dtype=D, requires_grad=True, device="meta"))
    assert seen == [False] * 5


def test_a_call_with_an_option_of_our_own_is_ours():
    """Also where nobody takes a derivative, and torch's function would get everything else."""
    A, B = torch.tensor([[2.0, 1.0], [0.0, 4.0]]), torch.eye(2)
    for x in (A, A.clone().requires_grad_()):
        X = torch_ops.solve_triangular(x, B, upper=True, adjoint=True)
        torch.testing.assert_close(x.mT @ X, B)
        torch.testing.assert_close(torch_ops.inv(x, on_error="nan") @ x, B)
