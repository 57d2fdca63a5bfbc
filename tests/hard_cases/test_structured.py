"""Banded and Toeplitz matrices, the Hessenberg form and products of reflections where they are easily wrong: pivots and
minors that vanish, corners of the storage, bands wider than the matrix, extreme scales, sizes at which a full matrix
would not fit. In NumPy, PyTorch and TensorFlow. May import `overbar`, `torch_ops` and `tf_ops`."""

import numpy as np
import pytest
import scipy.linalg

import overbar
from overbar.kernels import _banded as banded
from overbar.kernels import _banded_cholesky as banded_cholesky
from overbar.kernels._banded_cholesky import pbtrs_cotangent, products_of_bands
from overbar.kernels._eigen_tridiagonal import _Vectors
from overbar.rules import _banded as bands
from overbar.rules._banded_cholesky import (
    cholesky_band_cotangent,
    cholesky_band_tangent,
    solution_band_cotangent,
    solution_band_tangent,
)
from overbar.rules._hessenberg import hessenberg_rotation
from overbar.rules._toeplitz import toeplitz_bar, toeplitz_product
from overbar.verify import Case, Draw, adjoint_error, difference_error, exact_error
from tests.frameworks import tf, tf_ops, torch, torch_ops, twice_in_a_graph

rng = np.random.default_rng(5)
SIZES = [1, 2, 3, 7]
doubles = pytest.mark.parametrize("dtype", [np.float64, np.complex128], ids=lambda dtype: dtype.__name__)


def right(primitive, *arrays, tolerance=1e-10, **options):
    """Value and forward rule against 50 digits, and the reverse rule against the forward rule."""
    options = {**{k: v for k, v in primitive.defaults.items() if k != "l_and_u"}, **options}
    case = Case(arrays, options)
    assert exact_error(primitive, case) < tolerance
    assert (adjoint_error(primitive, case) or 0) < tolerance


def scaled(primitive, arrays, which, scale, powers, chosen=0, **options):
    """An output and the bars of it for scaled arrays, which are known powers of the scale times those for the others.

    The scale is a power of 4, so that nothing is rounded, and its root is a number, too.
    """
    f = lambda *x: primitive(*x, **options)  # noqa: E731
    runs = []
    for s in (1.0, scale):
        x = [s * a if i in which else a for i, a in enumerate(arrays)]
        out, pullback = overbar.vjp(f, *x)
        outputs = out if isinstance(out, tuple) else (out,)
        bar = np.cos(np.arange(outputs[chosen].size)).reshape(outputs[chosen].shape)
        bars = [bar if i == chosen else None for i in range(len(outputs))]
        runs.append([outputs[chosen], *pullback(tuple(bars) if isinstance(out, tuple) else bar)])
    for one, other, power in zip(*runs, powers, strict=True):
        expected = one * scale**power
        assert np.isfinite(other).all()
        assert abs(other - expected).max(initial=0) <= 1e-12 * abs(expected).max(initial=0)


TINY, HUGE = 4.0**-240, 4.0**240
extremes = pytest.mark.parametrize("scale", [TINY, HUGE], ids=["1e-145", "1e145"])


def in_all(name, *arrays, **options):
    """The value and the gradients of the real part of a weighted sum of the outputs, in each of the libraries."""
    primitive = getattr(overbar, name)
    out, pullback = overbar.vjp(lambda *x: primitive(*x, **options), *arrays)
    outputs = out if isinstance(out, tuple) else (out,)
    bars = [np.sin(np.arange(o.size, dtype=float)).reshape(o.shape).astype(o.dtype) for o in outputs]
    yield [*outputs, *pullback(tuple(bars) if isinstance(out, tuple) else bars[0])]
    x = [torch.tensor(a, requires_grad=True) for a in arrays]
    found = primitive(*x, **options)
    found = found if isinstance(found, tuple) else (found,)
    grads = torch.autograd.grad(found, x, [torch.tensor(b) for b in bars])
    yield [t.detach().resolve_conj().numpy() for t in (*found, *grads)]
    x = [tf.constant(a) for a in arrays]
    with tf.GradientTape() as tape:
        tape.watch(x)
        found = primitive(*x, **options)
    found = found if isinstance(found, tuple) else (found,)
    yield [t.numpy() for t in (*found, *tape.gradient(found, x, [tf.constant(b) for b in bars]))]


def agree(name, *arrays, tolerance=1e-11, **options):
    first, *others = in_all(name, *arrays, **options)
    for other in others:
        for a, b in zip(first, other, strict=True):
            assert np.isfinite(a).all()
            assert abs(a - b).max(initial=0) <= tolerance * abs(a).max(initial=0)


@doubles
@extremes
@pytest.mark.parametrize("n", [1, 2, 7, 33])
def test_extreme_scales(n, scale, dtype):
    draw = Draw(rng, dtype)
    b = draw.normal(n, 2)
    scaled(overbar.solve_banded, (band(n, 1, 2, dtype), b), {0}, scale, (-1, -2, -1), l_and_u=(1, 2))
    diagonals = draw.normal(3, n) + np.array([[0], [9], [0]])
    scaled(overbar.tridiagonal_solve, (diagonals, b), {0}, scale, (-1, -2, -1))
    ab = draw.normal(3, n) / 9
    ab[0] = 1 + rng.random(n)
    scaled(overbar.cholesky_banded, (ab,), {0}, scale, (0.5, -0.5), lower=True)
    scaled(overbar.cho_solve_banded, (ab, b), {0}, scale**0.5, (-2, -3, -2), lower=True)
    c, r = draw.normal(n), draw.normal(n)
    c[0] += 4 * n**0.5
    scaled(overbar.solve_toeplitz, (c, r, b), {0, 1}, scale, (-1, -2, -2, -1))
    A = draw.normal(n, n) + 3 * np.eye(n, k=-1)
    scaled(overbar.hessenberg, (A,), {0}, scale, (1, 0))
    scaled(overbar.hessenberg, (A,), {0}, scale, (0, -1), chosen=1)


# ---------------------------------------------------------------------------------------------------------------------
# Bands


def band(n, lower, upper, dtype=np.float64, batch=()):
    ab = Draw(rng, dtype, batch).normal(lower + upper + 1, n)
    ab[..., upper, :] += 3 * (lower + upper + 1)
    return ab


def dense(ab, lower, upper):
    n = ab.shape[-1]
    A = np.zeros((n, n), ab.dtype)
    for i in range(n):
        for j in range(max(0, i - lower), min(n, i + upper + 1)):
            A[i, j] = ab[upper + i - j, j]
    return A


@doubles
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("l_and_u", [(0, 0), (1, 2), (3, 0)], ids=str)
def test_banded_systems_of_any_size(n, l_and_u, dtype):
    ab, b = band(n, *l_and_u, dtype), Draw(rng, dtype).normal(n, 2)
    right(overbar.solve_banded, ab, b, l_and_u=l_and_u)
    right(overbar.solve_banded, ab, b, l_and_u=l_and_u, adjoint=True)


def test_a_batch_of_bands_in_all_libraries():
    ab = band(33, 2, 1, batch=(3, 1))
    ab[1] *= 1e-150
    ab[2, :, 1] = np.where(np.arange(33) % 2, 1e-3, 3)  # badly scaled pivots
    agree("solve_banded", ab, rng.standard_normal((2, 33, 2)), l_and_u=(2, 1))


@pytest.mark.parametrize("kind", ["solve_banded", "tridiagonal_solve"])
def test_pivots_that_vanish_without_exchanges(kind):
    """[0 1; 1 0] on the diagonal: perfectly conditioned."""
    n = 6
    A = np.kron(np.eye(n // 2), [[0.0, 1], [1, 0]])
    ab = np.stack([np.append(0, A.diagonal(1)), A.diagonal(), np.append(A.diagonal(-1), 0)])
    if kind == "tridiagonal_solve":
        ab = np.stack([np.append(A.diagonal(1), 0), A.diagonal(), np.append(0, A.diagonal(-1))])
        options = {}
    else:
        options = {"l_and_u": (1, 1)}
    b = rng.standard_normal((n, 2))
    np.testing.assert_allclose(getattr(overbar, kind)(ab, b, **options), A @ b, rtol=1e-15)
    right(getattr(overbar, kind), ab, b, **options)
    agree(kind, ab, b, **options)


def test_corners_that_are_not_read_have_no_bar():
    ab = band(5, 1, 2)
    ab[0, :2] = ab[1, 0] = ab[3, 4] = np.nan
    for _, ab_bar, b_bar in in_all("solve_banded", ab, rng.standard_normal((5, 2)), l_and_u=(1, 2)):
        assert np.isfinite(b_bar).all()
        assert (ab_bar[np.isnan(ab)] == 0).all()
    lower = np.concatenate([np.full((1, 4), 2.0), np.full((2, 4), 0.3)])
    lower[1, 3] = lower[2, 2:] = np.nan
    for name, arrays in (("cholesky_banded", [lower]), ("cho_solve_banded", [lower, np.ones((4, 1))])):
        for _, bar, *_ in in_all(name, *arrays, lower=True):
            assert (bar[np.isnan(lower)] == 0).all()
            assert np.isfinite(bar).all()
    diagonals = rng.standard_normal((3, 4)) + np.array([[0], [5], [0]])
    diagonals[0, 3] = diagonals[2, 0] = np.nan
    _, bar, _ = next(in_all("tridiagonal_solve", diagonals, np.ones((4, 1))))
    assert (bar[np.isnan(diagonals)] == 0).all()
    assert np.isfinite(bar).all()


@doubles
@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("p", [1, 3, 5])
def test_cholesky_of_bands_also_wider_than_the_matrix(n, p, dtype):
    for lower in (False, True):
        ab = Draw(rng, dtype).normal(p, n) / (2 * p)
        ab[0 if lower else p - 1] = 1 + rng.random(n)
        right(overbar.cholesky_banded, ab, lower=lower)
        right(overbar.cho_solve_banded, ab, Draw(rng, dtype).normal(n, 2), lower=lower)


@doubles
@pytest.mark.parametrize("lower", [False, True])
def test_cholesky_of_a_band_in_several_blocks_is_that_of_the_full_matrix(lower, dtype):
    n, p = 150, 40
    ab = Draw(rng, dtype).normal(p, n) / (2 * p)
    ab[0] = 1 + rng.random(n)
    lower_band, full = ab, dense(ab, p - 1, 0)
    A = np.tril(full, -1) + np.tril(full, -1).conj().T + np.diag(full.diagonal())
    L = np.linalg.cholesky(A)
    rows, columns = np.indices((n, n))
    inside = (rows >= columns) & (rows - columns < p)
    L_bar = np.where(inside, Draw(rng, dtype).normal(n, n), 0)
    A_bar = overbar.vjp(overbar.cholesky, A)[1](L_bar)[0]
    stored = np.zeros((p, n), dtype)
    stored[(rows - columns)[inside], columns[inside]] = (A_bar * (2 - np.eye(n)))[inside]
    bar = np.zeros((p, n), dtype)
    bar[(rows - columns)[inside], columns[inside]] = L_bar[inside]
    if not lower:  # the same numbers in the other storage
        turn = lambda X: np.stack([np.roll(X[d], d).conj() for d in reversed(range(p))])  # noqa: E731
        lower_band, bar, stored = turn(lower_band), turn(bar), turn(stored)
    factor, pullback = overbar.vjp(lambda ab: overbar.cholesky_banded(ab, lower=lower), lower_band)
    found = pullback(bar)[0]
    np.testing.assert_allclose(np.diagonal(L).real, factor[0 if lower else -1].real, rtol=1e-13)
    assert abs(found - stored).max() < 1e-13 * abs(stored).max()


@doubles
def test_the_equations_of_banded_factors_have_right_rules(dtype):
    draw = Draw(3, dtype)
    L, E = draw.normal(3, 40) / 6, draw.normal(3, 40)
    L[0] = 1 + abs(L[0])
    for primitive in (cholesky_band_tangent, cholesky_band_cotangent):
        case = Case((L, E), {})
        assert adjoint_error(primitive, case) < 1e-12
        if dtype is np.float64:  # the diagonal of L is real: complex differences would leave the domain
            assert difference_error(primitive, case) < 1e-8
    X, Y = cholesky_band_tangent(L, E), cholesky_band_cotangent(L, E)
    E[0], X[0], Y[0] = E[0].real, X[0].real, Y[0].real
    np.testing.assert_allclose(np.vdot(X, E).real, np.vdot(E, Y).real, rtol=1e-12)


@doubles
def test_what_the_rules_of_systems_have_of_a_banded_factor_has_right_rules(dtype):
    """And is right, also where something is stored in the corners, and by each of the kernels."""
    draw = Draw(5, dtype)
    L, G, X, Z = draw.normal(3, 9), draw.normal(3, 9), draw.normal(9, 2), draw.normal(9, 2)
    for primitive, arrays in ((solution_band_tangent, (L, G, X)), (solution_band_cotangent, (L, X, Z))):
        assert adjoint_error(primitive, Case(arrays, {})) < 1e-13
        assert difference_error(primitive, Case(arrays, {})) < 1e-8
    full = lambda band: sum(np.diag(band[d, : 9 - d], -d) for d in range(3))  # noqa: E731
    A, B = full(L), full(G)
    of_X, of_L = -(A @ B.conj().T + B @ A.conj().T) @ X, -(Z @ X.conj().T + X @ Z.conj().T) @ A
    of_L = np.stack([np.pad(np.diagonal(of_L, -d), (0, d)) for d in range(3)])
    L[2, 7:] = G[1, 8] = np.nan
    for found in (solution_band_tangent(L, G, X), *products_of_bands(L, G, X)):
        np.testing.assert_allclose(found, of_X, rtol=1e-12)
    for found in (solution_band_cotangent(L, X, Z), *pbtrs_cotangent(L, X, Z)):
        np.testing.assert_allclose(found, of_L, rtol=1e-12, atol=1e-14)


def test_a_batch_of_banded_factors_in_all_libraries():
    ab = rng.standard_normal((3, 4, 33)) / 8
    ab[:, -1] = 1 + rng.random((3, 33))
    ab[1] *= 1e-150
    agree("cholesky_banded", ab)
    agree("cho_solve_banded", ab[::2], rng.standard_normal((2, 33, 2)))


def test_a_long_band_needs_no_full_matrix():
    """A full matrix of this size would have 10¹¹ entries."""
    n = 300_000
    ab = np.stack([np.full(n, -1.0), np.full(n, 2.5)])
    U, pullback = overbar.vjp(overbar.cholesky_banded, ab)
    np.testing.assert_allclose(pullback(U)[0] @ np.ones(n), [0, n / 2], atol=n * 1e-10)  # Σ U² is the trace of A
    rhs = np.ones((n, 1))
    diagonals = np.stack([np.full(n, -1.0), np.full(n, 2.5), np.full(n, -1.0)])
    X, pullback = overbar.vjp(overbar.tridiagonal_solve, diagonals, rhs)
    assert pullback(X)[0].shape == (3, n)
    X, pullback = overbar.vjp(overbar.cho_solve_banded, U, rhs)
    assert pullback(X)[0].shape == (2, n)


def test_what_is_not_positive_definite_is_named():
    ab = np.array([[[0.0, 0.5, 0.5], [1, 1, 1]], [[0.0, 0.5, 2], [1, 1, 1]]])
    for make, library in ((np.asarray, "NumPy"), (torch.tensor, "PyTorch"), (tf.constant, "TensorFlow")):
        with pytest.raises(
            Exception, match=r"leading minor of order 3 is not positive.*Matrix 1 of the batch"
        ) as error:
            overbar.cholesky_banded(make(ab))
        assert isinstance(error.value, (np.linalg.LinAlgError, torch.linalg.LinAlgError, tf.errors.OpError)), library
    with pytest.raises(np.linalg.LinAlgError, match="not finite"):
        overbar.cholesky_banded(np.array([[0.0, np.nan], [1, 1]]))
    singular = np.array([[0.0, 1], [1, 1], [1, 0]])
    with pytest.raises(np.linalg.LinAlgError, match=r"solve_banded: the matrix is singular: its pivot 2 is zero"):
        overbar.solve_banded(singular, np.ones(2), l_and_u=(1, 1))
    with pytest.raises(np.linalg.LinAlgError, match="its diagonal is zero at"):
        overbar.cho_solve_banded(np.array([[0.0, 1], [1, 0]]), np.ones(2))
    with pytest.raises(ValueError, match="it must have l \\+ u \\+ 1 = 4 rows"):
        overbar.solve_banded(singular, np.ones(2), l_and_u=(1, 2))
    with pytest.raises(ValueError, match="l_and_u must be a pair of whole numbers"):
        overbar.solve_banded(singular, np.ones(2), l_and_u=(-1, 3))
    with pytest.raises(ValueError, match="diagonals of shape \\(2, 4\\) has 2 where"):
        overbar.tridiagonal_solve(np.ones((2, 4)), np.ones(4))


def test_the_order_of_scipy_in_the_fronts():
    ab, b = band(5, 1, 2), rng.standard_normal(5)
    expected = scipy.linalg.solve_banded((1, 2), ab, b)
    np.testing.assert_allclose(torch_ops.solve_banded((1, 2), torch.tensor(ab), torch.tensor(b)), expected)
    np.testing.assert_allclose(tf_ops.solve_banded((1, 2), ab, b), expected)


# ---------------------------------------------------------------------------------------------------------------------
# Toeplitz matrices


@doubles
@pytest.mark.parametrize("n", SIZES)
def test_toeplitz_systems_of_any_size(n, dtype):
    draw = Draw(rng, dtype)
    c, r, b = draw.normal(n), draw.normal(n), draw.normal(n, 2)
    c[0] += 4 * n**0.5
    right(overbar.solve_toeplitz, c, r, b)
    right(overbar.solve_toeplitz, c, r, b, adjoint=True)


@pytest.mark.parametrize("corner", [0.0, 1e-16, 1e-12, 1e-5])
def test_leading_minors_that_vanish(corner):
    """T is well-conditioned, and Levinson's recursion divides by its first entry."""
    c, r = np.array([corner, 1, 0.2, 0.1]), np.array([9, 1, -0.3, 0.2])
    assert np.linalg.cond(scipy.linalg.toeplitz(c, np.append(c[:1], r[1:]))) < 20
    b = rng.standard_normal((4, 2))
    right(overbar.solve_toeplitz, c, r, b, tolerance=1e-13)
    agree("solve_toeplitz", c, r, b, tolerance=1e-13)


@doubles
def test_products_and_sums_along_diagonals_have_right_rules(dtype):
    draw = Draw(4, dtype)
    for primitive, arrays, options in (
        (toeplitz_product, (draw.normal(5), draw.normal(5), draw.normal(5, 2)), {"adjoint": False}),
        (toeplitz_product, (draw.normal(5), draw.normal(5), draw.normal(5, 2)), {"adjoint": True}),
        (toeplitz_bar, (draw.normal(5, 2), draw.normal(5, 2)), {}),
    ):
        assert adjoint_error(primitive, Case(arrays, options)) < 1e-13
        assert difference_error(primitive, Case(arrays, options)) < 1e-8


def test_a_batch_of_toeplitz_systems_in_all_libraries():
    c, r = rng.standard_normal((3, 1, 33)), rng.standard_normal((3, 1, 33))
    c[..., 0] += 30
    c[1], r[1] = 1e150 * c[1], 1e150 * r[1]
    c[2, :, 0] = 0
    agree("solve_toeplitz", c, r, rng.standard_normal((2, 33, 1)), tolerance=1e-10)


def test_a_singular_toeplitz_matrix_is_an_error_and_nan_is_nan():
    with pytest.raises(np.linalg.LinAlgError, match="solve_toeplitz: the matrix is singular"):
        overbar.solve_toeplitz(np.ones(3), np.ones(3), np.ones(3))
    with pytest.raises(np.linalg.LinAlgError, match="all of its entries are zero"):
        overbar.solve_toeplitz(np.zeros(3), np.zeros(3), np.ones(3))
    assert np.isnan(overbar.solve_toeplitz(np.array([np.nan, 1]), np.ones(2), np.ones(2))).all()
    assert np.isnan(overbar.solve_toeplitz(np.array([2.0, 1]), np.ones(2), np.array([np.inf, 1]))).all()


# ---------------------------------------------------------------------------------------------------------------------
# Hessenberg form


@doubles
@pytest.mark.parametrize("n", SIZES)
def test_hessenberg_forms_of_any_size(n, dtype):
    right(overbar.hessenberg, Draw(rng, dtype).normal(n, n) + 3 * np.eye(n, k=-1))


@doubles
def test_a_batch_of_hessenberg_forms_in_all_libraries(dtype):
    A = Draw(rng, dtype, (3,)).normal(33, 33) + 3 * np.eye(33, k=-1)
    A[1] *= 1e-150
    A[2] += np.swapaxes(A[2], -1, -2).conj()  # Hermitian: H is tridiagonal
    agree("hessenberg", A, tolerance=1e-9)
    case = Case((A[0],), {})
    assert adjoint_error(overbar.hessenberg, case) < 1e-11
    assert difference_error(overbar.hessenberg, case) < 1e-4


@pytest.mark.parametrize("n", [2, 3, 5])
def test_a_matrix_that_has_hessenberg_form_already(n):
    """LAPACK leaves it as it is, and the derivative is that of this choice of signs: Q̇ is skew, and Ḣ has the form."""
    A, A_dot = np.triu(rng.standard_normal((n, n)), -1) + 3 * np.eye(n, k=-1), rng.standard_normal((n, n))
    (H, _), (H_dot, Q_dot) = overbar.jvp(overbar.hessenberg, (A,), (A_dot,))
    np.testing.assert_array_equal(H, A)
    np.testing.assert_allclose(Q_dot + Q_dot.T, 0, atol=1e-14)
    np.testing.assert_allclose(Q_dot @ H - H @ Q_dot + H_dot, A_dot, atol=1e-13)
    np.testing.assert_array_equal(np.tril(H_dot, -2), 0)
    np.testing.assert_array_equal(Q_dot[:, 0], 0)


def test_what_is_the_same_for_every_choice_is_right_to_second_order():
    """The trace of H³ is that of A³, in torch and TensorFlow twice differentiated."""
    A, V = rng.standard_normal((2, 4, 4))
    x = torch.tensor(A, requires_grad=True)
    f = lambda H: (H @ H @ H).diagonal().sum()  # noqa: E731
    (first,) = torch.autograd.grad(f(overbar.hessenberg(x)[0]), x, create_graph=True)
    (second,) = torch.autograd.grad((first * torch.tensor(V)).sum(), x)
    np.testing.assert_allclose(first.detach(), 3 * (A @ A).T, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(second, 3 * (A @ V + V @ A).T, rtol=1e-10, atol=1e-10)
    y = tf.constant(A)
    with tf.GradientTape() as outer:
        outer.watch(y)
        with tf.GradientTape() as inner:
            inner.watch(y)
            H = overbar.hessenberg(y)[0]
            z = tf.linalg.trace(H @ H @ H)
        product = tf.reduce_sum(inner.gradient(z, y) * V)
    np.testing.assert_allclose(outer.gradient(product, y), 3 * (A @ V + V @ A).T, rtol=1e-10, atol=1e-10)


@doubles
def test_the_equation_of_the_rotation_has_right_rules(dtype):
    draw = Draw(6, dtype)
    H, F = np.triu(draw.normal(5, 5), -1) + 3 * np.eye(5, k=-1), draw.normal(5, 5)
    for adjoint in (False, True):
        case = Case((H, F), {"adjoint": adjoint})
        assert adjoint_error(hessenberg_rotation, case) < 1e-13
        assert difference_error(hessenberg_rotation, case) < 1e-8


def test_a_zero_on_the_subdiagonal():
    A = np.diag([1.0, 2, 3, 4]) + np.eye(4, k=-1) + np.eye(4, k=1)
    A[1, 0] = 0
    message = r"number 0 on the subdiagonal of H is zero, to rounding"
    with pytest.raises(np.linalg.LinAlgError, match=message):
        overbar.vjp(overbar.hessenberg, A)[1]((A, A))
    loss = overbar.hessenberg(torch.tensor(A, requires_grad=True))[0].sum()
    with pytest.raises(torch.linalg.LinAlgError, match=message):
        loss.backward()
    A[1, 0], A[3, 2] = 1, 0  # nothing stands behind the last one
    Q = np.eye(4)
    Q[1:, 1:] = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    right(overbar.hessenberg, Q @ A @ Q.T)
    with pytest.raises(np.linalg.LinAlgError, match="number 2 on the subdiagonal"):  # a complex one has an open phase
        overbar.jvp(overbar.hessenberg, (A + 0j,), (A + 0j,))


# ---------------------------------------------------------------------------------------------------------------------
# Products of reflections


@doubles
@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (3, 1), (7, 3), (7, 7)], ids=str)
def test_products_of_reflections_of_any_shape(shape, dtype):
    m, n = shape
    for k in {1, n}:
        tau = Draw(rng, dtype).normal(k)
        tau[k // 2] = 0
        right(overbar.householder_product, Draw(rng, dtype).normal(m, n) / m, tau, tolerance=1e-12)


@doubles
def test_the_reflections_of_a_qr_decomposition_in_all_libraries(dtype):
    A = Draw(rng, dtype, (3,)).normal(33, 7)
    A[1] *= 1e150
    (geqrf,) = scipy.linalg.get_lapack_funcs(("geqrf",), (A,))
    found = [geqrf(M)[:2] for M in A]
    V, tau = np.stack([np.tril(M, -1) for M, _ in found]), np.stack([t for _, t in found])
    tau[2, 3] = 0
    agree("householder_product", V, tau, tolerance=1e-12)
    Q = overbar.householder_product(V[:2], tau[:2])
    np.testing.assert_allclose(Q.conj().swapaxes(-1, -2) @ Q, np.broadcast_to(np.eye(7), (2, 7, 7)), atol=1e-14)


def test_no_reflections_and_no_columns():
    for shape, k in (((3, 2), 0), ((3, 0), 0), ((0, 0), 0)):
        Q, pullback = overbar.vjp(overbar.householder_product, np.ones(shape), np.ones(k))
        np.testing.assert_array_equal(Q, np.eye(*shape))
        assert [bar.shape for bar in pullback(Q)] == [shape, (k,)]
    with pytest.raises(np.linalg.LinAlgError, match="wider than tall"):
        overbar.householder_product(np.ones((2, 3)), np.ones(2))
    with pytest.raises(np.linalg.LinAlgError, match="more reflections than columns"):
        overbar.householder_product(np.ones((3, 2)), np.ones(3))


@pytest.mark.parametrize("n", [1, 4, 70])
@pytest.mark.parametrize("p", [1, 2, 4, 7])
def test_narrow_bands_by_entries_as_by_blocks(p, n, monkeypatch):
    L, E = rng.standard_normal((2, p, n))
    L[0] = abs(L[0]) + 2
    for kernel in (banded_cholesky.banded_tangent, banded_cholesky.banded_cotangent):
        monkeypatch.setattr(banded_cholesky, "NARROW", 7)
        (by_entries,) = kernel(L, E)
        monkeypatch.setattr(banded_cholesky, "NARROW", 0)
        (by_blocks,) = kernel(banded.without_corners(L, p - 1, 0), banded.without_corners(E, p - 1, 0))
        assert abs(by_entries - by_blocks).max() <= 1e-12 * abs(by_blocks).max()


@pytest.mark.parametrize("pair", [(1, 1), [1, 1], np.array([1, 1]), (np.int64(1), np.int32(1))], ids=repr)
def test_the_numbers_of_diagonals_in_every_form(pair):
    ab, b = np.array([[0.0, 1, 1], [4, 4, 4], [1, 1, 0]]), np.ones(3)
    expected = scipy.linalg.solve_banded((1, 1), ab, b)
    for found in (overbar.solve_banded(pair, ab, b), overbar.solve_banded(ab, b, l_and_u=pair)):
        np.testing.assert_allclose(found, expected)
    np.testing.assert_allclose(torch_ops.solve_banded(pair, torch.tensor(ab), torch.tensor(b)), expected)
    np.testing.assert_allclose(tf_ops.solve_banded(pair, tf.constant(ab), tf.constant(b)), expected)


@pytest.mark.parametrize("pair", [(1.5, 1), (1, -1), np.array([[1, 1], [1, 0]]), (1,), 2, None], ids=repr)
def test_numbers_of_diagonals_that_are_none(pair):
    """And one pair for each matrix, which SciPy does not take either."""
    with pytest.raises(ValueError, match="one pair: where theirs differ, give each band rows of zeros"):
        overbar.solve_banded(np.ones((2, 3, 3)), np.ones(3), l_and_u=pair)


@pytest.mark.parametrize("n", [1, 2, 5, 40])
@pytest.mark.parametrize("lower, upper", [(3, 4), (8, 0), (0, 9), (20, 3)])
@doubles
def test_many_diagonals_of_a_small_matrix_are_taken_from_the_full_one(n, lower, upper, dtype, monkeypatch):
    """One product of matrices, in place of a few calls for each diagonal: in the same places."""
    draw = Draw(0, dtype)
    P, Q, X = Draw(1, dtype, (2,)).normal(n, 3), draw.normal(n, 3), Draw(2, dtype, (2,)).normal(n, 3)
    ab = draw.normal(lower + upper + 1, n)

    def found():
        return [
            bands.band_of(P, Q, lower, upper),
            *(bands.band_times(ab, X, lower, upper, adjoint=adjoint) for adjoint in (False, True)),
        ]

    taken = []
    full, diagonals = bands._transposed_full, bands._diagonals_of
    monkeypatch.setattr(bands, "_transposed_full", lambda *args: taken.append("full") or full(*args))
    monkeypatch.setattr(bands, "_diagonals_of", lambda *args: taken.append("diagonals") or diagonals(*args))
    by_products = found()
    assert taken == ["diagonals", "full", "full"]
    monkeypatch.setattr(bands, "_DIAGONALS", 100)
    for a, b in zip(by_products, found(), strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-13)
    assert len(taken) == 3


@pytest.mark.parametrize("l_and_u", [(4, 4), (0, 8)])
def test_second_derivatives_with_many_diagonals(l_and_u):
    """In each framework by its own machinery, and by PyTorch's vmap."""
    n, draw = 12, Draw(0, np.float64)
    ab, b, c = draw.normal(9, n), draw.normal(n, 2), draw.normal(9, n)
    ab[l_and_u[1]] += 9

    def loss(ab):
        return overbar.sum(overbar.solve_banded(ab, b, l_and_u=l_and_u) ** 2)

    step = 1e-5
    grad = overbar.grad(loss)
    expected = (grad(ab + step * c) - grad(ab - step * c)) / (2 * step)
    A, B, C = map(torch.tensor, (ab, b, c))
    of_torch = lambda A: (torch_ops.solve_banded(l_and_u, A, B) ** 2).sum()  # noqa: E731
    _, by_torch = torch.func.jvp(torch.func.grad(of_torch), (A,), (C,))
    np.testing.assert_allclose(torch.func.grad(of_torch)(A), grad(ab), atol=1e-12)
    np.testing.assert_allclose(torch.func.vmap(torch.func.grad(of_torch))(torch.stack([A, A]))[1], grad(ab), atol=1e-12)
    A = A.requires_grad_()
    (first_bar,) = torch.autograd.grad(of_torch(A), A, create_graph=True)
    (twice,) = torch.autograd.grad((first_bar * C).sum(), A)

    by_tf = twice_in_a_graph(lambda A: tf.reduce_sum(tf_ops.solve_banded(l_and_u, A, tf.constant(b)) ** 2), ab, c)
    for found in (overbar.hvp(loss, (ab,), c), by_torch.detach(), twice, by_tf):
        np.testing.assert_allclose(found, expected, atol=1e-7)


# -- eigenvalues of tridiagonal matrices -------------------------------------------------------------------------------


@doubles
def test_large_tridiagonal_matrices_have_the_decomposition_of_the_full_ones(dtype):
    """By a routine of the host's own, in place of that for full matrices, from 48 rows on."""
    n = 50
    draw = Draw(0, dtype, (2,))
    d, e = draw.normal(n).real.astype(dtype), draw.normal(n - 1)
    e[0, 7] = 0
    A = np.zeros((2, n, n), dtype)
    i = np.arange(n - 1)
    A[:, i, i + 1], A[:, i + 1, i] = e, e.conj()
    A[:, np.arange(n), np.arange(n)] = d
    w, V = overbar.eigh(A)
    w_bar, V_bar = np.cos(w), np.cos(np.arange(n * n)).reshape(n, n) + 0 * V
    A_bar = overbar.vjp(overbar.eigh, A)[1]((w_bar, V_bar))[0]
    d_bar, e_bar = np.diagonal(A_bar, 0, -2, -1).real, 2 * np.diagonal(A_bar, 1, -2, -1)
    for xp, ops in ((np, overbar), (torch, torch_ops), (tf, tf_ops)):
        options = {} if xp is np else {"eigvals_only": False}
        f = lambda d, e: ops.eigh_tridiagonal(d, e, **options)  # noqa: B023, E731
        if xp is np:
            found, pullback = overbar.vjp(f, d, e)
            bars = pullback((w_bar, V_bar))
        elif xp is torch:
            x = [torch.tensor(a, requires_grad=True) for a in (d, e)]
            found = f(*x)
            bars = torch.autograd.grad(found, x, [torch.tensor(w_bar), torch.tensor(V_bar)])
            found = [t.detach() for t in found]
        else:
            x = [tf.constant(a) for a in (d, e)]
            with tf.GradientTape() as tape:
                tape.watch(x)
                found = f(*x)
            found_bars = w_bar.astype(found[0].dtype.as_numpy_dtype), V_bar
            bars = tape.gradient(found, x, [tf.constant(b) for b in found_bars])
        for a, b in zip((*found, *bars), (w, V, d_bar, e_bar), strict=True):
            assert abs(np.asarray(a) - b).max() <= 1e-9 * abs(b).max()


@pytest.mark.parametrize("kind", ["random", "differences"])
@doubles
def test_rules_of_large_tridiagonal_matrices_make_no_full_ones(dtype, kind, monkeypatch):
    """The differences, zero and one, have integers for eigenvalues, among them 0, so that a pivot of T − w may be 0."""
    n, rules = 51, overbar.rules._eigen_tridiagonal
    draw = Draw(0, dtype)
    d, e = (
        (draw.normal(n).real.astype(dtype), draw.normal(n - 1)) if kind == "random" else (np.zeros(n), np.ones(n - 1))
    )
    e = e.astype(dtype)
    bars = draw.normal(n).real, draw.normal(n, n)
    dots = draw.normal(n).real.astype(dtype), draw.normal(n - 1)

    def derivatives():
        _, pullback = overbar.vjp(overbar.eigh_tridiagonal, d, e)
        outputs, tangents = overbar.jvp(overbar.eigh_tridiagonal, (d, e), dots)
        return *pullback(bars), *pullback((None, bars[1])), *tangents, outputs[0]

    monkeypatch.setattr(rules, "TRIDIAGONAL", n + 1)
    expected = derivatives()
    monkeypatch.undo()
    for name in ("decomposed_bar", "decomposed_dots"):
        monkeypatch.setattr(rules, name, None)
    for found, wanted in zip(derivatives(), expected, strict=True):
        assert found.dtype == wanted.dtype
        assert abs(found - wanted).max() <= 1e-11 * abs(wanted).max() + 1e-12


def test_the_pivot_that_is_zero_is_moved():
    T, v = np.diag(np.ones(2), 1) + np.diag(np.ones(2), -1), np.array([1, 0, -1]) / 2**0.5
    of = _Vectors(np.zeros(3), np.ones(2), -4 * np.finfo(float).eps * np.ones(1), v[None], 1.0)  # the shift gives w = 0
    b = np.array([1.0, 2.0, 1.0])
    x = of.solved(b[None])[0]
    np.testing.assert_allclose(T @ x, b, atol=1e-14)
    assert abs(v @ x) < 1e-15


def test_a_large_tridiagonal_matrix_that_is_not_finite_is_refused():
    d, e = np.ones(60), np.ones(59)
    d[3] = np.nan
    with pytest.raises(np.linalg.LinAlgError, match="not finite"):
        overbar.eigh_tridiagonal(d, e)


@doubles
@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("sizes", [(0, 2), (4, 0), (0, 0)], ids=str)
def test_solving_with_a_banded_factor_of_size_zero(sizes, lower, dtype):
    n, k = sizes
    cb, b = np.ones((3, n), dtype), np.ones((n, k), dtype)
    X, pullback = overbar.vjp(lambda cb, b: overbar.cho_solve_banded(cb, b, lower=lower), cb, b)
    assert X.shape == b.shape
    for bar, x in zip(pullback(X), (cb, b), strict=True):
        assert bar.shape == x.shape
        assert not bar.any()
    x, y = (torch.tensor(a, requires_grad=True) for a in (cb, b))
    bars = torch.autograd.grad(torch_ops.cho_solve_banded(x, y, lower=lower).abs().sum(), (x, y))
    assert [bar.shape for bar in bars] == [x.shape, y.shape]
