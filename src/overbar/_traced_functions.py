"""NumPy's functions on traced arrays: which primitive, or which words, mean the same.

May import NumPy and `overbar.rules`. A function is here where its value is NumPy's, in the cases that its parameters
here allow; the sweep refuses others by name. Missing on purpose are those that choose otherwise than the primitive of
that name: the order of `eig`, the signs of the vectors of `eigh`, `svd` and `qr`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from overbar import rules

__all__ = ["OF_NUMBERS", "functions", "ufuncs"]

#: Functions whose results have no derivative: computed of the numbers alone.
OF_NUMBERS = {
    np.all, np.allclose, np.any, np.argmax, np.argmin, np.argsort, np.array_equal, np.count_nonzero, np.full_like,
    np.iscomplexobj, np.isclose, np.isrealobj, np.ndim, np.nonzero, np.ones_like, np.result_type, np.shape, np.size,
    np.zeros_like, np.linalg.matrix_rank,
}  # fmt: skip


def ufuncs(xp: Any) -> dict[str, Any]:
    """NumPy's ufuncs, and SciPy's special functions, by name, in the words of traced arrays."""
    same = (
        "absolute", "add", "cos", "divide", "erf", "exp", "expm1", "gammaln", "log", "log1p", "logaddexp", "matmul",
        "maximum", "minimum", "multiply", "reciprocal", "sign", "sin", "sqrt", "subtract", "tanh",
    )  # fmt: skip
    found = {name: getattr(xp, {"absolute": "abs"}.get(name, name)) for name in same}
    return found | {
        "conjugate": xp.conj,
        "expit": rules.sigmoid,
        "negative": lambda A: rules.multiply(-1, A),
        "positive": lambda A: A,
        "power": xp.pow,
        "psi": rules.digamma,
        "square": lambda A: A * A,
    }


def functions(xp: Any) -> dict[Any, Any]:
    """NumPy's functions, in the words of traced arrays."""

    def ravel(A):
        return xp.reshape(A, (-1,))

    def total(a, axis=None, keepdims=False):
        return xp.sum(a, axis=axis, keepdims=keepdims)

    def transpose(a, axes=None):
        return xp.permute_dims(a, range(a.ndim)[::-1] if axes is None else axes)

    def swapaxes(a, axis1, axis2):
        axes = [*range(a.ndim)]
        axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
        return xp.permute_dims(a, axes)

    def squeeze(a, axis=None):
        return xp.squeeze(a, axis=tuple(i for i, n in enumerate(a.shape) if n == 1) if axis is None else axis)

    def matrices(A, name):
        if A.ndim != 2:
            raise TypeError(f"numpy.{name} of a traced array takes a matrix. For stacks there is overbar.{name}.")
        return A

    def diag(v, k=0):
        return rules.diag_embed(v, offset=k) if v.ndim == 1 else rules.diagonal(matrices(v, "diagonal"), offset=k)

    def trace(x, *, offset=0):
        return xp.sum(rules.diagonal(x, offset=offset), axis=-1)

    def outer(a, b):
        return ravel(a)[:, None] * ravel(b)[None, :]

    def dot(a, b):
        if max(np.ndim(a), np.ndim(b)) > 2:
            raise TypeError("numpy.dot of a traced array takes vectors and matrices. For stacks there is `@`.")
        return a * b if 0 in (np.ndim(a), np.ndim(b)) else rules.matmul(a, b)

    def norm(x, ord=None, axis=None, keepdims=False):
        if ord is not None and (ord != 2 or axis is None) and (ord != 2 or x.ndim != 1):
            raise TypeError(
                "numpy.linalg.norm of a traced array is the Euclidean or Frobenius norm, ord=None. For others there is "
                "overbar.matrix_norm."
            )
        if ord is not None and isinstance(axis, tuple):
            raise TypeError("numpy.linalg.norm of a traced array with ord=2 takes one axis.")
        return rules.sqrt(xp.sum(xp.real(xp.conj(x) * x), axis=axis, keepdims=keepdims))

    def slogdet(a):
        return type(np.linalg.slogdet(np.eye(1)))(*rules.slogdet(a))

    def clip(a, a_min=None, a_max=None, *, min=None, max=None):
        return rules.clip(a, a_min if min is None else min, a_max if max is None else max)

    linalg = np.linalg
    return {
        np.sum: total,
        np.mean: lambda a, axis=None, keepdims=False: rules.mean(a, axis=axis, keepdims=keepdims),
        np.var: lambda a, axis=None, ddof=0, keepdims=False: rules.var(a, axis=axis, ddof=ddof, keepdims=keepdims),
        np.std: lambda a, axis=None, ddof=0, keepdims=False: rules.std(a, axis=axis, ddof=ddof, keepdims=keepdims),
        np.max: lambda a, axis=None, keepdims=False: xp.max(a, axis=axis, keepdims=keepdims),
        np.min: lambda a, axis=None, keepdims=False: xp.min(a, axis=axis, keepdims=keepdims),
        np.clip: clip,
        np.where: lambda condition, x, y: xp.where(condition, x, y),
        np.real: lambda val: xp.real(val),
        np.imag: lambda val: xp.imag(val),
        np.reshape: lambda a, shape: xp.reshape(a, shape),
        np.ravel: lambda a: ravel(a),
        np.transpose: transpose,
        np.permute_dims: transpose,
        np.swapaxes: swapaxes,
        np.matrix_transpose: lambda x: rules.matrix_transpose(x),
        np.squeeze: squeeze,
        np.expand_dims: lambda a, axis: rules.expand_dims(a, axis),
        np.broadcast_to: lambda array, shape: xp.broadcast_to(array, (shape,) if isinstance(shape, int) else shape),
        np.concatenate: lambda arrays, axis=0: xp.concat(arrays, axis=axis),
        np.stack: lambda arrays, axis=0: xp.stack(arrays, axis=axis),
        np.tril: lambda m, k=0: rules.tril(m, diagonal=k),
        np.triu: lambda m, k=0: rules.triu(m, diagonal=k),
        np.diag: diag,
        np.diagonal: lambda a, offset=0: rules.diagonal(matrices(a, "diagonal"), offset=offset),
        np.trace: lambda a, offset=0: trace(matrices(a, "trace"), offset=offset),
        np.kron: lambda a, b: rules.kron(matrices(a, "kron"), matrices(b, "kron")),
        np.outer: outer,
        np.einsum: lambda subscripts, *operands, optimize=False: rules.einsum(subscripts, *operands),
        np.dot: dot,
        linalg.outer: outer,
        linalg.inv: lambda a: rules.inv(a),
        linalg.solve: lambda a, b: rules.solve(a, b),
        linalg.det: lambda a: rules.det(a),
        linalg.slogdet: slogdet,
        linalg.cholesky: lambda a, *, upper=False: rules.cholesky(a, upper=upper),
        linalg.eigvalsh: lambda a: rules.eigvalsh(a),
        linalg.svdvals: lambda x: rules.svdvals(x),
        linalg.matrix_power: lambda a, n: rules.matrix_power(a, n=n),
        linalg.matrix_transpose: lambda x: rules.matrix_transpose(x),
        linalg.trace: trace,
        linalg.diagonal: lambda x, *, offset=0: rules.diagonal(x, offset=offset),
        linalg.matmul: lambda x1, x2: rules.matmul(x1, x2),
        linalg.norm: norm,
    }
