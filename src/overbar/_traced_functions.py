"""NumPy's functions on traced arrays: which primitive, or which words, mean the same.

May import NumPy and `overbar.rules`. A function is here where its value is NumPy's, in the cases that its parameters
here allow; the sweep refuses others by name. Missing on purpose are those that choose otherwise than the primitive of
that name: the order of `eig`, the signs of the vectors of `eigh`, `svd` and `qr`.
"""

from __future__ import annotations

import functools
import inspect
import math
from typing import Any

import numpy as np

from overbar import rules
from overbar.rules import _ufuncs
from overbar.rules._special_functions import only_real

__all__ = ["INSTEAD", "METHODS", "OF_NUMBERS", "STEPS", "functions", "ufuncs"]

#: NumPy's ufuncs whose results have no derivative, or change in steps only: computed of the numbers alone.
STEPS = {
    "ceil", "equal", "floor", "floor_divide", "greater", "greater_equal", "isfinite", "isinf", "isnan", "less",
    "less_equal", "logical_and", "logical_not", "logical_or", "logical_xor", "not_equal", "rint", "signbit", "trunc",
}  # fmt: skip

#: NumPy's functions that move entries about, or repeat them, each with the arguments that hold these entries. What they
#: do with the places of the entries, whole numbers, says where those of a traced array come to lie.
REARRANGING = {
    "a": [np.repeat, np.resize, np.roll, np.rollaxis, np.moveaxis, np.take, np.compress],
    "A": [np.tile],
    "m": [np.flip, np.fliplr, np.flipud, np.rot90],
    "arr": [np.delete, np.extract, np.take_along_axis],
    "arr values": [np.append],
    "ary": [np.array_split, np.split, np.hsplit, np.vsplit, np.dsplit],
    "arys": [np.atleast_1d, np.atleast_2d, np.atleast_3d],
    "arrays": [np.block],
    "args": [np.broadcast_arrays],
    "tup": [np.hstack, np.vstack, np.dstack, np.column_stack],
    "x": [np.unstack] if hasattr(np, "unstack") else [],
    "xi": [np.meshgrid],
}

#: Methods of NumPy's ufuncs, and the functions that do the same.
METHODS = {
    "add.accumulate": np.cumsum, "add.reduce": np.sum, "maximum.reduce": np.max, "minimum.reduce": np.min,
    "multiply.reduce": np.prod,
}  # fmt: skip

_WRITES = "An array cannot be written into here: build it by `numpy.where(mask, A, B)`, `numpy.stack` or `numpy.block`"

#: What to write in place of NumPy's functions that a traced array refuses, as sentences.
INSTEAD = {
    "array": "Make an array of scalars by `numpy.stack([a, b])`, of rows by `numpy.stack`, of blocks by `numpy.block`",
    "asarray": "Use the array as it is",
    "c_": "Call `numpy.column_stack`; instead of `numpy.r_`, `numpy.concatenate`",
    "convolve": "Write a product with a Toeplitz matrix, or a sum of shifted products",
    "copyto": _WRITES,
    "cov": "Write `D.T @ D / (n - 1)` with `D = A - A.mean(0)`, for observations in rows",
    "cumprod": "Write `numpy.exp(numpy.cumsum(numpy.log(A)))` for positive numbers, or a loop",
    "fft.fft": "Write `F @ A` with the matrix `F = numpy.fft.fft(numpy.eye(n))`",
    "fill_diagonal": "Write `A - numpy.diag(numpy.diag(A)) + numpy.diag(d)`, or call `overbar.embed`",
    "full": "Call `numpy.broadcast_to(x, shape)`",
    "interp": "Write a sum of hat functions times the values",
    "linalg.eig": "Call `overbar.eig`; the order and the scale of its vectors may differ from NumPy's",
    "linalg.eigh": "Call `overbar.eigh`; the signs of its vectors may differ from NumPy's",
    "linalg.eigvals": "Call `overbar.eigvals`; their order may differ from NumPy's",
    "linalg.lstsq": "Call `overbar.lstsq`, which returns the same four things",
    "linalg.multi_dot": "Write `A @ (B @ x)`, in the order that is cheapest",
    "linalg.qr": "Call `overbar.qr`; its signs may differ from NumPy's",
    "linalg.svd": "Call `overbar.svd`; the signs of its vectors may differ from NumPy's. Singular values alone are "
    "`numpy.linalg.svdvals(A)`",
    "median": "Take the middle of `numpy.sort(A)`",
    "nan_to_num": "Write `numpy.where(numpy.isfinite(A), A, 0)`",
    "nansum": "Write `numpy.sum(numpy.where(numpy.isnan(A), 0, A))`",
    "percentile": "Take entries of `numpy.sort(A)`",
    "place": _WRITES,
    "put": _WRITES,
    "put_along_axis": _WRITES,
    "putmask": _WRITES,
    "sinc": "Write `numpy.sin(numpy.pi * x) / (numpy.pi * x)`, away from 0",
    "unique": "Which numbers there are has no derivative: ask outside of the function",
    "vectorize": "Write the function for whole arrays, or a loop and `numpy.stack`",
}

#: Functions whose results have no derivative: computed of the numbers alone.
OF_NUMBERS = {
    np.all, np.allclose, np.any, np.argmax, np.argmin, np.argpartition, np.argsort, np.argwhere, np.around,
    np.array_equal, np.array_equiv, np.count_nonzero, np.digitize, np.empty_like, np.flatnonzero, np.full_like,
    np.iscomplex, np.iscomplexobj, np.isclose, np.isneginf, np.isposinf, np.isreal, np.isrealobj, np.lexsort, np.ndim,
    np.nonzero, np.ones_like, np.result_type, np.round, np.searchsorted, np.shape, np.size, np.zeros_like,
    np.linalg.matrix_rank,
}  # fmt: skip


def ufuncs(xp: Any) -> dict[str, Any]:
    """NumPy's ufuncs, and SciPy's special functions, by name, in the words of traced arrays."""
    same = (
        "absolute", "add", "cos", "divide", "erf", "exp", "expm1", "gammaln", "log", "log1p", "logaddexp", "matmul",
        "maximum", "minimum", "multiply", "reciprocal", "sign", "sin", "sqrt", "subtract", "tanh",
    )  # fmt: skip
    found = {name: getattr(xp, {"absolute": "abs"}.get(name, name)) for name in same}
    found |= {primitive.name: primitive for primitive in _ufuncs.BY_NAME}

    def in_degrees(A):
        return rules.multiply(A, 180 / math.pi)

    def in_radians(A):
        return rules.multiply(A, math.pi / 180)

    def modulus(A):
        only_real("fabs", A)
        return xp.abs(A)

    return found | {
        "conjugate": xp.conj,
        "deg2rad": in_radians,
        "degrees": in_degrees,
        "expit": rules.sigmoid,
        "fabs": modulus,
        "matvec": lambda A, x: rules.matmul(A, x[..., None])[..., 0],
        "negative": lambda A: rules.multiply(-1, A),
        "positive": lambda A: A,
        "power": xp.pow,
        "psi": rules.digamma,
        "rad2deg": in_degrees,
        "radians": in_radians,
        "square": lambda A: A * A,
        "vecdot": lambda x, y: xp.sum(xp.conj(x) * y, axis=-1),
        "vecmat": lambda x, A: rules.matmul(xp.conj(x)[..., None, :], A)[..., 0, :],
    }


def functions(xp: Any, floating: Any) -> dict[Any, Any]:
    """NumPy's functions, in the words of traced arrays. `floating` gives operands the dtype of the result."""

    def angle(z, deg=False):
        imag = xp.imag(z) if xp.is_complex(z) else xp.zeros_like(z)
        found = _ufuncs.arctan2(imag, xp.real(z))
        return rules.multiply(found, 180 / math.pi) if deg else found

    def ravel(A):
        return xp.reshape(A, (-1,))

    def reshape(a, shape, order="C"):
        if order == "C":
            return xp.reshape(a, shape)
        if order != "F":
            raise TypeError(f"a traced array has no order in memory: order must be 'C' or 'F', not {order!r}.")
        shape = tuple(shape)[::-1] if np.iterable(shape) else shape
        return transpose(xp.reshape(transpose(a), shape))

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

    def array(A):
        return A if hasattr(A, "dtype") else np.asarray(A)

    def operands(*arrays):
        return floating([array(A) for A in arrays])

    def dot(a, b):
        a, b = operands(a, b)
        if 0 in (a.ndim, b.ndim):
            return a * b
        return rules.matmul(a, b) if max(a.ndim, b.ndim) <= 2 else tensordot(a, b, (-1, max(b.ndim - 2, 0)))

    def inner(a, b):
        a, b = operands(a, b)
        return a * b if 0 in (a.ndim, b.ndim) else tensordot(a, b, (-1, -1))

    def tensordot(a, b, axes=2):
        a, b = operands(a, b)
        if isinstance(axes, (int, np.integer)):
            axes = range(a.ndim - axes, a.ndim), range(axes)
        ours, theirs = (
            [range(A.ndim)[i] for i in (of if np.iterable(of) else (of,))] for A, of in zip((a, b), axes, strict=True)
        )
        if [a.shape[i] for i in ours] != [b.shape[i] for i in theirs]:
            raise ValueError(f"numpy.tensordot: the axes {ours} of shape {a.shape} do not fit {theirs} of {b.shape}.")
        free, others = ([i for i in range(A.ndim) if i not in of] for A, of in ((a, ours), (b, theirs)))
        rows, columns = [a.shape[i] for i in free], [b.shape[i] for i in others]
        size = math.prod(a.shape[i] for i in ours)
        A = xp.reshape(xp.permute_dims(a, free + ours), (math.prod(rows), size))
        B = xp.reshape(xp.permute_dims(b, theirs + others), (size, math.prod(columns)))
        return xp.reshape(rules.matmul(A, B), (*rows, *columns))

    def vdot(a, b):
        return xp.sum(xp.conj(ravel(array(a))) * ravel(array(b)))

    def vecdot(x1, x2, *, axis=-1):
        return xp.sum(xp.conj(array(x1)) * x2, axis=axis)

    def cross(a, b):
        a, b = array(a), array(b)
        if a.shape[-1:] != (3,) or b.shape[-1:] != (3,):
            raise TypeError("numpy.cross of a traced array takes vectors of three entries along the last dimension.")
        on, back = [1, 2, 0], [2, 0, 1]
        return a[..., on] * b[..., back] - a[..., back] * b[..., on]

    def cumsum(a, axis=None):
        if axis is None:
            return _ufuncs.cumulated(ravel(a))
        return swapaxes(_ufuncs.cumulated(swapaxes(a, axis, -1)), axis, -1)

    def prod(a, axis=None, keepdims=False):
        axes = range(a.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        axes = [range(a.ndim)[i] for i in axes]
        lead = [i for i in range(a.ndim) if i not in axes]
        kept = tuple(1 if i in axes else n for i, n in enumerate(a.shape)) if keepdims else [a.shape[i] for i in lead]
        k = math.prod(a.shape[i] for i in axes)
        rows = xp.reshape(xp.permute_dims(a, lead + axes), (*(a.shape[i] for i in lead), k))
        if k == 0:
            return np.ones(kept, a.dtype)
        while k > 1:  # by halves: no entry is divided by, so that zeros are no exception
            half, odd = divmod(k, 2)
            pairs = rows[..., :half] * rows[..., half : 2 * half]
            rows, k = xp.concat([pairs, rows[..., 2 * half :]], axis=-1) if odd else pairs, half + odd
        return xp.reshape(rows, kept)

    def diff(a, n=1, axis=-1):
        if n < 0:
            raise ValueError(f"numpy.diff: the order n is {n}. It must not be negative.")
        lead = (slice(None),) * range(a.ndim)[axis]
        for _ in range(n):
            a = a[(*lead, slice(1, None))] - a[(*lead, slice(None, -1))]
        return a

    def average(a, axis=None, weights=None, keepdims=False):
        a = array(a)
        if weights is None:
            return rules.mean(a, axis=axis, keepdims=keepdims)
        weights = array(weights)
        if weights.shape != a.shape:
            if not isinstance(axis, (int, np.integer)) or weights.shape != (a.shape[axis],):
                raise TypeError(
                    f"numpy.average of a traced array: weights of shape {weights.shape} do not fit an array of shape "
                    f"{a.shape} along axis {axis}. They are one for each entry, or a vector along one axis."
                )
            weights = xp.reshape(weights, (-1, *(1,) * (a.ndim - 1 - range(a.ndim)[axis])))
            weights = xp.broadcast_to(weights, a.shape)
        total = xp.sum(weights, axis=axis, keepdims=keepdims)
        if xp.any(xp.equal(total, 0)):
            raise ZeroDivisionError("numpy.average: the weights add up to zero.")
        return xp.sum(a * weights, axis=axis, keepdims=keepdims) / total

    def linspace(start, stop, num=50, endpoint=True):
        if isinstance(start, (int, float)):  # takes the dtype of the other
            start = np.asarray(start, np.result_type(start, stop.dtype))
        elif isinstance(stop, (int, float)):
            stop = np.asarray(stop, np.result_type(stop, start.dtype))
        start, stop = operands(start, stop)
        count = num - 1 if endpoint else num
        wide = np.broadcast_shapes(start.shape, stop.shape)
        step = stop - start
        t = np.arange(num).reshape(-1, *[1] * len(wide)) / max(count, 1)
        points = start + step * t.astype(step.real.dtype)
        if endpoint and num > 1:  # exactly, as NumPy's
            points = xp.concat([points[:-1], xp.broadcast_to(stop, wide)[None]], axis=0)
        return points

    def sort(a, axis=-1):
        if axis is None:
            a, axis = ravel(a), 0
        return xp.take_along_axis(a, xp.argsort(a, axis=axis), axis=axis)

    def largest(a, axis=None, keepdims=False):
        return xp.max(a, axis=axis, keepdims=keepdims)

    def smallest(a, axis=None, keepdims=False):
        return xp.min(a, axis=axis, keepdims=keepdims)

    def ptp(a, axis=None, keepdims=False):
        return largest(a, axis, keepdims) - smallest(a, axis, keepdims)

    def polyval(p, x):
        p, x = array(p), array(x)
        y = np.zeros(x.shape, np.result_type(p.dtype, x.dtype))
        for c in p:
            y = y * x + c
        return y

    def select(condlist, choicelist, default=0):
        found = default
        for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
            found = xp.where(condition, choice, found)
        return found

    def pad(array, pad_width, mode="constant", *, constant_values=0):
        places = np.arange(array.size).reshape(array.shape)
        if mode in ("edge", "reflect", "symmetric", "wrap"):
            return picked(array, np.pad(places, pad_width, mode))
        if mode != "constant":
            raise TypeError(
                f"numpy.pad of a traced array has no mode {mode!r}: there are constant, edge, reflect, symmetric and "
                "wrap."
            )
        inside = np.pad(np.ones(array.shape, bool), pad_width)
        filled = np.pad(np.zeros(array.shape, array.dtype), pad_width, constant_values=constant_values)
        return xp.where(inside, picked(array, np.pad(places, pad_width)), filled) if array.size else filled

    def picked(A, places):
        """The entries of A at places of it, counted through all its dimensions."""
        return xp.reshape(xp.take(ravel(A), places.reshape(-1)), places.shape)

    def rearranging(function, names):
        """NumPy's function, done with the places of the entries of its arrays."""
        signature = inspect.signature(function)

        @functools.wraps(function)
        def rearranged(*args, **kwargs):
            given = signature.bind(*args, **kwargs)
            refused = [name for name in ("out", "dtype") if given.arguments.get(name) is not None]
            if refused:
                raise TypeError(f"numpy.{function.__name__} of a traced array takes no {refused[0]}.")
            parts = []

            def places(x):
                if isinstance(x, (list, tuple)):
                    return type(x)([places(part) for part in x])
                x = array(x)
                start = sum(part.size for part in parts)
                parts.append(x)
                return np.arange(start, start + x.size).reshape(x.shape)

            for name in names:
                if name in given.arguments:
                    given.arguments[name] = places(given.arguments[name])
            found = function(*given.args, **given.kwargs)
            if isinstance(found, (list, tuple)):  # several arrays, each made of one that was given
                ends = np.cumsum([part.size for part in parts])
                own = [min(np.searchsorted(ends, np.min(p, initial=ends[-1]), "right"), len(ends) - 1) for p in found]
                made = [picked(parts[i], p - (ends[i] - parts[i].size)) for i, p in zip(own, found, strict=True)]
                return type(found)(made)
            entries = [ravel(part) for part in parts]
            return picked(entries[0] if len(entries) == 1 else xp.concat(floating(entries), axis=0), found)

        return rearranged

    def lengths(A, ord):
        """The norms of the vectors along the last dimension. A vector is a column to the primitive, whose gradient at
        zero is zero."""
        if ord in (None, 2):
            return rules.matrix_norm(A[..., None])
        over = {1: xp.sum, math.inf: xp.max, -math.inf: xp.min}.get(ord)
        if over is None:
            raise TypeError(f"numpy.linalg.norm of a traced vector has no ord={ord!r}: there are 2, 1, inf and -inf.")
        return over(xp.abs(A), axis=-1)

    def norms(x, ord, axes, keepdims, of):
        """What `of` says of the dimensions in `axes`, which it gets last; they are left out, or kept with size 1."""
        axes = [range(x.ndim)[i] for i in axes]
        lead = [i for i in range(x.ndim) if i not in axes]
        found = of(xp.permute_dims(x, lead + axes), ord)
        return xp.reshape(found, tuple([1 if i in axes else n for i, n in enumerate(x.shape)])) if keepdims else found

    def norm(x, ord=None, axis=None, keepdims=False):
        axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, (int, np.integer)) else axis
        if axis is None and ord is None:  # the Frobenius norm of a matrix, the Euclidean one of everything else
            return norms(x, ord, axes, keepdims, lambda A, ord: lengths(ravel(A), ord))
        if len(axes) == 1:
            return norms(x, ord, axes, keepdims, lengths)
        if len(axes) != 2 or (axes[0] - axes[1]) % x.ndim == 0:
            raise ValueError(f"numpy.linalg.norm: axis {axis} of an array of shape {x.shape} is no vector or matrix.")
        return norms(x, "fro" if ord is None else ord, axes, keepdims, lambda A, ord: rules.matrix_norm(A, ord=ord))

    def vector_norm(x, *, axis=None, keepdims=False, ord=2):
        axes = range(x.ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)

        def flat(A, ord):
            lead = A.shape[: A.ndim - len(axes)]
            return lengths(xp.reshape(A, (*lead, math.prod(A.shape[len(lead) :]))), ord)

        return norms(x, ord, axes, keepdims, flat)

    def matrix_norm(x, *, keepdims=False, ord="fro"):
        return norm(x, ord, (-2, -1), keepdims)

    def svd(a, full_matrices=True, compute_uv=True, hermitian=False):
        if compute_uv or hermitian:
            instead = INSTEAD["linalg.svd"].replace("`", "")
            raise TypeError(f"numpy.linalg.svd got an array whose derivative is being traced. {instead}.")
        return rules.svdvals(a)

    def pinv(a, rcond=None, hermitian=False):
        return rules.pinv(a, rtol=1e-15 if rcond is None else rcond, hermitian=hermitian)  # with NumPy's default

    def slogdet(a):
        return type(np.linalg.slogdet(np.eye(1)))(*rules.slogdet(a))

    def clip(a, a_min=None, a_max=None, *, min=None, max=None):
        return rules.clip(a, a_min if min is None else min, a_max if max is None else max)

    def concatenate(arrays, axis=0):
        arrays = operands(*arrays)
        if axis is None:
            arrays, axis = [ravel(A) for A in arrays], 0
        return xp.concat(arrays, axis=axis)

    inserted = rearranging(np.insert, ["arr", "values"])

    def insert(arr, obj, values, axis=None):
        if arr.dtype.kind not in "fc":
            raise TypeError("numpy.insert puts numbers into an array of integers, which cannot hold traced ones.")
        return inserted(arr, obj, values, axis).astype(arr.dtype)

    linalg = np.linalg
    moved = {f: rearranging(f, names.split()) for names, fs in REARRANGING.items() for f in fs}
    return moved | {
        np.amax: largest,
        np.amin: smallest,
        np.average: average,
        np.copy: lambda a: a,
        np.cross: cross,
        np.cumsum: cumsum,
        np.diff: diff,
        np.inner: inner,
        np.insert: insert,
        np.linspace: linspace,
        np.pad: pad,
        np.polyval: polyval,
        np.prod: prod,
        np.ptp: ptp,
        np.select: select,
        np.sort: sort,
        np.tensordot: tensordot,
        np.vdot: vdot,
        np.astype: lambda x, dtype: x.astype(dtype),
        linalg.cond: lambda x, p=None: rules.cond(x, p=p),
        linalg.cross: cross,
        linalg.pinv: pinv,
        linalg.svd: svd,
        linalg.tensordot: tensordot,
        linalg.vecdot: vecdot,
        np.sum: total,
        np.mean: lambda a, axis=None, keepdims=False: rules.mean(a, axis=axis, keepdims=keepdims),
        np.var: lambda a, axis=None, ddof=0, keepdims=False: rules.var(a, axis=axis, ddof=ddof, keepdims=keepdims),
        np.std: lambda a, axis=None, ddof=0, keepdims=False: rules.std(a, axis=axis, ddof=ddof, keepdims=keepdims),
        np.max: largest,
        np.min: smallest,
        np.clip: clip,
        np.where: lambda condition, x, y: xp.where(condition, x, y),
        np.angle: angle,
        np.real: lambda val: xp.real(val),
        np.imag: lambda val: xp.imag(val),
        np.reshape: reshape,
        np.ravel: lambda a, order="C": reshape(a, -1, order),
        np.transpose: transpose,
        np.permute_dims: transpose,
        np.swapaxes: swapaxes,
        np.matrix_transpose: lambda x: rules.matrix_transpose(x),
        np.squeeze: squeeze,
        np.expand_dims: lambda a, axis: rules.expand_dims(a, axis),
        np.broadcast_to: lambda array, shape: xp.broadcast_to(array, (shape,) if isinstance(shape, int) else shape),
        np.concatenate: concatenate,
        np.stack: lambda arrays, axis=0: xp.stack(operands(*arrays), axis=axis),
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
        linalg.vector_norm: vector_norm,
        linalg.matrix_norm: matrix_norm,
    }
