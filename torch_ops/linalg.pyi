# This file is written by make docs.
from torch.linalg import cholesky_ex as cholesky_ex
from torch.linalg import cross as cross
from torch.linalg import inv_ex as inv_ex
from torch.linalg import ldl_factor_ex as ldl_factor_ex
from torch.linalg import lu_factor_ex as lu_factor_ex
from torch.linalg import matmul as matmul
from torch.linalg import matrix_rank as matrix_rank
from torch.linalg import multi_dot as multi_dot
from torch.linalg import norm as norm
from torch.linalg import solve_ex as solve_ex
from torch.linalg import tensorinv as tensorinv
from torch.linalg import tensorsolve as tensorsolve
from torch.linalg import vander as vander
from torch.linalg import vecdot as vecdot
from torch.linalg import vector_norm as vector_norm

from torch_ops._ops import cholesky as cholesky
from torch_ops._ops import cond as cond
from torch_ops._ops import det as det
from torch_ops._ops import diagonal as diagonal
from torch_ops._ops import eig as eig
from torch_ops._ops import eigh as eigh
from torch_ops._ops import eigvals as eigvals
from torch_ops._ops import eigvalsh as eigvalsh
from torch_ops._ops import householder_product as householder_product
from torch_ops._ops import inv as inv
from torch_ops._ops import ldl_factor as ldl_factor
from torch_ops._ops import ldl_solve as ldl_solve
from torch_ops._ops import lstsq as lstsq
from torch_ops._ops import lu as lu
from torch_ops._ops import lu_factor as lu_factor
from torch_ops._ops import lu_solve as lu_solve
from torch_ops._ops import matrix_exp as matrix_exp
from torch_ops._ops import matrix_norm as matrix_norm
from torch_ops._ops import matrix_power as matrix_power
from torch_ops._ops import pinv as pinv
from torch_ops._ops import qr as qr
from torch_ops._ops import slogdet as slogdet
from torch_ops._ops import solve as solve
from torch_ops._ops import solve_triangular as solve_triangular
from torch_ops._ops import svd as svd
from torch_ops._ops import svdvals as svdvals

class LinAlgError(RuntimeError): ...
