"""Derivatives of derivatives in NumPy alone: a sweep inside a sweep, over every primitive; and the words of rules that
are primitives for its sake. May import `overbar`.
"""

import numpy as np
import pytest

import overbar
from overbar import verify
from overbar.kernels import Kernel
from overbar.rules import FUNCTIONS, _entries, _ufuncs
from overbar.verify import call, check
from overbar.verify.draw import hermitian_part

#: functions that are none of complex numbers
OF_REAL_NUMBERS = {
    "arctan2", "cbrt", "erf", "fmod", "gammaln", "hypot", "logaddexp", "maximum", "minimum", "polygamma", "relu",
    "remainder", "softplus",
}  # fmt: skip
WAYS = ["reverse over reverse", "forward over reverse", "reverse over forward", "forward over forward"]


def loss(primitive, options, count):
    """A real number that depends on every output, and not linearly: no second derivative of it vanishes."""
    hermitian = [primitive.argument(i) in primitive.hermitian for i in range(count)]

    def g(*arrays):
        arrays = [(A + overbar.mH(A)) / 2 if also else A for A, also in zip(arrays, hermitian, strict=True)]
        found, total = call(primitive, arrays, options), 0
        for out in found if isinstance(found, tuple) else (found,):
            if out.dtype.kind in "fc":
                xp, weights = overbar.namespace(out), np.linspace(0.5, 1.5, out.size).reshape(out.shape)
                total = total + xp.sum(xp.real(xp.conj(out) * out)) + xp.sum(xp.real(out * weights))
                if out.dtype.kind == "c":
                    total = total + xp.sum(xp.imag(out * weights[..., ::-1] if out.ndim else out))
        return total

    return g


def gradient(g):
    return lambda *arrays: overbar.vjp(g, *arrays)[1](1.0)


def inner(bars, dots):
    """Σ Re ⟨bar, dot⟩, of what may be traced."""
    total = 0
    for bar, dot in zip(bars, dots, strict=True):
        xp = overbar.namespace(bar)
        total = total + xp.sum(xp.real(xp.conj(bar) * dot))
    return total


def along(g, dots):
    return lambda *arrays: overbar.jvp(g, arrays, dots)[1]


def second_derivatives(g, arrays, dots):
    """The second derivative along the dots, which is the change of the gradient, in each way; forward over forward
    gives but one number of it. And by differences of sixth order."""
    h = 3e-4

    def at(step):
        return gradient(g)(*(np.asarray(a + step * h * d) for a, d in zip(arrays, dots, strict=True)))

    points = zip(*(at(step) for step in (1, -1, 2, -2, 3, -3)), strict=True)
    expected = [(45 * (a - b) - 9 * (c - d) + (e - f)) / (60 * h) for a, b, c, d, e, f in points]
    found = {
        "reverse over reverse": gradient(lambda *x: inner(gradient(g)(*x), dots))(*arrays),
        "forward over reverse": overbar.jvp(gradient(g), arrays, dots)[1],
        "reverse over forward": gradient(along(g, dots))(*arrays),
    }
    return found, overbar.jvp(along(g, dots), arrays, dots)[1], expected


def second_derivative_errors(primitive, case):
    rng = np.random.default_rng(3)
    dots = [np.asarray(verify.noise(rng, a)).astype(a.dtype) for a in case.arrays]
    found, number, expected = second_derivatives(loss(primitive, case.options, len(dots)), case.arrays, dots)
    size = max(np.max(np.abs(b), initial=0) for b in expected) or 1.0  # the imaginary part of what is real is zero
    errors = {
        way: max(np.max(np.abs(a - b), initial=0) for a, b in zip(bars, expected, strict=True)) / size
        for way, bars in found.items()
    }
    right = inner(expected, dots)
    return errors | {"forward over forward": abs(number - right) / max(abs(right), size)}


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_second_derivatives_in_every_succession(sample, dtype):
    errors = second_derivative_errors(sample.primitive, sample.draw(dtype))
    assert [*errors] == WAYS
    assert max(errors.values()) < 1e-8, errors


def test_second_derivatives_in_a_batch(first):
    errors = second_derivative_errors(first.primitive, first.draw(batch=(2,)))
    assert max(errors.values()) < 1e-8, errors


def test_second_derivatives_in_an_empty_batch(sample):
    case = sample.draw(batch=(0,))
    g = loss(sample.primitive, case.options, len(case.arrays))
    ones = tuple(np.ones_like(a) for a in case.arrays)
    reverse = gradient(lambda *x: inner(gradient(g)(*x), ones))(*case.arrays)
    forward = overbar.jvp(gradient(g), case.arrays, ones)[1]
    for A, *bars in zip(case.arrays, reverse, forward, strict=True):
        assert [bar.shape for bar in bars] == [A.shape] * 2


@overbar.primitive("(n)->(n),(n)", residuals=1)
def cube(x):
    return x**3, x * x


@cube.vjp
def _(y_bar, outputs, x):
    return (lambda: 3 * y_bar * outputs[1],)  # a residual, which is a constant: wrong when differentiated again


@cube.jvp
def _(outputs, x):
    return (lambda x_dot: 3 * outputs[1] * x_dot,)


def test_a_wrong_second_derivative_is_noticed():
    errors = second_derivative_errors(cube, verify.Case((np.array([1.0, 2.0]),)))
    assert min(errors.values()) > 1e-2


def slope_by_reverse(g, one):
    return lambda x: overbar.vjp(g, x)[1](one)[0]


def slope_by_forward(g, one):
    return lambda x: overbar.jvp(g, (x,), (one,))[1]


def test_the_fourth_derivative():
    x, one = np.array([0.3, 2.0]), np.ones(2)
    f = lambda x: overbar.exp(x) * overbar.sin(x)  # noqa: E731 - its fourth derivative is −4 of it
    for ways in ("rrrr", "ffff", "rfrf", "ffrr"):
        g = f
        for way in ways:
            g = {"r": slope_by_reverse, "f": slope_by_forward}[way](g, one)
        np.testing.assert_allclose(g(x), -4 * f(x), rtol=1e-12)


def test_an_inner_sweep_takes_the_outer_array_for_a_constant():
    """Derivatives of different sweeps are not mixed up: d/dx [x · d/dy (x + y)] = 1, and not 2."""
    one = np.array(1.0)
    inner = lambda x: x * overbar.jvp(lambda y: x + y, (one,), (one,))[1]  # noqa: E731
    assert overbar.jvp(inner, (one,), (one,))[1] == 1
    inner = lambda x: x * overbar.vjp(lambda y: x * y, one)[1](one)[0]  # noqa: E731 - x²
    assert overbar.vjp(inner, np.array(3.0))[1](1.0)[0] == 6


def test_a_pullback_is_differentiated_by_the_bar():
    A, L_bar = verify.Draw(0).positive_definite(3), verify.Draw(1).normal(3, 3)
    _, pullback = overbar.vjp(overbar.cholesky, A)
    _, back = overbar.vjp(lambda bar: pullback(bar)[0], L_bar)
    dot = hermitian_part(verify.Draw(2).normal(3, 3))
    np.testing.assert_allclose(back(dot)[0], overbar.jvp(overbar.cholesky, (A,), (dot,))[1], rtol=1e-12, atol=1e-14)


def test_a_kernel_between_traced_arrays_is_refused_by_name():
    def double(x):
        return 2 * x

    double = Kernel(double, "(n)->(n)", "=")

    @overbar.primitive("(n)->(n)")
    def doubled(x):
        return overbar.front(x).compute(double, x)[0]

    @doubled.vjp
    def _(y_bar, y, x):
        return (lambda: y_bar * doubled.function(x) / x,)  # the kernel itself, and no primitive

    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(overbar.vjp(doubled, x)[1](x)[0], 2 * x)
    with pytest.raises(TypeError, match="kernel double got an array whose derivative is being traced"):
        overbar.vjp(lambda x: overbar.vjp(doubled, x)[1](x)[0], x)


def test_what_is_no_word_is_refused_by_name():
    @overbar.elementwise
    def arctan(A):
        return overbar.namespace(A).atan(A)

    @arctan.derivative
    def _(C, A):
        return overbar.namespace(A).cos(overbar.namespace(A).atan(A)) ** 2

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(overbar.vjp(arctan, x)[1](x)[0], x / (1 + x * x))
    with pytest.raises(TypeError, match="atan got an array whose derivative is being traced"):
        overbar.vjp(lambda x: overbar.vjp(arctan, x)[1](x)[0], x)


FUNCTIONS = [f for f in FUNCTIONS.values() if isinstance(f, overbar.Primitive)]


@pytest.mark.parametrize(
    "word", [*_entries.WORDS, *_ufuncs.BY_NAME, _ufuncs.cumulated, *FUNCTIONS], ids=lambda word: word.name
)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_words_that_are_primitives(word, dtype):
    if dtype is np.complex128 and word.name in OF_REAL_NUMBERS:
        with pytest.raises(np.linalg.LinAlgError, match=f"{word.name}: .*dtype complex128.*overbar.real"):
            check(word, dtype)
        return
    check(word, dtype)
    check(word, dtype, batch=(2,))
    for case in verify.draw_cases(word, dtype):
        errors = second_derivative_errors(word, case)
        assert max(errors.values()) < 1e-8, errors


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), (-2, -1)], ids=str)
@pytest.mark.parametrize("name", ["max", "min"])
def test_the_largest_along_dimensions(name, axis):
    A = verify.Draw(0).normal(3, 2, 4)
    word = lambda A: getattr(overbar.namespace(A), name)(A, axis=axis)  # noqa: E731
    value, pullback = overbar.vjp(word, A)
    np.testing.assert_array_equal(value, word(A))
    hot = getattr(np, name)(A, axis=axis, keepdims=True) == A
    np.testing.assert_array_equal(pullback(np.ones_like(value))[0], hot)


@pytest.mark.parametrize("shape", [(3,), (2, 1)], ids=str)
def test_larger_smaller_and_where(shape):
    A, B = verify.Draw(0).normal(2, 3), verify.Draw(1).normal(*shape)
    xp_of = overbar.namespace
    for word, chosen in (
        (lambda A, B: xp_of(A).maximum(A, B), A >= B),
        (lambda A, B: xp_of(A).minimum(A, B), A <= B),
        (lambda A, B: xp_of(A).where(np.array([True, False, True]), A, B), np.array([True, False, True])),
    ):
        value, pullback = overbar.vjp(word, A, B)
        np.testing.assert_array_equal(value, word(A, B))
        chosen = np.broadcast_to(chosen, A.shape)
        bars = pullback(np.ones_like(A))
        np.testing.assert_array_equal(bars[0], chosen)
        np.testing.assert_array_equal(bars[1], xp_of(A).sum_to(1.0 - chosen, B.shape))


def test_entries_along_a_dimension():
    A, rows = verify.Draw(0).normal(2, 3, 4), np.array([[[2], [0], [2]]])
    for axis, p in ((-1, rows * [1, 0]), (-2, rows), (-2, rows + np.zeros((2, 1, 4), int))):
        word = lambda A, p=p, axis=axis: overbar.namespace(A).take_along_axis(A, p, axis=axis)  # noqa: E731
        value, pullback = overbar.vjp(word, A)
        np.testing.assert_array_equal(value, np.take_along_axis(A, p, axis=axis))
        dot = verify.Draw(1).normal(*A.shape)
        np.testing.assert_allclose(
            np.vdot(pullback(np.cos(value))[0], dot), np.vdot(np.cos(value), np.take_along_axis(dot, p, axis=axis))
        )


def test_a_scalar_without_dimensions_takes_new_ones():
    """Whose bar is a sum over no dimension at all."""
    bar = overbar.vjp(lambda x: overbar.subset(x, index=(None, None)), np.array(2.0))[1](np.full((1, 1), 3.0))[0]
    assert bar == 3
    assert np.shape(bar) == ()
