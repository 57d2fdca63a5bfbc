"""The words in which rules are written, as a page: docs/words.md.

May import `overbar` and its neighbours.
"""

import ast
import inspect
import re

from overbar._front import Front
from overbar._words import Words
from tools.docs.common import ROOT, table

HEAD = """# The words of a rule

<!-- This file is written by make docs, from overbar/_words.py. -->

A rule, and the function of a primitive, compute with `xp = overbar.namespace(A)`, with `@`, `+`, `A[..., a:b]` and
Python numbers. What `xp` has are the functions of the Python array API standard (https://data-apis.org/array-api) under
the standard's names, and the words below, which matrix derivatives need and the standard lacks. All take arrays with
leading batch dimensions. A rule made of them runs in NumPy, PyTorch and TensorFlow, batched, compiled, and
differentiated again.
"""
STANDARD = """
## of the standard

These are used by the rules of the collection, so that every front has them, and tests run all rules with no more than
the standard:
"""


FRONT = """
## What a rule asks its front

What depends on the library, and is no function of arrays, is asked of `overbar.front(A)`: it has the exceptions
`ShapeError`, `DtypeError` and `LinAlgError` that a user of the library expects, and what follows.
"""


def words_page():
    words = _sections(Words, "xp")
    standard = STANDARD + "\n" + ", ".join(f"`{name}`" for name in standard_words()) + ".\n"
    asked = _sections(Front, "front", ("the numbers in arrays", "where things are computed"), level="###")
    return HEAD + words + standard + FRONT + asked


def _sections(cls, prefix, only=None, level="##"):
    """Tables of the methods of a class, one for each of the sections into which comments divide it."""
    source = inspect.getsource(cls)
    titles = [(m.start(), m[1]) for m in re.finditer(r"(?m)^    # -- ([\w ]+) -+$", source)]
    parts = {title: [] for _, title in titles}
    for name, word in vars(cls).items():
        place = re.search(rf"(?m)^    (def )?{name}\b", source)
        if name.startswith("_") or place is None or place.start() < titles[0][0]:
            continue
        title = [title for start, title in titles if start < place.start()][-1]
        shown = f"`{prefix}.{name}{_arguments(word)}`"
        parts[title].append([shown, _meaning(word, source, place)])
    return "".join(
        f"\n{level} {title}\n\n{table(['word', 'what it is'], rows)}"
        for title, rows in parts.items()
        if only is None or title in only
    )


def _arguments(word):
    function = word.__func__ if isinstance(word, staticmethod) else word
    if not inspect.isfunction(function):
        return "(A)"
    parameters = [
        p.replace(annotation=inspect.Parameter.empty)
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    ]
    return str(inspect.Signature(parameters))


def _meaning(word, source, place):
    if inspect.isfunction(word):
        text = inspect.getdoc(word)
    else:  # an attribute, with the comment in front of it
        text = " ".join(re.findall(r"(?m)#: (.*)$", source[: place.start()].rpartition("\n\n")[2]))
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def standard_words():
    """The names that rules take from `xp` and that are no words of ours."""
    found = set()
    for file in (ROOT / "src" / "overbar" / "rules").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("xp", "self.xp"):
                found.add(node.attr)
    return sorted(found - vars(Words).keys() - {"base", "front", "name"})
