"""The one concept: a function of arrays with its forward and its reverse rule.

May import NumPy, `overbar._namespace`, `_signature` and `_messages`. A primitive is written once, in the words of
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

Everything else (broadcasting, validation, absent cotangents, what each framework wants) is done here and in the fronts,
for all primitives alike.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from overbar._messages import of_function
from overbar._namespace import NUMPY, front, kept_real, known_front, namespace
from overbar._signature import Fit, Signature, broadcasts

__all__ = ["Primitive", "elementwise", "once", "primitive"]


_NUMBERS = (int, float, complex)

_RULES = {"vjp": "reverse rule", "jvp": "forward rule"}


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


def _is_foreign(found, array):
    """Whether what the function or a rule gave is no array of the library of this one."""
    return isinstance(found, (list, tuple)) or front(found) is not front(array)


def _foreign(name, found, array, words):
    """The error for that; `words` say where it was found, and {} in them stands for what it is."""
    given = f"a {type(found).__module__}.{type(found).__name__}"
    if isinstance(found, NUMPY.traced):
        return TypeError(
            f"{name}: {words.format('an array that is being differentiated')} an array that is not. It depends on "
            "something besides the arguments, whose derivative would be lost: make that an argument, in front of the "
            "`*` and in the signature."
        )
    return TypeError(
        f"{name}: {words.format(given)} an array of {front(array).name}. It called a function of another "
        "library: take functions from xp = overbar.namespace(A)."
    )


class Primitive:
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
    name: str
    signature: Signature
    arguments: tuple[str, ...]
    defaults: dict[str, Any]

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
        functools.update_wrapper(self, function)
        del self.__wrapped__  # its signature is ours; the function itself is self.function
        self.function = function
        function.__qualname__ = f"{function.__qualname__}.function"  # where pickle finds it: the primitive has its name
        self.name = function.__name__
        self.signature = Signature(signature)
        parameters = inspect.signature(function).parameters.values()
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

        A primitive has one reverse rule: ``@p.vjp(replace=True)`` replaces it. (To differentiate, call
        ``overbar.vjp(p, A)``.)
        """
        return self._register("vjp", rule, replace)

    def jvp(self, rule: _Function | None = None, *, replace: bool = False) -> Any:
        """Register the forward rule ``rule(C, *arrays, **options)``.

        It returns, for each array, a function of that array's tangent: the terms of Ċ = Σ ∂C[Ȧ], of which only those
        with a tangent are computed and added (None is a term that vanishes). Where the terms share work it may return
        one function of all the tangents instead, and gets zeros for absent ones. With several outputs each function
        returns a tuple, in which None is a tangent that vanishes; an output of integers has no other, and a
        residual is not in it. ``@p.jvp(replace=True)`` replaces one that is there.
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
                f"{self.name} has a {_RULES[kind]} already. To replace it, for every caller and in every "
                f"framework, say @{self.name}.{kind}(replace=True)."
            )
        setattr(self, where, rule)
        self._name_part(rule, where)
        return rule

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
            if _is_foreign(found, A):
                raise _foreign(name, found, A, "its derivative gave {} for argument A,")
            return found

        @self.vjp(replace=replace)
        def _(C_bar, C, A, **options):
            def A_bar():
                g = slope(C, A, options)
                return C_bar * (g.conjugate() if isinstance(g, _NUMBERS) else namespace(A).conj(g))

            return (A_bar,)

        @self.jvp(replace=replace)
        def _(C, A, **options):
            return (lambda A_dot: A_dot * slope(C, A, options),)

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

    # -- the call ---------------------------------------------------------------------------------------------------

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.spelling is not None:
            args, kwargs = self.spelling(*args, **kwargs)
        arrays, options = self.bind(args, kwargs)
        given = arrays
        if self.absent:
            given = [
                A for name, A in zip(self.arguments, arrays, strict=True) if A is not None or name not in self.absent
            ]
        try:
            library = front(*given)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None
        return library.enter(self, arrays, options)

    def bind(self, args, kwargs):
        """Split the arguments of a call into the arrays and a complete dictionary of options: `defaults` itself where
        there are no others, which says that they need not be looked at."""
        if len(args) == self._complete and not kwargs:
            return args, self.defaults
        if self.variadic:
            args, kwargs = self._spread(args, dict(kwargs))
            count = len(args)
        else:
            count = len(self.arguments)
        if len(args) != count or not kwargs.keys() <= self.defaults.keys():
            args, kwargs = self._bind_slowly(args, dict(kwargs), count)
        options = {**self.defaults, **kwargs} if self.defaults else {}
        for name, value in options.items():
            if value is inspect.Parameter.empty:
                raise TypeError(f"{self.name} needs the option {name}. {self._usage()}")
            if isinstance(value, (np.integer, np.ndarray, tuple)) and (whole := of_python(value)) is not value:
                options[name] = whole
        return args, options

    def _spread(self, args, kwargs):
        """The arrays of a primitive that takes a sequence of them; what follows the sequence becomes keywords."""
        (name,) = self.arguments
        sequence, *extra = args or (kwargs.pop(name, None),)
        if not isinstance(sequence, (list, tuple)) or not sequence:
            raise TypeError(f"{self.name} takes a list or tuple of arrays, with at least one in it. {self._usage()}")
        return tuple(sequence), {**dict(zip(self.defaults, extra, strict=False)), **kwargs}

    def _bind_slowly(self, args, kwargs, count):
        arrays, extra = list(args[:count]), args[count:]
        for name in self.arguments[len(arrays) :]:
            if name not in kwargs and name not in self.absent:
                raise TypeError(f"{self.name} needs the array {name}. {self._usage()}")
            arrays.append(kwargs.pop(name, None))
        names = [name for name in self.defaults if name != "batch_ndim"]
        if len(extra) > len(names):
            raise TypeError(f"{self.name} got {len(args)} positional arguments. {self._usage()}")
        for name, value in zip(names, extra, strict=False):
            if name in kwargs:
                raise TypeError(f"{self.name} got the option {name} twice. {self._usage()}")
            kwargs[name] = value
        for name, other in (("lower", "upper"), ("upper", "lower")):  # SciPy says the one, PyTorch the other
            if name in kwargs and name not in self.defaults and other in self.switches:
                if other in kwargs:
                    raise TypeError(f"{self.name} got both lower and upper. One says it. {self._usage()}")
                kwargs[other] = not self._switch(name, kwargs.pop(name))
        unknown = [name for name in kwargs if name not in self.defaults]
        if unknown:
            raise TypeError(f"{self.name} has no argument {unknown[0]}. {self._usage()}")
        return arrays, kwargs

    def _usage(self):
        return f"Its signature is {self.name}{self.__signature__}."

    def apply(self, front, arrays, options, whole=False):
        """Compute the function on arrays, with the front and the options already known. With `whole`, return what rules
        are given: the arrays of the library, all outputs, and what vectors among them lack (`Signature.lacking`)."""
        if options is not self.defaults:
            options = self._valid(front, options)
        try:  # finding out whether arrays fit takes longer than a small matrix does: the answer is kept
            fit = self._fits[front.key(arrays)]
        except (KeyError, TypeError, AttributeError):
            arrays, fit = self._fit(front, arrays)
        try:
            if fit.dropped is None:
                outputs = front.of_unknown_rank(self, arrays, options)
            elif fit.dropped:  # vectors instead of matrices: work with one row or column
                outputs = self._with_vectors(front, arrays, options, fit)
            else:
                outputs = front.call(self, arrays, options)
                if not fit.verified:
                    self._verify(front, outputs, arrays, fit)
        except front.failure as error:
            if type(error) is not front.failure:  # of a shape or a dtype, which has a name
                raise
            raise self._named(front, error, arrays) from None
        if whole:
            return arrays, outputs, fit.dropped and self.signature.lacking(fit.dropped)
        return outputs[0] if self.public == 1 else tuple(outputs[: self.public])

    def _named(self, front, error, arrays, kind=None):
        """An error that a word of the library raised for the numbers in an array, with the name of the primitive. One
        primitive may call another: the name is that of the outermost, which the user knows."""
        message = getattr(error, "of_word", None) or getattr(error, "message", None) or str(error)
        matrix, argument = getattr(error, "matrix", None), None
        if matrix is not None:
            plain = [(i, A) for i, A in enumerate(arrays) if isinstance(A, np.ndarray)]  # in a rule, some are traced
            shared = (i for i, A in plain if np.may_share_memory(A, matrix))
            argument = next(map(self.argument, shared), None)
        # what a rule calls A is some matrix
        name, known = (self.name, self.arguments) if kind is None else (f"{self.name}: in the {kind} rule", ())
        named = front.LinAlgError(of_function(name, known, message, argument))
        named.of_word, named.matrix = message, matrix
        for note in getattr(error, "__notes__", ()):
            named.add_note(note)
        return named.with_traceback(error.__traceback__)

    def _valid(self, front, options):
        """The options of a call, each of the kind that its default is of."""
        for name, value in options.items():
            other = known_front(value)
            if other is not None and other is not NUMPY and other.xp is not front.xp:
                raise TypeError(
                    f"{self.name}: the option {name} is an array of {other.name}, beside arrays of {front.name}. "
                    "A primitive is differentiated with respect to its arrays only: make it an array, in front of the "
                    "`*` and in the signature, or convert it."
                )
        for name in self.switches:
            if options[name] is not True and options[name] is not False:
                options = {**options, name: self._switch(name, options[name])}
        for name in self.words:
            value = options[name]
            if not isinstance(value, str) and getattr(value, "ndim", 0):  # == would give an array of answers
                kind = f"{type(value).__module__}.{type(value).__name__}"
                raise TypeError(
                    f"{self.name}: the option {name} is a {kind}, an array. It must be a single value, such as its "
                    f"default, {self.defaults[name]!r}."
                )
        for name in self.counts:
            if isinstance(options[name], (str, bytes, float, complex, list, tuple, dict, bool, type(None))):
                raise TypeError(f"{self.name}: the option {name} is {options[name]!r}. It must be an integer.")
        return options

    def _fit(self, front, given):
        """The arrays of a call as arrays of the library, and their `Fit`."""
        if self.real:
            self._check_real(given)
        try:
            for i, value in enumerate(given):
                if value is None and self.argument(i) not in self.absent:
                    namespace(value)  # which says what there is to say of None, in every library
                refused = front.refused(value)
                if refused:
                    raise TypeError(f"{self.name}: argument {self.argument(i)} is {refused}")
            arrays = self._with_absent(front, given) if self.absent else front.as_arrays(given)
        except TypeError as error:
            if type(error) is not TypeError or str(error).startswith(f"{self.name}: "):
                raise
            raise TypeError(f"{self.name}: {error}") from None
        if self.real:
            arrays = [
                kept_real(front.xp, value, A) if name in self.real else A
                for name, value, A in zip(self.arguments, given, arrays, strict=True)
            ]
        if self.integer:
            arrays = self._with_floats(front, arrays)
        try:
            key = front.key(arrays)
            known = self._fits.get(key)
        except TypeError:  # symbolic sizes cannot be looked up
            return arrays, Fit(self.check(front, arrays))
        if known is not None:
            return arrays, known
        fit = Fit(self.check(front, arrays))
        # A call whose arrays are of other types, numbers for instance, has no such key; one whose arrays are left as
        # they are is found by it the next time.
        if len(self._fits) >= 4096:
            self._fits.clear()
        self._fits[key] = fit
        return arrays, fit

    def _with_vectors(self, front, arrays, options, fit):
        arrays = self.with_dims(front.xp, arrays, fit.dropped)
        outputs = front.call(self, arrays, options)
        if not fit.verified:
            self._verify(front, outputs, arrays, fit)
        squeeze, (_, (extra, _)) = front.xp.squeeze, self.signature.lacking(fit.dropped)
        return [squeeze(out, axis=axes) if axes else out for out, axes in zip(outputs, extra, strict=True)]

    def _switch(self, name, value):
        """A value that stands for True or False as such: what is none would else be taken for one of them."""
        if (isinstance(value, (int, np.integer)) and value in (0, 1)) or isinstance(value, np.bool_):
            return bool(value)
        if isinstance(value, np.ndarray) and value.dtype == bool and value.ndim == 0:  # SciPy's cho_factor gives one
            return bool(value)
        raise TypeError(f"{self.name}: the option {name} is {value!r}. It must be True or False.")

    def _check_real(self, arrays):
        for name, value in zip(self.arguments, arrays, strict=True):
            if name not in self.real or value is None:
                continue
            if isinstance(value, (bool, complex)) or "complex" in str(getattr(value, "dtype", "")):
                raise TypeError(f"{self.name}: argument {name} must be real, but is {value!r}.")
            if isinstance(value, (int, float)) and not math.isfinite(value):
                raise ValueError(f"{self.name}: argument {name} is {value}. It must be finite.")

    def _with_absent(self, front, arrays):
        """The arrays, those that were left out made of the others."""
        given = iter(front.as_arrays([a for a in arrays if a is not None]))
        arrays = [a if a is None else next(given) for a in arrays]
        return [
            self.absent[name](*arrays[: self.arguments.index(name)]) if a is None else a
            for name, a in zip(self.arguments, arrays, strict=True)
        ]

    def _with_floats(self, front, arrays):
        """The arrays, those of integers in the dtype of the others: to what differentiates they are like all the rest,
        and the rules give them zeros."""
        xp, arrays = front.xp, list(arrays)
        like = next(a for a, name in zip(arrays, self.arguments, strict=True) if name not in self.integer)
        for i, name in enumerate(self.arguments):
            if name in self.integer and not xp.is_floating(arrays[i]):
                if xp.is_floating(like) and xp.eps(like) > 1e-6:
                    raise front.DtypeError(
                        f"{self.name}: argument {name} holds integers, which {dtype_name(like.dtype)} of the others "
                        "rounds. Convert them, to float32 for instance."
                    )
                arrays[i] = xp.cast(arrays[i], like)
        return arrays

    def with_dims(self, xp, arrays, dropped):
        """The arrays of a call as its rules see them: a vector instead of a matrix has become one."""
        (lacking, _), _ = self.signature.lacking(dropped)
        found = []
        for A, axes in zip(arrays, lacking, strict=True):
            for axis in axes:
                A = xp.expand_dims(A, axis=0 if axis == -2 else -1)
            found.append(A)
        return found

    def run(self, arrays, options):
        """The outputs of the bare function, intermediates too, as a tuple."""
        outputs = self.function(*arrays, **options)
        return outputs if isinstance(outputs, tuple) else (outputs,)

    def check(self, front, arrays):
        """Hold dtypes and shapes of a call against the signature. Returns which core dimensions are absent because a
        vector was given instead of a matrix, or None where a rank is not known yet."""
        xp = front.xp
        for i, array in enumerate(arrays):
            if not xp.is_floating(array):
                raise front.DtypeError(
                    f"{self.name}: argument {self.argument(i)} has dtype {dtype_name(array.dtype)}, but a derivative "
                    "needs real or complex floating point of single or double precision. Convert it, to float64 for "
                    "instance."
                )
        if self.signature.whole:
            return ()
        dtypes = [
            a.dtype for i, a in enumerate(arrays) if not (self.argument(i) in self.real and xp.is_real_of(a, arrays[0]))
        ]
        if not front.promotes and self.signature.inputs[0] and any(dtype != dtypes[0] for dtype in dtypes):
            culprits = ", ".join(f"{self.argument(i)} has {dtype_name(a.dtype)}" for i, a in enumerate(arrays))
            raise front.DtypeError(
                f"{self.name}: the arguments have different dtypes: {culprits}. {front.name} does not promote "
                "the arguments of matrix functions. Convert one of them."
            )
        shapes = tuple(map(xp.static_shape, arrays))
        if None in shapes:
            return None
        try:
            return self.signature.fit(shapes, self.dimensions)
        except ValueError as error:
            problem, remedy = error.args
            names = [f"{self.argument(i)} of shape {tuple(shape)}" for i, shape in enumerate(shapes)]
            raise front.ShapeError(f"{self.name}: argument {problem.format(*names)}. {remedy}") from None

    def _verify(self, front, outputs, arrays, fit):
        """Hold what the function returned against the signature: each primitive once for each dtype and shape."""
        self.check_outputs(front, outputs, arrays)
        fit.verified = True

    def check_outputs(self, front, outputs, arrays):
        if len(outputs) != self.outputs:
            raise TypeError(
                f"{self.name}: its function returned {len(outputs)} arrays, where {self.signature.text} has "
                f"{self.outputs} outputs."
            )
        for i, out in enumerate(outputs):
            if _is_foreign(out, arrays[0]):
                raise _foreign(self.name, out, arrays[0], f"its function gave {{}} as output {i}, of")
        shapes = [front.xp.static_shape(A) for A in (*arrays, *outputs)]
        if self.signature.whole or None in shapes:
            return
        problem = self.signature.misfit(shapes[: len(arrays)], shapes[len(arrays) :], self.differentiable)
        if problem is not None:
            raise front.ShapeError(
                f"{self.name}: its function returned {problem}, from arrays of shapes "
                f"{', '.join(str(tuple(shape)) for shape in shapes[: len(arrays)])}. Correct the signature or the "
                "function: derivatives, batches and compilers go by the signature."
            )

    @property
    def dimensions(self):
        """The signature as a caller sees it, without intermediates and residuals."""
        return self.signature.shown(self.public)

    def argument(self, i):
        """The name of the i-th array."""
        return f"{self.arguments[-1]}[{i}]" if self.variadic else self.arguments[i]

    # -- the rules, as the fronts call them -------------------------------------------------------------------------

    def pull(self, front, bars, outputs, arrays, options, needed=None):
        """The bars of the inputs from the bars of all outputs, intermediates too (None where absent).

        `arrays` are as `check` and `apply` left them, `needed` says for each whether its bar is wanted. Returns a list
        with None where it is not, or where no cotangent came; every bar has its input's shape and dtype.
        """
        if self.vjp_rule is None:
            raise NotImplementedError(f"{self.name} has no reverse rule. Register one with @{self.name}.vjp.")
        bars = bars[0] if self.differentiable == 1 else bars[: self.differentiable]
        if bars is None or (self.differentiable != 1 and all(bar is None for bar in bars)):
            return [None] * len(arrays)
        if self.outputs == 1:
            outputs = outputs[0]
        try:
            thunks = self.vjp_rule(bars, outputs, *arrays, **options)
        except Exception as error:
            self._note(front, error, arrays, "reverse")
            raise
        if not isinstance(thunks, tuple) or len(thunks) != len(arrays):
            raise TypeError(
                f"the reverse rule of {self.name} must return a tuple with one function for each of its "
                f"{len(arrays)} arrays, but returned {thunks!r}"
            )
        found, fits = [None] * len(arrays), front.fits
        for i, thunk in enumerate(thunks):
            if thunk is not None and (needed is None or needed[i]):
                try:
                    bar = thunk()
                    found[i] = bar if fits(bar, arrays[i]) else self._project(front, bar, arrays[i], i)
                except Exception as error:
                    if not callable(thunk):
                        raise self._no_function("vjp", thunk, i) from None
                    self._note(front, error, arrays, "reverse", i)
                    raise
        return found

    def _no_function(self, kind, found, i):
        """The error for what a rule gave in the place of a function."""
        given = f"{type(found).__module__}.{type(found).__name__}".removeprefix("builtins.")
        computed, written = (
            ("a bar", "lambda: ...") if kind == "vjp" else ("a term of the tangent", "lambda A_dot: ...")
        )
        return TypeError(
            f"{self.name}: the {_RULES[kind]}, registered by @{self.name}.{kind}, gave a {given} for argument "
            f"{self.argument(i)}, and must give a function that computes {computed}: write {written} in front of it."
        )

    def _note(self, front, error, arrays, kind, i=None):
        """Add to an error whose rule it comes from. Of one for the numbers in a matrix, which the library raised and
        which may be a matrix of the rule, the message begins with that."""
        error.add_note(
            f"Raised in the {kind} rule of {self.name}{'' if i is None else f', argument {self.argument(i)}'}."
        )
        if type(error) is front.failure:
            raise self._named(front, error, arrays, kind) from None

    def _project(self, front, bar, array, i):
        if bar is None:
            raise TypeError(
                f"the reverse rule of {self.name} gave None for argument {self.argument(i)}. Let it return zeros, or "
                "None in the place of the function, where there is no derivative."
            )
        if _is_foreign(bar, array):
            raise _foreign(self.name, bar, array, f"the reverse rule gave {{}} for argument {self.argument(i)},")
        return front.project(bar, array, self, i)

    def push(self, front, dots, outputs, arrays, options):
        """The tangents of all outputs, intermediates too, from those of the inputs (None where absent). A residual, and
        an output that is not floating point, the pivots of a factorisation for instance, has None."""
        xp = front.xp
        if self.jvp_rule is None:
            raise NotImplementedError(f"{self.name} has no forward rule. Register one with @{self.name}.jvp.")
        try:
            terms = self.jvp_rule(outputs[0] if self.outputs == 1 else outputs, *arrays, **options)
        except Exception as error:
            self._note(front, error, arrays, "forward")
            raise
        if callable(terms):
            dots = [xp.zeros_like(a) if dot is None else dot for a, dot in zip(arrays, dots, strict=True)]
            try:
                parts = [self._tangents(terms(*dots))]
            except Exception as error:
                self._note(front, error, arrays, "forward")
                raise
        elif not isinstance(terms, tuple) or len(terms) != len(arrays):
            raise TypeError(
                f"the forward rule of {self.name} must return a tuple with one function for each of its {len(arrays)} "
                f"arrays, or one function of all tangents, but returned {terms!r}"
            )
        else:
            parts = []
            for i, (term, dot) in enumerate(zip(terms, dots, strict=True)):
                if dot is not None and term is not None:
                    try:
                        parts.append(self._tangents(term(dot)))
                    except Exception as error:
                        if not callable(term):
                            raise self._no_function("jvp", term, i) from None
                        self._note(front, error, arrays, "forward", i)
                        raise
            parts = parts or [(None,) * self.differentiable]
        found = [
            self._total(front, part, out, i) if xp.is_floating(out) else None
            for i, (part, out) in enumerate(zip(zip(*parts, strict=True), outputs[: self.differentiable], strict=True))
        ]
        return (*found, *[None] * (self.outputs - self.differentiable))

    def _tangents(self, found):
        """What the forward rule gave for one array, as a tuple with an entry for each output."""
        found = as_tuple(found)
        if len(found) != self.differentiable:
            raise TypeError(
                f"the forward rule of {self.name} must give one tangent for each of {self.differentiable} outputs, "
                f"intermediates too, but gave {len(found)}"
            )
        return found

    def _total(self, front, terms, out, i):
        xp = front.xp
        terms = [term for term in terms if term is not None]
        if not terms:
            return xp.zeros_like(out)
        for term in terms:
            if _is_foreign(term, out):
                raise _foreign(self.name, term, out, f"the forward rule gave {{}} as the tangent of output {i},")
        total = functools.reduce(operator.add, terms)
        have, want = xp.static_shape(total), xp.static_shape(out)
        if have == want and have is not None and None not in have:
            return xp.cast(total, out)
        if have is not None and want is not None and not broadcasts(have, want):
            raise front.ShapeError(
                f"{self.name}: the forward rule gave a tangent of shape {tuple(have)} for output {i} of shape "
                f"{tuple(want)}. A tangent has the shape of its output, or one that broadcasts to it."
            )
        return xp.cast(xp.broadcast_to(total, xp.shape(out)), out)


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


def of_python(value):
    """An option with Python's integers instead of NumPy's, also of those in a tuple: not every library takes these for
    an axis, a size or a count."""
    if isinstance(value, np.integer) or (isinstance(value, np.ndarray) and not value.ndim and value.dtype.kind in "iu"):
        return int(value)
    if type(value) is tuple:
        for x in value:  # most have none of NumPy's, and stay what they are
            if type(x) is not int and of_python(x) is not x:
                return tuple(map(of_python, value))
    return value


def dtype_name(dtype):
    """What a message calls a dtype of any library."""
    return getattr(dtype, "name", dtype)


def as_tuple(x):
    return x if isinstance(x, tuple) else (x,)


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
        them, which round them to the nearest integer and give them a derivative of zero. (For `overbar.vjp` of the
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
