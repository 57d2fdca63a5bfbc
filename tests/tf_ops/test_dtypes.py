"""Dtypes: half precision is computed in single precision and comes back as it came, and so do its gradients; different
dtypes in one call are refused, as TensorFlow does. May import `tf_ops`. tests/consistency has the other dtypes.
"""

import functools

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.verify import call  # noqa: E402
from tests.compare import close  # noqa: E402
from tests.tf_ops.common import arguments  # noqa: E402

HALF = [tf.float16, tf.bfloat16]
EPS = {tf.float16: 2.0**-10, tf.bfloat16: 2.0**-7}


def as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def value_and_bars(f, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = [out for out in as_tuple(f(*x)) if not out.dtype.is_integer]  # pivots have no derivative
    return [*outputs, *tape.gradient(outputs, x)]


@pytest.mark.parametrize("half", HALF, ids=lambda dtype: dtype.name)
def test_half_precision_is_computed_in_single_precision(entry, half):
    """The result is that of the same numbers in single precision, rounded once."""
    primitive, case = entry.primitive, entry.draw()
    f = lambda *x: call(primitive, x, case.options)  # noqa: E731
    x = [tf.cast(tf.constant(a), half) for a in case.arrays]
    found = value_and_bars(f, x)
    expected = value_and_bars(f, [tf.cast(a, tf.float32) for a in x])
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == (b.dtype if b.dtype.is_complex else half)  # there are no complex numbers of half precision
        close(a, b, EPS[half])


@pytest.mark.parametrize("half", HALF, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("mode", ["graph", "XLA", "vectorized_map", "second", "forward"])
def test_half_precision_everywhere(some, half, mode):
    """Compared with single precision; the tolerance is for cotangents, which are rounded on their way."""
    primitive, case = some.primitive, some.draw()
    if mode == "XLA" and half == tf.float16:
        pytest.skip("compiles the same graph but for a cast")
    f = lambda *x: call(primitive, x, case.options)  # noqa: E731

    def run(x):
        if mode in ("graph", "XLA"):
            return tf.function(lambda *x: value_and_bars(f, list(x)), jit_compile=mode == "XLA")(*x)
        if mode == "vectorized_map":
            found = tf.vectorized_map(lambda x: as_tuple(f(*x)), [a[None] for a in x])
            return [out[0] for out in found]
        if mode == "second":
            with tf.GradientTape() as tape:
                tape.watch(x)
                *_, bar = value_and_bars(f, x)
                z = tf.reduce_sum(bar * bar)
            return tape.gradient(z, x)
        with tf.autodiff.ForwardAccumulator(x, [tf.ones_like(a) for a in x]) as accumulator:
            outputs = as_tuple(f(*x))
        return [accumulator.jvp(out) for out in outputs]

    x = [tf.cast(tf.constant(a), half) for a in case.arrays]
    found, expected = run(x), run([tf.cast(a, tf.float32) for a in x])
    assert all(tensor.dtype == half for tensor in found)
    for a, b in zip(found, expected, strict=True):
        close(a, b, 8 * EPS[half])


def test_a_wrong_dtype_inside_would_be_caught():
    """What a sum in half precision itself would lose."""
    x = tf.cast(tf.fill([5000], 1.0), tf.float16)
    total = tf.constant(0.0, tf.float16)
    for _ in range(5000):
        total += x[0]
    assert float(total) < 4000
    close(tf_ops.sum(x), 5000.0, EPS[tf.float16])


@pytest.mark.parametrize("half", HALF, ids=lambda dtype: dtype.name)
def test_what_tensorflow_has_takes_half_precision(half):
    A = tf.cast([[4.0, 2.0], [2.0, 5.0]], half)
    for name in tf_ops.__all__:
        function = getattr(tf_ops, name)
        if getattr(function, "builtin", None) is None:
            continue
        arrays = arguments(name, A)
        f = lambda *x, function=function, rest=arrays[1:]: function(x[0], *rest)  # noqa: E731
        found = [out for out in tf.nest.flatten(f(arrays[0])) if not out.dtype.is_integer]
        for out in found:  # there is no complex half precision
            assert out.dtype == (tf.complex64 if name in ("eig", "eigvals") else half), name
        if not function.primitive.variadic:
            with tf.GradientTape() as tape:
                tape.watch(arrays[0])
                y = f(arrays[0])
            assert tape.gradient(y, arrays[0]).dtype == half, name
    for name in ("triangular_solve", "cholesky_solve"):  # TensorFlow has no kernels for these
        single = tf.cast(A, tf.float32)
        expected = getattr(tf.linalg, name)(single, single)
        for found in (getattr(tf_ops, name)(A, rhs=A), getattr(tf_ops, name)(A.numpy(), A.numpy())):
            assert found.dtype == half
            close(found, expected, EPS[half])


@pytest.mark.parametrize(
    "pair", [(tf.float32, tf.float64), (tf.float16, tf.float32), (tf.float16, tf.bfloat16)], ids=str
)
@pytest.mark.parametrize("name", ["add", "power", "matmul", "cho_solve", "concatenate"])
def test_different_dtypes_are_refused(name, pair):
    """By TensorFlow itself or in its manner."""
    primitive = REGISTRY[name]
    arrays = [tf.cast(tf.eye(2), dtype) for dtype in pair]
    with pytest.raises((tf.errors.InvalidArgumentError, TypeError, ValueError)):
        primitive(arrays) if primitive.variadic else primitive(*arrays)


def test_a_python_number_adopts_half_precision():
    x = tf.constant([1.0, 4.0], tf.float16)
    assert tf_ops.power(x, 0.5).dtype == tf.float16
    assert tf_ops.power(2.0, x).dtype == tf.float16


@pytest.mark.parametrize(
    "name", ["solve", "lstsq", "kron", "inv_quad", "cho_solve", "matmul", "cholesky_solve", "power"]
)
@pytest.mark.parametrize("dtype", [tf.float32, tf.complex128, tf.bfloat16], ids=lambda dtype: dtype.name)
def test_what_stands_beside_a_tensor_takes_its_dtype(name, dtype):
    """NumPy's arrays, numbers and lists, before and after it, also in code that is rerouted and in a graph."""
    A, other = tf.cast([[4.0, 1.0], [1.0, 3.0]], dtype), np.array([[2.0, 0.0], [1.0, 2.0]])
    f = getattr(tf_ops, name)
    for beside in (other, other.astype(np.float32), other.tolist()):
        for values in ((A, beside), (beside, A)):
            if name in ("matmul", "cholesky_solve") and (values[0] is beside or tf.bfloat16 == dtype):
                continue  # TensorFlow's own functions
            expected = f(*(tf.cast(x, dtype) for x in values))
            for found in (f(*values), tf.function(functools.partial(f, *values))()):
                assert found.dtype == expected.dtype
                close(found, expected, 1e-6)
            if hasattr(tf.linalg, name):
                with tf_ops.reroute():
                    close(getattr(tf.linalg, name)(*values), expected, 1e-6)


def test_what_would_lose_more_than_digits_is_refused():
    A = tf.eye(2)
    with pytest.raises(tf.errors.InvalidArgumentError, match="A has float32, B has complex128"):
        tf_ops.solve(A, 1j * np.eye(2))
    with pytest.raises(tf.errors.InvalidArgumentError, match="argument B has dtype int64"):
        tf_ops.solve(tf.cast(A, tf.float16), np.array([[4097, 0], [0, 1]]))
    np.testing.assert_array_equal(tf_ops.solve(A, np.array([[4097, 0], [0, 1]])), [[4097, 0], [0, 1]])
    assert tf_ops.power(2.0, np.ones(2)).dtype == tf.float64
