"""Wrong copies of a primitive, by which the oracles themselves are tested.

May import NumPy, `overbar._namespace`, `overbar._primitive` and its neighbours here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from overbar._front import NUMPY
from overbar._primitive import Primitive
from overbar.verify.draw import Case, draw_cases, hermitian_part, stream
from overbar.verify.point import Point, largest


class Mutation(NamedTuple):
    """A primitive with one mistake in it, and what the mistake is."""

    name: str
    primitive: Primitive


_FACTORS = {"times 1.001": 1.001, "times 1/2": 0.5, "with the wrong sign": -1.0}


def rule_mutations(primitive: Primitive, cases: list[Case] | None = None) -> Iterator[Mutation]:
    """Wrong copies of a primitive, to test that an oracle catches them.

    Each rule as a whole, each bar, and each term of the forward rule: times 1.001, times 1/2, with the wrong sign; each
    bar conjugated, and transposed where it is square. What changes nothing for any of the cases is left out
    (conjugation of real bars, the transpose of symmetric ones; for a Hermitian argument only the Hermitian part of its
    bar counts).

    Examples
    --------
    >>> import overbar
    >>> [m.name for m in rule_mutations(overbar.phi)][:2]
    ['bar of A times 1.001', 'bar of A times 1/2']
    """
    points = [Point(primitive, case) for case in (draw_cases(primitive) if cases is None else cases)]
    counts = {len(at.arrays) for at in points}
    places = range(max(counts))
    one = len(places) == 1
    if primitive.vjp_rule is not None:
        for i in (*places, *([] if one else [None])):
            what = "every bar" if i is None else f"bar of {primitive.argument(i)}"
            changes = {label: lambda bar, s=s: s * bar for label, s in _FACTORS.items()}
            changes |= {"conjugated": np.conj, "transposed": _swap}
            for label, change in changes.items():
                mutant = _with_bars(primitive, i, change)
                if any(_bars_differ(at, mutant) for at in points):
                    yield Mutation(f"{what} {label}", mutant)
    if primitive.jvp_rule is not None:
        for i in (*places, *([] if one else [None])):
            what = "every term of the tangent" if i is None else f"tangent's term of {primitive.argument(i)}"
            for label, s in _FACTORS.items():
                mutant = _with_tangents(primitive, i, s)
                if any(_tangents_differ(at, mutant) for at in points):
                    yield Mutation(f"{what} {label}", mutant)


def altered(primitive: Primitive, **changes) -> Primitive:
    """A copy of a primitive with other attributes: `vjp_rule`, `jvp_rule`, `function`, ..."""
    other = copy.copy(primitive)
    vars(other).update(changes)
    return other


def _swap(bar):
    return np.swapaxes(bar, -1, -2) if np.ndim(bar) >= 2 and bar.shape[-1] == bar.shape[-2] else bar


def _with_bars(primitive, place, change: Callable):
    def rule(*args, **options):
        thunks = primitive.vjp_rule(*args, **options)
        return tuple(
            (lambda thunk=thunk: change(thunk())) if place in (None, i) and thunk is not None else thunk
            for i, thunk in enumerate(thunks)
        )

    return altered(primitive, vjp_rule=rule)


def _with_tangents(primitive, place, factor):
    def scaled(dots):
        return (
            tuple(None if dot is None else factor * dot for dot in dots) if isinstance(dots, tuple) else factor * dots
        )

    def rule(*args, **options):
        terms = primitive.jvp_rule(*args, **options)
        if callable(terms):  # linear in all tangents together
            return lambda *dots: terms(*(factor * dot if place in (None, i) else dot for i, dot in enumerate(dots)))
        return tuple(
            (lambda dot, term=term: scaled(term(dot))) if place in (None, i) and term is not None else term
            for i, term in enumerate(terms)
        )

    return altered(primitive, jvp_rule=rule)


def _bars_differ(at, mutant):
    bars = at.cotangents(stream(0), at.smooth)
    right = at.primitive.pull(NUMPY, bars, at.outputs, at.arrays, at.options)
    wrong = mutant.pull(NUMPY, bars, at.outputs, at.arrays, at.options)
    for a, b, hermitian in zip(right, wrong, at.hermitian, strict=True):
        if a is None:
            continue  # it has no derivative with respect to this one
        if hermitian:
            a, b = hermitian_part(a), hermitian_part(b)
        if largest(a - b) > 1e-4 * largest(a):
            return True
    return False


def _tangents_differ(at, mutant):
    in_dots = at.tangents(stream(0))
    right, wrong = (p.push(NUMPY, in_dots, at.outputs, at.arrays, at.options) for p in (at.primitive, mutant))
    return any(largest(right[i] - wrong[i]) > 1e-6 * largest(right[i]) for i in at.smooth)
