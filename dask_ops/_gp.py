"""Gaussian processes of Dask's arrays: how `overbar.gp_fit` gets value and gradient. May import Dask and `overbar`."""

import dask
import numpy as np

from dask_ops._front import DASK
from overbar._gradients import value_and_grad
from overbar.gp._fit import FITTING, Fitting

__all__ = []


def _gradient(loss, like):
    gradient = value_and_grad(loss)

    def step(values):
        # parameters are NumPy's: what is computed of them alone is no graph, and their bars come back in the same one
        value, bars = dask.compute(*gradient([x.astype(like.dtype) for x in values]))
        return float(value), [np.asarray(bar) for bar in bars]

    return step


FITTING[DASK] = Fitting(np.asarray, _gradient, np.linalg.LinAlgError)
