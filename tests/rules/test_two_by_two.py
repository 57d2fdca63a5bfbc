"""Many matrices of order two: the formulas have the digits that a library's loop has. May import the frameworks."""

import warnings

import numpy as np
import pytest

import overbar
from overbar.rules._two_by_two import MANY, are_of_two, eigh_of_two
from tests.frameworks import tf, tf_ops, torch, torch_ops

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]


def matrices(dtype, scale=1.0):
    """Random ones, and those in which something is zero, equal, or beside something much larger."""
    rng = np.random.default_rng(2)
    X = rng.standard_normal((MANY, 2, 2)).astype(dtype)
    if np.iscomplexobj(X):
        X = X + (1j * rng.standard_normal(X.shape)).astype(dtype)
    corners = [[0, 0, 0, 0], [1, 0, 0, 1], [1, 0, 0, -1], [1, 1, 1, 1], [0, 1, 1, 0], [1, 1e-8, 1e-8, 1]]
    corners += [[1, 1e-20, 1e-20, 2], [0, 0, 0, 1], [1, 0, 0, 0], [1, 1e-30, 1e-30, 1], [0, -1, -1, 0], [2, -2, 2, 2]]
    X[: len(corners)] = np.reshape(corners, (-1, 2, 2))
    return (X * np.asarray(scale, dtype)).astype(dtype)


def scales(dtype):
    return [1.0, 1e-30, 1e18] if np.finfo(dtype).eps > 1e-10 else [1.0, 1e-300, 1e-150, 1e150]


def largest(A):
    return np.maximum(np.abs(A).max((-2, -1), keepdims=True), np.finfo(A.dtype).tiny)


def mH(A):
    return A.conj().mT


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigenvalues_and_vectors(dtype):
    eps = np.finfo(dtype).eps
    for scale in scales(dtype):
        A = matrices(dtype, scale)
        A = A / 2 + mH(A) / 2
        assert are_of_two(A)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            w, V = overbar.eigh(A)
            read = overbar.eigh(np.where([[1, 1], [0, 1]], A, 7), UPLO="U")
        assert w.dtype == A.real.dtype
        assert V.dtype == A.dtype
        assert np.all(w[:, 0] <= w[:, 1])
        assert np.max(np.abs(w - np.linalg.eigvalsh(A)) / largest(A)[..., 0]) < 8 * eps
        assert np.max(np.abs(A @ V - V * w[:, None, :]) / largest(A)) < 8 * eps
        assert np.max(np.abs(mH(V) @ V - np.eye(2))) < 8 * eps
        for x, y in zip(read, (w, V), strict=True):
            np.testing.assert_array_equal(x, y)
        for A_one, V_one in zip(A[20:60], V[20:60], strict=True):  # apart: the same vectors, with the same free factors
            np.testing.assert_allclose(V_one, overbar.eigh(A_one)[1], atol=1e3 * eps)


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_polar_factors(dtype, side):
    eps = np.finfo(dtype).eps
    for scale in scales(dtype):
        A = matrices(dtype, scale)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            U, P = overbar.polar(A, side=side)
        assert np.max(np.abs((U @ P if side == "right" else P @ U) - A) / largest(A)) < 8 * eps
        assert np.max(np.abs(mH(U) @ U - np.eye(2))) < 8 * eps
        np.testing.assert_array_equal(P, mH(P))
        assert np.min(np.linalg.eigvalsh(P) / largest(A)[..., 0]) > -8 * eps
        regular = np.linalg.svd(A / largest(A))[1][:, 1] > 0.1
        one_by_one = np.stack([overbar.polar(X, side=side)[0] for X in A[regular][:50]])
        np.testing.assert_allclose(U[regular][:50], one_by_one, atol=100 * eps)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("function", [overbar.eigh, overbar.eigvalsh, overbar.polar])
def test_bars_and_tangents_are_those_of_one_matrix(function, dtype):
    rng = np.random.default_rng(3)
    A, A_dot = matrices(dtype)[20:], matrices(dtype)[20:][::-1]
    A, A_dot = np.concatenate([A, A]), np.concatenate([A_dot, A_dot])
    if function is not overbar.polar:
        A, A_dot = A + mH(A), A_dot + mH(A_dot)
    assert are_of_two(A)
    outputs, pull = overbar.vjp(function, A)
    several = isinstance(outputs, tuple)
    bars = [rng.standard_normal(x.shape).astype(x.dtype) for x in (outputs if several else (outputs,))]
    (A_bar,) = pull(tuple(bars) if several else bars[0])
    _, dots = overbar.jvp(function, (A,), (A_dot,))
    for i in range(10):
        one = [bar[i] for bar in bars]
        (expected,) = overbar.vjp(function, A[i])[1](tuple(one) if several else one[0])
        np.testing.assert_allclose(A_bar[i], expected, rtol=1e-9, atol=1e-9)
        _, expected = overbar.jvp(function, (A[i],), (A_dot[i],))
        for x, y in zip(dots if several else [dots], expected if several else [expected], strict=True):
            np.testing.assert_allclose(x[i], y, rtol=1e-9, atol=1e-9)


def test_what_is_not_finite():
    for number in (np.nan, np.inf, -np.inf):
        for place in ((0, 0), (1, 0), (1, 1)):
            A = np.tile(np.eye(2), (MANY, 1, 1))
            A[5][place] = number
            with pytest.raises(np.linalg.LinAlgError, match="matrix 5 of the batch"):
                overbar.eigh(A)
            with np.errstate(invalid="ignore"):
                w, V = eigh_of_two(A)  # on a device, or while a compiler looks on
            assert np.isnan(w[5]).all()
            assert np.isnan(V[5]).all()
            assert np.isfinite(w[6:]).all()
            assert np.isfinite(V[6:]).all()
    upper = np.tile(np.eye(2), (MANY, 1, 1))
    upper[:, 0, 1] = np.nan  # which is not read
    np.testing.assert_array_equal(overbar.eigvalsh(upper), np.ones((MANY, 2)))


def test_few_are_left_to_the_library():
    assert not are_of_two(np.ones((MANY - 1, 2, 2)))
    assert not are_of_two(np.ones((MANY, 3, 3)))
    assert not are_of_two(np.ones((MANY, 3, 2)))
    assert are_of_two(np.ones((10, MANY // 10, 2, 2)))


@pytest.mark.skipif(torch is None, reason="needs PyTorch")
@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "polar"])
def test_the_same_in_pytorch(name):
    A = matrices(np.float64)
    A = A + mH(A)
    found = getattr(torch_ops, name)(torch.tensor(A, requires_grad=True))
    for x, y in pairs(found, getattr(overbar, name)(A)):
        np.testing.assert_allclose(x.detach().numpy(), y, atol=1e-14)


@pytest.mark.skipif(tf is None, reason="needs TensorFlow")
@pytest.mark.parametrize("xla", [False, True], ids=["graph", "xla"])
@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "polar"])
def test_the_same_in_tensorflow(name, xla):
    A = matrices(np.float64)
    A = A + mH(A)
    found = tf.function(getattr(tf_ops, name), jit_compile=xla)(tf.constant(A))
    for x, y in pairs(found, getattr(overbar, name)(A)):
        np.testing.assert_allclose(x.numpy(), y, atol=1e-14)


def pairs(found, expected):
    several = isinstance(expected, tuple)
    return zip(found if several else [found], expected if several else [expected], strict=True)
