"""Batches in which some matrices fail, with ``on_error="nan"``: those are NaN, in value and derivatives, and the others
are as if they were alone. In NumPy, PyTorch and TensorFlow. May import the fronts.
"""

import numpy as np
import pytest

import overbar
from tests.frameworks import tf, tf_ops, torch, torch_ops

DEFINITE = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -1.0], [0.5, -1.0, 5.0]])
INDEFINITE = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
SINGULAR = np.array([[1.0, 2.0, 0.0], [2.0, 4.0, 0.0], [0.0, 0.0, 0.0]])
B = np.array([[1.0, -2.0], [0.5, 1.0], [3.0, 0.25]])

#: the function, its further arrays, its options, and a matrix on which it fails
CASES = {
    "cholesky": ("cholesky", (), {}, INDEFINITE),
    "cholesky, upper": ("cholesky", (), {"upper": True}, INDEFINITE),
    "inv": ("inv", (), {}, SINGULAR),
    "solve": ("solve", (B,), {}, SINGULAR),
    "solve, from the right": ("solve", (B.T,), {"left": False}, SINGULAR),
    "solve, adjoint": ("solve", (B,), {"adjoint": True}, SINGULAR),
}
cases = pytest.mark.parametrize("case", CASES)


def batch(case, dtype=np.float64):
    """A batch of four, of which the second fails, and what else the function takes."""
    name, others, options, failing = CASES[case]
    A = np.stack([DEFINITE, failing, 2 * DEFINITE, DEFINITE + np.eye(3)]).astype(dtype)
    if np.dtype(dtype).kind == "c":
        A[[0, 2]] += 1j * np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 0]])
    return name, A, [np.stack([x] * 4).astype(dtype) for x in others], options | {"on_error": "nan"}


def in_numpy(name, arrays, options, W, V):
    """Value, bars, and the tangent of the value along V; there is no second derivative in NumPy."""
    f = lambda *arrays: getattr(overbar, name)(*arrays, **options)  # noqa: E731
    C, pullback = overbar.vjp(f, *arrays)
    _, C_dot = overbar.jvp(f, arrays, [V[: x.shape[-1]] * np.ones_like(x) for x in arrays])
    return [C, *pullback(W), C_dot]


def in_torch(name, arrays, options, W, V):
    f = lambda *arrays: getattr(overbar, name)(*arrays, **options)  # noqa: E731
    x = [torch.tensor(a, requires_grad=True) for a in arrays]
    C = f(*x)
    bars = torch.autograd.grad(C, x, torch.tensor(W), create_graph=True)
    second = torch.autograd.grad(sum((bar * bar.conj()).real.sum() for bar in bars), x)
    dots = [torch.tensor(V[: a.shape[-1]] * np.ones_like(a)) for a in arrays]
    _, C_dot = torch.func.jvp(f, tuple(t.detach() for t in x), tuple(dots))
    return [t.detach().numpy() for t in (C, *bars, C_dot, *second)]


def in_tensorflow(name, arrays, options, W, V, graph=lambda f: f):
    f = lambda *arrays: getattr(overbar, name)(*arrays, **options)  # noqa: E731
    dots = [tf.constant(V[: a.shape[-1]] * np.ones_like(a)) for a in arrays]

    @graph
    def run(*x):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                C = f(*x)
            bars = inner.gradient(C, x, output_gradients=tf.constant(W))
            total = tf.add_n([tf.reduce_sum(tf.math.real(bar * tf.math.conj(bar))) for bar in bars])
        second = outer.gradient(total, x)
        with tf.autodiff.ForwardAccumulator(list(x), dots) as forward:
            C_dot = forward.jvp(f(*x))
        return [C, *bars, C_dot, *second]

    return [t.numpy() for t in run(*map(tf.constant, arrays))]


def in_graph(*args):
    return in_tensorflow(*args, graph=tf.function)


RUN = {"numpy": in_numpy, "torch": in_torch, "tensorflow": in_tensorflow, "a graph": in_graph}


@pytest.mark.parametrize("dtype", [np.float64, np.complex64])
@pytest.mark.parametrize("front", RUN)
@cases
def test_one_bad_matrix_does_not_stop_the_batch(case, front, dtype):
    name, A, others, options = batch(case, dtype)
    fine = [0, 2, 3]
    W = np.random.default_rng(0).standard_normal(overbar.__dict__[name](A, *others, **options).shape).astype(dtype)
    V = np.array([0.5, -1.0, 2.0]).astype(dtype)
    found = RUN[front](name, [A, *others], options, W, V)
    without = {k: v for k, v in options.items() if k != "on_error"}
    alone = RUN[front](name, [A[fine], *(x[fine] for x in others)], without, W[fine], V)
    few = 1e-3 if dtype == np.complex64 else 1e-11
    for a, b in zip(found, alone, strict=True):
        np.testing.assert_allclose(a[fine], b, rtol=few, atol=few * abs(b).max())
        assert np.isnan(a[1]).all()
        assert a.dtype == dtype


@cases
def test_a_matrix_alone_and_the_default(case):
    name, A, others, options = batch(case)
    assert np.isnan(getattr(overbar, name)(A[1], *(x[1] for x in others), **options)).all()
    del options["on_error"]
    for array, error in (
        (np.asarray, np.linalg.LinAlgError),
        (torch.tensor, torch.linalg.LinAlgError),
        (tf.constant, tf.errors.InvalidArgumentError),
    ):
        arrays = [array(x) for x in (A, *others)]
        for more in ({}, {"on_error": "raise"}):
            with pytest.raises(error):
                getattr(overbar, name)(*arrays, **options, **more)
        with pytest.raises(ValueError, match=f'{name}: the option on_error is .*must be "raise" or "nan"'):
            getattr(overbar, name)(*arrays, **options, on_error="ignore")


@pytest.mark.parametrize("name", ["cholesky", "inv", "solve"])
def test_compilers_and_transforms(name):
    """The ops of the fronts, whether or not somebody takes a derivative."""
    name, A, others, options = batch(name)
    expected = getattr(overbar, name)(A, *others, **options)
    x = [torch.tensor(a) for a in (A, *others)]
    f = lambda *x: getattr(torch_ops, name)(*x, **options)  # noqa: E731
    torch.testing.assert_close(f(*x), torch.tensor(expected), equal_nan=True)
    torch.testing.assert_close(torch.func.vmap(f)(*x), f(*x), equal_nan=True)
    compiled = torch.compile(f, backend="aot_eager", fullgraph=True)
    A = x[0].clone().requires_grad_()
    for g in (f, compiled):
        C = g(A, *x[1:])
        torch.testing.assert_close(C.detach(), torch.tensor(expected), equal_nan=True)
        (bar,) = torch.autograd.grad(C[[0, 2]].sum(), A)
        assert bar[[0, 2, 3]].isfinite().all()
        assert bar[1].isnan().all()
    x = [tf.constant(t.numpy()) for t in x]
    g = lambda *x: getattr(tf_ops, name)(*x, **options)  # noqa: E731
    for h in (g, tf.function(g, jit_compile=True), lambda *x: tf.vectorized_map(lambda x: g(*x), x)):
        np.testing.assert_allclose(h(*x), expected, rtol=1e-11)


EX = {
    "cholesky_ex": ([np.stack([DEFINITE, INDEFINITE, np.zeros((3, 3)), 2 * DEFINITE])], [1, 2]),
    "inv_ex": ([np.stack([DEFINITE, INDEFINITE, SINGULAR, np.zeros((3, 3))])], [2, 3]),
    "solve_ex": ([np.stack([DEFINITE, INDEFINITE, SINGULAR, np.zeros((3, 3))]), np.stack([B] * 4)], [2, 3]),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", EX)
def test_what_torch_reports_of_each_matrix(name, compiled):
    """Values and numbers are PyTorch's, of the matrices that failed, too; derivatives are those of the op."""
    arrays, failing = EX[name]
    fine = [i for i in range(4) if i not in failing]
    x = [torch.tensor(a) for a in arrays]
    expected = getattr(torch.linalg, name)(*x)
    op = getattr(torch_ops, name.removesuffix("_ex"))
    call = getattr(torch_ops.linalg, name)
    call = torch.compile(call, backend="aot_eager") if compiled else call
    y = [t.clone().requires_grad_() for t in x]
    found = call(*y)
    assert type(found) is type(expected)
    assert torch.equal(found.info, expected.info)
    torch.testing.assert_close(found[0].detach(), expected[0], equal_nan=True)
    bars = torch.autograd.grad(found[0].sum(), y)
    z = [t[fine].requires_grad_() for t in x]
    for bar, alone in zip(bars, torch.autograd.grad(op(*z).sum(), z), strict=True):
        torch.testing.assert_close(bar[fine], alone)
        assert bar[failing].isnan().all()
    if not compiled:
        _, (dot, _) = torch.func.jvp(lambda *x: tuple(getattr(torch_ops.linalg, name)(*x)), tuple(x), tuple(x))
        assert dot[failing].isnan().all()
        assert dot[fine].isfinite().all()
        with pytest.raises(torch.linalg.LinAlgError):
            call(*y, check_errors=True)


#: what reads the lower triangle of a positive definite matrix, and where that stands among the arrays
OF_DEFINITE = {
    "cholesky": lambda A: [A],
    "inv_quad": lambda A: [A, B],
    "inv_quad_logdet": lambda A: [A, B],
    "gaussian_logpdf": lambda A: [B[:, 0], B[:, 1], A],
    "eigh_generalized": lambda A: [DEFINITE, A],
}


@pytest.mark.parametrize("place", [(0, 0), (1, 1), (2, 2)])
@pytest.mark.parametrize("name", OF_DEFINITE)
def test_an_infinite_pivot_is_none(name, place):
    """It is positive to LAPACK, and has zeros below it."""
    A = DEFINITE.copy()
    A[place] = np.inf
    words = rf"^{name}: argument [ABK] is not finite: its entry \({place[0]}, {place[1]}\) is inf"
    arrays = OF_DEFINITE[name](A)
    with pytest.raises(np.linalg.LinAlgError, match=words):
        getattr(overbar, name)(*arrays)
    for watched in (False, True):
        x = [torch.tensor(a, requires_grad=watched) for a in arrays]
        with pytest.raises(torch.linalg.LinAlgError, match=words):
            getattr(torch_ops, name)(*x)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"finite|positive"):
        getattr(tf_ops, name)(*map(tf.constant, arrays))


@pytest.mark.parametrize("n", [3, 70, 200])
def test_an_infinite_pivot_of_one_in_a_batch(n):
    A = np.stack([np.eye(n), 2 * np.eye(n)])
    A[1, 1, 1] = np.inf
    x = torch.tensor(A, requires_grad=True)
    words = r"cholesky: argument A \(matrix 1 of the batch\) is not finite: its entry \(1, 1\) is inf"
    for f in (torch_ops.cholesky, overbar.cholesky, torch.func.vmap(lambda A: overbar.cholesky(A))):
        with pytest.raises(torch.linalg.LinAlgError, match=words):
            f(x)
    C = torch_ops.cholesky(x, on_error="nan")
    C.sum().backward()
    for y in (C, x.grad):
        assert y[1].isnan().all()
        assert y[0].isfinite().all()
