"""What the docstring of a primitive need not say, because the signature says it: shapes, dtypes, and the errors for
those that do not fit.

May import `overbar._docstrings`. A docstring in NumPy's form (CONTRIBUTING.md), or with no sections, is completed by
what is missing. What stands in it stays, and so does a docstring in another form.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from typing import Any

from overbar._docstrings import entries, sections

__all__ = ["completed"]

_DTYPES = "float32, float64, complex64 or complex128"
_PROMOTION = "Different dtypes are promoted in NumPy, and an error in PyTorch and TensorFlow."
_ERROR, _OF_THE_HOST = "LinAlgError of the array's library", "numpy.linalg.LinAlgError"

#: the headings of Google's form, and the fields of Sphinx's
_ANOTHER_FORM = re.compile(r"^(?:(?:Args|Arguments|Parameters|Returns|Raises)::?\s*$|:\w+.*:)", re.M)


def completed(primitive: Any, doc: str | None) -> str:
    """The docstring of a primitive, with what its signature says."""
    found = sections(doc)
    if _ANOTHER_FORM.search(found[""]):
        return inspect.cleandoc(doc)
    parameters = _parameters(primitive, found.pop("Parameters", ""))
    raises = _raises(primitive, found.pop("Raises", ""))
    found = {
        "": found.pop(""),
        "Parameters": "\n".join(map(_entry, parameters)),
        "Returns": found.pop("Returns", ""),
        "Raises": "\n".join(map(_entry, raises)),
        **found,
    }
    titled = [f"{name}\n{'-' * len(name)}\n{text}" if name else text for name, text in found.items() if text]
    return "\n\n".join(titled)


def _entry(part):
    head, text = part
    return head + ("\n    " + text.replace("\n", "\n    ") if text else "")


def _parameters(primitive, said):
    """The entries of the arguments. Arrays come first; those of one type about which nothing is said have one."""
    listed = [(names or kind.split(", "), names and kind, text) for names, kind, text in entries(said)]
    known = {name for names, _, _ in listed for name in names}
    found = []
    for i, name in enumerate(primitive.arguments):
        kind = _type(primitive, i)
        if name in known:
            found += [(names, kind_said or kind, text) for names, kind_said, text in listed if names[0] == name]
        elif found and found[-1][1:] == (kind, "") and known.isdisjoint(found[-1][0]):
            found[-1][0].append(name)
        else:
            found.append(([name], kind, ""))
    found += [entry for entry in listed if entry[0][0] not in primitive.arguments]
    if "float32" not in said:
        special = {*primitive.integer, *primitive.real, *primitive.absent}
        last = [name for name in primitive.arguments if name not in special][-1]
        found = [
            (names, kind, "\n".join(filter(None, (text, _dtypes(primitive, text))))) if last in names else entry
            for entry in found
            for names, kind, text in (entry,)
        ]
    return [(", ".join(names) + (f" : {kind}" if kind else ""), text) for names, kind, text in found]


def _type(primitive, i):
    """``array (..., n, k) or (n,)`` for (n,k?)."""
    name, signature = primitive.arguments[i], primitive.signature
    optional = ", optional" if name in primitive.absent else ""
    if signature.whole:
        return "sequence of array" if primitive.variadic else "array"
    core = signature.inputs[i]
    kept = [dim for dim in core if dim not in signature.optional]
    vector = f" or ({', '.join(kept)}{',' if len(kept) == 1 else ''})" if len(kept) < len(core) else ""
    integers = " of integers" if name in primitive.integer else ""
    return f"array{integers} ({', '.join(['...', *core])}){vector}{optional}"


def _dtypes(primitive, text):
    """Which arrays an array may be, said once for all."""
    several = len(primitive.arguments) > 1
    if not any(primitive.signature.inputs):
        return f"{_DTYPES}; the shapes broadcast." if several else f"{_DTYPES}{'' if text else ', of any shape'}."
    sentences = [f"{_DTYPES}. Batch dimensions broadcast." if several else f"{_DTYPES}."]
    if len({*primitive.arguments} - {*primitive.integer, *primitive.real}) > 1:
        sentences.append(_PROMOTION)
    return "\n".join(sentences)


def _raises(primitive, said):
    """The entries of the errors: that for wrong shapes and dtypes has other causes too, if some are said."""
    found = [(kind, text) for _, kind, text in entries(said)]
    if "floating point" not in said:
        causes = _usual_causes(primitive)
        # (an error that is NumPy's in every library comes from the host, which gets only what fits)
        place = next((i for i, (kind, _) in enumerate(found) if "LinAlgError" in kind and kind != _OF_THE_HOST), None)
        if place is None:
            found.insert(0, (_ERROR, textwrap.fill(causes, 108)))
        else:
            kind, text = found[place]
            causes = re.sub("^(The|An|A dtype)", lambda match: match[1].lower(), causes)
            found[place] = kind, f"{text}\n{textwrap.fill(f'Also where {causes}', 108)}"
    for name, core in zip(primitive.arguments, primitive.signature.inputs, strict=False):
        if name in primitive.real:
            found.append(("TypeError", f"{name} is complex."))
            if not core:
                found.append(("ValueError", f"{name} is a number that is not finite."))
    return found


def _usual_causes(primitive):
    """What is wrong with arrays that do not fit the signature."""
    signature, (name, *others) = primitive.signature, primitive.arguments
    (core, *cores) = signature.inputs
    if primitive.variadic:
        return "A dtype is not floating point."
    if not any(signature.inputs):
        return f"The shapes do not broadcast, or a dtype {_IS}" if others else f"The dtype {_IS}"
    square = [
        name for name, core in zip(primitive.arguments, signature.inputs, strict=True) if len({*core}) < len(core)
    ]
    *first, last = square or [name]
    which = f"{', '.join(first)} or {last}" if first else last
    if square:
        shape = f"{which} is not square"
    elif any(cores):
        shape = "An array has too few dimensions"
    else:
        shape = f"{name} has no dimension" if len(core) == 1 else f"{name} has less than two dimensions"
    if any(cores):
        shared = square or len({*core}.union(*cores)) < sum(map(len, signature.inputs))
        shape += ", the shapes do not fit" if shared else ", batch dimensions do not broadcast"
    return f"{shape}, or {'a' if others else 'its'} dtype {_IS}"


_IS = "is not floating point."
