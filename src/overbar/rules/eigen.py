"""Eigenvalues and eigenvectors of symmetric (Hermitian) matrices.

May import `overbar.namespace` and `overbar.primitive`. Eigenvectors are known up to a factor of modulus 1 only. To have
a derivative for every loss, and the same result in every library, the vectors here have that factor fixed: of the
components larger than nine tenths of the largest, the first is positive. (Nine tenths, so that vectors with several
largest components, which are common, are not decided by rounding.)
"""

import numpy as np

from overbar.namespace import mH, namespace
from overbar.primitive import once, primitive


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
    large = xp.cast(size >= 0.9 * xp.max(size, axis=-2, keepdims=True), size) if _rows(V) else size
    return large * xp.cast(xp.cumulative_sum(large, axis=-2) == 1, size)


def _rows(V):
    return V.shape[-2] != 0  # no library has a maximum of nothing


def fixed(V):
    """V with the free factor of each column chosen."""
    xp = namespace(V)
    pivot = xp.sum(V * xp.cast(pivots(V), V), axis=-2, keepdims=True)
    size = xp.abs(pivot)
    return V * xp.conj(pivot / xp.cast(xp.where(size > 0, size, xp.ones_like(size)), V))


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
    n = xp.sum(xp.ones_like(size), axis=-1, keepdims=True)
    return 10 * xp.eps(size) * n * xp.max(size, axis=-1, keepdims=True)


def inverse_gaps(w):
    """Fᵢⱼ = 1/(wⱼ − wᵢ), and 0 where the two are equal up to rounding."""
    xp = namespace(w)
    gap = _row(w) - _column(w)
    apart = xp.abs(gap) > rounding(w)[..., None]
    return xp.where(apart, 1 / xp.where(apart, gap, xp.ones_like(gap)), xp.zeros_like(gap))


@primitive("(n,n)->(n),(n,n)", hermitian=("A",))
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
    space will do. The choice here is F = 0. It is right for w̄ alone (a symmetric function of the eigenvalues has a
    derivative there) and for a loss that does not change when these vectors are turned among each other, if it is
    also stationary under it, as tr(V f(w) Vᴴ). It is not for V f(w) Vᴴ under other weights: the derivative
    depends on f′, which is not seen here. There the answer is `spectral_function`. For nearly equal eigenvalues it is
    what is written above, with a relative error of ε over the gap. The second derivative of a function of eigenvalues
    alone is right at equal ones too if they come from `eigvalsh`.

    Cost: two products for w̄ alone, four with V̄, where the function costs ten.

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
    if UPLO not in ("L", "U", "l", "u"):
        raise ValueError(f'eigh: UPLO is {UPLO!r}. Choose "L" for the lower triangle or "U" for the upper one.')
    w, V = namespace(A).eigh(A if UPLO in "Ll" else mH(A))
    return w, fixed(V)


def _eigh_bar(bars, outputs):
    """Ā of `eigh`, Hermitian."""
    (w_bar, V_bar), (w, V), xp = bars, outputs, namespace(outputs[1])
    if V_bar is None:
        return from_eigen(w_bar, V)
    Y = mH(V) @ turned_bar(V, V_bar)
    middle = xp.cast(inverse_gaps(w), V) * hermitian_part_of_product(Y)
    if w_bar is not None:
        middle = middle + xp.cast(_row(w_bar), V) * xp.eye_like(V)
    return hermitian_part(V @ middle @ mH(V))


def hermitian_part_of_product(Y):
    """(Y − Yᴴ)/2."""
    return (Y - mH(Y)) / 2


def _eigh_dots(A_dot, outputs):
    """ẇ and V̇ of `eigh`."""
    (w, V), xp = outputs, namespace(outputs[1])
    C = mH(V) @ hermitian_part(A_dot) @ V
    V_dot = V @ (xp.cast(inverse_gaps(w), V) * C)
    return xp.real(xp.diagonal(C)), turned_dot(V, V_dot)


@eigh.vjp
def _(bars, outputs, A, *, UPLO):
    return (lambda: _eigh_bar(bars, outputs),)


@eigh.jvp
def _(outputs, A, *, UPLO):
    return (lambda A_dot: _eigh_dots(A_dot, outputs),)


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
    cotangent of Ā in the place of Ȧ. It reaches this function's rule as the cotangent of a hidden output, which is
    constantly zero and serves for nothing else. So does a sum of norms: where several cotangents that want different
    bases are added up before they get here (a second derivative of *two* gradients through one call, multiplied with
    different vectors and added), what would be needed is lost in the sum, which the triangle inequality shows. Then,
    and in forward over forward mode along two directions without a common basis, Ā is NaN, if eigenvalues are equal:
    differentiate in two passes, or call eigvalsh twice. Third derivatives at equal eigenvalues are not right. Where
    eigenvalues differ by more than 10 n ε of the largest, none of this has any effect.

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
    w, V = eigh.function(A, UPLO=UPLO)
    xp = namespace(A)
    return w, V, xp.zeros_like(V), xp.zeros_like(xp.cast(w, V))


@eigvalsh.vjp
def _(bars, outputs, A, *, UPLO):
    (w_bar, V_bar, N_bar, norm_bar), (w, V, N, norm), xp = bars, outputs, namespace(A)

    def A_bar():
        if w_bar is None and V_bar is None:
            return xp.zeros_like(A)
        found = None
        if w_bar is not None:
            C = None if N_bar is None else together(w, V) * (mH(V) @ hermitian_part(N_bar) @ V)
            turned = V if C is None else V @ common_basis(C, w)
            found = spectral_bar(xp.cast(w_bar, V), A, xp.cast(w, V), turned, N, norm)
            if C is not None and norm_bar is not None:
                several = xp.any(_blocks(w)[..., 1:] == _blocks(w)[..., :-1], axis=-1)[..., None]
                lost = several & (_norm(C) < xp.real(norm_bar[..., :1]) * (1 - 1e4 * xp.eps(w)))
                found = xp.where(lost[..., None], np.nan * xp.ones_like(V), found)
        if V_bar is not None:
            rest = _eigh_bar((None, V_bar), (w, V))
            found = rest if found is None else found + rest
        return found

    return (A_bar,)


@eigvalsh.jvp
def _(outputs, A, *, UPLO):
    w, V, N, norm = outputs
    xp = namespace(A)

    def dots(A_dot):
        w_dot = directional(A_dot, A, xp.cast(w, V), V, N, norm)
        return xp.real(w_dot), _eigh_dots(A_dot, (w, V))[1], None, None

    return (dots,)


def together(w, V):
    """Ones where two eigenvalues are equal up to rounding, or linked by others that are, and on the diagonal."""
    xp = namespace(V)
    block = _blocks(w)
    return xp.cast(_row(block) == _column(block), V)


def _blocks(w):
    """For each eigenvalue, in ascending order, the number of its block of equal ones."""
    xp = namespace(w)
    gaps = w - xp.concat([w[..., :1], w[..., :-1]], axis=-1)
    return xp.cumulative_sum(xp.cast(gaps > rounding(w), w), axis=-1)


def common_basis(C, w):
    """The unitary matrix that diagonalises the blocks of equal eigenvalues of Hermitian C, which is zero elsewhere."""
    xp = namespace(C)
    size = _norm(C)[..., None]
    C = C / xp.cast(xp.where(size > 0, size, xp.ones_like(size)), C)
    # blocks apart by more than their eigenvalues, which are at most 1 in modulus: none is mixed with another
    shift = xp.cast(_row(3 * _blocks(w)), C) * xp.eye_like(C)
    return together(w, C) * eigh(C + shift)[1]


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


def _differences(w_bar, w):
    """Dᵢⱼ = (w̄ᵢ − w̄ⱼ)/(wᵢ − wⱼ), and 0 where the eigenvalues are equal."""
    xp = namespace(w)
    return (_row(w_bar) - _column(w_bar)) * xp.cast(inverse_gaps(xp.real(w)), w)


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

    @once
    def C():
        return mH(V) @ hermitian_part(A_bar_bar) @ V

    @once
    def block():
        return together(xp.real(w), V) * C()

    def w_bar_bar():
        B = common_basis(block(), xp.real(w))
        return xp.sum(xp.conj(B) * (block() @ B), axis=-2)

    return (
        w_bar_bar,
        lambda: V @ (_differences(w_bar, w) * C()) @ mH(V),
        None,
        None,
        lambda: V @ block() @ mH(V),
        lambda: xp.cast(_norm(block()), V) * xp.ones_like(w),
    )


@spectral_bar.jvp
def _(A_bar, w_bar, A, w, V, N, norm):
    xp = namespace(A)

    def dot(w_bar_dot, A_dot, *_):
        C = mH(V) @ hermitian_part(A_dot) @ V
        B = common_basis(together(xp.real(w), V) * C, xp.real(w))
        return V @ (_differences(w_bar, w) * C + (B * _row(w_bar_dot)) @ mH(B)) @ mH(V)

    return dot


@primitive("(n,n),(n,n),(n),(n,n),(n,n),(n)->(n)")
def directional(A_dot, A, w, V, N, norm):
    """ẇ of `eigvalsh`, diag(Bᴴ Vᴴ Ȧ V B): the adjoint of `spectral_bar`, with rules for second derivatives as there."""
    xp = namespace(V)
    C = mH(V) @ hermitian_part(A_dot) @ V
    B = common_basis(together(xp.real(w), V) * C, xp.real(w))
    return xp.cast(xp.real(xp.sum(xp.conj(B) * (C @ B), axis=-2)), V)


@directional.vjp
def _(u, w_dot, A_dot, A, w, V, N, norm):
    xp = namespace(A)

    @once
    def C():
        return mH(V) @ hermitian_part(A_dot) @ V

    @once
    def block():
        return together(xp.real(w), V) * C()

    @once
    def B():
        return common_basis(block(), xp.real(w))

    def A_bar():
        turned = V @ B()
        return turned @ (_differences(u, w) * (mH(B()) @ C() @ B())) @ mH(turned)

    return (
        lambda: V @ ((B() * _row(u)) @ mH(B())) @ mH(V),
        A_bar,
        None,
        None,
        lambda: V @ block() @ mH(V),
        lambda: xp.cast(_norm(block()), V) * xp.ones_like(w),
    )


@directional.jvp
def _(w_dot, A_dot, A, w, V, N, norm):
    xp = namespace(A)

    def dot(A_dot_dot, A_dot_2, *_):
        C = mH(V) @ hermitian_part(A_dot) @ V
        B = common_basis(together(xp.real(w), V) * C, xp.real(w))
        turned = V @ B
        C, C2 = mH(B) @ C @ B, mH(turned) @ hermitian_part(A_dot_2) @ turned
        straight = xp.sum(xp.conj(turned) * (hermitian_part(A_dot_dot) @ turned), axis=-2)
        bent = -2 * xp.real(xp.sum(xp.conj(C) * xp.cast(inverse_gaps(xp.real(w)), V) * C2, axis=-1))
        block = together(xp.real(w), V) * C2
        diagonal = xp.real(xp.diagonal(block))
        descents = together(xp.real(w), V)[..., 1:, :-1]
        small = 1e4 * xp.eps(w) * _norm(C2)
        crossed = xp.abs(block - xp.diagonal(block)[..., None, :] * xp.eye_like(V)) > small[..., None]
        falls = (diagonal[..., :-1] - diagonal[..., 1:] > small) & (xp.real(xp.diagonal(descents)) > 0)
        lost = xp.any(crossed, axis=(-2, -1)) | xp.any(falls, axis=-1)
        found = straight + xp.cast(bent, V)
        return xp.where(lost[..., None], np.nan * xp.ones_like(found), found)

    return dot


@eigvalsh.samples
def _(case):
    yield case(spread(case, 4))


@eigvalsh.reference
def _(mp, A, *, UPLO):
    return exact_eigh(mp, A)[0]


# -- two matrices ------------------------------------------------------------------------------------------------------


@primitive("(n,n),(n,n)->(n),(n,n)", hermitian=("A", "B"))
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

    At equal eigenvalues, the choice and what it is good for are those of `eigh`: F = 0. There, a pair of equal ones
    keeps Kᵢⱼ = −Eᵢⱼ/2, so that Vᴴ B V = I holds. Source: Giles (2008), section 3.1, extended by the product rule. Cost:
    four products for one bar, six for both.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.eigh_generalized(np.array([[2.0, 1.0], [1.0, 2.0]]), 2 * np.eye(2))[0]
    array([0.5, 1.5])
    """
    xp = namespace(A, B)
    L = xp.cholesky(B, argument="B")
    strict = xp.tril(A, k=-1)
    half = xp.solve_triangular(L, xp.tril(A) + mH(strict), upper=False)
    w, Y = xp.eigh(hermitian_part(xp.solve_triangular(L, mH(half), upper=False)))
    return w, fixed(xp.solve_triangular(L, Y, upper=False, adjoint=True))


def _equal(w):
    """Ones where two eigenvalues are equal up to rounding, and on the diagonal."""
    xp = namespace(w)
    return xp.cast(xp.abs(_row(w) - _column(w)) <= rounding(w)[..., None], w)


@eigh_generalized.vjp
def _(bars, outputs, A, B):
    (w_bar, V_bar), (w, V), xp = bars, outputs, namespace(outputs[1])

    @once
    def Y():
        return mH(V) @ turned_bar(V, V_bar)

    @once
    def M():
        return 0 if V_bar is None else xp.cast(inverse_gaps(w), V) * Y()

    def spread_out(middle, diagonal):
        if diagonal is not None:
            middle = middle + xp.cast(_row(diagonal), V) * xp.eye_like(V)
        return hermitian_part(V @ middle @ mH(V))

    def B_bar():
        middle = 0 if V_bar is None else M() * xp.cast(_row(w), V) + xp.cast(_equal(w), V) * Y() / 2
        return -spread_out(middle, None if w_bar is None else w_bar * w)

    return lambda: spread_out(M(), w_bar), B_bar


@eigh_generalized.jvp
def _(outputs, A, B):
    (w, V), xp = outputs, namespace(outputs[1])

    def dots(A_dot, B_dot):
        E = mH(V) @ hermitian_part(B_dot) @ V
        C = mH(V) @ hermitian_part(A_dot) @ V - E * xp.cast(_row(w), V)
        K = xp.cast(inverse_gaps(w), V) * C - xp.cast(_equal(w), V) * E / 2
        return xp.real(xp.diagonal(C)), turned_dot(V, V @ K)

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


@primitive("(n),(k)->(n),(n,n)")
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

    For w̄ alone that is d̄ᵢ = Σₖ w̄ₖ |Vᵢₖ|² and ēᵢ = 2 Σₖ w̄ₖ Vᵢₖ conj(Vᵢ₊₁,ₖ), without forming Ā. The value is computed
    with the dense matrix, which is no larger than V, by the library's own `eigh`: on every device, in batches, and
    under XLA. Where no e is 0 all eigenvalues differ; where one is, `eigh` says what holds. Source: Giles (2008),
    section 3.1. Cost: one pass over V for w̄ alone, three products with V̄, where the function costs ten.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> (w, V), pullback = overbar.vjp(overbar.eigh_tridiagonal, np.zeros(3), np.ones(2))
    >>> np.round(w[0], 4), np.round(pullback((np.array([1.0, 0.0, 0.0]), None))[0], 4)
    (np.float64(-1.4142), array([0.25, 0.5 , 0.25]))
    """
    return eigh.function(_tridiagonal(namespace(d, e), d, e), UPLO="L")


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
    (w_bar, V_bar), (_, V), xp = bars, outputs, namespace(outputs[1])
    if V_bar is not None:
        A_bar = once(lambda: _eigh_bar(bars, outputs))
        return lambda: xp.real(xp.diagonal(A_bar())), lambda: 2 * xp.diagonal(A_bar(), offset=1)
    weighted = once(lambda: V * xp.cast(_row(w_bar), V))
    return (
        lambda: xp.real(xp.sum(weighted() * xp.conj(V), axis=-1)),
        lambda: 2 * xp.sum(weighted()[..., :-1, :] * xp.conj(V)[..., 1:, :], axis=-1),
    )


@eigh_tridiagonal.jvp
def _(outputs, d, e):
    xp = namespace(outputs[1])
    V = outputs[1]

    def dots(d_dot, e_dot):
        n = xp.shape(V)[-1]
        above = xp.diagonal_embed(xp.cast(e_dot, V), n, n, offset=1)
        diagonal = xp.diagonal_embed(xp.cast(xp.real(d_dot), V), n, n)
        return _eigh_dots(diagonal + above + mH(above), outputs)

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
