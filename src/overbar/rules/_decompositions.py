"""Eigenvalues and eigenvectors of symmetric (Hermitian) matrices, and singular values and vectors: the functions
without their rules, of many small matrices by compiled loops.

May import `overbar._namespace`, `side_by_side`, `small_eigen` and `small_svd` of the kernels, and `rules.phases`.
"""

from overbar._namespace import front, mT
from overbar.kernels._side_by_side import for_loops
from overbar.kernels._small_eigen import MATRICES, NUMBERS, small_eigh
from overbar.kernels._small_svd import LARGEST, small_svd
from overbar.rules._phases import OF_EIGENVECTORS, OF_SINGULAR_VECTORS, fixed


def have_quick_eigenpairs(A):
    """Whether compiled loops take less time for the eigenvectors of these matrices, where the front lets them."""
    return for_loops(A, MATRICES, NUMBERS)


def eigenpairs(A):
    """`Words.eigh`, where nobody watches by a compiled loop, if that is quicker."""
    return _eigenpairs_by_loops(A) or front(A).xp.eigh(A)


def fixed_eigenpairs(A):
    """The same with the free factor of each vector chosen."""
    found = _eigenpairs_by_loops(A)
    if found is None:
        w, V = front(A).xp.eigh(A)
        found = w, fixed(V)
    return found


def _eigenpairs_by_loops(A):
    if have_quick_eigenpairs(A):
        return _by_loops(small_eigh, A, part=OF_EIGENVECTORS)
    return None


def have_quick_singular_vectors(A, full_matrices=False):
    """The same for their singular vectors."""
    small = for_loops(A, MATRICES, NUMBERS) and min(A.shape[-2:]) <= LARGEST
    return small and (not full_matrices or A.shape[-1] == A.shape[-2])


def oriented_by_loops(A, full_matrices=False):
    """Singular vectors with the signs that `svd` chooses, by a compiled loop; None where nobody may take one, or where
    it is not quicker."""
    if not have_quick_singular_vectors(A, full_matrices):
        return None
    wide = A.shape[-2] < A.shape[-1]
    found = _by_loops(small_svd, mT(A) if wide else A, part=OF_SINGULAR_VECTORS, by_right=wide)
    if found is None or not wide:
        return found
    U, S, Vh = found
    return mT(Vh), S, mT(U)


def singular_triples(A):
    """`Words.svd`, where nobody watches by a compiled loop, if that is quicker: as many vectors as values, with any
    signs."""
    return oriented_by_loops(A) or front(A).xp.svd(A)


def _by_loops(kernel, A, **options):
    """What a kernel finds, if the front lets it compute here, and every matrix has it; else None. Then LAPACK, too, has
    its say, and the library its error."""
    library = front(A)
    if not library.may_compute(A):
        return None
    *found, failed = library.compute(kernel, A, **options, threads=library.threads())
    return None if library.may_hold(failed > 0) else tuple(found)
