"""Graphs: when a tf.function is traced again, sizes that are known only when it runs, what its ops are called, and the
errors for the numbers in a tensor, eagerly, in graphs and under XLA. May import `tf_ops`.
"""

import importlib

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.rules import _halving as halving  # noqa: E402
from overbar.verify import call, draw_cases  # noqa: E402
from tf_ops._front import TENSORFLOW  # noqa: E402

cholesky_rule = importlib.import_module("overbar.rules._cholesky")


def gradient_of(f):
    def gradient(*x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = f(*x)
        return tape.gradient(z, x)

    return gradient


def tensors(case):
    return [tf.constant(a) for a in case.arrays]


# ---------------------------------------------------------------------------------------------------------------------
# Tracing


def test_a_function_is_traced_again_for_other_shapes_only(some):
    primitive = some.primitive

    @tf.function
    def run(*x):
        return gradient_of(lambda *x: call(primitive, x, some.draw().options))(*x)

    for rng in (0, 1):
        run(*tensors(some.draw(rng=rng)))
        run(*(tf.Variable(a) for a in some.draw(rng=rng).arrays))
    assert run.experimental_get_tracing_count() == 2  # tensors, and variables
    if not primitive.signature.whole:
        run(*tensors(some.draw(batch=(2,))))
        assert run.experimental_get_tracing_count() == 3


def test_one_trace_serves_every_batch(some):
    primitive, single = some.primitive, some.draw(batch=(1,))
    signature = [tf.TensorSpec([None, *a.shape[1:]], a.dtype) for a in single.arrays]
    run = tf.function(gradient_of(lambda *x: call(primitive, x, single.options)), input_signature=signature)
    for size in (1, 3, 2):
        case = some.draw(batch=(size,))
        for bar, a in zip(run(*tensors(case)), case.arrays, strict=True):
            assert bar.shape == a.shape
    assert run.experimental_get_tracing_count() == 1


# ---------------------------------------------------------------------------------------------------------------------
# Sizes that are known only when the graph runs


def positive_definite(n, dtype=np.float64):
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    return (X @ np.conj(X.T) / n + np.eye(n)).astype(dtype)


def weighted(L):
    """A function of the factor that has no symmetry."""
    entries = tf.cast(tf.reshape(tf.range(tf.size(L)), tf.shape(L)), L.dtype.real_dtype)
    return tf.reduce_sum(tf.math.real(L) * tf.sin(entries)) + tf.reduce_sum(tf.math.imag(L) * tf.cos(entries))


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("upper", [False, True], ids=["lower", "upper"])
def test_cholesky_of_unknown_size_works_on_blocks(monkeypatch, upper, compiled):
    """Above twice the base it halves, whatever comes: even, odd, and so small that some blocks are empty."""
    monkeypatch.setattr(halving, "BASE", 2)
    f = lambda A: weighted(tf_ops.cholesky(A, upper=upper))  # noqa: E731
    spec = tf.TensorSpec([None, None], tf.complex128)
    unknown = tf.function(gradient_of(f), input_signature=[spec], jit_compile=compiled)
    for n in (3,) if compiled and upper else (5,) if compiled else (0, 1, 4, 5, 6, 16, 17):
        A = tf.constant(positive_definite(n, np.complex128))
        monkeypatch.setattr(halving, "BASE", 2)
        (found,) = unknown(A)
        monkeypatch.setattr(halving, "BASE", 128)
        (expected,) = gradient_of(f)(A)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert unknown.experimental_get_tracing_count() == 1


def test_blocks_of_unknown_size_are_what_was_computed(monkeypatch):
    """The test above would see a wrong block rule: here is one."""
    monkeypatch.setattr(halving, "BASE", 2)
    right = cholesky_rule.reverse_recursive

    def wrong(L, L_bar, updates=(), out=None, depth=None, inverses=None):
        return (1 if depth == 0 else 1.001) * right(L, L_bar, updates, out, depth, inverses)

    monkeypatch.setattr(cholesky_rule, "reverse_recursive", wrong)
    f = lambda A: weighted(tf_ops.cholesky(A))  # noqa: E731
    unknown = tf.function(gradient_of(f), input_signature=[tf.TensorSpec([None, None], tf.float64)])
    small, large = (unknown(tf.constant(positive_definite(n)))[0] for n in (4, 5))
    monkeypatch.undo()
    np.testing.assert_allclose(small, gradient_of(f)(tf.constant(positive_definite(4)))[0], rtol=0, atol=1e-12)
    expected = gradient_of(f)(tf.constant(positive_definite(5)))[0]
    assert abs(large - expected).numpy().max() > 1e-4 * abs(expected).numpy().max()


def test_a_second_derivative_of_blocks_of_unknown_size(monkeypatch):
    monkeypatch.setattr(halving, "BASE", 2)
    monkeypatch.setattr(halving, "DEPTH", 1)  # the graph is large enough so

    def second(A):
        return gradient_of(lambda A: weighted(gradient_of(lambda A: weighted(tf_ops.cholesky(A)))(A)[0]))(A)[0]

    unknown = tf.function(second, input_signature=[tf.TensorSpec([None, None], tf.float64)])
    A = tf.constant(positive_definite(5))
    found = unknown(A)
    monkeypatch.undo()
    np.testing.assert_allclose(found, second(A), rtol=0, atol=1e-11)


@pytest.mark.parametrize("shape", [(9, 9), (9, 5), (5, 9), (1, 1), (0, 2)])
@pytest.mark.turns(4)
def test_lu_of_unknown_size_works_on_blocks(monkeypatch, shape):
    rng = np.random.default_rng(0)
    A, dot = (tf.constant(rng.standard_normal(shape)) for _ in range(2))

    def both(A, dot):
        with tf.autodiff.ForwardAccumulator(A, dot) as accumulator:
            LU, _ = tf_ops.lu(A)
        return gradient_of(lambda A: weighted(tf_ops.lu(A)[0]))(A)[0], accumulator.jvp(LU)

    monkeypatch.setattr(halving, "BASE", 2)
    found = tf.function(both, input_signature=[tf.TensorSpec([None, None], tf.float64)] * 2)(A, dot)
    monkeypatch.undo()
    for one, other in zip(found, both(A, dot), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11 * np.abs(other).max(initial=1))


def test_a_helper_whose_name_begins_with_an_underscore_is_an_operation_at_the_root_of_a_graph():
    """TensorFlow allows no such name there. `adjugate` calls one in its rule."""
    case = draw_cases(REGISTRY["adjugate"])[0]
    rule = tf.function(lambda A: REGISTRY["adjugate"].pull(TENSORFLOW, [A], [A], [A], case.options)[0])
    assert rule(tensors(case)[0]).shape == case.arrays[0].shape


UNFIT = [
    ("cho_solve", [(3, 3), (2, 1)], r"cho_solve: argument B does not fit L: the dimension n .* differs:\] \[2\] \[3\]"),
    (
        "congruence",
        [(3, 3), (2, 4)],
        r"congruence: argument B does not fit A: the dimension m .* differs:\] \[2\] \[3\]",
    ),
    ("congruence", [(3, 2), (3, 4)], r"congruence: argument A is not square:\] \[2\] \[3\]"),
    ("phi", [(3, 2)], r"phi: argument A is not square:\] \[2\] \[3\]"),
    ("cholesky", [(2, 3, 2)], r"cholesky: argument A is not square:\] \[2\] \[3\]"),
]


@pytest.mark.parametrize(("name", "shapes", "words"), UNFIT, ids=[f"{name}{shapes}" for name, shapes, _ in UNFIT])
def test_sizes_that_do_not_fit_are_named_when_the_graph_runs(name, shapes, words):
    run = tf.function(getattr(tf_ops, name))
    run = run.get_concrete_function(*(tf.TensorSpec([None] * len(shape), tf.float64) for shape in shapes))
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        run(*(tf.ones(shape, tf.float64) for shape in shapes))


def test_a_size_that_a_signature_fixes_is_checked_when_the_graph_runs():
    @overbar.primitive("(2,n)->(n)")
    def difference(A):
        return A[..., 0, :] - A[..., 1, :]

    run = tf.function(tf_ops.wrap(difference), input_signature=[tf.TensorSpec([None, None], tf.float64)])
    assert run(tf.zeros((2, 5), tf.float64)).shape == (5,)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"argument A must have 2 in \(2,n\)->\(n\):\] \[3\]"):
        run(tf.zeros((3, 5), tf.float64))


def test_arrays_of_which_one_has_unknown_rank():
    """They broadcast as they would. What has too few dimensions is named: when the graph is built, or when it runs."""
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 1, 3, 3)), rng.standard_normal((4, 3, 2))
    specs = tf.TensorSpec(None, tf.float64), tf.TensorSpec([None, 3, 2], tf.float64)
    run = tf.function(gradient_of(lambda A, B: tf.reduce_sum(tf.sin(tf_ops.solve(A, B)))), input_signature=specs)
    expected = gradient_of(lambda A, B: tf.reduce_sum(tf.sin(tf_ops.solve(A, B))))(*map(tf.constant, (A, B)))
    for one, other in zip(run(A, B), expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-11 * np.abs(other).max())
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"solve: argument A has too few dimensions for \(n,n\)"):
        run(tf.ones(3, tf.float64), B)
    with pytest.raises(
        tf.errors.InvalidArgumentError, match=r"solve: argument B of shape \(3,\) has too few dimensions"
    ):
        tf.function(tf_ops.solve).get_concrete_function(specs[0], tf.TensorSpec([3], tf.float64))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"argument A is not square:"):
        run(A[..., :2], B)


@pytest.mark.parametrize("primitive", [p for p in REGISTRY.values() if p.signature.whole], ids=lambda p: p.name)
def test_functions_of_whole_arrays_that_count_dimensions_say_that_the_rank_is_unknown(primitive):
    case = draw_cases(primitive)[0]
    specs = [tf.TensorSpec(None, tf.float64) for _ in case.arrays]
    run = tf.function(lambda *arrays: call(primitive, list(arrays), case.options), input_signature=specs)
    if primitive.name in ("concatenate", "reshape"):
        np.testing.assert_array_equal(run(*tensors(case)), call(primitive, case.arrays, case.options))
        return
    words = rf"{primitive.name}: the rank of argument . must be known .* tf\.ensure_shape"
    with pytest.raises(ValueError, match=words):
        run(*tensors(case))


def test_a_spectral_function_without_parameters_where_the_rank_is_unknown():
    exp = lambda w: overbar.namespace(w).exp(w)  # noqa: E731
    run = tf.function(
        lambda A: tf_ops.spectral_function(A, f=exp, df=exp), input_signature=[tf.TensorSpec(None, tf.float64)]
    )
    for A in (tf.eye(3, dtype=tf.float64), tf.eye(2, batch_shape=[4], dtype=tf.float64)):
        np.testing.assert_allclose(run(A), np.e * A, rtol=1e-14)


@overbar.elementwise
def by_numpy(A):
    return np.exp(A)


BY_NUMPY = {
    "funm: the option f": lambda A: tf_ops.funm(A, f=np.exp),
    "spectral_function: the option f": lambda A: tf_ops.spectral_function(A, f=np.exp, df=np.exp),
    "by_numpy: its function": tf_ops.wrap(by_numpy),
}


@pytest.mark.parametrize("whose", BY_NUMPY)
def test_a_function_of_numpys_in_a_graph_is_refused_with_the_remedy(whose):
    message = f"{whose} calls a function of NumPy's, .*overbar\\.namespace"
    for function in (tf.function(BY_NUMPY[whose]), lambda A: tf.vectorized_map(BY_NUMPY[whose], A[None])):
        with pytest.raises(TypeError, match=message):
            function(tf.eye(3, dtype=tf.float64))


def test_a_function_of_numpys_that_gives_an_array_of_its_own_is_refused_with_the_remedy():
    """Eagerly, where its numbers are there."""

    @overbar.elementwise
    def cube(A):
        return A**3

    @cube.derivative
    def _(C, A):
        return 3 * np.square(A)

    A = tf.ones(3)
    with pytest.raises(TypeError, match=r"by_numpy: its function gave a numpy\.ndarray as output 0.*namespace"):
        tf_ops.wrap(by_numpy)(A)
    with pytest.raises(TypeError, match=r"cube: its derivative gave a numpy\.ndarray for argument A.*namespace"):
        gradient_of(tf_ops.wrap(cube))(A)


def test_a_matrix_norm_where_the_rank_is_unknown():
    """The matrices are the last two dimensions; others cannot be counted."""
    A = tf.reshape(tf.range(24, dtype=tf.float64), (2, 3, 4))
    spec = [tf.TensorSpec(None, tf.float64)]
    kept = tf.function(lambda A: tf_ops.matrix_norm(A, keepdim=True), input_signature=spec)
    np.testing.assert_allclose(kept(A), tf_ops.matrix_norm(A, keepdim=True), rtol=1e-14)
    with pytest.raises(ValueError, match=r"matrix_norm: the rank of argument A .* dim=\(0, 1\)\. Set the shape"):
        tf.function(lambda A: tf_ops.matrix_norm(A, dim=(0, 1)), input_signature=spec)(A)
    of_classes = tf.function(tf_ops.softmax_cross_entropy, input_signature=[*spec, tf.TensorSpec(None, tf.int32)])
    with pytest.raises(ValueError, match=r"softmax_cross_entropy: the ranks of logits and of targets .* tf\.ensure"):
        of_classes(A[0], tf.constant([0, 1, 3]))


@pytest.mark.parametrize("shape", [[4, 3], [None, None]])
def test_an_index_whose_numbers_are_not_known(shape):
    """A single integer may be. What selects more than one entry is refused with the remedy, as a size is."""
    A = tf.reshape(tf.range(12, dtype=tf.float64), (4, 3))
    spec = tf.TensorSpec(shape, tf.float64)

    def run(index, *more):
        return tf.function(lambda A, *i: tf_ops.subset(A, index=index(*i))).get_concrete_function(spec, *more)

    row = run(lambda i: (i, slice(1, None)), tf.TensorSpec([], tf.int32))
    np.testing.assert_array_equal(row(A, tf.constant(2)), A[2, 1:])
    for kind in (tf.TensorSpec([2], tf.int32), tf.TensorSpec([4], tf.bool)):
        with pytest.raises(NotImplementedError, match=r"tf\.gather and tf\.boolean_mask"):
            run(lambda i: i, kind)
    if None not in shape:
        constant = run(lambda: tf.constant([0, 0, 3]))
        np.testing.assert_array_equal(constant(A), A.numpy()[[0, 0, 3]])


# ---------------------------------------------------------------------------------------------------------------------
# What the ops of a graph are called


def names_in(f, *specs):
    return [op.name for op in tf.function(f).get_concrete_function(*specs).graph.get_operations()]


def test_an_op_has_a_scope_of_its_name(some):
    """As TensorBoard shows it: the op under its name, its gradient under gradient_tape and that name, and nothing else
    but what a tape puts there itself."""
    primitive, case = some.primitive, some.draw()
    function = tf_ops.wrap(primitive)
    options = {name: value for name, value in case.options.items() if name != "batch_ndim"}

    def f(*x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = function(*x, **options)
        return tape.gradient(outputs, x)

    names = names_in(f, *[tf.TensorSpec(a.shape, a.dtype, name="input") for a in case.arrays])
    scopes = [name.partition(f"{primitive.name}/")[0] for name in names if f"{primitive.name}/" in name]
    assert set(scopes) == {"", "gradient_tape/"}
    others = {name.partition("_")[0] for name in names if f"{primitive.name}/" not in name}
    assert others <= {"input", "ones", "zeros", "Identity", "NoOp"}


def test_scopes_of_ops_with_a_name_of_tensorflow_or_of_the_user():
    spec = tf.TensorSpec([2, 2], tf.float64)
    assert any(name.startswith("pow/power/") for name in names_in(lambda A: tf_ops.pow(A, A), spec))
    named = names_in(lambda A: tf_ops.cholesky(A, name="factor"), spec)
    assert any(name.startswith("factor/cholesky/") for name in named)
    assert "product" in names_in(lambda A: tf_ops.matmul(A, A, name="product"), spec)
    twice = names_in(lambda A: tf_ops.phi(tf_ops.phi(A)), spec)
    assert any(name.startswith("phi_1/") for name in twice)


# ---------------------------------------------------------------------------------------------------------------------
# Errors for the numbers in a tensor

INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])
WITH_NAN = np.array([[1.0, 0.0], [np.nan, 1.0]])
ZERO = np.zeros((2, 2))


def batch(bad, *shape):
    """Identities, with a bad matrix as the last but one of the flattened batch."""
    A = np.broadcast_to(np.eye(2), (*shape, 2, 2)).copy()
    A.reshape(-1, 2, 2)[-2] = bad
    return A


EAGER = [
    ("cholesky", [INDEFINITE], "argument A is not positive definite: its leading minor of order 2"),
    ("cholesky", [batch(INDEFINITE, 4)], r"argument A \(matrix 2 of the batch\) is not positive definite"),
    ("cholesky", [batch(INDEFINITE, 2, 2)], r"argument A \(matrix \(1, 0\) of the batch\) is not positive definite"),
    (
        "cholesky",
        [batch(WITH_NAN, 4)],
        r"argument A \(matrix 2 of the batch\) is not finite: its entry \(1, 0\) is \(?nan",
    ),
    ("inv_congruence", [ZERO, np.eye(2)], "argument A is singular"),
    ("inv_congruence", [batch(ZERO, 4), np.eye(2)], r"argument A \(matrix 2 of the batch\) is singular"),
    ("inv_congruence", [batch(ZERO, 2, 2), np.eye(2)], r"argument A \(matrix \(1, 0\) of the batch\) is singular"),
]
GRAPH = [
    ("cholesky", [INDEFINITE], r"argument A is not positive definite.* \[0\] .*minor .*\[2\].*finite:\] \[1\]"),
    (
        "cholesky",
        [batch(INDEFINITE, 4)],
        r"argument A is not positive definite.* \[2\] .*minor .*\[2\].*finite:\] \[1\]",
    ),
    ("cholesky", [batch(WITH_NAN, 4)], r"argument A is not positive definite.* \[2\] .*finite:\] \[0\]"),
    ("inv_congruence", [ZERO, np.eye(2)], "not invertible(.|\n)*inv_congruence/(cond/)?solve_A"),
    ("inv_congruence", [batch(ZERO, 4), np.eye(2)], r"argument A is singular.* \[2\]"),
    ("inv_congruence", [batch(ZERO, 2, 2), np.eye(2)], r"argument A is singular.* \[2\]"),
]


def identify(case):
    return f"{case[0]}{[np.shape(a) for a in case[1]]}"


dtypes = pytest.mark.parametrize("dtype", [np.float64, np.complex64], ids=lambda dtype: dtype.__name__)


@dtypes
@pytest.mark.parametrize(("name", "arrays", "words"), EAGER, ids=map(identify, EAGER))
def test_an_error_names_the_argument_and_the_matrix(name, arrays, words, dtype):
    """TensorFlow's kernels leave NaN of real matrices and zeros of complex ones."""
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        getattr(tf_ops, name)(*(tf.constant(a.astype(dtype)) for a in arrays))
    good = [tf.constant(np.broadcast_to(np.eye(2, dtype=dtype), a.shape)) for a in arrays]
    getattr(tf_ops, name)(*good)


@dtypes
@pytest.mark.parametrize("known", [True, False], ids=["known sizes", "unknown sizes"])
@pytest.mark.parametrize(("name", "arrays", "words"), GRAPH, ids=map(identify, GRAPH))
def test_an_error_in_a_graph_names_the_argument_and_the_matrix(name, arrays, words, known, dtype):
    specs = [tf.TensorSpec(a.shape if known else [None] * a.ndim, tf.as_dtype(dtype)) for a in arrays]
    run = tf.function(getattr(tf_ops, name), input_signature=specs)
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        run(*(tf.constant(a.astype(dtype)) for a in arrays))
    run(*(tf.constant(np.broadcast_to(np.eye(2, dtype=dtype), a.shape)) for a in arrays))


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("dtype", [tf.float64, tf.complex128], ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("name", ["det", "adjugate", "inv", "solve"])
def test_a_matrix_with_a_nan_is_not_called_singular(name, dtype, graph):
    """As TensorFlow's kernels do where it stands first. It has NaN and the others of the batch what they have."""
    good = np.array([[2.0, 1.0], [1.0, 3.0]])
    bad = np.array([[[np.nan, 1.0], [2.0, 3.0]], [[np.nan] * 2] * 2, [[1.0, np.nan], [2.0, 3.0]]])
    A = tf.cast(np.concatenate([bad, good[None]]), dtype)
    f = lambda A: getattr(tf_ops, name)(*[A] * (2 if name == "solve" else 1))  # noqa: E731
    run = lambda A: [f(A), *gradient_of(lambda A: tf.math.real(tf.reduce_sum(f(A) ** 2)))(A)]  # noqa: E731
    for found, expected in zip((tf.function(run) if graph else run)(A), run(tf.cast(good, dtype)), strict=True):
        assert np.isnan(np.abs(found[:3])).all()
        np.testing.assert_allclose(found[3], expected, rtol=1e-12, atol=1e-12)
    if name in ("inv", "solve"):
        with pytest.raises(tf.errors.InvalidArgumentError, match="singular"):
            (tf.function(f) if graph else f)(tf.cast(np.stack([good, np.zeros((2, 2))]), dtype))


def test_a_large_batch_is_not_factored_twice_to_find_a_singular_matrix():
    names = names_in(tf_ops.inv_congruence, *[tf.TensorSpec([2, 64, 64], tf.float64)] * 2)
    assert not any("LogMatrixDeterminant" in name for name in names)
    names = names_in(tf_ops.inv_congruence, *[tf.TensorSpec([2, 8, 8], tf.float64)] * 2)
    assert any("LogMatrixDeterminant" in name for name in names)


def test_xla_says_it_with_nan():
    compiled = tf.function(lambda A: (tf_ops.cholesky(A), tf_ops.inv_congruence(A, A)), jit_compile=True)
    A = np.stack([np.eye(3), np.zeros((3, 3)), np.diag([1.0, 0.0, 1.0]), 2 * np.eye(3)])
    for dtype in (np.float64, np.complex64):
        for found in compiled(A.astype(dtype)):
            failed = np.isnan(np.asarray(found)).any(axis=(-2, -1))
            assert failed.tolist() == [False, True, True, False]
            assert np.isfinite(np.asarray(found)[[0, 3]]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_xla_solves_as_well_as_numpy(dtype):
    """With a condition number of 1/√ε: the residual is one of rounding only. That of XLA's own solver is not."""
    n, eps, rng = 30, np.finfo(dtype).eps, np.random.default_rng(1)
    imaginary = 1j if np.dtype(dtype).kind == "c" else 0
    draw = lambda: rng.standard_normal((n, n)) + imaginary * rng.standard_normal((n, n))  # noqa: E731
    A = ((np.linalg.qr(draw())[0] * np.geomspace(1, eps**0.5, n)) @ np.linalg.qr(draw())[0]).astype(dtype)
    B = A @ np.ones((n, 2), dtype)

    def residual(solve):
        X = tf.function(solve, jit_compile=True)(A, B).numpy()
        return abs(A @ X - B).max() / (abs(A).sum(-1).max() * abs(X).max()) / (n * eps)

    assert residual(TENSORFLOW.xp.solve) < 0.5
    if dtype == np.float64:
        assert residual(tf.linalg.solve) > 5


# ---------------------------------------------------------------------------------------------------------------------
# What XLA gets wrong


def normal(*shape):
    return tf.constant(np.random.default_rng(sum(shape)).normal(size=shape))


def test_xla_gets_a_product_of_a_concatenation_with_a_transposed_product_wrong():
    """Should this fail, XLA has been mended, and `overbar.rules._all_pairs` may add a row of ones everywhere."""

    def product(V, Z, S):
        ones = tf.ones((1, 4), tf.float64)
        rows = (tf.concat([V, ones], 0) @ S)[:-1]
        return tf.concat([Z, ones], 0) @ tf.transpose(rows)

    arrays = normal(12, 4), normal(2, 4), normal(4, 4)
    wrong = tf.function(product, jit_compile=True)(*arrays)
    assert np.abs(wrong - product(*arrays)).max() > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("outer", ["linear_covariance", "polynomial_covariance", "rbf", "squared_distance"])
@pytest.mark.parametrize("inner", ["rbf_cross", "matern_cross", "squared_distance_cross", "linear_covariance_cross"])
def test_bars_of_covariances_of_covariances_are_right_under_xla(inner, outer):
    """The bar that one rule makes by a product goes into the products of the next."""
    options = {"degree": 2, "offset": 1.0} if outer == "polynomial_covariance" else {}
    weights = normal(4, 4)

    def f(X, X2, scale):
        V = getattr(tf_ops, inner)(X, X2, scale)
        return tf.reduce_sum(weights * getattr(tf_ops, outer)(tf.transpose(V), tf.constant(1.5, tf.float64), **options))

    arrays = normal(12, 2), normal(4, 2), tf.constant([0.8, 1.7], tf.float64)
    eagerly, compiled = (g(*arrays) for g in (gradient_of(f), tf.function(gradient_of(f), jit_compile=True)))
    for bar, expected in zip(compiled, eagerly, strict=True):
        np.testing.assert_allclose(bar, expected, rtol=1e-10, atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize("shape", [(4,), (1,), (3, 4), (3, 1)])
def test_noise_that_cannot_be_looked_at_adds_no_dimension(shape):
    K, noise = normal(4, 4), tf.abs(normal(*shape))
    compiled = tf.function(tf_ops.add_diagonal, jit_compile=True)
    np.testing.assert_array_equal(compiled(K, noise), tf_ops.add_diagonal(K, noise))
    with_one_negative = tf.concat([-noise[:1], noise[1:]], 0)
    lost = np.isnan(compiled(K, with_one_negative)).any((-2, -1))
    assert np.all(lost == ([True, False, False] if len(shape) == 2 else True))
