"""What the compiled loops over many small matrices share: where they are taken, and how they take a stack.

May import NumPy and `compiled` of the kernels.
"""

import math

import numpy as np

from overbar.kernels import _compiled

#: The largest matrices for which the loops are faster than LAPACK, products and triangular solves, and the fewest
#: numbers for which that is worth a compiler.
LARGEST, FEWEST = 64, 4096

#: So many numbers are one part of the work of a thread.
PART = 2**16


def for_loops(A, matrices=1, numbers=FEWEST):
    """Whether compiled loops can take a stack of so many matrices and numbers or more, and are faster than words.

    Never where a size is not known yet, or a symbol of a compiler: there no loop can be taken, and to compare a symbol
    with a number would bind the graph to one side of it."""
    shape = A.shape
    if len(shape) < 3:
        return False
    for size in shape:
        if type(size) is not int:
            return False
    if not 0 < max(shape[-2:]) <= LARGEST:
        return False
    if math.prod(shape) < numbers or math.prod(shape[:-2]) < matrices:
        return False
    if not getattr(A.dtype, "isnative", True):  # of NumPy's arrays, whose bytes may stand in the other order
        return False
    dtype = getattr(A.dtype, "name", str(A.dtype))
    return dtype.endswith(("float32", "float64")) and _compiled.available()


def by_parts(compute, A, least, threads, shared):
    """``compute(first, end)`` for all matrices of the stack A, at least so many at a time; by several threads from
    `shared` numbers on."""
    count, m, n = A.shape
    step = count if threads == 1 or A.size < shared else max(least, PART // (m * n))

    def part(first):
        end = min(first + step, count)
        compute(min(first, end - least), end)

    _compiled.in_parts(part, count, step, threads)


def filled(least, *stacks):
    """The stacks, the last matrix repeated where there are fewer than that."""
    count = len(stacks[0])
    return [A if count >= least else np.concatenate([A, *[A[-1:]] * (least - count)]) for A in stacks]


def rows(A):
    """A stack without gaps, and whether it has the transposes: those of a transposed stack are there already."""
    turned = A.mT
    if turned.flags.c_contiguous and not A.flags.c_contiguous:
        return turned, True
    return np.ascontiguousarray(A), False
