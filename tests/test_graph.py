"""The graph of a computation, its table and its drawing. May import `overbar`."""

import doctest
import itertools
import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import overbar
from overbar import _checkpoint, _graph


def likelihood(A, b, noise):
    K = overbar.name(A @ A.T + noise * np.eye(3), "K")
    L = overbar.name(overbar.cholesky(K), "L")
    fit = overbar.name(overbar.sum(overbar.cho_solve(L, b) * b), "fit")
    return overbar.name(fit + 2 * overbar.sum(np.log(overbar.diagonal(L))), "loss")


def arguments():
    rng = np.random.default_rng(2)
    return rng.standard_normal((3, 3)), rng.standard_normal(3), np.array(0.7)


def test_dots_and_bars_of_every_node():
    """⟨bar, dot⟩ is the derivative of the value along the dots at each cut of the graph; at the arguments these are
    those of the sweeps."""
    args = arguments()
    dots = tuple(np.cos(A) for A in args)
    g = overbar.graph(likelihood, *args, dots=dots)
    value, pullback = overbar.vjp(likelihood, *args)
    for label, A, A_dot, A_bar in zip(g.inputs, args, dots, pullback(1.0), strict=True):
        np.testing.assert_array_equal(g[label].value, A)
        np.testing.assert_array_equal(g[label].dot, A_dot)
        np.testing.assert_array_equal(g[label].bar, A_bar)
    assert (g["loss"].value, g["loss"].bar, g.outputs) == (value, 1, ("loss",))
    assert g["loss"].dot == overbar.jvp(likelihood, args, dots)[1]
    K = g["K"]
    cut = np.sum(K.bar * K.dot) + np.sum(g["b"].bar * g["b"].dot)  # b is used behind K
    np.testing.assert_allclose(cut, g["loss"].dot, rtol=1e-12)
    B = g["K"].value
    np.testing.assert_allclose(
        g["K"].bar, np.linalg.inv(B) - np.outer(*[np.linalg.solve(B, args[1])] * 2), rtol=1e-9, atol=1e-12
    )


def test_names():
    def f(params, x):
        y = overbar.name(params["W"] @ x, "y")
        assert overbar.name(y, "same") is y
        return np.sum(y * y + params["c"][0])

    params = {"W": np.eye(2), "c": (3.0, "a word")}
    assert overbar.graph(lambda pair: pair[0] * pair[1], [1.0, 2.0]).inputs == ("pair[0]", "pair[1]")
    g = overbar.graph(f, params, np.array([1.0, 2.0]))
    assert g.inputs == ("params['W']", "params['c'][0]", "x")
    assert g["same"] is g["y"]
    assert "same" in g
    assert [node.name for node in g if re.fullmatch(r"v\d+", node.name)] == [f"v{i}" for i in range(1, len(g) - 3)]
    assert overbar.graph(f, params, np.ones(2), names=["p", "q"]).inputs == ("p['W']", "p['c'][0]", "q")
    assert overbar.graph(lambda *x: np.sin(x[0]), 1.0).inputs == ("x1",)
    assert overbar.graph(overbar.matmul, np.eye(2), np.eye(2)).inputs == ("A", "B")
    with pytest.raises(KeyError, match=r"no node 'nobody'.*overbar.name"):
        g["nobody"]


def test_a_name_does_nothing_elsewhere():
    x = np.ones(2)
    assert overbar.name(x, "v") is x
    assert overbar.grad(lambda u: overbar.name(u**3, "v"))(2.0) == 12.0
    assert overbar.grad(overbar.grad(lambda u: overbar.name(u**3, "v")))(2.0) == 12.0


def test_a_sweep_inside_names_the_quantity_outside():
    def f(u):
        return overbar.name(overbar.grad(lambda t: overbar.name(t * t * t, "cube"))(u), "slope")

    g = overbar.graph(f, 2.0)
    assert (g["cube"].value, g["slope"].value, g["slope"].dot, g["u"].bar) == (8, 12, 12, 12)


def test_local_derivatives_and_operations():
    def f(a, b):
        c = overbar.name(a * a, "c")
        return overbar.name(c + b, "d"), overbar.name(np.exp(c), "e")

    g = overbar.graph(f, 3.0, 1.0)
    assert [(e.source, e.target, e.primitive) for e in g.edges] == [
        ("a", "c", "multiply"), ("a", "c", "multiply"), ("c", "d", "add"), ("b", "d", "add"), ("c", "e", "exp"),
    ]  # fmt: skip
    assert [e.derivative for e in g.edges] == [3, 3, 1, 1, np.exp(9)]
    assert g.operations == (4 + 1, 4 + 3)
    assert g["c"].bar is None
    assert g["c"].dot is None
    g = overbar.graph(f, 3.0, 1.0, bars=(2.0, None), dots=(None, 5.0))
    assert (g["a"].bar, g["b"].bar, g["e"].bar, g["c"].dot, g["d"].dot) == (12, 2, 0, 0, 5)
    g = overbar.graph(overbar.matmul, np.eye(3), np.ones((3, 1)))
    assert g.operations == (9 + 3, 2 * 3)
    assert [e.derivative for e in g.edges] == [None, None]


def test_outputs_that_are_not_floating_point_have_no_dot():
    def f(A):
        _, L, U = overbar.lu(A)
        return L, U

    g = overbar.graph(f, np.array([[1.0, 2.0], [3.0, 4.0]]), dots=(np.eye(2),), bars=(np.eye(2), np.eye(2)))
    expected = overbar.vjp(f, np.array([[1.0, 2.0], [3.0, 4.0]]))[1]((np.eye(2), np.eye(2)))[0]
    np.testing.assert_array_equal(g["A"].bar, expected)


def test_texts():
    g = overbar.graph(lambda x: overbar.sum(x[1:, 0] ** 2) / 3 - np.tril(x)[0, 0], np.ones((3, 2)))
    lines = str(g).splitlines()
    assert lines[0].split() == ["name", "computed", "as", "value", "bar"]
    assert [line.split()[0] for line in lines[1:]] == [node.name for node in g]
    assert [node.text for node in g] == [
        "", "x[1:, 0]", "v1 ** 2", "sum(v2)", "v3 / 3", "tril(x)", "v5[0, 0]", "v4 - v6",
    ]  # fmt: skip
    source = g.graphviz()
    assert source.count("->") == len(g.edges) == 8
    assert 'label="v1 = x[1:, 0]\\nvalue (2,)' in source
    assert repr(g) == str(g)

    def long(x):
        for _ in range(300):
            x = x * 1.0
        return x

    g = overbar.graph(long, 1.0)
    assert len(g) == 301
    assert len(str(g).splitlines()) == 62
    assert "241 more" in str(g)
    assert g._repr_svg_() is None


def boxes(svg):
    root = ElementTree.fromstring(svg)
    space = "{http://www.w3.org/2000/svg}"
    x, y, width, height = map(float, root.get("viewBox").split())
    rects = [[float(r.get(k)) for k in ("x", "y", "width", "height")] for r in root.iter(space + "rect")]
    texts = [(float(t.get("x")), float(t.get("y")), float(t.get("textLength"))) for t in root.iter(space + "text")]
    return (x, y, width, height), rects, texts


def within(inner, outer):
    (x, y, w, h), (a, b, c, d) = inner, outer
    return a <= x and b <= y and x + w <= a + c + 0.11 and y + h <= b + d + 0.11


@pytest.mark.parametrize("seed", range(6))
def test_nothing_in_a_drawing_lies_upon_anything_else(seed):
    rng = np.random.default_rng(seed)

    def f(*args):
        made = list(args)
        for i in range(14):
            a, b = rng.choice(len(made), 2)
            label = f"{'a rather long name ' * int(rng.integers(3))}{i}"
            made.append(overbar.name(made[a] * np.sin(made[b]), label))
        return sum(made)

    svg = overbar.graph(f, *rng.uniform(0.1, 2, 3)).svg()
    picture, rects, texts = boxes(svg)
    assert len(rects) > 30
    for a, b in itertools.combinations(rects, 2):
        apart = a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0] or a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]
        assert apart, (a, b)
    for rect in rects:
        assert within(rect, picture)
    for x, y, length in texts:
        assert any(within((x, y - 9, length, 11), rect) for rect in rects)
    # the ground may be white or black: what has no ground of its own is grey
    strokes = set(re.findall(r'<path [^>]*(?:stroke|fill)="(#\w+)"', svg))
    for colour in strokes:
        grey = int(colour[1:3], 16) / 255
        light = (grey / 12.92) if grey < 0.04 else ((grey + 0.055) / 1.055) ** 2.4
        assert min(1.05 / (light + 0.05), (light + 0.05) / 0.05) > 3


@pytest.mark.parametrize(
    "call, kind, message",
    [
        (lambda: overbar.graph(lambda u: 3.0, 1.0), ValueError, "does not depend on its arguments"),
        (lambda: overbar.graph(lambda u: overbar.name(overbar.name(u * u, "v") * u, "v"), 1.0), ValueError, "name 'v'"),
        (lambda: overbar.graph(np.sin, 1.0, names=["a", "b"]), ValueError, "got 2 names for 1 arguments"),
        (lambda: overbar.graph(np.sin, 1.0, dots=(1.0, 2.0)), TypeError, "got 2 dots for 1"),
        (lambda: overbar.graph(np.sin, np.ones(2), bars=np.ones(3)), ValueError, r"bars 0 has shape \(3,\)"),
        (lambda: overbar.name(np.ones(2), 3), TypeError, "must be a string"),
        (lambda: overbar.grad(lambda u: overbar.graph(np.sin, u))(1.0), TypeError, "outside of the function"),
    ],
)
def test_refusals(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


@pytest.mark.parametrize("module", [_graph, _checkpoint])
def test_the_examples_of_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted >= 8
    assert not found.failed
