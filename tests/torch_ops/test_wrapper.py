"""What the one wrapper owes to PyTorch beyond derivatives. May import `torch_ops`."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import overbar  # noqa: E402
import torch_ops  # noqa: E402


def test_matrix_functions_do_not_mix_dtypes_silently():
    L, B = torch.eye(2, dtype=torch.float64), torch.ones(2, 2, dtype=torch.complex128)
    with pytest.raises(RuntimeError, match=r"L has torch\.float64, B has torch\.complex128"):
        overbar.cho_solve(L, B)


def test_arithmetic_promotes_as_torch_does():
    a = torch.ones(2, requires_grad=True)
    total = torch_ops.add(a, torch.ones(2, dtype=torch.float64))
    assert total.dtype == torch.float64
    assert torch.autograd.grad(total.sum(), a)[0].dtype == torch.float32


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("n", [2, 200])
def test_what_an_op_takes_depends_neither_on_the_size_nor_on_who_watches(n, watched):
    """A vector instead of a matrix, and a batch of traces: PyTorch's own functions, to which small calls and those
    that nobody differentiates are passed on, take neither."""
    L = torch.eye(n, dtype=torch.float64, requires_grad=watched)
    b = torch.ones(n, dtype=torch.float64)
    assert torch.equal(torch_ops.cholesky_solve(b, L), b)
    assert torch.equal(torch_ops.solve_triangular(L, b, upper=False), b)
    assert torch.equal(torch_ops.trace(torch.stack([L, 2 * L])), torch.tensor([n, 2 * n], dtype=torch.float64))


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("n", [2, 200])
def test_tensors_by_name(n, watched):
    """By the names of PyTorch's documentation, which its own functions do not all take, and by those that they take."""
    A = 4 * torch.eye(n, dtype=torch.float64, requires_grad=watched)
    B = torch.ones(n, 3, dtype=torch.float64)
    for name in ("A", "input"):
        assert torch.equal(torch_ops.cholesky(**{name: A}), A / 2)
        assert torch.equal(torch_ops.cholesky(**{name: A}, upper=True), A / 2)
        assert torch.equal(torch_ops.solve_triangular(upper=False, B=B, **{name: A}), B / 4)
    for names in (("B", "L"), ("input", "input2")):
        given = dict(zip(names, (B, A), strict=True))
        assert torch.equal(torch_ops.cholesky_solve(**given), B / 16)
        assert torch.equal(torch_ops.cholesky_solve(B, **{names[1]: A}, upper=True), B / 16)
    with torch_ops.reroute():
        assert torch.equal(torch.linalg.cholesky(input=A), A / 2)
        assert torch.equal(torch.linalg.solve_triangular(input=A, B=B, upper=False), B / 4)


def test_a_tensor_given_twice_is_refused():
    A = torch.eye(2)
    for given in ({"A": A}, {"input": A}):
        with pytest.raises(TypeError):
            torch_ops.cholesky(A, **given)
    with pytest.raises(TypeError):
        torch_ops.cholesky(A=A, input=A)
    with pytest.raises(TypeError):
        torch_ops.cholesky_solve(L=A)


def test_an_option_that_requires_a_gradient_is_refused():
    """A Function takes options for constants: the gradient would silently lack what comes from there."""

    @overbar.primitive("(n)->(n)")
    def scaled(x, *, by):
        return x * by

    @scaled.vjp
    def _(C_bar, C, x, *, by):
        return (lambda: C_bar * by,)

    op, x, by = torch_ops.wrap(scaled), torch.ones(2, requires_grad=True), torch.full((2,), 3.0, requires_grad=True)
    with pytest.raises(TypeError, match=r"scaled: the option by requires a gradient.* detach it"):
        op(x, by=by)
    with pytest.raises(TypeError, match="the option by requires a gradient"):
        torch.func.grad(lambda by: op(x, by=by).sum())(by.detach())
    assert torch.equal(torch.autograd.grad(op(x, by=by.detach()).sum(), x)[0], by.detach())
    assert torch.equal(torch.func.grad(lambda x: op(x, by=by.detach()).sum())(x.detach()), by.detach())
    with torch.no_grad():
        assert torch.equal(op(x, by=by), by)


def test_arrays_of_numpy_are_refused_whatever_was_called_before():
    """What is known of a call is known of a front: NumPy's takes these arrays, and PyTorch's does not."""
    for op in (torch_ops.phi, torch_ops.quadratic):
        arrays = (np.eye(3),) if op is torch_ops.phi else (np.eye(3), np.ones(3))
        for call in (lambda: None, lambda op=op, arrays=arrays: op.primitive(*arrays)):
            call()
            with pytest.raises(TypeError, match=r"ndarray instead of a tensor.*torch\.as_tensor"):
                op(*arrays)


def test_a_rule_that_leaves_torch_says_so():
    @overbar.primitive("(n)->(n)")
    def doubled(x):
        return 2 * x

    @doubled.vjp
    def _(C_bar, C, x):
        return (lambda: 2 * C_bar.numpy(),)

    x = torch.ones(2, requires_grad=True)
    with pytest.raises(TypeError, match=r"doubled: the reverse rule gave a numpy\.ndarray for argument x.*PyTorch"):
        torch_ops.wrap(doubled)(x).sum().backward()
