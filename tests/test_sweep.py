"""The sweeps in NumPy over functions of several primitives, and what they refuse. May import `overbar`."""

import functools

import numpy as np
import pytest

import overbar


def differences(f, A, step=1e-5):
    gradient = np.zeros_like(A)
    for i in np.ndindex(A.shape):
        E = np.zeros_like(A)
        E[i] = step
        gradient[i] = (f(A + E) - f(A - E)) / (2 * step)
    return gradient


FUNCTIONS = {
    "operators": lambda A: (2 * A @ A.T + A / (3 + A * A) - 1 / (4 + A**2)).sum(),
    "numpy's functions": lambda A: np.sum(np.exp(-A) * np.sin(A) + np.tril(A) @ np.ones((3, 1))),
    "parts and shapes": lambda A: (A[0, 1:] * A[1:, 0]).sum() + A.reshape(9)[4] + overbar.trace(overbar.mT(A) @ A),
    "a solve": lambda A: overbar.sum(overbar.cho_solve(overbar.cholesky(A @ A.T + 5 * np.eye(3)), np.ones(3)) ** 2),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_reverse_and_forward_agree_with_differences(name):
    f, rng = FUNCTIONS[name], np.random.default_rng(0)
    A, A_dot = rng.standard_normal((3, 3)), rng.standard_normal((3, 3))
    value, pullback = overbar.vjp(f, A)
    (A_bar,) = pullback(1.0)
    np.testing.assert_allclose(A_bar, differences(lambda A: overbar.vjp(f, A)[0], A), rtol=1e-7, atol=1e-8)
    same, dot = overbar.jvp(f, (A,), (A_dot,))
    assert value == same
    np.testing.assert_allclose(dot, np.sum(A_bar * A_dot), rtol=1e-12)


def test_several_outputs_take_absent_cotangents():
    def f(A, b):
        L = overbar.cholesky(A)
        return L, overbar.cho_solve(L, b)

    A, b = np.array([[4.0, 2.0], [2.0, 5.0]]), np.ones(2)
    _, pullback = overbar.vjp(f, A, b)
    only, none = pullback((np.eye(2), None))
    np.testing.assert_allclose(only, overbar.vjp(overbar.cholesky, A)[1](np.eye(2))[0])
    np.testing.assert_array_equal(none, 0)


def test_jacobian_stands_row_by_row():
    A = np.array([[4.0, 2.0], [2.0, 5.0]])
    J = overbar.jacobian(overbar.matmul, A, np.eye(2), argnum=1)
    np.testing.assert_allclose(J, np.einsum("ik,jl->ijkl", A, np.eye(2)))


def test_what_has_no_rule_is_refused():
    for f in (np.sinc, np.linalg.eigh, np.asarray):
        with pytest.raises(TypeError, match="no rule"):
            overbar.vjp(f, np.eye(2))
    with pytest.raises(np.linalg.LinAlgError, match="cotangent 0 has shape"):
        overbar.vjp(overbar.cholesky, np.eye(2))[1](np.ones(3))


def test_a_bar_of_the_wrong_shape_is_named():
    @overbar.primitive("(m,n)->(n,m)")
    def transposed(A):
        return overbar.mT(A)

    @transposed.vjp
    def _(C_bar, C, A):
        return (lambda: C_bar,)

    with pytest.raises(
        np.linalg.LinAlgError, match=r"transposed.*bar of shape \(3, 2\) for argument A of shape \(2, 3\)"
    ):
        overbar.vjp(transposed, np.ones((2, 3)))[1](np.ones((3, 2)))


# ---------------------------------------------------------------------------------------------------------------------
# Integers that a primitive takes


@pytest.mark.parametrize("adjoint", [False, True])
def test_integers_that_a_primitive_declares_are_constants(adjoint):
    rng = np.random.default_rng(2)
    A, B, X_bar = (rng.standard_normal(shape) for shape in ((3, 3), (3, 2), (3, 2)))
    LU, pivots = overbar.lu_factor(A)
    assert pivots.dtype.kind == "i"
    solve = functools.partial(overbar.lu_solve, adjoint=adjoint) if adjoint else overbar.lu_solve
    X, pullback = overbar.vjp(solve, LU, pivots, B)
    np.testing.assert_allclose(X, np.linalg.solve(A.T if adjoint else A, B))
    LU_bar, none, B_bar = pullback(X_bar)
    expected = overbar.vjp(lambda LU, B: solve(LU, pivots, B), LU, B)[1](X_bar)
    assert none is None
    np.testing.assert_array_equal(LU_bar, expected[0])
    np.testing.assert_array_equal(B_bar, expected[1])
    _, X_dot = overbar.jvp(solve, (LU, pivots, B), (LU, None, B))
    np.testing.assert_array_equal(X_dot, overbar.jvp(lambda LU, B: solve(LU, pivots, B), (LU, B), (LU, B))[1])
    expected = overbar.jacobian(lambda B: solve(LU, pivots, B), B)
    for argnum in (2, -1):
        np.testing.assert_array_equal(overbar.jacobian(solve, LU, pivots, B, argnum=argnum), expected)
    # the first arrays of a partial are no arguments of it
    none, B_bar = overbar.vjp(functools.partial(solve, LU), pivots, B)[1](X_bar)
    assert none is None
    np.testing.assert_allclose(B_bar, np.linalg.solve(A if adjoint else A.T, X_bar))


def test_integers_have_no_tangent_and_no_jacobian():
    LU, pivots = overbar.lu_factor(np.eye(3) + 0.1)
    arrays = (LU, pivots, LU)
    with pytest.raises(TypeError, match="jvp: argument 1 holds integers"):
        overbar.jvp(overbar.lu_solve, arrays, (LU, pivots, LU))
    with pytest.raises(TypeError, match="2 tangents for 3 arrays"):
        overbar.jvp(overbar.lu_solve, arrays, (LU, LU))
    with pytest.raises(TypeError, match="jacobian: argument 1 holds integers"):
        overbar.jacobian(overbar.lu_solve, *arrays, argnum=1)


def test_other_integers_are_refused():
    LU, pivots = overbar.lu_factor(np.eye(3) + 0.1)
    for f, arrays in (
        (lambda *given: overbar.lu_solve(*given), (LU, pivots, LU)),
        (overbar.matmul, (LU, np.eye(3, dtype=int))),
        (overbar.lu_solve, (LU, pivots, np.eye(3, dtype=int))),
    ):
        with pytest.raises(TypeError, match="needs floating point"):
            overbar.vjp(f, *arrays)


def test_a_complex_tangent_or_cotangent_of_real_numbers_is_an_error():
    """Its imaginary part would be dropped, and the result be zero without a word."""
    x, dot = np.ones(2), 1j * np.ones(2)
    with pytest.raises(TypeError, match=r"tangent 1 is complex, but its array is real\. Give the real part, or make"):
        overbar.jvp(lambda x, y: x * y, (x, x), (None, dot))
    with pytest.raises(TypeError, match=r"cotangent 0 is complex, but its array is real\. Give the real part"):
        overbar.vjp(lambda x: x**2, x)[1](dot)
    # inside of another sweep, too
    with pytest.raises(TypeError, match="tangent 0 is complex"):
        overbar.vjp(lambda z: overbar.jvp(lambda x: x**2, (x,), (z,))[1], dot)
    np.testing.assert_array_equal(overbar.jvp(lambda x: x**2, (x + 0j,), (dot,))[1], 2 * dot)
