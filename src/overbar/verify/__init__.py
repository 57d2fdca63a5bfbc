"""How a rule is checked: the adjoint identity, central differences, the complex step, and 50 digits.

The files in here may import `overbar._namespace`, `overbar._primitive` and `overbar.rules`; mpmath only where the exact
oracle needs it; never a framework. `check` runs every oracle on a primitive and is all that an author of a rule has to
call. An oracle is a function of a primitive and a case and returns one number, a relative error. What it takes for the
truth does not depend on the rules, except for the adjoint identity, which asks no more than that the two rules belong
together: both wrong by the same factor, they pass it, and fail the others.

    oracle          truth                                   catches in double precision
    adjoint         ⟨Ȳ, Ẏ⟩ = ⟨X̄, Ẋ⟩                         a relative error of 1e-11 of one rule against the other
    difference      fourth-order differences                1e-7 of either rule
    complex step    Im f(A + ihE)/h, f analytic             1e-11 of either rule
    exact           the primitive's reference in 50 digits  1e-8 of either rule and of the value, entry by entry

Inputs are drawn by the sampler of the primitive (`Draw` is what it draws with). `rule_mutations` makes wrong copies of
a primitive, by which the oracles themselves are tested.
"""

from overbar.verify.arithmetic import Exact
from overbar.verify.checking import ORACLES, TOLERANCE, check, tolerance
from overbar.verify.draw import Case, Draw, call, complete, draw_cases
from overbar.verify.exact import EXACT_ENTRIES, exact_error
from overbar.verify.mutations import Mutation, altered, rule_mutations
from overbar.verify.oracles import STEP, adjoint_error, analytic_arguments, complex_step_error, difference_error
from overbar.verify.point import noise
from overbar.verify.results import Row, VerificationError

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
