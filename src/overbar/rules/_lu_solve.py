"""Solving with the factors of an LU decomposition.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar.kernels`, and `lu` and `triangular` of the rules.
The pivots are constant where the decomposition is differentiable at all.
"""

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive
from overbar.kernels._lu import permutation
from overbar.rules._lu import solve_L, square
from overbar.rules._triangular import check_sides


@primitive("(n,n),(n),(p,q?)->(p,q?),(n)", intermediates=1, integer=("pivots",))
def lu_solve(LU, pivots, B, *, left=True, adjoint=False):
    """The solution X of op(A) X = B or X op(A) = B, for a matrix A whose factors `lu_factor` has computed.

    Parameters
    ----------
    LU
        The factors of A = P L U: L below the diagonal, without its ones, and U on and above it.
    pivots
        Row i was exchanged with row pivots[i] − 1, one after the other. (LAPACK counts from 1.) They have no
        derivative.
        TensorFlow's function takes instead the rows p that `tf_ops.lu` returns, counted from 0.
    B : array (..., n, k) or (n,); with ``left=False`` (..., k, n)
    left : bool
        op(A) X = B; otherwise X op(A) = B.
    adjoint : bool
        op(A) = Aᴴ in place of A.

    Returns
    -------
    array of the shape of B

    Raises
    ------
    LinAlgError of the array's library
        The pivots are those of no decomposition; in NumPy also: U has a zero on its diagonal. (Of such a U, PyTorch and
        TensorFlow return infinities and NaN, as their own functions do. Under XLA impossible pivots give NaN.) A NaN in
        LU or B goes through to X.

    Notes
    -----
    Write Y for the solution of Aᴴ Y = S and Z for that of A Z = R, one of which is X and the other, by the rule of
    `solve`, B̄: R = B and S = X̄, or for op(A) = Aᴴ the other way round. With the pivots constant,

        V = L⁻¹ Pᵀ R,    Z = U⁻¹ V,    W = U⁻ᴴ S,    Pᵀ Y = L⁻ᴴ W.

    By the same rule Ā = −Y Zᴴ. From Ȧ = P (L̇ U + L U̇) follow L̄ = Pᵀ Ā Uᴴ and Ū = Lᴴ Pᵀ Ā (Giles 2008, section
    2.2.1), of which the halves of the two solutions already hold the factors:

        L̄ = −tril₋₁(Pᵀ Y Vᴴ),    Ū = −triu(W Zᴴ).

    Forward, line by line, Ẋ = U⁻¹ (L⁻¹ (Pᵀ Ḃ − L̇ V) − U̇ X), or for Aᴴ, whose W = U⁻ᴴ B, Pᵀ Ẋ = L⁻ᴴ (U⁻ᴴ (Ḃ − U̇ᴴ W) −
    L̇ᴴ Pᵀ X). Cost: the function takes 2n²k flops, each rule 7n²k.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> LU, pivots = overbar.lu_factor(np.array([[1.0, 3.0], [2.0, 4.0]]))
    >>> overbar.lu_solve(LU, pivots, np.array([5.0, 6.0]))
    array([-1.,  2.])
    """
    xp = namespace(LU)
    check_sides("lu_solve", LU, B, left, "LU")
    (order,) = front(pivots).compute(permutation, pivots, pivots)
    turned, adjoint = _from_left(left, adjoint)
    B = turned(B)
    if adjoint:
        X = xp.take_rows(solve_L(LU, _solve_U_left(LU, B, adjoint=True), adjoint=True), _way_back(order))
    else:
        X = _solve_U_left(LU, solve_L(LU, xp.take_rows(B, order)))
    # one permutation for each matrix of the batch, as every output has it
    order = xp.broadcast_to(order, (*xp.shape(X)[:-2], xp.shape(LU)[-1]))
    return turned(X), order


def _way_back(order):
    """The permutation that undoes another. (Where nothing can be raised, −1 says that there is none: it stays.)"""
    xp = namespace(order)
    return xp.where(order < 0, order, xp.astype(xp.argsort(order), order.dtype))


def _from_left(left, adjoint):
    """What makes B and X those of an equation with A on the left (it is its own inverse), and whether that has Aᴴ."""
    return (lambda X: X, adjoint) if left else (mH, not adjoint)


def _solve_U_left(LU, B, adjoint=False):
    """U⁻¹ B, or U⁻ᴴ B."""
    return namespace(LU).solve_triangular(LU, B, upper=True, adjoint=adjoint)


@lu_solve.vjp
def _(bars, outputs, LU, pivots, B, *, left, adjoint):
    (X_bar, _), (X, order) = bars, outputs
    xp = namespace(LU)
    X_bar = xp.zeros_like(X) if X_bar is None else X_bar
    turned, adjoint = _from_left(left, adjoint)
    X, X_bar, B = map(turned, (X, X_bar, B))
    R, S = (X_bar, B) if adjoint else (B, X_bar)
    V = once(lambda: solve_L(LU, xp.take_rows(R, order)))
    W = once(lambda: _solve_U_left(LU, S, adjoint=True))
    if adjoint:
        Y = once(lambda: xp.take_rows(X, order))
        Z = once(lambda: _solve_U_left(LU, V()))
    else:
        Y = once(lambda: solve_L(LU, W(), adjoint=True))
        Z = lambda: X  # noqa: E731

    def LU_bar():
        return -square(Y() @ mH(V()), W() @ mH(Z()))

    def B_bar():
        return turned(Z() if adjoint else xp.take_rows(Y(), _way_back(order)))

    return LU_bar, (lambda: 0 * pivots) if xp.is_floating(pivots) else None, B_bar


@lu_solve.jvp
def _(outputs, LU, pivots, B, *, left, adjoint):
    X, order = outputs
    xp = namespace(LU)
    turned, adjoint = _from_left(left, adjoint)
    X, B = turned(X), turned(B)

    def dots(LU_dot, _, B_dot):
        L_dot, U_dot, rest = xp.tril(LU_dot, k=-1), xp.triu(LU_dot), turned(B_dot)
        if adjoint:
            rest = _solve_U_left(LU, rest - mH(U_dot) @ _solve_U_left(LU, B, adjoint=True), adjoint=True)
            X_dot = solve_L(LU, rest - mH(L_dot) @ xp.take_rows(X, order), adjoint=True)
            X_dot = xp.take_rows(X_dot, _way_back(order))
        else:
            V = solve_L(LU, xp.take_rows(B, order))
            X_dot = _solve_U_left(LU, solve_L(LU, xp.take_rows(rest, order) - L_dot @ V) - U_dot @ X)
        return turned(X_dot), None

    return dots


@lu_solve.samples
def _(case):
    yield case(case.square(4), _pivots(case, 1), case.normal(4, 2))
    yield case(case.square(4), _pivots(case, 2), case.normal(2, 4), left=False)
    yield case(case.square(4), _pivots(case, 3), case.normal(4, 1), adjoint=True)


def _pivots(case, distance):
    """Each row is exchanged with one so far below it, or the last."""
    pivots = case.normal(4)
    n = pivots.shape[-1]
    pivots[...] = np.minimum(np.arange(1, n + 1) + distance, n)
    return pivots


@lu_solve.reference
def _(mp, LU, pivots, B, *, left, adjoint):
    n = len(LU)
    L, U = mp.eye(n), mp.zeros((n, n))
    for i in range(n):
        L[i, :i], U[i, i:] = LU[i, :i], LU[i, i:]
    A = L @ U
    for i in reversed(range(n)):
        j = round(float(pivots[i].real)) - 1
        A[[i, j]] = A[[j, i]]
    if adjoint:
        A = mp.mH(A)
    return mp.solve(A, B) if left else mp.mT(mp.solve(mp.mT(A), mp.mT(B)))
