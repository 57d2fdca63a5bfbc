"""The rules of `lu_factor` and `ldl` above the size where they are split into blocks, which the small samples of the
registry do not reach: against the rules for the whole matrix. May import the fronts.
"""

import numpy as np
import pytest

import overbar
from overbar.rules import _halving as halving
from tests.compare import error

SHAPES = [(129, 129), (300, 300), (300, 200), (200, 300)]


def draw(shape, dtype, batch=()):
    rng = np.random.default_rng(shape[0])

    def normal(*shape):
        real = rng.standard_normal((*batch, *shape))
        return (real + 1j * rng.standard_normal(real.shape) if np.dtype(dtype).kind == "c" else real).astype(dtype)

    return normal(*shape), normal(*shape), normal(*shape)


def both(A, LU_bar, A_dot):
    _, pullback = overbar.vjp(overbar.lu_factor, A)
    return pullback((LU_bar, None))[0], overbar.jvp(overbar.lu_factor, (A,), (A_dot,))[1][0]


def whole(monkeypatch, *arrays):
    with monkeypatch.context() as patch:
        patch.setattr(halving, "BASE", 10_000)
        return both(*arrays)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_blocks_give_the_rule_for_the_whole_in_numpy(monkeypatch, shape, dtype):
    A, LU_bar, A_dot = draw(shape, dtype)
    (bar, dot), (bar_whole, dot_whole) = both(A, LU_bar, A_dot), whole(monkeypatch, A, LU_bar, A_dot)
    assert error(bar, bar_whole) < 1e-10
    assert error(dot, dot_whole) < 1e-10
    np.testing.assert_allclose(np.vdot(bar, A_dot).real, np.vdot(LU_bar, dot).real, rtol=1e-9)


def test_blocks_work_on_batches_and_in_small_pieces(monkeypatch):
    monkeypatch.setattr(halving, "BASE", 2)
    for shape in ((9, 9), (11, 5), (5, 11)):
        arrays = draw(shape, "float64", (2, 3))
        for found, expected in zip(both(*arrays), whole(monkeypatch, *arrays), strict=True):
            assert error(found, expected) < 1e-11


def test_the_last_pivot_may_vanish_in_the_last_block(monkeypatch):
    monkeypatch.setattr(halving, "BASE", 2)
    A, LU_bar, A_dot = draw((7, 7), "float64")
    A[:, -1] = A[:, 0]  # singular, by its last column
    found, expected = both(A, LU_bar, A_dot), whole(monkeypatch, A, LU_bar, A_dot)
    assert all(np.isfinite(x).all() for x in found)
    assert np.max([error(a, b) for a, b in zip(found, expected, strict=True)]) < 1e-11


def test_blocks_in_torch_with_and_without_somebody_watching(monkeypatch):
    torch = pytest.importorskip("torch")
    import torch_ops

    A, LU_bar, A_dot = draw((200, 200), "float64")
    bar, dot = whole(monkeypatch, A, LU_bar, A_dot)
    tensor = torch.tensor(A, requires_grad=True)
    LU = torch_ops.lu_factor(tensor)[0]
    for create_graph in (False, True):
        (found,) = torch.autograd.grad(LU, tensor, torch.tensor(LU_bar), retain_graph=True, create_graph=create_graph)
        assert error(found.detach(), bar) < 1e-10
    found = torch.func.jvp(lambda A: torch_ops.lu_factor(A)[0], (tensor.detach(),), (torch.tensor(A_dot),))[1]
    assert error(found, dot) < 1e-10


def test_a_wrong_block_would_be_seen(monkeypatch):
    arrays = draw((129, 129), "float64")
    expected = whole(monkeypatch, *arrays)
    solve = overbar.namespace(A := arrays[0]).solve_triangular
    monkeypatch.setattr(overbar.namespace(A), "solve_triangular", lambda *args, **kw: 1.001 * solve(*args, **kw))
    assert min(error(a, b) for a, b in zip(both(*arrays), expected, strict=True)) > 1e-6


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("lower", [True, False])
def test_the_forward_rule_of_ldl_by_halves(monkeypatch, lower, dtype):
    monkeypatch.setattr(halving, "BASE", 2)
    A, A_dot, _ = draw((9, 9), dtype, (2,))
    A, A_dot = A + np.swapaxes(A, -1, -2).conj(), A_dot + np.swapaxes(A_dot, -1, -2).conj()
    f = lambda A: overbar.ldl(A, lower=lower)[:2]  # noqa: E731
    found = overbar.jvp(f, (A,), (A_dot,))[1]
    monkeypatch.undo()
    for one, other in zip(found, overbar.jvp(f, (A,), (A_dot,))[1], strict=True):
        assert error(one, other) < 1e-12
