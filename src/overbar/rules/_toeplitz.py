"""Toeplitz matrices, of which the first column and the first row are stored.

May import NumPy, `overbar._namespace`, `overbar._primitive` and `overbar.kernels`. T[i, j] is c[i − j] on and below the
diagonal and r[j − i] above it; r[0] is read by nothing. No rule here forms a full matrix.
"""

from overbar._namespace import front, namespace
from overbar._primitive import once, primitive
from overbar.kernels._toeplitz import levinson, toeplitz_sums, toeplitz_times

# -- products and sums along diagonals ---------------------------------------------------------------------------------


@primitive("(n),(n),(n,k)->(n,k)")
def toeplitz_product(c, r, X, *, adjoint=False):
    """T X, or Tᴴ X."""
    return front(c).compute(toeplitz_times, c, r, X, adjoint=adjoint)[0]


@primitive("(n,k),(n,k)->(n),(n)")
def toeplitz_bar(P, Q):
    """What c and r get of a bar P Qᴴ of T: the adjoint of `toeplitz_product` in c and r."""
    return front(P).compute(toeplitz_sums, P, Q)


@toeplitz_product.vjp
def _(Y_bar, Y, c, r, X, *, adjoint):
    both = once(lambda: toeplitz_bar(X, Y_bar) if adjoint else toeplitz_bar(Y_bar, X))
    return (lambda: both()[0]), (lambda: both()[1]), (lambda: toeplitz_product(c, r, Y_bar, adjoint=not adjoint))


@toeplitz_product.jvp
def _(Y, c, r, X, *, adjoint):
    def Y_dot(c_dot, r_dot, X_dot):
        return toeplitz_product(c_dot, r_dot, X, adjoint=adjoint) + toeplitz_product(c, r, X_dot, adjoint=adjoint)

    return Y_dot


@toeplitz_bar.vjp
def _(bars, outputs, P, Q):
    c_bar, r_bar = (
        namespace(P).zeros_like(out) if bar is None else bar for bar, out in zip(bars, outputs, strict=True)
    )
    return (lambda: toeplitz_product(c_bar, r_bar, Q)), (lambda: toeplitz_product(c_bar, r_bar, P, adjoint=True))


@toeplitz_bar.jvp
def _(outputs, P, Q):
    return (lambda P_dot: toeplitz_bar(P_dot, Q)), (lambda Q_dot: toeplitz_bar(P, Q_dot))


# -- solving -----------------------------------------------------------------------------------------------------------


@primitive("(n),(n),(n,k?)->(n,k?)")
def solve_toeplitz(c, r, b, *, adjoint=False):
    """The solution X of T X = B, or Tᴴ X = B, for a Toeplitz matrix T, which has one number on each diagonal.

    Parameters
    ----------
    c
        The first column of T: T[i, j] is c[i − j] for i ≥ j.
    r
        The first row: T[i, j] is r[j − i] for j > i. Its first entry is not read. (scipy.linalg.solve_toeplitz takes
        the pair (c, r), and the conjugate of c where r is left out.)
    adjoint : bool
        Solve Tᴴ X = B.

    Returns
    -------
    array of the shape of b

    Raises
    ------
    numpy.linalg.LinAlgError
        T is singular. (In a graph of TensorFlow's the error is an InvalidArgumentError or UnknownError with the same
        message; under XLA X is NaN.) Where an entry is not finite, X is NaN.

    Notes
    -----
    From T Ẋ + Ṫ X = Ḃ (Giles 2008, section 2.2.3), where Ṫ is the Toeplitz matrix of ċ and ṙ:

        Ẋ = T⁻¹ (Ḃ − Ṫ X),    B̄ = T⁻ᴴ X̄.

    Each number of c and r stands for a diagonal of T̄ = −B̄ Xᴴ, whose entries add up:

        c̄ₘ = −Σⱼ B̄[j + m] conj(X[j]),    r̄ₘ = −Σⱼ B̄[j] conj(X[j + m]),  m > 0,

    summed over the columns: correlations, whose own derivatives are products with Toeplitz matrices, and the other way
    round. For Tᴴ X = B they are those of −X B̄ᴴ. All of it is computed on the host; the value by the Levinson
    recursion (Golub & Van Loan 2013, section 4.7), whose residual is looked at. It is inaccurate where a leading minor
    of T is nearly singular; such a T, and one that is too ill-conditioned to tell, is solved by elimination, with a
    full matrix, as all are under XLA. Cost: some 4 n² flops and 2 n² for each column; the rules 2 n² more for each.
    Under XLA 2n³/3, and n² numbers.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> c, r = np.array([2.0, 1.0, 0.0]), np.array([2.0, -1.0, 0.0])
    >>> overbar.solve_toeplitz(c, r, np.array([1.0, 2.0, 3.0])).round(12)
    array([1., 1., 1.])
    """
    return front(c).compute(levinson, c, r, b, adjoint=bool(adjoint))[0]


@solve_toeplitz.vjp
def _(X_bar, X, c, r, b, *, adjoint):
    b_bar = once(lambda: solve_toeplitz(c, r, X_bar, adjoint=not adjoint))
    both = once(lambda: toeplitz_bar(X, b_bar()) if adjoint else toeplitz_bar(b_bar(), X))
    return (lambda: -both()[0]), (lambda: -both()[1]), b_bar


@solve_toeplitz.jvp
def _(X, c, r, b, *, adjoint):
    def X_dot(c_dot, r_dot, b_dot):
        rest = b_dot - toeplitz_product(c_dot, r_dot, X, adjoint=adjoint)
        return solve_toeplitz(c, r, rest, adjoint=adjoint)

    return X_dot


@solve_toeplitz.also
def _(*args, **kwargs):
    """scipy.linalg.solve_toeplitz((c, r), b), or (c, b) for a Hermitian matrix, whose first row is conj(c)."""
    if args and isinstance(args[0], tuple) and len(args[0]) == 2 and all(hasattr(x, "shape") for x in args[0]):
        args = (*args[0], *args[1:])
    elif len(args) == 2 and not kwargs.keys() & {"c", "r", "B"}:
        c = args[0]
        args = (c, namespace(c).conj(c) if hasattr(c, "dtype") else c, args[1])
    if "b" in kwargs and "B" not in kwargs:
        kwargs["B"] = kwargs.pop("b")
    return args, kwargs


@solve_toeplitz.samples
def _(case):
    for adjoint in (False, True):
        c, r = case.normal(4), case.normal(4)
        c[..., 0] += 2 * c.shape[-1]  # a dominant diagonal
        yield case(c, r, case.normal(4, 2), adjoint=adjoint)


@solve_toeplitz.reference
def _(mp, c, r, b, *, adjoint):
    n = len(c)
    T = mp.zeros((n, n))
    for i in range(n):
        for j in range(n):
            T[i, j] = c[i - j] if i >= j else r[j - i]
    return mp.solve(mp.mH(T) if adjoint else T, b)
