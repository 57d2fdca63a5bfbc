"""Cholesky decompositions of many small matrices in plain array words. May import NumPy, `overbar`, the fronts and
`tests`."""

import numpy as np
import pytest

import overbar
from overbar._front import NUMPY
from overbar.kernels import _compiled
from overbar.rules import _many_small as many_small
from overbar.rules._cholesky import reverse_recursive
from tests.compare import close
from tests.frameworks import tf, tf_ops, torch, torch_ops


@pytest.fixture(autouse=True)
def _without_loops(monkeypatch):
    """As where numba is not installed."""
    monkeypatch.setattr(_compiled, "available", lambda: False)


@pytest.fixture
def calls(monkeypatch):
    """How many matrices were computed in vectors, in each call."""
    counted = []
    for name in ("reverse_in_vectors", "factor_in_vectors"):
        function = getattr(many_small, name)
        for module in ("overbar.rules._many_small", "overbar.rules._cholesky", "tf_ops._words"):
            monkeypatch.setattr(
                f"{module}.{name}",
                lambda *A, f=function, name=name: counted.append((name, A[0].shape[0])) or f(*A),
                raising=False,
            )
    return counted


def draw(*batch, n, dtype="d"):
    """Positive definite matrices, and weights."""
    rng = np.random.default_rng(n)
    X = rng.normal(size=(*batch, n, n))
    return (X @ X.mT + n * np.eye(n)).astype(dtype), rng.normal(size=(*batch, n, n)).astype(dtype)


@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("n", [1, 2, 5, 9])
def test_both_functions(n, dtype):
    """Beside LAPACK and the rule on whole matrices; what lies above the diagonals is not read."""
    A, L_bar = draw(7, n=n, dtype=dtype)
    L, above = np.linalg.cholesky(A), np.triu(np.full((n, n), np.nan, dtype), 1)
    given = L_bar + above
    A_bar = many_small.reverse_in_vectors(L + above, given)
    assert A_bar.dtype == dtype
    assert A_bar.flags.c_contiguous
    close(A_bar, reverse_recursive(L, np.tril(L_bar), depth=0), 200 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(given, L_bar + above)  # as it came, though written in place
    close(many_small.factor_in_vectors(A + above), L, 50 * np.finfo(dtype).eps)


def test_a_batch_by_pieces(calls, monkeypatch):
    monkeypatch.setattr(NUMPY, "at_once", lambda A, n, count: 100)
    A, weights = draw(25, 11, n=3)
    (A_bar,) = overbar.vjp(overbar.cholesky, A)[1](weights)
    assert calls == [("reverse_in_vectors", count) for count in (100, 100, 75)]
    for i in ((0, 0), (9, 1), (24, 10)):
        close(A_bar[i], overbar.vjp(overbar.cholesky, A[i])[1](weights[i])[0], 1e-13)


def all_derivatives(grad, symmetric, cholesky, A, weights):
    """A gradient, and a second derivative, of the triangle that is read and of the other one together."""

    def first(A):
        return grad(lambda A: cholesky(symmetric(A)) * weights, A)

    return first(A), grad(lambda A: first(A) * weights, A)


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("n", [2, 6, 12])
def test_in_torch(n, upper, calls):
    A, weights = map(torch.tensor, draw(600, n=n))

    def grad(f, A):
        A = A if A.requires_grad else A.requires_grad_()
        return torch.autograd.grad(f(A).sum(), A, create_graph=True)[0]

    def both(cholesky):
        found = all_derivatives(grad, lambda A: (A + A.mT) / 2, cholesky, A.detach(), weights)
        return [x.detach().numpy() for x in found]

    ours, theirs = (
        both(lambda A: torch_ops.cholesky(A, upper=upper)),
        both(lambda A: torch.linalg.cholesky(A, upper=upper)),
    )
    assert (("reverse_in_vectors", 600) in calls) == (n <= 8)  # otherwise it would be too many arrays
    for found, expected in zip(ours, theirs, strict=True):
        close(found, expected, 1e-12)
    calls.clear()
    A = A.detach().requires_grad_()  # and where nobody watches the rule, in place
    (found,) = torch.autograd.grad(torch_ops.cholesky(A, upper=upper), A, weights)
    (expected,) = torch.autograd.grad(torch.linalg.cholesky(A, upper=upper), A, weights)
    close(found.numpy(), expected.numpy(), 1e-12)
    assert calls == [("reverse_in_vectors", 600)]
    assert found.is_contiguous()
    vmapped = torch.func.vmap(torch.func.grad(lambda A, w: (torch_ops.cholesky(A, upper=upper) * w).sum()))
    close(vmapped(A.detach(), weights).numpy(), expected.numpy(), 1e-12)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("n", [3, 6])
def test_in_graphs_of_tensorflow(n, jit_compile, calls):
    A, weights = map(tf.constant, draw(400, n=n))

    def grad(f, A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            value = tf.reduce_sum(f(A))
        return tape.gradient(value, A)

    def both(cholesky):
        def symmetric(A):
            return (A + tf.linalg.matrix_transpose(A)) / 2

        run = tf.function(lambda A: all_derivatives(grad, symmetric, cholesky, A, weights), jit_compile=jit_compile)
        return run(A)

    ours, theirs = both(tf_ops.cholesky), both(tf.linalg.cholesky)
    assert ("reverse_in_vectors", 400) in calls
    assert (("factor_in_vectors", 400) in calls) == (n <= 4 or jit_compile)
    for found, expected in zip(ours, theirs, strict=True):
        close(found.numpy(), expected.numpy(), 1e-11)


@pytest.mark.parametrize("jit_compile", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_matrices_without_a_factor_in_graphs_of_tensorflow(jit_compile, calls):
    """Their factors are NaN, or an error; the others have theirs."""
    A, _ = draw(300, n=3)
    good = np.delete(A, [5, 6, 7, 8], 0)
    A[5, 2, 2], A[6, 0, 0], A[7, 1, 0], A[8, 1, 1] = -1.0, 0.0, np.nan, np.inf

    L = tf.function(lambda A: tf_ops.cholesky(A, on_error="nan"), jit_compile=jit_compile)(tf.constant(A)).numpy()
    assert calls == [("factor_in_vectors", 300)]
    assert np.isnan(L[5:9]).all()
    close(np.delete(L, [5, 6, 7, 8], 0), np.linalg.cholesky(good), 1e-13)
    if not jit_compile:
        with pytest.raises(tf.errors.InvalidArgumentError, match="Matrix of the batch") as error:
            tf.function(tf_ops.cholesky)(tf.constant(A))
        assert "[5]" in str(error.value)
        assert "[3]" in str(error.value)  # the leading minor


def test_what_is_not_many_small_matrices():
    A = draw(many_small.FEWEST, n=2)[0]
    assert many_small.are_many_small(A)
    assert many_small.are_many_small(A, A)
    large = np.empty((many_small.FEWEST, many_small.LARGEST + 1, many_small.LARGEST + 1))
    for other in ((A[1:],), (A[0],), (A.astype(complex),), (A[:, :0, :0],), (A, A[None]), (large,)):
        assert not many_small.are_many_small(*other)
    shapes = []
    unknown = tf.function(lambda A: shapes.append(many_small.are_many_small(A)) or tf_ops.cholesky(A))
    unknown.get_concrete_function(tf.TensorSpec([None, 2, 2], tf.float64))
    assert shapes == [False]
