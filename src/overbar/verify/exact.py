"""The oracle of fifty digits: the primitive's reference, differentiated in exact arithmetic.

May import NumPy, `overbar._namespace`, `overbar._primitive` and its neighbours here.
"""

from __future__ import annotations

import math

import numpy as np

from overbar._namespace import mH
from overbar._primitive import Primitive
from overbar.verify.arithmetic import Exact
from overbar.verify.draw import Case, hermitian_part, stream
from overbar.verify.point import Point, array_error, inner, keep, largest, norm, wide
from overbar.verify.results import VerificationError

# Up to so many entries in the inputs of one matrix function, the exact oracle differentiates by each of them; above,
# along `RANDOM_DIRECTIONS` random directions.
EXACT_ENTRIES = 100
RANDOM_DIRECTIONS = 2


def exact_error(primitive: Primitive, case: Case, rng=0, digits=50, entries=EXACT_ENTRIES) -> float | None:
    """How far value, bars and tangents are from the primitive's reference, computed with 50 digits.

    The derivative of the reference (not of a rule) is taken by central differences at that precision, which leaves more
    than 30 digits, by each entry of each input, and by the real and the imaginary part of complex ones; entries of
    Hermitian matrices move with their mirror images. Measured are the value, each bar for a random cotangent (the
    Hermitian part where the argument is Hermitian), and the tangent for random tangents of all inputs and of each by
    itself: the largest error of an entry relative to the largest entry.

    A batch is taken apart, as the reference knows single matrices only. For more than so many `entries` in one of
    these, bars and tangents are compared along random directions only, which takes less time and sees no place.

    Returns
    -------
    float, or None where the primitive has no reference.
    """
    if primitive.exact is None:
        return None
    rng, at = stream(rng), Point(primitive, case)
    key = (primitive.exact, digits, entries)
    if key not in case.cache:
        case.cache[key] = ExactDerivative(at, digits, entries)
    exact = case.cache[key]
    public = range(primitive.public)
    worst = max(
        (array_error(at.outputs[i], exact.values[i], 0.0) for i in public),
        default=0,
    )
    bars = at.cotangents(rng, [i for i in public if i in at.smooth])
    size = sum(norm(bars[i]) * norm(at.outputs[i]) for i in public if bars[i] is not None)
    if primitive.vjp_rule is not None:
        worst = max([worst, *exact.bar_errors(bars, at.pull(bars), size)])
    if primitive.jvp_rule is not None:
        in_dots = exact.tangents(rng)
        for moved in at.moves():
            found, truth = at.push(keep(in_dots, moved)), exact.dots(in_dots, moved)
            sizes = [largest(out) for out in at.outputs]
            worst = max([worst, *(array_error(found[i], truth[i], sizes[i]) for i in public if i in at.smooth)])
    return worst


class ExactDerivative:
    """The derivative of a primitive's reference at a point: the values, and the tangents of the outputs along
    directions of each input of each matrix of the batch."""

    def __init__(self, at, digits, entries):
        self.at, self.mp = at, Exact(digits)
        self.h = self.mp.number(10) ** -(digits // 3)
        signature = at.primitive.signature
        if signature.whole:
            lead = at.options["batch_ndim"]
            cores = [a.ndim - lead for a in at.arrays]
            self.options = {**at.options, "batch_ndim": 0}
        else:
            cores = [len(core) for core in signature.inputs]
            self.options = at.options
        leads = [a.shape[: a.ndim - core] for a, core in zip(at.arrays, cores, strict=True)]
        self.batch = np.broadcast_shapes(*leads)
        self.slices = [
            (index, [self._place(index, lead) for lead in leads]) for index in np.ndindex(self.batch)
        ]  # where each matrix of the batch lies in the outputs and in each input
        count = sum(math.prod(a.shape[a.ndim - core :]) for a, core in zip(at.arrays, cores, strict=True))
        self.every_entry = count <= entries
        self.values = [out.astype(wide(out)) for out in at.outputs[: at.primitive.public]]
        self.parts = []  # (matrix, input, direction, tangents of the outputs)
        rng = stream(0)
        if not self.every_entry:
            self.random = [at.tangents(rng) for _ in range(RANDOM_DIRECTIONS)]
        for index, places in self.slices:
            arrays = [self.mp.array(a[place]) for a, place in zip(at.arrays, places, strict=True)]
            for value, out in zip(self.values, self._run(arrays), strict=True):
                value[index] = self._as_float(out, value)
            for i, place in enumerate(places):
                for direction in self._directions(i, place):
                    self.parts.append((index, i, direction, self._differentiate(arrays, i, direction)))

    @staticmethod
    def _place(index, lead):
        own = index[len(index) - len(lead) :]
        return tuple(0 if size == 1 else k for k, size in zip(own, lead, strict=True))

    def _directions(self, i, place):
        """An orthogonal basis of the tangents of one matrix of input i, or random ones."""
        array, hermitian = self.at.arrays[i][place], self.at.hermitian[i]
        if not self.every_entry:
            return [dots[i][place] for dots in self.random]
        units = [1, 1j] if array.dtype.kind == "c" else [1]
        basis = []
        for k in np.ndindex(array.shape):
            for unit in units:
                E = np.zeros(array.shape, wide(array))
                E[k] = unit
                if hermitian:
                    if k[-2] > k[-1] or (k[-2] == k[-1] and unit != 1):
                        continue  # the mirror image of another, or an imaginary diagonal
                    E = E + mH(E) if k[-2] != k[-1] else E
                basis.append(E)
        return basis

    def _run(self, arrays):
        primitive = self.at.primitive
        outputs = primitive.exact(self.mp, *(a.copy() for a in arrays), **self.options)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        outputs = [np.asarray(out, dtype=object) for out in outputs]
        shapes = [out.shape[len(self.batch) :] for out in self.at.outputs[: primitive.public]]
        if [out.shape for out in outputs] != shapes:
            raise VerificationError(
                f"{primitive.name}: the reference returns arrays of shape {[out.shape for out in outputs]}, the "
                f"function {shapes} for the same matrices."
            )
        return outputs

    def _as_float(self, out, like):
        found = self.mp.float(out)
        # an imaginary part where the function is real is an error, and no rounding: let it be seen
        return found.real if like.dtype.kind != "c" and not found.imag.any() else found

    def _differentiate(self, arrays, i, direction):
        step = self.mp.array(direction) * self.h
        ends = [
            self._run([*arrays[:i], np.asarray(arrays[i] + s * step, dtype=object), *arrays[i + 1 :]]) for s in (1, -1)
        ]
        return [(plus - minus) / (2 * self.h) for plus, minus in zip(*ends, strict=True)]

    def bar_errors(self, bars, found, size):
        """The error of each bar in `found`, for these cotangents; `size` is Σ ‖Ȳ‖ ‖Y‖."""
        at, public = self.at, range(self.at.primitive.public)
        pairings = [
            sum(
                (self.mp.inner(self.mp.array(bars[k][index]), dots[k]) for k in public if bars[k] is not None),
                start=self.mp.number(0),
            )
            for index, _, _, dots in self.parts
        ]
        errors = []
        places = dict(self.slices)
        if self.every_entry:
            truth = [np.zeros(a.shape, wide(a)) for a in at.arrays]
            for (index, i, E, _), pairing in zip(self.parts, pairings, strict=True):
                truth[i][places[index][i]] += float(pairing) / inner(E, E) * E
            for i, (bar, array) in enumerate(zip(found, at.arrays, strict=True)):
                bar = hermitian_part(bar) if at.hermitian[i] else bar
                errors.append(array_error(bar, truth[i], size / (norm(array) or 1)))
            return errors
        # ⟨X̄, Ẋ⟩ along each random direction; relative to the largest, as a single one may be small by cancellation
        for i, array in enumerate(at.arrays):
            left = np.zeros(RANDOM_DIRECTIONS)
            for n, pairing in enumerate(p for part, p in zip(self.parts, pairings, strict=True) if part[1] == i):
                left[n % RANDOM_DIRECTIONS] += float(pairing)
            right = np.array([inner(found[i], dots[i]) for dots in self.random])
            errors.append(array_error(right, left, size * norm(self.random[0][i]) / (norm(array) or 1)))
        return errors

    def tangents(self, rng):
        """Tangents of the inputs for which `dots` knows those of the outputs."""
        if self.every_entry:
            return self.at.tangents(rng)
        return self.random[0]

    def dots(self, in_dots, moved):
        """The tangents of the outputs, as floats."""
        total = [np.zeros(value.shape, dtype=object) for value in self.values]
        places = dict(self.slices)
        for n, (index, i, E, dots) in enumerate(self.parts):
            if i not in moved:
                continue
            if self.every_entry:
                weight = inner(E, in_dots[i][places[index][i]]) / inner(E, E)
            else:
                weight = 1.0 if n % RANDOM_DIRECTIONS == 0 else 0.0
            for k, dot in enumerate(dots):
                total[k][index] = total[k][index] + weight * dot
        return [self._as_float(t, value) for t, value in zip(total, self.values, strict=True)]
