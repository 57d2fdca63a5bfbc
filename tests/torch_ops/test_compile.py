"""The ops under torch.compile: in the graph whole, with their own derivative. May import `torch_ops`."""

import pytest

torch = pytest.importorskip("torch")

import overbar  # noqa: E402
import torch_ops  # noqa: E402


def positive_definite(n):
    X = torch.randn(n, n, dtype=torch.float64, generator=torch.Generator().manual_seed(n))
    return (X @ X.mT + n * torch.eye(n, dtype=torch.float64)).requires_grad_()


def model(A):
    B = A[:, :2]
    L = torch_ops.cholesky(A)
    z = torch_ops.solve_triangular(L, B, upper=False)
    part = torch_ops.subset(L, index=(slice(0, 2), 1))
    quadratic = torch_ops.inv_congruence(A, B)
    return (z * z).sum() + torch_ops.cho_logdet(L) + part.sum() + quadratic.sum() + torch_ops.tril(L, -1).sum()


def gradient(f, A):
    return torch.autograd.grad(f(A), A)[0]


# torch warns of its own making while it compiles
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def fresh():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
def test_ops_compile_into_one_graph(backend):
    A = positive_definite(5)
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    torch.testing.assert_close(gradient(compiled, A), gradient(model, A), rtol=1e-12, atol=1e-12)


def test_the_graph_holds_for_other_sizes():
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend="aot_eager")
    for n in (5, 7, 9):
        A = positive_definite(n)
        torch.testing.assert_close(gradient(compiled, A), gradient(model, A), rtol=1e-12, atol=1e-12)


def test_a_primitive_by_its_own_name_breaks_the_graph_and_is_right():
    def loss(A):
        return (overbar.cholesky(A) ** 2).sum()

    A = positive_definite(5)
    torch.testing.assert_close(gradient(torch.compile(loss, backend="aot_eager"), A), gradient(loss, A))


def test_a_failure_is_the_same_error():
    compiled = torch.compile(torch_ops.cholesky, backend="aot_eager")
    with pytest.raises(torch.linalg.LinAlgError, match="not positive"):
        compiled(-torch.eye(3, dtype=torch.float64))
