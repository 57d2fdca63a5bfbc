"""Every primitive of the registry as a TensorFlow op: eager, in graphs with known and with unknown sizes, under XLA,
vectorised; first and second derivatives, in reverse and in forward mode. May import `tf_ops`.

Tracing and compiling are slow: what needs them runs for the first sample of each primitive.
"""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402 - makes the primitives ops of TensorFlow
from overbar import jacobian, verify  # noqa: E402
from overbar.namespace import NUMPY  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.verify import call  # noqa: E402

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
DOUBLE = [np.float64, np.complex128]


def op(primitive, options):
    """The primitive as a function of tensors that returns a tuple. Arguments that must be Hermitian are made so first:
    the derivative is that of a function of any matrix then."""

    def f(*tensors):
        tensors = [
            (x + tf.linalg.adjoint(x)) / 2 if primitive.argument(i) in primitive.hermitian else x
            for i, x in enumerate(tensors)
        ]
        return as_tuple(call(primitive, tensors, options))

    return f


def loss(primitive, options):
    """A real number that depends on every output, and not linearly: no second derivative of it vanishes."""
    f = op(primitive, options)

    def g(*tensors):
        return tf.add_n([_number(out) for out in f(*tensors)])

    return g


def _number(out):
    parts = [tf.math.real(out), tf.math.imag(out)] if out.dtype.is_complex else [out]
    total = tf.add_n([tf.reduce_sum(part * part) for part in parts])
    for sign, part in zip((1, -1), parts, strict=False):
        part = tf.reshape(part, [-1])
        total += tf.reduce_sum(part * (1 + sign * tf.cast(tf.range(tf.size(part)), part.dtype) / 10))
    return total


def as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def tensors(case):
    return [tf.constant(a) for a in case.arrays]


def close(found, expected, rtol=1e-12):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    scale = abs(expected).max(initial=0) or 1
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * scale)


def noise(like, seed):
    return verify._noise(np.random.default_rng(seed), np.asarray(like)).astype(np.asarray(like).dtype)


def by_numpy(primitive, case):
    """Public outputs, random cotangents for them, and the bars that NumPy computes."""
    outputs = primitive.run(case.arrays, case.options)
    public = primitive.public
    cotangents = [noise(out, 5) for out in outputs[:public]]
    absent = [None] * (len(outputs) - public)
    bars = primitive.pull(NUMPY, [*cotangents, *absent], outputs, case.arrays, case.options)
    return outputs[:public], cotangents, bars


def value_and_bars(primitive, options):
    """The same by a tape, as a function that can be traced."""

    def run(inputs, cotangents):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = as_tuple(call(primitive, list(inputs), options))
        return outputs, tape.gradient(outputs, inputs, output_gradients=cotangents)

    return run


def agrees(primitive, case, run, rtol=1e-12):
    outputs, cotangents, bars = by_numpy(primitive, case)
    found_outputs, found_bars = run(tensors(case), [tf.constant(c) for c in cotangents])
    for found, expected in zip((*found_outputs, *found_bars), (*outputs, *bars), strict=True):
        assert found.dtype.as_numpy_dtype == np.asarray(expected).dtype
        close(found, expected, rtol)


# ---------------------------------------------------------------------------------------------------------------------
# Eager


@pytest.mark.parametrize("dtype", DTYPES)
def test_value_and_gradient(sample, dtype):
    case = sample.draw(dtype)
    agrees(sample.primitive, case, value_and_bars(sample.primitive, case.options), 500 * np.finfo(dtype).eps)


@pytest.mark.parametrize("batch", [(0,), (3, 0), (2, 1, 4)], ids=str)
def test_value_and_gradient_in_a_batch(sample, batch):
    """An empty one, too. tests/consistency has the others."""
    case = sample.draw(np.float64, batch)
    agrees(sample.primitive, case, value_and_bars(sample.primitive, case.options))


def second_derivative_error(primitive, case, wrap=lambda f: f):
    """Second derivatives along a random direction, reverse over reverse and forward over reverse, against fourth-order
    central differences of the first gradient: the largest relative error."""
    g, x = loss(primitive, case.options), tensors(case)
    v = [tf.constant(noise(a, 3 + i)) for i, a in enumerate(case.arrays)]

    def gradient(points):
        with tf.GradientTape() as tape:
            tape.watch(points)
            z = g(*points)
        return tape.gradient(z, points, unconnected_gradients="zero")

    @wrap
    def reverse_over_reverse(points, directions):
        with tf.GradientTape() as tape:
            tape.watch(points)
            bars = gradient(points)
            inner = tf.add_n(
                [tf.reduce_sum(tf.math.real(tf.math.conj(a) * d)) for a, d in zip(bars, directions, strict=True)]
            )
        return tape.gradient(inner, points, unconnected_gradients="zero")

    @wrap
    def forward_over_reverse(points, directions):
        with tf.autodiff.ForwardAccumulator(points, directions) as accumulator:
            bars = gradient(points)
        return accumulator.jvp(bars, unconnected_gradients="zero")

    h = 1e-4
    near, near_, far, far_ = (
        wrap(gradient)([a + s * h * d for a, d in zip(x, v, strict=True)]) for s in (1, -1, 2, -2)
    )
    differences = [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in zip(near, near_, far, far_, strict=True)]
    error = 0.0
    for found in (reverse_over_reverse(x, v), forward_over_reverse(x, v)):
        for a, b in zip(found, differences, strict=True):
            error = max(error, float(abs(np.asarray(a - b)).max() / abs(np.asarray(b)).max()))
    return error


@pytest.mark.parametrize("dtype", DOUBLE)
def test_second_derivative_is_that_of_the_first_gradient(sample, dtype):
    assert second_derivative_error(sample.primitive, sample.draw(dtype)) < 1e-7


def test_second_derivative_in_a_graph_is_that_of_the_first_gradient(first):
    assert second_derivative_error(first.primitive, first.draw(), tf.function) < 1e-7


@pytest.mark.parametrize("dtype", DOUBLE)
def test_forward_mode_agrees_with_the_forward_rule(sample, dtype):
    """TensorFlow differentiates the native ops for it: that must give the same."""
    primitive, case = sample.primitive, sample.draw(dtype)
    dots = [noise(a, i) for i, a in enumerate(case.arrays)]
    dots = [(d + np.conj(d.mT)) / 2 if primitive.argument(i) in primitive.hermitian else d for i, d in enumerate(dots)]
    outputs = primitive.run(case.arrays, case.options)
    expected = primitive.push(NUMPY, dots, outputs, case.arrays, case.options)[: primitive.public]
    x = tensors(case)
    with tf.autodiff.ForwardAccumulator(x, [tf.constant(d) for d in dots]) as accumulator:
        found = as_tuple(call(primitive, x, case.options))
    for a, b in zip(accumulator.jvp(found), expected, strict=True):
        close(a, b, 1e-11)


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
def test_single_precision_stays_single(sample, dtype):
    case = sample.draw(dtype)
    x, g = tensors(case), loss(sample.primitive, case.options)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            z = g(*x)
        bars = inner.gradient(z, x)
    second = outer.gradient(bars, x, unconnected_gradients="zero")
    assert [bar.dtype for bar in (*bars, *second)] == 2 * [t.dtype for t in x]


def test_jacobian_agrees_with_that_of_the_rules_in_numpy(first):
    """tape.jacobian runs the gradient for all unit cotangents at a time."""
    primitive, case = first.primitive, first.draw()
    f, x = op(primitive, case.options), tensors(case)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        (y, *_) = f(*x)
    found = tape.jacobian(y, x)
    if primitive.public == 1 and not primitive.hermitian:
        for i, a in enumerate(found):
            close(a, jacobian(lambda *t: call(primitive, t, case.options), *case.arrays, argnum=i), 1e-11)
    for a, b in zip(found, tape.jacobian(y, x, experimental_use_pfor=False), strict=True):
        close(a, b, 1e-11)


def test_a_variable_is_taken(first):
    case = first.draw()
    x = [tf.Variable(a) for a in case.arrays]
    with tf.GradientTape() as tape:
        outputs = as_tuple(call(first.primitive, x, case.options))
    _, cotangents, bars = by_numpy(first.primitive, case)
    for found, expected in zip(tape.gradient(outputs, x, output_gradients=cotangents), bars, strict=True):
        close(found, expected)


# ---------------------------------------------------------------------------------------------------------------------
# Graphs


def spec(arrays, shape):
    return [tf.TensorSpec(shape(np.asarray(a)), np.asarray(a).dtype) for a in arrays]


@pytest.mark.parametrize("dtype", DOUBLE)
def test_a_graph_with_known_sizes(sample, dtype):
    case = sample.draw(dtype)
    _, cotangents, _ = by_numpy(sample.primitive, case)
    run = tf.function(value_and_bars(sample.primitive, case.options))
    run = run.get_concrete_function(spec(case.arrays, np.shape), spec(cotangents, np.shape))
    agrees(sample.primitive, case, run)


def test_a_graph_with_unknown_sizes(sample):
    """One graph serves every batch. Functions of whole arrays know their sizes, which options speak of, but for the
    batch; the others know none."""
    whole = sample.primitive.signature.whole
    case = sample.draw(batch=(3,))
    _, cotangents, _ = by_numpy(sample.primitive, case)
    run = tf.function(value_and_bars(sample.primitive, case.options))
    unknown = lambda a: [None, *a.shape[1:]] if whole else [None] * a.ndim  # noqa: E731
    run = run.get_concrete_function(spec(case.arrays, unknown), spec(cotangents, unknown))
    for size in (3, 1, 5):
        agrees(sample.primitive, sample.draw(batch=(size,)), run)


def test_broadcasting_in_a_graph_with_unknown_sizes(first):
    """Whether an input is broadcast is not known when the graph is built: its bar must still be summed."""
    if first.primitive.signature.whole:
        pytest.skip("a function of whole arrays does not broadcast")
    batches = [[(3, 1), (1, 4), (1, 1)], [(1, 4), (3, 1), (3, 4)], [(2, 2), (2, 2), (2, 2)]]
    case = first.draw(batch=batches[0])
    run = tf.function(value_and_bars(first.primitive, case.options))
    _, cotangents, _ = by_numpy(first.primitive, case)
    run = run.get_concrete_function(
        spec(case.arrays, lambda a: [None] * a.ndim), spec(cotangents, lambda a: [None] * a.ndim)
    )
    for batch in batches:
        agrees(first.primitive, first.draw(batch=batch), run)


@pytest.mark.parametrize("dtype", [np.float64, np.complex64])
def test_xla(first, dtype):
    case = first.draw(dtype, (2,))
    run = tf.function(value_and_bars(first.primitive, case.options), jit_compile=True)
    agrees(first.primitive, case, run, 1000 * np.finfo(dtype).eps)


def test_second_derivative_under_xla(first):
    case = first.draw()
    assert second_derivative_error(first.primitive, case, lambda f: tf.function(f, jit_compile=True)) < 1e-7


# ---------------------------------------------------------------------------------------------------------------------
# vectorized_map


def test_vectorized_map_is_a_loop(sample):
    """The value, and its gradient from outside."""
    primitive, single, batched = sample.primitive, sample.draw(), sample.draw(batch=(3,))
    x, g = tensors(batched), loss(primitive, single.options)
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = tf.vectorized_map(lambda t: g(*t), x)
    bars = tape.gradient(found, x)
    for k in range(3):
        point = [t[k] for t in x]
        with tf.GradientTape() as tape:
            tape.watch(point)
            z = g(*point)
        close(found[k], z)
        for a, b in zip(bars, tape.gradient(z, point), strict=True):
            close(a[k], b, 1e-11)


def test_the_gradient_inside_vectorized_map_is_a_loop(first):
    primitive, single, batched = first.primitive, first.draw(), first.draw(batch=(3,))
    g = loss(primitive, single.options)

    def gradient(point):
        with tf.GradientTape() as tape:
            tape.watch(point)
            z = g(*point)
        return tape.gradient(z, point)

    x = tensors(batched)
    found = tf.vectorized_map(gradient, x)
    for k in range(3):
        for a, b in zip(found, gradient([t[k] for t in x]), strict=True):
            close(a[k], b, 1e-11)


# ---------------------------------------------------------------------------------------------------------------------
# Bad input


def escaped(name):
    return name.replace("[", r"\[").replace("]", r"\]")


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("dtype", [tf.int32, tf.bool])
def test_a_tensor_that_is_not_floating_is_refused_by_name(first, dtype, graph):
    primitive, case = first.primitive, first.draw()
    for i, a in enumerate(case.arrays):
        x = tensors(case)
        x[i] = tf.ones(a.shape, tf.int32) if dtype == tf.int32 else tf.ones(a.shape, tf.int32) > 0
        f = lambda *t: call(primitive, t, case.options)  # noqa: E731
        words = rf"argument {escaped(primitive.argument(i))} has dtype .*{dtype.name}"
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            (tf.function(f) if graph else f)(*x)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_a_tensor_that_is_not_square_is_refused_by_name(first, graph):
    primitive, case = first.primitive, first.draw()
    for i, core in enumerate(primitive.signature.inputs):
        if len(core) == 2 and core[0] == core[1]:
            x = tensors(case)
            x[i] = tf.ones((4, 5), tf.float64)
            f = lambda *t: call(primitive, t, case.options)  # noqa: E731
            words = rf"argument {primitive.argument(i)} of shape.*not square"
            with pytest.raises(tf.errors.InvalidArgumentError, match=words):
                (tf.function(f) if graph else f)(*x)


def test_a_tensor_of_unknown_rank_is_refused_by_name(first):
    primitive, case = first.primitive, first.draw()
    if primitive.signature.whole:
        pytest.skip("a function of whole arrays does not ask for the rank")
    f = tf.function(lambda *t: call(primitive, t, case.options))
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"argument {primitive.argument(0)} has unknown rank"):
        f.get_concrete_function(*(tf.TensorSpec(None, a.dtype) for a in case.arrays))


def test_there_is_an_op_of_each_primitive(primitive):
    names = [name for name in tf_ops.__all__ if getattr(getattr(tf_ops, name), "primitive", None) is primitive]
    assert names or callable(getattr(tf_ops, primitive.name))


# ---------------------------------------------------------------------------------------------------------------------
# These tests catch wrong rules


def test_a_factor_in_the_reverse_rule_is_caught(first):
    for m in verify.rule_mutations(first.primitive):
        if "bar" not in m.name or "1.001" not in m.name:
            continue
        caught = 0
        for case in verify.draw_cases(first.primitive):
            _, cotangents, bars = by_numpy(first.primitive, case)
            _, found = value_and_bars(m.primitive, case.options)(tensors(case), [tf.constant(c) for c in cotangents])
            errors = [abs(np.asarray(a) - b).max() / (abs(b).max() or 1) for a, b in zip(found, bars, strict=True)]
            caught += max(errors) > 1e-4
        assert caught, m.name


def test_a_saved_intermediate_taken_for_a_constant_is_caught_by_the_second_derivative():
    right = REGISTRY["inv_congruence"]

    def vjp(bars, outputs, A, B):
        C, X = outputs
        return right.vjp_rule(bars, (C, tf.stop_gradient(X)), A, B)

    wrong = verify.altered(right, vjp_rule=vjp)

    (case,) = verify.draw_cases(right)
    assert second_derivative_error(right, case) < 1e-7
    assert second_derivative_error(wrong, case) > 1e-3
