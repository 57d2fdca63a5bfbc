"""Tests of `python -m overbar bench --rules` at small sizes. May import `overbar` and its command line."""

import itertools
import tracemalloc

import numpy as np
import pytest
from typer.testing import CliRunner

from overbar import verify
from overbar.__main__ import application
from overbar.bench import cost, structured
from overbar.bench.cholesky import Result
from overbar.bench.harness import Comparison, Timing
from overbar.rules import REGISTRY

NAMES = [name for name, primitive in REGISTRY.items() if not primitive.signature.whole]


@pytest.mark.parametrize("name", NAMES)
def test_the_sample_of_every_primitive_grows(name):
    """And it is one that its function takes, on which its rules are right."""
    small, large = verify.draw_cases(REGISTRY[name])[0], cost.case(name, 40)
    for a, b in zip(small.arrays, large.arrays, strict=True):
        assert a.ndim == b.ndim
    assert max(a.size for a in large.arrays) > 5 * max(a.size for a in small.arrays)
    error = verify.adjoint_error(REGISTRY[name], large)
    assert error is None or error < 1e-9


@pytest.mark.parametrize("framework", ["numpy", "torch", "tf"])
def test_what_is_timed_is_the_rule_and_the_function(framework):
    for job in cost.jobs([framework], sizes=(8,), names=["inv_congruence"]):
        rule, function = (side() for side in job.things())
        primitive, drawn = REGISTRY["inv_congruence"], cost.case("inv_congruence", 8)
        np.testing.assert_allclose(np.asarray(function[0]), primitive.run(drawn.arrays, {})[0], rtol=1e-10)
        assert [np.shape(x) for x in rule] == [(8, 8), (8, 4)] if "reverse" in job.table else [(4, 4), (8, 4)]
        assert all(np.abs(np.asarray(x)).max() > 0.1 for x in rule)


def test_the_table(monkeypatch):
    monkeypatch.setattr(cost, "REGISTRY", {name: REGISTRY[name] for name in ("matmul", "solve", "trace")})
    arguments = ["bench", "--rules", "-f", "numpy", "--sizes", "8", "--seconds", "0.001"]
    result = CliRunner().invoke(application(), arguments, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    for text in ("the reverse rule beside its function", "the forward rule", "matmul", "solve"):
        assert text in result.output
    assert max(map(len, result.output.splitlines())) <= 80
    result = CliRunner().invoke(application(), ["bench", "--rules", "--every"])
    assert result.exit_code == 2


def test_the_reason_stands_where_a_target_is_missed():
    first = next(job for job in cost.jobs(["numpy"]) if job.what == "trace")
    assert first.target == 6
    slow = Result(first, Comparison({"rule": Timing("rule", (7.0,) * 3), "function": Timing("function", (1.0,) * 3)}))
    assert cost.reasons([slow]) == [f"trace, reverse rule: {cost.REASONS['trace']}."]
    fast = Result(first, Comparison({"rule": Timing("rule", (5.0,) * 3), "function": Timing("function", (1.0,) * 3)}))
    assert cost.reasons([fast]) == []


def test_reasons_are_of_primitives():
    assert set(cost.REASONS) | set(structured.REASONS) <= set(REGISTRY)


# -- structured matrices -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", structured.SCIPY)
def test_what_stands_beside_a_structured_function_is_scipys(name):
    n = 60  # at which eigh_tridiagonal no longer makes a full matrix
    (job,) = (job for job in structured.jobs(["numpy"], (n,)) if job.what == name and job.names[1] == "SciPy")
    ours, theirs = (side() for side in job.things())
    pairs = zip(ours, theirs, strict=True) if isinstance(ours, tuple) else [(ours, theirs)]
    for a, b in pairs:
        if name in ("eigh_tridiagonal", "cholesky_banded"):  # vectors have any sign; corners have any number
            a, b = abs(a), abs(np.where(a == 0, 0, b))
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


def test_the_table_of_structured_functions(monkeypatch):
    few = {name: structured.SCIPY[name] for name in ("solve_banded", "eigh_tridiagonal")}
    monkeypatch.setattr(structured, "SCIPY", few)
    arguments = ["bench", "--structured", "--sizes", "60", "--seconds", "0.001"]
    result = CliRunner().invoke(application(), arguments, env={"COLUMNS": "80"})
    assert result.exit_code == 0, result.output
    for text in ("the function beside SciPy's", "the reverse rule beside its function", "solve_banded"):
        assert text in result.output
    result = CliRunner().invoke(application(), [*arguments, "-f", "torch"])
    assert result.exit_code == 2
    assert "say --framework numpy" in result.stderr


BANDED = ["cho_solve_banded", "cholesky_banded", "solve_banded", "solve_toeplitz", "tridiagonal_solve"]


@pytest.mark.parametrize("name", BANDED)
def test_no_rule_of_a_band_forms_a_full_matrix(name):
    n, primitive = 2000, REGISTRY[name]
    case = cost.case(name, n)
    for job in itertools.chain([None], cost.jobs(["numpy"], (n,), names=[name])):
        run = job.things()[0] if job else lambda: primitive(*case.arrays, **case.options)
        run()  # the first time there may be a compiler in memory
        tracemalloc.start()
        try:
            run()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8 * n * n / 4
