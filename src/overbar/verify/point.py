"""A primitive at a point: what its rules give there, and how errors are measured.

May import NumPy, `overbar._namespace`, `overbar.verify.draw` and `overbar.verify.results`.
"""

from __future__ import annotations

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
        self.primitive, self.options = primitive, case.options
        dropped = primitive.check(NUMPY, case.arrays)
        self.arrays = list(case.arrays)
        if dropped:
            self.arrays = primitive.with_dims(NUMPY.xp, self.arrays, dropped)
        self.names = [primitive.argument(i) for i in range(len(self.arrays))]
        self.hermitian = [name in primitive.hermitian for name in self.names]
        self.outputs = self.run(self.arrays)
        primitive.check_outputs(NUMPY, self.outputs, self.arrays)
        self.eps = max(float(np.finfo(a.dtype).eps) for a in self.arrays)
        #: the outputs that have a derivative: pivots, which are integers, have none
        self.smooth = [i for i in range(primitive.differentiable) if self.outputs[i].dtype.kind in "fc"]

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
        found = self.primitive.pull(NUMPY, bars, self.outputs, self.arrays, self.options, needed)
        for i, (name, array) in enumerate(zip(self.names, self.arrays, strict=True)):
            if needed[i] and found[i] is None:
                found[i] = np.zeros_like(array)  # it has no derivative with respect to this one
            if needed[i]:
                self._fits("bar", name, array, found[i])
        return found

    def push(self, dots):
        found = self.primitive.push(NUMPY, dots, self.outputs, self.arrays, self.options)
        for i in self.smooth:
            self._fits("tangent", f"output {i}", self.outputs[i], found[i])
        return found

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
