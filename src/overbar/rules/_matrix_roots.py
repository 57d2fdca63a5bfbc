"""Functions of a square matrix that have a branch: square root, logarithm, fractional powers.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar._jets`, `overbar.kernels`, and `frechet` and
`matrix_functions` of the rules. No framework has what they are made of, a Schur decomposition and triangular Sylvester
equations: values and derivatives are computed on the host, and under XLA by those of our own, in double precision
whatever the dtype.
"""

import numpy as np

from overbar._jets import Jet
from overbar._namespace import namespace
from overbar._primitive import primitive
from overbar.kernels._matrix_roots import also_singular, by_schur, logarithm, root, to_the_power
from overbar.rules._frechet import algorithm, by_product, differentiable, evaluate
from overbar.rules._matrix_functions import exact_expm

# -- square root -------------------------------------------------------------------------------------------------------


@primitive("(n,n)->(n,n)")
def sqrtm(A):
    """The principal square root of a square matrix: C with C C = A and eigenvalues in the right half-plane.

    Parameters
    ----------
    A
        Any square matrix, symmetric or not, diagonalisable or not, that has no eigenvalue on the negative real axis. A
        complex one may have them: their roots are on the positive imaginary axis then, or the negative one where the
        imaginary part of the eigenvalue is −0.

    Returns
    -------
    array (..., n, n)
        Real for real A. Computed on the host, by SciPy; under XLA, which cannot call the host, by a Schur form of its
        own: there the result is NaN instead of an error, and also for singular A, and for real A with a pair of
        eigenvalues nearer to the negative axis than rounding.

    Raises
    ------
    LinAlgError of the array's library
        A is real and has a negative eigenvalue, or has an entry that is NaN or infinite; in a derivative also where A
        is singular, as the root has none there.

    Notes
    -----
    With A = Q T Qᴴ, the root R of T is found column by column from R² = T. Eigenvalues that a permutation isolates, as
    all of a triangular matrix, are entries of A, and none is lost beside others, however large.

    Forward, from C Ċ + Ċ C = Ȧ, a Sylvester equation with a unique solution, as the eigenvalues of C and of −C do not
    meet. Turned round, ⟨C̄, Ċ⟩ with the solution Z of the same equation with C̄ᴴ on its right side, tr(C̄ᴴ Ċ) = tr((C Z
    + Z C) Ċ) = tr(Z (C Ċ + Ċ C)):

        Ċ:  C Ċ + Ċ C = Ȧ,    Ā = Zᴴ:  C Z + Z C = C̄ᴴ.

    Both are solved on the Schur form, where the equation is triangular. No difference of eigenvalues is divided by,
    only sums. Higher derivatives are again such equations, R R_s + R_s R = −Σ R_t R_(s−t): see
    `overbar.rules._frechet`. On the negative axis, where the function jumps, the derivative is that of the branch which
    the value is on.

    Source: Björck and Hammarling (1983) for the value; Higham (2008), Functions of Matrices, sections 6.1 and 6.2.
    Cost: a Schur decomposition for the function, and for a rule another and the triangular equation, less than 2n³.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.sqrtm(np.array([[4.0, 1.0], [0.0, 4.0]]))
    array([[2.  , 0.25],
           [0.  , 2.  ]])
    """
    return evaluate("sqrtm", A)


@algorithm("sqrtm")
def _(xp, X):
    if len(X.parts) > 1:
        return by_schur("sqrtm", root, X, "where the square root has no derivative")
    return by_schur("sqrtm", also_singular(root, np.finfo(X.parts[0].dtype).eps, "sqrtm", "square root"), X)


differentiable(sqrtm)


def _right_of_imaginary_axis(case, n):
    """A matrix that is not symmetric, with its eigenvalues to the right of the imaginary axis, as those of its
    Hermitian part are."""
    N = case.normal(n, n)
    return case.positive_definite(n) + (N - np.conj(np.swapaxes(N, -1, -2))) / 2


@sqrtm.samples
def _(case):
    yield case(_right_of_imaginary_axis(case, 3))


def _exact_root(mp, A):
    """A^(1/2) by the iteration of Denman and Beavers, which converges quadratically."""
    X, Y = A, mp.eye(len(A))
    for _ in range(10):
        X, Y = (X + mp.inverse(Y)) / 2, (Y + mp.inverse(X)) / 2
    return X


@sqrtm.reference
def _(mp, A):
    return _exact_root(mp, A)


# -- logarithm ---------------------------------------------------------------------------------------------------------


@primitive("(n,n)->(n,n)")
def logm(A):
    """The principal logarithm of a square matrix: C with exp(C) = A and eigenvalues with imaginary parts in (−π, π].

    Parameters
    ----------
    A
        Any square matrix, symmetric or not, diagonalisable or not, that is not singular and has no eigenvalue on the
        negative real axis. A complex one may have them: the imaginary part of their logarithm is π, or −π where that of
        the eigenvalue is −0.

    Returns
    -------
    array (..., n, n)
        Real for real A. Computed on the host, by SciPy; under XLA, which cannot call the host, by a Schur form of its
        own: there the result is NaN instead of an error, and also for singular A, and for real A with a pair of
        eigenvalues nearer to the negative axis than rounding.

    Raises
    ------
    LinAlgError of the array's library
        A is singular, is real and has a negative eigenvalue, or has an entry that is NaN or infinite.

    Notes
    -----
    Inverse scaling and squaring on the Schur form T of A: log(T) = 2ˢ log(T^(1/2ˢ)), with square roots until that is
    near I, and there Gauss's rule with 7 nodes for

        log(I + X) = ∫₀¹ X (I + tX)⁻¹ dt,

    which is a Padé approximant. How many roots are taken is decided by the powers of |X| and not by its norm (Al-Mohy
    and Higham, 2012, Improved inverse scaling and squaring algorithms).

    With the derivative L(A, E) of the logarithm at A along E,

        Ċ = L(A, Ȧ) = ∫₀¹ (I + t(A − I))⁻¹ Ȧ (I + t(A − I))⁻¹ dt,    Ā = L(A, C̄ᴴ)ᴴ:

    the second follows from the first by turning the trace, tr(C̄ᴴ M Ȧ M) = tr(M C̄ᴴ M Ȧ). L is what the same algorithm
    gives for A + εE with ε² = 0: the derivative of a root solves a Sylvester equation, that of a Padé term two
    triangular systems (Al-Mohy, Higham and Relton, 2013, Computing the Fréchet derivative of the matrix logarithm).
    Only sums of square roots of eigenvalues are divided by, so that equal eigenvalues are nothing special. On the
    negative axis, where the function jumps, the derivative is that of the branch which the value is on. Higher
    derivatives: see `overbar.rules._frechet`.

    Cost: a Schur decomposition and some products for the function, and for a rule another and three times the products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.logm(np.array([[1.0, 2.0], [0.0, 1.0]]))
    array([[0., 2.],
           [0., 0.]])
    """
    return evaluate("logm", A)


@algorithm("logm")
def _(xp, X):
    return by_schur("logm", logarithm, X, "which has no logarithm")


differentiable(logm)


@logm.samples
def _(case):
    yield case(_right_of_imaginary_axis(case, 3))


def _exact_log(mp, A):
    """8 artanh((R − I)(R + I)⁻¹) with R = A^(1/4), by the series of artanh."""
    R, eye = _exact_root(mp, _exact_root(mp, A)), mp.eye(len(A))
    Z = mp.solve(R + eye, R - eye)
    C = term = Z
    square = Z @ Z
    for i in range(3, 91, 2):
        term = term @ square
        C = C + term / mp.number(i)
    return C * mp.number(8)


@logm.reference
def _(mp, A):
    return _exact_log(mp, A)


# -- fractional powers -------------------------------------------------------------------------------------------------


@primitive("(n,n),()->(n,n)", real=("t",))
def fractional_matrix_power(A, t):
    """The principal power C = Aᵗ = exp(t log A) of a square matrix, for a real number t.

    Parameters
    ----------
    A
        Any square matrix, symmetric or not, diagonalisable or not, that has no eigenvalue on the negative real axis. A
        complex one may have them, as in `logm`. Where t is negative, and for derivatives, it must not be singular. For
        a whole number t any matrix is taken; an invertible one where t is negative.
    t
        The exponent, one for each matrix, or a number: real.

    Returns
    -------
    array (..., n, n)
        Real for real A. Computed on the host, by SciPy; under XLA, which cannot call the host, by a Schur form of its
        own, also for a whole t: there the result is NaN instead of an error, and also for singular A, and for real A
        with a pair of eigenvalues nearer to the negative axis than rounding.

    Raises
    ------
    LinAlgError of the array's library
        A is singular and t negative, or a derivative is asked for, or A is not diagonalisable at the eigenvalue 0; A is
        real and has an eigenvalue that is negative by more than rounding (t is no whole number); it has an entry that
        is NaN or infinite.

    Notes
    -----
    The logarithm of the Schur form of A, as in `logm`, and the exponential of t times that, as in `expm`. First A is
    divided by a power of 2, c, as large as its eigenvalues, and the result multiplied by cᵗ: the logarithm is small
    then, and the exponential loses no digits to the scale of A. For a whole number t the power is computed by squaring,
    as in `matrix_power`.

    Both algorithms, run on A + εE with ε² = 0, give the derivative L(A, E) along E as the coefficient of ε, and

        Ċ = L(A, Ȧ),    Ā = L(A, C̄ᴴ)ᴴ,

    the second by turning traces; `overbar.rules._frechet` derives it, also for higher derivatives. By the exponent,

        ∂C/∂t = log(A) C,    t̄ = Re tr(C̄ᴴ C log A),

    as both are functions of A and commute; the derivative by t of D^k C is that of the product by the product rule.
    Where A has no logarithm, as with a negative eigenvalue and a whole t, there is none, and t̄ is NaN.

    Source: Higham (2008), Functions of Matrices, section 7; Higham and Lin (2013) for the derivative. Cost: as `logm`
    and the squarings of an exponential.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.fractional_matrix_power(np.array([[4.0, 1.0], [0.0, 4.0]]), -0.5).round(4)
    array([[ 0.5   , -0.0625],
           [ 0.    ,  0.5   ]])
    """
    return evaluate("fractional_matrix_power", A, parameters=(namespace(t).real(t),))


@algorithm("fractional_matrix_power", parameters=1)
def _(xp, X, t):
    exponents = set(t.tolist())
    if len(exponents) == 1:
        return to_the_power(X, exponents.pop())
    found = None
    for exponent in exponents:  # one stack for each
        group = t == exponent
        part = to_the_power(X[group], exponent)
        if found is None:
            found = Jet([None if F is None else np.zeros((len(t), *F.shape[1:]), F.dtype) for F in part.parts])
        found = found.replaced(group, part)
    return found


@primitive("(n,n)->(n,n)")
def logm_or_nan(A):
    """The logarithm, NaN where there is none."""
    return evaluate("logm_or_nan", A)


@algorithm("logm_or_nan")
def _(xp, X):
    try:
        return by_schur("logm", logarithm, X, "which has no logarithm")
    except np.linalg.LinAlgError:
        if len(X.parts[0]) > 1:
            raise  # the kernel then takes one matrix after the other
        return Jet([None if E is None else np.full_like(E, np.nan) for E in X.parts])


differentiable(logm_or_nan)


def _by_exponent(A, directions, t):
    return [by_product(fractional_matrix_power, logm_or_nan, A, directions, t)]


differentiable(fractional_matrix_power, _by_exponent)


@fractional_matrix_power.samples
def _(case):
    yield case(_right_of_imaginary_axis(case, 3), -case.real())


@fractional_matrix_power.reference
def _(mp, A, t):
    return exact_expm(mp, _exact_log(mp, A) * t)
