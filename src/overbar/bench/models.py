"""Whole models in NumPy: value and gradient by the sweep beside the value by plain NumPy and SciPy.

May import NumPy, SciPy, `overbar` and the rest of `overbar.bench`.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
import scipy.linalg
import scipy.special

import overbar
from overbar.bench.cholesky import Job

#: How many times as many steps, points or examples as the targets are for.
SIZES = (1,)

_OFTEN = {"least": 5, "most": 200, "shortest": 2e-4}


class _Kalman:
    """The negative log likelihood of a Kalman filter of 4 states and 2 observations, by its 18 parameters."""

    what, count = "Kalman filter, 4 states, {} steps", 200
    #: how many times as long as the plain function each of `MODES` may take
    targets = (2.0, None, 8.0)

    def __init__(self, count, dtype):
        rng = np.random.default_rng(0)
        self.H, self.ys = rng.normal(size=(2, 4)).astype(dtype), rng.normal(size=(count, 2)).astype(dtype)
        Q = np.linalg.qr(rng.normal(size=(4, 4)))[0].astype(dtype)
        self.parameters = {"A": 0.9 * Q, "log_q": np.asarray(-1, dtype), "log_r": np.asarray(-0.5, dtype)}

    def value(self, parameters, cholesky, cho_solve):
        A, H, P = parameters["A"], self.H, np.eye(4, dtype=self.H.dtype)
        Q, R = np.exp(parameters["log_q"]) * P, np.exp(parameters["log_r"]) * P[:2, :2]
        x, total = 0 * P[0], 0.0
        for y in self.ys:
            x, P = A @ x, A @ P @ A.T + Q
            e, S = y - H @ x, H @ P @ H.T + R
            L = cholesky(S)
            K = cho_solve(L, H @ P).T
            total = total + 0.5 * (e @ cho_solve(L, e)) + np.sum(np.log(np.diagonal(L)))
            x, P = x + K @ e, P - K @ (H @ P)
        return total

    def plain(self):
        return self.value(self.parameters, np.linalg.cholesky, lambda L, B: scipy.linalg.cho_solve((L, True), B))

    def ours(self, parameters):
        return self.value(parameters, overbar.cholesky, overbar.cho_solve)


class _GaussianProcess:
    """The negative log likelihood of a Gaussian process with one length scale, by its 3 parameters."""

    what, count, targets = "Gaussian process, {} points", 500, (None, 4.0, None)

    def __init__(self, count, dtype):
        rng = np.random.default_rng(0)
        x = rng.uniform(0, 10, (count, 3))
        self.squares = (((x[:, None] - x[None]) ** 2).sum(-1) / 2).astype(dtype)
        self.y, self.eye = rng.normal(size=count).astype(dtype), np.eye(count, dtype=dtype)
        self.parameters = {name: np.asarray(0.3, dtype) for name in ("scale", "length", "noise")}

    def value(self, parameters, cholesky, cho_solve):
        scale, length, noise = (parameters[name] for name in ("scale", "length", "noise"))
        K = scale**2 * np.exp(self.squares * (-1 / length**2)) + noise**2 * self.eye
        L = cholesky(K)
        return 0.5 * (self.y @ cho_solve(L, self.y)) + np.sum(np.log(np.diagonal(L)))

    plain, ours = _Kalman.plain, _Kalman.ours


class _Network:
    """The cross-entropy of a network 64 - 100 - 100 - 10, as for pictures of 8 by 8 pixels, with relu."""

    what, count, targets = "network 64-100-100-10, {} examples", 200, (None, 4.0, None)

    def __init__(self, count, dtype):
        rng, sizes = np.random.default_rng(0), (64, 100, 100, 10)
        self.X, self.classes = rng.uniform(size=(count, 64)).astype(dtype), rng.integers(10, size=count)
        self.parameters = [
            {"W": (rng.normal(size=(m, k)) / np.sqrt(k)).astype(dtype), "b": np.zeros(m, dtype)}
            for k, m in itertools.pairwise(sizes)
        ]

    def plain(self):
        H = self.X
        *hidden, last = self.parameters
        for layer in hidden:
            H = np.maximum(H @ layer["W"].T + layer["b"], 0)
        A = H @ last["W"].T + last["b"]
        return np.mean(scipy.special.logsumexp(A, axis=-1) - A[np.arange(len(A)), self.classes])

    def ours(self, parameters):
        H = self.X
        *hidden, last = parameters
        for layer in hidden:
            H = overbar.relu(overbar.affine(H, layer["W"], layer["b"]))
        return overbar.mean(overbar.softmax_cross_entropy(overbar.affine(H, last["W"], last["b"]), self.classes))


MODELS = (_Kalman, _GaussianProcess, _Network)

MODES = ("the value", "the reverse sweep", "value and gradient")


def jobs(frameworks, sizes=SIZES, dtype="float64") -> list[Job]:
    """What there is to compare, each beside the plain function: the value of a model, the reverse sweep that follows,
    and a gradient as its user asks for it, with the value."""
    if "numpy" not in frameworks:
        raise ValueError("the models are of NumPy's sweep: say --framework numpy, or nothing.")
    found = []
    for mode, title in enumerate(MODES):
        for times, model in ((times, model) for times in sizes for model in MODELS):
            count = model.count * times
            target = model.targets[mode] if times == 1 and dtype == "float64" else None
            things = functools.partial(_things, model, count, dtype, title)
            table, what = f"NumPy, {title} beside the value by plain NumPy and SciPy", model.what.format(count)
            names = ("overbar", "plain")
            found.append(Job("numpy", table, what, count, names, things, cost=True, target=target, options=_OFTEN))
    return found


def _things(model, count, dtype, mode):
    built = model(count, dtype)
    if mode == "the reverse sweep":
        ours = functools.partial(overbar.vjp(built.ours, built.parameters)[1], 1.0)
    else:
        function = built.ours if mode == "the value" else overbar.value_and_grad(built.ours)
        ours = functools.partial(function, built.parameters)
    return ours, built.plain


def reasons(results) -> list[str]:
    return []
