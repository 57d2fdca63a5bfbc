"""Banded matrices, of which only the band is stored.

May import NumPy, `overbar._namespace`, `overbar._primitive` and `overbar.kernels`. The storage is that of LAPACK and
SciPy: of a matrix with l diagonals below the main one and u above it, ``ab[u + i - j, j]`` is A[i, j]. The corners of
ab that lie outside the matrix are read by nothing and have no bar. No function or rule here forms a full matrix.
"""

import functools
import operator

import numpy as np

from overbar._namespace import front, namespace
from overbar._primitive import once, primitive
from overbar.kernels._banded import gbsv

# -- products with what is stored --------------------------------------------------------------------------------------


def _zeros(X, count, axis):
    """So many zero rows (axis −2) or columns (−1) beside X, as a list to concatenate."""
    if count == 0:
        return []
    one = rows_of(X, 0, 1) if axis == -2 else X if X.shape[-1] == 1 else X[..., :1]
    return [namespace(X).zeros_like(one)] * count


def rows_of(A, start, stop):
    """Some rows of a band, which is returned as it is where they are all: a slice of all is an op of its own, and one
    that PyTorch's older vmap does not know."""
    return A if (start, stop) == (0, A.shape[-2]) else A[..., start:stop, :]


def padded(X, above, below):
    if above == below == 0:
        return X
    return namespace(X).concat([*_zeros(X, above, -2), X, *_zeros(X, below, -2)], axis=-2)


def right_of(A, m):
    """Each row moved right by m places: zeros come in."""
    n = namespace(A).shape(A)[-1]
    return namespace(A).concat([*_zeros(A, m, -1), A], axis=-1)[..., :n] if m else A


def left_of(A, m):
    return namespace(A).concat([A, *_zeros(A, m, -1)], axis=-1)[..., m:] if m else A


def total_of(terms):
    return functools.reduce(lambda a, b: a + b, terms)


def _row(ab, r):
    """Row r of the band, as a column beside the rows of a matrix."""
    return ab[..., r, :, None]


#: From so many diagonals on, and up to so many entries, a full matrix takes less time than the diagonals one by one.
_DIAGONALS, _ENTRIES = 8, 2**16


def _are_few(P, Q, count):
    """Whether a matrix with so many diagonals is quicker made full; not where sizes are not known yet."""
    xp, n = namespace(P, Q), Q.shape[-2]
    if count < _DIAGONALS or type(n) is not int or n == 0 or n * (n + count) > _ENTRIES:
        return False
    return None not in (xp.static_shape(P), xp.static_shape(Q))


def _diagonals_of(M, count):
    """The entries M[j, j + r] of a matrix of n by n + count − 1, for r < count, as rows r. In memory they are n + count
    apart: with a place more in each row they are columns."""
    xp = namespace(M)
    *batch, n, N = xp.static_shape(M)
    flat = xp.reshape(M, (*batch, n * N))
    flat = xp.concat([flat, xp.zeros_like(flat[..., :n])], axis=-1)
    return xp.mT(xp.reshape(flat, (*batch, n, N + 1))[..., :count])


def _transposed_full(ab, lower, upper):
    """Aᵀ, from the band of A: the way back."""
    xp = namespace(ab)
    *batch, count, n = xp.static_shape(ab)
    zeros = xp.zeros_like(xp.diagonal_embed(ab[..., 0, :], n, n))
    rows = xp.reshape(xp.concat([xp.mT(ab), zeros], axis=-1), (*batch, n * (n + count)))
    rows = xp.reshape(rows[..., : n * (n + count - 1)], (*batch, n, n + count - 1))
    return rows[..., upper : upper + n]


def band_of(P, Q, lower, upper):
    """The band of P Qᴴ, stored: Σₖ P[j + r − u, k] conj(Q[j, k])."""
    xp = namespace(P)
    n, Q = xp.shape(Q)[-2], xp.conj(Q)
    if lower == upper == 0:
        return xp.sum(P * Q, axis=-1)[..., None, :]
    few = _are_few(P, Q, lower + upper + 1)
    P = padded(P, upper, lower)
    if few:
        return _diagonals_of(Q @ xp.mT(P), lower + upper + 1)
    rows = [xp.sum(P[..., r : r + n, :] * Q, axis=-1)[..., None, :] for r in range(lower + upper + 1)]
    return xp.concat(rows, axis=-2)


def band_times(ab, X, lower, upper, adjoint=False):
    """A X, or Aᴴ X, for the matrix A whose band is stored in ab."""
    xp = namespace(ab, X)
    n = xp.shape(X)[-2]
    rows = range(lower + upper + 1)
    if lower == upper == 0:
        return (xp.conj(_row(ab, 0)) if adjoint else _row(ab, 0)) * X
    if _are_few(ab, X, lower + upper + 1):
        A = _transposed_full(ab, lower, upper)
        return (xp.conj(A) if adjoint else xp.mT(A)) @ X
    if adjoint:
        X = padded(X, upper, lower)
        return total_of(xp.conj(_row(ab, r)) * X[..., r : r + n, :] for r in rows)
    ab, X = xp.concat([*_zeros(ab, lower, -1), ab, *_zeros(ab, upper, -1)], axis=-1), padded(X, lower, upper)
    places = (slice(lower + upper - r, lower + upper - r + n) for r in rows)
    return total_of(ab[..., r, place, None] * X[..., place, :] for r, place in zip(rows, places, strict=True))


# -- solving -----------------------------------------------------------------------------------------------------------


@primitive("(p,n),(n,k?)->(n,k?)")
def solve_banded(ab, b, *, l_and_u: list[int], adjoint=False):
    """The solution X of A X = B, or Aᴴ X = B, for a banded matrix A.

    Parameters
    ----------
    ab : array (..., l + u + 1, n)
        The band: ``ab[u + i - j, j]`` is A[i, j]. Its corners that lie outside A are not read.
    l_and_u : pair of int
        How many diagonals below the main one, and above it, may be different from zero, in all matrices of a batch.
        (SciPy's first argument; the functions of `torch_ops` and `tf_ops` have SciPy's order.)
    adjoint : bool
        Solve Aᴴ X = B.

    Returns
    -------
    array of the shape of b

    Raises
    ------
    ValueError
        `l_and_u` is no pair of numbers that are not negative, or does not fit ab.
    numpy.linalg.LinAlgError
        A is singular. (In a graph of TensorFlow's the error is an InvalidArgumentError or UnknownError with the same
        message.) Under XLA, which cannot raise, X is NaN then. NaN goes through to X.

    Notes
    -----
    Giles (2008), section 2.2.3. From A Ẋ + Ȧ X = Ḃ:

        Ẋ = A⁻¹ (Ḃ − Ȧ X),    B̄ = A⁻ᴴ X̄,    Ā = −B̄ Xᴴ,

    of which only the band is wanted, Ā[i, j] = −Σₖ B̄[i, k] conj(X[j, k]): one product for each diagonal. For Aᴴ X = B
    it is that of −X B̄ᴴ. The value is computed on the host, by LAPACK's gbtrf with partial pivoting, and so is B̄;
    under XLA by the same elimination, row by row. Cost: as the function, and 2 (l + u + 1) n k flops; nothing of size
    n² is formed.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> ab = np.array([[0.0, 1.0, 1.0], [2.0, 2.0, 2.0]])  # 2 on the diagonal, 1 above it
    >>> overbar.solve_banded(ab, np.array([3.0, 3.0, 2.0]), l_and_u=(0, 1))
    array([1., 1., 1.])
    """
    lower, upper = _diagonals(ab, l_and_u)
    options = {"lower": lower, "upper": upper, "adjoint": bool(adjoint), "name": "solve_banded"}
    return front(ab, b).compute(gbsv, ab, b, **options)[0]


def _diagonals(ab, l_and_u):
    try:
        lower, upper = map(operator.index, l_and_u)
    except (TypeError, ValueError):
        lower = upper = -1
    if min(lower, upper) < 0:
        raise ValueError(
            f"solve_banded: l_and_u must be a pair of whole numbers, 0 or more, not {l_and_u!r}. All matrices of a "
            "batch have one pair: where theirs differ, give each band rows of zeros up to the largest l and u."
        )
    if ab.shape[-2] not in (None, lower + upper + 1):
        raise ValueError(
            f"solve_banded: argument ab of shape {tuple(ab.shape)} does not fit l_and_u = {(lower, upper)}: it must "
            f"have l + u + 1 = {lower + upper + 1} rows."
        )
    return lower, upper


@solve_banded.vjp
def _(X_bar, X, ab, b, *, l_and_u, adjoint):
    lower, upper = _diagonals(ab, l_and_u)

    @once
    def b_bar():
        return solve_banded(ab, X_bar, l_and_u=l_and_u, adjoint=not adjoint)

    def ab_bar():
        return -band_of(X, b_bar(), lower, upper) if adjoint else -band_of(b_bar(), X, lower, upper)

    return ab_bar, b_bar


@solve_banded.jvp
def _(X, ab, b, *, l_and_u, adjoint):
    lower, upper = _diagonals(ab, l_and_u)

    def X_dot(ab_dot, b_dot):
        rest = b_dot - band_times(ab_dot, X, lower, upper, adjoint)
        return solve_banded(ab, rest, l_and_u=l_and_u, adjoint=adjoint)

    return X_dot


@solve_banded.also
def _(*args, **kwargs):
    """scipy.linalg.solve_banded(l_and_u, ab, b)."""
    # of a band there are two dimensions
    if args and "l_and_u" not in kwargs and (isinstance(args[0], (tuple, list)) or getattr(args[0], "ndim", 2) == 1):
        l_and_u, *args = args
        kwargs = {**kwargs, "l_and_u": l_and_u}
    return tuple(args), kwargs


@solve_banded.samples
def _(case):
    yield case(dominant(case.normal(3, 5), 1), case.normal(5, 2), l_and_u=(1, 1))
    yield case(dominant(case.normal(4, 5), 1), case.normal(5, 2), l_and_u=(2, 1), adjoint=True)


def dominant(ab, main):
    """A band with a large main diagonal, so that the matrix is well-conditioned."""
    ab[..., main, :] += 2 * ab.shape[-2] ** 0.5 * (1 + np.arange(ab.shape[-1]) % 3)
    return ab


def full_of(mp, ab, lower, upper):
    n = ab.shape[-1]
    A = mp.zeros((n, n))
    for i in range(n):
        for j in range(max(0, i - lower), min(n, i + upper + 1)):
            A[i, j] = ab[upper + i - j, j]
    return A


@solve_banded.reference
def _(mp, ab, b, *, l_and_u, adjoint):
    A = full_of(mp, ab, *l_and_u)
    return mp.solve(mp.mH(A) if adjoint else A, b)
