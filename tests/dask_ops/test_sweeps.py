"""What overbar makes of functions, on Dask's arrays: Jacobians, Hessians, vectors of parameters, and what it refuses.
May import Dask."""

import numpy as np
import pytest

da = pytest.importorskip("dask.array")

import dask  # noqa: E402

import dask_ops  # noqa: E402, F401 - makes the primitives take Dask's arrays
import overbar  # noqa: E402
from tests.compare import close  # noqa: E402

A = np.array([[4.0, 2.0, 1.0], [2.0, 5.0, 0.5], [1.0, 0.5, 3.0]])


def tiles():
    return da.from_array(A, chunks=2)


def logdet(A):
    return overbar.cho_logdet(overbar.cholesky(A))


@pytest.mark.parametrize(
    "make",
    [
        lambda A: overbar.jacobian(overbar.cholesky, A),
        lambda A: overbar.hessian(logdet)(A),
        lambda A: overbar.hvp(logdet, (A,), A),
        lambda A: overbar.grad(lambda p: logdet(p["A"]) * p["s"])({"A": A, "s": 2.0})["s"],
        lambda A: overbar.value_and_grad(lambda A: (logdet(A), [overbar.cholesky(A)]), has_aux=True)(A)[0][1][0],
        lambda A: overbar.flatten({"A": A, "s": 2.0})[1](overbar.flatten({"A": A, "s": 2.0})[0])["A"],
        lambda A: overbar.grad(lambda A: np.sum(np.exp(A / 3) * A) + overbar.mean(A))(A),
        lambda A: overbar.grad(lambda A: np.sum(np.where(A > 1, A * A, -A)))(A),
        lambda A: overbar.grad(lambda A: overbar.sum(overbar.softmax(A) ** 2))(A),
        lambda A: overbar.grad(lambda A: overbar.einsum("ij,jk->", A, A))(A),
        lambda A: overbar.grad(lambda A: sum(row[1] * row.sum() for row in A))(A),
    ],
)
def test_it_is_lazy_and_what_numpys_is(make):
    found = make(tiles())
    assert isinstance(found, da.Array)
    close(found.compute(), make(A), 1e-13)


def test_nothing_is_computed_before_it_is_asked_for():
    def never(x):
        raise AssertionError("computed")

    A = tiles().map_blocks(never, dtype=float, meta=np.empty((0, 0)))
    value, pull = overbar.vjp(lambda A: overbar.gaussian_logpdf(np.ones(3), np.zeros(3), A), A)
    found = [value, *pull(1.0), overbar.jvp(overbar.cholesky, (A,), (A,))[1], overbar.hvp(logdet, (A,), A)]
    with pytest.raises(AssertionError, match="computed"):
        dask.compute(*found)


def test_parameters_of_numpys_beside_data_of_dasks():
    X = da.from_array(np.arange(6.0).reshape(3, 2), chunks=(2, 2))
    bars = overbar.grad(lambda scale: overbar.sum(overbar.rbf(X, np.exp(scale))))(np.zeros(2))
    wanted = overbar.grad(lambda scale: overbar.sum(overbar.rbf(X.compute(), np.exp(scale))))(np.zeros(2))
    assert isinstance(bars, da.Array)
    close(bars.compute(), wanted, 1e-13)


@pytest.mark.parametrize(
    "refused, message",
    [
        (lambda: overbar.grad(overbar.checkpoint(logdet))(tiles()), r"checkpoint .*of Dask.* Leave it out"),
        (lambda: overbar.graph(logdet, tiles()), r"graph: .* of Dask.* compute it first"),
        (lambda: overbar.grad(lambda A: overbar.sum(A, axis=A))(tiles()), "axis"),
        (lambda: overbar.grad(logdet)(da.ones((2, 2), dtype=int, chunks=1)), "is of integers"),
        (lambda: overbar.safe_cholesky(tiles()), "safe_cholesky is not computed by tiles"),
        (lambda: overbar.cholesky(tiles(), on_error="nan"), "cholesky is not computed by tiles.*on_error"),
    ],
)
def test_what_is_refused(refused, message):
    with pytest.raises((TypeError, NotImplementedError, np.linalg.LinAlgError), match=message):
        refused()


def _by_name(x):
    return overbar.sum(da.map_blocks(np.exp, x, name="by-a-name", dtype=float))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: overbar.sum(da.asarray(x) ** 2),
        lambda x: overbar.sum(da.ones(5, chunks=2).dot(x)),
        lambda x: overbar.sum(da.map_blocks(np.exp, x)),
        lambda x: overbar.sum(da.where(x > 0, x, 0)),
        lambda x: da.mean(x),
        lambda x: overbar.sum(da.from_array(x)),
        _by_name,
    ],
)
@pytest.mark.parametrize(
    "differentiate", [overbar.grad, overbar.hessian, lambda f: lambda x: overbar.jvp(f, (x,), (x,))]
)
def test_functions_of_dask_get_no_array_whose_derivative_is_traced(function, differentiate):
    """They would make a constant of it, and the derivative would be zero without a word."""
    for x in (np.arange(5.0), da.arange(5.0, chunks=2)):
        with pytest.raises(
            TypeError, match=r"a function of Dask's got an array whose derivative is being traced.*overbar"
        ):
            differentiate(function)(x)
