# This file is written by docs/generate.py.
from typing import Any

from tf_ops.ops import cholesky as cholesky
from tf_ops.ops import cholesky_solve as cholesky_solve
from tf_ops.ops import diag as diag
from tf_ops.ops import diag_part as diag_part
from tf_ops.ops import matmul as matmul
from tf_ops.ops import matrix_transpose as matrix_transpose
from tf_ops.ops import trace as trace
from tf_ops.ops import triangular_solve as triangular_solve

def __getattr__(name: str) -> Any: ...
