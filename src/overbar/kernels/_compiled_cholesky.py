"""Loops for the rules of Cholesky decompositions of bands. May import NumPy, numba, which compiles them, and `compiled`
of the kernels. How they follow from the equations is said at the kernels that call them."""

import numpy as np

from overbar.kernels._compiled import compiled


@compiled
def banded_tangent(L, E):
    """The band X with X Lᴴ + L Xᴴ = E. Bands are stored by columns here: L[j, d] is d below the diagonal of column j.

    Column by column: its entry on the diagonal is half of what is left of E there over L's, those below follow, and
    what the column adds to the left-hand side is taken from the rest of E.
    """
    n, p = L.shape
    X, E = np.zeros_like(E), E.copy()
    for j in range(n):
        m = min(p, n - j)
        pivot = np.conj(L[j, 0])
        X[j, 0] = E[j, 0].real / (2 * pivot)
        half = np.conj(X[j, 0])
        for d in range(1, m):
            X[j, d] = (E[j, d] - L[j, d] * half) / pivot
        for b in range(1, m):
            of_L, of_X = np.conj(L[j, b]), np.conj(X[j, b])
            for d in range(m - b):
                E[j + b, d] -= X[j, b + d] * of_L + L[j, b + d] * of_X
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
