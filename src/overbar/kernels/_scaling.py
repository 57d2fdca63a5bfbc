"""How often the argument of an exponential is halved before its power series is taken.

May import NumPy, `overbar._jets` and `kernel`. In the words of a framework the norms of twenty powers cost more than
the products of a matrix of medium size.
"""

import numpy as np

from overbar._jets import SMALL, halvings, norm_of_no_halving, run_norms
from overbar.kernels._kernel import kernel


@kernel("(n,n)->()", "r", stacked=True)
def halvings_on_host(A, *, order: int):
    """`halvings` of stacks of matrices."""
    largest = np.abs(A).sum(axis=-2).max(initial=0)
    if largest <= norm_of_no_halving(order):
        return np.zeros(len(A))
    with np.errstate(divide="ignore", invalid="ignore"):  # of a matrix of zeros, or one that is not finite
        return halvings(A, order, _norms_at_once)


def _norms_at_once(xp, A, lengths):
    """`run_norms`, in a fifth of the operations where no number leaves the range.

    The powers are those of A/‖A‖₁, which bound each other: what has become too small for a number would add no more
    than that to a norm, and is nothing beside one that is much larger."""
    A = np.abs(A).astype(np.float64)
    v = A.sum(axis=-2, keepdims=True)
    largest = v.max(axis=-1, keepdims=True)
    B, v = A / largest, v / largest
    if A.shape[-1] <= SMALL:
        rows = _by_binary_powers(v, B, lengths)
    else:
        rows, first = [], 1
        for j in lengths:
            for _ in range(j - first):
                v = v @ B
            rows.append(v)
            first = j
    norms = [row.max(axis=-1)[:, 0] for row in rows]
    if not np.min(norms) > 1e-280:  # or NaN, where A is not finite
        return run_norms(xp, A, lengths)
    largest = np.log2(largest[:, 0, 0])
    return [j * largest + np.log2(norm) for j, norm in zip(lengths, norms, strict=True)]


def _by_binary_powers(v, B, lengths):
    """v Bʲ⁻¹ for the lengths j, in fewer products."""
    powers = [B]
    while 2 ** len(powers) < lengths[-1]:
        powers.append(powers[-1] @ powers[-1])
    rows = []
    for j in lengths:
        row = v
        for i, power in enumerate(powers):
            if (j - 1) >> i & 1:
                row = row @ power
        rows.append(row)
    return rows
