"""Primitives whose function runs a kernel of NumPy or SciPy on the host: in eager code, in graphs, under
vectorized_map, in tf.data pipelines, and what they cannot do: XLA and a SavedModel. May import `tf_ops`.
"""

import numpy as np
import pytest
import scipy.linalg

tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402 - makes the primitives ops of TensorFlow
from overbar import verify  # noqa: E402
from overbar._primitive import once  # noqa: E402
from overbar.kernels import kernel  # noqa: E402
from tests.tf_ops.test_names import pushed, taped  # noqa: E402
from tests.underivable import UNDERIVABLE  # noqa: E402

calls = []


@kernel("(m,m),(n,n),(m,n)->(m,n)")
def own_sylvester(A, B, C):
    calls.append(A.shape)
    X = scipy.linalg.solve_sylvester(A, B, C)
    if not np.isfinite(X).all() or abs(X).max(initial=0) > 1e8:
        raise np.linalg.LinAlgError("A and -B have an eigenvalue in common.")
    return X


@overbar.primitive("(m,m),(n,n),(m,n)->(m,n)")
def sylvester(A, B, C):
    """The X of A X + X B = C."""
    return overbar.front(A).compute(own_sylvester, A, B, C)[0]


@sylvester.vjp
def _(X_bar, X, A, B, C):
    xp = overbar.namespace(A)
    C_bar = once(lambda: sylvester(xp.mH(A), xp.mH(B), X_bar))
    return lambda: -C_bar() @ xp.mH(X), lambda: -xp.mH(X) @ C_bar(), C_bar


@sylvester.jvp
def _(X, A, B, C):
    return (
        lambda A_dot: sylvester(A, B, -A_dot @ X),
        lambda B_dot: sylvester(A, B, -X @ B_dot),
        lambda C_dot: sylvester(A, B, C_dot),
    )


@sylvester.samples
def _(case):
    yield case(case.positive(3, 3), case.positive(2, 2), case.normal(3, 2))


def draw(dtype=np.float64, batch=(), rng=0):
    return [tf.constant(a) for a in verify.draw_cases(sylvester, dtype, batch, rng)[0].arrays]


def test_the_rules_are_right():
    verify.check(sylvester)


def value_and_bars(*x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        X = sylvester(*x)
        z = tf.reduce_sum(tf.abs(X) ** 2)
    return X, tape.gradient(z, x)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("known", [True, False], ids=["known sizes", "unknown sizes"])
def test_a_graph_gives_what_eager_code_gives(dtype, known):
    A, B, C = draw(dtype, (4,))
    x = [A, B[0], C[:, None]]  # whose batches broadcast
    shapes = [a.shape if known else [None] * a.shape.rank for a in x]
    spec = [tf.TensorSpec(shape, a.dtype) for shape, a in zip(shapes, x, strict=True)]
    graph = tf.function(value_and_bars, input_signature=spec)
    found, expected = (tf.nest.flatten(f(*x)) for f in (graph, value_and_bars))
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_array_equal(a, b)
    static = graph.get_concrete_function().outputs[0].shape
    assert static == ((4, 4, 3, 2) if known else (None,) * 4)
    residual = A @ expected[0] + expected[0] @ B[0] - C[:, None]
    assert abs(np.asarray(residual)).max() < 100 * np.finfo(dtype).eps


def test_empty_batches_and_matrices():
    A, B, C = draw(batch=(2,))
    for f in (sylvester, tf.function(lambda *x: sylvester(*x))):
        assert f(A[:0], B[:0], C[:0]).shape == (0, 3, 2)
        assert f(A[..., :0, :0], B, C[..., :0, :]).shape == (2, 0, 2)


def test_vectorized_map_calls_the_host_once(monkeypatch):
    batches = []
    kernel = type(own_sylvester)
    run = kernel.__call__
    monkeypatch.setattr(kernel, "__call__", lambda self, *x: batches.append(x[0].shape[:-2]) or run(self, *x))
    A, B, C = draw(batch=(4,))
    found = tf.vectorized_map(lambda a: sylvester(*a), [A, B, C])
    assert batches == [(4,)]
    np.testing.assert_array_equal(found, sylvester(A, B, C))
    batches.clear()
    found = tf.vectorized_map(lambda c: sylvester(A, B[0], c), C)  # the batch of A is not that of the loop
    assert batches == [(4,)]
    np.testing.assert_array_equal(found, sylvester(A, B[0], C[:, None]))


def test_another_implementation_of_a_kernel_is_taken(monkeypatch):
    """In eager code, in a graph and under vectorized_map."""
    monkeypatch.setattr(own_sylvester, "others", ())
    A, B, C = draw(batch=(2,))
    taken, expected = [], sylvester(A, B, C)

    @own_sylvester.implemented_by(when=lambda A, B, C: A.ndim == 3)
    def counted(A, B, C):
        taken.append(A.shape)
        return own_sylvester.function(A, B, C)

    for f in (sylvester, tf.function(sylvester), lambda *x: tf.vectorized_map(lambda a: sylvester(*a), x)):
        taken.clear()
        np.testing.assert_array_equal(f(A, B, C), expected)
        assert taken == [(3, 3)] * 2
    sylvester(A[0], B[0], C[0])
    assert len(taken) == 2


def test_the_graph_drops_what_nobody_needs():
    """A kernel has no side effects."""
    A, B, C = draw()
    graph = tf.function(lambda: (sylvester(A, B, C), A)[1])
    graph()
    calls.clear()
    graph()
    assert calls == []


def test_tf_data_runs_it():
    A, B, C = draw(batch=(6,))
    data = tf.data.Dataset.from_tensor_slices((A, B, C)).map(sylvester, num_parallel_calls=2).batch(3)
    np.testing.assert_array_equal(tf.concat(list(data), 0), sylvester(A, B, C))


def test_errors_of_the_kernel_are_those_of_the_framework():
    """With its words; in a graph there is a traceback behind them."""
    A, B, C = (tf.Variable(a) for a in draw(batch=(3,)))
    A[1].assign(tf.linalg.diag(tf.constant([1.0, 2.0, 3.0], tf.float64)))
    B[1].assign(-A[1, :2, :2])
    A, B, C = (a.value() for a in (A, B, C))
    words = r"A and -B have an eigenvalue in common\. \(Matrix 1 of the batch\.\)"
    for f in (
        sylvester,
        tf.function(lambda *x: sylvester(*x)),
        lambda *x: tf.vectorized_map(lambda a: sylvester(*a), x),
    ):
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            f(A, B, C)


# ---------------------------------------------------------------------------------------------------------------------
# A rule that calls a kernel, of which nobody knows a derivative


ONE = tf.constant(1.0)


def symbolic(f):
    return tf.function(lambda x: tf.gradients(f(x), x)[0])


def looped(f):
    return lambda x: tf.while_loop(lambda i, y: i < 1, lambda i, y: (i + 1, f(x)), (0, x))[1]


FIRST = {"reverse": taped, "forward": pushed, "symbolic": symbolic}


@pytest.mark.parametrize("way", FIRST)
@pytest.mark.parametrize("rule", UNDERIVABLE)
def test_first_derivatives_by_a_kernel(rule, way):
    """TensorFlow transposes the reverse rule where an accumulator is around a tf.function."""
    f, value = UNDERIVABLE[rule], 2.0 if rule == "alone" else 6.0
    d = FIRST[way]
    for first in (d(f), tf.function(d(f)), d(tf.function(lambda x: f(x)))):
        assert first(ONE) == value
        np.testing.assert_array_equal(tf.vectorized_map(first, tf.ones(3)), value)


@pytest.mark.parametrize("outer", FIRST)
@pytest.mark.parametrize("inner", FIRST)
@pytest.mark.parametrize("rule", UNDERIVABLE)
def test_a_derivative_of_a_kernel_is_refused(rule, inner, outer):
    """It would be too small, without a word, or None. NumPy's sweeps say the same. In a tf.function that somebody
    around it differentiates, TensorFlow says it when the program runs."""
    f, words = UNDERIVABLE[rule], "the kernel double got an array whose derivative is being traced. A kernel has none"
    first, second = FIRST[inner](f), FIRST[outer](FIRST[inner](f))
    ways = [second, tf.function(second), FIRST[outer](tf.function(first)), FIRST[outer](tf.function(looped(first)))]
    if not (inner == "forward" and outer == "reverse"):  # which TensorFlow cannot do around a loop, with its own ops
        ways.append(FIRST[outer](looped(tf.function(first))))
    for way in ways:
        with pytest.raises((TypeError, tf.errors.InvalidArgumentError), match=words):
            way(ONE)


def test_xla_cannot_and_says_so():
    with pytest.raises(NotImplementedError, match=r"own_sylvester is computed on the host, which .* XLA cannot call"):
        tf.function(value_and_bars, jit_compile=True)(*draw())


@pytest.mark.parametrize("way", ["called", "in a branch", "in its gradient"])
def test_a_saved_model_that_could_not_run_is_refused(tmp_path, way):
    """TensorFlow would write one that fails when it is called."""
    ways = {
        "called": lambda A, B, C: sylvester(A, B, C),
        "in a branch": lambda A, B, C: tf.cond(C[0, 0] > 0, lambda: sylvester(A, B, C), lambda: C),
        "in its gradient": lambda A, B, C: value_and_bars(A, B, C)[1],
    }
    module, spec = tf.Module(), [tf.TensorSpec(a.shape, a.dtype) for a in draw()]
    module.f = tf.function(ways[way], input_signature=spec)
    module.f(*draw())  # it works until then
    with pytest.raises(ValueError, match="own_sylvester is computed on the host, by a Python function"):
        tf.saved_model.save(module, str(tmp_path))


def test_autograph_leaves_primitives_alone(caplog, capfd):
    """A warning would come where it cannot rewrite something."""

    @tf.function
    def run(A, B, C):
        return sylvester(A, B, C), tf_ops.wrap(sylvester)(A, B, C), overbar.matmul(A, C)

    run(*draw())
    assert "AutoGraph" not in caplog.text + capfd.readouterr().err
