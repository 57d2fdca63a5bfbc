"""Stationary covariance functions of Gaussian processes, of which each is a function of squared distances: the squared
exponential, the Matérn family and the rational quadratic.

May import `overbar._namespace`, `overbar._primitive`, `rules.all_pairs`, `rules.covariances` and `rules.distances`. For
K = v f(S) and ρ = f′/f, v f′ = ρ K: the bar of the squared distances is ρ ∘ K ∘ K̄, and a rule needs no exponential.
"""

from overbar._namespace import namespace
from overbar._primitive import once, primitive
from overbar.rules._all_pairs import off_diagonal
from overbar.rules._covariances import CROSS, OWN, bars_of_scale, exponential, one, tangents_of_scale, with_noise
from overbar.rules._distances import bars, exact_squares, of_distances, squares_of, tangents, valid


def _covariance(name, function, inputs, lengthscale, variance, noise=None, **numbers):
    """v f(S) with the noise, where ``f(S, *numbers)`` is 1 for s = 0 and each of the numbers must be positive."""
    lengthscale, *numbers, variance = valid(
        name, inputs, {"lengthscale": lengthscale}, {**numbers, "variance": variance}, noise=noise
    )
    diagonal = None
    if noise is not None:
        diagonal = with_noise(variance[..., 0], noise, inputs[0], lengthscale)
    return of_distances(function, inputs, lengthscale, *numbers, variance=variance, diagonal=diagonal)


def _rules(function, slope=None, numbers=0, relative=()):
    """Both rules of K = v f(S), of which ``slope(S, *numbers, **options)`` is ρ; it is −1/2 without. `relative` are the
    derivatives of log f with respect to the numbers behind the length scales."""
    sets = function.arguments.index("lengthscale")

    def parted(arrays, options):
        """The inputs, the length scales, the variance, and functions of S: ρ, and those of `relative`."""
        inputs, (lengthscale, *others) = arrays[:sets], arrays[sets:]
        given = [number[..., None, None] for number in others[:numbers]]
        functions = [rho and (lambda S, rho=rho: rho(S, *given, **options)) for rho in (slope, *relative)]
        return inputs, lengthscale, others[numbers], *functions

    @function.vjp
    def _(K_bar, K, *arrays, **options):
        inputs, lengthscale, variance, rho, *taus = parted(arrays, options)
        found, (total, *others) = bars(K_bar, K, inputs, lengthscale, rho, taus, 2 if rho else -1)
        return *found, *others, *bars_of_scale(K_bar, total, variance, len(inputs) == 1)

    @function.jvp
    def _(K, *arrays, **options):
        inputs, lengthscale, variance, rho, *taus = parted(arrays, options)
        own = len(inputs) == 1
        K0 = once(lambda: off_diagonal(K) if own else K)
        S = once(lambda: squares_of(*inputs, lengthscale))
        derivative = once(lambda: rho(S()) * K0() if rho else K0() / -2)
        along = [lambda dot, along=along: derivative() * along(dot) for along in tangents(inputs, lengthscale)]
        others = [lambda dot, tau=tau: dot[..., None, None] * tau(S()) * K0() for tau in taus]
        return *along, *others, *tangents_of_scale(K, variance, own)


# ---------------------------------------------------------------------------------------------------------------------
# The squared exponential covariance


@primitive("(n,d),(l?),(),(k?)->(n,n)", absent=OWN)
def rbf(X, lengthscale, variance=None, noise=None):
    """The squared exponential covariance kᵢⱼ = v exp(−sᵢⱼ/2) of inputs, with their `squared_distance` sᵢⱼ.

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

    Notes
    -----
    With K₀ = v f(S), the covariance without noise n, and Ṡ of `squared_distance`, whose diagonal is zero,
    K̇ = −½ K₀ ∘ Ṡ + K₀ v̇/v + diag(ṅ). With G = K ∘ K̄ off the diagonal, and zero on it, H = G + Gᵀ, its row sums h,
    and rows zᵢ = (xᵢ − c)/ℓ for any c,

        X̄ = (H Z − diag(h) Z) diag(1/ℓ),    ℓ̄ = −Σᵢ zᵢ ∘ x̄ᵢ,    v̄ = Σᵢⱼ Gᵢⱼ / v + tr K̄,    n̄ᵢ = K̄ᵢᵢ.

    K is all that the rule keeps, and of G no more than a few rows at a time where memory can be written to. Rounding is
    as for `squared_distance`: offsets cost nothing, the bars of inputs and length scales are right to about
    ε (extent/ℓ)² of Σ |G|.

    Source: Rasmussen & Williams (2006), equations 4.9 and 5.1. Cost: the function one product with D columns and an
    exponential, its bars two products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> K, pullback = overbar.vjp(overbar.rbf, np.array([[0.0], [2.0]]), 2.0, 3.0)
    >>> K.round(3)
    array([[3.  , 1.82],
           [1.82, 3.  ]])
    >>> X_bar, lengthscale_bar, variance_bar = pullback(np.array([[0.0, 1.0], [0.0, 0.0]]))
    >>> X_bar.round(3), float(lengthscale_bar.round(3)), float(variance_bar.round(3))
    (array([[ 0.91],
           [-0.91]]), 0.91, 0.607)
    """
    return _covariance("rbf", exponential, [X], lengthscale, variance, noise)


@primitive("(n,d),(m,d),(l?),()->(n,m)", absent=CROSS)
def rbf_cross(X, X2, lengthscale, variance=None):
    """The squared exponential covariance kᵢⱼ = v exp(−sᵢⱼ/2) of inputs with others.

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

    Notes
    -----
    K̇ = −½ K ∘ Ṡ + K v̇/v, with Ṡ of `squared_distance_cross`. With G = K ∘ K̄, its row sums h and column sums k,
    yᵢ = (xᵢ − c)/ℓ and zⱼ = (x′ⱼ − c)/ℓ,

        X̄ = (G Z − diag(h) Y) diag(1/ℓ),    X̄′ = (Gᵀ Y − diag(k) Z) diag(1/ℓ),
        ℓ̄ = −Σᵢ yᵢ ∘ x̄ᵢ − Σⱼ zⱼ ∘ x̄′ⱼ,    v̄ = Σᵢⱼ Gᵢⱼ / v.

    Source: Rasmussen & Williams (2006), equations 4.9 and 5.1. Cost: the function one product with D columns and an
    exponential, its bars two products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.rbf_cross(np.array([[0.0]]), np.array([[2.0], [0.0]]), 2.0, 3.0).round(3)
    array([[1.82, 3.  ]])
    >>> K, pullback = overbar.vjp(overbar.rbf_cross, np.array([[0.0]]), np.array([[2.0]]), 2.0)
    >>> pullback(np.ones((1, 1)))[0].round(3)
    array([[0.303]])
    """
    return _covariance("rbf_cross", exponential, [X, X2], lengthscale, variance)


_rules(rbf)
_rules(rbf_cross)


@rbf.samples
def _(case):
    yield case(case.real(4, 2), case.real(2), case.real(), case.real(4))
    yield case(case.real(3, 5), case.real(1), case.real(), case.real(1))


@rbf_cross.samples
def _(case):
    yield case(case.real(4, 2), case.real(3, 2), case.real(2), case.real())
    yield case(case.real(2, 5), case.real(3, 5), case.real(1), case.real())


@rbf.reference
def _(mp, X, lengthscale, variance, noise):
    return variance * mp.exp(-exact_squares(X, X, lengthscale) / 2) + noise[:, None] * mp.eye(len(X))


@rbf_cross.reference
def _(mp, X, X2, lengthscale, variance):
    return variance * mp.exp(-exact_squares(X, X2, lengthscale) / 2)


# ---------------------------------------------------------------------------------------------------------------------
# The Matérn family


def _order(name, nu):
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
    _order("matern", nu)
    return _covariance("matern", lambda S: _matern(S, nu), [X], lengthscale, variance, noise)


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
    _order("matern_cross", nu)
    return _covariance("matern_cross", lambda S: _matern(S, nu), [X, X2], lengthscale, variance)


_rules(matern, _matern_slope)
_rules(matern_cross, _matern_slope)


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


# ---------------------------------------------------------------------------------------------------------------------
# The rational quadratic covariance


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
    return _covariance("rational_quadratic", _mixture, [X], lengthscale, variance, noise, alpha=alpha)


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
    return _covariance("rational_quadratic_cross", _mixture, [X, X2], lengthscale, variance, alpha=alpha)


def _mixture(S, alpha):
    xp = namespace(S)
    return xp.exp(-alpha * xp.log1p(S / (2 * alpha)))


def _mixture_slope(S, alpha):
    return -0.5 / (1 + S / (2 * alpha))


def _along_alpha(S, alpha):
    """τ = u/(1 + u) − log(1 + u) for u = s/(2α)."""
    xp, u = namespace(S, alpha), S / (2 * alpha)
    square = (u / (2 + u)) ** 2
    series = 0
    for k in (15, 13, 11, 9, 7, 5, 3):
        series = square * series + 1 / k
    small = -u * u / (2 + u) * (1 / (1 + u) + 2 * series * u / (2 + u) ** 2)
    return xp.where(u < 1 / 8, small, u / (1 + u) - xp.log1p(u))


_rules(rational_quadratic, _mixture_slope, 1, [_along_alpha])
_rules(rational_quadratic_cross, _mixture_slope, 1, [_along_alpha])


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
