"""GPyTorch and BoTorch as they are, on our ops by one line: losses and gradients are what they are without it.

May import `torch_ops`. The dependency group `peers` has what is needed; what is not installed is skipped.
"""

import pytest

torch = pytest.importorskip("torch")
gpytorch = pytest.importorskip("gpytorch")

import torch_ops  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries'

D = torch.float64
FUSED = "linear_operator.operators.LinearOperator.inv_quad_logdet"
NORMAL = "torch.distributions.MultivariateNormal.log_prob"


class GaussianProcess(gpytorch.models.ExactGP):
    def __init__(self, X, y, likelihood):
        super().__init__(X, y, likelihood)
        self.mean = gpytorch.means.ConstantMean()
        self.kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel(ard_num_dims=X.shape[-1]))

    def forward(self, X):
        return gpytorch.distributions.MultivariateNormal(self.mean(X), self.kernel(X))


def data(n, dims=2):
    X = torch.rand(n, dims, generator=torch.Generator().manual_seed(0), dtype=D)
    return X, torch.sin(6 * X).sum(-1)


def model_of(n):
    X, y = data(n)
    likelihood = gpytorch.likelihoods.GaussianLikelihood().to(D)
    model = GaussianProcess(X, y, likelihood).to(D)
    return model, gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)


def trained(n, steps):
    """The losses of some steps, the last gradients, and a prediction with its variance."""
    model, likelihood = model_of(n)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model.train()
    found = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = -likelihood(model(*model.train_inputs), model.train_targets)
        loss.backward()
        found.append(loss.detach())
        optimizer.step()
    found += [p.grad.clone() for p in model.parameters()]
    model.eval()
    with torch.no_grad():
        prediction = model.likelihood(model(torch.rand(3, 2, generator=torch.Generator().manual_seed(1), dtype=D)))
        return [*found, prediction.mean, prediction.variance]


def close(found, expected):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.fixture
def installed():
    yield torch_ops.install
    torch_ops.uninstall()


@pytest.mark.parametrize("n", [30, 220, 260])
def test_an_exact_process_is_trained_and_predicts_as_without_us(n, installed):
    expected = trained(n, 3)
    routes = installed()
    close(trained(n, 3), expected)
    assert routes.counts["torch.linalg.cholesky_ex"] >= 3
    assert routes.counts.get(FUSED, 0) == (3 if n > 192 else 0)  # smaller factors are PyTorch's own
    assert (routes.counts.get("gpytorch.kernels.RBFKernel", 0) >= 3) == (n >= 256)


def test_with_the_density_of_torch(installed):
    """Without GPyTorch's fast computations, it is that of torch.distributions."""
    with gpytorch.settings.fast_computations(log_prob=False):
        expected = trained(220, 2)
        routes = installed()
        close(trained(220, 2), expected)
    assert routes.counts[NORMAL] == 2


def test_a_matrix_that_needs_jitter():
    """GPyTorch's own, which ours raises no error for, and which it is differentiated with."""
    from linear_operator.operators import to_linear_operator

    G = torch.randn(220, 30, generator=torch.Generator().manual_seed(0), dtype=D)
    b = torch.ones(220, 1, dtype=D)

    def loss_and_gradient():
        A = (G @ G.mT).requires_grad_()
        quad, logdet = to_linear_operator(A).inv_quad_logdet(inv_quad_rhs=b, logdet=True)
        return [(1e-6 * quad + logdet).detach(), 1e-6 * torch.autograd.grad(1e-6 * quad + logdet, A)[0]]

    expected = loss_and_gradient()
    with torch_ops.reroute() as routes:
        found = loss_and_gradient()
    torch.testing.assert_close(found[0], expected[0], rtol=1e-6, atol=1e-6)
    # two factorisations, by different libraries, of a matrix of condition 1e10: each is as exact as that allows
    torch.testing.assert_close(found[1], expected[1], rtol=5e-3, atol=1e-6)
    assert routes.counts["torch.linalg.cholesky_ex"] > 1
    assert routes.counts[FUSED] == 1


def test_the_terms_apart(installed):
    from linear_operator.operators import to_linear_operator

    G = torch.randn(220, 220, generator=torch.Generator().manual_seed(0), dtype=D)
    b = torch.ones(220, 2, dtype=D)

    def gradients():
        A, B = (G @ G.mT / 220 + torch.eye(220, dtype=D)).requires_grad_(), b.clone().requires_grad_()
        quad, logdet = to_linear_operator(A).inv_quad_logdet(inv_quad_rhs=B, logdet=True)
        return [quad.detach(), logdet.detach(), *torch.autograd.grad(quad.sin() + 3 * logdet, (A, B))]

    expected = gradients()
    routes = installed()
    close(gradients(), expected)
    assert routes.counts[FUSED] == 1


KERNELS = {
    "rbf": lambda dims: gpytorch.kernels.RBFKernel(ard_num_dims=dims),
    "rbf, one length scale": lambda dims: gpytorch.kernels.RBFKernel(),
    "scaled rbf": lambda dims: gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel(ard_num_dims=dims)),
    "two of them": lambda dims: gpytorch.kernels.ScaleKernel(
        gpytorch.kernels.RBFKernel(ard_num_dims=dims, batch_shape=torch.Size([2])), batch_shape=torch.Size([2])
    ),
    "matern 3/2": lambda dims: gpytorch.kernels.ScaleKernel(gpytorch.kernels.MaternKernel(nu=1.5, ard_num_dims=dims)),
    "scaled matern": lambda dims: gpytorch.kernels.ScaleKernel(gpytorch.kernels.MaternKernel(active_dims=[1])),
}


@pytest.mark.parametrize("other", [False, True], ids=["itself", "others"])
@pytest.mark.parametrize("name", KERNELS)
def test_covariances(name, other, installed):
    kernel = KERNELS[name](None if name == "scaled matern" else 2).to(D)
    X, X2 = data(300)[0], 1 + data(280)[0]
    weights = torch.rand(300, 280 if other else 300, generator=torch.Generator().manual_seed(1), dtype=D)

    def value_and_gradients():
        inputs = [X.clone().requires_grad_(), X2.clone().requires_grad_()] if other else [X]
        K = kernel(*inputs).to_dense()
        wanted = [*kernel.parameters(), *(inputs if other else [])]
        return [K.detach(), *torch.autograd.grad((weights * K).sum(), wanted)]

    expected = value_and_gradients()
    routes = installed()
    close(value_and_gradients(), expected)
    assert routes.counts == {f"gpytorch.kernels.{'MaternKernel' if 'matern' in name else 'RBFKernel'}": 1}


def test_noise_may_be_added_to_a_covariance_in_place(installed):
    kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel()).to(D)
    X = data(260)[0]

    def gradients():
        K = kernel(X).to_dense()
        K.view(-1)[:: len(X) + 1] += 0.1
        return torch.autograd.grad(K.logdet(), [*kernel.parameters()])

    expected = gradients()
    routes = installed()
    close(gradients(), expected)
    assert routes.counts["gpytorch.kernels.RBFKernel"] == 1


def test_noise_of_its_own_for_each_point(installed):
    """In one copy, on the diagonal."""
    X, y = data(260)
    noise = 0.1 + torch.rand(260, generator=torch.Generator().manual_seed(1), dtype=D)
    likelihood = gpytorch.likelihoods.FixedNoiseGaussianLikelihood(noise, learn_additional_noise=True).to(D)
    model = GaussianProcess(X, y, likelihood).to(D)
    marginal = gpytorch.mlls.ExactMarginalLogLikelihood(likelihood, model)

    def loss_and_gradients():
        loss = marginal(model(X), y)
        return [loss.detach(), *torch.autograd.grad(loss, [*model.parameters()])]

    expected = loss_and_gradients()
    routes = installed()
    close(loss_and_gradients(), expected)
    assert routes.counts["linear_operator.operators.AddedDiagLinearOperator.to_dense"] == 1


def test_what_a_covariance_leaves_to_gpytorch(installed):
    """Diagonals, few points, one dimension after the other, a cusp, and length scales that are no numbers."""
    kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel()).to(D)
    X = data(300)[0]
    routes = installed()
    assert torch.equal(kernel(X, diag=True), torch.full((300,), float(kernel.outputscale.detach()), dtype=D))
    kernel(X[:50]).to_dense()
    kernel(X, last_dim_is_batch=True).to_dense()
    gpytorch.kernels.MaternKernel(nu=0.5).to(D)(X).to_dense()
    assert routes.counts == {}
    torch.nn.init.constant_(kernel.base_kernel.raw_lengthscale, float("nan"))
    assert kernel(X).to_dense().isnan().all()


def test_an_acquisition_function_of_botorch(installed):
    pytest.importorskip("botorch")
    from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement
    from botorch.models import SingleTaskGP

    X, y = data(30)
    model = SingleTaskGP(X, y[:, None])

    def values_and_gradients():
        found = []
        for kind, q in ((LogExpectedImprovement, 1), (qLogExpectedImprovement, 3)):
            points = torch.rand(4, q, 2, generator=torch.Generator().manual_seed(2), dtype=D).requires_grad_()
            torch.manual_seed(3)
            value = kind(model, y.max())(points)
            found += [value.detach(), torch.autograd.grad(value.sum(), points)[0]]
        return found

    expected = values_and_gradients()
    installed()
    close(values_and_gradients(), expected)
