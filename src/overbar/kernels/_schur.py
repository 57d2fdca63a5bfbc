"""The Schur decomposition, and what its derivative solves: X T − T X = F below the blocks of T.

May import NumPy, and `kernel`, `schur_forms`, `stacks` and `triangular_equations` of the kernels.
"""

import numpy as np

from overbar.kernels._kernel import kernel
from overbar.kernels._schur_forms import schur_forms
from overbar.kernels._stacks import TOGETHER, mH, refuse_not_finite
from overbar.kernels._triangular_equations import by_kronecker, middle, triangular_sylvester


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
    T = np.triu(np.asarray(T, kind), 0 if kind.kind == "c" else -1)  # in complex ones there are no blocks of two
    if not T.size:
        return np.array(F, kind)
    double = np.diagonal(T, -1, -2, -1) != 0
    _check_distinct(T, double)
    X = _below(np.array(F, kind), double)  # what is above would come into the products
    if T.shape[-1] <= TOGETHER:  # matrices with the same blocks are solved together
        stacks = [np.flatnonzero((double == pattern).all(-1)) for pattern in np.unique(double, axis=0)]
    else:
        stacks = np.arange(len(T))[:, None]
    for stack in stacks:
        X[stack] = _solve_commutator(T[stack], X[stack], adjoint)
    return _below(X, double)


def _below(X, double):
    """What is below the blocks, of which those of two begin where `double` says."""
    X, i = np.tril(X, -1), np.arange(1, X.shape[-1])
    X[:, i, i - 1] = np.where(double, 0, X[:, i, i - 1])
    return X


def _solve_commutator(T, X, adjoint):
    """By halves, instead of F, which X is at first; for a stack of matrices with the same blocks."""
    k = middle(T)
    if not 0 < k < T.shape[-1]:
        return X
    T11, T12, T22 = T[:, :k, :k], T[:, :k, k:], T[:, k:, k:]
    X11, X21, X22 = X[:, :k, :k], X[:, k:, :k], X[:, k:, k:]
    if adjoint:
        _solve_commutator(T11, X11, adjoint)
        _solve_commutator(T22, X22, adjoint)
        right = X21 + mH(T12) @ X11 - X22 @ mH(T12)
        X21[...] = mH(_sylvester(T11, -T22, mH(right)))  # T₁₁ X₂₁ᴴ − X₂₁ᴴ T₂₂
    else:
        X21[...] = _sylvester(-T22, T11, X21)
        X11 += T12 @ X21
        X22 -= X21 @ T12
        _solve_commutator(T11, X11, adjoint)
        _solve_commutator(T22, X22, adjoint)
    return X


def _sylvester(R, S, F):
    if len(F) == 1:
        return triangular_sylvester(R[0], S[0], F[0].copy())[None]
    blocks = any(np.diagonal(T, -1, -2, -1).any() for T in (R, S))
    return triangular_sylvester(R, S, F.copy(), whole=by_kronecker, small=2 if blocks else 1)


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
