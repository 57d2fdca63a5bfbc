"""A kernel: a NumPy function with a signature, in one implementation or several.

May import NumPy and `overbar._signature`. A file beside this one writes a kernel in NumPy and SciPy, for single
matrices or for stacks of them. A rule calls it by ``front(A).compute(kernel, A, ...)``: NumPy calls it as it is,
PyTorch as an op of torch.library (compiled graphs and vmap know it, a tensor on another device is copied to the host
and back), TensorFlow as a tf.numpy_function (under XLA, which has no host to call, by an implementation for that place,
if there is one).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from overbar._signature import Signature

__all__ = ["KERNELS", "Kernel", "kernel"]

#: overbar's own kernels by name. Others may have the same name: a kernel is told from another by what it is.
KERNELS: dict[str, Kernel] = {}

_COMPLEX = {"f": "F", "d": "D"}
_REAL = {"F": "f", "D": "d"}


class Implementation(NamedTuple):
    """One way to compute a kernel, and when it is taken, see `Kernel.implemented_by`."""

    function: Callable[..., Any]
    place: str
    stacked: bool
    when: Callable[..., bool]
    available: Callable[[], bool]


class Kernel:
    """A function of single matrices (NumPy arrays) that is applied to each of a batch, or of a stack of them, which is
    the whole batch. Made by the decorator `kernel`.

    Attributes
    ----------
    name : str
    signature : Signature
        The core dimensions; every dimension of an output occurs in an input, or is a number.
    kinds : str
        For each output a letter: "=" for the dtype of the inputs together, "c" and "r" for the complex and the real one
        of the same precision, "D" for complex128, "i" for int64.
    stacked : bool
        The function takes all its arrays with one more dimension in front, of the same size, and returns such. (An
        error that it raises names no matrix: it is then called for one after the other.)
    others : tuple
        Further implementations (`implemented_by`). Those behind come first.
    """

    def __init__(self, function: Callable[..., Any], signature: str, kinds: str, stacked: bool = False) -> None:
        functools.update_wrapper(self, function)
        self.name = getattr(function, "__name__", type(function).__name__)
        self.function, self.stacked = function, stacked
        self.signature, self.kinds = Signature(signature), kinds
        self.others: tuple[Implementation, ...] = ()
        self._sizes: dict[Any, tuple[tuple[int, ...], list[tuple[int, ...]]]] = {}
        if len(kinds) != len(self.signature.outputs) or not set(kinds) <= set("=crDi"):
            raise TypeError(
                f"{self.name}: kinds '{kinds}' do not fit the outputs of '{signature}'. They are a letter for each of "
                "them: = for the dtype of the inputs, c and r for the complex and the real one of its precision, D for "
                "complex128, i for int64."
            )
        known = {dim for core in self.signature.inputs for dim in core}
        unknown = [dim for core in self.signature.outputs for dim in core if not dim.isdigit() and dim not in known]
        if unknown:
            raise TypeError(
                f"{self.name}: the dimension {unknown[0]} of '{signature}' is in no input. Compilers and batches must "
                "know it before the kernel runs: use one of an input, a number, or give the kernel an array of that "
                "size."
            )

    def __repr__(self):
        return f"<kernel {self.name} {self.signature.text}>"

    def implemented_by(
        self,
        *,
        when: Callable[..., bool] = lambda *arrays, **options: True,
        available: Callable[[], bool] = lambda: True,
        place: str = "host",
        stacked: bool = False,
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Make a function another implementation of this kernel: a compiled one, for instance, instead of the one
        that SciPy serves.

        It takes the same arrays and options, and returns and raises the same, to rounding. Derivatives, fronts and
        batches are no concern of its. Of those that are available and whose condition holds, the one registered last is
        taken.

        Parameters
        ----------
        when : callable
            ``when(*arrays, **options)``: whether it is to be taken for a call, by sizes, dtypes and options. The arrays
            have their batch dimensions, which need not be the same for all. It is called each time, and must be quick.
        available : callable
            Whether it can run here, such as where a package is installed. Called once, when a call would first take it,
            so that it may import a compiler.
        place : str
            Where its arrays lie. Those of the host are NumPy's. A front that knows another place asks `chosen` with its
            own arrays, before it copies them to the host.
        stacked : bool
            It takes stacks, as `kernel` has it.

        Examples
        --------
        >>> import numpy as np
        >>> from overbar.kernels import Kernel
        >>> double = Kernel(lambda x: 2 * x, "(n)->(n)", "=")
        >>> @double.implemented_by(when=lambda x: x.shape[-1] > 2)
        ... def by_addition(x):
        ...     return x + x + 0.001  # to be seen
        >>> double(np.ones(2)), double(np.ones(3))
        ((array([2., 2.]),), (array([2.001, 2.001, 2.001]),))
        """

        def register(function):
            self.others += (Implementation(function, place, stacked, when, functools.cache(available)),)
            return function

        return register

    def chosen(self, place: str, arrays: tuple[Any, ...], options: dict[str, Any]) -> Implementation | None:
        """The further implementation that a call takes at this place, if there is one."""
        for other in reversed(self.others):
            if other.place == place and other.when(*arrays, **options) and other.available():
                return other
        return None

    def no_derivative(self) -> TypeError:
        """The error for a call of the kernel where somebody asks for a derivative: what it computes depends on its
        arrays, and no front knows how."""
        return TypeError(
            f"the kernel {self.name} got an array whose derivative is being traced. A kernel has none: a rule "
            "that is to be differentiated calls a primitive around it."
        )

    def dtypes(self, *dtypes: Any) -> list[np.dtype]:
        """The dtypes of the outputs for such inputs."""
        char = np.result_type(*dtypes).char
        kinds = {"=": char, "c": _COMPLEX.get(char, char), "r": _REAL.get(char, char), "D": "D", "i": "q"}
        return [np.dtype(kinds[kind]) for kind in self.kinds]

    def shapes(self, *shapes: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The shapes of the outputs for inputs of such shapes, whose sizes may be symbols of a compiler."""
        cores = self.signature.inputs
        sizes = {}
        for shape, core in zip(shapes, cores, strict=True):
            sizes |= dict(zip(core, shape[len(shape) - len(core) :], strict=True))
        leads = [tuple(shape[: len(shape) - len(core)]) for shape, core in zip(shapes, cores, strict=True)]
        batch = max(leads, key=len)
        for lead in leads:
            batch = tuple(
                b if m == 1 else m for b, m in zip(batch, (1,) * (len(batch) - len(lead)) + lead, strict=True)
            )
        return [
            (*batch, *(int(dim) if dim.isdigit() else sizes[dim] for dim in core)) for core in self.signature.outputs
        ]

    def __call__(self, *arrays: np.ndarray, **options: Any) -> tuple[np.ndarray, ...]:
        """All outputs as a tuple, for NumPy arrays with batch dimensions, which broadcast."""
        way = (self.chosen("host", arrays, options) if self.others else None) or self
        shapes = tuple([A.shape for A in arrays])
        try:
            batch, cores = self._sizes[shapes]
        except KeyError:
            batch, cores = self._fit(shapes)
        dtypes = self.dtypes(*(A.dtype for A in arrays))
        if not batch:
            return tuple(self._single(way, arrays, options, cores, dtypes))
        arrays = [
            np.broadcast_to(A, (*batch, *A.shape[A.ndim - len(core) :]))
            for A, core in zip(arrays, self.signature.inputs, strict=True)
        ]
        if way.stacked and 0 not in batch:
            count = math.prod(batch)
            try:
                found = _outputs(way, [A.reshape(count, *A.shape[len(batch) :]) for A in arrays], options)
                found = self._checked(found, [(count, *core) for core in cores], dtypes)
                return tuple([out.reshape(*batch, *out.shape[1:]) for out in found])
            except np.linalg.LinAlgError:
                pass  # of which matrix it is true, is found out below
        outputs = tuple(np.empty((*batch, *core), dtype) for core, dtype in zip(cores, dtypes, strict=True))
        for index in np.ndindex(batch):
            try:
                found = self._single(way, [A[index] for A in arrays], options, cores, dtypes)
            except np.linalg.LinAlgError as error:
                where = index[0] if len(index) == 1 else index
                raise np.linalg.LinAlgError(f"{error} (Matrix {where} of the batch.)") from None
            for out, value in zip(outputs, found, strict=True):
                out[index] = value
        return outputs

    def _fit(self, shapes):
        """The batch dimensions of arrays of such shapes, and the core dimensions of the outputs."""
        inputs = self.signature.inputs
        if len(shapes) != len(inputs):
            raise TypeError(f"{self.name}: got {len(shapes)} arrays, where {self.signature.text} has {len(inputs)}.")
        try:
            self.signature.fit(shapes)
        except ValueError as error:
            problem, remedy = error.args
            names = [f"array {i} of shape {shape}" for i, shape in enumerate(shapes)]
            raise ValueError(f"{self.name}: {problem.format(*names)}. {remedy}") from None
        batch = np.broadcast_shapes(
            *(shape[: len(shape) - len(core)] for shape, core in zip(shapes, inputs, strict=True))
        )
        if len(self._sizes) >= 4096:
            self._sizes.clear()
        found = self._sizes[shapes] = batch, [shape[len(batch) :] for shape in self.shapes(*shapes)]
        return found

    def _single(self, way, arrays, options, cores, dtypes):
        """The outputs for one matrix, or for what stands for one."""
        if not way.stacked:
            return self._checked(_outputs(way, arrays, options), cores, dtypes)
        found = _outputs(way, [A[None] for A in arrays], options)
        return [out[0] for out in self._checked(found, [(1, *core) for core in cores], dtypes)]

    def _checked(self, found, shapes, dtypes):
        """What an implementation returned as arrays of the dtypes that the kinds declare. What a cast would lose, the
        imaginary parts of eigenvalues for instance, is not lost without a word; and of another shape than the signature
        says, it would be broadcast."""
        if len(found) != len(dtypes):
            raise TypeError(
                f"{self.name}: the kernel returned {len(found)} arrays, where {self.signature.text} has {len(dtypes)} "
                "outputs. Several are a tuple."
            )
        outputs = []
        for i, (out, shape, dtype) in enumerate(zip(found, shapes, dtypes, strict=True)):
            A = out if type(out) is np.ndarray else np.asarray(out)
            if A.dtype != dtype:
                if not np.can_cast(A.dtype, dtype, "same_kind"):
                    raise TypeError(
                        f"{self.name}: output {i} of the kernel has dtype {A.dtype}, and its kind, {self.kinds[i]!r}, "
                        f"says {dtype} here. " + _remedy(A.dtype.kind, self.kinds[i])
                    )
                A = A.astype(dtype)
            if A.shape != shape:
                raise ValueError(
                    f"{self.name}: output {i} of the kernel has shape {A.shape}, where {self.signature.text} says "
                    f"{shape}. Correct the signature or the kernel."
                )
            outputs.append(A)
        return outputs


def _remedy(given, declared):
    """What to do about an output of another kind of dtype than was declared."""
    if given == "c":
        return "Declare 'c', which is complex always, or return the real part."
    if given == "f" and declared in "=r":
        return "That is the dtype of its arrays: call it with floating-point numbers, or return integers."
    return "Declare '=' or 'r', or convert the output to integers." if given == "f" else "Return arrays."


def _outputs(way, arrays, options):
    outputs = way.function(*arrays, **options)
    return outputs if isinstance(outputs, tuple) else (outputs,)


def kernel(signature: str, kinds: str = "=", stacked: bool = False) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a NumPy function of single matrices, or of stacks of them, a `Kernel`. Options are keyword-only, and bool,
    int, float or str.

    Examples
    --------
    >>> import numpy as np, scipy.linalg
    >>> @kernel("(n,n)->(n,n),(n,n)", "cc")
    ... def triangular_form(A):
    ...     return scipy.linalg.schur(A, output="complex")
    >>> T, Z = triangular_form(np.ones((3, 2, 2)))
    >>> T.shape, T.dtype
    ((3, 2, 2), dtype('complex128'))
    """

    if not isinstance(signature, str):
        raise TypeError(
            "kernel takes a signature, and then the function: write @kernel('(n,n)->(n)') in front of it, with the "
            "core dimensions of its arrays."
        )

    def make(function):
        made = Kernel(function, signature, kinds, stacked)
        if function.__module__.partition(".")[0] == "overbar":
            KERNELS[made.name] = made
        return made

    return make
