"""The reverse rule of the Cholesky decompositions of many small matrices.

May import NumPy, `compiled` and `kernel` of the kernels.
"""

import math

import numpy as np

from overbar.kernels import _compiled
from overbar.kernels._kernel import kernel

#: The largest matrices for which the loop is faster than products and triangular solves, and the fewest numbers for
#: which that is worth a compiler.
LARGEST, FEWEST = 64, 4096


def for_loops(L):
    """Whether `cholesky_cotangent` can take a stack of factors, and is faster than the rule in words."""
    shape = L.shape
    if len(shape) < 3 or None in shape or not 0 < shape[-1] <= LARGEST or math.prod(shape) < FEWEST:
        return False
    return str(L.dtype).endswith(("float32", "float64")) and _compiled.available()


@kernel("(n,n),(n,n)->(n,n)", stacked=True)
def cholesky_cotangent(L, L_bar):
    """Ā from the lower triangles of real L and L̄, each entry beside the diagonal half of the bar of both. By numba
    alone: `for_loops` says where."""
    dtype = np.result_type(L, L_bar)
    return _compiled.loops("cholesky").cotangent(*(np.ascontiguousarray(A, dtype) for A in (L, L_bar)))
