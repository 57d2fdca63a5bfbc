"""Few numbers, eagerly and on the CPU: a primitive and its rules, computed by NumPy.

May import tensorflow, NumPy, `overbar._by_numpy` (which says why), `overbar._namespace` and `_internals`.
"""

import numpy as np
import tensorflow as tf

from overbar._by_numpy import attempt, takes_constants
from overbar._namespace import NUMPY
from tf_ops._internals import are_ops_inspected

#: Up to so many numbers in all arrays together: with more of them TensorFlow's threads may gain more than NumPy does.
FEW = 2**14 - 1

#: Beside those of single entries: what TensorFlow does in one operation, and NumPy in more, or no quicker.
_ONE_OPERATION = {"inv", "qr", "solve_triangular", "tril", "triu"}

# the core dimensions of what `Words.solve_by_factors` keeps
_FACTORS = (("n", "r"), ("s",))


def at_hand(A):
    """Whether the numbers in a tensor can be looked at without waiting for a device."""
    return tf.executing_eagerly() and hasattr(A, "numpy") and A.device.rpartition("device:")[-1].startswith("CPU")


def computed(primitive, arrays, options):
    """All outputs of a primitive as new tensors; None where TensorFlow is to compute them."""
    signature = primitive.signature
    if primitive.name in _ONE_OPERATION or not any(signature.inputs):
        return None
    given = _numbers(primitive, arrays, options)
    if given is None or _holds_factors(primitive, given, signature.inputs):
        return None
    found = attempt(lambda: primitive.run(given, options))
    if found and primitive.of_one_library:  # nothing is kept: that is what every library can read
        pairs = zip(found, signature.outputs, strict=True)
        found = [x[..., :0].astype(given[0].dtype) if core in _FACTORS else x for x, core in pairs]
    return found and tuple(map(_tensor, found))


def pulled(primitive, bars, outputs, arrays, options, needed):
    """`Primitive.pull`, where nobody watches; None where TensorFlow is to compute it."""
    return _derived(primitive, primitive.pull, bars, outputs, arrays, options, needed)


def pushed(primitive, dots, outputs, arrays, options):
    """`Primitive.push`, likewise."""
    return _derived(primitive, primitive.push, dots, outputs, arrays, options)


def _derived(primitive, derive, moving, outputs, arrays, options, *more):
    """What `derive` makes of bars or tangents, some of which may be None."""
    given = _numbers(primitive, [*arrays, *outputs, *(x for x in moving if x is not None)], options)
    if given is None:
        return None
    k, last = len(arrays), len(arrays) + len(outputs)
    there = iter(given[last:])
    moving = [None if x is None else next(there) for x in moving]
    arrays, outputs, signature = given[:k], given[k:last], primitive.signature
    if _holds_factors(primitive, arrays, signature.inputs) or _holds_factors(primitive, outputs, signature.outputs):
        return None
    found = attempt(lambda: derive(NUMPY, moving, outputs, arrays, options, *more))
    return found and [None if x is None else _tensor(x) for x in found]


def _holds_factors(primitive, arrays, cores):
    """Whether there are factors of a matrix among the arrays, which are in TensorFlow's form."""
    if not primitive.of_one_library:
        return False
    return any(A.size and core in _FACTORS for A, core in zip(arrays, cores, strict=True))


def _tensor(x):
    return tf.constant(np.asarray(x))  # a number of NumPy's may be one of Python's, too, and is no array


def _numbers(primitive, tensors, options):
    """The tensors as NumPy's arrays, which share their memory; None where NumPy is not to compute with them."""
    if not takes_constants(primitive, options) or are_ops_inspected():
        return None
    found, count = [], 0
    for tensor in tensors:
        if not at_hand(tensor):
            return None
        array = np.asarray(tensor)
        count += array.size
        if count > FEW or array.dtype.char not in "fdFDil":
            return None
        found.append(array)
    return found
