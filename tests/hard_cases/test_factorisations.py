"""Factorisations where a derivative is easily wrong: singular matrices, complete bases, repeated eigenvalues, blocks of
pivots, extreme scales. In NumPy, PyTorch and TensorFlow. May import `overbar`, `torch_ops` and `tf_ops`."""

import numpy as np
import pytest
import scipy.linalg

import overbar
from overbar.kernels import _schur_forms as schur_forms
from overbar.kernels._schur import triangular_commutator
from overbar.rules._schur import schur_rotation
from overbar.verify import Case, Draw, adjoint_error, difference_error, exact_error
from tests.compare import close
from tests.frameworks import tf, tf_ops, torch, torch_ops, twice

FRONTS = ["NumPy", "PyTorch", "TensorFlow"]
fronts = pytest.mark.parametrize("front", FRONTS)
doubles = pytest.mark.parametrize("dtype", [np.float64, np.complex128], ids=lambda dtype: dtype.__name__)


def arrays(front, *values):
    make = {"NumPy": np.asarray, "PyTorch": torch.tensor, "TensorFlow": tf.constant}[front]
    return [make(v) for v in values]


def gradient(front, f, *values):
    """The gradients of a real function of arrays, as NumPy arrays in the convention of dz = Re Σ conj(Ā) dA."""
    if front == "NumPy":
        z, pullback = overbar.vjp(f, *values)
        return pullback(np.ones_like(z))
    if front == "PyTorch":
        x = [torch.tensor(v, requires_grad=True) for v in values]
        return [g.resolve_conj().numpy() for g in torch.autograd.grad(f(*x), x)]
    x = [tf.constant(v) for v in values]
    with tf.GradientTape() as tape:
        tape.watch(x)
        z = f(*x)
    return [g.numpy() for g in tape.gradient(z, x)]


def hessian_product(front, f, A, V):
    """The derivative of the gradient of f at A along V."""
    if front == "PyTorch":
        x = torch.tensor(A, requires_grad=True)
        (g,) = torch.autograd.grad(f(x), x, create_graph=True)
        return torch.autograd.grad((g * torch.tensor(V)).sum(), x)[0].numpy()
    return twice(f, tf.constant(A), V).numpy()


def weighted(front, seed, *shapes):
    """A real function of outputs that depends on every entry of them."""
    rng = np.random.default_rng(seed)
    weights = [rng.standard_normal(shape) for shape in shapes]

    def loss(*outputs):
        return sum(overbar.sum(out * w) for out, w in zip(outputs, arrays(front, *weights), strict=True))

    return loss


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


# -- solving with the factors of lu


@doubles
@pytest.mark.parametrize("n", [1, 2, 7, 33])
@fronts
@pytest.mark.parametrize("solver", ["ours", "the front's", "a user's"])
def test_a_system_solved_with_the_factors_has_the_derivative_of_the_system(solver, front, n, dtype):
    A, B, W = Draw(4, dtype).square(n), Draw(5, dtype).normal(n, 2), normal(n, 2, seed=6)

    def solve(A):
        (b,) = arrays(front, B)
        if solver == "a user's":
            P, L, U = overbar.lu(A)
            half = overbar.solve_triangular(L, overbar.matmul(overbar.matrix_transpose(P), b), upper=False)
            return overbar.solve_triangular(U, half, upper=True)
        if solver == "ours" or front == "NumPy":
            return overbar.lu_solve(*overbar.lu_factor(A), b)
        return (
            torch_ops.lu_solve(*torch_ops.lu_factor(A), b) if front == "PyTorch" else tf_ops.lu_solve(*tf_ops.lu(A), b)
        )

    def loss(A):
        X = solve(A)
        (w,) = arrays(front, W.astype(dtype))
        product = overbar.sum(X * w)
        return product.real if front != "TensorFlow" else tf.math.real(product)

    if front == "NumPy":  # a real part has no primitive
        X, pullback = overbar.vjp(solve, A)
        (A_bar,) = pullback(W.astype(dtype))
    else:
        (A_bar,) = gradient(front, loss, A)
    inverse = np.linalg.inv(A)
    close(A_bar, -(inverse.conj().T @ W) @ (inverse @ B).conj().T, 1e-11)
    if front != "NumPy" and dtype is np.float64:
        V = normal(n, n, seed=7)
        X, adjoint = inverse @ B, inverse.T @ W
        expected = inverse.T @ V.T @ adjoint @ X.T + adjoint @ (inverse @ V @ X).T
        close(hessian_product(front, loss, A, V), expected, 1e-11)


@doubles
@pytest.mark.parametrize("n", [0, 1, 2, 7, 33])
def test_factors_solve_every_equation(n, dtype):
    """With the factors of one matrix and of a batch, on both sides, for vectors, and many right-hand sides of one."""
    A, B, C = Draw(4, dtype, (3,)).square(n), Draw(5, dtype, (3,)).normal(n, 2), Draw(6, dtype, (3,)).normal(2, n)
    for a, b, c in ((A, B, C), (A[0], B, C), (A, B[0], C[0]), (A[:, None], B, C)):
        factors = overbar.lu_factor(a)
        inverse = np.linalg.inv(a)
        close(overbar.lu_solve(*factors, b), inverse @ b, 1e-11)
        close(overbar.lu_solve(*factors, b, adjoint=True), inverse.conj().mT @ b, 1e-11)
        close(overbar.lu_solve(*factors, c, left=False), c @ inverse, 1e-11)
        close(overbar.lu_solve(*factors, c, left=False, adjoint=True), c @ inverse.conj().mT, 1e-11)
    close(overbar.lu_solve(*overbar.lu_factor(A[0]), B[0, :, 0]), np.linalg.inv(A[0]) @ B[0, :, 0], 1e-11)
    if dtype is np.float64 and n:
        case = Case((overbar.lu_factor(A[0])[0], overbar.lu_factor(A[0])[1].astype(float), B[0]))
        assert exact_error(overbar.lu_solve, case) < 1e-13 * np.linalg.cond(A[0])


@fronts
def test_factors_that_cannot_be_solved_with(front):
    """SciPy counts pivots from 0: its last one tells."""
    A = Draw(4).square(3)
    LU, pivots = overbar.lu_factor(A)
    solve = lambda LU, pivots: np.asarray(overbar.lu_solve(*arrays(front, LU, pivots, np.ones(3))))  # noqa: E731
    for wrong in (pivots - 1, pivots + 1, pivots - 3):
        with pytest.raises((ValueError, tf.errors.OpError, RuntimeError), match=r"count from 1.*Add 1 to SciPy's"):
            solve(LU, wrong)
    singular = np.diag([1.0, 0.0, 1.0]), np.array([1, 2, 3], np.int32)
    if front == "NumPy":
        with pytest.raises(np.linalg.LinAlgError, match=r"Its diagonal is zero at \(1, 1\)"):
            solve(*singular)
    else:
        assert not np.isfinite(solve(*singular)).all()
    assert np.isnan(solve(np.full((3, 3), np.nan), pivots)).all()


def test_half_precision_holds_no_pivots():
    """Above 256, bfloat16 rounds them; the equation would be another one."""
    n = 300
    LU, pivots, b = np.eye(n), np.arange(1, n + 1, dtype=np.int32), np.ones((n, 1))
    LU, b = torch.tensor(LU, dtype=torch.bfloat16), torch.tensor(b, dtype=torch.bfloat16)
    for solve in (torch_ops.lu_solve, overbar.lu_solve):
        with pytest.raises((TypeError, RuntimeError), match=r"argument pivots holds integers, which .*bfloat16"):
            solve(LU, torch.tensor(pivots), b)
    LU, b = (tf.cast(x.float().numpy(), tf.bfloat16) for x in (LU, b))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"argument pivots holds integers, which .*bfloat16"):
        overbar.lu_solve(LU, tf.constant(pivots), b)
    np.testing.assert_array_equal(tf.cast(tf_ops.lu_solve(LU, tf.range(n), b), tf.float32), np.ones((n, 1)))


# -- against 50 digits, in NumPy


@doubles
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (7, 3), (3, 7), (1, 5), (5, 1), (17, 9)], ids=str)
def test_qr_and_lu_of_any_shape(shape, dtype):
    A = Draw(3, dtype).normal(*shape)
    condition = np.linalg.cond(A[:, : min(shape)])
    assert exact_error(overbar.qr, Case((A,))) < 1e-13 * condition
    assert exact_error(overbar.lu, Case((A,))) < 1e-13 * condition
    assert exact_error(overbar.lu_factor, Case((A,))) < 1e-13 * condition


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e150], ids=str)
def test_extreme_scales(scale):
    A = Draw(4).square(4) * scale
    for primitive in (overbar.qr, overbar.lu, overbar.schur):
        options = {"output": "complex"} if primitive is overbar.schur else {}
        _, pullback = overbar.vjp(lambda A, p=primitive, o=options: p(A, **o)[-1], A)
        _, expected = overbar.vjp(lambda A, p=primitive, o=options: p(A, **o)[-1], A / scale)
        weights = np.ones((4, 4), complex if primitive is overbar.schur else float)
        factor = 1 if primitive in (overbar.qr, overbar.lu) else scale  # R and U grow with A, Z does not
        close(pullback(weights)[0] * factor, expected(weights)[0], 1e-12)
    H = A + A.T
    _, pullback = overbar.vjp(lambda H: overbar.ldl(H)[0], H)
    _, expected = overbar.vjp(lambda H: overbar.ldl(H)[0], H / scale)
    close(pullback(np.triu(np.ones((4, 4))))[0] * scale, expected(np.triu(np.ones((4, 4))))[0], 1e-12)


# -- QR with a complete basis ------------------------------------------------------------------------------------------


@fronts
@pytest.mark.parametrize("shape", [(2, 1), (3, 2), (7, 3), (33, 7)], ids=str)
def test_a_complete_basis_has_the_derivative_of_what_it_determines(front, shape):
    """Σ W ∘ Q₂ Q₂ᵀ = Σ W ∘ (I − Q₁ Q₁ᵀ), whose derivative is known from the reduced decomposition."""
    m, n = shape
    A, (W,) = normal(m, n), arrays(front, normal(m, m, seed=1))

    def complete(A):
        Q2 = overbar.qr(A, mode="complete")[0][..., :, n:]
        return overbar.sum(W * (Q2 @ overbar.matrix_transpose(Q2)))

    def reduced(A):
        Q1 = overbar.qr(A)[0]
        return -overbar.sum(W * (Q1 @ overbar.matrix_transpose(Q1)))

    close(gradient(front, complete, A)[0], gradient(front, reduced, A)[0], 1e-12)
    if front != "NumPy":
        V = normal(m, n, seed=2)
        close(hessian_product(front, complete, A, V), hessian_product(front, reduced, A, V), 1e-11)


@fronts
def test_a_complete_decomposition_has_the_r_of_the_reduced_one(front):
    A = normal(5, 3)
    loss = weighted(front, 1, (3, 3))
    found = gradient(front, lambda A: loss(overbar.qr(A, mode="complete")[1][..., :3, :]), A)
    close(found[0], gradient(front, lambda A: loss(overbar.qr(A)[1]), A)[0], 1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
@pytest.mark.parametrize("place", [(0, 0), (2, 0), (3, 3)])
def test_lu_of_a_nan_has_no_number(place, dtype):
    """LAPACK's pivot is the NaN itself, and OpenBLAS divides nothing by it: what is left is finite, and wrong."""
    A = np.random.default_rng(0).normal(size=(2, 4, 4)).astype(dtype)
    fine = overbar.lu_factor(A[1])[0]
    A[0][place] = np.nan
    LU, _ = overbar.lu_factor(A)
    assert np.isnan(LU[0]).all()
    np.testing.assert_array_equal(LU[1], fine)
    _, L, U = overbar.lu(A[0])
    assert np.isnan(L[1:, 0]).all()
    assert np.isnan(np.diagonal(U)).all()


def test_qr_refuses_an_unknown_mode():
    with pytest.raises(ValueError, match=r"mode 'r' .*reduced"):
        overbar.qr(np.eye(2), mode="r")


def test_qr_of_dependent_columns_has_no_derivative_in_numpy():
    _, pullback = overbar.vjp(lambda A: overbar.qr(A)[0], np.diag([1.0, 0.0]))
    with pytest.raises(np.linalg.LinAlgError, match="argument A has columns that depend on each other"):
        pullback(np.ones((2, 2)))
    batch = np.stack([np.eye(2), [[0, 0], [1, 1]]])
    with pytest.raises(np.linalg.LinAlgError, match=r"argument A \(matrix 1 of the batch\) has columns that depend"):
        overbar.jvp(overbar.qr, (batch,), (batch,))


# -- LU where the last pivot vanishes ----------------------------------------------------------------------------------

SINGULAR = {
    "zero": np.zeros((1, 1)),
    "diagonal": np.diag([3.0, 2.0, 0.0]),
    "rank 1": np.array([[2.0, 4.0], [1.0, 2.0]]),
    "wide": np.array([[4.0, 2.0, 1.0], [2.0, 1.0, 3.0]]),
}


@fronts
@pytest.mark.parametrize("name", SINGULAR)
def test_lu_is_differentiable_where_only_the_last_pivot_vanishes(front, name):
    A = SINGULAR[name]
    k = min(A.shape)
    assert exact_error(overbar.lu, Case((A,))) < 1e-14
    loss = weighted(front, 1, (A.shape[0], k), (k, A.shape[1]))
    found = gradient(front, lambda A: loss(*overbar.lu(A)[1:]), A)[0]
    expected = gradient(
        "NumPy", lambda A: weighted("NumPy", 1, (A.shape[0], k), (k, A.shape[1]))(*overbar.lu(A)[1:]), A
    )
    close(found, expected[0], 1e-14)
    if front != "NumPy":
        V, h = normal(*A.shape, seed=3), 1e-3
        # U is linear in the last row, and L rational: a fourth-order difference
        ends = [gradient(front, lambda A: loss(*overbar.lu(A)[1:]), A + s * h * V)[0] for s in (1, -1, 2, -2)]
        difference = (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * h)
        close(hessian_product(front, lambda A: loss(*overbar.lu(A)[1:]), A, V), difference, 1e-8)


def test_lu_of_a_matrix_of_lower_rank_has_no_derivative():
    _, pullback = overbar.vjp(lambda A: overbar.lu(A)[1], np.zeros((2, 2)))
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        pullback(np.ones((2, 2)))


@fronts
def test_a_batch_of_regular_and_singular_matrices(front):
    A = np.stack([np.diag([3.0, 2.0, 0.0]), Draw(1).square(3)])
    loss = weighted(front, 1, (2, 3, 3), (2, 3, 3))
    found = gradient(front, lambda A: loss(*overbar.lu(A)[1:]), A)[0]
    for i in range(2):
        one = gradient("NumPy", lambda A, i=i: _one_of(i)(*overbar.lu(A)[1:]), A[i])[0]
        close(found[i], one, 1e-13)


def _one_of(i):
    rng = np.random.default_rng(1)
    W = [rng.standard_normal((2, 3, 3))[i] for _ in range(2)]
    return lambda L, U: overbar.sum(L * W[0]) + overbar.sum(U * W[1])


# -- LDL ---------------------------------------------------------------------------------------------------------------


@doubles
@pytest.mark.parametrize("n", [1, 2, 3, 5, 12])
@pytest.mark.parametrize("lower", [True, False], ids=["lower", "upper"])
def test_ldl_of_indefinite_matrices(n, lower, dtype):
    A = Draw(n, dtype).hermitian(n)
    A[range(n), range(n)] /= 8  # so that most pivots are blocks of two
    assert exact_error(overbar.ldl, Case((A,), {"lower": lower})) < 1e-13 * np.linalg.cond(A) ** 2


@fronts
@pytest.mark.parametrize(
    "A", [np.zeros((1, 1)), np.array([[2.0, 4], [4, 8]]), np.diag([3.0, 2, 0])], ids=["1", "2", "3"]
)
def test_ldl_is_differentiable_where_only_the_last_pivot_vanishes(front, A):
    n = len(A)
    loss = weighted(front, 1, (n, n), (n, n))
    found = gradient(front, lambda A: loss(*overbar.ldl(A)[:2]), A)[0]
    assert exact_error(overbar.ldl, Case((A,))) < 1e-13
    close(found, gradient("NumPy", lambda A: weighted("NumPy", 1, (n, n), (n, n))(*overbar.ldl(A)[:2]), A)[0], 1e-13)


@pytest.mark.parametrize("front", FRONTS[1:])
@pytest.mark.parametrize("lower", [True, False], ids=["lower", "upper"])
def test_second_derivative_of_ldl(front, lower):
    A = Draw(7).hermitian(7)
    A[range(7), range(7)] /= 8
    V = Draw(8).hermitian(7)
    f = lambda A: weighted(front, 1, (7, 7), (7, 7))(*overbar.ldl(A, lower=lower)[:2])  # noqa: E731
    h = 1e-4
    ends = [gradient(front, f, A + s * h * V)[0] for s in (1, -1, 2, -2)]
    close(hessian_product(front, f, A, V), (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * h), 1e-6)


KINDS = {"real": (np.float64, False), "Hermitian": (np.complex128, True), "complex symmetric": (np.complex128, False)}
kinds = pytest.mark.parametrize("kind", KINDS)


def of_kind(kind, n, seed=0):
    """A matrix most of whose pivots are blocks of two, and its options."""
    dtype, hermitian = KINDS[kind]
    A = Draw(seed, dtype).normal(n, n)
    A = A + (A.conj().T if hermitian or dtype == np.float64 else A.T)
    A[range(n), range(n)] /= 8
    return A, {"hermitian": hermitian}


@kinds
@pytest.mark.parametrize("n", [1, 2, 5, 12, 70])
def test_compact_ldl_of_indefinite_matrices(kind, n):
    """In NumPy by LAPACK as in PyTorch, larger than LAPACK's blocks too, and solved with."""
    A, options = of_kind(kind, n, seed=n)
    b = Draw(n + 1, A.dtype).normal(n, 3)
    LD, pivots = overbar.ldl_factor(A, **options)
    theirs = torch.linalg.ldl_factor(torch.tensor(A), **options)
    np.testing.assert_allclose(LD, theirs.LD, atol=1e-12 * abs(A).max() * n)
    np.testing.assert_array_equal(pivots, theirs.pivots)
    assert n < 5 or (pivots < 0).any()
    for X in (
        overbar.ldl_solve(LD, pivots, b, **options),
        torch_ops.ldl_solve(*theirs, torch.tensor(b, requires_grad=True), **options).detach().numpy(),
    ):
        close(A @ X, b, 1e-13 * np.linalg.cond(A) * n)
    E = Draw(n + 2, A.dtype).normal(n, n)
    E = E + (E.conj().T if options["hermitian"] else E.T)
    f = lambda A: overbar.ldl_factor(A, **options)[0]  # noqa: E731
    _, LD_dot = overbar.jvp(f, (A,), (E,))
    h = 1e-4 / n
    ends = [f(A + s * h * E) for s in (1, -1, 2, -2)]
    close(LD_dot, (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * h), 1e-7)
    W = Draw(n + 3, A.dtype).normal(n, n)
    bar = overbar.vjp(f, A)[1](W)[0]
    close(np.vdot(W, LD_dot).real, np.vdot(bar, E).real, 1e-11 * abs(bar).max() * n)
    close(bar, bar.conj().T if options["hermitian"] else bar.T, 1e-14)


@kinds
def test_systems_by_compact_ldl_are_those_of_solve(kind):
    """Gradients and second derivatives of A⁻¹ b by way of the factors, whose pivots the result does not depend on."""
    A, options = of_kind(kind, 6, seed=3)
    b, W = Draw(4, A.dtype).normal(6, 2), torch.tensor(Draw(5, A.dtype).normal(6, 2))
    turned = (lambda X: X.mH) if options["hermitian"] else (lambda X: X.mT)

    def derivatives(solution):
        x = [torch.tensor(v, requires_grad=True) for v in (A, b)]
        first = torch.autograd.grad(
            (W.conj() * solution((x[0] + turned(x[0])) / 2, x[1])).real.sum(), x, create_graph=True
        )
        return [*first, *torch.autograd.grad(sum((g * g.conj()).real.sum() for g in first), x)]

    def by_factors(A, b):
        return torch_ops.ldl_solve(*torch_ops.ldl_factor(A, **options), b, **options)

    for found, expected in zip(derivatives(by_factors), derivatives(torch.linalg.solve), strict=True):
        close(found.detach().resolve_conj().numpy(), expected.detach().resolve_conj().numpy(), 1e-10)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@kinds
def test_systems_by_compact_ldl_in_tensorflow(kind, graph):
    A, options = of_kind(kind, 6, seed=3)
    b = Draw(4, A.dtype).normal(6, 2)

    def run(A, b):
        with tf.GradientTape() as tape:
            tape.watch([A, b])
            z = tf.reduce_sum(tf.math.real(tf_ops.ldl_solve(*tf_ops.ldl_factor(A, **options), b, **options)))
        return tape.gradient(z, [A, b])

    found = (tf.function(run) if graph else run)(tf.constant(A), tf.constant(b))
    f = lambda A, b: overbar.ldl_solve(*overbar.ldl_factor(A, **options), b, **options)  # noqa: E731
    for a, e in zip(found, overbar.vjp(f, A, b)[1](np.ones_like(b)), strict=True):
        close(a, e, 1e-11)


@pytest.mark.parametrize("pivots", [[0, 2, 3], [1, 2, 4], [2, 1, 3], [-2, 2, -5], [1, 2, -3]], ids=str)
def test_pivots_of_no_factorisation(pivots):
    with pytest.raises(np.linalg.LinAlgError, match=r"which belongs to no factorisation\. Take those that ldl_factor"):
        overbar.ldl_solve(np.eye(3), np.array(pivots), np.ones(3))


def test_compact_ldl_of_singular_matrices():
    """The factors of a batch, and what PyTorch reports, which derivatives do not change. (Its ldl_factor calls it an
    error.) With the last pivot alone zero, there are derivatives."""
    A = torch.tensor(
        [[[2.0, 4.0], [4.0, 8.0]], [[0.0, 0.0], [0.0, 1.0]], [[2.0, 1.0], [1.0, 3.0]]], dtype=torch.float64
    )
    expected = torch.linalg.ldl_factor_ex(A)
    found = torch_ops.linalg.ldl_factor_ex(A.requires_grad_())
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)
    assert found.info.tolist() == [2, 1, 0]
    (bar,) = torch.autograd.grad(found.LD.sum(), A)
    assert bar[[0, 2]].isfinite().all()
    assert not bar[1].isfinite().all()
    for x in (A, A.detach()):
        with pytest.raises(RuntimeError):
            torch_ops.ldl_factor(x)
        with pytest.raises(RuntimeError):
            torch_ops.linalg.ldl_factor_ex(x, check_errors=True)


# -- Schur -------------------------------------------------------------------------------------------------------------


@fronts
@pytest.mark.parametrize("output", ["real", "complex"])
@pytest.mark.parametrize("n", [1, 2, 3, 7, 33])
def test_schur_gives_the_derivative_of_the_matrix_back(front, output, n):
    """Σ W ∘ Re (Z T Zᴴ) is Σ W ∘ A, and Σ |Tᵢⱼ|² is Σ A²: through every convention for signs, phases and angles."""
    A, (W,) = normal(n, n, seed=n), arrays(front, normal(n, n, seed=1))
    if front == "NumPy" and output == "complex":
        # Z̄ and T̄ of the same function, by hand: overbar.vjp has no conj
        T, Z = overbar.schur(A, output=output)
        bars = W @ Z @ np.conj(T.T), W.T @ Z @ T
        _, pullback = overbar.vjp(lambda A: overbar.schur(A, output=output), A)
        close(pullback((np.conj(Z.T) @ W @ Z, bars[0] + bars[1]))[0], W, 1e-11)
        return

    def composed(A):
        T, Z = overbar.schur(A, output=output)
        again = Z @ T @ overbar.mH(Z)
        return overbar.sum(W * again) if output == "real" else overbar.sum(_real(front, W, again))

    close(gradient(front, composed, A)[0], np.asarray(W), 1e-11)


def _real(front, W, X):
    """W ∘ Re X."""
    if front == "TensorFlow":
        return W * tf.math.real(X)
    return W * X if front == "NumPy" else W * X.real


@doubles
@pytest.mark.parametrize("n", [1, 2, 3])
def test_schur_against_50_digits(n, dtype):
    A = (
        np.diag([9.0, -4, 1, 3, -7][:n])
        + np.tril(np.ones((n, n)), -1) * np.eye(n, k=-1)
        + Draw(n, dtype).normal(n, n) / 4
    )
    assert exact_error(overbar.schur, Case((A.astype(dtype),), {"output": "complex"})) < 1e-12


@fronts
@pytest.mark.parametrize(
    ("A", "output", "message"),
    [
        (np.eye(3), "real", "repeated eigenvalues"),
        (np.array([[2.0, 1, 0], [0, 2, 1], [0, 0, 2]]), "complex", "repeated eigenvalues"),
        (np.array([[1.0, 2], [-2, 1]]), "real", "rotation"),
    ],
    ids=["identity", "Jordan block", "rotation"],
)
def test_schur_says_where_there_is_no_derivative(front, A, output, message):
    with pytest.raises((ValueError, RuntimeError, tf.errors.OpError), match=message):
        gradient(front, lambda A: overbar.sum(_real(front, 1.0, overbar.schur(A, output=output)[0])), A)


@doubles
@pytest.mark.parametrize("adjoint", [False, True], ids=["plain", "adjoint"])
def test_the_equations_of_schur_read_what_is_below_only(dtype, adjoint):
    """Its rules, by which second derivatives go, get cotangents with entries everywhere."""
    T, _ = overbar.schur(Draw(5, dtype).normal(6, 6))
    case = Case((T, Draw(6, dtype).normal(6, 6)), {"adjoint": adjoint})
    assert adjoint_error(schur_rotation, case) < 1e-12
    if dtype is np.complex128:  # a real T that moves below its diagonal has other blocks
        assert difference_error(schur_rotation, case) < 1e-6


@pytest.mark.parametrize("front", FRONTS[1:])
@pytest.mark.parametrize("A", [np.array([[4.0, 3, 1], [-2, 4, 1], [0, 1, -1]]), normal(7, 7, seed=5)], ids=["3", "7"])
def test_second_derivative_of_schur(front, A):
    n = len(A)
    V, h = normal(n, n, seed=4), 1e-4
    f = lambda A: weighted(front, 1, (n, n), (n, n))(*overbar.schur(A))  # noqa: E731
    ends = [gradient(front, f, A + s * h * V)[0] for s in (1, -1, 2, -2)]
    close(hessian_product(front, f, A, V), (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * h), 1e-6)


# -- updates -----------------------------------------------------------------------------------------------------------


@fronts
@pytest.mark.parametrize("n", [1, 3, 64, 65, 150])
@pytest.mark.parametrize("sign", [1, -1], ids=["update", "downdate"])
def test_an_update_is_a_new_factorisation(front, n, sign):
    """By blocks where n > 64, and with the derivative that goes through the whole matrix."""
    L = np.tril(normal(n, n) / (3 * n**0.5), -1) + np.diag(np.random.default_rng(1).uniform(1, 2, n))
    V = normal(n, 3, seed=2) / (3 * n**0.5)
    changed = overbar.cholesky_update if sign > 0 else overbar.cholesky_downdate
    loss = weighted(front, 1, (n, n))

    def whole(L, V):
        L = overbar.tril(L)
        A = L @ overbar.matrix_transpose(L) + sign * (V @ overbar.matrix_transpose(V))
        return loss(overbar.cholesky(A))

    found = gradient(front, lambda L, V: loss(changed(L, V)), L, V)
    for a, b in zip(found, gradient(front, whole, L, V), strict=True):
        close(a, b, 1e-11)
    if front != "NumPy" and n == 65:
        direction = normal(n, n, seed=3)
        one = hessian_product(front, lambda L: loss(changed(L, arrays(front, V)[0])), L, direction)
        close(one, hessian_product(front, lambda L: whole(L, arrays(front, V)[0]), L, direction), 1e-10)


@fronts
@pytest.mark.parametrize("scale", [1.0, 1e160, 1e-170])
def test_an_update_squares_nothing(front, scale):
    """Half of the digits would be gone, or the factor, where a pivot is far below the others; and the range of numbers,
    at such scales."""
    L, V = scale * np.array([[1.0, 0.0], [1.0, 1e-9]]), scale * np.array([0.0, 1e-9])
    cases = (overbar.cholesky_update, 1.0, 2**0.5), (overbar.cholesky_downdate, 0.5, 0.75**0.5)
    for changed, part, pivot in cases:
        entry = lambda L, V, f=changed: f(L, V)[1, 1]  # noqa: E731
        close(np.asarray(entry(*arrays(front, L, part * V))) / scale, 1e-9 * pivot, 1e-15)
        L_bar, V_bar = gradient(front, entry, L, part * V)
        close(L_bar[1, 1], 1 / pivot, 1e-14)
        close(V_bar[1], (part if part == 1 else -part) / pivot, 1e-14)


@fronts
def test_an_update_of_a_factor_with_phases_and_of_a_singular_one(front):
    phases = np.exp(1j * np.arange(3))
    L, V = np.tril(normal(3, 3) + 1j * normal(3, 3, seed=1)) + 3 * np.diag(phases), normal(3, 2, seed=2) * (1 + 1j) / 6
    for changed, s in (overbar.cholesky_update, 1), (overbar.cholesky_downdate, -1):
        found = np.asarray(changed(*arrays(front, L, V)))
        close(found, np.linalg.cholesky(L @ L.conj().T + s * V @ V.conj().T), 1e-14)
    V = normal(3, 3, seed=2)
    close(np.asarray(overbar.cholesky_update(*arrays(front, np.zeros((3, 3)), V))), np.linalg.cholesky(V @ V.T), 1e-12)
    batch = arrays(front, np.stack([np.eye(2), np.zeros((2, 2))]), np.ones((2, 1)))
    kinds = (ValueError, RuntimeError, tf.errors.OpError)
    with pytest.raises(kinds, match=r"V Vᴴ \(matrix 1 of the batch\) is singular"):
        overbar.cholesky_update(*batch)


@fronts
@pytest.mark.parametrize("n", [2, 100])
def test_a_downdate_that_leaves_nothing_positive_names_the_matrix(front, n):
    L = np.stack([np.eye(n), np.eye(n)])
    V = np.zeros((2, n, 1))
    V[1, n // 2] = 1.5
    with pytest.raises((ValueError, RuntimeError, tf.errors.OpError), match=r"L Lᴴ − V Vᴴ \(matrix 1 of the batch\)"):
        overbar.cholesky_downdate(*arrays(front, L, V))


# -- what is not finite, and what is empty


@fronts
@pytest.mark.parametrize("name", ["qr", "lu", "lu_factor", "ldl", "ldl_factor", "schur"])
def test_nothing_hangs_on_what_is_not_finite(front, name):
    for value in (np.nan, np.inf):
        (A,) = arrays(front, np.array([[1.0, 2.0], [value, 4.0]]))
        try:
            out = getattr(overbar, name)(A)
        except (ValueError, RuntimeError, tf.errors.OpError):
            continue
        assert not all(np.isfinite(np.asarray(x)).all() for x in out)


@fronts
@pytest.mark.parametrize("shape", [(0, 0), (2, 0, 0), (0, 3, 3)], ids=str)
@pytest.mark.parametrize("name", ["qr", "lu", "lu_factor", "ldl", "ldl_factor", "schur"])
def test_sizes_of_zero(front, name, shape):
    p = getattr(overbar, name)
    A = np.zeros(shape)
    (bar,) = gradient(front, lambda A: sum(overbar.sum(x) for x in p(A) if "int" not in str(x.dtype)), A)
    assert bar.shape == shape


@doubles
@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("n", [1, 2, 5, 8, 18])
def test_the_equations_of_the_schur_form_are_solved_for_a_whole_batch(n, adjoint, dtype):
    """Whatever the blocks of its matrices are; from 16 rows on by LAPACK, one matrix after the other."""
    draw = Draw(1, dtype, (3, 5))
    (T, _), F = overbar.schur(draw.normal(n, n)), draw.normal(n, n)
    (X,) = triangular_commutator(T, F, adjoint=adjoint)
    S = T.conj().mT if adjoint else T
    rest = X @ S - S @ X - F
    outside = np.tril(np.ones((n, n), bool), -1) & np.ones(T.shape, bool)
    if dtype == np.float64:
        i = np.arange(n - 1)
        outside[..., i + 1, i] = T[..., i + 1, i] == 0
        assert n == 1 or 0 < (~outside[..., i + 1, i]).sum() < outside[..., i + 1, i].size  # blocks of both sizes
    assert abs(np.where(outside, rest, X)).max() <= 1e-12 * max(1, abs(X).max())


def test_a_batch_says_which_matrix_has_no_derivative_of_its_schur_form():
    A = np.stack([np.diag([1.0, 2, 3]), np.diag([1.0, 2, 2]), np.diag([3.0, 2, 1])])
    (T, Z), pullback = overbar.vjp(overbar.schur, A)
    with pytest.raises(np.linalg.LinAlgError, match=r"repeated eigenvalues.*Matrix 1 of the batch"):
        pullback((T, Z))


def test_workspaces_of_schur_forms_do_not_pile_up():
    for n in range(1, 80):
        overbar.schur(np.eye(n) + np.triu(np.ones((n, n))))
    info = schur_forms._gees.cache_info()
    assert info.currsize == info.maxsize < 79


@doubles
@pytest.mark.parametrize("n", [1, 2, 3, 4, 40])
def test_signs_of_the_hessenberg_form_are_those_of_scipy(n, dtype):
    """And what the docstring says of them."""
    A = Draw(n, dtype).normal(n, n)
    H, Q = overbar.hessenberg(A)
    T, Z = scipy.linalg.hessenberg(A, calc_q=True)
    if n == 2 and dtype == np.complex128:  # SciPy's is A
        phase = H[1, 0] / T[1, 0]
        T, Z = T * [[1, np.conj(phase)], [phase, 1]], Z * [1, np.conj(phase)]
    close(H, T, 1e-13)
    close(Q, Z, 1e-13)
    below = np.diagonal(H, -1)
    assert not below.imag.any()
    if n > 2:
        assert np.sign(below[0].real) == -np.sign(A[1, 0].real)
    elif n == 2:
        assert below[0] == A[1, 0] if dtype == np.float64 else np.sign(below[0].real) == -np.sign(A[1, 0].real)


@pytest.mark.parametrize("solve", [overbar.ldl_solve, overbar.lu_solve])
def test_pivots_that_are_no_integers(solve):
    factors = np.array([[4.0, 1.0], [0.25, 3.0]])
    same = solve(factors, np.array([1, 2]), np.ones(2))
    np.testing.assert_array_equal(solve(factors, np.array([1.0, 2.0]), np.ones(2)), same)
    for wrong in (2.3, np.nan, 1.5):
        with pytest.raises(np.linalg.LinAlgError, match=rf"{solve.name}: pivot 1 is {wrong}, and must be an integer"):
            solve(factors, np.array([1.0, wrong]), np.ones(2))
