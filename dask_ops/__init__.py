"""overbar on Dask's arrays: matrices that no machine holds, and batches that are spread over many.

Importing it makes every primitive of overbar take arrays of `dask.array`, and `overbar.vjp`, `jvp`, `grad` and their
like, too. What comes back are such arrays, lazily: value and derivatives are one graph, which `compute()` computes.

    import dask
    import overbar
    import dask_ops

    value, bars = overbar.value_and_grad(loss)(parameters)
    value, bars = dask.compute(value, bars)
"""

try:
    import dask.array
except ImportError as error:
    raise ImportError('dask_ops needs Dask. Install it with: pip install "overbar[dask]"') from error

from dask_ops import _gp
from dask_ops._front import DASK

__all__ = ["DASK"]
