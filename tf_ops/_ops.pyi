# This file is written by make docs.
from collections.abc import Sequence
from typing import Any

def add(x: Any, y: Any, name: str | None = None) -> Any:
    """The sum C = A + B, entry by entry."""

def add_diagonal(K: Any, noise: Any, *, name: str | None = None) -> Any:
    """A square matrix with noise added to its diagonal, C = K + diag(σ²), without an identity matrix."""

def adjugate(A: Any, *, name: str | None = None) -> Any:
    """The adjugate C = adj(A), the transposed matrix of the cofactors: A adj(A) = adj(A) A = det(A) I."""

def affine(X: Any, W: Any, b: Any = None, *, name: str | None = None) -> Any:
    """The affine layer of a network, A = X Wᵀ + 1bᵀ, of p examples that are rows of X; of one example, a = W x +
    b."""

def bilinear_form(x: Any, A: Any, y: Any, *, name: str | None = None) -> Any:
    """The bilinear form c = xᵀ A y."""

def cho_logdet(L: Any, *, name: str | None = None) -> Any:
    """The logarithm of the determinant of A = L Lᴴ from its Cholesky factor, lower or upper."""

def cho_solve(L: Any, B: Any, *, upper: bool = False, name: str | None = None) -> Any:
    """The solution X of A X = B from the Cholesky factor of A."""

def cho_solve_banded(cb: Any, b: Any, *, lower: bool = False, name: str | None = None) -> Any:
    """The solution X of A X = B from the banded Cholesky factor of A."""

def cholesky(input: Any, name: str | None = None, *, upper: bool = False, on_error: str = "raise") -> Any:
    """The Cholesky factor of a symmetric (Hermitian) positive definite matrix: A = L Lᴴ."""

def cholesky_banded(ab: Any, *, lower: bool = False, name: str | None = None) -> Any:
    """The Cholesky factor of a banded positive definite matrix, A = Uᴴ U or A = L Lᴴ, of which the band is
    stored."""

def cholesky_downdate(L: Any, V: Any, *, name: str | None = None) -> Any:
    """The Cholesky factor of A − V Vᴴ from that of A = L Lᴴ."""

def cholesky_inverse(L: Any, *, upper: bool = False, name: str | None = None) -> Any:
    """The inverse C = (L Lᴴ)⁻¹ of a positive definite matrix from its Cholesky factor."""

def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Any:
    """The solution X of A X = B from the Cholesky factor of A."""

def cholesky_update(L: Any, V: Any, *, name: str | None = None) -> Any:
    """The Cholesky factor of A + V Vᴴ from that of A = L Lᴴ."""

def concat(values: Sequence[Any], axis: int, name: str | None = "concat") -> Any:
    """Arrays joined along a dimension."""

def concatenate(arrays: Sequence[Any], *, axis: int = 0, name: str | None = None) -> Any:
    """Arrays joined along a dimension."""

def cond(A: Any, *, p: Any = None, name: str | None = None) -> Any:
    """The condition number of a matrix with respect to solving, ‖A‖ ‖A⁻¹‖."""

def congruence(A: Any, B: Any, *, name: str | None = None) -> Any:
    """The matrix quadratic form C = Bᵀ A B."""

def cos(x: Any, name: str | None = None) -> Any:
    """The function C = cos A, the cosine of each entry."""

def cosm(A: Any, *, name: str | None = None) -> Any:
    """The matrix cosine, C = cos(A) = I − A²/2 + A⁴/24 − … (to infinity)."""

def det(input: Any, name: str | None = None) -> Any:
    """The determinant c = det A."""

def diag(
    diagonal: Any,
    name: str | None = "diag",
    k: int = 0,
    num_rows: Any = -1,
    num_cols: Any = -1,
    padding_value: Any = 0,
    align: Any = "RIGHT_LEFT",
) -> Any:
    """The square matrix with d on a diagonal, C[i, i + offset] = dᵢ, and zero elsewhere: the adjoint of
    `diagonal`."""

def diag_embed(d: Any, *, offset: int = 0, name: str | None = None) -> Any:
    """The square matrix with d on a diagonal, C[i, i + offset] = dᵢ, and zero elsewhere: the adjoint of
    `diagonal`."""

def diag_part(
    input: Any, name: str | None = "diag_part", k: int = 0, padding_value: Any = 0, align: Any = "RIGHT_LEFT"
) -> Any:
    """A diagonal of A as a vector, Cᵢ = A[i, i + offset] (for a negative offset A[i − offset, i])."""

def diagonal(A: Any, *, offset: int = 0, name: str | None = None) -> Any:
    """A diagonal of A as a vector, Cᵢ = A[i, i + offset] (for a negative offset A[i − offset, i])."""

def eig(tensor: Any, name: str | None = None) -> tuple[Any, Any]:
    """The eigenvalues and eigenvectors of a square matrix: A V = V diag(w)."""

def eigh(tensor: Any, name: str | None = None) -> tuple[Any, Any]:
    """The eigenvalues and eigenvectors of a symmetric (Hermitian) matrix: A V = V diag(w), Vᴴ V = I."""

def eigh_generalized(A: Any, B: Any, *, name: str | None = None) -> tuple[Any, Any]:
    """The generalised eigenvalues and vectors of Hermitian A and positive definite B: A V = B V diag(w), Vᴴ B V =
    I."""

def eigh_tridiagonal(
    alpha: Any,
    beta: Any,
    eigvals_only: bool = True,
    select: Any = "a",
    select_range: Any = None,
    tol: Any = None,
    name: str | None = None,
) -> tuple[Any, Any]:
    """The eigenvalues and eigenvectors of a symmetric (Hermitian) tridiagonal matrix."""

def eigvals(tensor: Any, name: str | None = None) -> Any:
    """The eigenvalues of a square matrix."""

def eigvalsh(tensor: Any, name: str | None = None) -> Any:
    """The eigenvalues of a symmetric (Hermitian) matrix, in ascending order."""

def embed(B: Any, *, index: Any, shape: int | Sequence[int], name: str | None = None) -> Any:
    """The array C of zeros of a given shape, but for B at an index: ``C[index] += B``."""

def exp(x: Any, name: str | None = None) -> Any:
    """The function C = exp A, the exponential function of each entry."""

def expm(input: Any, name: str | None = None) -> Any:
    """The matrix exponential, C = exp(A) = I + A + A²/2 + A³/6 + … (to infinity)."""

def expm_frechet(A: Any, E: Any, *, name: str | None = None) -> Any:
    """The Fréchet derivative of the matrix exponential at A along E: the L of exp(A + tE) = exp(A) + tL + O(t²)."""

def expmh(A: Any, *, name: str | None = None) -> Any:
    """The exponential C = exp A of a symmetric (Hermitian) matrix."""

def fill_triangular(v: Any, *, upper: bool = False, positive: str | None = None, name: str | None = None) -> Any:
    """The triangular matrix with the entries v, row by row, and zero elsewhere; with a positive diagonal, if you
    like."""

def fractional_matrix_power(A: Any, t: Any, *, name: str | None = None) -> Any:
    """The principal power C = Aᵗ = exp(t log A) of a square matrix, for a real number t."""

def funm(A: Any, *, f: Any, df: Any = None, name: str | None = None) -> Any:
    """A function C = f(A) of a general square matrix, diagonalisable or not, from a function f of numbers."""

def gaussian_kl(mean: Any, L: Any, other_mean: Any, other_L: Any, *, name: str | None = None) -> Any:
    """The Kullback–Leibler divergence of one Gaussian distribution from another, c = KL(N(μ, L Lᴴ) ‖ N(m, M
    Mᴴ))."""

def gaussian_logpdf(y: Any, mean: Any, K: Any, *, name: str | None = None) -> Any:
    """The logarithm of a Gaussian density, c = log N(y | μ, K)."""

def gaussian_logpdf_cholesky(y: Any, mean: Any, L: Any, *, name: str | None = None) -> Any:
    """The logarithm of a Gaussian density from the Cholesky factor of its covariance matrix, c = log N(y | μ, L
    Lᴴ)."""

def gaussian_logpdf_low_rank(y: Any, mean: Any, U: Any, d: Any, *, name: str | None = None) -> Any:
    """The logarithm of a Gaussian density of low rank beside a diagonal, c = log N(y | μ, diag(d) + U Uᴴ)."""

def hessenberg(A: Any, *, name: str | None = None) -> tuple[Any, Any]:
    """The Hessenberg form A = Q H Qᴴ: Q unitary, H zero below its first subdiagonal."""

def householder_product(A: Any, tau: Any, *, name: str | None = None) -> Any:
    """The first n columns of Q = H₁ H₂ ⋯ H_k, a product of Householder reflections Hᵢ = I − τᵢ vᵢ vᵢᴴ."""

def inv(input: Any, adjoint: bool = False, name: str | None = None, *, on_error: str = "raise") -> Any:
    """The inverse C = A⁻¹ of a square matrix."""

def inv_congruence(A: Any, B: Any, *, name: str | None = None) -> Any:
    """The matrix quadratic form with the inverse, C = Bᵀ A⁻¹ B, without forming A⁻¹."""

def inv_quad(A: Any, B: Any, *, name: str | None = None) -> Any:
    """The quadratic form with an inverse, c = tr(Bᴴ A⁻¹ B), of a positive definite matrix; bᴴ A⁻¹ b for a
    vector."""

def inv_quad_logdet(A: Any, B: Any, *, name: str | None = None) -> tuple[Any, Any]:
    """The two terms of a Gaussian log-likelihood, tr(Bᴴ A⁻¹ B) and log det A, from one Cholesky decomposition."""

def invsqrtmh(A: Any, *, name: str | None = None) -> Any:
    """The inverse square root C = A^(−1/2) of a positive definite (Hermitian) matrix: C A C = I."""

def kron(A: Any, B: Any, *, name: str | None = None) -> Any:
    """The Kronecker product C = A ⊗ B: the block matrix of all Aᵢⱼ B."""

def ldl(A: Any, *, lower: bool = True, name: str | None = None) -> tuple[Any, Any, Any]:
    """The factorisation A = L D Lᴴ of a symmetric (Hermitian) matrix, with rows in the order of the pivots."""

def ldl_factor(A: Any, *, hermitian: bool = False, name: str | None = None) -> tuple[Any, Any]:
    """The factorisation A = L D L′ of a symmetric or Hermitian matrix in one array, as LAPACK's sytrf and hetrf."""

def ldl_solve(LD: Any, pivots: Any, B: Any, *, hermitian: bool = False, name: str | None = None) -> Any:
    """The solution X of A X = B for a symmetric or Hermitian matrix A whose factors `ldl_factor` has computed."""

def linear_covariance(X: Any, variance: Any = None, noise: Any = None, *, name: str | None = None) -> Any:
    """The linear covariance kᵢⱼ = Σ_d v_d xᵢ_d xⱼ_d of inputs: of a linear function with random coefficients."""

def linear_covariance_cross(X: Any, X2: Any, variance: Any = None, *, name: str | None = None) -> Any:
    """The linear covariance kᵢⱼ = Σ_d v_d xᵢ_d x′ⱼ_d of inputs with others."""

def log(x: Any, name: str | None = None) -> Any:
    """The function C = log A, the natural logarithm of each entry."""

def logdet(matrix: Any, name: str | None = None) -> Any:
    """The logarithm of a determinant, c = log det A."""

def logm(input: Any, name: str | None = None) -> Any:
    """The principal logarithm of a square matrix: C with exp(C) = A and eigenvalues with imaginary parts in (−π,
    π]."""

def logmh(A: Any, *, name: str | None = None) -> Any:
    """The logarithm C = log A of a positive definite (Hermitian) matrix: the Hermitian matrix with exp C = A."""

def lstsq(
    matrix: Any, rhs: Any, l2_regularizer: float = 0.0, fast: bool = True, name: str | None = None
) -> tuple[Any, Any, Any, Any]:
    """The solution X of least norm of the least squares problem min ‖A X − B‖, of any rank."""

def lu(input: Any, output_idx_type: Any = "int32", name: str | None = None) -> tuple[Any, Any]:
    """The LU decomposition with partial pivoting in one array, A = P L U."""

def lu_factor(A: Any, *, name: str | None = None) -> tuple[Any, Any]:
    """The LU decomposition with partial pivoting in one array, A = P L U."""

def lu_solve(lower_upper: Any, perm: Any, rhs: Any, validate_args: bool = False, name: str | None = None) -> Any:
    """The solution X of op(A) X = B or X op(A) = B, for a matrix A whose factors `lu_factor` has computed."""

def mask(A: Any, *, mask: Any, name: str | None = None) -> Any:
    """The entries of A where a mask is true, zero elsewhere (whatever A holds there, NaN too)."""

def matern(
    X: Any, lengthscale: Any, variance: Any = None, noise: Any = None, *, nu: float = 2.5, name: str | None = None
) -> Any:
    """The Matérn covariance kᵢⱼ = v f(sᵢⱼ) of inputs, for ν = 1/2, 3/2 or 5/2, with their `squared_distance`
    sᵢⱼ."""

def matern_cross(
    X: Any, X2: Any, lengthscale: Any, variance: Any = None, *, nu: float = 2.5, name: str | None = None
) -> Any:
    """The Matérn covariance kᵢⱼ = v f(sᵢⱼ) of inputs with others, for ν = 1/2, 3/2 or 5/2."""

def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: Any = None,
    grad_a: bool = False,
    grad_b: bool = False,
    name: str | None = None,
) -> Any:
    """The matrix product C = A B."""

def matrix_norm(A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, name: str | None = None) -> Any:
    """The norm ‖A‖ of a matrix: Frobenius, nuclear, spectral, or the largest sum of a column or row."""

def matrix_power(A: Any, *, n: int, name: str | None = None) -> Any:
    """The power C = Aⁿ of a square matrix, for a whole number n; of the inverse where n is negative."""

def matrix_transpose(a: Any, name: str | None = "matrix_transpose", conjugate: bool = False) -> Any:
    """The transpose C = Aᵀ of the last two dimensions. (Not conjugated.)"""

def multiply(x: Any, y: Any, name: str | None = None) -> Any:
    """The product C = A ∘ B, entry by entry (Hadamard's)."""

def norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None, name: str | None = None) -> Any:
    """The norm ‖A‖ of a matrix: Frobenius, nuclear, spectral, or the largest sum of a column or row."""

def periodic(
    X: Any, lengthscale: Any, period: Any, variance: Any = None, noise: Any = None, *, name: str | None = None
) -> Any:
    """The periodic covariance kᵢⱼ = v exp(−2 Σ_d sin²(π (xᵢ_d − xⱼ_d)/p_d) / ℓ_d²) of inputs."""

def periodic_cross(
    X: Any, X2: Any, lengthscale: Any, period: Any, variance: Any = None, *, name: str | None = None
) -> Any:
    """The periodic covariance kᵢⱼ = v exp(−2 Σ_d sin²(π (xᵢ_d − x′ⱼ_d)/p_d) / ℓ_d²) of inputs with others."""

def phi(A: Any, *, name: str | None = None) -> Any:
    """Φ(A), the lower triangle of A with halved diagonal, which appears in every rule of the Cholesky
    decomposition."""

def pinv(a: Any, rcond: Any = None, validate_args: bool = False, name: str | None = None) -> Any:
    """The Moore–Penrose pseudoinverse A⁺ of any matrix."""

def polar(A: Any, *, side: str = "right", name: str | None = None) -> tuple[Any, Any]:
    """The polar decomposition A = U P, or A = P U, with orthonormal columns or rows in U and Hermitian P ≥ 0."""

def polynomial(A: Any, c: Any, *, name: str | None = None) -> Any:
    """The matrix polynomial, C = c₀ I + c₁ A + c₂ A² + … + c_(k−1) A^(k−1)."""

def polynomial_covariance(
    X: Any, variance: Any = None, offset: Any = None, noise: Any = None, *, degree: int = 3, name: str | None = None
) -> Any:
    """The polynomial covariance kᵢⱼ = (Σ_d v_d xᵢ_d xⱼ_d + c)^p of inputs."""

def polynomial_covariance_cross(
    X: Any, X2: Any, variance: Any = None, offset: Any = None, *, degree: int = 3, name: str | None = None
) -> Any:
    """The polynomial covariance kᵢⱼ = (Σ_d v_d xᵢ_d x′ⱼ_d + c)^p of inputs with others."""

def pow(x: Any, y: Any, name: str | None = None) -> Any:
    """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable."""

def power(A: Any, p: Any, *, name: str | None = None) -> Any:
    """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable."""

def powmh(A: Any, p: Any, *, name: str | None = None) -> Any:
    """The power C = Aᵖ of a symmetric (Hermitian) matrix."""

def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> tuple[Any, Any]:
    """The QR decomposition A = Q R: Q with orthonormal columns, R upper triangular."""

def quadratic(A: Any, x: Any, *, name: str | None = None) -> Any:
    """The quadratic form c = xᵀ A x."""

def rational_quadratic(
    X: Any, lengthscale: Any, alpha: Any = None, variance: Any = None, noise: Any = None, *, name: str | None = None
) -> Any:
    """The rational quadratic covariance kᵢⱼ = v (1 + sᵢⱼ/(2α))^−α of inputs, with their `squared_distance` sᵢⱼ."""

def rational_quadratic_cross(
    X: Any, X2: Any, lengthscale: Any, alpha: Any = None, variance: Any = None, *, name: str | None = None
) -> Any:
    """The rational quadratic covariance kᵢⱼ = v (1 + sᵢⱼ/(2α))^−α of inputs with others."""

def rbf(X: Any, lengthscale: Any, variance: Any = None, noise: Any = None, *, name: str | None = None) -> Any:
    """The squared exponential covariance kᵢⱼ = v exp(−sᵢⱼ/2) of inputs, with their `squared_distance` sᵢⱼ."""

def rbf_cross(X: Any, X2: Any, lengthscale: Any, variance: Any = None, *, name: str | None = None) -> Any:
    """The squared exponential covariance kᵢⱼ = v exp(−sᵢⱼ/2) of inputs with others."""

def reciprocal(x: Any, name: str | None = None) -> Any:
    """The function C = 1/A, the reciprocal of each entry."""

def reduce_sum(
    input_tensor: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, name: str | None = None
) -> Any:
    """The sum of the entries of A over some of its dimensions."""

def reshape(tensor: Any, shape: int | Sequence[int], name: str | None = None) -> Any:
    """The entries of A, in row-major order, in another shape."""

def safe_cholesky(
    A: Any,
    *,
    jitter: Any = None,
    max_tries: int = 5,
    upper: bool = False,
    on_error: str = "raise",
    name: str | None = None,
) -> tuple[Any, Any]:
    """The Cholesky factor of A + c I = L Lᴴ, where the jitter c is the least of 0, j, 10 j, 100 j, ... that
    works."""

def schur(A: Any, *, output: str = "real", name: str | None = None) -> tuple[Any, Any]:
    """The Schur decomposition A = Z T Zᴴ: Z unitary, T upper triangular."""

def signmh(A: Any, *, name: str | None = None) -> Any:
    """The sign C = sign A of a symmetric (Hermitian) matrix: its eigenvalues are −1 and 1, and C² = I."""

def sin(x: Any, name: str | None = None) -> Any:
    """The function C = sin A, the sine of each entry."""

def sinm(A: Any, *, name: str | None = None) -> Any:
    """The matrix sine, C = sin(A) = A − A³/6 + A⁵/120 − … (to infinity)."""

def slogdet(input: Any, name: str | None = None) -> tuple[Any, Any]:
    """The sign and the logarithm of the modulus of a determinant: det A = s exp(ℓ)."""

def softmax_cross_entropy(logits: Any, targets: Any, name: str | None = None) -> Any:
    """The cross-entropy of a softmax with targets, c = −Σᵢ tᵢ log pᵢ for p = softmax(logits), over the last
    dimension."""

def softplusmh(A: Any, *, name: str | None = None) -> Any:
    """The softplus C = log(I + exp A) of a symmetric (Hermitian) matrix: a smooth positive part."""

def solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None, *, on_error: str = "raise") -> Any:
    """The solution X of a system of equations, op(A) X = B or X op(A) = B."""

def solve_banded(l_and_u: list[int], ab: Any, b: Any, name: str | None = None, *, adjoint: bool = False) -> Any:
    """The solution X of A X = B, or Aᴴ X = B, for a banded matrix A."""

def solve_continuous_are(
    A: Any, B: Any, Q: Any, R: Any, E: Any = None, S: Any = None, *, name: str | None = None
) -> Any:
    """The stabilising solution X of the continuous Riccati equation Aᴴ X + X A − X B R⁻¹ Bᴴ X + Q = 0."""

def solve_continuous_lyapunov(A: Any, Q: Any, *, name: str | None = None) -> Any:
    """The solution X of the continuous Lyapunov equation A X + X Aᴴ = Q."""

def solve_discrete_are(A: Any, B: Any, Q: Any, R: Any, E: Any = None, S: Any = None, *, name: str | None = None) -> Any:
    """The stabilising solution X of the discrete Riccati equation."""

def solve_discrete_lyapunov(A: Any, Q: Any, *, name: str | None = None) -> Any:
    """The solution X of the discrete Lyapunov equation A X Aᴴ − X + Q = 0."""

def solve_sylvester(A: Any, B: Any, Q: Any, *, name: str | None = None) -> Any:
    """The solution X of Sylvester's equation A X + X B = Q."""

def solve_toeplitz(c: Any, r: Any, b: Any, *, adjoint: bool = False, name: str | None = None) -> Any:
    """The solution X of T X = B, or Tᴴ X = B, for a Toeplitz matrix T, which has one number on each diagonal."""

def solve_triangular(
    A: Any,
    B: Any,
    *,
    upper: bool,
    left: bool = True,
    unitriangular: bool = False,
    adjoint: bool = False,
    name: str | None = None,
) -> Any:
    """The solution X of a triangular system, op(A) X = B or X op(A) = B."""

def spectral_function(
    A: Any,
    args: Any = None,
    *,
    f: Any,
    df: Any,
    d2f: Any = None,
    d3f: Any = None,
    dargs: Any = None,
    d2args: Any = None,
    name: str | None = None,
) -> Any:
    """The function C = f(A) of a symmetric (Hermitian) matrix: C = V f(w) Vᴴ, where A = V diag(w) Vᴴ."""

def sqrt(x: Any, name: str | None = None) -> Any:
    """The function C = sqrt A, the square root of each entry."""

def sqrtm(input: Any, name: str | None = None) -> Any:
    """The principal square root of a square matrix: C with C C = A and eigenvalues in the right half-plane."""

def sqrtmh(A: Any, *, name: str | None = None) -> Any:
    """The square root C = A^(1/2) of a positive definite (Hermitian) matrix, itself positive definite."""

def squared_distance(X: Any, lengthscale: Any = None, *, name: str | None = None) -> Any:
    """The squared distances sᵢⱼ = Σ_d (xᵢ_d − xⱼ_d)² / ℓ_d² of inputs from each other."""

def squared_distance_cross(X: Any, X2: Any, lengthscale: Any = None, *, name: str | None = None) -> Any:
    """The squared distances sᵢⱼ = Σ_d (xᵢ_d − x′ⱼ_d)² / ℓ_d² of inputs from others."""

def squared_error(Y: Any, T: Any, *, name: str | None = None) -> Any:
    """Half the squared distance of outputs from targets, c = ½ Σᵢ |yᵢ − tᵢ|², over the last dimension."""

def subset(A: Any, *, index: Any, name: str | None = None) -> Any:
    """A selection of the entries of A, ``C = A[index]``."""

def subtract(x: Any, y: Any, name: str | None = None) -> Any:
    """The difference C = A − B, entry by entry."""

def sum(A: Any, *, axis: int | Sequence[int] | None = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The sum of the entries of A over some of its dimensions."""

def svd(
    tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None
) -> tuple[Any, Any, Any]:
    """The singular value decomposition A = U diag(S) Vᴴ."""

def svdvals(A: Any, *, name: str | None = None) -> Any:
    """The singular values of a matrix, in descending order."""

def tanh(x: Any, name: str | None = None) -> Any:
    """The function C = tanh A, the hyperbolic tangent of each entry."""

def trace(x: Any, name: str | None = None) -> Any:
    """The trace c = Σ Aᵢᵢ."""

def transpose_matmul(A: Any, B: Any, *, name: str | None = None) -> Any:
    """The product C = Aᵀ B, without forming Aᵀ. (Transposed, not conjugated.)"""

def triangular_entries(A: Any, *, upper: bool = False, positive: str | None = None, name: str | None = None) -> Any:
    """The entries of a triangle of A, row by row, as a vector: the inverse of `fill_triangular`."""

def triangular_solve(matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False, name: str | None = None) -> Any:
    """The solution X of a triangular system, op(A) X = B or X op(A) = B."""

def tridiagonal_solve(
    diagonals: Any,
    rhs: Any,
    diagonals_format: Any = "compact",
    transpose_rhs: bool = False,
    conjugate_rhs: bool = False,
    name: str | None = None,
    partial_pivoting: bool = True,
    perturb_singular: bool = False,
) -> Any:
    """The solution X of A X = B, or Aᴴ X = B, for a tridiagonal matrix A."""

def tril(A: Any, *, diagonal: int = 0, name: str | None = None) -> Any:
    """The lower triangle of A: entries with j − i ≤ diagonal, zero elsewhere."""

def triu(A: Any, *, diagonal: int = 0, name: str | None = None) -> Any:
    """The upper triangle of A: entries with j − i ≥ diagonal, zero elsewhere."""

def vec(A: Any, *, name: str | None = None) -> Any:
    """vec(A): the columns of A stacked into one vector."""

def whitened_gram(L: Any, W: Any, R: Any, *, name: str | None = None) -> tuple[Any, Any]:
    """The products A Aᴴ and A R of A = L⁻¹ W, for a lower triangular L."""
