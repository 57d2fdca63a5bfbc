"""A traced array behaves as NumPy's, or raises in words that name the remedy. May import `overbar`."""

import functools
import re

import mpmath
import numpy as np
import pytest
from scipy import linalg, sparse, spatial, special

import overbar
from overbar._traced import FUNCTIONS, Traced
from overbar._traced_functions import INSTEAD, OF_NUMBERS

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
    "divmod": (lambda x: divmod(x, 0.35)[1] + divmod(7.1, x)[1] * divmod(x, 0.35)[0], V),
    "reshape in Fortran's order": (lambda x: x.reshape(9, order="F") * np.arange(9) + x.flatten("F")[::-1], A),
    "numpy.reshape in Fortran's order": (lambda x: np.reshape(x, (2, -1, 1), order="F"), STACK),
    "ravel in Fortran's order": (lambda x: np.ravel(x, order="F") * x.ravel("F") ** 2, STACK),
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
    "numpy.angle": (lambda x: np.angle(x + 1j * x[::-1]) * np.angle(W - 1j * x, deg=True) + np.angle(x), V),
    "numpy.logaddexp": (lambda x: np.logaddexp(x, W), V),
    "numpy.einsum": (lambda x: np.einsum("ijk,kl", x, WEIGHTS, optimize=True), STACK),
    "numpy.einsum of integers": (lambda x: np.einsum("i,i->", np.arange(3), x), V),
    "scipy.special.expit": (lambda x: special.expit(x), V),
    "scipy.special.erf": (lambda x: special.erf(x), V),
    "scipy.special.gammaln": (lambda x: special.gammaln(x * x) + special.psi(1 + x * x), V),
    "numpy.max": (lambda x: np.max(x, axis=(0, 1)), STACK),
    "numpy.clip": (lambda x: np.clip(x, None, 1.0), V),
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
    "%": (lambda x: x % 0.7 + 5.1 % x, V),
    "//": (lambda x: (x // 0.7 + 5.1 // x) * x, V),
    "cumsum": (lambda x: x.cumsum(1), A),
    "prod": (lambda x: x.prod((0, 2)), STACK),
    "repeat": (lambda x: x.repeat(2), V),
    "take": (lambda x: x.take([0, 2], 1), STACK),
    "round": (lambda x: x.round() * x, A),
    "a format": (lambda x: x * len(f"{x[0]:.3f}"), V),
    "numpy.add.reduce": (lambda x: np.add.reduce(x) + np.multiply.reduce(x), A),
    "numpy.maximum.reduce": (lambda x: np.maximum.reduce(x, axis=None), A),
    "numpy.subtract.outer": (lambda x: np.subtract.outer(x, W) * np.multiply.outer(W, x), V),
    "numpy.tan": (lambda x: np.tan(x) + np.sinh(x) * np.cosh(x), V),
    "numpy.arctan": (lambda x: np.arctan(x) + np.arctan2(x, W), V),
    "numpy.arcsin": (lambda x: np.arcsin(x / 3) * np.arccos(x / 3) + np.arctanh(x / 3), V),
    "numpy.arcsinh": (lambda x: np.arcsinh(x) * np.arccosh(2 + x * x), V),
    "numpy.log2": (lambda x: np.log2(x * x) + np.log10(x * x) + np.exp2(x), V),
    "numpy.cbrt": (lambda x: np.cbrt(x) + np.hypot(x, W), V),
    "numpy.fabs": (lambda x: np.fabs(x) + np.degrees(x) * np.radians(x), V),
    "numpy.fmod": (lambda x: np.fmod(-5.1, x) + np.mod(x, 0.7), V),
    "numpy.vecdot": (lambda x: np.vecdot(x, W) * np.vecdot(W, x), V),
    "numpy.round": (lambda x: np.round(x, 1) * x, V),
    "numpy.hstack": (lambda x: np.hstack([x, W, 1]), V),
    "numpy.vstack": (lambda x: np.vstack((x, B[0], np.arange(3))), V),
    "numpy.dstack": (lambda x: np.dstack([x, B]), A),
    "numpy.column_stack": (lambda x: np.column_stack([x, B, x * x]), V),
    "numpy.block": (lambda x: np.block([[x, 2 * x], [np.zeros((1, 3)), B[:1]]]), A),
    "numpy.block of scalars": (lambda x: np.block([[x[0], x[1]], [x[2], 0.0]]), V),
    "numpy.concatenate of integers": (lambda x: np.concatenate([np.arange(2), x]), V),
    "numpy.concatenate of all": (lambda x: np.concatenate([x, B], axis=None), A),
    "numpy.stack of numbers": (lambda x: np.stack([x[0], 1, x[1] * x[2]]), V),
    "numpy.append": (lambda x: np.append(x, 2.5), V),
    "numpy.append to another": (lambda x: np.append(B, x, axis=0), A),
    "numpy.insert": (lambda x: np.insert(x, 1, [0.0, 1.0]), V),
    "numpy.delete": (lambda x: np.delete(x, 1, axis=1), A),
    "numpy.tile": (lambda x: np.tile(x, (2, 1, 3)), A),
    "numpy.repeat": (lambda x: np.repeat(x, [1, 0, 2], axis=0), A),
    "numpy.roll": (lambda x: np.roll(x, 1, axis=-1), A),
    "numpy.flip": (lambda x: np.flip(x) + np.fliplr(x) * np.flipud(x), A),
    "numpy.rot90": (lambda x: np.rot90(x), A),
    "numpy.moveaxis": (lambda x: np.moveaxis(x, 0, -1), STACK),
    "numpy.atleast_2d": (lambda x: np.atleast_2d(x), V),
    "numpy.atleast_1d of two": (lambda x: np.atleast_1d(x[0], x)[1], V),
    "numpy.copy": (lambda x: np.copy(x) * x, A),
    "numpy.take": (lambda x: np.take(x, [[0, 2], [1, 0]], axis=1), A),
    "numpy.take_along_axis": (lambda x: np.take_along_axis(x, np.argsort(x, 0), 0), A),
    "numpy.compress": (lambda x: np.compress(MASK, x), V),
    "numpy.pad": (lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=2.0), A),
    "numpy.pad of a mode": (lambda x: np.pad(x, 2, mode="reflect"), A),
    "numpy.split": (lambda x: np.split(x, [1], axis=-1)[1] * np.array_split(x, 2, axis=1)[0][:, :1], A),
    "numpy.meshgrid": (lambda x: (lambda a, b: a * b)(*np.meshgrid(x, np.arange(2))), V),
    "numpy.broadcast_arrays": (lambda x: np.broadcast_arrays(x, A)[0] * A, V),
    "numpy.sort": (lambda x: np.sort(x, axis=0), A),
    "numpy.cumsum": (lambda x: np.cumsum(x, axis=0), STACK),
    "numpy.cumsum of all": (lambda x: np.cumsum(x), A),
    "numpy.prod": (lambda x: np.prod(x, axis=1, keepdims=True), STACK),
    "numpy.prod with a zero": (lambda x: np.prod(x - V[1]), V),
    "numpy.prod of nothing": (lambda x: np.prod(x[:0]) * x, V),
    "numpy.diff": (lambda x: np.diff(x, 2, axis=-1), STACK),
    "numpy.average": (lambda x: np.average(x, axis=1, weights=[1, 2, 3]), A),
    "numpy.average by weights": (lambda x: np.average(A, weights=x), A),
    "numpy.ptp": (lambda x: np.ptp(x, axis=0), A),
    "numpy.inner": (lambda x: np.inner(x, B), A),
    "numpy.vdot": (lambda x: np.vdot(x, 1j * B).imag, A),
    "numpy.tensordot": (lambda x: np.tensordot(x, STACK, axes=([2, 0], [2, 0])), STACK),
    "numpy.tensordot of integers": (lambda x: np.tensordot(np.arange(8).reshape(4, 2), x, axes=[[1], [0]]), STACK),
    "numpy.dot of a stack": (lambda x: np.dot(x, WEIGHTS), STACK),
    "numpy.dot of lists": (lambda x: np.dot([1.0, 2.0, 3.0], x), V),
    "numpy.cross": (lambda x: np.cross(x, W), A),
    "numpy.linspace": (lambda x: np.linspace(0, x, 5) + np.linspace(x, W, 5, endpoint=False), V),
    "numpy.select": (lambda x: np.select([x > 1, x > 0], [x, 2 * x], 3.0), V),
    "numpy.polyval": (lambda x: np.polyval(x, 0.5) + np.polyval([1.0, 2.0], x), V),
    "numpy.linalg.pinv": (lambda x: np.linalg.pinv(x[:, :2]), A),
    "numpy.linalg.cond": (lambda x: np.linalg.cond(x), A),
    "numpy.linalg.svd of values": (lambda x: np.linalg.svd(x, compute_uv=False), A),
    "numpy.linalg.norm of order 1": (lambda x: np.linalg.norm(x, 1, axis=0) + np.linalg.norm(x[0], np.inf), A),
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
    "numpy.linalg.norm of matrices": (lambda x: np.linalg.norm(x, np.inf, (2, 0)) + np.linalg.norm(x[0], "fro"), STACK),
    "numpy.linalg.norm by singular values": (lambda x: np.linalg.norm(x, 2) + np.linalg.norm(x, "nuc"), A),
    "numpy.linalg.norm of all": (lambda x: np.linalg.norm(x, keepdims=True) + np.linalg.norm(x[0], axis=(1,)), STACK),
    "numpy.linalg.vector_norm": (lambda x: np.linalg.vector_norm(x, axis=(2, 0), keepdims=True), STACK),
    "numpy.linalg.vector_norm of all": (lambda x: np.linalg.vector_norm(x) + np.linalg.vector_norm(x, ord=1), STACK),
    "numpy.linalg.matrix_norm": (lambda x: np.linalg.matrix_norm(x, keepdims=True), STACK),
    "numpy.linalg.trace": (lambda x: np.linalg.trace(x), STACK),
}
if np.lib.NumpyVersion(np.__version__) >= "2.1.0":  # which has these names
    SAME["numpy.clip by name"] = (lambda x: np.clip(x, min=-1.0, max=1.0), V)


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


@pytest.mark.parametrize("scale", [0.0, 1e-200, 1e200])
@pytest.mark.parametrize("dtype", [float, complex])
def test_norms_have_the_gradient_of_the_primitive_where_squares_say_nothing(scale, dtype):
    x = np.full((2, 2), scale, dtype)
    expected = overbar.grad(overbar.matrix_norm)(x)
    np.testing.assert_allclose(expected, (scale > 0) / 2, rtol=1e-14)
    norms = [np.linalg.norm, lambda x: np.linalg.norm(x, axis=(0, 1)), lambda x: np.linalg.norm(np.ravel(x), 2)]
    for norm in (*norms, np.linalg.vector_norm, np.linalg.matrix_norm):
        np.testing.assert_array_equal(overbar.grad(norm)(x), expected)


def _narrow(x):
    return x.astype({"d": np.float32, "D": np.complex64}[x.dtype.char])


#: What NumPy's promotion makes of single precision: its own scalars have a dtype, Python's numbers have none.
PROMOTED = [
    *(lambda x, c=c: c * x for c in (1j, 2.0, 3, np.float64(2), np.float32(2), np.complex64(1j), np.int8(2))),
    *(lambda x, c=c: x / c for c in (1j, 2.0, 3, np.float64(2), np.array(2.0), np.array(2, np.int16))),
    *(lambda x, c=c: np.power(x * x, c) for c in (2, 0.5, np.float64(3))),
    *(lambda x, c=c: np.power(c, x) for c in (2, np.float64(2))),
    *(lambda x, c=c: np.where(x > 1, x, c) for c in (1j, 1.0, np.float64(1))),
    *(lambda x, c=c: np.maximum(x, c) for c in (1.0, np.float64(1))),
    *(lambda x, c=c: np.linspace(c, x[1], 4) for c in (0, 1.0, np.float64(1))),
    lambda x: x @ x * 1j,
    lambda x: x[0] * x,
    lambda x: np.float64(3) * x[0],
    lambda x: np.clip(x, np.float64(0), np.float64(1)),
    lambda x: np.logaddexp(np.float64(1), x),
    lambda x: np.stack([x[0], 1.0]),
    lambda x: np.meshgrid(x, np.ones(2))[0],
    lambda x: np.meshgrid(x, np.ones(2))[1] * x[0],
    lambda x: np.broadcast_arrays(np.ones((2, 1)), x)[1],
    lambda x: np.select([x > 1], [x], np.float64(3)),
    lambda x: np.exp(1j * x),
]


@pytest.mark.parametrize("f", [f for f, *_ in SAME.values()] + PROMOTED)
def test_the_dtype_is_numpys(f):
    x = _narrow(next((x for g, x, *_ in SAME.values() if g is f), V))
    value, pullback = overbar.vjp(f, x)
    assert value.dtype == np.asarray(f(x)).dtype
    assert pullback(np.ones_like(value))[0].dtype == x.dtype


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
    "an attribute": (lambda x: x.cumprod(), V, "no attribute 'cumprod'"),
    "reshape in the order of memory": (lambda x: x.reshape(-1, order="A"), A, "no order in memory: .* 'C' or 'F'"),
    "a sparse matrix": (lambda x: sparse.csr_array(np.eye(3)) @ x, V, r"a sparse matrix and .*S.toarray\(\)"),
    "a sparse matrix on the right": (lambda x: x @ sparse.csr_array(np.eye(3)), V, "csr_array"),
    "a masked array": (lambda x: np.ma.masked_invalid(W) - x, V, "a masked array and .*numpy.ma.filled"),
    "a masked array on the right": (lambda x: x - np.ma.masked_invalid(W), V, "a masked array.*numpy.ma.filled"),
    "numpy.matrix": (lambda x: x * A.view(np.matrix), A, r"a numpy.matrix, whose \* is .*numpy.asarray"),
    "numpy.matrix on the left": (lambda x: A.view(np.matrix) * x, A, r"a numpy.matrix, whose \* is .*numpy.asarray"),
    "numpy.frompyfunc": (lambda x: np.frompyfunc(lambda r: r, 1, 1)(x), V, r"a ufunc \(<lambda> .* got an array"),
    "numpy.cumprod": (lambda x: np.cumprod(x), V, "numpy.cumprod got an array whose derivative.*numpy.cumsum"),
    "out[i] = x": (lambda x: np.zeros(3).__setitem__(0, x[0]), V, "sequence"),
    "y += x": (lambda x: W.copy().__iadd__(x), V, r"numpy.add got .* out, .*write y = y \+ A"),
    "numpy.add.at": (lambda x: np.add.at(W.copy(), [0], x[:1]), V, "numpy.add.at got"),
    "numpy.multiply with dtype": (lambda x: np.multiply(x, 2.0, dtype=float), V, "none of its options .* dtype"),
    "numpy.fft.fft": (lambda x: np.fft.fft(x), V, r"numpy.fft.fft got .*numpy.fft.fft\(numpy.eye"),
    "numpy.copyto": (lambda x: np.copyto(np.zeros(3), x), V, "numpy.copyto got .*cannot be written into"),
    "numpy.c_": (lambda x: np.c_[x, x], V, r"numpy.array, numpy.asarray .*stack\(\[a, b\]\)"),
    "numpy.hstack with dtype": (lambda x: np.hstack([x, x], dtype=float), V, "numpy.hstack of a traced array takes no"),
    "numpy.take with out": (lambda x: np.take(x, [0], out=np.zeros(1)), V, "takes no out"),
    "numpy.pad of another mode": (lambda x: np.pad(x, 1, "mean"), V, "no mode 'mean'"),
    "numpy.cbrt of complex numbers": (lambda x: np.cbrt(1j * x), V, "cbrt: .*dtype complex128"),
    "numpy.tensordot of other shapes": (lambda x: np.tensordot(x, STACK[:, :2], 2), A, r"axes \[0, 1\] of shape"),
    "numpy.average of other shapes": (lambda x: np.average(x, axis=1, weights=[1, 2]), A, r"weights of shape \(2,\)"),
    "numpy.cross in the plane": (lambda x: np.cross(x[:2], x[1:]), V, "vectors of three entries"),
    "numpy.insert into integers": (lambda x: np.insert(np.arange(3), 0, x[0]), V, "an array of integers"),
    "numpy.concatenate of scalars": (lambda x: np.concatenate([x[0], x[1]]), V, r"arrays\[0\] .*overbar.stack"),
    "scipy.special.xlogy": (lambda x: special.xlogy(x, x), V, "scipy.special.xlogy got"),
    "scipy.linalg.solve": (lambda x: linalg.solve(x, V), A, r"scipy.linalg.solve got .*Call overbar.solve\."),
    "scipy.linalg.cho_factor": (lambda x: linalg.cho_factor(x), SPD, r"scipy.linalg.cho_factor .*overbar.cholesky\."),
    "scipy.linalg.expm": (lambda x: linalg.expm(x), A, r"scipy.linalg.expm got .*Call overbar.expm\."),
    "scipy.spatial's distances": (lambda x: spatial.distance.cdist(x, x), A, "scipy.spatial.distance.cdist got"),
    "numpy.sum with dtype": (lambda x: np.sum(x, dtype=float), V, "numpy.sum got .* in this way.*Call overbar.sum"),
    "numpy.exp with out": (lambda x: np.exp(x, out=W.copy()), V, "numpy.exp got"),
    "numpy.add.reduceat": (lambda x: np.add.reduceat(x, [0]), V, "numpy.add.reduceat got"),
    "numpy.einsum of a diagonal": (lambda x: np.einsum("ii", x), A, "overbar.trace"),
    "numpy.mean with dtype": (lambda x: np.mean(x, dtype=float), V, "numpy.mean got .*Call overbar.mean"),
    "numpy.sum of a list": (lambda x: np.sum([x[0], x[1]]), V, r"Call overbar.sum, of overbar.stack\(\[a, b\]\)"),
    "scipy.special.logsumexp": (lambda x: special.logsumexp(x), V, "its derivative would be lost"),
    "numpy.trace of a stack": (lambda x: np.trace(x), STACK, "For stacks there is overbar.trace"),
    "numpy.linalg.eigh": (lambda x: np.linalg.eigh(x), SPD, "numpy.linalg.eigh got.*Call overbar.eigh"),
    "numpy.linalg.qr": (lambda x: np.linalg.qr(x), A, "Call overbar.qr"),
    "numpy.linalg.svd": (lambda x: np.linalg.svd(x), A, "Call overbar.svd"),
    "numpy.linalg.lstsq": (lambda x: np.linalg.lstsq(x, V), A, "overbar.lstsq, which returns the same four things"),
    "numpy.linalg.norm of order 3": (lambda x: np.linalg.norm(x, 3), V, "no ord=3: there are 2, 1, inf and -inf"),
    "numpy.linalg.norm of three": (lambda x: np.linalg.norm(x, 2), STACK, "axis None .* is no vector or matrix"),
    "numpy.linalg.norm of one twice": (lambda x: np.linalg.norm(x, axis=(0, -2)), A, "is no vector or matrix"),
    "a real dtype of a complex array": (lambda x: (1j * x).astype(float), V, "imaginary part"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_numpys_raises_and_says_why(name):
    f, x, message = REFUSED[name]
    with pytest.raises((TypeError, ValueError, AttributeError, IndexError), match=message):
        overbar.vjp(f, x)


def test_what_stands_for_another_function_is_there():
    for name in INSTEAD.keys() - {"c_", "linalg.svd"}:
        function = functools.reduce(getattr, name.split("."), np)
        assert function not in FUNCTIONS
        assert function not in OF_NUMBERS
    for name in {word for text in INSTEAD.values() for word in re.findall(r"overbar\.(\w+)", text)}:
        assert name in overbar.__all__


@pytest.mark.parametrize("name", SAME)
def test_forward_mode_and_second_derivatives_agree(name):
    f, x, *_ = SAME[name]
    weights = np.cos(np.arange(np.size(f(x)))).reshape(np.shape(f(x)))
    loss = lambda x: overbar.sum(overbar.sin(overbar.real(f(x)) * weights))  # noqa: E731
    bar, dot = overbar.grad(loss)(x), np.sin(1 + np.arange(x.size)).reshape(x.shape)
    np.testing.assert_allclose(overbar.jvp(loss, (x,), (dot,))[1], np.sum(bar * dot), rtol=1e-10, atol=1e-12)
    reverse = overbar.grad(lambda x: overbar.sum(overbar.grad(loss)(x) * dot))(x)
    np.testing.assert_allclose(overbar.hvp(loss, (x,), dot), reverse, rtol=1e-9, atol=1e-10)


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


OF_COMPLEX = {
    "arccos": mpmath.acos,
    "arccosh": mpmath.acosh,
    "arcsin": mpmath.asin,
    "arcsinh": mpmath.asinh,
    "arctan": mpmath.atan,
    "arctanh": mpmath.atanh,
    "exp2": lambda z: mpmath.mpf(2) ** z,
    "log10": lambda z: mpmath.log(z) / mpmath.log(10),
    "log2": lambda z: mpmath.log(z) / mpmath.log(2),
}


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("name", OF_COMPLEX)
def test_derivatives_of_inverse_functions_of_complex_numbers(name, dtype):
    """Also on a cut, where the sign of a zero says on which side a number is; the bar is conjugated."""
    f, exact = getattr(np, name), OF_COMPLEX[name]
    off = [0.3 + 0.4j, -1.7 + 0.2j, 2.0 - 0.5j, 0.1 - 3.0j, -0.4 - 0.1j, 1e-3 + 1.0j]
    on = [complex(x, y) for x in (2.0, -2.0) for y in (0.0, -0.0)]
    on += [complex(x, y) for x in (0.0, -0.0) for y in (2.0, -2.0)]
    z, first, second = np.array([*off, *on], dtype), [], []
    with mpmath.workdps(60):
        for x in z.astype(complex):
            # nudged to the side that it is on
            nudge = [np.copysign(1e-30, y) if y == 0 else 0.0 for y in (x.real, x.imag)]
            at = mpmath.mpc(x) + mpmath.mpc(*nudge)
            found = [complex(mpmath.diff(exact, at, n, h=mpmath.mpf(10) ** -36)) for n in (1, 2)]
            first.append(found[0])
            second.append(found[1])
    close = {"rtol": 1e-5 if dtype is np.complex64 else 1e-12}
    one = np.ones_like(z)
    value, pullback = overbar.vjp(f, z)
    np.testing.assert_array_equal(value, f(z))
    (bar,) = pullback(one)
    assert bar.dtype == dtype
    np.testing.assert_allclose(bar, np.conj(first), **close)

    def along(z):
        return overbar.jvp(f, (z,), (one,))[1]

    np.testing.assert_allclose(along(z), first, **close)
    np.testing.assert_allclose(overbar.jvp(along, (z,), (one,))[1], second, **close)
    np.testing.assert_allclose(overbar.vjp(along, z)[1](one)[0], np.conj(second), **close)


@pytest.mark.parametrize("deg", [False, True])
def test_angles_are_those_of_numpy_whatever_the_numbers(deg):
    z = np.array([1.0 + 2.0j, -1.0 + 0.0j, complex(-1.0, -0.0)])
    for x in (z, z.real):
        np.testing.assert_array_equal(overbar.vjp(lambda x: np.angle(x, deg=deg), x)[0], np.angle(x, deg=deg))
    # dθ = Im(dz/z)
    (bar,) = overbar.vjp(lambda x: np.angle(x, deg), z)[1](np.ones(3))
    np.testing.assert_allclose(bar, np.conj(-1j / z) * (180 / np.pi if deg else 1.0), rtol=1e-14)
