"""Derivatives of functions of many small matrices, in which compiled loops take part. May import NumPy, `overbar` and
`tests`, and by that the frameworks and their fronts."""

import numpy as np

import overbar
from tests.compare import close
from tests.frameworks import tf, tf_ops, torch, torch_ops


def check_fronts(function, A):
    """``function(ops, A)`` of a batch and its bars are those of each matrix by itself, and equal in all libraries."""
    of_numpy = lambda A: function(overbar, A)  # noqa: E731
    value, pullback = overbar.vjp(of_numpy, A)
    bar = np.random.default_rng(0).normal(size=value.shape)
    (A_bar,) = pullback(bar)
    for k in range(0, len(A), 220):
        expected, pullback = overbar.vjp(of_numpy, A[k])
        close(value[k], expected, 1e-11)
        close(A_bar[k], pullback(bar[k])[0], 1e-9)
    tensor = torch.tensor(A, requires_grad=True)
    found = function(torch_ops, tensor)
    close(found.detach().numpy(), value, 1e-11)
    close(torch.autograd.grad(found, tensor, torch.tensor(bar))[0].numpy(), A_bar, 1e-9)
    variable = tf.Variable(A)
    with tf.GradientTape() as tape:
        found = function(tf_ops, variable)
    close(found.numpy(), value, 1e-11)
    close(tape.gradient(found, variable, bar).numpy(), A_bar, 1e-9)


def check_transforms(f, A, E, rtol=1e-7):
    """In PyTorch second derivatives of sin f(A) along E are those of single matrices, and where a transform looks on,
    and no loop is taken, derivatives are the same."""
    A, E, some = torch.tensor(A, requires_grad=True), torch.tensor(E), range(0, len(A), 220)

    def second(A, E):
        (bar,) = torch.autograd.grad(torch.sin(f(A)).sum(), A, create_graph=True)
        return torch.autograd.grad(bar, A, E)[0]

    found = second(A, E)
    close(found[list(some)], torch.stack([second(A[k].detach().requires_grad_(), E[k]) for k in some]), 1e-7)
    gradient = torch.func.grad(lambda A: torch.sin(f(A)).sum())
    (first,) = torch.autograd.grad(torch.sin(f(A)).sum(), A)
    close(torch.func.vmap(gradient)(A.detach()), first, 1e-9)
    close(torch.func.jvp(gradient, (A.detach(),), (E,))[1], found, rtol)
