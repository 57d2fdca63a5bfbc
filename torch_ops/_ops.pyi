# This file is written by make docs.
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Number: TypeAlias = int | float | complex

def add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """The sum C = A + B, entry by entry."""

def add_diagonal(K: Tensor, noise: Tensor) -> Tensor:
    """A square matrix with noise added to its diagonal, C = K + diag(σ²), without an identity matrix."""

def adjugate(A: Tensor) -> Tensor:
    """The adjugate C = adj(A), the transposed matrix of the cofactors: A adj(A) = adj(A) A = det(A) I."""

def affine(X: Tensor, W: Tensor, b: Tensor | None = None) -> Tensor:
    """The affine layer of a network, A = X Wᵀ + 1bᵀ, of p examples that are rows of X; of one example, a = W x +
    b."""

def bilinear_form(x: Tensor, A: Tensor, y: Tensor) -> Tensor:
    """The bilinear form c = xᵀ A y."""

def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Arrays joined along a dimension."""

def cho_logdet(L: Tensor) -> Tensor:
    """The logarithm of the determinant of A = L Lᴴ from its Cholesky factor, lower or upper."""

def cho_solve(L: Tensor, B: Tensor, *, upper: bool = False) -> Tensor:
    """The solution X of A X = B from the Cholesky factor of A."""

def cho_solve_banded(cb: Tensor, b: Tensor, *, lower: bool = False) -> Tensor:
    """The solution X of A X = B from the banded Cholesky factor of A."""

def cholesky(A: Tensor, *, upper: bool = False, on_error: str = "raise") -> Tensor:
    """The Cholesky factor of a symmetric (Hermitian) positive definite matrix: A = L Lᴴ."""

def cholesky_banded(ab: Tensor, *, lower: bool = False) -> Tensor:
    """The Cholesky factor of a banded positive definite matrix, A = Uᴴ U or A = L Lᴴ, of which the band is
    stored."""

def cholesky_downdate(L: Tensor, V: Tensor) -> Tensor:
    """The Cholesky factor of A − V Vᴴ from that of A = L Lᴴ."""

def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse C = (L Lᴴ)⁻¹ of a positive definite matrix from its Cholesky factor."""

def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The solution X of A X = B from the Cholesky factor of A."""

def cholesky_update(L: Tensor, V: Tensor) -> Tensor:
    """The Cholesky factor of A + V Vᴴ from that of A = L Lᴴ."""

def concatenate(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Arrays joined along a dimension."""

def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number of a matrix with respect to solving, ‖A‖ ‖A⁻¹‖."""

def congruence(A: Tensor, B: Tensor) -> Tensor:
    """The matrix quadratic form C = Bᵀ A B."""

def cos(input: Tensor) -> Tensor:
    """The function C = cos A, the cosine of each entry."""

def cosm(A: Tensor) -> Tensor:
    """The matrix cosine, C = cos(A) = I − A²/2 + A⁴/24 − … (to infinity)."""

def det(A: Tensor) -> Tensor:
    """The determinant c = det A."""

def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The square matrix with d on a diagonal, C[i, i + offset] = dᵢ, and zero elsewhere: the adjoint of
    `diagonal`."""

def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A diagonal of A as a vector, Cᵢ = A[i, i + offset] (for a negative offset A[i − offset, i])."""

def eig(A: Tensor) -> tuple[Tensor, Tensor]:
    """The eigenvalues and eigenvectors of a square matrix: A V = V diag(w)."""

def eigh(A: Tensor, UPLO: str = "L") -> tuple[Tensor, Tensor]:
    """The eigenvalues and eigenvectors of a symmetric (Hermitian) matrix: A V = V diag(w), Vᴴ V = I."""

def eigh_generalized(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """The generalised eigenvalues and vectors of Hermitian A and positive definite B: A V = B V diag(w), Vᴴ B V =
    I."""

def eigh_tridiagonal(d: Tensor, e: Tensor, eigvals_only: bool = False) -> tuple[Tensor, Tensor]:
    """The eigenvalues and eigenvectors of a symmetric (Hermitian) tridiagonal matrix."""

def eigvals(A: Tensor) -> Tensor:
    """The eigenvalues of a square matrix."""

def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of a symmetric (Hermitian) matrix, in ascending order."""

def embed(B: Tensor, *, index: Any, shape: int | Sequence[int]) -> Tensor:
    """The array C of zeros of a given shape, but for B at an index: ``C[index] += B``."""

def exp(input: Tensor) -> Tensor:
    """The function C = exp A, the exponential function of each entry."""

def expm(A: Tensor) -> Tensor:
    """The matrix exponential, C = exp(A) = I + A + A²/2 + A³/6 + … (to infinity)."""

def expm_frechet(A: Tensor, E: Tensor) -> Tensor:
    """The Fréchet derivative of the matrix exponential at A along E: the L of exp(A + tE) = exp(A) + tL + O(t²)."""

def expmh(A: Tensor) -> Tensor:
    """The exponential C = exp A of a symmetric (Hermitian) matrix."""

def fill_triangular(v: Tensor, *, upper: bool = False, positive: str | None = None) -> Tensor:
    """The triangular matrix with the entries v, row by row, and zero elsewhere; with a positive diagonal, if you
    like."""

def fractional_matrix_power(A: Tensor, t: Tensor | Number) -> Tensor:
    """The principal power C = Aᵗ = exp(t log A) of a square matrix, for a real number t."""

def funm(A: Tensor, *, f: Any, df: Any = None) -> Tensor:
    """A function C = f(A) of a general square matrix, diagonalisable or not, from a function f of numbers."""

def gaussian_kl(mean: Tensor, L: Tensor, other_mean: Tensor, other_L: Tensor) -> Tensor:
    """The Kullback–Leibler divergence of one Gaussian distribution from another, c = KL(N(μ, L Lᴴ) ‖ N(m, M
    Mᴴ))."""

def gaussian_logpdf(y: Tensor, mean: Tensor, K: Tensor) -> Tensor:
    """The logarithm of a Gaussian density, c = log N(y | μ, K)."""

def gaussian_logpdf_cholesky(y: Tensor, mean: Tensor, L: Tensor) -> Tensor:
    """The logarithm of a Gaussian density from the Cholesky factor of its covariance matrix, c = log N(y | μ, L
    Lᴴ)."""

def gaussian_logpdf_low_rank(y: Tensor, mean: Tensor, U: Tensor, d: Tensor) -> Tensor:
    """The logarithm of a Gaussian density of low rank beside a diagonal, c = log N(y | μ, diag(d) + U Uᴴ)."""

def hessenberg(A: Tensor) -> tuple[Tensor, Tensor]:
    """The Hessenberg form A = Q H Qᴴ: Q unitary, H zero below its first subdiagonal."""

def householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first n columns of Q = H₁ H₂ ⋯ H_k, a product of Householder reflections Hᵢ = I − τᵢ vᵢ vᵢᴴ."""

def inv(A: Tensor, *, on_error: str = "raise") -> Tensor:
    """The inverse C = A⁻¹ of a square matrix."""

def inv_congruence(A: Tensor, B: Tensor) -> Tensor:
    """The matrix quadratic form with the inverse, C = Bᵀ A⁻¹ B, without forming A⁻¹."""

def inv_quad(A: Tensor, B: Tensor) -> Tensor:
    """The quadratic form with an inverse, c = tr(Bᴴ A⁻¹ B), of a positive definite matrix; bᴴ A⁻¹ b for a
    vector."""

def inv_quad_logdet(A: Tensor, B: Tensor) -> tuple[Tensor, Tensor]:
    """The two terms of a Gaussian log-likelihood, tr(Bᴴ A⁻¹ B) and log det A, from one Cholesky decomposition."""

def invsqrtmh(A: Tensor) -> Tensor:
    """The inverse square root C = A^(−1/2) of a positive definite (Hermitian) matrix: C A C = I."""

def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product C = A ⊗ B: the block matrix of all Aᵢⱼ B."""

def ldl(A: Tensor, *, lower: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """The factorisation A = L D Lᴴ of a symmetric (Hermitian) matrix, with rows in the order of the pivots."""

def ldl_factor(A: Tensor, *, hermitian: bool = False) -> tuple[Tensor, Tensor]:
    """The factorisation A = L D L′ of a symmetric or Hermitian matrix in one array, as LAPACK's sytrf and hetrf."""

def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """The solution X of A X = B for a symmetric or Hermitian matrix A whose factors `ldl_factor` has computed."""

def linear_covariance(X: Tensor, variance: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
    """The linear covariance kᵢⱼ = Σ_d v_d xᵢ_d xⱼ_d of inputs: of a linear function with random coefficients."""

def linear_covariance_cross(X: Tensor, X2: Tensor, variance: Tensor | None = None) -> Tensor:
    """The linear covariance kᵢⱼ = Σ_d v_d xᵢ_d x′ⱼ_d of inputs with others."""

def log(input: Tensor) -> Tensor:
    """The function C = log A, the natural logarithm of each entry."""

def logdet(A: Tensor) -> Tensor:
    """The logarithm of a determinant, c = log det A."""

def logm(A: Tensor) -> Tensor:
    """The principal logarithm of a square matrix: C with exp(C) = A and eigenvalues with imaginary parts in (−π,
    π]."""

def logmh(A: Tensor) -> Tensor:
    """The logarithm C = log A of a positive definite (Hermitian) matrix: the Hermitian matrix with exp C = A."""

def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The solution X of least norm of the least squares problem min ‖A X − B‖, of any rank."""

def lu(A: Tensor, *, pivot: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """The LU decomposition with partial pivoting, A = P L U."""

def lu_factor(A: Tensor, *, pivot: bool = True) -> tuple[Tensor, Tensor]:
    """The LU decomposition with partial pivoting in one array, A = P L U."""

def lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor:
    """The solution X of op(A) X = B or X op(A) = B, for a matrix A whose factors `lu_factor` has computed."""

def mask(A: Tensor, *, mask: Any) -> Tensor:
    """The entries of A where a mask is true, zero elsewhere (whatever A holds there, NaN too)."""

def matern(
    X: Tensor,
    lengthscale: Tensor,
    variance: Tensor | Number | None = None,
    noise: Tensor | None = None,
    *,
    nu: float = 2.5,
) -> Tensor:
    """The Matérn covariance kᵢⱼ = v f(sᵢⱼ) of inputs, for ν = 1/2, 3/2 or 5/2, with their `squared_distance`
    sᵢⱼ."""

def matern_cross(
    X: Tensor, X2: Tensor, lengthscale: Tensor, variance: Tensor | Number | None = None, *, nu: float = 2.5
) -> Tensor:
    """The Matérn covariance kᵢⱼ = v f(sᵢⱼ) of inputs with others, for ν = 1/2, 3/2 or 5/2."""

def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product C = A B."""

def matrix_exp(A: Tensor) -> Tensor:
    """The matrix exponential, C = exp(A) = I + A + A²/2 + A³/6 + … (to infinity)."""

def matrix_norm(
    A: Tensor, ord: Any = "fro", dim: tuple[int, int] = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """The norm ‖A‖ of a matrix: Frobenius, nuclear, spectral, or the largest sum of a column or row."""

def matrix_power(A: Tensor, n: int) -> Tensor:
    """The power C = Aⁿ of a square matrix, for a whole number n; of the inverse where n is negative."""

def matrix_transpose(A: Tensor) -> Tensor:
    """The transpose C = Aᵀ of the last two dimensions. (Not conjugated.)"""

def mul(input: Tensor, other: Tensor | Number) -> Tensor:
    """The product C = A ∘ B, entry by entry (Hadamard's)."""

def multiply(input: Tensor, other: Tensor | Number) -> Tensor:
    """The product C = A ∘ B, entry by entry (Hadamard's)."""

def periodic(
    X: Tensor, lengthscale: Tensor, period: Tensor, variance: Tensor | Number | None = None, noise: Tensor | None = None
) -> Tensor:
    """The periodic covariance kᵢⱼ = v exp(−2 Σ_d sin²(π (xᵢ_d − xⱼ_d)/p_d) / ℓ_d²) of inputs."""

def periodic_cross(
    X: Tensor, X2: Tensor, lengthscale: Tensor, period: Tensor, variance: Tensor | Number | None = None
) -> Tensor:
    """The periodic covariance kᵢⱼ = v exp(−2 Σ_d sin²(π (xᵢ_d − x′ⱼ_d)/p_d) / ℓ_d²) of inputs with others."""

def phi(A: Tensor) -> Tensor:
    """Φ(A), the lower triangle of A with halved diagonal, which appears in every rule of the Cholesky
    decomposition."""

def pinv(
    A: Tensor,
    rcond: float | Tensor | None = None,
    hermitian: bool = False,
    *,
    atol: float | Tensor | None = None,
    rtol: float | Tensor | None = None,
) -> Tensor:
    """The Moore–Penrose pseudoinverse A⁺ of any matrix."""

def polar(A: Tensor, *, side: str = "right") -> tuple[Tensor, Tensor]:
    """The polar decomposition A = U P, or A = P U, with orthonormal columns or rows in U and Hermitian P ≥ 0."""

def polynomial(A: Tensor, c: Tensor) -> Tensor:
    """The matrix polynomial, C = c₀ I + c₁ A + c₂ A² + … + c_(k−1) A^(k−1)."""

def polynomial_covariance(
    X: Tensor,
    variance: Tensor | None = None,
    offset: Tensor | Number | None = None,
    noise: Tensor | None = None,
    *,
    degree: int = 3,
) -> Tensor:
    """The polynomial covariance kᵢⱼ = (Σ_d v_d xᵢ_d xⱼ_d + c)^p of inputs."""

def polynomial_covariance_cross(
    X: Tensor, X2: Tensor, variance: Tensor | None = None, offset: Tensor | Number | None = None, *, degree: int = 3
) -> Tensor:
    """The polynomial covariance kᵢⱼ = (Σ_d v_d xᵢ_d x′ⱼ_d + c)^p of inputs with others."""

def pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable."""

def power(A: Tensor | Number, p: Tensor | Number) -> Tensor:
    """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable."""

def powmh(A: Tensor, p: Tensor | Number) -> Tensor:
    """The power C = Aᵖ of a symmetric (Hermitian) matrix."""

def qr(A: Tensor, mode: str = "reduced") -> tuple[Tensor, Tensor]:
    """The QR decomposition A = Q R: Q with orthonormal columns, R upper triangular."""

def quadratic(A: Tensor, x: Tensor) -> Tensor:
    """The quadratic form c = xᵀ A x."""

def rational_quadratic(
    X: Tensor,
    lengthscale: Tensor,
    alpha: Tensor | Number | None = None,
    variance: Tensor | Number | None = None,
    noise: Tensor | None = None,
) -> Tensor:
    """The rational quadratic covariance kᵢⱼ = v (1 + sᵢⱼ/(2α))^−α of inputs, with their `squared_distance` sᵢⱼ."""

def rational_quadratic_cross(
    X: Tensor,
    X2: Tensor,
    lengthscale: Tensor,
    alpha: Tensor | Number | None = None,
    variance: Tensor | Number | None = None,
) -> Tensor:
    """The rational quadratic covariance kᵢⱼ = v (1 + sᵢⱼ/(2α))^−α of inputs with others."""

def rbf(X: Tensor, lengthscale: Tensor, variance: Tensor | Number | None = None, noise: Tensor | None = None) -> Tensor:
    """The squared exponential covariance kᵢⱼ = v exp(−sᵢⱼ/2) of inputs, with their `squared_distance` sᵢⱼ."""

def rbf_cross(X: Tensor, X2: Tensor, lengthscale: Tensor, variance: Tensor | Number | None = None) -> Tensor:
    """The squared exponential covariance kᵢⱼ = v exp(−sᵢⱼ/2) of inputs with others."""

def reciprocal(input: Tensor) -> Tensor:
    """The function C = 1/A, the reciprocal of each entry."""

def reshape(input: Tensor, shape: Sequence[int]) -> Tensor:
    """The entries of A, in row-major order, in another shape."""

def safe_cholesky(
    A: Tensor, *, jitter: Any = None, max_tries: int = 5, upper: bool = False, on_error: str = "raise"
) -> tuple[Tensor, Tensor]:
    """The Cholesky factor of A + c I = L Lᴴ, where the jitter c is the least of 0, j, 10 j, 100 j, ... that
    works."""

def schur(A: Tensor, *, output: str = "real") -> tuple[Tensor, Tensor]:
    """The Schur decomposition A = Z T Zᴴ: Z unitary, T upper triangular."""

def signmh(A: Tensor) -> Tensor:
    """The sign C = sign A of a symmetric (Hermitian) matrix: its eigenvalues are −1 and 1, and C² = I."""

def sin(input: Tensor) -> Tensor:
    """The function C = sin A, the sine of each entry."""

def sinm(A: Tensor) -> Tensor:
    """The matrix sine, C = sin(A) = A − A³/6 + A⁵/120 − … (to infinity)."""

def slogdet(A: Tensor) -> tuple[Tensor, Tensor]:
    """The sign and the logarithm of the modulus of a determinant: det A = s exp(ℓ)."""

def softmax_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The cross-entropy of a softmax with targets, c = −Σᵢ tᵢ log pᵢ for p = softmax(logits), over the last
    dimension."""

def softplusmh(A: Tensor) -> Tensor:
    """The softplus C = log(I + exp A) of a symmetric (Hermitian) matrix: a smooth positive part."""

def solve(A: Tensor, B: Tensor, *, left: bool = True, on_error: str = "raise") -> Tensor:
    """The solution X of a system of equations, op(A) X = B or X op(A) = B."""

def solve_banded(l_and_u: tuple[int, int], ab: Tensor, b: Tensor, *, adjoint: bool = False) -> Tensor:
    """The solution X of A X = B, or Aᴴ X = B, for a banded matrix A."""

def solve_continuous_are(
    A: Tensor, B: Tensor, Q: Tensor, R: Tensor, E: Tensor | None = None, S: Tensor | None = None
) -> Tensor:
    """The stabilising solution X of the continuous Riccati equation Aᴴ X + X A − X B R⁻¹ Bᴴ X + Q = 0."""

def solve_continuous_lyapunov(A: Tensor, Q: Tensor) -> Tensor:
    """The solution X of the continuous Lyapunov equation A X + X Aᴴ = Q."""

def solve_discrete_are(
    A: Tensor, B: Tensor, Q: Tensor, R: Tensor, E: Tensor | None = None, S: Tensor | None = None
) -> Tensor:
    """The stabilising solution X of the discrete Riccati equation."""

def solve_discrete_lyapunov(A: Tensor, Q: Tensor) -> Tensor:
    """The solution X of the discrete Lyapunov equation A X Aᴴ − X + Q = 0."""

def solve_sylvester(A: Tensor, B: Tensor, Q: Tensor) -> Tensor:
    """The solution X of Sylvester's equation A X + X B = Q."""

def solve_toeplitz(c: Tensor, r: Tensor, b: Tensor, *, adjoint: bool = False) -> Tensor:
    """The solution X of T X = B, or Tᴴ X = B, for a Toeplitz matrix T, which has one number on each diagonal."""

def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False, adjoint: bool = False
) -> Tensor:
    """The solution X of a triangular system, op(A) X = B or X op(A) = B."""

def spectral_function(
    A: Tensor,
    args: Tensor | None = None,
    *,
    f: Any,
    df: Any,
    d2f: Any = None,
    d3f: Any = None,
    dargs: Any = None,
    d2args: Any = None,
) -> Tensor:
    """The function C = f(A) of a symmetric (Hermitian) matrix: C = V f(w) Vᴴ, where A = V diag(w) Vᴴ."""

def sqrt(input: Tensor) -> Tensor:
    """The function C = sqrt A, the square root of each entry."""

def sqrtm(A: Tensor) -> Tensor:
    """The principal square root of a square matrix: C with C C = A and eigenvalues in the right half-plane."""

def sqrtmh(A: Tensor) -> Tensor:
    """The square root C = A^(1/2) of a positive definite (Hermitian) matrix, itself positive definite."""

def squared_distance(X: Tensor, lengthscale: Tensor | None = None) -> Tensor:
    """The squared distances sᵢⱼ = Σ_d (xᵢ_d − xⱼ_d)² / ℓ_d² of inputs from each other."""

def squared_distance_cross(X: Tensor, X2: Tensor, lengthscale: Tensor | None = None) -> Tensor:
    """The squared distances sᵢⱼ = Σ_d (xᵢ_d − x′ⱼ_d)² / ℓ_d² of inputs from others."""

def squared_error(Y: Tensor, T: Tensor) -> Tensor:
    """Half the squared distance of outputs from targets, c = ½ Σᵢ |yᵢ − tᵢ|², over the last dimension."""

def sub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """The difference C = A − B, entry by entry."""

def subset(A: Tensor, *, index: Any) -> Tensor:
    """A selection of the entries of A, ``C = A[index]``."""

def subtract(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """The difference C = A − B, entry by entry."""

def sum(
    input: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False, *, dtype: torch.dtype | None = None
) -> Tensor:
    """The sum of the entries of A over some of its dimensions."""

def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """The singular value decomposition A = U diag(S) Vᴴ."""

def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values of a matrix, in descending order."""

def tanh(input: Tensor) -> Tensor:
    """The function C = tanh A, the hyperbolic tangent of each entry."""

def trace(input: Tensor) -> Tensor:
    """The trace c = Σ Aᵢᵢ."""

def transpose_matmul(A: Tensor, B: Tensor) -> Tensor:
    """The product C = Aᵀ B, without forming Aᵀ. (Transposed, not conjugated.)"""

def triangular_entries(A: Tensor, *, upper: bool = False, positive: str | None = None) -> Tensor:
    """The entries of a triangle of A, row by row, as a vector: the inverse of `fill_triangular`."""

def tridiagonal_solve(diagonals: Tensor, rhs: Tensor, *, adjoint: bool = False) -> Tensor:
    """The solution X of A X = B, or Aᴴ X = B, for a tridiagonal matrix A."""

def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of A: entries with j − i ≤ diagonal, zero elsewhere."""

def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of A: entries with j − i ≥ diagonal, zero elsewhere."""

def vec(A: Tensor) -> Tensor:
    """vec(A): the columns of A stacked into one vector."""

def whitened_gram(L: Tensor, W: Tensor, R: Tensor) -> tuple[Tensor, Tensor]:
    """The products A Aᴴ and A R of A = L⁻¹ W, for a lower triangular L."""
