"""Forward and reverse sweeps over a graph of primitives, in NumPy alone.

May import NumPy, `overbar._containers`, `_front`, `_namespace`, `_primitive`, `_traced`, `_traced_words` and `rules`.
The lecture note's picture: computing f writes down which primitive made which array from which; a forward sweep carries
tangents through this list from first to last, a reverse sweep carries bars from last to first, adding up where an array
was used more than once. `vjp`, `jvp` and `jacobian` take any function built from primitives; a single primitive is the
smallest case. The function may itself call them: derivatives have derivatives, of any order.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from overbar import rules
from overbar._containers import Opened, is_container, parts_of, sequence
from overbar._front import NUMPY
from overbar._namespace import as_array, differentiated_elsewhere, front, kept_real, namespace
from overbar._primitive import Primitive
from overbar._traced import Tape, Traced, bare, constant, without_constants
from overbar._traced_words import TRACE

__all__ = ["jacobian", "jvp", "vjp"]


_NOTHING = (None, None), (None, None)


def _pull(call, bars, nested):
    """The bars of a call's arrays. Its rule is run on traced arrays, `nested`, where `_watched` says so."""
    primitive, needed, arrays, _, outputs, options, lacking = call
    (_, inputs), (_, results) = lacking or _NOTHING
    found = primitive.pull(
        TRACE if nested else NUMPY,
        _for_rules(bars, results, nested),
        _for_rules(outputs, results, nested),
        _for_rules(arrays, inputs, nested),
        options,
        needed,
    )
    return _from_rules(found, arrays, inputs, nested)


def push_call(call, dots, nested):
    """The tangents of a call's outputs, in the same way."""
    primitive, _, arrays, _, outputs, options, lacking = call
    if not nested and not lacking:
        return primitive.push(NUMPY, dots, outputs, arrays, options)
    (_, inputs), (_, results) = lacking or _NOTHING
    found = primitive.push(
        TRACE if nested else NUMPY,
        _for_rules(dots, inputs, nested),
        _for_rules(outputs, results, nested),
        _for_rules(arrays, inputs, nested),
        options,
    )
    return _from_rules(found, outputs, results, nested)


def _for_rules(arrays, lacking, nested):
    arrays = [constant(A) for A in arrays] if nested else list(arrays)
    for i, index in enumerate(lacking or ()):
        if index is not None and arrays[i] is not None:
            arrays[i] = arrays[i][index]
    return arrays


def _from_rules(found, like, lacking, nested):
    found = list(found)
    for i, index in enumerate(lacking or ()):
        if index is not None and found[i] is not None:
            found[i] = found[i].reshape(like[i].shape)
    return [without_constants(A) for A in found] if nested else found


def trace(f, args):
    """Run f on traced arrays: these, the outputs as a tuple, whether f returned a tuple, the tape."""
    tape = Tape()
    arrays = []
    known = front(*args)
    for i, (given, value) in enumerate(zip(args, known.as_arrays(args), strict=True)):
        value = without_constants(kept_real(known.xp, given, value))
        if value.dtype.kind not in "fc":
            raise NUMPY.DtypeError(
                f"argument {i} has dtype {value.dtype}; a derivative needs floating point. Convert it, to float64 say."
            )
        arrays.append(Traced(value, tape))
    result = f(*arrays)
    several = isinstance(result, (tuple, list))
    return [a.value for a in arrays], tuple(result) if several else (result,), several, tape


def refuse_frameworks(name, args, what="argument"):
    """Raise for an array of a framework among the arguments, by the name of the function that was called."""
    for i, x in enumerate(args):
        words = differentiated_elsewhere(x)
        if words is not None:
            raise TypeError(f"{name}: {what} {i} is {words}")


def _value(x, tape):
    """The value of what a traced function returned: of NumPy, or of a sweep around this one."""
    if type(x) is Traced and (x.tape is tape or x.tape is None):
        x = x.value
    if type(x) is Traced:
        return x
    parts = parts_of(x) or ()
    if any(type(part) is Traced or parts_of(part) is not None for _, _, part in parts) or isinstance(x, dict):
        raise TypeError(
            f"the function returned a {type(x).__name__} as one of its values. Return an array, or a tuple of arrays: "
            "return d['a'], d['b'] instead of d."
        )
    array = as_array(x)  # of a number, or a list of numbers, too
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"the function returned {x!r}, and must return an array, or a tuple of arrays."
            + (" Is a `return` missing?" if x is None else "")
        )
    return array


def _slot(x, tape):
    return x.slot if type(x) is Traced and x.tape is tape else None


def _returned(x):
    return x[()] if isinstance(x, np.ndarray) else x  # a scalar of NumPy's where there is no dimension


def _root(A):
    """The array whose memory an array of NumPy's is a view of."""
    while type(A.base) is np.ndarray:
        A = A.base
    return A


def _owned(found, *known):
    """Arrays that were computed as their receiver may keep them: to be written to, each in memory of its own. A rule
    may pass a bar on as it came, to several arrays, as a view, or one number for all entries; `known` are lists of what
    it may have come from."""
    ids, owned, roots = {id(A) for arrays in known for A in arrays}, [], None
    for A in found:
        if type(A) is np.ndarray and A.shape:
            if A.base is None and A.flags.writeable:
                own, root = id(A) not in ids, A
            else:
                if roots is None:
                    roots = {id(_root(B)) for arrays in known for B in arrays if type(B) is np.ndarray}
                root = _root(A)
                own = A.flags.writeable and id(root) not in ids and id(root) not in roots
            if own:
                ids.add(id(root))
            else:
                A = A.copy()
        owned.append(A)
    return owned


def _same_count(bars, values, what):
    if len(bars) != len(values):
        raise TypeError(f"got {len(bars)} {what}s for {len(values)} arrays. Pass one for each, None where absent.")


def _is_complex(A):
    """Whether an array has numbers that are not real; where these are not there to be looked at, its dtype tells."""
    A = bare(A)
    return namespace(A).is_complex(A) and (type(A) is not np.ndarray or bool(np.any(A.imag)))


def _given(bars, values, what):
    """Check what the user passed for the outputs' bars (or the inputs' dots)."""
    _same_count(bars, values, what)
    checked = []
    for i, (bar, value) in enumerate(zip(bars, values, strict=True)):
        if bar is not None:
            bar = as_array(bar)
            if type(bar) is np.ndarray and type(value) is not np.ndarray:  # an array of the library of its own
                bar = front(bare(value)).as_arrays([bar])[0]
            if bar.shape != value.shape:
                raise NUMPY.ShapeError(f"{what} {i} has shape {bar.shape}, but its array has {value.shape}.")
            if _is_complex(bar) and not namespace(bare(value)).is_complex(bare(value)):
                also = ", or make the array complex" if what == "tangent" else ""
                raise TypeError(f"{what} {i} is complex, but its array is real. Give the real part{also}.")
            bar = front(bar).xp.cast(bar, value)
        checked.append(bar)
    return checked


def _zeros(like):
    xp = namespace(bare(like))
    return np.zeros(like.shape, like.dtype) if xp is NUMPY.xp else xp.zeros_like(bare(like))


def _watched(tape, given):
    """Whether rules are run on traced arrays: where a sweep around this one differentiates them, and of arrays that are
    not NumPy's. Then every step of a rule is a primitive, computed as primitives of that library are."""
    return tape.nested or tape.foreign or any(x is not None and type(x) is not np.ndarray for x in given)


def _last_first(calls):
    while calls:
        yield calls.pop()


def pull_along(tape, slots, given, keep=False, once=False):
    """The reverse sweep: the bars of all arrays of a tape, by slot, None where none came, from those given for some of
    them. Bars of what calls made are dropped on the way, unless they are to be kept; so are the calls and what they
    saved, where the tape is pulled back only `once`."""
    bars = [None] * tape.count
    for slot, bar in zip(slots, given, strict=True):
        if slot is not None and bar is not None:
            bars[slot] = bar if bars[slot] is None else bars[slot] + bar
    nested = _watched(tape, bars)
    calls = tape.calls
    for call in _last_first(calls) if once else reversed(calls):
        primitive, inputs, in_values, made, out_values, options, lacking = call
        out_bars = [bars[slot] for slot in made]
        if len(made) == 1 and out_bars[0] is None:
            continue
        if not keep:
            for slot in made:
                bars[slot] = None
        if nested or lacking:
            pulled = _pull(call, out_bars, nested)
        else:
            pulled = primitive.pull(NUMPY, out_bars, out_values, in_values, options, inputs)
        for slot, found in zip(inputs, pulled, strict=True):
            if found is not None:
                so_far = bars[slot]
                bars[slot] = found if so_far is None else so_far + found
    return bars


def push_along(tape, dots):
    """The forward sweep: the tangents of all arrays of a tape, by slot, from those of the first ones, None where none
    moves."""
    tangents = [None, *dots, *[None] * (tape.count - 1 - len(dots))]
    nested = _watched(tape, dots)
    for call in tape.calls:
        in_dots = [None if slot is None else tangents[slot] for slot in call[1]]
        if any(dot is not None for dot in in_dots):
            for slot, dot in zip(call[3], push_call(call, in_dots, nested), strict=True):
                tangents[slot] = dot
    return tangents


def reverse(f, args, once=False):
    """Run f: its values, whether it returned several, its arguments as arrays, and the sweep, which takes a bar for
    each value and returns one for each argument, None where none came. A sweep that runs only `once` frees memory on
    its way."""
    arrays, outputs, several, tape = trace(f, args)
    values = tuple([_value(x, tape) for x in outputs])
    slots = [_slot(x, tape) for x in outputs]
    del outputs  # what is traced knows the tape; the sweep needs the tape only

    def sweep(given):
        return pull_along(tape, slots, given, once=once)[1 : len(arrays) + 1]

    return values, several, arrays, sweep


def forward(f, args, dots):
    """Run f: its values, whether it returned several, and the tangent of each value, None where it does not move."""
    arrays, outputs, several, tape = trace(f, args)
    tangents = push_along(tape, _given(dots, arrays, "tangent"))
    slots = [_slot(x, tape) for x in outputs]
    return [_value(x, tape) for x in outputs], several, [None if slot is None else tangents[slot] for slot in slots]


def vjp(f: Callable[..., Any], *args: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """Value of f and its pullback (reverse mode), in NumPy.

    Parameters
    ----------
    f : callable
        A primitive, or any function built from primitives (``+ - * / @ **`` and indexing are primitives too). Static
        options go in by `functools.partial` or a lambda.
    *args : array_like, or containers of arrays
        Where to differentiate: float32, float64, complex64 or complex128, any shape that f takes. Or nested dicts,
        lists, tuples and dataclasses of arrays and numbers. A list or tuple of numbers alone, nested or not, is an
        array.

    Returns
    -------
    value
        f(*args), an array or a tuple of arrays.
    pullback : callable
        Takes the bar of the value (for a tuple: a tuple, None where absent) and returns a tuple with the bar of each
        argument, each of its argument's shape and dtype; of a container in the same containers, None for what has no
        derivative there, a word or a switch. Where f is a primitive that takes integers, `lu_solve` its pivots, the bar
        of these is None. For complex arrays dz = Re Σ conj(Ā) dA.

    Raises
    ------
    numpy.linalg.LinAlgError
        What f raises; a cotangent of the wrong shape.
    TypeError
        A container holds integers, or something that is no array and no number.

    Notes
    -----
    The pullback costs a small constant times f, whatever the number of entries of `args`, and may be called many
    times. It keeps references to the arrays, not copies: do not change `args` or the value in place before the last
    call of it. Inside a function that is differentiated itself, reverse or forward, it gives second derivatives, and so
    on to any order. Source: the reverse sweep of Giles (2008), section 2.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A = np.array([[4.0, 2.0], [2.0, 5.0]])
    >>> L, pullback = overbar.vjp(overbar.cholesky, A)
    >>> pullback(np.array([[1.0, 0.0], [0.0, 1.0]]))[0]
    array([[ 0.3125, -0.125 ],
           [-0.125 ,  0.25  ]])
    """
    refuse_frameworks("vjp", args)
    held = _integers(f, args)
    if held:
        value, moved = vjp(*_without_integers(f, args, held))
        return value, lambda bar: _beside_integers(moved(bar), held)
    tree = _opened("vjp", args)
    if tree is not None:
        value, flat = vjp(lambda *arrays: f(*tree.given(arrays)), *tree.arrays)
        return value, lambda bar: tree.inside(flat(bar))
    values, several, arrays, sweep = reverse(f, args)

    def pullback(bar):
        given = _given(bar if several else (bar,), values, "cotangent")
        return _bars_of(arrays, sweep(given), given, values)

    value = tuple([_returned(value) for value in values])
    return (value if several else value[0]), pullback


def _bars_of(arrays, bars, *known):
    owned = _owned(bars, arrays, *known)
    return tuple([_returned(_zeros(A) if bar is None else bar) for A, bar in zip(arrays, owned, strict=True)])


def value_and_bars(f, args):
    """The value of f, one number, and its gradient by each of the arrays: what `vjp` and one pullback give, but what
    the function saved is freed as the sweep passes it."""
    (value,), _, arrays, sweep = reverse(f, args, once=True)
    return _returned(value), _bars_of(arrays, sweep(_given((1.0,), (value,), "cotangent")))


def jvp(f: Callable[..., Any], args: Sequence[Any], dots: Sequence[Any]) -> tuple[Any, Any]:
    """Value of f and its pushforward (forward mode), in NumPy.

    Parameters
    ----------
    f : callable
        As for `vjp`.
    args : tuple of array_like, or of containers of arrays
        Where to differentiate, as for `vjp`.
    dots : tuple of array_like or None
        The tangent of each argument, of its shape; None where it is constant, as integers are which a primitive takes.
        Of a container in the same containers.

    Returns
    -------
    value, dot
        f(*args) and its directional derivative, of the same shape; tuples where f returns a tuple.

    Raises
    ------
    numpy.linalg.LinAlgError
        What f raises; a tangent of the wrong shape.
    TypeError
        `args` or `dots` is no tuple; a tangent has other containers than its argument.

    Notes
    -----
    Costs a small constant times f for one direction. Source: the forward sweep of Giles (2008), section 2.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A, A_dot = np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2)
    >>> overbar.jvp(overbar.trace, (A,), (A_dot,))
    (np.float64(5.0), np.float64(2.0))
    """
    args, dots = sequence("jvp", "args", args), sequence("jvp", "dots", dots)
    refuse_frameworks("jvp", args)
    refuse_frameworks("jvp", dots, "tangent")
    held = _integers(f, args)
    if held:
        _same_count(dots, args, "tangent")
        for i in held:
            if dots[i] is not None:
                raise TypeError(f"jvp: argument {i} holds integers, which do not move. Let its tangent be None.")
        f, *args = _without_integers(f, args, held)
        dots = [dot for i, dot in enumerate(dots) if i not in held]
    tree = _opened("jvp", args)
    if tree is not None:
        return jvp(lambda *arrays: f(*tree.given(arrays)), tree.arrays, tree.dots(dots))
    values, several, found = forward(f, args, dots)
    found = _owned(found, args, dots, values)
    dots = tuple([_returned(_zeros(v) if dot is None else dot) for v, dot in zip(values, found, strict=True)])
    values = tuple(map(_returned, values))
    return (values, dots) if several else (values[0], dots[0])


def jacobian(f: Callable[..., Any], *args: Any, argnum: int = 0) -> np.ndarray:
    """The local derivative ∂f/∂args[argnum] as an array, in NumPy: the question of the lecture note, how to get a local
    derivative from a propagation rule. Pull back one unit cotangent for each entry of the value.

    Parameters
    ----------
    f : callable
        As for `vjp`; it must return one array.
    *args : array_like, or containers of arrays
        Where to differentiate, as for `vjp`. Real; for a complex function use `vjp` or `jvp`.
    argnum : int
        Which argument.

    Returns
    -------
    ndarray
        Shape f(*args).shape + args[argnum].shape; entry [i..., j...] is ∂f[i...]/∂args[argnum][j...]. For a container
        such arrays in the same containers.

    Raises
    ------
    TypeError
        Where f returns a tuple, or an array is complex.

    Notes
    -----
    Costs one pullback for each entry of the value, and stores N⁴ numbers for a function between N by N matrices: for
    inspection and tests. Programs use `vjp`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.jacobian(overbar.trace, np.ones((2, 2)))
    array([[1., 0.],
           [0., 1.]])
    """
    refuse_frameworks("jacobian", args)
    held = _integers(f, args)
    if held:
        place = range(len(args))[argnum]
        if place in held:
            raise TypeError(f"jacobian: argument {argnum} holds integers, by which there is no derivative.")
        f, *args = _without_integers(f, args, held)
        argnum = place - sum(i < place for i in held)
    tree = _opened("jacobian", args)
    if tree is not None:
        value, pullback = vjp(lambda *arrays: f(*tree.given(arrays)), *tree.arrays)
        wanted = tree.spans[argnum]
        found = dict(zip(wanted, _rows(value, pullback, tree.arrays, wanted), strict=True))
        return tree.inside([found.get(i) for i in range(len(tree.arrays))])[argnum]
    value, pullback = vjp(f, *args)
    return _rows(value, pullback, args, [argnum])[0]


def _rows(value, pullback, arrays, wanted):
    """The derivatives of a value by some of the arrays, from unit cotangents."""
    if isinstance(value, tuple):
        raise TypeError("jacobian takes a function of one output. Select one: lambda A: f(A)[0].")
    if value.dtype.kind == "c" or any(as_array(bare(a)).dtype.kind == "c" for a in arrays):
        raise TypeError("jacobian is for real arrays. For complex ones use vjp or jvp.")
    rows = []
    for i in np.ndindex(value.shape):
        unit = np.zeros(value.shape, value.dtype)
        unit[i] = 1
        bars = pullback(unit)
        rows.append([bars[k] for k in wanted])
    return [stacked([row[j] for row in rows], value.shape, arrays[k]) for j, k in enumerate(wanted)]


def _integers(f, args):
    """Which of the arguments hold integers that f takes as constants: a primitive says so of the pivots of a
    factorisation. Of any other function integers are refused, as they may be meant for real numbers."""
    before = 0
    while isinstance(f, functools.partial):  # which holds options, and perhaps the first arrays
        f, before = f.func, before + len(f.args)
    if type(f) is not Primitive or not f.integer:
        return ()
    names = f.arguments[before : before + len(args)]
    return [
        i
        for i, (name, x) in enumerate(zip(names, args, strict=False))
        if name in f.integer and as_array(bare(x)).dtype.kind in "iu"
    ]


def _without_integers(f, args, held):
    """f with its integers in their places, as a function of the other arguments, and these."""

    def of_the_others(*others):
        others = iter(others)
        return f(*(x if i in held else next(others) for i, x in enumerate(args)))

    return of_the_others, *(x for i, x in enumerate(args) if i not in held)


def _beside_integers(bars, held):
    """The bars of all arguments, from those of the others."""
    bars = list(bars)
    for i in held:
        bars.insert(i, None)
    return tuple(bars)


def _opened(name, args):
    """The arguments of a call taken apart, where there are containers among them; else None."""
    for x in args:
        if type(x) is not np.ndarray and type(x) is not Traced and is_container(x):
            break
    else:
        return None
    labels = [f"{name}: argument {i}" for i in range(len(args))]
    tree = Opened(name, args, labels, "if not, bind it by a lambda or functools.partial", only_containers=True)
    if not tree.arrays:
        raise TypeError(f"{name}: there is nothing to differentiate by in the arguments.")
    return tree


def stacked(rows, shape, A):
    """The derivatives by A of the entries of an array of this shape, as one array. What is traced by a sweep around
    this one stays so."""
    shape = (*shape, *np.shape(bare(A)))
    if not rows:
        return np.zeros(shape)
    if not any(type(row) is Traced for row in rows):
        return np.stack(rows).reshape(shape)
    return rules.reshape(rules.concatenate([rules.reshape(row, shape=-1) for row in rows]), shape=shape)
