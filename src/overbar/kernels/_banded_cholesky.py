"""The Cholesky decomposition of banded matrices, solving with it, and what its derivative solves.

May import NumPy, SciPy, `overbar._messages`, and `banded`, `kernel` and `stacks` of the kernels.
"""

import numpy as np
import scipy.linalg

from overbar._messages import bad_minor
from overbar.kernels._banded import without_corners
from overbar.kernels._kernel import kernel
from overbar.kernels._stacks import mH


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
    (substitute,) = scipy.linalg.get_lapack_funcs(("tbtrs",), (L,))
    rest = without_corners(E, p - 1, 0).T.reshape(n * p, 1)
    X, zero = substitute(system.reshape(-1, n * p), rest, uplo="L", trans=trans)
    if zero:  # on the diagonal of L, of which there is then no derivative
        return np.full_like(L, np.nan)
    return without_corners(X.reshape(n, p).T, p - 1, 0)


def _is_narrow(L):
    return L.dtype.kind != "c" and len(L) <= NARROW and L.size > 0


@kernel("(p,n),(p,n)->(p,n)", "=")
def banded_tangent(L, E):
    """The lower band X with X Lᴴ + L Xᴴ = E, by entries or block by block."""
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
    return shape.band(XD, XC)


@kernel("(p,n),(p,n)->(p,n)", "=")
def banded_cotangent(L, G):
    """The Y for which the band of S L is G, S as in `_hermitian_times`: the adjoint of `banded_tangent`."""
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
    return shape.band(2 * np.tril(H) - H * np.eye(shape.size), B)  # an entry beside the diagonal stands for two


@kernel("(p,n)->(p,n)", "=")
def pbtrf(ab, *, lower):
    """LAPACK's Cholesky factor, L or U, in the storage of the band."""
    p, n = min(ab.shape), ab.shape[1]
    factor = np.zeros_like(ab)
    if n == 0:
        return factor
    (decompose,) = scipy.linalg.get_lapack_funcs(("pbtrf",), (ab,))
    stored, corners = (slice(p), (p - 1, 0)) if lower else (slice(len(ab) - p, None), (0, p - 1))
    band = without_corners(ab[stored], *corners, out=np.empty((p, n), ab.dtype, order="F"))
    main = 0 if lower else -1
    band[main] = band[main].real
    if not np.isfinite(band).all():
        raise np.linalg.LinAlgError(
            "cholesky_banded: argument ab is not finite. Remove or replace such entries before the call."
        )
    found, info = decompose(band, lower=lower, overwrite_ab=True)
    if info > 0:
        raise np.linalg.LinAlgError(bad_minor("ab", (), info).replace("cholesky:", "cholesky_banded:"))
    factor[stored] = found
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
    p, n = min(cb.shape), cb.shape[1]
    (substitute,) = scipy.linalg.get_lapack_funcs(("pbtrs",), (cb, B))
    stored, corners = (slice(p), (p - 1, 0)) if lower else (slice(len(cb) - p, None), (0, p - 1))
    band = without_corners(cb[stored], *corners, out=np.empty((p, n), kind, order="F"))
    X, _ = substitute(band, B, lower=lower)
    return X
