"""The kernels for the Cholesky rules of one matrix of medium size. May import `overbar`.

Their truth is the rule for the whole matrix in words, which tests of the collection hold against mpmath.
"""

import importlib

import numpy as np
import pytest

import overbar
from overbar import _front
from overbar.kernels import _cholesky_blocks as blocks
from overbar.verify import Draw

# `overbar.rules._cholesky` is the primitive, which hides the module of that name
rules = importlib.import_module("overbar.rules._cholesky")

SIZES = [1, 2, 72, 73, 100, 145, 300]
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])


def factor(draw, n, smooth):
    """A factor whose diagonal is even, or not: then the kernels do not cut it."""
    A = draw.normal(n, n)
    A = A @ A.conj().T / n + np.eye(n)
    if smooth:
        scale = np.geomspace(1, 30, n)
        A = A * scale * scale[:, None]
    return np.linalg.cholesky(A.astype(draw.dtype))


@every_dtype
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("smooth", [False, True], ids=["even", "uneven"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_both_kernels(dtype, n, smooth, order):
    draw = Draw(0, dtype)
    L, X = factor(draw, n, smooth), draw.normal(n, n)
    A_dot = (X + X.conj().T) / 2
    given = [np.array(array, order=order) for array in (L, X, A_dot)]
    A_bar, L_dot = blocks.cholesky_cotangent(*given[:2])[0], blocks.cholesky_tangent(given[0], given[2])[0]
    for found, expected in (
        (A_bar, rules.reverse_symbolic(L, X)),
        (L_dot, rules.forward_symbolic(L, A_dot)),
    ):
        assert found.dtype == dtype
        assert abs(found - expected).max() <= 500 * np.finfo(dtype).eps * abs(expected).max()
    assert np.array_equal(A_bar, A_bar.conj().T)
    assert not np.triu(L_dot, 1).any()
    for array, before in zip(given, (L, X, A_dot), strict=True):
        assert np.array_equal(array, before)  # nothing is written into arguments


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_the_primitive_by_them(dtype, upper, monkeypatch):
    monkeypatch.setattr(type(rules.front(np.ones(1))), "has_blas", lambda self, *arrays: True)
    draw = Draw(0, dtype)
    L, X = factor(draw, 150, False), draw.normal(150, 150)
    H, turned = (X + X.conj().T) / 2, (lambda Y: Y.conj().T) if upper else (lambda Y: Y)
    f, A = (lambda A: overbar.cholesky(A, upper=upper)), L @ L.conj().T
    A_bar, L_dot = overbar.vjp(f, A)[1](turned(X))[0], turned(overbar.jvp(f, (A,), (H,))[1])
    for found, expected in ((A_bar, rules.reverse_symbolic(L, X)), (L_dot, rules.forward_symbolic(L, H))):
        assert abs(found - expected).max() <= 1e-13 * abs(expected).max()


def test_second_derivatives_are_of_words(monkeypatch):
    """Where somebody watches, a kernel would be a constant."""
    monkeypatch.setattr(_front, "ONE_THREAD", True)
    draw = Draw(0, "float64")
    L, X, Y = factor(draw, 100, False), draw.normal(100, 100), draw.normal(100, 100)
    A, H = L @ L.T, X + X.T
    f = lambda A: overbar.sum(overbar.sin(overbar.cholesky(A)) * Y)  # noqa: E731
    found = overbar.hvp(f, (A,), H)
    step = 1e-5
    grad = overbar.grad(f)
    expected = (grad(A + step * H) - grad(A - step * H)) / (2 * step)
    assert abs(found - expected).max() < 1e-7 * abs(expected).max()


def test_what_is_above_the_diagonal_is_not_read():
    draw = Draw(0, "float64")
    L, L_bar = factor(draw, 200, False), np.tril(draw.normal(200, 200))
    expected = blocks.cholesky_cotangent(L, L_bar)[0]
    above = np.triu_indices(200, 1)
    L[above], L_bar[above] = np.nan, np.inf
    assert np.array_equal(blocks.cholesky_cotangent(L, L_bar)[0], expected)


def test_products_are_left_out_above_the_blocks_that_are_cut():
    C, X = np.zeros((200, 200)), np.ones((200, 3))
    blocks._subtract(C, X, X.T, 72)
    assert np.array_equal(np.tril(C), np.tril(np.full((200, 200), -3.0)))
    assert not C[:100, 104:].any()


@pytest.mark.parametrize("one_thread", [False, True])
def test_they_are_taken_where_no_thread_waits_for_another(one_thread, monkeypatch):
    library = type(rules.front(np.ones(1)))
    monkeypatch.setattr(library, "has_blas", lambda self, *arrays: one_thread)
    taken = []
    monkeypatch.setattr(library, "compute", lambda self, kernel, *arrays: taken.append(kernel.name) or [arrays[0]])
    L = np.eye(blocks.LEAST)
    rules.reverse(L, L), rules.forward(L, L)
    assert taken == (["cholesky_cotangent", "cholesky_tangent"] if one_thread else [])
    rules.reverse(L[1:, 1:], L[1:, 1:]), rules.reverse(np.array([L, L]), L)
    assert len(taken) <= 2
