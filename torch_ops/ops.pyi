# This file is written by docs/generate.py.
from collections.abc import Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor

Number: TypeAlias = int | float | complex

def add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor:
    """The sum C = A + B, entry by entry."""

def bilinear_form(x: Tensor, A: Tensor, y: Tensor) -> Tensor:
    """The bilinear form c = xᵀ A y."""

def cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Arrays joined along a dimension."""

def cho_logdet(L: Tensor) -> Tensor:
    """The logarithm of the determinant of A = L Lᴴ from its Cholesky factor, lower or upper."""

def cho_solve(L: Tensor, B: Tensor, *, upper: bool = False) -> Tensor:
    """The solution X of A X = B from the Cholesky factor of A."""

def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The Cholesky factor of a symmetric (Hermitian) positive definite matrix: A = L Lᴴ."""

def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The solution X of A X = B from the Cholesky factor of A."""

def concatenate(tensors: Sequence[Tensor], dim: int = 0) -> Tensor:
    """Arrays joined along a dimension."""

def congruence(A: Tensor, B: Tensor) -> Tensor:
    """The matrix quadratic form C = Bᵀ A B."""

def cos(input: Tensor) -> Tensor:
    """The function C = cos A, the cosine of each entry."""

def diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The square matrix with d on a diagonal, C[i, i + offset] = dᵢ, and zero elsewhere: the adjoint of
    `diagonal`."""

def diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A diagonal of A as a vector, Cᵢ = A[i, i + offset] (for a negative offset A[i − offset, i])."""

def embed(B: Tensor, *, index: Any, shape: int | Sequence[int]) -> Tensor:
    """The array C of zeros of a given shape, but for B at an index: ``C[index] += B``."""

def exp(input: Tensor) -> Tensor:
    """The function C = exp A, the exponential function of each entry."""

def inv_congruence(A: Tensor, B: Tensor) -> Tensor:
    """The matrix quadratic form with the inverse, C = Bᵀ A⁻¹ B, without forming A⁻¹."""

def log(input: Tensor) -> Tensor:
    """The function C = log A, the natural logarithm of each entry."""

def mask(A: Tensor, *, mask: Any) -> Tensor:
    """The entries of A where a mask is true, zero elsewhere (whatever A holds there, NaN too)."""

def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product C = A B."""

def matrix_transpose(A: Tensor) -> Tensor:
    """The transpose C = Aᵀ of the last two dimensions. (Not conjugated.)"""

def mul(input: Tensor, other: Tensor | Number) -> Tensor:
    """The product C = A ∘ B, entry by entry (Hadamard's)."""

def multiply(input: Tensor, other: Tensor | Number) -> Tensor:
    """The product C = A ∘ B, entry by entry (Hadamard's)."""

def phi(A: Tensor) -> Tensor:
    """Φ(A), the lower triangle of A with halved diagonal, which appears in every rule of the Cholesky
    decomposition."""

def pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor:
    """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable."""

def power(A: Tensor | Number, p: Tensor | Number) -> Tensor:
    """The power C = Aᵖ, entry by entry; both the base and the exponent are differentiable."""

def quadratic(A: Tensor, x: Tensor) -> Tensor:
    """The quadratic form c = xᵀ A x."""

def reciprocal(input: Tensor) -> Tensor:
    """The function C = 1/A, the reciprocal of each entry."""

def reshape(input: Tensor, shape: Sequence[int]) -> Tensor:
    """The entries of A, in row-major order, in another shape."""

def sin(input: Tensor) -> Tensor:
    """The function C = sin A, the sine of each entry."""

def solve_triangular(
    A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False, adjoint: bool = False
) -> Tensor:
    """The solution X of a triangular system, op(A) X = B or X op(A) = B."""

def sqrt(input: Tensor) -> Tensor:
    """The function C = sqrt A, the square root of each entry."""

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

def tanh(input: Tensor) -> Tensor:
    """The function C = tanh A, the hyperbolic tangent of each entry."""

def trace(input: Tensor) -> Tensor:
    """The trace c = Σ Aᵢᵢ."""

def transpose_matmul(A: Tensor, B: Tensor) -> Tensor:
    """The product C = Aᵀ B, without forming Aᵀ. (Transposed, not conjugated.)"""

def tril(input: Tensor, diagonal: int = 0) -> Tensor:
    """The lower triangle of A: entries with j − i ≤ diagonal, zero elsewhere."""

def triu(input: Tensor, diagonal: int = 0) -> Tensor:
    """The upper triangle of A: entries with j − i ≥ diagonal, zero elsewhere."""

def vec(A: Tensor) -> Tensor:
    """vec(A): the columns of A stacked into one vector."""
