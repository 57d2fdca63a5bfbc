"""Rational quadratic covariance functions of Gaussian processes: mixtures of squared exponentials.

May import `overbar._namespace`, `overbar._primitive`, `rules.covariances`, `rules.distances` and `rules.stationary`.
"""

from overbar._namespace import namespace
from overbar._primitive import primitive
from overbar.rules._covariances import CROSS, OWN, one
from overbar.rules._distances import exact_squares
from overbar.rules._stationary import rules_of_stationary, stationary


@primitive("(n,d),(l?),(),(),(k?)->(n,n)", absent={"alpha": one, **OWN})
def rational_quadratic(X, lengthscale, alpha=None, variance=None, noise=None):
    """The rational quadratic covariance kᵢⱼ = v (1 + sᵢⱼ/(2α))^−α of inputs, with their `squared_distance` sᵢⱼ.

    Parameters
    ----------
    X
        The inputs, real, as rows.
    lengthscale
        A positive length scale for all dimensions, or one for each.
    alpha
        α, positive: the smaller, the more length scales are mixed. `rbf` is the limit of large ones. 1 by default.
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
        A length scale, α or the variance is not positive, or noise is negative. Under XLA, which cannot raise, the
        result is NaN.
    The library's error for shapes
        There are neither one nor D length scales, or neither one nor n of the noise.

    Notes
    -----
    With u = s/(2α), f = exp(−α log(1 + u)), so that

        ρ = f′(s)/f = −½ / (1 + u),    τ = (∂f/∂α)/f = u/(1 + u) − log(1 + u).

    With K₀ = v f(S), the covariance without noise n, and Ṡ of `squared_distance`, whose diagonal is zero,
    K̇ = ρ ∘ K₀ ∘ Ṡ + τ ∘ K₀ α̇ + K₀ v̇/v + diag(ṅ). With G = K ∘ K̄ off the diagonal, and zero on it, the bar of S is
    S̄ = ρ ∘ G, and

        ᾱ = Σᵢⱼ Gᵢⱼ τᵢⱼ,    v̄ = Σᵢⱼ Gᵢⱼ / v + tr K̄,    n̄ᵢ = K̄ᵢᵢ:

    the bars of inputs and length scales are those of `squared_distance` for S̄. For small u the difference in τ would
    cancel: with r = u/(2 + u), log(1 + u) = 2 (r + r³/3 + r⁵/5 + …), and τ = −u²/((1 + u)(2 + u)) − 2 (r³/3 + r⁵/5 + …)
    does not. So a large α costs no digits, neither of K nor of ᾱ. Rounding is as for `squared_distance`.

    Source: Rasmussen & Williams (2006), equation 4.19. Cost: the function thin products of n by D matrices, a logarithm
    and an exponential; its bars products, and for ᾱ a logarithm.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> K, pullback = overbar.vjp(overbar.rational_quadratic, np.array([[0.0], [2.0]]), 2.0, 1.5)
    >>> K.round(3)
    array([[1.  , 0.65],
           [0.65, 1.  ]])
    >>> X_bar, lengthscale_bar, alpha_bar = pullback(np.array([[0.0, 1.0], [0.0, 0.0]]))
    >>> X_bar.round(3), float(lengthscale_bar.round(3)), float(alpha_bar.round(3))
    (array([[ 0.244],
           [-0.244]]), 0.244, -0.024)
    """
    return stationary("rational_quadratic", _mixture, [X], lengthscale, variance, noise, alpha=alpha)


@primitive("(n,d),(m,d),(l?),(),()->(n,m)", absent={"alpha": one, **CROSS})
def rational_quadratic_cross(X, X2, lengthscale, alpha=None, variance=None):
    """The rational quadratic covariance kᵢⱼ = v (1 + sᵢⱼ/(2α))^−α of inputs with others.

    Parameters
    ----------
    X
        Inputs, real, as rows.
    X2
        Others, with as many dimensions.
    lengthscale
        A positive length scale for all dimensions, or one for each.
    alpha
        α, positive; 1 by default.
    variance
        v, positive; 1 by default.

    Returns
    -------
    array (..., n, m)
        v for inputs that coincide.

    Raises
    ------
    LinAlgError of the array's library
        A length scale, α or the variance is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales, or X2 has another number of dimensions.

    Notes
    -----
    With ρ and τ of `rational_quadratic`, K̇ = ρ ∘ K ∘ Ṡ + τ ∘ K α̇ + K v̇/v, with Ṡ of
    `squared_distance_cross`, whose bar is S̄ = ρ ∘ K ∘ K̄: the bars of inputs and length scales are those of
    `squared_distance_cross` for it, and

        ᾱ = Σ τ ∘ K ∘ K̄,    v̄ = Σ K ∘ K̄ / v.

    Source: Rasmussen & Williams (2006), equation 4.19. Cost: as for `rational_quadratic`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.rational_quadratic_cross(np.array([[0.0]]), np.array([[2.0], [0.0]]), 2.0, 1.5, 3.0).round(3)
    array([[1.949, 3.   ]])
    >>> K, pullback = overbar.vjp(overbar.rational_quadratic_cross, np.array([[0.0]]), np.array([[2.0]]), 2.0)
    >>> pullback(np.ones((1, 1)))[0].round(3)
    array([[0.222]])
    """
    return stationary("rational_quadratic_cross", _mixture, [X, X2], lengthscale, variance, alpha=alpha)


def _mixture(S, alpha):
    xp = namespace(S)
    return xp.exp(-alpha * xp.log1p(S / (2 * alpha)))


def _mixture_slope(S, alpha):
    return -0.5 / (1 + S / (2 * alpha))


def _along_alpha(S, alpha):
    """τ = u/(1 + u) − log(1 + u) for u = s/(2α)."""
    xp, u = namespace(S, alpha), S / (2 * alpha)
    near = u < 1 / 8
    # the square of a large one is infinite, and its derivative NaN, also where nobody takes it
    v = xp.where(near, u, xp.zeros_like(u))
    square = (v / (2 + v)) ** 2
    series = 0
    for k in (15, 13, 11, 9, 7, 5, 3):
        series = square * series + 1 / k
    small = -v * v / (2 + v) * (1 / (1 + v) + 2 * series * v / (2 + v) ** 2)
    return xp.where(near, small, u / (1 + u) - xp.log1p(u))


rules_of_stationary(rational_quadratic, _mixture_slope, 1, [_along_alpha])
rules_of_stationary(rational_quadratic_cross, _mixture_slope, 1, [_along_alpha])


@rational_quadratic.samples
def _(case):
    # so far apart that much depends on α
    yield case(2 * case.real(4, 2), case.real(2), 0.15 * case.real(), case.real(), case.real(4))
    yield case(1.5 * case.real(3, 4), case.real(1), case.real(), case.real(), case.real(1))


@rational_quadratic_cross.samples
def _(case):
    yield case(case.real(4, 2), case.real(3, 2), case.real(2), case.real(), case.real())
    yield case(case.real(2, 5), case.real(3, 5), case.real(1), 9 * case.real(), case.real())


def _exact_mixture(mp, S, alpha, variance):
    return variance * mp.exp(-alpha * mp.log(1 + S / (2 * alpha)))


@rational_quadratic.reference
def _(mp, X, lengthscale, alpha, variance, noise):
    return _exact_mixture(mp, exact_squares(X, X, lengthscale), alpha, variance) + noise[:, None] * mp.eye(len(X))


@rational_quadratic_cross.reference
def _(mp, X, X2, lengthscale, alpha, variance):
    return _exact_mixture(mp, exact_squares(X, X2, lengthscale), alpha, variance)
