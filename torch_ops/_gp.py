"""Gaussian processes of tensors: `overbar.gp`, for data in PyTorch. May import torch and `overbar`."""

import torch

from overbar.gp import gp_fit, gp_log_marginal_likelihood, gp_predict
from overbar.gp._fit import FITTING, Fitting
from overbar.gp._fronts import of_library
from torch_ops._front import TORCH

__all__ = ["gp_fit", "gp_log_marginal_likelihood", "gp_predict"]


def _gradient(loss, like):
    def step(values):
        with torch.enable_grad():
            tensors = [torch.tensor(x, dtype=like.dtype, device=like.device, requires_grad=True) for x in values]
            value = loss(tensors)
            bars = torch.autograd.grad(value, tensors, materialize_grads=True)
        return value.item(), [_numpy(bar) for bar in bars]

    return step


def _numpy(x):
    return x.detach().cpu().numpy()


def _hidden(*arrays):
    plain = TORCH.sees_numbers(*[A for A in arrays if isinstance(A, torch.Tensor)])
    return "" if plain else "torch.compile or a transform of torch.func"


FITTING[TORCH] = Fitting(_numpy, _gradient, torch.linalg.LinAlgError, _hidden)

gp_fit = of_library(gp_fit, TORCH)
gp_log_marginal_likelihood = of_library(gp_log_marginal_likelihood, TORCH)
gp_predict = of_library(gp_predict, TORCH)
