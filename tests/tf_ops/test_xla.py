"""What is computed on the host elsewhere, under XLA: values of the kernels' own ways there, beside NumPy's.

May import all of the package, and tensorflow. tests/consistency has the derivatives of each primitive under XLA.
"""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
from tests.compare import error  # noqa: E402
from tf_ops import _jacobi, _schur, _tridiagonal  # noqa: E402
from tf_ops._schur import schur_forms  # noqa: E402

DTYPES = [np.float64, np.float32, np.complex128, np.complex64]

# XLA takes seconds to compile a Schur form
pytestmark = pytest.mark.slow


def under_xla(function, *arrays, unknown=False):
    """`unknown`: the sizes, while the graph is built."""
    specs = [tf.TensorSpec([None] * a.ndim if unknown else a.shape, a.dtype) for a in arrays]
    found = tf.function(function, specs, autograph=False, jit_compile=True)(*map(tf.constant, arrays))
    return [x.numpy() for x in found] if isinstance(found, (list, tuple)) else found.numpy()


def normal(*shape, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal(shape)
    return (A + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else A).astype(dtype)


# -- LU ----------------------------------------------------------------------------------------------------------------

# less than a panel of columns, one, and several; tall and wide; none
SHAPES = [(4, 4), (2, 5, 5), (3, 2, 7, 4), (3, 4, 7), (70, 70), (2, 100, 40), (40, 100), (1, 1), (2, 0, 0), (0, 3, 3)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [*SHAPES, (2, 3, 0)])
def test_lu(shape, dtype):
    A = normal(*shape, dtype=dtype)
    LU, pivots = under_xla(overbar.lu_factor, A)
    expected, of_lapack = overbar.lu_factor(A)
    np.testing.assert_array_equal(pivots, of_lapack)
    assert pivots.dtype == of_lapack.dtype
    assert error(LU, expected) < 200 * np.finfo(dtype).eps
    P, L, U = under_xla(overbar.lu, A)
    assert error(P @ L @ U, A) < 50 * np.finfo(dtype).eps


def test_lu_of_unknown_sizes():
    A = normal(2, 40, 35)
    found = under_xla(overbar.lu_factor, A, unknown=True)
    for mine, other in zip(found, overbar.lu_factor(A), strict=True):
        assert error(mine, other) < 1e-13


def test_lu_of_singular_matrices():
    A = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.diag([0.0, 1, 2])])
    for mine, other in zip(under_xla(overbar.lu_factor, A), overbar.lu_factor(A), strict=True):
        np.testing.assert_array_equal(mine, other)


def test_lu_of_what_is_not_finite():
    A = normal(2, 4, 4)
    A[1, 2, 1] = np.nan
    P, L, U = under_xla(overbar.lu, A)
    assert np.isnan(P[1] @ L[1] @ U[1]).any()
    assert error(P[0] @ L[0] @ U[0], A[0]) < 1e-14
    np.testing.assert_array_equal(P.sum((-1, -2)), [4, 4])


@pytest.mark.parametrize("adjoint", [False, True])
def test_lu_solve_with_impossible_pivots_is_nan(adjoint):
    LU, pivots = overbar.lu_factor(normal(3, 4, 4))
    B = normal(3, 4, 2, seed=1)
    pivots[1, 0], pivots[2, 3] = 5, 3
    solve = lambda *x: overbar.lu_solve(*x, adjoint=adjoint)  # noqa: E731
    X = under_xla(solve, LU, pivots, B)
    assert error(X[0], solve(LU[0], pivots[0], B[0])) < 1e-13
    assert np.isnan(X[1:]).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 5, 40])
def test_slogdet(n, dtype):
    A = normal(3, n, n, dtype=dtype)
    A[2] = 0
    for mine, other in zip(under_xla(overbar.slogdet, A), overbar.slogdet(A), strict=True):
        np.testing.assert_allclose(mine, other, rtol=300 * np.finfo(dtype).eps, atol=300 * np.finfo(dtype).eps)


# -- Schur forms, and eigenvalues --------------------------------------------------------------------------------------


def conj_T(A):
    return A.conj().swapaxes(-1, -2)


def jordan(n, eigenvalue=0.0):
    return np.diag(np.full(n, eigenvalue)) + np.eye(n, k=1)


HARD = {
    "zero": np.zeros((8, 8)),
    "identity": np.eye(8),
    "Jordan": jordan(8, 2.0),
    "its transpose": jordan(8, 2.0).T,
    "cyclic": np.roll(np.eye(8), 1, axis=0),  # with shifts of zero, the QR iteration would stand still
    "triangular": np.triu(normal(8, 8)),
    "graded": normal(8, 8) * 10.0 ** np.arange(0, -80, -10),
    "huge": normal(8, 8) * 1e150,
    "tiny": normal(8, 8) * 1e-150,
    "Hermitian": normal(8, 8) + normal(8, 8).T,
}


@pytest.mark.parametrize("A", [np.stack([*HARD.values()]), normal(1, 70, 70)], ids=["hard", "large"])
def test_schur_forms(A):
    T, Z = under_xla(schur_forms, A.astype(complex))
    n = A.shape[-1]
    assert not np.tril(T, -1).any()
    for A, T, Z in zip(A, T, Z, strict=True):  # noqa: B020
        assert np.abs(Z @ T @ conj_T(Z) - A).max() <= 30 * n**0.5 * 2.3e-16 * np.abs(A).max()
        assert error(conj_T(Z) @ Z, np.eye(n)) < 1e-14 * n**0.5


@pytest.mark.parametrize(
    ("shape", "dtype"), [((1, 1), "f"), ((2, 3, 3), "F"), ((3, 2, 8, 8), "d"), ((40, 40), "D"), ((2, 0, 0), "d")]
)
def test_eig(shape, dtype):
    A = normal(*shape, dtype=dtype)
    for mine, other in zip(under_xla(overbar.eig, A), overbar.eig(A), strict=True):
        assert mine.dtype == other.dtype
        assert error(mine, other) < 500 * np.finfo(dtype).eps


def test_eig_of_unknown_sizes_and_of_what_is_not_finite():
    A = np.stack([normal(3, 3), np.zeros((3, 3)), np.full((3, 3), np.nan)])
    w, V = under_xla(overbar.eig, A, unknown=True)
    assert np.isnan(w[2]).all()
    assert np.isnan(V[2]).all()
    expected, vectors = overbar.eig(A[:2])
    assert error(w[:2], expected) < 1e-14
    assert error(V[:2], vectors) < 1e-14


def test_a_defective_matrix_has_no_derivative():
    A = np.stack([jordan(3), normal(3, 3)])

    def gradient(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            w = overbar.eigvals(A)
            size = tf.reduce_sum(tf.math.real(w) ** 3)
        return tape.gradient(size, A)

    found = under_xla(gradient, A)
    assert np.isnan(found[0]).any()
    assert np.isfinite(found[1]).all()


def test_iterations_that_do_not_converge_are_nan(monkeypatch):
    A = normal(1, 6, 6)
    for module in (_schur, _tridiagonal):
        monkeypatch.setattr(module, "SWEEPS", 1)  # six for six eigenvalues
    for found in under_xla(lambda A: [*schur_forms(tf.cast(A, tf.complex128)), *_jacobi.eigh(A, False)], A):
        assert np.isnan(found).all()


# -- matrix equations --------------------------------------------------------------------------------------------------

EQUATIONS = ["solve_sylvester", "solve_continuous_lyapunov", "solve_discrete_lyapunov"]


def equation(name, m, n, dtype, seed=0):
    if name != "solve_sylvester":
        return normal(2, m, m, dtype=dtype, seed=seed), normal(3, 1, m, m, dtype=dtype, seed=seed + 1)
    A, B = normal(2, m, m, dtype=dtype, seed=seed), normal(n, n, dtype=dtype, seed=seed + 1)
    return A, B, normal(3, 1, m, n, dtype=dtype, seed=seed + 2)


def residual(name, X, *arrays):
    """Relative to the terms of the equation."""
    A, Q = arrays[0], arrays[-1]
    if name == "solve_discrete_lyapunov":
        terms = [A @ X @ conj_T(A), -X, Q]
    else:
        terms = [A @ X, X @ (arrays[1] if name == "solve_sylvester" else conj_T(A)), -Q]
    norm = lambda E: np.linalg.norm(E, axis=(-2, -1))  # noqa: E731
    sizes = norm(A) * norm(X) * (norm(A) if name == "solve_discrete_lyapunov" else 1) + norm(X) + norm(Q)
    return (norm(sum(terms)) / sizes).max()


@pytest.mark.parametrize(
    ("sizes", "dtype"), [((1, 1), "d"), ((2, 1), "D"), ((3, 4), "f"), ((20, 11), "F"), ((9, 34), "d")]
)
@pytest.mark.parametrize("name", EQUATIONS)
def test_equations(name, sizes, dtype):
    arrays, solve = equation(name, *sizes, dtype), getattr(overbar, name)
    X, expected = under_xla(solve, *arrays), solve(*arrays)
    assert X.dtype == expected.dtype
    assert X.shape == expected.shape
    assert residual(name, X, *arrays) < max(2 * residual(name, expected, *arrays), 10 * np.finfo(dtype).eps)


@pytest.mark.parametrize("exponent", [-300, -8, 0, 8, 150])
@pytest.mark.parametrize("name", EQUATIONS[:2])
def test_equations_of_any_size_and_condition(name, exponent):
    """Eigenvalues from 1 to 1e-10, and to their negatives in a batch."""
    solve, rng = getattr(overbar, name), np.random.default_rng(abs(exponent))
    W = np.linalg.qr(rng.standard_normal((2, 8, 8)))[0] + 0.3 * rng.standard_normal((8, 8))
    A = W @ np.diag(10.0 ** -np.arange(0, 10, 1.25)) @ np.linalg.inv(W) * 10.0**exponent
    A[1] *= -1
    B = (np.eye(5) + normal(5, 5) / 10) * 10.0 ** (exponent - 3)
    Q = normal(8, 5 if name == "solve_sylvester" else 8)
    arrays = (A, B, Q) if name == "solve_sylvester" else (A, Q)
    X, expected = under_xla(solve, *arrays), solve(*arrays)
    scaled = lambda X: (*(a / 10.0**exponent for a in arrays[:-1]), Q, X * 10.0**exponent)  # noqa: E731
    one, other = (residual(name, x, *rest) for *rest, x in (scaled(X), scaled(expected)))
    assert one < max(3 * other, 1e-15)


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations_without_a_single_solution_are_nan(name):
    """Beside one that has it; and what is not finite, in the matrices and on the right."""
    *given, Q = equation(name, 3, 3, np.float64)
    A = np.stack([given[0][0]] * 5)
    Q = np.stack([Q[0, 0]] * 5)
    rest = [np.diag([-1.0, 5.0, 7.0])] if name == "solve_sylvester" else []
    A[1] = np.diag([1.0, 2.0, 3.0])
    if name != "solve_sylvester":
        A[1, 1, 1] = -1.0 if name == "solve_continuous_lyapunov" else 0.5
    A[2, 1, 1], A[3, 0, 2], Q[4, 2, 1] = np.nan, np.inf, np.nan
    X = under_xla(getattr(overbar, name), A, *rest, Q)
    assert np.isnan(X[1:]).all()
    assert error(X[0], getattr(overbar, name)(A[0], *rest, Q[0])) < 1e-13
    with pytest.raises(np.linalg.LinAlgError, match="singular"):
        getattr(overbar, name)(A[1], *rest, Q[1])


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations_of_unknown_and_no_size(name):
    for sizes in ((3, 2), (0, 0)):
        arrays, solve = equation(name, *sizes, np.float64), getattr(overbar, name)
        X = under_xla(solve, *arrays, unknown=sizes[0] > 0)
        assert error(X, solve(*arrays)) < 1e-13


# -- Riccati equations -------------------------------------------------------------------------------------------------


def riccati(name, dtype=np.float64):
    """Systems of three states in a batch, with E and S for the first equation."""
    A, B = normal(4, 3, 3, dtype=dtype), normal(3, 2, dtype=dtype, seed=1)
    Q, R = 2 * np.eye(3, dtype=dtype), 2 * np.eye(2, dtype=dtype)
    if name == "solve_discrete_are":
        return A, B, Q, R
    E, S = np.eye(3) + normal(3, 3, dtype=dtype, seed=2) / 4, normal(3, 2, dtype=dtype, seed=3) / 3
    return A, B, Q, R, E.astype(dtype), S


HARD_RICCATI = {
    "solve_continuous_are": {
        "no states cost": (np.diag([1.0, 2.0]), np.eye(2) + 0.1, np.zeros((2, 2)), np.eye(2)),
        "indefinite": (np.diag([-3.0, -2.0]), np.eye(2) / 4, np.diag([0.5, -0.5]), -np.eye(2)),
        "weakly damped": (np.array([[0.0, 1.0], [-1.0, 0.0]]), np.diag([0.0, 1e-3]), np.eye(2), np.eye(2)),
        "huge costs": (np.eye(2), np.eye(2) + 0.1, 1e200 * np.eye(2), 1e200 * np.eye(2)),
        "tiny": (1e-100 * np.eye(2), 1e-100 * np.eye(2), np.eye(2), np.eye(2)),
        "R singular": (np.eye(2), np.eye(2), np.eye(2), np.ones((2, 2))),
        "no feedback": (np.diag([1.0, -1.0]), np.diag([0.0, 1.0]), np.eye(2), np.eye(2)),
        "on the axis": (np.array([[0.0, 1.0], [-1.0, 0.0]]), np.diag([0.0, 1.0]), np.zeros((2, 2)), np.eye(2)),
        "not finite": (np.eye(2), np.eye(2), np.array([[1.0, np.inf], [np.inf, 1.0]]), np.eye(2)),
    },
    "solve_discrete_are": {
        "no states cost": (np.diag([2.0, -3.0]), np.eye(2) + 0.1, np.zeros((2, 2)), np.eye(2)),
        "states cost little": (np.diag([2.0, -3.0]), np.eye(2) + 0.1, 1e-120 * np.eye(2), np.eye(2)),
        "R singular": (normal(2, 2), np.eye(2) + 0.1, np.eye(2), np.zeros((2, 2))),
        "A singular": (np.array([[0.0, 1.0], [0.0, 0.0]]), np.diag([0.0, 1.0]), np.eye(2), np.eye(2)),
        "huge costs": (np.diag([2.0, 0.5]), np.eye(2) + 0.1, 1e200 * np.eye(2), 1e200 * np.eye(2)),
        "no feedback": (np.diag([2.0, 0.5]), np.diag([0.0, 1.0]), np.eye(2), np.eye(2)),
        "on the circle": (np.array([[0.0, 1.0], [-1.0, 0.0]]), np.diag([0.0, 1.0]), np.zeros((2, 2)), np.eye(2)),
        "not finite": (np.eye(2), np.array([[np.nan, 1.0], [0.0, 1.0]]), np.eye(2), np.eye(2)),
    },
}


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
@pytest.mark.parametrize("name", HARD_RICCATI)
def test_riccati_equations(name, dtype):
    arrays, solve = riccati(name, dtype), getattr(overbar, name)
    X, expected = under_xla(solve, *arrays, unknown=dtype is np.complex128), solve(*arrays)
    assert X.dtype == expected.dtype
    assert error(X, expected) < 100 * np.finfo(dtype).eps


@pytest.mark.parametrize("name", HARD_RICCATI)
def test_hard_riccati_equations(name):
    """All in one batch, each of which has the solution of the host, or NaN where the host raises."""
    solve, missing = getattr(overbar, name), 0
    found = under_xla(solve, *(np.stack(arrays) for arrays in zip(*HARD_RICCATI[name].values(), strict=True)))
    for (kind, arrays), X in zip(HARD_RICCATI[name].items(), found, strict=True):
        try:
            expected = solve(*arrays)
        except np.linalg.LinAlgError:
            assert np.isnan(X).all(), kind
            missing += 1
        else:
            assert error(X, expected) < 1e-11, kind
    assert missing == (4 if name == "solve_continuous_are" else 3)


def test_riccati_equations_of_no_size():
    arrays = [np.zeros((2, 0, 0)), np.zeros((0, 3)), np.zeros((0, 0)), np.eye(3)]
    assert under_xla(overbar.solve_discrete_are, *arrays).shape == (2, 0, 0)


# -- Toeplitz matrices -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "dtype"), [(1, "d"), (5, "F"), (40, "D"), (0, "d")])
@pytest.mark.parametrize("adjoint", [False, True])
def test_toeplitz(adjoint, n, dtype):
    c, r, b = normal(3, n, dtype=dtype), normal(n, dtype=dtype, seed=1), normal(2, 1, n, 2, dtype=dtype, seed=2)
    c[:, :1] += 9
    r[:1] = np.nan  # which nothing reads
    solve = lambda *x: overbar.solve_toeplitz(*x, adjoint=adjoint)  # noqa: E731
    X, expected = under_xla(solve, c, r, b, unknown=n == 5), solve(c, r, b)
    assert X.dtype == expected.dtype
    assert X.shape == expected.shape
    assert n == 0 or error(X, expected) < 500 * np.finfo(dtype).eps


def test_the_bars_of_toeplitz_matrices():
    c, r, b = normal(2, 4), normal(4, seed=1), normal(4, 3, seed=2)
    c[:, 0] += 9

    def bars(*arrays):
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            size = tf.reduce_sum(overbar.solve_toeplitz(*arrays) ** 3)
        return tape.gradient(size, arrays)

    for mine, other in zip(under_xla(bars, c, r, b), bars(*map(tf.constant, (c, r, b))), strict=True):
        assert error(mine, other.numpy()) < 1e-14


def test_singular_toeplitz_matrices_are_nan():
    good = np.array([2.0, 1.0, 0.0])
    c = np.stack([good, np.ones(3), np.zeros(3), [np.nan, 1, 0], good * 1e-200])
    X = under_xla(overbar.solve_toeplitz, c, c, np.ones((3, 1)))
    assert np.isnan(X[1:4]).all()
    assert error(X[0], overbar.solve_toeplitz(good, good, np.ones((3, 1)))) < 1e-15
    assert error(X[4] * 1e-200, X[0]) < 1e-15


# -- square roots, logarithms, powers ----------------------------------------------------------------------------------


def power(A):
    return overbar.fractional_matrix_power(A, -0.3)


ROOTS = {"sqrtm": overbar.sqrtm, "logm": overbar.logm, "power": power}


def away_from_the_axis(*shape, dtype):
    """Matrices whose eigenvalues are not near the negative axis."""
    A = normal(*shape, dtype=dtype)
    return (A / np.sqrt(shape[-1]) / 2 + np.eye(shape[-1])).astype(dtype)


@pytest.mark.parametrize(
    ("shape", "dtype"), [((2, 1, 1), "d"), ((3, 2, 2), "F"), ((2, 3, 5, 5), "f"), ((40, 40), "D"), ((2, 0, 0), "d")]
)
@pytest.mark.parametrize("name", ROOTS)
def test_roots(name, shape, dtype):
    A = away_from_the_axis(*shape, dtype=dtype)
    found, expected = under_xla(ROOTS[name], A), ROOTS[name](A)
    assert found.dtype == expected.dtype
    assert error(found, expected) < 100 * np.finfo(dtype).eps


def hard_for_roots():
    V, plane = np.linalg.qr(normal(6, 6))[0], lambda A: np.block([[np.array(A), np.zeros((2, 4))], [np.eye(6)[2:]]])
    yield "Jordan", jordan(6, 0.7)
    yield "far from normal", plane([[1.0, 1e7], [0.0, 2.0]])
    yield "twelve decades", V @ np.diag(10.0 ** -np.arange(0, 12, 2)) @ V.T
    yield "huge", away_from_the_axis(6, 6, dtype=np.float64) * 1e200
    yield "tiny", away_from_the_axis(6, 6, dtype=np.float64) * 1e-200
    yield "near the axis", plane([[-1.0, 0.01], [-0.01, -1.0]])
    yield "a rotation", plane([[0.0, -1.0], [1.0, 0.0]])


@pytest.mark.parametrize("name", ROOTS)
def test_roots_of_hard_matrices(name):
    kinds, matrices = zip(*hard_for_roots(), strict=True)
    found = under_xla(lambda *A: [ROOTS[name](a) for a in A], *(np.stack(matrices),))
    for kind, A, mine in zip(kinds, matrices, found[0], strict=True):
        condition = 1e6 if kind == "twelve decades" else 1  # smallest eigenvalues have so many digits less
        assert error(mine, ROOTS[name](A)) < 1e-13 * condition, kind
        if name == "sqrtm":
            assert error(mine @ mine, A) < 1e-14 * max(1, np.abs(mine).max() ** 2 / np.abs(A).max()), kind


@pytest.mark.parametrize("name", ROOTS)
def test_roots_of_triangular_matrices_of_a_wide_range(name):
    """Their eigenvalues are entries, which no rotation touches."""
    upper = np.diag([1e-300, 1.0, 1e300]) + 3 * np.eye(3, k=1)
    A = np.stack([np.diag(np.diag(upper)), upper, upper.T])
    found, expected = under_xla(ROOTS[name], A), ROOTS[name](A)
    np.testing.assert_allclose(np.diagonal(found, 0, 1, 2), np.diagonal(expected, 0, 1, 2), rtol=1e-12)
    for one, other in zip(found, expected, strict=True):
        assert error(one, other) < 1e-12


def test_roots_that_are_none_are_nan():
    """Where the host raises, and of singular matrices, beside one that has a root."""
    A = np.stack([np.diag([1.0, 2.0, 3.0])] * 5)
    A[1, 1, 1], A[2, 0, 0], A[3, 0, 2], A[4, 2, 2] = -1.0, np.nan, np.inf, 0.0
    for f in ROOTS.values():
        found = under_xla(f, A)
        assert np.isnan(found[1:]).all()
        assert error(found[0], f(A[0])) < 1e-14
    complex_root = under_xla(overbar.sqrtm, A[:2].astype(complex))
    np.testing.assert_allclose(complex_root[1], np.diag([1.0, 1j, 3**0.5]), atol=1e-15)


@pytest.mark.parametrize("name", ROOTS)
def test_roots_of_unknown_sizes(name):
    A = away_from_the_axis(2, 3, 3, dtype=np.float64)
    assert error(under_xla(ROOTS[name], A, unknown=True), ROOTS[name](A)) < 1e-14
