"""Eigenvalues and eigenvectors of tridiagonal matrices, and their derivatives where all eigenvalues differ.

May import NumPy, SciPy, and `kernel` and `stacks` of the kernels.
"""

import numpy as np
import scipy.linalg

from overbar.kernels._kernel import kernel
from overbar.kernels._stacks import lapack, refuse_not_finite


@kernel("(n),(k)->(n),(n,n)", "r=")
def stemr(d, e):
    """SciPy's eigenvalues and eigenvectors of a Hermitian tridiagonal matrix."""
    refuse_not_finite("eigh_tridiagonal", d=d, e=e)
    if e.dtype.kind != "c":
        return scipy.linalg.eigh_tridiagonal(d.real, e, check_finite=False)
    # the matrix is P T Pᴴ with a diagonal P, of numbers of modulus 1, and a real T
    size = abs(e)
    phases = np.append(1, np.cumprod(np.where(size == 0, 1, e.conj() / np.where(size == 0, 1, size))))
    w, V = scipy.linalg.eigh_tridiagonal(d.real, size, check_finite=False)
    return w, (phases / abs(phases))[:, None] * V


# -- derivatives -------------------------------------------------------------------------------------------------------

_IN_CACHE = 2**13  #: the entries of vectors that are worked on together


class _Vectors:
    """Some eigenvectors vₖ of T, as rows, and the systems (T − wₖ) x = b, x ⊥ vₖ, of all of them as one tridiagonal
    system, whose blocks no entry joins.

    T − wₖ is singular, and its last pivot rounding, by which a solution is as far along vₖ as it happens to be, which
    is then taken off, as in inverse iteration. By a shift of some ε ‖T‖, no more than what wₖ is in error, the pivot is
    so large that this part does not drown the rest."""

    def __init__(self, d, e, w, v, size):
        self.d, self.e, self.w, self.v, self.size = d, e, w, v, size

    def across(self, b):
        """b without its part along vₖ."""
        return b - np.einsum("ki,ki->k", self.v.conj(), b)[:, None] * self.v

    def solved(self, b):
        b, count = self.across(b), len(self.w)
        gtsv = lapack("gtsv", b.dtype)
        above = np.tile(np.append(self.e, 0).astype(b.dtype), count)[:-1]
        for shift in (4, 5, 6):  # another, should a pivot be zero
            shifted = self.w + shift * np.finfo(self.w.dtype).eps * self.size
            *_, x, failed = gtsv(above.conj(), (self.d - shifted[:, None]).ravel(), above, b.reshape(-1, 1))
            if not failed:
                break
        return self.across(x.reshape(b.shape))


def _by_vectors(d, e, w, V):
    """As many of the vectors as fit into the cache, one such part after the other, and where they are."""
    count, size = max(1, _IN_CACHE // len(d)), np.abs(w).max()
    for first in range(0, len(w), count):
        some = slice(first, first + count)
        yield some, _Vectors(d.real, e, w[some], np.ascontiguousarray(V.T[some]), size)


@kernel("(n),(k),(n),(n,n),(n),(n,n)->(n),(k)", "r=")
def eigen_tridiagonal_cotangent(d, e, w, V, w_bar, V_bar):
    """The reverse rule of `eigh_tridiagonal`."""
    d_bar, e_bar = np.zeros_like(w), np.zeros(len(e), np.result_type(V, V_bar))
    for some, of in _by_vectors(d, e, w.real, V):
        v = of.v
        W = w_bar.real[some, None] * v - of.solved(V_bar.T[some])
        d_bar += np.einsum("ki,ki->i", W, v.conj()).real
        e_bar += np.einsum("ki,ki->i", W[:, :-1], v[:, 1:].conj()) + np.einsum("ki,ki->i", W[:, 1:].conj(), v[:, :-1])
    return d_bar, e_bar


@kernel("(n),(k),(n),(n,n),(n),(k)->(n),(n,n)", "r=")
def eigen_tridiagonal_tangent(d, e, w, V, d_dot, e_dot):
    """The forward rule of `eigh_tridiagonal`."""
    w_dot, V_dot = np.empty_like(w.real), np.empty_like(V.T, np.result_type(V, e_dot), order="C")
    for some, of in _by_vectors(d, e, w.real, V):
        v = of.v
        moved = d_dot.real * v
        moved[:, :-1] += e_dot * v[:, 1:]
        moved[:, 1:] += e_dot.conj() * v[:, :-1]
        w_dot[some] = np.einsum("ki,ki->k", v.conj(), moved).real
        V_dot[some] = -of.solved(moved)
    return w_dot, V_dot.T
