"""Structured matrices at their true cost: each function beside SciPy's, and its rules beside the function, in NumPy.

May import NumPy, SciPy, `overbar` and the rest of `overbar.bench`.
"""

from __future__ import annotations

import functools

import numpy as np
import scipy.linalg

from overbar.bench import cost
from overbar.bench.cholesky import Job
from overbar.rules import REGISTRY

#: The size that is run where nothing is said, and how many times as long as SciPy's function one may take there.
SIZES = {2000: 1.5}

_OFTEN = {"least": 3, "most": 200, "shortest": 2e-4}

#: Why a function takes longer than that.
REASONS = {
    "eigh_tridiagonal": "the signs of the vectors are chosen, in some passes over n² numbers",
    "householder_product": "the function is made of products, which for few columns are less than what surrounds them",
}


def _solve_banded(ab, b, l_and_u):
    return scipy.linalg.solve_banded(l_and_u, ab, b)


def _tridiagonal_solve(diagonals, b, adjoint):
    above, main, below = diagonals
    return scipy.linalg.solve_banded((1, 1), np.stack([np.roll(above, 1), main, np.roll(below, -1)]), b)


def _householder_product(A, tau):
    (multiply,) = scipy.linalg.get_lapack_funcs(("orgqr",), (A,))
    return multiply(A, tau, lwork=64 * A.shape[1])[0]


def _cholesky_update(L, V):
    # SciPy has none, and its users factorise again
    return scipy.linalg.cholesky(L @ L.T + V @ V.T, lower=True)


#: What one writes with SciPy, for the arrays and options of a primitive.
SCIPY = {
    "cho_solve": lambda L, B, upper: scipy.linalg.cho_solve((L, not upper), B),
    "cho_solve_banded": lambda cb, b, lower: scipy.linalg.cho_solve_banded((cb, lower), b),
    "cholesky_banded": scipy.linalg.cholesky_banded,
    "cholesky_update": _cholesky_update,
    "eigh_tridiagonal": scipy.linalg.eigh_tridiagonal,
    "hessenberg": lambda A: scipy.linalg.hessenberg(A, calc_q=True),
    "householder_product": _householder_product,
    "ldl": lambda A, lower: scipy.linalg.ldl(A, lower=lower),
    "solve_banded": lambda ab, b, l_and_u, adjoint: _solve_banded(ab, b, l_and_u),
    "solve_toeplitz": lambda c, r, b, adjoint: scipy.linalg.solve_toeplitz((c, r), b),
    "solve_triangular": lambda A, B, upper, left, **_: scipy.linalg.solve_triangular(A, B, lower=not upper),
    "tridiagonal_solve": _tridiagonal_solve,
}


def jobs(frameworks, sizes=tuple(SIZES), dtype="float64") -> list[Job]:
    """What there is to measure: for each size the functions beside SciPy's, then the rules beside the functions."""
    if "numpy" not in frameworks:
        raise ValueError("structured matrices are compared with SciPy, in NumPy: say --framework numpy, or nothing.")
    found = []
    for n in sizes:
        title = f"NumPy, n = {n}: the function beside SciPy's"
        aim = SIZES.get(n) if dtype == "float64" else None
        for name in SCIPY:
            things = functools.partial(_things, name, n, dtype)
            names = ("overbar", "SciPy")
            found.append(Job("numpy", title, name, n, names, things, cost=True, target=aim, options=_OFTEN))
    return found + cost.jobs(["numpy"], sizes, dtype, [*SCIPY], targets=dict.fromkeys(SIZES, 6.0))


def _things(name, n, dtype):
    drawn = cost.case(name, n, dtype)
    ours = functools.partial(REGISTRY[name], *drawn.arrays, **drawn.options)
    return ours, functools.partial(SCIPY[name], *drawn.arrays, **drawn.options)


def reasons(results) -> list[str]:
    """For each target that is missed, why."""
    missed = {r.job.what for r in results if r.met is False and r.job.names[1] == "SciPy"}
    lines = [f"{name}: {reason}." for name, reason in REASONS.items() if name in missed]
    return lines + cost.reasons([r for r in results if r.job.names[1] != "SciPy"])
