"""The words of `overbar._words` in PyTorch.

May import torch, `overbar` and the neighbours below it. Nothing here knows a derivative: these are the words in which
the rules are spoken to torch. Where array-api-compat's wrapper fails under a transform of torch.func, torch's own
function stands in its place (concat and diagonal under legacy vmap, eye under linearize).
"""

import cmath
import functools
import itertools
import math

import numpy as np
import torch

from overbar._messages import bad_minor, first_not_finite, no_inverse, not_finite, singular
from overbar._numpy_words import factor_in_one_call, pairs_of
from overbar._words import Words
from overbar.rules._frechet import evaluate
from overbar.rules._halving import BASE, cholesky_by_halves, columns_collide
from torch_ops import _originals as originals
from torch_ops._internals import (
    are_transforms_active,
    count_dispatch_modes,
    forward_mode,
    is_legacy_batched,
    of_whole_batch,
    raise_linalg_errors,
)
from torch_ops._numpy import DTYPES, are_for_numpy, as_array, of_few
from torch_ops._threads import alone
from torch_ops._watching import are_plain, transformed, watched

#: The order from which SciPy's LAPACK was measured to be quicker than torch's at a Cholesky factor.
_LAPACK = 64

#: The order from which products of halves are quicker than torch's factorisation where its columns fall on one another
#: in the cache, `halving.columns_collide`.
_HALVES = 320

#: So many entries are a large tensor: from four megabytes on NumPy has large pages.
_LARGE = 2**19


class TorchWords(Words):
    name = "PyTorch"
    inverse_by_columns = True

    def __init__(self, base):
        super().__init__(base)
        # All words of the base at once, not each when it is first used: torch.compile, which reads a function of ours
        # twice, must find the same both times.
        vars(self).update({name: getattr(base, name) for name in base.__all__ if not hasattr(type(self), name)})

    def is_floating(self, A):
        return A.is_floating_point() or A.is_complex()

    def is_complex(self, A):
        return A.is_complex()

    def cast(self, A, like):
        if A.dtype == like.dtype:
            return A
        if A.is_complex() and not like.is_complex():
            A = A.real
        return A.to(like.dtype)

    def constant(self, value, like):
        return torch.as_tensor(value, device=like.device)

    def conj(self, A):
        return A.conj()

    def real(self, A):
        return A.real if A.is_complex() else A

    def count(self, n, like):
        return torch.arange(n, device=like.device)

    def sign(self, A):
        return torch.where(A.isnan(), A, torch.sgn(A))  # array-api-compat writes the NaN in, which vmap cannot

    def erf(self, A):
        return torch.erf(A)

    def gammaln(self, A):
        return torch.lgamma(A)

    def polygamma(self, n, A):
        if n == 1:  # of which torch's has ten digits
            return torch.special.zeta(2.0, A)
        return torch.polygamma(n, A)

    def power_of_two(self, A):
        if 0 in A.shape[-2:]:
            return A.new_ones((*A.shape[:-2], 1, 1), dtype=A.real.dtype)
        x = A.detach().abs().amax((-2, -1), keepdim=True)
        mantissa, _ = torch.frexp(x)
        tiny = self.smallest_scale(x)
        # zero, infinity and NaN have no mantissa
        return torch.clamp(x / 2 / mantissa, tiny, 1 / tiny).nan_to_num(1.0)

    def mT(self, A):
        return A.mT

    def mH(self, A):
        return A.mH

    # As the transpose of one matrix, for which torch has a kernel by blocks: two to four times as fast.

    def batch_last(self, A):
        k, m, n = A.shape
        return A.reshape(k, m * n).T.contiguous().view(m, n, k)

    def batch_first(self, A):
        m, n, k = A.shape
        return A.reshape(m * n, k).T.contiguous().view(k, m, n)

    def cumulative_sum(self, A, axis):
        return torch.cumsum(A, axis)

    def argsort(self, A, axis=-1):
        return torch.argsort(A, dim=axis)

    def take_along_axis(self, A, indices, axis=-1):
        if all(type(size) is int for size in (*A.shape, *indices.shape)):
            return torch.take_along_dim(A, indices, axis)
        # torch.export would make constants of sizes that are symbols
        axis = axis % A.ndim
        # along the axis there are as many as there are indices, whatever the size of A
        wide = [
            A.shape[k] if k == axis else _broadcast(A.shape[k : k + 1], indices.shape[k : k + 1])[0]
            for k in range(A.ndim)
        ]
        A = A.expand(wide)
        wide[axis] = indices.shape[axis]
        return torch.gather(A, axis, indices.expand(wide))

    def concat(self, arrays, axis=0):
        return torch.cat(tuple(arrays), dim=axis)

    def eye_like(self, A):
        return torch.eye(*A.shape[-2:], dtype=A.dtype, device=A.device)

    def tril(self, A, k=0):
        return torch.tril(A, k)

    def triu(self, A, k=0):
        return torch.triu(A, k)

    def phi(self, A):
        T, n = torch.tril(A), A.shape[-1]
        # a tensor of another type stands for others, in a compiler for instance
        if type(A) is not torch.Tensor or count_dispatch_modes() or are_transforms_active() or n > 64:
            return torch.diagonal_scatter(T, A.diagonal(0, -2, -1) / 2, 0, -2, -1)
        key = n, A.dtype, A.device
        return T * (_halves[key] if key in _halves else _half_diagonal(*key))

    def broadcast_to(self, A, shape):
        return A.expand(shape)

    def sum_to(self, A, shape):
        return A.sum_to_size(shape)

    def diagonal(self, A, offset=0):
        return torch.diagonal(A, offset, -2, -1)

    def diagonal_embed(self, d, m, n, offset=0):
        zeros = d.new_zeros((*d.shape[:-1], m, n))
        return torch.diagonal_scatter(zeros, d, offset, -2, -1)

    def fill_diagonal(self, A, d):
        batch = _broadcast(A.shape[:-2], d.shape[:-1])
        return torch.diagonal_scatter(A.expand(*batch, *A.shape[-2:]), d.expand(*batch, d.shape[-1]), 0, -2, -1)

    def positions(self, shape, index, like):
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(i, (list, np.ndarray)) for i in parts):
            # they are on the host, and torch indexes by them in other ways than NumPy; sizes become constants here
            return super().positions(tuple(map(int, shape)), index, like)
        # on the device: nothing is copied there, and the index may hold tensors of that device
        where = torch.arange(math.prod(shape), device=like.device).reshape(shape)
        return _indexed(where, parts)

    def subset(self, A, index, ndim):
        index = index if isinstance(index, tuple) else (index,)
        if all(isinstance(i, int) or (isinstance(i, slice) and (i.step or 1) > 0) for i in index):
            return A[(slice(None),) * (A.ndim - ndim) + index]
        return super().subset(A, index, ndim)

    def take(self, A, indices, axis):
        return torch.index_select(A, axis, indices)

    def embed(self, B, where, shape):
        zeros = B.new_zeros((*B.shape[:-1], math.prod(shape)))
        return zeros.index_add(-1, where, B).reshape(*B.shape[:-1], *shape)

    def detached(self, A):
        return A.detach()

    def near_pairs(self, w, part):
        if torch.is_grad_enabled() or transformed((w,)) or not (w.is_cpu and are_plain((w,))):
            return None
        if w.ndim == 1 and 0 < len(w) <= 256:  # less than NumPy takes to begin
            rows = w.tolist()
            least = part * max(-rows[0], rows[-1])
            for before, x in itertools.pairwise(rows):
                if not x - before > least:
                    break
            else:
                return ()
        pairs = pairs_of(w.numpy(), part)
        return pairs and tuple(map(torch.from_numpy, pairs))

    def over_gaps(self, K, w, diagonal):
        gap = w[..., None, :] - w[..., :, None]
        gap.diagonal(0, -2, -1).fill_(1)
        K.div_(gap)
        K.diagonal(0, -2, -1).copy_(diagonal)
        return K

    def add_product(self, C, A, B, scale):
        if A.ndim == 2:
            return torch.addmm(C, A, B, alpha=scale)
        return C + scale * (A @ B)

    def add_product_to(self, C, A, B, scale):
        if C.ndim == A.ndim == B.ndim == 2:
            C.addmm_(A, B, alpha=scale)
        else:
            C.add_(A @ B, alpha=scale)

    def product_to(self, C, A, B):
        torch.matmul(A, B, out=C)

    def cholesky(self, A, argument="A", on_error="raise"):
        if factor := quicker_factor(A):
            L = factor(A)
            if L is not None:
                return L
        L, info = originals.linalg.cholesky_ex(A)
        info = _with_infinity(L, info)
        if on_error == "nan":
            return torch.where((info == 0)[..., None, None], L, math.nan)
        if failure := failure_of(info, "linalg.cholesky"):
            raise torch.linalg.LinAlgError(f"{failure}\n{_not_positive_definite(A, info, argument)}")
        return L

    def solve(self, A, B, check=True):
        if A.ndim == 2 and B.ndim > 2:
            return _with_columns(lambda columns: self.solve(A, columns, check), B)
        # Beside a batch of n matrices, torch takes one n by n matrix B for a batch of vectors. And the other way round,
        # with fewer dimensions of A, its vmap confuses the batch dimensions of both.
        A, B = _of_one_rank(A, B)
        if forward_mode():
            # torch's forward rule of solve takes the LU factors that it saved for constants: a derivative of that
            # derivative silently lacks a term (pytorch/pytorch#192540). These factors are differentiable. (So they are
            # in lu_solve, which vmap gets wrong where only B is mapped.)
            LU, pivots, info = originals.linalg.lu_factor_ex(A)
            P, L, U = torch.lu_unpack(LU, pivots)
            Y = originals.linalg.solve_triangular(L, P.mT @ B, upper=False, unitriangular=True)
            X = originals.linalg.solve_triangular(U, Y, upper=True)
        else:
            X, info = originals.linalg.solve_ex(A, B)
        if check:
            _refuse_singular(info)
        return X

    def solve_by_factors(self, A, B, left=True, adjoint=False, check=True):
        # What torch.linalg.solve does. Only primitives ask for it, so that nobody differentiates it (see `solve`).
        factors, pivots, info = originals.linalg.lu_factor_ex(A)
        X = _with_factors(factors, pivots, B, left, adjoint)
        if check:
            _refuse_singular(info)
        return X, factors, pivots.to(A.dtype)

    def solve_with_factors(self, A, factors, pivots, B, left=True, adjoint=False):
        return _with_factors(factors, self.real(pivots).to(torch.int32), B, left, adjoint)

    def inv(self, A, warn=False, regular=False):
        X, info = originals.linalg.inv_ex(A)
        if not regular and (failure := failure_of(info, "linalg.inv")):
            index, _ = first_failure(info)
            raise torch.linalg.LinAlgError(f"{failure}\n{no_inverse('A', index)}")
        return X

    def slogdet(self, A):
        return tuple(originals.linalg.slogdet(A))

    def permutation_matrix(self, p, like):
        i = torch.arange(p.shape[-1], device=p.device)
        return (i[:, None] == p[..., None, :]).to(like.dtype)

    def qr(self, A, mode="reduced"):
        return tuple(originals.linalg.qr(A, mode))

    def eigh(self, A):
        return _of_finite("eigh", lambda: originals.linalg.eigh(A), A, torch.tril)

    def eig(self, A):
        return _of_finite("eig", lambda: originals.linalg.eig(A), A)

    def svd(self, A, full_matrices=False):
        return _of_finite("svd", lambda: originals.linalg.svd(A, full_matrices=full_matrices), A)

    def expm_along(self, A, *directions):
        if torch.compiler.is_exporting():
            return self._exported_expm_along(A, *directions)
        found = self._own_expm_along(A, *directions)
        return of_few(functools.partial(evaluate, "expm"), A, *directions) if found is None else found

    def _exported_expm_along(self, A, *directions):
        # Nobody knows the numbers yet, nor how often one has to square. PyTorch's function does where the program runs.
        # The derivative is a block of exp([M E; 0 M]), for each direction once more (see overbar.rules._frechet).
        # Directions of the size of 1/n add nothing to the squarings that A needs (see `_own_expm_along`).
        n, scale = A.shape[-1], 1
        A, *directions = torch.broadcast_tensors(A, *directions)
        M = A
        for i, E in enumerate(directions):
            c = n * self.power_of_two(E)
            E, scale = E / c, scale * c
            E = torch.kron(torch.eye(2**i, dtype=E.dtype, device=E.device), E) if i else E
            M = torch.cat([torch.cat([M, E], -1), torch.cat([torch.zeros_like(M), M], -1)], -2)
        found = originals.linalg.matrix_exp(M)
        return found[..., :n, M.shape[-1] - n :] * scale if directions else found

    def _own_expm_along(self, A, *directions):
        # For such norms, scaling by the norm is not far from scaling by the powers, and squaring loses a few bits.
        n = A.shape[-1]
        if n > 64 or len(directions) > 1 or not A.is_cpu:
            return None
        size = originals.linalg.vector_norm(A, dim=(-2, -1))
        if A.ndim > 2 and not size.numel():
            return None
        low, high = (size, size) if A.ndim == 2 else torch.aminmax(size)
        # of a smaller one, entries that are small beside the identity would lose their digits
        if not 1e-3 <= low.item() <= high.item() <= 16:
            return None
        if not directions:
            return originals.linalg.matrix_exp(A)
        # PyTorch's number of squarings is that of [A E; 0 A], whose norm must not be that of a large E: so its own
        # derivative, for a large cotangent, loses the digits.
        (E,) = directions
        if E.ndim == 2:
            largest = originals.linalg.vector_norm(E, math.inf).item()
            limit = 120 if torch.finfo(E.dtype).bits == 32 else 1000
            c = 2.0 ** min(max(math.frexp(largest)[1], -limit), limit) if math.isfinite(largest) else None
        else:
            c = self.power_of_two(E) if E.isfinite().all() else None
        if c is None or not E.is_cpu:
            return None
        E = E / (n * c)
        if A.shape != E.shape:
            A, E = torch.broadcast_tensors(A, E)
        rows = torch.cat([A, E], -1), torch.cat([torch.zeros_like(A), A], -1)
        return originals.linalg.matrix_exp(torch.cat(rows, -2))[..., :n, n:] * (n * c)

    def solve_triangular(self, A, B, *, upper, left=True, adjoint=False, unitriangular=False):
        if adjoint:
            A, upper = A.mH, not upper
        options = {"upper": upper, "unitriangular": unitriangular}
        if A.ndim == 2 and B.ndim > 2 and left:
            return _with_columns(lambda columns: self.solve_triangular(A, columns, **options), B)
        if A.ndim == 2 and B.ndim > 2:
            rows = B.reshape(math.prod(B.shape[:-1]), B.shape[-1])
            return originals.linalg.solve_triangular(A, rows, left=False, **options).reshape(B.shape)
        return originals.linalg.solve_triangular(A, B, left=left, **options)


def _with_infinity(L, info):
    """What LAPACK says of a Cholesky factor, and the order of the leading minor that is infinite: an infinite pivot is
    positive to it, and has zeros below it, so that the rest of the factor looks like one."""
    if has_infinite_pivot(L) is False:
        return info
    infinite = ~L.detach().diagonal(0, -2, -1).isfinite()
    first = (infinite.to(torch.int32).cumsum(-1) == 0).sum(-1).to(info.dtype) + 1
    return torch.where((info == 0) & infinite.any(-1), first, info)


def has_infinite_pivot(L):
    """Whether a Cholesky factor, with zeros above its diagonal, has an infinite pivot, or a sum of pivots that is; None
    where numbers cannot be looked at, or where a device would have to be waited for."""
    if not L.is_cpu or not are_plain((L,)) or torch.jit.is_tracing():
        return None
    L = L.detach() if L.requires_grad else L
    # the sum of all is quicker than that of the diagonal, which is looked at if it says nothing
    return not cmath.isfinite(L.sum().item()) and not cmath.isfinite(L.diagonal(0, -2, -1).sum().item())


def quicker_factor(A):
    """A function that computes the Cholesky factor of A in less time than torch's, or returns None where there is no
    factor; None where there is no such function."""
    if A.ndim != 2 or torch.compiler.is_compiling():  # a compiler would make a graph for each answer about the size
        return None
    n = A.shape[-1]
    if type(n) is not int or n < _LAPACK:
        return None
    if are_for_numpy((A,)):
        return _factor_by_scipy
    if n < _HALVES or not A.is_cpu or A.dtype not in (torch.float32, torch.float64):
        return None
    if not columns_collide(n, A.element_size()) or torch.jit.is_tracing() or watched((A,)) or count_dispatch_modes():
        return None
    return _factor_by_halves if are_plain((A,)) else None


def _factor_by_scipy(A):
    L = factor_in_one_call(as_array(A))
    return None if L is None else torch.from_numpy(L)


def _factor_by_halves(A):
    """The Cholesky factor of one real matrix on the host; None where there is none, or a number that is not finite."""

    def factor(block):
        L, info = originals.linalg.cholesky_ex(block)
        if info:
            raise _NoFactorError
        return L

    threads = alone(A.shape[-1], A.device)
    try:
        L = cholesky_by_halves(A, factor, BASE, room(A, A.shape))
    except _NoFactorError:
        return None
    finally:
        if threads:
            torch.set_num_threads(threads)
    return L if bool(L.diagonal().sum().isfinite()) else None


class _NoFactorError(Exception):
    """A block is not positive definite."""


def _broadcast(*shapes):
    """Their broadcast. NumPy, which is quicker and needs no sympy, would make numbers of a compiler's symbols, and so
    constants of a graph."""
    if all(type(size) is int for shape in shapes for size in shape):
        return np.broadcast_shapes(*shapes)
    return torch.broadcast_shapes(*shapes)


def room(like, shape):
    """A new tensor of this shape to write into, with the dtype and the device of another one. On the host, that of a
    large one comes from NumPy, which asks the system for large pages: to get them takes a fraction of the time that
    small ones take, which is as long as many a product."""
    if math.prod(shape) < _LARGE or like.device.type != "cpu" or not are_plain((like,)):
        return like.new_empty(shape)
    return torch.from_numpy(np.empty(shape, DTYPES[like.dtype]))


_halves = {}  # ones with halves on the diagonal, by size, dtype and device


def _half_diagonal(n, dtype, device):
    with torch.inference_mode(False), torch.no_grad():
        halves = _halves[n, dtype, device] = torch.ones(n, n, dtype=dtype, device=device).fill_diagonal_(0.5)
    return halves


def _with_factors(factors, pivots, B, left, adjoint):
    if factors.ndim == 2 and B.ndim > 2 and left:
        return _with_columns(lambda columns: _with_factors(factors, pivots, columns, left, adjoint), B)
    if factors.ndim == 2 and B.ndim > 2:
        rows = B.reshape(math.prod(B.shape[:-1]), B.shape[-1])
        return _with_factors(factors, pivots, rows, left, adjoint).reshape(B.shape)
    if are_strided_wrongly(factors):
        factors = factors.contiguous()
    return originals.linalg.lu_solve(factors, pivots, B, left=left, adjoint=adjoint).resolve_conj()


def are_strided_wrongly(factors):
    """Whether torch.linalg.lu_solve may read other factors than these, silently: where the last of several batch
    dimensions has the size 1, it takes the stride there, which may be any number, for that from matrix to matrix."""
    return factors.ndim > 3 and factors.shape[-3] == 1


def _with_columns(solve, B):
    """One factor, many right-hand sides: B (..., n, k) as the columns of one system takes one call of LAPACK."""
    n, k = B.shape[-2:]
    X = solve(B.movedim(-2, 0).reshape(n, math.prod(B.shape[:-2]) * k))  # flatten is not for legacy vmap
    return X.reshape(n, *B.shape[:-2], k).movedim(0, -2)


def _of_one_rank(*tensors):
    """The tensors with ones in front of their dimensions, until all have the same number."""
    rank = max(x.ndim for x in tensors)
    return [x.reshape((1,) * (rank - x.ndim) + x.shape) if x.ndim < rank else x for x in tensors]


def _indexed(A, parts):
    """``A[parts]`` as NumPy means it. Torch knows no slices with negative steps: such a dimension is turned round
    first. And an integer beside an index tensor is another index tensor to NumPy, which decides where the dimension
    that they make goes; as a tensor of one entry it is to torch, too."""
    parts, axis, turned = list(parts), 0, []
    advanced = any(isinstance(i, torch.Tensor) and i.ndim for i in parts)
    taken = sum(i.ndim if _is_mask(i) else 1 for i in parts if i is not None and i is not Ellipsis)
    for k, i in enumerate(parts):
        if i is None:
            continue
        if i is Ellipsis:
            axis += A.ndim - taken
            continue
        if isinstance(i, slice) and i.step is not None and i.step < 0 and axis < A.ndim:
            n = A.shape[axis]
            start, stop, step = i.indices(n)
            parts[k] = slice(n - 1 - start, n - 1 - stop, -step)
            turned.append(axis)
        elif advanced and isinstance(i, (int, np.integer)) and not isinstance(i, bool):
            parts[k] = torch.full((1,), i, device=A.device)
        axis += i.ndim if _is_mask(i) else 1
    return (A.flip(turned) if turned else A)[tuple(parts)]


def _is_mask(i):
    return isinstance(i, torch.Tensor) and i.dtype == torch.bool


def failure_of(info, name):
    """What torch says where LAPACK failed on a matrix, or None. It is torch's own check, which costs nothing while
    tracing, knows meta and fake tensors, and looks at a device once, in the forward pass, as torch.linalg does."""
    if is_legacy_batched(info):
        return None  # a batch of gradients, whose matrices were looked at in the forward pass
    try:
        raise_linalg_errors(info, name, is_matrix=info.ndim == 0)
    except RuntimeError as error:
        if type(error) not in (RuntimeError, torch.linalg.LinAlgError):
            raise  # what a compiler's tensors cannot do
        return str(error)
    return None


def _refuse_singular(info):
    if failure := failure_of(info, "torch.linalg.solve"):
        index, _ = first_failure(info)
        raise torch.linalg.LinAlgError(f"{failure}\n{singular('A', index)}")


def first_failure(info):
    """The index of the first matrix of a batch that LAPACK failed on, and what LAPACK said of it. What vmap hides is a
    dimension of the batch."""
    info = of_whole_batch(info)
    index = tuple(int(i) for i in torch.nonzero(info)[0]) if info.ndim else ()
    return index, int(info[index])


def are_finite(A, read=None):
    """Whether no entry of A is NaN or infinite, of the triangle that `read` leaves of it; None where numbers cannot be
    looked at, or where a device would have to be waited for."""
    return are_finite_numbers(A, read) if A.is_cpu and are_plain((A,)) else None


def are_finite_numbers(A, read=None):
    """The same of a tensor on the host, of which it has been asked whether it is plain (`are_plain`)."""
    if torch.jit.is_tracing():
        return None
    A = A.detach() if A.requires_grad else A
    # by the sum, which may be infinite for finite numbers, too
    return cmath.isfinite(A.sum().item()) or bool((A if read is None else read(A)).isfinite().all())


def nan_unless_finite(A, *outputs):
    """What was computed of each matrix, of outputs whose batch dimensions are those of A; NaN for those with an entry
    that is NaN or infinite."""
    fine = A.isfinite().all(-1).all(-1)  # no detach: gradcheck's batches have none
    # a factor, so that derivatives of what is NaN are NaN, too
    factor = torch.where(fine, torch.ones_like(fine, dtype=A.real.dtype), math.nan)
    return tuple(X * factor.reshape(factor.shape + (1,) * (X.ndim - factor.ndim)) for X in outputs)


def _of_finite(name, decompose, A, read=None):
    """What PyTorch's function makes of A, whose results need not show what is not finite: LAPACK's comparisons take NaN
    for small beside another number, and where a block falls apart the others are finite. So A is looked at, and where
    it cannot be, such a matrix has NaN for all of its results."""
    fine = are_finite(A, read)
    if fine is False:
        raise torch.linalg.LinAlgError(_first_not_finite(name, A, read))
    try:
        found = tuple(decompose())
    except RuntimeError as error:
        if type(error) not in (RuntimeError, torch.linalg.LinAlgError) or not (
            message := _first_not_finite(name, A, read)
        ):
            raise
        raise torch.linalg.LinAlgError(f"{message}\n{error}") from None
    return found if fine else nan_unless_finite(A if read is None else read(A), *found)


def _first_not_finite(name, A, read):
    """The message for an entry that is not finite, of the triangle that is read; None where there is none, or numbers
    cannot be looked at."""
    A = of_whole_batch(A)
    if A.is_meta or not are_plain((A,)):
        return None
    A = A.detach().resolve_conj().resolve_neg()
    return first_not_finite(name, (A if read is None else read(A)).cpu().numpy(), "A")


def _not_positive_definite(A, info, argument):
    index, order = first_failure(info)
    matrix = torch.tril(of_whole_batch(A)[index])
    bad = torch.nonzero(~torch.isfinite(matrix))
    if len(bad):
        entry = tuple(int(i) for i in bad[0])
        return not_finite(argument, index, entry, matrix[entry].item())
    return bad_minor(argument, index, order)
