"""Covariance matrices tile by tile, and Gaussian processes of inputs in chunks: NumPy's numbers. May import Dask."""

import functools

import numpy as np
import pytest

da = pytest.importorskip("dask.array")

import dask  # noqa: E402

import dask_ops  # noqa: E402, F401 - makes the primitives take Dask's arrays
import overbar  # noqa: E402
from overbar import gp  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.verify import draw_cases  # noqa: E402
from tests.compare import close  # noqa: E402

PAIRS = [name for name in REGISTRY if f"{name}_cross" in REGISTRY]
N, ROWS = 23, 9


def test_there_are_as_many_as_the_collection_has():
    assert {"rbf", "matern", "rational_quadratic", "periodic", "linear_covariance", "squared_distance"} <= {*PAIRS}


def arguments(primitive, rng, D=2):
    """Positive numbers for every argument: length scales for each dimension, noise for each row."""
    found = []
    for name, core in zip(primitive.arguments, primitive.signature.inputs, strict=True):
        size = {"X": (N, D), "X2": (N - 6, D), "noise": (N,)}.get(name, (D,) * len(core))
        found.append(rng.normal(size=size) if name in ("X", "X2") else rng.uniform(0.5, 2, size))
    return found


def rows_in_chunks(primitive, arrays, rows=ROWS):
    """Inputs, and noise of each row, chunked; the numbers as they are, NumPy's."""
    found = []
    for name, A in zip(primitive.arguments, arrays, strict=True):
        chunked = name in ("X", "X2", "noise")
        found.append(da.from_array(A, chunks=(rows, *A.shape[1:])) if chunked else A)
    return found


@pytest.mark.parametrize("name", [*PAIRS, *(f"{name}_cross" for name in PAIRS)])
def test_value_and_derivatives(name):
    """The cotangent is not symmetric."""
    primitive, rng = REGISTRY[name], np.random.default_rng(3)
    arrays = arguments(primitive, rng)
    chunked = rows_in_chunks(primitive, arrays)
    K, pull = overbar.vjp(primitive, *arrays)
    bar, dots = rng.normal(size=K.shape), tuple(rng.normal(size=A.shape) for A in arrays)
    found, pulled = overbar.vjp(primitive, *chunked)

    def gradient(*arrays):
        return overbar.vjp(primitive, *arrays)[1](bar)

    found = [found, *pulled(bar), overbar.jvp(primitive, chunked, dots)[1], *overbar.jvp(gradient, chunked, dots)[1]]
    expected = [K, *pull(bar), overbar.jvp(primitive, arrays, dots)[1], *overbar.jvp(gradient, arrays, dots)[1]]
    assert found[0].numblocks[0] == 3
    for A, wanted in zip(dask.compute(*found), expected, strict=True):
        close(A, wanted, 1e-11)


def test_only_what_is_asked_for_is_in_the_graph():
    """Of the gradient with respect to one number nothing of the other bars is computed."""
    X = da.from_array(np.random.default_rng(0).normal(size=(N, 2)), chunks=(ROWS, 2))
    _, pull = overbar.vjp(lambda v: overbar.rbf(X, 1.0, v), 2.0)
    bar = pull(da.ones((N, N), chunks=ROWS))[0]
    (found,) = dask.optimize(bar)
    assert bar.shape == ()
    assert len(found.__dask_graph__()) < 6 * 6


@overbar.primitive("(n,n)->()", hermitian=("A",))
def total(A):
    return overbar.namespace(A).sum(A, axis=(-2, -1))


@total.vjp
def _(c_bar, c, A):
    """Right for tangents that are symmetric, and not symmetric itself."""
    xp = overbar.namespace(A)
    ones = c_bar[..., None, None] * xp.ones_like(A)
    return (lambda: xp.tril(ones) + xp.tril(ones, k=-1),)


def test_a_rule_of_ones_own_need_not_give_a_symmetric_bar():
    X = np.random.default_rng(0).normal(size=(N, 2))
    wanted = overbar.grad(lambda scale: total(overbar.rbf(X, scale)))(1.5)
    Xd = da.from_array(X, chunks=(ROWS, 2))
    close(overbar.grad(lambda scale: total(overbar.rbf(Xd, scale)))(1.5).compute(), wanted, 1e-13)


def test_the_bars_of_hermitian_arguments_are_so_in_the_collection():
    """What the sums of tiles above and below the diagonal go by."""
    for primitive in REGISTRY.values():
        for case in draw_cases(primitive, np.complex128) if primitive.hermitian else ():
            value, pull = overbar.vjp(lambda *arrays: primitive(*arrays, **case.options), *case.arrays)  # noqa: B023
            rng = np.random.default_rng(0)
            bars = [rng.normal(size=np.shape(x)) * (1 + 1j * (x.dtype.kind == "c")) for x in _several(value)]
            for argument, bar in zip(
                primitive.arguments, pull(tuple(bars) if isinstance(value, tuple) else bars[0]), strict=True
            ):
                if argument in primitive.hermitian:
                    close(bar, bar.conj().mT, 1e-12)


def _several(value):
    return value if isinstance(value, tuple) else (value,)


def test_errors_are_those_of_the_function():
    X = da.from_array(np.ones((N, 2)), chunks=(ROWS, 2))
    with pytest.raises(np.linalg.LinAlgError, match=r"rbf.*argument lengthscale"):
        overbar.rbf(X, -1.0).compute()
    with pytest.raises(np.linalg.LinAlgError, match=r"argument noise is negative"):
        overbar.matern(X, 1.0, 1.0, -0.1).compute()


# ---------------------------------------------------------------------------------------------------------------------
# Gaussian processes


@functools.cache
def data(n=120):
    rng = np.random.default_rng(0)
    X = rng.uniform(0, 3, (n, 2))
    return X, np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=n)


def likelihood(X, y):
    def nll(parameters):
        K = overbar.rbf(X, parameters["scales"], parameters["variance"], parameters["noise"])
        return -overbar.gaussian_logpdf(y, 0 * y, K)

    return nll


PARAMETERS = {"scales": np.array([0.7, 1.9]), "variance": 1.3, "noise": 0.1}
DIRECTION = {"scales": np.array([1.0, -0.5]), "variance": 0.2, "noise": -0.7}


def in_chunks(rows):
    X, y = data()
    return da.from_array(X, chunks=(rows, 2)), da.from_array(y, chunks=rows)


@pytest.mark.parametrize("rows", [25, 40, 64, 119, 120])
def test_value_gradient_and_hessian_vector_product(rows):
    wanted = overbar.value_and_grad(likelihood(*data()))(PARAMETERS)
    hvp = overbar.hvp(likelihood(*data()), (PARAMETERS,), DIRECTION)
    nll = likelihood(*in_chunks(rows))
    found = overbar.value_and_grad(nll)(PARAMETERS), overbar.hvp(nll, (PARAMETERS,), DIRECTION)
    (value, bars), product = dask.compute(*found)
    close(value, wanted[0], 1e-12)
    for name in PARAMETERS:
        close(bars[name], wanted[1][name], 1e-10)
        close(product[name], hvp[name], 1e-10)


def test_the_gradient_by_the_inputs():
    X, y = data()
    wanted = overbar.grad(lambda X: likelihood(X, y)(PARAMETERS))(X)
    Xd, yd = in_chunks(50)
    found = overbar.grad(lambda X: likelihood(X, yd)(PARAMETERS))(Xd)
    assert found.chunks == Xd.chunks
    close(found.compute(), wanted, 1e-10)


def test_kernels_likelihood_and_predictions():
    kernel = gp.RBF([1.0, 0.5]) + gp.Matern(0.5) * gp.RBF(2.0)

    def value_and_bars(X, y):
        f = lambda kernel, noise: overbar.gp_log_marginal_likelihood(X, y, kernel, noise)  # noqa: E731
        return overbar.value_and_grad(f, argnums=(0, 1))(kernel, 0.1)

    value, (bars, noise_bar) = value_and_bars(*data())
    found, (found_bars, found_noise) = dask.compute(*value_and_bars(*in_chunks(50)))
    close(found, value, 1e-12)
    close(found_noise, noise_bar, 1e-11)
    close(found_bars.first.lengthscale, bars.first.lengthscale, 1e-11)
    close(found_bars.second.second.variance, bars.second.second.variance, 1e-11)
    new = data()[0][:7] + 0.1
    wanted = overbar.gp_predict(*data(), kernel, 0.1, new, covariance=True)
    predicted = dask.compute(*overbar.gp_predict(*in_chunks(50), kernel, 0.1, new, covariance=True)[:3])
    for A, w in zip(predicted, wanted, strict=False):
        close(A, w, 1e-11)


def test_a_fit():
    start = gp.RBF([1.0, 1.0])
    wanted = overbar.gp_fit(*data(), start, 0.1, iterations=5)
    found = overbar.gp_fit(*in_chunks(50), start, 0.1, iterations=5)
    assert isinstance(found.kernel.lengthscale, da.Array)
    close(found.value, wanted.value, 1e-9)
    close(found.kernel.lengthscale.compute(), wanted.kernel.lengthscale, 1e-6)
    assert found.evaluations == wanted.evaluations


def test_a_fit_steps_back_from_what_is_not_positive_definite():
    """The error of a task comes back to the optimiser."""
    X = np.linspace(0, 1, 100)[:, None]
    Xd, yd = da.from_array(X, chunks=(40, 1)), da.from_array(np.ones(100), chunks=40)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        overbar.gp_fit(Xd, yd, gp.RBF(1e3), 1e-30)
