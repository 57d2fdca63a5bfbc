"""Existing code that calls PyTorch's functions, made to use ours: `torch_ops.reroute` and `torch_ops.install`.

May import torch, `torch_ops` and `overbar._routes`. Which function becomes which op follows from the ops themselves:
each knows the one of PyTorch's that it stands for.

A function is found by its name when it is called. So another one, a stand-in, is put in its place while somebody is
inside, and asks whether this thread is. Nothing else of PyTorch becomes slower. A mode of PyTorch's would see every
call of every function, which makes each of them take twice as long; it is entered only where names are not enough.
"""

import contextlib
import functools
import inspect
import sys
import threading
import types
import typing
import weakref
from collections.abc import Iterator

import torch
from torch.compiler import is_dynamo_compiling
from torch.overrides import TorchFunctionMode, handle_torch_function

from overbar._routes import Routes
from torch_ops import _ops as ops
from torch_ops._fused import attach, remember
from torch_ops._internals import (
    COMPILED,
    IS_NOT_OVERRIDDEN,
    assume_constant_result,
    exchange_checkpoints,
    is_compiler_in_use,
    is_in_mode,
    know_in_torchscript,
    tables_of_dynamo,
)
from torch_ops._processor import asked
from torch_ops._spellings import LINALG, OLDER


@contextlib.contextmanager
def reroute(*, watch: bool = False) -> Iterator[Routes]:
    """Reroute PyTorch's functions to the ops of `torch_ops`, in code that is not yours to change.

    Inside, ``torch.linalg.cholesky`` is `torch_ops.cholesky`, wherever it is called from: a library, a distribution of
    `torch.distributions`, a module. The same holds for its other spellings in PyTorch, ``torch.linalg.cholesky_ex``,
    ``torch.cholesky`` and ``A.cholesky()``, and for every other op that is more than PyTorch's own function.
    Derivatives taken later are ours, too: only the forward pass has to be inside.

    Left alone are calls with ``out=`` and those with tensors of a subclass which overrides functions itself. It may be
    nested and may decorate a function. Of an activation checkpoint that is made inside, what is computed again in the
    backward pass is rerouted, too, wherever that runs.

    Parameters
    ----------
    watch : bool
        Whether to find functions also where they are no names: kept in a table, a closure or a default argument before,
        or those of ``torch._C``. Each call of any function of PyTorch's takes some microseconds more then.

    Returns
    -------
    context manager
        ``with torch_ops.reroute() as routes`` gives the `Routes`: ``print(routes)`` says what was rerouted, and how
        often.

    See Also
    --------
    install : The same for the whole process.

    Notes
    -----
    Names are found in all modules, ``from torch.linalg import cholesky`` included, if that ran before. Out of reach are

    - other threads than the one that enters: each has to enter itself, and backward passes on a GPU have threads of
      their own; `install` holds for all;
    - without `watch`, functions that somebody keeps elsewhere than as a name of a module;
    - what PyTorch computes without Python, and programs of torch.export and TorchScript.

    Each spelling keeps PyTorch's arguments, its kind of result, its errors (a line may follow that says more) and its
    warnings. What is different: the gradient of `torch.cholesky_solve` with respect to L is zero in the triangle that
    is not read, eigenvalues of general matrices come in order, singular vectors and eigenvectors have the signs that
    `svd` and `eigh` say, and `torch.linalg.lstsq` returns all of its outputs with each driver. Where a loss depends on
    which vectors stand for equal eigenvalues or singular values, its gradient is NaN, with a warning, and not a number:
    `spectral_function`, `invsqrtmh` or `logmh` know that of V f(w) Vᴴ at any.

    ``torch.linalg.cholesky_ex`` and the like return what failed and how, as always. In order to know it they look at
    the device, as ``torch.linalg.cholesky`` does.

    What is not rerouted costs nothing. In a program that uses torch.compile, `watch` is true: a graph has to know
    whether it was made inside. (Where the first torch.compile of a program is called inside, methods of tensors in its
    graph, such as ``A.det()``, stay rerouted outside.)

    The density of a `torch.distributions.MultivariateNormal` with a covariance matrix, and what GPyTorch and Pyro's
    `GPRegression` compute of a Cholesky factor for a likelihood, is one op inside, where the matrix has more than 192
    rows. So is a covariance matrix, of 256 points or more, of their squared exponential and Matérn kernels, GPyTorch's
    scaled or not (ν = 1/2 stays theirs), and the noise on its diagonal.

    Examples
    --------
    >>> import torch, torch_ops
    >>> A = torch.tensor([[4.0, 2.0], [2.0, 5.0]], requires_grad=True)
    >>> with torch_ops.reroute() as routes:
    ...     normal = torch.distributions.MultivariateNormal(torch.zeros(2), covariance_matrix=A)
    ...     loss = normal.log_prob(torch.ones(2))
    >>> torch.autograd.grad(loss, A)[0]
    tensor([[-0.1387,  0.0742],
            [ 0.0742, -0.1172]])
    >>> print(routes)
    1 × torch.linalg.cholesky
    1 × torch.linalg.cholesky_ex
    1 × torch.linalg.solve_triangular
    """
    if torch.compiler.is_compiling():  # the compiler knows modes, and compares them before it calls a graph again
        if is_in_mode(_Reroute):
            yield _UNCOUNTED
        else:
            with _Reroute():
                yield _UNCOUNTED
        return
    _exchange_checkpoints()
    outer, routes = _here.routes, Routes(_here.routes or _installed)
    watched = (watch or is_compiler_in_use()) and not is_in_mode(_Reroute)
    _change(+1)
    _here.routes = routes
    try:
        if watched:
            with _Reroute():
                yield routes
        else:
            yield routes
    finally:
        _here.routes = outer
        _change(-1)


def install() -> Routes:
    """Reroute PyTorch's functions to the ops of `torch_ops` in the whole process, from now on: in every thread, as
    `reroute` does inside of one.

    The line may stand anywhere: before or after the import of the libraries that are to run on our ops. Done twice, it
    is done once.

    Returns
    -------
    Routes
        What was rerouted since, and how often: ``print(torch_ops.install())`` at the end says so, too.

    See Also
    --------
    uninstall : Ends it.

    Examples
    --------
    >>> import torch, torch_ops
    >>> routes = torch_ops.install()
    >>> torch.linalg.det(torch.eye(2))
    tensor(1.)
    >>> torch_ops.uninstall()
    >>> print(routes)
    1 × torch.linalg.det
    """
    global _installed
    _exchange_checkpoints()
    with _installing:
        if _installed is None:
            _change(+1)
            _installed = Routes()
        return _installed


def uninstall() -> None:
    """End what `install` has begun. (Inside of a `reroute`, it goes on to the end of that.)"""
    global _installed
    with _installing:
        if _installed is not None:
            _installed = None
            _change(-1)


class _Here(threading.local):
    """This thread: the innermost `reroute` that it is in, and whether it is in an op at the moment."""

    routes = None
    in_op = False


_here = _Here()
_installed = None
_installing = threading.Lock()
_UNCOUNTED = Routes()


def active() -> bool:
    """Whether what this thread calls is rerouted."""
    return _here.routes is not None or _installed is not None


@assume_constant_result
def _is_stand_in_enough():
    """While dynamo is compiling: whether a stand-in is to call the op. Where there is a mode, that does it."""
    return active() and not is_in_mode(_Reroute)


class _Reroute(TorchFunctionMode):
    """Finds a function without its name."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        function = STOOD_FOR.get(func, func)
        op = ROUTES.get(function)
        if op is None or kwargs.get("out") is not None or any(kind is not torch.Tensor for kind in types):
            return function(*args, **kwargs)
        if is_dynamo_compiling():
            return op(*args, **kwargs)
        return function(*args, **kwargs) if _here.in_op else _call(function, args, kwargs)


# ---------------------------------------------------------------------------------------------------------------------
# Stand-ins


def _call(function, args, kwargs):
    if function not in _FACTORISATIONS:
        return _as_op(NAMES[function], ROUTES[function], *args, **kwargs)
    asked.to_fuse = True
    try:
        result = _as_op(NAMES[function], ROUTES[function], *args, **kwargs)
    finally:
        asked.to_fuse = False
    attach(_is_inside, _as_op)
    remember(result if isinstance(result, torch.Tensor) else result[0], args[0] if args else None)
    return result


def _as_op(name, op, *args, **kwargs):
    (_here.routes or _installed or _UNCOUNTED).add(name)
    _here.in_op = True  # an op computes with PyTorch's functions itself
    try:
        return op(*args, **kwargs)
    finally:
        _here.in_op = False


def _is_inside():
    return active() and not _here.in_op


_FACTORISATIONS = frozenset({torch.linalg.cholesky, torch.linalg.cholesky_ex})


def _stand_in(function, op, place, name):
    parameters = [p for p in inspect.signature(op).parameters.values() if p.name not in _OURS]
    by_name = frozenset(p.name for p in parameters if p.default is not p.empty or p.kind is p.KEYWORD_ONLY)
    by_position = [p.name for p in parameters if p.kind is not p.KEYWORD_ONLY]
    count = by_position.index("out") if "out" in by_position else len(by_position)
    by_name -= {"out"}

    def rerouted(*args, **kwargs):
        compiling = is_dynamo_compiling()
        if compiling:
            inside = _is_stand_in_enough()
        else:
            inside = (_here.routes is not None or _installed is not None) and not _here.in_op
        if not inside:
            return function(*args, **kwargs)
        if "out" in kwargs and kwargs["out"] is None:  # as libraries hand it on
            kwargs.pop("out")
        if len(args) <= count and (not kwargs or kwargs.keys() <= by_name):
            for x in (*args, *kwargs.values()):
                if type(x) not in _PLAIN and _overrides(x):
                    return _overridden(rerouted, function, args, kwargs)
            if compiling:
                return op(*args, **kwargs)
            try:
                return _call(function, args, kwargs)
            except TypeError:
                pass
        # PyTorch says what it does not take, and by which names its functions take tensors.
        with _Reroute():
            return function(*args, **kwargs)

    rerouted.__doc__, rerouted.__name__, rerouted.__wrapped__ = function.__doc__, function.__name__, function
    # pickled by its name, as the function is
    rerouted.__module__, _, kind = place.partition(".T")
    rerouted.__qualname__ = f"T{kind}.{name}" if kind else name
    return rerouted


#: options that PyTorch's functions lack, or some of them
_OURS = frozenset({"adjoint", "on_error"})
_PLAIN = frozenset({torch.Tensor, torch.nn.Parameter, int, float, complex, bool, str, type(None), tuple, list})


def _overrides(x):
    """Whether a value is of a class which overrides functions of PyTorch's itself."""
    return getattr(type(x), "__torch_function__", IS_NOT_OVERRIDDEN) is not IS_NOT_OVERRIDDEN


def _overridden(stand_in, function, args, kwargs):
    overriding = [x for x in (*args, *kwargs.values()) if _overrides(x)]
    try:
        if inspect.isfunction(function):  # it would hand on what has its name now
            return handle_torch_function(function, overriding, *args, **kwargs)
        return function(*args, **kwargs)
    except (NotImplementedError, TypeError):
        # A library that was imported inside has what it does instead of a function in its table under our name.
        before, _here.in_op = _here.in_op, True
        try:
            return handle_torch_function(stand_in, overriding, *args, **kwargs)
        except (NotImplementedError, TypeError):
            pass
        finally:
            _here.in_op = before
        raise


# ---------------------------------------------------------------------------------------------------------------------
# Where they stand: in the modules that have the functions, and in torch.Tensor

_lock = threading.Lock()
_inside = 0  # how many are inside, of all threads: the first one puts the stand-ins there, the last one takes them away
_found = []  # the places of modules: a reference to the module, the name, the function, the stand-in
_searched = weakref.WeakSet()
_searched_count = 0
_entered = 0
_known_before = True

#: After so many times the methods stay. A class that has changed a thousand times has no more cache in Python 3.13.
_ENOUGH = 100

_OUR_MODULES = ("torch_ops", "overbar", "array_api_compat", COMPILED)


def _change(step):
    global _inside, _entered, _known_before
    with _lock:
        if step > 0:
            attach(_is_inside, _as_op)
        before, _inside = _inside, _inside + step
        if before == 0:
            _tell_torchscript()
            _known_before = any(table.cache_info().currsize for table in tables_of_dynamo())
            _search()
            _entered += 1
        if before == 0 or _inside == 0:
            _exchange_names(step > 0)
            _exchange_methods(step > 0)
        if _inside == 0 and not _known_before:
            for table in tables_of_dynamo():  # made while others stood in the places of functions
                table.cache_clear()


@functools.cache
def _tell_torchscript():
    for function, stand_in in _STAND_INS.items():
        know_in_torchscript(stand_in, function)


def _exchange_names(enter):
    for reference, name, function, stand_in in _found:
        module = reference()
        # what somebody else has put there meanwhile stays
        if module is not None and module.__dict__.get(name) is (function if enter else stand_in):
            setattr(module, name, stand_in if enter else function)


def _exchange_methods(enter):
    own = vars(torch.Tensor)
    for name, (function, stand_in, is_inherited) in _METHODS.items():
        if enter and getattr(torch.Tensor, name) is function:
            setattr(torch.Tensor, name, stand_in)
        elif not enter and _entered <= _ENOUGH and own.get(name) is stand_in:
            if is_inherited:
                delattr(torch.Tensor, name)
            else:
                setattr(torch.Tensor, name, function)


def _search():
    """Look for the functions in the modules that have come since the last time, and in what is written at a prompt."""
    global _searched_count
    if len(sys.modules) == _searched_count:
        modules = [sys.modules["__main__"]] if "__main__" in sys.modules else []
    else:
        modules = [
            module
            for key, module in list(sys.modules.items())
            if isinstance(module, types.ModuleType)
            and (key == "__main__" or module not in _searched)
            and not key.startswith(_OUR_MODULES)
        ]
        _searched_count = len(sys.modules)
    known = {(reference(), name) for reference, name, *_ in _found}
    for module in modules:
        _searched.add(module)
        for name, value in list(vars(module).items()):
            stand_in = _BY_ID.get(id(value))
            if stand_in is None or (module, name) in known:
                continue
            # A function written in Python hands itself, by its name, to classes that override it.
            if vars(module) is not getattr(value, "__globals__", None):
                _found.append((weakref.ref(module), name, value, stand_in))


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


def _places(places):
    """The names that PyTorch has for the functions that are rerouted: pairs of a place and a name, by function."""
    found = {}
    for title, place in places.items():
        for name in dir(place):
            value = getattr(place, name)
            if callable(value) and isinstance(value, typing.Hashable) and value in ROUTES:
                found.setdefault(value, (title, name))
    return found


#: what is called instead of each function of PyTorch's, under all its names
ROUTES = _routes()
_PLACES = _places({"torch.linalg": torch.linalg, "torch": torch, "torch.Tensor": torch.Tensor})
#: what PyTorch calls each of them
NAMES = {function: ".".join(place) for function, place in _PLACES.items()}

_STAND_INS = {function: _stand_in(function, op, *_PLACES[function]) for function, op in ROUTES.items()}
_METHODS = {
    name: (function, _STAND_INS[function], name not in vars(torch.Tensor))
    for function, (place, name) in _PLACES.items()
    if place == "torch.Tensor"
}
_BY_ID = {id(function): stand_in for function, stand_in in _STAND_INS.items() if _PLACES[function][0] != "torch.Tensor"}
STOOD_FOR = {stand_in: function for function, stand_in in _STAND_INS.items()}
