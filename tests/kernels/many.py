"""Derivatives of functions of many small matrices, in which compiled loops take part. May import `tests` and, by it,
torch."""

from tests.compare import close
from tests.frameworks import torch


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
