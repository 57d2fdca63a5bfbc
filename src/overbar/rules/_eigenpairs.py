"""Eigenvalues and eigenvectors of symmetric (Hermitian) matrices: the function without its rules.

May import `overbar._namespace`, `side_by_side` and `small_eigen` of the kernels, and `rules.phases`.
"""

from overbar._namespace import front
from overbar.kernels._side_by_side import for_loops
from overbar.kernels._small_eigen import FEWEST, small_eigh
from overbar.rules._phases import OF_EIGENVECTORS, fixed


def are_quicker_by_loops(A):
    """Whether these are matrices that compiled loops take, where the front lets them."""
    return for_loops(A, fewest=FEWEST)


def eigenpairs(A):
    """`Words.eigh`, of many small matrices by a compiled loop, where there is one and nobody watches."""
    return _by_loops(A) or front(A).xp.eigh(A)


def fixed_eigenpairs(A):
    """The same with the free factor of each vector chosen."""
    found = _by_loops(A)
    if found is None:
        w, V = front(A).xp.eigh(A)
        found = w, fixed(V)
    return found


def _by_loops(A):
    library = front(A)
    if are_quicker_by_loops(A) and library.may_compute(A):
        w, V, failed = library.compute(small_eigh, A, part=OF_EIGENVECTORS, threads=library.threads())
        if not library.may_hold(failed > 0):
            return w, V  # else LAPACK, too, has its say, and the library its error
    return None
