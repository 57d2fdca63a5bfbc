"""Functions that are computed again instead of being stored, in NumPy. May import `overbar`."""

import contextlib
import functools
import gc
import itertools
import math
import tracemalloc

import numpy as np
import pytest

import overbar

RNG = np.random.default_rng(3)
X, B = RNG.standard_normal(3), RNG.standard_normal(3)
WS = [RNG.standard_normal((3, 3)) for _ in range(6)]


def layer(state, W, b):
    """A state is a container, with an entry that has no derivative."""
    return {"h": np.tanh(W @ state["h"] + b), "layers": state["layers"] + 1}


def loop(step, x, Ws, b):
    state = {"h": x, "layers": 0}
    for W in Ws:
        state = step(state, W, b=b)
    assert state["layers"] == len(Ws)
    return overbar.sum(state["h"] ** 2)


def chain(snapshots, x, Ws, b):
    state = overbar.checkpoint_chain(layer, {"h": x, "layers": 0}, b, each=Ws, snapshots=snapshots)
    assert state["layers"] == len(Ws)
    return overbar.sum(state["h"] ** 2)


def kick(state, W, h):
    q, p = state
    p = p - h * np.sin(W @ q)
    return q + h * p, p


def kick_back(state, W, h):
    q, p = state
    q = q - h * p
    return q, p + h * np.sin(W @ q)


def end(step, x, Ws, b):
    q, p = overbar.checkpoint_chain(step, (x, b), 0.3, each=Ws, snapshots=2)
    return overbar.sum(q * q) + overbar.sum(p)


def end_of_loop(x, Ws, b):
    state = x, b
    for W in Ws:
        state = kick(state, W, 0.3)
    return overbar.sum(state[0] ** 2) + overbar.sum(state[1])


PLAIN = functools.partial(loop, layer)
AGAIN = {
    "a function": (functools.partial(loop, overbar.checkpoint(layer)), PLAIN),
    "a function of functions": (lambda *args: overbar.checkpoint(loop)(overbar.checkpoint(layer), *args), PLAIN),
    "a chain, one snapshot": (functools.partial(chain, 1), PLAIN),
    "a chain, two snapshots": (functools.partial(chain, 2), PLAIN),
    "a chain, all states": (functools.partial(chain, 9), PLAIN),
    "a chain that goes back": (functools.partial(end, overbar.reversible(kick, kick_back)), end_of_loop),
}


def flat(bars):
    return np.concatenate([np.ravel(A) for A in (bars[0], *bars[1], bars[2])])


@pytest.mark.parametrize("name", AGAIN)
def test_derivatives_of_every_order_are_those_of_the_plain_sweep(name):
    args, dots, every = (X, WS, B), (B, WS[::-1], X), (0, 1, 2)

    def forward(f):
        return overbar.jvp(lambda x, b: f(x, WS, b), (X, B), (B, X))

    def second(f):
        return flat(overbar.hvp(f, args, dots, every))

    def reverse_twice(f):
        return overbar.hessian(lambda x: f(x, WS, B))(X)

    def third(f):
        return overbar.grad(lambda x: overbar.sum(overbar.hvp(lambda y: f(y, WS, B), (x,), B) * x))(X)

    found, expected = AGAIN[name]
    for derivative in (lambda f: flat(overbar.grad(f, every)(*args)), forward, second, reverse_twice, third):
        np.testing.assert_allclose(derivative(found), derivative(expected), rtol=1e-11, atol=1e-13)
    np.testing.assert_array_equal(found(*args), expected(*args))


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
def test_bars_have_the_dtype_of_their_arrays(dtype):
    x = np.array([0.5, 2.0], dtype)

    def step(x, y):
        return x * x + y, y - np.exp(x)

    def f(x, y):
        u, v = overbar.checkpoint(step)(x, y)
        u, v = overbar.checkpoint_chain(lambda state, c: step(state[0] * c, state[1]), (u, v), 0.5, length=3)
        total = overbar.sum(u * v)
        return total.real if dtype == np.complex128 else total

    def plain(x, y):
        u, v = step(x, y)
        for _ in range(3):
            u, v = step(u * 0.5, v)
        return overbar.sum(u * v).real

    y = (x * (1 + 2j)).astype(dtype) if dtype == np.complex128 else x - 1
    for found, expected in zip(overbar.grad(f, (0, 1))(x, y), overbar.grad(plain, (0, 1))(x, y), strict=True):
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == np.float32 else 1e-13)


def test_the_plan_is_the_shortest_that_there_is_and_is_kept_to():
    @functools.cache
    def fewest(length, snapshots):
        if length <= 1:
            return 0
        if snapshots == 0:
            return math.inf
        return min(k + fewest(k, snapshots) + fewest(length - k, snapshots - 1) for k in range(1, length))

    computed = 0

    def step(x):
        nonlocal computed
        computed += 1
        return np.sin(x)

    for length, snapshots in itertools.product(range(1, 40), range(1, 12)):
        plan = overbar.checkpoint_plan(length, snapshots)
        assert plan.advances == fewest(length, snapshots)
        if length < 20:
            computed = 0
            _, pullback = overbar.vjp(
                lambda x, n=length, s=snapshots: overbar.checkpoint_chain(step, x, length=n, snapshots=s), 0.3
            )
            assert computed == length
            (bar,) = pullback(1.0)
            assert computed == length + plan.recomputed
            assert pullback(1.0) == (bar,)  # the snapshots are used up, and nothing else
    for length in (1, 2, 3, 100, 1000):
        plan = overbar.checkpoint_plan(length)
        assert plan.snapshots <= math.sqrt(2 * length)
        assert plan.sweeps <= 2
    assert overbar.checkpoint_plan(0).recomputed == 0


SIZE = 1000


def swing(x, c):
    q, p = x
    p = p - 0.01 * c * np.sin(q)
    return q + 0.01 * p, p


def swing_back(x, c):
    q, p = x
    q = q - 0.01 * p
    return q, p + 0.01 * c * np.sin(q)


def stored(x, c, length):
    for _ in range(length):
        x = swing(x, c)
    return x


MEMORY = {
    "stored": (stored, 3.7, 4.2),
    "√length": (lambda x, c, length: overbar.checkpoint_chain(swing, x, c, length=length), 1.3, 2.1),
    "eight": (lambda x, c, length: overbar.checkpoint_chain(swing, x, c, length=length, snapshots=8), 0.8, 1.3),
    "reversible": (
        lambda x, c, length: overbar.checkpoint_chain(overbar.reversible(swing, swing_back), x, c, length=length),
        0.8,
        1.3,
    ),
}


@contextlib.contextmanager
def without_collector():
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("name", MEMORY)
def test_memory_of_a_chain(name):
    """Peaks in states, for a chain four times as long; what is left is freed at once."""
    f, least, most = MEMORY[name]
    start = np.linspace(0.1, 1, SIZE), np.zeros(SIZE)
    peaks = []
    with without_collector():
        for length in (62, 248):
            tracemalloc.start()
            try:
                bars = overbar.grad(lambda x, c, n=length: overbar.sum(f(x, c, n)[0]))(start, 1.0)
                left, peak = tracemalloc.get_traced_memory()
            finally:
                tracemalloc.stop()
            peaks.append(peak / (2 * SIZE * 8))
            assert left < 20 * (2 * SIZE * 8)
            assert np.isfinite(bars[0]).all()
    assert least < peaks[1] / peaks[0] < most, peaks
    if name == "√length":
        assert peaks[1] < overbar.checkpoint_plan(248).snapshots + 20


def test_arrays_from_outside_are_refused_by_name():
    def loss(weights, x):
        def inner(y):
            return weights["A"] @ y

        return overbar.sum(overbar.checkpoint(inner)(x))

    for x in (X, None):  # whether there is something among the arguments that is traced, or not
        with pytest.raises(TypeError, match=r"checkpoint: inner uses an array.*arguments: weights. Pass it"):
            overbar.grad(lambda A, x=x: loss({"A": A}, A[0] if x is None else x))(WS[0])

    def by_partial(A):
        return overbar.sum(overbar.checkpoint_chain([np.sin, functools.partial(overbar.matmul, A)], A[0]))

    with pytest.raises(TypeError, match=r"checkpoint_chain: partial uses an array.*argument 0"):
        overbar.grad(by_partial)(WS[0])


def test_what_changes_is_refused():
    rng = np.random.default_rng(0)

    def noisy(x):
        return x * rng.standard_normal()

    for f in (overbar.checkpoint(noisy), lambda x: overbar.checkpoint_chain(noisy, x, length=5, snapshots=2)):
        with pytest.raises(RuntimeError, match="noisy gave other values when it was computed again"):
            overbar.grad(lambda x, f=f: overbar.sum(f(x)))(X)
    wrong = overbar.reversible(np.sin, np.cos)
    with pytest.raises(RuntimeError, match="inverse of sin does not lead back"):
        overbar.grad(lambda x: overbar.sum(overbar.checkpoint_chain(wrong, x, length=3)))(X)


def test_what_does_not_depend_or_does_not_move_makes_no_nan():
    """A bar or a tangent of zeros, where there is none, would meet the infinite slope of a square root."""

    def f(x):
        return overbar.sum(overbar.checkpoint(lambda a, unused: 2 * a)(x, np.sqrt(x)))

    np.testing.assert_array_equal(overbar.grad(f)(np.zeros(2)), 2)

    def g(x, y):
        return overbar.checkpoint_chain(lambda a, b: a + np.sqrt(b), x, y, length=2)

    np.testing.assert_array_equal(overbar.jvp(g, (X, np.zeros(3)), (B, None))[1], B)


def test_without_a_sweep_the_function_is_called_as_it_is():
    seen = []
    step = overbar.checkpoint(lambda x: seen.append(type(x)) or x)
    assert step(X) is X
    assert overbar.checkpoint_chain(step, X, length=2) is X
    assert seen == [np.ndarray] * 3
    assert overbar.checkpoint_chain([], X) is X


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: overbar.checkpoint_chain(np.sin, X), "`length` times, or once for each"),
        (lambda: overbar.checkpoint_chain(np.sin, X, length=2, each=[X]), "length=2 and 1 entries"),
        (lambda: overbar.checkpoint_chain([np.sin], X, length=2), "there are 1 steps"),
        (lambda: overbar.checkpoint_plan(3, 0), "At least one state"),
        (lambda: overbar.checkpoint_plan(-1), "must not be negative"),
    ],
)
def test_calls_that_do_not_say_how_long(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_arrays_of_a_framework_are_refused():
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch_ops")
    for f in (overbar.checkpoint(np.sin), lambda x: overbar.checkpoint_chain(np.sin, x, length=2)):
        with pytest.raises(TypeError, match=r"torch\.utils\.checkpoint"):
            f(torch.ones(2))
