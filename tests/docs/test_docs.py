"""The documents tell the truth: every block of Python runs and prints what stands below it, every link leads somewhere,
every command exists, what is generated is up to date, and so is what is said about the frameworks' own functions.
May import everything.
"""

import contextlib
import io
import json
import linecache
import re
import tomllib
import types
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402
import torch_ops  # noqa: E402
from tests.processes import run_python  # noqa: E402
from tools.docs import pages  # noqa: E402
from tools.docs.documents import documents  # noqa: E402
from tools.docs.passed_on import passed_on, remarks  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
ON_TOP = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md"]
DOCUMENTS = [*(ROOT / name for name in ON_TOP), *sorted((ROOT / "docs").glob("*.md"))]
NAMES = [path.relative_to(ROOT).as_posix() for path in DOCUMENTS]

# How many blocks of Python each document has. A block that the parser overlooks would be a test that cannot fail.
BLOCKS = {
    "README.md": 10,
    "CONTRIBUTING.md": 5,
    "benchmarks/README.md": 1,
    "docs/conventions.md": 10,
    "docs/dask_users.md": 7,
    "docs/derivations.md": 4,
    "docs/design.md": 1,
    "docs/distributed.md": 4,
    "docs/gaussian_processes.md": 6,
    "docs/numpy_users.md": 13,
    "docs/peers.md": 1,
    "docs/pytorch_users.md": 5,
    "docs/tensorflow_users.md": 5,
    "docs/writing_a_rule.md": 7,
}


class Block(NamedTuple):
    """A fenced block: its language, its text, and the line of the document that its text begins on."""

    language: str
    text: str
    line: int


def fenced(document):
    """The fenced blocks of a document."""
    blocks, start, language = [], None, ""
    lines = (ROOT / document).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.lstrip().startswith("```"):
            continue
        assert line.startswith("```"), f"{document}:{number}: an indented fence would be overlooked"
        if start is None:
            start, language = number, line[3:].strip()
        else:
            assert line == "```", f"{document}:{number}: a fence inside a fence"
            blocks.append(Block(language, "\n".join(lines[start : number - 1]) + "\n", start + 1))
            start = None
    assert start is None, f"{document}:{start}: the fence is not closed"
    return blocks


def prose(document):
    """The text of a document without its fenced and its indented blocks."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.M | re.S)
    return "\n".join(line for line in text.splitlines() if not line.startswith("    "))


# ---------------------------------------------------------------------------------------------------------------------
# Every example runs


def words(text):
    """A text without regard to where its lines break."""
    return " ".join(text.split())


def run(document, blocks):
    """Run the blocks of a document in one namespace. What each prints must be what follows the arrows ``# →`` in it."""
    path = ROOT / document
    module = types.ModuleType("a_document")
    module.__file__ = str(path)
    for block in blocks:
        # The lines keep their numbers, so that a traceback shows the document.
        code = compile("\n" * (block.line - 1) + block.text, str(path), "exec")
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, vars(module))
        shown = re.findall(r"^\s*# →(.*)$", block.text, re.M)
        assert words(printed.getvalue()) == words(" ".join(shown)), f"{document}:{block.line}"
    return module


def python(document):
    return [block for block in fenced(document) if block.language == "python"]


@pytest.mark.parametrize("document", NAMES)
def test_examples_run(document):
    torch.manual_seed(0)
    linecache.checkcache()
    blocks = python(document)
    assert len(blocks) == BLOCKS.get(document, 0)
    run(document, blocks)


def test_every_counted_document_is_there():
    assert set(BLOCKS) <= set(NAMES)


def test_every_block_says_its_language():
    for document in NAMES:
        for block in fenced(document):
            assert block.language in {"python", "sh", "diff", "text"}, f"{document}:{block.line}"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("print(1)\n# → 2\n", AssertionError),
        ("print(1)\n", AssertionError),
        ("# → 1\n", AssertionError),
        ("1 / 0\n", ZeroDivisionError),
    ],
)
def test_a_wrong_example_is_caught(text, error):
    with pytest.raises(error):
        run("README.md", [Block("python", text, 1)])


# ---------------------------------------------------------------------------------------------------------------------
# Links and commands


def slug(heading):
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(document):
    text = document.read_text(encoding="utf-8")
    if document.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "markdown"]
        text = "\n".join("".join(cell["source"]) for cell in cells)
    text = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, re.M)}


def broken_links(document, text):
    broken = []
    for target in re.findall(r"\]\(([^()\s]+)\)", text):
        path, _, anchor = target.partition("#")
        there = (ROOT / document).parent / path if path else ROOT / document
        if path.startswith("http") or not there.exists() or (anchor and anchor not in anchors(there)):
            broken.append(target)
    return broken


@pytest.mark.parametrize("document", NAMES)
def test_links_resolve(document):
    assert broken_links(document, prose(document)) == []


def test_a_broken_link_is_caught():
    text = "[a](docs/index.md) [b](docs/nothing.md) [c](#examples) [d](#nothing) [e](docs/conventions.md#nothing)"
    assert broken_links("README.md", text) == ["docs/nothing.md", "#nothing", "docs/conventions.md#nothing"]
    notebook = "notebooks/01_chain_rule_and_scalar_graphs.ipynb"
    text = f"[a]({notebook}#2-forward-mode-dots) [b]({notebook}#step) [c]({notebook}#nothing)"
    assert broken_links("README.md", text) == [f"{notebook}#step", f"{notebook}#nothing"]


def test_the_map_leads_to_every_document():
    text = prose("docs/index.md")
    for document in sorted((ROOT / "docs").glob("*.md")):
        assert document.name == "index.md" or f"]({document.name}" in text


def commands(program):
    """The first arguments that the documents give a program, in blocks of shell and in the text."""
    found = {}
    for document in NAMES:
        shell = [block.text for block in fenced(document) if block.language == "sh"]
        inline = re.findall(r"`([^`\n]+)`", prose(document))
        for text in [*shell, *inline]:
            for word in re.findall(rf"^(?:\.venv/bin/)?{program}\s+([\w/.-]+)", text, re.M):
                found.setdefault(word, document)
    return found


def test_make_targets_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    named = set(commands("make"))
    assert {"demo", "test", "setup", "bench", "format", "help"} <= named
    assert named <= targets


def test_the_two_commands_come_first():
    first = fenced("README.md")[0]
    assert [line.split("#")[0].split() for line in first.text.splitlines()] == [["make", "demo"], ["make", "test"]]


def test_programs_exist():
    for program in commands("python"):
        assert program.startswith("-") or (ROOT / program).is_file()


def test_commands_of_overbar_exist():
    named = set(commands("python -m overbar"))
    assert named == {"demo", "check", "bench", "tune"}
    for command in sorted(named):
        result = run_python("-m", "overbar", command, "--help")
        assert result.returncode == 0, result.stderr


def test_versions_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    required = [*project["dependencies"], *project["optional-dependencies"]["torch"]]
    required += project["optional-dependencies"]["tf"]
    oldest = dict(requirement.split(">=") for requirement in required)
    text = words(prose("README.md"))
    assert f"NumPy {oldest['numpy']}, PyTorch {oldest['torch']} or TensorFlow {oldest['tensorflow']}" in text
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "Python 3.11, 3.12 or 3.13" in text
    pins = (ROOT / "constraints.txt").read_text(encoding="utf-8").split()
    shell = " ".join(block.text for block in fenced("README.md") if block.language == "sh")
    assert set(re.findall(r"\w+==\S+", shell)) <= set(pins)
    extras = set(re.findall(r'pip install "\.\[(\w+)\]"', shell))
    assert {"torch", "tf", "cli"} <= extras <= set(project["optional-dependencies"])


# ---------------------------------------------------------------------------------------------------------------------
# What is generated


def test_generated_documents_are_up_to_date():
    stale = [
        path.relative_to(ROOT).as_posix()
        for path, text in documents().items()
        if path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "out of date; write them anew with: make docs"


def test_the_pages_that_are_measured_have_every_op():
    """The numbers themselves are compared by tests/check and by tests/torch_ops/test_operator_database.py."""
    assert [*pages.incomplete()] == [], "out of date; write them anew with: make docs"
    text = "| primitive | a |\n| --- | --- |\n| [`add`](x) | 1 |\n| `torch_ops.add (rule)` | 1 |\n\n| `more` |\n"
    assert pages.rows(text) == ["add", "torch_ops.add (rule)"]


@pytest.mark.parametrize(
    ("when", "words"),
    [
        (lambda A, **_: True, ""),
        (lambda A, **_: False, None),
        (lambda A, **_: A.ndim == 2, "with no batch dimensions"),
        (lambda A, **_: A.shape[-1] < 100, "up to 99 × 99"),
        (lambda A, *, upper=False: not upper, "`upper=False`"),
        (lambda A, **_: not A.is_complex() and A.shape[-1] <= 64, "float32 and float64; up to 64 × 64"),
        (
            lambda A, **_: A.shape[-1] <= (8 if A.is_complex() else 64),
            "up to 8 × 8 (complex128 and complex64); up to 64 × 64 (float32 and float64)",
        ),
        (lambda A, **_: torch.autograd.forward_ad._current_level < 0, "not in forward mode"),
    ],
)
def test_what_is_passed_on_is_found_by_asking(when, words):
    signature = "cholesky(A: Tensor, *, upper: bool = False) -> Tensor"
    op = torch_ops.wrap(overbar.cholesky, signature, builtin=torch.linalg.cholesky, use_builtin_when=when)
    op.__module__ = "torch_ops._ops"
    remark = list(remarks(torch_ops, op))
    said = "passed to `torch.linalg.cholesky`: "
    assert remark == ([] if words is None else [said + words if words else said.removesuffix(": ")])


def test_what_takes_more_words_than_there_are_is_an_error():
    op = torch_ops.wrap(
        overbar.cholesky,
        "cholesky(A: Tensor, *, upper: bool = False) -> Tensor",
        builtin=torch.linalg.cholesky,
        use_builtin_when=lambda A, *, upper=False: upper == A.is_complex(),
    )
    op.__module__ = "torch_ops._ops"
    with pytest.raises(ValueError, match="more words"):
        passed_on(op)


def test_ops_page_names_every_op():
    text = (ROOT / "docs" / "ops.md").read_text(encoding="utf-8")
    for name in overbar.rules.REGISTRY:
        assert f"\n## {name}\n" in text
    for front in (torch_ops, tf_ops):
        ops = [name for name in front.__all__ if hasattr(getattr(front, name), "primitive")]
        assert len(ops) >= len(overbar.rules.REGISTRY)
        for name in ops:
            assert f"`{front.__name__}.{name}(" in text


def test_every_primitive_has_an_op_in_each_framework():
    sections = (ROOT / "docs" / "ops.md").read_text(encoding="utf-8").split("\n## ")[1:]
    assert len(sections) == len(overbar.rules.REGISTRY)
    for section in sections:
        for line in ("NumPy: `overbar.", "PyTorch: `torch_ops.", "TensorFlow: `tf_ops."):
            # tf.linalg.lu, and so tf_ops.lu, is lu_factor
            assert f"\n- {line}" in section or (section.startswith("lu\n") and "TensorFlow" in line)


# ---------------------------------------------------------------------------------------------------------------------
# What the documents say about the frameworks

INDEFINITE = [[1.0, 2.0], [2.0, 1.0]]


def test_tensorflow_factors_what_is_not_positive_definite_and_we_do_not():
    assert np.isnan(tf.linalg.cholesky(INDEFINITE).numpy()).any()  # no error
    for op in (tf_ops.cholesky, tf.function(tf_ops.cholesky)):
        with pytest.raises(tf.errors.InvalidArgumentError, match="not positive definite"):
            op(tf.constant(INDEFINITE))


@pytest.mark.parametrize("op", [torch.cholesky_solve, torch_ops.cholesky_solve])
def test_gradient_of_cholesky_solve_and_the_triangle_that_is_not_read(op):
    gradients = []
    for above in (0.0, 9.0):
        L = torch.tensor([[2.0, above], [1.0, 3.0]], dtype=torch.float64, requires_grad=True)
        op(torch.ones(2, 1, dtype=torch.float64), L).sum().backward()
        gradients.append(L.grad)
    if op is torch.cholesky_solve:
        assert abs(gradients[0] - gradients[1]).max() > 0.01
    else:
        assert torch.equal(*gradients)


def product_that_tells(told):
    """A primitive whose rules write down that they are used, and whose forward rule is wrong."""

    @overbar.primitive("(),()->()")
    def product(A, B):
        return A * B

    @product.vjp
    def _(C_bar, C, A, B):
        return lambda: told.append("A") or C_bar * B, lambda: told.append("B") or C_bar * A

    @product.jvp
    def _(C, A, B):
        return lambda A_dot: 10 * A_dot * B, lambda B_dot: 10 * A * B_dot

    return product


def test_tensorflow_asks_for_every_bar_and_pytorch_for_those_it_needs():
    told = []
    product = product_that_tells(told)
    x = tf.Variable(2.0)
    with tf.GradientTape() as tape:
        y = tf_ops.wrap(product)(x, tf.constant(3.0))
    assert tape.gradient(y, x) == 3
    assert told == ["A", "B"]
    told.clear()
    x = torch.tensor(2.0, requires_grad=True)
    torch_ops.wrap(product)(x, torch.tensor(3.0)).backward()
    assert x.grad == 3
    assert told == ["A"]


def test_forward_mode_uses_the_forward_rule():
    product = product_that_tells([])
    f, x = tf_ops.wrap(product), tf.constant(2.0)
    for function, expected in ((f, 30), (tf.function(f), 3)):  # which is what the forward and the reverse rule say
        with tf.autodiff.ForwardAccumulator(x, tf.constant(1.0)) as accumulator:
            y = function(x, tf.constant(3.0))
        assert accumulator.jvp(y) == expected
    _, dot = torch.func.jvp(lambda x: torch_ops.wrap(product)(x, 3.0), (torch.tensor(2.0),), (torch.tensor(1.0),))
    assert dot == 30


def test_xla_gives_nan_in_the_whole_failed_matrix():
    stack = tf.constant([np.eye(2).tolist(), INDEFINITE])
    L = tf.function(tf_ops.cholesky, jit_compile=True)(stack).numpy()
    assert np.array_equal(L[0], np.eye(2))
    assert np.isnan(L[1]).all()


def test_numpy_has_derivatives_of_derivatives():
    def gradient(x):
        return overbar.vjp(overbar.exp, x)[1](1.0)[0]

    x = np.array(1.0)
    assert overbar.vjp(gradient, x)[1](1.0)[0] == overbar.jvp(gradient, (x,), (1.0,))[1] == np.exp(1.0)
    assert overbar.grad(overbar.grad(overbar.exp))(x) == np.exp(1.0)


def test_what_each_library_does_with_arrays_of_others():
    eye = np.eye(2)
    assert torch.is_tensor(torch_ops.add(torch.eye(2), 1.0))
    for call in (
        lambda: torch_ops.matmul(torch.eye(2), eye),
        lambda: torch_ops.cholesky([[1.0, 0.0], [0.0, 1.0]]),
        lambda: overbar.matmul(torch.eye(2), tf.eye(2)),
    ):
        with pytest.raises(TypeError):
            call()
    assert tf.is_tensor(tf_ops.matmul(tf.eye(2, dtype=tf.float64), eye))
    assert isinstance(overbar.cholesky([[1.0, 0.0], [0.0, 1.0]]), np.ndarray)


def test_what_each_library_does_with_two_dtypes():
    single, double = np.eye(2, dtype=np.float32), np.eye(2)
    assert overbar.matmul(single, double).dtype == np.float64
    assert torch_ops.add(torch.as_tensor(single), torch.as_tensor(double)).dtype == torch.float64
    with pytest.raises(RuntimeError):
        torch_ops.matmul(torch.as_tensor(single), torch.as_tensor(double))
    for op in (tf_ops.add, tf_ops.matmul):
        with pytest.raises(tf.errors.InvalidArgumentError):
            op(tf.constant(single), tf.constant(double))


def test_unknown_rank_and_unknown_sizes_in_a_graph():
    def traced(spec):
        return tf.function(tf_ops.cholesky, input_signature=[spec])

    for spec in (tf.TensorSpec(None, tf.float64), tf.TensorSpec([None, None, None], tf.float64)):
        L = traced(spec)(tf.eye(2, batch_shape=[3], dtype=tf.float64))
        assert np.array_equal(L.numpy(), np.stack([np.eye(2)] * 3))
