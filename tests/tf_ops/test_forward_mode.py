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
from overbar.kernels import kernel  # noqa: E402
from tests.compare import error  # noqa: E402
from tests.tf_ops.common import forward, reverse, symbolic  # noqa: E402


@kernel("(n)->(n)")
def cubes_on_host(x):
    return x**3


def rules(primitive):
    """Those of x³ sum(w), with one more call of the primitive in them, for the second derivative."""

    @primitive.vjp
    def _(bars, outputs, x, w):
        (c_bar, total_bar), (_, total) = bars, outputs
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
        xp, (_, total) = overbar.namespace(x), outputs
        return (
            lambda x_dot: (3 * x * x * total[..., None] * x_dot, None),
            lambda w_dot: (x * x * x * xp.sum(w_dot, axis=-1)[..., None], xp.sum(w_dot, axis=-1)),
        )

    return primitive


def constant(x):
    """What no derivative passes."""
    return tf.stop_gradient(x) if isinstance(x, tf.Tensor) else x


@overbar.primitive("(n),(m)->(n),()", intermediates=1)
def hidden_ops(x, w):
    """x³ sum(w), natively without a derivative."""
    total = constant(overbar.namespace(w).sum(w, axis=-1))
    return constant(x * x * x * total[..., None]), total


@overbar.primitive("(n),(m)->(n),()", intermediates=1)
def wrong_ops(x, w):
    """x³ sum(w), natively with a wrong derivative."""
    xp = overbar.namespace(w)
    total = xp.sum(w, axis=-1)
    c = x * x * x * total[..., None]
    return c + x - constant(x), 2 * total - constant(total)


@overbar.primitive("(n),(m)->(n),()", intermediates=1)
def host_ops(x, w):
    """x³ sum(w), computed on the host."""
    xp = overbar.namespace(x)
    total = xp.sum(w, axis=-1)
    (c,) = overbar.front(x).compute(cubes_on_host, x)
    return c * total[..., None], total + 0 * xp.sum(x, axis=-1)


TREACHEROUS = {p.name: rules(p) for p in (hidden_ops, wrong_ops, host_ops)}


def plain(x, w):
    """What TensorFlow differentiates right by itself."""
    return x * x * x * tf.reduce_sum(w, axis=-1)[..., None]


def largest_error(found, expected):
    """Relative to the largest entry of each, of which none may vanish."""
    found, expected = ([tf.convert_to_tensor(a) for a in tf.nest.flatten(x)] for x in (found, expected))
    assert all(abs(b.numpy()).max() > 1e-3 for b in expected)
    return np.max([error(a, b) for a, b in zip(found, expected, strict=True)])


# ---------------------------------------------------------------------------------------------------------------------
# Tapes and forward accumulators, one in the other


X = np.array([0.7, -1.2, 0.4])
W = np.array([0.5, 0.3])


def along_a_line(f):
    """A number whose third derivative does not vanish."""

    def g(t):
        y = f(tf.exp(X + t * np.array([0.2, 0.5, -0.3])), W + t * np.array([-0.4, 0.9]))
        return tf.reduce_sum(tf.sin(y * tf.constant([1.0, 0.5, 0.25], tf.float64)))

    return g


def persistent(f):
    def derivative(t):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(t)
            z = f(t)
        tape.gradient(z, t)
        return tape.gradient(z, t)

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
SLOW = {"forward over reverse over forward"}  # to trace eagerly
FEW = {"forward", "forward over reverse", "symbolic over forward", "reverse over symbolic"}


def differentiated(f, modes, wrap=lambda f: f):
    f = wrap(along_a_line(f))
    for mode in modes:
        f = mode(f)
    return f(tf.constant(0.3, tf.float64))


def truth(modes):
    return differentiated(plain, [reverse] * len(modes))


@pytest.mark.parametrize("nesting", sorted(NESTINGS.keys() - SLOW))
def test_every_nesting_uses_the_rule(nesting):
    modes = NESTINGS[nesting]
    for name in ("wrong_ops", "host_ops"):
        assert largest_error(differentiated(TREACHEROUS[name], modes), truth(modes)) < 1e-12, name


@pytest.mark.parametrize("nesting", NESTINGS)
def test_every_nesting_uses_the_rule_in_a_graph(nesting):
    modes = NESTINGS[nesting]
    graph = tf.function(lambda: [differentiated(TREACHEROUS[name], modes) for name in ("hidden_ops", "host_ops")])
    assert largest_error(graph(), [truth(modes)] * 2) < 1e-12


@pytest.mark.parametrize("nesting", sorted(FEW))
def test_nestings_around_a_graph_use_the_rule(nesting):
    modes = NESTINGS[nesting]
    assert largest_error(differentiated(TREACHEROUS["host_ops"], modes, tf.function), truth(modes)) < 1e-12


def test_a_tape_around_an_accumulator_around_a_graph_is_an_error():
    """TensorFlow 2.21 cannot do that, with its own ops (`plain`) neither: at least it says so."""
    with pytest.raises(tf.errors.InternalError, match="too few gradients"):
        differentiated(TREACHEROUS["hidden_ops"], [forward, reverse], tf.function)


def test_only_what_moves_is_pushed(monkeypatch):
    """Accumulators send zeros for everything else; the rule is not asked for them."""
    primitive, asked = TREACHEROUS["wrong_ops"], []
    rule = primitive.jvp_rule

    def watched(*args, **options):
        x_term, w_term = rule(*args, **options)
        return (lambda dot: asked.append("x") or x_term(dot)), (lambda dot: asked.append("w") or w_term(dot))

    monkeypatch.setattr(primitive, "jvp_rule", watched)
    x, w = tf.constant(X), tf.constant(W)
    for primals, expected in (([x], ["x"]), ([w], ["w"]), ([x, w], ["x", "w"])):
        asked.clear()
        with tf.autodiff.ForwardAccumulator(primals, [tf.ones_like(a) for a in primals]) as accumulator:
            y = primitive(x, w)
        assert accumulator.jvp(y) is not None
        assert asked == expected
    asked.clear()
    with tf.autodiff.ForwardAccumulator(x, tf.ones_like(x)) as accumulator:
        assert accumulator.jvp(primitive(w[:1], w)) is None
    assert asked == []


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_a_primitive_without_a_forward_rule_is_pushed_by_its_reverse_rule(monkeypatch, graph):
    primitive = TREACHEROUS["wrong_ops"]
    monkeypatch.setattr(primitive, "jvp_rule", None)
    for modes in ([forward], [reverse, forward], [forward, reverse]):
        run = tf.function(differentiated) if graph else differentiated
        assert largest_error(run(primitive, modes), truth(modes)) < 1e-12


def test_a_primitive_that_reads_a_variable_is_refused():
    """Its derivative would lack what comes from there."""
    v = tf.Variable(2.0)

    @overbar.elementwise
    def scaled(A):
        return A * v

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = scaled(x)
        return tape.gradient(y, x)

    for f in (run, tf.function(run)):
        with pytest.raises(TypeError, match=r"scaled: its function, or one among its options, reads the tf\.Variable"):
            f(tf.constant([1.0]))


# ---------------------------------------------------------------------------------------------------------------------
# Loops, branches and vectorized_map

_RANDOM = np.random.default_rng(5)
XS, WS = tf.constant(_RANDOM.uniform(0.5, 1.5, (4, 3))), tf.constant(_RANDOM.uniform(0.2, 1.0, (4, 2)))


def wave(f):
    return lambda x, w: tf.sin(f(x, w))


def gradient(run, *watched):
    with tf.GradientTape() as tape:
        tape.watch(watched)
        y = run()
    return tape.gradient(y, watched)


def tangent(run, *moving):
    with tf.autodiff.ForwardAccumulator(moving, tuple(0.3 + 0.2 * a for a in moving)) as accumulator:
        y = run()
    return accumulator.jvp(y)


def inside(f):
    """The gradient inside vectorized_map."""
    return tf.vectorized_map(lambda a: gradient(lambda: wave(f)(*a), *a), (XS, WS))


def jacobian(f, x, w):
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = wave(f)(x, w)
    return tape.jacobian(y, x)


def in_a_while_loop(f, x, w):
    return tf.while_loop(lambda i, y: i < 2, lambda i, y: (i + 1, 1 + wave(f)(y, w)), [0, x])[1]


def in_a_branch(f, x, w):
    return tf.cond(x[0] > 1.0, lambda: wave(f)(x, w), lambda: 2 * x + w[0])


def each(f):
    return tf.vectorized_map(lambda a: wave(f)(*a), (XS, WS))


PROGRAMS = {
    "vectorized_map": lambda f: gradient(lambda: each(f), XS, WS),
    "vectorized_map, second": lambda f: gradient(
        lambda: tf.add_n([tf.reduce_sum(bar * bar) for bar in gradient(lambda: each(f), XS, WS)]), XS, WS
    ),
    "vectorized_map, forward": lambda f: tangent(lambda: each(f), XS, WS),
    "vectorized_map over one": lambda f: gradient(lambda: tf.vectorized_map(lambda x: wave(f)(x, WS[0]), XS), XS, WS),
    # the batch of the other does not become that of the loop
    "vectorized_map beside a batch": lambda f: gradient(
        lambda: tf.vectorized_map(lambda x: wave(f)(x, WS), XS), XS, WS
    ),
    "vectorized_map beside another batch": lambda f: gradient(
        lambda: tf.vectorized_map(lambda w: wave(f)(XS, w), WS), XS, WS
    ),
    "vectorized_map in vectorized_map": lambda f: gradient(
        lambda: tf.vectorized_map(lambda x: tf.vectorized_map(lambda w: wave(f)(x, w), WS), XS), XS, WS
    ),
    "vectorized_map of a while_loop": lambda f: gradient(
        lambda: tf.vectorized_map(lambda a: in_a_while_loop(f, *a), (XS, WS)), XS, WS
    ),
    "vectorized_map of a cond": lambda f: gradient(
        lambda: tf.vectorized_map(lambda a: in_a_branch(f, *a), (XS, WS)), XS, WS
    ),
    "vectorized_map of a tf.function": lambda f: gradient(
        lambda: tf.vectorized_map(lambda a: tf.function(wave(f))(*a), (XS, WS)), XS, WS
    ),
    "in vectorized_map": inside,
    "in vectorized_map, second": lambda f: gradient(
        lambda: tf.add_n([tf.reduce_sum(bar * bar) for bar in inside(f)]), XS, WS
    ),
    "jacobian": lambda f: jacobian(f, XS[0], WS[0]),
    "jacobian, gradient": lambda f: gradient(lambda: tf.reduce_sum(jacobian(f, XS[0], WS[0]) ** 2), XS, WS),
    "jacobian, forward": lambda f: tangent(lambda: jacobian(f, XS[0], WS[0]), XS, WS),
    "map_fn": lambda f: gradient(
        lambda: tf.map_fn(lambda a: wave(f)(*a), (XS, WS), fn_output_signature=tf.float64), XS, WS
    ),
    "while_loop": lambda f: gradient(lambda: in_a_while_loop(f, XS[0], WS[0]), XS, WS),
    "while_loop, forward": lambda f: tangent(lambda: in_a_while_loop(f, XS[0], WS[0]), XS, WS),
    "cond": lambda f: gradient(lambda: in_a_branch(f, XS[0], WS[0]), XS, WS),
    "cond, forward": lambda f: tangent(lambda: in_a_branch(f, XS[0], WS[0]), XS, WS),
    "cond, other branch, forward": lambda f: tangent(lambda: in_a_branch(f, XS[1], WS[1]), XS, WS),
}


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_loops_and_branches_use_the_rule(program, graph):
    run = PROGRAMS[program]
    found = (tf.function(run) if graph else run)(TREACHEROUS["host_ops"])
    assert largest_error(found, run(plain)) < 1e-12


@pytest.mark.parametrize("name", ["hidden_ops", "wrong_ops"])
def test_vectorized_map_uses_the_rule(name):
    run = PROGRAMS["vectorized_map, second"]
    assert largest_error(run(TREACHEROUS[name]), run(plain)) < 1e-12


def test_options_that_differ_in_vectorized_map():
    """An index that is a tensor, of the loop or from outside of it."""

    @overbar.primitive("(n)->()")
    def pick(x, *, i):
        return tf.stop_gradient(x[..., i] ** 3)

    @pick.vjp
    def _(c_bar, c, x, *, i):
        return (lambda: 3 * (c_bar * x[..., i] ** 2)[..., None] * tf.one_hot(i, x.shape[-1], dtype=x.dtype),)

    indices = tf.constant([2, 0, 1, 2])
    hot = tf.one_hot(indices, 3, dtype=tf.float64)
    found = gradient(lambda: tf.vectorized_map(lambda a: pick(a[0], i=a[1]), (XS, indices)), XS)
    assert largest_error(found, [3 * XS**2 * hot]) < 1e-15
    found = gradient(lambda: tf.vectorized_map(lambda x: pick(x, i=indices[1]), XS), XS)
    assert largest_error(found, [3 * XS**2 * hot[1]]) < 1e-15
