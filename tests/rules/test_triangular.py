"""The reverse rule of `cho_solve` where it is split into blocks, which the small samples of the registry do not reach:
against the rule multiplied out the other way, in every way that an array library computes it. May import the fronts.
"""

import numpy as np
import pytest

import overbar
from overbar import _numpy_words
from overbar._namespace import mH
from tests.compare import error

SIZES = [255, 256, 257, 600]


def draw(n, k, dtype, batch=()):
    rng = np.random.default_rng(n)

    def normal(*shape):
        real = rng.standard_normal((*batch, *shape))
        return (real + 1j * rng.standard_normal((*batch, *shape)) if np.dtype(dtype).kind == "c" else real).astype(
            dtype
        )

    L = normal(n, n) / n + 2 * np.eye(n, dtype=dtype)  # the upper triangle is not zero, and must not be read
    return L, normal(n, k), normal(n, k)


def expected(L, B, X_bar):
    """L̄ = −tril(B̄ (Lᴴ X)ᴴ + X (Lᴴ B̄)ᴴ)."""
    T = np.tril(L)
    inverse = np.linalg.inv(T @ mH(T))
    X, B_bar = inverse @ B, inverse @ X_bar
    return -np.tril(B_bar @ mH(mH(T) @ X) + X @ mH(mH(T) @ B_bar))


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("columns", [1, 2 / 3])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_blocks_in_numpy(n, columns, dtype):
    L, B, X_bar = draw(n, int(columns * n) if columns < 1 else 1, dtype)
    bar = expected(L, B, X_bar)
    assert error(overbar.vjp(overbar.cho_solve, L, B)[1](X_bar)[0], bar) < 1e-13
    upper = overbar.vjp(lambda U, B: overbar.cho_solve(U, B, upper=True), mH(L), B)[1](X_bar)[0]
    assert error(upper, mH(bar)) < 1e-13


def test_blocks_work_on_batches():
    L, B, X_bar = draw(257, 200, "float64", (2, 1, 2))
    assert error(overbar.vjp(overbar.cho_solve, L, B)[1](X_bar)[0], expected(L, B, X_bar)) < 1e-13


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_blocks_in_torch_with_and_without_somebody_watching(dtype):
    torch = pytest.importorskip("torch")
    import torch_ops

    L, B, X_bar = draw(300, 280, dtype)
    L_, B_ = torch.tensor(L, requires_grad=True), torch.tensor(B)
    X = torch_ops.cholesky_solve(B_, L_)
    for create_graph in (False, True):
        (bar,) = torch.autograd.grad(X, L_, torch.tensor(X_bar), retain_graph=True, create_graph=create_graph)
        assert error(bar.detach(), expected(L, B, X_bar)) < 1e-13


def test_blocks_in_tensorflow():
    tf = pytest.importorskip("tensorflow")
    import tf_ops

    L, B, X_bar = draw(300, 280, "float64")

    @tf.function
    def bar(L):
        with tf.GradientTape() as tape:
            tape.watch(L)
            X = tf_ops.cholesky_solve(L, tf.constant(B))
        return tape.gradient(X, L, output_gradients=tf.constant(X_bar))

    assert error(bar(tf.constant(L)), expected(L, B, X_bar)) < 1e-13


def test_the_blas_of_scipy_is_called_where_it_starts_no_threads(monkeypatch):
    """Its threads and those of NumPy's BLAS would wait for each other, and rules of large matrices take ten times as
    long."""
    asked = []
    trtrs, trsm = _numpy_words._SOLVERS["d"]

    def one(T, B, **options):
        asked.append((trtrs, *B.shape))
        return trtrs(T, B, **options)

    def some(alpha, T, B, **options):
        asked.append((trsm, *B.shape))
        return trsm(alpha, T, B, **options)

    monkeypatch.setattr(_numpy_words, "ONE_THREAD", False)
    monkeypatch.setitem(_numpy_words._SOLVERS, "d", (one, some))
    for n in (3, 40, 300):
        A = np.eye(n) * 2 + np.ones((n, n)) / n
        overbar.vjp(overbar.cholesky, A)[1](np.ones((n, n)))
        overbar.cho_solve(np.linalg.cholesky(A), np.ones(n))
    assert {routine for routine, *_ in asked} == {trtrs, trsm}  # small ones are
    assert all(k == 1 if routine is trtrs else n * k < 1024 for routine, n, k in asked)  # OpenBLAS's limits
