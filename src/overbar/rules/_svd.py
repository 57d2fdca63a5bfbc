"""The singular value decomposition, and the singular values alone.

May import `overbar._namespace`, `overbar._primitive`, `rules.decompositions`, `rules.equal_values`,
`rules.eigenvectors`, `rules.phases`, `rules.singular_values` and `rules.singular_vectors`.
"""

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive
from overbar.rules._decompositions import oriented_by_loops
from overbar.rules._eigenvectors import bracket_noise, equal_up_to, left_out, matters_from, unknown
from overbar.rules._equal_values import (
    anywhere,
    hermitian_part,
    nearly_equal,
    settled,
    surely_apart,
    untold,
)
from overbar.rules._phases import OF_SINGULAR_VECTORS, along, exact_factor, free_factors, on_pivots, rates
from overbar.rules._singular_values import (
    bar_at_rank,
    first_vectors,
    svd_directional,
    svd_values_bar,
    values_bar,
    vanishing,
    vectors_dot_at_rank,
    zero_values,
)
from overbar.rules._singular_vectors import (
    Divisors,
    first_and_others,
    inside_and_outside,
    is_size,
    largest_entry,
    svd_reverse,
    svd_vectors_bar,
    svd_vectors_dot,
)

_PART = OF_SINGULAR_VECTORS


def oriented_svd(xp, A, full_matrices=False):
    """U, S, Vᴴ with signs (phases) that do not depend on the library; `svd` says which."""
    found = oriented_by_loops(A, full_matrices)
    if found is not None:
        return found
    U, S, Vh = xp.svd(A, full_matrices=full_matrices)
    k = xp.shape(S)[-1]
    if A.shape[-2] == 0:
        return U, S, Vh
    p = free_factors(U, _PART)
    Vh1 = Vh[..., :k, :] * xp.mH(p[..., :k])
    if full_matrices and A.shape[-1] != A.shape[-2]:
        V2 = mH(Vh[..., k:, :])
        Vh1 = xp.concat([Vh1, mH(V2 * free_factors(V2, _PART))], axis=-2) if A.shape[-1] else Vh1
    return U * p, S, Vh1


def _unoriented_bars(U_bar, Vh_bar, U, Vh, k):
    """The bars of singular vectors of any phase, whose phases were then made what they are.

    With c the entry of u that was made positive, u / phase moves by u̇ − i u Im(ċ)/c and v by v̇ − i v Im(ċ)/c. Hence γ
    = i Im(uᴴū + vᴴv̄) gives c the bar −γ/c; afterwards uᴴū + vᴴv̄ is real, and no phase matters any more.
    """
    xp, gamma = namespace(U), 0
    if U_bar is not None:
        gamma = along(U, U_bar)
    if Vh_bar is not None:
        V, V_bar = mH(Vh), mH(Vh_bar)
        delta, others = first_and_others(along(V, V_bar), k)
        if others is not None:
            V1_bar, V2_bar = first_and_others(V_bar, k)
            Vh_bar = mH(xp.concat([V1_bar, V2_bar - on_pivots(V[..., k:], others, _PART)], axis=-1))
        if not is_size(U.shape[-1], k):
            delta = xp.concat([delta, xp.zeros_like(U[..., :1, k:]) + 0 * delta[..., :1]], axis=-1)
        gamma = gamma + delta
    change = on_pivots(U, gamma, _PART)
    return (-change if U_bar is None else U_bar - change), Vh_bar


def _oriented_dots(U_dot, Vh_dot, U, Vh, k):
    """The tangents of U and Vᴴ that keep these entries real, from those for any other choice of the phases."""
    t = rates(U, U_dot, _PART)
    (V1, V2), (V_dot, V2_dot) = first_and_others(mH(Vh), k), first_and_others(mH(Vh_dot), k)
    V_dot = V_dot - first_and_others(t, k)[0] * V1
    if V2 is not None:
        V_dot = namespace(U).concat([V_dot, V2_dot - rates(V2, V2_dot, _PART) * V2], axis=-1)
    return U_dot - t * U, mH(V_dot)


# ---------------------------------------------------------------------------------------------------------------------
# The singular value decomposition


@primitive("(m,n)->(m,p),(k),(q,n),(m,n),(t)", intermediates=2)
def svd(A, *, full_matrices=True):
    """The singular value decomposition A = U diag(S) Vᴴ.

    Parameters
    ----------
    A
        Let k = min(m, n).
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
        The iteration does not converge, or A has an entry that is not finite; TensorFlow returns NaN for that.

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
    subgradient. In forward mode U̇ and V̇ are those of bases that are not turned within the spans. Vectors to σ = 0 do
    not matter where their weight is f(σ) with f(0) = f′(0) = 0, as in the size of a ridge regression: their cotangents
    are then about ε², and the first derivative is right. (Under `torch.compile` it is NaN.)

    Second derivatives of these losses are right, too, in reverse over reverse mode at any gap: by `svd_vectors_bar` for
    the vectors and `svd_values_bar` for S, see `eigh` and `eigvalsh`, and `svdvals` for σ = 0. In modes with a forward
    pass they are right at equal singular values (by `svd_vectors_dot`), and at close ones they lose what `eigh` says.
    With weights f(σ) at σ = 0 they are right along changes that keep the rank (of complex wide matrices of rank m − 2
    and less in forward over reverse mode only). Along others they are NaN where the cotangents tell of f, by σ that are
    rounding; where these are exactly zero, or where there are singular values of 1e-5 and less beside them, they may be
    wrong.

    Cost: ten products of the size of U diag(S) Vᴴ at most, which is less than the function.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> U, S, Vh = overbar.svd(np.array([[3.0, 0.0], [4.0, 0.0]]), full_matrices=False)
    >>> S, np.allclose(U * S @ Vh, [[3, 0], [4, 0]])
    (array([5., 0.]), True)
    """
    return decomposed(A, full_matrices)


def decomposed(A, full_matrices):
    """U, S, Vᴴ, and the intermediates by which second derivatives tell of a basis, see `overbar.eigvalsh`."""
    return all_outputs(A, *oriented_svd(namespace(A), A, full_matrices))


def all_outputs(A, U, S, Vh):
    """Those of `svd`, intermediates too, from the factors of A."""
    return U, S, Vh, *untold(A, S)


@svd.vjp
def _(bars, factors, A, *, full_matrices):
    return (lambda: decomposed_bar("svd", bars, factors, A, full_matrices),)


@svd.jvp
def _(factors, A, *, full_matrices):
    return (lambda A_dot: decomposed_dots(A_dot, factors, A, full_matrices),)


def decomposed_bar(name, bars, factors, A, full_matrices):
    """Ā of what `decomposed` returned."""
    (U_bar, S_bar, Vh_bar, N_bar, _), (U, S, Vh, *hidden), xp = bars, factors, namespace(A)
    if 0 in A.shape[-2:] or (U_bar is None and Vh_bar is None):
        return xp.zeros_like(A) if S_bar is None else values_bar(bars, factors, A)
    if xp.is_complex(A):
        U_bar, Vh_bar = _unoriented_bars(U_bar, Vh_bar, U, Vh, xp.shape(S)[-1])
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
            found = found + values_bar(bars, factors, A)
    return _nan_where_unknown(name, found, (U_bar, S_bar if N_bar is None else None, Vh_bar), (U, S, Vh), A)


def decomposed_dots(A_dot, factors, A, full_matrices=False, vectors=True):
    """U̇, Ṡ, V̇ᴴ, and none of the intermediates. Without `vectors` U and V are intermediates, too."""
    (U, S, Vh, N, norm), xp = factors, namespace(A)
    along = svd_vectors_dot if vectors else svd_vectors_dot.function
    U_dot, Vh_dot = along(A_dot, A, U, xp.cast(S, A), Vh, full_matrices=full_matrices)
    S_dot = xp.zeros_like(S)
    if 0 not in A.shape[-2:]:
        k, zero = xp.shape(S)[-1], zero_values(A, S)
        if vectors and front(zero).may_hold(zero):
            U_dot, Vh_dot = vectors_dot_at_rank(U_dot, Vh_dot, A_dot, A, U, xp.cast(S, A), Vh)
        if xp.is_complex(A):
            U_dot, Vh_dot = _oriented_dots(U_dot, Vh_dot, U, Vh, k)
        S_dot = xp.real(svd_directional(A_dot, A, U[..., :k], xp.cast(S, A), Vh[..., :k, :], N, norm))
    return U_dot, S_dot, Vh_dot, None, None


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
    if surely_apart(-S, xp.zeros_like(S[..., :1])):
        return A_bar
    zero = zero_values(A, S)

    def find():
        k = xp.shape(S)[-1]
        plus = minus = largest = 0
        size, outside = xp.zeros_like(S), zero & ~zero
        for V, V_bar, rows, sign in (
            (U, U_bar, A.shape[-2], 1),
            (mH(Vh), None if Vh_bar is None else mH(Vh_bar), A.shape[-1], -1),
        ):
            if V_bar is None:
                continue
            X, rest = inside_and_outside(xp, V, V_bar, k, rows)
            plus, minus, largest = plus + X, minus + sign * X, largest + largest_entry(xp, X)
            here = xp.max(xp.abs(V_bar), axis=-2)[..., :k]
            size = size + here
            if rest is not None:
                bound = matters_from(2 * xp.rounding(A) * here[..., None, :])
                outside = outside | (xp.max(xp.abs(rest), axis=-2) > bound[..., 0, :])
        noise = bracket_noise(A) * (size[..., None, :] + size[..., :, None])
        K = (plus - mH(plus)) / 2
        cotangents = K, hermitian_part(plus), noise, S_bar, -S
        both = zero[..., None, :] & zero[..., :, None]
        where = anywhere(both & (xp.abs(minus - mH(minus)) > 2 * matters_from(noise)))
        where = where | xp.any(zero & outside, axis=-1)
        if S_bar is None:
            return (where | unknown(*cotangents),)
        divide = Divisors(xp, A, S)
        idle = divide.nothing(2 * K, largest)
        known = xp.where(idle, xp.zeros_like(K), K * xp.cast(divide.of_gaps(), K))
        tolerance = equal_up_to(S_bar, known, noise, -S)
        X, taken, blurred, smooth = left_out(K, idle, noise, known, S_bar, -S, tolerance)
        where = where | unknown(*cotangents, tolerance, smooth)
        driven = zero & (xp.abs(S_bar) > tolerance[..., 0])
        m, n = A.shape[-2:]
        if m is not None and m == n:  # the vectors to a single zero are known, up to their signs
            one = xp.sum(xp.cast(zero, S), axis=-1, keepdims=True) < 1.5
            driven = driven & ~one
        return where | blurred | xp.any(driven, axis=-1), -(U[..., :k] @ X @ Vh[..., :k, :]), taken

    # most matrices need no more than a look at their singular values
    near = xp.concat([nearly_equal(-S), zero], axis=-1)
    A_bar = settled(near, find, A_bar, _UNKNOWN.format(name=name), complete=S_bar is None)
    bars = (xp.zeros_like(V) if bar is None else bar for bar, V in ((U_bar, U), (Vh_bar, Vh)))
    weighted = vanishing(*bars, A, U, S, Vh)
    if weighted is None:
        return A_bar
    return bar_at_rank(A_bar, A, *first_vectors(U, xp.cast(S, A), Vh), xp.cast(weighted, A))


@primitive("(k),(m,p),(q,n),(m,n),(m,p),(k),(q,n),(m,n),(t)->(m,n)")
def svd_values_and_vectors_bar(
    S_bar, U_bar, Vh_bar, A, U, S, Vh, N, norm, *, full_matrices: bool = False, left: bool = True, right: bool = True
):
    """The sum of `svd_values_bar` and `svd_vectors_bar`, at the cost of one of them."""
    xp = namespace(A)
    bars = U_bar if left else None, xp.real(S_bar), Vh_bar if right else None
    return svd_reverse(bars, (U, xp.real(S), Vh), A)


@svd_values_and_vectors_bar.vjp
def _(A_bar_bar, A_bar, S_bar, U_bar, Vh_bar, A, U, S, Vh, N, norm, **options):
    of_S_bar, of_A, _, _, _, of_N, of_norm = svd_values_bar.vjp_rule(
        A_bar_bar, None, S_bar, A, *first_vectors(U, S, Vh), N, norm
    )
    of_U_bar, of_Vh_bar, also_of_A, of_U, _, of_Vh = svd_vectors_bar.vjp_rule(
        A_bar_bar, None, U_bar, Vh_bar, A, U, S, Vh, **options
    )
    return of_S_bar, of_U_bar, of_Vh_bar, lambda: of_A() + also_of_A(), of_U, None, of_Vh, of_N, of_norm


@svd_values_and_vectors_bar.jvp
def _(A_bar, S_bar, U_bar, Vh_bar, A, U, S, Vh, N, norm, **options):
    of_values = svd_values_bar.jvp_rule(None, S_bar, A, *first_vectors(U, S, Vh), N, norm)
    of_vectors = svd_vectors_bar.jvp_rule(None, U_bar, Vh_bar, A, U, S, Vh, **options)

    def dot(S_bar_dot, U_bar_dot, Vh_bar_dot, A_dot, U_dot, S_dot, Vh_dot, *_):
        return of_values(S_bar_dot, A_dot) + of_vectors(U_bar_dot, Vh_bar_dot, A_dot, U_dot, S_dot, Vh_dot)

    return dot


@svd.samples
def _(case):
    yield case(distinct(case, 4, 3), full_matrices=True)
    yield case(distinct(case, 3, 5), full_matrices=False)


def distinct(case, m, n):
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
        factor = exact_factor(mp, U[:, j], _PART)
        U[:, j] = U[:, j] * factor
        if j < k:
            Vh[j] = Vh[j] / factor
    for j in range(k, len(Vh)):
        Vh[j] = Vh[j] / exact_factor(mp, mp.conj(Vh[j]), _PART)
    return U, S, Vh


# ---------------------------------------------------------------------------------------------------------------------
# The singular values alone


@primitive("(m,n)->(k),(m,k),(k,n),(m,n),(t)", intermediates=4)
def svdvals(A):
    """The singular values of a matrix, in descending order.

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
    too, and second derivatives as `overbar.eigvalsh` has them: right, but for NaN of equal ones in modes that begin
    with a forward pass and meet directions without a common basis. (Where singular values cross, each by itself has no
    derivative: this is one for the vectors that the kernel found.) At σ = 0 a function that is even in σ, or does not
    depend on the zero ones, is smooth, and its second derivatives are right: Σ σ² or the largest σ of a
    matrix of low rank. Any other, as the sum of all, has a subgradient, and its second derivative is NaN along a
    direction that moves the zero ones. Their own directional derivatives are singular values again, and not negative. U
    and V are intermediates.

    Source: Giles (2008), section 3.2. Cost: one product; six, and a decomposition, for a second derivative, and one
    more where some are zero.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.svdvals(np.array([[0.0, -2.0], [1.0, 0.0]]))
    array([2., 1.])
    """
    U, S, Vh, *hidden = decomposed(A, False)
    return S, U, Vh, *hidden


@svdvals.vjp
def _(bars, outputs, A):
    (S_bar, U_bar, Vh_bar, *hidden_bars), (S, U, Vh, *hidden) = bars, outputs
    bars, factors = (U_bar, S_bar, Vh_bar, *hidden_bars), (U, S, Vh, *hidden)
    return (lambda: decomposed_bar("svdvals", bars, factors, A, False),)


@svdvals.jvp
def _(outputs, A):
    S, U, Vh, *hidden = outputs

    def dots(A_dot):
        U_dot, S_dot, Vh_dot, *none = decomposed_dots(A_dot, (U, S, Vh, *hidden), A, vectors=False)
        return S_dot, U_dot, Vh_dot, *none

    return (dots,)


@svdvals.samples
def _(case):
    yield case(distinct(case, 4, 3))


@svdvals.reference
def _(mp, A):
    return mp.svd(A)[1]
