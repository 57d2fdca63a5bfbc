"""Loops for Cholesky decompositions of bands and of many small matrices. May import NumPy, numba, which compiles them,
and `compiled` of the kernels. How they follow from the equations is said at the kernels that call them."""

import numpy as np

from overbar.kernels._compiled import compiled

#: So many small matrices are computed side by side, an entry of all of them in one wide vector.
LANES = 8


@compiled
def banded_tangent(L, E):
    """The band X with X Lᴴ + L Xᴴ = E. Bands are stored by columns here: L[j, d] is d below the diagonal of column j.

    Column by column: what columns to its left have of the left-hand side is taken from that of E, two of them at a
    time, as what is slow is to write the rest; of which its entry on the diagonal is half, over L's, and those below
    follow.
    """
    n, p = L.shape
    X, rest = np.zeros_like(E), np.empty(p, E.dtype)
    for j in range(n):
        m = min(p, n - j)
        rest[:m] = E[j, :m]
        b, left = 1, min(p - 1, j)  # b columns to the left; the first of all with something in row j
        while b < left:
            one, two = j - b, j - b - 1
            of_L, of_X = np.conj(L[one, b]), np.conj(X[one, b])
            of_L2, of_X2 = np.conj(L[two, b + 1]), np.conj(X[two, b + 1])
            both = min(m, p - b - 1)
            for d in range(both):
                first = X[one, b + d] * of_L + L[one, b + d] * of_X
                rest[d] -= first + X[two, b + 1 + d] * of_L2 + L[two, b + 1 + d] * of_X2
            if both < m:
                rest[both] -= X[one, b + both] * of_L + L[one, b + both] * of_X
            b += 2
        if b == left:
            one = j - b
            of_L, of_X = np.conj(L[one, b]), np.conj(X[one, b])
            for d in range(min(m, p - b)):
                rest[d] -= X[one, b + d] * of_L + L[one, b + d] * of_X
        pivot = np.conj(L[j, 0])
        X[j, 0] = rest[0].real / (2 * pivot)
        half = np.conj(X[j, 0])
        for d in range(1, m):
            X[j, d] = (rest[d] - L[j, d] * half) / pivot
    return X


@compiled
def banded_cotangent(L, X_bar):
    """The adjoint of `banded_tangent`: Ē from X̄, its lines from last to first."""
    n, p = L.shape
    E_bar, bar = np.zeros_like(X_bar), np.empty(p, X_bar.dtype)
    for j in range(n - 1, -1, -1):
        m = min(p, n - j)
        bar[:] = X_bar[j]
        for b in range(1, m):
            of_L, total = L[j, b], 0 * L[j, b]
            for d in range(m - b):
                bar[b + d] -= E_bar[j + b, d] * of_L
                total += np.conj(E_bar[j + b, d]) * L[j, b + d]
            bar[b] -= total
        half = bar[0]
        for d in range(1, m):
            E_bar[j, d] = bar[d] / L[j, 0]
            half -= np.conj(E_bar[j, d]) * L[j, d]
        E_bar[j, 0] = (half / (2 * L[j, 0])).real
    return E_bar


@compiled
def solution_cotangent(L, X, B_bar):
    """The band −band(B̄ (Lᴴ X)ᴴ + X (Lᴴ B̄)ᴴ), of which column j needs no more than that of L and the rows of X and B̄
    that it meets. Bands are stored by columns, L[j, d], and so are X and B̄."""
    (n, p), k = L.shape, len(X)
    L_bar = np.zeros_like(L)
    for j in range(n):
        m = min(p, n - j)
        for c in range(k):
            of_X, of_B = 0 * L[j, 0], 0 * L[j, 0]
            for d in range(m):
                of_X += L[j, d] * np.conj(X[c, j + d])
                of_B += L[j, d] * np.conj(B_bar[c, j + d])
            for d in range(m):
                L_bar[j, d] -= B_bar[c, j + d] * of_X + X[c, j + d] * of_B
    return L_bar


@compiled
def cotangent(L, L_bar):
    """Ā of many small real matrices (count, n, n) from L̄, whose lower triangles are read.

    The adjoint of the decomposition column by column (Murray 2016, section 4.1), the last column first.
    """
    count, n, _ = L.shape
    A_bar = np.empty_like(L_bar)
    C, P = np.zeros((n, n, LANES), L.dtype), np.zeros((n, n, LANES), L_bar.dtype)
    row = np.zeros(LANES, L_bar.dtype)
    for i in range(n):
        C[i, i] = 1  # in lanes that stay empty
    for first in range(0, count, LANES):
        used = min(LANES, count - first)
        for w in range(used):
            for i in range(n):
                for j in range(i + 1):
                    C[i, j, w], P[i, j, w] = L[first + w, i, j], L_bar[first + w, i, j]
        for j in range(n - 1, -1, -1):
            # the column C[i, j] = (A[i, j] − …)/C[j, j], and the pivot, the root of A[j, j] − …
            for i in range(j + 1, n):
                for w in range(LANES):
                    P[i, j, w] /= C[j, j, w]
                    P[j, j, w] -= P[i, j, w] * C[i, j, w]
            for w in range(LANES):
                P[j, j, w] /= C[j, j, w]
            # what was taken from column j before: Σₖ C[i, k] C[j, k] over the columns k to its left
            for k in range(j):
                for w in range(LANES):
                    row[w] = P[j, k, w] - P[j, j, w] * C[j, k, w]
                for i in range(j + 1, n):
                    for w in range(LANES):
                        row[w] -= P[i, j, w] * C[i, k, w]
                        P[i, k, w] -= P[i, j, w] * C[j, k, w]
                for w in range(LANES):
                    P[j, k, w] = row[w]
        for w in range(used):
            for i in range(n):
                A_bar[first + w, i, i] = P[i, i, w] / 2
                for j in range(i):
                    # the bar of both triangles together: each gets half
                    A_bar[first + w, i, j] = A_bar[first + w, j, i] = P[i, j, w] / 2
    return A_bar
