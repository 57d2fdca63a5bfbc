"""The same likelihood in PyTorch and in TensorFlow, with overbar's ops or with those that the framework has built in.

May import NumPy, `overbar`, its `bench` and `demo` and, inside functions, the frameworks and their fronts.

Covariance and likelihood are those of `overbar.demo.model`, differentiated by the framework itself; only the three
matrix functions differ between "ours" and "built in". Each builder returns a function f(θ) → (value, gradient) of
NumPy arrays for the optimiser.
"""

from __future__ import annotations

import numpy as np

import overbar
from overbar.bench.frameworks import load
from overbar.demo import by_hand
from overbar.demo.model import PARAMETERS, Data, Lags, Ops, negative_log_likelihood


def objective(name, data: Data, *, built_in=False):
    """f(θ) → (value, gradient) in the framework of this name; None for NumPy's built-in gradient, which it has not."""
    if name == "torch":
        return in_torch(data, built_in=built_in)
    if name == "tf":
        return in_tensorflow(data, built_in=built_in)
    return None if built_in else in_numpy(data)


OURS = Ops(
    overbar.cholesky,
    lambda L, y: overbar.solve_triangular(L, y, upper=False),
    overbar.cho_logdet,
)


def in_numpy(data: Data):
    return lambda theta: by_hand.value_and_gradient(theta, data)


def in_torch(data: Data, *, built_in=False):
    torch = load("torch")
    ops = OURS
    if built_in:
        ops = Ops(
            torch.linalg.cholesky,
            lambda L, y: torch.linalg.solve_triangular(L, y, upper=False),
            lambda L: 2 * torch.sum(torch.log(torch.diagonal(L))),
        )
    tensors = Data(Lags(*map(torch.from_numpy, data.lags)), *map(torch.from_numpy, (data.index.reshape(-1), data.y)))

    def value_and_gradient(theta):
        theta = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        value = negative_log_likelihood(overbar.namespace(theta), ops, theta, tensors)
        (gradient,) = torch.autograd.grad(value, theta)
        return value.item(), gradient.numpy()

    return value_and_gradient


def in_tensorflow(data: Data, *, built_in=False):
    tf = load("tf")
    ops = OURS
    if built_in:
        ops = Ops(
            tf.linalg.cholesky,
            lambda L, y: tf.linalg.triangular_solve(L, y, lower=True),
            lambda L: 2 * tf.reduce_sum(tf.math.log(tf.linalg.diag_part(L))),
        )
    index = tf.constant(data.index.reshape(-1).astype(np.int32))
    tensors = Data(Lags(*map(tf.constant, data.lags)), index, tf.constant(data.y))

    @tf.function(input_signature=[tf.TensorSpec((len(PARAMETERS),), tf.float64)])
    def step(theta):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            value = negative_log_likelihood(overbar.namespace(theta), ops, theta, tensors)
        return value, tape.gradient(value, theta)

    def value_and_gradient(theta):
        value, gradient = step(tf.constant(theta, dtype=tf.float64))
        return float(value), gradient.numpy()

    return value_and_gradient
