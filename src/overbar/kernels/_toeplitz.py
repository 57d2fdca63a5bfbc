"""Toeplitz matrices by their first columns and rows: products, sums along diagonals, and solving.

May import NumPy, SciPy, and `kernel` of the kernels.
"""

import warnings

import numpy as np
import scipy.linalg

from overbar.kernels._kernel import kernel


def _adjoint(c, r):
    """Column and row of Tᴴ."""
    return np.append(c[:1], r[1:]).conj(), c.conj()


def _times(c, r, X):
    """T X, a convolution for each column."""
    n = len(c)
    t = np.concatenate([r[:0:-1], c])
    return np.stack([np.convolve(t, x)[n - 1 : 2 * n - 1] for x in X.T], axis=1) if X.size else 0 * X


@kernel("(n),(n),(n,k)->(n,k)", "=")
def toeplitz_times(c, r, X, *, adjoint):
    """T X, or Tᴴ X."""
    return _times(*(_adjoint(c, r) if adjoint else (c, r)), X)


@kernel("(n,k),(n,k)->(n),(n)", "==")
def toeplitz_sums(P, Q):
    """The sums of P Qᴴ along its diagonals: those below and on the main one, and those above it."""
    n = len(P)
    if P.size == 0:
        return np.zeros(n), np.zeros(n)
    total = sum(np.correlate(p, q, "full") for p, q in zip(P.T, Q.T, strict=True))
    above = total[n - 1 :: -1].copy()
    above[0] = 0
    return total[n - 1 :], above


@kernel("(n),(n),(n,k)->(n,k)", "=")
def levinson(c, r, B, *, adjoint):
    """The solution X of T X = B, or Tᴴ X = B, by SciPy's Levinson recursion where that is accurate."""
    c, r = _adjoint(c, r) if adjoint else (c, r)
    c, r, B = (np.asarray(A, np.result_type(c, r, B, np.float64)) for A in (c, r, B))
    if B.size == 0:
        return B
    t = np.append(c, r[1:])
    size = abs(t).max()
    if not np.isfinite(t).all() or not np.isfinite(B).all():
        return np.full_like(B, np.nan)
    if size == 0:
        raise np.linalg.LinAlgError("solve_toeplitz: the matrix is singular: all of its entries are zero.")
    c, r = c / size, r / size
    X = _by_recursion(c, r, B)
    return (_by_elimination(c, r, B) if X is None else X) / size


def _by_recursion(c, r, B):
    """The solution, corrected once if need be; None where a leading minor is nearly singular, so that the recursion is
    inaccurate though the matrix may be well-conditioned."""
    n, X, rest = len(c), 0, B
    norm = abs(c).sum() + abs(r[1:]).sum()
    with np.errstate(all="ignore"):
        for _ in range(2):
            try:
                X = X + scipy.linalg.solve_toeplitz((c, r), rest, check_finite=False)
            except np.linalg.LinAlgError:
                return None
            rest = B - _times(c, r, X)
            if (abs(rest).max(0) <= 4 * n**0.5 * np.finfo(float).eps * (norm * abs(X).max(0) + abs(B).max(0))).all():
                return X
    return None


def _by_elimination(c, r, B):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", scipy.linalg.LinAlgWarning)  # ill-conditioned: as everywhere, no error
        try:
            return scipy.linalg.solve(scipy.linalg.toeplitz(c, r), B, check_finite=False)
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError(
                "solve_toeplitz: the matrix is singular. There is no solution, or more than one."
            ) from None
