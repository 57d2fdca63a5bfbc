"""Tests of `overbar demo --distributed` at small sizes. May import `overbar`, its command line and Dask."""

import re
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from overbar.__main__ import application  # noqa: E402
from overbar.demo import distributed as demo  # noqa: E402


def command(*arguments):
    return CliRunner().invoke(application(), ["demo", "--distributed", *arguments], env={"COLUMNS": "100"})


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_cluster_on_this_machine(monkeypatch):
    monkeypatch.setattr(demo, "BESIDE", 150)
    result = command("--n", "400", "--workers", "2", "--memory", "2GiB", "--tile", "100")
    assert result.exit_code == 0, result.output
    output = " ".join(result.output.split())
    assert "400 points" in output
    assert (
        "2 workers. Its covariance matrix has 1.28 MB, a worker 2.15 GB of memory. Tiles of 100: 4 in a row." in output
    )
    assert re.search(r"dashboard of the cluster: http://127\.0\.0\.1:\d+/status", output)
    assert re.search(r"At 150 points the cluster and one process agree to \de-\d\d, value and gradient", output)
    assert int(re.search(r"tasks (\d+)", output)[1]) <= 4**3 / 2 + 8 * 4**2
    assert len(re.findall(r"^ [12] +[\d.]+ +[\d.]+ [kM]B ", result.output, re.M)) == 2


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_cluster_that_is_there_already(monkeypatch):
    monkeypatch.setattr(demo, "BESIDE", 100)
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=":0"
    ) as cluster:
        result = command("--n", "120", "--scheduler", cluster.scheduler_address)
        assert result.exit_code == 0, result.output
        assert " on 1 workers" in result.output


def test_a_worker_that_dies_of_its_task_and_a_scheduler_that_is_gone(monkeypatch):
    from distributed.comm import CommClosedError
    from distributed.scheduler import KilledWorker

    for error, message in (
        (
            KilledWorker("cholesky-1", SimpleNamespace(address="tcp://a:1"), 3),
            "Take smaller tiles (--tile), more workers, or more memory",
        ),
        (CommClosedError("in a stream"), "the scheduler is gone: in a stream"),
    ):

        def failing(plan, console, error=error):
            raise error

        monkeypatch.setattr(demo, "_run", failing)
        result = command("--n", "120")
        assert result.exit_code == 2
        assert message in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--n", "1"), "--n is 1"),
        (("--workers", "0"), "--workers is 0"),
        (("--memory", "lots"), "--memory is 'lots'. Say a number and a unit"),
        (("--tile", "0"), "--tile is 0; it must be between 1 and the number of points, 16000"),
        (("--n", "50", "--tile", "60"), "--tile is 60"),
        (("--full",), "--distributed is a demo of its own"),
        (("--scheduler", "tcp://127.0.0.1:1"), "no scheduler of Dask's answers at 'tcp://127.0.0.1:1'"),
    ],
)
def test_wrong_usage(arguments, message, monkeypatch):
    result = command(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())


def test_without_dask_the_remedy_is_said(monkeypatch):
    monkeypatch.setattr(demo.importlib.util, "find_spec", lambda name: None)
    result = command("--n", "100")
    assert result.exit_code == 2
    assert 'pip install "overbar[dask]"' in result.stderr
