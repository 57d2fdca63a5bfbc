"""Existing code that calls PyTorch's functions, made to use ours: `torch_ops.reroute`.

May import torch and `torch_ops`. Which function becomes which op follows from the ops themselves: each knows the one of
PyTorch's that it stands for.
"""

import contextlib
import functools
from collections.abc import Iterator

import torch
from torch.overrides import TorchFunctionMode

from torch_ops import _ops as ops
from torch_ops._internals import exchange_checkpoints, is_in_mode
from torch_ops._spellings import LINALG, OLDER


@contextlib.contextmanager
def reroute() -> Iterator[None]:
    """Reroute PyTorch's functions to the ops of `torch_ops`, in code that is not yours to change.

    Inside, ``torch.linalg.cholesky`` is `torch_ops.cholesky`, wherever it is called from: a library, a distribution of
    `torch.distributions`, a module. The same holds for its other spellings in PyTorch, ``torch.linalg.cholesky_ex``,
    ``torch.cholesky`` and ``A.cholesky()``, and for every other op that is more than PyTorch's own function.
    Derivatives taken later are ours, too: only the forward pass has to be inside.

    Left alone are calls with ``out=`` and those with tensors of a subclass which overrides functions itself. It may be
    nested and may decorate a function. Of an activation checkpoint that is made inside, what is computed again in the
    backward pass is rerouted, too, wherever that runs.

    Out of its reach are, as for every mode of PyTorch:

    - other threads than the one that enters it: each has to enter it itself;
    - what PyTorch's functions call inside: `torch.lobpcg`, `torch.svd_lowrank` and the like decompose by PyTorch's own
      functions, and so does the backward method of somebody's `torch.autograd.Function`, as it runs inside of
      ``backward()``: decorate it with ``@torch_ops.reroute()``;
    - programs of torch.export and TorchScript.

    Notes
    -----
    Each spelling keeps PyTorch's arguments, its kind of result, its errors (a line may follow that says more) and its
    warnings. What is different: the gradient of `torch.cholesky_solve` with respect to L is zero in the triangle that
    is not read, eigenvalues of general matrices come in order, singular vectors and eigenvectors have the signs that
    `svd` and `eigh` say, and `torch.linalg.lstsq` returns all of its outputs with each driver.

    ``torch.linalg.cholesky_ex`` and the like return what failed and how, as always. In order to know it they look at
    the device, as ``torch.linalg.cholesky`` does.

    The cost is one or two microseconds for each call of any function of PyTorch's inside.

    Examples
    --------
    >>> import torch, torch_ops
    >>> A = torch.tensor([[4.0, 2.0], [2.0, 5.0]], requires_grad=True)
    >>> with torch_ops.reroute():
    ...     normal = torch.distributions.MultivariateNormal(torch.zeros(2), covariance_matrix=A)
    ...     loss = normal.log_prob(torch.ones(2))
    >>> torch.autograd.grad(loss, A)[0]
    tensor([[-0.1387,  0.0742],
            [ 0.0742, -0.1172]])
    """
    if not torch.compiler.is_compiling():
        _exchange_checkpoints()
    if active():
        yield  # what the inner mode has rerouted, the outer one would reroute once more
        return
    with _Reroute():
        yield


def active() -> bool:
    """Whether this thread is inside of `reroute`."""
    return is_in_mode(_Reroute)


class _Reroute(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        op = ROUTES.get(func)
        if op is None or kwargs.get("out") is not None or any(kind is not torch.Tensor for kind in types):
            return func(*args, **kwargs)
        return op(*args, **kwargs)


# ---------------------------------------------------------------------------------------------------------------------
# Activation checkpoints. They call a function twice, the second time in the backward pass, which may run outside: the
# gradient would be PyTorch's, or the tensors saved would not be those of the first time. torch.utils.checkpoint has no
# hook for it. What it calls itself, for both kinds of checkpoints, is exchanged when `reroute` is first used; outside
# of it this changes nothing.


def _rerouted_if_active(function):
    return reroute()(function) if active() else function


@functools.cache
def _exchange_checkpoints():
    from torch.utils import checkpoint  # not everybody's

    def exchanged(again):
        @functools.wraps(again)
        def generator(fn, *args, **kwargs):
            return again(_rerouted_if_active(fn), *args, **kwargs)

        return generator

    exchange_checkpoints(exchanged)
    forward = checkpoint.CheckpointFunction.forward

    @functools.wraps(forward)
    def rerouted_forward(ctx, run_function, *args):
        return forward(ctx, _rerouted_if_active(run_function), *args)

    checkpoint.CheckpointFunction.forward = staticmethod(rerouted_forward)


def _routes():
    routes = dict(OLDER)
    # an op that passes on every call is PyTorch's function already
    ours = [
        op for op in vars(ops).values() if getattr(op, "builtin", None) is not None and op.use_builtin_when is not None
    ]
    for function in (*ours, *LINALG.values()):
        routes.setdefault(function.builtin, function)
    return routes


#: what is called instead of each function of PyTorch's, under all its names
ROUTES = _routes()
