"""The hard cases of eigenproblems in NumPy, PyTorch and TensorFlow: equal and nearly equal eigenvalues, extreme scales,
defective matrices, batches of hard and easy matrices. May import the fronts.

Where there is a closed form it is the truth: the derivative of Σ e^w is e^A, and its second one the block of the
exponential of [[A, H], [0, A]].
"""

import numpy as np
import pytest
import scipy.linalg

import overbar
from tests.compare import error
from tests.frameworks import tf, tf_ops, torch, torch_ops

FRAMEWORKS = ["torch", "tensorflow"]


def unitary(n, dtype, seed=0):
    rng = np.random.default_rng([n, seed])
    X = rng.standard_normal((n, n))
    return np.linalg.qr(X + 1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else X).Q


def hermitian(w, dtype="float64", seed=0):
    Q = unitary(len(w), dtype, seed)
    A = (Q * w) @ Q.conj().T
    return (A + A.conj().T) / 2


def direction(n, dtype):
    rng = np.random.default_rng([n, 7])
    X = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else 0)
    return (X + X.conj().T) / 2


def patterns(n):
    yield "one", np.ones(n)
    yield "pairs", 1 + np.arange(n) // 2 / n
    yield "one alone", np.r_[np.ones(n - 1), 2.0]
    yield "all differ", 1 + np.arange(n) / n


def truth(A, H):
    """The second derivative of tr e^A along H."""
    n = len(A)
    return scipy.linalg.expm(np.block([[A, H], [np.zeros_like(A), A]]))[:n, n:]


def first(framework, op, loss, *arrays):
    """The gradients of a loss of an op's result."""
    if framework == "torch":
        tensors = [torch.tensor(A, requires_grad=True) for A in arrays]
        return [g.numpy() for g in torch.autograd.grad(loss(torch, getattr(torch_ops, op)(*tensors)), tensors)]
    tensors = [tf.constant(A) for A in arrays]
    with tf.GradientTape() as tape:
        tape.watch(tensors)
        z = loss(Tf, getattr(tf_ops, op)(*tensors))
    return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(z, tensors)]


class Tf:
    """The few words that the losses here are written in."""

    exp, sum, tensor = tf.exp, tf.reduce_sum, staticmethod(lambda x, **_: tf.constant(x))


def sum_exp(xp, w):
    return xp.sum(xp.exp(w))


CASES = [
    pytest.param(n, w, dtype, id=f"{n}-{name}-{dtype}")
    for n, dtype in [(1, "float64"), (2, "float64"), (3, "complex128"), (7, "float64"), (33, "complex128")]
    for name, w in patterns(n)
]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize(("n", "w", "dtype"), CASES)
def test_first_derivative_of_a_symmetric_function(framework, n, w, dtype):
    A = hermitian(w, dtype)
    assert error(first(framework, "eigvalsh", sum_exp, A)[0], scipy.linalg.expm(A)) < 1e-12
    w, pullback = overbar.vjp(overbar.eigvalsh, A)
    assert error(pullback(np.exp(w))[0], scipy.linalg.expm(A)) < 1e-12


def trace_of_exponential(A):
    return torch_ops.eigvalsh(A).exp().sum()


def reverse_over_reverse(A, H):
    x = torch.tensor(A, requires_grad=True)
    g = torch.autograd.grad(trace_of_exponential(x), x, create_graph=True)[0]
    return torch.autograd.grad((g * torch.tensor(H).conj()).real.sum(), x)[0]


def forward_over_reverse(A, H):
    return torch.func.jvp(torch.func.grad(trace_of_exponential), (torch.tensor(A),), (torch.tensor(H),))[1]


def reverse_over_forward(A, H):
    def along(A):
        return torch.func.jvp(trace_of_exponential, (A,), (torch.tensor(H),))[1]

    return torch.func.grad(along)(torch.tensor(A))


def tape_over_tape(A, H):
    A, H = tf.constant(A), tf.constant(H)
    with tf.GradientTape() as outer:
        outer.watch(A)
        with tf.GradientTape() as tape:
            tape.watch(A)
            z = tf.reduce_sum(tf.exp(tf_ops.eigvalsh(A)))
        inner = tf.math.real(tf.reduce_sum(tape.gradient(z, A) * tf.math.conj(H)))
    return outer.gradient(inner, A)


SECOND = [reverse_over_reverse, forward_over_reverse, reverse_over_forward, tape_over_tape]


@pytest.mark.parametrize("way", SECOND)
@pytest.mark.parametrize(("n", "w", "dtype"), CASES)
def test_second_derivative_of_a_symmetric_function(way, n, w, dtype):
    for A in (hermitian(w, dtype), np.diag(w).astype(dtype)):
        H = direction(n, dtype)
        assert error(way(A, H), truth(A, H)) < 1e-11


@pytest.mark.parametrize("way", SECOND)
@pytest.mark.parametrize("gap", [1e-8, 1e-10, 1e-12])
def test_second_derivative_at_nearly_equal_eigenvalues(way, gap):
    A, H = hermitian(np.array([1, 1 + gap, 2, 2 + gap, 3])), direction(5, "float64")
    assert error(way(A, H), truth(A, H)) < 1e-13 / gap


def test_gradient_penalty():
    """A value and a squared gradient in one pass: contributions of both orders meet at w."""
    A, H = hermitian(np.array([1.0, 1, 2, 2, 3])), 0
    x = torch.tensor(A, requires_grad=True)
    z = trace_of_exponential(x)
    g = torch.autograd.grad(z, x, create_graph=True)[0]
    found = torch.autograd.grad(z + (g * g).sum(), x)[0]
    assert error(found, scipy.linalg.expm(A) + 2 * scipy.linalg.expm(2 * A) + H) < 1e-12


def test_two_gradients_with_vectors_of_their_own_are_not_silently_wrong():
    x = torch.eye(3, dtype=torch.float64, requires_grad=True)
    w = torch_ops.eigvalsh(x)
    one = torch.autograd.grad(w.exp().sum(), x, create_graph=True)[0]
    two = torch.autograd.grad((w * w).sum(), x, create_graph=True)[0]
    H, K = torch.tensor(direction(3, "float64")), torch.tensor(hermitian(np.array([1.0, 2, 4])))
    assert torch.autograd.grad((one * H + two * K).sum(), x, retain_graph=True)[0].isnan().all()
    # one vector for both: nothing is lost
    found = torch.autograd.grad(((one + two) * H).sum(), x)[0]
    assert error(found, (np.e + 2) * H.numpy()) < 1e-12


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_extreme_scales(framework, scale):
    A = scale * hermitian(np.array([1.0, 1, 2, 3]))
    weights = np.array([1.0, 1, -2, 0.5])
    loss = lambda xp, w: xp.sum(w * xp.tensor(weights))  # noqa: E731
    expected = hermitian(weights)
    assert error(first(framework, "eigvalsh", loss, A)[0], expected) < 1e-12
    assert error(first(framework, "eigh", lambda xp, out: loss(xp, out[0]), A)[0], expected) < 1e-12


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_trace_of_a_function_from_vectors_and_a_batch_of_hard_and_easy_matrices(framework):
    A = np.stack([np.eye(3), hermitian(np.array([1.0, 1, 2])), hermitian(np.array([1.0, 2, 4]))])

    def loss(xp, out):
        w, V = out
        return xp.sum(V * xp.exp(w)[..., None, :] * V)

    expected = np.stack([scipy.linalg.expm(x) for x in A])
    assert error(first(framework, "eigh", loss, A)[0], expected) < 1e-12


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("gap", [1e-2, 1e-8, 1e-10])
def test_weighted_function_at_nearly_equal_eigenvalues(framework, gap):
    A, W = hermitian(np.array([1, 1 + gap, 2, 2 + gap, 3])), direction(5, "float64")

    def loss(xp, out):
        w, V = out
        VT = V.mT if framework == "torch" else tf.linalg.matrix_transpose(V)
        return xp.sum(xp.tensor(W) * ((V * xp.exp(w)[..., None, :]) @ VT))

    assert error(first(framework, "eigh", loss, A)[0], truth(A, W)) < 1e-13 / gap


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_generalised_problem(framework):
    A, B, scale = hermitian(np.array([1.0, 2, 4])), hermitian(np.array([1.0, 2, 3]), seed=1), 1e-100
    loss = lambda xp, out: xp.sum(out[0] * xp.tensor(np.array([1.0, 2, 3])))  # noqa: E731
    w, V = scipy.linalg.eigh(A, B)
    got_A, got_B = first(framework, "eigh_generalized", loss, A * scale, B)
    assert error(got_A, (V * [1, 2, 3]) @ V.T) < 1e-12
    assert error(got_B, -scale * (V * (w * [1, 2, 3])) @ V.T) < 1e-12


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("n", [1, 2, 3, 33])
def test_tridiagonal(framework, n):
    """A second difference: vectors are sines. (The gradient of the least eigenvalue is v².)"""
    v = np.sin(np.pi * np.arange(1, n + 1) / (n + 1)) * np.sqrt(2 / (n + 1))

    def loss(xp, out):
        w = out[0] if isinstance(out, tuple) else out
        return w[..., 0]

    d, e = first(framework, "eigh_tridiagonal", loss, np.zeros(n), -np.ones(n - 1))
    assert error(d, v**2) < 1e-11
    assert error(e, 2 * v[1:] * v[:-1]) < 1e-11


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_eigenvalues_of_matrices_with_equal_ones_and_of_general_ones(framework):
    def loss(xp, w):
        return xp.sum((w * w).real) if framework == "torch" else tf.reduce_sum(tf.math.real(w * w))

    general = np.random.default_rng(1).standard_normal((7, 7))
    for A in (np.eye(3), hermitian(np.array([1.0, 1, 2, 2, 3])), general, np.diag([1e150, 1e-150, 0])):
        with np.errstate(over="ignore"):
            assert error(first(framework, "eigvals", loss, A)[0], 2 * A.T) < 1e-11


def jordan(k, scale):
    J = np.diag(np.r_[np.full(k, 2.0), -1]) + np.diag(np.r_[np.ones(k - 1), 0], 1)
    Q = unitary(k + 1, "float64")
    return scale * (Q @ J @ Q.T)


DEFECTIVE = [np.array([[1.0, 1], [0, 1]]), np.array([[0.0, 1], [0, 0]])]
DEFECTIVE += [jordan(k, scale) for k, scale in [(2, 1), (3, 1e150), (5, 1e-150)]]


@pytest.mark.parametrize("A", DEFECTIVE, ids=range(len(DEFECTIVE)))
def test_a_defective_matrix_is_an_error(A):
    real = lambda w: tf.math.real(w)  # noqa: E731
    w, pullback = overbar.vjp(overbar.eigvals, A)
    with pytest.raises(np.linalg.LinAlgError, match=r"argument (A|V)"):
        pullback(w.conj())
    with pytest.raises(torch.linalg.LinAlgError, match="eigvals: in the reverse rule: the matrix A is defective"):
        first("torch", "eigvals", lambda xp, w: xp.sum(w.real), A)
    with pytest.raises(tf.errors.InvalidArgumentError):
        first("tensorflow", "eigvals", lambda xp, w: xp.sum(real(w)), A)


def test_vectors_of_equal_eigenvalues_have_no_derivative():
    x = torch.eye(3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(torch.linalg.LinAlgError, match="equal eigenvalues"):
        torch_ops.eig(x)[1][0].real.sum().backward()


DECOMPOSITIONS = ["eigh", "eigvalsh", "eig", "eigvals", "svd", "svdvals", "polar", "pinv", "cond", "schur", "sqrtmh"]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [(0, 0), (1, 1)])
@pytest.mark.parametrize("name", [*DECOMPOSITIONS, "lstsq", "matrix_norm"])
def test_what_is_not_finite_is_named(name, place, value):
    """LAPACK's eigenvalues of [[nan, 1], [1, 3]] are ±√2."""
    A = np.array([[3.0, 1.0], [1.0, 3.0]])
    A[place] = value
    arrays, options = [A], {"ord": 2} if name == "matrix_norm" else {}
    if name == "lstsq":
        arrays.append(np.ones((2, 1)))
    words = rf"^{name}: argument A is not finite: its entry \({place[0]}, {place[1]}\) is {value}"
    with pytest.raises(np.linalg.LinAlgError, match=words):
        getattr(overbar, name)(*arrays, **options)
    for watched in (False, True):
        x = [torch.tensor(a, requires_grad=watched) for a in arrays]
        with pytest.raises(torch.linalg.LinAlgError, match=words):
            getattr(torch_ops, name)(*x, **options)
    try:
        found = getattr(tf_ops, name)(*map(tf.constant, arrays), **options)
    except (ValueError, tf.errors.OpError):
        return
    # TensorFlow's singular values are NaN, and so is all that is computed from them
    found = found if isinstance(found, (tuple, list)) else (found,)
    assert all(np.isnan(x).all() for x in found if x.dtype.is_floating)


@pytest.mark.parametrize("name", DECOMPOSITIONS)
def test_what_is_not_finite_is_named_in_a_batch(name):
    A = np.stack([np.eye(3)] * 2)
    A[1, 2, 0] = np.nan
    words = r"argument A (\(matrix 1 of the batch\) )?is not finite: its entry \(2, 0\) is nan"
    with pytest.raises(np.linalg.LinAlgError, match=words):
        getattr(overbar, name)(A)
    for f in (getattr(torch_ops, name), torch.func.vmap(lambda A: getattr(torch_ops, name)(A))):
        with pytest.raises(torch.linalg.LinAlgError, match=words):
            f(torch.tensor(A))


@pytest.mark.parametrize("name", ["eigh", "eigvalsh"])
@pytest.mark.parametrize("upper", [False, True])
def test_the_triangle_that_is_not_read_may_hold_anything(name, upper):
    A, options = np.array([[3.0, 1.0], [1.0, 3.0]]), {"UPLO": "U" if upper else "L"}
    A[(1, 0) if upper else (0, 1)] = np.nan
    for watched in (False, True):
        found = getattr(torch_ops, name)(torch.tensor(A, requires_grad=watched), **options)
        w = found if name == "eigvalsh" else found[0]
        np.testing.assert_allclose(w.detach(), [2, 4], rtol=1e-14)
    found = getattr(overbar, name)(A, **options)
    np.testing.assert_allclose(found if name == "eigvalsh" else found[0], [2, 4], rtol=1e-14)


@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "svd", "svdvals"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_where_nobody_can_look_what_is_not_finite_makes_nan(name, value):
    """In programs that PyTorch and TensorFlow have compiled."""
    A = np.array([[[3.0, 1.0], [1.0, value]], [[3.0, 1.0], [1.0, 2.0]]])

    def values(ops, A):
        found = getattr(ops, name)(A)
        found = found[:2] if isinstance(found, tuple) else (found,)
        return [overbar.sum(x, axis=-1) for x in found]

    x = torch.tensor(A, requires_grad=True)
    try:
        found = torch.compile(values, backend="aot_eager", fullgraph=True)(torch_ops, x)
        (G,) = torch.autograd.grad(sum(y.sum() for y in found), x)
    except RuntimeError as error:  # PyTorch's own, of the compiled program
        assert type(error) is torch.linalg.LinAlgError  # noqa: PT017
    else:
        for y in (*found, G):
            assert y[0].isnan().all()
        for y in found:
            assert y[1].isfinite().all()

    @tf.function
    def program(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            found = values(tf_ops, x)
            total = sum(tf.reduce_sum(y) for y in found)
        return *found, tape.gradient(total, x)

    try:
        found = program(tf.constant(A))
    except tf.errors.OpError:
        return
    for y in found:
        assert np.isnan(y[0]).all()
    for y in found[:-1]:
        assert np.isfinite(y[1]).all()


# by a tridiagonal form on a CPU, by rotations of many pairs at once on a GPU
both_ways = pytest.mark.parametrize("in_parallel", [False, True], ids=["tridiagonal", "jacobi"])


@both_ways
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.turns(4)
def test_xla_has_residuals_of_rounding(dtype, in_parallel):
    gaps = [0, 1e-12, 1e-9, 1e-6, 1e-4, 1]
    spectra = [np.array([1, 1 + gap, 1 + 2 * gap, 2, 3, 3 + gap, 5]) for gap in gaps]
    _residuals_of_rounding(np.stack([hermitian(w, dtype) for w in spectra]), in_parallel, unknown=dtype == "float64")


@pytest.mark.slow
@both_ways
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("n", [1, 2, 3, 60])
@pytest.mark.turns(4)
def test_xla_has_residuals_of_rounding_for_spectra_over_twelve_decades(n, dtype, in_parallel):
    # dozens of eigenvalues that are as near to each other as XLA's own rounding is
    w = 10 ** -np.random.default_rng(n).uniform(0, 12, n)
    _residuals_of_rounding(
        np.stack([hermitian(w, dtype), np.zeros((n, n), dtype), hermitian(-(w**0), dtype)]), in_parallel
    )


@both_ways
def test_xla_has_residuals_of_rounding_for_special_forms(in_parallel):
    """Diagonal and tridiagonal ones, that of Wilkinson with pairs of eigenvalues equal to rounding, blocks that fall
    apart at once, entries over many decades in both directions, one that is tiny; in one batch."""
    n, i = 21, np.arange(21.0)
    beside = lambda e: np.diag(e * np.ones(n - 1), 1) + np.diag(e * np.ones(n - 1), -1)  # noqa: E731
    graded = 10.0 ** -(i[:, None] + i) * hermitian(1 + i, "float64")
    forms = [np.diag(i - 7), beside(1.0), np.diag(abs(i - 10)) + beside(1.0), np.diag(i % 3) + beside(i[:-1] % 2)]
    forms += [graded, graded[::-1, ::-1], hermitian(i, "float64") * 1e-300, np.ones((n, n))]
    _residuals_of_rounding(np.stack(forms), in_parallel)


def eigh_of_namespace(A):
    return overbar.namespace(A).eigh(A)


def _residuals_of_rounding(A, in_parallel, unknown=False):
    """`unknown`: the sizes, while the graph is built."""
    shape = [None, None, None] if unknown else A.shape
    decompose = tf.function(
        lambda A: tf_ops._jacobi.eigh(A, in_parallel), [tf.TensorSpec(shape, A.dtype)], jit_compile=True
    )
    w, V = (x.numpy() for x in decompose(tf.constant(A)))
    rounding = 45 * np.finfo(A.dtype).eps * max(1, A.shape[-1] / 10)
    wide = np.complex128 if A.dtype.kind == "c" else np.float64
    assert error(w.astype(np.float64), np.linalg.eigvalsh(A.astype(wide))) < rounding
    assert (w[:, 1:] >= w[:, :-1]).all()
    size = abs(w).max(-1, initial=0)[:, None, None]
    assert (np.abs(A @ V - V * w[:, None]) <= rounding * size).all()
    assert np.abs(V.conj().mT @ V - np.eye(A.shape[-1])).max() < rounding


def test_xla_gives_nan_for_the_matrix_that_is_not_finite_only():
    A = np.stack([np.eye(3)] * 2)
    A[1, 2, 0] = np.nan
    w, V = (x.numpy() for x in tf.function(eigh_of_namespace, jit_compile=True)(tf.constant(A)))
    assert np.isnan(w[1]).all()
    assert np.isnan(V[1]).all()
    assert (w[0] == 1).all()
    assert np.isfinite(V[0]).all()
