"""Riccati equations, continuous and discrete, corrected by Newton's method.

May import NumPy, SciPy, and `kernel`, `matrix_equations` and `stacks` of the kernels.
"""

import numpy as np
import scipy.linalg

from overbar._numpy_words import power_of_two
from overbar.kernels._kernel import kernel
from overbar.kernels._matrix_equations import continuous, discrete
from overbar.kernels._stacks import refuse_not_finite

# How often a solution of a Riccati equation is corrected by Newton's method. It doubles the digits each time.
STEPS = 10


def _times_power(A, exponent):
    """A times a power of 2, which may itself be out of range."""
    half = exponent // 2
    return A * 2.0**half * 2.0 ** (exponent - half)


def _exponent(A):
    """That of a power of 2 as large as the largest entry of A; None where all are zero."""
    largest = float(abs(A).max(initial=0))
    return int(np.frexp(largest)[1]) if largest else None


def _correct(X, residual, equation, inside, problem):
    """Newton's method for a Riccati equation, from a solution that has some digits already, to rounding.

    `residual` gives of X the matrix F of the closed loop, which has to be stable, and the residual Z of the equation;
    the correction solves the Lyapunov equation of F with Z (Kleinman 1968). `inside` tells how far inside the region of
    stability the eigenvalues of F are, relative to what those of the pencil are as large as.
    """
    before = np.inf
    for _ in range(STEPS):
        F, Z = residual(X)
        if not np.isfinite(Z).all():
            raise np.linalg.LinAlgError(problem)
        try:
            D, eigenvalues = (found[0] for found in equation(F.conj().T[None], Z[None]))
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError(problem) from None
        margin = inside(eigenvalues)
        if margin <= 0:
            raise np.linalg.LinAlgError(problem)
        X = X + (D + D.conj().T) / 2
        size = np.linalg.norm(X)
        change = np.linalg.norm(D) / size if size else 0.0
        if change < 1e-15 or (change > before / 4 and change < 1e-9):
            return X
        before = change
    if change < 1e-6 and margin > 1e-6:
        return X
    # At a double eigenvalue on the boundary each step is worth one bit only.
    raise np.linalg.LinAlgError(problem)


def _is_plain(E, S):
    """Whether E is the identity and S zero: whether an equation has neither."""
    return not S.any() and np.array_equal(E, np.eye(len(E)))


def _over(E, M):
    """E⁻ᴴ M E⁻¹ for Hermitian M."""
    half = np.linalg.solve(E.conj().T, M)
    return np.linalg.solve(E.conj().T, half.conj().T)


def _without_E_and_S(A, B, Q, R, E, S):
    """A, B and Q of the equation without E and S whose solution is Eᴴ X E: E⁻¹ (A − B R⁻¹ Sᴴ), E⁻¹ B, Q − S R⁻¹ Sᴴ."""
    # R need not be invertible for a discrete equation without S
    T = np.linalg.solve(R, S.conj().T) if S.any() else S.conj().T
    found = np.linalg.solve(E, np.concatenate([A - B @ T, B], axis=1))
    return found[:, : len(A)], found[:, len(A) :], Q - S @ T


def _refuse_singular(function, name, M):
    try:
        np.linalg.inv(M)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(f"{function}: argument {name} is singular") from None


@kernel("(n,n),(n,m),(n,n),(m,m),(n,n),(n,m)->(n,n)")
def continuous_are(A, B, Q, R, E, S):
    """The stabilising solution X of Aᴴ X E + Eᴴ X A − (Eᴴ X B + S) R⁻¹ (Bᴴ X E + Sᴴ) + Q = 0.

    Laub (1979), "A Schur method for solving algebraic Riccati equations": the columns of [U₁; U₂] span the invariant
    subspace of the Hamiltonian matrix [A, −G; −Q, −Aᴴ], G = B R⁻¹ Bᴴ, for its eigenvalues in the left half plane, and
    X = U₂ U₁⁻¹, where E = I and S = 0, to which the others are reduced. Newton's method then makes up for what was lost
    on the way.
    """
    name = "solve_continuous_are"
    refuse_not_finite(name, A=A, B=B, Q=Q, R=R, E=E, S=S)
    if not len(A):
        return Q
    problem = (
        f"{name}: there is no stabilising solution. Either no feedback u = −K x makes A − B K stable, or "
        "the Hamiltonian matrix has eigenvalues on the imaginary axis, to working precision"
    )
    dtype = np.result_type(A, B, Q, R, E, S, np.float64)
    A, B, Q, R, E, S = (M.astype(dtype) for M in (A, B, Q, R, E, S))
    Q, R = (Q + Q.conj().T) / 2, (R + R.conj().T) / 2
    _refuse_singular(name, "R", R)
    if _is_plain(E, S):
        return _continuous_are(A, B, Q, R, problem)
    _refuse_singular(name, "E", E)
    scale = power_of_two(E)
    E = E / scale  # of which X is the inverse in size
    F, G, H = _without_E_and_S(A, B, Q, R, E, S)
    H = (H + H.conj().T) / 2
    X = _over(E, _continuous_are(F, G, H, R, problem))

    def residual(X):
        EX = E.conj().T @ X
        N = EX @ B + S
        K = np.linalg.solve(R, N.conj().T)
        Z = 2 * EX @ A - N @ K + Q
        return np.linalg.solve(E.T, (A - B @ K).T).T, -_over(E, (Z + Z.conj().T) / 2)

    inside = _left_of_the_axis(F, G, H, R)
    return _correct((X + X.conj().T) / 2, residual, continuous, inside, problem) / scale


def _left_of_the_axis(A, B, Q, R):
    """How far eigenvalues are left of the imaginary axis, relative to the Hamiltonian matrix where the blocks beside
    its diagonal are of one size: F may be much larger, where there is little control."""
    b, q, r = (_exponent(M) or 0 for M in (B, Q, R))
    G = _times_power(B, -b)
    G = G @ np.linalg.solve(_times_power(R, -r), G.conj().T)
    beside = _times_power(np.sqrt(np.linalg.norm(_times_power(Q, -q)) * np.linalg.norm(G)), (q + 2 * b - r) // 2)
    size = max(np.linalg.norm(A), beside, np.finfo(float).tiny)
    return lambda eigenvalues: -eigenvalues.real.max() / size


def _continuous_are(A, B, Q, R, problem):
    """That without E and S."""
    if not B.shape[1]:  # without control, as with a control that does nothing
        B, R = np.zeros((len(A), 1), B.dtype), np.ones((1, 1), R.dtype)
    a, b, q, r = map(_exponent, (A, B, Q, R))
    B, R = _times_power(B, -(b or 0)), _times_power(R, -(r or 0))
    G = B @ np.linalg.solve(R, B.conj().T)
    r = r - 2 * (b or 0)  # R is 2ʳ times as large
    g = None if not G.any() else _exponent(G) - r
    # X = 2ᵗ Y, where Y is the solution for 2ᵗ G and 2⁻ᵗ Q. What X is as large as, depends: where A is stable and Q is
    # small it solves a Lyapunov equation; where A is not stable and Q is small, it is as large as A over G.
    scales = [
        None if None in (q, g) else (q - g) // 2,
        None if None in (a, g) else a - g,
        q if a is None or q is None else q - a,
    ]
    scales = [*dict.fromkeys(t for t in scales if t is not None)] or [0]
    for method in (_by_schur, scipy.linalg.solve_continuous_are):
        for t in scales:
            scaled = A, B, _times_power(Q, -t), _times_power(R, r - t)
            try:
                return _times_power(_continuous_by(method, *scaled, problem), t)
            except (np.linalg.LinAlgError, ValueError):  # of what has left the range of numbers
                pass
    raise np.linalg.LinAlgError(problem)


def _continuous_by(method, A, B, Q, R, problem):
    # all of the equation times a power of 2
    unit = max((e for e in map(_exponent, (A, Q)) if e is not None), default=0)
    A, Q, R = _times_power(A, -unit), _times_power(Q, -unit), _times_power(R, unit)

    def residual(Y):
        AY = A.conj().T @ Y
        K = np.linalg.solve(R, B.conj().T @ Y)
        Z = AY + AY.conj().T - K.conj().T @ R @ K + Q
        return A - B @ K, -(Z + Z.conj().T) / 2

    with np.errstate(all="ignore"):  # numbers that are not finite are looked for
        Y = method(A, B, Q, R)
        return _correct((Y + Y.conj().T) / 2, residual, continuous, _left_of_the_axis(A, B, Q, R), problem)


def _by_schur(A, B, Q, R):
    n, G = len(A), B @ np.linalg.solve(R, B.conj().T)
    M = np.block([[A, -(G + G.conj().T) / 2], [-Q, -A.conj().T]])
    _, U, inside = scipy.linalg.schur(M, sort="lhp")
    if inside != n:
        raise np.linalg.LinAlgError("the Hamiltonian matrix has eigenvalues on the imaginary axis")
    return np.linalg.solve(U[:n, :n].T, U[n:, :n].T).T


@kernel("(n,n),(n,m),(n,n),(m,m),(n,n),(n,m)->(n,n)")
def discrete_are(A, B, Q, R, E, S):
    """The stabilising solution X of Aᴴ X A − Eᴴ X E − (Aᴴ X B + S) (R + Bᴴ X B)⁻¹ (Bᴴ X A + Sᴴ) + Q = 0.

    By doubling, where it works, which is products and solves of n by n matrices (Chu, Fan, Lin and Wang 2004,
    "Structure-preserving algorithms for periodic discrete-time algebraic Riccati equations"), of the equation without E
    and S; by SciPy, from the generalised Schur decomposition of a pencil of size 2n + m, where R is singular or nearly
    so. Newton's method then makes up for what was lost on the way.
    """
    name = "solve_discrete_are"
    refuse_not_finite(name, A=A, B=B, Q=Q, R=R, E=E, S=S)
    if not len(A):
        return Q
    problem = (
        f"{name}: there is no stabilising solution. Either no feedback u = −K x makes A − B K stable, or "
        "the symplectic pencil has eigenvalues on the unit circle, to working precision"
    )
    dtype = np.result_type(A, B, Q, R, E, S, np.float64)
    A, B, Q, R, E, S = (M.astype(dtype) for M in (A, B, Q, R, E, S))
    Q, R = (Q + Q.conj().T) / 2, (R + R.conj().T) / 2
    if _is_plain(E, S):
        return _discrete_are(A, B, Q, R, problem)
    _refuse_singular(name, "E", E)
    scale = power_of_two(E)
    A, B, E = A / scale, B / scale, E / scale  # X is as 1/c² then

    def by_reduction(A, B, Q, R, E, S):
        F, G, H = _without_E_and_S(A, B, Q, R, E, S)
        return _over(E, _discrete_are(F, G, (H + H.conj().T) / 2, R, problem))

    for method in (by_reduction, scipy.linalg.solve_discrete_are):
        try:
            return _discrete_by(method, A, B, Q, R, problem, E, S) / scale / scale
        except np.linalg.LinAlgError:
            pass
    raise np.linalg.LinAlgError(problem)


def _discrete_are(A, B, Q, R, problem):
    """That without E and S."""
    b, q, r = map(_exponent, (B, Q, R))
    # X = 2ᵗ Y, where Y is the solution for 2⁻ᵗ Q and 2⁻ᵗ R. What X is as large as, depends: Q, where A is stable, or R
    # over B², where it is not and Q is small.
    scales = [q, None if None in (r, b) else r - 2 * b]
    for t in dict.fromkeys(t for t in scales if t is not None) or (0,):
        # R = 2²ˢ R' and B = 2ˢ B' have the solution of R' and B'
        s = max(0 if b is None else b, 0 if r is None else (r - t + 1) // 2)
        scaled = A, _times_power(B, -s), _times_power(Q, -t), _times_power(R, -t - 2 * s)
        for method in (_doubling, scipy.linalg.solve_discrete_are):
            try:
                return _times_power(_discrete_by(method, *scaled, problem), t)
            except np.linalg.LinAlgError:
                pass
    raise np.linalg.LinAlgError(problem)


def _discrete_by(method, A, B, Q, R, problem, *others):
    def residual(Y):
        BY = B.conj().T @ Y
        right = BY @ A + (others[1].conj().T if others else 0)
        K = np.linalg.solve(R + BY @ B, right)
        F = A - B @ K
        # not in terms of A, but of F: an error of K shows in the second order only
        Z = Q + K.conj().T @ R @ K + F.conj().T @ Y @ F
        if not others:
            Z = Z - Y
            return F, (Z + Z.conj().T) / 2
        E, S = others
        Z = Z - 2 * S @ K - E.conj().T @ Y @ E
        return np.linalg.solve(E.T, F.T).T, _over(E, (Z + Z.conj().T) / 2)

    def margin(eigenvalues):
        return 1 - abs(eigenvalues).max()

    with np.errstate(all="ignore"):  # numbers that are not finite are looked for
        Y = method(A, B, Q, R, *others)
        return _correct((Y + Y.conj().T) / 2, residual, discrete, margin, problem)


def _doubling(A, B, Q, R):
    """The solution of a discrete Riccati equation as the limit of Hₖ, where step k stands for 2ᵏ steps of time."""
    G, H, eye = B @ np.linalg.solve(R, B.conj().T), Q, np.eye(len(A))
    for _ in range(60):
        W = np.linalg.solve(eye + G @ H, np.concatenate([A, G], axis=1))
        WA, WG = W[:, : len(A)], W[:, len(A) :]
        change = A.conj().T @ H @ WA
        G, H, A = G + A @ WG @ A.conj().T, H + change, A @ WA
        G, H = (G + G.conj().T) / 2, (H + H.conj().T) / 2
        if not np.isfinite(H).all():
            break
        if np.linalg.norm(change) <= 1e-15 * np.linalg.norm(H):
            return H
    raise np.linalg.LinAlgError("the doubling algorithm does not converge")
