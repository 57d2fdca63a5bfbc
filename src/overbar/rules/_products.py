"""Products of matrices, and the trace.

May import `overbar._namespace` and `overbar._primitive`.
"""

import itertools

from overbar._namespace import mH, mT, namespace
from overbar._primitive import once, primitive


@primitive("(m?,n),(n,p?)->(m?,p?)")
def matmul(A, B):
    """The matrix product C = A B.

    Parameters
    ----------
    B
        A vector counts as a row on the left and as a column on the right, and the dimension it lacks is lacking in C.

    Returns
    -------
    array (..., m, p), (..., p), (..., m) or (...)

    Notes
    -----
    Giles (2008), section 2.2.2. From Ċ = Ȧ B + A Ḃ and ⟨C̄, Ċ⟩ = Re tr(C̄ᴴ Ċ):

        Re tr(C̄ᴴ Ȧ B) = Re tr((C̄ Bᴴ)ᴴ Ȧ)    ⇒    Ā = C̄ Bᴴ,
        Re tr(C̄ᴴ A Ḃ) = Re tr((Aᴴ C̄)ᴴ Ḃ)    ⇒    B̄ = Aᴴ C̄.

    Cost: one product of the same size for each bar.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.matmul, np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    >>> pullback(np.array([[1.0]]))
    (array([[3., 4.]]), array([[1.],
           [2.]]))
    """
    return A @ B


@matmul.vjp
def _(C_bar, C, A, B):
    return lambda: C_bar @ mH(B), lambda: mH(A) @ C_bar


@matmul.jvp
def _(C, A, B):
    return lambda A_dot: A_dot @ B, lambda B_dot: A @ B_dot


@matmul.samples
def _(case):
    yield case(case.normal(3, 4), case.normal(4, 2))


@matmul.reference
def _(mp, A, B):
    return A @ B


@primitive("(n,m),(n,p)->(m,p)")
def transpose_matmul(A, B):
    """The product C = Aᵀ B, without forming Aᵀ. (Transposed, not conjugated.)

    Returns
    -------
    array (..., m, p)

    Notes
    -----
    From Ċ = Ȧᵀ B + Aᵀ Ḃ:

        Re tr(C̄ᴴ Ȧᵀ B) = Re tr(Bᵀ Ȧ conj(C̄)) = Re tr((conj(B) C̄ᵀ)ᴴ Ȧ)    ⇒    Ā = conj(B) C̄ᵀ,
        Re tr(C̄ᴴ Aᵀ Ḃ) = Re tr((conj(A) C̄)ᴴ Ḃ)                          ⇒    B̄ = conj(A) C̄.

    Source: the product rule of Giles (2008), section 2.2.2, with a transposition. Cost: one product of the same size
    for each bar.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.transpose_matmul(np.array([[1.0], [2.0]]), np.array([[3.0], [4.0]]))
    array([[11.]])
    """
    return mT(A) @ B


@transpose_matmul.vjp
def _(C_bar, C, A, B):
    xp = namespace(A)
    return lambda: xp.conj(B) @ mT(C_bar), lambda: xp.conj(A) @ C_bar


@transpose_matmul.jvp
def _(C, A, B):
    return lambda A_dot: mT(A_dot) @ B, lambda B_dot: mT(A) @ B_dot


@transpose_matmul.samples
def _(case):
    yield case(case.normal(4, 3), case.normal(4, 2))


@transpose_matmul.reference
def _(mp, A, B):
    return mp.mT(A) @ B


@primitive("(m,n)->()")
def trace(A):
    """The trace c = Σ Aᵢᵢ.

    Parameters
    ----------
    A
        Need not be square.

    Returns
    -------
    array (...)

    Notes
    -----
    ċ = tr Ȧ = ⟨I, Ȧ⟩, hence Ā = c̄ I. Giles (2008), section 2.2. Cost: one matrix written.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> c, pullback = overbar.vjp(overbar.trace, np.ones((2, 2)))
    >>> pullback(3.0)[0]
    array([[3., 0.],
           [0., 3.]])
    """
    xp = namespace(A)
    return xp.sum(xp.diagonal(A), axis=-1)


@trace.vjp
def _(c_bar, c, A):
    return (lambda: c_bar[..., None, None] * namespace(A).eye_like(A),)


@trace.jvp
def _(c, A):
    return (lambda A_dot: trace.function(A_dot),)


@trace.samples
def _(case):
    yield case(case.normal(3, 3))
    yield case(case.normal(2, 3))


@trace.reference
def _(mp, A):
    return A.trace()


@primitive("(m,n),(p,q)->(r,s)")
def kron(A, B):
    """The Kronecker product C = A ⊗ B: the block matrix of all Aᵢⱼ B.

    Returns
    -------
    array (..., m p, n q)

    Notes
    -----
    Seen as an array of four dimensions, Cᵢₖⱼₗ = Aᵢⱼ Bₖₗ. Put in another order it is an outer product, R(C) = vec(A)
    vec(B)ᵀ with the pairs (i, j) for rows and (k, l) for columns (Van Loan and Pitsianis, 1993), hence
    Ċ = Ȧ ⊗ B + A ⊗ Ḃ and

        vec(Ā) = R(C̄) conj(vec(B)),    vec(B̄) = R(C̄)ᵀ conj(vec(A)).

    Source: Giles (2008), section 2.2.2, applied to R(C). Cost: as many products of numbers for each bar as the function
    has, and two arrays of the size of C.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.kron(np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]))
    array([[3., 6.],
           [4., 8.]])
    """
    xp = namespace(A)
    (m, n), (p, q) = xp.shape(A)[-2:], xp.shape(B)[-2:]
    R = _vec(xp, A) * mT(_vec(xp, B))
    C = _middle_swapped(xp, xp.reshape(R, (*xp.shape(R)[:-2], m, n, p, q)))
    return xp.reshape(C, (*xp.shape(R)[:-2], m * p, n * q))


def _vec(xp, A):
    """The entries of A, row by row, as a column."""
    m, n = xp.shape(A)[-2:]
    return xp.reshape(A, (*xp.shape(A)[:-2], m * n, 1))


def _middle_swapped(xp, C):
    """C (..., i, j, k, l) as (..., i, k, j, l)."""
    last = len(C.shape)
    return xp.permute_dims(C, (*range(last - 4), last - 4, last - 2, last - 3, last - 1))


@kron.vjp
def _(C_bar, C, A, B):
    xp = namespace(A)
    (m, n), (p, q) = xp.shape(A)[-2:], xp.shape(B)[-2:]

    @once
    def R_bar():
        batch = xp.shape(C_bar)[:-2]
        parts = _middle_swapped(xp, xp.reshape(C_bar, (*batch, m, p, n, q)))
        return xp.reshape(parts, (*batch, m * n, p * q))

    def A_bar():
        bar = R_bar() @ xp.conj(_vec(xp, B))
        return xp.reshape(bar, (*xp.shape(bar)[:-2], m, n))

    def B_bar():
        bar = mT(R_bar()) @ xp.conj(_vec(xp, A))
        return xp.reshape(bar, (*xp.shape(bar)[:-2], p, q))

    return A_bar, B_bar


@kron.jvp
def _(C, A, B):
    return lambda A_dot: kron.function(A_dot, B), lambda B_dot: kron.function(A, B_dot)


@kron.samples
def _(case):
    yield case(case.normal(2, 3), case.normal(3, 2))


@kron.reference
def _(mp, A, B):
    C = mp.zeros((len(A) * len(B), A.shape[1] * B.shape[1]))
    for i, j in itertools.product(range(C.shape[0]), range(C.shape[1])):
        C[i, j] = A[i // len(B), j // B.shape[1]] * B[i % len(B), j % B.shape[1]]
    return C
