"""The singular value decomposition, the singular values alone, and the polar decomposition.

May import `overbar.namespace`, `overbar.primitive` and `rules.eigen`.
"""

from overbar.namespace import mH, namespace
from overbar.primitive import once, primitive
from overbar.rules.eigen import (
    Pairs,
    anywhere,
    blocks,
    common_basis,
    crossing,
    differences,
    differences_along,
    eigh,
    from_eigen,
    hermitian_part,
    nan_where,
    nearly_equal,
    packed,
    rounding,
    smooth_blocks,
    together,
    told_basis,
    unknown,
)

# Of the entries of a singular vector, the first whose modulus is at least this part of the largest becomes positive.
# (The largest itself would be another in each library where two are equal but for rounding, as in (1, −1)/√2.)
NEARLY_LARGEST = 0.7


# ---------------------------------------------------------------------------------------------------------------------
# Signs and phases


def _pivots(xp, U):
    """Zero but for one entry of each column of U: the one that is made real and positive."""
    size = xp.abs(U)
    large = size >= NEARLY_LARGEST * xp.max(size, axis=-2, keepdims=True)
    first = large & (xp.cumulative_sum(xp.astype(large, xp.int32), axis=-2) == 1)
    return xp.where(first, U, xp.zeros_like(U))


def free_factors(xp, U):
    """The conjugate sign or phase (..., 1, n) of that entry in each column of U (..., m, n), m > 0; 1 where it is 0."""
    entry = xp.sum(_pivots(xp, U), axis=-2, keepdims=True)
    size, one = xp.cast(xp.abs(entry), U), xp.ones_like(entry)
    zero = size == 0
    return xp.conj(xp.where(zero, one, entry / xp.where(zero, one, size)))


def oriented_svd(xp, A, full_matrices=False):
    """U, S, Vᴴ with signs (phases) that do not depend on the library; `svd` says which."""
    U, S, Vh = xp.svd(A, full_matrices=full_matrices)
    k = xp.shape(S)[-1]
    if A.shape[-2] == 0:
        return U, S, Vh
    p = free_factors(xp, U)
    Vh1 = Vh[..., :k, :] * xp.mH(p[..., :k])
    if full_matrices and A.shape[-1] != A.shape[-2]:
        V2 = mH(Vh[..., k:, :])
        Vh1 = xp.concat([Vh1, mH(V2 * free_factors(xp, V2))], axis=-2) if A.shape[-1] else Vh1
    return U * p, S, Vh1


def _unoriented_bars(xp, U_bar, Vh_bar, U, Vh, k):
    """The bars of singular vectors of any phase, whose phases were then made what they are.

    With c the entry of u that was made positive, u / phase moves by u̇ − i u Im(ċ)/c and v by v̇ − i v Im(ċ)/c. Hence γ
    = i Im(uᴴū + vᴴv̄) gives c the bar −γ/c; afterwards uᴴū + vᴴv̄ is real, and no phase matters any more.
    """
    gamma = 0
    if U_bar is not None:
        gamma = _imaginary(xp, xp.sum(xp.conj(U) * U_bar, axis=-2, keepdims=True))
    if Vh_bar is not None:
        V, V_bar = mH(Vh), mH(Vh_bar)
        delta, others = cut(_imaginary(xp, xp.sum(xp.conj(V) * V_bar, axis=-2, keepdims=True)), k)
        if others is not None:
            V1_bar, V2_bar = cut(V_bar, k)
            Vh_bar = mH(xp.concat([V1_bar, V2_bar - _on_pivots(xp, V[..., k:], others)], axis=-1))
        if U.shape[-1] is None or U.shape[-1] != k:
            delta = xp.concat([delta, xp.zeros_like(U[..., :1, k:]) + 0 * delta[..., :1]], axis=-1)
        gamma = gamma + delta
    change = _on_pivots(xp, U, gamma)
    return (-change if U_bar is None else U_bar - change), Vh_bar


def cut(X, k):
    """The first k columns of X and the others; None where it is known that there are none."""
    # Not even a slice of everything, which PyTorch's legacy vmap refuses.
    return (X, None) if X.shape[-1] == k else (X[..., :k], X[..., k:])


def _imaginary(xp, A):
    """i Im(A). (With a factor 1j, PyTorch would make a tensor of that, and wait for the device.)"""
    return (A - xp.conj(A)) / 2


def _on_pivots(xp, U, gamma):
    """γ/c in the place of the entry c of each column of U that is real and positive, zero elsewhere."""
    pivots = _pivots(xp, U)
    there = pivots != 0
    zero = xp.zeros_like(U)
    return xp.where(there, gamma / xp.where(there, U, zero + 1), zero)


def _oriented_dots(xp, U_dot, Vh_dot, U, Vh, k):
    """The tangents of U and Vᴴ that keep these entries real, from those for any other choice of the phases."""

    def turn(W, W_dot):
        pivots = _pivots(xp, W)
        there = pivots != 0
        c = xp.sum(pivots, axis=-2, keepdims=True)
        c_dot = xp.sum(xp.where(there, W_dot, xp.zeros_like(W)), axis=-2, keepdims=True)
        return _imaginary(xp, c_dot) / xp.where(c == 0, xp.ones_like(c), c)

    t = turn(U, U_dot)
    (V1, V2), (V_dot, V2_dot) = cut(mH(Vh), k), cut(mH(Vh_dot), k)
    V_dot = V_dot - cut(t, k)[0] * V1
    if V2 is not None:
        V_dot = xp.concat([V_dot, V2_dot - turn(V2, V2_dot) * V2], axis=-1)
    return U_dot - t * U, mH(V_dot)


# ---------------------------------------------------------------------------------------------------------------------
# What both rules divide by


def _reciprocal(xp, x, zero):
    """1/x, and 0 where `zero` says that x is rounding. By a word of its own, as TensorFlow's derivative of a quotient
    computes 1/x² first, which overflows for an x of 1e-165: a gap of singular values that are 1e-150."""
    return xp.where(zero, xp.zeros_like(x), xp.reciprocal(xp.where(zero, xp.ones_like(x), x)))


class _Divisors:
    """1/(σⱼ − σᵢ), 1/(σᵢ + σⱼ) and 1/σⱼ, each with 0 in the place of what is not there but for rounding."""

    def __init__(self, xp, A, S):
        self.xp, self.A, self.S = xp, A, S
        self.largest = S[..., :1]
        self.rounding = xp.rounding(A) * self.largest

    def of_gaps(self):
        gap = self.S[..., None, :] - self.S[..., :, None]
        return _reciprocal(self.xp, gap, self.xp.abs(gap) <= rounding(self.S)[..., None])

    def small_gaps(self):
        """Where a numerator that is no more than rounding would be blown up to something that matters."""
        gap = self.S[..., None, :] - self.S[..., :, None]
        return self.xp.abs(gap) <= self.xp.rounding(self.A) ** 0.25 * self.largest[..., None]

    def of_sums(self):
        total = self.S[..., None, :] + self.S[..., :, None]
        return _reciprocal(self.xp, total, total <= self.rounding[..., None])

    def of_values(self):
        return _reciprocal(self.xp, self.S, self.rounding >= self.S)[..., None, :]


def svd_reverse(bars, factors, A):
    """Ā of U, S, Vᴴ (reduced or full) from the bars of any of them, whatever the signs and phases are."""
    (U_bar, S_bar, Vh_bar), (U, S, Vh), xp = bars, factors, namespace(A)
    k = xp.shape(S)[-1]
    U1, Vh1 = U[..., :k], Vh[..., :k, :]
    if U_bar is None and Vh_bar is None:
        return (U1 * xp.cast(S_bar, A)[..., None, :]) @ Vh1
    divide = _Divisors(xp, A, S)
    pairs = _near_pairs(xp, S, A)
    square = pairs is not None and A.shape[-1] == A.shape[-2]
    over_S = None if square else xp.cast(divide.of_values(), A)
    plus = minus = size = 0
    left = right = None
    if U_bar is not None:
        X, left = _inside_and_outside(xp, U, U_bar, k, A.shape[-2])
        plus, minus = X, X
        size = _largest(xp, X) if pairs != () else 0
    if Vh_bar is not None:
        Y, right = _inside_and_outside(xp, mH(Vh), mH(Vh_bar), k, A.shape[-1])
        plus, minus = plus + Y, minus - Y
        size = size + _largest(xp, Y) if pairs != () else 0
    plus, minus = plus - mH(plus), minus - mH(minus)
    if pairs is not None:
        # all are divided by the differences, and the few that are close looked at afterwards
        P = xp.over_gaps(plus, 2 * S, 0.0 if S_bar is None else S_bar)
        if pairs:
            *batch, i, j = pairs
            gap = S[(*batch, i)] - S[(*batch, j)]
            silent = 2 * gap * xp.abs(P[pairs]) < 8 * xp.rounding(A) * size[(*batch, 0 * i, 0 * j)]
            *batch, i, j = (index[silent] for index in pairs)
            P[(*batch, i, j)] = P[(*batch, j, i)] = 0.0
        P = P + minus / (2 * (S[..., None, :] + S[..., :, None]))
        P = U1 @ P
        A_bar = (P if left is None else P + left * over_S) @ Vh1
        return A_bar if right is None else A_bar + U1 @ mH(right * over_S)
    # Less than, not less or equal: cotangents of zero are used to ask for the derivative of this rule.
    nothing = divide.small_gaps() & (xp.abs(plus) < 8 * xp.rounding(A) * size)
    plus = xp.where(nothing, xp.zeros_like(plus), plus)
    P = (xp.cast(divide.of_gaps(), A) * plus + xp.cast(divide.of_sums(), A) * minus) / 2
    if S_bar is not None:
        P = P + xp.diagonal_embed(xp.cast(S_bar, A), k, k)
    P = U1 @ P
    A_bar = (P if left is None else P + left * over_S) @ Vh1
    return A_bar if right is None else A_bar + U1 @ mH(right * over_S)


def _near_pairs(xp, S, A):
    """What `near_pairs` says of singular values; None where it says nothing, and where some are equal or zero."""
    if None in A.shape[-2:] or 0 in A.shape[-2:]:
        return None
    ascending = xp.concat([-S, xp.zeros_like(S[..., :1])], axis=-1)
    if xp.near_pairs(ascending, 10 * max(A.shape[-2:]) * xp.eps(S)) != ():
        return None
    return xp.near_pairs(-S, xp.eps(S) ** 0.25)


def _inside_and_outside(xp, U, U_bar, k, m):
    """X = U₁ᴴŪ₁ and U₂ (U₂ᴴŪ₁ − Ū₂ᴴU₁), with the first k columns U₁ of U and all others U₂, also those that are not at
    hand. The second is None where U₁ is known to be square."""
    X = mH(U[..., :k]) @ U_bar
    if m is not None and m == k:
        return X, None
    (X, X12), (U1, U2), (outside, _) = cut(X, k), cut(U, k), cut(U_bar, k)
    outside = outside - U1 @ X
    return X, outside if U2 is None else outside - U2 @ mH(X12)


def _largest(xp, X):
    """The largest modulus of an entry of each matrix, (..., 1, 1)."""
    return 0 if 0 in X.shape[-2:] else xp.max(xp.abs(X), axis=(-2, -1), keepdims=True)


def svd_forward(A_dot, factors, A):
    """U̇, Ṡ and V̇ᴴ, for phases with Im (uᴴu̇ + vᴴv̇) = 0."""
    (U, S, Vh), xp = factors, namespace(A)
    k = xp.shape(S)[-1]
    U1, Vh1 = U[..., :k], Vh[..., :k, :]
    divide = _Divisors(xp, A, S)
    over_S = xp.cast(divide.of_values(), A)
    W, Zh = A_dot @ mH(Vh1), mH(U1) @ A_dot
    P = mH(U1) @ W
    plus = xp.cast(divide.of_gaps(), A) * (P + mH(P))
    minus = xp.cast(divide.of_sums(), A) * (P - mH(P))
    U_dot = U1 @ ((plus + minus) / 2)
    V_dot = mH(Vh1) @ ((plus - minus) / 2)
    if A.shape[-2] is None or A.shape[-2] != k:
        U_dot = U_dot + (W - U1 @ P) * over_S
    if A.shape[-1] is None or A.shape[-1] != k:
        V_dot = V_dot + (mH(Zh) - mH(Vh1) @ mH(P)) * over_S
    return _with_others(xp, U, U_dot, k), xp.real(xp.diagonal(P)), mH(_with_others(xp, mH(Vh), V_dot, k))


def _with_others(xp, U, U1_dot, k):
    """The tangents of all columns of a unitary U from those of its first k columns U₁: U̇₂ = −U₁ U̇₁ᴴU₂."""
    U1, U2 = cut(U, k)
    return U1_dot if U2 is None else xp.concat([U1_dot, -U1 @ (mH(U1_dot) @ U2)], axis=-1)


# ---------------------------------------------------------------------------------------------------------------------
# The singular value decomposition


@primitive("(m,n)->(m,p),(k),(q,n),(m,n),(k)", hidden=2)
def svd(A, *, full_matrices=True):
    """The singular value decomposition A = U diag(S) Vᴴ.

    Parameters
    ----------
    A : array (..., m, n)
        float32, float64, complex64 or complex128. Let k = min(m, n).
    full_matrices : bool
        Return square U (m by m) and Vᴴ (n by n), whose columns and rows behind the k-th complete the others to a basis;
        else their first k only.

    Returns
    -------
    U : array (..., m, m) or (..., m, k)
    S : array (..., k)
        The singular values, real, in descending order.
    Vh : array (..., n, n) or (..., k, n)
        Singular vectors are unique up to a sign, complex ones up to a phase. Here, of the entries of a column of U the
        first whose modulus is at least 0.7 of the largest is real and positive, and so it is with the columns of V
        behind the k-th.

    Raises
    ------
    LinAlgError of the array's library
        A has less than two dimensions, its dtype is not floating point, or the iteration does not converge, as with
        NaN.

    Notes
    -----
    Write U̇ = U Ω + U₂ U₂ᴴU̇ and V̇ = V Ψ + V₂ V₂ᴴV̇ with antihermitian Ω, Ψ, and U₂, V₂ for what completes U, V to
    a basis. Then Ȧ = U̇ S Vᴴ + U Ṡ Vᴴ + U S V̇ᴴ between Uᴴ and V is, for P = UᴴȦV,

        P = Ω S + Ṡ − S Ψ.

    Its diagonal is Ṡ = Re diag P. Add the adjoint, and subtract it; (i, j) then has

        (Ω + Ψ)ᵢⱼ = (P + Pᴴ)ᵢⱼ / (σⱼ − σᵢ),    (Ω − Ψ)ᵢⱼ = (P − Pᴴ)ᵢⱼ / (σⱼ + σᵢ),

    and outside of the spans U₂ᴴU̇ = U₂ᴴȦV S⁻¹, V₂ᴴV̇ = V₂ᴴȦᴴU S⁻¹. This is Giles (2008), section 3.2, with 1/(σⱼ² −
    σᵢ²) split into the two fractions it is made of. Reverse, with X = UᴴŪ and Y = VᴴV̄ and ∘ for the product entry by
    entry:

        P̄ᵢⱼ = ½ [X + Y − (X + Y)ᴴ]ᵢⱼ / (σⱼ − σᵢ) + ½ [X − Y − (X − Y)ᴴ]ᵢⱼ / (σⱼ + σᵢ) + s̄ᵢ δᵢⱼ,
        Ā = U P̄ Vᴴ + (I − UUᴴ) Ū S⁻¹ Vᴴ + U S⁻¹ V̄ᴴ (I − VVᴴ).

    A loss of the polar factor U Vᴴ has Ū = W V, V̄ = WᴴU, so that X + Y = UᴴWV + its adjoint, and the first bracket is
    zero: nothing is divided by a difference of singular values. A bracket that is rounding counts as zero where the
    singular values are close. The columns of U₂ are unique up to a rotation among them; the rule takes the one with
    U₂ᴴU̇₂ = 0, so that U̇₂ = −U (U₂ᴴU̇)ᴴ, and (I − UUᴴ) Ū above becomes U₂ (U₂ᴴŪ − Ū₂ᴴU).

    Where singular values are equal (to rounding, 10 k ε σ₁), 1/(σⱼ − σᵢ) is taken for 0, and with zero ones (to max(m,
    n) ε σ₁) 1/σ and 1/(σᵢ + σⱼ). That is right for symmetric functions of S, and for losses that do not change when the
    vectors of equal singular values are turned, u and v alike, those of zero ones each by itself: projections on their
    spans, U Vᴴ, and sums of both kinds. Else Ā is NaN, with a RuntimeWarning, as `eigh` says in detail: where vectors
    have a cotangent and s̄ differs between equal singular values, or a bracket does not vanish there, or vectors to σ =
    0 matter. U f(S) Vᴴ has a derivative there that no rule of `svd` can know, as it does not see f: take `polar`,
    `matrix_norm` with ord="nuc", or A f(AᴴA) by `spectral_function`. A single one of equal singular values has a
    subgradient. In forward mode U̇ and V̇ are those of bases that are not turned within the spans.

    Second derivatives of these losses are right, too, in reverse over reverse mode at any gap: by `svd_vectors_bar` for
    the vectors and `svd_values_bar` for S, see `eigh` and `eigvalsh`, and what is said there of other modes. At σ = 0
    they are NaN for functions of S.

    Cost: ten products of the size of U diag(S) Vᴴ at most, which is less than the function.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> U, S, Vh = overbar.svd(np.array([[3.0, 0.0], [4.0, 0.0]]), full_matrices=False)
    >>> S, np.allclose(U * S @ Vh, [[3, 0], [4, 0]])
    (array([5., 0.]), True)
    """
    return _decomposed(A, full_matrices)


def _decomposed(A, full_matrices):
    """U, S, Vᴴ, and the hidden outputs by which second derivatives tell of a basis, see `overbar.eigvalsh`."""
    return all_outputs(A, *oriented_svd(namespace(A), A, full_matrices))


def all_outputs(A, U, S, Vh):
    """Those of `svd`, hidden ones too, from the factors of A."""
    xp = namespace(A)
    return U, S, Vh, xp.zeros_like(A), xp.zeros_like(xp.cast(S, A))


@svd.vjp
def _(bars, factors, A, *, full_matrices):
    return (lambda: _decomposed_bar("svd", bars, factors, A, full_matrices),)


@svd.jvp
def _(factors, A, *, full_matrices):
    return (lambda A_dot: _decomposed_dots(A_dot, factors, A),)


def _decomposed_bar(name, bars, factors, A, full_matrices):
    """Ā of what `_decomposed` returned."""
    (U_bar, S_bar, Vh_bar, N_bar, _), (U, S, Vh, *hidden), xp = bars, factors, namespace(A)
    if 0 in A.shape[-2:] or (U_bar is None and Vh_bar is None):
        return xp.zeros_like(A) if S_bar is None else _values_bar(bars, factors, A)
    if xp.is_complex(A):
        U_bar, Vh_bar = _unoriented_bars(xp, U_bar, Vh_bar, U, Vh, xp.shape(S)[-1])
    vectors = (
        xp.zeros_like(U) if U_bar is None else U_bar,
        xp.zeros_like(Vh) if Vh_bar is None else Vh_bar,
        A,
        U,
        xp.cast(S, A),
        Vh,
    )
    options = {"full_matrices": full_matrices, "left": U_bar is not None, "right": Vh_bar is not None}
    if S_bar is not None and N_bar is None:
        found = svd_values_and_vectors_bar(xp.cast(S_bar, A), *vectors, *hidden, **options)
    else:
        found = svd_vectors_bar(*vectors, **options)
        if S_bar is not None:
            found = found + _values_bar(bars, factors, A)
    return _nan_where_unknown(name, found, (U_bar, S_bar if N_bar is None else None, Vh_bar), (U, S, Vh), A)


def _decomposed_dots(A_dot, factors, A):
    """U̇, Ṡ, V̇ᴴ, and none of the hidden outputs."""
    (U, S, Vh, N, norm), xp = factors, namespace(A)
    U_dot, S_dot, Vh_dot = svd_forward(A_dot, (U, S, Vh), A)
    if 0 not in A.shape[-2:]:
        k = xp.shape(S)[-1]
        if xp.is_complex(A):
            U_dot, Vh_dot = _oriented_dots(xp, U_dot, Vh_dot, U, Vh, k)
        S_dot = xp.real(svd_directional(A_dot, A, U[..., :k], xp.cast(S, A), Vh[..., :k, :], N, norm))
    return U_dot, S_dot, Vh_dot, None, None


# -- second derivatives of vectors


def _joint(xp, U, V, k):
    """The vectors (u, v)/√2 and (u, −v)/√2, and (u, 0), (0, v) of those behind the k-th."""
    (U1, U2), (V1, V2) = cut(U, k), cut(V, k)
    U1, V1 = U1 / 2**0.5, V1 / 2**0.5
    top, bottom = [U1, U1], [V1, -V1]
    if U2 is not None:
        top, bottom = [*top, U2], [*bottom, xp.zeros_like(V1[..., :1]) * xp.zeros_like(U2[..., :1, :])]
    if V2 is not None:
        top, bottom = [*top, xp.zeros_like(U1[..., :1]) * xp.zeros_like(V2[..., :1, :])], [*bottom, V2]
    return xp.concat([xp.concat(top, axis=-1), xp.concat(bottom, axis=-1)], axis=-2)


def _parts(xp, G, U, V, k):
    """The adjoint of `_joint`."""
    m, p = xp.shape(U)[-2:]
    top, bottom = G[..., :m, :], G[..., m:, :]
    U_part = (top[..., :k] + top[..., k : 2 * k]) / 2**0.5
    V_part = (bottom[..., :k] - bottom[..., k : 2 * k]) / 2**0.5
    if cut(U, k)[1] is not None:
        U_part = xp.concat([U_part, top[..., 2 * k : k + p]], axis=-1)
    if cut(V, k)[1] is not None:
        V_part = xp.concat([V_part, bottom[..., k + p :]], axis=-1)
    return U_part, V_part


@primitive("(m,p),(q,n),(m,n),(m,p),(k),(q,n)->(m,n)")
def svd_vectors_bar(U_bar, Vh_bar, A, U, S, Vh, *, full_matrices: bool = False, left: bool = True, right: bool = True):
    """The part of Ā in `svd` that comes from singular vectors, of any phase.

    A function of the bars, U, V and A, with rules of its own for second derivatives; S has no bar. They are those of
    `overbar.rules.eigen.vectors_bar` for the Hermitian matrix [0 A; Aᴴ 0], which has the eigenvalues ±σ with the
    vectors (u, ±v)/√2. Of what is orthogonal to these, with the eigenvalue 0, only projections are needed. `left` and
    `right` say which of the bars there are.
    """
    return svd_reverse((U_bar if left else None, None, Vh_bar if right else None), (U, namespace(A).real(S), Vh), A)


def _pairs(U_bar, Vh_bar, A, U, S, Vh, full_matrices):
    xp, k = namespace(A), S.shape[-1] if S.shape[-1] is not None else namespace(A).shape(S)[-1]
    V = mH(Vh)
    w = [xp.real(S), -xp.real(S)]
    w += [xp.zeros_like(xp.real(X[..., 0, :])) for X in (cut(U, k)[1], cut(V, k)[1]) if X is not None]
    m, n = A.shape[-2:]
    others = not full_matrices and (m is None or n is None or m != n)
    return Pairs(_joint(xp, U_bar, mH(Vh_bar), k), xp.concat(w, axis=-1), _joint(xp, U, V, k), others)


def _times(xp, E, m):
    """The products with [0 E; Eᴴ 0]."""
    return lambda Y: xp.concat([E @ Y[..., m:, :], mH(E) @ Y[..., :m, :]], axis=-2)


def _corner(pairs, middle, rest, m):
    """Twice the block in the upper right corner of what `Pairs` found."""
    T, B = pairs.V[..., :m, :], pairs.V[..., m:, :]
    found = T @ middle @ mH(B)
    if rest is not None:
        r, q, x = rest
        found = found + r[..., :m, :] @ mH(B) + T @ mH(r[..., m:, :])
        found = found + q[..., :m, :] @ mH(x[..., m:, :]) + x[..., :m, :] @ mH(q[..., m:, :])
    return 2 * found


@svd_vectors_bar.vjp
def _(A_bar_bar, A_bar, U_bar, Vh_bar, A, U, S, Vh, *, full_matrices, left, right):
    xp = namespace(A)
    m, k = xp.shape(A)[-2], xp.shape(S)[-1]

    @once
    def found():
        pairs = _pairs(U_bar, Vh_bar, A, U, S, Vh, full_matrices)
        of_bars, of_vectors, of_A = pairs.reverse(_times(xp, A_bar_bar, m))
        parts = [_parts(xp, G, U, mH(Vh), k) for G in (of_bars, of_vectors)]
        return parts, lambda: _corner(pairs, *of_A(), m)

    return (
        lambda: found()[0][0][0],
        lambda: mH(found()[0][0][1]),
        lambda: found()[1](),
        lambda: found()[0][1][0],
        None,
        lambda: mH(found()[0][1][1]),
    )


@svd_vectors_bar.jvp
def _(A_bar, U_bar, Vh_bar, A, U, S, Vh, *, full_matrices, left, right):
    xp = namespace(A)
    m, k = xp.shape(A)[-2], xp.shape(S)[-1]

    def dot(U_bar_dot, Vh_bar_dot, A_dot, U_dot, _, Vh_dot):
        pairs = _pairs(U_bar, Vh_bar, A, U, S, Vh, full_matrices)
        bars, vectors = (_joint(xp, X, mH(Y), k) for X, Y in ((U_bar_dot, Vh_bar_dot), (U_dot, Vh_dot)))
        return _corner(pairs, *pairs.forward(_times(xp, A_dot, m), bars, vectors), m)

    return dot


@primitive("(k),(m,p),(q,n),(m,n),(m,p),(k),(q,n),(m,n),(k)->(m,n)")
def svd_values_and_vectors_bar(
    S_bar, U_bar, Vh_bar, A, U, S, Vh, N, norm, *, full_matrices: bool = False, left: bool = True, right: bool = True
):
    """The sum of `svd_values_bar` and `svd_vectors_bar`, at the cost of one of them."""
    real = namespace(A).real
    return svd_reverse((U_bar if left else None, real(S_bar), Vh_bar if right else None), (U, real(S), Vh), A)


def _of_values(rule, S_bar, A, U, S, Vh, N, norm, *bar):
    k = S.shape[-1] if S.shape[-1] is not None else namespace(A).shape(S)[-1]
    return rule(*bar, None, S_bar, A, cut(U, k)[0], S, mH(cut(mH(Vh), k)[0]), N, norm)


@svd_values_and_vectors_bar.vjp
def _(A_bar_bar, A_bar, S_bar, U_bar, Vh_bar, A, U, S, Vh, N, norm, **options):
    of_S_bar, of_A, _, _, _, of_N, of_norm = _of_values(svd_values_bar.vjp_rule, S_bar, A, U, S, Vh, N, norm, A_bar_bar)
    of_U_bar, of_Vh_bar, also_of_A, of_U, _, of_Vh = svd_vectors_bar.vjp_rule(
        A_bar_bar, None, U_bar, Vh_bar, A, U, S, Vh, **options
    )
    return of_S_bar, of_U_bar, of_Vh_bar, lambda: of_A() + also_of_A(), of_U, None, of_Vh, of_N, of_norm


@svd_values_and_vectors_bar.jvp
def _(A_bar, S_bar, U_bar, Vh_bar, A, U, S, Vh, N, norm, **options):
    of_values = _of_values(svd_values_bar.jvp_rule, S_bar, A, U, S, Vh, N, norm)
    of_vectors = svd_vectors_bar.jvp_rule(None, U_bar, Vh_bar, A, U, S, Vh, **options)

    def dot(S_bar_dot, U_bar_dot, Vh_bar_dot, A_dot, U_dot, S_dot, Vh_dot, *_):
        return of_values(S_bar_dot, A_dot) + of_vectors(U_bar_dot, Vh_bar_dot, A_dot, U_dot, S_dot, Vh_dot)

    return dot


_UNKNOWN = (
    "{name}: argument A has equal singular values, or more than one that is zero, and this loss depends on which "
    "singular vectors stand for them, or on more than singular values and vectors tell: its derivative is NaN there. "
    'For U Vᴴ take polar, for the sum of singular values matrix_norm with ord="nuc"; another U diag(f(S)) Vᴴ is A '
    "spectral_function(AᴴA, f=..., df=...) with f(√w)/√w."
)


def _nan_where_unknown(name, A_bar, bars, factors, A):
    """Ā, and NaN for a matrix whose Ā the cotangents do not tell. That of S is None where none came, and where that of
    a second derivative came, which is in a basis of its own."""
    (U_bar, S_bar, Vh_bar), (U, S, Vh), xp = bars, factors, namespace(A)
    if not nearly_equal(-S, xp.zeros_like(S[..., :1])):  # most matrices need no more
        return A_bar
    zero = xp.rounding(A) * S[..., :1] >= S
    if not (nearly_equal(-S) or xp.may_hold(zero)):
        return A_bar
    k = xp.shape(S)[-1]
    plus = minus = 0
    size = xp.zeros_like(S)
    outside = zero & ~zero
    for V, V_bar, rows, sign in (
        (U, U_bar, A.shape[-2], 1),
        (mH(Vh), None if Vh_bar is None else mH(Vh_bar), A.shape[-1], -1),
    ):
        if V_bar is None:
            continue
        X, rest = _inside_and_outside(xp, V, V_bar, k, rows)
        plus, minus = plus + X, minus + sign * X
        here = xp.max(xp.abs(V_bar), axis=-2)[..., :k]
        size = size + here
        if rest is not None:
            outside = outside | (xp.max(xp.abs(rest), axis=-2) > 2e3 * xp.rounding(A) * here)
    noise = xp.rounding(A) * (size[..., None, :] + size[..., :, None])
    where = unknown((plus - mH(plus)) / 2, hermitian_part(plus), noise, S_bar, -S)
    both = zero[..., None, :] & zero[..., :, None]
    turned = both & (xp.abs(minus - mH(minus)) > 2e3 * noise)
    where = where | anywhere(turned) | xp.any(zero & outside, axis=-1)
    if S_bar is not None:
        tolerance = xp.eps(S) ** 0.5 * xp.max(xp.abs(S_bar), axis=-1, keepdims=True)
        driven = zero & (xp.abs(S_bar) > tolerance)
        m, n = A.shape[-2:]
        if m is not None and m == n:  # the vectors to a single zero are known, up to their signs
            one = xp.sum(xp.cast(zero, S), axis=-1, keepdims=True) < 1.5
            driven = driven & ~one
        where = where | xp.any(driven, axis=-1)
    return nan_where(where, A_bar, _UNKNOWN.format(name=name))


# -- second derivatives of values


def _values_bar(bars, factors, A):
    """U diag(s̄) Vᴴ, or that in the basis of which the hidden outputs' cotangents tell."""
    (_, S_bar, _, N_bar, norm_bar), (U, S, Vh, N, norm), xp = bars, factors, namespace(A)
    k = xp.shape(S)[-1]
    (U, _), (V, _) = cut(U, k), cut(mH(Vh), k)
    c, S_like = xp.cast(S_bar, A), xp.cast(S, A)
    if N_bar is None or 0 in A.shape[-2:]:
        return svd_values_bar(c, A, U, S_like, mH(V), N, norm)
    B, lost, change = told_basis(hermitian_part(mH(U) @ N_bar @ V), norm_bar, -S, S_bar)
    found = svd_values_bar(c, A, U @ B, S_like, mH(V @ B), N, norm) + U @ change @ mH(V)
    return xp.where(lost[..., None, None], float("nan") * xp.ones_like(found), found)


@primitive("(k),(m,n),(m,k),(k),(k,n),(m,n),(k)->(m,n)")
def svd_values_bar(S_bar, A, U, S, Vh, N, norm):
    """Ā of singular values, U diag(s̄) Vᴴ, with rules of its own for second derivatives.

    A function of s̄ and A, as `overbar.rules.eigen.spectral_bar` of [0 A; Aᴴ 0]: with Uᴴ Ȧ V = H + J, H Hermitian and J
    antihermitian,

        Ā̇ = U (D ∘ H + T ∘ J + diag(s̄̇)) Vᴴ + (I − UUᴴ) Ȧ V diag(s̄/σ) Vᴴ + U diag(s̄/σ) Uᴴ Ȧ (I − VVᴴ),

    Dᵢⱼ = (s̄ᵢ − s̄ⱼ)/(σᵢ − σⱼ) and Tᵢⱼ = (s̄ᵢ + s̄ⱼ)/(σᵢ + σⱼ); in a block of equal singular values other than zero, D
    has a limit that s̄̇ tells in the basis which diagonalises H there. Where several are zero, or one of a matrix that
    is not square, and Ȧ moves them, Ā̇ is NaN.
    """
    return (U * S_bar[..., None, :]) @ Vh


def _along(E, c, U, S, Vh, block, c_dot=None):
    """The derivative of U diag(c) Vᴴ along E, as far as the vectors and not c move; c_dot may tell more of D."""
    xp = namespace(E)
    if 0 in E.shape[-2:]:
        return xp.zeros_like(E)
    real = xp.real(S)
    M = mH(U) @ E @ mH(Vh)
    H, J = hermitian_part(M), (M - mH(M)) / 2
    if c_dot is None:
        D = differences(c, S, block)
    else:
        D = differences_along(c, c_dot, xp.diagonal(H), S, block)
    divide = _Divisors(xp, E, real)
    T = (c[..., None, :] + c[..., :, None]) * xp.cast(divide.of_sums(), E)
    over = c * xp.cast(divide.of_values()[..., 0, :], E)
    found = U @ (D * H + T * J) @ Vh
    zero = real <= divide.rounding
    small = 1e3 * xp.rounding(E) * _largest(xp, E)
    hit = anywhere(zero[..., None, :] & zero[..., :, None] & (xp.abs(M) > small))
    m, n = E.shape[-2:]
    k = c.shape[-1]
    if m is None or m != k:
        rest = E @ mH(Vh) - U @ M
        found = found + (rest * over[..., None, :]) @ Vh
        hit = hit | xp.any(zero & (xp.max(xp.abs(rest), axis=-2) > small[..., 0]), axis=-1)
    if n is None or n != k:
        rest = mH(U) @ E - M @ Vh
        found = found + U @ (over[..., :, None] * rest)
        hit = hit | xp.any(zero & (xp.max(xp.abs(rest), axis=-1) > small[..., 0]), axis=-1)
    return xp.where(hit[..., None, None], float("nan") * xp.ones_like(found), found)


def _basis(E, U, S, Vh, block):
    """The block of H = Hermitian part of Uᴴ E V, and the basis that diagonalises it."""
    C = together(block, U) * hermitian_part(mH(U) @ E @ mH(Vh))
    return C, common_basis(C, block)


@svd_values_bar.vjp
def _(A_bar_bar, A_bar, S_bar, A, U, S, Vh, N, norm):
    xp = namespace(A)
    block = once(lambda: smooth_blocks(xp.real(S_bar), -xp.real(S)))
    basis = once(lambda: _basis(A_bar_bar, U, S, Vh, block()))

    def S_bar_bar():
        C, B = basis()
        return xp.sum(xp.conj(B) * (C @ B), axis=-2)

    return (
        S_bar_bar,
        lambda: _along(A_bar_bar, S_bar, U, S, Vh, block()),
        None,
        None,
        None,
        lambda: U @ basis()[0] @ Vh,
        lambda: packed(basis()[0], block()),
    )


@svd_values_bar.jvp
def _(A_bar, S_bar, A, U, S, Vh, N, norm):
    xp = namespace(A)

    def dot(S_bar_dot, A_dot, *_):
        block = blocks(-xp.real(S))
        _, B = _basis(A_dot, U, S, Vh, block)
        turned = U @ B, S, mH(B) @ Vh
        found = _along(A_dot, S_bar, *turned, block, S_bar_dot)
        return found + (turned[0] * S_bar_dot[..., None, :]) @ turned[2]

    return dot


@primitive("(m,n),(m,n),(m,k),(k),(k,n),(m,n),(k)->(k)")
def svd_directional(A_dot, A, U, S, Vh, N, norm):
    """Ṡ, the adjoint of `svd_values_bar`, with rules for second derivatives as there."""
    xp = namespace(A)
    _, B = _basis(A_dot, U, S, Vh, blocks(-xp.real(S)))
    M = mH(U) @ A_dot @ mH(Vh)
    return xp.cast(xp.real(xp.sum(xp.conj(B) * (M @ B), axis=-2)), A)


@svd_directional.vjp
def _(u, S_dot, A_dot, A, U, S, Vh, N, norm):
    block = once(lambda: blocks(-namespace(A).real(S)))
    basis = once(lambda: _basis(A_dot, U, S, Vh, block()))
    turned = once(lambda: (U @ basis()[1], S, mH(basis()[1]) @ Vh))
    return (
        lambda: (turned()[0] * u[..., None, :]) @ turned()[2],
        lambda: _along(A_dot, u, *turned(), block()),
        None,
        None,
        None,
        lambda: U @ basis()[0] @ Vh,
        lambda: packed(basis()[0], block()),
    )


@svd_directional.jvp
def _(S_dot, A_dot, A, U, S, Vh, N, norm):
    xp = namespace(A)

    def dot(A_dot_dot, A_dot_2, *_):
        block = blocks(-xp.real(S))
        _, B = _basis(A_dot, U, S, Vh, block)
        U1, V1 = U @ B, mH(Vh) @ B
        (H, J), (H2, J2) = ((hermitian_part(M), (M - mH(M)) / 2) for M in (mH(U1) @ E @ V1 for E in (A_dot, A_dot_2)))
        divide = _Divisors(xp, A, xp.real(S))
        bent = xp.conj(J) * J2 * xp.cast(divide.of_sums(), A) - xp.conj(H) * H2 * xp.cast(divide.of_gaps(), A)
        bent = 2 * xp.sum(xp.real(bent), axis=-1)
        for left, right, W in ((A_dot @ V1, A_dot_2 @ V1, U1), (mH(A_dot) @ U1, mH(A_dot_2) @ U1, V1)):
            across = xp.sum(xp.real(xp.conj(left - W @ (mH(W) @ left)) * right), axis=-2)
            bent = bent + across * divide.of_values()[..., 0, :]
        straight = xp.real(xp.sum(xp.conj(U1) * (A_dot_dot @ V1), axis=-2))
        found = xp.cast(straight + bent, A)
        return xp.where(crossing(H2, block)[..., None], float("nan") * xp.ones_like(found), found)

    return dot


@svd.samples
def _(case):
    yield case(_distinct(case, 4, 3), full_matrices=True)
    yield case(_distinct(case, 3, 5), full_matrices=False)


def _distinct(case, m, n):
    """Matrices whose singular values, between 1/2 and 3, are well apart: 1/(σᵢ − σⱼ) is the condition number here."""
    U, V = case._unitary(m), case._unitary(n)
    k = min(U.shape[-1], V.shape[-1])  # larger where costs are measured
    sizes = case.rng.uniform(0.5, 0.8, (*case.batch, 1)) * (1 + case.rng.uniform(0.9, 1.1, (*case.batch, k)).cumsum(-1))
    return case._cast((U[..., :k] * sizes[..., None, :]) @ V[..., :k, :])


@svd.reference
def _(mp, A, *, full_matrices):
    U, S, Vh = mp.svd(A, full_matrices)
    k = len(S)
    for j in range(U.shape[1]):
        phase = _exact_phase(mp, U[:, j])
        U[:, j] = U[:, j] / phase
        if j < k:
            Vh[j] = Vh[j] * phase
    for j in range(k, len(Vh)):
        Vh[j] = Vh[j] * _exact_phase(mp, mp.conj(Vh[j]))
    return U, S, Vh


def _exact_phase(mp, u):
    size = mp.abs(u)
    entry = next(x for x, s in zip(u, size, strict=True) if s >= NEARLY_LARGEST * max(size))
    return entry / abs(entry)


# ---------------------------------------------------------------------------------------------------------------------
# The singular values alone


@primitive("(m,n)->(k),(m,k),(k,n),(m,n),(k)", hidden=4)
def svdvals(A):
    """The singular values of a matrix, in descending order.

    Parameters
    ----------
    A : array (..., m, n)
        float32, float64, complex64 or complex128.

    Returns
    -------
    array (..., k)
        k = min(m, n); real.

    Raises
    ------
    LinAlgError of the array's library
        As `svd`.

    Notes
    -----
    From Ṡ = Re diag(UᴴȦV), see `svd`:

        Ā = U diag(s̄) Vᴴ.

    Nothing is divided by, so that symmetric functions of the singular values have the right gradient at equal ones,
    too, and second derivatives as `overbar.eigvalsh` has them. (Where singular values cross, each by itself has no
    derivative: this is one for the vectors that the kernel found. At σ = 0 it is a subgradient, and the second
    derivative is NaN where several are zero, or one of a matrix that is not square, and where the direction moves
    them.) U and V are hidden outputs.

    Source: Giles (2008), section 3.2. Cost: one product; six, and a decomposition, for a second derivative.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.svdvals(np.array([[0.0, -2.0], [1.0, 0.0]]))
    array([2., 1.])
    """
    U, S, Vh, *hidden = _decomposed(A, False)
    return S, U, Vh, *hidden


@svdvals.vjp
def _(bars, outputs, A):
    (S_bar, U_bar, Vh_bar, *hidden_bars), (S, U, Vh, *hidden) = bars, outputs
    bars, factors = (U_bar, S_bar, Vh_bar, *hidden_bars), (U, S, Vh, *hidden)
    return (lambda: _decomposed_bar("svdvals", bars, factors, A, False),)


@svdvals.jvp
def _(outputs, A):
    S, U, Vh, *hidden = outputs

    def dots(A_dot):
        U_dot, S_dot, Vh_dot, *none = _decomposed_dots(A_dot, (U, S, Vh, *hidden), A)
        return S_dot, U_dot, Vh_dot, *none

    return (dots,)


@svdvals.samples
def _(case):
    yield case(_distinct(case, 4, 3))


@svdvals.reference
def _(mp, A):
    return mp.svd(A)[1]


# ---------------------------------------------------------------------------------------------------------------------
# The polar decomposition


@primitive("(n,n),(n,n),(n),(n,n)->(n,n),()", hermitian=("P",))
def anticommutator_solve(P, C, w, V):
    """The solution X of P X + X P = C for Hermitian positive semidefinite P, and how many eigenvalues of P are zero.

    A function of P and C: w and V, the eigenvalues and eigenvectors of P, get no bars. In the basis of these,
    Xᵢⱼ = Cᵢⱼ / (wᵢ + wⱼ), and 0 where both are zero. Nothing is divided by a difference of eigenvalues, and the
    eigenvectors do not show. From Ṗ X + P Ẋ + Ẋ P + X Ṗ = Ċ, Ẋ solves the same equation with Ċ − Ṗ X − X Ṗ on the
    right; the map from C to X is its own adjoint, so that

        C̄ = the solution for X̄,    P̄ = −C̄ Xᴴ − Xᴴ C̄ (its Hermitian part).
    """
    xp = namespace(P)
    w = xp.real(w)
    rounding = xp.rounding(P) * xp.maximum(w[..., :1], w[..., -1:])
    total = w[..., :, None] + w[..., None, :]
    over = _reciprocal(xp, total, total <= 2 * rounding[..., None])
    X = V @ ((mH(V) @ C @ V) * xp.cast(over, C)) @ mH(V)
    # in all of the batch, as vmap over C alone has it
    return X, xp.broadcast_to(xp.sum(xp.astype(w <= rounding, xp.int32), axis=-1), xp.shape(X)[:-2])


@anticommutator_solve.vjp
def _(bars, outputs, P, C, w, V):
    (X_bar, _), (X, _) = bars, outputs

    @once
    def C_bar():
        return anticommutator_solve(P, X_bar, w, V)[0]

    def P_bar():
        return hermitian_part(-C_bar() @ mH(X) - mH(X) @ C_bar())

    return P_bar, C_bar, None, None


@anticommutator_solve.jvp
def _(outputs, P, C, w, V):
    X, _ = outputs

    def dots(P_dot, C_dot, *_):
        return anticommutator_solve(P, C_dot - P_dot @ X - X @ P_dot, w, V)[0], None

    return dots


@primitive("(m,n)->(m,n),(p,p),(k),(k,k)", kept=2)
def polar(A, *, side="right"):
    """The polar decomposition A = U P, or A = P U, with orthonormal columns or rows in U and Hermitian P ≥ 0.

    U is the matrix with orthonormal columns (rows) that is nearest to A.

    Parameters
    ----------
    A : array (..., m, n)
        float32, float64, complex64 or complex128.
    side : str
        "right" for A = U P with P = (AᴴA)^½ (n by n), "left" for A = P U with P = (AAᴴ)^½
        (m by m).

    Returns
    -------
    U : array (..., m, n)
        Its columns are orthonormal where m ≥ n, its rows where m ≤ n.
    P : array (..., n, n), or (..., m, m) with side="left"

    Raises
    ------
    LinAlgError of the array's library
        As `svd`.
    ValueError
        `side` is neither "right" nor "left".

    Notes
    -----
    By the singular value decomposition A = W S Vᴴ, U = W Vᴴ; both P are Hermitian parts of products, UᴴA and A Uᴴ. Take
    m ≥ n and P = UᴴA; the other case is this one of Aᴴ. Multiply Ȧ = U̇ P + U Ṗ by Uᴴ and subtract the adjoint. With
    Ω = UᴴU̇, which is antihermitian,

        P Ω + Ω P = UᴴȦ − ȦᴴU,    U̇ = U Ω + (I − UUᴴ) Ȧ P⁻¹,    Ṗ = UᴴȦ − Ω P.

    Reverse: the solution X = L(C) of P X + X P = C is a linear map of C that is its own adjoint. With P̄ Hermitian,

        Ā = U L(UᴴŪ − ŪᴴU + P P̄ − P̄ P) + (I − UUᴴ) Ū P⁻¹ + U P̄.

    L divides by sums of singular values and is differentiated by solving again, in the basis that the function found.
    No singular vector shows: the rule and its derivatives of any order are right at equal singular values. (Source: the
    differential as for the square root in Giles (2008) and Higham, Functions of Matrices, chapter 8.)

    U has no derivative where A is singular, has a singular value that is rounding: its bar then sends NaN to Ā. P has
    one as long as the rank stays, and is handled.

    Cost: ten products for Ā, where the function is a singular value decomposition.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> U, P = overbar.polar(np.array([[0.0, -2.0], [3.0, 0.0]]))
    >>> U.round(12) + 0.0, P.round(12) + 0.0
    (array([[ 0., -1.],
           [ 1.,  0.]]), array([[3., 0.],
           [0., 2.]]))
    """
    if side not in ("right", "left"):
        raise ValueError(f'polar: side must be "right" or "left", not {side!r}.')
    xp = namespace(A)
    W, S, Vh = xp.svd(A)
    m, n = xp.shape(A)[-2:]
    P = from_eigen(S, mH(Vh) if side == "right" else W)
    return W @ Vh, P, S, xp.cond(m >= n, lambda: mH(Vh), lambda: W)


def polar_reverse(A, U, U_bar, P_bar=None, side="right", basis=None):
    """Ā from the bars of U and P. `basis` has the eigenvalues and eigenvectors of (AᴴA)^½, or of (AAᴴ)^½ where A is
    wide, if they are known."""
    xp = namespace(A)
    m, n = xp.shape(A)[-2:]
    right, left = (P_bar, None) if side == "right" else (None, P_bar)

    def wide():
        return mH(_tall_bar(xp, mH(A), mH(U), basis, None if U_bar is None else mH(U_bar), left, right))

    return xp.cond(m >= n, lambda: _tall_bar(xp, A, U, basis, U_bar, right, left), wide)


def _tall_bar(xp, A, U, basis, U_bar, right_bar, left_bar):
    """Ā from the bars of U, of (AᴴA)^½ and of (AAᴴ)^½, for m ≥ n. The latter is U (AᴴA)^½ Uᴴ."""
    P, C, outside = hermitian_part(mH(U) @ A), 0, 0
    if U_bar is not None:
        X = mH(U) @ U_bar
        C = X - mH(X)
    if right_bar is not None:
        H = hermitian_part(right_bar)
        C, outside = C + P @ H - H @ P, U @ H
    if left_bar is not None:
        HU = hermitian_part(left_bar) @ U
        Q = mH(U) @ HU
        C, outside = C + Q @ P - P @ Q, 2 * HU - U @ Q
    Omega_bar, singular = _anticommutator_solve(P, C, basis)
    if U_bar is not None:
        outside = outside + _over(xp, _no_derivative(xp, U_bar, singular) - U @ X, P, singular)
    return U @ Omega_bar + outside


def _anticommutator_solve(P, C, basis):
    w, V = basis or eigh(P)
    return anticommutator_solve(P, C, namespace(P).cast(w, V), V)


def polar_forward(A_dot, A, U, basis):
    """U̇, and the tangents of (AᴴA)^½ and (AAᴴ)^½."""
    xp = namespace(A)
    m, n = xp.shape(A)[-2:]

    def wide():
        U_dot, left_dot, right_dot = _tall_dots(xp, mH(A_dot), mH(A), mH(U), basis)
        return mH(U_dot), right_dot, left_dot

    return xp.cond(m >= n, lambda: _tall_dots(xp, A_dot, A, U, basis), wide)


def _tall_dots(xp, A_dot, A, U, basis):
    P, B = hermitian_part(mH(U) @ A), mH(U) @ A_dot
    Omega, singular = _anticommutator_solve(P, B - mH(B), basis)
    inside, outside = U @ Omega, A_dot - U @ B
    U_dot = _no_derivative(xp, inside + _over(xp, outside, P, singular), singular)
    P_dot = hermitian_part(B - Omega @ P)
    half = (inside @ P + outside) @ mH(U)
    return U_dot, P_dot, half + mH(half) + U @ P_dot @ mH(U)


def _no_derivative(xp, dot, singular):
    """NaN in the place of all numbers but zero, where A is singular."""
    # NaN is added: as a factor it would come back in the derivative from where it is not.
    zero = xp.zeros_like(dot)
    return dot + xp.where((singular > 0)[..., None, None] & (dot != 0), zero + float("nan"), zero)


def _over(xp, E, P, singular):
    """E P⁻¹. In the place of a singular P, which need not be an error as E may be zero, stands P + I."""
    eye = xp.eye_like(P)
    return mH(xp.solve(P + xp.where((singular > 0)[..., None, None], eye, xp.zeros_like(eye)), mH(E), check=False))


@polar.vjp
def _(bars, outputs, A, *, side):
    (U_bar, P_bar), (U, _, *basis) = bars, outputs
    return (lambda: polar_reverse(A, U, U_bar, P_bar, side, basis),)


@polar.jvp
def _(outputs, A, *, side):
    U, _, *basis = outputs

    def dots(A_dot):
        U_dot, right_dot, left_dot = polar_forward(A_dot, A, U, basis)
        return U_dot, right_dot if side == "right" else left_dot

    return (dots,)


@polar.samples
def _(case):
    yield case(_distinct(case, 4, 3))
    yield case(_distinct(case, 3, 4), side="left")


@polar.reference
def _(mp, A, *, side):
    W, S, Vh = mp.svd(A)
    return W @ Vh, (mp.mH(Vh) * S) @ Vh if side == "right" else (W * S) @ mp.mH(W)
