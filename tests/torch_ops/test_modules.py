"""The ops where models use them: modules and optimizers, parametrizations, distributions, other people's code, lower
precision and data-parallel processes. Losses and gradients are those of PyTorch's own functions. May import
`torch_ops`.

The matrices have 200 rows, so that the rules are ours and not PyTorch's, to which smaller ones are passed on.
"""

import copy
import inspect
import os
import pickle
import sys
import threading
import types

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.distributions import MultivariateNormal, kl_divergence  # noqa: E402
from torch.nn.utils import parametrize  # noqa: E402

import torch_ops  # noqa: E402
from overbar import rules  # noqa: E402
from overbar.verify import call  # noqa: E402
from tests.processes import run_ranks  # noqa: E402
from torch_ops import _ops  # noqa: E402
from torch_ops._rerouting import ROUTES  # noqa: E402

N = 200


def _logdet(L):
    return 2 * L.diagonal(0, -2, -1).log().sum(-1)


BUILTIN = types.SimpleNamespace(
    cholesky=torch.linalg.cholesky,
    solve_triangular=torch.linalg.solve_triangular,
    cho_solve=lambda L, B: torch.cholesky_solve(B, L),
    cho_logdet=_logdet,
    exp=torch.exp,
    matmul=torch.matmul,
    inv_congruence=lambda A, B: B.mT @ torch.linalg.solve(A, B),
    tril=torch.tril,
)


def inputs(n=N, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(n, 2, generator=generator, dtype=torch.float64)
    y = torch.sin(6 * x[:, 0]) + x[:, 1] + 0.1 * torch.randn(n, generator=generator, dtype=torch.float64)
    return x.to(dtype), y[:, None].to(dtype)


class GaussianProcess(nn.Module):
    """The negative log likelihood of a Gaussian process, by the functions in `ops`."""

    def __init__(self, ops):
        super().__init__()
        self.ops = ops
        self.features = nn.Linear(2, 3, bias=False, dtype=torch.float64)
        self.log_noise = nn.Parameter(torch.tensor(-1.0, dtype=torch.float64))
        self.log_scale = nn.Parameter(torch.tensor(0.5, dtype=torch.float64))
        with torch.no_grad():
            self.features.weight.copy_(torch.tensor([[1.0, 0.5], [-0.5, 1.0], [0.3, 0.2]]))

    def covariance(self, x):
        z = self.features(x)
        square = (z * z).sum(-1)
        distance = square[:, None] + square - 2 * self.ops.matmul(z, z.mT)
        eye = torch.eye(len(x), dtype=x.dtype)
        return self.ops.exp(self.log_scale - distance) + self.log_noise.exp() * eye

    def forward(self, x, y):
        return negative_log_likelihood(self.ops, self.covariance(x), y)


def negative_log_likelihood(ops, K, y):
    L = ops.cholesky(K)
    half = ops.solve_triangular(L, y, upper=False)
    alpha = ops.cho_solve(L, y)
    # the quadratic form three times over: each op has a part in the gradient
    quadratic = half.square().sum() + (y * alpha).sum() + ops.inv_congruence(K, y).sum()
    return (quadratic / 3 + ops.cho_logdet(L)) / 2 / len(y)


OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.02, momentum=0.9),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.05),
    "LBFGS": lambda parameters: torch.optim.LBFGS(parameters, lr=0.05, max_iter=3),
}


def train(model, optimizer, steps=5):
    """The losses and gradients of each step."""
    x, y = inputs()
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    record = []

    def closure():
        optimizer.zero_grad()
        loss = model(x, y)
        loss.backward()
        if not isinstance(optimizer, torch.optim.LBFGS):  # which needs the gradient of what it minimizes
            nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        record.append([loss.detach(), *(p.grad.clone() for p in model.parameters())])
        return loss

    for _ in range(steps):
        optimizer.step(closure)
    return record


def difference(found, expected):
    """The largest relative difference between two lists of lists of tensors."""
    pairs = [pair for lists in zip(found, expected, strict=True) for pair in zip(*lists, strict=True)]
    with torch.no_grad():
        return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


def loss_and_gradients(loss, parameters):
    return [loss.detach(), *torch.autograd.grad(loss, parameters)]


@pytest.fixture
def wrong(monkeypatch):
    """Makes the gradient of the Cholesky decomposition wrong by one part in a thousand million."""
    right = rules.cholesky.vjp_rule

    def vjp(*args, **options):
        (A_bar,) = right(*args, **options)
        return (lambda: A_bar() * (1 + 1e-9),)

    return lambda: monkeypatch.setattr(rules.cholesky, "vjp_rule", vjp)


# ---------------------------------------------------------------------------------------------------------------------
# Modules and optimizers


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_training_is_the_same_step_by_step(optimizer):
    ours, theirs = GaussianProcess(torch_ops), GaussianProcess(BUILTIN)
    found, expected = train(ours, optimizer), train(theirs, optimizer)
    assert len(found) == len(expected) >= 5
    assert expected[-1][0] < expected[0][0]
    assert difference(found, expected) < 1e-11
    assert difference([list(ours.parameters())], [list(theirs.parameters())]) < 1e-11


def test_a_wrong_gradient_is_caught_by_training(wrong):
    expected = train(GaussianProcess(BUILTIN), "SGD", steps=1)
    wrong()
    found = train(GaussianProcess(torch_ops), "SGD", steps=1)
    assert difference(found, expected) > 1e-10


class Holder(nn.Module):
    """A module that has an op and a primitive for attributes."""

    def __init__(self):
        super().__init__()
        self.decompose, self.solve = torch_ops.cholesky, rules.cho_solve
        self.A = nn.Parameter(torch.eye(3, dtype=torch.float64) * 4)

    def forward(self, b):
        return self.solve(self.decompose(self.A), b)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_module_that_holds_ops_is_copied_and_pickled(copied):
    b, module = torch.ones(3, dtype=torch.float64), Holder()
    other = copied(module)
    assert other.decompose is torch_ops.cholesky
    assert other.solve is rules.cho_solve
    (bar,) = torch.autograd.grad(other(b).sum(), other.A)
    torch.testing.assert_close(bar, torch.full((3, 3), -1 / 16, dtype=torch.float64))


# ---------------------------------------------------------------------------------------------------------------------
# Parametrizations


class PositiveDefinite(nn.Module):
    """Positive definite matrices from any, by their Cholesky factor: its diagonal is the exponential of the given."""

    def forward(self, X):
        L = torch_ops.tril(X, -1) + torch_ops.diag_embed(torch_ops.exp(torch_ops.diagonal(X)))
        return torch_ops.matmul(L, L.mT)

    def right_inverse(self, A):
        L = torch_ops.cholesky(A)
        return torch_ops.tril(L, -1) + torch_ops.diag_embed(torch_ops.log(torch_ops.diagonal(L)))


def metric(n=4):
    """x ↦ xᵀ A x with positive definite A."""
    module = nn.Bilinear(n, n, 1, bias=False, dtype=torch.float64)
    start = 2 * torch.eye(n, dtype=torch.float64) + 0.5
    with torch.no_grad():
        module.weight.copy_(start)
    parametrize.register_parametrization(module, "weight", PositiveDefinite())
    return module, start


def original(module):
    """The parameter from which the weight is made."""
    return module.parametrizations.weight.original


def fit(module, steps=200):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(40, 4, generator=generator, dtype=torch.float64)
    target = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64)) + 0.3
    y = torch.einsum("bi,ij,bj->b", x, target, x)[:, None]
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    for _ in range(steps):
        optimizer.zero_grad()
        (module(x, x) - y).square().mean().backward()
        optimizer.step()
    return target


def test_a_parametrization_starts_where_the_weight_was_and_finds_the_matrix():
    module, start = metric()
    torch.testing.assert_close(module.weight[0], start)
    target = fit(module)
    torch.testing.assert_close(module.weight[0], target, rtol=0.05, atol=0.05)
    assert torch.linalg.eigvalsh(module.weight[0]).min() > 0
    module.weight = target[None]  # by right_inverse
    torch.testing.assert_close(module.weight[0], target)


def test_a_parametrized_module_is_saved_and_copied():
    module, _ = metric()
    fit(module, steps=5)
    other, _ = metric()
    other.load_state_dict(module.state_dict())
    for twin in (other, copy.deepcopy(module)):
        assert torch.equal(twin.weight, module.weight)
        assert original(twin) is not original(module)
        fit(twin, steps=1)
        assert not torch.equal(twin.weight, module.weight)
    with pytest.raises(RuntimeError, match="only supported through state_dict"):
        pickle.dumps(module)  # of no parametrized module of PyTorch's
    state = pickle.loads(pickle.dumps(module.state_dict()))
    assert torch.equal(state["parametrizations.weight.original"], original(module))
    parametrize.remove_parametrizations(module, "weight")
    assert isinstance(module.weight, nn.Parameter)


def test_a_parametrization_may_be_cached():
    module, _ = metric()
    x = torch.ones(1, 4, dtype=torch.float64)
    with parametrize.cached():
        assert module.weight is module.weight
        module(x, x).sum().backward()
    assert original(module).grad.abs().max() > 0


# ---------------------------------------------------------------------------------------------------------------------
# Distributions, and other code that calls PyTorch's functions


def covariance(seed=0, n=N):
    G = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (G @ G.mT / n + torch.eye(n, dtype=torch.float64)).requires_grad_()


def everything_of(normal, other):
    """A number that needs the density, the reparametrized samples, the entropy and the divergence."""
    torch.manual_seed(0)
    value = torch.linspace(-1, 1, N, dtype=torch.float64)
    sample = normal.rsample((3,))
    return (
        normal.log_prob(torch.stack([value, value.flip(0)])).sum()
        + sample.square().sum()
        + normal.entropy()
        + kl_divergence(normal, other)
        + kl_divergence(other, normal)
    )


def multivariate_normal(decompose, argument):
    A, mean = covariance(), torch.zeros(N, dtype=torch.float64, requires_grad=True)
    matrix = decompose(A) if argument == "scale_tril" else A
    other = MultivariateNormal(torch.ones(N, dtype=torch.float64), covariance_matrix=covariance(seed=1).detach())
    loss = everything_of(MultivariateNormal(mean, **{argument: matrix}), other)
    return loss_and_gradients(loss, [A, mean])


def test_a_normal_distribution_by_its_cholesky_factor():
    found = multivariate_normal(torch_ops.cholesky, "scale_tril")
    assert difference([found], [multivariate_normal(torch.linalg.cholesky, "scale_tril")]) < 1e-12


@pytest.mark.parametrize("argument", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_a_normal_distribution_rerouted(argument):
    expected = multivariate_normal(torch.linalg.cholesky, argument)
    with torch_ops.reroute():
        found = multivariate_normal(torch.linalg.cholesky, argument)
    assert difference([found], [expected]) < 1e-12


@pytest.mark.parametrize("argument", ["covariance_matrix", "precision_matrix"])
def test_a_wrong_gradient_is_caught_in_a_normal_distribution(argument, wrong):
    expected = multivariate_normal(torch.linalg.cholesky, argument)
    wrong()
    assert difference([multivariate_normal(torch.linalg.cholesky, argument)], [expected]) == 0
    with torch_ops.reroute():
        found = multivariate_normal(torch.linalg.cholesky, argument)
    assert difference([found], [expected]) > 1e-10


def test_a_likelihood_rerouted_in_its_forward_pass_only():
    x, y = inputs()
    model = GaussianProcess(BUILTIN)
    parameters = list(model.parameters())
    expected = loss_and_gradients(model(x, y), parameters)
    with torch_ops.reroute():
        loss = model(x, y)
    assert difference([loss_and_gradients(loss, parameters)], [expected]) < 1e-12


def test_second_derivatives_and_transforms_are_rerouted():
    A = covariance(n=130).detach()

    def loss(s):
        return torch.linalg.cholesky(A + s * torch.eye(130, dtype=torch.float64)).sum()

    second = torch.func.grad(torch.func.grad(loss))
    s = torch.tensor(0.5, dtype=torch.float64)
    expected = second(s)
    with torch_ops.reroute():
        assert difference([[second(s)]], [[expected]]) < 1e-11


def names_of(out):
    """The names of the nodes in the graph behind a tensor."""
    names, pending = set(), [out.grad_fn]
    while pending:
        node = pending.pop()
        names.add(node.name())
        pending += [parent for parent, _ in node.next_functions if parent is not None]
    return names


SPELLINGS = {
    "torch.linalg.cholesky": lambda A: torch.linalg.cholesky(A),
    "torch.linalg.cholesky, upper": lambda A: torch.linalg.cholesky(A, upper=True),
    "torch.linalg.cholesky_ex": lambda A: torch.linalg.cholesky_ex(A).L,
    "torch.linalg.cholesky_ex, upper": lambda A: torch.linalg.cholesky_ex(A, upper=True, check_errors=True)[0],
    "torch.cholesky": lambda A: torch.cholesky(A, True),
    "torch.cholesky, by name": lambda A: torch.cholesky(input=A, upper=True),
    "Tensor.cholesky": lambda A: A.cholesky(),
    "Tensor.cholesky, upper": lambda A: A.cholesky(upper=True),
    "torch.cholesky_solve": lambda A: torch.cholesky_solve(A[:, :2], A.tril()),
    "torch.cholesky_solve, by name": lambda A: torch.cholesky_solve(input=A[:, :2], input2=A.triu(), upper=True),
    "Tensor.cholesky_solve": lambda A: A[:, :2].cholesky_solve(A.triu(), True),
    "torch.linalg.solve_triangular": lambda A: torch.linalg.solve_triangular(
        A, torch.stack([A[:, :2], A[:, 2:4]]), upper=False
    ),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.filterwarnings("ignore:torch.cholesky is deprecated:UserWarning")
def test_every_spelling_is_rerouted(spelling):
    function, A = SPELLINGS[spelling], covariance()
    try:
        expected = function(A)
    except RuntimeError as error:
        if "is now removed" in str(error):
            pytest.skip("this version of PyTorch no longer has it")
        raise
    with torch_ops.reroute():
        found = function(A)
    ours = {"CholeskyBackward", "ChoSolveBackward", "SolveTriangularBackward"}
    assert names_of(found) & ours
    assert not names_of(expected) & ours
    bar = torch.linspace(0, 1, found.numel(), dtype=found.dtype).reshape(found.shape)
    gradients = [[out.detach(), *torch.autograd.grad(out, A, bar)] for out in (found, expected)]
    assert difference(gradients[:1], gradients[1:]) < 1e-12


def test_every_op_that_is_more_than_the_function_of_torch_is_rerouted():
    more = [op for op in vars(torch_ops).values() if getattr(op, "builtin", None) and op.use_builtin_when is not None]
    assert {op.builtin for op in more} <= set(ROUTES)
    # the methods stay replaced after many times, which changes nothing outside
    assert {torch.linalg.cholesky_ex, torch.cholesky, inspect.unwrap(torch.Tensor.cholesky)} <= set(ROUTES)
    assert torch.exp not in ROUTES


def test_what_failed_is_returned_as_torch_returns_it():
    A = torch.stack([torch.eye(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]])]).requires_grad_()
    expected = torch.linalg.cholesky_ex(A)
    with torch_ops.reroute():
        found = torch.linalg.cholesky_ex(A)
        fine = torch.linalg.cholesky_ex(A[:1])
        with pytest.raises(torch.linalg.LinAlgError):
            torch.linalg.cholesky_ex(A, check_errors=True)
        with pytest.raises(torch.linalg.LinAlgError, match="matrix 1 of the batch"):
            torch.linalg.cholesky(A)
        with pytest.raises(ValueError, match="covariance_matrix"):
            MultivariateNormal(torch.zeros(2), covariance_matrix=A, validate_args=True)
    for out in (found, fine):
        assert type(out) is type(expected)
        assert out.info.dtype == expected.info.dtype
        assert not out.info.requires_grad
        assert out.L.requires_grad
    assert torch.equal(found.info, expected.info)
    assert torch.equal(fine.info, expected.info[:1])


class Labelled(torch.Tensor):
    pass


def test_out_and_subclasses_are_left_to_torch():
    A = covariance().detach()
    out = torch.empty_like(A)
    with torch_ops.reroute():
        assert torch.linalg.cholesky(A, out=out) is out
        L = torch.linalg.cholesky(A.as_subclass(Labelled).requires_grad_())
    assert torch.equal(out, torch.linalg.cholesky(A))
    assert isinstance(L, Labelled)
    assert "LinalgCholeskyExBackward0" in names_of(L)


def rerouted():
    """Whether torch.linalg.cholesky is ours here."""
    A = torch.eye(2, dtype=torch.complex128, requires_grad=True)  # never passed on
    return "CholeskyBackward" in names_of(torch.linalg.cholesky(A))


def test_rerouting_nests_ends_and_decorates():
    assert not rerouted()
    with torch_ops.reroute():
        with torch_ops.reroute():
            assert rerouted()
        assert rerouted()
    assert not rerouted()
    with pytest.raises(KeyError), torch_ops.reroute():
        raise KeyError
    assert not rerouted()
    decorated = torch_ops.reroute()(rerouted)
    assert decorated()
    assert decorated()
    assert not rerouted()


def test_nested_rerouting_reroutes_once(monkeypatch):
    calls, function = [], rules.cholesky.function
    monkeypatch.setattr(rules.cholesky, "function", lambda *a, **k: calls.append(1) or function(*a, **k))
    with torch_ops.reroute(), torch_ops.reroute():
        torch.linalg.cholesky(covariance())
    assert calls == [1]


@pytest.mark.filterwarnings("ignore")  # torch warns of its own making while it compiles
def test_compiled_code_is_rerouted(wrong):
    A = covariance()

    def gradient(f):
        return [torch.autograd.grad(f(A), A)]

    def theirs(A):
        return torch.linalg.cholesky(A).sum()

    @torch_ops.reroute()
    def inside(A):
        return torch.linalg.cholesky(A).sum()

    expected = gradient(theirs)
    found = gradient(torch.compile(inside, backend="aot_eager", fullgraph=True))
    assert difference(found, expected) < 1e-12
    wrong()
    torch.compiler.reset()
    with torch_ops.reroute():
        outside = gradient(torch.compile(theirs, backend="aot_eager", fullgraph=True))
    assert 1e-10 < difference(outside, expected) < 1e-8
    assert difference(gradient(torch.compile(inside, backend="aot_eager", fullgraph=True)), outside) == 0
    assert difference(gradient(theirs), expected) == 0


def test_another_thread_is_not_rerouted():
    found = []
    with torch_ops.reroute():
        thread = threading.Thread(target=lambda: found.append(rerouted()))
        thread.start()
        thread.join()
        assert rerouted()
    assert found == [False]


# ---------------------------------------------------------------------------------------------------------------------
# Lower precision


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_single(first, dtype):
    """Value and gradient are those of float32, rounded."""
    primitive, case = first.primitive, first.draw()
    x = [torch.tensor(a).to(dtype).requires_grad_() for a in case.arrays]
    single = [t.detach().float().requires_grad_() for t in x]
    found, expected = (call(primitive, t, case.options) for t in (x, single))
    found, expected = (out if isinstance(out, tuple) else (out,) for out in (found, expected))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == (dtype if b.is_floating_point() else b.dtype)
        assert torch.equal(a, b.to(a.dtype))
    found, expected = ([out for out in outputs if out.requires_grad] for outputs in (found, expected))  # no integers
    bars = torch.autograd.grad(found, x, [torch.ones_like(a) for a in found])
    single_bars = torch.autograd.grad(expected, single, [torch.ones_like(b) for b in expected])
    for a, b in zip(bars, single_bars, strict=True):
        assert a.dtype == dtype
        assert torch.equal(a, b.to(dtype))


def under_autocast(ops, n, backward_inside=False):
    """How far loss and gradient are from those in float64."""
    K, y = covariance(n=n).detach(), inputs(n)[1]
    exact = K.clone().requires_grad_()
    expected = loss_and_gradients(negative_log_likelihood(BUILTIN, exact, y), [exact])
    single = K.float().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = negative_log_likelihood(ops, single, y.float())
        if backward_inside:
            found = loss_and_gradients(loss, [single])
    if not backward_inside:
        found = loss_and_gradients(loss, [single])
    assert all(x.dtype == torch.float32 for x in found)
    return difference([found], [expected])


@pytest.mark.parametrize("n", [20, N])
def test_autocast_leaves_decompositions_in_single_precision(n):
    """No digit of float32 is lost in a function or a rule."""
    assert under_autocast(torch_ops, n) < 1e-5
    assert under_autocast(BUILTIN, n) > 1e-4  # it has a product of PyTorch's


def test_rules_stay_in_single_precision_where_backward_is_called_under_autocast():
    """PyTorch's own do not, and neither do the ops that are PyTorch's."""
    assert under_autocast(rules, N, backward_inside=True) < 1e-5
    assert under_autocast(BUILTIN, N, backward_inside=True) > 1e-4


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("n", [4, 40])
def test_autocast_leaves_what_is_made_of_products_alone(n, watched):
    """Whoever takes a derivative, or nobody: PyTorch's own are in half precision."""
    A = torch.randn(n, n, generator=torch.Generator().manual_seed(0)).requires_grad_(watched)
    B = torch.ones(n, 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inverse, least = torch_ops.pinv(A), torch_ops.linalg.lstsq(A, B)
    for found, expected in (
        (inverse, torch_ops.pinv(A)),
        (least.solution, torch_ops.linalg.lstsq(A, B).solution),
        (least.residuals, torch_ops.linalg.lstsq(A, B).residuals),
    ):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, expected)


def test_products_are_left_to_autocast():
    A = torch.eye(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch_ops.matmul(A, A).dtype == torch.matmul(A, A).dtype == torch.bfloat16


def test_scaled_losses():
    """torch.amp.GradScaler: an overflow skips the step and lowers the scale, and then training goes on."""
    x, y = inputs(dtype=torch.float32)
    model = GaussianProcess(torch_ops).float()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, backoff_factor=2.0**-10)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(x, y)
        scaler.scale(loss * 16).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        losses.append(float(loss.detach()))
    assert scaler.get_scale() == 2.0**117
    assert losses[0] == losses[1] > losses[2]


# ---------------------------------------------------------------------------------------------------------------------
# Two processes


WORLD = 2


def data_parallel(ops, rank):
    """Losses, gradients and parameters of a few steps on this process's part of the data."""
    model = nn.parallel.DistributedDataParallel(GaussianProcess(ops))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    x, y = inputs(seed=rank)
    record = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = model(x, y)
        loss.backward()
        record.append([loss.detach(), *(p.grad.clone() for p in model.parameters())])
        optimizer.step()
    return {"record": record, "parameters": [p.detach().clone() for p in model.parameters()]}


def process(rank, folder):
    """What each of the processes does. The last training is by a wrong rule."""
    torch.set_num_threads(1)
    _ops.ON_INTEL = False  # as in the tests themselves: there PyTorch's derivative serves more than `N` rows
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # a host name need not resolve
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/store",
        rank=rank,
        world_size=WORLD,
    )
    try:
        results = {"ours": data_parallel(torch_ops, rank), "theirs": data_parallel(BUILTIN, rank)}
        right = rules.cholesky.vjp_rule
        rules.cholesky.vjp_rule = lambda *a, **k: tuple(
            lambda bar=bar: bar() * (1 + rank * 1e-6) for bar in right(*a, **k)
        )
        results["wrong"] = data_parallel(torch_ops, rank)
        torch.save(results, f"{folder}/{rank}.pt")
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch was built without torch.distributed")
def test_data_parallel_processes_train_as_with_the_functions_of_torch(tmp_path):
    run_ranks(process, (str(tmp_path),), WORLD)
    zero, one = (torch.load(tmp_path / f"{rank}.pt") for rank in range(WORLD))
    for rank in (zero, one):
        assert difference(rank["ours"]["record"], rank["theirs"]["record"]) < 1e-12
        assert difference([rank["ours"]["parameters"]], [rank["theirs"]["parameters"]]) < 1e-12
        assert difference(rank["wrong"]["record"], rank["theirs"]["record"]) > 1e-8  # a wrong rule is caught
    for name in ("ours", "theirs"):
        assert all(map(torch.equal, zero[name]["parameters"], one[name]["parameters"]))
        for (loss, *bars), (other_loss, *other_bars) in zip(zero[name]["record"], one[name]["record"], strict=True):
            assert loss != other_loss  # the data are different, the gradients are averaged
            assert all(map(torch.equal, bars, other_bars))
    # the first gradient is the mean of those of the two parts
    alone = []
    for rank in range(WORLD):
        model = GaussianProcess(BUILTIN)
        alone.append(loss_and_gradients(model(*inputs(seed=rank)), list(model.parameters()))[1:])
    mean = [(a + b) / 2 for a, b in zip(*alone, strict=True)]
    assert difference([zero["ours"]["record"][0][1:]], [mean]) < 1e-12
