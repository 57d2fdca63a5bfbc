"""A primitive at a point: what its rules give there, and how errors are measured.

May import NumPy, `overbar._namespace`, `overbar.verify.draw` and `overbar.verify.results`.
"""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np

from overbar._front import NUMPY
from overbar.verify.draw import complete, hermitian_part
from overbar.verify.results import VerificationError

# A derivative that vanishes may come out as rounding. Errors are relative to the derivative, but to no less than this
# part of what it would be if it were the value over the input in size, so that such rounding stays below the
# tolerances.
FLOOR = 1e-2


class Point:
    """A primitive and the arrays it is looked at, as its rules see them: a vector instead of a matrix has become
    one."""

    def __init__(self, primitive, case):
        case = complete(primitive, case.arrays, case.options)
        self.primitive, self.options, self.seen = primitive, case.options, self._seen(primitive)
        dropped = primitive.check(NUMPY, case.arrays)
        self.arrays = list(case.arrays)
        if dropped:
            self.arrays = primitive.with_dims(NUMPY.xp, self.arrays, dropped)
        self.names = [primitive.argument(i) for i in range(len(self.arrays))]
        self.hermitian = [name in primitive.hermitian for name in self.names]
        found = primitive.run(self.arrays, self.options)
        primitive.check_outputs(NUMPY, found, self.arrays)  # as a call does, before they are made arrays
        self.outputs = [np.asarray(out) for out in found]
        #: what the outputs were before a rule saw them
        self.before = [np.array(out) for out in self.outputs]
        self.eps = max(float(np.finfo(a.dtype).eps) for a in self.arrays)
        #: the outputs that have a derivative: pivots, which are integers, have none
        self.smooth = [i for i in range(primitive.differentiable) if self.outputs[i].dtype.kind in "fc"]
        self.precisions = {_precision(a) for a in self.arrays}
        for i in self.smooth:
            self._has_precision(f"value of output {i}", self.outputs[i])
        #: how many of its dimensions each array has in a single matrix function, and the batch dimensions of all of
        #: them together; functions of whole arrays do not broadcast
        whole = primitive.signature.whole
        self.cores = [a.ndim for a in self.arrays] if whole else [len(core) for core in primitive.signature.inputs]
        self.batch = np.broadcast_shapes(
            *(a.shape[: a.ndim - core] for a, core in zip(self.arrays, self.cores, strict=True))
        )

    def run(self, arrays):
        return [np.asarray(out) for out in self.primitive.run(arrays, self.options)]

    def tangents(self, rng):
        """Random tangents, Hermitian where the argument is."""
        dots = []
        for array, hermitian in zip(self.arrays, self.hermitian, strict=True):
            dot = noise(rng, array)
            dots.append((hermitian_part(dot) if hermitian else dot).astype(array.dtype))
        return dots

    def cotangents(self, rng, chosen):
        """Random cotangents of the chosen outputs; None for the others."""
        return self.aligned(rng, [noise(rng, out) for out in self.outputs], chosen)

    def moves(self):
        """Which inputs move: all of them, and each by itself, so that an error in a small part is not hidden by a large
        one."""
        every = tuple(range(len(self.arrays)))
        return [every, *((i,) for i in every)] if len(every) > 1 else [every]

    def subsets(self):
        """Which outputs have a cotangent: each nonempty subset."""
        return [s for size in range(1, len(self.smooth) + 1) for s in itertools.combinations(self.smooth, size)]

    def pull(self, bars, moved=None):
        needed = [moved is None or i in moved for i in range(len(self.arrays))]
        found = self.seen.pull(NUMPY, bars, self.outputs, self.arrays, self.options, needed)
        self._outputs_are_left("vjp")
        for i, (name, array) in enumerate(zip(self.names, self.arrays, strict=True)):
            if needed[i] and found[i] is None:
                found[i] = np.zeros_like(array)  # it has no derivative with respect to this one
            if needed[i]:
                self._fits("bar", name, array, found[i])
        return found

    def push(self, dots):
        found = self.seen.push(NUMPY, dots, self.outputs, self.arrays, self.options)
        self._outputs_are_left("jvp")
        for i in self.smooth:
            self._fits("tangent", f"output {i}", self.outputs[i], found[i])
        return found

    def _outputs_are_left(self, kind):
        """Hold the outputs, intermediates and residuals too, against what they were before a rule saw them."""
        for i, (out, before) in enumerate(zip(self.outputs, self.before, strict=True)):
            if not np.array_equal(out, before, equal_nan=True):
                rule = {"vjp": "reverse rule", "jvp": "forward rule"}[kind]
                whose = "which is the caller's" if i < self.primitive.public else "which further derivatives need"
                raise VerificationError(
                    f"{self.primitive.name}: the {rule}, registered by @{self.primitive.name}.{kind}, changes "
                    f"output {i}, {whose}. Let it work on a copy."
                )

    # What a sweep is given it brings into shape: it sums a bar that was broadcast, takes the real part, rounds to the
    # dtype. So a bar and a tangent are looked at before it does, where a mistake can still be seen.

    def _seen(self, primitive):
        """A copy of the primitive, of which what the rules return is held against what they may return."""
        seen = copy.copy(primitive)
        if primitive.vjp_rule is not None:
            seen.vjp_rule = self._seen_vjp
        if primitive.jvp_rule is not None:
            seen.jvp_rule = self._seen_jvp
        return seen

    def _seen_vjp(self, bars, outputs, *arrays, **options):
        thunks = self.primitive.vjp_rule(bars, outputs, *arrays, **options)
        if not isinstance(thunks, tuple):  # `pull` says so
            return thunks
        return tuple(
            (lambda i=i, thunk=thunk: self._seen_bar(i, thunk())) if callable(thunk) else thunk
            for i, thunk in enumerate(thunks)
        )

    def _seen_jvp(self, outputs, *arrays, **options):
        terms = self.primitive.jvp_rule(outputs, *arrays, **options)
        if callable(terms):
            return lambda *dots: self._seen_dots(terms(*dots))
        if not isinstance(terms, tuple):
            return terms
        return tuple((lambda dot, term=term: self._seen_dots(term(dot))) if callable(term) else term for term in terms)

    def _seen_bar(self, i, bar):
        """A bar as the reverse rule gave it. It may be left in the shape to which its array was broadcast, and complex
        where the array is real. (Of a bar that is no array, or to whose shape its array does not broadcast, `pull` says
        what is wrong.)"""
        if not isinstance(bar, (np.ndarray, np.generic)):
            return bar
        array, name = self.arrays[i], f"argument {self.names[i]}"
        lead = bar.ndim - self.cores[i]
        if _broadcasts(array.shape, bar.shape) and not _broadcasts(bar.shape[:lead], self.batch):
            raise VerificationError(
                f"{self.primitive.name}: {name} has shape {array.shape}, but its bar has shape {bar.shape}. A bar has "
                f"the shape of its array, or the batch dimensions of all arrays together, {self.batch}, in front of it."
            )
        self._has_precision(f"bar of {name}", bar)
        return bar

    def _seen_dots(self, found):
        """The tangents of the outputs as the forward rule gave them for one array, or for all. They may broadcast to
        the outputs, and be real where these are complex."""
        for i, dot in enumerate(found if isinstance(found, tuple) else (found,)):
            if i in self.smooth and isinstance(dot, (np.ndarray, np.generic)):
                out = self.outputs[i]
                self._has_precision(f"tangent of output {i}", dot)
                if dot.dtype.kind == "c" and out.dtype.kind != "c":
                    raise VerificationError(
                        f"{self.primitive.name}: output {i} has dtype {out.dtype}, but its tangent has dtype "
                        f"{dot.dtype}. The tangent of a real output is real."
                    )
        return found

    def _has_precision(self, what, found):
        """Hold a dtype against those of the arrays of the call: what is wider was computed with a constant of another
        dtype, and what is narrower has lost digits."""
        if found.dtype.kind not in "fc" or _precision(found) not in self.precisions:
            known = " and ".join(dict.fromkeys(str(a.dtype) for a in self.arrays))
            raise VerificationError(
                f"{self.primitive.name}: the {what} has dtype {found.dtype}, from arrays of dtype {known}. It must "
                "have their precision: does a constant have another dtype?"
            )

    def _fits(self, what, name, array, found):
        if np.shape(found) != array.shape or np.asarray(found).dtype != array.dtype:
            raise VerificationError(
                f"{self.primitive.name}: {name} has shape {array.shape} and dtype {array.dtype}, but its {what} has "
                f"shape {np.shape(found)} and dtype {np.asarray(found).dtype}."
            )

    def aligned(self, rng, dots, chosen):
        """Random cotangents of the chosen outputs, each entry with the sign (the phase) of the tangent's: then no two
        terms of ⟨Ȳ, Ẏ⟩ cancel, and the relative error of that number means something."""
        bars = [None] * len(self.outputs)
        for i in chosen:
            dot, out = np.asarray(dots[i], dtype=wide(self.outputs[i])), self.outputs[i]
            size = rng.uniform(0.5, 1.5, out.shape)
            phase = np.where(dot == 0, 1, dot) / np.where(dot == 0, 1, abs(dot))
            bars[i] = (size * phase).astype(out.dtype)
        return bars

    def pairing(self, bars, dots, in_bars, in_dots, moved, size):
        """The error between ⟨Ȳ, Ẏ⟩ and ⟨X̄, Ẋ⟩, relative to the larger one."""
        left = sum(inner(bars[i], dots[i]) for i in self.smooth if bars[i] is not None)
        right = sum(inner(in_bars[i], in_dots[i]) for i in moved)
        return relative(abs(left - right), max(abs(left), abs(right), FLOOR * size))


def _broadcasts(small, large):
    try:
        return np.broadcast_shapes(small, large) == large
    except ValueError:
        return False


def _precision(array):
    """The dtype of the real numbers in an array."""
    return np.finfo(array.dtype).dtype


def wide(array):
    return np.complex128 if array.dtype.kind == "c" else np.float64


def noise(rng, like):
    noise = rng.standard_normal(like.shape)
    return noise + 1j * rng.standard_normal(like.shape) if like.dtype.kind == "c" else noise


def inner(a, b):
    """Re Σ conj(a) b, added up in double precision."""
    return float(np.vdot(np.asarray(a, wide(np.asarray(a))), np.asarray(b, wide(np.asarray(b)))).real)


def norm(a):
    return float(np.linalg.norm(np.asarray(a).reshape(-1)))


def largest(a):
    return float(abs(np.asarray(a)).max(initial=0))


def relative(difference, scale):
    """The quotient; infinite where something is not a number, and 0 of 0 is 0."""
    if not math.isfinite(difference) or not math.isfinite(scale):
        return math.inf
    return difference / scale if difference else 0.0


def array_error(found, truth, size):
    """The largest error of an entry, relative to the largest entry."""
    return relative(largest(found - truth), max(largest(found), largest(truth), FLOOR * size))


def keep(values, chosen):
    return [value if i in chosen else None for i, value in enumerate(values)]
