"""Matrix equations: Sylvester, Lyapunov, Riccati.

May import NumPy, SciPy, `overbar.namespace`, `overbar.primitive` and `overbar.kernel`. No framework has a kernel for any
of them. The values are computed on the host, by Schur decompositions; the rules are made of the same equations.
"""

import numpy as np
import scipy.linalg

from overbar.kernel import kernel
from overbar.namespace import mH, namespace
from overbar.primitive import once, primitive

# Triangular equations up to this size go to LAPACK's trsyl, which works entry by entry; larger ones are halved.
SMALL = 32

# Two numbers count as equal where they differ by less than this many units of rounding of the matrices they come from.
CLOSE = 4


# -- on the host -------------------------------------------------------------------------------------------------------


def _finite(**arrays):
    """Refuse NaN and infinity, on which LAPACK's iterations need not end."""
    for name, A in arrays.items():
        if not np.isfinite(A).all():
            entry = tuple(np.argwhere(~np.isfinite(A))[0].tolist())
            raise np.linalg.LinAlgError(f"argument {name} is not finite: its entry {entry} is {A[entry]}.")


def _power_of_two(*arrays):
    """A power of 2 as large as the largest entry, by which dividing is exact; 1 where all are zero."""
    largest = max(float(abs(A).max(initial=0)) for A in arrays)
    return 2.0 ** np.clip(np.frexp(largest)[1], -1000, 1000) if largest else 1.0


def _schur(A):
    """T, Z and the eigenvalues of A = Z T Zᴴ; a real A has a T with 2 by 2 blocks."""
    if not len(A):
        return A, A, np.zeros(0, complex)
    gees = scipy.linalg.get_lapack_funcs("gees", (A,))
    # the first call asks for the best size of the workspace
    lwork = int(gees(lambda *_: None, A, lwork=-1)[-2][0].real)
    found = gees(lambda *_: None, A, lwork=lwork)
    if found[-1]:
        raise np.linalg.LinAlgError("the QR iteration for a Schur decomposition did not converge.")
    eigenvalues = found[2] + 1j * found[3] if A.dtype.kind == "f" else found[2]
    return found[0], found[-3], eigenvalues


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
            (trsyl,) = scipy.linalg.get_lapack_funcs(("trsyl",), (R, S, F))
            Y, scale, _ = trsyl(R, S, F, tranb="C" if adjoint else "N")
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


def _refuse_meeting(gap, size, dtype, problem):
    """Raise where the smallest of some differences of eigenvalues is rounding, of matrices of this size."""
    if gap <= CLOSE * np.finfo(dtype).eps * size:
        raise np.linalg.LinAlgError(f"{problem}: to working precision the equation is singular.")


@kernel("(m,m),(n,n),(m,n)->(m,n)")
def sylvester(A, B, Q):
    """The solution X of A X + X B = Q, by Bartels and Stewart (1972): with A = U R Uᴴ and B = V S Vᴴ the equation is
    R Y + Y S = Uᴴ Q V for Y = Uᴴ X V."""
    _finite(A=A, B=B, Q=Q)
    dtype = np.result_type(A, B, Q)
    scale, size = _power_of_two(A, B), _power_of_two(Q)
    R, U, ours = _schur((A / scale).astype(dtype))
    S, V, theirs = _schur((B / scale).astype(dtype))
    if not Q.size:
        return Q
    gap = abs(ours[:, None] + theirs).min()
    largest = max(abs(ours).max(), abs(theirs).max(), np.linalg.norm(R) / len(R), np.linalg.norm(S) / len(S))
    _refuse_meeting(gap, largest, dtype, "solve_sylvester: an eigenvalue of A is the negative of one of B")
    Y = _triangular_sylvester(R, S, U.conj().T @ (Q / size).astype(dtype) @ V)
    # one factor after the other: their product may overflow where the result does not
    return (U @ Y @ V.conj().T) / scale * size


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
        An eigenvalue of A is the negative of one of B, so that no solution is the only one; an array is not finite; the
        shapes do not fit, or a dtype is not floating point.

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
