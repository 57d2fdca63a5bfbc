"""A drawing of a graph in layers, as SVG.

May import nothing of overbar. The text has a fixed width for each character, so that boxes are known to hold it. What
is written on an edge is an item of a layer of its own, and an edge that passes a layer has a place there, too: nothing
can lie upon anything else.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

__all__ = ["drawn"]

_SIZE, _CHARACTER, _LINE = 13, 7.9, 17  # of the text, in pixels
_PAD, _GAP, _ROW_GAP = 8, 22, 26
_FILLS = {"": "#ffffff", "input": "#d8ecf8", "output": "#fde8c8"}
_GREY = "#7a7a7a"  # of what lies on the ground, whether that is white or black
_FONT = "DejaVu Sans Mono, Menlo, Consolas, monospace"
_SWEEPS = 12


class _Item:
    """A box, what is written on an edge, or the place where an edge passes a layer."""

    def __init__(self, layer, lines=(), kind="passing", weight=1.0):
        self.layer, self.lines, self.kind, self.weight = layer, lines, kind, weight
        self.width = max((len(line) for line in lines), default=0) * _CHARACTER + (2 * _PAD if lines else 0)
        self.height = len(lines) * _LINE + (_PAD if lines else 0)
        self.above, self.below = [], []
        self.x = self.y = self.position = self.rank = 0.0


def drawn(nodes: list[tuple[str, list[str], str]], edges: list[tuple[str, str, list[str]]]) -> str:
    """An SVG of nodes (a name, lines of text, a kind) and edges (two names, lines of text), from above to below. The
    nodes are in an order in which edges lead onwards."""
    layers, chains = _layered(nodes, edges)
    _order(layers)
    _place(layers)
    tops = [layer[0].y - max(item.height for item in layer) / 2 for layer in layers]
    bottoms = [layer[0].y + max(item.height for item in layer) / 2 for layer in layers]
    items = [item for layer in layers for item in layer]
    left = min(item.x - item.width / 2 for item in items) - _PAD
    width = max(item.x + item.width / 2 for item in items) + _PAD - left
    height = bottoms[-1] + _PAD
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{left:.1f} 0 {width:.1f} {height:.1f}" style="max-width: 100%; height: auto" '
        f'font-family="{_FONT}" font-size="{_SIZE}">',
        "<title>The graph of a computation</title>",
    ]
    for chain in chains:
        x, y = chain[-1].x, chain[-1].y - chain[-1].height / 2
        parts.append(f'<path d="{_path(chain, tops, bottoms)}" fill="none" stroke="{_GREY}" stroke-width="1.5"/>')
        parts.append(f'<path d="M{x:.1f},{y:.1f} l-4,-8 h8 z" fill="{_GREY}"/>')
    parts += [_box(item) for item in items if item.lines]
    return "\n".join([*parts, "</svg>"])


def _layered(nodes, edges):
    """The items by layer, boxes in every second one, and for each edge the items that it leads through."""
    sources: dict[str, list[str]] = {name: [] for name, *_ in nodes}
    for source, target, _ in edges:
        sources[target].append(source)
    depth: dict[str, int] = {}
    for name, *_ in nodes:
        depth[name] = max((depth[source] + 1 for source in sources[name]), default=0)
    for name in sources:  # what is not computed stands just above where it is used first
        if not sources[name]:
            depth[name] = min((depth[target] - 1 for source, target, _ in edges if source == name), default=0)
    layers: list[list[Any]] = [[] for _ in range(2 * max(depth.values()) + 1)]
    boxes = {}

    def put(item):
        layers[item.layer].append(item)
        return item

    for name, lines, kind in nodes:
        # arguments stand beside what is computed, and do not draw it to their side
        boxes[name] = put(_Item(2 * depth[name], lines, kind, 1.0 if sources[name] else 0.05))
    chains = []
    for source, target, lines in edges:
        first, last = boxes[source], boxes[target]
        between = [put(_Item(i, weight=first.weight)) for i in range(first.layer + 1, last.layer - 1)]
        chain = [first, *between, put(_Item(last.layer - 1, lines, "edge", first.weight)), last]
        for a, b in pairwise(chain):
            a.below.append(b)
            b.above.append(a)
        chains.append(chain)
    return layers, chains


def _order(layers):
    """Sort each layer by the middle of the neighbours in the layer before, downwards and upwards in turns."""
    for layer in layers:
        for i, item in enumerate(layer):
            item.position = i - (len(layer) - 1) / 2
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            for item in layer:
                near = item.above if sweep % 2 == 0 else item.below
                item.rank = sum(other.position for other in near) / len(near) if near else item.position
            layer.sort(key=lambda item: item.rank)
            for i, item in enumerate(layer):
                item.position = i - (len(layer) - 1) / 2


def _place(layers):
    y = float(_PAD)
    for layer in layers:
        height = max(item.height for item in layer)
        x = 0.0
        for item in layer:
            item.y = y + height / 2
            item.x = x + item.width / 2
            x += item.width + _GAP
        for item in layer:
            item.x -= x / 2
        y += height + _ROW_GAP
    for sweep in range(_SWEEPS):
        for layer in layers if sweep % 2 == 0 else reversed(layers):
            near = [(item.above if sweep % 2 == 0 else item.below) or item.above or item.below for item in layer]
            wanted = [
                sum(other.x * other.weight for other in some) / sum(other.weight for other in some) if some else item.x
                for item, some in zip(layer, near, strict=True)
            ]
            apart = [(a.width + b.width) / 2 + _GAP for a, b in pairwise(layer)]
            from_left, from_right = wanted[:], wanted[:]
            for i, gap in enumerate(apart):
                from_left[i + 1] = max(wanted[i + 1], from_left[i] + gap)
            for i, gap in reversed([*enumerate(apart)]):
                from_right[i] = min(wanted[i], from_right[i + 1] - gap)
            for item, a, b in zip(layer, from_left, from_right, strict=True):
                item.x = (a + b) / 2  # both keep the distances, and so does their mean


def _path(chain, tops, bottoms):
    """Straight down through layers, and bent between them."""
    first, last = chain[0], chain[-1]
    parts = [f"M{first.x:.1f},{first.y + first.height / 2:.1f}"]
    for a, b in pairwise(chain):
        start, end = bottoms[a.layer], tops[b.layer]
        middle = (start + end) / 2
        parts.append(f"L{a.x:.1f},{start:.1f} C{a.x:.1f},{middle:.1f} {b.x:.1f},{middle:.1f} {b.x:.1f},{end:.1f}")
    parts.append(f"L{last.x:.1f},{last.y - last.height / 2:.1f}")
    return " ".join(parts)


def _box(item):
    x, y = item.x - item.width / 2, item.y - item.height / 2
    edge = item.kind == "edge"
    fill, stroke, colour = ("#f2f2f2", "#cccccc", "#333333") if edge else (_FILLS[item.kind], "#555555", "#111111")
    parts = [
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{item.width:.1f}" height="{item.height:.1f}" rx="{8 if edge else 4}" '
        f'fill="{fill}" stroke="{stroke}"/>'
    ]
    for i, line in enumerate(item.lines):
        # the length is said, so that the text fits whichever font is there
        weight = ' font-weight="bold"' if i == 0 and not edge else ""
        parts.append(
            f'<text x="{x + _PAD:.1f}" y="{y + _PAD / 2 + (i + 0.76) * _LINE:.1f}" fill="{colour}"{weight} '
            f'xml:space="preserve" textLength="{len(line) * _CHARACTER:.1f}" lengthAdjust="spacingAndGlyphs">'
            f"{_escaped(line)}</text>"
        )
    return "".join(parts)


def _escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
