"""Gaussian densities: several y with one covariance matrix, its scale and condition, complex numbers, and errors, in
NumPy, PyTorch and TensorFlow. May import `torch_ops` and `tf_ops`."""

import tracemalloc

import mpmath
import numpy as np
import pytest
from scipy.stats import multivariate_normal

import overbar
from overbar._numpy_words import NumpyWords
from tests.frameworks import tf, tf_ops, torch, torch_ops
from tests.rules.test_positive_definite import gradients, positive_definite

RNG = np.random.default_rng(16)
FRONTS = [(overbar, np.array), (torch_ops, torch.tensor), (tf_ops, tf.constant)]


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


def low_rank(n, m, batch=()):
    return RNG.normal(size=(*batch, n, m)), RNG.uniform(0.5, 2, (*batch, n))


@pytest.mark.parametrize(("n", "m"), [(5, 2), (3, 4), (30, 7)])
def test_low_rank_beside_a_diagonal_is_the_density_of_the_whole_matrix(n, m):
    """Value and bars of all arrays, of several y with one U, in every library; the sums over y are those of K's bar."""
    (U, d), mean, y = low_rank(n, m), RNG.normal(size=n), RNG.normal(size=(3, n))
    K, weights = np.diag(d) + U @ U.T, [1.0, -2.0, 0.5]
    np.testing.assert_allclose(
        overbar.gaussian_logpdf_low_rank(y, mean, U, d), multivariate_normal(mean, K).logpdf(y), rtol=1e-11
    )
    P = np.linalg.inv(K)
    alpha = (y - mean) @ P
    K_bar = sum(w * (np.outer(a, a) - P) / 2 for w, a in zip(weights, alpha, strict=True))
    expected = [-np.array(weights)[:, None] * alpha, weights @ alpha, 2 * K_bar @ U, np.diag(K_bar)]

    def value(ops, *arrays):
        c = ops.gaussian_logpdf_low_rank(*arrays)
        return sum(w * c[i] for i, w in enumerate(weights))

    for name, bars in gradients(value, y, mean, U, d).items():
        for bar, exact in zip(bars, expected, strict=True):
            np.testing.assert_allclose(bar, exact, atol=1e-11, err_msg=name)


def test_low_rank_takes_one_factor_and_no_large_matrix(monkeypatch):
    n, m = 400, 3
    (U, d), y, factorise, shapes = low_rank(n, m), RNG.normal(size=(4, n)), NumpyWords.cholesky, []
    monkeypatch.setattr(
        NumpyWords, "cholesky", lambda self, A, **kw: shapes.append(A.shape) or factorise(self, A, **kw)
    )

    def gradient(U, d):
        return overbar.vjp(lambda U, d: overbar.sum(overbar.gaussian_logpdf_low_rank(y, y[0], U, d)), U, d)[1](1.0)

    tracemalloc.start()
    gradient(U, d)
    assert tracemalloc.get_traced_memory()[1] < 8 * n * n / 2
    overbar.jvp(gradient, (U, d), (U, d))
    assert tracemalloc.get_traced_memory()[1] < 8 * n * n / 2
    tracemalloc.stop()
    assert set(shapes) == {(m, m)}


@pytest.mark.parametrize("batch", ["U", "d", "y"])
def test_second_derivatives_where_batches_differ(batch):
    n, m = 4, 2
    U, d = low_rank(n, m, (3,) if batch == "U" else ())
    d = d if batch != "d" else RNG.uniform(0.5, 2, (3, 4))
    d = d[0] if batch == "U" else d
    y = RNG.normal(size=(3, n) if batch == "y" else n)
    arrays = [torch.tensor(x, requires_grad=True) for x in (y, RNG.normal(size=n), U, d)]
    assert torch.autograd.gradcheck(torch_ops.gaussian_logpdf_low_rank, arrays, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(torch_ops.gaussian_logpdf_low_rank, arrays)
    L = [np.linalg.cholesky(positive_definite(n, (3,) * (batch == which))) for which in ("U", "d")]
    arrays = [torch.tensor(x, requires_grad=True) for x in (y, L[0], RNG.normal(size=n), L[1])]
    assert torch.autograd.gradcheck(torch_ops.gaussian_kl, arrays, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(torch_ops.gaussian_kl, arrays)


def of_one_small_entry(e, n, m, kind):
    """Arrays with one entry of d that is small, and the bars of all in 60 digits. K is well conditioned."""
    rng = np.random.default_rng(3)

    def normal(*shape):
        return rng.normal(size=shape) + (1j * rng.normal(size=shape) if kind == "D" else 0)

    U, d, y = normal(n, m), rng.uniform(0.5, 2, n), normal(n)
    d[1] = e
    with mpmath.workdps(60):
        V, r = mpmath.matrix(U.tolist()), mpmath.matrix(y.tolist())
        P = (mpmath.diag(d.tolist()) + V * V.H) ** -1
        alpha = P * r
        K_bar = (alpha * alpha.H - P) * (1 if kind == "D" else 0.5)
        dtype = complex if kind == "D" else float
        U_bar, d_bar = np.array((2 * K_bar * V).tolist(), dtype), np.array([mpmath.re(K_bar[i, i]) for i in range(n)])
    assert np.linalg.cond(np.diag(d) + U @ U.conj().T) < 1000
    return y, U, d, U_bar, d_bar.astype(float)


@pytest.mark.parametrize("kind", ["d", "D"])
@pytest.mark.parametrize(("n", "m"), [(3, 2), (9, 4), (3, 5)])
@pytest.mark.parametrize("e", [1e-7, 1e-10])
def test_one_small_entry_of_the_diagonal_has_a_bar(e, n, m, kind):
    """A leverage of nearly 1: the bar of this entry is off by κ ε as the others are, and not by κ² ε."""
    y, U, d, U_bar, d_bar = of_one_small_entry(e, n, m, kind)
    close = {"rtol": 0, "atol": 1e-14 / e * max(1, abs(d_bar).max())}
    mean, stacked = np.zeros_like(y), np.stack([d, d[::-1]])  # a batch in which the other matrix is another
    found = gradients(lambda ops, *arrays: ops.gaussian_logpdf_low_rank(*arrays), y, mean, U, d)
    both = gradients(lambda ops, *arrays: ops.gaussian_logpdf_low_rank(*arrays)[0], y, mean, U, stacked)
    for name in found:
        np.testing.assert_allclose(found[name][2], U_bar, **close, err_msg=name)
        np.testing.assert_allclose(found[name][3], d_bar, **close, err_msg=name)
        np.testing.assert_allclose(both[name][2], U_bar, **close, err_msg=name)
        np.testing.assert_allclose(both[name][3], [d_bar, 0 * d], **close, err_msg=name)
    dots = np.eye(n)[1], U
    along = [d_bar[1], np.vdot(U_bar, U).real]
    for dot, which, expected in zip(dots, (3, 2), along, strict=True):
        tangents = [None] * which + [dot] + [None] * (3 - which)
        _, c_dot = overbar.jvp(overbar.gaussian_logpdf_low_rank, (y, mean, U, d), tangents)
        np.testing.assert_allclose(c_dot, expected, **close)
        x = [torch.tensor(x) for x in (y, mean, U, d)]

        def by_torch(moved, x=x, which=which):
            return torch_ops.gaussian_logpdf_low_rank(*x[:which], moved, *x[which + 1 :])

        _, c_dot = torch.func.jvp(by_torch, (x[which],), (torch.tensor(dot),))
        np.testing.assert_allclose(c_dot, expected, **close)


def test_second_derivatives_by_one_small_entry_of_the_diagonal():
    """Right to κ² ε, and in all four mixtures."""
    n, m = 4, 2
    y, U, d, *_ = of_one_small_entry(1e-6, n, m, "d")

    def low(d):
        return overbar.gaussian_logpdf_low_rank(y, 0 * y, U, d)

    def whole(d):
        return overbar.gaussian_logpdf(y, 0 * y, overbar.diag_embed(d) + U @ U.T)

    v, expected = np.eye(n)[1], overbar.hessian(whole)(d)
    close = {"rtol": 0, "atol": 1e-6 * abs(expected).max()}
    np.testing.assert_allclose(overbar.hessian(low)(d), expected, **close)
    np.testing.assert_allclose(overbar.hvp(low, (d,), v), expected[1], **close)
    forward = lambda d: overbar.jvp(low, (d,), (v,))[1]  # noqa: E731
    np.testing.assert_allclose(overbar.grad(forward)(d), expected[1], **close)
    np.testing.assert_allclose(overbar.jvp(forward, (d,), (v,))[1], expected[1, 1], **close)


def test_a_small_diagonal_beside_a_large_low_rank_does_not_cancel():
    """r in the range of U: rᴴ D⁻¹ r is 1e10 times as large as the quadratic form."""
    n, m, d = 20, 3, 1e-10
    U = RNG.normal(size=(n, m))
    y = U @ RNG.normal(size=m) + 1e-7 * RNG.normal(size=n)
    with mpmath.workdps(60):
        V, r = mpmath.matrix(U.tolist()), mpmath.matrix(y.tolist())
        K = mpmath.eye(n) * mpmath.mpf(d) + V * V.T
        alpha = mpmath.lu_solve(K, r)
        quad, logdet = (r.T * alpha)[0], mpmath.log(mpmath.det(K * 2 * mpmath.pi))
        expected = float(-(quad + logdet) / 2)
        alpha = np.array(alpha.tolist(), float)[:, 0]
    for name, ops, array in (
        ("numpy", overbar, np.array),
        ("torch", torch_ops, torch.tensor),
        ("tf", tf_ops, tf.constant),
    ):
        found = ops.gaussian_logpdf_low_rank(array(y), array(0 * y), array(U), array(np.full(n, d)))
        np.testing.assert_allclose(float(found), expected, rtol=1e-8, err_msg=name)
    bars = gradients(lambda ops, *arrays: ops.gaussian_logpdf_low_rank(*arrays), y, 0 * y, U, np.full(n, d))
    for name, (y_bar, *_) in bars.items():
        np.testing.assert_allclose(y_bar, -alpha, atol=1e-7 * abs(alpha).max(), err_msg=name)


@pytest.mark.parametrize("exponent", [-480, 480])
def test_low_rank_has_the_scale_of_a_square(exponent):
    n, s = 4, 2.0**exponent
    (U, d), y, mean = low_rank(n, 2), RNG.normal(size=n), RNG.normal(size=n)
    by = (s, s, s, s * s)
    one = gradients(lambda ops, *arrays: ops.gaussian_logpdf_low_rank(*arrays), y, mean, U, d)
    far = gradients(lambda ops, *arrays: ops.gaussian_logpdf_low_rank(*arrays), s * y, s * mean, s * U, s * s * d)
    for front in one:
        for a, b, factor in zip(one[front], far[front], by, strict=True):
            np.testing.assert_allclose(b * factor, a, atol=1e-12 * abs(a).max(), err_msg=front)


@pytest.mark.parametrize(
    "dtype, exponent",
    [(np.float64, 2 * k) for k in (-230, -166, -133, 133, 166, 230)] + [(np.float32, k) for k in (-50, -36, 34, 50)],
)
def test_second_derivatives_of_low_rank_have_the_scale_of_a_square(dtype, exponent):
    """By d, whose square is out of range, in all four mixtures, and by PyTorch and TensorFlow in those of their own."""
    n, s = 5, 2.0**exponent
    rng = np.random.default_rng(0)
    y, U, d = rng.normal(size=n), rng.normal(size=(n, 2)), np.linspace(0.3, 1.1, n)
    v = np.array([1.0, 2.0, -1.0, 0.5, 0.25])
    expected = overbar.hessian(lambda d: overbar.gaussian_logpdf(y, 0 * y, overbar.diag_embed(d) + U @ U.T))(d) @ v
    y, U, d, v_dot = ((x * factor).astype(dtype) for x, factor in ((y, s), (U, s), (d, s * s), (v, s * s)))

    def low(d):
        return overbar.gaussian_logpdf_low_rank(y, 0 * y, U, d)

    along = lambda d: overbar.jvp(low, (d,), (v_dot,))[1]  # noqa: E731
    found = {
        "reverse over reverse": overbar.hvp(low, (d,), v_dot),
        "forward over reverse": overbar.jvp(overbar.grad(low), (d,), (v_dot,))[1],
        "reverse over forward": overbar.grad(along)(d),
    }
    t = [torch.tensor(x) for x in (y, U, d, v_dot)]
    gradient = torch.func.grad(lambda d: torch_ops.gaussian_logpdf_low_rank(t[0], 0 * t[0], t[1], d))
    found["PyTorch"] = torch.func.jvp(gradient, (t[2],), (t[3],))[1].numpy()
    x = tf.constant(d)
    with tf.autodiff.ForwardAccumulator(x, tf.constant(v_dot)) as accumulator:
        with tf.GradientTape() as tape:
            tape.watch(x)
            c = tf_ops.gaussian_logpdf_low_rank(y, 0 * y, U, x)
        x_bar = tape.gradient(c, x)
    found["TensorFlow"] = accumulator.jvp(x_bar).numpy()
    close = {"rtol": 0, "atol": (1e-5 if dtype is np.float32 else 1e-12) * abs(expected).max()}
    for name, second in found.items():
        np.testing.assert_allclose(second * dtype(s) * dtype(s), expected, **close, err_msg=name)
    second = overbar.jvp(along, (d,), (v_dot,))[1]
    np.testing.assert_allclose(second, expected @ v, **close)


def test_the_divergence_of_gaussians():
    """It is the mean of the difference of the logarithms; none from itself, and never below zero."""
    n = 4
    L, M = (np.linalg.cholesky(positive_definite(n)) for _ in range(2))
    mean, other = RNG.normal(size=(2, n))
    P = np.linalg.inv(M @ M.T)
    r = mean - other
    logs = np.linalg.slogdet(M @ M.T)[1] - np.linalg.slogdet(L @ L.T)[1]
    expected = (np.trace(P @ L @ L.T) + r @ P @ r - n + logs) / 2
    signed = L * RNG.choice([-1.0, 1.0], n) + np.triu(RNG.normal(size=(n, n)), 1)
    for ops, array in FRONTS:
        np.testing.assert_allclose(float(ops.gaussian_kl(*map(array, (mean, signed, other, M)))), expected, rtol=1e-12)
        assert float(ops.gaussian_kl(*map(array, (mean, L, mean, L)))) == 0
    bars = gradients(lambda ops, *arrays: ops.gaussian_kl(*arrays), mean, L, mean, L)
    assert all(abs(bar).max() < 1e-13 for found in bars.values() for bar in found)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
def test_the_divergence_of_close_gaussians_has_all_digits(dtype):
    """It is never negative, zero from itself, and as exact as its arguments where the difference of factors is of the
    size of their last digits; so is its gradient. (With mpmath, of the same rounded factors.)"""
    n, eps, rng = 5, float(np.finfo(dtype).eps), np.random.default_rng(7)
    signs = rng.choice([-1.0, 1.0], n)
    for size in (0.0, 4 * eps, 1e3 * eps, eps**0.5, eps**0.25, 0.1, 0.2, 0.7):
        L = np.linalg.cholesky(positive_definite(n, kind=dtype.replace("f", "d").replace("F", "D")))
        M = (np.tril(L * (1 + size * rng.normal(size=(n, n)))) * signs).astype(dtype)
        L, mean = L.astype(dtype), rng.normal(size=n).astype(dtype)
        with mpmath.workdps(60):
            exact_L, exact_M = mpmath.matrix(L.tolist()), mpmath.matrix((M if size else L).tolist())
            T, inverse = mpmath.inverse(exact_M) * exact_L, mpmath.inverse(exact_M).H
            moduli = [abs(T[i, i]) ** 2 for i in range(n)]
            below = sum(abs(T[i, j]) ** 2 for i in range(n) for j in range(i))
            half = 1 if dtype in "FD" else mpmath.mpf(1) / 2
            exact = float(half * (below + sum(x - 1 - mpmath.log(x) for x in moduli)))
            slope = 2 * half * inverse * T
            for i in range(n):
                slope[i, i] -= 2 * half / mpmath.conj(exact_L[i, i])
            expected = np.tril(np.array(slope.tolist(), dtype=complex))
        if not size:
            M = L * signs.astype(dtype)
        for ops, array in FRONTS:
            found = float(ops.gaussian_kl(*map(array, (mean, L, mean, M))))
            assert found >= 0
            assert found == pytest.approx(exact, rel=200 * eps, abs=1e-60)
        for name, bars in gradients(lambda ops, *arrays: ops.gaussian_kl(*arrays), mean, L, mean, M).items():
            error = abs(bars[1] - expected).max()
            assert error <= 300 * eps * abs(expected).max() + 1e-60, name


def test_what_is_wrong_with_low_rank_is_said():
    (U, d), y = low_rank(3, 2), np.ones(3)
    for bad in (-1.0, 0.0, np.nan):
        wrong = np.array([1.0, bad, 1.0])
        with pytest.raises(np.linalg.LinAlgError, match="arguments U and d, which has to be positive"):
            overbar.gaussian_logpdf_low_rank(y, y, U, wrong)
        with pytest.raises(torch.linalg.LinAlgError, match="arguments U and d"):
            torch_ops.gaussian_logpdf_low_rank(*map(torch.tensor, (y, y, U, wrong)))
        with pytest.raises(tf.errors.InvalidArgumentError, match="arguments U and d"):
            tf_ops.gaussian_logpdf_low_rank(*map(tf.constant, (y, y, U, wrong)))
    with pytest.raises(ValueError, match="U"):
        overbar.gaussian_logpdf_low_rank(y, y, np.ones((2, 2)), d)
