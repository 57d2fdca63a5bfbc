"""An exact Gaussian process, fitted by L-BFGS, whose covariance matrix is spread over the ranks of torch.distributed.

    python examples/distributed_gp.py
    torchrun --nproc-per-node 2 examples/distributed_gp.py
    torchrun --nproc-per-node 4 examples/distributed_gp.py --grid 2 2 --points 8000

Every rank runs this program, with the same data and the same parameters, and so every rank sees the same loss and the
same gradient. Only the matrices are in parts.
"""

import argparse
import os
import time

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh

import torch_ops.distributed as td
from overbar import gp

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--points", type=int, default=1000, help="how many points")
parser.add_argument("--block", type=int, help="the size of the tiles")
parser.add_argument("--grid", type=int, nargs=2, help="rows and columns of ranks; by default a single row")
parser.add_argument("--steps", type=int, default=30, help="steps of L-BFGS at most")
arguments = parser.parse_args()

on_gpu = torch.cuda.is_available()
if on_gpu:
    torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
backend = "nccl" if on_gpu else "gloo"
if "RANK" in os.environ:  # torchrun has started several processes
    dist.init_process_group(backend)
else:
    dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)

if arguments.grid and arguments.grid[0] * arguments.grid[1] != dist.get_world_size():
    parser.error(
        f"--grid {' '.join(map(str, arguments.grid))} is no grid of {dist.get_world_size()} ranks: see torchrun"
    )
n, first = arguments.points, dist.get_rank() == 0
shape = tuple(arguments.grid) if arguments.grid else (dist.get_world_size(),)
layout = td.BlockCyclic(n, arguments.block, init_device_mesh("cuda" if on_gpu else "cpu", shape))
print(f"rank {dist.get_rank()} has {layout.numbers / n**2:.3f} n² numbers of the covariance matrix", flush=True)

generator = torch.Generator().manual_seed(0)  # the same numbers on every rank
X = 10 * torch.rand(n, 4, generator=generator, dtype=torch.float64)
y = torch.sin(X[:, 0]) + torch.cos(X[:, 2] / 2) + 0.1 * torch.randn(n, generator=generator, dtype=torch.float64)
X_new = 10 * torch.rand(200, 4, generator=generator, dtype=torch.float64)
X, y, X_new = (x.to(layout.device) for x in (X, y, X_new))
center = y.mean()


def parameter(*values):
    return torch.tensor(values, dtype=torch.float64, device=layout.device).log().requires_grad_()


log_scales, log_variance, log_noise = parameter(3.0, 3.0, 3.0, 3.0), parameter(1.0), parameter(0.1)
parameters = [log_scales, log_variance, log_noise]


def kernel():
    return gp.RBF(log_scales.exp(), log_variance.exp()[0])


optimizer = torch.optim.LBFGS(
    parameters, max_iter=arguments.steps, tolerance_grad=1e-4, tolerance_change=1e-6, line_search_fn="strong_wolfe"
)


def closure():
    optimizer.zero_grad()
    K = td.covariance(layout, kernel(), X, log_noise.exp()[0])
    loss = -td.gaussian_logpdf(y, center, K) / n
    loss.backward()
    if first:
        print(f"loss {loss.item():.6f}", flush=True)
    return loss


start = time.perf_counter()
optimizer.step(closure)
seconds = time.perf_counter() - start

with torch.no_grad():
    K = td.covariance(layout, kernel(), X, log_noise.exp()[0])
    weights = td.cholesky_solve((y - center)[:, None], td.cholesky(K))
    mean = center + (kernel()(X_new, X) @ weights)[:, 0]
    error = (mean - torch.sin(X_new[:, 0]) - torch.cos(X_new[:, 2] / 2)).square().mean().sqrt().item()

if first:
    print(f"length scales {', '.join(f'{x:.3g}' for x in log_scales.exp().tolist())}")
    print(f"noise {log_noise.exp().sqrt().item():.3f}, error of the prediction {error:.3f}, {seconds:.1f} s")
dist.destroy_process_group()
