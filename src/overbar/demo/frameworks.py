"""The same likelihood in PyTorch and in TensorFlow, with overbar's ops or with those that the framework has built in.

May import NumPy, `overbar`, its `bench` and `demo` and, inside functions, the frameworks and their fronts.

The covariance is that of `overbar.demo.model`, differentiated by the framework itself; only the Gaussian density
differs between "ours", one op, and "built in", which is made of the framework's own functions. Each builder returns a
function f(θ) → (value, gradient) of NumPy arrays for the optimiser.
"""

from __future__ import annotations

import math

import numpy as np

import overbar
from overbar.bench.frameworks import load
from overbar.demo import by_hand
from overbar.demo.model import PARAMETERS, Data, Lags, negative_log_likelihood


def objective(name, data: Data, *, built_in=False):
    """f(θ) → (value, gradient) in the framework of this name; None for NumPy's built-in gradient, which it has not."""
    if name == "torch":
        return in_torch(data, built_in=built_in)
    if name == "tf":
        return in_tensorflow(data, built_in=built_in)
    return None if built_in else in_numpy(data)


def _ours(y, K):
    y = y[:, 0]
    return overbar.gaussian_logpdf(y, 0 * y, K)


def _from_terms(square, half_logdet, n):
    """log N(y | 0, K), from yᵀ K⁻¹ y and ½ log det K."""
    return -(square / 2 + half_logdet + n / 2 * math.log(2 * math.pi))


def in_numpy(data: Data):
    return lambda theta: by_hand.value_and_gradient(theta, data)


def in_torch(data: Data, *, built_in=False):
    torch = load("torch")

    def own(y, K):
        L = torch.linalg.cholesky(K)
        z = torch.linalg.solve_triangular(L, y, upper=False)
        return _from_terms(torch.sum(z * z), torch.sum(torch.log(torch.diagonal(L))), len(y))

    logpdf = own if built_in else _ours
    tensors = Data(Lags(*map(torch.from_numpy, data.lags)), *map(torch.from_numpy, (data.index.reshape(-1), data.y)))

    def value_and_gradient(theta):
        theta = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        value = negative_log_likelihood(overbar.namespace(theta), logpdf, theta, tensors)
        (gradient,) = torch.autograd.grad(value, theta)
        return value.item(), gradient.numpy()

    return value_and_gradient


def in_tensorflow(data: Data, *, built_in=False):
    tf = load("tf")

    def own(y, K):
        L = tf.linalg.cholesky(K)
        z = tf.linalg.triangular_solve(L, y, lower=True)
        return _from_terms(tf.reduce_sum(z * z), tf.reduce_sum(tf.math.log(tf.linalg.diag_part(L))), len(y))

    logpdf = own if built_in else _ours
    index = tf.constant(data.index.reshape(-1).astype(np.int32))
    tensors = Data(Lags(*map(tf.constant, data.lags)), index, tf.constant(data.y))

    @tf.function(input_signature=[tf.TensorSpec((len(PARAMETERS),), tf.float64)])
    def step(theta):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            value = negative_log_likelihood(overbar.namespace(theta), logpdf, theta, tensors)
        return value, tape.gradient(value, theta)

    def value_and_gradient(theta):
        value, gradient = step(tf.constant(theta, dtype=tf.float64))
        return float(value), gradient.numpy()

    return value_and_gradient
