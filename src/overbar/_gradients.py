"""Gradients and Hessians of functions of parameters in containers, in NumPy.

May import `overbar._containers`, `_front`, `_namespace`, `_sweep` and `_traced`. An optimiser has one vector, and a
model has containers: `flatten` goes there and back.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from overbar._containers import Given, Leaves, Opened, arrays_of, is_container, of_parameters, sequence
from overbar._front import NUMPY
from overbar._namespace import as_array, namespace
from overbar._sweep import jvp, stacked, value_and_bars, vjp
from overbar._traced import Traced

__all__ = ["flatten", "grad", "hessian", "hvp", "value_and_grad"]


class _Parameters(Opened):
    """The arguments of a call that `argnums` names, taken apart into arrays."""

    def __init__(self, name, f, args, kwargs, argnums, has_aux=False):
        self.has_aux, self.aux = has_aux, None
        self.several = isinstance(argnums, (tuple, list))
        self.f, self.all_args, self.kwargs = f, args, kwargs
        self.places = [_place(name, i, len(args)) for i in (argnums if self.several else (argnums,))]
        chosen = [(float(args[i]) if type(args[i]) is int else args[i]) for i in self.places]
        otherwise = "if not, pass it as another argument, which argnums does not name"
        super().__init__(name, chosen, [f"argument {i}" for i in self.places], otherwise)
        if not self.arrays:
            raise TypeError(f"{name}: there is nothing to differentiate by in the arguments of argnums={argnums}.")

    def value(self, *arrays):
        """f of other arrays in the same places."""
        args = list(self.all_args)
        for i, x in zip(self.places, self.given(arrays), strict=True):
            args[i] = x
        try:
            value = self.f(*args, **self.kwargs)
        except TypeError as error:
            lists = [i for i in self.places if isinstance(self.all_args[i], (list, tuple))]
            if lists and not any(is_container(self.all_args[i]) for i in lists) and _took_for_an_array(error):
                raise TypeError(
                    f"{self.name}: argument {lists[0]} is a {type(self.all_args[lists[0]]).__name__}, here a container "
                    "of numbers, each with a derivative of its own, and the function took it for an array. Pass an "
                    f"array, numpy.array(x), or make one of the numbers in the function, numpy.stack(x). ({error})"
                ) from error
            raise
        if self.has_aux:
            if not isinstance(value, tuple) or len(value) != 2:
                raise TypeError(
                    f"{self.name}: with has_aux=True the function must return a tuple of two, the number that is "
                    f"differentiated and whatever else is wanted. It returned {_kind(value)}."
                )
            value, aux = value
            self.aux = self._untraced(aux, arrays)
        if isinstance(value, (list, tuple, dict)) or value is None:
            raise TypeError(
                f"{self.name}: the function returned {_kind(value)}, and not one real number."
                + (" With has_aux=True it may return more, beside the number." if self.name.endswith("grad") else "")
            )
        value = as_array(value)
        if value.shape != () or value.dtype.kind == "c":
            raise TypeError(
                f"{self.name}: the function returned an array of shape {value.shape} and dtype {value.dtype}. It must "
                "return one real number: take the sum, for instance. For other functions there are vjp and jacobian."
            )
        return value

    @staticmethod
    def _untraced(aux, arrays):
        """The numbers of arrays that are traced here, in whatever containers; those of a sweep around this one stay."""
        leaves = Leaves(lambda x, path: type(x) is Traced and x.tape in (None, arrays[0].tape))
        build = leaves.collect(aux, "")
        return build(Given([x.value[()] if isinstance(x.value, np.ndarray) else x.value for x in leaves.values]))

    def gradient(self, *arrays):
        return value_and_bars(self.value, arrays)[1]

    def inside(self, found):
        built = super().inside(found)
        return built if self.several else built[0]

    def dots(self, dots):
        return super().dots(sequence(self.name, "dots, for several argnums,", dots) if self.several else (dots,))

    def _remedy(self, dot):
        if self.several or not isinstance(dot, (list, tuple)):
            return ""
        many = len(self.all_args) > 1
        return (
            f"Of one argument it is the direction itself, and no {type(dot).__name__} of them: "
            f"{self.name}(f, ({'x, y' if many else 'x,'}), x_dot)"
            + (", or with argnums=(0, 1) a tuple, (x_dot, y_dot)." if many else ".")
        )


def _kind(value):
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return "None" if value is None else "an array" if hasattr(value, "dtype") else f"a {type(value).__name__}"


def _took_for_an_array(error):
    """Whether an error may be that of a list which was used as if it were an array."""
    words = r"derivative is being traced|'(list|tuple)'|(list|tuple) indices|concatenate (list|tuple)"
    return re.search(words, str(error)) is not None


def _check_argnums(name, argnums):
    """Raise where the argument of the function was given to what makes the gradient."""
    for i in argnums if isinstance(argnums, (tuple, list)) else (argnums,):
        if isinstance(i, (float, complex, np.ndarray, np.inexact, Traced)) or is_container(i):
            raise TypeError(
                f"{name}: argnums is {_kind(i)}, and must be the number of an argument, or a tuple of such numbers. "
                + ("Its tangent comes before." if name == "hvp" else f"Did you mean overbar.{name}(f)(x)?")
            )


def _place(name, i, count):
    if not isinstance(i, (int, np.integer)) or isinstance(i, bool) or not -count <= i < count:
        raise TypeError(f"{name}: argnums names argument {i!r} of a call with {count} arguments given by position.")
    return int(i) % count


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Make of f a function that returns its value and its gradient, by one reverse sweep in NumPy.

    Parameters
    ----------
    f : callable
        A function built from primitives that returns one real number. It may take nested dicts, lists, tuples and
        dataclasses of arrays and numbers. A field of a dataclass with ``metadata={"static": True}`` is an
        option, whatever it is: the gradient has it as it was.
    argnums : int or sequence of int
        With respect to which arguments, those given by position. A whole number is taken for a real one there; within
        a container it is refused, as it may be a count.
    has_aux : bool
        Whether f returns a tuple of two, the number to be differentiated and whatever else is wanted of it: predictions
        or a state, arrays in any containers. Then this is in place of the value.

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

    _check_argnums("value_and_grad", argnums)

    @functools.wraps(f, updated=())
    def function(*args, **kwargs):
        parameters = _Parameters("value_and_grad", f, args, kwargs, argnums, has_aux)
        value, bars = value_and_bars(parameters.value, parameters.arrays)
        return (value, parameters.aux) if has_aux else value, parameters.inside(bars)

    return function


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Callable[..., Any]:
    """Make of f a function that returns its gradient, by one reverse sweep in NumPy.

    Parameters
    ----------
    f, argnums, has_aux
        As for `value_and_grad`.

    Returns
    -------
    callable
        Takes what f takes, and returns the gradient in the containers of the argument; with `has_aux` the gradient and
        what f returned beside the number.

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

    _check_argnums("grad", argnums)

    @functools.wraps(f, updated=())
    def function(*args, **kwargs):
        parameters = _Parameters("grad", f, args, kwargs, argnums, has_aux)
        bars = parameters.inside(parameters.gradient(*parameters.arrays))
        return (bars, parameters.aux) if has_aux else bars

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
    _check_argnums("hvp", argnums)
    parameters = _Parameters("hvp", f, tuple(sequence("hvp", "args", args)), {}, argnums)
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

    _check_argnums("hessian", argnums)

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
    leaves = Leaves(of_parameters("if not, leave it out of the container"))
    build = leaves.collect(tree, "flatten: tree")
    if not leaves.values:
        raise TypeError("flatten: the container has no array and no number.")
    arrays, numbers = arrays_of(leaves.values), [not hasattr(x, "dtype") for x in leaves.values]
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
        vector = as_array(vector)
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
