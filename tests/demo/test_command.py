"""Tests of the command line: the demo from one end to the other, check, and what goes wrong. May import `overbar` and
its command line."""

import importlib.metadata
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import overbar
from overbar.__main__ import application
from overbar.bench import frameworks
from overbar.demo import by_hand
from overbar.demo import run as demo
from tests.processes import run_python

ROOT = Path(__file__).parents[2]

NARROW = {"COLUMNS": "80"}


@pytest.fixture(autouse=True)
def _no_time_for_comparisons(monkeypatch):
    monkeypatch.setattr(demo, "COMPARING", 0.05)


def run(*arguments, columns=100):
    return CliRunner().invoke(application(), arguments, env={"COLUMNS": str(columns)})


def png_size(path):
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


# -- the demo ----------------------------------------------------------------------------------------------------------


def test_the_demo_as_a_user_runs_it(tmp_path):
    """In a process of its own: it leaves the picture where it says, and says nothing but what it has to say."""
    result = run_python("-m", "overbar", "demo", "--n", "60", "--iterations", "3", environment=NARROW, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    width, height = png_size(tmp_path / "overbar-co2.png")
    assert width > 1000
    assert height > 700
    assert "The picture is in overbar-co2.png" in result.stdout
    assert "The frameworks agree on value and gradient to 1e-9 relative." in result.stdout
    assert "stopped early" in result.stdout


@pytest.mark.parametrize("columns", [80, 120])
def test_the_demo_fits_the_terminal(tmp_path, columns):
    picture = tmp_path / "a.png"
    result = run("demo", "--n", "60", "--iterations", "3", "--plot", str(picture), columns=columns)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.output.splitlines() if str(picture) not in line]
    assert max(map(len, lines)) <= columns
    assert "…" not in result.output
    for text in ("NumPy", "PyTorch", "TensorFlow", "own : ours", "largest difference, gradient", "ppm", "years"):
        assert text in result.output


def test_a_demo_of_two(tmp_path):
    picture = tmp_path / "a.png"
    result = run("demo", "-n", "60", "--iterations", "2", "-f", "torch", "-f", "numpy", "--plot", str(picture))
    assert result.exit_code == 0, result.output
    assert "TensorFlow" not in result.output
    assert "The frameworks agree" in result.output
    assert picture.exists()


def test_a_demo_of_one(tmp_path):
    picture = tmp_path / "a.svg"
    result = run("demo", "-n", "60", "--iterations", "2", "-f", "numpy", "--plot", str(picture))
    assert result.exit_code == 0, result.output
    assert "nothing to compare it with" in result.output
    assert picture.read_text(encoding="utf-8").startswith("<?xml")


def test_the_demo_fails_where_the_frameworks_disagree(tmp_path, monkeypatch):
    right = by_hand.value_and_gradient
    monkeypatch.setattr(by_hand, "value_and_gradient", lambda *args: (right(*args)[0], right(*args)[1] * (1 + 1e-7)))
    result = run(
        "demo", "-n", "60", "--iterations", "2", "-f", "numpy", "-f", "torch", "--plot", str(tmp_path / "a.png")
    )
    assert result.exit_code == 1
    assert "The frameworks disagree" in result.output


def test_a_missing_framework_is_left_out_and_named(tmp_path, monkeypatch):
    monkeypatch.setattr(frameworks, "available", lambda name: name != "tf")
    result = run("demo", "-n", "60", "--iterations", "2", "--plot", str(tmp_path / "a.png"))
    assert result.exit_code == 0, result.output
    assert 'pip install "overbar[tf]"' in result.output
    assert "PyTorch" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--n", "10"), "between 45 and 2,225 points, not to 10"),
        (("--n", "3000"), "between 45 and 2,225 points, not to 3,000"),
        (("--n", "-5"), "between 45 and 2,225 points"),
        (("--iterations", "0"), "at least 1 iteration"),
        (("--framework", "jax"), "no framework 'jax' here. Choose from numpy, torch, tf"),
        (("--plot", "no/such/folder/a.png"), "there is no folder no/such/folder"),
        (("--plot", "a.docx"), "must end in .png"),
        (("--plot", "a"), "must end in .png"),
        (("--workers", "3"), "--workers is an option of the demo --distributed"),
        (("--full", "--n", "100"), "leave out --n"),
    ],
)
def test_wrong_usage_is_said_before_the_work(arguments, message, monkeypatch):
    monkeypatch.setattr(demo, "run", lambda *args: pytest.fail("the work was begun"))
    result = run("demo", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_a_folder_is_no_picture(tmp_path):
    (tmp_path / "a.png").mkdir()
    result = run("demo", "--plot", str(tmp_path / "a.png"))
    assert result.exit_code == 2
    assert "that is a folder" in result.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything is writable to this user")
def test_a_folder_that_may_not_be_written_to(tmp_path):
    tmp_path.chmod(0o500)
    result = run("demo", "--plot", str(tmp_path / "a.png"))
    assert result.exit_code == 2
    assert "you may not write there" in result.stderr


# -- what is missing ---------------------------------------------------------------------------------------------------

WITHOUT = "import sys; sys.modules[{!r}] = None; from overbar.__main__ import main; main({!r})"


@pytest.mark.parametrize(
    ("package", "arguments"),
    [
        ("typer", ["check"]),
        ("rich", ["check"]),
        ("matplotlib", ["demo"]),
        ("statsmodels", ["demo"]),
        ("mpmath", ["check"]),
    ],
)
def test_a_missing_package_names_the_extra(package, arguments, tmp_path):
    result = run_python("-c", WITHOUT.format(package, arguments), environment=NARROW, cwd=tmp_path)
    assert result.returncode == 2
    assert 'pip install "overbar[cli]"' in result.stderr
    assert "Traceback" not in result.stderr


def test_threadpoolctl_may_be_missing(tmp_path):
    arguments = ["bench", "-f", "numpy", "--sizes", "8", "--seconds", "0.01"]
    result = run_python("-c", WITHOUT.format("threadpoolctl", arguments), environment=NARROW, cwd=tmp_path)
    assert result.returncode == 0, result.stderr


# -- check, version, help ----------------------------------------------------------------------------------------------


def test_check_passes():
    """In all frameworks, each in a process of its own; of a few primitives, as tests/check has all of them."""
    names = ["cho_solve", "matmul", "tanh"]
    result = run("check", *names)
    assert result.exit_code == 0, result.output
    for name in names:
        assert name in result.output
    for text in ("NumPy", "PyTorch", "TensorFlow", "RB2FCK", "RB2FCX", "!B!!", "TensorFlow 2.21.0"):
        assert text in " ".join(result.output.split())
    assert "All 3 primitives are right" in result.output


def test_check_saves_its_table(tmp_path):
    result = run("check", "matmul", "-f", "numpy", "--save", str(tmp_path / "table.md"))
    assert result.exit_code == 0, result.output
    assert "| [`matmul`](ops.md#matmul) | `RB2FC` |" in (tmp_path / "table.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [80, 120])
def test_the_table_of_check_fits_the_terminal(columns):
    result = run("check", "cholesky", "transpose_matmul", "-f", "numpy", columns=columns)
    assert max(map(len, result.output.splitlines())) <= columns
    assert "…" not in result.output


@pytest.mark.slow
def test_check_by_all_oracles():
    result = run("check", "--oracles")
    assert result.exit_code == 0, result.output
    for name in overbar.rules.REGISTRY:
        assert name in result.output
    for oracle in ("adjoint", "difference", "complex step", "exact"):
        assert oracle in result.output
    assert f"All {len(overbar.rules.REGISTRY)} primitives are right" in result.output


def test_check_of_some():
    result = run("check", "cholesky", "matmul", "--oracles", "--dtype", "complex128", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert "All 2 primitives are right" in result.output


def test_check_of_one():
    for arguments in (["--oracles"], ["-f", "numpy"]):
        assert "The primitive is right" in run("check", "matmul", *arguments).output


def test_a_pipe_gets_lines_of_any_width(broken):
    """Nothing is cut off or broken into lines, where COLUMNS does not say how many there are."""
    result = CliRunner().invoke(application(), ["check", "broken", "-f", "numpy"], env={"COLUMNS": None})
    assert "The primitive is wrong: broken" in result.output
    assert "R reverse mode, B batches that broadcast, 2 the second derivative, reverse over reverse" in result.output
    assert max(map(len, result.output.splitlines())) > 200


@pytest.fixture
def broken(monkeypatch):
    """Addition, with a factor in a reverse rule."""

    @overbar.primitive("(),()->()")
    def broken(A, B):
        return A + B

    broken.vjp(lambda C_bar, C, A, B: (lambda: C_bar, lambda: 1.001 * C_bar))
    broken.jvp(lambda C, A, B: (lambda A_dot: A_dot, lambda B_dot: B_dot))
    broken.samples(lambda case: iter([case(case.normal(3), case.normal(3))]))
    monkeypatch.setitem(overbar.rules.REGISTRY, "broken", broken)
    return broken


def test_check_fails_for_a_broken_rule(broken):
    result = run("check", "broken", "matmul", "--oracles")
    assert result.exit_code == 1
    assert "1 of 2 primitives is wrong: broken" in result.output
    assert "adjoint" in result.output
    result = run("check", "broken", "matmul", "-f", "numpy")
    assert result.exit_code == 1
    assert "1 of 2 primitives is wrong: broken" in result.output
    assert "broken in NumPy, R (reverse mode): adjoint" in " ".join(result.output.split())


@pytest.mark.parametrize("how", ["--oracles", "--framework=numpy"])
def test_check_fails_for_a_rule_that_does_not_run(broken, how):
    broken.vjp(lambda *args: 1 / 0, replace=True)
    result = run("check", "broken", how)
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nonsense",), "'nonsense' is no primitive"),
        (("logsumexp",), "'logsumexp' is none of the primitives that are checked"),
        (("--oracles", "--dtype", "int32"), "not 'int32'"),
        (("--framework", "jax"), "no framework 'jax' here"),
        (("--save", "no/such/folder/a.md"), "cannot be saved as no/such/folder/a.md"),
    ],
)
def test_check_of_nonsense(arguments, message):
    result = run("check", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_version():
    result = run("--version")
    assert result.exit_code == 0
    assert result.output == f"overbar {importlib.metadata.version('overbar')}\n"


@pytest.mark.parametrize("command", [(), ("demo",), ("bench",), ("check",)])
def test_help_has_examples(command):
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert "python -m overbar" in result.output or not command
