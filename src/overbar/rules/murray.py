"""The Cholesky decomposition differentiated in five ways, after Murray (2016), "Differentiation of the Cholesky
decomposition", arXiv:1602.07527: symbolically, by updates of what is left (Smith 1995, "Differentiation of the Cholesky
algorithm", J. Comput. Graph. Stat. 4), column by column, block by block, and by halves.

May import NumPy, `overbar._namespace` and `rules.cholesky`. All compute the same two things, so that they can be read
beside one another and tested against one another:

    forward(L, A_dot)    L̇ from Ȧ, which is symmetric (Hermitian); only the lower triangle of Ȧ is read, but by the
                         symbolic rule, which takes the Hermitian part
    reverse(L, L_bar)    Ā from L̄, of which only the lower triangle is read

A is symmetric, so that Ā can be written down in two ways: symmetric, where an entry off the diagonal and its mirror
image have half of the derivative each (``symmetric=True``, and what `overbar.cholesky` gives); or lower triangular,
where the entry below the diagonal has all of it (``symmetric=False``, and what Murray's algorithms give). With T the
second, the first is (T + Tᴴ)/2.

`overbar.cholesky` uses the symbolic rule for small matrices and halves for large ones; its rules run in every library.
The updates, the columns and the blocks are here to be read: they write into arrays, and so are for NumPy only.
"""

import numpy as np

from overbar._namespace import mH, namespace
from overbar.rules._cholesky import forward_recursive, forward_symbolic, reverse_recursive, reverse_symbolic

__all__ = [
    "chol_blocked_forward",
    "chol_blocked_reverse",
    "chol_recursive_forward",
    "chol_recursive_reverse",
    "chol_smith_forward",
    "chol_smith_reverse",
    "chol_symbolic_forward",
    "chol_symbolic_reverse",
    "chol_unblocked_forward",
    "chol_unblocked_reverse",
]

# Columns that are differentiated together. Their products have to be large, and the loop over single columns, which is
# a loop of Python here, short.
BLOCK_SIZE = 32


def _lower(A_bar):
    """The lower triangular Ā of a symmetric one."""
    xp = namespace(A_bar)
    return xp.tril(A_bar) + xp.tril(A_bar, k=-1)


def _symmetric(A_bar):
    """The Hermitian part: the symmetric Ā of a lower triangular one."""
    return (A_bar + mH(A_bar)) / 2


def _writable(*arrays):
    """A copy of the last array, in a dtype and with the batch dimensions that fit them all; and the arrays."""
    arrays = [np.asarray(A) for A in arrays]
    shape = np.broadcast_shapes(*(A.shape for A in arrays))
    copy = np.array(np.broadcast_to(np.tril(arrays[-1]), shape), dtype=np.result_type(*arrays))
    return copy, *arrays


def _times(B, x):
    """B x, for a vector x in each matrix of the batch."""
    return (B @ x[..., None])[..., 0]


# -- symbolically ------------------------------------------------------------------------------------------------------


def chol_symbolic_forward(L, A_dot):
    """L̇ = L Φ(L⁻¹ Ȧ L⁻ᴴ), Φ the lower triangle with halved diagonal.

    Murray (2016), section 3; the derivation is in the docstring of `overbar.cholesky`.

    Parameters
    ----------
    L, A_dot : array (..., n, n)
        Of any library. The Hermitian part of `A_dot` is taken.

    Returns
    -------
    array (..., n, n)
        Lower triangular.

    Notes
    -----
    Cost: two triangular solves with n right-hand sides, n³ flops each, and a product, 2n³: twelve times the n³/3 of the
    function, but in a few calls. To be used where n is small: there the calls cost more than the flops.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar.rules import murray
    >>> murray.chol_symbolic_forward(np.eye(2), np.array([[2.0, 3.0], [3.0, 4.0]]))
    array([[1., 0.],
           [3., 2.]])
    """
    return forward_symbolic(L, _symmetric(A_dot))


def chol_symbolic_reverse(L, L_bar, *, symmetric=True):
    """Ā = sym(L⁻ᴴ Φ(Lᴴ L̄) L⁻¹).

    Murray (2016), section 3; the derivation is in the docstring of `overbar.cholesky`.

    Parameters
    ----------
    L, L_bar : array (..., n, n)
        Of any library. The lower triangle of `L_bar` is read.
    symmetric : bool
        Ā symmetric; otherwise lower triangular.

    Returns
    -------
    array (..., n, n)

    Notes
    -----
    Cost: as `chol_symbolic_forward`.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar.rules import murray
    >>> L_bar = np.array([[2.0, 0.0], [6.0, 4.0]])
    >>> murray.chol_symbolic_reverse(np.eye(2), L_bar)
    array([[1., 3.],
           [3., 2.]])
    >>> murray.chol_symbolic_reverse(np.eye(2), L_bar, symmetric=False)
    array([[1., 0.],
           [6., 2.]])
    """
    A_bar = reverse_symbolic(L, L_bar)
    return A_bar if symmetric else _lower(A_bar)


# -- by updates of what is left ----------------------------------------------------------------------------------------


def chol_smith_forward(L, A_dot):
    """L̇ by Smith's algorithm: each column is divided, and its outer product subtracted from all that is left.

    Parameters
    ----------
    L, A_dot : NumPy array (..., n, n)
        The lower triangles are read.

    Returns
    -------
    NumPy array (..., n, n)
        Lower triangular.

    Notes
    -----
    The algorithm that is differentiated replaces the lower triangle of A by L, one column after the other. With m the
    diagonal entry and a the column below it, both as the columns before have left them, and M the rest,

        d = √m,    c = a/d,    M ← M − c cᴴ.

    By the product rule (Smith 1995), for the lower triangle of M,

        ḋ = ṁ/(2d),    ċ = (ȧ − c ḋ)/d,    Ṁ ← Ṁ − ċ cᴴ − c ċᴴ.

    Cost: 2n³/3 flops, twice the function's. `chol_unblocked_forward` does the same operations in another order: there
    the products wait until their column is reached, here they are subtracted at once.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar.rules import murray
    >>> murray.chol_smith_forward(np.eye(2), np.array([[2.0, 3.0], [3.0, 4.0]]))
    array([[1., 0.],
           [3., 2.]])
    """
    L_dot, L, _ = _writable(L, A_dot)
    for j in range(L.shape[-1]):
        d, c = L[..., j, j].real, L[..., j + 1 :, j]
        d_dot, c_dot = L_dot[..., j, j].real / (2 * d), L_dot[..., j + 1 :, j]  # the second is a view
        c_dot -= c * d_dot[..., None]
        c_dot /= d[..., None]
        L_dot[..., j, j] = d_dot
        # both outer products at once; what this leaves above the diagonal is never read
        pair = np.stack([c_dot, np.broadcast_to(c, c_dot.shape)], -1)
        L_dot[..., j + 1 :, j + 1 :] -= pair @ mH(pair[..., ::-1])
    return np.tril(L_dot)


def chol_smith_reverse(L, L_bar, *, symmetric=True):
    """Ā by Smith's algorithm: his forward sweep, line by line from the end.

    Parameters
    ----------
    L, L_bar : NumPy array (..., n, n)
        The lower triangles are read.
    symmetric : bool
        Ā symmetric; otherwise lower triangular.

    Returns
    -------
    NumPy array (..., n, n)

    Notes
    -----
    In the words of `chol_smith_forward`, with T the lower triangular bar of the rest M, which passes through the
    subtraction unchanged (Smith 1995):

        M ← M − c cᴴ    ⇒    c̄ ← c̄ − (T + Tᴴ) c,
        c = a/d          ⇒    ā = c̄/d,    d̄ ← d̄ − Re(cᴴ ā),
        d = √m          ⇒    m̄ = d̄/(2d).

    When column j is reached, T is what Ā has to the right of it, finished. Cost: 2n³/3 flops, all in products of a
    symmetric matrix with a vector: one reading of T, and one column written, in each turn of the loop.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar.rules import murray
    >>> murray.chol_smith_reverse(np.eye(2), np.array([[2.0, 0.0], [6.0, 4.0]]), symmetric=False)
    array([[1., 0.],
           [6., 2.]])
    """
    A_bar, L, _ = _writable(L, L_bar)
    for j in reversed(range(L.shape[-1])):
        d, c, T = L[..., j, j].real, L[..., j + 1 :, j], A_bar[..., j + 1 :, j + 1 :]
        c_bar = A_bar[..., j + 1 :, j]  # a view: what is written to it is written to Ā
        c_bar -= _times(T, c) + _times(mH(T), c)
        c_bar /= d[..., None]
        d_bar = A_bar[..., j, j].real - (c.conj() * c_bar).real.sum(-1)
        A_bar[..., j, j] = d_bar / (2 * d)
    return _symmetric(A_bar) if symmetric else A_bar


# -- column by column --------------------------------------------------------------------------------------------------


def _column(L, j):
    """Of column j: the row r left of the diagonal, the entry d on it, the block B left of the rest and the rest c."""
    return L[..., j, :j], L[..., j, j], L[..., j + 1 :, :j], L[..., j + 1 :, j]


def chol_unblocked_forward(L, A_dot):
    """L̇, one column after the other ("level 2": products of matrices with vectors).

    Parameters
    ----------
    L, A_dot : NumPy array (..., n, n)
        The lower triangles are read.

    Returns
    -------
    NumPy array (..., n, n)
        Lower triangular.

    Notes
    -----
    The algorithm that is differentiated computes column j from those before it. Call r and d what L has in row j left
    of the diagonal and on it, B and c what is below these:

        d = √(Aⱼⱼ − r rᴴ),    c = (a − B rᴴ)/d,    a the entries of A below Aⱼⱼ.

    By the product rule, with d real (Murray 2016, section 4.1),

        ḋ = (Ȧⱼⱼ/2 − Re(r ṙᴴ))/d,    ċ = (ȧ − Ḃ rᴴ − B ṙᴴ − c ḋ)/d,

    where ṙ and Ḃ belong to columns before j and are known. Cost: 2n³/3 flops, twice the function's. The least of all,
    but each entry is fetched from memory for a few operations, and there are n turns of a loop; to be used for large
    batches of small matrices, or to be read.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar.rules import murray
    >>> murray.chol_unblocked_forward(np.eye(2), np.array([[2.0, 3.0], [3.0, 4.0]]))
    array([[1., 0.],
           [3., 2.]])
    """
    L_dot, L, _ = _writable(L, A_dot)
    for j in range(L.shape[-1]):
        r, d, B, c = _column(L, j)
        r_dot, d_dot, B_dot, c_dot = _column(L_dot, j)  # of L̇ left of column j, of Ȧ still in it
        d_dot = (d_dot.real / 2 - (r.conj() * r_dot).real.sum(-1)) / d.real
        c_dot = c_dot - _times(B_dot, r.conj()) - _times(B, r_dot.conj()) - c * d_dot[..., None]
        L_dot[..., j, j] = d_dot
        L_dot[..., j + 1 :, j] = c_dot / d[..., None]
    return L_dot


def chol_unblocked_reverse(L, L_bar, *, symmetric=True):
    """Ā, one column after the other, from the last to the first ("level 2": products of matrices with vectors).

    Parameters
    ----------
    L, L_bar : NumPy array (..., n, n)
        The lower triangles are read.
    symmetric : bool
        Ā symmetric; otherwise lower triangular.

    Returns
    -------
    NumPy array (..., n, n)

    Notes
    -----
    The forward rule line by line from the end (Murray 2016, section 4.1), each bar moved to where its input came from:

        ċ = (ȧ − Ḃ rᴴ − B ṙᴴ − c ḋ)/d     ⇒    d̄ ← d̄ − Re(cᴴ c̄)/d,    c̄ ← c̄/d,
                                               B̄ ← B̄ − c̄ r,    r̄ ← r̄ − c̄ᴴ B,    ā = c̄,
        ḋ = (Ȧⱼⱼ/2 − Re(r ṙᴴ))/d          ⇒    d̄ ← d̄/d,    r̄ ← r̄ − d̄ r,    Āⱼⱼ = d̄/2.

    All of L̄ that belongs to later columns has become Ā when column j is reached, in place. Cost: 2n³/3 flops, as the
    forward rule.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar.rules import murray
    >>> murray.chol_unblocked_reverse(np.eye(2), np.array([[2.0, 0.0], [6.0, 4.0]]), symmetric=False)
    array([[1., 0.],
           [6., 2.]])
    """
    A_bar, L, _ = _writable(L, L_bar)
    for j in reversed(range(L.shape[-1])):
        r, d, B, c = _column(L, j)
        r_bar, d_bar, B_bar, c_bar = _column(A_bar, j)  # views: what is written to them is written to Ā
        d_bar = d_bar.real - (c.conj() * c_bar).real.sum(-1) / d.real
        c_bar /= d[..., None]
        d_bar = d_bar / d.real
        B_bar -= c_bar[..., :, None] * r[..., None, :]
        r_bar -= (c_bar.conj()[..., None, :] @ B)[..., 0, :] + d_bar[..., None] * r
        A_bar[..., j, j] = d_bar / 2
    return _symmetric(A_bar) if symmetric else A_bar


# -- block by block ----------------------------------------------------------------------------------------------------


def _blocks(n, size):
    """The slices of the block columns."""
    if size < 1:
        raise ValueError(f"block_size is {size}, but a block has one column at the least.")
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


def _block_column(L, J):
    """Of block column J: the rows R left of the diagonal block, that block D, and B and C below these."""
    return L[..., J, : J.start], L[..., J, J], L[..., J.stop :, : J.start], L[..., J.stop :, J]


def _right_solve(C, D, adjoint):
    """C D⁻¹, or C D⁻ᴴ, for lower triangular D."""
    return namespace(D).solve_triangular(D, C, upper=False, left=False, adjoint=adjoint)


def chol_blocked_forward(L, A_dot, block_size=BLOCK_SIZE):
    """L̇, one block of columns after the other ("level 3": products of matrices).

    Parameters
    ----------
    L, A_dot : NumPy array (..., n, n)
        The lower triangles are read.
    block_size : int
        The number of columns in a block.

    Returns
    -------
    NumPy array (..., n, n)
        Lower triangular.

    Notes
    -----
    As `chol_unblocked_forward`, with blocks R, D, B and C in the places of r, d, B and c. The algorithm is that of
    LAPACK's potrf,

        D = chol(A_D − R Rᴴ),    C = (A_C − B Rᴴ) D⁻ᴴ,

    and its derivative (Murray 2016, section 4.2)

        Ḋ = chol_dot(D, Ȧ_D − Ṙ Rᴴ − R Ṙᴴ),    Ċ = (Ȧ_C − Ḃ Rᴴ − B Ṙᴴ − C Ḋᴴ) D⁻ᴴ,

    the first by columns. Cost: 2n³/3 flops and little more, of which all but a part of block_size/n is in products. To
    be used for large matrices.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar.rules import murray
    >>> murray.chol_blocked_forward(np.eye(2), np.array([[2.0, 3.0], [3.0, 4.0]]), block_size=1)
    array([[1., 0.],
           [3., 2.]])
    """
    L_dot, L, _ = _writable(L, A_dot)
    for J in _blocks(L.shape[-1], block_size):
        R, D, B, C = _block_column(L, J)
        R_dot, D_dot, B_dot, C_dot = _block_column(L_dot, J)
        product = R_dot @ mH(R)
        D_dot = chol_unblocked_forward(D, D_dot - product - mH(product))
        L_dot[..., J, J] = D_dot
        rest = C_dot - B_dot @ mH(R) - B @ mH(R_dot) - C @ mH(D_dot)
        L_dot[..., J.stop :, J] = _right_solve(rest, D, adjoint=True)
    return L_dot


def chol_blocked_reverse(L, L_bar, block_size=BLOCK_SIZE, *, symmetric=True):
    """Ā, one block of columns after the other, from the last to the first ("level 3": products of matrices).

    Parameters
    ----------
    L, L_bar : NumPy array (..., n, n)
        The lower triangles are read.
    block_size : int
        The number of columns in a block.
    symmetric : bool
        Ā symmetric; otherwise lower triangular.

    Returns
    -------
    NumPy array (..., n, n)

    Notes
    -----
    `chol_blocked_forward` line by line from the end (Murray 2016, section 4.2):

        C̄ ← C̄ D⁻¹,    B̄ ← B̄ − C̄ R,    R̄ ← R̄ − C̄ᴴ B,    D̄ ← D̄ − tril(C̄ᴴ C),
        D̄ ← chol_bar(D, D̄), lower triangular, by columns,    R̄ ← R̄ − (D̄ + D̄ᴴ) R.

    The last: ⟨D̄, Ṙ Rᴴ + R Ṙᴴ⟩ = ⟨D̄ R + D̄ᴴ R, Ṙ⟩. Cost: 2n³/3 flops and little more, as the forward rule.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar.rules import murray
    >>> murray.chol_blocked_reverse(np.eye(2), np.array([[2.0, 0.0], [6.0, 4.0]]), block_size=1)
    array([[1., 3.],
           [3., 2.]])
    """
    A_bar, L, _ = _writable(L, L_bar)
    for J in reversed(_blocks(L.shape[-1], block_size)):
        R, D, B, C = _block_column(L, J)
        R_bar, D_bar, B_bar, C_bar = _block_column(A_bar, J)  # views: what is written to them is written to Ā
        C_bar[...] = _right_solve(C_bar, D, adjoint=False)
        B_bar -= C_bar @ R
        R_bar -= mH(C_bar) @ B
        D_bar[...] = chol_unblocked_reverse(D, D_bar - mH(C_bar) @ C, symmetric=False)
        R_bar -= (D_bar + mH(D_bar)) @ R
    return _symmetric(A_bar) if symmetric else A_bar


# -- by halves ---------------------------------------------------------------------------------------------------------


def chol_recursive_forward(L, A_dot):
    """L̇ by halves, down to small matrices, which the symbolic rule differentiates.

    Parameters
    ----------
    L, A_dot : array (..., n, n)
        Of any library. The Hermitian part of `A_dot` is taken.

    Returns
    -------
    array (..., n, n)
        Lower triangular.

    Notes
    -----
    The blocked rule with two blocks, of which each is differentiated in the same way; the derivation is in the
    docstring of `overbar.cholesky`, whose forward rule this is. Blocks are as large as they can be, and no entry is
    written to. Cost: 5n³/6 flops, as half of the product with the triangular L̇₁₁ is zero.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar.rules import murray
    >>> murray.chol_recursive_forward(np.eye(2), np.array([[2.0, 3.0], [3.0, 4.0]]))
    array([[1., 0.],
           [3., 2.]])
    """
    return forward_recursive(L, _symmetric(A_dot))


def chol_recursive_reverse(L, L_bar, *, symmetric=True):
    """Ā by halves, down to small matrices, which the symbolic rule differentiates.

    Parameters
    ----------
    L, L_bar : array (..., n, n)
        Of any library. The lower triangle of `L_bar` is read.
    symmetric : bool
        Ā symmetric; otherwise lower triangular.

    Returns
    -------
    array (..., n, n)

    Notes
    -----
    The blocked rule with two blocks, of which each is differentiated in the same way; the derivation is in the
    docstring of `overbar.cholesky`, whose reverse rule this is. Blocks are as large as they can be, no entry is
    written to, and the cost is that of `chol_blocked_reverse`: the way for a library with fast products.

    Examples
    --------
    >>> import numpy as np
    >>> from overbar.rules import murray
    >>> murray.chol_recursive_reverse(np.eye(2), np.array([[2.0, 0.0], [6.0, 4.0]]))
    array([[1., 3.],
           [3., 2.]])
    """
    A_bar = reverse_recursive(L, L_bar)
    return A_bar if symmetric else _lower(A_bar)
