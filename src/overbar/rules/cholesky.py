"""The Cholesky decomposition, by the rules of Murray (2016), "Differentiation of the Cholesky decomposition",
arXiv:1602.07527.

May import `overbar.namespace` and `overbar.primitive`, and the other families of `rules`.
"""

from overbar.namespace import mH, namespace
from overbar.primitive import primitive
from overbar.rules.masking import phi

# Below this size one symbolic rule on the whole matrix is faster than two halves and the products that join them.
BASE = 128

# How often a matrix whose size is not known is halved.
DEPTH = 3


@primitive("(n,n)->(n,n)", hermitian=("A",))
def cholesky(A, *, upper=False):
    """The Cholesky factor of a symmetric (Hermitian) positive definite matrix: A = L Lᴴ.

    Parameters
    ----------
    A : array (..., n, n)
        Symmetric or Hermitian positive definite; float32, float64, complex64 or complex128. Only its lower triangle is
        read; its bar comes back Hermitian, as the derivative with respect to a matrix that stays so.
    upper : bool
        Return U = Lᴴ with A = Uᴴ U instead.

    Returns
    -------
    array (..., n, n)
        L, lower triangular with positive real diagonal; or U, upper triangular.

    Raises
    ------
    numpy.linalg.LinAlgError, torch.linalg.LinAlgError, tf.errors.InvalidArgumentError
        A is not square, not finite or not positive definite; the message names the matrix of the batch and the leading
        minor. Under XLA, which cannot raise, the whole failed matrix is NaN. (Plus infinity on the diagonal is an
        error in NumPy and TensorFlow; PyTorch's kernel takes its square root, and so does the op there.)

    Notes
    -----
    Forward (Murray 2016, section 3). Differentiate A = L Lᴴ and multiply from both sides:

        Ȧ = L̇ Lᴴ + L L̇ᴴ    ⇒    L⁻¹ Ȧ L⁻ᴴ = L⁻¹L̇ + (L⁻¹L̇)ᴴ.

    L⁻¹L̇ is lower triangular with real diagonal, so that it is Φ of the left side, the lower triangle with halved
    diagonal:

        L̇ = L Φ(L⁻¹ Ȧ L⁻ᴴ).

    Reverse. Move everything in ⟨L̄, L̇⟩ = Re tr(L̄ᴴ L Φ(L⁻¹ Ȧ L⁻ᴴ)) off Ȧ; Φ is its own adjoint:

        Ā = sym(L⁻ᴴ Φ(Lᴴ L̄) L⁻¹),    sym(X) = (X + Xᴴ)/2.

    This "symbolic" rule costs as much as several inverses. At large n the factor is split into 2 by 2 blocks,

        L₁₁ = chol(A₁₁),    L₂₁ = A₂₁ L₁₁⁻ᴴ,    L₂₂ = chol(A₂₂ − L₂₁ L₂₁ᴴ),

    whose reverse sweep is (last line first)

        Ā₂₂ = chol_bar(L₂₂, L̄₂₂)
        L̄₂₁ ← L̄₂₁ − 2 Ā₂₂ L₂₁
        Ā₂₁ = L̄₂₁ L₁₁⁻¹,    L̄₁₁ ← L̄₁₁ − Ā₂₁ᴴ L₂₁
        Ā₁₁ = chol_bar(L₁₁, L̄₁₁),

    where Ā₂₁ is the bar of both triangles together: each gets half. With h = n/2 a level costs 2h³ + h³ + h³ flops
    (only the lower triangle of L̄₁₁ is updated), all levels together 2n³/3: for large n twice the function, nearly
    all in matrix products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.cholesky(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]])
    """
    L = namespace(A).cholesky(A, argument="A")
    return mH(L) if upper else L


@cholesky.vjp
def _(L_bar, L, A, *, upper):
    return (lambda: reverse(mH(L), mH(L_bar)) if upper else reverse(L, L_bar),)


@cholesky.jvp
def _(L, A, *, upper):
    return (lambda A_dot: mH(forward_symbolic(mH(L), A_dot)) if upper else forward_symbolic(L, A_dot),)


def forward_symbolic(L, A_dot):
    """L̇ = L Φ(L⁻¹ Ȧ L⁻ᴴ), with Ȧ symmetrised."""
    xp = namespace(L)
    A_dot = (A_dot + mH(A_dot)) / 2
    middle = xp.solve_triangular(L, A_dot, upper=False)
    middle = xp.solve_triangular(L, middle, upper=False, adjoint=True, left=False)
    return L @ phi.function(middle)


def reverse_symbolic(L, L_bar):
    """Ā = sym(L⁻ᴴ Φ(Lᴴ L̄) L⁻¹)."""
    xp = namespace(L)
    L_bar = xp.tril(L_bar)  # the product below would drop what is above the diagonal, but for infinities and NaN
    middle = xp.solve_triangular(L, phi.function(mH(L) @ L_bar), upper=False, adjoint=True)
    A_bar = xp.solve_triangular(L, middle, upper=False, left=False)
    return (A_bar + mH(A_bar)) / 2


def reverse(L, L_bar):
    """The same, on blocks where L is large."""
    xp = namespace(L)
    if L.shape[-1] is None:  # not known while a graph is built: it gets both ways, and a fixed number of blocks
        return xp.cond(
            xp.shape(L)[-1] <= 2 * BASE,
            lambda: reverse_symbolic(L, L_bar),
            lambda: reverse_recursive(L, L_bar, depth=DEPTH),
        )
    return reverse_recursive(L, L_bar)


def reverse_recursive(L, L_bar, updates=(), out=None, depth=None):
    """The same on 2 by 2 blocks, until they are small.

    Only the lower triangle of L̄ matters. The updates L̄₁₁ − Ā₂₁ᴴ L₂₁ are therefore not done at once, which would
    fill the upper triangle too, but kept in `updates` as pairs (Ā₂₁, L₂₁) and applied to each block when it is used.
    `out` is where to write Ā, in place of new memory for the blocks of every level; None where arrays cannot be
    written to, or where somebody watches this computation to differentiate it. `depth` is how often to halve L where
    its size is not known.
    """
    xp = namespace(L)
    n = xp.shape(L)[-1]

    def update(block, products):
        for P, Q in products:
            block = xp.add_product(block, mH(P), Q, -1)
        return block

    if depth == 0 if depth is not None else n <= BASE:
        A_bar = reverse_symbolic(L, update(L_bar, updates))
        if out is not None:
            out[...] = A_bar
        return A_bar
    if out is None:
        out = xp.buffer(L, L_bar)
    k = split(n) if depth is None else n // 2
    depth = None if depth is None else depth - 1
    one, two = slice(0, k), slice(k, n)
    L11, L21, L22 = L[..., one, one], L[..., two, one], L[..., two, two]
    out11, out22 = (None, None) if out is None else (out[..., one, one], out[..., two, two])

    updates22 = [(P[..., two], Q[..., two]) for P, Q in updates]
    A22_bar = reverse_recursive(L22, L_bar[..., two, two], updates22, out22, depth)
    L21_bar = update(L_bar[..., two, one], [(P[..., two], Q[..., one]) for P, Q in updates])
    L21_bar = xp.add_product(L21_bar, A22_bar, L21, -2)
    A21_bar = xp.solve_triangular(L11, L21_bar, upper=False, left=False)
    updates11 = [(P[..., one], Q[..., one]) for P, Q in updates] + [(A21_bar, L21)]
    A11_bar = reverse_recursive(L11, L_bar[..., one, one], updates11, out11, depth)

    half = A21_bar / 2
    if out is None:
        return xp.block([[A11_bar, mH(half)], [half, A22_bar]])
    out[..., two, one] = half
    out[..., one, two] = mH(half)
    return out


def split(n):
    """Where to cut n: the smallest BASE · 2ʲ that is at least half of it, which keeps the blocks aligned."""
    k = BASE
    while 2 * k < n:
        k *= 2
    return k


@cholesky.samples
def _(case):
    for upper in (False, True):
        yield case(case.positive_definite(4), upper=upper)


@cholesky.reference
def _(mp, A, *, upper):
    L = mp.cholesky(A)
    return mp.mH(L) if upper else L
