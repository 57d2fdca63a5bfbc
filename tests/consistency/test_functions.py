"""NumPy's and SciPy's functions by name take tensors of each framework: the same values, bars, tangents and second
derivatives as in NumPy. May import everything.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402 - makes the primitives ops of TensorFlow
import torch_ops  # noqa: E402 - and of PyTorch
from overbar import verify  # noqa: E402
from overbar.check.agreement import directions, in_a_graph, in_numpy, in_tensorflow, in_torch  # noqa: E402
from overbar.rules import FUNCTIONS  # noqa: E402
from tests.consistency.test_frameworks import assert_agree  # noqa: E402

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((2, 2, 3))

#: a function made of primitives, and arrays with respect to which it is differentiated
COMPOSED = {
    "sign": (lambda A: A * overbar.sign(A), [A]),
    "where": (lambda A, B: overbar.where(A > 0, A * B, B * B), [A, B]),
    "clip": (lambda A, B: overbar.clip(A * B, -0.5, B) * A, [A, B]),
    "mean": (lambda A: overbar.mean(A * A, axis=-1), [A]),
    "std": (lambda A: overbar.std(A, axis=-1, keepdims=True), [A]),
    "stack": (lambda A, B: overbar.stack([A, A * B], axis=1), [A, B]),
    "expand_dims": (lambda A: overbar.expand_dims(A * A, (0, -1)), [A]),
    "squeeze": (lambda A: overbar.squeeze(overbar.expand_dims(A * A, (0, 2))), [A]),
    "outer": (lambda A, B: overbar.outer(A, B), [A, B]),
    "einsum": (lambda A, B: overbar.einsum("ij,kj->ki", A, B), [A, B]),
    "einsum of batches": (lambda A, B: overbar.einsum("...i,...i", A, B * B), [A, B]),
    "affine_columns": (lambda A, B: overbar.affine_columns(A, overbar.einsum("ij,kj->ik", B, A)), [A, B]),
    "digamma": (lambda A: overbar.digamma(1 + A * A), [A]),
}


PRIMITIVES = [name for name, f in FUNCTIONS.items() if isinstance(f, overbar.Primitive)]
COMPLEX = ["abs", "conj", "expm1", "imag", "log1p", "logsumexp", "real", "sigmoid", "softmax", "var"]


@pytest.mark.parametrize("name", [name for name in PRIMITIVES if name != "imag"])  # which is zero of real numbers
def test_primitives_agree(name):
    primitive = FUNCTIONS[name]
    for batch in ((), (2,)):
        for case in verify.draw_cases(primitive, np.float64, batch):
            to = directions(primitive, case)
            by_numpy = in_numpy(primitive, case, to)
            assert_agree(primitive, in_torch(primitive, case, to), by_numpy, np.float64)
            assert_agree(primitive, in_tensorflow(primitive, case, to), by_numpy, np.float64)


@pytest.mark.parametrize("name", COMPLEX)
def test_primitives_of_complex_numbers_agree(name):
    primitive = FUNCTIONS[name]
    case = verify.draw_cases(primitive, np.complex128)[0]
    to = directions(primitive, case)
    by_numpy = in_numpy(primitive, case, to)
    assert_agree(primitive, in_torch(primitive, case, to), by_numpy, np.complex128)
    assert_agree(primitive, in_tensorflow(primitive, case, to), by_numpy, np.complex128)
    assert_agree(primitive, in_a_graph(primitive, case, to), by_numpy, np.complex128)


def loss(f, C):
    """A number that is not linear in what f gives."""
    return lambda *arrays: overbar.sum(overbar.sin(f(*arrays)) * C)


def in_each_library(f, arrays):
    """The value, and the derivative of Σ sin(gradient) of a loss, in each library."""
    value = f(*arrays)
    C = np.cos(np.arange(np.size(value))).reshape(np.shape(value))
    count = tuple(range(len(arrays)))

    def of_gradient(bars):
        return sum(overbar.sum(overbar.sin(bar)) for bar in bars)

    g = overbar.grad(loss(f, C), argnums=count)
    yield value, g(*arrays), overbar.grad(lambda *x: of_gradient(g(*x)), argnums=count)(*arrays)

    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    bars = torch.autograd.grad(loss(f, torch.tensor(C))(*tensors), tensors, create_graph=True)
    second = torch.autograd.grad(of_gradient(bars), tensors)
    yield f(*tensors).detach().numpy(), [bar.detach().numpy() for bar in bars], [bar.numpy() for bar in second]

    tensors = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as outer:
        outer.watch(tensors)
        with tf.GradientTape() as inner:
            inner.watch(tensors)
            c = loss(f, tf.constant(C))(*tensors)
        bars = inner.gradient(c, tensors)
        total = of_gradient(bars)
    second = outer.gradient(total, tensors)
    yield f(*tensors).numpy(), [bar.numpy() for bar in bars], [bar.numpy() for bar in second]


@pytest.mark.parametrize("name", COMPOSED)
def test_functions_made_of_primitives_agree(name):
    f, arrays = COMPOSED[name]
    (value, bars, second), *others = in_each_library(f, arrays)
    steps = [(h * np.cos(1 + np.arange(a.size)).reshape(a.shape)) for h in (1e-6,) for a in arrays]
    C = np.cos(np.arange(np.size(value))).reshape(np.shape(value))
    ends = [loss(f, C)(*(a + s * step for a, step in zip(arrays, steps, strict=True))) for s in (1, -1)]
    along = sum(np.sum(bar * step) for bar, step in zip(bars, steps, strict=True))
    np.testing.assert_allclose(along, (ends[0] - ends[1]) / 2, rtol=1e-7, atol=1e-14)
    for found, more, most in others:
        np.testing.assert_allclose(found, value, rtol=1e-13, atol=1e-14)
        for a, b in zip((*more, *most), (*bars, *second), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12)


def everything(A, B):
    """All functions of two matrices, one after the other."""
    found = [f(*(A, B)[: len(arrays)]) for f, arrays in COMPOSED.values()]
    for name in PRIMITIVES:
        primitive = FUNCTIONS[name]
        found.append(primitive(*[1 + x * x for x in (A, B)[: len(primitive.arguments)]]))
    return found


@pytest.mark.slow
def test_functions_are_compiled_and_batched():
    """Without a graph break in PyTorch, as one program in TensorFlow."""
    expected = everything(A, B)
    batch = torch.tensor(np.stack([B, A])), torch.tensor(np.stack([A, B]))
    compiled = torch.compile(everything, backend="aot_eager", fullgraph=True)(torch.tensor(A), torch.tensor(B))
    batched = torch.func.vmap(everything)(*batch)
    by_xla = tf.function(everything, jit_compile=True)(tf.constant(A), tf.constant(B))
    for i, value in enumerate(expected):
        for found in (compiled[i], batched[i][1], by_xla[i]):
            np.testing.assert_allclose(found, value, rtol=1e-12, atol=1e-13)


def test_every_function_is_tested():
    named = {name.split()[0] for name in COMPOSED}
    assert named == {name for name, f in FUNCTIONS.items() if not isinstance(f, overbar.Primitive)}


def test_hard_points_agree():
    """Where a framework's own function has another derivative, or NaN: the rule decides, in each library."""
    rows = np.array([[-np.inf, -np.inf], [-np.inf, 1.0]])
    ties = np.array([0.0, -1.0, 1.0])
    for f, x, expected in (
        (lambda A: overbar.logsumexp(A, axis=-1), rows, [[0, 0], [0, 1]]),
        (lambda A: overbar.logaddexp(A, -np.inf), np.array([-np.inf, 2.0]), [0, 1]),
        (lambda A: overbar.maximum(A, 0), ties, [1, 0, 1]),
        (lambda A: overbar.minimum(A, 0), ties, [1, 1, 0]),
        (overbar.relu, ties, [0, 0, 1]),
        (overbar.abs, ties, [0, -1, 1]),
        (overbar.softplus, 800 * ties, [0.5, 0, 1]),
    ):
        tensor = torch.tensor(x, requires_grad=True)
        (by_torch,) = torch.autograd.grad(f(tensor).sum(), tensor)
        np.testing.assert_array_equal(by_torch, expected)
        with tf.GradientTape() as tape:
            variable = tf.Variable(x)
            value = tf.reduce_sum(f(variable))
        np.testing.assert_array_equal(tape.gradient(value, variable), expected)
        np.testing.assert_array_equal(overbar.grad(lambda A, f=f: overbar.sum(f(A)))(x), expected)


def test_numbers_of_classes_in_each_library():
    labels = np.array([2, 0])
    expected = overbar.vjp(lambda x: overbar.softmax_cross_entropy(x, labels), A)[1](np.ones(2))[0]
    for op in (overbar.softmax_cross_entropy, torch_ops.softmax_cross_entropy):
        for given in (torch.tensor(labels), torch.tensor(labels, dtype=torch.int32)):
            tensor = torch.tensor(A, requires_grad=True)
            op(tensor, given).sum().backward()
            np.testing.assert_allclose(tensor.grad, expected, rtol=1e-13)
        each = torch.func.vmap(torch.func.grad(op))(torch.tensor(A), torch.tensor(labels))
        np.testing.assert_allclose(each, expected, rtol=1e-13)
        with pytest.raises(torch.linalg.LinAlgError, match=r"targets \(matrix 1 of the batch\) has the number"):
            op(torch.tensor(A), torch.tensor([0, 3]))
    for op in (overbar.softmax_cross_entropy, tf_ops.softmax_cross_entropy):
        for given in (tf.constant(labels), tf.constant(labels, tf.int32)):
            variable = tf.Variable(A)
            with tf.GradientTape() as tape:
                value = tf.reduce_sum(op(variable, given))
            np.testing.assert_allclose(tape.gradient(value, variable), expected, rtol=1e-13)
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"targets \(matrix 1 of the batch\) has the number"):
            op(tf.constant(A), tf.constant([0, -1]))
        with pytest.raises(tf.errors.InvalidArgumentError, match="the number of no class"):
            tf.function(op)(tf.constant(A), tf.constant([0, -1]))


@pytest.mark.parametrize("name", ["powmh", "fractional_matrix_power", "add_diagonal"])
def test_a_real_number_beside_a_complex_matrix_stays_real(name):
    """It would adopt the dtype of the matrix, and be refused, or be compared with zero as a complex number."""
    f = getattr(overbar, name)
    X = np.random.default_rng(0).standard_normal((2, 3, 3))
    A = X[0] @ X[0].T + np.eye(3) + 1j * (X[1] - X[1].T)
    value, pullback = overbar.vjp(f, A, 0.4)
    A_bar, number_bar = pullback(A)
    assert number_bar.dtype == float
    _, of_array = overbar.vjp(f, A, np.array(0.4))
    for mine, other in zip((A_bar, number_bar), of_array(A), strict=True):
        np.testing.assert_allclose(mine, other, rtol=1e-15)
    (alone,) = overbar.vjp(lambda A: f(A, 0.4), A)[1](A)
    np.testing.assert_allclose(alone, A_bar, rtol=1e-15)
    tangents = [overbar.jvp(f, (A, t), (A, np.array(0.1)))[1] for t in (0.4, np.array(0.4))]
    np.testing.assert_allclose(*tangents, rtol=1e-15)

    leaf = torch.tensor(A, requires_grad=True)
    found = getattr(torch_ops, name)(leaf, 0.4)
    found.backward(torch.tensor(A))
    np.testing.assert_allclose(found.detach().numpy(), value, rtol=1e-14)
    np.testing.assert_allclose(leaf.grad.numpy(), A_bar, rtol=1e-13)

    given = tf.constant(A)
    with tf.GradientTape() as tape:
        tape.watch(given)
        found = getattr(tf_ops, name)(given, 0.4)
    np.testing.assert_allclose(found.numpy(), value, rtol=1e-14)
    np.testing.assert_allclose(tape.gradient(found, given, given).numpy(), A_bar, rtol=1e-13)


def test_the_bar_of_a_real_number_beside_complex_arrays_is_real():
    A = np.array([[1 + 2j, 3j], [1.0, 2 - 1j]])
    _, bar = overbar.vjp(lambda A, t: overbar.sum(overbar.real(A * t)), A, 0.4)[1](1.0)
    assert bar.dtype == float
    assert bar == 4


def test_a_triangle_of_a_size_that_is_not_known():
    f = tf.function(tf_ops.fill_triangular, input_signature=[tf.TensorSpec([None, None], tf.float64)])
    np.testing.assert_array_equal(f(A), overbar.fill_triangular(A))
    with pytest.raises(tf.errors.InvalidArgumentError):
        f(np.ones((2, 4)))  # of which there is no triangle


def test_functions_take_sizes_that_are_not_known():
    """In a graph of TensorFlow, with no more than the rank known."""
    A_spec = tf.TensorSpec([None, None], tf.float64)

    @tf.function(input_signature=[A_spec, A_spec])
    def f(A, B):
        C = overbar.einsum("ij,kj->ik", A, B)
        return overbar.mean(C), overbar.var(A, axis=0), overbar.logsumexp(A, axis=1), overbar.softmax(B, axis=-1)

    mean, var, lse, p = f(A, B)
    np.testing.assert_allclose(mean, np.mean(A @ B.T), rtol=1e-14)
    np.testing.assert_allclose(var, A.var(0), rtol=1e-14)
    np.testing.assert_allclose(lse, overbar.logsumexp(A, axis=1), rtol=1e-14)
    np.testing.assert_allclose(p, overbar.softmax(B, axis=-1), rtol=1e-14)
