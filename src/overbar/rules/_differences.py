"""Sums of differences yᵢ − zⱼ of the rows of two matrices, or of one, over all pairs: what the derivatives of functions
of distances are made of.

May import `overbar._namespace` and `overbar._primitive`. Products of matrices give them, and round to the size of the
rows: Σⱼ Hᵢⱼ (yᵢ − zⱼ) = hᵢ yᵢ − (H Z)ᵢ. Where rows are far from each other beside what H leaves of the differences (a
covariance is zero but for close ones), these are formed, one column after the other, and nothing cancels. Which way is
taken says `far`, a number that is not 0 then (`are_far`). The primitives are each other's adjoints, so that derivatives
of any order are sums of differences, too:

    ⟨P, A⟩ + ⟨Q, B⟩ = ⟨H, N⟩    for Aᵢ = Σⱼ Hᵢⱼ (yᵢ − zⱼ), Bⱼ = Σᵢ Hᵢⱼ (zⱼ − yᵢ), Nᵢⱼ = (pᵢ − qⱼ)ᵀ(yᵢ − zⱼ),
    ⟨r, w⟩ = ⟨H, R⟩             for w_d = Σᵢⱼ Hᵢⱼ (yᵢ_d − zⱼ_d)², Rᵢⱼ = Σ_d r_d (yᵢ_d − zⱼ_d)².

Functions come twice: of one set of rows, Z = Y, Q = P, and of two (`_cross`). Of one set A + B is taken, and N and R
are symmetric to the last bit.
"""

from overbar._namespace import front, mT, namespace
from overbar._primitive import once, primitive

#: Up to so many columns differences are formed, too, where nobody can see how large the rows are: while a compiler
#: traces, or a transform looks on, or the numbers are on a device.
FEW = 3

#: With more columns than this, differences are not formed: as many steps in a graph would be needed.
MANY = 32

#: For so many columns, two products take less time than one with the sum of a matrix and its transpose.
THIN = 16


def centred(*sets):
    """Each set less the first row of the first, on which no difference depends: it costs products no digits then that
    all rows are far from 0."""
    # a sum of one or, where there are no rows, none
    centre = namespace(*sets).sum(sets[0][..., :1, :], axis=-2, keepdims=True)
    return [Y - centre for Y in sets]


def are_far(*sets):
    """1 where products would lose more than ε^(9/16) of the sum of the moduli of H, 1e-9, and 1e-4 in single precision;
    else 0. A constant of whoever differentiates."""
    xp, far = namespace(*sets), None
    bound = xp.eps(sets[0]) ** (-7 / 32) / (sets[0].shape[-1] or 1) ** 0.5
    for Y in centred(*map(xp.detached, sets)):
        largest = xp.any(xp.abs(Y) > bound)
        far = largest if far is None else far | largest
    return xp.cast(far, sets[0])


def by_size(by_product, by_differences, Y, far):
    """``by_product()``, or ``by_differences()`` of rows that are far from each other. For functions of primitives.

    Where nobody can look at `far`, `choose` takes its second way: differences of few columns, a product of many.
    """
    columns = Y.shape[-1]
    if not columns or columns > MANY:  # or not known while a graph is built
        return by_product()
    if columns <= FEW:
        return front(far).choose(far <= 0, by_product, by_differences)
    return front(far).choose(far > 0, by_differences, by_product)


def columns_of_differences(Y, Z):
    """For each column the matrix of all yᵢ − zⱼ."""
    for d in range(Y.shape[-1]):
        yield Y[..., d : d + 1] - mT(Z[..., d : d + 1])


def sums_by_differences(H, Y, Z):
    """A, B and w. (No difference is squared: where that is beyond the range of numbers, H is zero.)"""
    xp = namespace(H, Y, Z)
    A, B, w = [], [], []
    for difference in columns_of_differences(Y, Z):
        term = H * difference
        A.append(xp.sum(term, axis=-1)[..., :, None])
        B.append(-xp.sum(term, axis=-2)[..., :, None])
        w.append(xp.sum(term * difference, axis=(-2, -1))[..., None])
    return xp.concat(A, axis=-1), xp.concat(B, axis=-1), xp.concat(w, axis=-1)


def weighted_by_differences(r, Y, Z):
    """R."""
    R, write = None, front(r, Y, Z).may_write(r, Y, Z)
    for d, square in enumerate(columns_of_differences(Y, Z)):
        weight = r[..., d, None, None]
        if write and square.shape[:-2] == r.shape[:-1]:
            square *= square
            square *= weight
        else:
            square = weight * (square * square)
        if R is None:
            R = square
        elif write:
            R += square
        else:
            R = R + square
    return R


def squares_by_differences(H, Y, Z):
    """w alone."""
    xp = namespace(H, Y, Z)
    return xp.concat([xp.sum(H * E * E, axis=(-2, -1))[..., None] for E in columns_of_differences(Y, Z)], axis=-1)


def squares_by_product(Y, Z, rows, columns, product):
    """w alone, from the sums of H, as rows, and (H Z)ᵀ, for rows that are `centred`. (y² is never formed, as above.)"""
    xp = namespace(Y, Z, product)
    outer = xp.sum(mT(rows) * Y * Y, axis=-2) + xp.sum(mT(columns) * Z * Z, axis=-2)
    return outer - 2 * xp.sum(Y * mT(product), axis=-2)


def squares_of_sums(sets, sums):
    """w from A + B of one set, or from A and B, for rows that are `centred`: Σ yᵢ ∘ Aᵢ + Σ zⱼ ∘ Bⱼ."""
    return _total(namespace(Y).sum(Y * A, axis=-2) for Y, A in zip(sets, sums, strict=True))


def row_sums(H):
    """As a row (..., 1, n)."""
    return namespace(H).sum(H, axis=-1)[..., None, :]


def column_sums(H):
    """As a row (..., 1, m)."""
    return namespace(H).sum(H, axis=-2)[..., None, :]


def _total(terms):
    total = None
    for term in terms:
        total = term if total is None else total + term
    return total


# ---------------------------------------------------------------------------------------------------------------------
# A, B and w


@primitive("(n,n),(n,d),()->(n,d),(d)")
def sums_of_differences(H, Y, far):
    """A + B, Σⱼ (H + Hᵀ)ᵢⱼ (yᵢ − yⱼ), and w."""

    def by_product():
        (rows,), columns = centred(Y), Y.shape[-1]
        Z = mT(rows)
        product = Z @ mT(H) + Z @ H if columns is not None and columns <= THIN else Z @ (H + mT(H))
        A = mT((row_sums(H) + column_sums(H)) * Z - product)
        return A, squares_of_sums([rows], [A])

    def by_differences():
        A, B, w = sums_by_differences(H, Y, Y)
        return A + B, w

    return by_size(by_product, by_differences, Y, far)


@sums_of_differences.vjp
def _(bars, sums, H, Y, far):
    of_A, of_w = [[bar] if bar is not None else [] for bar in bars]  # which of them came
    return (
        lambda: _total([dots_of_differences(P, Y, far) for P in of_A] + [weighted_squares(r, Y, far) for r in of_w]),
        lambda: _total(
            [sums_of_differences(H, P, far)[0] for P in of_A] + [2 * r[..., None, :] * sums[0] for r in of_w]
        ),
        None,
    )


@sums_of_differences.jvp
def _(sums, H, Y, far):
    def from_Y(dot):
        return sums_of_differences(H, dot, far)[0], 2 * namespace(Y).sum(dot * sums[0], axis=-2)

    return lambda dot: sums_of_differences(dot, Y, far), from_Y, None


@primitive("(n,m),(n,d),(m,d),()->(n,d),(m,d),(d)")
def sums_of_differences_cross(H, Y, Z, far):
    """A, B and w."""

    def by_product():
        sets = centred(Y, Z)
        rows, columns = map(mT, sets)
        A, B = mT(row_sums(H) * rows - columns @ mT(H)), mT(column_sums(H) * columns - rows @ H)
        return A, B, squares_of_sums(sets, [A, B])

    return by_size(by_product, lambda: sums_by_differences(H, Y, Z), Y, far)


@sums_of_differences_cross.vjp
def _(bars, sums, H, Y, Z, far):
    xp = namespace(H)
    P, Q, r = (xp.zeros_like(A) if bar is None else bar for bar, A in zip(bars, sums, strict=True))
    moved = once(lambda: sums_of_differences_cross(H, P, Q, far))
    twice = 2 * r[..., None, :]
    return (
        lambda: dots_of_differences_cross(P, Q, Y, Z, far) + weighted_squares_cross(r, Y, Z, far),
        lambda: moved()[0] + twice * sums[0],
        lambda: moved()[1] + twice * sums[1],
        None,
    )


@sums_of_differences_cross.jvp
def _(sums, H, Y, Z, far):
    def dots(H_dot, Y_dot, Z_dot, _):  # of Y and Z together, or differences would be taken of none
        moved = sums_of_differences_cross(H_dot, Y, Z, far)
        others = sums_of_differences_cross(H, Y_dot, Z_dot, far)
        squares = 2 * squares_of_sums([Y_dot, Z_dot], sums[:2])
        return moved[0] + others[0], moved[1] + others[1], moved[2] + squares

    return dots


# ---------------------------------------------------------------------------------------------------------------------
# N


@primitive("(n,d),(n,d),()->(n,n)")
def dots_of_differences(P, Y, far):
    """N, (pᵢ − pⱼ)ᵀ(yᵢ − yⱼ)."""

    def by_product():
        (first,), (second,) = centred(P), centred(Y)
        half = namespace(Y).sum(first * second, axis=-1)[..., None] - second @ mT(first)
        return half + mT(half)

    return by_size(by_product, lambda: _dots(P, P, Y, Y), Y, far)


def _dots(P, Q, Y, Z):
    pairs = zip(columns_of_differences(P, Q), columns_of_differences(Y, Z), strict=True)
    return _total(first * second for first, second in pairs)


@dots_of_differences.vjp
def _(N_bar, N, P, Y, far):
    return lambda: sums_of_differences(N_bar, Y, far)[0], lambda: sums_of_differences(N_bar, P, far)[0], None


@dots_of_differences.jvp
def _(N, P, Y, far):
    return lambda P_dot: dots_of_differences(P_dot, Y, far), lambda Y_dot: dots_of_differences(P, Y_dot, far), None


@primitive("(n,d),(m,d),(n,d),(m,d),()->(n,m)")
def dots_of_differences_cross(P, Q, Y, Z, far):
    """N."""
    xp = namespace(Y)

    def by_product():
        (P0, Q0), (Y0, Z0) = centred(P, Q), centred(Y, Z)
        outer = xp.sum(Y0 * P0, axis=-1)[..., :, None] + xp.sum(Z0 * Q0, axis=-1)[..., None, :]
        return outer - P0 @ mT(Z0) - Y0 @ mT(Q0)

    return by_size(by_product, lambda: _dots(P, Q, Y, Z), Y, far)


@dots_of_differences_cross.vjp
def _(N_bar, N, P, Q, Y, Z, far):
    of_first = once(lambda: sums_of_differences_cross(N_bar, Y, Z, far))
    of_second = once(lambda: sums_of_differences_cross(N_bar, P, Q, far))
    return lambda: of_first()[0], lambda: of_first()[1], lambda: of_second()[0], lambda: of_second()[1], None


@dots_of_differences_cross.jvp
def _(N, P, Q, Y, Z, far):
    def dots(P_dot, Q_dot, Y_dot, Z_dot, _):
        return dots_of_differences_cross(P_dot, Q_dot, Y, Z, far) + dots_of_differences_cross(P, Q, Y_dot, Z_dot, far)

    return dots


# ---------------------------------------------------------------------------------------------------------------------
# R


@primitive("(d),(n,d),()->(n,n)")
def weighted_squares(r, Y, far):
    """R of one set."""

    def by_product():
        (rows,) = centred(Y)
        weighted = r[..., None, :] * rows
        half = namespace(Y).sum(weighted * rows, axis=-1)[..., None] - weighted @ mT(rows)
        return half + mT(half)

    return by_size(by_product, lambda: weighted_by_differences(r, Y, Y), Y, far)


@weighted_squares.vjp
def _(R_bar, R, r, Y, far):
    sums = once(lambda: sums_of_differences(R_bar, Y, far))
    return lambda: sums()[1], lambda: 2 * r[..., None, :] * sums()[0], None


@weighted_squares.jvp
def _(R, r, Y, far):
    return (
        lambda r_dot: weighted_squares(r_dot, Y, far),
        lambda Y_dot: 2 * dots_of_differences(r[..., None, :] * Y_dot, Y, far),
        None,
    )


@primitive("(d),(n,d),(m,d),()->(n,m)")
def weighted_squares_cross(r, Y, Z, far):
    """R of two."""
    xp = namespace(Y)

    def by_product():
        (rows, columns), weights = centred(Y, Z), r[..., None, :]
        outer = xp.sum(weights * rows * rows, axis=-1)[..., :, None]
        outer = outer + xp.sum(weights * columns * columns, axis=-1)[..., None, :]
        return outer - 2 * (weights * rows) @ mT(columns)

    return by_size(by_product, lambda: weighted_by_differences(r, Y, Z), Y, far)


@weighted_squares_cross.vjp
def _(R_bar, R, r, Y, Z, far):
    sums, twice = once(lambda: sums_of_differences_cross(R_bar, Y, Z, far)), 2 * r[..., None, :]
    return lambda: sums()[2], lambda: twice * sums()[0], lambda: twice * sums()[1], None


@weighted_squares_cross.jvp
def _(R, r, Y, Z, far):
    def dots(r_dot, Y_dot, Z_dot, _):
        rows = r[..., None, :]
        moved = dots_of_differences_cross(rows * Y_dot, rows * Z_dot, Y, Z, far)
        return weighted_squares_cross(r_dot, Y, Z, far) + 2 * moved

    return dots
