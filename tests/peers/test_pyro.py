"""Pyro's Gaussian processes as they are, on our ops by one line: losses and gradients are what they are without it.

May import `torch_ops`. The dependency group `peers` has what is needed; what is not installed is skipped.
"""

import pytest

torch = pytest.importorskip("torch")
pyro = pytest.importorskip("pyro")

from pyro.contrib import gp  # noqa: E402
from pyro.infer import Trace_ELBO  # noqa: E402

import torch_ops  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries'

D = torch.float64
NORMAL = "torch.distributions.MultivariateNormal.log_prob"


@pytest.fixture
def installed():
    pyro.clear_param_store()
    yield torch_ops.install
    torch_ops.uninstall()


def data(n):
    X = torch.rand(n, 2, generator=torch.Generator().manual_seed(0), dtype=D)
    return X, torch.sin(6 * X).sum(-1)


def close(found, expected):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


KERNELS = {
    "RBF": lambda: gp.kernels.RBF(2, torch.tensor(1.5, dtype=D), torch.tensor([0.3, 0.5], dtype=D)),
    "Matern32": lambda: gp.kernels.Matern32(1, torch.tensor(1.5, dtype=D), torch.tensor(0.3, dtype=D), active_dims=[1]),
    "Matern52": lambda: gp.kernels.Matern52(2, torch.tensor(1.5, dtype=D), torch.tensor(0.3, dtype=D)),
}


@pytest.mark.parametrize("n, name", [(30, "RBF"), (220, "RBF"), *[(260, name) for name in KERNELS]])
def test_a_regression_is_trained_and_predicts_as_without_us(n, name, installed):
    X, y = data(n)
    model = gp.models.GPRegression(X, y, KERNELS[name](), noise=torch.tensor(0.1, dtype=D))

    def trained():
        loss = Trace_ELBO().differentiable_loss(model.model, model.guide)
        gradients = torch.autograd.grad(loss, [*model.parameters()])
        with torch.no_grad():
            return [loss.detach(), *gradients, *model(data(5)[0] + 0.1, full_cov=True)]

    expected = trained()
    routes = installed()
    close(trained(), expected)
    assert routes.counts.get(NORMAL, 0) == (n > 192)  # smaller factors are PyTorch's own
    assert (routes.counts.get(f"pyro.contrib.gp.kernels.{name}", 0) > 0) == (n >= 256)


def test_a_factor_of_somebody_elses_keeps_its_derivative(installed):
    """Outside of a model, whose factor nobody else has."""
    A = (torch.eye(200, dtype=D) * 2).requires_grad_()

    def gradients():
        L = torch.linalg.cholesky(A)
        normal = pyro.distributions.MultivariateNormal(torch.ones(200, dtype=D), scale_tril=L)
        return torch.autograd.grad(normal.log_prob(torch.zeros(200, dtype=D)), (A, L))

    expected = gradients()
    routes = installed()
    close(gradients(), expected)
    assert NORMAL not in routes.counts
