"""Existing code that calls PyTorch's functions, made to use ours: `torch_ops.reroute`.

May import torch and `torch_ops`. Which function becomes which op follows from the ops themselves: each knows the one of
PyTorch's that it stands for.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack

from torch_ops import ops
from torch_ops.namespace import watched


@contextlib.contextmanager
def reroute() -> Iterator[None]:
    """Reroute PyTorch's functions to the ops of `torch_ops`, in code that is not yours to change.

    Inside, ``torch.linalg.cholesky`` is `torch_ops.cholesky`, wherever it is called from: a library, a distribution of
    `torch.distributions`, a module. The same holds for its other spellings in PyTorch, ``torch.linalg.cholesky_ex``,
    ``torch.cholesky`` and ``A.cholesky()``, and for every other op that is more than PyTorch's own function.
    Derivatives taken later are ours, too: only the forward pass has to be inside.

    Left alone are calls with ``out=`` and those with tensors of a subclass which overrides functions itself. As every
    mode of PyTorch it holds for the thread that enters it, and inside a call of PyTorch that it reroutes it is off.
    It may be nested and may decorate a function.

    Notes
    -----
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
    if any(isinstance(mode, _Reroute) for mode in _get_current_function_mode_stack()):
        yield  # what the inner mode has rerouted, the outer one would reroute once more
        return
    with _Reroute():
        yield


class _Reroute(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        op = ROUTES.get(func)
        if op is None or kwargs.get("out") is not None or any(kind is not torch.Tensor for kind in types):
            return func(*args, **kwargs)
        return op(*args, **kwargs)


def _routes():
    routes = {}
    for op in vars(ops).values():
        # an op that hands over every call is PyTorch's function already
        if getattr(op, "builtin", None) is None or op.when is None:
            continue
        name = op.builtin.__name__.removeprefix("linalg_")
        for place in (torch, torch.Tensor):  # older spellings, whose options may be given by position
            if hasattr(place, name):
                routes[getattr(place, name)] = _older(op)
        if hasattr(torch.linalg, f"{name}_ex"):
            function = getattr(torch.linalg, f"{name}_ex")
            routes[function] = _reporting(op, function, getattr(torch.return_types, f"linalg_{name}_ex"))
        routes.setdefault(op.builtin, op)
    return routes


def _older(op):
    """An op under a name that torch has outside torch.linalg."""
    names = tuple(op.__signature__.parameters)
    generic = dict(zip(("input", "input2"), names, strict=False))

    def function(*args, **kwargs):
        given = {generic.get(name, name): value for name, value in kwargs.items()}
        return op(**dict(zip(names, args, strict=False)), **given)

    return function


def _reporting(op, function, kind):
    """An op as a function that does not raise where it fails, but returns what LAPACK says: torch.linalg.*_ex."""

    def reported(*args, check_errors=False, out=None, **kwargs):
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        if watched(tensors):
            try:
                outputs = op(*args, **kwargs)
            except torch.linalg.LinAlgError:
                pass  # the function says it in its own way
            else:
                outputs = outputs if isinstance(outputs, tuple) else (outputs,)
                # with no errors
                return kind((*outputs, tensors[0].new_zeros(tensors[0].shape[:-2], dtype=torch.int32)))
        return function(*args, check_errors=check_errors, **kwargs)

    return reported


#: what is called in the place of each function of PyTorch's, under all its names
ROUTES = _routes()
