"""Where the rules of factorisations cut a large matrix in two.

May import `overbar._namespace`. A rule for the whole matrix at once takes a few calls of the library, but multiplies
what is triangular as if it were full; one for two halves of the matrix, which are halved again, takes as few flops as
can be, nearly all in products.
"""

from overbar._namespace import namespace

# Below this size one rule on the whole matrix is faster than two halves and the products that join them.
BASE = 128

# How often a matrix whose size is not known is halved.
DEPTH = 3


def by_size(A, n, halved):
    """``halved(depth)`` for a matrix with n rows, with the depth None. A size that is not known while a graph is built
    (None) gets the depth 0, the whole matrix at once, and a fixed one, and chooses between the two later."""
    if n is not None:
        return halved(None)
    xp = namespace(A)
    return xp.if_else(xp.minimum(*xp.shape(A)[-2:]) <= 2 * BASE, lambda: halved(0), lambda: halved(DEPTH))


def is_small(n, depth):
    """Whether a matrix with n rows stays whole. If not, the rule asks for `Namespace.buffer` before `split_at`: a
    compiler of PyTorch stops there, and makes one node of the rule, in place of a graph for each number of blocks."""
    return n <= BASE if depth is None else depth == 0


def split_at(n, depth):
    """Where to halve a matrix with n rows, and the depth of the halves."""
    if depth is not None:
        return n // 2, depth - 1
    k = BASE  # the smallest BASE · 2ʲ that is at least half of n, which keeps the blocks aligned
    while 2 * k < n:
        k *= 2
    return k, None
