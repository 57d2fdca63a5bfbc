"""The five questions of the lecture note, answered in code. May import `overbar`.

What the note asks its reader to work out on paper is worked out here by the rules, and held against an answer that does
not use them: calculus with numbers, differences, another way of writing the function.
"""

import itertools

import numpy as np
import pytest

import overbar
from overbar import mT
from overbar.verify import check

RNG = np.random.default_rng(14)


# -- the scalar check: on 1 by 1 matrices a rule is that of calculus with numbers --------------------------------------

NUMBERS = {
    "product": (overbar.matmul, (3.0, 5.0), (5.0, 3.0)),
    "sum": (overbar.add, (3.0, 5.0), (1.0, 1.0)),
    "inverse": (overbar.inv, (4.0,), (-1 / 16,)),
    "quotient": (overbar.solve, (4.0, 6.0), (-6 / 16, 1 / 4)),
    "square root": (overbar.cholesky, (9.0,), (1 / 6,)),
    "logarithm": (overbar.logdet, (4.0,), (1 / 4,)),
    "exponential": (overbar.expm, (0.5,), (np.exp(0.5),)),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_scalar_check(name):
    f, numbers, derivatives = NUMBERS[name]
    value, pullback = overbar.vjp(f, *(np.array([[a]]) for a in numbers))
    for bar, derivative in zip(pullback(np.ones(value.shape)), derivatives, strict=True):
        assert np.isclose(bar, derivative, rtol=1e-14).all()


def test_scalar_check_of_a_wrong_order_says_nothing():
    """What the scalar check cannot see: numbers commute, and it passes a rule with its factors in the wrong order."""
    B, C_bar = RNG.standard_normal((2, 1, 1))
    assert np.allclose(C_bar @ mT(B), mT(B) @ C_bar)
    B, C_bar = RNG.standard_normal((2, 2, 2))
    assert not np.allclose(C_bar @ mT(B), mT(B) @ C_bar)


# -- starting from the loss: z̄ = 1, and every other bar follows -------------------------------------------------------


def loss(A, B):
    return overbar.sum(overbar.matmul(A, B) ** 2) / 2


def test_starting_from_the_loss():
    A, B = RNG.standard_normal((2, 3, 3))
    z, pullback = overbar.vjp(loss, A, B)
    A_bar, B_bar = pullback(1.0)  # z̄ = ∂z/∂z
    assert np.allclose(A_bar, A @ B @ B.T)
    assert np.allclose(B_bar, A.T @ A @ B)
    value, (also_A, also_B) = overbar.value_and_grad(loss, (0, 1))(A, B)  # starts there by itself
    assert value == z
    assert np.array_equal(also_A, A_bar)
    assert np.array_equal(also_B, B_bar)


def test_starting_from_a_bar_in_the_middle():
    """A bar may come from elsewhere: from C̄ on, the sweep is the same, and it is linear in C̄."""
    A, B, C_bar = RNG.standard_normal((3, 3, 3))
    _, pullback = overbar.vjp(overbar.matmul, A, B)
    (A_bar, _), (twice, _) = pullback(C_bar), pullback(2 * C_bar)
    assert np.array_equal(twice, 2 * A_bar)
    h = 1e-6
    D = RNG.standard_normal((3, 3))
    difference = (np.sum(C_bar * ((A + h * D) @ B)) - np.sum(C_bar * ((A - h * D) @ B))) / (2 * h)
    assert np.isclose(np.sum(A_bar * D), difference)


# -- the shape argument for AᵀB: what fits, and what a check makes of it -----------------------------------------------

PRODUCTS = {
    f"{first}{second}": (first, second)
    for one, other in (("C̄", "B"), ("B", "C̄"))
    for first, second in itertools.product((one, f"{one}ᵀ"), (other, f"{other}ᵀ"))
}
RIGHT = "BC̄ᵀ"


def candidate(name):
    """The primitive C = AᵀB with one of the products of C̄ and B for Ā, and the right B̄ = A C̄."""

    @overbar.primitive("(n,m),(n,p)->(m,p)")
    def product(A, B):
        return mT(A) @ B

    @product.vjp
    def _(C_bar, C, A, B):
        factor = {"C̄": C_bar, "C̄ᵀ": mT(C_bar), "B": B, "Bᵀ": mT(B)}
        first, second = PRODUCTS[name]
        return lambda: factor[first] @ factor[second], lambda: A @ C_bar

    @product.jvp
    def _(C, A, B):
        return lambda A_dot: mT(A_dot) @ B, lambda B_dot: mT(A) @ B_dot

    return product


def test_there_are_six_candidates_with_a_transpose():
    assert len([name for name in PRODUCTS if "ᵀ" in name]) == 6
    assert RIGHT in PRODUCTS
    assert len(PRODUCTS) == 8


def test_shapes_leave_one_candidate():
    """With three different sizes, C̄ (m, p) and B (n, p) give an Ā of the shape (n, m) in one way only."""
    n, m, p = 2, 3, 5
    factor = {"C̄": np.ones((m, p)), "C̄ᵀ": np.ones((p, m)), "B": np.ones((n, p)), "Bᵀ": np.ones((p, n))}
    fitting = [
        name
        for name, (first, second) in PRODUCTS.items()
        if factor[first].shape[1] == factor[second].shape[0]
        and (factor[first].shape[0], factor[second].shape[1]) == (n, m)
    ]
    assert fitting == [RIGHT]


@pytest.mark.parametrize("name", PRODUCTS)
def test_candidates_that_fit_square_matrices(name):
    """Square matrices let every candidate through the shape argument. The check refutes all but one."""
    arrays = list(RNG.standard_normal((2, 3, 3)))
    if name == RIGHT:
        assert {row.oracle for row in check(candidate(name), cases=[(arrays, {})])} >= {"adjoint", "difference"}
        A_bar = overbar.vjp(overbar.transpose_matmul, *arrays)[1](np.eye(3))[0]
        assert np.allclose(A_bar, arrays[1])  # B C̄ᵀ, the rule of the collection
    else:
        with pytest.raises(AssertionError, match="adjoint"):
            check(candidate(name), cases=[(arrays, {})])


# -- a local derivative from a rule ------------------------------------------------------------------------------------


def test_local_derivative_from_the_reverse_rule():
    """∂C[i, j]/∂A is Ā for the C̄ with a one at (i, j): for C = A B it is B[l, j] where k = i, and zero elsewhere."""
    A, B = RNG.standard_normal((2, 3)), RNG.standard_normal((3, 4))
    J = overbar.jacobian(overbar.matmul, A, B)
    assert J.shape == (2, 4, 2, 3)
    assert np.array_equal(J, np.einsum("ik,lj->ijkl", np.eye(2), B))


def test_local_derivative_from_the_forward_rule():
    """Or Ċ for the Ȧ with a one at (k, l), one column of the same array at a time."""
    A = RNG.standard_normal((3, 3)) + 3 * np.eye(3)
    J = overbar.jacobian(overbar.inv, A)
    C = np.linalg.inv(A)
    for k, l in np.ndindex(3, 3):
        A_dot = np.zeros((3, 3))
        A_dot[k, l] = 1.0
        assert np.allclose(overbar.jvp(overbar.inv, (A,), (A_dot,))[1], J[:, :, k, l])
        assert np.allclose(J[:, :, k, l], -np.outer(C[:, k], C[l]))


# -- xᵀAy and xᵀAx, each in two ways -----------------------------------------------------------------------------------


def test_bilinear_form_two_ways():
    """As one function with its rule, and as two products, whose rules are applied one after the other."""
    A, x, y = RNG.standard_normal((3, 4)), RNG.standard_normal(3), RNG.standard_normal(4)
    c, by_rule = overbar.vjp(overbar.bilinear_form, x, A, y)
    also_c, by_products = overbar.vjp(lambda x, A, y: x @ (A @ y), x, A, y)
    assert np.isclose(c, also_c)
    expected = A @ y, np.outer(x, y), A.T @ x
    for bar, also_bar, wanted in zip(by_rule(1.0), by_products(1.0), expected, strict=True):
        assert np.allclose(bar, wanted)
        assert np.allclose(also_bar, wanted)


def test_quadratic_form_two_ways():
    """By its own rule, and as xᵀAy with y = x, whose two bars add up: x̄ = (A + Aᵀ) x, or 2 A x for a symmetric A."""
    A, x = RNG.standard_normal((4, 4)), RNG.standard_normal(4)
    A_bar, x_bar = overbar.vjp(overbar.quadratic, A, x)[1](1.0)
    from_left, also_A_bar, from_right = overbar.vjp(overbar.bilinear_form, x, A, x)[1](1.0)
    assert np.allclose(x_bar, from_left + from_right)
    assert np.allclose(x_bar, (A + A.T) @ x)
    assert np.allclose(A_bar, also_A_bar)
    assert np.allclose(A_bar, np.outer(x, x))
    S = A + A.T
    assert np.allclose(overbar.grad(lambda x: x @ S @ x)(x), 2 * S @ x)
