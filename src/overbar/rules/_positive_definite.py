"""The inverse of a positive definite matrix, and solutions of its systems, from a Cholesky factor that is known.

May import `overbar._namespace`, `overbar._primitive`, `rules.equal_values` and `rules.halving`.
"""

import functools
import operator

from overbar._namespace import mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._equal_values import hermitian_part
from overbar.rules._halving import by_size, split_at


def inverse_of_factor(L, weight=None):
    """(L Lᴴ)⁻¹, Hermitian to the last bit, from the lower triangle of L; times a real weight (..., 1, 1) if there is
    one.

    With L and the inverse C in 2 by 2 blocks, C L = L⁻ᴴ says, as its lower left block is zero,

        C₂₂ = (L₂₂ L₂₂ᴴ)⁻¹,    C₂₁ = −C₂₂ L₂₁ L₁₁⁻¹,    C₁₁ = (L₁₁ L₁₁ᴴ)⁻¹ − (L₂₁ L₁₁⁻¹)ᴴ C₂₁.

    With h = n/2 a level costs h³ flops for W = −L₂₁ L₁₁⁻¹, 2h³ for C₂₂ W and h³ for one triangle of Wᴴ C₂₁: all levels
    together 2n³/3, twice a Cholesky decomposition, nearly all in products. L⁻¹ is computed of the small blocks on the
    diagonal only, which is all that W needs besides products.
    """
    if weight is None:
        return by_size(_halved, L)
    extra = len(L.shape) - len(weight.shape)
    if extra < 0 or any(m not in (1, n) for m, n in zip(weight.shape, L.shape[extra:], strict=True)):
        # several weights of one matrix
        return by_size(_halved, L) * namespace(L).cast(weight, L)
    return by_size(_weighted, L, weight)


def _halved(L, out=None, depth=None):
    C, _ = _blocks(L, None, out, depth)
    return _assembled(C, out)


def _weighted(L, weight, out=None, depth=None):
    C, _ = _blocks(L, weight, out, depth)
    return _assembled(C, out)


def _blocks(L, weight, out, depth):
    """The lower triangle of the inverse, (k, C₁₁, C₂₁, C₂₂) with such triangles for C₁₁ and C₂₂, or one small block,
    whole; and the inverses of the small blocks of L on the diagonal: one, or (k, those of L₁₁, those of L₂₂).

    `out` is where the blocks are, in place of new memory for each; None where arrays cannot be written to, or where
    somebody watches. `depth` is that of `halving.split_at`.
    """
    xp = namespace(L)
    k, depth = split_at(L, depth)
    if k is None:
        T = xp.solve_triangular(L, xp.eye_like(L), upper=False)
        C = hermitian_part(mH(T) @ T)
        if weight is not None:
            C = C * xp.cast(weight, C)
        if out is not None:
            out[...] = C
            C = out
        return C, T
    one, two = slice(0, k), slice(k, None)
    L11, L21, L22 = L[..., one, one], L[..., two, one], L[..., two, two]
    out11, out22 = (None, None) if out is None else (out[..., one, one], out[..., two, two])
    C22, T2 = _blocks(L22, weight, out22, depth)
    C11, T1 = _blocks(L11, weight, out11, depth)
    W = _divided(-L21, L11, T1, out is not None)
    C21 = _assembled(C22, out22) @ W
    C11 = _plus_product(C11, W, C21, out is not None)
    if out is not None:
        out[..., two, one] = C21
        C21 = out[..., two, one]
    return (k, C11, C21, C22), (k, T1, T2)


def _assembled(C, out):
    """The whole matrix of which `_blocks` gave the lower triangle."""
    if not isinstance(C, tuple):
        return C
    k, C11, C21, C22 = C
    if out is None:
        return namespace(C21).block([[_assembled(C11, None), mH(C21)], [C21, _assembled(C22, None)]])
    one, two = slice(0, k), slice(k, None)
    out[..., one, two] = mH(C21)
    _assembled(C11, out[..., one, one])
    _assembled(C22, out[..., two, two])
    return out


def _divided(Y, L, T, in_place):
    """Y L⁻¹, from the inverses of blocks of L."""
    if not isinstance(T, tuple):
        if not in_place:
            return Y @ T
        Y[...] = Y @ T
        return Y
    k, T1, T2 = T
    xp, one, two = namespace(L), slice(0, k), slice(k, None)
    first, second = Y[..., one], _divided(Y[..., two], L[..., two, two], T2, in_place)
    if not in_place:
        first = xp.add_product(first, second, L[..., two, one], -1)
        return xp.concat([_divided(first, L[..., one, one], T1, False), second], axis=-1)
    xp.add_product_to(first, second, L[..., two, one], -1)
    _divided(first, L[..., one, one], T1, True)
    return Y


def _plus_product(C, P, Q, in_place):
    """C + Pᴴ Q, which is Hermitian, in the form that `_blocks` gives it."""
    xp = namespace(P)
    if not isinstance(C, tuple):
        product = hermitian_part(mH(P) @ Q)
        if not in_place:
            return C + product
        C += product
        return C
    k, C11, C21, C22 = C
    P1, P2, Q1, Q2 = P[..., :k], P[..., k:], Q[..., :k], Q[..., k:]
    C11, C22 = _plus_product(C11, P1, Q1, in_place), _plus_product(C22, P2, Q2, in_place)
    if in_place:
        xp.add_product_to(C21, mH(P2), Q1, 1)
    else:
        C21 = xp.add_product(C21, mH(P2), Q1, 1)
    return k, C11, C21, C22


@primitive("(n,n),(n,k),(n,n)->(n,k)", hermitian=("A",))
def solve_with_factor(A, B, L):
    """The solution X of A X = B, where the Cholesky factor L of A is known.

    A function of A and B: L depends on A, and gets no bar. So A is factorised once for the derivatives of every order,
    and from A Ẋ + Ȧ X = Ḃ

        B̄ = A⁻¹ X̄,    Ā = −sym(B̄ Xᴴ),    Ẋ = A⁻¹ (Ḃ − Ȧ X).
    """
    return namespace(A).solve_with_factor(A, L, B)


@solve_with_factor.vjp
def _(X_bar, X, A, B, L):
    B_bar = once(lambda: solve_with_factor(A, X_bar, L))
    return lambda: -hermitian_part(B_bar() @ mH(X)), B_bar, None


@solve_with_factor.jvp
def _(X, A, B, L):
    return (
        lambda A_dot: -solve_with_factor(A, hermitian_part(A_dot) @ X, L),
        lambda B_dot: solve_with_factor(A, B_dot, L),
        None,
    )


@primitive("(n,n),(),(n,n)->(n,n)", hermitian=("A",), real=("weight",))
def inverse_with_factor(A, weight, L):
    """C = w A⁻¹, where the Cholesky factor L of A is known, and w is a number.

    A function of A and w, as `solve_with_factor`: with P = A⁻¹

        Ā = −w P sym(C̄) P,    w̄ = Re⟨P, C̄⟩,    Ċ = ẇ P − w P Ȧ P.
    """
    return inverse_of_factor(L, weight[..., None, None])


def _inverse(A, L):
    return once(lambda: inverse_with_factor(A, 1.0, L))


@inverse_with_factor.vjp
def _(C_bar, C, A, weight, L):
    xp, P = namespace(A), _inverse(A, L)
    return (
        lambda: -xp.cast(weight, A)[..., None, None] * (P() @ hermitian_part(C_bar) @ P()),
        lambda: xp.sum(xp.real(xp.conj(P()) * C_bar), axis=(-2, -1)),
        None,
    )


@inverse_with_factor.jvp
def _(C, A, weight, L):
    xp, P = namespace(A), _inverse(A, L)
    return (
        lambda A_dot: -xp.cast(weight, A)[..., None, None] * (P() @ hermitian_part(A_dot) @ P()),
        lambda weight_dot: xp.cast(xp.real(weight_dot), A)[..., None, None] * P(),
        None,
    )


def summed_product(X, Y, A, bar=None):
    """X Yᴴ, of matrices (..., n, k), as a term of the bar of A (..., n, n), added to what is there already, if anything
    is. The sum over the batch dimensions that A lacks, or has of size one, is done by the product."""
    xp, X, Y = namespace(A), _in_one_batch(X, A), mH(_in_one_batch(Y, A))
    have, want = xp.static_shape(X), xp.static_shape(A)
    if None in have or have[:-2] != want[:-2]:  # a size that is not known yet may be one
        product = xp.sum_to(X @ Y, xp.shape(A))
        return product if bar is None else bar + product
    return X @ Y if bar is None else xp.add_product(bar, X, Y, 1)


def _in_one_batch(X, A):
    """X with the batch dimensions that A lacks, or has of size one, among its columns."""
    xp = namespace(X)
    have, want = xp.static_shape(X), xp.static_shape(A)
    extra, ndim = len(have) - len(want), len(have)
    outside = [i for i in range(ndim - 2) if i < extra or (want[i - extra] == 1 and have[i] != 1)]
    if not outside:
        return X
    inside = [i for i in range(ndim - 2) if i not in outside]
    sizes = xp.shape(X)
    columns = functools.reduce(operator.mul, [sizes[i] for i in outside], sizes[-1])
    X = xp.permute_dims(X, (*inside, ndim - 2, *outside, ndim - 1))
    return xp.reshape(X, (*[1 if i in outside else sizes[i] for i in range(extra, ndim - 2)], sizes[-2], columns))
