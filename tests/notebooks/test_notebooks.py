"""The notebooks, executed: their cells assert the mathematics that they show.

Also what a reader sees without executing them: outputs of every cell, in order, without warnings, and without paths of
the machine that they were made on.
"""

import copy
import importlib.util
import itertools
import os
import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "notebooks"

# How many code cells there are to execute. A number that is out of date fails, so that no cell is skipped in silence.
CELLS = {
    "01_chain_rule_and_scalar_graphs.ipynb": 19,
    "02_matrix_rules_and_how_to_check_one.ipynb": 13,
    "03_a_network_by_hand.ipynb": 16,
    "04_cholesky_all_ways.ipynb": 14,
    "05_gaussian_process_gradients.ipynb": 37,
    "06_a_primitive_of_your_own.ipynb": 13,
    "07_where_built_in_gradients_fail.ipynb": 14,
    "08_bayesian_optimisation_with_botorch.ipynb": 6,
}

# What a notebook needs beyond what `make setup` installs.
NEEDS = {"08_bayesian_optimisation_with_botorch.ipynb": "botorch"}

SIZE = 2**20


def load(name):
    return nbformat.read(FOLDER / name, as_version=4)


def code_cells(book):
    return [cell for cell in book.cells if cell.cell_type == "code"]


def execute(book, folder):
    """Execute a copy of a notebook in a kernel that imports this tree, in a folder of its own.

    Returns the copy, and what the process wrote to stdout and stderr below Python. A reader's kernel shows that in a
    cell, but passes it on from a thread, late at times: here the kernel leaves the two alone, as it does wherever
    pytest's variable is set, and they are a file.
    """
    book = copy.deepcopy(book)
    for cell in code_cells(book):
        cell.outputs, cell.execution_count = [], None
    client = nbclient.NotebookClient(
        book, timeout=None, startup_timeout=3600, record_timing=False, resources={"metadata": {"path": str(folder)}}
    )
    path = [str(ROOT), str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(path), "IPYTHONDIR": str(folder / "ipython")}
    env["PYTEST_CURRENT_TEST"] = "test_notebooks"
    with open(folder / "below.txt", "w+") as below:
        client.execute(env=env, stdout=below, stderr=below)
        below.seek(0)
        # The kernel's own log goes there too.
        return book, "".join(line for line in below if not line.startswith("[IPKernelApp]"))


# An absolute path of a Unix or Windows machine; not the path within an address (https://host/home), nor a fraction.
ABSOLUTE = re.compile(r"(?<![\w.:/~])(?:/(?:[\w.+-]+/)+[\w.+-]+|/(?:home|root|work|tmp|usr|opt|Users)\b|[A-Z]:\\\w)")


def texts(output):
    """What a reader can read in an output. Pictures are not text."""
    if output.output_type == "stream":
        yield output.text
    elif output.output_type == "error":
        yield "\n".join(output.traceback)
    else:
        for kind, value in output.data.items():
            if not kind.startswith("image/") or kind == "image/svg+xml":
                yield value if isinstance(value, str) else repr(value)


def complaints(book):
    """What is wrong with an executed notebook, as a list of sentences."""
    found = []
    cells = code_cells(book)
    counts = [cell.execution_count for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        found.append(f"the execution counts are {counts}")
    if not any(cell.outputs for cell in cells):
        found.append("no cell has an output")
    for number, cell in enumerate(cells, 1):
        for output in cell.outputs:
            if output.output_type == "error":
                found.append(f"cell {number} ends in {output.ename}: {output.evalue}")
            if output.output_type == "stream" and output.name == "stderr":
                found.append(f"cell {number} writes to stderr: {output.text}")
            for text in texts(output):
                found += [f"cell {number} shows the path {path}" for path in ABSOLUTE.findall(text)]
    for cell in book.cells:
        found += [f"the text of a cell has the path {path}" for path in ABSOLUTE.findall(cell.source)]
    if book.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel is not python3")
    return found


def kinds(book):
    """For each code cell, what it puts out. A stream that came in pieces is one."""
    return [
        [kind for kind, _ in itertools.groupby((o.output_type, *sorted(o.get("data", ()))) for o in cell.outputs)]
        for cell in code_cells(book)
    ]


def test_every_notebook_is_known():
    assert sorted(path.name for path in FOLDER.glob("**/*.ipynb")) == sorted(CELLS)


@pytest.mark.parametrize("name", CELLS)
def test_saved_notebook_is_fit_to_read(name):
    book = load(name)
    nbformat.validate(book)
    assert complaints(book) == []
    assert len(code_cells(book)) == CELLS[name]
    assert (FOLDER / name).stat().st_size < SIZE


@pytest.mark.slow
@pytest.mark.parametrize("name", CELLS)
def test_notebook_runs(name, tmp_path):
    if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
        pytest.skip(f"{NEEDS[name]} is not installed: make peers")
    book = load(name)
    executed, below = execute(book, tmp_path)
    assert complaints(executed) == []
    assert below == ""
    assert sum(cell.execution_count is not None for cell in code_cells(executed)) == CELLS[name]
    # The outputs in the file are those of these cells, and not of an earlier version of them.
    assert kinds(executed) == kinds(book)


class TestComplaints:
    """Each of these must be noticed."""

    def book(self, *sources):
        new = nbformat.v4
        cells = [new.new_code_cell(source) for source in sources]
        return new.new_notebook(cells=cells, metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})

    def executed(self):
        book = self.book("1", "2")
        for i, cell in enumerate(book.cells, 1):
            cell.execution_count = i
            cell.outputs = [nbformat.v4.new_output("stream", text="1/2 of https://example.org/home/page, a/b\n")]
        return book

    def test_nothing(self):
        assert complaints(self.executed()) == []

    @pytest.mark.parametrize("counts", [(2, 1), (1, 3), (1, None), (2, 3)])
    def test_order(self, counts):
        book = self.executed()
        for cell, count in zip(book.cells, counts, strict=True):
            cell.execution_count = count
        assert "execution counts" in " ".join(complaints(book))

    def test_no_output(self):
        book = self.executed()
        for cell in book.cells:
            cell.outputs = []
        assert complaints(book) == ["no cell has an output"]

    @pytest.mark.parametrize("path", ["/home", "/data/x", "in '/srv/a.py'", "File /var/lib/x.py", "C:\\Users"])
    def test_path(self, path):
        book = self.executed()
        book.cells[1].outputs = [nbformat.v4.new_output("execute_result", {"text/plain": path}, execution_count=2)]
        assert "cell 2 shows the path" in " ".join(complaints(book))
        book = self.executed()
        book.cells[0].source = f"# {path}"
        assert "text of a cell has the path" in " ".join(complaints(book))

    def test_stderr(self):
        book = self.executed()
        book.cells[0].outputs = [nbformat.v4.new_output("stream", name="stderr", text="a warning")]
        assert complaints(book) == ["cell 1 writes to stderr: a warning"]

    def test_kernel(self):
        book = self.executed()
        book.metadata.kernelspec.name = "another"
        assert complaints(book) == ["the kernel is not python3"]

    def test_execution(self, tmp_path):
        """An assert that fails stops the notebook; what the process writes below Python is seen; the tree is ours."""
        with pytest.raises(nbclient.exceptions.CellExecutionError, match="wrong rule"):
            execute(self.book("assert 1 + 1 == 3, 'wrong rule'"), tmp_path)
        book = self.book(
            "import os\n_ = os.write(2, b'noise\\n')",
            f"import overbar, pathlib\nassert pathlib.Path(overbar.__file__).is_relative_to({str(ROOT)!r})",
        )
        executed, below = execute(book, tmp_path)
        assert below == "noise\n"
        assert [cell.execution_count for cell in executed.cells] == [1, 2]
