"""Any function of a general square matrix, diagonalisable or not.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar.kernels` and `rules.frechet`. f is evaluated as
an array function of the caller's library; what comes before and after it, a Schur form and triangular equations, is
computed on the host, in double precision whatever the dtype.
"""

import functools
import operator

import numpy as np

from overbar._namespace import front, namespace
from overbar._primitive import primitive
from overbar.kernels import kernel
from overbar.kernels._schur_parlett import TERMS, funm_along, funm_nodes
from overbar.rules._frechet import differentiable, evaluate, evaluated_by


@functools.cache
def _funm_kernel(order):
    """The kernel of D^k f(A)[E₁, …], which gets A, its Schur form, f at the eigenvalues, f around them, and the Eᵢ."""

    def function(A, T, Q, at, values, radii, *directions, given):
        return funm_along(A, T, Q, at, values, radii, directions, given)

    function.__name__ = f"funm_along_{order}"
    signature = f"(n,n),(n,n),(n,n),(n),(m,j,k),(m,j){',(n,n)' * order}->(n,n)"
    return kernel(signature)(function)


for _order in range(4):  # before a compiler traces a call: orders above are rare
    _funm_kernel(_order)


@primitive("(n,n)->(n,n)")
def funm(A, *, f, df=None):
    """A function C = f(A) of a general square matrix, diagonalisable or not, from a function f of numbers.

    Parameters
    ----------
    A
        Any square matrix, with equal or close eigenvalues too.
    f : callable
        An analytic function of an array of complex numbers, entry by entry, such as ``overbar.exp``; written with the
        functions of ``xp = overbar.namespace(x)`` it takes the arrays of every library. It gets the eigenvalues, and
        points on circles around them. (scipy.linalg.funm calls it `func`.)
    df : callable, optional
        ``df(x, k)``, the k-th derivative of f, for k = 1, 2, ..., 25. By default it is found from the values of f on
        circles. For an f that knows no complex numbers, or none but near the eigenvalues.

    Returns
    -------
    array (..., n, n)
        Real for real A. Computed on the host, in double precision; under XLA, which cannot call the host, an error says
        so.

    Raises
    ------
    TypeError
        f or df is no function; or its values depend on something besides the eigenvalues that is being differentiated,
        a parameter of yours, whose derivative would be lost. (In PyTorch not under ``torch.no_grad()``, where there is
        none. TensorFlow's graphs cannot always see it: the gradient is NaN then.)
    LinAlgError of the array's library
        f is not finite at an eigenvalue; f is not analytic around an eigenvalue where more than the value there is
        needed, which is so for repeated eigenvalues and for derivatives; no three digits are certain; A is real and
        f(A) is not; an entry of A is NaN or infinite.

    Notes
    -----
    With the Schur form A = Q T Qᴴ, f(A) = Q f(T) Qᴴ. The eigenvalues are divided into clusters, as Davies and Higham
    (2003) do for Parlett's recurrence. With U, from triangular Sylvester equations, U⁻¹ T U has a block for each
    cluster and nothing else, and a block with the centre z is

        f(B) = Σₖ aₖ (B − z I)ᵏ,    aₖ = f⁽ᵏ⁾(z)/k! = 1/(2π rᵏ) ∫ f(z + r e^(iθ)) e^(−ikθ) dθ,

    Cauchy's integral by the trapezoidal rule at 32 points, which converges geometrically. The coefficients that should
    vanish tell how well a circle serves: where it meets a singularity or a branch cut, or f is not analytic, they do
    not. Each cluster is tried with 19 radii. What is a cluster is not set by a distance. The eigenvalues are joined to
    a tree, the nearest first, and the tree is cut where the estimated error is least: that of a series grows with
    ‖|B − z I|ᵏ‖/rᵏ, that of cutting with 1/gap. So an entire function of a matrix of moderate size has one cluster, and
    a square root has small ones near 0.

    The derivative along E is the coefficient of ε in f(A + εE), ε² = 0. All of the above is done with A + εE instead
    of A: S + εS′ makes D + εE block diagonal where D is, from D S′ − S′ D = −E outside the blocks, and the series
    are those of B + εE. It needs one derivative of f more at each cluster, and no difference of eigenvalues but those
    between clusters. With L(A, E) for it,

        Ċ = L(A, Ȧ),    Ā = L(A, C̄ᴴ)ᴴ,

    the second by turning traces; `overbar.rules._frechet` derives it, also for higher derivatives.

    Source: Davies and Higham (2003), "A Schur–Parlett algorithm for computing matrix functions"; Higham (2008),
    Functions of Matrices, chapters 9 and 3 (Theorem 3.6); Bavely and Stewart (1979) for the block diagonal form; Lyness
    and Moler (1967) for derivatives by circles. Cost: a Schur form, f at 1,200 points for each eigenvalue, and n³
    operations for the Sylvester equations; three times these for a rule.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A = np.array([[1.0, 1.0], [0.0, 1.0]])  # no full set of eigenvectors
    >>> overbar.funm(A, f=overbar.exp).round(4)
    array([[2.7183, 2.7183],
           [0.    , 2.7183]])

    A root of order three, and its derivative:

    >>> def f(x):
    ...     xp = overbar.namespace(x)
    ...     return xp.exp(xp.log(x) / 3)
    >>> C, pullback = overbar.vjp(lambda A: overbar.funm(A, f=f), 8 * A)
    >>> (C @ C @ C).round(4), pullback(np.eye(2))[0].round(4)
    (array([[8., 8.],
           [0., 8.]]), array([[ 0.0833,  0.    ],
           [-0.0556,  0.0833]]))
    """
    return evaluate("funm", A, f=f, df=df)


@evaluated_by("funm")
def _(A, *directions, f, df):
    xp = namespace(A)
    if not callable(f) or not (df is None or callable(df)):
        name, value = ("df", df) if callable(f) else ("f", f)
        raise TypeError(f"funm: the option {name} is {value!r}. It must be a function of an array.")
    like = functools.reduce(operator.add, (E[..., :1, :1] for E in directions), A[..., :1, :1])
    row = A[..., 0, :]
    clusters = xp.concat([row, row[..., 1:]], axis=-1)  # of 2n − 1, where n may be unknown in a graph
    T, Q, centres, radii, circles = front(A).compute(funm_nodes, A, clusters)
    at = _values(xp.diagonal(T), "f", f)
    if df is None:
        values = _values(circles, "f", f)
    else:
        given = [_values(centres, "f", f)]
        given += [_values(centres, "df", lambda x, k=k: df(x, k)) for k in range(1, TERMS + 1)]
        values, radii = xp.stack(given, axis=-1)[..., None, :], xp.ones_like(radii[..., :1])
    kernel = _funm_kernel(len(directions))
    (found,) = front(A).compute(kernel, A, T, Q, at, values, radii, *directions, given=df is not None)
    return xp.cast(found, like)


def _values(x, name, f):
    """The values of f, or of a derivative of it, at complex numbers."""
    xp = namespace(x)
    with np.errstate(all="ignore"):  # circles also go where f is not defined
        value = front(x).constant_function(
            f,
            (x,),
            f"funm: the option {name} is differentiated with respect to the eigenvalues only, but its values depend on "
            "something else that has a derivative, which would be lost. A factor of the eigenvalues can be one of the "
            "matrix, and of a symmetric matrix spectral_function takes parameters, as args=. A constant may depend on "
            "nothing that is being differentiated: in PyTorch, detach it.",
        )
    if isinstance(value, (int, float, complex)):
        return xp.full_like(x, value)
    if namespace(value) is not xp:
        raise TypeError(
            f"funm: {name} returned a {type(value).__module__}.{type(value).__name__} for an array of {xp.name}. Take "
            "the functions in it from xp = overbar.namespace(x)."
        )
    have, want = xp.static_shape(value), xp.static_shape(x)
    if have is not None and want is not None and have != want and None not in (*have, *want):
        raise front(x).ShapeError(
            f"funm: {name} returned an array of shape {tuple(have)} for one of shape {tuple(want)}. It must be a "
            "function of numbers, applied entry by entry."
        )
    return xp.cast(value, x)


differentiable(funm)


@funm.also
def _(*args, **kwargs):
    return args, {"f" if name == "func" else name: value for name, value in kwargs.items()}


@funm.samples
def _(case):
    # written without functions, so that the reference can call them too
    yield case(case.square(3), f=lambda x: x * x / (2 + x))
    yield case(case.square(3), f=lambda x: x * x * x - 2 * x * x, df=_cubic_derivative)


def _cubic_derivative(x, k):
    return {1: 3 * x * x - 4 * x, 2: 6 * x - 4, 3: 6 + 0 * x}.get(k, 0.0)


@funm.reference
def _(mp, A, *, f, df):
    w, V = mp.context.eig(mp.context.matrix(A.tolist()))
    w, V = np.array(list(w), dtype=object), np.array(V.tolist(), dtype=object).reshape(A.shape)
    C, real = (V * f(w)) @ mp.inverse(V), all(isinstance(a, mp.context.mpf) for a in A.flat)
    return np.vectorize(lambda c: c.real, otypes=[object])(C) if real else C
