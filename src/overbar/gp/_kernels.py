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
from overbar._namespace import NUMPY, dimensions, front, namespace
from overbar.rules._dot_products import valid_degree
from overbar.rules._matern import valid_order

__all__ = [
    "RBF", "Constant", "Kernel", "Linear", "Matern", "Periodic", "Polynomial", "Product", "RationalQuadratic", "Sum",
    "option", "variances", "with_noise",
]  # fmt: skip


def option(default: Any) -> Any:
    """A field of a kernel that is no parameter: it stays what it is, and has no derivative."""
    return dataclasses.field(default=default, metadata={"static": True})


class Kernel:
    """A covariance function. ``k(X)`` is the covariance matrix of the rows of X, ``k(X, X2)`` that of rows of X with
    rows of X2, ``k.diagonal(X)`` the variances at the rows of X, without the matrix, and ``k.noisy(X, noise)`` the
    matrix with noise on its diagonal. ``k1 + k2`` and ``k1 * k2`` are kernels; a positive number among them stands for
    `Constant`, and ``sum([k1, k2])`` adds kernels up.

    Functions of this package take any callable instead that has the first two forms. They need its variances for those
    of predictions, and take them from the whole of ``k(X)`` where it has no ``diagonal``. A class with parameters of
    its own is a frozen dataclass. Its numbers are parameters, integers too; what is none (a degree, the columns that it
    looks at) is an ``option``:

    >>> from dataclasses import dataclass
    >>> import numpy as np, overbar
    >>> from overbar import gp
    >>> @dataclass(frozen=True, eq=False)
    ... class Dot(gp.Kernel):
    ...     variance: float
    ...     columns: tuple = gp.option((0,))
    ...
    ...     def __call__(self, X, X2=None):
    ...         X, X2 = (A[:, list(self.columns)] for A in (X, X if X2 is None else X2))
    ...         return self.variance * (X @ overbar.mT(X2))
    >>> (Dot(2.0) + gp.RBF(1.0))(np.array([[1.0], [3.0]])).round(2)
    array([[ 3.  ,  6.14],
           [ 6.14, 19.  ]])
    """

    def __post_init__(self):
        # numbers and lists of numbers are parameters, and those are floating point
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.metadata.get("static"):
                continue
            if type(value) is int:
                object.__setattr__(self, field.name, float(value))
            elif isinstance(value, (list, tuple)) and all(isinstance(x, (int, float)) for x in value):
                object.__setattr__(self, field.name, np.asarray(value, float))

    #: Arrays of NumPy's, and traced ones, leave ``array * kernel`` to the kernel.
    __array_ufunc__ = None

    def noisy(self, X, noise):
        return self(X) if noise is None else rules.add_diagonal(self(X), noise)

    def __add__(self, other):
        return _combined(Sum, self, other)

    def __mul__(self, other):
        return _combined(Product, self, other)

    def __radd__(self, other):
        if type(other) is int and other == 0:  # where Python's sum begins
            return self
        return _combined(Sum, other, self)

    def __rmul__(self, other):
        return _combined(Product, other, self)


def _combined(pair, first, second):
    """The sum or the product of two kernels, one of which may be a number."""
    both = []
    for kernel in (first, second):
        if isinstance(kernel, (int, float)) and not isinstance(kernel, bool):
            if not kernel > 0:
                word = "added to" if pair is Sum else "multiplied by"
                raise ValueError(f"a kernel is {word} {kernel}, and covariance functions are not negative or zero.")
            kernel = Constant(kernel)
        elif tuple(getattr(kernel, "shape", (0,))) == () and hasattr(kernel, "dtype"):  # a number of any library
            kernel = Constant(kernel)
        elif not callable(kernel):
            return NotImplemented
        both.append(kernel)
    return pair(*both)


def with_noise(kernel: Any, X: Any, noise: Any) -> Any:
    """``kernel(X)`` with noise on its diagonal, an array (..., n, n)."""
    return kernel.noisy(X, noise) if hasattr(kernel, "noisy") else Kernel.noisy(kernel, X, noise)


def variances(kernel: Any, X: Any) -> Any:
    """The diagonal of ``kernel(X)``, an array (..., n)."""
    if hasattr(kernel, "diagonal"):
        return kernel.diagonal(X)
    # of the matrix: one point at a time would be a batch, and a callable need not know what that is
    return namespace(X).diagonal(kernel(X))


class _Pair(Kernel):
    """A covariance function as two primitives, `own` of one set of inputs and `cross` of two. `_given` has their
    parameters in order, and their options."""

    def __call__(self, X, X2=None):
        arrays, options = self._for(X)
        return self.own(X, *arrays, **options) if X2 is None else self.cross(X, X2, *arrays, **options)

    def noisy(self, X, noise):
        arrays, options = self._for(X)
        return self.own(X, *arrays, noise, **options)  # which makes no second matrix for it

    def _for(self, X):
        """What is given, with lists of numbers, which are arrays of NumPy's by now, as arrays like X."""
        arrays, options = self._given()
        library = front(X)
        if library is not NUMPY and any(type(x) is np.ndarray for x in arrays):
            xp = library.xp
            arrays = [xp.cast(xp.constant(x, X), X) if type(x) is np.ndarray else x for x in arrays]
        return arrays, options


class _Stationary(_Pair):
    """One of differences of inputs: the variance is the same everywhere."""

    def diagonal(self, X):
        return _variance(self.variance, X)


def _variance(v, X):
    """v for each row of X, in the batch dimensions of both."""
    xp = namespace(X)
    return xp.zeros_like(xp.sum(X, axis=-1)) + (v[..., None] if _has_dimensions(v) else v)


def _has_dimensions(x):
    return dimensions(x) != ()


@dataclass(frozen=True, eq=False)
class RBF(_Stationary):
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

    own, cross = rules.rbf, rules.rbf_cross

    def _given(self):
        return (self.lengthscale, self.variance), {}


@dataclass(frozen=True, eq=False)
class Matern(_Stationary):
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

    own, cross = rules.matern, rules.matern_cross

    def __post_init__(self):
        super().__post_init__()
        valid_order("Matern", self.nu)

    def _given(self):
        return (self.lengthscale, self.variance), {"nu": self.nu}


@dataclass(frozen=True, eq=False)
class RationalQuadratic(_Stationary):
    """The rational quadratic covariance v (1 + |(x − x′)/ℓ|²/(2α))^−α, `overbar.rational_quadratic`: length scales of
    many sizes, all the more of them the smaller α is.

    Attributes
    ----------
    lengthscale : float or array
        One for all inputs, or one for each; positive.
    alpha, variance : float or array
        Positive.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar import gp
    >>> gp.RationalQuadratic(2.0, alpha=0.5, variance=3.0)(np.array([[0.0], [2.0]])).round(3)
    array([[3.   , 2.121],
           [2.121, 3.   ]])
    """

    lengthscale: Any
    alpha: Any = 1.0
    variance: Any = 1.0

    own, cross = rules.rational_quadratic, rules.rational_quadratic_cross

    def _given(self):
        return (self.lengthscale, self.alpha, self.variance), {}


@dataclass(frozen=True, eq=False)
class Periodic(_Stationary):
    """The periodic covariance v exp(−2 Σ_d sin²(π (x_d − x′_d)/p_d)/ℓ_d²), `overbar.periodic`.

    Attributes
    ----------
    lengthscale, period : float or array
        One for all inputs, or one for each; positive.
    variance : float or array
        Positive.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar import gp
    >>> gp.Periodic(1.0, period=2.0, variance=3.0)(np.array([[0.0], [1.0], [2.0]])).round(3)
    array([[3.   , 0.406, 3.   ],
           [0.406, 3.   , 0.406],
           [3.   , 0.406, 3.   ]])
    """

    lengthscale: Any
    period: Any
    variance: Any = 1.0

    own, cross = rules.periodic, rules.periodic_cross

    def _given(self):
        return (self.lengthscale, self.period, self.variance), {}


@dataclass(frozen=True, eq=False)
class Constant(Kernel):
    """The same covariance v of all inputs: in a sum that of an unknown constant, in a product a factor.

    Attributes
    ----------
    variance : float or array
        Positive.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar import gp
    >>> (2.0 * gp.RBF(1.0) + 0.5)(np.array([[0.0], [1.0]])).round(3)
    array([[2.5  , 1.713],
           [1.713, 2.5  ]])
    """

    variance: Any = 1.0

    def __call__(self, X, X2=None):
        return self.diagonal(X)[..., None] + _variance(0.0, X if X2 is None else X2)[..., None, :]

    def diagonal(self, X):
        return _variance(self.variance, X)


@dataclass(frozen=True, eq=False)
class Linear(_Pair):
    """The linear covariance Σ_d v_d x_d x′_d, `overbar.linear_covariance`: of a linear function.

    Attributes
    ----------
    variance : float or array
        That of the coefficients, one for all inputs or one for each; positive.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar import gp
    >>> gp.Linear(0.5)(np.array([[1.0, 0.0], [1.0, 2.0]]))
    array([[0.5, 0.5],
           [0.5, 2.5]])
    """

    variance: Any = 1.0

    own, cross = rules.linear_covariance, rules.linear_covariance_cross

    def _given(self):
        return (self.variance,), {}

    def diagonal(self, X):
        v = self.variance
        return namespace(X).sum(X * X * (v[..., None, :] if _has_dimensions(v) else v), axis=-1)


@dataclass(frozen=True, eq=False)
class Polynomial(_Pair):
    """The polynomial covariance (Σ_d v_d x_d x′_d + c)^p, `overbar.polynomial_covariance`.

    Attributes
    ----------
    variance : float or array
        One for all inputs, or one for each; positive.
    offset : float or array
        c, not negative.
    degree : int
        p, from 1 on. No parameter.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar import gp
    >>> gp.Polynomial(degree=2)(np.array([[1.0, 0.0], [1.0, 2.0]]))
    array([[ 4.,  4.],
           [ 4., 36.]])
    """

    variance: Any = 1.0
    offset: Any = 1.0
    degree: int = option(3)

    own, cross = rules.polynomial_covariance, rules.polynomial_covariance_cross

    def __post_init__(self):
        super().__post_init__()
        valid_degree("Polynomial", self.degree)

    def _given(self):
        return (self.variance, self.offset), {"degree": self.degree}

    def diagonal(self, X):
        c = self.offset
        return (Linear(self.variance).diagonal(X) + (c[..., None] if _has_dimensions(c) else c)) ** self.degree


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
