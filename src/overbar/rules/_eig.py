"""Eigenvalues and eigenvectors of general matrices.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `rules.equal_values` and `rules.phases`. The free factor
of the vectors is fixed as in `eigen`. Eigenvalues are in the order of Re w + Im w/π, which rounding decides in unlucky
cases only (the order of the real parts would be decided by it for each pair of conjugates).
"""

import math

import numpy as np

from overbar._namespace import front, mH, mT, namespace
from overbar._primitive import once, primitive
from overbar.rules._equal_values import anywhere, column, inverse_gaps, largest_entry, norm_of, rounding, row
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
        or has equal eigenvalues whose vectors have a cotangent. By second derivatives: eigenvalues are equal, or as
        good as equal at their condition.

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
    vectors is an error, as they have no derivative. (In forward mode they get V̇ = V K with Kᵢⱼ = 0 for equal ones,
    which is right for a loss that depends on the spaces only, V₁ (V⁻¹)₁ for instance.) Where there is no full set,
    eigenvalues have no derivative either. Rounding then parts k equal ones by about ε^(1/k), and the norms κ of the
    rows of V⁻¹, the condition numbers of the eigenvalues, are about ε^(1/k − 1): for each k, ε κ |A| over the gap is
    about 1, which means that no digit of the vector is known. Where it is more than 1/100, and κ is more than
    ε^(−1/2)/100, which it is not for a full set of vectors, it is an error.

    Second derivatives of vectors are an error in every mode where two eigenvalues are equal, or as good as equal: where
    ε κᵢ κⱼ |A| over the gap is more than 1/100, whatever depends on both is rounding. For those of eigenvalues see
    `eigvals`. Cost: one solve and four products.

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


def _conditions(S):
    """The condition numbers of the eigenvalues: the norms of the rows of V⁻¹, but for a factor √n. (They do not
    overflow.)"""
    return namespace(S).max(namespace(S).abs(S), axis=-1)


def _gaps(w):
    """|wⱼ − wᵢ|, infinite on the diagonal."""
    xp, gap = namespace(w), namespace(w).abs(row(w) - column(w))
    return xp.where(xp.eye_like(gap) > 0, np.inf * xp.ones_like(gap), gap)


def _inverse(A, w, V):
    """V⁻¹, if A is not defective."""
    xp = namespace(A)
    S = xp.solve(V, xp.eye_like(V), check=False)
    n = V.shape[-1]
    if n == 0 or n == 1:
        return S
    nearest, kappa = xp.min(_gaps(w), axis=-1), _conditions(S)
    eps = xp.eps(kappa)
    fine = (kappa < 0.01 / math.sqrt(eps)) | (100 * eps * kappa * largest_entry(xp, A)[..., 0] < nearest)
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
    found = None if w_bar is None else eigenvalues_bar(xp.cast(w_bar, V), xp.cast(A, V), w, V, S)
    if V_bar is None:
        return found
    V_bar = _if_apart(w, V_bar)
    along = xp.real(xp.sum(xp.conj(V) * V_bar, axis=-2))
    Y = mH(V) @ (turned_bar(V, V_bar) - V * xp.cast(row(along), V))
    of_vectors = _differentiated_where_apart(mH(S) @ (xp.conj(inverse_gaps(w)) * Y) @ mH(V), A, w, S)
    return of_vectors if found is None else found + of_vectors


def _if_apart(w, V_bar):
    """V̄, if no vector of equal eigenvalues has a cotangent."""
    xp = namespace(w)
    near = xp.abs(row(w) - column(w)) <= rounding(w)[..., None]
    alone = xp.sum(xp.cast(near, xp.real(w)), axis=-1) < 1.5
    moved = xp.any(xp.not_equal(V_bar, 0), axis=-2)
    return front(V_bar).require(
        V_bar,
        xp.all(alone | ~moved, axis=-1),
        "eig: argument A has equal eigenvalues. Their vectors have no derivative. A function f(A) has one: "
        "funm(A, f=f) computes it without vectors.",
    )


def _dots(A_dot, outputs, A):
    (w, V), xp = outputs, namespace(A)
    S = _inverse(A, w, V)
    w_dot = eigenvalues_along(xp.cast(A_dot, V), xp.cast(A, V), w, V, S)
    G = V @ (inverse_gaps(w) * (S @ (xp.cast(A_dot, V) @ V)))
    along = xp.real(xp.sum(xp.conj(V) * G, axis=-2))
    return w_dot, turned_dot(V, G - V * xp.cast(row(along), V)), S


# -- second derivatives ------------------------------------------------------------------------------------------------

_NO_SECOND = (
    "eigvals: argument A has eigenvalues that are equal, or as good as equal at its condition: their second "
    "derivatives are not to be had from them, and those of their vectors neither. A function of A that is smooth there "
    "has them by itself: a trace, a power, or any f(A) by funm(A, f=f)."
)


def _together(A, w, S):
    """Which pairs of eigenvalues are too close for second derivatives. The divided differences of w̄ in these are
    multiplied with entries of the size of κᵢ and κⱼ, and have an error of ε |w̄| over the gap: so it is for a pair that
    ε κᵢ κⱼ |A| over the gap, where it is more than 1/100, leaves no digits."""
    xp, kappa = namespace(w), _conditions(S)
    worst = 100 * xp.eps(kappa) * row(kappa) * column(kappa) * largest_entry(namespace(A), A)
    gap = _gaps(w)
    # not "less or equal": of condition numbers that overflow, NaN
    return ~(gap > worst) & xp.isfinite(gap) | (gap <= rounding(w)[..., None])


@primitive("(m,n),(m,n),(m,n)->(m,n)")
def _differentiated_apart(X, A, where):
    """X, of which a derivative that depends on A is an error where there is a one."""
    return X


@_differentiated_apart.vjp
def _(Y_bar, Y, X, A, where):
    return lambda: _refused(Y_bar, _vanishes(Y_bar), where), None, None


@_differentiated_apart.jvp
def _(Y, X, A, where):
    return lambda X_dot, A_dot, _: _refused(X_dot, _vanishes(A_dot), where)


def _vanishes(X):
    return ~anywhere(namespace(X).not_equal(X, 0))


def _refused(X, fine, where):
    return front(X).require(X, fine | _vanishes(where), _NO_SECOND)


def _differentiated_where_apart(X, A, w, S):
    if X.shape[-1] == 0 or X.shape[-1] == 1:
        return X
    xp = namespace(X)
    return _differentiated_apart(X, xp.cast(A, X), xp.cast(_together(A, w, S), X))


class _Moving:
    """How the eigenvalues move along E: C = V⁻¹ E V, and which of its entries are `lost`: off the diagonal, of
    eigenvalues that are as good as equal, and not zero."""

    def __init__(self, E, A, w, V, S):
        xp = self.xp = namespace(V)
        self.A, self.w, self.V, self.S = A, w, V, S
        self.C = S @ E @ V
        if V.shape[-1] == 0 or V.shape[-1] == 1:
            self.lost, self.F = xp.abs(self.C) < 0, xp.zeros_like(self.C)
            return
        together = _together(A, w, S)
        noise = 100 * xp.eps(xp.real(w)) * column(_conditions(S)) * norm_of(E)[..., None]
        self.lost = together & ~(xp.abs(self.C) <= noise)
        gap = row(w) - column(w)
        none = together | (xp.eye_like(xp.abs(gap)) > 0)
        self.F = xp.where(none, xp.zeros_like(gap), 1 / xp.where(none, xp.ones_like(gap), gap))

    def required(self, X, lost):
        return front(X).require(X, ~lost, _NO_SECOND)

    def values(self):
        return self.xp.diagonal(self.C)

    def along(self, c):
        """V⁻ᴴ (D ∘ Cᴴ) Vᴴ."""
        xp = self.xp
        C = self.required(self.C, anywhere(self.lost))
        inside = (row(c) - column(c)) * xp.conj(self.F) * mH(C)
        return _differentiated_where_apart(mH(self.S) @ inside @ mH(self.V), self.A, self.w, self.S)

    def bent(self, other):
        """The second derivatives along E and what `other` moves along."""
        xp = self.xp
        C = self.required(self.C, anywhere(self.lost) & anywhere(other.lost))
        K, L = self.F * C, self.F * other.C
        found = xp.sum(L * mT(C) + K * mT(other.C), axis=-2)
        found = _differentiated_where_apart(row(found) * xp.eye_like(C), self.A, self.w, self.S)
        return xp.diagonal(found)


@primitive("(n),(n,n),(n),(n,n),(n,n)->(n,n)")
def eigenvalues_bar(w_bar, A, w, V, S):
    """Ā of `eigvals`, V⁻ᴴ diag(w̄) Vᴴ, with rules of its own for second derivatives; S is V⁻¹.

    A function of w̄ and A: the factors have no bars. With C = V⁻¹ Ȧ V, K = F ∘ C as in `eig`, V moves by V K and V⁻¹ by
    −K V⁻¹ (what is on the diagonal of K drops out), so that

        Ā̇ = V⁻ᴴ (diag(w̄̇) + diag(w̄) Kᴴ − Kᴴ diag(w̄)) Vᴴ = V⁻ᴴ (diag(w̄̇) + D ∘ Cᴴ) Vᴴ,

    Dᵢⱼ = (w̄ᵢ − w̄ⱼ)/conj(wᵢ − wⱼ). Moved off Ȧ and w̄̇, with the same C of the cotangent Ā̄ instead of Ȧ:

        w̄̄ = diag(C),    Ā = V⁻ᴴ (D ∘ Cᴴ) Vᴴ.

    For eigenvalues that are as good as equal, D is rounding, and its limit is not to be had from w and w̄: it is a
    second derivative of the loss by eigenvalues. (`eigvalsh` turns to a basis in which C is diagonal there. For a
    general C there may be none.) Nothing depends on D where C has zeros there; else it is an error.
    """
    return mH(S) @ (column(w_bar) * mH(V))


@eigenvalues_bar.vjp
def _(E, A_bar, w_bar, A, w, V, S):
    at = once(lambda: _Moving(E, A, w, V, S))

    def of_w_bar():
        moving = at()
        return moving.xp.diagonal(moving.required(moving.C, anywhere(moving.lost)))

    return of_w_bar, lambda: at().along(w_bar), None, None, None


@eigenvalues_bar.jvp
def _(A_bar, w_bar, A, w, V, S):
    def dot(w_bar_dot, A_dot, *_):
        return eigenvalues_bar(w_bar_dot, A, w, V, S) + _Moving(A_dot, A, w, V, S).along(w_bar)

    return dot


@primitive("(n,n),(n,n),(n),(n,n),(n,n)->(n)")
def eigenvalues_along(A_dot, A, w, V, S):
    """ẇ = diag(C), C = V⁻¹ Ȧ V: the adjoint of `eigenvalues_bar`. Along another direction with C′ = V⁻¹ A′ V,

    ẅₖ = Σⱼ (Cₖⱼ C′ⱼₖ + C′ₖⱼ Cⱼₖ)/(wₖ − wⱼ).
    """
    return namespace(V).sum(S * mT(A_dot @ V), axis=-1)


@eigenvalues_along.vjp
def _(u, w_dot, A_dot, A, w, V, S):
    return (
        lambda: eigenvalues_bar(u, A, w, V, S),
        lambda: _Moving(A_dot, A, w, V, S).along(u),
        None,
        None,
        None,
    )


@eigenvalues_along.jvp
def _(w_dot, A_dot, A, w, V, S):
    def dot(A_dot_dot, A_other, *_):
        straight = eigenvalues_along(A_dot_dot, A, w, V, S)
        return straight + _Moving(A_dot, A, w, V, S).bent(_Moving(A_other, A, w, V, S))

    return dot


# -- the rules ---------------------------------------------------------------------------------------------------------


@eig.vjp
def _(bars, outputs, A):
    return (lambda: _bar(bars, outputs, A),)


@eig.jvp
def _(outputs, A):
    def dots(A_dot):
        w_dot, V_dot, S = _dots(A_dot, outputs, A)
        return w_dot, _differentiated_where_apart(V_dot, A, outputs[0], S)

    return (dots,)


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
        As `eig`. In particular, the rules raise where A is defective to working precision, see there for what that is,
        and second derivatives where eigenvalues are equal, or as good as equal at their condition.

    Notes
    -----
    As in `eig`, whose vectors are an intermediate here: with yₖᴴ the rows of V⁻¹,

        ẇ = diag(V⁻¹ Ȧ V),    Ā = V⁻ᴴ diag(w̄) Vᴴ.

    At equal eigenvalues with a full set of vectors (of the identity, say) the first derivative is right for symmetric
    functions of the eigenvalues. The second one depends on more than w and w̄ tell, and is an error in every mode: in
    reverse and in forward mode over either. (Under XLA, which raises nothing, it is NaN. Along a direction for
    which C is diagonal among equal eigenvalues, as along the identity, nothing has to be told, and it is right.) Near a
    defective matrix it has lost ε κᵢ κⱼ |A| over the gap, with the condition numbers κ of the two eigenvalues, where
    the first one has hardly lost anything; where that is more than 1/100, it is an error, too. So it is for [0 1; δ 0]
    below δ = 2e-10 in double precision. Source: Giles (2008), section 3.1. Cost: one solve and one product.

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
    return (lambda A_dot: _dots(A_dot, outputs, A)[:2],)


@eigvals.samples
def _(case):
    yield case(_apart(case, 4))


@eigvals.reference
def _(mp, A):
    return exact_eig(mp, A)[0]
