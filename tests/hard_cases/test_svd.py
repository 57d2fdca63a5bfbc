"""Where the derivatives of singular values and of what is made from them are hard: equal and nearly equal singular
values, rank-deficient matrices, zero, extreme scales, sizes 0 and 1. Each in NumPy, PyTorch and TensorFlow, against
closed forms and 50 digits. May import `torch_ops` and `tf_ops`.
"""

import itertools
import warnings

import numpy as np
import pytest

import overbar
from overbar import matrix_transpose, namespace
from overbar.verify import Exact
from tests.compare import close
from tests.frameworks import tf, tf_ops, torch, torch_ops, twice

RNG = np.random.default_rng(5)


def constant(W, X):
    return namespace(X).constant(W, X) if isinstance(X, (torch.Tensor, tf.Tensor)) else W


def inner(W, X):
    """Σ W ∘ X for constants W."""
    return overbar.sum(overbar.multiply(constant(W, X), X))


def gradient(framework, loss, A):
    if framework == "numpy":
        return overbar.vjp(loss, A)[1](1.0)[0]
    if framework == "torch":
        return torch.func.grad(loss)(torch.tensor(A)).numpy()
    x = tf.constant(A)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(x)
    return tape.gradient(value, x).numpy()


def hessian_product(framework, loss, A, E):
    if framework == "torch":
        x = torch.tensor(A, requires_grad=True)
        (g,) = torch.autograd.grad(loss(x), x, create_graph=True)
        return torch.autograd.grad((g * torch.tensor(E)).sum(), x)[0].numpy()
    return twice(loss, tf.constant(A), E).numpy()


FRAMEWORKS = pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow"])
SECOND = pytest.mark.parametrize("framework", ["torch", "tensorflow"])


def orthogonal(m, n):
    return np.linalg.qr(RNG.standard_normal((m, n)))[0]


def made_of(m, n, sizes):
    """A matrix with these singular values, and the singular vectors it is made of."""
    k = min(m, n)
    Q1, Q2 = orthogonal(m, k), orthogonal(n, k)
    S = np.resize(np.asarray(sizes, float), k)
    return (Q1 * S) @ Q2.T, Q1, S, Q2


PATTERNS = {
    "1": (1, 1, [3.0]),
    "identity-2": (2, 2, [1.0]),
    "twice-orthogonal-3": (3, 3, [2.0]),
    "pairs-7": (7, 7, [3.0, 3.0, 2.0, 2.0, 2.0, 1.0, 0.5]),
    "orthogonal-33": (33, 33, [1.0]),
    "triples-33": (33, 33, [3.0, 3.0, 3.0, 2.0, 1.5, 1.0]),
    "tall-7-3": (7, 3, [2.0, 2.0, 1.0]),
    "wide-3-7": (3, 7, [2.0, 1.0, 1.0]),
    "gap-1e-8": (3, 3, [1.0, 1.0 + 1e-8, 2.0]),
    "gap-1e-12": (3, 3, [1.0, 1.0 + 1e-12, 2.0]),
    "gap-1e-14": (7, 7, [1.0, 1.0 + 1e-14, 1.0 + 2e-14, 2.0]),
    "tiny": (3, 3, [2e-150, 1e-150, 1e-150]),
    "huge": (3, 3, [2e150, 1e150, 1e150]),
}
EVERY = pytest.mark.parametrize("name", PATTERNS)


def polar_factor_derivative(W, Q1, S, Q2):
    """The derivative of U Vᵀ along W, which is also the gradient of Σ W ∘ (U Vᵀ)."""
    M = Q1.T @ W @ Q2
    inside = Q1 @ ((M - M.T) / (S[:, None] + S)) @ Q2.T
    return inside + (W @ Q2 / S - Q1 @ (M / S)) @ Q2.T + Q1 @ ((Q1.T @ W).T / S - Q2 @ (M.T / S)).T


def by_svd(A):
    U, _, Vh = overbar.svd(A, full_matrices=False)
    return U @ Vh


@FRAMEWORKS
@EVERY
@pytest.mark.parametrize("factor", [by_svd, lambda A: overbar.polar(A)[0]], ids=["svd", "polar"])
def test_the_polar_factor(framework, name, factor):
    A, *parts = made_of(*PATTERNS[name])
    W = RNG.standard_normal(A.shape)
    truth = polar_factor_derivative(W, *parts)
    found = gradient(framework, lambda A: inner(W, factor(A)), A)
    if A.shape == (1, 1):
        assert abs(found).max() < 1e-14
    else:
        close(found, truth, 1e-10)


@FRAMEWORKS
def test_the_polar_factor_of_the_identity_itself(framework):
    for n in (1, 2, 3, 7):
        W, eye = RNG.standard_normal((n, n)), np.eye(n)
        for factor in (by_svd, lambda A: overbar.polar(A)[0]):
            found = gradient(framework, lambda A, W=W, factor=factor: inner(W, factor(A)), eye)
            assert abs(found - (W - W.T) / 2).max() < 1e-14


@FRAMEWORKS
@EVERY
def test_the_nuclear_norm(framework, name):
    A, Q1, _, Q2 = made_of(*PATTERNS[name])
    for loss in (lambda A: overbar.matrix_norm(A, ord="nuc"), lambda A: overbar.sum(overbar.svdvals(A))):
        close(gradient(framework, loss, A), Q1 @ Q2.T, 1e-10)


@SECOND
@EVERY
def test_the_nuclear_norm_twice(framework, name):
    A, *parts = made_of(*PATTERNS[name])
    E = RNG.standard_normal(A.shape)
    truth = polar_factor_derivative(E, *parts)
    for loss in (lambda A: overbar.matrix_norm(A, ord="nuc"), lambda A: overbar.sum(overbar.svdvals(A))):
        found = hessian_product(framework, loss, A, E)
        if A.shape == (1, 1):
            assert abs(found).max() < 1e-14
        else:
            close(found, truth, 1e-10)


def differences(gradient_of, A, E, digits=50):
    """The derivative along E of a gradient that is a function of exact matrices."""
    mp = Exact(digits)
    A, E, h = mp.array(A), mp.array(E), mp.number(10) ** -(digits // 3)
    return mp.float((gradient_of(mp, A + h * E) - gradient_of(mp, A - h * E)) / (2 * h))


@SECOND
@pytest.mark.parametrize("name", ["identity-2", "twice-orthogonal-3", "tall-7-3", "wide-3-7"])
def test_the_polar_factor_twice(framework, name):
    A, *_ = made_of(*PATTERNS[name])
    W, E = RNG.standard_normal((2, *A.shape))

    def exact(mp, A):
        U, S, Vh = mp.svd(A)
        return np.asarray(polar_factor_derivative(mp.array(W), U, S, Vh.T), dtype=object)

    # The matrix has equal singular values to rounding only, and an exact decomposition sees that it has not.
    truth = differences(exact, A, E)
    close(hessian_product(framework, lambda A: inner(W, overbar.polar(A)[0]), A, E), truth, 1e-10)


@FRAMEWORKS
@pytest.mark.parametrize("scale", [1e-150, 1.0, 1e150])
def test_the_hermitian_factor(framework, scale):
    """It is the square root of AᵀA: P̄ = the solution of P X + X P = P̄, and then Ā = 2 A sym(X)."""
    A, Q1, S, Q2 = made_of(7, 3, [2.0 * scale, scale, scale])
    W = RNG.standard_normal((3, 3))
    M = Q2.T @ (W + W.T) @ Q2 / 2
    truth = 2 * Q1 @ (S[:, None] * M / (S[:, None] + S)) @ Q2.T
    close(gradient(framework, lambda A: inner(W, overbar.polar(A)[1]), A), truth, 1e-10)


@FRAMEWORKS
def test_a_singular_matrix_has_a_hermitian_factor_but_its_unitary_one_has_no_derivative(framework):
    A = np.stack([np.diag([2.0, 1.0, 0.0]), np.diag([3.0, 2.0, 1.0])])
    found = gradient(framework, lambda A: overbar.sum(overbar.polar(A)[1]), A)
    assert np.isfinite(found).all()
    W = RNG.standard_normal((3, 3))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = gradient(framework, lambda A: inner(W, overbar.polar(A)[0]), A)
    told = "polar: argument A is singular, to working precision. Its factor U has no derivative there"
    # a transform of PyTorch's hides the numbers
    assert [str(warning.message).startswith(told) for warning in caught] == [True] * (framework != "torch")
    assert np.isnan(found[0]).any()
    assert np.isfinite(found[1]).all()


def test_polar_warns_in_pytorch_too():
    x = torch.tensor(np.diag([2.0, 1.0, 0.0]), requires_grad=True)
    with pytest.warns(RuntimeWarning, match=r"polar: argument A is singular.*U has no derivative"):
        torch_ops.polar(x)[0].sum().backward()
    assert x.grad.isnan().any()


@FRAMEWORKS
@pytest.mark.parametrize("shape", [(7, 3), (3, 7), (33, 30)], ids=str)
def test_projections_on_full_bases(framework, shape):
    """U₂U₂ᵀ = I − U₁U₁ᵀ, and so with V: the further columns of U may be any basis, its gradient knows nothing of it."""
    m, n = shape
    k = min(m, n)
    A, *_ = made_of(m, n, np.linspace(1, 2, k))
    W, X = RNG.standard_normal((m, m)), RNG.standard_normal((n, n))

    def full(A):
        U, _, Vh = overbar.svd(A)
        U2, V2h = U[..., :, k:], Vh[..., k:, :]
        return inner(W, U2 @ matrix_transpose(U2)) + inner(X, matrix_transpose(V2h) @ V2h)

    def thin(A):
        U, _, Vh = overbar.svd(A, full_matrices=False)
        return -inner(W, U @ matrix_transpose(U)) - inner(X, matrix_transpose(Vh) @ Vh)

    close(gradient(framework, full, A), gradient("numpy", thin, A), 1e-10)


@pytest.mark.parametrize("transform", ["hessian", "reverse over reverse"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4)], ids=str)
@pytest.mark.parametrize("full_matrices", [False, True])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_hessian_of_a_loss_of_vectors_of_one_side_alone(side, full_matrices, shape, transform):
    """The bar of the other side is absent, and what stands for it has no dimension for what is mapped over."""
    A, W = torch.tensor(RNG.standard_normal(shape)), RNG.standard_normal((4, 4))

    def loss(svd, A):
        U, _, Vh = svd(A, full_matrices=full_matrices)
        u = U[:, 0] if side == "left" else Vh[0]
        return u @ torch.tensor(W)[: len(u), : len(u)] @ u

    second = torch.func.hessian if transform == "hessian" else lambda f: torch.func.jacrev(torch.func.jacrev(f))
    found = second(lambda A: loss(torch_ops.svd, A))(A)
    close(found.numpy(), second(lambda A: loss(torch.linalg.svd, A))(A).numpy(), 1e-10)


@FRAMEWORKS
def test_complex_phases(framework):
    """A loss that looks at them has the derivative for those that are chosen here."""
    A = RNG.standard_normal((4, 3)) + 1j * RNG.standard_normal((4, 3))
    W = RNG.standard_normal((4, 3))
    if framework == "numpy":
        pytest.skip("the real part of an array is no primitive")
    E = RNG.standard_normal((4, 3)) + 1j * RNG.standard_normal((4, 3))

    def loss(A):
        U, _, _ = overbar.svd(A, full_matrices=False)
        return overbar.sum(namespace(A).real(constant(W + 0j, A) * U))

    values = [float((W * overbar.svd(A + h * E, full_matrices=False)[0]).real.sum()) for h in (1e-5, -1e-5)]
    found = np.vdot(gradient(framework, loss, A), E).real
    assert abs(found - (values[0] - values[1]) / 2e-5) < 1e-6


# ---------------------------------------------------------------------------------------------------------------------
# Norms


@FRAMEWORKS
def test_the_frobenius_norm_at_zero(framework):
    A = np.stack([np.zeros((3, 2)), np.ones((3, 2))])
    truth = np.stack([np.zeros((3, 2)), np.ones((3, 2)) / 6**0.5])
    assert abs(gradient(framework, lambda A: overbar.sum(overbar.matrix_norm(A)), A) - truth).max() < 1e-15
    found = gradient(framework, lambda A: overbar.sum(overbar.matrix_norm(A) ** 2), A)
    assert abs(found - 2 * A).max() < 1e-14
    assert not gradient(framework, lambda A: overbar.sum(overbar.matrix_norm(A, ord="nuc")), np.zeros((3, 3))).any()


def test_the_frobenius_norm_has_no_second_derivative_at_zero():
    A = np.stack([np.zeros((3, 2)), np.ones((3, 2)), np.zeros((3, 2))])
    E = np.stack([np.ones((3, 2)), np.ones((3, 2)), np.zeros((3, 2))])
    found = overbar.hvp(lambda A: overbar.sum(overbar.matrix_norm(A) ** 2), (A,), E)
    assert np.isnan(found[0]).all()
    assert abs(found[1] - 2).max() < 1e-14
    assert not found[2].any()


@FRAMEWORKS
@pytest.mark.parametrize("scale", [1e-300, 1e-150, 1.0, 1e150, 1e300])
def test_the_frobenius_norm_at_any_scale(framework, scale):
    A = scale * RNG.standard_normal((7, 3))
    B = A / abs(A).max()
    truth = B / np.linalg.norm(B)
    close(gradient(framework, overbar.matrix_norm, A), truth, 1e-14)
    if framework != "numpy" and scale in (1e-150, 1.0, 1e150):
        E = RNG.standard_normal((7, 3))
        found = hessian_product(framework, overbar.matrix_norm, A, E)
        close(found, (E - truth * (truth * E).sum()) / (np.linalg.norm(B) * abs(A).max()), 1e-13)


def spectral_gradient(mp, A, which):
    U, S, Vh = mp.svd(A)
    i = 0 if which == 2 else len(S) - 1
    return U[:, i : i + 1] @ Vh[i : i + 1]


def cond_gradient(mp, A):
    S = mp.svd(A)[1]
    return spectral_gradient(mp, A, 2) / S[-1] - S[0] / S[-1] ** 2 * spectral_gradient(mp, A, -2)


@SECOND
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
def test_extreme_singular_values_twice_while_others_are_equal(framework, scale):
    A, *_ = made_of(7, 5, scale * np.array([3.0, 2.0, 2.0, 2.0, 0.5]))
    E = scale * RNG.standard_normal(A.shape)
    for loss, exact in (
        (lambda A: overbar.matrix_norm(A, ord=2), lambda mp, A: spectral_gradient(mp, A, 2)),
        (lambda A: overbar.matrix_norm(A, ord=-2), lambda mp, A: spectral_gradient(mp, A, -2)),
        (overbar.cond, cond_gradient),
    ):
        close(hessian_product(framework, loss, A, E), differences(exact, A, E), 1e-10)


@FRAMEWORKS
def test_the_spectral_norm_of_an_orthogonal_matrix_has_the_mean_subgradient(framework):
    Q = orthogonal(7, 7)
    close(gradient(framework, lambda A: overbar.matrix_norm(A, ord=2), Q), Q / 7, 1e-10)


@SECOND
def test_an_extreme_singular_value_that_occurs_twice_has_no_second_derivative(framework):
    A = np.stack([made_of(4, 4, S)[0] for S in ([2.0, 2, 1, 0.5], [4.0, 2, 1, 1], [4.0, 2, 2, 1])])
    E = RNG.standard_normal(A.shape)
    for loss, nan in (
        (lambda A: overbar.sum(overbar.matrix_norm(A, ord=2)), [True, False, False]),
        (lambda A: overbar.sum(overbar.matrix_norm(A, ord=-2)), [False, True, False]),
        (lambda A: overbar.sum(overbar.cond(A)), [True, True, False]),
    ):
        found = hessian_product(framework, loss, A, E)
        assert np.isnan(found).all((-2, -1)).tolist() == nan
        assert np.isnan(found).any((-2, -1)).tolist() == nan


@SECOND
@pytest.mark.parametrize("p", ["nuc", 1, float("inf"), -1])
def test_the_condition_number_in_other_norms_twice(framework, p):
    A = RNG.standard_normal((3, 3)) + 3 * np.eye(3)
    E, h = RNG.standard_normal((3, 3)), 1e-5
    loss = lambda A: overbar.cond(A, p=p)  # noqa: E731
    close(gradient(framework, loss, A), gradient("numpy", loss, A), 1e-12)
    truth = (gradient("numpy", loss, A + h * E) - gradient("numpy", loss, A - h * E)) / (2 * h)
    close(hessian_product(framework, loss, A, E), truth, 1e-7)


# ---------------------------------------------------------------------------------------------------------------------
# Pseudoinverse and least squares at constant rank: A = B C, whose pseudoinverse is that of C times that of B


def pinv_of_product(mp, B, C):
    return C.T @ mp.solve(C @ C.T, mp.solve(B.T @ B, B.T))


def along(exact, B, C, dB, dC):
    """First and second derivative of a number along a straight line of the factors, from 50 digits."""
    mp = Exact(60)
    B, C, dB, dC = map(mp.array, (B, C, dB, dC))
    h = mp.number(10) ** -15
    at = [exact(mp, B + s * h * dB, C + s * h * dC) for s in (-1, 0, 1)]
    return float((at[2] - at[0]) / (2 * h)), float((at[2] - 2 * at[1] + at[0]) / h**2)


@FRAMEWORKS
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
@pytest.mark.parametrize("shape", [(5, 5, 3), (7, 4, 2), (4, 7, 1), (7, 3, 3)], ids=str)
def test_constant_rank(framework, shape, scale):
    m, n, r = shape
    B, C = scale * RNG.standard_normal((m, r)), RNG.standard_normal((r, n))
    dB, dC = scale * RNG.standard_normal((m, r)), RNG.standard_normal((r, n))
    W, Y, Z = RNG.standard_normal((n, m)) * scale, RNG.standard_normal((m, 2)), RNG.standard_normal((n, 2)) * scale
    losses = [
        (lambda A: inner(W, overbar.pinv(A)), lambda mp, B, C: (mp.array(W) * pinv_of_product(mp, B, C)).sum()),
        (
            lambda A: inner(Z, overbar.lstsq(A, constant(Y, A))[0]),
            lambda mp, B, C: (mp.array(Z) * (pinv_of_product(mp, B, C) @ mp.array(Y))).sum(),
        ),
    ]
    for loss, exact in losses:
        first, second = along(exact, B, C, dB, dC)
        A, dA = B @ C, dB @ C + B @ dC
        assert abs((gradient(framework, loss, A) * dA).sum() - first) <= 1e-9 * (1 + abs(first))
        if framework != "numpy":
            G = gradient(framework, loss, A)
            found = (hessian_product(framework, loss, A, dA) * dA).sum() + 2 * (G * (dB @ dC)).sum()
            assert abs(found - second) <= 1e-8 * (1 + abs(second))


SIDES = pytest.mark.parametrize("side", ["right", "left"])
DEFICIENT = pytest.mark.parametrize("shape", [(4, 4, 2), (2, 2, 1), (6, 4, 2), (4, 6, 3)], ids=str)


def hermitian_factor(W, side):
    """⟨W, P⟩ of A = U P or P U, and of a product B C in exact numbers."""

    def exact(mp, B, C):
        U, S, Vh = mp.svd(B @ C)
        return (mp.array(W) * ((Vh.T * S) @ Vh if side == "right" else (U * S) @ U.T)).sum()

    return lambda A: inner(W, overbar.polar(A, side=side)[1]), exact


@FRAMEWORKS
@DEFICIENT
@SIDES
@pytest.mark.parametrize("scale", [1e-100, 1.0, 1e100])
def test_the_hermitian_factor_and_the_nuclear_norm_at_constant_rank(framework, shape, side, scale):
    m, n, r = shape
    B, C = scale * RNG.standard_normal((m, r)), RNG.standard_normal((r, n))
    dB, dC = scale * RNG.standard_normal((m, r)), RNG.standard_normal((r, n))
    k = n if side == "right" else m
    nuclear = lambda A: overbar.matrix_norm(A, ord="nuc"), lambda mp, B, C: mp.svd(B @ C)[1].sum()
    for loss, exact in [hermitian_factor(RNG.standard_normal((k, k)), side), nuclear]:
        first, second = along(exact, B, C, dB, dC)
        A, dA = B @ C, dB @ C + B @ dC
        G = gradient(framework, loss, A)
        assert abs((G * dA).sum() - first) <= 1e-10 * (scale + abs(first))
        U, _, Vh = np.linalg.svd(A)
        assert np.abs(U[:, r:].T @ G @ Vh[r:].T).max(initial=0) < 1e-12  # tangent to the matrices of this rank
        if framework != "numpy":
            found = (hessian_product(framework, loss, A, dA) * dA).sum() + 2 * (G * (dB @ dC)).sum()
            assert abs(found - second) <= 1e-9 * (scale + abs(second))


@pytest.mark.parametrize("dtype", ["float32", "complex64", "complex128"])
@DEFICIENT
@SIDES
def test_the_derivative_of_the_hermitian_factor_is_unique(dtype, shape, side):
    """Not what is left of vectors to σ = 0, which are others in each precision, library and basis."""
    m, n, r = shape
    draw = lambda *sizes: np.round(8 * RNG.standard_normal(sizes)) / 8  # of which products are exact # noqa: E731
    A = draw(m, r) @ draw(r, n)
    if dtype[0] == "c":
        A = (draw(m, r) + 1j * draw(m, r)) @ (draw(r, n) + 1j * draw(r, n))
    k = n if side == "right" else m
    W, E = RNG.standard_normal((k, k)), RNG.standard_normal((m, n))
    loss = lambda A: overbar.sum(W.astype(A.real.dtype) * overbar.polar(A, side=side)[1].real)  # noqa: E731
    tolerance = 1e-12 if dtype == "complex128" else 1e-4
    found, found_dot = overbar.grad(loss)(A.astype(dtype)), overbar.jvp(loss, (A.astype(dtype),), (E.astype(dtype),))[1]
    # the same in another basis, A Q = U Q (Qᴴ P Q)
    Q = np.linalg.qr(RNG.standard_normal((n, n)))[0]
    other = lambda A: loss(A @ Q) if side == "left" else np.sum(W * (Q @ overbar.polar(A @ Q)[1] @ Q.T).real)  # noqa: E731
    expected = overbar.grad(other)(A)
    close(found, expected, tolerance)
    assert abs(found_dot - np.sum(np.real(expected.conj() * E))) < tolerance * np.abs(expected).sum() * np.abs(E).max()


@FRAMEWORKS
@pytest.mark.parametrize("shape", [(4, 4, 2), (6, 4, 2)], ids=str)
@pytest.mark.parametrize("name", ["polar", "matrix_norm"])
def test_a_kink_has_no_second_derivative(framework, shape, name):
    """That of P, and of the nuclear norm, along what raises the rank; with a regular matrix beside the singular one."""
    m, n, r = shape
    A = np.stack([RNG.standard_normal((m, r)) @ RNG.standard_normal((r, n)), RNG.standard_normal((m, n))])
    E, W = RNG.standard_normal(A.shape), RNG.standard_normal((n, n))

    def loss(A):
        if name == "polar":
            return inner(np.stack([W, W]), overbar.polar(A)[1])
        return overbar.sum(overbar.matrix_norm(A, ord="nuc"))

    def second():
        if framework == "numpy":
            return overbar.jvp(overbar.grad(loss), (A,), (E,))[1]
        return hessian_product(framework, loss, A, E)

    with pytest.warns(RuntimeWarning, match=f"{name}: argument A is singular.*along changes that keep the rank, but"):
        found = second()
    assert np.isnan(found[0]).any()
    close(found[1], hessian_product("torch", loss, A[1:].repeat(2, 0), E[1:].repeat(2, 0))[1], 1e-10)


@SIDES
@pytest.mark.parametrize("shape", [(4, 4, 2), (6, 4, 2), (4, 6, 3)], ids=str)
@pytest.mark.parametrize("static", [True, False])
def test_the_hermitian_factor_where_numbers_are_hidden(shape, side, static):
    """In a graph of TensorFlow, which may not know sizes, and under torch.func.vmap: there as where they are seen."""
    m, n, r = shape
    A = np.stack([RNG.standard_normal((m, r)) @ RNG.standard_normal((r, n)), RNG.standard_normal((m, n))])
    k = n if side == "right" else m
    W = RNG.standard_normal((2, k, k))
    expected = gradient("numpy", lambda A: inner(W, overbar.polar(A, side=side)[1]), A)

    @tf.function(input_signature=[tf.TensorSpec(A.shape if static else [None] * 3, tf.float64)])
    def graph(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            loss = tf.reduce_sum(W * tf_ops.polar(A, side=side)[1])
        return tape.gradient(loss, A)

    close(graph(tf.constant(A)), expected)
    one = torch.func.grad(lambda A, W: (W * torch_ops.polar(A, side=side)[1]).sum())
    close(torch.func.vmap(one)(torch.tensor(A), torch.tensor(W)), expected)


@FRAMEWORKS
def test_a_batch_of_easy_and_hard_matrices(framework):
    A = np.stack([np.eye(3), np.diag([1.0, 1.0, 0.0]), np.zeros((3, 3)), RNG.standard_normal((3, 3))])
    B = RNG.standard_normal((3, 2))

    def loss(A):
        return overbar.sum(overbar.lstsq(A, constant(B, A))[0]) + overbar.sum(overbar.pinv(A))

    whole = gradient(framework, loss, A)
    for found, matrix in zip(whole, A, strict=True):
        assert np.isfinite(found).all()
        assert abs(found - gradient("numpy", loss, matrix)).max() < 1e-10


# ---------------------------------------------------------------------------------------------------------------------
# Sizes and errors


@FRAMEWORKS
@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 0, 3), (0, 2, 3), (1, 1)], ids=str)
def test_small_sizes(framework, shape):
    A = np.ones(shape)
    losses = [
        lambda A: sum(overbar.sum(x) for x in overbar.svd(A)),
        lambda A: sum(overbar.sum(x) for x in overbar.svd(A, full_matrices=False)),
        lambda A: overbar.sum(overbar.svdvals(A)),
        lambda A: overbar.sum(overbar.polar(A)[0]) + overbar.sum(overbar.polar(A, side="left")[1]),
        *(lambda A, ord=ord: overbar.sum(overbar.matrix_norm(A, ord=ord)) for ord in ("fro", "nuc", 2, 1)),
        lambda A: overbar.sum(overbar.cond(A)),
        lambda A: overbar.sum(overbar.pinv(A)),
        lambda A: overbar.sum(overbar.lstsq(A, A)[0]),
    ]
    for loss in losses:
        found = gradient(framework, loss, A)
        assert found.shape == shape
        assert np.isfinite(found).all()


@FRAMEWORKS
def test_bad_options_are_refused(framework):
    A = {"numpy": np.asarray, "torch": torch.tensor, "tensorflow": tf.constant}[framework](np.ones((3, 2)))
    for call, word in (
        (lambda: overbar.polar(A, side="up"), "side"),
        (lambda: overbar.matrix_norm(A, ord="frob"), "ord"),
        (lambda: overbar.cond(A, p=3), "p must be"),
        (lambda: overbar.cond(A, p="fro"), "not square"),
        (lambda: overbar.pinv(A, hermitian=True), "not square"),
        (lambda: overbar.lstsq(A, A, l2_regularizer=-1.0), "l2_regularizer"),
    ):
        with pytest.raises(ValueError, match=word):
            call()


@FRAMEWORKS
def test_what_is_not_finite_is_an_error_or_stays_so(framework):
    A = np.ones((3, 3))
    A[1, 1] = np.nan
    if framework == "tensorflow":
        assert np.isnan(overbar.svdvals(tf.constant(A))).all()
    else:
        error = np.linalg.LinAlgError if framework == "numpy" else torch.linalg.LinAlgError
        with pytest.raises(error):
            overbar.svdvals(A if framework == "numpy" else torch.tensor(A))


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("function", ["svd", "svdvals", "pinv", "polar", "cond", "lstsq"])
def test_numpy_refuses_what_lapack_would_work_on_for_ever(function, value):
    A = np.random.default_rng(0).normal(size=(4, 4))
    A[0, 0] = value
    arrays = (A, np.ones(4)) if function == "lstsq" else (A,)
    with pytest.raises(np.linalg.LinAlgError, match=r"not finite: its entry \(0, 0\) is"):
        getattr(overbar, function)(*arrays)


@FRAMEWORKS
def test_no_finite_factor_comes_of_an_infinite_matrix(framework):
    A = np.random.default_rng(0).normal(size=(2, 4, 4))
    A[0, 0, 0] = np.inf
    if framework != "tensorflow":
        with pytest.raises((np.linalg.LinAlgError, RuntimeError), match=r"not finite: its entry \(0, 0\) is inf"):
            overbar.polar(torch.tensor(A) if framework == "torch" else A)
        return
    U, P = overbar.polar(tf.constant(A))
    for factor in (U.numpy(), P.numpy()):
        assert np.isnan(factor[0]).all()
        assert np.isfinite(factor[1]).all()


def test_finite_numbers_whose_sum_is_not_are_decomposed():
    A = np.diag([1e308, 1e308, 1.0])
    close(overbar.svdvals(A), [1e308, 1e308, 1.0])


def tensor_of(front, A):
    return torch.tensor(A) if front is torch_ops else tf.constant(A)


@pytest.mark.parametrize("ord", ["fro", "nuc", 2, 1, -np.inf])
def test_norms_along_other_dimensions(ord):
    A = RNG.standard_normal((2, 3, 4, 5))
    for dim in ((-2, -1), *itertools.permutations(range(4), 2)):
        for keepdim in (False, True):
            expected = torch.linalg.matrix_norm(torch.tensor(A), ord, dim, keepdim).numpy()
            for front in (torch_ops, tf_ops):
                np.testing.assert_allclose(
                    front.matrix_norm(tensor_of(front, A), ord, dim, keepdim), expected, rtol=1e-13
                )
    for dim in ((0, 0), (3, -1), (0,), (0, 1, 2), (0, 4), 0, (0.5, 1)):
        for front in (torch_ops, tf_ops):
            # PyTorch's own error, with what ours says, or TensorFlow's
            errors = (RuntimeError, IndexError, TypeError) if front is torch_ops else ValueError
            message = "dim" if front is torch_ops else "dim must be two different dimensions of the array, which has 4"
            with pytest.raises(errors, match=message):
                front.matrix_norm(tensor_of(front, A), ord, dim)


# ---------------------------------------------------------------------------------------------------------------------
# Least squares without singular values


def _of_condition(m, n, condition, dtype=np.float64):
    rng, k = np.random.default_rng(m + n), min(m, n)
    U, V = (np.linalg.qr(rng.standard_normal((size, k)) + 1j * rng.standard_normal((size, k)))[0] for size in (m, n))
    if dtype == np.float64:
        U, V = np.linalg.qr(U.real)[0], np.linalg.qr(V.real)[0]
    return (U * np.geomspace(1, 1 / condition, k)) @ V.conj().T, rng.standard_normal((m, 2)).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(6, 4), (4, 4), (4, 6)], ids=str)
@pytest.mark.parametrize("condition", [10, 1e4, 1e9])
def test_least_squares_lose_no_digits_without_singular_values(condition, shape, dtype):
    A, B = _of_condition(*shape, condition, dtype)

    def gradient(A, **options):
        X, pullback = overbar.vjp(lambda A: overbar.lstsq(A, B, **options)[0], A)
        return X, pullback(X)[0]

    for found, expected in zip(gradient(A, singular_values=False), gradient(A), strict=True):
        assert abs(found - expected).max() < 1e-13 * condition * abs(expected).max()


def test_no_singular_values_are_computed_where_no_matrix_is_nearly_singular(monkeypatch):
    count, own = [], np.linalg.svd
    monkeypatch.setattr(np.linalg, "svd", lambda *args, **kwargs: count.append(args) or own(*args, **kwargs))
    (A, B), (bad, _) = _of_condition(6, 4, 10), _of_condition(6, 4, 1e9)
    X, _, rank, S = overbar.lstsq(A, B, singular_values=False)
    assert (int(rank), S.shape, count) == (4, (0,), [])
    np.testing.assert_allclose(X, np.linalg.pinv(A) @ B, rtol=1e-12)
    count.clear()
    overbar.lstsq(np.stack([A, bad]), B, singular_values=False)
    assert len(count) == 1
    for scale in (1e200, 1e-200):
        np.testing.assert_allclose(overbar.lstsq(scale * A, B, singular_values=False)[0] * scale, X, rtol=1e-12)
    assert len(count) == 1


@pytest.mark.parametrize("jit_compile", [None, True])
def test_least_squares_in_a_graph_of_tensorflow_at_any_rank(jit_compile):
    A, B = _of_condition(6, 4, 10)
    A = np.stack([A, A])
    solve = tf.function(lambda A: tf_ops.lstsq(A, np.stack([B, B])), jit_compile=jit_compile)
    for rank in (4, 2):
        A[1, :, rank:] = A[1, :, :1]
        with tf.GradientTape() as tape:
            x = tf.constant(A)
            tape.watch(x)
            X = solve(x)
        expected, pullback = overbar.vjp(lambda A: overbar.lstsq(A, np.stack([B, B]))[0], A)
        np.testing.assert_allclose(X, expected, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(tape.gradient(X, x, X), pullback(expected)[0], rtol=1e-8, atol=1e-11)


@pytest.mark.parametrize("values", [overbar.svdvals, lambda A: torch_ops.svd(A)[1]], ids=["svdvals", "svd"])
@pytest.mark.parametrize("shape", [(5, 0), (0, 3), (2, 3, 0)], ids=str)
def test_second_derivatives_of_no_singular_values(shape, values):
    """By PyTorch's tape, which asks for those of everything that the first one has kept."""
    A = torch.zeros(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(values, A, fast_mode=True, check_undefined_grad=False)
