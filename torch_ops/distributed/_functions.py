"""The functions of matrices that are spread over ranks, each a torch.autograd.Function.

May import torch, `overbar`, `torch_ops._function` and the neighbours below it: `distributed.layout`, `algorithms` and
`together`. Three rules make one gradient out of what the ranks have:

- Every rank calls backward of the same number. Its bar, and the bar of whatever else is the same on every rank, is the
  same on every rank, and is not summed.
- The bar of a part is a part. It is what the rule says of this rank's tiles.
- Where what is the same on every rank goes into parts, its bar is summed over the ranks, there and once.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch

from overbar._messages import bad_minor, not_finite
from torch_ops._function import without_autocast
from torch_ops.distributed import _algorithms as algorithms
from torch_ops.distributed._layout import DistributedMatrix
from torch_ops.distributed._together import agreed, on_all_ranks, same_values

__all__ = ["cho_logdet", "cholesky", "cholesky_solve", "gaussian_logpdf", "logdet", "solve_triangular"]

_AGAIN = (
    "torch_ops.distributed: a derivative was asked for that there is not for matrices on several ranks. There are "
    "first derivatives of all functions, and second ones of gaussian_logpdf and of matrix and covariance. Take "
    "the gradient without create_graph=True, or use the op of torch_ops on one machine."
)


class _Refused(torch.autograd.Function):
    """The identity, for derivatives that depend on tensors that may be differentiated: whoever does is told why not."""

    @staticmethod
    def forward(ctx, x, *others):
        return x.view_as(x)

    @staticmethod
    def backward(ctx, _):
        raise NotImplementedError(_AGAIN)


def _tensors(values):
    return [x for x in values if isinstance(x, torch.Tensor)]


def forward_of(method):
    """`forward` of a Function: as the rest of torch_ops, untouched by autocast."""

    @functools.wraps(method)
    def forward(ctx, *args):
        return without_autocast(lambda: method(ctx, *args), *_tensors(args))

    return staticmethod(forward)


def backward_of(method):
    """`backward` of a Function whose rules are no differentiable steps, which a second derivative is told. What the
    rule depends on has to be saved, so that it is found here."""

    @functools.wraps(method)
    def backward(ctx, *bars):
        with torch.no_grad():
            found = without_autocast(lambda: method(ctx, *bars), *_tensors(bars))
        if torch.is_grad_enabled():
            sources = [x for x in _tensors((*bars, *ctx.saved_tensors)) if x.requires_grad]
            if sources:
                found = tuple(_Refused.apply(x, *sources) if isinstance(x, torch.Tensor) else x for x in found)
        return found

    return staticmethod(backward)


def same_bar(layout, function, bar):
    """The bar of what every rank has. On ranks with other ones, parts of a gradient would not fit."""
    values = same_values(
        layout.grid, layout.device, f"{function}, in backward", [("the derivative by its result", bar)]
    )
    return bar if values is None else values[0]


# ---------------------------------------------------------------------------------------------------------------------
# Functions of parts


class _Cholesky(torch.autograd.Function):
    @forward_of
    def forward(ctx, layout, A):
        ctx.layout, L = layout, _factor(layout, A)
        ctx.save_for_backward(L)
        return L

    @backward_of
    def backward(ctx, L_bar):
        (L,) = ctx.saved_tensors
        out = L_bar.clone(memory_format=torch.contiguous_format)
        algorithms.factor_cotangent(ctx.layout, L, out)
        return None, out


class _SolveTriangular(torch.autograd.Function):
    """X = L⁻¹ B (adjoint: L⁻ᵀ B):  B̄ = L⁻ᵀ X̄,  L̄ = −tril(B̄ Xᵀ)  (B̄ = L⁻¹ X̄,  L̄ = −tril(X B̄ᵀ)); Giles (2008), 2.2.3"""

    @forward_of
    def forward(ctx, layout, L, B, adjoint):
        X = algorithms.solve(layout, L, B, adjoint)
        ctx.layout, ctx.adjoint = layout, adjoint
        ctx.save_for_backward(L, X)
        return X

    @backward_of
    def backward(ctx, X_bar):
        L, X = ctx.saved_tensors
        X_bar = same_bar(ctx.layout, "solve_triangular", X_bar)
        B_bar = algorithms.solve(ctx.layout, L, X_bar, not ctx.adjoint)
        L_bar = None
        if ctx.needs_input_grad[1]:
            L_bar = torch.zeros_like(L)
            outer = (X, B_bar) if ctx.adjoint else (B_bar, X)
            algorithms.add_outer(ctx.layout, L_bar, *outer, scale=-1)
            for _, tile in ctx.layout.diagonals_of(L_bar):
                tile.tril_()
        return None, L_bar, B_bar, None


class _LogDiagonal(torch.autograd.Function):
    """Σ log |Lᵢᵢ|:  L̄ᵢᵢ = c̄ / Lᵢᵢ"""

    @forward_of
    def forward(ctx, layout, L):
        ctx.layout = layout
        ctx.save_for_backward(L)
        return algorithms.log_diagonal(layout, L)

    @backward_of
    def backward(ctx, c_bar):
        (L,) = ctx.saved_tensors
        c_bar = same_bar(ctx.layout, "logdet", c_bar)
        L_bar = torch.zeros_like(L)
        tiles = zip(ctx.layout.diagonals_of(L_bar), ctx.layout.diagonals_of(L), strict=True)
        for (_, bar), (_, tile) in tiles:
            bar.diagonal().copy_(c_bar / tile.diagonal())
        return None, L_bar


class _GaussianLogpdf(torch.autograd.Function):
    """c = −½ (Σ log 2π + 2 Σ log Lᵢᵢ + rᵀ A⁻¹ r) for each row of r = y − μ, by the rule of `overbar.gaussian_logpdf`,

        Ā = ½ Σ c̄ (α αᵀ − A⁻¹),    r̄ = −c̄ α,    α = A⁻¹ r.

    The first half of −A⁻¹ is what `factor_cotangent` says of −c̄ Σ log Lᵢᵢ. It is written over L, so that value and
    gradient take no memory but A and L. Whoever goes back a second time has A factorised again.
    """

    @forward_of
    def forward(ctx, layout, A, r):
        L = _factor(layout, A)
        Z = algorithms.solve(layout, L, r.mT)
        alpha = algorithms.solve(layout, L, Z, adjoint=True)
        ctx.layout, ctx.L = layout, L if ctx.needs_input_grad[1] else None
        ctx.save_for_backward(A, r, alpha)
        constant = algorithms.log_diagonal(layout, L) + layout.n * (math.log(2 * math.pi) / 2)
        return -(Z * Z).sum(0) / 2 - constant

    @staticmethod
    def backward(ctx, c_bar):
        A, r, alpha = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1]
        held, ctx.L = [ctx.L], None  # the gradient is written over it
        return (None, *_LogpdfBars.apply(ctx.layout, A if wanted else A.detach(), r, c_bar, alpha.detach(), held))


class _LogpdfBars(torch.autograd.Function):
    """The bars Ā and r̄ of `_GaussianLogpdf`, as a function of A, r and c̄. With a symmetric G and h for their bars,

        ⟨G, Ā⟩ + ⟨h, r̄⟩ = Σ c̄ (½ αᵀ G α − ½ tr(A⁻¹ G) − hᵀ α),

    and with q = G α − h and w = A⁻¹ q, the bars of A, r and c̄ are

        ½ (Σ c̄) A⁻¹ G A⁻¹ − sym(Σ c̄ w αᵀ),    c̄ w,    ½ αᵀ G α − ½ tr(A⁻¹ G) − hᵀ α.

    The first is the tangent of −½ (Σ c̄) A⁻¹ along G, and the trace is that of log det A: both come from L̇ of Ȧ = G.
    """

    @forward_of
    def forward(ctx, layout, A, r, c_bar, alpha, held):
        ctx.layout = layout
        ctx.save_for_backward(A, r, c_bar, alpha)
        c_bar = same_bar(layout, "gaussian_logpdf", c_bar)
        weighted, A_bar = alpha * c_bar, None
        if ctx.needs_input_grad[1]:
            L, scale = held.pop(), -c_bar.sum()
            A_bar = _factor(layout, A) if L is None else L
            algorithms.factor_cotangent(layout, A_bar, A_bar, lambda D: torch.diag(scale / D.diagonal()))
            _add_symmetric(layout, A_bar, (weighted, alpha))
        return A_bar, -weighted.mT

    @backward_of
    def backward(ctx, G, h):
        A, _, c_bar, alpha = ctx.saved_tensors
        layout, q = ctx.layout, -h.mT
        L, trace, A_bar = _factor(layout, A), 0, None
        if ctx.needs_input_grad[1]:
            q = q + algorithms.product(layout, G, alpha)
            L_dot = G.clone(memory_format=torch.contiguous_format)
            algorithms.factor_tangent(layout, L, L_dot)
            trace = algorithms.log_diagonal_tangent(layout, L, L_dot)
        w = algorithms.solve(layout, L, algorithms.solve(layout, L, q), adjoint=True)
        if ctx.needs_input_grad[1]:
            A_bar = algorithms.inverse_tangent(layout, L, L_dot, -c_bar.sum())
            weighted = w * (-c_bar / 2)
            _add_symmetric(layout, A_bar, (weighted, 2 * alpha), (2 * alpha, weighted))
        along = (q * alpha).sum(0)
        return None, A_bar, (w * c_bar).mT, (along - (h.mT * alpha).sum(0)) / 2 - trace, None, None


def _add_symmetric(layout, part, *pairs):
    """Add the bars of a part that are ½ U Vᵀ, summed over the pairs (U, V), if that is symmetric."""
    for _, tile in layout.diagonals_of(part):
        tile *= 2
    for U, V in pairs:
        algorithms.add_outer(layout, part, U, V)
    for _, tile in layout.diagonals_of(part):
        tile /= 2


def _factor(layout, A):
    L = A.detach().clone(memory_format=torch.contiguous_format)
    order = algorithms.factor(layout, L)
    if order:
        place = algorithms.first_not_finite(layout, A.detach())
        if place is None:
            raise torch.linalg.LinAlgError(bad_minor("A", (), order))
        raise torch.linalg.LinAlgError(_not_finite(layout, A, place))
    return L


def _not_finite(layout, A, place):
    i, j = place
    value = torch.zeros((), dtype=torch.float64, device=layout.device)
    for rows, columns, tile in layout.tiles_of(A.detach()):
        if rows.start <= i < rows.stop and columns.start <= j < columns.stop:
            value += tile[i - rows.start, j - columns.start]
    return not_finite("A", (), place, layout.grid.total(value).item())


# ---------------------------------------------------------------------------------------------------------------------
# What a user calls


def _checked(function, argument, A, triangular, named=()):
    """The part of a matrix and of what goes with it, all looked at on every rank: the layout, whether it is a factor,
    and that (names, tensors of this many dimensions) fit it and are the same everywhere."""
    if not isinstance(A, DistributedMatrix):
        remedy = "distribute(A, layout) cuts a tensor that every rank has"
        if isinstance(A, torch.Tensor):
            remedy += f"; a matrix on one machine is for torch_ops.{function}"
        raise TypeError(
            f"{function}: argument {argument} is a {type(A).__name__}, and must be a DistributedMatrix: {remedy}."
        )
    layout = A.layout

    def check():
        if A.triangular is not triangular:
            wanted, other = ("a Cholesky factor", "cholesky(A)") if triangular else ("a symmetric matrix", "A, not L")
            raise ValueError(f"{function}: argument {argument} must be {wanted}, {other}.")
        for name, x, dims in named:
            if not isinstance(x, torch.Tensor):
                raise TypeError(f"{function}: argument {name} is a {type(x).__name__} and must be a tensor.")
            if x.dtype != A.dtype or x.device != layout.device:
                raise TypeError(
                    f"{function}: argument {name} is of {x.dtype} on {x.device}, but {argument} of {A.dtype} on "
                    f"{layout.device}. Convert one of them."
                )
            if dims == 2 and x.ndim != 2:
                raise ValueError(
                    f"{function}: argument {name} has shape {tuple(x.shape)} and must be a matrix: {name}[:, None] for "
                    "a vector."
                )
            if x.ndim < dims or (x.shape[-dims] if dims else layout.n) != layout.n:
                raise ValueError(
                    f"{function}: argument {name} has shape {tuple(x.shape)}, which does not fit {argument}, a matrix "
                    f"of size {layout.n}."
                )

    shared = [
        ("the layout", (layout.n, layout.block, layout.grid.rows, layout.grid.columns, str(A.dtype))),
        ("what requires a gradient", [x.requires_grad for x in (A.part, *(x for _, x, _ in named if _is(x)))]),
        ("torch.is_grad_enabled()", torch.is_grad_enabled()),
    ]
    agreed(layout.grid, layout.device, function, check, shared)
    return layout


def _is(x):
    return isinstance(x, torch.Tensor)


class _AsOnFirst(torch.autograd.Function):
    """A tensor as it is on the first rank, `value`. Its bar goes to each rank's own."""

    @staticmethod
    def forward(ctx, x, value):
        return value.clone()

    @staticmethod
    def backward(ctx, bar):
        return bar, None


def same(layout, function, *named):
    """Tensors that every rank has, as the first rank has them."""
    values = same_values(layout.grid, layout.device, function, named)
    if values is None:
        return [x for _, x in named]
    return [_AsOnFirst.apply(x, value) for (_, x), value in zip(named, values, strict=True)]


@on_all_ranks
def cholesky(A: DistributedMatrix) -> DistributedMatrix:
    """The Cholesky factor of a symmetric positive definite matrix that is spread over ranks: A = L Lᵀ.

    Parameters
    ----------
    A : DistributedMatrix

    Returns
    -------
    DistributedMatrix
        L, lower triangular, in the same layout.

    Raises
    ------
    torch.linalg.LinAlgError
        On every rank: A is not finite or not positive definite. The message names the entry, or the leading minor of
        the whole matrix.

    Notes
    -----
    The rule is that of `torch_ops.cholesky`, by tiles. Cost: n³/3 flops, in reverse 2n³/3, divided by the number of
    ranks. Each rank gets n²(1/P + 1/Q)/2 numbers of others, in reverse twice as many.
    """
    layout = _checked("cholesky", "A", A, triangular=False)
    return DistributedMatrix(layout, _Cholesky.apply(layout, A.part), triangular=True)


@on_all_ranks
def solve_triangular(L: DistributedMatrix, B: torch.Tensor, *, adjoint: bool = False) -> torch.Tensor:
    """L⁻¹ B, or L⁻ᵀ B, for a Cholesky factor that is spread over ranks.

    Parameters
    ----------
    L : DistributedMatrix
        From `cholesky`.
    B : torch.Tensor, shape (n, k)
        The same on every rank; few columns.
    adjoint : bool
        Solve with the transpose.

    Returns
    -------
    torch.Tensor, shape (n, k)
        The same on every rank.
    """
    layout = _checked("solve_triangular", "L", L, True, [("B", B, 2)])
    (B,) = same(layout, "solve_triangular", ("argument B", B))
    return _SolveTriangular.apply(layout, L.part, B, bool(adjoint))


@on_all_ranks
def cholesky_solve(B: torch.Tensor, L: DistributedMatrix) -> torch.Tensor:
    """The solution of A X = B by the Cholesky factor of A, which is spread over ranks: L⁻ᵀ L⁻¹ B.

    Parameters
    ----------
    B : torch.Tensor, shape (n, k)
        The same on every rank; few columns.
    L : DistributedMatrix
        From `cholesky`.

    Returns
    -------
    torch.Tensor, shape (n, k)
        The same on every rank.
    """
    layout = _checked("cholesky_solve", "L", L, True, [("B", B, 2)])
    (B,) = same(layout, "cholesky_solve", ("argument B", B))
    Z = _SolveTriangular.apply(layout, L.part, B, False)
    return _SolveTriangular.apply(layout, L.part, Z, True)


@on_all_ranks
def cho_logdet(L: DistributedMatrix) -> torch.Tensor:
    """log det A = 2 Σ log Lᵢᵢ by the Cholesky factor of A, which is spread over ranks.

    Parameters
    ----------
    L : DistributedMatrix
        From `cholesky`.

    Returns
    -------
    torch.Tensor, shape ()
        The same on every rank.
    """
    layout = _checked("cho_logdet", "L", L, True)
    return 2 * _LogDiagonal.apply(layout, L.part)


@on_all_ranks
def logdet(A: DistributedMatrix) -> torch.Tensor:
    """log det A of a symmetric positive definite matrix that is spread over ranks, by its Cholesky factor.

    Parameters
    ----------
    A : DistributedMatrix

    Returns
    -------
    torch.Tensor, shape ()
        The same on every rank.

    Raises
    ------
    torch.linalg.LinAlgError
        As `cholesky`.
    """
    layout = _checked("logdet", "A", A, triangular=False)
    return 2 * _LogDiagonal.apply(layout, _Cholesky.apply(layout, A.part))


@on_all_ranks
def gaussian_logpdf(y: torch.Tensor, mean: Any, A: DistributedMatrix) -> torch.Tensor:
    """The logarithm of a Gaussian density, log N(y | μ, A), with a covariance matrix that is spread over ranks.

    Parameters
    ----------
    y : torch.Tensor, shape (..., n)
        Where the density is asked for, the same on every rank: one vector, or several, for which A is factorised once.
    mean : torch.Tensor or float
        μ, which broadcasts with y; the same on every rank.
    A : DistributedMatrix
        The covariance matrix, symmetric positive definite.

    Returns
    -------
    torch.Tensor, shape (...)
        The same on every rank. Every rank calls backward of it.

    Raises
    ------
    torch.linalg.LinAlgError
        As `cholesky`.

    Notes
    -----
    Value and gradient take the memory of A and of one more part: the gradient is written over the factor. Cost: n³/3
    flops, in reverse 2n³/3, divided by the number of ranks.
    """
    if _is(y) and isinstance(mean, (int, float)):
        mean = y.new_full((), mean)
    layout = _checked("gaussian_logpdf", "A", A, False, [("y", y, 1), ("mean", mean, 0)])
    y, mean = same(layout, "gaussian_logpdf", ("argument y", y), ("argument mean", mean))
    r = y - mean
    if r.shape[-1] != layout.n:
        raise ValueError(
            f"gaussian_logpdf: argument mean has shape {tuple(mean.shape)}, which does not fit y, {tuple(y.shape)}."
        )
    return _GaussianLogpdf.apply(layout, A.part, r.reshape(-1, layout.n)).reshape(r.shape[:-1])
