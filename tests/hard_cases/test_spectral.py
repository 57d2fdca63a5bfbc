"""Functions of a symmetric matrix where its eigenvalues are equal or nearly so, and at extreme scales.

Each batch mixes matrices of all kinds. The truth is that of 200 digits: in these, eigenvalues that are equal may be
parted by 1e-45, and the divided differences of the textbook lose nothing that matters.
"""

import functools
import itertools
import math

import mpmath
import numpy as np
import pytest

import overbar
from overbar import namespace
from overbar.rules._scalars import POWER, Scalar
from overbar.rules._spectral import _Pairs, decomposition, parametric_spectral_derivative, spectral_derivative
from tests.frameworks import tf, tf_ops, torch, torch_ops

MP = mpmath.MPContext()
MP.dps = 200

GAPS = [0, 1e-15, 1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-5, 1e-4, 2e-4, 4e-4, 1e-3, 1e-2]


def _entropy(w):
    return w * namespace(w).log(w)


def _entropy_slope(w):
    return namespace(w).log(w) + 1


ENTROPY = {"f": _entropy, "df": _entropy_slope, "d2f": lambda w: 1 / w}
OSCILLATING = {
    "f": lambda w: namespace(w).cos(8 * w),
    "df": lambda w: -8 * namespace(w).sin(8 * w),
    "d2f": lambda w: -64 * namespace(w).cos(8 * w),
}

# a function, its options, the same in 200 digits, and whether eigenvalues of both signs are in its domain
FUNCTIONS = {
    "sqrtmh": ("sqrtmh", {}, MP.sqrt, False),
    "invsqrtmh": ("invsqrtmh", {}, lambda x: 1 / MP.sqrt(x), False),
    "logmh": ("logmh", {}, MP.log, False),
    "expmh": ("expmh", {}, MP.exp, True),
    "signmh": ("signmh", {}, MP.sign, True),
    "softplusmh": ("softplusmh", {}, lambda x: MP.log(1 + MP.exp(x)), True),
    "powmh 0.3": ("powmh", {"p": 0.3}, lambda x: x ** MP.mpf(0.3), False),
    "powmh -2": ("powmh", {"p": -2}, lambda x: x**-2, True),
    "powmh 3": ("powmh", {"p": 3.0}, lambda x: x**3, True),
    "entropy": ("spectral_function", ENTROPY, lambda x: x * MP.log(x), False),
    "oscillating": ("spectral_function", OSCILLATING, lambda x: MP.cos(8 * x), True),
}


# -- the truth ---------------------------------------------------------------------------------------------------------


def _exact(A):
    number = MP.mpmathify if np.iscomplexobj(A) else lambda x: MP.mpf(float(x))
    out = np.empty(A.shape, dtype=object)
    for index in np.ndindex(A.shape):
        out[index] = number(complex(A[index])) if np.iscomplexobj(A) else number(A[index])
    return out


def _conj(A):
    return np.frompyfunc(MP.conj, 1, 1)(A)


@functools.cache
def _decompose(key, shape, kind):
    A = np.frombuffer(key, kind).reshape(shape)
    matrix = MP.matrix(_exact(A).tolist())
    w, V = MP.eighe(matrix) if np.iscomplexobj(A) else MP.eigsy(matrix)
    scale = max(abs(x) for x in w)
    w = [x + scale * MP.mpf(10) ** -45 * (i + 1) * (i + 2) for i, x in enumerate(w)]
    return w, np.array(V.tolist(), dtype=object).reshape(shape)


def truth(A, E, H, f):
    """f(A), its derivative along E and its second one along E and H."""
    w, V = _decompose(A.tobytes(), A.shape, A.dtype)
    n, E, H = len(w), *(_conj(V).T @ _exact(X) @ V for X in (E, H))

    @functools.cache
    def divided(*k):
        if len(k) == 1:
            return f(w[k[0]])
        if k[0] == k[-1]:
            return MP.diff(f, w[k[0]], len(k) - 1) / math.factorial(len(k) - 1)
        return (divided(*k[1:]) - divided(*k[:-1])) / (w[k[-1]] - w[k[0]])

    first = np.array([[divided(*sorted((i, j))) for j in range(n)] for i in range(n)], dtype=object) * E
    second = np.empty((n, n), dtype=object)
    for i, j in itertools.product(range(n), repeat=2):
        second[i, j] = sum(divided(*sorted((i, k, j))) * (E[i, k] * H[k, j] + H[i, k] * E[k, j]) for k in range(n))
    value = np.diag(np.array([f(x) for x in w], dtype=object))
    return [_float(V @ X @ _conj(V).T, A.dtype) for X in (value, first, second)]


def _float(A, dtype):
    return np.array([complex(x) if dtype.kind == "c" else float(MP.re(x)) for x in A.flat], dtype).reshape(A.shape)


# -- the inputs --------------------------------------------------------------------------------------------------------


def _hermitian(rng, *shape, dtype):
    X = rng.standard_normal((*shape, shape[-1]))
    if dtype == np.complex128:
        X = X + 1j * rng.standard_normal(X.shape)
    return (X + X.conj().swapaxes(-1, -2)) / 2


def _spectra(both_signs):
    s = -1 if both_signs else 1
    for gap in GAPS:
        yield np.array([0.7, 0.7 + gap, s * 1.9, s * 1.9 - gap])  # two pairs
        yield np.array([1.3 - gap, 1.3, 1.3 + gap / 3, s * 0.4])  # three and one
    for gap in (0, 1e-9, 1e-4):
        yield 2.1 + gap * np.arange(4)  # all
    yield np.array([0.4, 1.0, s * 2.2, 3.1])


@functools.cache
def inputs(name, dtype):
    """A batch of matrices, a direction for each, a weight for each; and the truth of each."""
    _, _, f, both_signs = FUNCTIONS[name]
    rng = np.random.default_rng(5)
    matrices = []
    for w in _spectra(both_signs):
        V = np.linalg.qr(_hermitian(rng, 4, dtype=dtype))[0]
        matrices.append((V * w) @ V.conj().T)
    matrices += [np.diag(w).astype(dtype) for w in ([0.7, 0.7, 1.9, 1.9], [1.3, 1.3, 1.3, 1.3])]  # exactly equal
    A = np.stack(matrices)
    A = (A + A.conj().swapaxes(-1, -2)) / 2
    E, H = (_hermitian(rng, len(A), 4, dtype=dtype) for _ in range(2))
    return A, E, H, [np.stack(x) for x in zip(*(truth(*parts, f) for parts in zip(A, E, H, strict=True)), strict=True)]


def _errors(found, expected):
    size = np.abs(expected).max(axis=(-2, -1))
    return np.abs(np.asarray(found) - expected).max(axis=(-2, -1)) / np.where(size == 0, 1, size)


# -- value, first and second derivative --------------------------------------------------------------------------------


def by_torch(function, options, A, E, H):
    """The value, the gradient of Re⟨E, f(A)⟩ and its derivative along H, in reverse over reverse mode."""
    A, E, H = (torch.from_numpy(x) for x in (A, E, H))
    A.requires_grad_()
    C = getattr(torch_ops, function)(A, **options)
    (bar,) = torch.autograd.grad((E.conj() * C).real.sum(), A, create_graph=True)
    (second,) = torch.autograd.grad((H.conj() * bar).real.sum(), A)
    return C.detach(), bar.detach(), second


def by_torch_forward(function, options, A, E, H):
    """The same, forward over forward, mapped over the batch."""
    A, E, H = (torch.from_numpy(x) for x in (A, E, H))

    def f(A):
        return getattr(torch_ops, function)(A, **options)

    def first(A, E):
        return torch.func.jvp(f, (A,), (E,))[1]

    def second(A, E, H):
        return torch.func.jvp(lambda A: first(A, E), (A,), (H,))

    return f(A), *torch.func.vmap(second)(A, E, H)


def by_tensorflow(function, options, A, E, H):
    A, E, H = map(tf.constant, (A, E, H))
    with tf.GradientTape() as outer:
        outer.watch(A)
        with tf.GradientTape() as inner:
            inner.watch(A)
            C = getattr(tf_ops, function)(A, **options)
            z = tf.reduce_sum(tf.math.real(tf.math.conj(E) * C))
        bar = inner.gradient(z, A)
        z = tf.reduce_sum(tf.math.real(tf.math.conj(H) * bar))
    return C, bar, outer.gradient(z, A)


FRONTS = {"torch": by_torch, "torch forward, vmap": by_torch_forward, "tensorflow": by_tensorflow}
CASES = [(name, np.float64) for name in FUNCTIONS] + [(name, np.complex128) for name in ("sqrtmh", "expmh", "signmh")]


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize(("name", "dtype"), CASES, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_equal_and_nearly_equal_eigenvalues(front, name, dtype):
    function, options, *_ = FUNCTIONS[name]
    A, E, H, expected = inputs(name, dtype)
    value, first, second = FRONTS[front](function, options, A, E, H)
    assert _errors(value, expected[0]).max() < 1e-13
    assert _errors(first, expected[1]).max() < 1e-13
    assert _errors(second, expected[2]).max() < 2e-11


@pytest.mark.parametrize(("name", "dtype"), CASES, ids=lambda x: x if isinstance(x, str) else x.__name__)
def test_equal_and_nearly_equal_eigenvalues_in_numpy(name, dtype):
    function, options, *_ = FUNCTIONS[name]
    A, E, _, expected = inputs(name, dtype)
    value, pullback = overbar.vjp(lambda A: getattr(overbar, function)(A, **options), A)
    assert _errors(value, expected[0]).max() < 1e-13
    assert _errors(pullback(E)[0], expected[1]).max() < 1e-13
    _, tangent = overbar.jvp(lambda A: getattr(overbar, function)(A, **options), (A,), (E,))
    assert _errors(tangent, expected[1]).max() < 1e-13


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("name", ["sqrtmh", "expmh", "entropy"])
def test_single_precision(front, name):
    function, options, *_ = FUNCTIONS[name]
    A, E, H, _ = (x if isinstance(x, list) else x.astype(np.float32) for x in inputs(name, np.float64))
    f = FUNCTIONS[name][2]
    some = [0, 4, 9, 12, 15, 18, 21, 24, 26, 28, 29, 31]
    expected = [
        np.stack(x) for x in zip(*(truth(*(X[i].astype(float) for X in (A, E, H)), f) for i in some), strict=True)
    ]
    value, first, second = FRONTS[front](function, options, A[some], E[some], H[some])
    assert np.asarray(second).dtype == np.float32
    assert _errors(value, expected[0]).max() < 5e-6
    assert _errors(first, expected[1]).max() < 5e-6
    assert _errors(second, expected[2]).max() < 3e-4


# f(s A) = sᵖ f(A), so that the k-th derivative at s A is sᵖ⁻ᵏ times that at A; f(−A) = −f(A) or f(A)
HOMOGENEOUS = {"sqrtmh": 0.5, "powmh 0.3": 0.3, "signmh": 0.0, "invsqrtmh": -0.5}


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("exponent", [-498, -200, 200, 498])  # of 2: up to 1e-150 and 1e150
@pytest.mark.parametrize("name", HOMOGENEOUS)
def test_extreme_scales(front, exponent, name):
    function, options, *_ = FUNCTIONS[name]
    A, E, H, (value, first, second) = inputs(name, np.float64)
    p, s = HOMOGENEOUS[name], 2.0**exponent
    found = FRONTS[front](function, options, s * A, E, s * H)  # the second derivative at s A along s H
    assert _errors(found[0] / s**p, value).max() < 1e-13
    assert _errors(found[1] / s ** (p - 1), first).max() < 1e-13
    assert _errors(found[2] / s ** (p - 1), second).max() < 2e-11


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("exponent", [-450, 498])
def test_logarithm_at_extreme_scales(front, exponent):
    A, E, H, (value, first, second) = inputs("logmh", np.float64)
    s = 2.0**exponent
    found = FRONTS[front]("logmh", {}, s * A, E, s * H)
    assert _errors(found[0], value + math.log(s) * np.eye(4)).max() < 1e-13
    assert _errors(found[1] * s, first).max() < 1e-13
    assert _errors(found[2] * s, second).max() < 2e-11


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("n", [1, 2, 3, 7, 33])
@pytest.mark.parametrize("function", ["sqrtmh", "softplusmh"])
def test_two_eigenvalues_one_of_them_simple(front, n, function):
    """A = 2 I + u uᵀ/n with uᵢ = ±1 has the eigenvalues 3, once, and 2, and its derivatives have closed forms in
    the two projections onto their spaces."""
    rng = np.random.default_rng(n)
    u = rng.choice([-1.0, 1.0], n)
    one = np.outer(u, u) / n
    P = {2.0: np.eye(n) - one, 3.0: one}
    A, E, H = 2 * np.eye(n) + one, *(_hermitian(rng, n, dtype=np.float64) for _ in range(2))
    f = {"sqrtmh": MP.sqrt, "softplusmh": lambda x: MP.log(1 + MP.exp(x))}[function]

    @functools.cache
    def divided(*k):
        if k[0] == k[-1]:
            return MP.diff(f, k[0], len(k) - 1) / math.factorial(len(k) - 1)
        return (divided(*k[1:]) - divided(*k[:-1])) / (MP.mpf(k[-1]) - k[0])

    def D(*k):
        return float(divided(*sorted(k)))

    expected = [
        sum(D(a) * P[a] for a in P),
        sum(D(a, b) * P[a] @ E @ P[b] for a in P for b in P),
        sum(D(a, b, c) * P[a] @ (E @ P[b] @ H + H @ P[b] @ E) @ P[c] for a in P for b in P for c in P),
    ]
    for found, value in zip(FRONTS[front](function, {}, A[None], E[None], H[None]), expected, strict=True):
        assert _errors(found, value[None]).max() < 1e-13


@pytest.mark.parametrize("order", [2, 3])
def test_kinds_of_gaps_that_there_are_not_cost_no_products(order):
    """And change no number: beside a matrix that has all kinds, each has the derivative that it has alone."""
    of = Scalar(lambda k: np.exp)
    rng = np.random.default_rng(3)
    V = np.linalg.qr(rng.standard_normal((3, 4, 4)))[0]
    w = np.array([[1.0, 1.5, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.01, 3.0]])
    A, E = (V * w[:, None, :]) @ V.swapaxes(-1, -2), rng.standard_normal((3, order, 4, 4))
    together = spectral_derivative(A, E, w, V, of=of)
    for i, count in enumerate([1, 0, 2]):
        assert len(_Pairs(w[i], V[i], of).order(order)[0]) == count
        np.testing.assert_allclose(spectral_derivative(A[i], E[i], w[i], V[i], of=of), together[i], rtol=1e-13)


@pytest.mark.filterwarnings("ignore")  # that a trace is not what PyTorch recommends
def test_a_trace_keeps_no_kinds_of_gaps():
    rng = np.random.default_rng(4)
    V, W = np.linalg.qr(rng.standard_normal((4, 4)))[0], torch.tensor(rng.standard_normal((4, 4)))
    wide, close = (torch.tensor((V * w) @ V.T) for w in ([1.0, 2.0, 3.0, 4.0], [1.0, 1.02, 3.0, 3.0]))

    def second(A):
        A = A.detach().requires_grad_()
        (A_bar,) = torch.autograd.grad((W * torch_ops.logmh(A)).sum(), A, create_graph=True)
        return torch.autograd.grad((W * A_bar).sum(), A)[0]

    traced = torch.jit.trace(second, wide, check_trace=False)
    torch.testing.assert_close(traced(close), second(close), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize(("order", "tolerance"), [(1, 1e-13), (2, 1e-11), (3, 1e-8), (4, 1e-5)])
def test_the_inverse_to_fourth_order(order, tolerance):
    """D⁽ᵏ⁾ of the inverse X = A⁻¹ is (−1)ᵏ times the sum of X E₁ X E₂ X ... over all orders of the Eᵣ. Beyond the
    second order digits are lost at gaps of 1e-3 or so, as the documentation says, and at these only."""
    rng = np.random.default_rng(8)
    p = np.array([-1.0])
    for gap in (0, 1e-12, 1e-8, 1e-6, 1e-4, 1e-3, 1e-2, 1e-1):
        V = np.linalg.qr(rng.standard_normal((5, 5)))[0]
        A = (V * np.array([0.7, 0.7 + gap, 0.7 - gap, 1.9, -1.9])) @ V.T
        A = (A + A.T) / 2
        X, E = np.linalg.inv(A), _hermitian(rng, order, 5, dtype=np.float64)
        exact = 0
        for turn in itertools.permutations(range(order)):
            exact = exact + (-1) ** order * functools.reduce(lambda C, r, E=E, X=X: C @ E[r] @ X, turn, X)
        w, V = decomposition(A, POWER, p)
        error = _errors(parametric_spectral_derivative.function(A, E, w, V, p, of=POWER), exact)
        assert error < (1e-12 if gap < 1e-5 else tolerance)


# -- eigenvalues on both sides of a point where f is even, and where its slope is zero ---------------------------------


def _of_numbers(*derivatives):
    return dict(zip(("f", "df", "d2f", "d3f"), derivatives, strict=False))


def _cos(w):
    return namespace(w).cos(w)


def _sin(w):
    return namespace(w).sin(w)


HYPERBOLA = _of_numbers(
    lambda w: (w * w + 0.25) ** 0.5, lambda w: w * (w * w + 0.25) ** -0.5, lambda w: 0.25 * (w * w + 0.25) ** -1.5
)
ABSOLUTE = _of_numbers(lambda w: abs(w), lambda w: namespace(w).sign(w), lambda w: 0 * w)
RATIONAL = _of_numbers(
    lambda w: 1 / (4 + w * w), lambda w: -2 * w / (4 + w * w) ** 2, lambda w: (6 * w * w - 8) / (4 + w * w) ** 3
)

# a function, its options, the same in 200 digits
EVEN = {
    "softplusmh": FUNCTIONS["softplusmh"][:3],  # w/2 and an even function
    "powmh 6": ("powmh", {"p": 6.0}, lambda x: x**6),
    "hyperbola": ("spectral_function", HYPERBOLA, lambda x: MP.sqrt(x * x + MP.mpf(0.25))),
    "absolute": ("spectral_function", ABSOLUTE, abs),
    "rational": ("spectral_function", RATIONAL, lambda x: 1 / (4 + x * x)),
    "oscillating": FUNCTIONS["oscillating"][:3],
    "cosine": ("spectral_function", _of_numbers(_cos, lambda w: -_sin(w), lambda w: -_cos(w)), MP.cos),
}
SYMMETRIC = [
    [-30, -15, 15, 30],
    [-3, -2, 1, 2],
    [-1, -0.5, 0.5, 1],
    [-2, -1, 1, 2],
    [-10, -1, 1, 3],
    [-5, -5, 5, 5],
    [-0.1, 0.1, 0.7, 2],
]


@functools.cache
def _symmetric(name, dtype):
    """Matrices with these eigenvalues, in their own basis and in another, two directions, and the truth."""
    rng = np.random.default_rng(6)
    matrices = [np.diag(np.array(w, dtype)) for w in SYMMETRIC]
    V = np.linalg.qr(_hermitian(rng, 4, dtype=dtype))[0]
    matrices += [(V * w) @ V.conj().T for w in SYMMETRIC]
    A = np.stack(matrices)
    A = (A + A.conj().swapaxes(-1, -2)) / 2
    E, H = (_hermitian(rng, len(A), 4, dtype=dtype) for _ in range(2))
    return A, E, H, np.stack([truth(*parts, EVEN[name][2])[2] for parts in zip(A, E, H, strict=True)])


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("name", EVEN)
def test_eigenvalues_on_both_sides_of_a_point_of_symmetry(front, name):
    """A third difference of an even function between −a and a is zero: it says nothing of how near these are."""
    A, E, H, expected = _symmetric(name, np.float64)
    second = FRONTS[front](*EVEN[name][:2], A, E, H)[2]
    assert _errors(second, expected).max() < 2e-11


@pytest.mark.parametrize("dtype", [np.float32, np.complex128], ids=lambda x: x.__name__)
@pytest.mark.parametrize("name", ["softplusmh", "hyperbola"])
def test_eigenvalues_on_both_sides_of_a_point_of_symmetry_in_other_dtypes(name, dtype):
    wide = np.complex128 if dtype == np.complex128 else np.float64
    A, E, H, expected = _symmetric(name, wide)
    second = by_torch(*EVEN[name][:2], *(x.astype(dtype) for x in (A, E, H)))[2]
    assert _errors(second, expected).max() < (2e-11 if dtype == np.complex128 else 1e-4)


@pytest.mark.parametrize("modes", list(itertools.product("rf", repeat=2)), ids="".join)
@pytest.mark.parametrize("s", [0.5, 1.0, 3.0, 30.0])
def test_the_gap_between_two_eigenvalues_of_opposite_sign(modes, s):
    """f(diag(−s, s) + t X) with X = [[0, 1], [1, 0]] has the eigenvalues ±√(s² + t²), so that the second derivative of
    its trace at t = 0 is (f′(s) − f′(−s))/s."""
    A = torch.diag(torch.tensor([-s, s], dtype=torch.float64))
    X = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64)
    outer, inner = ({"r": torch.func.jacrev, "f": torch.func.jacfwd}[mode] for mode in modes)
    for function, options, expected in [
        ("softplusmh", {}, math.tanh(s / 2) / s),
        ("spectral_function", ABSOLUTE, 2 / s),
        ("spectral_function", HYPERBOLA, 2 / math.sqrt(s * s + 0.25)),
    ]:
        f = getattr(torch_ops, function)
        second = outer(inner(lambda t, f=f, options=options: f(A + t * X, **options).trace()))(
            torch.tensor(0.0, dtype=torch.float64)
        )
        assert abs(second.item() / expected - 1) < 1e-12


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("name", ["cosine at π", "w − sin w", "w³", "w⁵", "powmh 3", "powmh 4", "powmh 5"])
def test_equal_eigenvalues_where_the_slope_is_zero(front, name):
    """Rounding parts them by 1e-17 or so. Slopes between them are as small, and tell nothing of the rounding in the
    slopes towards other eigenvalues, which must not be divided by that gap."""
    function, options, f, zero = {
        "cosine at π": (*EVEN["cosine"], math.pi),
        "w − sin w": (
            "spectral_function",
            _of_numbers(lambda w: w - _sin(w), lambda w: 1 - _cos(w), _sin),
            lambda x: x - MP.sin(x),
            0.0,
        ),
        "w³": ("spectral_function", _of_numbers(lambda w: w**3, lambda w: 3 * w**2, lambda w: 6 * w), _cube, 0.0),
        "w⁵": (
            "spectral_function",
            _of_numbers(lambda w: w**5, lambda w: 5 * w**4, lambda w: 20 * w**3),
            lambda x: x**5,
            0.0,
        ),
        "powmh 3": ("powmh", {"p": 3.0}, _cube, 0.0),
        "powmh 4": ("powmh", {"p": 4.0}, lambda x: x**4, 0.0),
        "powmh 5": ("powmh", {"p": 5.0}, lambda x: x**5, 0.0),
    }[name]
    rng, matrices = np.random.default_rng(7), []
    for w in ([0, 0, 1, 2], [0, 0, 0, 1.5], [1e-17, -1e-17, 1, 2], [1e-12, -2e-12, 1, -1], [1e-5, -1e-5, 1e-4, 1]):
        V = np.linalg.qr(_hermitian(rng, 4, dtype=np.float64))[0]
        matrices += [(V * (zero + np.array(w))) @ V.T, np.diag(zero + np.array(w))]
    A = np.stack(matrices)
    A = (A + A.swapaxes(-1, -2)) / 2
    E, H = (_hermitian(rng, len(A), 4, dtype=np.float64) for _ in range(2))
    expected = np.stack([truth(*parts, f)[2] for parts in zip(A, E, H, strict=True)])
    assert _errors(FRONTS[front](function, options, A, E, H)[2], expected).max() < 2e-11


def _cube(x):
    return x**3


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("p", [3, 4, 5, 6])
def test_whole_powers_to_third_order(p, order):
    """The derivative of A^p is the sum of all words of p letters with every direction once and A else."""
    rng, p_array = np.random.default_rng(9), np.array([float(p)])
    for w in ([0, 0, 1, 2], [0, 0, 0, 1], [-1, -0.5, 0.5, 1], [-2, -2, 2, 2], [1e-9, -1e-9, 1, -3]):
        V = np.linalg.qr(rng.standard_normal((4, 4)))[0]
        A = (V * np.array(w)) @ V.T
        A = (A + A.T) / 2
        E, exact = _hermitian(rng, order, 4, dtype=np.float64), 0
        for places in itertools.permutations(range(p), order):
            letters = [A] * p
            for r, place in enumerate(places):
                letters[place] = E[r]
            exact = exact + functools.reduce(np.matmul, letters)
        values, V = decomposition(A, POWER, p_array)
        found = parametric_spectral_derivative.function(A, E, values, V, p_array, of=POWER)
        assert _errors(found, exact) < (1e-12 if order == 2 else 1e-9)


def test_the_third_derivative_on_both_sides_of_a_point_of_symmetry():
    """Of Fermi's function, 1/2 and an odd one: its third derivative is even."""
    fermi = Scalar(
        lambda k: (
            lambda w: 1 / (1 + np.exp(w)),
            lambda w: -0.25 / np.cosh(w / 2) ** 2,
            lambda w: 0.25 * np.tanh(w / 2) / np.cosh(w / 2) ** 2,
            lambda w: 0.125 * (1 - 3 * np.tanh(w / 2) ** 2) / np.cosh(w / 2) ** 2,
        )[k]
    )
    f, rng = (lambda x: 1 / (1 + MP.exp(x))), np.random.default_rng(12)

    def divided(*k):
        return f(k[0]) if len(k) == 1 else (divided(*k[1:]) - divided(*k[:-1])) / (k[-1] - k[0])

    for w in ([-0.05, 0.05, 1], [-0.4, 0.4, -0.4], [-2, 2, 0.3], [-2, -1, 1]):
        w = np.sort(np.array(w, float))
        exact, E = np.zeros((3, 3)), _hermitian(rng, 3, 3, dtype=np.float64)
        for k in itertools.product(range(3), repeat=4):
            # equal ones are parted by 1e-40, which changes none of the digits that are compared
            value = float(divided(*(w[i] + MP.mpf(10) ** -40 * r for r, i in enumerate(k))))
            exact[k[0], k[3]] += value * sum(
                E[a, k[0], k[1]] * E[b, k[1], k[2]] * E[c, k[2], k[3]] for a, b, c in itertools.permutations(range(3))
            )
        found = spectral_derivative.function(np.diag(w), E, w, np.eye(3), of=fermi)
        assert _errors(found, exact) < 1e-9


@pytest.mark.parametrize("front", [*FRONTS, "numpy"])
def test_a_function_with_less_digits_than_its_values_tell(front):
    """w − sin w has the rounding of w, and its derivative that of 1. Divided by the gap of equal eigenvalues, which are
    not equal by rounding, that is as large as anything."""
    options = _of_numbers(lambda w: w - _sin(w), lambda w: 1 - _cos(w), _sin)
    rng, matrices, w = np.random.default_rng(13), [], 0.0137717
    for gap in (2.0**-59, 2.0**-57, 1e-15, 1e-13, 1e-11, 5e-11):
        matrices += [np.diag([w, w + gap, 1.0, 2.0]), np.diag([w, w + gap, w - gap, w + 2 * gap])]
    A = np.stack(matrices)
    E, H = (_hermitian(rng, len(A), 4, dtype=np.float64) for _ in range(2))
    expected = [truth(*parts, lambda x: x - MP.sin(x)) for parts in zip(A, E, H, strict=True)]
    _, first, second = map(np.stack, zip(*expected, strict=True))
    if front == "numpy":
        _, tangent = overbar.jvp(lambda A: overbar.spectral_function(A, **options), (A,), (E,))
        assert _errors(tangent, first).max() < 1e-11
        return
    _, found, found_second = FRONTS[front]("spectral_function", options, A, E, H)
    assert _errors(found, first).max() < 1e-11
    assert _errors(found_second, second).max() < 1e-11


def test_small_eigenvalues_close_to_each_other_beside_large_ones():
    """The gap to a large one divides first: the slope towards it is 1e12 times the slopes between small ones."""
    w = np.array([1e-8, 1.001e-8, 1.7e-8, 1.0, 1.0003])
    rng, A = np.random.default_rng(10), np.diag(w)
    E, H = (_hermitian(rng, 5, dtype=np.float64) for _ in range(2))
    p = np.array([2.5])
    found = parametric_spectral_derivative.function(A, np.stack([E, H]), w, np.eye(5), p, of=POWER)
    assert _errors(found, truth(A, E, H, lambda x: x ** MP.mpf(2.5))[2]) < 2e-11


# -- where there is no derivative, and what is refused -----------------------------------------------------------------


def _gradient(front, function, options, A):
    """The value and the gradient of its sum, by a front."""
    with np.errstate(all="ignore"):
        if front == "numpy":
            value, pullback = overbar.vjp(lambda A: getattr(overbar, function)(A, **options), A)
            return value, pullback(np.ones_like(A))[0]
        if front == "torch":
            X = torch.from_numpy(A).requires_grad_()
            value = getattr(torch_ops, function)(X, **options)
            return value.detach().numpy(), torch.autograd.grad(value.sum(), X)[0].numpy()
        X = tf.constant(A)
        with tf.GradientTape() as tape:
            tape.watch(X)
            value = getattr(tf_ops, function)(X, **options)
        return value.numpy(), tape.gradient(value, X).numpy()


ALL = ["numpy", "torch", "tensorflow"]


@pytest.mark.parametrize("front", ALL)
def test_a_singular_matrix_has_a_root_without_a_derivative(front):
    value, gradient = _gradient(front, "sqrtmh", {}, np.diag([4.0, 1.0, 0.0]))
    np.testing.assert_allclose(value, np.diag([2.0, 1.0, 0.0]), atol=1e-15)
    assert not np.isfinite(gradient).any()


@pytest.mark.parametrize("front", ALL)
def test_negative_by_rounding_is_zero(front):
    value, gradient = _gradient(front, "sqrtmh", {}, np.diag([4.0, 1.0, -2e-16]))
    np.testing.assert_allclose(value, np.diag([2.0, 1.0, 0.0]), atol=1e-15)
    assert not np.isfinite(gradient).any()


@pytest.mark.parametrize("front", ALL)
@pytest.mark.parametrize(
    ("function", "options"), [("sqrtmh", {}), ("invsqrtmh", {}), ("logmh", {}), ("powmh", {"p": 0.5})]
)
def test_negative_indeed_is_nan(front, function, options):
    value, gradient = _gradient(front, function, options, np.diag([4.0, 1.0, -1e-8]))
    assert np.isnan(value).all()
    assert np.isnan(gradient).all()


@pytest.mark.parametrize("front", ALL)
@pytest.mark.parametrize(
    ("function", "options"), [("invsqrtmh", {}), ("logmh", {}), ("powmh", {"p": -1}), ("signmh", {})]
)
def test_no_derivative_at_zero_eigenvalues(front, function, options):
    value, gradient = _gradient(front, function, options, np.diag([4.0, 0.0, 0.0]))
    assert function == "signmh" or not np.isfinite(value).all()
    assert not np.isfinite(gradient).any()


@pytest.mark.parametrize("front", ALL)
def test_an_integer_power_of_a_singular_matrix(front):
    value, gradient = _gradient(front, "powmh", {"p": 2}, np.diag([4.0, 0.0, -3.0]))
    np.testing.assert_allclose(value, np.diag([16.0, 0.0, 9.0]), atol=1e-14)
    np.testing.assert_allclose(gradient, [[8, 4, 1], [4, 0, -3], [1, -3, -6]], atol=1e-14)  # A 1 + 1 A


@pytest.mark.parametrize("front", ALL)
def test_only_the_lower_triangle_is_read(front):
    A = np.array([[2.0, np.nan], [0.5, 1.0]])
    B = np.array([[2.0, 0.5], [0.5, 1.0]])
    for found, expected in zip(_gradient(front, "expmh", {}, A), _gradient(front, "expmh", {}, B), strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("front", FRONTS)
def test_a_derivative_of_f_that_is_missing_is_asked_for_by_name(front):
    A, E, H, _ = inputs("entropy", np.float64)
    options = {"f": _entropy, "df": _entropy_slope}
    with pytest.raises(ValueError, match=r"Give d2f="):
        FRONTS[front]("spectral_function", options, A, E, H)


@pytest.mark.parametrize("front", ALL)
def test_what_is_refused(front):
    with pytest.raises(ValueError, match=r"f returned complex numbers"):
        _gradient(front, "spectral_function", {"f": lambda w: _complex(w), "df": lambda w: w}, np.eye(2))
    with pytest.raises(TypeError, match=r"argument p must be real"):
        _gradient(front, "powmh", {"p": 1j}, np.eye(2))


def _complex(w):
    if isinstance(w, tf.Tensor):
        return tf.cast(w, tf.complex128)
    return w * 1j


def test_a_constant_derivative_may_be_a_number():
    options = {"f": lambda w: 3 * w, "df": lambda w: 3.0}
    for front in ALL:
        np.testing.assert_allclose(_gradient(front, "spectral_function", options, np.eye(2))[1], 3 * np.ones((2, 2)))


# -- parameters that are learned ---------------------------------------------------------------------------------------


def _scaled_sine(w, a, b):
    return a * namespace(w).sin(b * w)


SCALED_SINE = {
    "f": _scaled_sine,
    "df": lambda w, a, b: a * b * namespace(w).cos(b * w),
    "d2f": lambda w, a, b: -a * b * b * namespace(w).sin(b * w),
    "dargs": (
        (lambda w, a, b: namespace(w).sin(b * w), lambda w, a, b: b * namespace(w).cos(b * w)),
        (
            lambda w, a, b: a * w * namespace(w).cos(b * w),
            lambda w, a, b: a * namespace(w).cos(b * w) - a * b * w * namespace(w).sin(b * w),
        ),
    ),
}


def _parametric(name, A, theta, W, library):
    """The loss ⟨W, f(A; θ)⟩ through the op of a library."""
    if name == "powmh":
        return (
            (library.powmh(A, theta[..., 0]) * W).sum()
            if library is not tf_ops
            else tf.reduce_sum(library.powmh(A, theta[..., 0]) * W)
        )
    C = library.spectral_function(A, theta, **SCALED_SINE)
    return tf.reduce_sum(C * W) if library is tf_ops else (C * W).sum()


@pytest.mark.parametrize("name", ["powmh", "spectral_function"])
@pytest.mark.parametrize("gap", [0.0, 1e-9, 1e-3])
def test_parameters_of_a_function_have_derivatives(name, gap):
    """One for each matrix, in all three; against Re tr(Wᵀ V (∂f/∂θ)(w) Vᵀ), at equal and near eigenvalues."""
    rng = np.random.default_rng(3)
    V = np.linalg.qr(rng.standard_normal((2, 4, 4)))[0]
    w = np.array([[0.8, 0.8 + gap, 1.5, 2.5], [1.1, 1.1 + gap, 1.1 - gap, 0.6]])
    A = (V * w[:, None, :]) @ V.mT
    A = (A + A.mT) / 2
    W, theta = rng.standard_normal((2, 4, 4)), np.array([[0.7, 1.3], [-0.4, 2.1]])
    d = np.einsum("bik,bij,bjk->bk", V, W, V)
    if name == "powmh":
        expected = np.stack([(d * w ** theta[:, :1] * np.log(w)).sum(-1), np.zeros(2)], -1)
    else:
        a, b = theta[:, :1], theta[:, 1:]
        expected = np.stack([(d * np.sin(b * w)).sum(-1), (d * a * w * np.cos(b * w)).sum(-1)], -1)

    _, pullback = overbar.vjp(lambda A, t: _parametric(name, A, t, W, overbar), A, theta)
    np.testing.assert_allclose(pullback(1.0)[1], expected, rtol=0, atol=1e-12)

    t = torch.tensor(theta, requires_grad=True)
    _parametric(name, torch.tensor(A), t, torch.tensor(W), torch_ops).backward()
    np.testing.assert_allclose(t.grad, expected, rtol=0, atol=1e-12)

    t = tf.Variable(theta)
    with tf.GradientTape() as tape:
        loss = _parametric(name, tf.constant(A), t, tf.constant(W), tf_ops)
    np.testing.assert_allclose(tape.gradient(loss, t), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", ["powmh", "spectral_function"])
def test_second_derivatives_by_matrix_and_parameter_are_mixed_ones(name):
    """By A and θ in either order, forward and reverse; the exponent's own second derivative, too."""
    rng = np.random.default_rng(4)
    B = rng.standard_normal((3, 3))
    A, theta = torch.tensor(B @ B.T + np.eye(3)), torch.tensor([0.7, 1.3], dtype=torch.float64)
    W = torch.tensor(rng.standard_normal((3, 3)))

    def loss(A, t):
        return _parametric(name, A, t, W, torch_ops)

    by_A = torch.func.jacrev(torch.func.grad(loss, 1), 0)(A, theta)
    by_theta = torch.func.jacfwd(torch.func.grad(loss, 0), 1)(A, theta)
    torch.testing.assert_close(by_A, by_theta.movedim(-1, 0), rtol=0, atol=1e-12)
    step = 1e-5
    for i in range(2):
        e = step * torch.eye(2, dtype=torch.float64)[i]
        difference = (torch.func.grad(loss)(A, theta + e) - torch.func.grad(loss)(A, theta - e)) / (2 * step)
        torch.testing.assert_close(by_A[i], difference, rtol=0, atol=1e-8)
    if name == "powmh":
        e = step * torch.eye(2, dtype=torch.float64)[0]
        second = torch.func.hessian(loss, 1)(A, theta)[0, 0]
        slopes = [torch.func.grad(loss, 1)(A, theta + s * e)[0] for s in (1, -1)]
        torch.testing.assert_close(second, (slopes[0] - slopes[1]) / (2 * step), rtol=0, atol=1e-8)
    else:
        with pytest.raises(ValueError, match="a second derivative with respect to args needs those of f: d2args="):
            torch.func.hessian(loss, 1)(A, theta)


@pytest.mark.parametrize("front", ALL)
def test_no_derivative_by_the_exponent_at_negative_eigenvalues(front):
    """f is not defined beside a whole exponent there. The matrix has its derivative."""
    A = np.diag([2.0, -1.0])
    if front == "numpy":
        _, pullback = overbar.vjp(overbar.powmh, A, 3.0)
        A_bar, p_bar = pullback(np.eye(2))
    elif front == "torch":
        A_bar, p_bar = torch.func.grad(lambda A, p: torch_ops.powmh(A, p).trace(), (0, 1))(
            torch.tensor(A), torch.tensor(3.0, dtype=torch.float64)
        )
    else:
        A, p = tf.constant(A), tf.constant(3.0, tf.float64)
        with tf.GradientTape() as tape:
            tape.watch([A, p])
            loss = tf.linalg.trace(tf_ops.powmh(A, p))
        A_bar, p_bar = tape.gradient(loss, [A, p])
    np.testing.assert_allclose(A_bar, np.diag([12.0, 3.0]), atol=1e-14)
    assert np.isnan(float(p_bar))


class _Scale:
    """f as an object with a parameter among its attributes."""

    def __init__(self, c):
        self.c = c

    def __call__(self, w):
        return self.c * w


_SHARED = None  # a tensor, in the tests below


def _by_global(w):
    return _SHARED * w


LEARNED = {
    "closure": lambda c: lambda w: c * w,
    "default": lambda c: lambda w, c=c: c * w,
    "partial": lambda c: functools.partial(lambda c, w: c * w, c),
    "global": lambda c: _by_global,
    "attribute": lambda c: _Scale(c),
}


def _loss_with(which, function, A):
    options = {"f": lambda w: 2 * w, "df": lambda w: 2.0 + 0 * w} | {which: function}
    return torch_ops.spectral_function(A, **options).sum()


@pytest.mark.parametrize("way", LEARNED)
@pytest.mark.parametrize("which", ["f", "df"])
def test_a_parameter_that_no_rule_sees_is_refused(way, which, monkeypatch):
    """What a function among the options takes from elsewhere has no bar: silence would be a gradient of zero."""
    A = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64, requires_grad=True)
    c = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    monkeypatch.setitem(globals(), "_SHARED", c)
    with pytest.raises(TypeError, match=rf"the option {which} is differentiated with respect to the eigenvalues only"):
        _loss_with(which, LEARNED[way](c), A).backward()


@pytest.mark.parametrize("which", ["f", "df"])
def test_a_parameter_that_no_rule_sees_is_refused_by_the_sweeps(which):
    """With its cause: not as a function of another library."""
    A = np.array([[2.0, 0.5], [0.5, 1.0]])

    def loss(c):
        options = {"f": lambda w: 2 * w, "df": lambda w: 2.0 + 0 * w} | {which: lambda w: c * w}
        return overbar.sum(overbar.spectral_function(c * A, **options))

    message = rf"the option {which} is differentiated with respect to the eigenvalues only.* args="
    for differentiate in (overbar.grad(loss), lambda c: overbar.jvp(loss, (c,), (1.0,))):
        with pytest.raises(TypeError, match=message):
            differentiate(2.0)


def test_a_parameter_that_no_rule_sees_is_a_constant_where_nobody_differentiates():
    c = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    A = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    f = functools.partial(torch_ops.spectral_function, f=lambda w: c * w, df=lambda w: c + 0 * w)
    with torch.no_grad():
        torch.testing.assert_close(f(A), 2 * A)
        torch.testing.assert_close(f(A.clone().requires_grad_()), 2 * A)
    # A primitive around it is recorded by autograd, which is off in there and says nothing of the user.
    around = overbar.primitive("(n,n)->(n,n)")(lambda A: overbar.spectral_function(A, **f.keywords))
    around.vjp(lambda C_bar, C, A: (lambda: C_bar,))
    with pytest.raises(TypeError, match="with respect to the eigenvalues only"):
        around(A.clone().requires_grad_())


def _times(w, c):
    return c * w


WRONG_TABLES = {
    "dargs, a function": ({"dargs": _times}, r"dargs is a function\. .*dargs=\["),
    "dargs, a number": ({"dargs": 3}, r"dargs is 3\. .*dargs=\["),
    "d2args, a function": ({"d2args": _times}, r"d2args is a function\. .*d2args=\[\["),
    "d2args, of functions": ({"d2args": [_times]}, r"d2args\[0\] is a function\. .*d2args=\[\["),
    "df, a number": ({"df": 3}, r"the option df is 3\. It must be a function"),
    "f, nothing": ({"f": None}, r"the option f is None\. It must be a function"),
}


@pytest.mark.parametrize("case", WRONG_TABLES)
@pytest.mark.parametrize("front", ALL)
def test_derivatives_that_are_no_functions_are_named(front, case):
    changes, message = WRONG_TABLES[case]
    right = {"f": _times, "df": lambda w, c: c + 0 * w, "dargs": [lambda w, c: w + 0 * c]}
    c = {"numpy": np.array, "torch": torch.tensor, "tensorflow": tf.constant}[front]([0.7])
    with pytest.raises(TypeError, match=f"spectral_function: {message}"):
        _gradient(front, "spectral_function", {"args": c, **right, **changes}, np.eye(2, dtype=np.float32))


def test_derivatives_by_parameters_that_are_none_are_named():
    def loss(c, dargs):
        options = {"f": _times, "df": lambda w, c: c + 0 * w, "dargs": dargs, "d2args": []}
        return overbar.sum(overbar.spectral_function(np.eye(2), c, **options))

    with pytest.raises(TypeError, match=r"the option dargs\[0\] is 3\. It must be a function"):
        overbar.grad(loss)(np.array([0.7]), [3])
    with pytest.raises(ValueError, match="more parameters than d2args, which has 0"):
        overbar.hessian(loss)(np.array([0.7]), [lambda w, c: w + 0 * c])


@pytest.mark.parametrize("way", [way for way in LEARNED if way != "global"])
@pytest.mark.parametrize("transform", ["grad", "jvp", "vmap", "dual numbers"])
def test_a_parameter_that_no_rule_sees_is_refused_under_transforms(way, transform):
    A, c = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)

    def loss(c):
        return _loss_with("f", LEARNED[way](c), A)

    def by_dual_numbers():
        with torch.autograd.forward_ad.dual_level():
            loss(torch.autograd.forward_ad.make_dual(c, c))

    run = {
        "grad": lambda: torch.func.grad(loss)(c),
        "jvp": lambda: torch.func.jvp(loss, (c,), (c,)),
        "vmap": lambda: torch.func.vmap(loss)(torch.stack([c, c])),
        "dual numbers": by_dual_numbers,
    }[transform]
    with pytest.raises(TypeError, match=r"the option f is differentiated with respect to (its arguments|the eigenval)"):
        run()


def test_a_constant_beside_a_graph_is_no_parameter():
    """A tensor without a derivative, and one behind detach, are constants."""
    A = torch.eye(2, dtype=torch.float64, requires_grad=True)
    c = torch.tensor(2.0, dtype=torch.float64, requires_grad=True).detach()
    torch_ops.spectral_function(A, f=lambda w: c * w, df=lambda w: c + 0 * w).sum().backward()
    torch.testing.assert_close(A.grad, 2 * torch.ones(2, 2, dtype=torch.float64))


@pytest.mark.parametrize("p", [math.nan, math.inf, True, 1 + 2j])
@pytest.mark.parametrize("front", ALL)
def test_exponents_that_are_none(front, p):
    with pytest.raises(
        (ValueError, TypeError), match=r"powmh: argument p (must be real|is (nan|inf)\. It must be finite)"
    ):
        _gradient(front, "powmh", {"p": p}, np.eye(2))


def test_no_parameters_with_batch_dimensions():
    """An empty vector for each matrix says that there are three matrices, as vmap over it does."""
    A, none = torch.eye(2, dtype=torch.float64), torch.zeros(3, 0, dtype=torch.float64)
    f = functools.partial(torch_ops.spectral_function, f=lambda w: 2 * w, df=lambda w: 2.0)
    expected = 2 * A.expand(3, 2, 2)
    torch.testing.assert_close(f(A, none), expected)
    torch.testing.assert_close(torch.func.vmap(lambda args: f(A, args))(none), expected)
    A_bar, args_bar = torch.func.grad(lambda A, args: f(A, args).sum(), (0, 1))(A, none)
    torch.testing.assert_close(A_bar, torch.full((2, 2), 6.0, dtype=torch.float64))
    assert args_bar.shape == (3, 0)
