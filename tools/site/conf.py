"""Sphinx's configuration of the site. `staging.py` lays out the sources."""

import importlib.util
import re
from pathlib import Path

from docutils import nodes

HERE = Path(__file__).parent

project = "overbar"
author = "the authors of overbar"
extensions = ["myst_nb", "sphinx.ext.mathjax"]

# Links between documents keep the anchors that they have in a repository browser.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
nb_execution_mode = "off"  # the notebooks are saved with their outputs
nb_merge_streams = True
highlight_language = "none"  # a block without a language is a formula or a table, and no Python
pygments_style = "friendly"
pygments_dark_style = "monokai"

html_theme = "furo"
html_title = "overbar"
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # a page read from the disk may not load others to quote them
html_static_path = [str(HERE / "static")]
html_css_files = ["overbar.css"]
html_theme_options = {"navigation_with_keys": True}

# MathJax in one file, with its fonts as outlines: nothing is loaded from another host. (The package is no module that
# could be imported: its name has hyphens.)
mathjax_path = "tex-svg-full.js"
html_static_path.append(
    str(Path(importlib.util.find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax" / mathjax_path)
)
mathjax3_config = {
    "options": {"enableMenu": False},  # the menu would fetch its further parts from another host
    "svg": {"fontCache": "global"},
}


def setup(app):
    app.connect("doctree-resolved", mark_columns)
    app.connect("doctree-resolved", leave_formulas)


def leave_formulas(app, doctree, name):
    """Formulas of several lines have an environment of their own: Sphinx would put another around it, in which
    MathJax takes no numbers of equations."""
    for formula in doctree.findall(nodes.math):
        formula["classes"] += ["long"] * (len(formula.astext()) > 40)  # which scrolls where it does not fit
    for formula in doctree.findall(nodes.math_block):
        text = formula.astext()
        formula.children = [nodes.Text(rf"\[{text.strip()}\]")]
        formula["no-wrap"] = True


def mark_columns(app, doctree, name):
    """Mark the columns of a table that hold sentences, which the style sheet makes wide enough to be read, and those
    with long pieces of code, which may be broken behind an underscore or a colon."""
    for group in doctree.findall(nodes.tgroup):
        rows = [list(row.children) for row in group.findall(nodes.row)]
        for column in zip(*rows, strict=True):
            pieces = [code for cell in column for code in cell.findall(nodes.literal)]
            words = max(len(cell.astext()) for cell in column if not code_alone(cell)) > 24
            long = max((len(code.astext()) for code in pieces), default=0) > 26
            for cell in column:
                cell["classes"] += ["prose"] * words + ["code"] * long
            for code in pieces * long:
                first, *rest = re.split(r"(?<=[_:,])(?=[^_:,])", code.astext())
                code.children = []
                code += nodes.Text(first)
                for part in rest:
                    code += [nodes.raw("", "<wbr>", format="html"), nodes.Text(part)]


def code_alone(cell):
    """Whether there is nothing but code in a cell (a heading is none)."""
    return bool(len(cell)) and all(isinstance(part, nodes.literal) for text in cell for part in text)
