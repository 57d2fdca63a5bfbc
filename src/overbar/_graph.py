"""The graph of a computation: its quantities, how they depend on each other, and their dots and bars.

May import NumPy, `overbar._front`, `_namespace`, `_layout`, `_primitive`, `_sweep`, `_containers` and `_traced`. For
looking at, as the lecture note draws it: a node is a quantity, an edge says which quantity was computed from which,
and by which primitive.
"""

from __future__ import annotations

import contextvars
import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from overbar._containers import Given, Leaves
from overbar._front import NUMPY
from overbar._layout import drawn
from overbar._namespace import differentiated_elsewhere, known_front
from overbar._primitive import Primitive
from overbar._sweep import pull_along, push_along, push_call, trace
from overbar._traced import Traced, bare, without_constants

__all__ = ["Graph", "graph", "name"]

_INFIX = {
    "add": "+", "divide": "/", "matmul": "@", "multiply": "*", "power": "**", "subtract": "-",
}  # fmt: skip

#: a table has these many rows at most, and a drawing these many nodes
_ROWS, _DRAWN = 60, 200

_named: contextvars.ContextVar[list | None] = contextvars.ContextVar("named", default=None)


def name(x: Any, label: str) -> Any:
    """Give a quantity within a function the name by which `overbar.graph` shows it. Otherwise it does nothing.

    Parameters
    ----------
    x : array
        The quantity.
    label : str
        Its name.

    Returns
    -------
    x, as it is.

    Raises
    ------
    TypeError
        The label is not a string.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> def f(u):
    ...     v = overbar.name(u**2, "v")
    ...     return np.sin(v)
    >>> round(float(overbar.graph(f, 2.0)["v"].bar), 4)  # cos(4)
    -0.6536
    """
    if not isinstance(label, str):
        raise TypeError(f"name: the label is {label!r}. It must be a string.")
    named = _named.get()
    if named is not None:
        named.append((x, label))
    return x


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """A quantity of a graph.

    Attributes
    ----------
    name : str
        As `overbar.name` gave it; else the path to an array in the arguments, or v1, v2 and so on.
    text : str
        How it was computed, from the names of others; empty for an argument.
    primitive : str or None
        The primitive that computed it; None for an argument.
    value, dot, bar : array or None
        The quantity, its tangent, and its cotangent. The dot is None where the graph was not told the tangents of the
        arguments, and the bar where it was not told the bars of the value.
    """

    name: str
    text: str
    primitive: str | None
    value: Any
    dot: Any
    bar: Any


class Edge(NamedTuple):
    """A dependency of a graph: one quantity was computed from another.

    Attributes
    ----------
    source, target : str
        The names of the two quantities; the target was computed from the source.
    primitive : str
        By which primitive.
    derivative : float or None
        Between real numbers the local derivative ∂target/∂source, in which only this argument of the primitive moves;
        else None.
    """

    source: str
    target: str
    primitive: str
    derivative: float | None


class Operations(NamedTuple):
    """How many products with a local derivative it takes to get the derivatives of all entries of the value by all
    entries of the arguments: one for each edge that a sweep goes along.

    Attributes
    ----------
    forward, reverse : int
        By forward mode, a sweep for each entry of the arguments; by reverse mode, one for each entry of the value.
    """

    forward: int
    reverse: int


class Graph:
    """The graph of a computation (`overbar.graph`). ``g["v"]`` is the quantity of this name, `str` gives a table,
    `graphviz` source for Graphviz, and notebooks show a drawing.

    Attributes
    ----------
    nodes : tuple of Node
        The quantities, in the order of the computation.
    edges : tuple of Edge
        The dependencies, in the same order.
    inputs, outputs : tuple of str
        The names of the arguments and of the value.
    operations : Operations
        What forward and reverse mode cost here.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> g = overbar.graph(lambda u: np.sin(overbar.name(u**2, "v")), 2.0)
    >>> g["v"].text, g["v"].primitive, float(g["v"].value), round(float(g["v"].bar), 4)
    ('u ** 2', 'power', 4.0, -0.6536)
    >>> [(edge.source, edge.target, edge.primitive, round(edge.derivative, 4)) for edge in g.edges]
    [('u', 'v', 'power', 4.0), ('v', 'v1', 'sin', -0.6536)]
    """

    def __init__(self, nodes, edges, inputs, outputs, aliases):
        self.nodes, self.edges, self.inputs, self.outputs = tuple(nodes), tuple(edges), tuple(inputs), tuple(outputs)
        self._by_name = {node.name: node for node in nodes}
        self._by_name |= {alias: self._by_name[target] for alias, target in aliases.items()}

    def __getitem__(self, label: str) -> Node:
        if label not in self._by_name:
            known = ", ".join(self._by_name)
            raise KeyError(
                f"the graph has no node {label!r}. Its nodes are {known}. Name others inside the function, by "
                "overbar.name(x, label); what does not depend on the arguments is no node."
            )
        return self._by_name[label]

    def __contains__(self, label: str) -> bool:
        return label in self._by_name

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @functools.cached_property
    def operations(self) -> Operations:
        def reached(start, ends):
            found, count = {start}, 0
            for source, target in ends:
                if source in found:
                    found.add(target)
                    count += 1
            return count * np.size(self[start].value)

        onwards = [(edge.source, edge.target) for edge in self.edges]  # in the order of the computation
        back = [(target, source) for source, target in reversed(onwards)]
        return Operations(
            int(sum(reached(label, onwards) for label in self.inputs)),
            int(sum(reached(label, back) for label in dict.fromkeys(self.outputs))),
        )

    def _columns(self):
        for node in self.nodes:
            yield [node.name, node.text, *[_short(x) for x in (node.value, node.dot, node.bar)]]

    def __str__(self) -> str:
        rows = [["name", "computed as", "value", "dot", "bar"], *self._columns()]
        hidden = len(rows) - 1 - _ROWS
        if hidden > 0:
            rows[1 + _ROWS // 2 : len(rows) - _ROWS // 2] = [["...", f"{hidden} more", "", "", ""]]
        shown = [i for i in range(5) if i < 3 or any(row[i] for row in rows[1:])]
        widths = [max(len(row[i]) for row in rows) for i in shown]
        lines = ["  ".join(row[i].ljust(w) for i, w in zip(shown, widths, strict=True)).rstrip() for row in rows]
        return "\n".join(lines)

    __repr__ = __str__

    def graphviz(self) -> str:
        """Source text for Graphviz: ``dot -Tpdf``."""
        number = {node.name: f"n{i}" for i, node in enumerate(self.nodes)}
        lines = ["digraph {", '  node [shape=box, fontname="monospace"];', '  edge [fontname="monospace"];']
        for node in self.nodes:
            lines.append(f"  {number[node.name]} [label={_quoted(_lines(node))}];")
        for edge in self.edges:
            lines.append(f"  {number[edge.source]} -> {number[edge.target]} [label={_quoted(_edge_lines(edge))}];")
        return "\n".join([*lines, "}"])

    def svg(self) -> str:
        """A drawing, from the arguments down to the value, legible on light and on dark ground."""
        kinds = dict.fromkeys(self.inputs, "input") | dict.fromkeys(self.outputs, "output")
        nodes = [(node.name, _lines(node), kinds.get(node.name, "")) for node in self.nodes]
        return drawn(nodes, [(edge.source, edge.target, _edge_lines(edge)) for edge in self.edges])

    def _repr_svg_(self):
        return self.svg() if len(self.nodes) <= _DRAWN else None


def _quoted(lines):
    text = "\n".join(lines).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text}"'


def _lines(node):
    head = f"{node.name} = {node.text}" if node.text else node.name
    parts = (("value", node.value), ("dot", node.dot), ("bar", node.bar))
    return [_cut(head), *[f"{what:5} {_short(x)}" for what, x in parts if x is not None]]


def _edge_lines(edge):
    if edge.derivative is None:
        return [edge.primitive]
    names = f"∂{edge.target}/∂{edge.source} = "
    return [edge.primitive, f"{names if len(names) < 20 else ''}{edge.derivative:.4g}"]


def _cut(text, most=44):
    return text if len(text) <= most else text[: most - 1] + "…"


def _short(x):
    """A number, or the shape of an array."""
    if x is None:
        return ""
    x = np.asarray(x)
    if x.ndim == 0 and x.dtype.kind in "fc":
        return f"{x[()]:.5g}"
    if x.ndim == 0:
        return str(x[()])
    return f"{x.shape}" + ("" if x.dtype == np.float64 else f" {x.dtype}")


def _call_text(primitive, operands, options):
    if primitive.name in _INFIX and len(operands) == 2:
        return f"{operands[0]} {_INFIX[primitive.name]} {operands[1]}"
    if primitive.name == "subset":
        index = options["index"] if isinstance(options["index"], tuple) else (options["index"],)
        return f"{operands[0]}[{', '.join(map(_index, index))}]"
    given = [
        f"{key}={_short(value) if isinstance(value, (np.ndarray, np.generic)) else value}"
        for key, value in options.items()
        if key != "batch_ndim" and not _same(value, primitive.defaults.get(key, inspect.Parameter.empty))
    ]
    return f"{primitive.name}({', '.join([*operands, *given])})"


def _same(a, b):
    return a is b or (type(a) is type(b) and not isinstance(a, np.ndarray) and bool(a == b))


def _index(part):
    if isinstance(part, slice):
        start, stop, step = ("" if x is None else str(x) for x in (part.start, part.stop, part.step))
        return f"{start}:{stop}" + (f":{step}" if step else "")
    return "..." if part is Ellipsis else _short(part) if isinstance(part, np.ndarray) else str(part)


class _Labels:
    """Names for the nodes, each once."""

    def __init__(self):
        self.of_slots, self.slots, self.aliases = {}, {}, {}

    def give(self, slot, label):
        if self.slots.get(label, slot) != slot:
            raise ValueError(f"graph: two quantities have the name {label!r}. Give each a name of its own.")
        self.slots[label] = slot
        if slot in self.of_slots:
            self.aliases[label] = self.of_slots[slot]
        else:
            self.of_slots[slot] = label

    def complete(self, slots):
        fresh = (f"v{i}" for i in itertools.count(1))
        for slot in slots:
            if slot not in self.of_slots:
                self.give(slot, next(label for label in fresh if label not in self.slots))


def _argument_names(f, args, names):
    if names is not None:
        names = [names] if isinstance(names, str) else list(names)
        if len(names) != len(args):
            raise ValueError(f"graph: got {len(names)} names for {len(args)} arguments.")
        return names
    if isinstance(f, Primitive):
        return [f.argument(i) for i in range(len(args))] if not f.variadic else [f"x{i}" for i in range(len(args))]
    try:
        parameters = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # a function of NumPy's
        parameters = ()
    found = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [found[i] if i < len(found) else f"x{i + 1}" for i in range(len(args))]


def _is_array(x, path):
    elsewhere = differentiated_elsewhere(x)
    if elsewhere is not None:
        raise TypeError(f"graph: argument {path} is {elsewhere}")
    if type(x) is Traced:
        raise TypeError(
            "graph: an argument is an array whose derivative is being traced, by a sweep around the graph. A graph is "
            "of numbers: make it outside of the function."
        )
    library = known_front(x)
    if library is not None and library is not NUMPY and library.swept:
        raise TypeError(f"graph: an argument is an array of {library.name}. A graph is of numbers: compute it first.")
    return isinstance(x, (float, complex)) or (isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fc")


def _given(what, seeds, values, one):
    """The dots of the arguments or the bars of the value, as a list; None where none are known."""
    if seeds is None:
        only = len(values) == 1 and np.shape(values[0]) == () and values[0].dtype.kind != "c"
        return [np.ones_like(values[0])] if only else None
    seeds = seeds if isinstance(seeds, (tuple, list)) else (seeds,)
    if len(seeds) != len(values):
        raise TypeError(f"graph: got {len(seeds)} {what} for {len(values)} {one}. Give one for each, or None.")
    found = []
    for i, (seed, value) in enumerate(zip(seeds, values, strict=True)):
        if seed is not None:
            seed = np.asarray(seed, value.dtype)
            if seed.shape != value.shape:
                raise NUMPY.ShapeError(f"graph: {what} {i} has shape {seed.shape}, and its array {value.shape}.")
        found.append(seed)
    return found


def graph(
    f: Callable[..., Any],
    *args: Any,
    dots: Any = None,
    bars: Any = None,
    names: Sequence[str] | str | None = None,
) -> Graph:
    """The graph of a computation: each quantity with its value, its dot and its bar.

    Parameters
    ----------
    f : callable
        A function built from primitives. Within it, `overbar.name` gives names to quantities; others are called v1, v2
        and so on.
    *args : arrays, numbers, and containers of them
        Where to compute it.
    dots : array or sequence of arrays, optional
        The tangents of the arguments, one for each array in them, None where it does not move. By default 1 if there is
        one argument, a number; otherwise there are no dots.
    bars : array or sequence of arrays, optional
        The bars of the value, one for each array in it. By default 1 if it is one real number; otherwise there are no
        bars.
    names : sequence of str, optional
        The names of the arguments, by default those that f has for them.

    Returns
    -------
    Graph
        ``g["v"].value``, ``.dot`` and ``.bar`` are those of a quantity. It prints as a table; a notebook shows a
        drawing; `graphviz` is source for Graphviz; `edges` are the dependencies, with the local derivatives between
        numbers; `operations` counts what both modes cost.

    Raises
    ------
    ValueError
        Two quantities have the same name; the value does not depend on the arguments.
    TypeError
        Dots or bars are not as many as the arrays; the graph is made within a sweep.

    Notes
    -----
    For looking at: all dots and bars are kept. Sources: the forward and the reverse sweep of Giles (2008), section 2,
    and Murray's lecture note on backpropagation, whose example this is.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> def f(u):
    ...     v = overbar.name(u**2, "v")
    ...     w, x = overbar.name(np.sin(v), "w"), overbar.name(np.log(v), "x")
    ...     y = overbar.name(w * x, "y")
    ...     return overbar.name(np.exp(y), "z")
    >>> g = overbar.graph(f, 1.5)
    >>> print(g)
    name  computed as  value    dot       bar
    u                  1.5      1         -0.92239
    v     u ** 2       2.25     3         -0.30746
    w     sin(v)       0.77807  -1.8845   1.5241
    x     log(v)       0.81093  1.3333    1.4623
    y     w * x        0.63096  -0.49078  1.8794
    z     exp(y)       1.8794   -0.92239  1
    >>> g.operations
    Operations(forward=6, reverse=6)
    """
    leaves = Leaves(_is_array)
    args = [float(x) if type(x) is int else x for x in args]
    builders = [leaves.collect(x, label) for x, label in zip(args, _argument_names(f, args, names), strict=True)]
    labels = _Labels()
    for slot, path in enumerate(leaves.paths, 1):
        labels.give(slot, path)

    def function(*arrays):
        result = f(*[build(Given(arrays)) for build in builders])
        found = Leaves(lambda entry, path: type(entry) is Traced)
        found.collect(result, "")
        return tuple(found.values)

    named = []
    token = _named.set(named)
    try:
        arrays, outputs, _, tape = trace(function, leaves.values)
    finally:
        _named.reset(token)
    slots = [x.slot for x in outputs if x.tape is tape]
    if not slots:
        raise ValueError("graph: the value of the function does not depend on its arguments.")
    for x, label in named:
        while type(x) is Traced and x.tape is not tape:
            x = x.value
        if type(x) is Traced:
            labels.give(x.slot, label)
    return _built(arrays, slots, tape, labels, dots, bars)


def _built(arrays, slots, tape, labels, dots, bars):
    """The graph of what is written down on a tape."""
    used = {slot for _, inputs, *_ in tape.calls for slot in inputs} | set(slots) | labels.of_slots.keys()
    values = dict(enumerate(arrays, 1))
    for primitive, _, _, made, outs, *_ in tape.calls:
        for i, (slot, out) in enumerate(zip(made, outs, strict=True)):
            if i < primitive.public or slot in used:  # others are intermediates that only the rules see
                values[slot] = bare(without_constants(out))
    labels.complete(values)
    of = labels.of_slots

    dots = _given("dots", dots, arrays, "arrays in the arguments")
    tangents = None if dots is None else push_along(tape, dots)
    bars = _given("bars", bars, [values[slot] for slot in slots], "arrays in the value")
    cotangents = None if bars is None else pull_along(tape, slots, bars, keep=True)

    def derivative(found, slot):
        if found is None or values[slot].dtype.kind not in "fc":
            return None
        return (np.zeros_like(values[slot]) if found[slot] is None else np.asarray(found[slot]))[()]

    def node(slot, text="", primitive=None):
        return Node(
            of[slot], text, primitive, values[slot][()], derivative(tangents, slot), derivative(cotangents, slot)
        )

    sources = range(1, len(arrays) + 1)
    nodes, edges = [node(slot) for slot in sources], []
    for call in tape.calls:
        primitive, inputs, in_values, made, _, options, _ = call
        operands = [
            (_short(bare(value)) if np.size(bare(value)) == 1 else f"array{np.shape(bare(value))}")
            if slot is None
            else of[slot]
            for slot, value in zip(inputs, in_values, strict=True)
        ]
        text = _call_text(primitive, operands, options)
        shown = [(i, slot) for i, slot in enumerate(made) if slot in values]
        for i, slot in shown:
            nodes.append(node(slot, text if len(shown) == 1 else f"{text}[{i}]", primitive.name))
        for k, source in enumerate(inputs):
            if source is not None:
                local = _local_derivatives(call, k)
                edges += [Edge(of[source], of[slot], primitive.name, local[i]) for i, slot in shown]
    return Graph(nodes, edges, [of[slot] for slot in sources], [of[slot] for slot in slots], labels.aliases)


def _local_derivatives(call, k):
    """∂output/∂array for each output of a call that is a real number, of its k-th array if that is one; None for
    others."""
    _, _, arrays, _, outputs, *_ = call
    single = [x.ndim == 0 and x.dtype.kind == "f" for x in (arrays[k], *outputs)]
    if not single[0] or not any(single[1:]):
        return [None] * len(outputs)
    dots = [np.ones_like(A) if i == k else None for i, A in enumerate(arrays)]
    found = push_call(call, dots, nested=False)
    return [float(x) if one and x is not None else None for x, one in zip(found, single[1:], strict=True)]
