"""Gaussian densities: several y with one covariance matrix, its scale and condition, complex numbers, and errors, in
NumPy, PyTorch and TensorFlow. May import `torch_ops` and `tf_ops`."""

import mpmath
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import overbar
from overbar._numpy_words import NumpyWords
from tests.frameworks import tf, tf_ops, torch, torch_ops
from tests.rules.test_positive_definite import gradients, positive_definite

RNG = np.random.default_rng(16)


@pytest.mark.parametrize("n", [3, 140])
def test_a_sum_over_samples_has_one_factor_and_one_bar(n, monkeypatch):
    K, mean, y = positive_definite(n), RNG.normal(size=n), RNG.normal(size=(5, n))
    expected = multivariate_normal(mean, K).logpdf(y)
    np.testing.assert_allclose(overbar.gaussian_logpdf(y, mean, K), expected, rtol=1e-11)
    L = np.linalg.cholesky(K)
    signed = L * RNG.choice([-1.0, 1.0], n) + np.triu(RNG.normal(size=(n, n)), 1)
    np.testing.assert_allclose(overbar.gaussian_logpdf_cholesky(y, mean, signed), expected, rtol=1e-11)

    factorise, shapes = NumpyWords.cholesky, []
    monkeypatch.setattr(
        NumpyWords, "cholesky", lambda self, A, **kw: shapes.append(A.shape) or factorise(self, A, **kw)
    )
    alpha = np.linalg.solve(K, (y - mean).T).T
    K_bar = (alpha.T @ alpha - 5 * np.linalg.inv(K)) / 2
    upper = K + np.triu(RNG.normal(size=(n, n)), 1)  # which is not read
    found = gradients(lambda ops, y, mean, K: sum(ops.gaussian_logpdf(y, mean, K)[i] for i in range(5)), y, mean, upper)
    for name, bars in found.items():
        for bar, exact in zip(bars, [-alpha, alpha.sum(0), K_bar], strict=True):
            np.testing.assert_allclose(bar, exact, atol=1e-11 * n, err_msg=name)
    assert set(shapes) == {(n, n)}
    found = gradients(
        lambda ops, y, mean, L: sum(ops.gaussian_logpdf_cholesky(y, mean, L)[i] for i in range(5)), y, mean, L
    )
    for name, bars in found.items():
        for bar, exact in zip(bars, [-alpha, alpha.sum(0), 2 * np.tril(K_bar @ L)], strict=True):
            np.testing.assert_allclose(bar, exact, atol=1e-11 * n, err_msg=name)


def test_the_density_of_complex_numbers():
    """It is that of the real and imaginary parts together."""
    n = 4
    K, mean = positive_definite(n, kind="D"), RNG.normal(size=n) + 1j * RNG.normal(size=n)
    y = RNG.normal(size=(2, n)) + 1j * RNG.normal(size=(2, n))
    both = np.block([[K.real, -K.imag], [K.imag, K.real]]) / 2
    expected = multivariate_normal(np.zeros(2 * n), both).logpdf(np.concatenate([(y - mean).real, (y - mean).imag], 1))
    np.testing.assert_allclose(overbar.gaussian_logpdf(y, mean, K), expected, rtol=1e-12)
    np.testing.assert_allclose(overbar.gaussian_logpdf_cholesky(y, mean, np.linalg.cholesky(K)), expected, rtol=1e-12)


@pytest.mark.parametrize("exponent", [-500, 500])
def test_a_covariance_matrix_has_the_scale_of_a_square(exponent):
    """c(s y, s μ, s² K) = c(y, μ, K) − n log s, far from 1 as well; the bars have the inverse scale."""
    n, s = 4, 2.0**exponent
    y, mean, K = RNG.normal(size=n), RNG.normal(size=n), positive_definite(n)
    for second in (K, np.linalg.cholesky(K)):
        name, factor = ("gaussian_logpdf", s * s) if second is K else ("gaussian_logpdf_cholesky", s)
        value = getattr(overbar, name)(y, mean, second) - n * np.log(s)
        np.testing.assert_allclose(getattr(overbar, name)(s * y, s * mean, factor * second), value, rtol=1e-13)
        one = gradients(lambda ops, *arrays, name=name: getattr(ops, name)(*arrays), y, mean, second)
        far = gradients(lambda ops, *arrays, name=name: getattr(ops, name)(*arrays), s * y, s * mean, factor * second)
        for front in one:
            for a, b, by in zip(one[front], far[front], (s, s, factor), strict=True):
                np.testing.assert_allclose(b * by, a, atol=1e-12 * abs(a).max(), err_msg=front)


def test_a_nearly_singular_covariance_matrix_costs_the_digits_of_its_condition():
    n = 12
    Q = np.linalg.qr(RNG.normal(size=(n, n)))[0]
    K = (Q * np.logspace(0, -10, n)) @ Q.T
    K, y = (K + K.T) / 2, RNG.normal(size=n)
    with mpmath.workdps(50):
        P, r = mpmath.matrix(K.tolist()) ** -1, mpmath.matrix(y.tolist())
        alpha = P * r
        bar = np.array(((alpha * alpha.T - P) / 2).tolist(), float)
        alpha = np.array(alpha.tolist(), float)[:, 0]
        value = float(-((r.T * P * r)[0] + mpmath.log(mpmath.det(mpmath.matrix(K.tolist()) * 2 * mpmath.pi))) / 2)
    np.testing.assert_allclose(overbar.gaussian_logpdf(y, 0 * y, K), value, rtol=1e-5)
    for name, (y_bar, _, K_bar) in gradients(lambda ops, *a: ops.gaussian_logpdf(*a), y, 0 * y, K).items():
        assert abs(y_bar + alpha).max() < 1e-5 * abs(alpha).max(), name
        assert abs(K_bar - bar).max() < 1e-5 * abs(bar).max(), name


def test_errors_name_the_argument():
    y, K = np.ones(2), np.stack([np.eye(2), np.array([[1.0, 2.0], [2.0, 1.0]])])
    where = r"matrix 1 of the batch.*leading minor of order 2"
    with pytest.raises(np.linalg.LinAlgError, match=f"K.*{where}"):
        overbar.gaussian_logpdf(y, y, K)
    with pytest.raises(torch.linalg.LinAlgError, match=f"K.*{where}"):
        torch_ops.gaussian_logpdf(*map(torch.tensor, (y, y, K)))
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"K.*{where}"):
        tf_ops.gaussian_logpdf(*map(tf.constant, (y, y, K)))
    with pytest.raises(ValueError, match="K"):
        overbar.gaussian_logpdf(y, y, np.ones((2, 3)))
    with pytest.raises(ValueError, match="mean"):
        overbar.gaussian_logpdf(y, np.ones(3), np.eye(2))
