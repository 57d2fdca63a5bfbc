"""The scalar example of the lecture note, z = exp(sin(u²) log(u²)), in both modes. May import `overbar`.

With v = u², w = sin v, x = log v, y = w x and z = exp y, the chain rule is a sum over the two paths from u to z,
equation (5) of the note:

    ∂z/∂u = ∂z/∂y ∂y/∂w ∂w/∂v ∂v/∂u + ∂z/∂y ∂y/∂x ∂x/∂v ∂v/∂u.
"""

import functools
import itertools
import operator

import numpy as np
import pytest

import overbar

at_each_point = pytest.mark.parametrize("u", [0.4, 1.5, -2.3])


def example(u):
    v = overbar.name(u**2, "v")
    w = overbar.name(np.sin(v), "w")
    x = overbar.name(np.log(v), "x")
    y = overbar.name(w * x, "y")
    return overbar.name(np.exp(y), "z")


def quantities(u):
    v = u * u
    w, x = np.sin(v), np.log(v)
    y = w * x
    return {"u": u, "v": v, "w": w, "x": x, "y": y, "z": np.exp(y)}


def local_derivatives(u):
    """∂target/∂source for each edge, as the note lists them."""
    q = quantities(u)
    return {
        ("u", "v"): 2 * u,
        ("v", "w"): np.cos(q["v"]),
        ("v", "x"): 1 / q["v"],
        ("w", "y"): q["x"],
        ("x", "y"): q["w"],
        ("y", "z"): q["z"],
    }


def paths(edges, source, target):
    """All paths through a graph, as lists of edges."""
    if source == target:
        return [[]]
    return [[edge, *rest] for edge in edges if edge[0] == source for rest in paths(edges, edge[1], target)]


@at_each_point
def test_dots(u):
    """Forward mode: u̇ = 1, v̇ = 2u u̇, ẇ = cos(v) v̇, ẋ = v̇/v, ẏ = ẇx + wẋ, ż = z ẏ."""
    q = quantities(u)
    u_dot = 1.0
    v_dot = 2 * u * u_dot
    w_dot = np.cos(q["v"]) * v_dot
    x_dot = v_dot / q["v"]
    y_dot = w_dot * q["x"] + q["w"] * x_dot
    z_dot = q["z"] * y_dot
    g = overbar.graph(example, u)
    by_hand = {"u": u_dot, "v": v_dot, "w": w_dot, "x": x_dot, "y": y_dot, "z": z_dot}
    assert [node.name for node in g] == [*by_hand]
    for label, dot in by_hand.items():
        np.testing.assert_allclose(g[label].value, q[label], rtol=1e-14)
        np.testing.assert_allclose(g[label].dot, dot, rtol=1e-13)
    np.testing.assert_allclose(overbar.jvp(example, (u,), (1.0,)), (q["z"], z_dot), rtol=1e-13)


@at_each_point
def test_bars(u):
    """Reverse mode: z̄ = 1, ȳ = z̄ z, w̄ = ȳ x, x̄ = ȳ w, v̄ = w̄ cos v + x̄/v, ū = 2u v̄."""
    q = quantities(u)
    z_bar = 1.0
    y_bar = z_bar * q["z"]
    w_bar = y_bar * q["x"]
    x_bar = y_bar * q["w"]
    v_bar = w_bar * np.cos(q["v"]) + x_bar / q["v"]
    u_bar = v_bar * 2 * u
    g = overbar.graph(example, u)
    by_hand = {"u": u_bar, "v": v_bar, "w": w_bar, "x": x_bar, "y": y_bar, "z": z_bar}
    for label, bar in by_hand.items():
        np.testing.assert_allclose(g[label].bar, bar, rtol=1e-13)
    np.testing.assert_allclose(overbar.grad(example)(u), u_bar, rtol=1e-13)


@at_each_point
def test_both_meet_at_every_cut(u):
    """Σ bar · dot over the quantities of a cut of the graph is ∂z/∂u, wherever the cut is."""
    g = overbar.graph(example, u)
    cuts = [sum(g[label].bar * g[label].dot for label in cut) for cut in ("u", "v", "wx", "y", "z")]
    np.testing.assert_allclose(cuts, g["u"].bar, rtol=1e-12)


@at_each_point
def test_the_chain_rule_from_the_left_and_from_the_right(u):
    """Equation (5): the sum over paths, each product taken in both orders."""
    by_hand = local_derivatives(u)
    g = overbar.graph(example, u)
    found = {(edge.source, edge.target): edge.derivative for edge in g.edges}
    assert found.keys() == by_hand.keys()
    for edge, derivative in by_hand.items():
        np.testing.assert_allclose(found[edge], derivative, rtol=1e-13)
    chains = [[found[edge] for edge in path] for path in paths(found, "u", "z")]
    assert [len(chain) for chain in chains] == [4, 4]
    from_u = sum(functools.reduce(operator.mul, chain) for chain in chains)
    from_z = sum(functools.reduce(operator.mul, chain[::-1]) for chain in chains)
    np.testing.assert_allclose([from_u, from_z], overbar.grad(example)(u), rtol=1e-12)


@at_each_point
def test_the_complex_step(u):
    """Im z(u + ih)/h subtracts nothing, so that h may be as small as one likes."""
    h = 1e-100
    z = quantities(u + 1j * h)["z"]
    np.testing.assert_allclose(z.imag / h, overbar.grad(example)(u), rtol=1e-13)
    np.testing.assert_allclose(example(np.array(u + 1j * h)).imag / h, overbar.grad(example)(u), rtol=1e-13)


@at_each_point
def test_differences(u):
    """Half of the digits with one step of √ε, two thirds with two of ∛ε, and fewer for smaller steps."""
    exact = overbar.grad(example)(u)

    def one_sided(h):
        return abs((quantities(u + h)["z"] - quantities(u)["z"]) / h / exact - 1)

    def central(h):
        return abs((quantities(u + h)["z"] - quantities(u - h)["z"]) / (2 * h) / exact - 1)

    assert one_sided(1e-8) < 1e-5
    assert central(1e-5) < 1e-7
    assert min(one_sided(h) for h in (1e-15, 3e-16)) > 1e-3


@at_each_point
def test_the_second_derivative(u):
    """z″ = ẏ² z + ÿ z, in all four successions of modes, the complex step of the gradient among them."""
    v = u * u
    y_dot = 2 * u * (np.cos(v) * np.log(v) + np.sin(v) / v)
    y_ddot = y_dot / u + 4 * v * (-np.sin(v) * np.log(v) + 2 * np.cos(v) / v - np.sin(v) / v**2)
    exact = quantities(u)["z"] * (y_dot**2 + y_ddot)
    slope = overbar.grad(example)

    def forward(f):
        return lambda t: overbar.jvp(f, (t,), (1.0,))[1]

    found = [
        overbar.grad(slope)(u),
        forward(slope)(u),
        overbar.grad(forward(example))(u),
        forward(forward(example))(u),
        overbar.hvp(example, (u,), 1.0),
        overbar.hessian(example)(u),
    ]
    np.testing.assert_allclose(found, exact, rtol=1e-11)


def test_operation_counts():
    """Both sweeps multiply once by the local derivative of each edge; the sum over paths does so again and again where
    paths share an edge, and the number of paths grows exponentially."""
    g = overbar.graph(example, 1.5)
    assert g.operations == (6, 6)
    assert len(g.edges) == 6
    ends = [(edge.source, edge.target) for edge in g.edges]
    assert sum(map(len, paths(ends, "u", "z"))) == 8

    def diamonds(u):
        for _ in range(10):
            u = np.sin(u) * np.log(u + 2)
        return u

    g = overbar.graph(diamonds, 0.5)
    ends = [(edge.source, edge.target) for edge in g.edges]
    assert g.operations == (len(ends), len(ends)) == (50, 50)
    every = paths(ends, g.inputs[0], g.outputs[0])
    assert len(every) == 2**10
    derivatives = {(edge.source, edge.target): edge.derivative for edge in g.edges}
    total = sum(functools.reduce(operator.mul, [derivatives[edge] for edge in path]) for path in every)
    np.testing.assert_allclose(total, overbar.grad(diamonds)(0.5), rtol=1e-11)


def test_reverse_mode_costs_the_same_for_many_inputs():
    """With D inputs, forward mode goes through the graph D times, reverse mode once."""

    def f(*u):
        return example(functools.reduce(operator.add, u))

    for D in (2, 5, 9):
        g = overbar.graph(f, *np.linspace(0.1, 0.3, D))
        edges = len(g.edges)
        assert edges == 6 + 2 * (D - 1)
        assert g.operations.reverse == edges
        # the first two inputs pass all of the D - 1 sums, the others fewer
        assert g.operations.forward == 6 * D + sum(itertools.accumulate([1] * (D - 1))) + D - 1
