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


@pytest.mark.parametrize("name", ["sqrtmh", "polar"])
def test_a_matrix_is_decomposed_once_for_all_derivatives(name, monkeypatch):
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
