"""How a matrix comes to the ranks, and back: computed tile by tile where the tiles lie, cut from a whole one, put
together.

May import torch, `overbar`, `torch_ops._front`, and the neighbours below it: `distributed.layout`, `functions` and
`together`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from overbar._containers import Given, Leaves
from overbar.gp._kernels import with_noise
from torch_ops._front import TORCH
from torch_ops.distributed._functions import backward_of, forward_of, same, same_bar
from torch_ops.distributed._layout import DTYPES, BlockCyclic, DistributedMatrix
from torch_ops.distributed._together import agreed, described, on_all_ranks, same_values

__all__ = ["covariance", "distribute", "gather", "matrix"]


# ---------------------------------------------------------------------------------------------------------------------
# Tiles that are computed where they lie


class _Tiles(torch.autograd.Function):
    """A part, each tile of which is a function of tensors that every rank has. Only the tiles are kept: the function is
    called once more for each of them in reverse, and its bars are summed, tile by tile and then over the ranks."""

    @forward_of
    def forward(ctx, layout, function, name, *tensors):
        ctx.layout, ctx.function = layout, function
        ctx.save_for_backward(*tensors)

        def compute():
            part = None
            for rows, columns, place in layout.places():
                tile = _tile(layout, function, name, rows, columns, tensors)
                if part is None:
                    part = layout.empty(tile.dtype)
                elif tile.dtype != part.dtype:
                    raise TypeError(f"{name}: the function returns tiles of {tile.dtype} and of {part.dtype}.")
                part[place] = tile.reshape(-1)
            return part

        part = agreed(layout.grid, layout.device, name, compute)
        # a rank without tiles learns the dtype from the others
        found = torch.tensor([part is not None and part.dtype == dtype for dtype in DTYPES], device=layout.device)
        found = layout.grid.total(found.to(torch.int64), "MAX").tolist()
        if sum(found) > 1:
            raise TypeError(
                f"{name}: the function returns tiles of {DTYPES[0]} on a rank and of {DTYPES[1]} on another."
            )
        return layout.empty(DTYPES[found.index(1)]) if part is None else part

    @staticmethod
    def backward(ctx, bar):
        wanted = ctx.needs_input_grad[3:]
        found = iter(_TilesBars.apply(ctx.layout, ctx.function, wanted, bar, *ctx.saved_tensors))
        return None, None, None, *[next(found) if want else None for want in wanted]


class _TilesBars(torch.autograd.Function):
    """The bars of the tensors of `_Tiles` that are wanted, as a function of the bar of the part and of the tensors."""

    @forward_of
    def forward(ctx, layout, function, wanted, bar, *tensors):
        ctx.layout, ctx.function, ctx.wanted = layout, function, wanted
        ctx.save_for_backward(bar, *tensors)
        leaves, sources = _leaves(tensors, wanted)
        bars = [torch.zeros_like(x, memory_format=torch.contiguous_format) for x in sources]
        for rows, columns, tile_bar in layout.tiles_of(bar):
            with torch.enable_grad():
                tile = function(rows, columns, *leaves)
                if not tile.requires_grad:
                    continue
                found = torch.autograd.grad(tile, sources, tile_bar, allow_unused=True)
            _accumulate(bars, found)
        return tuple([layout.grid.total(x) for x in bars])

    @backward_of
    def backward(ctx, *given):
        bar, *tensors = ctx.saved_tensors
        values = same_values(
            ctx.layout.grid,
            ctx.layout.device,
            "matrix, in backward",
            [("what a gradient is used for", x) for x in given],
        )
        given = given if values is None else values
        leaves, sources = _leaves(tensors, ctx.wanted)
        bars = [torch.zeros_like(x, memory_format=torch.contiguous_format) for x in sources]
        part = torch.zeros_like(bar, memory_format=torch.contiguous_format)
        for (rows, columns, tile_bar), (_, _, out) in zip(
            ctx.layout.tiles_of(bar), ctx.layout.tiles_of(part), strict=True
        ):
            with torch.enable_grad():
                tile_bar = tile_bar.detach().requires_grad_()
                tile = ctx.function(rows, columns, *leaves)
                if not tile.requires_grad:
                    continue
                found = torch.autograd.grad(tile, sources, tile_bar, allow_unused=True, create_graph=True)
                along = sum((x * y).sum() for x, y in zip(found, given, strict=True) if x is not None)
                change, *found = torch.autograd.grad(along, [tile_bar, *sources], allow_unused=True)
            if change is not None:
                out += change
            _accumulate(bars, found)
        found = iter([ctx.layout.grid.total(x) for x in bars])
        return None, None, None, part, *[next(found) if want else None for want in ctx.wanted]


def _leaves(tensors, wanted):
    """The tensors as leaves of a graph of their own, and those of them that are wanted."""
    leaves = [x.detach().requires_grad_(want) for x, want in zip(tensors, wanted, strict=True)]
    return leaves, [x for x in leaves if x.requires_grad]


def _accumulate(totals, terms):
    for total, term in zip(totals, terms, strict=True):
        if term is not None:
            total += term


def _tile(layout, function, name, rows, columns, tensors):
    tile = TORCH.of_arrays_only(
        lambda *tensors: function(rows, columns, *tensors),
        tensors,
        f"{name}: the function depends on a tensor that requires a gradient and is not among the arguments, so that "
        "its gradient would be that of this rank's tiles alone. Pass it behind the function, in a container too.",
    )
    shape = (rows.stop - rows.start, columns.stop - columns.start)
    if not isinstance(tile, torch.Tensor) or tile.dtype not in DTYPES:
        found = f"a tensor of {tile.dtype}" if isinstance(tile, torch.Tensor) else f"a {type(tile).__name__}"
        raise TypeError(f"{name}: the function returns {found} and must return a tensor of float32 or float64.")
    if tuple(tile.shape) != shape:
        raise ValueError(
            f"{name}: the function returns a tile of shape {tuple(tile.shape)} for the rows {rows.start} to "
            f"{rows.stop} and the columns {columns.start} to {columns.stop}; its shape must be {shape}."
        )
    if tile.device != layout.device:
        raise ValueError(f"{name}: the function returns a tile on {tile.device}, the layout is on {layout.device}.")
    return tile


@on_all_ranks
def matrix(layout: BlockCyclic, function: Callable[..., Any], *arguments: Any) -> DistributedMatrix:
    """A symmetric matrix whose tiles are computed by a function, each on the rank that has it.

    Parameters
    ----------
    layout : BlockCyclic
    function : callable
        ``function(rows, columns, *arguments)`` returns the tile of these rows and columns, two slices, as a tensor of
        float32 or float64. ``rows == columns`` for tiles on the diagonal; others are below it. It is called once for
        each tile, and once more in reverse, which keeps no tile but the last: it has to return the same again.
    *arguments
        Tensors, or containers of them: nested dicts, lists, tuples and dataclasses, such as the kernels of
        `overbar.gp`. They are the same on every rank, and so are their gradients, which are summed over the ranks.
        Whatever else the function uses is a constant.

    Returns
    -------
    DistributedMatrix

    Raises
    ------
    TypeError
        The function depends on a tensor that requires a gradient and is not among the arguments.
    """
    if not isinstance(layout, BlockCyclic):
        raise TypeError(f"matrix: argument layout is a {type(layout).__name__} and must be a BlockCyclic.")
    called = [f"argument {i} of the function" for i in range(len(arguments))]
    return _matrix("matrix", layout, function, arguments, called)


def _matrix(name, layout, function, arguments, called, check=lambda: None):
    leaves = Leaves(lambda x, path: isinstance(x, torch.Tensor))
    builders = [leaves.collect(x, f"argument {i}") for i, x in enumerate(arguments)]

    def whole(rows, columns, *tensors):
        given = Given(tensors)
        return function(rows, columns, *[build(given) for build in builders])

    shared = [
        ("the layout", (layout.n, layout.block, layout.grid.rows, layout.grid.columns)),
        ("what requires a gradient", [x.requires_grad for x in leaves.values]),
        ("torch.is_grad_enabled()", torch.is_grad_enabled()),
        *[
            (f"what {argument} has besides tensors", described(x))
            for argument, x in zip(called, arguments, strict=True)
        ],
    ]
    agreed(layout.grid, layout.device, name, check, shared)
    tensors = same(layout, name, *zip(leaves.paths, leaves.values, strict=True))
    return DistributedMatrix(layout, _Tiles.apply(layout, whole, name, *tensors))


@on_all_ranks
def covariance(layout: BlockCyclic, kernel: Any, X: torch.Tensor, noise: Any = 0.0) -> DistributedMatrix:
    """The covariance matrix of a Gaussian process at the rows of X, with noise on its diagonal, tile by tile.

    Parameters
    ----------
    layout : BlockCyclic
    kernel : overbar.gp.Kernel or callable
        ``kernel(X)`` and ``kernel(X, X2)``. Tensors among its parameters, the same on every rank, have gradients.
    X : torch.Tensor, shape (n, d)
        The inputs, the same on every rank.
    noise : torch.Tensor or float
        The variance of the noise: a number, or one for each row.

    Returns
    -------
    DistributedMatrix

    Raises
    ------
    torch.linalg.LinAlgError
        On every rank: what the kernel raises of its parameters, a length scale that is not positive for instance.
    """
    if not isinstance(layout, BlockCyclic):
        raise TypeError(f"covariance: argument layout is a {type(layout).__name__} and must be a BlockCyclic.")

    def check():
        if not callable(kernel):
            raise TypeError(
                f"covariance: argument kernel is a {type(kernel).__name__}, and must be callable: overbar.gp.RBF(2.0)."
            )
        if not isinstance(X, torch.Tensor) or X.ndim != 2 or len(X) != layout.n:
            found = f"has shape {tuple(X.shape)}" if isinstance(X, torch.Tensor) else f"is a {type(X).__name__}"
            raise ValueError(
                f"covariance: argument X {found} and must be a tensor of {layout.n} rows, the size of the layout."
            )
        if isinstance(noise, torch.Tensor) and noise.shape not in ((), (1,), (layout.n,)):
            raise ValueError(
                f"covariance: argument noise has shape {tuple(noise.shape)}. It is a number, or one for each of the "
                f"{layout.n} rows of X."
            )

    def tile(rows, columns, kernel, X, noise):
        if rows != columns:
            return kernel(X[rows], X[columns])
        one_each = isinstance(noise, torch.Tensor) and noise.shape == (layout.n,)
        return with_noise(kernel, X[rows], noise[rows] if one_each else noise)

    return _matrix("covariance", layout, tile, (kernel, X, noise), ("kernel", "X", "noise"), check)


# ---------------------------------------------------------------------------------------------------------------------
# Whole matrices, where they are small enough


class _Distribute(torch.autograd.Function):
    @forward_of
    def forward(ctx, layout, A):
        ctx.layout = layout
        part = layout.empty(A.dtype)
        for rows, columns, tile in layout.tiles_of(part):
            tile[...] = A[rows, columns]
        return part

    @backward_of
    def backward(ctx, bar):
        return None, ctx.layout.grid.total(_whole(ctx.layout, bar, 0.5))


class _Gather(torch.autograd.Function):
    @forward_of
    def forward(ctx, layout, part, triangular):
        ctx.layout, ctx.triangular = layout, triangular
        return layout.grid.total(_whole(layout, part, 0 if triangular else 1, 1))

    @backward_of
    def backward(ctx, bar):
        bar = same_bar(ctx.layout, "gather", bar)
        part = ctx.layout.empty(bar.dtype)
        for rows, columns, tile in ctx.layout.tiles_of(part):
            tile[...] = bar[rows, columns]
            if rows == columns:
                tile[...] = tile.tril() if ctx.triangular else (tile + tile.mT) / 2
            elif not ctx.triangular:
                tile += bar[columns, rows].mT
        return None, part, None


def _whole(layout, part, above, below=None):
    """The tiles of a part in a whole matrix of zeros, `below` times those below the diagonal and `above` times their
    mirror images above it."""
    A = part.new_zeros(layout.n, layout.n)
    for rows, columns, tile in layout.tiles_of(part):
        if rows == columns:
            A[rows, columns] = tile if above != 1 else tile.tril() + tile.tril(-1).mT
        else:
            A[rows, columns] = tile * (above if below is None else below)
            A[columns, rows] = tile.mT * above
    return A


@on_all_ranks
def distribute(A: torch.Tensor, layout: BlockCyclic) -> DistributedMatrix:
    """A symmetric matrix that every rank has, spread over them: each takes its tiles.

    Parameters
    ----------
    A : torch.Tensor, shape (n, n)
        The same on every rank. Only its lower triangle is read; its bar is symmetric, as that of `torch_ops.cholesky`,
        and the same on every rank.
    layout : BlockCyclic

    Returns
    -------
    DistributedMatrix
    """
    if not isinstance(layout, BlockCyclic):
        raise TypeError(f"distribute: argument layout is a {type(layout).__name__} and must be a BlockCyclic.")

    def check():
        if not isinstance(A, torch.Tensor) or tuple(A.shape) != (layout.n, layout.n) or A.dtype not in DTYPES:
            found = f"{tuple(A.shape)} of {A.dtype}" if isinstance(A, torch.Tensor) else f"a {type(A).__name__}"
            raise ValueError(
                f"distribute: argument A is {found}, and must be a tensor of shape {(layout.n, layout.n)} of float32 "
                "or float64."
            )
        if A.device != layout.device:
            raise ValueError(f"distribute: argument A is on {A.device}, the layout on {layout.device}.")

    shared = [("the layout", (layout.n, layout.block)), ("what requires a gradient", _is_watched(A))]
    agreed(layout.grid, layout.device, "distribute", check, shared)
    (A,) = same(layout, "distribute", ("argument A", A))
    return DistributedMatrix(layout, _Distribute.apply(layout, A))


def _is_watched(A):
    return isinstance(A, torch.Tensor) and A.requires_grad and torch.is_grad_enabled()


@on_all_ranks
def gather(A: DistributedMatrix) -> torch.Tensor:
    """The whole matrix, on every rank, which has to have the memory for it.

    Parameters
    ----------
    A : DistributedMatrix

    Returns
    -------
    torch.Tensor, shape (n, n)
        Symmetric, or lower triangular if A is a factor.
    """
    if not isinstance(A, DistributedMatrix):
        raise TypeError(f"gather: argument A is a {type(A).__name__} and must be a DistributedMatrix.")
    return _Gather.apply(A.layout, A.part, A.triangular)
