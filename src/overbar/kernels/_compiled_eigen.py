"""Loops for the eigenvalues and eigenvectors of many small real symmetric matrices. May import NumPy, and `compiled`
and `compiled_lanes` of the kernels.

Eight matrices are computed side by side, by vectors, so that all eight take the same steps. What only some of them need
is a step for the others that changes nothing: a rotation by no angle. So no matrix has other numbers beside others.
`small_eigh` has the algorithm.
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
    read,
    root,
    scaled,
    signs,
    store,
    times,
    turn,
    where_larger,
)

#: Steps of the QL iteration for each eigenvalue of the slowest of eight matrices, on average. (Two or three are usual.)
MOST_STEPS = 30


@compiled
def exchanged(T):
    """The lower triangles of a tile, in place, with rows and columns in the opposite order: mirrored at the other
    diagonal."""
    n = len(T)
    for i in range(n):
        for j in range(min(i + 1, n - 1 - i)):
            x, y = load(T, i, j), load(T, n - 1 - j, n - 1 - i)
            store(T, i, j, y)
            store(T, n - 1 - j, n - 1 - i, x)


@compiled
def backwards(V, k):
    """Row k of a tile, in place, in the opposite order."""
    n = V.shape[1]
    for i in range(n // 2):
        x, y = load(V, k, i), load(V, k, n - 1 - i)
        store(V, k, i, y)
        store(V, k, n - 1 - i, x)


@compiled
def tridiagonal(T, d, e, h, p):
    """The tridiagonal form of a tile of matrices, of whose lower triangles nothing else remains but Householder's
    vectors v, below its diagonals: d, e, and h = 2/vᵀv, 0 where there is nothing to reflect."""
    n, one, eps = len(T), T.dtype.type(1), np.finfo(T.dtype).eps
    zero, least = constant(0, T.dtype), constant(eps**4, T.dtype)
    for k in range(n - 2):
        below = zero
        for i in range(k + 2, n):
            x = load(T, i, k)
            below = plus_product(below, x, x)
        alpha = load(T, k + 1, k)
        norm = root(plus_product(below, alpha, alpha))
        beta = where_larger(alpha, zero, minus(zero, norm), norm)
        inverse = over(one, times(norm, plus(norm, modulus(alpha))))
        inverse = where_larger(below, least, inverse, zero)
        beta = where_larger(below, least, beta, alpha)
        store(d, 0, k, load(T, k, k))
        store(e, 0, k, beta)
        store(h, 0, k, inverse)
        store(T, k + 1, k, minus(alpha, beta))
        # p = A v, of which the lower triangle is there
        for i in range(k + 1, n):
            v, total = load(T, i, k), zero
            for j in range(k + 1, i):
                a = load(T, i, j)
                total = plus_product(total, a, load(T, j, k))
                store(p, 0, j, plus_product(load(p, 0, j), a, v))
            store(p, 0, i, plus_product(total, load(T, i, i), v))
        inner = zero
        for i in range(k + 1, n):
            x = times(load(p, 0, i), inverse)
            inner = plus_product(inner, x, load(T, i, k))
            store(p, 0, i, x)
        inner = times(times(inner, inverse), constant(0.5, T.dtype))
        # A less v wᵀ + w vᵀ for w = p − (pᵀv/vᵀv) v
        for i in range(k + 1, n):
            v = load(T, i, k)
            w = less_product(load(p, 0, i), inner, v)
            store(p, 0, i, w)
            for j in range(k + 1, i + 1):
                a = less_product(load(T, i, j), v, load(p, 0, j))
                store(T, i, j, less_product(a, w, load(T, j, k)))
    for k in range(max(n - 2, 0), n):
        store(d, 0, k, load(T, k, k))
    if n > 1:
        store(e, 0, n - 2, load(T, n - 1, n - 2))
    store(e, 0, n - 1, zero)


@compiled
def reflections(T, h, V):
    """Vᵀ for the product V of the reflections, the last one first."""
    n = len(T)
    zero = constant(0, T.dtype)
    identity(V)
    for k in range(n - 3, -1, -1):
        inverse = load(h, 0, k)
        for i in range(k + 1, n):
            total = zero
            for j in range(k + 1, n):
                total = plus_product(total, load(T, j, k), load(V, i, j))
            total = times(total, inverse)
            for j in range(k + 1, n):
                store(V, i, j, less_product(load(V, i, j), total, load(T, j, k)))


@compiled
def negligible(d, e, i, eps, least):
    """How large eᵢ is beside what can be neglected: not positive where it can be."""
    size = plus(modulus(load(d, 0, i)), modulus(load(d, 0, i + 1)))
    return minus(modulus(load(e, 0, i)), plus_product(least, eps, size))


@compiled
def diagonal(d, e, V):
    """The QL iteration with Wilkinson's shifts: d becomes the eigenvalues, and the rows of V are rotated with it. False
    where it does not converge."""
    n, eps = d.shape[1], np.finfo(d.dtype).eps
    zero, one, two = constant(0, d.dtype), constant(1, d.dtype), constant(2, d.dtype)
    half, least, eps = constant(0.5, d.dtype), constant(eps * eps, d.dtype), constant(eps / 2, d.dtype)
    place, steps = np.empty((1, 1, LANES), d.dtype), 0
    for l in range(n - 1):
        while True:
            left = negligible(d, e, l, eps, least)
            if not any_positive(left, place):
                break
            if steps == MOST_STEPS * n:
                return False
            steps += 1
            # the eigenvalue of the first two by two that is nearer to its first entry
            first, off = load(d, 0, l), load(e, 0, l)
            delta = times(minus(load(d, 0, l + 1), first), half)
            whole = plus(modulus(delta), root(plus_product(times(delta, delta), off, off)))
            moved = quotient(times(off, off), where_larger(whole, zero, whole, one))
            shift = minus(first, where_larger(zero, delta, minus(zero, moved), moved))
            g, s, c, p, kept = minus(load(d, 0, n - 1), shift), one, one, zero, zero
            for i in range(n - 2, l - 1, -1):
                before, kept = kept, where_larger(left, zero, negligible(d, e, i, eps, least), zero)
                off, here, above = load(e, 0, i), load(d, 0, i), load(d, 0, i + 1)
                f, b = times(s, off), times(c, off)
                r = root(plus_product(times(f, f), g, g))
                safe = where_larger(r, zero, r, one)
                s = quotient(f, safe)
                c = where_larger(r, zero, quotient(g, safe), one)
                base = minus(above, p)
                both = plus_product(times(minus(here, base), s), times(two, c), b)
                p_new = times(s, both)
                # where eᵢ is negligible, one block ends here, and the next begins with the shift
                past = where_larger(before, zero, where_larger(kept, zero, r, g), zero)
                store(e, 0, i + 1, where_larger(left, zero, past, load(e, 0, i + 1)))
                store(d, 0, i + 1, where_larger(kept, zero, plus(base, p_new), base))
                g = where_larger(kept, zero, minus(times(c, both), b), minus(here, shift))
                p = where_larger(kept, zero, p_new, zero)
                store(e, 0, i, where_larger(left, zero, where_larger(kept, zero, off, zero), off))
                sine, cosine = where_larger(kept, zero, s, zero), where_larger(kept, zero, c, one)
                s, c = where_larger(kept, zero, s, one), cosine
                for k in range(n):
                    x, y = load(V, i, k), load(V, i + 1, k)
                    store(V, i + 1, k, plus_product(times(cosine, y), sine, x))
                    store(V, i, k, less_product(times(cosine, x), sine, y))
            store(d, 0, l, minus(load(d, 0, l), p))
            store(e, 0, l, where_larger(kept, zero, g, load(e, 0, l)))
    return True


@compiled
def ordered(d, V, scales, w, vectors, first, order):
    """Eigenvalues in ascending order, and the vectors as columns, of eight matrices of stacks."""
    n = len(V)
    for lane in range(LANES):
        in_order(d, lane, order)
        for j in range(n):
            k = order[j]
            w[first + lane, j] = d[0, k, lane] * scales[lane]
            for i in range(n):
                vectors[first + lane, i, j] = V[k, i, lane]


@compiled
def eigenvectors(A, upper, part, w, vectors, failed):
    """w and V of at least eight matrices, from their lower triangles; with `upper`, from the upper ones of their
    transposes. `part` is that of `signs`. `failed` becomes 1 where a matrix is not finite, or its iteration does not
    end."""
    count, n, _ = A.shape
    T, V = np.zeros((n, n, LANES), A.dtype), np.zeros((n, n, LANES), A.dtype)
    d, e, h = np.zeros((1, n, LANES), A.dtype), np.zeros((1, n, LANES), A.dtype), np.zeros((1, n, LANES), A.dtype)
    p, scales = np.zeros((1, n, LANES), A.dtype), np.zeros(LANES, A.dtype)
    order, bad = np.zeros(n, np.int64), np.zeros(LANES, np.bool_)
    for first in range(0, count, LANES):
        first = min(first, count - LANES)
        read(A, first, T, upper, upper)
        scaled(T, True, scales, bad)
        exchanged(T)
        tridiagonal(T, d, e, h, p)
        reflections(T, h, V)
        done = diagonal(d, e, V)
        for k in range(n):
            backwards(V, k)
            turn(V, k, signs(V, k, part))
        ordered(d, V, scales, w, vectors, first, order)
        for lane in range(LANES):
            failed[first + lane] = bad[lane] or not done
