# This file is written by docs/generate.py.
from collections.abc import Sequence
from typing import Any

def add(x: Any, y: Any, name: str | None = None) -> Any:
    """The sum C = A + B, entry by entry."""

def bilinear_form(x: Any, A: Any, y: Any, *, name: str | None = None) -> Any:
    """The bilinear form c = xᵀ A y."""

def cho_logdet(L: Any, *, name: str | None = None) -> Any:
    """The logarithm of the determinant of A = L Lᴴ from its Cholesky factor, lower or upper."""

def cho_solve(L: Any, B: Any, *, upper: bool = False, name: str | None = None) -> Any:
    """The solution X of A X = B from the Cholesky factor of A."""

def cholesky(input: Any, name: str | None = None, *, upper: bool = False) -> Any:
    """The Cholesky factor of a symmetric (Hermitian) positive definite matrix: A = L Lᴴ."""

def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Any:
    """The solution X of A X = B from the Cholesky factor of A."""

def concat(values: Sequence[Any], axis: int, name: str | None = "concat") -> Any:
    """Arrays joined along a dimension."""

def concatenate(arrays: Sequence[Any], *, axis: int = 0, name: str | None = None) -> Any:
    """Arrays joined along a dimension."""

def congruence(A: Any, B: Any, *, name: str | None = None) -> Any:
    """The matrix quadratic form C = Bᵀ A B."""

def cos(x: Any, name: str | None = None) -> Any:
    """The function C = cos A, the cosine of each entry."""

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

def embed(B: Any, *, index: Any, shape: int | Sequence[int], name: str | None = None) -> Any:
    """The array C of zeros of a given shape, but for B at an index: ``C[index] += B``."""

def exp(x: Any, name: str | None = None) -> Any:
    """The function C = exp A, the exponential function of each entry."""

def inv_congruence(A: Any, B: Any, *, name: str | None = None) -> Any:
    """The matrix quadratic form with the inverse, C = Bᵀ A⁻¹ B, without forming A⁻¹."""

def log(x: Any, name: str | None = None) -> Any:
    """The function C = log A, the natural logarithm of each entry."""

def mask(A: Any, *, mask: Any, name: str | None = None) -> Any:
    """The entries of A where a mask is true, zero elsewhere (whatever A holds there, NaN too)."""

def matmul(
    a: Any,
    b: Any,
    transpose_a: Any = False,
    transpose_b: Any = False,
    adjoint_a: Any = False,
    adjoint_b: Any = False,
    a_is_sparse: Any = False,
    b_is_sparse: Any = False,
    output_type: Any = None,
    grad_a: Any = False,
    grad_b: Any = False,
    name: str | None = None,
) -> Any:
    """The matrix product C = A B."""

def matrix_transpose(a: Any, name: str | None = "matrix_transpose", conjugate: Any = False) -> Any:
    """The transpose C = Aᵀ of the last two dimensions. (Not conjugated.)"""

def multiply(x: Any, y: Any, name: str | None = None) -> Any:
    """The product C = A ∘ B, entry by entry (Hadamard's)."""

def phi(A: Any, *, name: str | None = None) -> Any:
    """Φ(A), the lower triangle of A with halved diagonal, which appears in every rule of the Cholesky
    decomposition."""

def pow(x: Any, y: Any, name: str | None = None) -> Any:
    """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable."""

def power(A: Any, p: Any, *, name: str | None = None) -> Any:
    """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable."""

def quadratic(A: Any, x: Any, *, name: str | None = None) -> Any:
    """The quadratic form c = xᵀ A x."""

def reciprocal(x: Any, name: str | None = None) -> Any:
    """The function C = 1/A, the reciprocal of each entry."""

def reduce_sum(
    input_tensor: Any, axis: int | Sequence[int] | None = None, keepdims: bool = False, name: str | None = None
) -> Any:
    """The sum of the entries of A over some of its dimensions."""

def reshape(tensor: Any, shape: int | Sequence[int], name: str | None = None) -> Any:
    """The entries of A, in row-major order, in another shape."""

def sin(x: Any, name: str | None = None) -> Any:
    """The function C = sin A, the sine of each entry."""

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

def sqrt(x: Any, name: str | None = None) -> Any:
    """The function C = sqrt A, the square root of each entry."""

def subset(A: Any, *, index: Any, name: str | None = None) -> Any:
    """A selection of the entries of A, ``C = A[index]``."""

def subtract(x: Any, y: Any, name: str | None = None) -> Any:
    """The difference C = A − B, entry by entry."""

def sum(A: Any, *, axis: int | Sequence[int] | None = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The sum of the entries of A over some of its dimensions."""

def tanh(x: Any, name: str | None = None) -> Any:
    """The function C = tanh A, the hyperbolic tangent of each entry."""

def trace(x: Any, name: str | None = None) -> Any:
    """The trace c = Σ Aᵢᵢ."""

def transpose_matmul(A: Any, B: Any, *, name: str | None = None) -> Any:
    """The product C = Aᵀ B, without forming Aᵀ. (Transposed, not conjugated.)"""

def triangular_solve(matrix: Any, rhs: Any, lower: Any = True, adjoint: bool = False, name: str | None = None) -> Any:
    """The solution X of a triangular system, op(A) X = B or X op(A) = B."""

def tril(A: Any, *, diagonal: int = 0, name: str | None = None) -> Any:
    """The lower triangle of A: entries with j − i ≤ diagonal, zero elsewhere."""

def triu(A: Any, *, diagonal: int = 0, name: str | None = None) -> Any:
    """The upper triangle of A: entries with j − i ≥ diagonal, zero elsewhere."""

def vec(A: Any, *, name: str | None = None) -> Any:
    """vec(A): the columns of A stacked into one vector."""
