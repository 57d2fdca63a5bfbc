"""The collection: one file for each family, one entry for each primitive.

An entry is, in this order: the function with its derivation, its reverse rule, its forward rule, how to draw valid
inputs, and an independent definition in exact arithmetic. `REGISTRY` holds them all by name; what is imported here is
what `overbar`, `torch_ops` and `tf_ops` offer.
"""

from overbar.primitive import Primitive
from overbar.rules.adjugate import adjugate
from overbar.rules.arithmetic import add, multiply, power, subtract, sum
from overbar.rules.banded import solve_banded
from overbar.rules.banded_cholesky import cho_solve_banded, cholesky_banded
from overbar.rules.cholesky import cholesky
from overbar.rules.cholesky_update import cholesky_downdate, cholesky_update
from overbar.rules.determinant import det
from overbar.rules.eig import eig, eigvals
from overbar.rules.eigen import eigh, eigvalsh
from overbar.rules.eigen_generalized import eigh_generalized
from overbar.rules.eigen_tridiagonal import eigh_tridiagonal
from overbar.rules.elementwise import cos, exp, log, reciprocal, sin, sqrt, tanh
from overbar.rules.equations import solve_continuous_lyapunov, solve_discrete_lyapunov, solve_sylvester
from overbar.rules.general import funm
from overbar.rules.hessenberg import hessenberg
from overbar.rules.householder import householder_product
from overbar.rules.inverse import cholesky_inverse, inv, inv_quad, inv_quad_logdet, solve
from overbar.rules.ldl import ldl
from overbar.rules.ldl_compact import ldl_factor, ldl_solve
from overbar.rules.least_squares import lstsq, pinv
from overbar.rules.log_determinant import logdet, slogdet
from overbar.rules.lu import lu, lu_factor, lu_solve
from overbar.rules.masking import mask, phi, tril, triu
from overbar.rules.matrix_functions import cosm, expm, expm_frechet, matrix_power, polynomial, sinm
from overbar.rules.matrix_roots import fractional_matrix_power, logm, sqrtm
from overbar.rules.norms import cond, matrix_norm
from overbar.rules.polar import polar
from overbar.rules.products import kron, matmul, trace, transpose_matmul
from overbar.rules.qr import qr
from overbar.rules.quadratic import bilinear_form, congruence, inv_congruence, quadratic
from overbar.rules.rearranging import concatenate, diag_embed, diagonal, embed, matrix_transpose, reshape, subset, vec
from overbar.rules.riccati import solve_continuous_are, solve_discrete_are
from overbar.rules.schur import schur
from overbar.rules.spectral import spectral_function
from overbar.rules.svd import svd, svdvals
from overbar.rules.symmetric import expmh, invsqrtmh, logmh, powmh, signmh, softplusmh, sqrtmh
from overbar.rules.toeplitz import solve_toeplitz
from overbar.rules.triangular import cho_logdet, cho_solve, solve_triangular
from overbar.rules.tridiagonal import tridiagonal_solve

REGISTRY = {name: p for name, p in sorted(globals().items()) if isinstance(p, Primitive)}

__all__ = [*REGISTRY]
