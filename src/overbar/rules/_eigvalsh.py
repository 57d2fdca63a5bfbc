"""The eigenvalues of symmetric (Hermitian) matrices.

May import `overbar._primitive` and `rules.eigen`, whose rules these are.
"""

from overbar._primitive import primitive
from overbar.rules._eigen import decomposed, decomposed_bar, decomposed_dots, exact_eigh, spread, triangle_read


@primitive("(n,n)->(n),(n,n),(n,n),(t)", intermediates=3, hermitian=("A",))
def eigvalsh(A, *, UPLO: str = "L"):
    """The eigenvalues of a symmetric (Hermitian) matrix, in ascending order.

    Parameters
    ----------
    A
        Symmetric or Hermitian. Only one triangle is read; the bar comes back Hermitian, as the derivative with respect
        to a matrix that stays so.
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
    cotangent of Ā instead of Ȧ, also for eigenvalues that are close (by less than √ε of the largest) if their w̄
    are: D is rounding there, with an error of ε over the gap, and the limit has one of the gap. It reaches this
    function's rule as the cotangent of an intermediate, which is constantly zero and serves for nothing else. So does a
    sum of norms: where several cotangents that want different bases are added up before they get here (a second
    derivative of *two* gradients through one call, multiplied with different vectors and added), what would be needed
    is lost in the sum, which the triangle inequality shows. Then Ā is NaN, if eigenvalues are equal: differentiate in
    two passes, or call eigvalsh twice. So it is in reverse over forward mode for a sum of derivatives along several
    directions. (But not for each by itself, as in jacrev(jacfwd(f)): directions whose derivatives have no cotangents
    are not heard, unless f is stationary in all eigenvalues.) In forward over forward mode along two directions without
    a common basis the second derivatives of equal eigenvalues are NaN, and those of others are right.
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
    return (lambda A_dot: decomposed_dots(A_dot, outputs, A, vectors=False),)


eigvalsh.also(lambda *args, **kwargs: triangle_read(args, kwargs))


@eigvalsh.samples
def _(case):
    yield case(spread(case, 4))


@eigvalsh.reference
def _(mp, A, *, UPLO):
    return exact_eigh(mp, A)[0]
