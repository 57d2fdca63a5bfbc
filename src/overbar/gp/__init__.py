"""Gaussian processes: the likelihood layer that models can be built on, in NumPy, PyTorch and TensorFlow.

Covariance functions, which can be added and multiplied (`RBF(...) + Matern(...) * RBF(...)`), the log marginal
likelihood of data, predictions, and a fit. All of it is made of primitives, so that it is differentiable in whatever
library the arrays belong to, to any order.
"""

from overbar.gp._fit import GPFit, gp_fit
from overbar.gp._kernels import (
    RBF,
    Constant,
    Kernel,
    Linear,
    Matern,
    Periodic,
    Polynomial,
    Product,
    RationalQuadratic,
    Sum,
    option,
)
from overbar.gp._likelihood import GPPrediction, gp_log_marginal_likelihood, gp_predict

__all__ = [
    "RBF", "Constant", "GPFit", "GPPrediction", "Kernel", "Linear", "Matern", "Periodic", "Polynomial", "Product",
    "RationalQuadratic", "Sum", "gp_fit", "gp_log_marginal_likelihood", "gp_predict", "option",
]  # fmt: skip
