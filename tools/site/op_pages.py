"""A page for each primitive: its rules, its names in each framework, and what its docstring says.

May import `overbar` and its neighbours.
"""

import inspect
import re

from overbar._docstrings import entries, sections
from overbar.rules import REGISTRY

#: Names of other primitives in the text, which become links.
NAMED = re.compile(r"`(\w+)`")


def op_pages(index, rules):
    """The pages by name, from the texts of docs/ops.md and docs/rules.md."""
    said, formulas = parts(index), parts(rules)
    return {name: op_page(name, primitive, said[name], formulas[name]) for name, primitive in REGISTRY.items()}


def parts(document):
    """What stands under each heading of the second level."""
    found = re.split(r"^## (.+)\n", document, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], (text.strip("\n") for text in found[1::2]), strict=True))


def op_page(name, primitive, said, formulas):
    doc = sections(inspect.getdoc(primitive))
    head = markdown(doc.pop(""), name)
    _, _, names = said.partition("\n\n")  # its first paragraph is that of the docstring
    notes, examples = doc.pop("Notes", ""), doc.pop("Examples", "")
    lines = [f"# {name}", "", head, ""]
    lines += ["## Rules", "", ":::{container} rules", "", formulas, "", ":::", ""]
    lines += ["## In each framework", "", names, ""]
    for title in ("Parameters", "Returns", "Raises"):
        if title in doc:
            lines += [f"## {title}", "", *described(title, doc.pop(title), name)]
    assert not doc, f"{name}: sections that the page has no place for: {list(doc)}"
    if notes:
        lines += ["## Derivation, source and cost", "", markdown(notes, name), ""]
    if examples:
        lines += ["## Example", "", *session(examples, name), ""]
    return "\n".join(lines)


def described(title, text, own):
    """A list of definitions, of a section in NumPy's form."""
    for names, kind, meaning in entries(text):
        head = ", ".join(f"`{name}`" for name in names)
        head = " : ".join(part for part in (head, markdown(kind, own)) if part)
        yield head
        body = markdown(meaning, own).split("\n") if meaning else [""]
        yield ": " + body[0]
        yield from (f"  {line}".rstrip() for line in body[1:])
        yield ""


def markdown(text, own):
    """A text in the form of our docstrings as Markdown."""
    paragraphs = []
    for paragraph in re.split(r"\n(?: *\n)+", text.strip("\n")):
        if not paragraph.startswith("    "):  # else a formula, or a program
            pieces = re.split(r"(``.+?``|`[^`]+`)", paragraph, flags=re.DOTALL)
            pieces[::2] = [re.sub(r"([<$\\{}])", r"\\\1", piece) for piece in pieces[::2]]
            paragraph = "".join(pieces).replace("``", "`")
            paragraph = NAMED.sub(lambda match: linked(match[1], own), paragraph)
        paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


def linked(name, own):
    return f"[`{name}`]({name}.md)" if name in REGISTRY and name != own else f"`{name}`"


def session(text, own):
    """The examples: sessions of the interpreter as blocks, with the text between them."""
    for paragraph in re.split(r"\n(?: *\n)+", text.strip("\n")):
        yield from ["```pycon", paragraph, "```"] if paragraph.startswith(">>>") else [markdown(paragraph, own)]
        yield ""
