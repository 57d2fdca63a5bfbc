"""Determinants of singular matrices to second order, inverses of ill-conditioned ones, and what must raise, in NumPy,
PyTorch and TensorFlow, against exact arithmetic. May import `torch_ops` and `tf_ops`."""

import mpmath
import numpy as np
import pytest
import scipy.linalg

import overbar
from overbar.rules import _adjugate
from tests.compare import error
from tests.frameworks import tf, tf_ops, torch, torch_ops

RNG = np.random.default_rng(20)


# ---------------------------------------------------------------------------------------------------------------------
# The truth: A + tE has an inverse for tiny t, and all errors are of the size of t


def exact(A, H):
    """adj(A) and its derivative along H."""
    n = len(A)
    size, digits = (-400, 1500) if n < 10 else (-60, 160)
    with mpmath.workdps(digits):
        E = mpmath.matrix(np.random.default_rng(1).standard_normal((n, n)).tolist())
        K = mpmath.matrix(A.tolist()) + mpmath.mpf(10) ** size * E
        X, det = K**-1, mpmath.det(K)
        XH = X * mpmath.matrix(H.tolist())
        change = det * (sum(XH[i, i] for i in range(n)) * X - XH * X)
        return tuple(np.array([[float(M[i, j]) for j in range(n)] for i in range(n)]) for M in (det * X, change))


def orthogonal(n):
    return np.linalg.qr(RNG.standard_normal((n, n)))[0]


def of_rank(n, rank):
    """Small integers, so that the rank is exact; elimination meets pivots that are rounding."""
    return (RNG.integers(-3, 4, (n, rank)) @ RNG.integers(-3, 4, (rank, n))).astype(float)


def diagonal(n, zeros):
    d = np.arange(1.0, n + 1)
    d[:zeros] = 0
    return np.diag(d)


MATRICES = {
    "ones 2": np.ones((2, 2)),
    "zero 2": np.zeros((2, 2)),
    "zero 3": np.zeros((3, 3)),
    "number": np.zeros((1, 1)),
    "regular 3": RNG.standard_normal((3, 3)),
    "diagonal 3, rank 2": diagonal(3, 1),
    "diagonal 7, rank 6": diagonal(7, 1),
    "diagonal 7, rank 5": diagonal(7, 2),
    "integers 7, rank 6": of_rank(7, 6),
    "integers 7, rank 5": of_rank(7, 5),
    "zero pivot first": np.array([[1.0, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 2]]),
    "to rounding 7, rank 6": orthogonal(7) * [1, 2, 2, 3, 1, 5, 0] @ orthogonal(7),
    "to rounding 7, rank 5": orthogonal(7) * [1, 2, 2, 3, 1, 0, 0] @ orthogonal(7),
    "to rounding 33, rank 32": orthogonal(33) * np.append(np.linspace(1, 2, 32), 1e-17) @ orthogonal(33),
    "large": 1e100 * np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]),
    "small": 1e-100 * np.array([[1.0, 2], [2, 4]]),
    "rows of many sizes": np.diag([1e150, 1.0, 1e-150]) @ np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 10]]),
}


def gradients(A, H):
    """adj(A)ᵀ, the gradient of det, in the three libraries; and its derivative along H: forward over reverse in NumPy,
    reverse over reverse in the others."""
    _, pullback = overbar.vjp(overbar.det, A)
    first = {"numpy": pullback(1.0)[0]}
    second = {"numpy": overbar.jvp(overbar.adjugate, (A,), (H,))[1].T}
    x = torch.tensor(A, requires_grad=True)
    (bar,) = torch.autograd.grad(torch_ops.det(x), x, create_graph=True)
    first["torch"] = bar.detach().numpy()
    second["torch"] = torch.autograd.grad((bar * torch.tensor(H)).sum(), x)[0].numpy()
    x = tf.constant(A)
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            c = tf_ops.det(x)
        bar = tape.gradient(c, x)
        inner = tf.reduce_sum(bar * H)
    first["tf"], second["tf"] = bar.numpy(), outer.gradient(inner, x).numpy()
    return first, second


@pytest.mark.parametrize("name", MATRICES)
def test_derivatives_of_a_determinant(name):
    A = MATRICES[name]
    H = RNG.standard_normal(A.shape)
    first, second = gradients(A, H)
    sizes = np.linalg.svd(A, compute_uv=False)
    for order, found, truth in zip((1, 2), (first, second), exact(A, H), strict=True):
        degree = max(len(A) - order, 0)
        # Where the truth is zero because the rank is low, rounding of A makes it as large as the second term.
        scale = max(abs(truth).max(), 1e11 * np.finfo(float).eps * (sizes[0] or 1) ** degree)
        if name == "rows of many sizes":
            if order == 2:
                continue  # a change of all entries alike is out of scale there
            scale = abs(truth.T)
        for library, C in found.items():
            assert np.all(abs(C - truth.T) <= 1e-10 * scale), (library, order)


def of_order_4():
    return np.random.default_rng(5).standard_normal((4, 4)) + 2 * np.eye(4)


def two_by_two(size, beside=0):
    return scipy.linalg.block_diag(np.array([[size, 1.0], [1.0, 0.0]]), np.eye(beside))


BADLY_SCALED = {
    "1e4": two_by_two(1e4),
    "1e8": two_by_two(1e8),
    "1e150": two_by_two(1e150),
    "singular 2": np.array([[2.0**26, 2.0**13], [2.0**13, 1.0]]),
    "of order 3": np.array([[1e8, 1, 0], [1, 0, 1e-6], [0, 1e-3, 1.0]]),
    "singular 3": np.diag([2.0**40, 1, 2.0**-20]) @ np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]),
    "1e8 of order 4": two_by_two(1e8, 2),
    "1e12 of order 5": two_by_two(1e12, 3),
    "1e150 of order 4": two_by_two(1e150, 2),
    "rows": np.diag([1, 1, 1, 1e-8]) @ of_order_4(),
    "columns": of_order_4() @ np.diag([1, 1e8, 1, 1e-8]),
    "rows and columns": np.diag([1e6, 1, 1e-6, 1]) @ of_order_4() @ np.diag([1, 1e8, 1, 1e-8]),
    "diagonal": np.diag([1e8, 1, 1, 1e-8]),
}


@pytest.mark.parametrize("name", BADLY_SCALED)
def test_second_derivatives_of_a_determinant_that_is_badly_scaled(name):
    A = BADLY_SCALED[name]
    H = np.random.default_rng(3).standard_normal(A.shape)
    _, truth = exact(A, H)
    _, second = gradients(A, H)
    second["numpy, reverse"] = overbar.vjp(overbar.adjugate, A)[1](H.T)[0]
    x = torch.tensor(A)
    second["torch, forward"] = torch.func.jvp(torch.func.grad(torch_ops.det), (x,), (torch.tensor(H),))[1].numpy()
    hessian = torch.func.hessian(torch_ops.det)(x)
    second["torch, vmap"] = torch.einsum("ijkl,kl->ij", hessian, torch.tensor(H)).numpy()
    second["numpy, hessian"] = np.einsum("ijkl,kl->ij", overbar.hessian(overbar.det)(A), H)
    for found in second.values():
        assert abs(found.T - truth).max() <= 1e-13 * abs(truth).max()


@pytest.mark.parametrize("size", [1e4, 1e12])
@pytest.mark.parametrize("beside", [0, 2])
def test_a_badly_scaled_matrix_in_single_precision(size, beside):
    A = two_by_two(size, beside).astype(np.float32)
    H = np.random.default_rng(3).standard_normal(A.shape).astype(np.float32)
    _, truth = exact(A, H)
    for found in gradients(A, H)[1].values():
        assert abs(found.T - truth).max() <= 1e-5 * abs(truth).max()


@pytest.mark.parametrize("shape", [None, (3, 4, 4)])
def test_a_badly_scaled_matrix_in_a_graph_beside_others(shape):
    """One is regular, one badly scaled, and one singular."""
    A = np.stack([of_order_4(), BADLY_SCALED["1e8 of order 4"], np.ones((4, 4)) + np.diag([1.0, 2.0, 0, 0])])
    H = np.random.default_rng(3).standard_normal(A.shape)

    @tf.function(input_signature=[tf.TensorSpec(shape or [None, None, None], tf.float64)] * 2)
    def run(x, H):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                c = tf_ops.det(x)
            inner = tf.reduce_sum(tape.gradient(c, x) * H)
        return outer.gradient(inner, x)

    numbers = overbar.jvp(overbar.adjugate, (A,), (H,))[1]
    for each in (np.swapaxes(run(tf.constant(A), tf.constant(H)).numpy(), -2, -1), numbers):
        for found, B, E in zip(each, A, H, strict=True):
            _, truth = exact(B, E)
            assert abs(found - truth).max() <= 1e-13 * abs(truth).max()


def test_third_derivatives_of_a_small_determinant_that_is_badly_scaled():
    """They do not depend on the matrix, and are zero of order 2: that is a number in PyTorch, too."""
    third = torch.func.jacrev(torch.func.jacrev(torch.func.grad(torch_ops.det)))
    A = torch.tensor(BADLY_SCALED["of order 3"])
    torch.testing.assert_close(third(A), third(torch.eye(3, dtype=A.dtype)), rtol=0, atol=1e-12)
    x = torch.tensor(BADLY_SCALED["1e8"], requires_grad=True)
    (bar,) = torch.autograd.grad(torch_ops.det(x), x, create_graph=True)
    for _ in range(2):
        (bar,) = torch.autograd.grad((bar * x.detach()).sum(), x, create_graph=True)
    assert not bar.any()
    assert not overbar.hessian(lambda A: overbar.sum(overbar.grad(overbar.det)(A)))(BADLY_SCALED["1e8"]).any()


def test_a_batch_of_singular_and_regular_matrices():
    A = np.stack([np.ones((3, 3)), diagonal(3, 1), RNG.standard_normal((3, 3)), np.zeros((3, 3)), of_rank(3, 2)])
    first, _ = gradients_of_batch(A)
    for C in first.values():
        for found, matrix in zip(C, A, strict=True):
            np.testing.assert_allclose(found, exact(matrix, matrix)[0].T, atol=1e-13 * (1 + abs(matrix).max() ** 2))


def gradients_of_batch(A):
    x, y = torch.tensor(A, requires_grad=True), tf.constant(A)
    (bar,) = torch.autograd.grad(torch_ops.det(x).sum(), x)
    with tf.GradientTape() as tape:
        tape.watch(y)
        c = tf.reduce_sum(tf_ops.det(y))
    found = {"numpy": overbar.vjp(overbar.det, A)[1](np.ones(len(A)))[0], "torch": bar.numpy()}
    return found | {"tf": tape.gradient(c, y).numpy()}, None


def test_third_derivative_of_a_determinant_of_zero():
    """det of a 3 by 3 matrix is of degree three: its third derivative does not depend on A."""
    x = torch.zeros(3, 3, dtype=torch.float64)
    third = torch.func.jacrev(torch.func.jacrev(torch.func.grad(torch_ops.det)))
    expected = third(torch.eye(3, dtype=torch.float64))  # the symbol of Levi-Civita, twice
    assert expected[0, 0, 1, 1, 2, 2] == pytest.approx(1)
    assert expected[0, 1, 1, 0, 2, 2] == pytest.approx(-1)
    torch.testing.assert_close(third(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("jit", [False, True], ids=["graph", "xla"])
def test_a_determinant_in_a_graph(jit):
    A = np.stack([np.ones((3, 3)), diagonal(3, 1), RNG.standard_normal((3, 3))])

    @tf.function(jit_compile=jit)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            c = tf_ops.det(x)
        return c, tape.gradient(c, x)

    c, bar = run(tf.constant(A))
    np.testing.assert_allclose(c, np.linalg.det(A), atol=1e-14)
    for found, matrix in zip(bar.numpy(), A, strict=True):
        np.testing.assert_allclose(found, exact(matrix, matrix)[0].T, atol=1e-13 * (1 + abs(matrix).max() ** 2))


def test_a_determinant_whose_partial_products_overflow():
    A = np.diag([1e200, 1e200, 1e-200, 1e-200])
    for found in (overbar.det(A), torch_ops.det(torch.tensor(A)), tf_ops.det(tf.constant(A))):
        assert float(found) == pytest.approx(1, rel=1e-12)


# ---------------------------------------------------------------------------------------------------------------------
# Ill-conditioned, positive definite


@pytest.mark.parametrize("n", [5, 20])
def test_gradient_of_logdet_at_condition_1e12(n):
    """No worse than that of PyTorch's own functions on the same matrices, by LU or by Cholesky factors, in the median
    over some."""
    errors = {}
    for _ in range(9):
        Q = orthogonal(n)
        A = (Q * np.logspace(0, -12, n)) @ Q.T
        A = (A + A.T) / 2
        with mpmath.workdps(50):
            truth = np.array((mpmath.matrix(A.tolist()) ** -1).tolist(), dtype=float)
        x, y = torch.tensor(A, requires_grad=True), tf.constant(A)
        b = torch.zeros(n, dtype=x.dtype)
        with tf.GradientTape() as tape:
            tape.watch(y)
            c = tf_ops.slogdet(y)[1]
        bars = {
            "torch's own": torch.autograd.grad(torch.linalg.slogdet(x)[1], x)[0],
            "torch's Cholesky": torch.autograd.grad(2 * torch.linalg.cholesky(x).diagonal().log().sum(), x)[0],
            "overbar.logdet": overbar.vjp(overbar.logdet, A)[1](1.0)[0],
            "torch_ops.logdet": torch.autograd.grad(torch_ops.logdet(x), x)[0],
            "torch_ops.slogdet": torch.autograd.grad(torch_ops.slogdet(x).logabsdet, x)[0],
            "torch_ops.inv_quad_logdet": torch.autograd.grad(torch_ops.inv_quad_logdet(x, b)[1], x)[0],
            "tf_ops.slogdet": tape.gradient(c, y),
        }
        for name, bar in bars.items():
            errors.setdefault(name, []).append(error(bar, truth))
    medians = {name: np.median(found) for name, found in errors.items()}
    # all lose what a backward stable inverse may lose; medians of nine differ by a factor of some units
    assert max(medians.values()) <= 5 * max(medians["torch's own"], medians["torch's Cholesky"]), medians
    assert max(medians.values()) < 2e-4, medians  # ε times the condition
    assert medians["overbar.logdet"] < 1e-9, medians  # NumPy's inverse is refined


@pytest.mark.parametrize("kind", ["d", "D"])
@pytest.mark.parametrize("n", [1, 2, 7, 33])
def test_numpy_solves_ill_conditioned_systems_to_ten_digits(n, kind):
    """A batch of an ill-conditioned matrix, an easy one and a badly scaled one."""
    Q, V = (
        np.linalg.qr(RNG.standard_normal((n, n)) + (1j * RNG.standard_normal((n, n)) if kind == "D" else 0))[0]
        for _ in range(2)
    )
    A = np.stack([(Q * np.logspace(0, -12, n)) @ V, Q + 2 * np.eye(n), 1e-150 * (Q * np.logspace(0, -12, n)) @ V])
    B = RNG.standard_normal((n, 2)).astype(kind)
    found = {"inv": overbar.inv(A), "solve": overbar.solve(A, B), "single": [overbar.solve(M, B) for M in A]}
    with mpmath.workdps(50):
        exact = [mpmath.matrix(M.tolist()) ** -1 for M in A]
        inverses = np.stack([np.array(X.tolist(), dtype=kind) for X in exact])
        solutions = np.stack([np.array((X * mpmath.matrix(B.tolist())).tolist(), dtype=kind) for X in exact])
    truth = {"inv": inverses, "solve": solutions, "single": solutions}
    for name, value in found.items():
        for one, other in zip(value, truth[name], strict=True):
            assert abs(one - other).max() < 1e-10 * abs(other).max(), name


@pytest.mark.parametrize("kind", ["d", "D"])
def test_right_hand_sides_that_do_not_tell_of_the_condition(kind):
    """Hilbert's matrix and a vector of ones: the solution is not large, and so neither is the residual."""
    for n in (9, 10, 12):
        A = 1 / (np.arange(n)[:, None] + np.arange(n) + 1.0)
        A = A.astype(kind) * (1 + 1j if kind == "D" else 1)
        B = np.ones((n, 1))
        with mpmath.workdps(60):
            exact = np.array(mpmath.lu_solve(mpmath.matrix(A.tolist()), mpmath.matrix(B.tolist())).tolist(), dtype=kind)
        grad = -np.conj(exact @ exact.T)
        ways = {
            "vector": overbar.solve(A, B[:, 0])[:, None],
            "matrix": overbar.solve(A, B),
            "left": overbar.solve(A.T, B.T, left=False).T,
            "batch": overbar.solve(np.stack([np.eye(n), A]), B)[1],
            "right-hand sides": overbar.solve(A, np.stack([B, 2 * B]))[1] / 2,
        }
        for name, found in ways.items():
            assert error(found, exact) < 1e-8, (n, name)
        found = overbar.vjp(overbar.solve, A, B.astype(kind))[1](np.ones((n, 1), kind))[0]
        assert error(found, grad) < 1e-7, n


@pytest.mark.filterwarnings("error")
def test_of_what_needs_no_correction_nothing_is_said():
    """Of zeros, of scales, also where their product is beyond the range, and of what is no number anyway."""
    A = np.diag([1, 1e-12])
    with np.errstate(all="raise"):
        for M in (A, A + 0j):
            assert not overbar.solve(M, np.zeros((2, 3))).any()
        found = overbar.solve(np.stack([A, A]), np.stack([np.zeros((2, 1)), np.ones((2, 1))]))
        np.testing.assert_allclose(found[..., 0], [[0, 0], [1, 1e12]], rtol=1e-15)
        along = overbar.jvp(lambda c: overbar.solve(A, c * np.ones(2)), (0.0,), (1.0,))[1]
        np.testing.assert_allclose(along, [1, 1e12])
        for d in ([1e200, 1e-200], [1e300, 1e-300], [1e300, 0.1], [1e-310, 1e-310]):
            np.testing.assert_allclose(overbar.solve(np.diag(d), np.array(d)), [1, 1])
        assert np.isnan(overbar.solve(A, np.array([np.nan, 1]))).all()


def test_a_system_that_is_singular_to_rounding_stays_as_it_is_with_a_warning():
    A = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]) / 10
    with pytest.warns(scipy.linalg.LinAlgWarning, match=r"solve: argument A is ill-conditioned"):
        np.testing.assert_array_equal(overbar.solve(A, np.eye(3)), np.linalg.solve(A, np.eye(3)))
    with pytest.warns(
        scipy.linalg.LinAlgWarning, match=r"inv: argument A \(matrix 1 of the batch\) is ill-conditioned"
    ):
        overbar.inv(np.stack([np.eye(3), A]))


def test_scaling_by_a_diagonal_costs_nothing():
    n = 5
    B = orthogonal(n) * [1, 2, 3, 4, 5]
    B = B @ B.T
    d = np.logspace(0, -6, n)
    A = d[:, None] * B * d
    with mpmath.workdps(50):
        truth = np.array((mpmath.matrix(A.tolist()) ** -1).tolist(), dtype=float)
    np.testing.assert_allclose(overbar.vjp(overbar.logdet, A)[1](1.0)[0], truth, rtol=1e-13)


# ---------------------------------------------------------------------------------------------------------------------
# One triangle


def test_cholesky_inverse_reads_one_triangle_in_every_derivative():
    L, V = torch.tensor([[2.0, 0], [1, 3]]).double(), torch.tensor([[0.0, 0], [1, 0]]).double()
    expected = torch.tensor([[1, -1], [-1, 0]]).double() / 18
    for noise in (0.0, 9.0):
        X = L + torch.tensor([[0, noise], [0, 0]]).double()
        torch.testing.assert_close(torch.func.jvp(torch_ops.cholesky_inverse, (X,), (V,))[1], expected)
        bar = torch.func.grad(lambda X: torch_ops.cholesky_inverse(X)[0, 0])(X)
        assert bar[0, 1] == 0
        assert bar[1, 0] == pytest.approx(1 / 18)


# ---------------------------------------------------------------------------------------------------------------------
# Errors

SINGULAR = np.stack([np.eye(2), [[1.0, 2], [2, 4]]])


@pytest.mark.parametrize("name", ["inv", "solve"])
def test_the_singular_matrix_of_a_batch_is_named(name):
    args = [SINGULAR] if name == "inv" else [SINGULAR, np.ones((2, 2, 1))]
    with pytest.raises(np.linalg.LinAlgError, match="matrix 1 of the batch"):
        getattr(overbar, name)(*args)
    with pytest.raises(torch.linalg.LinAlgError, match=r"Batch element 1|matrix 1 of the batch"):
        getattr(torch_ops, name)(*map(torch.tensor, args))
    with pytest.raises(tf.errors.InvalidArgumentError, match="matrix 1 of the batch"):
        getattr(tf_ops, name)(*map(tf.constant, args))
    with pytest.raises(tf.errors.InvalidArgumentError, match="singular"):
        tf.function(getattr(tf_ops, name))(*map(tf.constant, args))


@pytest.mark.parametrize("name", ["logdet", "slogdet"])
def test_a_singular_matrix_has_a_logarithm_but_no_gradient(name):
    A = SINGULAR[1]
    last = lambda out: out[-1] if isinstance(out, tuple) else out  # noqa: E731
    value, pullback = overbar.vjp(lambda A: last(getattr(overbar, name)(A)), A)
    assert value == -np.inf
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        pullback(1.0)
    x = torch.tensor(A, requires_grad=True)
    value = last(getattr(torch_ops, name)(x))
    assert value == -torch.inf
    assert torch.autograd.grad(value, x)[0].isnan().all()
    y = tf.constant(A)
    with tf.GradientTape() as tape:
        tape.watch(y)
        value = last(getattr(tf_ops, name)(y))
    assert value == -np.inf
    with pytest.raises(tf.errors.InvalidArgumentError, match="singular"):
        tape.gradient(value, y)


def test_the_logarithm_of_a_negative_determinant_is_nan_and_so_is_its_gradient():
    A = np.array([[0.0, 1], [1, 3]])
    value, pullback = overbar.vjp(overbar.logdet, A)
    assert np.isnan(value)
    assert np.isnan(pullback(1.0)[0]).all()
    x = torch.tensor(A, requires_grad=True)
    assert torch.autograd.grad(torch_ops.logdet(x), x)[0].isnan().all()


def test_solve_takes_a_batch_of_vectors_as_torch_does():
    A, b = torch.randn(3, 2, 2, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)
    expected = torch.linalg.solve(A, b)
    torch.testing.assert_close(torch_ops.solve(A, b), expected)
    torch.testing.assert_close(torch_ops.solve(A.clone().requires_grad_(), b).detach(), expected)
    assert torch.func.jvp(lambda b: torch_ops.solve(A, b), (b,), (b,))[1].shape == (3, 2)


@pytest.mark.parametrize("condition", [10, 1e3, 1e5, 1e12])
@pytest.mark.parametrize("scale", [1e-120, 1.0, 1e120])
@pytest.mark.parametrize("xp", [np, torch], ids=["NumPy", "PyTorch"])
def test_the_derivative_of_the_adjugate_by_the_inverse_is_that_by_blocks(xp, scale, condition):
    n = 4  # of which the result is in the range of numbers
    A = scale * (orthogonal(n) * np.geomspace(1, 1 / condition, n)) @ orthogonal(n)
    A_dot = RNG.standard_normal((n, n)) * scale**-0.5
    if xp is torch:
        A, A_dot = torch.tensor(A), torch.tensor(A_dot)
    found, expected = (f(A, A_dot) for f in (_adjugate._derivative, _adjugate._derivative_by_blocks))
    assert abs(found - expected).max() <= 1e-11 * abs(expected).max()


def test_the_derivative_of_the_adjugate_of_a_well_conditioned_matrix_takes_no_blocks(monkeypatch):
    monkeypatch.setattr(_adjugate, "_derivative_by_blocks", None)
    A, E = orthogonal(5) + 2 * np.eye(5), RNG.standard_normal((5, 5))
    step = 1e-5
    difference = (overbar.adjugate(A + step * E) - overbar.adjugate(A - step * E)) / (2 * step)
    np.testing.assert_allclose(overbar.jvp(overbar.adjugate, (A,), (E,))[1], difference, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("function", ["solve", "inv"])
def test_an_infinite_entry_is_not_called_singular(function):
    A = np.eye(3)
    A[2, 1] = np.inf
    others = (np.ones(3),) if function == "solve" else ()
    with pytest.raises(
        np.linalg.LinAlgError, match=rf"^{function}: argument A is not finite: its entry \(2, 1\) is inf"
    ):
        getattr(overbar, function)(A, *others)
    with pytest.raises(np.linalg.LinAlgError, match="is singular"):
        getattr(overbar, function)(np.zeros((3, 3)), *others)


@pytest.mark.parametrize("kind", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("n", [1, 2, 5, 100])
@pytest.mark.parametrize("batch", [False, True])
def test_one_nan_makes_all_of_an_inverse_nan(n, batch, kind):
    """OpenBLAS leaves out products with zeros: of a NaN at (0, 0), only the first row of the inverse was NaN."""
    regular = (RNG.standard_normal((n, n)) + 2 * n * np.eye(n)).astype(kind)
    B = RNG.standard_normal((n, 2)).astype(kind)
    for place in {(0, 0), (n - 1, 0), (0, n - 1), (n - 1, n - 1)}:
        A = regular.copy()
        A[place] = np.nan
        A = np.stack([regular, A]) if batch else A
        for f in (
            overbar.inv,
            lambda A: overbar.solve(A, B),
            lambda A: overbar.solve(A, B, adjoint=True),
            lambda A: overbar.solve(A, B.T, left=False),
            lambda A: overbar.inv_congruence(A, B),
        ):
            C, pullback = overbar.vjp(f, A)
            C = C[-1] if isinstance(C, tuple) else C
            assert np.isnan(C[1] if batch else C).all()
            (bar,) = pullback(np.ones_like(C))
            assert np.isnan(bar[1] if batch else bar).all()
            if batch:
                assert np.isfinite(C[0]).all()
                assert np.isfinite(bar[0]).all()
