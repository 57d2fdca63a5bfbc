"""How kernels of `overbar.kernels` are computed under XLA, which has no host to call: how such a way is written.

May import tensorflow, NumPy, `overbar` and `_internals`. The files `_bands`, `_elimination`, `_equations`, `_riccati`,
`_roots`, `_schur` and `_toeplitz` have the ways, each of them the implementation of a kernel at the place "XLA", which
`Front.compute` asks for. They take stacks, (k, m, n), all matrices of which go through the same steps.
"""

import math

import numpy as np
import tensorflow as tf

from overbar._namespace import namespace

#: the place at which a kernel has the implementations of these files
XLA = "XLA"

#: LAPACK's bound for QR iterations: so many sweeps for each eigenvalue, on the average
SWEEPS = 30

#: Columns of zeros at the end: the entries of a column are as far from each other in memory as a row is long, and if
#: that is a power of two, a cache has room for a few of them only.
APART = 4


def way_of(kernel):
    """Make a function of tensors (k, ...), with the batch dimensions of all of them flattened to one, the way in which
    XLA computes a kernel."""

    def register(function):
        @kernel.implemented_by(place=XLA)
        def implementation(*arrays, **options):
            cores = [len(core) for core in kernel.signature.inputs]
            leads = [tf.shape(A)[: A.shape.rank - core] for A, core in zip(arrays, cores, strict=True)]
            batch = leads[0]
            for lead in leads[1:]:
                batch = tf.broadcast_dynamic_shape(batch, lead)
            dtypes = kernel.dtypes(*(A.dtype.as_numpy_dtype for A in arrays))
            shapes = kernel.shapes(*(tuple(A.shape) for A in arrays))
            if any(0 in shape for shape in shapes):
                empty = [tf.concat([batch, _core_shape(kernel, arrays, i)], 0) for i in range(len(shapes))]
                found = [tf.zeros(shape, dtype) for shape, dtype in zip(empty, dtypes, strict=True)]
            else:
                stacks = [_stack(A, core, batch) for A, core in zip(arrays, cores, strict=True)]
                found = function(*stacks, **options)
                found = found if isinstance(found, tuple) else (found,)
                found = [tf.reshape(x, tf.concat([batch, tf.shape(x)[1:]], 0)) for x in found]
            return tuple(
                tf.ensure_shape(cast(x, tf.as_dtype(dtype)), shape)
                for x, dtype, shape in zip(found, dtypes, shapes, strict=True)
            )

        return implementation

    return register


def _core_shape(kernel, arrays, output):
    """The core dimensions of an output, as a tensor."""
    sizes = {}
    for A, core in zip(arrays, kernel.signature.inputs, strict=True):
        sizes |= {dim: tf.shape(A)[i - len(core)] for i, dim in enumerate(core)}
    return [int(dim) if dim.isdigit() else sizes[dim] for dim in kernel.signature.outputs[output]]


def _stack(A, core, batch):
    tail = tf.shape(A)[A.shape.rank - core :]
    known = A.shape[A.shape.rank - core :]
    A = tf.reshape(tf.broadcast_to(A, tf.concat([batch, tail], 0)), tf.concat([[tf.reduce_prod(batch)], tail], 0))
    return tf.ensure_shape(A, [A.shape[0], *known])


def cast(x, dtype):
    """x in another dtype; its real part where that is real."""
    if x.dtype.is_complex and not dtype.is_complex:
        x = tf.math.real(x)
    return x if x.dtype == dtype else tf.cast(x, dtype)


def double_precision(arrays):
    """The dtype in double precision of what is computed from all of them."""
    return tf.complex128 if any(A.dtype.is_complex for A in arrays) else tf.float64


def power_of_two(A):
    return namespace(A).power_of_two(A)


def norm(A):
    return tf.math.real(tf.norm(A, axis=(-2, -1)))


def is_finite(A):
    """For each matrix. (A maximum may lose a NaN.)"""
    return tf.reduce_all(tf.math.is_finite(tf.abs(A)), axis=[-2, -1])


def is_zero(A):
    """For each matrix, (..., 1, 1)."""
    return tf.reduce_all(tf.equal(A, 0), axis=[-2, -1], keepdims=True)


def or_nan(fine, A):
    """The matrices, NaN instead of those that are not fine."""
    return tf.where(fine[..., None, None], A, tf.cast(tf.constant(math.nan, tf.float64), A.dtype))


def sizes(A):
    """The sizes of a tensor, scalar tensors where they are not known while the graph is built."""
    known = A.shape
    return tuple(tf.shape(A)[i] if size is None else size for i, size in enumerate(known))


def loop(condition, body, state):
    """tf.while_loop, of tensors that keep their shapes."""
    state = [tf.convert_to_tensor(x) for x in state]

    def keeping(*old):
        new = [tf.convert_to_tensor(x) for x in body(*old)]
        for x, like in zip(new, old, strict=True):
            x.set_shape(like.shape)
        return new

    return tf.while_loop(condition, keeping, state)


def modulus(x):
    """|Re x| + |Im x|, by which LAPACK compares complex numbers."""
    return tf.abs(tf.math.real(x)) + tf.abs(tf.math.imag(x)) if x.dtype.is_complex else tf.abs(x)


def square_of(x):
    return tf.math.real(x * tf.math.conj(x)) if x.dtype.is_complex else x * x


def eps_of(x):
    return float(np.finfo(x.dtype.as_numpy_dtype).eps)


def divided(x, y):
    """x / y; x where y is zero."""
    return x / tf.where(tf.equal(y, 0), tf.ones_like(y), y)
