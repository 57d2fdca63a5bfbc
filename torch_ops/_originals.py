"""PyTorch's functions themselves, also while `torch_ops.reroute` has put others in their places.

May import torch. What the ops and the words compute with is called from here: a rule that runs inside, or in a process
where `torch_ops.install` holds, would call the ops again. A test sees to it.
"""

import types

import torch

linalg = types.SimpleNamespace(**vars(torch.linalg))
cholesky_inverse = torch.cholesky_inverse
cholesky_solve = torch.cholesky_solve
logdet = torch.logdet
norm = torch.norm
