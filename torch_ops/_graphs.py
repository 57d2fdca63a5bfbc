"""How a call of an op goes into a graph of torch.compile's.

May import torch and `overbar`. Dynamo, the part of torch.compile that reads Python, cannot look into a Function with
a forward rule: it must be told to put the call into its graph unseen, by torch.compiler.allow_in_graph. AOTAutograd,
which comes next, traces the call forward and backward. Telling it when `torch_ops` is imported would import dynamo,
which takes 30 times as long as the rest. So it is done when dynamo comes by.

Dynamo compares what it has seen before it calls a graph again, and nothing else. So whatever makes a call another one
must be shown to it, or kept out of the graph: `in_graph` does that with the options.
"""

import builtins
import dis
import functools
import inspect
import itertools
import sys
import types
import weakref

import torch

from overbar._namespace import front
from overbar._primitive import Primitive
from torch_ops._internals import assume_constant_result, graph_break

_objects = weakref.WeakValueDictionary()  # what graphs call, by their keys
_keys = {}  # the keys, by id
_numbers = itertools.count()


def graph_key(name, op):
    """The key by which a graph of dynamo's finds an op. A str: dynamo takes it for a constant, and could make a
    variable of an int. It keeps nobody alive: whoever calls a graph has what it calls."""
    op.graph_key = _key(name, op)  # for dynamo to compare: of functions it compares the code, which all ops share
    return op.graph_key


def _key(name, called):
    key = _keys.get(id(called))
    if key is None:
        key = _keys[id(called)] = f"{name}:{next(_numbers)}"
        _objects[key] = called
        weakref.finalize(called, _keys.pop, id(called)).atexit = False
    return key


def in_graph(key, *args, **kwargs):
    """While dynamo is compiling, and reads this: the call of the op or the primitive with this key.

    Numbers in the places of arrays may be variables of the graph. Among the options they are constants of it, and so
    are functions, as far as dynamo can look at all that they are made of.
    """
    _allow()
    arrays = _arrays_of(key)
    placed, named, functions, refused = [], {}, [], ""
    for place, value in [*enumerate(args), *kwargs.items()]:
        if place not in arrays:
            if _has_function(value):
                parts = _taken_apart(_frozen(value), 0)
                if isinstance(parts, str):
                    refused = refused or f"option {place} is a function that {parts}"
                functions.append((place, parts))
                value = None
            elif place != "shape":  # sizes may be variables
                value = _constant(value)
        if isinstance(place, int):
            placed.append(value)
        else:
            named[place] = value
    if refused:
        graph_break(
            f"{key.partition(':')[0]}: {refused}. A compiled graph would take that for a constant. Compute this "
            "outside of the graph, which torch.compile does without fullgraph=True."
        )
        return _outside(key, args, kwargs)
    return call_in_graph(key, tuple(functions), *placed, **named)


def call_in_graph(key, functions, *args, **kwargs):
    """What dynamo puts into its graphs. One function for all: dynamo must find it by its name in this module."""
    args = list(args)
    for place, parts in functions:
        (args if isinstance(place, int) else kwargs)[place] = _put_together(parts)
    return _call(key, args, kwargs)


def _call(key, args, kwargs):
    called = _objects[key]
    if isinstance(called, Primitive):  # numbers beside tensors may be symbols
        return called.apply(front(*[x for x in args if isinstance(x, torch.Tensor)]), args, kwargs)
    return called(*args, **kwargs)


_outside = None  # `_call`, where dynamo stops


def _constant(value):
    """A number as a constant of the graph, which dynamo compares. Bounds of slices are sizes, and may be variables."""
    if isinstance(value, (int, float)):
        return torch.fx.experimental.symbolic_shapes.guard_scalar(value)
    if type(value) is list:
        return [_constant(x) for x in value]
    if type(value) is tuple:
        return tuple([_constant(x) for x in value])
    return value


# ---------------------------------------------------------------------------------------------------------------------
# Functions among the options. Of one that it does not call, dynamo compares the code only: two closures over different
# numbers are the same to it, and so is one that reads a global which has changed. Here the function is taken apart,
# under dynamo's eyes, into constants and keys. These go into the graph, and call_in_graph makes a function of them.

_LIBRARIES = ("torch", "numpy", "math", "cmath", "operator", "builtins", "overbar", "torch_ops")


def _taken_apart(value, depth):
    """A function, or what it holds, as tuples of constants; a str that says what stands against it."""
    if value is None or isinstance(value, (str, bool, complex, torch.dtype, torch.device)):
        return ("constant", value)
    if isinstance(value, (int, float)):
        return ("constant", _constant(value))
    if depth > 8:
        return "calls itself"
    if type(value) is tuple:
        return _several("tuple", value, depth)
    if isinstance(value, types.ModuleType):
        name = value.__name__
        return ("module", name) if _of_library(name) else f"reads from the module {name}"
    if isinstance(value, Primitive):
        return ("object", key_of(value))
    if isinstance(value, functools.partial):
        return _several("partial", (value.func, value.args, *value.keywords.items()), depth)
    if isinstance(value, types.FunctionType):
        return _function_taken_apart(value, depth)
    if isinstance(value, types.BuiltinFunctionType) and not _is_bound(value):
        return ("object", key_of(value))
    return f"holds a {type(value).__name__}"


def _frozen(value):
    """A table of functions as tuples. (Dynamo compares what an option holds; what a function holds, it does not.)"""
    return tuple([_frozen(x) for x in value]) if type(value) in (tuple, list) else value


def _has_function(value):
    if type(value) not in (tuple, list):
        return callable(value)
    return any(_has_function(part) for part in value)


def _several(kind, values, depth):
    parts = []
    for value in values:
        found = _taken_apart(value, depth + 1)
        if isinstance(found, str):
            return found
        parts.append(found)
    return (kind, tuple(parts))


def _function_taken_apart(f, depth):
    if hasattr(f, "graph_key"):  # one of our ops
        return ("object", f.graph_key)
    try:
        closure = f.__closure__
    except AttributeError:  # made within what is compiled, where PyTorch 2.13 does not let us look
        return _made_inside(f) if _has_no_surroundings(f.__code__) else "is a closure made within what is compiled"
    module = None if hasattr(f, "__wrapped__") else f.__module__
    if _of_library(module) and closure is None and "<locals>" not in f.__code__.co_qualname:
        return ("object", key_of(f))
    code = f.__code__
    if reason := _changes(code):
        return reason
    found = [(name, f.__globals__[name]) for name in _others_read(code, module).split() if name in f.__globals__]
    held = [cell.cell_contents for cell in closure or ()]
    defaults, keywords = f.__defaults__, f.__kwdefaults__
    keywords = None if keywords is None else tuple(keywords.items())
    parts = (key_of(code), _modules_read(code, module), tuple(found), tuple(held), defaults, keywords)
    return _several("function", parts, depth)


def _put_together(parts):
    """The function, or what it holds, out of what `_taken_apart` made of it."""
    kind, content = parts
    if kind == "constant":
        return content
    if kind == "module":
        return sys.modules[content]
    if kind == "object":
        return _objects[content]
    values = tuple(map(_put_together, content))
    if kind == "tuple":
        return values
    if kind == "partial":
        f, args, *keywords = values
        return functools.partial(f, *args, **dict(keywords))
    key, modules, found, held, defaults, keywords = values
    code = _objects[key]
    modules = {name: sys.modules[module] for name, _, module in (pair.partition("=") for pair in modules.split())}
    scope = {"__builtins__": builtins, **modules, **dict(found)}
    f = types.FunctionType(code, scope, code.co_name, defaults, tuple(map(types.CellType, held)))
    f.__kwdefaults__ = None if keywords is None else dict(keywords)
    return f


# ---------------------------------------------------------------------------------------------------------------------
# What dynamo, while it traces, calls itself, and takes the result for a constant.


def _allow():
    global _outside
    torch.compiler.allow_in_graph(call_in_graph)
    if _outside is None:
        _outside = torch.compiler.disable(_call)


def key_of(called):
    return _key(called.co_name if isinstance(called, types.CodeType) else called.__name__, called)


def _arrays_of(key):
    """The places of the arrays among the arguments of what has this key: numbers and names."""
    called = _objects[key]
    if isinstance(called, Primitive):
        return tuple(range(len(called.arguments)))
    names = getattr(called, "names", {})
    given = inspect.signature(called).parameters
    places = [(i, name) for i, name in enumerate(given) if names.get(name, name) in called.primitive.arguments]
    return ("input", "input2", *itertools.chain.from_iterable(places))


def _of_library(module):
    return module is not None and module.partition(".")[0] in _LIBRARIES


def _is_bound(builtin):
    """Whether a function written in C is the method of an object."""
    return not isinstance(builtin.__self__, (type, types.ModuleType, types.NoneType))


def _changes(code):
    """What a function does to what is around it, but for reading; an empty str where it does nothing."""
    for step in _steps(code):
        if step.opname in ("IMPORT_NAME", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"):
            return f"imports or changes {step.argval}"
        if step.opname in ("STORE_DEREF", "DELETE_DEREF") and step.argval in code.co_freevars:
            return f"changes {step.argval}"
    return ""


def _steps(code):
    yield from dis.get_instructions(code)
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            yield from _steps(inner)


def _modules_read(code, module):
    """The modules of libraries, which stay what they are, among the globals that a function reads: "np=numpy ..."."""
    modules = _library_modules(code, module)
    return " ".join(f"{name}={value.__name__}" for name, value in modules.items())


def _others_read(code, module):
    """The other globals that a function reads, but for Python's own."""
    names = dict.fromkeys(step.argval for step in _steps(code) if step.opname == "LOAD_GLOBAL")
    modules, known = _library_modules(code, module), _globals_of(module)
    return " ".join(
        name for name in names if name not in modules and (name in known or not known or not hasattr(builtins, name))
    )


def _library_modules(code, module):
    known = _globals_of(module)
    return {
        step.argval: known[step.argval]
        for step in _steps(code)
        if step.opname == "LOAD_GLOBAL"
        and isinstance(known.get(step.argval), types.ModuleType)
        and _of_library(known[step.argval].__name__)
    }


def _globals_of(module):
    return vars(sys.modules[module]) if module in sys.modules else {}


def _has_no_surroundings(code):
    return not code.co_freevars and code.co_argcount + code.co_kwonlyargcount <= 1


def _made_inside(f):
    """`_taken_apart` of a function without surroundings that dynamo has just made, and does not let us look at."""
    code, module = f.__code__, f.__module__
    if reason := _changes(code):
        return reason
    if others := _others_read(code, module):
        return f"is made within what is compiled, and reads {others}"
    return _several(
        "function", (key_of(code), _modules_read(code, module), (), (), f.__defaults__, f.__kwdefaults__), 0
    )


for _called_by_dynamo in (_allow, key_of, _arrays_of, _of_library, _is_bound):
    assume_constant_result(_called_by_dynamo)
for _called_by_dynamo in (_changes, _modules_read, _others_read, _has_no_surroundings, _made_inside):
    assume_constant_result(_called_by_dynamo)
