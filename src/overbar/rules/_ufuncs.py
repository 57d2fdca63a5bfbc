"""Further functions of NumPy's, entry by entry, which code with NumPy alone uses by NumPy's names.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `rules.elementwise` and `rules.special_functions`.
`overbar` has no names of its own for them: each of these primitives is what the function of its name does with an array
whose derivative is being traced (`overbar._traced_functions`).
"""

import math

import numpy as np

from overbar._namespace import namespace
from overbar._primitive import elementwise, primitive
from overbar.rules._elementwise import cos, sin, sqrt
from overbar.rules._special_functions import only_real


@elementwise
def tan(A):
    """C = tan A, with C′ = 1 + C²."""
    return np.tan(A)


@tan.derivative
def _(C, A):
    return 1 + C * C


@tan.samples
def _(case):
    yield case(case.normal(3, 2) / 3)


@tan.reference
def _(mp, A):
    return mp.tan(A)


@elementwise
def sinh(A):
    """C = sinh A, with C′ = cosh A."""
    return np.sinh(A)


@sinh.derivative
def _(C, A):
    return cosh(A)


@sinh.samples
def _(case):
    yield case(case.normal(3, 2))


@sinh.reference
def _(mp, A):
    return mp.sinh(A)


@elementwise
def cosh(A):
    """C = cosh A, with C′ = sinh A."""
    return np.cosh(A)


@cosh.derivative
def _(C, A):
    return sinh(A)


@cosh.samples
def _(case):
    yield case(case.normal(3, 2))


@cosh.reference
def _(mp, A):
    return mp.cosh(A)


@elementwise
def arctan(A):
    """C = arctan A, with C′ = 1/(1 + A²), computed so that no square overflows."""
    return np.arctan(A)


@arctan.derivative
def _(C, A):
    if namespace(A).is_complex(A):
        return 1 / (1 - 1j * A) * (1 / (1 + 1j * A))
    h = 1 / hypot(A, 1)
    return h * h


@arctan.samples
def _(case):
    yield case(np.tanh(case.normal(3, 2)) / 2)  # complex ones away from ±i


@arctan.reference
def _(mp, A):
    return mp.atan(A)


def _root_on(side, x, y):
    """√x √y, of which a complex one has the sign of `side`: on a cut, the sign of zero says on which side A is, and may
    be lost in x and y. `side` is the same number, with fewer digits where it is small."""
    xp, root = namespace(x), sqrt(x) * sqrt(y)
    return xp.where(xp.real(root / side) < 0, -root, root)


@elementwise
def arcsin(A):
    """C = arcsin A, with C′ = 1/√(1 − A²)."""
    return np.arcsin(A)


@arcsin.derivative
def _(C, A):
    if namespace(A).is_complex(A):
        return 1 / _root_on(cos(C), 1 - A, 1 + A)
    return 1 / sqrt((1 - A) * (1 + A))


@arcsin.samples
def _(case):
    yield case(np.tanh(case.normal(3, 2)) / 2)


@arcsin.reference
def _(mp, A):
    return mp.asin(A)


@elementwise
def arccos(A):
    """C = arccos A, with C′ = −1/√(1 − A²)."""
    return np.arccos(A)


@arccos.derivative
def _(C, A):
    if namespace(A).is_complex(A):
        return -1 / _root_on(sin(C), 1 - A, 1 + A)
    return -1 / sqrt((1 - A) * (1 + A))


@arccos.samples
def _(case):
    yield case(np.tanh(case.normal(3, 2)) / 2)


@arccos.reference
def _(mp, A):
    return mp.acos(A)


@elementwise
def arcsinh(A):
    """C = arsinh A, with C′ = 1/√(1 + A²), computed so that no square overflows."""
    return np.arcsinh(A)


@arcsinh.derivative
def _(C, A):
    if namespace(A).is_complex(A):
        return 1 / _root_on(cosh(C), 1 - 1j * A, 1 + 1j * A)
    return 1 / hypot(A, 1)


@arcsinh.samples
def _(case):
    yield case(np.tanh(case.normal(3, 2)) / 2)  # complex ones away from ±i


@arcsinh.reference
def _(mp, A):
    return mp.asinh(A)


@elementwise
def arccosh(A):
    """C = arcosh A, with C′ = 1/√(A² − 1)."""
    return np.arccosh(A)


@arccosh.derivative
def _(C, A):
    if namespace(A).is_complex(A):
        return 1 / _root_on(sinh(C), A - 1, A + 1)
    return 1 / (sqrt(A - 1) * sqrt(A + 1))


@arccosh.samples
def _(case):
    yield case(1 + case.positive(3, 2))


@arccosh.reference
def _(mp, A):
    return mp.acosh(A)


@elementwise
def arctanh(A):
    """C = artanh A, with C′ = 1/(1 − A²)."""
    return np.arctanh(A)


@arctanh.derivative
def _(C, A):
    return 1 / (1 - A) * (1 / (1 + A)) if namespace(A).is_complex(A) else 1 / ((1 - A) * (1 + A))


@arctanh.samples
def _(case):
    yield case(np.tanh(case.normal(3, 2)) / 2)


@arctanh.reference
def _(mp, A):
    return mp.atanh(A)


@elementwise
def log2(A):
    """The logarithm to base 2, with C′ = 1/(A log 2)."""
    return np.log2(A)


@log2.derivative
def _(C, A):
    return (1 / math.log(2)) / A


@log2.samples
def _(case):
    yield case(case.positive(3, 2))


@log2.reference
def _(mp, A):
    return mp.log(A) / mp.context.log(2)


@elementwise
def log10(A):
    """The logarithm to base 10, with C′ = 1/(A log 10)."""
    return np.log10(A)


@log10.derivative
def _(C, A):
    return (1 / math.log(10)) / A


@log10.samples
def _(case):
    yield case(case.positive(3, 2))


@log10.reference
def _(mp, A):
    return mp.log(A) / mp.context.log(10)


@elementwise
def exp2(A):
    """The power C = 2ᴬ, with C′ = C log 2."""
    return np.exp2(A)


@exp2.derivative
def _(C, A):
    return math.log(2) * C


@exp2.samples
def _(case):
    yield case(case.normal(3, 2))


@exp2.reference
def _(mp, A):
    return mp.exp(A * mp.context.log(2))


@elementwise
def cbrt(A):
    """The real cubic root, with C′ = 1/(3C²), infinite at 0."""
    only_real("cbrt", A)
    return np.cbrt(A)


@cbrt.derivative
def _(C, A):
    return (1 / 3) / (C * C)


@cbrt.samples
def _(case):
    yield case(case.positive(3, 2))


@cbrt.reference
def _(mp, A):
    return mp.cbrt(A)


@primitive("(),()->()")
def hypot(A, B):
    """The hypotenuse C = √(A² + B²), with Ċ = (A/C) Ȧ + (B/C) Ḃ. At (0, 0) there is no derivative."""
    only_real("hypot", A, B)
    return np.hypot(A, B)


@hypot.vjp
def _(C_bar, C, A, B):
    return lambda: C_bar * (A / C), lambda: C_bar * (B / C)


@hypot.jvp
def _(C, A, B):
    return lambda A_dot: A_dot * (A / C), lambda B_dot: B_dot * (B / C)


@hypot.samples
def _(case):
    yield case(case.normal(3, 2), case.normal(3, 2))


@hypot.reference
def _(mp, A, B):
    return np.frompyfunc(mp.context.hypot, 2, 1)(A, B)


@primitive("(),()->()")
def arctan2(A, B):
    """The angle C of the point (B, A), with Ċ = (B Ȧ − A Ḃ)/h² for h² = A² + B². At (0, 0) there is no derivative."""
    only_real("arctan2", A, B)
    return np.arctan2(A, B)


@arctan2.vjp
def _(C_bar, C, A, B):
    h = hypot(A, B)
    return lambda: C_bar * (B / h / h), lambda: -(C_bar * (A / h / h))


@arctan2.jvp
def _(C, A, B):
    h = hypot(A, B)
    return lambda A_dot: A_dot * (B / h / h), lambda B_dot: -(B_dot * (A / h / h))


@arctan2.samples
def _(case):
    yield case(case.normal(3, 2), case.normal(3, 2))


@arctan2.reference
def _(mp, A, B):
    return np.frompyfunc(mp.context.atan2, 2, 1)(A, B)


def _of_division(function):
    """Register the rules of what a division of A by B leaves, C = A − qB, whose quotient q is a whole number."""

    @function.vjp
    def _(C_bar, C, A, B):
        return lambda: C_bar, lambda: -(C_bar * _quotient(C, A, B))

    @function.jvp
    def _(C, A, B):
        return lambda A_dot: A_dot, lambda B_dot: -(B_dot * _quotient(C, A, B))

    @function.samples
    def _(case):
        # no A/B near a whole number, where it jumps, whichever of a batch meet
        whole, part = (np.tanh(case.normal(3, 2)) for _ in range(2))
        yield case(np.round(2 * whole) + 0.5 + part / 8, 1 + np.tanh(case.positive(3, 2)) / 20)

    return function


def _quotient(C, A, B):
    return namespace(A, B, C).round((A - C) / B)


@primitive("(),()->()")
def remainder(A, B):
    """The remainder C = A − qB of the sign of B, for q = ⌊A/B⌋, with Ċ = Ȧ − q Ḃ. It jumps where A/B is whole."""
    only_real("remainder", A, B)
    return np.remainder(A, B)


@primitive("(),()->()")
def fmod(A, B):
    """The remainder C = A − qB of the sign of A, for q = A/B without its fraction, with Ċ = Ȧ − q Ḃ."""
    only_real("fmod", A, B)
    return np.fmod(A, B)


_of_division(remainder)
_of_division(fmod)


@remainder.reference
def _(mp, A, B):
    return A - B * mp.floor(A / B)


@fmod.reference
def _(mp, A, B):
    return A - B * np.where(A > 0, mp.floor(A / B), mp.ceil(A / B))


@primitive("(n)->(n)")
def cumulated(A, *, back=False):
    """Sums of the entries of a vector up to each of them, Cᵢ = Σⱼ Aⱼ for j ≤ i; from each of them on with `back`. The
    bar is the sums the other way."""
    return np.cumsum(A[..., ::-1], axis=-1)[..., ::-1] if back else np.cumsum(A, axis=-1)


@cumulated.vjp
def _(C_bar, C, A, *, back):
    return (lambda: cumulated(C_bar, back=not back),)


@cumulated.jvp
def _(C, A, *, back):
    return (lambda A_dot: cumulated(A_dot, back=back),)


@cumulated.samples
def _(case):
    yield case(case.normal(4))
    yield case(case.normal(3), back=True)


@cumulated.reference
def _(mp, A, *, back):
    return np.cumsum(A[::-1])[::-1] if back else np.cumsum(A)


#: those that do what NumPy's ufunc of their name does
BY_NAME = [
    tan, sinh, cosh, arctan, arcsin, arccos, arcsinh, arccosh, arctanh, log2, log10, exp2, cbrt, hypot, arctan2,
    remainder, fmod,
]  # fmt: skip
