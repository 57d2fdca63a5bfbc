"""The words of a rule, and the front, for arrays whose way through primitives is written down.

May import NumPy, `overbar._front`, `_namespace`, `_words`, `_numpy_words`, `_traced`, `_traced_functions` and
`overbar.rules`.
"""

from __future__ import annotations

import math

import numpy as np

from overbar import rules
from overbar._front import NUMPY, Front, NumpyFront
from overbar._namespace import as_array, front, namespace, register
from overbar._numpy_words import NumpyWords
from overbar._traced import (
    FUNCTIONS,
    REFLECTED,
    UFUNCS,
    Traced,
    bare,
    bare_all,
    constant,
    floating,
    lifted,
    moves,
    tapes,
)  # fmt: skip
from overbar._traced_functions import functions, ufuncs
from overbar._words import Words
from overbar.rules import _entries, _ufuncs
from overbar.rules._complex_parts import unit


def _words(*args):
    """The words of the numbers in traced arrays, and in sequences of them: NumPy's, or those of another library."""
    found = NUMPY.xp
    for x in args:
        if isinstance(x, (list, tuple)):
            other = _words(*x)
        elif hasattr(x, "dtype"):
            other = namespace(as_array(bare(x)))
        else:
            continue
        found = found if other is NUMPY.xp else other
    return found


def _of_numbers(name):
    """A word whose value changes in steps only, or not at all: computed of the numbers alone."""

    def word(self, *args, **kwargs):
        return lifted(getattr(_words(*args), name)(*map(bare_all, args), **kwargs))

    return word


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
            if any(map(moves, args)):
                raise TypeError(
                    f"{name} got an array whose derivative is being traced, and is no primitive. Take another word, or "
                    "make it a primitive with its own rule."
                )
            return lifted(getattr(_words(*args), name)(*map(bare_all, args), **kwargs))

        return of_constants

    equal, not_equal = _of_numbers("equal"), _of_numbers("not_equal")
    isfinite, isnan, any, all = map(_of_numbers, ("isfinite", "isnan", "any", "all"))
    argsort, argmax, floor, round = map(_of_numbers, ("argsort", "argmax", "floor", "round"))
    zeros_like, ones_like, full_like, eye_like = map(_of_numbers, ("zeros_like", "ones_like", "full_like", "eye_like"))
    power_of_two, permutation_matrix = _of_numbers("power_of_two"), _of_numbers("permutation_matrix")

    exp, log, sqrt, sin, cos, tanh = map(_by, (rules.exp, rules.log, rules.sqrt, rules.sin, rules.cos, rules.tanh))
    reciprocal, log1p, expm1 = _by(rules.reciprocal), _by(rules.log1p), _by(rules.expm1)
    erf, gammaln, logaddexp = _by(rules.erf), _by(rules.gammaln), _by(rules.logaddexp)
    abs, phi, maximum, minimum = map(_by, (rules.abs, rules.phi, rules.maximum, rules.minimum))
    add, subtract, multiply, divide = map(_by, (rules.add, rules.subtract, rules.multiply, _entries.divide))
    matmul, pow, matrix_transpose, mT = map(
        _by, (rules.matmul, rules.power, rules.matrix_transpose, rules.matrix_transpose)
    )
    slogdet = _by(rules.slogdet)
    eig = _by(rules.eig)

    batch_last, batch_first = Words.batch_last, Words.batch_first
    sum_to = Words.sum_to
    cho_solve, fill_diagonal = Words.cho_solve, Words.fill_diagonal

    def detached(self, A):
        return constant(bare(A))

    def add_product(self, C, A, B, scale):
        if not any(map(moves, (C, A, B))) and (xp := _words(C, A, B)) is not NUMPY.xp:
            return lifted(xp.add_product(bare(C), bare(A), bare(B), scale))
        return Words.add_product(self, C, A, B, scale)

    def diagonal_embed(self, d, m, n, offset=0):
        if m == n == d.shape[-1] + abs(offset):
            return rules.diag_embed(d, offset=offset)
        if not moves(d) and (xp := _words(d)) is not NUMPY.xp:
            return lifted(xp.diagonal_embed(bare(d), m, n, offset))
        return Words.diagonal_embed(self, d, m, n, offset)

    def count(self, n, like):
        return _words(like).count(n, bare(like))

    def constant(self, value, like):
        return lifted(_words(like).constant(np.asarray(value), bare(like)))

    def cast(self, A, like):
        return self.astype(A if self.is_complex(like) else self.real(A), like.dtype)

    def astype(self, A, dtype, copy=True):
        if A.dtype == dtype:
            return A
        if not moves(A) or np.dtype(dtype).kind not in "fc":
            return lifted(_words(A).astype(as_array(bare(A)), dtype))
        return _entries.converted(A, dtype=np.dtype(dtype))

    def conj(self, A):
        return rules.conj(A) if A.dtype.kind == "c" else A

    def real(self, A):
        return rules.real(A) if A.dtype.kind == "c" else A

    def imag(self, A):
        return rules.imag(A) if A.dtype.kind == "c" else self.zeros_like(A)

    def mH(self, A):
        if not moves(A) and (xp := _words(A)) is not NUMPY.xp:
            return lifted(xp.mH(bare(A)))
        return self.conj(rules.matrix_transpose(A))

    def sign(self, A):
        if A.dtype.kind != "c":
            return lifted(_words(A).sign(bare(A)))
        return unit(A)

    def polygamma(self, n, A):
        return rules.polygamma(A, n=n)

    def where(self, mask, A, B):
        xp, mask = _words(mask, A, B), as_array(bare(mask))
        if not any(map(moves, (A, B))):
            return lifted(xp.where(mask, bare(A), bare(B)))
        mask = xp.astype(mask, bool)
        A, B = floating((A, B))
        shape = np.broadcast_shapes(*(np.shape(bare(x)) for x in (A, B)))
        wide = np.broadcast_shapes(mask.shape, shape)
        if wide != shape:  # the primitive takes a mask of the shape of its result
            A, B = (self.broadcast_to(x, wide) if isinstance(x, _ARRAYS) else x for x in (A, B))
        return _entries.selected(A, B, mask=xp.broadcast_to(mask, wide))

    def max(self, A, axis=None, keepdims=False):
        return self._first(A, np.argmax, axis, keepdims, "max")

    def min(self, A, axis=None, keepdims=False):
        return self._first(A, np.argmin, axis, keepdims, "min")

    def _first(self, A, find, axis, keepdims, name):
        """The entry that is found first, along some dimensions."""
        if not moves(A):
            return lifted(getattr(_words(A), name)(bare(A), axis=axis, keepdims=keepdims))
        axes = range(A.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = tuple(i % A.ndim for i in axes)
        numbers = np.moveaxis(bare(A), axes, range(-len(axes), 0))
        lead = numbers.shape[: A.ndim - len(axes)]
        rows = numbers.reshape(*lead, math.prod(numbers.shape[len(lead) :]))
        hot = np.arange(rows.shape[-1]) == find(rows, axis=-1)[..., None]
        hot = np.moveaxis(hot.reshape(numbers.shape), range(-len(axes), 0), axes)
        return rules.sum(self.where(hot, A, self.zeros_like(A)), axis=axes, keepdims=keepdims)

    def sum(self, A, axis=None, keepdims=False, **kwargs):
        if not moves(A):
            return lifted(_words(A).sum(bare(A), axis=axis, keepdims=keepdims, **kwargs))
        return rules.sum(A, axis=axis, keepdims=keepdims)

    def reshape(self, A, shape, copy=None):
        return rules.reshape(A, shape=shape) if type(A) is Traced else _words(A).reshape(A, shape)

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
            return lifted(_words(A).broadcast_to(as_array(A), shape))
        return A if A.shape == shape else _entries.broadcast(A, shape=shape)

    def permute_dims(self, A, axes):
        return _entries.permuted(A, axes=tuple(axes)) if type(A) is Traced else _words(A).permute_dims(A, tuple(axes))

    def concat(self, arrays, axis=0):
        if not any(map(moves, arrays)):
            return lifted(_words(arrays).concat([bare(A) for A in arrays], axis=axis))
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

    def put_back(self, B, index, shape, batch):
        return rules.embed(B, index=index, shape=tuple(shape), batch_ndim=len(batch))

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
    """NumPy, watched: a call computes by NumPy and is written down on the tape. So are those of another library whose
    arrays have no derivatives of their own (`Front.swept`)."""

    def takes(self, other):
        return other.swept

    def as_arrays(self, values):
        return [v if isinstance(v, Traced) else as_array(v) for v in Front.as_arrays(self, values)]

    def _from_python(self, value, like):
        return super()._from_python(value, bare(like))

    def enter(self, primitive, arrays, options):
        outputs = self.record(primitive, arrays, options)[1]
        return outputs[0] if primitive.public == 1 else outputs[: primitive.public]

    def record(self, primitive, arrays, options):
        """`Primitive.apply` with `whole`, written down. Arrays are held against the signature by the tape below, which
        sees their numbers."""
        if options is not primitive.defaults:
            self._refuse_options(primitive, options)
        tape, values, slots, plain = None, [], [], True
        for a in arrays:
            slot = None
            if type(a) is Traced:
                own, value = a.tape, a.value
                if type(value) is Traced or (own is not tape and own is not None and tape is not None):
                    tape, values, slots, outputs, lacking, primitive, options = self._below(primitive, arrays, options)
                    break
                if own is not None:
                    tape, slot = own, a.slot
                a = value
            if type(a) is not np.ndarray and a is not None:
                plain = False
            values.append(a)
            slots.append(slot)
        else:  # one sweep alone, as most are
            if plain:
                values, outputs, lacking = primitive.apply(NUMPY, values, options, True)
            else:
                primitive, values, outputs, lacking, options = self._computed(tape, primitive, values, options)
        # a call in tuples: of numbers and arrays alone, the garbage collector does not look at them
        if len(outputs) == 1:  # as most have: what follows, without its loops
            (out,) = outputs
            if type(out) not in _ARRAYS:
                out = as_array(out)
            traced = Traced(out, tape)
            if tape is not None:
                tape.calls.append((primitive, tuple(slots), tuple(values), (traced.slot,), (out,), options, lacking))
            return values, (traced,), lacking, primitive, options
        outputs = tuple([out if type(out) in _ARRAYS else as_array(out) for out in outputs])
        traced = tuple([Traced(out, tape) for out in outputs])
        if tape is not None:
            made = tuple([out.slot for out in traced])
            tape.calls.append((primitive, tuple(slots), tuple(values), made, outputs, options, lacking))
        return values, traced, lacking, primitive, options

    def _below(self, primitive, arrays, options):
        """A call where sweeps are inside one another: the innermost one's tape, and what it writes down. To the tape
        below, arrays of lower tapes are as they are, and constants plain."""
        tapes = [a.tape for a in arrays if type(a) is Traced and a.tape is not None]
        tape = max(tapes, key=lambda tape: tape.level, default=None)
        values, slots, below = [], [], False
        for a in arrays:
            slot = None
            if type(a) is Traced:
                if a.tape is tape or a.tape is None:
                    a, slot = a.value, a.slot
                if type(a) is Traced:
                    below = True
            values.append(a)
            slots.append(slot)
        if not below:
            primitive, values, outputs, lacking, options = self._computed(tape, primitive, values, options)
        else:
            arrays, outputs, lacking, primitive, options = self.record(primitive, values, options)
            values = [v if type(v) is Traced else a for v, a in zip(values, arrays, strict=True)]
            if tape is not None:
                tape.nested = True
        return tape, values, slots, outputs, lacking, primitive, options

    def _computed(self, tape, primitive, values, options):
        """A call with plain arrays, of NumPy or of the library of one of them, which may compute it by a primitive of
        its own."""
        library = front(*[a for a in values if a is not None])
        found, values, outputs, lacking = library.recorded(primitive, values, options)
        if library is not NUMPY and tape is not None:
            tape.foreign = True
        return found, values, outputs, lacking, options if found is primitive else found.defaults

    def _refuse_options(self, primitive, options):
        for name, value in options.items():
            if isinstance(value, Traced):
                raise TypeError(
                    f"{primitive.name}: the option {name} is an array whose derivative is traced, but a primitive "
                    "is differentiated with respect to its arrays only. Make it an array, in front of the `*` and in "
                    "the signature."
                )

    def fits(self, bar, array):
        return super().fits(bar, array) and (type(bar) is not Traced or type(bar.value) in _ARRAYS)

    def project(self, bar, array, primitive, i):
        bar = super().project(bar, array, primitive, i)
        if type(bar) is Traced and bar.tape is None and type(bar.value) not in _ARRAYS:
            # of a library that may know more of it
            return lifted(front(bar.value).project(bar.value, bare(array), primitive, i))
        return bar

    def as_one(self, function, *arrays):
        plain = [as_array(bare(A)) for A in arrays]
        library = front(*plain)
        if library is NUMPY or any(map(moves, arrays)):
            return super().as_one(function, *arrays)
        return lifted(library.as_one(function, *plain))

    def buffer(self, *arrays):
        return None

    def may_write(self, *arrays):
        return False

    def on_the_host(self, A):
        return False

    def may_compute(self, *arrays):
        return False

    def prefers_vectors(self, A, n, count):
        A = bare(A)
        return front(A).prefers_vectors(A, n, count)

    def at_once(self, A, n, count):
        A = bare(A)
        return front(A).at_once(A, n, count)

    def compute(self, kernel, *arrays, **options):
        if any(map(moves, arrays)):
            raise kernel.no_derivative()
        plain = [as_array(bare(A)) for A in arrays]
        return lifted(tuple(front(*plain).compute(kernel, *plain, **options)))

    def constant_function(self, function, arrays, message):
        value = function(*arrays)
        known = {id(tape) for A in arrays for tape in tapes(A)}
        if any(id(tape) not in known for tape in tapes(value)):
            raise TypeError(message)
        return value


_ARRAYS = (np.ndarray, Traced)
TRACE = _TraceFront(_TraceWords(NUMPY.xp.base))
register(Traced, TRACE)
Front.traced = (Traced,)
UFUNCS.update(ufuncs(TRACE.xp))
FUNCTIONS.update(functions(TRACE.xp, floating))


def _method(function):
    return lambda self, *args, **kwargs: self.__array_function__(function, (), (self, *args), kwargs)


def _operator(primitive, reflected):
    """An operator of Python's. What makes each call of a primitive sure of its arrays is left out where it is sure."""

    def operator(self, other):
        kind = type(other)
        if kind is float or kind is int:
            other = np.asarray(other, self.dtype)
        elif kind is not Traced and not (kind is np.ndarray and other.dtype.kind in "fc"):
            if getattr(kind, "__array_ufunc__", True) is None:  # NumPy's word for: leave operators with arrays to me
                return NotImplemented
            return primitive(*floating((other, self) if reflected else (self, other)))
        return TRACE.enter(primitive, (other, self) if reflected else (self, other), primitive.defaults)

    return operator


def _product(A, B):
    """A @ B. Vectors have primitives of their own: as matrices they would take twice as long."""
    if type(A) in _ARRAYS and type(B) in _ARRAYS and A.dtype.kind in "fc" and B.dtype.kind in "fc":
        primitive = _PRODUCTS[A.ndim == 1, B.ndim == 1]
        return TRACE.enter(primitive, (A, B), primitive.defaults)
    return rules.matmul(*floating((A, B)))


_PRODUCTS = {
    (False, False): rules.matmul,
    (False, True): _entries.matrix_times_vector,
    (True, False): _entries.vector_times_matrix,
    (True, True): _entries.vector_times_vector,
}


for _name, _ufunc, _primitive in (
    ("add", np.add, rules.add),
    ("sub", np.subtract, rules.subtract),
    ("mul", np.multiply, rules.multiply),
    ("truediv", np.divide, _entries.divide),
    ("pow", np.power, rules.power),
    ("mod", np.remainder, _ufuncs.remainder),
):
    REFLECTED[_ufunc] = _operator(_primitive, reflected=True)
    setattr(Traced, f"__r{_name}__", REFLECTED[_ufunc])
    setattr(Traced, f"__{_name}__", _operator(_primitive, reflected=False))
REFLECTED[np.matmul] = lambda B, A: _product(A, B)
Traced.__matmul__, Traced.__rmatmul__ = _product, REFLECTED[np.matmul]
Traced.__neg__ = lambda self: -1 * self

for _name in (
    "all", "any", "argmax", "argmin", "argsort", "clip", "cumsum", "diagonal", "dot", "max", "mean", "min", "nonzero",
    "prod", "repeat", "round", "squeeze", "std", "swapaxes", "take", "trace", "var",
):  # fmt: skip
    setattr(Traced, _name, _method(getattr(np, _name)))
