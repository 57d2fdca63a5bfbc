"""The model of what a matrix that no machine holds takes: its page is up to date, and it says what is true of ranks.

May import `tools`, torch and `torch_ops`.
"""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from tools import scale  # noqa: E402

PAGE = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


@pytest.mark.parametrize("name", scale.MODELS)
def test_the_tables_of_the_page_are_those_of_the_model(name, tmp_path):
    lines = list(scale.MODELS[name]())
    assert len(lines) > 5
    copy = tmp_path / PAGE.name
    text = PAGE.read_text(encoding="utf-8")
    copy.write_text(text, encoding="utf-8")
    scale.saved(copy, name, lines, "python -m tools.scale")
    assert copy.read_text(encoding="utf-8") == text, (
        "out of date; write it with: python -m tools.scale --save docs/scale.md"
    )


def test_what_has_no_marks_is_not_saved(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(SystemExit, match="no marks for a"):
        scale.saved(page, "a", ["line"], "python -m tools.scale")


@pytest.mark.parametrize("grid", [(1, 1), (1, 4), (2, 3), (4, 4)])
def test_parts_are_all_of_the_triangle(grid):
    model = scale.Ranks(103, 10, *grid)
    sizes = [10] * 10 + [3]
    assert sum(model.parts) == sum(a * b for i, a in enumerate(sizes) for b in sizes[: i + 1])
    assert model.words * model.count == pytest.approx(1.5 * 103**2 * (sum(grid) - 2))


def test_a_square_grid_receives_what_is_ideal():
    model = scale.Ranks(10_000, 100, 5, 5)
    assert model.words == pytest.approx(scale.Tiled(10_000, 100, 25).ideal)
    assert model.words < scale.Ranks(10_000, 100, 1, 25).words / 2
    assert model.words < scale.Tiled(10_000, 100, 25).words


def test_more_machines_are_faster_and_dearer():
    machine = scale.MACHINES[0]
    few, many = (sum(scale.Ranks(100_000, 512, p, p).seconds(machine)) for p in (4, 8))
    assert many < few < 4 * many
