"""Few numbers, eagerly: NumPy computes a primitive and its rules, and nobody can tell. May import tensorflow and
`tf_ops`."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402
from overbar._by_numpy import takes_constants  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from tests.compare import close  # noqa: E402
from tf_ops import _by_numpy  # noqa: E402
from tf_ops._front import TENSORFLOW  # noqa: E402


@pytest.fixture
def used(monkeypatch):
    """The names of the functions by which NumPy computed something, in the order of the calls."""
    monkeypatch.setattr(_by_numpy, "FEW", 2**14 - 1)
    names = []

    def watch(name):
        function = getattr(_by_numpy, name)

        def watched(*args):
            found = function(*args)
            if found:
                names.append(name)
            return found

        return watched

    for name in ("computed", "pulled", "pushed"):
        monkeypatch.setattr(f"tf_ops._recording.{name}", watch(name))
    return names


def agree(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        if a is None or b is None:
            assert a is b
            continue
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert a.device == b.device
        eps = np.finfo(b.dtype.as_numpy_dtype).eps if b.dtype.is_floating or b.dtype.is_complex else 0
        close(a, b, rtol=1e3 * eps)


@pytest.mark.parametrize("dtype", [np.float64, np.complex64], ids=lambda dtype: dtype.__name__)
def test_what_numpy_finds_is_what_tensorflow_finds(first, dtype, monkeypatch):
    """All outputs, bars and tangents, of the same outputs: those of TensorFlow."""
    monkeypatch.setattr(_by_numpy, "FEW", 2**14 - 1)
    primitive, case = first.primitive, first.draw(dtype, (2,))
    if not takes_constants(primitive, case.options):
        pytest.skip("a function or an index among the options, which may be TensorFlow's")
    rng = np.random.default_rng(0)
    arrays, options = [tf.constant(A) for A in case.arrays], {**primitive.defaults, **case.options}
    outputs = primitive.run(arrays, options)
    found = _by_numpy.computed(primitive, arrays, options)
    seen = primitive.differentiable
    if found is not None:
        assert [(a.dtype, a.shape.rank) for a in found] == [(b.dtype, b.shape.rank) for b in outputs]
        agree(found[: primitive.public], outputs[: primitive.public])
    noise = lambda A: tf.constant(rng.normal(size=A.shape), A.dtype)  # noqa: E731
    bars = [noise(A) if A.dtype.is_floating or A.dtype.is_complex else None for A in outputs[:seen]]
    bars += [None] * (len(outputs) - seen)
    if primitive.of_one_library and any(np.size(x) for x in outputs[-2:]):  # kept by TensorFlow, in its form
        assert _by_numpy.pulled(primitive, bars, outputs, arrays, options, None) is None
        return
    agree(
        _by_numpy.pulled(primitive, bars, outputs, arrays, options, None),
        primitive.pull(TENSORFLOW, bars, outputs, arrays, options),
    )
    dots = [noise(A) for A in arrays]
    agree(
        _by_numpy.pushed(primitive, dots, outputs, arrays, options)[:seen],
        primitive.push(TENSORFLOW, dots, outputs, arrays, options)[:seen],
    )


def test_what_is_left_to_tensorflow_exists():
    assert REGISTRY.keys() >= _by_numpy._ONE_OPERATION


A = tf.constant([[4.0, 1.0], [1.0, 3.0]], tf.float64)


def test_value_and_gradient_and_tangent(used):
    tf_ops.cholesky(A)
    assert used == ["computed"]
    with tf.GradientTape() as tape:
        tape.watch(A)
        L = tf_ops.cholesky(A)
    tape.gradient(L, A)
    assert used == ["computed", "computed", "pulled"]
    with tf.autodiff.ForwardAccumulator(A, A) as accumulator:
        L = tf_ops.cholesky(A)
    np.testing.assert_allclose(accumulator.jvp(L), L / 2, rtol=1e-14)  # chol(t A) = √t chol(A)
    assert used[3:] == ["computed", "pushed"]


def test_a_rule_that_somebody_watches_is_tensorflows(used):
    """NumPy has no part in a rule that an outer tape records, but in the primitives of which that is made."""
    x, total = tf.constant(4.0, tf.float64), tf.reduce_sum(tf.linalg.cholesky(A))
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            y = tf.reduce_sum(tf_ops.cholesky(x * A))  # √x Σ chol(A)
        slope = inner.gradient(y, x)
    assert "pulled" not in used
    np.testing.assert_allclose(slope, total / 4, rtol=1e-14)
    np.testing.assert_allclose(outer.gradient(slope, x), -total / 32, rtol=1e-14)
    assert "pulled" in used


@pytest.mark.parametrize("name", ["solve", "det", "slogdet", "logdet"])
def test_second_derivatives_through_factors(name, used):
    """Each library keeps factors in a form of its own, NumPy in double precision."""
    B = tf.cast(A, tf.float32)
    op = (lambda A: tf_ops.solve(A, tf.ones(2))) if name == "solve" else getattr(tf_ops, name)

    def hessian(B):
        with tf.GradientTape(persistent=True) as outer:
            outer.watch(B)
            with tf.GradientTape() as inner:
                inner.watch(B)
                value = op(B)
                value = tf.reduce_sum(value[1] if name == "slogdet" else value)
            bar = inner.gradient(value, B)
        return outer.jacobian(bar, B, experimental_use_pfor=False)

    close(hessian(B), tf.function(hessian)(B), 1e-5)
    op(B)
    assert "computed" in used


def test_many_numbers_are_left_to_tensorflow(used):
    tf_ops.cholesky(tf.eye(128))
    assert not used


def test_graphs_are_left_to_tensorflow(used):
    tf.function(tf_ops.cholesky)(A)
    assert not used


@overbar.primitive("(n,n)->(n,n)")
def in_tensorflow(A):
    return tf.linalg.matmul(A, A)


def test_a_users_own_functions_get_tensors(used):
    tf_ops.wrap(in_tensorflow)(A)
    tf_ops.spectral_function(A, f=tf.exp, df=tf.exp)
    assert not used


def test_an_error_is_tensorflows(used):
    with pytest.raises(tf.errors.InvalidArgumentError, match="cholesky: argument A"):
        tf_ops.cholesky(-A)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"solve: argument A .* singular"):
        tf_ops.solve(tf.zeros_like(A), A)
    assert not used


def test_a_debugger_sees_every_operation(used):
    tf.debugging.enable_check_numerics()
    try:
        with pytest.raises(tf.errors.InvalidArgumentError, match="NaN"):
            tf_ops.logmh(-A)
    finally:
        tf.debugging.disable_check_numerics()
    assert not used


def test_no_tensor_shares_memory_with_another(used):
    before = A.numpy()
    C = tf_ops.matrix_transpose(tf_ops.diagonal(A)[None])
    assert used
    np.testing.assert_array_equal(C[:, 0], [4.0, 3.0])
    variable = tf.Variable(A)
    T = tf_ops.matrix_transpose(variable)
    variable.assign(tf.zeros_like(A))
    np.testing.assert_array_equal(T, before.T)
