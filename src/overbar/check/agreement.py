"""One rule in three frameworks: values, bars, tangents and second derivatives of a primitive, as NumPy arrays.

May import `overbar`, `overbar._front`, `overbar.verify` and, inside functions, the frameworks. What is compared with
what:

- values, bars and tangents: each framework with NumPy, whose rules the oracles of `overbar.verify` check;
- second derivatives: each framework with differences of NumPy's bars. They are the derivative of the bars along the
  tangents, which is also what comes back from a pullback through the pullback. The same pullback gives the tangents
  once more, by the reverse rule alone.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import overbar
from overbar import verify
from overbar._front import NUMPY
from overbar.verify import call

# Units in the last place, relative to the largest entry: the condition number times a few. In single precision this is
# 1e-5, and 1e-4 for second derivatives, where the condition number comes in twice: a factor of 1.001 fails there, too.
ULPS = 100
ULPS_OF_SECOND = 1000
# What the differences are good for in double precision.
DIFFERENCES = 5e-7


class Found(NamedTuple):
    """What one framework computes, as lists of NumPy arrays; None for what it was not asked for."""

    outputs: list
    bars: list
    #: of those outputs that have a derivative: pivots, which are integers, have none
    tangents: list | None
    #: the derivative of the bars along the tangents of the inputs
    second: list | None
    #: the tangents again, by a pullback through the pullback
    again: list | None


class Directions(NamedTuple):
    """Random cotangents of the outputs that have a derivative, and tangents of the inputs, Hermitian where the argument
    is."""

    bars: list
    dots: list


def directions(primitive, case) -> Directions:
    dots = [_noise(a, i) for i, a in enumerate(case.arrays)]
    outputs = as_tuple(call(primitive, case.arrays, case.options))
    bars = [_noise(np.asarray(out), 10 + i) for i, out in enumerate(outputs) if smooth(out)]
    return Directions(bars, hermitian_parts(primitive, dots))


def _noise(like, seed):
    return verify.noise(np.random.default_rng(seed), like).astype(like.dtype)


def as_tuple(outputs: Any) -> tuple:
    return tuple(outputs) if isinstance(outputs, (tuple, list)) else (outputs,)


def smooth(out) -> bool:
    return np.asarray(out).dtype.kind in "fc"


def hermitian_parts(primitive, arrays) -> list:
    return [
        (a + np.conj(a.mT)) / 2 if primitive.argument(i) in primitive.hermitian else a for i, a in enumerate(arrays)
    ]


# ---------------------------------------------------------------------------------------------------------------------
# The frameworks


def in_numpy(primitive, case, to, second=True) -> Found:
    """`second` asks for all but outputs and bars, here and below."""
    outputs = primitive.run(case.arrays, case.options)
    bars = pull_in_numpy(primitive, case, case.arrays, to.bars)
    if not second:
        return Found(outputs[: primitive.public], bars, None, None, None)
    tangents = primitive.push(NUMPY, to.dots, outputs, case.arrays, case.options)
    keep = [i for i in range(primitive.public) if smooth(outputs[i])]
    return Found(outputs[: primitive.public], bars, [tangents[i] for i in keep], differences(primitive, case, to), None)


def pull_in_numpy(primitive, case, arrays, bars) -> list:
    outputs = primitive.run(arrays, case.options)
    bars = iter(bars)
    bars = [next(bars) if i < primitive.public and smooth(out) else None for i, out in enumerate(outputs)]
    return primitive.pull(NUMPY, bars, outputs, arrays, case.options)


def differences(primitive, case, to) -> list:
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


def in_sweeps(primitive, case, to, second=True) -> Found:
    """NumPy by the sweeps of `overbar`, one inside another, where `in_numpy` calls each rule once."""

    def differentiable(*arrays):
        return tuple(out for out in as_tuple(call(primitive, arrays, case.options)) if out.dtype.kind in "fc")

    def pulled(*arrays):
        x, b = arrays[: len(case.arrays)], arrays[len(case.arrays) :]
        return overbar.vjp(differentiable, *x)[1](b)

    bars, back = overbar.vjp(pulled, *case.arrays, *to.bars)
    outputs = as_tuple(call(primitive, case.arrays, case.options))
    if not second:
        return Found(outputs, bars, None, None, None)
    _, tangents = overbar.jvp(differentiable, case.arrays, to.dots)
    twice = back(tuple(to.dots))
    return Found(outputs, bars, tangents, [*twice[: len(case.arrays)]], [*twice[len(case.arrays) :]])


def in_torch(primitive, case, to, wrap=lambda f: f, second=True) -> Found:
    """`wrap` is applied to the function, torch.compile for instance."""
    import torch

    x = [torch.tensor(a, requires_grad=True) for a in case.arrays]
    b = [torch.tensor(bar, requires_grad=True) for bar in to.bars]
    dots = [torch.tensor(dot) for dot in to.dots]

    def run(*t):
        return as_tuple(call(primitive, t, case.options))

    @wrap
    def differentiable(*t):
        return tuple(out for out in run(*t) if out.dtype.is_floating_point or out.dtype.is_complex)

    outputs = run(*x)
    bars = torch.autograd.grad(differentiable(*x), x, b, create_graph=second)
    groups = [outputs, bars]
    if second:
        _, tangents = torch.func.jvp(differentiable, tuple(t.detach() for t in x), tuple(dots))
        inner = sum((bar.conj() * dot).real.sum() for bar, dot in zip(bars, dots, strict=True))
        twice = torch.autograd.grad(inner, [*x, *b], materialize_grads=True)
        groups += [tangents, twice[: len(x)], twice[len(x) :]]
    found = [[t.detach().resolve_conj().cpu().numpy() for t in group] for group in groups]
    return Found(*found, *[None] * (5 - len(found)))


def in_tensorflow(primitive, case, to, wrap=lambda f: f, forward_mode=True, second=True) -> Found:
    """`wrap` is applied to the whole, tf.function for instance."""
    import tensorflow as tf

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
            if not second:
                return [outputs, bars]
            inner = tf.add_n(
                [tf.reduce_sum(tf.math.real(tf.math.conj(a) * d)) for a, d in zip(bars, dots, strict=True)]
            )
        twice = outer.gradient(inner, [*x, *b], unconnected_gradients="zero")
        if not forward_mode:
            return [outputs, bars, None, twice[: len(x)], twice[len(x) :]]
        # A pass of its own: the tapes would record the forward derivatives, too, which takes twice as long, and XLA
        # cannot differentiate those of slices.
        with tf.autodiff.ForwardAccumulator(x, dots) as accumulator:
            again = differentiable(as_tuple(call(primitive, list(x), case.options)))
        return [outputs, bars, accumulator.jvp(again), twice[: len(x)], twice[len(x) :]]

    groups = run(*([tf.constant(a) for a in arrays] for arrays in (case.arrays, *to)))
    found = [None if group is None else [tf.convert_to_tensor(t).numpy() for t in group] for group in groups]
    return Found(*found, *[None] * (5 - len(found)))


def in_a_graph(primitive, case, to, **options) -> Found:
    # there is nothing in it for AutoGraph to rewrite, which would take as long as the tracing
    return in_tensorflow(primitive, case, to, _function(), **options)


def under_xla(primitive, case, to, **options) -> Found:
    return in_tensorflow(primitive, case, to, _function(jit_compile=True), **options)


def _function(**options):
    import tensorflow as tf

    return lambda f: tf.function(f, autograph=False, **options)


# ---------------------------------------------------------------------------------------------------------------------
# The comparison


def error(found, expected) -> float:
    """The largest error of an entry, relative to the largest entry; infinite where something is not a number."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    relative = abs(found - expected).max(initial=0) / (abs(expected).max(initial=0) or 1)
    return np.inf if np.isnan(relative) else relative


def disagreement(primitive, found: Found, expected: Found, dtype) -> dict[str, float]:
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
        "second": (found.second, expected.second, second),
    }
    errors = {}
    for name, (mine, other, tolerance) in pairs.items():
        if mine is None or other is None:
            continue
        if name == "second":
            # with respect to a Hermitian argument, differences along a Hermitian tangent tell the Hermitian part
            mine, other = hermitian_parts(primitive, mine), hermitian_parts(primitive, other)
        errors[name] = max((error(a, b) for a, b in zip(mine, other, strict=True)), default=0) / tolerance
    return errors
