"""Tests of `python -m overbar bench` at small sizes. May import `overbar` and its command line."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import overbar
from overbar.__main__ import application
from overbar.bench import cholesky, frameworks, overhead, small
from overbar.bench.cholesky import Job, Result
from overbar.bench.harness import Comparison, Timing
from tests.conftest import drawn


def run(*arguments, columns=100):
    return CliRunner().invoke(application(), ["bench", *arguments], env={"COLUMNS": str(columns)})


def test_runs_and_records(tmp_path):
    file = tmp_path / "bench.json"
    result = run("--sizes", "16,32", "--seconds", "0.02", "--json", str(file))
    assert result.exit_code == 0, result.output
    for text in ("NumPy: the reverse", "PyTorch: the backward", "TensorFlow: forward", "n = 16", "n = 32", "n = 8"):
        assert text in result.output
    record = json.loads(file.read_text(encoding="utf-8"))
    assert {"torch", "tensorflow", "numpy", "overbar"} <= set(record["environment"]["versions"])
    assert {"torch", "tensorflow"} <= set(record["environment"]["threads"])
    assert [(r["framework"], r["n"]) for r in record["results"]] == [
        *((name, n) for name in ("numpy", "torch", "tf") for n in (16, 32)),
        *((name, 8) for name in ("numpy", "torch", "tf")),
    ]
    assert all(r["median"] > 0 and r["low"] <= r["median"] <= r["high"] for r in record["results"])


@pytest.mark.parametrize("columns", [80, 120])
def test_fits_the_terminal(columns):
    result = run("--sizes", "16", "--seconds", "0.01", "-f", "numpy", "-f", "torch", columns=columns)
    assert max(map(len, result.output.splitlines())) <= columns
    assert "…" not in result.output


@pytest.mark.parametrize("name", ["numpy", "torch", "tf"])
def test_both_sides_of_a_comparison_do_the_same(name):
    """What is timed is the gradient, on both sides: a thing that does nothing would be fast."""
    n = 40
    A, L_bar = cholesky.matrices(n, "float64")
    L, pullback = overbar.vjp(overbar.cholesky, A)
    A_bar = pullback(L_bar)[0]
    jobs = {(job.framework, job.n): job for job in cholesky.jobs([name], sizes=(n,))}
    sides = [side() for side in jobs[name, n].things()]
    expected = [A_bar, L if name == "numpy" else A_bar]
    for found, truth in zip(sides, expected, strict=True):
        found = np.asarray(found[0] if isinstance(found, tuple) else found)
        np.testing.assert_allclose(found, truth, rtol=1e-9, atol=1e-12)


def test_targets_belong_to_the_largest_size_in_double_precision():
    found = cholesky.jobs(["numpy", "torch", "tf"])
    assert {(job.framework, job.n): job.target for job in found if job.target} == {
        ("torch", 2048): 3,
        ("tf", 2048): 2.5,
    }
    assert not any(job.target for job in cholesky.jobs(["torch", "tf"], dtype="float32"))


def measured(ours, other, target=None, cost=False, table="A table"):
    job = Job("torch", table, "n = 1", 1, ("ours", "built-in"), None, cost, target)
    return Result(job, Comparison({"ours": Timing("ours", (ours,) * 3), "built-in": Timing("built-in", (other,) * 3)}))


def test_what_a_ratio_says():
    assert measured(1.0, 3.0).ratio.median == 3
    assert measured(1.0, 3.0, cost=True).ratio.median == pytest.approx(1 / 3)
    assert measured(1.0, 3.0).met is None
    assert measured(1.0, 3.0, target=3.0).met is True
    assert measured(1.0, 2.9, target=3.0).met is False


def test_a_cost_meets_its_target_from_below():
    assert measured(1.3, 1.0, target=1.3, cost=True).met is True
    assert measured(1.4, 1.0, target=1.3, cost=True).met is False


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "tf"])
def test_every_op_that_a_framework_has_is_timed(framework, monkeypatch):
    monkeypatch.setattr(overhead, "SMALL", 0)  # no batches: the next test has them
    every = overhead.ops(framework)
    assert {"cholesky", "add", "pow"} <= set(every)
    some = {name: op for name, op in every.items() if drawn("test_every_op", name)}
    monkeypatch.setattr(overhead, "ops", lambda framework: some)
    result = run("--every", "-f", framework, "--sizes", "8", "--seconds", "0.005")
    assert result.exit_code == 0, result.output
    assert all(f" {name} " in result.output for name in some)


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "sizes"), [("torch", (9, 520)), ("tf", (9,))])
def test_both_sides_of_each_op_do_the_same(framework, sizes, monkeypatch):
    """Value and gradient, single and in batches: a side that does nothing would be fast."""
    monkeypatch.setattr(overhead, "BATCH", 3)
    slow = ("eig", "eigvals", "eigh", "svd", "svdvals", "eigvalsh", "pinv", "cond")
    for job in overhead.jobs([framework], sizes=sizes):
        if job.n > 500 and job.what in slow:
            continue
        ours, theirs = (side() for side in job.things())
        if isinstance(ours, (list, tuple)) and "gradient" not in job.table:  # of signs and orders nothing is said
            continue
        for a, b in zip(ours, theirs, strict=True) if isinstance(ours, (list, tuple)) else [(ours, theirs)]:
            if job.what in ("cholesky_solve", "cholesky_inverse"):
                a, b = np.tril(a), np.tril(b)  # PyTorch's own gradient is wrong in the other triangle
            if job.what in ("eigh", "eigvalsh"):
                a, b = (x + np.swapaxes(x, -1, -2) for x in (a, b))  # TensorFlow's is in the lower triangle
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=1e-9, atol=1e-10, err_msg=str(job))


def test_the_reason_for_a_miss_is_said(monkeypatch):
    from overbar.bench import report

    monkeypatch.setattr(report, "measure", lambda job, seconds: Result(job, measured(2.0, 1.0).comparison))
    found = overhead.ops("torch")
    monkeypatch.setattr(overhead, "ops", lambda framework: {"svd": found["svd"]})
    result = run("--every", "-f", "torch", "--sizes", "8", "--strict", columns=200)
    assert "svd is slower because its derivatives are ours: PyTorch's derivatives are NaN or wrong" in result.output
    assert result.exit_code == 0  # a derivative that is wrong is no target
    monkeypatch.setattr(overhead, "ops", lambda framework: {"inv": found["inv"]})
    result = run("--every", "-f", "torch", "--sizes", "8", "--strict", columns=200)
    assert "is slower because" not in result.output
    assert result.exit_code == 1


def test_strict_fails_where_a_target_is_missed(monkeypatch):
    from overbar.bench import report

    monkeypatch.setattr(report, "measure", lambda job, seconds: measured(1.0, 2.0, target=3.0, table=job.table))
    for arguments, code in (((), 0), (("--strict",), 1)):
        result = run("-f", "torch", "--sizes", "16", *arguments)
        assert "3.00 missed" in result.output
        assert result.exit_code == code
    monkeypatch.setattr(report, "measure", lambda job, seconds: measured(1.0, 4.0, target=3.0, table=job.table))
    result = run("-f", "torch", "--sizes", "16", "--strict")
    assert "3.00 met" in result.output
    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--sizes", "16,many"), "list of positive numbers"),
        (("--sizes", "0"), "list of positive numbers"),
        (("--sizes", ""), "list of positive numbers"),
        (("--framework", "jax"), "no framework 'jax'"),
        (("--dtype", "float16"), "float64 or float32"),
        (("--seconds", "0"), "must be positive"),
        (("--seconds", "nan"), "must be positive and finite"),
        (("--full", "--output", f"{__file__}/x"), "cannot be made"),
        (("--full", "--output", __file__), "--output is a folder"),
        (("--json", "no/such/folder/file.json"), "cannot be saved"),
    ],
)
def test_wrong_usage(arguments, message):
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_busy_machine_is_pointed_out(monkeypatch):
    from overbar.bench import report

    for load, said in ((0.1, False), (99.0, True)):
        monkeypatch.setattr(report, "environment", lambda load=load: {**environment, "load": load})
        assert ("is busy" in run("-f", "numpy", "--sizes", "8", "--seconds", "0.01").output) == said


environment = {"processor": "a processor", "cores": 2, "versions": {"numpy": "1"}, "threads": {}}


def test_a_missing_framework_is_left_out_and_named(monkeypatch):
    monkeypatch.setattr(frameworks, "available", lambda name: name != "tf")
    result = run("--sizes", "8", "--seconds", "0.01")
    assert result.exit_code == 0
    assert 'pip install "overbar[tf]"' in result.output
    assert "PyTorch: the backward" in result.output
    assert "TensorFlow: forward" not in result.output
    result = run("--framework", "tf")
    assert result.exit_code == 2
    assert 'pip install "overbar[tf]"' in result.stderr


# -- many small matrices -----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", ["numpy", "torch", "tf"])
def test_both_sides_of_many_small_matrices_do_the_same(name):
    for job in small.jobs([name], sizes=(60,)):
        ours, others = (np.asarray(side()) for side in job.things())
        assert ours.ndim == 3
        # the naive derivative in float32 loses digits where eigenvalues are close, and so do vectors in any precision
        tolerance = {"naive": 1e-3, "torch.linalg": 1e-7}.get(job.names[1], 1e-12)
        np.testing.assert_allclose(ours, others, rtol=1e-9, atol=tolerance)


def test_targets_of_many_small_matrices(monkeypatch):
    def targets(dtype="float64"):
        found = small.jobs(["numpy", "torch", "tf"], dtype=dtype)
        return {job.framework: job.target for job in found if job.names[1] == "built-in"}

    monkeypatch.setattr(small._compiled, "available", lambda: True)
    assert targets() == {"numpy": 3.0, "torch": 5.0, "tf": 1.5}
    monkeypatch.setattr(small._compiled, "available", lambda: False)
    assert targets() == {"numpy": 1.0, "torch": 2.5, "tf": 1.5}
    assert set(targets("float32").values()) == {None}
    jobs = [job for job in small.jobs(["torch"]) if job.names[1] == "built-in"]
    assert [job.what for job in jobs] == [
        "10,000 × 4 × 4", "10,000 × 8 × 8", "10,000 × 16 × 16", "2,000 × 32 × 32",
    ]  # fmt: skip


@pytest.mark.slow
def test_the_table_of_many_small_matrices():
    result = run("--small", "--sizes", "100", "-f", "torch", "--seconds", "0.001")
    assert result.exit_code == 0, result.output
    for text in (
        "200 × 100 × 100", "Cholesky decompositions", "the logarithm of 2,000 matrices", "polar factors",
        "20,000 × 3 × 3",
    ):  # fmt: skip
        assert text in " ".join(result.output.split())
    assert "different tables" in run("--small", "--gp").output


def test_what_is_said_of_targets_that_many_small_matrices_miss():
    job = next(job for job in small.jobs(["torch"], (4,)) if job.names[1] == "naive")
    timings = {name: Timing(name, (1.0,) * 6) for name in job.names}
    (line,) = small.reasons([Result(job, Comparison(timings))])
    assert "eigenvalues" in line
    assert small.reasons([]) == []
