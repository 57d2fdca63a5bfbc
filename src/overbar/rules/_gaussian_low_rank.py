"""Gaussian densities of low rank: their covariance matrix is a thin one times its transpose, and a diagonal.

May import `overbar._namespace`, `overbar._primitive`, `rules.entries`, `rules.equal_values`, `rules.gaussian` and
`rules.positive_definite`.
"""

import math

from overbar._namespace import mH, mT, namespace
from overbar._primitive import once, primitive
from overbar.rules._entries import divide
from overbar.rules._equal_values import hermitian_part
from overbar.rules._gaussian import constant_for_each, exact_logpdf, halved, inner, one_or_two, scaled, squared_norm
from overbar.rules._positive_definite import summed_product

# Rules divide by d with the primitive: TensorFlow's derivative of a quotient has 1/d² for a factor of its own, which is
# out of range where d is beyond the root of the range, though the result is not.


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
    rows = once(lambda: -divide(U, xp.cast(d, U)[..., None]) @ hermitian_part(summed_product(B_bar(), X, L)))
    return lambda: 2 * rows(), lambda: divide(-xp.sum(xp.real(xp.conj(U) * rows()), axis=-1), d), B_bar, None


@capacitance_solve.jvp
def _(X, U, d, B, L):
    xp = namespace(U)

    def from_M(M_dot):
        return -capacitance_solve(U, d, M_dot @ X, L)

    def from_U(U_dot):
        half = mH(divide(U, xp.cast(d, U)[..., None])) @ U_dot
        return from_M(half + mH(half))

    def from_d(d_dot):
        rows = divide(U, xp.cast(d, U)[..., None])
        return from_M(-mH(rows) @ (xp.cast(d_dot, U)[..., None] * rows))  # the square of d may be out of range

    return from_U, from_d, lambda B_dot: capacitance_solve(U, d, B_dot, L), None


def _low_rank_solve(U, d, r, L, solve=capacitance_solve, divide=divide):
    """x = M⁻¹ Uᴴ D⁻¹ r and α = D⁻¹ (r − U x) = (D + U Uᴴ)⁻¹ r."""
    UH, D = mH(U), namespace(U).cast(d, U)

    def solved(b):
        return solve(U, d, b[..., None], L)[..., 0]

    x = solved(_times(UH, divide(r, D)))
    # once more, with what is left: then x is as exact as that of a least-squares problem by orthogonal matrices
    x = x + solved(_times(UH, divide(r - _times(U, x), D)) - x)
    return x, divide(r - _times(U, x), D)


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
    exact to about ε, log det M, K⁻¹ and the bars to κ ε with the condition κ of M, at most 1 + ‖U‖²/min d; second
    derivatives by the dᵢ that is smallest to κ² ε. Where one dᵢ is small, κ is large and K may be well conditioned
    still: then `gaussian_logpdf` of the whole K has all digits, and of dᵢ = 1e-12 |uᵢ|² this has four.

    The derivatives are those of `gaussian_logpdf` with K̇ = diag(ḋ) + U̇ Uᴴ + U U̇ᴴ. As K⁻¹ U = D⁻¹ U M⁻¹ = V and
    αᴴ U = xᴴ, with s = ½ (complex arrays: 1),

        ȳ = −2s c̄ α,    Ū = 2s c̄ (α xᴴ − V),    d̄ᵢ = s c̄ (|αᵢ|² − (1 − Re Σ Vᵢⱼ conj(Uᵢⱼ)) / dᵢ).

    α is an intermediate. Where it has a bar, with G = K⁻¹ ᾱ,

        ȳ += G,    Ū −= G xᴴ + α (Uᴴ G)ᴴ,    d̄ᵢ −= Re(conj(Gᵢ) αᵢ).

    Source: Titsias (2009), whose bound is this less (‖A‖² − ‖U‖²)/(2σ²), A Aᴴ the whole covariance matrix of the data;
    Rasmussen & Williams (2006), A.3. Cost: the function 2nm² + m³/3 flops, its bars 2nm².

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
    r = y - mean
    d = xp.where(d > 0, d, xp.full_like(d, math.nan))  # so that there is no factor
    root = xp.cast(xp.sqrt(d), U)
    W = U / root[..., None]
    M = mH(W) @ W
    M = hermitian_part(M) + xp.eye_like(M)
    L = xp.cholesky(M, argument="M = I + Uᴴ diag(d)⁻¹ U, of the arguments U and d, which has to be positive,")
    x, alpha = _low_rank_solve(U, d, r, L, capacitance_solve.function, divide.function)
    squares = squared_norm(xp, root * alpha) + squared_norm(xp, x)
    constant = xp.sum(xp.log(d) + constant_for_each(xp, U), axis=-1)
    terms = squares + 2 * xp.sum(xp.log(xp.real(xp.diagonal(L))), axis=-1) + constant
    return -halved(xp, terms, U), alpha, L


def _inverse_times(U, d, L):
    """V = K⁻¹ U = D⁻¹ (M⁻¹ Uᴴ)ᴴ, by solves with the factor, and not by M⁻¹. Where a dᵢ is small beside |uᵢ|², the
    leverage Re Vᵢ uᵢᴴ = uᵢᴴ M⁻¹ uᵢ/dᵢ is nearly 1, and its rule divides what it lacks of that by dᵢ. A solve is that of
    an M off by ε |M| ≈ ε |uᵢ|²/dᵢ, which stands between two M⁻¹ uᵢ, each as small as dᵢ: the leverage is right to ε,
    and what it lacks to κ ε. The error of an explicit M⁻¹ is κ ε in every direction, that of the large uᵢ/√dᵢ as well,
    and came out as κ² ε.
    """
    return divide(mH(capacitance_solve(U, d, mH(U), L)), namespace(U).cast(d, U)[..., None])


@gaussian_logpdf_low_rank.vjp
def _(bars, outputs, y, mean, U, d):
    (c_bar, alpha_bar), (_, alpha, L), xp = bars, outputs, namespace(U)
    twice = one_or_two(xp, U)
    x = once(lambda: _times(mH(U), alpha))
    G = once(lambda: _low_rank_solve(U, d, alpha_bar, L)[1])
    weight = once(lambda: xp.sum_to(c_bar, xp.shape(L)[:-2]))

    @once
    def term():
        """−2s c̄ V, with the sum over all y."""
        return xp.cast(-twice * weight(), U)[..., None, None] * _inverse_times(U, d, L)

    @once
    def leverage():
        return xp.sum(xp.real(term() * xp.conj(U)), axis=-1)

    @once
    def y_bar():
        if c_bar is None:
            return G()
        bar = scaled(xp, -twice * c_bar, alpha)
        return bar if alpha_bar is None else bar + G()

    def U_bar():
        bar = None
        if c_bar is not None:
            leverage()  # before memory of the term is written to
            bar = xp.sum_to(term(), xp.shape(U))
            bar = summed_product(scaled(xp, twice * c_bar, alpha)[..., None], x()[..., None], U, bar)
        if alpha_bar is not None:
            change = summed_product(G()[..., None], x()[..., None], U)
            change = change + summed_product(alpha[..., None], _times(mH(U), G())[..., None], U)
            bar = -change if bar is None else bar - change
        return bar

    def d_bar():
        bar = None
        if c_bar is not None:
            squares = halved(xp, c_bar, U)[..., None] * xp.real(alpha * xp.conj(alpha))
            rest = divide(-leverage() / 2 - halved(xp, weight(), U)[..., None], d)
            bar = xp.sum_to(squares, xp.shape(d)) + xp.sum_to(rest, xp.shape(d))
        if alpha_bar is not None:
            change = xp.sum_to(xp.real(xp.conj(G()) * alpha), xp.shape(d))
            bar = -change if bar is None else bar - change
        return bar

    return y_bar, lambda: -y_bar(), U_bar, d_bar


@gaussian_logpdf_low_rank.jvp
def _(outputs, y, mean, U, d):
    (_, alpha, L), xp = outputs, namespace(U)
    twice = one_or_two(xp, U)
    x = once(lambda: _times(mH(U), alpha))
    V = once(lambda: _inverse_times(U, d, L))

    def solved(r_dot):
        return _low_rank_solve(U, d, r_dot, L)[1]

    def from_r(r_dot):
        return -twice * inner(xp, alpha, r_dot), solved(r_dot)

    def from_U(U_dot):
        along = _times(mH(U_dot), alpha)
        trace = xp.sum(xp.real(xp.conj(V()) * U_dot), axis=(-2, -1))
        return twice * (inner(xp, x(), along) - trace), -solved(_times(U_dot, x()) + _times(U, along))

    def from_d(d_dot):
        inverse = divide(1 - xp.sum(xp.real(V() * xp.conj(U)), axis=-1), d)  # the diagonal of K⁻¹
        squares = xp.real(alpha * xp.conj(alpha))
        return halved(xp, xp.sum((squares - inverse) * d_dot, axis=-1), U), -solved(xp.cast(d_dot, U) * alpha)

    return from_r, lambda mean_dot: from_r(-mean_dot), from_U, from_d


@gaussian_logpdf_low_rank.samples
def _(case):
    yield case(case.normal(4), case.normal(4), case.normal(4, 2), case.real(4))
    yield case(case.normal(2), case.normal(2), case.normal(2, 3), case.real(2))


@gaussian_logpdf_low_rank.reference
def _(mp, y, mean, U, d):
    return exact_logpdf(mp, y - mean, mp.eye(len(d)) * d[:, None] + U @ mp.mH(U))
