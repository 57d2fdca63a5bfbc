"""Neighbourhood Components Analysis, the lecture note's last example: the gradient by one reverse sweep against the
expression of the paper (Goldberger, Roweis, Hinton and Salakhutdinov, NIPS 2004). May import `overbar`.

Each point x_i chooses another one, x_j, with the probability p_ij ∝ exp(−|A x_i − A x_j|²), and the objective is the
expected number of points that choose one of their own class.
"""

import tracemalloc

import numpy as np
import pytest

import overbar


def data(N, D, classes=3):
    rng = np.random.default_rng(N)
    labels = rng.integers(0, classes, N)
    X = rng.standard_normal((N, D)) + labels[:, None] / np.sqrt(D)
    return rng.standard_normal((2, D)) / np.sqrt(D), X, labels[:, None] == labels


def objective(A, X, same):
    Z = X @ A.T
    squares = np.sum(Z**2, axis=1)
    scores = 2 * Z @ Z.T - squares[:, None] - squares
    scores = overbar.where(np.eye(len(X), dtype=bool), -np.inf, scores)  # nobody chooses himself
    P = overbar.softmax(scores, axis=1)
    return overbar.sum(overbar.where(same, P, 0.0))


def probabilities(A, X):
    Z = X @ A.T
    scores = -np.sum((Z[:, None] - Z) ** 2, axis=2)
    np.fill_diagonal(scores, -np.inf)
    P = np.exp(scores - scores.max(axis=1, keepdims=True))
    return P / P.sum(axis=1, keepdims=True)


def of_the_paper(A, X, same):
    """2 A Σ_i (p_i Σ_k p_ik x_ik x_ikᵀ − Σ_j p_ij x_ij x_ijᵀ), j in the class of i: N² outer products of D by D."""
    P = probabilities(A, X)
    total = np.zeros((X.shape[1], X.shape[1]))
    for i, x in enumerate(X):
        differences = x - X
        own = P[i] * same[i]
        weights = own.sum() * P[i] - own
        total += np.einsum("k,ka,kb->ab", weights, differences, differences)
    return 2 * A @ total


def by_hand(A, X, same):
    """The reverse sweep written out: with the bars S of the squared distances, Z̄ = 2 (diag((S + Sᵀ) 1) − S − Sᵀ) Z."""
    P = probabilities(A, X)
    own = np.sum(P * same, axis=1, keepdims=True)
    S = -P * (same - own)
    S = S + S.T
    return (2 * (np.diag(S.sum(axis=1)) - S) @ (X @ A.T)).T @ X


@pytest.mark.parametrize(("N", "D"), [(12, 2), (30, 7)])
def test_the_gradient_is_that_of_the_paper(N, D):
    A, X, same = data(N, D)
    value, bar = overbar.value_and_grad(objective)(A, X, same)
    assert np.isclose(value, np.sum(probabilities(A, X) * same))
    expected = of_the_paper(A, X, same)
    np.testing.assert_allclose(bar, expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(by_hand(A, X, same), expected, rtol=1e-10, atol=1e-12)
    A_dot = np.random.default_rng(0).standard_normal(A.shape)
    difference = (objective(A + 1e-5 * A_dot, X, same) - objective(A - 1e-5 * A_dot, X, same)) / 2e-5
    assert np.isclose(np.sum(bar * A_dot), difference, rtol=1e-6)


def test_a_gradient_without_the_second_term_is_noticed():
    A, X, same = data(12, 2)
    assert not np.allclose(of_the_paper(A, X, np.ones_like(same)), of_the_paper(A, X, same), rtol=0.1)
    assert np.allclose(overbar.grad(objective)(A, X, np.ones_like(same)), 0, atol=1e-12)  # all one class: constant


def test_memory_does_not_grow_with_the_number_of_inputs():
    """The sweep holds matrices of N × N, as many for 2 inputs as for 60; all differences would be N × N × D numbers."""
    peaks = []
    for D in (2, 60):
        A, X, same = data(150, D)
        overbar.value_and_grad(objective)(A, X, same)
        tracemalloc.start()
        overbar.value_and_grad(objective)(A, X, same)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0] + 8 * 150 * 60 * 10
    assert peaks[1] < 8 * 150 * 150 * 60 / 2


def test_ascent_puts_classes_together():
    A, X, same = data(60, 5)
    first = objective(A, X, same)
    value_and_grad = overbar.value_and_grad(objective)
    for _ in range(60):
        _, bar = value_and_grad(A, X, same)
        A = A + 0.02 * bar
    assert objective(A, X, same) > first + 3
