"""The log marginal likelihood of a Gaussian process and its gradient in other libraries, beside ours: gpflash, a C++
library; scikit-learn; JAX; GPyTorch; and GPflow.

    python -m tools.gp_libraries
    python -m tools.gp_libraries --library GPyTorch GPflow --sizes 200 500

For an RBF kernel with a length scale for each input and noise, as `overbar bench --gp` has it. The gradients have to be
equal to 1e-8; then all are timed by turns, in CPU seconds: run it with OMP_NUM_THREADS=1. A library that is not
installed is left out. May import NumPy, `overbar` and, inside functions, these libraries and the frameworks.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import time

import numpy as np

from overbar.bench.gp import data, value_and_gradient
from overbar.bench.harness import compare, environment, package_version

TOLERANCE = 1e-8


def of_gpflash(n, D):
    """A function without arguments that returns what `value_and_gradient` does: minus the logarithm, and its
    derivatives by the logarithms of the length scales, of the standard deviation and of that of the noise."""
    import gpflash

    X, y, theta = data(n, D)
    given = gpflash.TrainingData()
    given.X_ndim_ntrain_mat, given.f_train_vec, given.sig2_f_val = np.asfortranarray(X.T), y, -1.0
    options = gpflash.ModelOptions()
    options.kernel_id, options.has_mean_model_constant = gpflash.KernelId.SqExp, False
    options.mean_model_degree_vec = [0]
    # it adds the trace over this number to the diagonal, which is taken from the noise here
    options.kmat_eig_max_ub_method, options.cond_max = gpflash.EigMaxUbMethod.Trace, gpflash.COND_MAX_LIMIT
    variance, noise = (float(np.exp(2 * theta[name])) for name in ("scale", "noise"))
    at = gpflash.HpVal()
    at.hp_gamma_vec, at.hp_sig2_k = np.exp(-theta["length"]), variance
    nugget = n / options.cond_max
    at.hp_sig2_f_val = noise - nugget * variance

    def step():
        found = gpflash.eval_mll(given, at, options, True)
        bars = found.mll_hp_grad_struct
        gradient = {
            "length": at.hp_gamma_vec * bars.d_mll_d_hp_gamma_vec,
            "scale": -2 * variance * (bars.d_mll_d_hp_sig2_k - nugget * bars.d_mll_d_hp_sig2_f_val),
            "noise": -2 * noise * bars.d_mll_d_hp_sig2_f_val,
        }
        return -found.mll, gradient

    return step


def of_scikit_learn(n, D):
    """The same, by its GaussianProcessRegressor."""
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    X, y, theta = data(n, D)
    variance, noise = (float(np.exp(2 * theta[name])) for name in ("scale", "noise"))
    kernel = ConstantKernel(variance) * RBF(np.exp(theta["length"])) + WhiteKernel(noise)
    model = GaussianProcessRegressor(kernel, alpha=0.0, optimizer=None).fit(X, y)
    at = model.kernel_.theta

    def step():
        value, bars = model.log_marginal_likelihood(at, eval_gradient=True)
        # by the logarithms of the variance, of the length scales and of the noise
        return -value, {"length": -bars[1:-1], "scale": -2 * bars[0], "noise": -2 * bars[-1]}

    return step


def of_jax(n, D):
    """The same in `jax.jit`, as people write it."""
    import jax
    import jax.numpy as xp

    jax.config.update("jax_enable_x64", True)
    X, y, theta = data(n, D)

    def loss(theta):
        Z = X / xp.exp(theta["length"])
        squares = (Z * Z).sum(1)
        distances = squares[:, None] + squares[None, :] - 2 * Z @ Z.T
        K = xp.exp(2 * theta["scale"] - distances / 2) + xp.exp(2 * theta["noise"]) * xp.eye(n)
        L = xp.linalg.cholesky(K)
        alpha = jax.scipy.linalg.cho_solve((L, True), y)
        return y @ alpha / 2 + xp.log(xp.diagonal(L)).sum() + n / 2 * np.log(2 * np.pi)

    gradient = jax.jit(jax.value_and_grad(loss))
    return lambda: jax.block_until_ready(gradient(theta))


def of_gpytorch(n, D):
    """The same, by an `ExactGP` and its Cholesky decomposition."""
    import gpytorch
    import torch

    X, y, theta = data(n, D)
    X, y = torch.from_numpy(X), torch.from_numpy(y)
    variance, noise = (float(np.exp(2 * theta[name])) for name in ("scale", "noise"))

    class Model(gpytorch.models.ExactGP):
        def __init__(self):
            super().__init__(X, y, gpytorch.likelihoods.GaussianLikelihood())
            self.mean = gpytorch.means.ZeroMean()
            self.kernel = gpytorch.kernels.ScaleKernel(gpytorch.kernels.RBFKernel(ard_num_dims=D))

        def forward(self, X):
            return gpytorch.distributions.MultivariateNormal(self.mean(X), self.kernel(X))

    model = Model().double()
    model.kernel.base_kernel.lengthscale = torch.from_numpy(np.exp(theta["length"]))
    # tensors, as numbers would be rounded to single precision
    model.kernel.outputscale, model.likelihood.noise = (torch.tensor(x, dtype=X.dtype) for x in (variance, noise))
    likelihood = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    parts = [model.kernel.base_kernel, model.kernel, model.likelihood.noise_covar]
    names = ["raw_lengthscale", "raw_outputscale", "raw_noise"]
    raw = [getattr(part, name) for part, name in zip(parts, names, strict=True)]

    def step():
        with gpytorch.settings.max_cholesky_size(n + 1):
            value = -n * likelihood(model(X), y)  # it divides by n
            bars = torch.autograd.grad(value, raw)
        return value.detach(), bars

    def gradient():
        value, bars = step()
        slopes = []
        for part, name, x, bar, weight in zip(parts, names, raw, bars, (1, 2, 2), strict=True):
            constraint = getattr(part, f"{name}_constraint")
            point = x.detach().clone().requires_grad_()
            value_of = constraint.transform(point)
            (slope,) = torch.autograd.grad(value_of.sum(), point)
            slopes.append((weight * bar * value_of.detach() / slope).numpy().ravel())
        return value, dict(zip(("length", "scale", "noise"), slopes, strict=True))

    return step, gradient


def of_gpflow(n, D):
    """The same, by a `GPR` in a `tf.function`."""
    import gpflow
    import tensorflow as tf

    X, y, theta = data(n, D)
    variance, noise = (float(np.exp(2 * theta[name])) for name in ("scale", "noise"))
    kernel = gpflow.kernels.RBF(variance=variance, lengthscales=np.exp(theta["length"]))
    model = gpflow.models.GPR((X, y[:, None]), kernel, noise_variance=noise)
    given = {"length": kernel.lengthscales, "scale": kernel.variance, "noise": model.likelihood.variance}
    raw = {name: parameter.unconstrained_variable for name, parameter in given.items()}

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = model.training_loss()
        return value, tape.gradient(value, raw)

    def gradient():
        value, bars = step()
        slopes = {}
        for name, parameter in given.items():
            with tf.GradientTape() as tape:
                point = parameter.transform.forward(raw[name])
            slope = tape.gradient(point, raw[name])
            slopes[name] = np.ravel((1 if name == "length" else 2) * bars[name] * point / slope)
        return value, slopes

    return step, gradient


#: by what they are called: the module, what makes a function, or one to time and one whose gradient is by the
#: logarithms, and the ops beside which they are timed
LIBRARIES = {
    "gpflash": ("gpflash", of_gpflash, "torch"),
    "scikit-learn": ("sklearn", of_scikit_learn, "torch"),
    "JAX": ("jax", of_jax, "torch"),
    "GPyTorch": ("gpytorch", of_gpytorch, "torch"),
    "GPflow": ("gpflow", of_gpflow, "tf"),
}


def difference(found, expected):
    """By how much gradients differ, beside the largest entry."""
    flat = [
        np.concatenate([np.atleast_1d(gradient[name]) for name in sorted(gradient)])
        for _, gradient in (found, expected)
    ]
    return float(np.abs(flat[0] - flat[1]).max() / np.abs(flat[1]).max())


def row(library, n, D, seconds):
    _, make, ops = LIBRARIES[library]
    made, things = make(n, D), {}
    things[library], gradient = made if isinstance(made, tuple) else (made, made)
    for name in ("numpy", ops):
        things[name], cholesky = value_and_gradient(name, n, D, "float64")
    things["Cholesky"] = cholesky
    expected = things["numpy"]()
    off = max(difference(found(), expected) for found in (gradient, things[ops]))
    if not off < TOLERANCE:
        raise SystemExit(f"{library}, n = {n}, {D} inputs: the gradients differ by {off:.1e}")
    comparison = compare(things, seconds=seconds, least=7, clock=time.process_time)
    ratios = [f"{comparison.ratio(library, name)}" for name in ("numpy", ops)]
    multiples = [f"{comparison.ratio(name, 'Cholesky').median:.2f}" for name in (library, "numpy", ops)]
    return f"| {library} | {n} | {D} | {' | '.join(ratios)} | {ops}_ops | {' | '.join(multiples)} | {off:.0e} |"


def main():
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # one thread of JAX's
    parser = argparse.ArgumentParser(prog="python -m tools.gp_libraries", description=__doc__.partition("\n")[0])
    parser.add_argument("--library", choices=LIBRARIES, nargs="+", default=list(LIBRARIES))
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 2000])
    parser.add_argument("--inputs", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--seconds", type=float, default=10.0, help="of CPU time for each row (10)")
    arguments = parser.parse_args()
    installed = [name for name in arguments.library if importlib.util.find_spec(LIBRARIES[name][0])]
    for name in sorted(set(arguments.library) - set(installed)):
        print(f"{name} is not installed.")
    print("A library's time over ours (median, and an interval for it), and each in bare Cholesky decompositions\n")
    print(
        "| library | n | inputs | over overbar | over the ops | of | itself | overbar | the ops | gradients differ by |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in installed:
        for n in arguments.sizes:
            for D in arguments.inputs:
                print(row(name, n, D, arguments.seconds), flush=True)
    where = environment()
    versions = ", ".join(f"{name} {package_version(name.lower())}" for name in installed)
    print(f"\n{versions}, {where['versions']}, {where['processor']}, load {where['load']}")


if __name__ == "__main__":
    main()
