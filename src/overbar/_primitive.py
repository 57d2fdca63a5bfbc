"""The one concept: a function of arrays with its forward and its reverse rule.

May import `overbar._namespace`, `_signature`, `_documented`, and `_call` and `_differentiation`, which say what happens
when a primitive is called and when a front asks for its derivatives. A primitive is written once, in the words of
`overbar._words`:

    @primitive("(m?,n),(n,p?)->(m?,p?)")
    def matmul(A, B):
        return A @ B

    @matmul.vjp
    def _(C_bar, C, A, B):
        return lambda: C_bar @ mH(B), lambda: mH(A) @ C_bar

    @matmul.jvp
    def _(C, A, B):
        return lambda A_dot: A_dot @ B, lambda B_dot: A @ B_dot

Everything else (broadcasting, validation, absent cotangents, what each framework wants) is done there and in the
fronts, for all primitives alike.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from overbar._call import foreign, is_foreign
from overbar._differentiation import RULES, Differentiated
from overbar._namespace import front, namespace
from overbar._signature import Signature

__all__ = ["Primitive", "elementwise", "once", "primitive"]


_NUMBERS = (int, float, complex)

_Function = TypeVar("_Function", bound=Callable[..., Any])


_Result = TypeVar("_Result")


class _Documentation:
    """`__doc__` of a primitive: what its author wrote and what the signature says, put together when somebody looks."""

    def __init__(self, of_class):
        self.of_class = of_class

    def __get__(self, primitive, owner):
        if primitive is None:
            return self.of_class
        from overbar._documented import completed  # most programs never look

        return completed(primitive, vars(primitive).get("__doc__"))

    def __set__(self, primitive, doc):
        vars(primitive)["__doc__"] = doc


class Primitive(Differentiated):
    """A matrix function, its rules, and what `verify` needs to test them. Made by the decorator `primitive`.

    Calling it computes the function: on NumPy arrays by NumPy, on a framework's tensors as an op of that framework
    whose derivative is the rule. Positional arguments are differentiable arrays, keyword-only ones are static options
    (which may also be given by position, after the arrays).

    Attributes
    ----------
    name : str
    signature : Signature
        The core dimensions. Dimensions in front of them are batch dimensions and broadcast.
    arguments : tuple of str
        The names of the array arguments; the one name of ``*arrays`` where their number is free.
    defaults : dict
        The static options; `inspect.Parameter.empty` stands where an option must be given.
    """

    __doc__ = _Documentation(__doc__)

    def __init__(
        self,
        function: Callable[..., Any],
        signature: str,
        intermediates: int = 0,
        hermitian: Sequence[str] = (),
        integer: Sequence[str] = (),
        residuals: int = 0,
        absent: Mapping[str, Callable[..., Any]] | None = None,
        real: Sequence[str] = (),
        steps: Sequence[str] = (),
    ) -> None:
        function = _plain(function)
        functools.update_wrapper(self, function)
        del self.__wrapped__  # its signature is ours; the function itself is self.function
        self.function = function
        function.__qualname__ = f"{function.__qualname__}.function"  # where pickle finds it: the primitive has its name
        self.name = function.__name__
        self.signature = Signature(signature)
        parameters = inspect.signature(function).parameters.values()
        if any(p.kind is p.VAR_KEYWORD for p in parameters):
            raise TypeError(
                f"{self.name}: the function takes any keyword, by `**`. Name its options, after a `*`: they are "
                "checked, and its rules get all of them."
            )
        self.variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        self.arguments = tuple(p.name for p in parameters if p.kind is not p.KEYWORD_ONLY)
        self.defaults = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        required = inspect.Parameter.empty in self.defaults.values()
        #: the options that are True or False
        self.switches = tuple(
            p.name
            for p in parameters
            if p.kind is p.KEYWORD_ONLY and (isinstance(p.default, bool) or p.annotation in (bool, "bool"))
        )
        #: and those that are whole numbers
        self.counts = tuple(
            name for name, value in self.defaults.items() if type(value) is int and name != "batch_ndim"
        )
        #: and those that are words
        self.words = tuple(name for name, value in self.defaults.items() if isinstance(value, str))
        #: how many positional arguments, and nothing else, make a complete call
        self._complete = None if self.variadic or required else len(self.arguments)
        #: for each array that may be left out, what makes the one that stands for it
        self.absent = dict(absent or {})
        self.whole = whole = self.signature.whole
        if whole and "batch_ndim" not in self.defaults:
            raise TypeError(f"{self.name}: a function of whole arrays ('...') takes the keyword batch_ndim=0")
        if not whole and len(self.signature.inputs) != len(self.arguments):
            raise TypeError(
                f"{self.name}: signature '{signature}' has {len(self.signature.inputs)} inputs, but the function takes "
                f"the arrays {', '.join(self.arguments)}. Static options go after a `*`."
            )
        with_default = {p.name for p in parameters if p.kind is not p.KEYWORD_ONLY and p.default is None}
        if with_default != self.absent.keys():
            raise TypeError(
                f"{self.name}: an array that may be left out has the default None, and an entry in absent= that makes "
                f"the array which stands for it then. Defaults: {sorted(with_default)}; absent: {sorted(self.absent)}."
            )
        named = {"hermitian": hermitian, "integer": integer, "real": real, "steps": steps}
        for what, names in named.items():
            there = self.defaults if what == "steps" else self.arguments
            unknown = [name for name in names if name not in there]
            if unknown:
                kind = "option" if what == "steps" else "array"
                raise TypeError(
                    f"{self.name}: {what}= names {', '.join(map(repr, unknown))}, and the function has no such {kind}. "
                    f"Its {kind}s: {', '.join(there) or 'none'}."
                )
        self.outputs = len(self.signature.outputs)
        #: those that have bars and tangents, and those that a caller sees: the first ones
        self.differentiable = self.outputs - residuals
        self.public = self.differentiable - intermediates
        #: whether the factors of a matrix are among its arrays or outputs, (n,r) and (s), in the form that the library
        #: has which computed them (`Words.solve_by_factors`): another one would read them wrongly
        self.of_one_library = ("s",) in (*self.signature.inputs, *self.signature.outputs)
        if not 0 < self.public <= self.differentiable <= self.outputs:
            raise TypeError(
                f"{self.name}: of the {self.outputs} outputs of '{signature}', {intermediates} are intermediates and "
                f"{residuals} residuals. At least one must be left that a caller sees."
            )
        if set(self.arguments) == set(integer):
            raise TypeError(
                f"{self.name}: integer= names all arrays, and then there is nothing to differentiate by. A function of "
                "integers alone is no primitive: call it as it is."
            )
        self.hermitian, self.integer, self.real = tuple(hermitian), tuple(integer), tuple(real)
        self.steps = tuple(steps)
        self.__signature__ = inspect.Signature(
            [
                p.replace(kind=p.POSITIONAL_OR_KEYWORD) if p.kind is p.VAR_POSITIONAL else p
                for p in parameters
                if p.name != "batch_ndim" or not whole
            ]
        )
        self.vjp_rule = self.jvp_rule = self.sampler = self.exact = self.spelling = None
        self._fits = {}  # `Fit` by `Front.key`
        #: what fronts keep for this primitive
        self.recorded = {}

    def __repr__(self):
        return f"<primitive {self.name} {self.dimensions}>"

    def __reduce__(self):
        if self.__module__ != "__main__" and "<locals>" not in self.__qualname__:
            return self.__qualname__  # pickled by name, as functions are
        # One of a script's or a notebook's own, which another process may not have: by its parts. (The functions among
        # them have names by which pickle finds them where the primitive is, and cloudpickle takes them whole.)
        state = {**self.__dict__, "_fits": {}, "recorded": {}}
        return _rebuilt, (self.__module__, self.__qualname__, state)

    def __copy__(self):
        copy = object.__new__(type(self))
        copy.__dict__.update(self.__dict__, _fits={}, recorded={})
        return copy

    def __get__(self, instance: object, owner: type | None = None) -> Primitive:
        # A primitive kept in a class is not a method of it. Having __get__ also makes help() show a primitive as the
        # function that it is.
        return self

    # -- the entry: what an author writes ---------------------------------------------------------------------------

    def vjp(self, rule: _Function | None = None, *, replace: bool = False) -> Any:
        """Register the reverse rule ``rule(C_bar, C, *arrays, **options)``.

        It returns, for each array, a function of no arguments that computes its bar: ``lambda: C_bar @ mH(B)``, or None
        for one that has no bar. Only the bars that somebody asked for are called for; a bar may be left in the
        broadcast shape, and complex where the input is real (its real part is taken). With several outputs, `C_bar` and
        `C` are tuples, and an absent cotangent is None (never all of them). Residuals are in `C` alone.

        A primitive has one reverse rule: ``@p.vjp(replace=True)`` replaces it, but not in programs that are there
        already, of torch.compile, tf.function or torch.export: these hold the rule that they were made with. Call
        torch.compiler.reset(), or make a new tf.function. (To differentiate, call ``overbar.vjp(p, A)``.)
        """
        return self._register("vjp", rule, replace)

    def jvp(self, rule: _Function | None = None, *, replace: bool = False) -> Any:
        """Register the forward rule ``rule(C, *arrays, **options)``.

        It returns, for each array, a function of that array's tangent: the terms of Ċ = Σ ∂C[Ȧ], of which only those
        with a tangent are computed and added (None is a term that vanishes). Where the terms share work it may return
        one function of all the tangents instead, and gets zeros for absent ones. With several outputs each function
        returns a tuple, in which None is a tangent that vanishes; an output of integers has no other, and a
        residual is not in it. ``@p.jvp(replace=True)`` replaces one that is there, as `vjp` has it.
        """
        return self._register("jvp", rule, replace)

    def _register(self, kind, rule, replace):
        if rule is None:
            return functools.partial(self._register, kind, replace=replace)
        where = f"{kind}_rule"
        if not callable(rule):
            raise TypeError(
                f"{self.name}.{kind} registers a rule, a function, and got a {type(rule).__name__}. To differentiate "
                f"call overbar.{kind}({self.name}, ...)."
            )
        if getattr(self, where) is not None and not replace:
            raise ValueError(
                f"{self.name} has a {RULES[kind]} already. To replace it, for every caller and in every "
                f"framework, say @{self.name}.{kind}(replace=True). (Not in programs that are compiled or traced "
                "already: compile these anew, after torch.compiler.reset() in PyTorch.)"
            )
        self._takes_all(kind, rule)
        setattr(self, where, rule)
        self._name_part(rule, where)
        return rule

    def _takes_all(self, kind, rule):
        """Refuse a rule that cannot be called, as far as its code says so at a look (and `inspect` would take long)."""
        if not isinstance(rule, types.FunctionType) or self.variadic or rule.__code__.co_flags & inspect.CO_VARARGS:
            return
        code, given = rule.__code__, [*(["C_bar"] if kind == "vjp" else []), "C", *self.arguments]
        count = code.co_argcount
        names, others = code.co_varnames[:count], code.co_varnames[count : count + code.co_kwonlyargcount]
        needed = names[len(given) : count - len(rule.__defaults__ or ())]
        told = f"Its call is rule({', '.join([*given, *[f'{name}=...' for name in self.defaults]])})."
        what = f"{self.name}: the {RULES[kind]}, registered by @{self.name}.{kind}, takes"
        if count < len(given) or not self.defaults.keys() >= set(needed):
            raise TypeError(f"{what} ({', '.join(names)}), and gets {len(given)} arguments by position. {told}")
        known = {*names[len(given) :], *others}
        missing = [name for name in self.defaults if name not in known]
        if missing and not code.co_flags & inspect.CO_VARKEYWORDS:
            raise TypeError(f"{what} no option {missing[0]}, and gets all options. {told}")

    def _name_part(self, function, attribute):
        """Give a function that is a part of the primitive the name by which it is found there: in tracebacks, in
        profiles, and by pickle."""
        if isinstance(function, types.FunctionType) and function.__name__ in ("_", "<lambda>"):
            function.__name__ = f"{self.name}.{attribute}"
            function.__qualname__ = f"{self.__qualname__}.{attribute}"
            function.__module__ = self.__module__
            # tracebacks and profiles go by the code, and would say `_` of each rule
            function.__code__ = function.__code__.replace(
                co_name=f"{self.name}_{attribute}", co_qualname=function.__qualname__
            )

    def derivative(self, rule: _Function | None = None, *, replace: bool = False) -> Any:
        """Register both rules of an elementwise function C = g(A) from its derivative: ``rule(C, A)`` is g′(A)."""
        if rule is None:
            return functools.partial(self.derivative, replace=replace)
        if not callable(rule):
            raise TypeError(f"{self.name}.derivative registers a function, g′, and got a {type(rule).__name__}.")

        name = self.name  # not the primitive, which would then hold itself

        def slope(C, A, options):
            found = rule(C, A, **options)
            # a constant may be a number, or in sweeps over NumPy's arrays one of these
            if type(found) is type(A) or isinstance(found, _NUMBERS) or front(A).swept:
                return found
            if is_foreign(found, A):
                raise foreign(name, found, A, "its derivative gave {} for argument A,")
            return found

        def times(x, g, C):
            # A real array may have a complex slope, and a complex one a real one: not every library promotes
            xp = namespace(C)
            if xp.is_complex(C):
                x, g = xp.cast(x, C), g if isinstance(g, _NUMBERS) else xp.cast(g, C)
            return x * g

        @self.vjp(replace=replace)
        def _(C_bar, C, A, **options):
            def A_bar():
                g = slope(C, A, options)
                return times(C_bar, g.conjugate() if isinstance(g, _NUMBERS) else namespace(A).conj(g), C)

            return (A_bar,)

        @self.jvp(replace=replace)
        def _(C, A, **options):
            return (lambda A_dot: times(A_dot, slope(C, A, options), C),)

        return rule

    def samples(self, draw: _Function) -> _Function:
        """Register how valid inputs are drawn: a generator ``draw(case)`` which yields ``case(arrays..., **options)``
        for each branch of the rules. `overbar.verify.Draw` describes `case`."""
        self.sampler = draw
        self._name_part(draw, "sampler")
        return draw

    def reference(self, function: _Function) -> _Function:
        """Register an independent definition in exact arithmetic: ``function(mp, *arrays, **options)`` on object arrays
        of mpmath numbers without batch dimensions. `overbar.verify.Exact` describes `mp`."""
        self.exact = function
        self._name_part(function, "exact")
        return function

    def also(self, spelling: _Function) -> _Function:
        """Register another way to write a call, that of SciPy's function of this name: ``spelling(*args, **kwargs)``
        gets the arguments of a call and returns, as a tuple and a dict, those that the primitive takes."""
        self.spelling = spelling
        self._name_part(spelling, "spelling")
        return spelling


def _plain(function):
    """The function itself; one that calls it, with its name and signature, where it is callable but cannot be given
    names: a bound method, an object, a `functools.partial`."""
    if isinstance(function, types.FunctionType):
        return function
    if isinstance(function, Primitive):
        raise TypeError(f"{function.name} is a primitive already. Another one of it has a function that calls it.")
    if not callable(function):
        raise TypeError(f"a primitive is made of a function of arrays, and got a {type(function).__name__}.")
    inner = function
    while isinstance(inner, functools.partial):
        inner = inner.func
    name = getattr(inner, "__name__", type(inner).__name__)
    try:
        signature = inspect.signature(function)
    except ValueError:  # of some that are written in C
        raise TypeError(f"{name} does not say which arguments it has. Wrap it: def f(A): return {name}(A).") from None

    def call(*arrays, **options):
        return function(*arrays, **options)

    call.__name__, call.__qualname__ = name, f"{name}.<locals>.{name}"  # nothing is found by this name
    call.__doc__, call.__signature__ = inspect.getdoc(inner), signature
    call.__module__ = getattr(inner, "__module__", None) or type(inner).__module__
    return call


def _rebuilt(module, name, state):
    """The primitive that was pickled: the one of this name, where there is one, or another of the same parts."""
    found = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    if isinstance(found, Primitive):
        return found
    copy = object.__new__(Primitive)
    copy.__dict__.update(state)
    return copy


def primitive(
    signature: str,
    *,
    intermediates: int = 0,
    hermitian: Sequence[str] = (),
    integer: Sequence[str] = (),
    residuals: int = 0,
    absent: Mapping[str, Callable[..., Any]] | None = None,
    real: Sequence[str] = (),
    steps: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Primitive]:
    """Make a function of arrays a `Primitive`.

    What the function takes before the `*` are arrays, with respect to which it is differentiated. Options after it are
    constants: an array that has a derivative does not belong there.

    Parameters
    ----------
    signature : str
        Core dimensions of inputs and outputs, "(m,n),(n,p?)->(m,p?)"; one with a question mark may be absent, one that
        is a number has that size.
    intermediates : int
        How many of the last outputs are intermediates that only the rules see. They are differentiable outputs like the
        others (the reverse rule must handle their cotangents), which is what makes second derivatives right.
    residuals : int
        How many more, behind these, the rules see as constants: without bars and tangents. A second derivative does not
        learn from them how they depend on the arrays. So they are only for rules that pass them on to another
        primitive, together with the array, whose own rules say how it depends on that. They need not have batch
        dimensions that this array lacks: what is computed of one matrix for many right-hand sides stays one.
    hermitian : sequence of str
        The arguments that must be symmetric (Hermitian) matrices: tests keep their tangents so.
    integer : sequence of str
        The arguments that hold integers. They are converted to floating point before the function and the rules see
        them, which round them to the nearest integer and give them a derivative of zero. Integers that this would round
        are refused, such as 2**24 + 1 beside float32 (not in graphs, in compiled programs, under vmap and on other
        devices, where nobody looks at numbers: beside float32 they must be smaller there). (For `overbar.vjp` of the
        primitive, integers are constants, whose bar is None.)
    absent : mapping from str to callable
        The arguments that may be left out, whose default in the function is None: for each a function of the arrays in
        front of it that makes the array which stands for it, ``{"E": lambda A: namespace(A).eye_like(A)}``. The
        function and the rules always get an array.
    real : sequence of str
        The arguments that must be real, beside complex ones too; a number among them must be finite. (Beside complex
        arrays a number becomes complex, with an imaginary part of zero.)
    steps : sequence of str
        The options with which the function changes in steps only, tolerances for instance: these may be arrays, too,
        since there is no derivative that would be lost.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> @overbar.primitive("(n)->()")
    ... def sum_of_squares(x):
    ...     return overbar.namespace(x).sum(x * x, axis=-1)
    >>> @sum_of_squares.vjp
    ... def _(c_bar, c, x):
    ...     return (lambda: 2 * c_bar[..., None] * x,)
    >>> overbar.vjp(sum_of_squares, np.array([1.0, 2.0]))[1](1.0)
    (array([2., 4.]),)
    """
    if not isinstance(signature, str):
        raise TypeError(
            "primitive takes a signature, and then the function: write @overbar.primitive('(n,n)->(n)') in front of "
            "it, with the core dimensions of its arrays and of what it returns, or @overbar.elementwise."
        )
    return lambda function: Primitive(
        function, signature, intermediates, hermitian, integer, residuals, absent, real, steps
    )


def elementwise(function: Callable[..., Any]) -> Primitive:
    """Make g(A), a function applied to each element, a `Primitive`. Its one rule is registered by ``@g.derivative``.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> @overbar.elementwise
    ... def cube(A):
    ...     return A**3
    >>> @cube.derivative
    ... def _(C, A):
    ...     return 3 * A**2
    >>> overbar.jvp(cube, (np.array([2.0]),), (np.array([1.0]),))
    (array([8.]), array([12.]))
    """
    return primitive("()->()")(function)


def once(compute: Callable[[], _Result]) -> Callable[[], _Result]:
    """Work that several bars share: a function of no arguments that is computed when first called for."""
    found = []

    def computed():
        if not found:
            found.append(compute())
        return found[0]

    return computed
