"""Functions that the fronts make of a user's own primitive are copied, pickled and sent to other processes, with their
own arguments and outputs. May import the fronts and `overbar`."""

import copy
import importlib
import inspect
import multiprocessing
import pickle

import numpy as np
import pytest

from tests.processes import run_python

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402
import torch_ops  # noqa: E402

GRAM = """
import overbar, {front}
from overbar import mH

@overbar.primitive("(m,n)->(n,n)")
def gram(A, *, scale=1.0):
    return scale * (mH(A) @ A)

@gram.vjp
def _(C_bar, C, A, *, scale):
    return (lambda: scale * (A @ (C_bar + mH(C_bar))),)
"""

MODULE = (
    GRAM
    + """
def as_pair(C):
    '''C and 2 C.'''
    return C, 2 * C

op = {front}.wrap(gram, "gramian(X, factor=1.0)", returns=as_pair, X="A", factor="scale")
gramian = {front}.wrap(gram, "gramian(X)", X="A")

def tripled(op, x):
    return [part.numpy() for part in op(x, factor=3.0)]
"""
)
X = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(("front", "asarray"), [("torch_ops", torch.tensor), ("tf_ops", tf.constant)])
def test_what_a_front_made_is_copied_and_pickled(front, asarray, tmp_path, monkeypatch):
    """By what it was made of, or by its name where that finds it."""
    (tmp_path / f"gram_{front}.py").write_text(MODULE.format(front=front), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(f"gram_{front}")
    op, x = module.op, asarray(X)
    assert copy.copy(op) is copy.deepcopy(op) is op
    found = pickle.loads(pickle.dumps(op))
    assert found.primitive is module.gram
    assert (found.__name__, found.__module__, found.names) == ("gramian", module.__name__, op.names)
    assert inspect.signature(found) == inspect.signature(op)
    for C, scale in zip(module.tripled(found, x), (3, 6), strict=True):
        np.testing.assert_allclose(C, scale * X.T @ X)
    assert pickle.loads(pickle.dumps(module.gramian)) is module.gramian
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for C, scale in zip(pool.apply(module.tripled, (op, x)), (3, 6), strict=True):
            np.testing.assert_allclose(C, scale * X.T @ X)


@pytest.mark.parametrize("front", ["torch_ops", "tf_ops"])
def test_what_a_script_made_goes_whole(front):
    pytest.importorskip("cloudpickle")
    script = GRAM.format(front=front) + f"import sys, cloudpickle; op = {front}.wrap(gram, 'own(A)')\n"
    script += "sys.stdout.buffer.write(cloudpickle.dumps(op))"
    run = run_python("-W", "ignore", "-c", script, text=False)
    assert run.returncode == 0, run.stderr
    op = pickle.loads(run.stdout)
    if front == "torch_ops":
        x = torch.tensor(X, requires_grad=True)
        (x_bar,) = torch.autograd.grad(op(x).sum(), x)
    else:
        x = tf.constant(X)
        with tf.GradientTape() as tape:
            tape.watch(x)
            C = op(x)
        x_bar = tape.gradient(C, x)
    np.testing.assert_allclose(x_bar, np.tile(2 * X.sum(1, keepdims=True), 2))


def test_an_op_of_torch_library_is_pickled():
    from tests.consistency.test_kept import exponential
    from torch_ops.library import custom_op

    op = custom_op(exponential, "tests::pickled_exponential")
    found = pickle.loads(pickle.dumps(op))
    assert float(found(torch.zeros(()))) == 1


@pytest.mark.parametrize("name", ["cholesky", "solve", "svd"])
def test_the_ops_of_the_fronts_are_pickled_by_their_names(name):
    for front in (torch_ops, tf_ops):
        op = getattr(front, name)
        assert pickle.loads(pickle.dumps(op)) is op


def test_a_compiled_function_sees_which_op_it_calls():
    """Two that were made of primitives of the same form are told apart, though they are objects of one class."""
    import overbar

    called = {}

    @torch.compile(backend="aot_eager")
    def compiled(x):
        return called["op"](x)

    for f in (overbar.sin, overbar.cos):
        called["op"] = torch_ops.wrap(f)
        x = torch.tensor([0.25, 0.5], requires_grad=True)
        C = compiled(x)
        torch.testing.assert_close(C, torch_ops.wrap(f)(x))
