"""The networks of the lecture note, equations (8) to (14): a layer h = g(W x + b), its bars for one example and for a
minibatch in either orientation, the errors δ of every layer of a feedforward network, and the gradient of a whole
network by hand, by the sweep, by PyTorch and by TensorFlow. May import everything.
"""

import itertools

import numpy as np
import pytest

import overbar
from tests.frameworks import tf, torch

RNG = np.random.default_rng(0)
SIZES = [5, 4, 6, 3]
PARAMETERS = [
    {"W": RNG.standard_normal((m, k)) / np.sqrt(k), "b": 0.1 * RNG.standard_normal(m)}
    for k, m in itertools.pairwise(SIZES)
]
X = RNG.standard_normal((7, SIZES[0]))  # examples as rows
LABELS = RNG.integers(0, SIZES[-1], len(X))
T = np.eye(SIZES[-1])[LABELS]

#: the common non-linearities, and their derivatives by the value and the argument
NONLINEAR = {
    "tanh": (overbar.tanh, lambda h, a: 1 - h**2),
    "sigmoid": (overbar.sigmoid, lambda h, a: h * (1 - h)),
    "relu": (overbar.relu, lambda h, a: (a > 0).astype(float)),
    "softplus": (overbar.softplus, lambda h, a: 1 / (1 + np.exp(-a))),
}

#: the costs of one example, as a function of the last a, and the errors δ there
COSTS = {
    "squared error": (overbar.squared_error, lambda a, t: a - t),
    "softmax cross-entropy": (
        overbar.softmax_cross_entropy,
        lambda a, t: np.exp(a) / np.sum(np.exp(a), axis=-1, keepdims=True) - t,
    ),
}

every_nonlinearity = pytest.mark.parametrize("name", NONLINEAR)
every_cost = pytest.mark.parametrize("cost", COSTS)


def same(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


# ---------------------------------------------------------------------------------------------------------------------
# One layer


@every_nonlinearity
def test_one_layer_of_one_example(name):
    """a = W x + b, h = g(a): with δ = ā = g′(a) ⊙ h̄, W̄ = δ xᵀ, b̄ = δ, x̄ = Wᵀ δ."""
    g, slope = NONLINEAR[name]
    W, b, x = PARAMETERS[0]["W"], PARAMETERS[0]["b"], X[0]
    h, pullback = overbar.vjp(lambda W, b, x: g(overbar.affine(x, W, b)), W, b, x)
    a = W @ x + b
    same(h, g(a))
    h_bar = RNG.standard_normal(h.shape)
    delta = slope(h, a) * h_bar
    W_bar, b_bar, x_bar = pullback(h_bar)
    same(W_bar, np.outer(delta, x))
    same(b_bar, delta)
    same(x_bar, W.T @ delta)


@every_nonlinearity
@pytest.mark.parametrize("orientation", ["rows", "columns"])
def test_one_layer_of_a_minibatch_in_either_orientation(name, orientation):
    """Examples as rows, A = X Wᵀ + 1bᵀ: W̄ = ΔᵀX, b̄ = Δᵀ1, X̄ = ΔW. As columns, A = W X + b1ᵀ: W̄ = ΔXᵀ, b̄ = Δ1,
    X̄ = WᵀΔ."""
    g, slope = NONLINEAR[name]
    W, b = PARAMETERS[0]["W"], PARAMETERS[0]["b"]
    rows = orientation == "rows"
    layer, inputs = (overbar.affine, X) if rows else (overbar.affine_columns, X.T)
    H, pullback = overbar.vjp(lambda W, b, X: g(layer(X, W, b)), W, b, inputs)
    A = X @ W.T + b if rows else W @ X.T + b[:, None]
    same(H, g(A))
    H_bar = RNG.standard_normal(H.shape)
    delta = slope(H, A) * H_bar
    W_bar, b_bar, X_bar = pullback(H_bar)
    same(W_bar, delta.T @ X if rows else delta @ X)
    same(b_bar, delta.sum(0 if rows else 1))
    same(X_bar, delta @ W if rows else W.T @ delta)


@every_nonlinearity
def test_a_minibatch_is_the_sum_of_its_examples(name):
    g, _ = NONLINEAR[name]
    W, b = PARAMETERS[0]["W"], PARAMETERS[0]["b"]
    H_bar = RNG.standard_normal((len(X), len(b)))
    pullbacks = [overbar.vjp(lambda W, b, x=x: g(overbar.affine(x, W, b)), W, b)[1] for x in X]
    each = [pullback(h_bar) for pullback, h_bar in zip(pullbacks, H_bar, strict=True)]
    together = overbar.vjp(lambda W, b: g(overbar.affine(X, W, b)), W, b)[1](H_bar)
    for i in range(2):
        same(together[i], sum(bars[i] for bars in each))


# ---------------------------------------------------------------------------------------------------------------------
# A network


def network(parameters, X, g, added=None):
    """The last a of a feedforward network. Something may be added to the a of each layer: its bar is δ."""
    H = X
    for i, layer in enumerate(parameters):
        A = overbar.affine(H, layer["W"], layer["b"])
        A = overbar.name(A if added is None else A + added[i], f"a{i + 1}")
        H = g(A)
    return A


def by_hand(parameters, X, targets, name, cost):
    """The loss of a minibatch, the errors δ of each layer, and the gradient, in the words of the note and of NumPy."""
    g, slope = NONLINEAR[name]
    H, A = [X], []
    for layer in parameters:
        A.append(H[-1] @ layer["W"].T + layer["b"])
        H.append(g(A[-1]))
    of_one, error = COSTS[cost]
    deltas = [error(A[-1], targets)]
    for i in reversed(range(len(parameters) - 1)):  # δ⁽ˡ⁾ = g′(a⁽ˡ⁾) ⊙ W⁽ˡ⁺¹⁾ᵀ δ⁽ˡ⁺¹⁾, for rows
        deltas.insert(0, slope(H[i + 1], A[i]) * (deltas[0] @ parameters[i + 1]["W"]))
    gradient = [{"W": delta.T @ H, "b": delta.sum(0)} for delta, H in zip(deltas, H, strict=False)]
    return np.sum(of_one(A[-1], targets)), deltas, gradient


def loss_of(name, cost, targets=T):
    g, of_one = NONLINEAR[name][0], COSTS[cost][0]
    return lambda parameters, X: overbar.sum(of_one(network(parameters, X, g), targets))


@every_cost
@every_nonlinearity
def test_the_errors_of_each_layer(name, cost):
    """What the sweep gives for a⁽ˡ⁾ is δ⁽ˡ⁾ of the recursion, for one example and for a minibatch."""
    g, of_one = NONLINEAR[name][0], COSTS[cost][0]
    for inputs, targets in ((X, T), (X[:1], T[:1])):
        _, deltas, _ = by_hand(PARAMETERS, inputs, targets, name, cost)
        nothing = [np.zeros_like(delta) for delta in deltas]
        f = lambda added: overbar.sum(of_one(network(PARAMETERS, inputs, g, added), targets))  # noqa: B023, E731
        for found, expected in zip(overbar.grad(f)(nothing), deltas, strict=True):
            same(found, expected)
        graph = overbar.graph(lambda p: overbar.sum(of_one(network(p, inputs, g), targets)), PARAMETERS)  # noqa: B023
        for i, expected in enumerate(deltas, 1):
            same(graph[f"a{i}"].bar, expected)
    # of one example, without the dimension of the examples
    one = overbar.grad(lambda added: of_one(network(PARAMETERS, X[0], g, added), T[0]))([d[0] for d in deltas])
    assert [bar.shape for bar in one] == [(m,) for m in SIZES[1:]]


@every_cost
def test_the_errors_at_the_end(cost):
    """δ⁽ᴸ⁾ = y − t for the squared error of a linear output, and softmax(a) − t for the cross-entropy."""
    of_one, error = COSTS[cost]
    A = RNG.standard_normal(T.shape)
    same(overbar.vjp(of_one, A, T)[1](np.ones(len(T)))[0], error(A, T))


@every_cost
@every_nonlinearity
def test_the_gradient_of_a_network_by_hand_by_the_sweep_and_by_differences(name, cost):
    value, _, gradient = by_hand(PARAMETERS, X, T, name, cost)
    f = loss_of(name, cost)
    found_value, found = overbar.value_and_grad(f)(PARAMETERS, X)
    same(found_value, value)
    rng, h = np.random.default_rng(1), 1e-6
    for i, (layer, expected) in enumerate(zip(found, gradient, strict=True)):
        assert layer.keys() == {"W", "b"}
        for key in layer:
            same(layer[key], expected[key])
            dot = rng.standard_normal(layer[key].shape)
            ends = []
            for step in (h, -h):
                moved = [dict(layer) for layer in PARAMETERS]
                moved[i][key] = moved[i][key] + step * dot
                ends.append(f(moved, X))
            np.testing.assert_allclose(np.sum(layer[key] * dot), (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-7)


def test_a_wrong_error_is_noticed():
    """Without g′ in the recursion, or with the W of another layer, the gradient is another."""
    _, deltas, gradient = by_hand(PARAMETERS, X, T, "tanh", "squared error")
    wrong = (deltas[2] @ PARAMETERS[2]["W"]).T @ np.tanh(X @ PARAMETERS[0]["W"].T + PARAMETERS[0]["b"])
    assert np.max(np.abs(wrong - gradient[1]["W"])) > 1e-2


@every_cost
def test_the_hessian_of_a_network_times_a_direction(cost):
    rng, f = np.random.default_rng(2), loss_of("tanh", cost)
    dots = [{key: rng.standard_normal(value.shape) for key, value in layer.items()} for layer in PARAMETERS]
    found = overbar.hvp(f, (PARAMETERS, X), dots)
    ends = []
    for h in (1e-5, -1e-5):
        pairs = zip(PARAMETERS, dots, strict=True)
        moved = [{key: layer[key] + h * dot[key] for key in layer} for layer, dot in pairs]
        ends.append(overbar.grad(f)(moved, X))
    for layer, plus, minus in zip(found, *ends, strict=True):
        for key in layer:
            np.testing.assert_allclose(layer[key], (plus[key] - minus[key]) / 2e-5, rtol=1e-6, atol=1e-7)


# ---------------------------------------------------------------------------------------------------------------------
# The same network in the frameworks


def in_torch(f):
    parameters = [
        {key: torch.tensor(value, requires_grad=True) for key, value in layer.items()} for layer in PARAMETERS
    ]
    value = f(parameters, torch.tensor(X))
    value.backward()
    return value.item(), [{key: tensor.grad.numpy() for key, tensor in layer.items()} for layer in parameters]


def in_tensorflow(f):
    parameters = [{key: tf.Variable(value) for key, value in layer.items()} for layer in PARAMETERS]
    with tf.GradientTape() as tape:
        value = f(parameters, tf.constant(X))
    gradient = tape.gradient(value, parameters)
    return value.numpy(), [{key: tensor.numpy() for key, tensor in layer.items()} for layer in gradient]


def agree(found, expected):
    same(found[0], expected[0])
    for layer, other in zip(found[1], expected[1], strict=True):
        for key in layer:
            same(layer[key], other[key])


@every_cost
@every_nonlinearity
def test_one_function_has_the_same_gradient_in_each_library(name, cost):
    """Written once, with the primitives of overbar, it takes arrays of NumPy and tensors of either framework."""
    g, of_one = NONLINEAR[name][0], COSTS[cost][0]
    value, _, gradient = by_hand(PARAMETERS, X, T, name, cost)

    def f(targets):
        return lambda parameters, X: overbar.sum(of_one(network(parameters, X, g), targets))

    agree(in_torch(f(torch.tensor(T))), (value, gradient))
    agree(in_tensorflow(f(tf.constant(T))), (value, gradient))


@every_cost
def test_the_frameworks_own_functions_have_the_same_gradient(cost):
    value, _, gradient = by_hand(PARAMETERS, X, T, "tanh", cost)

    def of_torch(parameters, X):
        F, H = torch.nn.functional, X
        for layer in parameters:
            A = F.linear(H, layer["W"], layer["b"])
            H = torch.tanh(A)
        if cost == "squared error":
            return 0.5 * F.mse_loss(A, torch.tensor(T), reduction="sum")
        return F.cross_entropy(A, torch.tensor(LABELS), reduction="sum")

    def of_tensorflow(parameters, X):
        H = X
        for layer in parameters:
            A = tf.matmul(H, layer["W"], transpose_b=True) + layer["b"]
            H = tf.tanh(A)
        if cost == "squared error":
            return tf.nn.l2_loss(A - T)
        return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(LABELS, A))

    agree(in_torch(of_torch), (value, gradient))
    agree(in_tensorflow(of_tensorflow), (value, gradient))


def test_numbers_of_classes_have_the_gradient_of_rows_with_a_one():
    value, _, gradient = by_hand(PARAMETERS, X, T, "relu", "softmax cross-entropy")
    agree(overbar.value_and_grad(loss_of("relu", "softmax cross-entropy", LABELS))(PARAMETERS, X), (value, gradient))
