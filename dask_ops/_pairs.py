"""Covariance matrices of inputs whose rows are chunked, tile by tile, and their derivatives.

May import NumPy, Dask and `overbar`. A tile off the diagonal is the covariance of two sets of inputs, `rbf_cross` for
`rbf`, and one on the diagonal is that of one set, with the noise; the rule of a tile is NumPy's. Only the lower tiles
are computed: those above are their transposes, which somebody has to ask for. A rule keeps no tile, but computes it
again: so a covariance matrix is in memory only until it is factorised.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dask_ops._blocks import Blocks, Map, Of, Spec
from overbar.rules import REGISTRY

__all__ = ["of_pairs"]


class _Tile(NamedTuple):
    """A tile of a covariance of one set of inputs: of two sets of rows, or, where they are the same, of one."""

    own: Any
    cross: Any
    options: Any

    def __call__(self, same, X, X2, *others):
        if same:
            return Of(self.own, self.options)(same, X, *others)
        names = self.own.arguments[1:]
        kept = [A for name, A in zip(names, others, strict=True) if name in self.cross.arguments]
        return Of(self.cross, self.options)(same, X, X2, *kept)


def _cross_of(primitive):
    """The function of two sets of inputs that belongs to one of one set; None where there is none."""
    cross = REGISTRY.get(f"{primitive.name}_cross")
    if cross is None or REGISTRY.get(primitive.name) is not primitive:
        return None
    expected = ("X", "X2", *[name for name in primitive.arguments[1:] if name != "noise"])
    return cross if cross.arguments == expected else None


def of_pairs(primitive, arrays, options):
    """The function by tiles that a covariance function is for such arrays; None for what is none, and where the rows of
    the inputs are in one chunk."""
    cross = _cross_of(primitive)
    if cross is not None:
        sets, g = 1, _Tile(primitive, cross, options)
    elif primitive.arguments[:2] == ("X", "X2") and REGISTRY.get(primitive.name) is primitive:
        sets, g = 2, Of(primitive, options)
    else:
        return None
    inputs, others = arrays[:sets], arrays[sets:]
    if any(A.ndim != 2 for A in inputs) or all(len(A.chunks[0]) == 1 for A in inputs):
        return None
    takes, specs = [], []
    for k, A in enumerate(inputs):
        takes += [Map((i, None), k) for i in ((0, 1) if sets == 1 else (k,))]
        specs.append(Spec((A.chunks[0], (A.shape[1],)), A.dtype))
    rows = inputs[0].chunks[0]
    for name, A in zip(primitive.arguments[sets:], others, strict=True):
        core = len(primitive.signature.inputs[primitive.arguments.index(name)])
        if A.ndim != core:
            return None
        if name == "noise" and A.shape[0] == sum(rows) != 1:
            takes.append(Map((0,), len(specs)))
            specs.append(Spec((rows,), A.dtype))
        else:
            takes.append(Map((None,) * A.ndim, len(specs)))
            specs.append(Spec(tuple((n,) for n in A.shape), A.dtype))
    columns = inputs[-1].chunks[0]
    N, M = len(rows), len(columns)
    tasks = tuple((i, j) for i in range(N) for j in range(i + 1 if sets == 1 else M))
    dtype = np.result_type(*[A.dtype for A in arrays])
    gives = [Map((0, 1), 0, mirror=sets == 1)]
    return Blocks(primitive.name, g, tasks, takes, gives, (specs, [Spec((rows, columns), dtype)]))
