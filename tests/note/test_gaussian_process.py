"""Why it matters, in the lecture note: the gradient of a Gaussian process by D length scales. May import `overbar`.

K = s² exp(−½ Σ_d (x_id − x_jd)²/ℓ_d²) + σ² I, by the logarithms of ℓ, s and σ. Four ways lead to the same gradient: one
reverse sweep, a forward sweep for each parameter, differences, and the textbook's ½ tr((ααᵀ − K⁻¹) ∂K/∂θ) with all
∂K/∂log ℓ_d in one N × N × D array. What they cost is counted in calls of rules and in bytes, which no clock disturbs.
"""

import tracemalloc

import numpy as np
import pytest
from scipy.optimize import minimize

import overbar


class Problem:
    """Inputs of which the first two say something, and parameters away from the maximum."""

    def __init__(self, N, D, seed=0):
        rng = np.random.default_rng(seed)
        self.X = rng.standard_normal((N, D))
        self.y = np.sin(2 * self.X[:, 0]) + 0.5 * self.X[:, min(1, D - 1)] + 0.1 * rng.standard_normal(N)
        self.parameters = {"lengths": 0.5 * np.log(D) + 0.3 * rng.standard_normal(D), "size": 0.2, "noise": -1.0}
        self.vector, self.rebuild = overbar.flatten(self.parameters)

    def kernel(self, parameters):
        """The kernel without noise, by products of matrices."""
        Z = overbar.name(self.X * np.exp(-parameters["lengths"]), "Z")
        squares = np.sum(Z**2, axis=1)
        S = overbar.name(squares[:, None] + squares - 2 * Z @ Z.T, "S")
        return np.exp(2 * parameters["size"]) * np.exp(-S / 2)

    def negative_log_likelihood(self, parameters):
        N = len(self.y)
        K = overbar.name(self.kernel(parameters) + np.exp(2 * parameters["noise"]) * np.eye(N), "K")
        L = overbar.cholesky(K)
        return (self.y @ overbar.cho_solve(L, self.y) + overbar.cho_logdet(L) + N * np.log(2 * np.pi)) / 2

    def of_vector(self, vector):
        return self.negative_log_likelihood(self.rebuild(vector))

    def K_bar(self):
        """½ (K⁻¹ − ααᵀ), by the textbook's formula."""
        K = self.kernel(self.parameters) + np.exp(2 * self.parameters["noise"]) * np.eye(len(self.y))
        alpha = np.linalg.solve(K, self.y)
        return (np.linalg.inv(K) - np.outer(alpha, alpha)) / 2

    # the four ways, each as a vector

    def reverse(self):
        return overbar.flatten(overbar.grad(self.negative_log_likelihood)(self.parameters))[0]

    def forward(self):
        return np.array([overbar.jvp(self.of_vector, (self.vector,), (unit,))[1] for unit in np.eye(len(self.vector))])

    def differences(self, h=1e-5):
        steps = h * np.eye(len(self.vector))
        return np.array([self.of_vector(self.vector + s) - self.of_vector(self.vector - s) for s in steps]) / (2 * h)

    def textbook(self):
        squares = ((self.X[:, None, :] - self.X[None, :, :]) / np.exp(self.parameters["lengths"])) ** 2
        F = np.exp(2 * self.parameters["size"] - np.sum(squares, axis=2) / 2)
        noise2 = np.exp(2 * self.parameters["noise"])
        K_bar, dK = self.K_bar(), F[:, :, None] * squares
        by_lengths = np.einsum("ij,ijd->d", K_bar, dK)
        return np.array([*by_lengths, np.sum(K_bar * 2 * F), 2 * noise2 * np.trace(K_bar)])


@pytest.mark.parametrize(("N", "D"), [(12, 1), (15, 4), (9, 20)])
def test_four_ways_to_the_same_gradient(N, D):
    problem = Problem(N, D)
    found = problem.reverse()
    assert found.shape == (D + 2,)
    np.testing.assert_allclose(problem.forward(), found, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(problem.textbook(), found, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(problem.differences(), found, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("D", [1, 5])
def test_the_rule_of_the_kernel_by_hand(D):
    """With W = K̄ ∘ F and r = W 1: Z̄ = 2 (W − diag r) Z and the bar of log ℓ is the diagonal of −Zᵀ Z̄. So it is the
    weighted sum of squares Σ_ij W_ij (z_id − z_jd)², in which every difference of two inputs would stand."""
    problem = Problem(14, D)
    g = overbar.graph(problem.negative_log_likelihood, problem.parameters)
    K_bar = problem.K_bar()
    np.testing.assert_allclose(g["K"].bar, K_bar, rtol=1e-9, atol=1e-11)

    W = K_bar * problem.kernel(problem.parameters)
    np.testing.assert_allclose(g["S"].bar, -W / 2, rtol=1e-9, atol=1e-11)
    Z = g["Z"].value
    Z_bar = 2 * (W @ Z - np.sum(W, axis=1)[:, None] * Z)
    np.testing.assert_allclose(g["Z"].bar, Z_bar, rtol=1e-9, atol=1e-11)

    by_hand = -np.sum(Z * Z_bar, axis=0)
    weighted = np.einsum("ij,ijd->d", W, (Z[:, None] - Z[None, :]) ** 2)
    np.testing.assert_allclose(by_hand, weighted, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(by_hand, problem.reverse()[:D], rtol=1e-9, atol=1e-11)


def calls_of_rules(monkeypatch, f):
    """How often reverse and forward rules are called."""
    counts = {"pull": 0, "push": 0}
    with monkeypatch.context() as patch:
        for mode in counts:
            rule = getattr(overbar.Primitive, mode)

            def counted(self, *args, rule=rule, mode=mode, **kwargs):
                counts[mode] += 1
                return rule(self, *args, **kwargs)

            patch.setattr(overbar.Primitive, mode, counted)
        f()
    return counts["pull"], counts["push"]


def test_a_reverse_sweep_is_as_long_for_many_length_scales(monkeypatch):
    """The tape has the same calls for 1 and for 50 of them; forward mode goes along it for each parameter."""
    few, many = Problem(10, 1), Problem(10, 50)
    graphs = [overbar.graph(p.negative_log_likelihood, p.parameters) for p in (few, many)]
    assert [n.primitive for n in graphs[0]] == [n.primitive for n in graphs[1]]

    reverse = [calls_of_rules(monkeypatch, p.reverse) for p in (few, many)]
    assert reverse[0] == reverse[1]
    assert reverse[0][0] > 10
    assert reverse[0][1] == 0

    def of_lengths(problem):
        lengths = problem.parameters["lengths"]
        f = lambda x: problem.negative_log_likelihood(problem.parameters | {"lengths": x})  # noqa: E731
        for unit in np.eye(len(lengths)):
            overbar.jvp(f, (lengths,), (unit,))

    forward = [calls_of_rules(monkeypatch, lambda p=p: of_lengths(p)) for p in (few, many)]
    assert forward[0][0] == forward[1][0] == 0
    assert forward[1][1] == 50 * forward[0][1] > 0


def peak(f):
    """The most memory that arrays take while f runs, in bytes."""
    tracemalloc.start()
    try:
        f()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory():
    """A reverse sweep holds matrices of N × N, as many for 50 length scales as for 1; the textbook's array is one of
    N × N × D."""
    N, D = 120, 50
    few, many = Problem(N, 1), Problem(N, D)
    few.reverse()  # what is allocated once
    assert peak(many.reverse) < 1.3 * peak(few.reverse)
    assert peak(many.reverse) < D / 2 * 8 * N**2
    assert peak(many.textbook) > 8 * N**2 * D


@pytest.mark.parametrize("of", ["vector", "parameters"])
def test_the_gradient_of_a_fit(of):
    """On the way of an optimiser, and where it stops: the gradient is that of differences, and the maximum knows which
    inputs say something."""
    problem = Problem(50, 4)
    both = overbar.value_and_grad(problem.of_vector if of == "vector" else problem.negative_log_likelihood)
    visited = []

    def objective(vector):
        visited.append(vector.copy())
        if of == "vector":
            return both(vector)
        value, bars = both(problem.rebuild(vector))
        return value, overbar.flatten(bars)[0]

    found = minimize(objective, problem.vector, jac=True, method="L-BFGS-B", bounds=[(-4, 4)] * 6)
    assert found.success
    assert found.fun < problem.of_vector(problem.vector) - 10
    for vector in (*visited[::4], found.x):
        problem.vector = vector
        gradient = objective(vector)[1]
        np.testing.assert_allclose(problem.differences(), gradient, rtol=1e-5, atol=1e-6)
    lengths = problem.rebuild(found.x)["lengths"]
    assert max(lengths[:2]) + 0.5 < min(lengths[2:])
