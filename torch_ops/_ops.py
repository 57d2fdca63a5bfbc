"""The ops: one entry for each primitive of `overbar.rules`.

May import torch and `overbar`. Where PyTorch has the function, its name, its arguments and their defaults are PyTorch's
(torch.linalg's before torch's, where both have the name); an op that has no counterpart there keeps overbar's. An entry
says what the op is called, which of PyTorch's functions it stands for, and which calls are passed to that one;
`torch_ops._wrapping` says what that means. No op has a rule of its own here: the functions in front of the entries
choose between PyTorch's and the primitive, and translate arguments and results.
"""

import functools
import math

import torch

from overbar import rules
from overbar._functions import because, never
from overbar.kernels._side_by_side import for_loops
from overbar.rules._decompositions import have_quick_eigenpairs, have_quick_singular_vectors
from overbar.rules._eig import ordered
from overbar.rules._eigen import all_outputs as all_outputs_of_eigh
from overbar.rules._many_small import are_quicker_otherwise
from overbar.rules._networks import with_classes
from overbar.rules._norms import two_dimensions
from overbar.rules._phases import OF_EIGENVECTORS, OF_SINGULAR_VECTORS
from overbar.rules._svd import all_outputs
from overbar.rules._two_by_two import are_of_two
from torch_ops import _originals as originals
from torch_ops._front import TORCH
from torch_ops._internals import det_with_factors, forward_mode, is_any_autocast_enabled, version_of
from torch_ops._norms import vector_norm
from torch_ops._numpy import one_thread
from torch_ops._processor import ON_INTEL, asked
from torch_ops._signs import can_turn, turn
from torch_ops._watching import are_plain
from torch_ops._words import (
    are_finite,
    are_finite_numbers,
    are_strided_wrongly,
    failure_of,
    has_infinite_pivot,
    nan_unless_finite,
    quicker_factor,
)
from torch_ops._wrapping import FULL, REAL, small, wrap


def _cholesky_solve(B, L, upper=False):
    # torch.cholesky_solve has a derivative that depends on the triangle of L which it does not read, and a gradient
    # there. Behind tril, it is right in reverse and forward mode, to any order.
    return originals.cholesky_solve(B, L.triu() if upper else L.tril(), upper)


def _one_system_each(A, B, **_):
    # Many right-hand sides of one system are folded into the columns of one, which torch does not do.
    return A.dtype in FULL and not A.ndim == 2 < B.ndim


def _kron(input, other):
    if not (isinstance(input, torch.Tensor) and isinstance(other, torch.Tensor)):
        return torch.kron(input, other)  # which refuses it
    if not (input.requires_grad or other.requires_grad):
        # torch.kron refuses what is no contiguous block of memory, a transposed matrix for instance.
        return torch.kron(input.contiguous(), other.contiguous())
    # What torch.kron keeps for its derivative does not know of changes in place: a gradient would be that of other
    # numbers, without an error.
    dims = max(input.ndim, other.ndim)
    A, B = ((1,) * (dims - X.ndim) + tuple(X.shape) for X in (input, other))
    if dims == 2:
        product = input.reshape(A[0], 1, A[1], 1) * other.reshape(1, B[0], 1, B[1])
        return product.reshape(A[0] * B[0], A[1] * B[1])
    product = input.reshape([n for a in A for n in (a, 1)]) * other.reshape([n for b in B for n in (1, b)])
    return product.reshape([a * b for a, b in zip(A, B, strict=True)])


def _matrix(input, **_):
    return input.ndim == 2  # torch.trace takes no batches


def _cholesky_inverse(L, upper=False):
    # So is torch.cholesky_inverse, but for its forward mode, which is wrong.
    return originals.cholesky_inverse(L.triu() if upper else L.tril(), upper)


def _solve(A, B, *, left=True):
    if not _vectors(A, B):
        return originals.linalg.solve(A, B, left=left)
    return solve.rule_op(A, B[..., None], left=left)[..., 0]


def _vectors(A, B):
    """What torch.linalg.solve takes for a batch of vectors, of which our primitive makes a matrix."""
    return B.ndim > 1 and A.ndim - 1 == B.ndim and B.shape == A.shape[:-1]


def _solved_by_torch(A, B, **_):
    # Its forward rule takes the LU factors for constants: the derivative of that is wrong (pytorch/pytorch#192540).
    return _vectors(A, B) or (A.dtype in FULL and not A.ndim == 2 < B.ndim and not forward_mode())


# Where PyTorch's derivatives are right for most matrices, and wrong or NaN for a few, its function is called, and what
# it found says whether this matrix is one of those. It is looked at on the host only, and where nothing but autograd's
# reverse mode looks on: a device would have to be waited for, and a transform or a compiler sees no numbers.


def _numbers_tell(A, *_, **__):
    return A.requires_grad and A.is_cpu and A.dtype in FULL and not forward_mode() and are_plain((A,))


def _looked_at(reason, unless=None, finite=False):
    return because(f"{reason}, unless the numbers on the host tell that they are not")(
        lambda A, *_, **__: (
            _numbers_tell(A) and not (unless and unless(A)) and not (finite and not are_finite_numbers(A))
        )
    )


# What PyTorch finds for a matrix that is not finite may be finite all the same, and so may its gradient. Such a matrix
# is left to the primitive, whose words raise, or return NaN where nobody can look.


def _values_of_finite(values, triangle=False):
    """Of PyTorch's function for the values of a decomposition, whether it is called where nobody takes a derivative,
    or what is called instead where looking at the matrix would be waiting for a device."""

    def instead(A, UPLO="L", **options):
        if triangle:
            return nan_unless_finite(A.tril() if UPLO in "Ll" else A.triu(), values(A, UPLO))[0]
        return nan_unless_finite(A, values(A, **options))[0]

    def unwatched(A, *_, **__):
        fine = are_finite(A)
        return instead if fine is None else fine

    return unwatched


#: How small a pivot, or the distance of two values, may be beside the largest: so that second derivatives, too, keep
#: more than half of the digits
_SMALL = {dtype: torch.finfo(dtype).eps ** 0.3 for dtype in FULL}
#: the same where vectors are differentiated: the error of a second derivative is ε over the square of the distance
_SMALL_FOR_VECTORS = {dtype: torch.finfo(dtype).eps ** 0.2 for dtype in FULL}
_ROOM = {dtype: torch.finfo(dtype).max ** 0.5 for dtype in FULL}


def _det(A):
    found, LU, _ = det_with_factors(A)
    return found if _pivots_are_large(A, LU) and _in_range(found, _ROOM[A.dtype]) else det.rule_op(A)


def _in_range(x, room):
    """Whether numbers are neither larger than `room` nor smaller than its inverse, nor NaN."""
    if not x.ndim:
        return 1 / room <= abs(x.item()) <= room
    size = x.detach().abs()
    low, high = torch.aminmax(size) if size.numel() else (1.0, 1.0)
    return bool(1 / room <= low and high <= room)


def _pivots_are_large(A, U):
    """Whether no pivot is small beside the largest one of its matrix, nor NaN."""
    if A.size(-2) > A.size(-1) or not U.numel() or not A.requires_grad:
        return True
    pivots, least = U.diagonal(0, -2, -1).detach(), _SMALL[A.dtype]
    if pivots.ndim == 1:
        pivots = list(map(abs, pivots.tolist()))
        return min(pivots) >= least * max(pivots) and not math.isnan(math.fsum(pivots))
    pivots = pivots.abs()
    low, high = torch.aminmax(pivots)
    if low >= least * high:  # of all matrices together, which takes less time
        return True
    low, high = torch.aminmax(pivots, dim=-1)
    return bool((low >= least * high).all())


def _finite(x):
    """Whether numbers are neither infinite nor NaN."""
    return math.isfinite(x.item()) if not x.ndim else bool(x.detach().isfinite().all())


def _slogdet(A):
    found = originals.linalg.slogdet(A)
    return found if _finite(found.logabsdet) else slogdet.rule_op(A)


def _logdet(A):
    found = originals.logdet(A)
    # NaN where the determinant is negative; of complex ones no look is quick
    return found if not found.is_complex() and _finite(found) else logdet.rule_op(A)


def _apart(rows, least):
    """Whether numbers in ascending order are farther apart than that, which is finite, and none is NaN."""
    before = -math.inf
    for x in rows:
        if not x - before > least:
            return False
        before = x
    return math.isfinite(least)


def _separated(A, w, small=_SMALL):
    """Whether eigenvalues, in ascending order, are apart, and none is NaN."""
    if not w.numel():
        return True
    least = small[A.dtype]
    if w.ndim == 1:
        rows = w.tolist()
        return _apart(rows, least * (abs(rows[0]) + abs(rows[-1])))
    w = w.detach()
    if w.size(-1) == 1:
        return bool(w.isfinite().all())
    gaps, size = w[..., 1:] - w[..., :-1], w[..., 0].abs() + w[..., -1].abs()
    return bool((gaps.amin(-1) > least * size).all())


def _regular(A, s, small=_SMALL):
    """Whether singular values, in descending order, are apart, also from zero, and none is NaN."""
    if not s.numel():
        return True
    least = small[A.dtype]
    if s.ndim == 1:
        rows = s.tolist()[::-1]
        least *= rows[-1]
        return rows[0] > least and _apart(rows, least)
    s = s.detach()
    first, last = s[..., 0], s[..., -1]
    if s.size(-1) > 1:
        last = torch.minimum(last, (s[..., :-1] - s[..., 1:]).amin(-1))
    return bool((last > least * first).all())


def _by_their_eigenvalues(A, *_, **__):
    """Of many small matrices, formulas (of order two) and compiled loops are quicker than PyTorch's loop."""
    return _real_numbers_tell(A) and not are_of_two(A) and not have_quick_eigenpairs(A) and are_finite_numbers(A)


def _real_numbers_tell(A, *_, **__):
    # Complex vectors have phases, of which PyTorch's derivative knows nothing.
    return A.is_cpu and A.dtype in REAL and not forward_mode() and are_plain((A,)) and can_turn()


def _eigh(A, UPLO="L"):
    found = w, V = originals.linalg.eigh(A, UPLO)
    if 0 not in A.shape:
        turn(V, OF_EIGENVECTORS)
    if not A.requires_grad or _separated(A, w, _SMALL_FOR_VECTORS):
        return found
    return type(found)(TORCH.adopt(rules.eigh, (A,), all_outputs_of_eigh(w.detach(), V.detach()), UPLO=UPLO))


def _few_columns(A, full_matrices=True, **_):
    """Of the vectors to no singular value, PyTorch has no derivative."""
    few = (not full_matrices or A.shape[-1] == A.shape[-2]) and not have_quick_singular_vectors(A)
    return few and _real_numbers_tell(A) and 0 not in A.shape and are_finite_numbers(A)


def _svd(A, full_matrices=True, *, driver=None):
    found = U, S, Vh = originals.linalg.svd(A, full_matrices, driver=driver)
    turn(U, OF_SINGULAR_VECTORS, Vh)
    if not A.requires_grad or _regular(A, S, _SMALL_FOR_VECTORS):
        return found
    outputs = all_outputs(A.detach(), U.detach(), S.detach(), Vh.detach())
    return type(found)(TORCH.adopt(rules.svd, (A,), outputs, full_matrices=full_matrices))


def _and_then_ours(found, primitive, A, outputs_of, *factors, **options):
    """Values of a matrix A, of PyTorch's decomposition: their first derivative is PyTorch's, and ours is that of the
    first derivative, where it has one. `outputs_of` makes those of the primitive of the factors.

    PyTorch differentiates its first derivative by way of complex vectors, whose phases must not matter, and asks
    whether a number is small that is zero but for rounding. It is not small where the loss or the matrix is large: then
    there is an error, or, of singular vectors, what rounding leaves of phases is part of the result.
    """
    node = found.grad_fn
    if node is None:
        return found
    # Without their graphs: they would have the node that has the hook. Nobody would find such a circle.
    factors = [x.detach() for x in factors]
    if not can_turn():  # who keeps tensors elsewhere does not hear of those that are kept here
        return TORCH.adopt(primitive, (A,), outputs_of(*factors), **options)[0]
    version = version_of(A)

    def hook(_, bars):
        bar = next((bar for bar in bars if bar is not None), None)
        if bar is None or not torch.is_grad_enabled():  # nobody differentiates the derivative
            return None
        if version_of(A) != version:
            raise RuntimeError(
                f"{primitive.name}: argument A has been modified by an inplace operation since, and a second "
                "derivative needs it as it was. Give the op a clone."
            )
        same = A.view_as(A)  # so that no hook of A runs in here
        outputs = outputs_of(*(x.clone() for x in factors))  # which get a graph
        values = TORCH.adopt(primitive, (same,), outputs, **options)[0]
        return torch.autograd.grad(values, same, bar, create_graph=True)

    node.register_hook(hook)
    return found


def _eigvalsh(A, UPLO="L"):
    if not torch.is_grad_enabled():
        return originals.linalg.eigvalsh(A, UPLO)
    w, V = originals.linalg.eigh(A, UPLO)
    # the derivative of the values is the same for any signs of vectors
    if not _separated(A, w):
        return TORCH.adopt(rules.eigvalsh, (A,), all_outputs_of_eigh(w.detach(), V.detach()), UPLO=UPLO)[0]
    return w if A.dtype in REAL else _and_then_ours(w, rules.eigvalsh, A, all_outputs_of_eigh, w, V, UPLO=UPLO)


def _have_quick_singular_values(A):
    """PyTorch's are quicker where a matrix is tall or wide."""
    return have_quick_singular_vectors(A) and max(A.shape[-2:]) <= 2 * min(A.shape[-2:])


def _svdvals(A, *, driver=None):
    if not torch.is_grad_enabled():
        return originals.linalg.svdvals(A, driver=driver)
    U, S, Vh = originals.linalg.svd(A, False, driver=driver)
    if not _regular(A, S):
        return TORCH.adopt(rules.svdvals, (A,), _outputs_of_svdvals(A, U.detach(), S.detach(), Vh.detach()))[0]
    return _and_then_ours_of_complex(A, U, S, Vh)


def _outputs_of_svdvals(A, U, S, Vh):
    U, S, Vh, *hidden = all_outputs(A.detach(), U, S, Vh)
    return S, U, Vh, *hidden


def _and_then_ours_of_complex(A, U, S, Vh):
    if A.dtype in REAL:
        return S
    return _and_then_ours(S, rules.svdvals, A, functools.partial(_outputs_of_svdvals, A), U, S, Vh)


#: Of larger matrices, the conditions would take too long to look at.
_SMALL_MATRIX = 64


def _values_tell(A):
    return _numbers_tell(A) and A.size(-1) == A.size(-2) <= _SMALL_MATRIX and can_turn()


def _eigvals(A):
    w, V = originals.linalg.eig(A)
    if w.ndim == 1:  # in Python, which takes less time than a few operations of PyTorch do
        rows = w.tolist()
        key = [x.real + x.imag / math.pi for x in rows]
        order = sorted(range(len(key)), key=key.__getitem__)
        fine = _few_are_apart(w.dtype, [rows[k] for k in order], [key[k] for k in order]) and _independent(V.data)
        order = None if order == list(range(len(key))) else torch.tensor(order)
    else:
        values = w.data
        key, order = (values.real + values.imag / math.pi).sort(-1)
        fine = not w.numel() or (_many_are_apart(values, key) and _independent(V.data))
    if not fine:
        (w,) = TORCH.adopt(rules.eigvals, (A,), ordered(w.detach(), V.detach()))
    elif order is not None:
        # The derivative of w is made of both, as they are in memory, and right for any order.
        w.data.copy_(w.data.gather(-1, order))
        V.data.copy_(V.data.gather(-1, order[..., None, :].expand(V.shape)))
    # of a real matrix, too, the vectors are complex; ours are not asked for their phases
    return _and_then_ours(w, rules.eigvals, A, lambda *outputs: outputs, w, V) if fine else w


# Whether eigenvalues are apart, and vectors far from dependent, so that no derivative is an error. |x − y| is more than
# 0.9 times the difference of two keys, so that neighbours in their order are enough, most often.


def _few_are_apart(dtype, w, key):
    least = _SMALL[dtype] * max(map(abs, w), default=0.0)
    for i, x in enumerate(w):
        for j in range(i + 1, len(w)):
            if 0.9 * (key[j] - key[i]) > least:
                break
            if not abs(x - w[j]) > least:
                return False
    return math.isfinite(least)


def _many_are_apart(w, key):
    least = _SMALL[w.dtype] * w.abs().amax(-1, keepdim=True)
    near = ~(0.9 * (key[..., 1:] - key[..., :-1]) > least).all(-1)
    if not near.any():
        return True
    w, least = w[near], least[near]
    gap = (w[..., None, :] - w[..., :, None]).abs()
    gap.diagonal(0, -2, -1).fill_(math.inf)
    return bool((gap.amin(-1) > least).all())


def _independent(V):
    # ‖V⁻¹‖ ≤ √e / |det V| for columns of norm 1: the product of the singular values is at most the smallest, times the
    # power n - 1 of the root of the mean of the squares of the others, whose sum is at most n.
    room, n = 1e-3 * torch.finfo(V.dtype).eps ** -0.5, V.size(-1)
    if n <= 8:
        size = _volume(V.tolist()) if V.ndim == 2 else originals.linalg.det(V).abs().amin().item()
        if size * room > 1.7:
            return True
    inverse, info = originals.linalg.inv_ex(V)
    return not info.any() and bool(inverse.abs().amax() < room)


def _volume(rows):
    """The modulus of a determinant, by elimination."""
    volume = 1.0
    while rows:
        rows.sort(key=lambda row: -abs(row[0]))
        pivot, *row = rows[0]
        volume *= abs(pivot)
        if not volume > 0:
            return 0.0
        rows = [[x - r[0] / pivot * y for x, y in zip(r[1:], row, strict=True)] for r in rows[1:]]
    return volume


def _two_norm(A, p=None, **_):
    return p in (None, 2, -2) and _numbers_tell(A) and not have_quick_singular_vectors(A) and are_finite_numbers(A)


def _cond(A, p=None):
    U, S, Vh = originals.linalg.svd(A, False)
    if not _ends_are_apart(A, S):
        return cond.rule_op(A, p)
    S = _and_then_ours_of_complex(A, U, S, Vh)
    first, last = S.select(-1, 0), S.select(-1, -1)
    return last / first if p == -2 else first / last


def _ends_are_apart(A, s):
    """Whether the largest and the smallest singular value, in descending order, are simple, no number is near the end
    of the range, and none of the others are equal, which PyTorch's second derivative divides by, though its result
    does not depend on it."""
    if s.size(-1) < 2:
        return False
    least, room, eps = _SMALL[A.dtype], _ROOM[A.dtype] ** 0.5, torch.finfo(A.dtype).eps
    if s.ndim == 1:
        rows = s.tolist()[::-1]
        low = min(rows[0], rows[1] - rows[0], rows[-1] - rows[-2])
        return low > least * rows[-1] and _apart(rows, 8 * eps * rows[-1]) and 1 / room <= rows[0] and rows[-1] <= room
    s = s.detach()
    gaps, first, last = s[..., :-1] - s[..., 1:], s[..., 0], s[..., -1]
    low = torch.minimum(torch.minimum(gaps[..., 0], gaps[..., -1]), last)
    fine = (low > least * first) & (gaps.amin(-1) > 8 * eps * first)
    return bool((fine & (first <= room) & (last >= 1 / room)).all())


@because("PyTorch's derivatives over- and underflow, unless the numbers on the host tell that they do not")
def _plain_pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None):
    # with hermitian=True, PyTorch reads one triangle; under autocast its products are in half precision
    plain = rcond is None and atol is None and rtol is None and not hermitian
    return plain and not is_any_autocast_enabled() and _numbers_tell(A) and are_finite_numbers(A)


def _pinv(A, rcond=None, hermitian=False, *, atol=None, rtol=None):
    found = originals.linalg.pinv(A)
    if not found.numel():
        return found
    # of products as A⁻¹ A⁻¹ A⁻¹ Ā̄, and where no digits are lost
    room = _ROOM[A.dtype] ** (1 / 3)
    size, size_found = (originals.linalg.vector_norm(x.detach(), math.inf).item() for x in (A, found))
    if size <= room and size_found <= room and size * size_found * _SMALL[A.dtype] <= 1:
        return found
    # A⁺ A is a projection, whose trace is the rank
    rank = (found.detach().mT * A.detach()).sum((-2, -1)).real.round().to(torch.int64)
    (found,) = TORCH.adopt(rules.pinv, (A,), (found.detach(), rank))
    return found


def _lu(A, *, pivot=True):
    found = originals.linalg.lu(A, pivot=pivot)
    return found if _pivots_are_large(A, found.U) else lu.rule_op(A, pivot=pivot)


def _lu_factor(A, *, pivot=True):
    found = originals.linalg.lu_factor(A, pivot=pivot)
    return found if _pivots_are_large(A, found.LU) else lu_factor.rule_op(A, pivot=pivot)


def _lstsq(A, B, rcond=None, *, driver=None):
    if _vectors(A, B):
        solution, residuals, *others = lstsq(A, B[..., None], rcond, driver=driver)
        return torch.return_types.linalg_lstsq((solution[..., 0], residuals, *others))
    # PyTorch's solution, and what else is an output here
    X = originals.linalg.lstsq(A, B, driver=driver).solution
    _, S, _ = originals.linalg.svd(A, False)
    if not _regular(A, S) or not _in_range(S, _ROOM[A.dtype] ** (1 / 3)):
        return lstsq.rule_op(A, B, driver=driver)
    residuals = (B - A @ X).square().sum(-2)
    return torch.return_types.linalg_lstsq((X, residuals, torch.full((), len(S), dtype=torch.int64), S))


@because(
    "singular values are an output here, with a derivative; where numbers on the host tell that they are apart, it is "
    "PyTorch's, and so is that of the solution"
)
def _vectors_or_one_small_system(A, B, rcond=None, *_, **__):
    if A.ndim != 2 or B.ndim != 2:
        return _vectors(A, B)
    if rcond is not None or A.dtype not in REAL or A.dtype != B.dtype or 0 in A.shape or max(A.shape) > 16:
        return False
    if is_any_autocast_enabled():  # which has products in half precision
        return False
    watched = A.requires_grad or B.requires_grad
    return watched and A.is_cpu and B.is_cpu and not forward_mode() and are_plain((A, B)) and are_finite_numbers(A)


def _lapack_driver(A, B, *, driver):
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise ValueError(f'lstsq: driver is {driver!r}. Leave it out, or choose "gels", "gelsy", "gelsd" or "gelss".')
    return A, B


def _cusolver_driver(A, *, driver):
    if driver is not None:
        originals.linalg.svdvals(A.new_ones(1, 1), driver=driver)  # PyTorch says which there are, on which device
    return A


def _tolerances(A, *, rcond, atol, rtol):
    """PyTorch's overloads: a number or a tensor for each, and the older name of rtol."""
    if rcond is not None:
        if atol is not None or rtol is not None:
            raise TypeError("pinv: rcond is the older name of rtol. Give rtol (and atol) alone.")
        rtol = rcond
    for name, x in (("atol", atol), ("rtol", rtol)):
        if isinstance(x, torch.Tensor) and x.requires_grad:
            raise TypeError(f"pinv: {name} requires a gradient, and has none: it decides what is zero. Detach it.")
    return A, {"atol": atol, "rtol": rtol}


def _full_precision(A, **_):
    return A.dtype in FULL


def _as_scipy(w, V, *, eigvals_only: bool = False):
    """The eigenvalues and the eigenvectors, or the eigenvalues alone where `eigvals_only` is true."""
    return w if eigvals_only else (w, V)


def _matrices_last(A, *, dim, dtype):
    if dtype is not None:
        if dtype.is_complex != A.is_complex():
            raise ValueError(
                f"matrix_norm: dtype is {dtype} for an argument A of {A.dtype}. Both are real, or both complex."
            )
        A = A.to(dtype)
    return A if dim == (-2, -1) else A.movedim(two_dimensions(dim, A.ndim), (-2, -1))


@because("PyTorch's second derivatives of norms by singular values are NaN or wrong at equal ones")
def _of_sums(A, ord="fro", dim=(-2, -1), *_, dtype=None, **__):
    dtype = dtype or A.dtype
    if not isinstance(dim, (tuple, list)) or len(dim) != 2:
        return False
    return (ord == "fro" and dtype in FULL) or (ord in (1, -1, math.inf, -math.inf) and dtype in REAL)


def _matrix_norm(A, ord="fro", dim=(-2, -1), keepdim=False, *, dtype=None):
    if ord == "fro":
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    return originals.linalg.matrix_norm(A, ord, dim, keepdim, dtype=dtype)


def _kept(norm, *, dim, keepdim):
    return norm[..., None, None].movedim((-2, -1), tuple(dim)) if keepdim else norm


@because(
    "of a complete Q, PyTorch has no derivative, and its derivative of a square one divides by the last number on the "
    "diagonal of R, unless the numbers on the host tell that none is close to zero"
)
def _tall_qr_or_looked_at(A, mode="reduced", **_):
    if A.dtype not in FULL or mode == "complete":
        return False
    return mode != "reduced" or A.size(-2) > A.size(-1) or _numbers_tell(A)


def _qr(A, mode="reduced"):
    found = originals.linalg.qr(A, mode)
    if mode != "reduced" or _pivots_are_large(A, found.R):
        return found
    return type(found)(TORCH.adopt(rules.qr, (A,), (found.Q.detach(), found.R.detach())))


@because(
    "PyTorch's derivative divides by the last pivot, unless the numbers on the host tell that no pivot is close to zero"
)
def _tall_or_looked_at(A, *, pivot=True, **_):
    tall = A.dtype in FULL and A.size(-2) > A.size(-1)
    return not pivot or tall or _numbers_tell(A)


def _pivoted(A, *, pivot):
    if not pivot:
        raise NotImplementedError("pivot=False is PyTorch's, and PyTorch has it for CUDA only. Leave it out.")
    return A


def first_zero(pivots):
    """What LAPACK reports: the place of the first pivot that is zero, counted from 1, or 0."""
    n = pivots.size(-1)
    order = torch.arange(1, n + 1, dtype=torch.int32, device=pivots.device)
    first = torch.where(pivots == 0, order, n + 1).amin(-1) if n else order.new_zeros(pivots.shape[:-1])
    return torch.where(first > n, 0, first).to(torch.int32)


def _without_zero_pivots(LU, pivots):
    """A named tuple (LU, pivots)."""
    # as torch.linalg.lu_factor, which looks at them, too
    if failure := failure_of(first_zero(LU.detach().diagonal(0, -2, -1)), "torch.linalg.lu_factor"):
        raise RuntimeError(failure)
    return torch.return_types.linalg_lu_factor((LU, pivots))


def zero_pivots_of_ldl(LD, pivots):
    """The same of what `ldl_factor` returns: a block of two, whose pivots are negative, is regular."""
    return first_zero(torch.where(pivots < 0, 1, LD.detach().diagonal(0, -2, -1)))


def _without_zero_pivots_of_ldl(LD, pivots):
    """A named tuple (LD, pivots)."""
    if failure := failure_of(zero_pivots_of_ldl(LD, pivots), "torch.linalg.ldl_factor"):
        raise RuntimeError(failure)
    return torch.return_types.linalg_ldl_factor((LD, pivots))


def _matrix_of_right_hand_sides(LU, pivots, B, **_):
    return B.ndim > 1 and LU.dtype in FULL and not forward_mode() and not are_strided_wrongly(LU)


def _are_quicker_here(A):
    """Whether these are many small matrices which a compiled loop, or long vectors, take less time for than PyTorch."""
    if for_loops(A) and are_plain((A,)) and A.is_cpu:
        return True
    return A.ndim > 2 and are_quicker_otherwise(A.detach())  # in a rule that nobody watches, most probably


def _derivative_is_quicker(A, **_):
    """Whether PyTorch's derivative of the Cholesky factor takes less time than ours: of small matrices."""
    most = 192
    if A.ndim > 2:
        return small(A, most, REAL) and not _are_quicker_here(A)
    if A.is_cpu and not torch.compiler.is_compiling() and A.size(-1) > _NEVER_OURS:
        alone = one_thread() and are_plain((A,))
        if ON_INTEL and not asked.to_fuse:
            most = _INTEL[alone, A.dtype is torch.float32]
        elif alone:
            most = _NEVER_OURS
    return small(A, most, REAL)


#: up to so many rows not even a kernel of ours, on one thread, takes less time
_NEVER_OURS = 112

#: with MKL on Intel's processors, where its routines are at home: by whether there is one thread and single precision
_INTEL = {(True, False): 256, (True, True): 320, (False, False): 352, (False, True): 640}


def _few_reflections(A, tau, **_):
    # PyTorch's derivative takes one reflection after the other, but of all matrices of a batch. Its tangent has wrong
    # derivatives, where there are any.
    count = tau.size(-1)
    few = count <= (4 if A.ndim == 2 else 8) and not (count and forward_mode())
    return few and A.dtype in FULL and A.shape[:-2] == tau.shape[:-1]


add = wrap(rules.add, "add(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor", builtin=torch.add)
add_diagonal = wrap(rules.add_diagonal)
adjugate = wrap(rules.adjugate, "adjugate(A: Tensor) -> Tensor")
affine = wrap(rules.affine)
bilinear_form = wrap(rules.bilinear_form)
cat = wrap(rules.concatenate, "cat(tensors: Sequence[Tensor], dim: int = 0) -> Tensor", builtin=torch.cat)
cho_logdet = wrap(rules.cho_logdet)
cho_solve = wrap(rules.cho_solve)
cho_solve_banded = wrap(rules.cho_solve_banded)
cholesky = wrap(
    rules.cholesky,
    'cholesky(A: Tensor, *, upper: bool = False, on_error: str = "raise") -> Tensor',
    builtin=torch.linalg.cholesky,
    # complex ones never: of a Hermitian matrix PyTorch returns a gradient that is not Hermitian
    use_builtin_when=_derivative_is_quicker,
    unwatched=lambda A, **_: quicker_factor(A) is None,
    no_result=has_infinite_pivot,
    own=("on_error",),
)
cholesky_banded = wrap(rules.cholesky_banded)
cholesky_downdate = wrap(rules.cholesky_downdate)
cholesky_inverse = wrap(
    rules.cholesky_inverse,
    "cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor",
    builtin=torch.cholesky_inverse,
    corrected_builtin=_cholesky_inverse,
    # of a complex diagonal, which a Cholesky factor does not have, LAPACK reads the real part only; its derivative, all
    use_builtin_when=lambda L, *_, **__: small(L, 128, REAL),
)
cholesky_solve = wrap(
    rules.cho_solve,
    "cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor",
    builtin=torch.cholesky_solve,
    corrected_builtin=_cholesky_solve,
    use_builtin_when=lambda B, L, *_, **__: small(L, 128, FULL),
)
cholesky_update = wrap(rules.cholesky_update)
concatenate = wrap(
    rules.concatenate, "concatenate(tensors: Sequence[Tensor], dim: int = 0) -> Tensor", builtin=torch.concatenate
)
cond = wrap(
    rules.cond,
    "cond(A: Tensor, p: Any = None) -> Tensor",
    builtin=torch.linalg.cond,
    corrected_builtin=_cond,
    use_builtin_when=because(
        "PyTorch's second derivative is NaN or wrong at equal singular values, unless the numbers on the host tell "
        "that there are none"
    )(_two_norm),
    unwatched=False,  # its Frobenius norm overflows
)
congruence = wrap(rules.congruence)
cos = wrap(rules.cos, "cos(input: Tensor) -> Tensor", builtin=torch.cos)
cosm = wrap(rules.cosm)
det = wrap(
    rules.det,
    "det(A: Tensor) -> Tensor",
    builtin=torch.linalg.det,
    corrected_builtin=_det,
    use_builtin_when=_looked_at("PyTorch's derivatives are zero, NaN or wrong at and near a singular matrix"),
    unwatched=False,  # a product of pivots overflows on the way where the determinant does not
)
diag_embed = wrap(
    rules.diag_embed,
    "diag_embed(input: Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor",
    builtin=torch.diag_embed,
)
diagonal = wrap(
    rules.diagonal,
    "diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor",
    builtin=torch.linalg.diagonal,
)
eig = wrap(
    rules.eig,
    "eig(A: Tensor)",
    builtin=torch.linalg.eig,
    use_builtin_when=never("PyTorch returns numbers for the gradient at a defective matrix"),
    unwatched=False,  # its eigenvalues are in any order
    returns=torch.return_types.linalg_eig,
)
eigh = wrap(
    rules.eigh,
    'eigh(A: Tensor, UPLO: str = "L")',
    builtin=torch.linalg.eigh,
    corrected_builtin=_eigh,
    use_builtin_when=because(
        "PyTorch's derivatives are NaN or wrong at equal eigenvalues, unless the numbers on the host tell that there "
        "are none; complex vectors have phases"
    )(_by_their_eigenvalues),
    unwatched=False,  # its eigenvectors have any signs
    returns=torch.return_types.linalg_eigh,
)
eigh_generalized = wrap(rules.eigh_generalized)
eigh_tridiagonal = wrap(
    rules.eigh_tridiagonal,
    "eigh_tridiagonal(d: Tensor, e: Tensor, eigvals_only: bool = False)",
    returns=_as_scipy,
)
eigvals = wrap(
    rules.eigvals,
    "eigvals(A: Tensor) -> Tensor",
    builtin=torch.linalg.eigvals,
    corrected_builtin=_eigvals,
    use_builtin_when=because(
        "PyTorch returns numbers for the gradient at a defective matrix, unless the numbers on the host tell that "
        "it is none"
    )(_values_tell),
    unwatched=False,  # its eigenvalues are in any order
)
eigvalsh = wrap(
    rules.eigvalsh,
    'eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor',
    builtin=torch.linalg.eigvalsh,
    corrected_builtin=_eigvalsh,
    use_builtin_when=_looked_at(
        "PyTorch's second derivative is NaN or wrong at equal eigenvalues", unless=have_quick_eigenpairs, finite=True
    ),
    unwatched=_values_of_finite(torch.linalg.eigvalsh, triangle=True),
)
embed = wrap(rules.embed)
exp = wrap(rules.exp, "exp(input: Tensor) -> Tensor", builtin=torch.exp)
expm = wrap(rules.expm)
expm_frechet = wrap(rules.expm_frechet)
expmh = wrap(rules.expmh)
fill_triangular = wrap(rules.fill_triangular)
fractional_matrix_power = wrap(rules.fractional_matrix_power)
funm = wrap(rules.funm)
gaussian_kl = wrap(rules.gaussian_kl)
gaussian_logpdf = wrap(rules.gaussian_logpdf)
gaussian_logpdf_cholesky = wrap(rules.gaussian_logpdf_cholesky)
gaussian_logpdf_low_rank = wrap(rules.gaussian_logpdf_low_rank)
hessenberg = wrap(rules.hessenberg)
householder_product = wrap(
    rules.householder_product,
    "householder_product(A: Tensor, tau: Tensor) -> Tensor",
    builtin=torch.linalg.householder_product,
    use_builtin_when=_few_reflections,
)
inv = wrap(
    rules.inv,
    'inv(A: Tensor, *, on_error: str = "raise") -> Tensor',
    builtin=torch.linalg.inv,
    use_builtin_when=_full_precision,
    own=("on_error",),
)
inv_congruence = wrap(rules.inv_congruence)
inv_quad = wrap(rules.inv_quad)
inv_quad_logdet = wrap(rules.inv_quad_logdet)
invsqrtmh = wrap(rules.invsqrtmh)
kron = wrap(rules.kron, "kron(input: Tensor, other: Tensor) -> Tensor", builtin=torch.kron, corrected_builtin=_kron)
ldl = wrap(rules.ldl)
ldl_factor = wrap(
    rules.ldl_factor,
    "ldl_factor(A: Tensor, *, hermitian: bool = False) -> tuple[Tensor, Tensor]",
    builtin=torch.linalg.ldl_factor,
    use_builtin_when=never("PyTorch has no derivative of it"),
    returns=_without_zero_pivots_of_ldl,
)
ldl_solve = wrap(
    rules.ldl_solve,
    "ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor",
    builtin=torch.linalg.ldl_solve,
    use_builtin_when=never("PyTorch has no derivative of it"),
)
linear_covariance = wrap(rules.linear_covariance)
linear_covariance_cross = wrap(rules.linear_covariance_cross)
log = wrap(rules.log, "log(input: Tensor) -> Tensor", builtin=torch.log)
logdet = wrap(
    rules.logdet,
    "logdet(A: Tensor) -> Tensor",
    builtin=torch.logdet,
    corrected_builtin=_logdet,
    use_builtin_when=_looked_at("where it is NaN, or A is singular, PyTorch returns numbers for the gradient"),
)
logm = wrap(rules.logm)
logmh = wrap(rules.logmh)
lstsq = wrap(
    rules.lstsq,
    "lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any",
    builtin=torch.linalg.lstsq,
    corrected_builtin=_lstsq,
    use_builtin_when=_vectors_or_one_small_system,
    unwatched=False,  # which of them it returns depends on the driver
    takes=_lapack_driver,
    returns=torch.return_types.linalg_lstsq,
)
lu = wrap(
    rules.lu,
    "lu(A: Tensor, *, pivot: bool = True) -> tuple[Tensor, Tensor, Tensor]",
    builtin=torch.linalg.lu,
    corrected_builtin=_lu,
    use_builtin_when=_tall_or_looked_at,
    takes=_pivoted,
    returns=torch.return_types.linalg_lu,
)
lu_factor = wrap(
    rules.lu_factor,
    "lu_factor(A: Tensor, *, pivot: bool = True) -> tuple[Tensor, Tensor]",
    builtin=torch.linalg.lu_factor,
    corrected_builtin=_lu_factor,
    use_builtin_when=_tall_or_looked_at,
    takes=_pivoted,
    returns=_without_zero_pivots,
)
lu_solve = wrap(
    rules.lu_solve,
    "lu_solve(LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False) -> Tensor",
    builtin=torch.linalg.lu_solve,
    use_builtin_when=_matrix_of_right_hand_sides,
)
mask = wrap(rules.mask)
matern = wrap(rules.matern)
matern_cross = wrap(rules.matern_cross)
matmul = wrap(rules.matmul, "matmul(input: Tensor, other: Tensor) -> Tensor", builtin=torch.matmul)
matrix_exp = wrap(
    rules.expm,
    "matrix_exp(A: Tensor) -> Tensor",
    builtin=torch.linalg.matrix_exp,
    use_builtin_when=never("where the cotangent is large, PyTorch's gradient loses all digits"),
)
matrix_norm = wrap(
    rules.matrix_norm,
    "matrix_norm(A: Tensor, ord: Any = 'fro', dim: tuple[int, int] = (-2, -1), keepdim: bool = False, *, "
    "dtype: Any = None) -> Tensor",
    builtin=torch.linalg.matrix_norm,
    corrected_builtin=_matrix_norm,
    use_builtin_when=_of_sums,
    unwatched=False,  # its Frobenius norm overflows
    takes=_matrices_last,
    returns=_kept,
)
matrix_power = wrap(rules.matrix_power, "matrix_power(A: Tensor, n: int) -> Tensor", builtin=torch.linalg.matrix_power)
matrix_transpose = wrap(rules.matrix_transpose)
mul = wrap(rules.multiply, "mul(input: Tensor, other: Tensor | Number) -> Tensor", builtin=torch.mul)
multiply = wrap(rules.multiply, "multiply(input: Tensor, other: Tensor | Number) -> Tensor", builtin=torch.multiply)
periodic = wrap(rules.periodic)
periodic_cross = wrap(rules.periodic_cross)
phi = wrap(rules.phi)
pinv = wrap(
    rules.pinv,
    "pinv(A: Tensor, rcond: float | Tensor | None = None, hermitian: bool = False, *, "
    "atol: float | Tensor | None = None, rtol: float | Tensor | None = None) -> Tensor",
    builtin=torch.linalg.pinv,
    corrected_builtin=_pinv,
    use_builtin_when=_plain_pinv,
    unwatched=False,  # it reads one triangle where the matrix is Hermitian
    takes=_tolerances,
)
polar = wrap(rules.polar)
polynomial = wrap(rules.polynomial)
polynomial_covariance = wrap(rules.polynomial_covariance)
polynomial_covariance_cross = wrap(rules.polynomial_covariance_cross)
pow = wrap(rules.power, "pow(input: Tensor | Number, exponent: Tensor | Number) -> Tensor", builtin=torch.pow)
power = wrap(rules.power)
powmh = wrap(rules.powmh)
qr = wrap(
    rules.qr,
    'qr(A: Tensor, mode: str = "reduced") -> tuple[Tensor, Tensor]',
    builtin=torch.linalg.qr,
    corrected_builtin=_qr,
    use_builtin_when=_tall_qr_or_looked_at,
    returns=torch.return_types.linalg_qr,
)
quadratic = wrap(rules.quadratic)
rational_quadratic = wrap(rules.rational_quadratic)
rational_quadratic_cross = wrap(rules.rational_quadratic_cross)
rbf = wrap(rules.rbf)
rbf_cross = wrap(rules.rbf_cross)
reciprocal = wrap(rules.reciprocal, "reciprocal(input: Tensor) -> Tensor", builtin=torch.reciprocal)
reshape = wrap(rules.reshape, "reshape(input: Tensor, shape: Sequence[int]) -> Tensor", builtin=torch.reshape)
safe_cholesky = wrap(rules.safe_cholesky)
schur = wrap(rules.schur)
signmh = wrap(rules.signmh)
sin = wrap(rules.sin, "sin(input: Tensor) -> Tensor", builtin=torch.sin)
sinm = wrap(rules.sinm)
slogdet = wrap(
    rules.slogdet,
    "slogdet(A: Tensor) -> tuple[Tensor, Tensor]",
    builtin=torch.linalg.slogdet,
    corrected_builtin=_slogdet,
    use_builtin_when=_looked_at("where A is singular, PyTorch returns numbers for the gradient"),
    returns=torch.return_types.linalg_slogdet,
)
softmax_cross_entropy = wrap(
    rules.softmax_cross_entropy,
    "softmax_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor",
    takes=with_classes,
)
softplusmh = wrap(rules.softplusmh)
solve = wrap(
    rules.solve,
    'solve(A: Tensor, B: Tensor, *, left: bool = True, on_error: str = "raise") -> Tensor',
    builtin=torch.linalg.solve,
    corrected_builtin=_solve,
    use_builtin_when=_solved_by_torch,
    own=("on_error",),
)
solve_banded = wrap(
    rules.solve_banded,
    "solve_banded(l_and_u: tuple[int, int], ab: Tensor, b: Tensor, *, adjoint: bool = False) -> Tensor",
)
solve_continuous_are = wrap(rules.solve_continuous_are)
solve_continuous_lyapunov = wrap(rules.solve_continuous_lyapunov)
solve_discrete_are = wrap(rules.solve_discrete_are)
solve_discrete_lyapunov = wrap(rules.solve_discrete_lyapunov)
solve_sylvester = wrap(rules.solve_sylvester)
solve_toeplitz = wrap(rules.solve_toeplitz)
solve_triangular = wrap(
    rules.solve_triangular,
    "solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False, "
    "adjoint: bool = False) -> Tensor",
    builtin=torch.linalg.solve_triangular,
    use_builtin_when=_one_system_each,
    own=("adjoint",),
)
spectral_function = wrap(rules.spectral_function)
sqrt = wrap(rules.sqrt, "sqrt(input: Tensor) -> Tensor", builtin=torch.sqrt)
sqrtm = wrap(rules.sqrtm)
sqrtmh = wrap(rules.sqrtmh)
squared_distance = wrap(rules.squared_distance)
squared_distance_cross = wrap(rules.squared_distance_cross)
squared_error = wrap(rules.squared_error)
sub = wrap(
    rules.subtract, "sub(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor", builtin=torch.sub
)
subset = wrap(rules.subset)
subtract = wrap(
    rules.subtract,
    "subtract(input: Tensor, other: Tensor | Number, *, alpha: Number = 1) -> Tensor",
    builtin=torch.subtract,
)
sum = wrap(
    rules.sum,
    "sum(input: Tensor, dim: int | Sequence[int] | None = None, keepdim: bool = False, *, "
    "dtype: torch.dtype | None = None) -> Tensor",
    builtin=torch.sum,
)
svd = wrap(
    rules.svd,
    "svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any",
    builtin=torch.linalg.svd,
    corrected_builtin=_svd,
    use_builtin_when=because(
        "PyTorch's derivatives are NaN or wrong at equal singular values, unless the numbers on the host tell that "
        "there are none; complex vectors have phases"
    )(_few_columns),
    unwatched=False,  # its singular vectors have any signs
    takes=_cusolver_driver,
    returns=torch.return_types.linalg_svd,
)
svdvals = wrap(
    rules.svdvals,
    "svdvals(A: Tensor, *, driver: str | None = None) -> Tensor",
    builtin=torch.linalg.svdvals,
    corrected_builtin=_svdvals,
    use_builtin_when=_looked_at(
        "PyTorch's second derivative is NaN or wrong at equal singular values",
        unless=_have_quick_singular_values,
        finite=True,
    ),
    unwatched=_values_of_finite(torch.linalg.svdvals),
    takes=_cusolver_driver,
)
tanh = wrap(rules.tanh, "tanh(input: Tensor) -> Tensor", builtin=torch.tanh)
trace = wrap(rules.trace, "trace(input: Tensor) -> Tensor", builtin=torch.trace, use_builtin_when=_matrix, input="A")
transpose_matmul = wrap(rules.transpose_matmul)
triangular_entries = wrap(rules.triangular_entries)
tridiagonal_solve = wrap(rules.tridiagonal_solve)
tril = wrap(rules.tril, "tril(input: Tensor, diagonal: int = 0) -> Tensor", builtin=torch.tril)
triu = wrap(rules.triu, "triu(input: Tensor, diagonal: int = 0) -> Tensor", builtin=torch.triu)
vec = wrap(rules.vec)
whitened_gram = wrap(rules.whitened_gram)
