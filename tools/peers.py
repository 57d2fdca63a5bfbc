"""Unmodified models of GPyTorch, BoTorch, Pyro, GPflow and TensorFlow Probability, with `install()` and without it:

    python -m tools.peers
    python -m tools.peers gpytorch gpflow --save docs/peers.md

Each step is the loss and its gradient, in double precision; the figure is how many times as much CPU time it takes
without the line. The two are timed by turns in one process, and the least time of each counts: what else a machine does
makes a step slower, and never faster. `--save` writes the tables into the page. May import NumPy, `overbar`,
`tools.marked`, and the frameworks, the fronts and the libraries inside functions; a library that is not there is left
out.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from overbar.bench.harness import environment, package_version
from tools.marked import saved

ROUNDS = 9
#: A step is called so many times in a row that it takes as long as this, in seconds.
SHORTEST = 0.1
SIZES = (50, 200, 500, 1000, 2000)


def data(n, D=2):
    """Points at random, and the values of a smooth function there with noise."""
    rng = np.random.default_rng(n)
    X = rng.uniform(0, 3, (n, D))
    return X, np.sin(X @ rng.normal(size=D)) + 0.1 * rng.normal(size=n)


# ---------------------------------------------------------------------------------------------------------------------
# PyTorch. A step is called with the line and without it.


def _torch():
    import torch

    import torch_ops

    torch.set_default_dtype(torch.float64)
    return torch, torch_ops


def _gradient(loss, parameters):
    import torch

    value = loss()
    return [value.detach().numpy(), *[x.numpy() for x in torch.autograd.grad(value, parameters)]]


def gpytorch(n):
    """An `ExactGP` with an RBF kernel, by its Cholesky decomposition (`max_cholesky_size` above n)."""
    torch, _ = _torch()
    import gpytorch

    class Model(gpytorch.models.ExactGP):
        def __init__(self, X, y, likelihood):
            super().__init__(X, y, likelihood)
            self.mean = gpytorch.means.ConstantMean()
            self.kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel(ard_num_dims=X.shape[-1]))

        def forward(self, X):
            return gpytorch.distributions.MultivariateNormal(self.mean(X), self.kernel(X))

    X, y = map(torch.from_numpy, data(n))
    model = Model(X, y, gpytorch.likelihoods.GaussianLikelihood())
    likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)

    def step():
        with gpytorch.settings.max_cholesky_size(n + 1):
            return _gradient(lambda: -likelihood(model(X), y), [*model.parameters()])

    return step


def botorch(n):
    """The loss of a `SingleTaskGP` with six inputs, as `fit_gpytorch_mll` minimises it."""
    torch, _ = _torch()
    import gpytorch
    from botorch.models import SingleTaskGP

    X, y = map(torch.from_numpy, data(n, 6))
    model = SingleTaskGP(X / 3, y[:, None])
    likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    model.train()
    return lambda: _gradient(
        lambda: -likelihood(model(*model.train_inputs), model.train_targets), [*model.parameters()]
    )


def acquisition(n):
    """`LogExpectedImprovement` at ten points at once, with its gradient by them."""
    torch, _ = _torch()
    from botorch.acquisition import LogExpectedImprovement
    from botorch.models import SingleTaskGP

    X, y = map(torch.from_numpy, data(n, 6))
    criterion = LogExpectedImprovement(SingleTaskGP(X / 3, y[:, None]), y.max())
    points = torch.from_numpy(data(10, 6)[0][:, None] / 3).requires_grad_()
    return lambda: _gradient(lambda: criterion(points).sum(), [points])


def pyro(n):
    """A `GPRegression` with an RBF kernel, its loss by `Trace_ELBO`."""
    torch, _ = _torch()
    import pyro
    from pyro.contrib import gp

    pyro.clear_param_store()
    X, y = map(torch.from_numpy, data(n))
    model = gp.models.GPRegression(X, y, gp.kernels.RBF(2, lengthscale=torch.ones(2)), noise=torch.tensor(0.1))
    loss = pyro.infer.Trace_ELBO().differentiable_loss
    return lambda: _gradient(lambda: loss(model.model, model.guide), [*model.parameters()])


# ---------------------------------------------------------------------------------------------------------------------
# TensorFlow. A step is traced with the line, and another one without it.


def _traced(loss, variables):
    import tensorflow as tf

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss()
        return [value, *tape.gradient(value, variables)]

    return step


def gpflow(n):
    """A `GPR` with a squared exponential kernel, in a `tf.function`."""
    import gpflow

    X, y = data(n)
    model = gpflow.models.GPR((X, y[:, None]), gpflow.kernels.RBF(lengthscales=[1.0, 1.0]), noise_variance=0.1)
    return _traced(model.training_loss, model.trainable_variables)


def sparse(n):
    """An `SGPR` with eight inputs and a fortieth as many inducing points as data, in a `tf.function`."""
    import gpflow

    X, y = data(n, 8)
    kernel = gpflow.kernels.RBF(lengthscales=[1.0] * 8)
    model = gpflow.models.SGPR((X, y[:, None]), kernel, X[: n // 40].copy(), noise_variance=0.1)
    return _traced(model.training_loss, model.trainable_variables)


def _probability(n, density):
    import tensorflow as tf
    import tensorflow_probability as tfp

    X, y = map(tf.constant, data(n))
    variables = [tf.Variable(x, dtype=tf.float64) for x in (1.0, 1.0, 0.1)]
    kernel = tfp.math.psd_kernels.ExponentiatedQuadratic(*variables[:2])
    return _traced(lambda: density(tf, tfp, X, y, kernel, variables[2]), variables)


def probability(n):
    """A `GaussianProcess` of TensorFlow Probability, in a `tf.function`."""

    def density(tf, tfp, X, y, kernel, noise):
        return tfp.distributions.GaussianProcess(kernel, X, observation_noise_variance=noise).log_prob(y)

    return _probability(n, density)


def normal(n):
    """`MultivariateNormalTriL` with the factor of a covariance matrix, in a `tf.function`."""

    def density(tf, tfp, X, y, kernel, noise):
        K = kernel.matrix(X, X)
        L = tf.linalg.cholesky(tf.linalg.set_diag(K, tf.linalg.diag_part(K) + noise))
        return tfp.distributions.MultivariateNormalTriL(scale_tril=L).log_prob(y)

    return _probability(n, density)


@dataclass(frozen=True)
class Case:
    """A model at several sizes. `library` has to be there; `framework` is that of the front."""

    library: str
    framework: str
    model: Callable[[int], Callable[[], list]]
    sizes: tuple[int, ...] = SIZES


CASES = [
    Case("gpytorch", "torch", gpytorch),
    Case("botorch", "torch", botorch, (50, 200, 600)),
    Case("botorch", "torch", acquisition, (50,)),
    Case("pyro", "torch", pyro),
    Case("gpflow", "tensorflow", gpflow),
    Case("gpflow", "tensorflow", sparse, (4000, 20000)),
    Case("tensorflow_probability", "tensorflow", probability),
    Case("tensorflow_probability", "tensorflow", normal),
]
#: what pip calls what Python calls otherwise
PACKAGES = {"pyro": "pyro-ppl", "tensorflow_probability": "tensorflow-probability"}


# ---------------------------------------------------------------------------------------------------------------------
# Measuring


def steps(case, n):
    """The step without the line and with it, and what puts the process into each of the two states."""
    if case.framework == "torch":
        step, (_, front) = case.model(n), _torch()
        return (step, step), (front.uninstall, front.install)
    import tf_ops as front

    plain, ours = case.model(n), case.model(n)
    plain()
    front.install()
    ours()
    front.uninstall()
    return (plain, ours), (lambda: None, lambda: None)


def difference(case, pair, states):
    """By how much loss and gradients differ, relative to the largest entry of each."""
    found = []
    for step, enter in zip(pair, states, strict=True):
        enter()
        found.append([np.asarray(x) for x in step()])
    return max(float(np.abs(a - b).max() / np.abs(a).max()) for a, b in zip(*found, strict=True))


def measure(case, n):
    """Seconds of a step without the line and with it, and how much the results differ."""
    pair, states = steps(case, n)
    off = difference(case, pair, states)
    start = time.process_time()
    pair[1]()
    calls = max(1, round(SHORTEST / max(time.process_time() - start, 1e-6)))
    seconds = ([], [])
    gc.collect()
    gc.disable()
    for i in range(ROUNDS):
        for which in (0, 1) if i % 2 else (1, 0):
            states[which]()
            pair[which]()
            start = time.process_time()
            for _ in range(calls):
                pair[which]()
            seconds[which].append((time.process_time() - start) / calls)
    gc.enable()
    states[0]()
    return min(seconds[0]), min(seconds[1]), off


def table(case):
    """A table in Markdown, a row for each size."""
    yield f"{case.model.__doc__}\n"
    yield "| n | faster | without the line, ms | largest difference |"
    yield "| --- | --- | --- | --- |"
    for n in case.sizes:
        without, ours, off = measure(case, n)
        yield f"| {n} | {without / ours:.2f} times | {without * 1e3:.3g} | {off:.0e} |"


def report(library):
    """All tables of a library, and where they were measured."""
    for case in CASES:
        if case.library == library:
            importlib.import_module(case.library)
            yield from table(case)
            yield ""
    where = environment()
    threads = sorted(set(where["threads"].values()))
    versions = {name: package_version(PACKAGES.get(name, name)) for name in (library, case_framework(library))}
    words = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield f"With {words}; {where['processor']}, threads: {', '.join(map(str, threads))}."


def case_framework(library):
    return next(case.framework for case in CASES if case.library == library)


def main():
    libraries = list(dict.fromkeys(case.library for case in CASES))
    parser = argparse.ArgumentParser(prog="python -m tools.peers", description=__doc__.partition("\n")[0])
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=f"of {', '.join(libraries)}; all otherwise")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the tables into this page, too")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")  # of the libraries'
    for library in arguments.libraries or libraries:
        try:
            importlib.import_module(library)
        except ImportError as error:
            print(f"{library} is left out: {error}")
            continue
        lines = []
        for line in report(library):
            print(line, flush=True)
            lines.append(line)
        if arguments.save:
            saved(arguments.save, f"figures of {library}", lines, "python -m tools.peers")


if __name__ == "__main__":
    main()
