"""Cholesky decompositions, and Gaussian processes, of matrices that are spread over the ranks of torch.distributed.

May import torch with torch.distributed, and `overbar`. It is imported when it is asked for. The
same program runs on every rank, calls the same functions in the same order, and calls backward of the same number.
"""

from torch_ops.distributed._covariance import covariance, distribute, gather, matrix
from torch_ops.distributed._dtensor import from_dtensor, to_dtensor
from torch_ops.distributed._functions import (
    cho_logdet,
    cholesky,
    cholesky_solve,
    gaussian_logpdf,
    logdet,
    solve_triangular,
)
from torch_ops.distributed._layout import BlockCyclic, DistributedMatrix

__all__ = [
    "BlockCyclic",
    "DistributedMatrix",
    "cho_logdet",
    "cholesky",
    "cholesky_solve",
    "covariance",
    "distribute",
    "from_dtensor",
    "gather",
    "gaussian_logpdf",
    "logdet",
    "matrix",
    "solve_triangular",
    "to_dtensor",
]
