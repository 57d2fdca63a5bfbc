"""How often the argument of an exponential is halved before its power series is taken.

May import `overbar._jets` and `kernel`. In the words of a framework the norms of twenty powers cost more than the
products of a matrix of medium size.
"""

from overbar._jets import halvings
from overbar.kernels._kernel import kernel


@kernel("(n,n)->()", "r", stacked=True)
def halvings_on_host(A, *, order: int):
    """`halvings` of stacks of matrices."""
    return halvings(A, order)
