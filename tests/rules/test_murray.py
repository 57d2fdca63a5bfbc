"""The ways to differentiate the Cholesky decomposition against one another, against the oracles of `verify`, and their
two conventions for the bar. May import `overbar`.
"""

import importlib

import numpy as np
import pytest

import overbar
from overbar import verify
from overbar._namespace import mH
from overbar.bench import murray as table
from overbar.rules import murray
from tests.compare import close

FORWARD = {
    "symbolic": murray.chol_symbolic_forward,
    "smith": murray.chol_smith_forward,
    "unblocked": murray.chol_unblocked_forward,
    "blocked-1": lambda L, A_dot: murray.chol_blocked_forward(L, A_dot, 1),
    "blocked-3": lambda L, A_dot: murray.chol_blocked_forward(L, A_dot, block_size=3),
    "blocked": murray.chol_blocked_forward,
    "recursive": murray.chol_recursive_forward,
}
REVERSE = {
    "symbolic": murray.chol_symbolic_reverse,
    "smith": murray.chol_smith_reverse,
    "unblocked": murray.chol_unblocked_reverse,
    "blocked-1": lambda L, L_bar, **kw: murray.chol_blocked_reverse(L, L_bar, 1, **kw),
    "blocked-3": lambda L, L_bar, **kw: murray.chol_blocked_reverse(L, L_bar, block_size=3, **kw),
    "blocked": murray.chol_blocked_reverse,
    "recursive": murray.chol_recursive_reverse,
}
SIZES = [0, 1, 2, 3, 7, murray.BLOCK_SIZE, 2 * murray.BLOCK_SIZE + 5, 150]


def draw(n, dtype, batch=()):
    draws = verify.Draw(n, dtype, batch)
    return draws.lower(n), draws.hermitian(n), draws.normal(n, n)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("n", SIZES)
def test_all_ways_agree(n, dtype):
    L, A_dot, L_bar = draw(n, dtype)
    rtol = 100 * (1 + n) * float(np.finfo(dtype).eps)
    wide = np.complex128 if L.dtype.kind == "c" else np.float64
    L_dot, A_bar = (
        FORWARD["symbolic"](L.astype(wide), A_dot.astype(wide)),
        REVERSE["symbolic"](L.astype(wide), L_bar.astype(wide)),
    )
    for forward in FORWARD.values():
        found = forward(L, A_dot)
        assert found.dtype == dtype
        close(found, L_dot, rtol)
        np.testing.assert_array_equal(found, np.tril(found))
    for reverse in REVERSE.values():
        found = reverse(L, L_bar)
        assert found.dtype == dtype
        close(found, A_bar, rtol)
        np.testing.assert_array_equal(found, mH(found))


@pytest.mark.parametrize("n", [1, 3, 70])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("way", REVERSE)
def test_the_two_conventions(way, dtype, n):
    L, A_dot, L_bar = draw(n, dtype)
    lower, symmetric = (REVERSE[way](L, L_bar, symmetric=s) for s in (False, True))
    np.testing.assert_array_equal(lower, np.tril(lower))
    close((lower + mH(lower)) / 2, symmetric, 1e-15)
    # each is the gradient, with the entries that its convention lets move
    expected = np.vdot(L_bar, FORWARD["symbolic"](L, A_dot)).real
    np.testing.assert_allclose(np.vdot(lower, A_dot).real, expected, rtol=1e-10)
    np.testing.assert_allclose(np.vdot(symmetric, A_dot).real, expected, rtol=1e-10)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("forward", FORWARD)
@pytest.mark.parametrize("reverse", REVERSE)
def test_verify_finds_them_right(forward, reverse, dtype):
    cases = [verify.Case((verify.Draw(1, dtype).positive_definite(5),), {"upper": False})]
    right = verify.altered(
        overbar.cholesky,
        vjp_rule=lambda L_bar, L, A, upper, **_: (lambda: REVERSE[reverse](L, L_bar),),
        jvp_rule=lambda L, A, upper, **_: (lambda A_dot: FORWARD[forward](L, A_dot),),
    )
    assert all(row.passed for row in verify.check(right, cases=cases))
    wrong = verify.altered(
        right, vjp_rule=lambda L_bar, L, A, upper, **_: (lambda: 1.001 * REVERSE[reverse](L, L_bar),)
    )
    with pytest.raises(verify.VerificationError, match="adjoint"):
        verify.check(wrong, cases=cases)


@pytest.mark.parametrize("way", REVERSE)
def test_reverse_on_batches_that_broadcast_and_what_is_not_read(way):
    L, _, _ = draw(5, "float64", (3, 1))
    L_bar = verify.Draw(2, "float64", (4,)).normal(5, 5)
    found = REVERSE[way](L, np.where(np.tri(5, dtype=bool), L_bar, np.nan))
    assert found.shape == (3, 4, 5, 5)
    for i, j in np.ndindex(3, 4):
        close(found[i, j], murray.chol_symbolic_reverse(L[i, 0], L_bar[j]), 1e-13)


@pytest.mark.parametrize("way", FORWARD)
def test_forward_on_batches_that_broadcast(way):
    L, _, _ = draw(5, "complex128", (3, 1))
    A_dot = verify.Draw(2, "complex128", (4,)).hermitian(5)
    found = FORWARD[way](L, A_dot)
    assert found.shape == (3, 4, 5, 5)
    for i, j in np.ndindex(3, 4):
        close(found[i, j], murray.chol_symbolic_forward(L[i, 0], A_dot[j]), 1e-13)


@pytest.mark.parametrize("way", REVERSE)
def test_the_arguments_stay_as_they_are(way):
    L, A_dot, L_bar = draw(7, "float64")
    before = L.copy(), L_bar.copy(), A_dot.copy()
    REVERSE[way](L, L_bar)
    FORWARD.get(way, FORWARD["symbolic"])(L, A_dot)
    for a, b in zip((L, L_bar, A_dot), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_op_uses_the_same_pieces():
    rule = importlib.import_module("overbar.rules._cholesky")
    assert (murray.forward_symbolic, murray.reverse_symbolic) == (rule.forward_symbolic, rule.reverse_symbolic)
    A = verify.Draw(0).positive_definite(6)
    L, pullback = overbar.vjp(overbar.cholesky, A)
    np.testing.assert_array_equal(pullback(np.ones((6, 6)))[0], murray.chol_recursive_reverse(L, np.ones((6, 6))))
    L_dot = overbar.jvp(overbar.cholesky, (A,), (np.ones((6, 6)),))[1]
    np.testing.assert_array_equal(L_dot, murray.chol_recursive_forward(L, np.ones((6, 6))))


def test_a_block_without_columns_is_refused():
    with pytest.raises(ValueError, match="block_size is 0"):
        murray.chol_blocked_reverse(np.eye(2), np.eye(2), 0)


def test_the_table_of_times(capsys):
    table.main(["4", "--repeat", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [name for name, *_ in table.WAYS]
