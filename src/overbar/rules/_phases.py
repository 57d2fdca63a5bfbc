"""The factors of modulus 1 that the vectors of decompositions leave free: of `eigh`, `eig`, `svd` and `schur`.

May import NumPy, `overbar._namespace` and `rules.equal_values`. Such vectors are known up to a factor of modulus 1
only. To have a derivative for every loss, and the same result in every library, that factor is fixed here: of the
components that are no smaller than some part of the largest, the first, the *pivot*, is positive. (A part, so that
vectors with several largest components, which are common, are not decided by rounding.)
"""

import numpy as np

from overbar._namespace import mT, namespace
from overbar.rules._equal_values import has_rows

# Which part of the largest component it takes to be a pivot.
OF_EIGENVECTORS, OF_SINGULAR_VECTORS = 0.9, 0.7


def pivots(V, part=OF_EIGENVECTORS):
    """Where each column of V (..., m, n) has its pivot; nowhere if it is zero."""
    xp, size = namespace(V), namespace(V).abs(V)
    if not has_rows(V):
        return size > 0
    return xp.first(size >= part * xp.max(size, axis=-2, keepdims=True)) & (size > 0)


def _there(hot, V):
    """What V has there, in each column: (..., 1, n)."""
    return namespace(V).sum(namespace(V).where(hot, V, namespace(V).zeros_like(V)), axis=-2, keepdims=True)


def _or_one(x):
    """x, and 1 for zero."""
    return namespace(x).where(namespace(x).equal(x, 0), namespace(x).ones_like(x), x)


def imaginary(x):
    """i Im x. (With a factor 1j, PyTorch would make a tensor of that, and wait for the device.)"""
    return (x - namespace(x).conj(x)) / 2


def free_factors(V, part=OF_EIGENVECTORS):
    """The factor of modulus 1 for each column of V, as (..., 1, n), that makes its pivot positive."""
    xp = namespace(V)
    pivot = _or_one(_there(pivots(V, part), V))
    return xp.conj(pivot / xp.cast(xp.abs(pivot), V))


def fixed(V):
    """Eigenvectors with the free factor of each column chosen."""
    return V * free_factors(V)


def rates(V, V_dot, part=OF_EIGENVECTORS):
    """iθₖ, (..., 1, n), for which V̇ₖ − iθₖ Vₖ leaves the pivots real: θₖ = Im(V̇ₚₖ)/Vₚₖ."""
    hot = pivots(V, part)
    return imaginary(_there(hot, V_dot)) / _or_one(_there(hot, V))


def turned_dot(V, V_dot):
    """The tangent of eigenvectors from one for another choice of their free factors."""
    return V_dot - V * rates(V, V_dot) if namespace(V).is_complex(V) else V_dot


def along(V, V_bar):
    """i Im(Vₖᴴ V̄ₖ), (..., 1, n)."""
    return imaginary(namespace(V).sum(namespace(V).conj(V) * V_bar, axis=-2, keepdims=True))


def on_pivots(V, gamma, part=OF_EIGENVECTORS):
    """γₖ/Vₚₖ at the pivot of each column, zero elsewhere: the bar of V, from that of iθ with the opposite sign."""
    xp, hot = namespace(V), pivots(V, part)
    return xp.where(hot, gamma / xp.where(hot, V, xp.ones_like(V)), xp.zeros_like(V))


def turned_bar(V, V_bar):
    """The adjoint of `turned_dot`: V̄ₖ − i Im(Vₖᴴ V̄ₖ)/Vₚₖ at the pivot."""
    return V_bar - on_pivots(V, along(V, V_bar)) if namespace(V).is_complex(V) else V_bar


class Largest:
    """The same for a unitary Z that moves by Z Ω, and whose largest entries are the pivots: what is on the diagonal of
    Ω, from the rest of it."""

    def __init__(self, Z):
        xp = namespace(Z)
        self.rows = xp.take_rows(Z, xp.argmax(xp.abs(Z), axis=-2))  # row j is the one of Z that is largest in column j
        self.largest = xp.diagonal(self.rows)

    def dot(self, Omega):
        return -imaginary(namespace(Omega).sum(self.rows * mT(Omega), axis=-1)) / self.largest

    def bar(self, Omega_bar):
        """What the bar of the diagonal adds to that of the rest."""
        xp = namespace(Omega_bar)
        return -xp.conj(mT(self.rows)) * (imaginary(xp.diagonal(Omega_bar)) / self.largest)[..., None, :]


def exact_factor(mp, v, part=OF_EIGENVECTORS):
    """The factor that makes the pivot of a vector positive, in exact arithmetic."""
    sizes = mp.abs(v)
    pivot = next(x for x, size in zip(v, sizes, strict=True) if size >= part * max(sizes))
    return mp.conj(np.array([pivot / abs(pivot)], dtype=object))[0]
