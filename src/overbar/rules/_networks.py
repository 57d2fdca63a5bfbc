"""Networks: the affine layer, and the losses at the end.

May import `overbar._namespace`, `overbar._primitive` and `rules.exponential_sums`. The non-linearities between are
elementwise: `tanh`, and those of `rules.special_functions` and `rules.choosing`.
"""

import math

import numpy as np

from overbar._messages import dtype_name
from overbar._namespace import front, known_shape, mT, namespace
from overbar._primitive import once, primitive
from overbar.rules._exponential_sums import logsumexp, softmax


def _zeros(X, W):
    xp = namespace(W)
    return xp.zeros_like(xp.sum(W, axis=-1))


@primitive("(p?,k),(m,k),(m)->(p?,m)", absent={"b": _zeros})
def affine(X, W, b=None):
    """The affine layer of a network, A = X Wᵀ + 1bᵀ, of p examples that are rows of X; of one example, a = W x + b.

    Parameters
    ----------
    X : array (..., p, k) or (k,)
        Examples as rows. `affine_columns` has them as columns.
    W : array (..., m, k)
        The weights.
    b : array (..., m), optional
        The biases; zero by default.

    Returns
    -------
    array (..., p, m) or (m,)

    Notes
    -----
    The product rule, Ȧ = Ẋ Wᵀ + X Ẇᵀ + 1ḃᵀ, gives

        X̄ = Ā conj(W),    W̄ = Āᵀ conj(X),    b̄ = Āᵀ 1.

    With Ā = δ, the errors of the layer, and one example, that is the back-propagation of the textbooks: x̄ = Wᵀδ,
    W̄ = δ xᵀ, b̄ = δ. Cost: two products of the size of the function's.

    Source: Giles (2008), section 2.2.2, for the products; Bishop (2006), section 5.3, for one example.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> x, W, b = np.array([1.0, 2.0]), np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 3.0]]), np.array([0.0, 0.5, 1.0])
    >>> a, pullback = overbar.vjp(overbar.affine, x, W, b)
    >>> a
    array([1. , 3.5, 7. ])
    >>> x_bar, W_bar, b_bar = pullback(np.array([1.0, 0.0, 2.0]))
    >>> x_bar, W_bar
    (array([1., 6.]), array([[1., 2.],
           [0., 0.],
           [2., 4.]]))
    """
    return X @ mT(W) + b[..., None, :]


@affine.vjp
def _(A_bar, A, X, W, b):
    xp = namespace(A)

    def W_bar():
        delta, rows = A_bar, xp.conj(X)
        if len(W.shape) == 2 < len(X.shape) and tuple(delta.shape[:-1]) == tuple(rows.shape[:-1]):
            # one W for a batch of minibatches: one minibatch of all examples
            delta, rows = (xp.reshape(Z, (math.prod(xp.shape(Z)[:-1]), xp.shape(Z)[-1])) for Z in (delta, rows))
        return mT(delta) @ rows

    return lambda: A_bar @ xp.conj(W), W_bar, lambda: xp.sum(A_bar, axis=-2)


@affine.jvp
def _(A, X, W, b):
    return lambda X_dot: X_dot @ mT(W), lambda W_dot: X @ mT(W_dot), lambda b_dot: b_dot[..., None, :]


@affine.samples
def _(case):
    yield case(case.normal(4, 3), case.normal(2, 3), case.normal(2))
    yield case(case.normal(1, 3), case.normal(2, 3))


@affine.reference
def _(mp, X, W, b):
    return X @ W.T + b[None, :]


def affine_columns(X, W, b=None):
    """The affine layer of a network, A = W X + b1ᵀ, of examples that are columns of X: `affine` of the transposes.

    Parameters
    ----------
    X : array (..., k, p)
        Examples as columns.
    W : array (..., m, k)
        The weights.
    b : array (..., m), optional
        The biases; zero by default.

    Returns
    -------
    array (..., m, p)

    Raises
    ------
    LinAlgError of the array's library
        The shapes do not fit.

    Notes
    -----
    X̄ = Wᴴ Ā, W̄ = Ā Xᴴ, b̄ = Ā 1. Cost: that of `affine`; in NumPy transposes cost nothing.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.affine_columns(np.array([[1.0, 0.0], [2.0, 1.0]]), np.array([[1.0, 3.0]]), np.array([0.5]))
    array([[7.5, 3.5]])
    """
    (X,) = front(X, W).as_arrays([X])
    if len(X.shape) < 2:
        raise front(X, W).ShapeError(
            f"affine_columns: argument X of shape {tuple(X.shape)} must be a matrix, with examples as columns. One "
            "example is X[:, None], or a call of affine."
        )
    return mT(affine(mT(X), W, b))


@primitive("(n),(n)->()")
def squared_error(Y, T):
    """Half the squared distance of outputs from targets, c = ½ Σᵢ |yᵢ − tᵢ|², over the last dimension.

    Returns
    -------
    array (...)
        Real, one number for each example. Their sum or mean is the loss.

    Notes
    -----
    ċ = Re Σᵢ conj(yᵢ − tᵢ) (ẏᵢ − ṫᵢ), hence ȳ = c̄ (y − t) and t̄ = −ȳ. Cost: one product.

    Source: Bishop (2006), section 5.2.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> c, pullback = overbar.vjp(overbar.squared_error, np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))
    >>> c, pullback(np.ones(1))[0]
    (array([2.5]), array([[ 1., -2.]]))
    """
    xp, D = namespace(Y, T), Y - T
    return xp.sum(xp.real(xp.conj(D) * D), axis=-1) / 2


@squared_error.vjp
def _(c_bar, c, Y, T):
    @once
    def Y_bar():
        D = Y - T
        return namespace(D).cast(c_bar, D)[..., None] * D

    return Y_bar, lambda: -Y_bar()


@squared_error.jvp
def _(c, Y, T):
    def along(D_dot):
        xp, D = namespace(Y, T), Y - T
        return xp.sum(xp.real(xp.conj(D) * D_dot), axis=-1)

    return along, lambda T_dot: -along(T_dot)


@squared_error.samples
def _(case):
    yield case(case.normal(3), case.normal(3))


@squared_error.reference
def _(mp, Y, T):
    D = mp.abs(Y - T)
    return np.asarray((D * D).sum() / 2, dtype=object)


@primitive("(n),(n)->()")
def softmax_cross_entropy(logits, targets):
    """The cross-entropy of a softmax with targets, c = −Σᵢ tᵢ log pᵢ for p = softmax(logits), over the last dimension.

    Parameters
    ----------
    logits : array (..., n)
    targets : array (..., n), or numbers of classes (...)
        The probability of each class: one, for one class, and zero for the others, or any. Or integers, with one
        dimension less: the number of the class, from 0 to n − 1. These have no derivative.

    Returns
    -------
    array (...)
        One number for each example. Their sum or mean is the loss.

    Raises
    ------
    LinAlgError of the array's library
        The number of a class is not one from 0 to n − 1. (Compiled, or under vmap, the result is NaN.)

    Notes
    -----
    Computed as Σᵢ tᵢ (logsumexp(x) − xᵢ), where terms with tᵢ = 0 are 0, for xᵢ = −∞ too. The derivative of logsumexp
    is p, so that ċ = Σᵢ ((Σⱼ tⱼ) pᵢ − tᵢ) ẋᵢ − Σᵢ log pᵢ ṫᵢ. With targets that add up to one,

        x̄ = c̄ (p − t),    t̄ = −c̄ log p,

    and of complex arrays the conjugate factors. δ = p − t are the errors of the layer below. Cost: one softmax.

    Source: Bishop (2006), section 5.2, for t that add up to one.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> x, t = np.array([[0.0, 0.0], [1000.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> c, pullback = overbar.vjp(overbar.softmax_cross_entropy, x, t)
    >>> c
    array([6.93147181e-01, 1.00000000e+03])
    >>> pullback(np.ones(2))[0]
    array([[-0.5,  0.5],
           [ 1. , -1. ]])
    >>> overbar.softmax_cross_entropy(x, np.array([0, 1]))
    array([6.93147181e-01, 1.00000000e+03])
    """
    xp = namespace(logits, targets)
    none = xp.equal(targets, 0)
    gap = _minus_log_probabilities(logits)
    return xp.sum(targets * xp.where(none, xp.zeros_like(gap), gap), axis=-1)


def _minus_log_probabilities(x):
    return logsumexp(x, axis=-1, keepdims=True) - x


def with_classes(logits, targets):
    """The arrays of `softmax_cross_entropy`, where the targets are numbers of classes with one and zeros instead."""
    if logits is None or targets is None:
        return logits, targets  # which is said with the function's name
    known = front(logits, targets)
    if isinstance(targets, (int, list, tuple)):
        targets = np.asarray(targets)
    x = known.as_arrays([logits])[0]
    if not known.xp.is_floating(x) or not hasattr(targets, "dtype"):
        return logits, targets
    xp = known.xp
    given, shape = known_shape(targets), known_shape(x)
    _check_targets(known, targets, given, shape)
    if not _holds_integers(targets):
        return logits, targets
    if None in (given, shape):
        raise known.ShapeError(
            "softmax_cross_entropy: the ranks of logits and of targets that are integers must be known while the graph "
            f"is built. {known.tell_sizes}"
        )
    if len(given) >= len(shape):
        return logits, targets
    n = xp.shape(x)[-1]
    if isinstance(targets, np.ndarray):
        targets = xp.constant(targets, x)
    classes = xp.count(n, x)
    targets = xp.astype(targets, classes.dtype)
    one_hot = xp.equal(targets[..., None], classes)
    T, found = xp.cast(one_hot, x), xp.any(one_hot, axis=-1)
    if not known.sees_numbers(found):  # a compiler or a transform looks on
        return x, xp.where(found[..., None], T, math.nan * xp.ones_like(T))
    message = (
        "softmax_cross_entropy: argument targets has the number of no class. "
        f"There are {n}, one for each logit, with numbers from 0 to {n - 1}."
    )
    return x, known.require(T[..., None, :], found, message, "targets")[..., 0, :]


def _check_targets(known, targets, given, shape):
    """Refuse what is neither a probability for each logit nor the number of a class for each example."""
    if None in (given, shape) or None in (*given, *shape) or not shape:
        return
    problem = None
    if not _holds_integers(targets):
        if given == shape[:-1] and given and given[-1] != shape[-1]:
            problem = (
                f"of dtype {dtype_name(targets.dtype)} has one entry for each example. Numbers of classes are integers"
            )
            remedy = "convert them, targets.astype(int) in NumPy"
    elif given == (*shape[:-1], 1) != shape:
        problem, remedy = "has a dimension more than the numbers of classes", "pass targets[..., 0]"
    elif len(given) < len(shape) and any(
        1 not in (m, n) and m != n for m, n in zip(given[::-1], shape[-2::-1], strict=False)
    ):
        problem, remedy = "does not fit", f"pass one number of a class for each example, of shape {shape[:-1]}"
    if problem:
        raise known.ShapeError(
            f"softmax_cross_entropy: argument targets of shape {given}, beside logits of shape {shape}, {problem}: "
            f"{remedy}."
        )


def _holds_integers(x):
    return "int" in str(getattr(x, "dtype", ""))


@softmax_cross_entropy.also
def _(*args, **kwargs):
    args = [*args, *(kwargs.pop(name) for name in ("logits", "targets")[len(args) :] if name in kwargs)]
    return (with_classes(*args) if len(args) == 2 else args), kwargs


@softmax_cross_entropy.vjp
def _(c_bar, c, logits, targets):
    xp = namespace(logits, targets)

    def logits_bar():
        p = softmax(logits, axis=-1)
        return c_bar[..., None] * xp.conj(xp.sum(targets, axis=-1, keepdims=True) * p - targets)

    return logits_bar, lambda: c_bar[..., None] * xp.conj(_minus_log_probabilities(logits))


@softmax_cross_entropy.jvp
def _(c, logits, targets):
    xp = namespace(logits, targets)

    def from_logits(x_dot):
        p = softmax(logits, axis=-1)
        return xp.sum((xp.sum(targets, axis=-1, keepdims=True) * p - targets) * x_dot, axis=-1)

    return from_logits, lambda t_dot: xp.sum(_minus_log_probabilities(logits) * t_dot, axis=-1)


@softmax_cross_entropy.samples
def _(case):
    yield case(case.normal(3), case.positive(3))


@softmax_cross_entropy.reference
def _(mp, logits, targets):
    E = mp.exp(logits)
    return -np.asarray((targets * mp.log(np.asarray(E / E.sum(), dtype=object))).sum(), dtype=object)
