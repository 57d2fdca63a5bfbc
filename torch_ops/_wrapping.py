"""When an op of PyTorch's own does the work: the functions of `torch_ops._ops` are made here.

May import torch, `overbar` and `torch_ops._front`. Where PyTorch has the function, its derivative is right, and it is
not slower, an op *is* PyTorch's function: a `torch.autograd.Function` costs some 20 µs for forward and backward, which
no small matrix earns back. Where ours is faster, or theirs is wrong, the call goes to the primitive. What a user sees
does not depend on it: names, defaults and exceptions are PyTorch's, and half precision works in both.
"""

import inspect
import typing
from collections.abc import Callable, Sequence

import torch
from torch.compiler import is_dynamo_compiling
from torch.overrides import handle_torch_function, has_torch_function

from overbar._docstrings import PYTORCH, describe, full_name
from overbar._functions import NEVER, Wrapped, as_function, written
from overbar._primitive import Primitive
from torch_ops._examples import EXAMPLES
from torch_ops._front import TORCH, DtypeError, ShapeError
from torch_ops._graphs import graph_key, in_graph
from torch_ops._internals import forward_mode
from torch_ops._watching import watched

REAL = frozenset({torch.float32, torch.float64})
FULL = REAL | {torch.complex64, torch.complex128}
_TYPES = {"torch": torch, "Tensor": torch.Tensor, "Number": int | float | complex, "Any": typing.Any}
_TYPES |= {"Sequence": Sequence}


def wrap(
    primitive: Primitive,
    signature: str | None = None,
    *,
    builtin: Callable[..., typing.Any] | None = None,
    corrected_builtin: Callable[..., typing.Any] | None = None,
    use_builtin_when: Callable[..., bool] | None = None,
    unwatched: bool | Callable[..., typing.Any] = True,
    no_result: Callable[..., bool] | None = None,
    own: tuple[str, ...] = (),
    returns: Callable[..., typing.Any] | None = None,
    takes: Callable[..., typing.Any] | None = None,
    **names: str,
) -> Callable[..., typing.Any]:
    """Make a primitive, one of overbar's or your own, a function of PyTorch tensors.

    The function is differentiable in reverse and forward mode, to any order, under torch.func, and goes into a compiled
    graph whole.

    Parameters
    ----------
    primitive : overbar.Primitive
    signature : str, optional
        Name and arguments in another order or with other names, with annotations if you like:
        "cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor".
    builtin : callable, optional
        PyTorch's own function for it, which takes the same arguments. It gets every call, or those that
        `use_builtin_when` selects and those of which nobody takes a derivative.
    corrected_builtin : callable, optional
        What stands in for `builtin` where somebody takes a derivative, because that of `builtin` is wrong; everywhere,
        if all calls are passed on.
    use_builtin_when : callable, optional
        Of the call's arguments: whether the call is passed to PyTorch.
    unwatched : bool or callable
        Whether calls of which nobody takes a derivative are passed on, too, or of the call's arguments whether this one
        is, or what stands in for `builtin` there. Where ours and PyTorch's choose other signs or another order, they
        must not be: a result does not depend on who watches.
    no_result : callable, optional
        Of what PyTorch's function returned: whether that is no result, though PyTorch did not raise. Then the primitive
        is called, and says so.
    own : tuple of str
        The options that `builtin` does not have: a call that gives one of them is never passed on.
    returns : callable, optional
        Makes of the outputs what PyTorch's function returns: a named tuple of torch.return_types, or what a function of
        them gives. That function's docstring says so, and its keyword-only arguments are options of the op.
    takes : callable, optional
        Makes of the op's tensors those that the primitive takes; its keyword-only arguments are options of the op, too.
        Behind the tensors it may return a dictionary of options for the primitive.
    **names : str
        What the arguments in `signature` are called in the primitive: ``input="A"``.

    Returns
    -------
    callable
        Takes tensors (and Python numbers beside them); raises TypeError for anything else. It can be pickled where the
        primitive and the other arguments can. Half precision (float16,
        bfloat16) is computed in float32 and returned in the dtype of the input; under autocast it stays in float32,
        as with torch.linalg.

    Examples
    --------
    >>> import torch, overbar, torch_ops
    >>> @overbar.elementwise
    ... def cube(A):
    ...     return A**3
    >>> @cube.derivative
    ... def _(C, A):
    ...     return 3 * A**2
    >>> torch.func.grad(torch_ops.wrap(cube))(torch.tensor(2.0))
    tensor(12.)
    """
    if builtin is None:
        op = _rule_op(as_function(primitive, TORCH, signature, names, _result(returns), takes))
    elif use_builtin_when is None:
        op = _theirs(builtin, corrected_builtin or builtin)
    else:
        rule_op = as_function(primitive, TORCH, signature, names, _result(returns), takes)
        op = _either(
            rule_op, builtin, corrected_builtin or builtin, use_builtin_when, unwatched, no_result, frozenset(own)
        )
        if unwatched or use_builtin_when not in NEVER:
            op.rule_op = rule_op  # the op where nothing is passed on: small matrices never get there, but tests have to
    op.primitive, op.names, op.builtin, op.corrected_builtin, op.use_builtin_when = (
        primitive,
        names,
        builtin,
        corrected_builtin,
        use_builtin_when,
    )
    _describe(op, signature, returns)
    if op.__module__ == "torch_ops._ops":
        return op  # pickled by its name
    given = {
        "builtin": builtin,
        "corrected_builtin": corrected_builtin,
        "use_builtin_when": use_builtin_when,
        "unwatched": unwatched,
        "no_result": no_result,
    }
    return Wrapped(op, wrap, primitive, signature, **given, returns=returns, takes=takes, **names)


def _result(returns):
    """What makes the result of the outputs. The named tuples of torch.return_types want theirs as one argument."""
    return (lambda *outputs: returns(outputs)) if isinstance(returns, type) else returns


def _rule_op(rule_op):
    def op(*args, **kwargs):
        if is_dynamo_compiling():
            return in_graph(key, *args, **kwargs)
        if "out" in kwargs:
            kwargs = without_out(op, kwargs)
        if has_torch_function((*args, *kwargs.values())):
            return handle_torch_function(op, (*args, *kwargs.values()), *args, **kwargs)
        return rule_op(*args, **kwargs)

    key = graph_key(rule_op.__name__, op)
    return op


def _theirs(builtin, corrected_builtin):
    def op(*args, **kwargs):
        if "out" in kwargs:
            kwargs = without_out(op, kwargs)
        return corrected_builtin(*args, **kwargs)

    graph_key(builtin.__name__, op)
    return op


def _either(rule_op, builtin, corrected_builtin, use_builtin_when, unwatched, no_result, own):
    # Tensors may be given by name: by that of the signature, which is PyTorch's documentation's, and by that which
    # PyTorch's functions really take. (torch.linalg.cholesky takes no A.)
    parameters = inspect.signature(rule_op).parameters.values()
    arrays = [p.name for p in parameters if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    places = dict(zip(("input", "input2"), arrays, strict=False)) | {name: name for name in arrays}
    if "B" in arrays:
        places["b"] = "B"
    count, fewest = len(arrays), _fewest_dimensions(rule_op.primitive)

    def op(*args, **kwargs):
        if is_dynamo_compiling():
            return in_graph(key, *args, **kwargs)
        given = args
        if kwargs:
            if not places.keys().isdisjoint(kwargs):
                args, kwargs = _by_position(arrays, places, args, kwargs)
            if "out" in kwargs:
                kwargs = without_out(op, kwargs)
            given = (*args, *kwargs.values())
        if has_torch_function(given):
            return handle_torch_function(op, given, *args, **kwargs)
        chosen = None
        if kwargs and not own.isdisjoint(kwargs):
            return rule_op(*args, **kwargs)
        fit = len(args) >= count
        for x in args[:count]:
            fit = fit and isinstance(x, torch.Tensor) and x.ndim >= fewest
        if fit:
            try:
                selected = use_builtin_when(*args, **kwargs)
            except TypeError:
                selected = _fails(rule_op, args, kwargs)
            if selected:
                chosen = corrected_builtin
            elif unwatched and not watched(given):
                answer = unwatched if unwatched is True else unwatched(*args, **kwargs)
                if answer and all(x.dtype in FULL for x in given if isinstance(x, torch.Tensor)):
                    chosen = builtin if answer is True else answer
        refused = None
        if chosen is not None:
            try:
                found = chosen(*args, **kwargs)
            except (RuntimeError, IndexError) as error:
                if not error_of_the_call(error):
                    raise
                refused = error
            else:
                if no_result is None or not no_result(found):
                    return found
        # Where PyTorch refuses, ours says more, or takes what PyTorch does not: a vector instead of a matrix.
        try:
            result = rule_op(*args, **kwargs)
        except (ShapeError, DtypeError, TypeError, ValueError) as error:
            explanation = error
        else:
            if isinstance(refused, torch.linalg.LinAlgError):
                raise refused  # for the numbers in a matrix, where ours would have returned NaN
            return result
        try:
            result = builtin(*args, **kwargs)
        except (RuntimeError, TypeError, ValueError, IndexError) as error:
            if not error_of_the_call(error):
                raise
            raise type(error)(f"{error}\n{explanation}") from None  # PyTorch's own error
        if not isinstance(explanation, (ShapeError, DtypeError)):
            raise explanation
        # what PyTorch takes and we do not: integers, for instance
        return result if corrected_builtin is builtin else corrected_builtin(*args, **kwargs)

    key = graph_key(rule_op.__name__, op)
    return op


#: What PyTorch raises where a call does not fit its function, or for the numbers in a matrix. Its subclasses are of
#: another kind: out of memory, a failure of the device, what a compiler's tensors cannot do.
_OF_THE_CALL = frozenset(
    {RuntimeError, torch.linalg.LinAlgError, NotImplementedError, TypeError, ValueError, IndexError}
)


def error_of_the_call(error):
    """Whether an error is about the call, so that another function may say more about it, or take it."""
    return type(error) in _OF_THE_CALL and "allocate memory" not in str(error)  # the host's has no class of its own


def _fewest_dimensions(primitive):
    """How many dimensions each of the arrays of a call that may be passed on has at least."""
    optional = primitive.signature.optional
    cores = () if primitive.signature.whole else primitive.signature.inputs
    return min((len([dim for dim in core if dim not in optional]) for core in cores), default=0)


def _fails(rule_op, args, kwargs):
    """Raise again what `use_builtin_when` raised, unless it was not called with the arguments of the function: the
    primitive says so."""
    try:
        inspect.signature(rule_op).bind(*args, **kwargs)
    except TypeError:
        return False
    raise


def _by_position(arrays, places, args, kwargs):
    """The arguments of a call with its tensors by position, as ours and PyTorch's function both take them."""
    given = {places.get(name, name): value for name, value in kwargs.items()}
    if len(given) < len(kwargs):
        return args, kwargs  # one of them twice, under two names: the functions say so
    args = list(args)
    for name in arrays[len(args) :]:
        if name not in given:
            break
        args.append(given.pop(name))
    return args, given


def without_out(op, kwargs):
    kwargs = dict(kwargs)
    if kwargs.pop("out") is not None:
        raise TypeError(
            f"{op.__name__}: out= is not taken, because a result written into a given tensor has no derivative. Leave "
            "it out and use what the function returns, or write out.copy_(...) of it."
        )
    return kwargs


def small(A, size, dtypes):
    """Whether matrices are small enough for PyTorch's own derivative, of one of the dtypes, and not in forward mode.

    In forward mode torch.linalg.cholesky takes a tangent that is not symmetric as it is: a Jacobian, or a Hessian of
    forward over reverse mode, is not the one that reverse mode gives.
    """
    if A.dtype not in dtypes or forward_mode():
        return False
    return torch.compiler.is_exporting() or A.size(-1) <= size  # an exported graph has one path for all sizes


def _describe(op, signature, returns):
    """Give an op its name, signature and docstring."""
    primitive, builtin = op.primitive, op.builtin
    name, _, rest = (signature or primitive.name).partition("(")
    shown = primitive.__signature__
    op.__signature__ = shown
    if rest:
        function = written(name, rest)
        shown = inspect.signature(function)
        op.__signature__ = inspect.signature(function, globals=_TYPES, eval_str=True)
    op.__name__ = op.__qualname__ = name
    op.__module__ = inspect.currentframe().f_back.f_back.f_globals.get("__name__")
    op.__doc__ = describe(
        primitive,
        shown,
        PYTORCH,
        name=name,
        names=op.names,
        builtin=full_name(builtin, {"torch.linalg": torch.linalg, "torch": torch}),
        always=builtin is not None and op.use_builtin_when is None,
        returned=_returned(returns),
        example=EXAMPLES.get(name, "") if op.__module__ == "torch_ops._ops" else "",
    )


def _returned(returns):
    """The sentence that says how the outputs are returned."""
    if isinstance(returns, type):
        fields = [name for name, field in vars(returns).items() if type(field).__name__ == "member_descriptor"]
        return f"A named tuple ({', '.join(fields)})."
    return inspect.getdoc(returns) if returns is not None else ""
