"""Runs tests over the primitives of the registry and some of a user's own: a test that takes `entry` runs for each, one
that takes `some` for the user's and the few of the registry that ask most of a wrapper. May import `overbar`.
"""

from typing import NamedTuple

import numpy as np
import pytest

import overbar
from overbar._primitive import Primitive
from overbar.rules import REGISTRY
from overbar.verify import Case, draw_cases
from tests.conftest import is_drawn


@overbar.primitive("()->(),()", intermediates=1)
def softplus(A):
    """log(1 + exp A). Its slope is a hidden output."""
    xp = overbar.namespace(A)
    slope = 1 / (1 + xp.exp(-A))
    return xp.log(1 + xp.exp(A)), slope


@softplus.vjp
def _(bars, outputs, A):
    (C_bar, slope_bar), (_, slope), xp = bars, outputs, overbar.namespace(A)

    def A_bar():
        through_slope = 0 if slope_bar is None else slope_bar * xp.conj(1 - slope)
        return xp.conj(slope) * (through_slope if C_bar is None else C_bar + through_slope)

    return (A_bar,)


@softplus.jvp
def _(outputs, A):
    _, slope = outputs
    return (lambda A_dot: (slope * A_dot, slope * (1 - slope) * A_dot),)


@softplus.samples
def _(case):
    yield case(case.positive(3))


@overbar.primitive("(n)->(),(n)")
def polar(x):
    """The length of a vector and its direction: two outputs, of which the first is always real."""
    xp = overbar.namespace(x)
    r = xp.sqrt(xp.sum(xp.real(xp.conj(x) * x), axis=-1))
    return r, x / xp.cast(r, x)[..., None]


def _along(u, v):
    xp = overbar.namespace(u)
    return xp.sum(xp.real(xp.conj(u) * v), axis=-1)


@polar.vjp
def _(bars, outputs, x):
    (r_bar, u_bar), (r, u), xp = bars, outputs, overbar.namespace(x)

    def x_bar():
        total = 0
        if u_bar is not None:
            total = (u_bar - xp.cast(_along(u, u_bar), x)[..., None] * u) / xp.cast(r, x)[..., None]
        return total if r_bar is None else total + xp.cast(r_bar, x)[..., None] * u

    return (x_bar,)


@polar.jvp
def _(outputs, x):
    (r, u), xp = outputs, overbar.namespace(x)

    def dots(x_dot):
        r_dot = _along(u, x_dot)
        return r_dot, (x_dot - xp.cast(r_dot, x)[..., None] * u) / xp.cast(r, x)[..., None]

    return (dots,)


@polar.samples
def _(case):
    yield case(case.positive(3))


@overbar.primitive("...->...")
def share(A, *, batch_ndim=0):
    """What each entry contributes to the sum of all: a function of the whole array."""
    return A / _total(A, batch_ndim)


def _total(A, batch_ndim):
    return overbar.namespace(A).sum(A, axis=tuple(range(batch_ndim, len(A.shape))), keepdims=True)


@share.vjp
def _(C_bar, C, A, *, batch_ndim):
    xp = overbar.namespace(A)
    return (lambda: (C_bar - _total(xp.conj(C) * C_bar, batch_ndim)) / xp.conj(_total(A, batch_ndim)),)


@share.jvp
def _(C, A, *, batch_ndim):
    return (lambda A_dot: (A_dot - C * _total(A_dot, batch_ndim)) / _total(A, batch_ndim),)


@share.samples
def _(case):
    yield case(case.positive(2, 3))


OWN = [softplus, polar, share]
SOME = [*OWN, REGISTRY["cholesky"], REGISTRY["inv_congruence"]]


class Entry(NamedTuple):
    """A primitive, and its first case, to be drawn in any dtype and batch shape."""

    primitive: Primitive

    def draw(self, dtype=np.float64, batch=(), rng=0) -> Case:
        return draw_cases(self.primitive, dtype, batch, rng)[0]


def pytest_generate_tests(metafunc):
    for name, primitives in (("entry", [*OWN, *REGISTRY.values()]), ("some", SOME)):
        if name in metafunc.fixturenames:
            primitives = [p for p in primitives if is_drawn(metafunc, p)]
            metafunc.parametrize(name, [Entry(p) for p in primitives], ids=[p.name for p in primitives])


@pytest.fixture(name="polar")
def primitive_with_two_outputs():
    return polar
