"""Loops for the Cholesky decompositions of many small real matrices. May import NumPy, and `compiled` and
`compiled_lanes` of the kernels.

Eight matrices are computed side by side, by vectors. How the loops follow from the equations is said at the kernels
that call them.
"""

import numpy as np

from overbar.kernels._compiled import compiled
from overbar.kernels._compiled_lanes import LANES, less_product, load, over, read, root, store, times, write


@compiled
def less_products(T, i, j, scale, S, R, row, begin, end):
    """T[i, j] times a scale − Σₖ S[i, k] R[row, k] for k from `begin` to `end`."""
    a = times(load(T, i, j), scale)
    for k in range(begin, end):
        a = less_product(a, load(S, i, k), load(R, row, k))
    return a


@compiled
def four_less_products(T, i, j, scale, S, R, row, begin, end):
    """The same for i and the three rows below it: what is read of R serves four."""
    a, b = times(load(T, i, j), scale), times(load(T, i + 1, j), scale)
    c, d = times(load(T, i + 2, j), scale), times(load(T, i + 3, j), scale)
    for k in range(begin, end):
        r = load(R, row, k)
        a = less_product(a, load(S, i, k), r)
        b = less_product(b, load(S, i + 1, k), r)
        c = less_product(c, load(S, i + 2, k), r)
        d = less_product(d, load(S, i + 3, k), r)
    return a, b, c, d


@compiled
def decomposition(A, upper, L, failed):
    """L of at least eight matrices, from their lower triangles; with `upper`, from the upper ones of their transposes.
    `failed` becomes 1 where there is none, or one that is not finite, and 0 elsewhere."""
    count, n, _ = A.shape
    T, zero, one = np.zeros((n, n, LANES), A.dtype), A.dtype.type(0), A.dtype.type(1)
    signs = np.zeros((1, 1, LANES), A.dtype)
    zeros, ones = load(signs, 0, 0), load(np.ones((1, 1, LANES), A.dtype), 0, 0)
    for first in range(0, count, LANES):
        first = min(first, count - LANES)
        read(A, first, T, upper, upper)
        sign = zeros  # times a pivot and its inverse: NaN if one is not finite
        for j in range(n):
            pivot = root(less_products(T, j, j, ones, T, T, j, 0, j))
            inverse = over(one, pivot)
            sign = less_product(less_product(sign, zeros, pivot), zeros, inverse)
            store(T, j, j, pivot)
            i = j + 1
            while i + 4 <= n:
                a, b, c, d = four_less_products(T, i, j, ones, T, T, j, 0, j)
                store(T, i, j, times(a, inverse))
                store(T, i + 1, j, times(b, inverse))
                store(T, i + 2, j, times(c, inverse))
                store(T, i + 3, j, times(d, inverse))
                i += 4
            while i < n:
                store(T, i, j, times(less_products(T, i, j, ones, T, T, j, 0, j), inverse))
                i += 1
            for k in range(j):
                store(T, k, j, zeros)
        write(T, L, first)
        store(signs, 0, 0, sign)
        for w in range(LANES):
            failed[first + w] = signs[0, 0, w] != zero


@compiled
def cotangent(L, upper, L_bar, upper_bar, A_bar):
    """Ā of at least eight matrices from the lower triangles of L and L̄; `upper`, `upper_bar`: from the upper ones of
    their transposes."""
    count, n, _ = L.shape
    C, S = np.zeros((n, n, LANES), L.dtype), np.zeros((n, n, LANES), L.dtype)
    one, halves = L.dtype.type(1), load(np.full((1, 1, LANES), 0.5).astype(L.dtype), 0, 0)
    for first in range(0, count, LANES):
        first = min(first, count - LANES)
        read(L, first, C, upper, not upper)
        read(L_bar, first, S, upper_bar, upper_bar)
        for j in range(n - 1, -1, -1):
            inverse = over(one, load(C, j, j))
            i = j + 1
            while i + 4 <= n:
                a, b, c, d = four_less_products(S, i, j, halves, S, C, j, j + 1, n)
                a, b, c, d = times(a, inverse), times(b, inverse), times(c, inverse), times(d, inverse)
                store(S, i, j, a)
                store(S, i + 1, j, b)
                store(S, i + 2, j, c)
                store(S, i + 3, j, d)
                store(S, j, i, a)
                store(S, j, i + 1, b)
                store(S, j, i + 2, c)
                store(S, j, i + 3, d)
                i += 4
            while i < n:
                a = times(less_products(S, i, j, halves, S, C, j, j + 1, n), inverse)
                store(S, i, j, a)
                store(S, j, i, a)
                i += 1
            store(S, j, j, times(less_products(S, j, j, halves, S, C, j, j + 1, n), inverse))
        write(S, A_bar, first)
