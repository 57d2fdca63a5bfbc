"""Riccati equations, continuous and discrete.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar.kernels`, `rules.equal_values` and
`rules.equations`.
"""

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive
from overbar.kernels._riccati import continuous_are, discrete_are
from overbar.rules._equal_values import hermitian_part
from overbar.rules._equations import shifted, solve_continuous_lyapunov, solve_discrete_lyapunov, solve_sylvester

# -- Riccati -----------------------------------------------------------------------------------------------------------


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
    R
        Q and R are Hermitian (their Hermitian parts are used, and their bars are Hermitian), R is invertible; neither
        has to be definite.
    E
        Invertible; the identity where it is left out. SciPy's e.
    S
        Zero where it is left out. SciPy's s.

    Returns
    -------
    array (..., n, n)
        Hermitian; all eigenvalues of E⁻¹ (A − B K), K = R⁻¹ (Bᴴ X E + Sᴴ), have negative real part. Computed on the
        host, in double precision. Under XLA, which has no host, by the sign of the Hamiltonian matrix and Newton's
        method, and NaN where the host raises and where fewer than nine digits could be had.

    Raises
    ------
    LinAlgError of the array's library
        There is no stabilising solution to working precision; R or E is singular; an array is not finite.

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
    return front(A).compute(continuous_are, A, B, Q, R, E, S)[0]


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
        return xp.solve(hermitian_part(R), mH(B) @ X @ E + mH(S), check=False)

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
        P = solve_continuous_lyapunov(_over_E(E, F), -hermitian_part(X_bar))
        return c, Y, K, F, hermitian_part(mH(_out_of_E(mH(E), mH(P))))  # c G

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
        return hermitian_part(K @ G @ mH(K)) / c

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
        M = hermitian_part(Q_dot + 2 * N + mH(K) @ R_dot @ K)
        return hermitian_part(solve_continuous_lyapunov(mH(_over_E(E, F)), -_out_of_E(E, M))) / c / e

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
    yield case(-shifted(case, 3), 2 * case.square(4)[..., :3, :2], *costs)
    yield case(-shifted(case, 3), 2 * case.square(4)[..., :3, :2], *_costs(case))


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
    R
        Q and R are Hermitian (their Hermitian parts are used, and their bars are Hermitian). Neither has to be
        definite, and R may be singular where R + Bᴴ X B is not.
    E
        Invertible; the identity where it is left out. SciPy's e.
    S
        Zero where it is left out. SciPy's s.

    Returns
    -------
    array (..., n, n)
        Hermitian; all eigenvalues of E⁻¹ (A − B K), K = (R + Bᴴ X B)⁻¹ (Bᴴ X A + Sᴴ), are within the unit circle.
        Computed on the host, in double precision. Under XLA, which has no host, by doubling and Newton's method, and
        NaN where the host raises and where fewer than nine digits could be had.

    Raises
    ------
    LinAlgError of the array's library
        There is no stabilising solution to working precision; E is singular; an array is not finite.

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
    return front(A).compute(discrete_are, A, B, Q, R, E, S)[0]


def _discrete_loop(X, A, B, R, S):
    """The feedback K and the closed loop F."""
    K = namespace(A).solve(hermitian_part(R) + mH(B) @ X @ B, mH(B) @ X @ A + mH(S), check=False)
    return K, A - B @ K


@solve_discrete_are.vjp
def _(X_bar, X, A, B, Q, R, E, S):
    # for A/e, B/e and E/e the solution is e² X
    e, X, E = _of_unit_size(X, E)
    A, B, X, X_bar = A / e, B / e, X * e, X_bar / e / e

    @once
    def loop():
        K, F = _discrete_loop(X, A, B, R, S)
        P = solve_discrete_lyapunov(_over_E(E, F), hermitian_part(X_bar))
        return K, F, hermitian_part(mH(_out_of_E(mH(E), mH(P))))

    @once
    def A_bar():
        _, F, G = loop()
        return 2 * (X @ F @ G) / e

    def R_bar():
        K, _, G = loop()
        return hermitian_part(K @ G @ mH(K))

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
        M = hermitian_part(Q_dot + mH(K) @ R_dot @ K + 2 * N)
        return hermitian_part(solve_discrete_lyapunov(mH(_over_E(E, F)), _out_of_E(E, M))) / e / e

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
