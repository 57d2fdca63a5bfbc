"""The determinant.

May import `overbar._namespace`, `overbar._primitive` and `rules.adjugate`.
"""

from overbar._namespace import mH, mT, namespace
from overbar._primitive import primitive
from overbar.rules._adjugate import adjugate_with_det, expansion


@primitive("(n,n)->(),(n,r),(s)", residuals=2)
def det(A):
    """The determinant c = det A.

    Parameters
    ----------
    A
        It may be singular.

    Returns
    -------
    array (...)

    Notes
    -----
    Jacobi's formula: ċ = tr(adj(A) Ȧ), with the `adjugate` adj(A), hence

        Ā = c̄ adj(A)ᴴ.

    Giles (2008), section 2.2.4, writes det(A) A⁻¹ for it. But a determinant is a polynomial and has derivatives where
    there is no inverse; `adjugate` says how they are computed, and up to which order. Cost: the function takes 2n³/3
    flops (one LU decomposition, its product summed up as logarithms, which neither overflow nor underflow), the bar
    as `slogdet`'s an inverse, or what `adjugate` costs where A is nearly singular or a compiler traces.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> c, pullback = overbar.vjp(overbar.det, np.ones((2, 2)))
    >>> float(c), pullback(1.0)[0]
    (0.0, array([[ 1., -1.],
           [-1.,  1.]]))
    """
    xp = namespace(A)
    sign, logabsdet, *kept = xp.slogdet_by_factors(A)
    return sign * xp.cast(xp.exp(logabsdet), A), *kept


@det.vjp
def _(c_bar, outputs, A):
    return (lambda: c_bar[..., None, None] * mH(adjugate_with_det(A, *outputs)),)


@det.jvp
def _(outputs, A):
    return (lambda A_dot: namespace(A).sum(mT(adjugate_with_det(A, *outputs)) * A_dot, axis=(-2, -1)),)


@det.samples
def _(case):
    yield case(case.square(4))


@det.reference
def _(mp, A):
    return expansion(mp, A)
