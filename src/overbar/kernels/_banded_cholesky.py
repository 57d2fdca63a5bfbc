"""The Cholesky decomposition of banded matrices, solving with it, and what its derivative solves.

May import NumPy, SciPy, `overbar._messages`, and `banded`, `compiled`, `kernel` and `stacks` of the kernels.
"""

import numpy as np
import scipy.linalg
from scipy.linalg import blas

from overbar._messages import bad_minor
from overbar.kernels import _compiled
from overbar.kernels._banded import cleared, without_corners
from overbar.kernels._kernel import kernel
from overbar.kernels._stacks import lapack, mH, refuse_not_finite


class _BlockBand:
    """A lower band as the blocks D on the diagonal, and C below them, of a block bidiagonal matrix.

    The blocks have as many columns as there are diagonals, or BLOCK where these are few. Beyond the end of the matrix
    there are zeros, or ones on the diagonal.
    """

    BLOCK = 32

    def __init__(self, p, n):
        self.p, self.n = p, n
        self.size = max(p - 1, self.BLOCK)
        self.count = -(-n // self.size)
        # where an entry of a block is in the band, counted along it; behind its end for what is not there
        start, a, b = np.ogrid[: self.count, : self.size, : self.size]
        column = start * self.size + b
        self.diagonal = self._places(a - b, column, column + a - b)
        self.below = self._places(self.size + a - b, column, column + self.size + a - b)
        self.lower = np.tri(self.size)
        self.phi = self.lower - np.eye(self.size) / 2  # what Φ multiplies the entries with

    def _places(self, d, column, row):
        inside = (d >= 0) & (d < self.p) & (row < self.n)
        return np.where(inside, d * self.n + column, self.p * self.n)

    def blocks(self, band, filling=0):
        flat = np.append(band.ravel(), 0)
        D, C = flat[self.diagonal], flat[self.below]
        if filling and self.count:
            last = np.arange(self.n - (self.count - 1) * self.size, self.size)
            D[-1, last, last] = filling
        return D, C

    def band(self, D, C):
        flat = np.zeros(self.p * self.n + 1, D.dtype)
        flat[self.diagonal], flat[self.below] = D, C
        return flat[:-1].reshape(self.p, self.n)


def _cleared(band):
    """A lower band, with zeros put into its corners, whatever was computed there."""
    return cleared(band, len(band) - 1, 0)


#: Up to so many rows a real band is solved for as one system of band matrices, and not block by block.
NARROW = 7


def _by_entries(L, E, trans):
    """The solution of X Lᵀ + L Xᵀ = E in real numbers, or of the adjoint equation, in one call of LAPACK.

    Counted column by column, the entries x of X fulfil a triangular system: at d below the diagonal of column j,

        Eᵈⱼ = Σₘ Lᵐₖ Xᵈ⁺ᵐₖ + Lᵈ⁺ᵐₖ Xᵐₖ,    k = j − m,

    where nothing is more than (p − 1)² entries before the one on its diagonal. That takes n p³ flops, and p³ is few.
    """
    p, n = L.shape
    system = np.zeros(((p - 1) ** 2 + 1, n, p), L.dtype)
    for d in range(p):
        system[0, max(n - d, 0) :, d] = 1  # what is outside of the matrix
        for m in range(p - d):
            inside = slice(max(n - d - m, 0))
            system[m * (p - 1), inside, d + m] += L[m, inside]
            system[m * (p - 1) + d, inside, m] += L[d + m, inside]
    rest = without_corners(E, p - 1, 0).T.reshape(n * p, 1)
    X, zero = lapack("tbtrs", L.dtype)(system.reshape(-1, n * p), rest, uplo="L", trans=trans)
    if zero:  # on the diagonal of L, of which there is then no derivative
        return _cleared(np.full_like(L, np.nan))
    return without_corners(X.reshape(n, p).T, p - 1, 0)


def _is_narrow(L):
    return L.dtype.kind != "c" and len(L) <= NARROW and L.size > 0


@kernel("(p,n),(p,n)->(p,n)", "=")
def banded_tangent(L, E):
    """The lower band X with X Lᴴ + L Xᴴ = E, by entries or block by block; zero in the corners."""
    L, E = (np.asarray(A, np.result_type(L, E)) for A in (L, E))
    if _is_narrow(L):
        return _by_entries(L, E, "N")
    shape = _BlockBand(*L.shape)
    (D, C), (ED, EC) = shape.blocks(L, 1), shape.blocks(E)
    ED, CH, phi = ED + mH(np.tril(ED, -1)), mH(C), shape.phi
    (trsm,) = scipy.linalg.get_blas_funcs(("trsm",), (L,))
    XD, XC = np.zeros_like(D), np.zeros_like(C)
    for J in range(shape.count):
        rest = ED[J]
        if J:
            product = XC[J - 1] @ CH[J - 1]
            rest = rest - product - product.conj().T
        rest = trsm(1, D[J], rest, lower=1)
        rest = trsm(1, D[J], rest, lower=1, side=1, trans_a=2)
        XD[J] = D[J] @ (phi * rest)
        if shape.count > J + 1:
            XC[J] = trsm(1, D[J], EC[J] - C[J] @ XD[J].conj().T, lower=1, side=1, trans_a=2)
    return _cleared(shape.band(XD, XC))


@kernel("(p,n),(p,n)->(p,n)", "=")
def banded_cotangent(L, G):
    """The Y for which the band of S L is G, S as in `_hermitian_times`: the adjoint of `banded_tangent`; zero in the
    corners."""
    L, G = (np.asarray(A, np.result_type(L, G)) for A in (L, G))
    if _is_narrow(L):
        return _by_entries(L, G, "T")
    shape = _BlockBand(*L.shape)
    (D, C), (GD, GC) = shape.blocks(L, 1), shape.blocks(G)
    DH, phi, lower = mH(D), shape.phi, shape.lower
    (trsm,) = scipy.linalg.get_blas_funcs(("trsm",), (L,))
    H, B = np.zeros_like(D), np.zeros_like(C)  # what the diagonal blocks of a Hermitian matrix get, and those below
    for J in reversed(range(shape.count)):
        D_bar = GD[J]
        if shape.count > J + 1:
            B[J] = trsm(1, D[J], GC[J] - 2 * (H[J + 1] @ C[J]), lower=1, side=1)
            D_bar = D_bar - lower * (B[J].conj().T @ C[J])
        rest = trsm(1, D[J], phi * (DH[J] @ D_bar), lower=1, trans_a=2)
        rest = trsm(1, D[J], rest, lower=1, side=1)
        H[J] = (rest + rest.conj().T) / 2
    return _cleared(
        shape.band(2 * np.tril(H) - H * np.eye(shape.size), B)
    )  # an entry beside the diagonal stands for two


#: From so many entries on, a loop over them is worth a compiler.
MANY = 4096


def _by_columns(loop, L, E):
    """What a compiled loop gives of bands, which it has by columns. Where L has a zero on its diagonal there is no
    derivative."""
    if not L[0].all():
        return _cleared(np.full_like(L, np.nan, np.result_type(L, E)))
    columns = (np.ascontiguousarray(A.T, np.result_type(L, E)) for A in (L, E))
    return loop(*columns).T


@banded_tangent.implemented_by(when=lambda L, E: L.size >= MANY, available=_compiled.available)
def _(L, E):
    return _by_columns(_compiled.loops("cholesky").banded_tangent, L, E)


@banded_cotangent.implemented_by(when=lambda L, G: L.size >= MANY, available=_compiled.available)
def _(L, G):
    return _by_columns(_compiled.loops("cholesky").banded_cotangent, L, G)


def _stored(ab, lower, kind):
    """Which rows of a band have something of the matrix, and a copy of these with zeros outside of it, for LAPACK."""
    p, n = min(ab.shape), ab.shape[1]
    rows, corners = (slice(p), (p - 1, 0)) if lower else (slice(len(ab) - p, None), (0, p - 1))
    return rows, without_corners(ab[rows], *corners, out=np.empty((p, n), kind, order="F"))


@kernel("(p,n)->(p,n)", "=")
def pbtrf(ab, *, lower):
    """LAPACK's Cholesky factor, L or U, in the storage of the band."""
    if ab.shape[1] == 0:
        return np.zeros_like(ab)
    rows, band = _stored(ab, lower, ab.dtype)
    main = 0 if lower else -1
    band[main] = band[main].real
    refuse_not_finite("cholesky_banded", ab=band)
    found, info = lapack("pbtrf", ab.dtype)(band, lower=lower, overwrite_ab=True)
    if info > 0:
        raise np.linalg.LinAlgError(bad_minor("ab", (), info).replace("cholesky:", "cholesky_banded:"))
    if found.shape == ab.shape:
        return found
    factor = np.zeros_like(ab)
    factor[rows] = found
    return factor


@kernel("(p,n),(n,k)->(n,k)", "=")
def pbtrs(cb, B, *, lower):
    """LAPACK's solution of L Lᴴ X = B, or Uᴴ U X = B."""
    kind = np.result_type(cb, B)
    if B.size == 0:
        return np.zeros(B.shape, kind)
    zero = np.flatnonzero(cb[0 if lower else -1] == 0)
    if len(zero):
        raise np.linalg.LinAlgError(
            f"cho_solve_banded: the factor is singular: its diagonal is zero at ({zero[0]}, {zero[0]})."
        )
    _, band = _stored(cb, lower, kind)
    X, _ = lapack("pbtrs", kind)(band, B, lower=lower)
    return X


@kernel("(p,n),(n,k),(p,n),(n,k)->(n,k)", "=")
def pbtrs_tangent(cb, X, cb_dot, B_dot, *, lower):
    """Ẋ = A⁻¹ (Ḃ − L̇ Lᴴ X − L L̇ᴴ X), with L = Uᴴ for an upper band: a column at a time, by BLAS."""
    kind = np.result_type(cb, X, cb_dot, B_dot)
    if X.size == 0:
        return np.zeros(X.shape, kind)
    bands = [_stored(band, lower, kind)[1] for band in (cb, cb_dot)]
    right = np.array(B_dot, kind, order="F")
    _take_products(right, *bands, X, lower)
    return lapack("pbtrs", kind)(bands[0], right, lower=lower)[0]


def _take_products(right, L, G, X, lower):
    """Take (L Gᴴ + G Lᴴ) X, with the factors of an upper band in the other order, from the right-hand side."""
    tbmv, p, kind = _TBMV[right.dtype.char], len(L), right.dtype
    for j, x in enumerate(X.T.astype(kind)):
        for first, second in ((L, G), (G, L)):
            half = tbmv(p - 1, second, x, lower=lower, trans=2 if lower else 0)
            right[:, j] -= tbmv(p - 1, first, half, lower=lower, trans=0 if lower else 2, overwrite_x=1)


@kernel("(p,n),(p,n),(n,k)->(n,k)", "=")
def products_of_bands(L, G, X):
    """−(L Gᴴ + G Lᴴ) X, of lower bands."""
    kind = np.result_type(L, G, X)
    found = np.zeros(X.shape, kind, order="F")
    if X.size:
        _take_products(found, *(_stored(band, True, kind)[1] for band in (L, G)), X, True)
    return found


_TBMV = {"f": blas.stbmv, "d": blas.dtbmv, "F": blas.ctbmv, "D": blas.ztbmv}


@kernel("(p,n),(n,k),(n,k)->(p,n)", "=")
def pbtrs_cotangent(L, X, B_bar):
    """The band L̄ = −band(B̄ (Lᴴ X)ᴴ + X (Lᴴ B̄)ᴴ). Corners of L are not read."""
    (p, n), kind = L.shape, np.result_type(L, X, B_bar)
    if not X.size:
        return np.zeros((p, n), kind)
    by = _by_windows if X.shape[1] >= 4 or n < 4096 else _by_diagonals  # one makes copies, the other many calls
    L_bar = np.zeros((p, n), kind)
    L_bar[: min(p, n)] = by(L[: min(p, n)], X, B_bar, kind)
    return _cleared(L_bar)


def _by_windows(L, X, B_bar, kind):
    """Column j of L meets the rows j to j + p − 1 of X and B̄: a product of small matrices for each j."""
    p, k = len(L), X.shape[1]
    rows = np.zeros((X.shape[0] + p - 1, 2 * k), kind)
    rows[: len(X), :k], rows[: len(X), k:] = B_bar, X
    windows = np.lib.stride_tricks.sliding_window_view(rows, p, axis=0)
    # a corner of L may hold anything, and meets a row of zeros
    below = without_corners(L, p - 1, 0, out=np.empty_like(L, kind)).T[:, :, None]
    V = np.conj(windows @ np.conj(below))  # conj(Lᴴ B̄), conj(Lᴴ X)
    V = np.concatenate([V[:, k:], V[:, :k]], axis=1)
    return -(windows.transpose(0, 2, 1) @ V)[..., 0].T


def _by_diagonals(L, X, B_bar, kind):
    (p, n), L_bar = L.shape, np.zeros(L.shape, kind)
    pairs = []
    for P, Q in ((B_bar, X), (X, B_bar)):
        V = np.zeros((n, Q.shape[1]), kind)  # Lᴴ Q
        for d in range(p):
            V[: n - d] += np.conj(L[d, : n - d, None]) * Q[d:]
        pairs.append((P, np.conj(V, out=V)))
    for d in range(p):
        for P, V in pairs:
            L_bar[d, : n - d] -= np.einsum("jk,jk->j", P[d:], V[: n - d])
    return L_bar


@pbtrs_cotangent.implemented_by(when=lambda L, X, B_bar: L.size * X.shape[1] >= MANY, available=_compiled.available)
def _(L, X, B_bar):
    kind = np.result_type(L, X, B_bar)
    columns = (np.ascontiguousarray(A.T, kind) for A in (L, X, B_bar))  # LAPACK's factors are stored so already
    return _compiled.loops("cholesky").solution_cotangent(*columns).T
