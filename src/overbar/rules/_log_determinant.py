"""Logarithms of determinants.

May import `overbar._namespace`, `overbar._primitive` and `rules.factorised`.
"""

import math

from overbar._namespace import mH, mT, namespace
from overbar._primitive import primitive
from overbar.rules._factorised import inverse_with_factors


@primitive("(n,n)->(),(),(n,r),(s)", residuals=2)
def slogdet(A):
    """The sign and the logarithm of the modulus of a determinant: det A = s exp(ℓ).

    Returns
    -------
    sign : array (...)
        ±1, or a complex number of modulus 1; 0 where A is singular.
    logabsdet : array (...)
        Real; −∞ where A is singular.

    Raises
    ------
    LinAlgError of the array's library
        A derivative is asked for where A is singular, which has a value and no derivative: in NumPy and TensorFlow, and
        the message names the matrix of the batch. It is NaN in PyTorch. It is NaN under XLA.

    Notes
    -----
    Jacobi's formula, Giles (2008), section 2.2.4: (det A)˙ = det A · z, z = tr(A⁻¹ Ȧ). As det A = s exp(ℓ) with
    |s| = 1, ℓ̇ + ṡ/s = z, where ℓ̇ is real and ṡ/s imaginary:

        ℓ̇ = Re z,    ṡ = i s Im z,

    which is zero for real A, whose sign does not change near it. Reverse, with
    Re(conj(s̄) i s Im z) = Im(conj(s) s̄) Im z:

        Ā = g A⁻ᴴ,    g = ℓ̄ + i Im(conj(s) s̄).

    Cost: the function takes 2n³/3 flops, an inverse 2n³, or 4n³/3 where the factors of A are kept: those of one large
    matrix in NumPy, where BLAS has one thread.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> (sign, logabsdet), pullback = overbar.vjp(overbar.slogdet, np.diag([-1.0, 2.0]))
    >>> float(sign), pullback((None, 1.0))[0]
    (-1.0, array([[-1. ,  0. ],
           [-0. ,  0.5]]))
    """
    return namespace(A).slogdet_by_factors(A)


def _log_change(A, A_dot, kept):
    """tr(A⁻¹ Ȧ)."""
    return namespace(A).sum(mT(inverse_with_factors(A, *kept)) * A_dot, axis=(-2, -1))


def _where_regular(xp, logabsdet):
    """1, and NaN where there is no logarithm: not every library raises where a rule solves with a singular matrix."""
    return xp.where(xp.isfinite(logabsdet), xp.ones_like(logabsdet), xp.full_like(logabsdet, math.nan))


@slogdet.vjp
def _(bars, outputs, A):
    (s_bar, l_bar), (s, l, *kept), xp = bars, outputs, namespace(A)

    def A_bar():
        if not xp.is_complex(A) and l_bar is None:
            return xp.zeros_like(A)
        weight = xp.zeros_like(s) if l_bar is None else xp.cast(l_bar, A)
        if xp.is_complex(A) and s_bar is not None:
            weight = weight + (xp.conj(s) * s_bar - s * xp.conj(s_bar)) / 2
        weight = weight * xp.cast(_where_regular(xp, l), A)
        return weight[..., None, None] * mH(inverse_with_factors(A, *kept))

    return (A_bar,)


@slogdet.jvp
def _(outputs, A):
    (s, l, *kept), xp = outputs, namespace(A)

    def dots(A_dot):
        z = _log_change(A, A_dot, kept) * xp.cast(_where_regular(xp, l), A)
        return s * (z - xp.conj(z)) / 2 if xp.is_complex(A) else None, xp.real(z)

    return (dots,)


@slogdet.samples
def _(case):
    yield case(case.square(4))


@slogdet.reference
def _(mp, A):
    det = mp.det(A)
    return det / abs(det), mp.log(abs(det))


@primitive("(n,n)->(),(n,r),(s)", residuals=2)
def logdet(A):
    """The logarithm of a determinant, c = log det A.

    Parameters
    ----------
    A
        It need not be symmetric, nor positive definite.

    Returns
    -------
    array (...)
        For real A: −∞ where A is singular, NaN where the determinant is negative; `slogdet` has the sign beside the
        logarithm. For complex A the principal branch, with an imaginary part between −π and π, which of a Hermitian
        positive definite matrix is zero.

    Raises
    ------
    LinAlgError of the array's library
        A derivative is asked for where A is singular, which has a value and no derivative: in NumPy and TensorFlow, and
        the message names the matrix of the batch. It is NaN in PyTorch. It is NaN under XLA. Where the value is NaN, so
        is the derivative.

    Notes
    -----
    Giles (2008), section 2.2.4: ċ = tr(A⁻¹ Ȧ), hence Ā = c̄ A⁻ᴴ. It is computed from an LU decomposition, for positive
    definite A too: where such a matrix is ill conditioned, the error of the inverse was found to be half of that by
    Cholesky (for which there is `cho_logdet`). Cost: that of `slogdet`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> c, pullback = overbar.vjp(overbar.logdet, np.diag([1.0, np.e]))
    >>> float(c), pullback(1.0)[0].round(3)
    (1.0, array([[1.   , 0.   ],
           [0.   , 0.368]]))
    """
    xp = namespace(A)
    sign, logabsdet, *kept = xp.slogdet_by_factors(A)
    if not xp.is_complex(A):
        return xp.where(sign < 0, xp.full_like(logabsdet, math.nan), logabsdet), *kept
    angle = xp.atan2(xp.imag(sign), xp.real(sign))
    return xp.cast(logabsdet, A) + 1j * xp.cast(angle, A), *kept


@logdet.vjp
def _(c_bar, outputs, A):
    (c, *kept), xp = outputs, namespace(A)
    weight = xp.cast(_where_regular(xp, xp.real(c)), A)
    return (lambda: (c_bar * weight)[..., None, None] * mH(inverse_with_factors(A, *kept)),)


@logdet.jvp
def _(outputs, A):
    (c, *kept), xp = outputs, namespace(A)
    return (lambda A_dot: _log_change(A, A_dot, kept) * xp.cast(_where_regular(xp, xp.real(c)), A),)


@logdet.samples
def _(case):
    yield case(case.lower(4))  # the determinant is positive
    yield case(case.positive_definite(4))


@logdet.reference
def _(mp, A):
    return mp.log(mp.det(A))
