"""Nothing grows with the number of traces, calls, compilations and wraps: what an op of ours has seen goes when the
function that it was in goes. May import `tf_ops`.

What is counted are constants that traced functions have captured, by weak references to them, and the gradients that
TensorFlow has registered.
"""

import gc
import sys
import weakref

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from tensorflow.python.framework.ops import gradient_registry  # noqa: E402

import overbar  # noqa: E402
import tf_ops  # noqa: E402
from tests.tf_ops.common import forward, reverse, symbolic  # noqa: E402

A = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, 0.25], [0.5, 0.25, 2.0]])


def looped(f):
    return lambda A: tf.while_loop(lambda i, A: i < 2, lambda i, A: (i + 1, f(A)), (0, A))[1]


def branched(f):
    return lambda A: tf.cond(tf.linalg.trace(A) > 0, lambda: f(A), lambda: A)


def mapped(f):
    return lambda A: tf.vectorized_map(f, A[None])


WAYS = {
    "eager": reverse,
    "traced": tf.function,
    "a tape inside": lambda f: tf.function(reverse(f)),
    "a tape outside": lambda f: reverse(tf.function(f)),
    "twice": lambda f: tf.function(reverse(reverse(f))),
    "tf.gradients": symbolic,
    "an accumulator inside": lambda f: tf.function(forward(f)),
    "an accumulator outside": lambda f: forward(tf.function(f)),
    "in a loop": lambda f: reverse(tf.function(looped(f))),
    "in a branch": lambda f: reverse(tf.function(branched(f))),
    "vectorized": lambda f: tf.function(reverse(mapped(f))),
    "XLA": lambda f: tf.function(reverse(f), jit_compile=True),
}


def of_the_registry(B):
    return lambda A: tf_ops.cholesky(A + B)


def on_the_host(B):
    return lambda A: tf_ops.schur(A + B)[0]


def with_a_tensor_among_the_options(B):
    return lambda A: A * tf_ops.subset(A + B, index=(tf.shape(A)[-1] - 2, slice(None)))


def with_a_function_among_the_options(B):
    """Which refers to the tensor."""
    return lambda A: tf_ops.spectral_function(A, f=lambda w: (tf.exp(w), B)[0], df=lambda w: (tf.exp(w), B)[0])


def wrapped(B):
    """A primitive of a user's own, made anew each time, that refers to the tensor."""

    @overbar.elementwise
    def cube(A):
        return A**3 + 0 * B

    @cube.derivative
    def _(C, A):
        return 3 * A**2 + 0 * B

    return tf_ops.wrap(cube)


def kept(way, make, count=4):
    """How many of the tensors, one for each function made, are still there afterwards, and how many gradients have been
    registered for good. The first function is not counted: what happens once may stay."""

    def once(i):
        B = tf.constant(i * np.eye(len(A)))
        way(make(B))(tf.constant(A))
        return weakref.ref(B)

    once(0)
    gc.collect()
    before = len(gradient_registry.list())
    found = [once(i) for i in range(1, count)]
    gc.collect()
    return sum(reference() is not None for reference in found), len(gradient_registry.list()) - before


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.turns(4)
def test_a_traced_function_takes_with_it_what_it_has_captured(way):
    assert kept(WAYS[way], of_the_registry) == (0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["eager", "a tape inside", "a tape outside", "vectorized"])
@pytest.mark.parametrize(
    "make", [on_the_host, with_a_tensor_among_the_options, with_a_function_among_the_options, wrapped]
)
@pytest.mark.turns(4)
def test_so_does_what_stands_for_more_than_an_array(make, way):
    assert kept(WAYS[way], make) == (0, 0)


def test_calls_of_a_function_that_stays_keep_nothing():
    run = tf.function(reverse(tf_ops.cholesky))
    run(tf.constant(A))
    before = len(gradient_registry.list())
    for i in range(3):
        run(tf.constant(A + i))
    assert len(gradient_registry.list()) == before


def test_what_is_kept_would_be_counted():
    """tf.custom_gradient, which registers a gradient for each op of each trace, leaves them all."""

    def custom(B):
        @tf.custom_gradient
        def f(A):
            return A + B, lambda bar: bar

        return f

    assert kept(tf.function, custom) == (3, 3)


def cached():
    """How much the caches of overbar and of tf_ops hold."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in ("overbar", "tf_ops")]
    found = [value for module in modules for value in vars(module).values() if hasattr(value, "cache_info")]
    return sum(cache.cache_info().currsize for cache in {id(cache): cache for cache in found}.values())


def test_the_values_of_options_do_not_add_up():
    """Ever new exponents and functions."""

    def call(i):
        p = 1 + i / 7
        tf_ops.powmh(tf.constant(A), p)
        tf_ops.fractional_matrix_power(tf.constant(A), t=p)
        tf_ops.spectral_function(tf.constant(A), f=lambda w: w**p, df=lambda w: p * w ** (p - 1))

    call(1)
    before = cached()
    assert before
    for i in range(2, 6):
        call(i)
    assert cached() == before


# ---------------------------------------------------------------------------------------------------------------------
# And what is still needed stays


def test_a_graph_that_is_built_again_has_the_gradient_while_the_first_one_is_there():
    function = tf.function(tf_ops.cholesky).get_concrete_function(tf.TensorSpec(A.shape, tf.float64))
    definition = function.graph.as_graph_def()

    def again(A):
        ends = {"input_map": {function.inputs[0].name: A}, "return_elements": [function.outputs[0].name]}
        return tf.graph_util.import_graph_def(definition, **ends)[0]

    found, expected = symbolic(again)(tf.constant(A)), reverse(tf_ops.cholesky)(tf.constant(A))
    np.testing.assert_allclose(found, expected, rtol=1e-14)


@pytest.mark.parametrize("way", ["in a loop", "in a branch"])
def test_a_function_inside_another_may_be_dropped(way):
    def outer(A):
        return tf.function(lambda A: tf_ops.cholesky(A) + tf.transpose(A))(A)

    run = (looped if way == "in a loop" else branched)(outer)
    traced = tf.function(run)
    traced(tf.constant(A))
    gc.collect()
    np.testing.assert_allclose(reverse(traced)(tf.constant(A)), reverse(run)(tf.constant(A)), rtol=1e-12)


@pytest.mark.parametrize("mode", [reverse, forward], ids=["reverse", "forward"])
def test_an_index_from_outside_of_a_branch(mode):
    """The rule in the branch's graph must not use a tensor of the graph around it."""

    def f(A, i):
        return tf.cond(tf.linalg.trace(A) > 0, lambda: A * tf_ops.subset(A, index=(i, slice(None))), lambda: A)

    run = tf.function(mode(lambda A: f(A, tf.shape(A)[-1] - 2)))
    expected = mode(lambda A: A * A[1])(tf.constant(A))
    np.testing.assert_allclose(run(tf.constant(A)), expected, rtol=1e-14)
