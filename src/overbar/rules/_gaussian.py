"""Gaussian densities, from a covariance matrix, from its Cholesky factor, or of low rank plus a diagonal; how far one
Gaussian is from another.

May import `overbar._namespace`, `overbar._primitive`, `rules.cholesky`, `rules.equal_values` and
`rules.positive_definite`.
"""

import math

from overbar._namespace import mH, mT, namespace
from overbar._primitive import once, primitive
from overbar.rules._cholesky import factor
from overbar.rules._equal_values import hermitian_part
from overbar.rules._positive_definite import inverse_with_factor, solve_with_factor, summed_product


def _half(xp, K):
    """What stands before the quadratic form: ½, and 1 in the density of complex numbers."""
    return 1 if xp.is_complex(K) else 1 / 2


def _twice(xp, K):
    """Two times that: an integer, as to PyTorch a tangent of a Python float is in double precision."""
    return 2 if xp.is_complex(K) else 1


def _squares(xp, z):
    return xp.sum(xp.real(xp.conj(z) * z), axis=-1)


def _inner(xp, x, y):
    """Re xᴴ y of vectors."""
    return xp.sum(xp.real(xp.conj(x) * y), axis=-1)


def _logpdf(xp, z, L):
    """log N(y | μ, L Lᴴ) with z = L⁻¹(y − μ)."""
    s = _half(xp, L)
    # a size may be unknown while a graph is built: the constant is added n times
    terms = 2 * xp.log(xp.abs(xp.diagonal(L))) + math.log(math.pi / s)
    return -s * (_squares(xp, z) + xp.sum(terms, axis=-1))


def _scaled(xp, c, x):
    """c x for a real number and a vector."""
    return xp.cast(c[..., None], x) * x


@primitive("(n),(n),(n,n)->(),(n),(n,n)", hermitian=("K",), intermediates=1, residuals=1)
def gaussian_logpdf(y, mean, K):
    """The logarithm of a Gaussian density, c = log N(y | μ, K).

    Parameters
    ----------
    y
        Where the density is asked for: one vector, or several as batch dimensions. One K for many y is factorised once,
        and has one bar.
    mean
    K
        The covariance matrix, symmetric or Hermitian positive definite. Only its lower triangle is read; its bar comes
        back Hermitian.

    Returns
    -------
    array (...)
        Real: −½ ((y − μ)ᵀ K⁻¹ (y − μ) + log det K + n log 2π), for each y. (A sum over independent y is theirs.) Of
        complex arrays it is the density of the circularly symmetric complex Gaussian distribution with
        K = E[(y − μ)(y − μ)ᴴ], −(y − μ)ᴴ K⁻¹ (y − μ) − log det K − n log π.

    Raises
    ------
    LinAlgError of the array's library
        K is not finite or not positive definite; the message names the matrix of the batch and the leading minor. Under
        XLA, which cannot raise, the result is NaN.

    Notes
    -----
    With r = y − μ, α = K⁻¹ r and s = ½, for complex arrays s = 1, c = −s (rᴴ K⁻¹ r + log det K) + const. From
    (K⁻¹)˙ = −K⁻¹ K̇ K⁻¹ and (log det K)˙ = tr(K⁻¹ K̇) (Giles 2008, sections 2.2.3 and 2.2.4),

        ċ = −2s Re⟨α, ṙ⟩ + s ⟨α, K̇ α⟩ − s tr(K⁻¹ K̇),    α̇ = K⁻¹ (ṙ − K̇ α),

    and the bars are

        K̄ = s c̄ (α αᴴ − K⁻¹) − sym(G αᴴ),    ȳ = −2s c̄ α + G,    μ̄ = −ȳ,    G = K⁻¹ ᾱ,

    where ᾱ, the bar of the intermediate α, is absent in a first derivative. K̄ is a sum over the y that share K, one
    product for all of them. The Cholesky factor of the value serves the derivatives of every order, and K⁻¹ comes from
    it by halves, one triangle: with rounding, c̄ and K̄ are as exact as the factor is, to about κ ε for a condition κ.
    Source: Rasmussen & Williams (2006), equation 5.9, for K̄. Cost: the function n³/3 flops, K̄ 2n³/3.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> y, mean, K = np.array([3.0, 1.0]), np.array([1.0, 1.0]), np.array([[4.0, 0.0], [0.0, 1.0]])
    >>> c, pullback = overbar.vjp(overbar.gaussian_logpdf, y, mean, K)
    >>> y_bar, mean_bar, K_bar = pullback(1.0)
    >>> round(float(c), 3), y_bar, K_bar
    (-3.031, array([-0.5, -0. ]), array([[ 0. ,  0. ],
           [ 0. , -0.5]]))
    """
    xp = namespace(K)
    r = (y - mean)[..., None]
    L = factor(K, argument="K")
    z = xp.solve_triangular(L, r, upper=False)
    alpha = xp.solve_with_factor(K, L, r, z)
    return _logpdf(xp, z[..., 0], L), alpha[..., 0], L


@gaussian_logpdf.vjp
def _(bars, outputs, y, mean, K):
    (c_bar, alpha_bar), (_, alpha, L), xp = bars, outputs, namespace(K)
    s = _half(xp, K)

    @once
    def G():
        return solve_with_factor(K, alpha_bar[..., None], L)

    @once
    def y_bar():
        if c_bar is None:
            return G()[..., 0]
        bar = _scaled(xp, -2 * s * c_bar, alpha)
        return bar if alpha_bar is None else bar + G()[..., 0]

    def K_bar():
        bar, column = None, alpha[..., None]
        if c_bar is not None:
            bar = inverse_with_factor(K, xp.sum_to(-s * c_bar, xp.shape(K)[:-2]), L)
            bar = summed_product(_scaled(xp, s * c_bar, alpha)[..., None], column, K, bar)
        if alpha_bar is not None:
            change = hermitian_part(summed_product(G(), column, K))
            bar = -change if bar is None else bar - change
        return bar

    return y_bar, lambda: -y_bar(), K_bar


@gaussian_logpdf.jvp
def _(outputs, y, mean, K):
    (_, alpha, L), xp = outputs, namespace(K)
    s = _half(xp, K)

    def solved(r_dot):
        return solve_with_factor(K, r_dot[..., None], L)[..., 0]

    def from_y(y_dot):
        return -2 * s * _inner(xp, alpha, y_dot), solved(y_dot)

    def from_mean(mean_dot):
        return 2 * s * _inner(xp, alpha, mean_dot), -solved(mean_dot)

    def from_K(K_dot):
        K_dot = hermitian_part(K_dot)
        change = (K_dot @ alpha[..., None])[..., 0]
        trace = xp.sum(xp.real(xp.conj(inverse_with_factor(K, 1.0, L)) * K_dot), axis=(-2, -1))
        return s * (_inner(xp, alpha, change) - trace), -solved(change)

    return from_y, from_mean, from_K


@gaussian_logpdf.samples
def _(case):
    yield case(case.normal(4), case.normal(4), case.positive_definite(4))


@gaussian_logpdf.reference
def _(mp, y, mean, K):
    return _exact(mp, y - mean, K)


def _exact(mp, r, K):
    s = 1 if any(isinstance(x, mp.context.mpc) for x in K.flat) else mp.context.mpf(1) / 2
    square = mp.real((mp.conj(r)[:, None] * mp.solve(K, r[:, None])).sum())
    return -s * (square + mp.log(mp.real(mp.det(K))) + len(r) * mp.context.log(mp.context.pi / s))


def _over_diagonal(xp, c, L):
    """The diagonal matrix of c / conj(Lᵢᵢ), summed over the batch dimensions that L lacks."""
    n, weight = xp.shape(L)[-1], xp.sum_to(c, xp.shape(L)[:-2])
    return xp.diagonal_embed(xp.cast(weight[..., None], L) / xp.conj(xp.diagonal(L)), n, n)


@primitive("(n),(n),(n,n)->(),(n)", intermediates=1)
def gaussian_logpdf_cholesky(y, mean, L):
    """The logarithm of a Gaussian density from the Cholesky factor of its covariance matrix, c = log N(y | μ, L Lᴴ).

    Parameters
    ----------
    y
        One vector, or several as batch dimensions. One L for many y has one bar.
    mean
    L
        The lower factor. Only its lower triangle is read, and only it gets a bar. The signs, or phases, of its diagonal
        do not matter.

    Returns
    -------
    array (...)
        Real: what `gaussian_logpdf` gives of L Lᴴ.

    Raises
    ------
    LinAlgError of the array's library
        L is singular (in NumPy; PyTorch and TensorFlow give infinities and NaN, as `solve_triangular` does).

    Notes
    -----
    With z = L⁻¹ (y − μ) and s as in `gaussian_logpdf`, c = −s (zᴴ z + 2 Σ log |Lᵢᵢ|) + const:

        ż = L⁻¹ (ẏ − μ̇ − L̇ z),    ċ = −2s Re(⟨z, ż⟩ + Σ L̇ᵢᵢ / Lᵢᵢ).

    z is an intermediate, whose bar is absent in a first derivative. With all that comes to z, ζ = z̄ − 2s c̄ z,

        ȳ = L⁻ᴴ ζ,    μ̄ = −ȳ,    L̄ = −tril(ȳ zᴴ) − diag(2s c̄ / conj(Lᵢᵢ)).

    (K̄ of `gaussian_logpdf` times L has the same lower triangle, as that of L⁻ᴴ is its diagonal.) Source: Giles (2008),
    section 2.2.3. Cost: the function n² flops, each bar as much.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> y, mean, L = np.array([3.0, 1.0]), np.array([1.0, 1.0]), np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> c, pullback = overbar.vjp(overbar.gaussian_logpdf_cholesky, y, mean, L)
    >>> round(float(c), 3), pullback(1.0)[2]
    (-3.031, array([[ 0.,  0.],
           [ 0., -1.]]))
    """
    xp = namespace(L)
    z = xp.solve_triangular(L, (y - mean)[..., None], upper=False)[..., 0]
    return _logpdf(xp, z, L), z


@gaussian_logpdf_cholesky.vjp
def _(bars, outputs, y, mean, L):
    (c_bar, z_bar), (_, z), xp = bars, outputs, namespace(L)
    twice = _twice(xp, L)

    @once
    def y_bar():
        total = z_bar
        if c_bar is not None:
            total = _scaled(xp, -twice * c_bar, z)
            total = total if z_bar is None else total + z_bar
        return xp.solve_triangular(L, total[..., None], upper=False, adjoint=True)[..., 0]

    def L_bar():
        bar = xp.tril(summed_product(-y_bar()[..., None], z[..., None], L))
        if c_bar is None:
            return bar
        return bar - _over_diagonal(xp, twice * c_bar, L)

    return y_bar, lambda: -y_bar(), L_bar


@gaussian_logpdf_cholesky.jvp
def _(outputs, y, mean, L):
    (_, z), xp = outputs, namespace(L)
    twice = _twice(xp, L)

    def from_r(r_dot):
        z_dot = xp.solve_triangular(L, r_dot[..., None], upper=False)[..., 0]
        return -twice * _inner(xp, z, z_dot), z_dot

    def from_L(L_dot):
        change, z_dot = from_r(-(xp.tril(L_dot) @ z[..., None])[..., 0])
        return change - twice * xp.sum(xp.real(xp.diagonal(L_dot) / xp.diagonal(L)), axis=-1), z_dot

    return from_r, lambda mean_dot: from_r(-mean_dot), from_L


@gaussian_logpdf_cholesky.samples
def _(case):
    yield case(case.normal(4), case.normal(4), case.lower(4))
    yield case(case.normal(4), case.normal(4), case.square(4))


@gaussian_logpdf_cholesky.reference
def _(mp, y, mean, L):
    L = mp.tril(L, 0)
    return _exact(mp, y - mean, L @ mp.mH(L))


def _times(U, x):
    """U x of vectors: many x with one U by one product."""
    return x @ mT(U) if len(U.shape) == 2 and len(x.shape) > 1 else (U @ x[..., None])[..., 0]


@primitive("(n,m),(n),(m,k),(m,m)->(m,k)", real=("d",))
def capacitance_solve(U, d, B, L):
    """The solution X of M X = B with M = I + Uᴴ D⁻¹ U and D = diag(d), where the Cholesky factor L of M is known.

    A function of U, d and B, as `solve_with_factor`: from M Ẋ + Ṁ X = Ḃ and Ṁ = sym(2 Uᴴ D⁻¹ U̇) − Uᴴ D⁻¹ Ḋ D⁻¹ U,

        B̄ = M⁻¹ X̄,    M̄ = −sym(B̄ Xᴴ),    Ū = 2 D⁻¹ U M̄,    d̄ᵢ = −Re Σ conj(Uᵢⱼ) (U M̄)ᵢⱼ / dᵢ².
    """
    xp = namespace(U)
    return xp.solve_triangular(L, xp.solve_triangular(L, B, upper=False), upper=False, adjoint=True)


@capacitance_solve.vjp
def _(X_bar, X, U, d, B, L):
    xp = namespace(U)
    B_bar = once(lambda: capacitance_solve(U, d, X_bar, L))
    rows = once(lambda: -(U / xp.cast(d, U)[..., None]) @ hermitian_part(summed_product(B_bar(), X, L)))
    return lambda: 2 * rows(), lambda: -xp.sum(xp.real(xp.conj(U) * rows()), axis=-1) / d, B_bar, None


@capacitance_solve.jvp
def _(X, U, d, B, L):
    xp = namespace(U)

    def from_M(M_dot):
        return -capacitance_solve(U, d, M_dot @ X, L)

    def from_U(U_dot):
        half = mH(U / xp.cast(d, U)[..., None]) @ U_dot
        return from_M(half + mH(half))

    def from_d(d_dot):
        return from_M(-mH(U) @ (xp.cast(d_dot / (d * d), U)[..., None] * U))

    return from_U, from_d, lambda B_dot: capacitance_solve(U, d, B_dot, L), None


def _low_rank_solve(U, d, r, L, solve=capacitance_solve):
    """x = M⁻¹ Uᴴ D⁻¹ r and α = D⁻¹ (r − U x) = (D + U Uᴴ)⁻¹ r."""
    UH, D = mH(U), namespace(U).cast(d, U)

    def solved(b):
        return solve(U, d, b[..., None], L)[..., 0]

    x = solved(_times(UH, r / D))
    # once more, with what is left: then x is as exact as that of a least-squares problem by orthogonal matrices
    x = x + solved(_times(UH, (r - _times(U, x)) / D) - x)
    return x, (r - _times(U, x)) / D


@primitive("(n),(n),(n,m),(n)->(),(n),(m,m)", real=("d",), intermediates=1, residuals=1)
def gaussian_logpdf_low_rank(y, mean, U, d):
    """The logarithm of a Gaussian density of low rank beside a diagonal, c = log N(y | μ, diag(d) + U Uᴴ).

    No n by n matrix is formed.

    Parameters
    ----------
    y
        One vector, or several as batch dimensions: U is factorised once for all.
    mean
    U : array (..., n, m)
        With few columns. Of a sparse Gaussian process, whose m inducing points have the covariance matrix L Lᴴ and the
        cross-covariance Kₘₙ with the data, U = (L⁻¹ Kₘₙ)ᴴ.
    d : array (..., n)
        Real and positive: the variance of the noise.

    Returns
    -------
    array (...)
        Real: what `gaussian_logpdf` gives of K = diag(d) + U Uᴴ.

    Raises
    ------
    LinAlgError of the array's library
        U or d is not finite, or d is not positive. Under XLA, which cannot raise, the result is NaN.

    Notes
    -----
    With D = diag(d), r = y − μ and the factorised M = I + Uᴴ D⁻¹ U = L Lᴴ, the identities of Woodbury and of the
    determinant say

        K⁻¹ = D⁻¹ − D⁻¹ U M⁻¹ Uᴴ D⁻¹,    log det K = log det M + Σ log dᵢ,
        x = M⁻¹ Uᴴ D⁻¹ r,    α = K⁻¹ r = D⁻¹ (r − U x),    rᴴ K⁻¹ r = αᴴ D α + xᴴ x.

    The last is a sum of squares, and the least one that an x can give: nothing cancels however small d is beside
    U Uᴴ, and the error of x is in it squared. That of x and α is taken out once (Björck 1987). So the quadratic form is
    exact to about ε, log det M, K⁻¹ and the bars to κ ε with the condition κ of M, at most 1 + ‖U‖²/min d.

    The derivatives are those of `gaussian_logpdf` with K̇ = diag(ḋ) + U̇ Uᴴ + U U̇ᴴ. As K⁻¹ U = D⁻¹ U M⁻¹ = V and
    αᴴ U = xᴴ, with s = ½ (complex arrays: 1),

        ȳ = −2s c̄ α,    Ū = 2s c̄ (α xᴴ − V),    d̄ᵢ = s c̄ (|αᵢ|² − (1 − Re Σ Vᵢⱼ conj(Uᵢⱼ)) / dᵢ).

    α is an intermediate. Where it has a bar, with G = K⁻¹ ᾱ,

        ȳ += G,    Ū −= G xᴴ + α (Uᴴ G)ᴴ,    d̄ᵢ −= Re(conj(Gᵢ) αᵢ).

    Source: Titsias (2009), whose bound is this less (‖A‖² − ‖U‖²)/(2σ²), A Aᴴ the whole covariance matrix of the data;
    Rasmussen & Williams (2006), A.3. Cost: the function 2nm² + m³/3 flops, its bars 2nm² + 2m³/3.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> y, mean = np.array([3.0, 1.0]), np.array([1.0, 1.0])
    >>> U, d = np.array([[1.0], [0.0]]), np.array([3.0, 1.0])
    >>> c, pullback = overbar.vjp(overbar.gaussian_logpdf_low_rank, y, mean, U, d)
    >>> round(float(c), 3), pullback(1.0)[0]
    (-3.031, array([-0.5, -0. ]))
    """
    xp = namespace(U)
    s, r = _half(xp, U), y - mean
    d = xp.where(d > 0, d, xp.full_like(d, math.nan))  # so that there is no factor
    root = xp.cast(xp.sqrt(d), U)
    W = U / root[..., None]
    M = mH(W) @ W
    M = hermitian_part(M) + xp.eye_like(M)
    L = xp.cholesky(M, argument="M = I + Uᴴ diag(d)⁻¹ U, of the arguments U and d, which has to be positive,")
    x, alpha = _low_rank_solve(U, d, r, L, capacitance_solve.function)
    squares = _squares(xp, root * alpha) + _squares(xp, x)
    constant = xp.sum(xp.log(d) + math.log(math.pi / s), axis=-1)
    return -s * (squares + 2 * xp.sum(xp.log(xp.real(xp.diagonal(L))), axis=-1) + constant), alpha, L


def _capacitance_inverse(U, d, L):
    return capacitance_solve(U, d, namespace(L).eye_like(L), L)


@gaussian_logpdf_low_rank.vjp
def _(bars, outputs, y, mean, U, d):
    (c_bar, alpha_bar), (_, alpha, L), xp = bars, outputs, namespace(U)
    s, twice = _half(xp, U), _twice(xp, U)
    x = once(lambda: _times(mH(U), alpha))
    G = once(lambda: _low_rank_solve(U, d, alpha_bar, L)[1])
    weight = once(lambda: xp.sum_to(c_bar, xp.shape(L)[:-2]))

    @once
    def term():
        """−2s c̄ V, with the sum over all y."""
        P = xp.cast(-twice * weight(), U)[..., None, None] * _capacitance_inverse(U, d, L)
        return (U / xp.cast(d, U)[..., None]) @ P

    @once
    def leverage():
        return xp.sum(xp.real(term() * xp.conj(U)), axis=-1)

    @once
    def y_bar():
        if c_bar is None:
            return G()
        bar = _scaled(xp, -twice * c_bar, alpha)
        return bar if alpha_bar is None else bar + G()

    def U_bar():
        bar = None
        if c_bar is not None:
            leverage()  # before memory of the term is written to
            bar = xp.sum_to(term(), xp.shape(U))
            bar = summed_product(_scaled(xp, twice * c_bar, alpha)[..., None], x()[..., None], U, bar)
        if alpha_bar is not None:
            change = summed_product(G()[..., None], x()[..., None], U)
            change = change + summed_product(alpha[..., None], _times(mH(U), G())[..., None], U)
            bar = -change if bar is None else bar - change
        return bar

    def d_bar():
        bar = None
        if c_bar is not None:
            squares = s * c_bar[..., None] * xp.real(alpha * xp.conj(alpha))
            rest = (-leverage() / 2 - s * weight()[..., None]) / d
            bar = xp.sum_to(squares, xp.shape(d)) + xp.sum_to(rest, xp.shape(d))
        if alpha_bar is not None:
            change = xp.sum_to(xp.real(xp.conj(G()) * alpha), xp.shape(d))
            bar = -change if bar is None else bar - change
        return bar

    return y_bar, lambda: -y_bar(), U_bar, d_bar


@gaussian_logpdf_low_rank.jvp
def _(outputs, y, mean, U, d):
    (_, alpha, L), xp = outputs, namespace(U)
    s, twice = _half(xp, U), _twice(xp, U)
    x = once(lambda: _times(mH(U), alpha))
    V = once(lambda: (U / xp.cast(d, U)[..., None]) @ _capacitance_inverse(U, d, L))

    def solved(r_dot):
        return _low_rank_solve(U, d, r_dot, L)[1]

    def from_r(r_dot):
        return -twice * _inner(xp, alpha, r_dot), solved(r_dot)

    def from_U(U_dot):
        along = _times(mH(U_dot), alpha)
        trace = xp.sum(xp.real(xp.conj(V()) * U_dot), axis=(-2, -1))
        return twice * (_inner(xp, x(), along) - trace), -solved(_times(U_dot, x()) + _times(U, along))

    def from_d(d_dot):
        inverse = (1 - xp.sum(xp.real(V() * xp.conj(U)), axis=-1)) / d  # the diagonal of K⁻¹
        squares = xp.real(alpha * xp.conj(alpha))
        return s * xp.sum((squares - inverse) * d_dot, axis=-1), -solved(xp.cast(d_dot, U) * alpha)

    return from_r, lambda mean_dot: from_r(-mean_dot), from_U, from_d


@gaussian_logpdf_low_rank.samples
def _(case):
    yield case(case.normal(4), case.normal(4), case.normal(4, 2), case.real(4))
    yield case(case.normal(2), case.normal(2), case.normal(2, 3), case.real(2))


@gaussian_logpdf_low_rank.reference
def _(mp, y, mean, U, d):
    return _exact(mp, y - mean, mp.eye(len(d)) * d[:, None] + U @ mp.mH(U))


def _of_batch(xp, c, A, core):
    """A, an array with so many core dimensions, with the batch dimensions of c, which are all that there are."""
    batch = xp.static_shape(c)
    if None not in batch and xp.static_shape(A)[:-core] == batch:
        return A
    return A + xp.cast(xp.zeros_like(c)[(..., *[None] * core)], A)


@primitive("(n),(n,n),(n),(n,n)->(),(n,n),(n)", intermediates=2)
def gaussian_kl(mean, L, other_mean, other_L):
    """The Kullback–Leibler divergence of one Gaussian distribution from another, c = KL(N(μ, L Lᴴ) ‖ N(m, M Mᴴ)).

    Parameters
    ----------
    mean
    L
        The lower Cholesky factor of the covariance matrix; of a covariance matrix K, `cholesky` (K). Only its lower
        triangle is read, and only it gets a bar. The signs, or phases, of its diagonal do not matter.
    other_mean
        m, the mean of the other distribution, the prior of variational inference.
    other_L
        M, its factor, likewise.

    Returns
    -------
    array (...)
        Real and not negative: the expectation of log N(y | μ, L Lᴴ) − log N(y | m, M Mᴴ) over y from the first; of
        complex arrays that of the circularly symmetric distributions of `gaussian_logpdf`.

    Raises
    ------
    LinAlgError of the array's library
        M is singular (in NumPy; PyTorch and TensorFlow give infinities and NaN, as `solve_triangular` does). With a
        singular L, c is infinite.

    Notes
    -----
    With the intermediates T = M⁻¹ L, a triangle, and z = M⁻¹ (μ − m), and s = ½ (complex arrays: 1),

        c = s (zᴴ z + Σ_(i>j) |Tᵢⱼ|² + Σ (|Tᵢᵢ|² − 1 − log |Tᵢᵢ|²)),

    in which no term is negative. With what comes to T and z, X = M⁻ᴴ (2s c̄ T + T̄) and w = M⁻ᴴ (2s c̄ z + z̄),

        μ̄ = w,    m̄ = −w,    L̄ = tril(X) − 2s c̄ diag(1 / conj(Lᵢᵢ)),
        M̄ = −tril(X Tᴴ + w zᴴ) + 2s c̄ diag(1 / conj(Mᵢᵢ)).

    Source: Rasmussen & Williams (2006), A.5; Giles (2008), section 2.2.3. Cost: one triangular solve with n columns,
    n³ flops, and for the bars one more and a product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> mean, L = np.array([1.0, 0.0]), np.array([[2.0, 0.0], [0.0, 1.0]])
    >>> c, pullback = overbar.vjp(overbar.gaussian_kl, mean, L, np.zeros(2), np.eye(2))
    >>> round(float(c), 3), pullback(1.0)[1]
    (1.307, array([[1.5, 0. ],
           [0. , 0. ]]))
    """
    xp = namespace(L)
    T = xp.solve_triangular(other_L, xp.tril(L), upper=False)
    z = xp.solve_triangular(other_L, (mean - other_mean)[..., None], upper=False)[..., 0]
    one = xp.diagonal(T)
    squares = xp.real(xp.conj(one) * one)
    below = xp.sum(_squares(xp, xp.tril(T, k=-1)), axis=-1)
    terms = squares - 1 - 2 * xp.log(xp.abs(xp.diagonal(L) / xp.diagonal(other_L)))
    c = _half(xp, L) * (_squares(xp, z) + below + xp.sum(terms, axis=-1))
    return c, _of_batch(xp, c, T, 2), _of_batch(xp, c, z, 1)


@gaussian_kl.vjp
def _(bars, outputs, mean, L, other_mean, other_L):
    (c_bar, T_bar, z_bar), (_, T, z), xp = bars, outputs, namespace(L)
    twice = _twice(xp, L)

    def whole(bar, output, lead):
        if c_bar is None:
            return xp.zeros_like(output) if bar is None else bar
        own = xp.cast((twice * c_bar)[(..., *[None] * lead)], output) * output
        return own if bar is None else own + bar

    def back(B):
        return xp.solve_triangular(other_L, B, upper=False, adjoint=True)

    X = once(lambda: back(whole(T_bar, T, 2)))
    w = once(lambda: back(whole(z_bar, z, 1)[..., None])[..., 0])

    def L_bar():
        bar = xp.tril(xp.sum_to(X(), xp.shape(L)))
        return bar if c_bar is None else bar - _over_diagonal(xp, twice * c_bar, L)

    def other_L_bar():
        bar = -summed_product(X(), T, other_L) - summed_product(w()[..., None], z[..., None], other_L)
        return xp.tril(bar) if c_bar is None else xp.tril(bar) + _over_diagonal(xp, twice * c_bar, other_L)

    return w, L_bar, lambda: -w(), other_L_bar


@gaussian_kl.jvp
def _(outputs, mean, L, other_mean, other_L):
    (_, T, z), xp = outputs, namespace(L)
    twice = _twice(xp, L)

    def solved(B):
        return xp.solve_triangular(other_L, B, upper=False)

    def of(T_dot, z_dot):
        """ċ, without the logarithms, from Ṫ and ż."""
        return twice * (_inner(xp, z, z_dot) + xp.sum(_inner(xp, T, T_dot), axis=-1)), T_dot, z_dot

    def logarithms(L, L_dot):
        return twice * xp.sum(xp.real(xp.diagonal(L_dot) / xp.diagonal(L)), axis=-1)

    def from_mean(mean_dot):
        return of(xp.zeros_like(T), solved(mean_dot[..., None])[..., 0])

    def from_L(L_dot):
        c_dot, T_dot, z_dot = of(solved(xp.tril(L_dot)), xp.zeros_like(z))
        return c_dot - logarithms(L, L_dot), T_dot, z_dot

    def from_other_L(L_dot):
        L_dot = xp.tril(L_dot)
        c_dot, T_dot, z_dot = of(-solved(L_dot @ T), -solved(L_dot @ z[..., None])[..., 0])
        return c_dot + logarithms(other_L, L_dot), T_dot, z_dot

    return from_mean, from_L, lambda mean_dot: from_mean(-mean_dot), from_other_L


@gaussian_kl.samples
def _(case):
    # scaled so that the term of no array is lost beside the others in single precision
    yield case(4 * case.normal(4), case.lower(4), 4 * case.normal(4), 4 * case.lower(4))
    yield case(4 * case.normal(3), case.square(3), 4 * case.normal(3), 4 * case.square(3))


@gaussian_kl.reference
def _(mp, mean, L, other_mean, other_L):
    n, L, M = len(mean), mp.tril(L, 0), mp.tril(other_L, 0)
    K, other, r = L @ mp.mH(L), M @ mp.mH(M), (mean - other_mean)[:, None]
    s = 1 if any(isinstance(x, mp.context.mpc) for x in (*L.flat, *M.flat)) else mp.context.mpf(1) / 2
    trace = mp.solve(other, K).diagonal().sum()
    square = (mp.conj(r) * mp.solve(other, r)).sum()
    return s * (mp.real(trace + square) - n + mp.log(mp.real(mp.det(other))) - mp.log(mp.real(mp.det(K))))
