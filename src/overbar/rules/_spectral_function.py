"""Any function of a symmetric (Hermitian) matrix, from a function of a number and its derivatives.

May import `overbar._namespace`, `overbar._primitive`, `rules.scalars` and `rules.spectral`.
"""

import functools
import inspect

from overbar._namespace import front, namespace
from overbar._primitive import primitive
from overbar.rules._scalars import Scalar
from overbar.rules._spectral import exact_spectral, register_parametric_rules, value_of

_OPTIONS = ("f", "df", "d2f", "d3f")


def _given(functions, names, k):
    """The k-th derivative out of those that a user gave."""
    if k >= len(functions):
        raise NotImplementedError(
            f"spectral_function: this needs the derivative of {names[0]} of order {k}, and {names[-1]}, of order "
            f"{len(functions) - 1}, is the last that it takes."
        )
    if functions[k] is None and k > 0:
        raise ValueError(
            f"spectral_function: a derivative of f(A) of order {k} needs that of f. Give {names[k]}=, a function of "
            "an array of eigenvalues, as f is."
        )

    if not callable(functions[k]):
        raise TypeError(
            f"spectral_function: the option {names[k]} is {functions[k]!r}. It must be a function of an array of "
            "eigenvalues, and of the parameters where there are any."
        )

    def derivative(w, *parameters):
        value = front(w).constant_function(
            functools.partial(_called, functions[k], names[k]),
            (w, *parameters),
            f"spectral_function: the option {names[k]} is differentiated with respect to the eigenvalues only, but its "
            "values depend on something else that has a derivative, which would be lost. Give such parameters as the "
            f"array args=, which {names[k]} gets behind the eigenvalues, with their derivatives dargs=. A constant may "
            "depend on nothing that is being differentiated: in PyTorch, detach it.",
        )
        if isinstance(value, (int, float)):  # a constant, which a derivative may well be
            return namespace(w).full_like(w, value)
        if namespace(value).is_complex(value):
            raise ValueError(
                f"spectral_function: {names[k]} returned complex numbers, but f must be real for real eigenvalues. "
                "Compute the real and the imaginary part each by itself."
            )
        return value

    return derivative


def _called(function, name, w, *parameters):
    """The option of this name, called. Where it is a function of another number of arguments, an error says so; Python
    would only name the function, a lambda. Only a TypeError makes it look at the signature, which takes longer than
    many an f, and which may say less than the call: that of a wrapper is not that of what it wraps."""
    try:
        return function(w, *parameters)
    except TypeError as error:
        if refused := _refused(function, w, *parameters):
            count = f"and {len(parameters)} of args" if parameters else "alone, as there are no args"
            raise TypeError(
                f"spectral_function: the option {name} is called with the eigenvalues {count}, which it does not take: "
                f"{refused}."
            ) from error
        raise


def _refused(function, *arguments):
    """Why a function does not take so many arguments; None where it does, or where nobody knows its signature."""
    try:
        inspect.signature(function, follow_wrapped=False).bind(*arguments)
    except TypeError as error:
        return error
    except ValueError:  # a function of a library's
        pass
    return None


def _of_given(*, f, df, d2f, d3f, dargs, d2args):
    if dargs is not None:
        _check_table(dargs, "dargs", "a list with a function for each parameter in args, dargs=[∂f/∂θ] for one")
    if d2args is not None and not (isinstance(d2args, (int, float)) and d2args == 0):
        for name, table in [("d2args", d2args), *((f"d2args[{i}]", row) for i, row in enumerate(_rows(d2args)))]:
            _check_table(table, name, "a list with a list for each parameter in args, d2args=[[∂²f/∂θ²]] for one")

    def partial(i):
        if dargs is None:
            raise ValueError(
                "spectral_function: the derivative with respect to args needs those of f: dargs=, a sequence with "
                "∂f/∂θ for each parameter θ, a function of the eigenvalues and the parameters, as f is."
            )
        return _of_table(dargs, "dargs", i, lambda j: second(i, j), len(dargs))

    def second(i, j):
        if isinstance(d2args, (int, float)) and d2args == 0:
            return _ZERO
        if d2args is None:
            raise ValueError(
                "spectral_function: a second derivative with respect to args needs those of f: d2args=, a sequence of "
                "sequences with ∂²f/∂θᵢ∂θⱼ, functions as those in dargs; or 0 where f is linear in its parameters."
            )
        if i >= len(d2args):
            raise ValueError(f"spectral_function: args has more parameters than d2args, which has {len(d2args)}.")
        return _of_table(d2args[i], f"d2args[{i}]", j, None, len(dargs))

    count = None if dargs is None else len(dargs)
    return Scalar(functools.partial(_given, (f, df, d2f, d3f), _OPTIONS), partial=partial, count=count)


_ZERO = Scalar(lambda k: lambda w, *_: namespace(w).zeros_like(w), partial=lambda i: _ZERO)


def _rows(table):
    return table if isinstance(table, (tuple, list)) else ()


def _check_table(table, name, words):
    if not isinstance(table, (tuple, list)):
        given = "a function" if callable(table) else repr(table)
        raise TypeError(f"spectral_function: {name} is {given}. Give {words}.")


def _of_table(table, name, i, partial, count):
    """The i-th function of a table of derivatives by parameters: an entry is a function, or a tuple of it and its
    derivatives by the eigenvalue."""
    if i >= len(table):
        raise ValueError(f"spectral_function: args has more parameters than {name}, which has {len(table)}.")
    functions = table[i] if isinstance(table[i], (tuple, list)) else (table[i],)
    names = [f"{name}[{i}]", *(f"{name}[{i}][{k}]" for k in range(1, len(functions)))]
    return Scalar(functools.partial(_given, tuple(functions), names), partial=partial, count=count)


def _no_parameters(A):
    # made of A, because torch.export cannot save a constant of no numbers in memory of NumPy's
    xp = namespace(A)
    return xp.reshape(xp.real(A)[..., :0], (0,))


@primitive("(n,n),(k)->(n,n),(n),(n,n)", residuals=2, hermitian=("A",), real=("args",), absent={"args": _no_parameters})
def spectral_function(A, args=None, *, f, df, d2f=None, d3f=None, dargs=None, d2args=None):
    """The function C = f(A) of a symmetric (Hermitian) matrix: C = V f(w) Vᴴ, where A = V diag(w) Vᴴ.

    Parameters
    ----------
    A
        Symmetric or Hermitian. Only its lower triangle is read; its bar comes back Hermitian.
    args
        Parameters of f that have a derivative, real: k for each matrix. f and its derivatives get them behind the
        eigenvalues, one argument each, of a shape that broadcasts.
    f, df : callable
        f and its derivative: real functions of an array of real numbers, entry by entry, written with the functions of
        ``xp = overbar.namespace(w)``, so that they take the arrays of every library. They get the eigenvalues, and
        numbers between two of them.
    d2f, d3f : callable, optional
        The second and third derivative of f, which derivatives of C of this order need.
    dargs : sequence, optional
        For each parameter θ the function ∂f/∂θ, which takes what f takes; or a tuple of it and its derivatives by the
        eigenvalue, ∂²f/∂w∂θ and so on, which second derivatives by A and θ need.
    d2args : sequence of sequences, or 0, optional
        The functions ∂²f/∂θᵢ∂θⱼ, or tuples as in dargs, which second derivatives by the parameters need; 0 where f is
        linear in its parameters.

    Returns
    -------
    array (..., n, n)
        Hermitian, in the dtype of A.

    Raises
    ------
    ValueError
        f is complex; or a second derivative is asked for without d2f, a third one without d3f, one by args without
        dargs, a second one without d2args.
    TypeError
        The values of f, or of a derivative of it, depend on something that is being differentiated and is not in args.
        (In PyTorch not under ``torch.no_grad()``.) Or dargs or d2args is not made as it is described here.
    NotImplementedError
        A fourth derivative is asked for, or a third one by args.

    Notes
    -----
    First derivative (Daleckii and Krein 1965; Higham 2008, "Functions of Matrices", theorem 3.11). With E = Vᴴ Ȧ V,

        Vᴴ Ċ V = F ∘ E,    Fᵢⱼ = f[λᵢ, λⱼ] = (f(λᵢ) − f(λⱼ)) / (λᵢ − λⱼ),    f′(λᵢ) where the two are equal.

    No eigenvector is differentiated, so that repeated eigenvalues are points like others. F is real and symmetric,
    hence Ȧ ↦ Ċ is its own adjoint, and the reverse rule is the same map, applied to C̄.

    The quotient loses digits where the gap is small: its error is ε (|f| + |λ f′|) / |λᵢ − λⱼ|, as f is evaluated with
    rounding. There the mean of f′ over the interval is taken instead, by Gauss–Legendre quadrature with 8 nodes. Small
    is where the two agree to within that error of the quotient: then the mean is no worse than the quotient at least,
    and where the gap is small indeed, it is exact to rounding. Nothing has to be known of the scale on which f varies.
    Functions that are computed from larger numbers than themselves, as w − sin w is, have more rounding than that:
    where the gap is less than √ε of the largest eigenvalue, the mean is taken wherever f′ is smooth, which four of the
    nodes tell. (The functions below have formulas for F that lose nothing.)

    Higher derivatives. With the k-th divided differences, which are symmetric in their arguments,

        Vᴴ C⁽ᵏ⁾[E₁, ..., E_k] V = Σ over all orders of the Eᵣ of  Σ f[λ₀, λ₁, ..., λ_k] (E₁)₀₁ (E₂)₁₂ ... (E_k)_(k−1)k.

    This is a symmetric form in E₁, ..., E_k and C̄, so that one primitive is closed under both rules: the derivative of
    the k-th derivative with respect to A is the one along one direction more, and its bar for Eᵣ has C̄ instead of
    Eᵣ. The sum takes matrix products only. Split each E into a part N ∘ E of near pairs of eigenvalues and one of far
    pairs. If (r, s) is a far pair that stands next to each other, then

        f[..., λᵣ, λₛ, ...] = (f[..., λᵣ, ...] − f[..., λₛ, ...]) / (λᵣ − λₛ),

    and both parts are sums of one order less, in which (E ∘ 1/(λᵣ − λₛ)) is multiplied with the factor behind it or
    the one before it. Wide gaps, those of at least 1/64 of the distance between the smallest and the largest
    eigenvalue, divide first: then a narrow one divides no difference that has the rounding of the slopes towards
    eigenvalues further away, which may be larger by any factor. If all pairs are near, f[λ₀, ..., λ_k] is 1/k! times
    the mean of f⁽ᵏ⁾ over the simplex with these corners. Of f⁽ᵏ⁾ in the middles of its edges and at its corners, with
    weights 4/((k+1)(k+2)) and (2−k)/((k+1)(k+2)), the mean is right for polynomials of degree 2, and each of these
    depends on two eigenvalues only, which makes it an elementwise factor between two products.

    What is near? With δ = |λᵢ − λⱼ| small beside the scale ℓ on which f varies, the mean has an error of about
    δ³ f⁽ᵏ⁺³⁾/k!/4, and the difference over the gap one of ε f′/δᵏ⁻¹. The first is measured by third differences of
    f⁽ᵏ⁾ between the two eigenvalues, one over the first and one over the last three quarters of the interval (a single
    one is zero wherever f is even about the middle, at any distance), and the smaller error chosen. For k = 2 both are
    about 1e-12 at the worst gap, which is 2e-4 ℓ, and the largest error seen is 1e-11 times f″ or f′/ℓ, whichever is
    larger; at gaps below 1e-5 ℓ it is rounding. For k = 3 the worst is 1e-9, at 1e-3 ℓ. (A pair is far, too, where the
    mean is not what the difference is, to four digits: there f′ jumps between the two.)

    Parameters θ of f leave w and V alone: ∂C/∂θ = V (∂f/∂θ)(w) Vᴴ, hence θ̄ = Re tr(C̄ᴴ V (∂f/∂θ)(w) Vᴴ). So the
    derivative by θ of all that stands above is the same with ∂f/∂θ instead of f.

    Cost: four products for a first derivative and seventeen for a second one, in the basis that the function found;
    thirteen where it is seen that either only wide gaps divide or only narrower ones. With n = 500 that is 0.7 to 1.5
    times the function, and 4 to 6 times.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.spectral_function(np.diag([0.0, 1.0]), f=overbar.exp, df=overbar.exp).round(4)
    array([[1.    , 0.    ],
           [0.    , 2.7183]])

    The entropy −tr(A log A) of a density matrix:

    >>> def f(w):
    ...     return -w * overbar.namespace(w).log(w)
    >>> def df(w):
    ...     return -overbar.namespace(w).log(w) - 1
    >>> def entropy(A):
    ...     return overbar.trace(overbar.spectral_function(A, f=f, df=df, d2f=lambda w: -1 / w))
    >>> value, pullback = overbar.vjp(entropy, np.diag([0.5, 0.25, 0.25]))
    >>> value.round(4), np.diag(pullback(1.0)[0]).round(4)
    (np.float64(1.0397), array([-0.3069,  0.3863,  0.3863]))

    Eigenvalues clamped from below by a number c that is learned:

    >>> def clamp(w, c):
    ...     return overbar.namespace(w).maximum(w, c)
    >>> def is_larger(w, c):
    ...     return overbar.namespace(w).cast(w > c, w)
    >>> def clamped(A, c):
    ...     options = {"f": clamp, "df": is_larger, "dargs": [lambda w, c: 1 - is_larger(w, c)]}
    ...     return overbar.trace(overbar.spectral_function(A, c, **options))
    >>> value, pullback = overbar.vjp(clamped, np.diag([2.0, 0.5, -1.0]), np.array([1.0]))
    >>> value, pullback(1.0)[1]
    (np.float64(4.0), array([2.]))
    """
    of = _of_given(f=f, df=df, d2f=d2f, d3f=d3f, dargs=dargs, d2args=d2args)
    if args.shape[-1] != 0:
        return value_of(A, of, args)
    xp = namespace(A)
    nothing = xp.sum(args, axis=-1)[..., None, None]  # of no numbers, but with the batch dimensions of args
    return value_of(A + xp.cast(nothing, A), of)


register_parametric_rules(spectral_function, _of_given)


@spectral_function.samples
def _(case):
    # written without functions, so that the reference can call them too
    yield case(
        case.hermitian(4),
        case.real(1),
        f=lambda w, c: c / (4 + w * w),
        df=lambda w, c: -2 * c * w / (4 + w * w) ** 2,
        d2f=lambda w, c: c * (6 * w * w - 8) / (4 + w * w) ** 3,
        d3f=lambda w, c: c * 24 * w * (4 - w * w) / (4 + w * w) ** 4,
        dargs=(
            (
                lambda w, c: 1 / (4 + w * w) + 0 * c,
                lambda w, c: -2 * w / (4 + w * w) ** 2 + 0 * c,
                lambda w, c: (6 * w * w - 8) / (4 + w * w) ** 3 + 0 * c,
            ),
        ),
        d2args=0,
    )
    # a parabola c w² + s w
    yield case(
        case.hermitian(3),
        case.real(2),
        f=lambda w, c, s: c * w * w + s * w,
        df=lambda w, c, s: 2 * c * w + s,
        d2f=lambda w, c, s: 2 * c + 0 * w,
        d3f=lambda w, c, s: 0 * w,
        dargs=(
            (lambda w, c, s: w * w, lambda w, c, s: 2 * w, lambda w, c, s: 2 + 0 * w),
            (lambda w, c, s: w, lambda w, c, s: 1 + 0 * w, lambda w, c, s: 0 * w),
        ),
        d2args=0,
    )


@spectral_function.reference
def _(mp, A, args, *, f, df, d2f, d3f, dargs, d2args):
    return exact_spectral(mp, A, lambda w: f(w, *args))
