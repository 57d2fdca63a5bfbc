"""The demo of a matrix that no worker holds: value and gradient of a Gaussian process on a cluster of Dask's.

May import NumPy, rich and `overbar.bench`, and inside functions `overbar`, Dask and distributed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import warnings
from dataclasses import dataclass

import numpy as np
from rich.console import Console

from overbar.bench.distributed import Measured, ideal_bytes, measure, on_one_thread
from overbar.bench.progress import progress_bar
from overbar.bench.report import show_load
from overbar.demo.tables import new_table

#: So many points are also computed in one process, to compare with.
BESIDE = 3000

#: How closely value and gradient of these agree, relative to the largest entry.
AGREEMENT = 1e-10

#: Between these are the sizes of tiles that are chosen where nothing is said, for sixteen of them in a row.
SMALLEST, LARGEST, IN_A_ROW = 500, 2000, 16


@dataclass(frozen=True)
class Plan:
    """What to do, after everything that could stop it has been looked at."""

    n: int
    workers: int
    memory: int | None
    tile: int
    scheduler: str | None


def prepare(*, n=None, workers=4, memory="1GB", tile=None, scheduler=None) -> Plan:
    """Check everything before the long work. Raises ValueError for wrong arguments and ImportError for missing
    packages, with the words to show to the user."""
    if importlib.util.find_spec("distributed") is None or importlib.util.find_spec("dask") is None:
        raise ImportError('clusters need Dask. Install it with: pip install "overbar[dask]"')
    from dask.utils import parse_bytes

    n = 16_000 if n is None else n
    if n < 2:
        raise ValueError(f"--n is {n}; a cluster has at least two points to work on.")
    if workers < 1:
        raise ValueError(f"--workers is {workers}; there must be one at least.")
    try:
        limit = parse_bytes(memory)
    except ValueError:
        raise ValueError(f"--memory is {memory!r}. Say a number and a unit, such as 1GB or 800MiB.") from None
    if tile is None:
        tile = min(n, max(SMALLEST, min(LARGEST, -(-n // IN_A_ROW))))
    if not 1 <= tile <= n:
        raise ValueError(f"--tile is {tile}; it must be between 1 and the number of points, {n}.")
    return Plan(n, workers, None if scheduler else limit, tile, scheduler)


@contextlib.contextmanager
def connected(plan, console):
    """A client of the cluster: of the one that somebody has, or of one on this machine for as long as this lasts."""
    import dask
    from distributed import Client, LocalCluster

    if plan.scheduler is not None:
        try:
            client = Client(plan.scheduler, timeout="10s", set_as_default=False)
        except OSError as error:
            raise ValueError(f"no scheduler of Dask's answers at {plan.scheduler!r}: {error}") from None
        with client:
            yield client
        return
    # a worker's threads are one: its products are large, and there are as many workers as are to work
    with (
        warnings.catch_warnings(),
        dask.config.set({"distributed.worker.profile.enabled": False}),
        LocalCluster(
            n_workers=plan.workers, threads_per_worker=1, memory_limit=plan.memory, dashboard_address=":0",
            silence_logs=50,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):  # fmt: skip
        client.wait_for_workers(plan.workers)
        yield client


def run(plan: Plan, console: Console) -> bool:
    """Measure and print. Returns whether the cluster and one process agree. Raises ValueError where the cluster is not
    there, or does not survive it."""
    from distributed.comm import CommClosedError
    from distributed.scheduler import KilledWorker

    show_load(console)
    try:
        return _run(plan, console)
    except KilledWorker as error:
        raise ValueError(
            f"workers died of the same task, most likely for want of memory ({error}). Take smaller tiles (--tile), "
            "more workers, or more memory for each."
        ) from None
    except CommClosedError as error:
        raise ValueError(f"the scheduler is gone: {error}") from None


def _run(plan, console):
    size = 8 * plan.n**2
    with connected(plan, console) as client:
        workers = client.scheduler_info(n_workers=-1)["workers"]
        if not workers:
            raise ValueError("the cluster has no workers.")
        limits = [worker["memory_limit"] for worker in workers.values()]
        console.print(
            f"A Gaussian process of {plan.n:,} points with a length scale for each of 4 inputs, on {len(workers)} "
            f"workers. Its covariance matrix has {_bytes(size)}, "
            + (
                f"a worker {_bytes(min(limits))} of memory. "
                if min(limits)
                else "the memory of a worker has no limit. "
            )
            + f"Tiles of {plan.tile:,}: {-(-plan.n // plan.tile)} in a row.",
            highlight=False,
        )
        console.print(f"The dashboard of the cluster: {client.dashboard_link}", highlight=False, soft_wrap=True)
        beside = min(plan.n, BESIDE)
        agreement, rate = _agreement(client, beside, console)
        with progress_bar(console, unit="tasks") as progress:
            task = progress.add_task("value and gradient", total=None)
            found = measure(
                client,
                plan.n,
                plan.tile,
                progress=lambda done, total: progress.update(task, completed=done, total=max(total, done)),
            )
    _print(plan, found, rate, beside, console)
    right = agreement < AGREEMENT
    colour = "green" if right else "bold red"
    console.print(
        f"[{colour}]At {beside:,} points the cluster and one process agree to {agreement:.0e}[/{colour}], value and "
        "gradient.",
        highlight=False,
    )
    return right


def _agreement(client, n, console):
    """How far value and gradient of n points are from those of one process, and its flops per second of CPU. It is one
    of the workers, whose BLAS has as many threads as theirs: two that wait for each other would look slow here."""
    with console.status(f"{n:,} points in one process"):
        client.submit(on_one_thread, min(n, 300), pure=False).result()  # imports and tables
        value, gradient, seconds = client.submit(on_one_thread, n, pure=False).result()
    with console.status(f"{n:,} points on the cluster"):
        found = measure(client, n, max(1, -(-n // 7)))
    errors = [abs(found.value - value) / abs(value)]
    for name, bar in gradient.items():
        errors.append(np.max(np.abs(found.gradient[name] - bar)) / np.max(np.abs(bar)))
    return float(max(errors)), n**3 / seconds


def _print(plan: Plan, found: Measured, rate: float, beside: int, console: Console):
    table = new_table("Value and gradient", "", "")
    table.show_header = False
    cpu = sum(found.workers)
    ideal = len(found.sent) * ideal_bytes(plan.n, len(found.sent))
    rows = [
        ("−log likelihood", f"{-found.value:,.4f}"),
        ("seconds", f"{found.seconds:,.1f}"),
        ("seconds of CPU, all workers", f"{cpu:,.1f}"),
        ("seconds of CPU, scheduler and client", f"{found.scheduler:,.1f}"),
        ("flops per second of CPU, workers", _flops(found.flops / cpu)),
        ("the same with the scheduler", _flops(found.flops / (cpu + found.scheduler))),
        (f"the same in one process, {beside:,} points", _flops(rate)),
        ("tasks", f"{found.tasks:,}"),
        ("sent by all workers", _bytes(sum(found.sent))),
        ("the ideal of a layout of two dimensions", _bytes(ideal)),
        ("written to disk", _bytes(sum(found.spilled))),
    ]
    for row in rows:
        table.add_row(*row)
    console.print(table)
    table = new_table("Each worker", "", "seconds of CPU", "sent", "written to disk", "peak memory")
    for i, row in enumerate(zip(found.workers, found.sent, found.spilled, found.peak, strict=True)):
        seconds, *sizes = row
        table.add_row(str(i + 1), f"{seconds:,.1f}", *map(_bytes, sizes))
    console.print(table)


def _bytes(count):
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "bytes" or count >= 100 else f"{count:.2f} {unit}"
        count /= 1000


def _flops(rate):
    return f"{rate / 1e9:.1f} GF/s"
