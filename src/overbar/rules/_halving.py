"""Where the rules of factorisations cut a large matrix in two.

May import `overbar._namespace` and `overbar._settings`. A rule for the whole matrix at once takes a few calls of the
library, but multiplies what is triangular as if it were full; one for two halves of the matrix, which are halved again,
takes as few flops as can be, nearly all in products.
"""

from overbar._namespace import front, namespace
from overbar._settings import stored

# Up to this size, on a CPU, one rule on the whole matrix is faster than two halves and the products that join them. A
# multiple of 24, as the kernels of BLAS for wide vectors take products by 24 rows: those of blocks of 64 or 128 are
# slower.
BASE = 72

# The same on other devices: an estimate, as each step there takes some ten microseconds to start. `overbar tune`
# measures both on the machine at hand, and what it has stored is taken instead.
BASE_ON_DEVICE = 512

# How often a matrix whose size is not known is halved.
DEPTH = 3


def by_size(halved, *arrays):
    """``halved(*arrays)``, which for large matrices is a step of its own (`Front.as_one`), with memory `out` to write
    into. Where the size is not known while a graph is built, the graph has the whole matrix at once, the depth 0, and
    a fixed one."""
    n, size = arrays[0].shape[-1], base(arrays[0])
    if n is not None and n <= size:
        return halved(*arrays, depth=0)
    library = front(arrays[0])
    if n is None:
        small = library.xp.minimum(*library.xp.shape(arrays[0])[-2:]) <= 2 * size
        return library.if_else(small, lambda: halved(*arrays, depth=0), lambda: halved(*arrays, depth=DEPTH))
    return library.as_one(halved, *arrays)


def base(A):
    """The size up to which a rule takes matrices like A whole."""
    device = front(A).device_type(A)
    return stored().get(device) or (BASE if device == "cpu" else BASE_ON_DEVICE)


def split_at(A, depth):
    """Where to halve a matrix, None where it stays whole, and the depth of the halves."""
    if depth is not None:
        return (namespace(A).shape(A)[-1] // 2, depth - 1) if depth else (None, None)
    return half(A.shape[-1], base(A)), None


def half(n, base):
    """Where to halve a matrix of order n, None where it stays whole: the smallest base · 2ʲ that is at least half of n,
    which keeps the blocks aligned."""
    if n <= base:
        return None
    k = base
    while 2 * k < n:
        k *= 2
    return k
