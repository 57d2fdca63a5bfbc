"""What is computed only for the numbers that need it: a graph has both branches and runs one. Batches here mix matrices
of all kinds, so that one of them decides for all. May import `tf_ops`.
"""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402
from tests.compare import close  # noqa: E402
from tests.tf_ops.test_registry import agrees, value_and_bars  # noqa: E402

REGULAR = np.array([[2.0, 1.0, 0.5], [-1.0, 3.0, 0.2], [0.3, -0.4, 1.5]])
SINGULAR = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]])
NEARLY = SINGULAR + 1e-9 * np.diag([1.0, 2.0, -3.0])
BY_ROUNDING = np.arange(1.0, 10.0).reshape(3, 3) / 10  # a pivot is 1e-17
NAN = np.where(np.eye(3) == 1, np.nan, REGULAR)


def value_and_gradient(f):
    """Of the sum of what f returns, in a graph."""

    @tf.function
    def run(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            z = f(A)
        return z, tape.gradient(z, A)

    return run


def graph_and_eager(f, A):
    A = tf.constant(A)
    run = value_and_gradient(f)
    for found in (run(A), run.python_function(A)):
        yield [x.numpy() for x in found]


def adjugate(A):
    """By cofactors, in extended precision."""
    A, n = A.astype(np.longdouble), len(A)
    C = np.empty((n, n), np.longdouble)
    for i, j in np.ndindex(n, n):
        (a, b), (c, d) = np.delete(np.delete(A, i, 0), j, 1)
        C[j, i] = (-1) ** (i + j) * (a * d - b * c)
    return C


def test_determinants_of_a_batch_of_all_kinds():
    kinds = [REGULAR, SINGULAR, NEARLY, BY_ROUNDING, 0 * REGULAR, 1e-110 * REGULAR, 1e110 * REGULAR, 1e-60 * NEARLY]
    for chosen in (kinds[:1], [REGULAR, NEARLY], [BY_ROUNDING], [1e-110 * REGULAR, 1e110 * REGULAR], kinds):
        A = np.stack(chosen)
        for c, A_bar in graph_and_eager(tf_ops.det, A):
            for each, value, bar in zip(A, c, A_bar, strict=True):
                adj = adjugate(each)
                size = abs(each).max() or 1
                with np.errstate(over="ignore"):
                    truth, scale = float((each[0] * adj[:, 0]).sum()), size**3
                assert value == truth or abs(value - truth) <= 1e-13 * scale
                close(bar / size**2, adj.T.astype(float) / size**2, 1e-12)


def test_a_determinant_is_not_a_number_where_the_matrix_is_not_and_nowhere_else():
    for c, A_bar in graph_and_eager(tf_ops.det, np.stack([REGULAR, NAN])):
        close(c[0], np.linalg.det(REGULAR))
        close(A_bar[0], adjugate(REGULAR).T.astype(float))
        assert np.isnan(c[1])
        assert np.isnan(A_bar[1]).any()


@pytest.mark.parametrize("f", [tf_ops.inv, lambda A: tf_ops.solve(A, A[..., :1] * 0 + 1.0)], ids=["inv", "solve"])
def test_nan_stays_in_its_matrix(f):
    for value, A_bar in graph_and_eager(f, np.stack([REGULAR, NAN, REGULAR.T])):
        for i in (0, 2):
            alone, bar = next(graph_and_eager(f, [REGULAR, NAN, REGULAR.T][i]))
            close(value[i], alone)
            close(A_bar[i], bar)
        assert np.isnan(value[1]).any()


@pytest.mark.parametrize("f", [tf_ops.inv, lambda A: tf_ops.solve(A, A)], ids=["inv", "solve"])
def test_a_singular_matrix_is_named_beside_one_with_nan(f):
    A = tf.constant(np.stack([REGULAR, NAN, np.diag([1.0, 0.0, 2.0])]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"singular(.|\n)*2"):
        value_and_gradient(f)(A)


def test_norms_of_a_batch_of_all_sizes():
    sizes = [1.0, 1e-170, 1e170, 0.0, 1e-300]
    for chosen in ([1.0, 3.0], sizes):
        A = np.array(chosen)[:, None, None] * np.round(REGULAR)
        for c, A_bar in graph_and_eager(lambda A: tf_ops.linalg.norm(A, axis=(-2, -1)), A):
            for size, value, bar in zip(chosen, c, A_bar, strict=True):
                truth = np.round(REGULAR) / np.linalg.norm(np.round(REGULAR))
                close(value, size * np.linalg.norm(np.round(REGULAR)), 1e-13)
                close(bar, truth if size else 0 * truth, 1e-13)


def test_vectors_of_equal_eigenvalues_in_one_matrix_of_a_batch():
    """V diag(e^w) Vᴴ with weights has no derivative that eigh knows where two are equal; the others have theirs."""
    Q, _ = np.linalg.qr(REGULAR)
    apart, equal = (Q * w @ Q.T for w in ([1.0, 2.0, 4.0], [1.0, 1.0, 2.0]))
    weights = REGULAR + REGULAR.T

    def f(A):
        w, V = tf_ops.eigh(A)
        w = tf.cast(w, A.dtype)[..., None, :]
        return tf.reduce_sum(weights * (V * tf.exp(w) @ tf.linalg.matrix_transpose(V)), axis=(-2, -1))

    exact = tf_ops.wrap(tf_ops.expm.primitive)
    truth = next(graph_and_eager(lambda A: tf.reduce_sum(weights * exact(A), axis=(-2, -1)), apart))[1]
    run = value_and_gradient(f)
    for batch, known in (([apart, apart], [0, 1]), ([apart, equal], [0]), ([equal, apart], [1])):
        A_bar = run(tf.constant(np.stack(batch)))[1].numpy()
        for i, bar in enumerate(A_bar):
            if i in known:
                close(bar, truth, 1e-11)
            else:
                assert np.isnan(bar).all()


def test_singular_vectors_of_equal_values_in_one_matrix_of_a_batch():
    """U V, with weights, of a matrix with two equal singular values is not known; of the others it is."""
    P, _ = np.linalg.qr(REGULAR)
    Q, _ = np.linalg.qr(REGULAR.T)
    apart, equal = (P * s @ Q for s in ([4.0, 2.0, 1.0], [2.0, 2.0, 1.0]))

    def f(A):
        s, U, V = tf_ops.svd(A)
        return tf.reduce_sum(tf.constant(REGULAR) * (U * s[..., None, :] ** 3) @ V, axis=(-2, -1))

    run = value_and_gradient(f)
    alone = run(tf.constant(apart))[1].numpy()
    A_bar = run(tf.constant(np.stack([apart, equal])))[1].numpy()
    close(A_bar[0], alone)
    assert np.isfinite(alone).all()
    assert np.isnan(A_bar[1]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["inv", "logdet", "eigh", "svd", "norm"])
def test_branches_in_every_mode(name):
    """Second derivatives, forward mode over reverse mode, and vectorised loops go through branches."""
    f = {
        "eigh": lambda A: tf.reduce_sum(tf_ops.eigh(A)[1][..., :1] ** 3),
        "svd": lambda A: tf.reduce_sum(tf_ops.svd(A)[1] ** 3),
    }.get(name, lambda A: tf.reduce_sum(getattr(tf_ops.linalg, name)(A) ** 2))
    A = tf.constant(REGULAR @ REGULAR.T)

    def gradient(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            z = f(A)
        return tape.gradient(z, A)

    @tf.function
    def hessian(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            G = gradient(A)
        return tape.jacobian(G, A)

    @tf.function
    def along(A, E):
        with tf.autodiff.ForwardAccumulator(A, E) as accumulator:
            G = gradient(A)
        return accumulator.jvp(G)

    in_graph = tf.function(gradient)
    H, h = hessian(A).numpy(), 1e-5
    for E in (np.diag([1.0, -2.0, 0.5]), np.ones((3, 3))):
        product = np.einsum("ijkl,kl->ij", H, E)
        close(along(A, tf.constant(E)), product, 1e-9)
        with tf.autodiff.ForwardAccumulator(A, tf.constant(E)) as accumulator:
            G = in_graph(A)
        close(accumulator.jvp(G), product, 1e-9)
        difference = (gradient(A + h * E) - gradient(A - h * E)).numpy() / (2 * h)
        close(product, difference, 1e-6)
    each = tf.function(lambda A: tf.vectorized_map(gradient, A))(tf.stack([A, 2 * A, A + 1]))
    for found, one in zip(each, (A, 2 * A, A + 1), strict=True):
        close(found, gradient(one))


#: how many nodes the graph of value and gradient has, branches that are not run not counted
MOST = {
    "cholesky": 80,
    "det": 40,
    "eigh": 260,
    "inv": 45,
    "logdet": 60,
    "norm": 45,
    "slogdet": 60,
    "solve": 60,
    "svd": 290,
}


@pytest.mark.parametrize("name", MOST)
def test_graphs_stay_small(name):
    op = getattr(tf_ops.linalg, name)
    arrays = [tf.constant(np.stack([REGULAR @ REGULAR.T] * 2))] * len(op.primitive.arguments)

    @tf.function
    def run(*arrays):
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            z = op(*arrays)
        return tape.gradient(z, arrays)

    assert len(run.get_concrete_function(*arrays).graph.get_operations()) <= MOST[name]


# ---------------------------------------------------------------------------------------------------------------------
# Graphs of TensorFlow 1, where == compares objects and not numbers


def test_a_graph_of_tensorflow_1(some):
    primitive, case = some.primitive, some.draw()

    def run(inputs, cotangents):
        values = [x.numpy() for x in inputs], [x.numpy() for x in cotangents]
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            inputs, cotangents = ([tf.constant(x) for x in xs] for xs in values)
            found = session.run(value_and_bars(primitive, case.options)(inputs, cotangents))
        return [[tf.constant(x) for x in xs] for xs in found]

    agrees(primitive, case, run)


def test_equal_numbers_are_seen_in_a_graph_of_tensorflow_1():
    A = np.zeros((2, 2))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        t = tf.constant(A)
        norm, power = tf_ops.linalg.norm(t), tf_ops.pow(t, tf.constant(0.0, tf.float64))
        found = session.run([norm, tf.gradients(norm, t)[0], tf.gradients(power, t)[0]])
    for x in found:
        close(x, np.zeros_like(x))


# ---------------------------------------------------------------------------------------------------------------------
# The optimiser of graphs, which reorders products of several factors


@pytest.mark.parametrize("exponent", [-330, 330])
def test_a_graph_keeps_in_range_what_eager_execution_does(some, exponent):
    primitive, case = some.primitive, some.draw()
    if primitive.signature.whole:
        pytest.skip("a function of whole arrays multiplies nothing")
    scaled = [
        a if primitive.argument(i) in (*primitive.integer, *primitive.real) else a * 2.0**exponent
        for i, a in enumerate(case.arrays)
    ]
    run, inputs = value_and_bars(primitive, case.options), [tf.constant(a) for a in scaled]
    try:
        outputs, _ = run(inputs, None)
        cotangents = [tf.ones_like(out) for out in outputs if not out.dtype.is_integer]
        expected = run(inputs, cotangents)
    except (tf.errors.InvalidArgumentError, ValueError) as error:
        pytest.skip(f"no result at this scale: {error}")
    (values, bars), (true_values, true_bars) = tf.function(run)(inputs, cotangents), expected
    for found, truth in zip((*values, *bars), (*true_values, *true_bars), strict=True):
        if found is not None and np.isfinite(truth).all():
            close(found, truth, 1e-6)
