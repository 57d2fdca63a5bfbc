"""Cholesky factors of large matrices by halves, and in NumPy's memory: those that the libraries have, and the same
errors. May import the frameworks."""

import mmap

import numpy as np
import pytest

import overbar
from overbar import _numpy_words
from overbar.rules import _halving as halving
from tests.compare import error
from tests.frameworks import tf, tf_ops, torch, torch_ops
from tests.processes import run_python

needs_torch = pytest.mark.skipif(torch is None, reason="needs PyTorch")
needs_tensorflow = pytest.mark.skipif(tf is None, reason="needs TensorFlow")


def definite(n, dtype="float64"):
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, n))
    X = X + 1j * rng.standard_normal((n, n)) if np.dtype(dtype).kind == "c" else X
    return (X @ X.conj().T / n + np.eye(n)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("n", [40, 41, 80, 150, 161])
@pytest.mark.parametrize("in_place", [False, True])
def test_halves_give_the_factor(n, dtype, in_place, monkeypatch):
    monkeypatch.setattr(halving, "BASE", 40)
    A = definite(n, dtype)
    out = np.full_like(A, np.nan) if in_place else None
    asked = []

    def factor(block):
        asked.append(len(block))
        return np.linalg.cholesky(block)

    spoilt = np.where(np.tri(n, dtype=bool), A, np.nan)  # above the diagonal nothing is read
    L = halving.cholesky_by_halves(spoilt, factor, 40, out)
    assert (L is out) == in_place
    assert max(asked) <= 40
    assert sum(asked) == n
    assert error(L, np.linalg.cholesky(A)) < 1e3 * np.finfo(dtype).eps
    assert not np.triu(L, 1).any()


def test_a_wrong_half_would_be_seen(monkeypatch):
    A = definite(150)
    monkeypatch.setattr(
        overbar.namespace(A).__class__, "add_product", lambda self, C, A, B, scale: C + 1.001 * scale * (A @ B)
    )
    assert error(halving.cholesky_by_halves(A, np.linalg.cholesky, 40), np.linalg.cholesky(A)) > 1e-6


def ways_of_torch():
    from torch_ops import _words

    return {"halves": _words._factor_by_halves, "scipy": _words._factor_by_scipy}


@needs_torch
@pytest.mark.parametrize("way", ["halves", "scipy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pytorch_has_the_factor(way, dtype):
    A = torch.tensor(definite(400, dtype))
    L = ways_of_torch()[way](A)
    assert L.dtype == A.dtype
    assert error(L.numpy(), torch.linalg.cholesky(A).numpy()) < 1e3 * np.finfo(dtype).eps
    assert not L.triu(1).any()


@needs_torch
@pytest.mark.parametrize("way", ["halves", "scipy"])
def test_pytorch_looks_again_where_there_is_none(way):
    for place, number in [((0, 0), -1.0), ((300, 300), -1.0), ((350, 20), np.nan), ((399, 399), np.inf)]:
        A = definite(400)
        A[place] = number
        assert ways_of_torch()[way](torch.tensor(A)) is None


@needs_torch
def test_the_op_of_pytorch_is_the_same_whoever_watches():
    A = torch.tensor(definite(512))
    L = torch_ops.cholesky(A)
    assert error(L.numpy(), torch.linalg.cholesky(A).numpy()) < 1e-13
    watched = torch_ops.cholesky(A.clone().requires_grad_())
    assert torch.equal(L, watched.detach())
    assert torch.equal(torch_ops.cholesky(A, upper=True), L.mT)
    bad = A.clone()
    bad[300, 300] = -1
    for given in (bad, bad.clone().requires_grad_()):
        with pytest.raises(torch.linalg.LinAlgError, match="leading minor of order 301 is not positive"):
            torch_ops.cholesky(given)
    assert torch_ops.cholesky(bad, on_error="nan").isnan().all()


@needs_tensorflow
@pytest.mark.parametrize("kind", ["eager", "graph"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tensorflow_has_the_factor(kind, dtype):
    op = tf.function(tf_ops.cholesky) if kind == "graph" else tf_ops.cholesky
    A = definite(1024 if dtype == "float32" else 768, dtype)
    L = op(A).numpy()
    assert L.dtype == A.dtype
    assert error(L, np.linalg.cholesky(A)) < 1e3 * np.finfo(dtype).eps
    assert not np.triu(L, 1).any()
    for place, number, words in [
        ((550, 550), -1.0, "not positive definite.*551" if kind == "eager" else "(?s)not positive definite.*551"),
        ((400, 20), np.nan, "not finite.*400, 20" if kind == "eager" else "(?s)entries of A finite.*0"),
    ]:
        bad = A.copy()
        bad[place] = number
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            op(bad)
        nan = tf.function(lambda A: tf_ops.cholesky(A, on_error="nan"))(bad)
        assert np.isnan(nan.numpy()).all()


@needs_tensorflow
def test_tensorflow_factorises_no_large_block(monkeypatch):
    asked, cholesky = [], tf.linalg.cholesky
    monkeypatch.setattr(tf.linalg, "cholesky", lambda A: asked.append(A.shape[-1]) or cholesky(A))
    tf_ops.cholesky(definite(512))
    assert max(asked) <= 288
    for n in (500, 520):  # of which no columns collide
        tf_ops.cholesky(definite(n))
        assert asked[-1] == n


def test_columns_that_collide():
    assert [n for n in (256, 500, 512, 640, 768, 1000, 1024) if halving.columns_collide(n, 8)] == [256, 512, 768, 1024]
    assert [n for n in (512, 768, 1024) if halving.columns_collide(n, 4)] == [512, 1024]


@pytest.mark.parametrize("pages", [True, False], ids=["in small pages", "where the system has none to give"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("n", [1, 3, 40, 300, 700])
def test_a_large_factor_in_less_memory_is_the_same(n, dtype, pages, monkeypatch):
    A = definite(n, dtype)
    expected = _numpy_words.factor_in_one_call(A)
    monkeypatch.setattr(_numpy_words, "_COMPACT", 1)
    if not pages:
        monkeypatch.delattr(mmap, "MAP_ANONYMOUS", raising=False)
    spoilt = np.where(np.tri(n, dtype=bool), A, np.nan).astype(dtype)
    L = _numpy_words.factor_in_one_call(spoilt)
    np.testing.assert_array_equal(L, expected)
    assert L.flags.writeable
    np.testing.assert_array_equal(_numpy_words.compact(expected), expected)
    spoilt[-1, -1] = -1
    assert _numpy_words.factor_in_one_call(spoilt) is None


MEMORY = """
import numpy as np
from overbar._numpy_words import factor_in_one_call
from overbar.bench.memory import peak

A = 2 * np.eye(3000) + 0.5  # 72 MB
most = peak(lambda: factor_in_one_call(A))
print("nan" if most is None else most / A.nbytes)
"""


def test_its_zeros_take_less_memory():
    result = run_python("-c", MEMORY)
    assert result.returncode == 0, result.stderr
    share = float(result.stdout)
    assert np.isnan(share) or share < 0.98  # (0.95; 1 with all of its zeros.) NaN where the system does not say
