"""Eigenvalues and eigenvectors of two matrices: A V = B V diag(w).

May import `overbar._namespace`, `overbar._primitive`, `rules.cholesky`, `rules.phases`, `rules.decompositions`,
`rules.equal_values` and `rules.eigen`.
"""

import numpy as np

from overbar._namespace import mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._cholesky import cholesky
from overbar.rules._decompositions import eigenpairs
from overbar.rules._eigen import exact_eigh, spread, unturned_bar, unturned_dots
from overbar.rules._equal_values import hermitian_part, untold
from overbar.rules._phases import exact_factor, fixed, turned_bar, turned_dot

# -- two matrices ------------------------------------------------------------------------------------------------------


@primitive("(n,n),(n,n)->(n),(n,n),(n,n),(t),(n,n)", intermediates=3, hermitian=("A", "B"))
def eigh_generalized(A, B):
    """The generalised eigenvalues and vectors of Hermitian A and positive definite B: A V = B V diag(w), Vᴴ B V = I.

    These are those of scipy.linalg.eigh(A, B) with type 1.

    Parameters
    ----------
    A
        Symmetric or Hermitian.
    B
        Symmetric or Hermitian positive definite. Of both only the lower triangle is read, and both bars come back
        Hermitian.

    Returns
    -------
    w : array (..., n)
        The eigenvalues, real, in ascending order.
    V : array (..., n, n)
        The eigenvectors, as columns. Their free factor is chosen: of the components of a column that are larger than
        nine tenths of the largest, the first is positive.

    Raises
    ------
    LinAlgError of the array's library
        As `eigh` for A, as `cholesky` for B; the message names A or B.

    Notes
    -----
    Value: with the Cholesky factor B = L Lᴴ, the eigenvalues of L⁻¹ A L⁻ᴴ, and V = L⁻ᴴ times its vectors.

    Rules. Put V̇ = V K into the derivatives of both equations, and multiply by Vᴴ; with C = Vᴴ Ȧ V, E = Vᴴ Ḃ V:

        C + diag(w) K = E diag(w) + K diag(w) + diag(ẇ),    Kᴴ + E + K = 0
        ⇒    ẇ = diag(C − E diag(w)),    Kᵢⱼ = Fᵢⱼ (Cᵢⱼ − Eᵢⱼ wⱼ),    Kᵢᵢ = −Eᵢᵢ/2,

    with F and the choice of free factors as in `eigh`, which this is for B = I. Moved off Ȧ and Ḃ, with Y = Vᴴ V̄ and
    M = F ∘ Y, and with (X + Xᴴ)/2 taken of both:

        Ā = V (diag(w̄) + M) Vᴴ,    B̄ = −V (diag(w̄ ∘ w) + M diag(w) + diag(Y)/2) Vᴴ.

    This is computed as that of the standard problem of L⁻¹ A L⁻ᴴ, whose vectors are Lᴴ V, for Ā, and then without F:
    with X = diag(w̄) + M and its Hermitian part, V X diag(w) Vᴴ has the Hermitian part of Ā A B⁻¹ and V (Y + Yᴴ) Vᴴ/4,
    and as B⁻¹ = V Vᴴ,

        B̄ = −Hermitian part of (Ā A V Vᴴ + V Vᴴ V̄ Vᴴ/2).

    At equal and close eigenvalues, what has a derivative, what is NaN and which mode loses what is as in `eigh`. There,
    a pair of equal ones keeps Kᵢⱼ = −Eᵢⱼ/2, so that Vᴴ B V = I holds. Source: Giles (2008), section 3.1, extended by
    the product rule. Cost: a Cholesky factorisation for the function, for the rules four triangular systems and three
    products for Ā, five products for B̄.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.eigh_generalized(np.array([[2.0, 1.0], [1.0, 2.0]]), 2 * np.eye(2))[0]
    array([0.5, 1.5])
    """
    xp = namespace(A, B)
    L = xp.cholesky(B, argument="B")
    w, Y = eigenpairs(_reduced(xp, L, from_lower.function(A)))
    V = fixed(xp.solve_triangular(L, Y, upper=False, adjoint=True))
    return w, V, *untold(V, w), L + xp.zeros_like(V)


def _reduced(xp, L, A):
    """L⁻¹ A L⁻ᴴ of Hermitian A."""
    half = xp.solve_triangular(L, A, upper=False)
    return hermitian_part(xp.solve_triangular(L, mH(half), upper=False))


@primitive("(n,n)->(n,n)", hermitian=("A",))
def from_lower(A):
    """The Hermitian matrix of which A has the lower triangle; its bar comes back Hermitian."""
    xp = namespace(A)
    return xp.tril(A) + mH(xp.tril(A, k=-1))


@from_lower.vjp
def _(H_bar, H, A):
    return (lambda: hermitian_part(H_bar),)


@from_lower.jvp
def _(H, A):
    return (hermitian_part,)


class _Standard:
    """The standard problem of L⁻¹ A L⁻ᴴ, B = L Lᴴ, whose vectors are Lᴴ V."""

    def __init__(self, outputs, A):
        w, V, *hidden, self.L = outputs
        self.xp = namespace(V)
        self.A = from_lower(A)
        self.H = _reduced(self.xp, self.L, self.A)
        self.outputs = w, mH(self.L) @ V, *hidden

    def solve(self, X, adjoint=False):
        return self.xp.solve_triangular(self.L, X, upper=False, adjoint=adjoint)


@eigh_generalized.vjp
def _(bars, outputs, A, B):
    (w_bar, V_bar, *hidden, L_bar), V, L = bars, outputs[1], outputs[-1]
    standard = once(lambda: _Standard(outputs, A))
    turned = once(lambda: turned_bar(V, V_bar))

    @once
    def A_bar():
        if w_bar is None and V_bar is None:
            return namespace(V).zeros_like(V)
        Y_bar = None if V_bar is None else standard().solve(turned())
        H_bar = unturned_bar("eigh_generalized", (w_bar, Y_bar, *hidden), standard().outputs, standard().H)
        half = standard().solve(H_bar, adjoint=True)
        return hermitian_part(standard().solve(mH(half), adjoint=True))

    def B_bar():
        found = A_bar() @ (standard().A @ (V @ mH(V)))
        if V_bar is not None:
            found = found + V @ ((mH(V) @ turned()) @ mH(V)) / 2
        found = -hermitian_part(found)
        return found if L_bar is None else found + cholesky.vjp_rule(L_bar, L, B, **cholesky.defaults)[0]()

    return A_bar, B_bar


@eigh_generalized.jvp
def _(outputs, A, B):
    V = outputs[1]

    def dots(A_dot, B_dot):
        standard = _Standard(outputs, A)
        Y = standard.outputs[1]
        E = mH(V) @ hermitian_part(B_dot) @ V
        # Vᴴ A V instead of diag(w), as a second derivative may turn the vectors of equal eigenvalues
        C = mH(V) @ hermitian_part(A_dot) @ V - hermitian_part(E @ (mH(V) @ standard.A @ V))
        w_dot, Y_dot, *hidden = unturned_dots(Y @ C @ mH(Y), standard.outputs, standard.H)
        (L_dot,) = cholesky.jvp_rule(outputs[-1], B, **cholesky.defaults)
        V_dot = standard.solve(Y_dot, adjoint=True) - V @ E / 2
        return w_dot, turned_dot(V, V_dot), *hidden, L_dot(B_dot)

    return dots


@eigh_generalized.samples
def _(case):
    B = case.positive_definite(4)
    B = case._cast(B / 4 + 1.25 * np.eye(B.shape[-1]))  # what the step of a finite difference moves is little then
    L = np.linalg.cholesky(B)
    A = L @ spread(case, 4) @ np.conj(np.swapaxes(L, -1, -2))
    yield case(case._cast((A + np.conj(np.swapaxes(A, -1, -2))) / 2), B)


@eigh_generalized.reference
def _(mp, A, B):
    H, L = mp.tril(A, 0) + mp.mH(mp.tril(A, -1)), mp.cholesky(B)
    w, Y = exact_eigh(mp, mp.mH(mp.solve(L, mp.mH(mp.solve(L, H)))))
    V = mp.solve(mp.mH(L), Y)
    for k in range(len(A)):
        V[:, k] = V[:, k] * exact_factor(mp, V[:, k])
    return w, V
