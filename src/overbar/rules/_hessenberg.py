"""The reduction of a square matrix to Hessenberg form.

May import `overbar._namespace`, `overbar._primitive` and `overbar._kernel`.
"""

import numpy as np
import scipy.linalg

from overbar._kernel import kernel
from overbar._namespace import mH, namespace
from overbar._primitive import once, primitive


@kernel("(n,n)->(n,n),(n,n)", "==")
def gehrd(A):
    """SciPy's Hessenberg form H and the unitary Q."""
    if not np.isfinite(A).all():
        raise np.linalg.LinAlgError(
            "hessenberg: argument A is not finite. Remove or replace such entries before the call."
        )
    if len(A) == 2 and A.dtype.kind == "c":
        return _two(A)
    return scipy.linalg.hessenberg(A, calc_q=True, check_finite=False) if A.size else (A, A)


def _two(A):
    """What LAPACK does to the last column of larger complex matrices, and SciPy leaves out: it makes the subdiagonal
    real."""
    below = A[1, 0]
    if below.imag == 0:
        return A, np.eye(2, dtype=A.dtype)
    Q = np.diag([1, below / abs(below) * (-1 if below.real >= 0 else 1)]).astype(A.dtype)
    H = Q.conj() @ A @ Q
    H[1, 0] = H[1, 0].real
    return H, Q


@primitive("(n,n)->(n,n),(n,n)")
def hessenberg(A):
    """The Hessenberg form A = Q H Qᴴ: Q unitary, H zero below its first subdiagonal.

    Parameters
    ----------
    A : array (..., n, n)
        float32, float64, complex64 or complex128.

    Returns
    -------
    H : array (..., n, n)
        The subdiagonal is real. Its signs are those that LAPACK's reflectors leave, which are SciPy's, too: H[j + 1, j]
        has the opposite sign of (the real part of) what stood there when column j was reduced, and is just that where
        it is real and alone below the diagonal, as in the last column of a real matrix. (A 2 by 2 matrix SciPy returns
        as it is; a complex one has its subdiagonal made real here, as larger ones have.)
    Q : array (..., n, n)
        Its first column is that of the identity. (scipy.linalg.hessenberg returns it with ``calc_q=True`` only.)

    Raises
    ------
    LinAlgError of the array's library
        A is not square, or its dtype is not floating point.
    numpy.linalg.LinAlgError
        A is not finite. The derivative raises where there is none: a number on the subdiagonal of H, but for the last
        of a real matrix, is zero to rounding, so that the columns of Q behind it are arbitrary. (In a graph of
        TensorFlow's the error is an InvalidArgumentError or UnknownError with the same message.)

    Notes
    -----
    Q is determined by its first column, up to the signs of the others, unless there is a zero on the subdiagonal
    (the implicit Q theorem, Golub & Van Loan 2013, section 7.4.5). With F = Qᴴ Ȧ Q and the skew-Hermitian Ω = Qᴴ Q̇, of
    which the first column is zero,

        F = Ω H − H Ω + Ḣ.

    Below the subdiagonal Ḣ is zero, and Ω H − H Ω depends there on what is below the diagonal of Ω only, X:

        below(X H − H X) = below(F).

    Column j of these equations gives column j + 1 of X from those before it,

        Xᵢ,ⱼ₊₁ = (Fᵢⱼ − Σ_{k ≤ j} Xᵢₖ Hₖⱼ + Σ_{k > j} Hᵢₖ Xₖⱼ) / Hⱼ₊₁,ⱼ,    i > j + 1.

    Then Ω = X − Xᴴ + iΘ, with a diagonal Θ that keeps the subdiagonal real: with R = F − (X − Xᴴ) H + H (X − Xᴴ),
    θⱼ₊₁ − θⱼ = Im Rⱼ₊₁,ⱼ / Hⱼ₊₁,ⱼ, θ₀ = 0; none for real matrices. Finally Q̇ = Q Ω and Ḣ = F − Ω H + H Ω.

    Reverse, the same backwards. Ω̄ = Qᴴ Q̄ − H̄ Hᴴ + Hᴴ H̄, and with X̄ from Ω̄ − Ω̄ᴴ below the diagonal

        Ā = Q (H̄ + Y) Qᴴ,    Y Hᴴ − Hᴴ Y = X̄ below the diagonal but for the first column,

    with Y below the subdiagonal, column by column from the last; complex matrices have the adjoint of Θ besides. (The
    method is that of Giles 2008, section 3.1, for eigenvectors.) The values are computed on the host, by LAPACK's
    gehrd, and so are X and Y. Cost: 2n³ flops for either, in products of matrices with vectors, and eight products; the
    function takes 14n³/3.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A = np.array([[1.0, 2.0, 3.0], [3.0, 4.0, 5.0], [4.0, 6.0, 8.0]])
    >>> H, Q = overbar.hessenberg(A)
    >>> bool(np.allclose(Q @ H @ Q.T, A)), H[1, 0].round(6).item()
    (True, -5.0)
    """
    return namespace(A).on_host(gehrd, A)


# -- what is below the subdiagonal -------------------------------------------------------------------------------------


@kernel("(n,n),(n,n)->(n,n)", "=", stacked=True)
def hessenberg_commutator(H, F, *, adjoint):
    """The X below the diagonal, zero in its first column, for which X H − H X agrees with F below the subdiagonal. Or
    the adjoint: the Y below the subdiagonal for which Y Hᴴ − Hᴴ Y agrees with F where X may differ from zero."""
    kind = np.result_type(H, F)
    n, H = H.shape[-1], np.triu(H, -1)
    X = np.zeros(F.shape, kind)
    beside = np.diagonal(H, -1, -2, -1)
    small = 10 * n * np.finfo(kind).eps * abs(H).max((-2, -1), initial=0)[:, None]
    counted = n - 1 if kind.kind == "c" else n - 2  # the sign of the last number of a real matrix is its own
    zero = np.argwhere(abs(beside[:, : max(counted, 0)]) <= small)
    if len(zero):
        raise np.linalg.LinAlgError(
            f"hessenberg: number {zero[0, 1]} on the subdiagonal of H is zero, to rounding: the columns of Q behind it "
            "are arbitrary, and there is no derivative."
        )

    def times(A, x):
        return (A @ x[..., None])[..., 0]

    if not adjoint:
        for j in range(n - 2):
            rows = slice(j + 2, n)
            rest = F[:, rows, j] - times(X[:, rows, 1 : j + 1], H[:, 1 : j + 1, j])
            rest += times(H[:, rows, j + 1 :], X[:, j + 1 :, j])
            X[:, rows, j + 1] = rest / beside[:, j, None]
        return X
    G, C = mH(H), H.conj()
    for j in reversed(range(n - 2)):
        rows = slice(j + 2, n)
        rest = F[:, rows, j + 1] - times(X[:, rows, j + 1 :], C[:, j + 1, j + 1 :])
        rest += times(G[:, rows, j + 3 :], X[:, j + 3 :, j + 1])
        X[:, rows, j] = rest / C[:, j + 1, j, None]
    return X


@primitive("(n,n),(n,n)->(n,n)")
def hessenberg_rotation(H, F, *, adjoint=False):
    """What `hessenberg_commutator` computes. H counts on its subdiagonal and above only."""
    return namespace(H).on_host(hessenberg_commutator, H, F, adjoint=adjoint)[0]


# From Ẋ H − H Ẋ = Ḟ − X Ḣ + Ḣ X, below the subdiagonal.


@hessenberg_rotation.vjp
def _(X_bar, X, H, F, *, adjoint):
    Y = once(lambda: hessenberg_rotation(H, X_bar, adjoint=not adjoint))

    def H_bar():
        bar = X @ mH(Y()) - mH(Y()) @ X if adjoint else Y() @ mH(X) - mH(X) @ Y()
        return namespace(H).triu(bar, k=-1)

    return H_bar, Y


@hessenberg_rotation.jvp
def _(X, H, F, *, adjoint):
    def X_dot(H_dot, F_dot):
        H_dot = namespace(H).triu(H_dot, k=-1)
        if adjoint:
            H_dot = mH(H_dot)
        return hessenberg_rotation(H, F_dot - X @ H_dot + H_dot @ X, adjoint=adjoint)

    return X_dot


# -- the diagonal of Ω -------------------------------------------------------------------------------------------------


def _imaginary(d):
    """i Im d."""
    return (d - namespace(d).conj(d)) / 2


class _Phases:
    """iΘ, of complex matrices: its differences keep the subdiagonal real."""

    def __init__(self, H):
        xp = self.xp = namespace(H)
        self.n, self.beside = xp.shape(H)[-1], xp.diagonal(H, offset=-1)
        self.sums = xp.tril(xp.ones_like(H), k=-1)[..., :, :-1]  # of the first, the first two, … of n − 1 numbers

    def dot(self, R):
        steps = _imaginary(self.xp.diagonal(R, offset=-1)) / self.beside
        return self.xp.diagonal_embed((self.sums @ steps[..., :, None])[..., 0], self.n, self.n)

    def bar(self, Omega_bar):
        """The bar of R."""
        d = _imaginary(self.xp.diagonal(Omega_bar))
        steps = (mH(self.sums) @ d[..., :, None])[..., 0]
        return self.xp.diagonal_embed(steps / self.xp.conj(self.beside), self.n, self.n, -1)


@hessenberg.vjp
def _(bars, outputs, A):
    (H_bar, Q_bar), (H, Q) = bars, outputs
    xp = namespace(A)

    def A_bar():
        if 0 in A.shape[-2:]:
            return xp.zeros_like(A)
        Omega_bar, F_bar = 0, 0
        if H_bar is not None:
            F_bar = xp.triu(H_bar, k=-1)
            Omega_bar = mH(H) @ F_bar - F_bar @ mH(H)
        if Q_bar is not None:
            Omega_bar = Omega_bar + mH(Q) @ Q_bar
        if xp.is_complex(H):
            R_bar = _Phases(H).bar(Omega_bar)
            F_bar = F_bar + R_bar
            Omega_bar = Omega_bar + mH(H) @ R_bar - R_bar @ mH(H)
        F_bar = F_bar + hessenberg_rotation(H, Omega_bar - mH(Omega_bar), adjoint=True)
        return Q @ F_bar @ mH(Q)

    return (A_bar,)


@hessenberg.jvp
def _(outputs, A):
    H, Q = outputs
    xp = namespace(A)

    def dots(A_dot):
        if 0 in A.shape[-2:]:
            return xp.zeros_like(H), xp.zeros_like(Q)
        F = mH(Q) @ A_dot @ Q
        X = hessenberg_rotation(H, F)
        Omega = X - mH(X)
        if xp.is_complex(H):
            Omega = Omega + _Phases(H).dot(F - Omega @ H + H @ Omega)
        return xp.triu(F - Omega @ H + H @ Omega, k=-1), Q @ Omega

    return (dots,)


@hessenberg.samples
def _(case):
    for n in (4, 3):
        A = case.normal(n, n)
        yield case(A + 3 * np.eye(A.shape[-1], k=-1, dtype=A.dtype))  # no small number on the subdiagonal of H


@hessenberg.reference
def _(mp, A):
    # LAPACK's reflections, which take what is below the diagonal to −sign(Re of its first entry) times its norm
    n = len(A)
    H, Q = A.copy(), mp.eye(n) + A * 0
    for j in range(n - 1):
        v = H[j + 1 :, j].copy()
        if len(v) == 1 and v[0].imag == 0:
            continue
        norm = mp.context.sqrt((mp.abs(v) ** 2).sum())
        beta = -norm if v[0].real >= 0 else norm
        v[0] = v[0] - beta
        tau = mp.context.conj(-v[0] / beta)
        v = v / v[0]
        P = mp.eye(n)
        P[j + 1 :, j + 1 :] = P[j + 1 :, j + 1 :] - tau * (v[:, None] * mp.conj(v)[None, :])
        H, Q = P @ H @ mp.mH(P), Q @ mp.mH(P)
    return mp.triu(H, -1), Q
