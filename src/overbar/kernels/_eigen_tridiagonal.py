"""Eigenvalues and eigenvectors of tridiagonal matrices.

May import NumPy, SciPy, and `kernel` and `stacks` of the kernels.
"""

import numpy as np
import scipy.linalg

from overbar.kernels._kernel import kernel
from overbar.kernels._stacks import refuse_not_finite


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
