"""What value and gradient of a Gaussian process take whose matrix is spread over ranks or workers: a model, and what
is measured beside it.

    python -m tools.scale                            what the model says, in tables
    python -m tools.scale --measure ranks            on ranks of torch.distributed, on this machine
    python -m tools.scale --measure dask             on workers of Dask, on this machine
    python -m tools.scale --save docs/scale.md       the tables into the page, too

Seconds of a measurement are of CPU, of one thread for each rank or worker: a machine with few cores says nothing of the
time that passes on many, but what each of them has to do is the same. May import NumPy and `tools.marked`, and inside
functions torch, Dask, `overbar` and the fronts.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tools.marked import saved

GB = 1e9
#: bytes of a number
WORD = 8


@dataclass(frozen=True)
class Machine:
    """What a rank or a worker runs on: flops per second, bytes per second that it gets from others, seconds that the
    shortest message takes, bytes of memory, and what an hour costs."""

    name: str
    rate: float
    network: float
    latency: float = 30e-6
    price: float = 1.5


MACHINES = [
    Machine("1 TF/s, 10 Gbit/s", 1e12, 10e9 / 8),
    Machine("1 TF/s, 25 Gbit/s", 1e12, 25e9 / 8),
    Machine("GPU of 40 TF/s, 400 Gbit/s", 4e13, 400e9 / 8, 15e-6, 4.0),
]


# ---------------------------------------------------------------------------------------------------------------------
# The model: ranks of torch.distributed


@dataclass(frozen=True)
class Ranks:
    """Value and gradient of `torch_ops.distributed.gaussian_logpdf` on a grid of ranks, tile by tile of what
    `torch_ops.distributed._algorithms` does."""

    n: int
    block: int
    rows: int
    columns: int

    @property
    def count(self):
        return self.rows * self.columns

    @property
    def tiles(self):
        return -(-self.n // self.block)

    def height(self, place, count, J):
        """The rows of the matrix in tiles from number J on that a rank in this place among so many has."""
        first = J + (place - J) % count
        tiles = range(first, self.tiles, count)
        return len(tiles) * self.block - (self.tiles * self.block - self.n if self.tiles - 1 in tiles else 0)

    def part(self, row, column):
        """The numbers of a rank's part."""
        return sum(
            self.height(row, self.rows, J) * min(self.block, self.n - J * self.block)
            for J in range(column, self.tiles, self.columns)
        )

    @property
    def parts(self):
        return [self.part(row, column) for row in range(self.rows) for column in range(self.columns)]

    @property
    def memory(self):
        """Bytes of a rank at most: the matrix, its factor and seven panels."""
        return WORD * (2 * max(self.parts) + 7 * self.n * self.block)

    @property
    def words(self):
        """The numbers that a rank gets from others, on the average: a pass for the factor, two for its gradient."""
        return 1.5 * self.n**2 * ((1 - 1 / self.columns) / self.rows + (1 - 1 / self.rows) / self.columns)

    def seconds(self, machine):
        """Seconds of value and gradient, of what passes on the slowest rank: those of products, those of the column of
        tiles that is factorised meanwhile, those of the network and those of its messages; nothing at a time."""
        b, products, panels, messages = self.block, 0.0, 0.0, 0
        steps = math.ceil(math.log2(self.rows)) + math.ceil(math.log2(self.columns))
        for J in range(self.tiles):
            tall, wide = (-(-(self.n - J * b) // (b * k)) * b for k in (self.rows, self.columns))
            # of the tiles (I, K), I ≥ K > J, those of the rank that has most: an update and two in reverse
            products += 3 * 2 * b * (tall * wide / 2 + wide * b / 2)
            panels += (1 / 3 + 2) * b**3 + 4 * tall * b * b
            messages += 5 * steps
        # a column of tiles at a time is not as fast as large products are
        return (
            products / machine.rate,
            3 * panels / machine.rate,
            WORD * self.words / machine.network,
            messages * machine.latency,
        )


# ---------------------------------------------------------------------------------------------------------------------
# The model: workers of Dask


@dataclass(frozen=True)
class Tiled:
    """Value and gradient on Dask's workers, whose tasks add up to four products of tiles each."""

    n: int
    tile: int
    workers: int

    #: seconds of the scheduler and of a worker for a task, beside what it computes
    SCHEDULER = 0.6e-3
    WORKER = 2.3e-3
    #: bytes of a worker without a matrix
    BASE = 0.12 * GB

    @property
    def tiles(self):
        return -(-self.n // self.tile)

    @property
    def tasks(self):
        """Three sums of N³/6 products, four in a task; and the tasks that finish a tile, of the covariance, its factor,
        the inverse and the bars, as many as Dask leaves after it has joined those in a row: counted for N up to 32."""
        N = self.tiles
        return round(N**3 / 8 + 2.67 * N**2 + 16 * N + 25)

    @property
    def scheduler(self):
        return self.SCHEDULER * self.tasks

    @property
    def words(self):
        """The numbers that a worker gets from others. One that has N²/2P tiles anywhere needs those of N²/P rows and
        columns of tiles, of which N (1 − exp(−N/P)) are different ones, in each of three passes over n²/2 numbers."""
        return 1.5 * self.n**2 * (1 - math.exp(-self.tiles / self.workers)) * (1 - 1 / self.workers)

    @property
    def ideal(self):
        """The same in a layout of two dimensions: 3 (n²/√P)(1 − 1/√P)."""
        return 3 * self.n**2 / self.workers**0.5 * (1 - self.workers**-0.5)

    @property
    def memory(self):
        """Bytes of a worker that spills nothing: five triangles, of the covariance, its factor, the inverse of that,
        the gradient and what came from others, and what it has anyway."""
        return self.BASE + 5 / 2 * WORD * self.n**2 / self.workers

    def seconds(self, machine):
        """Seconds of the products, of the workers' own, of the network, and of the scheduler, which is at work
        meanwhile."""
        N, P = self.tiles, self.workers
        # not before the last tile of a column is there can the next begin
        idle = 1 + 3 * P / N**2 + P**0.5 / N
        return (
            idle * self.n**3 / P / machine.rate,
            self.WORKER * self.tasks / P,
            WORD * self.words / machine.network,
            self.scheduler,
        )


# ---------------------------------------------------------------------------------------------------------------------
# What to choose


SIZES = (50_000, 100_000, 200_000)
EVALUATIONS = 60  # of value and gradient, in a fit by L-BFGS


def _row(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def _head(*cells):
    return [_row(*cells), _row(*["---"] * len(cells))]


def _seconds(x):
    return f"{x:.2g} s" if x < 10 else f"{x:,.0f} s"


def _bytes(x):
    return f"{x / GB:.2g} GB" if x < 10 * GB else f"{x / GB:,.0f} GB"


def _fit(seconds, count, machine):
    """What a fit takes."""
    hours = EVALUATIONS * seconds * count / 3600
    return f"{EVALUATIONS * seconds / 60:,.0f} min", f"{hours * machine.price:,.{0 if hours > 10 else 1}f} $"


def ranks_table():
    """What the model says of ranks."""
    yield from _head(
        "n", "ranks", "of machines with", "tiles", "memory of a rank", "received by a rank", "computing", "network",
        "in all", f"{EVALUATIONS} times", "costs",
    )  # fmt: skip
    cases = {
        50_000: [((1, 4), 0), ((4, 4), 0), ((1, 1), 2)],
        100_000: [((4, 4), 0), ((8, 8), 0), ((8, 8), 1), ((1, 2), 2)],
        200_000: [((8, 8), 0), ((10, 10), 0), ((10, 10), 1), ((2, 4), 2)],
    }
    for n, choices in cases.items():
        for (rows, columns), which in choices:
            machine = MACHINES[which]
            model = Ranks(n, 1000 if which == 2 else 512, rows, columns)
            products, panels, network, latency = model.seconds(machine)
            whole = products + panels + network + latency
            yield _row(
                f"{n:,}", f"{rows} × {columns}", machine.name, model.block, _bytes(model.memory),
                _bytes(WORD * model.words), _seconds(products + panels), _seconds(network + latency), _seconds(whole),
                *_fit(whole, model.count, machine),
            )  # fmt: skip


def dask_table():
    """What the model says of Dask's workers."""
    yield from _head(
        "n", "workers", "of machines with", "tiles", "tasks", "scheduler", "memory of a worker", "received by a worker",
        "beside the ideal", "computing", "network", "in all", f"{EVALUATIONS} times", "costs",
    )  # fmt: skip
    cases = {
        50_000: [(4, 1250, 0), (16, 1250, 0)],
        100_000: [(16, 2000, 0), (32, 2000, 0)],
        200_000: [(64, 4000, 0), (100, 4000, 0), (100, 4000, 1), (100, 2000, 1)],
    }
    for n, choices in cases.items():
        for workers, tile, which in choices:
            machine = MACHINES[which]
            model = Tiled(n, tile, workers)
            products, own, network, scheduler = model.seconds(machine)
            whole = max(products + own + network, scheduler)
            yield _row(
                f"{n:,}", workers, machine.name, f"{tile:,}", f"{model.tasks:,}", _seconds(scheduler),
                _bytes(model.memory), _bytes(WORD * model.words), f"{model.words / model.ideal:.1f} times",
                _seconds(products + own), _seconds(network), _seconds(whole), *_fit(whole, workers, machine),
            )  # fmt: skip


def scheduler_table():
    """From how many flops per second on, of all workers together, the scheduler is the limit."""
    yield from _head("tile", *[f"n = {n:,}" for n in SIZES])
    for tile in (500, 1000, 2000, 4000):
        limits = [n**3 / Tiled(n, tile, 1).scheduler / 1e12 for n in SIZES]
        yield _row(f"{tile:,}", *[f"{x:,.1f} TF/s" if x < 10 else f"{x:,.0f} TF/s" for x in limits])


# ---------------------------------------------------------------------------------------------------------------------
# Measurements


def _rank(rank, world, shape, n, block, folder, queue):
    import torch
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh

    import torch_ops.distributed as td
    from overbar import gp

    torch.set_num_threads(1)
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    mesh = init_device_mesh("cpu", shape)
    found = None
    for size in (300, n):  # the first one for whatever is done once
        torch.manual_seed(0)
        X = 10 * torch.rand(size, 4, dtype=torch.float64)
        y = torch.sin(X).sum(1)
        scales = torch.ones(4, dtype=torch.float64, requires_grad=True)
        layout = td.BlockCyclic(size, min(block, size // 8), mesh)
        dist.barrier()
        start = time.process_time()
        K = td.covariance(layout, gp.RBF(scales), X, 0.1)
        built, words = time.process_time(), layout.words
        value = td.gaussian_logpdf(y, 0.0, K)
        (bar,) = torch.autograd.grad(value, K.part)
        found = time.process_time() - built, built - start, layout.words - words, layout.numbers, bar.numel()
    queue.put((rank, *found))
    dist.destroy_process_group()


def measure_ranks(n, block, shape):
    """For each rank: seconds of CPU of value and gradient, those of the covariance, numbers received, and those of
    its part."""
    import torch.multiprocessing as mp

    world = math.prod(shape)
    with tempfile.TemporaryDirectory() as folder:
        queue = mp.get_context("spawn").SimpleQueue()
        mp.spawn(_rank, args=(world, shape, n, block, folder, queue), nprocs=world)
        return [row[1:] for row in sorted(queue.get() for _ in range(world))]


def measured_ranks(n=4000, block=200):
    """Ranks on this machine: the same matrix on more of them, and one that grows so that the work of a rank stays."""
    yield from _head(
        "n", "ranks", "part of a rank, n²", "by the model", "received, n²", "by the model", "flops of a rank",
        "CPU seconds of a rank", "flops per CPU second",
    )  # fmt: skip
    cases = [(n, shape) for shape in [(1, 1), (1, 2), (1, 4), (2, 2)]]
    cases += [(round(n * p ** (1 / 3) / block) * block, shape) for p, shape in [(2, (1, 2)), (4, (2, 2))]]
    for size, shape in cases:
        model = Ranks(size, block, *shape)
        rows = measure_ranks(size, block, shape)
        seconds, words, part = (sum(row[k] for row in rows) / len(rows) for k in (0, 2, 3))
        flops = size**3 / model.count
        expected = sum(model.parts) / model.count
        yield _row(
            f"{size:,}", f"{shape[0]} × {shape[1]}", f"{part / size**2:.3f}", f"{expected / size**2:.3f}",
            f"{words / size**2:.3f}", f"{model.words / size**2:.3f}", f"{flops:.2g}", f"{seconds:.2f}",
            f"{flops / seconds / 1e9:.1f} GF",
        )  # fmt: skip
    yield ""
    yield _where(f"Tiles of {block}, one thread for each rank, gloo")


def measured_dask(cases=((2560, 80), (4000, 400), (8000, 800)), workers=4, memory="1GB"):
    """Workers of Dask on this machine."""
    from dask.distributed import Client, LocalCluster

    from overbar.bench.distributed import measure

    yield from _head(
        "n", "tile", "workers", "tasks", "by the model", "sent, all workers", "by the model", "peak of a worker",
        "by the model", "flops per CPU second, with the scheduler", "spilled",
    )  # fmt: skip
    limits = {"n_workers": workers, "threads_per_worker": 1, "memory_limit": memory, "dashboard_address": ":0"}
    with LocalCluster(**limits) as cluster, Client(cluster) as client:
        for n, tile in cases:
            model, found = Tiled(n, tile, workers), measure(client, n, tile)
            seconds = sum(found.workers) + found.scheduler
            yield _row(
                f"{n:,}", f"{tile:,}", workers, f"{found.tasks:,}", f"{model.tasks:,}", _bytes(sum(found.sent)),
                _bytes(WORD * model.words * workers), _bytes(max(found.peak)), _bytes(model.memory),
                f"{found.flops / seconds / 1e9:.1f} GF", _bytes(sum(found.spilled)),
            )  # fmt: skip
    yield ""
    yield _where(f"One thread for each worker, {memory} of memory each")


def _where(what):
    from overbar.bench.harness import environment

    where = environment()
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    return f"{what}; {where['processor']}, {where['cores']} cores; {versions}."


MODELS = {"ranks by the model": ranks_table, "workers by the model": dask_table, "scheduler": scheduler_table}
MEASURED = {"ranks": measured_ranks, "dask": measured_dask}


def main():
    parser = argparse.ArgumentParser(prog="python -m tools.scale", description=__doc__.partition("\n")[0])
    parser.add_argument("--measure", choices=[*MEASURED], help="measure on this machine, instead of the model")
    parser.add_argument("--n", type=int, nargs="*", help="sizes to measure")
    parser.add_argument("--tile", type=int, nargs="*", help="their tiles")
    parser.add_argument("--save", type=Path, metavar="FILE", help="write the tables into this page, too")
    arguments = parser.parse_args()
    sizes = list(zip(arguments.n or (), arguments.tile or (), strict=True))
    if arguments.measure == "ranks":
        tables = {"ranks measured": measured_ranks(*sizes[0]) if sizes else measured_ranks()}
    elif arguments.measure == "dask":
        tables = {"workers measured": measured_dask(sizes) if sizes else measured_dask()}
    else:
        tables = {name: table() for name, table in MODELS.items()}
    for name, table in tables.items():
        lines = []
        for line in table:
            print(line, flush=True)
            lines.append(line)
        print(flush=True)
        if arguments.save:
            saved(arguments.save, name, lines, "python -m tools.scale")


if __name__ == "__main__":
    main()
