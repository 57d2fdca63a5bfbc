"""Sylvester's equation and Lyapunov's, continuous and discrete, by Schur forms.

May import NumPy, and `kernel`, `schur_forms`, `stacks` and `triangular_equations` of the kernels.
"""

import numpy as np

from overbar._numpy_words import power_of_two
from overbar.kernels._kernel import kernel
from overbar.kernels._schur_forms import schur_forms
from overbar.kernels._stacks import mH, refuse_not_finite
from overbar.kernels._triangular_equations import triangular_stein, triangular_sylvester

# Two numbers count as equal where they differ by less than this many units of rounding of the matrices they come from.
CLOSE = 16


def _where_finite(solve, *arrays):
    """What `solve` makes of stacks; NaN for the matrices whose right-hand side, the last array, is not finite."""
    Q, dtype = arrays[-1], np.result_type(*arrays)
    fine = np.isfinite(Q).all((-2, -1))
    if not Q.size or fine.all():
        return solve(*arrays) if Q.size else Q.astype(dtype)
    X = np.full(Q.shape, np.nan, dtype)
    if fine.any():
        X[fine] = solve(*(A[fine] for A in arrays))
    return X


def _triangular_equations(R, S, F, adjoint=False):
    """The same for stacks, one after the other: a call of LAPACK's each, where they are small."""
    return np.stack([triangular_sylvester(*each, adjoint) for each in zip(R, S, F.copy(), strict=True)])


def _refuse_meeting(gap, size, name, problem):
    """Raise where the smallest eigenvalue of an equation is rounding, for equations of these sizes."""
    if (gap <= CLOSE * np.finfo(size.dtype).eps * size).any():
        raise np.linalg.LinAlgError(_singular(name, problem))


def _refuse_growth(Y, F, size, name, problem):
    """Raise where a solution is so large that the equation has to be singular to working precision: eigenvalues near a
    Jordan block are not known well enough to show it."""
    info = np.finfo(size.dtype)
    if not (_norms(Y) * size * info.eps < np.maximum(_norms(F), info.tiny)).all():
        raise np.linalg.LinAlgError(_singular(name, problem))


def _singular(name, problem):
    return f"{name}: {problem}, to working precision, so that the equation is singular: no solution is the only one."


def _norms(A):
    return np.linalg.norm(A, axis=(-2, -1))


def _sizes(R, eigenvalues):
    """How large matrices in Schur form are, in the sense of a norm that does not grow with their order."""
    return np.maximum(abs(eigenvalues).max(-1), _norms(R) / R.shape[-1] ** 0.5)


def _smallest(A):
    return abs(A).min((-2, -1))


@kernel("(m,m),(n,n),(m,n)->(m,n)", stacked=True)
def sylvester(A, B, Q):
    """The solution X of A X + X B = Q, by Bartels and Stewart (1972): with A = U R Uᴴ and B = V S Vᴴ the equation is
    R Y + Y S = Uᴴ Q V for Y = Uᴴ X V."""
    refuse_not_finite("solve_sylvester", A=A, B=B)
    return _where_finite(_sylvester, A, B, Q)


def _sylvester(A, B, Q):
    name, problem = "solve_sylvester", "an eigenvalue of A is the negative of one of B"
    dtype = np.result_type(A, B, Q)
    scale, unit = np.maximum(power_of_two(A), power_of_two(B)), power_of_two(Q)
    R, U, ours = schur_forms((A / scale).astype(dtype))
    S, V, theirs = schur_forms((B / scale).astype(dtype))
    size = _sizes(R, ours) + _sizes(S, theirs)
    _refuse_meeting(_smallest(ours[:, :, None] + theirs[:, None, :]), size, name, problem)
    F = mH(U) @ (Q / unit).astype(dtype) @ V
    Y = _triangular_equations(R, S, F)
    _refuse_growth(Y, F, size, name, problem)
    # one factor after the other: their product may overflow where the result does not
    return (U @ Y @ mH(V)) / scale * unit


def continuous(A, Q, name="solve_continuous_lyapunov"):
    """The solution of A X + X Aᴴ = Q, and the eigenvalues of A, for stacks."""
    dtype, problem = np.result_type(A, Q), "two eigenvalues λ and μ of A, or one twice, have λ = −conj(μ)"
    scale, unit = power_of_two(A), power_of_two(Q)
    R, U, eigenvalues = schur_forms((A / scale).astype(dtype))
    size = 2 * _sizes(R, eigenvalues)
    _refuse_meeting(_smallest(eigenvalues[:, :, None] + eigenvalues[:, None, :].conj()), size, name, problem)
    F = mH(U) @ (Q / unit).astype(dtype) @ U
    Y = _triangular_equations(R, R, F, adjoint=True)
    _refuse_growth(Y, F, size, name, problem)
    return (U @ Y @ mH(U)) / scale * unit, eigenvalues * scale[..., 0]


@kernel("(n,n),(n,n)->(n,n)", stacked=True)
def continuous_lyapunov(A, Q):
    """The solution X of A X + X Aᴴ = Q, from one Schur decomposition."""
    refuse_not_finite("solve_continuous_lyapunov", A=A)
    return _where_finite(lambda A, Q: continuous(A, Q)[0], A, Q)


def discrete(A, Q, name="solve_discrete_lyapunov"):
    """The solution of A X Aᴴ − X + Q = 0, and the eigenvalues of A, for stacks."""
    problem = "two eigenvalues λ and μ of A, or one twice, have λ conj(μ) = 1"
    dtype, unit = np.result_type(A, Q, np.complex64), power_of_two(Q)
    R, U, eigenvalues = schur_forms(A.astype(dtype))
    size = 1 + _sizes(R, eigenvalues) ** 2
    _refuse_meeting(_smallest(1 - eigenvalues[:, :, None] * eigenvalues[:, None, :].conj()), size, name, problem)
    F = mH(U) @ (Q / unit).astype(dtype) @ U
    Y = triangular_stein(R, R, F.copy())
    _refuse_growth(Y, F, size, name, problem)
    X = (U @ Y @ mH(U)) * unit
    return X if np.result_type(A, Q).kind == "c" else X.real, eigenvalues


@kernel("(n,n),(n,n)->(n,n)", stacked=True)
def discrete_lyapunov(A, Q):
    """The solution X of A X Aᴴ − X + Q = 0: with A = U R Uᴴ the equation is Y − R Y Rᴴ = Uᴴ Q U for Y = Uᴴ X U.

    No eigenvalue of A has to lie anywhere, but for the pairs that make the equation singular. (A bilinear transform
    must not meet one at −1; series and doubling need all of them within the unit circle.)
    """
    refuse_not_finite("solve_discrete_lyapunov", A=A)
    return _where_finite(lambda A, Q: discrete(A, Q)[0], A, Q)
