"""The condition number at singular matrices, in each library. May import `overbar`, torch and tensorflow."""

import numpy as np
import pytest

import overbar

SINGULAR = np.array([[1.0, -3.0, 2.0], [2.0, -6.0, 4.0], [0.5, 1.0, 1.0]])
REGULAR = np.array([[3.0, 1.0, 0.0], [0.0, 2.0, 0.5], [0.0, 0.0, 1.0]])
BATCH = np.stack([SINGULAR, REGULAR, np.zeros((3, 3))])


def by_numpy(p):
    c, pullback = overbar.vjp(lambda A: overbar.cond(A, p=p), BATCH)
    return c, pullback(np.ones(3))[0], None


def by_torch(p):
    torch = pytest.importorskip("torch")
    import torch_ops

    A = torch.tensor(BATCH, requires_grad=True)
    c = torch_ops.cond(A, p)
    (A_bar,) = torch.autograd.grad(c.sum(), A, create_graph=True)
    (second,) = torch.autograd.grad(A_bar[1].sum(), A)
    return c.detach().numpy(), A_bar.detach().numpy(), second.numpy()


def by_tensorflow(p):
    tf = pytest.importorskip("tensorflow")
    import tf_ops

    @tf.function
    def run(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            c = tf_ops.cond(A, p=p)
        return c, tape.gradient(c, A)

    c, A_bar = run(tf.constant(BATCH))
    return c.numpy(), A_bar.numpy(), None


@pytest.mark.parametrize("p", ["fro", "nuc", 1, -1, np.inf, -np.inf, 2, None, -2], ids=str)
@pytest.mark.parametrize("library", [by_numpy, by_torch, by_tensorflow])
def test_the_condition_number_of_a_singular_matrix_is_infinite_and_the_others_of_its_batch_are_not(library, p):
    """By singular values it is as large as rounding makes it, and infinite where a singular value is zero."""
    c, A_bar, second = library(p)
    regular, pullback = overbar.vjp(lambda A: overbar.cond(A, p=p), REGULAR)
    np.testing.assert_allclose(c[1], regular, rtol=1e-12)
    np.testing.assert_allclose(A_bar[1], pullback(1.0)[0], rtol=1e-11, atol=1e-12)
    if p == -2:
        assert c[0] < 1e-15
        assert c[2] == 0
    else:
        assert c[0] > 1e15 if p in (2, None) else c[0] == np.inf
        assert c[2] == np.inf
    assert np.isnan(A_bar[2]).all()  # there is no derivative
    if second is not None:
        assert np.isfinite(second[1]).all()
        assert abs(second[1]).max() > 1e-3
