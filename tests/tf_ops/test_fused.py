"""Several steps of a library made one op inside of `tf_ops.reroute`. May import `tf_ops`. `tests/peers` has the
libraries.
"""

import gc

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402
from tf_ops._fused import factorised, gaussian_logpdf, logdet  # noqa: E402

RNG = np.random.default_rng(0)
G = RNG.normal(size=(4, 4))
Y, MEAN, A = RNG.normal(size=(3, 4)), RNG.normal(size=(1, 4)), G @ G.T + np.eye(4)


def fused(y, mean, A):
    with tf_ops.reroute():
        L = tf.linalg.cholesky(A)
    assert factorised(L) is A
    return gaussian_logpdf(y, mean, A, L)


def two_derivatives(function):
    arrays = [tf.constant(x) for x in (Y, MEAN, A)]

    def derivatives(*arrays):
        with tf.GradientTape() as outer:
            outer.watch(arrays)
            with tf.GradientTape() as inner:
                inner.watch(arrays)
                value = tf.sin(function(*arrays))
            first = inner.gradient(value, arrays)
            total = sum(tf.reduce_sum(tf.square(x)) for x in first)
        return [value, *first, *outer.gradient(total, arrays)]

    return derivatives, arrays


@pytest.mark.parametrize("way", ["eager", "graph", "unknown sizes", "xla"])
def test_a_density_whose_factor_is_known(way):
    derivatives, arrays = two_derivatives(fused)
    if way != "eager":
        unknown = [tf.TensorSpec([None] * x.shape.rank, x.dtype) for x in arrays] if way == "unknown sizes" else None
        derivatives = tf.function(derivatives, input_signature=unknown, jit_compile=way == "xla")
    expected = two_derivatives(tf_ops.gaussian_logpdf)[0](*arrays)
    for a, b in zip(derivatives(*arrays), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "graph"])
def test_a_determinant_whose_factor_is_known(compiled):
    def derivatives(function):
        stack = tf.constant(np.stack([A, 2 * A]))
        with tf.GradientTape() as outer:
            outer.watch(stack)
            with tf.GradientTape() as inner:
                inner.watch(stack)
                value = tf.sin(function(stack))
            first = inner.gradient(value, stack)
        return value, first, outer.gradient(first, stack, output_gradients=tf.sin(stack))

    found = (tf.function(derivatives) if compiled else derivatives)(lambda A: logdet(A, tf.linalg.cholesky(A)))
    for a, b in zip(found, derivatives(tf_ops.logdet), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10)


def test_forward_mode():
    arrays, tangents = [tf.constant(x) for x in (Y, MEAN, A)], [tf.constant(x) for x in (MEAN + 0 * Y, MEAN, A / 3)]

    def moved(function):
        with tf.autodiff.ForwardAccumulator(arrays, tangents) as accumulator:
            value = function(*arrays)
        return accumulator.jvp(value)

    np.testing.assert_allclose(moved(fused), moved(tf_ops.gaussian_logpdf), rtol=1e-11)


def test_what_has_no_factor_that_is_known():
    """A factor that was computed outside, one of something else, and one whose matrix is gone."""
    A = tf.constant(np.eye(2))
    L = tf.linalg.cholesky(A)
    assert factorised(L) is None
    with tf_ops.reroute():
        L = tf.linalg.cholesky(input=A)
        gone = tf.linalg.cholesky(A + A)
        half = tf.linalg.cholesky(tf.cast(A, tf.float16))
    gc.collect()
    assert factorised(L) is A
    assert factorised(gone) is None
    assert factorised(half) is None
    assert factorised(L + 1) is None
