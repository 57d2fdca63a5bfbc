"""Derivatives at equal and close eigenvalues and singular values: first ones in NumPy, PyTorch and TensorFlow, second
ones in both frameworks. May import the fronts.

Of losses that are smooth there: functions of the eigenvalues, and projections on invariant subspaces. The truth is the
formula by divided differences, f[λᵢ, λⱼ] and f[λᵢ, λⱼ, λₖ], for the function f of the matrix that is meant; that of a
projection is 1 on some of the eigenvalues and 0 on the others. And of losses of which no rule can know the derivative,
which must be NaN. Each batch mixes all gaps, and a matrix without close eigenvalues.
"""

import warnings

import mpmath
import numpy as np
import pytest

import overbar
from tests.compare import close, error
from tests.frameworks import tf, tf_ops, torch, torch_ops
from tests.processes import run_python

MATRIX = (-2, -1)  # each matrix of a batch is compared relative to its own size

GAPS = [0, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4, 1e-2, 0.3]
BLOCKS = {
    "two": ([1, 1, 2, 3.5], [0, 1]),
    "three": ([1, 1, 1, 2, 3], [0, 1, 2]),
    "two-and-three": ([1, 1, 1, 2, 2, 5], [0, 1, 2]),
}
BLOCK = pytest.mark.parametrize("block", BLOCKS)
DTYPE = pytest.mark.parametrize("dtype", ["float64", "complex128"])
FRAMEWORK = pytest.mark.parametrize("framework", ["torch", "tensorflow"])


# -- matrices and the truth --------------------------------------------------------------------------------------------


def random(rng, *shape, dtype):
    return rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if dtype == "complex128" else 0)


def unitary(rng, n, dtype):
    return np.linalg.qr(random(rng, n, n, dtype=dtype)).Q


def hermitian(X):
    return (X + X.conj().mT) / 2


def spread_out(values, gap, sign=1):
    """The values, equal ones apart by the gap."""
    values = np.array(values, float)
    return values + sign * gap * np.array([sum(values[:i] == v) for i, v in enumerate(values)])


def divided(f, df, w):
    """f[λᵢ, λⱼ] with 40 digits."""
    with mpmath.workdps(40):
        w = [mpmath.mpf(float(x)) for x in w]
        return np.array([[float(df(x) if x == y else (f(x) - f(y)) / (x - y)) for x in w] for y in w])


def step(w, chosen):
    """f, f[λᵢ, λⱼ] and f[λᵢ, λⱼ, λₖ] of the function that is 1 near the chosen eigenvalues and 0 near the others."""
    f = np.isin(np.arange(len(w)), chosen) * 1.0
    gap = w[:, None] - w
    alike = f[:, None] == f
    first = np.where(alike, 0, (f[:, None] - f) / np.where(alike, 1, gap))
    ends = first[:, :, None] - first[None]  # f[i, j] - f[j, k], over the gap of i and k
    second = np.where(alike[:, None, :], 0, ends / np.where(alike, 1, gap)[:, None, :])
    inner = (first[:, :, None] - first[:, None, :]) / np.where(alike, 1, gap)[None]  # f[i, j] - f[i, k], over j and k
    return first, np.where(alike[:, None, :], np.where(alike[None], 0, inner), second)


def along(Q, M, E, first, second):
    """The gradient of ⟨W, f(A)⟩ and its derivative, W and the direction as M and E in the basis Q."""
    straight = np.einsum("ijk,ij,jk->ik", second, E, M) + np.einsum("ijk,ij,jk->ik", second, M, E)
    return Q @ (first * M) @ Q.conj().T, Q @ straight @ Q.conj().T


def eigenproblems(block, dtype):
    """Matrices with all gaps, their eigenvalues and vectors, weights, a direction."""
    rng = np.random.default_rng(len(block))
    values, chosen = BLOCKS[block]
    n = len(values)
    w = np.stack([spread_out(values, gap) for gap in GAPS])
    Q = np.stack([unitary(rng, n, dtype) for _ in GAPS])
    A = hermitian(Q * w[:, None] @ Q.conj().mT)
    W, E = (hermitian(random(rng, len(GAPS), n, n, dtype=dtype)) for _ in range(2))
    return A, w, Q, W, E, chosen


def projection_truth(w, Q, W, E, chosen):
    M, C = Q.conj().mT @ W @ Q, Q.conj().mT @ E @ Q
    found = [along(Q[i], M[i], C[i], *step(w[i], chosen)) for i in range(len(w))]
    return map(np.stack, zip(*found, strict=True))


# -- losses ------------------------------------------------------------------------------------------------------------


class Torch:
    ops, exp, log, sum = torch_ops, torch.exp, torch.log, torch.sum
    real, conj, sqrt = torch.real, torch.conj, torch.sqrt

    @staticmethod
    def array(x):
        return torch.tensor(x)

    @staticmethod
    def gradient(loss, A):
        x = torch.tensor(A, requires_grad=True)
        return torch.autograd.grad(loss(x), x)[0].numpy()

    @staticmethod
    def svd(A):
        return torch_ops.svd(A, full_matrices=False)

    @staticmethod
    def first_and_second(loss, A, E):
        x = torch.tensor(A, requires_grad=True)
        (G,) = torch.autograd.grad(loss(x), x, create_graph=True)
        (H,) = torch.autograd.grad((G * torch.tensor(E).conj()).real.sum(), x)
        return G.detach().numpy(), H.numpy()


class TensorFlow:
    ops, exp, log, sum = tf_ops, tf.exp, tf.math.log, tf.reduce_sum
    real, conj, sqrt = tf.math.real, tf.math.conj, tf.sqrt
    array = tf.constant

    @staticmethod
    def gradient(loss, A):
        x = tf.constant(A)
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        return tape.gradient(value, x).numpy()

    @staticmethod
    def svd(A):
        s, U, V = tf_ops.svd(A)
        return U, s, tf.linalg.adjoint(V)

    @staticmethod
    def first_and_second(loss, A, E):
        x = tf.constant(A)
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as tape:
                tape.watch(x)
                value = loss(x)
            G = tape.gradient(value, x)
            product = tf.reduce_sum(tf.math.real(G * tf.math.conj(tf.constant(E))))
        return G.numpy(), outer.gradient(product, x).numpy()


class Numpy:
    ops, exp, sum = overbar, overbar.exp, overbar.sum

    @staticmethod
    def array(x):
        return x


FRAMEWORKS = {"torch": Torch, "tensorflow": TensorFlow}


def inner(xp, W, X):
    return xp.sum(xp.real(xp.conj(xp.array(W)) * X))


def gram(xp, V, columns):
    V = V[..., :, columns[0] : columns[-1] + 1]
    return V @ xp.conj(namespace(V).mT(V))


def namespace(V):
    return overbar.namespace(V)


# -- eigenvectors ------------------------------------------------------------------------------------------------------


@BLOCK
@DTYPE
@FRAMEWORK
def test_projection_on_an_invariant_subspace(framework, block, dtype):
    A, w, Q, W, E, chosen = eigenproblems(block, dtype)
    xp = FRAMEWORKS[framework]
    first, second = projection_truth(w, Q, W, E, chosen)
    G, H = xp.first_and_second(lambda A: inner(xp, W, gram(xp, xp.ops.eigh(A)[1], chosen)), A, E)
    close(G, first, 1e-12, MATRIX)
    close(H, second, 1e-10, MATRIX)


@BLOCK
@DTYPE
def test_projection_on_an_invariant_subspace_in_numpy(block, dtype):
    A, w, Q, W, E, chosen = eigenproblems(block, dtype)
    first, _ = projection_truth(w, Q, W, E, chosen)
    (_, V), pullback = overbar.vjp(overbar.eigh, A)
    V_bar = np.where(np.isin(np.arange(len(w[0])), chosen), 2 * W @ V, 0)
    close(pullback((None, V_bar))[0], first, 1e-12, MATRIX)


def forward_over_reverse(framework, loss, A, E):
    if framework == "torch":
        x, E = torch.tensor(A), torch.tensor(E)
        return torch.func.jvp(torch.func.grad(loss), (x,), (E,))[1].numpy()
    x = tf.constant(A)
    with tf.autodiff.ForwardAccumulator(x, tf.constant(E)) as accumulator:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = loss(x)
        G = tape.gradient(value, x)
    return accumulator.jvp(G).numpy()


@FRAMEWORK
@pytest.mark.parametrize("op", ["eigh", "svd"])
def test_forward_over_reverse_loses_no_more_than_rounding_over_the_gap(framework, op):
    """The tangents of vectors have the gap in their denominators, and what the loss makes of them is rounded: a number
    of about 1 is lost in one of 1/gap. At equal eigenvalues nothing is lost."""
    A, w, Q, W, E, chosen = eigenproblems("two-and-three", "float64")
    xp = FRAMEWORKS[framework]
    A, w = (X + 4 * np.eye(6) if X is A else X + 4 for X in (A, w))  # positive definite, in the order of `svd` reversed
    columns = chosen if op == "eigh" else [5 - i for i in reversed(chosen)]
    vectors = (lambda A: xp.ops.eigh(A)[1]) if op == "eigh" else (lambda A: overbar.svd(A)[0])
    _, second = projection_truth(w, Q, W, E, chosen)
    found = forward_over_reverse(framework, lambda A: inner(xp, W, gram(xp, vectors(A), columns)), A, E)
    if op == "svd":
        found = hermitian(found)
    off = error(found, second, MATRIX)
    gaps = np.array(GAPS)
    bound = 1e-11 + np.where(gaps > 2e-14, 1e-14 / np.maximum(gaps, 2e-14), 0)
    assert (off[gaps != 1e-14] < bound[gaps != 1e-14]).all(), dict(zip(GAPS, off, strict=True))


@FRAMEWORK
def test_projection_and_a_function_of_the_eigenvalues_together(framework):
    A, w, Q, W, E, chosen = eigenproblems("two-and-three", "float64")
    xp = FRAMEWORKS[framework]
    first, second = projection_truth(w, Q, W, E, chosen)
    first += Q * np.exp(w)[:, None] @ Q.mT
    second += Q @ (np.stack([divided(mpmath.exp, mpmath.exp, x) for x in w]) * (Q.mT @ E @ Q)) @ Q.mT

    def loss(A):
        w, V = xp.ops.eigh(A)
        return inner(xp, W, gram(xp, V, chosen)) + xp.sum(xp.exp(w))

    G, H = xp.first_and_second(loss, A, E)
    close(G, first, 1e-12, MATRIX)
    close(H, second, 1e-9, MATRIX)


@FRAMEWORK
def test_projection_in_single_precision(framework):
    A, w, Q, W, E, chosen = (
        x.astype("float32") if hasattr(x, "astype") else x for x in eigenproblems("two", "float64")
    )
    xp = FRAMEWORKS[framework]
    first, second = projection_truth(*(x.astype("float64") for x in (w, Q, W, E)), chosen)
    G, H = xp.first_and_second(lambda A: inner(xp, W, gram(xp, xp.ops.eigh(A)[1], chosen)), A, E)
    close(G, first, 2e-5, MATRIX)
    close(H, second, 2e-4, MATRIX)


@FRAMEWORK
def test_generalised_problem(framework):
    """V₁V₁ᵀ is L⁻ᵀ P L⁻¹, where P is the projection for L⁻¹ A L⁻ᵀ."""
    A, w, Q, W, E, chosen = eigenproblems("two-and-three", "float64")
    xp = FRAMEWORKS[framework]
    L = np.tril(np.random.default_rng(1).standard_normal(A.shape[-2:])) / 4 + np.eye(A.shape[-1])
    first, second = projection_truth(w, Q, np.linalg.solve(L, W) @ np.linalg.inv(L).T, E, chosen)
    back = lambda X: np.linalg.solve(L.T, X) @ np.linalg.inv(L)  # noqa: E731
    loss = lambda A: inner(xp, W, gram(xp, xp.ops.eigh_generalized(A, xp.array(L @ L.T))[1], chosen))  # noqa: E731
    G, H = xp.first_and_second(loss, L @ A @ L.T, L @ E @ L.T)
    close(G, back(first), 1e-11, MATRIX)
    close(H, back(second), 1e-9, MATRIX)


@FRAMEWORK
def test_tridiagonal_problem(framework):
    """Two blocks that are equal but for the gap: eigenvalues in pairs."""
    xp, rng = FRAMEWORKS[framework], np.random.default_rng(0)
    d = np.stack([[1, 2, 1 + gap, 2 + gap] for gap in GAPS])
    e = np.broadcast_to([0.5, 0.0, 0.5], (len(GAPS), 3)).copy()
    A = np.stack([np.diag(a) + np.diag(b, 1) + np.diag(b, -1) for a, b in zip(d, e, strict=True)])
    w, Q = np.linalg.eigh(A)
    W = hermitian(rng.standard_normal(A.shape))
    direction = np.zeros_like(A)
    direction[:, range(4), range(4)] = rng.standard_normal(d.shape)
    truth = projection_truth(w, Q, W, direction, [0, 1])
    options = {} if framework == "torch" else {"eigvals_only": False}
    loss = lambda x: inner(xp, W, gram(xp, xp.ops.eigh_tridiagonal(x, xp.array(e), **options)[1], [0, 1]))  # noqa: E731
    found = xp.first_and_second(loss, d, np.diagonal(direction, 0, -2, -1))
    for x, exact in zip(found, truth, strict=True):
        close(x[..., None], np.diagonal(exact, 0, -2, -1)[..., None], 1e-9, MATRIX)


@FRAMEWORK
def test_one_vector_whose_bracket_vanishes_by_chance(framework):
    """Stationary, as the weights commute with A, but not the same under turns: a second derivative does not vanish."""
    xp, gaps = FRAMEWORKS[framework], np.array([1e-3, 1e-1])
    w = np.stack([[1, 1 + gap, 3] for gap in gaps])
    A, W = w[:, None] * np.eye(3), np.stack([np.diag([1.0, -1, 2])] * 2)
    E = np.stack([hermitian(np.random.default_rng(0).standard_normal((3, 3)))] * 2)
    _, second = projection_truth(w, np.stack([np.eye(3)] * 2), W, E, [0])
    G, H = xp.first_and_second(lambda A: inner(xp, W, gram(xp, xp.ops.eigh(A)[1], [0])), A, E)
    assert abs(G).max() < 1e-12
    close(H, second, 1e-9, MATRIX)


# -- eigenvalues -------------------------------------------------------------------------------------------------------


FUNCTIONS = {
    "exp": (lambda xp, w: xp.sum(xp.exp(w)), mpmath.exp, mpmath.exp),
    "cube": (lambda xp, w: xp.sum(w * w * w), lambda x: 3 * x**2, lambda x: 6 * x),
}


@pytest.mark.parametrize("op", ["eigvalsh", "eigh"])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("block", [*BLOCKS, "all"])
@FRAMEWORK
def test_function_of_the_eigenvalues(framework, block, function, op, monkeypatch):
    monkeypatch.setitem(BLOCKS, "all", ([1.5] * 5, []))
    A, w, Q, _, E, _ = eigenproblems(block, "complex128")
    xp, (f, g, dg) = FRAMEWORKS[framework], FUNCTIONS[function]
    first = np.stack([Q * np.array([float(g(x)) for x in w]) @ Q.conj().T for w, Q in zip(w, Q, strict=True)])
    second = [Q @ (divided(g, dg, w) * (Q.conj().T @ E @ Q)) @ Q.conj().T for w, Q, E in zip(w, Q, E, strict=True)]
    values = lambda A: xp.ops.eigvalsh(A) if op == "eigvalsh" else xp.ops.eigh(A)[0]  # noqa: E731
    G, H = xp.first_and_second(lambda A: f(xp, xp.real(values(A))), A, E)
    close(G, first, 1e-12, MATRIX)
    close(H, np.stack(second), 2e-9, MATRIX)
    pulled = overbar.vjp(getattr(overbar, op), A)[1]
    bar = np.array([[float(g(x)) for x in row] for row in np.linalg.eigvalsh(A)])
    close(pulled(bar if op == "eigvalsh" else (bar, None))[0], first, 1e-12, MATRIX)


TWICE = {
    "torch reverse over reverse": ("torch", "rr"),
    "torch reverse over forward": ("torch", "rf"),
    "torch forward over reverse": ("torch", "fr"),
    "torch forward over forward": ("torch", "ff"),
    "tensorflow reverse over reverse": ("tensorflow", "rr"),
    "numpy reverse over reverse": ("numpy", "rr"),
    "numpy reverse over forward": ("numpy", "rf"),
}


def second_of_a_curve(how, loss):
    """The second derivative at 0 of a function of one number, loss(front, x)."""
    framework, order = TWICE[how]
    if framework == "tensorflow":
        return TensorFlow.first_and_second(lambda x: loss(TensorFlow, x), np.zeros(()), np.ones(()))[1]
    xp = Torch if framework == "torch" else Numpy
    f = lambda x: loss(xp, x)  # noqa: E731
    if framework == "torch":
        grad, jvp, at, one = torch.func.grad, torch.func.jvp, torch.tensor(0.0).double(), torch.tensor(1.0).double()
    else:
        grad, jvp, at, one = overbar.grad, overbar.jvp, np.zeros(()), np.ones(())
    forward = lambda f: lambda x: jvp(f, (x,), (one,))[1]  # noqa: E731
    transforms = [grad if letter == "r" else forward for letter in order]
    return np.asarray(transforms[0](transforms[1](f))(at))


@pytest.mark.parametrize("how", TWICE)
@pytest.mark.parametrize("op", ["eigvalsh", "eigh"])
@pytest.mark.parametrize("values", [[1, 1, 2, 2], [1, 1, 1, 1], [3, 1, 1, 1, 2]], ids=str)
def test_a_turn_moves_no_eigenvalue(values, op, how):
    """Along e^{tS} A e^{−tS} the derivative in each block is nothing but rounding, and wants no basis. From several
    sides: the curve is in A twice, and the eigenvalues are in the loss twice."""
    rng = np.random.default_rng(len(values))
    for _ in range(5):
        n = len(values)
        Q, S = unitary(rng, n, "float64"), rng.standard_normal((n, n))
        A = Q * np.array(values, float) @ Q.T

        def loss(xp, t, A=A, S=S - S.T):
            turn = overbar.expm(t * xp.array(S))
            found = getattr(overbar, op)(turn @ xp.array(A) @ namespace(turn).mT(turn))
            w = found if op == "eigvalsh" else found[0]
            return xp.sum(w * w) * xp.sum(xp.exp(w))

        size = np.sum(np.square(values)) * np.sum(np.exp(values)) * np.sum((S - S.T) ** 2)
        assert abs(second_of_a_curve(how, loss)) < 1e-13 * size


@pytest.mark.parametrize("how", TWICE)
def test_a_turn_moves_a_projection_but_no_eigenvalue(how):
    rng = np.random.default_rng(0)
    Q, S = unitary(rng, 4, "float64"), rng.standard_normal((4, 4))
    A, P, S = Q * [1, 1, 2, 2] @ Q.T, Q * [1, 1, 0, 0] @ Q.T, S - S.T

    def loss(xp, t):
        turn = overbar.expm(t * xp.array(S))
        w, V = overbar.eigh(turn @ xp.array(A) @ namespace(turn).mT(turn))
        return xp.sum(w * w) + (V[:, :2] @ namespace(V).mT(V[:, :2]))[0, 1]

    once = S @ P - P @ S
    close(second_of_a_curve(how, loss), (S @ once - once @ S)[0, 1], 1e-11)


# -- singular values ---------------------------------------------------------------------------------------------------


def joint(X, Y=None):
    """[0 X; Xᴴ 0], or the diagonal blocks X and Y."""
    if Y is None:
        m, n = X.shape[-2:]
        return np.block([[np.zeros((len(X), m, m)), X], [X.conj().mT, np.zeros((len(X), n, n))]])
    zero = np.zeros((len(X), X.shape[-1], Y.shape[-1]))
    return np.block([[X, zero], [zero.mT, Y]])


def singular_problems(shape, values, dtype):
    """Matrices with all gaps, and the eigenvalues and vectors of [0 A; Aᴴ 0]."""
    rng = np.random.default_rng(shape)
    m, n = shape
    k = min(m, n)
    S = np.stack([spread_out(values, gap, -1) for gap in GAPS])
    U, V = (np.stack([unitary(rng, size, dtype) for _ in GAPS]) for size in shape)
    A = U[..., :k] * S[:, None] @ V[..., :k].conj().mT
    zero = np.zeros((len(GAPS), m + n - 2 * k))
    pairs = [np.concatenate([U[..., :k], sign * V[..., :k]], axis=-2) / 2**0.5 for sign in (1, -1)]
    rest = np.concatenate([U[..., k:], np.zeros((len(GAPS), n, m - k))], axis=-2)
    rest = np.concatenate([rest, np.concatenate([np.zeros((len(GAPS), m, n - k)), V[..., k:]], axis=-2)], axis=-1)
    return A, np.concatenate([S, -S, zero], axis=-1), np.concatenate([*pairs, rest], axis=-1), rng


SHAPES = pytest.mark.parametrize(
    ("shape", "values", "chosen"),
    [((4, 4), [3, 2, 2, 1], [1, 2]), ((5, 3), [2, 2, 2], [0, 1, 2]), ((3, 5), [3, 2, 2], [1, 2])],
    ids=["square", "tall", "wide"],
)


@SHAPES
@pytest.mark.parametrize("full_matrices", [False, True])
@DTYPE
@FRAMEWORK
def test_projection_on_a_space_of_singular_vectors(framework, shape, values, chosen, dtype, full_matrices):
    A, w, Q, rng = singular_problems(shape, values, dtype)
    xp, (m, n), k = FRAMEWORKS[framework], shape, min(shape)
    W, X = (hermitian(random(rng, len(GAPS), size, size, dtype=dtype)) for size in shape)
    E = random(rng, len(GAPS), m, n, dtype=dtype)
    truth = projection_truth(w, Q, joint(W, X), joint(E), [*chosen, *(k + i for i in chosen)])

    def loss(A):
        if framework == "torch":
            U, _, Vh = torch_ops.svd(A, full_matrices=full_matrices)
            V = Vh.mH
        else:
            _, U, V = tf_ops.svd(A, full_matrices=full_matrices)
        return inner(xp, W, gram(xp, U, chosen)) + inner(xp, X, gram(xp, V, chosen))

    for found, exact in zip(xp.first_and_second(loss, A, E), truth, strict=True):
        close(found, 2 * exact[:, :m, m:], 1e-9, MATRIX)


@SHAPES
@DTYPE
@FRAMEWORK
@pytest.mark.parametrize("op", ["svdvals", "lstsq"])
def test_function_of_the_singular_values(op, framework, shape, values, chosen, dtype):
    A, w, Q, rng = singular_problems(shape, values, dtype)
    xp, m, E = FRAMEWORKS[framework], shape[0], random(rng, *A.shape, dtype=dtype)
    g, dg = (lambda x: -2 * x * mpmath.exp(-x * x)), (lambda x: (4 * x * x - 2) * mpmath.exp(-x * x))
    C = Q.conj().mT @ joint(E) @ Q
    second = np.stack([Q @ (divided(g, dg, w) * C) @ Q.conj().T for w, Q, C in zip(w, Q, C, strict=True)])[:, :m, m:]

    def loss(A):
        s = overbar.svdvals(A) if op == "svdvals" else overbar.lstsq(A, xp.array(E[..., :1]))[3]
        return xp.sum(xp.exp(-s * s))

    close(xp.first_and_second(loss, A, E)[1], second, 2e-9, MATRIX)


SINGULAR = pytest.mark.parametrize(
    ("shape", "values"),
    [
        ((3, 3), [3, 2, 0]),
        ((4, 4), [3, 2, 0, 0]),
        ((5, 3), [3, 3, 0]),
        ((3, 5), [3, 0, 0]),
        ((2, 3), [0, 0]),
        ((1, 1), [0]),
    ],
    ids=str,
)
# s̄ as an odd function of σ, its slope, and the loss for a matrix of this rank
EVEN = {
    "square": (lambda x: 2 * x, lambda x: 2, lambda xp, s, rank: xp.sum(s * s)),
    "bell": (
        lambda x: -2 * x * mpmath.exp(-x * x),
        lambda x: (4 * x * x - 2) * mpmath.exp(-x * x),
        lambda xp, s, rank: xp.sum(xp.exp(-s * s)),
    ),
    "all others": (
        lambda x: 2 * x if abs(x) > 1 else 0,
        lambda x: 2 if abs(x) > 1 else 0,
        lambda xp, s, rank: xp.sum((s * s)[..., :rank]),
    ),
}


def second_of_singular_values(A, E, f):
    """The derivative of the gradient along E, for a matrix with the singular values as they come."""
    m = A.shape[-2]
    w, Q = np.linalg.eigh(joint(A[None])[0])
    w = np.where(abs(w) < 1e-8, 0, np.round(w, 8))
    C = Q.conj().T @ joint(E[None])[0] @ Q
    return (Q @ (divided(*f, w) * C) @ Q.conj().T)[:m, m:]


@SINGULAR
@DTYPE
@FRAMEWORK
@pytest.mark.parametrize("loss", EVEN)
def test_function_of_singular_values_that_is_even_at_zero(loss, framework, shape, values, dtype):
    """It is smooth there, whether it moves the zero ones or does not see them."""
    rng = np.random.default_rng(shape)
    k, xp, (*f, of) = min(shape), FRAMEWORKS[framework], EVEN[loss]
    U, V = unitary(rng, shape[0], dtype), unitary(rng, shape[1], dtype)
    A, E = (U[:, :k] * np.array(values, float)) @ V[:, :k].conj().T, random(rng, *shape, dtype=dtype)
    expected = second_of_singular_values(A, E, f)
    found = xp.first_and_second(lambda A: of(xp, overbar.svdvals(A), np.count_nonzero(values)), A, E)[1]
    assert abs(found - expected).max() < 1e-12 * abs(E).max()


@SINGULAR
@pytest.mark.parametrize("how", TWICE)
@pytest.mark.parametrize("loss", EVEN)
def test_function_of_singular_values_that_is_even_at_zero_in_every_mode(loss, how, shape, values):
    rng = np.random.default_rng(shape)
    k, (*f, of) = min(shape), EVEN[loss]
    U, V = unitary(rng, shape[0], "float64"), unitary(rng, shape[1], "float64")
    A, E = (U[:, :k] * np.array(values, float)) @ V[:, :k].T, rng.standard_normal(shape)
    expected = np.sum(E * second_of_singular_values(A, E, f))
    rank = np.count_nonzero(values)
    found = second_of_a_curve(how, lambda xp, t: of(xp, overbar.svdvals(xp.array(A) + t * xp.array(E)), rank))
    assert abs(found - expected) < 1e-11 * np.sum(E * E)


@pytest.mark.parametrize("how", TWICE)
@pytest.mark.parametrize("values", [[1, 1, 1], [2, 2, 1], [2, 2, 0], [2, 0, 0]], ids=str)
def test_turns_move_no_singular_value(values, how):
    """As those of perfect correlations, which are stationary: along e^{tS} A e^{tR} each block is rounding."""
    rng = np.random.default_rng(values)
    for _ in range(5):
        U, V, S, R = unitary(rng, 3, "float64"), unitary(rng, 4, "float64"), *rng.standard_normal((2, 4, 4))
        A, S, R = (U * np.array(values, float)) @ V[:, :3].T, (S - S.T)[:3, :3], R - R.T

        def loss(xp, t, A=A, S=S, R=R):
            s = overbar.svdvals(overbar.expm(t * xp.array(S)) @ xp.array(A) @ overbar.expm(t * xp.array(R)))
            return xp.sum(s * s) * xp.sum(xp.exp(-s * s))

        assert abs(second_of_a_curve(how, loss)) < 1e-12 * np.sum(R * R)


@SINGULAR
@FRAMEWORK
def test_a_kink_at_the_singular_value_zero_has_no_second_derivative(framework, shape, values):
    """But where the direction keeps the rank, it is that of the others."""
    rng, xp = np.random.default_rng(shape), FRAMEWORKS[framework]
    k = min(shape)
    U, V = unitary(rng, shape[0], "float64"), unitary(rng, shape[1], "float64")
    A = (U[:, :k] * np.array(values, float)) @ V[:, :k].T
    loss = lambda A: xp.sum(overbar.svdvals(A))  # noqa: E731
    assert np.isnan(xp.first_and_second(loss, A, rng.standard_normal(shape))[1]).all()
    if any(values):
        assert np.isfinite(xp.first_and_second(loss, A, A @ V @ V.T)[1]).all()


def test_two_gradients_through_one_call_at_the_singular_value_zero():
    """Of two directions in one sum of cotangents only what they have in common is known."""
    A, E = np.diag([3.0, 2.0, 0.0, 0.0]), np.random.default_rng(0).standard_normal((2, 4, 4))
    x = torch.tensor(A, requires_grad=True)
    s = overbar.svdvals(x)
    first, other = (torch.autograd.grad(z, x, create_graph=True)[0] for z in ((s**2).sum(), (s**4).sum()))
    for directions in (E, E[[0, 0]]):
        products = (torch.tensor(directions[0]) * first).sum() + (torch.tensor(directions[1]) * other).sum()
        H = torch.autograd.grad(products, x, retain_graph=True)[0].numpy()
        if directions is E:
            assert np.isnan(H).all()
        else:
            close(H, 2 * E[0] + fourth(A, E[0]), 1e-11)


def fourth(A, E):
    """The derivative of 4 A AᵀA along E."""
    return 4 * (E @ A.T @ A + A @ E.T @ A + A @ A.T @ E)


# -- one value beside others that have a kink --------------------------------------------------------------------------


def mixed_derivatives(values, A, E, F, digits=60):
    """∂²/∂s∂t of the values of A + sE + tF in descending order, by differences with so many digits."""
    with mpmath.workdps(digits):
        h = mpmath.mpf(10) ** (-digits // 5)
        A, E, F = (mpmath.matrix(X.tolist()) for X in (A, E, F))
        at = lambda s, t: np.array(sorted(values(A + s * h * E + t * h * F), reverse=True))  # noqa: E731
        found = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / (4 * h * h)
        return np.array([float(x) for x in found])


def forward_twice(framework, f, A, E, F):
    """Forward over forward mode along both."""
    if framework == "torch":
        A, E, F = map(torch.tensor, (A, E, F))
        return torch.func.jvp(lambda X: torch.func.jvp(f, (X,), (E,))[1], (A,), (F,))[1].numpy()
    if framework == "tensorflow":
        A, E, F = map(tf.constant, (A, E, F))
        with tf.autodiff.ForwardAccumulator(A, F) as outer, tf.autodiff.ForwardAccumulator(A, E) as inner:
            found = f(A)
        return outer.jvp(inner.jvp(found)).numpy()
    return overbar.jvp(lambda X: overbar.jvp(f, (X,), (E,))[1], (A,), (F,))[1]


OF_SINGULAR_VALUES = {
    "svdvals": overbar.svdvals,
    "svd": lambda A: overbar.svd(A, full_matrices=False)[1],
    "lstsq": lambda A: overbar.lstsq(A, A[..., :1])[3],
}
OF_EIGENVALUES = {
    "eigvalsh": overbar.eigvalsh,
    "eigh": lambda A: overbar.eigh(A)[0],
    "eigh_generalized": lambda A: overbar.eigh_generalized(A, namespace(A).eye_like(A))[0],
}
EVERY = pytest.mark.parametrize("framework", ["numpy", "torch", "tensorflow"])


@EVERY
@pytest.mark.parametrize("op", OF_SINGULAR_VALUES)
@pytest.mark.parametrize(
    ("shape", "values"), [((3, 3), [1.2, 1, 0]), ((4, 3), [2, 1, 0]), ((5, 5), [3, 2, 2, 1, 0]), ((3, 5), [3, 0, 0])]
)
def test_the_kink_of_one_singular_value_is_none_of_another(shape, values, op, framework):
    """Forward over forward along directions of which one raises the zero ones and the other would lower them, or that
    have no common basis. At diag(1.2, 1, 0) there is no rounding at all."""
    rng = np.random.default_rng(5)
    k, values = min(shape), np.array(values, float)
    E, F = rng.standard_normal((2, *shape))
    U, V = unitary(rng, shape[0], "float64")[:, :k], unitary(rng, shape[1], "float64")[:, :k]
    A = U * values @ V.T
    if values[0] == 1.2:
        A, E = np.diag(values), np.ones(shape)
        F = E - 2 * np.diag([0, 0, 1.0])
    elif shape == (5, 5):
        F = -F if (U[:, -1] @ E @ V[:, -1]) * (U[:, -1] @ F @ V[:, -1]) > 0 else F
    expected = mixed_derivatives(lambda X: mpmath.svd_r(X, compute_uv=False), A, E, F)
    found = forward_twice(framework, OF_SINGULAR_VALUES[op], A, E, F)
    simple = (np.sum(values[:, None] == values, axis=-1) == 1) & (values > 0)
    np.testing.assert_array_equal(np.isnan(found), ~simple)
    close(found[simple], expected[simple], 1e-12)


@EVERY
@pytest.mark.parametrize("op", OF_EIGENVALUES)
@pytest.mark.parametrize("values", [[3, 1, 1], [4, 2, 2, 1, 1], [5, 1, 1, 1, 0]], ids=str)
def test_the_kink_of_equal_eigenvalues_is_none_of_another(values, op, framework):
    rng = np.random.default_rng(5)
    Q, values = unitary(rng, len(values), "float64"), np.array(values, float)
    A, (E, F) = hermitian(Q * values @ Q.T), hermitian(rng.standard_normal((2, *Q.shape)))
    expected = mixed_derivatives(lambda X: mpmath.eigsy(X, eigvals_only=True), A, E, F)
    found = forward_twice(framework, OF_EIGENVALUES[op], A, E, F)[::-1]
    simple = np.sum(values[:, None] == values, axis=-1) == 1
    np.testing.assert_array_equal(np.isnan(found), ~simple)
    close(found[simple], expected[simple], 1e-12)


LOW_RANK = {
    "product": (lambda A: overbar.svdvals(A)[:2].prod(), lambda A: torch.linalg.svdvals(A)[:2].prod()),
    "projected": (lambda A: _rank_two(*overbar.svd(A)), lambda A: _rank_two(*torch.linalg.svd(A))),
    "squares": (lambda A: (overbar.svdvals(A) ** 2).sum(), lambda A: (A * A).sum()),
    "fourth powers": (lambda A: (overbar.svdvals(A) ** 4).sum(), lambda A: (A @ A.mT @ A @ A.mT).trace()),
}


def _rank_two(U, S, Vh):
    return (((U[:, :2] * S[:2]) @ Vh[:2]) * torch.arange(9.0, dtype=S.dtype).reshape(3, 3).cos()).sum()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("loss", LOW_RANK)
@pytest.mark.parametrize("outer", ["jacrev", "jacfwd"])
@pytest.mark.parametrize("inner", ["jacrev", "jacfwd"])
def test_hessian_of_what_is_smooth_at_the_singular_value_zero(inner, outer, loss, turned):
    """In each row of jacrev(jacfwd(f)) one direction of many counts. (In jacfwd(jacfwd(f)) the zero ones themselves
    have no second derivatives along two directions.)"""
    rng = np.random.default_rng(1)
    A = np.diag([1.2, 1, 0])
    A = torch.tensor(unitary(rng, 3, "float64") @ A @ unitary(rng, 3, "float64") if turned else A)
    of, (ours, other) = torch.func, LOW_RANK[loss]
    found = getattr(of, outer)(getattr(of, inner)(ours))(A).numpy()
    expected = of.jacfwd(of.jacrev(other))(A).numpy()
    known = np.full(found.shape, True)
    if inner == outer == "jacfwd" and loss in ("squares", "fourth powers"):
        known = ~np.isnan(found)
    assert error(found[known], expected[known]) < 1e-12


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("values", [[1, 1, 2, 2], [1, 1, 1, 1], [3, 0, 0, 0]], ids=str)
def test_a_jacobian_of_a_forward_one_at_equal_eigenvalues(values, dtype):
    """Of Σ e^w and its product with Σ w², whose directional derivatives want another basis for each direction."""
    Q = unitary(np.random.default_rng(3), 4, "float64")
    A = torch.tensor(hermitian(Q * np.array(values, float) @ Q.T).astype(dtype))
    half = lambda X: (X + X.mT) / 2  # noqa: E731

    def ours(X):
        w = overbar.eigvalsh(half(X))
        return torch.stack([w.exp().sum(), w.exp().sum() * (w * w).sum()])

    def other(X):
        trace = torch.linalg.matrix_exp(half(X)).trace()
        return torch.stack([trace, trace * (half(X) ** 2).sum()])

    jacrev, jacfwd = torch.func.jacrev, torch.func.jacfwd
    found, expected = jacrev(jacfwd(ours))(A).numpy(), jacfwd(jacrev(other))(A.double()).numpy()
    assert error(found, expected) < (1e-12 if dtype == "float64" else 1e-5)


def test_derivatives_along_several_directions_at_once():
    """Of a sum of those of Σ σ² at zero ones only what they have in common is known, also where all that is seen of
    them cancels; a kink has no derivative in reverse over forward mode, and others beside it have theirs."""
    rng = np.random.default_rng(2)
    A = torch.tensor(unitary(rng, 4, "float64") * np.array([2.0, 1, 0, 0]) @ unitary(rng, 4, "float64"))
    E = torch.tensor(rng.standard_normal((4, 4)))

    def gradient(directions, weights):
        def loss(A):
            along = lambda E: torch.func.jvp(lambda A: (overbar.svdvals(A) ** 2).sum(), (A,), (E,))[1]  # noqa: E731
            return (torch.func.vmap(along)(directions) * torch.tensor(weights).double()).sum()

        return torch.func.grad(loss)(A).numpy()

    assert np.isnan(gradient(torch.stack([E, -E]), [1, -1])).all()
    assert np.isnan(gradient(torch.stack([E, E.mT]), [1, 1])).all()
    close(gradient(torch.stack([E, E]), [1, 2]), 6 * E.numpy(), 1e-12)
    close(gradient(torch.stack([E.mT, E]), [0, 1]), 2 * E.numpy(), 1e-12)
    rows = torch.func.jacrev(torch.func.jacfwd(overbar.svdvals))(A).numpy()
    assert np.isnan(rows[2:]).all()
    assert error(rows[:2], torch.func.jacfwd(torch.func.jacrev(torch.linalg.svdvals))(A)[:2].numpy()) < 1e-11


@FRAMEWORK
def test_polar_factor_from_singular_vectors_twice(framework):
    A, *_, rng = singular_problems((4, 4), [3, 2, 2, 2], "float64")
    W, E, xp = rng.standard_normal(A.shape), rng.standard_normal(A.shape), FRAMEWORKS[framework]

    def by_svd(A):
        if framework == "torch":
            U, _, Vh = torch_ops.svd(A)
            return U @ Vh
        _, U, V = tf_ops.svd(A)
        return U @ tf.linalg.adjoint(V)

    truth = xp.first_and_second(lambda A: inner(xp, W, xp.ops.polar(A)[0]), A, E)
    for found, exact in zip(xp.first_and_second(lambda A: inner(xp, W, by_svd(A)), A, E), truth, strict=True):
        close(found, exact, 1e-9, MATRIX)


# -- what cannot be known ----------------------------------------------------------------------------------------------


def matrices():
    """Two of equal eigenvalues, and a harmless one in the same batch."""
    rng = np.random.default_rng(0)
    Q = np.stack([unitary(rng, 3, "float64") for _ in range(3)])
    Q[0] = np.eye(3)
    w = np.array([[2.0, 2, 2], [1, 1, 2], [1, 2, 4]])
    return hermitian(Q * w[:, None] @ Q.mT), w, Q


def weighted(xp, W):
    def loss(w, V):
        return inner(xp, W, (V * xp.exp(w)[..., None, :]) @ namespace(V).mT(V))

    return loss


WEIGHTS = {
    "any": np.random.default_rng(1).standard_normal((3, 3)),
    "ones": np.ones((3, 3)),
    "one": np.eye(3)[:1].T * np.eye(3)[1],
}


@pytest.mark.parametrize("weights", WEIGHTS)
@FRAMEWORK
def test_a_function_of_a_matrix_from_vectors_is_nan_with_a_warning(framework, weights):
    A, w, Q = matrices()
    W, xp = np.broadcast_to(WEIGHTS[weights], A.shape), FRAMEWORKS[framework]
    with pytest.warns(RuntimeWarning, match=r"eigh: .*equal eigenvalues.*spectral_function") as caught:
        G, H = xp.first_and_second(lambda A: weighted(xp, W)(*xp.ops.eigh(A)), A, hermitian(np.ones_like(A)))
    assert {warning.filename for warning in caught} == {__file__}
    for found in (G, H):
        assert np.isnan(found[:2]).all()
        assert np.isfinite(found[2]).all()
    D = divided(mpmath.exp, mpmath.exp, w[2]) * (Q[2].T @ (W[2] + W[2].T) / 2 @ Q[2])
    close(G[2], Q[2] @ D @ Q[2].T, 1e-12, MATRIX)


def test_a_function_of_a_matrix_from_vectors_is_nan_in_numpy():
    A, w, _ = matrices()
    (w, V), pullback = overbar.vjp(overbar.eigh, A)
    W = WEIGHTS["any"] + WEIGHTS["any"].T
    w_bar = np.exp(w) * np.einsum("bik,ij,bjk->bk", V, W, V) / 2
    with pytest.warns(RuntimeWarning, match="spectral_function"):
        (G,) = pullback((w_bar, W @ V * np.exp(w)[:, None]))
    assert np.isnan(G[:2]).all()
    assert np.isfinite(G[2]).all()


@FRAMEWORK
def test_the_trace_of_it_is_known(framework):
    A, w, Q = matrices()
    xp = FRAMEWORKS[framework]
    G, H = xp.first_and_second(lambda A: weighted(xp, np.stack([np.eye(3)] * 3))(*xp.ops.eigh(A)), A, A)
    exact = Q * np.exp(w)[:, None] @ Q.mT
    close(G, exact, 1e-12, MATRIX)
    close(H, A @ exact, 1e-12, MATRIX)


@pytest.mark.parametrize(
    ("gap", "precision"), [(1e-16, None), (1e-14, 5e-2), (5e-14, 2e-2), (1e-12, 2e-3), (1e-10, 1e-5)]
)
@FRAMEWORK
def test_where_no_digit_is_known_it_is_nan(framework, gap, precision):
    rng, xp = np.random.default_rng(0), FRAMEWORKS[framework]
    Q = unitary(rng, 3, "float64")
    A, W = hermitian(Q * [1, 1 + gap, 3] @ Q.T), hermitian(rng.standard_normal((3, 3)))
    loss = lambda A: weighted(xp, W)(*xp.ops.eigh(A))  # noqa: E731
    if precision:
        truth = Q @ (divided(mpmath.exp, mpmath.exp, [1, 1 + gap, 3]) * (Q.T @ W @ Q)) @ Q.T
        close(xp.first_and_second(loss, A, W)[0], truth, precision, MATRIX)
    else:
        with pytest.warns(RuntimeWarning, match="spectral_function"):
            assert np.isnan(xp.first_and_second(loss, A, W)[0]).all()


def root_truth(U, w, V, W):
    """The gradient of ⟨W, U √w Vᵀ⟩ with respect to U w Vᵀ, by (√a − √b)/(a − b) = 1/(√a + √b)."""
    r, M = np.sqrt(w), U.T @ W @ V
    symmetric, rest = (M + M.T) / 2, (M - M.T) / 2
    return U @ (symmetric / (r[:, None] + r) + rest * (r[:, None] + r) / (w[:, None] + w)) @ V.T


@pytest.mark.parametrize("relative_gap", [100, 1e3, 1e5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["eigh", "svd"])
@FRAMEWORK
def test_a_function_of_a_matrix_from_vectors_loses_its_rounding_over_the_gap_and_no_more(
    framework, name, dtype, relative_gap
):
    """Brackets of this loss are as small as the gap. They are not to be taken for rounding."""
    rng, xp, n = np.random.default_rng(0), FRAMEWORKS[framework], 30
    eps = np.finfo(dtype).eps
    w = np.linspace(1, 4, n)
    w[n // 2 :: 5] = w[n // 2 - 1 : -1 : 5] + 4 * relative_gap * eps
    U = unitary(rng, n, "float64")
    V = U if name == "eigh" else unitary(rng, n, "float64")
    A, W = (U * w @ V.T).astype(dtype), rng.standard_normal((n, n)).astype(dtype)

    def root(A):
        if name == "eigh":
            w, V = xp.ops.eigh(A)
            return (V * xp.sqrt(w)[..., None, :]) @ namespace(V).mT(V)
        U, S, Vh = xp.svd(A)
        return (U * xp.sqrt(S)[..., None, :]) @ Vh

    G = np.asarray(xp.gradient(lambda A: inner(xp, W, root(A)), A), "float64")
    if name == "eigh":
        w, V = np.linalg.eigh(A.astype("float64"))
        G, truth = hermitian(G), hermitian(root_truth(V, w, V, W.astype("float64")))
    else:
        U, S, Vh = np.linalg.svd(A.astype("float64"))
        truth = root_truth(U, S, Vh.T, W.astype("float64"))
    assert abs(G - truth).max() < 2 / relative_gap * abs(truth).max()


@pytest.mark.parametrize("n", [20, 100])
@FRAMEWORK
def test_eigenvalues_that_merely_lie_dense_have_a_derivative(framework, n):
    """In single precision the closest of a hundred random ones are a thousand units in the last place apart."""
    rng, xp = np.random.default_rng(n), FRAMEWORKS[framework]
    for _ in range(3):
        B, W = rng.standard_normal((2, n, n)).astype("float32")
        A = hermitian(B) + 3 * np.float32(n) ** 0.5 * np.eye(n, dtype="float32")

        def root(A):
            w, V = xp.ops.eigh(A)
            return (V * xp.sqrt(w)[..., None, :]) @ namespace(V).mT(V)

        G = hermitian(np.asarray(xp.gradient(lambda A: inner(xp, W, root(A)), A), "float64"))  # noqa: B023
        w, V = np.linalg.eigh(A.astype("float64"))
        truth = hermitian(root_truth(V, w, V, W.astype("float64")))
        assert abs(G - truth).max() < 5e-3 * abs(truth).max()


def whitened(xp, X, name, function):
    """f(XᵀX/m), from the vectors and values."""
    A = namespace(X).mT(X) @ X / X.shape[-2]
    A = A + 4e-6 * namespace(A).eye_like(A)
    if name == "eigh":
        w, V = xp.ops.eigh(A)
        U = V
    else:
        U, w, Vh = xp.svd(A)
        V = namespace(X).mT(Vh)
    f = 1 / xp.sqrt(w + 1e-5) if function == "root" else xp.log(w + 1e-6)
    return U @ namespace(X).mT(V * f[..., None, :])


@pytest.mark.parametrize("n", [8, 24])
@pytest.mark.parametrize("function", ["root", "logarithm"])
@pytest.mark.parametrize(("framework", "name"), [("torch", "eigh"), ("tensorflow", "eigh"), ("torch", "svd")])
def test_values_that_are_equal_beside_the_largest_and_distinct_for_the_function(framework, name, function, n):
    """In single precision covariances of features of very different sizes have many within rounding of one another,
    relative to the largest. What f makes of them belongs to them as numbers, and is divided by differences of these.
    (TensorFlow's own svd has no digits of the small ones.)"""
    rng, xp = np.random.default_rng(n), FRAMEWORKS[framework]
    X = rng.standard_normal((200, n)) * np.logspace(0, -4, n)
    W = rng.standard_normal((n, n))

    def gradient(dtype):
        def loss(X):
            C = whitened(xp, X, name, function)
            return xp.sum((X @ C) ** 3) + inner(xp, W.astype(dtype), C)

        return np.asarray(xp.gradient(loss, X.astype(dtype)), "float64")

    exact = gradient("float64")
    assert np.linalg.norm(gradient("float32") - exact) < 1e-4 * np.linalg.norm(exact)


SMALL = pytest.mark.parametrize("size", [0.0, 1e-13, 1e-9, 1e-5, 1.0])


def small_and_equal(size, dtype):
    """A matrix with two eigenvalues that are small and equal, weights, a direction; and the two derivatives of the
    projection on their vectors and the sum of their squares."""
    rng, w = np.random.default_rng(11), np.array([size, size, 3.0, 5.0])
    Q = unitary(rng, 4, dtype)
    W, E = (hermitian(random(rng, 4, 4, dtype=dtype)) for _ in range(2))
    M, C = Q.conj().mT @ W @ Q, Q.conj().mT @ E @ Q
    G, H = along(Q, M, C, *step(w, [0, 1]))
    slope = 2 * w * (w < 2)
    gap = w[:, None] - w
    D = np.where(gap == 0, 2.0 * (w < 2), (slope[:, None] - slope) / np.where(gap == 0, 1, gap))
    G, H = G + (Q * slope) @ Q.conj().mT, H + Q @ (D * C) @ Q.conj().mT
    return hermitian((Q * w) @ Q.conj().mT), W, E, G, H


@SMALL
@DTYPE
@FRAMEWORK
def test_values_whose_bars_are_rounding_do_not_make_nan(framework, dtype, size):
    """w̄ = 2w of eigenvalues that are equal and zero is as unequal as rounding is."""
    A, W, E, first, second = small_and_equal(size, dtype)
    xp = FRAMEWORKS[framework]

    def loss(A):
        w, V = xp.ops.eigh(A)
        return inner(xp, W, gram(xp, V, [0, 1])) + xp.sum(xp.real(w)[:2] ** 2)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        G, H = xp.first_and_second(loss, A, E)
    close(G, first, 1e-12)
    close(H, second, 1e-10)


@SMALL
@DTYPE
@pytest.mark.parametrize("function", ["eigh", "eigh_generalized", "svd"])
def test_values_whose_bars_are_rounding_do_not_make_nan_in_numpy(function, dtype, size):
    A, W, E, _, _ = small_and_equal(size, dtype)
    if function == "eigh_generalized":
        B = hermitian(np.eye(4) + np.diag([0.3, 0.2, 0.1], 1))
        L = np.linalg.cholesky(B)
        A, E = (hermitian(L @ X @ L.conj().mT) for X in (A, E))

    def loss(A):
        if function == "svd":
            _, S, Vh = overbar.svd(A, full_matrices=False)
            w, V = S[2:], overbar.mH(Vh[2:])
        else:
            w, V = overbar.eigh(A) if function == "eigh" else overbar.eigh_generalized(A, B)
            w, V = w[:2], V[:, :2]
        return overbar.sum(overbar.real(W.conj() * (V @ overbar.mH(V)))) + overbar.sum(w**2)

    if function == "svd" and size < 1e-12:  # a singular value of zero is none that moves both ways
        size = 1e-9
        A = small_and_equal(size, dtype)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        G = overbar.grad(loss)(A)
    _, forward = overbar.jvp(loss, (A,), (E,))
    close(np.sum((G.conj() * E).real), forward, 1e-6 if function == "svd" else 1e-11)


@SMALL
@pytest.mark.parametrize("scale", [1e-60, 1.0, 1e60])
def test_bars_that_differ_still_make_nan(size, scale):
    """Vectors of equal eigenvalues with bars of their own, that are not small beside what else there is."""
    A, W, _, _, _ = small_and_equal(size, "float64")

    def loss(A):
        w, V = overbar.eigh(A)
        return overbar.sum(W * (V[:, :2] @ overbar.mT(V[:, :2]))) + w[0] * (1e-5 / scale)

    with pytest.warns(RuntimeWarning, match="eigh"):
        assert np.isnan(overbar.grad(loss)(A * scale)).all()


@FRAMEWORK
def test_one_vector_of_these_is_nan(framework):
    """Its derivative has the gap in the denominator alone, and no digit of that is known."""
    rng, xp = np.random.default_rng(8), FRAMEWORKS[framework]
    X = (rng.standard_normal((200, 8)) * np.logspace(0, -4, 8)).astype("float32")
    A, W = X.T @ X / 200, hermitian(rng.standard_normal((8, 8)).astype("float32"))

    def loss(A, *columns):
        w, V = xp.ops.eigh(A)
        smooth = inner(xp, W, (V / xp.sqrt(w + 1e-5)[..., None, :]) @ namespace(V).mT(V)) / 100
        return smooth + inner(xp, W, gram(xp, V, columns)) if columns else smooth

    assert np.isfinite(xp.gradient(loss, A)).all()
    with pytest.warns(RuntimeWarning, match="spectral_function"):
        assert np.isnan(xp.gradient(lambda A: loss(A, 0), A)).all()


@FRAMEWORK
def test_a_vector_out_of_a_space_is_nan(framework):
    """A projection on some of the vectors to equal eigenvalues."""
    A, *_ = matrices()
    xp, W = FRAMEWORKS[framework], np.broadcast_to(hermitian(WEIGHTS["any"]), A.shape)
    with pytest.warns(RuntimeWarning, match="spectral_function"):
        G, _ = xp.first_and_second(lambda A: inner(xp, W, gram(xp, xp.ops.eigh(A)[1], [1])), A, A)
    assert np.isnan(G[:2]).all()
    assert np.isfinite(G[2]).all()


@FRAMEWORK
def test_other_decompositions_are_nan_there_too(framework):
    A, *_ = matrices()
    xp, W = FRAMEWORKS[framework], np.broadcast_to(WEIGHTS["any"], A.shape)
    B = np.stack([np.eye(3)] * 3)
    generalised = lambda A: weighted(xp, W)(*xp.ops.eigh_generalized(A, xp.array(B)))  # noqa: E731
    options = {} if framework == "torch" else {"eigvals_only": False}

    def tridiagonal(d):
        return weighted(xp, W)(*xp.ops.eigh_tridiagonal(d, xp.array(np.zeros((3, 2))), **options))

    def by_svd(A):
        if framework == "torch":
            U, S, Vh = torch_ops.svd(A)
            return inner(xp, W, (U * S[..., None, :]) @ Vh)
        S, U, V = tf_ops.svd(A)
        return inner(xp, W, (U * S[..., None, :]) @ tf.linalg.adjoint(V))

    d = np.array([[2.0, 2, 2], [1, 1, 2], [1, 2, 4]])
    for loss, array in ((generalised, A), (tridiagonal, d), (by_svd, A)):
        with pytest.warns(RuntimeWarning, match="NaN"):
            G, _ = xp.first_and_second(loss, array, array)
        assert np.isnan(G[:2]).all()
        assert np.isfinite(G[2]).all()


@FRAMEWORK
def test_vectors_to_the_singular_value_zero_are_nan(framework):
    """U Vᴴ of a singular matrix has no derivative; the projection on the range has, if the rank stays."""
    xp, rng = FRAMEWORKS[framework], np.random.default_rng(0)
    X, W = rng.standard_normal((5, 2)) @ rng.standard_normal((2, 3)), rng.standard_normal((5, 3))
    G5 = hermitian(rng.standard_normal((5, 5)))

    def factors(A):
        if framework == "torch":
            U, S, Vh = torch_ops.svd(A, full_matrices=False)
            return U, S, Vh.mH
        S, U, V = tf_ops.svd(A)
        return U, S, V

    def polar(A):
        U, _, V = factors(A)
        return inner(xp, W, U @ namespace(V).mT(V))

    with pytest.warns(RuntimeWarning, match="polar"):
        assert np.isnan(xp.first_and_second(polar, X, X)[0]).all()
    G, _ = xp.first_and_second(lambda A: inner(xp, G5, gram(xp, factors(A)[0], [0, 1])), X, X)
    P, inverse = X @ np.linalg.pinv(X), np.linalg.pinv(X)
    close(G, 2 * (np.eye(5) - P) @ G5 @ P @ inverse.T, 1e-9, MATRIX)


def test_the_warning_comes_once_for_a_place():
    program = """
import torch, torch_ops
for _ in range(3):
    x = torch.eye(3, dtype=torch.float64, requires_grad=True)
    w, V = torch_ops.eigh(x)
    (V * w.exp() @ V.mT).sum().backward()
    assert x.grad.isnan().all()
"""
    done = run_python("-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("RuntimeWarning") == 1
    assert "<string>:6" in done.stderr


def test_where_numbers_cannot_be_looked_at_it_is_nan_without_a_warning():
    A, *_ = matrices()
    W = WEIGHTS["any"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = torch.func.vmap(torch.func.grad(lambda A: weighted(Torch, W)(*torch_ops.eigh(A))))(torch.tensor(A))
        assert found.isnan().flatten(1).all(1).tolist() == [True, True, False]

        @tf.function
        def gradient(A):
            with tf.GradientTape() as tape:
                tape.watch(A)
                value = weighted(TensorFlow, np.broadcast_to(W, A.shape))(*tf_ops.eigh(A))
            return tape.gradient(value, A)

        assert np.isnan(gradient(tf.constant(A)).numpy()).all((-2, -1)).tolist() == [True, True, False]


# -- weights that are zero where the value is --------------------------------------------------------------------------


def ridge(rng, shape, rank, dtype, batch=()):
    """A of low rank, y, and by the normal equations the gradient of |x|², x = (AᴴA + 1/2)⁻¹ Aᴴ y."""
    kind = "complex128" if np.dtype(dtype).kind == "c" else "float64"
    m, n = shape
    A = random(rng, *batch, m, rank, dtype=kind) @ random(rng, *batch, rank, n, dtype=kind)
    y = random(rng, m, 1, dtype=kind)
    M = A.conj().mT @ A + np.eye(n) / 2
    x = np.linalg.solve(M, A.conj().mT @ y)
    G = np.linalg.solve(M, x)
    gradient = 2 * (y @ G.conj().mT - A @ (x @ G.conj().mT + G @ x.conj().mT))
    return A.astype(dtype), y.astype(dtype), gradient


def sizes_of_ridges(svd, A, y, scale=1.0):
    """The sum of these |x|² by singular values, for A and y that are divided by `scale`."""
    xp = namespace(A)
    U, s, Vh = svd(A, full_matrices=False)
    s = s / scale
    x = xp.mH(Vh) @ (xp.cast(s / (s**2 + 0.5), A)[..., None] * (xp.mH(U) @ y))
    return (abs(x) ** 2).sum()


@pytest.mark.parametrize("shape, rank", [((6, 4), 3), ((6, 4), 2), ((5, 4), 2), ((4, 4), 2), ((4, 6), 2)])
@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32"])
def test_weights_that_vanish_twice_at_the_singular_value_zero(shape, rank, dtype):
    """Their vectors' cotangents are as ε², and it is nothing that these depend on which vectors they are."""
    A, y, expected = ridge(np.random.default_rng(2), shape, rank, dtype, (2,))
    tolerance = 1e-4 if dtype == "float32" else 1e-10
    close(overbar.grad(lambda A: sizes_of_ridges(overbar.svd, A, y))(A), expected, tolerance, MATRIX)
    x = torch.tensor(A, requires_grad=True)
    sizes_of_ridges(torch_ops.svd, x, torch.tensor(y)).backward()
    close(x.grad, expected, tolerance, MATRIX)
    one = torch.func.vmap(torch.func.grad(lambda A: sizes_of_ridges(torch_ops.svd, A, torch.tensor(y))))
    close(one(torch.tensor(A)), expected, tolerance, MATRIX)


def tall_and_flat(A, y):
    s, U, V = tf_ops.svd(A)
    s = tf.cast(s, A.dtype)
    x = (s / (s**2 + 0.5))[..., None] * (tf.linalg.adjoint(U) @ y)
    return tf.reduce_sum(tf.abs(V @ x) ** 2)


@pytest.mark.parametrize("static", [True, False])
def test_weights_that_vanish_twice_at_the_singular_value_zero_in_tensorflow(static):
    A, y, expected = ridge(np.random.default_rng(4), (6, 4), 2, "float64", (2,))
    shape = A.shape if static else [None] * 3

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float64)])
    def graph(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            loss = tall_and_flat(A, tf.constant(y))
        return tape.gradient(loss, A)

    close(graph(tf.constant(A)), expected, 1e-10, MATRIX)


@pytest.mark.parametrize("scale", [2.0**330, 2.0**-330])
def test_weights_that_vanish_twice_at_the_singular_value_zero_at_any_scale(scale):
    A, y, expected = ridge(np.random.default_rng(4), (6, 4), 2, "float64")
    close(overbar.grad(lambda A: sizes_of_ridges(overbar.svd, A, y, scale))(A * scale) * scale, expected)


@pytest.mark.parametrize("scale", [1.0, 2.0**330, 2.0**-330])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("weight", [1.0, 1e-8, 1e-18, "odd"])
def test_a_weight_that_does_not_vanish_is_none_of_these(weight, dtype, scale):
    """What depends on the vectors to zero, of however small a weight, and what vanishes once: no rule of `svd` knows
    the slope of f in U f(S) Vᴴ."""
    rng = np.random.default_rng(6)
    A, y, _ = ridge(rng, (6, 4), 2, dtype)
    W = random(rng, 6, 4, dtype=dtype)

    def loss(A):
        U, s, Vh = overbar.svd(A, full_matrices=False)
        s = s / scale
        first = np.sum(np.abs(U[:, :1].mT @ y) ** 2) + np.sum(s**2)
        if weight == "odd":
            return first + np.sum(np.real(W.conj() * ((U * (s / (s**2 + 0.5))) @ Vh)))
        return first + weight * np.sum(np.abs(U[:, 3:].mT @ y) ** 2)

    with pytest.warns(RuntimeWarning, match="more than one that is zero"):
        assert np.isnan(overbar.grad(loss)(A * scale)).all()


@pytest.mark.parametrize("n", [4, 30, 60])
@pytest.mark.parametrize("power", [3, 4])
def test_weights_that_are_zero_to_second_order_are_seen_in_no_second_derivative(power, n):
    """Eigenvalues that should be zero are rounding, which grows with n. (With w² the second derivative is NaN.)"""
    rng = np.random.default_rng(n)
    A = rng.standard_normal((n, n // 2))
    A, W, E = A @ A.T / n, rng.standard_normal((n, n)), hermitian(rng.standard_normal((n, n)))

    def f(A):
        w, V = overbar.eigh(A)
        return np.sum(W * ((V * w**power) @ V.T))

    found = overbar.hvp(f, (A,), E)[0]
    expected = overbar.hvp(lambda A: np.sum(W * overbar.matrix_power(hermitian(A), power)), (A,), E)[0]
    close(found, expected, 1e-11)
