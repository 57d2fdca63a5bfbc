"""How often the argument of an exponential is halved, and jets of small matrices as one matrix. May import
`overbar._jets`, `overbar.kernels`.
"""

import numpy as np
import pytest

import overbar
from overbar import _jets
from overbar._jets import Jet, exponential, halvings, sine_and_cosine
from overbar.kernels._scaling import halvings_on_host


def of_many_kinds(n):
    rng = np.random.default_rng(n)
    A = rng.standard_normal((n, n))
    yield from (A * 10.0**k for k in (-300, -9, -1, 0, 1, 2, 5))
    yield np.triu(A, 1) * 1e3  # nilpotent
    yield np.eye(n) + np.eye(n, k=1) * 1e9  # one of whose powers the norm says little
    yield np.eye(n) + np.eye(n, k=1) * 1e100
    yield np.eye(n) + np.eye(n, k=1) * 1e200
    yield np.diag(10.0 ** np.linspace(0, -30, n)) @ A
    yield np.zeros((n, n))
    yield A * np.where(np.eye(n, k=1), np.inf, 1.0)
    yield A * np.where(np.eye(n, k=1), np.nan, 1.0)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("n", [2, 5, 40])
def test_on_the_host_there_are_as_many_halvings(n, order):
    stack = np.array(list(of_many_kinds(n)))
    with np.errstate(all="ignore"):
        expected = np.array([halvings(A, order) for A in stack])
    assert expected.max() > 10
    np.testing.assert_array_equal(halvings_on_host(stack, order=order)[0], expected)
    for A, count in zip(stack, expected, strict=True):
        assert halvings_on_host(A, order=order)[0] == count


@pytest.mark.parametrize("order", [0, 1, 2, 3])
@pytest.mark.parametrize("f", [exponential, lambda X: sine_and_cosine(X)[0], lambda X: sine_and_cosine(X)[1]])
def test_blocks_of_one_matrix_are_the_parts_of_a_jet(monkeypatch, f, order):
    rng = np.random.default_rng(order)
    A, *directions = (rng.standard_normal((1 + order, 3, 3)) * 2).astype(np.float32)
    directions = [E + 1j * E.T for E in directions]
    found = f(Jet.along(A, *directions)).parts
    monkeypatch.setattr(_jets, "SMALL", 0)
    expected = f(Jet.along(A, *directions)).parts
    assert len(found) == len(expected) == 2**order
    for P, Q in zip(found, expected, strict=True):
        assert P.dtype == (np.complex64 if order else np.float32)
        np.testing.assert_allclose(P, Q, atol=1e-4 * abs(Q).max())


def test_polynomials_of_few_numbers_and_of_many():
    rng = np.random.default_rng(0)
    c = rng.standard_normal(11)
    for A in (rng.standard_normal((3, 3)), rng.standard_normal((2, 0, 4, 4)), rng.standard_normal((3, 80, 80)) / 9):
        E = rng.standard_normal(A.shape)
        value, along = _jets.polynomial_of(_jets.powers_of(Jet.along(A, E), 5), c.tolist()).parts
        expected, expected_along = overbar.jvp(lambda A: overbar.polynomial(A, c), (A,), (E,))
        np.testing.assert_allclose(value, expected, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(along, expected_along, rtol=1e-11, atol=1e-11)
