"""Functions that are computed again instead of being stored: checkpoints, chains of them, reversible steps.

May import NumPy, `overbar._namespace`, `_primitive`, `_sweep`, `_containers` and `_traced`. A sweep keeps the
arrays of every call on its tape. What is here is one call on the tape, however much it computes: its reverse rule
computes the function again, and sweeps through that.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from overbar._containers import Given, Leaves
from overbar._differentiation import as_tuple
from overbar._namespace import front
from overbar._primitive import Primitive
from overbar._sweep import forward, reverse
from overbar._traced import Traced, bare, constant, moves, without_constants

__all__ = ["CheckpointPlan", "checkpoint", "checkpoint_chain", "checkpoint_plan", "reversible"]


def _apart(tree, chosen):
    """The entries of a container that are chosen, and what puts others in their places.

    The latter keeps the numbers of the container and not what is traced: what a call on a tape refers to must not know
    the tape, or both are freed by the cyclic collector only."""
    choices = []

    def choose(entry, path):
        choices.append(chosen(entry))
        return choices[-1]

    leaves = Leaves(choose)
    build = leaves.collect(tree, "")
    same = iter(choices)
    clean = Leaves(lambda entry, path: next(same)).collect(build(Given(map(bare, leaves.values))), "")
    return leaves.values, lambda values: clean(Given(values))


class _Slot:
    """The place of an array among those of a call."""

    def __init__(self, number):
        self.number = number


def _is_array(x):
    return type(x) is Traced or (isinstance(x, (np.ndarray, np.generic)) and x.dtype.kind in "fc")


def _is_traced(x):
    return type(x) is Traced


def _refuse_frameworks(name, tree):
    inside = "There, use {}: overbar's primitives work inside it."
    remedies = {
        "torch_ops": inside.format("torch.utils.checkpoint.checkpoint"),
        "tf_ops": inside.format("tf.recompute_grad"),
        "dask_ops": "Leave it out: Dask's workers write what they have no room for to their disks.",
    }
    for x in _apart(tree, lambda entry: hasattr(entry, "dtype"))[0]:
        library = front(bare(x))
        package = type(library).__module__.partition(".")[0]
        if package in remedies:
            raise TypeError(
                f"overbar.{name} is for the sweeps in NumPy and got an array of {library.name}, whose tape it does not "
                f"know. {remedies[package]}"
            )


class _Recomputed(Primitive):
    """One call on the tape, which keeps its arrays and its outputs, and computes what is between them again.

    Subclasses have `first(arrays)`, the outputs from arrays of numbers, and `pulled` and `pushed`, which run sweeps of
    their own.
    """

    def __init__(self, name):
        ready = self.ready = []  # what `first` computed; the function must not refer to the primitive: a circle

        def recomputed(*arrays, batch_ndim=0):
            return ready.pop()

        super().__init__(recomputed, "...->...")
        self.name = name

    def on_tapes(self, arrays):
        """The result of a call that is written down on the tapes of its arrays, one below the other."""
        outputs = tuple([bare(x) for x in self.first([constant(bare(x)) for x in arrays])])
        self.outputs = self.differentiable = self.public = len(outputs)
        self.ready.append(outputs)
        return self.rebuild(as_tuple(front(*arrays).enter(self, arrays, self.defaults)))

    def pull(self, front, bars, outputs, arrays, options, needed=None):
        if all(bar is None for bar in bars):
            return [None] * len(arrays)
        try:
            return self.pulled(arrays, outputs, bars)
        except Exception as error:
            self._note(front, error, arrays, "reverse")
            raise

    def push(self, front, dots, outputs, arrays, options):
        try:
            found = self.pushed(arrays, dots)
        except Exception as error:
            self._note(front, error, arrays, "forward")
            raise
        return [front.xp.zeros_like(out) if dot is None else dot for dot, out in zip(found, outputs, strict=True)]


def _without_foreign(name, functions, outputs):
    """The outputs of functions of constants, none of which may have a derivative."""
    if not any(map(moves, outputs)):
        return outputs
    held = {v: f for f in reversed(functions) for v, value in _variables(f) if _apart(value, moves)[0]}
    f = next(iter(held.values()), functions[0])
    raise TypeError(
        f"{name}: {_named(f)} uses an array whose derivative is being traced, and which is not among its arguments"
        f"{': ' + ', '.join(held) if held else ''}. Pass it as an argument: what is computed again knows no other "
        "arrays, and the derivative would be lost."
    )


def _variables(f):
    """The variables of a function from outside of it, its defaults, and what was fixed by functools.partial."""
    f = getattr(f, "__wrapped__", f)
    if isinstance(f, functools.partial):
        yield from [(f"argument {i}", x) for i, x in enumerate(f.args)]
        yield from f.keywords.items()
        yield from _variables(f.func)
    elif inspect.isfunction(f):
        found = inspect.getclosurevars(f)
        yield from {**found.globals, **found.nonlocals}.items()
        yield from [(p.name, p.default) for p in inspect.signature(f).parameters.values() if p.default is not p.empty]


def _named(f):
    return getattr(f, "__name__", type(f).__name__)


def _hold(name, f, found, expected):
    """What was computed again must be what it was, but for rounding: a function that draws random numbers would have
    the derivative of another function than the one whose value was returned."""
    found, expected = list(map(bare, found)), list(map(bare, expected))
    # one size for all of them: of an entry that is zero, only the rounding errors of the others are found
    size = max((np.max(np.abs(B), where=np.isfinite(B), initial=0) for B in expected), default=0)
    same = [A.shape for A in found] == [B.shape for B in expected]
    for A, B in zip(found, expected, strict=True) if same else ():
        tolerance = math.sqrt(np.finfo(B.dtype).eps)
        same = same and np.allclose(A, B, tolerance, tolerance * size, equal_nan=True)
    if not same and isinstance(f, _Reversible):
        raise RuntimeError(
            f"{name}: the inverse of {_named(f)} does not lead back to the state from which the step came. Correct it, "
            "or leave it out: the states are then held in snapshots."
        )
    if not same:
        raise RuntimeError(
            f"{name}: {_named(f)} gave other values when it was computed again. It must depend on its arguments "
            "alone: draw random numbers outside and pass them to it, and change nothing that it reads."
        )


class _Reversible:
    """A step whose input can be computed from its output."""

    def __init__(self, forward, inverse):
        functools.update_wrapper(self, forward)
        self.forward, self.inverse = forward, inverse

    def __call__(self, *args):
        return self.forward(*args)


class _Function(_Recomputed):
    """A function of arrays in containers, which is computed again."""

    def __init__(self, f, build):
        super().__init__(_named(f))
        self.f, self.build = f, build

    def result(self, arrays):
        args, kwargs = self.build(arrays)
        return _apart(self.f(*args, **kwargs), _is_array)

    def values(self, *arrays):
        return tuple(self.result(arrays)[0])

    def first(self, arrays):
        outputs, self.rebuild = self.result(arrays)
        return _without_foreign("checkpoint", [self.f], outputs)

    def pulled(self, arrays, outputs, bars):
        watched = any(map(_is_traced, (*arrays, *outputs, *bars)))
        return (checkpoint(self._pulled) if watched else self._pulled)(arrays, outputs, bars)

    def _pulled(self, arrays, outputs, bars):
        values, _, _, sweep = reverse(self.values, arrays, once=True)
        _hold("checkpoint", self.f, values, outputs)
        return sweep(bars)

    def pushed(self, arrays, dots):
        return forward(self.values, arrays, dots)[2]


def checkpoint(f: Callable[..., Any]) -> Callable[..., Any]:
    """Make of f a function that sweeps compute again instead of storing it.

    To a sweep in NumPy a call of it is one call, of which the arguments and the value are kept. The reverse sweep
    computes f again when it gets there, and keeps what is inside only while it goes through it.

    Parameters
    ----------
    f : callable
        A function built from primitives, of arrays and containers of them. What it depends on, and what has a
        derivative, must be among its arguments. It is computed several times: it must give the same each time, so it
        must not draw random numbers.

    Returns
    -------
    callable
        Takes and returns what f does.

    Raises
    ------
    TypeError
        f uses an array that is being differentiated and not among the arguments; an argument is of a framework.
    RuntimeError
        f gave other values when it was computed again.

    Notes
    -----
    Costs one more computation of f in the reverse sweep, whatever the order of the derivative, and the memory of f's
    arguments instead of that of its tape. Sources: Griewank and Walther (2000), and the sweeps of Giles (2008),
    section 2.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> @overbar.checkpoint
    ... def layer(x, W):
    ...     return np.tanh(W @ x)
    >>> def loss(W):
    ...     return overbar.sum(layer(layer(np.ones(2), W), W))
    >>> overbar.grad(loss)(np.zeros((2, 2)))
    array([[0., 0.],
           [0., 0.]])
    """

    @functools.wraps(f, updated=())
    def function(*args, **kwargs):
        _refuse_frameworks("checkpoint", (args, kwargs))
        arrays, build = _apart((args, kwargs), moves)
        if arrays:
            return _Function(f, build).on_tapes(arrays)
        result = f(*args, **kwargs)
        _without_foreign("checkpoint", [f], _apart(result, _is_traced)[0])
        return result

    return function


# -- chains ----------------------------------------------------------------------------------------------------------


def _reach(snapshots, sweeps):
    """The length of the longest chain that can be reversed if no step is advanced over more often than this."""
    return math.comb(snapshots + sweeps, snapshots) if sweeps >= 0 else 0


def _sweeps(length, snapshots):
    sweeps = 0
    while _reach(snapshots, sweeps) < length:
        sweeps += 1
    return sweeps


def _split(length, snapshots):
    """After how many steps the next snapshot is taken."""
    sweeps = _sweeps(length, snapshots)
    return min(_reach(snapshots, sweeps - 1), length - _reach(snapshots - 1, sweeps - 1))


@dataclasses.dataclass(frozen=True)
class CheckpointPlan:
    """What a reverse sweep through a chain of steps will cost (`overbar.checkpoint_plan`).

    Attributes
    ----------
    length : int
        The number of steps.
    snapshots : int
        How many states are held at most, the first one among them, beside the one that is being worked on.
    sweeps : int
        How many times at most the reverse sweep advances over the same step.
    advances : int
        How many steps are computed to get from snapshots to states that were not held: the least possible number,
        sweeps · length − C(snapshots + sweeps, snapshots + 1). The computation of the value is among them, except its
        last step.
    recomputed : int
        How many steps are computed in addition to those of the value: ``advances + 1``, of which `length` are those
        that the sweep goes through.
    """

    length: int
    snapshots: int
    sweeps: int
    advances: int
    recomputed: int


def checkpoint_plan(length: int, snapshots: int | None = None) -> CheckpointPlan:
    """What it costs to reverse a chain of steps with snapshots of some of its states: the binomial scheme.

    Parameters
    ----------
    length : int
        The number of steps.
    snapshots : int, optional
        How many states are held, the first one among them. By default the fewest with which the reverse sweep advances
        over no step more than twice: about √(2 length).

    Returns
    -------
    CheckpointPlan
        With `snapshots`, `sweeps`, `advances`, `recomputed`.

    Raises
    ------
    ValueError
        There is no snapshot, or a negative length.

    Notes
    -----
    With s snapshots and r sweeps a chain of C(s + r, s) steps can be reversed, so that for memory and time that grow as
    log(length) both, s = r is right. Source: Griewank and Walther (2000), "Algorithm 799: revolve".

    Examples
    --------
    >>> import overbar
    >>> overbar.checkpoint_plan(1000)
    CheckpointPlan(length=1000, snapshots=44, sweeps=2, advances=1954, recomputed=1955)
    >>> overbar.checkpoint_plan(1000, snapshots=7).recomputed
    4714
    """
    if length < 0:
        raise ValueError(f"checkpoint_plan: the length of a chain is {length}. It must not be negative.")
    if snapshots is None:
        snapshots = 1
        while _reach(snapshots, 2) < length:
            snapshots += 1
    if snapshots < 1:
        raise ValueError(f"checkpoint_plan: snapshots is {snapshots}. At least one state is held, the first.")
    if length == 0:
        return CheckpointPlan(0, snapshots, 0, 0, 0)
    sweeps = _sweeps(length, snapshots)
    advances = sweeps * length - (math.comb(snapshots + sweeps, snapshots + 1) if sweeps else 0)
    return CheckpointPlan(length, snapshots, sweeps, advances, advances + 1)


def reversible(forward: Callable[..., Any], inverse: Callable[..., Any]) -> Callable[..., Any]:
    """A step of a chain whose input can be computed from its output: a chain of such steps stores no states.

    Parameters
    ----------
    forward : callable
        ``y = forward(x, *parameters)``, as a step of `checkpoint_chain`.
    inverse : callable
        ``x = inverse(y, *parameters)``.

    Returns
    -------
    callable
        The function `forward`, of which `checkpoint_chain` knows how to go back.

    Raises
    ------
    RuntimeError
        In the reverse sweep: the inverse is none.

    Notes
    -----
    Going back costs one `inverse` for each step instead of snapshots. Rounding errors of the way back are in the
    derivatives: each step is computed again from what was found, and must give what it was found from, to half of the
    digits. Source: reversible differencing, Griewank and Walther (2008), "Evaluating Derivatives", section 12.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> def kick(state, h):
    ...     q, p = state
    ...     p = p - h * np.sin(q)
    ...     return q + h * p, p
    >>> def back(state, h):
    ...     q, p = state
    ...     q = q - h * p
    ...     return q, p + h * np.sin(q)
    >>> def end(q):
    ...     step = overbar.reversible(kick, back)
    ...     return overbar.checkpoint_chain(step, (q, np.array(0.0)), 0.01, length=100)[0]
    >>> round(float(overbar.grad(end)(0.1)), 4)
    0.5379
    """
    return _Reversible(forward, inverse)


class _Chain(_Recomputed):
    """A chain of steps, of which some states are held and the others are computed again."""

    def __init__(self, links, start, parameters, plan):
        super().__init__("checkpoint_chain")
        self.links, self.plan = links, plan
        self.reversible = all(isinstance(step, _Reversible) for step in links)
        #: the arrays of the first state, those among the arrays of the call as slots, and what puts them in place
        self.start, self.build_start = start
        #: for each step, the slots of its parameters, and what makes the parameters of them
        self.parameters = parameters
        self.snapshots = {}

    def state(self, x):
        values, build = _apart(x, _is_array)
        return [without_constants(x) for x in values], build

    def first_state(self, arrays):
        values = [arrays[x.number] if type(x) is _Slot else x for x in self.start]
        return [without_constants(x) for x in values], self.build_start

    def advance(self, state, first, last, arrays):
        """The state a few steps further. One step back where `last` is smaller, by its inverse."""
        values, build = state
        x = build([constant(A) for A in values])
        for i in range(first, last) if last > first else (last,):
            slots, build_parameters = self.parameters[i]
            step = self.links[i] if last > first else self.links[i].inverse
            x = step(x, *build_parameters([constant(arrays[slot.number]) for slot in slots]))
        return self.state(x)

    def first(self, arrays):
        """The value. States that the reverse sweep needs first are held from here on, until it has used them."""
        length, snapshots = self.plan.length, self.plan.snapshots
        i, state = 0, self.first_state(arrays)
        while i < length:
            rest = length - i
            end = length if self.reversible else i + (_split(rest, snapshots) if rest > 1 else 1)
            state = self.advance(state, i, end, arrays)
            _without_foreign("checkpoint_chain", self.links[i:end], state[0])
            i, snapshots = end, snapshots - 1
            if i < length:
                self.snapshots[i] = state
        values, self.rebuild = state
        return values

    def pulled(self, arrays, outputs, bars):
        watched = any(map(_is_traced, (*arrays, *outputs, *bars)))
        # to a sweep around this one, snapshots are numbers without derivatives
        held, self.snapshots = ({} if watched else self.snapshots), {}
        sweep = _ChainSweep(self, arrays, outputs, held, watched)
        at_start = (sweep.by_inverses if self.reversible else sweep.by_snapshots)(bars)
        for x, bar in zip(self.start, at_start, strict=True):
            if type(x) is _Slot:
                sweep.add(x, bar)
        return sweep.found

    def pushed(self, arrays, dots):
        state = self.first_state(arrays)
        moving = [dots[x.number] if type(x) is _Slot else None for x in self.start]
        for i in range(len(self.links)):
            function, values, build = self.on_arrays(i, state, arrays)
            slots = self.parameters[i][0]
            found, _, moving = forward(function, values, [*moving, *[dots[slot.number] for slot in slots]])
            state = found, build.pop()
        return moving

    def on_arrays(self, i, state, arrays):
        """A step as a function of arrays, those of its state and of its parameters; these arrays; and a list, into
        which the function puts what makes a state of its outputs."""
        (values, build), (slots, build_parameters) = state, self.parameters[i]
        count, step, builders = len(values), self.links[i], []

        def function(*given):
            found, of_outputs = _apart(step(build(given[:count]), *build_parameters(given[count:])), _is_array)
            builders[:] = [of_outputs]
            return tuple(found)

        return function, [*values, *[arrays[slot.number] for slot in slots]], builders


class _ChainSweep:
    """The reverse sweep through a chain."""

    def __init__(self, chain, arrays, outputs, held, watched):
        self.chain, self.arrays, self.held, self.watched = chain, arrays, held, watched
        #: the state behind the step whose turn it is, as it is known
        self.behind = list(outputs)
        self.found = [None] * len(arrays)

    def add(self, slot, bar):
        if bar is not None:
            old = self.found[slot.number]
            self.found[slot.number] = bar if old is None else old + bar

    def by_snapshots(self, bars):
        chain = self.chain
        return self._back(0, chain.plan.length, chain.first_state(self.arrays), chain.plan.snapshots, bars)

    def _back(self, first, last, state, snapshots, bars):
        """The bars of the state in front of some steps, from those of the state behind them."""
        while last - first > 1:
            middle = first + _split(last - first, snapshots)
            bars = self._back(middle, last, self._state(middle, first, state), snapshots - 1, bars)
            last = middle
        return self._pull_step(first, state, bars) if last > first else bars

    def _state(self, i, first, state):
        if i in self.held:
            return self.held.pop(i)
        chain, (values, build) = self.chain, state
        if not self.watched:
            return chain.advance(state, first, i, self.arrays)
        kept = []

        def advance(values, arrays):
            found, build_found = chain.advance((values, build), first, i, arrays)
            kept[:] = [build_found]
            return [constant(x) for x in found]

        found = checkpoint(advance)(values, list(self.arrays))
        return [without_constants(x) for x in found], kept[0]

    def by_inverses(self, bars):
        chain, build = self.chain, self.chain.rebuild
        for i in reversed(range(len(chain.links))):
            state = chain.advance((self.behind, build), i + 1, i, self.arrays)
            build = state[1]
            bars = self._pull_step(i, state, bars)
        _hold("checkpoint_chain", chain.links[0], self.behind, chain.first_state(self.arrays)[0])
        return bars

    def _pull_step(self, i, state, bars):
        chain = self.chain
        function, values, _ = chain.on_arrays(i, state, self.arrays)

        def pull(values, behind, bars):
            found, _, _, sweep = reverse(function, values)
            _hold("checkpoint_chain", chain.links[i], found, behind)
            return sweep(bars)

        found = (checkpoint(pull) if self.watched else pull)(values, self.behind, list(bars))
        count = len(state[0])
        for slot, bar in zip(chain.parameters[i][0], found[count:], strict=True):
            self.add(slot, bar)
        self.behind = state[0]
        return found[:count]


def _slot(slots, A):
    return slots.setdefault(id(A), (A, _Slot(len(slots))))[1]


def _places(slots, tree):
    values, build = _apart(tree, moves)
    return [_slot(slots, A) for A in values], build


def checkpoint_chain(
    steps: Callable[..., Any] | Sequence[Callable[..., Any]],
    x: Any,
    *shared: Any,
    each: Sequence[Any] | None = None,
    length: int | None = None,
    snapshots: int | None = None,
) -> Any:
    """Apply steps one after the other, and hold few of the states between them: the layers of a deep network, or the
    steps of a simulation in time.

    Parameters
    ----------
    steps : callable or sequence of callable
        The steps, ``x = step(x, *shared)``, or ``x = step(x, each[i], *shared)``. One function is applied `length`
        times, or once for each entry of `each`. What has a derivative must be among the arguments, as for `checkpoint`.
    x : array or container of arrays
        The first state. A state may have another shape than the one before, or be another container.
    *shared
        Parameters that all steps have in common, arrays and containers: their bars add up.
    each : sequence, optional
        Parameters that each step has of its own, such as the weights of a layer.
    length : int, optional
        How many steps there are.
    snapshots : int, optional
        How many states are held at most, as for `checkpoint_plan`, which says what it costs.

    Returns
    -------
    The last state.

    Raises
    ------
    TypeError, RuntimeError
        As `checkpoint`.
    ValueError
        The number of steps is not said, or said twice.

    Notes
    -----
    The reverse sweep computes each step once more to go through it, and the states that are not held from the last
    one that is: by the binomial scheme, which does this in the least number of steps. Where all steps are `reversible`,
    no states are held: each is computed from the one behind it. Forward mode holds one state. Derivatives of higher
    order compute more, and hold a state for each step. Source: Griewank and Walther (2000), "Algorithm 799: revolve".

    Examples
    --------
    >>> import numpy as np, overbar
    >>> def step(x, rate):
    ...     return x + 0.001 * rate * x * (1 - x)
    >>> def end(rate):
    ...     return overbar.checkpoint_chain(step, np.array(0.5), rate, length=1000, snapshots=10)
    >>> value, rate_bar = overbar.value_and_grad(end)(1.0)
    >>> round(float(value), 4), round(float(rate_bar), 4)
    (0.7311, 0.1967)
    """
    if callable(steps):
        known = {n for n in (length, None if each is None else len(each)) if n is not None}
        if len(known) != 1:
            raise ValueError(
                "checkpoint_chain: one step is applied `length` times, or once for each entry of `each`. "
                f"Got length={length} and {'no' if each is None else len(each)} entries."
            )
        steps = [steps] * known.pop()
    elif length not in (None, len(steps)) or (each is not None and len(each) != len(steps)):
        raise ValueError(
            f"checkpoint_chain: there are {len(steps)} steps, but length={length} and "
            f"{'no' if each is None else len(each)} entries of `each`."
        )
    _refuse_frameworks("checkpoint_chain", (x, shared, each))
    plan = checkpoint_plan(len(steps), snapshots)
    if not steps:
        return x
    parameters = [shared if each is None else (each[i], *shared) for i in range(len(steps))]
    slots = {}  # by the identity of arrays: a shared one has one bar, the sum of those from all steps
    values, build = _apart(x, _is_array)
    start = [_slot(slots, A) if moves(A) else A for A in values], build
    places = [_places(slots, own) for own in (parameters if each is not None else parameters[:1])]
    if slots:
        places = places if each is not None else places * len(steps)
        return _Chain(list(steps), start, places, plan).on_tapes([A for A, _ in slots.values()])
    for step, own in zip(steps, parameters, strict=True):
        x = step(x, *own)
        _without_foreign("checkpoint_chain", [step], _apart(x, _is_traced)[0])
    return x
