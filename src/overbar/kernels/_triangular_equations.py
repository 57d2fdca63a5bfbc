"""Triangular matrix equations, Sylvester's and Stein's, by halves.

May import NumPy, and `stacks` of the kernels. Jonsson and Kågström (2002), "Recursive blocked algorithms for solving
triangular systems", parts I and II: the larger of the two matrices is halved until both are small, so that nearly all
the work is in products.
"""

import numpy as np

from overbar.kernels._stacks import lapack, mH, solve_upper

# Equations up to this size are solved as they are; larger ones are halved.
SMALL = 32


def by_routine(R, S, F, adjoint):
    """By LAPACK's trsyl, entry by entry, for single matrices. Real R and S may have 2 by 2 blocks on their diagonals.
    Instead of a sum of eigenvalues that is small beside the largest, it takes another number."""
    Y, scale, _ = lapack("trsyl", F.dtype)(R, S, F, tranb="C" if adjoint else "N")
    return Y / scale


def by_columns(R, S, F, adjoint):
    """Column by column, for stacks, and with every digit of a small sum of eigenvalues; none may be zero, and there are
    no blocks: (R + sⱼⱼ I) yⱼ = fⱼ − Σ sₖⱼ yₖ."""
    S = mH(S) if adjoint else S
    sums = np.diagonal(R, 0, -2, -1)[:, :, None] + np.diagonal(S, 0, -2, -1)[:, None, :]
    if not sums.all():
        raise np.linalg.LinAlgError("an eigenvalue of R is the negative of one of S")
    m, n = F.shape[-2:]
    M, i = np.array(np.broadcast_to(R, (len(F), m, m)), sums.dtype), np.arange(m)
    Y = np.empty_like(F)
    for j in reversed(range(n)) if adjoint else range(n):
        M[:, i, i] = sums[:, :, j]
        one, known = slice(j, j + 1), slice(j + 1, n) if adjoint else slice(0, j)
        right = F[:, :, one]
        if known.start < known.stop:
            right = right - Y[:, :, known] @ S[:, known, one]
        Y[:, :, one] = right / M if m == 1 else solve_upper(M, right)
    return Y


def by_kronecker(R, S, F, adjoint):
    """As systems of equations for all entries of Y, row by row: (R ⊗ I + I ⊗ Sᵀ) vec Y = vec F. For stacks, with the
    same 2 by 2 blocks in all of R, and in all of S."""
    S = mH(S) if adjoint else S
    m, n = F.shape[-2:]
    if m == n == 1:
        return F / (R + S)
    A = np.einsum("kab,ij->kaibj", R, np.eye(n)) + np.einsum("ab,kji->kaibj", np.eye(m), S)
    return np.linalg.solve(A.reshape(-1, m * n, m * n), F.reshape(-1, m * n, 1)).reshape(F.shape)


def triangular_sylvester(R, S, F, adjoint=False, whole=by_routine, small=SMALL):
    """The solution Y of R Y + Y S = F, or of R Y + Y Sᴴ = F, for upper triangular R and S. Overwrites F.

    `whole` solves the equations that are no larger than `small`, and says whether there may be stacks, and blocks.
    """
    m, n = F.shape[-2:]
    if max(m, n) <= small:
        if m and n:
            F[...] = whole(R, S, F, adjoint)
    elif m >= n:
        k = middle(R)
        last = triangular_sylvester(R[..., k:, k:], S, F[..., k:, :], adjoint, whole, small)
        F[..., :k, :] -= R[..., :k, k:] @ last
        triangular_sylvester(R[..., :k, :k], S, F[..., :k, :], adjoint, whole, small)
    else:
        k = middle(S)
        one, two = slice(0, k), slice(k, n)
        first, second = (two, one) if adjoint else (one, two)
        between = mH(S[..., one, two]) if adjoint else S[..., one, two]
        known = triangular_sylvester(R, S[..., first, first], F[..., first], adjoint, whole, small)
        F[..., second] -= known @ between
        triangular_sylvester(R, S[..., second, second], F[..., second], adjoint, whole, small)
    return F


def middle(T):
    """Where to halve a triangular matrix, beside its 2 by 2 blocks; at its end, or start, if it is a single block."""
    k = T.shape[-1] // 2
    return k + 1 if T[..., k, k - 1].any() else k


def triangular_stein(R, S, F):
    """The solution Y of Y − R Y Sᴴ = F for stacks of complex upper triangular R and S, by halves. Overwrites F."""
    m, n = F.shape[-2:]
    if max(m, n) <= SMALL:
        eye = np.eye(m)
        for j in reversed(range(n)):  # column by column: (I − conj(sⱼⱼ) R) yⱼ = fⱼ + R Σ conj(sⱼₖ) yₖ
            known = R @ (F[:, :, j + 1 :] @ S[:, j, j + 1 :, None].conj())
            F[:, :, j : j + 1] = solve_upper(eye - S[:, j, j, None, None].conj() * R, F[:, :, j : j + 1] + known)
        return F
    if m >= n:
        k = m // 2
        last = triangular_stein(R[:, k:, k:], S, F[:, k:])
        F[:, :k] += R[:, :k, k:] @ (last @ mH(S))
        triangular_stein(R[:, :k, :k], S, F[:, :k])
    else:
        k = n // 2
        last = triangular_stein(R, S[:, k:, k:], F[:, :, k:])
        F[:, :, :k] += R @ (last @ mH(S[:, :k, k:]))
        triangular_stein(R, S[:, :k, :k], F[:, :, :k])
    return F
