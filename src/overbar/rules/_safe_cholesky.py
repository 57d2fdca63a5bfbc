"""The Cholesky decomposition with jitter, for matrices that are positive definite but for rounding.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `rules.cholesky` and `rules.failing`.
"""

import math

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive
from overbar.rules._cholesky import factor, forward, reverse
from overbar.rules._failing import what_on_error

#: the most tries: so many powers of ten are in the precision of no dtype
_MOST = 20


def _ladder(xp, A, jitter, max_tries):
    """The jitters that are tried, one after the other, as Python's numbers."""
    if jitter is None:
        jitter = 1e-8 if xp.eps(A) < 1e-10 else 1e-6
    if isinstance(jitter, bool) or not isinstance(jitter, (int, float, np.integer, np.floating)):
        raise TypeError(f"safe_cholesky: the option jitter is {jitter!r}. It must be a real number, or None.")
    if not 0 < jitter < math.inf:
        raise ValueError(
            f"safe_cholesky: the option jitter is {jitter!r}. It must be positive and finite: the first number that is "
            "added to the diagonal of a matrix without a factor."
        )
    if not 1 <= max_tries <= _MOST:
        raise ValueError(
            f"safe_cholesky: the option max_tries is {max_tries!r}. It must be from 1 to {_MOST}: each try has ten "
            "times the jitter of the one before."
        )
    return [float(jitter) * 10.0**i for i in range(max_tries)]


@primitive("(n,n)->(n,n),()", hermitian=("A",))
def safe_cholesky(A, *, jitter=None, max_tries=5, upper=False, on_error="raise"):
    """The Cholesky factor of A + c I = L Lᴴ, where the jitter c is the least of 0, j, 10 j, 100 j, ... that works.

    Parameters
    ----------
    A
        Symmetric or Hermitian, and positive definite but for rounding. Only its lower triangle is read; its bar comes
        back Hermitian.
    jitter : float, optional
        j, the first number that is added to the diagonal where A itself has no factor. It is absolute: choose it by the
        size of the entries of A. By default 1e-8 in double precision and 1e-6 in single precision, which suits a
        diagonal of about 1.
    max_tries : int
        How many jitters are tried before it is an error; the last is 10^(max_tries − 1) j.
    upper : bool
        Return U = Lᴴ with A + c I = Uᴴ U instead.
    on_error : str
        "raise", or "nan": then a matrix that no jitter makes positive definite has a factor, a jitter and a bar of NaN,
        and the others of the batch are as if it were not there.

    Returns
    -------
    L : array (..., n, n)
        Lower triangular with positive real diagonal; or U, upper triangular.
    jitter : array (...)
        Real: the c of each matrix of the batch, 0 where A has a factor itself.

    Raises
    ------
    numpy.linalg.LinAlgError, torch.linalg.LinAlgError, tf.errors.InvalidArgumentError
        The last jitter is not enough for some matrix. The message names it, and says which entry is NaN or infinite,
        or which eigenvalues it has and whether it is Hermitian. (A program that PyTorch has compiled only names the
        matrix.) Under XLA, which cannot raise, such a factor is NaN.

    Notes
    -----
    Where c is the least one for A, it is for all matrices near A, but for those at the edge between two jitters. So c
    is constant: it has no derivative, and L has that of `cholesky` at A + c I,

        L̇ = L Φ(L⁻¹ Ȧ L⁻ᴴ),    Ā = sym(L⁻ᴴ Φ(Lᴴ L̄) L⁻¹).

    That is the derivative of what was computed, of any order, and not that of the factor without jitter, which does
    not exist. A smooth function of A, as an optimiser needs it, has jumps where c changes: look at c.

    Source: Murray (2016), section 3, as for `cholesky`. Cost: that of `cholesky` for each jitter that is tried for some
    matrix of the batch. Where numbers cannot be looked at, as a compiler does not, all of them are always tried: there,
    choose a small max_tries. (A graph of TensorFlow's without XLA stops as soon as it may.) With on_error="nan" the
    host does not wait for a device, and PyTorch tries all of them there.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A = np.array([[1.0, 1.0], [1.0, 1.0]])  # singular
    >>> L, jitter = overbar.safe_cholesky(A, jitter=0.21)
    >>> L
    array([[1.1       , 0.        ],
           [0.90909091, 0.61931714]])
    >>> jitter
    array(0.21)

    Each matrix of a batch has its own:

    >>> overbar.safe_cholesky(np.stack([A, 4 * np.eye(2), A - 0.5 * np.eye(2)]), jitter=0.21)[1]
    array([0.21, 0.  , 2.1 ])
    """
    xp, known, wait = namespace(A), front(A), what_on_error("safe_cholesky", on_error) == "raise"
    ladder = _ladder(xp, A, jitter, max_tries)

    def without_factor(L):
        return ~xp.all(xp.isfinite(xp.abs(xp.diagonal(L))), axis=-1)

    def climb(L, used, failed, rungs):
        def on():
            c, *higher = rungs
            tried = factor(A + c * xp.eye_like(A), on_error="nan")
            still = failed & without_factor(tried)
            return climb(
                xp.where(failed[..., None, None], tried, L),
                xp.where(failed, c * xp.ones_like(used), used),
                still,
                higher,
            )

        return known.choose(~failed, lambda: (L, used, failed), on, wait) if rungs else (L, used, failed)

    L = factor(A, on_error="nan")
    L, used, failed = climb(L, xp.zeros_like(xp.sum(xp.abs(xp.diagonal(L)), axis=-1)), without_factor(L), ladder)
    nan = math.nan * xp.ones_like(used)
    used = xp.where(failed, nan, used)
    if wait:
        message = (
            "safe_cholesky: argument A is not positive definite, and adding "
            f"{ladder[-1]:.3g}, the last jitter, to its diagonal does not make it so."
        )
        L = known.require(L, ~failed, message, definite=A)
    L = xp.where(failed[..., None, None], xp.cast(nan[..., None, None], L), L)
    return (mH(L) if upper else L), used


@safe_cholesky.vjp
def _(bars, outputs, A, *, upper, **_):
    (L_bar, _), (L, _) = bars, outputs
    if L_bar is None:
        return (lambda: namespace(A).zeros_like(A),)
    return (lambda: reverse(mH(L), mH(L_bar)) if upper else reverse(L, L_bar),)


@safe_cholesky.jvp
def _(outputs, A, *, upper, **_):
    L, _ = outputs
    return (lambda A_dot: (mH(forward(mH(L), A_dot)) if upper else forward(L, A_dot), None),)


@safe_cholesky.samples
def _(case):
    A = case.positive_definite(4)
    yield case(A)
    # eigenvalues from -11.6 to -2: far from 0 with each of the jitters, and positive with the second
    shifted = A - 12 * np.eye(A.shape[-1], dtype=A.dtype)
    for upper in (False, True):
        yield case(shifted, jitter=1.9, max_tries=2, upper=upper)


@safe_cholesky.reference
def _(mp, A, *, jitter, max_tries, upper, on_error):
    for c in (0, *((jitter or 1e-8) * 10**i for i in range(max_tries))):
        L = mp.cholesky(A + mp.number(c) * mp.eye(len(A)))
        if all(pivot.imag == 0 for pivot in np.diagonal(L)):
            return (mp.mH(L) if upper else L), mp.number(c)
    raise ValueError("no jitter of the ladder is enough")
