"""Which library an array belongs to: its front, and the words in which rules speak to it.

May import NumPy, array-api-compat and `overbar._front`; never a framework. Arrays of a library that nobody registered
are refused: it would compute the values, and where it differentiates by itself, do so without the rules.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_compat
import numpy as np

from overbar._front import NUMPY, PYTHON, Front
from overbar._words import Words

__all__ = ["NUMPY", "as_array", "front", "mH", "mT", "namespace", "register"]

_WEAK = object()


_known = {np.ndarray: NUMPY, np.generic: NUMPY} | dict.fromkeys(PYTHON, _WEAK)


_found = dict(_known)


_fronts = {"torch": "torch_ops", "tensorflow": "tf_ops", "keras": "tf_ops", "dask": "dask_ops"}


_without_front = {
    "jax": "JAX",
    "jaxlib": "JAX",
    "cupy": "CuPy",
}


_remedies = {
    "JAX": "jax.grad would differentiate the steps of the function, without overbar's rule. Convert it with "
    "numpy.asarray where no transform of JAX's is at work",
    "CuPy": "Convert it with cupy.asnumpy, or use torch_ops on the device, torch.from_dlpack(A)",
}


#: for each package of a framework with derivatives of its own: the framework, and what takes derivatives there
_derivatives = {
    "torch_ops": ("PyTorch", "torch.autograd.grad and torch.func"),
    "tf_ops": ("TensorFlow", "tf.GradientTape and tf.autodiff.ForwardAccumulator"),
}


def register(array_type: type, front: Front) -> None:
    """Make this the front of arrays of this type and of its subclasses. A front calls it when imported."""
    _known[array_type] = front
    _found.clear()
    _found.update(_known)


def _find(array):
    kind = type(array)
    for base in kind.__mro__:
        if base in _known:
            break
    else:
        fronts = dict.fromkeys(front for front in _known.values() if front is not _WEAK)
        adopting = next((front for front in fronts if front.adopts(array)), None)
        if adopting is not None:
            _found[kind] = adopting
            return adopting
        library = kind.__module__.partition(".")[0]
        front = _fronts.get(library)
        if front is not None:
            raise TypeError(
                f"got a {kind.__module__}.{kind.__name__}, but nothing has imported {front} yet. "
                f"Add `import {front}`: it makes every primitive of overbar an op of that framework."
            )
        name = _without_front.get(library)
        if name is not None:
            raise TypeError(
                f"got a {kind.__module__}.{kind.__name__}, but overbar has no front for {name}. {_remedies[name]}."
            )
        if array_api_compat.is_array_api_obj(array):
            raise TypeError(
                f"got a {kind.__module__}.{kind.__name__}, an array of a library for which overbar has no front. "
                "Convert it with numpy.asarray."
            )
        if callable(getattr(kind, "to_numpy", None)):  # of pandas and its like
            raise TypeError(
                f"got a {kind.__module__}.{kind.__name__}, which is not an array. Convert it with its method "
                "to_numpy()."
            )
        raise TypeError(
            f"got a {kind.__module__}.{kind.__name__}, which is not an array. "
            "Pass NumPy arrays, nested lists of numbers, or arrays of a framework."
        )
    if issubclass(kind, np.ma.MaskedArray):
        raise TypeError(
            "got a masked array, whose mask no matrix function knows. Fill it, numpy.ma.filled(A, value), or leave out "
            "what is masked."
        )
    if issubclass(kind, np.matrix):
        raise TypeError(
            "got a numpy.matrix, whose * is the product of matrices and not that of entries. Convert it with "
            "numpy.asarray, and write @ for products of matrices."
        )
    _found[kind] = _known[base]
    return _known[base]


def differentiated_elsewhere(value: Any) -> str | None:
    """What the sweeps in NumPy have to say of an array of a framework, which differentiates by itself, whether or not
    its front has been imported; None of anything else."""
    kind = type(value)
    packages = (_fronts.get(base.__module__.partition(".")[0]) for base in kind.__mro__)
    package = next((name for name in packages if name in _derivatives), None)
    if package is None:
        return None
    library, functions = _derivatives[package]
    return (
        f"a {kind.__module__}.{kind.__name__}, and overbar's sweeps differentiate arrays of NumPy and Dask only. With "
        f"`import {package}` every primitive is an op of {library}, of which {functions} take derivatives by its "
        "rules. In a rule, where p is another primitive, call its rule, which is written in words of every library: "
        "p.vjp_rule(C_bar, C, A) or p.jvp_rule(C, A), with C = p(A) and all options."
    )


def known_front(value: Any) -> Front | None:
    """The front of the library that a value is an array of; None where it is none of a library that has a front."""
    found = _found.get(type(value))
    return None if found is _WEAK else found


def as_array(x: Any) -> Any:
    """An array of a library that overbar's sweeps differentiate as it is; anything else as one of NumPy's."""
    if type(x) is np.ndarray:
        return x
    found = next((_known[base] for base in type(x).__mro__ if base in _known), None)
    return x if isinstance(found, Front) and found is not NUMPY and found.swept else np.asarray(x)


def kept_real(xp, value, array):
    """An array that `as_arrays` has made of a value, real where that is a real number of Python's: beside complex
    arrays it has adopted their dtype."""
    return xp.real(array) if isinstance(value, (bool, int, float)) and xp.is_complex(array) else array


def known_shape(x: Any) -> tuple[int | None, ...] | None:
    """The shape, with None for a size that is not known yet; None where the rank is not. What `static_shape` is, in
    words that a compiler of Python reads before it gets to a primitive."""
    return None if getattr(x.shape, "rank", 0) is None else tuple(x.shape)


def dimensions(x: Any) -> tuple[int, ...]:
    """The shape of an array, and () of a number of Python's. (`torch.compile` makes a variable of its graph of a number
    that changes, and cannot ask such a variable whether it has a shape. It knows its type.)"""
    return () if isinstance(x, PYTHON) else getattr(x, "shape", ())


def front(*arrays: Any) -> Front:
    """The front of the library that the given arrays have in common.

    NumPy's, where there are only NumPy arrays and Python numbers. Where NumPy arrays stand beside arrays of a framework
    it is the framework's, which converts them or says why not. Raises TypeError for what is no array, for arrays of a
    library that has no front, and for arrays of two frameworks.
    """
    common = None
    for array in arrays:
        found = _found.get(type(array)) or _find(array)
        if found is _WEAK or found is common:
            continue
        if common is None or common is NUMPY or found.takes(common):
            common = found
        elif not common.takes(found):
            raise TypeError(f"got arrays of {common.name} and of {found.name} in one call. Convert one of them first.")
    return NUMPY if common is None else common


def named(function: str, found: Callable[..., Any], **arguments: Any) -> Any:
    """``found(*values)``, `front` for instance, where an error for a value that is no array says of which function and
    which argument."""
    try:
        return found(*arguments.values())
    except TypeError as error:
        if type(error) is not TypeError:  # of a dtype, say
            raise
        words = str(error)
    for argument, value in arguments.items():
        try:
            found(value)
        except TypeError as error:
            words = f"argument {argument} is {str(error).removeprefix('got ')}"
            break
    raise TypeError(f"{function}: {words}")


def namespace(*arrays: Any) -> Words:
    """The words in which to compute with the given arrays: those of the front that they have in common.

    >>> namespace(np.eye(2), 3.0)
    <namespace of NumPy>
    """
    if len(arrays) == 1:
        found = _found.get(type(arrays[0]))
        if found is not None and found is not _WEAK:
            return found.xp
    return front(*arrays).xp


def mT(A: Any) -> Any:
    """The transpose of the last two dimensions."""
    return namespace(A).mT(A)


def mH(A: Any) -> Any:
    """The conjugate transpose of the last two dimensions."""
    if type(A) is np.ndarray:  # the word of most rules: what finding the namespace takes would show
        return A.swapaxes(-1, -2) if A.dtype.kind != "c" else A.swapaxes(-1, -2).conj()
    return namespace(A).mH(A)
