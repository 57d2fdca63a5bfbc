"""Functions of a square matrix that have a branch: square root, logarithm, fractional powers.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `rules.jets`, `rules.matrix_functions` and
`rules.schur_forms`. No framework has what they are made of, a Schur decomposition and triangular Sylvester equations:
values and derivatives are computed on the host, in double precision whatever the dtype.

With A = Q T Qᴴ, T upper triangular, f(A) = Q f(T) Qᴴ, and the derivative along E is Q L Qᴴ with that of f at T along
Qᴴ E Q. What follows works on the jets of `overbar.rules._jets`, whose first part is T and triangular; the others are
full matrices.
"""

import functools
import math

import numpy as np

from overbar._namespace import NUMPY, namespace
from overbar._primitive import primitive
from overbar.rules._jets import (
    Jet,
    algorithm,
    by_product,
    by_squaring,
    differentiable,
    evaluate,
    exponential,
    longest_term,
    subsets,
)
from overbar.rules._matrix_functions import exact_expm
from overbar.rules._schur_forms import adjoint, complex_forms, lapack, schur_forms, solve_upper

# Up to this size triangular equations are solved column by column; larger ones are halved.
SMALL = 32

# The degree of numerator and denominator of the Padé approximant of log(I + X), and the ‖X‖ up to which it is exact to
# rounding (Higham 2008, Functions of Matrices, table 11.1).
PADE, PADE_RADIUS = 7, 0.264
NODES = list(zip(*np.polynomial.legendre.leggauss(PADE), strict=True))


# -- Schur forms -------------------------------------------------------------------------------------------------------


def by_schur(name, function, X, singular=""):
    """The jet f(X) of a stack, where `function` computes it for triangular first parts. An error for what is not
    finite, for a negative eigenvalue of a real matrix, and for a singular one if there are words that say why."""
    given = [E for E in X.parts if E is not None]
    if not all(np.isfinite(E).all() for E in given):
        raise np.linalg.LinAlgError(
            f"{name}: argument A, or a direction in which it is differentiated, has an entry that is not finite. "
            "Remove or replace such entries before the call."
        )
    A = X.parts[0]
    wide = [None if E is None else E.astype(np.result_type(E, np.float64)) for E in X.parts]
    scale = NUMPY.power_of_two(wide[0])  # at sizes beyond 1e±138 LAPACK's blocks lose digits
    T, Q, _ = schur_forms(wide[0] / scale)
    T = T * scale
    if A.dtype.kind == "c":
        return _turned(name, function, T, Q, wide, singular)
    T = _without_negative_eigenvalues(name, T, np.finfo(A.dtype).eps)
    # those with complex eigenvalues, and the others, which stay real
    twofold = np.diagonal(T, -1, -2, -1).any(-1)
    found = None
    for group in (twofold, ~twofold):
        if not group.any():
            continue
        every = group.all()
        forms, parts = (T, Q), wide
        if not every:
            forms, parts = (T[group], Q[group]), Jet(wide)[group].parts
        if twofold is group:
            forms = complex_forms(*forms)
        part = _turned(name, function, *forms, parts, singular)
        if all(E.dtype.kind == "f" for E in given):
            part = Jet([None if F is None else F.real for F in part.parts])
        if every:
            return part
        whole = found or Jet([None if F is None else np.zeros((len(T), *F.shape[1:]), F.dtype) for F in part.parts])
        found = whole.replaced(group, part)
    return found


def _turned(name, function, T, Q, parts, singular):
    if singular and not np.diagonal(T, 0, -2, -1).all():
        raise np.linalg.LinAlgError(f"{name}: argument A is singular: it has the eigenvalue 0, {singular}.")
    turned = Jet([T, *(None if E is None else adjoint(Q) @ E @ Q for E in parts[1:])])
    return Jet([None if F is None else Q @ F @ adjoint(Q) for F in function(turned).parts])


def _without_negative_eigenvalues(name, T, eps):
    """Real Schur forms whose real eigenvalues are not negative: one that is zero to rounding, in the precision of the
    matrix, becomes zero."""
    eigenvalues, pairs = np.diagonal(T, 0, -2, -1), np.diagonal(T, -1, -2, -1) != 0
    alone = np.ones(eigenvalues.shape, bool)  # in none of the 2 by 2 blocks, which hold complex ones
    alone[..., :-1] &= ~pairs
    alone[..., 1:] &= ~pairs
    negative = alone & (eigenvalues < 0)
    small = alone & (abs(eigenvalues) < T.shape[-1] * eps * abs(T).max((-2, -1))[:, None])
    rounding = negative & small
    for eigenvalue in eigenvalues[negative & ~rounding]:
        raise np.linalg.LinAlgError(
            f"{name}: argument A has the negative eigenvalue {eigenvalue:.6g}, so that its principal value is not "
            "real. Convert A to a complex dtype."
        )
    # where one is negative by rounding, the small positive ones are rounding as well
    matrices, i = np.nonzero(small & rounding.any(-1, keepdims=True))
    if len(i):
        T = T.copy()
        T[matrices, i, i] = 0
    return T


def _triangular_sylvester(R, S, C):
    """The solution X of R X + X S = C for upper triangular R and S, for stacks of them.

    The larger of the two is halved until both are small (Jonsson and Kågström, 2002), so that most of the work is in
    products. LAPACK's trsyl would do for the small ones, but puts another number in the place of a sum of eigenvalues
    that is small beside the largest: matrices with entries of 1e-150 and of 1e150 are not for it.
    """
    m, n = C.shape[-2:]
    X = np.empty_like(C)
    if max(m, n) <= SMALL:
        sums = np.diagonal(R, 0, -2, -1)[:, :, None] + np.diagonal(S, 0, -2, -1)[:, None, :]
        if not sums.all():
            raise np.linalg.LinAlgError(
                "the square roots of two eigenvalues of argument A add up to 0: the derivative does not exist."
            )
        M, i = np.array(np.broadcast_to(R, (len(C), m, m)), sums.dtype), np.arange(m)
        for j in range(n):
            M[:, i, i] = sums[:, :, j]
            right = C[:, :, j : j + 1]
            if j:
                right = right - X[:, :, :j] @ S[:, :j, j : j + 1]
            X[:, :, j : j + 1] = right / M if m == 1 else solve_upper(M, right)
    elif m >= n:
        k = m // 2
        X[:, k:] = _triangular_sylvester(R[:, k:, k:], S, C[:, k:])
        X[:, :k] = _triangular_sylvester(R[:, :k, :k], S, C[:, :k] - R[:, :k, k:] @ X[:, k:])
    else:
        k = n // 2
        X[..., :k] = _triangular_sylvester(R, S[:, :k, :k], C[..., :k])
        X[..., k:] = _triangular_sylvester(R, S[:, k:, k:], C[..., k:] - X[..., :k] @ S[:, :k, k:])
    return X


# -- the functions on jets whose first part is triangular --------------------------------------------------------------


def _triangular_root(T):
    """The principal square roots of upper triangular matrices: R² = T, by halves, and column by column where it is
    small (Björck and Hammarling, 1983; Deadman, Higham and Ralha, 2013)."""
    n = T.shape[-1]
    if n <= 1:
        return np.sqrt(T)
    k = n // 2 if n > SMALL else n - 1
    R = np.zeros_like(T)
    R[:, :k, :k], R[:, k:, k:] = _triangular_root(T[:, :k, :k]), _triangular_root(T[:, k:, k:])
    R[:, :k, k:] = _triangular_sylvester(R[:, :k, :k], R[:, k:, k:], T[:, :k, k:])
    return R


def root(X):
    """The jet R with R² = X: from R₀² = T, and R₀ R_s + R_s R₀ = X_s − Σ R_t R_(s−t) for the others."""
    R = Jet([_triangular_root(X.parts[0]), *[None] * (len(X.parts) - 1)])
    for s in range(1, len(R.parts)):
        known = R.coefficient(R, s, [t for t in subsets(s) if t not in (0, s)])
        right = X.parts[s] if known is None else -known if X.parts[s] is None else X.parts[s] - known
        if right is not None:
            R.parts[s] = _triangular_sylvester(R.parts[0], R.parts[0], right)
    return R


def solve(M, B):
    """The jet X with M X = B: M₀ X_s = B_s − Σ M_t X_(s−t) over the t that are not empty."""
    X = Jet([None] * len(B.parts))
    for s in range(len(B.parts)):
        known = M.coefficient(X, s, [t for t in subsets(s) if t])
        right = B.parts[s] if known is None else -known if B.parts[s] is None else B.parts[s] - known
        if right is not None:
            X.parts[s] = solve_upper(M.parts[0], right)
    return X


def _with_diagonal(A, d):
    """A with the diagonal d, in place."""
    i = np.arange(A.shape[-1])
    A[:, i, i] = d


def logarithm(X):
    """The jet log(X): square roots until X^(1/2ˢ) is near I, and there a Padé approximant in partial fractions."""
    eigenvalues, order = np.diagonal(X.parts[0], 0, -2, -1), len(X.parts).bit_length() - 1
    exact_to = 2 * PADE * math.log2(PADE_RADIUS) - order * math.log2(2 * PADE + 1)
    s = np.zeros(len(eigenvalues))
    while True:
        near = X.plus_identity(-1)
        far = longest_term(NUMPY, near.parts[0], 2 * PADE + 1, order) > exact_to
        if not far.any():
            break
        X = root(X) if far.all() else X.replaced(far, root(X[far]))
        s += far
    total = Jet([None] * len(X.parts))
    for node, weight in NODES:  # ∫₀¹ X (I + tX)⁻¹ dt by Gauss's rule
        total = total + solve((near * ((1 + node) / 2)).plus_identity(1), near) * (weight / 2)
    total = total * 2.0 ** s[:, None, None]
    _with_diagonal(total.parts[0], np.log(eigenvalues))
    return total


def also_singular(function, eps, name, what):
    """The same for stacks with matrices that have zeros on the diagonal, where `function` is that of a number with
    f(0) = 0; an error where a zero belongs to a Jordan block, to rounding in the precision eps.

    With the zeros moved to the end, T = [[T₁₁, T₁₂], [0, 0]]. As f(T) T = T f(T), f(T) has T₁₁⁻¹ f(T₁₁) T₁₂ beside
    f(T₁₁), and zeros below. There are no derivatives in general, and none here.
    """

    def value(X):
        (T,) = X.parts
        regular = np.diagonal(T, 0, -2, -1).all(-1)
        if regular.all():
            return function(X)
        found = np.zeros_like(T)
        if regular.any():
            found[regular] = function(X[regular]).parts[0]
        for i in np.nonzero(~regular)[0]:
            part = _of_singular(function, T[i], eps)
            if part is None:
                raise np.linalg.LinAlgError(f"{name}: argument A has no {what}: it is defective at the eigenvalue 0.")
            found[i] = part
        return Jet([found])

    return value


def _of_singular(function, T, eps):
    """That of one matrix, or None where there is none."""
    trexc, size = lapack("trexc", T.dtype), abs(T).max(initial=0)
    Z, rank = np.eye(len(T), dtype=T.dtype), 0
    for i in range(len(T)):
        if T[i, i]:
            T, Z, _ = trexc(T, Z, i + 1, rank + 1)
            rank += 1
    T11, T12, T22 = T[:rank, :rank], T[:rank, rank:], T[rank:, rank:]
    if abs(T22).max() > math.sqrt(eps) * size:
        return None
    F = np.zeros_like(T)
    if rank:
        F11 = function(Jet([T11[None]])).parts[0]
        F[:rank, :rank], F[:rank, rank:] = F11[0], solve_upper(T11[None], F11 @ T12)[0]
    return Z @ F @ adjoint(Z)


# -- square root -------------------------------------------------------------------------------------------------------


@primitive("(n,n)->(n,n)")
def sqrtm(A):
    """The principal square root of a square matrix: C with C C = A and eigenvalues in the right half-plane.

    Parameters
    ----------
    A : array (..., n, n)
        Any square matrix, symmetric or not, diagonalisable or not, that has no eigenvalue on the negative real axis;
        float32, float64, complex64 or complex128. A complex one may have them: their roots are on the positive
        imaginary axis then, or the negative one where the imaginary part of the eigenvalue is −0.

    Returns
    -------
    array (..., n, n)
        Real for real A. Computed on the host, by SciPy; under XLA, which cannot call the host, an error says so.

    Raises
    ------
    LinAlgError of the array's library
        A is real and has a negative eigenvalue, or has an entry that is NaN or infinite; in a derivative also where A
        is singular, as the root has none there; A is not square, or its dtype is not floating point.

    Notes
    -----
    With A = Q T Qᴴ, the root R of T is found column by column from R² = T. Forward, from C Ċ + Ċ C = Ȧ, a Sylvester
    equation with a unique solution, as the eigenvalues of C and of −C do not meet. Turned round, ⟨C̄, Ċ⟩ with the
    solution Z of the same equation with C̄ᴴ on its right side, tr(C̄ᴴ Ċ) = tr((C Z + Z C) Ċ) = tr(Z (C Ċ + Ċ C)):

        Ċ:  C Ċ + Ċ C = Ȧ,    Ā = Zᴴ:  C Z + Z C = C̄ᴴ.

    Both are solved on the Schur form, where the equation is triangular. No difference of eigenvalues is divided by,
    only sums. Higher derivatives are again such equations, R R_s + R_s R = −Σ R_t R_(s−t): see `overbar.rules._jets`.
    On the negative axis, where the function jumps, the derivative is that of the branch which the value is on.

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
    A : array (..., n, n)
        Any square matrix, symmetric or not, diagonalisable or not, that is not singular and has no eigenvalue on the
        negative real axis; float32, float64, complex64 or complex128. A complex one may have them: the imaginary part
        of their logarithm is π, or −π where that of the eigenvalue is −0.

    Returns
    -------
    array (..., n, n)
        Real for real A. Computed on the host, by SciPy; under XLA, which cannot call the host, an error says so.

    Raises
    ------
    LinAlgError of the array's library
        A is singular, is real and has a negative eigenvalue, or has an entry that is NaN or infinite; A is not square,
        or its dtype is not floating point.

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
    derivatives: see `overbar.rules._jets`.

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
    A : array (..., n, n)
        Any square matrix, symmetric or not, diagonalisable or not, that has no eigenvalue on the negative real axis;
        float32, float64, complex64 or complex128. A complex one may have them, as in `logm`. Where t is negative, and
        for derivatives, it must not be singular. For a whole number t any matrix is taken; an invertible one where t is
        negative.
    t : array (...)
        The exponent, one for each matrix, or a number: real.

    Returns
    -------
    array (..., n, n)
        Real for real A. Computed on the host, by SciPy; under XLA, which cannot call the host, an error says so.

    Raises
    ------
    TypeError
        t is complex.
    ValueError
        t is a number that is not finite.
    LinAlgError of the array's library
        A is singular and t negative, or a derivative is asked for, or A is not diagonalisable at the eigenvalue 0; A is
        real and has an eigenvalue that is negative by more than rounding (t is no whole number); it has an entry that
        is NaN or infinite; A is not square, or its dtype is not floating point.

    Notes
    -----
    The logarithm of the Schur form of A, as in `logm`, and the exponential of t times that, as in `expm`. First A is
    divided by a power of 2, c, as large as its eigenvalues, and the result multiplied by cᵗ: the logarithm is small
    then, and the exponential loses no digits to the scale of A. For a whole number t the power is computed by squaring,
    as in `matrix_power`.

    Both algorithms, run on A + εE with ε² = 0, give the derivative L(A, E) along E as the coefficient of ε, and

        Ċ = L(A, Ȧ),    Ā = L(A, C̄ᴴ)ᴴ,

    the second by turning traces; `overbar.rules._jets` derives it, also for higher derivatives. By the exponent,

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
        return _to_the_power(X, exponents.pop())
    found = None
    for exponent in exponents:  # one stack for each
        group = t == exponent
        part = _to_the_power(X[group], exponent)
        if found is None:
            found = Jet([None if F is None else np.zeros((len(t), *F.shape[1:]), F.dtype) for F in part.parts])
        found = found.replaced(group, part)
    return found


def _to_the_power(X, t):
    """The jet Xᵗ of a stack, for a number t."""
    if not math.isfinite(t):
        raise np.linalg.LinAlgError(f"fractional_matrix_power: argument t is not finite: {t}.")
    if t.is_integer():
        return whole_power(X, int(t))
    power, name = functools.partial(_power_of_triangular, t=t), "fractional_matrix_power"
    if t < 0:
        return by_schur(name, power, X, "which has no negative power")
    if len(X.parts) > 1:
        return by_schur(name, power, X, "where a power that is no whole number has no derivative in general")
    return by_schur(name, also_singular(power, np.finfo(X.parts[0].dtype).eps, name, f"power {t}"), X)


def _power_of_triangular(X, t):
    exponent = np.frexp(abs(np.diagonal(X.parts[0], 0, -2, -1)).max(-1))[1][:, None, None]
    X = X * np.ldexp(1.0, -exponent)
    total = exponential(NUMPY, logarithm(X) * t)
    _with_diagonal(total.parts[0], np.diagonal(X.parts[0], 0, -2, -1) ** t)
    return total * 2.0 ** (exponent * t)


def whole_power(X, n):
    """The jet Xⁿ for a whole number n."""
    if n < 0:
        try:
            inverse = np.linalg.inv(X.parts[0])
        except np.linalg.LinAlgError:
            raise np.linalg.LinAlgError(
                f"fractional_matrix_power: argument A is singular: it has no power {n}."
            ) from None
        parts = [inverse]
        for s in range(1, len(X.parts)):  # X Y = I
            known = X.coefficient(Jet(parts), s, [t for t in subsets(s) if t])
            parts.append(-inverse @ known)
        X = Jet(parts)
    return by_squaring(X, abs(n)) if n else (X * 0.0).plus_identity(1)


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
