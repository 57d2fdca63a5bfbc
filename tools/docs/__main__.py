"""Writes what is generated:

    python -m tools.docs

docs/ops.md as a whole, the table of primitives in README.md, and the table of errors in docs/conventions.md. And what
the packages carry for those who read and type-check: the types of the primitives and ops, as stub files, and the
examples in the docstrings of the ops. The tests compare the files with what this program gives.
"""

from tools.docs.common import ROOT
from tools.docs.documents import documents

if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
