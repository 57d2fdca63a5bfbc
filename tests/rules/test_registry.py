"""Every primitive of the registry, in NumPy and in the strict array API: completeness, derivatives, batches, dtypes,
bad input. May import `overbar`. What only one family has to show is tested beside this file, under the family's name.
"""

import inspect
import itertools

import numpy as np
import pytest

import overbar
from overbar import verify
from overbar._front import NUMPY, DtypeError, Front, ShapeError
from overbar._namespace import front, register
from overbar._words import Words
from overbar.rules import REGISTRY
from overbar.verify import TOLERANCE, Case, call, check
from tests.compare import close
from tests.examples import examples

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
BATCHES = [(), (3,), (2, 1, 4), (0,)]
BROADCAST = [[(3, 1), (4,), ()], [(), (2, 1, 3)], [(1, 3), (2, 1)]]
SECTIONS = ["Parameters", "Returns", "Raises", "Notes", "Examples"]

several = pytest.mark.parametrize("dtype", DTYPES)


def cotangents(outputs, rng):
    return [_noise(out, rng) for out in outputs]


def _noise(like, rng):
    noise = rng.standard_normal(like.shape) + 1j * rng.standard_normal(like.shape)
    return noise.astype(like.dtype) if like.dtype.kind == "c" else noise.real.astype(like.dtype)


def tangents(case, primitive, rng):
    dots = [_noise(a, rng) for a in case.arrays]
    return [
        (dot + np.conj(dot.mT)) / 2 if primitive.argument(i) in primitive.hermitian else dot
        for i, dot in enumerate(dots)
    ]


def everything(primitive, case, rng=None):
    """Outputs (hidden ones too), bars and tangents at a case, for random cotangents and tangents."""
    rng = np.random.default_rng(7 if rng is None else rng)
    outputs = primitive.run(case.arrays, case.options)
    bars = primitive.pull(NUMPY, cotangents(outputs, rng), outputs, case.arrays, case.options)
    dots = primitive.push(NUMPY, tangents(case, primitive, rng), outputs, case.arrays, case.options)
    return outputs, bars, dots


# ---------------------------------------------------------------------------------------------------------------------
# Completeness


def test_a_primitive_has_all_its_parts(primitive):
    assert primitive.vjp_rule is not None
    assert primitive.jvp_rule is not None
    assert primitive.sampler is not None
    assert primitive.exact is not None
    assert primitive.name == next(name for name, p in REGISTRY.items() if p is primitive)


def test_a_primitive_is_offered_by_the_core(primitive):
    assert getattr(overbar, primitive.name) is primitive


def test_a_docstring_has_all_its_sections_in_order(primitive):
    lines = inspect.getdoc(primitive).splitlines()
    found = [above for above, below in itertools.pairwise(lines) if below and set(below) == {"-"}]
    assert found == SECTIONS
    assert lines[0].endswith((".", ".)"))
    assert lines[1] == ""


def test_a_docstring_describes_every_argument(primitive):
    doc = inspect.getdoc(primitive)
    parameters = doc[doc.index("Parameters") : doc.index("Returns")]
    described = {
        name for line in parameters.splitlines() if not line.startswith(" ") for name in line.split(" :")[0].split(", ")
    }
    assert set(inspect.signature(primitive).parameters) <= described


def test_the_examples_of_a_docstring_are_right(primitive):
    assert len(examples(inspect.getdoc(primitive), primitive.name)) >= 2


def test_samples_cover_every_option_that_is_a_switch(primitive):
    """A branch that no sample reaches is not tested: each boolean option is drawn both ways."""
    cases = verify.draw_cases(primitive)
    switches = [name for name, value in primitive.defaults.items() if isinstance(value, bool)]
    for name in switches:
        assert {case.options[name] for case in cases} == {False, True}


def test_samples_keep_hermitian_arguments_hermitian(sample):
    for dtype in (np.float64, np.complex64):
        case = sample.draw(dtype, (2,))
        for i, A in enumerate(case.arrays):
            if sample.primitive.argument(i) in sample.primitive.hermitian:
                assert np.array_equal(A, np.conj(A.mT))


# ---------------------------------------------------------------------------------------------------------------------
# Derivatives


@several
@pytest.mark.turns(2)
def test_the_rules_are_right(primitive, dtype):
    """First derivative to 1e-8 in double precision, 3e-5 in single, against 50 digits, entry by entry; and the rest."""
    rows = check(primitive, dtype)
    measured = {row.oracle for row in rows if row.error is not None}
    assert {"adjoint", "difference", "exact"} <= measured


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("digits", [2, 4, 6, 8, 10, 12])
def test_near_the_hard_points_the_error_is_rounding_times_the_condition_number(dtype, digits):
    """Value, bars and tangents of matrices with condition numbers up to 1e12, against 50 digits."""
    draw = verify.Draw(1, dtype)
    scales = np.logspace(0, -digits, 4)
    Q = np.linalg.qr(draw.normal(4, 4)).Q
    A = (Q * scales) @ np.conj(Q.mT)
    cases = {"cholesky": [(A + np.conj(A.mT)) / 2], "inv_congruence": [Q.mT @ A, draw.normal(4, 2)]}
    for name, arrays in cases.items():
        condition = np.linalg.cond(arrays[0])
        assert verify.exact_error(REGISTRY[name], Case(tuple(arrays))) < np.finfo(dtype).eps * condition, name


@several
@pytest.mark.parametrize("batch", [*BATCHES, *BROADCAST], ids=str)
@pytest.mark.turns(4)
def test_the_rules_are_right_in_a_batch(sample, dtype, batch):
    case = sample.draw(dtype, batch)
    for name in ("adjoint", "difference"):
        error = verify.ORACLES[name](sample.primitive, case)
        assert error <= verify.tolerance(name, case), name


@pytest.mark.parametrize("batch", [(3,), (2, 1, 4), *BROADCAST], ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_a_batch_is_a_loop(sample, dtype, batch):
    primitive, case = sample.primitive, sample.draw(dtype, batch)
    outputs, _, _ = everything(primitive, case)
    rng = np.random.default_rng(7)
    out_bars, in_dots = cotangents(outputs, rng), tangents(case, primitive, rng)
    bars = primitive.pull(NUMPY, out_bars, outputs, case.arrays, case.options)
    dots = primitive.push(NUMPY, in_dots, outputs, case.arrays, case.options)
    summed = [np.zeros_like(a) for a in case.arrays]
    outputs = in_every_matrix(primitive, outputs)
    for index, places, options in matrices(primitive, case):
        arrays = [a[place] for a, place in zip(case.arrays, places, strict=True)]
        here = primitive.run(arrays, options)
        # A hidden output may be left out, with no entries, where there would be many copies of it.
        there = [whole[index].shape == out.shape for out, whole in zip(here, outputs, strict=True)]
        assert all(is_there or whole.size == 0 for is_there, whole in zip(there, outputs, strict=True))
        assert all(there[: primitive.public])
        for out, whole, is_there in zip(here, outputs, there, strict=True):
            if is_there:
                close(whole[index], out)
        bars_here = [
            np.asarray(bar[index]) if is_there else None
            for bar, is_there in zip(out_bars[: primitive.differentiable], there, strict=False)
        ]
        here_bars = primitive.pull(NUMPY, bars_here, here, arrays, options)
        for total, place, bar in zip(summed, places, here_bars, strict=True):
            total[place] += bar
        here_dots = primitive.push(NUMPY, [d[p] for d, p in zip(in_dots, places, strict=True)], here, arrays, options)
        for dot, whole, is_there in zip(here_dots, dots, there, strict=True):
            if is_there:
                same(whole if whole is None else whole[index], dot)
    for total, bar in zip(summed, bars, strict=True):
        close(bar, total)


def in_every_matrix(primitive, outputs):
    """The outputs, residuals too with all batch dimensions: they need not have those that their array lacks."""
    if primitive.outputs == primitive.differentiable:
        return outputs
    cores = [out.ndim - len(core) for out, core in zip(outputs, primitive.signature.outputs, strict=True)]
    batch = outputs[0].shape[: cores[0]]
    return [
        out if i < primitive.differentiable else np.broadcast_to(out, (*batch, *out.shape[core:]))
        for i, (out, core) in enumerate(zip(outputs, cores, strict=True))
    ]


def matrices(primitive, case):
    """For each matrix of a batch: its index in the outputs, its place in each input, and the options without a
    batch."""
    if primitive.signature.whole:
        cores = [a.ndim - case.options["batch_ndim"] for a in case.arrays]
        options = {**case.options, "batch_ndim": 0}
    else:
        cores, options = [len(core) for core in primitive.signature.inputs], case.options
    leads = [a.shape[: a.ndim - core] for a, core in zip(case.arrays, cores, strict=True)]
    for index in np.ndindex(np.broadcast_shapes(*leads)):
        places = [
            tuple(min(k, size - 1) for k, size in zip(index[len(index) - len(lead) :], lead, strict=True))
            for lead in leads
        ]
        yield index, places, options


def same(found, expected):
    """Of bars and tangents, where None is that of integers."""
    if expected is None:
        assert found is None or not np.any(found)
    else:
        close(found, expected)


def test_the_order_of_a_batch_does_not_matter_in_memory(sample):
    """Arrays in any memory order, and ones that must not be written to, give the same."""
    primitive, case = sample.primitive, sample.draw(np.complex128, (2, 3))
    expected = everything(primitive, case)
    spread = []
    for a in case.arrays:
        buffer = np.zeros((*(2 * size for size in a.shape[::-1]),), a.dtype)
        view = buffer[(slice(None, None, 2),) * a.ndim].T
        view[...] = a
        view.flags.writeable = False
        spread.append(view)
    found = everything(primitive, Case(tuple(spread), case.options))
    for a, b in zip(itertools.chain(*found), itertools.chain(*expected), strict=True):
        same(a, b)


# ---------------------------------------------------------------------------------------------------------------------
# What a rule returns


@several
@pytest.mark.parametrize("batch", [(), (2, 1, 4), [(3, 1), (4,), ()]], ids=str)
def test_bars_and_tangents_have_the_shape_and_the_dtype(sample, dtype, batch):
    case = sample.draw(dtype, batch)
    outputs, bars, dots = everything(sample.primitive, case)
    real = np.dtype(dtype).type(0).real.dtype
    count = sample.primitive.differentiable
    assert all(dot is None for dot in dots[count:])
    smooth = [i for i in range(count) if outputs[i].dtype.kind in "fc"]  # pivots are integers and have no tangent
    outputs, dots = ([xs[i] for i in smooth] for xs in (outputs, dots))
    # eigenvalues of a real matrix are complex
    assert {out.dtype for out in outputs} <= {np.dtype(dtype), real, np.result_type(dtype, np.complex64)}
    assert [(bar.shape, bar.dtype) for bar in bars] == [(a.shape, a.dtype) for a in case.arrays]
    assert [(dot.shape, dot.dtype) for dot in dots] == [(out.shape, out.dtype) for out in outputs]


def mixtures(case, real_dtype):
    """The case with each proper subset of its arrays made real."""
    count = len(case.arrays)
    for size in range(1, count):
        for chosen in itertools.combinations(range(count), size):
            arrays = [a.real.astype(real_dtype) if i in chosen else a for i, a in enumerate(case.arrays)]
            yield chosen, Case(tuple(arrays), case.options)


def test_a_real_input_beside_a_complex_one_gets_a_real_bar(sample):
    case = sample.draw(np.complex128)
    for chosen, mixed in mixtures(case, np.float64):
        for name in ("adjoint", "difference"):
            assert verify.ORACLES[name](sample.primitive, mixed) <= TOLERANCE[name]["double"], (name, chosen)


def test_an_input_in_single_precision_beside_one_in_double_gets_a_bar_in_single(sample):
    case = sample.draw(np.float64)
    for chosen, mixed in mixtures(case, np.float32):
        _, bars, _ = everything(sample.primitive, mixed)
        assert [bar.dtype for bar in bars] == [np.float32 if i in chosen else np.float64 for i in range(len(bars))]
        assert verify.adjoint_error(sample.primitive, mixed) < TOLERANCE["adjoint"]["single"]


def test_a_bar_that_nobody_asks_for_is_not_computed(sample, monkeypatch):
    primitive, case = sample.primitive, sample.draw(np.float64, (2,))
    outputs, all_bars, _ = everything(primitive, case)
    out_bars = cotangents(outputs, np.random.default_rng(7))
    rule, computed = primitive.vjp_rule, []

    def watched(*args, **options):
        thunks = rule(*args, **options)
        return tuple(lambda i=i, thunk=thunk: computed.append(i) or thunk() for i, thunk in enumerate(thunks))

    monkeypatch.setattr(primitive, "vjp_rule", watched)
    count = len(case.arrays)
    for needed in itertools.product([False, True], repeat=count):
        computed.clear()
        bars = primitive.pull(NUMPY, out_bars, outputs, case.arrays, case.options, needed)
        assert computed == [i for i in range(count) if needed[i]]
        for bar, expected, wanted in zip(bars, all_bars, needed, strict=True):
            assert (bar is not None) == wanted
            if wanted:
                close(bar, expected)  # it may be found in another way where less is wanted


def test_absent_cotangents_give_absent_bars(sample):
    primitive, case = sample.primitive, sample.draw()
    outputs = primitive.run(case.arrays, case.options)
    found = primitive.pull(NUMPY, [None] * len(outputs), outputs, case.arrays, case.options)
    assert found == [None] * len(case.arrays)


def test_an_absent_cotangent_is_one_of_zeros(sample):
    """In a function of several outputs; what is not there costs nothing, and counts as zero."""
    primitive, case = sample.primitive, sample.draw(np.complex128, (2,))
    outputs = primitive.run(case.arrays, case.options)
    bars = cotangents(outputs[: primitive.differentiable], np.random.default_rng(7))
    for given in itertools.product([False, True], repeat=len(bars)):
        if not any(given):
            continue
        absent = [bar if here else None for bar, here in zip(bars, given, strict=True)]
        zeros = [bar if here else np.zeros_like(bar) for bar, here in zip(bars, given, strict=True)]
        found = primitive.pull(NUMPY, absent, outputs, case.arrays, case.options)
        expected = primitive.pull(NUMPY, zeros, outputs, case.arrays, case.options)
        for a, b in zip(found, expected, strict=True):
            same(a, b)


def test_an_absent_tangent_is_one_of_zeros(sample):
    primitive, case = sample.primitive, sample.draw(np.complex128, (2,))
    outputs = primitive.run(case.arrays, case.options)
    dots = tangents(case, primitive, np.random.default_rng(7))
    for given in itertools.product([False, True], repeat=len(dots)):
        if not any(given):
            continue
        absent = [dot if here else None for dot, here in zip(dots, given, strict=True)]
        zeros = [dot if here else np.zeros_like(dot) for dot, here in zip(dots, given, strict=True)]
        found = primitive.push(NUMPY, absent, outputs, case.arrays, case.options)
        expected = primitive.push(NUMPY, zeros, outputs, case.arrays, case.options)
        for a, b in zip(found, expected, strict=True):
            same(a, b)


def test_zero_cotangents_give_zero_bars(sample):
    primitive, case = sample.primitive, sample.draw(np.complex128, (2,))
    outputs = primitive.run(case.arrays, case.options)
    bars = primitive.pull(NUMPY, [np.zeros_like(o) for o in outputs], outputs, case.arrays, case.options)
    assert not any(bar.any() for bar in bars)
    dots = primitive.push(NUMPY, [np.zeros_like(a) for a in case.arrays], outputs, case.arrays, case.options)
    assert not any(dot.any() for dot in dots if dot is not None)


def test_results_are_arrays_of_their_own(sample):
    """Nobody's input or cotangent changes with what is done to a bar: what shares memory is at least never written
    to."""
    primitive, case = sample.primitive, sample.draw(np.float64, (2,))
    before = [a.copy() for a in case.arrays]
    outputs = primitive.run(case.arrays, case.options)
    out_bars = cotangents(outputs, np.random.default_rng(7))
    kept = [bar.copy() for bar in out_bars]
    for _ in range(2):
        primitive.pull(NUMPY, out_bars, outputs, case.arrays, case.options)
        primitive.push(NUMPY, case.arrays, outputs, case.arrays, case.options)
    assert all(np.array_equal(a, b) for a, b in zip(before, case.arrays, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(kept, out_bars, strict=True))


@pytest.mark.parametrize("batch", [(), (2,)])
def test_what_the_sweeps_return_may_be_written_to(sample, batch):
    """An optimiser scales a gradient in place: no other bar or tangent changes, nor what was given, nor the next
    pullback."""
    primitive, case = sample.primitive, sample.draw(np.float64, batch)
    n, public = len(case.arrays), primitive.public

    def function(*arrays):
        """The primitive of sums with constants, as of parameters that are added up."""
        outputs = call(primitive, [A + B for A, B in zip(arrays[:n], arrays[n:], strict=True)], case.options)
        return outputs if public > 1 else (outputs,)

    arrays = [*case.arrays, *map(np.zeros_like, case.arrays)]
    values, pullback = overbar.vjp(function, *arrays)
    given, rng = tuple(cotangents([np.asarray(x) for x in values], np.random.default_rng(7))), np.random.default_rng(8)
    dots = tuple(tangents(case, primitive, rng)) * 2
    before = [x.copy() for x in (*arrays, *given, *dots)]
    for compute in (lambda: pullback(given), lambda: overbar.jvp(function, arrays, dots)[1]):
        found = compute()
        expected = [np.array(x) for x in found]
        for i, x in enumerate(found):
            if isinstance(x, np.ndarray):
                x[...] = -1e9
            for later, copy in zip(found[i + 1 :], expected[i + 1 :], strict=True):
                np.testing.assert_array_equal(later, copy)
        for again, copy in zip(compute(), expected, strict=True):
            np.testing.assert_array_equal(again, copy)
    for x, copy in zip((*arrays, *given, *dots), before, strict=True):
        np.testing.assert_array_equal(x, copy)


def test_the_sweeps_give_what_the_rules_give(sample):
    primitive, case = sample.primitive, sample.draw(np.complex128, (2,))
    outputs, _, _ = everything(primitive, case)
    rng = np.random.default_rng(7)
    out_bars, in_dots = cotangents(outputs, rng), tangents(case, primitive, rng)
    public = primitive.public
    given = [bar if i < public else None for i, bar in enumerate(out_bars)]
    value, pullback = overbar.vjp(lambda *arrays: call(primitive, arrays, case.options), *case.arrays)
    found = pullback(out_bars[0] if public == 1 else tuple(out_bars[:public]))
    expected = primitive.pull(NUMPY, given, outputs, case.arrays, case.options)
    for a, b in zip(found, expected, strict=True):
        same(a, b)
    _, dots = overbar.jvp(lambda *arrays: call(primitive, arrays, case.options), case.arrays, in_dots)
    expected = primitive.push(NUMPY, in_dots, outputs, case.arrays, case.options)[:public]
    for a, b in zip(dots if public > 1 else (dots,), expected, strict=True):
        if b is None:  # of integers, for which the sweep has zeros
            assert not np.any(a)
            continue
        same(a, b)
    for a, b in zip(value if public > 1 else (value,), outputs, strict=False):
        same(a, b)


def test_a_vector_in_the_place_of_a_matrix_is_one_row_or_column(primitive):
    """Where the signature lets a dimension be absent; value and bars, with and without a batch."""
    signature = primitive.signature
    tried = 0
    for case in verify.draw_cases(primitive, np.complex128, (2,)):
        for size in range(1, len(signature.optional) + 1):
            for dropped in itertools.combinations(sorted(signature.optional), size):
                wide, narrow = [], []
                for a, core in zip(case.arrays, signature.inputs, strict=True):
                    axes = tuple(i - len(core) for i, dim in enumerate(core) if dim in dropped)
                    a = a[tuple(slice(1) if i - a.ndim in axes else slice(None) for i in range(a.ndim))]
                    narrow.append(np.squeeze(a[0], axes) if axes else a[0])
                    wide.append(a[0])
                out_axes = [
                    tuple(i - len(core) for i, dim in enumerate(core) if dim in dropped)
                    for core in signature.outputs[: primitive.public]
                ]
                try:
                    C, pullback = overbar.vjp(lambda *x, case=case: call(primitive, x, case.options), *narrow)
                except ShapeError:  # an option reads the vector's dimension otherwise
                    with pytest.raises(ShapeError):
                        call(primitive, wide, case.options)
                    continue
                tried += 1
                D, pull_wide = overbar.vjp(lambda *x, case=case: call(primitive, x, case.options), *wide)
                several = primitive.public > 1
                C, D = (C, D) if several else ((C,), (D,))
                for c, d, axes in zip(C, D, out_axes, strict=True):
                    close(c, np.squeeze(d, axes))
                rng = np.random.default_rng(1)
                D_bar = [_noise(d, rng) if d.dtype.kind in "fc" else None for d in D]
                C_bar = [d if d is None else np.squeeze(d, axes) for d, axes in zip(D_bar, out_axes, strict=True)]
                found = pullback(tuple(C_bar) if several else C_bar[0])
                expected = pull_wide(tuple(D_bar) if several else D_bar[0])
                for a, b in zip(found, expected, strict=True):
                    close(a.reshape(-1), b.reshape(-1))
    assert tried > 0 or not signature.optional


# ---------------------------------------------------------------------------------------------------------------------
# Bad input


def replaced(case, i, array):
    return [array if j == i else a for j, a in enumerate(case.arrays)]


def fails(primitive, arrays, options, error, *words):
    """The call raises this error, and the message names the function and everything in `words`."""
    with pytest.raises(error) as caught:
        call(primitive, arrays, options)
    message = str(caught.value)
    for word in (primitive.name, *words):
        assert word in message, (word, message)
    return caught.value


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, np.bool_, np.float16, np.longdouble])
def test_an_array_that_is_not_of_single_or_double_precision_is_refused_by_name(first, dtype):
    primitive, case = first.primitive, first.draw()
    for i, a in enumerate(case.arrays):
        if primitive.argument(i) in primitive.integer:
            continue
        error = fails(
            primitive,
            replaced(case, i, np.ones(a.shape, dtype)),
            case.options,
            DtypeError,
            f"argument {primitive.argument(i)} has dtype {np.dtype(dtype)}",
            "Convert it",
        )
        assert isinstance(error, np.linalg.LinAlgError)
        assert isinstance(error, TypeError)


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8])
def test_integers_are_what_they_are_as_floats_and_have_no_derivative(first, dtype):
    primitive, case = first.primitive, first.draw()
    for i, a in enumerate(case.arrays):
        if primitive.argument(i) in primitive.integer:
            arrays = replaced(case, i, a.astype(dtype))
            expected, pullback = overbar.vjp(lambda *x: call(primitive, x, case.options), *case.arrays)
            np.testing.assert_array_equal(call(primitive, arrays, case.options), expected)
            assert not pullback(np.ones_like(expected))[i].any()


@pytest.mark.parametrize("thing", ["text", None, {1.0: 2.0}, object()], ids=["text", "None", "dict", "object"])
def test_what_is_no_array_is_refused(first, thing):
    primitive, case = first.primitive, first.draw()
    for i in range(len(case.arrays)):
        if thing is None and primitive.argument(i) in primitive.absent:
            continue
        with pytest.raises(TypeError, match=type(thing).__name__):
            call(primitive, replaced(case, i, thing), case.options)


def test_too_few_dimensions_are_refused_by_name(first):
    primitive, case = first.primitive, first.draw()
    for i, core in enumerate(primitive.signature.inputs):
        needed = len([dim for dim in core if dim not in primitive.signature.optional])
        if needed:
            words = (f"argument {primitive.argument(i)} of shape", "too few dimensions", primitive.dimensions)
            error = fails(primitive, replaced(case, i, np.ones((2,) * (needed - 1))), case.options, ShapeError, *words)
            assert isinstance(error, np.linalg.LinAlgError)


def test_a_matrix_that_is_not_square_is_refused_by_name(first):
    primitive, case = first.primitive, first.draw()
    for i, core in enumerate(primitive.signature.inputs):
        if len(core) == 2 and core[0] == core[1]:
            for lead in ((), (3,)):
                A = np.ones((*lead, 4, 5))
                words = (f"argument {primitive.argument(i)} of shape {A.shape}", "not square")
                fails(primitive, replaced(case, i, A), case.options, ShapeError, *words)


def test_core_dimensions_that_do_not_fit_are_refused_by_name(first):
    primitive, case = first.primitive, first.draw()
    inputs = primitive.signature.inputs
    for i, core in enumerate(inputs):
        shape = case.arrays[i].shape
        for dim in core:
            if any(dim in other for j, other in enumerate(inputs) if j != i):
                wrong = tuple(size + (d == dim) for d, size in zip(core, shape, strict=True))
                words = ("does not fit", str(wrong), primitive.argument(i), f"dimension {dim} of")
                fails(primitive, replaced(case, i, np.ones(wrong)), case.options, ShapeError, *words)


def test_batches_that_do_not_broadcast_are_refused_by_name(first):
    primitive, threes, fours = first.primitive, first.draw(batch=(3,)), first.draw(batch=(4,))
    if not primitive.signature.whole:
        for i in range(1, len(threes.arrays)):
            if fours.arrays[i].ndim == len(primitive.signature.inputs[i]):
                continue  # left out, and made without a batch
            words = (primitive.argument(i), "does not broadcast", "(4,", "(3,")
            fails(primitive, replaced(threes, i, fours.arrays[i]), threes.options, ShapeError, *words)


def test_an_unknown_option_is_refused_with_the_signature(first):
    case = first.draw()
    with pytest.raises(TypeError, match=rf"{first.primitive.name} has no argument nonsense.*signature is"):
        call(first.primitive, case.arrays, {**case.options, "nonsense": 1})


def test_a_missing_array_is_named(first):
    primitive, case = first.primitive, first.draw()
    if primitive.name == "solve_toeplitz":
        pytest.skip("two arrays are a call of SciPy's")
    if not primitive.variadic:
        count = len(primitive.arguments) - len(primitive.absent)  # some may be left out
        with pytest.raises(TypeError, match=rf"{primitive.name} needs the array {primitive.arguments[count - 1]}"):
            primitive(*case.arrays[: count - 1], **case.options)


def test_a_missing_option_is_named(first):
    primitive, case = first.primitive, first.draw()
    for name, value in primitive.defaults.items():
        if value is inspect.Parameter.empty:
            with pytest.raises(TypeError, match=rf"{primitive.name} needs the option {name}"):
                call(primitive, case.arrays, {k: v for k, v in case.options.items() if k != name})


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_cholesky_refuses_what_is_not_finite(value):
    A = verify.Draw(0, batch=(3,)).positive_definite(4)
    for i, j in ((0, 0), (2, 1), (3, 3)):
        B = A.copy()
        B[1, i, j] = B[1, j, i] = value
        with pytest.raises(np.linalg.LinAlgError, match=rf"argument A \(matrix 1 of the batch\).*\({i}, {j}\) is"):
            overbar.cholesky(B)


def test_cholesky_names_the_matrix_and_the_leading_minor():
    A = verify.Draw(0, batch=(2, 3)).positive_definite(4)
    A[1, 2, 2, 2] = -1
    with pytest.raises(np.linalg.LinAlgError, match=r"argument A \(matrix \(1, 2\) of the batch\).*minor of order 3"):
        overbar.cholesky(A)


# ---------------------------------------------------------------------------------------------------------------------
# Any library that follows the array API standard


def strict_case(case):
    strict = pytest.importorskip("array_api_strict")
    register(type(strict.asarray(0.0)), Front(Words(strict)))  # a front of one line
    return [strict.asarray(a) for a in case.arrays], strict


@pytest.mark.parametrize("dtype", [np.float32, np.complex128])
@pytest.mark.parametrize("batch", [(), [(3, 1), (4,), ()]], ids=str)
def test_a_primitive_needs_no_more_than_the_array_api(sample, dtype, batch):
    primitive, case = sample.primitive, sample.draw(dtype, batch)
    expected = everything(primitive, case)
    arrays, strict = strict_case(case)
    strict_front = front(*arrays)
    assert strict_front.name == "array API"
    rng = np.random.default_rng(7)
    outputs = primitive.run(arrays, case.options)
    out_bars = [strict.asarray(bar) for bar in cotangents(expected[0], rng)]
    in_dots = [strict.asarray(dot) for dot in tangents(case, primitive, rng)]
    bars = primitive.pull(strict_front, out_bars, outputs, arrays, case.options)
    dots = primitive.push(strict_front, in_dots, outputs, arrays, case.options)
    smooth = primitive.differentiable  # what a library keeps besides is in a form of its own
    expected = expected[0][:smooth], expected[1], expected[2][:smooth]
    computed = itertools.chain(outputs[:smooth], bars, dots[:smooth])
    for found, wanted in zip(computed, itertools.chain(*expected), strict=True):
        if wanted is None:  # the tangent of integers
            assert found is None
            continue
        assert type(found) is type(arrays[0])
        found = np.asarray(found)
        assert found.dtype == wanted.dtype
        close(found, wanted, rtol=200 * np.finfo(dtype).eps)
    value = call(primitive, arrays, case.options)
    for found, wanted in zip(value if primitive.public > 1 else (value,), expected[0], strict=False):
        close(np.asarray(found), wanted, rtol=200 * np.finfo(dtype).eps)


def test_the_registry_holds_what_the_foundation_promises():
    promised = """
        add subtract matmul transpose_matmul exp log sqrt sin cos tanh power reciprocal tril triu mask phi
        matrix_transpose reshape vec subset diagonal diag_embed concatenate trace bilinear_form quadratic congruence
        inv_congruence solve_triangular cho_logdet cho_solve cholesky
    """
    assert set(promised.split()) <= set(REGISTRY)
