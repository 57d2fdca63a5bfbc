"""The factorisation of symmetric indefinite matrices, by Bunch and Kaufman's pivots.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar.kernels`, and `halving` of the rules.
"""

import numpy as np
import scipy.linalg

from overbar._namespace import front, mH, mT, namespace
from overbar._primitive import primitive
from overbar.kernels._ldl import bunch_kaufman
from overbar.rules import _halving as halving


@primitive("(n,n)->(n,n),(n,n),(n)", hermitian=("A",))
def ldl(A, *, lower=True):
    """The factorisation A = L D Lᴴ of a symmetric (Hermitian) matrix, with rows in the order of the pivots.

    Parameters
    ----------
    A
        Symmetric or Hermitian, and not necessarily definite. Only the named triangle is read; its bar comes back
        Hermitian.
    lower : bool
        Read the lower triangle, and make L[perm] lower triangular; else the upper.

    Returns
    -------
    L : array (..., n, n)
        L[perm] is triangular, with ones on the diagonal.
    D : array (..., n, n)
        Hermitian, with blocks of one or two rows and columns on its diagonal.
    perm : array of integers (..., n)
        The order of the rows.

    Raises
    ------
    LinAlgError of the array's library
        A is not finite. (scipy.linalg.ldl has an argument `hermitian`, which is True here: complex symmetric matrices
        are not factorised.)

    Notes
    -----
    The pivots and the blocks are taken for constant, as they are for almost all A; so let A stand for
    A[perm][:, perm], and L for L[perm]. Differentiate A = L D Lᴴ and multiply from both sides,

        F = L⁻¹ Ȧ L⁻ᴴ = K D + Ḋ + D Kᴴ,    K = L⁻¹ L̇.

    L has the identity instead of each block of D, so that K vanishes there. The blocks of F on the diagonal are
    those of Ḋ, and below them (above, for an upper triangle) is K D:

        Ḋ = block(F),    L̇ = L (below(F) D⁻¹).

    Reverse, as `block` and `below` only select entries,

        Ā = sym(L⁻ᴴ F̄ L⁻¹),    F̄ = block(D̄) + below(Lᴴ L̄ D⁻¹).

    The last pivot is never divided by: below it is nothing. So the rules hold for singular A too, if that is the only
    pivot that vanishes; for others there is no derivative, and the bar has infinities or NaN. With blocks of size one
    these are the rules of de Hoog, Anderssen & Lukas (2011), "Differentiation of matrix functionals using triangular
    factorization"; the pivots are those of Bunch & Kaufman (1977). The value is computed on the host, by SciPy. Cost:
    products and triangular solves, 5n³ flops in reverse, where the function takes n³/3.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A = np.array([[1.0, 2.0], [2.0, 1.0]])
    >>> L, D, perm = overbar.ldl(A)
    >>> bool(np.allclose(L @ D @ L.T, A)), perm.tolist()
    (True, [0, 1])
    """
    return front(A).compute(bunch_kaufman, A, lower=lower)


class Blocks:
    """Which entries belong to the blocks of D, Hermitian or symmetric, and what D⁻¹ is."""

    def __init__(self, D, lower, hermitian=True):
        self.lower, self.side, self.hermitian = lower, -1 if lower else 1, hermitian
        self.xp = xp = namespace(D)
        self.D, self.beside = D, xp.diagonal(D, offset=-1)  # zero where no block of two begins
        self.double = xp.astype(xp.not_equal(self.beside, 0), D.dtype)

    def on_diagonal(self, F):
        """block(F)."""
        xp = self.xp
        n = xp.shape(F)[-1]
        total = xp.diagonal_embed(xp.diagonal(F), n, n)
        for offset in (-1, 1):
            total = total + xp.diagonal_embed(self.double * xp.diagonal(F, offset=offset), n, n, offset)
        return total

    def below(self, F):
        """below(F), or what is above the blocks."""
        xp = self.xp
        n = xp.shape(F)[-1]
        inside = xp.diagonal_embed(self.double * xp.diagonal(F, offset=self.side), n, n, self.side)
        return (xp.tril(F, k=-1) if self.lower else xp.triu(F, k=1)) - inside

    def over_D(self, X, last=False):
        """X D⁻¹, for an X that is zero where `below` selects nothing, or with the last pivot for any."""
        xp, double, d = self.xp, self.double, self.xp.diagonal(self.D)
        none = xp.zeros_like(d[..., :1])

        # A block is |b| times [[α, ū], [u, γ]] with |u| = 1, and its inverse [[γ, −ū], [−u, α]] times `factor`. (Where
        # D is symmetric, u stands for ū.)
        size = xp.astype(xp.abs(self.beside), d.dtype) + (1 - double)
        alpha, gamma, u = double * d[..., :-1] / size, double * d[..., 1:] / size, self.beside / size
        above = xp.conj(u) if self.hermitian else u
        factor = double / (size * (alpha * gamma - u * above - (1 - double)))
        inside = xp.concat([double, none], axis=-1) + xp.concat([none, double], axis=-1)
        single = d * (1 - inside) + inside
        if not last:  # it is divided by nowhere: where it is zero, 1 stands for it
            one = xp.ones_like(none)
            single = xp.concat([single[..., :-1], one] if self.lower else [one, single[..., 1:]], axis=-1)
        diagonal = xp.concat([gamma * factor, none], axis=-1) + xp.concat([none, alpha * factor], axis=-1)
        diagonal = diagonal + (1 - inside) / single

        def columns(v):
            return v[..., None, :]

        empty = xp.zeros_like(X[..., :, :1])
        left = X[..., :, 1:] * columns(-u * factor)
        right = X[..., :, :-1] * columns(-above * factor)
        return X * columns(diagonal) + xp.concat([left, empty], axis=-1) + xp.concat([empty, right], axis=-1)


def _permuted(A, p):
    """A[p][:, p]."""
    xp = namespace(A)
    return mT(xp.take_rows(mT(xp.take_rows(A, p)), p))


def product_of(X, Y, lower):
    """X Y for triangular matrices of one kind, by halves: half of the flops of a product of full matrices, and less."""
    xp, n = namespace(X), X.shape[-1]
    if n is None or n <= halving.base(X):
        return X @ Y
    one, two = slice(0, n // 2), slice(n // 2, n)
    X11, X22, Y11, Y22 = X[..., one, one], X[..., two, two], Y[..., one, one], Y[..., two, two]
    C11, C22 = product_of(X11, Y11, lower), product_of(X22, Y22, lower)
    if lower:
        C21 = xp.add_product(X[..., two, one] @ Y11, X22, Y[..., two, one], 1)
        return xp.block([[C11, xp.zeros_like(mH(C21))], [C21, C22]])
    C12 = xp.add_product(X11 @ Y[..., one, two], X[..., one, two], Y22, 1)
    return xp.block([[C11, C12], [xp.zeros_like(mH(C12)), C22]])


@ldl.vjp
def _(bars, outputs, A, *, lower):
    (L_bar, D_bar, _), (L, D, perm) = bars, outputs
    xp = namespace(A)

    def A_bar():
        if (L_bar is None and D_bar is None) or 0 in A.shape[-2:]:
            return xp.zeros_like(A)
        blocks, T, F_bar = Blocks(D, lower), xp.take_rows(L, perm), 0
        if D_bar is not None:
            F_bar = blocks.on_diagonal(D_bar)
        if L_bar is not None:
            F_bar = F_bar + blocks.below(blocks.over_D(blocks.below(mH(T) @ xp.take_rows(L_bar, perm))))
        triangle = {"upper": not lower, "unitriangular": True}
        bar = xp.solve_triangular(T, F_bar, adjoint=True, **triangle)
        bar = xp.solve_triangular(T, bar, left=False, **triangle)
        return _permuted(bar + mH(bar), xp.argsort(perm)) / 2

    return (A_bar,)


@ldl.jvp
def _(outputs, A, *, lower):
    L, D, perm = outputs
    xp = namespace(A)

    def dots(A_dot):
        if 0 in A.shape[-2:]:
            return xp.zeros_like(A), xp.zeros_like(A), None
        blocks, T = Blocks(D, lower), xp.take_rows(L, perm)
        triangle = {"upper": not lower, "unitriangular": True}
        F = xp.solve_triangular(T, _permuted(A_dot + mH(A_dot), perm) / 2, **triangle)
        F = xp.solve_triangular(T, F, left=False, adjoint=True, **triangle)
        L_dot = product_of(T, blocks.over_D(blocks.below(F)), lower)
        return xp.take_rows(L_dot, xp.argsort(perm)), blocks.on_diagonal(F), None

    return (dots,)


CLEAR = np.array([[0.1, 0, 0, 2], [0, 3, 0, 0], [0, 0, -2, 0], [2, 0, 0, 0.2]])


@ldl.samples
def _(case):
    # Far from where another pivot would be taken, which is where the function jumps. There are blocks of both sizes.
    for lower in (True, False):
        noise = case.hermitian(4)
        times = noise.shape[-1] // 4  # more than once where a large matrix is drawn
        yield case((np.kron(np.eye(times), CLEAR) + noise / (8 * times**0.5)).astype(case.dtype), lower=lower)


@ldl.reference
def _(mp, A, *, lower):
    n = len(A)
    _, D, perm = scipy.linalg.ldl(mp.float(A), lower=lower)  # only for the pivots, which are no numbers
    order = range(n) if lower else range(n)[::-1]  # an upper triangle is a lower one turned round
    A = (mp.tril(A) + mp.mH(mp.tril(A, -1))) if lower else (mp.triu(A) + mp.mH(mp.triu(A, 1)))
    double = D.diagonal(-1)[:: 1 if lower else -1] != 0
    T, E = eliminated(mp, A[perm][:, perm][order][:, order], double)
    L = mp.zeros((n, n))
    L[perm] = T[order][:, order]
    return L, E[order][:, order], mp.array(perm)


def eliminated(mp, B, double):
    """T and D of B = T D Tᴴ, where it is said at which rows blocks of two begin."""
    n, i = len(B), 0
    T, D = mp.eye(n), mp.zeros((n, n))
    while i < n:
        j = i + 2 if i + 1 < n and double[i] else i + 1
        D[i:j, i:j] = B[i:j, i:j]
        if j < n:
            T[j:, i:j] = mp.mH(mp.solve(mp.mH(B[i:j, i:j]), mp.mH(B[j:, i:j])))
            B[j:, j:] = B[j:, j:] - T[j:, i:j] @ B[i:j, j:]
        i = j
    return T, D
