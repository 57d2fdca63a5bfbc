"""Square roots, logarithms and powers of square matrices, by Schur forms.

May import NumPy, `overbar._jets`, and `schur_forms`, `stacks` and `triangular_equations` of the kernels.

With A = Q T Qᴴ, T upper triangular, f(A) = Q f(T) Qᴴ, and the derivative along E is Q L Qᴴ with that of f at T along
Qᴴ E Q. What follows works on jets, whose first part is T and triangular; the others are full matrices.
"""

import functools
import math

import numpy as np

from overbar._jets import Jet, by_squaring, exponential, longest_term, subsets
from overbar._numpy_words import power_of_two
from overbar.kernels._schur_forms import complex_forms, isolated, of_wide_range, schur_forms
from overbar.kernels._stacks import lapack, mH, solve_upper
from overbar.kernels._triangular_equations import SMALL, by_columns, triangular_sylvester

# The degree of numerator and denominator of the Padé approximant of log(I + X), and the ‖X‖ up to which it is exact to
# rounding (Higham 2008, Functions of Matrices, table 11.1).
PADE, PADE_RADIUS = 7, 0.264


# A power of 2, and one over it, that are far enough from the ends of the range of numbers.
RANGE = 1000


NODES = list(zip(*np.polynomial.legendre.leggauss(PADE), strict=True))


def pade_exact_to(order):
    """log₂ of the term of the logarithm's series, in a derivative along so many directions, up to which it is."""
    return 2 * PADE * math.log2(PADE_RADIUS) - order * math.log2(2 * PADE + 1)


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
    # at sizes beyond 1e±138 LAPACK's blocks lose digits
    scale = np.where(of_wide_range(wide[0])[:, None, None], 1, power_of_two(wide[0]))
    T, Q, _ = schur_forms(wide[0] / scale)
    T = T * scale
    if A.dtype.kind == "c":
        return _turned(name, function, T, Q, wide, singular)
    T = _without_negative_eigenvalues(name, T, wide[0], np.finfo(A.dtype).eps)
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
    turned = Jet([T, *(None if E is None else mH(Q) @ E @ Q for E in parts[1:])])
    return Jet([None if F is None else Q @ F @ mH(Q) for F in function(turned).parts])


def _without_negative_eigenvalues(name, T, A, eps):
    """Real Schur forms of A whose real eigenvalues are not negative: one that is zero to rounding, in the precision of
    the matrix, becomes zero."""
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
    # Where one is negative by rounding, the small positive ones are rounding as well, unless they are entries of A.
    for matrix in np.flatnonzero(rounding.any(-1)):
        inner, turned = isolated(A[matrix])[1], np.zeros(T.shape[-1], bool)
        turned[inner] = True
        small[matrix] &= turned | rounding[matrix]
    matrices, i = np.nonzero(small & rounding.any(-1, keepdims=True))
    if len(i):
        T = T.copy()
        T[matrices, i, i] = 0
    return T


def _root_equation(R, S, F):
    """The solution X of R X + X S = F, for stacks of triangular roots R and S."""
    try:
        # not by LAPACK's routine, which is not for matrices with entries of 1e-150 and of 1e150
        return triangular_sylvester(R, S, F.copy(), whole=by_columns)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(
            "the square roots of two eigenvalues of argument A add up to 0: the derivative does not exist."
        ) from None


def _triangular_root(T):
    """The principal square roots of upper triangular matrices: R² = T, by halves, and column by column where it is
    small (Björck and Hammarling, 1983; Deadman, Higham and Ralha, 2013)."""
    n = T.shape[-1]
    if n <= 1:
        return np.sqrt(T)
    k = n // 2 if n > SMALL else n - 1
    R = np.zeros_like(T)
    R[:, :k, :k], R[:, k:, k:] = _triangular_root(T[:, :k, :k]), _triangular_root(T[:, k:, k:])
    R[:, :k, k:] = _root_equation(R[:, :k, :k], R[:, k:, k:], T[:, :k, k:])
    return R


def root(X):
    """The jet R with R² = X: from R₀² = T, and R₀ R_s + R_s R₀ = X_s − Σ R_t R_(s−t) for the others."""
    R = Jet([_triangular_root(X.parts[0]), *[None] * (len(X.parts) - 1)])
    for s in range(1, len(R.parts)):
        known = R.coefficient(R, s, [t for t in subsets(s) if t not in (0, s)])
        right = X.parts[s] if known is None else -known if X.parts[s] is None else X.parts[s] - known
        if right is not None:
            R.parts[s] = _root_equation(R.parts[0], R.parts[0], right)
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
    eigenvalues, order = np.diagonal(X.parts[0], 0, -2, -1), X.order
    exact_to = pade_exact_to(order)
    s = np.zeros(len(eigenvalues))
    while True:
        near = X.plus_identity(-1)
        far = longest_term(near.xp, near.parts[0], 2 * PADE + 1, order) > exact_to
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
    return Z @ F @ mH(Z)


def to_the_power(X, t):
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
    eigenvalues = abs(np.diagonal(X.parts[0], 0, -2, -1))
    largest, smallest = np.frexp(eigenvalues.max(-1))[1], np.frexp(eigenvalues.min(-1))[1]
    # as large as the eigenvalues, but not so that the smallest would leave the range of numbers
    exponent = np.maximum(np.minimum(largest, smallest + RANGE), largest - RANGE)[:, None, None]
    X = X * np.ldexp(1.0, -exponent)
    total = exponential(logarithm(X) * t)
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
