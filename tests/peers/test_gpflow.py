"""GPflow and TensorFlow Probability as they are, on our ops by one line: losses and gradients are what they are without
it.

May import `tf_ops`. The dependency group `peers` has what is needed; what is not installed is skipped.
"""

import warnings

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of the libraries'

FUSED = "gpflow.logdensities.multivariate_normal"
SPARSE = "gpflow.models.SGPR.elbo"


def imported(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, exc_type=ImportError)


@pytest.fixture(scope="module")
def gpflow():
    return imported("gpflow")


@pytest.fixture
def installed():
    yield tf_ops.install
    tf_ops.uninstall()


def data(n=40, outputs=1):
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 3, (n, 2))
    return X, np.sin(X @ rng.normal(size=(2, outputs))) + 0.1 * rng.normal(size=(n, outputs))


def exact(gpflow, **options):
    return gpflow.models.GPR(data(outputs=2), gpflow.kernels.Matern52(lengthscales=[1.0, 2.0]), **options)


def sparse(gpflow, kind=None):
    X, y = data(outputs=2)
    kind = kind or gpflow.models.SGPR
    return kind((X, y), gpflow.kernels.RBF(lengthscales=[1.0, 2.0]), X[:7].copy(), noise_variance=0.1)


def loss_and_gradients(model, compiled=True):
    def function():
        with tf.GradientTape() as tape:
            loss = model.training_loss()
        return [loss, *tape.gradient(loss, model.trainable_variables)]

    return [x.numpy() for x in (tf.function(function) if compiled else function)()]


def close(found, expected, tolerance=1e-9):
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("compiled", [True, False], ids=["graph", "eager"])
@pytest.mark.parametrize("kind, name, count", [(exact, FUSED, 1), (sparse, SPARSE, 1)], ids=["GPR", "SGPR"])
def test_a_model_has_the_loss_and_gradients_it_has_without_us(kind, name, count, compiled, gpflow, installed):
    model = kind(gpflow)
    expected = loss_and_gradients(model, compiled)
    routes = installed()
    close(loss_and_gradients(model, compiled), expected)
    assert routes.counts[name] == count
    assert routes.counts["tf.linalg.cholesky"] == (1 if kind is exact else 2)


def test_a_mean_function_has_its_gradient(gpflow, installed):
    model = exact(gpflow, mean_function=gpflow.functions.Linear(np.ones((2, 2)), np.ones(2)), noise_variance=0.3)
    expected = loss_and_gradients(model)
    assert installed().counts == {}
    close(loss_and_gradients(model), expected)


def test_a_hessian(gpflow, installed):
    def hessian(model):
        variable = model.kernel.lengthscales.unconstrained_variable
        with tf.GradientTape() as outer:
            with tf.GradientTape() as inner:
                loss = model.training_loss()
            gradient = inner.gradient(loss, variable)
        return [gradient.numpy(), outer.jacobian(gradient, variable).numpy()]

    models = exact(gpflow), sparse(gpflow)
    expected = [hessian(model) for model in models]
    routes = installed()
    for model, values in zip(models, expected, strict=True):
        close(hessian(model), values, 1e-8)
    assert {FUSED, SPARSE} <= set(routes.counts)


def test_training_reaches_the_same_optimum(gpflow, installed):
    def trained():
        model = exact(gpflow)
        gpflow.optimizers.Scipy().minimize(model.training_loss, model.trainable_variables, options={"maxiter": 100})
        return [model.training_loss().numpy(), *[np.asarray(p) for p in model.trainable_parameters]]

    expected = trained()
    routes = installed()
    found = trained()
    close(found[:1], expected[:1])
    close(found, expected, 1e-4)  # how far the optimiser goes, where the loss is flat
    assert routes.counts[FUSED] >= 1


def test_a_prediction(gpflow, installed):
    models, points = (exact(gpflow), sparse(gpflow)), data()[0][:5] + 0.1
    expected = [x.numpy() for model in models for x in model.predict_y(points)]
    installed()
    close([x.numpy() for model in models for x in model.predict_y(points)], expected)


def test_a_class_of_somebody_elses_keeps_its_steps(gpflow, installed):
    class Doubled(gpflow.models.SGPR):
        def quad_term(self, common):
            return 2 * super().quad_term(common)

    model = sparse(gpflow, Doubled)
    expected = loss_and_gradients(model)
    routes = installed()
    close(loss_and_gradients(model), expected)
    assert SPARSE not in routes.counts


def test_a_mean_function_that_autograph_rewrites(gpflow, installed):
    """What is exchanged leaves a Python `if` on a tensor to AutoGraph, as GPflow does."""

    class Mean(gpflow.functions.MeanFunction):
        def __call__(self, X):
            if tf.reduce_sum(X) > 0:
                return X[:, :1] + tf.zeros([1, 2], X.dtype)
            return tf.zeros_like(X)

    models = exact(gpflow, mean_function=Mean()), sparse(gpflow)
    models[1].mean_function = Mean()
    expected = [loss_and_gradients(model) for model in models]
    installed()
    for model, values in zip(models, expected, strict=True):
        close(loss_and_gradients(model), values)


@pytest.mark.parametrize("name", ["MultivariateNormalTriL", "GaussianProcess"])
def test_a_distribution_of_tensorflow_probability(name, installed):
    tfp = imported("tensorflow_probability")
    X, y = data()
    variables = [tf.Variable(x, dtype=tf.float64) for x in (1.3, 0.7)]

    def density():
        kernel = tfp.math.psd_kernels.ExponentiatedQuadratic(*variables)
        if name == "GaussianProcess":
            process = tfp.distributions.GaussianProcess(kernel, X, observation_noise_variance=0.01 * variables[0])
            return process.log_prob(y[:, 0])
        L = tf.linalg.cholesky(kernel.matrix(X, X) + 0.01 * variables[0] * tf.eye(len(X), dtype=tf.float64))
        return tfp.distributions.MultivariateNormalTriL(scale_tril=L).log_prob(y[:, 0])

    @tf.function
    def value_and_gradients():
        with tf.GradientTape() as tape:
            value = density()
        return [value, *tape.gradient(value, variables)]

    expected = [x.numpy() for x in value_and_gradients()]
    routes = installed()
    close([x.numpy() for x in tf.function(value_and_gradients.python_function)()], expected)
    assert routes.counts["tf.linalg.cholesky"] == 1
    assert routes.counts.get("tfp.math.hpsd_logdet", 0) == (name == "GaussianProcess")
