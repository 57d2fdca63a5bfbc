"""A call of a primitive: its arguments become arrays and options, and are held against the signature; so is what the
function returns.

May import NumPy, `overbar._namespace`, `_signature` and `_messages`. `Called` is the part of
`overbar._primitive.Primitive` that does so.
"""

from __future__ import annotations

import inspect
import math
import re
from typing import Any

import numpy as np

from overbar._messages import dtype_name, inner_argument, of_function, of_inner
from overbar._namespace import NUMPY, front, kept_real, known_front, namespace
from overbar._signature import Fit, Signature

__all__ = ["Called", "foreign", "is_foreign", "is_number", "of_python"]


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


def is_number(found):
    """Whether what a rule gave is a number of Python's. (One of NumPy's own is an array of no dimensions.)"""
    return isinstance(found, (bool, int, float, complex)) and not isinstance(found, np.generic)


def _largest(dtype):
    """The largest integer of a dtype of any library, whose name ends with its number of bits."""
    bits = re.search(r"\d+$", str(dtype_name(dtype)))
    return 2 ** int(bits[0]) if bits else 1  # of booleans


def is_foreign(found, array):
    """Whether what the function or a rule gave is no array of the library of this one."""
    if isinstance(found, (list, tuple)) or not (is_number(found) or hasattr(found, "dtype")):
        return True
    return front(found) is not front(array)


def foreign(name, found, array, words):
    """The error for that; `words` say where it was found, and {} in them stands for what it is."""
    given = f"a {type(found).__module__}.{type(found).__name__}"
    if isinstance(found, NUMPY.traced):
        return TypeError(
            f"{name}: {words.format('an array that is being differentiated')} an array that is not. It depends on "
            "something besides the arguments, whose derivative would be lost: make that an argument, in front of the "
            "`*` and in the signature."
        )
    if not hasattr(found, "dtype") and not is_number(found):
        return TypeError(f"{name}: {words.format(given)} an array of {front(array).name}. That is not an array.")
    return TypeError(
        f"{name}: {words.format(given)} an array of {front(array).name}. It called a function of another "
        "library: take functions from xp = overbar.namespace(A)."
    )


class Called:
    """What a primitive does when it is called."""

    #: `overbar._primitive.Primitive` says what these are
    name: str
    signature: Signature
    arguments: tuple[str, ...]
    defaults: dict[str, Any]

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
        words = None
        if kind is None and not self.is_of_collection:
            words = self._of_inner(front, error, arrays, argument)
        named = front.LinAlgError(words or of_function(name, known, message, argument))
        named.inner = self, arrays
        named.of_word, named.matrix = message, matrix
        for note in getattr(error, "__notes__", ()):
            named.add_note(note)
        return named.with_traceback(error.__traceback__)

    @property
    def is_of_collection(self):
        """Whether it is one of the collection, or of a front. What their functions compute from an argument they call
        by its letter, and their tests say which message comes. Of others nobody knows."""
        return (self.__module__ or "").partition(".")[0] in ("overbar", "torch_ops", "tf_ops", "dask_ops")

    def _of_inner(self, front, error, arrays, argument):
        """The message for an error of a function that the primitive's own calls; None where it is its own. It speaks of
        an argument of the primitive only where that very array was passed on."""
        inner, given = getattr(error, "inner", (None, ()))
        message = getattr(error, "message", None) or str(error)
        if message.startswith(f"{self.name}: "):
            return None
        theirs = inner_argument(message)
        if inner is None:
            return of_inner(self.name, message, False, argument and (theirs, argument))
        passed = [A for i, A in enumerate(given) if inner.argument(i) == theirs]
        ours = [self.argument(i) for A in passed for i, B in enumerate(arrays) if front.shares(A, B)]
        return of_inner(self.name, message, True, (theirs, ours[0]) if ours else None)

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
            arrays = self._with_floats(front, arrays, given)
        try:
            key = front.key(arrays)
            known = self._fits.get(key)
        except TypeError:  # symbolic sizes cannot be looked up
            return arrays, Fit(self.check(front, arrays, given))
        if known is not None:
            return arrays, known
        fit = Fit(self.check(front, arrays, given))
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

    def _with_floats(self, front, arrays, given=()):
        """The arrays, those of integers in the dtype of the others: to what differentiates they are like all the rest,
        and the rules give them zeros. `given` are the arrays before `as_arrays`, which gives Python's integers the
        dtype of the others, too."""
        xp, arrays = front.xp, list(arrays)
        like = next(a for a, name in zip(arrays, self.arguments, strict=True) if name not in self.integer)
        for i, name in enumerate(self.arguments):
            if name not in self.integer:
                continue
            if not xp.is_floating(arrays[i]):
                if xp.is_floating(like):
                    self._check_exact(front, name, arrays[i], like)
                arrays[i] = xp.cast(arrays[i], like)
            elif given and given[i] is not arrays[i] and isinstance(given[i], (int, list, tuple, np.ndarray)):
                numbers = np.asarray(given[i])
                if numbers.dtype.kind in "iu":
                    self._check_exact(front, name, numbers, arrays[i], numbers)
        return arrays

    def _check_exact(self, front, name, array, like, numbers=None):
        """Refuse integers that the dtype of `like` would round: an index would be another one. Those of a dtype that
        has no such integers need no look. Where numbers cannot be looked at (in a program that is being compiled, in
        graphs, under vmap, on other devices) single precision is taken: it has all integers up to 2²⁴."""
        limit = round(2 / front.xp.eps(like))
        if _largest(array.dtype) <= limit:
            return
        if limit < 2**20:
            raise front.DtypeError(
                f"{self.name}: argument {name} holds integers, which {dtype_name(like.dtype)} of the others "
                "rounds. Convert them, to float32 for instance."
            )
        numbers = front.numbers(array) if numbers is None else numbers
        if numbers is None or not numbers.size:
            return
        # as integers of Python's, which have no largest one
        found = next((n for n in (int(numbers.max()), int(numbers.min())) if abs(n) > limit), None)
        if found is not None:
            wider = "Convert the others, to float64 for instance." if limit < 2**53 else "No dtype here holds it."
            raise front.DtypeError(
                f"{self.name}: argument {name} holds the integer {found}, which {dtype_name(like.dtype)} of the others "
                f"may round: it has all integers up to {limit}. {wider}"
            )

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

    def check(self, front, arrays, given=()):
        """Hold dtypes and shapes of a call against the signature; of those `given`, what is None was left out, and is
        made of the others. Returns which core dimensions are absent because a vector was given instead of a matrix, or
        None where a rank is not known yet."""
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
            there = [i for i in range(len(arrays)) if not given or given[i] is not None]
            culprits = ", ".join(f"{self.argument(i)} has {dtype_name(arrays[i].dtype)}" for i in there)
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

    def check_returned(self, outputs):
        """Hold what the function returned against what it must: so many arrays."""
        for i, out in enumerate(outputs):
            if is_number(out) or not hasattr(out, "dtype"):
                raise self._not_returned(out, i, len(outputs))
        if len(outputs) != self.outputs:
            raise TypeError(
                f"{self.name}: its function returned {len(outputs)} arrays, where {self.signature.text} has "
                f"{self.outputs} outputs."
            )

    def check_outputs(self, front, outputs, arrays):
        self.check_returned(outputs)
        for i, out in enumerate(outputs):
            if is_foreign(out, arrays[0]):
                raise foreign(self.name, out, arrays[0], f"its function gave {{}} as output {i}, of")
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

    def _not_returned(self, found, i, count):
        """The error where the function returned something else than arrays: a list, a number of Python's, nothing."""
        must = "an array" if self.outputs == 1 else f"a tuple of {self.outputs} arrays, intermediates and residuals too"
        given = f"a {type(found).__module__}.{type(found).__name__}".replace("a builtins.", "a ")
        hint = ""
        if found is None:
            given, hint = "None", " Is a `return` missing?" if count == 1 else ""
        elif is_number(found):
            given = f"the number {found!r}"
            hint = " A number has no batch dimensions: make an array of those that the signature says."
        place = f" as output {i}" if count > 1 else ""
        return TypeError(f"{self.name}: its function returned {given}{place}, and must return {must}.{hint}")

    @property
    def dimensions(self):
        """The signature as a caller sees it, without intermediates and residuals."""
        return self.signature.shown(self.public)

    def argument(self, i):
        """The name of the i-th array."""
        return f"{self.arguments[-1]}[{i}]" if self.variadic else self.arguments[i]
