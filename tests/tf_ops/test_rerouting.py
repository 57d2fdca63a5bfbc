"""`tf_ops.reroute`: code that calls tf.linalg gets our ops inside, and TensorFlow's own functions before and after. May
import `tf_ops`.

What tells the two apart: of a matrix that is not positive definite, ours is an error and TensorFlow's returns numbers.
"""

import threading

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402

import tf_ops  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from tf_ops.rerouting import STAND_INS  # noqa: E402

INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])
DEFINITE = np.array([[4.0, 2.0], [2.0, 5.0]])


def is_ours(function):
    try:
        function(tf.constant(INDEFINITE))
    except tf.errors.InvalidArgumentError as error:
        return "cholesky: argument A is not positive definite" in error.message
    return False


SPELLINGS = {
    "tf.linalg": lambda A: tf.linalg.cholesky(A),
    "tf.compat.v2": lambda A: tf.compat.v2.linalg.cholesky(A),
    "tf.compat.v1": lambda A: tf.compat.v1.linalg.cholesky(A),
    "tf.compat.v1, short": lambda A: tf.compat.v1.cholesky(A),
    "keyword": lambda A: tf.linalg.cholesky(input=A, name="factor"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_rerouted_inside_only(spelling):
    function = SPELLINGS[spelling]
    before = tf.linalg.cholesky
    assert not is_ours(function)
    with tf_ops.reroute():
        assert is_ours(function)
    assert not is_ours(function)
    assert tf.linalg.cholesky is tf.compat.v1.cholesky is before


def test_keras_ops_are_rerouted():
    with tf_ops.reroute(), pytest.raises(ValueError, match="cholesky: argument A is not positive definite"):
        keras.ops.cholesky(INDEFINITE)


def test_what_is_rerouted_is_what_tf_ops_linalg_has():
    """And at least the Cholesky decomposition."""
    ours = [name for name in tf_ops.linalg.__all__ if hasattr(getattr(tf_ops.linalg, name), "primitive")]
    ours = [name for name in ours if getattr(tf_ops.linalg, name).when is not None]
    assert {getattr(tf.linalg, name) for name in ours} == set(STAND_INS)
    assert tf.linalg.cholesky in STAND_INS


def test_decompositions_have_our_derivatives_inside():
    """Of U Vᵀ at equal singular values, which TensorFlow returns zero for, without a warning."""

    def gradient():
        A = tf.eye(2, dtype=tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(A)
            _, U, V = tf.linalg.svd(A)
            entry = (U @ tf.transpose(V))[0, 1]
        return tape.gradient(entry, A).numpy()

    truth = [[0, 0.5], [-0.5, 0]]
    assert not np.allclose(gradient(), truth)
    with tf_ops.reroute():
        np.testing.assert_allclose(gradient(), truth, atol=1e-15)


def test_it_is_restored_after_an_exception_and_may_be_nested():
    def fail():
        with tf_ops.reroute():
            with tf_ops.reroute():
                assert is_ours(tf.linalg.cholesky)
            assert is_ours(tf.linalg.cholesky)
            raise KeyError

    before = tf.linalg.cholesky
    with pytest.raises(KeyError):
        fail()
    assert tf.linalg.cholesky is before


def test_it_decorates_a_function():
    assert tf_ops.reroute()(lambda: is_ours(tf.linalg.cholesky))()
    assert not is_ours(tf.linalg.cholesky)


def test_what_somebody_else_puts_there_meanwhile_stays():
    before, other = tf.linalg.cholesky, lambda A: A
    with tf_ops.reroute():
        tf.linalg.cholesky = other
    assert tf.linalg.cholesky is other
    tf.linalg.cholesky = before


def test_other_threads_keep_what_they_have():
    inside, done, found = threading.Event(), threading.Event(), []

    def other():
        inside.wait()
        found.append(is_ours(tf.linalg.cholesky))
        with tf_ops.reroute():
            found.append(is_ours(tf.linalg.cholesky))
            done.set()
            first.join()  # the first thread leaves first
            found.append(is_ours(tf.linalg.cholesky))
        found.append(is_ours(tf.linalg.cholesky))

    def enter():
        with tf_ops.reroute():
            inside.set()
            done.wait()

    before = tf.linalg.cholesky
    first, second = threading.Thread(target=enter), threading.Thread(target=other)
    first.start()
    second.start()
    second.join()
    assert found == [False, True, True, False]
    assert tf.linalg.cholesky is before


def test_a_linear_operator_is_left_to_tensorflow():
    operator = tf.linalg.LinearOperatorFullMatrix(DEFINITE, is_self_adjoint=True, is_positive_definite=True)
    with tf_ops.reroute():
        factor = tf.linalg.cholesky(operator)
    assert isinstance(factor, tf.linalg.LinearOperatorLowerTriangular)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_what_is_traced_inside_stays_so(compiled, monkeypatch):
    """The value and the gradient are those of tf.linalg.cholesky, and it is our rule that gives the gradient."""

    def value_and_gradient(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            z = tf.reduce_sum(tf.math.sin(tf.linalg.cholesky(A)))
        return z, tape.gradient(z, A)

    rule, asked = REGISTRY["cholesky"].vjp_rule, []
    monkeypatch.setattr(REGISTRY["cholesky"], "vjp_rule", lambda *a, **k: asked.append(1) or rule(*a, **k))
    A = tf.constant(DEFINITE)
    expected = tf.function(value_and_gradient, jit_compile=compiled)(A)
    assert not asked
    traced = tf.function(value_and_gradient, jit_compile=compiled)
    with tf_ops.reroute():
        traced(A)
    found = traced(A)
    assert len(asked) == 1
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
