"""An array whose way through primitives is written down: what NumPy's arrays do, and nothing silently otherwise.

May import NumPy, `overbar._namespace`, `overbar._traced_functions` and `overbar.rules`.
"""

from __future__ import annotations

import inspect
import itertools
import operator

import numpy as np

from overbar import rules
from overbar._namespace import namespace
from overbar._traced_functions import OF_NUMBERS

#: NumPy's ufuncs by name and its functions, in the words of traced arrays: `overbar._traced_words` fills them in
UFUNCS, FUNCTIONS = {}, {}

#: the operators of Python's with a traced array on the right, by the ufunc that NumPy's array on the left calls
REFLECTED = {}

_STEPS = {
    "ceil", "equal", "floor", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal",
    "not_equal", "rint", "signbit", "trunc",
}  # fmt: skip


class Tape:
    """What was computed, in order: the calls of primitives. Arrays are numbered, and the tape does not know them
    otherwise: so nothing that is traced refers to itself, and all of it is freed with the last reference to it.

    Where one sweep runs inside another, the tape that was begun later has the higher level. A call is written down on
    the highest tape among those of its arrays; to that one the arrays of the others are constants, and the call goes on
    with them to the next tape below."""

    __slots__ = ("calls", "count", "level", "nested")

    _levels = itertools.count()

    def __init__(self):
        # from 1, so that a slot is true and None is not
        self.calls, self.count, self.level = [], 1, next(self._levels)
        #: whether arrays of a lower tape are among those of the calls
        self.nested = False


class Traced:
    """An array whose way through primitives is being written down on a tape. Its value is NumPy's, or traced by a tape
    of a lower level.

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
        if method == "__call__" and not kwargs:
            if type(inputs[0]) is np.ndarray and ufunc in REFLECTED:  # A + x, where A is one of NumPy's
                return REFLECTED[ufunc](inputs[1], inputs[0])
            if ufunc.__name__ in UFUNCS:
                return UFUNCS[ufunc.__name__](*floating(inputs))
            if ufunc.__name__ in _STEPS:
                return ufunc(*map(bare, inputs))
        return self._refuse(ufunc.__name__)

    def __array_function__(self, function, types, args, kwargs):
        if function in OF_NUMBERS:
            return function(*map(bare_all, args), **kwargs)
        name = f"{function.__module__.removeprefix('numpy')}.{function.__name__}".removeprefix(".")
        if function in FUNCTIONS:
            ours = FUNCTIONS[function]
            try:
                return ours(*args, **kwargs)
            except TypeError:
                try:
                    inspect.signature(ours).bind(*args, **kwargs)
                except TypeError as error:
                    return self._refuse(name, f"in this way, {error}")
                raise
        return self._refuse(name)

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "an array whose derivative is being traced cannot become one of NumPy's: its derivative would be lost. Use "
            "it as it is, or take its numbers out of the function as a value of it. (This has no rule.)"
        )

    def _refuse(self, name, how=""):
        ours = name.rpartition(".")[2]
        remedy = f"Call overbar.{ours}" if ours in rules.__all__ else "Use overbar's primitives inside the function"
        raise TypeError(
            f"numpy.{name} got an array whose derivative is being traced, and has no rule{how and f' {how}'}. "
            f"{remedy}, or make it a primitive with its own rule."
        )

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

    flatten = ravel = lambda self: namespace(self).reshape(self, (-1,))
    conj = conjugate = lambda self: namespace(self).conj(self)

    def sum(self, axis=None, keepdims=False):
        return rules.sum(self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape):
        return rules.reshape(self, shape=shape[0] if len(shape) == 1 else shape)

    def __len__(self):
        return len(bare(self))

    def __iter__(self):
        if self.ndim == 0:
            raise TypeError("iteration over a traced array without dimensions")
        return (self[i] for i in range(len(self)))

    def __contains__(self, x):
        return bare(x) in bare(self)

    def __setitem__(self, index, value):
        raise TypeError("a traced array cannot be written into. Build it, by overbar.concatenate or overbar.embed.")

    def __float__(self):
        raise TypeError(
            "a traced array cannot become a number of Python's: its derivative would be lost. Use it as it is."
        )

    __int__ = __complex__ = __index__ = __float__

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


def bare(x):
    """The numbers of an array, traced or not."""
    while type(x) is Traced:
        x = x.value
    return x


def constant(x):
    """An array as rules that are traced get it, traced too."""
    return x if x is None or type(x) is Traced else Traced(np.asarray(x))


def without_constants(x):
    return x.value if type(x) is Traced and x.tape is None else x


def floating(arrays):
    """The operands of NumPy's arithmetic, arrays of integers and booleans in the dtype that NumPy gives the result."""
    for A in arrays:
        if type(A) is not Traced and isinstance(A, (np.ndarray, np.generic)) and A.dtype.kind in "biu":
            break
    else:
        return arrays
    dtype = np.result_type(*[bare(A) for A in arrays])
    return [A.astype(dtype) if isinstance(A, (np.ndarray, np.generic)) and A.dtype.kind in "biu" else A for A in arrays]


def lifted(x):
    """What was computed of numbers alone: a constant of whoever traces. Integers and booleans stay as they are."""
    if isinstance(x, tuple):
        return tuple(map(lifted, x))
    return Traced(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fc" else x


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
