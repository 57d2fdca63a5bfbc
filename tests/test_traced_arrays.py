"""A traced array behaves as NumPy's, or raises in words that name the remedy. May import `overbar`."""

import numpy as np
import pytest
from scipy import special

import overbar
from overbar._traced import Traced

RNG = np.random.default_rng(0)
A = RNG.standard_normal((3, 3)) + 3 * np.eye(3)
SPD = A @ A.T
B = RNG.standard_normal((3, 3))
V, W = np.array([0.5, -1.2, 2.0]), np.array([1.5, 0.3, -0.7])
STACK, WEIGHTS = RNG.standard_normal((2, 3, 4)), RNG.standard_normal((4, 2))
NUMBER = np.array(0.8)
MASK = np.array([True, False, True])

#: What NumPy does with an array, and where; the value is the same, and the derivative that of it (of the third entry,
#: where it jumps at this very place).
SAME = {
    "T of a matrix": (lambda x: x.T, A),
    "T of a vector": (lambda x: x.T @ A @ x, V),
    "T of three dimensions": (lambda x: x.T, STACK),
    "mT": (lambda x: x.mT, STACK),
    "transpose": (lambda x: x.transpose(), STACK),
    "transpose(axes)": (lambda x: x.transpose(1, 2, 0), STACK),
    "transpose((axes))": (lambda x: x.transpose((1, 2, 0)), STACK),
    "swapaxes": (lambda x: x.swapaxes(0, -1), STACK),
    "real": (lambda x: x.real, V),
    "imag": (lambda x: x.imag + x, V),
    "conj": (lambda x: x.conj() * x, V),
    "conjugate": (lambda x: x.conjugate() * np.conjugate(x), V),
    "flatten": (lambda x: x.flatten(), A),
    "ravel": (lambda x: x.ravel(), STACK),
    "copy": (lambda x: x.copy(), A),
    "astype": (lambda x: x.astype(float), A),
    "astype(int)": (lambda x: x.astype(int) * x, A),
    "reshape": (lambda x: x.reshape(4, -1), STACK),
    "sum": (lambda x: x.sum(0), STACK),
    "mean": (lambda x: x.mean((0, 2), keepdims=True), STACK),
    "var": (lambda x: x.var(axis=1, ddof=1), STACK),
    "std": (lambda x: x.std((0, 2), keepdims=True), STACK),
    "max": (lambda x: x.max(), STACK),
    "min(axis)": (lambda x: x.min(1), STACK),
    "clip": (lambda x: x.clip(-0.5, 0.5), STACK),
    "trace": (lambda x: x.trace(), A),
    "diagonal": (lambda x: x.diagonal(), A),
    "dot": (lambda x: x.dot(V), A),
    "squeeze": (lambda x: x[:, None].squeeze(), V),
    "len": (lambda x: len(x) * x, STACK),
    "iteration": (lambda x: [a * i for i, a in enumerate(x)][2], A),
    "unpacking": (lambda x: (lambda a, b, c: a * b + c)(*x), V),
    "sum of Python's": (lambda x: sum(x), V),
    "sum of Python's, of numbers": (lambda x: sum(a * a for a in x), V),
    "reversed": (lambda x: next(iter(reversed(x))), V),
    "in": (lambda x: x * (0.5 in x), V, lambda x: x),
    "==": (lambda x: x * (x == x[0]), V),
    "== of a number": (lambda x: x if x[0] == 0.5 else 2 * x, V, lambda x: x),
    "== on the left": (lambda x: x * (np.array(V) == x), V, lambda x: x),
    "!=": (lambda x: x * (x != 0.5), V, lambda x: x * np.array([0, 1, 1])),
    "<": (lambda x: x * (x < 0), V),
    "<= >": (lambda x: x * (x <= 0.6) + (x > 1), V),
    ">=": (lambda x: x * (x >= W), V),
    "a truth value": (lambda x: x if x else 2 * x, NUMBER),
    "integers on the right": (lambda x: x * np.arange(3), V),
    "integers on the left": (lambda x: np.arange(3) - x, V),
    "a number of NumPy's": (lambda x: np.int64(3) * x + np.float64(2) / x, V),
    "booleans": (lambda x: x * MASK + MASK, V),
    "integers in a product": (lambda x: np.arange(9).reshape(3, 3) @ x, V),
    "+= of a number": (lambda x: _total(x), V),
    "+x": (lambda x: +x, V),
    "-x": (lambda x: -x, V),
    "abs": (lambda x: abs(x), V),
    "division": (lambda x: x / W + 1 / x, V),
    "power": (lambda x: x**2 + 2**x, V),
    "a slice": (lambda x: x[1:, None, ::2], STACK),
    "a mask": (lambda x: x[MASK], V),
    "integers": (lambda x: x[[0, 0, 2]], V),
    "numpy.square": (lambda x: np.square(x), V),
    "numpy.absolute": (lambda x: np.abs(x), V),
    "numpy.sign": (lambda x: np.sign(x) * x, V),
    "numpy.maximum": (lambda x: np.maximum(x, W) - np.minimum(0, x), V),
    "numpy.log1p": (lambda x: np.log1p(x * x) + np.expm1(x), V),
    "numpy.floor": (lambda x: np.floor(x) * x, A),
    "numpy.isfinite": (lambda x: np.isfinite(x) * x, V),
    "numpy.where": (lambda x: np.where(x > 0, x, 2 * x), V),
    "numpy.where with integers": (lambda x: np.where([True, False, True], np.arange(3), x), V),
    "numpy.where with a wider mask": (lambda x: np.where(np.outer([1, 0], V) > 0, 1j, x), V),
    "numpy.where with a number": (lambda x: np.where(MASK, x, 0), V),
    "numpy.mean": (lambda x: np.mean(x, axis=-1), STACK),
    "numpy.var": (lambda x: np.var(x, axis=0, keepdims=True), STACK),
    "numpy.std": (lambda x: np.std(x, axis=-1, ddof=1), STACK),
    "numpy.real": (lambda x: np.real(1j * x * x) + np.imag(1j * x * x), V),
    "numpy.logaddexp": (lambda x: np.logaddexp(x, W), V),
    "numpy.einsum": (lambda x: np.einsum("ijk,kl", x, WEIGHTS, optimize=True), STACK),
    "numpy.einsum of integers": (lambda x: np.einsum("i,i->", np.arange(3), x), V),
    "scipy.special.expit": (lambda x: special.expit(x), V),
    "scipy.special.erf": (lambda x: special.erf(x), V),
    "scipy.special.gammaln": (lambda x: special.gammaln(x * x) + special.psi(1 + x * x), V),
    "numpy.max": (lambda x: np.max(x, axis=(0, 1)), STACK),
    "numpy.clip": (lambda x: np.clip(x, None, 1.0), V),
    "numpy.clip by name": (lambda x: np.clip(x, min=-1.0, max=1.0), V),
    "numpy.stack": (lambda x: np.stack([x, W, x * x], axis=1), V),
    "numpy.concatenate": (lambda x: np.concatenate([x, W]), V),
    "numpy.transpose": (lambda x: np.transpose(x), STACK),
    "numpy.swapaxes": (lambda x: np.swapaxes(x, 0, 2), STACK),
    "numpy.expand_dims": (lambda x: np.expand_dims(x, 1), V),
    "numpy.expand_dims of several": (lambda x: np.expand_dims(x, (0, -1)), V),
    "numpy.squeeze": (lambda x: np.squeeze(x[None, :, None]), V),
    "numpy.broadcast_to": (lambda x: np.broadcast_to(x, (2, 3)), V),
    "numpy.reshape": (lambda x: np.reshape(x, (4, 6)), STACK),
    "numpy.ravel": (lambda x: np.ravel(x), STACK),
    "numpy.tril": (lambda x: np.tril(x, -1) + np.triu(x, k=1), A),
    "numpy.diag of a vector": (lambda x: np.diag(x, 1), V),
    "numpy.diag of a matrix": (lambda x: np.diag(x), A),
    "numpy.trace": (lambda x: np.trace(x, offset=1), A),
    "numpy.kron": (lambda x: np.kron(x, B), A),
    "numpy.outer": (lambda x: np.outer(x, W), V),
    "numpy.dot": (lambda x: np.dot(W, x), V),
    "numpy.zeros_like": (lambda x: np.zeros_like(x) + x, V),
    "numpy.linalg.inv": (lambda x: np.linalg.inv(x), A),
    "numpy.linalg.solve": (lambda x: np.linalg.solve(x, V), A),
    "numpy.linalg.solve for columns": (lambda x: np.linalg.solve(x, B), A),
    "numpy.linalg.det": (lambda x: np.linalg.det(x), A),
    "numpy.linalg.slogdet": (lambda x: np.linalg.slogdet(x).logabsdet, A),
    "numpy.linalg.cholesky": (lambda x: np.linalg.cholesky(x @ x.T), A),
    "numpy.linalg.eigvalsh": (lambda x: np.linalg.eigvalsh(x @ x.T), A),
    "numpy.linalg.svdvals": (lambda x: np.linalg.svdvals(x), STACK),
    "numpy.linalg.matrix_power": (lambda x: np.linalg.matrix_power(x, 3), A),
    "numpy.linalg.norm": (lambda x: np.linalg.norm(x) + np.linalg.norm(x, axis=0), A),
    "numpy.linalg.trace": (lambda x: np.linalg.trace(x), STACK),
}


def _total(x):
    total = x[0]
    for a in x[1:]:
        total += a * a
        total *= 2.0
    return total


@pytest.mark.parametrize("name", SAME)
def test_the_value_is_numpys_and_the_derivative_that_of_it(name):
    f, x, *smooth = SAME[name]
    g = smooth[0] if smooth else f
    expected = np.asarray(f(x))
    value, pullback = overbar.vjp(f, x)
    assert np.shape(value) == expected.shape
    np.testing.assert_allclose(value, expected, rtol=1e-14, atol=1e-14)
    weights = np.cos(np.arange(expected.size)).reshape(expected.shape)
    (bar,) = pullback(weights)
    for E in np.eye(x.size).reshape(-1, *x.shape)[:: max(1, x.size // 6)]:
        difference = (np.asarray(g(x + 1e-6 * E)) - np.asarray(g(x - 1e-6 * E))) / 2e-6
        np.testing.assert_allclose(np.sum(bar * E), np.sum(weights * difference).real, rtol=1e-6, atol=1e-7)


#: What raises, and what the message says.
REFUSED = {
    "float": (lambda x: float(x), NUMBER, "its derivative would be lost"),
    "int": (lambda x: int(x), NUMBER, "its derivative would be lost"),
    "an index": (lambda x: W[x], NUMBER, "its derivative would be lost|traced|only integers"),
    "numpy.asarray": (lambda x: np.asarray(x), V, "its derivative would be lost"),
    "numpy.array of a list": (lambda x: np.array([x[0], x[1]]), V, "its derivative would be lost"),
    "an entry written into": (lambda x: x.__setitem__(0, 1.0), V, "cannot be written into.*concatenate"),
    "+=": (lambda x: x.__iadd__(1.0), V, r"A = A \+ B"),
    "@=": (lambda x: x.__imatmul__(B), A, "A = A @ B"),
    "iteration over a number": (lambda x: list(x), NUMBER, "iteration over"),
    "sum of Python's, of a number": (lambda x: sum(x), NUMBER, "iteration over"),
    "a truth value of several": (lambda x: x if x else 2 * x, V, "truth value"),
    "//": (lambda x: x // 2, V, "unsupported operand"),
    "// on the left": (lambda x: W // x, V, "numpy.floor_divide got an array whose derivative"),
    "an attribute": (lambda x: x.cumsum(), V, "no attribute 'cumsum'"),
    "numpy.cumsum": (lambda x: np.cumsum(x), V, "numpy.cumsum got an array whose derivative"),
    "numpy.sum with dtype": (lambda x: np.sum(x, dtype=float), V, "numpy.sum got .* in this way.*Call overbar.sum"),
    "numpy.exp with out": (lambda x: np.exp(x, out=W.copy()), V, "numpy.exp got"),
    "numpy.add.reduce": (lambda x: np.add.reduce(x), V, "numpy.add got"),
    "numpy.einsum of a diagonal": (lambda x: np.einsum("ii", x), A, "overbar.trace"),
    "numpy.mean with dtype": (lambda x: np.mean(x, dtype=float), V, "numpy.mean got .*Call overbar.mean"),
    "scipy.special.logsumexp": (lambda x: special.logsumexp(x), V, "its derivative would be lost"),
    "numpy.trace of a stack": (lambda x: np.trace(x), STACK, "For stacks there is overbar.trace"),
    "numpy.linalg.eigh": (lambda x: np.linalg.eigh(x), SPD, "numpy.linalg.eigh got.*Call overbar.eigh"),
    "numpy.linalg.qr": (lambda x: np.linalg.qr(x), A, "Call overbar.qr"),
    "numpy.linalg.svd": (lambda x: np.linalg.svd(x), A, "Call overbar.svd"),
    "numpy.linalg.pinv": (lambda x: np.linalg.pinv(x), A, "Call overbar.pinv"),
    "numpy.linalg.norm of order 1": (lambda x: np.linalg.norm(x, 1), A, "overbar.matrix_norm"),
    "a real dtype of a complex array": (lambda x: (1j * x).astype(float), V, "imaginary part"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_numpys_raises_and_says_why(name):
    f, x, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError, AttributeError, IndexError), match=message):
        overbar.vjp(f, x)


@pytest.mark.parametrize("name", sorted(name for name in dir(np.ndarray) if not name.startswith("_")))
def test_no_attribute_of_an_array_is_another_thing(name):
    """Each attribute of NumPy's arrays is missing, by name, or has a line in the table above."""
    x = Traced(A)
    if hasattr(x, name):
        known = {"dtype", "shape", "ndim", "size"}
        of_numbers = {"all", "any", "argmax", "argmin", "argsort", "nonzero"}
        if name in of_numbers:
            np.testing.assert_array_equal(getattr(x, name)(), getattr(A, name)())
        elif name in known:
            assert getattr(x, name) == getattr(A, name)
        else:
            assert any(key.split("(")[0].split()[0] == name or key == name for key in SAME), name
    else:
        with pytest.raises(AttributeError, match=name):
            getattr(x, name)
