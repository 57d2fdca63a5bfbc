"""Solutions of the systems of a general matrix whose factors are known, and its inverse.

May import `overbar._namespace` and `overbar._primitive`.
"""

from overbar._namespace import mH, namespace
from overbar._primitive import once, primitive


@primitive("(n,n),(p,q),(n,r),(s)->(p,q)")
def solve_with_factors(A, B, factors, pivots, *, left=True, adjoint=False):
    """The solution X of op(A) X = B or X op(A) = B, with op(A) = A or Aᴴ, from what `Words.solve_by_factors` has kept
    of A.

    A function of A and B: the factors depend on A, and get no bar. So A is factorised once for the derivatives of every
    order, which are those of `solve`:

        B̄ = op(A)⁻ᴴ X̄,    Ā = −B̄ Xᴴ    (its adjoint, −X B̄ᴴ, where op(A) = Aᴴ),    Ẋ = op(A)⁻¹ (Ḃ − op(Ȧ) X),

    or with the factors on the other side.
    """
    return namespace(A).solve_with_factors(A, factors, pivots, B, left, adjoint)


@solve_with_factors.vjp
def _(X_bar, X, A, B, factors, pivots, *, left, adjoint):
    @once
    def B_bar():
        return solve_with_factors(A, X_bar, factors, pivots, left=left, adjoint=not adjoint)

    return lambda: bar_of_matrix(B_bar(), X, left, adjoint), B_bar, None, None


@solve_with_factors.jvp
def _(X, A, B, factors, pivots, *, left, adjoint):
    def X_dot(A_dot, B_dot, *_):
        right = moved(A_dot, B_dot, X, left, adjoint)
        return solve_with_factors(A, right, factors, pivots, left=left, adjoint=adjoint)

    return X_dot


def bar_of_matrix(B_bar, X, left, adjoint):
    """Ā = −B̄ Xᴴ or −Xᴴ B̄, or its adjoint."""
    if left:
        return -(X @ mH(B_bar) if adjoint else B_bar @ mH(X))
    return -(mH(B_bar) @ X if adjoint else mH(X) @ B_bar)


def moved(A_dot, B_dot, X, left, adjoint):
    """Ḃ − op(Ȧ) X or Ḃ − X op(Ȧ)."""
    A_dot = mH(A_dot) if adjoint else A_dot
    return B_dot - (A_dot @ X if left else X @ A_dot)


@primitive("(n,n),(n,r),(s)->(n,n)")
def inverse_with_factors(A, factors, pivots):
    """The inverse C = A⁻¹, from what `Words.slogdet_by_factors` has kept of A: a function of A, with `inv`'s rules."""
    return namespace(A).inverse_with_factors(A, factors, pivots)


@inverse_with_factors.vjp
def _(C_bar, C, A, factors, pivots):
    return lambda: -(mH(C) @ C_bar @ mH(C)), None, None


@inverse_with_factors.jvp
def _(C, A, factors, pivots):
    return lambda A_dot: -(C @ A_dot @ C), None, None
