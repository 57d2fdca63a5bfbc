"""The periodic covariance function: the squared exponential one of points on circles.

May import `overbar._namespace`, `overbar._primitive`, `rules.all_pairs`, `rules.covariances` and `rules.distances`.
"""

import math

from overbar._namespace import namespace
from overbar._primitive import once, primitive
from overbar.rules._all_pairs import off_diagonal
from overbar.rules._covariances import CROSS, OWN, bars_of_scale, exponential, tangents_of_scale, with_noise
from overbar.rules._distances import bars, of_distances, tangents, valid


def _on_circles(inputs, period):
    """For each set of inputs the differences d from the first point, on which covariances do not depend, and the points
    (cos θ, sin θ) with θ = 2π d/p, in twice as many dimensions.

    What is left of d after a whole number k of periods has all digits: what the difference lost is added to it, and p
    is split into two parts, of which the product of k with the first one is exact (as long as k has no more than half
    of the digits).
    """
    xp = namespace(*inputs, period)
    centre = xp.detached(xp.sum(inputs[0][..., :1, :], axis=-2, keepdims=True))
    p = xp.detached(period)
    grid = xp.as_power_of_two(p) / 2 ** (round(-math.log2(xp.eps(p))) // 2)
    high = xp.round(p / grid) * grid
    differences, points = [], []
    for X in inputs:
        D = X - centre
        lost = (X - (D - (D - X))) - (centre + (D - X))
        k = xp.detached(xp.round(D / p))
        angle = (2 * math.pi) * ((D - k * high - k * (period - high) + lost) / period)
        differences.append(D)
        points.append(xp.concat([xp.cos(angle), xp.sin(angle)], axis=-1))
    return differences, points


def _twice(lengthscale):
    """The length scales of cos θ and sin θ: one for all stays one."""
    return lengthscale if lengthscale.shape[-1] == 1 else namespace(lengthscale).concat([lengthscale] * 2, axis=-1)


def _halves(U):
    D = namespace(U).shape(U)[-1] // 2
    return U[..., :D], U[..., D:]


@primitive("(n,d),(l?),(p?),(),(k?)->(n,n)", absent=OWN)
def periodic(X, lengthscale, period, variance=None, noise=None):
    """The periodic covariance kᵢⱼ = v exp(−2 Σ_d sin²(π (xᵢ_d − xⱼ_d)/p_d) / ℓ_d²) of inputs.

    Parameters
    ----------
    X
        The inputs, real, as rows.
    lengthscale
        A positive length scale for all dimensions, or one for each. It is a pure number: of a circle of radius 1.
    period
        A positive period for all dimensions, or one for each.
    variance
        v, positive; 1 by default.
    noise
        A variance that is added on the diagonal, not negative: one for all inputs, or one for each; 0 by default. No
        second matrix is made for it.

    Returns
    -------
    array (..., n, n)
        Symmetric to the last bit, with v and the noise on the diagonal. (`add_diagonal` adds noise to sums.)

    Raises
    ------
    LinAlgError of the array's library
        A length scale, a period or the variance is not positive, or noise is negative. Under XLA, which cannot raise,
        the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales or periods, or neither one nor n of the noise.

    Notes
    -----
    With θ = 2π (x − c)/p for any c, and u = (cos θ, sin θ) in 2D dimensions, |uᵢ − uⱼ|² = 4 Σ_d sin²(π (xᵢ_d −
    xⱼ_d)/p_d): this is `rbf` of u, with each length scale twice, and no n × n × D array is formed. From u̇ = (−sin θ,
    cos θ) ∘ θ̇ and θ̇ = 2π ẋ/p − θ ṗ/p, with Ū and the bars of both halves of the length scales as in `rbf`,

        θ̄ = cos θ ∘ Ū_sin − sin θ ∘ Ū_cos,    X̄ = 2π θ̄ diag(1/p),    p̄ = −Σᵢ (xᵢ − c) ∘ x̄ᵢ / p,
        ℓ̄ = ℓ̄_cos + ℓ̄_sin.

    v̄ and n̄ are those of `rbf`. θ is computed from what is left of x − c after a whole number of periods, without
    rounding it: neither an offset nor many periods cost digits.

    GPyTorch has ℓ in place of ℓ² here, and GPflow ½ in place of 2: ℓ is √ℓ of the former and twice that of the latter.

    Source: Rasmussen & Williams (2006), equation 4.31, after MacKay (1998). Cost: as for `rbf` in 2D dimensions.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> K, pullback = overbar.vjp(overbar.periodic, np.array([[0.0], [0.25], [5.0]]), 1.0, 1.0)
    >>> K.round(3)
    array([[1.   , 0.368, 1.   ],
           [0.368, 1.   , 0.368],
           [1.   , 0.368, 1.   ]])
    >>> X_bar, lengthscale_bar, period_bar = pullback(np.ones((3, 3)))
    >>> float(lengthscale_bar.round(3)), float(period_bar.round(3))
    (2.943, -20.803)
    """
    return _periodic("periodic", [X], lengthscale, period, variance, noise)


@primitive("(n,d),(m,d),(l?),(p?),()->(n,m)", absent=CROSS)
def periodic_cross(X, X2, lengthscale, period, variance=None):
    """The periodic covariance kᵢⱼ = v exp(−2 Σ_d sin²(π (xᵢ_d − x′ⱼ_d)/p_d) / ℓ_d²) of inputs with others.

    Parameters
    ----------
    X
        Inputs, real, as rows.
    X2
        Others, with as many dimensions.
    lengthscale
        A positive length scale for all dimensions, or one for each. It is a pure number: of a circle of radius 1.
    period
        A positive period for all dimensions, or one for each.
    variance
        v, positive; 1 by default.

    Returns
    -------
    array (..., n, m)
        v for inputs that coincide.

    Raises
    ------
    LinAlgError of the array's library
        A length scale, a period or the variance is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales or periods, or X2 has another number of dimensions.

    Notes
    -----
    As for `periodic`: this is `rbf_cross` of u and u′ on circles, with θ̄ of both sets,

        X̄ = 2π θ̄ diag(1/p),    X̄′ = 2π θ̄′ diag(1/p),    p̄ = −Σᵢ (xᵢ − c) ∘ x̄ᵢ / p − Σⱼ (x′ⱼ − c) ∘ x̄′ⱼ / p,

    in which c is the first row of X. Source: Rasmussen & Williams (2006), equation 4.31. Cost: as for `rbf_cross` in 2D
    dimensions.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.periodic_cross(np.array([[0.0]]), np.array([[0.25], [7.0]]), 1.0, 1.0, 3.0).round(3)
    array([[1.104, 3.   ]])
    """
    return _periodic("periodic_cross", [X, X2], lengthscale, period, variance)


def _periodic(name, inputs, lengthscale, period, variance, noise=None):
    vectors = {"lengthscale": lengthscale, "period": period}
    lengthscale, period, variance = valid(name, inputs, vectors, {"variance": variance}, noise=noise)
    diagonal = None
    if noise is not None:
        diagonal = with_noise(variance[..., 0], noise, inputs[0], lengthscale)
    _, circles = _on_circles(inputs, period)
    return of_distances(exponential, circles, _twice(lengthscale), variance=variance, diagonal=diagonal)


def _rules(function):
    sets = function.arguments.index("lengthscale")

    @function.vjp
    def _(K_bar, K, *arrays):
        inputs, (lengthscale, period, variance) = arrays[:sets], arrays[sets : sets + 3]
        xp, rows = namespace(*arrays), period[..., None, :]
        differences, circles = _on_circles(inputs, rows)
        (*of_circles, of_scales), (total,) = bars(K_bar, K, circles, _twice(lengthscale), weight=-1)

        def bar_of(which):
            (cos, sin), (cos_bar, sin_bar) = _halves(circles[which]), _halves(of_circles[which]())
            return (cos * sin_bar - sin * cos_bar) * (2 * math.pi / rows)

        of_inputs = [once(lambda which=which: bar_of(which)) for which in range(sets)]

        def of_periods():
            terms = [xp.sum(D * bar(), axis=-2) for D, bar in zip(differences, of_inputs, strict=True)]
            return -sum(terms[1:], start=terms[0]) / period

        def of_lengthscale():
            first, second = _halves(of_scales())
            return first + second

        return *of_inputs, of_lengthscale, of_periods, *bars_of_scale(K_bar, total, variance, sets == 1)

    @function.jvp
    def _(K, *arrays):
        inputs, (lengthscale, period, variance) = arrays[:sets], arrays[sets : sets + 3]
        xp, rows = namespace(*arrays), period[..., None, :]
        differences, circles = _on_circles(inputs, rows)
        *along, along_scales = tangents(circles, _twice(lengthscale))
        derivative = once(lambda: off_diagonal(K / -2) if sets == 1 else K / -2)

        def moved(which, angle_dot):
            cos, sin = _halves(circles[which])
            return along[which](xp.concat([-sin * angle_dot, cos * angle_dot], axis=-1))

        def from_inputs(which, dot):
            return derivative() * moved(which, (2 * math.pi / rows) * dot)

        def from_periods(dot):
            rate = (-2 * math.pi / rows) * (dot[..., None, :] / rows)
            terms = [moved(which, rate * D) for which, D in enumerate(differences)]
            return derivative() * sum(terms[1:], start=terms[0])

        return (
            *[lambda dot, which=which: from_inputs(which, dot) for which in range(sets)],
            lambda dot: derivative() * along_scales(_twice(dot)),
            from_periods,
            *tangents_of_scale(K, variance, sets == 1),
        )


_rules(periodic)
_rules(periodic_cross)


@periodic.samples
def _(case):
    # periods so long that differences of derivatives are good for the second ones
    yield case(2 * case.real(4, 2), 0.5 + case.real(2), 2 + case.real(2), case.real(), case.real(4))
    yield case(case.real(3, 1), 0.5 + case.real(1), 2 + case.real(1), case.real(), case.real(1))


@periodic_cross.samples
def _(case):
    yield case(case.real(4, 2), case.real(3, 2), case.real(2), 2 + case.real(1), case.real())
    yield case(case.real(2, 1), case.real(3, 1), case.real(1), 2 + case.real(1), case.real())


def _exact(mp, X, X2, lengthscale, period, variance):
    sines = mp.sin((X[:, None, :] - X2[None, :, :]) / period * mp.context.pi) / lengthscale
    return variance * mp.exp(-2 * (sines * sines).sum(-1))


@periodic.reference
def _(mp, X, lengthscale, period, variance, noise):
    return _exact(mp, X, X, lengthscale, period, variance) + noise[:, None] * mp.eye(len(X))


@periodic_cross.reference
def _(mp, X, X2, lengthscale, period, variance):
    return _exact(mp, X, X2, lengthscale, period, variance)
