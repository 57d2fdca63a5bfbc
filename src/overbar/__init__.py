"""overbar: derivatives of matrix functions, written once and used from NumPy, PyTorch and TensorFlow.

The primitives, by name (`help(overbar.cholesky)` has shapes, errors, derivation and an example); `vjp`, `jvp`,
`jacobian`, `grad`, `value_and_grad`, `hessian` and `hvp` to differentiate with them in NumPy; `checkpoint`,
`checkpoint_chain` and `reversible` to do so in little memory; `flatten` to give parameters to an optimiser; `graph` and
`name` to look at a computation; `primitive` and `elementwise` to write one's own; `gp_log_marginal_likelihood`,
`gp_predict` and `gp_fit` for Gaussian processes, with the covariance functions of `overbar.gp`. The packages
`torch_ops` and `tf_ops` make all primitives ops of PyTorch and TensorFlow.
"""

from importlib.metadata import PackageNotFoundError, version

from overbar import rules
from overbar._checkpoint import CheckpointPlan, checkpoint, checkpoint_chain, checkpoint_plan, reversible
from overbar._gradients import flatten, grad, hessian, hvp, value_and_grad
from overbar._graph import Graph, graph, name
from overbar._namespace import front, mH, mT, namespace
from overbar._primitive import Primitive, elementwise, once, primitive
from overbar._sweep import jacobian, jvp, vjp
from overbar.gp import GPFit, GPPrediction, gp_fit, gp_log_marginal_likelihood, gp_predict
from overbar.rules import *

try:
    __version__ = version("overbar")
except PackageNotFoundError:  # a source tree on the path, which nobody installed
    __version__ = "unknown"

__all__ = [
    "CheckpointPlan", "GPFit", "GPPrediction", "Graph", "Primitive", "checkpoint", "checkpoint_chain",
    "checkpoint_plan", "elementwise", "flatten", "front", "gp_fit", "gp_log_marginal_likelihood", "gp_predict", "grad",
    "graph", "hessian", "hvp", "jacobian", "jvp", "mH", "mT", "name", "namespace", "once", "primitive", "reversible",
    "value_and_grad", "vjp",
    *rules.__all__,
]  # fmt: skip


def __dir__():
    return sorted([*__all__, "gp"])
