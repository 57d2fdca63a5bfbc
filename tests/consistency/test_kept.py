"""Outputs that are kept for the rules alone: derivatives of every order, in every mode of both frameworks, and what is
kept is computed once. May import the fronts and `overbar`.
"""

import math

import numpy as np
import pytest

import overbar
from overbar._namespace import namespace

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402
import torch_ops  # noqa: E402
from tests.tf_ops.common import forward, reverse, symbolic  # noqa: E402
from torch_ops import _originals as originals  # noqa: E402

computed = []


@overbar.primitive("()->(),()", residuals=1)
def exponential(A):
    computed.append(A)
    E = namespace(A).exp(A)
    return 1 * E, E


@overbar.primitive("(),()->()")
def known(A, E):
    """exp A, where E is that already."""
    return 1 * E


@exponential.vjp
def _(C_bar, outputs, A):
    return (lambda: C_bar * known(A, outputs[1]),)


@exponential.jvp
def _(outputs, A):
    return (lambda A_dot: (A_dot * known(A, outputs[1]),),)


@known.vjp
def _(C_bar, C, A, E):
    return lambda: C_bar * known(A, E), None


@known.jvp
def _(C, A, E):
    return lambda A_dot: A_dot * known(A, E), None


@exponential.samples
def _(case):
    yield case(case.normal())


@exponential.reference
def _(mp, A):
    return mp.exp(A)


X = 0.3
ALL = math.exp(X)
IN_TORCH, IN_TENSORFLOW = torch_ops.wrap(exponential), tf_ops.wrap(exponential)


def _torch(f=IN_TORCH):
    grad, jvp, one = torch.func.grad, torch.func.jvp, torch.ones((), dtype=torch.float64)

    def forward(g):
        return lambda x: jvp(g, (x,), (one,))[1]

    x = torch.tensor(X, dtype=torch.float64)
    yield "value", lambda: f(x)
    yield "reverse", lambda: grad(f)(x)
    yield "three times", lambda: grad(grad(grad(f)))(x)
    yield "forward over reverse", lambda: forward(grad(f))(x)
    yield "reverse over forward over forward", lambda: grad(forward(forward(f)))(x)
    yield "vmap", lambda: torch.func.vmap(grad(grad(f)))(x.repeat(3))
    yield "compiled", lambda: torch.compile(lambda x: f(x) * one, backend="aot_eager", fullgraph=True)(x)


def _autograd(order, f=IN_TORCH):
    x = torch.tensor(X, dtype=torch.float64, requires_grad=True)
    y = f(x)
    for _ in range(order):
        (y,) = torch.autograd.grad(y, x, create_graph=True)
    return y


def _tensorflow(f=IN_TENSORFLOW):
    x = tf.constant(X, tf.float64)
    thrice, mixed = reverse(reverse(reverse(f))), forward(reverse(forward(f)))
    yield "value", lambda: f(x)
    yield "three times", lambda: thrice(x)
    yield "mixed", lambda: mixed(x)
    yield "in a graph", lambda: tf.function(thrice)(x)
    yield "mixed, in a graph", lambda: tf.function(mixed)(x)
    yield "around a graph", lambda: reverse(reverse(tf.function(f)))(x)
    yield "under XLA", lambda: tf.function(reverse(reverse(f)), jit_compile=True)(x)
    yield "tf.gradients", lambda: symbolic(symbolic(f))(x)
    yield "vectorized_map", lambda: tf.vectorized_map(reverse(reverse(f)), tf.fill([3], x))


MODES = {f"{of.__name__[1:]}: {name}": run for of in (_torch, _tensorflow) for name, run in of()}
MODES |= {f"autograd: {order}": lambda order=order: _autograd(order) for order in range(4)}


@pytest.mark.parametrize("mode", MODES)
def test_derivatives_of_every_order_are_right(mode):
    found = MODES[mode]()
    found = found.detach() if isinstance(found, torch.Tensor) else found
    np.testing.assert_allclose(np.asarray(found), ALL, rtol=1e-14)


def test_derivatives_in_numpy_are_right():
    value, pullback = overbar.vjp(exponential, X)
    assert value == pytest.approx(ALL, rel=1e-15)
    assert pullback(1.0)[0] == pytest.approx(ALL, rel=1e-15)
    assert overbar.jvp(exponential, (X,), (1.0,))[1] == pytest.approx(ALL, rel=1e-15)
    overbar.verify.check(exponential)


def test_the_oracles_know_an_array_without_a_bar():
    @overbar.primitive("(),()->()")
    def first(A, E):
        return 2 * A

    @first.vjp
    def _(C_bar, C, A, E):
        return lambda: 2 * C_bar, None

    @first.jvp
    def _(C, A, E):
        return lambda A_dot: 2 * A_dot, None

    cases = [overbar.verify.complete(first, (0.3, 0.4), {})]
    overbar.verify.check(first, cases=cases)
    mutants = list(overbar.verify.rule_mutations(first, cases))
    assert {mutant.name.partition(" times")[0] for mutant in mutants} >= {"bar of A", "tangent's term of A"}
    for mutant in mutants:
        with pytest.raises(overbar.verify.VerificationError):
            overbar.verify.check(mutant.primitive, cases=cases)


def test_what_is_kept_does_not_show():
    assert np.shape(exponential(X)) == ()
    assert exponential(torch.ones(2)).shape == (2,)


def test_it_is_computed_once_for_all_derivatives():
    computed.clear()
    _autograd(3)
    assert len(computed) == 1
    computed.clear()
    MODES["tensorflow: three times"]()
    assert len(computed) == 1


@pytest.fixture
def by_torch(monkeypatch):
    """Few numbers, too, are computed by torch."""
    monkeypatch.setattr("torch_ops._numpy.FEW", -1)


@pytest.mark.parametrize("name", ["sqrtmh", "polar"])
def test_a_matrix_is_decomposed_once_for_all_derivatives(name, monkeypatch, by_torch):
    count = []
    for kernel in ("eigh", "svd"):
        own = getattr(originals.linalg, kernel)
        monkeypatch.setattr(
            originals.linalg, kernel, lambda *args, own=own, **kw: count.append(own) or own(*args, **kw)
        )
    A = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 4.0]], dtype=torch.float64, requires_grad=True)
    found = getattr(torch_ops, name)(A)
    (once,) = torch.autograd.grad((found if name == "sqrtmh" else found[1])[0, 1], A, create_graph=True)
    (twice,) = torch.autograd.grad(once[0, 0], A)
    assert twice.abs().max() > 1e-4
    assert len(count) == 1


# ---------------------------------------------------------------------------------------------------------------------
# The factors of a system

KINDS = [{}, {"left": False}, {"adjoint": True}, {"left": False, "adjoint": True}]


def _system(n, dtype=np.float64, batch=(), columns=2):
    rng = np.random.default_rng(n)
    A, B = rng.standard_normal((2, *batch, n, n)) + 2j * rng.standard_normal((2, *batch, n, n))
    A = A + 3 * n**0.5 * np.eye(n)
    return (A if dtype == np.complex128 else A.real), (B if dtype == np.complex128 else B.real)[..., :columns]


def _sides(B, left=True, **_):
    return B if left else np.swapaxes(B, -1, -2)


def _twice(A, B, **options):
    """The gradient and a second derivative of Re Σ solve(A, B)³ in NumPy."""

    def gradient(A):
        X, pullback = overbar.vjp(lambda A: overbar.solve(A, B, **options), A)
        return pullback(namespace(A).conj(3 * X**2))[0]

    G, pullback = overbar.vjp(gradient, A)
    return G, pullback(G)[0]


def test_numpy_factorises_a_system_once(monkeypatch):
    count, words = [], overbar._numpy_words
    getrf, getrs = words._LU["d"]
    monkeypatch.setattr(words, "ONE_THREAD", True)
    monkeypatch.setattr(np.linalg, "solve", lambda *args: pytest.fail("factorised again"))
    monkeypatch.setitem(words._LU, "d", (lambda A: count.append(A) or getrf(A), getrs))
    for (A, B), factorised in ((_system(5), 1), (_system(64, batch=(2,)), 2)):
        count.clear()
        _twice(A, B)
        assert len(count) == factorised


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("name", ["slogdet", "logdet", "det"])
def test_a_determinant_and_its_gradient_have_one_factorisation(name, dtype, monkeypatch):
    A, E = _system(64, dtype, columns=64)
    A, E = (A @ A.conj().T / 500).astype(dtype), E.astype(dtype)  # whose determinant is in the range of numbers
    f = {"slogdet": lambda A: overbar.slogdet(A)[1]}.get(name, getattr(overbar, name))

    def twice():
        def gradient(A):
            c, pullback = overbar.vjp(f, A)
            return pullback(bare(c) / abs(bare(c)))[0]

        bare = lambda c: getattr(c, "value", c)  # noqa: E731
        if name == "det":  # whose second derivative is another function of A
            return f(A), gradient(A)
        G, pullback = overbar.vjp(gradient, A)
        return f(A), G, pullback(E)[0]

    expected = twice()
    count, words = [], overbar._numpy_words
    monkeypatch.setattr(words, "ONE_THREAD", True)
    for own in ("inv", "slogdet"):
        monkeypatch.setattr(np.linalg, own, lambda A: pytest.fail("factorised again"))
    getrf, getrs = words._LU[A.dtype.char]
    monkeypatch.setitem(words._LU, A.dtype.char, (lambda A: count.append(A) or getrf(A), getrs))
    for one, other in zip(twice(), expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(
            one, other, rtol=1e4 * np.finfo(dtype).eps, atol=1e3 * np.finfo(dtype).eps * abs(other).max()
        )
    assert len(count) == 2  # in f(A) once more


def test_numpy_does_not_call_scipy_where_it_would_start_threads(monkeypatch):
    words = overbar._numpy_words
    monkeypatch.setattr(words, "ONE_THREAD", False)
    monkeypatch.setattr(words, "_LU", dict.fromkeys("fdFD", (None, None)))
    for A, B in (_system(300, columns=1), _system(100, columns=40), _system(4, batch=(2,))):
        np.testing.assert_allclose(overbar.solve(A, B), np.linalg.solve(A, B), rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("shape", [(), (2,)], ids=str)
def test_solutions_with_factors_are_those_without(shape, dtype, options, monkeypatch):
    A, B = _system(64, dtype, batch=shape)
    A, B = A.astype(dtype), _sides(B, **options).astype(dtype)
    monkeypatch.setattr(overbar._numpy_words, "ONE_THREAD", True)
    found = overbar.solve(A, B, **options), *_twice(A, B, **options)
    monkeypatch.setattr(overbar._numpy_words, "_is_factorised", lambda A, B: False)
    for one, other in zip(found, (overbar.solve(A, B, **options), *_twice(A, B, **options)), strict=True):
        assert one.dtype == other.dtype == dtype
        np.testing.assert_allclose(one, other, rtol=2000 * np.finfo(dtype).eps, atol=200 * np.finfo(dtype).eps)


def test_pytorch_factorises_a_system_once(monkeypatch, by_torch):
    count = []
    for name in ("lu_factor_ex", "solve_ex"):
        own = getattr(originals.linalg, name)
        monkeypatch.setattr(originals.linalg, name, lambda *args, own=own, **kw: count.append(own) or own(*args, **kw))
    A, B = map(torch.tensor, _system(5))
    A.requires_grad_()
    (once,) = torch.autograd.grad((torch_ops.solve.rule_op(A, B) ** 3).sum(), A, create_graph=True)
    (twice,) = torch.autograd.grad((once * once.detach()).sum(), A)
    assert len(count) == 1
    for found, expected in zip((once, twice), _twice(A.detach().numpy(), B.numpy()), strict=True):
        np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-10)


def _ops(graph):
    """The types of all ops of a graph, in its branches too."""
    definition = graph.as_graph_def()
    return [node.op for node in [*definition.node, *[n for f in definition.library.function for n in f.node_def]]]


def _in_tensorflow(A, B, **options):
    """`_twice` in TensorFlow."""
    with tf.GradientTape() as outer:
        outer.watch(A)
        with tf.GradientTape() as tape:
            tape.watch(A)
            X = tf_ops.wrap(overbar.rules.solve)(A, B, **options)
        G = tape.gradient(X, A, tf.math.conj(3 * X**2))
    return G, outer.gradient(G, A, tf.stop_gradient(G))


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("mode", ["eager", "graph", "XLA"])
def test_tensorflow_factorises_a_system_once(mode, dtype, options):
    A, B = _system(256 if mode == "eager" else 64, dtype)
    B = _sides(B, **options)
    expected, run = _twice(A, B, **options), _in_tensorflow
    A, B = tf.constant(A), tf.constant(B)
    if mode != "eager":
        run = tf.function(lambda A, B: _in_tensorflow(A, B, **options), jit_compile=mode == "XLA" or None)
        ops = _ops(run.get_concrete_function(A, B).graph)
        # two: of A, and of what stands for it where it has a NaN
        assert (ops.count("Qr") == 1) if mode == "XLA" else (ops.count("Lu") == 2)
        assert "MatrixSolve" not in ops
    found = run(A, B, **({} if mode != "eager" else options))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("in_graph", [False, True])
def test_tensorflow_knows_a_system_that_is_singular_or_has_a_nan(in_graph):
    A, B = _system(256)
    run = tf.function(_in_tensorflow) if in_graph else _in_tensorflow
    A[3, 4] = math.nan
    for found in run(tf.constant(A), tf.constant(B)):
        assert np.isnan(found.numpy()).all()
    A[3] = 0
    with pytest.raises(tf.errors.InvalidArgumentError, match="not invertible" if in_graph else "A is singular"):
        run(tf.constant(A), tf.constant(B))


def test_tensorflow_has_the_value_of_its_own_solver_where_nobody_watches():
    A, B = map(tf.constant, _system(256))
    np.testing.assert_array_equal(tf_ops.solve(A, B).numpy(), tf.linalg.solve(A, B).numpy())
    assert "Lu" not in _ops(tf.function(tf_ops.solve).get_concrete_function(A, B).graph)
