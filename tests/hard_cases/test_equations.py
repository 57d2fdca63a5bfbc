"""Sylvester, Lyapunov and Riccati equations where they are hard, in NumPy, PyTorch and TensorFlow against 50 digits:
values, gradients and second derivatives. May import the fronts.
"""

import functools

import numpy as np
import pytest
import scipy.linalg

import overbar
from overbar.kernels._schur_forms import schur_forms
from overbar.kernels._triangular_equations import triangular_stein, triangular_sylvester
from overbar.verify import Exact
from tests.frameworks import tf, tf_ops, torch, torch_ops

FRONTS = ["numpy", "torch", "tensorflow"]
mp = Exact(50)
rng = np.random.default_rng(7)


def in_numpy(name, arrays, bar):
    X, pullback = overbar.vjp(getattr(overbar, name), *arrays)
    return [X, *pullback(bar)]


def in_torch(name, arrays, bar):
    x = [torch.tensor(a, requires_grad=True) for a in arrays]
    X = getattr(torch_ops, name)(*x)
    return [t.detach().resolve_conj().numpy() for t in (X, *torch.autograd.grad(X, x, torch.tensor(bar)))]


def in_tensorflow(name, arrays, bar):
    x = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(x)
        X = getattr(tf_ops, name)(*x)
    return [t.numpy() for t in (X, *tape.gradient(X, x, tf.constant(bar)))]


RUN = {"numpy": in_numpy, "torch": in_torch, "tensorflow": in_tensorflow}


def transposed(A):
    return np.conj(np.swapaxes(A, -1, -2))


# -- the truth, in 50 digits, with equations solved as linear systems of size n² ---------------------------------------


def exactly(name, arrays, bar):
    """Value and bars of one matrix equation. That the rules are right is what `verify` finds without them; here it is
    their rounding that counts."""
    A, *rest = (mp.array(M) for M in arrays)
    X_bar = mp.array(bar)
    solve = {n: getattr(overbar, n).exact for n in ("solve_sylvester", "solve_discrete_lyapunov")}
    sylvester, stein = (lambda *M, f=f: f(mp, *M) for f in solve.values())
    if "are" in name:
        B, _, R, E, S = rest = (*rest, *(mp.eye(len(A)), mp.zeros(rest[0].shape))[len(rest) - 3 :])
    X = getattr(overbar, name).exact(mp, A, *rest)
    H = mp.mH
    if name == "solve_sylvester":
        B, _ = rest
        G = sylvester(H(A), H(B), X_bar)
        bars = [-G @ H(X), -H(X) @ G, G]
    elif name == "solve_continuous_lyapunov":
        G = sylvester(H(A), A, X_bar)
        bars = [-G @ H(X) - H(G) @ X, G]
    elif name == "solve_discrete_lyapunov":
        G = stein(H(A), X_bar)
        bars = [G @ A @ H(X) + H(G) @ A @ X, G]
    else:
        X_bar, V = (X_bar + H(X_bar)) / 2, mp.inverse(E)
        if name == "solve_continuous_are":
            K = mp.solve(R, H(B) @ X @ E + H(S))
            F = A - B @ K
            G = V @ sylvester(F @ V, H(F @ V), -X_bar) @ H(V)
            A_bar, E_bar = 2 * X @ E @ G, 2 * X @ F @ G
        else:
            K = mp.solve(R + H(B) @ X @ B, H(B) @ X @ A + H(S))
            F = A - B @ K
            G = V @ stein(F @ V, X_bar) @ H(V)
            A_bar, E_bar = 2 * X @ F @ G, -2 * X @ E @ G
        bars = [A_bar, -A_bar @ H(K), G, K @ G @ H(K), E_bar, -2 * G @ H(K)][: len(arrays)]
    return X, *bars


def normal(*shape, kind=float):
    real = rng.standard_normal(shape)
    return real + 1j * rng.standard_normal(shape) if kind is complex else real


def rotated(T):
    """A matrix with the Schur form T."""
    Z = np.linalg.qr(normal(*T.shape, kind=complex if np.iscomplexobj(T) else float))[0]
    return Z @ T @ transposed(Z)


def definite(n):
    X = normal(n, n)
    return X @ X.T / n + np.eye(n)


JORDAN = np.diag([2.0] * 3) + np.diag([1.0] * 2, 1)
SPIRAL = np.array([[0.6, -0.9], [0.9, 0.6]])  # two complex eigenvalues, of modulus 1.08

CASES = {
    "sylvester-size-1": ("solve_sylvester", [normal(1, 1), normal(1, 1), normal(1, 1)], 1e-13),
    "sylvester-1-by-7": ("solve_sylvester", [normal(1, 1) + 9, normal(7, 7), normal(1, 7)], 1e-13),
    "sylvester-complex-with-real": (
        "solve_sylvester",
        [normal(3, 3, kind=complex), normal(2, 2) + 0j, normal(3, 2) + 0j],
        1e-12,
    ),
    "sylvester-jordan-blocks": ("solve_sylvester", [rotated(JORDAN), rotated(JORDAN), normal(3, 3)], 1e-12),
    "sylvester-repeated": ("solve_sylvester", [2 * np.eye(3), np.eye(4), normal(3, 4)], 1e-14),
    "sylvester-spectra-1e-6-apart": (
        "solve_sylvester",
        [rotated(np.diag([1.0, 2.0, 3.0])), rotated(np.diag([5.0, -1 + 1e-6])), normal(3, 2)],
        1e-7,
    ),
    "lyapunov-jordan-block": ("solve_continuous_lyapunov", [rotated(-JORDAN), normal(3, 3)], 1e-12),
    "lyapunov-unstable-complex": (
        "solve_continuous_lyapunov",
        [rotated(np.triu(normal(4, 4, kind=complex)) + 6 * np.eye(4)), normal(4, 4, kind=complex)],
        1e-12,
    ),
    "lyapunov-both-sides": ("solve_continuous_lyapunov", [rotated(np.diag([-1.0, 3.0, 0.5])), normal(3, 3)], 1e-12),
    "stein-eigenvalue-near-minus-1": (
        "solve_discrete_lyapunov",
        [rotated(np.diag([-1 + 1e-5, 0.5, 0.2])), normal(3, 3)],
        1e-8,
    ),
    "stein-eigenvalue-near-1": ("solve_discrete_lyapunov", [rotated(np.diag([1 + 1e-5, 0.5])), normal(2, 2)], 1e-8),
    "stein-unstable": ("solve_discrete_lyapunov", [rotated(np.diag([3.0, -0.5, 0.2, 1.5])), normal(4, 4)], 1e-12),
    "stein-spiral-out": ("solve_discrete_lyapunov", [SPIRAL, normal(2, 2)], 1e-12),
    "stein-nilpotent": ("solve_discrete_lyapunov", [np.diag([1.0] * 2, 1), normal(3, 3)], 1e-14),
    "care-unstable": (
        "solve_continuous_are",
        [rotated(np.triu(normal(3, 3), 1) + np.diag([2.0, 1.0, -0.1])), normal(3, 2), definite(3), definite(2)],
        1e-11,
    ),
    "care-size-1": (
        "solve_continuous_are",
        [np.array([[0.3]]), np.array([[2.0]]), np.array([[1.0]]), np.array([[3.0]])],
        1e-13,
    ),
    "care-no-cost-of-states": (
        "solve_continuous_are",
        [np.diag([1.0, 2.0]), normal(2, 2), np.zeros((2, 2)), definite(2)],
        1e-11,
    ),
    "care-indefinite": (
        "solve_continuous_are",
        [np.diag([-3.0, -2.0]), normal(2, 1) / 4, np.diag([0.5, -0.5]), -np.eye(1)],
        1e-12,
    ),
    "care-weakly-damped": (
        "solve_continuous_are",
        [np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([[0.0], [1e-3]]), np.eye(2), np.eye(1)],
        1e-10,
    ),
    "care-with-E": (
        "solve_continuous_are",
        [normal(3, 3), normal(3, 2), definite(3), definite(2), normal(3, 3)],
        1e-11,
    ),
    "care-with-E-and-S": (
        "solve_continuous_are",
        [
            normal(3, 3, kind=complex),
            normal(3, 2) + 0j,
            2 * np.eye(3) + 0j,
            2 * np.eye(2) + 0j,
            normal(3, 3, kind=complex),
            normal(3, 2, kind=complex) / 3,
        ],
        1e-11,
    ),
    "care-with-E-of-condition-100": (
        "solve_continuous_are",
        [normal(3, 3), normal(3, 2), definite(3), definite(2), rotated(np.diag([0.1, 1.0, 10.0]))],
        1e-9,
    ),
    "dare-with-E": ("solve_discrete_are", [normal(3, 3), normal(3, 2), definite(3), definite(2), normal(3, 3)], 1e-11),
    "dare-with-E-and-S": (
        "solve_discrete_are",
        [
            normal(3, 3, kind=complex),
            normal(3, 2) + 0j,
            2 * np.eye(3) + 0j,
            2 * np.eye(2) + 0j,
            normal(3, 3, kind=complex),
            normal(3, 2, kind=complex) / 3,
        ],
        1e-11,
    ),
    "dare-singular-R-with-E": (
        "solve_discrete_are",
        [normal(3, 3), normal(3, 2), definite(3), np.zeros((2, 2)), np.eye(3) + normal(3, 3) / 4],
        1e-9,
    ),
    "dare-singular-A": (
        "solve_discrete_are",
        [np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]), normal(3, 1), definite(3), definite(1)],
        1e-12,
    ),
    "dare-unstable": (
        "solve_discrete_are",
        [rotated(np.diag([3.0, -1.0, 0.5])), normal(3, 2), definite(3), definite(2)],
        1e-11,
    ),
    "dare-singular-R": ("solve_discrete_are", [normal(3, 3), normal(3, 2), definite(3), np.zeros((2, 2))], 1e-10),
    "dare-no-cost-of-states": (
        "solve_discrete_are",
        [np.diag([2.0, -3.0]), normal(2, 2), np.zeros((2, 2)), definite(2)],
        1e-11,
    ),
}


@functools.cache
def truth(case):
    """The arrays of a case, a cotangent, and value and bars in 50 digits."""
    name, arrays, _ = CASES[case]
    X = arrays[-1 if "are" not in name else 0]
    bar = np.linspace(-0.7, 1.3, X.size).reshape(X.shape).astype(np.result_type(*arrays))
    return arrays, bar, [mp.float(M) for M in exactly(name, arrays, bar)]


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("case", CASES)
def test_value_and_bars(case, front):
    name, _, rtol = CASES[case]
    arrays, bar, expected = truth(case)
    for a, b in zip(RUN[front](name, arrays, bar), expected, strict=True):
        assert abs(a - b).max() <= rtol * abs(b).max()


@pytest.mark.parametrize("name", ["solve_continuous_are", "solve_discrete_are"])
def test_the_arguments_of_scipy(name):
    A, B, E, S = normal(3, 3), normal(3, 2), normal(3, 3), normal(3, 2) / 3
    Q, R = 2 * np.eye(3), 2 * np.eye(2)
    ours, theirs = getattr(overbar, name), getattr(scipy.linalg, name)
    np.testing.assert_allclose(ours(A, B, Q, R, E, S), theirs(A, B, Q, R, E, S), rtol=1e-8)
    np.testing.assert_allclose(ours(A, B, Q, R, S=S), theirs(A, B, Q, R, s=S), rtol=1e-8)
    np.testing.assert_allclose(ours(A, B, Q, R, E), theirs(A, B, Q, R, e=E), rtol=1e-8)
    np.testing.assert_allclose(ours(A, B, Q, R, np.eye(3), 0 * S), ours(A, B, Q, R), rtol=1e-15)


@pytest.mark.parametrize("size", [(60, 5), (100, 5), (30, 3)])
def test_a_large_unstable_system_with_few_inputs(size):
    """X is 10⁵ to 10¹² times as large as the costs, so that F = A − B K is as much larger than A, and rounding leaves
    six digits or more of X. The invariant subspace alone has three, or an F that is not stable."""
    random = np.random.default_rng(3)
    n, m = size
    A, B, Q, R = (random.standard_normal(shape) for shape in ((n, n), (n, m), (n, n), (m, m)))
    A, Q, R = A * 1.5 / n**0.5, Q @ Q.T, R @ R.T + np.eye(m) / 10
    X = overbar.solve_continuous_are(A, B, Q, R)
    K = np.linalg.solve(R, B.T @ X)
    assert np.linalg.eigvals(A - B @ K).real.max() < 0
    residual = A.T @ X + X @ A - K.T @ R @ K + Q
    assert np.linalg.norm(residual) < 3e-9 * np.linalg.norm(X)


# -- scales ------------------------------------------------------------------------------------------------------------

SCALED = {
    "solve_sylvester": ([normal(3, 3), normal(2, 2), normal(3, 2)], lambda s: (s, s, 1), lambda s: 1 / s),
    "solve_continuous_lyapunov": ([normal(3, 3), normal(3, 3)], lambda s: (s, 1), lambda s: 1 / s),
    "solve_discrete_lyapunov": ([normal(3, 3), normal(3, 3)], lambda s: (1, s), lambda s: s),
    # for these two all of the costs, so that the feedback is the same
    "solve_continuous_are": (
        [normal(3, 3), normal(3, 2), definite(3), definite(2)],
        lambda s: (1, 1, s, s),
        lambda s: s,
    ),
    "solve_discrete_are": ([normal(3, 3), normal(3, 2), definite(3), definite(2)], lambda s: (1, 1, s, s), lambda s: s),
}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("scale", [1e-150, 1e150], ids=["tiny", "huge"])
@pytest.mark.parametrize("name", SCALED)
def test_scales(name, scale, front):
    arrays, inputs, output = SCALED[name]
    bar = normal(*(arrays[-1] if "are" not in name else arrays[0]).shape)
    plain = RUN[front](name, arrays, bar)
    scaled = RUN[front](name, [a * s for a, s in zip(arrays, inputs(scale), strict=True)], bar)
    for a, b, s in zip(scaled, plain, (1, *inputs(scale)), strict=True):
        np.testing.assert_allclose(a / output(scale) * s, b, rtol=0, atol=1e-11 * abs(b).max())


@pytest.mark.parametrize("scale", [1e-100, 1e100], ids=["cheap-states", "dear-states"])
def test_costs_of_different_scale(scale):
    A, B = np.diag([1.0, -2.0]), np.eye(2)
    X = overbar.solve_continuous_are(A, B, scale * np.eye(2), np.eye(2))
    root = scale**0.5
    expected = np.array([1 + np.hypot(1, root), scale / (2 + np.hypot(2, root))])  # x² − 2 a x − q = 0
    np.testing.assert_allclose(X, np.diag(expected), rtol=0, atol=1e-14 * expected.max())


# -- larger, and batches -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("front", FRONTS)
def test_a_batch_of_hard_and_easy_matrices(front):
    A = np.stack([rotated(JORDAN), 2 * np.eye(3), rotated(np.diag([1.0, 1.0, 5.0]))])
    Q, bar = normal(2, 1, 3, 3), normal(2, 3, 3, 3)
    X, A_bar, Q_bar = RUN[front]("solve_continuous_lyapunov", [A, Q], bar)
    for j in range(3):
        singles = [in_numpy("solve_continuous_lyapunov", [A[j], Q[i, 0]], bar[i, j]) for i in range(2)]
        np.testing.assert_allclose(X[:, j], [s[0] for s in singles], rtol=0, atol=1e-12 * abs(X[:, j]).max())
        np.testing.assert_allclose(A_bar[j], sum(s[1] for s in singles), rtol=0, atol=1e-11 * abs(A_bar[j]).max())
    assert Q_bar.shape == Q.shape


@pytest.mark.parametrize("shape", [(33, 70), (64, 33), (100, 97)])
@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("adjoint", [False, True])
def test_triangular_equations_by_halves(shape, kind, adjoint):
    m, n = shape
    [R], *_ = schur_forms(normal(1, m, m, kind=kind) / m**0.5 + 3 * np.eye(m))
    [S], *_ = schur_forms(
        normal(1, n, n, kind=kind) / n**0.5 + 3 * np.eye(n)
    )  # with 2 by 2 blocks, which no cut may divide
    F = normal(m, n, kind=kind)
    Y = triangular_sylvester(R, S, F.copy(), adjoint)
    np.testing.assert_allclose(R @ Y + Y @ (transposed(S) if adjoint else S), F, atol=1e-12)
    if kind is complex:
        R, S = R / 10, S / 10
        [Y] = triangular_stein(R[None], S[None], F[None].copy())
        np.testing.assert_allclose(Y - R @ Y @ transposed(S), F, atol=1e-12)


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("name", ["solve_continuous_are", "solve_discrete_are"])
def test_a_large_system(name, front):
    n = 33
    A, B = normal(n, n) / n**0.5, normal(n, 5)
    X, *_, Q_bar, R_bar = RUN[front](name, [A, B, np.eye(n), np.eye(5)], normal(n, n))
    K = np.linalg.solve(
        np.eye(5) + (B.T @ X @ B if "discrete" in name else 0), B.T @ X @ (A if "discrete" in name else np.eye(n))
    )
    F, cost = A - B @ K, np.eye(n) + K.T @ K
    Z = F.T @ X @ F - X + cost if "discrete" in name else F.T @ X + X @ F + cost
    assert abs(Z).max() < 1e-12 * abs(X).max() * max(1, abs(F).max())
    for bar in (Q_bar, R_bar):
        np.testing.assert_array_equal(bar, bar.T)  # to the last bit


# -- second derivatives ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*SCALED])
def test_second_derivatives_in_torch_and_tensorflow(name):
    """Against differences of the gradient with steps of 1e-20, in 50 digits."""
    arrays, *_ = SCALED[name]
    bar = normal(*(arrays[-1] if "are" not in name else arrays[0]).shape)
    dots = [normal(*a.shape) for a in arrays]
    if "are" in name:
        dots[2:] = [d + d.T for d in dots[2:]]
    step = mp.context.mpf(10) ** -20
    ends = []
    for sign in (1, -1):
        moved = [mp.array(a) + sign * step * mp.array(d) for a, d in zip(arrays, dots, strict=True)]
        ends.append(exactly(name, moved, bar)[1:])
    expected = [mp.float((p - m) / (2 * step)) for p, m in zip(*ends, strict=True)]

    x = [torch.tensor(a, requires_grad=True) for a in arrays]
    grads = torch.autograd.grad(getattr(torch_ops, name)(*x), x, torch.tensor(bar), create_graph=True)
    # the Hessian is symmetric: along the tangents, its rows are its columns
    found = torch.autograd.grad(grads, x, [torch.tensor(d) for d in dots])
    for a, b in zip(found, expected, strict=True):
        assert abs(a.numpy() - b).max() < 1e-10 * abs(b).max()

    x = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            X = getattr(tf_ops, name)(*x)
        grads = inner.gradient(X, x, tf.constant(bar))
    for a, b in zip(outer.gradient(grads, x, [tf.constant(d) for d in dots]), expected, strict=True):
        assert abs(a.numpy() - b).max() < 1e-10 * abs(b).max()


# -- what must raise ---------------------------------------------------------------------------------------------------

LIBRARIES = {"numpy": (overbar, np.asarray), "torch": (torch_ops, torch.tensor), "tensorflow": (tf_ops, tf.constant)}
ERRORS = {
    "numpy": np.linalg.LinAlgError,
    "torch": torch.linalg.LinAlgError,
    "tensorflow": tf.errors.InvalidArgumentError,
}
EYE = np.eye(2)
BAD = {
    "sylvester-exactly": ("solve_sylvester", [EYE, -EYE, EYE], "negative of one of B"),
    "sylvester-to-rounding": (
        "solve_sylvester",
        [rotated(np.diag([1.0, 2, 3])), rotated(np.diag([-2.0, 7, 8])), normal(3, 3)],
        "negative of one of B",
    ),
    "sylvester-jordan": ("solve_sylvester", [rotated(JORDAN), -rotated(JORDAN), normal(3, 3)], "negative of one of B"),
    "sylvester-in-a-batch": ("solve_sylvester", [np.stack([EYE, 3 * EYE, -EYE]), EYE, EYE], "Matrix 2 of the batch"),
    "sylvester-zero": ("solve_sylvester", [0 * EYE, 0 * EYE, EYE], "negative of one of B"),
    "sylvester-nan": (
        "solve_sylvester",
        [EYE, np.array([[1.0, np.nan], [0, 1]]), EYE],
        r"argument B is not finite: its entry \(0, 1\)",
    ),
    "lyapunov-imaginary-axis": ("solve_continuous_lyapunov", [np.array([[0.0, 1.0], [-1.0, 0.0]]), EYE], "conj"),
    "lyapunov-mirrored": ("solve_continuous_lyapunov", [rotated(np.diag([1.0, -1.0, 4.0])), normal(3, 3)], "conj"),
    "stein-unit-circle": ("solve_discrete_lyapunov", [rotated(np.diag([-1.0, 0.3])), EYE], "conj"),
    "stein-reciprocal": ("solve_discrete_lyapunov", [rotated(np.diag([4.0, 0.25])), EYE], "conj"),
    "care-not-stabilisable": (
        "solve_continuous_are",
        [np.diag([1.0, -1.0]), np.array([[0.0], [1.0]]), EYE, np.eye(1)],
        "no stabilising solution",
    ),
    "care-imaginary-axis": (
        "solve_continuous_are",
        [np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([[0.0], [1.0]]), 0 * EYE, np.eye(1)],
        "no stabilising solution",
    ),
    "care-singular-R": ("solve_continuous_are", [EYE, EYE, EYE, 0 * EYE], "argument R is singular"),
    "care-in-a-batch": ("solve_continuous_are", [EYE, np.stack([EYE, 0 * EYE]), EYE, EYE], "Matrix 1 of the batch"),
    "dare-not-stabilisable": (
        "solve_discrete_are",
        [np.diag([2.0, 0.5]), np.array([[0.0], [1.0]]), EYE, np.eye(1)],
        "no stabilising solution",
    ),
    "dare-unit-circle": (
        "solve_discrete_are",
        [np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([[0.0], [1.0]]), 0 * EYE, np.eye(1)],
        "no stabilising solution",
    ),
    "care-singular-E": ("solve_continuous_are", [EYE, EYE, EYE, EYE, np.ones((2, 2))], "argument E is singular"),
    "dare-singular-E": ("solve_discrete_are", [EYE, EYE, EYE, EYE, 0 * EYE], "argument E is singular"),
    "care-cost-without-a-minimum": (
        "solve_continuous_are",
        [0 * EYE, EYE, EYE, EYE, EYE, 3 * np.array([[0.0, 1.0], [-1.0, 0.0]])],
        "no stabilising solution",
    ),
    "dare-infinite": ("solve_discrete_are", [EYE, EYE, np.inf * np.ones((2, 2)), EYE], "argument Q is not finite"),
}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("case", BAD)
def test_what_must_raise(case, front):
    name, arrays, words = BAD[case]
    library, to = LIBRARIES[front]
    with pytest.raises(ERRORS[front], match=words):
        getattr(library, name)(*map(to, arrays))


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("name", [*SCALED][:3])
def test_what_is_linear_passes_nan_on(name, front):
    arrays = [*SCALED[name][0]]
    X, *_ = RUN[front](name, [*arrays[:-1], np.where(arrays[-1] == arrays[-1].max(), np.nan, arrays[-1])], arrays[-1])
    assert np.isnan(X).all()
    _, *bars = RUN[front](name, arrays, np.full_like(arrays[-1], np.nan))  # as a loss that is NaN sends it
    assert all(np.isnan(bar).all() for bar in bars)


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("name", SCALED)
def test_no_rows(name, front):
    arrays = [np.zeros((2, 0, 0)) for _ in SCALED[name][0]]
    assert {a.shape for a in RUN[front](name, arrays, np.zeros((2, 0, 0)))} == {(2, 0, 0)}
    arrays = [np.zeros((0, *a.shape)) for a in SCALED[name][0]]
    shape = (arrays[-1] if "are" not in name else arrays[0]).shape
    assert [a.shape for a in RUN[front](name, arrays, np.zeros(shape))] == [shape, *(a.shape for a in arrays)]


@pytest.mark.parametrize("generalised", [False, True])
@pytest.mark.parametrize("front", RUN)
@pytest.mark.parametrize("name", ["solve_continuous_are", "solve_discrete_are"])
def test_without_control_a_riccati_equation_is_linear(name, front, generalised):
    rng = np.random.default_rng(9)
    A = np.triu(rng.standard_normal((3, 3)), 1) / 3 - np.diag([0.3, 0.5, 0.7])
    B, Q, R = np.zeros((3, 0)), np.eye(3), np.zeros((0, 0))
    arrays, plain = [A, B, Q, R], [A]
    if generalised:
        arrays += [2 * np.eye(3), B]
        plain = [A / 2]  # Aᴴ X E is twice that of A/2, and E = 2 I
    X, A_bar, B_bar, Q_bar, R_bar, *_ = RUN[front](name, arrays, np.ones((3, 3)))
    assert (B_bar.shape, R_bar.shape) == (B.shape, R.shape)
    lyapunov = name.replace("are", "lyapunov")
    sign = -1 if "continuous" in name else 1
    Y, plain_bar, right_bar = RUN["numpy"](lyapunov, [plain[0].T, sign * Q], np.ones((3, 3)))
    size = 4 if generalised else 1
    np.testing.assert_allclose(X * size, Y, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(Q_bar * size, sign * (right_bar + right_bar.T) / 2, rtol=1e-12, atol=1e-13)
    if not generalised:
        np.testing.assert_allclose(A_bar, plain_bar.T, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["solve_continuous_are", "solve_discrete_are"])
def test_without_control_under_xla(name):
    A, Q = np.diag([-0.3, -0.5, -0.7]), np.eye(3)
    arrays = [tf.constant(x) for x in (A, np.zeros((3, 0)), Q, np.zeros((0, 0)))]
    X = tf.function(getattr(tf_ops, name), jit_compile=True)(*arrays)
    np.testing.assert_allclose(X, getattr(overbar, name)(*(x.numpy() for x in arrays)), rtol=1e-11, atol=1e-13)
