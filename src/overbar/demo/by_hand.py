"""The likelihood and its gradient in NumPy, with the rules chained by hand. Written to be read.

May import NumPy, `overbar` and `overbar.demo.model`.

The likelihood is computed in a chain of five steps, the forward sweep:

    θ → k      the covariance at each distance                           `model.covariance`
    k → K      the matrix picks its entries from the table               K = k[index]
    K → L      the Cholesky factor, K = L Lᵀ                             overbar.cholesky
    L → z, c   z = L⁻¹ y  and  c = log det K                             overbar.solve_triangular, overbar.cho_logdet
    z, c → f   f = ½ zᵀz + ½ c + ½ n log 2π,  since zᵀz = yᵀ K⁻¹ y

The reverse sweep goes through the same steps from last to first. It carries the bar of each quantity, X̄ = ∂f/∂X, by
which a small change of X changes f: ḟ = ⟨X̄, Ẋ⟩. Where the forward sweep used L twice, L̄ is the sum of two bars.
"""

from __future__ import annotations

import math

import numpy as np

import overbar
from overbar.demo.model import Data, covariance


def value_and_gradient(theta, data: Data):
    """The negative log marginal likelihood f(θ) and its gradient θ̄.

    Parameters
    ----------
    theta : array (8,)
        Logarithms of the hyperparameters, in the order of `model.PARAMETERS`.
    data : Data

    Returns
    -------
    f : float
        In nats.
    theta_bar : ndarray (8,)

    Raises
    ------
    numpy.linalg.LinAlgError
        K is not positive definite.
    """
    f, reverse = _sweep(theta, data)
    return f, reverse(z_weight=1, c_weight=1)


def gradient_terms(theta, data: Data):
    """The two terms of which the gradient is the sum: that of the data fit ½ yᵀK⁻¹y, and that of ½ log det K.

    At the optimum they cancel. How large they are there says how small a difference rounding lets us see: two arrays
    (8,).
    """
    _, reverse = _sweep(theta, data)
    return reverse(z_weight=1, c_weight=0), reverse(z_weight=0, c_weight=1)


def _sweep(theta, data):
    n = len(data)

    # -- the forward sweep. Each `vjp` computes its step and returns with the value the pullback: the step's reverse
    # rule,    which takes the bar of the value to the bar of what went in.
    k = covariance(np, theta, data.lags)
    K = k[data.index]
    L, cholesky_pullback = overbar.vjp(overbar.cholesky, K)
    z, solve_pullback = overbar.vjp(lambda L: overbar.solve_triangular(L, data.y, upper=False), L)
    c, logdet_pullback = overbar.vjp(overbar.cho_logdet, L)
    f = (np.sum(z * z) + c + n * math.log(2 * math.pi)) / 2

    def reverse(z_weight, c_weight):
        # f = ½ zᵀz + ½ c + ...      ⇒  z̄ = z  and  c̄ = ½. (The weights are 1, except to see one term alone.)
        z_bar, c_bar = z_weight * z, c_weight * 0.5
        # z = L⁻¹ y                  ⇒  L̄ = -tril(L⁻ᵀ z̄ zᵀ)
        # c = 2 Σ log Lᵢᵢ            ⇒  L̄ = diag(2 c̄ / Lᵢᵢ), and the two add up
        L_bar = solve_pullback(z_bar)[0] + logdet_pullback(c_bar)[0]
        # K = L Lᵀ                   ⇒  K̄ = sym(L⁻ᵀ Φ(Lᵀ L̄) L⁻¹), computed block by block
        (K_bar,) = cholesky_pullback(L_bar)
        # K = k[index]               ⇒  each entry of k gets the sum of K̄ over all the places that it went to
        k_bar = np.bincount(data.index.reshape(-1), weights=K_bar.reshape(-1), minlength=len(k))
        # k = k(θ), elementwise      ⇒  θ̄ᵢ = ⟨k̄, ∂k/∂θᵢ⟩
        return derivatives(theta, data.lags) @ k_bar

    return float(f), reverse


def derivatives(theta, lags):
    """∂k/∂θ, an array (8, m): the covariance at each distance, differentiated by the logarithm of each hyperparameter.

    Every part is the exponential of something, so that its derivative is itself times that of the exponent; and since θ
    is a logarithm, that of exp(±pθ) is ±p exp(±pθ).
    """
    a, ell, b, d, w, c, m, s = theta
    trend = np.exp(2 * a - lags.r2 * np.exp(-2 * ell) / 2)
    yearly = np.exp(2 * b - lags.r2 * np.exp(-2 * d) / 2 - 2 * lags.s2 * np.exp(-2 * w))
    weather = np.exp(2 * c - lags.r * np.exp(-m))
    noise = np.exp(2 * s) * lags.same
    return np.stack(
        [
            2 * trend,
            trend * lags.r2 * np.exp(-2 * ell),
            2 * yearly,
            yearly * lags.r2 * np.exp(-2 * d),
            yearly * 4 * lags.s2 * np.exp(-2 * w),
            2 * weather,
            weather * lags.r * np.exp(-m),
            2 * noise,
        ]
    )
