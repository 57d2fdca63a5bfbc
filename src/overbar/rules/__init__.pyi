# This file is written by docs/generate.py.
from collections.abc import Sequence
from typing import Any

from overbar.primitive import Primitive

class _add(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The sum C = A + B, entry by entry."""

class _bilinear_form(Primitive):
    def __call__(self, x: Any, A: Any, y: Any) -> Any:
        """The bilinear form c = xᵀ A y."""

class _cho_logdet(Primitive):
    def __call__(self, L: Any) -> Any:
        """The logarithm of the determinant of A = L Lᴴ from its Cholesky factor, lower or upper."""

class _cho_solve(Primitive):
    def __call__(self, L: Any, B: Any, upper: bool = False) -> Any:
        """The solution X of A X = B from the Cholesky factor of A."""

class _cholesky(Primitive):
    def __call__(self, A: Any, upper: bool = False) -> Any:
        """The Cholesky factor of a symmetric (Hermitian) positive definite matrix: A = L Lᴴ."""

class _concatenate(Primitive):
    def __call__(self, arrays: Sequence[Any], axis: int = 0) -> Any:
        """Arrays joined along a dimension."""

class _congruence(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The matrix quadratic form C = Bᵀ A B."""

class _cos(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = cos A, the cosine of each entry."""

class _diag_embed(Primitive):
    def __call__(self, d: Any, offset: int = 0) -> Any:
        """The square matrix with d on a diagonal, C[i, i + offset] = dᵢ, and zero elsewhere: the adjoint of
        `diagonal`."""

class _diagonal(Primitive):
    def __call__(self, A: Any, offset: int = 0) -> Any:
        """A diagonal of A as a vector, Cᵢ = A[i, i + offset] (for a negative offset A[i − offset, i])."""

class _embed(Primitive):
    def __call__(self, B: Any, index: Any, shape: int | Sequence[int]) -> Any:
        """The array C of zeros of a given shape, but for B at an index: ``C[index] += B``."""

class _exp(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = exp A, the exponential function of each entry."""

class _inv_congruence(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The matrix quadratic form with the inverse, C = Bᵀ A⁻¹ B, without forming A⁻¹."""

class _log(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = log A, the natural logarithm of each entry."""

class _mask(Primitive):
    def __call__(self, A: Any, mask: Any) -> Any:
        """The entries of A where a mask is true, zero elsewhere (whatever A holds there, NaN too)."""

class _matmul(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The matrix product C = A B."""

class _matrix_transpose(Primitive):
    def __call__(self, A: Any) -> Any:
        """The transpose C = Aᵀ of the last two dimensions. (Not conjugated.)"""

class _multiply(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The product C = A ∘ B, entry by entry (Hadamard's)."""

class _phi(Primitive):
    def __call__(self, A: Any) -> Any:
        """Φ(A), the lower triangle of A with halved diagonal, which appears in every rule of the Cholesky
        decomposition."""

class _power(Primitive):
    def __call__(self, A: Any, p: Any) -> Any:
        """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable."""

class _quadratic(Primitive):
    def __call__(self, A: Any, x: Any) -> Any:
        """The quadratic form c = xᵀ A x."""

class _reciprocal(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = 1/A, the reciprocal of each entry."""

class _reshape(Primitive):
    def __call__(self, A: Any, shape: int | Sequence[int]) -> Any:
        """The entries of A, in row-major order, in another shape."""

class _sin(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = sin A, the sine of each entry."""

class _solve_triangular(Primitive):
    def __call__(
        self, A: Any, B: Any, upper: bool, left: bool = True, unitriangular: bool = False, adjoint: bool = False
    ) -> Any:
        """The solution X of a triangular system, op(A) X = B or X op(A) = B."""

class _sqrt(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = sqrt A, the square root of each entry."""

class _subset(Primitive):
    def __call__(self, A: Any, index: Any) -> Any:
        """A selection of the entries of A, ``C = A[index]``."""

class _subtract(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The difference C = A − B, entry by entry."""

class _sum(Primitive):
    def __call__(self, A: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False) -> Any:
        """The sum of the entries of A over some of its dimensions."""

class _tanh(Primitive):
    def __call__(self, A: Any) -> Any:
        """The function C = tanh A, the hyperbolic tangent of each entry."""

class _trace(Primitive):
    def __call__(self, A: Any) -> Any:
        """The trace c = Σ Aᵢᵢ."""

class _transpose_matmul(Primitive):
    def __call__(self, A: Any, B: Any) -> Any:
        """The product C = Aᵀ B, without forming Aᵀ. (Transposed, not conjugated.)"""

class _tril(Primitive):
    def __call__(self, A: Any, diagonal: int = 0) -> Any:
        """The lower triangle of A: entries with j − i ≤ diagonal, zero elsewhere."""

class _triu(Primitive):
    def __call__(self, A: Any, diagonal: int = 0) -> Any:
        """The upper triangle of A: entries with j − i ≥ diagonal, zero elsewhere."""

class _vec(Primitive):
    def __call__(self, A: Any) -> Any:
        """vec(A): the columns of A stacked into one vector."""

add: _add
bilinear_form: _bilinear_form
cho_logdet: _cho_logdet
cho_solve: _cho_solve
cholesky: _cholesky
concatenate: _concatenate
congruence: _congruence
cos: _cos
diag_embed: _diag_embed
diagonal: _diagonal
embed: _embed
exp: _exp
inv_congruence: _inv_congruence
log: _log
mask: _mask
matmul: _matmul
matrix_transpose: _matrix_transpose
multiply: _multiply
phi: _phi
power: _power
quadratic: _quadratic
reciprocal: _reciprocal
reshape: _reshape
sin: _sin
solve_triangular: _solve_triangular
sqrt: _sqrt
subset: _subset
subtract: _subtract
sum: _sum
tanh: _tanh
trace: _trace
transpose_matmul: _transpose_matmul
tril: _tril
triu: _triu
vec: _vec

REGISTRY: dict[str, Primitive]

__all__ = [
    "add",
    "bilinear_form",
    "cho_logdet",
    "cho_solve",
    "cholesky",
    "concatenate",
    "congruence",
    "cos",
    "diag_embed",
    "diagonal",
    "embed",
    "exp",
    "inv_congruence",
    "log",
    "mask",
    "matmul",
    "matrix_transpose",
    "multiply",
    "phi",
    "power",
    "quadratic",
    "reciprocal",
    "reshape",
    "sin",
    "solve_triangular",
    "sqrt",
    "subset",
    "subtract",
    "sum",
    "tanh",
    "trace",
    "transpose_matmul",
    "tril",
    "triu",
    "vec",
]
