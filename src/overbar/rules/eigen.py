"""Eigenvalues and eigenvectors of symmetric (Hermitian) matrices.

May import `overbar.namespace`, `overbar.primitive` and `rules.cholesky`. Eigenvectors are known up to a factor of
modulus 1 only. To have a derivative for every loss, and the same result in every library, the vectors here have that
factor fixed: of the components larger than nine tenths of the largest, the first is positive. (Nine tenths, so that
vectors with several largest components, which are common, are not decided by rounding.)
"""

import numpy as np

from overbar.namespace import mH, namespace
from overbar.primitive import once, primitive
from overbar.rules.cholesky import cholesky

# Of the components of an eigenvector, the first whose modulus is at least this part of the largest becomes positive.
NEARLY_LARGEST = 0.9


def _row(x):
    return x[..., None, :]


def _column(x):
    return x[..., :, None]


def hermitian_part(A):
    return (A + mH(A)) / 2


def from_eigen(w, V):
    """V diag(w) Vᴴ, Hermitian to the last bit; w is real, or in the dtype of V."""
    return hermitian_part((V * _row(namespace(V).cast(w, V))) @ mH(V))


def pivots(V):
    """Ones where each column of V has the component that is positive, zeros elsewhere."""
    xp = namespace(V)
    size = xp.abs(V)
    large = xp.cast(size >= NEARLY_LARGEST * xp.max(size, axis=-2, keepdims=True), size) if _rows(V) else size
    return large * xp.cast(xp.cumulative_sum(large, axis=-2) == 1, size)


def _rows(V):
    return V.shape[-2] != 0  # no library has a maximum of nothing


def fixed(V):
    """V with the free factor of each column chosen."""
    return V * free_factors(V)


def free_factors(V):
    """The factor of modulus 1 for each column of V (..., n, n), as (..., 1, n), that makes its pivot positive."""
    xp = namespace(V)
    pivot = xp.sum(V * xp.cast(pivots(V), V), axis=-2, keepdims=True)
    size = xp.abs(pivot)
    return xp.conj(pivot / xp.cast(xp.where(size > 0, size, xp.ones_like(size)), V))


def turned_dot(V, V_dot):
    """The tangent of V from one for another choice of its free factors: V̇ₖ + iθₖ Vₖ such that the pivot stays real."""
    xp = namespace(V)
    if not xp.is_complex(V):
        return V_dot
    hot = pivots(V)
    moved = _at(hot, V_dot)
    return V_dot - V * _row((moved - xp.conj(moved)) / (2 * _at(hot, V)))  # no number i, of which torch makes a tensor


def turned_bar(V, V_bar):
    """The adjoint of `turned_dot`: V̄ₖ − i Im(Vₖᴴ V̄ₖ)/Vₚₖ in the component p of the pivot."""
    xp = namespace(V)
    if not xp.is_complex(V):
        return V_bar
    hot = pivots(V)
    along = xp.sum(xp.conj(V) * V_bar, axis=-2)
    return V_bar - xp.cast(hot, V) * _row((along - xp.conj(along)) / (2 * _at(hot, V)))


def _at(hot, V):
    return namespace(V).sum(V * namespace(V).cast(hot, V), axis=-2)


def rounding(w):
    """How far apart equal eigenvalues may come out: 10 n ε times the largest of them."""
    xp, size = namespace(w), namespace(w).abs(w)
    if w.shape[-1] == 0:
        return xp.sum(size, axis=-1, keepdims=True)  # no library has a maximum of nothing
    n = xp.shape(w)[-1] if w.shape[-1] is not None else xp.sum(xp.ones_like(size), axis=-1, keepdims=True)
    return 10 * xp.eps(size) * n * xp.max(size, axis=-1, keepdims=True)


def inverse_gaps(w):
    """Fᵢⱼ = 1/(wⱼ − wᵢ), and 0 where the two are equal up to rounding."""
    xp = namespace(w)
    gap = _row(w) - _column(w)
    apart = xp.abs(gap) > rounding(w)[..., None]
    return xp.where(apart, 1 / xp.where(apart, gap, xp.ones_like(gap)), xp.zeros_like(gap))


@primitive("(n,n)->(n),(n,n),(n,n),(n)", hidden=2, hermitian=("A",))
def eigh(A, *, UPLO: str = "L"):
    """The eigenvalues and eigenvectors of a symmetric (Hermitian) matrix: A V = V diag(w), Vᴴ V = I.

    Parameters
    ----------
    A : array (..., n, n)
        Symmetric or Hermitian; float32, float64, complex64 or complex128. Only one triangle is read; the bar comes
        back Hermitian, as the derivative with respect to a matrix that stays so.
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
        A is not square or its dtype is not floating point; in NumPy and in eager TensorFlow also where A has an entry
        that is not finite. (PyTorch raises or returns NaN. XLA returns NaN.)

    Notes
    -----
    Giles (2008), section 3.1. Put V̇ = V K into the derivative of A V = V diag(w), and multiply by Vᴴ:

        Vᴴ Ȧ V + diag(w) K = K diag(w) + diag(ẇ)    ⇒    ẇ = diag(C),    K = F ∘ C,    C = Vᴴ Ȧ V,

    with Fᵢⱼ = 1/(wⱼ − wᵢ) off the diagonal. VᴴV = I makes K antihermitian. Of its diagonal, which the equation leaves
    free, the real part is therefore 0, and the imaginary one keeps the chosen component of each vector real: V̇ₖ gets
    iθₖ Vₖ with θₖ = −Im(V̇ₚₖ)/Vₚₖ. In ⟨w̄, ẇ⟩ + ⟨V̄, V̇⟩ moved off Ȧ, this takes i Im(Vₖᴴ V̄ₖ)/Vₚₖ from V̄ₚₖ, and then

        Ā = V (diag(w̄) + F ∘ (Y − Yᴴ)/2) Vᴴ,    Y = Vᴴ V̄.

    Where eigenvalues are equal (up to 10 n ε of the largest), vectors have no derivative: any orthonormal basis of the
    space will do. F is 0 there. What a loss does with them has a derivative in two cases, which this rule knows:

    - It is a symmetric function of the eigenvalues alone, or one of w that is, as tr(V f(w) Vᴴ). Then w̄ is a constant
      for equal ones.
    - It does not change when vectors of equal eigenvalues are turned among each other, as the projection V₁V₁ᴴ on an
      invariant subspace. Then the bracket Y − Yᴴ vanishes there.

    It may be the sum of both. Else Ā is NaN, and a RuntimeWarning says so (where numbers can be looked at: not on a
    device, and not while a compiler or a transform of the framework looks on): where the bracket does not vanish, where
    vectors have a cotangent and w̄ differs by more than √ε of its largest entry, and where both are as they would be
    for Σₖ f(wₖ) vₖᴴ W vₖ with equal vₖᴴ W vₖ. V f(w) Vᴴ with weights has a derivative that depends on f′, which is not
    seen here: take `spectral_function`. A single eigenvalue gets an element of the generalised gradient, as in
    `eigvalsh`.

    For nearly equal eigenvalues the formula has a relative error of ε over the gap, and where not even two digits are
    right the result is NaN, as above. There is no loss of digits for the two kinds of loss above: a bracket that is
    rounding counts as zero, up to gaps of ε^⅛. Second derivatives of these are right, too, in reverse over reverse mode
    at any gap; `vectors_bar` has the derivation, and `eigvalsh` that for w. (It follows from it that for other losses a
    bracket that vanishes by chance, at a gap of less than ε^⅓, is taken for one that always does.) In forward mode V̇
    has gaps in its denominators, as it should have. So what is made of it loses ε over the gap, and forward over
    reverse mode does. At equal eigenvalues V̇ is that of a basis which is not turned within the space, and ẇ has the
    directional derivatives: both are right for the losses above, and not to be combined to V f(w) Vᴴ.

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
    """Eigenvalues, vectors, and the hidden outputs by which second derivatives tell of a basis, see `eigvalsh`."""
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f'{name}: UPLO is {UPLO!r}. Choose "L" for the lower triangle or "U" for the upper one.')
    w, V = namespace(A).eigh(A if UPLO in "Ll" else mH(A))
    return all_outputs(w, fixed(V))


def all_outputs(w, V):
    """Those of `eigh` and `eigvalsh`, hidden ones too, from eigenvalues and vectors."""
    xp = namespace(V)
    return w, V, xp.zeros_like(V), xp.zeros_like(xp.cast(w, V))


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
    return _nan_where_unknown(name, found, w_bar if N_bar is None else None, V_bar, w, V)


def decomposed_dots(A_dot, outputs, A):
    """ẇ and V̇, and none of the hidden outputs."""
    (w, V, N, norm), xp = outputs, namespace(outputs[1])
    w_dot = directional(A_dot, A, xp.cast(w, V), V, N, norm)
    V_dot = V @ (xp.cast(inverse_gaps(w), V) * (mH(V) @ hermitian_part(A_dot) @ V))
    return xp.real(w_dot), turned_dot(V, V_dot), None, None


@eigh.also
def _(*args, **kwargs):
    """scipy.linalg.eigh(A, lower=); what is another function here is named."""
    if "b" in kwargs or (len(args) > 1 and not isinstance(args[1], str)):
        raise TypeError("eigh takes one matrix. The generalised problem A V = B V diag(w) is eigh_generalized(A, B).")
    if "eigvals_only" in kwargs:
        raise TypeError("eigh has no argument eigvals_only. The eigenvalues alone are eigvalsh(A).")
    return _triangle_read(args, kwargs)


def _triangle_read(args, kwargs):
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
        V[:, place] = exact_fixed(mp, column)
    return np.array([w[k].real for k in order], dtype=object), V


def exact_fixed(mp, v):
    """An eigenvector with its free factor chosen, in exact arithmetic."""
    sizes = [abs(x) for x in v]
    pivot = next(x for x in v if abs(x) >= 0.9 * max(sizes))
    return v * mp.conj(np.array([pivot / abs(pivot)], dtype=object))[0]


@eigh.reference
def _(mp, A, *, UPLO):
    return exact_eigh(mp, A)


# -- eigenvalues alone -------------------------------------------------------------------------------------------------


@primitive("(n,n)->(n),(n,n),(n,n),(n)", hidden=3, hermitian=("A",))
def eigvalsh(A, *, UPLO: str = "L"):
    """The eigenvalues of a symmetric (Hermitian) matrix, in ascending order.

    Parameters
    ----------
    A : array (..., n, n)
        Symmetric or Hermitian; float32, float64, complex64 or complex128. Only one triangle is read; the bar comes
        back Hermitian, as the derivative with respect to a matrix that stays so.
    UPLO : str
        Which triangle, "L" (the lower one) or "U".

    Returns
    -------
    array (..., n)
        Real.

    Raises
    ------
    LinAlgError of the array's library
        As `eigh`.

    Notes
    -----
    Giles (2008), section 3.1, as in `eigh`: with C = Vᴴ Ȧ V,

        ẇ = diag(C),    Ā = V diag(w̄) Vᴴ.

    A symmetric function z of the eigenvalues (Σ e^w, for instance) has derivatives of every order at equal eigenvalues,
    too, and its first and second ones are right here. The second is that of Ā(A, w̄). By the derivative of V,

        Ā̇ = V (D ∘ C + diag(w̄̇)) Vᴴ,    Dᵢⱼ = (w̄ᵢ − w̄ⱼ)/(wᵢ − wⱼ),

    which says nothing where wᵢ = wⱼ. There D has the limit Hᵢᵢ − Hᵢⱼ, H the second derivative of z by w, which no rule
    sees, but w̄̇ = H ẇ holds it. Among equal eigenvalues every basis of vectors will do. In the one that diagonalises
    this block of C nothing stands off the diagonal and D is not needed; and the directional derivatives of equal
    eigenvalues are the eigenvalues of the block. So forward mode takes, for each such block, Bᴴ C B diagonal,

        ẇ = diag(Bᴴ C B),    Ā̇ = V (D ∘ C + B diag(w̄̇) Bᴴ) Vᴴ,

    with B = I and D ∘ C as above for all eigenvalues that differ. Reverse over reverse mode does the same with the
    cotangent of Ā in the place of Ȧ, also for eigenvalues that are close (by less than √ε of the largest) if their w̄
    are: D is rounding there, with an error of ε over the gap, and the limit has one of the gap. It reaches this
    function's rule as the cotangent of a hidden output, which is constantly zero and serves for nothing else. So does a
    sum of norms: where several cotangents that want different bases are added up before they get here (a second
    derivative of *two* gradients through one call, multiplied with different vectors and added), what would be needed
    is lost in the sum, which the triangle inequality shows. Then, and in forward over forward mode along two directions
    without a common basis, Ā is NaN, if eigenvalues are equal: differentiate in two passes, or call eigvalsh twice.
    Third derivatives at equal eigenvalues are not right. The worst gap is 1e-8, where a second derivative has an error
    of about 5e-9; in modes that begin with a forward pass, which cannot know what becomes of ẇ, it is ε over the gap.

    A function that is not symmetric, such as the largest eigenvalue, has no derivative at equal ones. It gets an
    element of the generalised gradient, that of the vectors which LAPACK found.

    Cost: one product for Ā, where the function costs ten; for second derivatives, and in forward mode, one more
    eigendecomposition.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> w, pullback = overbar.vjp(overbar.eigvalsh, np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> w, np.round(pullback(np.array([0.0, 1.0]))[0], 4)
    (array([1., 3.]), array([[0.5, 0.5],
           [0.5, 0.5]]))
    """
    return decomposed("eigvalsh", A, UPLO)


@eigvalsh.vjp
def _(bars, outputs, A, *, UPLO):
    return (lambda: decomposed_bar("eigvalsh", bars, outputs, A),)


@eigvalsh.jvp
def _(outputs, A, *, UPLO):
    return (lambda A_dot: decomposed_dots(A_dot, outputs, A),)


def values_bar(bars, outputs, A):
    """V diag(w̄) Vᴴ, or V B diag(w̄) Bᴴ Vᴴ with the basis of which the hidden outputs' cotangents tell."""
    (w_bar, _, N_bar, norm_bar), (w, V, N, norm), xp = bars, outputs, namespace(A)
    if N_bar is None:
        return spectral_bar(xp.cast(w_bar, V), A, xp.cast(w, V), V, N, norm)
    B, lost, change = told_basis(mH(V) @ hermitian_part(N_bar) @ V, norm_bar, w, w_bar)
    found = spectral_bar(xp.cast(w_bar, V), A, xp.cast(w, V), V @ B, N, norm) + V @ change @ mH(V)
    return xp.where(lost[..., None, None], np.nan * xp.ones_like(V), found)


def told_basis(C, norm_bar, w, w_bar):
    """The basis B of the blocks of which the cotangents of the hidden outputs tell, for which matrices of a batch it is
    lost in a sum of several, and what is more exact than B diag(w̄) Bᴴ less that."""
    xp = namespace(C)
    if norm_bar is None:
        block = blocks(w)
        return common_basis(together(block, C) * C, block), xp.any(w != w, axis=-1), xp.zeros_like(C)
    block, total, mixed = _unpacked(xp.real(norm_bar), w)
    C = together(block, C) * C
    several = xp.any(block[..., 1:] == block[..., :-1], axis=-1)[..., None]
    lost = mixed | (several & (_norm(C) < total * (1 - 1e4 * xp.eps(w))))
    B, lost = common_basis(C, block), lost | ~xp.isfinite(_norm(C))
    return B, lost[..., 0], _of_separable(C, B, block, w, w_bar)


def _of_separable(C, B, block, w, w_bar):
    """With u = diag(Bᴴ C B) and a function Σ g(wₖ), w̄ᵢ is g″(wᵢ) uᵢ, and to have these separately is more exact: it is
    (g″(wᵢ) + g″(wⱼ))/2 Cᵢⱼ that B diag(w̄) Bᴴ stands for, but for the square of the gap. So it is taken in blocks where
    all w̄ᵢ/uᵢ are equal but for something as small as the gaps."""
    xp = namespace(C)
    same = xp.cast(_row(block) == _column(block), w)
    u = xp.real(xp.sum(xp.conj(B) * (C @ B), axis=-2))
    size = xp.max(same * _row(xp.abs(u)), axis=-1) if _rows(C) else xp.abs(u)
    clear = xp.abs(u) > 1e-3 * size
    ratio = xp.where(clear, w_bar / xp.where(clear, u, xp.ones_like(u)), xp.zeros_like(u))
    mean = xp.sum(same * _row(ratio), axis=-1) / xp.sum(same, axis=-1)
    width = xp.sum(same * xp.abs(_row(w) - _column(w)), axis=-1)
    bound = xp.abs(mean) * (1e3 * width + 1e4 * xp.eps(w) * _largest(w))
    fine = clear & (xp.abs(ratio - mean) * _largest(w) <= bound)
    close = xp.cast(~fine | (width == 0), w)
    taken = xp.sum(same * _row(close), axis=-1) == 0
    halves = xp.cast(_row(ratio) + _column(ratio), C) / 2
    change = halves * C - (B * _row(xp.cast(w_bar, C))) @ mH(B)
    return xp.where((same > 0) & taken[..., None], change, xp.zeros_like(change))


def packed(C, block):
    """The norm of C, and the numbers of blocks, in one vector, so that both can be told from a sum of such vectors."""
    xp = namespace(C)
    return xp.cast(_norm(C) * (1 + block), C)


def _unpacked(vector, w):
    """The blocks, the sum of the norms, and whether vectors with different blocks were added."""
    xp, total = namespace(vector), vector[..., :1]
    there = total > 0
    step = _steps(vector) / xp.where(there, total, xp.ones_like(total))
    gap = _steps(w)
    close = there & (gap > rounding(w)) & (gap <= xp.eps(w) ** 0.5 * _largest(w))
    joined = close & (xp.abs(step) < 0.01)
    mixed = close & (xp.abs(step) >= 0.01) & (xp.abs(step - 1) >= 0.01)
    block = _numbered((gap > rounding(w)) & ~joined, w)
    return block, total, xp.any(mixed, axis=-1)[..., None]


def anywhere(mask):
    """Whether it holds anywhere in each matrix. (By one dimension after the other, for PyTorch's legacy vmap.)"""
    return namespace(mask).any(namespace(mask).any(mask, axis=-1), axis=-1)


def together(block, V):
    """Ones where two eigenvalues are in the same block, in the dtype of V."""
    return namespace(V).cast(_row(block) == _column(block), V)


def blocks(w):
    """For each eigenvalue, in ascending order, the number of its block of equal ones: up to rounding, or linked by
    others that are."""
    return _numbered(_steps(w) > rounding(w), w)


def _numbered(split, w):
    return namespace(w).cumulative_sum(namespace(w).cast(split, w), axis=-1)


def _steps(x):
    """The difference of each entry from the one before it; 0 for the first."""
    return x - namespace(x).concat([x[..., :1], x[..., :-1]], axis=-1)


def smooth_blocks(w_bar, w):
    """The same for eigenvalues that are equal or so close that (w̄ᵢ − w̄ⱼ)/(wᵢ − wⱼ) is rounding more than anything
    else, if w̄ is as close as for a function that knows no difference between them."""
    xp = namespace(w)
    gap, size = _steps(w), xp.abs(w_bar)
    largest_w, largest = _largest(w), _largest(w_bar)
    relative = gap / xp.where(largest_w > 0, largest_w, xp.ones_like(gap))
    alike = xp.abs(_steps(w_bar)) <= (1e3 * relative + 8 * xp.eps(w)) * largest
    both = size + xp.concat([size[..., :1], size[..., :-1]], axis=-1)
    close = (gap <= xp.eps(w) ** 0.5 * largest_w) & alike & (both * xp.eps(w) ** 0.25 > relative * largest)
    return _numbered(~close & (gap > rounding(w)), w)


def common_basis(C, block):
    """The unitary matrix that diagonalises the blocks of Hermitian C, which is zero elsewhere."""
    xp = namespace(C)
    size = _norm(C)[..., None]
    known = xp.isfinite(size)  # the libraries' decompositions raise for a NaN, for a whole batch
    C = xp.where(known, C / xp.cast(xp.where(known & (size > 0), size, xp.ones_like(size)), C), xp.zeros_like(C))
    # blocks apart by more than their eigenvalues, which are at most 1 in modulus: none is mixed with another
    shift = xp.cast(_row(3 * block), C) * xp.eye_like(C)
    return together(block, C) * eigh(C + shift)[1]


def _norm(C):
    """Frobenius' norm, with one dimension of size 1 in place of two; no square overflows."""
    xp = namespace(C)
    size = xp.abs(C)
    if 0 in xp.static_shape(C)[-2:]:
        return xp.sum(size, axis=-1)
    largest = xp.max(size, axis=(-2, -1), keepdims=True)
    scaled = size / xp.where(largest > 0, largest, xp.ones_like(largest))
    square = xp.sum(scaled * scaled, axis=(-2, -1), keepdims=True)
    square = xp.where(largest > 0, square, xp.ones_like(square))  # the root has no derivative at 0
    return (largest * xp.sqrt(square))[..., 0]


def differences(w_bar, w, block):
    """Dᵢⱼ = (w̄ᵢ − w̄ⱼ)/(wᵢ − wⱼ), and 0 within blocks."""
    xp = namespace(w)
    apart, gap = _row(block) != _column(block), _row(xp.real(w)) - _column(xp.real(w))
    far = xp.where(apart, 1 / xp.where(apart, gap, xp.ones_like(gap)), xp.zeros_like(gap))
    return (_row(w_bar) - _column(w_bar)) * xp.cast(far, w)


def differences_along(w_bar, w_bar_dot, w_dot, w, block):
    """The same, where w and w̄ move by ẇ and w̄̇. That tells D, too: w̄ᵢ − w̄ⱼ = D (wᵢ − wⱼ) has the derivative D (ẇᵢ −
    ẇⱼ) + Ḋ (wᵢ − wⱼ). If the two agree up to the rounding of the first, the second loses less where a gap is small."""
    xp = namespace(w)
    D = differences(w_bar, w, block)
    gap = xp.abs(_row(xp.real(w)) - _column(xp.real(w)))
    one = xp.ones_like(gap)
    apart = (_row(block) != _column(block)) & (gap > 0)
    over_gap = 1 / xp.where(apart, gap, one)
    size, size_dot = (_row(xp.abs(x)) + _column(xp.abs(x)) for x in (w_bar, w_bar_dot))
    error = 2 * xp.eps(gap) * size * over_gap
    # of a function Σ g(wₖ), where w̄̇ₖ = g″(wₖ) ẇₖ
    still = w_dot == 0
    slope = w_bar_dot / xp.where(still, xp.ones_like(w_dot), w_dot)
    least = xp.abs(w_dot)
    least = xp.minimum(_row(least), _column(least))
    mean = (_row(slope) + _column(slope)) / 2
    better = apart & (xp.abs(D - mean) <= 8 * error) & (2 * xp.eps(gap) * size_dot <= 8 * error * least) & (least > 0)
    # of any other
    speed = _row(w_dot) - _column(w_dot)
    moving = apart & (speed != 0)
    over_speed = 1 / xp.where(moving, xp.abs(speed), one)
    from_speed = (_row(w_bar_dot) - _column(w_bar_dot)) / xp.where(moving, speed, xp.ones_like(speed))
    curved = gap * over_speed * _largest(w_dot)[..., None] / xp.where(moving, _largest(w)[..., None], one)
    agree = (xp.abs(D - from_speed) <= error) & (2 * xp.eps(gap) * size_dot * over_speed <= error)
    good = moving & agree & (curved * xp.abs(from_speed) <= error)
    return xp.where(better, mean, xp.where(good, from_speed, D))


@primitive("(n),(n,n),(n),(n,n),(n,n),(n)->(n,n)")
def spectral_bar(w_bar, A, w, V, N, norm):
    """Ā of `eigvalsh`, V diag(w̄) Vᴴ, with rules of its own for second derivatives.

    A function of w̄ and A: w and V depend on A and get no bars. N and norm are the hidden outputs by which reverse over
    reverse mode tells `eigvalsh` of the basis.
    """
    return from_eigen(w_bar, V)


@spectral_bar.vjp
def _(A_bar_bar, A_bar, w_bar, A, w, V, N, norm):
    xp = namespace(A)
    numbers = once(lambda: smooth_blocks(xp.real(w_bar), xp.real(w)))

    @once
    def C():
        return mH(V) @ hermitian_part(A_bar_bar) @ V

    @once
    def block():
        return together(numbers(), V) * C()

    def w_bar_bar():
        B = common_basis(block(), numbers())
        return xp.sum(xp.conj(B) * (block() @ B), axis=-2)

    return (
        w_bar_bar,
        lambda: V @ (differences(w_bar, w, numbers()) * C()) @ mH(V),
        None,
        None,
        lambda: V @ block() @ mH(V),
        lambda: packed(block(), numbers()),
    )


@spectral_bar.jvp
def _(A_bar, w_bar, A, w, V, N, norm):
    xp = namespace(A)

    def dot(w_bar_dot, A_dot, *_):
        C, block = mH(V) @ hermitian_part(A_dot) @ V, blocks(xp.real(w))
        B = common_basis(together(block, V) * C, block)
        C, turned = mH(B) @ C @ B, V @ B
        D = differences_along(w_bar, w_bar_dot, xp.diagonal(C), w, block)
        return turned @ (D * C + _row(w_bar_dot) * xp.eye_like(V)) @ mH(turned)

    return dot


@primitive("(n,n),(n,n),(n),(n,n),(n,n),(n)->(n)")
def directional(A_dot, A, w, V, N, norm):
    """ẇ of `eigvalsh`, diag(Bᴴ Vᴴ Ȧ V B): the adjoint of `spectral_bar`, with rules for second derivatives as there."""
    xp = namespace(V)
    C, number = mH(V) @ hermitian_part(A_dot) @ V, blocks(xp.real(w))
    B = common_basis(together(number, V) * C, number)
    return xp.cast(xp.real(xp.sum(xp.conj(B) * (C @ B), axis=-2)), V)


@directional.vjp
def _(u, w_dot, A_dot, A, w, V, N, norm):
    xp = namespace(A)
    number = blocks(xp.real(w))

    @once
    def C():
        return mH(V) @ hermitian_part(A_dot) @ V

    @once
    def block():
        return together(number, V) * C()

    @once
    def B():
        return common_basis(block(), number)

    def A_bar():
        turned = V @ B()
        return turned @ (differences(u, w, number) * (mH(B()) @ C() @ B())) @ mH(turned)

    return (
        lambda: V @ ((B() * _row(u)) @ mH(B())) @ mH(V),
        A_bar,
        None,
        None,
        lambda: V @ block() @ mH(V),
        lambda: packed(block(), number),
    )


def crossing(C, block):
    """For which matrices of a batch equal eigenvalues have no second derivative along two directions, as these have no
    common basis: C is the second one, in the basis of the first."""
    xp = namespace(C)
    same = together(block, C)
    diagonal, small = xp.real(xp.diagonal(C)), 1e4 * xp.eps(block) * _norm(C)
    crossed = xp.abs(same * C - xp.cast(_row(diagonal), C) * xp.eye_like(C)) > small[..., None]
    falls = (diagonal[..., :-1] - diagonal[..., 1:] > small) & (block[..., 1:] == block[..., :-1])
    return anywhere(crossed) | xp.any(falls, axis=-1)


@directional.jvp
def _(w_dot, A_dot, A, w, V, N, norm):
    xp = namespace(A)

    def dot(A_dot_dot, A_dot_2, *_):
        C, number = mH(V) @ hermitian_part(A_dot) @ V, blocks(xp.real(w))
        B = common_basis(together(number, V) * C, number)
        turned = V @ B
        C, C2 = mH(B) @ C @ B, mH(turned) @ hermitian_part(A_dot_2) @ turned
        straight = xp.sum(xp.conj(turned) * (hermitian_part(A_dot_dot) @ turned), axis=-2)
        bent = -2 * xp.real(xp.sum(xp.conj(C) * xp.cast(inverse_gaps(xp.real(w)), V) * C2, axis=-1))
        lost = crossing(C2, number)
        found = straight + xp.cast(bent, V)
        return xp.where(lost[..., None], np.nan * xp.ones_like(found), found)

    return dot


# -- vectors -----------------------------------------------------------------------------------------------------------


class Pairs:
    """What the reverse rule of vectors has to know of each pair of eigenvalues. With `others`, V has not all vectors,
    and the others, of which nothing depends on, belong to the eigenvalue 0."""

    def __init__(self, V_bar, w, V, others=False):
        xp = self.xp = namespace(V)
        self.V, self.V_bar, self.others, w = V, V_bar, others, xp.real(w)
        self.Y = mH(V) @ V_bar
        K = (self.Y - mH(self.Y)) / 2
        size = self.size = _column_sizes(V_bar)
        self.precision = _precision(V)[..., None, None]
        #: what a bracket may be by rounding; of vectors on which nothing depends, while it does on others, more than 0
        self.noise = self.precision * (_row(size) + _column(size) + xp.eps(w) * _largest(size)[..., None])
        #: K = (Y − Yᴴ)/2 without what is rounding, where division by a gap, or its square, would make much of it;
        #: F, and ones where two vectors are not turned against each other, and on the diagonal
        gap = _row(w) - _column(w)
        self.K, self.F, self.closed, self.idle = self._looked_at(K, xp.abs(K), gap, self.noise, w)
        self.X = self.F * self.K
        if others:
            k = self.outside(V_bar) / 2
            noise = 2 * self.precision * (size + xp.eps(w) * _largest(size))[..., None, :]
            size_k = _column_sizes(k)[..., None, :]  # a vector is closed to all others, or to none
            self.k, self.f, self.closed_others, self.idle_others = self._looked_at(k, size_k, _row(w), noise, w)
            self.x = self.k * self.f

    def _looked_at(self, K, size, gap, noise, w):
        xp, one = self.xp, self.xp.ones_like(gap)
        distance, largest = xp.abs(gap), _largest(w)[..., None]
        # Less than, not less or equal: cotangents of zero are used to ask for the derivative of this rule.
        silent = size < 8 * noise
        idle = silent & (distance <= xp.eps(w) ** 0.125 * largest)
        closed = (distance <= rounding(w)[..., None]) | (silent & (distance <= xp.eps(w) ** (1 / 3) * largest))
        F = xp.cast(xp.where(closed, xp.zeros_like(gap), 1 / xp.where(closed, one, gap)), K)
        return xp.where(idle, xp.zeros_like(K), K), F, xp.cast(xp.where(closed, one, xp.zeros_like(gap)), K), idle

    def outside(self, Y):
        """The part of Y that is orthogonal to the columns of V."""
        return Y - self.V @ (mH(self.V) @ Y)

    def reverse(self, times):
        """The bars of V̄ and V, and that of A as a function of no arguments, from E, known by its products E Y."""
        V, F, K, X, closed = self.V, self.F, self.K, self.X, self.closed
        EV = times(V)
        E = mH(V) @ EV
        Q = F * E
        VQ = V @ Q
        if self.others:
            e = self.outside(EV)
            q = e * self.f
            V_bar_bar = VQ + q
            V_bar = -(V_bar_bar @ self.Y) + V @ (mH(q) @ self.V_bar)
        else:
            V_bar_bar, V_bar = VQ, -(VQ @ self.Y)

        def A_bar():
            # of antihermitian or Hermitian factors, the product in the other order is the adjoint, or minus that
            turning, straight = Q @ K + E @ X, Q @ X
            if not self.others:
                middle = F * (turning - mH(turning)) + closed * (straight + mH(straight))
                return middle, None
            k, x = self.k, self.x
            turning, straight = turning + mH(k) @ q + mH(e) @ x, straight - mH(q) @ x
            middle = F * (turning - mH(turning)) + closed * (straight + mH(straight))
            across = q @ K - k @ Q + e @ X + self.outside(times(x)) - x @ E
            return middle, (self.f * across + self.closed_others * (q @ X - x @ Q), q, x)

        return V_bar_bar, V_bar, A_bar

    def forward(self, times, V_bar_dot, V_dot):
        """The tangent of V X Vᴴ from those of V̄ and V and that of A, known by its products Ȧ Y. As for Ā above, it is
        V M Vᴴ + r Vᴴ + V rᴴ + q xᴴ + x qᴴ, of which this returns M and (r, q, x), or None without others."""
        xp, V, F, K, X = self.xp, self.V, self.F, self.K, self.X
        AV = times(V)
        C = mH(V) @ AV
        Omega, W_dot = F * C, self.closed * C
        across = mH(V_dot) @ V
        Z_dot = mH(V) @ V_bar_dot + self.Y @ across
        turning, straight = K @ Omega, W_dot @ X
        if self.others:
            k, x, c = self.k, self.x, self.outside(AV)
            omega, w_dot = c * self.f, c * self.closed_others
            turning, straight = turning - mH(k) @ omega, straight + mH(w_dot) @ x
        K_dot = (Z_dot - mH(Z_dot)) / 2 + turning - mH(turning) + straight - mH(straight)
        # V̇ may be large, with small gaps in its denominators, and leave rounding where nothing should be
        size, size_dot = _column_sizes(V_bar_dot), _largest(self.size) * _column_sizes(V_dot)
        noise = self.precision * (_row(size + size_dot) + _column(size + size_dot))
        X_dot = F * xp.where(self.idle & (xp.abs(K_dot) < 8 * noise), xp.zeros_like(K_dot), K_dot)
        turned = Omega @ X
        if not self.others:
            return X_dot + turned + mH(turned), None
        turned = turned - mH(omega) @ x
        z = self.outside(V_bar_dot + self.V_bar @ across - V_dot @ mH(self.Y)) / 2
        k_dot = z + k @ Omega - omega @ K - x @ W_dot + w_dot @ X + self.outside(times(x))
        noise = 2 * self.precision * (size + size_dot)[..., None, :]
        rounded = self.idle_others & (_column_sizes(k_dot)[..., None, :] < 8 * noise)
        x_dot = self.f * xp.where(rounded, xp.zeros_like(k_dot), k_dot)
        return X_dot + turned + mH(turned), (x_dot + omega @ X - x @ Omega, omega, x)


def _precision(V):
    """n ε, for n rows."""
    xp = namespace(V)
    return xp.eps(V) * xp.sum(xp.ones_like(xp.real(V[..., :1])), axis=(-2, -1))


def _column_sizes(V):
    """The largest modulus in each column."""
    xp, size = namespace(V), namespace(V).abs(V)
    return xp.max(size, axis=-2) if _rows(V) else xp.sum(size, axis=-2)


def _largest(w):
    """The largest of the eigenvalues in modulus, with one dimension of size 1."""
    xp, size = namespace(w), namespace(w).abs(w)
    return xp.max(size, axis=-1, keepdims=True) if w.shape[-1] != 0 else xp.sum(size, axis=-1, keepdims=True)


@primitive("(n,n),(n,n),(n),(n,n)->(n,n)", hermitian=("A",))
def vectors_bar(V_bar, A, w, V):
    """The part of Ā in `eigh` that comes from the vectors, V (F ∘ K) Vᴴ with K = Vᴴ Z V, Z = (V̄ Vᴴ − V V̄ᴴ)/2.

    A function of Z and A, with rules of its own for second derivatives: w, the eigenvalues, has no bar, and V has one
    as a part of Z only. A loss that does not change when the vectors of a block are turned among each other has a Z
    that does not change either, and Kᵢⱼ = 0 in that block. So the basis of the block is a matter of choice, and may
    move with A as is convenient. Here those pairs are *closed* whose bracket Kᵢⱼ is rounding and whose eigenvalues are
    equal or close: along Ȧ, with C = Vᴴ Ȧ V and F = 0 for closed pairs and on the diagonal, the basis moves by

        V̇ = V Ω,    Ω = F ∘ C,    and Vᴴ A V by    Ẇ = C for closed pairs, 0 for others,

    so that no small gap is divided by. Vᴴ A V is then no longer diagonal, and X = F ∘ K is the solution of X W − W X =
    K for all other pairs, whose derivative is

        Ẋ = F ∘ (Vᴴ Ż V + K Ω − Ω K − X Ẇ + Ẇ X),    (V X Vᴴ)˙ = V (Ẋ + Ω X − X Ω) Vᴴ.

    Moved off Ż and Ȧ, with E = Vᴴ Ā̄ V, Q = F ∘ E and [P, Q] = P Q − Q P:

        Z̄ = V Q Vᴴ,    Ā = V (F ∘ ([Q, K] + [E, X]) + closed ∘ [Q, X]) Vᴴ.

    Where no pair is closed these are the derivatives by the rules of w and V. (`Pairs` has them also for a V that has
    not all vectors, see `svd`.)
    """
    return hermitian_part(V @ _X(V_bar, w, V) @ mH(V))


def _X(V_bar, w, V, w_bar=0.0):
    """What `Pairs` calls X, and w̄ on its diagonal, with no more passes over the pairs than this takes."""
    xp, w = namespace(V), namespace(V).real(w)
    K = mH(V) @ V_bar
    K = K - mH(K)

    def noise():
        size = _column_sizes(V_bar)
        return 16 * _precision(V)[..., None] * (size + xp.eps(w) * _largest(size))

    # a bracket that is rounding does not matter where a gap is larger than this
    pairs = xp.near_pairs(w, xp.eps(w) ** 0.25)
    if pairs is not None:
        X = xp.over_gaps(K, 2 * w, w_bar)
        if pairs:
            *batch, i, j = pairs
            distance, noise = w[(*batch, j)] - w[(*batch, i)], noise()
            equal = distance <= rounding(w)[(*batch, 0 * i)]
            size = 2 * distance * xp.abs(xp.where(equal, xp.zeros_like(X[pairs]), X[pairs]))
            silent = equal | (size < noise[(*batch, i)] + noise[(*batch, j)])
            *batch, i, j = (index[silent] for index in pairs)
            X[(*batch, i, j)] = X[(*batch, j, i)] = 0.0
        return X
    gap, size, largest = _row(w) - _column(w), noise(), _largest(w)[..., None]
    distance = xp.abs(gap)
    silent = (xp.abs(K) < _row(size) + _column(size)) & (distance <= xp.eps(w) ** 0.125 * largest)
    silent = silent | (distance <= rounding(w)[..., None])
    K = K * xp.cast(0.5 / xp.where(silent, xp.ones_like(gap), gap), V)
    X = xp.where(silent, xp.zeros_like(K), K)
    return X if isinstance(w_bar, float) else X + _row(w_bar) * xp.eye_like(V)


@vectors_bar.vjp
def _(A_bar_bar, A_bar, V_bar, A, w, V):
    found = once(lambda: Pairs(V_bar, w, V).reverse(lambda Y: hermitian_part(A_bar_bar) @ Y))
    return (
        lambda: found()[0],
        lambda: hermitian_part(V @ found()[2]()[0] @ mH(V)),
        None,
        lambda: found()[1],
    )


@vectors_bar.jvp
def _(A_bar, V_bar, A, w, V):
    def dot(V_bar_dot, A_dot, _, V_dot):
        middle, _ = Pairs(V_bar, w, V).forward(lambda Y: hermitian_part(A_dot) @ Y, V_bar_dot, V_dot)
        return hermitian_part(V @ middle @ mH(V))

    return dot


@primitive("(n),(n,n),(n,n),(n),(n,n),(n,n),(n)->(n,n)", hermitian=("A",))
def values_and_vectors_bar(w_bar, V_bar, A, w, V, N, norm):
    """The sum of `spectral_bar` and `vectors_bar`, at the cost of one of them."""
    return hermitian_part(V @ _X(V_bar, w, V, w_bar) @ mH(V))


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


def _nan_where_unknown(name, A_bar, w_bar, V_bar, w, V):
    """Ā, and NaN for a matrix with equal eigenvalues whose Ā the cotangents do not tell. `w_bar` is None where none
    came, and where that of a second derivative came, which is in a basis of its own."""
    if not nearly_equal(w):  # most matrices need no more
        return A_bar
    pairs = Pairs(V_bar, w, V)
    where = unknown(pairs.K, hermitian_part(pairs.Y), pairs.noise, w_bar, w)
    return nan_where(where, A_bar, _UNKNOWN.format(name=name))


def nearly_equal(w, *more):
    """Whether some of the values, in ascending order, with `more` behind them, may be so close that hardly a digit of
    their vectors is known."""
    xp, n = namespace(w), w.shape[-1]
    w = xp.concat([w, *more], axis=-1) if more else w
    if n is not None and xp.near_pairs(w, 1e5 * n * xp.eps(w)) == ():
        return False
    return xp.may_hold(w[..., 1:] - w[..., :-1] <= 1e4 * rounding(w))


def unknown(K, H, noise, w_bar, w):
    """For which matrices of a batch the cotangents do not tell the derivative: of vectors with the bracket K and what
    else Y has, H, and of values w, in ascending order; `noise` is what these may be by rounding."""
    xp = namespace(K)
    size_K, different = xp.abs(K), xp.real(xp.eye_like(K)) == 0
    block = (_row(blocks(w)) == _column(blocks(w))) & different
    found = block & (size_K > 1e3 * noise)
    if w_bar is not None:
        tolerance = xp.eps(w) ** 0.5 * _largest(w_bar)[..., None]
        unequal = xp.abs(_row(w_bar) - _column(w_bar)) > tolerance
        # by rounding alone, this is what an element of Ā is uncertain by: no digit of it is known
        distance, size_w = xp.abs(_row(w) - _column(w)), xp.abs(_row(w_bar)) + xp.abs(_column(w_bar))
        blurred = (noise > 0.01 * size_K) & (noise > 0.01 * distance * size_w) & (noise > 0) & different
        # in a block also where f(wₖ) = 0 leaves no cotangent of its vectors
        found = found | (unequal & (block | blurred))
        # Σ f(wₖ) vₖᴴ W vₖ may have w̄ equal by chance: then w̄ₖ is the same multiple of Hₖₖ for all k of the block
        diagonal = xp.real(xp.diagonal(H))
        apart = block & (xp.abs(_row(diagonal) - _column(diagonal)) > 1e3 * noise)
        chance = ~xp.any(apart, axis=-1)[..., None]
        crossed = block & (xp.abs(H) > 1e3 * noise)
        on_diagonal = xp.abs(_column(diagonal)) > 1e3 * noise
        driven = xp.abs(_column(w_bar)) > tolerance
        found = found | (chance & crossed & ((on_diagonal & driven) | ~(on_diagonal | driven)))
    return anywhere(found)


def nan_where(where, A_bar, message):
    """NaN in the place of matrices, with a warning."""
    xp = namespace(A_bar)
    xp.warn(where, message)
    # a factor, so that derivatives of it are NaN, too
    one = xp.real(xp.ones_like(A_bar[..., :1, :1]))
    return A_bar * xp.cast(xp.where(where[..., None, None], np.nan * one, one), A_bar)


eigvalsh.also(lambda *args, **kwargs: _triangle_read(args, kwargs))


@eigvalsh.samples
def _(case):
    yield case(spread(case, 4))


@eigvalsh.reference
def _(mp, A, *, UPLO):
    return exact_eigh(mp, A)[0]


# -- two matrices ------------------------------------------------------------------------------------------------------


@primitive("(n,n),(n,n)->(n),(n,n),(n,n),(n),(n,n)", hidden=3, hermitian=("A", "B"))
def eigh_generalized(A, B):
    """The generalised eigenvalues and vectors of Hermitian A and positive definite B: A V = B V diag(w), Vᴴ B V = I.

    These are those of scipy.linalg.eigh(A, B) with type 1.

    Parameters
    ----------
    A : array (..., n, n)
        Symmetric or Hermitian.
    B : array (..., n, n)
        Symmetric or Hermitian positive definite. float32, float64, complex64 or complex128; batch dimensions
        broadcast. Of both only the lower triangle is read, and both bars come back Hermitian.

    Returns
    -------
    w : array (..., n)
        The eigenvalues, real, in ascending order.
    V : array (..., n, n)
        The eigenvectors, as columns. Their free factor is chosen: of the components of a column that are larger than
        nine tenths of the largest, the first is positive.

    Raises
    ------
    LinAlgError of the array's library
        As `eigh` for A, as `cholesky` for B; the message names A or B.

    Notes
    -----
    Value: with the Cholesky factor B = L Lᴴ, the eigenvalues of L⁻¹ A L⁻ᴴ, and V = L⁻ᴴ times its vectors.

    Rules. Put V̇ = V K into the derivatives of both equations, and multiply by Vᴴ; with C = Vᴴ Ȧ V, E = Vᴴ Ḃ V:

        C + diag(w) K = E diag(w) + K diag(w) + diag(ẇ),    Kᴴ + E + K = 0
        ⇒    ẇ = diag(C − E diag(w)),    Kᵢⱼ = Fᵢⱼ (Cᵢⱼ − Eᵢⱼ wⱼ),    Kᵢᵢ = −Eᵢᵢ/2,

    with F and the choice of free factors as in `eigh`, which this is for B = I. Moved off Ȧ and Ḃ, with Y = Vᴴ V̄ and
    M = F ∘ Y, and with (X + Xᴴ)/2 taken of both:

        Ā = V (diag(w̄) + M) Vᴴ,    B̄ = −V (diag(w̄ ∘ w) + M diag(w) + diag(Y)/2) Vᴴ.

    This is computed as that of the standard problem of L⁻¹ A L⁻ᴴ, whose vectors are Lᴴ V, for Ā, and then without F:
    with X = diag(w̄) + M and its Hermitian part, V X diag(w) Vᴴ has the Hermitian part of Ā A B⁻¹ and V (Y + Yᴴ) Vᴴ/4,
    and as B⁻¹ = V Vᴴ,

        B̄ = −Hermitian part of (Ā A V Vᴴ + V Vᴴ V̄ Vᴴ/2).

    At equal eigenvalues, what has a derivative and what is NaN is as in `eigh`. There, a pair of equal ones keeps Kᵢⱼ =
    −Eᵢⱼ/2, so that Vᴴ B V = I holds. Source: Giles (2008), section 3.1, extended by the product rule. Cost: a Cholesky
    factorisation for the function, for the rules four triangular systems and three products for Ā, five products for B̄.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.eigh_generalized(np.array([[2.0, 1.0], [1.0, 2.0]]), 2 * np.eye(2))[0]
    array([0.5, 1.5])
    """
    xp = namespace(A, B)
    L = xp.cholesky(B, argument="B")
    w, Y = xp.eigh(_reduced(xp, L, from_lower.function(A)))
    V = fixed(xp.solve_triangular(L, Y, upper=False, adjoint=True))
    return w, V, xp.zeros_like(V), xp.zeros_like(xp.cast(w, V)), L + xp.zeros_like(V)


def _reduced(xp, L, A):
    """L⁻¹ A L⁻ᴴ of Hermitian A."""
    half = xp.solve_triangular(L, A, upper=False)
    return hermitian_part(xp.solve_triangular(L, mH(half), upper=False))


@primitive("(n,n)->(n,n)", hermitian=("A",))
def from_lower(A):
    """The Hermitian matrix of which A has the lower triangle; its bar comes back Hermitian."""
    xp = namespace(A)
    return xp.tril(A) + mH(xp.tril(A, k=-1))


@from_lower.vjp
def _(H_bar, H, A):
    return (lambda: hermitian_part(H_bar),)


@from_lower.jvp
def _(H, A):
    return (hermitian_part,)


class _Standard:
    """The standard problem of L⁻¹ A L⁻ᴴ, B = L Lᴴ, whose vectors are Lᴴ V."""

    def __init__(self, outputs, A):
        w, V, *hidden, self.L = outputs
        self.xp = namespace(V)
        self.A = from_lower(A)
        self.H = _reduced(self.xp, self.L, self.A)
        self.outputs = w, mH(self.L) @ V, *hidden

    def solve(self, X, adjoint=False):
        return self.xp.solve_triangular(self.L, X, upper=False, adjoint=adjoint)


@eigh_generalized.vjp
def _(bars, outputs, A, B):
    (w_bar, V_bar, *hidden, L_bar), V, L = bars, outputs[1], outputs[-1]
    standard = once(lambda: _Standard(outputs, A))
    turned = once(lambda: turned_bar(V, V_bar))

    @once
    def A_bar():
        if w_bar is None and V_bar is None:
            return namespace(V).zeros_like(V)
        Y_bar = None if V_bar is None else standard().solve(turned())
        H_bar = unturned_bar("eigh_generalized", (w_bar, Y_bar, *hidden), standard().outputs, standard().H)
        half = standard().solve(H_bar, adjoint=True)
        return hermitian_part(standard().solve(mH(half), adjoint=True))

    def B_bar():
        found = A_bar() @ (standard().A @ (V @ mH(V)))
        if V_bar is not None:
            found = found + V @ ((mH(V) @ turned()) @ mH(V)) / 2
        found = -hermitian_part(found)
        return found if L_bar is None else found + cholesky.vjp_rule(L_bar, L, B, upper=False)[0]()

    return A_bar, B_bar


@eigh_generalized.jvp
def _(outputs, A, B):
    (w, V, *_), xp = outputs, namespace(outputs[1])

    def dots(A_dot, B_dot):
        standard = _Standard(outputs, A)
        Y = standard.outputs[1]
        E, W = mH(V) @ hermitian_part(B_dot) @ V, xp.cast(w, V)
        C = mH(V) @ hermitian_part(A_dot) @ V - (E * _row(W) + _column(W) * E) / 2
        w_dot, _, *hidden = decomposed_dots(Y @ C @ mH(Y), standard.outputs, standard.H)
        K = xp.cast(inverse_gaps(w), V) * C - E / 2
        (L_dot,) = cholesky.jvp_rule(outputs[-1], B, upper=False)
        return w_dot, turned_dot(V, V @ K), *hidden, L_dot(B_dot)

    return dots


@eigh_generalized.samples
def _(case):
    B = case.positive_definite(4)
    B = case._cast(B / 4 + 1.25 * np.eye(B.shape[-1]))  # what the step of a finite difference moves is little then
    L = np.linalg.cholesky(B)
    A = L @ spread(case, 4) @ np.conj(np.swapaxes(L, -1, -2))
    yield case(case._cast((A + np.conj(np.swapaxes(A, -1, -2))) / 2), B)


@eigh_generalized.reference
def _(mp, A, B):
    H, L = mp.tril(A, 0) + mp.mH(mp.tril(A, -1)), mp.cholesky(B)
    w, Y = exact_eigh(mp, mp.mH(mp.solve(L, mp.mH(mp.solve(L, H)))))
    V = mp.solve(mp.mH(L), Y)
    for k in range(len(A)):
        V[:, k] = exact_fixed(mp, V[:, k])
    return w, V


# -- tridiagonal matrices ----------------------------------------------------------------------------------------------


@primitive("(n),(k)->(n),(n,n),(n,n),(n)", hidden=2)
def eigh_tridiagonal(d, e):
    """The eigenvalues and eigenvectors of a symmetric (Hermitian) tridiagonal matrix.

    Parameters
    ----------
    d : array (..., n)
        The diagonal. Of complex entries only the real part counts.
    e : array (..., n − 1)
        The diagonal above it; below it is its conjugate. float32, float64, complex64 or complex128. Batch dimensions
        broadcast.

    Returns
    -------
    w : array (..., n)
        The eigenvalues, real, in ascending order.
    V : array (..., n, n)
        The eigenvectors, as columns, of norm 1, with the free factor chosen as in `eigh`.

    Raises
    ------
    LinAlgError of the array's library
        The sizes do not fit; else as `eigh`.

    Notes
    -----
    `eigh` of the matrix with these diagonals, of whose bar Ā = V (diag(w̄) + F ∘ (Y − Yᴴ)/2) Vᴴ the entries on them
    are taken; an entry of e stands in two places:

        d̄ᵢ = Re Āᵢᵢ,    ēᵢ = 2 Āᵢ,ᵢ₊₁.

    The value is computed with the dense matrix, which is no larger than V, by the library's own `eigh`: on every
    device, in batches, and under XLA. Where no e is 0 all eigenvalues differ, though they may be close; where one is,
    `eigh` says what holds. Source: Giles (2008), section 3.1. Cost: that of `eigh`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> (w, V), pullback = overbar.vjp(overbar.eigh_tridiagonal, np.zeros(3), np.ones(2))
    >>> np.round(w[0], 4), np.round(pullback((np.array([1.0, 0.0, 0.0]), None))[0], 4)
    (np.float64(-1.4142), array([0.25, 0.5 , 0.25]))
    """
    return decomposed("eigh_tridiagonal", _tridiagonal(namespace(d, e), d, e))


def _tridiagonal(xp, d, e):
    n, k = d.shape[-1], e.shape[-1]
    if n is not None and k is not None and k != max(n - 1, 0):
        raise xp.ShapeError(
            f"eigh_tridiagonal: argument e of shape {tuple(e.shape)} does not fit d of shape {tuple(d.shape)}: it must "
            "have one entry less."
        )
    n = xp.shape(d)[-1]
    above = xp.diagonal_embed(e, n, n, offset=1)
    return xp.diagonal_embed(d, n, n) + above + mH(above)


@eigh_tridiagonal.vjp
def _(bars, outputs, d, e):
    xp = namespace(outputs[1])
    A_bar = once(lambda: decomposed_bar("eigh_tridiagonal", bars, outputs, _tridiagonal(xp, d, e)))
    return lambda: xp.real(xp.diagonal(A_bar())), lambda: 2 * xp.diagonal(A_bar(), offset=1)


@eigh_tridiagonal.jvp
def _(outputs, d, e):
    xp = namespace(outputs[1])

    def dots(d_dot, e_dot):
        A_dot = _tridiagonal(xp, xp.cast(xp.real(d_dot), outputs[1]), xp.cast(e_dot, outputs[1]))
        return decomposed_dots(A_dot, outputs, _tridiagonal(xp, d, e))

    return dots


@eigh_tridiagonal.samples
def _(case):
    e = case.positive(3)
    n = e.shape[-1] + 1  # larger where costs are measured
    yield case(case._cast(np.arange(n) * 1.5 + case.rng.uniform(-0.2, 0.2, (*case.batch, n))), e)


@eigh_tridiagonal.reference
def _(mp, d, e):
    A = mp.zeros((len(d), len(d)))
    for i, x in enumerate(d):
        A[i, i] = x.real
    for i, x in enumerate(e):
        A[i, i + 1], A[i + 1, i] = x, mp.conj(e)[i]
    return exact_eigh(mp, A)
