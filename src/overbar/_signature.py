"""Core dimensions: "(m,n),(n,p)->(m,p)", and whether arrays fit.

May import nothing of overbar.
"""

from __future__ import annotations

import functools
import itertools
import re
from dataclasses import dataclass


def broadcasts(small, large):
    """Whether the first shape broadcasts to the second; None is a size that is not known yet."""
    return len(small) <= len(large) and all(
        m is None or n is None or m in (1, n) for m, n in zip(reversed(small), reversed(large), strict=False)
    )


class Fit:
    """What is known of dtypes and shapes that fit a signature."""

    __slots__ = ("dropped", "verified")

    def __init__(self, dropped):
        #: the core dimensions that are absent, because a vector was given instead of a matrix
        self.dropped = dropped
        #: whether the outputs of a call with such arrays have been held against the signature
        self.verified = False


@dataclass(frozen=True)
class Signature:
    """Core dimensions, in the notation of NumPy's generalised ufuncs: "(m,n),(n,p)->(m,p)".

    A dimension with a question mark may be absent (a vector instead of a matrix); one that is a number has that
    size. The text "..." stands for functions of whole arrays, which know no core dimensions (reshape); they are told
    how many leading dimensions are batch dimensions by the option `batch_ndim`.
    """

    text: str

    @functools.cached_property
    def whole(self):
        return "..." in self.text

    @functools.cached_property
    def inputs(self):
        return self._parse(self.text.partition("->")[0])

    @functools.cached_property
    def outputs(self):
        return self._parse(self.text.partition("->")[2])

    def _parse(self, side):
        if self.whole:
            return ((),)
        groups = re.findall(r"\(([^()]*)\)", side)
        if not groups or ",".join(f"({g})" for g in groups) != side.replace(" ", ""):
            raise ValueError(f"'{self.text}' is not a signature like '(m,n),(n,p)->(m,p)'")
        return tuple(tuple(g.replace(" ", "").replace("?", "").split(",")) if g else () for g in groups)

    @functools.cached_property
    def optional(self):
        return frozenset(re.findall(r"(\w+)\?", self.text))

    def shown(self, outputs):
        """The text with so many of the outputs: those that a caller sees."""
        if self.whole or outputs == len(self.outputs):
            return self.text
        inputs, _, returned = self.text.partition("->")
        return f"{inputs}->{','.join(re.findall(r'[(][^()]*[)]', returned)[:outputs])}"

    def fit(self, shapes, text=None):
        """Match shapes (with None for sizes that are not known yet) against the core dimensions, which messages show as
        `text`.

        Returns the names of absent dimensions. Raises ValueError(problem, remedy); {i} in the problem stands for the
        i-th array.
        """
        text = self.text if text is None else text
        dropped, sizes, batch, widest = set(), {}, (), 0
        for i, (shape, core) in enumerate(zip(shapes, self.inputs, strict=True)):
            if len(shape) < len(core):
                missing = [dim for dim in core if dim in self.optional]
                if len(shape) != len(core) - len(missing):
                    raise ValueError(
                        f"{{{i}}} has too few dimensions for {text}",
                        "Batch dimensions go in front of them.",
                    )
                dropped.update(missing)
                core = [dim for dim in core if dim not in missing]
            here = {}
            known_sizes = [
                (dim, size) for dim, size in zip(core, shape[len(shape) - len(core) :], strict=True) if size is not None
            ]
            for dim, size in known_sizes:
                if here.setdefault(dim, size) != size:
                    raise ValueError(
                        f"{{{i}}} is not square",
                        "Its last two dimensions must be equal; batch dimensions go in front of them.",
                    )
            for dim, size in known_sizes:  # only now: of a matrix that is not square, that is what there is to say
                if dim.isdigit() and size != int(dim):
                    raise ValueError(
                        f"{{{i}}} has {size} where {text} has {dim}", "A number in a signature is a fixed size."
                    )
                j, known = sizes.setdefault(dim, (i, size))
                if known != size:
                    raise ValueError(
                        f"{{{i}}} does not fit {{{j}}}: the dimension {dim} of {text} is {size} in one and "
                        f"{known} in the other",
                        "Check the order of the arguments, and whether one of them wants a transpose.",
                    )
            lead = shape[: len(shape) - len(core)]
            try:
                batch = _broadcast(batch, lead)
            except ValueError:
                raise ValueError(
                    f"{{{i}}} does not broadcast with {{{widest}}}: the batch dimensions are {tuple(lead)} and {batch}",
                    "Counted from the right, they must be equal or 1.",
                ) from None
            if len(batch) == len(lead):
                widest = i
        return frozenset(dropped)

    def completed(self, shapes, cores):
        """The shapes of arrays with these core dimensions, with the sizes that others of them know in the place of
        None. A shape may be None, of an array whose rank is not known."""
        cores = [
            core if shape is not None and len(shape) >= len(core) else ()
            for shape, core in zip(shapes, cores, strict=True)
        ]
        sizes = {dim: int(dim) for core in cores for dim in core if dim.isdigit()}
        for shape, core in zip(shapes, cores, strict=True):
            for dim, size in zip(core, shape[len(shape) - len(core) :] if core else (), strict=True):
                if size is not None:
                    sizes.setdefault(dim, size)
        return [
            (*shape[: len(shape) - len(core)], *map(_known, shape[len(shape) - len(core) :], map(sizes.get, core)))
            if core
            else shape
            for shape, core in zip(shapes, cores, strict=True)
        ]

    @functools.lru_cache(maxsize=1024)  # noqa: B019 a signature is equal to any other of its text
    def lacking(self, dropped):
        """Where vectors stand for matrices: for each input, and for each output, the axes that it lacks, and the index
        that puts them in, None where it lacks none."""
        found = []
        for cores in (self.inputs, self.outputs):
            axes = [tuple([i - len(core) for i, dim in enumerate(core) if dim in dropped]) for core in cores]
            index = [
                (..., *[None if dim in dropped else slice(None) for dim in core]) if dropped & set(core) else None
                for core in cores
            ]
            found.append((axes, index))
        return tuple(found)

    def misfit(self, shapes, outputs, differentiable=None):
        """What is wrong with the shapes of the outputs for arrays of such shapes, in words; None where they fit. A
        dimension that only outputs have may be of any size, the same in all of them. Those behind the differentiable
        ones, residuals, need not have batch dimensions that the array lacks which they come from."""
        sizes, batch = {}, ()
        for shape, core in zip(shapes, self.inputs, strict=True):
            lead = len(shape) - len(core)
            batch = _broadcast(batch, shape[:lead])
            sizes |= {dim: size for dim, size in zip(core, shape[lead:], strict=True) if size is not None}
        for i, (shape, core) in enumerate(zip(outputs, self.outputs, strict=True)):
            expected = (*batch, *(int(dim) if dim.isdigit() else sizes.get(dim) for dim in core))
            if differentiable is not None and i >= differentiable:
                fits = len(shape) >= len(core) and broadcasts(shape, expected)
            else:
                fits = len(shape) == len(expected) and all(
                    None in (m, n) or m == n for m, n in zip(shape, expected, strict=True)
                )
            if not fits:
                which = "an array" if len(outputs) == 1 else f"output {i}"
                return f"{which} of shape {tuple(shape)}, where {self.text} says {expected}"
            own = shape[len(shape) - len(core) :]
            sizes |= {d: n for d, n in zip(core, own, strict=True) if n is not None and d not in sizes}
        return None


def _known(size, other):
    return other if size is None else size


def _broadcast(a, b):
    """The broadcast of two shapes; None is a size that is not known yet."""
    pairs = list(itertools.zip_longest(reversed(a), reversed(b), fillvalue=1))
    for m, n in pairs:
        if m is not None and n is not None and m != n and m != 1 and n != 1:
            raise ValueError
    return tuple(n if m == 1 else m if n == 1 or n is None else n if m is None else m for m, n in reversed(pairs))
