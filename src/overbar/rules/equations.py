"""Matrix equations: Sylvester, Lyapunov, Riccati.

May import NumPy, SciPy, `overbar.namespace`, `overbar.primitive` and `overbar.kernel`, and what kernels share. No
framework has a kernel for
any of them: the values are computed on the host, by Schur decompositions. The rules are made of the same equations.
"""

import numpy as np
import scipy.linalg

from overbar.kernel import kernel
from overbar.namespace import NUMPY, mH, namespace
from overbar.primitive import once, primitive
from overbar.rules.schur_forms import adjoint, lapack, schur_forms, solve_upper

# Triangular equations up to this size go to LAPACK's trsyl, which works entry by entry; larger ones are halved.
SMALL = 32

# Two numbers count as equal where they differ by less than this many units of rounding of the matrices they come from.
CLOSE = 16


# -- on the host -------------------------------------------------------------------------------------------------------


def _finite(function, **arrays):
    """Refuse NaN and infinity, on which LAPACK's iterations need not end."""
    for name, A in arrays.items():
        if not np.isfinite(A).all():
            place = tuple(np.argwhere(~np.isfinite(A))[0].tolist())
            raise np.linalg.LinAlgError(
                f"{function}: argument {name} is not finite: its entry {place[-2:]} is {A[place]}. Remove or replace "
                "such entries before the call."
            )


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


def _cut(T):
    """Where to halve a triangular matrix, beside its 2 by 2 blocks."""
    k = len(T) // 2
    return k + 1 if T[k, k - 1] else k


def _triangular_sylvester(R, S, F, adjoint=False):
    """The solution Y of R Y + Y S = F, or of R Y + Y Sᴴ = F, for upper triangular R and S. Overwrites F.

    Jonsson and Kågström (2002), "Recursive blocked algorithms for solving triangular systems", parts I and II: halve
    the larger of R and S, so that nearly all the work is in products.
    """
    m, n = F.shape
    if max(m, n) <= SMALL:
        if m and n:
            Y, scale, _ = lapack("trsyl", F.dtype)(R, S, F, tranb="C" if adjoint else "N")
            F[...] = Y / scale
        return F
    if m >= n:
        k = _cut(R)
        last = _triangular_sylvester(R[k:, k:], S, F[k:], adjoint)
        F[:k] -= R[:k, k:] @ last
        _triangular_sylvester(R[:k, :k], S, F[:k], adjoint)
        return F
    k = _cut(S)
    one, two = slice(0, k), slice(k, n)
    if adjoint:
        last = _triangular_sylvester(R, S[two, two], F[:, two], adjoint)
        F[:, one] -= last @ S[one, two].conj().T
        _triangular_sylvester(R, S[one, one], F[:, one], adjoint)
    else:
        first = _triangular_sylvester(R, S[one, one], F[:, one], adjoint)
        F[:, two] -= first @ S[one, two]
        _triangular_sylvester(R, S[two, two], F[:, two], adjoint)
    return F


def _triangular_equations(R, S, F, adjoint=False):
    """The same for stacks, one after the other: a call of LAPACK's each, where they are small."""
    return np.stack([_triangular_sylvester(*each, adjoint) for each in zip(R, S, F.copy(), strict=True)])


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
    _finite("solve_sylvester", A=A, B=B)
    return _where_finite(_sylvester, A, B, Q)


def _sylvester(A, B, Q):
    name, problem = "solve_sylvester", "an eigenvalue of A is the negative of one of B"
    dtype = np.result_type(A, B, Q)
    scale, unit = np.maximum(NUMPY.power_of_two(A), NUMPY.power_of_two(B)), NUMPY.power_of_two(Q)
    R, U, ours = schur_forms((A / scale).astype(dtype))
    S, V, theirs = schur_forms((B / scale).astype(dtype))
    size = _sizes(R, ours) + _sizes(S, theirs)
    _refuse_meeting(_smallest(ours[:, :, None] + theirs[:, None, :]), size, name, problem)
    F = adjoint(U) @ (Q / unit).astype(dtype) @ V
    Y = _triangular_equations(R, S, F)
    _refuse_growth(Y, F, size, name, problem)
    # one factor after the other: their product may overflow where the result does not
    return (U @ Y @ adjoint(V)) / scale * unit


def _continuous(A, Q, name="solve_continuous_lyapunov"):
    """The solution of A X + X Aᴴ = Q, and the eigenvalues of A, for stacks."""
    dtype, problem = np.result_type(A, Q), "two eigenvalues λ and μ of A, or one twice, have λ = −conj(μ)"
    scale, unit = NUMPY.power_of_two(A), NUMPY.power_of_two(Q)
    R, U, eigenvalues = schur_forms((A / scale).astype(dtype))
    size = 2 * _sizes(R, eigenvalues)
    _refuse_meeting(_smallest(eigenvalues[:, :, None] + eigenvalues[:, None, :].conj()), size, name, problem)
    F = adjoint(U) @ (Q / unit).astype(dtype) @ U
    Y = _triangular_equations(R, R, F, adjoint=True)
    _refuse_growth(Y, F, size, name, problem)
    return (U @ Y @ adjoint(U)) / scale * unit, eigenvalues * scale[..., 0]


@kernel("(n,n),(n,n)->(n,n)", stacked=True)
def continuous_lyapunov(A, Q):
    """The solution X of A X + X Aᴴ = Q, from one Schur decomposition."""
    _finite("solve_continuous_lyapunov", A=A)
    return _where_finite(lambda A, Q: _continuous(A, Q)[0], A, Q)


def _triangular_stein(R, S, F):
    """The solution Y of Y − R Y Sᴴ = F for stacks of complex upper triangular R and S, by halves. Overwrites F."""
    m, n = F.shape[-2:]
    if max(m, n) <= SMALL:
        eye = np.eye(m)
        for j in reversed(range(n)):  # column by column: (I − conj(sⱼⱼ) R) yⱼ = fⱼ + R Σ conj(sⱼₖ) yₖ
            known = R @ (F[:, :, j + 1 :] @ S[:, j, j + 1 :, None].conj())
            F[:, :, j : j + 1] = solve_upper(eye - S[:, j, j, None, None].conj() * R, F[:, :, j : j + 1] + known)
        return F
    if m >= n:
        k = m // 2
        last = _triangular_stein(R[:, k:, k:], S, F[:, k:])
        F[:, :k] += R[:, :k, k:] @ (last @ adjoint(S))
        _triangular_stein(R[:, :k, :k], S, F[:, :k])
    else:
        k = n // 2
        last = _triangular_stein(R, S[:, k:, k:], F[:, :, k:])
        F[:, :, :k] += R @ (last @ adjoint(S[:, :k, k:]))
        _triangular_stein(R, S[:, :k, :k], F[:, :, :k])
    return F


def _discrete(A, Q, name="solve_discrete_lyapunov"):
    """The solution of A X Aᴴ − X + Q = 0, and the eigenvalues of A, for stacks."""
    problem = "two eigenvalues λ and μ of A, or one twice, have λ conj(μ) = 1"
    dtype, unit = np.result_type(A, Q, np.complex64), NUMPY.power_of_two(Q)
    R, U, eigenvalues = schur_forms(A.astype(dtype))
    size = 1 + _sizes(R, eigenvalues) ** 2
    _refuse_meeting(_smallest(1 - eigenvalues[:, :, None] * eigenvalues[:, None, :].conj()), size, name, problem)
    F = adjoint(U) @ (Q / unit).astype(dtype) @ U
    Y = _triangular_stein(R, R, F.copy())
    _refuse_growth(Y, F, size, name, problem)
    X = (U @ Y @ adjoint(U)) * unit
    return X if np.result_type(A, Q).kind == "c" else X.real, eigenvalues


@kernel("(n,n),(n,n)->(n,n)", stacked=True)
def discrete_lyapunov(A, Q):
    """The solution X of A X Aᴴ − X + Q = 0: with A = U R Uᴴ the equation is Y − R Y Rᴴ = Uᴴ Q U for Y = Uᴴ X U.

    No eigenvalue of A has to lie anywhere, but for the pairs that make the equation singular. (A bilinear transform
    must not meet one at −1; series and doubling need all of them within the unit circle.)
    """
    _finite("solve_discrete_lyapunov", A=A)
    return _where_finite(lambda A, Q: _discrete(A, Q)[0], A, Q)


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
    stability the eigenvalues of F are.
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
        margin = inside(eigenvalues, F)
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
    _finite(name, A=A, B=B, Q=Q, R=R, E=E, S=S)
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
    scale = NUMPY.power_of_two(E)
    E = E / scale  # of which X is the inverse in size
    F, G, H = _without_E_and_S(A, B, Q, R, E, S)
    X = _over(E, _continuous_are(F, G, (H + H.conj().T) / 2, R, problem))

    def residual(X):
        EX = E.conj().T @ X
        N = EX @ B + S
        K = np.linalg.solve(R, N.conj().T)
        Z = 2 * EX @ A - N @ K + Q
        return np.linalg.solve(E.T, (A - B @ K).T).T, -_over(E, (Z + Z.conj().T) / 2)

    return _correct((X + X.conj().T) / 2, residual, _continuous, _left_of_the_axis, problem) / scale


def _left_of_the_axis(eigenvalues, F):
    return -eigenvalues.real.max() / max(np.linalg.norm(F), np.finfo(float).tiny)


def _continuous_are(A, B, Q, R, problem):
    """That without E and S."""
    a, b, q, r = map(_exponent, (A, B, Q, R))
    B, R = _times_power(B, -(b or 0)), _times_power(R, -(r or 0))
    G = B @ np.linalg.solve(R, B.conj().T)
    G, g = (G + G.conj().T) / 2, None if not G.any() else 2 * b - r + _exponent(G)
    G = (G, 0 if g is None else 2 * b - r)
    # X = 2ᵗ Y, where Y is the solution for 2ᵗ G and 2⁻ᵗ Q. What X is as large as, depends: where A is stable and Q is
    # small it solves a Lyapunov equation; where A is not stable and Q is small, it is as large as A over G.
    scales = [
        None if None in (q, g) else (q - g) // 2,
        None if None in (a, g) else a - g,
        q if a is None or q is None else q - a,
    ]
    for t in dict.fromkeys(t for t in scales if t is not None) or (0,):
        try:
            return _times_power(_by_schur(A, _times_power(G[0], t + G[1]), _times_power(Q, -t), problem), t)
        except np.linalg.LinAlgError:
            pass
    raise np.linalg.LinAlgError(problem)


def _by_schur(A, G, Q, problem):
    n = len(A)
    # all of the equation times a power of 2
    unit = max((e for e in map(_exponent, (A, G, Q)) if e is not None), default=0)
    A, G, Q = (_times_power(M, -unit) for M in (A, G, Q))
    _, U, inside = scipy.linalg.schur(np.block([[A, -G], [-Q, -A.conj().T]]), sort="lhp", check_finite=False)
    if inside != n:
        raise np.linalg.LinAlgError(problem)
    Y = np.linalg.solve(U[:n, :n].T, U[n:, :n].T).T

    def residual(Y):
        AY = A.conj().T @ Y
        Z = AY + AY.conj().T - Y @ G @ Y + Q
        return A - G @ Y, -(Z + Z.conj().T) / 2

    return _correct((Y + Y.conj().T) / 2, residual, _continuous, _left_of_the_axis, problem)


@kernel("(n,n),(n,m),(n,n),(m,m),(n,n),(n,m)->(n,n)")
def discrete_are(A, B, Q, R, E, S):
    """The stabilising solution X of Aᴴ X A − Eᴴ X E − (Aᴴ X B + S) (R + Bᴴ X B)⁻¹ (Bᴴ X A + Sᴴ) + Q = 0.

    By doubling, where it works, which is products and solves of n by n matrices (Chu, Fan, Lin and Wang 2004,
    "Structure-preserving algorithms for periodic discrete-time algebraic Riccati equations"), of the equation without E
    and S; by SciPy, from the generalised Schur decomposition of a pencil of size 2n + m, where R is singular or nearly
    so. Newton's method then makes up for what was lost on the way.
    """
    name = "solve_discrete_are"
    _finite(name, A=A, B=B, Q=Q, R=R, E=E, S=S)
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
    scale = NUMPY.power_of_two(E)
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

    def margin(eigenvalues, F):
        return 1 - abs(eigenvalues).max()

    with np.errstate(all="ignore"):  # numbers that are not finite are looked for
        Y = method(A, B, Q, R, *others)
        return _correct((Y + Y.conj().T) / 2, residual, _discrete, margin, problem)


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


# -- Sylvester ---------------------------------------------------------------------------------------------------------


@primitive("(m,m),(n,n),(m,n)->(m,n)")
def solve_sylvester(A, B, Q):
    """The solution X of Sylvester's equation A X + X B = Q.

    Parameters
    ----------
    A : array (..., m, m)
    B : array (..., n, n)
    Q : array (..., m, n)
        float32, float64, complex64 or complex128. Batch dimensions broadcast.

    Returns
    -------
    array (..., m, n)
        Computed on the host, by SciPy; under XLA, which cannot call the host, an error says so.

    Raises
    ------
    LinAlgError of the array's library
        An eigenvalue of A is the negative of one of B, so that no solution is the only one; A or B is not finite; the
        shapes do not fit, or a dtype is not floating point. (A NaN or an infinity in Q makes all of X NaN.)

    Notes
    -----
    Differentiate: A Ẋ + Ẋ B = Q̇ − Ȧ X − X Ḃ, an equation of the same kind:

        Ẋ = solve_sylvester(A, B, Q̇ − Ȧ X − X Ḃ).

    Reverse. The adjoint of X ↦ A X + X B is G ↦ Aᴴ G + G Bᴴ, so that with

        G = solve_sylvester(Aᴴ, Bᴴ, X̄)

    ⟨X̄, Ẋ⟩ = ⟨G, Q̇ − Ȧ X − X Ḃ⟩, and

        Q̄ = G,    Ā = −G Xᴴ,    B̄ = −Xᴴ G.

    Source: Kao and Hennequin (2020), "Automatic differentiation of Sylvester, Lyapunov, and algebraic Riccati
    equations", arXiv:2011.11430. Cost: two Schur decompositions for the function, two for either rule, and products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.solve_sylvester(np.diag([1.0, 2.0]), np.array([[1.0]]), np.array([[2.0], [6.0]]))
    array([[1.],
           [2.]])
    """
    return namespace(A).on_host(sylvester, A, B, Q)[0]


@solve_sylvester.vjp
def _(X_bar, X, A, B, Q):
    @once
    def G():
        return solve_sylvester(mH(A), mH(B), X_bar)

    return lambda: -G() @ mH(X), lambda: -mH(X) @ G(), G


@solve_sylvester.jvp
def _(X, A, B, Q):
    return lambda A_dot, B_dot, Q_dot: solve_sylvester(A, B, Q_dot - A_dot @ X - X @ B_dot)


@solve_sylvester.samples
def _(case):
    yield case(_shifted(case, 3), _shifted(case, 4), case.normal(3, 4))


def _shifted(case, n):
    """A matrix whose eigenvalues have positive real part."""
    A = case.normal(n, n)
    return ((A - mH(A)) / 2 + case.positive_definite(n) / 3).astype(A.dtype)


@solve_sylvester.reference
def _(mp, A, B, Q):
    m, n = Q.shape
    # row by row: vec(A X) = (A ⊗ I) vec(X), vec(X B) = (I ⊗ Bᵀ) vec(X)
    return mp.solve(np.kron(A, mp.eye(n)) + np.kron(mp.eye(m), B.T), Q.reshape(-1)).reshape(m, n)


# -- Lyapunov ----------------------------------------------------------------------------------------------------------


@primitive("(n,n),(n,n)->(n,n)")
def solve_continuous_lyapunov(A, Q):
    """The solution X of the continuous Lyapunov equation A X + X Aᴴ = Q.

    Parameters
    ----------
    A : array (..., n, n)
    Q : array (..., n, n)
        Any matrix; X is Hermitian where Q is. float32, float64, complex64 or complex128. Batch dimensions broadcast.

    Returns
    -------
    array (..., n, n)
        Computed on the host, by SciPy; under XLA, which cannot call the host, an error says so.

    Raises
    ------
    LinAlgError of the array's library
        Two eigenvalues of A have λ = −conj(μ) to working precision (one alone: it is on the imaginary axis), so that no
        solution is the only one; A is not finite; the shapes do not fit, or a dtype is not floating point. (A NaN or an
        infinity in Q makes all of X NaN.)

    Notes
    -----
    Sylvester's equation with B = Aᴴ, for which one Schur decomposition is enough. Differentiated,

        A Ẋ + Ẋ Aᴴ = Q̇ − Ȧ X − X Ȧᴴ,

    an equation of the same kind. The adjoint of X ↦ A X + X Aᴴ is G ↦ Aᴴ G + G A, so that G =
    solve_continuous_lyapunov(Aᴴ, X̄) has ⟨X̄, Ẋ⟩ = ⟨G, Q̇ − Ȧ X − X Ȧᴴ⟩, and

        Q̄ = G,    Ā = −G Xᴴ − Gᴴ X.

    Source: Kao and Hennequin (2020), arXiv:2011.11430. Cost: one Schur decomposition for the function, one for either
    rule, and products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.solve_continuous_lyapunov(np.diag([-1.0, -2.0]), np.array([[-2.0, -3.0], [-3.0, -4.0]]))
    array([[1., 1.],
           [1., 1.]])
    """
    return namespace(A).on_host(continuous_lyapunov, A, Q)[0]


@solve_continuous_lyapunov.vjp
def _(X_bar, X, A, Q):
    @once
    def G():
        return solve_continuous_lyapunov(mH(A), X_bar)

    return lambda: -G() @ mH(X) - mH(G()) @ X, G


@solve_continuous_lyapunov.jvp
def _(X, A, Q):
    return lambda A_dot, Q_dot: solve_continuous_lyapunov(A, Q_dot - A_dot @ X - X @ mH(A_dot))


@solve_continuous_lyapunov.samples
def _(case):
    yield case(_shifted(case, 4), case.normal(4, 4))


@solve_continuous_lyapunov.reference
def _(mp, A, Q):
    return solve_sylvester.exact(mp, A, mp.mH(A), Q)


@primitive("(n,n),(n,n)->(n,n)")
def solve_discrete_lyapunov(A, Q):
    """The solution X of the discrete Lyapunov equation A X Aᴴ − X + Q = 0.

    Parameters
    ----------
    A : array (..., n, n)
        Need not be stable.
    Q : array (..., n, n)
        Any matrix; X is Hermitian where Q is. float32, float64, complex64 or complex128. Batch dimensions broadcast.

    Returns
    -------
    array (..., n, n)
        Computed on the host; under XLA, which cannot call the host, an error says so.

    Raises
    ------
    LinAlgError of the array's library
        Two eigenvalues of A have λ conj(μ) = 1 to working precision (one alone: it is on the unit circle), so that no
        solution is the only one; A is not finite; the shapes do not fit, or a dtype is not floating point. (A NaN or an
        infinity in Q makes all of X NaN.)

    Notes
    -----
    Differentiated,

        A Ẋ Aᴴ − Ẋ + (Q̇ + Ȧ X Aᴴ + A X Ȧᴴ) = 0,

    an equation of the same kind. The adjoint of X ↦ X − A X Aᴴ is G ↦ G − Aᴴ G A, so that
    G = solve_discrete_lyapunov(Aᴴ, X̄) has ⟨X̄, Ẋ⟩ = ⟨G, Q̇ + Ȧ X Aᴴ + A X Ȧᴴ⟩, and

        Q̄ = G,    Ā = G A Xᴴ + Gᴴ A X.

    Source: Kao and Hennequin (2020), arXiv:2011.11430. Cost: one complex Schur decomposition for the function, one for
    either rule, and products. There is no Kronecker product of size n², and no option `method`, as in SciPy.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.solve_discrete_lyapunov(np.diag([0.5, -1.0]) * 0.5, np.eye(2) * 0.75)
    array([[0.8, 0. ],
           [0. , 1. ]])
    """
    return namespace(A).on_host(discrete_lyapunov, A, Q)[0]


@solve_discrete_lyapunov.vjp
def _(X_bar, X, A, Q):
    @once
    def G():
        return solve_discrete_lyapunov(mH(A), X_bar)

    return lambda: G() @ (A @ mH(X)) + mH(G()) @ (A @ X), G


@solve_discrete_lyapunov.jvp
def _(X, A, Q):
    def X_dot(A_dot, Q_dot):
        return solve_discrete_lyapunov(A, Q_dot + A_dot @ X @ mH(A) + A @ X @ mH(A_dot))

    return X_dot


@solve_discrete_lyapunov.samples
def _(case):
    # one eigenvalue outside the unit circle, and no pair with λ conj(μ) near 1
    A = _shifted(case, 3)
    yield case((A / np.linalg.norm(A, axis=(-2, -1), keepdims=True)).astype(A.dtype), case.normal(3, 3))
    yield case(case.lower(3) * np.asarray(4, A.dtype), case.normal(3, 3))


@solve_discrete_lyapunov.reference
def _(mp, A, Q):
    n = len(A)
    # row by row: vec(A X Aᴴ) = (A ⊗ conj A) vec(X)
    return mp.solve(mp.eye(n * n) - np.kron(A, mp.conj(A)), Q.reshape(-1)).reshape(n, n)


# -- Riccati -----------------------------------------------------------------------------------------------------------


def _hermitian(A):
    return (A + mH(A)) / 2


# What E and S are where they are left out.
_ABSENT = {
    "E": lambda A, B, Q, R: namespace(A).eye_like(A) + namespace(A).zeros_like(A),  # with the batch of A
    "S": lambda A, B, Q, R, E: namespace(B).zeros_like(B),
}


def _over_E(E, F):
    """F E⁻¹."""
    return mH(namespace(E).solve(mH(E), mH(F), check=False))


def _out_of_E(E, M):
    """E⁻ᴴ M E⁻¹."""
    return _over_E(E, mH(_over_E(E, mH(M))))


@primitive("(n,n),(n,m),(n,n),(m,m),(n,n),(n,m)->(n,n)", hermitian=("Q", "R"), absent=_ABSENT)
def solve_continuous_are(A, B, Q, R, E=None, S=None):
    """The stabilising solution X of the continuous Riccati equation Aᴴ X + X A − X B R⁻¹ Bᴴ X + Q = 0.

    It gives the optimal feedback u = −R⁻¹ Bᴴ X x of a system ẋ = A x + B u whose cost is ∫ xᴴ Q x + uᴴ R u. With E and
    S the equation is

        Aᴴ X E + Eᴴ X A − (Eᴴ X B + S) R⁻¹ (Bᴴ X E + Sᴴ) + Q = 0,

    that of a system E ẋ = A x + B u whose cost has 2 Re xᴴ S u besides.

    Parameters
    ----------
    A : array (..., n, n)
    B : array (..., n, m)
    Q : array (..., n, n)
    R : array (..., m, m)
        float32, float64, complex64 or complex128. Q and R are Hermitian (their Hermitian parts are used, and their bars
        are Hermitian), R is invertible; neither has to be definite. Batch dimensions broadcast.
    E : array (..., n, n), optional
        Invertible; the identity where it is left out. SciPy's e.
    S : array (..., n, m), optional
        Zero where it is left out. SciPy's s.

    Returns
    -------
    array (..., n, n)
        Hermitian; all eigenvalues of E⁻¹ (A − B K), K = R⁻¹ (Bᴴ X E + Sᴴ), have negative real part. Computed on the
        host, in double precision; under XLA, which cannot call the host, an error says so.

    Raises
    ------
    LinAlgError of the array's library
        There is no stabilising solution to working precision; R or E is singular; an array is not finite; the shapes do
        not fit, or a dtype is not floating point.

    Notes
    -----
    With the feedback K = R⁻¹ (Bᴴ X E + Sᴴ) and the closed loop F = A − B K, the differential of the equation is

        Fᴴ Ẋ E + Eᴴ Ẋ F + M = 0,    M = Q̇ + Kᴴ Ṙ K + N + Nᴴ,    N = Eᴴ X (Ȧ − Ḃ K) + Ėᴴ X F − Ṡ K,

    where K̇ has cancelled out. With H = F E⁻¹, which is stable, this is a regular Lyapunov equation,
    Hᴴ Ẋ + Ẋ H + E⁻ᴴ M E⁻¹ = 0: Ẋ = solve_continuous_lyapunov(Hᴴ, −E⁻ᴴ M E⁻¹).

    Reverse. With P = solve_continuous_lyapunov(H, −sym(X̄)), that is H P + P Hᴴ + sym(X̄) = 0, and G = E⁻¹ P E⁻ᴴ,
    ⟨X̄, Ẋ⟩ = ⟨P, E⁻ᴴ M E⁻¹⟩ = ⟨G, M⟩, and as G is Hermitian

        Q̄ = G,    Ā = 2 X E G,    B̄ = −Ā Kᴴ,    R̄ = K G Kᴴ,    Ē = 2 X F G,    S̄ = −2 G Kᴴ.

    Source: Kao and Hennequin (2020), arXiv:2011.11430, for E = I and S = 0. Cost: the function takes a Schur
    decomposition of size 2n and a few of size n, a rule one of size n, and products. The equation is solved as that
    without E and S for E⁻¹ (A − B R⁻¹ Sᴴ), E⁻¹ B, Q − S R⁻¹ Sᴴ and Eᴴ X E, and corrected in its own terms.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> one = np.array([[1.0]])
    >>> overbar.solve_continuous_are(0.75 * one, one, one, one)  # x = 0.75 + √(0.75² + 1)
    array([[2.]])
    """
    return namespace(A).on_host(continuous_are, A, B, Q, R, E, S)[0]


def _of_unit_size(X, E):
    """e, e X and E/e, where e is as large as E: the solution for E is that for E/e over e."""
    xp = namespace(E)
    e = xp.cast(xp.power_of_two(E), E)
    return e, X * e, E / e


def _closed_loop(X, A, B, R, E, S):
    """c, c X, the feedback K and the closed loop F/c, where c is as large as F: X and G are as 1/F, Ā is as 1/F², and
    what is as 1/F³ on the way to second derivatives may leave the range of numbers."""
    xp = namespace(A)

    def feedback(B, X):
        return xp.solve(_hermitian(R), mH(B) @ X @ E + mH(S), check=False)

    c = xp.cast(xp.power_of_two(A - B @ feedback(B, X)), A)
    X, B = X * c, B / c
    K = feedback(B, X)
    return c, X, K, A / c - B @ K


@solve_continuous_are.vjp
def _(X_bar, X, A, B, Q, R, E, S):
    e, X, E = _of_unit_size(X, E)
    X_bar = X_bar / e

    @once
    def loop():
        c, Y, K, F = _closed_loop(X, A, B, R, E, S)
        P = solve_continuous_lyapunov(_over_E(E, F), -_hermitian(X_bar))
        return c, Y, K, F, _hermitian(mH(_out_of_E(mH(E), mH(P))))  # c G

    @once
    def A_bar():
        c, Y, _, _, G = loop()
        return 2 * (Y @ (E @ G)) / c / c

    def B_bar():
        return -A_bar() @ mH(loop()[2])

    def Q_bar():
        c, *_, G = loop()
        return G / c

    def R_bar():
        c, _, K, _, G = loop()
        return _hermitian(K @ G @ mH(K)) / c

    def E_bar():
        c, Y, _, F, G = loop()
        return 2 * (Y @ (F @ G)) / c / e

    def S_bar():
        c, _, K, _, G = loop()
        return -2 * (G @ mH(K)) / c

    return A_bar, B_bar, Q_bar, R_bar, E_bar, S_bar


@solve_continuous_are.jvp
def _(X, A, B, Q, R, E, S):
    e, X, E = _of_unit_size(X, E)

    def X_dot(A_dot, B_dot, Q_dot, R_dot, E_dot, S_dot):
        c, Y, K, F = _closed_loop(X, A, B, R, E, S)
        N = mH(E) @ (Y @ ((A_dot - B_dot @ K) / c)) + mH(E_dot / e) @ (Y @ F) - S_dot @ K
        M = _hermitian(Q_dot + 2 * N + mH(K) @ R_dot @ K)
        return _hermitian(solve_continuous_lyapunov(mH(_over_E(E, F)), -_out_of_E(E, M))) / c / e

    return X_dot


def _costs(case):
    """Q, R, E and S: [[Q, S], [Sᴴ, R]] is positive definite, even where those of a batch are mixed."""
    Q, R = ((case.positive_definite(n) + np.eye(n, dtype=case.dtype)) / 4 for n in (3, 2))  # at least 0.35
    E, S = np.eye(3, dtype=case.dtype) + case.square(3) / 4, case.normal(3, 2)
    return Q, R, E, (0.3 * S / np.linalg.norm(S, axis=(-2, -1), keepdims=True)).astype(case.dtype)


@solve_continuous_are.samples
def _(case):
    # so that each term of the rules is as large as the others
    costs = case.positive_definite(3) / 4, case.positive_definite(2) / 4
    yield case(-_shifted(case, 3), 2 * case.square(4)[..., :3, :2], *costs)
    yield case(-_shifted(case, 3), 2 * case.square(4)[..., :3, :2], *_costs(case))


@solve_continuous_are.reference
def _(mp, A, B, Q, R, E, S):
    start = continuous_are(*(mp.float(M) for M in (A, B, Q, R, E, S)))[0]
    Q, R, X = (Q + mp.mH(Q)) / 2, (R + mp.mH(R)) / 2, mp.array(start)
    V = mp.inverse(E)
    for _ in range(4):  # Newton's method from 8 digits or more
        K = mp.solve(R, mp.mH(B) @ X @ E + mp.mH(S))
        F = (A - B @ K) @ V
        Z = mp.mH(A) @ X @ E + mp.mH(E) @ X @ A - mp.mH(K) @ R @ K + Q
        X = X - solve_sylvester.exact(mp, mp.mH(F), F, mp.mH(V) @ Z @ V)
    return X


@primitive("(n,n),(n,m),(n,n),(m,m),(n,n),(n,m)->(n,n)", hermitian=("Q", "R"), absent=_ABSENT)
def solve_discrete_are(A, B, Q, R, E=None, S=None):
    """The stabilising solution X of the discrete Riccati equation.

    The equation is Aᴴ X A − X − Aᴴ X B (R + Bᴴ X B)⁻¹ Bᴴ X A + Q = 0. Its solution gives the optimal feedback
    uₖ = −K xₖ, K = (R + Bᴴ X B)⁻¹ Bᴴ X A, of a system xₖ₊₁ = A xₖ + B uₖ whose cost is Σ xₖᴴ Q xₖ + uₖᴴ R uₖ. With Aᴴ
    and Cᴴ for A and B it is the steady state of a Kalman filter. With E and S the equation is

        Aᴴ X A − Eᴴ X E − (Aᴴ X B + S) (R + Bᴴ X B)⁻¹ (Bᴴ X A + Sᴴ) + Q = 0,

    that of a system E xₖ₊₁ = A xₖ + B uₖ whose cost has 2 Re xₖᴴ S uₖ besides.

    Parameters
    ----------
    A : array (..., n, n)
    B : array (..., n, m)
    Q : array (..., n, n)
    R : array (..., m, m)
        float32, float64, complex64 or complex128. Q and R are Hermitian (their Hermitian parts are used, and their bars
        are Hermitian). Neither has to be definite, and R may be singular where R + Bᴴ X B is not. Batch dimensions
        broadcast.
    E : array (..., n, n), optional
        Invertible; the identity where it is left out. SciPy's e.
    S : array (..., n, m), optional
        Zero where it is left out. SciPy's s.

    Returns
    -------
    array (..., n, n)
        Hermitian; all eigenvalues of E⁻¹ (A − B K), K = (R + Bᴴ X B)⁻¹ (Bᴴ X A + Sᴴ), are within the unit circle.
        Computed on the host, in double precision; under XLA, which cannot call the host, an error says so.

    Raises
    ------
    LinAlgError of the array's library
        There is no stabilising solution to working precision; E is singular; an array is not finite; the shapes do not
        fit, or a dtype is not floating point.

    Notes
    -----
    With the feedback K and the closed loop F = A − B K, the equation is

        Eᴴ X E = Q + Kᴴ R K + Fᴴ X F − S K − Kᴴ Sᴴ,

    where a change of K has no effect: K makes the right side least. So the differential is

        Eᴴ Ẋ E = Fᴴ Ẋ F + M,    M = Q̇ + Kᴴ Ṙ K + N + Nᴴ,    N = Fᴴ X (Ȧ − Ḃ K) − Ėᴴ X E − Ṡ K.

    With H = F E⁻¹, which is stable, this is a regular Lyapunov equation, Hᴴ Ẋ H − Ẋ + E⁻ᴴ M E⁻¹ = 0:
    Ẋ = solve_discrete_lyapunov(Hᴴ, E⁻ᴴ M E⁻¹).

    Reverse. With P = solve_discrete_lyapunov(H, sym(X̄)), that is H P Hᴴ − P + sym(X̄) = 0, and G = E⁻¹ P E⁻ᴴ,
    ⟨X̄, Ẋ⟩ = ⟨P, E⁻ᴴ M E⁻¹⟩ = ⟨G, M⟩, and as G is Hermitian

        Q̄ = G,    Ā = 2 X F G,    B̄ = −Ā Kᴴ,    R̄ = K G Kᴴ,    Ē = −2 X E G,    S̄ = −2 G Kᴴ.

    Source: Kao and Hennequin (2020), arXiv:2011.11430, for E = I and S = 0. Cost: the function takes some ten products
    and solves of size n and a few Schur decompositions, a rule one, and products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> one = np.array([[1.0]])
    >>> overbar.solve_discrete_are(1.5**0.5 * one, one, one, one).round(12)  # x² − 1.5 x − 1 = 0
    array([[2.]])
    """
    return namespace(A).on_host(discrete_are, A, B, Q, R, E, S)[0]


def _discrete_loop(X, A, B, R, S):
    """The feedback K and the closed loop F."""
    K = namespace(A).solve(_hermitian(R) + mH(B) @ X @ B, mH(B) @ X @ A + mH(S), check=False)
    return K, A - B @ K


@solve_discrete_are.vjp
def _(X_bar, X, A, B, Q, R, E, S):
    # for A/e, B/e and E/e the solution is e² X
    e, X, E = _of_unit_size(X, E)
    A, B, X, X_bar = A / e, B / e, X * e, X_bar / e / e

    @once
    def loop():
        K, F = _discrete_loop(X, A, B, R, S)
        P = solve_discrete_lyapunov(_over_E(E, F), _hermitian(X_bar))
        return K, F, _hermitian(mH(_out_of_E(mH(E), mH(P))))

    @once
    def A_bar():
        _, F, G = loop()
        return 2 * (X @ F @ G) / e

    def R_bar():
        K, _, G = loop()
        return _hermitian(K @ G @ mH(K))

    return (
        A_bar,
        lambda: -A_bar() @ mH(loop()[0]),
        lambda: loop()[2],
        R_bar,
        lambda: -2 * (X @ E @ loop()[2]) / e,
        lambda: -2 * (loop()[2] @ mH(loop()[0])),
    )


@solve_discrete_are.jvp
def _(X, A, B, Q, R, E, S):
    e, X, E = _of_unit_size(X, E)
    A, B, X = A / e, B / e, X * e

    def X_dot(A_dot, B_dot, Q_dot, R_dot, E_dot, S_dot):
        K, F = _discrete_loop(X, A, B, R, S)
        N = mH(F) @ X @ ((A_dot - B_dot @ K) / e) - mH(E_dot / e) @ X @ E - S_dot @ K
        M = _hermitian(Q_dot + mH(K) @ R_dot @ K + 2 * N)
        return _hermitian(solve_discrete_lyapunov(mH(_over_E(E, F)), _out_of_E(E, M))) / e / e

    return X_dot


@solve_discrete_are.samples
def _(case):
    system = 0.75 * case.square(4)[..., :3, :3], case.square(4)[..., :3, :2]
    yield case(*system, case.positive_definite(3) / 4, case.positive_definite(2) / 4)
    yield case(*system, *_costs(case))


@solve_discrete_are.reference
def _(mp, A, B, Q, R, E, S):
    start = discrete_are(*(mp.float(M) for M in (A, B, Q, R, E, S)))[0]
    Q, R, X = (Q + mp.mH(Q)) / 2, (R + mp.mH(R)) / 2, mp.array(start)
    V = mp.inverse(E)
    for _ in range(4):
        BX = mp.mH(B) @ X
        K = mp.solve(R + BX @ B, BX @ A + mp.mH(S))
        SK = S @ K
        M = Q + mp.mH(K) @ R @ K - SK - mp.mH(SK)
        X = solve_discrete_lyapunov.exact(mp, mp.mH((A - B @ K) @ V), mp.mH(V) @ M @ V)
    return X
