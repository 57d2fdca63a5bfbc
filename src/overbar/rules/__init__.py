"""The collection: one file for each family, one entry for each primitive.

An entry is, in this order: the function with its derivation, its reverse rule, its forward rule, how to draw valid
inputs, and an independent definition in exact arithmetic. `REGISTRY` holds them all by name; what is imported here is
what `overbar`, `torch_ops` and `tf_ops` offer. `FUNCTIONS` are further ones of NumPy and SciPy, which `overbar` offers.
"""

from overbar._primitive import Primitive
from overbar.rules._added_diagonal import add_diagonal
from overbar.rules._adjugate import adjugate
from overbar.rules._arithmetic import add, multiply, power, subtract, sum
from overbar.rules._banded import solve_banded
from overbar.rules._banded_cholesky import cho_solve_banded, cholesky_banded
from overbar.rules._cholesky import cholesky
from overbar.rules._cholesky_update import cholesky_downdate, cholesky_update
from overbar.rules._determinant import det
from overbar.rules._distances import squared_distance, squared_distance_cross
from overbar.rules._dot_products import (
    linear_covariance,
    linear_covariance_cross,
    polynomial_covariance,
    polynomial_covariance_cross,
)
from overbar.rules._eig import eig, eigvals
from overbar.rules._eigen import eigh
from overbar.rules._eigen_generalized import eigh_generalized
from overbar.rules._eigen_tridiagonal import eigh_tridiagonal
from overbar.rules._eigvalsh import eigvalsh
from overbar.rules._elementwise import cos, exp, log, reciprocal, sin, sqrt, tanh
from overbar.rules._equations import solve_continuous_lyapunov, solve_discrete_lyapunov, solve_sylvester
from overbar.rules._functions import *
from overbar.rules._functions import FUNCTIONS
from overbar.rules._gaussian import gaussian_logpdf, gaussian_logpdf_cholesky
from overbar.rules._gaussian_kl import gaussian_kl
from overbar.rules._gaussian_low_rank import gaussian_logpdf_low_rank
from overbar.rules._general import funm
from overbar.rules._hessenberg import hessenberg
from overbar.rules._householder import householder_product
from overbar.rules._inverse import cholesky_inverse, inv, inv_quad, inv_quad_logdet, solve
from overbar.rules._ldl import ldl
from overbar.rules._ldl_compact import ldl_factor, ldl_solve
from overbar.rules._least_squares import lstsq, pinv
from overbar.rules._log_determinant import logdet, slogdet
from overbar.rules._lu import lu, lu_factor
from overbar.rules._lu_solve import lu_solve
from overbar.rules._masking import mask, phi, tril, triu
from overbar.rules._matern import matern, matern_cross
from overbar.rules._matrix_functions import cosm, expm, expm_frechet, matrix_power, polynomial, sinm
from overbar.rules._matrix_roots import fractional_matrix_power, logm, sqrtm
from overbar.rules._networks import affine, softmax_cross_entropy, squared_error
from overbar.rules._norms import cond, matrix_norm
from overbar.rules._periodic import periodic, periodic_cross
from overbar.rules._polar import polar
from overbar.rules._products import kron, matmul, trace, transpose_matmul
from overbar.rules._qr import qr
from overbar.rules._quadratic import bilinear_form, congruence, inv_congruence, quadratic
from overbar.rules._rational_quadratic import rational_quadratic, rational_quadratic_cross
from overbar.rules._rearranging import concatenate, diag_embed, diagonal, embed, matrix_transpose, reshape, subset, vec
from overbar.rules._riccati import solve_continuous_are, solve_discrete_are
from overbar.rules._safe_cholesky import safe_cholesky
from overbar.rules._schur import schur
from overbar.rules._spectral_function import spectral_function
from overbar.rules._stationary import rbf, rbf_cross
from overbar.rules._svd import svd, svdvals
from overbar.rules._symmetric import expmh, invsqrtmh, logmh, powmh, signmh, softplusmh, sqrtmh
from overbar.rules._toeplitz import solve_toeplitz
from overbar.rules._triangles import fill_triangular, triangular_entries
from overbar.rules._triangular import cho_logdet, cho_solve, solve_triangular
from overbar.rules._tridiagonal import tridiagonal_solve
from overbar.rules._whitened import whitened_gram

REGISTRY = {name: p for name, p in sorted(globals().items()) if isinstance(p, Primitive) and name not in FUNCTIONS}

__all__ = [*REGISTRY, *FUNCTIONS]
