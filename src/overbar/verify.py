"""How a rule is checked: the adjoint identity, central differences, the complex step, and 50 digits.

May import `overbar.namespace`, `overbar.primitive` and `overbar.rules`; mpmath only where the exact oracle needs it;
never a framework. `check` runs every oracle on a primitive and is all that an author of a rule has to call. An oracle
is a function of a primitive and a case and returns one number, a relative error. What it takes for the truth does not
depend on the rules, except for the adjoint identity, which asks no more than that the two rules belong together: both
wrong by the same factor, they pass it, and fail the others.

    oracle          truth                                   catches in double precision
    adjoint         ⟨Ȳ, Ẏ⟩ = ⟨X̄, Ẋ⟩                         a relative error of 1e-11 of one rule against the other
    difference      fourth-order differences                1e-7 of either rule
    complex step    Im f(A + ihE)/h, f analytic             1e-11 of either rule
    exact           the primitive's reference in 50 digits  1e-8 of either rule and of the value, entry by entry

Inputs are drawn by the sampler of the primitive (`Draw` is what it draws with). `rule_mutations` makes wrong copies of
a primitive, by which the oracles themselves are tested.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from overbar.namespace import NUMPY
from overbar.primitive import Primitive

__all__ = [
    "ORACLES",
    "TOLERANCE",
    "Case",
    "Draw",
    "Exact",
    "Row",
    "VerificationError",
    "adjoint_error",
    "altered",
    "analytic_arguments",
    "check",
    "complex_step_error",
    "difference_error",
    "draw_cases",
    "exact_error",
    "rule_mutations",
]

# Each is far above the rounding that well-conditioned input shows (in brackets) and far below 1e-3, so that a rule off
# by a factor of 1.001 fails. Single precision leaves room for one order of magnitude, double for four at the least.
TOLERANCE = {
    "adjoint": {"double": 1e-11, "single": 3e-5},  # (1e-15; 1e-6): two sums of products of the same numbers
    "difference": {"double": 1e-7, "single": 3e-5},  # (1e-11; 1e-6): what a fourth-order difference with STEP is worth
    "complex step": {"double": 1e-11, "single": 3e-5},  # (1e-15; 1e-6): it subtracts nothing
    "exact": {"double": 1e-8, "single": 3e-5},  # (1e-15; 1e-6): the figure that the project promises is 1e-8 and 1e-3
}

# Fourth-order differences are off by STEP⁴ times a fifth derivative and by eps/STEP. In double precision, to which
# every function is lifted for them, 1e-3 would balance the two for a fifth derivative of the size of the value; this
# one leaves room for fifth derivatives a thousand times larger, which an inverse with a condition number of 30 has.
STEP = 2e-4

# So small that its square is nothing beside 1, and a product of three still a normal number in double precision.
COMPLEX_STEP = 1e-60

# A derivative that vanishes may come out as rounding. Errors are relative to the derivative, but to no less than this
# part of what it would be if it were the value over the input in size, so that such rounding stays below the
# tolerances.
FLOOR = 1e-2

# Up to so many entries in the inputs of one matrix function, the exact oracle differentiates by each of them; above,
# along `RANDOM_DIRECTIONS` random directions.
EXACT_ENTRIES = 100
RANDOM_DIRECTIONS = 2

# Drawn matrices are no worse than this. With it, the tolerances above need no condition number in them.
CONDITION = 30.0


class VerificationError(AssertionError):
    """A primitive did not pass `check`. `rows` holds what was measured."""

    def __init__(self, message: str, rows: list[Row] | None = None):
        super().__init__(message)
        self.rows = rows or []


# -- inputs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One input of a primitive: its arrays (NumPy) and its static options."""

    arrays: tuple[np.ndarray, ...]
    options: dict[str, Any] = field(default_factory=dict)
    #: what the exact oracle computed for these arrays; slow to get, and the same for every rule that is held against it
    cache: dict = field(default_factory=dict, repr=False, compare=False)

    def __str__(self):
        parts = [f"{a.dtype} {a.shape}" for a in self.arrays]
        parts += [f"{name}={value!r}" for name, value in self.options.items()]
        return ", ".join(" ".join(part.split()) for part in parts)


class Draw:
    """What a sampler draws arrays with.

    A sampler is registered by ``@p.samples`` and gets a `Draw` as `case`. Every method draws an array with the batch
    dimensions in front; calling `case` makes a `Case` of arrays:

        @cholesky.samples
        def _(case):
            yield case(case.positive_definite(4), upper=False)

    Parameters
    ----------
    rng : int or numpy.random.Generator
        Where the randomness comes from; the same seed draws the same arrays.
    dtype
        float32, float64, complex64 or complex128. Everything drawn has it.
    batch : tuple of int, or list of such tuples
        Batch dimensions. A list gives the arrays of a case different ones that broadcast, in turn: with
        [(3, 1), (4,), ()] the first array of each case has (3, 1), the second (4,), the third none, the fourth (3, 1)
        again. Everything is drawn with the broadcast shape, here (3, 4), and cut when `case` is called, so that a
        sampler need not know. A dimension of 0 is drawn as 1 and cut, too.
    """

    def __init__(self, rng=0, dtype=np.float64, batch=()):
        # A stream of its own: the oracles start theirs from the same seed, and a tangent equal to the input itself
        # would test a rule in that one direction only.
        self.rng = rng if isinstance(rng, np.random.Generator) else np.random.default_rng([rng, 1])
        self.dtype = np.dtype(dtype)
        if self.dtype.char not in "fdFD":
            raise TypeError(f"cannot draw {self.dtype}. Choose float32, float64, complex64 or complex128.")
        self.complex = self.dtype.kind == "c"
        self.batches = [tuple(shape) for shape in batch] if isinstance(batch, list) else [tuple(batch)]
        widened = [tuple(max(1, size) for size in shape) for shape in self.batches]
        #: the batch dimensions that arrays are drawn with
        self.batch = np.broadcast_shapes(*widened)
        np.broadcast_shapes(*self.batches)  # complains about (0,) beside (3,), which the line above does not see

    def __call__(self, *arrays: Any, **options: Any) -> Case:
        return Case(tuple(self._cut(i, array) for i, array in enumerate(arrays)), options)

    def _cut(self, i, array):
        array = np.asarray(array)
        lead, wanted = array.shape[: len(self.batch)], self.batches[i % len(self.batches)]
        if lead != self.batch:
            raise ValueError(
                f"array {i} of a case has shape {array.shape}, which does not begin with the batch dimensions "
                f"{self.batch}. Draw it with a method of the sampler's argument, case.normal(...) for instance, or "
                "broadcast it to (*case.batch, ...)."
            )
        array = array[(0,) * (len(lead) - len(wanted))]
        return array[tuple(slice(size) for size in wanted)].copy()

    def _cast(self, array):
        return np.asarray(array).astype(self.dtype)

    def _normal(self, *shape):
        real = self.rng.standard_normal(shape)
        # of variance 1 in both cases
        return (real + 1j * self.rng.standard_normal(shape)) / math.sqrt(2) if self.complex else real

    def normal(self, *core: int) -> np.ndarray:
        """Independent normal entries of variance 1."""
        return self._cast(self._normal(*self.batch, *core))

    def positive(self, *core: int) -> np.ndarray:
        """Entries between 1/2 and 2. Complex ones have such a modulus and a positive real part: no cut or pole of the
        logarithm, of powers or of the reciprocal is near."""
        shape = (*self.batch, *core)
        array = self.rng.uniform(0.5, 2, shape)
        return self._cast(array * np.exp(1j * self.rng.uniform(-1, 1, shape)) if self.complex else array)

    def real(self, *core: int) -> np.ndarray:
        """Real entries between 1/2 and 2, where the others are complex, too."""
        return self.rng.uniform(0.5, 2, (*self.batch, *core)).astype(self.dtype.type(0).real.dtype)

    def hermitian(self, n: int) -> np.ndarray:
        """A Hermitian matrix (symmetric, where dtype is real), to the last bit."""
        return self._cast(_hermitian_part(self._normal(*self.batch, n, n)))

    symmetric = hermitian

    def positive_definite(self, n: int) -> np.ndarray:
        """A Hermitian positive definite matrix with a condition number up to 25 and no preferred axes."""
        Q = self._unitary(n)
        eigenvalues = np.exp(self.rng.uniform(math.log(0.4), math.log(10), (*self.batch, n)))
        return self._cast(_hermitian_part((Q * eigenvalues[..., None, :]) @ _mH(Q)))

    def square(self, n: int) -> np.ndarray:
        """A general square matrix; it and both of its triangles are well conditioned, so that a function may read one
        of them only."""
        return self._well_conditioned(n, np.tril, np.triu, np.asarray)

    def lower(self, n: int) -> np.ndarray:
        """A well-conditioned lower triangular matrix with a positive diagonal and zeros above it."""
        return np.tril(self._well_conditioned(n, np.tril, _unit_lower))

    def upper(self, n: int) -> np.ndarray:
        """A well-conditioned upper triangular matrix with a positive diagonal and zeros below it."""
        return _mH(self.lower(n))

    def _well_conditioned(self, n, *views):
        A = np.empty((*self.batch, n, n), self.dtype)
        for index in np.ndindex(self.batch):
            for scale in itertools.accumulate(itertools.repeat(0.97), operator.mul, initial=0.7 / max(1, n / 6) ** 0.5):
                entries = scale * self._normal(n, n)
                entries[range(n), range(n)] = self.rng.uniform(0.5, 2, n)
                A[index] = entries
                # smaller and smaller entries off the diagonal: a diagonal matrix is accepted at last
                if n == 0 or all(np.linalg.cond(view(A[index])) <= CONDITION for view in views):
                    break
        return A

    def _unitary(self, n):
        Q, R = np.linalg.qr(self._normal(*self.batch, n, n))
        diagonal = np.diagonal(R, 0, -2, -1)
        return Q * (diagonal / abs(diagonal))[..., None, :]  # from the uniform distribution, which QR alone is not


def _unit_lower(A):
    return np.tril(A, -1) + np.eye(len(A))


def _mH(A):
    return np.conj(np.swapaxes(A, -1, -2))


def _hermitian_part(A):
    return (A + _mH(A)) / 2


def draw_cases(primitive: Primitive, dtype=np.float64, batch=(), rng=0) -> list[Case]:
    """The cases that a primitive's sampler yields, with complete options.

    Parameters
    ----------
    primitive : Primitive
    dtype, batch, rng
        As in `Draw`. For a function of whole arrays, which does not broadcast, a list of batch shapes is broadcast
        first.

    Raises
    ------
    ValueError
        The primitive has no sampler.

    Examples
    --------
    >>> import overbar
    >>> [case] = draw_cases(overbar.matmul, batch=[(3, 1), (4,)])
    >>> print(case)
    float64 (3, 1, 3, 4), float64 (4, 4, 2)
    """
    if primitive.sampler is None:
        raise ValueError(
            f"{primitive.name} does not say how to draw valid inputs. Register a sampler with "
            f"@{primitive.name}.samples, or pass inputs of your own: cases=[(arrays, options), ...]."
        )
    whole = primitive.signature.whole
    if whole and isinstance(batch, list):
        batch = np.broadcast_shapes(*batch)
    cases = []
    for case in primitive.sampler(Draw(rng, dtype, batch)):
        options = {**case.options, "batch_ndim": len(batch)} if whole else case.options
        cases.append(complete(primitive, case.arrays, options))
    return cases


def complete(primitive: Primitive, arrays, options) -> Case:
    """A case with NumPy arrays, and with the options that a call would have by default."""
    arrays = [np.asarray(a) for a in arrays]
    arrays, options = primitive.bind([arrays] if primitive.variadic else arrays, options)
    if primitive.absent:
        arrays = primitive.with_absent(NUMPY, arrays)
    return Case(tuple(arrays), options)


def call(primitive: Primitive, arrays, options):
    """Call a primitive as a user does."""
    return primitive(list(arrays), **options) if primitive.variadic else primitive(*arrays, **options)


# -- a primitive at a point --------------------------------------------------------------------------------------------


class _Point:
    """A primitive and the arrays it is looked at, as its rules see them: a vector in the place of a matrix has become
    one."""

    def __init__(self, primitive, case):
        case = complete(primitive, case.arrays, case.options)
        self.primitive, self.options = primitive, case.options
        dropped = primitive.check(NUMPY, case.arrays).dropped
        self.arrays = list(case.arrays)
        if dropped:
            self.arrays = [
                primitive._with_dims(NUMPY, a, core, dropped)
                for a, core in zip(self.arrays, primitive.signature.inputs, strict=True)
            ]
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
            dot = _noise(rng, array)
            dots.append((_hermitian_part(dot) if hermitian else dot).astype(array.dtype))
        return dots

    def cotangents(self, rng, chosen):
        """Random cotangents of the chosen outputs; None for the others."""
        return self.aligned(rng, [_noise(rng, out) for out in self.outputs], chosen)

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
            dot, out = np.asarray(dots[i], dtype=_wide(self.outputs[i])), self.outputs[i]
            size = rng.uniform(0.5, 1.5, out.shape)
            phase = np.where(dot == 0, 1, dot) / np.where(dot == 0, 1, abs(dot))
            bars[i] = (size * phase).astype(out.dtype)
        return bars

    def pairing(self, bars, dots, in_bars, in_dots, moved, size):
        """The error between ⟨Ȳ, Ẏ⟩ and ⟨X̄, Ẋ⟩, relative to the larger one."""
        left = sum(_inner(bars[i], dots[i]) for i in self.smooth if bars[i] is not None)
        right = sum(_inner(in_bars[i], in_dots[i]) for i in moved)
        return _relative(abs(left - right), max(abs(left), abs(right), FLOOR * size))


def _wide(array):
    return np.complex128 if array.dtype.kind == "c" else np.float64


def _noise(rng, like):
    noise = rng.standard_normal(like.shape)
    return noise + 1j * rng.standard_normal(like.shape) if like.dtype.kind == "c" else noise


def _inner(a, b):
    """Re Σ conj(a) b, added up in double precision."""
    return float(np.vdot(np.asarray(a, _wide(np.asarray(a))), np.asarray(b, _wide(np.asarray(b)))).real)


def _norm(a):
    return float(np.linalg.norm(np.asarray(a).reshape(-1)))


def _largest(a):
    return float(abs(np.asarray(a)).max(initial=0))


def _relative(difference, scale):
    """The quotient; infinite where something is not a number, and 0 of 0 is 0."""
    if not math.isfinite(difference) or not math.isfinite(scale):
        return math.inf
    return difference / scale if difference else 0.0


def _array_error(found, truth, size):
    """The largest error of an entry, relative to the largest entry."""
    return _relative(_largest(found - truth), max(_largest(found), _largest(truth), FLOOR * size))


def _keep(values, chosen):
    return [value if i in chosen else None for i, value in enumerate(values)]


# -- the oracles -------------------------------------------------------------------------------------------------------


def adjoint_error(primitive: Primitive, case: Case, rng=0) -> float | None:
    """How far the reverse rule is from being the adjoint of the forward rule.

    For random tangents Ẋ and cotangents Ȳ, |⟨Ȳ, Ẏ⟩ − ⟨X̄, Ẋ⟩| relative to the larger of the two; the largest over every
    nonempty subset of the outputs (hidden ones too, the cotangents of the others absent), with all inputs moving and
    each by itself (the tangents of the others absent). ⟨A, B⟩ = Re Σ conj(A) B.

    Returns
    -------
    float, or None where the primitive lacks one of the rules.
    """
    if primitive.vjp_rule is None or primitive.jvp_rule is None:
        return None
    rng, at = np.random.default_rng(rng), _Point(primitive, case)
    in_dots, worst = at.tangents(rng), 0.0
    for moved in at.moves():
        dots = at.push(_keep(in_dots, moved))
        for chosen in at.subsets():
            bars = at.aligned(rng, dots, chosen)
            in_bars = at.pull(bars, moved)
            size = sum(_norm(in_bars[i]) * _norm(in_dots[i]) for i in moved)
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

    def derivative(at, in_dots):
        plus, minus, far_plus, far_minus = (
            at.run([a if dot is None else a + s * STEP * dot for a, dot in zip(wide, in_dots, strict=True)])
            for s in (1, -1, 2, -2)
        )
        return [
            None if i not in at.smooth else (8 * (plus[i] - minus[i]) - (far_plus[i] - far_minus[i])) / (12 * STEP)
            for i in range(len(at.outputs))
        ]

    at = _Point(primitive, case)
    wide = [a.astype(_wide(a)) for a in at.arrays]
    return _against_tangents(at, derivative, np.random.default_rng(rng))


def _against_tangents(at, derivative, rng):
    """The largest error of both rules against tangents of the outputs that somebody else computes."""
    primitive, worst = at.primitive, 0.0
    if primitive.vjp_rule is None and primitive.jvp_rule is None:
        return None
    # tangents of the size of the inputs, so that a step means the same for large and for small ones
    in_dots = [
        (dot * (_largest(a) or 1) / (_largest(dot) or 1)).astype(a.dtype)
        for a, dot in zip(at.arrays, at.tangents(rng), strict=True)
    ]
    for moved in at.moves():
        truth = derivative(at, [None if dot is None else dot.astype(_wide(dot)) for dot in _keep(in_dots, moved)])
        if truth is None:
            continue
        sizes = [_largest(out) for out in at.outputs]
        if primitive.jvp_rule is not None:
            dots = at.push(_keep(in_dots, moved))
            worst = max([worst, *(_array_error(dots[i], truth[i], sizes[i]) for i in at.smooth)])
        if primitive.vjp_rule is not None:
            for chosen in at.subsets():
                bars = at.aligned(rng, truth, chosen)
                in_bars = at.pull(bars, moved)
                size = sum(_norm(bars[i]) * _norm(at.outputs[i]) for i in chosen)
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
    at = _Point(primitive, case)
    if any(a.dtype.kind == "c" for a in at.arrays):
        return None
    rng = np.random.default_rng(rng)
    wide = [a.astype(np.complex128) for a in at.arrays]
    analytic = _analytic(at)
    if not analytic:
        return None

    def derivative(at, in_dots):
        if any(dot is not None and i not in analytic for i, dot in enumerate(in_dots)):
            return None
        moved = [a if dot is None else a + 1j * COMPLEX_STEP * dot for a, dot in zip(wide, in_dots, strict=True)]
        return [out.imag / COMPLEX_STEP for out in at.run(moved)]

    return _against_tangents(at, derivative, rng)


def analytic_arguments(primitive: Primitive, case: Case) -> list[str]:
    """The names of the arguments in which a primitive is found to be analytic (as `complex_step_error` finds it)."""
    at = _Point(primitive, case)
    return [at.names[i] for i in _analytic(at)]


def _analytic(at):
    dots = at.tangents(np.random.default_rng(0))
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
        _largest(found - 1j * along[k]) <= 0.01 * max(_largest(found), _largest(along[k]))
        for k in at.smooth
        for found in (across[k], 1j * steps[k])
    )


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
    rng, at = np.random.default_rng(rng), _Point(primitive, case)
    key = (primitive.exact, digits, entries)
    if key not in case.cache:
        case.cache[key] = _ExactDerivative(at, digits, entries)
    exact = case.cache[key]
    public = range(primitive.public)
    worst = max(
        (_array_error(at.outputs[i], exact.values[i], 0.0) for i in public),
        default=0,
    )
    bars = at.cotangents(rng, [i for i in public if i in at.smooth])
    size = sum(_norm(bars[i]) * _norm(at.outputs[i]) for i in public if bars[i] is not None)
    if primitive.vjp_rule is not None:
        worst = max([worst, *exact.bar_errors(bars, at.pull(bars), size)])
    if primitive.jvp_rule is not None:
        in_dots = exact.tangents(rng)
        for moved in at.moves():
            found, truth = at.push(_keep(in_dots, moved)), exact.dots(in_dots, moved)
            sizes = [_largest(out) for out in at.outputs]
            worst = max([worst, *(_array_error(found[i], truth[i], sizes[i]) for i in public if i in at.smooth)])
    return worst


class _ExactDerivative:
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
        self.values = [out.astype(_wide(out)) for out in at.outputs[: at.primitive.public]]
        self.parts = []  # (matrix, input, direction, tangents of the outputs)
        rng = np.random.default_rng(0)
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
                E = np.zeros(array.shape, _wide(array))
                E[k] = unit
                if hermitian:
                    if k[-2] > k[-1] or (k[-2] == k[-1] and unit != 1):
                        continue  # the mirror image of another, or an imaginary diagonal
                    E = E + _mH(E) if k[-2] != k[-1] else E
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
            truth = [np.zeros(a.shape, _wide(a)) for a in at.arrays]
            for (index, i, E, _), pairing in zip(self.parts, pairings, strict=True):
                truth[i][places[index][i]] += float(pairing) / _inner(E, E) * E
            for i, (bar, array) in enumerate(zip(found, at.arrays, strict=True)):
                bar = _hermitian_part(bar) if at.hermitian[i] else bar
                errors.append(_array_error(bar, truth[i], size / (_norm(array) or 1)))
            return errors
        # ⟨X̄, Ẋ⟩ along each random direction; relative to the largest, as a single one may be small by cancellation
        for i, array in enumerate(at.arrays):
            left = np.zeros(RANDOM_DIRECTIONS)
            for n, pairing in enumerate(p for part, p in zip(self.parts, pairings, strict=True) if part[1] == i):
                left[n % RANDOM_DIRECTIONS] += float(pairing)
            right = np.array([_inner(found[i], dots[i]) for dots in self.random])
            errors.append(_array_error(right, left, size * _norm(self.random[0][i]) / (_norm(array) or 1)))
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
                weight = _inner(E, in_dots[i][places[index][i]]) / _inner(E, E)
            else:
                weight = 1.0 if n % RANDOM_DIRECTIONS == 0 else 0.0
            for k, dot in enumerate(dots):
                total[k][index] = total[k][index] + weight * dot
        return [self._as_float(t, value) for t, value in zip(total, self.values, strict=True)]


# -- exact arithmetic --------------------------------------------------------------------------------------------------


class Exact:
    """What a reference computes with: NumPy object arrays of mpmath numbers.

    ``+ - * / @``, indexing, `.sum()`, `.diagonal()` and the like work on such arrays by themselves. What they lack is
    here, on arrays without batch dimensions: the functions below, and every function of one number that mpmath has
    (``exp, log, sqrt, sin, cos, tanh, gamma, ...``), which is applied to each entry.

    Parameters
    ----------
    digits : int
        The precision.

    Examples
    --------
    >>> mp = Exact(30)
    >>> L = mp.cholesky(mp.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> print(mp.context.nstr(L[0, 0], 25))
    1.414213562373095048801689
    """

    def __init__(self, digits=50):
        try:
            import mpmath
        except ImportError as error:
            raise ImportError('the exact oracle needs mpmath. Install it with: pip install "overbar[test]"') from error
        self.context = mpmath.MPContext()  # one of our own: nobody else's precision changes
        self.context.dps = digits

    def __getattr__(self, name):
        if name.startswith("__") or name == "context":
            raise AttributeError(name)
        function = getattr(self.context, name)
        applied = np.frompyfunc(function, 1, 1)
        return lambda A: np.asarray(applied(A), dtype=object)

    # -- in and out

    def number(self, x):
        """A Python or NumPy number as an mpmath one, without rounding."""
        return self.context.mpc(complex(x)) if np.iscomplexobj(x) else self.context.mpf(float(x))

    def array(self, A):
        """An array of floats as an object array, without rounding."""
        A = np.asarray(A)
        if A.dtype == object:
            return A
        exact = np.empty(A.shape, dtype=object)
        for index in np.ndindex(A.shape):
            exact[index] = self.number(A[index])
        return exact

    def float(self, A):
        """An object array rounded to float64, to complex128 where a number in it is complex."""
        A = np.asarray(A, dtype=object)
        complex_ = any(isinstance(x, (complex, self.context.mpc)) for x in A.flat)
        return np.array([complex(x) if complex_ else float(x) for x in A.flat]).reshape(A.shape)

    # -- entry by entry

    def power(self, A, p):
        """Aᵖ, entry by entry; the arrays broadcast."""
        return np.asarray(np.frompyfunc(self.context.power, 2, 1)(A, p), dtype=object)

    def conj(self, A):
        return np.asarray(np.frompyfunc(lambda x: self.context.conj(x), 1, 1)(A), dtype=object)

    def real(self, A):
        return np.asarray(np.frompyfunc(lambda x: x.real, 1, 1)(A), dtype=object)

    def imag(self, A):
        return np.asarray(np.frompyfunc(lambda x: x.imag, 1, 1)(A), dtype=object)

    def abs(self, A):
        return np.asarray(np.frompyfunc(abs, 1, 1)(A), dtype=object)

    # -- shapes and triangles

    def zeros(self, shape):
        A = np.empty(shape, dtype=object)
        A[...] = self.context.mpf(0)
        return A

    def eye(self, n):
        A = self.zeros((n, n))
        for i in range(n):
            A[i, i] = self.context.mpf(1)
        return A

    def mT(self, A):
        return A.T

    def mH(self, A):
        return self.conj(A).T

    def tril(self, A, k=0):
        """The entries with j − i ≤ k, zero elsewhere."""
        return self._where(np.tril(np.ones(A.shape, bool), k), A)

    def triu(self, A, k=0):
        """The entries with j − i ≥ k, zero elsewhere."""
        return self._where(np.triu(np.ones(A.shape, bool), k), A)

    def _where(self, keep, A):
        B = self.zeros(A.shape)
        B[keep] = A[keep]
        return B

    # -- linear algebra

    def inner(self, A, B):
        """Re Σ conj(A) B."""
        return sum((self.real(self.conj(A) * B)).flat, start=self.context.mpf(0))

    def cholesky(self, A):
        """The lower factor L of A = L Lᴴ. Reads the lower triangle of A."""
        n, L = len(A), self.zeros(A.shape)
        for j in range(n):
            rest = A[j:, j] - L[j:, :j] @ self.conj(L[j, :j]) if j else A[j:, j]
            L[j, j] = self.context.sqrt(rest[0].real)
            L[j + 1 :, j] = rest[1:] / L[j, j]
        return L

    def solve(self, A, B):
        """A⁻¹ B for square A and a matrix or vector B, by elimination with pivots."""
        n, A, X = len(A), A.copy(), B.copy()
        self._eliminate(A, X)
        for i in reversed(range(n)):
            if i + 1 < n:
                X[i] = X[i] - A[i, i + 1 :] @ X[i + 1 :]
            X[i] = X[i] / A[i, i]
        return X

    def inverse(self, A):
        return self.solve(A, self.eye(len(A)))

    def det(self, A):
        A = A.copy()
        sign = self._eliminate(A, self.zeros((len(A), 0)))
        return math.prod(A.diagonal(), start=self.context.mpf(sign))

    def svd(self, A, full_matrices=False):
        """U, the singular values in descending order, and Vᴴ; the signs and phases are any."""
        ctx = self.context
        m, n = A.shape
        if not m or not n:
            return self.eye(m)[:, : m * full_matrices], self.zeros((0,)), self.eye(n)[: n * full_matrices]
        U, S, Vh = ctx.svd(ctx.matrix(A.tolist()), full_matrices=full_matrices)
        as_array = lambda M: np.array(M.tolist(), dtype=object).reshape(M.rows, M.cols)  # noqa: E731
        return as_array(U), as_array(S)[:, 0], as_array(Vh)

    def _eliminate(self, A, B):
        """Turn A into an upper triangle and B with it, in place. Returns the sign of the permutation."""
        sign = 1
        for j in range(len(A)):
            pivot = max(range(j, len(A)), key=lambda i: abs(A[i, j]))
            if pivot != j:
                sign = -sign
                A[[j, pivot]], B[[j, pivot]] = A[[pivot, j]], B[[pivot, j]]
            for i in range(j + 1, len(A)):
                if A[i, j] != 0:
                    factor = A[i, j] / A[j, j]
                    A[i, j:] = A[i, j:] - factor * A[j, j:]
                    B[i] = B[i] - factor * B[j]
        return sign


# -- wrong rules -------------------------------------------------------------------------------------------------------


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
    points = [_Point(primitive, case) for case in (draw_cases(primitive) if cases is None else cases)]
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
    """A copy of a primitive with other attributes: `vjp_rule`, `jvp_rule`, `function`, ... (`copy.copy` would return
    the primitive itself, as it does for functions.)"""
    other = object.__new__(type(primitive))
    other.__dict__.update(primitive.__dict__, **changes)
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
    bars = at.cotangents(np.random.default_rng(0), at.smooth)
    right = at.primitive.pull(NUMPY, bars, at.outputs, at.arrays, at.options)
    wrong = mutant.pull(NUMPY, bars, at.outputs, at.arrays, at.options)
    for a, b, hermitian in zip(right, wrong, at.hermitian, strict=True):
        if a is None:
            continue  # it has no derivative with respect to this one
        if hermitian:
            a, b = _hermitian_part(a), _hermitian_part(b)
        if _largest(a - b) > 1e-4 * _largest(a):
            return True
    return False


def _tangents_differ(at, mutant):
    in_dots = at.tangents(np.random.default_rng(0))
    right, wrong = (p.push(NUMPY, in_dots, at.outputs, at.arrays, at.options) for p in (at.primitive, mutant))
    return any(_largest(right[i] - wrong[i]) > 1e-6 * _largest(right[i]) for i in at.smooth)


# -- all of it ---------------------------------------------------------------------------------------------------------

ORACLES: dict[str, Callable] = {
    "adjoint": adjoint_error,
    "difference": difference_error,
    "complex step": complex_step_error,
    "exact": exact_error,
}

_NOT_APPLICABLE = {
    "adjoint": "it needs both rules",
    "difference": "there is no rule",
    "complex step": "complex arrays, or not analytic",
    "exact": "no reference",
}


class Row(NamedTuple):
    """What one oracle said about one case. `error` is None where the oracle does not apply, and `note` says why."""

    primitive: str
    case: str
    oracle: str
    error: float | None
    tolerance: float
    note: str = ""

    @property
    def passed(self) -> bool:
        return self.error is None or self.error <= self.tolerance

    def __str__(self):
        if self.error is None:
            return f"{self.primitive}({self.case}): {self.oracle} does not apply ({self.note})"
        comparison = "≤" if self.passed else ">"
        return f"{self.primitive}({self.case}): {self.oracle} error {self.error:.1e} {comparison} {self.tolerance:.0e}"


def tolerance(oracle: str, case: Case) -> float:
    """The largest error that an oracle may find on a case, by the precision of its arrays."""
    single = any(np.asarray(a).dtype.char in "fF" for a in case.arrays)
    return TOLERANCE[oracle]["single" if single else "double"]


def check(
    primitive: Primitive,
    dtype: Any = None,
    rng: Any = 0,
    *,
    batch: Any = (),
    cases: Any = None,
    tolerances: dict[str, float | None] | None = None,
) -> list[Row]:
    """Check the rules of a primitive by every oracle.

    Parameters
    ----------
    primitive : Primitive
        Yours or one of overbar's.
    dtype : optional
        In which dtype to draw inputs: float32, float64 (where nothing is said), complex64 or complex128.
    rng : int or numpy.random.Generator
        Seeds what is random in it.
    batch : tuple of int, or list of such tuples
        Batch dimensions of the inputs, as in `Draw`.
    cases : list of Case or of (arrays, options), optional
        Inputs of your own, in place of those that the sampler draws.
    tolerances : dict, optional
        A tolerance for an oracle, in place of those in `TOLERANCE`: {"exact": 1e-5} for badly conditioned inputs. None
        leaves the oracle out: {"difference": None} where a step of `STEP` leads out of the domain.

    Returns
    -------
    list of Row
        One for each case and oracle, with the error found, or None and a note where the oracle does not apply (no
        reference: no exact oracle).

    Raises
    ------
    LinAlgError
        The function does not return what the signature says.
    VerificationError
        An error is above its tolerance, or a bar has not the shape and dtype of its input. An AssertionError; the
        message names the case, the oracle, the error and the tolerance of each failure, and `.rows` holds all rows.
    ValueError
        The primitive has no rule to check, or no sampler and you passed no cases.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> @overbar.primitive("(n)->()")
    ... def sum_of_squares(x):
    ...     return overbar.namespace(x).sum(x * x, axis=-1)
    >>> @sum_of_squares.vjp
    ... def _(c_bar, c, x):
    ...     return (lambda: 2 * c_bar[..., None] * x,)
    >>> @sum_of_squares.jvp
    ... def _(c, x):
    ...     return (lambda x_dot: (x_dot * x).sum(axis=-1),)  # where is the 2?
    >>> check(sum_of_squares, cases=[([np.array([1.0, 2.0])], {})])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    overbar.verify.VerificationError: sum_of_squares fails 3 of 3 checks:
      adjoint: error 5.0e-01, tolerance 1e-11, for case 0: float64 (2,)
      difference: error 5.0e-01, tolerance 1e-07, for case 0: float64 (2,)
      complex step: error 5.0e-01, tolerance 1e-11, for case 0: float64 (2,)
    >>> @sum_of_squares.jvp(replace=True)
    ... def _(c, x):
    ...     return (lambda x_dot: 2 * (x_dot * x).sum(axis=-1),)
    >>> for row in check(sum_of_squares, cases=[([np.array([1.0, 2.0])], {})]):
    ...     print(f"{row.oracle}: {row.note or row.passed}")
    adjoint: True
    difference: True
    complex step: True
    exact: no reference
    """
    if primitive.vjp_rule is None and primitive.jvp_rule is None:
        raise ValueError(
            f"{primitive.name} has no rule to check. Register one with @{primitive.name}.vjp or @{primitive.name}.jvp."
        )
    if cases is None:
        cases = draw_cases(primitive, np.float64 if dtype is None else dtype, batch, rng)
    elif dtype is not None:
        raise TypeError("pass dtype or cases, not both: the arrays of your cases have dtypes of their own.")
    else:
        cases = [c if isinstance(c, Case) else complete(primitive, *c) for c in cases]
    if not cases:
        raise ValueError(f"the sampler of {primitive.name} yields no case: nothing would be checked.")
    unknown = set(tolerances or {}) - set(ORACLES)
    if unknown:
        raise ValueError(
            f"there is no oracle {unknown.pop()!r} to give a tolerance to. There are {', '.join(ORACLES)}."
        )
    rows, failures = [], []
    for n, case in enumerate(cases):
        for name, oracle in ORACLES.items():
            allowed = (tolerances or {}).get(name, tolerance(name, case))
            if allowed is None:
                rows.append(Row(primitive.name, f"case {n}: {case}", name, None, math.inf, "left out"))
                continue
            try:
                error = oracle(primitive, case, rng)
            except Exception as problem:
                problem.add_note(f"This happened in the {name} oracle of overbar.verify, for case {n}: {case}")
                raise
            row = Row(
                primitive.name,
                f"case {n}: {case}",
                name,
                error,
                allowed,
                _NOT_APPLICABLE[name] if error is None else "",
            )
            rows.append(row)
            if not row.passed:
                failures.append(f"  {name}: error {error:.1e}, tolerance {allowed:.0e}, for {row.case}")
    if failures:
        run = sum(row.error is not None for row in rows)
        raise VerificationError(
            f"{primitive.name} fails {len(failures)} of {run} checks:\n" + "\n".join(failures), rows
        )
    return rows
