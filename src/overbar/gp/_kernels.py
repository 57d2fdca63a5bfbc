"""Covariance functions as values: their parameters, in a dataclass, and sums and products of them.

May import NumPy, `overbar._namespace` and `overbar.rules`. A kernel is a container of its parameters: `value_and_grad`
and `flatten` take it as it is, and a gradient by it is a kernel whose parameters are the bars.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np

from overbar import rules
from overbar._namespace import namespace

__all__ = ["RBF", "Kernel", "Matern", "Product", "Sum", "variances", "with_noise"]


def option(default):
    """A field of a kernel that is no parameter."""
    return dataclasses.field(default=default, metadata={"static": True})


class Kernel:
    """A covariance function. ``k(X)`` is the covariance matrix of the rows of X, ``k(X, X2)`` that of rows of X with
    rows of X2, ``k.diagonal(X)`` the variances at the rows of X, without the matrix, and ``k.noisy(X, noise)`` the
    matrix with noise on its diagonal. ``k1 + k2`` and ``k1 * k2`` are kernels.

    Functions of this package take any callable instead that has the first two forms. A class with parameters of its own
    is a frozen dataclass:

    >>> from dataclasses import dataclass
    >>> import numpy as np, overbar
    >>> from overbar import gp
    >>> @dataclass(frozen=True, eq=False)
    ... class Dot(gp.Kernel):
    ...     variance: float
    ...
    ...     def __call__(self, X, X2=None):
    ...         return self.variance * (X @ overbar.mT(X if X2 is None else X2))
    >>> (Dot(2.0) + gp.RBF(1.0))(np.array([[1.0], [3.0]])).round(2)
    array([[ 3.  ,  6.14],
           [ 6.14, 19.  ]])
    """

    def __post_init__(self):
        # numbers and lists of numbers are parameters, and those are floating point
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(value) is int and not field.metadata.get("static"):
                object.__setattr__(self, field.name, float(value))
            elif isinstance(value, (list, tuple)) and all(isinstance(x, (int, float)) for x in value):
                object.__setattr__(self, field.name, np.asarray(value, float))

    def noisy(self, X, noise):
        return rules.add_diagonal(self(X), noise)

    def __add__(self, other):
        return Sum(self, other) if callable(other) else NotImplemented

    def __mul__(self, other):
        return Product(self, other) if callable(other) else NotImplemented

    def __radd__(self, other):
        return Sum(other, self) if callable(other) else NotImplemented

    def __rmul__(self, other):
        return Product(other, self) if callable(other) else NotImplemented


def with_noise(kernel: Any, X: Any, noise: Any) -> Any:
    """``kernel(X)`` with noise on its diagonal, an array (..., n, n)."""
    return kernel.noisy(X, noise) if hasattr(kernel, "noisy") else rules.add_diagonal(kernel(X), noise)


def variances(kernel: Any, X: Any) -> Any:
    """The diagonal of ``kernel(X)``, an array (..., n)."""
    if hasattr(kernel, "diagonal"):
        return kernel.diagonal(X)
    return kernel(X[..., None, :])[..., 0, 0]  # a batch of sets of one point


def _everywhere(variance, X):
    """A variance that is the same at all inputs; it has the batch dimensions of the parameters."""
    xp = namespace(X)
    zeros = xp.zeros_like(xp.sum(X, axis=-1))
    return zeros + (variance[..., None] if getattr(variance, "shape", ()) != () else variance)


@dataclass(frozen=True, eq=False)
class RBF(Kernel):
    """The squared exponential covariance v exp(−|(x − x′)/ℓ|²/2), `overbar.rbf`.

    Attributes
    ----------
    lengthscale : float or array
        One for all inputs, or one for each; positive.
    variance : float or array
        Positive.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar import gp
    >>> gp.RBF(2.0, variance=3.0)(np.array([[0.0], [2.0]])).round(3)
    array([[3.  , 1.82],
           [1.82, 3.  ]])
    """

    lengthscale: Any
    variance: Any = 1.0

    def __call__(self, X, X2=None):
        if X2 is None:
            return rules.rbf(X, self.lengthscale, self.variance)
        return rules.rbf_cross(X, X2, self.lengthscale, self.variance)

    def diagonal(self, X):
        return _everywhere(self.variance, X)


@dataclass(frozen=True, eq=False)
class Matern(Kernel):
    """The Matérn covariance of order ν, `overbar.matern`.

    Attributes
    ----------
    lengthscale : float or array
        One for all inputs, or one for each; positive.
    variance : float or array
        Positive.
    nu : float
        0.5, 1.5 or 2.5. No parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar import gp
    >>> gp.Matern(2.0, variance=3.0, nu=0.5)(np.array([[0.0], [2.0]])).round(3)
    array([[3.   , 1.104],
           [1.104, 3.   ]])
    """

    lengthscale: Any
    variance: Any = 1.0
    nu: float = option(2.5)

    def __call__(self, X, X2=None):
        if X2 is None:
            return rules.matern(X, self.lengthscale, self.variance, nu=self.nu)
        return rules.matern_cross(X, X2, self.lengthscale, self.variance, nu=self.nu)

    def diagonal(self, X):
        return _everywhere(self.variance, X)


@dataclass(frozen=True, eq=False)
class Sum(Kernel):
    """The sum of two covariance functions, that of independent parts: what ``first + second`` is."""

    first: Any
    second: Any

    def __call__(self, X, X2=None):
        return _value(self.first, X, X2) + _value(self.second, X, X2)

    def noisy(self, X, noise):
        return with_noise(self.first, X, noise) + _value(self.second, X, None)

    def diagonal(self, X):
        return variances(self.first, X) + variances(self.second, X)


@dataclass(frozen=True, eq=False)
class Product(Kernel):
    """The product of two covariance functions, entry by entry: what ``first * second`` is."""

    first: Any
    second: Any

    def __call__(self, X, X2=None):
        return _value(self.first, X, X2) * _value(self.second, X, X2)

    def diagonal(self, X):
        return variances(self.first, X) * variances(self.second, X)


def _value(kernel, X, X2):
    return kernel(X) if X2 is None else kernel(X, X2)
