"""Fitting the hyperparameters, and how closely the frameworks agree.

May import NumPy, SciPy and `overbar.demo`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import scipy.optimize

from overbar.demo import by_hand
from overbar.demo.model import BOUNDS, START

#: The fit ends where no logarithm of a hyperparameter changes the likelihood by more than so many nats for each point.
#: Going on gains a few tenths of a nat in all, which no data can tell from nothing.
TOLERANCE = 1e-3

#: how closely values and gradients must agree, relatively
AGREEMENT = 1e-9

#: Near the optimum the gradient is a small difference of two large terms. Where it is so small that rounding of the
#: terms alone is above AGREEMENT, the frameworks still agree if they differ by no more than this part of the terms.
ROUNDING = 1e-11


@dataclass(frozen=True)
class Fit:
    """Where the optimiser ended, and the way there."""

    theta: np.ndarray
    value: float  #: the negative log marginal likelihood in nats
    seconds: float
    iterations: int
    evaluations: int
    path: tuple[tuple[float, float], ...]  #: (seconds since the start, value) at the start and after each iteration
    converged: bool
    message: str


def fit(value_and_gradient, n, *, start=START, iterations=100, progress=lambda iteration, value: None) -> Fit:
    """Minimise the negative log marginal likelihood of n points by L-BFGS-B.

    Parameters
    ----------
    value_and_gradient : callable
        θ ↦ (f, θ̄).
    n : int
        The number of points: the optimiser sees f/n, whose size does not depend on it.
    start : array (8,)
    iterations : int
        The most it may take.
    progress : callable
        Called with the iteration and the value after each one.
    """
    path, began = [], time.perf_counter()

    def per_point(theta):
        value, gradient = value_and_gradient(theta)
        if not path:
            path.append((time.perf_counter() - began, value))
        return value / n, gradient / n

    def after(intermediate_result):
        path.append((time.perf_counter() - began, n * intermediate_result.fun))
        progress(len(path) - 1, path[-1][1])

    result = scipy.optimize.minimize(
        per_point,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=BOUNDS,
        callback=after,
        options={"maxiter": iterations, "gtol": TOLERANCE, "ftol": 1e-12},
    )
    return Fit(
        result.x,
        n * result.fun,
        time.perf_counter() - began,
        result.nit,
        result.nfev,
        tuple(path),
        result.success,
        str(result.message),
    )


@dataclass(frozen=True)
class Agreement:
    """Value and gradient of several frameworks at one θ.

    Attributes
    ----------
    values : dict of float
    gradients : dict of ndarray (8,)
    terms : float
        The largest component of the gradient's two terms, added without their signs: what the gradient would be if they
        did not cancel.
    rounding : float
        By how much of the terms the frameworks may differ where the gradient is small.
    """

    values: dict
    gradients: dict
    terms: float
    rounding: float = ROUNDING

    @classmethod
    def at(cls, theta, objectives, data) -> Agreement:
        """For the model of the CO2 record."""
        return cls.of(theta, objectives, by_hand.gradient_terms(theta, data))

    @classmethod
    def of(cls, theta, objectives, terms, condition=0.0) -> Agreement:
        """For objectives f(θ) → (value, gradient), and the two terms that their gradient is the sum of. These may lose
        as many digits as the condition number of the covariance has."""
        results = {name: f(theta) for name, f in objectives.items()}
        fit_term, determinant_term = terms
        return cls(
            {name: value for name, (value, _) in results.items()},
            {name: gradient for name, (_, gradient) in results.items()},
            float(np.max(np.abs(fit_term) + np.abs(determinant_term))),
            max(ROUNDING, np.finfo(float).eps * condition),
        )

    def value_difference(self, name=None):
        """The largest difference of a framework's value from any other's (without a name: of any two), relative to the
        value."""
        largest = max(map(abs, self.values.values()))
        return self._largest(lambda a, b: abs(self.values[a] - self.values[b]), name) / largest

    def gradient_difference(self, name=None):
        """The same for gradients: the largest difference in a component, relative to the largest component. This is the
        strict measure, which grows without bound as the gradient vanishes."""
        return self._gradient(name) / max(np.max(np.abs(gradient)) for gradient in self.gradients.values())

    def gradient_rounding(self, name=None):
        """The same difference relative to the terms that the gradient is the sum of: how much of it can be rounding."""
        return self._gradient(name) / self.terms

    def _gradient(self, name):
        return self._largest(lambda a, b: np.max(np.abs(self.gradients[a] - self.gradients[b])), name)

    def _largest(self, difference, name):
        pairs = ((a, b) for a in self.values for b in self.values if a < b and (name is None or name in (a, b)))
        return float(max((difference(a, b) for a, b in pairs), default=0.0))

    @property
    def strict(self):
        """Whether values and gradients agree to `AGREEMENT`."""
        return self.value_difference() <= AGREEMENT and self.gradient_difference() <= AGREEMENT

    @property
    def good(self):
        """Whether they agree, or differ in a vanishing gradient by no more than rounding."""
        return self.strict or (self.value_difference() <= AGREEMENT and self.gradient_rounding() <= self.rounding)
