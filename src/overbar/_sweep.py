"""Forward and reverse sweeps over a graph of primitives, in NumPy alone.

May import `overbar._namespace`, `overbar._primitive` and `overbar.rules`. The lecture note's picture: computing f
writes down which primitive made which array from which; a forward sweep carries tangents through this list from first
to last, a reverse sweep carries bars from last to first, adding up where an array was used more than once. `vjp`, `jvp`
and `jacobian` take any function built from primitives; a single primitive is the smallest case. The function may itself
call them: derivatives have derivatives, of any order.
"""

from __future__ import annotations

import inspect
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from overbar import rules
from overbar._front import NUMPY, Front, NumpyFront
from overbar._namespace import front, register
from overbar._numpy_words import NumpyWords
from overbar._traced_functions import OF_NUMBERS, functions, ufuncs
from overbar._words import Words
from overbar.rules import _entries

__all__ = ["jacobian", "jvp", "vjp"]


# NumPy's ufuncs whose results change in steps only, or not at all: of the numbers alone
_STEPS = {
    "ceil", "equal", "floor", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less", "less_equal",
    "not_equal", "rint", "signbit", "trunc",
}  # fmt: skip


class _Tape:
    """What was computed, in order: the calls of primitives. Arrays are numbered, and the tape does not know them
    otherwise: so nothing that is traced refers to itself, and all of it is freed with the last reference to it.

    Where one sweep runs inside another, the tape that was begun later has the higher level. A call is written down on
    the highest tape among those of its arrays; to that one the arrays of the others are constants, and the call goes on
    with them to the next tape below."""

    __slots__ = ("calls", "count", "level")

    _levels = itertools.count()

    def __init__(self):
        self.calls, self.count, self.level = [], 0, next(self._levels)


class Traced:
    """An array whose way through primitives is being written down on a tape. Its value is NumPy's, or traced by a tape
    of a lower level.

    Without a tape it is a constant. Rules that are themselves traced get all their arrays so, and need not care which
    of them move."""

    __slots__ = ("slot", "tape", "value")

    def __init__(self, value, tape=None):
        self.value, self.tape, self.slot = value, tape, None
        if tape is not None:
            self.slot = tape.count
            tape.count += 1

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    mT = property(lambda self: rules.matrix_transpose(self))
    T = property(lambda self: self.transpose())
    real = property(lambda self: TRACE.xp.real(self))
    imag = property(lambda self: TRACE.xp.imag(self))

    def __repr__(self):
        return f"Traced({self.value!r})"

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        # what NumPy calls for numpy.exp(A), and for its operators where the left side is one of its own arrays
        if method == "__call__" and not kwargs:
            if ufunc.__name__ in _UFUNCS:
                return _UFUNCS[ufunc.__name__](*_floating(inputs))
            if ufunc.__name__ in _STEPS:
                return ufunc(*map(bare, inputs))
        return self._refuse(ufunc.__name__)

    def __array_function__(self, function, types, args, kwargs):
        if function in OF_NUMBERS:
            return function(*map(_bare_all, args), **kwargs)
        name = f"{function.__module__.removeprefix('numpy')}.{function.__name__}".removeprefix(".")
        if function in _FUNCTIONS:
            try:
                bound = inspect.signature(_FUNCTIONS[function]).bind(*args, **kwargs)
            except TypeError as error:
                return self._refuse(name, f"in this way, {error}")
            return _FUNCTIONS[function](*bound.args, **bound.kwargs)
        return self._refuse(name)

    def __array__(self, *args, **kwargs):
        raise TypeError(
            "an array whose derivative is being traced cannot become one of NumPy's: its derivative would be lost. Use "
            "it as it is, or take its numbers out of the function as a value of it. (This has no rule.)"
        )

    def _refuse(self, name, how=""):
        ours = name.rpartition(".")[2]
        remedy = f"Call overbar.{ours}" if ours in rules.REGISTRY else "Use overbar's primitives inside the function"
        raise TypeError(
            f"numpy.{name} got an array whose derivative is being traced, and has no rule{how and f' {how}'}. "
            f"{remedy}, or make it a primitive with its own rule."
        )

    def __getattr__(self, name):
        raise AttributeError(
            f"an array whose derivative is being traced has no attribute {name!r}. Use overbar's primitives instead."
        )

    def transpose(self, *axes):
        axes = axes[0] if len(axes) == 1 else axes
        return TRACE.xp.permute_dims(self, axes or range(self.ndim)[::-1]) if self.ndim else self

    def astype(self, dtype):
        if np.dtype(dtype).kind in "biu":
            return bare(self).astype(dtype)
        if self.dtype.kind == "c" and np.dtype(dtype).kind != "c":
            raise TypeError("astype would discard the imaginary part of a traced array. Take its real part, A.real.")
        return TRACE.xp.astype(self, np.dtype(dtype))

    def copy(self):
        return self  # nobody can write into it

    flatten = ravel = lambda self: TRACE.xp.reshape(self, (-1,))
    conj = conjugate = lambda self: TRACE.xp.conj(self)

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
        return _entries.absolute(self)

    def __getitem__(self, index):
        return rules.subset(self, index=index)

    def __add__(self, other):
        return rules.add(*_floating((self, other)))

    def __radd__(self, other):
        return rules.add(*_floating((other, self)))

    def __sub__(self, other):
        return rules.subtract(*_floating((self, other)))

    def __rsub__(self, other):
        return rules.subtract(*_floating((other, self)))

    def __mul__(self, other):
        return rules.multiply(*_floating((self, other)))

    def __rmul__(self, other):
        return rules.multiply(*_floating((other, self)))

    def __truediv__(self, other):
        return _entries.divide(*_floating((self, other)))

    def __rtruediv__(self, other):
        return _entries.divide(*_floating((other, self)))

    def __matmul__(self, other):
        return rules.matmul(*_floating((self, other)))

    def __rmatmul__(self, other):
        return rules.matmul(*_floating((other, self)))

    def __pow__(self, other):
        return rules.power(*_floating((self, other)))

    def __rpow__(self, other):
        return rules.power(*_floating((other, self)))

    def __neg__(self):
        return rules.multiply(-1, self)

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


def _constant(x):
    """An array as rules that are traced get it, traced too."""
    return x if x is None or type(x) is Traced else Traced(np.asarray(x))


def _without_constants(x):
    return x.value if type(x) is Traced and x.tape is None else x


def _floating(arrays):
    """The operands of NumPy's arithmetic, arrays of integers and booleans in the dtype that NumPy gives the result."""
    for A in arrays:
        if type(A) is not Traced and isinstance(A, (np.ndarray, np.generic)) and A.dtype.kind in "biu":
            break
    else:
        return arrays
    dtype = np.result_type(*[bare(A) for A in arrays])
    return [A.astype(dtype) if isinstance(A, (np.ndarray, np.generic)) and A.dtype.kind in "biu" else A for A in arrays]


def _lifted(x):
    """What was computed of numbers alone: a constant of whoever traces. Integers and booleans stay as they are."""
    if isinstance(x, tuple):
        return tuple(map(_lifted, x))
    return Traced(np.asarray(x)) if isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fc" else x


def _moves(x):
    """Whether an array, or one in a sequence of them, has a derivative."""
    if isinstance(x, (list, tuple)):
        return any(map(_moves, x))
    return type(x) is Traced and x.dtype.kind in "fc" and _without_constants(x) is x


def _bare_all(x):
    return type(x)(map(_bare_all, x)) if isinstance(x, (list, tuple)) else bare(x)


def _of_numbers(name):
    """A word whose value changes in steps only, or not at all: computed of the numbers alone."""

    def word(self, *args, **kwargs):
        return _lifted(getattr(NUMPY.xp, name)(*map(_bare_all, args), **kwargs))

    return word


def _tapes(x):
    while type(x) is Traced:
        if x.tape is not None:
            yield x.tape
        x = x.value


def _by(primitive):
    return lambda self, *arrays: primitive(*arrays)


class _TraceWords(NumpyWords):
    """The words on traced arrays. Each is a primitive, or made of primitives (by the defaults of `Words`, too), or has
    no derivative and is computed of the numbers. Any other word of NumPy's takes constants only."""

    name = "traced NumPy"

    def __getattr__(self, name):
        word = getattr(NUMPY.xp, name)
        if not callable(word) or isinstance(word, type):
            return word

        def of_constants(*args, **kwargs):
            if any(map(_moves, args)):
                raise TypeError(
                    f"{name} got an array whose derivative is being traced, and is no primitive. Take another word, or "
                    "make it a primitive with its own rule."
                )
            return _lifted(word(*map(_bare_all, args), **kwargs))

        return of_constants

    equal, not_equal = _of_numbers("equal"), _of_numbers("not_equal")
    isfinite, isnan, any, all = map(_of_numbers, ("isfinite", "isnan", "any", "all"))
    argsort, argmax, floor, round = map(_of_numbers, ("argsort", "argmax", "floor", "round"))
    zeros_like, ones_like, full_like, eye_like = map(_of_numbers, ("zeros_like", "ones_like", "full_like", "eye_like"))
    power_of_two, permutation_matrix = _of_numbers("power_of_two"), _of_numbers("permutation_matrix")

    exp, log, sqrt, sin, cos, tanh = map(_by, (rules.exp, rules.log, rules.sqrt, rules.sin, rules.cos, rules.tanh))
    reciprocal, log1p, expm1 = _by(rules.reciprocal), _by(_entries.log1p), _by(_entries.expm1)
    abs, phi = _by(_entries.absolute), _by(rules.phi)
    add, subtract, multiply, divide = map(_by, (rules.add, rules.subtract, rules.multiply, _entries.divide))
    matmul, pow, matrix_transpose, mT = map(
        _by, (rules.matmul, rules.power, rules.matrix_transpose, rules.matrix_transpose)
    )
    slogdet = _by(rules.slogdet)
    eig = _by(rules.eig)

    add_product, sum_to, diagonal_embed = Words.add_product, Words.sum_to, Words.diagonal_embed

    def detached(self, A):
        return _constant(bare(A))

    def constant(self, value, like):
        return _lifted(np.asarray(value))

    def cast(self, A, like):
        return self.astype(A if self.is_complex(like) else self.real(A), like.dtype)

    def astype(self, A, dtype, copy=True):
        if A.dtype == dtype:
            return A
        if not _moves(A) or np.dtype(dtype).kind not in "fc":
            return _lifted(np.asarray(bare(A), dtype))
        return _entries.converted(A, dtype=np.dtype(dtype))

    def conj(self, A):
        return _entries.conjugate(A) if A.dtype.kind == "c" else A

    def real(self, A):
        return _entries.real_part(A) if A.dtype.kind == "c" else A

    def imag(self, A):
        return _entries.imaginary_part(A) if A.dtype.kind == "c" else self.zeros_like(A)

    def mH(self, A):
        return self.conj(rules.matrix_transpose(A))

    def sign(self, A):
        if A.dtype.kind != "c":
            return _lifted(np.sign(bare(A)))
        return _entries.unit(A)

    def where(self, mask, A, B):
        mask = np.asarray(bare(mask), bool)
        if not any(map(_moves, (A, B))):
            return _lifted(np.where(mask, bare(A), bare(B)))
        A, B = _floating((A, B))
        shape = np.broadcast_shapes(*(np.shape(bare(x)) for x in (A, B)))
        wide = np.broadcast_shapes(mask.shape, shape)
        if wide != shape:  # the primitive takes a mask of the shape of its result
            A, B = (self.broadcast_to(x, wide) if isinstance(x, _ARRAYS) else x for x in (A, B))
        return _entries.selected(A, B, mask=np.broadcast_to(mask, wide))

    def maximum(self, A, B):
        return self.where((bare(A) >= bare(B)) | np.isnan(bare(A)), A, B)

    def minimum(self, A, B):
        return self.where((bare(A) <= bare(B)) | np.isnan(bare(A)), A, B)

    def max(self, A, axis=None, keepdims=False):
        return self._first(A, np.argmax, axis, keepdims, "max")

    def min(self, A, axis=None, keepdims=False):
        return self._first(A, np.argmin, axis, keepdims, "min")

    def _first(self, A, find, axis, keepdims, name):
        """The entry that is found first, along some dimensions."""
        if not _moves(A):
            return _lifted(getattr(np, name)(bare(A), axis=axis, keepdims=keepdims))
        axes = range(A.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(i % A.ndim for i in axes)
        numbers = np.moveaxis(bare(A), axes, range(-len(axes), 0))
        lead = numbers.shape[: A.ndim - len(axes)]
        rows = numbers.reshape(*lead, -1)
        hot = np.arange(rows.shape[-1]) == find(rows, axis=-1)[..., None]
        hot = np.moveaxis(hot.reshape(numbers.shape), range(-len(axes), 0), axes)
        return rules.sum(self.where(hot, A, self.zeros_like(A)), axis=axes, keepdims=keepdims)

    def sum(self, A, axis=None, keepdims=False, **kwargs):
        if not _moves(A):
            return _lifted(np.sum(bare(A), axis=axis, keepdims=keepdims, **kwargs))
        return rules.sum(A, axis=axis, keepdims=keepdims)

    def reshape(self, A, shape, copy=None):
        return rules.reshape(A, shape=shape) if type(A) is Traced else np.reshape(A, shape)

    def expand_dims(self, A, axis=0):
        place = range(A.ndim + 1)[axis]
        return self.reshape(A, (*A.shape[:place], 1, *A.shape[place:]))

    def squeeze(self, A, axis):
        axes = [range(A.ndim)[i] for i in (axis if isinstance(axis, tuple) else (axis,))]
        if any(A.shape[i] != 1 for i in axes):
            raise NUMPY.ShapeError(f"an array of shape {A.shape} is squeezed along axes {axis}, of which one is not 1.")
        return self.reshape(A, tuple([n for i, n in enumerate(A.shape) if i not in axes]))

    def broadcast_to(self, A, shape):
        shape = tuple(shape)
        if type(A) is not Traced:
            return _lifted(np.broadcast_to(A, shape))
        return A if A.shape == shape else _entries.broadcast(A, shape=shape)

    def permute_dims(self, A, axes):
        return _entries.permuted(A, axes=tuple(axes))

    def concat(self, arrays, axis=0):
        if not any(map(_moves, arrays)):
            return _lifted(np.concatenate([bare(A) for A in arrays], axis=axis))
        return rules.concatenate(list(arrays), axis=axis)

    def stack(self, arrays, axis=0):
        return self.concat([self.expand_dims(A, axis=axis) for A in arrays], axis=axis)

    def tril(self, A, k=0):
        return rules.tril(A, diagonal=k)

    def triu(self, A, k=0):
        return rules.triu(A, diagonal=k)

    def diagonal(self, A, offset=0):
        return rules.diagonal(A, offset=offset)

    def subset(self, A, index, ndim):
        return rules.subset(A, index=index, batch_ndim=A.ndim - ndim)

    def embed(self, B, where, shape):
        where, size = np.asarray(bare(where)), math.prod(shape)
        return self.reshape(_entries.scattered(B, where=where, size=size), (*B.shape[:-1], *shape))

    def take(self, A, indices, axis=-1):
        if axis not in (-1, A.ndim - 1):
            raise NotImplementedError("take goes along the last dimension of a traced array.")
        return _entries.gathered(A, where=np.asarray(bare(indices))) if type(A) is Traced else np.take(A, indices, axis)

    def take_along_axis(self, A, indices, axis=-1):
        indices = bare(indices)
        if type(A) is not Traced:
            return np.take_along_axis(A, indices, axis)
        axis %= A.ndim
        cut = lambda shape: (*shape[:axis], 1, *shape[axis + 1 :])  # noqa: E731
        lead = np.broadcast_shapes(cut(A.shape), cut(indices.shape))
        wide = (*lead[:axis], A.shape[axis], *lead[axis + 1 :])
        indices = np.broadcast_to(indices, (*lead[:axis], indices.shape[axis], *lead[axis + 1 :]))
        where = np.take_along_axis(np.arange(math.prod(wide)).reshape(wide), indices, axis)
        flat = self.reshape(self.broadcast_to(A, wide), (math.prod(wide),))
        return self.reshape(self.take(flat, where.reshape(-1)), where.shape)

    def take_rows(self, A, p):
        return Words.take_rows(self, A, bare(p))

    def cholesky(self, A, argument="A", on_error="raise"):
        return rules.cholesky(A, on_error=on_error)

    def solve(self, A, B, check=True):
        return rules.solve(A, B)

    def inv(self, A, warn=False, regular=False):
        return rules.inv(A)

    def inverse(self, A):
        return rules.inv(A)

    def qr(self, A, mode="reduced"):
        return rules.qr(A, mode=mode)

    def eigh(self, A):
        return rules.eigh(A)

    def svd(self, A, full_matrices=False):
        return rules.svd(A, full_matrices=full_matrices)

    def near_pairs(self, w, part):
        return None

    def solve_triangular(self, A, B, *, upper, left=True, adjoint=False, unitriangular=False):
        return rules.solve_triangular(A, B, upper=upper, left=left, adjoint=adjoint, unitriangular=unitriangular)


class _TraceFront(NumpyFront):
    """NumPy, watched: a call computes by NumPy and is written down on the tape."""

    def as_arrays(self, values):
        return [v if isinstance(v, Traced) else np.asarray(v) for v in Front.as_arrays(self, values)]

    def _from_python(self, value, like):
        return super()._from_python(value, bare(like))

    def call(self, primitive, arrays, options):
        tape = None
        for a in arrays:
            if type(a) is Traced and a.tape is not None and (tape is None or a.tape.level > tape.level):
                tape = a.tape
        for name, value in options.items():
            if isinstance(value, Traced):
                raise TypeError(
                    f"{primitive.name}: the option {name} is an array whose derivative is traced, but a primitive "
                    "is differentiated with respect to its arrays only. Make it an array, in front of the `*` and in "
                    "the signature."
                )
        # what the tape below sees: to it, arrays of lower tapes are as they are, and constants plain
        values, below = [], NUMPY
        for a in arrays:
            if type(a) is Traced:
                if a.tape is tape or a.tape is None:
                    a = a.value
                if type(a) is Traced:
                    below = self
            values.append(a)
        outputs = below.call(primitive, values, options)
        outputs = tuple([out if type(out) in _ARRAYS else np.asarray(out) for out in outputs])
        traced = tuple([Traced(out, tape) for out in outputs])
        if tape is not None:
            slots = [a.slot if type(a) is Traced and a.tape is tape else None for a in arrays]
            tape.calls.append((primitive, slots, values, [out.slot for out in traced], outputs, options))
        return traced

    def buffer(self, *arrays):
        return None

    def on_the_host(self, A):
        return False

    def compute(self, kernel, *arrays, **options):
        if any(map(_moves, arrays)):
            raise TypeError(
                f"the kernel {kernel.name} got an array whose derivative is being traced. A kernel has none: a rule "
                "that is to be differentiated calls a primitive around it."
            )
        return _lifted(tuple(NUMPY.compute(kernel, *map(bare, arrays), **options)))

    def constant_function(self, function, arrays, message):
        value = function(*arrays)
        known = {id(tape) for A in arrays for tape in _tapes(A)}
        if any(id(tape) not in known for tape in _tapes(value)):
            raise TypeError(message)
        return value


_ARRAYS = (np.ndarray, Traced)
TRACE = _TraceFront(_TraceWords(NUMPY.xp.base))
register(Traced, TRACE)
_UFUNCS, _FUNCTIONS = ufuncs(TRACE.xp), functions(TRACE.xp)


def _method(function):
    return lambda self, *args, **kwargs: self.__array_function__(function, (), (self, *args), kwargs)


for _name in (
    "all", "any", "argmax", "argmin", "argsort", "clip", "diagonal", "dot", "max", "mean", "min", "nonzero", "squeeze",
    "swapaxes", "trace",
):  # fmt: skip
    setattr(Traced, _name, _method(getattr(np, _name)))


def _watched(*groups):
    for group in groups:
        for x in group:
            if type(x) is Traced:
                return True
    return False


def _pull(primitive, bars, outputs, arrays, options, needed):
    """`Primitive.pull`, whose rule is traced where one of its arrays is, by a sweep around this one."""
    if not _watched(bars, outputs, arrays):
        return primitive.pull(NUMPY, bars, outputs, arrays, options, needed)
    bars, outputs, arrays = ([_constant(x) for x in xs] for xs in (bars, outputs, arrays))
    return [_without_constants(x) for x in primitive.pull(TRACE, bars, outputs, arrays, options, needed)]


def _push(primitive, dots, outputs, arrays, options):
    """`Primitive.push`, in the same way."""
    if not _watched(dots, outputs, arrays):
        return primitive.push(NUMPY, dots, outputs, arrays, options)
    dots, outputs, arrays = ([_constant(x) for x in xs] for xs in (dots, outputs, arrays))
    return [_without_constants(x) for x in primitive.push(TRACE, dots, outputs, arrays, options)]


def _trace(f, args):
    """Run f on traced arrays: these, the outputs as a tuple, whether f returned a tuple, the tape."""
    tape = _Tape()
    arrays = []
    for i, value in enumerate(front(*args).as_arrays(args)):
        value = _without_constants(value)
        if value.dtype.kind not in "fc":
            raise NUMPY.DtypeError(
                f"argument {i} has dtype {value.dtype}; a derivative needs floating point. Convert it, to float64 say."
            )
        arrays.append(Traced(value, tape))
    result = f(*arrays)
    several = isinstance(result, (tuple, list))
    return [a.value for a in arrays], tuple(result) if several else (result,), several, tape


def _value(x, tape):
    """The value of what a traced function returned: of NumPy, or of a sweep around this one."""
    if type(x) is Traced and (x.tape is tape or x.tape is None):
        x = x.value
    return x if type(x) is Traced else np.asarray(x)


def _slot(x, tape):
    return x.slot if type(x) is Traced and x.tape is tape else None


def _returned(x):
    return x if type(x) is Traced else x[()]  # a scalar of NumPy's where there is no dimension


def _given(bars, values, what):
    """Check what the user passed for the outputs' bars (or the inputs' dots)."""
    if len(bars) != len(values):
        raise TypeError(f"got {len(bars)} {what}s for {len(values)} arrays. Pass one for each, None where absent.")
    checked = []
    for i, (bar, value) in enumerate(zip(bars, values, strict=True)):
        if bar is not None:
            bar = bar if type(bar) is Traced else np.asarray(bar)
            if bar.shape != value.shape:
                raise NUMPY.ShapeError(f"{what} {i} has shape {bar.shape}, but its array has {value.shape}.")
            bar = front(bar).xp.cast(bar, value)
        checked.append(bar)
    return checked


def _zeros(like):
    return np.zeros(like.shape, like.dtype)


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Value of f and its pullback (reverse mode), in NumPy.

    Parameters
    ----------
    f : callable
        A primitive, or any function built from primitives (``+ - * / @ **`` and indexing are primitives too). Static
        options go in by `functools.partial` or a lambda.
    *args : array_like
        Where to differentiate: float32, float64, complex64 or complex128, any shape that f takes.

    Returns
    -------
    value
        f(*args), an array or a tuple of arrays.
    pullback : callable
        Takes the bar of the value (for a tuple: a tuple, None where absent) and returns a tuple with the bar of each
        argument, each of its argument's shape and dtype. For complex arrays dz = Re Σ conj(Ā) dA.

    Raises
    ------
    numpy.linalg.LinAlgError
        What f raises; a cotangent of the wrong shape.

    Notes
    -----
    The pullback costs a small constant times f, whatever the number of entries of `args`, and may be called many
    times. It keeps references to the arrays, not copies: do not change `args` or the value in place before the last
    call of it. Inside a function that is differentiated itself, reverse or forward, it gives second derivatives, and so
    on to any order. Source: the reverse sweep of Giles (2008), section 2.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A = np.array([[4.0, 2.0], [2.0, 5.0]])
    >>> L, pullback = overbar.vjp(overbar.cholesky, A)
    >>> pullback(np.array([[1.0, 0.0], [0.0, 1.0]]))[0]
    array([[ 0.3125, -0.125 ],
           [-0.125 ,  0.25  ]])
    """
    arrays, outputs, several, tape = _trace(f, args)
    values = tuple([_value(x, tape) for x in outputs])
    slots = [_slot(x, tape) for x in outputs]
    del outputs  # what is traced knows the tape; the pullback needs the tape only

    def pullback(bar):
        bars = [None] * tape.count
        for slot, given in zip(slots, _given(bar if several else (bar,), values, "cotangent"), strict=True):
            if slot is not None and given is not None:
                bars[slot] = given if bars[slot] is None else bars[slot] + given
        for primitive, inputs, in_values, made, outs, options in reversed(tape.calls):
            out_bars = [bars[slot] for slot in made]
            needed = [slot is not None for slot in inputs]
            for slot, found in zip(inputs, _pull(primitive, out_bars, outs, in_values, options, needed), strict=True):
                if found is not None:
                    bars[slot] = found if bars[slot] is None else bars[slot] + found
            for slot in made:
                bars[slot] = None
        return tuple([_returned(_zeros(A) if bar is None else bar) for A, bar in zip(arrays, bars, strict=False)])

    value = tuple([_returned(value) for value in values])
    return (value if several else value[0]), pullback


def jvp(f: Callable[..., Any], args: Sequence[Any], dots: Sequence[Any]) -> tuple[Any, Any]:
    """Value of f and its pushforward (forward mode), in NumPy.

    Parameters
    ----------
    f : callable
        As for `vjp`.
    args : tuple of array_like
        Where to differentiate.
    dots : tuple of array_like or None
        The tangent of each argument, of its shape; None where it is constant.

    Returns
    -------
    value, dot
        f(*args) and its directional derivative, of the same shape; tuples where f returns a tuple.

    Raises
    ------
    numpy.linalg.LinAlgError
        What f raises; a tangent of the wrong shape.

    Notes
    -----
    Costs a small constant times f for one direction. Source: the forward sweep of Giles (2008), section 2.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A, A_dot = np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2)
    >>> overbar.jvp(overbar.trace, (A,), (A_dot,))
    (np.float64(5.0), np.float64(2.0))
    """
    arrays, outputs, several, tape = _trace(f, args)
    given = _given(dots, arrays, "tangent")
    tangents = [*given, *[None] * (tape.count - len(given))]
    for primitive, inputs, in_values, made, outs, options in tape.calls:
        in_dots = [None if slot is None else tangents[slot] for slot in inputs]
        if any(dot is not None for dot in in_dots):
            for slot, dot in zip(made, _push(primitive, in_dots, outs, in_values, options), strict=True):
                tangents[slot] = dot
    values = [_value(x, tape) for x in outputs]
    found = [None if slot is None else tangents[slot] for slot in [_slot(x, tape) for x in outputs]]
    dots = tuple([_returned(_zeros(v) if dot is None else dot) for v, dot in zip(values, found, strict=True)])
    values = tuple(map(_returned, values))
    return (values, dots) if several else (values[0], dots[0])


def jacobian(f: Callable[..., Any], *args: Any, argnum: int = 0) -> np.ndarray:
    """The local derivative ∂f/∂args[argnum] as an array, in NumPy: the question of the lecture note, how to get a local
    derivative from a propagation rule. Pull back one unit cotangent for each entry of the value.

    Parameters
    ----------
    f : callable
        As for `vjp`; it must return one array.
    *args : array_like
        Where to differentiate. Real; for a complex function use `vjp` or `jvp`.
    argnum : int
        Which argument.

    Returns
    -------
    ndarray
        Shape f(*args).shape + args[argnum].shape; entry [i..., j...] is ∂f[i...]/∂args[argnum][j...].

    Raises
    ------
    TypeError
        Where f returns a tuple, or an array is complex.

    Notes
    -----
    Costs one pullback for each entry of the value, and stores N⁴ numbers for a function between N by N matrices: for
    inspection and tests. Programs use `vjp`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.jacobian(overbar.trace, np.ones((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    value, pullback = vjp(f, *args)
    if isinstance(value, tuple):
        raise TypeError("jacobian takes a function of one output. Select one: lambda A: f(A)[0].")
    if value.dtype.kind == "c" or any(np.asarray(bare(a)).dtype.kind == "c" for a in args):
        raise TypeError("jacobian is for real arrays. For complex ones use vjp or jvp.")
    rows = []
    for i in np.ndindex(value.shape):
        unit = np.zeros(value.shape, value.dtype)
        unit[i] = 1
        rows.append(pullback(unit)[argnum])
    return stacked(rows, value.shape, args[argnum])


def stacked(rows, shape, A):
    """The derivatives by A of the entries of an array of this shape, as one array. What is traced by a sweep around
    this one stays so."""
    shape = (*shape, *np.shape(bare(A)))
    if not rows:
        return np.zeros(shape)
    if not any(type(row) is Traced for row in rows):
        return np.stack(rows).reshape(shape)
    return rules.reshape(rules.concatenate([rules.reshape(row, shape=-1) for row in rows]), shape=shape)
