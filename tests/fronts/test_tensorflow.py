"""The contract of a front, held by TensorFlow's: by tapes and forward accumulators."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402
from tests.fronts.contract import FrontContract, product  # noqa: E402


class TestTensorFlow(FrontContract):
    #: a tensor may be watched after it was used, and has a gradient then
    says_what_is_needed = False

    def array(self, x):
        return tf.constant(x)

    def numpy(self, A):
        return A.numpy()

    def nests(self, ways):
        # TensorFlow itself fails: "returned too few gradients", for tf.exp, too
        return ways != ["forward", "forward", "reverse"]

    def pull(self, f, arrays, bars):
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            outputs = f(*arrays)
        return tape.gradient(outputs, arrays, output_gradients=bars)

    def push(self, f, arrays, dots):
        with tf.autodiff.ForwardAccumulator(arrays, dots) as accumulator:
            outputs = f(*arrays)
        return [accumulator.jvp(out) for out in outputs]

    def map(self, f, axis):
        return lambda A: tf.vectorized_map(f, tf.constant(np.moveaxis(A.numpy(), axis, 0)))


def test_what_is_watched_after_it_was_used_has_a_gradient():
    x, y = tf.constant([2.0, -3.0]), tf.constant([5.0, 7.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = product(x, y)
        tape.watch(y)
    np.testing.assert_array_equal(tape.gradient(z, y), x)


def test_half_precision_is_computed_in_single_precision():
    A = tf.constant(np.eye(3) * 2, tf.bfloat16)
    with tf.GradientTape() as tape:
        tape.watch(A)
        L = tf_ops.cholesky(A)
    assert L.dtype == tape.gradient(L, A).dtype == tf.bfloat16
