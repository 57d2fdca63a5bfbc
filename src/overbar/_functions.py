"""A primitive as a function of one library's arrays, with that library's names and order of arguments.

May import `overbar._front` and `overbar._primitive`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

from overbar._differentiation import as_tuple
from overbar._front import Front
from overbar._primitive import Primitive


def as_function(
    primitive: Primitive,
    front: Front,
    signature: str | None = None,
    names: Mapping[str, str] | None = None,
    returns: Callable[..., Any] | None = None,
    takes: Callable[..., Any] | None = None,
) -> Callable[..., Any]:
    """A primitive as a function of one library's arrays, with that library's names and order of arguments.

    Parameters
    ----------
    primitive : Primitive
    front : Front
        The library; arrays of no other are taken.
    signature : str, optional
        Name and arguments as the library has them, with annotations if you like:
        "cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor". By default the primitive's.
    names : dict, optional
        What the library's arguments are called in the primitive: {"input": "A"}.
    returns : callable, optional
        Makes of the outputs what the library's function returns: another order, a named tuple. Its keyword-only
        arguments are arguments of the function, by the primitive's names, or options that the primitive does not have.
    takes : callable, optional
        Makes of the arrays, in the primitive's order, those that the primitive takes; it needs a signature. Its
        keyword-only arguments are such options, too. Behind the arrays it may return a dictionary of options of the
        primitive, which replace those that the call gave.
    """
    if not isinstance(primitive, Primitive):
        raise TypeError(f"got {primitive!r}, which is no primitive. Make it one with @overbar.primitive.")
    names = names or {}
    name, _, rest = (signature or primitive.name).partition("(")
    if rest:
        function = _with_signature(primitive, front, name, rest, names, returns, takes)
    else:

        def function(*args, **kwargs):
            outputs = primitive.apply(front, *primitive.bind(args, kwargs))
            return outputs if returns is None else returns(*as_tuple(outputs))

        function.__name__ = function.__qualname__ = name
        function.__signature__ = primitive.__signature__
    function.__module__ = inspect.currentframe().f_back.f_globals["__name__"]
    function.primitive = primitive
    return function


class Wrapped:
    """A function that a front made of a primitive, as an object that can be pickled: of a function pickle keeps the
    name, and one that is made by a call has none to be found by.

    It is pickled by its name where that finds it, and else as the call that made it. So it goes wherever its primitive
    goes: by reference where that can be imported, and by cloudpickle whole.
    """

    def __init__(self, function: Callable[..., Any], make: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        functools.update_wrapper(self, function)
        del self.__wrapped__  # the signature is in __signature__
        self.function, self._made_by = function, (make, args, kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*args, **kwargs)

    def __repr__(self):
        return f"<function {self.__qualname__} of {self.primitive!r}>"

    def __reduce__(self):
        if getattr(sys.modules.get(self.__module__), self.__qualname__, None) is self:
            return self.__qualname__
        return _made_again, (self.__module__, *self._made_by)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def __get__(self, instance: object, owner: type | None = None) -> Wrapped:
        return self  # as that of Primitive


def _made_again(module, make, args, kwargs):
    made = make(*args, **kwargs)
    made.__module__ = module
    return made


def _with_signature(primitive, front, name, rest, names, returns, takes):
    """A function ``name(rest`` that calls the primitive. It is compiled from text, as `dataclasses` and `namedtuple`
    do it: Python then binds the arguments itself, ten times faster than `inspect.Signature.bind`."""
    given = {names.get(theirs, theirs): theirs for theirs in inspect.signature(written(name, rest)).parameters}
    needed = {*primitive.arguments, *(k for k, v in primitive.defaults.items() if v is inspect.Parameter.empty)}
    before, after = _keyword_only(takes), _keyword_only(returns)
    if not needed <= given.keys() <= {*primitive.arguments, *primitive.defaults, *before, *after}:
        raise TypeError(
            f"the signature {name}({rest} does not fit {primitive.name}{primitive.__signature__}: it must have all of "
            'its arrays and none but its arguments. What is called otherwise there is told by name: input="A".'
        )
    passed = lambda extra: "".join(f", {name}={given[name]}" for name in extra if name in given)  # noqa: E731
    scope = {"primitive": primitive, "front": front, "defaults": primitive.defaults}
    arrays = ", ".join(given[ours] for ours in primitive.arguments)
    options = "".join(f", {ours!r}: {given[ours]}" for ours in primitive.defaults if ours in given)
    if primitive.variadic:
        body = f"primitive.bind(({arrays},), {{{options.removeprefix(', ')}}})"
    else:
        body = f"({arrays},), {_options(primitive, given)}"
    if takes is not None:
        body = f"taken(takes({arrays}{passed(before)}), {{**defaults{options}}})"
        scope |= {"takes": takes, "taken": _taken}
    result = f"primitive.apply(front, *({body}))" if takes or primitive.variadic else f"primitive.apply(front, {body})"
    if returns is not None:
        result = f"returns(*as_tuple({result}){passed(after)})"
        scope |= {"returns": returns, "as_tuple": as_tuple}
    return written(name, rest, f"return {result}", **scope)


def _options(primitive, given):
    """The options of a call as text: `defaults` itself where all of them are that, for there is nothing to look at."""
    there = [ours for ours in primitive.defaults if ours in given]
    if not there:
        return "defaults"
    same = " and ".join(f"{given[ours]} is defaults[{ours!r}]" for ours in there)
    return f"defaults if {same} else {{**defaults, {', '.join(f'{ours!r}: {given[ours]}' for ours in there)}}}"


def _taken(arrays, options):
    """What `takes` made of the arrays, and the options, those that it set replaced."""
    arrays = as_tuple(arrays)
    if isinstance(arrays[-1], dict):
        return arrays[:-1], options | arrays[-1]
    return arrays, options


def _keyword_only(function):
    parameters = () if function is None else inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]


def written(name, rest, body="pass", **scope):
    """The function ``name(rest: body`` of a text. Its annotations stay text, and need not be names that are known."""
    exec(f"from __future__ import annotations\ndef {name}({rest}: {body}", scope)
    return scope[name]


# -- which calls are the library's own ---------------------------------------------------------------------------------


def because(reason: str) -> Callable[[Callable[..., bool]], Callable[..., bool]]:
    """Say of a `when`, the calls of an op that are passed to the library's own function, why the others stay ours,
    although the library may be faster."""

    def marked(when):
        when.reason = reason
        return when

    return marked


#: those that select no call
NEVER: set[Callable[..., bool]] = set()


def never(reason: str) -> Callable[..., bool]:
    """A `when` that selects no call, and why."""
    when = because(reason)(lambda *args, **kwargs: False)
    NEVER.add(when)
    return when
