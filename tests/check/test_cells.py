"""Every cell of docs/coverage.md measured anew, and that a wrong rule shows in it. May import `overbar`."""

import re
from pathlib import Path

import pytest

import overbar
from overbar.check import cells, peers, run
from overbar.rules import REGISTRY

PAGE = Path(__file__).parents[2] / "docs" / "coverage.md"


def written():
    """The cells of the page: by primitive, ours and the frameworks' own."""
    found = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| \[`(\w+)`\]\(ops.md#\w+\) \| (.*) \|$", line):
            found[row[1]] = [cell.strip().strip("`") for cell in row[2].split("|")]
    return found


WRITTEN = written()


def test_the_page_has_every_primitive_in_order():
    assert [*WRITTEN] == [*REGISTRY], "out of date; write it anew with: make docs"


@pytest.mark.slow
@pytest.mark.parametrize("framework", cells.COLUMNS)
def test_a_cell_is_what_is_measured(primitive, framework):
    place = [*cells.COLUMNS].index(framework)
    found = cells.measure(primitive.name, framework)
    assert found.right, found
    assert found.flags == WRITTEN[primitive.name][place], (found.remarks, "write the page anew with: make coverage")


def test_the_cells_of_the_frameworks_own_functions(primitive):
    assert WRITTEN[primitive.name][3:] == [*peers.PEERS.get(primitive.name, ("", "", ""))], "make coverage"


def test_every_row_of_the_peers_is_met():
    assert set(peers.PEERS) <= set(REGISTRY)


@pytest.fixture
def product(monkeypatch):
    """A product of matrices whose rules a test may break."""

    @overbar.primitive("(m,n),(n,p)->(m,p)")
    def product(A, B):
        return A @ B

    product.vjp(overbar.matmul.vjp_rule, replace=True)
    product.jvp(overbar.matmul.jvp_rule, replace=True)
    product.samples(overbar.matmul.sampler)
    monkeypatch.setitem(REGISTRY, "product", product)
    return product


@pytest.mark.parametrize("framework", cells.COLUMNS)
def test_a_wrong_rule_shows(product, framework):
    assert cells.measure("product", framework).flags == cells.COLUMNS[framework]
    product.vjp(
        lambda C_bar, C, A, B: (lambda: C_bar @ overbar.mT(B), lambda: 1.001 * (overbar.mT(A) @ C_bar)), replace=True
    )
    found = cells.measure("product", framework)
    # Frameworks are held against NumPy, whose bars are off by the same factor; its tangents are not.
    assert found.flags[cells.COLUMNS[framework].index("R" if framework == "numpy" else "2")] == "!"
    assert not found.right


def test_a_framework_that_differs_shows(product):
    rule = overbar.matmul.vjp_rule

    def by_library(C_bar, C, A, B):
        if type(A).__module__ == "numpy":
            return rule(C_bar, C, A, B)
        return lambda: 1.001 * (C_bar @ overbar.mT(B)), lambda: overbar.mT(A) @ C_bar

    product.vjp(by_library, replace=True)
    for framework in ("torch", "tf"):
        found = cells.measure("product", framework)
        assert found.flags.startswith("!!!")
        assert not found.right
    assert run.failures([found])


def test_what_is_refused_has_its_reason(product):
    def refuse(*args):
        raise NotImplementedError("there is none, today")

    product.jvp(refuse, replace=True)
    found = cells.measure("product", "torch")
    assert found.flags == "RB..CK"
    assert [*run.refused([found])] == [
        f"PyTorch, {letter}: product. (product: NotImplementedError: there is none, today)" for letter in "2F"
    ]
