"""Linear and polynomial covariance functions: values, blocks, derivatives at degree 1 and more, and errors, in NumPy,
PyTorch and TensorFlow. May import `torch_ops` and `tf_ops`."""

import numpy as np
import pytest

import overbar
from overbar.rules import _all_pairs
from tests.frameworks import tf, tf_ops, torch, torch_ops
from tests.rules.test_positive_definite import gradients

RNG = np.random.default_rng(29)
OPS = [(overbar, np.asarray), (torch_ops, torch.tensor), (tf_ops, tf.constant)]
POLYNOMIALS = [1, 2, 3, 6]


@pytest.mark.parametrize("degree", POLYNOMIALS)
def test_values(degree):
    X, X2, v, c = RNG.normal(size=(6, 3)), RNG.normal(size=(2, 3)), RNG.uniform(0.5, 2, 3), np.array(0.7)
    noise = RNG.uniform(size=6)
    for ops, convert in OPS:
        arrays = [convert(A) for A in (X, v, c, noise)]
        K = np.asarray(ops.polynomial_covariance(*arrays, degree=degree))
        np.testing.assert_allclose(K, ((X * v) @ X.T + c) ** degree + np.diag(noise), rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(K, K.T)
        K = np.asarray(ops.polynomial_covariance_cross(*map(convert, (X, X2, v, c)), degree=degree))
        np.testing.assert_allclose(K, ((X * v) @ X2.T + c) ** degree, rtol=1e-12, atol=1e-12)
        K = np.asarray(ops.linear_covariance(convert(X), noise=convert(noise)))
        np.testing.assert_allclose(K, X @ X.T + np.diag(noise), rtol=1e-12, atol=1e-12)
        K = np.asarray(ops.linear_covariance_cross(convert(X), convert(X2), convert(v)))
        np.testing.assert_allclose(K, (X * v) @ X2.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("degree", POLYNOMIALS)
@pytest.mark.parametrize("D", [2, 20])
def test_blocks_give_what_the_whole_matrix_gives(degree, D, monkeypatch):
    """Bars that are not symmetric, more and fewer columns than rows, batches, and one variance as well as many."""
    X, v, c, noise = RNG.normal(size=(9, D)), RNG.uniform(0.5, 2, D) / D, np.array([0.7, 0.0]), RNG.uniform(size=9)
    weights = RNG.normal(size=(2, 9, 9)), RNG.normal(size=(2, 3, 9)), RNG.normal(size=(2, 9, 3))

    def compute(ops, X, v, c, noise):
        own = ops.polynomial_covariance(X, v, c, noise, degree=degree)
        wide = ops.polynomial_covariance_cross(X[:3], X, v, c, degree=degree)
        high = ops.polynomial_covariance_cross(X, X[:3], v[:1], c, degree=degree)
        linear = ops.linear_covariance(X, v, noise)
        total = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        W = [torch.tensor(W) if ops is torch_ops else W for W in weights]
        return total(own * W[0]) + total(wide * W[1]) + total(high * W[2]) + total(linear * W[0])

    whole = gradients(compute, X, v, c, noise)
    monkeypatch.setattr(_all_pairs, "BLOCK", 20)
    K, small = overbar.polynomial_covariance(X, v, c, noise, degree=degree), gradients(compute, X, v, c, noise)
    np.testing.assert_array_equal(K, np.swapaxes(K, -1, -2))
    for front in ("numpy", "torch"):
        for a, b in zip(whole[front], small[front], strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-11, atol=1e-12, err_msg=front)


@pytest.mark.parametrize("degree", POLYNOMIALS[:3])
def test_derivatives_of_both_orders(degree):
    """In both modes, by differences, with one variance and an offset of its own for the matrix."""
    X, X2 = RNG.normal(size=(3, 2)), RNG.normal(size=(2, 2))
    given = [torch.tensor(A, requires_grad=True) for A in (X, X2, np.array([0.8]), np.array(0.6), np.array([0.3]))]
    weights = torch.tensor(RNG.normal(size=(3, 3))), torch.tensor(RNG.normal(size=(3, 2)))

    def compute(X, X2, v, c, noise):
        own = torch_ops.polynomial_covariance(X, v, c, noise, degree=degree)
        cross = torch_ops.polynomial_covariance_cross(X, X2, v, c, degree=degree)
        return (own * weights[0]).sum() + (cross * weights[1]).sum()

    assert torch.autograd.gradcheck(compute, given, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(compute, given)


@pytest.mark.parametrize("exponent", [-300, 300])
def test_the_noise_has_the_scale_of_a_square(exponent):
    """Inputs times s, the noise times s², the bars by degree: exactly, as s is a power of 2."""
    s, (X, noise), W = 2.0**exponent, (RNG.normal(size=(4, 3)), np.array(0.3)), RNG.normal(size=(4, 4))

    def compute(ops, X, noise, offset):
        K = ops.linear_covariance(X, 1.3, noise) + ops.polynomial_covariance(X, 1.3, offset, noise, degree=1)
        total = {overbar: overbar.sum, torch_ops: torch.sum, tf_ops: tf.reduce_sum}[ops]
        return total(K * (torch.tensor(W) if ops is torch_ops else W))

    ones = gradients(compute, X, noise, np.array(0.5))
    for front, bars in gradients(compute, s * X, s * s * noise, np.array(0.5 * s * s)).items():
        for bar, one, scale in zip(bars, ones[front], (s, 1, 1), strict=True):
            np.testing.assert_array_equal(bar, scale * one, err_msg=front)


def test_errors_name_the_argument_and_the_remedy():
    X = np.ones((3, 2))
    cases = [
        ((X, -1.0), "variance is not positive. Parametrise", "LinAlgError"),
        ((X, np.ones(3)), r"variance of shape \(3,\) does not fit X of shape \(3, 2\). Pass one", "ShapeError"),
        ((X, 1.0, -1.0), "offset is negative or NaN. Parametrise", "LinAlgError"),
        ((X, 1.0, 1.0, -1.0), "noise is negative or NaN. It is a variance: parametrise", "LinAlgError"),
        ((X + 0j, 1.0 + 0j, 1.0 + 0j), "X has dtype.*complex128", "DtypeError"),
    ]
    for arrays, message, kind in cases:
        for ops, convert in OPS:
            given = [convert(A) if np.ndim(A) else A for A in arrays]
            error = type(getattr(overbar.front(given[0]), kind)("an error"))
            with pytest.raises(error, match=f"polynomial_covariance: argument {message}"):
                ops.polynomial_covariance(*given)
    for degree, error in ((0, ValueError), (-1, ValueError), (1.5, TypeError)):
        for ops, convert in OPS:
            with pytest.raises(error, match=r"degree is .*must be a.* integer"):
                ops.polynomial_covariance(convert(X), degree=degree)
