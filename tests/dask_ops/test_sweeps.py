"""What overbar makes of functions, on Dask's arrays: Jacobians, Hessians, vectors of parameters, and what it refuses.
May import Dask."""

import numpy as np
import pytest

da = pytest.importorskip("dask.array")

import dask  # noqa: E402

import dask_ops  # noqa: E402, F401 - makes the primitives take Dask's arrays
import overbar  # noqa: E402
from overbar import gp  # noqa: E402
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


@pytest.mark.filterwarnings("ignore:diagonal. argument A .* is chunked anew:dask.array.PerformanceWarning")
@pytest.mark.parametrize("chunks", [(3, 6), (4, 5), (2, 2), (1, 6)])
@pytest.mark.parametrize("columns", [6, 5, 4])
def test_diagonals_of_any_matrix_and_tiles(chunks, columns):
    M = np.arange(36.0).reshape(6, 6)[:, :columns]
    tiled = da.from_array(M, chunks=chunks)
    functions = [lambda A, k=k: overbar.sum(overbar.diagonal(A, offset=k) ** 2) for k in (0, 1, 3, -1, -4)]
    for f in (overbar.trace, *functions):
        np.testing.assert_array_equal(overbar.grad(f)(tiled).compute(), overbar.grad(f)(M))


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
        (lambda: overbar.safe_cholesky(tiles()), "safe_cholesky is not computed by tiles.* is tried again"),
        (lambda: overbar.cholesky(tiles(), on_error="nan"), "cholesky is not computed by tiles.* may fail"),
        (lambda: overbar.expm(tiles()), "expm is not computed by tiles.* needs all of a matrix at once"),
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


@pytest.mark.parametrize(
    "index",
    [
        slice(2, 5), (slice(None), 3), slice(None, None, 2), (slice(None, None, -1), slice(1, 6, 2)), slice(7, 0, -3),
        (slice(None), None, 2), (..., None, 2), -1, slice(3, 3), (slice(1, None), slice(-3, None)),
    ],
)  # fmt: skip
def test_indices_of_chunks_have_derivatives_of_any_order(index):
    rng = np.random.default_rng(0)
    A, direction = rng.normal(size=(2, 9, 7))

    def f(A):
        return overbar.sum(A[index] ** 3) + overbar.sum(A**2)

    def of_gradient(A):
        return overbar.sum(overbar.grad(f)(A) ** 3)

    of_chunks = da.from_array(A, chunks=(4, 3))
    for derivative in (overbar.grad(f), overbar.grad(of_gradient), lambda A: overbar.hvp(f, (A,), direction)):
        close(np.asarray(derivative(of_chunks)), derivative(A), 1e-13)
    with pytest.raises(NotImplementedError, match="the derivative of an index of other than numbers and slices"):
        overbar.grad(lambda A: overbar.sum(A[[0, 3]] ** 2))(of_chunks)


def test_kernels_with_numbers_and_second_derivatives_of_a_likelihood():
    rng = np.random.default_rng(1)
    X = rng.uniform(-2, 2, (40, 2))
    y, start = np.sin(X[:, 0]), np.array([1.0, 1.5, 0.8, 0.1])

    def loss(p, X, y):
        kernel = gp.RBF(p[:2]) * p[2] + 0.5
        return -overbar.gp_log_marginal_likelihood(X, y, kernel, p[3])

    in_chunks = da.from_array(X, chunks=(15, -1)), da.from_array(y, chunks=15)
    for differentiate in (overbar.grad, overbar.hessian):
        found, wanted = (differentiate(lambda p, d=d: loss(p, *d))(start) for d in (in_chunks, (X, y)))
        close(np.asarray(found), wanted, 1e-10)
