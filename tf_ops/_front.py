"""TensorFlow's front: how a primitive is called and recorded there.

May import tensorflow, NumPy, `overbar` and the neighbours below it: `_words`, `_recording`, `_vectorizing`,
`_by_numpy`, `_errors`, `_internals`.
"""

import functools
import inspect

import numpy as np
import tensorflow as tf

from overbar._front import NUMPY, Front
from overbar._functions import as_function
from overbar._namespace import front, known_shape, mH, mT, namespace, register
from overbar._primitive import Primitive
from tf_ops import _bands, _equations, _riccati, _roots, _toeplitz  # noqa: F401  (for what they say of kernels)
from tf_ops._by_numpy import at_hand
from tf_ops._errors import dtype_error, linalg_error, shape_error
from tf_ops._in_xla import XLA, or_nan
from tf_ops._internals import compiled_by_xla, mark_as_unsaveable, set_converter, stacked, unconverted, unrecorded
from tf_ops._recording import apply, is_watched, underivable
from tf_ops._vectorizing import aligned, in_one_piece, of_all_passes
from tf_ops._words import TensorFlowWords, calling, first_place, gpus, in_vectors

_HALF = (tf.float16, tf.bfloat16)


def _is_constant(value):
    """Whether a value has no derivative whatever becomes of it: numbers, and NumPy's arrays and lists of them. (What
    else TensorFlow makes tensors of may be made of variables: Keras's, those of TensorFlow Probability, lists.)"""
    if isinstance(value, (list, tuple)):
        return all(map(_is_constant, value))
    return isinstance(value, (int, float, complex, np.ndarray, np.generic))


class TensorFlowFront(Front):
    ShapeError = staticmethod(shape_error)
    DtypeError = staticmethod(dtype_error)
    LinAlgError = staticmethod(linalg_error)
    failure = tf.errors.InvalidArgumentError
    promotes = False
    tell_sizes = "Set the shape of the tensor with tf.ensure_shape."

    # -- a call

    def as_arrays(self, values):
        like = next(
            (v.dtype for v in values if isinstance(v, (tf.Tensor, tf.Variable)) and self.xp.is_floating(v)), None
        )
        if like is None:
            found = next(
                (v.dtype for v in values if isinstance(v, (np.ndarray, np.generic)) and v.dtype.kind in "fcV"), None
            )
            like = None if found is None else tf.as_dtype(found)
        tensors = [self._convert(v, like) for v in values]
        for value, tensor in zip(values, tensors, strict=True):
            if tensor is not value and _is_constant(value):
                tensor.overbar_made = True  # nobody else has it, so that nobody asks for its derivative
        return tensors

    def adopts(self, value):
        # TensorFlow Probability's deferred tensors are converted by a registered function, which cannot be asked
        deferred = type(value).__module__.startswith("tensorflow_probability.") and hasattr(value, "dtype")
        return hasattr(value, "__tf_tensor__") or deferred

    def _convert(self, value, like):
        """A tensor. NumPy's arrays and numbers take the dtype of a tensor beside them, as in TensorFlow, and numbers
        and lists of numbers that of an array. What would lose more than digits stays what it is, to be refused."""
        if isinstance(value, tf.Tensor):
            return value
        _refuse_what_is_not_dense(value)
        if isinstance(value, (np.ndarray, np.generic)):
            kind = value.dtype.kind  # V is bfloat16
            fits = like is not None and (
                kind in "fV" or (kind == "c" and like.is_complex) or (kind in "iu" and like.size > 2)
            )
            return tf.convert_to_tensor(value, dtype=like if fits else None)
        if isinstance(value, tf.Variable):
            return tf.convert_to_tensor(value)
        if isinstance(value, int) and like is None:
            value = float(value)
        try:
            return tf.convert_to_tensor(value, dtype=like)
        except (TypeError, ValueError):
            return tf.convert_to_tensor(value)

    def key(self, arrays):
        if len(arrays) != 1:
            return super().key(arrays)
        (A,) = arrays
        return self, type(A), A.dtype, None if A.shape.rank is None else tuple(A.shape)

    def call(self, primitive, arrays, options):
        half = half_precision(arrays)
        if tf.executing_eagerly():
            if not half:
                return apply(self, primitive, arrays, options)
            return _halved(apply(self, primitive, _single(arrays), options), half)
        # TensorFlow keeps names like _x for itself, and takes none like <lambda>
        with tf.name_scope(primitive.name.strip("_<>")) as scope, calling(primitive):
            arrays = assert_fit(primitive, arrays)
            try:
                if not half:
                    return apply(self, primitive, arrays, options, scope)
                return _halved(apply(self, primitive, _single(arrays), options, scope), half)
            except NotImplementedError as error:  # of a kernel, whose name means nothing to who called the op
                if _of_numpy(error):
                    raise TypeError(f"{primitive.name}: its function {_TAKE_OURS}") from error
                if str(error).startswith(f"{primitive.name}: "):
                    raise
                raise NotImplementedError(f"{primitive.name}: {error}") from None
            except ValueError:  # a function of whole arrays counts dimensions
                i = next((i for i, A in enumerate(arrays) if A.shape.rank is None), None)
                if i is None or not primitive.whole:
                    raise
                raise self.ShapeError(
                    f"{primitive.name}: the rank of argument {primitive.argument(i)} must be known while the graph is "
                    f"built. {self.tell_sizes}"
                ) from None

    def of_unknown_rank(self, primitive, arrays, options):
        """The outputs where the rank of an array is not known while a graph is built: the matrices are its last two
        dimensions, as in TensorFlow, and all those in front of them become one."""
        cores = primitive.signature.inputs
        for i, (A, core) in enumerate(zip(arrays, cores, strict=True)):
            if A.shape.rank is not None and A.shape.rank < len(core):
                raise self.ShapeError(
                    f"{primitive.name}: argument {primitive.argument(i)} of shape {tuple(A.shape)} has too few "
                    "dimensions. Where the rank of another is unknown, there are no vectors instead of matrices."
                )
        fronts = [tf.shape(A)[: tf.rank(A) - len(core)] for A, core in zip(arrays, cores, strict=True)]
        batch = functools.reduce(tf.broadcast_dynamic_shape, fronts)
        single = []
        for i, (A, core) in enumerate(zip(arrays, cores, strict=True)):
            words = f"argument {primitive.argument(i)} has too few dimensions for {primitive.dimensions}"
            enough = tf.debugging.assert_rank_at_least(A, len(core), f"{primitive.name}: {words}")
            with tf.control_dependencies([] if enough is None else [enough]):  # None where that is known
                tail = tf.shape(A)[tf.rank(A) - len(core) :]
                known = [None] * len(core) if A.shape.rank is None else A.shape[A.shape.rank - len(core) :]
            A = tf.reshape(
                tf.broadcast_to(A, tf.concat([batch, tail], 0)), tf.concat([[tf.reduce_prod(batch)], tail], 0)
            )
            single.append(tf.ensure_shape(A, [None, *known]))
        primitive.check(self, single)
        outputs = self.call(primitive, single, options)
        return [tf.reshape(out, tf.concat([batch, tf.shape(out)[1:]], 0)) for out in outputs]

    def fits(self, bar, array):
        if type(bar) is not type(array) or bar.dtype != array.dtype:
            return False
        return bar.shape == array.shape and array.shape.is_fully_defined()

    # -- the numbers in tensors

    def may_hold(self, mask):
        return not at_hand(mask) or super().may_hold(mask)

    def only_if(self, mask, compute, otherwise):
        if tf.executing_eagerly() or compiled_by_xla():
            return super().only_if(mask, compute, otherwise)
        with unrecorded():
            return tf.cond(of_all_passes(tf.reduce_any, mask), compute, otherwise)

    def if_else(self, predicate, yes, no):
        return super().if_else(predicate, yes, no) if isinstance(predicate, bool) else tf.cond(predicate, yes, no)

    def choose(self, mask, yes, no, wait=False):
        if tf.executing_eagerly():
            return yes() if bool(tf.reduce_all(mask)) else no()
        if compiled_by_xla():
            return no()
        return tf.cond(of_all_passes(tf.reduce_all, mask), yes, no)

    def repeat(self, counts, step, state):
        largest = lambda counts: tf.reduce_max(tf.pad(tf.reshape(counts, [-1]), [[0, 1]]))  # noqa: E731
        if tf.executing_eagerly():
            return super().repeat(largest(counts), step, state)
        own = largest(counts)
        most = of_all_passes(largest, counts) if compiled_by_xla() else own

        def once(i, state):
            if most is own:
                return step(i, state)
            # those passes of vectorized_map that have had enough wait for the others
            return [tf.where(i < own, new, old) for new, old in zip(step(i, state), state, strict=True)]

        _, *state = tf.while_loop(
            lambda i, *state: i < most,
            lambda i, *state: (i + 1, *once(i, list(state))),
            (tf.zeros_like(most), *state),
        )
        return state

    def numbers(self, A):
        return A.numpy() if at_hand(A) else None

    def shares(self, A, B):
        if A is B or not (at_hand(A) and at_hand(B)):
            return A is B
        return NUMPY.shares(*(np.asarray(memoryview(x)) for x in (A, B)))  # numpy() would copy

    def require(self, A, fine, message, argument="A", definite=None):
        if tf.executing_eagerly():
            return super().require(A, fine, message, argument, definite)
        if compiled_by_xla():  # which drops assertions: NaN is all that tells
            return or_nan(fine, A)
        if definite is not None:
            return tf.cond(tf.reduce_all(fine), lambda: A, lambda: _not_definite(A, fine, message, definite))
        words = [f"{message} Matrix of the batch (0 where there is none):", first_place(~fine)]
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(fine), words)]):
            return tf.identity(A)

    def require_all(self, A, checks):
        if tf.executing_eagerly():
            return super().require_all(A, checks)
        for check in checks:  # nobody waits here, and each fails with a message of its own
            A = self.require(A, *check)
        return A

    def warn(self, mask, message):
        if at_hand(mask):
            super().warn(mask, message)

    def constant_function(self, function, arrays, message):
        try:
            return super().constant_function(function, arrays, message)
        except NotImplementedError as error:
            if not _of_numpy(error):
                raise
            option = message.partition(" is ")[0]
            raise TypeError(f"{option} {_TAKE_OURS}") from error

    # -- where things are computed

    def on_the_host(self, A):
        # a graph may be compiled by XLA, or saved, and a kernel cannot
        return tf.executing_eagerly() and "CPU" in A.device

    def device_type(self, A):
        # in a graph nobody knows before it runs: TensorFlow takes the first GPU where there is one
        place = A.device if tf.executing_eagerly() else ""
        return "gpu" if "GPU" in place or (not place and gpus()) else "cpu"

    def prefers_vectors(self, A, n, count):
        return in_vectors(n, count)

    def at_once(self, A, n, count):
        by_pieces = n > 8 and self.device_type(A) == "cpu" and not compiled_by_xla()
        return 2**17 // n**2 if by_pieces else count

    def may_compute(self, *arrays):
        return all(map(at_hand, arrays)) and not is_watched(arrays)

    def has_way(self, kernel):
        return not tf.executing_eagerly() and compiled_by_xla() and any(way.place == XLA for way in kernel.others)

    def compute(self, kernel, *arrays, **options):
        return underivable(kernel, self._computed(kernel, arrays, options), arrays)

    def _computed(self, kernel, arrays, options):
        if tf.executing_eagerly():
            try:
                found = kernel(*(A.numpy() for A in arrays), **options)
            except np.linalg.LinAlgError as error:
                raise self.LinAlgError(str(error)) from None
            return tuple(tf.convert_to_tensor(x) for x in found)
        if compiled_by_xla():
            own = kernel.chosen(XLA, arrays, options)
            if own is not None:
                computed = lambda *arrays: own.function(*arrays, **options)  # noqa: E731
                return in_one_piece(computed, arrays, kernel.signature.inputs)
            raise NotImplementedError(
                f"{kernel.name} is computed on the host, which a program of XLA cannot call: leave out jit_compile."
            )
        mark_as_unsaveable(
            f"{kernel.name} is computed on the host, by a Python function, which a SavedModel does not contain."
        )
        dtypes = [tf.as_dtype(dtype) for dtype in kernel.dtypes(*(A.dtype.as_numpy_dtype for A in arrays))]
        found = tf.numpy_function(lambda *values: kernel(*values, **options), arrays, dtypes, stateful=False)

        def convert(pfor_input):  # vectorized_map would call it for one matrix after the other
            tensors = aligned(pfor_input.inputs, kernel.signature.inputs)
            # what watched the kernel has been told already (`compute`)
            return [stacked(out) for out in self._computed(kernel, tensors, options)]

        set_converter(found[0].op, convert)
        if any(A.shape.rank is None for A in arrays):
            return tuple(found)
        shapes = kernel.shapes(*(tuple(A.shape) for A in arrays))
        return tuple(tf.ensure_shape(x, shape) for x, shape in zip(found, shapes, strict=True))


def _of_numpy(error):
    """Whether an error is TensorFlow's for a function of NumPy's that got a tensor of a graph."""
    return "symbolic tf.Tensor" in str(error) and "NumPy call" in str(error)


_TAKE_OURS = (
    "calls a function of NumPy's, or makes a NumPy array, of a tensor that has no numbers while a graph is built. Take "
    "the functions in it from xp = overbar.namespace(x)."
)


def _not_definite(A, fine, message, definite):
    """Fail, in a graph, with what is known of the first of the matrices that are not fine."""
    first, n = first_place(~fine), tf.shape(definite)[-1]
    # one more, for a batch in which all are fine: vectorized_map may run this for it
    matrix = tf.gather(tf.pad(tf.reshape(definite, [-1, n, n]), [[0, 1], [0, 0], [0, 0]]), first)
    finite = tf.math.is_finite(tf.math.abs(tf.linalg.band_part(matrix, -1, 0)))
    whole = tf.where(finite, matrix, tf.zeros_like(matrix))
    words = [f"{message} Matrix of the batch (0 where there is none):", first]
    words += ["; number of its entries that are NaN or infinite:", tf.reduce_sum(tf.cast(~finite, tf.int32))]
    words += [", the first, counted along the rows:", first_place(~finite)]
    smallest = tf.reduce_min(tf.math.real(tf.linalg.eigvalsh(whole)))
    words += ["; its smallest eigenvalue, such entries being zero:", smallest]
    words += ["; the largest difference to its conjugate transpose:", tf.reduce_max(tf.abs(whole - mH(whole)))]
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(fine), words, summarize=1)]):
        return or_nan(fine, A)  # XLA drops the assertion; then NaN in the whole matrix is all that tells


def _refuse_what_is_not_dense(value):
    if isinstance(value, (tf.RaggedTensor, tf.SparseTensor)):
        remedy = "its method to_tensor()" if isinstance(value, tf.RaggedTensor) else "tf.sparse.to_dense"
        raise TypeError(
            f"an array is a {type(value).__name__}, and a matrix function takes dense tensors. Convert it, by {remedy}."
        )


def _single(arrays):
    return [tf.cast(A, tf.float32) for A in arrays]


def _halved(outputs, half):
    return tuple(tf.cast(out, half) if out.dtype.is_floating else out for out in outputs)  # complex ones stay so


def half_precision(values):
    """The dtype that all tensors and arrays among the values have, but those of integers, if it is float16 or bfloat16.
    There are no kernels of linear algebra for these: what is computed is computed in float32, and given back in the
    dtype that came; tf.cast does the same to the gradients."""
    half = None
    for value in values:
        dtype = getattr(value, "dtype", None)
        if dtype is not None and not (dtype := tf.as_dtype(dtype)).is_integer:
            if dtype not in _HALF or half not in (None, dtype):
                return None
            half = dtype
    return half


def in_single_precision(function):
    """A function of TensorFlow's own that has no kernel for half precision, as one that takes it."""

    @functools.wraps(function)
    def computed(*args, **kwargs):
        half = half_precision((*args, *kwargs.values()))
        if not half:
            return function(*args, **kwargs)
        cast = lambda x: tf.cast(x, tf.float32) if half_precision([x]) else x  # noqa: E731
        return tf.cast(function(*map(cast, args), **{name: cast(x) for name, x in kwargs.items()}), half)

    return computed


def for_columns(function):
    """A function of TensorFlow's own that solves for the columns of the matrix `rhs`, as one that takes half precision,
    and says what to do with a vector."""
    place, inner = [*inspect.signature(function).parameters].index("rhs"), in_single_precision(function)

    @functools.wraps(function)
    def computed(*args, **kwargs):
        for value in (*args, *kwargs.values()):
            _refuse_what_is_not_dense(value)
        rhs = args[place] if len(args) > place else kwargs.get("rhs")
        shape = known_shape(rhs) if hasattr(rhs, "shape") else None
        if shape is not None and len(shape) == 1:
            name = function.__name__.removeprefix("matrix_")
            raise TENSORFLOW.ShapeError(
                f"{name}: argument rhs of shape {shape} is a vector, and its columns are what is solved for: pass "
                "rhs[:, None], and take [:, 0] of the solution."
            )
        return inner(*args, **kwargs)

    return computed


def assert_fit(primitive, arrays):
    """The arrays, which fail when they come if sizes that were not known when the graph was built do not fit."""
    signature = primitive.signature
    if signature.whole or all(A.shape.is_fully_defined() for A in arrays):
        return arrays
    seen, checks = {}, []
    for i, (A, core) in enumerate(zip(arrays, signature.inputs, strict=True)):
        for axis, dim in enumerate(core, A.shape.rank - len(core)):
            if dim.isdigit():
                if A.shape[axis] is None:
                    words = (
                        f"{primitive.name}: argument {primitive.argument(i)} must have {dim} in {primitive.dimensions}:"
                    )
                    size = tf.shape(A)[axis]
                    checks.append(tf.debugging.Assert(tf.equal(size, int(dim)), [words, size]))
                continue
            j, other = seen.setdefault(dim, (i, axis))
            if (i, axis) == (j, other) or None not in (A.shape[axis], arrays[j].shape[other]):
                continue
            sizes = tf.shape(arrays[j])[other], tf.shape(A)[axis]
            if i == j:
                words = f"{primitive.name}: argument {primitive.argument(i)} is not square:"
            else:
                words = (
                    f"{primitive.name}: argument {primitive.argument(i)} does not fit {primitive.argument(j)}: the "
                    f"dimension {dim} of {primitive.dimensions} differs:"
                )
            checks.append(tf.debugging.Assert(tf.equal(*sizes), [words, *reversed(sizes)]))
    if not checks:
        return arrays
    with tf.control_dependencies(checks):  # dropped under XLA, whose own compilation fails for sizes that do not fit
        arrays = [tf.identity(A) for A in arrays]
    for A, shape in zip(arrays, signature.completed([tuple(A.shape) for A in arrays], signature.inputs), strict=True):
        A.set_shape(shape)
    return arrays


TENSORFLOW = TensorFlowFront(TensorFlowWords())
register(tf.Tensor, TENSORFLOW)
register(tf.Variable, TENSORFLOW)

# Nothing in a primitive depends on a tensor's values, so that AutoGraph would only rewrite it to the same, slowly, with
# worse tracebacks, and with a warning where it cannot.
for function in (
    *(Primitive, *filter(inspect.isfunction, vars(Primitive).values())),
    *(as_function, front, namespace, mT, mH),
):
    unconverted(function)
