"""The model: one description of the covariance and of the likelihood, which NumPy, PyTorch and TensorFlow all run.

May import NumPy and `overbar.demo.data`. Functions take the namespace `xp` of the arrays they are given.

The concentration y(t) is a parabola in time plus a Gaussian process with four independent parts (compare Rasmussen and
Williams 2006, section 5.4.3). With the distance r between two times in years, their covariances are

    trend           a² exp(-r²/2ℓ²)                               smooth departures from the parabola
    yearly cycle    b² exp(-r²/2d² - 2 sin²(πr)/w²)               a period of one year, its shape changing over d years
    weather         c² exp(-r/m)                                  rough and short-lived
    noise           s² where r = 0                                independent from week to week

All eight hyperparameters are positive; the optimiser sees their logarithms θ.

The weeks lie on a grid, so that thousands of points have only some 2,284 different distances. The covariance is
computed once for each of them, and the matrix picks its entries from that table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from overbar.demo.data import WEEK, Series


class Parameter(NamedTuple):
    """A hyperparameter: where the optimiser starts and within which bounds it stays, in units that people use."""

    part: str
    name: str
    symbol: str
    unit: str
    start: float
    low: float
    high: float


# The optimiser starts where Rasmussen and Williams ended, with their medium-term irregularities, their seasonal term
# and their two noise terms (for monthly means of a longer record).
PARAMETERS = (
    Parameter("trend", "standard deviation", "a", "ppm", 0.66, 1e-2, 1e3),
    Parameter("trend", "length", "ℓ", "years", 1.2, 5e-2, 1e3),
    Parameter("yearly cycle", "standard deviation", "b", "ppm", 2.4, 1e-2, 1e3),
    Parameter("yearly cycle", "keeps its shape for", "d", "years", 90.0, 1.0, 1e4),
    Parameter("yearly cycle", "smoothness", "w", "", 1.3, 1e-1, 1e2),
    Parameter("weather", "standard deviation", "c", "ppm", 0.18, 1e-2, 1e3),
    Parameter("weather", "memory", "m", "years", 0.13, 5e-3, 1e2),
    # The record has one decimal. Rounding alone leaves a standard deviation of 0.1/√12.
    Parameter("noise", "standard deviation", "s", "ppm", 0.19, 0.1 / math.sqrt(12), 1e2),
)

START = np.log([p.start for p in PARAMETERS])
BOUNDS = [(math.log(p.low), math.log(p.high)) for p in PARAMETERS]


class Lags(NamedTuple):
    """What the covariance needs to know of the distances 0, 1, 2, ... weeks: four arrays of one shape.

    NumPy computes them once, and every framework gets the same numbers.
    """

    r: np.ndarray  #: the distance in years
    r2: np.ndarray  #: its square
    s2: np.ndarray  #: sin²(πr)
    same: np.ndarray  #: 1 where the distance is 0, else 0


def lags(weeks) -> Lags:
    """The `Lags` of an array of distances in weeks."""
    r = WEEK * np.asarray(weeks, dtype=np.float64)
    return Lags(r, r * r, np.sin(np.pi * r) ** 2, (r == 0).astype(np.float64))


@dataclass(frozen=True)
class Data:
    """What the likelihood needs: the table of distances, where each entry of the matrix is found in it, and y.

    Attributes
    ----------
    lags : Lags
        Arrays (m,), a row of the table for each distance from 0 to m - 1 weeks.
    index : ndarray of int (n, n)
        The distance in weeks between each two points.
    y : ndarray (n, 1)
        The residuals from the parabola, in ppm.
    """

    lags: Lags
    index: np.ndarray
    y: np.ndarray

    @classmethod
    def of(cls, series: Series) -> Data:
        index = np.abs(series.week[:, None] - series.week[None, :])
        return cls(lags(np.arange(index.max() + 1)), index, series.residual[:, None])

    def __len__(self):
        return len(self.y)


def covariance(xp, theta, lags):
    """k(θ): the covariance in ppm² at each distance; an array of the shape of those in `lags`."""
    a, ell, b, d, w, c, m, s = (theta[i] for i in range(len(PARAMETERS)))
    trend = xp.exp(2 * a - lags.r2 * xp.exp(-2 * ell) / 2)
    yearly = xp.exp(2 * b - lags.r2 * xp.exp(-2 * d) / 2 - 2 * lags.s2 * xp.exp(-2 * w))
    weather = xp.exp(2 * c - lags.r * xp.exp(-m))
    noise = xp.exp(2 * s) * lags.same
    return trend + yearly + weather + noise


def negative_log_likelihood(xp, logpdf, theta, data):
    """-log p(y | θ) = ½ yᵀ K⁻¹ y + ½ log det K + ½ n log 2π, a scalar in nats.

    `data` holds arrays of the library that `xp` is the namespace of, with `index` flattened to (n²,). ``logpdf(y, K)``
    is the logarithm of the density of N(0, K): overbar's, or what a framework has for it.
    """
    n = len(data.y)
    K = xp.reshape(xp.take(covariance(xp, theta, data.lags), data.index, axis=0), (n, n))
    return -logpdf(data.y, K)
