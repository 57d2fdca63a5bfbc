"""Squared distances of inputs, and what covariance functions of them share.

May import `overbar._namespace`, `overbar._primitive`, `rules.all_pairs`, `rules.differences` and
`rules.hyperparameters`. Functions come twice: of one set of inputs, whose matrix is symmetric, and of two (`_cross`);
`inputs` are one set or two. None of their rules forms differences of all pairs in all dimensions at once: with G the
bar of the squared distances, the bars of inputs and length scales come from one product of G with a matrix of D
columns.
"""

import math

from overbar._namespace import front, mT, namespace
from overbar._primitive import once, primitive
from overbar.rules._all_pairs import of_pairs, sums_of_pairs
from overbar.rules._differences import (
    FEW,
    MANY,
    are_far,
    by_size,
    centred,
    dots_of_differences,
    dots_of_differences_cross,
    weighted_by_differences,
    weighted_squares,
    weighted_squares_cross,
)
from overbar.rules._hyperparameters import noise_of_rows, not_negative, one_or_each, positive, real, required


def valid(name, inputs, vectors, numbers=None, offset=None, noise=None):
    """Vectors with one entry or one for each dimension of the inputs, length scales for instance, as rows (..., 1, l),
    and numbers as (..., 1, 1), both by their names, all of them positive, after a look at all arguments."""
    numbers, others = numbers or {}, {"offset": offset, "noise": noise}
    real(name, **dict(zip(("X", "X2"), inputs, strict=False)), **vectors, **numbers, **others)
    for argument, vector in vectors.items():
        words = f"one {_WORDS[argument]}, or one for each of the {inputs[0].shape[-1]} dimensions of X"
        one_or_each(name, argument, vector, "X", inputs[0], -1, words)
    rows = {argument: vector[..., None, :] for argument, vector in vectors.items()}
    checks = [positive(name, rows, numbers)]
    if offset is not None:
        checks.append(not_negative(name, "offset", offset))
    if noise is not None:
        checks.append(noise_of_rows(name, noise, "X", inputs[0]))
    first, *rest = rows.values()
    return required(first, *checks), *rest, *[number[..., None, None] for number in numbers.values()]


_WORDS = {"lengthscale": "length scale", "period": "period", "variance": "variance"}


def ones(X):
    """One length scale for each dimension, all of them 1."""
    return namespace(X).ones_like(namespace(X).sum(X, axis=-2))


def scaled(inputs, lengthscale):
    """The rows x/ℓ of each set, `centred`."""
    return [Y / lengthscale for Y in centred(*inputs)]


def weighted_rows(inputs, lengthscale):
    """The rows x/p of each set, the weights r = (p/ℓ)² (..., d), with which s = Σ_d r_d (y_d − z_d)², and p. These are
    powers of two below ℓ: the rows are those of the inputs to the last bit, and r is near 1. (With an infinite length
    scale, for an input that does not count, r is 0.)"""
    xp = namespace(lengthscale)
    known = xp.detached(lengthscale)
    p = xp.as_power_of_two(xp.where(xp.isfinite(known), known, xp.ones_like(known)))
    r = (p / lengthscale) ** 2
    D = inputs[0].shape[-1]
    if D is None or lengthscale.shape[-1] != D:  # one for each dimension, of one length scale for all of them, too
        r = r + xp.zeros_like(xp.sum(inputs[0], axis=-2))
    return [X / p[..., None, :] for X in inputs], r, p


# ---------------------------------------------------------------------------------------------------------------------
# Their values


class Distances:
    """The squared distances of the rows of one set of inputs from those of another, or from each other, for any block
    of them.

    In few dimensions, or where inputs are far from each other, differences make them. Else they are sums of products A
    Bᵀ, and what is below their error is zero, so that inputs that coincide are recognised.
    """

    def __init__(self, inputs, lengthscale):
        self.own, D = len(inputs) == 1, inputs[0].shape[-1]
        sets, self.r, _ = weighted_rows(inputs, lengthscale)
        self.Y, self.Z = sets[0], sets[-1]
        if _few(self.Y):  # which need no products
            return
        near = scaled(inputs, lengthscale[..., None, :])
        products = _two_products if D is not None and 0 < D <= MANY else _one_product
        self.products, self.least = products(near[0], near[-1])
        self.far = once(lambda: are_far(*sets))

    def rows(self, i, j, k):
        """Those of the rows i to j of Y from the first k of Z, in memory of their own."""
        Y, Z = self.Y[..., i:j, :], self.Z[..., :k, :]
        if _few(Y):
            return weighted_by_differences(self.r, Y, Z)
        least = self.least and (self.least[0][..., i:j, :], self.least[1][..., :k, :])
        products = [(A[..., i:j, :], B[..., :k, :]) for A, B in self.products]
        return self._either(lambda: _from_products(products, least), Y, Z)

    def _either(self, by_product, Y, Z):
        return by_size(by_product, lambda: weighted_by_differences(self.r, Y, Z), Y, self.far())

    def all(self):
        """All of them at once; of one set a symmetric matrix, to the last bit, with zeros on its diagonal."""
        if _few(self.Y):
            return weighted_by_differences(self.r, self.Y, self.Z)

        def by_product():
            if not self.own:
                return _from_products(self.products, self.least)
            half = _from_products([(A / 2, B) for A, B in self.products], self.least and [x / 2 for x in self.least])
            return half + mT(half)

        return self._either(by_product, self.Y, self.Z)


def _few(Y):
    return Y.shape[-1] is not None and 0 < Y.shape[-1] <= FEW


def _one_product(Y, Z):
    """|y|² + |z|² − 2 yᵀz as one product, and from which part of |y|² and |z|² on its digits are right."""
    xp, D = namespace(Y), Y.shape[-1]
    (one, size), (other_one, other) = _squared_rows(Y), _squared_rows(Z)
    if D is None:
        D = xp.sum(xp.ones_like(Y[..., :1, :]), axis=-1, keepdims=True)
    part = xp.eps(Y) * (D + 4)
    A, B = xp.concat([-2 * Y, size, one], axis=-1), xp.concat([Z, other_one, other], axis=-1)
    return [(A, B)], (size * part, other * part)


def _two_products(Y, Z):
    """The same in two products, the second of which has what the first one rounds; and None for a part of them.

    y = h + l, with h on a grid so coarse that the products of its entries are exact, and their sums. So the squared
    distances of the parts h are exact, and what they lack, 2 hᵀl + |l|² for the difference of h and of l, is as small
    as the grid, and so much smaller is its error. A bound of that error is taken off, half for each set: distances
    below some 10⁻¹⁰ of the extent count as zero, 10⁻⁴ in single precision.
    """
    xp, D = namespace(Y, Z), Y.shape[-1]
    c = None
    for X in (Y, Z)[: 1 + (Z is not Y)]:
        size = xp.power_of_two(xp.where(xp.isfinite(X), X, xp.zeros_like(X)))
        c = size if c is None else xp.maximum(c, size)
    bits = (round(-math.log2(xp.eps(Y))) - 3 - math.ceil(math.log2(D))) // 2
    grid = c / 2**bits

    def parted(X):
        """Of a set: h, l, the sums |h|² and lᵀ(2h + l), and ones."""
        h = xp.round(X / grid) * grid
        l = X - h
        one, size = _squared_rows(h)
        return h, l, size, xp.sum(l * (2 * h + l), axis=-1, keepdims=True) - least, one

    least = 4 * (D + 1) * D * xp.eps(Y) * c * grid
    h, l, size, rest, one = parted(Y)
    h2, l2, size2, rest2, one2 = parted(Z) if Z is not Y else (h, l, size, rest, one)
    exact = xp.concat([-2 * h, size, one], axis=-1), xp.concat([h2, one2, size2], axis=-1)
    small = xp.concat([-2 * l, -2 * (h + l), rest, one], axis=-1), xp.concat([h2, l2, one2, rest2], axis=-1)
    return [exact, small], None


def _squared_rows(Y):
    """A column of ones and one of |y|²."""
    xp = namespace(Y)
    size = xp.sum(Y * Y, axis=-1, keepdims=True)
    return xp.ones_like(size), size


def _from_products(products, least):
    S, xp = None, namespace(products[0][0])
    for A, B in products:
        product = A @ mT(B)
        if S is None:
            S = product
        elif front(A, B).may_write(A, B):
            S += product
        else:
            S = S + product
    zero = xp.zeros_like(S[..., :1, :1])
    return xp.maximum(S, zero) if least is None else xp.where(least[0] + mT(least[1]) >= S, zero, S)


def of_distances(function, inputs, lengthscale, *numbers, variance=None, diagonal=None):
    """``v f(S, *numbers)`` of the squared distances S, as `of_pairs`."""
    distances = Distances(inputs, lengthscale[..., 0, :])
    return of_pairs(function, distances, *numbers, variance=variance, diagonal=diagonal)


# ---------------------------------------------------------------------------------------------------------------------
# Their derivatives. In ṡᵢⱼ = Σ_d ṙ_d (yᵢ_d − zⱼ_d)² + 2 r_d (yᵢ_d − zⱼ_d)(ẏᵢ_d − żⱼ_d), with ṙ = −2 r ∘ ℓ̇/ℓ and
# ẏ = ẋ/p, are the sums of `overbar.rules._differences`: where H is the bar of S, the bar of X is 2 r ∘ A/p, and that of
# ℓ is −2 r ∘ w/ℓ.


def bars(K_bar, K, inputs, lengthscale, slope=None, relative=(), weight=2):
    """For each set of inputs, and for the length scales, a function that gives its bar, where weight/2 · G ∘ ρ(S) is
    the bar of the squared distances; and functions that give the sums of G and G ∘ τ(S): see `sums_of_pairs`."""
    given = [A for A in (K_bar, K, *inputs, lengthscale) if A is not None]
    weighted = once(lambda: weighted_rows(inputs, lengthscale))
    sets = lambda: weighted()[0]  # noqa: E731
    sums, squares, others = sums_of_pairs(
        *(K_bar, K, sets, lambda: squares_of(*inputs, lengthscale), lambda: Distances(inputs, lengthscale), given),
        *(slope, relative, once(lambda: are_far(*sets()))),
    )

    def of_inputs(which):
        _, r, p = weighted()
        return sums[which]() * (weight * r / p)[..., None, :]

    def of_scales():
        return squares() * (-weight * weighted()[1] / lengthscale)

    return (*[lambda which=which: of_inputs(which) for which in range(len(inputs))], of_scales), others


def tangents(inputs, lengthscale):
    """For each set of inputs, and for the length scales, a function that gives the tangent of the squared distances
    along its tangent."""
    weighted = once(lambda: weighted_rows(inputs, lengthscale))
    far = once(lambda: are_far(*weighted()[0]))

    def along(which, dot):
        sets, r, p = weighted()
        moved = dot * (2 * r / p)[..., None, :]
        if len(inputs) == 1:
            return dots_of_differences(moved, *sets, far())
        both = [moved if k == which else namespace(Y).zeros_like(Y) for k, Y in enumerate(sets)]
        return dots_of_differences_cross(*both, *sets, far())

    def from_scales(dot):
        sets, r, _ = weighted()
        squares = weighted_squares if len(inputs) == 1 else weighted_squares_cross
        return squares(dot * (-2 * r / lengthscale), *sets, far())

    return *[lambda dot, which=which: along(which, dot) for which in range(len(inputs))], from_scales


# ---------------------------------------------------------------------------------------------------------------------
# The squared distance. `squares_of` is that of a rule, which does not look at length scales again, nor need its result
# be symmetric to the last bit.


@primitive("(n,d),(l?)->(n,n)")
def _squares(X, lengthscale):
    return Distances([X], lengthscale).rows(None, None, None)


@primitive("(n,d),(m,d),(l?)->(n,m)")
def _squares_cross(X, X2, lengthscale):
    return Distances([X, X2], lengthscale).rows(None, None, None)


def _same(S):
    return S


def squares_of(*arrays):
    """The squared distances of one set of inputs or two, by the last array, the length scales."""
    return (_squares if len(arrays) == 2 else _squares_cross)(*arrays)


@primitive("(n,d),(l?)->(n,n)", absent={"lengthscale": ones})
def squared_distance(X, lengthscale=None):
    """The squared distances sᵢⱼ = Σ_d (xᵢ_d − xⱼ_d)² / ℓ_d² of inputs from each other.

    Parameters
    ----------
    X
        The inputs, real, as rows.
    lengthscale
        A positive length scale for all dimensions, or one for each; 1 by default.

    Returns
    -------
    array (..., n, n)
        Symmetric to the last bit, never negative, zero on the diagonal.

    Raises
    ------
    LinAlgError of the array's library
        A length scale is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales.

    Notes
    -----
    ṡᵢⱼ = Σ_d 2 (xᵢ − xⱼ)_d (ẋᵢ − ẋⱼ)_d/ℓ_d² − 2 (xᵢ − xⱼ)_d² ℓ̇_d/ℓ_d³. With H = S̄ + S̄ᵀ and its row sums h,

        x̄ᵢ = 2 Σⱼ Hᵢⱼ (xᵢ − xⱼ)/ℓ²,    ℓ̄ = −2 Σᵢⱼ S̄ᵢⱼ (xᵢ − xⱼ)²/ℓ³,

    entry by entry, of which the first is one product, 2 (diag(h) X − H X) diag(ℓ⁻²), and the second comes from one. As
    the rows of diag(h) − H add up to zero, X may be the inputs less the first: an offset of all costs no digits.

    In up to three dimensions s comes from differences, with all digits. In up to 32 it comes from two products, in the
    first of which nothing is rounded: s has a relative error of a few ε, and √s besides one of about 10⁻¹⁰ of the
    extent of the inputs, in single precision 10⁻⁴. In more it comes from one product, with an absolute error of a few
    ε ((xᵢ/ℓ)² + (xⱼ/ℓ)²). What is less than these errors is zero: coincident inputs are recognised. The bars have the
    error of a product, about ε (extent/ℓ)² of the sum of moduli Σ |S̄|.

    Where that would be much, for inputs that are more than 2,700 length scales (30 in single precision) from the first,
    differences are formed in up to 32 dimensions, one after the other: s and all its derivatives have all digits, and
    take two to seven times as long. Not in more than three dimensions where nobody can look at numbers, as
    `torch.compile` and XLA cannot, nor transforms of PyTorch's, and not on a device; in up to three differences are
    formed there in any case. (Where a graph of TensorFlow does not know the dimensions, products are.)

    Source: Rasmussen & Williams (2006), section 5.1, for length scales; the product rule, Giles (2008), section 2.2.2,
    for the rest. Cost: the function one product with D columns, its bars two.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> S, pullback = overbar.vjp(overbar.squared_distance, np.array([[0.0, 1.0], [3.0, 5.0]]), np.array([1.0, 2.0]))
    >>> S
    array([[ 0., 13.],
           [13.,  0.]])
    >>> pullback(np.array([[0.0, 1.0], [0.0, 0.0]]))
    (array([[-6., -2.],
           [ 6.,  2.]]), array([-18.,  -4.]))
    """
    return of_distances(_same, [X], valid("squared_distance", [X], {"lengthscale": lengthscale})[0])


@primitive("(n,d),(m,d),(l?)->(n,m)", absent={"lengthscale": lambda X, X2: ones(X)})
def squared_distance_cross(X, X2, lengthscale=None):
    """The squared distances sᵢⱼ = Σ_d (xᵢ_d − x′ⱼ_d)² / ℓ_d² of inputs from others.

    Parameters
    ----------
    X
        Inputs, real, as rows.
    X2
        Others, with as many dimensions.
    lengthscale
        A positive length scale for all dimensions, or one for each; 1 by default.

    Returns
    -------
    array (..., n, m)
        Never negative, and zero for inputs that coincide.

    Raises
    ------
    LinAlgError of the array's library
        A length scale is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales, or X2 has another number of dimensions.

    Notes
    -----
    ṡᵢⱼ = Σ_d 2 (xᵢ − x′ⱼ)_d (ẋᵢ − ẋ′ⱼ)_d/ℓ_d² − 2 (xᵢ − x′ⱼ)_d² ℓ̇_d/ℓ_d³, and entry by entry

        x̄ᵢ = 2 Σⱼ S̄ᵢⱼ (xᵢ − x′ⱼ)/ℓ²,    x̄′ⱼ = 2 Σᵢ S̄ᵢⱼ (x′ⱼ − xᵢ)/ℓ²,    ℓ̄ = −2 Σᵢⱼ S̄ᵢⱼ (xᵢ − x′ⱼ)²/ℓ³,

    by one product for each. Rounding is as for `squared_distance`, and so is what becomes of inputs that are far from
    each other.

    Source: Rasmussen & Williams (2006), section 5.1, for length scales; the product rule, Giles (2008), section 2.2.2,
    for the rest. Cost: the function one product with D columns, its bars two.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> X, X2 = np.array([[0.0, 1.0]]), np.array([[3.0, 5.0], [0.0, 1.0]])
    >>> S, pullback = overbar.vjp(overbar.squared_distance_cross, X, X2, np.array([1.0, 2.0]))
    >>> S
    array([[13.,  0.]])
    >>> pullback(np.array([[1.0, 0.0]]))[1]
    array([[6., 2.],
           [0., 0.]])
    """
    return of_distances(_same, [X, X2], valid("squared_distance_cross", [X, X2], {"lengthscale": lengthscale})[0])


def _rules_of_squared_distances(function):
    @function.vjp
    def _(S_bar, S, *arrays):
        return bars(S_bar, None, arrays[:-1], arrays[-1])[0]

    @function.jvp
    def _(S, *arrays):
        return tangents(arrays[:-1], arrays[-1])


for _function in (squared_distance, squared_distance_cross, _squares, _squares_cross):
    _rules_of_squared_distances(_function)


@squared_distance.samples
def _(case):
    yield case(case.real(4, 2), case.real(2))
    yield case(case.real(3, 5), case.real(1))


@squared_distance_cross.samples
def _(case):
    yield case(case.real(4, 2), case.real(3, 2), case.real(2))
    yield case(case.real(2, 5), case.real(3, 5), case.real(1))


def exact_squares(X, X2, lengthscale):
    D = (X[:, None, :] - X2[None, :, :]) / lengthscale
    return (D * D).sum(-1)


@squared_distance.reference
def _(mp, X, lengthscale):
    return exact_squares(X, X, lengthscale)


@squared_distance_cross.reference
def _(mp, X, X2, lengthscale):
    return exact_squares(X, X2, lengthscale)
