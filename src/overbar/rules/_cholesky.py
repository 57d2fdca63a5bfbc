"""The Cholesky decomposition, by the rules of Murray (2016), "Differentiation of the Cholesky decomposition",
arXiv:1602.07527.

May import `overbar._namespace`, `overbar._primitive`, `overbar.kernels`, `rules.failing`, `rules.halving` and
`rules.many_small`.
"""

import functools

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive
from overbar.kernels._cholesky_blocks import EVEN, LARGEST, LEAST, cholesky_cotangent, cholesky_tangent
from overbar.kernels._side_by_side import for_loops
from overbar.kernels._small_cholesky import small_cholesky, small_cholesky_cotangent
from overbar.rules._failing import what_on_error
from overbar.rules._halving import added, base, by_size, divided, inverses_of_blocks, parts, split_at, updated
from overbar.rules._many_small import are_quicker_otherwise, as_stacks, reverse_in_vectors


@primitive("(n,n)->(n,n)", hermitian=("A",))
def cholesky(A, *, upper=False, on_error="raise"):
    """The Cholesky factor of a symmetric (Hermitian) positive definite matrix: A = L Lᴴ.

    Parameters
    ----------
    A
        Symmetric or Hermitian positive definite. Only its lower triangle is read; its bar comes back Hermitian, as the
        derivative with respect to a matrix that stays so.
    upper : bool
        Return U = Lᴴ with A = Uᴴ U instead.
    on_error : str
        "raise", or "nan": then a matrix that is not positive definite has a factor and a bar of NaN, and the others of
        the batch are as if it were not there.

    Returns
    -------
    array (..., n, n)
        L, lower triangular with positive real diagonal; or U, upper triangular.

    Raises
    ------
    numpy.linalg.LinAlgError, torch.linalg.LinAlgError, tf.errors.InvalidArgumentError
        A is not finite or not positive definite; the message names the matrix of the batch and the leading minor. Under
        XLA, which cannot raise, the whole failed matrix is NaN. (Plus infinity on the diagonal is an error in NumPy and
        TensorFlow; PyTorch's kernel takes its square root, and so does the op there.)

    Notes
    -----
    Forward (Murray 2016, section 3). Differentiate A = L Lᴴ and multiply from both sides:

        Ȧ = L̇ Lᴴ + L L̇ᴴ    ⇒    L⁻¹ Ȧ L⁻ᴴ = L⁻¹L̇ + (L⁻¹L̇)ᴴ.

    L⁻¹L̇ is lower triangular with real diagonal, so that it is Φ of the left side, the lower triangle with halved
    diagonal:

        L̇ = L Φ(L⁻¹ Ȧ L⁻ᴴ).

    Reverse. Move everything in ⟨L̄, L̇⟩ = Re tr(L̄ᴴ L Φ(L⁻¹ Ȧ L⁻ᴴ)) off Ȧ; Φ is its own adjoint:

        Ā = sym(L⁻ᴴ Φ(Lᴴ L̄) L⁻¹),    sym(X) = (X + Xᴴ)/2.

    These "symbolic" rules cost as much as several inverses. At large n the factor is split into 2 by 2 blocks,

        L₁₁ = chol(A₁₁),    L₂₁ = A₂₁ L₁₁⁻ᴴ,    L₂₂ = chol(A₂₂ − L₂₁ L₂₁ᴴ),

    whose derivative is, line by line,

        L̇₁₁ = chol_dot(L₁₁, Ȧ₁₁)
        L̇₂₁ = (Ȧ₂₁ − L₂₁ L̇₁₁ᴴ) L₁₁⁻ᴴ
        L̇₂₂ = chol_dot(L₂₂, Ȧ₂₂ − L̇₂₁ L₂₁ᴴ − L₂₁ L̇₂₁ᴴ),

    and whose reverse sweep is (last line first)

        Ā₂₂ = chol_bar(L₂₂, L̄₂₂)
        L̄₂₁ ← L̄₂₁ − 2 Ā₂₂ L₂₁
        Ā₂₁ = L̄₂₁ L₁₁⁻¹,    L̄₁₁ ← L̄₁₁ − Ā₂₁ᴴ L₂₁
        Ā₁₁ = chol_bar(L₁₁, L̄₁₁),

    where Ā₂₁ is the bar of both triangles together: each gets half. With h = n/2 a level of the reverse rule costs
    2h³ + h³ + h³ flops (only the lower triangle of L̄₁₁ is updated), all levels together 2n³/3: for large n twice the
    function, nearly all in matrix products. A level of the forward rule costs 2h³ + h³ + 2h³, all 5n³/6. Cost: for
    large n, twice the flops of the function in reverse, and two and a half times in forward mode.

    What is divided by L₁₁ is divided by the inverses of blocks on its diagonal, where memory can be written to: by
    products, in two thirds of the time that a substitution takes. One matrix of 40 rows to 640 (in double precision) is
    left to kernels of SciPy's BLAS where it starts no threads that others wait for.

    Accuracy: where entries on the diagonal of L differ by more than a factor of 8, as those of smooth covariances with
    little noise do, halves would lose several digits, and the symbolic rule is taken, with substitutions: its error is
    some 50 ε, relative to the largest entry. It takes 7n³/3 flops, less than the 4n³ of PyTorch and TensorFlow. (Nobody
    looks under a transform of torch.func, on a device, and in Dask: there it is by halves.)

    As A counts as Hermitian, the factor is no analytic function of it: a complex step through it is wrong without an
    error. Take one through `logdet` or `solve`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]])

    A matrix that fails, in a batch:

    >>> L = overbar.cholesky(np.array([[[4.0]], [[-1.0]], [[9.0]]]), on_error="nan")
    >>> L[:, 0, 0], np.isnan(L).any((-2, -1))
    (array([ 2., nan,  3.]), array([False,  True, False]))
    """
    L = factor(A, on_error=what_on_error("cholesky", on_error))
    return mH(L) if upper else L


@cholesky.vjp
def _(L_bar, L, A, *, upper, on_error):
    return (lambda: reverse(mH(L), mH(L_bar)) if upper else reverse(L, L_bar),)


@cholesky.jvp
def _(L, A, *, upper, on_error):
    return (lambda A_dot: mH(forward(mH(L), A_dot)) if upper else forward(L, A_dot),)


def factor(A, argument="A", on_error="raise"):
    """`Words.cholesky`, of many small matrices by a compiled loop, where there is one and nobody watches."""
    library = front(A)
    if for_loops(A) and library.may_compute(A):
        L, failed = library.compute(small_cholesky, A, threads=library.threads())
        if not library.may_hold(failed > 0):
            return L  # else LAPACK, too, has its say, and the library its error
    return library.xp.cholesky(A, argument=argument, on_error=on_error)


def factor_to_keep(A, argument="A"):
    """The factor where it is an output for the rules, which keep it as long as the bars of A are computed."""
    return front(A).compact(factor(A, argument))


def forward_symbolic(L, A_dot, inverse=None):
    """L̇ = L Φ(L⁻¹ Ȧ L⁻ᴴ), for Hermitian Ȧ. `inverse` is L⁻¹, where that is known."""
    xp = namespace(L)
    if inverse is not None:
        return L @ xp.phi(inverse @ A_dot @ mH(inverse))
    middle = xp.solve_triangular(L, A_dot, upper=False)
    middle = xp.solve_triangular(L, middle, upper=False, adjoint=True, left=False)
    return L @ xp.phi(middle)


def forward(L, A_dot):
    """The same, on blocks where L is large."""
    A_dot = (A_dot + mH(A_dot)) / 2
    if for_blas(L, A_dot):
        return front(L).compute(cholesky_tangent, L, A_dot)[0]
    return by_size(forward_large, L, A_dot)


def for_blas(L, X):
    """Whether a kernel of SciPy's BLAS is quicker than words."""
    n = L.shape[-1]
    if len(L.shape) > 2 or len(X.shape) > 2 or type(n) is not int:  # a compiler has symbols
        return False
    return n >= LEAST and front(L).has_blas(L, X) and n * L.dtype.itemsize <= LARGEST


def forward_large(L, A_dot, out=None, depth=None):
    """The same for a large matrix, or one of unknown size, as `reverse_large`."""
    halves = functools.partial(forward_recursive, L, A_dot, (), out, depth)
    return _halves_where_exact(L, depth, halves, lambda: forward_symbolic(L, A_dot))


def forward_recursive(L, A_dot, updates=(), out=None, depth=None, inverses=None):
    """The same on 2 by 2 blocks, until they are small, for Hermitian Ȧ.

    Only the lower triangle of what is left of Ȧ₂₂ matters. So Ȧ₂₂ − L̇₂₁ L₂₁ᴴ − L₂₁ L̇₂₁ᴴ is not computed at once: the
    pairs (L̇₂₁, L₂₁) and (L₂₁, L̇₂₁) are kept in `updates`, and applied to each block when it is used. `out`, `depth` and
    `inverses` are those of `reverse_recursive`.
    """
    xp = namespace(L)

    def update(block, products, out):
        return updated(block, [(P, xp.mH(Q)) for P, Q in products], out)

    k, depth = split_at(L, depth)
    if k is None:
        inverse = None if inverses is None else inverses[0]
        L_dot = forward_symbolic(L, update(A_dot, updates, out) if updates else A_dot, inverse)
        if out is not None:
            out[...] = L_dot
        return L_dot
    one, two, inverses1, inverses2 = _halves(L, k, inverses, out)
    L11, L21, L22 = L[..., one, one], L[..., two, one], L[..., two, two]
    out11, out21, out22 = parts(out, one, two)

    updates11 = [(P[..., one, :], Q[..., one, :]) for P, Q in updates]
    L11_dot = forward_recursive(L11, A_dot[..., one, one], updates11, out11, depth, inverses1)
    L21_dot = update(A_dot[..., two, one], [(P[..., two, :], Q[..., one, :]) for P, Q in updates], out21)
    L21_dot = added(L21_dot, L21, mH(L11_dot), -1, out21)
    L21_dot = divided(L21_dot, L11, inverses1, True, out21)
    updates22 = [(P[..., two, :], Q[..., two, :]) for P, Q in updates] + [(L21_dot, L21), (L21, L21_dot)]
    L22_dot = forward_recursive(L22, A_dot[..., two, two], updates22, out22, depth, inverses2)

    if out is None:
        return xp.block([[L11_dot, xp.zeros_like(mH(L21_dot))], [L21_dot, L22_dot]])
    out[..., one, two] = 0
    return out


def reverse_symbolic(L, L_bar, inverse=None):
    """Ā = sym(L⁻ᴴ Φ(Lᴴ L̄) L⁻¹), by the adjoint of what is in the brackets. `inverse` is L⁻¹, where that is known."""
    xp = namespace(L)
    L_bar = xp.tril(L_bar)  # the product below would drop what is above the diagonal, but for infinities and NaN
    middle = xp.phi(xp.mH(L) @ L_bar)
    if inverse is not None:
        A_bar = xp.mH(inverse) @ middle @ inverse
    else:
        middle = xp.solve_triangular(L, middle, upper=False, adjoint=True)
        A_bar = xp.solve_triangular(L, xp.mH(middle), upper=False, adjoint=True)
    return (A_bar + xp.mH(A_bar)) / 2


def reverse(L, L_bar):
    """The same, on blocks where L is large; of many small matrices by a compiled loop, where there is one and nobody
    watches, and of one that is neither small nor large by BLAS."""
    library = front(L, L_bar)
    if for_loops(L) and library.may_compute(L, L_bar):
        return library.compute(small_cholesky_cotangent, L, L_bar, threads=library.threads())[0]
    if for_blas(L, L_bar):
        return library.compute(cholesky_cotangent, L, L_bar)[0]
    if len(L.shape) > 2 and are_quicker_otherwise(L, L_bar):
        return as_stacks(reverse_in_vectors, reverse_symbolic, L, L_bar)
    return by_size(reverse_large, L, L_bar)


def reverse_large(L, L_bar, out=None, depth=None):
    """The same for a large matrix, or one of unknown size. `out` and `depth` are those of `reverse_recursive`."""
    return _halves_where_exact(
        L,
        depth,
        lambda: reverse_recursive(L, L_bar, (), out, depth),
        lambda: reverse_symbolic(L, L_bar) if out is None else reverse_by_solving(L, L_bar, out),
    )


def _halves_where_exact(L, depth, halves, otherwise):
    """By halves if the entries on the diagonal of L are of one size, or where nobody can tell. Halves divide by L₁₁
    what was multiplied with Ā₂₂, which is as large as L₂₂⁻², and multiply it with L₂₁ and divide again: of smooth
    covariances with little noise that would cost several digits."""
    library, xp = front(L), namespace(L)
    if depth is not None or not library.sees_numbers(L) or library.device_type(L) != "cpu":
        return halves()
    size = xp.abs(xp.diagonal(L))
    return library.choose(xp.max(size, axis=-1) <= EVEN * xp.min(size, axis=-1), halves, otherwise)


def reverse_by_solving(L, L_bar, out):
    """`reverse_symbolic` of a large matrix, which uses the memory `out`: of S = Φ(Lᴴ L̄) + its adjoint the lower
    triangle is computed, by blocks of rows, then 2 Ā = L⁻ᴴ S L⁻¹ by two substitutions. 7n³/3 flops, where halves take
    2n³/3."""
    xp, n, size = namespace(L), L.shape[-1], 4 * base(L)
    out[...] = L_bar
    for i in range(0, n, size):  # downwards: a block of rows is made of those from it on
        rows = slice(i, min(i + size, n))
        out[..., rows, rows] = xp.tril(out[..., rows, rows])
        out[..., rows, : rows.stop] = xp.mH(L[..., i:, rows]) @ out[..., i:, : rows.stop]
        half = xp.phi(out[..., rows, rows])
        out[..., rows, rows] = half + xp.mH(half)
        out[..., :i, rows] = xp.mH(out[..., rows, :i])
    W = xp.solve_triangular(L, out, upper=False, left=False)
    X = xp.solve_triangular(L, xp.mH(W), upper=False, left=False)
    return (X + xp.mH(X)) / 4


def reverse_recursive(L, L_bar, updates=(), out=None, depth=None, inverses=None):
    """The same on 2 by 2 blocks, until they are small.

    Only the lower triangle of L̄ matters. The updates L̄₁₁ − Ā₂₁ᴴ L₂₁ are therefore not done at once, which would
    fill the upper triangle too, but kept in `updates` as pairs (Ā₂₁, L₂₁) and applied to each block when it is used.
    `out` is where to compute Ā, in place of new memory for the blocks of every level; None where arrays cannot be
    written to, or where somebody watches this computation to differentiate it. `depth` is that of `halving.split_at`,
    and `inverses` are those of the blocks on the diagonal of L, which `halving.divide` takes, where there is `out`.
    """
    xp = namespace(L)

    def update(block, products, out):
        return updated(block, [(xp.mH(P), Q) for P, Q in products], out)

    k, depth = split_at(L, depth)
    if k is None:
        inverse = None if inverses is None else inverses[0]
        A_bar = reverse_symbolic(L, update(L_bar, updates, out) if updates else L_bar, inverse)
        if out is not None:
            out[...] = A_bar
        return A_bar
    one, two, inverses1, inverses2 = _halves(L, k, inverses, out)
    L11, L21, L22 = L[..., one, one], L[..., two, one], L[..., two, two]
    out11, out21, out22 = parts(out, one, two)

    L21_bar = update(L_bar[..., two, one], [(P[..., two], Q[..., one]) for P, Q in updates], out21)
    updates22 = [(P[..., two], Q[..., two]) for P, Q in updates]
    updates11 = [(P[..., one], Q[..., one]) for P, Q in updates]
    A22_bar = reverse_recursive(L22, L_bar[..., two, two], updates22, out22, depth, inverses2)
    L21_bar = added(L21_bar, A22_bar, L21, -2, out21)
    A21_bar = divided(L21_bar, L11, inverses1, False, out21)
    updates11.append((A21_bar, L21))
    A11_bar = reverse_recursive(L11, L_bar[..., one, one], updates11, out11, depth, inverses1)

    if out is None:
        half = A21_bar / 2
        return xp.block([[A11_bar, mH(half)], [half, A22_bar]])
    out21 /= 2
    out[..., one, two] = xp.mH(out21)
    return out


def _halves(L, k, inverses, out):
    """The rows of both halves, and the inverses of the blocks of each, None where there are none."""
    one, two = slice(0, k), slice(k, None)
    if inverses is None and out is not None:
        inverses = inverses_of_blocks(L)
    if inverses is None:
        return one, two, None, None
    count = k // inverses[0].shape[-1]
    return one, two, inverses[:count], inverses[count:]


@cholesky.samples
def _(case):
    for upper in (False, True):
        yield case(case.positive_definite(4), upper=upper)


@cholesky.reference
def _(mp, A, *, upper, on_error):
    L = mp.cholesky(A)
    return mp.mH(L) if upper else L
