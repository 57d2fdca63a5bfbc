"""Fitting the parameters of a Gaussian process, in the library of the data.

May import NumPy, `overbar._containers`, `_front`, `_gradients`, `_namespace`, `_primitive` and `gp.likelihood`, and
inside a function SciPy's optimisers.
Value and gradient are computed in the library that the data are arrays of (`FITTING`), and L-BFGS-B is SciPy's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from overbar._containers import Given, Leaves
from overbar._front import NUMPY
from overbar._gradients import value_and_grad
from overbar._messages import dtype_name
from overbar._namespace import front, named, namespace
from overbar.gp._likelihood import gp_log_marginal_likelihood

__all__ = ["FITTING", "Fitting", "GPFit", "gp_fit"]

#: by how much, as a factor, a parameter may move away from where it starts, in either direction
RANGE = 1e5

#: how near to the logarithm of a bound that of a parameter is at it
AT_BOUND = 1e-6

#: a gradient, in nats for each number in y, that shows no direction: where parameters are to be found it is larger
VANISHED = 1e-16

#: what SciPy says where a line search finds no lower value
GAVE_UP = 2


class Fitting(NamedTuple):
    """How one library computes what an optimiser of NumPy's asks for."""

    #: an array of the library as one of NumPy's
    numpy: Callable[[Any], np.ndarray]
    #: of a function of a list of arrays, which gives a number, and of an array that they are to be like, in dtype and
    #: device: the function of a list of NumPy arrays that gives the number and its gradient, in NumPy
    gradient: Callable[[Callable[..., Any], Any], Callable[..., Any]]
    #: what the library raises where a matrix is not positive definite
    error: type[Exception]
    #: what hides the numbers in arrays from who calls `gp_fit`, as in "inside a tf.function", "" where they are there
    hidden: Callable[..., str] = lambda *arrays: ""


def _in_numpy(loss, like):
    gradient = value_and_grad(loss)
    return lambda values: gradient([x.astype(like.dtype) for x in values])


#: by the front of the data; a framework's front adds its own
FITTING = {NUMPY: Fitting(np.asarray, _in_numpy, np.linalg.LinAlgError)}


class GPFit(NamedTuple):
    """Where a fit ended.

    Attributes
    ----------
    kernel
        The covariance function, with the parameters found.
    noise
        The variance of the noise.
    value : float
        The log marginal likelihood there, of all outputs together.
    converged : bool
        Whether the optimiser says so, and the likelihood depends, where it begins, on some number of each parameter.
        (Not on all: an input that is the same for all points has a length scale that nothing depends on.)
    message : str
        What the optimiser says about the end; which parameters ended at a bound, as the data would have them beyond;
        and on which the likelihood does not depend where they begin, so that they stayed there: begin elsewhere, with
        a length scale nearer to the distances between the points.
    iterations, evaluations : int
    failures : int
        How many of the evaluations found a covariance that is not positive definite, and stepped back.
    """

    kernel: Any
    noise: Any
    value: float
    converged: bool
    message: str
    iterations: int
    evaluations: int
    failures: int


def gp_fit(
    X: Any,
    y: Any,
    kernel: Any,
    noise: Any,
    *,
    mean: Any = 0.0,
    fixed: Sequence[str] | str = (),
    bounds: Mapping[str, tuple[float, float]] | None = None,
    iterations: int = 200,
    tolerance: float = 1e-5,
    callback: Callable[[int, float], None] | None = None,
) -> GPFit:
    """Find the parameters of a kernel, and the noise, for which data are most likely, by L-BFGS.

    Parameters
    ----------
    X, y, mean
        As for `gp_log_marginal_likelihood`. The mean is not fitted.
    kernel
        One of `overbar.gp`, sums and products of them, or a dataclass of your own that is called likewise. Its
        parameters are where the search begins.
    noise : float, array or None
        Where that of the noise begins, positive. None is none, and then it is no parameter.
    fixed : sequence of str or str
        Parameters that stay as they are: ``"noise"``, ``"kernel.variance"``, ``"kernel.first.lengthscale"``, as the
        attributes are called.
    bounds : dict, optional
        For parameters by such names, the least and the greatest value. By default a factor of 1e5 on each side of where
        it begins.
    iterations : int
        The most; with 0 it ends where it begins.
    tolerance : float
        It ends where the gradient by no parameter's logarithm is greater than this, in nats for each number in y.
    callback : callable, optional
        Called after each iteration with its number and the log marginal likelihood.

    Returns
    -------
    GPFit
        With `kernel` and `noise`, whose parameters are arrays of the library and the dtype of X, `value`, `converged`
        and `message`.

    Raises
    ------
    ValueError
        A parameter is not positive and finite where it begins, or outside its bounds; `fixed` or `bounds` name what is
        no parameter.
    TypeError
        It is called inside a tf.function, torch.compile or a transform of torch.func.
    As `gp_log_marginal_likelihood`
        At the beginning. Later, where the covariance is not positive definite, the step is taken back, and counted
        among the `failures`.

    Notes
    -----
    All parameters are positive: the search is for their logarithms, by SciPy's L-BFGS-B. Value and gradient are
    computed in the library of X, in TensorFlow by a tf.function. The likelihood may have several maxima; which one is
    found depends on the beginning. Source: Rasmussen & Williams (2006), section 5.4.1, for the gradient.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> from overbar import gp
    >>> rng = np.random.default_rng(0)
    >>> X = rng.uniform(0, 3, (60, 2))
    >>> y = np.sin(2 * X[:, 0]) + 0.1 * rng.normal(size=60)  # the second input is irrelevant
    >>> fit = overbar.gp_fit(X, y, gp.RBF([1.0, 1.0]), 0.1)
    >>> fit.converged, bool(fit.kernel.lengthscale[1] > 5 * fit.kernel.lengthscale[0]), round(float(fit.noise), 3)
    (True, True, 0.01)
    """
    if not isinstance(iterations, (int, np.integer)) or iterations < 0:
        raise ValueError(f"gp_fit: iterations is {iterations!r}. It is a whole number of steps, 0 or more.")
    fixed = (fixed,) if isinstance(fixed, str) else fixed
    leaves = Leaves(lambda x, path: hasattr(x, "dtype") or type(x) in (int, float))
    if isinstance(noise, (list, tuple)):
        _, noise = front(X, y).as_arrays([X, noise])  # one parameter, and not as many as there are numbers
    build_kernel, build_noise = leaves.collect(kernel, "kernel"), leaves.collect(noise, "noise")
    if not callable(mean):
        named("gp_fit", front, X=X, y=y, mean=mean)
    known = named("gp_fit", front, X=X, y=y, **dict(zip(leaves.paths, leaves.values, strict=True)))
    X, y = known.as_arrays([X, y])
    library = FITTING.get(known)
    if library is None:
        raise TypeError("gp_fit: got an array whose derivative is being traced. A fit has none: pass its numbers.")
    if hidden := library.hidden(X, y, *leaves.values):
        raise TypeError(
            f"gp_fit: it is called inside {hidden}, where arrays have no numbers, and an optimiser needs them. Call it "
            "outside; for a training loop of your own, gp_log_marginal_likelihood works there."
        )
    for argument, A in (("X", X), ("y", y)):
        if not known.xp.is_floating(A) or known.xp.is_complex(A):
            raise known.DtypeError(
                f"gp_fit: argument {argument} has dtype {dtype_name(A.dtype)}. It must be real floating point."
            )
    starts = [np.asarray(x if front(x) is NUMPY else library.numpy(x), float) for x in leaves.values]
    free = _free(leaves.paths, starts, fixed, bounds or {})
    names = [leaves.paths[i] for i in free]
    ranges = _ranges(leaves.paths, starts, free, bounds or {})

    def given(arrays):
        """The kernel and the noise, of arrays of the library."""
        return build_kernel(Given(arrays)), build_noise(Given(arrays))

    def like_data(x):
        return known.xp.cast(known.xp.constant(x, X), X)

    constants = [None if i in free else like_data(x) for i, x in enumerate(starts)]
    count = math.prod(y.shape)
    if not count:
        raise known.ShapeError(f"gp_fit: argument y of shape {tuple(y.shape)} has no numbers to fit to.")

    def loss(arrays):
        arrays, all_arrays = iter(arrays), []
        for constant in constants:
            all_arrays.append(next(arrays) if constant is None else constant)
        likelihoods = gp_log_marginal_likelihood(X, y, *given(all_arrays), mean=mean)
        return namespace(likelihoods).sum(likelihoods) / -count

    def begin():
        loss([like_data(starts[i]) for i in free])

    objective, done = _Objective(library.gradient(loss, X), begin, library.error, [starts[i] for i in free]), 0

    def after(intermediate_result):
        nonlocal done
        done += 1
        if callback is not None:
            callback(done, -count * float(intermediate_result.fun))

    import scipy.optimize  # which would take half of the time that importing overbar takes

    options, value = {"gtol": tolerance, "ftol": 10 * known.xp.eps(X)}, math.inf
    success, message = False, "it was asked for no iterations"
    if iterations < 1:
        objective(objective.best)
        value = objective.values[0]
    while done < iterations:
        options["maxiter"] = iterations - done
        result = scipy.optimize.minimize(
            objective, objective.best, jac=True, method="L-BFGS-B", bounds=ranges, callback=after, options=options
        )
        success, message = result.success, str(result.message)
        before, value = value, min(objective.values)
        # Where steps went too far a line search may give up although it has come down: it begins again from there.
        done += result.status == GAVE_UP
        if result.status != GAVE_UP or value > before - tolerance:
            break
    found = iter(objective.parameters(objective.best))
    arrays = [like_data(next(found)) if constant is None else constant for constant in constants]
    evaluations = len(objective.values) + objective.failures
    at_bounds = (np.abs(objective.best[:, None] - ranges) <= AT_BOUND).any(-1)
    unseen = (np.abs(objective.slopes) <= VANISHED) & (objective.best == objective.first)
    for what, which in (("at a bound", at_bounds), ("the likelihood does not depend, where it begins, on", unseen)):
        if ended := [name for name, at in zip(names, objective.split(which), strict=True) if at.any()]:
            message += f"; {what}: {', '.join(ended)}"
    converged = success and not any(at.size and at.all() for at in objective.split(unseen))
    return GPFit(*given(arrays), -count * value, converged, message, done, evaluations, objective.failures)


class _Objective:
    """What the optimiser sees: the loss and its gradient by θ, the logarithms of the parameters. It remembers all
    values, the first θ and the slopes there, the θ of the least, and how often there was none. `begin` computes the
    loss at the first θ, not compiled."""

    def __init__(self, gradient, begin, error, starts):
        self.gradient, self.begin, self.error, self.shapes = gradient, begin, error, [x.shape for x in starts]
        self.ends = np.cumsum([x.size for x in starts])[:-1]
        self.first = self.best = np.concatenate([np.ravel(np.log(x)) for x in starts])
        self.values, self.failures, self.slopes = [], 0, None

    def split(self, theta):
        """What belongs to each parameter."""
        return [part.reshape(shape) for part, shape in zip(np.split(theta, self.ends), self.shapes, strict=True)]

    def parameters(self, theta):
        return self.split(np.exp(theta))

    def __call__(self, theta):
        arrays = self.parameters(theta)
        try:
            value, bars = self.gradient(arrays)
        except self.error as error:
            if not self.values:
                self.begin()  # a compiled function's error is that of its graph: here it is in the words of ours
            if not self.values or "not positive definite" not in str(error):
                raise
            value = math.nan
        if not np.isfinite(value):
            return self._too_far(theta, value)
        if not self.values or value < min(self.values):
            self.best = theta.copy()
        self.values.append(float(value))
        slopes = np.concatenate([np.ravel(x * bar) for x, bar in zip(arrays, bars, strict=True)])
        if self.slopes is None:
            self.slopes = slopes
        return self.values[-1], slopes

    def _too_far(self, theta, value):
        """A value higher than it was anywhere, for which the line search tries a shorter step."""
        if not self.values:
            raise ValueError(f"gp_fit: the log marginal likelihood is {-value} where it begins. Is y finite?")
        self.failures += 1
        return 2 * max(self.values) - min(self.values) + 1, np.zeros_like(theta)


def _free(paths, starts, fixed, bounds):
    """Which of the parameters are fitted. They are positive, and `fixed` and `bounds` name parameters."""
    for option, names in (("fixed", fixed), ("bounds", bounds)):
        if unknown := [name for name in names if name not in paths]:
            raise ValueError(f"gp_fit: {option} names {unknown[0]!r}. The parameters are {', '.join(paths)}.")
    free = [i for i, path in enumerate(paths) if path not in fixed]
    if not free:
        raise ValueError("gp_fit: all parameters are fixed, so that there is nothing to fit.")
    for i in free:
        if not np.all((starts[i] > 0) & np.isfinite(starts[i])):
            raise ValueError(
                f"gp_fit: {paths[i]} begins at {starts[i].tolist()}. Parameters that are fitted are positive and "
                f"finite: begin elsewhere, or hold it as it is, fixed=({paths[i]!r},)."
            )
    return free


def _ranges(paths, starts, free, bounds):
    """The logarithms of the least and of the greatest value of each number that is fitted."""
    lows, highs = [], []
    for i in free:
        low, high = bounds.get(paths[i], (None, None))
        low, high = (starts[i] / RANGE if low is None else low), (starts[i] * RANGE if high is None else high)
        if not np.all((np.asarray(low) > 0) & (low <= starts[i]) & (starts[i] <= high)):
            raise ValueError(
                f"gp_fit: {paths[i]} begins at {starts[i].tolist()}, and its bounds are {bounds[paths[i]]}. They are "
                "positive, the first is the least value, and it begins between them."
            )
        lows.append(np.ravel(np.log(np.broadcast_to(low, starts[i].shape))))
        highs.append(np.ravel(np.log(np.broadcast_to(high, starts[i].shape))))
    return np.stack([np.concatenate(lows), np.concatenate(highs)], axis=-1)
