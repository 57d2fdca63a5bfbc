"""Gaussian densities, from a covariance matrix, or from its Cholesky factor.

May import `overbar._namespace`, `overbar._primitive`, `rules.cholesky`, `rules.equal_values` and
`rules.positive_definite`.
"""

import math

from overbar._namespace import namespace
from overbar._primitive import once, primitive
from overbar.rules._cholesky import factor_to_keep
from overbar.rules._equal_values import hermitian_part
from overbar.rules._positive_definite import inverse_with_factor, solve_with_factor, summed_product


def halved(xp, x, K):
    """s x, with what stands before the quadratic form: ½, and 1 in the density of complex numbers. By a division: of a
    number times one of Python's with a point, PyTorch's tangent is in double precision."""
    return x if xp.is_complex(K) else x / 2


def one_or_two(xp, K):
    """2s, an integer for the same reason."""
    return 2 if xp.is_complex(K) else 1


def squared_norm(xp, z):
    return xp.sum(xp.real(xp.conj(z) * z), axis=-1)


def inner(xp, x, y):
    """Re xᴴ y of vectors."""
    return xp.sum(xp.real(xp.conj(x) * y), axis=-1)


def _logpdf(xp, z, L):
    """log N(y | μ, L Lᴴ) with z = L⁻¹(y − μ)."""
    # a size may be unknown while a graph is built: the constant is added n times
    terms = 2 * xp.log(xp.abs(xp.diagonal(L))) + constant_for_each(xp, L)
    return -halved(xp, squared_norm(xp, z) + xp.sum(terms, axis=-1), L)


def constant_for_each(xp, K):
    """What each entry of y adds to −log N / s: log 2π, and log π in the density of complex numbers."""
    return math.log(math.pi if xp.is_complex(K) else 2 * math.pi)


def scaled(xp, c, x):
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
        complex arrays, of which K has to be one, it is the density of the circularly symmetric complex Gaussian
        distribution with K = E[(y − μ)(y − μ)ᴴ], −(y − μ)ᴴ K⁻¹ (y − μ) − log det K − n log π.

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
    L = factor_to_keep(K, argument="K")
    z = xp.solve_triangular(L, r, upper=False)
    alpha = xp.solve_with_factor(K, L, r, z)
    return _logpdf(xp, z[..., 0], L), alpha[..., 0], L


@gaussian_logpdf.vjp
def _(bars, outputs, y, mean, K):
    (c_bar, alpha_bar), (_, alpha, L), xp = bars, outputs, namespace(K)
    twice = one_or_two(xp, K)

    @once
    def G():
        return solve_with_factor(K, alpha_bar[..., None], L)

    @once
    def y_bar():
        if c_bar is None:
            return G()[..., 0]
        bar = scaled(xp, -twice * c_bar, alpha)
        return bar if alpha_bar is None else bar + G()[..., 0]

    def K_bar():
        bar, column = None, alpha[..., None]
        if c_bar is not None:
            weight = halved(xp, c_bar, K)
            bar = inverse_with_factor(K, xp.sum_to(-weight, xp.shape(K)[:-2]), L)
            bar = summed_product(scaled(xp, weight, alpha)[..., None], column, K, bar)
        if alpha_bar is not None:
            change = hermitian_part(summed_product(G(), column, K))
            bar = -change if bar is None else bar - change
        return bar

    return y_bar, lambda: -y_bar(), K_bar


@gaussian_logpdf.jvp
def _(outputs, y, mean, K):
    (_, alpha, L), xp = outputs, namespace(K)
    twice = one_or_two(xp, K)

    def solved(r_dot):
        return solve_with_factor(K, r_dot[..., None], L)[..., 0]

    def from_y(y_dot):
        return -twice * inner(xp, alpha, y_dot), solved(y_dot)

    def from_mean(mean_dot):
        return twice * inner(xp, alpha, mean_dot), -solved(mean_dot)

    def from_K(K_dot):
        K_dot = hermitian_part(K_dot)
        change = (K_dot @ alpha[..., None])[..., 0]
        trace = xp.sum(xp.real(xp.conj(inverse_with_factor(K, 1.0, L)) * K_dot), axis=(-2, -1))
        return halved(xp, inner(xp, alpha, change) - trace, K), -solved(change)

    return from_y, from_mean, from_K


@gaussian_logpdf.samples
def _(case):
    yield case(case.normal(4), case.normal(4), case.positive_definite(4))


@gaussian_logpdf.reference
def _(mp, y, mean, K):
    return exact_logpdf(mp, y - mean, K)


def exact_logpdf(mp, r, K):
    s = 1 if any(isinstance(x, mp.context.mpc) for x in K.flat) else mp.context.mpf(1) / 2
    square = mp.real((mp.conj(r)[:, None] * mp.solve(K, r[:, None])).sum())
    return -s * (square + mp.log(mp.real(mp.det(K))) + len(r) * mp.context.log(mp.context.pi / s))


def over_diagonal(xp, c, L):
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
    twice = one_or_two(xp, L)

    @once
    def y_bar():
        total = z_bar
        if c_bar is not None:
            total = scaled(xp, -twice * c_bar, z)
            total = total if z_bar is None else total + z_bar
        return xp.solve_triangular(L, total[..., None], upper=False, adjoint=True)[..., 0]

    def L_bar():
        bar = xp.tril(summed_product(-y_bar()[..., None], z[..., None], L))
        if c_bar is None:
            return bar
        return bar - over_diagonal(xp, twice * c_bar, L)

    return y_bar, lambda: -y_bar(), L_bar


@gaussian_logpdf_cholesky.jvp
def _(outputs, y, mean, L):
    (_, z), xp = outputs, namespace(L)
    twice = one_or_two(xp, L)

    def from_r(r_dot):
        z_dot = xp.solve_triangular(L, r_dot[..., None], upper=False)[..., 0]
        return -twice * inner(xp, z, z_dot), z_dot

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
    return exact_logpdf(mp, y - mean, L @ mp.mH(L))
