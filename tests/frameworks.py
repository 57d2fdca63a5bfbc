"""PyTorch and TensorFlow with their fronts, where they are installed. A test that calls one that is not is skipped then
and there, so that tests of NumPy in the same file run everywhere.

OVERBAR_WITHOUT=torch,tensorflow in the environment hides them (see tests/conftest.py).
"""

import importlib

import pytest


class AbsentError(Exception):
    """Stands for an exception of a framework that is not installed. Nothing raises it."""


class Absent:
    """Stands for a framework that is not installed, and for whatever is asked of it: calling that skips the test."""

    def __init__(self, framework):
        self.framework = framework

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return AbsentError if name.endswith("Error") else self

    def __call__(self, *args, **kwargs):
        pytest.skip(f"{self.framework} is not installed")

    def __instancecheck__(self, thing):
        return False


def both(framework, front):
    try:
        return importlib.import_module(framework), importlib.import_module(front)
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in (framework, front):
            raise
        return Absent(framework), Absent(framework)


def twice(value, A, direction):
    """The derivative of the gradient of ``value(A)``, a number, along a direction: reverse over reverse, of tensors of
    TensorFlow."""
    with tf.GradientTape() as outer:
        outer.watch(A)
        with tf.GradientTape() as inner:
            inner.watch(A)
            number = value(A)
        total = tf.reduce_sum(inner.gradient(number, A) * direction)
    return outer.gradient(total, A)


def twice_in_a_graph(value, A, direction):
    """The same in a graph, of NumPy's arrays."""
    return tf.function(lambda A: twice(value, A, direction))(tf.constant(A)).numpy()


torch, torch_ops = both("torch", "torch_ops")
tf, tf_ops = both("tensorflow", "tf_ops")
