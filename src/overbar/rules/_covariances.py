"""Covariance functions of Gaussian processes: squared distances, the squared exponential and the Matérn family.

May import `overbar._namespace` and `overbar._primitive`. Each function comes twice: of one set of inputs, whose matrix
is symmetric, and of two (`_cross`). None of their rules forms differences of all pairs in all dimensions: with rows
zᵢ = (xᵢ − c)/ℓ for any c, and G the bar of the squared distances sᵢⱼ = |zᵢ − zⱼ|², the bars of inputs and length scales
come from one product of G with a matrix of D columns.
"""

from overbar._namespace import front, mT, namespace
from overbar._primitive import dtype_name, once, primitive

#: In so many dimensions distances are computed from differences, one dimension after the other, and with all digits.
FEW = 3


# ---------------------------------------------------------------------------------------------------------------------
# What is valid


def _valid(name, inputs, lengthscale, variance=None):
    """The length scales as rows (..., 1, l), and the variance as (..., 1, 1), after a look at all arguments."""
    given = [*zip(("X", "X2"), inputs, strict=False), ("lengthscale", lengthscale), ("variance", variance)]
    for argument, A in given:
        if A is not None and namespace(A).is_complex(A):
            raise front(A).DtypeError(
                f"{name}: argument {argument} has dtype {dtype_name(A.dtype)}, but covariances are "
                f"functions of real numbers. Pass the real and imaginary parts of inputs as dimensions of their own."
            )
    dimensions, scales = inputs[0].shape[-1], lengthscale.shape[-1]
    if scales != 1 and None not in (dimensions, scales) and scales != dimensions:
        raise front(lengthscale).ShapeError(
            f"{name}: argument lengthscale of shape {tuple(lengthscale.shape)} does not fit X of shape "
            f"{tuple(inputs[0].shape)}. Pass one length scale, or one for each of the {dimensions} dimensions of X: "
            "its last dimension counts them, batch dimensions go in front of it."
        )
    lengthscale, argument = lengthscale[..., None, :], "lengthscale"
    fine = namespace(lengthscale).all(lengthscale > 0, axis=(-2, -1))
    if variance is not None:
        # one look for both, as a device has to be waited for
        variance, argument = variance[..., None, None], "lengthscale or variance"
        fine = fine & (variance > 0)[..., 0, 0]
    message = (
        f"{name}: argument {argument} is not positive. Parametrise it as exp(θ) or softplus(θ), so that no step of an "
        "optimiser leads there."
    )
    return front(*inputs, lengthscale).require(lengthscale, fine, message, argument), variance


def _ones(X):
    """One length scale for each dimension, all of them 1."""
    return namespace(X).ones_like(namespace(X).sum(X, axis=-2))


def _one(*arrays):
    """The variance 1."""
    xp = namespace(arrays[0])
    return xp.ones_like(xp.sum(arrays[0], axis=(-2, -1)))


# ---------------------------------------------------------------------------------------------------------------------
# Squared distances and their derivatives. `inputs` are one set or two.


def _scaled(inputs, lengthscale):
    """The rows (x − c)/ℓ of each set, where c is the first point: an offset of all inputs costs no digits."""
    xp = namespace(inputs[0])
    # a sum of one or, where there are no inputs, none; distances do not depend on c, nor do their derivatives
    centre = xp.detached(xp.sum(inputs[0][..., :1, :], axis=-2, keepdims=True))
    return [(X - centre) / lengthscale for X in inputs]


def _unwatched(*arrays):
    """Whether arrays that are made of these may be overwritten. That spares memory, which takes longer to get than a
    number takes to compute."""
    return front(*arrays).may_write(*arrays)


def _few(Y):
    return Y.shape[-1] is not None and Y.shape[-1] <= FEW


def _squares(Y, Z=None):
    """The squared distances of the rows of Y from those of Z; of Y from each other a symmetric matrix, to the last bit,
    with zeros on its diagonal.

    |y|² + |z|² − 2 yᵀz has an absolute error of a few ε (|y|² + |z|²): what is smaller than that is zero.
    """
    own, Z, xp, D = Z is None, Y if Z is None else Z, namespace(Y), Y.shape[-1]
    if _few(Y) and D > 0:
        S, unwatched = None, _unwatched(Y)
        for d in range(D):
            square = Y[..., d : d + 1] - mT(Z[..., d : d + 1])
            if unwatched:
                square *= square
            else:
                square = square * square
            if S is None:
                S = square
            elif unwatched:
                S += square
            else:
                S = S + square
        return S
    S = Y @ mT(Z)
    S = S + (mT(S) if own else S)
    one = xp.sum(Y * Y, axis=-1, keepdims=True)
    sizes = one + mT(one if own else xp.sum(Z * Z, axis=-1, keepdims=True))
    S = sizes - S
    terms = D + 4 if D is not None else 4 + xp.sum(xp.ones_like(Y[..., :1, :]), axis=-1, keepdims=True)
    return xp.where((sizes * (xp.eps(S) * terms) > S) | (S < 0), xp.zeros_like(S[..., :1, :1]), S)


def _bars(G, inputs, lengthscale, weight):
    """For each set of inputs, and for the length scales, a function that gives its bar, where weight/2 · G() is the bar
    of the squared distances.

    In ṡᵢⱼ = 2 (yᵢ − zⱼ)ᵀ(ẏᵢ − żⱼ), with ẏᵢ = (ẋᵢ − yᵢ ∘ ℓ̇)/ℓ, the terms of ẋᵢ add up to a bar (Σⱼ Gᵢⱼ yᵢ − Gᵢⱼ zⱼ)/ℓ
    of xᵢ, and those of ℓ̇ are the same times −yᵢ.
    """
    lengthscale = lengthscale[..., None, :]
    scaled = once(lambda: _scaled(inputs, lengthscale))

    @once
    def first():
        xp, Y, Z, H = namespace(G()), scaled()[0], scaled()[-1], G()
        if len(inputs) == 1 and not _few(Y):
            H = H + mT(H)  # costs less than a second product
        sums, product = xp.sum(H, axis=-1), H @ Z
        if len(inputs) == 1 and _few(Y):
            sums, product = sums + xp.sum(H, axis=-2), product + mT(H) @ Z
        return (sums[..., None] * Y - product) * (weight / lengthscale)

    @once
    def second():
        xp, (Y, Z) = namespace(G()), scaled()
        return (xp.sum(G(), axis=-2)[..., None] * Z - mT(G()) @ Y) * (weight / lengthscale)

    bars = (first, second)[: len(inputs)]

    def of_scales():
        xp, total = namespace(lengthscale), None
        for bar, Z in zip(bars, scaled(), strict=True):
            term = xp.sum(Z * bar(), axis=-2)
            total = term if total is None else total + term
        return -total

    return *bars, of_scales


def _tangents(inputs, lengthscale):
    """For each set of inputs, and for the length scales, a function that gives the tangent of the squared distances
    along its tangent."""
    lengthscale = lengthscale[..., None, :]
    scaled = once(lambda: _scaled(inputs, lengthscale))

    def along(first, second):
        xp, Y, Z = namespace(lengthscale), scaled()[0], scaled()[-1]
        if len(inputs) == 1:
            half = xp.sum(Y * first, axis=-1, keepdims=True) - Y @ mT(first)
            return 2 * (half + mT(half))
        total = None
        if first is not None:
            total = xp.sum(Y * first, axis=-1, keepdims=True) - first @ mT(Z)
        if second is not None:
            term = mT(xp.sum(Z * second, axis=-1, keepdims=True)) - Y @ mT(second)
            total = term if total is None else total + term
        return 2 * total

    def from_scales(dot):
        relative = dot[..., None, :] / lengthscale
        moved = [-Z * relative for Z in scaled()]
        return along(moved[0], moved[-1])

    from_inputs = (lambda dot: along(dot / lengthscale, None), lambda dot: along(None, dot / lengthscale))
    return *from_inputs[: len(inputs)], from_scales


# ---------------------------------------------------------------------------------------------------------------------
# The squared distance


@primitive("(n,d),(l?)->(n,n)", absent={"lengthscale": _ones})
def squared_distance(X, lengthscale=None):
    """The squared distances sᵢⱼ = Σ_d (xᵢ_d − xⱼ_d)² / ℓ_d² of inputs from each other.

    Parameters
    ----------
    X
        The inputs, real, as rows.
    lengthscale
        A positive length scale for all dimensions, or one for each; 1 by default.

    Returns
    -------
    array (..., n, n)
        Symmetric to the last bit, never negative, zero on the diagonal.

    Raises
    ------
    LinAlgError of the array's library
        A length scale is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales.

    Notes
    -----
    With rows zᵢ = (xᵢ − c)/ℓ for any c, ṡᵢⱼ = 2 (zᵢ − zⱼ)ᵀ(żᵢ − żⱼ), where żᵢ = (ẋᵢ − zᵢ ∘ ℓ̇)/ℓ. With H = S̄ + S̄ᵀ and
    its row sums h,

        X̄ = 2 (diag(h) Z − H Z) diag(1/ℓ),    ℓ̄ = −Σᵢ zᵢ ∘ x̄ᵢ,

    in which c cancels, as the rows of diag(h) − H add up to zero. c is the first input: an offset of all inputs costs
    no digits. In up to three dimensions s comes from differences, with all digits; in more from one product, with an
    absolute error of a few ε (|zᵢ|² + |zⱼ|²), and what is less than that is zero: coincident inputs are recognised.
    The bars have the error of the product in any dimension, about ε (extent/ℓ)² of the sum of moduli Σ |S̄|.

    Source: Rasmussen & Williams (2006), section 5.1, for length scales; the product rule, Giles (2008), section 2.2.2,
    for the rest. Cost: the function one product with D columns, its bars two.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> S, pullback = overbar.vjp(overbar.squared_distance, np.array([[0.0, 1.0], [3.0, 5.0]]), np.array([1.0, 2.0]))
    >>> S
    array([[ 0., 13.],
           [13.,  0.]])
    >>> pullback(np.array([[0.0, 1.0], [0.0, 0.0]]))
    (array([[-6., -2.],
           [ 6.,  2.]]), array([-18.,  -4.]))
    """
    lengthscale, _ = _valid("squared_distance", [X], lengthscale)
    return _squares(*_scaled([X], lengthscale))


@primitive("(n,d),(m,d),(l?)->(n,m)", absent={"lengthscale": lambda X, X2: _ones(X)})
def squared_distance_cross(X, X2, lengthscale=None):
    """The squared distances sᵢⱼ = Σ_d (xᵢ_d − x′ⱼ_d)² / ℓ_d² of inputs from others.

    Parameters
    ----------
    X
        Inputs, real, as rows.
    X2
        Others, with as many dimensions.
    lengthscale
        A positive length scale for all dimensions, or one for each; 1 by default.

    Returns
    -------
    array (..., n, m)
        Never negative, and zero for inputs that coincide.

    Raises
    ------
    LinAlgError of the array's library
        A length scale is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales, or X2 has another number of dimensions.

    Notes
    -----
    With rows yᵢ = (xᵢ − c)/ℓ and zⱼ = (x′ⱼ − c)/ℓ for any c, ṡᵢⱼ = 2 (yᵢ − zⱼ)ᵀ(ẏᵢ − żⱼ), where ẏᵢ = (ẋᵢ − yᵢ ∘ ℓ̇)/ℓ.
    With the row sums h and the column sums k of S̄,

        X̄ = 2 (diag(h) Y − S̄ Z) diag(1/ℓ),    X̄′ = 2 (diag(k) Z − S̄ᵀ Y) diag(1/ℓ),    ℓ̄ = −Σᵢ yᵢ ∘ x̄ᵢ − Σⱼ zⱼ ∘ x̄′ⱼ.

    Rounding is as for `squared_distance`, with the first row of X for c.

    Source: Rasmussen & Williams (2006), section 5.1, for length scales; the product rule, Giles (2008), section 2.2.2,
    for the rest. Cost: the function one product with D columns, its bars two.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> X, X2 = np.array([[0.0, 1.0]]), np.array([[3.0, 5.0], [0.0, 1.0]])
    >>> S, pullback = overbar.vjp(overbar.squared_distance_cross, X, X2, np.array([1.0, 2.0]))
    >>> S
    array([[13.,  0.]])
    >>> pullback(np.array([[1.0, 0.0]]))[1]
    array([[6., 2.],
           [0., 0.]])
    """
    lengthscale, _ = _valid("squared_distance_cross", [X, X2], lengthscale)
    return _squares(*_scaled([X, X2], lengthscale))


def _rules_of_squared_distances(function):
    @function.vjp
    def _(S_bar, S, *arrays):
        return _bars(lambda: S_bar, arrays[:-1], arrays[-1], 2)

    @function.jvp
    def _(S, *arrays):
        return _tangents(arrays[:-1], arrays[-1])


_rules_of_squared_distances(squared_distance)
_rules_of_squared_distances(squared_distance_cross)


@squared_distance.samples
def _(case):
    yield case(case.real(4, 2), case.real(2))
    yield case(case.real(3, 5), case.real(1))


@squared_distance_cross.samples
def _(case):
    yield case(case.real(4, 2), case.real(3, 2), case.real(2))
    yield case(case.real(2, 5), case.real(3, 5), case.real(1))


def _exact_squares(X, X2, lengthscale):
    D = (X[:, None, :] - X2[None, :, :]) / lengthscale
    return (D * D).sum(-1)


@squared_distance.reference
def _(mp, X, lengthscale):
    return _exact_squares(X, X, lengthscale)


@squared_distance_cross.reference
def _(mp, X, X2, lengthscale):
    return _exact_squares(X, X2, lengthscale)


# ---------------------------------------------------------------------------------------------------------------------
# Functions K = v f(s) of it. With ρ = f′/f, so that v f′ = ρ K, the bar of the squared distances is ρ ∘ K ∘ K̄, and a
# rule needs no exponential.


@primitive("(n,d),(l?),()->(n,n)", absent={"variance": _one})
def rbf(X, lengthscale, variance=None):
    """The squared exponential covariance kᵢⱼ = v exp(−sᵢⱼ/2) of inputs, with their `squared_distance` sᵢⱼ.

    Parameters
    ----------
    X
        The inputs, real, as rows.
    lengthscale
        A positive length scale for all dimensions, or one for each.
    variance
        v, positive; 1 by default.

    Returns
    -------
    array (..., n, n)
        Symmetric to the last bit, with v on the diagonal. `add_diagonal` adds noise.

    Raises
    ------
    LinAlgError of the array's library
        A length scale or the variance is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales.

    Notes
    -----
    K̇ = −½ K ∘ Ṡ + K v̇/v, with Ṡ of `squared_distance`. With G = K ∘ K̄, H = G + Gᵀ, its row sums h, and rows
    zᵢ = (xᵢ − c)/ℓ for any c,

        X̄ = (H Z − diag(h) Z) diag(1/ℓ),    ℓ̄ = −Σᵢ zᵢ ∘ x̄ᵢ,    v̄ = Σᵢⱼ Gᵢⱼ / v.

    G is the one matrix that the reverse rule makes. Rounding is as for `squared_distance`: offsets cost nothing, the
    bars of inputs and length scales are right to about ε (extent/ℓ)² of Σ |G|.

    Source: Rasmussen & Williams (2006), equations 4.9 and 5.1. Cost: the function one product with D columns and an
    exponential, its bars two products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> K, pullback = overbar.vjp(overbar.rbf, np.array([[0.0], [2.0]]), 2.0, 3.0)
    >>> K.round(3)
    array([[3.  , 1.82],
           [1.82, 3.  ]])
    >>> X_bar, lengthscale_bar, variance_bar = pullback(np.array([[0.0, 1.0], [0.0, 0.0]]))
    >>> X_bar.round(3), float(lengthscale_bar.round(3)), float(variance_bar.round(3))
    (array([[ 0.91],
           [-0.91]]), 0.91, 0.607)
    """
    lengthscale, variance = _valid("rbf", [X], lengthscale, variance)
    return _exponential(variance, _squares(*_scaled([X], lengthscale)))


@primitive("(n,d),(m,d),(l?),()->(n,m)", absent={"variance": _one})
def rbf_cross(X, X2, lengthscale, variance=None):
    """The squared exponential covariance kᵢⱼ = v exp(−sᵢⱼ/2) of inputs with others.

    Parameters
    ----------
    X
        Inputs, real, as rows.
    X2
        Others, with as many dimensions.
    lengthscale
        A positive length scale for all dimensions, or one for each.
    variance
        v, positive; 1 by default.

    Returns
    -------
    array (..., n, m)
        v for inputs that coincide.

    Raises
    ------
    LinAlgError of the array's library
        A length scale or the variance is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales, or X2 has another number of dimensions.

    Notes
    -----
    K̇ = −½ K ∘ Ṡ + K v̇/v, with Ṡ of `squared_distance_cross`. With G = K ∘ K̄, its row sums h and column sums k,
    yᵢ = (xᵢ − c)/ℓ and zⱼ = (x′ⱼ − c)/ℓ,

        X̄ = (G Z − diag(h) Y) diag(1/ℓ),    X̄′ = (Gᵀ Y − diag(k) Z) diag(1/ℓ),
        ℓ̄ = −Σᵢ yᵢ ∘ x̄ᵢ − Σⱼ zⱼ ∘ x̄′ⱼ,    v̄ = Σᵢⱼ Gᵢⱼ / v.

    Source: Rasmussen & Williams (2006), equations 4.9 and 5.1. Cost: the function one product with D columns and an
    exponential, its bars two products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.rbf_cross(np.array([[0.0]]), np.array([[2.0], [0.0]]), 2.0, 3.0).round(3)
    array([[1.82, 3.  ]])
    >>> K, pullback = overbar.vjp(overbar.rbf_cross, np.array([[0.0]]), np.array([[2.0]]), 2.0)
    >>> pullback(np.ones((1, 1)))[0].round(3)
    array([[0.303]])
    """
    lengthscale, variance = _valid("rbf_cross", [X, X2], lengthscale, variance)
    return _exponential(variance, _squares(*_scaled([X, X2], lengthscale)))


def _exponential(variance, S):
    return variance * namespace(S).exp(S / -2)


def _variance_bar(G, variance):
    return namespace(variance).sum(G, axis=(-2, -1)) / variance


def _rules_of_rbf(function):
    @function.vjp
    def _(K_bar, K, *arrays):
        *inputs, lengthscale, variance = arrays
        G = once(lambda: K_bar * K)
        return *_bars(G, inputs, lengthscale, -1), lambda: _variance_bar(G(), variance)

    @function.jvp
    def _(K, *arrays):
        *inputs, lengthscale, variance = arrays
        along = _tangents(inputs, lengthscale)
        return (
            *[lambda dot, tangent=tangent: tangent(dot) / -2 * K for tangent in along],
            lambda dot: (dot / variance)[..., None, None] * K,
        )


_rules_of_rbf(rbf)
_rules_of_rbf(rbf_cross)


@rbf.samples
def _(case):
    yield case(case.real(4, 2), case.real(2), case.real())
    yield case(case.real(3, 5), case.real(1), case.real())


@rbf_cross.samples
def _(case):
    yield case(case.real(4, 2), case.real(3, 2), case.real(2), case.real())
    yield case(case.real(2, 5), case.real(3, 5), case.real(1), case.real())


@rbf.reference
def _(mp, X, lengthscale, variance):
    return variance * mp.exp(-_exact_squares(X, X, lengthscale) / 2)


@rbf_cross.reference
def _(mp, X, X2, lengthscale, variance):
    return variance * mp.exp(-_exact_squares(X, X2, lengthscale) / 2)


# ---------------------------------------------------------------------------------------------------------------------
# The Matérn family


def _order(name, nu):
    if not isinstance(nu, (int, float)) or nu not in (0.5, 1.5, 2.5):
        raise ValueError(f"{name}: nu is {nu!r}. It must be 0.5, 1.5 or 2.5; `rbf` is the limit of large ones.")


def _root(xp, S):
    """√s, whose derivative at s = 0 is taken for zero: there ṡ vanishes, or there is none. And where s is zero."""
    zero = xp.equal(S, 0)
    root = xp.sqrt(xp.where(zero, xp.ones_like(S), S))
    return xp.where(zero, xp.zeros_like(S), root), zero


def _matern(variance, S, nu):
    """The covariances, and the squared distances in as many batch dimensions."""
    xp, factor = namespace(S), (2 * nu) ** 0.5
    if _unwatched(S):
        r = xp.sqrt(S)
        r *= -factor
        K = xp.exp(r)
        if nu != 0.5:
            r *= -1
            r += 1
            if nu == 2.5:
                r += S * (5 / 3)
            K *= r
    else:
        r = factor * _root(xp, S)[0]
        K = xp.exp(-r)
        if nu != 0.5:
            K = (1 + r if nu == 1.5 else 1 + r + S * (5 / 3)) * K
    K = variance * K
    have, want = xp.static_shape(S), xp.static_shape(K)
    return K, S if have == want and None not in have else xp.broadcast_to(S, xp.shape(K))


def _relative_slope(S, nu):
    """ρ = f′/f. In this form its own derivatives are right at s = 0 as well, wherever they count."""
    xp, factor = namespace(S), (2 * nu) ** 0.5
    if nu != 0.5 and _unwatched(S):
        r = xp.sqrt(S)
        r *= factor
        r += 1
        if nu == 1.5:
            return -1.5 / r
        below = S * (5 / 3)
        below += r
        r *= -5 / 6
        r /= below
        return r
    root, zero = _root(xp, S)
    r = factor * root
    if nu == 0.5:
        return xp.where(zero, xp.zeros_like(S), -0.5 / xp.where(zero, xp.ones_like(r), r))
    return -1.5 / (1 + r) if nu == 1.5 else (1 + r) * (-5 / 6) / (1 + r + S * (5 / 3))


@primitive("(n,d),(l?),()->(n,n),(n,n)", absent={"variance": _one}, intermediates=1)
def matern(X, lengthscale, variance=None, *, nu=2.5):
    """The Matérn covariance kᵢⱼ = v f(sᵢⱼ) of inputs, for ν = 1/2, 3/2 or 5/2, with their `squared_distance` sᵢⱼ.

    Parameters
    ----------
    X
        The inputs, real, as rows.
    lengthscale
        A positive length scale for all dimensions, or one for each.
    variance
        v, positive; 1 by default.
    nu : float
        The order ν: 0.5, the exponential covariance, 1.5 or 2.5.

    Returns
    -------
    array (..., n, n)
        Symmetric to the last bit, with v on the diagonal. `add_diagonal` adds noise.

    Raises
    ------
    LinAlgError of the array's library
        A length scale or the variance is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales.
    ValueError
        There is no such ν.

    Notes
    -----
    With r = √(2ν s) and ρ = f′(s)/f(s):

        ν = 1/2    f = e⁻ʳ                    ρ = −1/(2r)
        ν = 3/2    f = (1 + r) e⁻ʳ            ρ = −(3/2) / (1 + r)
        ν = 5/2    f = (1 + r + r²/3) e⁻ʳ     ρ = −(5/6) (1 + r) / (1 + r + r²/3)

    K̇ = ρ ∘ K ∘ Ṡ + K v̇/v, with Ṡ of `squared_distance`, whose bar is S̄ = ρ ∘ K ∘ K̄: the bars of inputs and length
    scales are those of `squared_distance` for it, and v̄ = Σ K ∘ K̄ / v. S is an intermediate, so that no exponential
    is computed twice; it has a bar of its own in a second derivative.

    Where inputs coincide ṡ = 0. For ν = 3/2 and 5/2 ρ is finite there, and first and second derivatives are right. For
    ν = 1/2 two inputs that coincide are a cusp: ρ = 0 stands for the derivative with respect to them, the mean of those
    from all sides. With respect to length scales the derivative is 0 there, and so it is for each input beside itself.
    Rounding is as for `squared_distance`; for ν = 1/2 and more than three dimensions, distances that are small beside
    the extent of all inputs have an error of up to √ε of the latter.

    Source: Rasmussen & Williams (2006), equations 4.14 and 4.17. Cost: the function one product with D columns, a
    square root and an exponential; its bars two products and a square root.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> K, pullback = overbar.vjp(lambda X, l: overbar.matern(X, l, nu=1.5), np.array([[0.0], [2.0]]), 2.0)
    >>> K.round(3)
    array([[1.   , 0.483],
           [0.483, 1.   ]])
    >>> X_bar, lengthscale_bar = pullback(np.array([[0.0, 1.0], [0.0, 0.0]]))
    >>> X_bar.round(3), float(lengthscale_bar.round(3))
    (array([[ 0.265],
           [-0.265]]), 0.265)
    """
    _order("matern", nu)
    lengthscale, variance = _valid("matern", [X], lengthscale, variance)
    return _matern(variance, _squares(*_scaled([X], lengthscale)), nu)


@primitive("(n,d),(m,d),(l?),()->(n,m),(n,m)", absent={"variance": _one}, intermediates=1)
def matern_cross(X, X2, lengthscale, variance=None, *, nu=2.5):
    """The Matérn covariance kᵢⱼ = v f(sᵢⱼ) of inputs with others, for ν = 1/2, 3/2 or 5/2.

    Parameters
    ----------
    X
        Inputs, real, as rows.
    X2
        Others, with as many dimensions.
    lengthscale
        A positive length scale for all dimensions, or one for each.
    variance
        v, positive; 1 by default.
    nu : float
        The order ν: 0.5, the exponential covariance, 1.5 or 2.5.

    Returns
    -------
    array (..., n, m)
        v for inputs that coincide.

    Raises
    ------
    LinAlgError of the array's library
        A length scale or the variance is not positive. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor D length scales, or X2 has another number of dimensions.
    ValueError
        There is no such ν.

    Notes
    -----
    With f and ρ of `matern`, K̇ = ρ ∘ K ∘ Ṡ + K v̇/v, with Ṡ of `squared_distance_cross`, whose bar is S̄ = ρ ∘ K ∘ K̄: the
    bars of inputs and length scales are those of `squared_distance_cross` for it, and v̄ = Σ K ∘ K̄ / v. S is an
    intermediate. What is said there of inputs that coincide, and of rounding, holds here.

    Source: Rasmussen & Williams (2006), equations 4.14 and 4.17. Cost: the function one product with D columns, a
    square root and an exponential; its bars two products and a square root.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.matern_cross(np.array([[0.0]]), np.array([[2.0], [0.0]]), 2.0, 3.0, nu=0.5).round(3)
    array([[1.104, 3.   ]])
    >>> K, pullback = overbar.vjp(overbar.matern_cross, np.array([[0.0]]), np.array([[2.0]]), 2.0)
    >>> pullback(np.ones((1, 1)))[0].round(3)
    array([[0.288]])
    """
    _order("matern_cross", nu)
    lengthscale, variance = _valid("matern_cross", [X, X2], lengthscale, variance)
    return _matern(variance, _squares(*_scaled([X, X2], lengthscale)), nu)


def _rules_of_matern(function):
    @function.vjp
    def _(bars, outputs, *arrays, nu):
        (K_bar, S_bar), (K, S) = bars, outputs
        *inputs, lengthscale, variance = arrays
        product = once(lambda: None if K_bar is None else K_bar * K)

        @once
        def G():
            if K_bar is None:
                return S_bar
            G = _relative_slope(S, nu)
            if _unwatched(K_bar, S):
                G *= product()
            else:
                G = product() * G
            return G if S_bar is None else G + S_bar

        return (
            *_bars(G, inputs, lengthscale, 2),
            lambda: 0 * variance if K_bar is None else _variance_bar(product(), variance),
        )

    @function.jvp
    def _(outputs, *arrays, nu):
        K, S = outputs
        *inputs, lengthscale, variance = arrays
        slope = once(lambda: _relative_slope(S, nu) * K)

        def along(tangent, dot):
            S_dot = tangent(dot)
            return slope() * S_dot, S_dot

        return (
            *[lambda dot, tangent=tangent: along(tangent, dot) for tangent in _tangents(inputs, lengthscale)],
            lambda dot: ((dot / variance)[..., None, None] * K, None),
        )


_rules_of_matern(matern)
_rules_of_matern(matern_cross)


@matern.samples
def _(case):
    yield case(case.real(4, 2), case.real(2), case.real(), nu=2.5)
    yield case(case.real(3, 4), case.real(1), case.real(), nu=1.5)
    yield case(case.real(3, 2), case.real(1), case.real(), nu=0.5)


@matern_cross.samples
def _(case):
    yield case(case.real(4, 2), case.real(3, 2), case.real(2), case.real(), nu=2.5)
    yield case(case.real(2, 5), case.real(3, 5), case.real(1), case.real(), nu=1.5)
    yield case(case.real(2, 2), case.real(3, 2) + 2, case.real(1), case.real(), nu=0.5)


def _exact_matern(mp, S, variance, nu):
    r = mp.sqrt(S * int(2 * nu))
    return variance * mp.exp(-r) * {0.5: 1, 1.5: 1 + r, 2.5: 1 + r + r * r / 3}[nu]


@matern.reference
def _(mp, X, lengthscale, variance, *, nu):
    return _exact_matern(mp, _exact_squares(X, X, lengthscale), variance, nu)


@matern_cross.reference
def _(mp, X, X2, lengthscale, variance, *, nu):
    return _exact_matern(mp, _exact_squares(X, X2, lengthscale), variance, nu)
