"""Graphs of tasks on the chunks of arrays, by hand.

May import NumPy and Dask. A task is named by its array and the place of its chunk, and so is what it
depends on; what nobody asks for is never computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import dask.array as da
import numpy as np
from dask.base import tokenize
from dask.highlevelgraph import HighLevelGraph

from dask_ops._internals import Alias, Ref, Task

__all__ = ["Alias", "Ref", "Task", "array", "in_words", "named", "refuse_unknown", "summed", "zeros"]

#: how many terms of a sum a task adds
FAN = 8


def named(what: str, *of: Any) -> str:
    """A name for an array: the same for the same computation of the same arrays."""
    return f"{what}-{tokenize(*[x.name if isinstance(x, da.Array) else x for x in of])}"


def array(name: str, tasks: Iterable[Any], of: Sequence[da.Array], chunks: Any, dtype: Any) -> da.Array:
    """An array whose chunks are computed by tasks, from arrays."""
    graph = HighLevelGraph.from_collections(name, {task.key: task for task in tasks}, dependencies=of)
    return da.Array(graph, name, chunks=chunks, meta=np.empty((0,) * len(chunks), dtype))


def zeros(name: str, i: int, j: int, shape: tuple[int, int], dtype: Any) -> Task:
    """The task of a tile of zeros."""
    return Task((name, i, j), np.zeros, shape, dtype)


def _sum(take, *terms):
    total = take(terms[0]) if len(terms) == 1 else take(terms[0]) + take(terms[1])
    for x in terms[2:]:
        total += take(x)
    return total


def _itself(x):
    return x


def summed(name: str, key: Any, terms: Sequence[Any], take: Any = _itself) -> list[Task]:
    """Tasks that add ``take(x)`` of what references give, as a tree in a fixed order, and put the sum under a key."""
    tasks: list[Task] = []
    level = 0
    while len(terms) > FAN:
        found = []
        for start in range(0, len(terms), FAN):
            tasks.append(Task((f"{name}-sum", *key[1:], level, start), _sum, take, *terms[start : start + FAN]))
            found.append(Ref(tasks[-1].key))
        terms, level, take = found, level + 1, _itself
    return [*tasks, Task(key, _sum, take, *terms)]


def in_words(chunks: tuple[tuple[int, ...], ...]) -> str:
    """The chunks of an array for a message: (2, 2, 1) as they are, and many as 40 of at most 500."""
    return " by ".join([str(sizes) if len(sizes) <= 3 else f"{len(sizes)} of {max(sizes)}" for sizes in chunks])


def refuse_unknown(A: da.Array, error: Any) -> None:
    """Raise where the sizes of an array's chunks are not known."""
    if any(math.isnan(size) for size in A.shape):
        raise error(
            f"got a Dask array of shape {A.shape}: the sizes of its chunks are not known. Let Dask compute them, "
            "A.compute_chunk_sizes()."
        )
