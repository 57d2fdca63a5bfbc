"""The bars and tangents of singular values, with derivatives of their own.

May import `overbar._namespace`, `overbar._primitive`, `rules.eigen`, `rules.equal_values` and `rules.singular_vectors`.
"""

from overbar._namespace import mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._eigen import common_basis, told_basis
from overbar.rules._equal_values import (
    anywhere,
    blocks,
    crossing,
    differences,
    differences_along,
    hermitian_part,
    packed,
    smooth_blocks,
    together,
)
from overbar.rules._singular_vectors import Divisors, first_and_others, largest_entry

# -- second derivatives of values


def values_bar(bars, factors, A):
    """U diag(s̄) Vᴴ, or that in the basis of which the hidden outputs' cotangents tell."""
    (_, S_bar, _, N_bar, norm_bar), (U, S, Vh, N, norm), xp = bars, factors, namespace(A)
    k = xp.shape(S)[-1]
    (U, _), (V, _) = first_and_others(U, k), first_and_others(mH(Vh), k)
    c, S_like = xp.cast(S_bar, A), xp.cast(S, A)
    if N_bar is None or 0 in A.shape[-2:]:
        return svd_values_bar(c, A, U, S_like, mH(V), N, norm)
    B, lost, change = told_basis(hermitian_part(mH(U) @ N_bar @ V), norm_bar, -S, S_bar)
    found = svd_values_bar(c, A, U @ B, S_like, mH(V @ B), N, norm) + U @ change @ mH(V)
    return xp.where(lost[..., None, None], float("nan") * xp.ones_like(found), found)


@primitive("(k),(m,n),(m,k),(k),(k,n),(m,n),(k)->(m,n)")
def svd_values_bar(S_bar, A, U, S, Vh, N, norm):
    """Ā of singular values, U diag(s̄) Vᴴ, with rules of its own for second derivatives.

    A function of s̄ and A, as `overbar.rules.eigen.spectral_bar` of [0 A; Aᴴ 0]: with Uᴴ Ȧ V = H + J, H Hermitian and J
    antihermitian,

        Ā̇ = U (D ∘ H + T ∘ J + diag(s̄̇)) Vᴴ + (I − UUᴴ) Ȧ V diag(s̄/σ) Vᴴ + U diag(s̄/σ) Uᴴ Ȧ (I − VVᴴ),

    Dᵢⱼ = (s̄ᵢ − s̄ⱼ)/(σᵢ − σⱼ) and Tᵢⱼ = (s̄ᵢ + s̄ⱼ)/(σᵢ + σⱼ); in a block of equal singular values other than zero, D
    has a limit that s̄̇ tells in the basis which diagonalises H there. Where several are zero, or one of a matrix that
    is not square, and Ȧ moves them, Ā̇ is NaN.
    """
    return (U * S_bar[..., None, :]) @ Vh


def _along(E, c, U, S, Vh, block, c_dot=None):
    """The derivative of U diag(c) Vᴴ along E, as far as the vectors and not c move; c_dot may tell more of D."""
    xp = namespace(E)
    if 0 in E.shape[-2:]:
        return xp.zeros_like(E)
    real = xp.real(S)
    M = mH(U) @ E @ mH(Vh)
    H, J = hermitian_part(M), (M - mH(M)) / 2
    if c_dot is None:
        D = differences(c, S, block)
    else:
        D = differences_along(c, c_dot, xp.diagonal(H), S, block)
    divide = Divisors(xp, E, real)
    T = (c[..., None, :] + c[..., :, None]) * xp.cast(divide.of_sums(), E)
    over = c * xp.cast(divide.of_values()[..., 0, :], E)
    found = U @ (D * H + T * J) @ Vh
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


def _basis(E, U, S, Vh, block):
    """The block of H = Hermitian part of Uᴴ E V, and the basis that diagonalises it."""
    C = together(block, U) * hermitian_part(mH(U) @ E @ mH(Vh))
    return C, common_basis(C, block)


@svd_values_bar.vjp
def _(A_bar_bar, A_bar, S_bar, A, U, S, Vh, N, norm):
    xp = namespace(A)
    block = once(lambda: smooth_blocks(xp.real(S_bar), -xp.real(S)))
    basis = once(lambda: _basis(A_bar_bar, U, S, Vh, block()))

    def S_bar_bar():
        C, B = basis()
        return xp.sum(xp.conj(B) * (C @ B), axis=-2)

    return (
        S_bar_bar,
        lambda: _along(A_bar_bar, S_bar, U, S, Vh, block()),
        None,
        None,
        None,
        lambda: U @ basis()[0] @ Vh,
        lambda: packed(basis()[0], block()),
    )


@svd_values_bar.jvp
def _(A_bar, S_bar, A, U, S, Vh, N, norm):
    xp = namespace(A)

    def dot(S_bar_dot, A_dot, *_):
        block = blocks(-xp.real(S))
        _, B = _basis(A_dot, U, S, Vh, block)
        turned = U @ B, S, mH(B) @ Vh
        found = _along(A_dot, S_bar, *turned, block, S_bar_dot)
        return found + (turned[0] * S_bar_dot[..., None, :]) @ turned[2]

    return dot


@primitive("(m,n),(m,n),(m,k),(k),(k,n),(m,n),(k)->(k)")
def svd_directional(A_dot, A, U, S, Vh, N, norm):
    """Ṡ, the adjoint of `svd_values_bar`, with rules for second derivatives as there."""
    xp = namespace(A)
    _, B = _basis(A_dot, U, S, Vh, blocks(-xp.real(S)))
    M = mH(U) @ A_dot @ mH(Vh)
    return xp.cast(xp.real(xp.sum(xp.conj(B) * (M @ B), axis=-2)), A)


@svd_directional.vjp
def _(u, S_dot, A_dot, A, U, S, Vh, N, norm):
    block = once(lambda: blocks(-namespace(A).real(S)))
    basis = once(lambda: _basis(A_dot, U, S, Vh, block()))
    turned = once(lambda: (U @ basis()[1], S, mH(basis()[1]) @ Vh))
    return (
        lambda: (turned()[0] * u[..., None, :]) @ turned()[2],
        lambda: _along(A_dot, u, *turned(), block()),
        None,
        None,
        None,
        lambda: U @ basis()[0] @ Vh,
        lambda: packed(basis()[0], block()),
    )


@svd_directional.jvp
def _(S_dot, A_dot, A, U, S, Vh, N, norm):
    xp = namespace(A)

    def dot(A_dot_dot, A_dot_2, *_):
        block = blocks(-xp.real(S))
        _, B = _basis(A_dot, U, S, Vh, block)
        U1, V1 = U @ B, mH(Vh) @ B
        (H, J), (H2, J2) = ((hermitian_part(M), (M - mH(M)) / 2) for M in (mH(U1) @ E @ V1 for E in (A_dot, A_dot_2)))
        divide = Divisors(xp, A, xp.real(S))
        bent = xp.conj(J) * J2 * xp.cast(divide.of_sums(), A) - xp.conj(H) * H2 * xp.cast(divide.of_gaps(), A)
        bent = 2 * xp.sum(xp.real(bent), axis=-1)
        for left, right, W in ((A_dot @ V1, A_dot_2 @ V1, U1), (mH(A_dot) @ U1, mH(A_dot_2) @ U1, V1)):
            across = xp.sum(xp.real(xp.conj(left - W @ (mH(W) @ left)) * right), axis=-2)
            bent = bent + across * divide.of_values()[..., 0, :]
        straight = xp.real(xp.sum(xp.conj(U1) * (A_dot_dot @ V1), axis=-2))
        found = xp.cast(straight + bent, A)
        return xp.where(crossing(H2, block)[..., None], float("nan") * xp.ones_like(found), found)

    return dot
