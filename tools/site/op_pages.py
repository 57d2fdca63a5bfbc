"""A page for each primitive, its rules, its names in each framework and what its docstring says; and one for each other
name that `overbar` offers.

May import `overbar`.
"""

import inspect
import re

import overbar
from overbar import rules
from overbar._docstrings import entries, sections
from overbar.rules import REGISTRY

#: Names of primitives in the text, which become links, and of what else there is, by its full name.
NAMED = re.compile(r"`(overbar\.)?(\w+)`")
#: What `overbar` offers beside the primitives of the registry.
FUNCTIONS = {name: getattr(overbar, name) for name in overbar.__all__ if name not in REGISTRY}


def op_pages(index, formulas):
    """The pages of the primitives by name, from the texts of docs/ops.md and docs/rules.md."""
    said, formulas = parts(index), parts(formulas)
    if missing := [name for name in REGISTRY if name not in formulas]:
        raise KeyError(f"docs/rules.md has no section {', '.join(missing)}: write the two rules there")
    return {name: op_page(name, primitive, said[name], formulas[name]) for name, primitive in REGISTRY.items()}


def parts(document):
    """What stands under each heading of the second level."""
    found = re.split(r"^## (.+)\n", document, flags=re.MULTILINE)[1:]
    return dict(zip(found[::2], (text.strip("\n") for text in found[1::2]), strict=True))


def op_page(name, primitive, said, formulas):
    head, *rest = documented(name, primitive)
    _, _, names = said.partition("\n\n")  # its first paragraph is that of the docstring
    lines = [f"# {name}", "", head, ""]
    lines += ["## Rules", "", ":::{container} rules", "", formulas, "", *facts(primitive, formulas), "", ":::", ""]
    return "\n".join([*lines, "## In each framework", "", names, "", *rest])


NAME = r"(?:de |Van )?[A-Z][\w’'–-]+"
#: A source, as docstrings cite it: authors, year, title and section.
CITED = re.compile(
    rf"({NAME}(?:(?:, and |, | and | & ){NAME})*(?: et al\.| and others)?),? \(?((?:19|20)\d\d)\)?"
    r"((?:, \"[^\"]+\")?(?:, (?:sections?|theorem|chapters?) [\d.]*\d(?: (?:and|to) [\d.]*\d)?)?)"
)
LABEL = r"(?:Source|Cost(?: of[^.:]{0,60})?): "


def sources(primitive, formulas):
    """What a derivation goes back to: the works that a docstring cites, or what the page of rules says."""
    notes = " ".join(sections(inspect.getdoc(primitive))["Notes"].split())
    found = {}
    for authors, year, rest in CITED.findall(notes):  # the same work once, as it is cited in most detail
        found[authors, year] = max(found.get((authors, year), ""), f"{authors} ({year}){rest}", key=len)
    said = re.search(r"^Source: ((?:.+\n?)+)", formulas, re.MULTILINE)
    return [*found.values()] or ([" ".join(said[1].split()).rstrip(".")] if said else [])


def cost(primitive):
    """What a docstring says of the cost."""
    for paragraph in re.split(r"\n *\n", sections(inspect.getdoc(primitive))["Notes"]):
        text = " ".join(paragraph.split())
        if said := re.search(rf"(?:^|(?<=[.)] ))Cost(?: of[^.:]{{0,60}})?: (.*?)(?= {LABEL}|$)", text):
            return said[1]
    return None


def facts(primitive, formulas):
    """The sources and the cost, as a list."""
    if "Source: " not in formulas:
        yield f"- Source: {'; '.join(sources(primitive, formulas))}"
    yield f"- Cost: {markdown(cost(primitive), primitive.name)}"


def function_page(name, function):
    """The page of a name that is no primitive of the registry: its signature, and what its docstring says."""
    head, *rest = documented(name, function)
    lines = [f"# {name}", "", f"`overbar.{name}{signature(function)}`", "", head, "", *rest]
    if isinstance(function, type):
        for method, of in vars(function).items():
            if not method.startswith("_") and inspect.getdoc(of):
                shown = method if isinstance(of, property) or not callable(of) else f"{method}{signature(of)}"
                lines += [f"## {method}", "", f"`{shown}`", "", markdown(inspect.getdoc(of), name), ""]
        for part in attribute_classes(function):
            head, *rest = documented(name, part)
            lines += [f"## {part.__name__}", "", head, "", *[re.sub("^## ", "### ", line) for line in rest]]
    return "\n".join(lines)


def attribute_classes(of):
    """The classes of the same module that the attributes of a class are made of, as its docstring has them."""
    kinds = " ".join(kind for _, kind, _ in entries(sections(inspect.getdoc(of)).get("Attributes", "")))
    found = [getattr(inspect.getmodule(of), word, None) for word in re.findall(r"\w+", kinds)]
    return [thing for thing in dict.fromkeys(found) if getattr(thing, "__module__", "") == of.__module__]


def functions_index():
    """The page that lists those of them that docs/functions.md does not."""
    rows, names = [], [name for name in FUNCTIONS if name not in rules.FUNCTIONS]
    for name in names:
        first = re.split(r"\n\n", inspect.getdoc(FUNCTIONS[name]))[0].replace("\n", " ").replace("|", "\\|")
        rows.append(f"| [`{name}`]({name}.md) | {markdown(first, name)} |")
    lines = ["# Derivatives, and primitives of your own", "", INTRODUCTION, ""]
    lines += ["| name | what it does |", "| --- | --- |", *rows, ""]
    return "\n".join([*lines, hidden(f"{name}.md" for name in names)])


INTRODUCTION = """What `overbar` offers beside the [primitives](../docs/ops.md) and the [functions of
arrays](../docs/functions.md)."""


def with_own_pages(text):
    """docs/functions.md with links to the page of each function."""
    text = re.sub(r"^\| `((\w+)\(.*?\))` \|", r"| [`\1`](../functions/\2.md) |", text, flags=re.MULTILINE)
    return "\n".join([text, hidden(f"../functions/{name}.md" for name in rules.FUNCTIONS)])


def hidden(pages):
    """An entry of the menu for each of these pages."""
    return "\n".join(["```{toctree}", ":hidden:", "", *pages, "```", ""])


def signature(function):
    """A signature as one would write it, without annotations."""
    bare = inspect.Signature(
        [p.replace(annotation=p.empty) for p in inspect.signature(function).parameters.values() if p.name != "self"]
    )
    return str(bare)


def documented(name, thing):
    """What a docstring says, as Markdown: the text at its head, and lines with the rest under headings."""
    doc = sections(inspect.getdoc(thing))
    head = markdown(doc.pop(""), name)
    notes, examples = doc.pop("Notes", ""), doc.pop("Examples", "")
    lines = []
    for title in ("Parameters", "Attributes", "Returns", "Raises"):
        if title in doc:
            lines += [f"## {title}", "", *described(title, doc.pop(title), name)]
    assert not doc, f"{name}: sections that the page has no place for: {list(doc)}"
    if notes:
        lines += ["## Derivation, source and cost", "", markdown(notes, name), ""]
    if examples:
        lines += ["## Example", "", *session(examples, name), ""]
    return [head, *lines]


def described(title, text, own):
    """A list of definitions, of a section in NumPy's form."""
    for names, kind, meaning in entries(text):
        head = ", ".join(f"`{name}`" for name in names)
        head = " : ".join(part for part in (head, markdown(kind, own)) if part)
        yield head
        if not meaning:
            yield ""
            continue
        body = markdown(meaning, own).split("\n")
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
            paragraph = NAMED.sub(lambda match: linked(match, own), paragraph)
        paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


def linked(match, own):
    """A name in the text as a link to its page."""
    full, name = match.groups()
    folder = "ops" if name in REGISTRY else "functions" if full and name in FUNCTIONS else None
    return match[0] if folder is None or name == own else f"[{match[0]}](../{folder}/{name}.md)"


def session(text, own):
    """The examples: sessions of the interpreter as blocks, with the text between them."""
    for paragraph in re.split(r"\n(?: *\n)+", text.strip("\n")):
        yield from ["```pycon", paragraph, "```"] if paragraph.startswith(">>>") else [markdown(paragraph, own)]
        yield ""
