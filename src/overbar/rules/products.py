"""Products of matrices, and the trace.

May import `overbar.namespace` and `overbar.primitive`.
"""

from overbar.namespace import mH, mT, namespace
from overbar.primitive import primitive


@primitive("(m?,n),(n,p?)->(m?,p?)")
def matmul(A, B):
    """The matrix product C = A B.

    Parameters
    ----------
    A : array (..., m, n) or (n,)
    B : array (..., n, p) or (n,)
        float32, float64, complex64 or complex128. Batch dimensions broadcast. A vector counts as a row on the left
        and as a column on the right, and the dimension it lacks is lacking in C.

    Returns
    -------
    array (..., m, p), (..., p), (..., m) or (...)

    Raises
    ------
    LinAlgError of the array's library
        The shapes do not fit, or a dtype is not floating point.

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

    Parameters
    ----------
    A : array (..., n, m)
    B : array (..., n, p)
        float32, float64, complex64 or complex128. Batch dimensions broadcast.

    Returns
    -------
    array (..., m, p)

    Raises
    ------
    LinAlgError of the array's library
        The shapes do not fit, or a dtype is not floating point.

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
    A : array (..., m, n)
        float32, float64, complex64 or complex128; need not be square.

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        A has less than two dimensions, or its dtype is not floating point.

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
