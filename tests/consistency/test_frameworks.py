"""One rule, three frameworks: NumPy, PyTorch and TensorFlow (eager, in a graph, under XLA) give the same values, bars,
tangents and second derivatives, to a few units in the last place times a condition number of at most 30; and so does
each framework when it differentiates the bare function itself. May import `torch_ops` and `tf_ops`.

What is compared with what, for every primitive:

- values, bars and tangents: each framework with NumPy;
- second derivatives: each framework with differences of NumPy's bars, and TensorFlow with PyTorch to rounding. They are
  the derivative of the bars along the tangents, which is also what comes back from a pullback through the pullback. The
  same pullback gives the tangents once more, by the reverse rule alone.

TensorFlow in a graph and under XLA runs for the first sample of each primitive only, as tracing and compiling are slow:
one function gives all of it at once, for a batch that broadcasts.
"""

from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402, F401 - makes the primitives ops of TensorFlow
import torch_ops  # noqa: E402, F401 - and of PyTorch
from overbar import verify  # noqa: E402
from overbar.namespace import NUMPY  # noqa: E402
from overbar.verify import call  # noqa: E402
from tests.conftest import cannot_be_compiled, computed_on_the_host, decomposes  # noqa: E402

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
BROADCAST = [(3, 1), (4,), ()]
BATCHES = [(), BROADCAST, [(), (2, 3)]]

# Units in the last place, relative to the largest entry: the condition number times a few. In single precision this is
# 1e-5, and 1e-4 for second derivatives, where the condition number comes in twice: a factor of 1.001 fails there, too.
ULPS = 100
ULPS_OF_SECOND = 1000
# What the differences are good for in double precision.
DIFFERENCES = 1e-7


class Found(NamedTuple):
    """What one framework computes, as lists of NumPy arrays; None for what it was not asked for."""

    outputs: list
    bars: list
    #: of those outputs that have a derivative: pivots, which are integers, have none
    tangents: list | None
    #: the derivative of the bars along the tangents of the inputs
    second: list
    #: the tangents again, by a pullback through the pullback, which NumPy has not
    again: list | None


class Directions(NamedTuple):
    """Random cotangents of the outputs that have a derivative, and tangents of the inputs, Hermitian where the argument
    is."""

    bars: list
    dots: list


def directions(primitive, case):
    dots = [noise(a, i) for i, a in enumerate(case.arrays)]
    outputs = as_tuple(call(primitive, case.arrays, case.options))
    bars = [noise(np.asarray(out), 10 + i) for i, out in enumerate(outputs) if smooth(out)]
    return Directions(bars, hermitian_parts(primitive, dots))


def noise(like, seed):
    return verify._noise(np.random.default_rng(seed), like).astype(like.dtype)


def as_tuple(outputs):
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def smooth(out):
    return np.asarray(out).dtype.kind in "fc"


def hermitian_parts(primitive, arrays):
    return [
        (a + np.conj(a.mT)) / 2 if primitive.argument(i) in primitive.hermitian else a for i, a in enumerate(arrays)
    ]


# ---------------------------------------------------------------------------------------------------------------------
# The three frameworks


def in_numpy(primitive, case, to):
    outputs = primitive.run(case.arrays, case.options)
    bars = pull_in_numpy(primitive, case, case.arrays, to.bars)
    tangents = primitive.push(NUMPY, to.dots, outputs, case.arrays, case.options)
    keep = [i for i in range(primitive.public) if smooth(outputs[i])]
    second = differences(primitive, case, to)
    return Found(outputs[: primitive.public], bars, [tangents[i] for i in keep], second, again=None)


def pull_in_numpy(primitive, case, arrays, bars):
    outputs = primitive.run(arrays, case.options)
    bars = iter(bars)
    bars = [next(bars) if i < primitive.public and smooth(out) else None for i, out in enumerate(outputs)]
    return primitive.pull(NUMPY, bars, outputs, arrays, case.options)


def differences(primitive, case, to):
    """The derivative of NumPy's bars along the tangents, by central differences of fourth order, in double precision
    whatever the dtype: in single precision they would have three digits."""
    arrays, bars, dots = ([_double(a) for a in group] for group in (case.arrays, *to))
    h = 1e-3

    def at(step):
        return pull_in_numpy(primitive, case, [a + step * h * dot for a, dot in zip(arrays, dots, strict=True)], bars)

    found = [
        (8 * (near - near_) - (far - far_)) / (12 * h)
        for near, near_, far, far_ in zip(at(1), at(-1), at(2), at(-2), strict=True)
    ]
    return [a.astype(like.dtype) for a, like in zip(found, case.arrays, strict=True)]


def _double(a):
    return a.astype(np.complex128 if a.dtype.kind == "c" else np.float64)


def in_torch(primitive, case, to):
    x = [torch.tensor(a, requires_grad=True) for a in case.arrays]
    b = [torch.tensor(bar, requires_grad=True) for bar in to.bars]
    dots = [torch.tensor(dot) for dot in to.dots]

    def run(*t):
        return as_tuple(call(primitive, t, case.options))

    def differentiable(*t):
        return tuple(out for out in run(*t) if out.dtype.is_floating_point or out.dtype.is_complex)

    outputs = run(*x)
    bars = torch.autograd.grad(differentiable(*x), x, b, create_graph=True)
    _, tangents = torch.func.jvp(differentiable, tuple(t.detach() for t in x), tuple(dots))
    inner = sum((bar.conj() * dot).real.sum() for bar, dot in zip(bars, dots, strict=True))
    second = torch.autograd.grad(inner, [*x, *b], materialize_grads=True)
    groups = (outputs, bars, tangents, second[: len(x)], second[len(x) :])
    return Found(*([t.detach().resolve_conj().numpy() for t in group] for group in groups))


def in_tensorflow(primitive, case, to, wrap=lambda f: f):
    def differentiable(outputs):
        return [out for out in outputs if out.dtype.is_floating or out.dtype.is_complex]

    @wrap
    def run(x, b, dots):
        with tf.GradientTape() as outer:
            outer.watch([x, b])
            with tf.GradientTape() as tape:
                tape.watch(x)
                outputs = as_tuple(call(primitive, list(x), case.options))
            bars = tape.gradient(differentiable(outputs), x, output_gradients=b)
            inner = tf.add_n(
                [tf.reduce_sum(tf.math.real(tf.math.conj(a) * d)) for a, d in zip(bars, dots, strict=True)]
            )
        second = outer.gradient(inner, [*x, *b], unconnected_gradients="zero")
        # A pass of its own: the tapes would record the forward derivatives, too, which takes twice as long, and XLA
        # cannot differentiate those of slices.
        with tf.autodiff.ForwardAccumulator(x, dots) as accumulator:
            again = differentiable(as_tuple(call(primitive, list(x), case.options)))
        return outputs, bars, accumulator.jvp(again), second[: len(x)], second[len(x) :]

    groups = run(*([tf.constant(a) for a in arrays] for arrays in (case.arrays, *to)))
    return Found(*([t.numpy() for t in group] for group in groups))


def in_a_graph(primitive, case, to):
    # there is nothing in it for AutoGraph to rewrite, which would take as long as the tracing
    return in_tensorflow(primitive, case, to, lambda f: tf.function(f, autograph=False))


def under_xla(primitive, case, to):
    return in_tensorflow(primitive, case, to, lambda f: tf.function(f, autograph=False, jit_compile=True))


# ---------------------------------------------------------------------------------------------------------------------
# The comparison


def error(found, expected):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    return abs(found - expected).max(initial=0) / (abs(expected).max(initial=0) or 1)


def disagreement(primitive, found, expected, dtype):
    """For each group, the largest error in units of its tolerance."""
    eps = float(np.finfo(dtype).eps)
    first, second = ULPS * eps, ULPS_OF_SECOND * eps
    if expected.again is None:
        second = max(second, DIFFERENCES)
    pairs = {
        "outputs": (found.outputs, expected.outputs, first),
        "bars": (found.bars, expected.bars, first),
        "tangents": (found.tangents, expected.tangents, first),
        "tangents, again": (found.again, expected.tangents if expected.again is None else expected.again, first),
        # with respect to a Hermitian argument, differences along a Hermitian tangent tell the Hermitian part
        "second": (hermitian_parts(primitive, found.second), hermitian_parts(primitive, expected.second), second),
    }
    return {
        name: max((error(a, b) for a, b in zip(mine, other, strict=True)), default=0) / tolerance
        for name, (mine, other, tolerance) in pairs.items()
        if mine is not None and other is not None
    }


def assert_agree(primitive, found, expected, dtype):
    errors = disagreement(primitive, found, expected, dtype)
    assert all(e < 1 for e in errors.values()), errors  # NaN fails, too


def assert_a_factor_is_caught(primitive, case, to, found, dtype):
    """What a framework found does not agree with NumPy or PyTorch where their rules are off by 1.001."""
    for name, wrong in factors(primitive, case):
        errors = disagreement(primitive, found, in_numpy(wrong, case, to), dtype)
        if "tangent" in name:
            assert errors["tangents, again"] > 3, name
            assert errors.get("tangents", 4) > 3, name
        else:
            assert errors["bars"] > 3, name
            # Of a linear function, the second derivative is zero, whatever the factor.
            errors = disagreement(primitive, found, in_torch(wrong, case, to), dtype)
            assert max(errors["tangents, again"], errors["second"]) > 3, name


def factors(primitive, case):
    """The mutations of a primitive by 1.001 that change something for this case."""
    for mutation in verify.rule_mutations(primitive, [case]):
        if "1.001" in mutation.name:
            yield mutation


# ---------------------------------------------------------------------------------------------------------------------
# The tests


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_frameworks_agree(sample, dtype, batch):
    """Eagerly."""
    primitive, case = sample.primitive, sample.draw(dtype, batch)
    to = directions(primitive, case)
    by_numpy, by_torch = in_numpy(primitive, case, to), in_torch(primitive, case, to)
    by_tensorflow = in_tensorflow(primitive, case, to)
    assert_agree(primitive, by_torch, by_numpy, dtype)
    assert_agree(primitive, by_tensorflow, by_numpy, dtype)
    assert_agree(primitive, by_tensorflow, by_torch, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_factor_is_caught(first, dtype):
    primitive, case = first.primitive, first.draw(dtype, BROADCAST)
    to = directions(primitive, case)
    by_torch, by_tensorflow = in_torch(primitive, case, to), in_tensorflow(primitive, case, to)
    assert_a_factor_is_caught(primitive, case, to, by_torch, dtype)
    assert_a_factor_is_caught(primitive, case, to, by_tensorflow, dtype)
    for name, wrong in factors(primitive, case):
        found = in_tensorflow(wrong, case, to)
        group = "bars" if "bar" in name else "tangents"
        assert disagreement(primitive, found, by_torch, dtype)[group] > 3, name


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_graph_agrees(first, dtype):
    primitive, case = first.primitive, first.draw(dtype, BROADCAST)
    to = directions(primitive, case)
    found = in_a_graph(primitive, case, to)
    assert_agree(primitive, found, in_numpy(primitive, case, to), dtype)
    assert_agree(primitive, found, in_torch(primitive, case, to), dtype)
    assert_a_factor_is_caught(primitive, case, to, found, dtype)


@pytest.mark.parametrize("dtype", [np.float64, np.complex64])
def test_xla_agrees(first, dtype):
    """Not of the functions that call eigh or svd, whose second derivatives take minutes to compile: tests/check
    measures the gradient of each under XLA, and tests/tf_ops those of eigh and of svd in complex64, too."""
    if decomposes(first.primitive):
        pytest.skip("compiling takes minutes, and tests/check does it")
    primitive, case = first.primitive, first.draw(dtype, BROADCAST)
    to = directions(primitive, case)
    if cannot_be_compiled(primitive):
        with pytest.raises(NotImplementedError, match=r"[Ll]eave out jit_compile"):
            under_xla(primitive, case, to)
        return
    found = under_xla(primitive, case, to)
    assert_agree(primitive, found, in_numpy(primitive, case, to), dtype)
    assert_agree(primitive, found, in_torch(primitive, case, to), dtype)
    assert_a_factor_is_caught(primitive, case, to, found, dtype)


# ---------------------------------------------------------------------------------------------------------------------
# The framework's own gradient


#: What is made of the phase of a complex determinant, of which TensorFlow's gradient of tf.linalg.slogdet is zero.
WITHOUT_PHASE = {"adjugate", "det", "logdet", "slogdet"}


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_frameworks_own_gradients_agree(sample, dtype):
    """PyTorch and TensorFlow differentiate the bare function, without any rule of ours."""
    primitive, case = sample.primitive, sample.draw(dtype)
    if computed_on_the_host(primitive):
        pytest.skip("computed on the host: there is nothing that a framework could differentiate")
    if primitive.name == "svd" and case.options["full_matrices"]:
        pytest.skip("PyTorch's gradient ignores the bars of singular vectors that belong to no singular value")
    to = directions(primitive, case)
    expected = hermitian_parts(primitive, pull_in_numpy(primitive, case, case.arrays, to.bars))
    tolerance = ULPS * float(np.finfo(dtype).eps)

    x = [torch.tensor(a, requires_grad=True) for a in case.arrays]
    outputs = [out for out in primitive.run(x, case.options)[: primitive.public] if smooth(out.detach().resolve_conj())]
    found = torch.autograd.grad(outputs, x, [torch.tensor(bar) for bar in to.bars])
    found = hermitian_parts(primitive, [t.resolve_conj().numpy() for t in found])
    assert max(error(a, b) for a, b in zip(found, expected, strict=True)) < tolerance

    if dtype == np.complex128 and primitive.name in WITHOUT_PHASE:
        return
    x = [tf.constant(a) for a in case.arrays]
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = [out for out in primitive.run(x, case.options)[: primitive.public] if smooth(out)]
    found = tape.gradient(outputs, x, output_gradients=[tf.constant(bar) for bar in to.bars])
    found = hermitian_parts(primitive, [tf.convert_to_tensor(t).numpy() for t in found])
    assert max(error(a, b) for a, b in zip(found, expected, strict=True)) < tolerance
