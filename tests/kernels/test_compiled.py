"""Kernels that numba compiles, against what computes the same without it. May import NumPy, `overbar`, the fronts and
`tests`."""

import os
import threading
import time

import numpy as np
import pytest

import overbar
from overbar.kernels import _banded_cholesky as of_bands
from overbar.kernels import _compiled, _side_by_side, _small_cholesky
from overbar.kernels._banded_cholesky import banded_cotangent, banded_tangent, pbtrs_cotangent
from overbar.kernels._side_by_side import FEWEST, LARGEST, for_loops
from overbar.kernels._small_cholesky import small_cholesky, small_cholesky_cotangent
from overbar.rules._cholesky import reverse_recursive
from tests.compare import close
from tests.frameworks import tf, tf_ops, torch, torch_ops
from tests.processes import run_python

needs_numba = pytest.mark.skipif(not _compiled.available(), reason="numba is not installed")

BANDED = [banded_tangent, banded_cotangent]


def loop_of(kernel):
    """What is compiled of it. A framework that has been imported may have a way of its own."""
    (way,) = (other for other in kernel.others if other.place == "host")
    return way.function


def band(p, n, dtype, rng, corners=0.0):
    """A lower band, with something in its corners."""
    ab = rng.normal(size=(p, n)) + (1j * rng.normal(size=(p, n)) if np.dtype(dtype).kind == "c" else 0)
    for d in range(1, p):
        ab[d, max(n - d, 0) :] = corners
    return ab.astype(dtype)


def bands(p, n, dtype, corners=np.nan):
    """A factor, and a band with real numbers on its diagonal."""
    rng = np.random.default_rng(p * n)
    L, E = band(p, n, dtype, rng, corners), band(p, n, dtype, rng, corners)
    L[0], E[0] = 2 * p + np.abs(L[0]), E[0].real
    return L, E


def tolerance(dtype):
    return 200 * np.finfo(dtype).eps


@needs_numba
@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize("shape", [(1, 6), (2, 1), (3, 50), (8, 40), (9, 33), (7, 4)])
@pytest.mark.parametrize("kernel", BANDED)
def test_bands(kernel, shape, dtype):
    L, E = bands(*shape, dtype, 0.0)
    loop, expected = loop_of(kernel)(L, E), kernel.function(L, E)
    assert loop.dtype == dtype
    close(loop, expected, tolerance(dtype))
    # what lies outside of the matrix is not read, and is zero afterwards
    L, E = bands(*shape, dtype, np.nan)
    np.testing.assert_array_equal(loop_of(kernel)(L, E), loop)


@needs_numba
@pytest.mark.parametrize("kernel", BANDED)
def test_a_zero_on_the_diagonal_of_a_band_leaves_no_derivative(kernel):
    L, E = bands(4, 12, "d", 0.0)
    L[0, 5] = 0
    inside = np.arange(4)[:, None] + np.arange(12) < 12
    for compute in (kernel.function, loop_of(kernel)):
        np.testing.assert_array_equal(np.isnan(compute(L, E)), inside)


@pytest.mark.parametrize("dtype", ["f", "d", "F", "D"])
@pytest.mark.parametrize(("p", "n", "k"), [(1, 6, 2), (3, 50, 1), (8, 40, 5), (7, 4, 2), (2, 1, 1)])
def test_the_bar_of_a_factor_in_a_system_by_each_of_three_ways(p, n, k, dtype):
    """L̄ = −band(B̄ (Lᴴ X)ᴴ + X (Lᴴ B̄)ᴴ), beside the full matrices."""
    rng = np.random.default_rng(p * n)
    L = band(p, n, dtype, rng)
    X, B_bar = (band(n, k, dtype, rng, 1.0) for _ in range(2))
    full = sum(np.diag(L[d, : n - d], -d) for d in range(min(p, n)))
    full_bar = -(B_bar @ (full.conj().T @ X).conj().T + X @ (full.conj().T @ B_bar).conj().T)
    expected = np.zeros_like(L)
    for d in range(min(p, n)):
        expected[d, : n - d] = np.diagonal(full_bar, -d)
    ways = [
        lambda L, X, B_bar, by=by: by(L[:n], X, B_bar, L.dtype) for by in (of_bands._by_windows, of_bands._by_diagonals)
    ]
    ways += [loop_of(pbtrs_cotangent)] if _compiled.available() else []
    assert len(ways) == 2 + _compiled.available()
    for corners in (0.0, np.nan):
        for d in range(1, p):
            L[d, max(n - d, 0) :] = corners
        for way in (pbtrs_cotangent.function, *ways):
            found = way(L, X, B_bar)
            assert found.dtype == dtype
            close(found, expected[: len(found)], tolerance(dtype))


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize("front", ["numpy", "torch"])
def test_a_large_band_by_whatever_computes_it(front, lower):
    """The reverse rule beside the forward rule, and both beside differences of values."""
    n, p = 3000, 3
    rng = np.random.default_rng(5)
    ab, ab_dot, weights = (band(p, n, "d", rng) for _ in range(3))
    ab[0] = 8 + np.abs(ab[0])
    if not lower:
        ab, ab_dot, weights = (A[::-1, ::-1].copy() for A in (ab, ab_dot, weights))

    def f(ab):
        return overbar.cholesky_banded(ab, lower=lower)

    if front == "numpy":
        value, pullback = overbar.vjp(f, ab)
        bar, change = pullback(weights)[0], overbar.jvp(f, (ab,), (ab_dot,))[1]
    else:
        x = torch.tensor(ab, requires_grad=True)
        value = torch_ops.cholesky_banded(x, lower=lower)
        bar = torch.autograd.grad(value, x, torch.tensor(weights))[0].numpy()
        change = overbar.jvp(f, (ab,), (ab_dot,))[1]
    step = 1e-6
    differences = (f(ab + step * ab_dot) - f(ab - step * ab_dot)) / (2 * step)
    close(change, differences, 1e-8)
    assert np.sum(bar * ab_dot) == pytest.approx(np.sum(weights * change), rel=1e-11)


def factors(count, n, dtype, beyond=np.nan):
    """Matrices, their factors, and bars, with something above their diagonals."""
    rng = np.random.default_rng(count + n)
    X = rng.normal(size=(count, n, n))
    A, above = X @ X.mT + n * np.eye(n), np.triu(np.full((n, n), beyond), 1)
    L, L_bar = np.linalg.cholesky(A), rng.normal(size=(count, n, n))
    return [np.where(np.tri(n, dtype=bool), B, above).astype(dtype) for B in (A, L, L_bar)]


def of_columns(A):
    """The same stack, stored by columns."""
    return A.mT.copy().mT


@needs_numba
@pytest.mark.parametrize("dtype", ["f", "d"])
@pytest.mark.parametrize(("count", "n"), [(1, 1), (5, 2), (8, 3), (19, 8), (9, 13), (3, 33), (2, LARGEST)])
def test_many_small_matrices(count, n, dtype):
    """Each is computed as by LAPACK and by the rule in words, however many there are and however they are stored; the
    upper triangles are not read."""
    A, L, L_bar = factors(count, n, dtype)
    for stored in (A, of_columns(A)):
        found, failed = small_cholesky(stored)
        assert found.dtype == A.dtype
        close(found, np.tril(L), tolerance(dtype))
        np.testing.assert_array_equal(failed, 0)
    expected = reverse_recursive(np.tril(L), np.tril(L_bar), depth=0)
    for stored in ((L, L_bar), (of_columns(L), L_bar), (L, of_columns(L_bar)), (of_columns(L), of_columns(L_bar))):
        (A_bar,) = small_cholesky_cotangent(*stored)
        assert A_bar.dtype == A.dtype
        close(A_bar, expected, tolerance(dtype))
        np.testing.assert_array_equal(A_bar, A_bar.mT)


@needs_numba
@pytest.mark.parametrize("n", [4, 12])
def test_one_matrix_without_a_derivative_leaves_the_others_theirs(n):
    _, L, L_bar = factors(11, n, "d", 0.0)
    (expected,) = small_cholesky_cotangent(L, L_bar)
    L[2, 1, 1], L_bar[5, 3, 0], L[7] = 0, np.inf, np.nan
    (A_bar,) = small_cholesky_cotangent(L, L_bar)
    lost = [2, 5, 7]
    assert not np.isfinite(A_bar[lost]).all((-2, -1)).any()
    np.testing.assert_array_equal(np.delete(A_bar, lost, 0), np.delete(expected, lost, 0))


@needs_numba
@pytest.mark.parametrize("n", [3, 16])
def test_threads_compute_the_same(n, monkeypatch):
    """Whatever part each of them takes, and however few matrices are left for the last."""
    monkeypatch.setattr(_small_cholesky, "SHARED", 0)
    monkeypatch.setattr(_side_by_side, "PART", 20 * n**2)
    A, L, L_bar = factors(123, n, "d", 0.0)
    A[77, 1, 1] = -1
    expected = *small_cholesky(A), *small_cholesky_cotangent(L, L_bar)
    for threads in (2, 5):
        found = *small_cholesky(A, threads=threads), *small_cholesky_cotangent(L, L_bar, threads=threads)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)


def test_parts_are_shared_among_threads():
    """Each is computed once, those that begin late find less to do, and an error comes out where it belongs."""
    done, names = [], set()

    def compute(first):
        done.append(first)
        names.add(threading.get_ident())
        time.sleep(2e-3)

    _compiled.in_parts(compute, 100, 3, 4)
    assert sorted(done) == list(range(0, 100, 3))
    assert len(names) > 1
    done.clear()
    _compiled.in_parts(compute, 5, 5, 4)
    assert done == [0]

    def fails(first):
        if first == 30:
            raise ArithmeticError(f"at {first}")

    for threads in (1, 3):
        with pytest.raises(ArithmeticError, match="at 30"):
            _compiled.in_parts(fails, 100, 3, threads)


def test_a_thread_that_gets_no_core_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(_compiled._thread, "start_new_thread", lambda work, args: None)
    done = []
    _compiled.in_parts(done.append, 10, 2, 3)
    assert done == [0, 2, 4, 6, 8]

    def refuse(work, args):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(_compiled._thread, "start_new_thread", refuse)
    _compiled.in_parts(done.append, 4, 2, 3)
    assert done[5:] == [0, 2]


def test_how_many_threads_there_are(monkeypatch):
    """As many as PyTorch has, but one beside other programs; NumPy's functions of batches have one."""
    assert overbar.front(np.ones(1)).threads() == 1
    library = overbar.front(torch.ones(1))
    monkeypatch.setattr(torch, "get_num_threads", lambda: 5)
    for busy, threads in ((False, 5), (True, 1)):
        monkeypatch.setattr(torch_ops._front, "is_busy", lambda busy=busy: busy)
        assert library.threads() == threads


def spoiled(A):
    """The batch with matrices that have no factor, and which these are."""
    A, n = A.copy(), A.shape[-1]
    A[1, n - 1, n - 1] = -1.0  # of the last minor
    A[3, 0, 0] = 0.0
    A[6, n - 1, 0] = np.nan
    A[9, 1, 0] = np.inf
    A[10, 1, 1] = np.inf
    return A, [1, 3, 6, 9, 10]


@needs_numba
@pytest.mark.parametrize("n", [3, 9])
def test_matrices_that_have_no_factor(n):
    A = factors(13, n, "d", 0.0)[0]
    expected = small_cholesky(A)[0]
    A, lost = spoiled(A)
    L, failed = small_cholesky(A)
    np.testing.assert_array_equal(np.flatnonzero(failed), lost)
    np.testing.assert_array_equal(np.delete(L, lost, 0), np.delete(expected, lost, 0))


@pytest.mark.parametrize("front", ["numpy", "torch", "tensorflow"])
def test_a_batch_says_which_matrix_has_no_factor(front):
    """As a single matrix, and a batch too small for a loop, say it; or it has NaN, and the others theirs."""
    A = definite(300, 4)[0]
    A[7, 3, 3], A[8, 3, 0] = -1.0, np.nan
    batches = [A, np.concatenate([A[8:], A[:8]])]
    if front == "numpy":
        make, cholesky, errors = np.asarray, overbar.cholesky, np.linalg.LinAlgError
    elif front == "torch":
        make, cholesky, errors = torch.tensor, torch_ops.cholesky, torch.linalg.LinAlgError
    else:
        make, cholesky, errors = tf.constant, tf_ops.cholesky, tf.errors.InvalidArgumentError
    words = [r"matrix 7 of the batch\).*minor of order 4", r"matrix 0 of the batch\).*entry \(3, 0\) is nan"]
    for batch, message in zip(batches, words, strict=True):
        with pytest.raises(errors, match=message):
            cholesky(make(batch))
    L = np.asarray(cholesky(make(A), on_error="nan"))
    assert np.isnan(L[7:9]).all()
    close(np.delete(L, [7, 8], 0), np.linalg.cholesky(np.delete(A, [7, 8], 0)), 1e-13)


def test_functions_of_many_small_matrices():
    """What is made of such factors: each matrix of a batch as by itself."""
    A, weights = definite(300, 4)
    near = A.copy()
    near[5] = np.ones((4, 4))  # singular
    for f, K, rtol in (
        (lambda K: overbar.gaussian_logpdf(weights[: len(K), 0], weights[: len(K), 1], K), A, 1e-12),
        (lambda K: overbar.inv_quad(K, weights[: len(K)]), A, 1e-12),
        (lambda K: overbar.safe_cholesky(K)[0], near, 1e-6),
    ):
        value, pullback = overbar.vjp(f, K)
        (bar,) = pullback(np.ones_like(value))
        some, pullback = overbar.vjp(f, K[:6])
        close(value[:6], some, rtol)
        close(bar[:6], pullback(np.ones_like(some))[0], rtol)


@pytest.mark.filterwarnings("ignore")  # that a trace is not what PyTorch recommends
def test_a_trace_of_torchs_keeps_no_numbers():
    A, _ = (torch.tensor(x) for x in definite(300, 4))
    traced = torch.jit.trace(torch_ops.cholesky, A, check_trace=False)
    torch.testing.assert_close(traced(2 * A), torch.linalg.cholesky(2 * A))


def test_where_the_loop_is_taken():
    """For many small real matrices, where there is numba; nothing else asks for it."""
    many = np.empty((FEWEST, 1, 1))
    assert for_loops(many) == _compiled.available()
    for other in (many[0], many[:-1], many.astype(complex), np.empty((2, LARGEST + 1, LARGEST + 1)), many[:, :0, :0]):
        assert not for_loops(other)


def definite(count, n):
    rng = np.random.default_rng(n)
    X = rng.normal(size=(count, n, n))
    return X @ X.mT + n * np.eye(n), rng.normal(size=(count, n, n))


@pytest.mark.parametrize("upper", [False, True])
def test_derivatives_of_a_batch(upper):
    """First and second ones, of a batch that is large enough for the loop, are those of each matrix by itself."""
    A, weights = definite(300, 4)

    def f(A):
        return overbar.cholesky(A, upper=upper)

    def gradient(A, weights):
        return overbar.vjp(f, A)[1](weights)[0]

    bars = gradient(A, weights)
    second = overbar.vjp(gradient, A, weights)[1](weights)[0]
    for i in (0, 7, 299):
        close(bars[i], gradient(A[i], weights[i]), 1e-13)
        close(second[i], overbar.vjp(gradient, A[i], weights[i])[1](weights[i])[0], 1e-12)


def test_torch_takes_it_where_nobody_watches():
    """A backward pass, one that will be differentiated, a forward derivative and vmap agree with PyTorch's own."""
    A, weights = (torch.tensor(x) for x in definite(300, 4))
    A.requires_grad_()

    def derivatives(cholesky):
        # of a symmetric matrix, which PyTorch does not know in every mode
        def f(A):
            return cholesky((A + A.mT) / 2)

        (bar,) = torch.autograd.grad(f(A), A, weights)
        (again,) = torch.autograd.grad(f(A), A, weights, create_graph=True)
        (second,) = torch.autograd.grad(again, A, weights)
        inside = torch.func.vmap(torch.func.grad(lambda A, w: (f(A) * w).sum()))(A, weights)
        return bar, again, second, torch.func.jvp(f, (A,), (weights,))[1], inside

    for ours, theirs in zip(derivatives(torch_ops.cholesky), derivatives(torch.linalg.cholesky), strict=True):
        close(ours.detach().numpy(), theirs.detach().numpy(), 1e-12)
    compiled = torch.compile(torch_ops.cholesky, backend="aot_eager", fullgraph=True)
    (bar,) = torch.autograd.grad(compiled(A), A, weights)
    close(bar.numpy(), derivatives(torch_ops.cholesky)[0].detach().numpy(), 1e-12)


WITHOUT = """
import sys
import numpy as np, overbar
A = np.eye(4) + np.ones((300, 4, 4))
bar = overbar.vjp(overbar.cholesky, A)[1](A)[0]
print("numba" in sys.modules, bar[0, 1, 0])
"""


def test_what_asks_for_no_loop_imports_no_compiler():
    code = "import sys, overbar, numpy as np; overbar.vjp(overbar.cholesky, np.eye(3)); print('numba' in sys.modules)"
    assert run_python("-c", code).stdout.split() == ["False"]


def test_the_environment_switches_it_off():
    without = run_python("-c", WITHOUT, environment={"OVERBAR_COMPILED": "0"})
    assert without.returncode == 0, without.stderr
    found, entry = without.stdout.split()
    assert found == "False"
    A = np.eye(4) + np.ones((300, 4, 4))
    assert overbar.vjp(overbar.cholesky, A)[1](A)[0][0, 1, 0] == pytest.approx(float(entry), rel=1e-13)


@needs_numba
def test_nothing_is_compiled_where_numba_is_told_so(monkeypatch):
    """By the environment, or at any time: Python cannot run what the loops call. Their results come as without them."""
    code = (
        "import numpy as np, overbar; A = np.eye(4) + np.ones((1200, 4, 4)); overbar.eigh(A); overbar.svd(A)\n"
        "print(overbar.vjp(overbar.cholesky, A)[1](A)[0][0, 1, 0])\n"
        "overbar.vjp(overbar.cholesky_banded, np.ones((2, 9999)) + [[0], [2]])[1](np.ones((2, 9999)))"
    )
    found = run_python("-c", code, environment={"NUMBA_DISABLE_JIT": "1"})
    assert found.returncode == 0, found.stderr
    A = np.eye(4) + np.ones((300, 4, 4))
    expected = overbar.vjp(overbar.cholesky, A)[1](A)[0]
    assert float(found.stdout) == pytest.approx(expected[0, 1, 0], rel=1e-13)
    monkeypatch.setattr("numba.config.DISABLE_JIT", 1)
    assert not for_loops(A)
    close(overbar.vjp(overbar.cholesky, A)[1](A)[0], expected, 1e-13)


@needs_numba
def test_where_nothing_can_be_stored_it_is_compiled_each_time(tmp_path):
    """A package that only its owner may write to, and no home: numba finds no folder for what it has compiled."""
    code = (
        "import numba.core.caching as c; c.CacheImpl._locator_classes = []\n"
        "from overbar.kernels._small_cholesky import small_cholesky_cotangent\nimport numpy as np\n"
        "print(small_cholesky_cotangent(np.eye(2), np.eye(2))[0])"
    )
    found = run_python("-c", code, cwd=tmp_path, environment={"HOME": os.devnull})
    assert found.returncode == 0, found.stderr
    assert found.stdout.split() == ["[[0.5", "0.", "]", "[0.", "0.5]]"]
