"""What a sparse Gaussian process computes of its cross-covariances.

May import `overbar._namespace`, `overbar._primitive` and `rules.equal_values`.
"""

from overbar._namespace import mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._equal_values import hermitian_part

#: Gram matrices with more rows are computed by halves.
SMALL = 128


def _gram(A):
    """A Aᴴ, Hermitian to the last bit: of blocks off the diagonal only one of two is computed."""
    m = A.shape[-2]
    if m is None or m <= SMALL:
        return hermitian_part(A @ mH(A))
    first, second = A[..., : m // 2, :], A[..., m // 2 :, :]
    low = second @ mH(first)
    return namespace(A).block([[_gram(first), mH(low)], [low, _gram(second)]])


@primitive("(m,m),(m,n),(n,k)->(m,m),(m,k),(m,n)", intermediates=1)
def whitened_gram(L, W, R):
    """The products A Aᴴ and A R of A = L⁻¹ W, for a lower triangular L.

    Of a sparse Gaussian process, let L be the Cholesky factor of the covariance matrix of m inducing points, W their
    cross-covariance with n data over the standard deviation of the noise, and R the data over the same. Then these are
    all that its bound needs: the rest has m rows and columns.

    Parameters
    ----------
    L
        Only its lower triangle is read, and only it gets a bar.
    W : array (..., m, n)
        With many columns.
    R : array (..., n, k)
        With few columns: one for each set of observations at the data's inputs.

    Returns
    -------
    A Aᴴ : array (..., m, m)
        Hermitian to the last bit.
    A R : array (..., m, k)

    Raises
    ------
    LinAlgError of the array's library
        L is singular (in NumPy; PyTorch and TensorFlow give infinities and NaN, as `solve_triangular` does).

    Notes
    -----
    With G = A Aᴴ and a = A R, from L Ȧ + L̇ A = Ẇ:

        Ȧ = L⁻¹ (Ẇ − L̇ A),    Ġ = Ȧ Aᴴ + A Ȧᴴ,    ȧ = Ȧ R + A Ṙ.

    The bar of A would be (Ḡ + Ḡᴴ) A + ā Rᴴ, that of W is L⁻ᴴ times it, and that of L is −tril(W̄ Aᴴ). But A Aᴴ and A R
    are known, and triangular systems can be solved before the products:

        T = L⁻ᴴ (Ḡ + Ḡᴴ),    u = L⁻ᴴ ā,    W̄ = T A + u Rᴴ,    L̄ = −tril(T G + u aᴴ),    R̄ = Aᴴ ā.

    This is one product with n columns, where a rule for each step takes three and a triangular solve. A is an
    intermediate. Where it has a bar Ā, L⁻ᴴ Ā is added to W̄, and −tril(L⁻ᴴ Ā Aᴴ) to L̄. Source: the product and inverse
    product rules of Giles (2008), sections 2.2.2 and 2.2.3; Titsias (2009) for the bound. Cost: the function 2nm²
    flops, its bars 2nm².

    Examples
    --------
    >>> import numpy as np, overbar
    >>> L, W, R = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 4.0], [1.0, 0.0]]), np.array([[1.0], [1.0]])
    >>> G, a = overbar.whitened_gram(L, W, R)
    >>> G, a
    (array([[5., 1.],
           [1., 1.]]), array([[3.],
           [1.]]))
    >>> _, pullback = overbar.vjp(lambda W: overbar.whitened_gram(L, W, R)[1], W)
    >>> pullback(np.array([[2.0], [0.0]]))[0]
    array([[1., 1.],
           [0., 0.]])
    """
    A = namespace(L).solve_triangular(L, W, upper=False)
    G, a = _gram(A), A @ R
    return _in_batch_of(a, G), a, _in_batch_of(a, A)


def _in_batch_of(a, A):
    """A in as many batch dimensions as a has."""
    xp = namespace(a)
    have, want = xp.static_shape(A)[:-2], xp.static_shape(a)[:-2]
    return A if have == want and None not in have else xp.broadcast_to(A, (*xp.shape(a)[:-2], *xp.shape(A)[-2:]))


@whitened_gram.vjp
def _(bars, outputs, L, W, R):
    (G_bar, a_bar, A_bar), (G, a, A), xp = bars, outputs, namespace(L)

    def solved(bar):
        return None if bar is None else xp.solve_triangular(L, bar, upper=False, adjoint=True)

    T = once(lambda: solved(None if G_bar is None else 2 * hermitian_part(G_bar)))
    u = once(lambda: solved(a_bar))
    V = once(lambda: solved(A_bar))

    def total(*terms):
        found = [term() for factor, term in terms if factor is not None]
        return sum(found[1:], start=found[0])

    def W_bar():
        return total((G_bar, lambda: T() @ A), (a_bar, lambda: u() @ mH(R)), (A_bar, V))

    def L_bar():
        terms = (G_bar, lambda: T() @ G), (a_bar, lambda: u() @ mH(a)), (A_bar, lambda: V() @ mH(A))
        return -xp.tril(total(*terms))

    return L_bar, W_bar, lambda: xp.zeros_like(R) if a_bar is None else mH(A) @ a_bar


@whitened_gram.jvp
def _(outputs, L, W, R):
    (_, _, A), xp = outputs, namespace(L)

    def from_A(A_dot):
        half = A_dot @ mH(A)
        return half + mH(half), A_dot @ R, A_dot

    return (
        lambda L_dot: from_A(-xp.solve_triangular(L, xp.tril(L_dot) @ A, upper=False)),
        lambda W_dot: from_A(xp.solve_triangular(L, W_dot, upper=False)),
        lambda R_dot: (None, A @ R_dot, None),
    )


@whitened_gram.samples
def _(case):
    yield case(case.lower(3), case.normal(3, 5), case.normal(5, 2))


@whitened_gram.reference
def _(mp, L, W, R):
    A = mp.solve(mp.tril(L, 0), W)
    return A @ mp.mH(A), A @ R
