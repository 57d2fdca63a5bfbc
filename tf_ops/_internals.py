"""The private parts of TensorFlow that this front cannot do without: all of them, and what no public name does.

May import tensorflow. No other module here uses one, which a test sees to; another test says which of them an installed
TensorFlow does not have. Names that are used in every call of an op are TensorFlow's own objects, so that they cost no
frame.
"""

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.eager import context as _context
from tensorflow.python.eager import forwardprop_util
from tensorflow.python.eager import record as _record
from tensorflow.python.framework.ops import gradient_registry
from tensorflow.python.ops import control_flow_util, gen_linalg_ops
from tensorflow.python.ops.parallel_for import pfor

# ---------------------------------------------------------------------------------------------------------------------
# Debuggers. tf.debugging.enable_check_numerics tells nobody that it is on.


def are_ops_inspected():
    """Whether a debugger looks at each operation."""
    return bool(_context.context().op_callbacks)


# ---------------------------------------------------------------------------------------------------------------------
# Tapes and forward accumulators. tf.custom_gradient leaves the native ops of a function to the accumulators, and
# tf.stop_gradient is an op, after which all of these ops have been recorded in vain.

#: whether there is a tape or an accumulator at all
could_possibly_record = _record.could_possibly_record
#: whether a tape records what is done with one of these tensors; a public tape says which Variables it watches, only
is_on_a_tape = _record.should_record_backprop
#: a context in which nobody records; GradientTape.stop_recording is a method of one tape, which we do not have
unrecorded = _record.stop_recording
#: a context that knows the Variables which were read in it, on whatever tape
VariableWatcher = _record.VariableWatcher
#: To record an operation with derivatives of our own: `record(name, outputs, inputs, backward, forward)`, for tapes and
#: accumulators, or for one of them alone. (tf.__internal__.record_gradient takes a gradient that has been registered.)
record = _record.record_operation
record_for_tapes = _record.record_operation_backprop_only
record_for_accumulators = _record.record_operation_forwardprop_only

#: The name under which a tape knows our ops. It makes a tensor of zeros for each output of an op from which no gradient
#: came, but for the second to fifth ones of this op, where it passes None. A rule then has no work for what is absent.
MAY_LACK_GRADIENTS = "FusedBatchNorm"

#: What forward accumulators have of some tensors. Its `indices` are, for each accumulator, a list of pairs, where the
#: first of a pair is the place of a tensor that has a tangent there. (ForwardAccumulator.jvp asks one accumulator.)
pack_tangents = forwardprop_util.pack_tangents


# ---------------------------------------------------------------------------------------------------------------------
# Graphs


def forget_gradient(name):
    """Undo tf.RegisterGradient, which keeps its function, and with it a graph and all that this has captured, for
    good."""
    gradient_registry._registry.pop(name)


def compiled_by_xla():
    """Whether the graph that is being built is that of a tf.function with jit_compile=True."""
    return control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph())


def mark_as_unsaveable(reason):
    """Have tf.saved_model.save say so, for the function whose graph is being built. (What it would write can be loaded,
    and fails when it is called. TensorFlow's own way has no public name.)"""
    graph = tf.compat.v1.get_default_graph()
    while graph.building_function:
        graph.mark_as_unsaveable(reason)
        graph = graph.outer_graph


def unconverted(function):
    """The function itself, left alone by AutoGraph. tf.autograph.experimental.do_not_convert returns another function,
    of one frame more, which leaves all that is called inside alone, too: also what the user wrote."""
    function.autograph_info__ = {}
    return function


# ---------------------------------------------------------------------------------------------------------------------
# tf.vectorized_map, whose translations of ops there is no public way to add to. That of an op of a graph is called with
# an object whose `inputs` are wrapped tensors: `t`, and whether it `is_stacked`, with one more dimension in front.
# `stack_inputs` stacks some of them. It returns wrapped tensors, `stacked` or the `same_in_all` passes of the loop.


def set_converter(op, convert):
    op.pfor_converter = convert


def stacked(tensor):
    return pfor.wrap(tensor, True)


def usual_converter(pfor_input):
    return pfor._pfor_converter_registry[pfor_input.op.type](pfor_input)


def same_in_all(tensor):
    return pfor.wrap(tensor, False)


# ---------------------------------------------------------------------------------------------------------------------
# The classes of what functions of TensorFlow return

LogMatrixDeterminant = gen_linalg_ops._LogMatrixDeterminantOutput
Lu = gen_linalg_ops._LuOutput
Qr = gen_linalg_ops._QrOutput

# ---------------------------------------------------------------------------------------------------------------------
# XLA

#: `update_slice(input, update, indices)`: a tensor with a part of it replaced, in place where XLA can, as in loops.
#: (tf.tensor_scatter_nd_update becomes a loop over the entries.)
update_slice = gen_xla_ops.xla_dynamic_update_slice
