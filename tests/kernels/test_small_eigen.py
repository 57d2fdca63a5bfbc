"""The compiled loop for eigenvalues and eigenvectors of many small matrices, against what these are. May import NumPy,
`overbar`, the fronts and `tests`."""

import numpy as np
import pytest

import overbar
from overbar.kernels import _compiled, _side_by_side, _small_eigen
from overbar.kernels._side_by_side import LARGEST
from overbar.kernels._small_eigen import MATRICES, NUMBERS, small_eigh
from overbar.rules._decompositions import have_quick_eigenpairs
from tests.compare import close
from tests.frameworks import tf, tf_ops, torch, torch_ops
from tests.kernels.many import check_fronts, check_transforms

needs_numba = pytest.mark.skipif(not _compiled.available(), reason="numba is not installed")

PART = 0.9

#: so many matrices of order four go by the loop
COUNT = NUMBERS // 16


def symmetric(count, n, dtype="d"):
    X = np.random.default_rng(count + n).normal(size=(count, n, n))
    return (X + X.mT).astype(dtype)


def check(A, w, V, factor=12):
    """Eigenvalues in ascending order and eigenvectors, to a few ε of the largest eigenvalue, with the signs that were
    asked for."""
    n, eps, size = A.shape[-1], np.finfo(A.dtype).eps, np.abs(A).max((-2, -1), initial=0)
    scale = np.where(size > 0, size, 1).astype(np.longdouble)[..., None]
    A, w, V = A / scale[..., None], w / scale, V.astype(np.longdouble)
    assert (np.diff(w) >= 0).all()
    largest = np.maximum(1, np.abs(w).max(-1))[..., None, None]
    for off in ((A @ V - V * w[..., None, :]) / largest, V.mT @ V - np.eye(n)):
        assert (np.abs(off) <= factor * n**0.5 * eps).all(), np.abs(off).max() / eps
    large = np.abs(V) >= PART * np.abs(V).max(-2, keepdims=True)
    assert (np.take_along_axis(V, large.argmax(-2)[..., None, :], -2) > 0).all()


@needs_numba
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(("count", "n"), [(1, 1), (5, 2), (8, 3), (19, 8), (9, 13), (3, 33), (9, LARGEST)])
def test_many_small_matrices(count, n, dtype):
    """However many there are and however they are stored; the upper triangles are not read."""
    A = symmetric(count, n, dtype)
    lower = np.where(np.tri(n, dtype=bool), A, np.nan).astype(dtype)
    for stored in (lower, lower.mT.copy().mT):
        w, V, failed = small_eigh(stored, part=PART)
        assert (w.dtype, V.dtype, failed.sum()) == (A.dtype, A.dtype, 0)
        check(A, w, V)


def hard_matrices(n):
    """Matrices whose iterations have little in common, which are computed side by side."""
    rng = np.random.default_rng(n)
    i = np.arange(n)
    Q = np.linalg.qr(rng.normal(size=(n, n)))[0]
    near = np.diag(1.0 + 1e-9 * i) + 1e-12 * symmetric(1, n)[0]
    blocks = np.kron(np.eye(-(-n // 3)), symmetric(1, 3)[0])[:n, :n]
    second = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    wilkinson = np.diag(np.abs(i - n // 2).astype(float)) + np.eye(n, k=1) + np.eye(n, k=-1)
    apart = wilkinson.copy()
    apart[n // 2, n // 2 - 1] = apart[n // 2 - 1, n // 2] = 1e-14
    turned = lambda w: (Q * w) @ Q.T  # noqa: E731
    scaled = [rng.normal(size=(2 * n, n)) * 10.0 ** (-8 * k / n) for k in (i, i[::-1])]
    return {
        "zero": np.zeros((n, n)),
        "one": np.eye(n),
        "diagonal, in no order": np.diag(rng.permutation(n) - 2.0),
        "exchanged": np.eye(n)[::-1].copy(),
        "all ones": np.ones((n, n)),
        "rank one": np.outer(Q[0], Q[0]),
        "negative": -turned(1.0 + i),
        "two values": turned(np.where(i % 2, 1.0, -1.0)),
        "three values": turned((i % 3).astype(float)),
        "near one": near,
        "blocks": blocks,
        "blocks at the end": blocks[::-1, ::-1].copy(),
        "second differences": second,
        "Wilkinson's": wilkinson,
        "Wilkinson's, apart": apart,
        "graded": np.diag(10.0**-i) + np.outer(10.0**-i, 10.0**-i),
        "graded the other way": (np.diag(10.0**-i) + np.outer(10.0**-i, 10.0**-i))[::-1, ::-1].copy(),
        "of rank two in rounding": turned(np.where(i < 2, 1.0, 0.0)) + 1e-17 * symmetric(1, n)[0],
        "Hilbert's": 1.0 / (1 + i[:, None] + i),
        "a smooth covariance": np.exp(-(((i[:, None] - i) / n) ** 2)),
        "a smoother one": np.exp(-(((i[:, None] - i) / (10 * n)) ** 2)),
        "of features in order of size": scaled[0].T @ scaled[0],
        "of features in the other order": scaled[1].T @ scaled[1],
        "any": symmetric(1, n)[0],
    }


@needs_numba
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("n", [2, 3, 4, 7, 16, 25, 40, LARGEST])
def test_hard_matrices(n, dtype):
    """Each is the same, whoever is beside it."""
    A = np.stack(list(hard_matrices(n).values())).astype(dtype)
    w, V, failed = found = small_eigh(A, part=PART)
    assert not failed.any()
    check(A, w, V)
    close(w, np.linalg.eigvalsh(A.astype(float)), 60 * np.finfo(dtype).eps, axis=-1)
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(A))
        for one, other in zip(found, small_eigh(A[order], part=PART), strict=True):
            np.testing.assert_array_equal(one[order], other)


@needs_numba
@pytest.mark.parametrize("scale", [2.0**-1050, 2.0**-540, 1e-150, 1e150, 2.0**1020])
def test_the_scale_of_a_matrix_does_not_matter(scale):
    A = np.concatenate([symmetric(9, 6) * scale, symmetric(9, 6)])
    w, V, failed = small_eigh(A, part=PART)
    assert not failed.any()
    check(A[9:], w[9:], V[9:])
    if scale > 2.0**-1022:
        check(A[:9] / scale, w[:9] / scale, V[:9])
    else:  # whose entries are rounded
        assert not np.array_equal(A[:9] / scale, A[9:])
        close(w[:9] / scale, w[9:], 2.0**-20)


@needs_numba
@pytest.mark.parametrize("n", [1, 2, 9])
def test_matrices_that_are_not_finite(n):
    """They are told, and the others have theirs."""
    A = symmetric(21, n)
    expected = small_eigh(A, part=PART)
    A[2, n - 1, 0], A[9, 0, 0], A[17, n - 1, n - 1] = np.nan, np.inf, -np.inf
    found = small_eigh(A, part=PART)
    np.testing.assert_array_equal(np.flatnonzero(found[2]), [2, 9, 17])
    for one, other in zip(found[:2], expected[:2], strict=True):
        np.testing.assert_array_equal(np.delete(one, [2, 9, 17], 0), np.delete(other, [2, 9, 17], 0))


@needs_numba
@pytest.mark.parametrize("n", [3, 16])
def test_threads_compute_the_same(n, monkeypatch):
    monkeypatch.setattr(_small_eigen, "SHARED", 0)
    monkeypatch.setattr(_side_by_side, "PART", 20 * n**2)
    A = symmetric(123, n)
    A[77, 1, 1] = np.nan
    expected = small_eigh(A, part=PART)
    for threads in (2, 5):
        for one, other in zip(small_eigh(A, part=PART, threads=threads), expected, strict=True):
            rest = np.arange(len(A)) != 77
            np.testing.assert_array_equal(one[rest], other[rest])


@needs_numba
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize("length", [1.0, 10.0])
def test_covariances_of_many_points_come_to_an_end(length, dtype):
    """What is large in a smooth matrix is everywhere in it, and the iteration has to begin where it comes to be."""
    x = np.sort(np.random.default_rng(0).random((64, LARGEST)))
    A = np.exp(-0.5 * ((x[:, :, None] - x[:, None]) / length) ** 2).astype(dtype)
    w, V, failed = small_eigh(A, part=PART)
    assert not failed.any()
    check(A, w, V)


def test_where_the_loop_is_taken():
    many = np.empty((MATRICES, LARGEST, LARGEST))
    assert many.size > NUMBERS
    assert have_quick_eigenpairs(many) == _compiled.available()
    for other in (
        many[:-1],
        many.astype(complex),
        many.astype(">f8"),
        many[:, :2, :2],
        np.empty((MATRICES, LARGEST + 1, LARGEST + 1)),
    ):
        assert not have_quick_eigenpairs(other)


FUNCTIONS = {
    "eigh": lambda ops, A: ops.eigh(A)[1] ** 2,
    "eigvalsh": lambda ops, A: ops.eigvalsh(A),
    "eigh_generalized": lambda ops, A: ops.eigh_generalized(A, ops.expmh(0.1 * A))[0],
    "logmh": lambda ops, A: ops.logmh(ops.expmh(0.2 * A)),
    "pinv": lambda ops, A: overbar.pinv(A, hermitian=True),  # TensorFlow's has no such option
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_derivatives_of_many_matrices(name):
    check_fronts(FUNCTIONS[name], symmetric(COUNT, 4))


@pytest.mark.parametrize("name", ["eigh", "eigvalsh", "logmh"])
def test_second_derivatives_and_transforms_in_torch(name):
    # of an even function, since NaN is the logarithm of negative eigenvalues
    f = lambda A: FUNCTIONS[name](torch_ops, A @ A + torch.eye(4, dtype=A.dtype) if name == "logmh" else A)  # noqa: E731
    check_transforms(f, symmetric(COUNT, 4), symmetric(COUNT + 1, 4)[1:])


@pytest.mark.parametrize("front", ["numpy", "torch", "tensorflow"])
def test_a_batch_with_a_matrix_that_is_not_finite(front):
    """As a batch too small for a loop: an error."""
    A = symmetric(COUNT, 4)
    A[7, 3, 0] = np.nan
    make, ops, errors = {
        "numpy": lambda: (np.asarray, overbar, np.linalg.LinAlgError),
        "torch": lambda: (torch.tensor, torch_ops, torch.linalg.LinAlgError),
        "tensorflow": lambda: (tf.constant, tf_ops, tf.errors.InvalidArgumentError),
    }[front]()
    for batch in (A, A[6:9]):
        with pytest.raises(errors):
            ops.eigh(make(batch))
        with pytest.raises(errors):
            ops.logmh(make(batch))
