"""All that is generated: the text of each file, by its path. May import its neighbours."""

from tools.docs.common import FRONTS, ROOT
from tools.docs.errors import errors_table
from tools.docs.examples import examples_module
from tools.docs.functions_page import functions_page
from tools.docs.ops_page import ops_page, primitives_table
from tools.docs.stubs import linalg_stub, ops_stub, primitives_stub
from tools.docs.words_page import words_page


def documents():
    """The generated documents: their text, by path."""
    readme, conventions = ROOT / "README.md", ROOT / "docs" / "conventions.md"
    written = {
        ROOT / "docs" / "ops.md": ops_page(),
        ROOT / "docs" / "words.md": words_page(),
        ROOT / "docs" / "functions.md": functions_page(),
        readme: replaced(readme.read_text(encoding="utf-8"), "primitives", primitives_table()),
        conventions: replaced(conventions.read_text(encoding="utf-8"), "errors", errors_table()),
        ROOT / "src" / "overbar" / "rules" / "__init__.pyi": primitives_stub(),
    }
    for front in FRONTS.values():
        folder = ROOT / front.__name__
        written[folder / "_ops.pyi"] = ops_stub(front)
        written[folder / "_examples.py"] = examples_module(front)
        if hasattr(front, "linalg"):
            written[folder / "linalg.pyi"] = linalg_stub(front)
    return written


def replaced(text, name, part):
    """The text with `part` between the two comments that mark the generated part of that name."""
    start, end = f"<!-- {name}: written by make docs -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        raise ValueError(f"there is no part between {start} and {end}")
    return f"{before}{start}\n\n{part}\n{end}{after}"
