"""Whether a task's chunks fit into a worker's memory: said by an error before the worker is killed for it.

May import what `dask_ops._internals` names. A worker of Dask that takes more than its share is killed and started again
by the process that watches over it, and its task is tried on the next one. After a few such deaths the user gets a
`KilledWorker`, which names neither memory nor chunks. A task that cannot fit on any such worker says so itself.
"""

from __future__ import annotations

import math

from dask_ops._internals import memory_of_worker

__all__ = ["enough"]

#: what Python, NumPy, SciPy and Dask take of a worker's memory before there is any chunk, in bytes, at least
OWN = 100e6


def enough(needs: int, shape: tuple[int, ...]) -> None:
    """Raise MemoryError where a task needs more bytes, for what it is given and what it gives, than this worker may
    have. `shape` is that of the largest chunk: what is to be made smaller."""
    limit = memory_of_worker()
    if limit is None or needs <= limit - OWN:
        return
    limit = max(limit - OWN, 0)
    # of such chunks there is room for some thirty: tasks that follow take more of them
    there = ", ".join(str(max(1, int(size * math.sqrt(limit / needs) / 4))) for size in shape[-2:])
    raise MemoryError(
        f"chunks of shape {shape} are too large for this worker: a task takes {needs / 1e6:,.0f} MB, for those that it "
        f"is given and what it makes of them, and the worker has {limit / 1e6:,.0f} MB beside what it is itself. Take "
        f"smaller chunks, such as ({there}) in the last dimensions, or give the workers more memory."
    )
