"""Forward and reverse sweeps over a graph of primitives, in NumPy alone.

May import `overbar._namespace`, `overbar._primitive` and `overbar.rules`. The lecture note's picture: computing f
writes down which primitive made which array from which; a forward sweep carries tangents through this list from first
to last, a reverse sweep carries bars from last to first, adding up where an array was used more than once. `vjp`, `jvp`
and `jacobian` take any function built from primitives; a single primitive is the smallest case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from overbar import rules
from overbar._front import NUMPY, Front, NumpyFront
from overbar._namespace import register
from overbar._numpy_words import NumpyWords

__all__ = ["jacobian", "jvp", "vjp"]


_UFUNCS = {
    "divide": lambda A, B: rules.multiply(A, rules.reciprocal(B)),
    "negative": lambda A: rules.multiply(-1, A),
    **rules.REGISTRY,
}
# NumPy's functions that mean the same as the primitive of that name, for batches too
_SAME_FUNCTIONS = {"cholesky", "concatenate", "matrix_transpose", "sum", "tril", "triu"}


class _Tape:
    """What was computed, in order: the calls of primitives. Arrays are numbered, and the tape does not know them
    otherwise: so nothing that is traced refers to itself, and all of it is freed with the last reference to it."""

    __slots__ = ("calls", "count")

    def __init__(self):
        self.calls, self.count = [], 0


class Traced:
    """A NumPy array whose way through primitives is being written down on a tape."""

    __slots__ = ("slot", "tape", "value")

    def __init__(self, value, tape):
        self.value, self.tape, self.slot = value, tape, tape.count
        tape.count += 1

    shape = property(lambda self: self.value.shape)
    dtype = property(lambda self: self.value.dtype)
    ndim = property(lambda self: self.value.ndim)
    size = property(lambda self: self.value.size)
    mT = property(lambda self: rules.matrix_transpose(self))
    T = mT

    def __repr__(self):
        return f"Traced({self.value!r})"

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        # what NumPy calls for numpy.exp(A), and for its operators where the left side is one of its own arrays
        if method == "__call__" and ufunc.__name__ in _UFUNCS and not kwargs:
            return _UFUNCS[ufunc.__name__](*inputs)
        return self._refuse(f"numpy.{ufunc.__name__}")

    def __array_function__(self, function, types, args, kwargs):
        if function.__name__ in _SAME_FUNCTIONS:
            return rules.REGISTRY[function.__name__](*args, **kwargs)
        return self._refuse(f"numpy.{function.__name__}")

    def __array__(self, *args, **kwargs):
        return self._refuse("a NumPy function")

    def _refuse(self, what):
        raise TypeError(
            f"{what} got an array whose derivative is being traced, and has no rule. Use overbar's primitives inside "
            "the function, or make it a primitive with its own rule."
        )

    def sum(self, axis=None, keepdims=False):
        return rules.sum(self, axis=axis, keepdims=keepdims)

    def reshape(self, *shape):
        return rules.reshape(self, shape=shape[0] if len(shape) == 1 else shape)

    def __len__(self):
        return len(self.value)

    def __bool__(self):
        return bool(self.value)

    def __getitem__(self, index):
        return rules.subset(self, index=index)

    def __add__(self, other):
        return rules.add(self, other)

    def __radd__(self, other):
        return rules.add(other, self)

    def __sub__(self, other):
        return rules.subtract(self, other)

    def __rsub__(self, other):
        return rules.subtract(other, self)

    def __mul__(self, other):
        return rules.multiply(self, other)

    def __rmul__(self, other):
        return rules.multiply(other, self)

    def __truediv__(self, other):
        return _UFUNCS["divide"](self, other)

    def __rtruediv__(self, other):
        return _UFUNCS["divide"](other, self)

    def __matmul__(self, other):
        return rules.matmul(self, other)

    def __rmatmul__(self, other):
        return rules.matmul(other, self)

    def __pow__(self, other):
        return rules.power(self, other)

    def __rpow__(self, other):
        return rules.power(other, self)

    def __neg__(self):
        return _UFUNCS["negative"](self)


class _TraceWords(NumpyWords):
    """The words on traced arrays, as far as rules and functions of primitives are made of primitives."""

    name = "traced NumPy"

    def cast(self, A, like):
        """Of integers, which have no derivative: here `Primitive.apply` asks for no other."""
        return np.asarray(getattr(A, "value", A), like.dtype)

    def eye_like(self, A):
        return super().eye_like(getattr(A, "value", A))

    def zeros_like(self, A):
        return np.zeros_like(getattr(A, "value", A))

    def mT(self, A):
        return rules.matrix_transpose(A)

    def mH(self, A):
        if A.dtype.kind == "c":
            raise TypeError("conj has no rule yet, so that a function with Aᴴ of a complex A cannot be differentiated.")
        return rules.matrix_transpose(A)

    def expand_dims(self, A, axis):
        return (
            rules.reshape(A, shape=np.expand_dims(A.value, axis).shape)
            if isinstance(A, Traced)
            else np.expand_dims(A, axis)
        )

    def squeeze(self, A, axis):
        return rules.reshape(A, shape=np.squeeze(A.value, axis).shape)


class _TraceFront(NumpyFront):
    """NumPy, watched: a call computes by NumPy and is written down on the tape."""

    def as_arrays(self, values):
        return [v if isinstance(v, Traced) else np.asarray(v) for v in Front.as_arrays(self, values)]

    def _from_python(self, value, like):
        return super()._from_python(value, getattr(like, "value", like))

    def call(self, primitive, arrays, options):
        tape, *others = {id(a.tape): a.tape for a in arrays if isinstance(a, Traced)}.values()
        if others:
            raise TypeError(
                "a vjp or jvp inside another one is not possible in NumPy alone. For second derivatives use the same "
                "primitives through torch_ops or tf_ops."
            )
        for name, value in options.items():
            if isinstance(value, Traced):
                raise TypeError(
                    f"{primitive.name}: the option {name} is an array whose derivative is traced, but a primitive "
                    "is differentiated with respect to its arrays only. Make it an array, in front of the `*` and in "
                    "the signature."
                )
        slots = [a.slot if isinstance(a, Traced) else None for a in arrays]
        values = [a.value if isinstance(a, Traced) else a for a in arrays]
        outputs = NUMPY.call(primitive, values, options)
        traced = tuple([Traced(np.asarray(out), tape) for out in outputs])
        tape.calls.append((primitive, slots, values, [out.slot for out in traced], outputs, options))
        return traced


register(Traced, _TraceFront(_TraceWords(NUMPY.xp.base)))


def _trace(f, args):
    """Run f on traced arrays: these, the outputs as a tuple, whether f returned a tuple, the tape."""
    tape = _Tape()
    arrays = []
    for i, value in enumerate(NUMPY.as_arrays(args)):
        if value.dtype.kind not in "fc":
            raise NUMPY.DtypeError(
                f"argument {i} has dtype {value.dtype}; a derivative needs floating point. Convert it, to float64 say."
            )
        arrays.append(Traced(value, tape))
    result = f(*arrays)
    several = isinstance(result, (tuple, list))
    return [a.value for a in arrays], tuple(result) if several else (result,), several, tape


def _value(x):
    return (x.value if isinstance(x, Traced) else np.asarray(x))[()]  # a scalar of NumPy's where there is no dimension


def _slot(x):
    return x.slot if isinstance(x, Traced) else None


def _given(bars, values, what):
    """Check what the user passed for the outputs' bars (or the inputs' dots)."""
    if len(bars) != len(values):
        raise TypeError(f"got {len(bars)} {what}s for {len(values)} arrays. Pass one for each, None where absent.")
    checked = []
    for i, (bar, value) in enumerate(zip(bars, values, strict=True)):
        if bar is not None:
            bar = np.asarray(bar)
            if bar.shape != value.shape:
                raise NUMPY.ShapeError(f"{what} {i} has shape {bar.shape}, but its array has {value.shape}.")
            bar = NUMPY.xp.cast(bar, value)
        checked.append(bar)
    return checked


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
    call of it. Source: the reverse sweep of Giles (2008), section 2.

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
    values, slots = tuple(map(_value, outputs)), list(map(_slot, outputs))
    del outputs  # what is traced knows the tape; the pullback needs the tape only

    def pullback(bar):
        bars = [None] * tape.count
        for slot, given in zip(slots, _given(bar if several else (bar,), values, "cotangent"), strict=True):
            if slot is not None and given is not None:
                bars[slot] = given if bars[slot] is None else bars[slot] + given
        for primitive, inputs, in_values, made, outs, options in reversed(tape.calls):
            out_bars = [bars[slot] for slot in made]
            needed = [slot is not None for slot in inputs]
            for slot, found in zip(
                inputs, primitive.pull(NUMPY, out_bars, outs, in_values, options, needed), strict=True
            ):
                if found is not None:
                    bars[slot] = found if bars[slot] is None else bars[slot] + found
            for slot in made:
                bars[slot] = None
        return tuple([(np.zeros_like(A) if bar is None else bar)[()] for A, bar in zip(arrays, bars, strict=False)])

    return (values if several else values[0]), pullback


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
            for slot, dot in zip(made, primitive.push(NUMPY, in_dots, outs, in_values, options), strict=True):
                tangents[slot] = dot
    values = tuple(map(_value, outputs))
    found = [None if slot is None else tangents[slot] for slot in map(_slot, outputs)]
    dots = tuple([(np.zeros_like(v) if dot is None else dot)[()] for v, dot in zip(values, found, strict=True)])
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
    if np.iscomplexobj(value) or any(np.iscomplexobj(np.asarray(a)) for a in args):
        raise TypeError("jacobian is for real arrays. For complex ones use vjp or jvp.")
    rows = []
    for i in np.ndindex(value.shape):
        unit = np.zeros_like(value)
        unit[i] = 1
        rows.append(pullback(unit)[argnum])
    return (
        np.stack(rows).reshape(value.shape + np.shape(args[argnum]))
        if rows
        else np.zeros(value.shape + np.shape(args[argnum]))
    )
