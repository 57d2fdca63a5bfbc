"""The factors of modulus 1 that eigenvectors leave free.

May import NumPy, `overbar._namespace` and `rules.equal_values`. Eigenvectors are known up to a factor of modulus 1
only. To have a derivative for every loss, and the same result in every library, the vectors here have that factor
fixed: of the components larger than nine tenths of the largest, the first is positive. (Nine tenths, so that vectors
with several largest components, which are common, are not decided by rounding.)
"""

import numpy as np

from overbar._namespace import namespace
from overbar.rules._equal_values import has_rows, row

# Of the components of an eigenvector, the first whose modulus is at least this part of the largest becomes positive.
NEARLY_LARGEST = 0.9


def pivots(V):
    """Ones where each column of V has the component that is positive, zeros elsewhere."""
    xp = namespace(V)
    size = xp.abs(V)
    if not has_rows(V):
        return size
    return xp.cast(xp.first(size >= NEARLY_LARGEST * xp.max(size, axis=-2, keepdims=True)), size)


def fixed(V):
    """V with the free factor of each column chosen."""
    return V * free_factors(V)


def free_factors(V):
    """The factor of modulus 1 for each column of V (..., n, n), as (..., 1, n), that makes its pivot positive."""
    xp = namespace(V)
    pivot = xp.sum(V * xp.cast(pivots(V), V), axis=-2, keepdims=True)
    size = xp.abs(pivot)
    return xp.conj(pivot / xp.cast(xp.where(size > 0, size, xp.ones_like(size)), V))


def turned_dot(V, V_dot):
    """The tangent of V from one for another choice of its free factors: V̇ₖ + iθₖ Vₖ such that the pivot stays real."""
    xp = namespace(V)
    if not xp.is_complex(V):
        return V_dot
    hot = pivots(V)
    moved = _at(hot, V_dot)
    return V_dot - V * row((moved - xp.conj(moved)) / (2 * _at(hot, V)))  # no number i, of which torch makes a tensor


def turned_bar(V, V_bar):
    """The adjoint of `turned_dot`: V̄ₖ − i Im(Vₖᴴ V̄ₖ)/Vₚₖ in the component p of the pivot."""
    xp = namespace(V)
    if not xp.is_complex(V):
        return V_bar
    hot = pivots(V)
    along = xp.sum(xp.conj(V) * V_bar, axis=-2)
    return V_bar - xp.cast(hot, V) * row((along - xp.conj(along)) / (2 * _at(hot, V)))


def _at(hot, V):
    return namespace(V).sum(V * namespace(V).cast(hot, V), axis=-2)


def exact_fixed(mp, v):
    """An eigenvector with its free factor chosen, in exact arithmetic."""
    sizes = [abs(x) for x in v]
    pivot = next(x for x in v if abs(x) >= 0.9 * max(sizes))
    return v * mp.conj(np.array([pivot / abs(pivot)], dtype=object))[0]
