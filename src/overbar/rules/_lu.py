"""The LU decomposition with partial pivoting, in three factors and in one array.

May import `overbar._namespace`, `overbar._primitive`, `overbar.kernels`, and `halving` of the rules. The pivots
are constant where the decomposition is differentiable at all: the rules are those of A[p] = L U without pivots.
"""

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive
from overbar.kernels._lu import getrf
from overbar.rules._halving import by_size, split_at


@primitive("(m,n)->(m,m),(m,k),(k,n),(m)", intermediates=1)
def lu(A):
    """The LU decomposition with partial pivoting, A = P L U.

    Parameters
    ----------
    A
        Tall, square or wide. It may be singular.

    Returns
    -------
    P : array (..., m, m)
        The permutation matrix of the pivots, which are constant: its derivative is zero.
    L : array (..., m, k)
        k = min(m, n). Lower triangular with ones on the diagonal.
    U : array (..., k, n)
        Upper triangular.

    Raises
    ------
    LinAlgError of the array's library
        The derivative raises in NumPy where a pivot is zero that something is divided by (PyTorch and TensorFlow give
        infinities and NaN): any but the last of a matrix that is not tall.

    Notes
    -----
    Let A be square and the rows be in their order, A[p] = L U. Differentiate, and multiply by L⁻¹ and U⁻¹:

        F = L⁻¹ Ȧ[p] U⁻¹ = L⁻¹ L̇ + U̇ U⁻¹,

    the sum of a strictly lower and of an upper triangle, so that

        L̇ = L tril(F, −1),    U̇ = triu(F) U.

    Reverse, from ⟨L̄, L̇⟩ + ⟨Ū, U̇⟩ = ⟨F̄, F⟩:

        Ā[p] = L⁻ᴴ F̄ U⁻ᴴ,    F̄ = tril(Lᴴ L̄, −1) + triu(Ū Uᴴ).

    L does not depend on the last pivot uₙₙ. It takes part in the last column of F only, where it cancels, and the rules
    put 1 there. So they are right where A is singular for its sake alone.

    These rules take two triangular solves and two products of which half matters, 6n³ flops. A large matrix is cut into
    2 by 2 blocks, of which only those on the diagonal are differentiated so, after they were cut again:

        L₁₁U₁₁ = A₁₁,    U₁₂ = L₁₁⁻¹ A₁₂,    L₂₁ = A₂₁ U₁₁⁻¹,    L₂₂U₂₂ = A₂₂ − L₂₁ U₁₂.

    Forward, with the triangles of L̇ and U̇ in one array and lu_dot for the rule above,

        [L̇₁₁, U̇₁₁] = lu_dot(L₁₁, U₁₁, Ȧ₁₁)
        U̇₁₂ = L₁₁⁻¹ (Ȧ₁₂ − L̇₁₁ U₁₂),    L̇₂₁ = (Ȧ₂₁ − L₂₁ U̇₁₁) U₁₁⁻¹
        [L̇₂₂, U̇₂₂] = lu_dot(L₂₂, U₂₂, Ȧ₂₂ − L̇₂₁ U₁₂ − L₂₁ U̇₁₂),

    and in reverse (last line first)

        Ā₂₂ = lu_bar(L₂₂, U₂₂, L̄₂₂, Ū₂₂)
        Ā₂₁ = (L̄₂₁ − Ā₂₂ U₁₂ᴴ) U₁₁⁻ᴴ,    Ā₁₂ = L₁₁⁻ᴴ (Ū₁₂ − L₂₁ᴴ Ā₂₂)
        Ā₁₁ = lu_bar(L₁₁, U₁₁, L̄₁₁ − tril(Ā₁₂ U₁₂ᴴ, −1), Ū₁₁ − triu(L₂₁ᴴ Ā₂₁)).

    A tall A has more rows of L, and a wide one more columns of U: the same blocks, of which the last is empty.

    Source: de Hoog, Anderssen & Lukas (2011), "Differentiation of matrix functionals using triangular factorization";
    Giles (2008) has the method, section 2.2; the blocks are those of Murray (2016), section 4, for Cholesky. Cost of
    either rule, for large n by n: 5n³/3 flops, nearly all in products; the function takes 2n³/3. TensorFlow computes
    the value on the host, by SciPy, and under XLA by panels of columns.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> P, L, U = overbar.lu(np.array([[1.0, 3.0], [2.0, 4.0]]))
    >>> print(L)
    [[1.  0. ]
     [0.5 1. ]]
    >>> print(U)
    [[2. 4.]
     [0. 1.]]
    """
    xp = namespace(A)
    LU, _, p = front(A).compute(getrf, A)
    return (xp.permutation_matrix(p, A), *_triangles(LU), p)


@primitive("(m,n)->(m,n),(k),(m)", intermediates=1)
def lu_factor(A):
    """The LU decomposition with partial pivoting in one array, A = P L U.

    Parameters
    ----------
    A
        Tall, square or wide. It may be singular.

    Returns
    -------
    LU : array (..., m, n)
        L below the diagonal, without its ones, and U on and above it.
    pivots : array of int32 (..., k)
        k = min(m, n). Row i was exchanged with row pivots[i] − 1, one after the other. (LAPACK counts from 1.)

    Raises
    ------
    LinAlgError of the array's library
        As in `lu`.

    Notes
    -----
    Both triangles have the derivatives of `lu`, which has the derivation (de Hoog, Anderssen & Lukas 2011). Its rules
    read of the bars of L and U only the triangles that are here in one array. Cost: that of `lu`. `lu_solve` solves
    with such factors.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> LU, pivots = overbar.lu_factor(np.array([[1.0, 3.0], [2.0, 4.0]]))
    >>> print(LU, pivots)
    [[2.  4. ]
     [0.5 1. ]] [2 2]
    """
    xp = namespace(A)
    LU, pivots, p = front(A).compute(getrf, A)
    return LU, xp.astype(pivots[..., : _smaller(A)], xp.int32), p


def _parts(LU):
    """The columns that L has, and the rows that U has."""
    k = _smaller(LU)
    m, n = namespace(LU).shape(LU)[-2:]
    return LU if k is n else LU[..., :, :k], LU if k is m else LU[..., :k, :]


def _triangles(LU):
    """L and U."""
    xp = namespace(LU)
    L, U = _parts(LU)
    return xp.tril(L, k=-1) + xp.eye_like(L), xp.triu(U)


def _smaller(A):
    """min(m, n), also where they are not known while a graph is built."""
    m, n = A.shape[-2:]
    return namespace(A).minimum(*namespace(A).shape(A)[-2:]) if m is None or n is None else min(m, n)


def _packed(L, U):
    """What is below the diagonal of L, and U on and above its own, in one array of the shape of A."""
    xp = namespace(L)
    m, n = L.shape[-2], U.shape[-1]
    if m is None or n is None:
        k = xp.minimum(xp.shape(L)[-2], xp.shape(U)[-1])
        below, beside = L[..., k:, :], U[..., :, k:]  # one of the two is empty, and so is what is beside and below
        empty = xp.sum(below, axis=-1)[..., None] * xp.sum(beside, axis=-2)[..., None, :]
        return xp.block([[square(L[..., :k, :], U[..., :, :k]), beside], [below, empty]])
    if m == n:
        return square(L, U)
    if m > n:
        return xp.concat([square(L[..., :n, :], U), L[..., n:, :]], axis=-2)
    return xp.concat([square(L, U[..., :, :m]), U[..., :, m:]], axis=-1)


def square(L, U):
    xp = namespace(L)
    return xp.tril(L, k=-1) + xp.triu(U)


def _without_last_pivot(LU):
    """LU with 1 for its last pivot, unless it is tall."""
    xp = namespace(LU)
    one_row = LU.shape[-2] == 1
    m, n = xp.shape(LU)[-2:]

    def replaced():
        last = LU if one_row else LU[..., m - 1 :, :]
        last = [last[..., : m - 1], xp.ones_like(last[..., :1]), last[..., m:]]
        last = xp.concat(last[1:] if one_row else last, axis=-1)
        return last if one_row else xp.concat([LU[..., : m - 1, :], last], axis=-2)

    return front(LU).if_else((m > 0) & (m <= n), replaced, lambda: LU)


def _blocks(X, k):
    return X[..., :k, :k], X[..., :k, k:], X[..., k:, :k], X[..., k:, k:]


def solve_L(LU, B, adjoint=False):
    """L⁻¹ B, or L⁻ᴴ B."""
    return namespace(LU).solve_triangular(LU, B, upper=False, adjoint=adjoint, unitriangular=True)


def _solve_U(LU, B, adjoint=False):
    """B U⁻¹, or B U⁻ᴴ."""
    return namespace(LU).solve_triangular(LU, B, upper=True, left=False, adjoint=adjoint)


class _Rule:
    """A rule by blocks: `whole` for a small square matrix, `joined` for 2 by 2 blocks, of which it does the first and
    the last by functions that it is given, and `beside` for the two blocks of a tall or wide one. `one` is `halved` as
    a function of this module.

    No product here may have an empty dimension: TensorFlow's vectorized_map and tape.jacobian lose its shape, also
    where they differentiate it."""

    def __init__(self, whole, joined, beside, one):
        self.whole, self.joined, self.beside, self.one = whole, joined, beside, one

    def __call__(self, LU, X):
        LU = _without_last_pivot(LU)
        m, n = LU.shape[-2:]
        if m is None or n is None:
            # with one row and one column of zeros more, none of the blocks is empty
            xp, (m, n) = namespace(LU), namespace(LU).shape(LU)[-2:]
            LU, X = (xp.concat([M, xp.zeros_like(M[..., :1])], axis=-1) for M in (LU, X))
            LU, X = (xp.concat([M, xp.zeros_like(M[..., :1, :])], axis=-2) for M in (LU, X))
            return self.joined(LU, X, xp.minimum(m, n), self.square, lambda LU, X: X)[..., :m, :n]
        return self.square(LU, X) if m == n else self.beside(LU, X, self.square)

    def square(self, LU, X):
        return by_size(self.one, LU, X)

    def halved(self, LU, X, out, depth):
        k, depth = split_at(LU, depth)
        if k is None:
            return self.whole(LU, X)
        first, last = (None, None) if out is None else (out[..., :k, :k], out[..., k:, k:])
        return self.joined(
            *(LU, X, k),
            lambda LU, X: self.halved(LU, X, first, depth),
            lambda LU, X: self.halved(LU, X, last, depth),
            out,
        )


def _assembled(out, k, blocks):
    """The matrix of 2 by 2 blocks, in the buffer `out` if there is one."""
    (C11, C12), (C21, C22) = blocks
    if out is None:
        return namespace(C11).block(blocks)
    out[..., :k, :k], out[..., :k, k:], out[..., k:, :k], out[..., k:, k:] = C11, C12, C21, C22
    return out


def _bar_whole(LU, G):
    """The bar of A[p], from the bars of L and U in one array G."""
    xp = namespace(LU)
    L, U = _triangles(LU)
    F_bar = xp.tril(mH(L) @ xp.tril(G, k=-1), k=-1) + xp.triu(xp.triu(G) @ mH(U))
    return solve_L(LU, _solve_U(LU, F_bar, adjoint=True), adjoint=True)


def _bar_joined(LU, G, k, first, last, out=None):
    xp = namespace(LU)
    (LU11, U12, L21, LU22), (G11, U12_bar, L21_bar, G22) = _blocks(LU, k), _blocks(G, k)
    A22_bar = last(LU22, G22)
    A21_bar = _solve_U(LU11, L21_bar - A22_bar @ mH(U12), adjoint=True)
    A12_bar = solve_L(LU11, U12_bar - mH(L21) @ A22_bar, adjoint=True)
    G11 = G11 - xp.tril(A12_bar @ mH(U12), k=-1) - xp.triu(mH(L21) @ A21_bar)
    return _assembled(out, k, [[first(LU11, G11), A12_bar], [A21_bar, A22_bar]])


def _bar_beside(LU, G, square):
    xp, (m, n), k = namespace(LU), LU.shape[-2:], _smaller(LU)
    LU11, G11 = LU[..., :k, :k], G[..., :k, :k]
    if m > n:
        A21_bar = _solve_U(LU11, G[..., k:, :], adjoint=True)
        return xp.concat([square(LU11, G11 - xp.triu(mH(LU[..., k:, :]) @ A21_bar)), A21_bar], axis=-2)
    A12_bar = solve_L(LU11, G[..., :, k:], adjoint=True)
    return xp.concat([square(LU11, G11 - xp.tril(A12_bar @ mH(LU[..., :, k:]), k=-1)), A12_bar], axis=-1)


def _dot_whole(LU, A_dot):
    """The tangents of L and U in one array, from that of A[p]."""
    xp = namespace(LU)
    L, U = _triangles(LU)
    F = _solve_U(LU, solve_L(LU, A_dot))
    return xp.tril(L @ xp.tril(F, k=-1), k=-1) + xp.triu(xp.triu(F) @ U)


def _dot_joined(LU, A_dot, k, first, last, out=None):
    xp = namespace(LU)
    (LU11, U12, L21, LU22), (A11_dot, A12_dot, A21_dot, A22_dot) = _blocks(LU, k), _blocks(A_dot, k)
    dot = first(LU11, A11_dot)
    U12_dot = solve_L(LU11, A12_dot - xp.tril(dot, k=-1) @ U12)
    L21_dot = _solve_U(LU11, A21_dot - L21 @ xp.triu(dot))
    D22 = last(LU22, A22_dot - L21_dot @ U12 - L21 @ U12_dot)
    return _assembled(out, k, [[dot, U12_dot], [L21_dot, D22]])


def _dot_beside(LU, A_dot, square):
    xp, (m, n), k = namespace(LU), LU.shape[-2:], _smaller(LU)
    LU11, dot = LU[..., :k, :k], square(LU[..., :k, :k], A_dot[..., :k, :k])
    if m > n:
        return xp.concat([dot, _solve_U(LU11, A_dot[..., k:, :] - LU[..., k:, :] @ xp.triu(dot))], axis=-2)
    return xp.concat([dot, solve_L(LU11, A_dot[..., :, k:] - xp.tril(dot, k=-1) @ LU[..., :, k:])], axis=-1)


def _bar_halved(LU, G, out=None, depth=None):
    return _bar.halved(LU, G, out, depth)


def _dot_halved(LU, A_dot, out=None, depth=None):
    return _dot.halved(LU, A_dot, out, depth)


_bar = _Rule(_bar_whole, _bar_joined, _bar_beside, _bar_halved)
_dot = _Rule(_dot_whole, _dot_joined, _dot_beside, _dot_halved)


@lu.vjp
def _(bars, outputs, A):
    (_, L_bar, U_bar, _), (_, L, U, p) = bars, outputs
    xp = namespace(A)

    def A_bar():
        if (L_bar is None and U_bar is None) or 0 in A.shape[-2:]:
            return xp.zeros_like(A)
        G = _packed(*(xp.zeros_like(X) if bar is None else bar for X, bar in ((L, L_bar), (U, U_bar))))
        return xp.take_rows(_bar(_packed(L, U), G), xp.argsort(p))

    return (A_bar,)


@lu.jvp
def _(outputs, A):
    _, L, U, p = outputs

    def dots(A_dot):
        xp = namespace(A)
        if 0 in A.shape[-2:]:
            return None, xp.zeros_like(L), xp.zeros_like(U), None
        L_dot, U_dot = _parts(_dot(_packed(L, U), xp.take_rows(A_dot, p)))
        return None, xp.tril(L_dot, k=-1), xp.triu(U_dot), None

    return (dots,)


@lu.samples
def _(case):
    yield case(case.square(4))
    yield case(case.square(4)[..., :, :-1])
    yield case(case.square(5)[..., :-2, :])


@lu.reference
def _(mp, A):
    LU, _, p = _eliminate(A)
    k, eye = min(A.shape), mp.eye(len(A))
    return eye[:, p], mp.tril(LU[:, :k], -1) + eye[:, :k], mp.triu(LU[:k])


def _eliminate(A):
    """What `getrf` returns, from an array of any numbers."""
    A, pivots, p = A.copy(), [], list(range(len(A)))
    for j in range(min(A.shape)):
        # LAPACK takes the largest |Re| + |Im|
        i = max(range(j, len(A)), key=lambda i: abs(A[i, j].real) + abs(A[i, j].imag))
        A[[i, j]], p[i], p[j] = A[[j, i]], p[j], p[i]
        pivots.append(i + 1)
        A[j + 1 :, j] = A[j + 1 :, j] / A[j, j]
        A[j + 1 :, j + 1 :] = A[j + 1 :, j + 1 :] - A[j + 1 :, j, None] * A[None, j, j + 1 :]
    return A, pivots, p


@lu_factor.vjp
def _(bars, outputs, A):
    (LU_bar, _, _), (LU, _, p) = bars, outputs
    xp = namespace(A)

    def A_bar():
        if LU_bar is None or 0 in A.shape[-2:]:
            return xp.zeros_like(A)
        return xp.take_rows(_bar(LU, LU_bar), xp.argsort(p))

    return (A_bar,)


@lu_factor.jvp
def _(outputs, A):
    LU, _, p = outputs
    xp = namespace(A)

    def LU_dot(A_dot):
        return xp.zeros_like(LU) if 0 in A.shape[-2:] else _dot(LU, xp.take_rows(A_dot, p))

    return (lambda A_dot: (LU_dot(A_dot), None, None),)


@lu_factor.samples
def _(case):
    yield case(case.square(4))
    yield case(case.square(5)[..., :-2, :])


@lu_factor.reference
def _(mp, A):
    LU, pivots, _ = _eliminate(A)
    return LU, mp.array(pivots)
