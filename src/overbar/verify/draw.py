"""Valid inputs of a primitive, drawn by its sampler.

May import NumPy, `overbar._namespace` and `overbar._primitive`.
"""

from __future__ import annotations

import itertools
import math
import operator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from overbar._front import NUMPY
from overbar._namespace import mH
from overbar._primitive import Primitive

# Drawn matrices are no worse than this. With it, the tolerances above need no condition number in them.
CONDITION = 30.0


@dataclass(frozen=True)
class Case:
    """One input of a primitive: its arrays (NumPy) and its static options."""

    arrays: tuple[np.ndarray, ...]
    options: dict[str, Any] = field(default_factory=dict)
    #: what the exact oracle computed for these arrays; slow to get, and the same for every rule that is held against it
    cache: dict = field(default_factory=dict, repr=False, compare=False)

    def __str__(self):
        parts = [f"{a.dtype} {a.shape}" for a in self.arrays]
        parts += [f"{name}={value!r}" for name, value in self.options.items()]
        return ", ".join(" ".join(part.split()) for part in parts)


def stream(rng: Any, number: int = 3) -> np.random.Generator:
    """Random numbers from a seed, none of those that somebody else draws from it: a sampler, the oracles, and whoever
    draws inputs for `check` by numpy.random.default_rng start from the same ones, and a tangent equal to the input
    itself would test a rule in that one direction only."""
    return rng if isinstance(rng, np.random.Generator) else np.random.default_rng([rng, number])


class Draw:
    """What a sampler draws arrays with.

    A sampler is registered by ``@p.samples`` and gets a `Draw` as `case`. Every method draws an array with the batch
    dimensions in front; calling `case` makes a `Case` of arrays:

        @cholesky.samples
        def _(case):
            yield case(case.positive_definite(4), upper=False)

    Parameters
    ----------
    rng : int or numpy.random.Generator
        Where the randomness comes from; the same seed draws the same arrays.
    dtype
        float32, float64, complex64 or complex128. Everything drawn has it.
    batch : tuple of int, or list of such tuples
        Batch dimensions. A list gives the arrays of a case different ones that broadcast, in turn: with
        [(3, 1), (4,), ()] the first array of each case has (3, 1), the second (4,), the third none, the fourth (3, 1)
        again. Everything is drawn with the broadcast shape, here (3, 4), and cut when `case` is called, so that a
        sampler need not know. A dimension of 0 is drawn as 1 and cut, too.
    """

    def __init__(self, rng=0, dtype=np.float64, batch=()):
        self.rng = stream(rng, 1)
        self.dtype = np.dtype(dtype)
        if self.dtype.char not in "fdFD":
            raise TypeError(f"cannot draw {self.dtype}. Choose float32, float64, complex64 or complex128.")
        self.complex = self.dtype.kind == "c"
        self.batches = [tuple(shape) for shape in batch] if isinstance(batch, list) else [tuple(batch)]
        widened = [tuple(max(1, size) for size in shape) for shape in self.batches]
        #: the batch dimensions that arrays are drawn with
        self.batch = np.broadcast_shapes(*widened)
        np.broadcast_shapes(*self.batches)  # complains about (0,) beside (3,), which the line above does not see

    def __call__(self, *arrays: Any, **options: Any) -> Case:
        return Case(tuple(self._of_its_batch(i, array) for i, array in enumerate(arrays)), options)

    def _of_its_batch(self, i, array):
        array = np.asarray(array)
        lead, wanted = array.shape[: len(self.batch)], self.batches[i % len(self.batches)]
        if lead != self.batch:
            raise ValueError(
                f"array {i} of a case has shape {array.shape}, which does not begin with the batch dimensions "
                f"{self.batch}. Draw it with a method of the sampler's argument, case.normal(...) for instance, or "
                "broadcast it to (*case.batch, ...)."
            )
        array = array[(0,) * (len(lead) - len(wanted))]
        return array[tuple(slice(size) for size in wanted)].copy()

    def _cast(self, array):
        return np.asarray(array).astype(self.dtype)

    def _normal(self, *shape):
        real = self.rng.standard_normal(shape)
        # of variance 1 in both cases
        return (real + 1j * self.rng.standard_normal(shape)) / math.sqrt(2) if self.complex else real

    def normal(self, *core: int) -> np.ndarray:
        """Independent normal entries of variance 1."""
        return self._cast(self._normal(*self.batch, *core))

    def positive(self, *core: int) -> np.ndarray:
        """Entries between 1/2 and 2. Complex ones have such a modulus and a positive real part: no cut or pole of the
        logarithm, of powers or of the reciprocal is near."""
        shape = (*self.batch, *core)
        array = self.rng.uniform(0.5, 2, shape)
        return self._cast(array * np.exp(1j * self.rng.uniform(-1, 1, shape)) if self.complex else array)

    def real(self, *core: int) -> np.ndarray:
        """Real entries between 1/2 and 2, where the others are complex, too."""
        return self.rng.uniform(0.5, 2, (*self.batch, *core)).astype(self.dtype.type(0).real.dtype)

    def hermitian(self, n: int) -> np.ndarray:
        """A Hermitian matrix (symmetric, where dtype is real), to the last bit."""
        return self._cast(hermitian_part(self._normal(*self.batch, n, n)))

    symmetric = hermitian

    def positive_definite(self, n: int) -> np.ndarray:
        """A Hermitian positive definite matrix with a condition number up to 25 and no preferred axes."""
        Q = self._unitary(n)
        eigenvalues = np.exp(self.rng.uniform(math.log(0.4), math.log(10), (*self.batch, n)))
        return self._cast(hermitian_part((Q * eigenvalues[..., None, :]) @ mH(Q)))

    def square(self, n: int) -> np.ndarray:
        """A general square matrix; it and both of its triangles are well conditioned, so that a function may read one
        of them only."""
        return self._well_conditioned(n, np.tril, np.triu, np.asarray)

    def lower(self, n: int) -> np.ndarray:
        """A well-conditioned lower triangular matrix with a positive diagonal and zeros above it."""
        return np.tril(self._well_conditioned(n, np.tril, _unit_lower))

    def upper(self, n: int) -> np.ndarray:
        """A well-conditioned upper triangular matrix with a positive diagonal and zeros below it."""
        return mH(self.lower(n))

    def _well_conditioned(self, n, *views):
        A = np.empty((*self.batch, n, n), self.dtype)
        for index in np.ndindex(self.batch):
            for scale in itertools.accumulate(itertools.repeat(0.97), operator.mul, initial=0.7 / max(1, n / 6) ** 0.5):
                entries = scale * self._normal(n, n)
                entries[range(n), range(n)] = self.rng.uniform(0.5, 2, n)
                A[index] = entries
                # smaller and smaller entries off the diagonal: a diagonal matrix is accepted at last
                if n == 0 or all(np.linalg.cond(view(A[index])) <= CONDITION for view in views):
                    break
        return A

    def _unitary(self, n):
        Q, R = np.linalg.qr(self._normal(*self.batch, n, n))
        diagonal = np.diagonal(R, 0, -2, -1)
        return Q * (diagonal / abs(diagonal))[..., None, :]  # from the uniform distribution, which QR alone is not


def _unit_lower(A):
    return np.tril(A, -1) + np.eye(len(A))


def hermitian_part(A):
    return (A + mH(A)) / 2


def draw_cases(primitive: Primitive, dtype=np.float64, batch=(), rng=0) -> list[Case]:
    """The cases that a primitive's sampler yields, with complete options.

    Parameters
    ----------
    primitive : Primitive
    dtype, batch, rng
        As in `Draw`. For a function of whole arrays, which does not broadcast, a list of batch shapes is broadcast
        first.

    Raises
    ------
    ValueError
        The primitive has no sampler.

    Examples
    --------
    >>> import overbar
    >>> [case] = draw_cases(overbar.matmul, batch=[(3, 1), (4,)])
    >>> print(case)
    float64 (3, 1, 3, 4), float64 (4, 4, 2)
    """
    if primitive.sampler is None:
        raise ValueError(
            f"{primitive.name} does not say how to draw valid inputs. Register a sampler with "
            f"@{primitive.name}.samples, or pass inputs of your own: cases=[(arrays, options), ...]."
        )
    whole = primitive.signature.whole
    if whole and isinstance(batch, list):
        batch = np.broadcast_shapes(*batch)
    cases = []
    for case in primitive.sampler(Draw(rng, dtype, batch)):
        options = {**case.options, "batch_ndim": len(batch)} if whole else case.options
        cases.append(complete(primitive, case.arrays, options))
    return cases


def complete(primitive: Primitive, arrays, options) -> Case:
    """A case with NumPy arrays, and with the options that a call would have by default."""
    arrays = [np.asarray(a) for a in arrays]
    arrays, options = primitive.bind([arrays] if primitive.variadic else arrays, options)
    if primitive.absent:
        arrays = primitive._with_absent(NUMPY, arrays)
    if primitive.integer:
        arrays = primitive._with_floats(NUMPY, arrays)  # as the rules see them
    return Case(tuple(arrays), options)


def call(primitive: Primitive, arrays, options):
    """Call a primitive as a user does."""
    return primitive(list(arrays), **options) if primitive.variadic else primitive(*arrays, **options)
