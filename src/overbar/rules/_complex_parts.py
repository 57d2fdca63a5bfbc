"""Parts of numbers: modulus, sign, conjugate, real and imaginary part, entry by entry.

May import `overbar._namespace` and `overbar._primitive`. As functions of a complex number they have no complex
derivative, but one along each direction: the rules are those of the inner product Re(conj(X) Y).
"""

from overbar._namespace import front, namespace
from overbar._primitive import elementwise


@elementwise
def abs(A):
    """The modulus C = |A| of each entry, real where A is complex, too.

    Returns
    -------
    array (...)

    Notes
    -----
    Ċ = Re(conj(U) Ȧ) with U = A/|A|, hence Ā = U C̄. At 0 there is no derivative, and U = 0 is taken, as PyTorch and
    TensorFlow have it. Cost: one product.

    Source: |A|² = conj(A) A, differentiated.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.abs, np.array([3.0, -2.0, 0.0]))
    >>> pullback(np.ones(3))[0]
    array([ 1., -1.,  0.])
    """
    return namespace(A).abs(A)


def unit(A):
    """A/|A|, entry by entry, and 0 where A is."""
    xp = namespace(A)
    if not xp.is_complex(A):
        return xp.sign(A)
    size = xp.abs(A)
    return A / xp.cast(xp.where(xp.equal(size, 0), xp.ones_like(size), size), A)


@abs.vjp
def _(C_bar, C, A):
    return (lambda: namespace(A).cast(C_bar, A) * unit(A),)


@abs.jvp
def _(C, A):
    xp = namespace(A)
    return (lambda A_dot: xp.real(xp.conj(unit(A)) * A_dot),)


@abs.samples
def _(case):
    yield case(case.normal(3, 2))


@abs.reference
def _(mp, A):
    return mp.abs(A)


def sign(A):
    """The sign of each entry, −1, 0 or 1; of complex ones the unit number A/|A|, and 0 where A is.

    Parameters
    ----------
    A : array (...)
        Real or complex floating point.

    Returns
    -------
    array (...)

    Notes
    -----
    Of real entries the derivative is zero, also at 0, where there is none. Of complex ones it is that of A/|A|, by the
    rules of `abs` and of the quotient. Cost: one pass over A.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.sign(np.array([2.0, -3.0, 0.0]))
    array([ 1., -1.,  0.])
    >>> overbar.grad(lambda A: overbar.sum(A * overbar.sign(A)))(np.array([2.0, -3.0]))
    array([ 1., -1.])
    """
    (A,) = front(A).as_arrays([A])
    return unit(A)


@elementwise
def conj(A):
    """The complex conjugate C = conj(A) of each entry.

    Returns
    -------
    array (...)

    Notes
    -----
    Ċ = conj(Ȧ), hence Ā = conj(C̄). Cost: one pass over A.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.conj(np.array([1.0 + 2.0j]))
    array([1.-2.j])
    """
    return namespace(A).conj(A)


@conj.vjp
def _(C_bar, C, A):
    return (lambda: namespace(A).conj(C_bar),)


@conj.jvp
def _(C, A):
    return (namespace(A).conj,)


@conj.samples
def _(case):
    yield case(case.normal(3, 2))


@conj.reference
def _(mp, A):
    return mp.conj(A)


@elementwise
def real(A):
    """The real part C = Re A of each entry.

    Returns
    -------
    array (...)
        Real.

    Notes
    -----
    Ċ = Re Ȧ, hence Ā = C̄. Cost: none, or one copy.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.real(np.array([1.0 + 2.0j]))
    array([1.])
    """
    return namespace(A).real(A)


@real.vjp
def _(C_bar, C, A):
    return (lambda: C_bar,)


@real.jvp
def _(C, A):
    return (namespace(A).real,)


@real.samples
def _(case):
    yield case(case.normal(3, 2))


@real.reference
def _(mp, A):
    return (A + mp.conj(A)) / 2


@elementwise
def imag(A):
    """The imaginary part C = Im A of each entry; zero where A is real.

    Returns
    -------
    array (...)
        Real.

    Notes
    -----
    Ċ = Im Ȧ, and Re(conj(Ā) Ȧ) = C̄ Im Ȧ for Ā = i C̄. Cost: none, or one copy.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.imag(np.array([1.0 + 2.0j]))
    array([2.])
    """
    xp = namespace(A)
    return xp.imag(A) if xp.is_complex(A) else xp.zeros_like(A)


@imag.vjp
def _(C_bar, C, A):
    xp = namespace(A)
    return (lambda: 1j * xp.cast(C_bar, A) if xp.is_complex(A) else xp.zeros_like(A),)


@imag.jvp
def _(C, A):
    xp = namespace(A)
    return (lambda A_dot: xp.imag(A_dot) if xp.is_complex(A_dot) else xp.zeros_like(A_dot),)


@imag.samples
def _(case):
    yield case(case.normal(3, 2))


@imag.reference
def _(mp, A):
    return (A - mp.conj(A)) / 2j if any(hasattr(a, "imag") and a.imag for a in A.flat) else 0 * A
