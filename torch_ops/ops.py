"""The ops: one line for each primitive of `overbar.rules`.

May import torch and `overbar`. Where PyTorch has the function, its name, argument names and their order are PyTorch's;
an op that has no counterpart there keeps overbar's. No op has code of its own.
"""

import torch

from overbar import rules
from overbar.primitive import as_function
from torch_ops.wrapper import TORCH


def wrap(primitive, signature=None, **names):
    """Make a primitive, one of overbar's or your own, a function of PyTorch tensors.

    The function is differentiable in reverse and forward mode, to any order, and under torch.func.

    Parameters
    ----------
    primitive : overbar.Primitive
    signature : str, optional
        Name and arguments in another order or with other names: "cholesky_solve(B, L, upper=False)".
    **names : str
        What the arguments in `signature` are called in the primitive: ``input="A"``.

    Returns
    -------
    callable
        Takes tensors (and Python numbers beside them); raises TypeError for anything else.

    Examples
    --------
    >>> import torch, overbar, torch_ops
    >>> @overbar.elementwise
    ... def cube(A):
    ...     return A**3
    >>> @cube.derivative
    ... def _(C, A):
    ...     return 3 * A**2
    >>> torch.func.grad(torch_ops.wrap(cube))(torch.tensor(2.0))
    tensor(12.)
    """
    # torch.compile puts the call into its graph without looking inside: it cannot trace Functions with a forward rule.
    return torch.compiler.allow_in_graph(as_function(primitive, TORCH, signature, names))


add = wrap(rules.add, "add(input, other)", input="A", other="B")
bilinear = wrap(rules.bilinear)
cat = wrap(rules.concatenate, "cat(tensors, dim=0)", tensors="arrays", dim="axis")
cho_logdet = wrap(rules.cho_logdet)
cho_solve = wrap(rules.cho_solve)
cholesky = wrap(rules.cholesky)
cholesky_solve = wrap(rules.cho_solve, "cholesky_solve(B, L, upper=False)")
concatenate = wrap(rules.concatenate, "concatenate(tensors, dim=0)", tensors="arrays", dim="axis")
congruence = wrap(rules.congruence)
cos = wrap(rules.cos, "cos(input)", input="A")
diag_embed = wrap(rules.diag_embed, "diag_embed(input, offset=0)", input="d")
diagonal = wrap(rules.diagonal)
embed = wrap(rules.embed)
exp = wrap(rules.exp, "exp(input)", input="A")
inv_congruence = wrap(rules.inv_congruence)
log = wrap(rules.log, "log(input)", input="A")
mask = wrap(rules.mask)
matmul = wrap(rules.matmul, "matmul(input, other)", input="A", other="B")
matrix_transpose = wrap(rules.matrix_transpose)
mul = wrap(rules.multiply, "mul(input, other)", input="A", other="B")
multiply = wrap(rules.multiply, "multiply(input, other)", input="A", other="B")
phi = wrap(rules.phi)
pow = wrap(rules.power, "pow(input, exponent)", input="A", exponent="p")
power = wrap(rules.power)
quadratic = wrap(rules.quadratic)
reciprocal = wrap(rules.reciprocal, "reciprocal(input)", input="A")
reshape = wrap(rules.reshape, "reshape(input, shape)", input="A")
sin = wrap(rules.sin, "sin(input)", input="A")
solve_triangular = wrap(rules.solve_triangular)
sqrt = wrap(rules.sqrt, "sqrt(input)", input="A")
sub = wrap(rules.subtract, "sub(input, other)", input="A", other="B")
subset = wrap(rules.subset)
subtract = wrap(rules.subtract, "subtract(input, other)", input="A", other="B")
sum = wrap(rules.sum, "sum(input, dim=None, keepdim=False)", input="A", dim="axis", keepdim="keepdims")
tanh = wrap(rules.tanh, "tanh(input)", input="A")
trace = wrap(rules.trace, "trace(input)", input="A")
transpose_matmul = wrap(rules.transpose_matmul)
tril = wrap(rules.tril, "tril(input, diagonal=0)", input="A")
triu = wrap(rules.triu, "triu(input, diagonal=0)", input="A")
vec = wrap(rules.vec)
