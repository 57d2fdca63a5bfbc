"""A rule that calls a kernel, of which nobody knows a derivative: f(x) = x³ + 3/2 x² and x², whose slopes are in part,
or all, what a kernel computes. For the tests of each front. May import `overbar`.
"""

import overbar
from overbar.kernels import kernel


@kernel("()->()")
def double(x):
    return 2 * x


def with_slope(function, slope):
    function.__name__ = "by_slope"
    f = overbar.primitive("()->()")(function)
    f.vjp(lambda C_bar, C, x: (lambda: C_bar * slope(x),))
    f.jvp(lambda C, x: (lambda x_dot: slope(x) * x_dot,))
    return f


def by_kernel(x):
    return overbar.front(x).compute(double, x)[0]


UNDERIVABLE = {
    "beside others": with_slope(lambda x: x**3 + 1.5 * x**2, lambda x: 3 * x**2 + 1.5 * by_kernel(x)),
    "alone": with_slope(lambda x: x**2, by_kernel),
}
