"""tf.linalg, name for name: overbar's ops where there is one, TensorFlow's own functions and classes for the rest.

May import tensorflow and `tf_ops._ops`. ``from tf_ops import linalg`` instead of ``from tensorflow import linalg``
is the whole change that a program needs.
"""

import tensorflow as tf

from tf_ops import _ops as ops

__all__ = [name for name in dir(tf.linalg) if not name.startswith("_")]

globals().update({name: getattr(ops, name, getattr(tf.linalg, name)) for name in __all__})
