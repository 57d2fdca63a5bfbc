"""What a type checker must refuse: each line that ends in `# error`, and no other. Read by tests/typing, never run."""

import numpy as np
import torch

import overbar
import tf_ops
import torch_ops
from torch_ops import linalg

A = torch.eye(2)
a = np.eye(2)

torch_ops.cholesky(A, uper=True)  # error
torch_ops.cholesky(A, upper="yes")  # error
torch_ops.cholesky(a)  # error
torch_ops.cholesky([[1.0]])  # error
torch_ops.cholesky()  # error
torch_ops.cholesky(A, True)  # error
torch_ops.cholesky(A, out=A)  # error
torch_ops.choleski(A)  # error
torch_ops.cholesky_solve(A)  # error
torch_ops.cholesky_solve(A, 2.0)  # error
torch_ops.solve_triangular(A, A)  # error
torch_ops.exp(2.0)  # error
torch_ops.add(A, "2")  # error
torch_ops.tril(A, diagonal=0.5)  # error
torch_ops.cat(A)  # error
torch_ops.sum(A, axis="0")  # error
torch_ops.quadratic(A)  # error
torch_ops.bilinear_form(A, A, A, A)  # error
number: float = torch_ops.trace(A)  # error
linalg.cholesky(A, uper=True)  # error
linalg.diagonal(A, 1)  # error
linalg.choleski(A)  # error
torch_ops.wrap(torch.exp)  # error
torch_ops.wrap(overbar.exp, input=1)  # error

tf_ops.cholesky(a, uper=True)  # error
tf_ops.cholesky(a, upper="yes")  # error
tf_ops.cholesky()  # error
tf_ops.choleski(a)  # error
tf_ops.solve_triangular(a, a)  # error
tf_ops.concat(a)  # error
tf_ops.wrap(torch.exp)  # error

overbar.cholesky(a, uper=True)  # error
overbar.cholesky(a, upper="yes")  # error
overbar.cholesky()  # error
overbar.choleski(a)  # error
overbar.solve_triangular(a, a)  # error
overbar.sum(a, axis="0")  # error
overbar.concatenate(1.0)  # error
overbar.jacobian(overbar.trace, a, argnum="0")  # error
overbar.mean(a, axes=0)  # error
overbar.softmax(a, axis="0")  # error
overbar.stack(1.0)  # error
overbar.einsum(a, 1, b=2)  # error
overbar.vjp(a)  # error
overbar.primitive(2)  # error
overbar.primitive("()->()", hiden=1)  # error
overbar.cholesky.vpj(None)  # error
value: int = overbar.jacobian(overbar.trace, a)  # error

torch_ops.cholesky(A)
overbar.cholesky(a)
