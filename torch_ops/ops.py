"""The ops: one entry for each primitive of `overbar.rules`.

May import torch and `overbar`. Where PyTorch has the function, its name, its arguments and their defaults are PyTorch's
(torch.linalg's before torch's, where both have the name); an op that has no counterpart there keeps overbar's. No op
has code of its own: an entry says what the op is called, which of PyTorch's functions it stands for, and which calls
are handed over to that function; `torch_ops.handover` says what that means.
"""

import torch

from overbar import rules
from torch_ops.handover import FULL, REAL, small, wrap


def _cholesky_solve(B, L, upper=False):
    # torch.cholesky_solve has a derivative that depends on the triangle of L which it does not read, and a gradient
    # there. Behind tril, it is right in reverse and forward mode, to any order.
    return torch.cholesky_solve(B, L.triu() if upper else L.tril(), upper)


def _one_system_each(A, B, *, adjoint=None, **_):
    # Many right-hand sides of one system are folded into the columns of one, which torch does not do.
    return A.dtype in FULL and adjoint is None and not A.ndim == 2 < B.ndim


def _matrix(input):
    return input.ndim == 2  # torch.trace takes no batches


add = wrap(rules.add, "add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor", builtin=torch.add)
bilinear_form = wrap(rules.bilinear_form)
cat = wrap(rules.concatenate, "cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor", builtin=torch.cat)
cho_logdet = wrap(rules.cho_logdet)
cho_solve = wrap(rules.cho_solve)
cholesky = wrap(
    rules.cholesky,
    "cholesky(A: Tensor, *, upper: bool = False) -> Tensor",
    builtin=torch.linalg.cholesky,
    # complex ones never: of a Hermitian matrix PyTorch returns a gradient that is not Hermitian
    when=lambda A, **_: small(A, 192, REAL),
)
cholesky_solve = wrap(
    rules.cho_solve,
    "cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor",
    builtin=torch.cholesky_solve,
    mended=_cholesky_solve,
    when=lambda B, L, *_, **__: small(L, 128, FULL),
)
concatenate = wrap(
    rules.concatenate, "concatenate(tensors: Sequence[Tensor], dim: int = 0) -> Tensor", builtin=torch.concatenate
)
congruence = wrap(rules.congruence)
cos = wrap(rules.cos, "cos(input: Tensor) -> Tensor", builtin=torch.cos)
diag_embed = wrap(
    rules.diag_embed,
    "diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor",
    builtin=torch.diag_embed,
)
diagonal = wrap(
    rules.diagonal,
    "diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor",
    builtin=torch.linalg.diagonal,
)
embed = wrap(rules.embed)
exp = wrap(rules.exp, "exp(input: Tensor) -> Tensor", builtin=torch.exp)
inv_congruence = wrap(rules.inv_congruence)
log = wrap(rules.log, "log(input: Tensor) -> Tensor", builtin=torch.log)
mask = wrap(rules.mask)
matmul = wrap(rules.matmul, "matmul(input: Tensor, other: Tensor) -> Tensor", builtin=torch.matmul)
matrix_transpose = wrap(rules.matrix_transpose)
mul = wrap(rules.multiply, "mul(input: Tensor, other: Tensor | Number) -> Tensor", builtin=torch.mul)
multiply = wrap(rules.multiply, "multiply(input: Tensor, other: Tensor | Number) -> Tensor", builtin=torch.multiply)
phi = wrap(rules.phi)
pow = wrap(rules.power, "pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor", builtin=torch.pow)
power = wrap(rules.power)
quadratic = wrap(rules.quadratic)
reciprocal = wrap(rules.reciprocal, "reciprocal(input: Tensor) -> Tensor", builtin=torch.reciprocal)
reshape = wrap(rules.reshape, "reshape(input: Tensor, shape: Sequence[int]) -> Tensor", builtin=torch.reshape)
sin = wrap(rules.sin, "sin(input: Tensor) -> Tensor", builtin=torch.sin)
solve_continuous_are = wrap(rules.solve_continuous_are)
solve_continuous_lyapunov = wrap(rules.solve_continuous_lyapunov)
solve_discrete_are = wrap(rules.solve_discrete_are)
solve_discrete_lyapunov = wrap(rules.solve_discrete_lyapunov)
solve_sylvester = wrap(rules.solve_sylvester)
solve_triangular = wrap(
    rules.solve_triangular,
    "solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False, "
    "adjoint: bool = False) -> Tensor",
    builtin=torch.linalg.solve_triangular,
    when=_one_system_each,
)
sqrt = wrap(rules.sqrt, "sqrt(input: Tensor) -> Tensor", builtin=torch.sqrt)
sub = wrap(
    rules.subtract, "sub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor", builtin=torch.sub
)
subset = wrap(rules.subset)
subtract = wrap(
    rules.subtract,
    "subtract(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor",
    builtin=torch.subtract,
)
sum = wrap(
    rules.sum,
    "sum(input: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False, *, "
    "dtype: torch.dtype | None = None) -> Tensor",
    builtin=torch.sum,
)
tanh = wrap(rules.tanh, "tanh(input: Tensor) -> Tensor", builtin=torch.tanh)
trace = wrap(rules.trace, "trace(input: Tensor) -> Tensor", builtin=torch.trace, when=_matrix, input="A")
transpose_matmul = wrap(rules.transpose_matmul)
tril = wrap(rules.tril, "tril(input: Tensor, diagonal: int = 0) -> Tensor", builtin=torch.tril)
triu = wrap(rules.triu, "triu(input: Tensor, diagonal: int = 0) -> Tensor", builtin=torch.triu)
vec = wrap(rules.vec)
