"""A front for a library of its own, as small as can be: arrays that know the call which made them.

May import NumPy and `overbar`. It shows that the contract is all that a front needs. Rules compute with the same arrays
as everything else, so that every derivative has derivatives.
"""

import numpy as np

from overbar import rules
from overbar._front import NUMPY, Front, NumpyFront
from overbar._namespace import register
from overbar._numpy_words import NumpyWords


class Toy:
    def __init__(self, value, call=None, place=0):
        self.value, self.call, self.place = value, call, place
        self.shape, self.dtype, self.ndim = value.shape, value.dtype, value.ndim

    key = property(lambda self: id(self) if self.call is None else (id(self.call), self.place))
    __add__ = __radd__ = lambda self, other: rules.add(self, other)
    __mul__ = __rmul__ = lambda self, other: rules.multiply(self, other)


class ToyWords(NumpyWords):
    name = "Toy"

    def cast(self, A, like):
        return (
            A
            if A.dtype == like.dtype
            else Toy(np.asarray(A.value if A.dtype.kind != "c" else A.value.real, like.dtype))
        )

    def conj(self, A):
        return Toy(np.conj(A.value)) if A.dtype.kind == "c" else A

    def sum_to(self, A, shape):
        return A if A.shape == shape else rules.sum(A, axis=tuple(range(A.ndim - len(shape))))

    def broadcast_to(self, A, shape):
        return A if A.shape == shape else A + Toy(np.zeros(shape, A.dtype))

    def zeros_like(self, A):
        return Toy(np.zeros_like(A.value))


class ToyFront(NumpyFront):
    def as_arrays(self, values):
        return [A if isinstance(A, Toy) else Toy(np.asarray(A)) for A in Front.as_arrays(self, values)]

    def _from_python(self, value, like):
        return np.asarray(value, like.dtype)

    def call(self, primitive, arrays, options):
        for name, value in options.items():
            if isinstance(value, Toy):
                raise TypeError(f"{primitive.name}: the option {name} is a Toy. Make it an array of the primitive.")
        outputs = NUMPY.call(primitive, [A.value for A in arrays], options)
        return tuple(outputs_of((primitive, arrays, options, outputs)))

    def pull(self, primitive, bars, outputs, arrays, options, needed):
        return primitive.pull(self, bars, outputs, arrays, options, needed)

    def push(self, primitive, dots, outputs, arrays, options):
        return primitive.push(self, dots, outputs, arrays, options)


TOY = ToyFront(ToyWords(NUMPY.xp.base))
register(Toy, TOY)


def pull(f, arrays, bars):
    """The bars of the arrays from those of the outputs of f."""
    arrays = [A * 1.0 for A in arrays]  # others than the caller's, who may be differentiating, too
    outputs = f(*arrays)
    calls, moving = _between(arrays, outputs)
    found = {}
    for A, bar in zip(outputs, bars, strict=True):
        _add(found, A, TOY.xp.broadcast_to(bar, A.shape))
    for call in reversed(calls):
        primitive, inputs, options, _ = call
        made = outputs_of(call)
        needed = [A.key in moving for A in inputs]
        in_bars = TOY.pull(primitive, [found.get(A.key) for A in made], made, inputs, options, needed)
        for A, bar in zip(inputs, in_bars, strict=True):
            _add(found, A, bar)
    return [found.get(A.key) for A in arrays]


def push(f, arrays, dots):
    """The tangents of the outputs of f from those of the arrays."""
    arrays = [A * 1.0 for A in arrays]
    outputs = f(*arrays)
    calls, _ = _between(arrays, outputs)
    found = {A.key: dot for A, dot in zip(arrays, dots, strict=True)}
    for call in calls:
        primitive, inputs, options, _ = call
        made = outputs_of(call)
        out_dots = TOY.push(primitive, [found.get(A.key) for A in inputs], made, inputs, options)
        for A, dot in zip(made, out_dots, strict=True):
            _add(found, A, dot)
    return [found.get(A.key) for A in outputs]


def mapped(f, axis):
    return lambda A: f(Toy(np.moveaxis(A.value, axis, 0)))


def outputs_of(call):
    return [Toy(value, call, place) for place, value in enumerate(call[3])]


def _add(found, A, bar):
    if bar is not None:
        found[A.key] = found[A.key] + bar if A.key in found else bar


def _between(arrays, outputs):
    """The calls through which the outputs depend on the arrays, in their order, and the keys of all that does."""
    moving, calls, seen = {A.key for A in arrays}, [], set()
    for A in outputs:
        _visit(A, moving, calls, seen)
    return calls, moving


def _visit(A, moving, calls, seen):
    if A.call is None or A.key in moving or id(A.call) in seen:
        return
    seen.add(id(A.call))
    primitive, inputs, _, _ = A.call
    for B in inputs:
        _visit(B, moving, calls, seen)
    if any(B.key in moving for B in inputs):
        calls.append(A.call)
        moving.update((id(A.call), place) for place in range(primitive.differentiable))
