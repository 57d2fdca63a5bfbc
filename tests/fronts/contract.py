"""The contract of a front (`overbar._front.Front`), promise by promise, as a class of tests that each front inherits.

May import NumPy and `overbar`; no framework. A subclass says how its library differentiates: the methods in front of
the tests. What they take and return are arrays of the library, or lists of them; they must be fit to be nested, so that
derivatives of higher order are written with them. The primitives below are made to tell a broken promise: their rules
are not always the derivatives of their functions.
"""

import gc
import itertools
import weakref

import numpy as np
import pytest

import overbar
from overbar._namespace import front

seen = []  # what the rules and functions below were given


@overbar.primitive("(n)->(n)")
def marked(x):
    """A function whose steps have another derivative, 2x, than its rule says, 7x."""
    return x * x


@marked.vjp
def _(y_bar, y, x):
    return (lambda: 7 * y_bar * x,)


@marked.jvp
def _(y, x):
    return (lambda x_dot: 7 * x * x_dot,)


@overbar.primitive("(n)->(n),(n)", intermediates=1)
def cube(x):
    """x³, and x² for the rules."""
    square = x * x
    return x * square, square


@cube.vjp
def _(bars, outputs, x):
    (y_bar, square_bar), (_, square) = bars, outputs

    def x_bar():
        parts = [] if y_bar is None else [3 * y_bar * square]
        parts += [] if square_bar is None else [2 * square_bar * x]
        return sum(parts[1:], parts[0])

    return (x_bar,)


@cube.jvp
def _(outputs, x):
    return (lambda x_dot: (3 * outputs[1] * x_dot, 2 * x * x_dot),)


@overbar.primitive("(n)->(n),(n)", residuals=1)
def cube_by_residual(x):
    square = x * x
    return x * square, square


@overbar.primitive("(n),(n)->(n)")
def known_square(x, square):
    """x², where `square` is that already: its derivative by x is all of it, and that by `square` would be too much."""
    return 1 * square


@cube_by_residual.vjp
def _(y_bar, outputs, x):
    return (lambda: 3 * y_bar * known_square(x, outputs[1]),)


@cube_by_residual.jvp
def _(outputs, x):
    return (lambda x_dot: (3 * known_square(x, outputs[1]) * x_dot,),)


@known_square.vjp
def _(y_bar, y, x, square):
    return lambda: 2 * y_bar * x, lambda: y_bar


@known_square.jvp
def _(y, x, square):
    return lambda x_dot: 2 * x * x_dot, lambda square_dot: square_dot


@overbar.primitive("(n)->(n),(n)")
def powers(x):
    """x² and x³."""
    return x * x, x * x * x


@powers.vjp
def _(bars, outputs, x):
    seen.append([bar is None for bar in bars])
    terms = [lambda: 2 * bars[0] * x, lambda: 3 * bars[1] * x * x]
    found = [term for term, bar in zip(terms, bars, strict=True) if bar is not None]
    return (lambda: sum((term() for term in found[1:]), found[0]()),)


@powers.jvp
def _(outputs, x):
    return (lambda x_dot: (2 * x * x_dot, 3 * x * x * x_dot),)


@overbar.primitive("(n),(n)->(n)")
def product(x, y):
    seen.append("function")
    return x * y


@product.vjp
def _(z_bar, z, x, y):
    return lambda: seen.append("x") or z_bar * y, lambda: seen.append("y") or z_bar * x


@product.jvp
def _(z, x, y):
    return lambda x_dot: seen.append("x") or x_dot * y, lambda y_dot: seen.append("y") or x * y_dot


@overbar.primitive("(n)->(n)")
def scaled(x, *, by=1.0):
    return x * by


@scaled.vjp
def _(y_bar, y, x, *, by):
    return (lambda: y_bar * by,)


@scaled.jvp
def _(y, x, *, by):
    return (lambda x_dot: x_dot * by,)


@overbar.primitive("(n)->(n)")
def same(x):
    """The array itself, whose bar counts five times."""
    return x


@same.vjp
def _(y_bar, y, x):
    return (lambda: 5 * y_bar,)


@same.jvp
def _(y, x):
    return (lambda x_dot: 5 * x_dot,)


@overbar.primitive("(n)->(n)")
def refusing(x):
    """Has a rule that fails."""
    return 2 * x


@refusing.vjp
def _(y_bar, y, x):
    raise front(x).ShapeError("argument x is not to its liking. Leave it.")


@refusing.jvp
def _(y, x):
    raise front(x).ShapeError("argument x is not to its liking. Leave it.")


@overbar.primitive("(n)->(n)")
def turned(x):
    """1j x, complex for real x."""
    xp = overbar.namespace(x)
    return xp.astype(x, xp.complex128) * 1j


@turned.vjp
def _(y_bar, y, x):
    return (lambda: y_bar * -1j,)


made = []  # weak references to what `noted` computed


@overbar.primitive("(n)->(n)")
def noted(x):
    y = x * x
    made.append(weakref.ref(y))
    return y


@noted.vjp
def _(y_bar, y, x):
    return (lambda: 2 * y_bar * x,)


@noted.jvp
def _(y, x):
    return (lambda x_dot: 2 * x * x_dot,)


def fourth_power(x):
    return cube(x) * x


class FrontContract:
    """Inherit it, say how the library does these things, and all promises are tested."""

    def array(self, x):
        """NumPy's array as one of the library."""
        raise NotImplementedError

    def numpy(self, A):
        raise NotImplementedError

    def pull(self, f, arrays, bars):
        """The bars of the arrays from those of the outputs of f, a list (None where it has none)."""
        raise NotImplementedError

    def push(self, f, arrays, dots):
        """The tangents of the outputs of f, which returns a list, from those of the arrays."""
        raise NotImplementedError

    #: whether the library says whose bars somebody needs
    says_what_is_needed = True

    def nests(self, ways):
        """Whether derivatives nest so, a list of "reverse" and "forward", the inner one first."""
        return True

    def map(self, f, axis):
        """f of one array mapped over a dimension, or None where the library has nothing of the kind."""
        return

    # -- what the tests below use

    @pytest.fixture(autouse=True)
    def _begin(self):
        seen.clear()
        made.clear()

    def vector(self, *numbers):
        return self.array(np.array(numbers))

    def reverse(self, f, bar):
        return lambda x: self._or_zeros(self.pull(lambda x: [f(x)], [x], [bar])[0], x)

    def forward(self, f, dot):
        return lambda x: self._or_zeros(self.push(lambda x: [f(x)], [x], [dot])[0], x)

    def nested(self, f, dot, order):
        """The derivatives of f of this order along dot, in every succession of modes in which they nest."""
        for ways in itertools.product(("reverse", "forward"), repeat=order):
            if self.nests(list(ways)):
                derivative = f
                for way in ways:
                    derivative = getattr(self, way)(derivative, dot)
                yield derivative

    def _or_zeros(self, found, x):
        return 0.0 * x if found is None else found

    def close(self, found, expected, tolerance=1e-12):
        np.testing.assert_allclose(self.numpy(found), expected, rtol=tolerance, atol=tolerance)

    # -- the promises

    def test_1_nobody_looks_inside(self):
        x, one = self.vector(2.0, -3.0), self.vector(1.0, 1.0)
        self.close(marked(x), [4, 9])
        self.close(self.reverse(marked, one)(x), [14, -21])
        self.close(self.forward(marked, one)(x), [14, -21])
        for second in self.nested(marked, one, 2):
            self.close(second(x), [7, 7])

    def test_2_rules_see_the_outputs_that_the_caller_got(self):
        x, one = self.vector(2.0, -3.0), self.vector(1.0, 1.0)
        self.close(self.reverse(cube, one)(x), [12, 27])
        self.close(self.forward(cube, one)(x), [12, 27])
        for second in self.nested(cube, one, 2):
            self.close(second(x), [12, -18])

    def test_3_residuals_have_no_derivative(self):
        x, one = self.vector(2.0, -3.0), self.vector(1.0, 1.0)
        self.close(self.reverse(cube_by_residual, one)(x), [12, 27])
        self.close(self.forward(cube_by_residual, one)(x), [12, 27])
        for second in self.nested(cube_by_residual, one, 2):
            self.close(second(x), [12, -18])

    def test_4_what_is_absent_is_none(self):
        x, one = self.vector(2.0, -3.0), self.vector(1.0, 1.0)
        self.close(self.pull(lambda x: [powers(x)[1]], [x], [one])[0], [12, 27])
        assert seen[-1] == [True, False]
        self.close(self.pull(lambda x: [powers(x)[0]], [x], [one])[0], [4, -6])
        assert seen[-1] == [False, True]
        seen.clear()
        self.close(self.push(lambda x: [product(x, one)], [x], [one])[0], [1, 1])
        assert "x" in seen
        assert "y" not in seen

    def test_5_only_what_is_needed_is_computed(self):
        x, y, one = self.vector(2.0, -3.0), self.vector(5.0, 7.0), self.vector(1.0, 1.0)
        self.close(self.reverse(lambda x: product(x, y), one)(x), [5, 7])
        assert "y" not in seen or not self.says_what_is_needed
        seen.clear()
        self.close(self.reverse(lambda y: product(x, y), one)(y), [2, -3])
        assert seen.count("y") == 1
        assert "x" not in seen or not self.says_what_is_needed

    def test_6_derivatives_of_every_order_in_every_succession(self):
        x, one = self.vector(2.0, -3.0), self.vector(1.0, 1.0)
        expected = np.array([[32, -108], [48, 108], [48, -72]])
        for order in (1, 2, 3):
            for derivative in self.nested(fourth_power, one, order):
                self.close(derivative(x), expected[order - 1])

    def test_7_an_option_that_has_a_derivative_is_refused(self):
        x, one = self.vector(2.0, -3.0), self.vector(1.0, 1.0)
        self.close(self.reverse(lambda x: scaled(x, by=3.0), one)(x), [3, 3])
        with pytest.raises(TypeError, match=r"scaled: the option by"):
            self.reverse(lambda by: scaled(x, by=by), one)(one)
        with pytest.raises(TypeError, match=r"scaled: the option by"):
            self.reverse(lambda x: scaled(x, by=x), one)(x)

    def test_8_a_batch_is_one_more_dimension(self):
        y, one = self.vector(5.0, 7.0), self.vector(1.0, 1.0)
        columns = np.arange(6.0).reshape(2, 3)
        mapped = self.map(lambda x: product(x, y), 1)
        if mapped is None:
            pytest.skip("maps no functions")
        self.close(mapped(self.array(columns)), (columns * [[5], [7]]).T)
        assert seen.count("function") == 1
        seen.clear()
        self.close(self.map(self.reverse(lambda x: product(x, y), one), 1)(self.array(columns)), [[5, 7]] * 3)
        assert seen.count("x") == 1

    def test_9_an_output_is_an_object_of_its_own(self):
        x, one = self.vector(2.0, -3.0), self.vector(1.0, 1.0)
        both = lambda x: same(x) * x * x  # noqa: E731
        self.close(self.reverse(both, one)(x), [28, 63])
        self.close(self.forward(both, one)(x), [28, 63])
        self.close(self.reverse(lambda x: same(same(x)) * same(x), one)(x), [60, -90])

    def test_10_errors_are_the_librarys_own(self):
        library, x = front(self.vector(1.0)), self.vector(2.0, -3.0)
        kinds = {name: type(getattr(library, name)("")) for name in ("ShapeError", "DtypeError", "LinAlgError")}
        with pytest.raises(kinds["ShapeError"], match=r"product: argument y"):
            product(x, self.vector(1.0, 2.0, 3.0))
        with pytest.raises(kinds["DtypeError"], match=r"marked: argument x has dtype .*int64"):
            marked(self.array(np.array([1, 2])))
        for way in (self.reverse, self.forward):
            with pytest.raises(kinds["ShapeError"], match="not to its liking") as caught:
                way(refusing, x)(x)
            assert "rule of refusing" in " ".join(getattr(caught.value, "__notes__", ()))

    def test_11_a_bar_has_the_dtype_and_the_shape_of_its_array(self):
        rows, x = np.arange(6.0).reshape(3, 2), np.array([2.0, -3.0])
        bars = self.pull(
            lambda x, rows: [product(x, rows)], [self.array(x), self.array(rows)], [self.array(np.ones((3, 2)))]
        )
        self.close(bars[0], rows.sum(0))
        self.close(bars[1], np.broadcast_to(x, (3, 2)))
        single = self.array(x.astype(np.float32))
        assert self.numpy(overbar.multiply(single, 0.5)).dtype == np.float32
        assert self.numpy(self.reverse(marked, single)(single)).dtype == np.float32
        (bar,) = self.pull(lambda x: [turned(x)], [self.array(x)], [self.array(x * 1j)])
        assert self.numpy(bar).dtype == np.float64
        self.close(bar, x)

    def test_12_nothing_outlives_its_use(self):
        x, one = self.vector(2.0, -3.0), self.vector(1.0, 1.0)
        gc.collect()
        gc.disable()
        try:
            y = noted(x)
            del y
            assert [ref for ref in made if ref() is not None] == []
            bar = self.reverse(lambda x: noted(noted(x)), one)(x)
            self.close(bar, [32, -108])
            del bar
            assert len(made) == 3
            assert [ref for ref in made if ref() is not None] == []
        finally:
            gc.enable()
