"""The bars of eigenvectors, with derivatives of their own, and where no cotangent tells them.

May import `overbar._namespace`, `overbar._primitive` and `rules.equal_values`.
"""

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._equal_values import (
    anywhere,
    blocks,
    column,
    has_rows,
    hermitian_part,
    inverse_gaps,
    largest_entry,
    largest_of,
    nan_where,
    nearly_equal,
    rounding,
    row,
    settled,
    surely_apart,
)

# -- vectors -----------------------------------------------------------------------------------------------------------


# How much larger than usual rounding we take it to be, and below how many times of that a bracket counts as rounding.
NOISE, SILENT = 7, 8


# Up to this gap, ε^⅛ of the largest value, such brackets are looked for: above, they do no harm.
CLOSE = 1 / 8


class Pairs:
    """What the reverse rule of vectors has to know of each pair of eigenvalues. With `others`, V has not all vectors,
    and the others, of which nothing depends on, belong to the eigenvalue 0."""

    def __init__(self, V_bar, w, V, others=False):
        xp = self.xp = namespace(V)
        self.V, self.V_bar, self.others, w = V, V_bar, others, xp.real(w)
        self.Y = mH(V) @ V_bar
        K = self.bracket = (self.Y - mH(self.Y)) / 2
        size = self.size = column_sizes(V_bar)
        self.precision = bracket_noise(V)
        #: what a bracket may be by rounding; of vectors on which nothing depends, while it does on others, more than 0
        self.noise = self.precision * (row(size) + column(size) + xp.eps(w) * largest_of(size)[..., None])
        #: K = (Y − Yᴴ)/2 without what is rounding, where division by a gap, or its square, would make much of it;
        #: F, and ones where two vectors are not turned against each other, and on the diagonal
        gap = row(w) - column(w)
        self.K, self.F, self.closed, self.idle = self._looked_at(K, xp.abs(K), gap, self.noise, w)
        self.X = self.F * self.K
        if others:
            k = self.outside(V_bar) / 2
            noise = 2 * self.precision * (size + xp.eps(w) * largest_of(size))[..., None, :]
            size_k = column_sizes(k)[..., None, :]  # a vector is closed to all others, or to none
            self.k, self.f, self.closed_others, self.idle_others = self._looked_at(k, size_k, row(w), noise, w)
            self.x = self.k * self.f

    def _looked_at(self, K, size, gap, noise, w):
        xp, one = self.xp, self.xp.ones_like(gap)
        distance, largest = xp.abs(gap), largest_of(w)[..., None]
        # Less than, not less or equal: cotangents of zero are used to ask for the derivative of this rule.
        silent = size < SILENT * noise
        idle = silent & (distance <= xp.eps(w) ** CLOSE * largest)
        closed = (distance <= rounding(w)[..., None]) | (silent & (distance <= xp.eps(w) ** (1 / 3) * largest))
        F = xp.cast(xp.where(closed, xp.zeros_like(gap), 1 / xp.where(closed, one, gap)), K)
        return xp.where(idle, xp.zeros_like(K), K), F, xp.cast(xp.where(closed, one, xp.zeros_like(gap)), K), idle

    def outside(self, Y):
        """The part of Y that is orthogonal to the columns of V."""
        return Y - self.V @ (mH(self.V) @ Y)

    def reverse(self, times):
        """The bars of V̄ and V, and that of A as a function of no arguments, from E, known by its products E Y."""
        V, F, K, X, closed = self.V, self.F, self.K, self.X, self.closed
        EV = times(V)
        E = mH(V) @ EV
        Q = F * E
        VQ = V @ Q
        if self.others:
            e = self.outside(EV)
            q = e * self.f
            V_bar_bar = VQ + q
            V_bar = -(V_bar_bar @ self.Y) + V @ (mH(q) @ self.V_bar)
        else:
            V_bar_bar, V_bar = VQ, -(VQ @ self.Y)

        def A_bar():
            # of antihermitian or Hermitian factors, the product in the other order is the adjoint, or minus that
            turning, straight = Q @ K + E @ X, Q @ X
            if not self.others:
                middle = F * (turning - mH(turning)) + closed * (straight + mH(straight))
                return middle, None
            k, x = self.k, self.x
            turning, straight = turning + mH(k) @ q + mH(e) @ x, straight - mH(q) @ x
            middle = F * (turning - mH(turning)) + closed * (straight + mH(straight))
            across = q @ K - k @ Q + e @ X + self.outside(times(x)) - x @ E
            return middle, (self.f * across + self.closed_others * (q @ X - x @ Q), q, x)

        return V_bar_bar, V_bar, A_bar

    def forward(self, times, V_bar_dot, V_dot):
        """The tangent of V X Vᴴ from those of V̄ and V and that of A, known by its products Ȧ Y. As for Ā above, it is
        V M Vᴴ + r Vᴴ + V rᴴ + q xᴴ + x qᴴ, of which this returns M and (r, q, x), or None without others."""
        xp, V, F, K, X = self.xp, self.V, self.F, self.K, self.X
        AV = times(V)
        C = mH(V) @ AV
        Omega, W_dot = F * C, self.closed * C
        across = mH(V_dot) @ V
        Z_dot = mH(V) @ V_bar_dot + self.Y @ across
        turning, straight = K @ Omega, W_dot @ X
        if self.others:
            k, x, c = self.k, self.x, self.outside(AV)
            omega, w_dot = c * self.f, c * self.closed_others
            turning, straight = turning - mH(k) @ omega, straight + mH(w_dot) @ x
        K_dot = (Z_dot - mH(Z_dot)) / 2 + turning - mH(turning) + straight - mH(straight)
        # V̇ may be large, with small gaps in its denominators, and leave rounding where nothing should be
        size, size_dot = column_sizes(V_bar_dot), largest_of(self.size) * column_sizes(V_dot)
        noise = self.precision * (row(size + size_dot) + column(size + size_dot))
        X_dot = F * xp.where(self.idle & (xp.abs(K_dot) < SILENT * noise), xp.zeros_like(K_dot), K_dot)
        turned = Omega @ X
        if not self.others:
            return X_dot + turned + mH(turned), None
        turned = turned - mH(omega) @ x
        z = self.outside(V_bar_dot + self.V_bar @ across - V_dot @ mH(self.Y)) / 2
        k_dot = z + k @ Omega - omega @ K - x @ W_dot + w_dot @ X + self.outside(times(x))
        noise = 2 * self.precision * (size + size_dot)[..., None, :]
        rounded = self.idle_others & (column_sizes(k_dot)[..., None, :] < SILENT * noise)
        x_dot = self.f * xp.where(rounded, xp.zeros_like(k_dot), k_dot)
        return X_dot + turned + mH(turned), (x_dot + omega @ X - x @ Omega, omega, x)


def of_one_batch(w, *others):
    """w (..., n) with the batch dimensions of other arrays (..., m, n), None among them: PyTorch's vmap leaves out of
    one array what it hides in another, and a pair of entries is to be found by its place in all of them."""
    xp = namespace(w)
    for X in others:
        if X is None or 0 in X.shape[-2:] or xp.static_shape(X)[:-2] == xp.static_shape(w)[:-1]:
            continue
        w = w + xp.zeros_like(xp.real(X[..., 0, :1]))
    return w


def bracket_noise(A):
    """2 √n ε, for the larger side n of A: `NOISE` times what the rounding of a bracket comes to, relative to the
    vectors' cotangents, for projections that are computed by products. (A bound would have n.)"""
    xp, sizes = namespace(A), A.shape[-2:]
    if all(isinstance(size, int) for size in sizes):
        return 0.3 * NOISE * xp.eps(A) * max(sizes) ** 0.5
    # (..., 1, 1), by arrays: of a symbol for a size PyTorch's compiler takes no root
    count = lambda X: xp.sum(xp.ones_like(xp.real(X)), axis=(-2, -1), keepdims=True)  # noqa: E731
    return 0.3 * NOISE * xp.eps(A) * xp.sqrt(xp.maximum(count(A[..., :1]), count(A[..., :1, :])))


def column_sizes(V):
    """The largest modulus in each column."""
    xp, size = namespace(V), namespace(V).abs(V)
    return xp.max(size, axis=-2) if has_rows(V) else xp.sum(size, axis=-2)


@primitive("(n,n),(n,n),(n),(n,n)->(n,n)", hermitian=("A",))
def vectors_bar(V_bar, A, w, V):
    """The part of Ā in `eigh` that comes from the vectors, V (F ∘ K) Vᴴ with K = Vᴴ Z V, Z = (V̄ Vᴴ − V V̄ᴴ)/2.

    A function of Z and A, with rules of its own for second derivatives: w, the eigenvalues, has no bar, and V has one
    as a part of Z only. A loss that does not change when the vectors of a block are turned among each other has a Z
    that does not change either, and Kᵢⱼ = 0 in that block. So the basis of the block is a matter of choice, and may
    move with A as is convenient. Here those pairs are *closed* whose bracket Kᵢⱼ is rounding and whose eigenvalues are
    equal or close: along Ȧ, with C = Vᴴ Ȧ V and F = 0 for closed pairs and on the diagonal, the basis moves by

        V̇ = V Ω,    Ω = F ∘ C,    and Vᴴ A V by    Ẇ = C for closed pairs, 0 for others,

    so that no small gap is divided by. Vᴴ A V is then no longer diagonal, and X = F ∘ K is the solution of X W − W X =
    K for all other pairs, whose derivative is

        Ẋ = F ∘ (Vᴴ Ż V + K Ω − Ω K − X Ẇ + Ẇ X),    (V X Vᴴ)˙ = V (Ẋ + Ω X − X Ω) Vᴴ.

    Moved off Ż and Ȧ, with E = Vᴴ Ā̄ V, Q = F ∘ E and [P, Q] = P Q − Q P:

        Z̄ = V Q Vᴴ,    Ā = V (F ∘ ([Q, K] + [E, X]) + closed ∘ [Q, X]) Vᴴ.

    Where no pair is closed these are the derivatives by the rules of w and V. (`Pairs` has them also for a V that has
    not all vectors, see `svd`.)
    """
    return hermitian_part(V @ inner_bar(V_bar, w, V) @ mH(V))


def inner_bar(V_bar, w, V, w_bar=0.0):
    """What `Pairs` calls X, and w̄ on its diagonal, with no more passes over the pairs than this takes."""
    xp, w = namespace(V), namespace(V).real(w)
    K = mH(V) @ V_bar
    K = K - mH(K)
    w = of_one_batch(w, K)

    def noise():
        size = column_sizes(V_bar) + xp.zeros_like(w)
        bound = (size + xp.eps(w) * largest_of(size))[..., None, :]
        return (2 * SILENT * bracket_noise(V) * bound)[..., 0, :]

    pairs = xp.near_pairs(w, xp.eps(w) ** CLOSE)
    if pairs is not None:
        size = xp.abs(K[pairs]) if pairs else None
        X = xp.over_gaps(K, 2 * w, w_bar)
        if pairs:
            *batch, i, j = pairs
            distance, noise = w[(*batch, j)] - w[(*batch, i)], noise()
            silent = (size < noise[(*batch, i)] + noise[(*batch, j)]) | (distance <= rounding(w)[(*batch, 0 * i)])
            *batch, i, j = (index[silent] for index in pairs)
            X[(*batch, i, j)] = X[(*batch, j, i)] = 0.0
        return X
    gap, size, largest = row(w) - column(w), noise(), largest_of(w)[..., None]
    distance = xp.abs(gap)
    silent = (xp.abs(K) < row(size) + column(size)) & (distance <= xp.eps(w) ** CLOSE * largest)
    silent = silent | (distance <= rounding(w)[..., None])
    X = K * xp.cast(0.5 / xp.where(silent, xp.full_like(gap, np.inf), gap), V)
    return X if isinstance(w_bar, float) else X + row(w_bar) * xp.eye_like(V)


@vectors_bar.vjp
def _(A_bar_bar, A_bar, V_bar, A, w, V):
    found = once(lambda: Pairs(V_bar, w, V).reverse(lambda Y: hermitian_part(A_bar_bar) @ Y))
    return (
        lambda: found()[0],
        lambda: hermitian_part(V @ found()[2]()[0] @ mH(V)),
        None,
        lambda: found()[1],
    )


@vectors_bar.jvp
def _(A_bar, V_bar, A, w, V):
    def dot(V_bar_dot, A_dot, _, V_dot):
        middle, _ = Pairs(V_bar, w, V).forward(lambda Y: hermitian_part(A_dot) @ Y, V_bar_dot, V_dot)
        return hermitian_part(V @ middle @ mH(V))

    return dot


class Turning:
    """How vectors V turn along a matrix A′, known by its products A′ Y: V′ = Q V, see `vectors_dot`. As for `Pairs`, V
    may not have all vectors: then Q = V X Vᴴ + x Vᴴ − V xᴴ."""

    def __init__(self, times, w, V, others=False):
        xp, w = namespace(V), namespace(V).real(w)
        self.xp, self.times, self.w, self.V, self.others = xp, times, w, V, others
        AV = times(V)
        self.F = xp.cast(inverse_gaps(w), V)
        self.C = mH(V) @ AV
        self.X = self.F * self.C
        if others:
            zero = xp.abs(w) <= rounding(w)
            over = xp.where(zero, xp.zeros_like(w), 1 / xp.where(zero, xp.ones_like(w), w))
            self.f, self.zero = row(xp.cast(over, V)), row(xp.cast(zero, V))
            self.c = AV - V @ self.C
            self.x = self.c * self.f

    def outside(self, Y):
        return Y - self.V @ (mH(self.V) @ Y)

    def largest(self):
        """The largest entry of C, (..., 1, 1)."""
        return largest_entry(self.xp, self.C)

    def turned(self, Y, inside):
        """Q Y, with `inside` for Vᴴ Y."""
        found = self.V @ (self.X @ inside)
        return found + self.x @ inside - self.V @ (mH(self.x) @ Y) if self.others else found

    def reverse(self, V_dot_bar):
        """From the bar of V′: what `Pairs` tells of it, the bar of V, and those of A′ and A as functions of no
        arguments: V M Vᴴ + r Vᴴ + V rᴴ + q xᴴ + x qᴴ, as M and (r, q, x) or None."""
        pairs = Pairs(V_dot_bar, self.w, self.V, self.others)
        C, X, E, P, F, closed = self.C, self.X, pairs.K, pairs.X, pairs.F, pairs.closed
        V_bar = -self.turned(V_dot_bar, pairs.Y)

        def of_A_dot():
            return P, ((pairs.x, 0 * pairs.x, 0 * pairs.x) if self.others else None)

        def of_A():
            turning, straight = _commutator(C, P) + _commutator(X, E), _commutator(X, P)
            if not self.others:
                return F * turning + closed * straight, None
            c, x, e, p = self.c, self.x, pairs.k, pairs.x
            turning = turning + mH(c) @ p - mH(p) @ c - mH(x) @ e + mH(e) @ x
            straight = straight - mH(x) @ p - mH(p) @ x
            across = c @ P + self.outside(self.times(p)) - p @ C + x @ E - e @ X
            r = pairs.f * across + pairs.closed_others * (x @ P - p @ X)
            return F * turning + closed * straight, (r, p, x)

        return pairs, V_bar, of_A_dot, of_A

    def forward(self, times, other, V_other):
        """The tangent of V′ = Q V from those of A′, known by its products, of A, as a `Turning` of its own, and of V;
        and, for each pair, how large is what vectors of their own have with the square of the gap."""
        xp, V, C, X, F, Omega = self.xp, self.V, self.C, self.X, self.F, other.X
        AV = times(V)
        straight = mH(V) @ AV
        same = xp.equal(F, 0)
        W_dot = xp.where(same, other.C, xp.zeros_like(C))
        turning = straight + _commutator(C, Omega) - _commutator(X, W_dot)
        after = _commutator(Omega, X)
        if self.others:
            c, x, omega, w_dot = self.c, self.x, other.x, self.zero * other.c
            turning = turning + mH(c) @ omega + mH(omega) @ c + mH(x) @ w_dot + mH(w_dot) @ x
            after = after - mH(omega) @ x + mH(x) @ omega
        found = V @ (F * turning + after) + self.turned(V_other, mH(V) @ V_other)
        if self.others:
            across = AV - V @ straight + c @ Omega + self.outside(self.times(omega)) - omega @ C
            across = across - x @ W_dot + w_dot @ X + self.outside(other.times(x))
            found = found + self.f * across + omega @ X - x @ Omega
        return found, xp.abs(X) * xp.abs(Omega)


def _commutator(A, B):
    return A @ B - B @ A


@primitive("(n,n),(n,n),(n),(n,n)->(n,n)")
def vectors_dot(A_dot, A, w, V):
    """V̇ = Q V of `eigh`, Q = V (F ∘ C) Vᴴ with C = Vᴴ Ȧ V, with rules of its own for second derivatives.

    Q is antihermitian, and a function of Ȧ and A alone: with another basis of the spaces that belong to equal
    eigenvalues it would be the same (Kato's choice; the projections on these spaces move by Q P − P Q). So V counts as
    a factor of Q V only, w has no bar, and the derivatives of Q are as those of the bar in `vectors_bar`, which is the
    same function of an antihermitian matrix instead of Ȧ: X = F ∘ C is the solution of X W − W X = C for all pairs that
    are not closed, and along A′, with Ω = F ∘ (Vᴴ A′ V), and Ẇ = Vᴴ A′ V for closed pairs,

        Ẋ = F ∘ (Vᴴ Ȧ′ V + C Ω − Ω C − X Ẇ + Ẇ X),    Q̇ = V (Ẋ + Ω X − X Ω) Vᴴ.

    Moved off Ȧ′ and A′, with E the antihermitian part of Vᴴ Q̄ V = Vᴴ V̇̄, P = F ∘ E and [P, Q] = P Q − Q P:

        V P Vᴴ for Ȧ,    V (F ∘ ([C, P] + [X, E]) + closed ∘ [X, P]) Vᴴ for A.

    Closed are pairs of equal eigenvalues, and in the reverse rule those that are close and whose E is rounding, too.
    The forward rule sees nothing of the loss, and has to take close ones for what they are, with the square of the gap
    in the denominator: a loss that does not depend on these vectors one by one is left with the rounding of that. Where
    it is more than a few hundredths of what Ȧ and A′ are, relative to A, the result is NaN.
    """
    return V @ (namespace(V).cast(inverse_gaps(namespace(V).real(w)), V) * (mH(V) @ A_dot @ V))


def _product(A):
    return lambda Y: hermitian_part(A) @ Y


@vectors_dot.vjp
def _(V_dot_bar, V_dot, A_dot, A, w, V):
    found = once(lambda: Turning(_product(A_dot), w, V).reverse(V_dot_bar))

    def bar(which):
        A_bar = hermitian_part(V @ found()[which]()[0] @ mH(V))
        return nan_where_turned(A_bar, found()[0].bracket, found()[0].noise, namespace(V).real(w))

    return lambda: bar(2), lambda: bar(3), None, lambda: found()[1]


@vectors_dot.jvp
def _(V_dot, A_dot, A, w, V):
    def dot(A_dot_dot, A_other, _, V_other):
        at, other = (Turning(_product(Y), w, V) for Y in (A_dot, A_other))
        found, blown = at.forward(_product(A_dot_dot), other, V_other)
        if not has_rows(V):
            return found
        return nan_where_lost(found, blown * largest_of(at.w)[..., None] ** 2, at.largest() * other.largest())

    return dot


def nan_where_turned(A_bar, bracket, noise, w):
    """A bar in reverse over forward mode, and NaN where the bracket does not vanish for equal values, in ascending
    order."""
    if surely_apart(w):
        return A_bar
    return settled(nearly_equal(w), lambda: (unknown(bracket, None, noise, None, w),), A_bar, _TURNED, complete=True)


def nan_where_lost(found, blown, usual):
    """A second derivative in forward over forward mode, and NaN for a matrix where hardly a digit is left of what is as
    large as usual, beside the rounding of what is blown up: of that, 30 ε were seen."""
    xp = namespace(found)
    lost = anywhere(blown * (1e3 * xp.eps(blown)) > usual)
    front(lost).warn(lost, _LOST)
    return nan_where(lost[..., None, None], found)


_LOST = (
    "forward over forward mode: a matrix has eigenvalues or singular values so close that of a function which does not "
    "depend on their vectors one by one hardly a digit is left: it is NaN. Take reverse over reverse mode."
)

_TURNED = (
    "reverse over forward mode: a matrix has equal eigenvalues or singular values, and this loss depends on which "
    "vectors stand for them: its derivative is NaN there."
)


def matters_from(noise):
    """From which size on a bracket of equal values, whose `noise` this is, is one: a thousand times that; but no less
    than √ε of the largest noise of the matrix.

    Below the latter it makes no difference which vectors are taken. A loss may give vectors to w = 0 the weight f(w) of
    a smooth f with f(0) = f′(0) = 0, as does the size of a ridge regression by singular values: their cotangents are
    about ε², and of these the bracket may be all. Over a gap of ε it is about ε beside what cotangents of other vectors
    make in Ā. It is as 1/ε where a loss depends on the choice, and about as large as that where f′(0) ≠ 0."""
    xp = namespace(noise)
    if front(noise).fuses():
        # with the maximum in them, PyTorch's compiler (inductor) made kernels of the rule of `svd` that are wrong for
        # tall matrices of full rank: there, what is this small is NaN
        return 1e3 * noise
    return 1e3 * noise + xp.eps(noise) ** 0.5 * largest_entry(xp, noise)


def unknown(K, H, noise, w_bar, w, tolerance=None, smooth=None):
    """For which matrices of a batch the cotangents do not tell the derivative: of vectors with the bracket K and what
    else Y has, H, and of values w, in ascending order; `noise` is what these may be by rounding. With w̄, of which
    differences up to the `tolerance` are none (`equal_up_to`), it is known of the pairs that are `smooth`."""
    xp = namespace(K)
    size_K, different, bound = xp.abs(K), xp.equal(xp.real(xp.eye_like(K)), 0), matters_from(noise)
    block = xp.equal(row(blocks(w)), column(blocks(w))) & different
    if smooth is not None:
        block = block & ~smooth
    found = block & (size_K > bound)
    if w_bar is not None:
        unequal = _unequal(w_bar, tolerance)
        # in a block also where f(wₖ) = 0 leaves no cotangent of its vectors
        found = found | (unequal & block)
        # Σ f(wₖ) vₖᴴ W vₖ may have w̄ equal by chance: then w̄ₖ is the same multiple of Hₖₖ for all k of the block
        diagonal = xp.real(xp.diagonal(H))
        apart = block & (xp.abs(row(diagonal) - column(diagonal)) > bound)
        chance = ~xp.any(apart, axis=-1)[..., None]
        crossed = block & (xp.abs(H) > bound)
        on_diagonal = xp.abs(column(diagonal)) > bound
        driven = xp.abs(column(w_bar)) > tolerance
        found = found | (chance & crossed & ((on_diagonal & driven) | ~(on_diagonal | driven)))
    return anywhere(found)


def equal_up_to(w_bar, known, noise, w):
    """Up to where a difference of w̄ is none, (..., 1, 1): √ε of the largest element of Vᴴ Ā V, which are w̄ and those
    from the vectors, F ∘ K, as far as they are `known`; but no less than what rounding makes of these.

    It must not be √ε of the largest w̄ alone. A loss that has w̄ = 2w at eigenvalues that are equal and zero has nothing
    but the rounding of w there: that is as unequal as can be, and does not matter beside what vectors contribute."""
    xp = namespace(w)
    largest_w = largest_of(w)[..., None]
    size = xp.maximum(largest_of(w_bar)[..., None], largest_entry(xp, known))
    there = largest_w > 0
    rounded = largest_entry(xp, noise) / xp.where(there, largest_w, xp.ones_like(largest_w))
    return xp.maximum(xp.eps(w) ** 0.5 * size, xp.where(there, rounded, xp.zeros_like(rounded)))


def _unequal(w_bar, tolerance):
    """Which pairs of w̄ differ."""
    return namespace(w_bar).abs(row(w_bar) - column(w_bar)) > tolerance


# Up to how many times the largest w̄ a quotient K/(wⱼ − wᵢ) of equal eigenvalues may be.
SMOOTH = 3


def left_out(K, idle, noise, known, w_bar, w, tolerance):
    """The elements of F ∘ K that are left out, as the bracket is `idle`, taken for rounding, or eigenvalues are equal,
    and that may matter. For which matrices of the batch there are any, and are not known to a digit of Ā, which has the
    elements `known` besides. And which pairs of equal eigenvalues are those of a smooth function.

    The bracket of V f(w) Vᴴ is of the size of the gap. Where w̄ differs in a pair by more than that of a function of
    the eigenvalues does, by a hundred times the relative gap, the loss may be of this kind, and is none of those for
    which the bracket vanishes. So it counts for what it is, with its rounding over the gap.

    Also where eigenvalues are equal up to rounding, but differ as numbers: as far as f distinguishes them, as log w
    does of small ones, what it makes of these numbers belongs to them, and their quotient Mᵢⱼ (f(wⱼ) − f(wᵢ))/(wⱼ −
    wᵢ), M = Vᴴ W V, is a slope of f, as is w̄ᵢ = f′(wᵢ) Mᵢᵢ. One that is larger than all w̄ by far is no slope: the loss
    depends on which vectors stand for these eigenvalues. (A loss that does so may hide behind the slopes of another
    that is added to it, if these are so steep that the rounding of the eigenvalues alone changes the sum by about 1/75
    of what other vectors do: ε of the largest by w̄, where the bracket is at most 25 ε by 3 w̄.)
    """
    xp = namespace(K)
    unequal = _unequal(w_bar, tolerance)
    number, zero = blocks(w), xp.zeros_like(noise)
    apart, gap = xp.not_equal(row(number), column(number)), row(w) - column(w)
    distance = xp.abs(gap)
    largest = largest_of(w_bar)[..., None]
    steep = xp.abs(row(w_bar) - column(w_bar)) * largest_of(w)[..., None] > 100 * distance * largest
    smooth = unequal & ~apart & (distance > 0) & (xp.abs(K) <= SMOOTH * distance * largest)
    taken = (idle & unequal & apart & steep) | (smooth & (idle | (distance <= rounding(w)[..., None])))
    gap = xp.where(taken, gap, zero + 1)
    X = xp.where(taken, K / xp.cast(gap, K), xp.zeros_like(K))
    error = xp.where(taken, noise / (NOISE * gap) / 0.1, zero)  # relative to the tenth of Ā that it may be
    norm = xp.sum(w_bar**2, axis=-1) + xp.sum(xp.abs(known) ** 2 + xp.abs(X) ** 2, axis=(-2, -1))
    return X, anywhere(taken), xp.sum(error**2, axis=(-2, -1)) > norm, smooth
