"""The oracles themselves: that each of them catches wrong rules, for every primitive, and that their tools are right.
May import `overbar`.
"""

import doctest
import importlib
import math
import pkgutil
import sys

import numpy as np
import pytest
import scipy.linalg

import overbar
from overbar import verify
from overbar._namespace import mH, mT, namespace
from overbar._primitive import primitive
from overbar.rules import REGISTRY
from overbar.verify import TOLERANCE, Case, Draw, Exact, VerificationError, altered, check, draw_cases
from overbar.verify.draw import stream
from overbar.verify.point import Point

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]

# A wrong rule must not be caught by a hair's breadth: its error is at least so many times the tolerance.
CLEARLY = {"double": 1000, "single": 10}


def worst(oracle, primitive, cases):
    """The largest error that an oracle finds on any of the cases; 0 where it never applies."""
    return max((error for case in cases if (error := oracle(primitive, case)) is not None), default=0.0)


def caught(name, mutation, cases, precision="double"):
    return worst(verify.ORACLES[name], mutation, cases) > CLEARLY[precision] * TOLERANCE[name][precision]


# ---------------------------------------------------------------------------------------------------------------------
# Every oracle catches every wrong rule


@pytest.mark.parametrize("oracle", ["adjoint", "difference", "exact"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_every_mutation_is_caught(primitive, dtype, oracle):
    cases = draw_cases(primitive, dtype)
    names = {m.name for m in verify.rule_mutations(primitive, cases) if caught(oracle, m.primitive, cases)}
    made = {m.name for m in verify.rule_mutations(primitive, cases)}
    assert names == made


@pytest.mark.parametrize("oracle", ["adjoint", "difference", "exact"])
@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.turns(4)
def test_a_factor_is_caught_in_single_precision(primitive, dtype, oracle):
    cases = draw_cases(primitive, dtype)
    mutations = [m for m in verify.rule_mutations(primitive, cases) if "1.001" in m.name]
    assert [m.name for m in mutations if not caught(oracle, m.primitive, cases, "single")] == []


def test_complex_step_catches_a_factor_in_each_analytic_argument(primitive):
    cases = draw_cases(primitive)
    analytic = {name for case in cases for name in verify.analytic_arguments(primitive, case)} - set(primitive.integer)
    every = [m for m in verify.rule_mutations(primitive, cases) if "transposed" not in m.name]
    mutations = [m for m in every if any(f" of {name} " in m.name for name in analytic)]
    assert len(mutations) == 6 * len(analytic)  # three factors in each of two rules
    assert [m.name for m in mutations if not caught("complex step", m.primitive, cases)] == []


def test_every_primitive_has_mutations_of_both_rules(primitive):
    names = [m.name for m in verify.rule_mutations(primitive)]
    for i in range(len(draw_cases(primitive)[0].arrays)):
        if primitive.argument(i) in primitive.integer:  # a constant to both rules
            continue
        for label in ("times 1.001", "times 1/2", "with the wrong sign"):
            assert f"bar of {primitive.argument(i)} {label}" in names
            assert f"tangent's term of {primitive.argument(i)} {label}" in names


def test_a_mutation_leaves_the_primitive_alone(primitive):
    before = dict(vars(primitive))
    for m in verify.rule_mutations(primitive):
        assert m.primitive is not primitive
    assert vars(primitive) == before


def test_conjugation_and_transposition_are_among_the_mutations():
    names = {m.name for m in verify.rule_mutations(REGISTRY["inv_congruence"], draw_cases(REGISTRY["inv_congruence"]))}
    assert "bar of A transposed" in names
    assert "bar of A conjugated" not in names  # real
    assert "bar of B transposed" not in names  # not square
    cases = draw_cases(REGISTRY["inv_congruence"], np.complex128)
    names = {m.name for m in verify.rule_mutations(REGISTRY["inv_congruence"], cases)}
    assert {"bar of A transposed", "bar of A conjugated", "bar of B conjugated"} <= names


def test_a_bar_counts_by_its_hermitian_part():
    names = {m.name for m in verify.rule_mutations(REGISTRY["cholesky"])}
    assert "bar of A transposed" not in names
    names = {m.name for m in verify.rule_mutations(REGISTRY["cholesky"], draw_cases(REGISTRY["cholesky"], complex))}
    assert "bar of A transposed" in names


def test_both_rules_off_by_the_same_factor_pass_the_adjoint_identity_only(primitive):
    def scale(mutations, start):
        (found,) = [m.primitive for m in mutations if m.name.startswith(start) and m.name.endswith("1.001")]
        return found

    several = len(draw_cases(primitive)[0].arrays) > 1
    starts = ("every bar", "every term") if several else ("bar of", "tangent's term of")
    both = scale(verify.rule_mutations(primitive), starts[0])
    both = scale(verify.rule_mutations(both), starts[1])
    cases = draw_cases(primitive)
    assert worst(verify.adjoint_error, both, cases) < TOLERANCE["adjoint"]["double"]
    assert caught("difference", both, cases)
    assert caught("exact", both, cases)
    if any(verify.analytic_arguments(primitive, case) for case in cases):
        assert caught("complex step", both, cases)


def test_a_wrong_value_is_caught_by_the_exact_oracle_only(primitive):
    """Function and rules times 1.001 are right together: nothing but the reference can tell."""
    wrong = altered(primitive, function=lambda *args, **options: _times(primitive.function(*args, **options), 1.001))
    cases = draw_cases(primitive)
    assert caught("exact", wrong, cases)


def _times(outputs, factor):
    if not isinstance(outputs, tuple):
        return factor * outputs
    return tuple(factor * out if out.dtype.kind in "fc" else out for out in outputs)  # pivots stay integers


# ---------------------------------------------------------------------------------------------------------------------
# Mistakes that are easily made


def changed(name, **rules):
    return altered(REGISTRY[name], **{f"{mode}_rule": rule for mode, rule in rules.items()})


def test_cholesky_with_tril_for_phi_is_caught():
    def jvp(L, A, *, upper, **options):
        L = mH(L) if upper else L

        def L_dot(A_dot):
            inverse = np.linalg.inv(L)
            L_dot = L @ np.tril(inverse @ A_dot @ mH(inverse))  # the diagonal is not halved
            return mH(L_dot) if upper else L_dot

        return (L_dot,)

    wrong, cases = changed("cholesky", jvp=jvp), draw_cases(REGISTRY["cholesky"])
    for oracle in ("adjoint", "difference", "exact"):
        assert caught(oracle, wrong, cases)


def test_a_transpose_in_the_place_of_an_adjoint_is_caught_by_complex_input_only():
    def vjp(C_bar, C, A, B):
        return lambda: C_bar @ B.mT, lambda: A.mT @ C_bar

    wrong = changed("matmul", vjp=vjp)
    for oracle in ("adjoint", "difference", "exact"):
        assert not caught(oracle, wrong, draw_cases(wrong))
        assert caught(oracle, wrong, draw_cases(wrong, np.complex128))


def test_a_hidden_output_whose_cotangent_is_forgotten_is_caught():
    """Harmless in a first derivative, and the second one silently wrong."""
    right = REGISTRY["inv_congruence"]

    def vjp(bars, outputs, A, B):
        C_bar, _ = bars
        if C_bar is None:
            return lambda: np.zeros_like(A), lambda: np.zeros_like(B)
        return right.vjp_rule((C_bar, None), outputs, A, B)

    wrong, cases = changed("inv_congruence", vjp=vjp), draw_cases(right)
    assert caught("adjoint", wrong, cases)
    assert caught("difference", wrong, cases)


def test_a_small_wrong_part_beside_a_large_right_one_is_caught():
    """Each input moves by itself, so that A, a million times smaller, cannot hide behind B."""

    def vjp(C_bar, C, A, B):
        return lambda: 1.001 * C_bar, lambda: C_bar

    wrong = changed("add", vjp=vjp)
    cases = [Case((1e-6 * np.ones(3), np.arange(1.0, 4.0)))]
    assert caught("adjoint", wrong, cases)


def test_rules_that_are_not_a_number_are_caught():
    def vjp(C_bar, C, A):
        return (lambda: C_bar * np.nan,)

    wrong = changed("exp", vjp=vjp)
    for oracle in ("adjoint", "difference", "complex step", "exact"):
        assert worst(verify.ORACLES[oracle], wrong, draw_cases(wrong)) == math.inf


def test_a_bar_for_the_triangle_that_is_not_read_is_caught():
    def vjp(X_bar, X, L, B, *, upper):
        L_bar, B_bar = REGISTRY["cho_solve"].vjp_rule(X_bar, X, L, B, upper=upper)
        return lambda: L_bar() + mH(L_bar()), B_bar

    wrong = changed("cho_solve", vjp=vjp)
    for oracle in ("adjoint", "difference", "exact"):
        assert caught(oracle, wrong, draw_cases(wrong))


# ---------------------------------------------------------------------------------------------------------------------
# Where an oracle applies, and what it does with unusual cases


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("matmul", [{"A", "B"}]),
        ("cholesky", [set(), set()]),
        ("cho_logdet", [set(), set()]),
        ("cho_solve", [{"B"}] * 4),
        ("power", [{"A", "p"}]),
    ],
)
def test_the_complex_step_finds_where_a_function_is_analytic(name, expected):
    found = [set(verify.analytic_arguments(REGISTRY[name], case)) for case in draw_cases(REGISTRY[name])]
    assert found == expected


def test_solve_triangular_is_analytic_in_its_matrix_unless_it_takes_the_adjoint():
    for case in draw_cases(REGISTRY["solve_triangular"]):
        analytic = verify.analytic_arguments(REGISTRY["solve_triangular"], case)
        assert ("A" in analytic) is not case.options["adjoint"]
        assert "B" in analytic


def test_the_complex_step_does_not_apply_where_it_is_rounded_away():
    @overbar.primitive("(n)->(n)")
    def turned_to_and_fro(x):
        turn = np.exp(1j) if x.dtype.kind == "c" else 1  # as a complex Schur decomposition turns real vectors
        return x * turn * np.conj(turn)

    turned_to_and_fro.jvp(lambda y, x: (lambda x_dot: x_dot,))
    turned_to_and_fro.samples(lambda case: iter([case(case.normal(5))]))
    (case,) = draw_cases(turned_to_and_fro)
    assert verify.analytic_arguments(turned_to_and_fro, case) == []
    assert verify.complex_step_error(turned_to_and_fro, case) is None
    assert verify.difference_error(turned_to_and_fro, case) < 1e-9


def test_the_complex_step_does_not_apply_where_nothing_is_analytic_or_arrays_are_complex():
    (case, *_) = draw_cases(REGISTRY["cholesky"])
    assert verify.complex_step_error(REGISTRY["cholesky"], case) is None
    (case,) = draw_cases(REGISTRY["exp"], np.complex128)
    assert verify.complex_step_error(REGISTRY["exp"], case) is None


def test_the_complex_step_does_not_apply_to_a_function_that_refuses_complex_numbers():
    @overbar.primitive("()->()")
    def cbrt(A):
        return np.cbrt(A)

    @cbrt.derivative
    def _(C, A):
        return 1 / (3 * C * C)

    case = Case((np.array([1.0, 2.0]),))
    assert verify.analytic_arguments(cbrt, case) == []
    assert verify.complex_step_error(cbrt, case) is None


@pytest.mark.parametrize("batch", [(), (3,), (2, 1, 4), (0,), [(3, 1), (4,), ()]], ids=str)
@pytest.mark.parametrize("name", ["cholesky", "matmul", "reshape", "cho_solve", "multiply"])
def test_the_exact_oracle_catches_a_factor_in_a_batch(name, batch):
    right = REGISTRY[name]
    cases = draw_cases(right, batch=batch)
    assert worst(verify.exact_error, right, cases) < TOLERANCE["exact"]["double"]
    for m in verify.rule_mutations(right, cases):
        assert caught("exact", m.primitive, cases), m.name
    if batch == (0,):
        assert not list(verify.rule_mutations(right, cases))  # nothing there that could be wrong


def test_the_exact_oracle_takes_random_directions_in_a_large_matrix():
    n = 12
    assert n * n > verify.EXACT_ENTRIES
    right, case = REGISTRY["cholesky"], Case((Draw().positive_definite(n),))
    assert verify.exact_error(right, case) < TOLERANCE["exact"]["double"]
    for m in verify.rule_mutations(right, [case]):
        assert caught("exact", m.primitive, [case]), m.name


def test_the_exact_oracle_measures_a_rule_in_single_precision_against_its_own_input():
    (case,) = draw_cases(REGISTRY["exp"], np.float32)
    assert 1e-9 < verify.exact_error(REGISTRY["exp"], case) < 1e-6


def test_an_output_without_derivative_is_left_out():
    @overbar.primitive("(n)->(),()")
    def largest(x):
        return x.max(axis=-1), x.argmax(axis=-1)

    @largest.vjp
    def _(bars, outputs, x):
        return (lambda: np.where(np.arange(x.shape[-1]) == outputs[1][..., None], bars[0][..., None], 0),)

    @largest.jvp
    def _(outputs, x):
        index = outputs[1][..., None]
        return (lambda x_dot: (np.take_along_axis(x_dot, index, -1)[..., 0], np.zeros_like(outputs[1])),)

    @largest.reference
    def _(mp, x):
        return x.max(), x.argmax()

    cases = [Case((np.array([1.0, 3.0, 2.0]),))]
    assert len(check(largest, cases=cases)) == 4
    for m in verify.rule_mutations(largest, cases):
        for oracle in ("adjoint", "difference", "exact"):
            assert caught(oracle, m.primitive, cases)


def test_a_derivative_that_vanishes_is_no_error():
    @overbar.primitive("(n)->()")
    def ignores_its_input(x):
        return 1 + 0 * namespace(x).sum(x, axis=-1)

    @ignores_its_input.vjp
    def _(c_bar, c, x):
        return (lambda: 1e-17 * np.ones_like(x),)

    @ignores_its_input.jvp
    def _(c, x):
        return (lambda x_dot: -1e-17 * namespace(x).sum(x_dot, axis=-1),)

    check(ignores_its_input, cases=[([np.array([1.0, 2.0])], {})], tolerances={"adjoint": 2.0})
    with pytest.raises(VerificationError, match="adjoint"):  # two zeros with opposite signs are no adjoint pair
        check(ignores_its_input, cases=[([np.array([1.0, 2.0])], {})])


# ---------------------------------------------------------------------------------------------------------------------
# check


def sum_of_squares():
    @overbar.primitive("(n)->()")
    def sum_of_squares(x):
        return namespace(x).sum(x * x, axis=-1)

    @sum_of_squares.vjp
    def _(c_bar, c, x):
        return (lambda: 2 * c_bar[..., None] * namespace(x).conj(x),)

    @sum_of_squares.jvp
    def _(c, x):
        return (lambda x_dot: 2 * namespace(x).sum(x * x_dot, axis=-1),)

    @sum_of_squares.samples
    def _(case):
        yield case(case.normal(3))
        yield case(case.normal(5))

    @sum_of_squares.reference
    def _(mp, x):
        return (x * x).sum()

    return sum_of_squares


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_right_primitive_of_a_user_passes_every_oracle(dtype):
    rows = check(sum_of_squares(), dtype)
    assert [(row.case.split(":")[0], row.oracle) for row in rows] == [
        (f"case {n}", oracle) for n in (0, 1) for oracle in ("adjoint", "difference", "complex step", "exact")
    ]
    for row in rows:
        if row.oracle == "complex step" and np.dtype(dtype).kind == "c":
            assert row.error is None
            assert row.note == "complex arrays, or not analytic"
        else:
            assert 0 <= row.error <= row.tolerance
            assert row.note == ""


def test_the_oracle_that_fails_is_named_with_case_error_and_tolerance():
    wrong = sum_of_squares()

    @wrong.jvp(replace=True)
    def _(c, x):
        return (lambda x_dot: namespace(x).sum(x * x_dot, axis=-1),)

    with pytest.raises(VerificationError) as caught_error:
        check(wrong)
    message = str(caught_error.value)
    assert message.startswith("sum_of_squares fails 8 of 8 checks:\n")
    assert "\n  difference: error 5.0e-01, tolerance 1e-07, for case 1: float64 (5,)" in message
    assert isinstance(caught_error.value, AssertionError)
    rows = caught_error.value.rows
    assert len(rows) == 8
    assert not any(row.passed for row in rows)
    assert str(rows[0]) == "sum_of_squares(case 0: float64 (3,)): adjoint error 5.0e-01 > 1e-11"


def test_only_the_oracles_that_fail_are_named():
    wrong = sum_of_squares()
    both = [("vjp", 3.0), ("jvp", 3.0)]
    for rule, factor in both:
        old = getattr(wrong, f"{rule}_rule")
        setattr(wrong, f"{rule}_rule", lambda *a, old=old, s=factor: tuple(lambda *t, f=f: s * f(*t) for f in old(*a)))
    with pytest.raises(VerificationError) as caught_error:
        check(wrong)
    failed = {row.oracle for row in caught_error.value.rows if not row.passed}
    assert failed == {"difference", "complex step", "exact"}
    assert "adjoint" not in str(caught_error.value)


def test_without_a_sampler_cases_are_asked_for_and_taken():
    mine = sum_of_squares()
    mine.sampler = None
    with pytest.raises(ValueError, match=r"sum_of_squares does not say how to draw.*@sum_of_squares\.samples.*cases="):
        check(mine)
    rows = check(mine, cases=[([np.array([1.0, 2.0])], {}), Case((np.ones((2, 3), np.float32),))])
    assert [row.tolerance for row in rows if row.oracle == "exact"] == [1e-8, 3e-5]


def test_without_a_reference_the_exact_oracle_says_so():
    mine = sum_of_squares()
    mine.exact = None
    rows = [row for row in check(mine) if row.oracle == "exact"]
    assert [(row.error, row.note) for row in rows] == [(None, "no reference")] * 2
    assert str(rows[0]) == "sum_of_squares(case 0: float64 (3,)): exact does not apply (no reference)"


@pytest.mark.parametrize("rule", ["vjp", "jvp"])
def test_one_rule_alone_is_checked_without_the_adjoint_identity(rule):
    mine = sum_of_squares()
    setattr(mine, f"{rule}_rule", None)
    rows = check(mine)
    assert {row.oracle: row.note for row in rows} == {
        "adjoint": "it needs both rules",
        "difference": "",
        "complex step": "",
        "exact": "",
    }
    for m in verify.rule_mutations(mine):
        with pytest.raises(VerificationError):
            check(m.primitive)


def test_without_any_rule_there_is_nothing_to_check():
    mine = sum_of_squares()
    mine.vjp_rule = mine.jvp_rule = None
    with pytest.raises(ValueError, match="sum_of_squares has no rule to check"):
        check(mine)


def test_a_sampler_that_yields_nothing_is_an_error():
    mine = sum_of_squares()
    mine.samples(lambda case: iter(()))
    with pytest.raises(ValueError, match="yields no case"):
        check(mine)


def test_a_bar_of_the_wrong_shape_is_an_error():
    mine = sum_of_squares()
    mine.vjp(lambda c_bar, c, x: (lambda: c_bar,), replace=True)
    with pytest.raises((VerificationError, ValueError)) as caught_error:
        check(mine)
    assert any("adjoint oracle" in note for note in caught_error.value.__notes__)


def square(**rules):
    """A @ A with its rules, or with those given."""

    @primitive("(n,n)->(n,n)")
    def square(A):
        return rules.get("value", lambda A: A @ A)(A)

    square.vjp(rules.get("vjp", lambda C_bar, C, A: (lambda: C_bar @ mH(A) + mH(A) @ C_bar,)))
    square.jvp(rules.get("jvp", lambda C, A: (lambda A_dot: A_dot @ A + A @ A_dot,)))
    return square


def _double(A):
    return A.astype(np.complex128 if A.dtype.kind == "c" else np.float64)


# What a sweep would sum and cast, so that no number shows it: the message, and what is wrong.
RETURNED = {
    "a value of another precision": (r"value of output 0 has dtype \w+(64|128)", {"value": lambda A: _double(A @ A)}),
    "a bar of another precision": (
        r"bar of argument A has dtype \w+(64|128)",
        {"vjp": lambda C_bar, C, A: (lambda: _double(C_bar @ mH(A) + mH(A) @ C_bar),)},
    ),
    "a bar of integers": (
        "bar of argument A has dtype int64",
        {"vjp": lambda C_bar, C, A: (lambda: np.ones((3, 3), int),)},
    ),
    "a bar with a dimension in front": (
        r"its bar has shape \(1, 3, 3\)",
        {"vjp": lambda C_bar, C, A: (lambda: (C_bar @ mH(A) + mH(A) @ C_bar)[None],)},
    ),
    "a tangent of another precision": (
        r"tangent of output 0 has dtype \w+(64|128)",
        {"jvp": lambda C, A: (lambda A_dot: _double(A_dot @ A + A @ A_dot),)},
    ),
    "a tangent of another precision, of all arrays at once": (
        r"tangent of output 0 has dtype \w+(64|128)",
        {"jvp": lambda C, A: lambda A_dot: _double(A_dot @ A + A @ A_dot)},
    ),
}


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize("what", RETURNED)
def test_what_the_function_and_the_rules_return_is_looked_at(what, dtype):
    message, rules = RETURNED[what]
    A = Draw(dtype=dtype).normal(3, 3)
    assert all(row.passed for row in check(square(), cases=[([A], {})]))
    with pytest.raises(VerificationError, match=rf"^square: .*{message}"):
        check(square(**rules), cases=[([A], {})])


def test_a_complex_tangent_of_a_real_output_is_an_error():
    @primitive("(n)->()")
    def squared_length(x):
        return (x * x.conj()).real.sum(axis=-1)

    squared_length.jvp(lambda c, x: (lambda x_dot: 2 * (x.conj() * x_dot).sum(axis=-1),))
    cases = [([Draw(dtype=np.complex128).normal(3)], {})]
    with pytest.raises(VerificationError, match="output 0 has dtype float64, but its tangent has dtype complex128"):
        check(squared_length, cases=cases)


def test_what_a_rule_may_leave_to_the_sweep_passes():
    """A bar in the shape to which its array broadcasts, complex where the array is real; a tangent that broadcasts; and
    of arrays in two precisions the bar in the wider one."""

    @primitive("(n),(n)->(n)")
    def product(x, y):
        return x * y

    product.vjp(lambda c_bar, c, x, y: (lambda: c_bar * y.conj(), lambda: c_bar * x.conj()))
    product.jvp(lambda c, x, y: (lambda x_dot: x_dot * y, lambda y_dot: x * y_dot))
    single, double = Draw(0, np.float32), Draw(1, np.complex128, (4,))
    for arrays in ([single.normal(3), double.normal(3)], [double.normal(1), double.normal(1)[:1]]):
        assert all(row.passed for row in check(product, cases=[(arrays, {})], tolerances={"adjoint": 3e-5}))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (2,), [(3, 1), (2,)]], ids=str)
def test_what_every_primitive_returns_passes(primitive, dtype, batch):
    for case in draw_cases(primitive, dtype, batch):
        at = Point(primitive, case)
        dots, rng = at.tangents(stream(0)), stream(1)
        for moved in at.moves():
            at.push([dot if i in moved else None for i, dot in enumerate(dots)])
        for chosen in at.subsets():
            at.pull(at.cotangents(rng, chosen))


def test_integers_that_a_primitive_declares_may_stand_in_cases():
    A = Draw().square(3)
    for adjoint in (False, True):
        rows = check(overbar.lu_solve, cases=[([*overbar.lu_factor(A), A[:2].T], {"adjoint": adjoint})])
        assert all(row.passed for row in rows)
        assert any(row.error is not None for row in rows)
    with pytest.raises(TypeError, match="B has dtype int64"):
        check(overbar.lu_solve, cases=[([*overbar.lu_factor(A), np.ones((3, 2), int)], {})])


def test_what_a_rule_raises_says_where_it_happened():
    mine = sum_of_squares()

    @mine.jvp(replace=True)
    def _(c, x):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught_error:
        check(mine)
    assert caught_error.value.__notes__ == [
        "Raised in the forward rule of sum_of_squares.",
        "This happened in the adjoint oracle of overbar.verify, for case 0: float64 (3,)",
    ]


def test_a_reference_of_the_wrong_shape_is_an_error():
    mine = sum_of_squares()
    mine.reference(lambda mp, x: x)
    with pytest.raises(VerificationError, match=r"reference returns arrays of shape \[\(3,\)\], the function \[\(\)\]"):
        check(mine)


def test_tolerances_can_be_set_by_name():
    mine = sum_of_squares()
    mine.jvp(lambda c, x: (lambda x_dot: 2.002 * namespace(x).sum(x * x_dot, axis=-1),), replace=True)
    loose = dict.fromkeys(verify.ORACLES, 0.01)
    assert len(check(mine, tolerances=loose)) == 8
    with pytest.raises(VerificationError, match="fails 2 of 8 checks"):
        check(mine, tolerances=loose | {"exact": 1e-4})
    rows = check(mine, tolerances=loose | {"exact": None})
    assert [row.note for row in rows if row.error is None] == ["left out"] * 2
    with pytest.raises(ValueError, match="no oracle 'exakt'"):
        check(mine, tolerances={"exakt": 1})


def test_dtype_and_cases_exclude_each_other():
    with pytest.raises(TypeError, match="dtype or cases"):
        check(sum_of_squares(), np.float32, cases=[([np.ones(2)], {})])


def test_vectors_in_the_place_of_matrices_are_checked_too():
    rows = check(REGISTRY["matmul"], cases=[([np.ones(3), np.ones((3, 2))], {}), ([np.ones((2, 3)), np.ones(3)], {})])
    assert len(rows) == 8


def test_the_examples_in_the_docstrings_are_right():
    modules = [
        importlib.import_module(f"overbar.verify.{name}") for _, name, _ in pkgutil.iter_modules(verify.__path__)
    ]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) >= 15
    assert not any(result.failed for result in results)


# ---------------------------------------------------------------------------------------------------------------------
# Draw

KINDS = ["normal", "positive", "hermitian", "symmetric", "positive_definite", "square", "lower", "upper"]


def drawn(draw, kind, n=4):
    return getattr(draw, kind)(*((n, n) if kind in ("normal", "positive") else (n,)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (3,), (2, 1, 4)], ids=str)
def test_arrays_have_the_dtype_and_the_batch_in_front(kind, dtype, batch):
    A = drawn(Draw(0, dtype, batch), kind)
    assert A.dtype == dtype
    assert A.shape == (*batch, 4, 4)
    assert len(np.unique(np.abs(A.reshape(-1, 16)).sum(-1))) == math.prod(batch)  # no matrix twice


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_draws_the_same(kind):
    assert np.array_equal(drawn(Draw(5), kind), drawn(Draw(5), kind))
    assert not np.array_equal(drawn(Draw(5), kind), drawn(Draw(6), kind))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [0, 1, 2, 60])
def test_sizes_from_none_to_large(kind, n):
    for dtype in (np.float64, np.complex128):
        assert drawn(Draw(0, dtype), kind, n).shape == (n, n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [3, 40])
def test_drawn_matrices_are_what_they_say(dtype, n):
    draw = Draw(1, dtype, (5,))
    for kind in ("hermitian", "symmetric", "positive_definite"):
        A = drawn(draw, kind, n)
        assert np.array_equal(A, np.conj(A.mT))
    assert (np.linalg.eigvalsh(draw.positive_definite(n)) > 0.1).all()
    L, U = draw.lower(n), draw.upper(n)
    assert np.array_equal(L, np.tril(L))
    assert np.array_equal(U, np.triu(U))
    for T in (L, U):
        diagonal = np.diagonal(T, 0, -2, -1)
        assert (diagonal.imag == 0).all()
        assert (diagonal.real > 0).all()
    positive = draw.positive(n, n)
    assert (positive.real > 0).all()
    assert (abs(positive) > 0.49).all()
    assert (abs(positive) < 2.01).all()
    assert np.iscomplexobj(positive) == (positive.imag != 0).any()


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("n", [2, 4, 40])
def test_drawn_matrices_are_well_conditioned_but_not_diagonal(dtype, n):
    draw = Draw(2, dtype, (10,))
    A, L = draw.square(n), draw.lower(n)
    for M in (A, np.tril(A), np.triu(A), draw.positive_definite(n), L, np.tril(L, -1) + np.eye(n)):
        condition = np.linalg.cond(M)
        assert (condition < 31).all()
        assert condition.max() > 2
        off = M - M * np.eye(n)
        assert (np.linalg.norm(off, axis=(-2, -1)).max() > 0.3 * np.linalg.norm(M * np.eye(n), axis=(-2, -1))).any()


def test_batch_shapes_are_handed_out_in_turn():
    draw = Draw(0, batch=[(3, 1), (4,), ()])
    A, B, C, D = draw.normal(2), draw.lower(3), draw.positive(), draw.normal(1)
    for _ in range(2):  # each case begins again
        case = draw(A, B, C, D, flag=True)
        assert [a.shape for a in case.arrays] == [(3, 1, 2), (4, 3, 3), (), (3, 1, 1)]
        assert case.options == {"flag": True}
        assert np.array_equal(case.arrays[0][:, 0], A[:, 0])
        assert np.array_equal(case.arrays[1], B[0])


def test_an_empty_batch_is_cut_from_one_that_is_not():
    draw = Draw(0, batch=(0, 2))
    (A,) = draw(draw.positive_definite(3)).arrays
    assert A.shape == (0, 2, 3, 3)
    draw = Draw(0, batch=[(0,), (), (1,)])
    assert [a.shape for a in draw(draw.normal(), draw.normal(2), draw.normal(3)).arrays] == [(0,), (2,), (1, 3)]


def test_batch_shapes_that_do_not_broadcast_are_refused():
    for batch in ([(3,), (4,)], [(0,), (3,)]):
        with pytest.raises(ValueError, match="broadcast"):
            Draw(0, batch=batch)


def test_an_array_without_the_batch_is_refused_with_the_remedy():
    draw = Draw(0, batch=(3,))
    with pytest.raises(ValueError, match=r"array 1 of a case has shape \(2, 2\).*case\.normal"):
        draw(draw.normal(2), np.eye(2))


@pytest.mark.parametrize("dtype", [int, bool, np.float16, object])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="float32, float64, complex64 or complex128"):
        Draw(0, dtype)


def test_functions_of_whole_arrays_get_one_batch_and_are_told_of_it():
    for case in draw_cases(REGISTRY["concatenate"], batch=[(3, 1), (4,)]):
        assert case.options["batch_ndim"] == 2
        assert {a.shape[:2] for a in case.arrays} == {(3, 4)}


def test_options_are_completed():
    (case,) = draw_cases(REGISTRY["matmul"])
    assert case.options == {}
    assert draw_cases(REGISTRY["solve_triangular"])[0].options == {
        "upper": False,
        "left": True,
        "unitriangular": False,
        "adjoint": False,
    }


# ---------------------------------------------------------------------------------------------------------------------
# Exact


@pytest.fixture
def mp():
    return Exact(50)


def test_floats_go_in_without_rounding_and_come_back(mp):
    for dtype in DTYPES:
        A = Draw(0, dtype).normal(3, 2)
        assert np.array_equal(mp.float(mp.array(A)).astype(dtype), A)
    assert mp.array(0.1)[()] != mp.context.mpf("0.1")  # the double nearest to 1/10
    assert mp.float(mp.array(np.float32(0.1))) == np.float64(np.float32(0.1))
    assert mp.float(mp.array(np.zeros((0, 2)))).shape == (0, 2)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "cos", "tanh", "sinh"])
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_functions_are_applied_to_each_entry(mp, name, dtype):
    A = Draw(0, dtype).positive(3, 2)
    found = getattr(mp, name)(mp.array(A))
    assert found.dtype == object
    np.testing.assert_allclose(mp.float(found), getattr(np, name)(A), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_rest_agrees_with_numpy(mp, dtype):
    draw = Draw(3, dtype)
    A, B, x = draw.square(4), draw.positive(4, 4), draw.normal(4)
    a, b = mp.array(A), mp.array(B)
    close = lambda found, expected: np.testing.assert_allclose(mp.float(found), expected, rtol=1e-12)  # noqa: E731
    close(a @ b + 2 * a - b / 3, A @ B + 2 * A - B / 3)
    close(mp.power(b, a), B**A)
    close(mp.power(b, 2), B**2)
    close(mp.conj(a), A.conj())
    close(mp.real(a), A.real)
    close(mp.imag(a), A.imag)
    close(mp.abs(a), abs(A))
    close(mp.mT(a), A.T)
    close(mp.mH(a), A.conj().T)
    for k in (-1, 0, 2):
        close(mp.tril(a, k), np.tril(A, k))
        close(mp.triu(a, k), np.triu(A, k))
    close(mp.zeros((2, 3)), np.zeros((2, 3)))
    close(mp.eye(3), np.eye(3))
    close(mp.det(a), np.linalg.det(A))
    close(mp.inverse(a), np.linalg.inv(A))
    close(mp.solve(a, b), np.linalg.solve(A, B))
    close(mp.solve(a, mp.array(x)), np.linalg.solve(A, x))
    close(mp.inner(a, b), np.vdot(A, B).real)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_linear_algebra_has_all_the_digits(mp, dtype):
    draw = Draw(3, dtype)
    a, p = mp.array(draw.square(5)), mp.array(draw.positive_definite(5))
    residuals = [mp.cholesky(p) @ mp.mH(mp.cholesky(p)) - p, a @ mp.inverse(a) - mp.eye(5), a @ mp.solve(a, p) - p]
    for residual in residuals:
        assert max(abs(r) for r in residual.flat) < mp.context.mpf(10) ** -47
    assert mp.cholesky(p)[0, 1] == 0


def test_elimination_changes_rows_where_it_must(mp):
    A = np.array([[0.0, 2.0, 1.0], [1.0, 0.0, 0.0], [3.0, 0.0, 1.0]])
    assert mp.det(mp.array(A)) == -2
    assert np.linalg.det(A) == pytest.approx(-2)
    permuted = scipy.linalg.lu(A)[0].T @ A
    assert mp.float(mp.det(mp.array(permuted))) == pytest.approx(np.linalg.det(permuted))


def test_inputs_of_linear_algebra_stay_as_they_were(mp):
    A = Draw(0).square(3)
    a = mp.array(A)
    mp.solve(a, a), mp.det(a), mp.cholesky(a @ mp.mT(a)), mp.tril(a)[0].fill(7)
    assert np.array_equal(mp.float(a), A)


def test_nobody_elses_precision_changes(mp):
    mpmath = pytest.importorskip("mpmath")
    before = mpmath.mp.dps
    Exact(80)
    assert mpmath.mp.dps == before
    assert mp.context.dps == 50


def test_without_mpmath_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "mpmath", None)
    with pytest.raises(ImportError, match=r'pip install "overbar\[test\]"'):
        Exact()


def test_check_draws_tangents_apart_from_inputs():
    # a rule that is right only along the input itself, as one stream for both would have tested it
    @primitive("(n,k),(k)->(n,n)")
    def weighted_gram(X, w):
        return (X * w[..., None, :]) @ mT(X)

    @weighted_gram.vjp
    def _(C_bar, C, X, w):
        xp = namespace(X)
        return lambda: 2 * C_bar @ (X * w[..., None, :]), lambda: xp.sum(X * (C_bar @ X), axis=-2)

    @weighted_gram.jvp
    def _(C, X, w):
        return (
            lambda X_dot: (X_dot * w[..., None, :]) @ mT(X) + (X * w[..., None, :]) @ mT(X_dot),
            lambda w_dot: (X * w_dot[..., None, :]) @ mT(X),
        )

    @weighted_gram.samples
    def _(case):
        yield case(case.normal(4, 3), case.normal(3))

    with pytest.raises(VerificationError, match="difference"):
        check(weighted_gram)


@pytest.mark.parametrize("shape", [(0, 0), (0, 3, 3)])
def test_a_case_without_entries_says_that_nothing_was_compared(shape):
    rows = verify.check(overbar.cholesky, cases=[([np.zeros(shape)], {})])
    assert len(rows) == len(verify.ORACLES)
    assert all(row.error is None and "the arrays have no entries" in str(row) for row in rows)
    rows = verify.check(overbar.cholesky, cases=[([np.eye(2)], {})])
    assert not any("no entries" in row.note for row in rows)
    assert any(row.error is not None for row in rows)


def test_inputs_from_the_seed_of_the_check_are_not_its_directions():
    """With a tangent that is the input itself, this wrong rule is right."""

    @overbar.primitive("(n,n)->(n,n)")
    def square(A):
        return A @ A

    square.vjp(lambda C_bar, C, A: (lambda: 2 * overbar.mH(A) @ C_bar,))
    square.jvp(lambda C, A: (lambda A_dot: 2 * A @ A_dot,))
    for seed in range(3):
        A = np.random.default_rng(seed).standard_normal((3, 3))
        with pytest.raises(VerificationError, match="difference"):
            check(square, rng=seed, cases=[([A], {})])


@pytest.mark.parametrize("kind", ["vjp", "jvp"])
@pytest.mark.parametrize("hidden", [0, 1])
def test_writing_into_the_value_is_seen(kind, hidden):
    """It is the array that the caller holds. So are intermediates those of further derivatives. (The rule is right the
    first time, and each oracle has a value of its own.)"""
    outputs = ",".join(["(n)"] * (1 + hidden))
    square = overbar.primitive(f"(n)->{outputs}", residuals=hidden)(lambda x: (x * x, 2 * x) if hidden else x * x)

    def scaled(y, x):
        if hidden:
            return y[1].__imul__(1.0 + (y[1] != 0)) / 2
        return y.__imul__(2.0) / x

    def slope(y, x):
        return y[1] if hidden else 2 * y / np.where(x == 0, 1, x)

    rules = {"vjp": slope, "jvp": slope, kind: scaled}
    square.vjp(lambda bar, y, x: (lambda: bar * rules["vjp"](y, x),))
    square.jvp(lambda y, x: (lambda x_dot: x_dot * rules["jvp"](y, x),))
    rule = {"vjp": "reverse rule", "jvp": "forward rule"}[kind]
    whose = "further derivatives need" if hidden else "the caller's"
    with pytest.raises(VerificationError, match=rf"the {rule}, .*\.{kind}, changes output {hidden}, which .*{whose}"):
        check(square, cases=[([np.array([1.0, 2.0])], {})])


def test_a_rule_that_gives_a_number_is_named_by_check():
    double = overbar.primitive("(n)->(n)")(lambda x: 2 * x)
    double.vjp(lambda bar, y, x: (lambda: 2 * bar,))
    double.jvp(lambda y, x: (lambda x_dot: 0.0,))
    with pytest.raises(TypeError, match=r"forward rule.*number 0.0 as the tangent of output 0, for argument x"):
        check(double, cases=[([np.array([1.0, 2.0])], {})])
    double.vjp(lambda bar, y, x: (lambda: 0.0,), replace=True)
    double.jvp(lambda y, x: (lambda x_dot: 2 * x_dot,), replace=True)
    with pytest.raises(TypeError, match=r"reverse rule.*number 0.0 as the bar of argument x.*zeros_like"):
        check(double, cases=[([np.array([1.0, 2.0])], {})])


def test_writing_into_an_argument_is_seen():
    double = overbar.primitive("(n)->(n)")(lambda x: x.__imul__(2))
    double.vjp(lambda bar, y, x: (lambda: 2 * bar,))
    double.jvp(lambda y, x: (lambda x_dot: 2 * x_dot,))
    with pytest.raises(VerificationError, match="changes the array that is its argument x"):
        check(double, cases=[([np.ones(3)], {})])


def test_a_batch_beside_cases_is_refused():
    with pytest.raises(TypeError, match="pass batch or cases, not both"):
        check(overbar.det, batch=(2,), cases=[([np.eye(2)], {})])


WRONG = {
    # name: bar of B, tangent of B (each a factor of the right one; None for no function), for output 1 of two; the line
    "no bar": (None, 1.0, "the reverse rule is off for argument B, output 1"),
    "a bar twice as large": (2.0, 1.0, "the reverse rule is off for argument B, output 1"),
    "no tangent": (1.0, None, "the forward rule is off for argument B, output 1"),
    "both": (2.0, 2.0, "the forward rule is off for argument B, output 1\n    the reverse rule is off for argument B"),
    "less than differences tell": (1 + 1e-9, 1.0, "one of the rules is off for argument B, output 1"),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_report_says_where(name):
    """Which rule, argument and output."""
    bar, tangent, line = WRONG[name]

    @primitive("(n),(n)->(n),(n)")
    def two(A, B):
        return A - B, A * B

    @two.vjp
    def _(C_bars, C, A, B):
        first, second = (A * 0 if C_bar is None else C_bar for C_bar in C_bars)
        return lambda: first + second * B, lambda: second * A * (0.0 if bar is None else bar) - first

    @two.jvp
    def _(C, A, B):
        return (
            lambda A_dot: (A_dot, A_dot * B),
            lambda B_dot: (-B_dot, None if tangent is None else tangent * A * B_dot),
        )

    with pytest.raises(VerificationError) as raised:
        check(two, cases=[([np.array([1.0, 2.0]), np.array([3.0, -1.0])], {})])
    lines = str(raised.value).partition(": float64")[2]
    assert f"\n    {line}" in lines
    assert "argument A" not in lines
    assert "output 0" not in lines
