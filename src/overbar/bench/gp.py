"""Gaussian processes: the log marginal likelihood and its gradient, beside one bare Cholesky decomposition, and beside
the same model in the frameworks' own functions.

May import NumPy, `overbar` and, inside functions, the frameworks and their fronts.
"""

from __future__ import annotations

import functools
import math

import numpy as np

import overbar
from overbar.bench.cholesky import Job
from overbar.bench.frameworks import FRAMEWORKS, front, load

#: The numbers of points that `bench --gp` runs where nothing is said.
SIZES = (1000, 2000)

#: Numbers of inputs, with a length scale for each.
INPUTS = (1, 8)

#: How many bare Cholesky decompositions value and gradient may take.
DECOMPOSITIONS = 3.0

#: How many times as long the same model by the framework's own functions must take, from `LARGE` points on.
BUILT_IN = {"torch": 6.0, "tf": 5.0}
LARGE = 2000


def jobs(frameworks, sizes=SIZES, dtype="float64") -> list[Job]:
    """What there is to compare: value and gradient of the log marginal likelihood by all its hyperparameters, an RBF
    kernel with a length scale for each input. TensorFlow's are in a `tf.function`."""
    found = []
    for name in frameworks:
        label = FRAMEWORKS[name].label
        rows = [(n, D) for n in sizes for D in INPUTS]
        table = f"{label}, value and gradient of a Gaussian process, in bare Cholesky decompositions"
        for n, D in rows:
            what, things = f"{n} points, {D} inputs", functools.partial(_beside_cholesky, name, n, D, dtype)
            target = DECOMPOSITIONS if dtype == "float64" else None
            found.append(Job(name, table, what, n, ("overbar", "Cholesky"), things, cost=True, target=target))
        if name == "numpy":
            continue
        table = f"{label}, value and gradient of a Gaussian process, beside {label}'s own functions"
        for n, D in rows:
            what, things = f"{n} points, {D} inputs", functools.partial(_beside_built_in, name, n, D, dtype)
            target = BUILT_IN[name] if n >= LARGE and dtype == "float64" else None
            found.append(Job(name, table, what, n, ("overbar", label), things, target=target))
    return found


def reasons(results):
    return ()


def data(n, D, dtype="float64"):
    """Points at random, the values of a smooth function there with noise, and hyperparameters: the logarithms of the
    length scales, of the standard deviation and of that of the noise."""
    rng = np.random.default_rng(n + D)
    X = rng.uniform(0, 3, (n, D))
    y = np.sin(X @ rng.normal(size=D)) + 0.1 * rng.normal(size=n)
    theta = {"length": np.log(np.full(D, math.sqrt(D))), "scale": np.asarray(0.0), "noise": np.asarray(math.log(0.1))}
    return X.astype(dtype), y.astype(dtype), {name: x.astype(dtype) for name, x in theta.items()}


def loss(ops, xp, X, y, theta):
    """Minus the log marginal likelihood by our ops, in words that all three libraries have by the same name."""
    K = ops.rbf(X, xp.exp(theta["length"]), xp.exp(2 * theta["scale"]), noise=xp.exp(2 * theta["noise"]))
    return -ops.gaussian_logpdf(y, xp.zeros_like(y), K)


def built_in_loss(xp, X, y, theta):
    """The same by a framework's own functions, as people write it."""
    is_torch = xp.__name__ == "torch"
    Z = X / xp.exp(theta["length"])
    squares = xp.einsum("id,id->i", Z, Z)
    distances = squares[:, None] + squares[None, :] - 2 * xp.einsum("id,jd->ij", Z, Z)
    n = len(X)
    K = xp.exp(2 * theta["scale"] - distances / 2) + xp.exp(2 * theta["noise"]) * xp.eye(n, dtype=X.dtype)
    L = xp.linalg.cholesky(K)
    alpha = xp.cholesky_solve(y[:, None], L) if is_torch else xp.linalg.cholesky_solve(L, y[:, None])
    log_diagonal = (xp.log if is_torch else xp.math.log)(xp.einsum("ii->i", L))
    return xp.einsum("i,i->", y, alpha[:, 0]) / 2 + xp.einsum("i->", log_diagonal) + n / 2 * math.log(2 * math.pi)


def value_and_gradient(name, n, D, dtype, built_in=False):
    """A function without arguments that returns value and gradient in one framework, and the matrix K."""
    X, y, theta = data(n, D, dtype)
    K = overbar.rbf(X, np.exp(theta["length"]), np.exp(2 * theta["scale"])) + 0.01 * np.eye(n, dtype=dtype)
    if name == "numpy":
        gradient = overbar.value_and_grad(functools.partial(loss, overbar, np, X, y))
        return lambda: gradient(theta), functools.partial(np.linalg.cholesky, K)
    xp, ops = load(name), front(name)
    of = functools.partial(built_in_loss, xp) if built_in else functools.partial(loss, ops, xp)
    if name == "torch":
        X, y, K = map(xp.tensor, (X, y, K))
        theta = {key: xp.tensor(x).requires_grad_() for key, x in theta.items()}

        def step():
            value = of(X, y, theta)
            return value.detach(), dict(zip(theta, xp.autograd.grad(value, tuple(theta.values())), strict=True))

        return step, functools.partial(xp.linalg.cholesky, K)
    X, y, K = map(xp.constant, (X, y, K))
    theta = {key: xp.Variable(x) for key, x in theta.items()}

    @xp.function
    def graph():
        with xp.GradientTape() as tape:
            value = of(X, y, theta)
        return value, tape.gradient(value, theta)

    graph()  # traced
    return graph, xp.function(functools.partial(xp.linalg.cholesky, K))


def _beside_cholesky(name, n, D, dtype):
    return value_and_gradient(name, n, D, dtype)


def _beside_built_in(name, n, D, dtype):
    return tuple(value_and_gradient(name, n, D, dtype, built_in)[0] for built_in in (False, True))
