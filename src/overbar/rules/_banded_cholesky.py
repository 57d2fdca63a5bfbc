"""The Cholesky decomposition of a banded matrix, and solving with it.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar.kernels`, `rules.banded` and `rules.triangular`.
As in `rules.banded`, only the band is stored.
"""

from overbar._namespace import front, namespace
from overbar._primitive import once, primitive
from overbar.kernels._banded_cholesky import (
    banded_cotangent,
    banded_tangent,
    pbtrf,
    pbtrs,
    pbtrs_cotangent,
    pbtrs_tangent,
    products_of_bands,
)
from overbar.rules._banded import (
    band_of,
    band_times,
    full_of,
    left_of,
    padded,
    right_of,
    rows_of,
    total_of,
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
    library = front(ab)
    if ab.shape[-2] is None:
        raise library.ShapeError(
            f"{name}: the number of rows of the band must be known while the graph is built. {library.tell_sizes}"
        )
    if ab.shape[-2] == 0:
        raise library.ShapeError(f"{name}: the band has no rows. It needs one at least, the main diagonal.")


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


@primitive("(p,n),(p,n)->(p,n)")
def cholesky_band_tangent(L, E):
    """The lower band X with X Lᴴ + L Xᴴ = E, for a Hermitian E of which the lower band is stored."""
    return front(L, E).compute(banded_tangent, L, _real_diagonal(E))[0]


@primitive("(p,n),(p,n)->(p,n)")
def cholesky_band_cotangent(L, G):
    """The adjoint of `cholesky_band_tangent` in E."""
    return front(L, G).compute(banded_cotangent, L, _real_diagonal(G))[0]


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


@primitive("(p,n)->(p,n)")
def cholesky_banded(ab, *, lower=False):
    """The Cholesky factor of a banded positive definite matrix, A = Uᴴ U or A = L Lᴴ, of which the band is stored.

    Parameters
    ----------
    ab
        The upper band of A, with p − 1 diagonals above the main one: ``ab[p - 1 + i - j, j]`` is A[i, j] for i ≤ j. Or
        the lower band, ``ab[i - j, j]`` for i ≥ j. Corners outside A are not read. Of the main diagonal the real part
        is read.
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
        ab has no rows.
    numpy.linalg.LinAlgError
        A is not positive definite, or not finite; the message names the leading minor, and the matrix of the batch.
        (In a graph of TensorFlow's the error is an InvalidArgumentError or UnknownError with the same message.) Under
        XLA, which cannot raise, the whole failed factor is NaN.

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
    is computed on the host, and under XLA, which cannot call the host, column by column. Cost: some ten times the
    function's p² n flops in blocks of p columns; of 32 columns where the band is narrower. Nothing of size n² is
    formed.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> ab = np.array([[0.0, 2.0, 2.0], [4.0, 5.0, 5.0]])
    >>> overbar.cholesky_banded(ab)
    array([[0., 1., 1.],
           [2., 2., 2.]])
    """
    _known_rows("cholesky_banded", ab)
    return front(ab).compute(pbtrf, ab, lower=bool(lower))[0]


@cholesky_banded.vjp
def _(C_bar, C, ab, *, lower):
    if lower:
        return (lambda: cholesky_band_cotangent(C, C_bar),)
    return (lambda: _upper(cholesky_band_cotangent(_lower(C), _lower(C_bar))),)


@cholesky_banded.jvp
def _(C, ab, *, lower):
    if lower:
        return (lambda ab_dot: cholesky_band_tangent(C, ab_dot),)
    return (lambda ab_dot: _upper(cholesky_band_tangent(_lower(C), _lower(ab_dot))),)


def _without_corners(ab):
    """A lower band with zeros in its corners, also where NaN or infinity was multiplied by zero."""
    xp, (p, n) = namespace(ab), ab.shape[-2:]
    if n is None:  # while a graph is built
        return _lower(_upper(ab))
    inside = xp.count(p, ab)[:, None] + xp.count(n, ab) < n
    return xp.where(inside, ab, xp.zeros_like(ab[..., :1, :]))


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

# What the derivatives of A⁻¹ B have of L, where A = L Lᴴ: each is the adjoint of the other, and linear in each of its
# arguments, so that their rules are made of the two. A compiler takes long for what words say of many diagonals.


@primitive("(p,n),(p,n),(n,k)->(n,k)")
def solution_band_tangent(L, G, X):
    """−(L Gᴴ + G Lᴴ) X for lower bands: of the tangent G of L, what comes to the right-hand side."""
    library, below = front(L, G, X), L.shape[-2] - 1
    if library.has_way(products_of_bands):
        return library.compute(products_of_bands, L, G, X)[0]
    L, G = _without_corners(L), _without_corners(G)
    halves = [(P, band_times(Q, X, below, 0, True)) for P, Q in ((L, G), (G, L))]
    return -total_of(band_times(P, half, below, 0) for P, half in halves)


@primitive("(p,n),(n,k),(n,k)->(p,n)")
def solution_band_cotangent(L, X, Z):
    """The lower band of −(Z Xᴴ + X Zᴴ) L: the adjoint of `solution_band_tangent` in G."""
    library, below = front(L, X, Z), L.shape[-2] - 1
    if library.has_way(pbtrs_cotangent):
        return library.compute(pbtrs_cotangent, L, X, Z)[0]
    L = _without_corners(L)
    return -total_of(band_of(P, band_times(L, Q, below, 0, True), below, 0) for P, Q in ((Z, X), (X, Z)))


@solution_band_tangent.vjp
def _(Z, _, L, G, X):
    return (
        lambda: solution_band_cotangent(G, X, Z),
        lambda: solution_band_cotangent(L, X, Z),
        lambda: solution_band_tangent(L, G, Z),
    )


@solution_band_cotangent.vjp
def _(G, _, L, X, Z):
    return (
        lambda: solution_band_cotangent(G, X, Z),
        lambda: solution_band_tangent(L, G, Z),
        lambda: solution_band_tangent(L, G, X),
    )


def _linear_in_each(function):
    """Register the forward rule of what is linear in each argument."""

    @function.jvp
    def _(_, *arrays):
        return lambda *to: total_of(function(*arrays[:i], to[i], *arrays[i + 1 :]) for i in range(len(arrays)))


_linear_in_each(solution_band_tangent)
_linear_in_each(solution_band_cotangent)


@primitive("(p,n),(n,k?)->(n,k?)")
def cho_solve_banded(cb, b, *, lower=False):
    """The solution X of A X = B from the banded Cholesky factor of A.

    Parameters
    ----------
    cb
        The band of U with A = Uᴴ U, or of L with A = L Lᴴ, as `cholesky_banded` returns it.
    lower : bool
        It is L that is given. (SciPy takes the pair (cb, lower).)

    Returns
    -------
    array of the shape of b

    Raises
    ------
    LinAlgError of the array's library
        cb has no rows.
    numpy.linalg.LinAlgError
        The factor has a zero on its diagonal. (In a graph of TensorFlow's the error is an InvalidArgumentError or
        UnknownError with the same message.) Under XLA, which cannot raise, X is NaN then. NaN goes through to X.

    Notes
    -----
    The rules are those of `cho_solve`, with products and bars within the band:

        Ẋ = A⁻¹ (Ḃ − L̇ (Lᴴ X) − L (L̇ᴴ X)),    B̄ = A⁻¹ X̄,    L̄ = −band(B̄ (Lᴴ X)ᴴ + X (Lᴴ B̄)ᴴ).

    Source: Giles (2008), matrix inverse product. The value is computed on the host, by LAPACK's pbtrs, and under XLA
    row by row. Cost: that of the function, and some 8 p n k flops.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> U = overbar.cholesky_banded(np.array([[0.0, 2.0, 2.0], [4.0, 5.0, 5.0]]))
    >>> overbar.cho_solve_banded(U, np.array([6.0, 9.0, 7.0]))
    array([1., 1., 1.])
    """
    _known_rows("cho_solve_banded", cb)
    return front(cb, b).compute(pbtrs, cb, b, lower=bool(lower))[0]


@cho_solve_banded.vjp
def _(X_bar, X, cb, b, *, lower):
    library = front(cb, X, X_bar)
    b_bar = once(lambda: cho_solve_banded(cb, X_bar, lower=lower))

    def cb_bar():
        L = cb if lower else _lower(cb)
        at_once = library.may_compute(cb, X, X_bar)
        bar = library.compute(pbtrs_cotangent, L, X, b_bar())[0] if at_once else solution_band_cotangent(L, X, b_bar())
        return bar if lower else _upper(bar)

    return cb_bar, b_bar


@cho_solve_banded.jvp
def _(X, cb, b, *, lower):
    def X_dot(cb_dot, b_dot):
        if front(cb, X).may_compute(cb, X, cb_dot, b_dot):
            return front(cb, X).compute(pbtrs_tangent, cb, X, cb_dot, b_dot, lower=bool(lower))[0]
        L, L_dot = (cb, cb_dot) if lower else (_lower(cb), _lower(cb_dot))
        return cho_solve_banded(cb, b_dot + solution_band_tangent(L, L_dot, X), lower=lower)

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
