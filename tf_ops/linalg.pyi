# This file is written by make docs.
from typing import Any

from tf_ops.ops import cholesky as cholesky
from tf_ops.ops import cholesky_solve as cholesky_solve
from tf_ops.ops import det as det
from tf_ops.ops import diag as diag
from tf_ops.ops import diag_part as diag_part
from tf_ops.ops import eig as eig
from tf_ops.ops import eigh as eigh
from tf_ops.ops import eigh_tridiagonal as eigh_tridiagonal
from tf_ops.ops import eigvals as eigvals
from tf_ops.ops import eigvalsh as eigvalsh
from tf_ops.ops import expm as expm
from tf_ops.ops import inv as inv
from tf_ops.ops import logdet as logdet
from tf_ops.ops import logm as logm
from tf_ops.ops import lstsq as lstsq
from tf_ops.ops import lu as lu
from tf_ops.ops import lu_solve as lu_solve
from tf_ops.ops import matmul as matmul
from tf_ops.ops import matrix_transpose as matrix_transpose
from tf_ops.ops import norm as norm
from tf_ops.ops import pinv as pinv
from tf_ops.ops import qr as qr
from tf_ops.ops import slogdet as slogdet
from tf_ops.ops import solve as solve
from tf_ops.ops import sqrtm as sqrtm
from tf_ops.ops import svd as svd
from tf_ops.ops import trace as trace
from tf_ops.ops import triangular_solve as triangular_solve
from tf_ops.ops import tridiagonal_solve as tridiagonal_solve

def __getattr__(name: str) -> Any: ...
