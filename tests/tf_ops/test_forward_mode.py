"""Derivatives that TensorFlow would compute by differentiating the native ops of a primitive's function: forward
accumulators and vectorized_map, eagerly, in graphs, in loops and branches, at every nesting.

Over primitives whose native ops have a wrong derivative or none, so that only the rule can give the right one.
May import `tf_ops`.
"""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402, F401 - makes the primitives ops of TensorFlow
from overbar.kernel import kernel  # noqa: E402


@kernel("(n)->(n)")
def cubes_on_host(x):
    return x**3


def rules(primitive):
    """Those of x³ sum(w), with one more call of the primitive in them, for the second derivative."""

    @primitive.vjp
    def _(bars, outputs, x, w):
        (c_bar, total_bar), (c, total) = bars, outputs
        xp = overbar.namespace(x)
        square = lambda: 3 * x * x * total[..., None]  # noqa: E731

        def total_bars():
            bar = 0 if c_bar is None else xp.sum(c_bar * x * x * x, axis=-1)
            return (bar if total_bar is None else bar + total_bar)[..., None]

        return (
            lambda: xp.zeros_like(x) if c_bar is None else c_bar * square(),
            lambda: total_bars() * xp.ones_like(w),
        )

    @primitive.jvp
    def _(outputs, x, w):
        xp, (c, total) = overbar.namespace(x), outputs
        return (
            lambda x_dot: (3 * x * x * total[..., None] * x_dot, None),
            lambda w_dot: (x * x * x * xp.sum(w_dot, axis=-1)[..., None], xp.sum(w_dot, axis=-1)),
        )

    return primitive


def constant(x):
    """What no derivative passes."""
    return tf.stop_gradient(x) if isinstance(x, tf.Tensor) else x


@overbar.primitive("(n),(m)->(n),()", hidden=1)
def hidden_ops(x, w):
    """x³ sum(w), natively without a derivative."""
    total = constant(overbar.namespace(w).sum(w, axis=-1))
    return constant(x * x * x * total[..., None]), total


@overbar.primitive("(n),(m)->(n),()", hidden=1)
def wrong_ops(x, w):
    """x³ sum(w), natively with a wrong derivative."""
    xp = overbar.namespace(w)
    total = xp.sum(w, axis=-1)
    c = x * x * x * total[..., None]
    return c + x - constant(x), 2 * total - constant(total)


@overbar.primitive("(n),(m)->(n),()", hidden=1)
def host_ops(x, w):
    """x³ sum(w), computed on the host."""
    xp = overbar.namespace(x)
    total = xp.sum(w, axis=-1)
    (c,) = xp.on_host(cubes_on_host, x)
    return c * total[..., None], total


TREACHEROUS = [rules(p) for p in (hidden_ops, wrong_ops, host_ops)]


@pytest.fixture(params=TREACHEROUS, ids=[p.name for p in TREACHEROUS])
def treacherous(request):
    return request.param


def plain(x, w):
    """What TensorFlow differentiates right by itself."""
    return x * x * x * tf.reduce_sum(w, axis=-1)[..., None]


X = np.array([0.7, -1.2, 0.4])
W = np.array([0.5, 0.3])
X_DOT = np.array([0.2, 0.5, -0.3])
W_DOT = np.array([-0.4, 0.9])


def loss(f):
    """A number whose third derivative does not vanish."""
    return lambda x, w: tf.reduce_sum(tf.sin(f(tf.exp(x), w) * tf.constant([1.0, 0.5, 0.25], tf.float64)))


def along(f):
    """f along a line."""
    return lambda t: f(X + t * X_DOT, W + t * W_DOT)


def reverse(f):
    def derivative(t):
        with tf.GradientTape() as tape:
            tape.watch(t)
            z = f(t)
        return tape.gradient(z, t)

    return derivative


def persistent(f):
    def derivative(t):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(t)
            z = f(t)
        tape.gradient(z, t)
        return tape.gradient(z, t)

    return derivative


def symbolic(f):
    """tf.gradients, which needs a graph."""
    return tf.function(lambda t: tf.gradients(f(t), t)[0])


def forward(f):
    def derivative(t):
        with tf.autodiff.ForwardAccumulator(t, tf.ones_like(t)) as accumulator:
            z = f(t)
        return accumulator.jvp(z)

    return derivative


# What is nearest to the op comes first.
NESTINGS = {
    "reverse": [reverse],
    "forward": [forward],
    "reverse over reverse": [reverse, reverse],
    "forward over reverse": [reverse, forward],
    "reverse over forward": [forward, reverse],
    "forward over forward": [forward, forward],
    "forward over persistent": [persistent, forward],
    "persistent over forward": [forward, persistent],
    "symbolic": [symbolic],
    "symbolic over symbolic": [symbolic, symbolic],
    "forward over symbolic": [symbolic, forward],
    "symbolic over forward": [forward, symbolic],
    "reverse over symbolic": [symbolic, reverse],
    "reverse over reverse over forward": [forward, reverse, reverse],
    "reverse over forward over reverse": [reverse, forward, reverse],
    "forward over reverse over reverse": [reverse, reverse, forward],
    "forward over reverse over forward": [forward, reverse, forward],
}
PLACES = ["eager", "graph around the op", "graph around all"]


def differentiated(f, modes, place):
    f = along(loss(f))
    if place == "graph around the op":
        f = tf.function(f)
    for mode in modes:
        f = mode(f)
    if place == "graph around all":
        f = tf.function(f)
    return f(tf.constant(0.3, tf.float64))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("nesting", NESTINGS)
def test_every_nesting_uses_the_rule(treacherous, nesting, place):
    modes = NESTINGS[nesting]
    found = differentiated(treacherous, modes, place)
    expected = differentiated(plain, [reverse] * len(modes), "eager")
    assert abs(float(found) / float(expected) - 1) < 1e-12
