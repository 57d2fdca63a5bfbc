"""A primitive as an operation of TensorFlow, whose derivatives are its rules.

May import tensorflow, NumPy and its neighbours `_by_numpy`, `_vectorizing` and `_internals`. The one place where rules
meet TensorFlow: no op has code of its own here.
"""

import contextlib
import itertools
import math
import threading
import weakref

import numpy as np
import tensorflow as tf

from tf_ops._by_numpy import computed, pulled, pushed
from tf_ops._internals import (
    MAY_LACK_GRADIENTS,
    VariableWatcher,
    compiled_by_xla,
    could_possibly_record,
    forget_gradient,
    is_on_a_tape,
    pack_tangents,
    record,
    record_for_accumulators,
    record_for_tapes,
    set_converter,
    unrecorded,
)
from tf_ops._vectorizing import converter, on_tensors, tensors_in, with_tensors


def apply(front, primitive, arrays, options, scope=None):
    """All outputs of a primitive, intermediates too, as a tuple. `scope` is where its ops are in a graph."""
    for name, value in options.items():
        for tensor in tensors_in(value):
            if name in primitive.steps or not (tensor.dtype.is_floating or tensor.dtype.is_complex):
                continue
            raise TypeError(
                f"{primitive.name}: the option {name} is a tensor of {tensor.dtype.name}, but a primitive is "
                "differentiated with respect to its arrays only, and a gradient would silently lack what comes from "
                "here. Make it an array, in front of the `*` and in the signature, or pass a Python number."
            )
    eager = tf.executing_eagerly()
    if eager:
        outputs = computed(primitive, arrays, options)
        if not could_possibly_record():
            return outputs or primitive.run(arrays, options)
        if outputs:
            return recorded(front, primitive, outputs, arrays, options, new=True)
    others = None
    if not eager:
        arrays, options = [_inside(A) for A in arrays], on_tensors(_known_or_inside, options)
    # Nobody watches the native ops: a tape would keep them, and a forward accumulator would differentiate them. So they
    # work on tensors that nobody watches.
    unwatched = arrays
    if is_watched(arrays):
        with unrecorded():
            unwatched = [tf.identity(A) for A in arrays]
    if not eager:
        others = _Others(primitive, [*unwatched, *tensors_in(options)], options)
    with VariableWatcher() as variables, _watching(unwatched is not arrays):
        outputs = primitive.run(unwatched, options)
    if not eager:  # where a number, or a list, would become a tensor on the way
        primitive.check_returned(outputs)
    read = [f"the tf.Variable {variable.name}" for variable in variables.watched_variables()]
    if not read and is_watched(outputs):
        read = ["a tensor that is none of its arrays, which a tape or an accumulator watches"]
    if read:
        raise TypeError(
            f"{primitive.name}: its function, or one among its options, reads {read[0]}, with respect to which the "
            "rules know no derivative. Make it an array of the primitive (spectral_function has args=), or, where "
            "it is a constant, read it outside and put it into tf.stop_gradient."
        )
    return recorded(front, primitive, outputs, arrays, options, scope, others.found() if others else ())


def adopt(front, primitive, compute, arrays, known):
    """What `apply` gives, where `compute` makes the outputs of the arrays and of what is known already."""
    if tf.executing_eagerly():
        if not could_possibly_record():
            return compute(*arrays, *known)
        with unrecorded():
            outputs = compute(*arrays, *known)
        return recorded(front, primitive, outputs, arrays, {})
    with tf.name_scope(primitive.name) as scope:
        arrays = [_inside(A) for A in arrays]
        with unrecorded():
            outputs = compute(*map(tf.identity, arrays), *map(_inside, known))
        return recorded(front, primitive, outputs, arrays, {}, scope)


def is_watched(tensors):
    """Whether a tape records what is done with one of the tensors, or a forward accumulator has a tangent of one."""
    return is_on_a_tape(tensors) or any(pack_tangents(tensors).indices)


def nobody_watches(*tensors):
    """Whether nobody differentiates, eagerly, what is computed of these tensors, some of which may be None."""
    if not tf.executing_eagerly():
        return False
    return not could_possibly_record() or not is_watched([x for found in tensors for x in found if x is not None])


#: `watched`: whether somebody watches the arrays of the primitive whose function is being computed; or not there.
_state = threading.local()


@contextlib.contextmanager
def _watching(watched):
    before, _state.watched = getattr(_state, "watched", None), watched
    try:
        yield
    finally:
        _state.watched = before


def somebody_watches():
    """Whether a tape or an accumulator watches the arrays of the primitive that is being computed, whose steps nobody
    watches. What is around a tf.function does not, yet, when its graph is built."""
    return bool(getattr(_state, "watched", None))


def underivable(kernel, outputs, arrays):
    """The outputs of a kernel: where it is called by a rule, and not by the function of a primitive, whose steps nobody
    differentiates, they are no constants, and have no derivative. Whoever asks for it is told so."""
    eager = tf.executing_eagerly()
    if getattr(_state, "watched", None) is not None or (eager and not could_possibly_record()):
        return outputs

    def refuse(*_):
        raise kernel.no_derivative()

    if not eager:
        with unrecorded():
            outputs = _refusing(kernel.name, str(kernel.no_derivative()), outputs, arrays)
    smooth = [out for out in outputs if out.dtype.is_floating or out.dtype.is_complex]
    if smooth:
        record("Identity", smooth, arrays, refuse, refuse)
    return outputs


#: The names of the registered gradients, one for each name of a kernel: TensorFlow keeps them for good.
_refusals = set()


def _refusing(name, words, outputs, arrays):
    """The outputs as those of an op whose gradient is an error: for tf.gradients, and graphs within graphs, which would
    take what a tf.numpy_function computes for a constant.

    It is one when the program runs. A forward accumulator around a tf.function has TensorFlow transpose the reverse
    rule, and build the gradient of all that is in it, of which it needs the part that belongs to the bar. So the
    gradient depends on the bars, too, and has one that is an error.
    """
    count = len(outputs)
    registered = f"overbar-kernel-{name}-{count}"

    def refuse(op, *bars):
        inputs = op.inputs[count:]
        smooth = [A for A in inputs if A.dtype.is_floating or A.dtype.is_complex]
        failing = iter(_refusing(name, words, [_failing(A, words) for A in smooth], [*smooth, *bars]))
        return [*[None] * count, *(next(failing) if any(A is x for x in smooth) else None for A in inputs)]

    if registered not in _refusals:
        _refusals.add(registered)
        tf.RegisterGradient(registered)(refuse)
    with tf.compat.v1.get_default_graph().gradient_override_map({"IdentityN": registered}):
        return tuple(tf.identity_n([*outputs, *arrays])[:count])


def _failing(like, words):
    """A tensor of a graph whose computation is an error, if somebody needs it; NaN under XLA, which knows no errors."""
    if compiled_by_xla():
        return tf.fill(tf.shape(like), tf.cast(math.nan, like.dtype))

    def fail(_):
        raise TypeError(words)

    found = tf.numpy_function(fail, [like], like.dtype, stateful=False)
    found.set_shape(like.shape)
    return found


class _Others:
    """The tensors of a graph that a primitive reads and that are none of its arrays and options: what a function among
    its options refers to, for instance. Tapes in the same graph say whether they watch one of these. Those around the
    graph, and tf.gradients, cannot be asked."""

    def __init__(self, primitive, known, options):
        plain = (str, int, float, type(None), list, tuple, dict, slice, np.ndarray, tf.Tensor)
        self.graph = None
        if primitive.function.__closure__ or not all(isinstance(value, plain) for value in options.values()):
            self.graph, self.known = tf.compat.v1.get_default_graph(), {tensor.name for tensor in known}
            self.before = len(self.graph.get_operations())

    def found(self):
        if self.graph is None:
            return []
        ops = self.graph.get_operations()[self.before :]
        inside = {op.name for op in ops}
        read = [tensor for op in ops for tensor in op.inputs if tensor.op.name not in inside]
        read += [op.outputs[0] for op in ops if op.type == "Placeholder"]  # captured from outside of the graph
        return list(
            {
                tensor.name: tensor
                for tensor in read
                if tensor.name not in self.known
                and tensor.op.type not in ("Const", "StopGradient")
                and (tensor.dtype.is_floating or tensor.dtype.is_complex)
            }.values()
        )


def _inside(A):
    """A tensor of the graph that is being built. Tapes and accumulators are told how it comes from one outside of it,
    which they would not be later, where they do not watch."""
    return A if getattr(A, "graph", None) is tf.compat.v1.get_default_graph() else tf.identity(A)


def _known_or_inside(tensor):
    """A tensor among the options: its numbers, where they are known, for these are everywhere what they are."""
    value = tf.get_static_value(tensor) if isinstance(tensor, tf.Tensor) else None
    return _inside(tf.convert_to_tensor(tensor)) if value is None else value


def recorded(front, primitive, outputs, arrays, options, scope=None, others=(), new=False):
    """The outputs of a primitive that nobody watched being computed, as ones whose derivative is the rule. That by the
    others, tensors that are neither arrays nor options, is NaN. `new` are outputs that nobody else has."""

    def pull(bars, results, arrays, options, needed=None):
        # Gathers send IndexedSlices; None is what tape.gradient was given among the output_gradients.
        bars = [None if bar is None else tf.convert_to_tensor(bar) for bar in bars]
        # TensorFlow puts the gradients of its own ops into such a scope, too
        with tf.name_scope(f"gradient_tape/{scope}") if scope else contextlib.nullcontext():
            arrays, _, results, bars = _of_known_sizes(primitive, arrays, (), results, bars)
            if nobody_watches(arrays, results, bars):
                found = pulled(primitive, bars, results, arrays, options, needed)
                if found:
                    return found
            return primitive.pull(front, bars, results, arrays, options, needed)

    # which of the arrays have a tangent, in any forward accumulator
    tangents = pack_tangents(arrays).indices
    moving = sorted({i for found in tangents for i, _ in found if i < len(arrays)}) if any(tangents) else []
    # Of a number that was given nobody can ask for the derivative. Of a tensor that nobody watches yet somebody can: it
    # may be watched after it was used.
    needed = [not getattr(A, "overbar_made", False) for A in arrays]

    def gradient(*bars):
        # The rule must see the outputs that are on the tape, those that the caller gets: a second derivative does not
        # know how others depend on the inputs.
        return pull(bars, results, arrays, options, needed)

    with unrecorded():
        if tf.executing_eagerly():
            # what is on a tape must be nobody else's: an output may be an input, or a constant that is kept
            results = outputs if new else tuple(map(tf.identity, outputs))
        else:
            results = _named(pull, outputs, arrays, options, others)
            convert = converter(
                primitive,
                options,
                len(others),
                lambda outputs, arrays, options, others: recorded(
                    front, primitive, outputs, arrays, options, scope, others
                ),
                lambda arrays, options: apply(front, primitive, arrays, options, scope),
            )
            set_converter(results[0].op, convert)
    if moving:
        _accumulate(front, primitive, results, arrays, options, gradient, moving)
    else:
        _tell_tapes(record, results[: primitive.differentiable], arrays, gradient)
    return results


def _of_known_sizes(primitive, arrays, dots, outputs, bars):
    """The same tensors, with all that is known of their sizes while a graph is built.

    An array and its tangent have one shape, and so have an output and its cotangent; a core dimension is the same in
    all that have it. But often only one of them knows: a minibatch of unknown size meets a weight of known size behind
    the op, and in a loop what TensorFlow slices out of its state has no rank. A rule that found a size known here and
    unknown there would have to be right for every such mixture.
    """
    if tf.executing_eagerly():
        return arrays, dots, outputs, bars
    pairs = [*itertools.zip_longest(arrays, dots), *itertools.zip_longest(outputs, bars)]
    shapes = [A.shape if dot is None else _both(A.shape, dot.shape) for A, dot in pairs]
    signature, smooth = primitive.signature, primitive.differentiable
    if not signature.whole:
        # a residual may lack what others of its signature have
        cores = [*signature.inputs, *signature.outputs[:smooth], *[()] * (len(outputs) - smooth)]
        shapes = signature.completed([None if s.rank is None else tuple(s) for s in shapes], cores)
    known = [
        tuple(x if x is None else _with_shape(x, shape) for x in pair)
        for pair, shape in zip(pairs, shapes, strict=True)
    ]
    k = len(arrays)
    (arrays, dots), (outputs, bars) = zip(*known[:k], strict=True), zip(*known[k:], strict=True)
    return arrays, dots, outputs, bars


def _both(shape, other):
    """What two shapes know together. Where they contradict each other, which somebody else will say, the first."""
    return shape.merge_with(other) if shape.is_compatible_with(other) else shape


def _with_shape(x, shape):
    """The tensor, which knows that it has this shape. (tf.ensure_shape has no forward mode in a graph.)"""
    shape, own = tf.TensorShape(shape), x.shape
    more = own.is_compatible_with(shape) and own.merge_with(shape)
    if not more or (own.rank is not None and own.as_list() == more.as_list()) or more.rank is None:
        return x
    x = tf.identity(x)
    x.set_shape(more)
    return x


def _tell_tapes(tell, results, arrays, gradient):
    """Record an op whose `gradient` gets None for each of several outputs from which no gradient came: the first one,
    to which tapes send zeros in any case, is one that nobody uses."""
    if len(results) > 1:
        with unrecorded():
            unused = tf.zeros(())
        tell(MAY_LACK_GRADIENTS, (unused, *results), arrays, lambda _, *bars: gradient(*bars))
    else:
        tell(MAY_LACK_GRADIENTS, results, arrays, gradient)


_numbers = itertools.count()


def _named(pull, outputs, arrays, options, others):
    """The outputs as those of an op that says by name what its gradient is: tf.gradients and graphs within graphs look
    there. It is what tf.custom_gradient makes, too, whose gradient only knows the tensors of this graph, though, and is
    lost where TensorFlow builds a graph again from its definition: in forward mode, that of a loop or a branch.

    TensorFlow keeps what is registered for good, and with it would keep every graph ever traced and all that they
    captured. So what is registered only knows where to find the gradient: it lives as long as the op, and then its name
    goes, too. Each op has a name of its own because a SavedModel has one gradient for each name.
    """
    count, last, name = len(outputs), len(outputs) + len(arrays), f"overbar-{next(_numbers)}"
    held = tensors_in(options)
    with tf.compat.v1.get_default_graph().gradient_override_map({"IdentityN": name}):
        tied = tf.identity_n([*outputs, *arrays, *held, *others])

    def gradient(op, *bars):
        # a SavedModel is written without an op, and with one bar too many for each array
        results, inputs = (tied, [*outputs, *arrays, *held, *others]) if op is None else (op.outputs, op.inputs)
        given = with_tensors(options, inputs[last:])
        bars = pull(_present(bars[:count]), results[:count], inputs[count:last], given)
        unknown = [tf.fill(tf.shape(B), tf.cast(math.nan, B.dtype)) for B in inputs[last + len(held) :]]
        return [*[None] * count, *bars, *[None] * len(held), *unknown]

    tied[0].op.overbar_gradient = gradient
    found = weakref.ref(gradient)
    tf.RegisterGradient(name)(lambda op, *bars: found()(op, *bars))
    weakref.finalize(gradient, forget_gradient, name).atexit = False
    return tuple(tied[:count])


def _present(bars):
    """The bars, None instead of those that tf.gradients made for outputs from which no gradient came."""
    found = [None if getattr(bar, "op", None) is not None and bar.op.type == "ZerosLike" else bar for bar in bars]
    return found if any(bar is not None for bar in found) else bars


def _accumulate(front, primitive, results, arrays, options, gradient, moving):
    """Tell tapes, and then forward accumulators, how the results of a primitive depend on its arrays.

    The other way round, which is TensorFlow's, a tape around an accumulator would not know the results that the forward
    rule sees. To be told alone, the accumulators get copies of the arrays that move, of which no tape knows.
    """

    def forward(*dots):
        dots = [dots[moving.index(i)] if i in moving else None for i in range(len(arrays))]
        given, dots, found, _ = _of_known_sizes(primitive, arrays, dots, results, ())
        if nobody_watches(given, found, dots):
            tangents = pushed(primitive, dots, found, given, options)
            if tangents:
                return tangents[: primitive.differentiable]
        return list(primitive.push(front, dots, found, given, options)[: primitive.differentiable])

    def transposed(*bars):
        bars = gradient(*bars)
        return [bars[i] for i in moving]

    smooth = results[: primitive.differentiable]
    _tell_tapes(record_for_tapes, smooth, arrays, gradient)
    originals = [arrays[i] for i in moving]
    with unrecorded():
        copies = [tf.identity(A) for A in originals]
    record_for_accumulators("Identity", copies, originals, lambda *bars: bars, None)
    record(MAY_LACK_GRADIENTS, smooth, copies, transposed, primitive.jvp_rule and forward)


# Nothing in a primitive depends on a tensor's values, so that AutoGraph would only rewrite it to the same, slowly, with
# worse tracebacks, and with a warning where it cannot.
