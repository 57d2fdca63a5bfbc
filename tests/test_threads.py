"""NumPy's words where BLAS starts threads and where it does not: the same results by other routines. May import NumPy,
SciPy and `overbar`."""

import os

import numpy as np
import pytest
import scipy.linalg

import overbar
from overbar import _numpy_words
from overbar.rules import REGISTRY
from overbar.verify import check
from tests.compare import close
from tests.processes import run_python

THREADS = pytest.mark.parametrize("one_thread", [False, True])


@pytest.fixture
def xp(one_thread, monkeypatch):
    monkeypatch.setattr(_numpy_words, "ONE_THREAD", one_thread)
    return overbar.namespace(np.eye(2))


def triangle(n, dtype, upper, unitriangular):
    """A triangle with NaN on the other side, and on the diagonal where that is not read; and the matrix it stands
    for."""
    rng = np.random.default_rng(n)
    A = rng.normal(size=(n, n)) / n + (1j * rng.normal(size=(n, n)) / n if np.dtype(dtype).kind == "c" else 0)
    A = (A + 2 * np.eye(n)).astype(dtype)
    full = np.triu(A) if upper else np.tril(A)
    A[np.tril_indices(n, -1) if upper else np.triu_indices(n, 1)] = np.nan
    if unitriangular:
        np.fill_diagonal(full, 1)
        np.fill_diagonal(A, np.nan)
    return A, full


@THREADS
@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("left", [False, True])
def test_triangular_systems(xp, dtype, order, upper, left):
    rng = np.random.default_rng(3)
    for n, k in ((1, 1), (5, 3), (60, 70), (130, 1)):
        B = rng.normal(size=(n, k) if left else (k, n)).astype(dtype)
        for adjoint in (False, True):
            for unitriangular in (False, True):
                A, full = triangle(n, dtype, upper, unitriangular)
                M = full.conj().T if adjoint else full
                expected = np.linalg.solve(M, B) if left else np.linalg.solve(M.T, B.T).T
                options = {"upper": upper, "left": left, "adjoint": adjoint, "unitriangular": unitriangular}
                X = xp.solve_triangular(np.asarray(A, order=order), np.asarray(B, order=order), **options)
                assert X.dtype == dtype
                close(X, expected, 100 * np.finfo(dtype).eps)


@THREADS
@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
def test_factors(xp, dtype):
    """Only the lower triangle is read, and what is above the diagonal of the factor is zero."""
    rng = np.random.default_rng(4)
    for n in (1, 20, 90):
        X = rng.normal(size=(n, n)) + (1j * rng.normal(size=(n, n)) if np.dtype(dtype).kind == "c" else 0)
        A = (X @ X.conj().T / n + np.eye(n)).astype(dtype)
        given = np.tril(A) + np.triu(np.full((n, n), np.nan), 1).astype(dtype)
        L = xp.cholesky(given)
        assert L.dtype == dtype
        close(L, scipy.linalg.cholesky(A, lower=True), 100 * np.finfo(dtype).eps)
        assert not np.triu(L, 1).any()


@THREADS
@pytest.mark.parametrize("n", [3, 80])
def test_errors_are_the_same(xp, one_thread, n):
    A, L = np.eye(n), np.eye(n)
    A[-1, -1], L[1, 1] = -2, 0
    with pytest.raises(np.linalg.LinAlgError, match=f"leading minor of order {n} is not positive"):
        overbar.cholesky(A)
    for B in (np.ones((n, 1)), np.ones((n, n))):
        with pytest.raises(np.linalg.LinAlgError, match=r"diagonal is zero at \(1, 1\)"):
            overbar.solve_triangular(L, B, upper=False)
    A[-1, 0], A[-1, -1] = np.nan, 1
    with pytest.raises(np.linalg.LinAlgError, match="is not finite"):
        overbar.cholesky(A)
    assert np.isnan(xp.cholesky(A, on_error="nan")).any()


@pytest.mark.parametrize("name", ["cholesky", "solve_triangular", "cho_solve", "inv_quad_logdet", "gaussian_logpdf"])
@pytest.mark.parametrize("one_thread", [False, True])
def test_rules(xp, name):
    assert check(REGISTRY[name], "float64", 1)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"OMP_NUM_THREADS": "1"}, True),
        ({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "2"}, False),
        ({"OMP_NUM_THREADS": "4"}, False),
        ({}, os.cpu_count() == 1),
    ],
)
def test_the_environment_says_how_many_threads_there_are(environment, expected):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "GOTO_NUM_THREADS")
    code = "from overbar import _numpy_words; print(_numpy_words.ONE_THREAD)"
    found = run_python("-c", code, environment={**dict.fromkeys(names, ""), **environment})
    assert found.stdout.split() == [str(expected)], found.stderr
