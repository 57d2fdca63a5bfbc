"""Gaussian divergences: how far one Gaussian is from another, by Kullback and Leibler.

May import `overbar._namespace`, `overbar._primitive`, `rules.complex_parts`, `rules.gaussian` and
`rules.positive_definite`.
"""

from overbar._namespace import namespace
from overbar._primitive import once, primitive
from overbar.rules._complex_parts import unit
from overbar.rules._gaussian import halved, inner, one_or_two, squared_norm
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
    With the triangle T = M⁻¹ L and z = M⁻¹ (μ − m), s = ½ (complex arrays: 1), and d = |Tᵢᵢ| − 1,

        c = s (zᴴ z + Σ_(i>j) |Tᵢⱼ|² + Σ (d² + 2 (d − log (1 + d)))),

    in which no term is negative, and none cancels with another. Near d = 0 the last one is ½ d² − ⅓ d³ + …, from a
    series. What is left is to know d, and T below its diagonal, to their last digits where L and M are close, and so
    are T and a diagonal matrix S of signs (phases): d = (|Lᵢᵢ| − |Mᵢᵢ|) / |Mᵢᵢ|, and T − S = M⁻¹ (L − M S), whose
    differences of close numbers are exact. (Only in columns where they are close: elsewhere the difference would cost
    small entries their digits.)

    The intermediates are z and the triangle N, which is T below the diagonal and d on it. Let π take Ṫ to Ṅ: it leaves
    what is below the diagonal, and on it takes Re(conj(Sᵢᵢ) Ṫᵢᵢ); πᵀ, its adjoint, takes N̄ᵢᵢ to Sᵢᵢ Re N̄ᵢᵢ. Let W be N
    with d + d/|Tᵢᵢ| on its diagonal. Then

        Ṅ = π (M⁻¹ (L̇ − Ṁ T)),    ż = M⁻¹ (μ̇ − ṁ − Ṁ z),    ċ = 2s (Re⟨W, Ṅ⟩ + Re⟨z, ż⟩),

    and with X = M⁻ᴴ πᵀ(2s c̄ W + N̄) and w = M⁻ᴴ (2s c̄ z + z̄)

        μ̄ = w,    m̄ = −w,    L̄ = tril(X),    M̄ = −tril(X Tᴴ + w zᴴ).

    So the derivatives, too, have all digits where they are small. (Of complex diagonals, those that the rounded |Lᵢᵢ|
    and |Mᵢᵢ| have.)

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
    z = xp.solve_triangular(other_L, (mean - other_mean)[..., None], upper=False)[..., 0]
    own, other = xp.diagonal(L), xp.diagonal(other_L)
    size, other_size = xp.abs(own), xp.abs(other)
    d = (size - other_size) / other_size
    close = xp.where(xp.abs(d) < 0.5, xp.cast(unit(own / other), L), xp.zeros_like(own / other))
    E = xp.solve_triangular(other_L, xp.tril(L) - xp.tril(other_L) * close[..., None, :], upper=False)
    N = xp.fill_diagonal(xp.tril(E, k=-1), xp.cast(d, E))
    below = xp.sum(squared_norm(xp, xp.tril(E, k=-1)), axis=-1)
    terms = d * d + 2 * _over_logarithm(xp, d, size / other_size)
    c = halved(xp, squared_norm(xp, z) + below + xp.sum(terms, axis=-1), L)
    return c, _of_batch(xp, c, N, 2), _of_batch(xp, c, z, 1)


def _over_logarithm(xp, d, one):
    """d − log (1 + d) for d > −1, with all digits, where 1 + d is given, too.

    With r = d/(2 + d), log (1 + d) = 2 (r + r³/3 + r⁵/5 + …) and d − 2r = d r, so that for small d no term is lost.
    """
    small, far = xp.abs(d) < 1 / 8, d < -0.5
    u = xp.where(small, d, xp.zeros_like(d))
    r = u / (2 + u)
    square, series = r * r, 0
    for k in (15, 13, 11, 9, 7, 5, 3):
        series = square * series + 1 / k
    zero = xp.zeros_like(d)
    logarithm = xp.where(far, xp.log(xp.where(far, one, zero + 1)), xp.log1p(xp.where(far, zero, d)))
    return xp.where(small, u * r - 2 * series * square * r, d - logarithm)


class _Triangles:
    """What both rules make of N and of the factors."""

    def __init__(self, N, L, other_L):
        self.xp, self.N = namespace(L), N
        self.ratios = once(lambda: self.xp.diagonal(L) / self.xp.diagonal(other_L))
        self.phases = once(lambda: unit(self.ratios()))

    def T(self):
        xp = self.xp
        return xp.fill_diagonal(self.N, self.ratios() + xp.zeros_like(xp.diagonal(self.N)))

    def W(self):
        xp, d = self.xp, self.xp.real(self.xp.diagonal(self.N))
        return xp.fill_diagonal(self.N, xp.cast(d + d / xp.abs(self.ratios()), self.N))

    def pi(self, T_dot):
        xp = self.xp
        moduli = xp.real(xp.conj(self.phases()) * xp.diagonal(T_dot))
        return xp.fill_diagonal(T_dot, xp.cast(moduli, T_dot))

    def adjoint_pi(self, N_bar):
        xp = self.xp
        return xp.fill_diagonal(N_bar, self.phases() * xp.cast(xp.real(xp.diagonal(N_bar)), N_bar))


@gaussian_kl.vjp
def _(bars, outputs, mean, L, other_mean, other_L):
    (c_bar, N_bar, z_bar), (_, N, z), xp = bars, outputs, namespace(L)
    twice, triangles = one_or_two(xp, L), _Triangles(N, L, other_L)

    def whole(bar, weight, like, lead):
        """2s c̄ times what `weight` computes, and the bar of an intermediate."""
        if c_bar is None:
            return xp.zeros_like(like) if bar is None else bar
        own = xp.cast((twice * c_bar)[(..., *[None] * lead)], like) * weight()
        return own if bar is None else own + bar

    def back(B):
        return xp.solve_triangular(other_L, B, upper=False, adjoint=True)

    X = once(lambda: back(triangles.adjoint_pi(whole(N_bar, triangles.W, N, 2))))
    w = once(lambda: back(whole(z_bar, lambda: z, z, 1)[..., None])[..., 0])

    def other_L_bar():
        bar = summed_product(X(), triangles.T(), other_L) + summed_product(w()[..., None], z[..., None], other_L)
        return -xp.tril(bar)

    return w, lambda: xp.tril(xp.sum_to(X(), xp.shape(L))), lambda: -w(), other_L_bar


@gaussian_kl.jvp
def _(outputs, mean, L, other_mean, other_L):
    (_, N, z), xp = outputs, namespace(L)
    twice, triangles = one_or_two(xp, L), _Triangles(N, L, other_L)

    def solved(B):
        return xp.solve_triangular(other_L, B, upper=False)

    def of(T_dot, z_dot):
        c_dot, N_dot = inner(xp, z, z_dot), xp.zeros_like(N)
        if T_dot is not None:
            N_dot = triangles.pi(T_dot)
            c_dot = c_dot + xp.sum(inner(xp, triangles.W(), N_dot), axis=-1)
        return twice * c_dot, N_dot, z_dot

    def from_mean(mean_dot):
        return of(None, solved(mean_dot[..., None])[..., 0])

    def from_other_L(L_dot):
        L_dot = xp.tril(L_dot)
        return of(-solved(L_dot @ triangles.T()), -solved(L_dot @ z[..., None])[..., 0])

    return (
        from_mean,
        lambda L_dot: of(solved(xp.tril(L_dot)), xp.zeros_like(z)),
        lambda mean_dot: from_mean(-mean_dot),
        from_other_L,
    )


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
