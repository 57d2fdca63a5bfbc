"""Equal and close eigenvalues or singular values: which they are, and what is divided by their differences.

May import `overbar._namespace`.
"""

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive


def row(x):
    return x[..., None, :]


def column(x):
    return x[..., :, None]


def hermitian_part(A):
    return (A + mH(A)) / 2


def from_eigen(w, V):
    """V diag(w) Vᴴ, Hermitian to the last bit; w is real, or in the dtype of V."""
    return hermitian_part((V * row(namespace(V).cast(w, V))) @ mH(V))


def has_rows(V):
    return V.shape[-2] != 0  # no library has a maximum of nothing


EQUAL = 25


def rounding(w):
    """How far apart equal eigenvalues may come out: `EQUAL` ε times the largest of them. (Those of A + E are within ‖E‖
    of those of A. Up to n = 300, and by whatever product A comes about, it is 7 ε that is found, with no growth in n.)
    """
    xp, size = namespace(w), namespace(w).abs(w)
    if w.shape[-1] == 0:
        return xp.sum(size, axis=-1, keepdims=True)  # no library has a maximum of nothing
    return EQUAL * xp.eps(size) * xp.max(size, axis=-1, keepdims=True)


def inverse_gaps(w):
    """Fᵢⱼ = 1/(wⱼ − wᵢ), and 0 where the two are equal up to rounding."""
    xp = namespace(w)
    gap = row(w) - column(w)
    apart = xp.abs(gap) > rounding(w)[..., None]
    return xp.where(apart, 1 / xp.where(apart, gap, xp.ones_like(gap)), xp.zeros_like(gap))


def untold(A, w):
    """The intermediates, of a matrix with the values w, whose cotangents tell of a basis: zero, for nothing else."""
    xp = namespace(A)
    zero = xp.zeros_like(xp.cast(w, A))
    return xp.zeros_like(A), xp.concat([zero, zero[..., :1]], axis=-1)


def packed(size, block, E, by=None):
    """The norm of what moves equal values, and the numbers of blocks, in one vector, so that both can be told from a
    sum of such vectors; and behind them the norm of E, if this counts in full.

    It is the norm of a part of E, with rounding of the size of E: it counts for less by that much, so that a part which
    is nothing but rounding tells nothing. (Two of these would seem to want different bases.)

    `by` are the cotangents of the values' derivatives along E. Where all of them are zero, E is one of several
    directions and not that of the derivative which is asked for, as in each row of jacrev(jacfwd(f)); or f is
    stationary in the values. For the second case it is told, but with so little weight that it is heard only where all
    that are told have so little. (In a sum of the derivatives of two functions along a direction each, one of them
    stationary, only the other is heard.)"""
    xp = namespace(E)
    norm = norm_of(E)
    size = size - 1e3 * xp.eps(block) * norm
    size = xp.maximum(size, xp.zeros_like(size))
    if by is not None:
        counts = _counts(by)
        size = xp.where(counts, size, size * _weight(size))
        norm = xp.where(counts, norm, xp.zeros_like(norm))
    vector = size * (1 + block)
    return xp.cast(xp.concat([vector, norm + xp.zeros_like(vector[..., :1])], axis=-1), E)


def packed_matrix(told, by=None):
    """What tells of the basis, with the weight that `packed` gives it."""
    if by is None:
        return told
    xp, counts = namespace(told), _counts(by)[..., None]
    one = xp.real(told) * 0 + 1
    return told * xp.cast(xp.where(counts, one, one * _weight(one)), told)


def _counts(by):
    xp = namespace(by)
    return xp.any(~xp.equal(by, 0), axis=-1)[..., None]


def _weight(x):
    """Of what counts for nothing beside what counts: so small that no sum of the two shows it, and not so small that
    single precision has no numbers for it."""
    return namespace(x).eps(x) ** 3


def parted(block, mask):
    """The numbers of blocks, where those for which the mask holds are in others than those before them."""
    xp = namespace(block)
    change = xp.not_equal(_steps(xp.cast(mask, block)), 0)
    return _numbered(change | (_steps(block) > 0.5), block)


def unpacked(vector, w):
    """The blocks, the sum of the norms, and whether vectors with different blocks were added."""
    xp, vector, norm = namespace(vector), vector[..., :-1], vector[..., -1:]
    total = vector[..., :1]
    # where what counts moves no equal values, nothing was told, whatever has been said besides
    total = xp.where(total > xp.eps(w) ** 1.5 * norm, total, xp.zeros_like(total))
    there = total > 0
    step = _steps(vector) / xp.where(there, total, xp.ones_like(total))
    gap = _steps(w)
    close = there & (gap > rounding(w)) & (gap <= xp.eps(w) ** 0.5 * largest_of(w))
    joined = close & (xp.abs(step) < 0.01)
    mixed = close & (xp.abs(step) >= 0.01) & (xp.abs(step - 1) >= 0.01)
    block = _numbered((gap > rounding(w)) & ~joined, w)
    return block, total, xp.any(mixed, axis=-1)[..., None]


def anywhere(mask):
    """Whether it holds anywhere in each matrix. (By one dimension after the other, for PyTorch's legacy vmap.)"""
    return namespace(mask).any(namespace(mask).any(mask, axis=-1), axis=-1)


def together(block, V):
    """Ones where two eigenvalues are in the same block, in the dtype of V."""
    return namespace(V).cast(namespace(V).equal(row(block), column(block)), V)


def blocks(w):
    """For each eigenvalue, in ascending order, the number of its block of equal ones: up to rounding, or linked by
    others that are."""
    return _numbered(_steps(w) > rounding(w), w)


def _numbered(split, w):
    return namespace(w).cumulative_sum(namespace(w).cast(split, w), axis=-1)


def _steps(x):
    """The difference of each entry from the one before it; 0 for the first."""
    return x - namespace(x).concat([x[..., :1], x[..., :-1]], axis=-1)


def smooth_blocks(w_bar, w):
    """The same for eigenvalues that are equal or so close that (w̄ᵢ − w̄ⱼ)/(wᵢ − wⱼ) is rounding more than anything
    else, if w̄ is as close as for a function that knows no difference between them."""
    xp = namespace(w)
    gap, size = _steps(w), xp.abs(w_bar)
    largest_w, largest = largest_of(w), largest_of(w_bar)
    relative = gap / xp.where(largest_w > 0, largest_w, xp.ones_like(gap))
    alike = xp.abs(_steps(w_bar)) <= (1e3 * relative + 8 * xp.eps(w)) * largest
    both = size + xp.concat([size[..., :1], size[..., :-1]], axis=-1)
    close = (gap <= xp.eps(w) ** 0.5 * largest_w) & alike & (both * xp.eps(w) ** 0.25 > relative * largest)
    return _numbered(~close & (gap > rounding(w)), w)


def largest_entry(xp, X):
    """The largest modulus of an entry of each matrix, (..., 1, 1)."""
    return 0 if 0 in X.shape[-2:] else xp.max(xp.abs(X), axis=(-2, -1), keepdims=True)


def norm_of(C):
    """Frobenius' norm, with one dimension of size 1 in place of two; no square overflows."""
    xp = namespace(C)
    size = xp.abs(C)
    if 0 in xp.static_shape(C)[-2:]:
        return xp.sum(size, axis=(-2, -1))[..., None]
    largest = xp.max(size, axis=(-2, -1), keepdims=True)
    scaled = size / xp.where(largest > 0, largest, xp.ones_like(largest))
    square = xp.sum(scaled * scaled, axis=(-2, -1), keepdims=True)
    square = xp.where(largest > 0, square, xp.ones_like(square))  # the root has no derivative at 0
    return (largest * xp.sqrt(square))[..., 0]


def differences(w_bar, w, block):
    """Dᵢⱼ = (w̄ᵢ − w̄ⱼ)/(wᵢ − wⱼ), and 0 within blocks."""
    xp = namespace(w)
    apart, gap = xp.not_equal(row(block), column(block)), row(xp.real(w)) - column(xp.real(w))
    far = xp.where(apart, 1 / xp.where(apart, gap, xp.ones_like(gap)), xp.zeros_like(gap))
    return (row(w_bar) - column(w_bar)) * xp.cast(far, w)


def differences_along(w_bar, w_bar_dot, w_dot, w, block):
    """The same, where w and w̄ move by ẇ and w̄̇. That tells D, too: w̄ᵢ − w̄ⱼ = D (wᵢ − wⱼ) has the derivative D (ẇᵢ −
    ẇⱼ) + Ḋ (wᵢ − wⱼ). If the two agree up to the rounding of the first, the second loses less where a gap is small."""
    xp = namespace(w)
    D = differences(w_bar, w, block)
    gap = xp.abs(row(xp.real(w)) - column(xp.real(w)))
    one = xp.ones_like(gap)
    apart = xp.not_equal(row(block), column(block)) & (gap > 0)
    over_gap = 1 / xp.where(apart, gap, one)
    size, size_dot = (row(xp.abs(x)) + column(xp.abs(x)) for x in (w_bar, w_bar_dot))
    error = 2 * xp.eps(gap) * size * over_gap
    # of a function Σ g(wₖ), where w̄̇ₖ = g″(wₖ) ẇₖ
    still = xp.equal(w_dot, 0)
    slope = w_bar_dot / xp.where(still, xp.ones_like(w_dot), w_dot)
    least = xp.abs(w_dot)
    least = xp.minimum(row(least), column(least))
    mean = (row(slope) + column(slope)) / 2
    better = apart & (xp.abs(D - mean) <= 8 * error) & (2 * xp.eps(gap) * size_dot <= 8 * error * least) & (least > 0)
    # of any other
    speed = row(w_dot) - column(w_dot)
    moving = apart & xp.not_equal(speed, 0)
    over_speed = 1 / xp.where(moving, xp.abs(speed), one)
    from_speed = (row(w_bar_dot) - column(w_bar_dot)) / xp.where(moving, speed, xp.ones_like(speed))
    curved = gap * over_speed * largest_of(w_dot)[..., None] / xp.where(moving, largest_of(w)[..., None], one)
    agree = (xp.abs(D - from_speed) <= error) & (2 * xp.eps(gap) * size_dot * over_speed <= error)
    good = moving & agree & (curved * xp.abs(from_speed) <= error)
    return xp.where(better, mean, xp.where(good, from_speed, D))


def crossing(C, block, E):
    """Which of the values have no second derivative along two directions, as they are equal to others and the
    directions have no common basis for these: C is the second one, E, in the basis of the first. (With rounding of the
    size of E: where the values are stationary, C is nothing else.) All other values have theirs, which are sums over
    the spaces of equal ones and do not depend on a basis."""
    xp = namespace(C)
    same = together(block, C)
    diagonal, small = xp.real(xp.diagonal(C)), 1e4 * xp.eps(block) * norm_of(E)
    crossed = xp.any(xp.abs(same * C - xp.cast(row(diagonal), C) * xp.eye_like(C)) > small[..., None], axis=-1)
    falls = (-_steps(diagonal) > small) & xp.equal(_steps(block), 0)
    return xp.any(xp.equal(row(block), column(block)) & row(crossed | falls), axis=-1)


def largest_of(w):
    """The largest of the eigenvalues in modulus, with one dimension of size 1."""
    xp, size = namespace(w), namespace(w).abs(w)
    return xp.max(size, axis=-1, keepdims=True) if w.shape[-1] != 0 else xp.sum(size, axis=-1, keepdims=True)


def is_weight(size, largest, rounding):
    """Which cotangents, of this size beside that of others, have the weight of a function f of the value that is zero
    there: the value is of the size of `rounding`, and f of it about that or its square. (With a third power it would be
    zero to second order, and no second derivative shows it.) One that is exactly zero tells nothing of f."""
    return (size > rounding**2.5 * largest) & (size <= rounding**0.5 * largest)


def is_told(part, size, rounding):
    """Which parts of cotangents of this size, along vectors of the same value, are none of rounding: the loss tells the
    vectors from each other."""
    return part > 2e3 * rounding * size


# How close values are, relative to the largest, of whose vectors there may be hardly a digit.
NEAR = 1e4 * EQUAL


def surely_apart(w, *more):
    """Whether it can be seen that no two of the values, in ascending order, with `more` behind them, are near."""
    xp = namespace(w)
    w = xp.concat([w, *more], axis=-1) if more else w
    return w.shape[-1] is not None and xp.near_pairs(w, NEAR * xp.eps(w)) == ()


def nearly_equal(w):
    """Which of the values, in ascending order, are near the next."""
    return w[..., 1:] - w[..., :-1] <= NEAR / EQUAL * rounding(w)


@primitive("(m,n),(m,n)->(m,n)")
def differentiated_once(A, where):
    """A, whose derivative is NaN where there is a one."""
    return A


@differentiated_once.vjp
def _(C_bar, C, A, where):
    return lambda: _nan(where, C_bar), None


@differentiated_once.jvp
def _(C, A, where):
    return lambda A_dot: _nan(where, A_dot), None


def _nan(where, A):
    return nan_where(~namespace(A).equal(namespace(A).real(where), 0), A)


def nan_where(lost, X):
    """X, and NaN where `lost`, which broadcasts to its shape, holds."""
    xp = namespace(X)
    return xp.where(lost, np.nan * xp.ones_like(X), X)


def settled(suspect, find, A_bar, message, complete):
    """Ā with NaN instead of the matrices of which it is not known, with a warning; and with what is missing in it,
    unless it is `complete`. ``find()`` tells which matrices these are, and what is missing, and in which matrices. It
    has to be called only if `suspect` holds anywhere.

    A second derivative of what is missing, where the square of a gap divides it, is NaN.
    """
    xp = namespace(A_bar)

    def each(x):
        return xp.real(x * xp.ones_like(A_bar[..., :1, :1]))

    def look():
        unknown, *others = find()
        front(unknown).warn(unknown, message)
        # a factor, so that derivatives of what is NaN are NaN, too
        factor = xp.where(unknown[..., None, None], np.nan * each(1), each(1))
        if complete:
            return (factor,)
        missing, spoilt = others
        return factor, missing, xp.where(spoilt[..., None, None], each(1), each(0))

    changes = front(suspect).only_if(
        suspect, look, lambda: (each(1), xp.zeros_like(A_bar), each(0))[: 1 if complete else 3]
    )
    if changes is None:
        return A_bar
    factor, *others = changes
    if not complete:
        missing, spoilt = others
        A_bar = differentiated_once(A_bar, xp.cast(spoilt, A_bar) * xp.ones_like(A_bar)) + missing
    return A_bar * xp.cast(factor, A_bar)
