"""Triangular matrix equations, Sylvester's and Stein's, by halves.

May import NumPy, and `stacks` of the kernels. Jonsson and Kågström (2002), "Recursive blocked algorithms for solving
triangular systems", parts I and II: the larger of the two matrices is halved until both are small, so that nearly all
the work is in products.
"""

import numpy as np

from overbar.kernels._stacks import lapack, mH, solve_upper

# Equations up to this size are solved as they are; larger ones are halved.
SMALL = 32


def triangular_sylvester(R, S, F, adjoint=False, whole=None):
    """The solution Y of R Y + Y S = F, or of R Y + Y Sᴴ = F, for upper triangular R and S. Overwrites F.

    `whole` solves the small equations: `by_routine`, or `by_columns`, with which R, S and F may be stacks.
    """
    whole = by_routine if whole is None else whole
    m, n = F.shape[-2:]
    if max(m, n) <= SMALL:
        if m and n:
            F[...] = whole(R, S, F, adjoint)
    elif m >= n:
        k = _middle(R)
        last = triangular_sylvester(R[..., k:, k:], S, F[..., k:, :], adjoint, whole)
        F[..., :k, :] -= R[..., :k, k:] @ last
        triangular_sylvester(R[..., :k, :k], S, F[..., :k, :], adjoint, whole)
    else:
        k = _middle(S)
        one, two = slice(0, k), slice(k, n)
        first, second = (two, one) if adjoint else (one, two)
        between = mH(S[..., one, two]) if adjoint else S[..., one, two]
        known = triangular_sylvester(R, S[..., first, first], F[..., first], adjoint, whole)
        F[..., second] -= known @ between
        triangular_sylvester(R, S[..., second, second], F[..., second], adjoint, whole)
    return F


def _middle(T):
    """Where to halve a triangular matrix, beside its 2 by 2 blocks."""
    k = T.shape[-1] // 2
    return k + 1 if T[..., k, k - 1].any() else k


def by_routine(R, S, F, adjoint):
    """By LAPACK's trsyl, entry by entry. Real R and S may have 2 by 2 blocks on their diagonals. In the place of a sum
    of eigenvalues that is small beside the largest, it takes another number."""
    Y, scale, _ = lapack("trsyl", F.dtype)(R, S, F, tranb="C" if adjoint else "N")
    return Y / scale


def by_columns(R, S, F, adjoint):
    """Column by column, for stacks of R, S and F, and with every digit of a small sum of eigenvalues; none may be zero,
    and there are no blocks: (R + sⱼⱼ I) yⱼ = fⱼ − Σ sₖⱼ yₖ."""
    S = mH(S) if adjoint else S
    sums = np.diagonal(R, 0, -2, -1)[:, :, None] + np.diagonal(S, 0, -2, -1)[:, None, :]
    if not sums.all():
        raise np.linalg.LinAlgError("an eigenvalue of R is the negative of one of S")
    m, n = F.shape[-2:]
    M, i = np.array(np.broadcast_to(R, (len(F), m, m)), sums.dtype), np.arange(m)
    Y = np.empty_like(F)
    for j in reversed(range(n)) if adjoint else range(n):
        M[:, i, i] = sums[:, :, j]
        one, known = slice(j, j + 1), slice(j + 1, n) if adjoint else slice(j)
        right = F[:, :, one]
        if known.start != known.stop and known.stop:
            right = right - Y[:, :, known] @ S[:, known, one]
        Y[:, :, one] = right / M if m == 1 else solve_upper(M, right)
    return Y


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
