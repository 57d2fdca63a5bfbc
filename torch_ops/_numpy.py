"""Where NumPy computes in the memory of tensors, which are arrays to it: on one thread its loops and SciPy's LAPACK
take less time there than torch's; and where it gives them memory.

May import torch, NumPy, `overbar`, `torch_ops._watching` and `_internals`. What is here has no derivative: it is for
what nobody watches.
"""

import numpy as np
import torch

from overbar._by_numpy import attempt, takes_constants
from overbar._numpy_words import ONE_THREAD, compact, is_large
from torch_ops._internals import count_dispatch_modes
from torch_ops._watching import are_plain, watched

#: NumPy's names of the dtypes.
DTYPES = {torch.float32: "f", torch.float64: "d", torch.complex64: "F", torch.complex128: "D"}

_INTEGERS = {torch.int32, torch.int64, torch.uint32, torch.uint64}

#: Up to so many numbers in all arrays together NumPy computes nearly all primitives and rules of single matrices in a
#: third to three quarters of the time: of a 32 by 32 matrix, say. It starts no threads for so few.
FEW = 2**12

#: But not those that are an operation or three, with their rules, or products without much else,
BRIEF = {
    *("add", "affine", "concatenate", "congruence", "cos", "diag_embed", "diagonal", "embed", "exp", "expm", "inv"),
    *("expm_frechet", "kron", "log", "mask", "matmul", "matrix_transpose", "multiply", "phi", "reciprocal", "reshape"),
    *("sin", "solve_triangular", "sqrt", "squared_error", "subset", "subtract", "sum", "tanh", "trace", "tril", "triu"),
    *("transpose_matmul", "triangular_entries", "vec"),
}

#: and the functions that are, whose rules are not.
ONE_OPERATION = {"ldl_factor", "lu_factor", "matrix_power", "power", "qr"}

#: The primitives whose functions and rules were measured to be quicker in NumPy at any size: of one matrix.
QUICKER = {"gaussian_logpdf", "matern", "rational_quadratic", "rbf"}


def one_thread():
    """Whether neither torch nor SciPy's BLAS starts threads, for which the other would wait."""
    return ONE_THREAD and torch.get_num_threads() == 1


def are_for_numpy(tensors):
    """Whether NumPy and SciPy may compute with these tensors: nobody watches, and no threads wait, of SciPy's BLAS for
    torch's or the other way round."""
    return one_thread() and are_at_hand(tensors)


def are_at_hand(tensors):
    """Whether NumPy may look at these tensors, and nobody watches."""
    for A in tensors:
        if A.device.type != "cpu" or (A.dtype not in DTYPES and A.dtype not in _INTEGERS):
            return False
    return not (watched(tensors) or count_dispatch_modes() or torch.jit.is_tracing()) and are_plain(tensors)


def as_array(A):
    """The memory of a tensor as an array of NumPy's."""
    return A.numpy(force=True)  # of zeros without memory, too, which tangents may be


def compacted(L):
    """A lower triangular matrix on the host that nobody watches: a large one in less memory."""
    if L.ndim != 2 or L.dtype not in DTYPES or not is_large(L.nbytes) or are_for_numpy((L,)):  # what made it did so
        return L
    return torch.from_numpy(compact(as_array(L)))


def as_tensor(out, arrays):
    """What was computed of these arrays as a tensor, in memory that is nobody else's: what shares it with an array
    would change with it."""
    out = np.asarray(out)
    backwards = any(stride < 0 for stride in out.strides)  # which torch has not
    copy = backwards or not out.flags.writeable or any(np.may_share_memory(out, A) for A in arrays)
    return torch.from_numpy(out.copy() if copy else out)


def of_few(function, *tensors):
    """``function(*arrays)`` by NumPy, as a tensor, of few numbers in single matrices; else, or if it fails, None."""
    count = _numbers(tensors)
    if count is None or count > FEW or not are_at_hand(tensors):
        return None
    found = attempt(lambda: function(*map(as_array, tensors)))
    return None if found is None else _copied(found)


def _numbers(tensors):
    """How many numbers these have together; None if one is a batch, or has the symbols of a compiler for sizes, which
    may be asked no question."""
    count = 0
    for A in tensors:
        size = A.numel()
        if A.ndim > 2 or type(size) is not int:
            return None
        count += size
    return count


def _copied(out):
    """A small array as a tensor: a copy takes no longer than finding out whether one is needed (see `as_tensor`)."""
    return torch.from_numpy(np.array(out, order="C"))


def quicker(primitive, options, compute, tensors, rule=False):
    """``compute(*arrays)``, several outputs of a primitive or of its `rule`, by NumPy, as tensors; None where that is
    not quicker, or not possible, or fails: then torch says it in its own words. Those that are None stay so."""
    if primitive.name in BRIEF or (primitive.name in ONE_OPERATION and not rule):
        return None
    if primitive.of_one_library or not takes_constants(primitive, options):
        return None
    known = [A for A in tensors if A is not None]
    count = _numbers(known)
    if count is None:
        return None
    few = count <= FEW
    if not (are_at_hand(known) if few else primitive.name in QUICKER and are_for_numpy(known)):
        return None
    arrays = [None if A is None else as_array(A) for A in tensors]
    outputs = attempt(lambda: compute(*arrays))
    if outputs is None:
        return None
    if not isinstance(outputs, (tuple, list)):
        outputs = (outputs,)
    given = () if few else [A for A in arrays if A is not None]
    return tuple(None if out is None else _copied(out) if few else as_tensor(out, given) for out in outputs)
