"""Eigenvalues and eigenvectors of symmetric (Hermitian) matrices.

May import `overbar._namespace`, `overbar._primitive`, `rules.phases`, `rules.decompositions`, `rules.equal_values`,
`rules.eigenvectors` and `rules.two_by_two`. The rules of eigenvalues are here, too: their derivatives decompose a
matrix again.
"""

import functools

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._decompositions import fixed_eigenpairs
from overbar.rules._eigenvectors import (
    Pairs,
    column_sizes,
    equal_up_to,
    inner_bar,
    left_out,
    unknown,
    vectors_bar,
    vectors_dot,
)
from overbar.rules._equal_values import (
    anywhere,
    blocks,
    column,
    crossing,
    differences,
    differences_along,
    from_eigen,
    has_rows,
    hermitian_part,
    inverse_gaps,
    is_told,
    is_weight,
    largest_of,
    nan_where,
    nearly_equal,
    norm_of,
    packed,
    packed_matrix,
    row,
    settled,
    smooth_blocks,
    surely_apart,
    together,
    unpacked,
    untold,
)
from overbar.rules._phases import exact_factor, turned_bar, turned_dot
from overbar.rules._two_by_two import are_of_two, eigh_of_two


@primitive("(n,n)->(n),(n,n),(n,n),(t)", intermediates=2, hermitian=("A",))
def eigh(A, *, UPLO: str = "L"):
    """The eigenvalues and eigenvectors of a symmetric (Hermitian) matrix: A V = V diag(w), Vᴴ V = I.

    Parameters
    ----------
    A
        Symmetric or Hermitian. Only one triangle is read; the bar comes back Hermitian, as the derivative with respect
        to a matrix that stays so.
    UPLO : str
        Which triangle, "L" (the lower one) or "U".

    Returns
    -------
    w : array (..., n)
        The eigenvalues, real, in ascending order.
    V : array (..., n, n)
        The eigenvectors, as columns, of norm 1. Their free factor is chosen: of the components of a column that are
        larger than nine tenths of the largest, the first is positive.

    Raises
    ------
    LinAlgError of the array's library
        The triangle that is read has an entry that is not finite. Where numbers cannot be looked at, on a device and in
        what is compiled, w and V are NaN, or the library says that it did not converge.

    Notes
    -----
    Giles (2008), section 3.1. Put V̇ = V K into the derivative of A V = V diag(w), and multiply by Vᴴ:

        Vᴴ Ȧ V + diag(w) K = K diag(w) + diag(ẇ)    ⇒    ẇ = diag(C),    K = F ∘ C,    C = Vᴴ Ȧ V,

    with Fᵢⱼ = 1/(wⱼ − wᵢ) off the diagonal. VᴴV = I makes K antihermitian. Of its diagonal, which the equation leaves
    free, the real part is therefore 0, and the imaginary one keeps the chosen component of each vector real: V̇ₖ gets
    iθₖ Vₖ with θₖ = −Im(V̇ₚₖ)/Vₚₖ. In ⟨w̄, ẇ⟩ + ⟨V̄, V̇⟩ moved off Ȧ, this takes i Im(Vₖᴴ V̄ₖ)/Vₚₖ from V̄ₚₖ, and then

        Ā = V (diag(w̄) + F ∘ (Y − Yᴴ)/2) Vᴴ,    Y = Vᴴ V̄.

    Where eigenvalues are equal (up to 25 ε of the largest), vectors have no derivative: any orthonormal basis of the
    space will do. F is 0 there. What a loss does with them has a derivative in two cases, which this rule knows:

    - It is a symmetric function of the eigenvalues alone, or one of w that is, as tr(V f(w) Vᴴ). Then w̄ is a constant
      for equal ones.
    - It does not change when vectors of equal eigenvalues are turned among each other, as the projection V₁V₁ᴴ on an
      invariant subspace. Then the bracket Y − Yᴴ vanishes there.

    It may be the sum of both. Else Ā is NaN, and a RuntimeWarning says so (where numbers can be looked at: not on a
    device, and not while a compiler or a transform of the framework looks on): where the bracket does not vanish, where
    vectors have a cotangent and w̄ differs by more than √ε of the largest entry of Vᴴ Ā V, and where both are as they
    would be for Σₖ f(wₖ) vₖᴴ W vₖ with equal vₖᴴ W vₖ. V f(w) Vᴴ with weights has a derivative that depends on f′,
    which is not seen here: take `spectral_function`. Unless these eigenvalues differ as numbers, and f distinguishes
    them: as log w does of those that are small beside the largest, in a covariance of features of very different sizes.
    Then the bracket over the gap is a slope of f, and no larger than w̄ by much (3 times the largest), and Ā has it; a
    second derivative is NaN. A single eigenvalue gets an element of the generalised gradient, as in `eigvalsh`.

    For nearly equal eigenvalues the formula has a relative error of ε over the gap, and where hardly a digit is right
    the result is NaN, as above. There is no loss of digits for the two kinds of loss above: a bracket that is
    rounding counts as zero, up to gaps of ε^⅛. Second derivatives of these are right, too, in reverse over reverse mode
    at any gap; `vectors_bar` has the derivation, and `eigvalsh` that for w. (It follows from it that for other losses a
    bracket that vanishes by chance, at a gap of less than ε^⅓, is taken for one that always does.) In forward mode V̇
    has gaps in its denominators, as it should have, and what a loss makes of it is rounded. No rule can find that
    again: in forward over reverse and reverse over forward mode ε over the gap is lost, relative to the eigenvalues,
    and in forward over forward mode ε over its square. (So it is in reverse over forward mode where the bar of two
    vectors happens to be small beside the terms that it is the sum of: of a whole Jacobian, jacrev(jacfwd(f)), some
    entries may be, at gaps of less than 1e-6.) Where that leaves hardly a digit, at gaps of less than about
    5e-7 (1e-2 in single precision), a second derivative of vectors in that mode is NaN, with a warning. At small gaps
    take reverse over reverse mode. V f(w) Vᴴ with weights, of which brackets are as small as the gap and no rounding,
    loses ε over the square of the gap in every mode, and nothing tells: take `spectral_function`.

    At equal eigenvalues V̇ is that of a basis which is not turned within the space (`vectors_dot` says which, and how it
    is differentiated), and ẇ has the directional derivatives: both are right for the losses above, to second order in
    every mode, and not to be combined to V f(w) Vᴴ. (Along two directions without a common basis, forward over forward
    mode is NaN for equal eigenvalues, and so is what reverse mode makes of a sum of derivatives along both: `eigvalsh`
    has the reason. A Hessian by jacrev(jacrev(f)), jacfwd(jacrev(f)) or jacrev(jacfwd(f)) is right.)

    Cost: two products for w̄ alone, three with V̄, where the function costs ten; nine more for a second derivative.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> w, V = overbar.eigh(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> w
    array([1., 3.])
    >>> np.round(V, 4)
    array([[ 0.7071,  0.7071],
           [-0.7071,  0.7071]])
    """
    return decomposed("eigh", A, UPLO)


def decomposed(name, A, UPLO="L"):
    """Eigenvalues, vectors, and the intermediates by which second derivatives tell of a basis, see `eigvalsh`."""
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f'{name}: UPLO is {UPLO!r}. Choose "L" for the lower triangle or "U" for the upper one.')
    A = A if UPLO in "Ll" else mH(A)
    if are_of_two(A):
        return all_outputs(*eigh_of_two(A))
    return all_outputs(*fixed_eigenpairs(A))


def all_outputs(w, V):
    """Those of `eigh` and `eigvalsh`, intermediates too, from eigenvalues and vectors."""
    return w, V, *untold(V, w)


@eigh.vjp
def _(bars, outputs, A, *, UPLO):
    return (lambda: decomposed_bar("eigh", bars, outputs, A),)


@eigh.jvp
def _(outputs, A, *, UPLO):
    return (lambda A_dot: decomposed_dots(A_dot, outputs, A),)


def decomposed_bar(name, bars, outputs, A):
    """Ā of what `decomposed` returned."""
    w_bar, V_bar, *hidden = bars
    V_bar = None if V_bar is None else turned_bar(outputs[1], V_bar)
    return unturned_bar(name, (w_bar, V_bar, *hidden), outputs, A)


def unturned_bar(name, bars, outputs, A):
    """Ā, Hermitian, of eigenvalues and of vectors whose free factor nobody chose."""
    (w_bar, V_bar, N_bar, _), (w, V, N, norm), xp = bars, outputs, namespace(A)
    if V_bar is None:
        return xp.zeros_like(V) if w_bar is None else values_bar(bars, outputs, A)
    if w_bar is not None and N_bar is None:
        found = values_and_vectors_bar(xp.cast(w_bar, V), V_bar, A, xp.cast(w, V), V, N, norm)
    else:
        found = vectors_bar(V_bar, A, xp.cast(w, V), V)
        if w_bar is not None:
            found = found + values_bar(bars, outputs, A)
    return _nan_where_unknown(name, found, w_bar if N_bar is None else None, V_bar, A, w, V)


def decomposed_dots(A_dot, outputs, A, vectors=True):
    """ẇ and V̇, and none of the intermediates. Without `vectors` V is an intermediate, too."""
    w_dot, V_dot, *hidden = unturned_dots(A_dot, outputs, A, vectors)
    return w_dot, turned_dot(outputs[1], V_dot), *hidden


def unturned_dots(A_dot, outputs, A, vectors=True):
    """The same for vectors whose free factor nobody chose."""
    (w, V, N, norm), xp = outputs, namespace(outputs[1])
    w_dot = directional(A_dot, A, xp.cast(w, V), V, N, norm)
    # a second derivative of eigenvalues does not look at V̇
    along = vectors_dot if vectors else vectors_dot.function
    return xp.real(w_dot), along(hermitian_part(A_dot), A, xp.cast(w, V), V), None, None


@eigh.also
def _(*args, **kwargs):
    """scipy.linalg.eigh(A, lower=); what is another function here is named."""
    if "b" in kwargs or (len(args) > 1 and not isinstance(args[1], str)):
        raise TypeError("eigh takes one matrix. The generalised problem A V = B V diag(w) is eigh_generalized(A, B).")
    if "eigvals_only" in kwargs:
        raise TypeError("eigh has no argument eigvals_only. The eigenvalues alone are eigvalsh(A).")
    return triangle_read(args, kwargs)


def triangle_read(args, kwargs):
    """SciPy's lower=, which says which triangle is read, as UPLO."""
    if "lower" in kwargs:
        kwargs = {**kwargs, "UPLO": "L" if kwargs["lower"] else "U"}
        del kwargs["lower"]
    return args, kwargs


@eigh.samples
def _(case):
    yield case(spread(case, 4))


def spread(case, n):
    """A Hermitian matrix with gaps of about 3 between its eigenvalues: finite differences then neither curve much nor
    come to where the choice of a vector's positive component jumps."""
    Q = case._unitary(n)
    n = Q.shape[-1]  # larger where costs are measured
    w = 3 * (np.arange(1, n + 1) - n / 2 + case.rng.uniform(-0.3, 0.3, (*case.batch, n)))
    A = (Q * w[..., None, :]) @ np.conj(np.swapaxes(Q, -1, -2))
    return case._cast((A + np.conj(np.swapaxes(A, -1, -2))) / 2)


def exact_eigh(mp, A):
    """Eigenvalues and eigenvectors by mpmath, with the free factor chosen as above."""
    n = len(A)
    H = mp.tril(A, 0) + mp.mH(mp.tril(A, -1))
    matrix = mp.context.matrix(H.tolist())
    w, Q = mp.context.eighe(matrix) if any(isinstance(x, mp.context.mpc) for x in A.flat) else mp.context.eigsy(matrix)
    order = sorted(range(n), key=lambda k: w[k].real)
    V = mp.zeros((n, n))
    for place, k in enumerate(order):
        column = np.array([Q[i, k] for i in range(n)], dtype=object)
        V[:, place] = column * exact_factor(mp, column)
    return np.array([w[k].real for k in order], dtype=object), V


@eigh.reference
def _(mp, A, *, UPLO):
    return exact_eigh(mp, A)


def values_bar(bars, outputs, A):
    """V diag(w̄) Vᴴ, or that in the basis of which the intermediates' cotangents tell."""
    (w_bar, _, N_bar, norm_bar), (w, V, *hidden), xp = bars, outputs, namespace(A)
    return bar_in_told_basis(spectral_bar, Eigenvalues, w_bar, (N_bar, norm_bar), A, (xp.cast(w, V), V), hidden)


def bar_in_told_basis(bar, moving, c, told, A, factors, hidden):
    """Ā of values with the bar c, by the primitive `bar`, in the basis of which the intermediates' cotangents tell."""
    (N_bar, norm_bar), xp = told, namespace(A)
    if N_bar is None or 0 in A.shape[-2:]:
        return bar(xp.cast(c, A), A, *factors, *hidden)
    at = moving(N_bar, *factors)
    B, lost, change = _told_basis(at, norm_bar, c)
    found = bar(xp.cast(c, A), A, *at.turned_factors(B), *hidden) + at.outer(change)
    return nan_where(lost[..., None, None], found)


def _told_basis(at, norm_bar, w_bar):
    """The basis B of the blocks of which the cotangents of the intermediates tell, for which matrices of a batch it is
    lost in a sum of several, and what is more exact than B diag(w̄) Bᴴ less that."""
    xp, w = at.xp, at.ascending
    if norm_bar is None:
        block = blocks(w)
        C = at.within(block)
        return _common_basis(C, block), xp.any(xp.isnan(w), axis=-1), xp.zeros_like(C)
    block, total, mixed = unpacked(xp.real(norm_bar), w)
    C = at.within(block)
    size = at.size(C)
    several = xp.any(xp.equal(block[..., 1:], block[..., :-1]), axis=-1)[..., None] | at.has_zero
    lost = mixed | (several & (size < total * (1 - 1e4 * xp.eps(w))))
    B, lost = _common_basis(C, block), lost | ~xp.isfinite(size)
    return B, lost[..., 0], _of_separable(C, B, block, w, w_bar)


def _of_separable(C, B, block, w, w_bar):
    """With u = diag(Bᴴ C B) and a function Σ g(wₖ), w̄ᵢ is g″(wᵢ) uᵢ, and to have these separately is more exact: it is
    (g″(wᵢ) + g″(wⱼ))/2 Cᵢⱼ that B diag(w̄) Bᴴ stands for, but for the square of the gap. So it is taken in blocks where
    all w̄ᵢ/uᵢ are equal but for something as small as the gaps."""
    xp = namespace(C)
    same = xp.cast(xp.equal(row(block), column(block)), w)
    u = xp.real(xp.sum(xp.conj(B) * (C @ B), axis=-2))
    size = xp.max(same * row(xp.abs(u)), axis=-1) if has_rows(C) else xp.abs(u)
    clear = xp.abs(u) > 1e-3 * size
    ratio = xp.where(clear, w_bar / xp.where(clear, u, xp.ones_like(u)), xp.zeros_like(u))
    mean = xp.sum(same * row(ratio), axis=-1) / xp.sum(same, axis=-1)
    width = xp.sum(same * xp.abs(row(w) - column(w)), axis=-1)
    bound = xp.abs(mean) * (1e3 * width + 1e4 * xp.eps(w) * largest_of(w))
    fine = clear & (xp.abs(ratio - mean) * largest_of(w) <= bound)
    close = xp.cast(~fine | xp.equal(width, 0), w)
    taken = xp.equal(xp.sum(same * row(close), axis=-1), 0)
    halves = xp.cast(row(ratio) + column(ratio), C) / 2
    change = halves * C - (B * row(xp.cast(w_bar, C))) @ mH(B)
    return xp.where((same > 0) & taken[..., None], change, xp.zeros_like(change))


def _common_basis(C, block):
    """The unitary matrix that diagonalises the blocks of Hermitian C, which is zero elsewhere."""
    xp = namespace(C)
    size = norm_of(C)[..., None]
    known = xp.isfinite(size)  # the libraries' decompositions raise for a NaN, for a whole batch
    C = xp.where(known, C / xp.cast(xp.where(known & (size > 0), size, xp.ones_like(size)), C), xp.zeros_like(C))
    # blocks apart by more than their eigenvalues, which are at most 1 in modulus: none is mixed with another
    shift = xp.cast(row(3 * block), C) * xp.eye_like(C)
    return together(block, C) * eigh(C + shift)[1]


class Eigenvalues:
    """How the eigenvalues of A = V diag(w) Vᴴ move along E, in the words that `register_rules_of_values` needs."""

    def __init__(self, E, w, V):
        self.xp, self.E, self.w, self.V, self.factors = namespace(V), hermitian_part(E), w, V, (w, V)
        self.ascending = self.xp.real(w)

    # a zero is an eigenvalue like others
    has_zero = False

    @functools.cached_property
    def C(self):
        """E in the basis of the vectors."""
        return mH(self.V) @ self.E @ self.V

    def parted(self, block):
        """The blocks that share a basis."""
        return block

    def within(self, block):
        """C in the blocks, 0 elsewhere."""
        return together(block, self.C) * self.C

    def size(self, C):
        """The norm of what moves equal values, C being what `within` found."""
        return norm_of(C)

    def told(self, C):
        """What tells of the basis."""
        return self.outer(C)

    def turned_factors(self, B):
        """The factors with the basis that B makes of each block."""
        return self.w, self.V @ B

    def diagonal(self, C, B):
        """How the values move in this basis, diag(Bᴴ C B)."""
        return self.xp.sum(self.xp.conj(B) * (C @ B), axis=-2)

    def turned(self, B):
        """The same for these."""
        found = Eigenvalues(self.E, *self.turned_factors(B))
        found.C = mH(B) @ self.C @ B
        return found

    def outer(self, M):
        return self.V @ M @ mH(self.V)

    def scaled(self, c):
        """V diag(c) Vᴴ."""
        return (self.V * row(c)) @ mH(self.V)

    def along(self, c, block, c_dot=None):
        """The derivative of V diag(c) Vᴴ, where c does not move, or by c_dot."""
        if c_dot is None:
            return self.outer(differences(c, self.w, block) * self.C)
        D = differences_along(c, c_dot, self.xp.diagonal(self.C), self.w, block)
        return self.outer(D * self.C + row(c_dot) * self.xp.eye_like(self.C))

    def straight(self, E):
        """ẇ along another matrix."""
        return self.xp.sum(self.xp.conj(self.V) * (hermitian_part(E) @ self.V), axis=-2)

    def bent(self, other):
        """The second derivative of w along E and what `other` moves along."""
        C, F = self.xp.conj(self.C), self.xp.cast(inverse_gaps(self.ascending), self.V)
        return -2 * self.xp.real(self.xp.sum(C * F * other.C, axis=-1))

    def crossed_by(self, other, block):
        """Which values have no second derivative along both."""
        return crossing(other.C, block, other.E)


class _Basis:
    """The basis B that diagonalises C in each block, computed where it is wanted: another decomposition. It is told
    with the weight of `by`, the cotangents of values along E, if it is there for these."""

    def __init__(self, at, block, by=None):
        self.at, self.block, self.by = at, at.parted(block), by
        block = self.block
        self.C = at.within(block)
        self.B = once(lambda: _common_basis(self.C, block))
        self.turned = once(lambda: at.turned(self.B()))

    def values(self):
        return self.at.diagonal(self.C, self.B())

    def hidden_bars(self):
        """Those of N and norm, which tell of the basis."""
        at = self.at
        return (
            lambda: packed_matrix(at.told(self.C), self.by),
            lambda: packed(at.size(self.C), self.block, at.E, self.by),
        )


def values_along(at):
    """How the values move, real."""
    return at.xp.cast(at.xp.real(_Basis(at, blocks(at.ascending)).values()), at.C)


def register_rules_of_values(bar, directional, moving):
    """Give two primitives, each other's adjoints, their rules: ``bar(c, A, *factors, N, norm)``, which is Ā of values
    that have the bar c, V diag(c) Vᴴ for eigenvalues, and ``directional(E, A, *factors, N, norm)``, how these move
    along E. ``moving(E, *factors)`` knows how, as `Eigenvalues`.

    Functions of c or E, and of A: the factors depend on A and get no bars. N and norm are the intermediates by which
    reverse over reverse mode tells of the basis.
    """

    @bar.vjp
    def _(E, A_bar, c, A, *rest):
        at = moving(E, *rest[:-2])
        basis = _Basis(at, smooth_blocks(namespace(A).real(c), at.ascending))
        none = [None] * len(at.factors)
        return basis.values, lambda: at.along(c, basis.block), *none, *basis.hidden_bars()

    @bar.jvp
    def _(A_bar, c, A, *rest):
        def dot(c_dot, A_dot, *_):
            at = moving(A_dot, *rest[:-2])
            basis = _Basis(at, blocks(at.ascending))
            return basis.turned().along(c, basis.block, c_dot)

        return dot

    @directional.vjp
    def _(u, values_dot, E, A, *rest):
        at = moving(E, *rest[:-2])
        basis = _Basis(at, blocks(at.ascending), u)
        none = [None] * len(at.factors)
        return (
            lambda: basis.turned().scaled(u),
            lambda: basis.turned().along(u, basis.block),
            *none,
            *basis.hidden_bars(),
        )

    @directional.jvp
    def _(values_dot, E, A, *rest):
        def dot(E_dot, A_dot, *_):
            at, xp = moving(E, *rest[:-2]), namespace(A)
            basis = _Basis(at, blocks(at.ascending))
            turned = basis.turned()
            other = moving(A_dot, *turned.factors)
            found = turned.straight(E_dot) + xp.cast(turned.bent(other), A)
            return nan_where(turned.crossed_by(other, basis.block), found)

        return dot


@primitive("(n),(n,n),(n),(n,n),(n,n),(t)->(n,n)")
def spectral_bar(w_bar, A, w, V, N, norm):
    """Ā of `eigvalsh`, V diag(w̄) Vᴴ, with rules of its own for second derivatives."""
    return from_eigen(w_bar, V)


@primitive("(n,n),(n,n),(n),(n,n),(n,n),(t)->(n)")
def directional(A_dot, A, w, V, N, norm):
    """ẇ of `eigvalsh`, diag(Bᴴ Vᴴ Ȧ V B): the adjoint of `spectral_bar`."""
    return values_along(Eigenvalues(A_dot, w, V))


register_rules_of_values(spectral_bar, directional, Eigenvalues)


@primitive("(n),(n,n),(n,n),(n),(n,n),(n,n),(t)->(n,n)", hermitian=("A",))
def values_and_vectors_bar(w_bar, V_bar, A, w, V, N, norm):
    """The sum of `spectral_bar` and `vectors_bar`, at the cost of one of them."""
    return hermitian_part(V @ inner_bar(V_bar, w, V, w_bar) @ mH(V))


@values_and_vectors_bar.vjp
def _(A_bar_bar, A_bar, w_bar, V_bar, A, w, V, N, norm):
    of_w_bar, of_A, _, _, of_N, of_norm = spectral_bar.vjp_rule(A_bar_bar, None, w_bar, A, w, V, N, norm)
    of_V_bar, also_of_A, _, of_V = vectors_bar.vjp_rule(A_bar_bar, None, V_bar, A, w, V)
    return of_w_bar, of_V_bar, lambda: of_A() + also_of_A(), None, of_V, of_N, of_norm


@values_and_vectors_bar.jvp
def _(A_bar, w_bar, V_bar, A, w, V, N, norm):
    of_values = spectral_bar.jvp_rule(None, w_bar, A, w, V, N, norm)
    of_vectors = vectors_bar.jvp_rule(None, V_bar, A, w, V)

    def dot(w_bar_dot, V_bar_dot, A_dot, w_dot, V_dot, *_):
        return of_values(w_bar_dot, A_dot) + of_vectors(V_bar_dot, A_dot, w_dot, V_dot)

    return dot


_UNKNOWN = (
    "{name}: argument A has equal eigenvalues, and this loss depends on which eigenvectors stand for them, or on more "
    "than eigenvalues and vectors tell: its derivative is NaN there. For V diag(f(w)) Vᴴ take spectral_function(A, "
    "f=..., df=...), or sqrtmh, logmh, expmh, powmh, which need no eigenvectors for their derivatives."
)


def _nan_where_unknown(name, A_bar, w_bar, V_bar, A, w, V):
    """Ā, and NaN for a matrix with equal eigenvalues whose Ā the cotangents do not tell. `w_bar` is None where none
    came, and where that of a second derivative came, which is in a basis of its own."""
    xp = namespace(V)
    if surely_apart(w):
        return A_bar

    def find():
        pairs = Pairs(V_bar, w, V)
        cotangents = pairs.bracket, hermitian_part(pairs.Y), pairs.noise, w_bar, w
        if w_bar is None:
            return (unknown(*cotangents),)
        tolerance = equal_up_to(w_bar, pairs.X, pairs.noise, w)
        X, taken, blurred, smooth = left_out(pairs.bracket, pairs.idle, pairs.noise, pairs.X, w_bar, w, tolerance)
        return unknown(*cotangents, tolerance, smooth) | blurred, V @ X @ mH(V), taken

    # most matrices need no more than a look at their eigenvalues
    A_bar = settled(nearly_equal(w), find, A_bar, _UNKNOWN.format(name=name), complete=w_bar is None)
    where = _vanishing(V_bar, w, V)
    return A_bar if where is None else bar_within_blocks(A_bar, A, xp.cast(w, V), V, xp.cast(where, V))


def _vanishing(V_bar, w, V):
    """For which matrices the vectors of equal eigenvalues have cotangents with a weight f(w) that is zero there, beside
    those of other vectors, as ones and zeros (..., 1); None where it is seen to hold nowhere. See `vanishing` in
    `overbar.rules._singular_values`."""
    xp, block = namespace(V), blocks(w)
    same = xp.equal(row(block), column(block))
    others = same & xp.equal(xp.real(xp.eye_like(V)), 0)

    def found():
        size, X = column_sizes(V_bar), xp.abs(mH(V) @ V_bar)
        # by chance of the basis a vector may have a small one, but not all of its block
        of_block = xp.max(xp.where(same, column(size) + 0 * X, 0 * X), axis=-2)
        told = others & is_told(X, row(size), xp.rounding(V))
        there = anywhere(told & row(is_weight(of_block, largest_of(size), xp.rounding(V))))[..., None]
        return (xp.where(there, 0 * w[..., :1] + 1, 0 * w[..., :1]),)

    found = front(others).only_if(others, found, lambda: (0 * w[..., :1],))
    return None if found is None else found[0]


@primitive("(n,n),(n,n),(n),(n,n),(t)->(n,n)", hermitian=("A",))
def bar_within_blocks(A_bar, A, w, V, where):
    """Ā, whose derivative is NaN along what turns vectors of equal eigenvalues, for matrices where there is a one: the
    weights f(w) of vectors that are `_vanishing` move then with vectors that the kernel did not find."""
    return A_bar


def _nan_where_turned(E, w, V, where, found):
    """What was found, and NaN where E turns vectors of equal eigenvalues and `where`, (..., 1), has a one."""
    xp = namespace(V)
    C, block = mH(V) @ hermitian_part(E) @ V, blocks(xp.real(w))
    same, diagonal = xp.equal(row(block), column(block)), xp.real(xp.diagonal(C))
    off = xp.abs(C - xp.cast(row(diagonal), C) * xp.eye_like(C)) + xp.abs(row(diagonal) - column(diagonal))
    turned = anywhere(same & (off > 1e3 * xp.rounding(V) * norm_of(E)[..., None]))
    return nan_where((turned & (xp.real(where)[..., 0] > 0))[..., None, None], found)


@bar_within_blocks.vjp
def _(C_bar, A_bar, _, A, w, V, where):
    zero = namespace(V).zeros_like(V)
    return lambda: C_bar, lambda: _nan_where_turned(C_bar, w, V, where, zero + 0 * C_bar), None, None, None


@bar_within_blocks.jvp
def _(A_bar, _, A, w, V, where):
    return lambda dot: dot, lambda A_dot: _nan_where_turned(A_dot, w, V, where, 0 * A_dot), None, None, None
