"""On one thread NumPy computes some primitives in the memory of tensors, where nobody watches; everywhere else torch
does. May import `torch_ops`."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import overbar  # noqa: E402
import torch_ops  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from tests.compare import close  # noqa: E402
from torch_ops import _function, _numpy, _words  # noqa: E402
from torch_ops import _originals as originals  # noqa: E402

N = 80  # above the order from which SciPy's LAPACK is taken


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(_numpy, "ONE_THREAD", True)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def by_numpy(monkeypatch):
    """The names of the primitives that NumPy computed, function or rule."""
    names, quicker = [], _function.quicker

    def seen(primitive, *args, **kwargs):
        found = quicker(primitive, *args, **kwargs)
        if found is not None:
            names.append(primitive.name)
        return found

    monkeypatch.setattr(_function, "quicker", seen)
    return names


@pytest.fixture
def no_lapack_of_torch(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("torch's own kernel")

    monkeypatch.setattr(originals.linalg, "cholesky_ex", refuse)


def data(dtype=torch.float64, n=N):
    rng = np.random.default_rng(n)
    X, y = rng.normal(size=(n, 2)), rng.normal(size=n)
    return torch.tensor(X, dtype=dtype), torch.tensor(y, dtype=dtype)


def parameters(dtype=torch.float64):
    return [torch.tensor(x, dtype=dtype, requires_grad=True) for x in ([0.7, 1.3], 1.5, [0.2])]


def likelihood(X, y, lengthscale, variance, noise):
    return torch_ops.gaussian_logpdf(y, torch.zeros_like(y), torch_ops.rbf(X, lengthscale, variance, noise=noise))


factor = torch_ops._front.TORCH.xp.cholesky


def definite(dtype=torch.float64):
    A = torch.tensor(np.random.default_rng(0).normal(size=(N, N)), dtype=dtype)
    return A @ A.mH + N * torch.eye(N, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_the_factor_is_lapacks(no_lapack_of_torch, dtype):
    A = definite(dtype)
    A = A + 0.1j * (A.tril(-1) - A.tril(-1).mT) / N if dtype.is_complex else A
    for given in (A, A.mT.contiguous().mT, A.mH if dtype.is_complex else A.mT):
        L = factor(given)
        assert L.dtype == dtype
        assert torch.equal(L, L.tril())
        close((L @ L.mH).numpy(), given.resolve_conj().numpy(), 1e-5 if L.real.dtype == torch.float32 else 1e-13)


def test_the_input_stays_and_the_factor_is_in_other_memory(no_lapack_of_torch):
    A = definite()
    before = A.clone()
    L = factor(A)
    L.zero_()
    assert torch.equal(A, before)


def test_a_matrix_that_is_not_definite_is_refused_in_torchs_words():
    A = definite()
    A[70, 70] = -1.0
    with pytest.raises(torch.linalg.LinAlgError, match=r"(?s)linalg\.cholesky.*71"):
        factor(A)
    assert factor(A, on_error="nan").isnan().all()
    with pytest.raises(torch.linalg.LinAlgError, match="is not finite"):
        factor(definite().fill_(float("nan")))


def test_more_threads_or_another_environment_are_torchs(monkeypatch, no_lapack_of_torch):
    A = definite()
    torch.set_num_threads(2)
    with pytest.raises(AssertionError, match="torch's own"):
        factor(A)
    torch.set_num_threads(1)
    monkeypatch.setattr(_numpy, "ONE_THREAD", False)
    with pytest.raises(AssertionError, match="torch's own"):
        factor(A)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_value_and_gradient_are_numpys(by_numpy, dtype):
    (X, y), given = data(dtype), parameters(dtype)
    value = likelihood(X, y, *given)
    bars = torch.autograd.grad(value, given)
    assert by_numpy == ["rbf", "gaussian_logpdf", "gaussian_logpdf", "rbf"]
    assert {x.dtype for x in (value, *bars)} == {dtype}
    arrays = [x.detach().double().numpy() for x in given]

    def of_numpy(lengthscale, variance, noise):
        K = overbar.rbf(X.double().numpy(), lengthscale, variance, noise)
        return overbar.gaussian_logpdf(y.double().numpy(), np.zeros(N), K)

    expected, expected_bars = overbar.value_and_grad(of_numpy, argnums=(0, 1, 2))(*arrays)
    tolerance = 1e-12 if dtype == torch.float64 else 5e-3  # of sums that cancel
    close(value.detach().numpy(), expected, tolerance)
    for bar, x in zip(bars, expected_bars, strict=True):
        close(bar.numpy(), x, tolerance)


def test_outputs_and_bars_have_memory_of_their_own(by_numpy):
    (X, y), K = data(), definite().requires_grad_()
    y.requires_grad_()
    mean = torch.zeros_like(y).requires_grad_()
    bars = torch.autograd.grad(torch_ops.gaussian_logpdf(y, mean, K), (y, mean, K))
    noise = torch.full((N,), 0.3, dtype=torch.float64, requires_grad=True)
    K2 = torch_ops.rbf(X, 1.0, noise=noise)
    K2_bar = torch.randn(N, N, dtype=torch.float64)
    (noise_bar,) = torch.autograd.grad(K2, noise, K2_bar)
    kept = K2_bar.clone()
    noise_bar.zero_()
    assert torch.equal(K2_bar, kept)
    before = [bar.clone() for bar in bars]
    bars[0].zero_()
    assert torch.equal(bars[1], before[1])
    assert by_numpy


def test_who_watches_gets_the_rules_of_torch(by_numpy):
    (X, y), given = data(), parameters()

    def of(*numbers):
        return likelihood(X, y, *numbers)

    value = of(*given)
    by_numpy.clear()
    gradients = torch.autograd.grad(value, given, create_graph=True)
    assert by_numpy == []
    second = torch.autograd.grad(sum(bar.sum() for bar in gradients), given)
    plain = [x.detach() for x in given]
    summed = lambda *numbers: sum(b.sum() for b in torch.func.grad(of, argnums=(0, 1, 2))(*numbers))  # noqa: E731
    for found, expected in zip(torch.func.grad(summed, argnums=(0, 1, 2))(*plain), second, strict=True):
        close(found.numpy(), expected.numpy(), 1e-9)
    _, dot = torch.func.jvp(of, tuple(plain), tuple(map(torch.ones_like, plain)))
    close(dot.numpy(), sum(bar.detach().sum() for bar in gradients).numpy(), 1e-10)
    variances = torch.tensor([0.5, 1.5, 2.5], dtype=torch.float64)
    values = torch.vmap(lambda variance: of(plain[0], variance, plain[2]))(variances)
    close(values.numpy(), [of(plain[0], v, plain[2]).item() for v in variances], 1e-12)


def test_errors_are_torchs(by_numpy):
    X, y = data()
    with pytest.raises(torch.linalg.LinAlgError, match="lengthscale or variance is not positive"):
        torch_ops.rbf(X, -1.0)
    with pytest.raises(torch.linalg.LinAlgError, match=r"(?s)argument K is not positive definite.*linalg\.cholesky"):
        torch_ops.gaussian_logpdf(y, torch.zeros_like(y), -definite())
    assert by_numpy == []


def test_a_mode_of_the_users_sees_every_op():
    class Seen(torch.utils._python_dispatch.TorchDispatchMode):
        names = ()

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            self.names += (str(function),)
            return function(*args, **(kwargs or {}))

    with Seen() as seen:
        factor(definite())
    assert any("cholesky" in name for name in seen.names)


def test_large_buffers_come_from_numpy_and_fit(monkeypatch):
    monkeypatch.setattr(_words, "_LARGE", N)
    made, from_numpy = [], torch.from_numpy
    monkeypatch.setattr(torch, "from_numpy", lambda A: made.append(A) or from_numpy(A))
    front = torch_ops._front.TORCH
    A = torch.ones(N, 1, dtype=torch.float32)
    buffer = front.buffer(A, A.mT)
    assert (buffer.shape, buffer.dtype, len(made)) == ((N, N), torch.float32, 1)
    front.buffer(A[:2], A[:2].mT)
    assert len(made) == 1


def test_what_requires_no_gradient_may_be_written_to_while_gradients_are_on():
    front, A = torch_ops._front.TORCH, torch.ones(3, 3)
    assert torch.is_grad_enabled()
    assert front.may_write(A)
    assert front.buffer(A) is not None
    assert not front.may_write(A, A.clone().requires_grad_())
    assert torch.func.grad(lambda x: torch.tensor(float(front.may_write(x))) * x.sum())(A).sum() == 0


def test_those_that_numpy_computes_are_primitives():
    assert set(overbar.rules.REGISTRY) >= _numpy.QUICKER


# ---------------------------------------------------------------------------------------------------------------------
# Few numbers, on any number of threads


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64], ids=lambda dtype: dtype.__name__)
def test_what_numpy_finds_is_what_torch_finds(first, dtype, monkeypatch):
    """Outputs, and gradients of first and second order."""
    primitive, case = first.primitive, first.draw(dtype)

    def computed(few):
        monkeypatch.setattr(_numpy, "FEW", few)
        arrays = [torch.from_numpy(np.array(A)) for A in case.arrays]
        smooth = [A.requires_grad_() for A in arrays if A.is_floating_point() or A.is_complex()]
        outputs = primitive(*([arrays] if primitive.variadic else arrays), **case.options)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)

        def gradient(tensors, **options):
            loss = 0
            for x in tensors:
                weights = torch.cos(torch.arange(x.numel(), dtype=x.real.dtype)).reshape(x.shape)
                loss = loss + (weights * (x.real**2 + x.real + x.imag if x.is_complex() else x**2 + x)).sum()
            return torch.autograd.grad(loss, smooth, allow_unused=True, **options)

        loss = [x for x in outputs if x.requires_grad]
        first = gradient(loss, create_graph=True)
        slopes = [x for x in first if x is not None and x.requires_grad]
        return outputs, first, gradient(loss, retain_graph=True), gradient(slopes) if slopes else ()

    by_numpy, by_torch = computed(2**12), computed(-1)
    eps = torch.finfo(by_torch[0][0].dtype).eps if by_torch[0][0].is_floating_point() else np.finfo(dtype).eps
    for one, other in zip(by_numpy, by_torch, strict=True):
        for a, b in zip(one, other, strict=True):
            assert (a is None) == (b is None)
            if a is not None:
                assert (a.dtype, a.shape) == (b.dtype, b.shape)
                close(a, b, rtol=1e5 * eps)


def test_what_is_left_to_torch_exists():
    assert REGISTRY.keys() >= _numpy.BRIEF | _numpy.ONE_OPERATION | _numpy.QUICKER


def test_few_numbers_are_numpys_on_any_number_of_threads(by_numpy, monkeypatch):
    monkeypatch.setattr(_numpy, "FEW", 2**12)
    torch.set_num_threads(2)
    A = definite()[:8, :8].clone().requires_grad_()
    w, V = torch_ops.linalg.eigh.rule_op(A)
    torch.autograd.grad(w.sum() + V.sum(), A)
    assert by_numpy == ["eigh", "eigh"]
    by_numpy.clear()
    torch_ops.linalg.eigh.rule_op(definite())
    assert by_numpy == []


def test_a_second_derivative_is_torchs(by_numpy, monkeypatch):
    """In an outer graph NumPy computes the primitives of which the rule is made, and not the rule."""
    monkeypatch.setattr(_numpy, "FEW", 2**12)
    A = definite()[:4, :4].clone().requires_grad_()
    (bar,) = torch.autograd.grad(torch_ops.cholesky.rule_op(A).sum(), A, create_graph=True)
    assert by_numpy == ["cholesky"]
    (second,) = torch.autograd.grad((bar * bar).sum(), A)
    monkeypatch.setattr(_numpy, "FEW", -1)
    B = A.detach().clone().requires_grad_()
    (bar,) = torch.autograd.grad(torch_ops.cholesky.rule_op(B).sum(), B, create_graph=True)
    torch.testing.assert_close(second, torch.autograd.grad((bar * bar).sum(), B)[0], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_factors_are_read_by_who_made_them(dtype, monkeypatch):
    """Of `solve`, in a mode where torch computes the one and NumPy might compute the other."""
    monkeypatch.setattr(_numpy, "FEW", 2**12)
    A = (definite(dtype)[:4, :4] + torch.arange(16.0, dtype=dtype).reshape(4, 4)).flip(0)
    b = torch.ones(4, dtype=dtype)
    loss = lambda solve: lambda A: (solve(A, b) ** 3).sum()  # noqa: E731
    expected = torch.func.hessian(loss(torch.linalg.solve))(A)
    found = torch.func.jacrev(torch.func.jacfwd(loss(overbar.solve)))(A)
    close(found, expected, 1e4 * torch.finfo(dtype).eps)
    close(torch.autograd.functional.hessian(loss(overbar.solve), A), expected, 1e4 * torch.finfo(dtype).eps)


def test_an_output_is_contiguous_and_nobody_elses(monkeypatch):
    monkeypatch.setattr(_numpy, "FEW", 2**12)
    A = definite()[:4, :4].contiguous()
    for out in (torch_ops.cholesky.rule_op(A, upper=True), *torch_ops.linalg.eigh.rule_op(A)):
        out.view(-1).zero_()
    torch.testing.assert_close(A, definite()[:4, :4])


def test_an_error_of_few_numbers_is_torchs(by_numpy, monkeypatch):
    monkeypatch.setattr(_numpy, "FEW", 2**12)
    with pytest.raises(torch.linalg.LinAlgError, match="argument A"):
        torch_ops.cholesky.rule_op(-torch.eye(3))
    with pytest.raises(torch.linalg.LinAlgError, match="singular"):
        torch_ops.linalg.solve.rule_op(torch.zeros(2, 2), torch.ones(2))
    assert by_numpy == []
