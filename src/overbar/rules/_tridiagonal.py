"""Tridiagonal systems of equations.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar.kernels` and `rules.banded`.
"""

from overbar._namespace import front, namespace
from overbar._primitive import once, primitive
from overbar.kernels._banded import gbsv
from overbar.rules._banded import band_of, band_times, dominant, left_of, right_of

# -- three diagonals ---------------------------------------------------------------------------------------------------


def _by_columns(diagonals):
    """The band as `solve_banded` has it."""
    xp = namespace(diagonals)
    above, below = right_of(diagonals[..., :1, :], 1), left_of(diagonals[..., 2:, :], 1)
    return xp.concat([above, diagonals[..., 1:2, :], below], axis=-2)


def _by_rows(ab):
    """The inverse of `_by_columns`, and its adjoint: each entry of the matrix has one place in both."""
    xp = namespace(ab)
    return xp.concat([left_of(ab[..., :1, :], 1), ab[..., 1:2, :], right_of(ab[..., 2:, :], 1)], axis=-2)


@primitive("(3,n),(n,k?)->(n,k?)")
def tridiagonal_solve(diagonals, rhs, *, adjoint=False):
    """The solution X of A X = B, or Aᴴ X = B, for a tridiagonal matrix A.

    Parameters
    ----------
    diagonals
        Row by row, above, on and below the main diagonal: ``diagonals[0, i]`` is A[i, i + 1], of which the last is not
        read, and ``diagonals[2, i]`` is A[i, i − 1], of which the first is not read. (TensorFlow's compact format.)
    adjoint : bool
        Solve Aᴴ X = B.

    Returns
    -------
    array of the shape of rhs

    Raises
    ------
    LinAlgError of the array's library
        `diagonals` has not three rows.
    numpy.linalg.LinAlgError
        A is singular. (In a graph of TensorFlow's the error is an InvalidArgumentError or UnknownError with the same
        message.) Under XLA, which cannot raise, X is NaN then. NaN goes through to X.

    Notes
    -----
    The rules of `solve_banded`, with one diagonal on each side; here they read

        Ẋ = A⁻¹ (Ḃ − Ȧ X),    B̄ = A⁻ᴴ X̄,    Ā[i, j] = −Σₖ B̄[i, k] conj(X[j, k]),  |i − j| ≤ 1.

    Partial pivoting makes the value right where a leading minor vanishes. Cost: some ten flops for each entry of X.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> diagonals = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [0.0, 1.0, 1.0]])
    >>> overbar.tridiagonal_solve(diagonals, np.array([3.0, 4.0, 3.0]))
    array([1., 1., 1.])
    """
    options = {"lower": 1, "upper": 1, "adjoint": bool(adjoint), "name": "tridiagonal_solve"}
    return front(diagonals, rhs).compute(gbsv, _by_columns(diagonals), rhs, **options)[0]


@tridiagonal_solve.vjp
def _(X_bar, X, diagonals, rhs, *, adjoint):
    rhs_bar = once(lambda: tridiagonal_solve(diagonals, X_bar, adjoint=not adjoint))

    def diagonals_bar():
        return -_by_rows(band_of(X, rhs_bar(), 1, 1) if adjoint else band_of(rhs_bar(), X, 1, 1))

    return diagonals_bar, rhs_bar


@tridiagonal_solve.jvp
def _(X, diagonals, rhs, *, adjoint):
    def X_dot(diagonals_dot, rhs_dot):
        rest = rhs_dot - band_times(_by_columns(diagonals_dot), X, 1, 1, adjoint)
        return tridiagonal_solve(diagonals, rest, adjoint=adjoint)

    return X_dot


@tridiagonal_solve.samples
def _(case):
    diagonals = dominant(case.normal(3, 5), 1)
    yield case(diagonals, case.normal(5, 2))
    yield case(diagonals, case.normal(5, 1), adjoint=True)


@tridiagonal_solve.reference
def _(mp, diagonals, rhs, *, adjoint):
    n = diagonals.shape[-1]
    A = mp.zeros((n, n))
    for i in range(n):
        for j in range(max(0, i - 1), min(n, i + 2)):
            A[i, j] = diagonals[1 + i - j, i]
    return mp.solve(mp.mH(A) if adjoint else A, rhs)
