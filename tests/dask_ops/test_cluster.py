"""A cluster of processes on this machine: the same bits as without one, whatever happens to the workers. May import
Dask and distributed."""

import functools
import os
import signal
import time

import numpy as np
import pytest

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

import dask  # noqa: E402

import dask_ops  # noqa: E402, F401 - makes the primitives take Dask's arrays
import overbar  # noqa: E402
from overbar.bench.distributed import Measured, data, graph, ideal_bytes, measure  # noqa: E402

N, TILE = 360, 40


@pytest.fixture(scope="module")
def cluster():
    """Two workers, which are processes with one thread each, and a dashboard at any port that is free."""
    quiet = {"distributed.worker.profile.enabled": False, "distributed.comm.timeouts.connect": "60s"}
    with (
        dask.config.set(quiet),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0", memory_limit=0, silence_logs=50
        ) as cluster,
    ):
        yield cluster


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster, set_as_default=False) as client:
        client.wait_for_workers(2)
        yield client


@functools.cache
def expected():
    """What one thread of this process computes of the same graph."""
    return dask.compute(*flat(graph(*data(N), TILE)), scheduler="synchronous")


def flat(value_and_gradient):
    value, bars = value_and_gradient
    return [value, *[bars[name] for name in sorted(bars)]]


def same_bits(found):
    return [np.array_equal(x, w) for x, w in zip(found, expected(), strict=True)] == [True] * len(expected())


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_same_bits_and_what_was_measured(client):
    found = measure(client, N, TILE)
    assert isinstance(found, Measured)
    assert same_bits([found.value, *[found.gradient[name] for name in sorted(found.gradient)]])
    count = N // TILE
    assert 100 < found.tasks <= count**3 / 2 + 8 * count**2
    assert len(found.workers) == len(found.sent) == len(found.peak) == 2
    assert min(found.workers) > 0
    assert sum(found.sent) > 0
    assert ideal_bytes(N, 4) > 0
    wanted = overbar.value_and_grad(
        lambda p: overbar.gaussian_logpdf(
            data(N)[1], 0 * data(N)[1], overbar.rbf(data(N)[0], p["lengthscale"], p["variance"], p["noise"])
        )
    )(data(N)[2])
    assert abs(found.value - wanted[0]) < 1e-11 * abs(wanted[0])
    for name, bar in wanted[1].items():
        np.testing.assert_allclose(found.gradient[name], bar, rtol=1e-9)


def _slowly(x, seconds):
    time.sleep(seconds)
    return x


def test_a_worker_that_dies_changes_no_bit(client):
    """It is killed while the other one computes, and what it had is computed again."""
    X, y, parameters = data(N)
    rows = da.from_array(X, chunks=(TILE, -1)).map_blocks(_slowly, seconds=0.05, dtype=X.dtype)

    def nll(parameters):
        K = overbar.rbf(rows, parameters["lengthscale"], parameters["variance"], parameters["noise"])
        return overbar.gaussian_logpdf(da.from_array(y, chunks=TILE), np.zeros(N), K)

    futures = client.compute(flat(overbar.value_and_grad(nll)(parameters)))
    victim = next(iter(client.run(os.getpid).values()))
    while client.run_on_scheduler(_in_memory) < 20 and not futures[0].done():
        time.sleep(0.01)
    assert not futures[0].done()
    os.kill(victim, signal.SIGKILL)
    assert same_bits(client.gather(futures))


def _in_memory(dask_scheduler):
    return sum(task.state == "memory" for task in dask_scheduler.tasks.values())


@pytest.mark.parametrize("number, words", [(-5.0, "order 201 is not positive"), (np.nan, r"entry \(200, 200\) is nan")])
def test_a_workers_error_is_numpys(client, number, words):
    A = 2 * np.eye(300)
    A[200, 200] = number
    future = client.compute(overbar.cholesky(da.from_array(A, chunks=70)))
    with pytest.raises(np.linalg.LinAlgError, match=words):
        future.result()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_chunks_that_no_worker_holds_are_a_memory_error():
    """Without it, workers would be killed and started again until Dask gives up, with an error that names no memory."""
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address=":0", memory_limit="400MB", silence_logs=50
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        rows = da.ones((6500, 1), chunks=(6500, 1))
        many = da.stack([da.eye(4400, chunks=4400)] * 2)
        for much in (overbar.rbf(rows, np.ones(1)), overbar.inv(many)):
            with pytest.raises(MemoryError, match=r"chunks of shape \(.*smaller chunks, such as \(.*more memory"):
                client.compute(much.sum()).result()
        few = client.compute(overbar.rbf(rows[:500], np.ones(1)).sum()).result()
        assert few == 250_000
