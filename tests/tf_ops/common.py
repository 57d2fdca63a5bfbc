"""What several files of tests share. May import tensorflow and `tf_ops`."""

import json
from pathlib import Path

import tensorflow as tf

import tf_ops
from tests.processes import run_python

ROOT = Path(__file__).parents[2]


def in_a_fresh_process(code, folder):
    """Run code there, with `folder` as sys.argv[1], and return what it wrote with `print(json.dumps(...))` last."""
    done = run_python("-c", code, str(folder), environment={"CUDA_VISIBLE_DEVICES": ""})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def arguments(name, A):
    """Arguments of the function of this name, of tf_ops and of TensorFlow alike, made of a symmetric 2 by 2 matrix."""
    special = {
        "eigh_tridiagonal": lambda: [A, A[:, :1]],
        "lu_solve": lambda: [A, tf.constant([1, 0]), A],
        "reshape": lambda: [A, [4]],
        "tridiagonal_solve": lambda: [tf.stack([A[0], A[0], A[0]]), A],
    }
    if name in special:
        return special[name]()
    primitive = getattr(tf_ops, name).primitive
    return [[A, A], 0] if primitive.variadic else [A] * len(primitive.arguments)


# A derivative of a function of one tensor, as such a function again, by each of TensorFlow's means.


def reverse(f, unconnected="none"):
    def derivative(t):
        with tf.GradientTape() as tape:
            tape.watch(t)
            z = f(t)
        return tape.gradient(z, t, unconnected_gradients=unconnected)

    return derivative


def forward(f, unconnected="none"):
    def derivative(t):
        with tf.autodiff.ForwardAccumulator(t, tf.ones_like(t)) as accumulator:
            z = f(t)
        return accumulator.jvp(z, unconnected_gradients=unconnected)

    return derivative


def symbolic(f):
    """tf.gradients, which needs a graph."""
    return tf.function(lambda t: tf.gradients(f(t), t)[0])
