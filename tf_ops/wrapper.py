"""A primitive as a tf.custom_gradient.

May import tensorflow and `overbar`. The one place where rules meet TensorFlow: no op has code of its own here.
"""

import tensorflow as tf

from overbar.namespace import register
from overbar.primitive import Primitive
from tf_ops.namespace import TensorFlowNamespace


class _Front(TensorFlowNamespace):
    def call(self, primitive, arrays, options):
        return apply(primitive, arrays, options)


TENSORFLOW = _Front()


def apply(primitive, arrays, options):
    """All outputs of a primitive, hidden ones too, as a tuple."""
    on_tape = []

    # Options are bound here, outside: custom_gradient refuses keyword arguments in graphs.
    @tf.custom_gradient
    def op(*inputs):
        # The native ops of the forward pass stay differentiable. Forward accumulators and the gradient of
        # vectorized_map differentiate them and not the rule; hidden from them, they would silently give zeros.
        outputs = primitive.run(inputs, options)

        def gradient(*bars):
            # The rule must see the outputs that are on the tape, those that the caller got: a second derivative does
            # not know how the ones inside depend on the inputs. In forward mode TensorFlow asks before there are any.
            seen = on_tape[0] if on_tape else apply(primitive, inputs, options)
            bars = [tf.convert_to_tensor(bar) for bar in bars]  # gathers send IndexedSlices
            return primitive.pull(TENSORFLOW, bars, seen, inputs, options)

        return outputs, gradient

    op.__name__ = primitive.name
    with tf.name_scope(primitive.name):
        outputs = op(*arrays)
    on_tape.append(outputs)
    return outputs


# The mark that tf.autograph.experimental.do_not_convert sets. Nothing in a primitive depends on a tensor's values, so
# that AutoGraph would only rewrite it to the same, slowly and with worse tracebacks.
Primitive.autograph_info__ = {}

register(tf.Tensor, TENSORFLOW)
register(tf.Variable, TENSORFLOW)
