"""Gradients and Hessians in NumPy, of parameters in containers. May import `overbar`."""

import collections
import dataclasses
import weakref
from typing import Any

import numpy as np
import pytest

import overbar


@dataclasses.dataclass(frozen=True)
class Kernel:
    scale: Any
    lengths: Any
    name: str = "linear"


Point = collections.namedtuple("Point", "x y")

A = np.array([[2.0, 0.3], [0.1, 1.5]])
TREE = {
    "A": A,
    "kernel": Kernel(3.0, np.array([0.5, 2.0])),
    "pair": [1.5, (np.array(0.7), None)],
    "point": Point(np.ones(2), 2.0),
    "centred": True,
}


def model(tree, x):
    kernel, (first, (second, _)), point = tree["kernel"], tree["pair"], tree["point"]
    assert kernel.name == "linear"
    assert tree["centred"] is True
    y = tree["A"] @ (x * kernel.lengths) * kernel.scale + first * point.x
    return overbar.sum(y**2) * second + overbar.sum(point.x * y) / point.y


def leaves(tree):
    return [
        tree["A"], tree["kernel"].scale, tree["kernel"].lengths, tree["pair"][0], tree["pair"][1][0], tree["point"].x,
        tree["point"].y,
    ]  # fmt: skip


def tree_of(A, scale, lengths, first, second, x, y):
    return TREE | {"A": A, "kernel": Kernel(scale, lengths), "pair": [first, (second, None)], "point": Point(x, y)}


X = np.array([0.4, -1.2])


def flat(v):
    """The model as a function of one vector."""
    return model(
        tree_of(overbar.reshape(v[:4], shape=(2, 2)), v[4], v[5:7], v[7], v[8], v[9:11], v[11]),
        X,
    )


def as_vector(tree):
    return np.concatenate([np.ravel(x) for x in leaves(tree)])


def differences(f, v, h=1e-5):
    return np.stack([(f(v + h * e) - f(v - h * e)) / (2 * h) for e in np.eye(len(v))])


def test_a_gradient_comes_in_the_containers_of_the_argument():
    value, bars = overbar.value_and_grad(model)(TREE, X)
    assert value == model(TREE, X)
    assert bars.keys() == TREE.keys()
    assert type(bars["kernel"]) is Kernel
    assert type(bars["point"]) is Point
    assert bars["kernel"].name is bars["centred"] is bars["pair"][1][1] is None
    for bar, value in zip(leaves(bars), leaves(TREE), strict=True):
        assert np.shape(bar) == np.shape(value)
    np.testing.assert_allclose(as_vector(bars), differences(flat, as_vector(TREE)), rtol=1e-7)
    np.testing.assert_array_equal(as_vector(overbar.grad(model)(TREE, x=X)), as_vector(bars))
    assert TREE["A"] is A


def test_several_arguments():
    bars, x_bar = overbar.grad(model, argnums=(0, -1))(TREE, X)
    np.testing.assert_array_equal(as_vector(bars), as_vector(overbar.grad(model)(TREE, X)))
    np.testing.assert_allclose(x_bar, differences(lambda x: model(TREE, x), X), rtol=1e-7)
    np.testing.assert_array_equal(overbar.grad(model, argnums=1)(TREE, X), x_bar)


def test_a_hessian_and_its_products():
    v = as_vector(TREE)
    expected = differences(overbar.grad(flat), v)
    H = overbar.hessian(flat)(v)
    np.testing.assert_allclose(H, expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(H, H.T, rtol=1e-12, atol=1e-14)
    blocks = overbar.hessian(model)(TREE, X)
    assert blocks["kernel"].name is None
    rows = [
        np.hstack([np.reshape(b, (np.size(a), np.size(c))) for b, c in zip(leaves(row), leaves(TREE), strict=True)])
        for row, a in zip(leaves(blocks), leaves(TREE), strict=True)
    ]
    np.testing.assert_allclose(np.vstack(rows), H, rtol=1e-12, atol=1e-14)
    assert blocks["A"]["kernel"].lengths.shape == (2, 2, 2)
    dots = tree_of(np.eye(2), 1.0, np.ones(2), -1.0, None, np.array([0.0, 2.0]), 0.5)
    moved = tree_of(np.eye(2), 1.0, np.ones(2), -1.0, 0.0, np.array([0.0, 2.0]), 0.5)
    found = overbar.hvp(model, (TREE, X), dots)
    np.testing.assert_allclose(as_vector(found), H @ as_vector(moved), rtol=1e-11)
    _, x_dot = overbar.hvp(model, (TREE, X), ({**dots, "A": None}, np.ones(2)), argnums=(0, 1))
    assert x_dot.shape == (2,)


def test_derivatives_of_gradients_hessians_and_jacobians():
    x = np.array([0.5, 2.0])
    cubes = lambda x: overbar.sum(x**3)  # noqa: E731
    trace = lambda x: overbar.trace(overbar.hessian(cubes)(x))  # noqa: E731
    np.testing.assert_allclose(overbar.grad(trace)(x), [6, 6])
    squared = lambda x: overbar.sum(overbar.jacobian(overbar.sin, x) ** 2)  # noqa: E731
    np.testing.assert_allclose(overbar.grad(squared)(x), -np.sin(2 * x))
    slope = overbar.sin
    for expected in (np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin):
        slope = overbar.grad(slope)
        np.testing.assert_allclose(slope(0.3), expected(0.3), rtol=1e-14)


@pytest.mark.parametrize("derivative", [overbar.value_and_grad, overbar.grad])
def test_what_a_step_saved_is_freed_when_the_sweep_has_passed_it(derivative):
    """Memory of gradients of large matrices: an output that later steps saved is not held while the first are pulled
    back. The pullback of vjp may be called again, and holds everything."""
    saved, alive = [], []

    @overbar.primitive("(n)->(n)")
    def doubled(x):
        y = 2 * x
        saved.append(weakref.ref(y))
        return y

    @doubled.vjp
    def _(y_bar, y, x):
        alive.append([step() is not None for step in saved])
        return (lambda: 2 * y_bar,)

    derivative(lambda x: overbar.sum(doubled(doubled(doubled(x)))))(np.ones(3))
    assert alive == [[True, True, True], [True, True, False], [True, False, False]]
    saved.clear(), alive.clear()
    _, pullback = overbar.vjp(lambda x: overbar.sum(doubled(doubled(doubled(x)))), np.ones(3))
    assert np.array_equal(pullback(1.0)[0], pullback(1.0)[0])
    assert np.all(alive)


def test_dtypes():
    """A number is of single precision where all arrays are, and real beside complex ones."""
    f = lambda p: overbar.sum(overbar.namespace(p["z"]).real(p["z"] * 2)) * p["c"]  # noqa: E731
    bars = overbar.grad(f)({"z": np.ones(2, np.complex64), "c": 2.0})
    assert (bars["z"].dtype, bars["c"].dtype) == (np.complex64, np.float32)
    np.testing.assert_array_equal(bars["z"], 4)
    assert overbar.grad(lambda x: x * x)(3) == 6
    assert overbar.grad(lambda x: x * x)(3).dtype == np.float64


def test_what_has_no_gradient_is_refused_by_name():
    number = lambda p: overbar.sum(p["a"][0])  # noqa: E731
    with pytest.raises(TypeError, match=r"argument 0\['a'\]\[0\] is of integers"):
        overbar.grad(number)({"a": [np.arange(2)]})
    with pytest.raises(TypeError, match=r"argument 0\['n'\] is of integers, 3"):
        overbar.grad(number)({"a": [1.0], "n": 3})
    with pytest.raises(TypeError, match=r"argument 0\['a'\] is a builtins.set"):
        overbar.grad(number)({"a": {1.0}})
    with pytest.raises(TypeError, match="nothing to differentiate by"):
        overbar.grad(number)({"a": []})
    for f, what in ((overbar.exp, "shape \\(2,\\)"), (lambda x: (x[0], x[1]), "a tuple"), (lambda x: None, "None")):
        with pytest.raises(TypeError, match=f"the function returned an? .*{what}|returned {what}"):
            overbar.grad(f)(np.ones(2))
    with pytest.raises(TypeError, match="complex128"):
        overbar.grad(lambda z: z * z)(1j)
    for argnums in (1, "a", True, (0, 3)):
        with pytest.raises(TypeError, match="argnums names argument"):
            overbar.grad(overbar.sum, argnums=argnums)(np.ones(2))
    with pytest.raises(TypeError, match="argument 0 is complex"):
        overbar.hessian(lambda z: overbar.sum(overbar.namespace(z).real(z)))(np.ones(2, complex))
    with pytest.raises(TypeError, match=r"the direction of argument 0\['a'\] has other entries"):
        overbar.hvp(number, ({"a": [1.0]},), {"a": [1.0, 2.0]})


def outputs(tree, x):
    """A function of a container with several entries in its value."""
    y = tree["A"] @ (x * tree["kernel"].lengths) * tree["kernel"].scale + tree["pair"][0]
    return y * y * tree["pair"][1][0] + overbar.sum(tree["point"].x) / tree["point"].y


def test_sweeps_take_containers():
    value, pullback = overbar.vjp(outputs, TREE, X)
    np.testing.assert_array_equal(value, outputs(TREE, X))
    bars, x_bar = pullback(np.array([1.0, -2.0]))
    weighted = lambda tree, x: overbar.sum(outputs(tree, x) * np.array([1.0, -2.0]))  # noqa: E731
    expected, x_expected = overbar.grad(weighted, argnums=(0, 1))(TREE, X)
    assert type(bars["kernel"]) is Kernel
    assert bars["kernel"].name is bars["centred"] is bars["pair"][1][1] is None
    np.testing.assert_array_equal(as_vector(bars), as_vector(expected))
    np.testing.assert_array_equal(x_bar, x_expected)

    dots = tree_of(np.eye(2), 1.0, np.ones(2), -1.0, None, np.array([0.0, 2.0]), 0.5)
    moved = tree_of(np.eye(2), 1.0, np.ones(2), -1.0, 0.0, np.array([0.0, 2.0]), 0.5)
    same, dot = overbar.jvp(outputs, (TREE, X), (dots, None))
    np.testing.assert_array_equal(same, value)
    np.testing.assert_allclose(dot @ [1.0, -2.0], as_vector(bars) @ as_vector(moved), rtol=1e-12)

    J = overbar.jacobian(outputs, TREE, X)
    assert J["A"].shape == (2, 2, 2)
    assert J["pair"][1][0].shape == (2,)
    assert J["kernel"].name is None
    np.testing.assert_allclose(np.tensordot([1.0, -2.0], J["A"], 1), bars["A"], rtol=1e-12)
    np.testing.assert_array_equal(
        overbar.jacobian(outputs, TREE, X, argnum=1), overbar.jacobian(lambda x: outputs(TREE, x), X)
    )
    second = overbar.grad(lambda tree: overbar.sum(overbar.vjp(outputs, tree, X)[1](np.ones(2))[0]["A"]))(TREE)
    by_grad = overbar.grad(lambda t: overbar.sum(overbar.grad(lambda t: overbar.sum(outputs(t, X)))(t)["A"]))(TREE)
    np.testing.assert_allclose(as_vector(second), as_vector(by_grad), rtol=1e-12)


def test_a_list_of_numbers_is_an_array_and_one_of_arrays_is_a_container():
    _, pullback = overbar.vjp(overbar.det, [[2.0, 1.0], [0.0, 3]])
    np.testing.assert_allclose(pullback(1.0)[0], [[3, 0], [-1, 2]])
    np.testing.assert_allclose(overbar.jacobian(lambda x: x[0] * x[1], (2.0, 3.0)), [3, 2])
    layers = [np.ones(2), np.array([3.0, 4.0])]
    (bars,) = overbar.vjp(lambda layers: overbar.sum(layers[0] * layers[1]), layers)[1](1.0)
    assert type(bars) is list
    np.testing.assert_array_equal(bars, layers[::-1])
    single = overbar.vjp(lambda tree, x: tree["a"] * tree["b"] * x, {"a": np.ones(2, np.float32), "b": 2.0}, 3)
    assert [x.dtype for x in single[1](np.ones(2))[0].values()] == [np.float32, np.float32]
    assert single[1](np.ones(2))[1] == 4


@pytest.mark.parametrize(
    "f",
    [
        np.sum,
        lambda x: np.sum(np.array(x)),
        lambda x: np.sum(np.ones(2) @ x),
        lambda x: x * x,
        lambda x: overbar.sum(x),
    ],
)
def test_a_list_of_numbers_that_is_taken_for_an_array_is_refused_with_the_remedy(f):
    """It is a container to these. What the message names works, and another mistake keeps its own message."""
    message = r": argument 0 is a list, here a container .*numpy\.array\(x\).*numpy\.stack\(x\)\. \(.+\)$"
    for call in (overbar.grad(f), overbar.value_and_grad(f), overbar.hessian(f), lambda x: overbar.hvp(f, (x,), x)):
        with pytest.raises(TypeError, match=message):
            call([1.0, 2.0])
    assert overbar.grad(lambda x: np.sum(np.stack(x)))([1.0, 2.0]) == [1.0, 1.0]
    np.testing.assert_array_equal(overbar.grad(np.sum)(np.array([1.0, 2.0])), [1.0, 1.0])
    with pytest.raises(TypeError, match=r"^numpy\.fft"):
        overbar.grad(lambda x, y: np.fft.fft(x))(np.ones(2), [1.0])
    with pytest.raises(TypeError, match=r"^object of type 'int' has no len"):
        overbar.grad(lambda x: x[0] + len(5))([1.0, 2.0])


def test_calls_that_are_written_otherwise_say_so():
    x, f = np.ones(2), lambda x: overbar.sum(x**2)
    for name in ("grad", "value_and_grad", "hessian"):
        for wrong in (x, 1.0, {"a": x}, [x, 0], np.float64(1.0)):
            with pytest.raises(TypeError, match=rf"argnums is an? .*Did you mean overbar.{name}\(f\)\(x\)"):
                getattr(overbar, name)(f, wrong)
    for call in (
        lambda: overbar.jvp(np.sin, x, x), lambda: overbar.jvp(f, 3.0, 1.0), lambda: overbar.hvp(f, 3.0, 1.0),
        lambda: overbar.hvp(f, x[:1], x[:1]), lambda: overbar.jvp(np.sin, x[:1], x[:1]),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"[jh]vp: args is an? .*write \(x,\)"):
            call()
    with pytest.raises(TypeError, match=r"jvp: dots is an array.*write \(x,\)"):
        overbar.jvp(np.sin, (x,), x)
    with pytest.raises(TypeError, match="hvp: dots, for several argnums, is an array"):
        overbar.hvp(f, (x,), x, argnums=(0,))


def test_entries_that_are_no_parameters_are_named_with_the_remedy():
    square = lambda p: overbar.sum(p["a"] ** 2)  # noqa: E731
    for entry, message in (
        (np.ones(2, np.float16), "has dtype float16. Parameters are of dtype float32"),
        (np.array(["x"]), "has dtype str"),
        (3, "is of integers, 3, and may be a count.*float"),
        (np.arange(2), "is of integers.*float"),
        ({1.0}, "is a builtins.set"),
    ):
        for call, label in (
            (overbar.grad(square), r"argument 0\['a'\]"), (overbar.flatten, r"flatten: tree\['a'\]"),
            (lambda p: overbar.vjp(square, p), r"vjp: argument 0\['a'\]"),
            (lambda p: overbar.jvp(square, (p,), (None,)), r"jvp: argument 0\['a'\]"),
            (lambda p: overbar.jacobian(square, p), r"jacobian: argument 0\['a'\]"),
        ):  # fmt: skip
            with pytest.raises(TypeError, match=f"{label} {message}"):
                call({"a": entry, "b": 1.0})
    with pytest.raises(TypeError, match="nothing to differentiate by"):
        overbar.vjp(square, {"a": "linear"})
    with pytest.raises(TypeError, match="the direction of argument 0 has other"):
        overbar.jvp(square, ({"a": np.ones(2)},), ({"b": np.ones(2)},))


def test_parameters_as_one_vector_and_back():
    vector, rebuild = overbar.flatten(TREE)
    np.testing.assert_array_equal(vector, as_vector(TREE))
    moved = vector + np.arange(12)
    tree = rebuild(moved)
    np.testing.assert_array_equal(as_vector(tree), moved)
    assert type(tree["kernel"]) is Kernel
    assert type(tree["point"]) is Point
    assert (tree["kernel"].name, tree["centred"], tree["pair"][1][1]) == ("linear", True, None)
    assert isinstance(tree["pair"][0], float)
    before = tree["A"].copy()
    moved[:], vector[:] = 7, 8
    np.testing.assert_array_equal(tree["A"], before)  # an optimiser may write into its vector
    np.testing.assert_array_equal(A, [[2.0, 0.3], [0.1, 1.5]])


def test_a_gradient_by_the_vector_is_the_vector_of_the_gradient():
    vector, rebuild = overbar.flatten(TREE)
    bars = overbar.grad(model)(TREE, X)
    np.testing.assert_allclose(overbar.flatten(bars)[0], overbar.grad(flat)(vector), rtol=1e-12)
    through = lambda v: model(rebuild(v), X)  # noqa: E731
    np.testing.assert_allclose(overbar.hessian(through)(vector), overbar.hessian(flat)(vector), rtol=1e-11, atol=1e-13)
    dot = np.cos(vector)
    np.testing.assert_allclose(overbar.jvp(through, (vector,), (dot,))[1], overbar.grad(flat)(vector) @ dot, rtol=1e-11)
    np.testing.assert_allclose(
        overbar.jacobian(lambda v: overbar.flatten(rebuild(v))[0], vector), np.eye(len(vector)), rtol=0, atol=0
    )


def test_complex_parameters_are_two_numbers_each():
    tree = {"z": np.array([[1 + 2j], [-0.5j]]), "x": np.array([0.5]), "c": 1j}
    vector, rebuild = overbar.flatten(tree)
    np.testing.assert_array_equal(vector, [1, 0, 2, -0.5, 0.5, 0, 1])
    np.testing.assert_array_equal(rebuild(vector)["z"], tree["z"])
    assert rebuild(vector)["c"] == 1j

    def f(tree):
        z = overbar.exp(tree["z"] * tree["x"]) * tree["c"]
        return overbar.sum(z.real * z.real + 2 * z.imag)

    found = overbar.flatten(overbar.grad(f)(tree))[0]
    np.testing.assert_allclose(found, differences(lambda v: f(rebuild(v)), vector), rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found, overbar.grad(lambda v: f(rebuild(v)))(vector), rtol=1e-12, atol=1e-14)


def test_the_vector_holds_every_precision():
    single = {"a": np.ones(2, np.float32), "z": np.ones(1, np.complex64), "n": 0.1}
    vector, rebuild = overbar.flatten(single)
    assert vector.dtype == np.float32
    for given in (vector, vector.astype(np.float64), [1, 2, 3, 4, 5]):
        assert [x.dtype for x in rebuild(given).values()] == [np.float32, np.complex64, np.float32]
    vector, rebuild = overbar.flatten(single | {"b": np.array(1 / 3)})
    assert vector.dtype == np.float64
    assert vector[-1] == 1 / 3
    assert rebuild(vector)["a"].dtype == np.float32
    assert rebuild(vector)["b"].shape == ()


def test_what_is_no_vector_of_parameters_is_refused():
    with pytest.raises(TypeError, match=r"flatten: tree\['a'\]\[1\] is of integers.*leave it out"):
        overbar.flatten({"a": [1.0, 2]})
    with pytest.raises(TypeError, match="no array and no number"):
        overbar.flatten({"name": "linear"})
    rebuild = overbar.flatten(TREE)[1]
    for wrong in (np.ones(11), np.ones((12, 1)), 1.0):
        with pytest.raises(np.linalg.LinAlgError, match=r"The vector has shape \(12,\)"):
            rebuild(wrong)
    with pytest.raises(TypeError, match="complex"):
        rebuild(np.ones(12) + 1j)
    with pytest.raises(np.linalg.LinAlgError, match=r"The vector has shape \(12,\)"):
        overbar.grad(lambda v: overbar.sum(rebuild(v)["A"]))(np.ones(3))


class TestAux:
    """What a function returns beside its number."""

    def loss(self, theta, X):
        y = X @ theta["w"]
        return overbar.sum(y**2), {"y": y, "count": 3, "ends": [y[0], "last"]}

    X = np.arange(6.0).reshape(2, 3)
    theta = {"w": np.array([1.0, -2.0, 0.5])}  # noqa: RUF012

    def test_it_comes_back_as_numbers(self):
        (value, aux), bars = overbar.value_and_grad(self.loss, has_aux=True)(self.theta, self.X)
        y = self.X @ self.theta["w"]
        assert value == np.sum(y**2)
        assert (aux["count"], aux["ends"]) == (3, [y[0], "last"])
        assert type(aux["y"]) is np.ndarray
        np.testing.assert_array_equal(aux["y"], y)
        np.testing.assert_allclose(bars["w"], 2 * self.X.T @ y, rtol=1e-14)
        again, aux = overbar.grad(self.loss, has_aux=True)(self.theta, self.X)
        np.testing.assert_array_equal(again["w"], bars["w"])
        np.testing.assert_array_equal(aux["y"], y)

    def test_a_sweep_around_it_differentiates_it(self):
        def outer(theta):
            return overbar.sum(overbar.grad(self.loss, has_aux=True)(theta, self.X)[1]["y"] ** 3)

        y = self.X @ self.theta["w"]
        np.testing.assert_allclose(overbar.grad(outer)(self.theta)["w"], self.X.T @ (3 * y**2), rtol=1e-13)

    def test_no_pair(self):
        with pytest.raises(TypeError, match=r"value_and_grad: with has_aux=True .* It returned an array"):
            overbar.value_and_grad(lambda x: x[0], has_aux=True)(np.ones(2))
        with pytest.raises(TypeError, match=r"grad: .* a tuple of 2, and not one real number. With has_aux=True"):
            overbar.grad(lambda x: (x[0], x))(np.ones(2))


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: {"a": x}, "returned a dict as one of its values"),
        (lambda x: {"a": 1.0}, "returned a dict as one of its values"),
        (lambda x: (x, (x, x)), "returned a tuple as one of its values"),
        (lambda x: (x, [[x], 1.0]), "returned a list as one of its values"),
        (lambda x: None, "returned None, .* Is a `return` missing"),
        (lambda x: (x, "s"), "returned 's', and must return"),
    ],
)
def test_values_that_are_no_arrays(f, message):
    for call in (lambda: overbar.vjp(f, np.ones(2)), lambda: overbar.jvp(f, (np.ones(2),), (np.ones(2),))):
        with pytest.raises(TypeError, match=message):
            call()


@dataclasses.dataclass(frozen=True)
class Ordered:
    scale: Any
    order: float = dataclasses.field(default=2.0, metadata={"static": True})


def test_a_static_field_of_a_dataclass_is_an_option():
    """A number, an array or a container: it is no parameter, and a gradient has it as it was."""
    value, bars = overbar.value_and_grad(lambda p: p.scale**3 * p.order)(Ordered(2.0, 5.0))
    assert (float(value), float(bars.scale), bars.order) == (40.0, 60.0, 5.0)
    vector, rebuild = overbar.flatten([Ordered(2.0, 5.0), Ordered(np.ones(2), np.arange(3))])
    assert vector.tolist() == [2, 1, 1]
    assert rebuild(vector)[1].order.tolist() == [0, 1, 2]
    assert float(overbar.hvp(lambda p: p.scale**3 * p.order, (Ordered(2.0, 5.0),), Ordered(1.0, 7.0)).scale) == 60.0


@pytest.mark.parametrize(
    "solve",
    [
        lambda A, b: overbar.lu_solve(*overbar.lu_factor(A), b),
        lambda A, b: overbar.ldl_solve(*overbar.ldl_factor(A), b),
    ],
    ids=["lu", "ldl"],
)
def test_second_derivatives_of_a_system_by_factors_with_pivots(solve):
    """The pivots come from the same matrix, but they are integers, and have no bar."""
    rng = np.random.default_rng(1)
    X, b = rng.standard_normal((3, 3)), rng.standard_normal(3)
    A, A_dot = X + X.T + 4 * np.eye(3), X @ X.T

    def loss(solve):
        return lambda A: overbar.sum(solve((A + A.T) / 2, b) ** 2)

    ours, expected = loss(solve), loss(overbar.solve)
    np.testing.assert_allclose(overbar.hessian(ours)(A), overbar.hessian(expected)(A), atol=1e-13)
    dots = [overbar.jvp(overbar.grad(f), (A,), (A_dot,))[1] for f in (ours, expected)]
    np.testing.assert_allclose(*dots, atol=1e-13)


@pytest.mark.parametrize(
    ("args", "dots", "message"),
    [
        (
            (np.ones(3),),
            (np.ones(3),),
            r"shape \(1, 3\), and must have shape \(3,\).*itself, and no tuple.*\(x,\), x_dot\)",
        ),
        (
            (np.ones(3), 2.0),
            (np.ones(3), 1.0),
            r"entries of several shapes.*hvp\(f, \(x, y\), x_dot\), or with argnums=\(0, 1\)",
        ),
        ((np.ones(3),), np.ones(2), r"shape \(2,\), and must have shape \(3,\), that of the array\.$"),
    ],
)
def test_a_direction_in_other_containers(args, dots, message):
    with pytest.raises(np.linalg.LinAlgError, match="hvp: the direction of argument 0 has " + message):
        overbar.hvp(lambda x, y=1.0: overbar.sum(x * x * x) * y, args, dots)


def test_a_tuple_around_the_container_of_the_argument():
    tree = {"a": np.ones(3)}
    with pytest.raises(TypeError, match=r"hvp: the direction of argument 0 has other entries.*and no tuple of them"):
        overbar.hvp(lambda p: overbar.sum(p["a"] ** 3), (tree,), (tree,))
