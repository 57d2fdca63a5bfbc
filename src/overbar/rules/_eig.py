"""Eigenvalues and eigenvectors of general matrices.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `rules.equal_values` and `rules.phases`. The free factor
of the vectors is fixed as in `eigen`. Eigenvalues are in the order of Re w + Im w/π, which rounding decides in unlucky
cases only (the order of the real parts would be decided by it for each pair of conjugates).
"""

import math

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive
from overbar.rules._equal_values import column, inverse_gaps, rounding, row
from overbar.rules._phases import exact_factor, fixed, turned_bar, turned_dot


@primitive("(n,n)->(n),(n,n)")
def eig(A):
    """The eigenvalues and eigenvectors of a square matrix: A V = V diag(w).

    Parameters
    ----------
    A
        The bar of a real matrix is real.

    Returns
    -------
    w : array (..., n)
        The eigenvalues, complex, in the order of Re w + Im w/π.
    V : array (..., n, n)
        The eigenvectors, complex, as columns, of norm 1. Their free factor is chosen: of the components of a column
        that are larger than nine tenths of the largest, the first is positive.

    Raises
    ------
    LinAlgError of the array's library
        A is not finite (XLA returns NaN). By the rules: A is defective to working precision,
        or has equal eigenvalues whose vectors have a cotangent.

    Notes
    -----
    Put V̇ = V K into the derivative of A V = V diag(w), and multiply by V⁻¹:

        V⁻¹ Ȧ V + diag(w) K = K diag(w) + diag(ẇ)    ⇒    ẇ = diag(C),    K = F ∘ C,    C = V⁻¹ Ȧ V,

    with Fᵢⱼ = 1/(wⱼ − wᵢ) off the diagonal. The diagonal of K keeps the norm of each vector 1, Re(vₖᴴ V̇ₖ) = 0, and its
    chosen component real: with G = V (F ∘ C),

        V̇ₖ = Gₖ − Re(vₖᴴ Gₖ) vₖ − i Im(Gₚₖ)/vₚₖ vₖ.

    Moved off Ȧ, this takes Re(vₖᴴ V̄ₖ) vₖ from V̄ₖ, and i Im(vₖᴴ V̄ₖ)/vₚₖ from its component p, and then

        Ā = V⁻ᴴ (diag(w̄) + conj(F) ∘ (Vᴴ V̄)) Vᴴ.

    Source: Giles (2008), section 3.1; Boeddeker et al. (2017), arXiv:1701.00392, for the norm. At equal eigenvalues
    with a full set of vectors the part of w̄ is right for symmetric functions of the eigenvalues; a cotangent of such
    vectors is an error, as they have no derivative. (So is a second derivative of `eigvals` there.) Where there is no
    full set, eigenvalues have no derivative either. Rounding then parts k equal ones by about ε^(1/k), and the norms κ
    of the rows of V⁻¹, the condition numbers of the eigenvalues, are about ε^(1/k − 1): for each k, ε κ |A| over the
    gap is about 1, which means that no digit of the vector is known. Where it is more than 1/100, and κ is more than
    ε^(−1/2)/100, which it is not for a full set of vectors, it is an error. Cost: one solve and three products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.eig(np.array([[0.0, 1.0], [-1.0, 0.0]]))[0]
    array([0.-1.j, 0.+1.j])
    """
    return ordered(*namespace(A).eig(A))


def ordered(w, V):
    """Eigenvalues and vectors of any order and phases, in those of `eig`."""
    xp = namespace(V)
    order = xp.argsort(xp.real(w) + xp.imag(w) / math.pi, axis=-1)
    columns = order[..., None, :] + xp.zeros_like(order)[..., :, None]
    return xp.take_along_axis(w, order, axis=-1), fixed(xp.take_along_axis(V, columns, axis=-1))


def _inverse(A, w, V):
    """V⁻¹, if A is not defective."""
    xp = namespace(A)
    S = xp.solve(V, xp.eye_like(V), check=False)
    n = V.shape[-1]
    if n == 0 or n == 1:
        return S
    gap = xp.abs(row(w) - column(w))
    nearest = xp.min(xp.where(xp.eye_like(gap) > 0, np.inf * xp.ones_like(gap), gap), axis=-1)
    kappa = xp.max(xp.abs(S), axis=-1)  # the norm but for a factor √n, and it does not overflow
    size = xp.max(xp.abs(A), axis=(-2, -1), keepdims=True)[..., 0]
    eps = xp.eps(kappa)
    fine = (kappa < 0.01 / math.sqrt(eps)) | (100 * eps * kappa * size < nearest)
    return front(A).require(
        S,
        xp.all(fine, axis=-1),
        "eig: argument A is defective to working precision: it lacks eigenvectors, and its eigenvalues have no "
        "derivative. A function of A that is smooth there has one by itself: a trace, a power, or any f(A) by "
        "funm(A, f=f).",
    )


def _bar(bars, outputs, A):
    (w_bar, V_bar), (w, V), xp = bars, outputs, namespace(A)
    S = _inverse(A, w, V)
    if V_bar is None:
        middle = column(w_bar) * mH(V)
        return mH(S) @ middle
    V_bar = _if_apart(w, V_bar)
    along = xp.real(xp.sum(xp.conj(V) * V_bar, axis=-2))
    Y = mH(V) @ (turned_bar(V, V_bar) - V * xp.cast(row(along), V))
    middle = xp.conj(inverse_gaps(w)) * Y
    if w_bar is not None:
        middle = middle + row(w_bar) * xp.eye_like(V)
    return mH(S) @ middle @ mH(V)


def _if_apart(w, V_bar):
    """V̄, if no vector of equal eigenvalues has a cotangent."""
    xp = namespace(w)
    near = xp.abs(row(w) - column(w)) <= rounding(w)[..., None]
    alone = xp.sum(xp.cast(near, xp.real(w)), axis=-1) < 1.5
    moved = xp.any(xp.not_equal(V_bar, 0), axis=-2)
    return front(V_bar).require(
        V_bar,
        xp.all(alone | ~moved, axis=-1),
        "eig: argument A has equal eigenvalues. Their vectors have no derivative, and the eigenvalues no second one. A "
        "function f(A) has both: funm(A, f=f) computes it without vectors.",
    )


def _dots(A_dot, outputs, A):
    (w, V), xp = outputs, namespace(A)
    C = _inverse(A, w, V) @ (xp.cast(A_dot, V) @ V)
    G = V @ (inverse_gaps(w) * C)
    along = xp.real(xp.sum(xp.conj(V) * G, axis=-2))
    return xp.diagonal(C), turned_dot(V, G - V * xp.cast(row(along), V))


@eig.vjp
def _(bars, outputs, A):
    return (lambda: _bar(bars, outputs, A),)


@eig.jvp
def _(outputs, A):
    return (lambda A_dot: _dots(A_dot, outputs, A),)


@eig.samples
def _(case):
    yield case(_apart(case, 4))


def _apart(case, n):
    """A general matrix with eigenvalues about 3 apart and well-conditioned vectors; the first two of a real one are
    conjugates."""
    X = case.square(n)
    n = X.shape[-1]  # larger where costs are measured
    D = np.zeros((*case.batch, n, n), case.dtype)
    D[..., range(n), range(n)] = np.arange(n) + case.rng.uniform(-0.2, 0.2, (*case.batch, n))
    D[..., 1, 1] = D[..., 0, 0]
    D[..., 0, 1], D[..., 1, 0] = 0.8, -0.8
    if case.complex:
        D = D * np.exp(0.5j)
    return case._cast(3 * np.linalg.solve(X.astype(complex) if case.complex else X.astype(float), D @ X))


def exact_eig(mp, A):
    n = len(A)
    w, Q = mp.context.eig(mp.context.matrix(A.tolist()))
    order = sorted(range(n), key=lambda k: w[k].real + w[k].imag / mp.context.pi)
    V = mp.zeros((n, n))
    for place, k in enumerate(order):
        column = np.array([mp.context.mpc(Q[i, k]) for i in range(n)], dtype=object)
        norm = mp.context.sqrt(sum(abs(x) ** 2 for x in column))
        V[:, place] = column / norm * exact_factor(mp, column)
    return np.array([mp.context.mpc(w[k]) for k in order], dtype=object), V


@eig.reference
def _(mp, A):
    return exact_eig(mp, A)


@primitive("(n,n)->(n),(n,n)", intermediates=1)
def eigvals(A):
    """The eigenvalues of a square matrix.

    Parameters
    ----------
    A
        The bar of a real matrix is real.

    Returns
    -------
    array (..., n)
        Complex, in the order of Re w + Im w/π.

    Raises
    ------
    LinAlgError of the array's library
        As `eig`. In particular, the rules raise where A is defective to working precision; see there for what that is.

    Notes
    -----
    As in `eig`, whose vectors are an intermediate here: with yₖᴴ the rows of V⁻¹,

        ẇ = diag(V⁻¹ Ȧ V),    Ā = V⁻ᴴ diag(w̄) Vᴴ.

    At equal eigenvalues with a full set of vectors (of the identity, say) the first derivative is right for symmetric
    functions of the eigenvalues, and the second one is an error. Source: Giles (2008), section 3.1. Cost: one solve and
    one product.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> w, pullback = overbar.vjp(overbar.eigvals, np.array([[1.0, 2.0], [0.0, 3.0]]))
    >>> w, pullback(2 * w.conj())[0]
    (array([1.+0.j, 3.+0.j]), array([[2., 0.],
           [4., 6.]]))
    """
    return eig.function(A)


@eigvals.vjp
def _(bars, outputs, A):
    return (lambda: _bar(bars, outputs, A),)


@eigvals.jvp
def _(outputs, A):
    return (lambda A_dot: _dots(A_dot, outputs, A),)


@eigvals.samples
def _(case):
    yield case(_apart(case, 4))


@eigvals.reference
def _(mp, A):
    return exact_eig(mp, A)[0]
