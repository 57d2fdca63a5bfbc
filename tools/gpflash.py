"""gpflash, a C++ library of Gaussian processes, beside ours: value and gradient of the same log marginal likelihood.

    python -m tools.gpflash
    python -m tools.gpflash --sizes 1000 --inputs 1

For an RBF kernel with a length scale for each input and noise, as `overbar bench --gp` has it. The gradients have to be
equal to 1e-8; then the two are timed by turns, in CPU seconds. May import NumPy, `overbar` and, inside functions,
gpflash and the frameworks.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from overbar.bench.gp import data, value_and_gradient
from overbar.bench.harness import compare, environment, package_version

TOLERANCE = 1e-8
FRONTS = ("numpy", "torch")


def theirs(n, D):
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


def difference(found, expected):
    """By how much gradients differ, beside the largest entry."""
    flat = [
        np.concatenate([np.atleast_1d(gradient[name]) for name in sorted(gradient)])
        for _, gradient in (found, expected)
    ]
    return float(np.abs(flat[0] - flat[1]).max() / np.abs(flat[1]).max())


def row(n, D, seconds):
    things = {"gpflash": theirs(n, D)}
    for name in FRONTS:
        things[name], cholesky = value_and_gradient(name, n, D, "float64")
    things["Cholesky"] = cholesky
    expected = things["numpy"]()
    off = max(difference(things[name](), expected) for name in ("gpflash", "torch"))
    if not off < TOLERANCE:
        raise SystemExit(f"n = {n}, {D} inputs: the gradients differ by {off:.1e}")
    comparison = compare(things, seconds=seconds, least=7, clock=time.process_time)
    ratios = [f"{comparison.ratio('gpflash', name)}" for name in FRONTS]
    multiples = [f"{comparison.ratio(name, 'Cholesky').median:.2f}" for name in ("gpflash", *FRONTS)]
    return f"| {n} | {D} | {' | '.join(ratios)} | {' | '.join(multiples)} | {off:.0e} |"


def main():
    parser = argparse.ArgumentParser(prog="python -m tools.gpflash", description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 2000])
    parser.add_argument("--inputs", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--seconds", type=float, default=10.0, help="of CPU time for each row (10)")
    arguments = parser.parse_args()
    print("gpflash's time over ours (median, and an interval for it), and each in bare Cholesky decompositions\n")
    print("| n | inputs | over overbar | over torch_ops | gpflash | overbar | torch_ops | gradients differ by |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for n in arguments.sizes:
        for D in arguments.inputs:
            print(row(n, D, arguments.seconds), flush=True)
    where = environment()
    print(f"\ngpflash {package_version('gpflash')}, {where['versions']}, {where['processor']}, load {where['load']}")


if __name__ == "__main__":
    main()
