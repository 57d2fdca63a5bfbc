"""The examples in the docstrings of the ops, by name. This file is written by docs/generate.py."""

EXAMPLES = {
    "add": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> B = torch.tensor([1.0, 1.0])
>>> torch_ops.add(A, B)
tensor([[2., 2.],
        [2., 2.]])
""",
    "bilinear_form": """\
>>> import torch, torch_ops
>>> x = torch.tensor([1.0, 2.0])
>>> A = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
>>> y = torch.tensor([3.0, 4.0])
>>> torch_ops.bilinear_form(x, A, y)
tensor(11.)
""",
    "cat": """\
>>> import torch, torch_ops
>>> torch_ops.cat([torch.tensor([1.0]), torch.tensor([2.0, 3.0])])
tensor([1., 2., 3.])
""",
    "cho_logdet": """\
>>> import torch, torch_ops
>>> L = torch.tensor([[1.0, 0.0], [0.0, 2.718281828459045]])
>>> torch_ops.cho_logdet(L)
tensor(2.)
""",
    "cho_solve": """\
>>> import torch, torch_ops
>>> L = torch.tensor([[2.0, 0.0], [1.0, 2.0]])
>>> B = torch.tensor([6.0, 7.0])
>>> torch_ops.cho_solve(L, B)
tensor([1., 1.])
""",
    "cholesky": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[4.0, 2.0], [2.0, 5.0]])
>>> torch_ops.cholesky(A)
tensor([[2., 0.],
        [1., 2.]])
""",
    "cholesky_solve": """\
>>> import torch, torch_ops
>>> B = torch.tensor([6.0, 7.0])
>>> L = torch.tensor([[2.0, 0.0], [1.0, 2.0]])
>>> torch_ops.cholesky_solve(B, L)
tensor([1., 1.])
""",
    "concatenate": """\
>>> import torch, torch_ops
>>> torch_ops.concatenate([torch.tensor([1.0]), torch.tensor([2.0, 3.0])])
tensor([1., 2., 3.])
""",
    "congruence": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
>>> B = torch.tensor([[1.0], [2.0]])
>>> torch_ops.congruence(A, B)
tensor([[5.]])
""",
    "cos": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 0.0])
>>> torch_ops.cos(A)
tensor([1., 1.])
""",
    "diag_embed": """\
>>> import torch, torch_ops
>>> d = torch.tensor([1.0, 2.0])
>>> torch_ops.diag_embed(d)
tensor([[1., 0.],
        [0., 2.]])
""",
    "diagonal": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
>>> torch_ops.diagonal(A, offset=1)
tensor([2.])
""",
    "embed": """\
>>> import torch, torch_ops
>>> B = torch.tensor([1.0, 2.0])
>>> torch_ops.embed(B, index=(slice(0, 2, None), 1), shape=(2, 2))
tensor([[0., 1.],
        [0., 2.]])
""",
    "exp": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 0.0])
>>> torch_ops.exp(A)
tensor([1., 1.])
""",
    "inv_congruence": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
>>> B = torch.tensor([[1.0], [2.0]])
>>> torch_ops.inv_congruence(A, B)
tensor([[2.5000]])
""",
    "log": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 2.0])
>>> torch_ops.log(A)
tensor([0.0000, 0.6931])
""",
    "mask": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, float("nan")])
>>> torch_ops.mask(A, mask=[True, False])
tensor([1., 0.])
""",
    "matmul": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0]])
>>> B = torch.tensor([[3.0], [4.0]])
>>> torch_ops.matmul(A, B)
tensor([[11.]])
""",
    "matrix_transpose": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0]])
>>> torch_ops.matrix_transpose(A)
tensor([[1.],
        [2.]])
""",
    "mul": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 2.0])
>>> B = torch.tensor([3.0, 4.0])
>>> torch_ops.mul(A, B)
tensor([3., 8.])
""",
    "multiply": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 2.0])
>>> B = torch.tensor([3.0, 4.0])
>>> torch_ops.multiply(A, B)
tensor([3., 8.])
""",
    "phi": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 2.0], [2.0, 2.0]])
>>> torch_ops.phi(A)
tensor([[1., 0.],
        [2., 1.]])
""",
    "pow": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 3.0])
>>> torch_ops.pow(A, 2.0)
tensor([0., 9.])
""",
    "power": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 3.0])
>>> torch_ops.power(A, 2.0)
tensor([0., 9.])
""",
    "quadratic": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [0.0, 3.0]])
>>> x = torch.tensor([1.0, 1.0])
>>> torch_ops.quadratic(A, x)
tensor(6.)
""",
    "reciprocal": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 2.0])
>>> torch_ops.reciprocal(A)
tensor([1.0000, 0.5000])
""",
    "reshape": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
>>> torch_ops.reshape(A, shape=(4,))
tensor([1., 2., 3., 4.])
""",
    "sin": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 0.0])
>>> torch_ops.sin(A)
tensor([0., 0.])
""",
    "solve_triangular": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[2.0, 0.0], [1.0, 2.0]])
>>> B = torch.tensor([2.0, 5.0])
>>> torch_ops.solve_triangular(A, B, upper=False)
tensor([1., 2.])
""",
    "sqrt": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 4.0])
>>> torch_ops.sqrt(A)
tensor([1., 2.])
""",
    "sub": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 1.0])
>>> B = torch.tensor([1.0, 1.0])
>>> torch_ops.sub(A, B)
tensor([0., 0.])
""",
    "subset": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 2.0, 3.0])
>>> torch_ops.subset(A, index=[0, 0, 2])
tensor([1., 1., 3.])
""",
    "subtract": """\
>>> import torch, torch_ops
>>> A = torch.tensor([1.0, 1.0])
>>> B = torch.tensor([1.0, 1.0])
>>> torch_ops.subtract(A, B)
tensor([0., 0.])
""",
    "sum": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.sum(A)
tensor(4.)
""",
    "tanh": """\
>>> import torch, torch_ops
>>> A = torch.tensor([0.0, 0.0])
>>> torch_ops.tanh(A)
tensor([0., 0.])
""",
    "trace": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.trace(A)
tensor(2.)
""",
    "transpose_matmul": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0], [2.0]])
>>> B = torch.tensor([[3.0], [4.0]])
>>> torch_ops.transpose_matmul(A, B)
tensor([[11.]])
""",
    "tril": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.tril(A)
tensor([[1., 0.],
        [1., 1.]])
""",
    "triu": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 1.0], [1.0, 1.0]])
>>> torch_ops.triu(A, diagonal=1)
tensor([[0., 1.],
        [0., 0.]])
""",
    "vec": """\
>>> import torch, torch_ops
>>> A = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
>>> torch_ops.vec(A)
tensor([1., 3., 2., 4.])
""",
}
