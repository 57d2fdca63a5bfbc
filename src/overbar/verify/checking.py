"""`check`: every oracle on a primitive, and what each of them found.

May import NumPy, `overbar._primitive` and its neighbours here.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from overbar._primitive import Primitive
from overbar.verify.draw import Case, complete, draw_cases
from overbar.verify.exact import exact_error
from overbar.verify.oracles import adjoint_error, complex_step_error, difference_error, located
from overbar.verify.results import Row, VerificationError

# Each is far above the rounding that well-conditioned input shows (in brackets) and far below 1e-3, so that a rule off
# by a factor of 1.001 fails. Single precision leaves room for one order of magnitude, double for four at the least.
TOLERANCE = {
    "adjoint": {"double": 1e-11, "single": 3e-5},  # (1e-15; 1e-6): two sums of products of the same numbers
    "difference": {"double": 1e-7, "single": 3e-5},  # (1e-11; 1e-6): what a fourth-order difference with STEP is worth
    "complex step": {"double": 1e-11, "single": 3e-5},  # (1e-15; 1e-6): it subtracts nothing
    "exact": {"double": 1e-8, "single": 3e-5},  # (1e-15; 1e-6): the figure that the project promises is 1e-8 and 1e-3
}

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
        Inputs of your own, in place of those that the sampler draws. Integers may stand where the primitive declares
        them (`integer`).
    tolerances : dict, optional
        A tolerance for an oracle, in place of those in `TOLERANCE`: {"exact": 1e-5} for badly conditioned inputs. None
        leaves the oracle out: {"difference": None} where a step of `STEP` leads out of the domain.

    Returns
    -------
    list of Row
        One for each case and oracle, with the error found, or None and a note where the oracle does not apply (no
        reference: no exact oracle) or has nothing to compare (arrays without entries).

    Raises
    ------
    LinAlgError
        The function does not return what the signature says.
    VerificationError
        An error is above its tolerance. An AssertionError; the message names the case, the oracle, the error and the
        tolerance of each failure, and where it can be told which rule is off, for which argument and output, and
        `.rows` holds all rows. Or what the function or a rule returns is not of the shape and dtype that it must have,
        of which a call shows nothing, as it sums and casts: a bar has the shape of its array, or still the batch
        dimensions to which that was broadcast; a tangent of a real output is real; and values, bars and tangents have
        the precision of the arrays.
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
        the forward rule is off for argument x
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
        raise ValueError(f"{primitive.name} has no rule to check. {primitive.how_to_register('vjp', 'jvp')}")
    if cases is None:
        cases = draw_cases(primitive, np.float64 if dtype is None else dtype, batch, rng)
    elif dtype is not None or batch != ():
        name, own = ("batch", "batch dimensions") if dtype is None else ("dtype", "dtypes")
        raise TypeError(f"pass {name} or cases, not both: the arrays of your cases have {own} of their own.")
    else:
        cases = [c if isinstance(c, Case) else complete(primitive, *c) for c in cases]
    if not cases:
        raise ValueError(f"the sampler of {primitive.name} yields no case: nothing would be checked.")
    unknown = set(tolerances or {}) - set(ORACLES)
    if unknown:
        raise ValueError(
            f"there is no oracle {unknown.pop()!r} to give a tolerance to. There are {', '.join(ORACLES)}."
        )
    rows, failures, wrong = [], [], 0
    for n, case in enumerate(cases):
        so_far = len(failures)
        before = [np.array(a) for a in case.arrays]
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
            note = _NOT_APPLICABLE[name] if error is None else ""
            if error == 0 and all(np.size(a) == 0 for a in case.arrays):
                error, note = None, "the arrays have no entries"
            row = Row(primitive.name, f"case {n}: {case}", name, error, allowed, note)
            rows.append(row)
            if not row.passed:
                failures.append(f"  {name}: error {error:.1e}, tolerance {allowed:.0e}, for {row.case}")
        failed = len(failures) - so_far
        wrong += failed
        if failed:
            limits = [(tolerances or {}).get(name, tolerance(name, case)) for name in ("adjoint", "difference")]
            with contextlib.suppress(Exception):  # which are off is known; where, is an addition
                failures += [f"    {line}" for line in located(primitive, case, limits[0] or math.inf, limits[1], rng)]
        for i, (a, b) in enumerate(zip(case.arrays, before, strict=True)):
            if not np.array_equal(a, b, equal_nan=True):
                raise VerificationError(
                    f"{primitive.name}: the function, or a rule, changes the array that is its argument "
                    f"{primitive.argument(i)}, which is the caller's. Let it work on a copy.",
                    rows,
                )
    if failures:
        run = sum(row.error is not None for row in rows)
        raise VerificationError(f"{primitive.name} fails {wrong} of {run} checks:\n" + "\n".join(failures), rows)
    return rows
