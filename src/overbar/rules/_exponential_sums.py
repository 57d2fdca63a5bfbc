"""Sums of exponentials and their logarithms: computed so that nothing overflows, with rules that keep to that.

May import `overbar._namespace`, `overbar._primitive`, `rules.arithmetic` and `rules.special_functions`.
"""

import math

import numpy as np

from overbar._namespace import namespace
from overbar._primitive import primitive
from overbar.rules._arithmetic import axes_of, spread
from overbar.rules._special_functions import only_real, sigmoid


@primitive("(),()->()")
def logaddexp(A, B):
    """The function C = log(exp A + exp B), entry by entry.

    Returns
    -------
    array (...)

    Raises
    ------
    LinAlgError of the array's library
        An array is complex.

    Notes
    -----
    Ċ = σ(A − B) Ȧ + σ(B − A) Ḃ with the `sigmoid` σ, and the bars are C̄ times the same two factors. Where A and B are
    both −∞, so is C, and both factors are taken to be zero, as of the logarithm of a sum of no terms. Cost: one more
    function of the same kind, and one product, for each bar.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.logaddexp, np.array([0.0, -np.inf]), np.array([1000.0, -np.inf]))
    >>> C, pullback(np.ones(2))[1]
    (array([1000.,  -inf]), array([1., 0.]))
    """
    only_real("logaddexp", A, B)
    return namespace(A, B).logaddexp(A, B)


def _share(C, A, B):
    """σ(A − B), and 0 where both are −∞."""
    xp = namespace(C)
    return sigmoid(A - xp.where(xp.equal(C, -math.inf), xp.zeros_like(C), B))


@logaddexp.vjp
def _(C_bar, C, A, B):
    return lambda: C_bar * _share(C, A, B), lambda: C_bar * _share(C, B, A)


@logaddexp.jvp
def _(C, A, B):
    return lambda A_dot: A_dot * _share(C, A, B), lambda B_dot: B_dot * _share(C, B, A)


@logaddexp.samples
def _(case):
    yield case(case.normal(3, 2), case.normal(3, 2))


@logaddexp.reference
def _(mp, A, B):
    return mp.log(mp.exp(A) + mp.exp(B))


@primitive("...->...")
def logsumexp(A, *, axis=None, keepdims=False, batch_ndim=0):
    """The logarithm of a sum of exponentials, C = log Σ exp Aᵢ, over some of the dimensions of A.

    Parameters
    ----------
    axis : int, tuple of int or None
        Which dimensions to sum over; all of them by default.
    keepdims : bool
        Keep the summed dimensions with size 1.

    Returns
    -------
    array
        −∞ where all terms are, and where there are none.

    Raises
    ------
    LinAlgError of the array's library
        A does not have such a dimension.

    Notes
    -----
    Computed after the largest entry (the largest real part) has been subtracted. Ċ = Σ pᵢ Ȧᵢ with p = `softmax` (A),
    hence Āᵢ = conj(pᵢ) C̄. Where all of the Aᵢ are −∞, p is taken to be zero, as PyTorch and JAX have it. Cost: one
    softmax.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(lambda A: overbar.logsumexp(A, axis=1), np.array([[1000.0, 1000.0]]))
    >>> C, pullback(np.ones(1))[0]
    (array([1000.69314718]), array([[0.5, 0.5]]))
    """
    xp, axes = namespace(A), axes_of(A, axis, batch_ndim, "logsumexp")
    if 0 in [A.shape[i] for i in axes]:  # no library has a maximum of nothing
        return xp.sum(A, axis=axes, keepdims=keepdims) - math.inf
    largest = _largest(A, axes)
    largest = xp.where(xp.isfinite(largest), largest, xp.zeros_like(largest))
    total = xp.sum(xp.exp(A - xp.cast(largest, A)), axis=axes, keepdims=True)
    nothing = xp.equal(total, 0)
    logarithm = xp.log(xp.where(nothing, xp.ones_like(total), total)) + xp.cast(largest, A)
    C = xp.where(nothing, xp.zeros_like(total) - math.inf, logarithm)
    return C if keepdims else xp.reshape(C, xp.shape(xp.sum(A, axis=axes)))


def _largest(A, axes):
    """The largest real part, a constant: what is subtracted from A drops out of the result."""
    xp = namespace(A)
    return xp.max(xp.real(xp.detached(A)), axis=axes, keepdims=True)


def _weights(C, A, axis, keepdims, batch_ndim):
    """The softmax of A, and 0 where all entries are −∞."""
    xp, axes = namespace(A), axes_of(A, axis, batch_ndim)
    empty = xp.equal(xp.real(spread(C, axes, keepdims)), -math.inf)
    p = softmax(xp.where(empty, xp.zeros_like(A), A), axis=axes)
    return xp.where(empty, xp.zeros_like(A), p)


@logsumexp.vjp
def _(C_bar, C, A, *, axis, keepdims, batch_ndim):
    def A_bar():
        p = _weights(C, A, axis, keepdims, batch_ndim)
        return spread(C_bar, axes_of(A, axis, batch_ndim), keepdims) * namespace(A).conj(p)

    return (A_bar,)


@logsumexp.jvp
def _(C, A, *, axis, keepdims, batch_ndim):
    def C_dot(A_dot):
        p = _weights(C, A, axis, keepdims, batch_ndim)
        return namespace(A).sum(p * A_dot, axis=axes_of(A, axis, batch_ndim), keepdims=keepdims)

    return (C_dot,)


@logsumexp.samples
def _(case):
    yield case(case.normal(3, 2))
    yield case(case.normal(2, 3, 2), axis=(-3, -1), keepdims=True)
    yield case(case.normal(2, 3), axis=1)


@logsumexp.reference
def _(mp, A, *, axis, keepdims, batch_ndim):
    return mp.log(np.asarray(mp.exp(A).sum(axis=axis, keepdims=keepdims), dtype=object))


@primitive("...->...")
def softmax(A, *, axis=None, batch_ndim=0):
    """The exponentials of A divided by their sum over some dimensions, Cᵢ = exp(Aᵢ)/Σⱼ exp(Aⱼ).

    Parameters
    ----------
    axis : int, tuple of int or None
        Which dimensions to sum over; all of them by default, as in SciPy.

    Returns
    -------
    array of the shape of A

    Raises
    ------
    LinAlgError of the array's library
        A does not have such a dimension.

    Notes
    -----
    Computed after the largest entry (the largest real part) has been subtracted. Where all entries are −∞ it is NaN.
    Ċ = C ∘ (Ȧ − Σⱼ Cⱼ Ȧⱼ), and for the bars Ā = conj(C) ∘ C̄ − conj(C) Σⱼ conj(Cⱼ) C̄ⱼ. Cost: three passes over the
    array.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(lambda A: overbar.softmax(A, axis=-1), np.array([0.0, 1000.0, 1000.0]))
    >>> C, pullback(np.array([0.0, 1.0, 0.0]))[0]
    (array([0. , 0.5, 0.5]), array([ 0.  ,  0.25, -0.25]))
    """
    xp, axes = namespace(A), axes_of(A, axis, batch_ndim, "softmax")
    if 0 in [A.shape[i] for i in axes]:
        return A
    E = xp.exp(A - xp.cast(_largest(A, axes), A))
    return E / xp.sum(E, axis=axes, keepdims=True)


@softmax.vjp
def _(C_bar, C, A, *, axis, batch_ndim):
    def A_bar():
        xp = namespace(A)
        C_conj = xp.conj(C)
        part = C_conj * C_bar
        return part - C_conj * xp.sum(part, axis=axes_of(A, axis, batch_ndim), keepdims=True)

    return (A_bar,)


@softmax.jvp
def _(C, A, *, axis, batch_ndim):
    def C_dot(A_dot):
        part = C * A_dot
        return part - C * namespace(A).sum(part, axis=axes_of(A, axis, batch_ndim), keepdims=True)

    return (C_dot,)


@softmax.samples
def _(case):
    yield case(case.normal(3, 2))
    yield case(case.normal(2, 3), axis=-1)
    yield case(case.normal(2, 3, 2), axis=(0, 2))


@softmax.reference
def _(mp, A, *, axis, batch_ndim):
    E = mp.exp(A)
    return E / np.asarray(E.sum(axis=axis, keepdims=True), dtype=object)
