"""What the fitted Gaussian process says about other weeks.

May import NumPy, `overbar` and `overbar.demo`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

import overbar
from overbar.demo.model import Data, covariance, lags


class Forecast(NamedTuple):
    """The distribution of weekly means: their time in years of the calendar, mean and standard deviation in ppm."""

    years: np.ndarray
    mean: np.ndarray
    sd: np.ndarray


def forecast(theta, series, data: Data, week) -> Forecast:
    """Predict the weekly means of the given weeks (array of int, counted as in `series`), noise included.

    The parabola's coefficients β are not taken for known: with a flat prior on them, Rasmussen and Williams (2006),
    equations 2.41 and 2.42, with H and h for the parabola's functions at the data and at the new weeks,

        β = (Hᵀ K⁻¹ H)⁻¹ Hᵀ K⁻¹ y,      mean = hᵀβ + k*ᵀ K⁻¹ (y - Hβ),
        variance = k** - k*ᵀ K⁻¹ k* + rᵀ (Hᵀ K⁻¹ H)⁻¹ r,   r = h - Hᵀ K⁻¹ k*.

    With K = L Lᵀ every K⁻¹ is a product of two solved triangles, and L⁻¹H = QR gives Hᵀ K⁻¹ H = RᵀR.
    """
    week = np.asarray(week)
    distance = np.abs(series.week[:, None] - week[None, :])
    table = lags(np.arange(max(distance.max(), data.index.max()) + 1))
    k = covariance(np, theta, table)
    # the noise of one week says nothing about another, nor about a second mean of the same week
    k_signal = covariance(np, theta, table._replace(same=np.zeros_like(table.same)))

    L = overbar.cholesky(k[data.index])
    V = overbar.solve_triangular(L, k_signal[distance], upper=False)  # L⁻¹ k*
    z = overbar.solve_triangular(L, series.co2[:, None], upper=False)[:, 0]
    Q, R = np.linalg.qr(overbar.solve_triangular(L, series.basis(), upper=False))
    h = series.basis(week)
    beta = np.linalg.solve(R, Q.T @ z)
    mean = h @ beta + V.T @ (z - Q @ (R @ beta))
    rest = overbar.solve_triangular(R, (h - V.T @ Q @ R).T, upper=True, adjoint=True)  # R⁻ᵀ r
    variance = k[0] - np.sum(V * V, axis=0) + np.sum(rest * rest, axis=0)
    return Forecast(series.years(week), mean, np.sqrt(variance))
