# This file is written by make docs.
from typing import Any

from tf_ops._ops import cholesky as cholesky
from tf_ops._ops import cholesky_solve as cholesky_solve
from tf_ops._ops import det as det
from tf_ops._ops import diag as diag
from tf_ops._ops import diag_part as diag_part
from tf_ops._ops import eig as eig
from tf_ops._ops import eigh as eigh
from tf_ops._ops import eigh_tridiagonal as eigh_tridiagonal
from tf_ops._ops import eigvals as eigvals
from tf_ops._ops import eigvalsh as eigvalsh
from tf_ops._ops import expm as expm
from tf_ops._ops import inv as inv
from tf_ops._ops import logdet as logdet
from tf_ops._ops import logm as logm
from tf_ops._ops import lstsq as lstsq
from tf_ops._ops import lu as lu
from tf_ops._ops import lu_solve as lu_solve
from tf_ops._ops import matmul as matmul
from tf_ops._ops import matrix_transpose as matrix_transpose
from tf_ops._ops import norm as norm
from tf_ops._ops import pinv as pinv
from tf_ops._ops import qr as qr
from tf_ops._ops import slogdet as slogdet
from tf_ops._ops import solve as solve
from tf_ops._ops import sqrtm as sqrtm
from tf_ops._ops import svd as svd
from tf_ops._ops import trace as trace
from tf_ops._ops import triangular_solve as triangular_solve
from tf_ops._ops import tridiagonal_solve as tridiagonal_solve

def __getattr__(name: str) -> Any: ...
