"""What each array library calls things: NumPy, PyTorch, TensorFlow under one set of names.

May import NumPy, SciPy, array-api-compat, `overbar._messages` and `overbar._refinement`; never a framework. A rule asks
``xp = namespace(A)`` and writes its maths with ``xp.*``, ``@``, ``A[..., a:b]`` and Python numbers only. The names are
those of the Python array API standard (https://data-apis.org/array-api), plus the few routines that matrix derivatives
need and the standard lacks: the methods of `Namespace` below. A framework's front (`torch_ops`, `tf_ops`) subclasses
`Namespace` and calls `register` for its array type when it is imported. Arrays of a library that nobody registered are
refused: it would compute the values, and where it differentiates by itself, do so without the rules.
"""

from __future__ import annotations

import math
import operator
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat
import array_api_compat.numpy
import numpy as np
import scipy.linalg
from numpy.linalg import LinAlgError

from overbar._messages import bad_spectrum, no_inverse, not_positive_definite, singular, which_matrix
from overbar._refinement import refined

__all__ = ["DtypeError", "Namespace", "ShapeError", "mH", "mT", "namespace", "register"]


_PYTHON = (bool, int, float, complex, list, tuple)  # Python's own numbers and lists, which belong to no library


class ShapeError(LinAlgError):
    """An array's shape does not fit the function. (A `numpy.linalg.LinAlgError`, hence a `ValueError`.)"""


class DtypeError(LinAlgError, TypeError):
    """An array's dtype is not real or complex floating point. (A `LinAlgError` and a `TypeError`.)"""


class Namespace:
    """The array API of one library, and what the standard lacks.

    Attributes not found here are looked up in `base`, a module that follows the array API standard. Every method takes
    arrays with leading batch dimensions. ``shape`` entries are integers, or symbols of the library where a size is not
    known when the program is built (TensorFlow graphs).
    """

    #: what messages call the library
    name = "array API"
    #: the exceptions that a user of this library expects
    ShapeError: type[Exception] = ShapeError
    DtypeError: type[Exception] = DtypeError
    LinAlgError: type[Exception] = LinAlgError
    #: whether its matrix functions take arrays of different dtypes, and promote them
    promotes = True
    #: what a user does about a size that is not known while the program is built
    tell_sizes = ""
    #: whether an inverse comes by columns, as LAPACK has it, and not by rows
    inverse_by_columns = False

    def __init__(self, base: Any) -> None:
        self.base = base

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "base":
            raise AttributeError(name)
        attribute = getattr(self.base, name)
        setattr(self, name, attribute)  # so that the next look-up is an ordinary one
        return attribute

    def __repr__(self) -> str:
        return f"<namespace of {self.name}>"

    # -- arrays in, arrays out -------------------------------------------------------------------------------------

    def as_arrays(self, values: Sequence[Any]) -> list[Any]:
        """The given arrays, Python numbers and nested lists as arrays of this library. Numbers adopt the dtype of an
        array beside them, as everywhere in the array API; integers alone become floating point."""
        like = next((v for v in values if not isinstance(v, _PYTHON)), None)
        return [self._from_python(v, like) if isinstance(v, _PYTHON) else v for v in values]

    def _from_python(self, value, like):
        number = not isinstance(value, (list, tuple))
        if number and like is not None and (not isinstance(value, complex) or self.is_complex(like)):
            return self.asarray(value, dtype=like.dtype, device=array_api_compat.device(like))
        array = self.asarray(value)
        return self.astype(array, self.asarray(1.0).dtype) if self.base.isdtype(array.dtype, "integral") else array

    def enter(self, primitive: Any, arrays: Any, options: Any) -> Any:
        """What a primitive returns that a user called by its own name."""
        return primitive.apply(self, arrays, options)

    def call(self, primitive: Any, arrays: Any, options: Any) -> tuple[Any, ...]:
        """The value of a primitive on arrays of this library: all outputs, hidden ones too, as a tuple."""
        return primitive.run(arrays, options)

    #: The shape as a tuple, None for a size that is not known yet; None alone for an unknown rank. (Every call asks for
    #: it. This way it takes no step of Python's.)
    static_shape: Callable[[Any], tuple[int | None, ...] | None] = staticmethod(operator.attrgetter("shape"))

    def fits(self, bar: Any, array: Any) -> bool:
        """Whether a bar is known to have the type, the dtype and the shape of its array: nothing needs to be converted
        or summed then."""
        return type(bar) is type(array) and bar.dtype == array.dtype and bar.shape == array.shape

    def shape(self, A: Any) -> tuple[Any, ...]:
        """The shape as a tuple of sizes that can be used in a computation."""
        return tuple(A.shape)

    def is_floating(self, A: Any) -> bool:
        return self.base.isdtype(A.dtype, ("real floating", "complex floating"))

    def is_complex(self, A: Any) -> bool:
        return self.base.isdtype(A.dtype, "complex floating")

    def is_real_of(self, A: Any, like: Any) -> bool:
        """Whether A is real and `like` complex, in the same precision."""
        return self.is_complex(like) and not self.is_complex(A) and self.eps(A) == self.eps(like)

    def eps(self, A: Any) -> float:
        """The distance from 1 to the next larger number in A's precision."""
        return float(self.base.finfo(A.dtype).eps)

    def cast(self, A: Any, like: Any) -> Any:
        """A in the dtype of `like`; the real part where `like` is real."""
        if A.dtype == like.dtype:
            return A
        if self.is_complex(A) and not self.is_complex(like):
            A = self.real(A)
        return self.base.astype(A, like.dtype, copy=False)

    def constant(self, value: Any, like: Any) -> Any:
        """A NumPy array of constants as an array beside `like` (same device); its dtype is kept."""
        return self.base.asarray(value, device=array_api_compat.device(like))

    # -- elementwise -----------------------------------------------------------------------------------------------

    def conj(self, A: Any) -> Any:
        return self.base.conj(A) if self.is_complex(A) else A

    def real(self, A: Any) -> Any:
        return self.base.real(A) if self.is_complex(A) else A

    def power_of_two(self, A: Any) -> Any:
        """For each matrix of A (..., m, n) a power of 2 next to its largest entry, in an array (..., 1, 1) of A's real
        dtype; 1 where that entry is zero, infinite or NaN, or there is none.

        Multiplying and dividing by it rounds nothing. A rule whose products of several factors A, or A⁻¹, would leave
        the range of numbers where its result does not, applies itself to A/c and gives the result its powers of c. As
        the result is the same for every c, derivatives take c for a constant.
        """
        A = self.detached(A)
        if 0 in A.shape[-2:]:
            return self.zeros_like(self.real(self.sum(A, axis=(-2, -1), keepdims=True))) + 1
        largest = self.max(self.abs(A), axis=(-2, -1), keepdims=True)
        one = self.ones_like(largest)
        largest = self.where(self.isfinite(largest) & (largest > 0), largest, one)
        tiny = self.smallest_scale(largest)  # so that 1/c is a number too
        largest = self.where(largest < tiny, tiny * one, self.where(largest > 1 / tiny, one / tiny, largest))
        return self.as_power_of_two(largest)

    def sum_of_squares(self, *arrays: Any) -> Any:
        """Σ |Aᵢⱼ|² of each matrix (..., m, n), for several arrays the product; infinite or NaN, without a warning,
        where it is beyond the range of numbers."""
        sums = [self.sum(self.real(self.conj(A) * A), axis=(-2, -1)) for A in arrays]
        return math.prod(sums[1:], start=sums[0])

    def smallest_scale(self, x: Any) -> float:
        return 2.0**-120 if self.eps(x) > 1e-12 else 2.0**-1000

    def detached(self, A: Any) -> Any:
        """A as a constant of whoever differentiates."""
        return A

    def as_power_of_two(self, x: Any) -> Any:
        """The power of 2 next to x, below it, for positive normal numbers x."""
        return self.base.pow(2 + 0 * x, self.base.floor(self.base.log2(x)))

    # -- shapes ----------------------------------------------------------------------------------------------------

    def mT(self, A: Any) -> Any:
        return self.base.matrix_transpose(A)

    def mH(self, A: Any) -> Any:
        return self.conj(self.mT(A))

    def block(self, rows: Any) -> Any:
        """The block matrix [[A, B], [C, D]] of matrices (..., m, n)."""
        return self.concat([self.concat(row, axis=-1) for row in rows], axis=-2)

    def eye_like(self, A: Any) -> Any:
        """The identity of the last two dimensions of A, in its dtype; ones on the diagonal where they differ."""
        return self.base.eye(*A.shape[-2:], dtype=A.dtype, device=array_api_compat.device(A))

    def sum_to(self, A: Any, shape: Sequence[Any]) -> Any:
        """The sum of A over the dimensions along which an array of the given shape was broadcast to A's: the reverse
        rule of broadcasting."""
        if tuple(A.shape) == tuple(shape):
            return A
        lead = A.ndim - len(shape)
        axes = tuple(range(lead)) + tuple(
            lead + i for i, size in enumerate(shape) if size == 1 and A.shape[lead + i] != 1
        )
        return self.reshape(self.sum(A, axis=axes, keepdims=True), tuple(shape))

    def diagonal(self, A: Any, offset: int = 0) -> Any:
        """The diagonal A[..., i, i + offset] as a vector (..., k)."""
        m, n = A.shape[-2:]
        index = diagonal_positions(m, n, offset)
        flat = self.reshape(A, (*A.shape[:-2], m * n))
        return self.take(flat, self.constant(index, A), axis=-1)

    def diagonal_embed(self, d: Any, m: Any, n: Any, offset: int = 0) -> Any:
        """The m by n matrix, zero but for d on the diagonal [..., i, i + offset]: the adjoint of `diagonal`."""
        return self.embed(d, self.constant(diagonal_positions(m, n, offset), d), (m, n))

    def positions(self, shape: Sequence[Any], index: Any, like: Any) -> Any:
        """Where ``A[index]`` lies in an array of this shape, counted along the flattened array. On the host, or already
        beside `like`: `constant` takes both."""
        return np.arange(math.prod(shape)).reshape(shape)[index]

    def reshape_positions(self, where: Any) -> Any:
        """What `positions` found, as a vector."""
        return where.reshape(-1)

    def subset(self, A: Any, index: Any, ndim: int) -> Any:
        """``A[..., index]``, where `index` is any NumPy index into the last `ndim` dimensions."""
        batch, core = A.shape[: A.ndim - ndim], A.shape[A.ndim - ndim :]
        where = self.positions(tuple(core), index, A)
        flat = self.reshape(A, (*batch, math.prod(core)))
        taken = self.take(flat, self.constant(where.reshape(-1), A), axis=-1)
        return self.reshape(taken, (*batch, *where.shape))

    def embed(self, B: Any, where: Any, shape: Sequence[Any]) -> Any:
        """Zeros of shape (..., *shape), with B (..., k) added at the k positions `where` of the flattened array: the
        adjoint of `subset`."""
        size = math.prod(shape)
        # a product with a 0-1 matrix is the only scatter-add that the array API standard can spell
        hot = self.astype(where[:, None] == self.arange(size, device=array_api_compat.device(B))[None, :], B.dtype)
        return self.reshape(B[..., None, :] @ hot, (*B.shape[:-1], *shape))

    # -- linear algebra --------------------------------------------------------------------------------------------

    def if_else(self, predicate: Any, yes: Any, no: Any) -> Any:
        """``yes()`` or ``no()``, by a predicate about sizes. Where sizes are not known when the program is built, both
        become part of it, and the choice is made when it runs."""
        return yes() if predicate else no()

    def choose(self, mask: Any, yes: Any, no: Any) -> Any:
        """``yes()`` where the mask holds for every matrix of the batch, ``no()`` otherwise. Both compute the same, `no`
        for any matrix: where numbers cannot be looked at, because a compiler traces, it is ``no()``. For functions of
        primitives, not for rules."""
        return yes() if bool(self.all(mask)) else no()

    def constant_function(self, function: Any, arrays: Any, message: str) -> Any:
        """``function(*arrays)`` for a user's function among the options of a primitive, of which only the dependence
        on `arrays` is differentiated, by a rule. Raises TypeError with the message where the library sees that its
        value depends on something else that has a derivative: that would be lost without a word."""
        return function(*arrays)

    def of_unknown_rank(self, primitive: Any, arrays: Any, options: Any) -> Any:
        """The outputs of a primitive of arrays of which at least one has no rank yet (`static_shape` is None)."""
        raise self.ShapeError(f"{primitive.name}: the rank of an array is unknown.")

    def sees_numbers(self, *arrays: Any) -> bool:
        """Whether `repeat` can look at the numbers in these arrays. Where a compiler or a transform looks on, which
        knows only their shapes, it cannot: `on_host` can, even there."""
        return True

    def may_hold(self, mask: Any) -> bool:
        """Whether a mask holds anywhere, or nobody can tell without waiting for a device, or while a compiler or a
        transform looks on. What a rule may leave out then must change no number."""
        return bool(self.any(mask)) if self.sees_numbers(mask) else True

    def first(self, mask: Any) -> Any:
        """Of the entries of each column of a mask (..., m, n) that hold, the first one."""
        return mask & (self.cumulative_sum(self.astype(mask, self.int32), axis=-2) == 1)

    def only_if(self, mask: Any, compute: Any, otherwise: Any) -> Any:
        """``compute()``, a constant of whoever differentiates, if the mask may hold anywhere. Else None, or
        ``otherwise()`` where a graph is built, and the choice is made when it runs."""
        return compute() if self.may_hold(mask) else None

    def warn(self, mask: Any, message: str) -> None:
        """Warn, at the line of the user's program from which the call comes, if the mask holds anywhere. Where numbers
        cannot be looked at there is no warning."""
        if self.sees_numbers(mask) and bool(self.any(mask)):
            warnings.warn(message, RuntimeWarning, stacklevel=_users_level())

    def repeat(self, counts: Any, step: Any, state: Any) -> Any:
        """``state = step(i, state)`` for i = 0, 1, ... below the largest of `counts`. A state is a list of arrays,
        whose shapes do not change. For functions of primitives: none of the libraries differentiates this well."""
        most = int(self.max(counts)) if math.prod(counts.shape) else 0
        for i in range(most):
            state = step(i, state)
        return state

    def buffer(self, *arrays: Any) -> Any:
        """An array like the first of `arrays` to write results into; None where arrays cannot be written to, or where a
        computation with these arrays is watched by somebody who differentiates it."""
        return None

    def add_product(self, C: Any, A: Any, B: Any, scale: Any) -> Any:
        """C + scale · A B, with as little traffic through memory as the library allows."""
        return C + scale * (A @ B)

    def require(self, A: Any, fine: Any, message: str) -> Any:
        """A, whose matrices must all be `fine` (booleans of the batch dimensions): else it raises with the message.
        Where nothing can be raised, under XLA, the matrices that are not fine are NaN."""
        if not bool(self.all(fine)):
            index = np.argwhere(~np.asarray(fine))
            raise self.LinAlgError(message.replace("argument A", f"argument A{which_matrix(index[0])}"))
        return A

    def cholesky(self, A: Any, argument: str = "A", on_error: str = "raise") -> Any:
        """The lower Cholesky factor of Hermitian positive definite A, of which it reads the lower triangle. Raises this
        library's LinAlgError, naming the matrix of the batch and the leading minor, where there is none; with
        ``on_error="nan"`` such a factor is NaN."""
        return self.base.linalg.cholesky(A)

    def without_singular(self, A: Any) -> tuple[Any, Any]:
        """The matrices, the identity in the place of those that are singular, and an array (..., 1, 1) by which to
        multiply what is computed of them: NaN for those, 1 for the others."""
        logarithm = self.slogdet(self.detached(A))[1][..., None, None]
        bad, one = logarithm == -math.inf, self.ones_like(logarithm)
        return self.where(bad, self.eye_like(A), A), self.cast(self.where(bad, math.nan * one, one), A)

    def solve(self, A: Any, B: Any, check: bool = True) -> Any:
        """A⁻¹ B for square A (..., n, n) and B (..., n, k). Without `check`, which is for rules whose function has
        solved with A before, a singular A need not raise: looking for one makes the host wait for the device."""
        return self.base.linalg.solve(A, B)

    def inv(self, A: Any, warn: bool = False, regular: bool = False) -> Any:
        """A⁻¹. Raises this library's LinAlgError, naming the matrix of the batch, where there is none. With `warn`,
        NumPy warns where no digit is certain. With `regular`, it is known that all matrices have an inverse, and need
        not be looked for again."""
        return self.base.linalg.inv(A)

    def inverse(self, A: Any) -> Any:
        """A⁻¹ for rules whose function has looked at A before: it may be NaN or infinite where A is singular, and the
        host need not wait for the device to know."""
        return self.solve(A, self.eye_like(A) + self.zeros_like(A), check=False)

    def slogdet(self, A: Any) -> tuple[Any, Any]:
        """The sign (or phase) of det A, and log |det A|, which is −∞ where A is singular."""
        return tuple(self.base.linalg.slogdet(A))

    def lu_factor(self, kernel: Any, A: Any) -> tuple[Any, Any, Any]:
        """What the kernel `overbar.rules.lu.getrf` computes: both factors in one array, pivots and rows."""
        return self.on_host(kernel, A)

    def ldl_factor(self, kernel: Any, A: Any, hermitian: bool) -> tuple[Any, Any]:
        """What the kernel `overbar.rules.ldl_compact.sytrf` computes: both factors in one array, and pivots."""
        return self.on_host(kernel, A, hermitian=hermitian)

    def permutation_matrix(self, p: Any, like: Any) -> Any:
        """The matrix P for which P[:, i] is the unit vector of p[i]: (Pᵀ A)[i] = A[p[i]]. In the dtype of `like`."""
        i = self.arange(p.shape[-1], dtype=p.dtype, device=array_api_compat.device(p))
        return self.astype(i[:, None] == p[..., None, :], like.dtype)

    def take_rows(self, A: Any, p: Any) -> Any:
        """The rows A[..., p[i], :] of a matrix (..., m, n), for integers p (..., k); batch dimensions broadcast."""
        p = p[..., None]
        for _ in range(p.ndim - A.ndim):
            A = self.expand_dims(A, axis=0)
        for _ in range(A.ndim - p.ndim):
            p = self.expand_dims(p, axis=0)
        return self.take_along_axis(A, p, axis=-2)

    def qr(self, A: Any, mode: str = "reduced") -> tuple[Any, Any]:
        """A = Q R; with mode "complete" Q is square."""
        return tuple(self.base.linalg.qr(A, mode=mode))

    def eigh(self, A: Any) -> tuple[Any, Any]:
        """The eigenvalues in ascending order and the eigenvectors, as columns, of Hermitian A, of which it reads the
        lower triangle."""
        return tuple(self.base.linalg.eigh(self.tril(A) + self.mH(self.tril(A, k=-1))))

    def eig(self, A: Any) -> tuple[Any, Any]:
        """The eigenvalues and the eigenvectors, of norm 1 and as columns, of square A: complex."""
        return self._by_numpy("eig", A)

    def svd(self, A: Any, full_matrices: bool = False) -> tuple[Any, Any, Any]:
        """U, the singular values in descending order, and Vᴴ."""
        return tuple(self.base.linalg.svd(A, full_matrices=full_matrices))

    def rounding(self, A: Any) -> Any:
        """ε max(m, n): which part of the largest singular value of A (..., m, n) counts as zero."""
        return self.eps(A) * max(A.shape[-2:])

    def near_pairs(self, w: Any, part: float) -> tuple[Any, ...] | None:
        """Which pairs of entries of w (..., n), in ascending order, are no farther apart than this part of the largest
        modulus: NumPy's index arrays of the batch, of i and of j > i; nothing where there are none. A rule then divides
        by all differences, `over_gaps`, and looks at these pairs only, whose entries in the result it may write.

        None where numbers cannot be looked at, something watches, or there are so many that it saves nothing.
        """
        return None

    def over_gaps(self, K: Any, w: Any, diagonal: Any) -> Any:
        """Kᵢⱼ/(wⱼ − wᵢ) off the diagonal and `diagonal` on it, for what `near_pairs` was asked about before; what is
        divided by zero is infinite or NaN. K is not needed afterwards."""
        raise NotImplementedError

    def expm_along(self, A: Any, *directions: Any) -> Any:
        """The exponential of A, or its derivative along directions, where the library has a function of its own that is
        quicker for these numbers and as exact; else None. Nobody differentiates it."""
        return None

    def expm(self, A: Any) -> Any:
        """The matrix exponential."""
        return self._by_numpy("expm", A)

    def on_host(self, kernel: Any, *arrays: Any, **options: Any) -> tuple[Any, ...]:
        """All outputs of a kernel (`overbar.kernels`) as a tuple: what no function of the library computes."""
        found = kernel(*(np.asarray(A) for A in arrays), **options)
        return tuple(self.constant(x, arrays[0]) for x in found)

    def on_the_host(self, A: Any) -> bool:
        """Whether the array lies where kernels run, so that one may take the place of a function of the library."""
        return False

    def _by_numpy(self, method, A):
        found = getattr(NUMPY, method)(np.asarray(A))
        return tuple(self.constant(x, A) for x in found) if isinstance(found, tuple) else self.constant(found, A)

    def solve_triangular(
        self, A: Any, B: Any, *, upper: bool, left: bool = True, adjoint: bool = False, unitriangular: bool = False
    ) -> Any:
        """op(A)⁻¹ B, or B op(A)⁻¹ where `left` is false; op(A) is A, or Aᴴ where `adjoint` is true. Reads the named
        triangle of A only. Batch dimensions broadcast."""
        T = self.triu(A) if upper else self.tril(A)
        if unitriangular:
            eye = self.eye_like(A)
            T = T - T * eye + eye
        if adjoint:
            T = self.mH(T)
        return self.solve(T, B) if left else self.mT(self.solve(self.mT(T), self.mT(B)))


_SMALL = 48  # the size up to which NumPy solves triangular systems without halving them


def _users_level():
    """The level in the stack of the first function that is not ours nor a framework's, as `warnings` counts them for
    whoever called this."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _INSIDE:
            return level
        frame, level = frame.f_back, level + 1
    return level


_INSIDE = {"overbar", "torch_ops", "tf_ops", "torch", "tensorflow", "functools", "contextlib"}


def pairs_of(w: np.ndarray, part: float) -> tuple[np.ndarray, ...] | None:
    """`Namespace.near_pairs` of a NumPy array."""
    if 0 in w.shape:
        return ()
    least = part * np.maximum(-w[..., :1], w[..., -1:])
    found, count = [], 0
    for distance in range(1, w.shape[-1]):
        near = w[..., distance:] - w[..., :-distance] <= least
        if not near.any():
            break
        *batch, i = np.nonzero(near)
        count += len(i)
        if count > w.size * (1 + w.shape[-1] // 16):
            return None
        found.append((*batch, i, i + distance))
    return tuple(map(np.concatenate, zip(*found, strict=True))) if found else ()


class NumpyNamespace(Namespace):
    """NumPy. SciPy's LAPACK appears in messages only, see `_substitute`."""

    name = "NumPy"

    def is_floating(self, A):
        return A.dtype.char in "fdFD"  # what LAPACK has

    def is_complex(self, A):
        return A.dtype.kind == "c"

    def as_arrays(self, values):
        for value in values:
            if type(value) is not np.ndarray:
                break
        else:
            return values
        try:
            return [np.asarray(v) for v in super().as_arrays(values)]  # no subclass, no scalar of NumPy's own
        except ValueError as error:  # a ragged list
            raise self.ShapeError(f"a nested list does not make an array: {error}") from None

    def sum_to(self, A, shape):
        return super().sum_to(np.asarray(A), shape)

    def buffer(self, *arrays):
        shape = np.broadcast_shapes(*(A.shape for A in arrays))
        return np.empty(shape, np.result_type(*arrays))

    def near_pairs(self, w, part):
        return pairs_of(w, part)

    def over_gaps(self, K, w, diagonal):
        i = np.arange(w.shape[-1])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            K = K / (w[..., None, :] - w[..., :, None] + np.eye(len(i), dtype=w.dtype))
        K[..., i, i] = diagonal
        return K

    def add_product(self, C, A, B, scale):
        product = A @ B
        product *= scale
        product += C
        return product

    def sum_of_squares(self, *arrays):
        with np.errstate(all="ignore"):
            return super().sum_of_squares(*arrays)

    def power_of_two(self, A):
        _, exponent = np.frexp(np.abs(A).max((-2, -1), keepdims=True, initial=0))  # 0 for what has none
        limit = 120 if A.dtype.char in "fF" else 1000
        return np.ldexp(A.real.dtype.type(1), exponent.clip(-limit, limit))

    def diagonal(self, A, offset=0):
        return np.diagonal(A, offset, -2, -1)

    def diagonal_embed(self, d, m, n, offset=0):
        A = np.zeros((*d.shape[:-1], m, n), d.dtype)
        i = np.arange(d.shape[-1])
        A[..., i + max(-offset, 0), i + max(offset, 0)] = d
        return A

    def subset(self, A, index, ndim):
        index = index if isinstance(index, tuple) else (index,)
        if all(isinstance(i, (int, slice)) for i in index):
            return A[(slice(None),) * (A.ndim - ndim) + index]
        return super().subset(A, index, ndim)

    def embed(self, B, where, shape):
        size = math.prod(shape)
        A = np.zeros((*B.shape[:-1], size), B.dtype)
        seen = np.zeros(size, bool)
        seen[where] = True
        if np.count_nonzero(seen) == len(where):
            A[..., where] = B
        else:  # some entry more than once
            np.add.at(A, (..., where), B)
        return A.reshape(*B.shape[:-1], *shape)

    def cholesky(self, A, argument="A", on_error="raise"):
        try:
            L = np.linalg.cholesky(A)
        except LinAlgError:
            L = None
        # NaN in the triangle that is read reaches the diagonal; infinity may hide behind it
        if L is None or not np.isfinite(np.diagonal(L, 0, -2, -1)).all():
            if on_error == "raise":
                raise LinAlgError(not_positive_definite(A, argument))
            if A.ndim == 2:
                return np.full_like(A, np.nan)
            return np.stack([self.cholesky(M, argument, on_error) for M in A])
        return L

    def solve(self, A, B, check=True):
        if A.ndim == 2 and B.ndim > 2:  # one matrix, many right-hand sides: as columns of one system
            n, k = B.shape[-2:]
            X = self.solve(A, np.moveaxis(B, -2, 0).reshape(n, math.prod(B.shape[:-2]) * k))
            return np.moveaxis(X.reshape(n, *B.shape[:-2], k), 0, -2)
        try:
            return refined(lambda A, R, X: np.linalg.solve(A, R), A, B, np.linalg.solve(A, B), "solve" if check else "")
        except LinAlgError:
            raise LinAlgError(singular("A", _first_singular(A))) from None

    def inv(self, A, warn=False, regular=False):
        try:
            eye = np.eye(A.shape[-1], dtype=A.dtype)
            return refined(lambda A, R, X: X @ R, A, eye, np.linalg.inv(A), "inv" if warn else "")
        except LinAlgError:
            raise LinAlgError(no_inverse("A", _first_singular(A))) from None

    def eigh(self, A):
        try:
            w, V = np.linalg.eigh(A)
        except LinAlgError as error:
            raise LinAlgError(f"{error}\n{bad_spectrum('eigh', np.tril(A), 'A')}") from None
        if not np.isfinite(w).all():
            raise LinAlgError(bad_spectrum("eigh", np.tril(A), "A"))
        return w, V

    def svd(self, A, full_matrices=False):
        try:
            return tuple(np.linalg.svd(A, full_matrices=full_matrices))
        except LinAlgError as error:
            raise LinAlgError(f"{error}\n{bad_spectrum('svd', A, 'A')}") from None

    def call(self, primitive, arrays, options):
        if not primitive.signature.whole:
            return primitive.run(arrays, options)
        try:
            return primitive.run(arrays, options)
        except LinAlgError:
            raise
        except (IndexError, TypeError, ValueError) as error:  # an axis, a shape or an index that does not fit
            kind = next(kind for kind in (IndexError, TypeError, ValueError) if isinstance(error, kind))
            given = ", ".join(f"{name}={value!r}" for name, value in options.items() if name != "batch_ndim")
            shapes = ", ".join(str(A.shape) for A in arrays)
            raise kind(f"{primitive.name}: {given} does not fit arrays of shapes {shapes}: {error}") from error

    def eig(self, A):
        try:
            w, V = np.linalg.eig(A)
        except LinAlgError as error:
            raise LinAlgError(f"{error}\n{bad_spectrum('eig', A, 'A')}") from None
        kind = np.result_type(A.dtype, np.complex64)  # numpy.linalg.eig gives real arrays where it can
        return w.astype(kind, copy=False), V.astype(kind, copy=False)

    def expm(self, A):
        return scipy.linalg.expm(A)

    def on_host(self, kernel, *arrays, **options):
        return kernel(*arrays, **options)

    def on_the_host(self, A):
        return True

    def solve_triangular(self, A, B, *, upper, left=True, adjoint=False, unitriangular=False):
        if not unitriangular:
            zero = np.diagonal(A, 0, -2, -1) == 0
            if zero.any():
                *index, i = np.argwhere(zero)[0].tolist()
                raise LinAlgError(f"{singular('A', index)} Its diagonal is zero at ({i}, {i}).")
        if not left:  # X op(A) = B  is  op(A)ᵀ Xᵀ = Bᵀ
            if adjoint:  # (Aᴴ)ᵀ = conj(A)
                A = self.conj(A)
            else:
                A, upper = A.swapaxes(-1, -2), not upper
            return self._substitute(A, B.swapaxes(-1, -2), upper, unitriangular).swapaxes(-1, -2)
        if adjoint:
            A, upper = self.mH(A), not upper
        if A.ndim == 2 and B.ndim > 2:  # one factor, many right-hand sides: as columns of one system
            n, k = B.shape[-2:]
            columns = np.moveaxis(B, -2, 0).reshape(n, math.prod(B.shape[:-2]) * k)
            X = self._substitute(A, columns, upper, unitriangular)
            return np.moveaxis(X.reshape(n, *B.shape[:-2], k), 0, -2)
        return self._substitute(A, B, upper, unitriangular)

    def _substitute(self, T, B, upper, unitriangular):
        """T⁻¹ B for triangular T, by halves, so that most of the work is in matrix products.

        SciPy has trsm, which does this in one call, but from a BLAS of its own beside NumPy's. When the two take turns,
        the threads of one still wait busily while those of the other work: on two cores the reverse rule of Cholesky
        took several times as long.
        """
        n = T.shape[-1]
        if n <= _SMALL:
            # LAPACK's LU of an upper triangular matrix eliminates nothing and pivots nowhere: solving with it is
            # back substitution to the last bit; a lower triangle is turned into an upper one.
            T = np.triu(T) if upper else np.tril(T)
            if unitriangular:
                T[..., range(n), range(n)] = 1
            if upper:
                return np.linalg.solve(T, B)
            return np.linalg.solve(T[..., ::-1, ::-1], B[..., ::-1, :])[..., ::-1, :]
        k = n // 2
        X = np.empty((*np.broadcast_shapes(T.shape[:-2], B.shape[:-2]), *B.shape[-2:]), np.result_type(T, B))
        first, last = (slice(k, n), slice(0, k)) if upper else (slice(0, k), slice(k, n))
        X[..., first, :] = self._substitute(T[..., first, first], B[..., first, :], upper, unitriangular)
        rest = self.add_product(B[..., last, :], T[..., last, first], X[..., first, :], -1)
        X[..., last, :] = self._substitute(T[..., last, last], rest, upper, unitriangular)
        return X


def _first_singular(A):
    """The index of the first matrix of a batch that LAPACK's LU decomposition finds to be singular."""
    return next((tuple(index) for index in np.argwhere(np.isneginf(np.linalg.slogdet(A)[1])).tolist()), ())


def diagonal_positions(m, n, offset):
    """The positions of the diagonal [i, i + offset] along a flattened m by n matrix."""
    length = max(0, min(m + min(offset, 0), n - max(offset, 0)))
    i = np.arange(length)
    return (i + max(-offset, 0)) * n + i + max(offset, 0)


# -- which library does an array belong to? ----------------------------------------------------------------------------

NUMPY = NumpyNamespace(array_api_compat.numpy)


_WEAK = object()


_known = {np.ndarray: NUMPY, np.generic: NUMPY} | dict.fromkeys(_PYTHON, _WEAK)


_found = dict(_known)


_fronts = {"torch": "torch_ops", "tensorflow": "tf_ops", "keras": "tf_ops"}


_without_front = {
    "jax": "JAX",
    "jaxlib": "JAX",
    "dask": "Dask",
    "cupy": "CuPy",
}


_remedies = {
    "JAX": "jax.grad would differentiate the steps of the function, without overbar's rule. Convert it with "
    "numpy.asarray where no transform of JAX's is at work",
    "Dask": "Its matrices are spread over chunks, of which overbar's functions know nothing. Compute it first, "
    "A.compute()",
    "CuPy": "Convert it with cupy.asnumpy, or use torch_ops on the device, torch.from_dlpack(A)",
}


def register(array_type: type, xp: Namespace) -> None:
    """Make `xp` the namespace of arrays of this type and of its subclasses. A front calls it when imported."""
    _known[array_type] = xp
    _found.clear()
    _found.update(_known)


def _find(array):
    kind = type(array)
    for base in kind.__mro__:
        if base in _known:
            break
    else:
        library = kind.__module__.partition(".")[0]
        front = _fronts.get(library)
        if front is not None:
            raise TypeError(
                f"got a {kind.__module__}.{kind.__name__}, but nothing has imported {front} yet. "
                f"Add `import {front}`: it makes every primitive of overbar an op of that framework."
            )
        name = _without_front.get(library)
        if name is not None:
            raise TypeError(
                f"got a {kind.__module__}.{kind.__name__}, but overbar has no front for {name}. {_remedies[name]}."
            )
        if array_api_compat.is_array_api_obj(array):
            raise TypeError(
                f"got a {kind.__module__}.{kind.__name__}, an array of a library for which overbar has no front. "
                "Convert it with numpy.asarray."
            )
        raise TypeError(
            f"got a {kind.__module__}.{kind.__name__}, which is not an array. "
            "Pass NumPy arrays, nested lists of numbers, or arrays of a framework."
        )
    if issubclass(kind, np.ma.MaskedArray):
        raise TypeError(
            "got a masked array, whose mask no matrix function knows. Fill it, numpy.ma.filled(A, value), or leave out "
            "what is masked."
        )
    _found[kind] = _known[base]
    return _known[base]


def namespace(*arrays: Any) -> Namespace:
    """The namespace that the given arrays have in common.

    NumPy's, where there are only NumPy arrays and Python numbers. Where NumPy arrays stand beside arrays of a framework
    it is the framework's, which converts them or says why not. Raises TypeError for what is no array, for arrays of a
    library that has no front, and for arrays of two frameworks.

    >>> namespace(np.eye(2), 3.0)
    <namespace of NumPy>
    """
    common = None
    for array in arrays:
        xp = _found.get(type(array)) or _find(array)
        if xp is _WEAK or xp is common:
            continue
        if common is None or common is NUMPY:
            common = xp
        elif xp is not NUMPY:
            raise TypeError(f"got arrays of {common.name} and of {xp.name} in one call. Convert one of them first.")
    return NUMPY if common is None else common


def mT(A: Any) -> Any:
    """The transpose of the last two dimensions."""
    return namespace(A).mT(A)


def mH(A: Any) -> Any:
    """The conjugate transpose of the last two dimensions."""
    return namespace(A).mH(A)
