"""One rule, three frameworks: NumPy, PyTorch and TensorFlow give the same value, bars, tangents and second derivatives,
to a few units in the last place times a condition number of at most 30; and so does each framework when it
differentiates the bare function itself. May import `torch_ops` and `tf_ops`.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402, F401
import torch_ops  # noqa: E402, F401
from overbar import verify  # noqa: E402
from overbar.namespace import NUMPY  # noqa: E402
from overbar.verify import call  # noqa: E402

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
DOUBLE = [np.float64, np.complex128]
BATCHES = [(), (3,), (2, 1, 4), [(3, 1), (4,), ()], [(), (2, 3)]]

# Units in the last place, relative to the largest entry: the condition number times a few. In single precision this is
# 1e-5, so that a factor of 1.001 fails there, too.
ULPS = 100


def tolerance(dtype):
    return ULPS * float(np.finfo(dtype).eps)


def error(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    return abs(found - expected).max(initial=0) / (abs(expected).max(initial=0) or 1)


def as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def noise(like, seed):
    return verify._noise(np.random.default_rng(seed), like).astype(like.dtype)


def directions(primitive, case):
    """Random cotangents of the public outputs and tangents of the inputs, Hermitian where the argument is."""
    dots = [noise(a, i) for i, a in enumerate(case.arrays)]
    dots = [(d + np.conj(d.mT)) / 2 if primitive.argument(i) in primitive.hermitian else d for i, d in enumerate(dots)]
    outputs = as_tuple(call(primitive, case.arrays, case.options))
    return [noise(np.asarray(out), 10 + i) for i, out in enumerate(outputs)], dots


# Each of these returns outputs, bars and tangents as NumPy arrays.


def in_numpy(primitive, case, bars, dots):
    outputs = primitive.run(case.arrays, case.options)
    public = primitive.public
    absent = [None] * (len(outputs) - public)
    found_bars = primitive.pull(NUMPY, [*bars, *absent], outputs, case.arrays, case.options)
    found_dots = primitive.push(NUMPY, dots, outputs, case.arrays, case.options)
    return outputs[:public], found_bars, found_dots[:public]


def in_torch(primitive, case, bars, dots):
    x = [torch.tensor(a, requires_grad=True) for a in case.arrays]
    outputs = as_tuple(call(primitive, x, case.options))
    found_bars = torch.autograd.grad(outputs, x, [torch.tensor(bar) for bar in bars])
    _, found_dots = torch.func.jvp(
        lambda *t: as_tuple(call(primitive, t, case.options)),
        tuple(t.detach() for t in x),
        tuple(torch.tensor(dot) for dot in dots),
    )
    return [[t.detach().resolve_conj().numpy() for t in group] for group in (outputs, found_bars, found_dots)]


def in_tensorflow(primitive, case, bars, dots, wrap=lambda f: f):
    @wrap
    def run(x, bars, dots):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = as_tuple(call(primitive, list(x), case.options))
        found_bars = tape.gradient(outputs, x, output_gradients=bars)
        with tf.autodiff.ForwardAccumulator(x, dots) as accumulator:
            again = as_tuple(call(primitive, list(x), case.options))
        return outputs, found_bars, accumulator.jvp(again)

    groups = run(*([tf.constant(a) for a in arrays] for arrays in (case.arrays, bars, dots)))
    return [[t.numpy() for t in group] for group in groups]


def largest_error(found, expected):
    pairs = [pair for a, b in zip(found, expected, strict=True) for pair in zip(a, b, strict=True)]
    return max(error(a, b) for a, b in pairs)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_value_bars_and_tangents_agree(sample, dtype, batch):
    primitive, case = sample.primitive, sample.draw(dtype, batch)
    bars, dots = directions(primitive, case)
    expected = in_numpy(primitive, case, bars, dots)
    assert largest_error(in_torch(primitive, case, bars, dots), expected) < tolerance(dtype)
    assert largest_error(in_tensorflow(primitive, case, bars, dots), expected) < tolerance(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_a_graph_agrees(first, dtype):
    primitive, case = first.primitive, first.draw(dtype, [(3, 1), (4,), ()])
    bars, dots = directions(primitive, case)
    expected = in_numpy(primitive, case, bars, dots)
    assert largest_error(in_tensorflow(primitive, case, bars, dots, tf.function), expected) < tolerance(dtype)


# What XLA cannot compile, and the op that it lacks.
XLA_LACKS = {("inv_congruence", "complex128"): "MatrixSolve"}


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_xla_agrees(first, dtype):
    primitive, case = first.primitive, first.draw(dtype, (3,))
    lacking = XLA_LACKS.get((primitive.name, np.dtype(dtype).name))
    bars, dots = directions(primitive, case)
    expected = in_numpy(primitive, case, bars, dots)
    compiled = lambda f: tf.function(f, jit_compile=True)  # noqa: E731
    if lacking:
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"unsupported operations.* {lacking}"):
            in_tensorflow(primitive, case, bars, dots, compiled)
        pytest.skip(f"XLA has no {lacking} for {np.dtype(dtype)}")
    assert largest_error(in_tensorflow(primitive, case, bars, dots, compiled), expected) < tolerance(dtype)


# ---------------------------------------------------------------------------------------------------------------------
# Second derivatives


def second_in_torch(primitive, case, bars, dots):
    """The bars of ⟨X̄, Ẋ⟩, where X̄ are the bars for cotangents that are differentiated, too."""
    x = [torch.tensor(a, requires_grad=True) for a in case.arrays]
    b = [torch.tensor(bar, requires_grad=True) for bar in bars]
    first = torch.autograd.grad(as_tuple(call(primitive, x, case.options)), x, b, create_graph=True)
    inner = sum((bar.conj() * torch.tensor(dot)).real.sum() for bar, dot in zip(first, dots, strict=True))
    found = torch.autograd.grad(inner, [*x, *b], materialize_grads=True)
    return [t.resolve_conj().numpy() for t in found]


def second_in_tensorflow(primitive, case, bars, dots):
    x, b = ([tf.constant(a) for a in arrays] for arrays in (case.arrays, bars))
    with tf.GradientTape() as outer:
        outer.watch([x, b])
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = as_tuple(call(primitive, x, case.options))
        first = tape.gradient(outputs, x, output_gradients=b)
        inner = tf.add_n([tf.reduce_sum(tf.math.real(tf.math.conj(a) * d)) for a, d in zip(first, dots, strict=True)])
    return [t.numpy() for t in outer.gradient(inner, [*x, *b], unconnected_gradients="zero")]


@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("batch", [(), [(3, 1), (4,), ()]], ids=str)
def test_second_derivatives_agree(sample, dtype, batch):
    primitive, case = sample.primitive, sample.draw(dtype, batch)
    bars, dots = directions(primitive, case)
    by_torch = second_in_torch(primitive, case, bars, dots)
    by_tensorflow = second_in_tensorflow(primitive, case, bars, dots)
    for a, b in zip(by_torch, by_tensorflow, strict=True):
        assert error(a, b) < 10 * tolerance(dtype)  # the condition number comes in twice
    # the derivative of ⟨X̄, Ẋ⟩ by the cotangents is the tangent, which NumPy knows
    _, _, tangents = in_numpy(primitive, case, bars, dots)
    for a, b in zip(by_torch[len(case.arrays) :], tangents, strict=True):
        assert error(a, b) < tolerance(dtype)


# ---------------------------------------------------------------------------------------------------------------------
# The framework's own gradient


def hermitian_parts(primitive, bars):
    return [
        (bar + np.conj(bar.mT)) / 2 if primitive.argument(i) in primitive.hermitian else bar
        for i, bar in enumerate(bars)
    ]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_frameworks_own_gradients_agree(sample, dtype):
    """PyTorch and TensorFlow differentiate the bare function, without any rule of ours."""
    primitive, case = sample.primitive, sample.draw(dtype)
    bars, dots = directions(primitive, case)
    _, expected, _ = in_numpy(primitive, case, bars, dots)
    expected = hermitian_parts(primitive, expected)

    x = [torch.tensor(a, requires_grad=True) for a in case.arrays]
    outputs = primitive.run(x, case.options)[: primitive.public]
    found = torch.autograd.grad(outputs, x, [torch.tensor(bar) for bar in bars])
    found = hermitian_parts(primitive, [t.resolve_conj().numpy() for t in found])
    assert max(error(a, b) for a, b in zip(found, expected, strict=True)) < tolerance(dtype)

    x = [tf.constant(a) for a in case.arrays]
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = primitive.run(x, case.options)[: primitive.public]
    found = tape.gradient(outputs, x, output_gradients=[tf.constant(bar) for bar in bars])
    found = hermitian_parts(primitive, [tf.convert_to_tensor(t).numpy() for t in found])
    assert max(error(a, b) for a, b in zip(found, expected, strict=True)) < tolerance(dtype)


# ---------------------------------------------------------------------------------------------------------------------
# These tests catch wrong rules


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_factor_is_caught(first, dtype):
    """One framework with a rule that is off by 1.001 does not agree with another that has the right one."""
    cases = verify.draw_cases(first.primitive, dtype)
    for m in verify.rule_mutations(first.primitive, cases):
        if "1.001" in m.name:
            found = 0.0
            for case in cases:
                bars, dots = directions(first.primitive, case)
                right = in_numpy(first.primitive, case, bars, dots)
                found = max(found, largest_error(in_torch(m.primitive, case, bars, dots), right))
            assert found > 3 * tolerance(dtype), m.name
