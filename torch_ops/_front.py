"""PyTorch's front: how a primitive is called, recorded and given to compilers there.

May import torch, array-api-compat, `overbar` and the neighbours below it: `_words`, `_function`, `_graphs`, `_blocks`,
`_host`, `_threads`, `_watching`, `_internals`, `_numpy`, `_originals`.
"""

import functools

import array_api_compat.torch
import numpy as np
import torch

from overbar._front import Front
from overbar._messages import definiteness, placed
from overbar._namespace import register
from overbar.kernels._ldl import sytrf
from overbar.kernels._lu import getrf
from torch_ops import _host as host
from torch_ops import _originals as originals
from torch_ops._blocks import as_one_op
from torch_ops._function import adopt, record
from torch_ops._graphs import in_graph, key_of
from torch_ops._internals import is_any_autocast_enabled, level_of, of_whole_batch, set_forward_mode, unpack_dual
from torch_ops._numpy import are_at_hand, are_for_numpy, as_array, compacted
from torch_ops._processor import ON_INTEL
from torch_ops._threads import alone, is_busy
from torch_ops._watching import are_plain, recording, transformed, watched
from torch_ops._words import TorchWords, failure_of, first_failure, room


class ShapeError(torch.linalg.LinAlgError, ValueError):
    """A tensor's shape does not fit the function. (A `torch.linalg.LinAlgError`, hence a `RuntimeError`.)"""


class DtypeError(torch.linalg.LinAlgError, TypeError):
    """A tensor's dtype is not real or complex floating point."""


# Those of a graph of torch.compile's that holds for every number are symbols.
_NUMBERS = (bool, int, float, complex, torch.SymBool, torch.SymInt, torch.SymFloat)
# There are no kernels of linear algebra for these.
_HALF = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}
# Layouts whose numbers do not lie in memory one after the other.
_SPARSE = (torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc)


class TorchFront(Front):
    ShapeError = ShapeError
    DtypeError = DtypeError
    LinAlgError = torch.linalg.LinAlgError
    failure = torch.linalg.LinAlgError
    promotes = False

    # -- a call

    def enter(self, primitive, arrays, options):
        if torch.compiler.is_dynamo_compiling():
            return in_graph(key_of(primitive), *arrays, **options)
        return primitive.apply(self, arrays, options)

    def key(self, arrays):
        shape = self.xp.static_shape
        return self, *[(type(A), A.dtype, shape(A), A.layout) for A in arrays]

    def refused(self, value):
        if isinstance(value, torch.Tensor) and value.layout in _SPARSE:
            return (
                f"a sparse tensor, of layout {value.layout}, and a matrix function takes dense ones. Convert it, by "
                "its method to_dense()."
            )
        return None

    def as_arrays(self, values):
        for value in values:
            if not isinstance(value, torch.Tensor):
                break
        else:
            return values
        like = next((v for v in values if isinstance(v, torch.Tensor)), None)
        return [v if isinstance(v, torch.Tensor) else self._from_python(v, like) for v in values]

    def _from_python(self, value, like):
        if not isinstance(value, _NUMBERS):
            how = "torch.as_tensor of its to_numpy()" if hasattr(value, "to_numpy") else "torch.as_tensor"
            raise TypeError(
                f"got a {type(value).__name__} instead of a tensor. Convert it with {how}, "
                "which lets you choose dtype and device."
            )
        if isinstance(value, complex) and like is not None and not like.is_complex():
            return torch.full((), value, dtype=like.dtype.to_complex(), device=like.device)
        dtype = like.dtype if like is not None else None if isinstance(value, complex) else torch.get_default_dtype()
        # torch.full writes the number on the device; torch.tensor would make it on the host and copy it
        return torch.full((), value, dtype=dtype, device=like.device if like is not None else None)

    def fits(self, bar, array):
        return super().fits(bar, array) and not bar.is_conj()

    def project(self, bar, array, primitive, i):
        # a .grad that is conjugated lazily has no .numpy()
        return super().project(bar, array, primitive, i).resolve_conj()

    def call(self, primitive, arrays, options):
        for A in arrays:
            if A.dtype in _HALF:
                return self._in_single_precision(primitive, arrays, options)
        return record(self, primitive, arrays, options)

    def _in_single_precision(self, primitive, arrays, options):
        dtype = functools.reduce(torch.promote_types, (A.dtype for A in arrays))
        outputs = record(self, primitive, [A.to(_HALF.get(A.dtype, A.dtype)) for A in arrays], options)
        if dtype not in _HALF or is_any_autocast_enabled():
            return outputs  # autocast's own functions of matrices return float32, too
        narrow = {_HALF[dtype]: dtype, torch.float32: dtype.to_real()}
        return tuple(out.to(narrow.get(out.dtype, out.dtype)) for out in outputs)

    def adopt(self, primitive, arrays, outputs, **options):
        """The outputs of a primitive that the caller sees, as a tuple. All of them, intermediates too, are there
        already, in memory of their own: nothing is computed again, and the derivatives are the primitive's."""
        return adopt(self, primitive, arrays, outputs, {**primitive.defaults, **options})[: primitive.public]

    # -- the numbers in tensors

    def sees_numbers(self, *arrays):
        return are_plain(arrays)

    def numbers(self, A):
        return as_array(A) if are_at_hand((A,)) else None

    def shares(self, A, B):
        if A is B or not are_plain((A, B)):
            return A is B
        return A.data_ptr() == B.data_ptr() != 0 and A.numel() == B.numel()

    def may_hold(self, mask):
        # torch.jit.trace would keep the answer for matrices of which it is not true
        return mask.device.type != "cpu" or torch.jit.is_tracing() or super().may_hold(mask)

    def writes_program(self):
        return torch.compiler.is_exporting()

    def fuses(self):
        return torch.compiler.is_compiling()

    def warn(self, mask, message):
        if mask.device.type == "cpu":  # a device would have to be waited for
            super().warn(mask, message)

    def choose(self, mask, yes, no, wait=False):
        # a compiler traces, or the host would have to wait for a device; fake tensors have no numbers
        hidden = torch.compiler.is_compiling() or type(mask) is not torch.Tensor
        if hidden or not (wait or mask.device.type == "cpu"):
            return no()
        try:
            every = bool(mask.all())
        except RuntimeError:  # a transform looks at it
            every = False
        return yes() if every else no()

    def require(self, A, fine, message, argument="A", definite=None):
        info, function = (~fine).to(torch.int32), "torch.linalg.solve"
        if definite is not None:
            # what a compiled program says names a leading minor: the whole matrix is one that is not positive definite
            info, function = info * definite.shape[-1], "linalg.cholesky"
        if failure := failure_of(info, function):
            index, _ = first_failure(info)
            if definite is None:
                raise torch.linalg.LinAlgError(placed(message, argument, index))
            matrix = of_whole_batch(definite)[index].detach().resolve_conj().resolve_neg()
            message = f"{message} {definiteness(matrix.cpu().numpy())}"
            raise torch.linalg.LinAlgError(f"{placed(message, argument, index)}\n{failure}")
        return A

    def constant_function(self, function, arrays, message):
        # Where the user has switched autograd off, a trained network that is only asked for values, say, no derivative
        # is lost. (Inside of a Function it is off, too, and says nothing of the user.)
        if recording.depth == 0 and not torch.is_grad_enabled() and not transformed(arrays):
            return function(*arrays)
        return self.of_arrays_only(function, arrays, message)

    def of_arrays_only(self, function, arrays, message):
        """What `constant_function` is where somebody may differentiate."""
        # A tensor that requires a gradient gets into the value from where the function was written: by a closure, an
        # attribute, a global. Autograd is switched off in here and would not say so.
        if torch.compiler.is_exporting():
            return function(*arrays)
        if not torch.is_grad_enabled():
            arrays = [unpack_dual(A.detach())[0] for A in arrays]
        with torch.enable_grad(), set_forward_mode(True):
            value = function(*arrays)
            if isinstance(value, torch.Tensor) and _depends(value, arrays):
                raise TypeError(message)
        return value

    # -- where things are computed

    def as_one(self, function, *arrays):
        if not torch.compiler.is_compiling():
            threads = alone(arrays[0].shape[-1], arrays[0].device)
            try:
                return function(*arrays, out=self.buffer(*arrays))
            finally:
                if threads:
                    torch.set_num_threads(threads)
        # the graphs of torch.export hold PyTorch's own ops
        if torch.is_grad_enabled() or transformed(arrays) or torch.compiler.is_exporting():
            return function(*arrays)
        return as_one_op(function, arrays)

    def may_write(self, *arrays):
        return not watched(arrays)

    def buffer(self, *arrays):
        if not self.may_write(*arrays):
            return None
        shape = arrays[0].shape
        for A in arrays:
            if A.shape != shape:  # torch.broadcast_shapes imports sympy
                shape = np.broadcast_shapes(shape, A.shape)
        return room(arrays[0], shape)

    def compact(self, L):
        return compacted(L) if self.may_compute(L) else L

    def compute(self, kernel, *arrays, **options):
        own = kernel.chosen("torch", arrays, options)
        return host.call(kernel, arrays, options) if own is None else own.function(*arrays, **options)

    def on_the_host(self, A):
        return A.device.type == "cpu"

    def device_type(self, A):
        return A.device.type

    def prefers_vectors(self, A, n, count):
        if count < 64 * min(n, 8) or self.device_type(A) != "cpu" or torch.compiler.is_compiling():
            return False
        return n <= 8 or self.may_write(A)  # which takes a third of the memory that arrays for each step take

    def at_once(self, A, n, count):
        return 2**21 // (A.element_size() * n**2) if self.prefers_vectors(A, n, count) else count

    def threads(self):
        return 1 if is_busy() else torch.get_num_threads()

    def wider_blocks(self, A):
        return 2 if A.ndim == 2 and ON_INTEL else 1

    def has_blas(self, *arrays):
        return are_for_numpy(arrays)

    def may_compute(self, *arrays):
        if watched(arrays) or not are_plain(arrays) or torch.jit.is_tracing():  # which would keep what came out
            return False
        return all(A.device.type == "cpu" for A in arrays)


@getrf.implemented_by(place="torch")
def _(A):
    LU, pivots, _ = originals.linalg.lu_factor_ex(A)
    P, _, _ = torch.lu_unpack(LU, pivots, unpack_data=False)
    # ones counted: argmax has no answer for an empty matrix
    p = (P.real * torch.arange(A.shape[-2], dtype=P.real.dtype, device=A.device)[:, None]).sum(-2)
    return LU, pivots, p.to(torch.int64)


@sytrf.implemented_by(place="torch")
def _(A, hermitian):
    LD, pivots, _ = originals.linalg.ldl_factor_ex(A, hermitian=hermitian)
    return LD.tril(), pivots


def _depends(value, arrays):
    """Whether a value has a derivative with respect to something else than the arrays that it was computed from."""

    def has_tangent(A):
        return unpack_dual(A)[1] is not None

    levels = [level_of(A) for A in (value, *arrays)]
    return (
        (value.requires_grad and not any(A.requires_grad for A in arrays))
        or (has_tangent(value) and not any(map(has_tangent, arrays)))
        or levels[0] > max(levels[1:], default=-1)
    )


TORCH = TorchFront(TorchWords(array_api_compat.torch))
register(torch.Tensor, TORCH)
