"""The bars and tangents of singular values, with derivatives of their own.

May import `overbar._namespace`, `overbar._primitive`, `rules.eigen`, `rules.equal_values` and `rules.singular_vectors`.
"""

import functools

from overbar._namespace import mH, namespace
from overbar._primitive import primitive
from overbar.rules._eigen import bar_in_told_basis, register_rules_of_values, values_along
from overbar.rules._equal_values import anywhere, differences, differences_along, hermitian_part
from overbar.rules._singular_vectors import Divisors, first_and_others, largest_entry


def values_bar(bars, factors, A):
    """U diag(s̄) Vᴴ, or that in the basis of which the intermediates' cotangents tell."""
    (_, S_bar, _, *told), (U, S, Vh, *hidden), xp = bars, factors, namespace(A)
    first = first_vectors(U, xp.cast(S, A), Vh)
    return bar_in_told_basis(svd_values_bar, SingularValues, S_bar, told, A, first, hidden)


def first_vectors(U, S, Vh):
    """U, S and Vᴴ, reduced."""
    k = S.shape[-1] if S.shape[-1] is not None else namespace(S).shape(S)[-1]
    return first_and_others(U, k)[0], S, mH(first_and_others(mH(Vh), k)[0])


class SingularValues:
    """How the singular values of A = U diag(σ) Vᴴ move along E; as `overbar.rules._eigen.Eigenvalues` for those of
    [0 A; Aᴴ 0]."""

    def __init__(self, E, U, S, Vh):
        self.xp, self.E, self.U, self.S, self.Vh, self.factors = namespace(U), E, U, S, Vh, (U, S, Vh)
        self.ascending = -self.xp.real(S)

    @functools.cached_property
    def M(self):
        """E between the vectors, Uᴴ E V = H + J."""
        return mH(self.U) @ self.E @ mH(self.Vh)

    @functools.cached_property
    def C(self):
        """H, Hermitian."""
        return hermitian_part(self.M)

    @functools.cached_property
    def J(self):
        """J, antihermitian."""
        return (self.M - mH(self.M)) / 2

    def turned_factors(self, B):
        return self.U @ B, self.S, mH(B) @ self.Vh

    def turned(self, B):
        found = SingularValues(self.E, *self.turned_factors(B))
        found.M = mH(B) @ self.M @ B
        return found

    def outer(self, M):
        return self.U @ M @ self.Vh

    def scaled(self, c):
        return (self.U * c[..., None, :]) @ self.Vh

    def along(self, c, block, c_dot=None):
        xp, E, U, Vh, M = self.xp, self.E, self.U, self.Vh, self.M
        if 0 in E.shape[-2:]:
            return xp.zeros_like(E)
        real = xp.real(self.S)
        divide = Divisors(xp, E, real)
        T = (c[..., None, :] + c[..., :, None]) * xp.cast(divide.of_sums(), E)
        if c_dot is None:
            inside = differences(c, self.S, block) * self.C
        else:
            D = differences_along(c, c_dot, xp.diagonal(self.C), self.S, block)
            inside = D * self.C + c_dot[..., None, :] * xp.eye_like(M)
        found = self.outer(inside + T * self.J)
        over = c * xp.cast(divide.of_values()[..., 0, :], E)
        zero = real <= divide.rounding
        small = 1e3 * xp.rounding(E) * largest_entry(xp, E)
        hit = anywhere(zero[..., None, :] & zero[..., :, None] & (xp.abs(M) > small))
        m, n = E.shape[-2:]
        k = c.shape[-1]
        if m is None or m != k:
            rest = E @ mH(Vh) - U @ M
            found = found + (rest * over[..., None, :]) @ Vh
            hit = hit | xp.any(zero & (xp.max(xp.abs(rest), axis=-2) > small[..., 0]), axis=-1)
        if n is None or n != k:
            rest = mH(U) @ E - M @ Vh
            found = found + U @ (over[..., :, None] * rest)
            hit = hit | xp.any(zero & (xp.max(xp.abs(rest), axis=-1) > small[..., 0]), axis=-1)
        return xp.where(hit[..., None, None], float("nan") * xp.ones_like(found), found)

    def straight(self, E):
        return self.xp.cast(self.xp.real(self.xp.sum(self.xp.conj(self.U) * (E @ mH(self.Vh)), axis=-2)), E)

    def bent(self, other):
        xp, E, U, V = self.xp, self.E, self.U, mH(self.Vh)
        divide = Divisors(xp, E, xp.real(self.S))
        bent = xp.conj(self.J) * other.J * xp.cast(divide.of_sums(), E)
        bent = 2 * xp.sum(xp.real(bent - xp.conj(self.C) * other.C * xp.cast(divide.of_gaps(), E)), axis=-1)
        for left, right, W in ((E @ V, other.E @ V, U), (mH(E) @ U, mH(other.E) @ U, V)):
            across = xp.sum(xp.real(xp.conj(left - W @ (mH(W) @ left)) * right), axis=-2)
            bent = bent + across * divide.of_values()[..., 0, :]
        return bent


@primitive("(k),(m,n),(m,k),(k),(k,n),(m,n),(k)->(m,n)")
def svd_values_bar(S_bar, A, U, S, Vh, N, norm):
    """Ā of singular values, U diag(s̄) Vᴴ, with rules of its own for second derivatives.

    A function of s̄ and A, as `spectral_bar` of [0 A; Aᴴ 0]: with Uᴴ Ȧ V = H + J, H Hermitian and J
    antihermitian,

        Ā̇ = U (D ∘ H + T ∘ J + diag(s̄̇)) Vᴴ + (I − UUᴴ) Ȧ V diag(s̄/σ) Vᴴ + U diag(s̄/σ) Uᴴ Ȧ (I − VVᴴ),

    Dᵢⱼ = (s̄ᵢ − s̄ⱼ)/(σᵢ − σⱼ) and Tᵢⱼ = (s̄ᵢ + s̄ⱼ)/(σᵢ + σⱼ); in a block of equal singular values other than zero, D
    has a limit that s̄̇ tells in the basis which diagonalises H there. Where several are zero, or one of a matrix that
    is not square, and Ȧ moves them, Ā̇ is NaN.
    """
    return (U * S_bar[..., None, :]) @ Vh


@primitive("(m,n),(m,n),(m,k),(k),(k,n),(m,n),(k)->(k)")
def svd_directional(A_dot, A, U, S, Vh, N, norm):
    """Ṡ, the adjoint of `svd_values_bar`."""
    return values_along(SingularValues(A_dot, U, S, Vh))


register_rules_of_values(svd_values_bar, svd_directional, SingularValues)
