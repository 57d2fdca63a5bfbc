"""Gaussian divergences: how far one Gaussian is from another, by Kullback and Leibler.

May import `overbar._namespace`, `overbar._primitive`, `rules.gaussian` and `rules.positive_definite`.
"""

from overbar._namespace import namespace
from overbar._primitive import once, primitive
from overbar.rules._gaussian import halved, inner, one_or_two, over_diagonal, squared_norm
from overbar.rules._positive_definite import summed_product


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
    below = xp.sum(squared_norm(xp, xp.tril(T, k=-1)), axis=-1)
    terms = squares - 1 - 2 * xp.log(xp.abs(xp.diagonal(L) / xp.diagonal(other_L)))
    c = halved(xp, squared_norm(xp, z) + below + xp.sum(terms, axis=-1), L)
    return c, _of_batch(xp, c, T, 2), _of_batch(xp, c, z, 1)


@gaussian_kl.vjp
def _(bars, outputs, mean, L, other_mean, other_L):
    (c_bar, T_bar, z_bar), (_, T, z), xp = bars, outputs, namespace(L)
    twice = one_or_two(xp, L)

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
        return bar if c_bar is None else bar - over_diagonal(xp, twice * c_bar, L)

    def other_L_bar():
        bar = -summed_product(X(), T, other_L) - summed_product(w()[..., None], z[..., None], other_L)
        return xp.tril(bar) if c_bar is None else xp.tril(bar) + over_diagonal(xp, twice * c_bar, other_L)

    return w, L_bar, lambda: -w(), other_L_bar


@gaussian_kl.jvp
def _(outputs, mean, L, other_mean, other_L):
    (_, T, z), xp = outputs, namespace(L)
    twice = one_or_two(xp, L)

    def solved(B):
        return xp.solve_triangular(other_L, B, upper=False)

    def of(T_dot, z_dot):
        """ċ, without the logarithms, from Ṫ and ż."""
        return twice * (inner(xp, z, z_dot) + xp.sum(inner(xp, T, T_dot), axis=-1)), T_dot, z_dot

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
