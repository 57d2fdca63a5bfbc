"""The LU decomposition with partial pivoting, in three factors and in one array.

May import `overbar.namespace`, `overbar.primitive` and `overbar.kernel`. The pivots are constant where the
decomposition is differentiable at all: the rules are those of A[p] = L U without pivots.
"""

import numpy as np
import scipy.linalg

from overbar.kernel import kernel
from overbar.namespace import mH, namespace
from overbar.primitive import primitive


@kernel("(m,n)->(m,n),(m),(m)", "=ii")
def getrf(A):
    """LAPACK's factors of A in one array, its pivots, counted from 1 and filled up to m, and the rows p that they
    bring to the top: A[p] = L U."""
    m = len(A)
    pivots, p = np.arange(1, m + 1), np.arange(m)
    if A.size:
        (factor,) = scipy.linalg.get_lapack_funcs(("getrf",), (A,))
        A, swaps, _ = factor(A)
        pivots[: len(swaps)] = swaps + 1
        for i, j in enumerate(swaps):
            p[[i, j]] = p[[j, i]]
    return A, pivots, p


@kernel("(m,n),(k)->(m)", "i")
def permutation(LU, pivots):
    """The rows p that the pivots of `lu_factor` bring to the top."""
    p = np.arange(LU.shape[0])
    for i, j in enumerate(pivots - 1):
        p[[i, j]] = p[[j, i]]
    return p


@primitive("(m,n)->(m,m),(m,k),(k,n),(m)", hidden=1)
def lu(A):
    """The LU decomposition with partial pivoting, A = P L U.

    Parameters
    ----------
    A : array (..., m, n)
        Tall, square or wide; float32, float64, complex64 or complex128. It may be singular.

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
        A has too few dimensions or a dtype that is not floating point. The derivative raises in NumPy where a pivot is
        zero that something is divided by (PyTorch and TensorFlow give infinities and NaN): any but the last of a matrix
        that is not tall.

    Notes
    -----
    Let A be square and the rows be in their order, A[p] = L U. Differentiate, and multiply by L⁻¹ and U⁻¹:

        F = L⁻¹ Ȧ[p] U⁻¹ = L⁻¹ L̇ + U̇ U⁻¹,

    the sum of a strictly lower and of an upper triangle, so that

        L̇ = L tril(F, −1),    U̇ = triu(F) U.

    Reverse, from ⟨L̄, L̇⟩ + ⟨Ū, U̇⟩ = ⟨F̄, F⟩:

        Ā[p] = L⁻ᴴ F̄ U⁻ᴴ,    F̄ = tril(Lᴴ L̄, −1) + triu(Ū Uᴴ).

    L does not depend on the last pivot uₙₙ. It takes part in the last column of F only, where it cancels, and the rules
    put 1 in its place. So they are right where A is singular for its sake alone.

    A tall A has more rows L₂ of L, and L₂ = A₂ U₁⁻¹; a wide one more columns U₂ of U, and U₂ = L₁⁻¹ A₂. Forward,

        L̇₂ = (Ȧ₂ − L₂ U̇₁) U₁⁻¹,    U̇₂ = L₁⁻¹ Ȧ₂ − tril(F, −1) U₂.

    Reverse, F̄ = tril(L₁ᴴ L̄₁ − Ū₂ U₂ᴴ, −1) + triu(Ū₁ U₁ᴴ − L₂ᴴ L̄₂), and the bars of A₂ are L̄₂ U₁⁻ᴴ and L₁⁻ᴴ Ū₂.

    Source: de Hoog, Anderssen & Lukas (2011), "Differentiation of matrix functionals using triangular factorization";
    Giles (2008) has the method, section 2.2. Cost of the reverse rule, for n by n: two products of which half matters,
    and two triangular solves, 6n³ flops in large pieces; the function takes 2n³/3. TensorFlow computes the value on the
    host, by SciPy.

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
    LU, _, p = xp.lu_factor(getrf, A)
    return (xp.permutation_matrix(p, A), *_triangles(LU), p)


@primitive("(m,n)->(m,n),(k),(m)", hidden=1)
def lu_factor(A):
    """The LU decomposition with partial pivoting in one array, A = P L U.

    Parameters
    ----------
    A : array (..., m, n)
        Tall, square or wide; float32, float64, complex64 or complex128. It may be singular.

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
    read of the bars of L and U only the triangles that are here in one array. Cost: that of `lu`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> LU, pivots = overbar.lu_factor(np.array([[1.0, 3.0], [2.0, 4.0]]))
    >>> print(LU, pivots)
    [[2.  4. ]
     [0.5 1. ]] [2 2]
    """
    xp = namespace(A)
    LU, pivots, p = xp.lu_factor(getrf, A)
    return LU, xp.astype(pivots[..., : _smaller(A)], xp.int32), p


def _triangles(LU):
    """L and U."""
    xp = namespace(LU)
    k = _smaller(LU)
    m, n = xp.shape(LU)[-2:]
    L = LU if k is n else LU[..., :, :k]
    U = LU if k is m else LU[..., :k, :]
    return xp.tril(L, k=-1) + xp.eye_like(L), xp.triu(U)


def _smaller(A):
    """min(m, n), also where they are not known while a graph is built."""
    m, n = A.shape[-2:]
    return namespace(A).minimum(*namespace(A).shape(A)[-2:]) if m is None or n is None else min(m, n)


class _Factors:
    """L and U cut into the square parts L₁ and U₁ and the rest, L₂ below and U₂ beside them, None where it is empty."""

    def __init__(self, L, U):
        self.xp = xp = namespace(L)
        m, n = L.shape[-2], U.shape[-1]
        self.known = m is not None and n is not None
        self.tall, self.wide = not self.known or m > n, not self.known or n > m
        self.m, self.n = (m, n) if self.known else (xp.shape(L)[-2], xp.shape(U)[-1])
        self.k = min(m, n) if self.known else xp.shape(L)[-1]
        self.L1, self.L2 = self.rows(L)
        U1, self.U2 = self.columns(U)
        self.U1 = self._without_last_pivot(U1)

    def rows(self, X):
        return (X[..., : self.k, :], X[..., self.k :, :]) if self.tall else (X, None)

    def columns(self, X):
        return (X[..., :, : self.k], X[..., :, self.k :]) if self.wide else (X, None)

    def _without_last_pivot(self, U1):
        """U₁ with 1 for its last pivot, unless A is tall."""
        xp, last = self.xp, self.k - 1
        if self.known and self.m > self.n:
            return U1
        if self.known and self.k == 1:
            return xp.ones_like(U1)
        above, corner = U1[..., :last, :], U1[..., last:, last:]
        corner = xp.cond(self.m <= self.n, lambda: xp.ones_like(corner), lambda: corner)
        return xp.concat([above, xp.concat([U1[..., last:, :last], corner], axis=-1)], axis=-2)

    def bar(self, L_bar, U_bar):
        """The bar of A[p]."""
        xp, L1, L2, U1, U2 = self.xp, self.L1, self.L2, self.U1, self.U2
        L1_bar, L2_bar = (None, None) if L_bar is None else self.rows(L_bar)
        U1_bar, U2_bar = (None, None) if U_bar is None else self.columns(U_bar)
        F_bar = 0
        if L1_bar is not None:
            F_bar = xp.tril(mH(L1) @ L1_bar, k=-1)
        if U1_bar is not None:
            F_bar = F_bar + xp.triu(U1_bar @ mH(U1))
        if U2_bar is not None:
            F_bar = F_bar - xp.tril(U2_bar @ mH(U2), k=-1)
        if L2_bar is not None:
            F_bar = F_bar - xp.triu(mH(L2) @ L2_bar)
        bar = xp.solve_triangular(U1, F_bar, upper=True, left=False, adjoint=True)
        if U2 is not None:
            bar = xp.concat([bar, _or_zeros(U2_bar, U2)], axis=-1)
        bar = xp.solve_triangular(L1, bar, upper=False, adjoint=True, unitriangular=True)
        if L2 is None:
            return bar
        below = _or_zeros(L2_bar, L2)
        if L2_bar is not None:
            below = xp.solve_triangular(U1, below, upper=True, left=False, adjoint=True)
        return xp.concat([bar, self.as_wide(below)], axis=-2)

    def as_wide(self, below):
        """Where sizes are not known yet, L₂ and U₂ are both there, and one of them is empty: so is what is beside what
        is below."""
        return below if self.U2 is None else self.xp.concat([below, self.L2 @ self.U2], axis=-1)

    def dots(self, A_dot):
        """The tangents of L and U from that of A[p]."""
        xp, L1, L2, U1, U2 = self.xp, self.L1, self.L2, self.U1, self.U2
        top, below = self.rows(A_dot)
        X1, X2 = self.columns(xp.solve_triangular(L1, top, upper=False, unitriangular=True))
        F = xp.solve_triangular(U1, X1, upper=True, left=False)
        K, upper = xp.tril(F, k=-1), xp.triu(F)
        L_dot, U_dot = L1 @ K, upper @ U1
        if L2 is not None:
            L2_dot = xp.solve_triangular(U1, self.columns(below)[0] - L2 @ U_dot, upper=True, left=False)
            L_dot = xp.concat([L_dot, L2_dot], axis=-2)
        if U2 is not None:
            U_dot = xp.concat([U_dot, X2 - K @ U2], axis=-1)
        return L_dot, U_dot


def _or_zeros(bar, like):
    return namespace(like).zeros_like(like) if bar is None else bar


@lu.vjp
def _(bars, outputs, A):
    (_, L_bar, U_bar, _), (_, L, U, p) = bars, outputs
    xp = namespace(A)

    def A_bar():
        if (L_bar is None and U_bar is None) or 0 in A.shape[-2:]:
            return xp.zeros_like(A)
        return xp.take_rows(_Factors(L, U).bar(L_bar, U_bar), xp.argsort(p))

    return (A_bar,)


@lu.jvp
def _(outputs, A):
    _, L, U, p = outputs
    return (lambda A_dot: (None, *_dots(L, U, p, A_dot), None),)


def _dots(L, U, p, A_dot):
    xp = namespace(L)
    if 0 in L.shape[-2:] or U.shape[-1] == 0:
        return xp.zeros_like(L), xp.zeros_like(U)
    return _Factors(L, U).dots(xp.take_rows(A_dot, p))


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
        factors = _Factors(*_triangles(LU))
        return xp.take_rows(factors.bar(factors.columns(LU_bar)[0], factors.rows(LU_bar)[0]), xp.argsort(p))

    return (A_bar,)


@lu_factor.jvp
def _(outputs, A):
    LU, _, p = outputs

    def LU_dot(A_dot):
        xp = namespace(A)
        L, U = _triangles(LU)
        L_dot, U_dot = _dots(L, U, p, A_dot)
        factors = _Factors(L, U)
        (L1, L2), (U1, U2) = factors.rows(L_dot), factors.columns(U_dot)
        dot = L1 + U1
        if U2 is not None:
            dot = xp.concat([dot, U2], axis=-1)
        return dot if L2 is None else xp.concat([dot, factors.as_wide(L2)], axis=-2)

    return (lambda A_dot: (LU_dot(A_dot), None, None),)


@lu_factor.samples
def _(case):
    yield case(case.square(4))
    yield case(case.square(5)[..., :-2, :])


@lu_factor.reference
def _(mp, A):
    LU, pivots, _ = _eliminate(A)
    return LU, mp.array(pivots)
