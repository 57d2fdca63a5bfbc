"""What is computed on the host elsewhere, under XLA: values of the kernels' own ways there, beside NumPy's.

May import all of the package, and tensorflow. tests/consistency has the derivatives of each primitive under XLA.
"""

import re

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402
from overbar.rules._banded_cholesky import cholesky_band_cotangent, cholesky_band_tangent  # noqa: E402
from tests.compare import error  # noqa: E402
from tf_ops import _jacobi, _schur, _tridiagonal  # noqa: E402
from tf_ops._front import TENSORFLOW  # noqa: E402
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


# -- bands -------------------------------------------------------------------------------------------------------------


def outside(shape, lower, upper):
    """Which entries of a stored band lie outside of the matrix."""
    place = np.arange(lower + upper + 1)[:, None] - upper + np.arange(shape[-1])
    return np.broadcast_to((place < 0) | (place >= shape[-1]), shape)


def definite_band(*shape, dtype=np.float64, lower=True):
    """The band of positive definite matrices, with NaN in its corners and something imaginary on its diagonal."""
    p, main = shape[-2], 0 if lower else -1
    ab = normal(*shape, dtype=dtype) / (2 * p)
    ab[..., main, :] += 2
    ab[outside(shape, *((p - 1, 0) if lower else (0, p - 1)))] = np.nan
    return ab


# no more than the diagonal; fewer columns than diagonals; one column; batches; many diagonals
BANDS = [((1, 4), "d"), ((5, 3), "F"), ((2, 2, 1), "f"), ((2, 3, 2, 9), "D"), ((4, 30), "d"), ((2, 20, 50), "f")]


@pytest.mark.parametrize(("shape", "dtype"), [*BANDS, ((2, 0), "d"), ((0, 3, 4), "d")])
@pytest.mark.parametrize("lower", [False, True])
def test_cholesky_of_bands_and_solving_with_it(shape, dtype, lower):
    ab, b = definite_band(*shape, dtype=dtype, lower=lower), normal(shape[-1], 2, dtype=dtype)

    def solved(ab, b):
        factor = overbar.cholesky_banded(ab, lower=lower)
        # what there is in the corners is not read
        return factor, overbar.cho_solve_banded(overbar.namespace(ab).where(ab == ab, factor, ab), b, lower=lower)

    for mine, other in zip(under_xla(solved, ab, b), solved(ab, b), strict=True):
        assert mine.dtype == other.dtype
        assert error(mine, other) < 100 * np.finfo(dtype).eps


def full(ab, lower, upper):
    n = ab.shape[-1]
    A = np.zeros((*ab.shape[:-2], n, n), ab.dtype)
    for i in range(n):
        for j in range(max(0, i - lower), min(n, i + upper + 1)):
            A[..., i, j] = ab[..., upper + i - j, j]
    return A


# diagonals below and above, then the shape of the right-hand side, which has a batch or none
SYSTEMS = [
    ((0, 0), (4, 2), "d"),
    ((0, 2), (2, 5, 1), "D"),
    ((2, 0), (5, 3), "f"),
    ((1, 1), (1, 1), "d"),
    ((1, 1), (3, 1, 40, 2), "F"),
    ((2, 3), (3, 2), "D"),
    ((7, 5), (2, 60, 1), "d"),
    ((1, 2), (0, 2), "d"),
    ((1, 2), (3, 1, 4, 0), "d"),
]


@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize(("sizes", "shape", "dtype"), SYSTEMS)
def test_systems_of_bands(sizes, shape, dtype, adjoint):
    """Of random matrices, so that rows are exchanged: with residuals as those of LAPACK."""
    n, batch = shape[-2], (2,) * (len(shape) > 2)
    ab, b = normal(*batch, sum(sizes) + 1, n, dtype=dtype), normal(*shape, dtype=dtype, seed=1)
    ab[outside(ab.shape, *sizes)] = np.nan  # which is not read
    A = full(ab, *sizes)
    A = conj_T(A) if adjoint else A

    def solve(ab, b):
        return overbar.solve_banded(ab, b, l_and_u=sizes, adjoint=adjoint)

    found, expected = under_xla(solve, ab, b), solve(ab, b)
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    if found.size:
        one, other = (np.abs(A @ X - b).max() / np.abs(A).max() / np.abs(X).max() for X in (found, expected))
        assert one < max(3 * other, 5 * np.finfo(dtype).eps)


def test_bands_of_unknown_and_no_size():
    def everything(ab, A, b):
        ab, A = tf.ensure_shape(ab, [None, 3, None]), tf.ensure_shape(A, [None, 4, None])
        factor = overbar.cholesky_banded(ab)
        return factor, overbar.cho_solve_banded(factor, b), overbar.solve_banded(A, b, l_and_u=(1, 2))

    for n in (6, 2, 1, 0):
        arrays = definite_band(2, 3, n, lower=False), normal(2, 4, n), normal(2, n, 1)
        found = under_xla(everything, *arrays, unknown=True)
        for mine, other in zip(found, everything(*map(tf.constant, arrays)), strict=True):
            assert error(mine, other.numpy()) < 1e-12


# A function of arrays of bands, and the arrays.
OF_BANDS = {
    "cholesky": (lambda ab: overbar.cholesky_banded(ab, lower=True), [definite_band(4, 25, dtype="D")]),
    "cholesky, upper": (overbar.cholesky_banded, [definite_band(9, 12, lower=False)]),
    "cho_solve": (overbar.cho_solve_banded, [definite_band(3, 20, dtype="D", lower=False), normal(20, 2, dtype="D")]),
    "solve": (
        lambda ab, b: overbar.solve_banded(ab, b, l_and_u=(1, 2), adjoint=True),
        [normal(4, 15, dtype="D"), normal(15, 2, dtype="D")],
    ),
    "tridiagonal": (overbar.tridiagonal_solve, [normal(3, 30), normal(30, 1)]),
}


@pytest.mark.parametrize("name", OF_BANDS)
def test_derivatives_of_bands(name):
    """In reverse mode, in forward mode, and of second order, beside those of eager code."""
    function, arrays = OF_BANDS[name]
    arrays = [np.nan_to_num(a) for a in arrays]
    ones = [tf.constant(normal(*a.shape, dtype=a.dtype, seed=7)) for a in arrays]

    def derivatives(*arrays):
        arrays = list(arrays)
        with tf.GradientTape() as outer:
            outer.watch(arrays)
            with tf.GradientTape() as tape, tf.autodiff.ForwardAccumulator(arrays, ones) as accumulator:
                tape.watch(arrays)
                value = function(*arrays)
                size = tf.reduce_sum(tf.math.real(value**3))
            bars, tangent = tape.gradient(size, arrays), accumulator.jvp(value)
            along = sum(tf.reduce_sum(tf.math.real(tf.math.conj(bar) * x)) for bar, x in zip(bars, ones, strict=True))
        return value, tangent, *bars, *outer.gradient(along, arrays)

    found, expected = under_xla(derivatives, *arrays), derivatives(*map(tf.constant, arrays))
    for mine, other in zip(found, expected, strict=True):
        assert error(mine, other.numpy()) < 1e-11


@pytest.mark.parametrize("lower", [False, True])
def test_bands_that_are_not_definite_are_nan(lower):
    """And those that are not finite, and only those; what is in a corner does not count. So are their derivatives."""
    ab = np.stack([definite_band(3, 8, lower=lower)] * 6)
    changes = [(1, 0, 5, -1.0), (2, 2, 3, np.nan), (3, 1, 7, np.inf), (4, 1, 0, np.inf), (5, 0, 7, np.inf)]
    for i, d, j, value in changes:
        ab[(i, d, j) if lower else (i, 2 - d, (j + d) % 8)] = value  # the same place in the other storage

    def gradient(ab):
        with tf.GradientTape() as tape:
            tape.watch(ab)
            factor = overbar.cholesky_banded(ab, lower=lower)
        return factor, tape.gradient(factor, ab)

    inside = ~outside((3, 8), *((2, 0) if lower else (0, 2)))
    for found, expected in zip(under_xla(gradient, ab), gradient(tf.constant(ab[0])), strict=True):
        for i in (0, 3):
            assert error(found[i], expected.numpy()) < 1e-14
        for i in (1, 2, 4, 5):
            np.testing.assert_array_equal(np.isnan(found[i]), inside)
    with pytest.raises(np.linalg.LinAlgError, match="not positive definite"):
        overbar.cholesky_banded(ab[1], lower=lower)


def test_a_factor_with_a_zero_on_its_diagonal_has_no_derivative():
    L = np.nan_to_num(np.stack([definite_band(3, 8, dtype="D")] * 2))
    E, inside = normal(3, 8, dtype="D"), ~outside((3, 8), 2, 0)
    L[1, 0, 4] = 0
    for solve in (cholesky_band_tangent, cholesky_band_cotangent):
        found = under_xla(solve, L, E)
        assert error(found[0], solve(L[0], E)) < 1e-14
        np.testing.assert_array_equal(np.isnan(found[1]), inside)


def test_singular_systems_of_bands_are_nan():
    """Beside regular ones, whose leading minors are zero where rows have to be exchanged."""
    L, b = np.array([[[1.0, 2.0, 3.0, 4.0]], [[1.0, 2.0, 0.0, 4.0]]]), normal(4, 1)
    X = under_xla(lambda *x: overbar.cho_solve_banded(*x, lower=True), L, b)
    assert error(X[0], overbar.cho_solve_banded(L[0], b, lower=True)) < 1e-14
    assert np.isnan(X[1]).all()
    regular = np.array([[0.0, 1.0, 1.0, 1.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
    ab = np.stack([regular, np.zeros((3, 4)), np.ones((3, 4)), regular])
    ab[2, :, 1] = 0  # a column
    ab[3, 1, 2] = np.nan
    for adjoint in (False, True):
        solve = lambda ab, b, adjoint=adjoint: overbar.solve_banded(ab, b, l_and_u=(1, 1), adjoint=adjoint)  # noqa: E731
        X = under_xla(solve, ab, b)
        np.testing.assert_array_equal(X[0], solve(regular, b))
        assert np.isnan(X[1:]).all()
        for A in ab[1:3]:
            with pytest.raises(np.linalg.LinAlgError, match="singular"):
                solve(A, b)


def test_no_program_of_a_band_grows_with_it():
    """Neither the graph nor what XLA makes of it. And a step of a loop copies nothing that is as large as the band."""

    def everything(ab, A, b):
        factor = overbar.cholesky_banded(ab, lower=True)
        return factor, overbar.cho_solve_banded(factor, b, lower=True), overbar.solve_banded(A, b, l_and_u=(1, 2))

    sizes = []
    for n in (1001, 2003):
        arrays = [tf.constant(x) for x in (np.nan_to_num(definite_band(3, n)), normal(4, n), normal(n, 1))]
        compiled = tf.function(everything, autograph=False, jit_compile=True)
        graph = compiled.get_concrete_function(*arrays).graph
        loops = sum(len(f.node_def) for f in graph.as_graph_def().library.function)
        program = compiled.experimental_get_compiler_ir(*arrays)(stage="optimized_hlo")
        sizes.append((len(graph.get_operations()), loops))
        assert len(program.splitlines()) < 1200
        bodies = re.findall(r"^%\S*while_\S*body.*?^}", program, re.MULTILINE | re.DOTALL)
        shapes = [x for body in bodies for x in re.findall(r"= \w+\[([\d,]*)\]\S* copy\(", body)]
        assert len(bodies) == len(shapes) - 1 == 5  # the number of each step, and a window
        assert all(int(size) < n for shape in shapes for size in shape.split(",") if size)
    assert sizes[0] == sizes[1]


def test_the_program_of_a_derivative_does_not_grow_with_the_diagonals():
    """Those of a solution are loops, too. In words each diagonal is an operation: for 150, XLA takes minutes."""

    def derivatives(L, b):
        with tf.GradientTape() as tape, tf.autodiff.ForwardAccumulator([L, b], [L, b]) as accumulator:
            tape.watch([L, b])
            X = overbar.cho_solve_banded(L, b, lower=True)
            size = tf.reduce_sum(X**2)
        return *tape.gradient(size, [L, b]), accumulator.jvp(X)

    sizes = []
    for p in (9, 40):
        arrays = [tf.constant(x) for x in (np.nan_to_num(definite_band(p, 300)), normal(300, 1))]
        compiled = tf.function(derivatives, autograph=False, jit_compile=True)
        sizes.append(len(compiled.get_concrete_function(*arrays).graph.get_operations()))
        for mine, other in zip(compiled(*arrays), derivatives(*arrays), strict=True):
            assert error(mine.numpy(), other.numpy()) < 1e-12
    assert sizes[0] == sizes[1]


# -- vectorized_map ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["cholesky", "svdvals", "eigvalsh", "eigvals", "logmh", "pinv", "polar", "sqrtm"])
def test_vectorized_map_inside_a_program(name):
    """Value and gradient of matrices that are through after different numbers of steps; and, as everywhere under XLA,
    NaN where there is no factor."""
    A = normal(3, 3, 3)
    A = A @ conj_T(A) + np.array([[[0.1]], [[1.0]], [[1e3]]]) * np.eye(3)

    def run(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            found = tf.nest.flatten(getattr(tf_ops, name)(A))
            size = tf.add_n([tf.reduce_sum(tf.abs(X + tf.cast(1, X.dtype))) for X in found])
        return size, tape.gradient(size, A)

    one_by_one = [run(tf.constant(matrix)) for matrix in A]
    expected = [np.stack(parts) for parts in zip(*one_by_one, strict=True)]
    each = lambda A: tf.vectorized_map(run, A)  # noqa: E731
    for mine, other in zip(under_xla(each, A), expected, strict=True):
        assert error(mine, other) < 1e-10
    if name == "cholesky":
        A[1] = -A[1]
        L = under_xla(lambda A: tf.vectorized_map(tf_ops.cholesky, A), A)
        assert np.isnan(L[1]).all()
        assert np.isfinite(L[::2]).all()


def test_a_hessian_by_a_jacobian_inside_a_program():
    """Of the sum of the squares of all singular values."""

    def hessian(A):
        with tf.GradientTape() as outer:
            outer.watch(A)
            with tf.GradientTape() as inner:
                inner.watch(A)
                size = tf.reduce_sum(tf_ops.svdvals(A) ** 2)
            first = inner.gradient(size, A)
        return outer.jacobian(first, A)

    assert error(under_xla(hessian, normal(3, 2)).reshape(6, 6), 2 * np.eye(6)) < 1e-12


def test_steps_that_are_repeated_for_some_matrices_only():
    """Each pass of vectorized_map its own number of times, which the longest of them decides for the program."""
    counts = np.array([[1.0, 1], [5, 4], [0, 0], [3, 3]])

    def powers(counts):
        step = lambda i, state: [tf.where(i < counts, 2 * state[0], state[0]), state[1] + 1]  # noqa: E731
        return TENSORFLOW.repeat(counts, step, [tf.ones_like(counts), tf.zeros_like(counts[0])])

    found, steps = under_xla(lambda counts: tf.vectorized_map(powers, counts), counts)
    assert found.tolist() == (2**counts).tolist()
    assert steps.tolist() == [1, 5, 0, 3]


@pytest.mark.parametrize("kind", ["compact", "sequence", "short", "matrix", "vector", "transposed"])
def test_tridiagonal_systems_as_tensorflow_writes_them(kind):
    """With pivoting, which they need: the diagonal is zero. Each as TensorFlow's own has it outside of XLA, whose
    gradient is right for real numbers."""
    diagonals, b = normal(2, 3, 6), normal(2, 6, 3, seed=1)
    diagonals[:, 1] = 0
    options = {}
    if kind in ("sequence", "short"):
        cut = slice(1, None) if kind == "short" else slice(None)
        diagonals = [diagonals[:, 0, : 6 - (kind == "short")], diagonals[:, 1], diagonals[:, 2, cut]]
        options["diagonals_format"] = "sequence"
    elif kind == "matrix":
        diagonals = full(
            np.stack([np.roll(diagonals[:, 0], 1), diagonals[:, 1], np.roll(diagonals[:, 2], -1)], 1), 1, 1
        )
        options["diagonals_format"] = "matrix"
    elif kind == "vector":
        b, options["conjugate_rhs"] = b[..., 0], True
    elif kind == "transposed":
        b, options["transpose_rhs"] = conj_T(b), True

    def gradient(diagonals, b):
        with tf.GradientTape() as tape:
            tape.watch([diagonals, b])
            x = tf_ops.tridiagonal_solve(diagonals, b, **options)
            size = tf.reduce_sum(tf.abs(x) ** 2)
        return x, tape.gradient(size, [diagonals, b])

    given = tf.nest.map_structure(tf.constant, diagonals), tf.constant(b)
    by_i = tf.nest.map_structure(lambda x: tf.complex(x, x[::-1]), given)
    solved = lambda diagonals, b: gradient(diagonals, b)[0]  # noqa: E731
    assert error(tf.function(solved, jit_compile=True)(*by_i).numpy(), solved(*by_i).numpy()) < 1e-12
    found = tf.function(gradient, autograph=False, jit_compile=True)(*given)
    for mine, other in zip(tf.nest.flatten(found), tf.nest.flatten(gradient(*given)), strict=True):
        assert error(mine.numpy(), other.numpy()) < 1e-12
