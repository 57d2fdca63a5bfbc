"""The tests as a whole: which of them a run has, that no time limit ends one, and that those of NumPy run without the
frameworks. May import `tests` and `tools`.
"""

import ast
import datetime
import re
import zlib
from pathlib import Path

import pytest

from overbar.rules import REGISTRY
from tests import conftest
from tests.examples import examples
from tests.processes import run_python
from tools import versions
from tools.rounding import agree

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def pytest_here(*arguments, **environment):
    return run_python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments),
        cwd=ROOT,
        environment=environment,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Which tests run


def test_after_some_weeks_every_pair_has_run():
    monday = datetime.date(2026, 12, 28)
    weeks = [{conftest.this_week(monday + datetime.timedelta(weeks=w, days=d)) for d in range(7)} for w in range(9)]
    assert all(len(week) == 1 for week in weeks)
    assert set.union(*weeks[:8]) == set(range(conftest.SHARES))
    assert weeks[8] == weeks[0]
    shares = [conftest.share("test_something", name) for name in REGISTRY]
    assert set(shares) == set(range(conftest.SHARES))


class Item:
    """A test as the selection sees it."""

    def __init__(self, nodeid, **marks):
        self.nodeid, self.marks = nodeid, marks

    def get_closest_marker(self, name):
        return self.marks.get(name)


def test_one_in_n_has_its_turn(monkeypatch):
    turns = pytest.mark.turns(4).mark
    names = [f"tests/test_something.py::test_it[{i}]" for i in range(400)]

    def running(share, **marks):
        monkeypatch.setattr(conftest, "SHARE", share)
        return {name for name in names if conftest._has_its_turn(Item(name, turns=turns, **marks))}

    weeks = [running(str(share)) for share in range(conftest.SHARES)]
    assert set.union(*weeks[:4]) == set(names)
    assert sum(map(len, weeks[:4])) == len(names)
    assert weeks[4:] == weeks[:4]
    assert running("all") == set(names)
    assert running("0", quick=pytest.mark.quick.mark) == set(names)
    for week in weeks:  # and the frameworks as well as NumPy compute some of these
        parities = [zlib.crc32(name.encode()) % 2 for name in week]
        assert 20 < sum(parities) < len(week) - 20


def test_a_run_says_its_share_and_another_repeats_it():
    assert "OVERBAR_TESTS=5" in pytest_here("-v", "--collect-only", "tests/test_sweep.py", OVERBAR_TESTS="5").stdout
    result = pytest_here("--collect-only", "tests/test_sweep.py", OVERBAR_TESTS="8")
    assert result.returncode != 0
    assert "OVERBAR_TESTS is 'all' or a number from 0 to 7, and not '8'" in result.stdout + result.stderr


def test_marks_are_given_by_file():
    files = ["tests/test_sweep.py", "tests/rules/test_norms.py", "tests/notebooks/test_notebooks.py"]
    selected = {
        mark: {
            line.partition("::")[0] for line in pytest_here("--collect-only", "-m", mark, *files).stdout.splitlines()
        }
        for mark in ("quick and not slow", "not slow", "slow")
    }
    assert {file in selected["quick and not slow"] for file in files[:2]} == {True}
    assert [file in selected["not slow"] for file in files] == [True, True, False]
    assert [file in selected["slow"] for file in files] == [False, False, True]


# ---------------------------------------------------------------------------------------------------------------------
# No time limits


def time_limits(source):
    """Where a program asks for the time, or gives something a limit."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "timeout" and not _is_none(node.value):
            yield node.value.lineno
        if isinstance(node, ast.Attribute) and re.fullmatch(r"(perf_counter|monotonic|process_time)(_ns)?", node.attr):
            yield node.lineno


def _is_none(node):
    return isinstance(node, ast.Constant) and node.value is None


def test_no_test_has_a_time_limit():
    """A busy machine would break it. What is about time has a clock of its own, as in tests/benchmarks."""
    found = {path.name: [*time_limits(path.read_text(encoding="utf-8"))] for path in TESTS.rglob("*.py")}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize("source", ["run(command, timeout=60)", "start = time.perf_counter()", "time.monotonic_ns()"])
def test_a_time_limit_is_found(source):
    assert [*time_limits(source)] == [1]


# ---------------------------------------------------------------------------------------------------------------------
# Without the frameworks, and with other versions


def test_tests_of_numpy_run_without_the_frameworks():
    files = ["tests/hard_cases/test_inverse.py", "tests/rules/test_norms.py", "tests/hard_cases/test_failing.py"]
    result = pytest_here(*files, OVERBAR_WITHOUT="torch,tensorflow")
    assert result.returncode == 0, result.stdout
    passed, skipped = (int(re.search(rf"(\d+) {word}", result.stdout)[1]) for word in ("passed", "skipped"))
    assert passed > 25
    assert skipped > 50
    assert "torch is not installed" in result.stdout
    assert "tensorflow is not installed" in result.stdout


def test_the_whole_suite_is_collected_without_the_frameworks():
    result = pytest_here("--collect-only", OVERBAR_WITHOUT="torch,tensorflow")
    assert result.returncode == 0, result.stdout[-2000:]
    assert "error" not in result.stdout.splitlines()[-1]


def test_the_oldest_versions_are_the_lower_bounds():
    oldest, newest = versions.requirements("oldest"), versions.requirements("newest")
    assert "numpy>=2" in newest
    assert "numpy==2" in oldest
    assert any(r.startswith("torch==") for r in oldest)
    assert not any(r.startswith(("torch", "tensorflow")) for r in versions.requirements("oldest", core=True))


@pytest.mark.parametrize(
    ("summary", "code", "said"),
    [
        ("==== 5639 passed, 12 skipped in 180.00s ====", 0, "all 5,639 pass, 12 skipped"),
        ("==== 2 failed, 98 passed in 1.00s ====", 1, "2 of 100 fail"),
        ("==== 1 failed, 7 passed, 2 errors in 1.00s ====", 1, "3 of 10 fail"),
        ("no tests ran in 0.01s", 5, "did not run (pytest ended with 5)"),
    ],
)
def test_the_result_with_other_versions_in_words(summary, code, said):
    assert versions.result(summary, code) == said


def test_a_row_of_the_page_is_replaced():
    page = (ROOT / "docs" / "versions.md").read_text(encoding="utf-8")
    once = versions.with_row(page, "oldest", ["3.11.7", "all pass"])
    twice = versions.with_row(once, "oldest", ["3.11.7", "2 of 10 fail"])
    assert "| oldest | 3.11.7 | all pass |" in once
    assert "| oldest | 3.11.7 | 2 of 10 fail |" in twice
    assert len(twice.splitlines()) == len(once.splitlines())
    assert twice.splitlines()[-1] == page.splitlines()[-1]


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("tensor(2.0000)", True),
        ("tensor(2)", True),
        ("tensor(2.001)", False),
        ("tensor(-2.)", False),
        ("tensor(nan)", False),
        ("tensor(2., dtype=torch.float64)", False),
        ("tensor([2.])", False),
    ],
)
def test_an_example_prints_what_it_says_to_rounding(printed, same):
    assert agree("tensor(2.)", printed) is same


def test_rounding_beside_the_largest_number_counts_as_none():
    assert agree("[[-5.0e-01,  4.8e-08], [1.+0.j, 0.5+2e-17j]]", "[[-5.0e-01, -6.1e-08],\n [1.0000+0.j, 0.5-1e-18j]]")
    assert not agree("(3, [4.8e-08, 1.0])", "(4, [4.8e-08, 1.0])")
    assert not agree("[4.8e-08, 1e-8]", "[6.1e-08, 1e-8]")
    with pytest.raises(AssertionError, match="Expected:\n    3\nGot:\n    2"):
        examples(">>> 1 + 1\n3", "sum")
