"""Triangular matrices as vectors: from the entries of a triangle to the matrix and back, as covariances are
parametrised.

May import `overbar._namespace`, `overbar._primitive` and `rules.special_functions`.
"""

import functools
import math

import numpy as np

from overbar._namespace import front, namespace
from overbar._primitive import primitive
from overbar.rules._special_functions import log_one_plus_exp, sigmoid

POSITIVE = (None, "exp", "softplus")


class _Layout:
    """Where the entries of a triangle, row by row, lie in the matrix, and which of them are on the diagonal.

    Attributes
    ----------
    places : array (k,)
        For each entry, where it lies in the flattened matrix.
    entries : array (n n,)
        For each place in the matrix which entry lies there; any, where none does.
    there : array (n, n) of bool
        Whether one does.
    diagonal : array (k,) of bool
        Which entries are on the diagonal.
    """

    def __init__(self, like, n, upper):
        xp, k = namespace(like), n * (n + 1) // 2
        e, i = xp.count(k, like), xp.count(n, like)
        i, j = i[:, None], i[None, :]
        if upper:  # the last row of a lower triangle, turned round, is the first of an upper one
            e, i, j = k - 1 - e, n - 1 - i, n - 1 - j
        row = self.row(xp, e)
        column = e - row * (row + 1) // 2
        self.diagonal = xp.equal(row, column)
        place = row * n + column
        self.places = n * n - 1 - place if upper else place
        entry = i * (i + 1) // 2 + j
        self.entries = xp.reshape(k - 1 - entry if upper else entry, (n * n,))
        self.there = i >= j

    @staticmethod
    def row(xp, e):
        """The largest i with i (i + 1)/2 ≤ e. (Of numbers below 2⁵⁰ the root is exact enough.)"""
        root = xp.sqrt(xp.astype(8 * e + 1, xp.float64))
        return xp.astype((root - 1) // 2, e.dtype)


@functools.lru_cache(maxsize=64)
def _known_layout(n, upper):
    return _Layout(np.zeros(0), n, upper)


def _layout(n, like, upper):
    there = front(like)
    at_hand = there.on_the_host(like) or isinstance(there.xp.count(0, like), np.ndarray)
    if not isinstance(n, int) or not at_hand:  # to copy it to a device would take longer
        return _Layout(like, n, upper)
    found = object.__new__(_Layout)
    for name, value in vars(_known_layout(n, upper)).items():
        setattr(found, name, there.xp.constant(value, like))
    return found


def _order(v):
    """The order n of a triangle with as many entries as the vectors v have."""
    k = v.shape[-1]
    if k is None:
        k = namespace(v).shape(v)[-1]
    if not isinstance(k, int):
        return _Layout.row(namespace(v), k)
    n = (math.isqrt(8 * k + 1) - 1) // 2
    if n * (n + 1) // 2 != k:
        raise front(v).ShapeError(
            f"fill_triangular: argument v of shape {tuple(v.shape)} has {k} entries, and no triangle has that many: "
            f"one of order {n} has {n * (n + 1) // 2}, and one of order {n + 1} has {(n + 1) * (n + 2) // 2}."
        )
    return n


def _matrix(v, n, layout):
    """The matrix with these entries, and zero elsewhere."""
    xp = namespace(v)
    lead = xp.shape(v)[:-1]
    v = xp.reshape(v, (*lead, n * (n + 1) // 2))  # of an unknown size, which need not be that of a triangle
    A = xp.reshape(xp.take(v, layout.entries, axis=-1), (*lead, n, n))
    return xp.where(layout.there, A, xp.zeros_like(A))


def _entries(A, layout):
    xp = namespace(A)
    *lead, n, _ = xp.shape(A)
    return xp.take(xp.reshape(A, (*lead, n * n)), layout.places, axis=-1)


def _on_diagonal(v, layout, positive, function, elsewhere):
    """``function(v)`` on the diagonal, and `elsewhere` beside it; the function sees 1 there."""
    xp = namespace(v)
    if positive is None:
        return elsewhere
    one = xp.ones_like(v)
    return xp.where(layout.diagonal, function(xp.where(layout.diagonal, v, one)), elsewhere)


def _check(name, positive):
    if positive not in POSITIVE:
        raise ValueError(f'{name}: the option positive is {positive!r}. It must be None, "exp" or "softplus".')


def _slopes(v, layout, positive):
    """The derivative of what becomes of each entry."""
    xp = namespace(v)
    slope = xp.exp if positive == "exp" else sigmoid
    return _on_diagonal(v, layout, positive, slope, xp.ones_like(v))


@primitive("(k)->(n,n)")
def fill_triangular(v, *, upper=False, positive=None):
    """The triangular matrix with the entries v, row by row, and zero elsewhere; with a positive diagonal, if you like.

    Parameters
    ----------
    v
        k = n (n + 1)/2 entries: of a lower triangle L₁₁, L₂₁, L₂₂, L₃₁, …, of an upper one U₁₁, U₁₂, …, U₁ₙ, U₂₂, ….
        (TensorFlow Probability's function of this name has another order, clockwise from the last row.)
    upper : bool
        Fill the upper triangle.
    positive : str or None
        What is on the diagonal: the entries themselves, or "exp" their exponentials, or "softplus" log(1 + exp v).
        So any v is a Cholesky factor of one positive definite matrix, and each such matrix has one v.

    Returns
    -------
    array (..., n, n)

    Raises
    ------
    LinAlgError of the array's library
        k is not n (n + 1)/2 for any n.
    ValueError
        `positive` is something else.

    Notes
    -----
    L̇ has the entries g′(v) ∘ v̇, where g is the exponential on the diagonal, and g′ = 1 beside it; hence v̄ are the
    entries of L̄ times conj(g′(v)). Cost: one pass over the matrix.

    Source: the entries move and nothing more; the parametrisation by logarithms of the diagonal is Pinheiro and Bates
    (1996), section 2.2.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.fill_triangular(np.array([1.0, 2.0, 3.0]))
    array([[1., 0.],
           [2., 3.]])
    >>> overbar.fill_triangular(np.array([0.0, 2.0, 0.0]), positive="exp")
    array([[1., 0.],
           [2., 1.]])
    """
    _check("fill_triangular", positive)
    n = _order(v)
    layout = _layout(n, v, upper)
    function = namespace(v).exp if positive == "exp" else log_one_plus_exp
    return _matrix(_on_diagonal(v, layout, positive, function, v), n, layout)


@fill_triangular.vjp
def _(C_bar, C, v, *, upper, positive):
    def v_bar():
        layout = _layout(namespace(C).shape(C)[-1], v, upper)
        found = _entries(C_bar, layout)
        return found if positive is None else found * namespace(v).conj(_slopes(v, layout, positive))

    return (v_bar,)


@fill_triangular.jvp
def _(C, v, *, upper, positive):
    def along(v_dot):
        n = namespace(C).shape(C)[-1]
        layout = _layout(n, v, upper)
        return _matrix(v_dot if positive is None else v_dot * _slopes(v, layout, positive), n, layout)

    return (along,)


@fill_triangular.samples
def _(case):
    yield case(case.normal(6))
    yield case(case.normal(6), upper=True, positive="exp")
    yield case(case.normal(3), positive="softplus")


@fill_triangular.reference
def _(mp, v, *, upper, positive):
    n = math.isqrt(2 * len(v))
    C = mp.zeros((n, n))
    C[np.triu_indices(n) if upper else np.tril_indices(n)] = v
    for i in range(n):
        if positive is not None:
            C[i, i] = mp.context.exp(C[i, i])
        if positive == "softplus":
            C[i, i] = mp.context.log(1 + C[i, i])
    return C


def _inverse_softplus(y):
    """log(exp(y) − 1), which keeps its digits for small and large y."""
    xp = namespace(y)
    return y + xp.log(-xp.expm1(-y))


def _inverse_slopes(v, layout, positive):
    xp = namespace(v)
    slope = (lambda y: 1 / y) if positive == "exp" else (lambda y: -1 / xp.expm1(-y))
    return _on_diagonal(v, layout, positive, slope, xp.ones_like(v))


@primitive("(n,n)->(k)")
def triangular_entries(A, *, upper=False, positive=None):
    """The entries of a triangle of A, row by row, as a vector: the inverse of `fill_triangular`.

    Parameters
    ----------
    A
        The other triangle is not read, and its bar is zero.
    upper : bool
        Take the upper triangle.
    positive : str or None
        As in `fill_triangular`: with "exp" the logarithms of the diagonal, with "softplus" log(exp(Aᵢᵢ) − 1).

    Returns
    -------
    array (..., k)
        k = n (n + 1)/2.

    Raises
    ------
    ValueError
        `positive` is something else.

    Notes
    -----
    v̇ are the entries of Ȧ times the derivative h′ of h = log on the diagonal, and of 1 beside it; hence Ā has the
    entries v̄ ∘ conj(h′) and zero elsewhere. A real diagonal that is negative gives NaN. Cost: one pass over the matrix.

    Source: the inverse of `fill_triangular`, whose derivative it inverts.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A = np.array([[4.0, 2.0], [2.0, 2.0]])
    >>> v = overbar.triangular_entries(overbar.cholesky(A), positive="exp")
    >>> L = overbar.fill_triangular(v, positive="exp")
    >>> np.allclose(L @ L.T, A)
    True
    """
    _check("triangular_entries", positive)
    layout = _layout(namespace(A).shape(A)[-1], A, upper)
    v = _entries(A, layout)
    return _on_diagonal(v, layout, positive, namespace(A).log if positive == "exp" else _inverse_softplus, v)


@triangular_entries.vjp
def _(C_bar, C, A, *, upper, positive):
    def A_bar():
        n = namespace(A).shape(A)[-1]
        layout, xp = _layout(n, A, upper), namespace(A)
        if positive is None:
            return _matrix(C_bar, n, layout)
        return _matrix(C_bar * xp.conj(_inverse_slopes(_entries(A, layout), layout, positive)), n, layout)

    return (A_bar,)


@triangular_entries.jvp
def _(C, A, *, upper, positive):
    def along(A_dot):
        layout = _layout(namespace(A).shape(A)[-1], A, upper)
        found = _entries(A_dot, layout)
        return found if positive is None else found * _inverse_slopes(_entries(A, layout), layout, positive)

    return (along,)


@triangular_entries.samples
def _(case):
    yield case(case.normal(3, 3))
    yield case(case.upper(3), upper=True, positive="exp")
    yield case(case.lower(2), positive="softplus")


@triangular_entries.reference
def _(mp, A, *, upper, positive):
    n = len(A)
    for i in range(n):
        if positive == "softplus":
            A[i, i] = mp.context.exp(A[i, i]) - 1
        if positive is not None:
            A[i, i] = mp.context.log(A[i, i])
    return A[np.triu_indices(n) if upper else np.tril_indices(n)]
