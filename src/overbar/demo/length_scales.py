"""Regression with many inputs, of which five matter, as a subject of the demo: a length scale for each finds out which.

May import NumPy, rich, matplotlib, `overbar`, its `bench`, `gp` and `demo` and, inside functions, the frameworks and
their fronts.

The data are those of Friedman (1991), "Multivariate adaptive regression splines", section 4.3: inputs that are uniform
between 0 and 1, of which the first five are in

    y = 10 sin(π x₁ x₂) + 20 (x₃ − ½)² + 10 x₄ + 5 x₅,

and noise with a standard deviation of 1. The model is a Gaussian process with a squared exponential covariance, through
the functions that all three libraries share, `overbar.gp_log_marginal_likelihood`, `gp_fit` and `gp_predict`.
"""

from __future__ import annotations

import time

import numpy as np

import overbar
from overbar import gp
from overbar.bench.frameworks import front, load
from overbar.bench.gp import built_in_loss
from overbar.demo import plot
from overbar.demo.fit import Fit
from overbar.demo.tables import joined, new_table, number

#: how many inputs matter
MATTER = 5

#: the least and the greatest length scale that the fit looks at, beside inputs from 0 to 1
LENGTHS = (0.05, 1000.0)

#: the least and the greatest variance, in variances of y
VARIANCES = (0.01, 100.0)

#: The fits end where the gradient is less than this, in nats for each point.
TOLERANCE = 1e-4

#: at how many new inputs predictions are compared with the function
NEW = 500


def truth(X):
    return 10 * np.sin(np.pi * X[:, 0] * X[:, 1]) + 20 * (X[:, 2] - 0.5) ** 2 + 10 * X[:, 3] + 5 * X[:, 4]


class ManyInputs:
    """n points with D inputs. θ has the logarithms of D length scales, of the variance, and of that of the noise."""

    picture = "overbar-length-scales.png"
    points = 500  # where nothing is said
    steps = (20, 60)

    def __init__(self, n, D):
        rng = np.random.default_rng(7)
        self.X, self.X_new = rng.uniform(size=(n, D)), rng.uniform(size=(NEW, D))
        y = truth(self.X) + rng.normal(size=n)
        self.offset = y.mean()
        self.y = y - self.offset
        self.start = np.log([*np.ones(D), self.y.var(), self.y.var() / 10])
        self.inputs = [f"x{d + 1}" for d in range(D)]
        self.parameters = (*(f"length scale of {x}" for x in self.inputs), "variance", "variance of the noise")
        self.title = f"Gaussian process with {D} length scales"
        self.subtitle = (
            f"{n:,} points with {D} inputs, of which the first {MATTER} matter (Friedman 1991); one set of derivative "
            "rules in {frameworks}."
        )

    @classmethod
    def prepared(cls, n, D):
        if not MATTER <= D <= 100:
            raise ValueError(f"there are from {MATTER} to 100 length scales, not {D}: {MATTER} inputs matter.")
        if not 50 <= n <= 20_000:
            raise ValueError(f"with --length-scales there are between 50 and 20,000 points, not {n:,}.")
        return cls(n, D)

    # -- the likelihood ------------------------------------------------------------------------------------------------

    def objective(self, name, built_in=False):
        """f(θ) → (value, gradient) of the negative log marginal likelihood, in NumPy arrays."""
        if name == "numpy":
            return None if built_in else self._in_numpy
        library, ops = load(name), front(name)
        return (_in_torch if name == "torch" else _in_tensorflow)(library, ops, self.X, self.y, built_in)

    def _in_numpy(self, theta):
        value, gradient = overbar.value_and_grad(lambda theta: _loss(overbar, np, self.X, self.y, theta))(theta)
        return float(value), gradient

    def terms(self, theta):
        """The gradients of ½ yᵀ K⁻¹ y and of ½ log det K."""

        def half(term):
            def of(theta):
                kernel, noise = _parameters(np, theta, self.X.shape[1])
                return overbar.inv_quad_logdet(overbar.add_diagonal(kernel(self.X), noise), self.y)[term] / 2

            return overbar.grad(of)(theta)

        return half(0), half(1)

    def condition(self, theta):
        """The trace of the covariance, over the noise."""
        return len(self.X) * (1 + np.exp(theta[-2] - theta[-1]))

    # -- the fit -------------------------------------------------------------------------------------------------------

    def fit(self, name, value_and_gradient, *, iterations, progress):
        """By `gp_fit` in the framework."""
        D, convert = self.X.shape[1], {"numpy": np.asarray}
        if name != "numpy":
            library = load(name)
            convert[name] = library.from_numpy if name == "torch" else library.constant
        array, ops = convert[name], overbar if name == "numpy" else front(name)
        scales, (variance, noise) = np.exp(self.start[:D]), np.exp(self.start[D:]).tolist()
        began = time.perf_counter()
        path = [(0.0, value_and_gradient(self.start)[0])]

        def after(iteration, likelihood):
            path.append((time.perf_counter() - began, -likelihood))
            progress(iteration, -likelihood)

        found = ops.gp_fit(
            array(self.X),
            array(self.y),
            gp.RBF(array(scales), variance),
            noise,
            bounds={"kernel.lengthscale": LENGTHS, "kernel.variance": tuple(variance * x for x in VARIANCES)},
            iterations=iterations,
            tolerance=TOLERANCE,
            callback=after,
        )
        kernel, noise = found.kernel, found.noise
        theta = np.log([*np.asarray(kernel.lengthscale), float(kernel.variance), float(noise)])
        seconds = time.perf_counter() - began
        return Fit(
            theta, -found.value, seconds, found.iterations, found.evaluations, tuple(path), found.converged,
            found.message,
        )  # fmt: skip

    # -- what was found ------------------------------------------------------------------------------------------------

    def finish(self, fits, labels, picture):
        """Save the picture; return the tables and the sentence to print."""
        D = self.X.shape[1]
        scales = {name: np.exp(fit.theta[:D]) for name, fit in fits.items()}
        first = next(iter(fits.values())).theta
        kernel, noise = _parameters(np, first, D)
        predicted = overbar.gp_predict(self.X, self.y, kernel, noise, self.X_new)
        # Along an input the function has slopes of a standard deviation √v/ℓ, and inputs go from 0 to 1.
        long = float(np.sqrt(kernel.variance / noise))
        mean, sd, exact = predicted.mean + self.offset, np.sqrt(predicted.variance), truth(self.X_new)
        plot.save_length_scales(picture, self.inputs, MATTER, long, scales, (exact, mean, sd), fits, labels)
        moving = [x for x, scale in zip(self.inputs, kernel.lengthscale, strict=True) if scale < long]
        missed = np.sqrt(np.mean((mean - exact) ** 2))
        sentence = (
            f"Below a length scale of {number(long)} an input moves the function by more than the noise does, over its "
            f"range: {joined(moving) if moving else 'none'}. The noise has a standard deviation of "
            f"{np.sqrt(noise):.2f}, where 1 was added. At {NEW} new inputs the prediction is off by {missed:.2f} "
            f"(root mean square), beside {exact.std():.2f} for the mean alone; "
            f"{np.mean(np.abs(mean - exact) < 2 * sd):.0%} lie within two standard deviations."
        )
        return [_found(self.inputs, scales, labels)], sentence


def _found(inputs, scales, labels):
    table = new_table("The length scales, of inputs from 0 to 1", "", "matters", *labels.values())
    for d, x in enumerate(inputs):
        table.add_row(x, "yes" if d < MATTER else "no", *(number(scales[name][d]) for name in labels))
    return table


# -- in each framework -------------------------------------------------------------------------------------------------


def _parameters(xp, theta, D):
    return gp.RBF(xp.exp(theta[:D]), xp.exp(theta[D])), xp.exp(theta[D + 1])


def _loss(ops, xp, X, y, theta):
    return -ops.gp_log_marginal_likelihood(X, y, *_parameters(xp, theta, X.shape[1]))


def _of(library, ops, X, y, built_in):
    """The loss of θ in a framework: through our layer, or by the framework's own functions."""
    if not built_in:
        return lambda theta: _loss(ops, library, X, y, theta)
    D = X.shape[1]

    def own(theta):  # whose parameters are standard deviations
        return built_in_loss(library, X, y, {"length": theta[:D], "scale": theta[D] / 2, "noise": theta[D + 1] / 2})

    return own


def _in_torch(torch, ops, X, y, built_in):
    loss = _of(torch, ops, torch.from_numpy(X), torch.from_numpy(y), built_in)

    def value_and_gradient(theta):
        theta = torch.tensor(theta, dtype=torch.float64, requires_grad=True)
        value = loss(theta)
        (gradient,) = torch.autograd.grad(value, theta)
        return value.item(), gradient.numpy()

    return value_and_gradient


def _in_tensorflow(tf, ops, X, y, built_in):
    loss = _of(tf, ops, tf.constant(X), tf.constant(y), built_in)

    @tf.function(input_signature=[tf.TensorSpec((X.shape[1] + 2,), tf.float64)])
    def step(theta):
        with tf.GradientTape() as tape:
            tape.watch(theta)
            value = loss(theta)
        return value, tape.gradient(value, theta)

    def value_and_gradient(theta):
        value, gradient = step(tf.constant(theta, dtype=tf.float64))
        return float(value), gradient.numpy()

    return value_and_gradient
