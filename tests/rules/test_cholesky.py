"""The rules of Cholesky above the size where they are split into blocks, which the small samples of the registry do not
reach: against the symbolic rules, in every way that an array library computes them. May import the fronts.
"""

import importlib

import numpy as np
import pytest

import overbar
from overbar._namespace import mH
from overbar.rules import _halving as halving
from tests.compare import error

# `overbar.rules._cholesky` is the primitive, which hides the module of that name
rule = importlib.import_module("overbar.rules._cholesky")

SIZES = [halving.BASE - 1, halving.BASE, halving.BASE + 1, 2 * halving.BASE, 2 * halving.BASE + 3, 500]


@pytest.fixture(autouse=True)
def by_words(monkeypatch):
    """In place of the kernels, which `tests/kernels` has: they are taken where BLAS starts no threads."""
    monkeypatch.setattr(rule, "for_blas", lambda *arrays: False)


def draw(n, dtype, batch=()):
    rng = np.random.default_rng(n)

    def normal(*shape):
        real = rng.standard_normal(shape)
        return (real + 1j * rng.standard_normal(shape) if np.dtype(dtype).kind == "c" else real).astype(dtype)

    X = normal(*batch, n, n + 5)
    A = X @ mH(X) / n + np.eye(n, dtype=dtype)
    return A, np.linalg.cholesky(A), normal(*batch, n, n)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_blocks_give_the_symbolic_rule_in_numpy(n, dtype):
    A, L, L_bar = draw(n, dtype)
    expected = rule.reverse_symbolic(L, L_bar)
    assert error(overbar.vjp(overbar.cholesky, A)[1](L_bar)[0], expected) < 1e-13
    upper = overbar.vjp(lambda A: overbar.cholesky(A, upper=True), A)[1](mH(L_bar))[0]
    assert error(upper, expected) < 1e-13
    L_dot = overbar.jvp(overbar.cholesky, (A,), (L_bar,))[1]
    assert error(L_dot, rule.forward_symbolic(L, L_bar + mH(L_bar)) / 2) < 1e-13
    assert not np.triu(L_dot, 1).any()
    upper = overbar.jvp(lambda A: overbar.cholesky(A, upper=True), (A,), (L_bar,))[1]
    assert np.array_equal(upper, mH(L_dot))


def test_blocks_work_on_batches():
    A, L, L_bar = draw(halving.BASE + 9, "float64", (2, 1, 2))
    assert error(overbar.vjp(overbar.cholesky, A)[1](L_bar)[0], rule.reverse_symbolic(L, L_bar)) < 1e-13
    assert (
        error(overbar.jvp(overbar.cholesky, (A,), (L_bar,))[1], rule.forward_symbolic(L, L_bar + mH(L_bar)) / 2) < 1e-13
    )


def test_single_precision_stays_single():
    A, L, L_bar = draw(300, "float32")
    A_bar = overbar.vjp(overbar.cholesky, A)[1](L_bar)[0]
    assert A_bar.dtype == np.float32
    assert error(A_bar, rule.reverse_symbolic(L.astype(float), L_bar.astype(float))) < 1e-5


def test_the_upper_triangle_of_the_bar_is_not_read():
    # A loss such as sum(log(L)) over the lower triangle sends NaN or infinity there.
    A, _, L_bar = draw(300, "float64")
    spoilt = np.where(np.tri(300, dtype=bool), L_bar, np.nan)
    pullback = overbar.vjp(overbar.cholesky, A)[1]
    assert np.array_equal(pullback(spoilt)[0], pullback(np.tril(L_bar))[0])


def test_a_wrong_block_would_be_seen(monkeypatch):
    A, L, L_bar = draw(300, "float64")
    expected = rule.reverse_symbolic(L, L_bar)

    def wrong(self, C, A, B, scale):
        C += 1.001 * scale * (A @ B)

    monkeypatch.setattr(overbar.namespace(A).__class__, "add_product_to", wrong)
    assert error(overbar.vjp(overbar.cholesky, A)[1](L_bar)[0], expected) > 1e-6
    L_dot = overbar.jvp(overbar.cholesky, (A,), (L_bar,))[1]
    assert error(L_dot, rule.forward_symbolic(L, L_bar + mH(L_bar)) / 2) > 1e-6


@pytest.mark.parametrize("n", [halving.BASE + 1, 300])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_blocks_in_torch_with_and_without_somebody_watching(n, dtype):
    torch = pytest.importorskip("torch")
    import torch_ops

    A, L, L_bar = draw(n, dtype)
    expected = rule.reverse_symbolic(L, L_bar)
    tensor = torch.tensor(A, requires_grad=True)
    factor = torch_ops.cholesky(tensor)
    plain = torch.autograd.grad(factor, tensor, torch.tensor(L_bar), retain_graph=True)[0]
    watched = torch.autograd.grad(factor, tensor, torch.tensor(L_bar), create_graph=True)[0]
    assert error(plain, expected) < 1e-13
    assert error(watched.detach(), expected) < 1e-13

    def second(cholesky):
        bar = torch.tensor(L_bar)
        first = torch.autograd.grad(cholesky((tensor + tensor.mH) / 2), tensor, bar, create_graph=True)[0]
        return torch.autograd.grad(first, tensor, torch.tensor(A))[0]

    assert error(second(torch_ops.cholesky), second(torch.linalg.cholesky)) < 1e-11

    bars = torch.tensor(np.stack([L_bar, 2 * L_bar]))
    batched = torch.func.vmap(torch.func.vjp(torch_ops.cholesky, tensor.detach())[1])(bars)[0]
    assert error(batched, np.stack([expected, 2 * expected])) < 1e-13
    L_dot = torch.func.jvp(torch_ops.cholesky, (tensor.detach(),), (torch.tensor(L_bar),))[1]
    assert error(L_dot, rule.forward_symbolic(L, L_bar + mH(L_bar)) / 2) < 1e-13


@pytest.mark.parametrize("known", [True, False])
def test_blocks_in_tensorflow(known):
    tf = pytest.importorskip("tensorflow")
    import tf_ops

    n = halving.BASE + 9
    A, L, L_bar = draw(n, "float64")
    size = n if known else None

    @tf.function(input_signature=[tf.TensorSpec([size, size], tf.float64)] * 2)
    def gradients(A, bar):
        with tf.GradientTape() as outer:
            outer.watch(A)
            with tf.GradientTape() as tape:
                tape.watch(A)
                factor = tf_ops.cholesky((A + tf.transpose(A)) / 2)
            first = tape.gradient(factor, A, output_gradients=bar)
        return first, outer.gradient(first, A, output_gradients=A)

    @tf.function
    def built_in(A, bar):
        with tf.GradientTape() as outer:
            outer.watch(A)
            with tf.GradientTape() as tape:
                tape.watch(A)
                factor = tf.linalg.cholesky((A + tf.transpose(A)) / 2)
            first = tape.gradient(factor, A, output_gradients=bar)
        return outer.gradient(first, A, output_gradients=A)

    first, second = gradients(A, L_bar)
    assert error(first, rule.reverse_symbolic(L, L_bar)) < 1e-13
    assert error(second, built_in(tf.constant(A), tf.constant(np.tril(L_bar)))) < 1e-11


def smooth(n=300, noise=1e-4):
    """A covariance of close points, whose factor has a diagonal from 1 to 0.02, and bars, in single precision."""
    x = np.linspace(0, 1, n)
    K = np.exp(-(((x[:, None] - x) / 0.05) ** 2) / 2) + noise * np.eye(n)
    rng = np.random.default_rng(n)
    bar, dot = rng.standard_normal((2, n, n))
    return K.astype(np.float32), np.tril(bar).astype(np.float32), (dot + dot.T).astype(np.float32)


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("library", ["numpy", "torch", "tensorflow", "graph"])
def test_smooth_covariances_keep_their_digits(library):
    K, L_bar, K_dot = smooth()
    L = np.linalg.cholesky(K)
    expected = rule.reverse_symbolic(L.astype(float), L_bar.astype(float))
    if library == "numpy":
        found = rule.reverse(L, L_bar)
        tangent = rule.forward_symbolic(L.astype(float), K_dot.astype(float))
        assert relative(rule.forward(L, K_dot), tangent) < 500 * 6e-8
    elif library == "torch":
        torch = pytest.importorskip("torch")
        importlib.import_module("torch_ops")
        with torch.no_grad():
            found = rule.reverse(torch.tensor(L), torch.tensor(L_bar)).numpy()
    else:
        tf = pytest.importorskip("tensorflow")
        importlib.import_module("tf_ops")
        bar = tf.function(rule.reverse) if library == "graph" else rule.reverse
        found = bar(tf.constant(L), tf.constant(L_bar)).numpy()
    assert relative(found, expected) < 500 * 6e-8


def test_halves_would_lose_these_digits(monkeypatch):
    monkeypatch.setattr(rule, "EVEN", 1e6)
    K, L_bar, K_dot = smooth()
    L = np.linalg.cholesky(K)
    expected = rule.reverse_symbolic(L.astype(float), L_bar.astype(float))
    assert relative(rule.reverse(L, L_bar), expected) > 2000 * 6e-8
    tangent = rule.forward_symbolic(L.astype(float), K_dot.astype(float))
    assert relative(rule.forward(L, K_dot), tangent) > 500 * 6e-8


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("batch", [(), (2,)])
def test_solving_is_the_symbolic_rule(dtype, batch):
    for n in (100, 300, 333):
        _, L, L_bar = draw(n, dtype, batch)
        spoilt = np.where(np.tri(n, dtype=bool), L_bar, np.nan)
        found = rule.reverse_by_solving(L, spoilt, np.empty_like(L_bar))
        assert error(found, rule.reverse_symbolic(L, L_bar)) < 1e-13
        assert np.array_equal(found, mH(found))
