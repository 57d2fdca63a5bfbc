"""How tf.vectorized_map, tape.jacobian and what else uses TensorFlow's pfor make a primitive one of whole batches.

May import tensorflow and `overbar`. TensorFlow translates the ops of a loop's body one by one, and would forget that
the derivative of ours is the rule: it would differentiate the native ops of the function instead. So the op that ends a
primitive in a graph brings its own translation: the values are those of the native ops, translated; tied to the arrays
they are anew, as in a call of the primitive with one more batch dimension.

Two more kinds of ops bring one, because TensorFlow's of what depends on them is none that always runs. A branch whose
predicate differs from pass to pass becomes both branches, each of the passes that take it, also where these are none:
and what has no translation of its own and so is a loop over these passes, such as a singular value decomposition, has
lost its shape when there were none. XLA cannot compile this, nor a loop whose end differs from pass to pass. But a
choice for a batch, or the end of its iteration, is one for all of its matrices, and the passes are one more batch.
"""

import tensorflow as tf

from tf_ops._internals import same_in_all, set_converter, stacked, usual_converter


def converter(primitive, options, others, tie, call):
    """The translation of the op whose inputs are the outputs of a primitive, its arrays, the tensors among its
    options, and some others.

    `tie(outputs, arrays, options, others)` makes the rule the derivative of outputs that have been computed,
    `call(arrays, options)` computes them, too.
    """
    whole, cores, outputs = primitive.signature.whole, primitive.signature.inputs, primitive.signature.outputs
    count = len(tensors_in(options))

    def convert(pfor_input):
        last = pfor_input.num_inputs - count - others
        extra = pfor_input.inputs[last:]
        loop = [option.t for option in extra[:count] if option.is_stacked]  # these differ from one pass to the next
        given, rest = with_tensors(options, [option.t for option in extra]), [other.t for other in extra[count:]]
        pfor_input.stack_inputs(range(last if whole or loop else primitive.outputs))
        found = [out.t for out in pfor_input.inputs[: primitive.outputs]]
        arrays = pfor_input.inputs[primitive.outputs : last]
        tensors = [A.t for A in arrays]
        if loop:  # a primitive takes options for a whole batch only

            def once(each):
                slices = dict(zip(map(id, loop), each[len(tensors) :], strict=True))
                return list(call(each[: len(tensors)], on_tensors(lambda t: slices.get(id(t), t), given)))

            tied = tf.map_fn(once, [*tensors, *loop], fn_output_signature=[out.dtype for out in found])
        elif whole:
            tied = tie(found, tensors, {**given, "batch_ndim": given["batch_ndim"] + 1}, rest)
        else:
            tensors = aligned(arrays, cores)
            batch = max(A.shape.rank - len(core) for A, core in zip(tensors, cores, strict=True))
            results = [_with_batch(out, core, batch) for out, core in zip(found, outputs, strict=True)]
            tied = [
                y if y.shape.rank == out.shape.rank else tf.reshape(y, tf.shape(out))
                for y, out in zip(tie(results, tensors, given, rest), found, strict=True)
            ]
        return [*(stacked(out) for out in tied), *arrays, *extra]

    return convert


def of_all_passes(reduce, x):
    """`reduce(x)`, such as tf.reduce_any, a predicate or number about a whole batch, in a graph; where that is one of
    the passes of a loop, the same of all passes, so that what depends on it is decided once."""
    found = tf.identity(reduce(x))
    set_converter(found.op, lambda pfor_input: [same_in_all(of_all_passes(reduce, pfor_input.inputs[0].t))])
    return found


def in_one_piece(function, arrays, cores):
    """The outputs, a tuple, of a function of stacks of matrices, in a graph, as an op that becomes the same function
    of the stacks of all passes. For functions with loops, which end when the last matrix of a stack is done. `cores`:
    the core dimensions of each array."""
    found = tuple(tf.function(lambda *arrays: tuple(function(*arrays)), autograph=False)(*arrays))
    op = found[0].op

    def convert(pfor_input):
        if len(op.outputs) != len(found):  # a tape has asked for what its derivatives need
            return usual_converter(pfor_input)
        return [stacked(out) for out in in_one_piece(function, aligned(pfor_input.inputs, cores), cores)]

    if len(op.inputs) == len(arrays) and len(op.outputs) == len(found):  # else it reads what is not among the arrays
        set_converter(op, convert)
    return found


def aligned(arrays, cores):
    """The tensors of arrays of which some are stacked, so that those broadcast which did so before, in each pass."""
    batch = max(A.t.shape.rank - len(core) - A.is_stacked for A, core in zip(arrays, cores, strict=True))
    return [_with_batch(A.t, core, batch + 1) if A.is_stacked else A.t for A, core in zip(arrays, cores, strict=True)]


def _with_batch(A, core, batch):
    """A stacked tensor with ones behind its first dimension, so that it has that many batch dimensions."""
    for _ in range(batch + len(core) - A.shape.rank):
        A = tf.expand_dims(A, 1)
    return A


def on_tensors(f, value):
    """The options of a primitive with f of each tensor in them, also in an index: (1, slice(0, tensor))."""
    if isinstance(value, (tf.Tensor, tf.Variable)):
        return f(value)
    if isinstance(value, dict):
        return {name: on_tensors(f, part) for name, part in value.items()}
    if isinstance(value, slice):
        return slice(on_tensors(f, value.start), on_tensors(f, value.stop), on_tensors(f, value.step))
    if type(value) in (tuple, list):
        return type(value)(on_tensors(f, part) for part in value)
    return value


def tensors_in(options):
    """The tensors among the options of a primitive, in the order in which `with_tensors` replaces them."""
    found = []
    on_tensors(found.append, options)
    return found


def with_tensors(options, tensors):
    """The options with these tensors in the places of those that are there."""
    tensors = iter(tensors)
    return on_tensors(lambda _: next(tensors), options)
