"""Functions that are computed chunk by chunk, by NumPy's own rules, with derivatives of every order.

May import NumPy, Dask and `overbar`. A matrix function of a batch that is chunked along its batch dimensions only is
one of them, and so is a covariance matrix of rows that are chunked. What such a function is made of: tasks, each of
which computes a function g of some chunks, and for each array a map that says which chunk a task takes or gives. The
bars of a function of this kind are one, too: a task pulls g back, the maps change sides, and where several tasks give
to one chunk they are added. So no rule is run on Dask's arrays at all: it is NumPy's, within the task.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any, ClassVar, NamedTuple

import dask.array as da
import numpy as np
from dask.base import tokenize
from numpy.linalg import LinAlgError

from dask_ops._graphs import Ref, Task, array, named, summed
from dask_ops._memory import enough
from overbar._front import NUMPY
from overbar._namespace import namespace
from overbar._sweep import jvp, vjp
from overbar._traced import Traced, constant
from overbar._traced_words import TRACE

__all__ = ["Blocks", "Map", "Of", "batched"]


class Map(NamedTuple):
    """Which chunk of an array a task takes, or gives: for each dimension of the array the place of its number in the
    index of the task, or None for the only chunk. The array is the one of this number among the arguments.

    The map of a symmetric matrix, `mirror`, is that of the tasks (i, j) with j <= i. They give the chunk (i, j), and
    its transpose as the chunk (j, i); they take the sum of both, since the entries of both depend on them."""

    axes: tuple[int | None, ...]
    array: int = 0
    mirror: bool = False

    def of(self, array):
        """The same of another array."""
        return Map(self.axes, array, self.mirror)

    def key(self, name, index):
        return (name, *[0 if axis is None else index[axis] for axis in self.axes])


class Spec(NamedTuple):
    """What is known of an array before it is computed."""

    chunks: tuple[tuple[int, ...], ...]
    dtype: Any

    shape = property(lambda self: tuple(map(sum, self.chunks)))


# ---------------------------------------------------------------------------------------------------------------------
# The functions g of tasks: ``g(same, *chunks)``, of NumPy's arrays or traced ones, gives a tuple. `same` says whether
# the first two numbers in the index of the task are equal, for what is computed of a set of rows and itself.


class Of(NamedTuple):
    """A primitive, with all its outputs."""

    primitive: Any
    options: Any

    def __call__(self, same, *arrays):
        if any(type(A) is Traced for A in arrays):
            return TRACE.record(self.primitive, [constant(A) for A in arrays], self.options)[1]
        return self.primitive.apply(NUMPY, arrays, self.options, True)[1]


class Pulled(NamedTuple):
    """The bars that a primitive's rule gives, from those of its outputs, the outputs and the arrays."""

    of: Of
    present: tuple[bool, ...]
    wanted: tuple[bool, ...]

    def __call__(self, same, *given):
        primitive, options = self.of
        bars, outputs, arrays = _parted(given, self.present, primitive.outputs)
        library = _library(given)
        found = primitive.pull(library, bars, outputs, arrays, options, self.wanted)
        return [
            (_zeros_like(A) if bar is None else bar)
            for bar, A, wanted in zip(found, arrays, self.wanted, strict=True)
            if wanted
        ]


class Pushed(NamedTuple):
    """The tangents that a primitive's rule gives, from those of its arrays, the outputs and the arrays."""

    of: Of
    present: tuple[bool, ...]
    wanted: tuple[bool, ...]  # of the outputs

    def __call__(self, same, *given):
        primitive, options = self.of
        dots, outputs, arrays = _parted(given, self.present, primitive.outputs)
        found = primitive.push(_library(given), dots, outputs, arrays, options)
        return [
            (_zeros_like(A) if dot is None else dot)
            for dot, A, wanted in zip(found, outputs, self.wanted, strict=True)
            if wanted
        ]


def _parted(given, present, outputs):
    """The bars or tangents, None where there is none, the outputs, and the arrays."""
    given = list(given)
    if any(type(A) is Traced for A in given):
        given = [constant(A) for A in given]
    count = sum(present)
    first = iter(given[:count])
    return [next(first) if there else None for there in present], given[count:][:outputs], given[count + outputs :]


def _library(arrays):
    return TRACE if any(type(A) is Traced for A in arrays) else NUMPY


def _zeros_like(A):
    return namespace(A).zeros_like(A)


class PulledBack(NamedTuple):
    """The bars of the arrays of any g, by a sweep in the task: from those of its outputs, and the arrays."""

    of: Any
    present: tuple[bool, ...]
    wanted: tuple[bool, ...]

    def __call__(self, same, *given):
        count = sum(self.present)
        bars, arrays = given[:count], given[count:]

        def function(*moving):
            moving = iter(moving)
            outputs = self.of(same, *[next(moving) if w else A for A, w in zip(arrays, self.wanted, strict=True)])
            return tuple([out for out, there in zip(outputs, self.present, strict=True) if there])

        moving = [A for A, w in zip(arrays, self.wanted, strict=True) if w]
        return vjp(function, *moving)[1](tuple(bars))


class PushedForward(NamedTuple):
    """The tangents of the outputs of any g, by a sweep in the task: from those of its arrays, and the arrays."""

    of: Any
    present: tuple[bool, ...]
    wanted: tuple[bool, ...]

    def __call__(self, same, *given):
        count = sum(self.present)
        dots, arrays = given[:count], given[count:]

        def function(*moving):
            moving = iter(moving)
            outputs = self.of(same, *[next(moving) if w else A for A, w in zip(arrays, self.present, strict=True)])
            return tuple([out for out, wanted in zip(outputs, self.wanted, strict=True) if wanted])

        moving = [A for A, w in zip(arrays, self.present, strict=True) if w]
        return jvp(function, tuple(moving), tuple(dots))[1]


# ---------------------------------------------------------------------------------------------------------------------
# What a task does


_PLACE = re.compile(r" \(matrix \(?([\d, ]+?),?\)? of the batch\)")


def _computed(g, single, same, how, batch, gives, *chunks):
    """The chunks that a task gives, a tuple, or the only one; `gives` is what the largest is, its shape, and how many
    bytes they are together."""
    shape, size = gives
    enough(size + sum([A.nbytes for A in chunks]), max([shape, *[A.shape for A in chunks]], key=math.prod))
    chunks, found = iter(chunks), []
    for taken in how:
        A = next(chunks)
        if taken == "twice":
            A = 2 * A
        elif taken == "both":
            A = A + next(chunks).conj().T
        found.append(A)
    try:
        outputs = g(same, *found)
    except LinAlgError as error:
        if not batch:
            raise
        message = _in_whole_batch(str(error), batch)
        if message is None:
            raise
        raise type(error)(message) from error
    outputs = tuple([np.asarray(out) for out in outputs])
    return outputs[0] if single else outputs


def _in_whole_batch(message, batch):
    """A message about a matrix of a chunk, with its place in the whole batch; None where it has none."""
    match = _PLACE.search(message)
    if match is None:
        return None
    index = [int(i) for i in match[1].split(",")]
    index = [i + first for i, first in zip(index, batch[len(batch) - len(index) :], strict=True)]
    place = index[0] if len(index) == 1 else tuple(index)
    return message[: match.start()] + f" (matrix {place} of the batch)" + message[match.end() :]


class _Part(NamedTuple):
    """One of the chunks that a task gives, or its transpose."""

    which: int
    mirrored: bool

    def __call__(self, outputs):
        part = outputs if isinstance(outputs, np.ndarray) else outputs[self.which]
        return _mirrored(part) if self.mirrored else part


def _mirrored(A):
    return np.ascontiguousarray(A.conj().T)


class Blocks:
    """A function that is computed chunk by chunk. To sweeps it is a primitive, with `apply`, `pull` and `push`."""

    defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self, name, g, tasks, takes, gives, specs, hidden=0, residuals=0, keeps=False):
        self.name, self.g = name, g
        #: the indices of the tasks, in a fixed order
        self.tasks = tasks
        #: the maps of the chunks that a task takes, and of those that it gives
        self.takes, self.gives = takes, gives
        #: what is known of the arrays, and of the outputs
        self.inputs, self.specs = specs
        self.outputs = len(self.specs)
        self.differentiable = self.outputs - residuals
        self.public = self.differentiable - hidden
        #: whether rules are given the outputs, or compute what they need of the arrays again
        self.keeps = keeps

    def __repr__(self):
        return f"<{self.name} by chunks>"

    def apply(self, front, arrays, options, whole=False):
        arrays = [
            A if A.chunks == spec.chunks else A.rechunk(spec.chunks)
            for A, spec in zip(front.as_arrays(arrays), self.inputs, strict=True)
        ]
        outputs = self._graph(arrays)
        if whole:
            return arrays, outputs, None
        return outputs[0] if self.public == 1 else tuple(outputs[: self.public])

    def _graph(self, arrays):
        if not self.specs:
            return ()
        known = [getattr(A, "is_hermitian", False) for A in arrays]
        token = named(self.name, tokenize(self.g, self.takes, self.gives, known), *arrays)
        places = self._places()
        if len(self.specs) == len(self.gives) == 1 and all(len(found) == 1 for found in places[0].values()):
            return (self._only_output(token, arrays, places[0]),)
        base = f"{token}-tasks"
        tasks = [self._task((base, *index), index, arrays, False) for index in self.tasks]
        sizes = tuple((1,) * (1 + max(axis)) for axis in zip(*self.tasks, strict=True))
        common = array(base, tasks, arrays, sizes, object)
        return tuple([self._output(f"{token}-{k}", k, common, places[k]) for k in range(self.outputs)])

    def _places(self):
        """For each output, and each of its chunks, who gives it: the index of the task, which of the chunks that the
        task gives, and whether its transpose."""
        places = [{} for _ in self.specs]
        for index in self.tasks:
            for which, give in enumerate(self.gives):
                key = give.key(None, index)[1:]
                places[give.array].setdefault(key, []).append((index, which, False))
                if give.mirror and index[0] != index[1]:
                    places[give.array].setdefault(key[::-1], []).append((index, which, True))
        if self.keeps:  # what several tasks give then is the same, a residual of one matrix for many right-hand sides
            places = [{key: found[:1] for key, found in of.items()} for of in places]
        return places

    def _task(self, key, index, arrays, single):
        how, chunks = [], []
        for take in self.takes:
            A = arrays[take.array]
            chunks.append(Ref(take.key(A.name, index)))
            if not take.mirror or index[0] == index[1]:
                how.append("")
            elif getattr(A, "is_hermitian", False):
                how.append("twice")
            else:
                how.append("both")
                chunks.append(Ref((A.name, index[1], index[0])))
        same = len(index) > 1 and index[0] == index[1]
        batch, gives = self._first_of_batch(index), self._size(index)
        return Task(key, _computed, self.g, single, same, tuple(how), batch, gives, *chunks)

    def _size(self, index):
        """Of the chunks that a task gives, the shape of the largest, and how many bytes they are together."""
        shapes, total = [], 0
        for give in self.gives:
            spec = self.specs[give.array]
            numbers = give.key(None, index)[1:]
            shapes.append(tuple([sizes[i] for sizes, i in zip(spec.chunks, numbers, strict=True)]))
            total += math.prod(shapes[-1]) * np.dtype(spec.dtype).itemsize
        return max(shapes, key=math.prod), total

    def _only_output(self, name, arrays, places):
        """Where each task gives one chunk: its task is the chunk's."""
        (give,), (spec,) = self.gives, self.specs
        tasks = [self._task(give.key(name, index), index, arrays, True) for index in self.tasks]
        for key, ((index, _, mirrored),) in places.items():
            if mirrored:
                tasks.append(Task((name, *key), _mirrored, Ref(give.key(name, index))))
        found = array(name, tasks, arrays, spec.chunks, spec.dtype)
        found.is_hermitian = give.mirror
        return found

    def _output(self, name, k, common, places):
        """The k-th output, from what the tasks give, added where several give to one chunk."""
        tasks = []
        for key, found in places.items():
            parts = {(which, mirrored) for _, which, mirrored in found}
            if len(parts) == 1:
                take, terms = _Part(*parts.pop()), [Ref((common.name, *index)) for index, _, _ in found]
                tasks += summed(name, (name, *key), terms, take)
                continue
            terms = [Ref((f"{name}-part", *index, which, mirrored)) for index, which, mirrored in found]
            for term, (index, which, mirrored) in zip(terms, found, strict=True):
                tasks.append(Task(term.key, _Part(which, mirrored), Ref((common.name, *index))))
            tasks += summed(name, (name, *key), terms)
        spec = self.specs[k]
        output = array(name, tasks, [common], spec.chunks, spec.dtype)
        output.is_hermitian = any(give.mirror for give in self.gives if give.array == k)
        return output

    def _first_of_batch(self, index):
        """Where the first matrix of a task lies in the whole batch; None where tasks are not those of a batch."""
        return None

    # -- derivatives ------------------------------------------------------------------------------------------------

    def pull(self, front, bars, outputs, arrays, options, needed=None):
        bars = bars[: self.differentiable]
        present = tuple([bar is not None for bar in bars] + [False] * (self.outputs - self.differentiable))
        wanted = tuple(
            [(needed is None or bool(needed[i])) and spec.dtype.kind in "fc" for i, spec in enumerate(self.inputs)]
        )
        found = [None] * len(arrays)
        if not any(present) or not any(wanted):
            return found
        op = self._derived(True, present, wanted)
        given = [bar for bar in bars if bar is not None] + [*(outputs if self.keeps else ()), *arrays]
        results = front.enter(op, given, op.defaults)
        results = iter(results if isinstance(results, tuple) else (results,))
        return [next(results) if w else None for w in wanted]

    def push(self, front, dots, outputs, arrays, options):
        present = tuple([dot is not None for dot in dots])
        wanted = tuple([i < self.differentiable and spec.dtype.kind in "fc" for i, spec in enumerate(self.specs)])
        if not any(present):
            return [_zeros_like(out) if w else None for out, w in zip(outputs, wanted, strict=True)]
        op = self._derived(False, present, wanted)
        given = [dot for dot in dots if dot is not None] + [*(outputs if self.keeps else ()), *arrays]
        results = front.enter(op, given, op.defaults)
        results = iter(results if isinstance(results, tuple) else (results,))
        return [next(results) if w else None for w in wanted]

    def _derived(self, reverse, present, wanted):
        """The function that gives the bars of the arrays that are wanted, from the bars that are there, the outputs
        where they are kept, and the arrays; or likewise the tangents of outputs."""
        takes, specs = [], []
        moved = self.specs if reverse else self.inputs
        # of an output there is one map, of an array there may be several: each has a bar of its own
        into = self.gives if reverse else self.takes
        for i, there in enumerate(present):
            if there:
                takes += [m.of(len(specs)) for m in into if m.array == i]
                specs.append(moved[i])
        if self.keeps:
            for k, spec in enumerate(self.specs):
                takes += [m.of(len(specs)) for m in self.gives if m.array == k]
                specs.append(spec)
        takes += [m.of(m.array + len(specs)) for m in self.takes]
        specs += self.inputs
        out_of = self.takes if reverse else self.gives
        number = {i: k for k, i in enumerate(i for i, w in enumerate(wanted) if w)}
        gives = [m.of(number[m.array]) for m in out_of if m.array in number]
        found = [spec for spec, w in zip(self.inputs if reverse else self.specs, wanted, strict=True) if w]
        given, asked = (self.gives, self.takes) if reverse else (self.takes, self.gives)
        g = self._rules[reverse](self.g, tuple(present[m.array] for m in given), tuple(wanted[m.array] for m in asked))
        op = type(self)(f"{self.name}-{'bars' if reverse else 'tangents'}", g, self.tasks, takes, gives, (specs, found))
        op.batch = getattr(self, "batch", ())
        return op

    @property
    def _rules(self):
        return (Pushed, Pulled) if self.keeps else (PushedForward, PulledBack)


class _OfBatch(Blocks):
    """The tasks of which have an index for each batch dimension."""

    batch: tuple[tuple[int, ...], ...] = ()

    def _first_of_batch(self, index):
        return tuple(sum(sizes[:i]) for sizes, i in zip(self.batch, index, strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# Primitives of batches


def batched(primitive, arrays, options):
    """The function by chunks that a primitive is for such arrays; None where a core dimension is in several chunks."""
    cores = primitive.signature.inputs
    if any(isinstance(value, da.Array) for value in options.values()):
        return None
    if primitive.signature.whole:
        return _in_one_task(primitive, arrays, options)
    for A, core in zip(arrays, cores, strict=True):
        if any(len(sizes) != 1 for sizes in A.chunks[A.ndim - len(core) :]):
            return None
    leads = [A.ndim - len(core) for A, core in zip(arrays, cores, strict=True)]
    ndim = max(leads)
    batch = [_common(arrays, leads, ndim, axis) for axis in range(ndim)]
    takes, inputs = [], []
    for k, (A, lead) in enumerate(zip(arrays, leads, strict=True)):
        axes = [(i if A.shape[i - (ndim - lead)] != 1 else None) for i in range(ndim - lead, ndim)]
        chunks = [(batch[i] if i is not None else (1,)) for i in axes]
        takes.append(Map((*axes, *[None] * (A.ndim - lead)), k))
        inputs.append(Spec((*chunks, *A.chunks[lead:]), A.dtype))
    gives, specs = [], []
    for k, (lead, core, dtype) in enumerate(_known_outputs(primitive, arrays, options, leads, ndim)):
        axes = [(i if sum(batch[i]) != 1 else None) for i in range(ndim - lead, ndim)]
        chunks = [(batch[i] if i is not None else (1,)) for i in axes]
        gives.append(Map((*axes, *[None] * len(core)), k))
        specs.append(Spec((*chunks, *[(n,) for n in core]), dtype))
    tasks = tuple(itertools.product(*[range(len(sizes)) for sizes in batch]))
    op = _OfBatch(
        primitive.name, Of(primitive, options), tasks, takes, gives, (inputs, specs),
        hidden=primitive.differentiable - primitive.public, residuals=primitive.outputs - primitive.differentiable,
        keeps=True,
    )  # fmt: skip
    op.batch = tuple(batch)
    return op


def _in_one_task(primitive, arrays, options):
    """A function of whole arrays, each of which is in one chunk; None where one is not."""
    if any(size != 1 for A in arrays for size in A.numblocks):
        return None
    inputs = [Spec(A.chunks, A.dtype) for A in arrays]
    outputs = primitive.apply(NUMPY, [np.ones(A.shape, A.dtype) for A in arrays], options, True)[1]
    specs = [Spec(tuple((n,) for n in out.shape), out.dtype) for out in outputs]
    takes, gives = ([Map((None,) * len(spec.chunks), k) for k, spec in enumerate(of)] for of in (inputs, specs))
    hidden, residuals = primitive.differentiable - primitive.public, primitive.outputs - primitive.differentiable
    g = Of(primitive, options)
    return _OfBatch(primitive.name, g, ((),), takes, gives, (inputs, specs), hidden, residuals, keeps=True)


def _common(arrays, leads, ndim, axis):
    """The chunks of a batch dimension, those that the arrays have in common, or common parts of theirs."""
    found = set()
    for A, lead in zip(arrays, leads, strict=True):
        i = axis - (ndim - lead)
        if i >= 0 and A.shape[i] != 1:
            found.add(A.chunks[i])
    if not found:
        return (1,)
    if len(found) == 1:
        return found.pop()
    edges = sorted(set().union(*[np.cumsum(sizes).tolist() for sizes in found]))
    return tuple(np.diff([0, *edges]).tolist())


def _known_outputs(primitive, *given):
    """What `_outputs` says, kept for the next call with such arrays."""
    arrays, options, *_ = given
    known = primitive.recorded.setdefault("dask", {})
    key = (*[(A.shape, A.dtype) for A in arrays], *options.items())
    try:
        if key not in known:
            if len(known) >= 256:
                known.clear()
            known[key] = list(_outputs(primitive, *given))
        return known[key]
    except TypeError:  # an option that cannot be looked up
        return list(_outputs(primitive, *given))


def _outputs(primitive, arrays, options, leads, ndim):
    """For each output the number of its batch dimensions, its core dimensions and its dtype: from a batch of none."""
    empty = []
    for A, lead in zip(arrays, leads, strict=True):
        empty.append(np.zeros((0, *[1] * (ndim - lead), *A.shape), A.dtype))
    outputs = primitive.apply(NUMPY, empty, options, True)[1]
    batch = np.broadcast_shapes(*[A.shape[:lead] for A, lead in zip(arrays, leads, strict=True)])
    own = sorted({tuple(A.shape[:lead]) for A, lead in zip(arrays, leads, strict=True)}, key=len)
    for k, (out, core) in enumerate(zip(outputs, primitive.signature.outputs, strict=True)):
        lead = ndim
        if k >= primitive.differentiable:  # a residual has the batch dimensions of the array that it comes from
            here = out.shape[1 : out.ndim - len(core)]
            if here != batch:
                lead = next((len(s) for s in own if (1,) * (len(here) - len(s)) + s == here), ndim)
        yield lead, out.shape[out.ndim - len(core) :], out.dtype
