"""The compiled loop for singular values and vectors of many small matrices, against what these are. May import NumPy,
`overbar`, the fronts and `tests`."""

import numpy as np
import pytest

import overbar
from overbar.kernels import _compiled, _side_by_side, _small_svd
from overbar.kernels._small_eigen import MATRICES, NUMBERS
from overbar.kernels._small_svd import LARGEST, small_svd
from overbar.rules._decompositions import have_quick_singular_vectors
from tests.compare import close
from tests.frameworks import tf_ops, torch_ops
from tests.kernels.many import check_fronts, check_transforms

needs_numba = pytest.mark.skipif(not _compiled.available(), reason="numba is not installed")

PART = 0.7

#: so many matrices of order four go by the loop
COUNT = NUMBERS // 12


def draw(count, m, n, dtype="d"):
    return np.random.default_rng(count + m + n).normal(size=(count, m, n)).astype(dtype)


def check(A, U, S, Vh, factor=8, by_right=False):
    """To a few ε of the largest entry, in descending order, with the signs that were asked for."""
    eps, size = np.finfo(A.dtype).eps, np.abs(A).max((-2, -1), initial=0)
    (m, n), (A, U, S, Vh) = A.shape[-2:], (x.astype(np.longdouble) for x in (A, U, S, Vh))
    scale = np.where(size > 0, size, 1).astype(np.longdouble)[..., None]
    bound = factor * m**0.5 * eps
    assert (S >= 0).all()
    assert (np.diff(S) <= 0).all()
    for off in (
        A / scale[..., None] - (U * (S / scale)[..., None, :]) @ Vh,
        U.mT @ U - np.eye(n),
        Vh @ Vh.mT - np.eye(n),
    ):
        assert (np.abs(off) <= bound).all(), np.abs(off).max() / eps
    vectors = np.abs(Vh.mT if by_right else U)
    first = (vectors >= PART * vectors.max(-2, keepdims=True)).argmax(-2)[..., None, :]
    assert (np.take_along_axis(Vh.mT if by_right else U, first, -2) > 0).all()


@needs_numba
@pytest.mark.parametrize("by_right", [False, True])
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(
    ("count", "m", "n"), [(1, 1, 1), (5, 2, 2), (8, 3, 3), (19, 6, 3), (9, 13, 8), (3, 64, LARGEST)]
)
def test_many_small_matrices(count, m, n, dtype, by_right):
    """However many there are and however they are stored."""
    A = draw(count, m, n, dtype)
    for stored in (A, A.mT.copy().mT):
        U, S, Vh, failed = small_svd(stored, part=PART, by_right=by_right)
        assert (U.dtype, S.dtype, Vh.dtype, failed.sum()) == (A.dtype, A.dtype, A.dtype, 0)
        check(A, U, S, Vh, by_right=by_right)


def hard_matrices(m, n):
    rng = np.random.default_rng(n)
    U, V = np.linalg.qr(rng.normal(size=(m, n)))[0], np.linalg.qr(rng.normal(size=(n, n)))[0]
    i = np.arange(n)
    turned = lambda S: (U * S) @ V  # noqa: E731
    one = np.eye(m, n)
    gap = one.copy()
    gap[:, n // 2] = 0
    return {
        "zero": np.zeros((m, n)),
        "one": one,
        "a zero column": gap,
        "exchanged": one[:, ::-1].copy(),
        "all ones": np.ones((m, n)),
        "one entry": np.outer(np.arange(m) == m - 1, i == 0).astype(float),
        "rank one": np.outer(U[:, 0], V[0]),
        "rank two": turned((i < 2).astype(float)),
        "rank two in rounding": turned((i < 2).astype(float)) + 1e-17 * rng.normal(size=(m, n)),
        "orthogonal": turned(np.ones(n)),
        "two values": turned(1.0 + i % 2),
        "near one": turned(1.0 + 1e-9 * i),
        "wide range": turned(10.0 ** (-15 * i / n)),
        "graded columns": rng.normal(size=(m, n)) * 10.0 ** -(2 * i),
        "graded rows": rng.normal(size=(m, n)) * 10.0 ** -(2.0 * np.arange(m)[:, None]),
        "twice the same column": rng.normal(size=(m, 1)) * np.ones(n),
        "a column that is hardly there": turned(np.ones(n)) * np.where(i == n - 1, 1e-13, 1),
        "Hilbert's": 1.0 / (1 + np.arange(m)[:, None] + i),
        "Kahan's": np.triu(np.eye(m, n) - 0.3 * np.triu(np.ones((m, n)), 1)),
        "any": rng.normal(size=(m, n)),
    }


@needs_numba
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(("m", "n"), [(2, 2), (3, 3), (4, 4), (5, 3), (9, 8), (16, 16), (40, 20)])
def test_hard_matrices(m, n, dtype):
    """Each is the same, whoever is beside it."""
    A = np.stack(list(hard_matrices(m, n).values())).astype(dtype)
    U, S, Vh, failed = found = small_svd(A, part=PART)
    assert not failed.any()
    check(A, U, S, Vh)
    close(S, np.linalg.svd(A.astype(float), compute_uv=False), 20 * np.finfo(dtype).eps, axis=-1)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(A))
        for one, other in zip(found, small_svd(A[order], part=PART), strict=True):
            np.testing.assert_array_equal(one[order], other)


@needs_numba
def test_columns_whose_squares_have_no_ratio():
    A = np.tile(np.array([[1, 1e-20], [0, 1.5e-14]], "f"), (9, 1, 1))
    U, S, Vh, failed = small_svd(A, part=PART)
    assert not failed.any()
    check(A, U, S, Vh)
    np.testing.assert_allclose(S[0], [1, 1.5e-14], rtol=1e-6)


@needs_numba
def test_small_values_are_as_exact_as_the_columns():
    """Of a matrix with columns of very different sizes, each singular value has its digits, as with mpmath."""
    mpmath = pytest.importorskip("mpmath")
    A = draw(8, 5, 4) * 10.0 ** (-5.0 * np.arange(4))
    S = small_svd(A, part=PART)[1]
    with mpmath.workdps(60):
        for k in range(8):
            exact = [float(x) for x in mpmath.svd_r(mpmath.matrix(A[k].tolist()), compute_uv=False)]
            np.testing.assert_allclose(S[k], exact, rtol=1e-14)


@needs_numba
@pytest.mark.parametrize("scale", [2.0**-1050, 2.0**-540, 1e-150, 1e150, 2.0**1020])
def test_the_scale_of_a_matrix_does_not_matter(scale):
    A = np.concatenate([draw(9, 6, 5) * scale, draw(9, 6, 5)])
    U, S, Vh, failed = small_svd(A, part=PART)
    assert not failed.any()
    check(A[9:], U[9:], S[9:], Vh[9:])
    if scale > 2.0**-1022:
        check(A[:9] / scale, U[:9], S[:9] / scale, Vh[:9])
    else:  # whose entries are rounded
        close(S[:9] / scale, S[9:], 2.0**-20)


@needs_numba
@pytest.mark.parametrize(("m", "n"), [(1, 1), (3, 2), (9, 9)])
def test_matrices_that_are_not_finite(m, n):
    """They are told, and the others have theirs."""
    A = draw(21, m, n)
    expected = small_svd(A, part=PART)
    A[2, m - 1, 0], A[9, 0, 0], A[17, 0, n - 1] = np.nan, np.inf, -np.inf
    *found, failed = small_svd(A, part=PART)
    np.testing.assert_array_equal(np.flatnonzero(failed), [2, 9, 17])
    for one, other in zip(found, expected, strict=False):
        np.testing.assert_array_equal(np.delete(one, [2, 9, 17], 0), np.delete(other, [2, 9, 17], 0))


@needs_numba
def test_threads_compute_the_same(monkeypatch):
    monkeypatch.setattr(_small_svd, "SHARED", 0)
    monkeypatch.setattr(_side_by_side, "PART", 200)
    A = draw(123, 4, 3)
    expected = small_svd(A, part=PART)
    for threads in (2, 5):
        for one, other in zip(small_svd(A, part=PART, threads=threads), expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_where_the_loop_is_taken():
    many = np.empty((20 * MATRICES, 2 * LARGEST, LARGEST))
    for taken in (many, many.mT):
        assert have_quick_singular_vectors(taken) == _compiled.available()
    assert not have_quick_singular_vectors(many, full_matrices=True)
    for other in (
        many[:7],
        many.astype(complex),
        many.astype(">f8"),
        many[:20, :3, :3],
        np.empty((20, 40, LARGEST + 1)),
    ):
        assert not have_quick_singular_vectors(other)


FUNCTIONS = {
    "svd": lambda ops, A: (ops.svd(A)[1] if ops is tf_ops else ops.svd(A, full_matrices=False)[0]) ** 2,
    "svdvals": lambda ops, A: ops.svdvals(A),
    "polar": lambda ops, A: ops.polar(A)[0],
    "nuclear norm": lambda ops, A: overbar.matrix_norm(A, ord="nuc"),
    "spectral norm": lambda ops, A: overbar.matrix_norm(A, ord=2),
    "pinv": lambda ops, A: overbar.pinv(A),
}


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_derivatives_of_many_matrices(name, shape):
    check_fronts(FUNCTIONS[name], draw(COUNT, *shape))


@pytest.mark.parametrize("name", ["svd", "svdvals", "polar"])
def test_second_derivatives_and_transforms_in_torch(name):
    check_transforms(lambda A: FUNCTIONS[name](torch_ops, A), draw(COUNT, 4, 4), draw(COUNT + 1, 4, 4)[1:], 1e-6)


def test_rotations_of_rank_deficient_and_reflected_matrices():
    """Of a batch with hard matrices, the values and the nuclear norm's gradient are those of each by itself."""
    A = np.concatenate([np.stack(list(hard_matrices(4, 4).values())), draw(COUNT, 4, 4)])
    value, pullback = overbar.vjp(overbar.svdvals, A)
    (A_bar,) = pullback(np.ones_like(value))
    for k in range(10, 25):
        expected, pullback = overbar.vjp(overbar.svdvals, A[k])
        close(value[k], expected, 1e-14)
        if expected[-1] > 1e-8:
            close(A_bar[k], pullback(np.ones_like(expected))[0], 1e-6)
