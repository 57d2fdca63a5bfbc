"""Matrix equations: Sylvester's and Lyapunov's.

May import NumPy, `overbar._namespace`, `overbar._primitive` and `overbar.kernels`. No framework has a kernel for
any of them: the values are computed on the host, by Schur decompositions, and under XLA by such of our own. The rules
are made of the same equations.
"""

import numpy as np

from overbar._namespace import front, mH
from overbar._primitive import once, primitive
from overbar.kernels._matrix_equations import continuous_lyapunov, discrete_lyapunov, sylvester

# -- Sylvester ---------------------------------------------------------------------------------------------------------


@primitive("(m,m),(n,n),(m,n)->(m,n)")
def solve_sylvester(A, B, Q):
    """The solution X of Sylvester's equation A X + X B = Q.

    Returns
    -------
    array (..., m, n)
        Computed on the host, by SciPy; under XLA, which cannot call the host, by Schur forms of its own.

    Raises
    ------
    LinAlgError of the array's library
        An eigenvalue of A is the negative of one of B, so that no solution is the only one; A or B is not finite. (A
        NaN or an infinity in Q makes all of X NaN. Under XLA, which cannot raise, X is NaN.)

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
    return front(A).compute(sylvester, A, B, Q)[0]


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
    yield case(shifted(case, 3), shifted(case, 4), case.normal(3, 4))


def shifted(case, n):
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
    Q
        Any matrix; X is Hermitian where Q is.

    Returns
    -------
    array (..., n, n)
        Computed on the host, by SciPy; under XLA, which cannot call the host, by Schur forms of its own.

    Raises
    ------
    LinAlgError of the array's library
        Two eigenvalues of A have λ = −conj(μ) to working precision (one alone: it is on the imaginary axis), so that no
        solution is the only one; A is not finite. (A NaN or an infinity in Q makes all of X NaN. Under XLA, which
        cannot raise, X is NaN.)

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
    return front(A).compute(continuous_lyapunov, A, Q)[0]


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
    yield case(shifted(case, 4), case.normal(4, 4))


@solve_continuous_lyapunov.reference
def _(mp, A, Q):
    return solve_sylvester.exact(mp, A, mp.mH(A), Q)


@primitive("(n,n),(n,n)->(n,n)")
def solve_discrete_lyapunov(A, Q):
    """The solution X of the discrete Lyapunov equation A X Aᴴ − X + Q = 0.

    Parameters
    ----------
    A
        Need not be stable.
    Q
        Any matrix; X is Hermitian where Q is.

    Returns
    -------
    array (..., n, n)
        Computed on the host; under XLA, which cannot call the host, by a Schur form of its own.

    Raises
    ------
    LinAlgError of the array's library
        Two eigenvalues of A have λ conj(μ) = 1 to working precision (one alone: it is on the unit circle), so that no
        solution is the only one; A is not finite. (A NaN or an infinity in Q makes all of X NaN. Under XLA, which
        cannot raise, X is NaN.)

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
    return front(A).compute(discrete_lyapunov, A, Q)[0]


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
    A = shifted(case, 3)
    yield case((A / np.linalg.norm(A, axis=(-2, -1), keepdims=True)).astype(A.dtype), case.normal(3, 3))
    yield case(case.lower(3) * np.asarray(4, A.dtype), case.normal(3, 3))


@solve_discrete_lyapunov.reference
def _(mp, A, Q):
    n = len(A)
    # row by row: vec(A X Aᴴ) = (A ⊗ conj A) vec(X)
    return mp.solve(mp.eye(n * n) - np.kron(A, mp.conj(A)), Q.reshape(-1)).reshape(n, n)
