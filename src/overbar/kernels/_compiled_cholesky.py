"""Loops for the rules of Cholesky decompositions of bands. May import NumPy, numba, which compiles them, and `compiled`
of the kernels. How they follow from the equations is said at the kernels that call them."""

import numpy as np

from overbar.kernels._compiled import compiled


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
