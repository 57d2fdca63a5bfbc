"""Lays out the documents as Sphinx reads them, in a folder of their own, and builds the site.

The documents are plain Markdown, for a repository browser as for the site: the same folders, the same links. What
differs in the site: the README is its first page, without the table of primitives that the index of ops repeats; each
primitive has a page of its own; formulas are set in TeX; and a link to a folder or a file of the source, which a
repository has and a site has not, is no link.

May import its neighbours.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath

from tools.site.notation import with_tex
from tools.site.op_pages import FUNCTIONS, function_page, functions_index, hidden, op_pages, parts, with_own_pages

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent

#: What the menu has, part by part.
CONTENTS = {
    "Guides": [
        *("docs/numpy_users.md", "docs/pytorch_users.md", "docs/tensorflow_users.md"),
        *("docs/dask_users.md", "docs/gaussian_processes.md", "docs/distributed.md", "docs/scale.md"),
        *("docs/peers.md", "docs/writing_a_rule.md"),
    ],
    "Reference": [
        *("docs/ops.md", "docs/functions.md", "functions/index.md", "docs/rules.md", "docs/conventions.md"),
        *("docs/words.md", "docs/coverage.md"),
    ],
    "Learning": ["docs/derivations.md", "docs/the_note.md", "notebooks/index.md"],
    "The project": [
        *("docs/index.md", "docs/design.md", "CONTRIBUTING.md", "docs/operator_database.md", "docs/versions.md"),
        *("benchmarks/README.md", "CHANGELOG.md"),
    ],
}


def sources():
    """Every page of the site by its path in it, as Markdown with the links of the repository."""
    pages = {
        path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
        for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "benchmarks").glob("*.md")]
    }
    index, rules = pages["docs/ops.md"], pages["docs/rules.md"]
    for name, text in op_pages(index, rules).items():
        pages[f"ops/{name}.md"] = text
    for name, function in FUNCTIONS.items():
        pages[f"functions/{name}.md"] = function_page(name, function)
    pages["functions/index.md"] = functions_index()
    pages["docs/functions.md"] = with_own_pages(pages["docs/functions.md"])
    pages["index.md"] = home(pages.pop("README.md"))
    pages["docs/ops.md"] = index_of_ops(index)
    pages["notebooks/index.md"] = notebooks_page()
    return pages


def home(readme):
    """The README as the first page: the index of ops has the table of primitives, and the menu is here."""
    text = re.sub(r"<!-- primitives: .*?<!-- end of primitives -->", "", readme, flags=re.DOTALL)
    trees = [
        f"```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{chr(10).join(pages)}\n```\n"
        for caption, pages in CONTENTS.items()
    ]
    return "\n".join([text, *trees])


OWN_PAGE = "In this site each name leads to a page with all of this, and with the rules."


def index_of_ops(text):
    """The index alone: what is said of each op is on its own page."""
    head = text.partition("\n## ")[0].replace("*Dimensions*", f"{OWN_PAGE}\n\n*Dimensions*", 1)
    return f"{head}\n{hidden(f'../ops/{name}.md' for name in parts(text))}"


def notebooks_page():
    names = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
    tree = "\n".join(names)
    return (
        "# Notebooks\n\nThe rules at work, with pictures: saved with their outputs, and executed by the tests."
        f"\n\n```{{toctree}}\n:maxdepth: 1\n\n{tree}\n```\n"
    )


def title(text):
    return re.search(r"^# (.*)$", text, re.MULTILINE)[1]


LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)")


def relinked(page, text, pages):
    """The text of a page with links that lead where the thing is in the site."""
    folder = PurePosixPath(page).parent.as_posix()
    here = "." if page == "index.md" else folder

    def link(match):
        image, words, target = match.groups()
        path, _, anchor = target.partition("#")
        if re.match(r"\w+:", target) or image:
            return match[0]
        there = normpath(f"{here}/{path}") if path else {"index.md": "README.md"}.get(page, page)
        if there == "docs/ops.md" and f"ops/{anchor}.md" in pages:
            there, anchor = f"ops/{anchor}.md", ""
        there = {"README.md": "index.md", "notebooks": "notebooks/index.md"}.get(there, there)
        if there not in pages and not (there.startswith("notebooks/") and (ROOT / there).exists()):
            return words
        if re.fullmatch(r"[\w/]+\.md", words):  # a name of a file means nothing here
            words = title(pages[there])
        if there == page and anchor:
            return f"[{words}](#{anchor})"
        return f"[{words}]({relpath(there, folder)}{'#' if anchor else ''}{anchor})"

    pieces = re.split(r"(^```.*?^```$)", text, flags=re.MULTILINE | re.DOTALL)
    pieces[::2] = [LINK.sub(link, piece) for piece in pieces[::2]]
    return "".join(pieces)


def pictures(pages):
    """Paths of the pictures that the pages show from the repository."""
    shown = (
        normpath(f"{PurePosixPath(page).parent}/{target}")
        for page, text in pages.items()
        for image, _, target in LINK.findall(text)
        if image and not re.match(r"\w+:", target)
    )
    return sorted(set(shown))


def stage(folder):
    """Write the sources of the site into a folder."""
    pages = sources()
    for page, text in pages.items():
        path = folder / page
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(with_tex(relinked(page, text, pages)), encoding="utf-8")
    for picture in pictures(pages):
        (folder / picture).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / picture, folder / picture)
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        for cell in notebook["cells"]:
            if cell["cell_type"] == "markdown":
                text = "".join(cell["source"])
                cell["source"] = relinked(f"notebooks/{path.name}", text, pages)
        (folder / "notebooks" / path.name).write_text(json.dumps(notebook), encoding="utf-8")


def build(target):
    """Build the site into a folder; the status of Sphinx, which is not 0 if it had a warning."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "source"
        stage(source)
        command = [sys.executable, "-m", "sphinx", "--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
        command += ["--conf-dir", HERE, "--doctree-dir", f"{folder}/doctrees", source, target]
        return subprocess.run(command, cwd=ROOT, check=False).returncode
