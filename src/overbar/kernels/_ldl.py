"""The factorisation of symmetric indefinite matrices by Bunch and Kaufman's pivots, what these say, and derivatives.

May import NumPy, SciPy, and `kernel` and `stacks` of the kernels.
"""

import numpy as np
import scipy.linalg
from scipy.linalg import blas

from overbar.kernels._kernel import kernel
from overbar.kernels._stacks import above, lapack, refuse_not_finite, whole_pivots


@kernel("(n,n)->(n,n),(n,n),(n)", "==i")
def bunch_kaufman(A, *, lower):
    """SciPy's ldl of a Hermitian matrix."""
    refuse_not_finite("ldl", A=A)
    if len(A) == 0:
        return A, A, np.arange(0)
    if A.dtype.kind == "c":  # LAPACK takes the diagonal for real, and SciPy warns where it is not
        A = A - 1j * np.diag(A.diagonal().imag)
    return scipy.linalg.ldl(A, lower=lower)


@kernel("(n,n)->(n,n),(n)", "=i")
def sytrf(A, *, hermitian):
    """LAPACK's factors of A in one array, and its pivots."""
    if len(A) == 0:
        return A, np.arange(0)
    name = "hetrf" if hermitian and A.dtype.kind == "c" else "sytrf"
    size = int(lapack(f"{name}_lwork", A.dtype)(len(A), lower=1)[0].real)
    LD, pivots, _ = lapack(name, A.dtype)(A, lower=1, lwork=size)
    return np.tril(LD), pivots


@kernel("(n)->(n),(n,n),(n,n),(n)", "iiii")
def ldl_order(pivots):
    """What pivots say: the order of the rows; for each column of LD in which rows of it those of L[perm] are, and where
    the rows of LD are in that; and a 1 where a block of two begins.

    LAPACK exchanges rows of what is left of A, and not those of the columns that it has done."""
    pivots = whole_pivots(pivots)
    n = len(pivots)
    swaps, double = exchanges(pivots)
    perm, rows = order(n, swaps), np.arange(n)[:, None] + np.zeros((1, n), int)
    for i, j, k in swaps:
        rows[[i, j], :k] = rows[[j, i], :k]
    back = np.empty_like(rows)
    np.put_along_axis(back, rows, np.arange(n)[:, None], 0)
    return perm, rows, back, double


def exchanges(pivots):
    """The pairs of rows that were exchanged, each with the number of columns that were done before, and a 1 where a
    block of two begins."""
    n, found, double, k = len(pivots), [], np.zeros(len(pivots), int), 0
    pivots = pivots.tolist()
    while k < n:
        two = pivots[k] < 0
        i, j = (k + 1, -pivots[k] - 1) if two else (k, pivots[k] - 1)
        if not i <= j < n:
            raise np.linalg.LinAlgError(
                f"pivot {k} is {pivots[k]}, which belongs to no factorisation. Take those that ldl_factor returns."
            )
        if i != j:
            found.append((i, j, k))
        double[k] = two
        k += 1 + two
    return found, double


def order(n, swaps):
    perm = list(range(n))
    for i, j, _ in swaps:
        perm[i], perm[j] = perm[j], perm[i]
    return np.array(perm, int)


#: The size up to which a product with the whole of D⁻¹ takes less time than one with its blocks, and masks are kept.
_FULL = 64


def _strict_triangle(X):
    """A copy of the triangle of X below the diagonal."""
    if len(X) > _FULL:
        return np.tril(X, -1)
    X = X.copy()
    np.copyto(X, 0, where=above(len(X), -1))
    return X


class _Factors:
    """T, D and the order of the rows of `ldl_factor`, A[perm][:, perm] = T D T′, and what its rules do with them.

    The rules are those of `rules.ldl_compact` in words, but each triangular product or solution is one call of BLAS,
    for half of the flops. BLAS stores by columns, so that it gets the transposes, and Tᵀ is upper triangular."""

    def __init__(self, LD, pivots, hermitian):
        n = len(LD)
        self.swaps, double = exchanges(whole_pivots(pivots))
        self.pairs, self.hermitian = np.flatnonzero(double), hermitian
        self.perm = order(n, self.swaps)
        self.T = self.below(LD)
        self.T.flat[:: n + 1] = 1
        self.trmm, self.trsm = _BLAS[LD.dtype.char]
        self.over = self._inverse_of_D(LD)

    def prime(self, X):
        return X.conj().T if self.hermitian else X.T

    def strictly_below(self, X):
        """A copy of what X has below its diagonal and the blocks of D."""
        return self.without_pairs(_strict_triangle(X))

    def below(self, LD):
        """What an array like LD holds of T, by rows as T has them."""
        L = self.strictly_below(LD)
        for i, j, k in self.swaps:
            row = L[i, :k].copy()
            L[i, :k] = L[j, :k]
            L[j, :k] = row
        return L

    def packed(self, T, F):
        """An array like LD from one like T, and the blocks of F."""
        L = _strict_triangle(T)
        for i, j, k in reversed(self.swaps):
            row = L[i, :k].copy()
            L[i, :k] = L[j, :k]
            L[j, :k] = row
        self.put_blocks(L, F)
        return L

    def put_blocks(self, X, F):
        """Make the blocks on the diagonal of X, of which the lower triangle is stored, those of F."""
        d, n = F.diagonal(), len(F)
        X.flat[:: n + 1] = d.real if self.hermitian else d
        X[self.pairs + 1, self.pairs] = F[self.pairs + 1, self.pairs]

    def _inverse_of_D(self, LD):
        """The diagonal of D⁻¹, 1 for the last pivot, and what is beside it. A block is |b| times [[α, ū], [u, γ]]."""
        d, i = LD.diagonal().copy(), self.pairs
        if self.hermitian:
            d = d.real.astype(d.dtype)
        beside = LD[i + 1, i]
        size = np.abs(beside)
        with np.errstate(divide="ignore", invalid="ignore"):  # of a singular matrix there is no derivative
            alpha, gamma, u = d[i] / size, d[i + 1] / size, beside / size
            above = u.conj() if self.hermitian else u
            factor = 1 / (size * (alpha * gamma - u * above))
            d[i], d[i + 1] = 1, 1
            d[-1] = 1
            diagonal = 1 / d
        diagonal[i], diagonal[i + 1] = gamma * factor, alpha * factor
        return diagonal, -u * factor, -above * factor

    def over_D(self, X, conj=False):
        """below(X) D⁻¹, or with the conjugate of D⁻¹."""
        diagonal, low, high = (x.conj() if conj else x for x in self.over)
        X, i, n = self.strictly_below(X), self.pairs, len(X)
        with np.errstate(invalid="ignore"):  # zero times an infinite entry of the inverse of a singular D
            if n <= _FULL:
                inverse = np.zeros((n, n), X.dtype)
                inverse.flat[:: n + 1] = diagonal
                inverse[i + 1, i], inverse[i, i + 1] = low, high
                return self.without_pairs(X @ inverse)
            first, second = X[:, i], X[:, i + 1]
            X *= diagonal
            X[:, i] += second * low
            X[:, i + 1] += first * high
        return self.without_pairs(X)

    def without_pairs(self, X):
        X[self.pairs + 1, self.pairs] = 0
        return X


_BLAS = {
    kind: (getattr(blas, f"{name}trmm"), getattr(blas, f"{name}trsm"))
    for kind, name in zip("fdFD", "sdcz", strict=True)
}


@kernel("(n,n),(n),(n,n)->(n,n)", "=")
def ldl_factor_cotangent(LD, pivots, LD_bar, *, hermitian):
    """The reverse rule of `ldl_factor`."""
    of = _Factors(LD, pivots, hermitian)
    Tt = of.T.T
    through = of.trmm(1.0, Tt, of.below(LD_bar).T, side=1, trans_a=2, diag=1, overwrite_b=1).T  # Tᴴ T̄
    F_bar = of.over_D(through, conj=not hermitian)
    of.put_blocks(F_bar, LD_bar)
    bar = of.trsm(1.0, Tt, F_bar.T, side=1, trans_a=2, diag=1, overwrite_b=1)
    if hermitian or bar.dtype.kind != "c":
        bar = of.trsm(1.0, Tt, bar, diag=1, overwrite_b=1)
    else:
        bar = of.trsm(1.0, Tt, bar.conj(), diag=1, overwrite_b=1).conj()
    bar = bar.T
    bar = (bar + of.prime(bar)) / 2
    if not of.swaps:
        return bar
    back = np.argsort(of.perm)
    return bar[back].take(back, 1)


@kernel("(n,n),(n),(n,n)->(n,n)", "=")
def ldl_factor_tangent(LD, pivots, A_dot, *, hermitian):
    """The forward rule of `ldl_factor`."""
    of = _Factors(LD, pivots, hermitian)
    Tt, F = of.T.T, (A_dot + of.prime(A_dot)) / 2
    if of.swaps:
        F = F[of.perm].take(of.perm, 1)
    F = of.trsm(1.0, Tt, F.T, side=1, diag=1, overwrite_b=1)
    F = of.trsm(1.0, Tt, F, trans_a=2 if hermitian else 1, diag=1, overwrite_b=1).T
    T_dot = of.trmm(1.0, Tt, of.over_D(F).T, side=1, diag=1, overwrite_b=1).T
    return of.packed(T_dot, F)
