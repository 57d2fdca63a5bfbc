"""`tf_ops.reroute`: code that calls tf.linalg gets our ops inside, and TensorFlow's own functions before and after. May
import `tf_ops`.

What tells the two apart: of a matrix that is not positive definite, ours is an error and TensorFlow's returns numbers.
"""

import functools
import inspect
import threading

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402

import tf_ops  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from tests.tf_ops.common import in_a_fresh_process  # noqa: E402
from tf_ops._rerouting import STAND_INS, _is_replaced  # noqa: E402

INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])
DEFINITE = np.array([[4.0, 2.0], [2.0, 5.0]])


def is_ours(function):
    try:
        function(tf.constant(INDEFINITE))
    except tf.errors.InvalidArgumentError as error:
        return "cholesky: argument A is not positive definite" in error.message
    return False


SPELLINGS = {
    "tf.linalg": lambda A: tf.linalg.cholesky(A),
    "tf.compat.v2": lambda A: tf.compat.v2.linalg.cholesky(A),
    "tf.compat.v1": lambda A: tf.compat.v1.linalg.cholesky(A),
    "tf.compat.v1, short": lambda A: tf.compat.v1.cholesky(A),
    "keyword": lambda A: tf.linalg.cholesky(input=A, name="factor"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_is_rerouted_inside_only(spelling):
    function = SPELLINGS[spelling]
    before = tf.linalg.cholesky
    assert not is_ours(function)
    with tf_ops.reroute():
        assert is_ours(function)
    assert not is_ours(function)
    assert tf.linalg.cholesky is tf.compat.v1.cholesky is before


MODULES = """
import warnings
import tensorflow as tf, tf_ops

def is_ours(function):
    try:
        function(tf.constant([[1.0, 2.0], [2.0, 1.0]]))
    except tf.errors.InvalidArgumentError:
        return True
    return False

before = tf.linalg
import tensorflow.linalg, tensorflow.compat.v1.linalg
from tensorflow import linalg
apart = before is not tf.linalg
with tf_ops.reroute():
    inside = [is_ours(module.cholesky) for module in (tf.linalg, before, linalg)]
said = []
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    with tf_ops.reroute():
        importlib.reload(tf.linalg)
    said.append([str(w.message) for w in caught])
    tf.linalg.cholesky = lambda A: A
    with tf_ops.reroute():
        pass
    said.append([str(w.message) for w in caught[1:]])
print(json.dumps([apart, inside, said]))
"""


def test_modules_that_are_imported_again(tmp_path):
    """``import tensorflow.linalg`` makes another tf.linalg: both are found. What cannot take effect says so."""
    code = "import importlib, json\n" + MODULES
    apart, inside, (reloaded, replaced) = in_a_fresh_process(code, tmp_path)
    assert apart
    assert inside == [True, True, True]
    assert len(reloaded) == len(replaced) == 1
    assert "cholesky, det" in reloaded[0]
    assert "imported meanwhile" in reloaded[0]
    assert "tf.linalg.cholesky are not rerouted: somebody else" in replaced[0]


def test_keras_ops_are_rerouted():
    with tf_ops.reroute(), pytest.raises(ValueError, match="cholesky: argument A is not positive definite"):
        keras.ops.cholesky(INDEFINITE)


def test_what_is_rerouted_is_what_tf_ops_linalg_has():
    """And at least the Cholesky decomposition."""
    ours = [name for name in tf_ops.linalg.__all__ if hasattr(getattr(tf_ops.linalg, name), "primitive")]
    ours = [name for name in ours if getattr(tf_ops.linalg, name).use_builtin_when is not None]
    assert {*(getattr(tf.linalg, name) for name in ours), tf.compat.v1.norm} == set(STAND_INS)
    assert tf.linalg.cholesky in STAND_INS


# ---------------------------------------------------------------------------------------------------------------------
# Every rerouted function, with every argument, is what it was

A = np.array([[4.0, 1.0, -2.0], [1.5, 3.0, 0.5], [0.25, -1.0, 2.0]])
S = A + A.T + 3 * np.eye(3)
TALL, B = np.vstack([A, [[1.0, 2.0, 3.0]]]), np.arange(12.0).reshape(4, 3)
H = S + 1j * (A - A.T)
ALPHA, BETA = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.25])
CALLS = {
    "cholesky": [{"input": S}, {"input": H}, {"input": np.stack([S, 2 * S])}],
    "det": [{"input": A}, {"input": H}],
    "eig": [{"tensor": A}, {"tensor": H}],
    "eigh": [{"tensor": S}, {"tensor": H}],
    "eigh_tridiagonal": [
        {"alpha": ALPHA, "beta": BETA},
        {"alpha": ALPHA, "beta": BETA, "eigvals_only": False},
        {"alpha": ALPHA + 0j, "beta": BETA * (1 + 1j), "eigvals_only": False},
        {"alpha": np.float32(ALPHA), "beta": np.float32(BETA), "select": "i", "select_range": (0, 1), "tol": 1e-6},
    ],
    "eigvals": [{"tensor": A}, {"tensor": H}],
    "eigvalsh": [{"tensor": S}, {"tensor": H}],
    "expm": [{"input": A / 4}, {"input": H / 8}],
    "inv": [{"input": A}, {"input": H, "adjoint": True}],
    "logdet": [{"matrix": S}, {"matrix": H}],
    "logm": [{"input": H}],
    "lstsq": [
        {"matrix": TALL, "rhs": B},
        {"matrix": TALL, "rhs": B, "l2_regularizer": 0.5},
        {"matrix": TALL, "rhs": B, "l2_regularizer": tf.constant(0.5, tf.float64)},
        {"matrix": np.stack([TALL, 2 * TALL]), "rhs": np.stack([B, B]), "l2_regularizer": np.float64(0.5)},
        {"matrix": TALL, "rhs": B, "l2_regularizer": 0.5, "fast": False},
    ],
    "lu": [{"input": A}, {"input": H, "output_idx_type": tf.int64}],
    "norm": [
        {"tensor": TALL},
        {"tensor": H, "ord": "fro", "axis": (0, 1)},
        {"tensor": H, "axis": -1, "keepdims": True},
        {"tensor": np.stack([TALL, B]), "ord": 2, "axis": [0, -1], "keepdims": True},
        {"tensor": np.stack([TALL, B]), "ord": np.inf, "axis": (2, 0)},
        {"tensor": H, "ord": 1, "axis": 0},
        {"tensor": TALL, "ord": 3},
    ],
    "pinv": [
        {"a": TALL},
        {"a": TALL, "rcond": 0.3, "validate_args": True},
        {"a": np.stack([TALL, B]), "rcond": tf.constant([0.3, 0.01], tf.float64)},
    ],
    "qr": [{"input": TALL}, {"input": TALL, "full_matrices": True}, {"input": H}],
    "slogdet": [{"input": A}, {"input": H}],
    "solve": [{"matrix": A, "rhs": B[:3]}, {"matrix": H, "rhs": H, "adjoint": True}],
    "sqrtm": [{"input": S}, {"input": H}],
    "svd": [{"tensor": TALL}, {"tensor": TALL, "full_matrices": True}, {"tensor": H, "compute_uv": False}],
}


def left_out(calls, functions):
    """The arguments of these functions that no call passes."""
    given = {name: {key for call in calls.get(name, []) for key in call} | {"name"} for name in functions}
    return {
        (name, argument)
        for name, function in functions.items()
        for argument in inspect.signature(function).parameters
        if argument not in given[name]
    }


ROUTED = {name: function for name, function in vars(tf.linalg).items() if _is_replaced(function)}


def test_every_function_is_called_with_every_argument():
    """And the test would see one that is left out, and one that is no longer rerouted."""
    assert ROUTED.keys() == CALLS.keys()
    assert left_out(CALLS, ROUTED) == set()
    assert left_out({**CALLS, "qr": CALLS["qr"][:1], "inv": []}, ROUTED) == {
        ("qr", "full_matrices"),
        ("inv", "input"),
        ("inv", "adjoint"),
    }


def in_order(tensors, sorted):
    return [tf.gather(x, np.argsort(tensors[0].numpy().round(6)), axis=-1) for x in tensors] if sorted else tensors


def same(found, expected, name):
    """But for signs (phases) of vectors, and the order of eigenvalues that are complex."""
    assert type(found) is type(expected)
    found, expected = (in_order(tf.nest.flatten(x), name in ("eig", "eigvals")) for x in (found, expected))
    without_phase = name in ("eig", "eigh", "eigh_tridiagonal", "qr", "svd")
    for one, other in zip(found, expected, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        one, other = (np.abs(x) if without_phase and x.shape.rank > 1 else x.numpy() for x in (one, other))
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * np.abs(other).max())


def called(name, arguments):
    """The results by keyword and, where no argument is left out between others, by position."""
    arguments = {key: tf.constant(x) if isinstance(x, np.ndarray) else x for key, x in arguments.items()}
    found = [getattr(tf.linalg, name)(**arguments, name="called")]
    if list(arguments) == list(inspect.signature(ROUTED[name]).parameters)[: len(arguments)]:
        found.append(getattr(tf.linalg, name)(*arguments.values()))
    return found


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.turns(2)
def test_a_rerouted_call_returns_what_tensorflow_does(name, graph):
    """The same kind of result, with the same dtypes and shapes, by keyword and by position."""
    for arguments in CALLS[name]:
        call = functools.partial(called, name, arguments)
        expected = (tf.function(call) if graph else call)()
        with tf_ops.reroute():
            found = (tf.function(call) if graph else call)()
        for one, other in zip(found, expected, strict=True):
            same(one, other, name)


def gradient(name, first, x, others):
    """Of a sum of the outputs with weights, by the first argument."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = tf.nest.flatten(getattr(tf.linalg, name)(**{first: x}, **others))
        weights = [1 + tf.cast(tf.reshape(tf.range(tf.size(out)), out.shape), out.dtype) for out in outputs]
        if name == "eigvals":  # in any order
            weights = outputs
        z = tf.add_n([tf.math.real(tf.reduce_sum(out * w)) for out, w in zip(outputs, weights, strict=True)])
    return tape.gradient(z, x)


@pytest.mark.parametrize("name", sorted(CALLS.keys() - {"eig", "eigh", "eigh_tridiagonal", "qr", "svd", "logm", "lu"}))
def test_a_rerouted_call_has_the_gradient_of_tensorflow(name):
    """Where TensorFlow has one, and it is right, of what is not a matter of signs. What tells the two apart are other
    inputs."""
    for arguments in CALLS[name]:
        (first, x), *others = arguments.items()
        if arguments.get("fast") is False:
            continue  # TensorFlow has none
        expected = gradient(name, first, tf.constant(x), dict(others))
        with tf_ops.reroute():
            found = gradient(name, first, tf.constant(x), dict(others))
        if name in ("cholesky", "eigvalsh", "logdet"):  # of which only one triangle is read
            found, expected = (g + tf.linalg.adjoint(g) for g in (found, expected))
        if name == "sqrtm":  # of complex matrices TensorFlow's is the conjugate of it
            expected = tf.math.conj(expected)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLS)
@pytest.mark.turns(4)
def test_a_rerouted_call_where_the_rank_is_unknown(name):
    """Values and gradients of each are those of the eager call."""
    for arguments in CALLS[name]:
        if arguments.get("select") == "i":
            continue  # TensorFlow's own function, which needs a known rank
        first, x = next(iter(arguments.items()))

        def both(x, first=first, arguments=arguments):
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = tf.nest.flatten(getattr(tf.linalg, name)(**{**arguments, first: x}))
                smooth = [tf.reduce_sum(out) for out in outputs if not out.dtype.is_integer]
            return outputs, tape.gradient(smooth, x)

        with tf_ops.reroute():
            found = tf.function(both, input_signature=[tf.TensorSpec(None, x.dtype)])(x)
            expected = both(tf.constant(x))
        for one, other in zip(tf.nest.flatten(found), tf.nest.flatten(expected), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("shape", [(3, 3), (None, None), None], ids=["known", "unknown sizes", "unknown rank"])
def test_what_counts_as_zero_is_what_does_in_tensorflow(shape):
    """By default, 10 max(m, n) ε; and a number for each matrix."""
    eps = np.finfo(np.float64).eps
    A = np.stack([np.diag([1.0, 0.5, size * eps]) for size in (10, 40, 1000)])
    A = A[1] if shape == (3, 3) else A
    run = tf.function(lambda A: tf.linalg.pinv(A), input_signature=[tf.TensorSpec(shape, tf.float64)])
    if shape == (None, None):
        A = A[0]
    with tf_ops.reroute():
        found = run(A)
    np.testing.assert_allclose(found, tf.linalg.pinv(A), rtol=1e-12)
    if A.ndim == 3:
        cutoffs = tf.constant([30 * eps, 0.6, 50 * eps], tf.float64)
        np.testing.assert_allclose(tf_ops.pinv(A, cutoffs), tf.linalg.pinv(A, cutoffs), rtol=1e-12)


def test_learned_regularization():
    """l2_regularizer as a tensor has its derivative, −(AᴴA + λ)⁻¹ X, for which TensorFlow returns None."""
    weight = tf.constant(0.5, tf.float64)
    with tf.GradientTape() as tape, tf_ops.reroute():
        tape.watch(weight)
        X = tf.linalg.lstsq(TALL, B, l2_regularizer=weight)
        z = tf.reduce_sum(X)
    expected = -np.linalg.solve(TALL.T @ TALL + 0.5 * np.eye(3), X.numpy()).sum()
    np.testing.assert_allclose(tape.gradient(z, weight), expected, rtol=1e-10)


@pytest.mark.parametrize("keep", ["keepdims", "keep_dims"])
def test_the_older_norm_takes_its_own_arguments(keep):
    with tf_ops.reroute():
        found = tf.compat.v1.norm(TALL, axis=1, **{keep: True})
    np.testing.assert_allclose(found, np.linalg.norm(TALL, axis=1, keepdims=True), rtol=1e-14)


@pytest.mark.parametrize("spelling", ["norm", "linalg.norm", "compat.v1.norm"])
def test_norms_have_gradients_that_tensorflow_loses(spelling):
    """At zero, where it is zero, and where squares over- or underflow."""
    norm = lambda x: functools.reduce(getattr, spelling.split("."), tf)(x)  # noqa: E731
    for size, expected in ((0.0, 0.0), (1e25, 0.5), (1e-25, 0.5)):
        x = tf.fill([4], size)
        with tf.GradientTape() as tape, tf_ops.reroute():
            tape.watch(x)
            z = norm(x)
        np.testing.assert_allclose(z, 2 * size, rtol=1e-6)
        np.testing.assert_allclose(tape.gradient(z, x), np.full(4, expected), rtol=1e-6)


def test_decompositions_have_our_derivatives_inside():
    """Of U Vᵀ at equal singular values, which TensorFlow returns zero for, without a warning."""

    def gradient():
        A = tf.eye(2, dtype=tf.float64)
        with tf.GradientTape() as tape:
            tape.watch(A)
            _, U, V = tf.linalg.svd(A)
            entry = (U @ tf.transpose(V))[0, 1]
        return tape.gradient(entry, A).numpy()

    truth = [[0, 0.5], [-0.5, 0]]
    assert not np.allclose(gradient(), truth)
    with tf_ops.reroute():
        np.testing.assert_allclose(gradient(), truth, atol=1e-15)


def test_it_is_restored_after_an_exception_and_may_be_nested():
    def fail():
        with tf_ops.reroute():
            with tf_ops.reroute():
                assert is_ours(tf.linalg.cholesky)
            assert is_ours(tf.linalg.cholesky)
            raise KeyError

    before = tf.linalg.cholesky
    with pytest.raises(KeyError):
        fail()
    assert tf.linalg.cholesky is before


def test_it_decorates_a_function():
    assert tf_ops.reroute()(lambda: is_ours(tf.linalg.cholesky))()
    assert not is_ours(tf.linalg.cholesky)


def test_what_somebody_else_puts_there_meanwhile_stays():
    before, other = tf.linalg.cholesky, lambda A: A
    with tf_ops.reroute():
        tf.linalg.cholesky = other
    assert tf.linalg.cholesky is other
    tf.linalg.cholesky = before


def test_other_threads_keep_what_they_have():
    inside, done, found = threading.Event(), threading.Event(), []

    def other():
        inside.wait()
        found.append(is_ours(tf.linalg.cholesky))
        with tf_ops.reroute():
            found.append(is_ours(tf.linalg.cholesky))
            done.set()
            first.join()  # the first thread leaves first
            found.append(is_ours(tf.linalg.cholesky))
        found.append(is_ours(tf.linalg.cholesky))

    def enter():
        with tf_ops.reroute():
            inside.set()
            done.wait()

    before = tf.linalg.cholesky
    first, second = threading.Thread(target=enter), threading.Thread(target=other)
    first.start()
    second.start()
    second.join()
    assert found == [False, True, True, False]
    assert tf.linalg.cholesky is before


def test_what_was_rerouted_is_reported():
    A = tf.constant(DEFINITE)
    with tf_ops.reroute() as routes:
        assert str(routes) == "nothing was rerouted"
        tf.function(lambda A: tf.linalg.cholesky(A) + tf.linalg.cholesky(A))(A)
        with tf_ops.reroute() as inner:
            tf.linalg.det(A)
    tf.linalg.det(A)
    assert inner.counts == {"tf.linalg.det": 1}
    assert str(routes) == "2 × tf.linalg.cholesky\n1 × tf.linalg.det"


def test_the_whole_process_is_rerouted_until_it_is_not():
    found, before = [], tf.linalg.cholesky
    routes = tf_ops.install()
    try:
        assert tf_ops.install() is routes
        thread = threading.Thread(target=lambda: found.append(is_ours(tf.linalg.cholesky)))
        thread.start()
        thread.join()
        with tf_ops.reroute() as inner:
            found.append(is_ours(tf.linalg.cholesky))
        found.append(is_ours(tf.linalg.cholesky))
    finally:
        tf_ops.uninstall()
    assert found == [True, True, True]
    assert (routes.counts, inner.counts) == ({"tf.linalg.cholesky": 3}, {"tf.linalg.cholesky": 1})
    tf_ops.uninstall()
    assert tf.linalg.cholesky is before
    assert not is_ours(tf.linalg.cholesky)


def test_a_linear_operator_is_left_to_tensorflow():
    operator = tf.linalg.LinearOperatorFullMatrix(DEFINITE, is_self_adjoint=True, is_positive_definite=True)
    with tf_ops.reroute():
        factor = tf.linalg.cholesky(operator)
    assert isinstance(factor, tf.linalg.LinearOperatorLowerTriangular)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "xla"])
def test_what_is_traced_inside_stays_so(compiled, monkeypatch):
    """The value and the gradient are those of tf.linalg.cholesky, and it is our rule that gives the gradient."""

    def value_and_gradient(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            z = tf.reduce_sum(tf.math.sin(tf.linalg.cholesky(A)))
        return z, tape.gradient(z, A)

    rule, asked = REGISTRY["cholesky"].vjp_rule, []
    monkeypatch.setattr(REGISTRY["cholesky"], "vjp_rule", lambda *a, **k: asked.append(1) or rule(*a, **k))
    A = tf.constant(DEFINITE)
    expected = tf.function(value_and_gradient, jit_compile=compiled)(A)
    assert not asked
    traced = tf.function(value_and_gradient, jit_compile=compiled)
    with tf_ops.reroute():
        traced(A)
    found = traced(A)
    assert len(asked) == 1
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)
