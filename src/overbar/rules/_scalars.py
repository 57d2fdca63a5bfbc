"""Functions of a number, their derivatives and their divided differences, for functions of matrices.

May import NumPy and `overbar._namespace`.
"""

import functools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from overbar._namespace import namespace

# Nodes and weights of Gauss and Legendre on [0, 1].
NODES = [(float(t + 1) / 2, float(c) / 2) for t, c in zip(*np.polynomial.legendre.leggauss(8), strict=True)]


def _few():
    """Weights for the outermost and the third of these from either side, exact for cubic polynomials; 0 for others."""
    (a, _), _, (b, _), *_ = NODES
    # those of w⁰ and of (w − 1/2)², whose mean is 1/12
    inner = (1 / 24 - (a - 1 / 2) ** 2 / 2) / ((b - 1 / 2) ** 2 - (a - 1 / 2) ** 2)
    return [1 / 2 - inner, 0.0, inner, 0.0, 0.0, inner, 0.0, 1 / 2 - inner]


FEW = _few()


# -- functions of a number ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scalar:
    """A function of a real number, and of parameters, and what is known of it. All of these take the parameters behind
    the numbers."""

    #: the k-th derivative, as a function of an array, for k = 0, 1, ...
    derivative: Callable[[int], Callable]
    #: (f(x) − f(y)) / (x − y) without loss of digits, where there is a formula
    divided: Callable | None = None
    #: whether f is defined for numbers that are not negative only: True, or a function of the parameters
    nonnegative: bool | Callable = False
    #: p, where f(c x) = cᵖ f(x), or for the logarithm f(x) plus a constant: then a matrix may be scaled. A number, or a
    #: function of the parameters
    degree: float | Callable | None = None
    #: the derivative by the i-th parameter, itself such a function
    partial: Callable[[int], Any] | None = None
    #: how many parameters there are, where that is known
    count: int | None = None


# -- powers, logarithm, exponential ------------------------------------------------------------------------------------


def _power(b, k):
    """The function ∂ᵏ/∂wᵏ ∂ᵇ/∂pᵇ wᵖ = w^(p−k) Σⱼ cⱼ (log w)ʲ. Each derivative of w^q (log w)ʲ by w is
    w^(q−1) (q (log w)ʲ + j (log w)^(j−1)), which makes the coefficients."""

    def derivative(w, p):
        xp = namespace(w)
        one, zero = xp.ones_like(p), xp.zeros_like(p)
        c = [zero] * b + [one]
        for i in range(k):
            c = [(p - i) * c[j] + ((j + 1) * c[j + 1] if j < b else zero) for j in range(b + 1)]
        vanishes = xp.equal(w, 0)
        base = xp.where(vanishes, xp.ones_like(w), w)  # without a warning of NumPy's
        if b:
            base = xp.where(base < 0, xp.full_like(base, math.nan), base)  # no logarithm, hence no derivative
        log = xp.log(base) if b else None
        total = c[b]
        for j in reversed(range(b)):
            total = total * log + c[j]
        value = base ** (p - k) * total
        infinite = (p < k) if b == 0 else (p <= k)
        constant = functools.reduce(operator.and_, [xp.equal(x, 0) for x in c])  # not zero times infinity
        if b:
            infinite = infinite & ~(xp.equal(p, k) & functools.reduce(operator.and_, [xp.equal(x, 0) for x in c[1:]]))
        at_zero = xp.where(constant, zero, xp.where(infinite, xp.full_like(p, math.inf), xp.where(p > k, zero, c[0])))
        return xp.where(vanishes, at_zero, xp.where(constant, xp.zeros_like(value), value))

    return derivative


def _power_divided(x, y, p):
    """With M the larger and m the smaller of |x| and |y|, for numbers of one sign,

        f[x, y] = M^(p−1) (1 − rᵖ)/(1 − r),    r = m/M,

    where 1 − rᵖ = −expm1(p log r). For others x − y is a sum of two positive numbers: the quotient loses nothing."""
    xp = namespace(x)
    same = ((x > 0) & (y > 0)) | ((x < 0) & (y < 0))
    equal = xp.equal(x, y)
    M = xp.maximum(xp.abs(x), xp.abs(y))
    one, zero = xp.ones_like(M), xp.zeros_like(M)
    M, m = xp.where(same, M, one), xp.where(same, xp.minimum(xp.abs(x), xp.abs(y)), one)
    r, t = m / M, (M - m) / M
    close = r > 0.5
    log_r = xp.where(close, xp.log1p(-xp.where(close, t, zero)), xp.log(xp.where(close, one, r)))
    ratio = xp.where(xp.equal(t, 0), p * one, -xp.expm1(p * log_r) / xp.where(xp.equal(t, 0), one, t))
    inside = M ** (p - 1) * ratio
    inside = xp.where((x < 0) & xp.equal(2 * xp.round(p / 2), p), -inside, inside)
    f, df = _power(0, 0), _power(0, 1)
    outside = (f(x, p) - f(y, p)) / xp.where(same | equal, one, x - y)
    return xp.where(same, inside, xp.where(equal, df(x, p), outside))


def _power_log_divided(x, y, p):
    """The derivative of that by p, the divided difference of wᵖ log w, for positive numbers:

    M^(p−1) (log M (1 − rᵖ) − rᵖ log r)/(1 − r)."""
    xp = namespace(x)
    positive, equal = (x > 0) & (y > 0), xp.equal(x, y)
    M, m = xp.maximum(x, y), xp.minimum(x, y)
    one, zero = xp.ones_like(M), xp.zeros_like(M)
    M, m = xp.where(positive, M, one), xp.where(positive, m, one)
    r, t = m / M, (M - m) / M
    close = r > 0.5
    log_r = xp.where(close, xp.log1p(-xp.where(close, t, zero)), xp.log(xp.where(close, one, r)))
    safe = xp.where(xp.equal(t, 0), one, t)
    ratio = xp.where(xp.equal(t, 0), p * one, -xp.expm1(p * log_r) / safe)
    inside = M ** (p - 1) * (xp.log(M) * ratio + xp.where(xp.equal(t, 0), one, -xp.exp(p * log_r) * log_r / safe))
    g, dg = _power(1, 0), _power(1, 1)
    outside = (g(x, p) - g(y, p)) / xp.where(positive | equal, one, x - y)
    return xp.where(positive, inside, xp.where(equal, dg(x, p), outside))


@functools.cache  # one entry for each order of derivative
def _power_by_exponent(b):
    """The b-th derivative of wᵖ by p."""
    return Scalar(
        functools.partial(_power, b),
        (_power_divided, _power_log_divided)[b] if b < 2 else None,
        nonnegative=(lambda p: namespace(p).not_equal(namespace(p).round(p), p)) if b == 0 else True,
        degree=(lambda p: p) if b == 0 else None,
        partial=lambda i: _power_by_exponent(b + 1),
        count=1,
    )


POWER = _power_by_exponent(0)


def _root(p):
    """The derivatives of wᵖ for a constant p."""
    return lambda k: lambda w: _power(0, k)(w, namespace(w).full_like(w, p))


def _sqrt_divided(x, y):
    xp = namespace(x)
    return 1 / (xp.sqrt(x) + xp.sqrt(y))


def _invsqrt_divided(x, y):
    xp = namespace(x)
    a, b = xp.sqrt(x), xp.sqrt(y)
    return -1 / a / b / (a + b)


SQRT = Scalar(_root(0.5), _sqrt_divided, nonnegative=True, degree=0.5)


INVSQRT = Scalar(_root(-0.5), _invsqrt_divided, nonnegative=True, degree=-0.5)


def _log(k):
    if k == 0:
        return lambda w: namespace(w).log(w)
    return lambda w: (-1) ** (k - 1) * math.factorial(k - 1) * w ** (-k)


def _log_divided(x, y):
    """log1p(g/m)/g, with m the smaller number and g the gap."""
    xp = namespace(x)
    m, g = xp.minimum(x, y), xp.abs(x - y)
    equal = xp.equal(g, 0)
    return xp.where(equal, 1 / m, xp.log1p(g / m) / xp.where(equal, xp.ones_like(g), g))


LOG = Scalar(_log, _log_divided, nonnegative=True, degree=0.0)


def _exp(k):
    return lambda w: namespace(w).exp(w)


def _exp_divided(x, y):
    """exp M (1 − exp(−g))/g, with M the larger number and g the gap."""
    xp = namespace(x)
    g = xp.abs(x - y)
    one = xp.ones_like(g)
    ratio = xp.where(xp.equal(g, 0), one, -xp.expm1(-g) / xp.where(xp.equal(g, 0), one, g))
    return xp.exp(xp.maximum(x, y)) * ratio


EXP = Scalar(_exp, _exp_divided)


def _sign(k):
    def derivative(w):
        xp = namespace(w)
        if k == 0:
            return xp.sign(w)
        return xp.where(xp.equal(w, 0), xp.full_like(w, math.nan), xp.zeros_like(w))

    return derivative


def _sign_divided(x, y):
    xp = namespace(x)
    one = xp.ones_like(x - y)
    quotient = (xp.sign(x) - xp.sign(y)) / xp.where(xp.equal(x, y), one, x - y)
    return xp.where(xp.equal(x, 0) & xp.equal(y, 0), math.nan * one, quotient)


SIGN = Scalar(_sign, _sign_divided, degree=0.0)


def _logistic(w):
    """1/(1 + exp(−w)) without overflow."""
    xp = namespace(w)
    small = xp.exp(-xp.abs(w))
    return xp.where(w < 0, small, xp.ones_like(w)) / (1 + small)


@functools.cache
def _softplus_polynomial(k):
    """The (k−1)-th derivative of the logistic function s as a polynomial in s: s′ = s − s²."""
    s = np.polynomial.Polynomial([0, 1])
    return s if k == 1 else _softplus_polynomial(k - 1).deriv() * (s - s**2)


def _softplus(k):
    def derivative(w):
        xp = namespace(w)
        if k == 0:
            return xp.where(w > 0, w, xp.zeros_like(w)) + xp.log1p(xp.exp(-xp.abs(w)))
        if k == 1:
            return _logistic(w)
        # even for even k and odd for odd k: where s is small, 1 − s loses nothing
        s = _logistic(-xp.abs(w))
        value = functools.reduce(lambda total, c: total * s + float(c), _softplus_polynomial(k).coef[:0:-1], 0 * s) * s
        return xp.where(w > 0, (-1) ** k * value, value)

    return derivative


def _softplus_divided(x, y):
    """With m the smaller number, g the gap and s the logistic function, log1p(s(m) expm1(g))/g."""
    xp = namespace(x)
    m, M, g = xp.minimum(x, y), xp.maximum(x, y), xp.abs(x - y)
    one, large = xp.ones_like(g), g > 30  # beyond, expm1 might overflow, and the quotient loses nothing
    f = _softplus(0)
    moderate = xp.where(large, one, g)
    close = xp.log1p(_logistic(m) * xp.expm1(moderate))
    difference = xp.where(large, f(M) - f(m), close)
    return xp.where(xp.equal(g, 0), _logistic(m) * one, difference / xp.where(xp.equal(g, 0), one, g))


SOFTPLUS = Scalar(_softplus, _softplus_divided)
