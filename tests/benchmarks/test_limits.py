"""Tests of `python -m tools.limits`. May import `overbar.bench` and `tools.limits`."""

import pytest

from overbar.bench.harness import Comparison, Timing, compare
from overbar.rules._halving import BASE
from tools import limits


def timed(**seconds):
    return Comparison({name: Timing(name, (time,) * 7) for name, time in seconds.items()})


def test_the_limit_is_what_the_parts_alone_would_reach():
    found = timed(ours=2.0, other=6.0, first=0.5, second=1.0)
    row = limits.Row("a row", 3.5, dict, "torch")
    assert limits.ratios(row, found) == (3.0, 4.0)
    assert limits.report(row, found) == [
        "a row: target 3.5, measured 3.00, limit 4.00 (within the limit)",
        "          2 s   100%  ours",
        "          6 s   300%  other",
        "       500 ms    25%  first",
        "          1 s    50%  second",
    ]
    assert "(beyond the limit)" in limits.report(limits.Row("a row", 4.5, dict, "torch"), found)[0]
    assert "(reached)" in limits.report(limits.Row("a row", 2.5, dict, "torch"), found)[0]
    assert (
        "which bound nothing" in limits.report(limits.Row("a row", 4.0, dict, "torch"), timed(ours=2, other=6, a=3))[0]
    )
    assert limits.ratios(limits.Row("a rate", 1, dict, "torch", work=1 / 3), found) == (1.0, pytest.approx(4 / 3))


def test_the_products_are_the_flops_of_the_rule():
    """4h³ for each halving, all levels together 2n³/3, less the blocks that stay whole."""
    n = 64 * BASE
    flops = sum(2 * a * b * c for a, b, c in limits.shapes(n))
    assert flops == pytest.approx(2 / 3 * n**3, rel=1e-3)
    assert limits.shapes(BASE) == []
    assert len(limits.shapes(2 * BASE)) == 2


def test_every_row_can_be_measured():
    """One call of each thing, of the rows that take little time."""
    pytest.importorskip("torch")
    import torch_ops  # noqa: F401

    found = [row for row in limits.rows() if row.framework == "torch" and "its gradient" in row.name]
    assert len(found) == 5
    things = [row.make() for row in found]
    for row, some in zip(found, things, strict=True):
        comparison = compare(some, seconds=0.001, least=1, most=1, shortest=1e-6)
        assert row.name in limits.report(row, comparison)[0]
        assert {"ours", "other"} < set(some)


def test_only_the_rows_that_are_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(limits, "one_thread", lambda: None)
    monkeypatch.setattr(limits, "available", lambda framework: True)
    monkeypatch.setattr(limits, "rows", lambda: [limits.Row(name, 1.0, dict, "torch") for name in ("one", "two")])
    monkeypatch.setattr(limits, "measured", lambda row, seconds: timed(ours=1.0, other=2.0, part=0.5))
    limits.main(["--only", "two"])
    assert capsys.readouterr().out.startswith("two: target 1, measured 2.00, limit 4.00 (reached)\n")
