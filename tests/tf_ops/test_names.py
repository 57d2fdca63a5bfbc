"""tf_ops stands where tf.linalg, tf.math and tf stood: names, arguments, defaults, and which function computes. May
import `tf_ops`.
"""

import inspect

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402
from tests.tf_ops.common import arguments  # noqa: E402
from tf_ops import linalg  # noqa: E402
from tf_ops._front import TENSORFLOW  # noqa: E402

HOMES = {"tf.linalg": tf.linalg, "tf.math": tf.math, "tf": tf}
OPS = [name for name in tf_ops.__all__ if hasattr(getattr(tf_ops, name), "primitive")]
# tf.cond is a branch; ours is the condition number
SHARED = [(name, home) for name in OPS for home in HOMES if hasattr(HOMES[home], name) and name != "cond"]


def own(name):
    return next(getattr(home, name) for home in HOMES.values() if hasattr(home, name))


def test_the_shared_names_are_found():
    """The tests below run for these."""
    assert {"cholesky", "matmul", "triangular_solve", "reduce_sum", "concat", "pow"} <= {name for name, _ in SHARED}


@pytest.mark.parametrize(("name", "home"), SHARED, ids=str)
def test_arguments_and_defaults_are_those_of_tensorflow(name, home):
    """All of TensorFlow's, in its order. What ours takes besides is for keywords only."""
    theirs = inspect.signature(getattr(HOMES[home], name)).parameters
    ours = inspect.signature(getattr(tf_ops, name)).parameters
    assert list(ours)[: len(theirs)] == list(theirs)
    for parameter in theirs.values():
        assert ours[parameter.name].kind == parameter.kind
        assert ours[parameter.name].default == parameter.default
    assert all(p.kind is p.KEYWORD_ONLY for p in list(ours.values())[len(theirs) :])


def test_an_op_that_takes_other_arguments_would_be_caught():
    other = inspect.signature(tf_ops.cho_solve).parameters
    assert list(other)[:3] != list(inspect.signature(tf.linalg.cholesky_solve).parameters)


def test_linalg_has_every_public_name_of_tf_linalg():
    public = {name for name in dir(tf.linalg) if not name.startswith("_")}
    assert public <= set(dir(linalg))
    assert public == set(linalg.__all__)
    for name in public:
        expected = getattr(tf_ops, name) if name in OPS else getattr(tf.linalg, name)
        assert getattr(linalg, name) is expected
    assert linalg.cholesky is tf_ops.cholesky
    assert linalg.LinearOperatorKronecker is tf.linalg.LinearOperatorKronecker


def test_names_that_are_not_in_tf_linalg_are_not_in_ours():
    for name in set(OPS) - set(dir(tf.linalg)):
        assert not hasattr(linalg, name), name


CALLS = {
    "name by position": lambda L, A: L.cholesky(A, "factor"),
    "name by keyword": lambda L, A: L.cholesky(input=A, name="factor"),
    "lower": lambda L, A: L.triangular_solve(A, A, False, True),
    "matmul": lambda L, A: L.matmul(A, A, transpose_a=True, adjoint_b=True),
    "matmul of sparse": lambda L, A: L.matmul(A, A, a_is_sparse=True),
    "integers": lambda L, A: L.matmul(tf.cast(A, tf.int32), tf.cast(A, tf.int32)),
    "cholesky_solve": lambda L, A: L.cholesky_solve(L.cholesky(A), rhs=A),
    "diag": lambda L, A: L.diag(A, k=(0, 1), num_rows=5, padding_value=7),
    "diag_part": lambda L, A: L.diag_part(A, k=(-1, 1), padding_value=9, align="LEFT_RIGHT"),
    "trace": lambda L, A: L.trace(A, name="t"),
    "conjugate": lambda L, A: L.matrix_transpose(tf.complex(A, A), conjugate=True),
    "a list": lambda L, A: L.cholesky(A.numpy().tolist()),
    "NumPy": lambda L, A: L.cholesky(A.numpy()),
    "a variable": lambda L, A: L.cholesky(tf.Variable(A)),
    "not ours": lambda L, A: L.eigh(A)[0] + L.det(A) + L.LinearOperatorFullMatrix(A).trace(),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_call_of_tf_linalg_is_a_call_of_ours(call):
    A = tf.constant([[4.0, 2.0], [2.0, 5.0]])
    found, expected = call(linalg, A), call(tf.linalg, A)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-6)


# Whose derivatives TensorFlow lacks, or has for distinct values and full rank only; tests/hard_cases has the others.
DECOMPOSITIONS = {"eig", "eigh", "eigvals", "eigvalsh", "lstsq", "lu", "pinv", "qr", "svd"}
# These stay ours; test_what_is_not_passed_on says why. Every other name that TensorFlow has is TensorFlow's function.
OURS = {"cholesky", "det", "eigh_tridiagonal", "expm", "inv", "logdet", "logm", "norm", "pow", "slogdet", "solve"}
OURS |= {"sqrtm", *DECOMPOSITIONS}
HANDED_OVER = sorted({name for name, _ in SHARED} - OURS)


@pytest.mark.parametrize("name", HANDED_OVER)
def test_what_is_passed_on_is_the_graph_of_tensorflow(name):
    """And so takes no longer, forward and with its gradient."""

    def graph(function):
        @tf.function
        def run():
            x = arguments(name, tf.constant([[4.0, 2.0], [2.0, 5.0]]))
            with tf.GradientTape() as tape:
                tape.watch(x[0])
                y = function(*x)
            return y, tape.gradient(y, x[0])

        return [op.type for op in run.get_concrete_function().graph.get_operations()]

    assert graph(getattr(tf_ops, name)) == graph(own(name))


def test_every_shared_op_knows_what_it_stands_for():
    for name in OPS:
        builtin = getattr(tf_ops, name).builtin
        assert (builtin is None) == (name not in {shared for shared, _ in SHARED})
        if builtin is not None:
            assert inspect.unwrap(builtin) is inspect.unwrap(own(name))


def test_a_call_is_passed_on_when_it_is_said():
    from overbar import rules

    said = []
    f = tf_ops.wrap(
        rules.exp, "exp(x)", x="A", builtin=lambda x: -x, use_builtin_when=lambda x: said.append(x) or x.shape.rank == 0
    )
    assert float(f(tf.constant(1.0))) == -1
    np.testing.assert_allclose(f(tf.constant([0.0])), [1.0])
    assert len(said) == 2


def test_what_is_not_passed_on_is_what_tensorflow_gets_wrong():
    """cholesky of an indefinite matrix, and the derivative of pow at zero."""
    indefinite = [[1.0, 2.0], [2.0, 1.0]]
    assert np.isnan(tf.linalg.cholesky(indefinite)).any()
    with pytest.raises(tf.errors.InvalidArgumentError, match="not positive definite"):
        tf_ops.cholesky(indefinite)

    def slope(pow):
        x = tf.constant(0.0)
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = pow(x, tf.constant(0.0))
        return float(tape.gradient(z, x))

    assert np.isnan(slope(tf.pow))
    assert slope(tf_ops.pow) == 0


def test_an_argument_that_is_not_there_is_a_type_error():
    A = tf.eye(2)
    for call in (
        lambda: tf_ops.cholesky(A, uper=True),
        lambda: tf_ops.cholesky(A, "name", True),
        lambda: tf_ops.matmul(A, A, transpose=True),
        lambda: tf_ops.phi(A, "name"),
        lambda: tf_ops.inv_congruence(A),
    ):
        with pytest.raises(TypeError):
            call()


def test_a_keras_tensor_is_refused_with_the_remedy():
    """By Keras itself, which says that such calls belong into a layer."""
    keras = pytest.importorskip("keras")
    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras has another backend")
    x = keras.Input((2, 2))
    for function in (tf_ops.cholesky, tf_ops.exp, linalg.trace):
        with pytest.raises(ValueError, match=r"KerasTensor(.|\n)*[Ll]ayer"):
            function(x)


@pytest.mark.parametrize("graph", [False, True])
def test_a_vector_where_columns_are_solved_for_is_refused_with_the_remedy(graph):
    """In the functions that are TensorFlow's own."""
    L, v = tf.linalg.cholesky(tf.eye(3) + 1), tf.ones(3)
    calls = {
        "cholesky_solve": lambda v: tf_ops.cholesky_solve(L, v),
        "lu_solve": lambda v: tf_ops.linalg.lu_solve(*tf.linalg.lu(L), rhs=v),
        "triangular_solve": lambda v: tf_ops.triangular_solve(matrix=L, rhs=v),
    }
    for name, call in calls.items():
        run = tf.function(call) if graph else call
        with pytest.raises(
            ValueError if graph else type(TENSORFLOW.ShapeError("")), match=rf"{name}: .*rhs\[:, None\]"
        ):
            run(v)
        assert run(v[:, None]).shape == (3, 1)
        assert tf.function(call, input_signature=[tf.TensorSpec(None)])(v[:, None]).shape == (3, 1)


@pytest.mark.parametrize("graph", [False, True])
def test_tensors_that_are_not_dense_are_refused_with_the_remedy(graph):
    ragged, sparse = tf.ragged.constant([[1.0, 2.0], [3.0]]), tf.sparse.from_dense(tf.eye(2))
    for f in (tf_ops.cholesky, tf_ops.svd, tf_ops.norm, lambda A: tf_ops.solve(tf.eye(2), A), tf_ops.pinv):
        run = tf.function(f) if graph else f
        with pytest.raises(TypeError, match=r"is a RaggedTensor, .*to_tensor\(\)"):
            run(ragged)
        with pytest.raises(TypeError, match=r"is a SparseTensor, .*tf\.sparse\.to_dense"):
            run(sparse)
    with pytest.raises(TypeError, match=r"is a RaggedTensor, .*to_tensor\(\)"):
        tf_ops.cholesky_solve(tf.eye(2), ragged)


def test_autograph_leaves_ops_alone(monkeypatch):
    """No warning, no slow conversion, and control flow around them is converted all the same."""
    said = []
    monkeypatch.setattr(tf.get_logger(), "warning", lambda *args: said.append(args))

    def for_else(A):
        for _ in ():
            pass
        else:
            return A

    @tf.function
    def run(A, last=overbar.mT):
        if tf.linalg.trace(A) > 0:
            A = tf_ops.cholesky(A)
        return overbar.namespace(A).sum(last(tf_ops.phi(A)), axis=-1)

    np.testing.assert_allclose(run(4 * tf.eye(2)), [1, 1])
    np.testing.assert_allclose(run(-4 * tf.eye(2)), [-2, -2])
    assert not said
    run(tf.eye(2), for_else)
    assert said  # what AutoGraph cannot convert does make it speak


def test_powers_of_integers_are_those_of_tensorflow():
    found = tf_ops.pow(tf.constant([2, 3]), 3)
    assert found.dtype == tf.int32
    np.testing.assert_array_equal(found, [8, 27])


def test_an_option_that_is_a_floating_tensor_is_refused():
    """The rule would take it for a constant: its gradient would silently lack what comes from there."""

    @overbar.primitive("(n)->(n)")
    def scaled(x, *, by):
        return x * by

    @scaled.vjp
    def _(C_bar, C, x, *, by):
        return (lambda: C_bar * by,)

    op, x = tf_ops.wrap(scaled), tf.constant([1.0, 2.0])
    for by in (tf.Variable([3.0, 4.0]), tf.constant([3.0, 4.0])):
        for f in (op, tf.function(op)):
            with pytest.raises(TypeError, match="scaled: the option by is a tensor"):
                f(x, by=by)
    with tf.GradientTape() as tape:
        tape.watch(x)
        C = op(x, by=3.0)
    np.testing.assert_array_equal(tape.gradient(C, x), [3, 3])


# ---------------------------------------------------------------------------------------------------------------------
# What a primitive cannot be differentiated with respect to


def powers(A, c):
    """c A², by a function among the options that refers to c."""
    derivatives = {"df": lambda w: 2 * c * w, "d2f": lambda w: 2 * c * w**0, "d3f": lambda w: 0 * w}
    return tf_ops.spectral_function(A, f=lambda w: c * w * w, **derivatives)


def slope(A, c):
    """The derivative of the same by A: c is in the rule only."""
    with tf.GradientTape() as tape:
        tape.watch(A)
        derivatives = {"df": lambda w: 2 * c * w, "d2f": lambda w: 2 * c * w**0, "d3f": lambda w: 0 * w}
        z = tf_ops.spectral_function(A, f=lambda w: 2 * w * w, **derivatives)
    return tape.gradient(z, A)


def of_ones_own(A, c):
    """The same by a primitive of one's own."""

    @overbar.elementwise
    def scaled(A):
        return c * A**2

    scaled.derivative(lambda C, A: 2 * c * A)
    return tf_ops.wrap(scaled)(A)


def taped(f):
    def derivative(c):
        with tf.GradientTape() as tape:
            tape.watch(c)
            z = f(c)
        return tape.gradient(z, c)

    return derivative


def pushed(f):
    def derivative(c):
        with tf.autodiff.ForwardAccumulator(c, tf.ones_like(c)) as accumulator:
            z = f(c)
        return accumulator.jvp(z)

    return derivative


MATRIX = np.array([[3.0, 1.0], [1.0, 2.0]])
LOSING = {
    "a tape": (taped, "raises"),
    "an accumulator": (pushed, "raises"),
    "a tape in a graph": (lambda f: tf.function(taped(f)), "raises"),
    "an accumulator in a graph": (lambda f: tf.function(pushed(f)), "raises"),
    "a tape around a graph": (lambda f: taped(tf.function(f)), "NaN"),
    "tf.gradients": (lambda f: tf.function(lambda c: tf.gradients(f(c), c)[0]), "NaN"),
}


@pytest.mark.parametrize("way", LOSING)
@pytest.mark.parametrize("f", [powers, slope, of_ones_own])
def test_what_a_function_refers_to_does_not_lose_its_gradient_silently(f, way):
    """Where a tape or an accumulator says that it watches it, that is an error; where it cannot be asked, because it is
    around a graph that is being built, the derivative is NaN."""
    make, outcome = LOSING[way]
    derivative = make(lambda c: tf.reduce_sum(f(tf.constant(MATRIX), c)))
    if outcome == "NaN":
        assert np.isnan(derivative(tf.constant(2.0, tf.float64)))
        return
    for c in (tf.constant(2.0, tf.float64), tf.Variable(2.0, dtype=tf.float64)):
        with pytest.raises(TypeError, match=r"reads (a tensor that is none of its arrays|the tf\.Variable)"):
            derivative(c)


@pytest.mark.parametrize("f", [powers, slope, of_ones_own])
@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_what_a_function_refers_to_may_be_a_constant(f, graph):
    """One that nobody watches, or that tf.stop_gradient says is one; the derivative by the arrays is right."""
    A = tf.constant(MATRIX)

    def gradient(c):
        with tf.GradientTape() as tape:
            tape.watch([A, c])
            z = tf.reduce_sum(f(A, tf.stop_gradient(c)) ** 2)
        return tape.gradient(z, [A, c])

    found, nothing = (tf.function(gradient) if graph else gradient)(tf.constant(2.0, tf.float64))
    assert nothing is None
    c = 2.0
    with tf.GradientTape() as tape:
        tape.watch(A)
        z = tf.reduce_sum(f(A, c) ** 2)
    np.testing.assert_allclose(found, tape.gradient(z, A), rtol=1e-13)


@pytest.mark.parametrize("kind", [np.asarray, np.ndarray.tolist])
def test_a_tridiagonal_system_of_arrays_beside_tensors(kind):
    diagonals, rhs = np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [0.0, 1.0, 1.0]]), np.array([3.0, 4.0, 3.0])
    for given in [
        (kind(diagonals), tf.constant(rhs)),
        (tf.constant(diagonals), kind(rhs)),
        (kind(diagonals), kind(rhs)),
        ([kind(d) for d in diagonals], tf.constant(rhs), "sequence"),
    ]:
        np.testing.assert_allclose(tf_ops.tridiagonal_solve(*given), np.ones(3), rtol=1e-6)
    in_graph = tf.function(lambda d: tf_ops.tridiagonal_solve(d, kind(rhs)))
    np.testing.assert_allclose(in_graph(tf.constant(diagonals)), np.ones(3))


def test_a_tridiagonal_system_under_xla():
    """With pivoting, the primitive; without, TensorFlow's own. tests/tf_ops/test_xla.py has all formats."""
    diagonals = tf.constant([[1.0, 1.0, 0.0], [2.0, 2.0, 2.0], [0.0, 1.0, 1.0]])
    for options in ({}, {"partial_pivoting": True}, {"partial_pivoting": False}):
        solve = tf.function(
            lambda d, options=options: tf_ops.tridiagonal_solve(d, [[3.0], [4.0], [3.0]], **options), jit_compile=True
        )
        np.testing.assert_allclose(solve(diagonals), np.ones((3, 1)), rtol=1e-6)
    for options, error, words in [
        ({"perturb_singular": True}, NotImplementedError, "no way to perturb singular matrices under XLA"),
        ({"diagonals_format": "rows"}, ValueError, "diagonals_format 'rows' is not compact, sequence or matrix"),
    ]:
        solve = tf.function(
            lambda d, options=options: tf_ops.tridiagonal_solve(d, [[3.0], [4.0], [3.0]], **options), jit_compile=True
        )
        with pytest.raises(error, match=rf"tridiagonal_solve: .*{words}"):
            solve(diagonals)
