# This file is written by make docs.
from collections.abc import Callable, Sequence
from typing import Any

from overbar._primitive import Primitive

class _add(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The sum C = A + B, entry by entry."""

class _add_diagonal(Primitive):
    def __call__(self, K: Any, noise: Any) -> Any:
        """A square matrix with noise added to its diagonal, C = K + diag(σ²), without an identity matrix."""

class _adjugate(Primitive):
    def __call__(self, A: Any) -> Any:
        """The adjugate C = adj(A), the transposed matrix of the cofactors: A adj(A) = adj(A) A = det(A) I."""

class _affine(Primitive):
    def __call__(self, X: Any, W: Any, b: Any = None) -> Any:
        """The affine layer of a network, A = X Wᵀ + 1bᵀ, of p examples that are rows of X; of one example, a = W x
        + b."""

class _bilinear_form(Primitive):
    def __call__(self, x: Any, A: Any, y: Any) -> Any:
        """The bilinear form c = xᵀ A y."""

class _cho_logdet(Primitive):
    def __call__(self, L: Any) -> Any:
        """The logarithm of the determinant of A = L Lᴴ from its Cholesky factor, lower or upper."""

class _cho_solve(Primitive):
    def __call__(self, L: Any, B: Any, upper: bool = False) -> Any:
        """The solution X of A X = B from the Cholesky factor of A."""

class _cho_solve_banded(Primitive):
    def __call__(self, cb: Any, b: Any, lower: bool = False) -> Any:
        """The solution X of A X = B from the banded Cholesky factor of A."""

class _cholesky(Primitive):
    def __call__(self, A: Any, upper: bool = False, on_error: str = "raise") -> Any:
        """The Cholesky factor of a symmetric (Hermitian) positive definite matrix: A = L Lᴴ."""

class _cholesky_banded(Primitive):
    def __call__(self, ab: Any, lower: bool = False) -> Any:
        """The Cholesky factor of a banded positive definite matrix, A = Uᴴ U or A = L Lᴴ, of which the band is
        stored."""

class _cholesky_downdate(Primitive):
    def __call__(self, L: Any, V: Any) -> Any:
        """The Cholesky factor of A − V Vᴴ from that of A = L Lᴴ."""

class _cholesky_inverse(Primitive):
    def __call__(self, L: Any, upper: bool = False) -> Any:
        """The inverse C = (L Lᴴ)⁻¹ of a positive definite matrix from its Cholesky factor."""

class _cholesky_update(Primitive):
    def __call__(self, L: Any, V: Any) -> Any:
        """The Cholesky factor of A + V Vᴴ from that of A = L Lᴴ."""

class _concatenate(Primitive):
    def __call__(self, arrays: Sequence[Any], axis: int = 0) -> Any:
        """Arrays joined along a dimension."""

class _cond(Primitive):
    def __call__(self, A: Any, p: Any = None) -> Any:
        """The condition number of a matrix with respect to solving, ‖A‖ ‖A⁻¹‖."""

class _congruence(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The matrix quadratic form C = Bᵀ A B."""

class _cos(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = cos A, the cosine of each entry."""

class _cosm(Primitive):
    def __call__(self, A: Any) -> Any:
        """The matrix cosine, C = cos(A) = I − A²/2 + A⁴/24 − … (to infinity)."""

class _det(Primitive):
    def __call__(self, A: Any) -> Any:
        """The determinant c = det A."""

class _diag_embed(Primitive):
    def __call__(self, d: Any, offset: int = 0) -> Any:
        """The square matrix with d on a diagonal, C[i, i + offset] = dᵢ, and zero elsewhere: the adjoint of
        `diagonal`."""

class _diagonal(Primitive):
    def __call__(self, A: Any, offset: int = 0) -> Any:
        """A diagonal of A as a vector, Cᵢ = A[i, i + offset] (for a negative offset A[i − offset, i])."""

class _eig(Primitive):
    def __call__(self, A: Any) -> Any:
        """The eigenvalues and eigenvectors of a square matrix: A V = V diag(w)."""

class _eigh(Primitive):
    def __call__(self, A: Any, UPLO: str = "L") -> Any:
        """The eigenvalues and eigenvectors of a symmetric (Hermitian) matrix: A V = V diag(w), Vᴴ V = I."""

class _eigh_generalized(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The generalised eigenvalues and vectors of Hermitian A and positive definite B: A V = B V diag(w), Vᴴ B V
        = I."""

class _eigh_tridiagonal(Primitive):
    def __call__(self, d: Any, e: Any) -> Any:
        """The eigenvalues and eigenvectors of a symmetric (Hermitian) tridiagonal matrix."""

class _eigvals(Primitive):
    def __call__(self, A: Any) -> Any:
        """The eigenvalues of a square matrix."""

class _eigvalsh(Primitive):
    def __call__(self, A: Any, UPLO: str = "L") -> Any:
        """The eigenvalues of a symmetric (Hermitian) matrix, in ascending order."""

class _embed(Primitive):
    def __call__(self, B: Any, index: Any, shape: int | Sequence[int]) -> Any:
        """The array C of zeros of a given shape, but for B at an index: ``C[index] += B``."""

class _exp(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = exp A, the exponential function of each entry."""

class _expm(Primitive):
    def __call__(self, A: Any) -> Any:
        """The matrix exponential, C = exp(A) = I + A + A²/2 + A³/6 + … (to infinity)."""

class _expm_frechet(Primitive):
    def __call__(self, A: Any, E: Any) -> Any:
        """The Fréchet derivative of the matrix exponential at A along E: the L of exp(A + tE) = exp(A) + tL +
        O(t²)."""

class _expmh(Primitive):
    def __call__(self, A: Any) -> Any:
        """The exponential C = exp A of a symmetric (Hermitian) matrix."""

class _fill_triangular(Primitive):
    def __call__(self, v: Any, upper: bool = False, positive: str | None = None) -> Any:
        """The triangular matrix with the entries v, row by row, and zero elsewhere; with a positive diagonal, if
        you like."""

class _fractional_matrix_power(Primitive):
    def __call__(self, A: Any, t: Any) -> Any:
        """The principal power C = Aᵗ = exp(t log A) of a square matrix, for a real number t."""

class _funm(Primitive):
    def __call__(self, A: Any, f: Any, df: Any = None) -> Any:
        """A function C = f(A) of a general square matrix, diagonalisable or not, from a function f of numbers."""

class _gaussian_kl(Primitive):
    def __call__(self, mean: Any, L: Any, other_mean: Any, other_L: Any) -> Any:
        """The Kullback–Leibler divergence of one Gaussian distribution from another, c = KL(N(μ, L Lᴴ) ‖ N(m, M
        Mᴴ))."""

class _gaussian_logpdf(Primitive):
    def __call__(self, y: Any, mean: Any, K: Any) -> Any:
        """The logarithm of a Gaussian density, c = log N(y | μ, K)."""

class _gaussian_logpdf_cholesky(Primitive):
    def __call__(self, y: Any, mean: Any, L: Any) -> Any:
        """The logarithm of a Gaussian density from the Cholesky factor of its covariance matrix, c = log N(y | μ, L
        Lᴴ)."""

class _gaussian_logpdf_low_rank(Primitive):
    def __call__(self, y: Any, mean: Any, U: Any, d: Any) -> Any:
        """The logarithm of a Gaussian density of low rank beside a diagonal, c = log N(y | μ, diag(d) + U Uᴴ)."""

class _hessenberg(Primitive):
    def __call__(self, A: Any) -> Any:
        """The Hessenberg form A = Q H Qᴴ: Q unitary, H zero below its first subdiagonal."""

class _householder_product(Primitive):
    def __call__(self, A: Any, tau: Any) -> Any:
        """The first n columns of Q = H₁ H₂ ⋯ H_k, a product of Householder reflections Hᵢ = I − τᵢ vᵢ vᵢᴴ."""

class _inv(Primitive):
    def __call__(self, A: Any, on_error: str = "raise") -> Any:
        """The inverse C = A⁻¹ of a square matrix."""

class _inv_congruence(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The matrix quadratic form with the inverse, C = Bᵀ A⁻¹ B, without forming A⁻¹."""

class _inv_quad(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The quadratic form with an inverse, c = tr(Bᴴ A⁻¹ B), of a positive definite matrix; bᴴ A⁻¹ b for a
        vector."""

class _inv_quad_logdet(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The two terms of a Gaussian log-likelihood, tr(Bᴴ A⁻¹ B) and log det A, from one Cholesky
        decomposition."""

class _invsqrtmh(Primitive):
    def __call__(self, A: Any) -> Any:
        """The inverse square root C = A^(−1/2) of a positive definite (Hermitian) matrix: C A C = I."""

class _kron(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The Kronecker product C = A ⊗ B: the block matrix of all Aᵢⱼ B."""

class _ldl(Primitive):
    def __call__(self, A: Any, lower: bool = True) -> Any:
        """The factorisation A = L D Lᴴ of a symmetric (Hermitian) matrix, with rows in the order of the pivots."""

class _ldl_factor(Primitive):
    def __call__(self, A: Any, hermitian: bool = False) -> Any:
        """The factorisation A = L D L′ of a symmetric or Hermitian matrix in one array, as LAPACK's sytrf and
        hetrf."""

class _ldl_solve(Primitive):
    def __call__(self, LD: Any, pivots: Any, B: Any, hermitian: bool = False) -> Any:
        """The solution X of A X = B for a symmetric or Hermitian matrix A whose factors `ldl_factor` has
        computed."""

class _linear_covariance(Primitive):
    def __call__(self, X: Any, variance: Any = None, noise: Any = None) -> Any:
        """The linear covariance kᵢⱼ = Σ_d v_d xᵢ_d xⱼ_d of inputs: of a linear function with random
        coefficients."""

class _linear_covariance_cross(Primitive):
    def __call__(self, X: Any, X2: Any, variance: Any = None) -> Any:
        """The linear covariance kᵢⱼ = Σ_d v_d xᵢ_d x′ⱼ_d of inputs with others."""

class _log(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = log A, the natural logarithm of each entry."""

class _logdet(Primitive):
    def __call__(self, A: Any) -> Any:
        """The logarithm of a determinant, c = log det A."""

class _logm(Primitive):
    def __call__(self, A: Any) -> Any:
        """The principal logarithm of a square matrix: C with exp(C) = A and eigenvalues with imaginary parts in
        (−π, π]."""

class _logmh(Primitive):
    def __call__(self, A: Any) -> Any:
        """The logarithm C = log A of a positive definite (Hermitian) matrix: the Hermitian matrix with exp C =
        A."""

class _lstsq(Primitive):
    def __call__(
        self, A: Any, B: Any, rcond: Any = None, l2_regularizer: float = 0.0, singular_values: bool = True
    ) -> Any:
        """The solution X of least norm of the least squares problem min ‖A X − B‖, of any rank."""

class _lu(Primitive):
    def __call__(self, A: Any) -> Any:
        """The LU decomposition with partial pivoting, A = P L U."""

class _lu_factor(Primitive):
    def __call__(self, A: Any) -> Any:
        """The LU decomposition with partial pivoting in one array, A = P L U."""

class _lu_solve(Primitive):
    def __call__(self, LU: Any, pivots: Any, B: Any, left: bool = True, adjoint: bool = False) -> Any:
        """The solution X of op(A) X = B or X op(A) = B, for a matrix A whose factors `lu_factor` has computed."""

class _mask(Primitive):
    def __call__(self, A: Any, mask: Any) -> Any:
        """The entries of A where a mask is true, zero elsewhere (whatever A holds there, NaN too)."""

class _matern(Primitive):
    def __call__(self, X: Any, lengthscale: Any, variance: Any = None, noise: Any = None, nu: float = 2.5) -> Any:
        """The Matérn covariance kᵢⱼ = v f(sᵢⱼ) of inputs, for ν = 1/2, 3/2 or 5/2, with their `squared_distance`
        sᵢⱼ."""

class _matern_cross(Primitive):
    def __call__(self, X: Any, X2: Any, lengthscale: Any, variance: Any = None, nu: float = 2.5) -> Any:
        """The Matérn covariance kᵢⱼ = v f(sᵢⱼ) of inputs with others, for ν = 1/2, 3/2 or 5/2."""

class _matmul(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The matrix product C = A B."""

class _matrix_norm(Primitive):
    def __call__(self, A: Any, ord: str = "fro") -> Any:
        """The norm ‖A‖ of a matrix: Frobenius, nuclear, spectral, or the largest sum of a column or row."""

class _matrix_power(Primitive):
    def __call__(self, A: Any, n: int) -> Any:
        """The power C = Aⁿ of a square matrix, for a whole number n; of the inverse where n is negative."""

class _matrix_transpose(Primitive):
    def __call__(self, A: Any) -> Any:
        """The transpose C = Aᵀ of the last two dimensions. (Not conjugated.)"""

class _multiply(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The product C = A ∘ B, entry by entry (Hadamard's)."""

class _periodic(Primitive):
    def __call__(self, X: Any, lengthscale: Any, period: Any, variance: Any = None, noise: Any = None) -> Any:
        """The periodic covariance kᵢⱼ = v exp(−2 Σ_d sin²(π (xᵢ_d − xⱼ_d)/p_d) / ℓ_d²) of inputs."""

class _periodic_cross(Primitive):
    def __call__(self, X: Any, X2: Any, lengthscale: Any, period: Any, variance: Any = None) -> Any:
        """The periodic covariance kᵢⱼ = v exp(−2 Σ_d sin²(π (xᵢ_d − x′ⱼ_d)/p_d) / ℓ_d²) of inputs with others."""

class _phi(Primitive):
    def __call__(self, A: Any) -> Any:
        """Φ(A), the lower triangle of A with halved diagonal, which appears in every rule of the Cholesky
        decomposition."""

class _pinv(Primitive):
    def __call__(self, A: Any, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Any:
        """The Moore–Penrose pseudoinverse A⁺ of any matrix."""

class _polar(Primitive):
    def __call__(self, A: Any, side: str = "right") -> Any:
        """The polar decomposition A = U P, or A = P U, with orthonormal columns or rows in U and Hermitian P ≥
        0."""

class _polynomial(Primitive):
    def __call__(self, A: Any, c: Any) -> Any:
        """The matrix polynomial, C = c₀ I + c₁ A + c₂ A² + … + c_(k−1) A^(k−1)."""

class _polynomial_covariance(Primitive):
    def __call__(self, X: Any, variance: Any = None, offset: Any = None, noise: Any = None, degree: int = 3) -> Any:
        """The polynomial covariance kᵢⱼ = (Σ_d v_d xᵢ_d xⱼ_d + c)^p of inputs."""

class _polynomial_covariance_cross(Primitive):
    def __call__(self, X: Any, X2: Any, variance: Any = None, offset: Any = None, degree: int = 3) -> Any:
        """The polynomial covariance kᵢⱼ = (Σ_d v_d xᵢ_d x′ⱼ_d + c)^p of inputs with others."""

class _power(Primitive):
    def __call__(self, A: Any, p: Any) -> Any:
        """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable."""

class _powmh(Primitive):
    def __call__(self, A: Any, p: Any) -> Any:
        """The power C = Aᵖ of a symmetric (Hermitian) matrix."""

class _qr(Primitive):
    def __call__(self, A: Any, mode: str = "reduced") -> Any:
        """The QR decomposition A = Q R: Q with orthonormal columns, R upper triangular."""

class _quadratic(Primitive):
    def __call__(self, A: Any, x: Any) -> Any:
        """The quadratic form c = xᵀ A x."""

class _rational_quadratic(Primitive):
    def __call__(self, X: Any, lengthscale: Any, alpha: Any = None, variance: Any = None, noise: Any = None) -> Any:
        """The rational quadratic covariance kᵢⱼ = v (1 + sᵢⱼ/(2α))^−α of inputs, with their `squared_distance`
        sᵢⱼ."""

class _rational_quadratic_cross(Primitive):
    def __call__(self, X: Any, X2: Any, lengthscale: Any, alpha: Any = None, variance: Any = None) -> Any:
        """The rational quadratic covariance kᵢⱼ = v (1 + sᵢⱼ/(2α))^−α of inputs with others."""

class _rbf(Primitive):
    def __call__(self, X: Any, lengthscale: Any, variance: Any = None, noise: Any = None) -> Any:
        """The squared exponential covariance kᵢⱼ = v exp(−sᵢⱼ/2) of inputs, with their `squared_distance` sᵢⱼ."""

class _rbf_cross(Primitive):
    def __call__(self, X: Any, X2: Any, lengthscale: Any, variance: Any = None) -> Any:
        """The squared exponential covariance kᵢⱼ = v exp(−sᵢⱼ/2) of inputs with others."""

class _reciprocal(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = 1/A, the reciprocal of each entry."""

class _reshape(Primitive):
    def __call__(self, A: Any, shape: int | Sequence[int]) -> Any:
        """The entries of A, in row-major order, in another shape."""

class _safe_cholesky(Primitive):
    def __call__(
        self, A: Any, jitter: Any = None, max_tries: int = 5, upper: bool = False, on_error: str = "raise"
    ) -> Any:
        """The Cholesky factor of A + c I = L Lᴴ, where the jitter c is the least of 0, j, 10 j, 100 j, ... that
        works."""

class _schur(Primitive):
    def __call__(self, A: Any, output: str = "real") -> Any:
        """The Schur decomposition A = Z T Zᴴ: Z unitary, T upper triangular."""

class _signmh(Primitive):
    def __call__(self, A: Any) -> Any:
        """The sign C = sign A of a symmetric (Hermitian) matrix: its eigenvalues are −1 and 1, and C² = I."""

class _sin(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = sin A, the sine of each entry."""

class _sinm(Primitive):
    def __call__(self, A: Any) -> Any:
        """The matrix sine, C = sin(A) = A − A³/6 + A⁵/120 − … (to infinity)."""

class _slogdet(Primitive):
    def __call__(self, A: Any) -> Any:
        """The sign and the logarithm of the modulus of a determinant: det A = s exp(ℓ)."""

class _softmax_cross_entropy(Primitive):
    def __call__(self, logits: Any, targets: Any) -> Any:
        """The cross-entropy of a softmax with targets, c = −Σᵢ tᵢ log pᵢ for p = softmax(logits), over the last
        dimension."""

class _softplusmh(Primitive):
    def __call__(self, A: Any) -> Any:
        """The softplus C = log(I + exp A) of a symmetric (Hermitian) matrix: a smooth positive part."""

class _solve(Primitive):
    def __call__(self, A: Any, B: Any, left: bool = True, adjoint: bool = False, on_error: str = "raise") -> Any:
        """The solution X of a system of equations, op(A) X = B or X op(A) = B."""

class _solve_banded(Primitive):
    def __call__(self, ab: Any, b: Any, l_and_u: list[int], adjoint: bool = False) -> Any:
        """The solution X of A X = B, or Aᴴ X = B, for a banded matrix A."""

class _solve_continuous_are(Primitive):
    def __call__(self, A: Any, B: Any, Q: Any, R: Any, E: Any = None, S: Any = None) -> Any:
        """The stabilising solution X of the continuous Riccati equation Aᴴ X + X A − X B R⁻¹ Bᴴ X + Q = 0."""

class _solve_continuous_lyapunov(Primitive):
    def __call__(self, A: Any, Q: Any) -> Any:
        """The solution X of the continuous Lyapunov equation A X + X Aᴴ = Q."""

class _solve_discrete_are(Primitive):
    def __call__(self, A: Any, B: Any, Q: Any, R: Any, E: Any = None, S: Any = None) -> Any:
        """The stabilising solution X of the discrete Riccati equation."""

class _solve_discrete_lyapunov(Primitive):
    def __call__(self, A: Any, Q: Any) -> Any:
        """The solution X of the discrete Lyapunov equation A X Aᴴ − X + Q = 0."""

class _solve_sylvester(Primitive):
    def __call__(self, A: Any, B: Any, Q: Any) -> Any:
        """The solution X of Sylvester's equation A X + X B = Q."""

class _solve_toeplitz(Primitive):
    def __call__(self, c: Any, r: Any, b: Any, adjoint: bool = False) -> Any:
        """The solution X of T X = B, or Tᴴ X = B, for a Toeplitz matrix T, which has one number on each
        diagonal."""

class _solve_triangular(Primitive):
    def __call__(
        self, A: Any, B: Any, upper: bool, left: bool = True, unitriangular: bool = False, adjoint: bool = False
    ) -> Any:
        """The solution X of a triangular system, op(A) X = B or X op(A) = B."""

class _spectral_function(Primitive):
    def __call__(
        self,
        A: Any,
        args: Any = None,
        *,
        f: Any,
        df: Any,
        d2f: Any = None,
        d3f: Any = None,
        dargs: Any = None,
        d2args: Any = None,
    ) -> Any:
        """The function C = f(A) of a symmetric (Hermitian) matrix: C = V f(w) Vᴴ, where A = V diag(w) Vᴴ."""

class _sqrt(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = sqrt A, the square root of each entry."""

class _sqrtm(Primitive):
    def __call__(self, A: Any) -> Any:
        """The principal square root of a square matrix: C with C C = A and eigenvalues in the right half-plane."""

class _sqrtmh(Primitive):
    def __call__(self, A: Any) -> Any:
        """The square root C = A^(1/2) of a positive definite (Hermitian) matrix, itself positive definite."""

class _squared_distance(Primitive):
    def __call__(self, X: Any, lengthscale: Any = None) -> Any:
        """The squared distances sᵢⱼ = Σ_d (xᵢ_d − xⱼ_d)² / ℓ_d² of inputs from each other."""

class _squared_distance_cross(Primitive):
    def __call__(self, X: Any, X2: Any, lengthscale: Any = None) -> Any:
        """The squared distances sᵢⱼ = Σ_d (xᵢ_d − x′ⱼ_d)² / ℓ_d² of inputs from others."""

class _squared_error(Primitive):
    def __call__(self, Y: Any, T: Any) -> Any:
        """Half the squared distance of outputs from targets, c = ½ Σᵢ |yᵢ − tᵢ|², over the last dimension."""

class _subset(Primitive):
    def __call__(self, A: Any, index: Any) -> Any:
        """A selection of the entries of A, ``C = A[index]``."""

class _subtract(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The difference C = A − B, entry by entry."""

class _sum(Primitive):
    def __call__(self, A: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
        """The sum of the entries of A over some of its dimensions."""

class _svd(Primitive):
    def __call__(self, A: Any, full_matrices: bool = True) -> Any:
        """The singular value decomposition A = U diag(S) Vᴴ."""

class _svdvals(Primitive):
    def __call__(self, A: Any) -> Any:
        """The singular values of a matrix, in descending order."""

class _tanh(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = tanh A, the hyperbolic tangent of each entry."""

class _trace(Primitive):
    def __call__(self, A: Any) -> Any:
        """The trace c = Σ Aᵢᵢ."""

class _transpose_matmul(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The product C = Aᵀ B, without forming Aᵀ. (Transposed, not conjugated.)"""

class _triangular_entries(Primitive):
    def __call__(self, A: Any, upper: bool = False, positive: str | None = None) -> Any:
        """The entries of a triangle of A, row by row, as a vector: the inverse of `fill_triangular`."""

class _tridiagonal_solve(Primitive):
    def __call__(self, diagonals: Any, rhs: Any, adjoint: bool = False) -> Any:
        """The solution X of A X = B, or Aᴴ X = B, for a tridiagonal matrix A."""

class _tril(Primitive):
    def __call__(self, A: Any, diagonal: int = 0) -> Any:
        """The lower triangle of A: entries with j − i ≤ diagonal, zero elsewhere."""

class _triu(Primitive):
    def __call__(self, A: Any, diagonal: int = 0) -> Any:
        """The upper triangle of A: entries with j − i ≥ diagonal, zero elsewhere."""

class _vec(Primitive):
    def __call__(self, A: Any) -> Any:
        """vec(A): the columns of A stacked into one vector."""

class _whitened_gram(Primitive):
    def __call__(self, L: Any, W: Any, R: Any) -> Any:
        """The products A Aᴴ and A R of A = L⁻¹ W, for a lower triangular L."""

class _abs(Primitive):
    def __call__(self, A: Any) -> Any:
        """The modulus C = |A| of each entry, real where A is complex, too."""

class _conj(Primitive):
    def __call__(self, A: Any) -> Any:
        """The complex conjugate C = conj(A) of each entry."""

class _erf(Primitive):
    def __call__(self, A: Any) -> Any:
        """The error function of each entry, C = 2/√π ∫₀ᴬ exp(−t²) dt."""

class _expm1(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = exp(A) − 1 of each entry, with all digits for small A."""

class _gammaln(Primitive):
    def __call__(self, A: Any) -> Any:
        """The logarithm of the modulus of the gamma function of each entry, C = log |Γ(A)|."""

class _imag(Primitive):
    def __call__(self, A: Any) -> Any:
        """The imaginary part C = Im A of each entry; zero where A is real."""

class _log1p(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = log(1 + A) of each entry, with all digits for small A."""

class _logaddexp(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The function C = log(exp A + exp B), entry by entry."""

class _logsumexp(Primitive):
    def __call__(self, A: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
        """The logarithm of a sum of exponentials, C = log Σ exp Aᵢ, over some of the dimensions of A."""

class _maximum(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The larger of two numbers, C = max(A, B), entry by entry; NaN where either is."""

class _minimum(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The smaller of two numbers, C = min(A, B), entry by entry; NaN where either is."""

class _polygamma(Primitive):
    def __call__(self, A: Any, n: int = 0) -> Any:
        """The polygamma function of each entry, the derivative of order n + 1 of log Γ(A)."""

class _real(Primitive):
    def __call__(self, A: Any) -> Any:
        """The real part C = Re A of each entry."""

class _relu(Primitive):
    def __call__(self, A: Any) -> Any:
        """The positive part of each entry, C = max(A, 0)."""

class _sigmoid(Primitive):
    def __call__(self, A: Any) -> Any:
        """The logistic function C = 1/(1 + exp(−A)) of each entry. (SciPy calls it expit.)"""

class _softmax(Primitive):
    def __call__(self, A: Any, axis: int | Sequence[int] | None = None) -> Any:
        """The exponentials of A divided by their sum over some dimensions, Cᵢ = exp(Aᵢ)/Σⱼ exp(Aⱼ)."""

class _softplus(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = log(1 + exp A) of each entry, a smooth max(A, 0)."""

class _var(Primitive):
    def __call__(self, A: Any, axis: int | Sequence[int] | None = None, ddof: int = 0, keepdims: bool = False) -> Any:
        """The variance of the entries of A over some of its dimensions, c = Σ |Aᵢ − mean|²/(m − ddof)."""

def affine_columns(X: Any, W: Any, b: Any = None) -> Any:
    """The affine layer of a network, A = W X + b1ᵀ, of examples that are columns of X: `affine` of the
    transposes."""

def clip(A: Any, min: Any = None, max: Any = None) -> Any:
    """The entries of A, but none below `min` and none above `max`."""

def digamma(A: Any) -> Any:
    """The digamma function ψ(A) = Γ′(A)/Γ(A) of each entry: `polygamma` of order 0."""

def einsum(subscripts: str, *operands: Any) -> Any:
    """Einstein's sum of products over indices, of one or two arrays: ``einsum("ij,jk->ik", A, B)`` is A B."""

def expand_dims(A: Any, axis: int | Sequence[int] = 0) -> Any:
    """A with new dimensions of size 1."""

def mean(A: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
    """The mean of the entries of A over some of its dimensions."""

def outer(a: Any, b: Any) -> Any:
    """The outer product of two vectors, C = a bᵀ. (Not conjugated.)"""

def sign(A: Any) -> Any:
    """The sign of each entry, −1, 0 or 1; of complex ones the unit number A/|A|, and 0 where A is."""

def squeeze(A: Any, axis: int | Sequence[int] | None = None) -> Any:
    """A without dimensions of size 1."""

def stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape along a new dimension."""

def std(A: Any, axis: int | Sequence[int] | None = None, ddof: int = 0, keepdims: bool = False) -> Any:
    """The standard deviation of the entries of A over some of its dimensions, the root of the variance."""

def where(condition: Any, x: Any, y: Any) -> Any:
    """The entries of x where a condition holds, and those of y elsewhere."""

add: _add
add_diagonal: _add_diagonal
adjugate: _adjugate
affine: _affine
bilinear_form: _bilinear_form
cho_logdet: _cho_logdet
cho_solve: _cho_solve
cho_solve_banded: _cho_solve_banded
cholesky: _cholesky
cholesky_banded: _cholesky_banded
cholesky_downdate: _cholesky_downdate
cholesky_inverse: _cholesky_inverse
cholesky_update: _cholesky_update
concatenate: _concatenate
cond: _cond
congruence: _congruence
cos: _cos
cosm: _cosm
det: _det
diag_embed: _diag_embed
diagonal: _diagonal
eig: _eig
eigh: _eigh
eigh_generalized: _eigh_generalized
eigh_tridiagonal: _eigh_tridiagonal
eigvals: _eigvals
eigvalsh: _eigvalsh
embed: _embed
exp: _exp
expm: _expm
expm_frechet: _expm_frechet
expmh: _expmh
fill_triangular: _fill_triangular
fractional_matrix_power: _fractional_matrix_power
funm: _funm
gaussian_kl: _gaussian_kl
gaussian_logpdf: _gaussian_logpdf
gaussian_logpdf_cholesky: _gaussian_logpdf_cholesky
gaussian_logpdf_low_rank: _gaussian_logpdf_low_rank
hessenberg: _hessenberg
householder_product: _householder_product
inv: _inv
inv_congruence: _inv_congruence
inv_quad: _inv_quad
inv_quad_logdet: _inv_quad_logdet
invsqrtmh: _invsqrtmh
kron: _kron
ldl: _ldl
ldl_factor: _ldl_factor
ldl_solve: _ldl_solve
linear_covariance: _linear_covariance
linear_covariance_cross: _linear_covariance_cross
log: _log
logdet: _logdet
logm: _logm
logmh: _logmh
lstsq: _lstsq
lu: _lu
lu_factor: _lu_factor
lu_solve: _lu_solve
mask: _mask
matern: _matern
matern_cross: _matern_cross
matmul: _matmul
matrix_norm: _matrix_norm
matrix_power: _matrix_power
matrix_transpose: _matrix_transpose
multiply: _multiply
periodic: _periodic
periodic_cross: _periodic_cross
phi: _phi
pinv: _pinv
polar: _polar
polynomial: _polynomial
polynomial_covariance: _polynomial_covariance
polynomial_covariance_cross: _polynomial_covariance_cross
power: _power
powmh: _powmh
qr: _qr
quadratic: _quadratic
rational_quadratic: _rational_quadratic
rational_quadratic_cross: _rational_quadratic_cross
rbf: _rbf
rbf_cross: _rbf_cross
reciprocal: _reciprocal
reshape: _reshape
safe_cholesky: _safe_cholesky
schur: _schur
signmh: _signmh
sin: _sin
sinm: _sinm
slogdet: _slogdet
softmax_cross_entropy: _softmax_cross_entropy
softplusmh: _softplusmh
solve: _solve
solve_banded: _solve_banded
solve_continuous_are: _solve_continuous_are
solve_continuous_lyapunov: _solve_continuous_lyapunov
solve_discrete_are: _solve_discrete_are
solve_discrete_lyapunov: _solve_discrete_lyapunov
solve_sylvester: _solve_sylvester
solve_toeplitz: _solve_toeplitz
solve_triangular: _solve_triangular
spectral_function: _spectral_function
sqrt: _sqrt
sqrtm: _sqrtm
sqrtmh: _sqrtmh
squared_distance: _squared_distance
squared_distance_cross: _squared_distance_cross
squared_error: _squared_error
subset: _subset
subtract: _subtract
sum: _sum
svd: _svd
svdvals: _svdvals
tanh: _tanh
trace: _trace
transpose_matmul: _transpose_matmul
triangular_entries: _triangular_entries
tridiagonal_solve: _tridiagonal_solve
tril: _tril
triu: _triu
vec: _vec
whitened_gram: _whitened_gram
abs: _abs
conj: _conj
erf: _erf
expm1: _expm1
gammaln: _gammaln
imag: _imag
log1p: _log1p
logaddexp: _logaddexp
logsumexp: _logsumexp
maximum: _maximum
minimum: _minimum
polygamma: _polygamma
real: _real
relu: _relu
sigmoid: _sigmoid
softmax: _softmax
softplus: _softplus
var: _var

REGISTRY: dict[str, Primitive]
FUNCTIONS: dict[str, Callable[..., Any]]

__all__ = [
    "abs",
    "add",
    "add_diagonal",
    "adjugate",
    "affine",
    "affine_columns",
    "bilinear_form",
    "cho_logdet",
    "cho_solve",
    "cho_solve_banded",
    "cholesky",
    "cholesky_banded",
    "cholesky_downdate",
    "cholesky_inverse",
    "cholesky_update",
    "clip",
    "concatenate",
    "cond",
    "congruence",
    "conj",
    "cos",
    "cosm",
    "det",
    "diag_embed",
    "diagonal",
    "digamma",
    "eig",
    "eigh",
    "eigh_generalized",
    "eigh_tridiagonal",
    "eigvals",
    "eigvalsh",
    "einsum",
    "embed",
    "erf",
    "exp",
    "expand_dims",
    "expm",
    "expm1",
    "expm_frechet",
    "expmh",
    "fill_triangular",
    "fractional_matrix_power",
    "funm",
    "gammaln",
    "gaussian_kl",
    "gaussian_logpdf",
    "gaussian_logpdf_cholesky",
    "gaussian_logpdf_low_rank",
    "hessenberg",
    "householder_product",
    "imag",
    "inv",
    "inv_congruence",
    "inv_quad",
    "inv_quad_logdet",
    "invsqrtmh",
    "kron",
    "ldl",
    "ldl_factor",
    "ldl_solve",
    "linear_covariance",
    "linear_covariance_cross",
    "log",
    "log1p",
    "logaddexp",
    "logdet",
    "logm",
    "logmh",
    "logsumexp",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "mask",
    "matern",
    "matern_cross",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_transpose",
    "maximum",
    "mean",
    "minimum",
    "multiply",
    "outer",
    "periodic",
    "periodic_cross",
    "phi",
    "pinv",
    "polar",
    "polygamma",
    "polynomial",
    "polynomial_covariance",
    "polynomial_covariance_cross",
    "power",
    "powmh",
    "qr",
    "quadratic",
    "rational_quadratic",
    "rational_quadratic_cross",
    "rbf",
    "rbf_cross",
    "real",
    "reciprocal",
    "relu",
    "reshape",
    "safe_cholesky",
    "schur",
    "sigmoid",
    "sign",
    "signmh",
    "sin",
    "sinm",
    "slogdet",
    "softmax",
    "softmax_cross_entropy",
    "softplus",
    "softplusmh",
    "solve",
    "solve_banded",
    "solve_continuous_are",
    "solve_continuous_lyapunov",
    "solve_discrete_are",
    "solve_discrete_lyapunov",
    "solve_sylvester",
    "solve_toeplitz",
    "solve_triangular",
    "spectral_function",
    "sqrt",
    "sqrtm",
    "sqrtmh",
    "squared_distance",
    "squared_distance_cross",
    "squared_error",
    "squeeze",
    "stack",
    "std",
    "subset",
    "subtract",
    "sum",
    "svd",
    "svdvals",
    "tanh",
    "trace",
    "transpose_matmul",
    "triangular_entries",
    "tridiagonal_solve",
    "tril",
    "triu",
    "var",
    "vec",
    "where",
    "whitened_gram",
]
