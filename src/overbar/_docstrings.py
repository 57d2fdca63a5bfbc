"""What help() says of an op: the docstring of its primitive, in the words and the order of a framework's own.

Imports nothing of overbar; the fronts call `describe`. A primitive's docstring has NumPy's form (CONTRIBUTING.md), with
NumPy's shapes, ``array (..., n, n)``, and what it says of errors is true of every library. Here each framework gets its
own shapes, types, names of arguments and exceptions, and nothing about the others. The mathematics stays as it is.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

__all__ = ["PYTORCH", "TENSORFLOW", "Words", "counterparts", "describe", "entries", "full_name", "sections"]


class Words(NamedTuple):
    """How the documentation of a library writes things."""

    #: the library's name in a sentence
    library: str
    #: what an array is called
    tensor: str
    #: what its users expect instead of `LinAlgError`, and instead of errors of no kind in particular
    errors: tuple[str, str]
    #: a shape with batch dimensions, and one of a vector: ``(*, {})``, ``({},)``
    shapes: tuple[str, str]
    #: what stands for the batch dimensions in it
    batch_mark: str
    #: the beginning of what is said once about the batch dimensions, ``* is``; nothing where users know it
    batch: str
    #: an argument, its type and whether it may be left out: ``{name} ({type}{optional})``
    argument: str
    #: the headings of arguments by position, by keyword, and of examples
    headings: tuple[str, str, str]
    #: the heading of a remark
    remark: str
    #: the name of another function
    function: str
    #: what the library's names of options are in a primitive, where an op does not say it
    options: Mapping[str, str]
    #: arguments that functions of the library have, and primitives have not
    everywhere: Mapping[str, str]


_MATRICES = {
    "dim": "The two dimensions of the matrices, the rows' first",
    "keepdim": "Whether these dimensions stay, with size 1",
}

PYTORCH = Words(
    library="PyTorch",
    tensor="Tensor",
    errors=("torch.linalg.LinAlgError", "RuntimeError"),
    shapes=("(*, {})", "({},)"),
    batch_mark="*",
    batch="``*`` is",
    argument="{name} ({type}{optional}):",
    headings=("Args:", "Keyword args:", "Examples::"),
    remark=".. note::",
    function=":func:`{}`",
    options={"dim": "axis", "keepdim": "keepdims"},
    everywhere={
        "driver": "Which routine of LAPACK or cuSOLVER PyTorch's own function calls, where a call goes there",
        **_MATRICES,
    },
)

TENSORFLOW = Words(
    library="TensorFlow",
    tensor="tf.Tensor",
    errors=("tf.errors.InvalidArgumentError", "tf.errors.InvalidArgumentError"),
    shapes=("[..., {}]", "[{}]"),
    batch_mark="...",
    batch="",
    argument="{name}:",
    headings=("Args:", "Keyword args:", "Examples:"),
    remark="Note:",
    function="`{}`",
    options={},
    everywhere={
        "name": "A name for the operation",
        "fast": "Where it is false, `l2_regularizer` is ignored.\n"
        "The normal equations, which lose digits, are solved in neither case",
        **_MATRICES,
    },
)

_LIBRARIES = {"NumPy": "NumPy", "PyTorch": "PyTorch", "TensorFlow": "TensorFlow|XLA"}
_NAMES = re.compile("|".join(_LIBRARIES.values()))


def sections(doc: str | None) -> dict[str, str]:
    """The sections of a docstring in NumPy's form, by heading; what stands above them has the heading ''."""
    first, *rest = re.split(r"^(\w[\w ]*)\n---+\n", inspect.cleandoc(doc or ""), flags=re.M)
    return {"": first.strip(), **{heading: text.strip() for heading, text in zip(rest[::2], rest[1::2], strict=True)}}


def entries(section: str) -> list[tuple[list[str], str, str]]:
    """What a section lists: the names (none in *Returns* and *Raises*), the type, and what is said about it."""
    found = []
    for head, body in re.findall(r"^(\S.*)((?:\n(?: .*)?)*)", section, re.M):
        names, colon, kind = head.partition(" : ")
        text = textwrap.dedent(body.strip("\n")).strip()
        found.append((names.split(", "), kind, text) if colon else ([], head, text))
    return found


def counterparts(
    primitive: Any, theirs: Iterable[str], names: Mapping[str, str], options: Mapping[str, str]
) -> dict[str, str | None]:
    """Which argument of a primitive each argument of an op stands for; None where it has no counterpart.

    `names` says it for some. What is called alike is the same, and the arrays are in the same order.
    """
    ours = {*primitive.arguments, *primitive.defaults} - {"batch_ndim"}
    known = {name: names.get(name, options.get(name, name)) for name in theirs}
    found: dict[str, str | None] = {name: our if our in ours else None for name, our in known.items()}
    arrays = [name for name in primitive.arguments if name not in found.values()]
    for name in found:
        if found[name] is None and arrays:
            found[name] = arrays.pop(0)
    return found


def full_name(function: Any, modules: Mapping[str, Any]) -> str:
    """What users call a function of the library's own: torch.linalg.cholesky for linalg_cholesky; nothing for None.

    `modules` are those that users know, by name.
    """
    if function is None:
        return ""
    same = []  # the function and what it wraps
    while function is not None:
        same.append(function)
        function = getattr(function, "__wrapped__", None)
    name = same[0].__name__.removeprefix("linalg_")
    for module, inside in modules.items():
        if any(getattr(inside, name, None) is one for one in same):
            return f"{module}.{name}"
    for module, inside in modules.items():  # under another name than its own
        for name, value in vars(inside).items():
            if any(value is one for one in same):
                return f"{module}.{name}"
    return f"{same[0].__module__}.{same[0].__qualname__}"


def describe(
    primitive: Any,
    signature: inspect.Signature,
    words: Words,
    *,
    name: str,
    names: Mapping[str, str] | None = None,
    builtin: str = "",
    always: bool = False,
    returned: str = "",
    example: str = "",
) -> str:
    """The docstring of an op.

    Parameters
    ----------
    primitive : Primitive
    signature : inspect.Signature
        Of the op. Annotations that are strings are shown as they are.
    words : Words
    name : str
        Of the op.
    names : dict, optional
        What the op's arguments are called in the primitive: {"input": "A"}.
    builtin : str
        The library's own function that computes the op in some cases, or `always`.
    returned : str
        What this library's function makes of the outputs, if not a tensor or a tuple of them.
    example : str
        A session of the interpreter.
    """
    said = sections(primitive.__doc__)
    theirs = counterparts(primitive, signature.parameters, names or {}, words.options)
    renamed = {our: their for their, our in theirs.items() if our is not None and our != their}
    see = words.function.format(builtin) if builtin else f"{words.library}'s own function"

    def text(part):
        """What is said in a section, without what concerns other libraries, and with this library's names."""
        part = _of_library(part, words.library)
        return re.sub(r"`(\w+)`", lambda m: f"`{renamed.get(m[1], m[1])}`", part)

    documented = {}  # the type and the text, by argument of the primitive
    for named, kind, about in entries(said.get("Parameters", "")):
        named, kind = (named, kind) if named else ([kind], "")
        for our in named:
            documented[our] = kind, about if our == named[-1] else ""

    groups: dict[bool, list[str]] = {False: [], True: []}
    batch = words.batch
    for their, parameter in signature.parameters.items():
        our = theirs[their]
        kind, about = documented.get(our, ("", ""))
        shape, lines = _shape(kind, words), []
        given = parameter.default is not parameter.empty
        if our in primitive.arguments:
            if batch and words.batch_mark in shape:
                shape += f", where {batch} {'zero or more batch' if ',' in shape else 'any number of'} dimensions"
                batch = ""
            symbol = f"{our} in the formulas" if our != their and not primitive.variadic else ""
            lines = [", ".join(filter(None, (symbol, shape if " of shape " in shape else ""))), text(about)]
            kind = _type(parameter, f"sequence of {words.tensor}" if primitive.variadic else _entry(primitive, words))
        else:
            kind = _type(parameter, shape)
            what = text(about) if our else words.everywhere.get(their, f"See {see}")
            if given and parameter.default is not None:
                what = f"{what.rstrip('.')}. Default: ``{parameter.default!r}``"
            lines = [what]
        head = words.argument.format(name=their, type=kind, optional=", optional" if given else "").replace(" ()", "")
        lines = [line.rstrip(".") + "." for line in lines if line]
        groups[parameter.kind is parameter.KEYWORD_ONLY].append(_item(head.replace("(, ", "("), lines))

    returns = [
        _item(re.sub("^tensor", "Tensor", _shape(kind, words)) + ".", [text(about)])
        for _, kind, about in entries(said.get("Returns", ""))
    ]
    if returned:
        returns.insert(0, _item(returned, []))
    raises = [
        # what stood before it may concern other libraries only
        _item(f"{_error(kind, words)}:", [re.sub("^Also where (.)", lambda match: match[1].upper(), text(about))])
        for _, kind, about in entries(said.get("Raises", ""))
    ]
    positional, keyword, examples = words.headings
    blocks = [
        f"{name}{_bare(signature)} -> {_result(primitive, words)}",
        text(said[""]),
        _block(positional, groups[False]),
        _block(keyword, groups[True]),
        _block("Returns:", returns),
        _block("Raises:", [] if always else raises),
        _block("Shape:", _dimensions(primitive, theirs, words)),
        _block(words.remark, [_passed_on(see, words, always)] if builtin else []),
        _block("Derivation:", [text(said["Notes"])] if "Notes" in said else []),
        _block(examples, [example.rstrip()] if example else []),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _block(heading, items):
    return heading + "\n" + textwrap.indent("\n".join(items), "    ") if items else ""


def _item(head, lines):
    """An entry of a list. A text that fits on the line of its head stands there."""
    first, *rest = [line for line in lines if line] or [""]
    if "\n" not in first and len(head) + len(first) < 108:
        head = f"{head} {first}".rstrip()
    else:
        rest.insert(0, first)
    return "\n".join([head, *(textwrap.indent(line, "    ") for line in rest)])


def _bare(signature):
    """A signature without its annotations."""
    parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=parameters, return_annotation=signature.empty))


def _type(parameter, otherwise):
    annotation = parameter.annotation
    if annotation is parameter.empty:
        return otherwise
    written = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return written.replace(" | ", " or ")


def _entry(primitive, words):
    """What may stand for an array: a Python number, too, in an elementwise function of several arrays."""
    several = len(primitive.arguments) > 1 and not any(primitive.signature.inputs)
    return f"{words.tensor} or Number" if several else words.tensor


def _result(primitive, words):
    return words.tensor if primitive.public == 1 else f"({', '.join([words.tensor] * primitive.public)})"


def _with_batch(core, words):
    """A shape with batch dimensions in front."""
    return words.shapes[0].format(core) if core else words.shapes[0].replace(", {}", "")


def _shape(kind, words):
    """What is said of a type and its shape, as this library writes shapes: ``array (..., n, n)`` is a tensor of shape
    (*, n, n) in PyTorch."""

    def shape(match):
        core = match[1]
        whole = _with_batch(core[3:].lstrip(", "), words) if "..." in core else words.shapes[1].format(core[:-1])
        return f"``{whole}``"

    kind = re.sub(r"\barray \(", "array of shape (", kind)
    return re.sub(r"\((\.\.\.[^()]*|\w+,)\)", shape, kind).replace("array", "tensor")


def _dimensions(primitive, theirs, words):
    """The lines of the section on shapes, from the core dimensions."""
    signature = primitive.signature
    if signature.whole:
        return []
    their = {our: name for name, our in theirs.items()}
    lines = []
    for our, core in zip(primitive.arguments, signature.inputs, strict=True):
        shape = _with_batch(", ".join(core), words)
        kept = [dim for dim in core if dim not in signature.optional]
        vector = f" or ``{words.shapes[1].format(', '.join(kept))}``" if len(kept) < len(core) else ""
        lines.append(f"- {their[our]}: ``{shape}``{vector}")
    for i, core in enumerate(signature.outputs[: primitive.public]):
        shape = _with_batch(", ".join(core), words)
        absent = ", without the dimensions that the inputs lack" if signature.optional & set(core) else ""
        lines.append(f"- Output{f' {i}' if primitive.public > 1 else ''}: ``{shape}``{absent}")
    return lines


def _passed_on(see, words, always):
    if always:
        return (
            f"Every call goes to {see}: what it takes, what it raises and the derivative\n"
            f"are {words.library}'s. The derivation below is that of the same function in overbar."
        )
    return (
        f"Calls for which {see} is no slower and its derivative right are\n"
        "passed to it; docs/ops.md says which these are. In all others the derivative is the rule below."
    )


def _error(kind, words):
    """The exception of this library, where a docstring names those of several."""
    if "LinAlgError" in kind:
        return words.errors[0]
    if " or " in kind or "," in kind:
        return words.errors[1]
    return kind


def _of_library(text, library):
    """A text without the sentences that are about other libraries only, and without such a part of a sentence."""
    ours = re.compile(_LIBRARIES[library])
    kept = []
    for paragraph in text.split("\n\n"):
        if not _NAMES.search(paragraph) or paragraph.startswith(" "):
            kept.append(paragraph)
            continue
        sentences = []
        for sentence in re.split(r"(?<=[.)])\s+(?=[A-Z(])", " ".join(paragraph.split())):
            if ours.search(sentence) or not _NAMES.search(sentence):
                sentences.append(sentence)
                continue
            clauses = [clause for clause in sentence.split("; ") if not _NAMES.search(clause)]
            if clauses:
                sentences.append("; ".join(clauses).rstrip(".") + ".")
        changed = " ".join(sentences)
        if changed != " ".join(paragraph.split()):
            paragraph = textwrap.fill(changed, 108, break_long_words=False, break_on_hyphens=False)
        kept.append(paragraph)
    return "\n\n".join(part for part in kept if part)
