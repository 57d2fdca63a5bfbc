"""An array whose way through primitives is written down: what NumPy's arrays do, and nothing silently otherwise.

May import NumPy, `overbar._namespace`, `overbar._traced_functions` and `overbar.rules`.
"""

from __future__ import annotations

import inspect
import itertools
import operator
import sys

import numpy as np

from overbar import rules
from overbar._namespace import as_array, namespace
from overbar._traced_functions import INSTEAD, METHODS, OF_NUMBERS, STEPS

#: NumPy's ufuncs by name and its functions, in the words of traced arrays: `overbar._traced_words` fills them in
UFUNCS, FUNCTIONS = {}, {}

#: the operators of Python's with a traced array on the right, by the ufunc that NumPy's array on the left calls
REFLECTED = {}


class Tape:
    """What was computed, in order: the calls of primitives. Arrays are numbered, and the tape does not know them
    otherwise: so nothing that is traced refers to itself, and all of it is freed with the last reference to it.

    The arrays may be those of another library that has no derivatives of its own (`Front.swept`).

    Where one sweep runs inside another, the tape that was begun later has the higher level. A call is written down on
    the highest tape among those of its arrays; to that one the arrays of the others are constants, and the call goes on
    with them to the next tape below."""

    __slots__ = ("calls", "count", "foreign", "level", "nested")

    _levels = itertools.count()

    def __init__(self):
        # from 1, so that a slot is true and None is not
        self.calls, self.count, self.level = [], 1, next(self._levels)
        #: whether arrays of a lower tape are among those of the calls
        self.nested = False
        #: whether there are arrays among them that are not NumPy's
        self.foreign = False


class Traced:
    """An array whose way through primitives is being written down on a tape. Its value is NumPy's, or of
    another library without derivatives of its own, or traced by a tape of a lower level.

    Without a tape it is a constant. Rules that are themselves traced get all their arrays so, and need not care which
    of them move."""

    __slots__ = ("slot", "tape", "value")

    def __init__(self, value, tape=None):
        self.value, self.tape = value, tape
        if tape is None:
            self.slot = None
        else:
            self.slot = tape.count
            tape.count += 1

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    mT = property(lambda self: rules.matrix_transpose(self))
    T = property(lambda self: self.transpose())
    real = property(lambda self: namespace(self).real(self))
    imag = property(lambda self: namespace(self).imag(self))

    def __repr__(self):
        return f"Traced({self.value!r})"

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        # what NumPy calls for numpy.exp(A), and for its operators where the left side is one of its own arrays
        name = ufunc.__name__
        if method == "__call__" and not kwargs:
            if type(inputs[0]) is np.ndarray and ufunc in REFLECTED:  # A + x, where A is one of NumPy's
                return REFLECTED[ufunc](inputs[1], inputs[0])
            if name in UFUNCS:
                return UFUNCS[name](*floating(inputs))
            if name in STEPS:
                return ufunc(*map(bare, inputs))
        elif method == "outer" and not kwargs:
            A, B = (x if hasattr(x, "ndim") else np.asarray(x) for x in inputs)
            return ufunc(A.reshape(*A.shape, *[1] * B.ndim), B)
        elif f"{name}.{method}" in METHODS:
            given = {key: value for key, value in kwargs.items() if key == "axis" or value is not None}
            return METHODS[f"{name}.{method}"](*inputs, **({"axis": 0} | given))
        named = _name_of(ufunc)
        if "out" in kwargs:
            raise TypeError(
                f"{named} got an array whose derivative is being traced, and out, an array of NumPy's, which cannot "
                f"hold a derivative. Use what {named} returns, without out=; instead of y += A write y = y + A."
            )
        if kwargs and name in UFUNCS:
            raise TypeError(
                f"{named} got an array whose derivative is being traced, and takes none of its options then, such as "
                f"{next(iter(kwargs))}."
            )
        return self._refuse(named if method == "__call__" else f"{named}.{method}")

    def __array_function__(self, function, types, args, kwargs):
        if function in OF_NUMBERS:
            return function(*map(bare_all, args), **{key: bare_all(value) for key, value in kwargs.items()})
        name = f"{function.__module__}.{function.__name__}"
        if function in FUNCTIONS:
            ours = FUNCTIONS[function]
            try:
                return ours(*args, **kwargs)
            except TypeError:
                try:
                    inspect.signature(ours).bind(*args, **kwargs)
                except TypeError as error:
                    return self._refuse(name, f" in this way, {error}")
                raise
        return self._refuse(name)

    def __array__(self, *args, **kwargs):
        caller = _caller()
        if caller in _FOREIGN:
            raise TypeError(f"{caller} and an array whose derivative is being traced do not meet. {_FOREIGN[caller]}.")
        ours = _NAMES.get(caller, caller.rpartition(".")[2])
        remedy = f"Call overbar.{ours}" if ours in rules.__all__ else _ARRAYS
        if caller.startswith("numpy.") and ours in rules.__all__:  # which would have asked an array itself
            remedy += ", of overbar.stack([a, b]) instead of a list"
        raise TypeError(
            f"{caller} got an array whose derivative is being traced, and has no rule: as one of NumPy's arrays, its "
            f"derivative would be lost. {remedy}."
        )

    def to_dask_array(self, *args, **kwargs):
        """Dask asks for this where it makes an array of what it was given, and would make one of a traced array that
        has forgotten its derivative."""
        return self._refuse("a function of Dask's")

    def __dask_tokenize__(self):
        """And for this where it takes it for a constant of a graph."""
        return self._refuse("a function of Dask's")

    def __dask_graph__(self):
        """And for this wherever it looks for collections among its arguments."""
        return self._refuse("a function of Dask's")

    def _refuse(self, name, how=""):
        ours, numpys = name.rpartition(".")[2], name.removeprefix("numpy.")
        if numpys in INSTEAD:
            remedy = INSTEAD[numpys].replace("`", "")
        else:
            remedy = f"Call overbar.{ours}" if ours in rules.__all__ else "Use functions of overbar's inside"
            remedy += ", or make it a primitive with its own rule"
        raise TypeError(f"{name} got an array whose derivative is being traced, and has no rule{how}. {remedy}.")

    def __getattr__(self, name):
        raise AttributeError(
            f"an array whose derivative is being traced has no attribute {name!r}. Use overbar's primitives instead."
        )

    def transpose(self, *axes):
        if not axes and self.ndim == 2:
            return rules.matrix_transpose(self)
        axes = axes[0] if len(axes) == 1 else axes
        return namespace(self).permute_dims(self, axes or range(self.ndim)[::-1]) if self.ndim else self

    def astype(self, dtype):
        if np.dtype(dtype).kind in "biu":
            return bare(self).astype(dtype)
        if self.dtype.kind == "c" and np.dtype(dtype).kind != "c":
            raise TypeError("astype would discard the imaginary part of a traced array. Take its real part, A.real.")
        return namespace(self).astype(self, np.dtype(dtype))

    def copy(self):
        return self  # nobody can write into it

    def flatten(self, order="C"):
        return FUNCTIONS[np.ravel](self, order)

    ravel = flatten
    conj = conjugate = lambda self: namespace(self).conj(self)

    def sum(self, axis=None, keepdims=False):
        return rules.sum(self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape, order="C"):
        return FUNCTIONS[np.reshape](self, shape[0] if len(shape) == 1 else shape, order)

    def __len__(self):
        return len(bare(self))

    def __iter__(self):
        if self.ndim == 0:
            raise TypeError("iteration over a traced array without dimensions")
        return (self[i] for i in range(len(self)))

    def __contains__(self, x):
        return bare(x) in bare(self)

    def __setitem__(self, index, value):
        raise TypeError(
            "a traced array cannot be written into. Build it, of its entries by overbar.stack, of parts by "
            "overbar.concatenate or overbar.embed."
        )

    def __float__(self):
        raise TypeError(
            "a traced array cannot become a number of Python's: its derivative would be lost. Use it as it is, and "
            "numpy.log instead of math.log. If this is out[i] = x: an array of NumPy's cannot hold derivatives. "
            "Collect the entries in a list, and make an array of it by overbar.stack."
        )

    __int__ = __complex__ = __index__ = __float__

    def __format__(self, spec):
        return format(bare(self), spec) if spec else str(self)

    def __bool__(self):
        return bool(self.value)

    __hash__ = None  # as NumPy's arrays, since == compares entries

    def __eq__(self, other):
        return bare(self) == bare(other)

    def __ne__(self, other):
        return bare(self) != bare(other)

    def __lt__(self, other):
        return bare(self) < bare(other)

    def __le__(self, other):
        return bare(self) <= bare(other)

    def __gt__(self, other):
        return bare(self) > bare(other)

    def __ge__(self, other):
        return bare(self) >= bare(other)

    def __abs__(self):
        return rules.abs(self)

    def __floordiv__(self, other):
        return bare(self) // bare(other)

    def __rfloordiv__(self, other):
        return bare(other) // bare(self)

    def __divmod__(self, other):
        return self // other, self % other

    def __rdivmod__(self, other):
        return other // self, other % self

    def __getitem__(self, index):
        return rules.subset(self, index=index)

    def __pos__(self):
        return self

    def _in_place(self, other, operate, sign):
        if self.ndim:
            raise TypeError(f"{sign}= writes into an array, and a traced one cannot be written into: A = A {sign} B.")
        return operate(self, other)

    def __iadd__(self, other):
        return self._in_place(other, operator.add, "+")

    def __isub__(self, other):
        return self._in_place(other, operator.sub, "-")

    def __imul__(self, other):
        return self._in_place(other, operator.mul, "*")

    def __itruediv__(self, other):
        return self._in_place(other, operator.truediv, "/")

    def __ipow__(self, other):
        return self._in_place(other, operator.pow, "**")

    def __imatmul__(self, other):
        return self._in_place(other, operator.matmul, "@")


_NAMES = {"scipy.linalg.cho_factor": "cholesky"}


_ARRAYS = (
    "Make an array of scalars by overbar.stack([a, b]), instead of writing out[i] = a. What is an array, use as it is. "
    "Instead of a function of SciPy's call that of overbar"
)


#: Arrays of NumPy's and SciPy's that are others than usual, and what to write instead.
_FOREIGN = {
    "a masked array": "Fill it, numpy.ma.filled(A, value), or leave out what is masked",
    "a sparse matrix": "Make it dense, S.toarray(), or write a primitive that multiplies by it, with S.T in its rule",
}
_FOREIGN_MODULES = {"numpy.ma": "a masked array", "scipy.sparse": "a sparse matrix"}


def _name_of(ufunc):
    name = ufunc.__name__
    if getattr(np, name, None) is ufunc:
        return f"numpy.{name}"
    if getattr(sys.modules.get("scipy.special"), name, None) is ufunc:
        return f"scipy.special.{name}"
    return f"a ufunc ({name})"


def _caller():
    """The name of the function of NumPy's or SciPy's that wants an array. What is compiled in NumPy has no frame: then
    it is numpy.array or one of its kind."""
    found, frame = None, sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("numpy", "scipy"):
        module, name = frame.f_globals["__name__"], frame.f_code.co_name
        foreign = _FOREIGN_MODULES.get(".".join(module.split(".")[:2]))
        if foreign is not None:
            return foreign
        if name == "wrapper":  # SciPy's, which loops over a batch and has converted the arrays before it calls
            inner = frame.f_locals.get("f")
            module, name = getattr(inner, "__module__", module), getattr(inner, "__name__", name)
        public = ".".join(itertools.takewhile(lambda part: not part.startswith("_"), module.split(".")))
        if callable(getattr(sys.modules.get(public), name, None)):
            found = f"{public}.{name}"
        frame = frame.f_back
    return found or "numpy.array, numpy.asarray or a function that calls them"


def bare(x):
    """The numbers of an array, traced or not."""
    while type(x) is Traced:
        x = x.value
    return x


def constant(x):
    """An array as rules that are traced get it, traced too."""
    return x if x is None or type(x) is Traced else Traced(as_array(x))


def without_constants(x):
    return x.value if type(x) is Traced and x.tape is None else x


def floating(arrays):
    """The operands of NumPy's arithmetic, arrays of integers and booleans in the dtype that NumPy gives the result."""
    for A in arrays:
        if type(A) is not Traced and _of_integers(A):
            break
    else:
        return arrays
    dtype = np.result_type(*[A if isinstance(A, _NUMBERS) else bare(A).dtype for A in arrays])
    return [A.astype(dtype) if type(A) is not Traced and _of_integers(A) else A for A in arrays]


_NUMBERS = (bool, int, float, complex)


def _of_integers(A):
    return getattr(getattr(A, "dtype", None), "kind", "") in ("b", "i", "u")


def lifted(x):
    """What was computed of numbers alone: a constant of whoever traces. Integers and booleans stay as they are."""
    if isinstance(x, tuple):
        return tuple(map(lifted, x))
    if isinstance(x, (np.ndarray, np.generic)) or (hasattr(x, "dtype") and type(x) is not Traced):
        return Traced(as_array(x)) if x.dtype.kind in "fc" else x
    return x


def moves(x):
    """Whether an array, or one in a sequence of them, has a derivative."""
    if isinstance(x, (list, tuple)):
        return any(map(moves, x))
    return type(x) is Traced and x.dtype.kind in "fc" and without_constants(x) is x


def bare_all(x):
    return type(x)(map(bare_all, x)) if isinstance(x, (list, tuple)) else bare(x)


def tapes(x):
    while type(x) is Traced:
        if x.tape is not None:
            yield x.tape
        x = x.value
