"""Routines of LAPACK that the array libraries lack, on the host.

May import NumPy, SciPy and `overbar._signature`. A kernel is what a primitive's function calls where no product, solve
or factorisation of the library itself leads to its value: a Schur decomposition, a Sylvester equation. It knows no
derivative; a primitive around it does. A rule file writes it in NumPy and SciPy, for single matrices or for stacks of
them, and calls it by ``namespace(A).on_host(kernel, A, ...)``: NumPy calls it as it is, PyTorch as an op of
torch.library (compiled graphs and vmap know it, a tensor on another device is copied to the host and back), TensorFlow
as a tf.numpy_function (not under XLA, which has no host to call).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from overbar._signature import Signature

__all__ = ["KERNELS", "Kernel", "kernel"]

#: all kernels by name
KERNELS: dict[str, Kernel] = {}

_COMPLEX = {"f": "F", "d": "D"}
_REAL = {"F": "f", "D": "d"}


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
    """

    def __init__(self, function: Callable[..., Any], signature: str, kinds: str, stacked: bool = False) -> None:
        functools.update_wrapper(self, function)
        self.function, self.name, self.stacked = function, function.__name__, stacked
        self.signature, self.kinds = Signature(signature), kinds
        if len(kinds) != len(self.signature.outputs):
            raise TypeError(f"{self.name}: kinds '{kinds}' do not fit the outputs of '{signature}'")

    def __repr__(self):
        return f"<kernel {self.name} {self.signature.text}>"

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
        cores = [len(core) for core in self.signature.inputs]
        dtypes = self.dtypes(*(A.dtype for A in arrays))
        batch = np.broadcast_shapes(*(A.shape[: A.ndim - core] for A, core in zip(arrays, cores, strict=True)))
        if not batch:
            return tuple(
                np.asarray(out, dtype) for out, dtype in zip(self._single(arrays, options), dtypes, strict=True)
            )
        arrays = [
            np.broadcast_to(A, (*batch, *A.shape[A.ndim - core :])) for A, core in zip(arrays, cores, strict=True)
        ]
        if self.stacked and 0 not in batch:
            try:
                found = self._outputs([A.reshape(math.prod(batch), *A.shape[len(batch) :]) for A in arrays], options)
                return tuple(
                    np.asarray(out, dtype).reshape(*batch, *out.shape[1:])
                    for out, dtype in zip(found, dtypes, strict=True)
                )
            except np.linalg.LinAlgError:
                pass  # of which matrix it is true, is found out below
        shapes = self.shapes(*(A.shape for A in arrays))
        outputs = tuple(np.empty(shape, dtype) for shape, dtype in zip(shapes, dtypes, strict=True))
        for index in np.ndindex(batch):
            try:
                found = self._single([A[index] for A in arrays], options)
            except np.linalg.LinAlgError as error:
                where = index[0] if len(index) == 1 else index
                raise np.linalg.LinAlgError(f"{error} (Matrix {where} of the batch.)") from None
            for out, value in zip(outputs, found, strict=True):
                out[index] = value
        return outputs

    def _single(self, arrays, options):
        if not self.stacked:
            return self._outputs(arrays, options)
        return tuple(out[0] for out in self._outputs([A[None] for A in arrays], options))

    def _outputs(self, arrays, options):
        outputs = self.function(*arrays, **options)
        return outputs if isinstance(outputs, tuple) else (outputs,)


def kernel(signature: str, kinds: str = "=", stacked: bool = False) -> Callable[[Callable[..., Any]], Kernel]:
    """Make a NumPy function of single matrices, or of stacks of them, a `Kernel`. Options are keyword-only, and bool,
    int, float or str.

    Examples
    --------
    >>> import numpy as np, scipy.linalg
    >>> @kernel("(n,n)->(n,n),(n,n)", "cc")
    ... def complex_schur(A):
    ...     return scipy.linalg.schur(A, output="complex")
    >>> T, Z = complex_schur(np.ones((3, 2, 2)))
    >>> T.shape, T.dtype
    ((3, 2, 2), dtype('complex128'))
    """

    def make(function):
        made = Kernel(function, signature, kinds, stacked)
        KERNELS[made.name] = made
        return made

    return make
