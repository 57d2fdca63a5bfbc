"""The Cholesky decomposition of a banded matrix, and solving with it.

May import NumPy, SciPy, `overbar._namespace`, `overbar._primitive`, `overbar._kernel`, `rules.banded` and
`rules.triangular`. As in `rules.banded`, only the band is stored.
"""

import numpy as np
import scipy.linalg

from overbar._kernel import kernel
from overbar._messages import bad_minor
from overbar._namespace import mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._banded import (
    band_of,
    band_times,
    full_of,
    left_of,
    padded,
    right_of,
    rows_of,
    total_of,
    without_corners,
)
from overbar.rules._triangular import factor_of_pair

# -- Cholesky: storage -------------------------------------------------------------------------------------------------


def _lower(ab):
    """The lower band of a Hermitian matrix, or of L = Uᴴ, from the upper band."""
    xp = namespace(ab)
    p = ab.shape[-2]
    rows = [xp.conj(left_of(rows_of(ab, p - 1 - d, p - d), d)) for d in range(p)]
    return xp.concat(rows, axis=-2)


def _upper(ab):
    """The inverse of `_lower`, and its adjoint for what lies inside."""
    xp = namespace(ab)
    p = ab.shape[-2]
    rows = [xp.conj(right_of(rows_of(ab, d, d + 1), d)) for d in reversed(range(p))]
    return xp.concat(rows, axis=-2)


def _known_rows(name, ab):
    xp = namespace(ab)
    if ab.shape[-2] is None:
        raise xp.ShapeError(
            f"{name}: the number of rows of the band must be known while the graph is built. {xp.tell_sizes}"
        )
    if ab.shape[-2] == 0:
        raise xp.ShapeError(f"{name}: the band has no rows. It needs one at least, the main diagonal.")


def _real_diagonal(ab):
    """With the real part of the first row, the main diagonal."""
    xp = namespace(ab)
    if not xp.is_complex(ab):
        return ab
    first = rows_of(ab, 0, 1)
    return xp.concat([(first + xp.conj(first)) / 2, ab[..., 1:, :]], axis=-2)


# -- Cholesky: two equations -------------------------------------------------------------------------------------------


def _outer(X, L):
    """The stored band of X Lᴴ + L Xᴴ."""
    xp = namespace(X, L)
    p = L.shape[-2]
    terms = []
    for m in range(p):
        part = rows_of(X, m, p) * xp.conj(rows_of(L, m, m + 1)) + rows_of(L, m, p) * xp.conj(rows_of(X, m, m + 1))
        terms.append(padded(right_of(part, m), 0, m))
    return total_of(terms)


def _hermitian_times(Y, L):
    """The stored band of S L, where S is Hermitian with the entries of Y beside its diagonal, and twice those on it:
    the adjoint of `_outer`, which is also that in its other argument."""
    xp = namespace(Y, L)
    p = L.shape[-2]
    twice = xp.concat([2 * rows_of(Y, 0, 1), Y[..., 1:, :]], axis=-2)
    terms = [padded(left_of(rows_of(twice, 0, p - m), m) * rows_of(L, m, m + 1), m, 0) for m in range(p)]
    for d in range(p - 1):
        part = xp.conj(left_of(Y[..., 1 : p - d, :], d)) * L[..., d + 1 :, :]
        terms.append(padded(xp.sum(part, axis=-2)[..., None, :], d, p - 1 - d))
    return _real_diagonal(total_of(terms))


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


@primitive("(p,n),(p,n)->(p,n)")
def cholesky_band_tangent(L, E):
    """The lower band X with X Lᴴ + L Xᴴ = E, for a Hermitian E of which the lower band is stored."""
    return namespace(L, E).on_host(banded_tangent, L, _real_diagonal(E))[0]


@primitive("(p,n),(p,n)->(p,n)")
def cholesky_band_cotangent(L, G):
    """The adjoint of `cholesky_band_tangent` in E."""
    return namespace(L, G).on_host(banded_cotangent, L, _real_diagonal(G))[0]


# From Ẋ Lᴴ + L Ẋᴴ = Ė − X L̇ᴴ − L̇ Xᴴ, and the same for the adjoint, band(S(Y) L) = G.


@cholesky_band_tangent.vjp
def _(X_bar, X, L, E):
    E_bar = once(lambda: cholesky_band_cotangent(L, X_bar))
    return (lambda: -_hermitian_times(E_bar(), X)), E_bar


@cholesky_band_tangent.jvp
def _(X, L, E):
    return lambda L_dot, E_dot: cholesky_band_tangent(L, E_dot - _outer(X, _real_diagonal(L_dot)))


@cholesky_band_cotangent.vjp
def _(Y_bar, Y, L, G):
    G_bar = once(lambda: cholesky_band_tangent(L, Y_bar))
    return (lambda: -_hermitian_times(Y, G_bar())), G_bar


@cholesky_band_cotangent.jvp
def _(Y, L, G):
    return lambda L_dot, G_dot: cholesky_band_cotangent(L, G_dot - _hermitian_times(Y, _real_diagonal(L_dot)))


# -- Cholesky: the primitives ------------------------------------------------------------------------------------------


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


@primitive("(p,n)->(p,n)")
def cholesky_banded(ab, *, lower=False):
    """The Cholesky factor of a banded positive definite matrix, A = Uᴴ U or A = L Lᴴ, of which the band is stored.

    Parameters
    ----------
    ab : array (..., p, n)
        The upper band of A, with p − 1 diagonals above the main one: ``ab[p - 1 + i - j, j]`` is A[i, j] for i ≤ j. Or
        the lower band, ``ab[i - j, j]`` for i ≥ j. Corners outside A are not read. float32, float64, complex64 or
        complex128; of the main diagonal the real part is read.
    lower : bool
        The lower band is given, and L is returned.

    Returns
    -------
    array (..., p, n)
        The band of U, or of L, in the same storage; zero in the corners. The determinant of A is the square of the
        product of its main diagonal, and `cho_solve_banded` solves with it.

    Raises
    ------
    LinAlgError of the array's library
        The dtype is not floating point, or ab has no rows.
    numpy.linalg.LinAlgError
        A is not positive definite, or not finite; the message names the leading minor, and the matrix of the batch.
        (In a graph of TensorFlow's the error is an InvalidArgumentError or UnknownError with the same message.)

    Notes
    -----
    Ȧ = L̇ Lᴴ + L L̇ᴴ holds as in `cholesky`, and L has the band of A: the forward rule solves this equation within the
    band. Its adjoint moves ⟨L̄, L̇⟩ to the entries that are stored, each of which stands for two of A unless it is on
    the diagonal. With the Hermitian S that has Ā beside its diagonal and twice Ā on it,

        ⟨Ā, L̇ Lᴴ + L L̇ᴴ⟩ = Re tr(Sᴴ L̇ Lᴴ) = ⟨S L, L̇⟩    ⇒    band(S L) = L̄.

    Both are solved block by block, with L block bidiagonal (blocks D on the diagonal, C below; of a real band of 7 rows
    at most, entry by entry, which is one system with (p − 1)² diagonals):

        Ȧ_D − Ċ₋ C₋ᴴ − C₋ Ċ₋ᴴ = Ḋ Dᴴ + D Ḋᴴ,    Ċ = (Ȧ_C − C Ḋᴴ) D⁻ᴴ,

    where the first is `cholesky`'s symbolic rule and C₋ the block to its left, and in reverse, from the last block,

        C̄ ← C̄ − 2 S₊ C,    Ā_C = C̄ D⁻¹,    D̄ ← D̄ − tril(Ā_Cᴴ C),    S_D = chol_bar(D, D̄),

    S₊ that of the block below. Source: Murray (2016), section 4.2, whose blocked rules these are for a band. All of it
    is computed on the host. Cost: some ten times the function's p² n flops in blocks of p columns; of 32 columns where
    the band is narrower. Nothing of size n² is formed.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> ab = np.array([[0.0, 2.0, 2.0], [4.0, 5.0, 5.0]])
    >>> overbar.cholesky_banded(ab)
    array([[0., 1., 1.],
           [2., 2., 2.]])
    """
    _known_rows("cholesky_banded", ab)
    return namespace(ab).on_host(pbtrf, ab, lower=bool(lower))[0]


@cholesky_banded.vjp
def _(C_bar, C, ab, *, lower):
    if lower:
        return (lambda: _cut(cholesky_band_cotangent(C, C_bar)),)
    return (lambda: _upper(cholesky_band_cotangent(_lower(C), _lower(C_bar))),)


@cholesky_banded.jvp
def _(C, ab, *, lower):
    if lower:
        return (lambda ab_dot: cholesky_band_tangent(C, ab_dot),)
    return (lambda ab_dot: _upper(cholesky_band_tangent(_lower(C), _lower(ab_dot))),)


def _cut(ab):
    """A lower band with zeros in its corners, also where NaN or infinity was multiplied by zero."""
    return _lower(_upper(ab))


@cholesky_banded.samples
def _(case):
    for lower in (False, True):
        yield case(_definite(case, 3, 5, lower), lower=lower)


def _definite(case, p, n, lower):
    """The band of a positive definite matrix."""
    ab = case.normal(p, n) / (2 * p)
    main = 0 if lower else len(ab[..., :, 0].T) - 1
    ab[..., main, :] = abs(ab[..., main, :]) + 1
    return ab


@cholesky_banded.reference
def _(mp, ab, *, lower):
    p, n = ab.shape
    L = mp.cholesky(_hermitian(mp, ab, lower))
    band = ab * 0
    for j in range(n):
        for i in range(j, min(n, j + p)):
            if lower:
                band[i - j, j] = L[i, j]
            else:
                band[p - 1 + j - i, i] = mp.conj(L[i, j])
    return band


def _hermitian(mp, ab, lower):
    p = len(ab)
    T = mp.tril(full_of(mp, ab, p - 1, 0)) if lower else mp.mH(mp.triu(full_of(mp, ab, 0, p - 1)))
    strict = mp.tril(T, -1)
    return strict + mp.mH(strict) + (mp.eye(len(T)) * T + mp.mH(mp.eye(len(T)) * T)) / 2


# -- solving with the factor -------------------------------------------------------------------------------------------


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


@primitive("(p,n),(n,k?)->(n,k?)")
def cho_solve_banded(cb, b, *, lower=False):
    """The solution X of A X = B from the banded Cholesky factor of A.

    Parameters
    ----------
    cb : array (..., p, n)
        The band of U with A = Uᴴ U, or of L with A = L Lᴴ, as `cholesky_banded` returns it.
    b : array (..., n, k) or (n,)
        float32, float64, complex64 or complex128. Batch dimensions broadcast.
    lower : bool
        It is L that is given. (SciPy takes the pair (cb, lower).)

    Returns
    -------
    array of the shape of b

    Raises
    ------
    LinAlgError of the array's library
        The shapes do not fit, a dtype is not floating point, or cb has no rows.
    numpy.linalg.LinAlgError
        The factor has a zero on its diagonal. (In a graph of TensorFlow's the error is an InvalidArgumentError or
        UnknownError with the same message.) NaN goes through to X.

    Notes
    -----
    The rules are those of `cho_solve`, with products and bars within the band:

        Ẋ = A⁻¹ (Ḃ − L̇ (Lᴴ X) − L (L̇ᴴ X)),    B̄ = A⁻¹ X̄,    L̄ = −band(B̄ (Lᴴ X)ᴴ + X (Lᴴ B̄)ᴴ).

    Source: Giles (2008), matrix inverse product. The value is computed on the host, by LAPACK's pbtrs. Cost: that of
    the function, and some 8 p n k flops.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> U = overbar.cholesky_banded(np.array([[0.0, 2.0, 2.0], [4.0, 5.0, 5.0]]))
    >>> overbar.cho_solve_banded(U, np.array([6.0, 9.0, 7.0]))
    array([1., 1., 1.])
    """
    _known_rows("cho_solve_banded", cb)
    return namespace(cb, b).on_host(pbtrs, cb, b, lower=bool(lower))[0]


@cho_solve_banded.vjp
def _(X_bar, X, cb, b, *, lower):
    L, below = _cut(cb) if lower else _lower(cb), cb.shape[-2] - 1
    b_bar = once(lambda: cho_solve_banded(cb, X_bar, lower=lower))

    def cb_bar():
        terms = [(b_bar(), band_times(L, X, below, 0, True)), (X, band_times(L, b_bar(), below, 0, True))]
        bar = -total_of(band_of(P, Q, below, 0) for P, Q in terms)
        return bar if lower else _upper(bar)

    return cb_bar, b_bar


@cho_solve_banded.jvp
def _(X, cb, b, *, lower):
    L, below = _cut(cb) if lower else _lower(cb), cb.shape[-2] - 1

    def X_dot(cb_dot, b_dot):
        L_dot = _cut(cb_dot) if lower else _lower(cb_dot)
        first = band_times(L_dot, band_times(L, X, below, 0, True), below, 0)
        second = band_times(L, band_times(L_dot, X, below, 0, True), below, 0)
        return cho_solve_banded(cb, b_dot - first - second, lower=lower)

    return X_dot


@cho_solve_banded.also
def _(*args, **kwargs):
    """scipy.linalg.cho_solve_banded((cb, lower), b)."""
    return factor_of_pair(args, kwargs)


@cho_solve_banded.samples
def _(case):
    for lower in (False, True):
        cb = case.normal(3, 5) / 6
        main = 0 if lower else cb.shape[-2] - 1
        cb[..., main, :] = abs(cb[..., main, :]) + 1
        yield case(cb, case.normal(5, 2), lower=lower)


@cho_solve_banded.reference
def _(mp, cb, b, *, lower):
    p = len(cb)
    L = full_of(mp, cb, p - 1, 0) if lower else mp.mH(full_of(mp, cb, 0, p - 1))
    return mp.solve(mp.mH(L), mp.solve(L, b))
