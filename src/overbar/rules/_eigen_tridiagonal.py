"""Eigenvalues and eigenvectors of tridiagonal matrices.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar.kernels`, and `equal_values`, `phases` and
`eigen` of the rules.
"""

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive
from overbar.kernels._eigen_tridiagonal import eigen_tridiagonal_cotangent, eigen_tridiagonal_tangent, stemr
from overbar.rules._eigen import all_outputs, decomposed, decomposed_bar, decomposed_dots, exact_eigh
from overbar.rules._equal_values import surely_apart
from overbar.rules._phases import fixed, turned_bar, turned_dot

# -- tridiagonal matrices ----------------------------------------------------------------------------------------------

# From this size on the host's routine for tridiagonal matrices is faster than the decomposition of full ones.
TRIDIAGONAL = 48


@primitive("(n),(k)->(n),(n,n),(n,n),(t)", intermediates=2)
def eigh_tridiagonal(d, e):
    """The eigenvalues and eigenvectors of a symmetric (Hermitian) tridiagonal matrix.

    Parameters
    ----------
    d
        The diagonal. Of complex entries only the real part counts.
    e : array (..., n − 1)
        The diagonal above it; below it is its conjugate.

    Returns
    -------
    w : array (..., n)
        The eigenvalues, real, in ascending order.
    V : array (..., n, n)
        The eigenvectors, as columns, of norm 1, with the free factor chosen as in `eigh`.

    Raises
    ------
    LinAlgError of the array's library
        The sizes do not fit; else as `eigh`.

    Notes
    -----
    `eigh` of the matrix with these diagonals, of whose bar Ā = V (diag(w̄) + F ∘ (Y − Yᴴ)/2) Vᴴ the entries on them
    are taken; an entry of e stands in two places:

        d̄ᵢ = Re Āᵢᵢ,    ēᵢ = 2 Āᵢ,ᵢ₊₁.

    The value is computed on the host, by SciPy, in O(n²), where d lies there and n is 48 or more; else with the dense
    matrix, which is no larger than V, by the library's own `eigh`: on every device, in batches, and under XLA. Where no
    e is 0 all eigenvalues differ, though they may be close; where one is, `eigh` says what holds. Source: Giles (2008),
    section 3.1. Cost of the rules: that of those of `eigh`; O(n²) where the value is SciPy's, no two eigenvalues are
    near, and nobody differentiates again and nothing is compiled. There Ā is not computed. With T for the matrix,
    T vₖ = wₖ vₖ is differentiated for one k,

        (T − wₖ) v̇ₖ = (ẇₖ − Ṫ) vₖ,    ẇₖ = vₖᴴ Ṫ vₖ,    v̇ₖ ⊥ vₖ,

    a tridiagonal system for each vector. With yₖ ⊥ vₖ for the solution of (T − wₖ) yₖ = v̄ₖ without its part along vₖ,
    ⟨v̄ₖ, v̇ₖ⟩ = −⟨yₖ, Ṫ vₖ⟩, so that Ā = Σₖ (w̄ₖ vₖ − yₖ) vₖᴴ and its adjoint, halved. The entries of that on three
    diagonals are n sums each.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> (w, V), pullback = overbar.vjp(overbar.eigh_tridiagonal, np.zeros(3), np.ones(2))
    >>> np.round(w[0], 4), np.round(pullback((np.array([1.0, 0.0, 0.0]), None))[0], 4)
    (np.float64(-1.4142), array([0.25, 0.5 , 0.25]))
    """
    xp = namespace(d, e)
    n, k = d.shape[-1], e.shape[-1]
    if n is not None and k is not None and k != max(n - 1, 0):
        raise front(d).ShapeError(
            f"eigh_tridiagonal: argument e of shape {tuple(e.shape)} does not fit d of shape {tuple(d.shape)}: it must "
            "have one entry less."
        )
    if n is not None and n >= TRIDIAGONAL and front(d).on_the_host(d):
        w, V = front(d).compute(stemr, d, e)
        return all_outputs(w, fixed(V))
    return decomposed("eigh_tridiagonal", _tridiagonal(xp, d, e))


def _tridiagonal(xp, d, e):
    n = xp.shape(d)[-1]
    above = xp.diagonal_embed(e, n, n, offset=1)
    return xp.diagonal_embed(d, n, n) + above + mH(above)


def _in_squares(outputs, *arrays):
    """Whether the rules may be those in O(n²)."""
    w, V = outputs[:2]
    n = w.shape[-1]
    return n is not None and n >= TRIDIAGONAL and front(V).may_compute(w, V, *arrays) and surely_apart(w)


@eigh_tridiagonal.vjp
def _(bars, outputs, d, e):
    (w_bar, V_bar, *hidden), (w, V, *_), xp = bars, outputs, namespace(outputs[1])
    if V_bar is not None and all(bar is None for bar in hidden):
        given = (d, e, V_bar) if w_bar is None else (d, e, V_bar, w_bar)
        if _in_squares(outputs, *given):
            w_bar = xp.zeros_like(w) if w_bar is None else w_bar
            arrays = d, e, w, V, w_bar, turned_bar(V, V_bar)
            both = once(lambda: front(V).compute(eigen_tridiagonal_cotangent, *arrays))
            return lambda: both()[0], lambda: both()[1]
    A_bar = once(lambda: decomposed_bar("eigh_tridiagonal", bars, outputs, _tridiagonal(xp, d, e)))
    return lambda: xp.real(xp.diagonal(A_bar())), lambda: 2 * xp.diagonal(A_bar(), offset=1)


@eigh_tridiagonal.jvp
def _(outputs, d, e):
    xp = namespace(outputs[1])

    def dots(d_dot, e_dot):
        if _in_squares(outputs, d, e, d_dot, e_dot):
            w, V = outputs[:2]
            w_dot, V_dot = front(V).compute(eigen_tridiagonal_tangent, d, e, w, V, d_dot, e_dot)
            return w_dot, turned_dot(V, V_dot), None, None
        A_dot = _tridiagonal(xp, xp.cast(xp.real(d_dot), outputs[1]), xp.cast(e_dot, outputs[1]))
        return decomposed_dots(A_dot, outputs, _tridiagonal(xp, d, e))

    return dots


@eigh_tridiagonal.samples
def _(case):
    e = case.positive(3)
    n = e.shape[-1] + 1  # larger where costs are measured
    yield case(case._cast(np.arange(n) * 1.5 + case.rng.uniform(-0.2, 0.2, (*case.batch, n))), e)


@eigh_tridiagonal.reference
def _(mp, d, e):
    A = mp.zeros((len(d), len(d)))
    for i, x in enumerate(d):
        A[i, i] = x.real
    for i, x in enumerate(e):
        A[i, i + 1], A[i + 1, i] = x, mp.conj(e)[i]
    return exact_eigh(mp, A)
