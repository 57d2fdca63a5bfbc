"""The bars and tangents of singular values, with derivatives of their own.

May import `overbar._namespace`, `overbar._primitive`, `rules.decompositions`, `rules.eigen`,
`rules.equal_values` and `rules.singular_vectors`.
"""

import functools

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive
from overbar.rules._decompositions import singular_triples
from overbar.rules._eigen import bar_in_told_basis, register_rules_of_values, values_along
from overbar.rules._equal_values import (
    EQUAL,
    blocks,
    crossing,
    differences,
    differences_along,
    hermitian_part,
    is_told,
    is_weight,
    largest_of,
    nan_where,
    norm_of,
    parted,
    together,
)
from overbar.rules._singular_vectors import Divisors, first_and_others, inside_and_outside


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
    [0 A; Aᴴ 0]. The zero ones among them share a basis of their own, see `svd_values_bar`."""

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

    # -- at zero

    @functools.cached_property
    def zero(self):
        """Which of the values are zero, or equal to one that is."""
        xp, S, block = self.xp, -self.ascending, blocks(self.ascending)
        bound = xp.maximum(EQUAL * xp.eps(S) * S[..., :1], xp.rounding(self.E) * S[..., :1])
        return xp.equal(block, block[..., -1:]) & (S[..., -1:] <= bound)

    @property
    def has_zero(self):
        return self.xp.any(self.zero, axis=-1)[..., None]

    def none_zero(self):
        """Whether it can be seen that none is zero."""
        return not front(self.zero).may_hold(self.zero)

    @functools.cached_property
    def others(self):
        """The vectors to values that are not zero; 0 in place of those to zero."""
        xp = self.xp
        keep = xp.cast(xp.where(self.zero, 0 * self.ascending, 0 * self.ascending + 1), self.U)
        return self.U * keep[..., None, :], self.Vh * keep[..., :, None]

    @functools.cached_property
    def P(self):
        """What moves zero ones, (I − U₊U₊ᴴ) E (I − V₊V₊ᴴ) with the vectors to all others; 0 where it is rounding."""
        xp, (U, Vh), P = self.xp, self.others, self.E
        P = P - U @ (mH(U) @ P)
        P = P - (P @ mH(Vh)) @ Vh
        size = norm_of(P)[..., None]
        moved = self.has_zero[..., None] & (size > 1e3 * xp.rounding(self.E) * norm_of(self.E)[..., None])
        return xp.where(moved, P, xp.zeros_like(P))

    @functools.cached_property
    def aligned(self):
        """The singular vectors and values of P, in the places of the zero ones, and which matrices have any."""
        if self.none_zero():
            return None
        xp, size = self.xp, norm_of(self.P)[..., None]
        moved = (size > 0) & xp.isfinite(size)

        def found():
            U, Vh = self.others
            one = xp.cast(xp.where(moved, size, xp.ones_like(size)), self.P)
            # the others are larger, and come first: what is zero stays in its place
            both = xp.detached(xp.where(moved, self.P / one, xp.zeros_like(self.P)) + 2 * (U @ Vh))
            both = xp.where(xp.isfinite(norm_of(both)[..., None]), both, xp.zeros_like(both))
            P, u, Qh = singular_triples(both)
            return P, u * size[..., 0], Qh

        changes = front(moved).only_if(
            moved, found, lambda: (0 * self.P @ mH(self.Vh), 0 * self.ascending, 0 * self.Vh)
        )
        return None if changes is None else (*changes, self.zero & moved[..., 0])

    # -- the words

    def parted(self, block):
        return parted(block, self.zero)

    def within(self, block):
        xp, C = self.xp, self.C
        zero = self.zero[..., None, :] & self.zero[..., :, None]
        return xp.where(zero, xp.zeros_like(C), together(block, C) * C)

    def size(self, C):
        return norm_of(C) if self.none_zero() else norm_of(C) + norm_of(self.P)

    def told(self, C):
        return self.outer(C) if self.none_zero() else self.outer(C) + self.P

    def turned_factors(self, B):
        xp, U, Vh = self.xp, self.U @ B, mH(B) @ self.Vh
        if self.aligned is not None:
            P, _, Qh, moved = self.aligned
            U, Vh = xp.where(moved[..., None, :], P, U), xp.where(moved[..., :, None], Qh, Vh)
        return U, self.S, Vh

    def turned(self, B):
        found = SingularValues(self.E, *self.turned_factors(B))
        if self.aligned is None:
            found.M = mH(B) @ self.M @ B
        return found

    def diagonal(self, C, B):
        xp, found = self.xp, self.xp.sum(self.xp.conj(B) * (C @ B), axis=-2)
        if self.aligned is None:
            return found
        _, u, _, moved = self.aligned
        return xp.where(moved, xp.cast(u, found), found)

    def outer(self, M):
        return self.U @ M @ self.Vh

    def scaled(self, c):
        return (self.U * c[..., None, :]) @ self.Vh

    def along(self, c, block, c_dot=None):
        xp, E, U, Vh, M, zero = self.xp, self.E, self.U, self.Vh, self.M, self.zero
        if 0 in E.shape[-2:]:
            return xp.zeros_like(E)
        real = xp.real(self.S)
        divide = Divisors(xp, E, real)
        both = zero[..., None, :] & zero[..., :, None]
        over_sums = xp.where(both, xp.zeros_like(real[..., None]), divide.of_sums())
        T = (c[..., None, :] + c[..., :, None]) * xp.cast(over_sums, E)
        if c_dot is None:
            inside = differences(c, self.S, block) * self.C
        else:
            D = differences_along(c, c_dot, xp.diagonal(self.C), self.S, block)
            inside = D * self.C + c_dot[..., None, :] * xp.eye_like(M)
        found = self.outer(inside + T * self.J)
        over = c * xp.cast(xp.where(zero, xp.zeros_like(real), divide.of_values()[..., 0, :]), E)
        m, n = E.shape[-2:]
        k = c.shape[-1]
        if m is None or m != k:
            rest = E @ mH(Vh) - U @ M
            found = found + (rest * over[..., None, :]) @ Vh
        if n is None or n != k:
            rest = mH(U) @ E - M @ Vh
            found = found + U @ (over[..., :, None] * rest)
        if self.none_zero():
            return found
        size = xp.abs(c)
        kink = xp.any(zero & (size > xp.eps(size) ** 0.5 * largest_of(size)), axis=-1)[..., None, None]
        hit = kink & (norm_of(self.P)[..., None] > 0)
        return nan_where(hit, found)

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

    def crossed_by(self, other, block):
        xp = self.xp
        crossed = crossing(other.within(block), block, other.E)
        if self.none_zero():
            return crossed
        # of P only the diagonal, in the order of singular values
        zero, u, size = self.zero, xp.real(xp.diagonal(other.M)), norm_of(other.E)
        u = xp.where(zero, u, xp.zeros_like(u))
        rest = norm_of(other.P - (self.U * xp.cast(u, self.U)[..., None, :]) @ self.Vh)
        small = 1e4 * xp.eps(u) * size
        falls = xp.any(zero[..., :-1] & (u[..., 1:] - u[..., :-1] > small), axis=-1) | xp.any(u < -small, axis=-1)
        return crossed | (zero & (falls[..., None] | (rest > small)))


@primitive("(k),(m,n),(m,k),(k),(k,n),(m,n),(t)->(m,n)")
def svd_values_bar(S_bar, A, U, S, Vh, N, norm):
    """Ā of singular values, U diag(s̄) Vᴴ, with rules of its own for second derivatives.

    A function of s̄ and A, as `spectral_bar` of [0 A; Aᴴ 0]: with Uᴴ Ȧ V = H + J, H Hermitian and J
    antihermitian,

        Ā̇ = U (D ∘ H + T ∘ J + diag(s̄̇)) Vᴴ + (I − UUᴴ) Ȧ V diag(s̄/σ) Vᴴ + U diag(s̄/σ) Uᴴ Ȧ (I − VVᴴ),

    Dᵢⱼ = (s̄ᵢ − s̄ⱼ)/(σᵢ − σⱼ) and Tᵢⱼ = (s̄ᵢ + s̄ⱼ)/(σᵢ + σⱼ); in a block of equal singular values other than zero, D
    has a limit that s̄̇ tells in the basis which diagonalises H there.

    A symmetric function z of singular values is smooth at zero ones if it is even in each, and so as a function of A.
    Then s̄ = 0 there. With U₊, V₊ for the vectors to all others, Ȧ moves the zero ones by the singular values u of P =
    (I − U₊U₊ᴴ) Ȧ (I − V₊V₊ᴴ); and s̄̇ = h u with the second derivative h of z by any of them, as mixed ones are zero. In
    [0 A; Aᴴ 0] they are one block with all vectors that complete U and V to a basis, and D has there the limit h. So
    what Ā̇ has of it is h P, by diag(s̄̇) in the basis of the singular vectors of P. Where s̄ is not zero, z has a kink
    as |σ|: if Ȧ moves the zero ones, Ā̇ is NaN.
    """
    return (U * S_bar[..., None, :]) @ Vh


@primitive("(m,n),(m,n),(m,k),(k),(k,n),(m,n),(t)->(k)")
def svd_directional(A_dot, A, U, S, Vh, N, norm):
    """Ṡ, the adjoint of `svd_values_bar`."""
    return values_along(SingularValues(A_dot, U, S, Vh))


register_rules_of_values(svd_values_bar, svd_directional, SingularValues)


# -- vectors to zero singular values whose weights vanish there


@primitive("(m,n),(m,n),(m,k),(k),(k,n),(t)->(m,n)")
def bar_at_rank(A_bar, A, U, S, Vh, where):
    """Ā, whose derivative is NaN along what moves the zero singular values of A, for matrices where there is a one.

    That is where the cotangents are `vanishing`. Along changes which keep the rank, the weights f(σ) stay zero. Others
    move weights and vectors at once: u and v are then singular vectors of P, see `svd_values_bar`, and not those that
    the kernel found.
    """
    return A_bar


def _nan_across(E, U, S, Vh, where, found):
    """What was found, and NaN where E moves zero singular values and `where`, (..., 1), has a one."""
    xp = namespace(E)
    moved = norm_of(SingularValues(E, U, S, Vh).P) > 0
    return nan_where((moved & (xp.real(where) > 0))[..., None], found)


@bar_at_rank.vjp
def _(C_bar, A_bar, _, A, U, S, Vh, where):
    zero = namespace(A).zeros_like(A)
    return lambda: C_bar, lambda: _nan_across(C_bar, U, S, Vh, where, zero + 0 * C_bar), None, None, None, None


@bar_at_rank.jvp
def _(A_bar, _, A, U, S, Vh, where):
    return lambda dot: dot, lambda A_dot: _nan_across(A_dot, U, S, Vh, where, 0 * A_dot), None, None, None, None


@primitive("(m,p),(q,n),(m,n),(m,n),(m,p),(k),(q,n)->(m,p),(q,n)")
def vectors_dot_at_rank(U_dot, Vh_dot, A_dot, A, U, S, Vh):
    """U̇ and V̇ᴴ along Ȧ, of which A gets a bar that is NaN where that of `bar_at_rank` has no derivative along Ȧ."""
    return U_dot, Vh_dot


@vectors_dot_at_rank.vjp
def _(bars, dots, U_dot, Vh_dot, A_dot, A, U, S, Vh):
    xp = namespace(A)
    U_bar, Vh_bar = (xp.zeros_like(dot) if bar is None else bar for bar, dot in zip(bars, dots, strict=True))

    def A_bar():
        where, found = vanishing(U_bar, Vh_bar, A, U, xp.real(S), Vh), xp.zeros_like(A) + 0 * A_dot
        return found if where is None else _nan_across(A_dot, *first_vectors(U, S, Vh), where, found)

    return lambda: U_bar, lambda: Vh_bar, lambda: xp.zeros_like(A_dot), A_bar, None, None, None


@vectors_dot_at_rank.jvp
def _(dots, U_dot, Vh_dot, A_dot, A, U, S, Vh):
    return lambda dot: (dot, None), lambda dot: (None, dot), None, None, None, None, None


def zero_values(A, S):
    """Which singular values are zero, to rounding."""
    return namespace(A).rounding(A) * S[..., :1] >= S


def vanishing(U_bar, Vh_bar, A, U, S, Vh):
    """For which matrices vectors to zero singular values have cotangents with the weight of a function of σ that is
    zero at 0, as V f(S) Uᴴ y gives them, beside others: see `is_weight`. As ones and zeros (..., 1); None where it is
    seen to hold nowhere.

    A vector that is unique up to its sign has no part in it, nor has one that the loss does not tell from others.
    """
    xp, zero = namespace(A), zero_values(A, S)

    def found():
        k, parts = xp.shape(S)[-1], []
        for V, V_bar, rows in ((U, U_bar, A.shape[-2]), (mH(Vh), mH(Vh_bar), A.shape[-1])):
            X, rest = inside_and_outside(xp, V, V_bar, k, rows)
            X = xp.where(zero[..., :, None], xp.abs(X[..., :k]), 0 * xp.abs(X[..., :k]))
            told = xp.max(X * xp.real(1 - xp.eye_like(X)), axis=-2)
            if rest is not None:
                told = xp.maximum(told, xp.max(xp.abs(rest), axis=-2))
            parts.append((told, xp.max(xp.abs(V_bar), axis=-2)[..., :k]))
        largest = largest_of(sum(size for _, size in parts))
        there = zero & ~zero
        for told, size in parts:
            # by chance of the basis a vector may have a small one, but not all of them
            of_zero = xp.max(xp.where(zero, size, 0 * size), axis=-1)[..., None]
            weighted = is_weight(of_zero, largest, xp.rounding(A))
            there = there | (zero & is_told(told, size, xp.rounding(A)) & weighted)
        one = xp.ones_like(largest)
        return (xp.where(xp.any(there, axis=-1)[..., None], one, 0 * one),)

    found = front(zero).only_if(zero, found, lambda: (0 * S[..., :1],))
    return None if found is None else found[0]
