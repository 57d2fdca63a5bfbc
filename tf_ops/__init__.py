"""The primitives of overbar as TensorFlow ops whose derivatives are the shared rules.

May import tensorflow and `overbar`. Importing it also makes overbar's own primitives take tensors:
`overbar.cholesky(tensor)` is `tf_ops.cholesky(tensor)`. `tf_ops.linalg` stands where tf.linalg stood.
"""

try:
    import tensorflow
except ImportError as error:
    raise ImportError('tf_ops needs TensorFlow. Install it with: pip install "overbar[tf]"') from error

from tf_ops import _ops, linalg
from tf_ops._gp import gp_fit, gp_log_marginal_likelihood, gp_predict
from tf_ops._ops import *
from tf_ops._rerouting import install, reroute, uninstall
from tf_ops._wrapping import wrap

__all__ = [
    "gp_fit",
    "gp_log_marginal_likelihood",
    "gp_predict",
    "install",
    "linalg",
    "reroute",
    "uninstall",
    "wrap",
    *sorted(name for name, value in vars(_ops).items() if hasattr(value, "primitive")),
]


def __dir__():
    return sorted(__all__)
