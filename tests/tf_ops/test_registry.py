"""Every primitive of the registry as a TensorFlow op: eager, in graphs with known and with unknown sizes, under XLA,
vectorised; first and second derivatives, in reverse and in forward mode. May import `tf_ops`.

Tracing and compiling are slow: what needs them runs for the first sample of each primitive.
"""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402 - makes the primitives ops of TensorFlow
from overbar import verify  # noqa: E402
from overbar._front import NUMPY  # noqa: E402
from overbar.verify import call  # noqa: E402
from tests.compare import close  # noqa: E402
from tests.conftest import cannot_be_compiled, decomposes  # noqa: E402

DOUBLE = [np.float64, np.complex128]


def as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def tensors(case):
    return [tf.constant(a) for a in case.arrays]


def noise(like, seed):
    return verify.noise(np.random.default_rng(seed), np.asarray(like)).astype(np.asarray(like).dtype)


def by_numpy(primitive, case):
    """Public outputs, random cotangents for those that have a derivative, which integers have not, and the bars that
    NumPy computes."""
    outputs = primitive.run(case.arrays, case.options)
    public = primitive.public
    cotangents = [noise(out, 5) if NUMPY.xp.is_floating(out) else None for out in outputs[:public]]
    absent = [None] * (len(outputs) - public)
    bars = primitive.pull(NUMPY, [*cotangents, *absent], outputs, case.arrays, case.options)
    return outputs[:public], [bar for bar in cotangents if bar is not None], bars


def smooth(outputs):
    return [out for out in outputs if not out.dtype.is_integer]


def value_and_bars(primitive, options):
    """The same by a tape, as a function that can be traced."""

    def run(inputs, cotangents):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = as_tuple(call(primitive, list(inputs), options))
        return outputs, tape.gradient(smooth(outputs), inputs, output_gradients=cotangents)

    return run


def agrees(primitive, case, run, rtol=1e-12):
    outputs, cotangents, bars = by_numpy(primitive, case)
    found_outputs, found_bars = run(tensors(case), [tf.constant(c) for c in cotangents])
    for found, expected in zip((*found_outputs, *found_bars), (*outputs, *bars), strict=True):
        assert found.dtype.as_numpy_dtype == np.asarray(expected).dtype
        close(found, expected, rtol)


# ---------------------------------------------------------------------------------------------------------------------
# Eager


@pytest.mark.parametrize("dtype", DOUBLE)
def test_value_and_gradient(entry, dtype):
    """tests/consistency has every sample of the registry, in every dtype and batch shape."""
    case = entry.draw(dtype)
    agrees(entry.primitive, case, value_and_bars(entry.primitive, case.options))


@pytest.mark.parametrize("batch", [(0,), (3, 0)], ids=str)
def test_value_and_gradient_in_an_empty_batch(sample, batch):
    case = sample.draw(np.float64, batch)
    agrees(sample.primitive, case, value_and_bars(sample.primitive, case.options))


def test_a_variable_is_taken(entry):
    case = entry.draw()
    x = [tf.Variable(a) for a in case.arrays]
    with tf.GradientTape() as tape:
        outputs = as_tuple(call(entry.primitive, x, case.options))
    _, cotangents, bars = by_numpy(entry.primitive, case)
    for found, expected in zip(tape.gradient(smooth(outputs), x, output_gradients=cotangents), bars, strict=True):
        close(found, expected)


# ---------------------------------------------------------------------------------------------------------------------
# Graphs


def spec(arrays, shape):
    return [tf.TensorSpec(shape(np.asarray(a)), np.asarray(a).dtype) for a in arrays]


def test_a_graph_with_known_sizes(entry):
    case = entry.draw(np.complex128)
    agrees(entry.primitive, case, tf.function(value_and_bars(entry.primitive, case.options)))


def sizes_unknown(primitive, case):
    """Of a banded matrix, the number of rows that are stored must be known."""
    if primitive.name not in ("cholesky_banded", "cho_solve_banded"):
        return lambda a: [None] * a.ndim
    rows = case.arrays[0].shape[-2]
    return lambda a: [None] * (a.ndim - 2) + [rows if a.shape[-2] == rows else None, None]


def test_a_graph_with_unknown_sizes(sample):
    """One graph serves every batch. Functions of whole arrays know their sizes, which options speak of, but for the
    batch; the others know none."""
    whole = sample.primitive.signature.whole
    case = sample.draw(batch=(3,))
    _, cotangents, _ = by_numpy(sample.primitive, case)
    run = tf.function(value_and_bars(sample.primitive, case.options))
    unknown = (lambda a: [None, *a.shape[1:]]) if whole else sizes_unknown(sample.primitive, case)
    run = run.get_concrete_function(spec(case.arrays, unknown), spec(cotangents, unknown))
    for size in (3, 1, 5):
        agrees(sample.primitive, sample.draw(batch=(size,)), run)


def test_a_graph_with_unknown_rank(entry):
    """The matrices are the last two dimensions: one graph serves single ones and every batch."""
    primitive, case = entry.primitive, entry.draw()
    if primitive.signature.whole or sizes_unknown(primitive, case)(case.arrays[0]) != [None] * case.arrays[0].ndim:
        pytest.skip("a function of whole arrays, or one that must know a size")
    _, cotangents, _ = by_numpy(primitive, case)
    run = tf.function(value_and_bars(primitive, case.options))
    run = run.get_concrete_function(spec(case.arrays, lambda a: None), spec(cotangents, lambda a: None))
    for batch in ((), (2, 1)):
        agrees(primitive, entry.draw(batch=batch), run)


def test_broadcasting_in_a_graph_with_unknown_sizes(entry):
    """Whether an input is broadcast is not known when the graph is built: its bar must still be summed."""
    if entry.primitive.signature.whole:
        pytest.skip("a function of whole arrays does not broadcast")
    batches = [[(3, 1), (1, 4), (1, 1)], [(1, 4), (3, 1), (3, 4)], [(2, 2), (2, 2), (2, 2)]]
    case = entry.draw(batch=batches[0])
    run = tf.function(value_and_bars(entry.primitive, case.options))
    _, cotangents, _ = by_numpy(entry.primitive, case)
    run = run.get_concrete_function(
        spec(case.arrays, sizes_unknown(entry.primitive, case)), spec(cotangents, sizes_unknown(entry.primitive, case))
    )
    for batch in batches:
        agrees(entry.primitive, entry.draw(batch=batch), run)


@pytest.mark.slow
def test_xla(entry):
    """In single precision, complex: real, and with double precision, in tests/consistency. Of the functions that call
    eigh or svd, which take half a minute each to compile, those two alone: tests/check measures the gradient of each
    under XLA."""
    if decomposes(entry.primitive) and entry.primitive.name not in ("eigh", "svd"):
        pytest.skip("compiling takes half a minute, and tests/check does it")
    case = entry.draw(np.complex64, (2,))
    run = tf.function(value_and_bars(entry.primitive, case.options), jit_compile=True)
    if cannot_be_compiled(entry.primitive):
        with pytest.raises(NotImplementedError, match=r"[Ll]eave out jit_compile"):
            agrees(entry.primitive, case, run)
        return
    agrees(entry.primitive, case, run, 1000 * np.finfo(np.float32).eps)


# ---------------------------------------------------------------------------------------------------------------------
# Bad input


def escaped(name):
    return name.replace("[", r"\[").replace("]", r"\]")


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("dtype", [tf.int32, tf.bool])
def test_a_tensor_that_is_not_floating_is_refused_by_name(first, dtype, graph):
    primitive, case = first.primitive, first.draw()
    for i, a in enumerate(case.arrays):
        if primitive.argument(i) in primitive.integer:
            continue
        x = tensors(case)
        x[i] = tf.ones(a.shape, tf.int32) if dtype == tf.int32 else tf.ones(a.shape, tf.int32) > 0
        f = lambda *t: call(primitive, t, case.options)  # noqa: E731
        words = rf"argument {escaped(primitive.argument(i))} has dtype .*{dtype.name}"
        with pytest.raises(tf.errors.InvalidArgumentError, match=words):
            (tf.function(f) if graph else f)(*x)


@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_a_tensor_that_is_not_square_is_refused_by_name(entry, graph):
    primitive, case = entry.primitive, entry.draw()
    for i, core in enumerate(primitive.signature.inputs):
        if len(core) == 2 and core[0] == core[1]:
            x = tensors(case)
            x[i] = tf.ones((4, 5), tf.float64)
            f = lambda *t: call(primitive, t, case.options)  # noqa: E731
            words = rf"argument {primitive.argument(i)} of shape.*not square"
            with pytest.raises(tf.errors.InvalidArgumentError, match=words):
                (tf.function(f) if graph else f)(*x)


def test_there_is_an_op_of_each_primitive(primitive):
    names = [name for name in tf_ops.__all__ if getattr(getattr(tf_ops, name), "primitive", None) is primitive]
    assert names or callable(getattr(tf_ops, primitive.name))


# ---------------------------------------------------------------------------------------------------------------------
# These tests catch wrong rules


def test_a_factor_in_the_reverse_rule_is_caught(first):
    for m in verify.rule_mutations(first.primitive):
        if "bar" not in m.name or "1.001" not in m.name:
            continue
        caught = 0
        for case in verify.draw_cases(first.primitive):
            _, cotangents, bars = by_numpy(first.primitive, case)
            _, found = value_and_bars(m.primitive, case.options)(tensors(case), [tf.constant(c) for c in cotangents])
            errors = [abs(np.asarray(a) - b).max() / (abs(b).max() or 1) for a, b in zip(found, bars, strict=True)]
            caught += max(errors) > 1e-4
        assert caught, m.name
