"""The reduction of a square matrix to Hessenberg form.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar.kernels`, and `phases` and `schur` of the
rules.
"""

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive
from overbar.kernels._hessenberg import gehrd, hessenberg_commutator
from overbar.rules._phases import imaginary
from overbar.rules._schur import register_rules_of_commutator


@primitive("(n,n)->(n,n),(n,n)")
def hessenberg(A):
    """The Hessenberg form A = Q H Qᴴ: Q unitary, H zero below its first subdiagonal.

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
    return front(A).compute(gehrd, A)


# -- what is below the subdiagonal -------------------------------------------------------------------------------------


@primitive("(n,n),(n,n)->(n,n)")
def hessenberg_rotation(H, F, *, adjoint=False):
    """What `hessenberg_commutator` computes. H counts on its subdiagonal and above only."""
    return front(H).compute(hessenberg_commutator, H, F, adjoint=adjoint)[0]


register_rules_of_commutator(hessenberg_rotation, lambda H, X: namespace(H).triu(X, k=-1))


# -- the diagonal of Ω -------------------------------------------------------------------------------------------------


class _Phases:
    """iΘ, of complex matrices: its differences keep the subdiagonal real."""

    def __init__(self, H):
        xp = self.xp = namespace(H)
        self.n, self.beside = xp.shape(H)[-1], xp.diagonal(H, offset=-1)
        self.sums = xp.tril(xp.ones_like(H), k=-1)[..., :, :-1]  # of the first, the first two, … of n − 1 numbers

    def dot(self, R):
        steps = imaginary(self.xp.diagonal(R, offset=-1)) / self.beside
        return self.xp.diagonal_embed((self.sums @ steps[..., :, None])[..., 0], self.n, self.n)

    def bar(self, Omega_bar):
        """The bar of R."""
        d = imaginary(self.xp.diagonal(Omega_bar))
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
