"""Functions of a general square matrix where they are hard, in NumPy, PyTorch and TensorFlow: values, gradients and
second derivatives at repeated and nearly repeated eigenvalues, at matrices that are not diagonalisable, in batches and
at every scale. May import the fronts.

The truth comes from divided differences, and at Jordan blocks from Taylor's series, with 50 digits. That the rules
belong to these functions is what `verify` finds; here it is their rounding that counts.
"""

import functools

import mpmath
import numpy as np
import pytest

import overbar
from overbar.kernels import _matrix_roots as matrix_roots
from overbar.kernels import _triangular_equations as triangular_equations
from overbar.rules._frechet import derivative
from tests.compare import close
from tests.frameworks import tf, tf_ops, torch, torch_ops

mp = mpmath.mp.clone()
mp.dps = 50


def damped_root(x):
    xp = overbar.namespace(x)
    return xp.sqrt(x) * xp.exp(-x / 7)


FUNCTIONS = {
    "expm": (mp.exp, {}),
    "sinm": (mp.sin, {}),
    "cosm": (mp.cos, {}),
    "sqrtm": (mp.sqrt, {}),
    "logm": (mp.log, {}),
    "fractional_matrix_power": (lambda x: mp.power(x, mp.mpf(-0.7)), {"t": -0.7}),
    "funm": (lambda x: mp.sqrt(x) * mp.exp(-x / 7), {"f": damped_root}),
}
BRANCHED = ["sqrtm", "logm", "fractional_matrix_power"]

# -- value, gradient of ⟨W, f(A)⟩, gradient of ⟨V, that gradient⟩ ------------------------------------------------------
#
# G = (D f(A)[Wᵀ])ᵀ, and from ⟨V, G⟩ = ⟨Vᵀ, D f(A)[Wᵀ]⟩ the other is (D² f(A)[Wᵀ, V])ᵀ.


def in_numpy(name, options, A, W, V):
    def gradient(A):
        return overbar.vjp(lambda A: getattr(overbar, name)(A, **options), A)

    C, pullback = gradient(A)
    (G,) = pullback(W)
    H = derivative(getattr(overbar, name), 2)(A, W.swapaxes(-1, -2), V, **options)
    return C, G, H.swapaxes(-1, -2)


def in_torch(name, options, A, W, V):
    A, W, V = (torch.tensor(x) for x in (A, W, V))
    A.requires_grad_()
    C = getattr(torch_ops, name)(A, **options)
    (G,) = torch.autograd.grad(C, A, W, create_graph=True)
    (H,) = torch.autograd.grad(G, A, V)
    return [x.detach().resolve_conj().numpy() for x in (C, G, H)]


def in_tensorflow(name, options, A, W, V):
    A, W, V = (tf.constant(x) for x in (A, W, V))
    with tf.GradientTape() as outer:
        outer.watch(A)
        with tf.GradientTape() as inner:
            inner.watch(A)
            C = getattr(tf_ops, name)(A, **options)
        G = inner.gradient(C, A, output_gradients=W)
    return [x.numpy() for x in (C, G, outer.gradient(G, A, output_gradients=V))]


RUN = {"numpy": in_numpy, "torch": in_torch, "tensorflow": in_tensorflow}
fronts = pytest.mark.parametrize("front", RUN)
functions = pytest.mark.parametrize("name", FUNCTIONS)


def weights(n, seed=3):
    return np.random.default_rng(seed).standard_normal((2, n, n))


def all_close(found, truth, tolerance=1e-10):
    """The value, the gradient and the second derivative."""
    for a, b in zip(found, truth, strict=True):
        assert a.dtype == float
        close(a, b, tolerance)


# -- the truth ---------------------------------------------------------------------------------------------------------


def divided_difference(f, points):
    """f[x₀, …, x_k], where points may coincide."""
    points = sorted(points)
    if points[0] == points[-1]:
        k = len(points) - 1
        return mp.diff(f, points[0], k) / mp.factorial(k) if k else f(points[0])
    return (divided_difference(f, points[1:]) - divided_difference(f, points[:-1])) / (points[-1] - points[0])


def by_eigenvalues(f, eigenvalues, P, W, V):
    """The truth at P diag(eigenvalues) P⁻¹ (Daleckii and Krein), for P with a small condition number."""
    known = {}

    def difference(*points):
        key = tuple(sorted(points))
        if key not in known:
            known[key] = float(divided_difference(f, [mp.mpf(x) for x in key]))
        return known[key]

    n, inverse = len(eigenvalues), np.linalg.inv(P)
    first = np.array([[difference(x, y) for y in eigenvalues] for x in eigenvalues])
    second = np.array([[[difference(x, z, y) for y in eigenvalues] for z in eigenvalues] for x in eigenvalues])
    E, H = inverse @ W.T @ P, inverse @ V @ P
    C = np.diag([difference(x) for x in eigenvalues])
    twice = np.einsum("ikj,ik,kj->ij", second.reshape(n, n, n), E, H)
    twice += np.einsum("ikj,ik,kj->ij", second.reshape(n, n, n), H, E)
    return P @ C @ inverse, (P @ (first * E) @ inverse).T, (P @ twice @ inverse).T


def by_series(f, x, N, W, V):
    """The truth at x I + N for nilpotent N: the blocks of f([[A, E], [0, A]]) and of its derivative along another
    direction, by Taylor's series at x, which ends."""
    n = len(N)
    M = np.zeros((4 * n, 4 * n))
    E, H = np.kron([[0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]], W.T), np.kron(np.eye(4, k=2), V)
    M = (np.kron(np.eye(4), N) + E + H).astype(object)
    for index in np.ndindex(M.shape):
        M[index] = mp.mpf(float(M[index]))
    term, total = np.eye(4 * n, dtype=object), 0
    for k in range(3 * n + 1):
        total = total + term * (mp.diff(f, mp.mpf(x), k) / mp.factorial(k) if k else f(mp.mpf(x)))
        term = term @ M
    total = total.astype(float)
    return total[:n, :n], total[:n, n : 2 * n].T, total[:n, 3 * n :].T


def orthogonal(n):
    return np.linalg.qr(np.random.default_rng(n).standard_normal((n, n)))[0]


def skewed(n):
    """A matrix of small condition number that is not orthogonal."""
    return orthogonal(n) @ (np.eye(n) + 0.3 * np.triu(np.ones((n, n)), 1) / n)


PATTERNS = {
    "one": [2.5],
    "identity of 2": [1, 1],
    "triple": [2, 2, 2],
    "pairs": [1, 1, 2, 2, 3, 0.5, 0.5],
    "pairs of 33": [1] * 12 + [2] * 10 + [3] * 10 + [0.7],
    "gap 1e-10": [1, 1 + 1e-10, 2],
    "gap 1e-4, of 7": [1, 1 + 1e-4, 1 + 2e-4, 2, 2, 3, 3 + 1e-4],
}


@functools.cache
def at_pattern(name, pattern, symmetric):
    eigenvalues = np.array(PATTERNS[pattern], float)
    P = orthogonal(len(eigenvalues)) if symmetric else skewed(len(eigenvalues))
    return by_eigenvalues(FUNCTIONS[name][0], eigenvalues, P, *weights(len(eigenvalues)))


@fronts
@functions
@pytest.mark.parametrize("symmetric", [True, False], ids=["symmetric", "not symmetric"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_repeated_eigenvalues(front, name, pattern, symmetric):
    eigenvalues = np.array(PATTERNS[pattern], float)
    n = len(eigenvalues)
    P = orthogonal(n) if symmetric else skewed(n)
    A = (P * eigenvalues) @ np.linalg.inv(P)
    if pattern in ("identity of 2", "triple"):
        A = np.eye(n) * eigenvalues[0]
    found = RUN[front](name, FUNCTIONS[name][1], A, *weights(n))
    all_close(found, at_pattern(name, pattern, symmetric))


@functools.cache
def at_jordan_block(name, n, x):
    return by_series(FUNCTIONS[name][0], x, np.eye(n, k=1), *weights(n))


@fronts
@functions
@pytest.mark.parametrize(("n", "x"), [(2, 1.5), (3, 4.0)], ids=["2", "3"])
def test_jordan_blocks(front, name, n, x):
    found = RUN[front](name, FUNCTIONS[name][1], x * np.eye(n) + np.eye(n, k=1), *weights(n))
    all_close(found, at_jordan_block(name, n, x))


@fronts
@functions
def test_a_batch_of_hard_and_easy_matrices(front, name):
    easy = np.array([[2.0, 0.5, 0.1], [0.3, 1.0, -0.2], [0.0, 0.4, 3.0]])
    A = np.stack([easy, np.eye(3), 4 * np.eye(3) + np.eye(3, k=1), 1e-3 * np.eye(3), 100 * easy])
    W, V = (np.broadcast_to(x, A.shape).copy() for x in weights(3))
    together = RUN[front](name, FUNCTIONS[name][1], A, W, V)
    for i in range(len(A)):
        alone = in_numpy(name, FUNCTIONS[name][1], A[i], W[i], V[i])
        all_close([x[i] for x in together], alone, 1e-11)
    all_close([x[2] for x in together], at_jordan_block(name, 3, 4.0))


@fronts
@pytest.mark.parametrize("scale", [1e-150, 1e-60, 1e60, 1e150])
@pytest.mark.parametrize("name", BRANCHED)
def test_scales(front, name, scale):
    scale = 4.0 ** round(np.log(scale) / np.log(4))
    A = np.array([[2.0, 0.5, 0.1], [0.3, 1.0, -0.2], [0.0, 0.4, 3.0]])
    W, V = weights(3)
    C, G, H = in_numpy(name, FUNCTIONS[name][1], A, W, V)
    power = {"sqrtm": 0.5, "logm": 0.0, "fractional_matrix_power": -0.7}[name]
    shift = np.log(scale) * np.eye(3) if name == "logm" else 0
    if abs(np.log10(scale)) * (2 - power) > 301:  # the second derivative is not representable
        V, H = 0 * V, 0 * H
    # one factor after the other: a power of the scale alone may overflow
    truth = C * scale**power + shift, G * scale ** (power - 1), H * scale ** (power - 1) / scale
    all_close(RUN[front](name, FUNCTIONS[name][1], A * scale, W, V), truth)


@fronts
def test_eigenvalues_of_every_scale_in_one_matrix(front):
    x = np.array([1e-150, 1.0, 1e150])
    W, V = np.ones((2, 3, 3))
    C, G, _ = RUN[front]("sqrtm", {}, np.diag(x), W, V)
    root = np.sqrt(x)
    np.testing.assert_allclose(np.diag(C), root, rtol=1e-12)
    np.testing.assert_allclose(G, 1 / (root[:, None] + root), rtol=1e-12)


WIDE = [1e-300, 1.0, 1e300]
SHAPES = {
    "diagonal": ([0, 1, 2], [[0, 0, 0], [0, 0, 0], [0, 0, 0]]),
    "upper": ([0, 1, 2], [[0, 3, 0], [0, 0, 0], [0, 0, 0]]),
    "lower": ([0, 1, 2], [[0, 0, 0], [3, 0, 0], [0, 0, 0]]),
    "permuted": ([1, 2, 0], [[0, 0, 3], [0, 0, 0], [0, 0, 0]]),
}
OF_WIDE_RANGE = {
    "sqrtm": (np.sqrt, {}),
    "logm": (np.log, {}),
    "fractional_matrix_power": (lambda x: x**-0.3, {"t": -0.3}),
}


@fronts
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", OF_WIDE_RANGE)
def test_triangular_matrices_of_the_whole_range_of_numbers(front, name, shape, dtype):
    """Their eigenvalues are entries, and have all digits, however small they are beside the largest."""
    order, beside = SHAPES[shape]
    x, (f, options) = np.array(WIDE)[order], OF_WIDE_RANGE[name]
    C = value(front, name, options, np.diag(x).astype(dtype) + beside)
    i, j = np.nonzero(beside)
    truth = np.diag(f(x))
    truth[i, j] = 3 * (f(x[i]) - f(x[j])) / (x[i] - x[j])
    np.testing.assert_allclose(C, truth, rtol=1e-12, atol=0)


@fronts
def test_the_derivative_of_a_root_of_the_whole_range_of_numbers(front):
    _, G, _ = RUN[front]("sqrtm", {}, np.diag(WIDE), *np.stack([np.ones((3, 3)), np.zeros((3, 3))]))
    root = np.sqrt(WIDE)
    np.testing.assert_allclose(G, 1 / (root[:, None] + root), rtol=1e-12)


def test_a_block_beside_an_eigenvalue_of_another_size():
    A = np.zeros((4, 4))
    A[0, 0], A[3, 3], A[1:3, 1:3] = 1e-300, 1e10, 1e290 * np.array([[1.0, 2.0], [-3.0, 1.0]])
    C = overbar.sqrtm(A)
    np.testing.assert_allclose(C[[0, 3], [0, 3]], [1e-150, 1e5], rtol=1e-14)
    np.testing.assert_allclose((C @ C)[1:3, 1:3], A[1:3, 1:3], rtol=1e-13)
    T, Z = overbar.schur(A)
    np.testing.assert_array_equal(np.sort(np.diag(T))[[0, 1]], [1e-300, 1e10])
    np.testing.assert_allclose(Z @ T @ Z.T, A, rtol=1e-13, atol=1e-310)


def test_beside_an_eigenvalue_that_is_negative_by_rounding_entries_stay():
    np.testing.assert_allclose(overbar.sqrtm(np.diag([-1e-20, 1e-4, 1e18])), np.diag([0, 1e-2, 1e9]))
    # one that rotations have brought about is rounding as well
    A = np.zeros((4, 4))
    A[:3, :3], A[3, 3] = np.ones((3, 3)), 1e-20
    np.testing.assert_allclose(overbar.sqrtm(A)[3, 3], 1e-10)


@pytest.mark.parametrize("t", [0.3, -0.7])
def test_the_derivative_of_a_power_of_a_complex_matrix(t):
    """The exponent, a number, comes to the rules as a complex one."""
    A, (W, V) = np.array([[2.0, 0.5, 0.1], [0.3, 1.0, -0.2], [0.0, 0.4, 3.0]]), weights(3)
    for front in RUN:
        _, of_real, _ = RUN[front]("fractional_matrix_power", {"t": t}, A, W, V)
        _, of_complex, _ = RUN[front]("fractional_matrix_power", {"t": t}, A + 0j, W + 0j, V + 0j)
        np.testing.assert_allclose(of_complex, of_real, atol=1e-13)
        W_dot = overbar.jvp(lambda A: overbar.fractional_matrix_power(A, t), (A + 0j,), (V + 0j,))[1]
        np.testing.assert_allclose((W * W_dot).sum(), (of_real * V).sum())


@pytest.mark.parametrize("t", [0, 1, 2, -1])
def test_derivatives_of_whole_powers_are_those_of_matrix_power(t):
    """Also where they are zero in every direction: the second of A, the third of A²."""
    A, (W, V) = np.array([[2.0, 0.5], [0.3, 1.0]]), weights(2)
    powers = [lambda A: overbar.fractional_matrix_power(A, float(t)), lambda A: overbar.matrix_power(A, n=t)]

    def in_numpy(power):
        hessian = overbar.hessian(lambda A: (W * power(A)).sum())
        return (hessian(A), *overbar.jvp(hessian, (A,), (V,)))

    def in_torch(power):
        one, other = torch.tensor(W), torch.tensor(V)
        hessian = torch.func.hessian(lambda A: (one * power(A)).sum())
        return (hessian(torch.tensor(A)), *torch.func.jvp(hessian, (torch.tensor(A),), (other,)))

    for derivatives in (in_numpy, in_torch):
        for one, other in zip(*map(derivatives, powers), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-13)


# -- the exponential and its kin ---------------------------------------------------------------------------------------


@fronts
@pytest.mark.parametrize("corner", [1.0, 1e6, 1e150])
def test_exponential_far_from_normal(front, corner):
    """Scaling by the norm would lose the digits of the eigenvalues."""
    C, G, _ = RUN[front]("expm", {}, np.array([[1.0, corner], [0.0, -1.0]]), np.eye(2), np.zeros((2, 2)))
    e, s = np.e, np.sinh(1)
    np.testing.assert_allclose(C, [[e, corner * s], [0, 1 / e]], rtol=1e-13)
    # d tr exp(A) = tr(exp(A) dA)
    np.testing.assert_allclose(G, C.T, rtol=1e-13, atol=0)


@fronts
@pytest.mark.parametrize("size", [0.0, 1e-150, 1.0, 1e3, 1e100])
def test_exponential_of_nilpotent_matrices(front, size):
    N = size * np.eye(3, k=1)
    C, G, _ = RUN[front]("expm", {}, N, np.eye(3), np.zeros((3, 3)))
    truth = np.eye(3) + N + N @ N / 2
    np.testing.assert_allclose(C, truth, rtol=1e-13)
    np.testing.assert_allclose(G, truth.T, rtol=1e-13)


@fronts
def test_exponential_of_a_batch_of_every_norm(front):
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    sizes = np.array([0.0, 1e-150, 1e-8, 1.0, 30.0, 1e3])
    A = sizes[:, None, None] * turn
    W = np.broadcast_to(np.eye(2), A.shape).copy()
    truth = np.cos(sizes)[:, None, None] * np.eye(2) + np.sin(sizes)[:, None, None] * turn
    C, G, _ = RUN[front]("expm", {}, A, W, W)
    assert abs(C - truth).max() < 1e-12
    assert abs(G - truth.swapaxes(-1, -2)).max() < 1e-12
    np.testing.assert_allclose(C[1, 1, 0], 1e-150, rtol=1e-13)
    decay = RUN[front]("expm", {}, -np.diag([1.0, 300.0]), np.eye(2), np.zeros((2, 2)))[0]
    np.testing.assert_allclose(np.diag(decay), np.exp([-1.0, -300.0]), rtol=1e-12)


@fronts
@pytest.mark.parametrize("size", [1e-150, 1e-9, 1.0, 40.0])
def test_sine_and_cosine_of_symmetric_matrices(front, size):
    turn = np.array([[0.0, 1.0], [1.0, 0.0]])
    C, G, _ = RUN[front]("sinm", {}, size * turn, turn, np.zeros((2, 2)))
    np.testing.assert_allclose(C[0, 1], np.sin(size), rtol=1e-12)
    np.testing.assert_allclose(G[0, 0] + G[1, 1], 0, atol=1e-13)
    np.testing.assert_allclose(G[0, 1], np.cos(size), rtol=1e-12)
    C, G, _ = RUN[front]("cosm", {}, size * turn, np.eye(2), np.zeros((2, 2)))
    np.testing.assert_allclose(C[0, 0], np.cos(size), rtol=1e-12)
    np.testing.assert_allclose(G[0, 1], -np.sin(size), rtol=1e-12)


def test_a_small_complex_sine_keeps_its_digits():
    A = 1e-150 * np.array([[1j, 2.0], [0.5, -1.0]])
    np.testing.assert_allclose(overbar.sinm(A), A, rtol=1e-14)


# -- powers and polynomials --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 5])
def test_powers_agree_with_fractional_powers(n):
    A = np.array([[2.0, 0.5, 0.1], [0.3, 1.0, -0.2], [0.0, 0.4, 3.0]])
    W, _ = weights(3)
    C, pullback = overbar.vjp(lambda A: overbar.matrix_power(A, n=n), A)
    D, other = overbar.vjp(lambda A: overbar.fractional_matrix_power(A, t=n), A)
    np.testing.assert_allclose(C, np.linalg.matrix_power(A, n), rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(C, D, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(pullback(W)[0], other(W)[0], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("k", [0, 1, 2, 3, 6])
def test_polynomials_of_every_length(k):
    A, c, W = np.array([[0.3, 2.0], [1.0, -0.4]]), np.arange(1.0, k + 1), np.array([[1.0, 2.0], [3.0, 5.0]])
    C, pullback = overbar.vjp(overbar.polynomial, A, c)
    powers = [np.linalg.matrix_power(A, i) for i in range(k)]
    np.testing.assert_allclose(C, sum((x * P for x, P in zip(c, powers, strict=True)), np.zeros((2, 2))), atol=1e-14)
    A_bar, c_bar = pullback(W)
    np.testing.assert_allclose(c_bar, [np.sum(P * W) for P in powers], atol=1e-13)
    truth = np.zeros((2, 2))
    for i in range(1, k):
        truth += c[i] * sum((powers[j].T @ W @ powers[i - 1 - j].T for j in range(i)), np.zeros((2, 2)))
    np.testing.assert_allclose(A_bar, truth, atol=1e-13)


def test_the_derivative_at_a_singular_matrix_with_a_root():
    """The value exists; a real matrix with an eigenvalue that is negative by rounding counts as singular."""
    Q = orthogonal(4)
    A = (Q * [0, 0, 1, 4]) @ Q.T
    np.testing.assert_allclose(overbar.sqrtm(A), (Q * [0, 0, 1, 2]) @ Q.T, atol=1e-7)


@fronts
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("t", [0.5, 0.3, 1.5])
def test_powers_of_semidefinite_matrices(front, kind, t):
    """Eigenvalues that are zero to rounding, of either sign, in the precision of the matrix and not of the kernel."""
    rng = np.random.default_rng(5)
    G = rng.standard_normal((20, 6, 2))
    A = (G @ G.swapaxes(-1, -2)).astype(kind)
    assert (np.linalg.eigvalsh(A)[:, :4] < 0).any(-1).sum() > 10
    w, V = np.linalg.eigh(G @ G.swapaxes(-1, -2))
    truth = (V * np.where(w > 1e-9, w, 0)[:, None, :] ** t) @ V.swapaxes(-1, -2)
    names = [("fractional_matrix_power", {"t": t}), *([("sqrtm", {})] if t == 0.5 else [])]
    for name, options in names:
        C = value(front, name, options, A)
        assert C.dtype == kind
        # a zero that is rounding has such a power; what is larger has the rounding of the result
        assert abs(C - truth).max() < 20 * np.finfo(kind).eps ** min(t, 1) * w.max() ** t


@fronts
def test_no_logarithm_of_a_matrix_that_is_singular_to_rounding(front):
    G = np.random.default_rng(5).standard_normal((6, 2))
    with pytest.raises(ERRORS[front], match="logm: argument A is singular"):
        value(front, "logm", {}, (G @ G.T).astype(np.float32))


@fronts
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_no_power_of_a_matrix_that_is_defective_at_zero(front, kind):
    A = np.array([[2.0, 1, 0], [0, 0, 1], [0, 0, 0]], kind)
    for name, options in [("fractional_matrix_power", {"t": 0.5}), ("sqrtm", {})]:
        with pytest.raises(ERRORS[front], match=f"{name}: argument A has no .*defective at the eigenvalue 0"):
            value(front, name, options, A)


def test_powers_of_singular_matrices_that_are_not_symmetric():
    V = np.array([[1.0, 2, 0, 1], [0, 1, 3, 1], [1, 0, 1, 2], [2, 0, 0, 1]])
    for w in ([0.0, 4, 0, 9], [0, 0, 0, 1], [0, 0, 0, 0], [0, 1j, -1j, 0]):
        A = V * w @ np.linalg.inv(V)
        C = overbar.fractional_matrix_power(A, t=0.75)
        np.testing.assert_allclose(C, V * (np.asarray(w) ** 0.75) @ np.linalg.inv(V), atol=1e-12)


# -- stacks ------------------------------------------------------------------------------------------------------------


@fronts
@pytest.mark.parametrize("name", BRANCHED)
def test_a_batch_is_computed_as_its_matrices_are(front, name):
    """Matrices with real and with complex eigenvalues, near to the identity and far from it, in one batch."""
    turn = np.array([[np.cos(3), -np.sin(3), 0], [np.sin(3), np.cos(3), 0], [0, 0, 1]])
    easy = np.array([[2.0, 0.5, 0.1], [0.3, 1.0, -0.2], [0.0, 0.4, 3.0]])
    Q = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))[0]
    A = np.stack([turn, easy, Q @ turn @ Q.T, 1e5 * easy, np.eye(3), 1e-60 * turn, np.triu(easy)])
    W, V = np.random.default_rng(2).standard_normal((2, *A.shape))
    together = RUN[front](name, FUNCTIONS[name][1], A, W, V)
    for i in range(len(A)):
        all_close([x[i] for x in together], in_numpy(name, FUNCTIONS[name][1], A[i], W[i], V[i]), 1e-11)


@pytest.mark.parametrize("name", BRANCHED)
def test_the_number_of_steps_does_not_grow_with_the_batch(name, monkeypatch):
    calls = []
    one = matrix_roots.solve_upper
    for module in (matrix_roots, triangular_equations):
        monkeypatch.setattr(module, "solve_upper", lambda T, B: calls.append(len(T)) or one(T, B))
    A = np.array([[2.0, 0.5, 0.1], [0.3, 1.0, -0.2], [0.0, 0.4, 3.0]])
    counts = []
    for size in (1, 2, 50):
        calls.clear()
        getattr(overbar, name)(np.broadcast_to(A, (size, 3, 3)), **FUNCTIONS[name][1])
        assert set(calls) == {size}
        counts.append(len(calls))
    assert counts[0] == counts[1] == counts[2] > 0


# -- errors ------------------------------------------------------------------------------------------------------------

ERRORS = {
    "numpy": np.linalg.LinAlgError,
    "torch": torch.linalg.LinAlgError,
    "tensorflow": tf.errors.InvalidArgumentError,
}


def value(front, name, options, A):
    module, array = {
        "numpy": (overbar, np.asarray),
        "torch": (torch_ops, torch.tensor),
        "tensorflow": (tf_ops, tf.constant),
    }[front]
    return np.asarray(getattr(module, name)(array(A), **options))


BAD = {
    "negative": ([[-1.0, 0.0], [0.0, 2.0]], BRANCHED, "negative eigenvalue -1.*complex"),
    "singular": ([[1.0, 2.0], [0.0, 0.0]], ["logm", "fractional_matrix_power"], "singular"),  # with t = −0.7
    "defective at zero": ([[0.0, 1.0], [0.0, 0.0]], ["sqrtm"], "no square root"),
    "not finite": ([[1.0, np.nan], [0.0, 2.0]], BRANCHED, "not finite"),
}


@pytest.mark.parametrize(("case", "name"), [(case, name) for case, (_, names, _) in BAD.items() for name in names])
@fronts
def test_what_has_no_value_is_refused_by_name(front, case, name):
    A, _, words = BAD[case]
    A, options = np.array([np.eye(2), A]), FUNCTIONS[name][1]
    with pytest.raises(ERRORS[front], match=rf"{name}: argument A.*{words}(?s:.*)Matrix 1 of the batch"):
        value(front, name, options, A)


def test_a_complex_dtype_takes_negative_eigenvalues():
    A = np.array([[-4.0, 0.0], [0.0, 1.0]], complex)
    np.testing.assert_allclose(overbar.sqrtm(A), np.diag([2j, 1]))
    np.testing.assert_allclose(overbar.logm(A), np.diag([np.log(4) + np.pi * 1j, 0]))


def test_the_root_of_a_singular_matrix_has_no_derivative():
    _, pullback = overbar.vjp(overbar.sqrtm, np.diag([1.0, 0.0]))
    with pytest.raises(np.linalg.LinAlgError, match=r"singular.*no derivative"):
        pullback(np.eye(2))


@fronts
@pytest.mark.parametrize("name", ["expm", "sinm", "cosm"])
def test_an_entry_that_is_not_finite_makes_nan(front, name):
    A = np.array([[[np.inf, 0.0], [0.0, 1.0]], [[np.nan, 0.0], [0.0, 1.0]], np.eye(2)])
    with np.errstate(invalid="ignore"):
        C, G, _ = RUN[front](name, {}, A, np.ones_like(A), np.ones_like(A))
    assert np.isnan(C[:2]).any(axis=(-2, -1)).all()
    assert np.isnan(G[:2]).any(axis=(-2, -1)).all()
    assert np.isfinite(C[2]).all()
    assert np.isfinite(G[2]).all()


@pytest.mark.parametrize("t", ["half", None, True, np.nan, np.inf, 1j, np.array([1j])])
def test_an_exponent_that_is_no_real_number(t):
    words = r"argument t (must be real|is (nan|inf)\. It must be finite)|which is not an array"
    with pytest.raises((TypeError, ValueError), match=words):
        overbar.fractional_matrix_power(np.eye(2), t=t)


@pytest.mark.parametrize("front", ["numpy", "torch", "tensorflow"])
def test_each_matrix_may_have_its_exponent(front):
    """Whole ones, negative ones and others in one batch, with their derivatives; NaN where there is no logarithm."""
    A = np.array([[[2.0, 1.0], [0.3, 3.0]]] * 3 + [[[-2.0, 1.0], [0.0, 1.0]]])
    t = np.array([0.5, 3.0, -1.5, 2.0])
    if front == "numpy":
        C, pullback = overbar.vjp(overbar.fractional_matrix_power, A, t)
        A_bar, t_bar = pullback(np.ones_like(C))
    elif front == "torch":
        x, s = torch.tensor(A, requires_grad=True), torch.tensor(t, requires_grad=True)
        C = torch_ops.fractional_matrix_power(x, s)
        A_bar, t_bar = torch.autograd.grad(C.sum(), (x, s))
    else:
        x, s = tf.Variable(A), tf.Variable(t)
        with tf.GradientTape() as tape:
            C = tf_ops.fractional_matrix_power(x, s)
            total = tf.reduce_sum(C)
        A_bar, t_bar = tape.gradient(total, [x, s])
    C, A_bar, t_bar = (np.asarray(value.detach() if front == "torch" else value) for value in (C, A_bar, t_bar))
    for k in range(4):
        alone, pullback = overbar.vjp(lambda A, k=k: overbar.fractional_matrix_power(A, t[k]), A[k])
        np.testing.assert_allclose(C[k], alone, rtol=1e-13)
        np.testing.assert_allclose(A_bar[k], pullback(np.ones((2, 2)))[0], rtol=1e-12)
    slopes = [(overbar.logm(A[k]) @ C[k]).sum() for k in range(3)]
    np.testing.assert_allclose(t_bar[:3], slopes, rtol=1e-12)
    assert np.isnan(t_bar[3])


@pytest.mark.parametrize("n", [0.5, None, "two"])
def test_an_exponent_that_is_no_integer(n):
    with pytest.raises(ValueError, match="matrix_power: the option n must be an integer"):
        overbar.matrix_power(np.eye(2), n=n)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("shape", [(0, 0), (3, 0, 0), (0, 2, 2)])
@fronts
def test_nothing_of_nothing(front, shape, name):
    A = np.zeros(shape)
    for x in RUN[front](name, FUNCTIONS[name][1], A, A, A):
        assert x.shape == shape
