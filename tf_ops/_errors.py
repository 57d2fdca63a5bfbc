"""The exceptions that a user of TensorFlow expects, made of a message.

May import tensorflow.
"""

import tensorflow as tf


class ShapeError(tf.errors.InvalidArgumentError, ValueError):
    """A tensor's shape does not fit the function. (An InvalidArgumentError and a ValueError.)"""


class DtypeError(tf.errors.InvalidArgumentError, TypeError):
    """A tensor's dtype is not real or complex floating point. (An InvalidArgumentError and a TypeError.)"""


def _maker(kind):
    # The classes keep TensorFlow's own signature, by which AutoGraph makes them again with a better traceback.
    return lambda message: kind(None, None, message)


shape_error, dtype_error = _maker(ShapeError), _maker(DtypeError)
linalg_error = _maker(tf.errors.InvalidArgumentError)
