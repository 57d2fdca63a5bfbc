"""What is computed from a Cholesky factor that is there already: by halves, once, for derivatives of every order, in
NumPy, PyTorch and TensorFlow. May import `torch_ops` and `tf_ops`."""

import mpmath
import numpy as np
import pytest

import overbar
from overbar._numpy_words import NumpyWords
from tests.frameworks import tf, tf_ops, torch, torch_ops, twice_in_a_graph

RNG = np.random.default_rng(15)


def positive_definite(n, batch=(), kind="d"):
    M = RNG.normal(size=(*batch, n, n)) + (1j * RNG.normal(size=(*batch, n, n)) if kind == "D" else 0)
    return (M @ M.conj().swapaxes(-1, -2) / n + np.eye(n)).astype(kind)


def gradients(function, *arrays):
    """The gradients, by all arrays, of a function of an ops module and arrays: in the three libraries."""
    _, pullback = overbar.vjp(lambda *arrays: function(overbar, *arrays), *arrays)
    found = {"numpy": pullback(1.0)}
    tensors = [torch.tensor(A, requires_grad=True) for A in arrays]
    found["torch"] = [bar.numpy() for bar in torch.autograd.grad(function(torch_ops, *tensors), tensors)]
    tensors = [tf.constant(A) for A in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        value = function(tf_ops, *tensors)
    found["tf"] = [bar.numpy() for bar in tape.gradient(value, tensors)]
    return found


@pytest.mark.parametrize("kind", ["d", "D"])
@pytest.mark.parametrize("n", [5, 129, 300])
def test_an_inverse_by_halves(n, kind):
    A = positive_definite(n, (2,), kind)
    L = np.linalg.cholesky(A)
    noise = L + np.triu(RNG.normal(size=(n, n)), 1)  # what is above the diagonal is not read
    unknown = tf.function(tf_ops.cholesky_inverse, input_signature=[tf.TensorSpec([None, None, None], L.dtype)])
    found = {
        "numpy": overbar.cholesky_inverse(noise),
        "torch": torch_ops.cholesky_inverse(torch.tensor(noise)).numpy(),
        "watched": torch_ops.cholesky_inverse(torch.tensor(noise, requires_grad=True)).detach().numpy(),
        "tf": tf_ops.cholesky_inverse(tf.constant(noise)).numpy(),
        "tf, sizes unknown": unknown(tf.constant(noise)).numpy(),
    }
    for name, C in found.items():
        np.testing.assert_allclose(C, np.linalg.inv(A), atol=1e-12, err_msg=name)
        np.testing.assert_array_equal(C, C.conj().swapaxes(-1, -2), err_msg=name)


@pytest.mark.parametrize("one_thread", [True, False])
@pytest.mark.parametrize("kind", ["f", "d", "F", "D"])
def test_a_product_of_one_column_is_added(monkeypatch, kind, one_thread):
    monkeypatch.setattr(overbar._numpy_words, "ONE_THREAD", one_thread)
    parts = [RNG.normal(size=shape) + 1j * RNG.normal(size=shape) for shape in ((5, 4), (5, 1), (1, 4))]
    C, A, B = ((X if kind in "FD" else X.real).astype(kind) for X in parts)
    expected = C - 0.5 * (A @ B)
    tolerance = 1e-6 if kind in "fF" else 1e-15
    for there in (C, np.asfortranarray(C), np.stack([C, C], axis=1)[:, 0]):  # by rows, by columns, with gaps
        written, beside = there.copy(order="K") if there.flags.forc else np.stack([C, C], axis=1)[:, 0], A.copy()
        overbar.namespace(C).add_product_to(written, A, B, -0.5)
        np.testing.assert_allclose(written, expected, atol=tolerance)
        np.testing.assert_array_equal(A, beside)
    for scale in (1, -0.5):
        found = tf_ops._front.TENSORFLOW.xp.add_product(tf.constant(C), tf.constant(A), tf.constant(B), scale)
        np.testing.assert_allclose(found.numpy(), C + scale * (A @ B), atol=tolerance)


def test_a_matrix_is_factorised_once_for_derivatives_of_every_order(monkeypatch):
    n, count = 150, []
    A, H, b = positive_definite(n), positive_definite(n), RNG.normal(size=n)
    factorise = NumpyWords.cholesky

    def counted(*args, **kwargs):
        count.append(1)
        return factorise(*args, **kwargs)

    monkeypatch.setattr(NumpyWords, "cholesky", counted)
    for name in ("solve", "inv", "slogdet"):
        monkeypatch.setattr(NumpyWords, name, None)

    def gradient(A):
        return overbar.vjp(lambda A: overbar.inv_quad_logdet(A, b)[0] + overbar.inv_quad_logdet(A, b)[1], A)[1](1.0)[0]

    bar, change = overbar.jvp(gradient, (A,), (H,))
    assert len(count) == 2  # the function above calls it twice
    C = np.linalg.inv(A)
    x, M = C @ b, C @ H @ C
    np.testing.assert_allclose(bar, C - np.outer(x, x), atol=1e-12)
    np.testing.assert_allclose(change, -M + np.outer(M @ b, x) + np.outer(x, M @ b), atol=1e-11)


def test_second_derivatives_of_large_matrices_in_the_frameworks():
    n = 140
    A, H, B = positive_definite(n), positive_definite(n), RNG.normal(size=(n, 2))

    def along(ops, sum_, A, B):
        c, ell = ops.inv_quad_logdet(A, B)
        return sum_(c + ell)

    C = np.linalg.inv(A)
    X, M = C @ B, C @ H @ C
    expected = -M + M @ B @ X.T + X @ (M @ B).T
    x = torch.tensor(A, requires_grad=True)
    (bar,) = torch.autograd.grad(along(torch_ops, torch.sum, x, torch.tensor(B)), x, create_graph=True)
    (second,) = torch.autograd.grad((bar * torch.tensor(H)).sum(), x)
    np.testing.assert_allclose(second, expected, atol=1e-11)
    forward = torch.func.jvp(
        torch.func.grad(lambda x: along(torch_ops, torch.sum, x, torch.tensor(B))), (x.detach(),), (torch.tensor(H),)
    )
    np.testing.assert_allclose(forward[1], expected, atol=1e-11)

    in_graph = twice_in_a_graph(lambda A: along(tf_ops, tf.reduce_sum, A, tf.constant(B)), A, H)
    np.testing.assert_allclose(in_graph, expected, atol=1e-11)


def test_many_right_hand_sides_keep_one_factor():
    A, B = positive_definite(4), RNG.normal(size=(3, 2, 4, 1))
    assert overbar.inv_quad_logdet.run((A, B), {})[-1].shape == (4, 4)

    def value(ops, A, B):
        c, ell = ops.inv_quad_logdet(A, B)
        return (c + ell)[0, 1] * 2.0 + (c - ell)[2, 0]

    C = np.linalg.inv(A)
    one, two = C @ B[0, 1], C @ B[2, 0]
    for name, (A_bar, B_bar) in gradients(value, A, B).items():
        np.testing.assert_allclose(A_bar, C - 2 * one @ one.T - two @ two.T, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(B_bar[0, 1], 4 * one, atol=1e-12, err_msg=name)
    # vmap over the right-hand sides alone: of the factor there is one, which has no dimension to be mapped
    x, y = torch.tensor(A), torch.tensor(B[:, 0])
    per_example = torch.func.vmap(torch.func.grad(lambda A, B: sum(torch_ops.inv_quad_logdet(A, B))), (None, 0))(x, y)
    for found, b in zip(per_example, B[:, 0], strict=True):
        np.testing.assert_allclose(found, C - C @ b @ b.T @ C, atol=1e-12)
    mapped = torch.func.vmap(torch.func.vmap(torch_ops.inv_quad, (None, 0)), (0, None))(torch.stack([x, 2 * x]), y)
    np.testing.assert_allclose(mapped[1], overbar.inv_quad(2 * A, B[:, 0]), atol=1e-12)
    np.testing.assert_allclose(
        tf.vectorized_map(lambda b: tf_ops.inv_quad(tf.constant(A), b), tf.constant(B[:, 0])),
        overbar.inv_quad(A, B[:, 0]),
        atol=1e-12,
    )


def test_a_gradient_of_an_ill_conditioned_matrix_is_as_good_as_its_factor():
    """At a condition of 1e12 an inverse from the factor has an error of some 1e12 ε, as others have; in NumPy the
    quadratic form keeps ten digits, as its solution is corrected."""
    n = 20
    Q = np.linalg.qr(RNG.normal(size=(n, n)))[0]
    A = (Q * np.logspace(0, -12, n)) @ Q.T
    A, b = (A + A.T) / 2, RNG.normal(size=n)
    with mpmath.workdps(50):
        C = mpmath.matrix(A.tolist()) ** -1
        x = np.array((C * mpmath.matrix(b.tolist())).tolist(), float)[:, 0]
        C = np.array(C.tolist(), float)
    size = abs(C).max()
    for name, (A_bar,) in gradients(lambda ops, A: ops.inv_quad_logdet(A, A[0] * 0)[1], A).items():
        assert abs(A_bar - C).max() < 1e-4 * size, name
    (A_bar,) = overbar.vjp(lambda A: overbar.inv_quad(A, b), A)[1](1.0)
    assert abs(A_bar + np.outer(x, x)).max() < 1e-10 * abs(np.outer(x, x)).max()
