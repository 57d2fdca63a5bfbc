"""Matérn covariance functions of Gaussian processes.

May import `overbar._namespace`, `overbar._primitive`, `rules.covariances`, `rules.distances` and `rules.stationary`.
"""

from overbar._namespace import namespace
from overbar._primitive import primitive
from overbar.rules._covariances import CROSS, OWN
from overbar.rules._distances import exact_squares
from overbar.rules._stationary import rules_of_stationary, stationary


def valid_order(name, nu):
    """Refuse a ν for which there is no closed form."""
    if not isinstance(nu, (int, float)) or nu not in (0.5, 1.5, 2.5):
        raise ValueError(f"{name}: nu is {nu!r}. It must be 0.5, 1.5 or 2.5; `rbf` is the limit of large ones.")


def _cusp(S):
    """√s, and where it is zero: its derivative there is taken for zero."""
    xp = namespace(S)
    zero = xp.equal(S, 0)
    root = xp.sqrt(xp.where(zero, xp.ones_like(S), S))
    return xp.where(zero, xp.zeros_like(S), root), zero


def _smooth(S, nu, least):
    """√(2ν s) for ν > 1/2. An s below (least · ε)² is as good as zero there, and so is the derivative of the root,
    which has a factor of at most √s beside it in those of f and ρ."""
    xp = namespace(S)
    least = (least * xp.eps(S)) ** 2 * xp.ones_like(S[..., :1, :1])
    return (2 * nu) ** 0.5 * xp.sqrt(xp.maximum(S, least))


def _matern(S, nu):
    xp = namespace(S)
    if nu == 0.5:
        return xp.exp(-_cusp(S)[0])
    r = _smooth(S, nu, 1 / 16)  # so small that f(0) is 1 to the last bit
    return (1 + r if nu == 1.5 else 1 + r + S * (5 / 3)) * xp.exp(-r)


def _matern_slope(S, nu):
    """ρ = f′/f. In this form its own derivatives are right at s = 0 as well, wherever they count."""
    if nu == 0.5:
        xp, (r, zero) = namespace(S), _cusp(S)
        return xp.where(zero, xp.zeros_like(S), -0.5 / xp.where(zero, xp.ones_like(r), r))
    r = _smooth(S, nu, 1)
    return -1.5 / (1 + r) if nu == 1.5 else (1 + r) * (-5 / 6) / (1 + r + S * (5 / 3))


@primitive("(n,d),(l?),(),(k?)->(n,n)", absent=OWN)
def matern(X, lengthscale, variance=None, noise=None, *, nu=2.5):
    """The Matérn covariance kᵢⱼ = v f(sᵢⱼ) of inputs, for ν = 1/2, 3/2 or 5/2, with their `squared_distance` sᵢⱼ.

    Parameters
    ----------
    X
        The inputs, real, as rows.
    lengthscale
        A positive length scale for all dimensions, or one for each.
    variance
        v, positive; 1 by default.
    noise
        A variance that is added on the diagonal, not negative: one for all inputs, or one for each; 0 by default. No
        second matrix is made for it.
    nu : float
        The order ν: 0.5, the exponential covariance, 1.5 or 2.5.

    Returns
    -------
    array (..., n, n)
        Symmetric to the last bit, with v and the noise on the diagonal. (`add_diagonal` adds noise to sums.)

    Raises
    ------
    LinAlgError of the array's library
        A length scale or the variance is not positive, or noise is negative. Under XLA, which cannot raise, the result
        is NaN.
    The library's error for shapes
        There are neither one nor D length scales, or neither one nor n of the noise.
    ValueError
        There is no such ν.

    Notes
    -----
    With r = √(2ν s) and ρ = f′(s)/f(s):

        ν = 1/2    f = e⁻ʳ                    ρ = −1/(2r)
        ν = 3/2    f = (1 + r) e⁻ʳ            ρ = −(3/2) / (1 + r)
        ν = 5/2    f = (1 + r + r²/3) e⁻ʳ     ρ = −(5/6) (1 + r) / (1 + r + r²/3)

    With K₀ = v f(S), the covariance without noise n, and Ṡ of `squared_distance`, whose diagonal is zero, K̇ = ρ ∘ K₀ ∘
    Ṡ + K₀ v̇/v + diag(ṅ). With G = K ∘ K̄ off the diagonal, and zero on it, the bar of S is S̄ = ρ ∘ G, and

        v̄ = Σᵢⱼ Gᵢⱼ / v + tr K̄,    n̄ᵢ = K̄ᵢᵢ:

    the bars of inputs and length scales are those of `squared_distance` for S̄. K is all that the rule keeps: it
    computes S again, by thin products, and no exponential.

    Where inputs coincide ṡ = 0. For ν = 3/2 and 5/2 ρ is finite there, and first and second derivatives are right. For
    ν = 1/2 two inputs that coincide are a cusp: ρ = 0 stands for the derivative with respect to them, the mean of those
    from all sides. With respect to length scales the derivative is 0 there, and so it is for each input beside itself.
    Rounding is as for `squared_distance`.

    Source: Rasmussen & Williams (2006), equations 4.14 and 4.17. Cost: the function one product with D columns, a
    square root and an exponential; its bars three products and a square root.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> K, pullback = overbar.vjp(lambda X, l: overbar.matern(X, l, nu=1.5), np.array([[0.0], [2.0]]), 2.0)
    >>> K.round(3)
    array([[1.   , 0.483],
           [0.483, 1.   ]])
    >>> X_bar, lengthscale_bar = pullback(np.array([[0.0, 1.0], [0.0, 0.0]]))
    >>> X_bar.round(3), float(lengthscale_bar.round(3))
    (array([[ 0.265],
           [-0.265]]), 0.265)
    """
    valid_order("matern", nu)
    return stationary("matern", lambda S: _matern(S, nu), [X], lengthscale, variance, noise)


@primitive("(n,d),(m,d),(l?),()->(n,m)", absent=CROSS)
def matern_cross(X, X2, lengthscale, variance=None, *, nu=2.5):
    """The Matérn covariance kᵢⱼ = v f(sᵢⱼ) of inputs with others, for ν = 1/2, 3/2 or 5/2.

    Parameters
    ----------
    X
        Inputs, real, as rows.
    X2
        Others, with as many dimensions.
    lengthscale
        A positive length scale for all dimensions, or one for each.
    variance
        v, positive; 1 by default.
    nu : float
        The order ν: 0.5, the exponential covariance, 1.5 or 2.5.

    Returns
    -------
    array (..., n, m)
        v for inputs that coincide.

    Raises
    ------
    LinAlgError of the array's library
        A length scale or the variance is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales, or X2 has another number of dimensions.
    ValueError
        There is no such ν.

    Notes
    -----
    With f and ρ of `matern`, K̇ = ρ ∘ K ∘ Ṡ + K v̇/v, with Ṡ of `squared_distance_cross`, whose bar is S̄ =
    ρ ∘ K ∘ K̄: the bars of inputs and length scales are those of `squared_distance_cross` for it, and v̄ = Σ K ∘ K̄ /
    v. What is said there of inputs that coincide, and of rounding, holds here.

    Source: Rasmussen & Williams (2006), equations 4.14 and 4.17. Cost: the function one product with D columns, a
    square root and an exponential; its bars three products and a square root.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.matern_cross(np.array([[0.0]]), np.array([[2.0], [0.0]]), 2.0, 3.0, nu=0.5).round(3)
    array([[1.104, 3.   ]])
    >>> K, pullback = overbar.vjp(overbar.matern_cross, np.array([[0.0]]), np.array([[2.0]]), 2.0)
    >>> pullback(np.ones((1, 1)))[0].round(3)
    array([[0.288]])
    """
    valid_order("matern_cross", nu)
    return stationary("matern_cross", lambda S: _matern(S, nu), [X, X2], lengthscale, variance)


rules_of_stationary(matern, _matern_slope)
rules_of_stationary(matern_cross, _matern_slope)


@matern.samples
def _(case):
    yield case(case.real(4, 2), case.real(2), case.real(), case.real(4), nu=2.5)
    yield case(case.real(3, 4), case.real(1), case.real(), case.real(1), nu=1.5)
    yield case(2 * case.real(3, 2), case.real(1), case.real(), case.real(1), nu=0.5)


@matern_cross.samples
def _(case):
    yield case(case.real(4, 2), case.real(3, 2), case.real(2), case.real(), nu=2.5)
    yield case(case.real(2, 5), case.real(3, 5), case.real(1), case.real(), nu=1.5)
    yield case(case.real(2, 2), case.real(3, 2) + 2, case.real(1), case.real(), nu=0.5)


def _exact_matern(mp, S, variance, nu):
    r = mp.sqrt(S * int(2 * nu))
    return variance * mp.exp(-r) * {0.5: 1, 1.5: 1 + r, 2.5: 1 + r + r * r / 3}[nu]


@matern.reference
def _(mp, X, lengthscale, variance, noise, *, nu):
    return _exact_matern(mp, exact_squares(X, X, lengthscale), variance, nu) + noise[:, None] * mp.eye(len(X))


@matern_cross.reference
def _(mp, X, X2, lengthscale, variance, *, nu):
    return _exact_matern(mp, exact_squares(X, X2, lengthscale), variance, nu)
