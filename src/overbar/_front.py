"""How a primitive is called in an array library: the contract of a front, and NumPy's.

May import NumPy, array-api-compat, `overbar._words`, `_numpy_words`, `_signature` and `_messages`; never a framework.
The words in which a rule is written are `Front.xp`; everything else that depends on the library is here. A framework's
package (`torch_ops`, `tf_ops`) subclasses `Front` and registers it for its array type (`overbar._namespace.register`).
"""

from __future__ import annotations

import functools
import math
import operator
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import array_api_compat
import array_api_compat.numpy
import numpy as np
from numpy.linalg import LinAlgError

from overbar._messages import definiteness, placed
from overbar._numpy_words import ONE_THREAD, NumpyWords
from overbar._signature import broadcasts
from overbar._words import Words

__all__ = ["NUMPY", "DtypeError", "Front", "NumpyFront", "ShapeError"]

#: Python's own numbers and lists, which belong to no library
PYTHON = (bool, int, float, complex, list, tuple)


def _of_python(value):
    return isinstance(value, PYTHON) and not isinstance(value, np.generic)


class ShapeError(LinAlgError):
    """An array's shape does not fit the function. (A `numpy.linalg.LinAlgError`, hence a `ValueError`.)"""


class DtypeError(LinAlgError, TypeError):
    """An array's dtype is not real or complex floating point. (A `LinAlgError` and a `TypeError`.)"""


class Front:
    """How one library computes primitives, and how it differentiates them by their rules.

    **The contract.** Rules rely on what follows, in whatever library they run. Each promise is there because something
    is silently wrong where it is broken; `tests/fronts/contract.py` holds every front to all of them.

    1. *Nobody looks inside.* Whoever differentiates sees one operation, the primitive, and not the steps of its
       function. Residuals are constants to the rules for no other reason, and a step may have no derivative where the
       primitive has one. A library that traces through the function gets second derivatives silently wrong.
    2. *The rules see the outputs that the caller got*, with the intermediates and residuals computed beside them, and
       the arrays that the caller gave, as they were recorded. Of copies a second derivative would not know how they
       depend on the arrays: it would be too small, without a word.
    3. *Residuals, and outputs that are not floating point, have no derivative.* No cotangent of theirs reaches a rule
       and no tangent comes from them.
    4. *What is absent is None.* A cotangent that did not come, and a tangent of what does not move, are not filled up
       with zeros: a rule does no work for them, and no 0 · ∞ makes a NaN of a bar that exists.
    5. *Only what is needed is computed*: `Primitive.pull` is told whose bars somebody asks for, where the library says
        so.
    6. *Rules are computed like any other function of the user's*, so that they are watched by whoever watches:
       derivatives of any order, reverse and forward mode in any succession.
    7. *Options are constants.* One that has a derivative is refused, by name: the gradient would lack its part.
    8. *A batch is one more dimension in front*, where the library maps functions over a dimension: nothing is looped
       over, and what is not mapped stays as it is.
    9. *An output is an object of its own*, also where the function returns one of its arrays or a view of it: their
       bars would be confused, and what is written into the one would change the other.
    10. *Errors are the library's own*, in the classes below, with the text that the primitive or its rule wrote.
    11. *A bar has the dtype and the shape of its array* (`project`), and a result the dtype that its arrays have in
        common; half precision is computed in single precision and given back as it came.
    12. *Nothing outlives its use.* Where nobody watches nothing is kept; what is kept for a rule goes with the graph.

    A front says how by `call`, which computes and records; the rules are then asked through `Primitive.pull` and
    `Primitive.push`, which need nothing of a front but `project`. The other methods have defaults that suit a library
    whose arrays hold numbers that can be looked at.

    Attributes
    ----------
    xp : Words
        The words in which rules speak to the library.
    ShapeError, DtypeError, LinAlgError : callable
        Make the exceptions that a user of this library expects, from a message.
    promotes : bool
        Whether its matrix functions take arrays of different dtypes, and promote them.
    """

    ShapeError: Callable[[str], Exception] = ShapeError
    DtypeError: Callable[[str], Exception] = DtypeError
    LinAlgError: Callable[[str], Exception] = LinAlgError
    #: what the library's own functions raise for the numbers in an array, and `LinAlgError` makes
    failure: type[Exception] = np.linalg.LinAlgError
    promotes = True
    #: whether arrays of this library are differentiated by overbar's own sweeps (`overbar.vjp`), as NumPy's are
    swept = False
    #: what a user does about a size that is not known while a graph is built, as a sentence of messages
    tell_sizes = ""

    #: the arrays of a sweep in progress, of whatever library: nothing that is computed from other arrays is one
    traced: tuple[type, ...] = ()

    def __init__(self, words: Words) -> None:
        self.xp = words
        self.name = words.name

    def __repr__(self) -> str:
        return f"<front of {self.name}>"

    # -- a call ----------------------------------------------------------------------------------------------------

    def enter(self, primitive: Any, arrays: Any, options: Any) -> Any:
        """What a primitive returns that a user called by its own name: a compiler that reads Python is told here."""
        return primitive.apply(self, arrays, options)

    def key(self, arrays: Sequence[Any]) -> Any:
        """What is to be known of the arrays of a call to know whether they fit: types, dtypes and shapes, as something
        that can be looked up, and the front, as another may have to convert or refuse the same arrays. May raise
        AttributeError or TypeError for what is no array of this library."""
        shape = self.xp.static_shape
        if len(arrays) == 1:
            A = arrays[0]
            return self, type(A), A.dtype, shape(A)
        return self, *[(type(A), A.dtype, shape(A)) for A in arrays]

    def refused(self, value: Any) -> str | None:
        """What is to be said of an array of this library that no primitive takes; None of any other. `key` must tell
        such an array from one that is taken."""
        return None

    def takes(self, other: Front) -> bool:
        """Whether arrays of another library may stand beside arrays of this one in a call, which is then of this
        library: it converts them, or says why not."""
        return other is NUMPY

    def adopts(self, value: Any) -> bool:
        """Whether what is no array of this library, but comes from one built on it, becomes one in `as_arrays`, with
        its derivative: a variable of Keras, say."""
        return False

    def recorded(self, primitive: Any, arrays: Any, options: Any) -> tuple[Any, ...]:
        """For sweeps over arrays of this library: the primitive to write down, its arrays, outputs and what vectors
        among them lack (`Primitive.apply` with `whole`). A library that computes a primitive by another one of its own,
        whose rules are computed likewise, says so here."""
        return primitive, *primitive.apply(self, arrays, options, True)

    def as_arrays(self, values: Sequence[Any]) -> Sequence[Any]:
        """The given arrays, Python numbers and nested lists as arrays of this library. Numbers adopt the dtype of an
        array beside them, as everywhere in the array API, and complex ones its precision; integers alone become
        floating point. (A float64 of NumPy's is a float of Python's, too, but has a dtype of its own.)"""
        like = next((v for v in values if not _of_python(v)), None)
        return [self._from_python(v, like) if _of_python(v) else v for v in values]

    def _from_python(self, value, like):
        xp, number = self.xp, not isinstance(value, (list, tuple))
        if number and like is not None:
            dtype = xp.base.result_type(like.dtype, 1j) if isinstance(value, complex) else like.dtype
            return xp.asarray(value, dtype=dtype, device=array_api_compat.device(like))
        array = xp.asarray(value)
        return xp.astype(array, xp.asarray(1.0).dtype) if xp.base.isdtype(array.dtype, "integral") else array

    def call(self, primitive: Any, arrays: Any, options: Any) -> tuple[Any, ...]:
        """The value of a primitive on arrays of this library: all outputs, intermediates and residuals too, as a tuple;
        recorded where somebody differentiates, so that the derivative is the rule."""
        return primitive.run(arrays, options)

    def of_unknown_rank(self, primitive: Any, arrays: Any, options: Any) -> Any:
        """The outputs of a primitive of arrays of which at least one has no rank yet (`static_shape` is None)."""
        raise self.ShapeError(f"{primitive.name}: the rank of an array is unknown.")

    def fits(self, bar: Any, array: Any) -> bool:
        """Whether a bar is known to have the type, the dtype and the shape of its array, so that `project` has nothing
        to do."""
        return type(bar) is type(array) and bar.dtype == array.dtype and bar.shape == array.shape

    def project(self, bar: Any, array: Any, primitive: Any, i: int) -> Any:
        """What the reverse rule of a primitive gave for its i-th array, as the bar of that array: the real part where
        the array is real, in its dtype, summed along the dimensions in which it was broadcast. A front whose arrays
        have a structure of their own, sparse ones or such as are spread over machines, gives the bar that structure."""
        xp = self.xp
        bar = xp.cast(bar, array)
        have, want = xp.static_shape(bar), xp.static_shape(array)
        if have == want and have is not None and None not in have:
            return bar
        if have is not None and want is not None and not broadcasts(want, have):
            raise self.ShapeError(
                f"{primitive.name}: the reverse rule gave a bar of shape {tuple(have)} for argument "
                f"{primitive.argument(i)} of shape {tuple(want)}. A bar has the shape of its array, or one to which "
                "that broadcasts."
            )
        return bar if primitive.signature.whole else xp.sum_to(bar, xp.shape(array))

    # -- the numbers in arrays -------------------------------------------------------------------------------------

    def sees_numbers(self, *arrays: Any) -> bool:
        """Whether `repeat` can look at the numbers in these arrays. Where a compiler or a transform looks on, which
        knows only their shapes, it cannot: `compute` can, even there."""
        return True

    def numbers(self, A: Any) -> np.ndarray | None:
        """An array of integers as one of NumPy's, where its numbers lie on the host and can be looked at at once; else
        None."""
        return None

    def shares(self, A: Any, B: Any) -> bool:
        """Whether two arrays are known to be the same numbers, all of them: one may be the transpose of the other, but
        no part of it. (As many, from the same address on.)"""
        return A is B

    def may_hold(self, mask: Any) -> bool:
        """Whether a mask holds anywhere, or nobody can tell without waiting for a device, or while a compiler or a
        transform looks on. What a rule may leave out then must change no number."""
        return bool(self.xp.any(mask)) if self.sees_numbers(mask) else True

    def writes_program(self) -> bool:
        """Whether a program is being written that runs, and is differentiated, where there is no overbar: it is made of
        the library's own operations, where those of a function can be, and not of kernels."""
        return False

    def fuses(self) -> bool:
        """Whether a compiler that makes kernels of its own of several operations looks on now."""
        return False

    def only_if(self, mask: Any, compute: Any, otherwise: Any) -> Any:
        """``compute()``, a constant of whoever differentiates, if the mask may hold anywhere. Else None, or
        ``otherwise()`` where a graph is built, and the choice is made when it runs."""
        return compute() if self.may_hold(mask) else None

    def if_else(self, predicate: Any, yes: Any, no: Any) -> Any:
        """``yes()`` or ``no()``, by a predicate about sizes. Where sizes are not known when the program is built, both
        become part of it, and the choice is made when it runs."""
        return yes() if predicate else no()

    def choose(self, mask: Any, yes: Any, no: Any, wait: bool = False) -> Any:
        """``yes()`` where the mask holds for every matrix of the batch, ``no()`` otherwise. Both compute the same, `no`
        for any matrix: where numbers cannot be looked at, because a compiler traces, it is ``no()``. So it is where the
        host would have to wait for a device, but with `wait`. For functions of primitives, not for rules."""
        return yes() if bool(self.xp.all(mask)) else no()

    def repeat(self, counts: Any, step: Any, state: Any) -> Any:
        """``state = step(i, state)`` for i = 0, 1, ... below the largest of `counts`, an array or an integer. A state
        is a list of arrays, whose shapes do not change. For functions of primitives: none of the libraries
        differentiates this well."""
        if isinstance(counts, (int, np.integer)):
            most = int(counts)
        else:
            most = int(self.xp.max(counts)) if math.prod(counts.shape) else 0
        for i in range(most):
            state = step(i, state)
        return state

    def require(self, A: Any, fine: Any, message: str, argument: str = "A", definite: Any = None) -> Any:
        """A, whose matrices must all be `fine` (booleans of the batch dimensions): else it raises with the message, in
        which the argument gets its place in the batch. Where nothing can be raised, under XLA, the matrices that are
        not fine are NaN. `definite` is the argument itself where what it lacks is that it is positive definite: then
        the error says how far it is from that."""
        if not bool(self.xp.all(fine)):
            index = tuple(np.argwhere(~np.asarray(fine))[0])
            if definite is not None:
                message = f"{message} {definiteness(np.asarray(definite)[index])}"
            raise self.LinAlgError(placed(message, argument, index))
        return A

    def require_all(self, A: Any, checks: Sequence[tuple[Any, str, str]]) -> Any:
        """`require` for several checks, of ``fine, message, argument``. One look finds out, as a device has to be
        waited for; which of them failed is looked for afterwards."""
        if len(checks) == 1:
            return self.require(A, *checks[0])
        fine, messages, arguments = zip(*checks, strict=True)
        try:
            return self.require(A, functools.reduce(operator.and_, fine), " Or ".join(messages), arguments[0])
        except self.failure:
            for check in checks:
                self.require(A, *check)
            raise

    def warn(self, mask: Any, message: str) -> None:
        """Warn, at the line of the user's program from which the call comes, if the mask holds anywhere. Where numbers
        cannot be looked at there is no warning."""
        if self.sees_numbers(mask) and bool(self.xp.any(mask)):
            warnings.warn(message, RuntimeWarning, stacklevel=_users_level())

    def constant_function(self, function: Any, arrays: Any, message: str) -> Any:
        """``function(*arrays)`` for a user's function among the options of a primitive, of which only the dependence
        on `arrays` is differentiated, by a rule. Raises TypeError with the message where the library sees that its
        value depends on something else that has a derivative: that would be lost without a word."""
        value = function(*arrays)
        if isinstance(value, self.traced):
            raise TypeError(message)
        return value

    # -- where things are computed ---------------------------------------------------------------------------------

    def as_one(self, function: Callable[..., Any], *arrays: Any) -> Any:
        """``function(*arrays, out=buffer)``, for a function of a module that goes by blocks of large matrices, as many
        as there are, and returns one array, of the shape to which the arrays broadcast and the dtype of the first. The
        buffer is memory for it, or None (`buffer`). To a compiler all of this is one step, which is computed as it
        would be without the compiler."""
        return function(*arrays, out=self.buffer(*arrays))

    def buffer(self, *arrays: Any) -> Any:
        """An array like the first of `arrays` to write results into; None where arrays cannot be written to, or where a
        computation with these arrays is watched by somebody who differentiates it."""
        return None

    def may_write(self, *arrays: Any) -> bool:
        """Whether a rule may write into an array that it has computed itself, from these: as for `buffer`."""
        return False

    def compact(self, L: Any) -> Any:
        """A lower triangular matrix that is kept for derivatives beside others of its size: where it is large, the same
        in less memory, if that can be had."""
        return L

    def threads(self) -> int:
        """How many threads a kernel may have that works on many matrices."""
        return 1

    def wider_blocks(self, A: Any) -> int:
        """How many times as many rows as usual the blocks on the host may have that a rule takes whole, where the
        library's BLAS prefers larger ones."""
        return 1

    def compute(self, kernel: Any, *arrays: Any, **options: Any) -> tuple[Any, ...]:
        """All outputs of a kernel (`overbar.kernels`) as a tuple: what no word computes. A kernel has no derivative:
        a rule that is to be differentiated calls a primitive around it, and is refused, with a TypeError, if not."""
        found = kernel(*(np.asarray(A) for A in arrays), **options)
        return tuple(self.xp.constant(x, arrays[0]) for x in found)

    def on_the_host(self, A: Any) -> bool:
        """Whether the array lies where kernels run, so that one may be used instead of a function of the library."""
        return False

    def device_type(self, A: Any) -> str:
        """The type of the device that computes with this array, "cpu" or as the library calls others."""
        return "cpu"

    def prefers_vectors(self, A: Any, n: int, count: int) -> bool:
        """Of many small matrices A: whether it is quicker where they are to have a step of all of them as one call on
        long vectors than the library's loop over `count` matrices of order n. Not where nobody has measured it."""
        return False

    def at_once(self, A: Any, n: int, count: int) -> int:
        """Of `count` matrices A of order n: how many it is quickest to compute at once, such that intermediate results
        stay in the cache and are not new memory each time."""
        return count

    def has_blas(self, *arrays: Any) -> bool:
        """Whether a kernel may compute with these arrays by SciPy's BLAS, as `may_compute` has it, and nothing waits
        for threads meanwhile: SciPy's are not the library's own, and the two take turns badly."""
        return False

    def may_compute(self, *arrays: Any) -> bool:
        """Whether a kernel, which has no derivative, may do here what words do that have one: the numbers are there, on
        the host, and nobody watches."""
        return False

    def has_way(self, kernel: Any) -> bool:
        """Whether a kernel has a way of its own in the program that is being compiled here: a loop, where words would
        be so many operations that a compiler takes long."""
        return False


def _users_level():
    """The level in the stack of the first function that is not ours nor a framework's, as `warnings` counts them for
    whoever called this."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _INSIDE:
            return level
        frame, level = frame.f_back, level + 1
    return level


_INSIDE = {"overbar", "torch_ops", "tf_ops", "dask_ops", "torch", "tensorflow", "functools", "contextlib"}


class NumpyFront(Front):
    """NumPy, which differentiates nothing by itself: `overbar.vjp` and its like do."""

    swept = True

    def key(self, arrays):
        if len(arrays) == 2:  # one flat tuple, for the most frequent calls
            A, B = arrays
            return self, type(A), A.dtype, A.shape, type(B), B.dtype, B.shape
        return self, *[(type(A), A.dtype, A.shape) for A in arrays]

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

    def call(self, primitive, arrays, options):
        if not primitive.whole:
            outputs = primitive.function(*arrays, **options)
            return outputs if isinstance(outputs, tuple) else (outputs,)
        try:
            return primitive.run(arrays, options)
        except LinAlgError:
            raise
        except (IndexError, TypeError, ValueError) as error:  # an axis, a shape or an index that does not fit
            kind = next(kind for kind in (IndexError, TypeError, ValueError) if isinstance(error, kind))
            given = ", ".join(f"{name}={value!r}" for name, value in options.items() if name != "batch_ndim")
            shapes = ", ".join(str(A.shape) for A in arrays)
            raise kind(f"{primitive.name}: {given} does not fit arrays of shapes {shapes}: {error}") from error

    def numbers(self, A):
        return A

    def shares(self, A, B):
        if A is B or not (isinstance(A, np.ndarray) and isinstance(B, np.ndarray)):
            return A is B
        return A.ctypes.data == B.ctypes.data and A.size == B.size

    def buffer(self, *arrays):
        shape = np.broadcast_shapes(*(A.shape for A in arrays))
        return np.empty(shape, np.result_type(*arrays))

    def may_write(self, *arrays):
        return True

    def compute(self, kernel, *arrays, **options):
        return kernel(*arrays, **options)

    def on_the_host(self, A):
        return True

    def prefers_vectors(self, A, n, count):
        return True

    def at_once(self, A, n, count):
        return 2**17 // n**2

    def has_blas(self, *arrays):
        return ONE_THREAD and self.may_compute(*arrays)

    def may_compute(self, *arrays):
        return True


NUMPY = NumpyFront(NumpyWords(array_api_compat.numpy))
