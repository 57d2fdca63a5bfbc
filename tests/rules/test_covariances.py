"""Covariance functions: inputs that coincide, far from zero and at every scale, second derivatives, memory, and errors,
in NumPy, PyTorch and TensorFlow. May import `torch_ops` and `tf_ops`."""

import tracemalloc

import mpmath
import numpy as np
import pytest
from scipy.spatial.distance import cdist

import overbar
from overbar.rules import _all_pairs
from tests.frameworks import tf, tf_ops, torch, torch_ops
from tests.rules.test_positive_definite import gradients

RNG = np.random.default_rng(17)


def call(ops, name, *arrays, **options):
    """A function of inputs, length scales and more; α, an array of some, is among the options here."""
    behind = 2 + name.endswith("_cross")
    if "alpha" in options:
        arrays = (*arrays[:behind], options.pop("alpha"), *arrays[behind:])
    return getattr(ops, name)(*arrays, **options)


def values(name, *arrays, **options):
    """What a function gives in the three libraries, in a tf.function of unknown sizes as well."""
    graph = tf.function(
        lambda *arrays: call(tf_ops, name, *arrays, **options),
        input_signature=[tf.TensorSpec([None] * np.ndim(A), tf.float64) for A in arrays],
    )
    return {
        "numpy": call(overbar, name, *arrays, **options),
        "torch": call(torch_ops, name, *map(torch.tensor, arrays), **options).numpy(),
        "watched": call(torch_ops, name, *[torch.tensor(A, requires_grad=True) for A in arrays], **options)
        .detach()
        .numpy(),
        "tf": call(tf_ops, name, *map(tf.constant, arrays), **options).numpy(),
        "tf, sizes unknown": graph(*map(tf.constant, arrays)).numpy(),
    }


def inputs(n, D, offset=0.0):
    """Points of which two coincide; all numbers have few digits, so that an offset rounds nothing."""
    X = np.round(RNG.normal(size=(n, D)) * 2**10) / 2**10 + offset
    X[2] = X[0]
    return X


@pytest.mark.parametrize("D", [1, 3, 4, 40])
def test_distances_of_one_set_are_symmetric_and_those_of_coincident_points_are_zero(D):
    X, scales = inputs(30, D), RNG.uniform(0.5, 2, D)
    expected = cdist(X / scales, X / scales, "sqeuclidean")
    for name, S in values("squared_distance", X, scales).items():
        np.testing.assert_allclose(S, expected, atol=1e-12 * D, err_msg=name)
        np.testing.assert_array_equal(S, S.T, err_msg=name)
        assert (np.diag(S) == 0).all(), name
        assert S.min() == S[0, 2] == 0, name
    for name, S in values("squared_distance_cross", X, X[:5], scales).items():
        np.testing.assert_allclose(S, expected[:, :5], atol=1e-12 * D, err_msg=name)
        assert S.min() == S[2, 0] == S[3, 3] == 0, name


FUNCTIONS = [("rbf", {}), *[("matern", {"nu": nu}) for nu in (0.5, 1.5, 2.5)], ("rational_quadratic", {"alpha": 0.7})]


def exact(name, S, nu=None, alpha=None):
    if name == "rbf":
        return np.exp(-S / 2)
    if name == "rational_quadratic":
        return (1 + S / (2 * alpha)) ** -alpha
    r = np.sqrt(2 * nu * S)
    return {0.5: 1, 1.5: 1 + r, 2.5: 1 + r + r**2 / 3}[nu] * np.exp(-r)


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
@pytest.mark.parametrize("D", [2, 5])
def test_values_and_those_of_coincident_points(name, options, D):
    X, scales, v = inputs(12, D), RNG.uniform(0.5, 2, D), np.array(1.7)
    S = cdist(X / scales, X / scales, "sqeuclidean")
    for front, K in values(name, X, scales, v, **options).items():
        np.testing.assert_allclose(K, v * exact(name, S, **options), atol=1e-12, err_msg=front)
        np.testing.assert_array_equal(K, K.T, err_msg=front)
        assert (np.diag(K) == v).all(), front
        assert K[0, 2] == v, front
    for front, K in values(f"{name}_cross", X, X[:3], scales, v, **options).items():
        np.testing.assert_allclose(K, v * exact(name, S[:, :3], **options), atol=1e-12, err_msg=front)
        assert K[2, 0] == K[0, 0] == v, front


def loss(name, options, *weights):
    """A weighted sum of the entries, of the function of one set of inputs and of that of two."""

    def compute(ops, X, scales, v):
        own = call(ops, name, X, scales, v, **options)
        cross = call(ops, f"{name}_cross", X[:3], X, scales, v, **options)
        W, W2 = (torch.tensor(W) if ops is torch_ops else W for W in weights)
        total = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        return total(own * W) + total(cross * W2)

    return compute


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
@pytest.mark.parametrize("D", [2, 5])
def test_an_offset_of_all_inputs_costs_no_digits(name, options, D):
    X, scales, v = inputs(12, D), RNG.uniform(0.5, 2, D), np.array(1.7)
    compute = loss(name, options, RNG.normal(size=(12, 12)), RNG.normal(size=(3, 12)))
    near, far = gradients(compute, X, scales, v), gradients(compute, X + 1e6, scales, v)
    for front in near:
        for a, b in zip(near[front], far[front], strict=True):
            np.testing.assert_allclose(b, a, atol=1e-12, err_msg=front)


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
@pytest.mark.parametrize("D", [2, 5])
def test_derivatives_at_coincident_points(name, options, D):
    """First and second ones, in both modes, by differences. (Two rows of X are one point, and three are in both sets.)
    Where there is a cusp, for ν = 1/2, that is asked of what exists: inputs beside themselves, and length scales."""
    X, scales, v = inputs(5, D), RNG.uniform(0.5, 2, D), np.array(1.7)
    weights = [torch.tensor(RNG.normal(size=shape)) for shape in [(5, 5), (3, 5)]]
    cusp, fixed = options.get("nu") == 0.5, torch.tensor(X)

    def compute(X, scales, v):
        own = call(torch_ops, name, X[1:] if cusp else X, scales, v, **options)
        X = fixed if cusp else X
        cross = call(torch_ops, f"{name}_cross", X[:3], X, scales, v, **options)
        return (own * weights[0][: len(own), : len(own)]).sum() + (cross * weights[1]).sum()

    arguments = [torch.tensor(A, dtype=torch.float64, requires_grad=True) for A in (X, scales, v)]
    assert torch.autograd.gradcheck(compute, arguments, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(compute, arguments, atol=1e-4)


@pytest.mark.parametrize("D", [2, 5])
def test_a_cusp_has_the_mean_of_the_derivatives_from_all_sides(D):
    X, scales, v = inputs(3, D)[[0, 2]], RNG.uniform(0.5, 2, D), np.array(1.7)
    for name in ("matern", "matern_cross"):

        def compute(ops, *arrays, name=name):
            return call(ops, name, *arrays, nu=0.5)[0, 1]

        arrays = (X, scales, v) if name == "matern" else (X, X.copy(), scales, v)
        for front, bars in gradients(compute, *arrays).items():
            for bar in bars[:-1]:
                np.testing.assert_array_equal(bar, 0, err_msg=f"{name}, {front}")
            assert bars[-1] == 1


@pytest.mark.parametrize("nu", [1, 3.5, "2.5", None])
def test_an_order_that_is_not_there(nu):
    for name in ("matern", "matern_cross"):
        with pytest.raises(ValueError, match=rf"{name}: nu is .*must be 0\.5, 1\.5 or 2\.5"):
            call(overbar, name, *[np.ones((2, 1))] * (1 + (name == "matern_cross")), 1.0, nu=nu)


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
def test_memory_does_not_grow_with_the_dimensions(name, options):
    n, D = 200, 60
    X, scales, W = RNG.normal(size=(n, D)), RNG.uniform(5, 9, D), RNG.normal(size=(n, n))
    _, pullback = overbar.vjp(lambda *arrays: call(overbar, name, *arrays, **options), X, scales, 1.0)
    pullback(W)
    tracemalloc.start()
    try:
        _, pullback = overbar.vjp(lambda *arrays: call(overbar, name, *arrays, **options), X, scales, 1.0)
        pullback(W)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < (6 if name == "rbf" else 9) * n * n * 8  # at once, as the matrices are small


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
def test_a_large_matrix_and_its_bars_take_no_second_one(name, options):
    n, D = 1400, 6
    X, scales, W = RNG.normal(size=(n, D)), RNG.uniform(5, 9, D), RNG.normal(size=(n, n))

    def covariance(*arrays):
        return call(overbar, name, *arrays, **options)

    tracemalloc.start()
    try:
        _, pullback = overbar.vjp(covariance, X, scales, 1.0, 0.1)
        pullback(W)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.9 * n * n * 8  # the matrix itself, and blocks


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
@pytest.mark.parametrize("D", [2, 5, 40])
def test_blocks_give_what_the_whole_matrix_gives(name, options, D, monkeypatch):
    """Bars that are not symmetric, more and fewer columns than rows, and batches."""
    X, scales, v = inputs(9, D), RNG.uniform(0.5, 2, D) * D**0.5, np.array([1.7, 0.3])
    noise = np.abs(RNG.normal(size=9))
    weights = RNG.normal(size=(2, 9, 9)), RNG.normal(size=(2, 3, 9)), RNG.normal(size=(2, 9, 3))

    def compute(ops, X, scales, v, noise):
        own = call(ops, name, X, scales, v, noise, **options)
        wide = call(ops, f"{name}_cross", X[:3], X, scales, v, **options)
        high = call(ops, f"{name}_cross", X, X[:3], scales, v, **options)
        S = ops.squared_distance(X, scales) + ops.squared_distance_cross(X, X + 1, scales)
        total = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        W = [torch.tensor(W) if ops is torch_ops else W for W in weights]
        return total(own * W[0]) + total(wide * W[1]) + total(high * W[2]) + total(S * W[0])

    whole = gradients(compute, X, scales, v, noise)
    monkeypatch.setattr(_all_pairs, "BLOCK", 20)
    K, small = call(overbar, name, X, scales, v, noise, **options), gradients(compute, X, scales, v, noise)
    np.testing.assert_array_equal(K, np.swapaxes(K, -1, -2))
    np.testing.assert_array_equal(np.diagonal(K, 0, -2, -1), v[:, None] + noise)
    for front in ("numpy", "torch"):
        for a, b in zip(whole[front], small[front], strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-12, err_msg=front)


@pytest.mark.parametrize(("name", "options"), FUNCTIONS)
@pytest.mark.parametrize("each", [False, True])
def test_noise_is_that_of_add_diagonal_and_costs_no_digits(name, options, each):
    X, scales, v = inputs(6, 5), RNG.uniform(0.5, 2, 5), np.array(1.7)
    noise, W = RNG.uniform(size=6) if each else np.array(0.3), RNG.normal(size=(6, 6))

    def added(ops, X, scales, v, noise):
        K = ops.add_diagonal(call(ops, name, X, scales, v, **options), noise)
        return weighted(ops, K)

    def inside(ops, X, scales, v, noise):
        return weighted(ops, call(ops, name, X, scales, v, noise, **options))

    def weighted(ops, K):
        total = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        return total(K * (torch.tensor(W) if ops is torch_ops else W))

    expected = gradients(added, X, scales, v, noise)
    for size in (1, 1e14):
        found = gradients(inside, X, scales, v, size * noise)
        for front in found:
            for a, b in zip(expected[front], found[front], strict=True):
                np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-13, err_msg=front)


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 1e4, 1e8])
def test_a_large_alpha_costs_no_digits(alpha):
    """Neither of the covariance nor of the bar of α, which goes to zero as 1/α²."""
    X, scales, v = np.linspace(0, 3, 5)[:, None], np.array([0.7]), np.array(1.3)

    def compute(ops, X, scales, alpha, v):
        K = ops.rational_quadratic(X, scales, alpha, v)
        return {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops](K)

    with mpmath.workdps(40):
        S = [[((mpmath.mpf(a) - mpmath.mpf(b)) / mpmath.mpf(0.7)) ** 2 for b in X[:, 0]] for a in X[:, 0]]
        u = [s / (2 * mpmath.mpf(alpha)) for row in S for s in row]
        f = [mpmath.exp(-alpha * mpmath.log1p(x)) for x in u]
        bar = float(1.3 * mpmath.fsum(y * (x / (1 + x) - mpmath.log1p(x)) for x, y in zip(u, f, strict=True)))
        value = float(1.3 * mpmath.fsum(f))
    for front, bars in gradients(compute, X, scales, np.array(alpha), v).items():
        np.testing.assert_allclose(bars[2], bar, rtol=1e-14, err_msg=front)
        np.testing.assert_allclose(1.3 * bars[3], value, rtol=1e-14, err_msg=front)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_many_periods_cost_no_digits(offset):
    """Inputs that are up to 1e6 periods apart: K and its bars are those of what is left of them."""
    X, period = RNG.uniform(0, 1e3, (7, 2)) + offset, np.array([1e-3, 0.7])
    scales, v, W = np.array([1.2, 0.8]), np.array(1.3), RNG.normal(size=(7, 7))
    with mpmath.workdps(40):
        left = [
            [mpmath.fmod(mpmath.mpf(a) - mpmath.mpf(b), p) for a, b, p in zip(x, X[0], period, strict=True)] for x in X
        ]
    left = np.array(left, dtype=float)

    def compute(ops, X, scales, period, v):
        own = ops.periodic(X, scales, period, v)
        cross = ops.periodic_cross(X[:3], X, scales, period, v)
        total = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        weights = [torch.tensor(A) if ops is torch_ops else A for A in (W, W[:3])]
        return total(own * weights[0]) + total(cross * weights[1])

    near, far = gradients(compute, left, scales, period, v), gradients(compute, X, scales, period, v)
    for front in near:
        for which in (0, 1, 3):  # the bar of a period grows with the inputs
            size = np.abs(near[front][which]).max()
            np.testing.assert_allclose(far[front][which], near[front][which], atol=1e-11 * size, err_msg=front)
    for front, K in values("periodic", X, scales, period, v).items():
        np.testing.assert_allclose(K, overbar.periodic(left, scales, period, v), rtol=1e-12, err_msg=front)
        np.testing.assert_array_equal(K, K.T, err_msg=front)
        assert (np.diag(K) == v).all(), front


@pytest.mark.parametrize("each", [False, True])
def test_periodic_at_coincident_points(each):
    X, rest = inputs(5, 2), [RNG.uniform(0.5, 2, 2 if each else 1), RNG.uniform(1, 2, 1 + each), np.array(1.7)]
    arguments = [torch.tensor(A, dtype=torch.float64, requires_grad=True) for A in (X, *rest, np.array(0.3))]
    weights = torch.tensor(RNG.normal(size=(5, 5))), torch.tensor(RNG.normal(size=(3, 5)))

    def compute(X, scales, period, v, noise):
        own, cross = (
            torch_ops.periodic(X, scales, period, v, noise),
            torch_ops.periodic_cross(X[:3], X, scales, period, v),
        )
        return (own * weights[0]).sum() + (cross * weights[1]).sum()

    assert torch.autograd.gradcheck(compute, arguments, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(compute, arguments, atol=1e-4)


EVERY = [*FUNCTIONS, ("periodic", {"period": 1.3}), ("linear_covariance", {}), ("polynomial_covariance", {"degree": 2})]


def own(ops, name, options, X, noise):
    given = {} if "covariance" in name else {"lengthscale": 1.2}
    return getattr(ops, name)(X, **given, noise=noise, **options)


@pytest.mark.parametrize(("name", "options"), EVERY)
@pytest.mark.parametrize(("n", "D"), [(0, 2), (3, 0), (0, 5)])
def test_no_inputs_and_no_dimensions(name, options, n, D):
    def compute(ops, X, noise):
        total = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        return total(own(ops, name, options, X, noise))

    K = own(overbar, name, options, np.zeros((n, D)), 0.5)
    scale = {"linear_covariance": 0}.get(name, 1)
    np.testing.assert_array_equal(K, scale * np.ones((n, n)) + 0.5 * np.eye(n))
    for front, (X_bar, noise_bar) in gradients(compute, np.zeros((n, D)), np.array(0.5)).items():
        assert X_bar.shape == (n, D), front
        assert noise_bar == n, front


@pytest.mark.parametrize(("name", "options"), EVERY)
@pytest.mark.parametrize("D", [2, 5, 40])
def test_a_nan_stays_in_its_row(name, options, D):
    X = RNG.normal(size=(4, D))
    X[1, -1] = np.nan
    bad = np.zeros((4, 4), bool)
    bad[1] = bad[:, 1] = True
    for ops, convert in [(overbar, np.asarray), (torch_ops, torch.tensor), (tf_ops, tf.constant)]:
        K = np.asarray(own(ops, name, options, convert(X), 0.5))
        np.testing.assert_array_equal(np.isnan(K), bad, err_msg=ops.__name__)


def from_differences(name, X, X2, scales):
    """The covariance as one would write it, which PyTorch differentiates."""
    S = (((X[:, None] - X2[None]) / scales) ** 2).sum(-1)
    if name == "rbf":
        return torch.exp(-S / 2)
    if name == "rational_quadratic":
        return (1 + S / 3) ** -1.5
    same = S == 0
    r = torch.sqrt(3 * torch.where(same, 1.0, S))
    return torch.where(same, 1 - 1.5 * S, (1 + r) * torch.exp(-r))


@pytest.mark.parametrize(
    ("name", "options"), [("rbf", {}), ("matern", {"nu": 1.5}), ("rational_quadratic", {"alpha": np.array(1.5)})]
)
@pytest.mark.parametrize(
    ("D", "dtype", "extent"), [(1, "d", 1e8), (2, "d", 1e7), (5, "d", 1e8), (1, "f", 3e3), (5, "f", 3e3)]
)
def test_inputs_far_from_each_other_cost_no_digits(name, options, D, dtype, extent, monkeypatch):
    """As event times in seconds over years, with a length scale of a second: what a product of matrices makes of them
    has no digit. Values, bars, and second derivatives by them, of one set and of two."""
    n = 24
    X = 3 * RNG.uniform(size=(n, D))
    X[:, 0] = extent * RNG.uniform(size=n)
    X[1::2] = X[::2] + 0.5 * RNG.normal(size=(n // 2, D))
    X, scales = X.astype(dtype), RNG.uniform(0.7, 1.5, D).astype(dtype)
    W, V = RNG.normal(size=(n, n)).astype(dtype), RNG.normal(size=(9, n)).astype(dtype)
    directions = [RNG.normal(size=A.shape).astype(dtype) for A in (X, scales)]
    given = {key: value.astype(dtype) if key == "alpha" else value for key, value in options.items()}

    def loss(ops, X, scales):
        convert = {overbar: np.asarray, torch_ops: torch.tensor, tf_ops: tf.constant}[ops]
        total = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        numbers = {key: convert(value) if key == "alpha" else value for key, value in given.items()}
        own = call(ops, name, X, scales, **dict(numbers))
        cross = call(ops, f"{name}_cross", X[:9], X, scales, **dict(numbers))
        return total(own * convert(W)) + total(cross * convert(V))

    def naive(X, scales):
        own, cross = from_differences(name, X, X, scales), from_differences(name, X[:9], X, scales)
        return (own * torch.tensor(W)).sum() + (cross * torch.tensor(V)).sum()

    def in_torch(function):
        tensors = [
            torch.tensor(A.astype("d"), requires_grad=True)
            if function is naive
            else torch.tensor(A, requires_grad=True)
            for A in (X, scales)
        ]
        value = function(*tensors)
        bars = torch.autograd.grad(value, tensors, create_graph=True)
        along = sum((bar * torch.tensor(E)).sum() for bar, E in zip(bars, directions, strict=True))
        second = torch.autograd.grad(along, tensors)
        return [A.detach().numpy() for A in (value, *bars, *second)]

    def in_numpy():
        f = lambda X, scales: loss(overbar, X, scales)  # noqa: E731
        gradient = overbar.grad(f, argnums=(0, 1))
        forward = overbar.jvp(gradient, (X, scales), tuple(directions))[1]
        reverse = overbar.grad(lambda *arrays: overbar.jvp(f, arrays, tuple(directions))[1], argnums=(0, 1))(X, scales)
        return [f(X, scales), *gradient(X, scales), *forward], [f(X, scales), *gradient(X, scales), *reverse]

    def in_tensorflow(compiled):
        def derivatives(*tensors):
            with tf.GradientTape() as outer:
                outer.watch(tensors)
                with tf.GradientTape() as inner:
                    inner.watch(tensors)
                    value = loss(tf_ops, *tensors)
                bars = inner.gradient(value, tensors)
                along = sum(tf.reduce_sum(bar * E) for bar, E in zip(bars, directions, strict=True))
            return value, *bars, *outer.gradient(along, tensors)

        derivatives = tf.function(derivatives) if compiled else derivatives
        return [A.numpy() for A in derivatives(tf.constant(X), tf.constant(scales))]

    expected = in_torch(naive)
    found = dict(zip(("numpy, forward", "numpy, reverse"), in_numpy(), strict=True))
    found |= {"torch": in_torch(lambda *tensors: loss(torch_ops, *tensors))}
    found |= {"tf": in_tensorflow(False)}
    if name == "rbf":  # a second is spent on each graph
        found |= {"tf.function": in_tensorflow(True)}
    monkeypatch.setattr(_all_pairs, "BLOCK", 20)
    found |= dict(zip(("blocks, forward", "blocks, reverse"), in_numpy(), strict=True))
    rtol = {"d": 1e-11, "f": 1e-4}[dtype]
    for front, arrays in found.items():
        for k, (a, b) in enumerate(zip(arrays, expected, strict=True)):
            np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max(), err_msg=f"{front}, {k}")


@pytest.mark.parametrize("D", [3, 5, 20])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_distances_of_close_points_keep_their_digits(D, offset):
    """√s to 5e-15 where points are 1e-4 of the extent apart, and to 1e-9 where they are nearer. (From one product it
    has an error of 1e-8: so it is where a graph does not know the dimensions.)"""
    X = RNG.uniform(size=(20, D))
    X[1::2] = X[::2] + RNG.normal(size=(10, D)) * 10.0 ** RNG.uniform(-12, -2, (10, 1))
    X = X + offset  # rounds, and what is asked for is the distance of what comes out
    expected = cdist(X, X)
    far = expected > 1e-4
    known = ("numpy", "torch", "watched", "tf")
    own = values("squared_distance", X, np.array(1.0))
    for front in known:
        np.testing.assert_allclose(np.sqrt(own[front][far]), expected[far], rtol=0, atol=5e-15, err_msg=front)
        np.testing.assert_allclose(np.sqrt(own[front]), expected, rtol=0, atol=1e-9, err_msg=front)
    cross = values("squared_distance_cross", X[:7], X, np.array(1.0))
    for front in known:
        np.testing.assert_allclose(np.sqrt(cross[front]), expected[:7], rtol=0, atol=1e-9, err_msg=front)


def test_errors_name_the_argument_and_the_remedy():
    X = np.ones((3, 2))
    cases = [
        ((X, np.array([1.0, -1.0]), 1.0), "lengthscale or variance is not positive. Parametrise", "LinAlgError"),
        ((X, 0.0, 1.0), "lengthscale or variance is not positive", "LinAlgError"),
        (
            (X, np.array([[[1.0]], [[np.nan]]])[:, 0], 1.0),
            r"lengthscale or variance \(matrix 1 of the batch\)",
            "LinAlgError",
        ),
        ((X, 1.0, -1.0), "lengthscale or variance is not positive", "LinAlgError"),
        ((X, 1.0, 1.0, -1.0), "noise is negative or NaN. It is a variance: parametrise", "LinAlgError"),
        ((X, 1.0, 1.0, np.ones(2)), r"noise of shape \(2,\) does not fit X of shape \(3, 2\). Pass one", "ShapeError"),
        ((X, np.ones(3), 1.0), r"lengthscale of shape \(3,\) does not fit X of shape \(3, 2\). Pass one", "ShapeError"),
        ((X + 0j, 1.0 + 0j, 1.0 + 0j), "X has dtype.*complex128", "DtypeError"),
    ]
    for arrays, message, kind in cases:
        for ops, convert in [(overbar, np.asarray), (torch_ops, torch.tensor), (tf_ops, tf.constant)]:
            given = [convert(A) if np.ndim(A) else A for A in arrays]
            error = type(getattr(overbar.front(given[0]), kind)("an error"))
            with pytest.raises(error, match=f"rbf: argument {message}"):
                ops.rbf(*given)
    with pytest.raises(ValueError, match=r"rbf_cross: argument X2 of shape \(3, 3\) does not fit X"):
        overbar.rbf_cross(X, np.ones((3, 3)), 1.0)


@pytest.mark.parametrize(
    "noise", [0.5, np.array([0.5, 0.25, 0.0]), np.array([[0.5], [2.0]])], ids=["one", "rows", "batch"]
)
def test_noise_is_added_in_one_copy(noise):
    noise = np.asarray(noise)
    K, W = RNG.normal(size=(3, 3)), RNG.normal(size=(2, 3, 3))
    expected = K + np.eye(3) * noise[..., None]
    for front, C in values("add_diagonal", K, noise).items():
        np.testing.assert_array_equal(C, expected, err_msg=front)

    def compute(ops, K, noise):
        total = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        return total(ops.add_diagonal(K, noise) * (torch.tensor(W) if ops is torch_ops else W))

    diagonals = np.diagonal(W, 0, -2, -1)
    bar = diagonals.sum(-1, keepdims=True) if noise.ndim == 2 else diagonals.sum(0) if noise.ndim else diagonals.sum()
    for front, bars in gradients(compute, K, noise).items():
        for found, exact in zip(bars, [W.sum(0), bar], strict=True):
            np.testing.assert_allclose(found, exact, atol=1e-14, err_msg=front)

    n = 300
    K = np.ones((n, n))
    overbar.add_diagonal(K, 1.0)
    tracemalloc.start()
    try:
        overbar.add_diagonal(K, 1.0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.5 * K.nbytes


@pytest.mark.parametrize("noise", [-1.0, np.array([1.0, np.nan]), np.ones(3)], ids=["negative", "nan", "three"])
def test_errors_of_noise(noise):
    K = np.eye(2)
    message = "argument noise (is negative or NaN. It is a variance|of shape .* does not fit K .*Pass one number)"
    for ops, convert in [(overbar, np.asarray), (torch_ops, torch.tensor), (tf_ops, tf.constant)]:
        front = overbar.front(convert(K))
        error = (type(front.LinAlgError("an error")), type(front.ShapeError("an error")))
        with pytest.raises(error, match=f"add_diagonal: {message}"):
            ops.add_diagonal(convert(K), convert(noise) if np.ndim(noise) else noise)


@pytest.mark.parametrize("dtype, far", [(np.float64, 1e80), (np.float32, 1e11)])
def test_second_derivatives_by_alpha_beside_an_input_far_away(dtype, far):
    """The square of u = s/(2α) is infinite there, and its covariances are as good as zero."""
    near, alpha = np.array([[0.0], [1.0]], dtype), dtype(1.5)
    both = np.concatenate([near, [[dtype(far)]]]).astype(dtype)

    def total(X):
        return lambda a: overbar.sum(overbar.rational_quadratic(X, dtype(0.7), a))

    def seconds(f):
        one = dtype(1)
        along = lambda a: overbar.jvp(f, (a,), (one,))[1]  # noqa: E731
        gradient = overbar.grad(f)
        return [
            overbar.grad(gradient)(alpha),
            overbar.jvp(gradient, (alpha,), (one,))[1],
            overbar.grad(along)(alpha),
            overbar.jvp(along, (alpha,), (one,))[1],
        ]

    expected = seconds(total(near))
    np.testing.assert_allclose(seconds(total(both)), expected, rtol=1e-5 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("name", ["rbf", "matern", "rational_quadratic", "periodic"])
@pytest.mark.parametrize("n", [4, 600])
@pytest.mark.parametrize(("dtype", "lengthscale"), [("d", 1e-170), ("f", 1e-22)])
def test_a_length_scale_beside_which_squared_distances_overflow(name, n, dtype, lengthscale):
    """The covariance is that of unrelated points, and does not depend on the length scale: there are no NaN."""
    X = np.linspace(0, 0.9, n)[:, None].astype(dtype)
    others = {"rational_quadratic": (1.5,), "periodic": (1.0,)}.get(name, ())
    # (invalid: by blocks, the sum for the bar of α is made as well.)
    options = {"nu": 0.5} if name == "matern" else {}
    with np.errstate(over="ignore", invalid="ignore"):
        found = overbar.vjp(lambda s: getattr(overbar, name)(X, s, *others, **options), np.array(lengthscale, dtype))
        np.testing.assert_array_equal(found[0], np.eye(n))
        assert found[1](np.ones_like(found[0]))[0] == 0
    scale = torch.tensor(lengthscale, dtype={"d": torch.float64, "f": torch.float32}[dtype], requires_grad=True)
    getattr(torch_ops, name)(torch.tensor(X), scale, *others, **options).sum().backward()
    assert scale.grad == 0


@pytest.mark.parametrize("D", [2, 5])
@pytest.mark.parametrize("name", ["squared_distance_cross", "rbf_cross", "matern_cross", "rational_quadratic_cross"])
def test_an_infinite_length_scale_leaves_a_dimension_out(name, D):
    X, X2, scales = RNG.normal(size=(5, D)), RNG.normal(size=(3, D)), RNG.uniform(0.5, 2, D)
    scales[1], weights = np.inf, RNG.normal(size=(5, 3))
    options = {"alpha": 0.7} if name.startswith("rational") else {}
    kept = np.arange(D) != 1

    def compute(ops, X, X2, scales):
        total = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        W = torch.tensor(weights) if ops is torch_ops else weights
        return total(W * call(ops, name, X, X2, scales, **options))

    expected = gradients(compute, X[:, kept], X2[:, kept], scales[kept])
    for front, bars in gradients(compute, X, X2, scales).items():
        for bar, other in zip(bars, expected[front], strict=True):
            np.testing.assert_allclose(bar[..., kept], other, rtol=1e-9, atol=1e-12, err_msg=front)
            assert np.all(bar[..., 1] == 0), front
