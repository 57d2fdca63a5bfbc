"""Gaussian processes of tensors: `overbar.gp`, for data in TensorFlow. May import tensorflow and `overbar`."""

import tensorflow as tf

from overbar.gp import gp_fit, gp_log_marginal_likelihood, gp_predict
from overbar.gp._fit import FITTING, Fitting
from overbar.gp._fronts import of_library
from tf_ops._front import TENSORFLOW

__all__ = ["gp_fit", "gp_log_marginal_likelihood", "gp_predict"]


def _gradient(loss, like):
    @tf.function
    def graph(tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            value = loss(tensors)
        return value, tape.gradient(value, tensors, unconnected_gradients="zero")

    def step(values):
        value, bars = graph([tf.constant(x, like.dtype) for x in values])
        return float(value), [bar.numpy() for bar in bars]

    return step


def _numpy(x):
    return tf.convert_to_tensor(x).numpy()


def _hidden(*arrays):
    return "" if tf.executing_eagerly() else "a tf.function"


FITTING[TENSORFLOW] = Fitting(_numpy, _gradient, tf.errors.InvalidArgumentError, _hidden)

gp_fit = of_library(gp_fit, TENSORFLOW)
gp_log_marginal_likelihood = of_library(gp_log_marginal_likelihood, TENSORFLOW)
gp_predict = of_library(gp_predict, TENSORFLOW)
