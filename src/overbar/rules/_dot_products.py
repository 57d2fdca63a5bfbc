"""Covariance functions of dot products: linear and polynomial.

May import `overbar._namespace`, `overbar._primitive`, `rules.all_pairs`, `rules.covariances` and `rules.distances`.
"""

import numbers

from overbar._namespace import mT, namespace
from overbar._primitive import once, primitive
from overbar.rules._all_pairs import of_pairs, sums_of_pairs
from overbar.rules._covariances import no_noise, one, tangent_of_noise
from overbar.rules._distances import valid


def _one_variance(*arrays):
    return one(*arrays)[..., None]


_OWN = {"variance": _one_variance, "noise": no_noise}
_CROSS = {"variance": _one_variance}


class _Products:
    """The sums bᵢⱼ = Σ_d v_d y_id z_jd, for any block of them."""

    def __init__(self, inputs, variance):
        self.own, self.Y, self.Z, self.weighted = len(inputs) == 1, inputs[0], inputs[-1], inputs[0] * variance

    def rows(self, i, j, k):
        return self.weighted[..., i:j, :] @ mT(self.Z[..., :k, :])

    def all(self):
        if not self.own:
            return self.weighted @ mT(self.Z)
        half = (self.weighted / 2) @ mT(self.Z)
        return half + mT(half)


@primitive("(n,d),(l?),(k?)->(n,n)", absent=_OWN)
def linear_covariance(X, variance=None, noise=None):
    """The linear covariance kᵢⱼ = Σ_d v_d xᵢ_d xⱼ_d of inputs: of a linear function with random coefficients.

    Parameters
    ----------
    X
        The inputs, real, as rows. A column of ones among them is a random constant.
    variance
        v, positive, of the coefficients: one for all dimensions, or one for each; 1 by default.
    noise
        A variance that is added on the diagonal, not negative: one for all inputs, or one for each; 0 by default. No
        second matrix is made for it.

    Returns
    -------
    array (..., n, n)
        Symmetric to the last bit.

    Raises
    ------
    LinAlgError of the array's library
        A variance is not positive, or noise is negative. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D variances, or neither one nor n of the noise.

    Notes
    -----
    K̇ = Ẋ V Xᵀ + X V Ẋᵀ + X V̇ Xᵀ + diag(ṅ) with V = diag(v). With P = (K̄ + K̄ᵀ) X,

        X̄ = P V,    v̄_d = ½ Σᵢ xᵢ_d pᵢ_d,    n̄ᵢ = K̄ᵢᵢ.

    Source: Rasmussen & Williams (2006), section 4.2.2; Giles (2008), section 2.2.2. Cost: one product with D columns,
    its bars one or two.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> X = np.array([[1.0, 2.0], [1.0, 0.0]])
    >>> K, pullback = overbar.vjp(overbar.linear_covariance, X, np.array([1.0, 0.5]), 0.1)
    >>> K
    array([[3.1, 1. ],
           [1. , 1.1]])
    >>> variance_bar, noise_bar = pullback(np.ones((2, 2)))[1:]
    >>> variance_bar, float(noise_bar)
    (array([4., 4.]), 2.0)
    """
    return _covariance("linear_covariance", [X], variance, noise)


@primitive("(n,d),(m,d),(l?)->(n,m)", absent=_CROSS)
def linear_covariance_cross(X, X2, variance=None):
    """The linear covariance kᵢⱼ = Σ_d v_d xᵢ_d x′ⱼ_d of inputs with others.

    Parameters
    ----------
    X
        Inputs, real, as rows.
    X2
        Others, with as many dimensions.
    variance
        v, positive: one for all dimensions, or one for each; 1 by default.

    Returns
    -------
    array (..., n, m)

    Raises
    ------
    LinAlgError of the array's library
        A variance is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D variances, or X2 has another number of dimensions.

    Notes
    -----
    K̇ = Ẋ V X′ᵀ + X V Ẋ′ᵀ + X V̇ X′ᵀ with V = diag(v). With P = K̄ X′,

        X̄ = P V,    X̄′ = K̄ᵀ X V,    v̄_d = Σᵢ xᵢ_d pᵢ_d.

    Source: Rasmussen & Williams (2006), section 4.2.2; Giles (2008), section 2.2.2. Cost: one product with D columns,
    its bars two.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.linear_covariance_cross(np.array([[1.0, 2.0]]), np.array([[1.0, 0.0], [3.0, 1.0]]))
    array([[1., 5.]])
    """
    return _covariance("linear_covariance_cross", [X, X2], variance)


@primitive("(n,d),(l?),(),(k?)->(n,n)", absent={"offset": one, **_OWN})
def polynomial_covariance(X, variance=None, offset=None, noise=None, *, degree=3):
    """The polynomial covariance kᵢⱼ = (Σ_d v_d xᵢ_d xⱼ_d + c)^p of inputs.

    Parameters
    ----------
    X
        The inputs, real, as rows.
    variance
        v, positive: one for all dimensions, or one for each; 1 by default.
    offset
        c, not negative; 1 by default. With 0 all terms have the degree p.
    noise
        A variance that is added on the diagonal, not negative: one for all inputs, or one for each; 0 by default. No
        second matrix is made for it.
    degree : int
        p, at least 1.

    Returns
    -------
    array (..., n, n)
        Symmetric to the last bit.

    Raises
    ------
    LinAlgError of the array's library
        A variance is not positive, or the offset or noise is negative. Under XLA, which cannot raise, the result is
        NaN.
    The library's error for shapes
        There are neither one nor D variances, or neither one nor n of the noise.
    ValueError
        The degree is not a positive integer.

    Notes
    -----
    With B = X V Xᵀ + c and V = diag(v), Ḃ = Ẋ V Xᵀ + X V Ẋᵀ + X V̇ Xᵀ + ċ and K̇ = p B^(p−1) ∘ Ḃ + diag(ṅ), powers
    entry by entry. The bar of B is B̄ = p B^(p−1) ∘ K̄, and with P = (B̄ + B̄ᵀ) X,

        X̄ = P V,    v̄_d = ½ Σᵢ xᵢ_d pᵢ_d,    c̄ = Σ B̄ᵢⱼ,    n̄ᵢ = K̄ᵢᵢ.

    The rule computes B again. Source: Rasmussen & Williams (2006), section 4.2.2; Giles (2008), section 2.2.2. Cost:
    one product with D columns and powers, its bars two or three products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> X = np.array([[1.0], [-2.0]])
    >>> K, pullback = overbar.vjp(lambda *arrays: overbar.polynomial_covariance(*arrays, degree=2), X, 1.0, 1.0)
    >>> K
    array([[ 4.,  1.],
           [ 1., 25.]])
    >>> X_bar, variance_bar, offset_bar = pullback(np.array([[0.0, 1.0], [0.0, 0.0]]))
    >>> X_bar, float(variance_bar), float(offset_bar)
    (array([[ 4.],
           [-2.]]), 4.0, -2.0)
    """
    return _covariance("polynomial_covariance", [X], variance, noise, offset, degree)


@primitive("(n,d),(m,d),(l?),()->(n,m)", absent={"offset": one, **_CROSS})
def polynomial_covariance_cross(X, X2, variance=None, offset=None, *, degree=3):
    """The polynomial covariance kᵢⱼ = (Σ_d v_d xᵢ_d x′ⱼ_d + c)^p of inputs with others.

    Parameters
    ----------
    X
        Inputs, real, as rows.
    X2
        Others, with as many dimensions.
    variance
        v, positive: one for all dimensions, or one for each; 1 by default.
    offset
        c, not negative; 1 by default. With 0 all terms have the degree p.
    degree : int
        p, at least 1.

    Returns
    -------
    array (..., n, m)

    Raises
    ------
    LinAlgError of the array's library
        A variance is not positive, or the offset is negative. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D variances, or X2 has another number of dimensions.
    ValueError
        The degree is not a positive integer.

    Notes
    -----
    With B = X V X′ᵀ + c and V = diag(v), K̇ = p B^(p−1) ∘ Ḃ as for `polynomial_covariance`. The bar of B is
    B̄ = p B^(p−1) ∘ K̄, and with P = B̄ X′,

        X̄ = P V,    X̄′ = B̄ᵀ X V,    v̄_d = Σᵢ xᵢ_d pᵢ_d,    c̄ = Σ B̄ᵢⱼ.

    Source: Rasmussen & Williams (2006), section 4.2.2; Giles (2008), section 2.2.2. Cost: one product with D columns
    and powers, its bars three products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.polynomial_covariance_cross(np.array([[1.0]]), np.array([[2.0], [-1.0]]), degree=2)
    array([[9., 0.]])
    """
    return _covariance("polynomial_covariance_cross", [X, X2], variance, None, offset, degree)


def _power(B, p):
    """Bᵖ entry by entry for p ≥ 1, by squaring."""
    result = None
    while True:
        if p % 2:
            result = B if result is None else result * B
        p //= 2
        if not p:
            return result
        B = B * B


def valid_degree(name, degree):
    """Refuse a degree that is not one of a polynomial."""
    if isinstance(degree, bool) or not isinstance(degree, numbers.Integral) or degree < 1:
        raise ValueError(f"{name}: degree is {degree!r}. It must be a positive integer.")


def _covariance(name, inputs, variance, noise=None, offset=None, degree=1):
    valid_degree(name, degree)
    (variance,) = valid(name, inputs, {"variance": variance}, offset=offset, noise=noise)
    numbers, diagonal = [] if offset is None else [offset[..., None, None]], None

    def of_products(B, offset=None):
        return _power(B if offset is None else B + offset, degree)

    if noise is not None:
        X = inputs[0]
        squares = namespace(X).sum(X * variance * X, axis=-1)
        diagonal = of_products(squares, *[c[..., 0] for c in numbers]) + noise
    return of_pairs(of_products, _Products(inputs, variance), *numbers, diagonal=diagonal)


def _rules(function):
    sets, has_offset = function.arguments.index("variance"), "offset" in function.arguments
    own = sets == 1

    def parted(arrays, degree):
        """The inputs, the variances as rows, B without the offset, to be differentiated, and p B^(p−1) of it, None
        where that is 1."""
        inputs, variance = arrays[:sets], arrays[sets][..., None, :]
        offset = arrays[sets + 1][..., None, None] if has_offset else 0
        slope = None if degree == 1 else lambda B: degree * _power(B + offset, degree - 1)
        return inputs, variance, once(lambda: (inputs[0] * variance) @ mT(inputs[-1])), slope

    @function.vjp
    def _(K_bar, K, *arrays, degree=1):
        inputs, variance, B, slope = parted(arrays, degree)
        xp = namespace(K_bar)
        products, _, _ = sums_of_pairs(
            K_bar, None, lambda: inputs, B, lambda: _Products(inputs, variance), [K_bar, *arrays], slope
        )
        counted = 2 if own else 1  # in one set of inputs each pair has been counted twice
        of_inputs = [lambda product=product: mT(product()[0]) * variance for product in products]

        def of_variance():
            return xp.sum(inputs[0] * mT(products[0]()[0]), axis=-2) / counted

        def of_offset():
            return xp.sum(products[0]()[1], axis=(-2, -1)) / counted

        others = [of_offset] * has_offset + [lambda: xp.diagonal(K_bar)] * own
        return *of_inputs, of_variance, *others

    @function.jvp
    def _(K, *arrays, degree=1):
        inputs, variance, B, slope = parted(arrays, degree)
        xp, slope_there = namespace(K), once(lambda: slope(B()))

        def along(B_dot):
            return B_dot if slope is None else slope_there() * B_dot

        def from_first(dot):
            half = (dot * variance) @ mT(inputs[-1])
            return along(half + mT(half) if own else half)

        def from_second(dot):
            return along((inputs[0] * variance) @ mT(dot))

        def from_variance(dot):
            return along((inputs[0] * dot[..., None, :]) @ mT(inputs[-1]))

        def from_offset(dot):
            return along(dot[..., None, None] * xp.ones_like(K))

        from_inputs = [from_first, from_second][:sets]
        return *from_inputs, from_variance, *[from_offset] * has_offset, *[lambda dot: tangent_of_noise(K, dot)] * own


for _function in (linear_covariance, linear_covariance_cross, polynomial_covariance, polynomial_covariance_cross):
    _rules(_function)


@linear_covariance.samples
def _(case):
    yield case(case.real(4, 2) - 1, case.real(2), case.real(4))
    yield case(case.real(4, 3) - 1, case.real(1), case.real(1))


@linear_covariance_cross.samples
def _(case):
    yield case(case.real(4, 2) - 1, case.real(3, 2) - 1, case.real(2))
    yield case(case.real(2, 4) - 1, case.real(3, 4) - 1, case.real(1))


@polynomial_covariance.samples
def _(case):
    yield case(case.real(4, 2) - 1, case.real(2), case.real(), case.real(4), degree=3)
    yield case(case.real(3, 4) - 1, case.real(1), case.real(), case.real(1), degree=1)


@polynomial_covariance_cross.samples
def _(case):
    yield case(case.real(4, 2) - 1, case.real(3, 2) - 1, case.real(2), case.real(), degree=2)
    yield case(case.real(2, 4) - 1, case.real(3, 4) - 1, case.real(1), case.real(), degree=1)


def _exact(X, X2, variance, offset=0, degree=1):
    return ((X * variance) @ X2.T + offset) ** degree


@linear_covariance.reference
def _(mp, X, variance, noise):
    return _exact(X, X, variance) + noise[:, None] * mp.eye(len(X))


@linear_covariance_cross.reference
def _(mp, X, X2, variance):
    return _exact(X, X2, variance)


@polynomial_covariance.reference
def _(mp, X, variance, offset, noise, *, degree):
    return _exact(X, X, variance, offset, degree) + noise[:, None] * mp.eye(len(X))


@polynomial_covariance_cross.reference
def _(mp, X, X2, variance, offset, *, degree):
    return _exact(X, X2, variance, offset, degree)
