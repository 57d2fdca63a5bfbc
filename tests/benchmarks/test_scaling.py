"""Tests of `bench --scaling` and `bench --full`: exponents, shares, peak memory, and what is saved.

May import `overbar` and its command line.
"""

import json
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from overbar.__main__ import application
from overbar.bench import cholesky, report, run, scaling
from overbar.bench.harness import Comparison, Timing
from overbar.bench.memory import peak


def command(*arguments):
    return CliRunner().invoke(application(), ["bench", *arguments], env={"COLUMNS": "120"})


def curve(framework="torch", sizes=(512, 1024, 2048, 4096), power=2.8, per_product=0.5):
    """A curve whose side "ours" takes n to this power, and this part of the time of a product."""

    side = "function" if framework == "numpy" else "ours"
    points = []
    for n in sizes:
        product = 1e-9 * n**power if n >= scaling.LARGE else 1.0
        times = {side: per_product * product, "product": product}
        comparison = Comparison({name: Timing(name, (time,) * 3) for name, time in times.items()})
        points.append(scaling.Point(n, comparison, {}))
    return scaling.Curve(framework, "A label", "what", tuple(points))


def test_the_exponent_is_that_of_the_large_sizes():
    assert curve().exponent("ours") == pytest.approx(2.8)
    assert curve(sizes=(64, 1024)).exponent("ours") is None


def test_a_rule_as_fast_as_a_product_has_a_share_of_one():
    assert curve("torch", per_product=1 / 3).shares("ours") == pytest.approx([1] * 4)
    assert curve("tf", per_product=1 / 2).shares("ours") == pytest.approx([1] * 4)
    assert curve("tf", per_product=2).shares("ours") == pytest.approx([1 / 4] * 4)
    assert curve("numpy", per_product=1 / 6).shares("function") == pytest.approx([1] * 4)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux says how much memory was needed at most")
def test_peak_memory_counts_what_is_freed_again():
    def large(factor):
        A = np.ones((factor, 2**21))
        return A[0, :8].copy()

    for factor in (4, 8):
        assert 0.9 * factor < peak(lambda factor=factor: large(factor)) / 2**24 < 1.3 * factor
    assert peak(lambda: None) < 2**22


@pytest.mark.parametrize("framework", ["numpy", "torch", "tf"])
def test_what_is_timed_is_the_gradient_and_a_product(framework):
    n = 24
    A, L_bar = cholesky.matrices(n, "float64")
    _, _, sizes = scaling.curves([framework], sizes=(n,))[framework]
    things = sizes[0].args[3](n)
    np.testing.assert_allclose(np.asarray(things.pop("product")()), A @ L_bar, rtol=1e-9, atol=1e-12)
    point = sizes[0](0.01)
    assert list(point.comparison.timings) == [*things, "product"]
    assert len(things) == 2
    assert point.memory == {}  # so small a matrix is not seen in pages


def test_tables_json_and_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "LARGE", 16)
    monkeypatch.setattr(report, "LARGE", 16)
    files = tmp_path / "scaling.json", tmp_path / "scaling.svg"
    result = command(
        "--scaling", "-f", "numpy", "-f", "torch", "--sizes", "16,32", "--seconds", "0.02",
        "--json", str(files[0]), "--plot", str(files[1]),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "PyTorch: the backward pass alone" in result.output
    record = json.loads(files[0].read_text(encoding="utf-8"))
    assert [found["framework"] for found in record["results"]] == ["numpy", "torch"]
    for found in record["results"]:
        assert [point["n"] for point in found["points"]] == [16, 32]
        assert all(np.isfinite(exponent) for exponent in found["exponents"].values())
        assert all(share > 0 for shares in found["shares"].values() for share in shares)
    assert "<svg" in files[1].read_text(encoding="utf-8")


def test_all_tables_into_a_folder(tmp_path, monkeypatch):
    small = {"cholesky": run.KINDS["cholesky"], "scaling": run.KINDS["scaling"]}
    monkeypatch.setattr(run, "KINDS", small)
    for module in (cholesky, scaling):
        monkeypatch.setattr(module, "SIZES", (8, 12))
    folder = tmp_path / "of" / "mine"
    result = command("--full", "-f", "numpy", "--seconds", "0.01", "--output", str(folder))
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in folder.iterdir()) == [
        "cholesky.json", "cholesky.txt", "scaling.json", "scaling.png", "scaling.txt",
    ]  # fmt: skip
    for name in small:
        text = (folder / f"{name}.txt").read_text(encoding="utf-8")
        assert "NumPy: the reverse rule" in text
        assert text.count("NumPy: the reverse rule") == 1
        assert "NumPy, n =" not in text  # a line of the progress bar


def test_a_ratio_that_varies_too_much_is_not_given(monkeypatch):
    def measured(job, seconds):
        other = Timing(job.names[1], (4.0, 4.0, 8.0))
        return cholesky.Result(job, Comparison({job.names[0]: Timing(job.names[0], (1.0,) * 3), other.name: other}))

    monkeypatch.setattr(report, "measure", measured)
    result = command("-f", "torch", "--sizes", str(cholesky.SIZES[-1]), "--strict")
    assert "too busy" in result.output
    assert "Too busy to measure: in 2 of 2 rows" in result.output
    assert "4.00 " not in result.output.replace("4.00 to 8.00", "")
    assert result.exit_code == 0  # nobody knows whether a target is missed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--full", "--sizes", "16"), "--full has sizes of its own"),
        (("--full", "--gp"), "ask for one of them"),
        (("--plot", "a.png"), "--plot draws what --scaling measures"),
        (("--scaling", "--plot", "no/such/a.png"), "the picture cannot be saved"),
        (("--full", "--output", __file__), "is a folder"),
    ],
)
def test_wrong_usage(arguments, message):
    result = command(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
