"""The inverse of a positive definite matrix, and solutions of its systems, from a Cholesky factor that is known.

May import `overbar._namespace`, `overbar._primitive`, `rules.equal_values` and `rules.halving`.
"""

import functools
import operator

from overbar._namespace import front, mH, namespace
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
    diagonal only, which is all that W needs besides products. Where memory can be written to and nobody watches, all
    of it happens in that of the result.
    """
    if weight is None:
        return by_size(_halved, L)
    extra = len(L.shape) - len(weight.shape)
    if extra < 0 or any(m not in (1, n) for m, n in zip(weight.shape, L.shape[extra:], strict=True)):
        # several weights of one matrix
        return by_size(_halved, L) * namespace(L).cast(weight, L)
    return by_size(_weighted, L, weight)


def _halved(L, out=None, depth=None):
    return _weighted(L, None, out, depth)


def _weighted(L, weight, out=None, depth=None):
    if out is not None:
        _write_blocks(L, weight, out)
        _complete(out)
        return out
    C, _ = _blocks(L, weight, depth)
    return _assembled(C)


def _small(L, weight):
    """The inverse of a small matrix, and that of its factor."""
    xp = namespace(L)
    T = xp.solve_triangular(L, xp.eye_like(L), upper=False)
    C = hermitian_part(mH(T) @ T)
    return C if weight is None else C * xp.cast(weight, C), T


def _blocks(L, weight, depth):
    """The lower triangle of the inverse, (k, C₁₁, C₂₁, C₂₂) with such triangles for C₁₁ and C₂₂, or one small block,
    whole; and the inverses of the small blocks of L on the diagonal: one, or (k, those of L₁₁, those of L₂₂). `depth`
    is that of `halving.split_at`."""
    k, depth = split_at(L, depth)
    if k is None:
        return _small(L, weight)
    one, two = slice(0, k), slice(k, None)
    L11, L21, L22 = L[..., one, one], L[..., two, one], L[..., two, two]
    C22, T2 = _blocks(L22, weight, depth)
    C11, T1 = _blocks(L11, weight, depth)
    W = _divided(-L21, L11, T1)
    C21 = _assembled(C22) @ W
    return (k, _plus_product(C11, W, C21), C21, C22), (k, T1, T2)


def _assembled(C):
    """The whole matrix of which `_blocks` gave the lower triangle."""
    if not isinstance(C, tuple):
        return C
    _, C11, C21, C22 = C
    return namespace(C21).block([[_assembled(C11), mH(C21)], [C21, _assembled(C22)]])


def _divided(Y, L, T):
    """Y L⁻¹, from the inverses of blocks of L."""
    if not isinstance(T, tuple):
        return Y @ T
    k, T1, T2 = T
    xp, one, two = namespace(L), slice(0, k), slice(k, None)
    second = _divided(Y[..., two], L[..., two, two], T2)
    first = xp.add_product(Y[..., one], second, L[..., two, one], -1)
    return xp.concat([_divided(first, L[..., one, one], T1), second], axis=-1)


def _plus_product(C, P, Q):
    """C + Pᴴ Q, which is Hermitian, in the form that `_blocks` gives it."""
    if not isinstance(C, tuple):
        return C + hermitian_part(mH(P) @ Q)
    k, C11, C21, C22 = C
    P1, P2, Q1, Q2 = P[..., :k], P[..., k:], Q[..., :k], Q[..., k:]
    C21 = namespace(P).add_product(C21, mH(P2), Q1, 1)
    return k, _plus_product(C11, P1, Q1), C21, _plus_product(C22, P2, Q2)


def _write_blocks(L, weight, out):
    """What `_blocks` does, in the memory of the result alone: new memory costs as much as many a product. The lower
    triangle of `out`, by blocks, becomes that of the inverse; the upper one is room for intermediates, and only
    `_complete` makes it that of a Hermitian matrix. Returns the inverses of the small blocks of L on the diagonal, with
    a minus."""
    k, _ = split_at(L, None)
    if k is None:
        out[...], T = _small(L, weight)
        return -T
    one, two = slice(0, k), slice(k, None)
    L11, L21, L22 = L[..., one, one], L[..., two, one], L[..., two, two]
    C11, C12, C21, C22 = out[..., one, one], out[..., one, two], out[..., two, one], out[..., two, two]
    T1 = _write_blocks(L11, weight, C11)
    T2 = _write_blocks(L22, weight, C22)
    _complete(C22)
    xp, W = namespace(L), C21
    W[...] = L21
    _divide(W, L11, T1)
    xp.product_to(C12, mH(W), C22)
    _add_product(C11, C12, W)
    C21[...] = mH(C12)
    return k, T1, T2


def _complete(C):
    """Make whole what `_write_blocks` has written. Only the first block on the diagonal lacks something: a product was
    added to its lower triangle."""
    k, _ = split_at(C, None)
    if k is not None:
        _mirror(C[..., :k, :k])


def _mirror(C):
    """Make the upper triangle that of a Hermitian matrix."""
    k, _ = split_at(C, None)
    if k is None:
        C[...] = hermitian_part(C)
        return
    C[..., :k, k:] = mH(C[..., k:, :k])
    _mirror(C[..., :k, :k])
    _mirror(C[..., k:, k:])


def _divide(Y, L, T):
    """Y ← −Y L⁻¹, as `_divided`, from the inverses with a minus."""
    if not isinstance(T, tuple):
        Y[...] = Y @ T
        return
    k, T1, T2 = T
    _divide(Y[..., k:], L[..., k:, k:], T2)
    namespace(L).add_product_to(Y[..., :k], Y[..., k:], L[..., k:, :k], 1)
    _divide(Y[..., :k], L[..., :k, :k], T1)


def _add_product(C, P, Q):
    """C ← C + P Q in the lower triangle of C, by blocks."""
    k, _ = split_at(C, None)
    if k is None:
        namespace(C).add_product_to(C, P, Q, 1)
        return
    _add_product(C[..., :k, :k], P[..., :k, :], Q[..., :k])
    _add_product(C[..., k:, k:], P[..., k:, :], Q[..., k:])
    namespace(C).add_product_to(C[..., k:, :k], P[..., k:, :], Q[..., :k], 1)


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
    is, an array of the caller's own, in its memory where nobody watches. The sum over the batch dimensions that A
    lacks, or has of size one, is done by the product."""
    xp, X, Y = namespace(A), _in_one_batch(X, A), mH(_in_one_batch(Y, A))
    have, want = xp.static_shape(X), xp.static_shape(A)
    if None in have or have[:-2] != want[:-2]:  # a size that is not known yet may be one
        product = xp.sum_to(X @ Y, xp.shape(A))
        return product if bar is None else bar + product
    if bar is None:
        return X @ Y
    if bar.dtype != X.dtype or bar.dtype != Y.dtype or not front(A).may_write(bar, X, Y):
        return xp.add_product(bar, X, Y, 1)
    xp.add_product_to(bar, X, Y, 1)
    return bar


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
