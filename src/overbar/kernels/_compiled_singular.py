"""Loops for the singular values and vectors of many small real matrices. May import NumPy, and `compiled` and
`compiled_lanes` of the kernels.

Eight matrices are computed side by side, by vectors, as in `compiled_eigen`. `small_svd` has the algorithm.
"""

import numpy as np

from overbar.kernels._compiled import compiled
from overbar.kernels._compiled_lanes import (
    LANES,
    any_positive,
    constant,
    identity,
    in_order,
    less_product,
    load,
    minus,
    modulus,
    over,
    plus,
    plus_product,
    quotient,
    read_whole,
    root,
    scaled,
    store,
    times,
    where_larger,
)

#: Sweeps over all pairs of columns for the slowest of eight matrices. (Five to nine are usual.)
MOST_SWEEPS = 40


@compiled
def rotate(V, p, q, s, tau):
    """Rows p and q of a tile, rotated by the angle with this sine, and τ = sin/(1 + cos): what rounding adds is as
    small as the angle."""
    for i in range(V.shape[1]):
        x, y = load(V, p, i), load(V, q, i)
        store(V, p, i, less_product(x, s, plus_product(y, tau, x)))
        store(V, q, i, plus_product(y, s, less_product(x, tau, y)))


@compiled
def orthogonal(G, V):
    """Rotations of pairs of rows of G until these are orthogonal to each other, of V with them. False where that does
    not come to an end."""
    n, m, _ = G.shape
    eps = np.finfo(G.dtype).eps
    zero, one, two = constant(0, G.dtype), constant(1, G.dtype), constant(2, G.dtype)
    least, bound = constant(eps**4, G.dtype), constant(m**0.5 * eps, G.dtype)
    huge, half, place = constant(1 / eps, G.dtype), G.dtype.type(0.5), np.empty((1, 1, LANES), G.dtype)
    for _ in range(MOST_SWEEPS):
        worst = zero
        for p in range(n - 1):
            for q in range(p + 1, n):
                a, b, both = zero, zero, zero
                for i in range(m):
                    x, y = load(G, p, i), load(G, q, i)
                    a, b, both = plus_product(a, x, x), plus_product(b, y, y), plus_product(both, x, y)
                # what is beside the largest entry as the square of rounding is nothing, and no square underflows
                product = times(root(where_larger(a, least, a, zero)), root(where_larger(b, least, b, zero)))
                left = where_larger(product, zero, less_product(modulus(both), bound, product), zero)
                worst = where_larger(left, worst, left, worst)
                zeta = quotient(minus(b, a), times(two, both))
                t = over(G.dtype.type(1), plus(modulus(zeta), root(plus_product(one, zeta, zeta))))
                t = where_larger(modulus(zeta), huge, over(half, modulus(zeta)), t)  # whose square may overflow
                t = where_larger(zero, zeta, minus(zero, t), t)
                t = where_larger(left, zero, t, zero)
                c = over(G.dtype.type(1), root(plus_product(one, t, t)))
                s = times(c, t)
                tau = quotient(s, plus(one, c))
                rotate(G, p, q, s, tau)
                rotate(V, p, q, s, tau)
        if not any_positive(worst, place):
            return True
    return False


@compiled
def normalise(G, norms):
    """The rows of a tile, in place, over their norms, which become `norms`; as they are where those are nothing."""
    n, m, _ = G.shape
    zero, one, least = constant(0, G.dtype), constant(1, G.dtype), constant(np.finfo(G.dtype).eps ** 4, G.dtype)
    for j in range(n):
        square = zero
        for i in range(m):
            x = load(G, j, i)
            square = plus_product(square, x, x)
        norm = root(square)
        inverse = over(G.dtype.type(1), where_larger(square, least, norm, one))
        store(norms, 0, j, norm)
        for i in range(m):
            store(G, j, i, times(load(G, j, i), inverse))


@compiled
def complete(U, known):
    """The columns of an m by n matrix, in place, that are not known, orthonormal to the others."""
    m, n = U.shape
    rest = np.empty(m, U.dtype)
    for j in range(n):
        if known[j]:
            continue
        # the unit vector that has most outside of the others
        best, most = 0, -1.0
        for i in range(m):
            outside = 1.0
            for k in range(n):
                if known[k]:
                    outside -= U[i, k] * U[i, k]
            if outside > most:
                best, most = i, outside
        rest[:] = 0
        rest[best] = 1
        for _ in range(3):
            for k in range(n):
                if known[k]:
                    inner = U.dtype.type(0)
                    for i in range(m):
                        inner += U[i, k] * rest[i]
                    for i in range(m):
                        rest[i] -= inner * U[i, k]
            norm = U.dtype.type(0)
            for i in range(m):
                norm += rest[i] * rest[i]
            norm = np.sqrt(norm)
            for i in range(m):
                rest[i] /= norm
        for i in range(m):
            U[i, j] = rest[i]
        known[j] = True


@compiled
def orient(U, Vh, part, by_right):
    """Columns of U and rows of Vᴴ, in place, with the signs that make positive, of the components of a column of U that
    are no smaller than this part of the largest, the first; or with `by_right`, of a row of Vᴴ."""
    n = len(Vh)
    vectors = Vh if by_right else U.T
    for j in range(n):
        size, first = vectors.dtype.type(0), vectors.dtype.type(0)
        for i in range(vectors.shape[1]):
            size = max(size, abs(vectors[j, i]))
        for i in range(vectors.shape[1] - 1, -1, -1):
            if abs(vectors[j, i]) >= part * size:
                first = vectors[j, i]
        if first < 0:
            for i in range(len(U)):
                U[i, j] = -U[i, j]
            for i in range(n):
                Vh[j, i] = -Vh[j, i]


@compiled
def singular_vectors(A, part, by_right, U, S, Vh, failed):
    """U, S and Vᴴ of at least eight matrices (m, n), m ≥ n. `part` and `by_right` are those of `orient`. `failed`
    becomes 1 where a matrix is not finite, or its iteration does not end."""
    count, m, n = A.shape
    dtype, eps = A.dtype, np.finfo(A.dtype).eps
    G, V, norms = np.zeros((n, m, LANES), dtype), np.zeros((n, n, LANES), dtype), np.zeros((1, n, LANES), dtype)
    scales, bad = np.zeros(LANES, dtype), np.zeros(LANES, np.bool_)
    order, known = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    for first in range(0, count, LANES):
        first = min(first, count - LANES)
        read_whole(A, first, G)
        scaled(G, False, scales, bad)
        identity(V)
        ended = orthogonal(G, V)
        normalise(G, norms)
        for lane in range(LANES):
            in_order(norms, lane, order)
            whole = True
            for j in range(n):
                k = order[n - 1 - j]
                x = norms[0, k, lane]
                known[j] = x * x > eps**4
                whole &= known[j]
                S[first + lane, j] = x * scales[lane]
                for i in range(m):
                    U[first + lane, i, j] = G[k, i, lane]
                for i in range(n):
                    Vh[first + lane, j, i] = V[k, i, lane]
            if not whole:
                complete(U[first + lane], known)
            orient(U[first + lane], Vh[first + lane], part, by_right)
            failed[first + lane] = bad[lane] or not ended
