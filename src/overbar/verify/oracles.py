"""The oracles that need double precision only: the adjoint identity, central differences, the complex step.

May import NumPy, `overbar._primitive` and its neighbours here.
"""

from __future__ import annotations

import numpy as np
from numpy.linalg import LinAlgError

from overbar._primitive import Primitive
from overbar.verify.draw import Case, stream
from overbar.verify.point import Point, array_error, keep, largest, norm, wide

# Fourth-order differences are off by STEP⁴ times a fifth derivative and by eps/STEP. In double precision, to which
# every function is lifted for them, 1e-3 would balance the two for a fifth derivative of the size of the value; this
# one leaves room for fifth derivatives a thousand times larger, which an inverse with a condition number of 30 has.
STEP = 2e-4

# So small that its square is nothing beside 1, and a product of three still a normal number in double precision.
COMPLEX_STEP = 1e-60


def adjoint_error(primitive: Primitive, case: Case, rng=0) -> float | None:
    """How far the reverse rule is from being the adjoint of the forward rule.

    For random tangents Ẋ and cotangents Ȳ, |⟨Ȳ, Ẏ⟩ − ⟨X̄, Ẋ⟩| relative to the larger of the two; the largest over every
    nonempty subset of the outputs (intermediates too, the cotangents of the others absent), with all inputs moving and
    each by itself (the tangents of the others absent). ⟨A, B⟩ = Re Σ conj(A) B.

    Returns
    -------
    float, or None where the primitive lacks one of the rules.
    """
    if primitive.vjp_rule is None or primitive.jvp_rule is None:
        return None
    rng, at = stream(rng), Point(primitive, case)
    in_dots, worst = at.tangents(rng), 0.0
    for moved in at.moves():
        dots = at.push(keep(in_dots, moved))
        for chosen in at.subsets():
            bars = at.aligned(rng, dots, chosen)
            in_bars = at.pull(bars, moved)
            size = sum(norm(in_bars[i]) * norm(in_dots[i]) for i in moved)
            worst = max(worst, at.pairing(bars, dots, in_bars, in_dots, moved, size))
    return worst


def difference_error(primitive: Primitive, case: Case, rng=0) -> float | None:
    """How far the rules are from fourth-order central differences of the function.

    Along random tangents Ẋ, Hermitian where the argument is, with all inputs moving and each by itself,

        Ẏ ≈ (8 (f(X + hẊ) − f(X − hẊ)) − (f(X + 2hẊ) − f(X − 2hẊ))) / 12h.

    The forward rule is compared with it entry by entry, relative to the largest entry; the reverse rule through the
    pairing ⟨X̄, Ẋ⟩ = ⟨Ȳ, Ẏ⟩ with a random Ȳ. The function runs in double precision, whatever the arrays, so that the
    error of a rule in single precision is a number too.

    Returns
    -------
    float, or None where the primitive has neither rule.
    """

    return _against_tangents(Point(primitive, case), _difference, stream(rng))


def _difference(at, in_dots):
    """Tangents of the outputs by differences of fourth order."""
    arrays = [a.astype(wide(a)) for a in at.arrays]
    plus, minus, far_plus, far_minus = (
        at.run([a if dot is None else a + s * STEP * dot for a, dot in zip(arrays, in_dots, strict=True)])
        for s in (1, -1, 2, -2)
    )
    return [
        None if i not in at.smooth else (8 * (plus[i] - minus[i]) - (far_plus[i] - far_minus[i])) / (12 * STEP)
        for i in range(len(at.outputs))
    ]


def located(primitive: Primitive, case: Case, adjoint: float, difference: float | None, rng=0) -> list[str]:
    """Where the rules are off, as far as one argument that moves and one output with a cotangent tell, in lines. A rule
    that is farther than `difference` from differences is wrong; where neither is, and the two differ by more than
    `adjoint`, nobody knows which. (Where `difference` is None no step is taken, which may lead out of the domain.)"""
    at, rng = Point(primitive, case), stream(rng)
    in_dots = _of_the_size_of_inputs(at, rng)
    sizes, found = [largest(out) for out in at.outputs], {}
    for i, name in enumerate(at.names):
        truth, dots = None, None
        if difference is not None:
            truth = _difference(at, [None if dot is None else dot.astype(wide(dot)) for dot in keep(in_dots, (i,))])
        if primitive.jvp_rule is not None:
            dots = at.push(keep(in_dots, (i,)))
        for k in at.smooth:
            wrong = []
            if truth is not None and dots is not None and array_error(dots[k], truth[k], sizes[k]) > difference:
                wrong.append("the forward rule")
            for known, allowed, what in ((truth, difference, "the reverse rule"), (dots, adjoint, "one of the rules")):
                if known is None or primitive.vjp_rule is None or wrong[-1:] == ["the reverse rule"]:
                    continue
                bars = at.aligned(rng, known, (k,))
                size = norm(bars[k]) * norm(at.outputs[k])
                if at.pairing(bars, known, at.pull(bars, (i,)), in_dots, (i,), size) > allowed:
                    wrong.append(what)
            if len(wrong) > 1 and wrong[-1] == "one of the rules":  # of which it is known
                wrong.pop()
            for rule in wrong:
                found.setdefault((rule, name), []).append(k)
    lines = []
    for (rule, name), outputs in found.items():
        which = f", output{'s' if len(outputs) > 1 else ''} {', '.join(map(str, outputs))}"
        lines.append(f"{rule} is off for argument {name}{which if len(at.smooth) > 1 else ''}")
    return lines


def _of_the_size_of_inputs(at, rng):
    """Random tangents of the size of the inputs, so that a step means the same for large and for small ones."""
    return [
        (dot * (largest(a) or 1) / (largest(dot) or 1)).astype(a.dtype)
        for a, dot in zip(at.arrays, at.tangents(rng), strict=True)
    ]


def _against_tangents(at, derivative, rng):
    """The largest error of both rules against tangents of the outputs that somebody else computes."""
    primitive, worst = at.primitive, 0.0
    if primitive.vjp_rule is None and primitive.jvp_rule is None:
        return None
    in_dots = _of_the_size_of_inputs(at, rng)
    for moved in at.moves():
        truth = derivative(at, [None if dot is None else dot.astype(wide(dot)) for dot in keep(in_dots, moved)])
        if truth is None:
            continue
        sizes = [largest(out) for out in at.outputs]
        if primitive.jvp_rule is not None:
            dots = at.push(keep(in_dots, moved))
            worst = max([worst, *(array_error(dots[i], truth[i], sizes[i]) for i in at.smooth)])
        if primitive.vjp_rule is not None:
            for chosen in at.subsets():
                bars = at.aligned(rng, truth, chosen)
                in_bars = at.pull(bars, moved)
                size = sum(norm(bars[i]) * norm(at.outputs[i]) for i in chosen)
                worst = max(worst, at.pairing(bars, truth, in_bars, in_dots, moved, size))
    return worst


def complex_step_error(primitive: Primitive, case: Case, rng=0) -> float | None:
    """How far the rules are from the complex step Ẏ = Im f(X + ihẊ)/h, which subtracts nothing and is exact to
    rounding.

    It needs real arrays and a function that is analytic and takes complex ones. Whether it is, the function itself is
    asked, input by input: by differences, its derivative along iẊ must be i times that along Ẋ (the equations of Cauchy
    and Riemann), which fails wherever it conjugates, takes a modulus or a real part, or reads one triangle of a
    Hermitian matrix for both, or rounds so small a step away. Inputs for which this fails stay where they are.

    Returns
    -------
    float, or None where the arrays are complex or the function is analytic in none of them.
    """
    at = Point(primitive, case)
    if any(a.dtype.kind == "c" for a in at.arrays):
        return None
    rng = stream(rng)
    arrays = [a.astype(np.complex128) for a in at.arrays]
    analytic = _analytic(at)
    if not analytic:
        return None

    def derivative(at, in_dots):
        if any(dot is not None and i not in analytic for i, dot in enumerate(in_dots)):
            return None
        moved = [a if dot is None else a + 1j * COMPLEX_STEP * dot for a, dot in zip(arrays, in_dots, strict=True)]
        return [out.imag / COMPLEX_STEP for out in at.run(moved)]

    return _against_tangents(at, derivative, rng)


def analytic_arguments(primitive: Primitive, case: Case) -> list[str]:
    """The names of the arguments in which a primitive is found to be analytic (as `complex_step_error` finds it)."""
    at = Point(primitive, case)
    return [at.names[i] for i in _analytic(at)]


def _analytic(at):
    dots = at.tangents(stream(0))
    return [i for i, dot in enumerate(dots) if _is_analytic(at, i, dot.astype(np.complex128))]


def _is_analytic(at, i, dot):
    arrays = [a.astype(np.complex128) for a in at.arrays]

    def moved(step):
        return at.run([*arrays[:i], arrays[i] + step * dot, *arrays[i + 1 :]])

    def difference(factor):
        ends = [moved(s * factor) for s in (STEP, -STEP)]
        return [(plus - minus) / (2 * STEP) for plus, minus in zip(*ends, strict=True)]

    try:
        along, across = difference(1), difference(1j)
        # What is computed by unitary transformations (a Schur decomposition) is analytic, but rounds relative to the
        # whole matrix, and so rounds the complex step away: one derivative more, of the step itself.
        steps = [out.imag / COMPLEX_STEP for out in moved(1j * COMPLEX_STEP)]
    except (TypeError, ValueError, NotImplementedError, LinAlgError):  # it takes no complex numbers, or not these
        return False
    # the differences are worth about STEP², a conjugate is off by 2
    return all(
        largest(found - 1j * along[k]) <= 0.01 * max(largest(found), largest(along[k]))
        for k in at.smooth
        for found in (across[k], 1j * steps[k])
    )
