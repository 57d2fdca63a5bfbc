"""`whitened_gram`: the products of a sparse Gaussian process, with more rows than are computed at once, and with many
observations beside one matrix; its bars are those of the steps one by one.

May import `overbar`.
"""

import numpy as np
import pytest

import overbar
from overbar.rules._whitened import SMALL

M, N = 2 * SMALL + 5, 12


def inputs(batch=()):
    rng = np.random.default_rng(0)
    L = np.tril(rng.normal(size=(M, M))) / M + np.eye(M)
    return L, rng.normal(size=(M, N)), rng.normal(size=(*batch, N, 2))


@pytest.mark.parametrize("batch", [(), (3,)])
def test_halves_and_observations_in_a_batch(batch):
    arrays = inputs(batch)

    def steps(L, W, R):
        A = overbar.solve_triangular(L, W, upper=False)
        return overbar.matmul(A, overbar.matrix_transpose(A)), overbar.matmul(A, R)

    (G, a), pullback = overbar.vjp(overbar.whitened_gram, *arrays)
    (G1, a1), pullback_of_steps = overbar.vjp(steps, *arrays)
    assert G.shape == (*batch, M, M)
    assert np.array_equal(G, np.swapaxes(G, -2, -1))
    np.testing.assert_allclose(G, np.broadcast_to(G1, G.shape), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(a, a1, rtol=1e-12, atol=1e-12)
    rng = np.random.default_rng(1)
    G_bar, a_bar = rng.normal(size=G.shape), rng.normal(size=a.shape)
    summed = G_bar.sum(0) if batch else G_bar
    for found, expected in zip(pullback((G_bar, a_bar)), pullback_of_steps((summed, a_bar)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


def test_one_of_the_products_alone():
    """The rule does not compute what belongs to the other one."""
    L, W, R = inputs()
    _, pullback = overbar.vjp(lambda R: overbar.whitened_gram(L, W, R)[0], R)
    assert not pullback(np.ones((M, M)))[0].any()
    A = np.linalg.solve(L, W)
    L_bar = overbar.vjp(lambda L: overbar.whitened_gram(L, W, R)[1], L)[1](np.ones((M, 2)))[0]
    expected = -np.tril(np.linalg.solve(L.T, np.ones((M, 2)) @ R.T) @ A.T)
    np.testing.assert_allclose(L_bar, expected, rtol=1e-10, atol=1e-10)
