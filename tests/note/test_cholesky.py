"""All ways of Murray's note (arXiv:1602.07527) to differentiate the Cholesky decomposition, on matrices that are
anything but well conditioned. May import `overbar`.

What the ways share on well-conditioned matrices, in every dtype, with batches and in both conventions for the bar, is
in `tests/rules/test_murray.py`. Here each is held against the rule in fifty digits. Two systems with L could lose eps
times the condition of A, the square of that of L. By columns and by blocks it is nearer to the condition of L, and the
symbolic rule loses least. By halves that end in larger pieces, of which the symbolic rule takes each by itself, the
bound is what holds. From A, all are as good as the rounding of L lets them be, which is that bound, too. Where only the
scales of rows and columns differ, nothing is lost.
"""

import numpy as np
import pytest

from overbar.rules import murray
from overbar.rules._cholesky import forward_recursive, reverse_recursive
from overbar.verify import Exact
from tests.compare import close, error

N, EPS = 20, np.finfo(float).eps

FORWARD = {
    "symbolic": murray.chol_symbolic_forward,
    "smith": murray.chol_smith_forward,
    "unblocked": murray.chol_unblocked_forward,
    "blocked": lambda L, A_dot: murray.chol_blocked_forward(L, A_dot, block_size=6),
    "by halves": lambda L, A_dot: forward_recursive(L, A_dot, depth=3),
    "two halves": lambda L, A_dot: forward_recursive(L, A_dot, depth=1),
}
REVERSE = {
    "symbolic": murray.chol_symbolic_reverse,
    "smith": murray.chol_smith_reverse,
    "unblocked": murray.chol_unblocked_reverse,
    "blocked": lambda L, L_bar: murray.chol_blocked_reverse(L, L_bar, block_size=6),
    "by halves": lambda L, L_bar: reverse_recursive(L, L_bar, depth=3),
    "two halves": lambda L, L_bar: reverse_recursive(L, L_bar, depth=1),
}
LOSES_MORE = {"two halves"}


def hilbert(rng):
    """Entries 1/(i + j + 1), and as much on the diagonal as a factor in double precision needs."""
    i = np.arange(N)
    return 1 / (i[:, None] + i + 1) + 1e-13 * np.eye(N)


def kernel(rng):
    """A smooth kernel with little noise, as Gaussian processes have it."""
    x = np.sort(rng.uniform(0, 3, N))
    return np.exp(-((x[:, None] - x) ** 2)) + 1e-10 * np.eye(N)


def graded(rng):
    """Rows and columns of sizes from 1 to 1e-8."""
    X, scale = rng.standard_normal((N, 2 * N)), np.geomspace(1, 1e-8, N)
    return scale[:, None] * (X @ X.T) * scale


def drawn(make):
    rng = np.random.default_rng(1995)
    A_dot, L_bar = rng.standard_normal((2, N, N))
    return make(rng), A_dot + A_dot.T, np.tril(L_bar)


def exact(mp, L, A_dot, L_bar):
    """The rules in fifty digits, L an exact array."""
    L_inv = mp.inverse(L)
    phi = mp.tril(np.ones((N, N)) - np.eye(N) / 2)
    X = L_inv.T @ (phi * (L.T @ mp.array(L_bar))) @ L_inv
    return mp.float(L @ (phi * (L_inv @ mp.array(A_dot) @ L_inv.T))), mp.float((X + X.T) / 2)


@pytest.mark.parametrize("make", [hilbert, kernel, graded])
def test_given_the_factor(make):
    A, A_dot, L_bar = drawn(make)
    L = np.linalg.cholesky(A)
    condition = np.linalg.cond(A)
    assert condition > 1e10
    mp = Exact(50)
    L_dot, A_bar = exact(mp, mp.array(L), A_dot, L_bar)

    def allowed(name):
        if make is graded:
            return N * EPS
        return N * EPS * (condition if name in LOSES_MORE else 10 * np.sqrt(condition))

    for name, forward in FORWARD.items():
        close(forward(L, A_dot), L_dot, allowed(name))
    for name, reverse in REVERSE.items():
        close(reverse(L, L_bar), A_bar, allowed(name))


@pytest.mark.parametrize("make", [kernel, graded])
def test_from_the_matrix_the_rounding_of_the_factor_is_what_counts(make):
    A, A_dot, L_bar = drawn(make)
    L = np.linalg.cholesky(A)
    mp = Exact(50)
    L_dot, A_bar = exact(mp, mp.cholesky(mp.array(A)), A_dot, L_bar)
    by_rounding = N * EPS * np.linalg.cond(A)
    for forward in FORWARD.values():
        close(forward(L, A_dot), L_dot, by_rounding)
    for reverse in REVERSE.values():
        close(reverse(L, L_bar), A_bar, by_rounding)


@pytest.mark.parametrize("make", [hilbert, kernel, graded])
@pytest.mark.parametrize("reverse", sorted(REVERSE.keys() - LOSES_MORE))
@pytest.mark.parametrize("forward", sorted(FORWARD.keys() - LOSES_MORE))
def test_any_two_are_adjoint(forward, reverse, make):
    """⟨L̄, L̇⟩ = ⟨Ā, Ȧ⟩, whichever way either side was computed."""
    A, A_dot, L_bar = drawn(make)
    L = np.linalg.cholesky(A)
    left, right = L_bar * FORWARD[forward](L, A_dot), REVERSE[reverse](L, L_bar) * A_dot
    allowed = N * EPS * np.linalg.cond(L) * (np.abs(left).sum() + np.abs(right).sum())
    assert abs(left.sum() - right.sum()) < allowed
    assert abs(left.sum() - 1.001 * right.sum()) > allowed  # a wrong factor shows


@pytest.mark.parametrize("make", [hilbert, kernel, graded])
def test_a_diagonal_that_is_not_halved_shows(make):
    """The mistake that everybody makes once, in the middle of the symbolic rule."""
    A, _, L_bar = drawn(make)
    L = np.linalg.cholesky(A)
    L_inv = np.linalg.inv(L)
    X = L_inv.T @ np.tril(L.T @ L_bar) @ L_inv
    wrong = (X + X.T) / 2
    assert all(error(wrong, reverse(L, L_bar)) > 1e-3 for reverse in REVERSE.values())
