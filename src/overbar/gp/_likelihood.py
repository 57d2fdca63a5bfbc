"""The log marginal likelihood of a Gaussian process, and its predictions.

May import `overbar._namespace`, `_primitive`, `overbar.rules` and `gp.kernels`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from overbar import rules
from overbar._messages import dtype_name
from overbar._namespace import dimensions, front, known_shape, mT, named, namespace
from overbar.gp._kernels import variances, with_noise

__all__ = ["GPPrediction", "gp_log_marginal_likelihood", "gp_predict"]


def gp_log_marginal_likelihood(X: Any, y: Any, kernel: Any, noise: Any, *, mean: Any = 0.0) -> Any:
    """The logarithm of the density of data under a Gaussian process, log N(y | m(X), K), with K = k(X) + diag(noise).

    Parameters
    ----------
    X : array (..., n, D)
        The inputs, as rows.
    y : array (..., n)
        The outputs. Several for the same inputs are batch dimensions: K is factorised once.
    kernel : callable
        The covariance function: one of `overbar.gp`, sums and products of them, or what is called likewise.
    noise : float or array
        The variance of the noise, not negative: one number, or one for each row of X; batch dimensions in front. None
        is none, as 0 is.
    mean : float, array or callable
        The mean: a number, one for each output, (..., 1), or a function that makes an array (..., n) of the inputs.

    Returns
    -------
    array (...)
        One for each output. Differentiable by all arrays, those of the kernel included, to any order.

    Raises
    ------
    LinAlgError of the array's library
        K is not positive definite: points coincide, or nearly, and there is no noise. A length scale or a variance is
        not positive, or the noise is negative.
    The library's error for shapes
        X has no rows, y another length than X, or the kernel gave no n by n array.
    The library's error for dtypes
        X or y is not floating point; in PyTorch and TensorFlow also where they have different dtypes.

    Notes
    -----
    `gaussian_logpdf` of y, the mean and `add_diagonal` of k(X), whose docstrings have the derivatives:
    K̄ = ½ (α αᵀ − K⁻¹) with α = K⁻¹ (y − m). Source: Rasmussen & Williams (2006), equations 2.30 and 5.9. Cost: value
    and gradient together some two or three Cholesky decompositions.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> from overbar import gp
    >>> X, y = np.array([[0.0], [1.0], [3.0]]), np.array([0.5, 0.7, -1.0])
    >>> def loss(kernel, noise):
    ...     return -overbar.gp_log_marginal_likelihood(X, y, kernel, noise)
    >>> value, (bars, noise_bar) = overbar.value_and_grad(loss, argnums=(0, 1))(gp.RBF(1.5) + gp.Matern(0.5), 0.1)
    >>> value.round(4), bars.first.lengthscale.round(4), bars.second.variance.round(4)
    (np.float64(4.1831), np.float64(0.0107), np.float64(0.5693))
    """
    known, (X, y), n = _data("gp_log_marginal_likelihood", X, y)
    K = _covariance("gp_log_marginal_likelihood", X, kernel, noise, n)
    m = _mean("gp_log_marginal_likelihood", mean, X, y)
    return _factorised("gp_log_marginal_likelihood", known, lambda: rules.gaussian_logpdf(y, m, K))


class GPPrediction(NamedTuple):
    """What a Gaussian process says of new inputs: the distribution of its values there.

    Attributes
    ----------
    mean : array (..., m)
    variance : array (..., m)
        The diagonal of the covariance, never negative.
    covariance : array (..., m, m) or None
        Where it was asked for, or samples.
    samples : array (..., m) or None
        Where they were asked for.
    """

    mean: Any
    variance: Any
    covariance: Any = None
    samples: Any = None


def gp_predict(
    X: Any,
    y: Any,
    kernel: Any,
    noise: Any,
    X_new: Any,
    *,
    mean: Any = 0.0,
    covariance: bool = False,
    noise_new: Any = None,
    normals: Any = None,
) -> GPPrediction:
    """The mean and the variance of a Gaussian process at new inputs, given data; its covariance there, and samples.

    Parameters
    ----------
    X, y, kernel, noise, mean
        As for `gp_log_marginal_likelihood`.
    X_new : array (..., m, D)
        Where to predict, as rows.
    covariance : bool
        Return the covariance of the predictions, too.
    noise_new : float or array, optional
        The variance of the noise of new observations, one number or one for each row of X_new: mean, variance,
        covariance and samples are those of observations then. By default they are those of the function itself.
    normals : array (..., m), optional
        Independent standard normal numbers, from the generator of your choice: makes samples of them, as many as there
        are. Where there are several outputs, or several sets of parameters, its dimensions are (samples, ..., m), with
        those of `mean` behind the first: they broadcast. The samples depend smoothly on everything else, and are
        differentiable ("reparametrised").

    Returns
    -------
    GPPrediction
        With `mean`, `variance`, `covariance` and `samples`; the last two are None unless asked for. All are
        differentiable by all arrays, to any order.

    Raises
    ------
    As `gp_log_marginal_likelihood`; X_new has other columns than X.

    Notes
    -----
    With K = L Lᵀ, V = L⁻¹ k(X, X*) and z = L⁻¹ (y − m(X)),

        mean = m(X*) + Vᵀ z,    covariance = k(X*) − Vᵀ V,

    so K is factorised once, and what the variance is the difference of are two sums of squares. Where rounding makes a
    variance negative it is 0, with a derivative of zero, which is what it has where it is least.

    Samples are mean + C ε, where C Cᵀ is the covariance. Near data it is singular but for rounding, so that C is
    `safe_cholesky`'s, whose first jitter is 1e-8 of the prior variance (1e-6 in single precision).

    Source: Rasmussen & Williams (2006), algorithm 2.1. Cost: one Cholesky decomposition and m solved triangles; a
    covariance m² n operations more, samples another decomposition.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> from overbar import gp
    >>> X, y = np.array([[0.0], [1.0], [3.0]]), np.array([0.5, 0.7, -1.0])
    >>> mean, variance, *_ = overbar.gp_predict(X, y, gp.RBF(1.5), 1e-6, np.array([[1.0], [2.0], [9.0]]))
    >>> mean.round(3), variance.round(3)
    (array([ 0.7  , -0.032, -0.001]), array([0.   , 0.045, 1.   ]))
    """
    known, (X, y, X_new), n = _data("gp_predict", X, y, X_new)
    K = _covariance("gp_predict", X, kernel, noise, n)
    L = _factorised("gp_predict", known, lambda: rules.cholesky(K))
    V = rules.solve_triangular(L, _of_shape("gp_predict", kernel(X, X_new), X, n, X_new), upper=False)
    z = rules.solve_triangular(L, (y - _mean("gp_predict", mean, X, y))[..., None], upper=False)
    xp = namespace(V)
    _check_batches(V, z, X_new, y)
    # The products are primitives, which PyTorch's autocast leaves their digits.
    expected = rules.transpose_matmul(V, z)[..., 0]
    expected = expected + _mean("gp_predict", mean, X_new, expected)
    if not covariance and normals is None:
        prior = variances(kernel, X_new)
        variance = _not_negative(xp, prior - xp.sum(V * V, axis=-2))
        if noise_new is None:
            return GPPrediction(expected, variance)
        # the diagonal of matrices of one row, so that the noise is looked at
        noise_new = _noise_new(noise_new, X_new, variance)
        each = noise_new[..., None] if dimensions(noise_new) != () else noise_new
        return GPPrediction(expected, _with_noise_new(variance[..., None, None], each)[..., 0, 0])
    prior = _of_shape("gp_predict", kernel(X_new), X_new, _rows(X_new))
    scale = xp.detached(xp.power_of_two(prior))
    C = prior - rules.transpose_matmul(V, V)
    if noise_new is not None:
        C = _with_noise_new(C, _noise_new(noise_new, X_new, xp.diagonal(C)))
    variance = _not_negative(xp, xp.diagonal(C))
    if normals is None:
        return GPPrediction(expected, variance, C)
    (normals,) = named("gp_predict", front, C=C, normals=normals).as_arrays([normals])
    _floating("gp_predict", front(C), "normals", normals)
    shape, m = known_shape(normals), _rows(X_new)
    if shape is not None and not (len(shape) and _agree(shape[-1], m)):
        raise front(C).ShapeError(
            f"gp_predict: argument normals of shape {tuple(shape)} does not fit X_new with {m} rows. Its last "
            "dimension has a number for each new input, and the dimensions in front count the samples."
        )
    wide = known_shape(expected)
    if None not in (shape, wide) and not all(
        1 in (a, b) or _agree(a, b) for a, b in zip(shape[-2::-1], wide[-2::-1], strict=False)
    ):
        raise front(C).ShapeError(
            f"gp_predict: argument normals of shape {tuple(shape)} does not fit the mean of shape {tuple(wide)}: in "
            f"front of its last dimension it must broadcast with {tuple(wide[:-1])}. Samples are counted in front of "
            f"that: a shape of {(shape[0], *wide)} makes {shape[0]} for each."
        )
    root, _ = rules.safe_cholesky(C / scale)
    moved = rules.transpose_matmul(mT(root), normals[..., None])[..., 0] * xp.sqrt(scale[..., 0])
    return GPPrediction(expected, variance, C, expected + moved)


# -- what both have in common ------------------------------------------------------------------------------------------


def _rows(X):
    shape = known_shape(X)
    return None if shape is None else shape[-2]


def _data(function, X, y, *new):
    """The front of the data, the data as its arrays, and the number of rows, None where it is unknown."""
    known = named(function, front, **dict(zip(("X", "y", "X_new"), (X, y, *new), strict=False)))
    X, y, *new = known.as_arrays([X, y, *new])
    for argument, A in zip(("X", "y", "X_new"), (X, y, *new), strict=False):
        _floating(function, known, argument, A)
        if not known.promotes and A.dtype != X.dtype:
            raise known.DtypeError(
                f"{function}: argument {argument} has dtype {dtype_name(A.dtype)}, and X has {dtype_name(X.dtype)}. "
                f"{known.name} does not promote the arguments of matrix functions. Convert one of them."
            )
    shapes = [known_shape(A) for A in (X, *new)]
    for argument, shape in zip(("X", "X_new"), shapes, strict=False):
        if shape is None:
            raise known.ShapeError(f"{function}: the rank of argument {argument} is unknown. {known.tell_sizes}")
        if len(shape) < 2:
            raise known.ShapeError(
                f"{function}: argument {argument} of shape {tuple(shape)} has no rows. It needs a row for each point "
                f"and a column for each input: {argument}[:, None] where there is one input."
            )
    if None not in shapes and not _agree(shapes[0][-1], shapes[-1][-1]):
        raise known.ShapeError(
            f"{function}: argument X_new of shape {tuple(shapes[1])} does not fit X of shape {tuple(shapes[0])}. Both "
            "have a column for each input."
        )
    n, of_y = None if shapes[0] is None else shapes[0][-2], known_shape(y)
    if of_y is not None and (len(of_y) == 0 or not _agree(of_y[-1], n)):
        raise known.ShapeError(
            f"{function}: argument y of shape {tuple(of_y)} does not fit X of shape {tuple(shapes[0])}. Its last "
            f"dimension has a number for each of the {n} rows of X; several outputs are dimensions in front of it: the "
            "transpose of a matrix with outputs as columns, y[:, 0] of one with a single column."
        )
    return known, [X, y, *new], n


def _floating(function, known, argument, A):
    if not known.xp.is_floating(A):
        raise known.DtypeError(
            f"{function}: argument {argument} has dtype {dtype_name(A.dtype)}. It must be floating point: convert it, "
            "to float64 for instance."
        )


def _agree(size, other):
    return size is None or other is None or size == other


def _of_shape(function, K, X, n, X2=None):
    """What a kernel gave, if it has the right shape."""
    shape, m = known_shape(K), n if X2 is None else _rows(X2)
    if shape is not None and not (len(shape) >= 2 and _agree(shape[-2], n) and _agree(shape[-1], m)):
        what = "kernel(X)" if X2 is None else "kernel(X, X_new)"
        raise front(K).ShapeError(
            f"{function}: {what} is an array of shape {tuple(shape)}, and must be {n} by {m}. Argument kernel is a "
            "function of inputs, or of two sets of them, as those of overbar.gp are."
        )
    return K


def _covariance(function, X, kernel, noise, n):
    if isinstance(kernel, type) or not callable(kernel):
        what = f"the class {kernel.__name__}" if isinstance(kernel, type) else f"a {type(kernel).__name__}"
        raise TypeError(
            f"{function}: argument kernel is {what}. Pass a covariance function with its parameters, gp.RBF(1.0) for "
            "instance, or a function of one or two sets of inputs."
        )
    _check_noise(function, X, noise, n)
    if hasattr(kernel, "noisy"):
        return _of_shape(function, with_noise(kernel, X, noise), X, n)
    K = _of_shape(function, kernel(X), X, n)
    return K if noise is None else rules.add_diagonal(K, noise)


def _check_noise(function, X, noise, n):
    """What is wrong with the shape of the noise, before the covariance function says it of an argument of its own."""
    if noise is None:
        return
    if isinstance(noise, (list, tuple)):
        _, noise = front(X).as_arrays([X, noise])
    shape = dimensions(noise) and known_shape(noise)
    if shape and shape[-1] != 1 and not _agree(shape[-1], n):
        each = "" if len(shape) > 1 else " One number for each kernel of a batch is noise[:, None]."
        raise front(X).ShapeError(
            f"{function}: argument noise of shape {tuple(shape)} does not fit X with {n} rows. Pass one number, or one "
            f"for each row: its last dimension counts them, batch dimensions go in front of it.{each}"
        )


def _check_batches(V, z, X_new, y):
    """Whether the outputs go with the covariance of X and X_new, before a product says it of its own arguments."""
    ours, theirs = known_shape(V), known_shape(z)
    if ours is None or theirs is None:
        return
    if not all(1 in (a, b) or _agree(a, b) for a, b in zip(ours[-3::-1], theirs[-3::-1], strict=False)):
        raise front(V).ShapeError(
            f"gp_predict: argument y of shape {tuple(known_shape(y))} does not fit argument X_new of shape "
            f"{tuple(known_shape(X_new))}: the batch dimensions of the outputs are {tuple(theirs[:-2])}, and those of "
            f"kernel(X, X_new) {tuple(ours[:-2])}. Counted from the right, they must be equal or 1: y[:, None] makes "
            "room for one more."
        )


def _mean(function, mean, X, like):
    """The mean at inputs, an array like one of outputs there."""
    if callable(mean):
        (_, found), n = front(X).as_arrays([X, mean(X)]), _rows(X)
        shape = known_shape(found)
        if shape is not None and not (len(shape) and _agree(shape[-1], n)):
            raise front(X).ShapeError(
                f"{function}: argument mean gave an array of shape {tuple(shape)} for {n} inputs. Its last dimension "
                "has a number for each input."
            )
        return found
    named(function, front, mean=mean)
    if isinstance(mean, (list, tuple)):
        _, mean = front(X).as_arrays([X, mean])
    shape = dimensions(mean)
    if len(shape) and shape[-1] != 1:
        raise front(X).ShapeError(
            f"{function}: argument mean of shape {tuple(shape)} is neither a number nor one for each output, with a "
            "last dimension of 1. Pass a function of the inputs for a mean that depends on them: it is asked at new "
            "inputs, too."
        )
    return mean + namespace(like).zeros_like(like)


def _not_negative(xp, x):
    return xp.where(x < 0, xp.zeros_like(x), x)


def _noise_new(noise, X_new, variance):
    """The noise of new observations, if it fits their variances (..., m)."""
    known = named("gp_predict", front, variance=variance, noise_new=noise)
    if isinstance(noise, (list, tuple)):
        _, noise = known.as_arrays([variance, noise])
    shape, wide = dimensions(noise) and known_shape(noise), known_shape(variance)
    if not shape or wide is None:
        return noise
    if shape[-1] != 1 and not _agree(shape[-1], wide[-1]):
        raise known.ShapeError(
            f"gp_predict: argument noise_new of shape {tuple(shape)} does not fit X_new with {_rows(X_new)} rows. Pass "
            "one number, or one for each row: its last dimension counts them, batch dimensions go in front of it."
        )
    if not all(1 in (a, b) or _agree(a, b) for a, b in zip(shape[-2::-1], wide[-2::-1], strict=False)):
        raise known.ShapeError(
            f"gp_predict: argument noise_new of shape {tuple(shape)} does not fit the variances of shape "
            f"{tuple(wide)}: in front of its last dimension it must broadcast with {tuple(wide[:-1])}."
        )
    return noise


def _with_noise_new(C, noise):
    """`add_diagonal`, whose errors are about an argument of `gp_predict`."""
    try:
        return rules.add_diagonal(C, noise)
    except Exception as error:
        known, words = front(C), str(error)
        kinds = (known.ShapeError, known.DtypeError, known.LinAlgError, TypeError, ValueError)
        kind = next((kind for kind in kinds if type(kind("")) is type(error)), None)
        if kind is None or "add_diagonal: argument noise" not in words:
            raise
        raise kind(words.replace("add_diagonal: argument noise", "gp_predict: argument noise_new")) from None


def _factorised(function, known, compute):
    """``compute()``, with what can be done where K = k(X) + diag(noise) is not positive definite."""
    try:
        return compute()
    except Exception as error:
        if "is not finite" in str(error):
            raise known.LinAlgError(
                f"{function}: the covariance of the data, kernel(X) plus argument noise, is not finite. "
                f"Are argument X, the parameters of the kernel and the noise finite? ({error})"
            ) from error
        if "not positive definite" not in str(error):
            raise
        raise known.LinAlgError(
            f"{function}: the covariance of the data, kernel(X) with argument noise on its diagonal, is not positive "
            "definite. Points in X coincide, or are near each other beside the length scale, and the noise is zero or "
            "too small: pass a larger noise, or use safe_cholesky of the covariance, and gaussian_logpdf_cholesky, "
            f"which add the least jitter that works. ({error})"
        ) from error
