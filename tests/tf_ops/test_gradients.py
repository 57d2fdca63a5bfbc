"""How TensorFlow differentiates an op of ours: tapes, persistent and nested to third order, forward accumulators and
every mixture of the two, Jacobians, Hessians in graphs, vectorized_map, recompute_grad, variables, unused outputs and
sparse cotangents. Over the registry and over primitives of a user's own. May import `tf_ops`.

A wrapper that TensorFlow cannot see through gives zeros in some of these modes, and no error. So every derivative is
held against one that does not vanish, and wrong wrappers against these tests.
"""

import functools

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops._front  # noqa: E402 - makes the primitives ops of TensorFlow
from overbar import jacobian, verify  # noqa: E402
from overbar._front import NUMPY  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.verify import call  # noqa: E402
from tests.compare import close, error  # noqa: E402
from tests.conftest import computed_on_the_host  # noqa: E402
from tests.tf_ops import common  # noqa: E402


def native(primitive, arrays, options):
    """The bare function, which TensorFlow differentiates op by op: no rule of ours has a part in it."""
    return primitive.run(arrays, options)[: primitive.public]


def as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def tensors(case):
    return [tf.constant(a) for a in case.arrays]


def noise(like, seed):
    return verify.noise(np.random.default_rng(seed), np.asarray(like)).astype(np.asarray(like).dtype)


def op(primitive, options, call=call):
    """The primitive as a function of tensors that returns a tuple. Arguments that must be Hermitian are made so first:
    the derivative is that of a function of any matrix then."""

    def f(*tensors):
        tensors = [
            (x + tf.linalg.adjoint(x)) / 2 if primitive.argument(i) in primitive.hermitian else x
            for i, x in enumerate(tensors)
        ]
        # pivots are integers and have no derivative
        return tuple(out for out in as_tuple(call(primitive, tensors, options)) if not out.dtype.is_integer)

    return f


def loss(primitive, options, call=call):
    """A real number that depends on every output, and so that neither its second nor its third derivative vanishes."""
    f = op(primitive, options, call)

    def g(*tensors):
        return tf.add_n([_number(out) for out in f(*tensors)])

    return g


def _number(out):
    parts = [tf.math.real(out), tf.math.imag(out)] if out.dtype.is_complex else [out]
    total = tf.add_n([tf.reduce_sum(part * part * (1 + part / 3)) for part in parts])
    for sign, part in zip((1, -1), parts, strict=False):
        part = tf.reshape(part, [-1])
        total += tf.reduce_sum(part * (1 + sign * tf.cast(tf.range(tf.size(part)), part.dtype) / 10))
    return total


# ---------------------------------------------------------------------------------------------------------------------
# Tapes and forward accumulators, one in the other


reverse, forward = (functools.partial(f, unconnected="zero") for f in (common.reverse, common.forward))

MODES = {
    "reverse": [reverse],
    "forward": [forward],
    "reverse over reverse": [reverse, reverse],
    "forward over reverse": [reverse, forward],
    "reverse over forward": [forward, reverse],
    "reverse over reverse over reverse": [reverse, reverse, reverse],
    "forward over reverse over reverse": [reverse, reverse, forward],
}

# Eagerly, TensorFlow 2.21 gets forward over forward wrong for its own ops: of tf.reduce_sum(y * y * y), where y is
# tf.exp(t * tf.constant([1.0, 2.0])), the second derivative comes out as less than half of what it is. In a graph it is
# right.
IN_GRAPHS = {**MODES, "forward over forward": [forward, forward]}


def along_a_line(primitive, case, modes, call=call):
    """The derivative of the loss along a random line, differentiated in each mode in turn."""
    g, x = loss(primitive, case.options, call), tensors(case)
    v = [tf.constant(noise(a, 3 + i)) for i, a in enumerate(case.arrays)]

    def f(t):
        s = tf.complex(t, tf.zeros_like(t)) if x[0].dtype.is_complex else t
        return g(*(a + s * d for a, d in zip(x, v, strict=True)))

    for mode in modes:
        f = mode(f)
    return f(tf.constant(0.0, x[0].dtype.real_dtype))


def mode_errors(primitive, case, names=MODES):
    """How far each mode is from what TensorFlow computes for the bare function by tapes, which is not zero. (Of what is
    computed on the host TensorFlow has no derivative: there, how far from our tapes.)"""
    errors = {}
    bare = call if computed_on_the_host(primitive) else native
    truth = {}
    for name in names:
        modes = MODES[name]
        order = len(modes)
        if order not in truth:
            truth[order] = float(along_a_line(primitive, case, [reverse] * order, bare))
            assert abs(truth[order]) > 1e-3
        found = float(along_a_line(primitive, case, modes))
        errors[name] = abs(found - truth[order]) / abs(truth[order])
    return errors


def test_modes_to_third_order(entry):
    names = ["forward", "reverse over forward", "reverse over reverse over reverse"]
    errors = mode_errors(entry.primitive, entry.draw(), names)
    assert all(off < 1e-10 for off in errors.values()), errors


def test_every_mixture_of_modes_to_third_order(some):
    errors = mode_errors(some.primitive, some.draw(np.complex128))
    assert all(off < 1e-10 for off in errors.values()), errors


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
def test_mixtures_of_modes_in_a_graph(compiled):
    """In one graph, for one primitive with a hidden output, which is the hardest. Under XLA, which takes its time,
    those two that a wrong wrapper breaks."""
    primitive = REGISTRY["inv_congruence"]
    (case,) = verify.draw_cases(primitive)
    names = ["reverse over reverse", "reverse over forward"] if compiled else IN_GRAPHS
    modes = [IN_GRAPHS[name] for name in names]
    expected = [along_a_line(primitive, case, [reverse] * len(mode), native) for mode in modes]

    @tf.function(jit_compile=compiled)
    def run():
        return [along_a_line(primitive, case, mode) for mode in modes]

    for found, truth in zip(run(), expected, strict=True):
        close(found, truth, 1e-10)


# ---------------------------------------------------------------------------------------------------------------------
# First and second derivatives against NumPy and against differences


def test_forward_mode_agrees_with_the_forward_rule(entry):
    primitive, case = entry.primitive, entry.draw(np.complex128)
    dots = [noise(a, i) for i, a in enumerate(case.arrays)]
    dots = [(d + np.conj(d.mT)) / 2 if primitive.argument(i) in primitive.hermitian else d for i, d in enumerate(dots)]
    outputs = primitive.run(case.arrays, case.options)
    expected = primitive.push(NUMPY, dots, outputs, case.arrays, case.options)[: primitive.public]
    x = tensors(case)
    with tf.autodiff.ForwardAccumulator(x, [tf.constant(d) for d in dots]) as accumulator:
        found = as_tuple(call(primitive, x, case.options))
    for a, b in zip(accumulator.jvp(found), expected, strict=True):
        if b is None:  # of integers
            assert a is None
            continue
        close(a, b, 1e-11)


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
    traced = wrap(gradient)
    near, near_, far, far_ = (traced([a + s * h * d for a, d in zip(x, v, strict=True)]) for s in (1, -1, 2, -2))
    differences = [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in zip(near, near_, far, far_, strict=True)]
    both = reverse_over_reverse(x, v), forward_over_reverse(x, v)
    return np.max([error(a, b) for found in both for a, b in zip(found, differences, strict=True)])


def test_second_derivative_is_that_of_the_first_gradient(entry):
    assert second_derivative_error(entry.primitive, entry.draw()) < 1e-7


def test_second_derivative_in_a_graph_is_that_of_the_first_gradient(some):
    assert second_derivative_error(some.primitive, some.draw(np.complex128), tf.function) < 1e-7


def test_single_precision_stays_single(entry):
    case = entry.draw(np.complex64)
    x, g = tensors(case), loss(entry.primitive, case.options)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            z = g(*x)
        bars = inner.gradient(z, x)
    second = outer.gradient(bars, x, unconnected_gradients="zero")
    assert [bar.dtype for bar in (*bars, *second)] == 2 * [t.dtype for t in x]


# ---------------------------------------------------------------------------------------------------------------------
# Jacobians and Hessians


def real(y):
    """Of eigenvalues: the loops of TensorFlow's Jacobians take a bar to have the dtype of the output."""
    return tf.math.real(y) if y.dtype.is_complex else y


def test_jacobian_agrees_with_that_of_the_rules_in_numpy(entry):
    """tape.jacobian runs the gradient for all unit cotangents at a time."""
    primitive, case = entry.primitive, entry.draw()
    f, x = op(primitive, case.options), tensors(case)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = real(f(*x)[0])
    found = tape.jacobian(y, x)
    comparable = primitive.public == 1 and not NUMPY.xp.is_complex(primitive.run(case.arrays, case.options)[0])
    if comparable and not primitive.hermitian:
        for i, a in enumerate(found):
            close(a, jacobian(lambda *t: call(primitive, t, case.options), *case.arrays, argnum=i), 1e-11)
    for a, b in zip(found, tape.jacobian(y, x, experimental_use_pfor=False), strict=True):
        close(a, b, 1e-11)


def test_batch_jacobian_is_the_jacobian_of_each(entry):
    primitive, single, batched = entry.primitive, entry.draw(), entry.draw(batch=(2,))

    def last(options, *x):
        y = real(op(primitive, options)(*x)[-1])
        return tf.reshape(y, [*y.shape, *[1] * (y.shape.rank < 2)])  # batch_jacobian needs a dimension besides

    x = tensors(batched)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = last(batched.options, *x)
    if y.dtype.is_complex:
        pytest.skip("eigenvalues of a real matrix: TensorFlow has no Jacobian of a complex array")
    found = tape.batch_jacobian(y, x[0])
    for k in range(2):
        point = [t[k] for t in x]
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(point)
            y = real(op(primitive, single.options)(*point)[-1])
        expected = tape.jacobian(y, point[0], experimental_use_pfor=False)
        close(tf.reshape(found[k], expected.shape), expected, 1e-11)


def test_hessians_in_a_graph(some):
    primitive, case = some.primitive, some.draw()

    @tf.function
    def both(*x):
        return [tf.hessians(loss(primitive, case.options, how)(*x), list(x)) for how in (call, native)]

    for found, expected in zip(*both(*tensors(case)), strict=True):
        assert abs(np.asarray(expected)).max() > 1e-3
        close(found, expected, 1e-10)


# ---------------------------------------------------------------------------------------------------------------------
# vectorized_map


def test_vectorized_map_is_a_loop(entry):
    """The value, and its gradient from outside."""
    primitive, single, batched = entry.primitive, entry.draw(), entry.draw(batch=(3,))
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


@pytest.mark.slow
def test_the_gradient_inside_vectorized_map_is_a_loop(entry):
    primitive, single, batched = entry.primitive, entry.draw(), entry.draw(batch=(3,))
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


def hessian(f):
    """By tape.jacobian, whose passes TensorFlow makes one, as those of vectorized_map."""

    def second(A):
        with tf.GradientTape() as outer:
            outer.watch(A)
            first = common.reverse(f)(A)
        return outer.jacobian(first, A)

    return second


@pytest.mark.slow
@pytest.mark.parametrize("name", ["svdvals", "svd"])
def test_a_hessian_by_a_jacobian_where_singular_values_are_zero_or_equal(name):
    """Of the sum of their squares, by rules in which each pass finds out whether another decomposition is needed."""
    values = tf_ops.svdvals if name == "svdvals" else lambda A: tf_ops.svd(A)[0]
    run = hessian(lambda A: tf.reduce_sum(values(A) ** 2))
    in_a_graph = tf.function(run, input_signature=[tf.TensorSpec([None, None], tf.float64)])
    for A in (np.outer([1.0, 2, 3], [1.0, 1]), [[1.0, 2], [0, 1], [3, 1]], [[2.0, 0], [0, 2], [0, 0]]):
        for H in (run(tf.constant(A, tf.float64)), in_a_graph(tf.constant(A, tf.float64))):
            close(tf.reshape(H, (6, 6)), 2 * np.eye(6))


def outputs_of(name, A):
    """What `name` returns that is differentiable; of a basis that may be any, the projection."""
    if name == "lu":
        return REGISTRY["lu"](A)[1:3]
    Q, R = tf_ops.qr(A, full_matrices=name == "qr, complete")
    first = tf.cast(tf.range(tf.shape(Q)[-1]) < tf.shape(A)[-1], A.dtype)
    return [Q * first, (Q * (1 - first)) @ tf.transpose(Q), R]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["qr", "qr, complete", "lu"])
@pytest.mark.parametrize("shape", [(4, 2), (3, 3), (2, 4)])
@pytest.mark.turns(4)
def test_jacobians_and_hessians_of_tall_and_wide_matrices(name, shape):
    """With parts that are empty, or may be where sizes are not known."""
    A = tf.constant(np.random.default_rng(0).standard_normal(shape) + 2 * np.eye(*shape))
    D = tf.constant(np.random.default_rng(1).standard_normal((3, *shape)))

    def total(A):
        return tf.add_n([tf.reduce_sum(tf.sin(X) * tf.cast(1 + i, A.dtype)) for i, X in enumerate(outputs_of(name, A))])

    def jacobian(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            last = outputs_of(name, A)[-1]
        return tape.jacobian(last, A)

    def tangents(A, D):
        def along(A_dot):
            with tf.autodiff.ForwardAccumulator(A, A_dot) as accumulator:
                found = outputs_of(name, A)
            return accumulator.jvp(found)

        return tf.vectorized_map(along, D)

    J, h = jacobian(A), 1e-5
    for found, pair in zip(tangents(A, D)[-1], D, strict=True):
        close(found, tf.tensordot(J, pair, 2), 1e-12)
    gradient = common.reverse(total)
    H = hessian(total)(A)
    for E in D:
        close(tf.tensordot(H, E, 2), (gradient(A + h * E) - gradient(A - h * E)) / (2 * h), 1e-7)
    unknown = tf.TensorSpec([None, None], tf.float64)
    close(tf.function(jacobian, input_signature=[unknown])(A), J, 1e-12)
    if name == "lu":  # a graph for matrices of unknown size, which are halved and halved again, takes a minute to build
        return
    close(tf.function(hessian(total), input_signature=[unknown])(A), H, 1e-12)
    forward = tf.function(tangents, input_signature=[unknown, tf.TensorSpec([None, None, None], tf.float64)])
    for found, expected in zip(forward(A, D), tangents(A, D), strict=True):
        close(found, expected, 1e-12)


@pytest.mark.parametrize("given", ["compact", "sequence"])
def test_complex_tridiagonal_systems_have_the_gradient_of_the_rule(given):
    """That of TensorFlow's own function lacks a conjugate."""
    rng = np.random.default_rng(0)
    d, b, w = (rng.standard_normal((2, *shape)) for shape in ((3, 5), (5, 2), (5, 2)))
    d, b, w = (x[0] + 1j * x[1] for x in (d, b, w))
    d[1] += 6
    expected = overbar.vjp(overbar.tridiagonal_solve, d, b)[1](w)
    x = [tf.constant(d), tf.constant(b)]
    with tf.GradientTape() as tape:
        tape.watch(x)
        diagonals = x[0] if given == "compact" else list(tf.unstack(x[0]))
        found = tf_ops.tridiagonal_solve(diagonals, x[1], given)
    for mine, other in zip(tape.gradient(found, x, tf.constant(w)), expected, strict=True):
        close(mine, other, 1e-14)
    with pytest.raises(NotImplementedError, match="or complex ones"):
        tf_ops.tridiagonal_solve(*x, perturb_singular=True)


# ---------------------------------------------------------------------------------------------------------------------
# What else a tape can meet


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_recompute_grad_changes_nothing(some, graph):
    primitive, case = some.primitive, some.draw()
    g, x = loss(primitive, case.options), tensors(case)

    def gradient(f, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = f(*x)
        return tape.gradient(z, x)

    again = tf.function(gradient) if graph else gradient
    for found, expected in zip(again(tf.recompute_grad(g), x), gradient(g, x), strict=True):
        close(found, expected)


def test_a_persistent_tape_can_be_asked_again(entry):
    primitive, case = entry.primitive, entry.draw()
    x = tensors(case)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(x)
        z = loss(primitive, case.options)(*x)
        first = tape.gradient(z, x)  # on the tape, too
        inner = tf.add_n([tf.reduce_sum(bar * bar) for bar in first])
    for found, expected in zip(tape.gradient(z, x), first, strict=True):
        close(found, expected, 1e-14)
    twice = [tape.gradient(inner, x) for _ in range(2)]
    for i, (found, expected) in enumerate(zip(*twice, strict=True)):
        size = abs(np.asarray(expected)).max()
        assert size == 0 if primitive.argument(i) in primitive.integer else size > 1e-3
        close(found, expected, 1e-14)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_a_captured_variable_is_followed(some, graph):
    primitive, case = some.primitive, some.draw()
    variables, g = [tf.Variable(a) for a in case.arrays], loss(primitive, case.options)

    def gradient():
        with tf.GradientTape() as tape:
            z = g(*variables)
        assert {v.ref() for v in tape.watched_variables()} == {v.ref() for v in variables}
        return tape.gradient(z, variables)

    run = tf.function(gradient) if graph else gradient
    for scale in (1.0, 1.25):  # what a variable holds now, not what it held when the graph was built
        for v, a in zip(variables, case.arrays, strict=True):
            v.assign(scale * a)
        x = [tf.constant(scale * a) for a in case.arrays]
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = loss(primitive, case.options, native)(*x)
        for found, expected in zip(run(), tape.gradient(z, x), strict=True):
            close(found, expected)


def test_sparse_cotangents_are_taken(entry):
    """The gradient of tf.gather is tf.IndexedSlices."""
    primitive, case = entry.primitive, entry.draw()
    f, x = op(primitive, case.options), tensors(case)
    bars = []
    for gather in (
        tf.gather,
        lambda y, rows: tf.einsum("rk,k...->r...", tf.one_hot(rows, y.shape[0], dtype=y.dtype), y),
    ):
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = f(*x)[-1]
            if not y.shape.rank:
                pytest.skip("a number has no rows")
            z = tf.reduce_sum(gather(y, [0, 0, y.shape[0] - 1]))
        if gather is tf.gather:
            assert isinstance(tape.gradient(z, y), tf.IndexedSlices)
        bars.append(tape.gradient(z, x))
    for found, expected in zip(*bars, strict=True):
        close(found, expected)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("used", [(0,), (1,), (0, 1)], ids=str)
def test_outputs_that_are_not_used(polar, used, graph):
    (case,) = verify.draw_cases(polar, np.complex128)

    def bar(call, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = as_tuple(call(polar, [x], case.options))
            z = tf.add_n([_number(outputs[i]) for i in used])
        return tape.gradient(z, x)

    (x,) = tensors(case)
    close((tf.function(bar) if graph else bar)(call, x), bar(native, x))


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_an_absent_cotangent(polar, graph):
    """None among the output_gradients stands for zeros."""
    (case,) = verify.draw_cases(polar)
    (x,) = tensors(case)
    bars = [noise(out, i) for i, out in enumerate(native(polar, [x], case.options))]

    def gradient(how, x, r_bar, u_bar):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = how(polar, [x], case.options)
        return tape.gradient(outputs, x, output_gradients=[r_bar, u_bar])

    run = tf.function(gradient) if graph else gradient
    close(run(call, x, None, bars[1]), gradient(native, x, tf.zeros_like(bars[0]), bars[1]))
    close(run(call, x, bars[0], None), gradient(native, x, bars[0], tf.zeros_like(bars[1])))


def test_unconnected_gradients(entry):
    primitive, case = entry.primitive, entry.draw()
    x, other = tensors(case), tf.constant(1.0)
    for unconnected, expected in (("none", None), ("zero", 0.0)):
        with tf.GradientTape() as tape:
            tape.watch([*x, other])
            z = loss(primitive, case.options)(*x)
        *bars, absent = tape.gradient(z, [*x, other], unconnected_gradients=unconnected)
        assert all(bar is not None for bar in bars)
        assert absent is None if expected is None else float(absent) == expected
        with tf.GradientTape() as tape:
            tape.watch(other)
            z = loss(primitive, case.options)(*x)
        assert tape.gradient(z, x) == [None] * len(x)


def test_a_tensor_that_is_watched_after_it_was_used(entry):
    """TensorFlow differentiates by it all the same, if the op is on the tape for another reason. (Which is why the bars
    of what nobody watched are computed, too.)"""
    primitive, case = entry.primitive, entry.draw()
    if len(case.arrays) == 1:
        pytest.skip("the op is not on the tape")
    if primitive.hermitian:
        pytest.skip("the op gets a matrix made Hermitian of x, and the making is not on the tape")
    x = tensors(case)
    with tf.GradientTape() as tape:
        tape.watch(x[-1])
        z = loss(primitive, case.options)(*x)
        tape.watch(x)
    bars = dict(zip(map(primitive.argument, range(len(x))), tape.gradient(z, x), strict=True))
    # the loss takes the Hermitian part of these, and of what nobody watches the tape does not know it
    assert all(bar is not None for name, bar in bars.items() if name not in primitive.hermitian)


@pytest.mark.parametrize("number", [2.0, 2, np.float64(2.0), np.array(2.0)], ids=["float", "int", "NumPy", "array"])
def test_the_bar_of_a_number_is_not_computed(number):
    """Nobody can ask for it. Of a tensor, it has to be computed."""
    asked = []

    @overbar.primitive("(n),()->(n)")
    def scaled(x, c):
        return x * c[..., None]

    @scaled.vjp
    def _(y_bar, y, x, c):
        return lambda: y_bar * c[..., None], lambda: asked.append(True) or (y_bar * x)[..., 0]

    x = tf.constant([1.0, 2.0], tf.float64)
    for c, bars in ((number, 0), (tf.constant(2.0, tf.float64), 1), (tf.Variable(2.0, dtype=tf.float64), 2)):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = tf_ops.wrap(scaled)(x, c)
        close(tape.gradient(y, x), [2.0, 2.0])
        assert len(asked) == bars


# ---------------------------------------------------------------------------------------------------------------------
# These tests catch wrong wrappers and rules


def closed_over(front, primitive, arrays, options, scope=None):
    """A wrapper whose rule sees the outputs inside, and not those on the tape, with the forward pass hidden."""

    @tf.custom_gradient
    def op(*inputs):
        outputs = primitive.run([tf.stop_gradient(A) for A in inputs], options)
        return outputs, lambda *bars: primitive.pull(front, list(bars), outputs, inputs, options)

    return op(*arrays)


def hidden_forward(front, primitive, arrays, options, scope=None):
    """A wrapper that hides the forward pass, which forward mode differentiates."""
    on_tape = []

    @tf.custom_gradient
    def op(*inputs):
        outputs = primitive.run([tf.stop_gradient(A) for A in inputs], options)
        return outputs, lambda *bars: primitive.pull(
            front, list(bars), on_tape[0] if on_tape else outputs, inputs, options
        )

    on_tape.append(op(*arrays))
    return on_tape[0]


@pytest.mark.parametrize(
    ("wrong", "caught"),
    [
        (closed_over, {"reverse over reverse", "forward over reverse", "reverse over reverse over reverse"}),
        (hidden_forward, {"reverse over forward"}),
    ],
    ids=["closed over", "hidden forward"],
)
def test_a_wrong_wrapper_is_caught(monkeypatch, wrong, caught):
    primitive = REGISTRY["inv_congruence"]
    (case,) = verify.draw_cases(primitive)
    assert all(off < 1e-10 for off in mode_errors(primitive, case).values())
    monkeypatch.setattr(tf_ops._front, "apply", wrong)
    errors = mode_errors(primitive, case)
    assert errors["reverse"] < 1e-10  # what a careless test would look at
    assert caught <= {name for name, found in errors.items() if found > 1e-3}, errors


def test_a_hidden_forward_pass_is_caught_by_vectorized_map(monkeypatch):
    primitive = REGISTRY["inv_congruence"]
    single, batched = (verify.draw_cases(primitive, batch=batch)[0] for batch in ((), (3,)))
    x = tensors(batched)
    bars = []
    for wrong in (False, True):
        if wrong:
            monkeypatch.setattr(tf_ops._front, "apply", hidden_forward)
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = tf.vectorized_map(lambda t: loss(primitive, single.options)(*t), x)
        bars.append(tape.gradient(z, x, unconnected_gradients="zero"))
    assert error(bars[1][0], bars[0][0]) > 1e-3


def test_a_saved_intermediate_taken_for_a_constant_is_caught_by_the_second_derivative():
    right = REGISTRY["inv_congruence"]

    def vjp(bars, outputs, A, B):
        C, X = outputs
        return right.vjp_rule(bars, (C, tf.stop_gradient(X)), A, B)

    wrong = verify.altered(right, vjp_rule=vjp)

    (case,) = verify.draw_cases(right)
    assert second_derivative_error(right, case) < 1e-7
    assert second_derivative_error(wrong, case) > 1e-3


# -- absent bars -------------------------------------------------------------------------------------------------------


ABSENT = {
    "tape": common.reverse,
    "tape in a graph": lambda f: tf.function(common.reverse(f)),
    "tape under XLA": lambda f: tf.function(common.reverse(f), jit_compile=True),
    "tape around a graph": lambda f: common.reverse(tf.function(f)),
    "tf.gradients": common.symbolic,
}


@pytest.mark.parametrize("mode", ABSENT)
@pytest.mark.parametrize(("name", "used", "absent"), [("eigh", 0, [1]), ("svd", 1, [2]), ("inv_quad_logdet", 0, [1])])
def test_a_rule_has_no_work_for_outputs_from_which_no_gradient_comes(name, used, absent, mode, monkeypatch):
    primitive, seen = REGISTRY[name], []
    rule = primitive.vjp_rule

    def watched(bars, *others, **options):
        seen.append(bars)
        return rule(bars, *others, **options)

    case = verify.draw_cases(primitive, np.float64)[0]
    A, *others = tensors(case)
    outputs = primitive.run(case.arrays, case.options)
    bars = [np.ones_like(out) if i == used else None for i, out in enumerate(outputs)]
    expected = primitive.pull(NUMPY, bars, outputs, case.arrays, case.options)[0]
    monkeypatch.setattr(primitive, "vjp_rule", watched)
    found = ABSENT[mode](lambda x: tf.reduce_sum(call(primitive, [x, *others], case.options)[used]))(A)
    assert np.abs(found).max() > 1e-3
    close(found, expected)
    # (instead of the first output, as of svd's here, TensorFlow makes zeros)
    assert [[bars[i] is None for i in absent] for bars in seen] == [[True] * len(absent)]
