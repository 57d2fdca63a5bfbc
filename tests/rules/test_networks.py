"""The layers and losses of networks at hard points, and calls in their other spellings. May import `overbar`."""

import numpy as np
import pytest
from scipy import special

import overbar

RNG = np.random.default_rng(0)
X, W, B = RNG.standard_normal((5, 3)), RNG.standard_normal((2, 3)), RNG.standard_normal(2)


def test_an_affine_layer_of_one_example_and_of_several_in_either_orientation():
    np.testing.assert_allclose(overbar.affine(X[0], W, B), W @ X[0] + B)
    np.testing.assert_allclose(overbar.affine(X, W, B), X @ W.T + B)
    np.testing.assert_allclose(overbar.affine(X, W), X @ W.T)
    np.testing.assert_allclose(overbar.affine_columns(X.T, W, B), W @ X.T + B[:, None])
    A_bar = RNG.standard_normal((5, 2))
    rows = overbar.vjp(overbar.affine, X, W, B)[1](A_bar)
    columns = overbar.vjp(overbar.affine_columns, X.T, W, B)[1](A_bar.T)
    np.testing.assert_allclose(columns[0], rows[0].T)
    for a, b in zip(columns[1:], rows[1:], strict=True):
        np.testing.assert_allclose(a, b)
    with pytest.raises(np.linalg.LinAlgError, match=r"affine_columns: argument X of shape \(3,\) must be a matrix"):
        overbar.affine_columns(X[0], W, B)
    with pytest.raises(np.linalg.LinAlgError, match=r"affine: argument W .* does not fit X"):
        overbar.affine(X.T, W, B)


def test_one_layer_for_a_batch_of_minibatches_is_one_for_all_examples():
    """The bar of W is one product, without a matrix for each minibatch."""
    Z, A_bar = RNG.standard_normal((4, 5, 3)), RNG.standard_normal((4, 5, 2))
    together = overbar.vjp(overbar.affine, Z.reshape(-1, 3), W, B)[1](A_bar.reshape(-1, 2))
    apart = overbar.vjp(overbar.affine, Z, W, B)[1](A_bar)
    np.testing.assert_allclose(apart[0].reshape(-1, 3), together[0])
    for a, b in zip(apart[1:], together[1:], strict=True):
        np.testing.assert_allclose(a, b)
    outputs = overbar.affine.run((Z, W, B), {})
    (bar,) = [overbar.affine.vjp_rule(A_bar, outputs[0], Z, W, B)[1]()]
    assert bar.shape == W.shape


def test_a_minibatch_of_nothing():
    value, pullback = overbar.vjp(lambda W: overbar.affine(np.ones((2, 0, 3)), W, B), W)
    assert value.shape == (2, 0, 2)
    np.testing.assert_array_equal(pullback(value)[0], 0 * W)


def test_cross_entropy_is_that_of_the_softmax():
    T = special.softmax(RNG.standard_normal((5, 3)), axis=1)
    c, pullback = overbar.vjp(overbar.softmax_cross_entropy, 3 * X, T)
    P = special.softmax(3 * X, axis=1)
    np.testing.assert_allclose(c, -np.sum(T * np.log(P), axis=1), rtol=1e-14)
    bars = pullback(np.ones(5))
    np.testing.assert_allclose(bars[0], P - T, rtol=1e-13, atol=1e-16)
    np.testing.assert_allclose(bars[1], -np.log(P), rtol=1e-13)


def test_numbers_of_classes_are_rows_of_ones_and_zeros():
    labels = np.array([0, 2, 1, 1, 0])
    expected = overbar.softmax_cross_entropy(X, np.eye(3)[labels])
    for given in (labels, labels.astype(np.uint8), labels.tolist()):
        np.testing.assert_array_equal(overbar.softmax_cross_entropy(X, given), expected)
    np.testing.assert_array_equal(overbar.softmax_cross_entropy(X, targets=labels), expected)
    assert overbar.softmax_cross_entropy(X[1], 2) == expected[1]
    f = lambda X: overbar.sum(overbar.softmax_cross_entropy(X, labels))  # noqa: E731
    np.testing.assert_allclose(overbar.grad(f)(X), special.softmax(X, 1) - np.eye(3)[labels], rtol=1e-13, atol=1e-16)
    dot = RNG.standard_normal(X.shape)
    step = 1e-5 * dot
    expected = (overbar.grad(f)(X + step) - overbar.grad(f)(X - step)) / 2e-5
    np.testing.assert_allclose(overbar.hvp(f, (X,), dot), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("wrong", [[0, 1, 3, 0, 0], [0, 0, -1, 0, 0]])
def test_the_number_of_no_class_is_refused(wrong):
    with pytest.raises(
        np.linalg.LinAlgError,
        match=r"targets \(matrix 2 of the batch\) has the number of no class\. There are 3, .* from 0 to 2",
    ):
        overbar.softmax_cross_entropy(X, np.array(wrong))


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (np.array([0, 1, 2]), r"targets of shape \(3,\), beside .* \(5, 3\), does not fit: .* of shape \(5,\)"),
        (np.array([0.0, 1, 2, 0, 0]), r"dtype float64 has one entry for each example.*targets.astype\(int\)"),
        (np.zeros((5, 1), int), r"a dimension more than the numbers of classes: pass targets\[\.\.\., 0\]"),
        (np.eye(5, 3, dtype=int), r"targets has dtype int64.*Convert it, to float64"),
    ],
)
def test_targets_of_another_kind_are_refused_with_what_to_pass(targets, message):
    with pytest.raises(np.linalg.LinAlgError, match=message):
        overbar.softmax_cross_entropy(X, targets)
    with pytest.raises(np.linalg.LinAlgError, match=message):
        overbar.grad(lambda x: overbar.sum(overbar.softmax_cross_entropy(x, targets)))(X)


def test_a_class_that_is_excluded_and_one_that_is_certain():
    """Logits of −∞ with a target of zero, and such as overflow where the exponentials are taken as they are."""
    logits = np.array([[-np.inf, 0.0, 0.0], [1000.0, 0.0, -1000.0]])
    targets = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    c, pullback = overbar.vjp(lambda x: overbar.softmax_cross_entropy(x, targets), logits)
    np.testing.assert_allclose(c, [np.log(2), 0])
    np.testing.assert_array_equal(pullback(np.ones(2))[0], [[0, -0.5, 0.5], [0, 0, 0]])
    second = overbar.hvp(lambda x: overbar.sum(overbar.softmax_cross_entropy(x, targets)), (logits,), np.eye(2, 3, 1))
    np.testing.assert_array_equal(second, [[0, 0.25, -0.25], [0, 0, 0]])


def test_squared_error_is_half_the_square_of_the_distance():
    T = RNG.standard_normal((5, 3))
    np.testing.assert_allclose(overbar.squared_error(X, T), 0.5 * np.sum((X - T) ** 2, axis=1))
    np.testing.assert_allclose(overbar.vjp(overbar.squared_error, X, T)[1](np.ones(5))[0], X - T)


# ---------------------------------------------------------------------------------------------------------------------
# Triangles


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("positive", [None, "exp", "softplus"])
@pytest.mark.parametrize("n", [0, 1, 2, 7])
def test_entries_of_a_triangle_and_back(n, positive, upper):
    v = RNG.standard_normal((2, n * (n + 1) // 2))
    T = overbar.fill_triangular(v, upper=upper, positive=positive)
    i, j = np.triu_indices(n) if upper else np.tril_indices(n)
    expected = np.zeros((2, n, n))
    expected[:, i, j] = v
    g = {None: lambda x: x, "exp": np.exp, "softplus": lambda x: np.logaddexp(0, x)}[positive]
    expected[:, range(n), range(n)] = g(expected.diagonal(0, 1, 2))
    np.testing.assert_allclose(T, expected, rtol=1e-14)
    back = overbar.triangular_entries(T, upper=upper, positive=positive)
    np.testing.assert_allclose(back, v, rtol=1e-13, atol=1e-14)
    junk = T + np.nan * (np.tril(np.ones((n, n)), -1) if upper else np.triu(np.ones((n, n)), 1))
    junk = np.where(T != 0, T, junk)
    np.testing.assert_array_equal(overbar.triangular_entries(junk, upper=upper, positive=positive), back)


def test_every_order_of_entries_is_found():
    """By the formula that is used where sizes are not known, and where arrays lie on a device."""
    from overbar.rules._triangles import _Layout

    for n in (1, 2, 3, 50):
        for upper in (False, True):
            layout = _Layout(np.zeros(0), n, upper)
            i, j = np.triu_indices(n) if upper else np.tril_indices(n)
            np.testing.assert_array_equal(layout.places, i * n + j)
            np.testing.assert_array_equal(layout.entries.reshape(n, n)[i, j], np.arange(len(i)))
            np.testing.assert_array_equal(layout.diagonal, i == j)
            assert layout.entries.min() >= 0
            assert layout.entries.max() < len(i)


def test_a_covariance_is_fitted_over_its_parameters():
    """The likelihood of a normal distribution, over a vector without constraints: its maximum is the sample's."""
    Z = RNG.standard_normal((50, 3)) @ RNG.standard_normal((3, 3))
    S = Z.T @ Z / len(Z)

    def loss(v):
        L = overbar.fill_triangular(v, positive="exp")
        return 0.5 * overbar.trace(overbar.cho_solve(L, S)) + 0.5 * overbar.cho_logdet(L)

    v = overbar.triangular_entries(overbar.cholesky(S), positive="exp")
    np.testing.assert_allclose(overbar.grad(loss)(v), 0, atol=1e-12)
    assert np.all(np.linalg.eigvalsh(overbar.hessian(loss)(v)) > 0)


@pytest.mark.parametrize("x", [-800.0, -30.0, 1e-20, 30.0, 700.0])
def test_a_positive_diagonal_of_any_size_keeps_its_digits(x):
    for positive in ("exp", "softplus"):
        T = overbar.fill_triangular(np.array([x]), positive=positive)
        if T[0, 0] > 0:
            np.testing.assert_allclose(overbar.triangular_entries(T, positive=positive), x, rtol=1e-12, atol=1e-15)
    slope = overbar.vjp(lambda v: overbar.fill_triangular(v, positive="softplus"), np.array([x]))[1](np.ones((1, 1)))[0]
    np.testing.assert_allclose(slope, special.expit(x), rtol=1e-14)


def test_entries_beside_the_diagonal_do_not_overflow():
    v = np.array([0.0, 1e3, 0.0])
    T, pullback = overbar.vjp(lambda v: overbar.fill_triangular(v, positive="exp"), v)
    np.testing.assert_array_equal(T, [[1, 0], [1e3, 1]])
    np.testing.assert_array_equal(pullback(np.ones((2, 2)))[0], np.ones(3))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: overbar.fill_triangular(np.ones(4)),
            np.linalg.LinAlgError,
            r"\(4,\) has 4 entries.*order 2 has 3.* 6",
        ),
        (lambda: overbar.fill_triangular(np.ones(3), positive="log"), ValueError, "positive is 'log'"),
        (lambda: overbar.triangular_entries(np.eye(3), positive=True), ValueError, "positive is True"),
        (lambda: overbar.triangular_entries(np.ones((2, 3))), np.linalg.LinAlgError, "not square"),
    ],
)
def test_what_triangles_refuse(call, error, message):
    with pytest.raises(error, match=message):
        call()
