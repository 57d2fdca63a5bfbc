"""What a primitive refuses: rules that are none, outputs that are not those of its signature, arrays of libraries that
have no front. May import `overbar`."""

import sys
import types

import numpy as np
import pytest

import overbar
from overbar.namespace import NUMPY, ShapeError, namespace


def scaled(factor=2.0):
    """A primitive of this test's own: rules registered here must not reach the collection."""

    @overbar.primitive("(m,n)->(m,n)")
    def times(A):
        return factor * A

    @times.vjp
    def _(C_bar, C, A):
        return (lambda: factor * C_bar,)

    @times.jvp
    def _(C, A):
        return (lambda A_dot: factor * A_dot,)

    return times


# ---------------------------------------------------------------------------------------------------------------------
# Registering


@pytest.mark.parametrize("kind", ["vjp", "jvp", "derivative"])
@pytest.mark.parametrize("what", [np.ones((2, 2)), 3.0, [1.0]], ids=["array", "number", "list"])
def test_what_is_registered_as_a_rule_must_be_callable(kind, what):
    mine = scaled()
    before = mine.vjp_rule, mine.jvp_rule
    with pytest.raises(TypeError, match=r"registers a (rule, a )?function"):
        getattr(mine, kind)(what)
    assert (mine.vjp_rule, mine.jvp_rule) == before


@pytest.mark.parametrize("kind", ["vjp", "jvp", "derivative"])
def test_a_rule_is_replaced_only_by_those_who_say_so(kind):
    mine = scaled()
    with pytest.raises(ValueError, match=r"has a (reverse|forward) rule already.*replace=True"):
        getattr(mine, kind)(lambda *args: None)

    def rule(*args):
        return None

    assert getattr(mine, kind)(replace=True)(rule) is rule
    assert getattr(mine, kind)(rule, replace=True) is rule


# ---------------------------------------------------------------------------------------------------------------------
# What functions and rules return


WRONG_OUTPUTS = {
    "a matrix for a vector": ("(n,n)->(n)", lambda A: A),
    "a vector for a matrix": ("(m,n)->(m,n)", lambda A: A[..., 0]),
    "transposed": ("(m,n)->(m,n)", lambda A: A.mT),
    "no batch": ("(m,n)->(m,n)", lambda A: A.reshape(-1, *A.shape[-2:])[0]),
    "two sizes of one name": ("(m,n)->(k),(k)", lambda A: (A[..., 0], A[..., 0, :])),
    "a fixed size": ("(m,n)->(2)", lambda A: A[..., 0, :]),
    "too many": ("(m,n)->(m,n)", lambda A: (A, A)),
    "too few": ("(m,n)->(m,n),(m,n)", lambda A: A),
}


@pytest.mark.parametrize("name", WRONG_OUTPUTS)
def test_outputs_are_held_against_the_signature(name):
    signature, function = WRONG_OUTPUTS[name]
    A = np.arange(1.0, 10.0).reshape(3, 3) if signature.startswith("(n,n)") else np.ones((2, 4, 3))
    mine = overbar.primitive(signature)(types.FunctionType(function.__code__, function.__globals__, "mine"))
    with pytest.raises((ShapeError, TypeError), match="mine: its function returned"):
        mine(A)
    mine.vjp(lambda bars, outputs, A: (lambda: np.zeros_like(A),))
    with pytest.raises((ShapeError, TypeError), match="mine: its function returned"):
        overbar.verify.check(mine, cases=[([A], {})])


def test_right_outputs_of_sizes_that_no_input_has_pass():
    @overbar.primitive("(m,n)->(k,k),(k)")
    def mine(A):
        return A[..., :2, :2], A[..., :2, 0]

    assert mine(np.ones((5, 4, 3)))[0].shape == (5, 2, 2)


WRONG_TANGENTS = {
    "no tuple": (lambda C, A: [lambda A_dot: A_dot], TypeError, "must return a tuple with one function for each"),
    "one for each of two": (lambda C, A: (None, None), TypeError, "must return a tuple with one function for each"),
    "two outputs": (lambda C, A: (lambda A_dot: (A_dot, A_dot),), TypeError, "must give one tangent for each of 1"),
    "a shape that does not broadcast": (
        lambda C, A: (lambda A_dot: A_dot[:, :2],),
        ShapeError,
        r"a tangent of shape \(2, 2\) for output 0 of shape \(2, 3\)",
    ),
    "a list": (lambda C, A: (lambda A_dot: A_dot.tolist(),), TypeError, r"a builtins\.list as the tangent of output 0"),
}


@pytest.mark.parametrize("name", WRONG_TANGENTS)
def test_what_a_forward_rule_gives_is_checked(name):
    rule, kind, message = WRONG_TANGENTS[name]
    mine = scaled()
    mine.jvp(rule, replace=True)
    with pytest.raises(kind, match=message):
        overbar.jvp(mine, (np.ones((2, 3)),), (np.ones((2, 3)),))


def test_a_tangent_may_broadcast():
    mine = scaled()
    mine.jvp(lambda C, A: (lambda A_dot: 2 * A_dot[:1, :1],), replace=True)
    _, dot = overbar.jvp(mine, (np.ones((2, 3)),), (np.ones((2, 3)),))
    np.testing.assert_array_equal(dot, np.full((2, 3), 2.0))


def crash(*args):
    return args[0].no_such_attribute


CRASHES = {
    "reverse rule": ("vjp", lambda C_bar, C, A: crash(A), "Raised in the reverse rule of times."),
    "bar": ("vjp", lambda C_bar, C, A: (lambda: crash(A),), "Raised in the reverse rule of times, argument A."),
    "forward rule": ("jvp", lambda C, A: crash(A), "Raised in the forward rule of times."),
    "tangent": ("jvp", lambda C, A: (lambda A_dot: crash(A),), "Raised in the forward rule of times, argument A."),
    "all tangents": ("jvp", lambda C, A: lambda A_dot: crash(A), "Raised in the forward rule of times."),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_inside_a_rule_says_whose_rule_it_was(name):
    kind, rule, note = CRASHES[name]
    mine, A = scaled(), np.ones((2, 2))
    getattr(mine, kind)(rule, replace=True)
    with pytest.raises(AttributeError, match="no_such_attribute") as caught:
        overbar.vjp(mine, A)[1](A) if kind == "vjp" else overbar.jvp(mine, (A,), (A,))
    assert note in caught.value.__notes__


# ---------------------------------------------------------------------------------------------------------------------
# Libraries without a front


@pytest.mark.parametrize(
    "module, name, remedy",
    [
        ("jaxlib._jax", "JAX", "numpy.asarray"),
        ("jax._src.interpreters.partial_eval", "JAX", "numpy.asarray"),
        ("dask.array.core", "Dask", r"A\.compute\(\)"),
        ("cupy._core.core", "CuPy", "cupy.asnumpy"),
    ],
)
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside NumPy"])
def test_arrays_of_libraries_without_a_front_are_refused_by_name(module, name, remedy, beside):
    foreign = type("Array", (), {"__module__": module, "shape": (2, 2), "dtype": np.dtype(float)})()
    with pytest.raises(TypeError, match=rf"no front for {name}\..*{remedy}"):
        overbar.matmul(np.eye(2) if beside else foreign, foreign)


def test_other_arrays_of_the_array_api_are_refused_too():
    class Array:
        shape, dtype = (2, 2), np.dtype(float)

        def __array_namespace__(self, api_version=None):
            return NUMPY.base

    with pytest.raises(TypeError, match=r"a library for which overbar has no front.*numpy\.asarray"):
        overbar.cholesky(Array())


def test_dask_and_jax_themselves_are_refused():
    for name, make in {"dask.array": lambda m: m.ones((2, 2)), "jax.numpy": lambda m: m.eye(2)}.items():
        if name.partition(".")[0] in sys.modules:  # the tests need neither
            module = pytest.importorskip(name)
            with pytest.raises(TypeError, match="no front for"):
                overbar.cholesky(make(module))


def test_a_mask_is_not_dropped_silently():
    with pytest.raises(TypeError, match="masked array"):
        overbar.cholesky(np.ma.masked_array(np.eye(2), np.eye(2) == 0))


# ---------------------------------------------------------------------------------------------------------------------
# Arrays that may be left out


@overbar.primitive("(m,n),(n,n)->(m,n)", absent={"B": lambda A: namespace(A).eye_like(A)[: A.shape[-1]]})
def times_or_itself(A, B=None, *, scale=1.0):
    return scale * (A @ B)


@times_or_itself.vjp
def _(C_bar, C, A, B, *, scale):
    return lambda: scale * (C_bar @ overbar.mH(B)), lambda: scale * (overbar.mH(A) @ C_bar)


@times_or_itself.jvp
def _(C, A, B, *, scale):
    return lambda A_dot: scale * (A_dot @ B), lambda B_dot: scale * (A @ B_dot)


def test_an_array_that_is_left_out_is_made_of_the_others():
    A, B = np.arange(12.0).reshape(4, 3), np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(times_or_itself(A), A)
    np.testing.assert_array_equal(times_or_itself(A, scale=2.0), 2 * A)
    np.testing.assert_array_equal(times_or_itself(A, None, 2.0), 2 * A)
    np.testing.assert_array_equal(times_or_itself(A, B, 2.0), 2 * A @ B)
    np.testing.assert_array_equal(times_or_itself(B=B, A=A), A @ B)
    C, pullback = overbar.vjp(times_or_itself, A)
    np.testing.assert_array_equal(pullback(np.ones_like(C))[0], np.ones_like(A))
    for row in overbar.verify.check(times_or_itself, cases=[([A], {}), ([A, B], {"scale": 0.5})]):
        assert row.passed or row.note


def test_defaults_and_what_makes_absent_arrays_go_together():
    with pytest.raises(TypeError, match="an entry in absent="):
        overbar.primitive("(n),(n)->(n)")(lambda x, y=None: x)
    with pytest.raises(TypeError, match="an entry in absent="):
        overbar.primitive("(n),(n)->(n)", absent={"y": lambda x: x})(lambda x, y: x)
