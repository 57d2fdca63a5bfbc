"""Squared distances of inputs, and what covariance functions of them share.

May import `overbar._namespace`, `overbar._primitive`, `rules.all_pairs` and `rules.hyperparameters`. Functions come
twice: of one set of inputs, whose matrix is symmetric, and of two (`_cross`); `inputs` are one set or two. None of
their rules forms differences of all pairs in all dimensions: with rows zᵢ = (xᵢ − c)/ℓ for any c, and G the bar of the
squared distances sᵢⱼ = |zᵢ − zⱼ|², the bars of inputs and length scales come from one product of G with a matrix of D
columns.
"""

import math

from overbar._namespace import front, mT, namespace
from overbar._primitive import once, primitive
from overbar.rules._all_pairs import of_pairs, sums_of_pairs
from overbar.rules._hyperparameters import noise_of_rows, not_negative, one_or_each, positive, real, required

#: In so many dimensions distances are computed from differences, one dimension after the other, and with all digits.
FEW = 3

#: From so many on, distances are computed by a product that rounds to the size of the inputs; from fewer by two.
MANY = 32


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
    """The rows (x − c)/ℓ of each set, where c is the first point: an offset of all inputs costs no digits."""
    xp = namespace(inputs[0])
    # a sum of one or, where there are no inputs, none; distances do not depend on c, nor do their derivatives
    centre = xp.detached(xp.sum(inputs[0][..., :1, :], axis=-2, keepdims=True))
    return [(X - centre) / lengthscale for X in inputs]


# ---------------------------------------------------------------------------------------------------------------------
# Their values


class Distances:
    """The squared distances of the rows of Y from those of Z, for any block of them; without Z, of Y from each other.

    They are sums of products A Bᵀ, and what is below their error is zero, so that inputs that coincide are recognised.
    """

    def __init__(self, Y, Z=None):
        self.own, self.Y, self.Z = Z is None, Y, Y if Z is None else Z
        self.least, D = None, Y.shape[-1]
        if D is None or D > MANY or D == 0:
            self.products, self.least = _one_product(self.Y, self.Z)
        elif D > FEW:
            self.products = _two_products(self.Y, self.Z)

    def rows(self, i, j, k):
        """Those of the rows i to j of Y from the first k of Z, in memory of their own."""
        if _few(self.Y):
            return _from_differences(self.Y[..., i:j, :], self.Z[..., :k, :])
        least = self.least and (self.least[0][..., i:j, :], self.least[1][..., :k, :])
        return _from_products([(A[..., i:j, :], B[..., :k, :]) for A, B in self.products], least)

    def all(self):
        """All of them at once; of one set a symmetric matrix, to the last bit, with zeros on its diagonal."""
        if _few(self.Y):
            return _from_differences(self.Y, self.Z)
        if not self.own:
            return _from_products(self.products, self.least)
        half = _from_products([(A / 2, B) for A, B in self.products], self.least and [x / 2 for x in self.least])
        return half + mT(half)


def _few(Y):
    return Y.shape[-1] is not None and 0 < Y.shape[-1] <= FEW


def _from_differences(Y, Z):
    S, write = None, front(Y, Z).may_write(Y, Z)
    for d in range(Y.shape[-1]):
        square = Y[..., d : d + 1] - mT(Z[..., d : d + 1])
        if write:
            square *= square
        else:
            square = square * square
        if S is None:
            S = square
        elif write:
            S += square
        else:
            S = S + square
    return S


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
    """The same in two products, the second of which has what the first one rounds.

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
    return [exact, small]


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
    distances = Distances(*scaled(inputs, lengthscale))
    return of_pairs(function, distances, *numbers, variance=variance, diagonal=diagonal)


# ---------------------------------------------------------------------------------------------------------------------
# Their derivatives. In ṡᵢⱼ = 2 (yᵢ − zⱼ)ᵀ(ẏᵢ − żⱼ), with ẏᵢ = (ẋᵢ − yᵢ ∘ ℓ̇)/ℓ, the terms of ẋᵢ add up to a bar
# 2 (Σⱼ Hᵢⱼ yᵢ − Hᵢⱼ zⱼ)/ℓ of xᵢ, where H is the bar of S, and those of ℓ̇ are the same times −yᵢ.


def bars(K_bar, K, inputs, lengthscale, slope=None, relative=(), weight=2):
    """For each set of inputs, and for the length scales, a function that gives its bar, where weight/2 · G ∘ ρ(S) is
    the bar of the squared distances; and functions that give the sums of G and G ∘ τ(S): see `sums_of_pairs`."""
    given = [A for A in (K_bar, K, *inputs, lengthscale) if A is not None]
    rows = lengthscale[..., None, :]
    sets = once(lambda: scaled(inputs, rows))
    products, squares, sums = sums_of_pairs(
        K_bar, K, sets, lambda: squares_of(*inputs, lengthscale), lambda: Distances(*sets()), given, slope, relative
    )
    asked = set()

    def bar_of(which):
        def bar():
            asked.add(which)
            product, total = products[which]()
            return (mT(total) * sets()[which] - mT(product)) * (weight / rows)

        return once(bar)

    of_inputs = [bar_of(which) for which in range(len(inputs))]

    def of_scales():
        if len(asked) < len(inputs):  # one product less than the bars of all inputs take
            return -squares() * (weight / lengthscale)
        total = None
        for bar, Y in zip(of_inputs, sets(), strict=True):
            term = namespace(Y).sum(Y * bar(), axis=-2)
            total = term if total is None else total + term
        return -total

    return (*of_inputs, of_scales), sums


def tangents(inputs, lengthscale):
    """For each set of inputs, and for the length scales, a function that gives the tangent of the squared distances
    along its tangent."""
    lengthscale = lengthscale[..., None, :]
    scaled_rows = once(lambda: scaled(inputs, lengthscale))

    def along(first, second):
        xp, Y, Z = namespace(lengthscale), scaled_rows()[0], scaled_rows()[-1]
        if len(inputs) == 1:
            half = xp.sum(Y * first, axis=-1, keepdims=True) - Y @ mT(first)
            return 2 * (half + mT(half))
        total = None
        if first is not None:
            total = xp.sum(Y * first, axis=-1, keepdims=True) - first @ mT(Z)
        if second is not None:
            term = mT(xp.sum(Z * second, axis=-1, keepdims=True)) - Y @ mT(second)
            total = term if total is None else total + term
        return 2 * total

    def from_scales(dot):
        relative = dot[..., None, :] / lengthscale
        moved = [-Z * relative for Z in scaled_rows()]
        return along(moved[0], moved[-1])

    from_inputs = (lambda dot: along(dot / lengthscale, None), lambda dot: along(None, dot / lengthscale))
    return *from_inputs[: len(inputs)], from_scales


# ---------------------------------------------------------------------------------------------------------------------
# The squared distance. `squares_of` is that of a rule, which does not look at length scales again, nor need its result
# be symmetric to the last bit.


@primitive("(n,d),(l?)->(n,n)")
def _squares(X, lengthscale):
    return Distances(*scaled([X], lengthscale[..., None, :])).rows(None, None, None)


@primitive("(n,d),(m,d),(l?)->(n,m)")
def _squares_cross(X, X2, lengthscale):
    return Distances(*scaled([X, X2], lengthscale[..., None, :])).rows(None, None, None)


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
    With rows zᵢ = (xᵢ − c)/ℓ for any c, ṡᵢⱼ = 2 (zᵢ − zⱼ)ᵀ(żᵢ − żⱼ), where żᵢ = (ẋᵢ − zᵢ ∘ ℓ̇)/ℓ. With H = S̄ + S̄ᵀ and
    its row sums h,

        X̄ = 2 (diag(h) Z − H Z) diag(1/ℓ),    ℓ̄ = −Σᵢ zᵢ ∘ x̄ᵢ,

    in which c cancels, as the rows of diag(h) − H add up to zero. c is the first input: an offset of all inputs costs
    no digits. In up to three dimensions s comes from differences, with all digits. In up to 32 it comes from two
    products, in the first of which nothing is rounded: s has a relative error of a few ε, and √s besides one of about
    10⁻¹⁰ of the extent of the inputs, in single precision 10⁻⁴. In more it comes from one product, with an absolute
    error of a few ε (|zᵢ|² + |zⱼ|²). What is less than these errors is zero: coincident inputs are recognised. The bars
    have the error of a product in any dimension, about ε (extent/ℓ)² of the sum of moduli Σ |S̄|.

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
    With rows yᵢ = (xᵢ − c)/ℓ and zⱼ = (x′ⱼ − c)/ℓ for any c, ṡᵢⱼ = 2 (yᵢ − zⱼ)ᵀ(ẏᵢ − żⱼ), where ẏᵢ = (ẋᵢ − yᵢ ∘ ℓ̇)/ℓ.
    With the row sums h and the column sums k of S̄,

        X̄ = 2 (diag(h) Y − S̄ Z) diag(1/ℓ),    X̄′ = 2 (diag(k) Z − S̄ᵀ Y) diag(1/ℓ),    ℓ̄ = −Σᵢ yᵢ ∘ x̄ᵢ − Σⱼ zⱼ ∘
        x̄′ⱼ.

    Rounding is as for `squared_distance`, with the first row of X for c.

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
