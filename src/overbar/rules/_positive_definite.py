"""The inverse of a positive definite matrix, and solutions of its systems, from a Cholesky factor that is known.

May import `overbar._namespace`, `overbar._primitive`, `rules.equal_values` and `rules.halving`.
"""

import functools
import operator

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._equal_values import hermitian_part
from overbar.rules._halving import base, by_size, half


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
        _Written(L, weight, out)
        return out
    return _Computed(L, weight).whole(depth)


class _Computed:
    """The inverse as a matrix made of blocks, which are computed once and put together once.

    A block on the diagonal is (k, C₁₁, C₁₂, C₂₂, whole), with such blocks of order k for C₁₁ and the rest for C₂₂, and
    C₂₂ as one matrix, or None; or it is one small matrix that is Hermitian but for rounding. `depth` is that of
    `halving.split_at`. Slices are taken of matrices that nobody has sliced, as a slice may be a copy; one of rows is
    none.
    """

    def __init__(self, L, weight):
        self.L, self.xp, self.base = L, namespace(L), base(L)
        self.weight = None if weight is None else self.xp.cast(weight, L)

    def whole(self, depth):
        C, _ = self.triangle(0, self.xp.shape(self.L)[-1], depth)
        return self.assembled(C)

    def middle(self, i, j, depth):
        """The row where to divide a block, None where it stays whole, and the depth of its parts."""
        if depth is not None:
            return (i + (j - i) // 2, depth - 1) if depth else (None, None)
        k = half(j - i, self.base)
        return k and i + k, None

    def triangle(self, i, j, depth):
        """A block, and the inverses of the small blocks of L on its diagonal, with a minus: one, or (k, those of L₁₁,
        those of L₂₂)."""
        k, depth = self.middle(i, j, depth)
        if k is None:
            return self.small(i, j)
        xp = self.xp
        C22, T2 = self.triangle(k, j, depth)
        C11, T1 = self.triangle(i, k, depth)
        whole, W = self.assembled(C22), self.joined(self.divided(self.L[..., k:j, :], 0, i, k, T1))
        C12 = xp.mH(whole @ W)
        return (k - i, self.plus_product(C11, C12, W, 0, k - i), C12, C22, whole), (k, T1, T2)

    def small(self, i, j):
        xp, L = self.xp, self.L[..., i:j, i:j]
        T = xp.solve_triangular(L, -xp.eye_like(L), upper=False)
        return xp.mH(T) @ (T if self.weight is None else T * self.weight), T

    def divided(self, Y, first, i, j, T):
        """−Y L⁻¹ for the columns of Y from i to j, of which `first` is the first that Y has, and that block of L on the
        diagonal: matrices beside each other."""
        if not isinstance(T, tuple):
            return [Y[..., i - first : j - first] @ T]
        k, T1, T2 = T
        right = self.joined(self.divided(Y, first, k, j, T2))
        left = self.xp.add_product(Y[..., i - first : k - first], right, self.L[..., k:j, i:k], 1)
        return [*self.divided(left, i, i, k, T1), right]

    def joined(self, columns):
        return columns[0] if len(columns) == 1 else self.xp.concat(columns, axis=-1)

    def plus_product(self, C, P, Q, i, j):
        """C + P Q, which is Hermitian, of these rows of P and columns of Q."""
        if not isinstance(C, tuple):
            return self.xp.add_product(C, P[..., i:j, :], Q[..., i:j], 1)
        n, C11, C12, C22, _ = C
        k = i + n
        C11, C22 = self.plus_product(C11, P, Q, i, k), self.plus_product(C22, P, Q, k, j)
        return n, C11, self.xp.add_product(C12, P[..., i:k, :], Q[..., k:j], 1), C22, None

    def assembled(self, C):
        """A block as a whole."""
        bands = self.bands(C, [])
        return bands[0] if len(bands) == 1 else self.xp.concat(bands, axis=-2)

    def bands(self, C, right):
        """Matrices above each other that make C with what is right of it."""
        if not isinstance(C, tuple):
            return [self.joined([hermitian_part(C), *right])]
        k, C11, C12, C22, whole = C
        whole = self.assembled(C22) if whole is None else whole
        above, below = [A[..., :k, :] for A in right], [A[..., k:, :] for A in right]
        return [*self.bands(C11, [C12, *above]), self.joined([self.xp.mH(C12), whole, *below])]


class _Written:
    """What `_Computed` does, in the memory `out` of the result alone: new memory costs as much as many a product.
    Blocks are given by the rows where they begin and end, from 0 on.

    The lower triangle, by blocks, becomes that of the inverse; the upper one is room for intermediates, and only
    `complete` makes it that of a Hermitian matrix.
    """

    def __init__(self, L, weight, out):
        self.L, self.out, self.xp, self.base = L, out, namespace(L), base(L)
        self.weight = None if weight is None else self.xp.cast(weight, L)
        self.minus_one = -self.xp.eye_like(L[..., : self.base, : self.base])
        self.T = {}  # the inverses of the small blocks of L on the diagonal, with a minus
        n = L.shape[-1]
        self.write(0, n)
        self.complete(0, n)

    def write(self, i, j):
        """The lower triangle of a block on the diagonal."""
        k = self.middle(i, j)
        if k is None:
            return self.write_small(i, j)
        self.write(i, k)
        self.write(k, j)
        self.complete(k, j)
        xp, out, one, two = self.xp, self.out, slice(i, k), slice(k, j)
        C12, W = out[..., one, two], out[..., two, one]
        W[...] = self.L[..., two, one]
        self.divide(two, i, k)
        xp.product_to(C12, xp.mH(W), out[..., two, two])
        self.add_product(i, k, two)
        W[...] = xp.mH(C12)

    def middle(self, i, j):
        k = half(j - i, self.base)
        return k and i + k

    def write_small(self, i, j):
        xp, n = self.xp, j - i
        T = xp.solve_triangular(self.L[..., i:j, i:j], self.minus_one[..., :n, :n], upper=False)
        xp.product_to(self.out[..., i:j, i:j], xp.mH(T), T if self.weight is None else T * self.weight)
        self.T[i] = T

    def divide(self, rows, i, j):
        """Y ← −Y L⁻¹ for these rows of the columns from i to j, and that block of L on the diagonal."""
        k = self.middle(i, j)
        if k is None:
            Y = self.out[..., rows, i:j]
            Y[...] = Y @ self.T[i]
            return
        self.divide(rows, k, j)
        self.xp.add_product_to(self.out[..., rows, i:k], self.out[..., rows, k:j], self.L[..., k:j, i:k], 1)
        self.divide(rows, i, k)

    def add_product(self, i, j, inner):
        """Add to the lower triangle of a block on the diagonal the product of what is right of it and below it, in
        these columns and rows."""
        k = self.middle(i, j)
        first, second = slice(i, k or j), slice(k or i, j)
        if k is not None:
            self.add_product(i, k, inner)
            self.add_product(k, j, inner)
        out = self.out
        self.xp.add_product_to(out[..., second, first], out[..., second, inner], out[..., inner, first], 1)

    def complete(self, i, j):
        """Make a block whole that `write` has written, in which the first block on the diagonal lacks something: a
        product was added to its lower triangle."""
        k = self.middle(i, j)
        self.mirror(i, k or j)

    def mirror(self, i, j):
        """Make the upper triangle that of a Hermitian matrix."""
        k, out = self.middle(i, j), self.out
        if k is None:
            C = out[..., i:j, i:j]
            C[...] = hermitian_part(C)
            return
        out[..., i:k, k:j] = self.xp.mH(out[..., k:j, i:k])
        self.mirror(i, k)
        self.mirror(k, j)


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
