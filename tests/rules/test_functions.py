"""NumPy's and SciPy's functions by name, which user code needs beside the primitives of the registry: their values are
NumPy's, their derivatives right at hard points too. Those that are primitives go through the oracles in
`test_nested_sweeps.py`. May import `overbar`.
"""

import inspect
import itertools

import numpy as np
import pytest
from scipy import special

import overbar
from overbar._primitive import Primitive
from overbar.rules import FUNCTIONS, REGISTRY
from tests.examples import examples

RNG = np.random.default_rng(0)
A, B = RNG.standard_normal((2, 3, 4))
Z = A + 1j * B
INF = np.inf

#: name, what is called, and what NumPy or SciPy have for it
SAME = [
    ("abs", lambda o: o.abs(A), np.abs(A)),
    ("abs", lambda o: o.abs(Z), np.abs(Z)),
    ("sign", lambda o: o.sign(A), np.sign(A)),
    ("sign", lambda o: o.sign(np.array([0, 3j])), [0, 1j]),
    ("conj", lambda o: o.conj(Z), Z.conj()),
    ("real", lambda o: o.real(Z), A),
    ("real", lambda o: o.real(A), A),
    ("imag", lambda o: o.imag(Z), B),
    ("imag", lambda o: o.imag(A), 0 * A),
    ("where", lambda o: o.where(A > 0, A, B), np.where(A > 0, A, B)),
    ("where", lambda o: o.where([True, False], 1.0, A[:, :2]), np.where([True, False], 1.0, A[:, :2])),
    ("maximum", lambda o: o.maximum(A, B[0]), np.maximum(A, B[0])),
    ("maximum", lambda o: o.maximum([1.0, np.nan, 2.0], [np.nan, 1.0, 3.0]), [np.nan, np.nan, 3.0]),
    ("minimum", lambda o: o.minimum(0.2, A), np.minimum(0.2, A)),
    ("minimum", lambda o: o.minimum([1.0, np.nan, 2.0], [np.nan, 1.0, 3.0]), [np.nan, np.nan, 2.0]),
    ("clip", lambda o: o.clip(A, -0.5, B), np.clip(A, -0.5, B)),
    ("clip", lambda o: o.clip(A, max=0.5), np.clip(A, None, 0.5)),
    ("relu", lambda o: o.relu([-INF, -1.0, 0.0, 2.0, INF, np.nan]), [0, 0, 0, 2, INF, np.nan]),
    ("mean", lambda o: o.mean(A), A.mean()),
    ("mean", lambda o: o.mean(Z, axis=(0, -1), keepdims=True), Z.mean((0, -1), keepdims=True)),
    ("var", lambda o: o.var(A, axis=1), A.var(1)),
    ("var", lambda o: o.var(Z, ddof=1), Z.var(ddof=1)),
    ("std", lambda o: o.std(A, axis=0, ddof=1, keepdims=True), A.std(0, ddof=1, keepdims=True)),
    ("stack", lambda o: o.stack([A, B], axis=1), np.stack([A, B], 1)),
    ("squeeze", lambda o: o.squeeze(A[None, :, None]), A),
    ("squeeze", lambda o: o.squeeze(A[None, :, None], axis=-2), A[None]),
    ("expand_dims", lambda o: o.expand_dims(A, (0, -1)), A[None, :, :, None]),
    ("outer", lambda o: o.outer(A[0], B[1]), np.outer(A[0], B[1])),
    ("affine_columns", lambda o: o.affine_columns(A, B.T, B[0]), B.T @ A + B[0][:, None]),
    ("einsum", lambda o: o.einsum("ij,kj->ik", A, B), A @ B.T),
    ("logsumexp", lambda o: o.logsumexp(1000 * A, axis=1), special.logsumexp(1000 * A, 1)),
    ("logsumexp", lambda o: o.logsumexp(Z, keepdims=True), special.logsumexp(Z, keepdims=True)),
    ("logsumexp", lambda o: o.logsumexp([[-INF, -INF], [-INF, 1.0], [INF, 0.0]], axis=-1), [-INF, 1.0, INF]),
    ("logsumexp", lambda o: o.logsumexp(np.ones((2, 0)), axis=1), [-INF, -INF]),
    ("softmax", lambda o: o.softmax(1000 * A, axis=0), special.softmax(1000 * A, 0)),
    ("softmax", lambda o: o.softmax(A), special.softmax(A)),
    ("softmax", lambda o: o.softmax([-INF, 0.0]), [0, 1]),
    ("softmax", lambda o: o.softmax(np.ones((2, 0)), axis=1), np.ones((2, 0))),
    ("logaddexp", lambda o: o.logaddexp(A, B[0]), np.logaddexp(A, B[0])),
    ("logaddexp", lambda o: o.logaddexp([-INF, -INF, INF, 800.0], [-INF, 1.0, INF, -800.0]), [-INF, 1.0, INF, 800.0]),
    ("log1p", lambda o: o.log1p(A**2), np.log1p(A**2)),
    ("expm1", lambda o: o.expm1(1e-9 * A), np.expm1(1e-9 * A)),
    ("sigmoid", lambda o: o.sigmoid(20 * A), special.expit(20 * A)),
    ("sigmoid", lambda o: o.sigmoid([-INF, -700.0, 800.0, INF]), special.expit([-INF, -700.0, 800.0, INF])),
    ("softplus", lambda o: o.softplus(A), np.logaddexp(0, A)),
    ("softplus", lambda o: o.softplus([-INF, -700.0, 800.0, INF]), [0, np.exp(-700.0), 800, INF]),
    ("erf", lambda o: o.erf(A), special.erf(A)),
    ("gammaln", lambda o: o.gammaln(3 * A), special.gammaln(3 * A)),
    ("polygamma", lambda o: o.polygamma(2, np.abs(A)), special.polygamma(2, np.abs(A))),
    ("polygamma", lambda o: o.polygamma(np.abs(A), n=1), special.polygamma(1, np.abs(A))),
    ("digamma", lambda o: o.digamma(A), special.digamma(A)),
]


def values_are_same(found, expected):
    np.testing.assert_allclose(found, np.asarray(expected), rtol=1e-14, atol=1e-15, strict=False)
    assert np.shape(found) == np.shape(expected)


@pytest.mark.parametrize(("call", "expected"), [line[1:] for line in SAME], ids=[line[0] for line in SAME])
def test_the_value_is_that_of_numpy_or_scipy(call, expected):
    values_are_same(call(overbar), expected)


def test_every_function_has_a_line_above():
    assert {name for name, *_ in SAME} == set(FUNCTIONS)
    assert not set(FUNCTIONS) & set(REGISTRY)
    assert all(getattr(overbar, name) is f for name, f in FUNCTIONS.items())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_docstring_has_all_its_sections_and_examples_that_run(name):
    f = FUNCTIONS[name]
    doc = inspect.getdoc(f)
    lines = doc.splitlines()
    found = [above for above, below in itertools.pairwise(lines) if below and set(below) == {"-"}]
    assert found == [s for s in ("Parameters", "Returns", "Raises", "Notes", "Examples") if s in found]
    assert {"Parameters", "Returns", "Notes", "Examples"} <= set(found)
    assert lines[1] == ""
    assert "Cost: " in " ".join(doc.split())
    described = doc[doc.index("Parameters") : doc.index("Returns")]
    names = {n for line in described.splitlines() if not line.startswith(" ") for n in line.split(" :")[0].split(", ")}
    assert set(inspect.signature(f).parameters) <= names
    assert len(examples(doc, name)) >= 2


@pytest.mark.parametrize("name", [name for name, f in FUNCTIONS.items() if isinstance(f, Primitive)])
def test_single_precision_stays_single(name):
    x = np.array([0.5, 1.5], np.float32)
    f = FUNCTIONS[name]
    value, pullback = overbar.vjp(f, *[x] * len(f.arguments))
    assert value.dtype == np.float32
    assert {bar.dtype for bar in pullback(np.ones_like(value))} == {x.dtype}


# ---------------------------------------------------------------------------------------------------------------------
# Hard points


def slope(f, *arrays):
    value, pullback = overbar.vjp(f, *arrays)
    return pullback(np.ones_like(value))[0]


def curvature(f, x):
    return slope(lambda x: overbar.vjp(f, x)[1](np.ones(x.shape))[0], x)


@pytest.mark.parametrize(
    ("f", "x", "first", "second"),
    [
        (overbar.sigmoid, [-800.0, -INF, 800.0, INF], [0, 0, 0, 0], [0, 0, 0, 0]),
        (overbar.softplus, [-800.0, -INF, 800.0, INF], [0, 0, 1, 1], [0, 0, 0, 0]),
        (overbar.abs, [0.0, -2.0, INF], [0, -1, 1], [0, 0, 0]),
        (overbar.relu, [0.0, -INF, INF], [0, 0, 1], [0, 0, 0]),
        (overbar.erf, [0.0, -INF, 40.0], [2 / np.sqrt(np.pi), 0, 0], None),
        (lambda x: overbar.maximum(0, x), [0.0, -1.0, 1.0], [0, 0, 1], [0, 0, 0]),
        (lambda x: overbar.maximum(x, 0), [0.0, -1.0, 1.0], [1, 0, 1], [0, 0, 0]),
        (lambda x: overbar.minimum(x, 0), [0.0, -1.0, 1.0], [1, 1, 0], [0, 0, 0]),
        (lambda x: overbar.clip(x, -1, 1), [-1.0, 0.0, 1.0, 2.0], [1, 1, 1, 0], [0, 0, 0, 0]),
        (lambda x: overbar.logaddexp(x, -INF), [-INF, 2.0], [0, 1], [0, 0]),
        (lambda x: overbar.logaddexp(x, 1e9), [1e9, -1e9, 1e9 + 1], [0.5, 0, special.expit(1)], None),
        (overbar.sign, [0.0, -2.0], [0, 0], [0, 0]),
    ],
)
def test_first_and_second_derivatives_at_hard_points(f, x, first, second):
    x = np.array(x)
    np.testing.assert_allclose(slope(f, x), first, rtol=1e-15)
    dot = overbar.jvp(f, (x,), (np.ones_like(x),))[1]
    np.testing.assert_allclose(dot, first, rtol=1e-15)
    if second is not None:
        np.testing.assert_array_equal(curvature(f, x), second)


def test_the_slope_of_a_sigmoid_keeps_its_digits():
    """1 − σ(x) is zero for x > 37, σ(−x) is not."""
    for x in (-40.0, 40.0):
        np.testing.assert_allclose(slope(overbar.sigmoid, np.array([x])), np.exp(-40.0), rtol=1e-13)
        np.testing.assert_allclose(curvature(overbar.sigmoid, np.array([x])), -np.sign(x) * np.exp(-40.0), rtol=1e-13)


def test_rows_of_nothing_but_minus_infinity_have_no_weight():
    rows = np.array([[-INF, -INF], [-INF, 1.0], [0.0, 0.0]])
    weights = [[0, 0], [0, 1], [0.5, 0.5]]
    f = lambda A: overbar.logsumexp(A, axis=-1)  # noqa: E731
    np.testing.assert_array_equal(slope(f, rows), weights)
    np.testing.assert_array_equal(overbar.jvp(f, (rows,), (np.ones((3, 2)),))[1], [0, 1, 1])
    second = slope(lambda A: slope(f, A), rows)
    np.testing.assert_array_equal(second, np.zeros((3, 2)))


def test_logsumexp_of_large_numbers_keeps_the_digits_of_its_weights():
    A = np.array([1e9, 1e9 + 1, 1e9 - 2])
    np.testing.assert_allclose(slope(overbar.logsumexp, A), special.softmax([0.0, 1.0, -2.0]), rtol=1e-15)


def test_the_variance_of_too_few_entries_is_nan_and_so_is_its_derivative():
    for f in (overbar.var, overbar.std):
        value, pullback = overbar.vjp(lambda A, f=f: f(A, axis=1, ddof=1), np.ones((2, 1)))
        assert np.isnan(value).all()
        assert np.isnan(pullback(np.ones(2))[0]).all()
    assert np.isnan(overbar.mean(np.ones((2, 0)), axis=1)).all()


def test_the_variance_far_from_zero_keeps_its_digits():
    A = np.array([1e8, 1e8 + 1, 1e8 + 2])
    np.testing.assert_allclose(overbar.var(A), 2 / 3, rtol=1e-15)
    np.testing.assert_allclose(slope(overbar.var, A), [-2 / 3, 0, 2 / 3], rtol=1e-14, atol=1e-15)


def test_bounds_are_differentiated():
    bars = overbar.grad(lambda A, low, high: overbar.sum(overbar.clip(A, low, high)), argnums=(0, 1, 2))(
        np.array([-2.0, 0.0, 3.0, 4.0]), np.array(-1.0), np.array(1.0)
    )
    np.testing.assert_array_equal(bars[0], [0, 1, 0, 0])
    assert bars[1:] == (1, 2)


def test_where_takes_a_condition_of_traced_arrays():
    g = overbar.grad(lambda x: overbar.sum(overbar.where(x > 0, x * x, overbar.sin(x))))
    x = np.array([-1.0, 3.0])
    np.testing.assert_allclose(g(x), [np.cos(-1.0), 6.0])
    chosen_first = overbar.grad(lambda x: overbar.sum(overbar.log(overbar.where(x > 0, x, 1))))(np.array([0.0, 2.0]))
    np.testing.assert_array_equal(chosen_first, [0, 0.5])


# ---------------------------------------------------------------------------------------------------------------------
# einsum

PAIRS = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ba,cb", (2, 3), (4, 2)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("ij,ij->i", (2, 3), (2, 3)),
    ("ij,ij->ji", (2, 3), (2, 3)),
    ("i,j->ji", (2,), (3,)),
    ("bij,bjk->bki", (2, 3, 4), (2, 4, 5)),
    ("ijk,kl->lij", (2, 3, 4), (4, 5)),
    ("ijk,j->i", (2, 3, 4), (3,)),
    ("ijk,klm->m", (2, 3, 4), (4, 5, 2)),
    ("i,->i", (3,), ()),
    (",", (), ()),
    ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)),
    ("...i,i", (2, 3), (3,)),
    ("i...,i...->...", (2, 3), (2, 1)),
    ("ij,jk->ik", (2, 1), (3, 4)),
    ("ij,jk->ik", (2, 0), (0, 4)),
    (" i j , j -> i ", (2, 3), (3,)),
]
SINGLES = [("ij->ji", (2, 3)), ("ij->j", (2, 3)), ("ij->", (2, 3)), ("ba", (2, 3)), ("i...->...", (2, 3, 4))]


@pytest.mark.parametrize(("subscripts", "a", "b"), PAIRS, ids=str)
@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_einsum_of_two(subscripts, a, b, dtype):
    A, B = (_drawn(shape, dtype, seed) for seed, shape in enumerate((a, b)))
    expected = np.einsum(subscripts, A, B)
    value, pullback = overbar.vjp(lambda A, B: overbar.einsum(subscripts, A, B), A, B)
    values_are_same(overbar.einsum(subscripts, A, B), expected)
    values_are_same(value, expected)
    C_bar, dots = _drawn(expected.shape, dtype, 2), [_drawn(a, dtype, 3), _drawn(b, dtype, 4)]
    bars = pullback(C_bar)
    tangent = np.einsum(subscripts, dots[0], B) + np.einsum(subscripts, A, dots[1])
    inner = sum(np.vdot(bar, dot).real for bar, dot in zip(bars, dots, strict=True))
    np.testing.assert_allclose(inner, np.vdot(C_bar, tangent).real, rtol=1e-12, atol=1e-14)
    found = overbar.jvp(lambda A, B: overbar.einsum(subscripts, A, B), (A, B), dots)[1]
    np.testing.assert_allclose(found, tangent, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize(("subscripts", "a"), SINGLES, ids=str)
def test_einsum_of_one(subscripts, a):
    A = _drawn(a, np.float64, 0)
    value, pullback = overbar.vjp(lambda A: overbar.einsum(subscripts, A), A)
    values_are_same(value, np.einsum(subscripts, A))
    C_bar, dot = _drawn(np.shape(value), np.float64, 1), _drawn(a, np.float64, 2)
    np.testing.assert_allclose(np.vdot(pullback(C_bar)[0], dot), np.vdot(C_bar, np.einsum(subscripts, dot)))


def _drawn(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
    return np.asarray(A if dtype is np.complex128 else A.real)


@pytest.mark.parametrize(
    ("args", "error", "message"),
    [
        (("ii->i", A[:3, :3]), ValueError, "index i twice in one array.*overbar.diagonal"),
        (("ij,jk->il", A, B.T), ValueError, "index l in the result, but in no array"),
        (("ij,jk->ii", A, B.T), ValueError, "twice in the result"),
        (("ij,jk,kl->il", A, B.T, A), ValueError, "two at a time"),
        (("ij,jk", A), ValueError, "are for 2 arrays, but there are 1"),
        (("ij,jk->ik", A, B), np.linalg.LinAlgError, r"index j .* is 4 in one place and 3 in another.*\(3, 4\) and"),
        (("ijk,jk->ik", A, B), np.linalg.LinAlgError, r"shape \(3, 4\) does not have the dimensions \"ijk\""),
        (("i1,j->i", A, B), ValueError, "have other signs"),
        ((A, [0, 1]), TypeError, "subscripts first, as text"),
    ],
)
def test_what_einsum_refuses(args, error, message):
    with pytest.raises(error, match=message):
        overbar.einsum(*args)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: overbar.squeeze(A, axis=0), np.linalg.LinAlgError, r"shape \(3, 4\) has size 3 along axis 0"),
        (lambda: overbar.squeeze(A, axis=2), np.linalg.LinAlgError, "no axis 2"),
        (lambda: overbar.expand_dims(A, (0, 0)), ValueError, "names a dimension twice"),
        (lambda: overbar.stack(A), TypeError, "list or tuple of arrays"),
        (lambda: overbar.outer(1.0, A), np.linalg.LinAlgError, "must be vectors"),
        (
            lambda: overbar.softmax(A, axis=2),
            np.linalg.LinAlgError,
            "softmax: argument A has 2 dimensions, and no axis",
        ),
        (lambda: overbar.logsumexp(A, axis=2), np.linalg.LinAlgError, "logsumexp: argument A has 2 dimensions"),
        (lambda: overbar.polygamma(A, n=-1), ValueError, "option n is -1"),
        (lambda: overbar.maximum(Z, 0), TypeError, "maximum: .* one of real numbers"),
        (lambda: overbar.erf(np.arange(3)), TypeError, "dtype int64"),
    ],
)
def test_what_other_functions_refuse(call, error, message):
    with pytest.raises(error, match=message):
        call()
