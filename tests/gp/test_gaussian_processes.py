"""Gaussian processes in NumPy, PyTorch and TensorFlow: likelihood, predictions and samples against the formulas with
all inverses formed, their derivatives, the fit, and what is refused. May import `torch_ops` and `tf_ops`."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import overbar
from overbar import gp
from tests.compare import close
from tests.frameworks import tf, tf_ops, torch, torch_ops
from tests.processes import run_python
from tests.rules.test_positive_definite import gradients

RNG = np.random.default_rng(31)
N, D, M = 12, 2, 4
X, X_NEW = RNG.normal(size=(N, D)), RNG.normal(size=(M, D))
Y = np.sin(X @ [1.0, 2.0]) + 0.1 * RNG.normal(size=N)
NORMALS = RNG.normal(size=(3, M))
#: two length scales, a variance, a length scale, the noise
PARAMETERS = [np.array([0.8, 1.7]), np.array(1.4), np.array(0.6), np.array(0.05)]
FRONTS = ("numpy", "torch", "tf")


def ops_of(name):
    """The functions, what makes an array of one of NumPy's, and what does the reverse."""
    if name == "numpy":
        return overbar, np.asarray, np.asarray
    if name == "torch":
        return torch_ops, torch.tensor, lambda x: x.detach().numpy()
    return tf_ops, tf.constant, lambda x: x.numpy()


def composite(scales, variance, other):
    return gp.RBF(scales, variance) + gp.Matern(other, nu=1.5) * gp.RBF(2.0)


def dense(X1, X2, scales, variance, other):
    """The same covariance, written out."""
    differences = X1[:, None] - X2
    squares, r = ((differences / scales) ** 2).sum(-1), np.sqrt(3 * (differences**2).sum(-1)) / other
    return variance * np.exp(-squares / 2) + (1 + r) * np.exp(-r) * np.exp(-(differences**2).sum(-1) / 8)


def dense_likelihood(y, m, K):
    r = y - m
    return -(r @ np.linalg.inv(K) @ r + np.linalg.slogdet(K)[1] + len(r) * np.log(2 * np.pi)) / 2


def dense_prediction(y, K, K_cross, K_new):
    inverse = np.linalg.inv(K)
    return K_cross.T @ inverse @ y, K_new - K_cross.T @ inverse @ K_cross


def dense_arguments(parameters=PARAMETERS):
    *parameters, noise = parameters
    K = dense(X, X, *parameters) + np.diag(np.broadcast_to(noise, N))
    return K, dense(X, X_NEW, *parameters), dense(X_NEW, X_NEW, *parameters)


# -- kernels -----------------------------------------------------------------------------------------------------------

KERNELS = {
    "rbf": (gp.RBF, {}),
    "matern": (gp.Matern, {"nu": 1.5}),
    "rational_quadratic": (gp.RationalQuadratic, {}),
    "periodic": (gp.Periodic, {}),
    "linear_covariance": (gp.Linear, {}),
    "polynomial_covariance": (gp.Polynomial, {"degree": 2}),
}


@pytest.mark.parametrize("name", FRONTS)
@pytest.mark.parametrize("primitive", KERNELS)
def test_a_kernel_is_its_two_primitives(name, primitive):
    ops, array, back = ops_of(name)
    kind, options = KERNELS[primitive]
    names = [f.name for f in dataclasses.fields(kind) if f.name not in options]
    assert names == [a for a in getattr(overbar, primitive).arguments if a not in ("X", "noise")]
    each = {"lengthscale", "period"} | ({"variance"} if kind in (gp.Linear, gp.Polynomial) else set())
    values = [array(PARAMETERS[0] if field in each else np.array(0.7 + i)) for i, field in enumerate(names)]
    kernel, x, new, noise = kind(*values, **options), array(X), array(X_NEW), array(np.arange(1.0, N + 1))
    expected = back(getattr(ops, primitive)(x, *values, **options))
    np.testing.assert_array_equal(back(kernel(x)), expected)
    np.testing.assert_array_equal(
        back(kernel(x, new)), back(getattr(ops, f"{primitive}_cross")(x, new, *values, **options))
    )
    np.testing.assert_allclose(back(kernel.noisy(x, noise)), expected + np.diag(back(noise)), rtol=1e-14)
    np.testing.assert_allclose(back(kernel.diagonal(x)), np.diag(expected), rtol=1e-14)
    if name == "numpy":
        assert overbar.flatten(kernel)[0].size == sum(value.size for value in values)
        many = kind(*[np.stack([value, 2 * value]) for value in values], **options)  # a batch of parameters
        np.testing.assert_allclose(many.diagonal(X), np.diagonal(many(X), 0, -2, -1), rtol=1e-14)


def test_every_covariance_function_has_a_kernel():
    pairs = {name.removesuffix("_cross") for name in overbar.rules.REGISTRY if name.endswith("_cross")}
    assert pairs - {"squared_distance"} == set(KERNELS)


@pytest.mark.parametrize("name", FRONTS)
def test_sums_and_products_of_kernels_and_of_other_callables(name):
    _, array, back = ops_of(name)

    def dot(X, X2=None):  # no kernel of ours: it has no diagonal to ask for
        return X @ overbar.mT(X if X2 is None else X2)

    a, b = gp.RBF(array(PARAMETERS[0]), 1.4), gp.Matern(array(PARAMETERS[0]), 2, nu=0.5)
    x, new = array(X), array(X_NEW)
    first, second = back(a(x, new)), back(b(x, new))
    for kernel, expected in [
        (a + b * a, first + second * first),
        (a + dot, first + X @ X_NEW.T),
        (dot * a, first * (X @ X_NEW.T)),
        (dot + a, first + X @ X_NEW.T),
        (2 * a + b, 2 * first + second),
        (a + 0.5, first + 0.5),
        (a * gp.Constant(array(np.array(2.5))), 2.5 * first),
        (sum([a, b, a]), 2 * first + second),
    ]:
        np.testing.assert_allclose(back(kernel(x, new)), expected, rtol=1e-12)
        np.testing.assert_allclose(back(kernel.diagonal(x)), np.diag(back(kernel(x))), rtol=1e-12)
        noisy = back(kernel(x)) + np.diag(np.arange(1.0, N + 1))
        np.testing.assert_allclose(back(kernel.noisy(x, array(np.arange(1.0, N + 1)))), noisy, rtol=1e-12)
        np.testing.assert_array_equal(back(kernel.noisy(x, None)), back(kernel(x)))
    with pytest.raises(TypeError, match="unsupported operand"):
        a + "noise"
    for wrong, message in ((lambda: a + 0.0, "added to 0.0"), (lambda: -1 * a, "multiplied by -1")):
        with pytest.raises(ValueError, match=message):
            wrong()


@pytest.mark.parametrize("name", FRONTS)
def test_lists_and_numbers_of_a_library_in_kernels(name):
    ops, array, back = ops_of(name)
    kernel = gp.RBF([0.8, 1.7], 1.4) * array(np.array(2.5)) + array(np.array(0.5))
    found = ops.gp_log_marginal_likelihood(array(X), array(Y), kernel, 0.1)
    expected = overbar.gp_log_marginal_likelihood(X, Y, 2.5 * gp.RBF(np.array([0.8, 1.7]), 1.4) + 0.5, 0.1)
    assert float(found) == pytest.approx(float(expected), rel=1e-12)
    single = gp.RBF([0.8, 1.7])(array(X.astype(np.float32)))
    assert back(single).dtype == (np.float64 if name == "numpy" else np.float32)  # NumPy promotes


def test_a_traced_number_on_either_side_of_a_kernel():
    def likelihood(combine):
        return lambda p: overbar.gp_log_marginal_likelihood(X, Y, combine(p, gp.RBF(1.0)), 0.1)

    for left, right in [(lambda p, k: p * k, lambda p, k: k * p), (lambda p, k: p + k, lambda p, k: k + p)]:
        for p in (1.3, np.float64(1.3), np.array(1.3)):
            assert likelihood(left)(p) == likelihood(right)(p)
        assert overbar.grad(likelihood(left))(1.3) == overbar.grad(likelihood(right))(1.3) != 0
        second = overbar.grad(overbar.grad(likelihood(left)))(1.3)
        assert second == pytest.approx(overbar.hvp(likelihood(right), (1.3,), 1.0), rel=1e-10)
    with pytest.raises(TypeError, match="not an array"):
        overbar.grad(lambda p: p * object())(1.3)


def test_a_number_among_kernels_is_a_parameter():
    fit = overbar.gp_fit(X, 10 * Y, 2 * gp.RBF(1.0), 0.1, fixed="kernel.second.variance")
    alone = overbar.gp_fit(X, 10 * Y, gp.RBF(1.0, 2.0), 0.1)
    assert fit.value == pytest.approx(alone.value, rel=1e-8)
    assert float(fit.kernel.first.variance) == pytest.approx(float(alone.kernel.variance), rel=1e-3)


def test_a_kernel_is_a_container_of_its_parameters():
    kernel = gp.RBF([1, 2], 3) * (gp.Matern(0.5, nu=1.5) + gp.RBF(1))
    vector, rebuild = overbar.flatten(kernel)
    np.testing.assert_array_equal(vector, [1, 2, 3, 0.5, 1, 1, 1])  # and no order
    assert rebuild(2 * vector).second.first.nu == 1.5
    bars = overbar.grad(lambda k: overbar.sum(k(X)))(kernel)
    moved = overbar.jvp(lambda v: overbar.sum(rebuild(v)(X)), (vector,), (np.eye(7)[3],))[1]
    assert bars.second.first.lengthscale == pytest.approx(float(moved))
    with pytest.raises(dataclasses.FrozenInstanceError):
        kernel.first = None


# -- the likelihood ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRONTS)
def test_the_likelihood_is_that_of_the_formula(name):
    ops, array, _ = ops_of(name)
    rows = RNG.uniform(0.1, 0.5, N)
    for noise, mean, m in [
        (PARAMETERS[3], 0.0, 0.0),
        (rows, 0.3, 0.3),
        (rows, array(np.array(0.3)), 0.3),
        (rows, lambda X: X[..., 0], X[:, 0]),
    ]:
        kernel = composite(*map(array, PARAMETERS[:3]))
        found = ops.gp_log_marginal_likelihood(array(X), array(Y), kernel, array(noise), mean=mean)
        K, *_ = dense_arguments([*PARAMETERS[:3], noise])
        assert float(found) == pytest.approx(dense_likelihood(Y, m, K), rel=1e-11)


@pytest.mark.parametrize("name", FRONTS)
def test_several_outputs_and_a_batch_of_everything(name):
    ops, array, back = ops_of(name)
    outputs, means = np.stack([Y, Y**2, -Y]), np.array([[0.0], [0.5], [-1.0]])
    kernel = composite(*map(array, PARAMETERS[:3]))
    found = ops.gp_log_marginal_likelihood(array(X), array(outputs), kernel, 0.05, mean=array(means))
    K, K_cross, K_new = dense_arguments()
    for value, y, m in zip(back(found), outputs, means, strict=True):
        assert value == pytest.approx(dense_likelihood(y, m, K), rel=1e-11)
    predicted = ops.gp_predict(array(X), array(outputs), kernel, 0.05, array(X_NEW), mean=array(means))
    expected = np.stack(
        [dense_prediction(y - m, K, K_cross, K_new)[0] + m for y, m in zip(outputs, means, strict=True)]
    )
    np.testing.assert_allclose(back(predicted.mean), expected, rtol=1e-9, atol=1e-10)
    assert predicted.variance.shape == (M,)

    many = np.stack([X, 2 * X]), np.array([[0.5, 0.9], [1.5, 0.7]]), np.array([1.0, 3.0]), np.array([[0.1], [0.2]])
    inputs, scales, variance, noise = map(array, many)
    kernel = gp.RBF(scales, variance)
    value = back(ops.gp_log_marginal_likelihood(inputs, array(Y), kernel, noise))
    new = np.stack([X_NEW, X_NEW - 1])
    both = ops.gp_predict(inputs, array(Y), kernel, noise, array(new), noise_new=noise, normals=array(NORMALS[:, None]))
    for i in range(2):
        single = [array(x[i]) for x in many]
        kernel = gp.RBF(single[1], single[2])
        one = ops.gp_log_marginal_likelihood(single[0], array(Y), kernel, single[3])
        assert value[i] == pytest.approx(float(one))
        one = ops.gp_predict(
            single[0], array(Y), kernel, single[3], array(new[i]), noise_new=single[3], normals=array(NORMALS)
        )
        for x, y in zip((both.mean[i], both.variance[i], both.covariance[i], both.samples[:, i]), one, strict=True):
            np.testing.assert_allclose(back(x), back(y), rtol=1e-8, atol=1e-9)


def loss(ops, scales, variance, other, noise, X=X, y=Y):
    return -ops.gp_log_marginal_likelihood(*data(ops, X, y), composite(scales, variance, other), noise)


def data(ops, *arrays):
    return [torch.as_tensor(x) if ops is torch_ops else x for x in arrays]


def differences(f, x, direction, h=1e-4):
    near, far = f(x + h * direction) - f(x - h * direction), f(x + 2 * h * direction) - f(x - 2 * h * direction)
    return (8 * near - far) / (12 * h)


PEAK = """
import sys
import numpy as np, torch, overbar, torch_ops
from overbar import gp
from overbar.bench.memory import peak

n, (library, threads) = 4000, sys.argv[1:]
torch.set_num_threads(int(threads))
rng = np.random.default_rng(0)
X = rng.normal(size=(n, 2))
y = np.sin(X.sum(-1))

def in_numpy():
    def likelihood(scales, noise):
        return overbar.gp_log_marginal_likelihood(X, y, gp.RBF(scales), noise)

    return overbar.value_and_grad(likelihood, argnums=(0, 1))(np.array([1.0, 1.5]), np.array(0.1))

def in_torch():
    scales, noise = (torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in ([1.0, 1.5], 0.1))
    c = torch_ops.gp_log_marginal_likelihood(torch.tensor(X), torch.tensor(y), gp.RBF(scales), noise)
    c.backward()
    return c.item(), (scales.grad.numpy(), noise.grad.numpy())

run = in_numpy if library == "numpy" else in_torch
value, bars = run()  # libraries keep some memory from their first call on
most = peak(run)
print("nan" if most is None else most / (8 * n * n), value, *bars[0], bars[1])
"""


@pytest.mark.slow
def test_the_gradient_needs_less_memory_than_three_matrices():
    """Each in a process of its own, as what others have left there counts as well."""
    every = []
    for library, threads in (("numpy", 1), ("torch", 1), ("torch", 2)):
        result = run_python("-c", PEAK, library, str(threads))
        assert result.returncode == 0, result.stderr
        matrices, *found = map(float, result.stdout.split())
        assert np.isnan(matrices) or matrices < 3  # NaN where the system does not say
        every.append(found)
    close(every[1], every[0])
    close(every[2], every[0])


def test_gradients_by_all_arrays_are_those_of_the_formula():
    arrays = [*PARAMETERS, X, Y]

    def formula(*arrays):
        *parameters, noise, X, y = arrays
        return -dense_likelihood(y, 0, dense(X, X, *parameters) + noise * np.eye(N))

    found = gradients(loss, *arrays)
    for i, A in enumerate(arrays):
        direction = RNG.normal(size=A.shape)
        rate = differences(lambda x, i=i: formula(*arrays[:i], x, *arrays[i + 1 :]), A, direction)
        for name, bars in found.items():
            assert np.sum(bars[i] * direction) == pytest.approx(rate, rel=1e-7, abs=1e-8), name
            np.testing.assert_allclose(bars[i], found["numpy"][i], rtol=1e-9, atol=1e-11)


def test_second_derivatives_are_differences_of_gradients():
    dots = [RNG.normal(size=np.shape(x)) for x in PARAMETERS]

    def gradient(t):
        return overbar.grad(lambda a: loss(overbar, *a))([x + t * dot for x, dot in zip(PARAMETERS, dots, strict=True)])

    def along(t):
        return np.concatenate([np.ravel(bar) for bar in gradient(t)])

    expected = differences(along, 0.0, 1.0)
    ours = overbar.hvp(lambda a: loss(overbar, *a), (PARAMETERS,), dots)
    tensors = [torch.tensor(x, requires_grad=True) for x in PARAMETERS]
    bars = torch.autograd.grad(loss(torch_ops, *tensors), tensors, create_graph=True)
    slope = sum((bar * torch.tensor(dot)).sum() for bar, dot in zip(bars, dots, strict=True))
    in_torch = [x.numpy() for x in torch.autograd.grad(slope, tensors)]
    tensors = [tf.constant(x) for x in PARAMETERS]
    with tf.GradientTape() as outer:
        outer.watch(tensors)
        with tf.GradientTape() as inner:
            inner.watch(tensors)
            value = loss(tf_ops, *tensors)
        slope = sum(tf.reduce_sum(b * d) for b, d in zip(inner.gradient(value, tensors), dots, strict=True))
    in_tensorflow = [x.numpy() for x in outer.gradient(slope, tensors)]
    for found in (ours, in_torch, in_tensorflow):
        np.testing.assert_allclose(np.concatenate(list(map(np.ravel, found))), expected, rtol=1e-6, atol=1e-7)


# -- predictions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRONTS)
def test_predictions_are_those_of_the_formula(name):
    ops, array, back = ops_of(name)
    kernel, noise = composite(*map(array, PARAMETERS[:3])), array(PARAMETERS[3])
    given = [array(X), array(Y), kernel, noise, array(X_NEW)]
    K, K_cross, K_new = dense_arguments()
    mean, covariance = dense_prediction(Y - X[:, 0], K, K_cross, K_new)
    found = ops.gp_predict(*given, mean=lambda X: X[..., 0], covariance=True)
    np.testing.assert_allclose(back(found.mean), mean + X_NEW[:, 0], rtol=1e-10)
    np.testing.assert_allclose(back(found.covariance), covariance, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(back(found.variance), np.diag(covariance), rtol=1e-9)
    assert found.samples is None

    # new observations, with less work where only their variance is asked for
    rows = array(RNG.uniform(0.1, 0.5, M))
    for noise_new in (noise, rows):
        short, long = (ops.gp_predict(*given, noise_new=noise_new, covariance=c) for c in (False, True))
        assert short.covariance is None
        np.testing.assert_allclose(back(short.variance), np.diag(covariance) + back(noise_new), rtol=1e-9)
        np.testing.assert_allclose(back(short.variance), back(long.variance), rtol=1e-9)
        np.testing.assert_allclose(back(long.covariance), covariance + np.diag(np.ones(M) * back(noise_new)), rtol=1e-9)

    # unit vectors for normal numbers make the columns of a root of the covariance
    samples = back(ops.gp_predict(*given, normals=array(np.eye(M))).samples)
    root = (samples - back(ops.gp_predict(*given).mean)).T
    np.testing.assert_allclose(root @ root.T, covariance, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", FRONTS)
def test_a_kernel_that_knows_no_batches_has_its_own_variances(name):
    ops, array, back = ops_of(name)
    new = array(X_NEW)
    xp = overbar.namespace(new)

    def by_rows(X, X2=None):
        X2 = X if X2 is None else X2
        return xp.exp(xp.sum((X[:, None, :] - X2[None, :, :]) ** 2, axis=-1) / -2) * X[:, :1] ** 2 * X2[:, 0] ** 2

    for kernel in (by_rows, by_rows + gp.RBF(1.0)):
        found = ops.gp_predict(array(X), array(Y), kernel, 0.1, new)
        whole = ops.gp_predict(array(X), array(Y), kernel, 0.1, new, covariance=True)
        np.testing.assert_allclose(back(found.variance), np.diag(back(whole.covariance)), rtol=1e-12)
        assert np.ptp(back(found.variance)) > 0.1


def test_autocast_leaves_predictions_their_digits():
    arrays = [torch.tensor(x, dtype=torch.float32) for x in (X, Y, X_NEW, NORMALS)]

    def predict():
        return torch_ops.gp_predict(*arrays[:2], gp.RBF(0.5), 0.1, arrays[2], normals=arrays[3])

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = predict()
    for x, y in zip(found, predict(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", FRONTS)
def test_without_noise_predictions_interpolate_and_no_variance_is_negative(name):
    ops, array, back = ops_of(name)
    at = np.concatenate([X, X[:3] + 1e-9])  # where the variance is zero but for rounding
    tensor = array(at)
    found = ops.gp_predict(array(X), array(Y), gp.Matern(1.0, nu=1.5), 0.0, tensor, normals=array(np.ones(N + 3)))
    np.testing.assert_allclose(back(found.mean), Y[[*range(N), 0, 1, 2]], atol=1e-6)
    np.testing.assert_allclose(back(found.samples), Y[[*range(N), 0, 1, 2]], atol=1e-2)
    assert back(found.variance).min() >= 0
    assert back(found.variance).max() < 1e-12
    variance = ops.gp_predict(array(X), array(Y), gp.Matern(1.0, nu=1.5), 0.0, tensor).variance
    assert back(variance).min() >= 0

    def total(ops, at):
        found = ops.gp_predict(*data(ops, X, Y), gp.Matern(1.0, nu=1.5), 0.0, at)
        mean, variance = found[:2]
        sums = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        return sums(mean) + sums(variance)

    bars = gradients(total, at)
    for bar in bars.values():
        assert np.isfinite(bar[0]).all()
        np.testing.assert_allclose(bar[0], bars["numpy"][0], atol=1e-5)


def test_predictions_and_samples_are_differentiable():
    weights = [RNG.normal(size=(M,)), RNG.normal(size=(M,)), RNG.normal(size=(M, M)), RNG.normal(size=(3, M))]

    def total(ops, scales, variance, other, noise, X, y, new):
        found = ops.gp_predict(
            X, y, composite(scales, variance, other), noise, new, noise_new=noise, normals=data(ops, NORMALS)[0]
        )
        sums = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        return sum(sums(x * w) for x, w in zip(found, data(ops, *weights), strict=True))

    arrays = [*PARAMETERS, X, Y, X_NEW]
    found = gradients(total, *arrays)
    for i, A in enumerate(arrays):
        direction = RNG.normal(size=A.shape)
        rate = differences(lambda x, i=i: total(overbar, *arrays[:i], x, *arrays[i + 1 :]), A, direction)
        for name, bars in found.items():
            assert np.sum(bars[i] * direction) == pytest.approx(rate, rel=1e-6, abs=1e-7), name


# -- compiled ----------------------------------------------------------------------------------------------------------


def compute(ops, X, y, new, normals, scales, variance, other, noise):
    kernel = composite(scales, variance, other)
    predicted = ops.gp_predict(X, y, kernel, noise, new, normals=normals)
    return ops.gp_log_marginal_likelihood(X, y, kernel, noise), *predicted


@pytest.mark.parametrize("how", ["torch.compile", "tf.function", pytest.param("XLA", marks=pytest.mark.slow)])
def test_compiled_they_are_the_same(how):
    arrays = [X, Y, X_NEW, NORMALS, *PARAMETERS]
    expected, pullback = overbar.vjp(lambda *arrays: compute(overbar, *arrays), *arrays)
    bars = pullback(tuple(np.ones_like(x) for x in expected))[4:]
    if how == "torch.compile":
        compiled = torch.compile(lambda *arrays: compute(torch_ops, *arrays), fullgraph=True, backend="aot_eager")
        tensors = [torch.tensor(x, requires_grad=i > 3) for i, x in enumerate(arrays)]
        found = compiled(*tensors)
        found_bars = torch.autograd.grad(sum(x.sum() for x in found), tensors[4:])
    else:
        sizes = [x.shape if how == "XLA" else [None] * x.ndim for x in arrays]

        @tf.function(input_signature=[tf.TensorSpec(s, tf.float64) for s in sizes], jit_compile=how == "XLA")
        def graph(*arrays):
            with tf.GradientTape() as tape:
                tape.watch(arrays)
                found = compute(tf_ops, *arrays)
                total = sum(tf.reduce_sum(x) for x in found)
            return found, tape.gradient(total, arrays[4:])

        found, found_bars = graph(*map(tf.constant, arrays))
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x.detach() if how == "torch.compile" else x, y, rtol=1e-7, atol=1e-8)
    for x, y in zip(found_bars, bars, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dynamic", [None, True])
def test_compiled_a_number_of_pythons_may_change(dynamic):
    """The second time, or at once, it is a variable of the graph, which has no attributes to look for."""
    inputs, y, new = map(torch.tensor, (X, Y, X_NEW))

    def compute(c):
        kernel = c * gp.RBF(c) + gp.Polynomial(c, c, degree=2) * gp.Constant(c) + c
        predicted = torch_ops.gp_predict(inputs, y, kernel, c, new, mean=c, noise_new=c)
        return torch_ops.gp_log_marginal_likelihood(inputs, y, kernel, c, mean=c), predicted.mean, predicted.variance

    compiled = torch.compile(compute, fullgraph=True, backend="eager", dynamic=dynamic)
    for c in (0.5, 0.25, 0.125):
        for found, expected in zip(compiled(c), compute(c), strict=True):
            torch.testing.assert_close(found, expected)


def test_mapped_over_a_dimension_and_in_forward_mode():
    scales = np.array([0.5, 2.0])

    def both(ops, X, y, new, normals, scale):
        found = ops.gp_predict(X, y, gp.RBF(scale), 0.1, new, normals=normals)
        return ops.gp_log_marginal_likelihood(X, y, gp.RBF(scale), 0.1), found.variance, found.samples

    arrays = [X, Y, X_NEW, NORMALS]
    pairs = [overbar.jvp(lambda s: both(overbar, *arrays, s), (s,), (np.array(1.0),)) for s in scales]
    expected = [np.stack(columns) for columns in zip(*[pair[0] for pair in pairs], strict=True)]
    dots = [np.stack(columns) for columns in zip(*[pair[1] for pair in pairs], strict=True)]

    tensors = [torch.tensor(x) for x in arrays]
    in_torch = torch.func.vmap(lambda s: both(torch_ops, *tensors, s))(torch.tensor(scales))
    dots_in_torch = torch.func.vmap(torch.func.jacfwd(lambda s: both(torch_ops, *tensors, s)))(torch.tensor(scales))
    in_tf = tf.vectorized_map(lambda s: both(tf_ops, *arrays, s), tf.constant(scales))
    for found in (in_torch, in_tf):
        for x, y in zip(found, expected, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-9)
    for x, y in zip(dots_in_torch, dots, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-7)
    for s, *dots_of_one in zip(scales, *dots, strict=True):
        with tf.autodiff.ForwardAccumulator(at := tf.constant(s), tf.ones_like(at)) as accumulator:
            found = both(tf_ops, *arrays, at)
        for x, y in zip(found, dots_of_one, strict=True):
            np.testing.assert_allclose(accumulator.jvp(x), y, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", FRONTS)
def test_without_data_it_is_the_prior_and_there_may_be_nothing_to_predict(name):
    ops, array, back = ops_of(name)
    prior = ops.gp_predict(array(X[:0]), array(Y[:0]), gp.RBF(1.0, 2.0), 0.1, array(X_NEW), covariance=True)
    np.testing.assert_array_equal(back(prior.mean), np.zeros(M))
    np.testing.assert_allclose(back(prior.covariance), gp.RBF(1.0, 2.0)(X_NEW), rtol=1e-12)
    assert float(ops.gp_log_marginal_likelihood(array(X[:0]), array(Y[:0]), gp.RBF(1.0), 0.1)) == 0
    nothing = ops.gp_predict(array(X), array(Y), gp.RBF(1.0), 0.1, array(X[:0]), normals=array(NORMALS[:, :0]))
    assert [tuple(A.shape) for A in nothing] == [(0,), (0,), (0, 0), (3, 0)]


@pytest.mark.parametrize("name", FRONTS)
def test_single_precision(name):
    ops, array, back = ops_of(name)
    x, y, scales, new = (array(A.astype(np.float32)) for A in (X, Y, PARAMETERS[0], X_NEW))
    value = ops.gp_log_marginal_likelihood(x, y, gp.RBF(scales, 1.4), 0.1)
    found = ops.gp_predict(x, y, gp.RBF(scales, 1.4), 0.1, new, normals=array(NORMALS.astype(np.float32)))
    for A in (value, *found):
        assert back(A).dtype == np.float32
    wide = overbar.gp_predict(X, Y, gp.RBF(PARAMETERS[0], 1.4), 0.1, X_NEW, normals=NORMALS)
    for A, B in zip(found, wide, strict=True):
        np.testing.assert_allclose(back(A), B, rtol=1e-2, atol=1e-3)
    fit = ops.gp_fit(x, y, gp.RBF(scales, 1.4), 0.1, iterations=3)
    assert back(fit.kernel.lengthscale).dtype == np.float32


# -- the fit -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRONTS)
def test_the_fit_finds_the_variance_that_has_a_formula(name):
    """Without noise, K = v C, and v = yᵀ C⁻¹ y / n is the best."""
    ops, array, back = ops_of(name)
    start = gp.Matern(array(PARAMETERS[0]), 9.0, nu=0.5)
    fit = ops.gp_fit(array(X), array(Y), start, 0.0, fixed=("noise", "kernel.lengthscale"), tolerance=1e-9)
    C = gp.Matern(PARAMETERS[0], nu=0.5)(X)
    assert fit.converged, fit.message
    assert float(fit.kernel.variance) == pytest.approx(Y @ np.linalg.solve(C, Y) / N, rel=1e-6)
    assert fit.value == pytest.approx(dense_likelihood(Y, 0, back(fit.kernel.variance) * C), rel=1e-9)
    np.testing.assert_array_equal(back(fit.kernel.lengthscale), PARAMETERS[0])
    assert (fit.kernel.nu, float(fit.noise), fit.failures) == (0.5, 0.0, 0)


def test_a_fit_that_ends_at_a_bound_says_of_which_parameter():
    fit = overbar.gp_fit(X, Y, gp.RBF([1.0, 1.0]), 0.1, bounds={"noise": (0.05, 1), "kernel.variance": (0.7, 3)})
    free = overbar.gp_fit(X, Y, gp.RBF([1.0, 1.0]), 0.1)
    assert float(free.noise) < 0.05
    assert float(free.kernel.variance) < 0.7
    assert fit.message.endswith("; at a bound: kernel.variance, noise")
    assert "bound" not in free.message


@pytest.mark.parametrize("name", FRONTS)
def test_a_parameter_on_which_the_likelihood_does_not_depend_has_not_converged(name):
    ops, array, _ = ops_of(name)
    unseen = "; the likelihood does not depend, where it begins, on: kernel.lengthscale"
    for start in [1e-6, 2e-6], [1.0, 1e-6]:
        fit = ops.gp_fit(array(X), array(Y), gp.RBF(array(np.array(start))), 0.1)
        assert fit.message.endswith(unseen)
        assert fit.converged is False
    found = ops.gp_fit(array(X), array(Y), gp.RBF(array(np.array([1.0, 1.0]))), 0.1, tolerance=1e-9)
    again = ops.gp_fit(array(X), array(Y), found.kernel, found.noise)  # begins at its end, where all slopes are small
    flat = ops.gp_fit(array(X * [1.0, 0.0]), array(Y), gp.RBF(array(np.array([1.0, 1.0]))), 0.1)
    assert flat.message.endswith(unseen)
    for fit in (found, again, flat):
        assert fit.converged, fit.message
    assert unseen not in found.message + again.message


def test_the_fits_end_at_one_maximum():
    values, steps = {}, []
    for name in FRONTS:
        ops, array, back = ops_of(name)
        kernel = composite(array(np.ones(D)), 1.0, 1.0)
        fit = ops.gp_fit(
            array(X), array(Y), kernel, 0.1, bounds={"kernel.first.lengthscale": (0.05, 20)},
            callback=lambda i, value, name=name: steps.append((name, i, value)),
        )  # fmt: skip
        assert fit.converged, fit.message
        assert fit.evaluations >= fit.iterations == sum(step[0] == name for step in steps)
        assert steps[-1][2] == fit.value
        assert back(fit.kernel.first.lengthscale).max() <= 20
        again = ops.gp_log_marginal_likelihood(array(X), array(Y), fit.kernel, fit.noise)
        assert float(again) == pytest.approx(fit.value, rel=1e-9)
        values[name] = fit.value
    K, *_ = dense_arguments([np.ones(D), 1.0, 1.0, 0.1])
    assert values["numpy"] > dense_likelihood(Y, 0, K) + 1
    for value in values.values():
        assert value == pytest.approx(values["numpy"], abs=1e-4)


def test_a_fit_begins_at_parameters_of_a_module_and_at_variables():
    parameters = {"torch": lambda x: torch.nn.Parameter(torch.tensor(x)), "tf": lambda x: tf.Variable(x)}
    for name, parameter in parameters.items():
        ops, array, back = ops_of(name)
        kernel = gp.RBF(parameter(PARAMETERS[0]), parameter(np.array(2.0)))
        fit = ops.gp_fit(array(X), array(Y), kernel, parameter(np.array(0.3)), iterations=2)
        assert not np.isclose(back(fit.kernel.variance), 2.0)
        assert not np.isclose(back(fit.noise), 0.3)
        assert back(kernel.variance) == 2.0
        assert not getattr(fit.kernel.variance, "requires_grad", False)


@dataclass(frozen=True, eq=False)
class Lowered(gp.Kernel):
    """A covariance function only while its parameter is below a limit."""

    by: Any

    def __call__(self, X, X2=None):
        r = X - (overbar.mT(X) if X2 is None else overbar.mT(X2))
        return overbar.namespace(X).exp(-r * r / 2) * 2 - self.by

    def diagonal(self, X):
        return 2 + 0 * X[..., 0] - self.by


@pytest.mark.parametrize("name", FRONTS)
def test_a_step_that_leaves_the_positive_definite_matrices_is_taken_back(name):
    ops, array, _ = ops_of(name)
    x = np.linspace(0, 3, 8)[:, None]
    y = np.cos(3 * x[:, 0]) + 0.3
    fit = ops.gp_fit(array(x), array(y), Lowered(1e-3), 0.3, fixed=("noise",), tolerance=1e-7)
    assert fit.failures > 0
    assert fit.converged, fit.message
    best = float(fit.kernel.by)

    def value(by):
        return float(overbar.gp_log_marginal_likelihood(x, y, Lowered(by), 0.3))

    assert fit.value == pytest.approx(value(best))
    assert fit.value > max(value(best * 0.99), value(best * 1.01))
    with pytest.raises(ValueError, match="log marginal likelihood is nan where it begins"):
        ops.gp_fit(array(x), array(np.nan * y), gp.RBF(1.0), 0.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"fixed": ("kernel.length",)},
            r"fixed names 'kernel.length'. The parameters are kernel.lengthscale, ",
        ),
        ({"fixed": "nois"}, "fixed names 'nois'"),
        ({"bounds": {"nois": (1, 2)}}, "bounds names 'nois'"),
        ({"X": X[:0], "y": Y[:0]}, r"y of shape \(0,\) has no numbers"),
        ({"bounds": {"noise": (1, 2)}}, r"noise begins at 0.1, and its bounds are \(1, 2\)"),
        ({"fixed": ("kernel.lengthscale", "kernel.variance", "noise")}, "nothing to fit"),
        ({"noise": 0.0}, r"noise begins at 0.0.*fixed=\('noise',\)"),
        ({"kernel": gp.RBF([1.0, -1.0])}, r"kernel.lengthscale begins at \[1.0, -1.0\]"),
    ],
)
def test_a_fit_that_makes_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        overbar.gp_fit(**{"X": X, "y": Y, "kernel": gp.RBF(1.0), "noise": 0.1} | options)
    with pytest.raises(TypeError, match="got an array whose derivative is being traced"):
        overbar.grad(lambda s: overbar.gp_fit(X, Y, gp.RBF(s), 0.1).kernel.lengthscale)(1.0)


@pytest.mark.parametrize("how", ["tf.function", "torch.func", "torch.compile"])
def test_a_fit_inside_a_graph_is_refused_by_name(how):
    ops, array, _ = ops_of("tf" if how == "tf.function" else "torch")
    y = array(Y)

    def fitted(X):
        return ops.gp_fit(X, y, gp.RBF(1.0), 0.1).value

    transform = {
        "tf.function": lambda: tf.function(fitted, autograph=False),
        "torch.func": lambda: torch.func.grad(fitted),
        "torch.compile": lambda: torch.compile(fitted, backend="eager"),
    }[how]()
    with pytest.raises(TypeError, match=rf"gp_fit: it is called inside .*{how}.*Call it outside"):
        transform(array(X))


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FRONTS)
def test_errors_name_the_argument_and_the_remedy(name):
    ops, array, _ = ops_of(name)
    front = overbar.front(array(X))
    twice = X.copy()
    twice[5] = twice[2]
    refused = {
        "ShapeError": [
            ({"X": X[:, 0]}, r"argument X of shape \(12,\) has no rows.*X\[:, None\]"),
            ({"y": Y[:5]}, r"argument y of shape \(5,\) does not fit X of shape \(12, 2\)"),
            ({"y": Y[:, None]}, r"argument y of shape \(12, 1\) does not fit X.*y\[:, 0\]"),
            ({"y": np.array(1.0)}, r"argument y of shape \(\) does not fit"),
            ({"kernel": lambda X, X2=None: X}, r"kernel\(X\) is an array of shape \(12, 2\), and must be 12 by 12"),
            ({"kernel": gp.RBF(array(np.ones(3)))}, r"lengthscale of shape \(3,\) does not fit X"),
            ({"noise": array(np.ones(3))}, r"noise of shape \(3,\) does not fit "),
            ({"mean": array(Y)}, r"argument mean of shape \(12,\) is neither a number.*Pass a function of the inputs"),
        ],
        "LinAlgError": [
            ({"kernel": gp.RBF(-1.0)}, "lengthscale or variance is not positive. Parametrise"),
            ({"kernel": gp.Matern(1.0, array(np.array(-1.0)))}, "lengthscale or variance is not positive. Parametrise"),
            ({"noise": -0.1}, "noise is negative.*parametrise it"),
            (
                {"X": twice, "noise": 0.0},
                "argument noise.*coincide.*pass a larger noise, or use safe_chol",
            ),
        ],
    }
    for kind, cases in refused.items():
        for options, message in cases:
            given = {"X": X, "y": Y, "kernel": gp.RBF(1.0), "noise": 0.1, "mean": 0.0} | options
            given |= {key: array(given[key]) for key in ("X", "y")}
            mean = given.pop("mean")
            with pytest.raises(type(getattr(front, kind)("")), match=message) as error:
                ops.gp_log_marginal_likelihood(*given.values(), mean=mean)
            with pytest.raises(type(getattr(front, kind)("")), match=message) as error:
                ops.gp_predict(*given.values(), array(X_NEW), mean=mean)
            assert isinstance(error.value, {"numpy": ValueError, "torch": RuntimeError, "tf": Exception}[name])
    for options, message in [
        ({"X_new": array(X[:, :1])}, r"X_new of shape \(12, 1\) does not fit X of shape \(12, 2\)"),
        ({"X_new": array(X[0])}, r"X_new of shape \(2,\) has no rows"),
        (
            {"noise_new": array(np.ones(3))},
            r"^gp_predict: argument noise_new of shape \(3,\) does .* with 4",
        ),
        ({"noise_new": array(np.ones(3)), "covariance": True}, r"^gp_predict: argument noise_new of shape \(3,\) does"),
        ({"noise_new": array(np.ones(3)), "X_new": array(X_NEW[:1])}, "noise_new of shape .* X_new with 1 rows"),
        ({"noise_new": array(np.ones((2, 1))), "y": array(np.stack([Y] * 3))}, None),
        (
            {"noise_new": array(np.ones((2, 1))), "kernel": gp.RBF(1.0, array(np.ones(3)))},
            r"noise_new of shape \(2, 1\) does not fit the variances of shape \(3, 4\)",
        ),
        ({"normals": array(np.ones((2, 3)))}, r"normals of shape \(2, 3\) does not fit X_new with 4 rows"),
        ({"mean": lambda X: X[:, :1]}, r"argument mean gave an array of shape \(12, 1\) for 12 inputs"),
        ({"kernel": lambda X, X2=None: gp.RBF(1.0)(X)}, r"kernel\(X, X_new\) is an array of shape .*must be 12 by 4"),
    ]:
        given = {"X": array(X), "y": array(Y), "kernel": gp.RBF(1.0), "noise": 0.1, "X_new": array(X_NEW)} | options
        if message is None:
            assert ops.gp_predict(**given).variance.shape == (2, M)
            continue
        with pytest.raises(type(front.ShapeError("")), match=message):
            ops.gp_predict(**given)
    with pytest.raises(type(front.DtypeError("")), match=r"argument y has dtype .*int64\. It must be real"):
        ops.gp_fit(array(X), array(np.arange(N)), gp.RBF(1.0), 0.1)
    for covariance in (False, True):
        with pytest.raises(type(front.LinAlgError("")), match=r"^gp_predict: argument noise_new is negative") as error:
            ops.gp_predict(array(X), array(Y), gp.RBF(1.0), 0.1, array(X_NEW), noise_new=-0.1, covariance=covariance)
    with pytest.raises(TypeError, match=r"^gp_predict: argument noise_new must be real"):
        ops.gp_predict(array(X), array(Y), gp.RBF(1.0), 0.1, array(X_NEW), noise_new=1j)


@pytest.mark.parametrize("name", FRONTS)
def test_samples_of_several_outputs(name):
    """They are counted in front of the outputs; each is that of its output alone."""
    ops, array, back = ops_of(name)
    rng = np.random.default_rng(1)
    outputs, normals = np.stack([Y, Y**2, Y - 1]), rng.standard_normal((5, 3, M))
    given = gp.RBF(1.0), 0.1, array(X_NEW)
    samples = back(ops.gp_predict(array(X), array(outputs), *given, normals=array(normals)).samples)
    assert samples.shape == (5, 3, M)
    for i, y in enumerate(outputs):
        alone = back(ops.gp_predict(array(X), array(y), *given, normals=array(normals[:, i])).samples)
        np.testing.assert_allclose(samples[:, i], alone, rtol=1e-9, atol=1e-12)
    shared = back(ops.gp_predict(array(X), array(outputs), *given, normals=array(normals[:, :1])).samples)
    assert shared.shape == (5, 3, M)
    with pytest.raises(
        type(overbar.front(array(X)).ShapeError("")), match=r"normals of shape \(5, 4\) .* \(5, 3, 4\) makes"
    ):
        ops.gp_predict(array(X), array(outputs), *given, normals=array(normals[:, 0]))


@pytest.mark.parametrize("name", FRONTS)
def test_errors_name_what_is_no_kernel_no_mean_and_no_number(name):
    ops, array, _ = ops_of(name)
    front = overbar.front(array(X))
    holes = X.copy()
    holes[3, 1] = np.nan
    functions = [
        ops.gp_log_marginal_likelihood,
        lambda X, y, kernel, noise, **given: ops.gp_predict(X, y, kernel, noise, array(X_NEW), **given),
        lambda X, y, kernel, noise, **given: ops.gp_fit(X, y, kernel, noise, **given),
    ]
    for kind, options, message in [
        (TypeError, {"kernel": gp.RBF}, r"argument kernel is the class RBF.*gp\.RBF\(1\.0\)"),
        (TypeError, {"kernel": "rbf"}, "argument kernel is a str"),
        (TypeError, {"mean": None}, r"^gp_[a-z_]*: argument mean is a builtins.NoneType, which is not an array"),
        (
            type(front.ShapeError("")),
            {"mean": lambda X: 1.0},
            r"argument mean gave an array of shape \(\) for 12 inputs",
        ),
        (type(front.DtypeError("")), {"y": array(np.arange(N))}, "argument y has dtype .*int64"),
        (type(front.DtypeError("")), {"X": array(np.ones((N, D), int))}, "argument X has dtype .*int64"),
        (
            type(front.LinAlgError("")),
            {"X": array(holes)},
            r"^[a-z_]+: the covariance of the data.* is not finite.*argument X",
        ),
    ]:
        for function in functions:
            with pytest.raises(kind, match=message):
                function(**{"X": array(X), "y": array(Y), "kernel": gp.RBF(1.0), "noise": 0.1} | options)
    with pytest.raises(type(front.DtypeError("")), match=r"argument normals has dtype .*int64"):
        functions[1](array(X), array(Y), gp.RBF(1.0), 0.1, normals=array(np.ones((2, M), int)))


@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_tables_are_refused_with_the_remedy(name):
    """(TensorFlow converts them.)"""
    pandas = pytest.importorskip("pandas")
    ops, array, _ = ops_of(name)
    table, column, new = pandas.DataFrame(X), pandas.Series(Y), array(X_NEW)
    for argument, inputs, outputs in (("X", table, column), ("y", array(X), column)):
        for function, further in (("log_marginal_likelihood", ()), ("predict", (new,)), ("fit", ())):
            with pytest.raises(TypeError, match=rf"^gp_{function}: argument {argument} is a .*to_numpy\(\)"):
                getattr(ops, f"gp_{function}")(inputs, outputs, gp.RBF(1.0), 0.1, *further)
    for argument, value in (("X_new", table), ("mean", column), ("noise_new", column), ("normals", table)):
        with pytest.raises(
            TypeError, match=rf"^gp_predict: argument {argument} is a .*(Series|DataFrame).*to_numpy\(\)"
        ):
            ops.gp_predict(array(X), array(Y), gp.RBF(1.0), 0.1, **{"X_new": new, argument: value})
    with pytest.raises(TypeError, match=r"^gp_fit: argument kernel.lengthscale is a pandas.Series.*to_numpy\(\)"):
        overbar.gp_fit(X, Y, gp.RBF(pandas.Series([1.0, 2.0])), 0.1)
    with pytest.raises(TypeError, match=r"^add_diagonal: got a .*Series.*to_numpy\(\)"):
        ops.add_diagonal(array(np.eye(2)), pandas.Series([1.0, 2.0]))


@pytest.mark.parametrize("name", FRONTS)
def test_no_noise_is_none(name):
    ops, array, back = ops_of(name)
    kernel = gp.Matern(1.0, nu=0.5)
    for k in (kernel, lambda X, X2=None: kernel(X) if X2 is None else kernel(X, X2)):
        found, same = (ops.gp_log_marginal_likelihood(array(X), array(Y), k, noise) for noise in (None, 0.0))
        assert back(found) == back(same)


@pytest.mark.parametrize("name", FRONTS)
def test_a_fit_of_no_iterations_ends_where_it_begins(name):
    ops, array, back = ops_of(name)
    fit = ops.gp_fit(array(X), array(Y), gp.RBF(0.7), 0.2, iterations=0)
    assert (fit.iterations, fit.evaluations, fit.converged) == (0, 1, False)
    np.testing.assert_allclose([back(fit.kernel.lengthscale), back(fit.noise)], [0.7, 0.2], rtol=1e-15)
    at_start = overbar.gp_log_marginal_likelihood(X, Y, gp.RBF(0.7), 0.2)
    assert fit.value == pytest.approx(float(at_start), rel=1e-12)
    assert "no iterations" in fit.message
    assert ops.gp_fit(array(X), array(Y), gp.RBF(0.7), 0.2, iterations=1).iterations == 1
    with pytest.raises(ValueError, match="gp_fit: iterations is -1"):
        ops.gp_fit(array(X), array(Y), gp.RBF(0.7), 0.2, iterations=-1)


@pytest.mark.parametrize("name", ["numpy", "tf"])
def test_lists_are_arrays_wherever_they_stand(name):
    ops, _, back = ops_of(name)
    kernel, noise, new = gp.RBF([1.0, 2.0]), np.linspace(0.1, 0.3, N), np.linspace(0.1, 0.3, M)
    found = ops.gp_predict(X.tolist(), Y.tolist(), kernel, noise.tolist(), X_NEW.tolist(), noise_new=new.tolist())
    same = ops.gp_predict(X, Y, kernel, noise, X_NEW, noise_new=new)
    np.testing.assert_allclose(back(found.mean), back(same.mean), rtol=1e-5)
    np.testing.assert_allclose(back(found.variance), back(same.variance), rtol=1e-5)
    fit = ops.gp_fit(X, Y, kernel, noise.tolist(), iterations=3)
    assert tuple(fit.noise.shape) == (N,)
    assert fit.value == pytest.approx(ops.gp_fit(X, Y, kernel, noise, iterations=3).value, rel=1e-6)
    with pytest.raises(type(overbar.front(fit.noise).ShapeError("")), match=r"mean of shape \(12,\) is neither"):
        ops.gp_log_marginal_likelihood(X, Y, kernel, 0.1, mean=[1.0] * N)


def test_in_a_graph_coincident_points_without_noise_are_an_error_when_it_runs():
    graph = tf.function(lambda X, noise: tf_ops.gp_log_marginal_likelihood(X, Y, gp.RBF(1.0), noise))
    twice = X.copy()
    twice[5] = twice[2]
    assert np.isfinite(graph(tf.constant(twice), tf.constant(0.1, tf.float64)))
    with pytest.raises(tf.errors.InvalidArgumentError, match="K is not positive definite"):
        graph(tf.constant(twice), tf.constant(0.0, tf.float64))


@pytest.mark.parametrize(
    ("scale", "noise", "message", "other"),
    [
        (1.0, 0.0, "gaussian_logpdf: argument K is not positive definite", "rbf"),
        (-1.0, 0.1, "rbf: argument lengthscale or variance is not positive", "noise"),
        (1.0, -0.1, "rbf: argument noise is negative or NaN", "lengthscale"),
    ],
)
def test_in_a_graph_each_mistake_has_its_own_message(scale, noise, message, other):
    graph = tf.function(lambda scale, noise: tf_ops.gp_log_marginal_likelihood(twice, Y, gp.RBF(scale), noise))
    twice = X.copy()
    twice[5] = twice[2]
    with pytest.raises(tf.errors.InvalidArgumentError, match=message) as raised:
        graph(*(tf.constant(x, tf.float64) for x in (scale, noise)))
    assert other not in str(raised.value).partition("[")[2].partition("]")[0]


@pytest.mark.parametrize("name", ["torch", "tf"])
def test_data_of_two_dtypes_are_refused_by_their_names(name):
    ops, array, _ = ops_of(name)
    narrow = array(X.astype(np.float32))
    for call in (
        lambda: ops.gp_log_marginal_likelihood(narrow, array(Y), gp.RBF(1.0), 0.1),
        lambda: ops.gp_predict(narrow, array(Y), gp.RBF(1.0), 0.1, narrow),
        lambda: ops.gp_fit(narrow, array(Y), gp.RBF(1.0), 0.1),
    ):
        with pytest.raises(TypeError, match=r"argument y has dtype .*float64, and X has .*float32.*Convert one"):
            call()
    with pytest.raises(TypeError, match=r"gp_predict: argument X_new has dtype .*float32, and X has .*float64"):
        ops.gp_predict(array(X), array(Y), gp.RBF(1.0), 0.1, narrow)


@pytest.mark.parametrize("nu", [2.0, "2.5", None])
def test_an_option_of_a_kernel_is_looked_at_when_it_is_made(nu):
    with pytest.raises(ValueError, match=r"Matern: nu is .*\. It must be 0\.5, 1\.5 or 2\.5"):
        gp.Matern(1.0, nu=nu)
    for degree in (0, -1, 2.5, True):
        with pytest.raises(ValueError, match=r"Polynomial: degree is .*\. It must be a positive integer"):
            gp.Polynomial(degree=degree)
    assert gp.Polynomial(degree=np.int64(2))(X).shape == (N, N)


def test_arrays_of_another_library():
    with pytest.raises(TypeError, match=r"Convert it with torch\.as_tensor"):
        torch_ops.gp_log_marginal_likelihood(X, Y, gp.RBF(1.0), 0.1)
    with pytest.raises(TypeError, match=r"Convert it with torch\.as_tensor"):
        overbar.gp_fit(X, Y, gp.RBF(torch.tensor(1.0)), 0.1)
    found = tf_ops.gp_log_marginal_likelihood(X, Y, gp.RBF(PARAMETERS[0]), 0.1)
    assert isinstance(found, tf.Tensor)
    assert float(found) == pytest.approx(overbar.gp_log_marginal_likelihood(X, Y, gp.RBF(PARAMETERS[0]), 0.1))
    in_torch = overbar.gp_predict(*map(torch.tensor, (X, Y)), gp.RBF(1.0), 0.1, torch.tensor(X_NEW))
    assert isinstance(in_torch.mean, torch.Tensor)


def test_options_of_a_kernel_are_no_parameters():
    @dataclasses.dataclass(frozen=True, eq=False)
    class Power(gp.Kernel):
        scale: object
        degree: int = gp.option(3)
        columns: tuple = gp.option((1,))

        def __call__(self, X, X2=None):
            X, X2 = (A[..., list(self.columns)] for A in (X, X if X2 is None else X2))
            return (1 + self.scale * (X @ overbar.mT(X2))) ** self.degree

    X = np.random.default_rng(0).standard_normal((8, 2))
    fit = overbar.gp_fit(X, X[:, 1] ** 2, Power(1), 0.1)
    assert (fit.kernel.degree, fit.kernel.columns) == (3, (1,))
    bars = overbar.grad(lambda k: overbar.gp_log_marginal_likelihood(X, X[:, 1], k, 0.1))(Power(1.0))
    assert (bars.degree, bars.columns) == (3, (1,))
    assert bars.scale.dtype == float


@pytest.mark.parametrize("ops, array", [(overbar, np.array), (torch_ops, torch.tensor), (tf_ops, tf.constant)])
def test_shapes_that_do_not_fit_are_said_of_arguments_that_were_given(ops, array):
    """And not of those of the covariance function or the product that they come to."""
    rng = np.random.default_rng(4)
    X, y, X_new = (array(rng.normal(size=shape)) for shape in ((6, 1), (2, 6), (4, 1, 1)))
    kernel = overbar.gp.RBF(array(np.array([[1.0], [2.0], [3.0]])))
    error = type(overbar.front(X).ShapeError(""))
    with pytest.raises(error, match=r"^gp_predict: argument y of shape \(2, 6\) does not fit argument X_new of shape"):
        ops.gp_predict(X, y, overbar.gp.RBF(1.0), 0.1, X_new)
    assert tuple(ops.gp_predict(X, y[:, None], overbar.gp.RBF(1.0), 0.1, X_new).mean.shape) == (2, 4, 1)
    noise = array(np.array([0.1, 0.2, 0.3]))
    for call in (
        lambda noise: ops.gp_log_marginal_likelihood(X, y[0], kernel, noise),
        lambda noise: ops.gp_predict(X, y[0], kernel, noise, X).mean,
        lambda noise: ops.gp_log_marginal_likelihood(X, y[0], kernel + overbar.gp.Matern(1.0), noise),
    ):
        with pytest.raises(
            error, match=r"^gp_.*: argument noise of shape \(3,\) does not fit X with 6 .* noise\[:, None\]"
        ):
            call(noise)
        assert len(call(noise[:, None])) == 3
