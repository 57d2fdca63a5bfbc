"""Gradients and Hessians of functions of parameters in containers, in NumPy.

May import `overbar._front`, `_namespace`, `_sweep` and `_traced`. A model has its parameters in dicts, lists, tuples
and dataclasses. Their arrays and numbers are the arguments of a sweep, and what comes back is put into the same
containers. An optimiser has one vector: `flatten` goes there and back.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from overbar._front import NUMPY
from overbar._namespace import namespace
from overbar._sweep import jvp, stacked, vjp
from overbar._traced import Traced

__all__ = ["flatten", "grad", "hessian", "hvp", "value_and_grad"]


class Leaves:
    """The arrays and numbers in nested containers, in order; `paths` says where each of them is. What counts as one is
    asked of `chosen(entry, path)`."""

    def __init__(self, chosen=None):
        self.values, self.paths, self.chosen = [], [], chosen or _has_derivative

    def collect(self, tree, path):
        """Take in a container. Returns what makes one of the same kind from the values of a list."""
        parts = _parts(tree)
        if parts is not None:
            builders = [(key, self.collect(part, path + name)) for key, name, part in parts]
            return lambda values: _rebuilt(tree, {key: build(values) for key, build in builders})
        if not self.chosen(tree, path):
            return lambda values: values.constant(tree)
        place = len(self.values)
        self.values.append(tree)
        self.paths.append(path)
        return lambda values: values[place]


class Given(list):
    """Values of a function's leaves; what is no leaf stays as it is."""

    def constant(self, x):
        return x


class _Bars(list):
    """Bars of leaves; what is no leaf has none."""

    def constant(self, x):
        return None


def _parts(tree):
    """The parts of a container, each with the key and with the name that it has in messages; None for what is none."""
    if isinstance(tree, dict):
        return [(key, f"[{key!r}]", part) for key, part in tree.items()]
    if isinstance(tree, (list, tuple)):
        return [(i, f"[{i}]", part) for i, part in enumerate(tree)]
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type):
        return [(f.name, f".{f.name}", getattr(tree, f.name)) for f in dataclasses.fields(tree) if f.init]
    return None


def _rebuilt(tree, parts):
    if isinstance(tree, dict):
        new = copy.copy(tree)  # of the same class, a defaultdict with its factory
        new.update(parts)
        return new
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*parts.values())
    if isinstance(tree, (list, tuple)):
        return type(tree)(parts.values())
    return dataclasses.replace(tree, **parts)


def _has_derivative(x, path):
    """Whether an entry of a container is differentiated: arrays and numbers. Words, switches and functions are not."""
    if x is None or isinstance(x, (str, bytes, bool, np.bool_)) or (callable(x) and not hasattr(x, "dtype")):
        return False
    if isinstance(x, (float, complex, Traced)) or (isinstance(x, (np.ndarray, np.generic)) and NUMPY.xp.is_floating(x)):
        return True
    if isinstance(x, (int, np.integer)) or (isinstance(x, np.ndarray) and x.dtype.kind in "biu"):
        raise NUMPY.DtypeError(
            f"{path} is of integers, {x!r}; a derivative needs floating point. Convert it, to float64 say, or pass it "
            "as another argument, which argnums does not name."
        )
    raise TypeError(
        f"{path} is a {type(x).__module__}.{type(x).__name__}. Gradients are of arrays, numbers, and dicts, lists, "
        "tuples and dataclasses of them."
    )


class _Parameters:
    """The arguments of a call that `argnums` names, taken apart into arrays."""

    def __init__(self, name, f, args, kwargs, argnums):
        several = isinstance(argnums, (tuple, list))
        self.name, self.f, self.args, self.kwargs = name, f, args, kwargs
        self.places = [_place(name, i, len(args)) for i in (argnums if several else (argnums,))]
        leaves = Leaves()
        chosen = [(float(args[i]) if type(args[i]) is int else args[i]) for i in self.places]
        self.builders = [leaves.collect(x, f"argument {i}") for x, i in zip(chosen, self.places, strict=True)]
        if not leaves.values:
            raise TypeError(f"{name}: there is nothing to differentiate by in the arguments of argnums={argnums}.")
        self.arrays, self.paths = _arrays(leaves.values), leaves.paths
        self.several = several

    def value(self, *arrays):
        """f of other arrays in the same places."""
        args = list(self.args)
        for i, build in zip(self.places, self.builders, strict=True):
            args[i] = build(Given(arrays))
        value = self.f(*args, **self.kwargs)
        if isinstance(value, (list, tuple, dict)) or value is None:
            raise TypeError(f"{self.name}: the function returned a {type(value).__name__}, and not one real number.")
        value = value if isinstance(value, Traced) else np.asarray(value)
        if value.shape != () or value.dtype.kind == "c":
            raise TypeError(
                f"{self.name}: the function returned an array of shape {value.shape} and dtype {value.dtype}. It must "
                "return one real number: take the sum, for instance. For other functions there are vjp and jacobian."
            )
        return value

    def gradient(self, *arrays):
        return vjp(self.value, *arrays)[1](1.0)

    def inside(self, found):
        """One thing for each array, in the containers of the arguments."""
        built = tuple([build(_Bars(found)) for build in self.builders])
        return built if self.several else built[0]

    def dots(self, dots):
        """Tangents in the same containers, as a list: each of its array, or None."""
        dots = tuple(dots) if self.several else (dots,)
        if len(dots) != len(self.places):
            raise TypeError(f"{self.name}: got {len(dots)} directions for {len(self.places)} arguments.")
        found = []
        for i, dot in zip(self.places, dots, strict=True):
            self._match(self.args[i], dot, f"argument {i}", found)
        return found

    def _match(self, tree, dot, path, found):
        parts = _parts(tree)
        if parts is None:
            if path in self.paths:
                found.append(dot)
            return
        given = None if dot is None else _parts(dot)
        if dot is not None and (given is None or {key for key, *_ in given} != {key for key, *_ in parts}):
            raise TypeError(
                f"{self.name}: the direction of {path} has other entries than that. It needs the same containers, "
                "with None for what does not move."
            )
        of = {} if given is None else {key: part for key, _, part in given}
        for key, name, part in parts:
            self._match(part, of.get(key), path + name, found)


def _place(name, i, count):
    if not isinstance(i, (int, np.integer)) or isinstance(i, bool) or not -count <= i < count:
        raise TypeError(f"{name}: argnums names argument {i!r} of a call with {count} arguments given by position.")
    return int(i) % count


def _arrays(values):
    """Numbers as arrays without dimensions, real ones real, in single precision where all arrays are."""
    single = [x.dtype.char in "fF" for x in values if hasattr(x, "dtype")]
    real = np.float32 if single and all(single) else np.float64
    return [
        x
        if hasattr(x, "dtype")
        else np.asarray(x, np.result_type(real, np.complex64) if isinstance(x, complex) else real)
        for x in values
    ]


def value_and_grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Make of f a function that returns its value and its gradient, by one reverse sweep in NumPy.

    Parameters
    ----------
    f : callable
        A function built from primitives that returns one real number. It may take nested dicts, lists, tuples and
        dataclasses of arrays and numbers.
    argnums : int or sequence of int
        With respect to which arguments, those given by position.

    Returns
    -------
    callable
        Takes what f takes; returns f's value and the gradient, which comes in the containers of the argument (for a
        sequence: of the arguments, as a tuple). What has no derivative there, a word or a switch, has None.

    Raises
    ------
    TypeError
        f returns something else than one real number; an entry is of integers, or is no array and no number.

    Notes
    -----
    Costs a small constant times f, whatever the number of parameters. For complex arrays df = Re Σ conj(Ā) dA. Source:
    the reverse sweep of Giles (2008), section 2.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> def f(params):
    ...     return overbar.sum((params["A"] @ params["x"]) ** 2) * params["scale"]
    >>> value, bars = overbar.value_and_grad(f)({"A": np.eye(2), "x": np.array([1.0, 2.0]), "scale": 3.0})
    >>> value, bars["x"], bars["scale"]
    (np.float64(15.0), array([ 6., 12.]), np.float64(5.0))
    """

    @functools.wraps(f, updated=())
    def function(*args, **kwargs):
        parameters = _Parameters("value_and_grad", f, args, kwargs, argnums)
        value, pullback = vjp(parameters.value, *parameters.arrays)
        return value, parameters.inside(pullback(1.0))

    return function


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Make of f a function that returns its gradient, by one reverse sweep in NumPy.

    Parameters
    ----------
    f, argnums
        As for `value_and_grad`.

    Returns
    -------
    callable
        Takes what f takes, and returns the gradient in the containers of the argument.

    Raises
    ------
    TypeError
        As `value_and_grad`.

    Notes
    -----
    The gradient of a function of a gradient is a second derivative, and so on to any order. Source: the reverse sweep
    of Giles (2008), section 2.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> def f(x):
    ...     return overbar.sum(x**3)
    >>> overbar.grad(f)(np.array([1.0, 2.0]))
    array([ 3., 12.])
    >>> overbar.grad(overbar.grad(np.sin))(1.0) + np.sin(1.0)
    np.float64(0.0)
    """

    @functools.wraps(f, updated=())
    def function(*args, **kwargs):
        parameters = _Parameters("grad", f, args, kwargs, argnums)
        return parameters.inside(parameters.gradient(*parameters.arrays))

    return function


def hvp(f: Callable[..., Any], args: Sequence[Any], dots: Any, argnums: int | Sequence[int] = 0) -> Any:
    """The Hessian of f times a direction, without the Hessian: forward over reverse mode, in NumPy.

    Parameters
    ----------
    f : callable
        As for `value_and_grad`.
    args : tuple
        Where to differentiate: all arguments of f.
    dots
        The direction, in the containers of the argument, None for what does not move; a tuple of them where `argnums`
        is a sequence.
    argnums : int or sequence of int
        With respect to which arguments.

    Returns
    -------
    The change of the gradient along the direction, in the containers of the argument.

    Raises
    ------
    TypeError
        As `value_and_grad`; the direction has other containers than the argument.

    Notes
    -----
    Costs a small constant times f. Source: the forward sweep of Giles (2008), section 2, over the reverse one.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> x, x_dot = np.array([1.0, 2.0]), np.array([1.0, 0.0])
    >>> overbar.hvp(lambda x: overbar.sum(x**3), (x,), x_dot)
    array([6., 0.])
    """
    parameters = _Parameters("hvp", f, tuple(args), {}, argnums)
    return parameters.inside(jvp(parameters.gradient, parameters.arrays, parameters.dots(dots))[1])


def hessian(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """Make of f a function that returns its Hessian, the matrix of its second derivatives, in NumPy.

    Parameters
    ----------
    f, argnums
        As for `value_and_grad`. The arrays are real.

    Returns
    -------
    callable
        Takes what f takes. Returns, for an array of shape s, one of shape s + s. For containers it is containers in
        containers: ``H["a"]["b"]`` has the derivatives of the bar of a by b.

    Raises
    ------
    TypeError
        As `value_and_grad`; an array is complex.

    Notes
    -----
    Costs a pullback of the gradient for each entry, and stores the square of their number: for few parameters, and
    otherwise there is `hvp`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.hessian(lambda x: x[0] * x[0] * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """

    @functools.wraps(f, updated=())
    def function(*args, **kwargs):
        parameters = _Parameters("hessian", f, args, kwargs, argnums)
        arrays = parameters.arrays
        for path, A in zip(parameters.paths, arrays, strict=True):
            if A.dtype.kind == "c":
                raise TypeError(f"hessian: {path} is complex. A Hessian is of real arrays; for complex ones use hvp.")
        gradient, pullback = vjp(parameters.gradient, *arrays)
        blocks = []
        for i, bar in enumerate(gradient):
            rows = []
            for unit in np.eye(int(arrays[i].size), dtype=bar.dtype):
                units = [unit.reshape(bar.shape) if j == i else None for j in range(len(arrays))]
                rows.append(pullback(tuple(units)))
            columns = [[row[j] for row in rows] for j in range(len(arrays))]
            blocks.append([stacked(c, bar.shape, A) for c, A in zip(columns, arrays, strict=True)])
        return parameters.inside([parameters.inside(row) for row in blocks])

    return function


def flatten(tree: Any) -> tuple[Any, Callable[[Any], Any]]:
    """All numbers of a container of parameters as one vector, as optimisers want them, and the way back.

    Parameters
    ----------
    tree
        Nested dicts, lists, tuples and dataclasses of arrays and numbers: parameters, or a gradient.

    Returns
    -------
    vector : array, shape (count,)
        The entries of all arrays and numbers, in order. Real: of a complex array first the real parts, then the
        imaginary parts. Of single precision where all arrays are.
    rebuild : callable
        Takes such a vector and returns a container like `tree`, with copies of the vector's entries in the shapes and
        dtypes of the arrays of `tree`. What is no array and no number, a word or a switch, is that of `tree`.

    Raises
    ------
    TypeError
        An entry is of integers, or is no array and no number; nothing is there to put into a vector; `rebuild` got a
        complex vector.
    numpy.linalg.LinAlgError
        `rebuild` got an array of another shape than that of the vector.

    Notes
    -----
    A gradient has the containers of its parameters, so its numbers come in the same order: ``flatten(bars)[0]`` is the
    gradient by the vector. That holds for complex arrays as well, whose bars are ∂z/∂(real part) + i ∂z/∂(imaginary
    part). `rebuild` may stand inside a function that is differentiated: ``overbar.hessian(lambda v: f(rebuild(v)))`` is
    one matrix.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> vector, rebuild = overbar.flatten({"scales": np.array([1.0, 2.0]), "noise": 0.5})
    >>> vector
    array([1. , 2. , 0.5])
    >>> rebuild(vector + 1)
    {'scales': array([2., 3.]), 'noise': np.float64(1.5)}
    """
    leaves = Leaves()
    build = leaves.collect(tree, "the container")
    if not leaves.values:
        raise TypeError("flatten: the container has no array and no number.")
    arrays, numbers = _arrays(leaves.values), [not hasattr(x, "dtype") for x in leaves.values]
    parts, places = [], []
    for A, number in zip(arrays, numbers, strict=True):
        xp = namespace(A)
        found = [xp.real(A), xp.imag(A)] if A.dtype.kind == "c" else [A]
        parts += [xp.reshape(part, (-1,)) for part in found]
        places.append((A.shape, A.dtype, parts[-1].dtype, len(found), number))
    dtype = np.result_type(*[part.dtype for part in parts])
    xp = namespace(*parts)
    vector = xp.concat([xp.astype(part, dtype) for part in parts])
    count = int(vector.shape[0])

    def rebuild(vector):
        vector = vector if isinstance(vector, Traced) else np.asarray(vector)
        if vector.shape != (count,):
            raise NUMPY.ShapeError(f"rebuild: got an array of shape {vector.shape}. The vector has shape ({count},).")
        if vector.dtype.kind == "c":
            raise NUMPY.DtypeError("rebuild: got a complex vector. It must be real: take its real part, vector.real.")
        xp, at, values = namespace(vector), 0, []
        for shape, dtype, real, pieces, number in places:
            size, found = int(np.prod(shape)), []
            for _ in range(pieces):
                found.append(xp.reshape(xp.astype(vector[at : at + size], real), shape))
                at += size
            value = found[0] if pieces == 1 else xp.astype(found[0] + 1j * found[1], dtype)
            values.append(value[()] if number else value)
        return build(Given(values))

    return vector, rebuild
