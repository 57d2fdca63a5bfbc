"""What PyTorch calls the ops elsewhere: torch.linalg.*_ex, the norms of vectors, and the older spellings.

May import torch, `overbar`, `torch_ops._ops`, `torch_ops._wrapping` and `torch_ops._words`. Each function here has
the arguments, the outputs, the errors and the warnings of PyTorch's function of that name, and an op does its work.
Which of them there are follows from the installed torch: a name that it does not have gets no entry in LINALG and
OLDER.
"""

import functools
import inspect
import math

import torch
from torch.overrides import handle_torch_function, has_torch_function_unary

from overbar import rules
from torch_ops import _ops as ops
from torch_ops import _originals as originals
from torch_ops._internals import LUWithInfo, is_removed
from torch_ops._norms import vector_norm
from torch_ops._watching import are_plain, watched
from torch_ops._words import failure_of
from torch_ops._wrapping import FULL, error_of_the_call, without_out, wrap

__all__ = ["LINALG", "OLDER"]


def _linalg(function):
    """A function of torch.linalg that is no op: with the names of its tensors that PyTorch takes, and no ``out=``."""
    builtin = getattr(torch.linalg, function.__name__, None)
    first = next(iter(inspect.signature(function).parameters))

    @functools.wraps(function)
    def spelled(*args, **kwargs):
        if "out" in kwargs:
            kwargs = without_out(spelled, kwargs)
        if "other" in kwargs:
            kwargs = {"B" if name == "other" else name: value for name, value in kwargs.items()}
        if not args:
            name = next((name for name in ("input", "self") if name in kwargs), first)
            if name not in kwargs:
                return builtin(**kwargs)  # PyTorch says what is missing
            kwargs = dict(kwargs)
            args = (kwargs.pop(name),)
        if not isinstance(args[0], torch.Tensor):
            return builtin(*args, **kwargs)
        if has_torch_function_unary(args[0]):
            return handle_torch_function(spelled, args[:1], *args, **kwargs)
        return function(*args, **kwargs)

    spelled.builtin = builtin
    return spelled


# ---------------------------------------------------------------------------------------------------------------------
# torch.linalg


@_linalg
def norm(A, ord=None, dim=None, keepdim=False, *, dtype=None):
    """The norm of a vector or a matrix, as torch.linalg.norm: by `matrix_norm` and `vector_norm`.

    Examples::

        >>> import torch
        >>> from torch_ops import linalg
        >>> linalg.norm(torch.tensor([3e30, 4e30])), linalg.norm(torch.eye(3), "nuc")
        (tensor(5.0000e+30), tensor(3.))
    """
    dims = (dim,) if isinstance(dim, int) else dim
    count = A.ndim if dims is None else len(dims)
    if ord is None or (count == 1 and not isinstance(ord, str)):
        return vector_norm(A, 2 if ord is None else ord, dims, keepdim, dtype=dtype)
    if count == 2:
        return ops.matrix_norm(A, ord, (0, 1) if dims is None else tuple(dims), keepdim, dtype=dtype)
    return originals.linalg.norm(A, ord, dim, keepdim, dtype=dtype)  # PyTorch says what does not fit


@_linalg
def tensorinv(A, ind=2):
    """The inverse of a tensor, as torch.linalg.tensorinv: by `inv`.

    Examples::

        >>> import torch
        >>> from torch_ops import linalg
        >>> linalg.tensorinv(torch.eye(6).reshape(6, 2, 3), ind=1).shape
        torch.Size([2, 3, 6])
    """
    rows, columns = A.shape[:ind], A.shape[ind:]
    if not 0 < ind < A.ndim or math.prod(rows) != math.prod(columns):
        return originals.linalg.tensorinv(A, ind)  # PyTorch says what does not fit
    return ops.inv(A.reshape(math.prod(rows), math.prod(columns))).reshape(*columns, *rows)


@_linalg
def tensorsolve(A, B, dims=None):
    """The solution X of tensordot(A, X, X.ndim) = B, as torch.linalg.tensorsolve: by `solve`.

    Examples::

        >>> import torch
        >>> from torch_ops import linalg
        >>> linalg.tensorsolve(torch.eye(6).reshape(2, 3, 6), torch.ones(2, 3))
        tensor([1., 1., 1., 1., 1., 1.])
    """
    moved = A if dims is None else A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    shape = moved.shape[B.ndim :]
    if math.prod(moved.shape[: B.ndim]) != B.numel() or math.prod(shape) != B.numel():
        return originals.linalg.tensorsolve(A, B, dims)  # PyTorch says what does not fit
    return ops.solve(moved.reshape(B.numel(), B.numel()), B.flatten()).reshape(shape)


@_linalg
def polar(A):
    """The polar decomposition A = U H, as torch.linalg.polar (since PyTorch 2.14): by `polar`."""
    if A.ndim < 2 or A.shape[-2] < A.shape[-1] or A.dtype not in FULL:
        return originals.linalg.polar(A)  # PyTorch says what does not fit
    return torch.return_types.linalg_polar(tuple(ops.polar(A)))


@_linalg
def matrix_sqrth(A):
    """The square root of a symmetric matrix, as torch.linalg.matrix_sqrth (since PyTorch 2.14): by `sqrtmh`."""
    if A.ndim < 2 or A.shape[-2] != A.shape[-1] or A.dtype not in FULL:
        return originals.linalg.matrix_sqrth(A)  # PyTorch says what does not fit
    root = ops.sqrtmh(A)
    if are_plain((A,)) and root.detach().isnan().any():
        return originals.linalg.matrix_sqrth(A)  # which takes eigenvalues below zero for zero
    return root


def _reporting(op, name, report=None):
    """An op as a function that does not raise where it fails, but returns what LAPACK says: torch.linalg.*_ex. `report`
    makes that of the outputs, of an op that never raises."""
    function, kind = getattr(torch.linalg, name), getattr(torch.return_types, f"linalg_{name}")
    by_matrix = "on_error" in inspect.signature(op).parameters
    is_passed_on = op.use_builtin_when if by_matrix and op.corrected_builtin is None else None

    def reported(*args, check_errors=False, **kwargs):
        if "out" in kwargs:
            kwargs = without_out(reported, kwargs)
        tensors = [x for x in (*args, *kwargs.values()) if isinstance(x, torch.Tensor)]
        if not watched(tensors):
            return function(*args, check_errors=check_errors, **kwargs)
        if is_passed_on is not None and args and are_plain(tensors) and is_passed_on(*args, **kwargs):
            # what PyTorch's function returns, with its derivative, where nothing failed
            found = function(*args, check_errors=check_errors, **kwargs)
            return _with_failures(args, kwargs, check_errors) if _any_failed(found.info) else found
        if by_matrix and torch.compiler.is_compiling():  # which cannot look whether something failed
            return _with_failures(args, kwargs, check_errors)
        try:
            outputs = op(*args, **kwargs)
        except RuntimeError as error:
            if not error_of_the_call(error):
                raise
            if by_matrix and isinstance(error, torch.linalg.LinAlgError):
                return _with_failures(args, kwargs, check_errors)
            return function(*args, check_errors=check_errors, **kwargs)  # it says it in its own way
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if report is not None:
            info = report(*outputs)
            if check_errors and failure_of(info, name):
                return function(*args, check_errors=True, **kwargs)  # raises
            return kind((*outputs, info))
        return kind((*outputs, _no_errors(kwargs.get("A", kwargs.get("input", args[0] if args else None)))))

    def _with_failures(args, kwargs, check_errors):
        """PyTorch's values, with our derivatives: NaN for the matrices that failed."""
        theirs = [x.detach() if isinstance(x, torch.Tensor) else x for x in args]
        named = {key: x.detach() if isinstance(x, torch.Tensor) else x for key, x in kwargs.items()}
        value, info = function(*theirs, check_errors=check_errors, **named)
        ours = op(*args, **kwargs, on_error="nan")
        failed = (info != 0)[(...,) + (None,) * (value.ndim - info.ndim)]
        # nan_to_num has a value, and a derivative of NaN
        return kind((torch.where(failed, value + torch.nan_to_num(ours), ours), info))

    signature = inspect.signature(op)
    parameters = [p for p in signature.parameters.values() if p.name != "on_error"]
    check = inspect.Parameter("check_errors", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)
    reported.__signature__ = signature.replace(parameters=[*parameters, check], return_annotation=kind)
    reported.__name__ = reported.__qualname__ = name
    reported.__doc__ = (
        f"torch.linalg.{name}, with the derivative of `{op.__name__}`{'' if by_matrix else ' where nothing fails'}."
    )
    reported.builtin = function
    return reported


def _any_failed(info):
    return bool(info if not info.ndim else info.any())


def _no_errors(A):
    return A.new_zeros(A.shape[:-2], dtype=torch.int32)


def _found(place, names):
    return {name: getattr(place, name) for name in names if hasattr(place, name)}


_EX = {"cholesky_ex": ops.cholesky, "inv_ex": ops.inv, "lu_factor_ex": ops.lu_factor, "solve_ex": ops.solve}

_ldl_factor = wrap(rules.ldl_factor, "ldl_factor(A: Tensor, *, hermitian: bool = False) -> tuple[Tensor, Tensor]")

#: what `torch_ops.linalg` has instead of PyTorch's function, by its name, beside the ops that stand for one
LINALG = {
    **{name: _reporting(op, name) for name, op in _EX.items() if hasattr(torch.linalg, name)},
    "ldl_factor_ex": _reporting(_ldl_factor, "ldl_factor_ex", ops.zero_pivots_of_ldl),
    **{f.__name__: f for f in (norm, tensorinv, tensorsolve, polar, matrix_sqrth) if f.builtin is not None},
    "vector_norm": _linalg(vector_norm),
}


# ---------------------------------------------------------------------------------------------------------------------
# Older spellings: in torch, and methods of tensors


def _named(name, outputs):
    kind = getattr(torch.return_types, name, None) or getattr(torch.return_types, f"linalg_{name}")
    return kind(tuple(outputs))


def _lu(input, pivot=True, get_infos=False, out=None):
    LU, pivots, info = LINALG["lu_factor_ex"](input, pivot=pivot)
    return LUWithInfo((LU, pivots, info)) if get_infos else (LU, pivots)


def _norm(input, p="fro", dim=None, keepdim=False, out=None, dtype=None):
    if input.layout is not torch.strided:
        return originals.norm(input, p, dim, keepdim, dtype=dtype)
    dims = (dim,) if isinstance(dim, int) else dim
    if not isinstance(p, str) or (p == "fro" and (dims is None or len(dims) <= 2)):
        return LINALG["vector_norm"](input, 2.0 if p is None or p == "fro" else p, dims, keepdim, dtype=dtype)
    return ops.matrix_norm(input, p, tuple(range(input.ndim)) if dims is None else dims, keepdim, dtype=dtype)


def _svd(input, some=True, compute_uv=True, *, out=None):
    if compute_uv:
        U, S, Vh = ops.svd(input, full_matrices=not some)
        return _named("svd", (U, S, Vh.mH))
    U, V = (input.new_zeros((*input.shape[:-2], k, k)) for k in input.shape[-2:])
    return _named("svd", (U, ops.svdvals(input), V))


#: by the names that they have in torch and as methods: what is called, with PyTorch's own arguments
_SPELLED = {
    "cholesky": lambda input, upper=False, *, out=None: ops.cholesky(input, upper=upper),
    "cholesky_inverse": lambda input, upper=False, *, out=None: ops.cholesky_inverse(input, upper),
    "cholesky_solve": lambda input, input2, upper=False, *, out=None: ops.cholesky_solve(input, input2, upper),
    "det": lambda input: ops.det(input),
    "inverse": lambda input, *, out=None: ops.inv(input),
    "logdet": lambda input: ops.logdet(input),
    "lu": _lu,
    "lu_solve": lambda input, LU_data, LU_pivots, *, out=None: ops.lu_solve(LU_data, LU_pivots, input),
    "matrix_exp": lambda input: ops.matrix_exp(input),
    "norm": _norm,
    "orgqr": lambda input, input2, *, out=None: ops.householder_product(input, input2),
    "pinverse": lambda input, rcond=1e-15: ops.pinv(input, rtol=rcond),
    "qr": lambda input, some=True, *, out=None: _named("qr", ops.qr(input, "reduced" if some else "complete")),
    "slogdet": lambda input: _named("slogdet", ops.slogdet(input)),
    "svd": _svd,
    "trace": lambda input: ops.trace(input),
}

#: methods whose outputs are of another kind than the function's
_METHODS = {"lu": lambda *args, **kwargs: tuple(_lu(*args, **kwargs))}

#: those that PyTorch warns of, each with the smallest call
_DEPRECATED = {
    "cholesky": lambda f: f(torch.ones(1, 1)),
    "lu": lambda f: f(torch.ones(1, 1)),
    "lu_solve": lambda f: f(torch.ones(1, 1), torch.ones(1, 1), torch.ones(1, dtype=torch.int32)),
    "qr": lambda f: f(torch.ones(1, 1)),
}


def _older(name, function, call):
    """The call instead of a function of PyTorch's, with that function's warning, and its error where both fail."""
    warn, said = _DEPRECATED.get(name), False

    @functools.wraps(call)
    def older(*args, **kwargs):
        nonlocal said
        try:
            result = call(*args, **_by_name(name, kwargs))
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            if not error_of_the_call(error):
                raise
            ours = error
        else:
            if warn is not None and not torch.compiler.is_compiling():
                if not said or torch.is_warn_always_enabled():  # PyTorch says it once, too
                    warn(function)
                said = True
            return result
        try:
            function(*args, **kwargs)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            if not error_of_the_call(error) or str(ours).startswith(str(error)):
                raise ours from None
            raise type(error)(f"{error}\n{ours}") from None
        raise ours

    return older


#: what PyTorch's documentation calls the tensors of these functions, and its methods, beside what they really take
_NAMES = {
    "cholesky_inverse": {"L": "input"},
    "cholesky_solve": {"B": "input", "L": "input2"},
    "lu": {"A": "input"},
    "lu_solve": {"b": "input"},
    "orgqr": {"tau": "input2"},
}


def _by_name(name, kwargs):
    names = _NAMES.get(name, {}) | {"self": "input"}
    return {names.get(key, key): value for key, value in kwargs.items()} if kwargs else kwargs


#: by PyTorch's function
OLDER = {
    function: _older(name, function, call)
    for place in (torch, torch.Tensor)
    for name, function in _found(place, _SPELLED).items()
    if not is_removed(name)
    for call in (_METHODS.get(name, _SPELLED[name]) if place is torch.Tensor else _SPELLED[name],)
}
