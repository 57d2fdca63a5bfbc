"""What is passed to PyTorch's function and what becomes of its errors. May import `torch_ops`."""

import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import overbar  # noqa: E402
import torch_ops  # noqa: E402
from overbar import verify  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.rules import _phases as phases  # noqa: E402
from torch_ops import _originals as originals  # noqa: E402
from torch_ops._signs import turn  # noqa: E402


@overbar.primitive("(m,n)->(n)")
def largest(A):
    """The largest entry of each column."""
    calls.append("ours")
    return overbar.namespace(A).max(A, axis=-2)


calls = []


@pytest.fixture(autouse=True)
def by_torch(monkeypatch):
    """Few numbers, too, are computed by torch: of equal values NumPy finds other vectors."""
    monkeypatch.setattr("torch_ops._numpy.FEW", -1)


def op(builtin, use_builtin_when=lambda A: True):
    calls.clear()
    return torch_ops.wrap(largest, builtin=builtin, use_builtin_when=use_builtin_when)


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
LOOKED_AT = ["cond", "det", "eigvalsh", "logdet", "lu", "lu_factor", "pinv", "slogdet", "svdvals"]


def regular(n=4):
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(n), dtype=D)
    return A @ A.mT + torch.diag(torch.arange(1.0, n + 1, dtype=D))


def degenerate(name, n=4):
    """Where PyTorch's first or second derivative is wrong."""
    if name == "pinv":
        return 1e-120 * regular(n)  # where A⁻¹ A⁻¹ A⁻¹ is beyond the range of numbers
    if name in ("cond", "eigvalsh", "svdvals"):
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
def test_a_regular_matrix_is_passed_on_and_one_that_is_not_is_ours(name, batch, monkeypatch):
    op, seen = getattr(torch_ops, name), []
    primitive = op.primitive
    rule = primitive.vjp_rule
    monkeypatch.setattr(primitive, "vjp_rule", lambda *args, **options: seen.append(1) or rule(*args, **options))
    fine = torch.stack([regular(), 2 * regular()]) if batch else regular()
    expected = first_and_second(op.rule_op, fine)
    assert seen
    seen.clear()
    for a, b in zip(first_and_second(op, fine), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
    assert not seen
    hard = torch.stack([regular(), degenerate(name)]) if batch else degenerate(name)
    if name == "lu_factor":
        hard = hard + 1e-9 * torch.eye(4, dtype=D)  # one that is singular is refused
    for a, b in zip(first_and_second(op, hard), first_and_second(op.rule_op, hard), strict=True):
        torch.testing.assert_close(a, b, equal_nan=True)
    assert seen


@pytest.mark.parametrize("name", LOOKED_AT)
def test_extreme_numbers_are_ours(name):
    """Equal values, NaN, zero, and determinants beyond the range of numbers."""
    op = getattr(torch_ops, name)
    for A in (torch.zeros(3, 3, dtype=D), torch.eye(3, dtype=D), 1e-150 * regular(3), 1e150 * regular(3)):
        if name == "lu_factor" and not A.any():
            continue
        for f in (op, op.rule_op):
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
    for a, b in zip(op(A), op.rule_op(A), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-14 / gap)
    found = first_and_second(op, A)
    assert bool(seen) == (gap < 1e-4)
    for a, b in zip(found, first_and_second(op.rule_op, A), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12 / gap * b.abs().max().item())


@pytest.mark.parametrize("name", [*LOOKED_AT, "eigh", "svd"])
def test_transforms_and_compilers_see_no_numbers(name):
    """What looks on is vmap, forward mode or a graph: no call is decided by numbers there."""
    op, A = getattr(torch_ops, name), regular()
    from torch._subclasses.fake_tensor import FakeTensorMode

    assert op.use_builtin_when(A.clone().requires_grad_())
    assert op.use_builtin_when(A) == (name in ("eigh", "svd"))  # the value alone is PyTorch's with our signs
    seen = []

    def look(A):
        seen.append(op.use_builtin_when(A))
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


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 2), (8, 8), (9, 9), (5, 3), (3, 2, 2), (2, 3, 6, 6), (700, 2), (2, 700, 2)], ids=str
)
@pytest.mark.parametrize("dtype", [torch.float32, D])
def test_signs_that_are_chosen_in_place_are_those_of_the_rules(shape, dtype):
    generator = torch.Generator().manual_seed(2)
    for size in (1.0, 2.0):
        U = torch.randn(*shape, generator=generator, dtype=dtype)
        U = torch.where(U.abs() > 0.5, size * U.sign() * (1 - 0.4 * U.abs().frac()), U)  # with many nearly largest ones
        for part in (phases.OF_EIGENVECTORS, phases.OF_SINGULAR_VECTORS):
            V, Vh = U.clone(), U.mT.clone()
            turn(V, part, Vh)
            expected = U * phases.free_factors(U, part)
            torch.testing.assert_close(V, expected, rtol=0, atol=0)
            torch.testing.assert_close(Vh, expected.mT, rtol=0, atol=0)


@pytest.mark.parametrize("name", ["eigh", "svd", "eigvals"])
@pytest.mark.parametrize("how", ["hooks", "checkpoint"])
def test_what_keeps_copies_of_tensors_gets_those_with_our_signs(name, how):
    """Vectors that are saved elsewhere before they are turned would make another derivative."""
    op, A = getattr(torch_ops, name), -regular().flip(0).requires_grad_()
    bar = torch.cos(torch.arange(16, dtype=D)).reshape(4, 4)

    def loss(A, op):
        out = op(A)
        return (out.real * bar[0]).sum() if name == "eigvals" else (out[-1] * bar).sum() + (out[0] ** 2 * bar[0]).sum()

    (expected,) = torch.autograd.grad(loss(A, op.rule_op), A)
    if how == "hooks":
        with torch.autograd.graph.saved_tensors_hooks(lambda x: x.detach().clone(), lambda x: x):
            value = loss(A, op)
    else:
        value = torch.utils.checkpoint.checkpoint(loss, A, op, use_reentrant=False)
    torch.testing.assert_close(torch.autograd.grad(value, A)[0], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "eigvals", "svd", "svdvals", "pinv"])
def test_what_torch_has_decomposed_is_not_decomposed_again(name, monkeypatch):
    """The derivative is ours, at values that are close, and begins with PyTorch's factors."""
    op, primitive = getattr(torch_ops, name), getattr(torch_ops, name).primitive
    A = 1e-120 * regular() if name == "pinv" else torch.eye(4, dtype=D) + 1e-9 * regular()
    out = op.rule_op(A)
    expected = first_and_second(lambda A: real(op.rule_op(A)), A)[0]

    def again(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(primitive, "function", again)
    found = first_and_second(lambda A: real(op(A)), A)[0]
    scale = max(1.0, expected.abs().max().item())
    torch.testing.assert_close(found / scale, expected / scale, rtol=1e-6, atol=1e-6, equal_nan=True)
    values = op(A.requires_grad_())
    for a, b in zip(*(x if isinstance(x, tuple) else (x,) for x in (values, out)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def real(out):
    """Values alone: those of a general matrix, which are complex, as their squares' real parts."""
    out = out[1 if len(out) == 3 else 0] if isinstance(out, tuple) else out
    return (out**2).real if out.is_complex() else out


@pytest.mark.parametrize("dtype", [torch.float32, D, torch.complex128])
@pytest.mark.parametrize("shape", [(2, 2), (5, 5), (12, 12), (3, 4, 4)], ids=str)
def test_eigenvalues_of_general_matrices_are_in_our_order_whoever_computes_them(shape, dtype, monkeypatch):
    op, seen = torch_ops.eigvals, []
    A = torch.randn(*shape, generator=torch.Generator().manual_seed(9), dtype=dtype)

    def loss(w):
        weights = torch.arange(1.0, w.shape[-1] + 1, dtype=w.real.dtype)
        return w.real * weights + w.imag**2 * weights.flip(-1)

    def both(op):
        X = A.clone().requires_grad_()
        w = op(X)
        (first,) = torch.autograd.grad(loss(w).sum(), X, create_graph=True)
        weights = torch.sin(torch.arange(first.numel(), dtype=D)).reshape(first.shape).to(dtype)
        return w.detach(), first.detach(), torch.autograd.grad((first * weights).real.sum(), X)[0]

    expected = both(op.rule_op)
    rule = op.primitive.vjp_rule
    monkeypatch.setattr(op.primitive, "vjp_rule", lambda *args, **kwargs: seen.append(1) or rule(*args, **kwargs))
    tolerance = 1e-3 if dtype == torch.float32 else 1e-9
    X = A.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(op(X)).sum(), X)
    torch.testing.assert_close(first, expected[1], rtol=tolerance, atol=tolerance)
    assert not seen
    for a, b in zip(both(op), expected, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
    assert seen  # what differentiates the gradient


# Values whose first derivative is PyTorch's, of complex vectors, and the power of s by which the derivative of the
# gradient of their loss along s E grows at s A.
BY_COMPLEX_VECTORS = {"cond": -1, "eigvals": 0, "eigvalsh": 0, "svdvals": 0}


def loss_of_values(name, A):
    values = getattr(torch_ops, name)(A)
    values = values.real + values.imag.abs() if values.is_complex() else values
    return (values * torch.cos(torch.arange(values.numel(), dtype=values.dtype)).reshape(values.shape)).sum()


def gradient_along(name, A, E, factor=1.0):
    """The gradient of Re ⟨E, gradient⟩."""
    A = A.clone().requires_grad_()
    (first,) = torch.autograd.grad(factor * loss_of_values(name, A), A, create_graph=True)
    return torch.autograd.grad((first.conj() * E).real.sum(), A)[0]


def complex_and_not_symmetric(name, dtype, *shape):
    generator = torch.Generator().manual_seed(11)
    A, E = (torch.randn(*shape, generator=generator, dtype=dtype) for _ in range(2))
    if name != "eigvals":  # which of a real matrix are complex
        A = A + torch.diag(torch.arange(2.0, 2 * shape[-1] + 1, 2, dtype=D))  # well-conditioned, and values are apart
    return (A + A.mH, E + E.mH) if name == "eigvalsh" else (A, E)


@pytest.mark.parametrize("shape", [(4, 4), (2, 4, 4)], ids=str)
@pytest.mark.parametrize("dtype", [D, torch.complex128])
@pytest.mark.parametrize("name", BY_COMPLEX_VECTORS)
def test_second_derivatives_of_values_know_no_phases_at_any_scale(name, dtype, shape):
    """PyTorch's have what rounding leaves of phases, or are an error, where the matrix or the loss is large. The
    differences of a gradient, in which there are no phases, have not."""
    A, E = complex_and_not_symmetric(name, dtype, *shape)
    t = 1e-5
    ends = [torch.autograd.grad(loss_of_values(name, X), X)[0] for X in ((A + x * E).requires_grad_() for x in (t, -t))]
    expected = (ends[0] - ends[1]) / (2 * t)
    for scale in (1e-8, 1.0, 1e4, 1e14):
        for low in (False, True):
            if low and scale > 1e5:
                continue
            X, Y = (scale * x for x in (A, E))
            if low:
                X, Y = (x.to(torch.complex64 if x.is_complex() else torch.float32) for x in (X, Y))
            for factor in (1.0, 1e5):
                found = gradient_along(name, X, Y, factor) / factor * scale ** -BY_COMPLEX_VECTORS[name]
                tolerance = (1e-3 if low else 1e-7) * expected.abs().max().item()
                torch.testing.assert_close(found.to(dtype), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", BY_COMPLEX_VECTORS)
def test_gradients_of_values_are_differentiated_in_all_ways(name):
    """Several at once, three times, inside hooks, beside a change in place, and nothing is kept."""
    A, E = complex_and_not_symmetric(name, torch.complex128, 4, 4)
    E = torch.stack([E, 1j * E.mH.mT])
    X = A.clone().requires_grad_()
    seen = []
    X.register_hook(lambda bar: seen.append(1))
    (first,) = torch.autograd.grad(loss_of_values(name, X), X, create_graph=True)
    assert len(seen) == 1
    each = [torch.autograd.grad(first, X, e, retain_graph=True)[0] for e in E]
    (together,) = torch.autograd.grad(first, X, E, is_grads_batched=True, retain_graph=True)
    torch.testing.assert_close(together, torch.stack(each), rtol=1e-9, atol=1e-9)

    def second(X):
        (first,) = torch.autograd.grad(loss_of_values(name, X), X, create_graph=True)
        return torch.autograd.grad((first.conj() * E[0]).real.sum(), X, create_graph=True)[0]

    (third,) = torch.autograd.grad((second(X).conj() * E[0]).real.sum(), X)
    t = 1e-4
    a, b = (second((A + x * E[0]).requires_grad_()) for x in (t, -t))
    torch.testing.assert_close(third, ((a - b) / (2 * t)).detach(), rtol=1e-5, atol=1e-5 * third.abs().max().item())

    (expected,) = torch.autograd.grad(loss_of_values(name, X), X)
    with torch.autograd.graph.saved_tensors_hooks(lambda x: x.detach().clone(), lambda x: x):
        value = loss_of_values(name, X)
    torch.testing.assert_close(torch.autograd.grad(value, X)[0], expected, rtol=1e-10, atol=1e-10)

    Y = X * 1
    value = loss_of_values(name, Y)
    Y.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(value, X, create_graph=True)

    Y = X * 1
    kept, value = weakref.ref(Y), loss_of_values(name, Y)
    del Y
    assert kept() is not None
    del value
    assert kept() is None


def test_a_defective_matrix_is_an_error_and_equal_eigenvalues_are_ours():
    A = torch.tensor([[2.0, 1.0], [0.0, 2.0]], dtype=D, requires_grad=True)
    with pytest.raises(torch.linalg.LinAlgError, match="defective"):
        torch.autograd.grad(torch_ops.eigvals(A).real.sum(), A)
    A = (3 * torch.eye(3, dtype=D)).requires_grad_()
    (bar,) = torch.autograd.grad((torch_ops.eigvals(A) ** 2).real.sum(), A)
    torch.testing.assert_close(bar, 6 * torch.eye(3, dtype=D))


@pytest.mark.parametrize("m, n", [(4, 4), (6, 3), (3, 6)])
@pytest.mark.parametrize("output", [0, 1, 3])
def test_least_squares_has_our_outputs_and_derivatives_whoever_computes_them(m, n, output, monkeypatch):
    generator = torch.Generator().manual_seed(m)
    A, B = (torch.randn(m, k, generator=generator, dtype=D) for k in (n, 2))
    ours = torch_ops.lstsq.rule_op

    def both(op):
        a, b = A.clone().requires_grad_(), B.clone().requires_grad_()
        out = op(a, b)
        weights = torch.cos(torch.arange(out[output].numel(), dtype=D)).reshape(out[output].shape)
        options = {"allow_unused": True, "materialize_grads": True}
        first = torch.autograd.grad((weights * out[output]).sum(), (a, b), create_graph=True, **options)
        scalar = sum((x * torch.sin(torch.arange(x.numel(), dtype=D)).reshape(x.shape)).sum() for x in first)
        return *out, *first, *torch.autograd.grad(scalar, (a, b), **options)

    expected = both(ours)
    monkeypatch.setattr(torch_ops.lstsq.primitive, "function", None)
    exact = output == 1 and m <= n  # residuals of nothing: the derivative is rounding, too
    for x, y in zip(both(torch_ops.lstsq), expected, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-9, atol=1e-9 if not exact else 1e-8)


def test_the_rules_of_least_squares_decompose_no_more(monkeypatch):
    A = torch.randn(40, 20, generator=torch.Generator().manual_seed(3), dtype=D).requires_grad_()
    X = torch_ops.lstsq(A, torch.ones(40, 1, dtype=D)).solution
    monkeypatch.setattr(originals.linalg, "svd", None)
    assert torch.autograd.grad(X.sum(), A)[0].isfinite().all()


@pytest.mark.parametrize("batch", [(), (3,)])
@pytest.mark.parametrize("size", [1e-200, 1.0, 1e9, 1e200])
@pytest.mark.parametrize("norm", [1e-3, 1.0, 60.0])
def test_the_exponential_has_the_digits_of_a_cotangent_of_any_size(batch, size, norm):
    """PyTorch's own function loses them, with the norm of the cotangent."""
    generator = torch.Generator().manual_seed(4)
    A, bar = (torch.randn(*batch, 5, 5, generator=generator, dtype=D) for _ in range(2))
    A = (norm / 5 * (A - A.mT)).requires_grad_()
    (found,) = torch.autograd.grad(torch_ops.matrix_exp(A), A, size * bar)
    expected = overbar.vjp(overbar.expm, A.detach().numpy())[1](bar.numpy())[0]
    torch.testing.assert_close(found / size, torch.from_numpy(expected), rtol=1e-11, atol=1e-12)


def test_small_exponentials_are_pytorchs(monkeypatch):
    from overbar.rules import _matrix_functions as matrix_functions

    monkeypatch.setattr(matrix_functions, "exponential", None)
    A = regular().div(20).requires_grad_()
    assert torch.autograd.grad(torch_ops.matrix_exp(A).sum(), A)[0].isfinite().all()
    with pytest.raises(TypeError):
        torch_ops.expm(100 * A)  # where numbers of squarings would differ


@pytest.mark.parametrize("name", ["eigh", "svd"])
@pytest.mark.parametrize("gap", [0.0, 1e-14, 1e-11, 1e-8, 1e-6, 1e-4, 1e-2])
def test_close_pairs_that_are_looked_at_afterwards_give_what_all_pairs_give(name, gap, monkeypatch):
    """For a projection on the first two of four vectors, and a function of the values beside it."""
    Q = torch.linalg.qr(torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(6), dtype=D)).Q
    w = torch.tensor([1.0, 1 + gap, 2.0, 3.0, 3 + 2 * gap, 5.0], dtype=D)
    A = ((Q * w) @ Q.mT).requires_grad_()
    C = torch.cos(torch.arange(36, dtype=D)).reshape(6, 6)

    def gradient():
        if name == "eigh":
            w, V = torch_ops.eigh.rule_op(A)
            V = V[..., :2]
        else:
            V, w, _ = torch_ops.svd.rule_op(A)
            V = V[..., 1:3]
            V = V @ V.mT @ torch_ops.svd.rule_op(A)[0][..., -2:]
        return torch.autograd.grad(((V @ V.mT) * (C + C.T)).sum() + w.exp().sum(), A)[0]

    from torch_ops._front import TORCH

    found = gradient()
    monkeypatch.setattr(type(TORCH.xp), "near_pairs", lambda *_: None)
    expected = gradient()
    assert expected.isfinite().all()
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("place", [-3, -4])
@pytest.mark.parametrize("columns", [(), (3,), (3, 3), (2, 1, 1)], ids=str)
def test_factors_with_a_batch_dimension_of_size_one(columns, place):
    """A view of them has any stride there: where it is the last, PyTorch takes that from matrix to matrix."""
    generator = torch.Generator().manual_seed(0)
    A = torch.randn(3, 4, 4, generator=generator, dtype=torch.float64)
    B = torch.randn(*columns, 4, 2, generator=generator, dtype=torch.float64)
    LU, pivots = (x.unsqueeze(place if x.ndim == 3 else place + 1) for x in torch.linalg.lu_factor(A))
    expected = torch.linalg.inv(A.unsqueeze(place)) @ B
    for factors in (LU, LU.clone(memory_format=torch.preserve_format).requires_grad_()):
        torch.testing.assert_close(torch_ops.lu_solve(factors, pivots, B).detach(), expected)
    mapped = torch.func.vmap(torch.func.jacfwd(torch_ops.solve.rule_op))(A, torch.ones(3, 4, 2, dtype=A.dtype))
    X = torch.linalg.inv(A) @ torch.ones(4, 2, dtype=A.dtype)
    torch.testing.assert_close(mapped, -torch.einsum("bij,bkl->biljk", torch.linalg.inv(A), X))


PASSED_ON = [
    name
    for name, primitive in REGISTRY.items()
    if getattr(getattr(torch_ops, name, None), "builtin", None) is not None and primitive.sampler is not None
]


def _functions(name, arrays):
    """A real function of the arrays by the op and by the primitive: a sum of sines, so that no derivative is zero."""

    def function(call, real, sine, cast):
        def of(*arrays):
            total = 0.0
            outputs = call(*arrays)
            for k, out in enumerate(outputs if isinstance(outputs, (tuple, list)) else [outputs]):
                if "int" in str(out.dtype):
                    continue
                rng = np.random.default_rng(k)
                weights = rng.standard_normal(tuple(out.shape))
                if "complex" in str(out.dtype):
                    weights = weights + 1j * rng.standard_normal(weights.shape)
                part = (out * cast(weights)).sum()
                part = real(part) if "complex" in str(out.dtype) else part
                total = total + part + sine(part)
            return total

        return of

    op = getattr(torch_ops, name)
    return function(op, torch.real, torch.sin, torch.tensor), function(REGISTRY[name], overbar.real, np.sin, np.asarray)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("name", PASSED_ON)
def test_second_derivatives_are_right_in_every_mixture_of_modes(name, dtype):
    """Whoever computes them: the tangent of a function of PyTorch's may have wrong derivatives."""
    cases = [case for case in verify.draw_cases(REGISTRY[name], dtype) if not case.options]
    if not cases:
        pytest.skip("no sample without options")
    arrays = cases[0].arrays
    if any(a is None or a.dtype.kind not in "fc" for a in arrays):
        pytest.skip("not all arrays have a derivative")
    rng = np.random.default_rng(1)
    along = [np.asarray(rng.standard_normal(a.shape) * (1 + 0.5j if a.dtype.kind == "c" else 1)) for a in arrays]
    of_torch, of_numpy = _functions(name, arrays)
    every = tuple(range(len(arrays)))
    _, expected = overbar.jvp(overbar.grad(of_numpy, argnums=every), tuple(arrays), tuple(along))
    twice = sum(np.vdot(d, bar).real for d, bar in zip(along, expected, strict=True))

    x, v = [torch.tensor(a) for a in arrays], [torch.tensor(d) for d in along]
    gradient = torch.func.grad(of_torch, argnums=every)

    def tangent(*x):
        return torch.func.jvp(of_torch, x, tuple(v))[1]

    def product(*x):
        return sum(torch.vdot(d.ravel(), bar.ravel()).real for d, bar in zip(v, gradient(*x), strict=True))

    size = max(abs(e).max() for e in expected)
    for found in (
        torch.func.jvp(gradient, tuple(x), tuple(v))[1],
        torch.func.grad(tangent, argnums=every)(*x),
        torch.func.grad(product, argnums=every)(*x),
    ):
        for mine, other in zip(found, expected, strict=True):
            assert abs(mine.resolve_conj().numpy() - other).max() < 1e-8 * size
    assert abs(torch.func.jvp(tangent, tuple(x), tuple(v))[1] - twice) < 1e-8 * max(size, abs(twice))


@pytest.mark.parametrize("changed", [0, 1])
@pytest.mark.parametrize("shape", [(2, 2), (3, 2, 2)], ids=str)
def test_kron_knows_of_changes_in_place(shape, changed):
    """The gradient of torch.kron would be that of the changed numbers."""
    factors = [torch.ones(shape, dtype=torch.float64), torch.ones(2, 2, dtype=torch.float64)]
    factors[1 - changed].requires_grad_()
    C = torch_ops.kron(*factors)
    factors[changed].mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        C.sum().backward()


def test_kron_takes_transposed_matrices():
    """torch.kron refuses them."""
    A, B = torch.rand(3, 2, dtype=D).requires_grad_(), torch.rand(2, 3, dtype=D).requires_grad_()
    for X, Y in ((A.mT, B), (B, A.mT), (A[:, :1], B.mT), (A.mT[::2], B)):
        torch.testing.assert_close(torch_ops.kron(X, Y), torch.kron(X.contiguous(), Y.contiguous()))
    assert torch.autograd.gradcheck(lambda A, B: torch_ops.kron(A.mT, B), (A, B))
    stacked = torch.rand(4, 3, 2, dtype=D)
    found = torch.vmap(lambda M: torch_ops.kron(M, B))(stacked.mT)
    torch.testing.assert_close(found[1], torch.kron(stacked[1].mT.contiguous(), B))
    # of all dimensions, as torch.kron has it
    torch.testing.assert_close(torch_ops.kron(stacked.mT, A), torch.kron(stacked.mT.contiguous(), A))
