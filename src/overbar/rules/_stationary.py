"""Squared exponential covariance functions of Gaussian processes, and what all stationary ones have in common: they are
functions of squared distances.

May import `overbar._namespace`, `overbar._primitive`, `rules.all_pairs`, `rules.covariances` and `rules.distances`. For
K = v f(S) and ρ = f′/f, v f′ = ρ K: the bar of the squared distances is ρ ∘ K ∘ K̄, and a rule needs no exponential.
"""

from overbar._primitive import once, primitive
from overbar.rules._all_pairs import off_diagonal
from overbar.rules._covariances import CROSS, OWN, bars_of_scale, exponential, tangents_of_scale, with_noise
from overbar.rules._distances import bars, exact_squares, of_distances, squares_of, tangents, valid


def stationary(name, function, inputs, lengthscale, variance, noise=None, **numbers):
    """v f(S) with the noise, where ``f(S, *numbers)`` is 1 for s = 0 and each of the numbers must be positive."""
    lengthscale, *numbers, variance = valid(
        name, inputs, {"lengthscale": lengthscale}, {**numbers, "variance": variance}, noise=noise
    )
    diagonal = None
    if noise is not None:
        diagonal = with_noise(variance[..., 0], noise, inputs[0], lengthscale)
    return of_distances(function, inputs, lengthscale, *numbers, variance=variance, diagonal=diagonal)


def rules_of_stationary(function, slope=None, numbers=0, relative=()):
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
    K̇ = −½ K₀ ∘ Ṡ + K₀ v̇/v + diag(ṅ). With G = K ∘ K̄ off the diagonal, and zero on it, H = G + Gᵀ and its row sums h,

        X̄ = (H X − diag(h) X) diag(ℓ⁻²),    ℓ̄ = Σᵢⱼ Gᵢⱼ (xᵢ − xⱼ)²/ℓ³,    v̄ = Σᵢⱼ Gᵢⱼ / v + tr K̄,    n̄ᵢ = K̄ᵢᵢ.

    K is all that the rule keeps, and of G no more than a few rows at a time where memory can be written to. Rounding is
    as for `squared_distance`: offsets cost nothing, the bars of inputs and length scales are right to about
    ε (extent/ℓ)² of Σ |G|, and to all digits where that would be much.

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
    return stationary("rbf", exponential, [X], lengthscale, variance, noise)


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

        X̄ = (G X′ − diag(h) X) diag(ℓ⁻²),    X̄′ = (Gᵀ X − diag(k) X′) diag(ℓ⁻²),
        ℓ̄ = Σᵢⱼ Gᵢⱼ (xᵢ − x′ⱼ)²/ℓ³,    v̄ = Σᵢⱼ Gᵢⱼ / v.

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
    return stationary("rbf_cross", exponential, [X, X2], lengthscale, variance)


rules_of_stationary(rbf)
rules_of_stationary(rbf_cross)


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
