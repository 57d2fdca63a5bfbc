"""A Gaussian process on a cluster of Dask's: value and gradient of the likelihood, measured.

May import NumPy, SciPy, and inside functions `overbar`, Dask and `dask_ops`. Seconds are of CPU: of all threads of the
workers, and of the process with the scheduler and the client.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

__all__ = ["SETTINGS", "Measured", "data", "graph", "ideal_bytes", "likelihood", "measure", "on_one_thread"]

#: Settings of Dask's, to be made before workers are started. By default each worker takes two percent of a core to look
#: at itself, and the scheduler four; and memory that a worker frees goes back to the system at once, so that every tile
#: is new memory, which takes longer to get than to fill: a fifth of all CPU, for tiles of 750 rows.
SETTINGS = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "2s",
    "distributed.worker.memory.monitor-interval": "500ms",
    "distributed.scheduler.work-stealing-interval": "1s",
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 100_000_000,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 100_000_000,
}


class Measured(NamedTuple):
    """What one evaluation of value and gradient took."""

    value: float
    gradient: dict[str, np.ndarray]
    #: n³ operations, those of a Cholesky decomposition and its reverse rule
    flops: float
    tasks: int
    seconds: float
    #: of CPU, of each worker; and of the scheduler, with the client where both are in one process
    workers: list[float]
    scheduler: float
    #: bytes, of each worker
    sent: list[int]
    spilled: list[int]
    peak: list[int]


def data(n: int, dimensions: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray, dict[str, Any]]:
    """Inputs, outputs and parameters of a model with a length scale for each input."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (n, dimensions))
    y = np.sin(X @ rng.standard_normal(dimensions)) + 0.1 * rng.standard_normal(n)
    return X, y, {"lengthscale": np.linspace(0.5, 1.5, dimensions), "variance": 1.0, "noise": 0.1}


def likelihood(parameters: dict[str, Any], X: Any, y: Any) -> Any:
    """The log marginal likelihood."""
    import overbar

    K = overbar.rbf(X, parameters["lengthscale"], parameters["variance"], parameters["noise"])
    return overbar.gaussian_logpdf(y, 0 * y, K)


def graph(X: np.ndarray, y: np.ndarray, parameters: dict[str, Any], tile: int) -> Any:
    """Value and gradient as Dask arrays."""
    import dask.array as da

    import dask_ops
    import overbar

    assert dask_ops
    rows = da.from_array(X, chunks=(tile, -1)), da.from_array(y, chunks=tile)
    return overbar.value_and_grad(lambda parameters: likelihood(parameters, *rows))(parameters)


def ideal_bytes(n: int, workers: int, itemsize: int = 8) -> float:
    """What each worker sends in a layout of two dimensions: 3 (n²/√P)(1 − 1/√P) numbers."""
    return 3 * n * n / workers**0.5 * (1 - workers**-0.5) * itemsize


def measure(
    client: Any,
    n: int,
    tile: int,
    dimensions: int = 4,
    seed: int = 0,
    during: Callable[[], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """Value and gradient at n points on the workers of a client. `during` is called as soon as they compute; `progress`
    again and again until they have, with the number of tasks that are done and of those that there are."""
    from distributed.diagnostics.plugin import SchedulerPlugin

    class Count(SchedulerPlugin):
        name = "overbar-tasks"

        def __init__(self):
            self.count = 0

        def transition(self, key, start, finish, *args, **kwargs):
            self.count += start == "processing" and finish == "memory"

    X, y, parameters = data(n, dimensions, seed)
    client.register_plugin(Count())
    client.run(_warm)
    before, started = client.run(_counters), time.perf_counter()
    scheduler, own = client.run_on_scheduler(_process), time.process_time()
    futures = client.compute(list(_flat(graph(X, y, parameters, tile))))
    if during is not None:
        during()
    while progress is not None and not all(future.done() for future in futures):
        progress(*client.run_on_scheduler(_done))
        time.sleep(0.2)
    value, *bars = client.gather(futures)
    seconds = time.perf_counter() - started
    pid, cpu = client.run_on_scheduler(_process)
    same = pid == _process()[0]
    spent = cpu - scheduler[1] + (0 if same else time.process_time() - own)
    tasks = client.run_on_scheduler(_count)
    client.unregister_scheduler_plugin(Count.name)
    after = client.run(_counters)
    alive = [address for address in after if address in before]
    differences = [[b - a for a, b in zip(before[w][:3], after[w][:3], strict=True)] for w in alive]
    cpus, sent, spilled = (list(x) for x in zip(*differences, strict=True)) if alive else ([], [], [])
    return Measured(
        float(value),
        dict(zip(sorted(parameters), bars, strict=True)),
        float(n) ** 3,
        tasks,
        seconds,
        cpus,
        spent,
        sent,
        spilled,
        [after[w][3] for w in alive],
    )


def _flat(value_and_gradient):
    value, gradient = value_and_gradient
    return value, *[gradient[name] for name in sorted(gradient)]


def _process():
    import os

    return os.getpid(), time.process_time()


def _count(dask_scheduler):
    return dask_scheduler.plugins["overbar-tasks"].count


def _done(dask_scheduler):
    plugin = dask_scheduler.plugins["overbar-tasks"]
    plugin.most = max(getattr(plugin, "most", 0), len(dask_scheduler.tasks))  # they are forgotten when they are done
    return plugin.count, plugin.most


def _warm():
    import dask_ops  # what workers import takes a second, the first time
    import overbar

    overbar.value_and_grad(lambda p: likelihood(p, np.ones((3, 1)) * np.arange(3.0)[:, None], np.ones(3)))(
        {"lengthscale": 1.0, "variance": 1.0, "noise": 1.0}
    )
    return dask_ops.__name__


def _counters(dask_worker):
    spilled = getattr(dask_worker.data, "cumulative_metrics", {})
    disk = sum(v for k, v in spilled.items() if k[-1] == "bytes" and "write" in k[-2])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return time.process_time(), dask_worker.transfer_outgoing_bytes_total, int(disk), peak


def on_one_thread(n: int, dimensions: int = 4, seed: int = 0) -> tuple[float, dict[str, Any], float]:
    """Value, gradient and seconds of CPU in this process, by NumPy. (One thread where OMP_NUM_THREADS=1 was said.)"""
    import overbar

    X, y, parameters = data(n, dimensions, seed)
    start = time.process_time()
    value, gradient = overbar.value_and_grad(lambda parameters: likelihood(parameters, X, y))(parameters)
    return float(value), gradient, time.process_time() - start
