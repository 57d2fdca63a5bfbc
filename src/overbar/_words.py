"""The words in which rules are written: what each array library calls things, under one set of names.

May import NumPy, array-api-compat, and SciPy's special functions when one of them is asked for. A rule asks
``xp = namespace(A)`` and writes its mathematics with ``xp.*``, ``@``, ``A[..., a:b]`` and Python numbers only. The
names are those of the Python array API standard (https://data-apis.org/array-api), plus the few routines that matrix
derivatives need and the standard lacks: the methods of `Words`. A framework's front (`torch_ops`, `tf_ops`) subclasses
it. How a primitive is called in a library is no word: that is `overbar._front`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import array_api_compat
import numpy as np

__all__ = ["Words"]


class Words:
    """The array API of one library, and what the standard lacks.

    Attributes not found here are looked up in `base`, a module that follows the array API standard. Every method takes
    arrays with leading batch dimensions. ``shape`` entries are integers, or symbols of the library where a size is not
    known when the program is built (TensorFlow graphs).
    """

    #: what messages call the library
    name = "array API"
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

    # -- arrays --------------------------------------------------------------------------------------------------------

    #: The shape as a tuple, None for a size that is not known yet; None alone for an unknown rank. (Every call asks for
    #: it. This way it takes no step of Python's.)
    static_shape: Callable[[Any], tuple[int | None, ...] | None] = staticmethod(operator.attrgetter("shape"))

    def shape(self, A: Any) -> tuple[Any, ...]:
        """The shape as a tuple of sizes that can be used in a computation."""
        return tuple(A.shape)

    def is_floating(self, A: Any) -> bool:
        """Whether the dtype of A is real or complex floating point."""
        return self.base.isdtype(A.dtype, ("real floating", "complex floating"))

    def is_complex(self, A: Any) -> bool:
        """Whether the dtype of A is complex."""
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

    def count(self, n: Any, like: Any) -> Any:
        """The integers 0, 1, ..., n − 1 as a vector beside `like` (same device), in the dtype in which the library has
        sizes: int32 in TensorFlow, int64 elsewhere."""
        return self.base.arange(n, device=array_api_compat.device(like))

    # -- elementwise ---------------------------------------------------------------------------------------------------

    def conj(self, A: Any) -> Any:
        """The complex conjugate; A itself where it is real."""
        return self.base.conj(A) if self.is_complex(A) else A

    def real(self, A: Any) -> Any:
        """The real part; A itself where it is real."""
        return self.base.real(A) if self.is_complex(A) else A

    def complex(self, real: Any, imag: Any) -> Any:
        """The complex array real + i imag of two real ones of the same dtype, of which one may be a number. TensorFlow
        takes no complex number of Python's beside a real tensor: i A is ``xp.complex(0.0, A)``, and not ``1j * A``."""
        return real + 1j * imag

    def erf(self, A: Any) -> Any:
        """The error function of real A."""
        return self._of_scipy(lambda special, A: special.erf(A), A)

    def gammaln(self, A: Any) -> Any:
        """log |Γ(A)| of real A."""
        return self._of_scipy(lambda special, A: special.gammaln(A), A)

    def polygamma(self, n: int, A: Any) -> Any:
        """The derivative of order n + 1 of log Γ(A), for real A: the digamma function for n = 0."""
        return self._of_scipy(lambda special, A: special.polygamma(n, A) if n else special.psi(A), A)

    def _of_scipy(self, function, A):
        from scipy import special  # which takes as long to import as all of overbar

        return self.constant(np.asarray(function(special, np.asarray(A)), np.asarray(A).dtype), A)

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
        """The smallest power of 2 that `power_of_two` gives in the precision of x."""
        return 2.0**-120 if self.eps(x) > 1e-12 else 2.0**-1000

    def detached(self, A: Any) -> Any:
        """A as a constant of whoever differentiates."""
        return A

    def as_power_of_two(self, x: Any) -> Any:
        """The power of 2 next to x, below it, for positive normal numbers x."""
        return self.base.pow(2 + 0 * x, self.base.floor(self.base.log2(x)))

    # -- shapes --------------------------------------------------------------------------------------------------------

    def mT(self, A: Any) -> Any:
        """The transpose (..., n, m) of the last two dimensions of A (..., m, n)."""
        return self.base.matrix_transpose(A)

    def mH(self, A: Any) -> Any:
        """The conjugate transpose (..., n, m) of the last two dimensions of A (..., m, n)."""
        return self.conj(self.mT(A))

    def batch_last(self, A: Any) -> Any:
        """A stack of matrices (k, m, n) as (m, n, k), in memory, too: an entry of all of them is one vector."""
        return self.permute_dims(A, (1, 2, 0))

    def batch_first(self, A: Any) -> Any:
        """The way back: (m, n, k) as a stack of matrices (k, m, n), in memory, too."""
        return self.permute_dims(A, (2, 0, 1))

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

    def put_back(self, B: Any, index: Any, shape: Sequence[Any], batch: Sequence[Any]) -> Any:
        """Zeros of shape (*batch, *shape), with B added at an index into the last dimensions, any of NumPy's: the
        adjoint of `subset`."""
        where = self.constant(self.reshape_positions(self.positions(shape, index, B)), B)
        return self.embed(self.reshape(B, (*batch, self.shape(where)[0])), where, shape)

    def fill_diagonal(self, A: Any, d: Any) -> Any:
        """The square matrix A (..., n, n) with d (..., n) on its diagonal."""
        return self.where(self.eye_like(A) != 0, d[..., None], A)

    def phi(self, A: Any) -> Any:
        """Φ(A), the lower triangle of A (..., n, n) with halved diagonal."""
        return (self.tril(A) + self.tril(A, k=-1)) / 2

    def first(self, mask: Any) -> Any:
        """Of the entries of each column of a mask (..., m, n) that hold, the first one."""
        return mask & (self.cumulative_sum(self.astype(mask, self.int32), axis=-2) == 1)

    # -- linear algebra ------------------------------------------------------------------------------------------------

    def add_product(self, C: Any, A: Any, B: Any, scale: Any) -> Any:
        """C + scale · A B, with as little traffic through memory as the library allows."""
        return C + scale * (A @ B)

    def combined(self, matrices: Sequence[Any], rows: Any, constants: Any = None) -> Iterator[Any]:
        """Σⱼ rⱼ Aⱼ of the matrices A₁, A₂, … for each row of numbers, which may be shorter, one after the other; with a
        constant times the identity, if there is one for each row. None for rows of no numbers."""
        for i, row in enumerate(rows):
            total = None
            for A, r in zip(matrices, row, strict=False):
                total = A * r if total is None else total + A * r
            if constants is not None:
                total = total + constants[i] * self.eye_like(total)
            yield total

    def add_product_to(self, C: Any, A: Any, B: Any, scale: Any) -> None:
        """C ← C + scale · A B, in the memory of C: for arrays that can be written to (`Front.buffer`)."""
        C[...] = self.add_product(C, A, B, scale)

    def product_to(self, C: Any, A: Any, B: Any) -> None:
        """C ← A B, in the memory of C, as `add_product_to`."""
        C[...] = A @ B

    def cholesky(self, A: Any, argument: str = "A", on_error: str = "raise") -> Any:
        """The lower Cholesky factor of Hermitian positive definite A, of which it reads the lower triangle. Raises this
        library's LinAlgError, naming the matrix of the batch and the leading minor, where there is none; with
        ``on_error="nan"`` such a factor is NaN."""
        try:
            return self.base.linalg.cholesky(A)
        except np.linalg.LinAlgError:  # the standard knows no error of its own
            if on_error == "raise":
                raise
            if A.ndim == 2:
                return self.base.full_like(A, math.nan)
            factors = [self.cholesky(A[i, ...], argument, on_error) for i in range(A.shape[0])]
            return self.base.stack(factors)

    def without_singular(self, A: Any) -> tuple[Any, Any]:
        """The matrices, the identity instead of those that are singular, and an array (..., 1, 1) by which to
        multiply what is computed of them: NaN for those, 1 for the others."""
        logarithm = self.slogdet(self.detached(A))[1][..., None, None]
        bad, one = logarithm == -math.inf, self.ones_like(logarithm)
        return self.where(bad, self.eye_like(A), A), self.cast(self.where(bad, math.nan * one, one), A)

    def solve(self, A: Any, B: Any, check: bool = True) -> Any:
        """A⁻¹ B for square A (..., n, n) and B (..., n, k). Without `check`, which is for rules whose function has
        solved with A before, a singular A need not raise: looking for one makes the host wait for the device."""
        return self.base.linalg.solve(A, B)

    def solve_by_factors(
        self, A: Any, B: Any, left: bool = True, adjoint: bool = False, check: bool = True
    ) -> tuple[Any, Any, Any]:
        """The solution of op(A) X = B, or of X op(A) = B where `left` is false, as `solve` finds it, with op(A) = Aᴴ
        where `adjoint` is true, and what it was found from, for `solve_with_factors`: the factors of A in one array
        (..., n, r) and their pivots (..., s), in a form of the library's own. Both have size 0 where none are kept,
        because the library solves quicker without."""
        factors = A[..., :0]
        return self._solve_op(A, B, left, adjoint, check), factors, self.sum(factors, axis=-2)

    def solve_with_factors(
        self, A: Any, factors: Any, pivots: Any, B: Any, left: bool = True, adjoint: bool = False
    ) -> Any:
        """Another such solution with what `solve_by_factors` has kept of A, which is factorised again if that is
        nothing. A singular A need not raise."""
        return self._solve_op(A, B, left, adjoint, check=False)

    def _solve_op(self, A, B, left, adjoint, check):
        if adjoint:
            A = self.mH(A)
        return self.solve(A, B, check=check) if left else self.mT(self.solve(self.mT(A), self.mT(B), check=check))

    def inv(self, A: Any, warn: bool = False, regular: bool = False) -> Any:
        """A⁻¹. Raises this library's LinAlgError, naming the matrix of the batch, where there is none. With `warn`,
        NumPy warns where no digit is certain. With `regular`, it is known that all matrices have an inverse, and need
        not be looked for again."""
        return self.base.linalg.inv(A)

    def inverse(self, A: Any) -> Any:
        """A⁻¹ for rules whose function has looked at A before: it may be NaN or infinite where A is singular, and the
        host need not wait for the device to know."""
        return self.solve(A, self.eye_like(A) + self.zeros_like(A), check=False)

    def inverse_with_factors(self, A: Any, factors: Any, pivots: Any) -> Any:
        """`inverse`, with what `slogdet_by_factors` has kept of A."""
        return self.inverse(A)

    def slogdet_by_factors(self, A: Any) -> tuple[Any, Any, Any, Any]:
        """`slogdet`, and what it was found from, for `inverse_with_factors`, as `solve_by_factors` has it."""
        factors = A[..., :0]
        return *self.slogdet(A), factors, self.sum(factors, axis=-2)

    def slogdet(self, A: Any) -> tuple[Any, Any]:
        """The sign (or phase) of det A, and log |det A|, which is −∞ where A is singular."""
        return tuple(self.base.linalg.slogdet(A))

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
        w, V = np.linalg.eig(np.asarray(A))
        return tuple(self.constant(np.asarray(x, np.result_type(x, np.complex64)), A) for x in (w, V))

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

    def cho_solve(self, L: Any, B: Any, *, upper: bool = False) -> Any:
        """A⁻¹ B from the Cholesky factor of A, L (A = L Lᴴ) or U (A = Uᴴ U)."""
        half = self.solve_triangular(L, B, upper=upper, adjoint=upper)
        return self.solve_triangular(L, half, upper=upper, adjoint=not upper)

    def solve_with_factor(self, A: Any, L: Any, B: Any, half: Any = None) -> Any:
        """A⁻¹ B from the lower Cholesky factor of A, and from L⁻¹ B where that is there. The lower triangle of A is
        read where a library corrects the solution of an ill-conditioned system."""
        if half is None:
            return self.cho_solve(L, B)
        return self.solve_triangular(L, half, upper=False, adjoint=True)

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


def diagonal_positions(m, n, offset):
    """The positions of the diagonal [i, i + offset] along a flattened m by n matrix."""
    length = max(0, min(m + min(offset, 0), n - max(offset, 0)))
    i = np.arange(length)
    return (i + max(-offset, 0)) * n + i + max(offset, 0)
