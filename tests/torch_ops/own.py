"""Primitives that a user might write: each has something that the collection may lack. May import `overbar`.

The tests of PyTorch run over them as over the registry: a test file that names them `OWN_PRIMITIVES` gets them beside
the registry's wherever a test takes `sample` or `first` (see tests/conftest.py).
"""

import numpy as np

from overbar import elementwise, mH, mT, namespace, primitive
from overbar._namespace import front
from overbar._primitive import once
from overbar.kernels import kernel


@primitive("(n,n),(n)->(),(n)", intermediates=1)
def mahalanobis(A, x):
    """c = xᵀ A⁻¹ x. The solution y = A⁻¹ x is a hidden output."""
    y = namespace(A).solve(A, x[..., None])[..., 0]
    return _dot(x, y), y


@mahalanobis.vjp
def _(bars, outputs, A, x):
    (c_bar, y_bar), (_, y), xp = bars, outputs, namespace(A)

    @once
    def g():
        direct = 0 if c_bar is None else c_bar[..., None] * xp.conj(x)
        return xp.solve(mH(A), (direct if y_bar is None else y_bar + direct)[..., None])[..., 0]

    return (
        lambda: -g()[..., :, None] * xp.conj(y)[..., None, :],
        lambda: g() if c_bar is None else g() + c_bar[..., None] * xp.conj(y),
    )


@mahalanobis.jvp
def _(outputs, A, x):
    _, y = outputs

    def dots(A_dot, x_dot):
        y_dot = namespace(A).solve(A, x_dot[..., None] - A_dot @ y[..., None])[..., 0]
        return _dot(x_dot, y) + _dot(x, y_dot), y_dot

    return dots


@mahalanobis.samples
def _(case):
    yield case(case.square(3), case.normal(3))


def _dot(x, y):
    return namespace(x).sum(x * y, axis=-1)


@primitive("(m,n)->(n,n),(m)")
def moments(A):
    """Two public outputs: C = Aᵀ A and the sums of the cubes in each row."""
    return mT(A) @ A, namespace(A).sum(A * A * A, axis=-1)


@moments.vjp
def _(bars, outputs, A):
    C_bar, s_bar = bars
    conj = namespace(A).conj(A)

    def A_bar():
        from_C = 0 if C_bar is None else conj @ (C_bar + mT(C_bar))
        return from_C if s_bar is None else from_C + 3 * s_bar[..., None] * conj * conj

    return (A_bar,)


@moments.jvp
def _(outputs, A):
    return (lambda A_dot: (mT(A_dot) @ A + mT(A) @ A_dot, 3 * namespace(A).sum(A * A * A_dot, axis=-1)),)


@moments.samples
def _(case):
    yield case(case.normal(3, 2))


@primitive("(n)->(n),(n)")
def ordered(x):
    """The squares of the entries, in the order of the entries' real parts, and that order: integers, which have no
    derivative."""
    xp = namespace(x)
    order = xp.argsort(xp.real(x), axis=-1)
    return xp.take_along_axis(x * x, order, axis=-1), order


@ordered.vjp
def _(bars, outputs, x):
    xp = namespace(x)
    back = xp.argsort(outputs[1], axis=-1)
    return (lambda: 2 * xp.conj(x) * xp.take_along_axis(bars[0], back, axis=-1),)


@ordered.jvp
def _(outputs, x):
    return (lambda x_dot: (namespace(x).take_along_axis(2 * x * x_dot, outputs[1], axis=-1), None),)


@ordered.samples
def _(case):
    yield case(case.normal(4))


@primitive("(n)->(),()", intermediates=1)
def largest(x):
    """The cube of the entry with the largest modulus. Its place, an integer, is a hidden output."""
    xp = namespace(x)
    place = xp.argmax(xp.abs(x), axis=-1)
    return xp.take_along_axis(x, place[..., None], axis=-1)[..., 0] ** 3, place


@largest.vjp
def _(bars, outputs, x):
    xp = namespace(x)
    hot = _hot(xp, outputs[1], x)
    return (lambda: bars[0][..., None] * hot * 3 * xp.conj(x) * xp.conj(x),)


@largest.jvp
def _(outputs, x):
    xp = namespace(x)
    hot = _hot(xp, outputs[1], x)
    return (lambda x_dot: (xp.sum(3 * x * x * hot * x_dot, axis=-1), None),)


@largest.samples
def _(case):
    yield case(case.normal(4))


def _hot(xp, place, x):
    return xp.astype(place[..., None] == xp.arange(x.shape[-1]), x.dtype)


@primitive("...->...")
def log_sum_exp(A, *, batch_ndim=0):
    """A function of a whole array: log Σ exp Aᵢ over all its dimensions."""
    xp = namespace(A)
    return xp.log(xp.sum(xp.exp(A), axis=tuple(range(batch_ndim, A.ndim))))


@log_sum_exp.vjp
def _(c_bar, c, A, *, batch_ndim):
    xp = namespace(A)
    ones = (1,) * (A.ndim - batch_ndim)
    weights = xp.exp(A - xp.reshape(c, (*c.shape, *ones)))
    return (lambda: xp.reshape(c_bar, (*c.shape, *ones)) * xp.conj(weights),)


@log_sum_exp.jvp
def _(c, A, *, batch_ndim):
    xp = namespace(A)
    axes = tuple(range(batch_ndim, A.ndim))
    weights = xp.exp(A - xp.reshape(c, (*c.shape, *(1,) * len(axes))))
    return (lambda A_dot: xp.sum(weights * A_dot, axis=axes),)


@log_sum_exp.samples
def _(case):
    yield case(case.positive(2, 3))


@primitive("(m,n),(n,p?)->(m,p?)")
def cubic_product(A, B):
    """A dimension that may be absent: C = (A ∘ A ∘ A) B for a matrix or a vector B."""
    return (A * A * A) @ B


@cubic_product.vjp
def _(C_bar, C, A, B):
    conj = namespace(A).conj(A)
    return lambda: 3 * conj * conj * (C_bar @ mH(B)), lambda: mT(conj * conj * conj) @ C_bar


@cubic_product.jvp
def _(C, A, B):
    return lambda A_dot: (3 * A * A * A_dot) @ B, lambda B_dot: cubic_product.function(A, B_dot)


@cubic_product.samples
def _(case):
    yield case(case.normal(2, 3), case.normal(3, 2))
    yield case(case.normal(2, 3), case.normal(3))  # in a batch, a matrix unless vmap makes it a vector again


@elementwise
def cube_root(A):
    """A function of each entry, with its derivative only."""
    return A ** (1 / 3)


@cube_root.derivative
def _(C, A):
    return C / (3 * A)


@cube_root.samples
def _(case):
    yield case(case.positive(2, 2))


@kernel("(m,n),(n)->(m),(),()", "=ri")
def product_on_host(A, x):
    y = A @ x
    return y, np.vdot(y, y).real, abs(y).argmax()


@primitive("(m,n),(n)->(m),(),()", intermediates=1)
def hosted(A, x):
    """Computed on the host: y = A x, |y|² (which is real), and the place of the largest entry, a hidden integer."""
    return front(A).compute(product_on_host, A, x)


@hosted.vjp
def _(bars, outputs, A, x):
    (y_bar, r_bar, _), (y, *_), xp = bars, outputs, namespace(A)

    @once
    def g():
        from_r = 0 if r_bar is None else 2 * xp.cast(r_bar, y)[..., None] * y
        return from_r if y_bar is None else y_bar + from_r

    return lambda: g()[..., :, None] * xp.conj(x)[..., None, :], lambda: (mH(A) @ g()[..., None])[..., 0]


@hosted.jvp
def _(outputs, A, x):
    y, xp = outputs[0], namespace(A)

    def along(y_dot):
        return y_dot, xp.sum(2 * xp.real(xp.conj(y) * y_dot), axis=-1), None

    return (
        lambda A_dot: along((A_dot @ x[..., None])[..., 0]),
        lambda x_dot: along((A @ x_dot[..., None])[..., 0]),
    )


@hosted.samples
def _(case):
    yield case(case.normal(3, 2), case.normal(2))


OWN_PRIMITIVES = [mahalanobis, moments, ordered, largest, log_sum_exp, cubic_product, cube_root, hosted]
