"""How tf.vectorized_map, tape.jacobian and what else uses TensorFlow's pfor make a primitive one of whole batches.

May import tensorflow and `overbar`. TensorFlow translates the ops of a loop's body one by one, and would forget that
the derivative of ours is the rule: it would differentiate the native ops of the function instead. So the op that ends a
primitive in a graph brings its own translation: the values are those of the native ops, translated; tied to the arrays
they are anew, as in a call of the primitive with one more batch dimension.
"""

import tensorflow as tf
from tensorflow.python.ops.parallel_for.pfor import wrap


def converter(primitive, options, tie, call):
    """The translation of the op whose inputs are the outputs of a primitive, and then its arrays.

    `tie(outputs, arrays, options)` makes the rule the derivative of outputs that have been computed,
    `call(arrays, options)` computes them, too.
    """
    whole, cores, outputs = primitive.signature.whole, primitive.signature.inputs, primitive.signature.outputs

    def convert(pfor_input):
        loop = []  # tensors among the options that differ from one pass of the loop to the next

        def converted(tensor):
            found = pfor_input.pfor._convert_helper(tensor)
            if found.is_stacked:
                loop.append(found.t)
            return found.t

        given = _map(converted, options)
        pfor_input.stack_inputs(range(pfor_input.num_inputs if whole or loop else primitive.outputs))
        found = [out.t for out in pfor_input.inputs[: primitive.outputs]]
        arrays = pfor_input.inputs[primitive.outputs :]
        tensors = [A.t for A in arrays]
        if loop:  # a primitive takes options for a whole batch only

            def once(each):
                slices = dict(zip(map(id, loop), each[len(tensors) :], strict=True))
                return list(call(each[: len(tensors)], _map(lambda t: slices.get(id(t), t), given)))

            tied = tf.map_fn(once, [*tensors, *loop], fn_output_signature=[out.dtype for out in found])
        elif whole:
            tied = tie(found, tensors, {**given, "batch_ndim": given["batch_ndim"] + 1})
        else:
            tensors = aligned(arrays, cores)
            batch = max(A.shape.rank - len(core) for A, core in zip(tensors, cores, strict=True))
            results = [_with_batch(out, core, batch) for out, core in zip(found, outputs, strict=True)]
            tied = [
                y if y.shape.rank == out.shape.rank else tf.reshape(y, tf.shape(out))
                for y, out in zip(tie(results, tensors, given), found, strict=True)
            ]
        return [*(wrap(out, True) for out in tied), *arrays]

    return convert


def aligned(arrays, cores):
    """The tensors of arrays of which some are stacked, so that those broadcast which did so before, in each pass."""
    batch = max(A.t.shape.rank - len(core) - A.is_stacked for A, core in zip(arrays, cores, strict=True))
    return [_with_batch(A.t, core, batch + 1) if A.is_stacked else A.t for A, core in zip(arrays, cores, strict=True)]


def _with_batch(A, core, batch):
    """A stacked tensor with ones behind its first dimension, so that it has that many batch dimensions."""
    for _ in range(batch + len(core) - A.shape.rank):
        A = tf.expand_dims(A, 1)
    return A


def _map(f, value):
    """The options of a primitive with f of each tensor in them, also in an index: (1, slice(0, tensor))."""
    if isinstance(value, tf.Tensor):
        return f(value)
    if isinstance(value, dict):
        return {name: _map(f, part) for name, part in value.items()}
    if isinstance(value, slice):
        return slice(_map(f, value.start), _map(f, value.stop), _map(f, value.step))
    if type(value) in (tuple, list):
        return type(value)(_map(f, part) for part in value)
    return value
