"""The Schur decomposition, and what its derivative solves: X T − T X = F below the blocks of T.

May import NumPy, and `kernel`, `schur_forms` and `stacks` of the kernels.
"""

import numpy as np

from overbar.kernels._kernel import kernel
from overbar.kernels._schur_forms import schur_forms
from overbar.kernels._stacks import TOGETHER, lapack, mH, refuse_not_finite


@kernel("(n,n)->(n,n),(n,n)", "==", stacked=True)
def real_schur(A):
    """LAPACK's real Schur decomposition, T and Z, in the signs of `_settled`."""
    return _settled(A)


@kernel("(n,n)->(n,n),(n,n)", "cc", stacked=True)
def complex_schur(A):
    """LAPACK's complex Schur decomposition, T and Z, in the phases of `_settled`."""
    return _settled(A.astype(np.result_type(A, np.complex64)))


def _settled(A):
    """LAPACK's decomposition with the largest entry of each column of Z real and positive."""
    refuse_not_finite("schur", A=A)
    if not A.size:
        return A, A
    T, Z, _ = schur_forms(A)
    largest = np.take_along_axis(Z, abs(Z).argmax(-2)[:, None, :], -2)
    phase = np.conj(largest) / abs(largest)
    return np.conj(phase).swapaxes(-1, -2) * T * phase, Z * phase


@kernel("(n,n),(n,n)->(n,n)", "=", stacked=True)
def triangular_commutator(T, F, *, adjoint):
    """The X below the blocks of T for which X T − T X agrees with F there; X Tᴴ − Tᴴ X where `adjoint`."""
    kind = np.result_type(T, F)
    T, X = np.asarray(T, kind), np.array(F, kind)
    if not X.size:
        return X
    double = np.diagonal(T, -1, -2, -1) != 0
    if kind.kind == "c":
        double = np.zeros_like(double)  # in complex ones there are no blocks of two
    _check_distinct(T, double)
    for pattern in np.unique(double, axis=0):  # matrices with the same blocks are solved together
        alike = np.flatnonzero((double == pattern).all(-1))
        edges = np.append(np.flatnonzero(np.append(True, ~pattern)), T.shape[-1])
        X[alike] = _Commutator(T[alike], X[alike], edges, adjoint).solution()
    return X


class _Commutator:
    """X T − T X = F, or X Tᴴ − Tᴴ X = F, below the blocks that lie between the edges, for a stack of matrices. X has F
    at first."""

    def __init__(self, T, X, edges, adjoint):
        self.T, self.X, self.edges, self.adjoint = T, X, edges, adjoint
        self.together = len(T) > 1 and T.shape[-1] <= TOGETHER

    def solution(self):
        if self.adjoint:
            self._drop()  # what is above would come into the products with the blocks that are solved
        self._solve(0, len(self.edges) - 1)
        return self._drop()

    def _drop(self):
        self.X = np.tril(self.X, -1)
        for start, end in zip(self.edges[:-1], self.edges[1:], strict=True):
            self.X[:, start:end, start:end] = 0
        return self.X

    def _between(self, blocks):
        """The rows or columns of the blocks from the first of a pair of numbers up to the second."""
        return slice(self.edges[blocks[0]], self.edges[blocks[1]])

    def _solve(self, first, last):
        T, X = self.T, self.X
        if last - first == 1:
            one = self._between((first, last))
            X[:, one, one] = 0
            return
        middle = (first + last) // 2
        one, two = self._between((first, middle)), self._between((middle, last))
        T12 = T[:, one, two]
        if self.adjoint:
            self._solve(first, middle)
            self._solve(middle, last)
            T21 = mH(T12)
            X[:, two, one] += T21 @ X[:, one, one] - X[:, two, two] @ T21
        self._sylvester((middle, last), (first, middle))
        if not self.adjoint:
            X21 = X[:, two, one]
            X[:, one, one] += T12 @ X21
            X[:, two, two] -= X21 @ T12
            self._solve(first, middle)
            self._solve(middle, last)

    def _sylvester(self, rows, columns):
        """X₂₁ T₁₁ − T₂₂ X₂₁ = F₂₁, or that with Tᴴ, by halves down to single blocks where that is done for many."""
        T, X = self.T, self.X
        two, one = self._between(rows), self._between(columns)
        high, wide = rows[1] - rows[0], columns[1] - columns[0]
        if not self.together:
            self._by_routine(two, one)
        elif high == wide == 1:
            self._of_blocks(two, one)
        elif high >= wide:
            parts = (rows[0], rows[0] + high // 2), (rows[0] + high // 2, rows[1])
            known, rest = map(self._between, parts if self.adjoint else parts[::-1])
            self._sylvester(parts[not self.adjoint], columns)
            between = mH(T[:, known, rest]) if self.adjoint else T[:, rest, known]
            X[:, rest, one] += between @ X[:, known, one]
            self._sylvester(parts[self.adjoint], columns)
        else:
            parts = (columns[0], columns[0] + wide // 2), (columns[0] + wide // 2, columns[1])
            known, rest = map(self._between, parts[::-1] if self.adjoint else parts)
            self._sylvester(rows, parts[self.adjoint])
            between = mH(T[:, rest, known]) if self.adjoint else T[:, known, rest]
            X[:, two, rest] -= X[:, two, known] @ between
            self._sylvester(rows, parts[not self.adjoint])

    def _of_blocks(self, two, one):
        T11, T22, F = self.T[:, one, one], self.T[:, two, two], self.X[:, two, one]
        if self.adjoint:
            T11, T22 = mH(T11), mH(T22)
        p, q = F.shape[-2:]
        if p == q == 1:
            self.X[:, two, one] = F / (T11 - T22)
            return
        # vec by rows: X T₁₁ is (I ⊗ T₁₁ᵀ) vec X, T₂₂ X is (T₂₂ ⊗ I) vec X
        A = np.einsum("ab,kji->kaibj", np.eye(p), T11) - np.einsum("kab,ij->kaibj", T22, np.eye(q))
        found = np.linalg.solve(A.reshape(-1, p * q, p * q), F.reshape(-1, p * q, 1))
        self.X[:, two, one] = found.reshape(F.shape)

    def _by_routine(self, two, one):
        trsyl = lapack("trsyl", self.X.dtype)
        transpose = "N" if not self.adjoint else "C" if self.X.dtype.kind == "c" else "T"
        for T, X in zip(self.T, self.X, strict=True):
            # T₂₂ X₂₁ − X₂₁ T₁₁ = −F₂₁
            found, scale, _ = trsyl(T[two, two], T[one, one], -X[two, one], trana=transpose, tranb=transpose, isgn=-1)
            X[two, one] = found / scale


def _check_distinct(T, double):
    """Raise where one of a stack has equal eigenvalues, or a block of two whose columns may be rotated."""
    n = T.shape[-1]
    small = 10 * n * np.finfo(T.dtype).eps * abs(T).max((-2, -1), initial=0)[:, None]
    b, c = np.diagonal(T, 1, -2, -1), np.diagonal(T, -1, -2, -1)
    if (double & (abs(b + c) <= small)).any():
        raise np.linalg.LinAlgError(
            "schur: argument A has a pair of complex eigenvalues whose block is that of a rotation: any rotation "
            'of its two columns is as good, and there is no derivative. Take output="complex".'
        )
    values = np.diagonal(T, 0, -2, -1).astype(np.result_type(T, np.complex64))
    root = 1j * np.where(double, np.sqrt(abs(b)) * np.sqrt(abs(c)), 0)
    values[:, :-1] += root
    values[:, 1:] -= root
    values = np.sort(values, axis=-1)  # by real parts, then by imaginary ones
    for shift in range(1, n):
        above, below = values[:, shift:], values[:, :-shift]
        if not (abs(above.real - below.real) <= small).any():
            break
        if (abs(above - below) <= small).any():
            raise np.linalg.LinAlgError(
                "schur: argument A has repeated eigenvalues, to rounding: the vectors that belong to them are "
                "arbitrary, and there is no derivative."
            )
