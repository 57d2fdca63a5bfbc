"""Matrices as DTensors, in and out.

May import torch, and the neighbours below it: `distributed.layout`, `functions` and `together`. A DTensor has whole
rows or columns, in pieces that are as large as can be; a Cholesky decomposition wants small tiles dealt out in turn, or
one rank after the other runs out of work. So what is between them sends the matrix once, a column of tiles at a time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.distributed.tensor import DTensor, Replicate, Shard

from torch_ops.distributed._functions import backward_of, forward_of
from torch_ops.distributed._layout import DTYPES, BlockCyclic, DistributedMatrix
from torch_ops.distributed._together import agreed, on_all_ranks

__all__ = ["from_dtensor", "to_dtensor"]


class _Piece:
    """The rows and the columns of a matrix that a rank has of a DTensor, and whether no rank before it has them."""

    def __init__(self, function, mesh, placements, n):
        spans, self.first = [(0, n), (0, n)], True
        if mesh.get_coordinate() is None:
            raise ValueError(f"{function}: this rank is not in the mesh of the DTensor.")
        for size, place, placement in zip(mesh.shape, mesh.get_coordinate(), placements, strict=True):
            if type(placement) is Shard:
                start, stop = spans[placement.dim]
                step = -(-(stop - start) // size)
                spans[placement.dim] = min(stop, start + place * step), min(stop, start + (place + 1) * step)
            elif isinstance(placement, Replicate):
                self.first = self.first and place == 0
            else:
                raise ValueError(
                    f"{function}: the placement {placement} is neither Shard nor Replicate. Redistribute the DTensor "
                    "first: A.redistribute(placements=[Shard(1)])."
                )
        self.rows, self.columns = (slice(*span) for span in spans)
        self.shape = tuple(span.stop - span.start for span in (self.rows, self.columns))

    def within(self, rows, columns):
        """Where what is in these rows and columns of the matrix lies in the piece, and where in a block of them."""
        here, there = [], []
        for own, other in ((self.rows, rows), (self.columns, columns)):
            start, stop = max(own.start, other.start), max(own.start, other.start, min(own.stop, other.stop))
            here.append(slice(start - own.start, stop - own.start))
            there.append(slice(start - other.start, stop - other.start))
        return tuple(here), tuple(there)


def _panels(layout):
    for J in range(layout.tiles):
        columns = layout.span(J)
        yield J, slice(columns.start, layout.n), columns


def _to_part(layout, local, piece, mirrored):
    """The part of a matrix whose pieces the ranks have; where `mirrored`, of the sum with its transpose."""
    part = layout.empty(local.dtype)
    for J, rows, columns in _panels(layout):
        panel = local.new_zeros(rows.stop - rows.start, layout.size(J))
        if piece.first:
            here, there = piece.within(rows, columns)
            panel[there] += local[here]
            if mirrored:
                here, there = piece.within(columns, rows)
                panel.mT[there] += local[here]
        layout.grid.total(panel)
        if J in layout.starts:
            own = layout.panel(part, J)
            for k, I in enumerate(layout.rows_of(J)):
                start = k * layout.block
                own[start : start + layout.size(I)] = panel[(I - J) * layout.block :][: layout.size(I)]
    return part


def _to_piece(layout, part, piece, above, below):
    """A piece of a matrix from parts: `below` times what is below the tiles on the diagonal, `above` times its mirror
    image."""
    local = part.new_zeros(piece.shape)
    for J, rows, columns in _panels(layout):
        panel, width = part.new_zeros(rows.stop - rows.start, layout.size(J)), layout.size(J)
        if J in layout.starts:
            own = layout.panel(part, J)
            for k, I in enumerate(layout.rows_of(J)):
                start = k * layout.block
                panel[(I - J) * layout.block :][: layout.size(I)] = own[start : start + layout.size(I)]
        layout.grid.total(panel)
        rest = slice(columns.stop, layout.n)
        for scale, mine, source in (
            (1, (columns, columns), panel[:width]),
            (below, (rest, columns), panel[width:]),
            (above, (columns, rest), panel[width:].mT),
        ):
            here, there = piece.within(*mine)
            local[here] += scale * source[there]
    return local


class _FromLocal(torch.autograd.Function):
    @forward_of
    def forward(ctx, layout, local, piece):
        ctx.layout, ctx.piece = layout, piece
        return _to_part(layout, local, piece, mirrored=False)

    @backward_of
    def backward(ctx, bar):
        return None, _to_piece(ctx.layout, bar, ctx.piece, 0.5, 0.5), None


class _ToLocal(torch.autograd.Function):
    @forward_of
    def forward(ctx, layout, part, piece, triangular):
        ctx.layout, ctx.piece, ctx.triangular = layout, piece, triangular
        if not triangular:
            part = part.clone()
            for _, tile in layout.diagonals_of(part):
                tile[...] = tile.tril() + tile.tril(-1).mT
        return _to_piece(layout, part, piece, 0 if triangular else 1, 1)

    @backward_of
    def backward(ctx, bar):
        part = _to_part(ctx.layout, bar.contiguous(), ctx.piece, mirrored=not ctx.triangular)
        for _, tile in ctx.layout.diagonals_of(part):
            tile[...] = tile.tril() if ctx.triangular else tile / 2
        return None, part, None, None


@on_all_ranks
def from_dtensor(A: DTensor, layout: BlockCyclic) -> DistributedMatrix:
    """A symmetric matrix that is a DTensor, in a layout for decompositions.

    Parameters
    ----------
    A : DTensor, shape (n, n)
        Over the ranks of the layout, along its rows or columns or both. Only the lower triangle is read; its bar is
        symmetric and has the placements of A.
    layout : BlockCyclic

    Returns
    -------
    DistributedMatrix

    Notes
    -----
    The matrix is sent once, a column of tiles at a time; no rank has more than its part and that. A covariance matrix
    is better computed where its tiles lie, by `covariance`.
    """
    if not isinstance(A, DTensor) or not isinstance(layout, BlockCyclic):
        raise TypeError(
            f"from_dtensor: the arguments are a {type(A).__name__} and a {type(layout).__name__}, and must be a "
            "DTensor and a BlockCyclic. `distribute` takes a tensor that every rank has."
        )

    def check():
        if tuple(A.shape) != (layout.n, layout.n) or A.dtype not in DTYPES:
            raise ValueError(
                f"from_dtensor: argument A is {tuple(A.shape)} of {A.dtype}, and must be {(layout.n, layout.n)} of "
                "float32 or float64."
            )
        return _Piece("from_dtensor", A.device_mesh, A.placements, layout.n)

    shared = [("the layout", (layout.n, layout.block)), ("what requires a gradient", A.requires_grad)]
    piece = agreed(layout.grid, layout.device, "from_dtensor", check, shared)
    _same_ranks("from_dtensor", layout, piece)
    local = A.to_local(grad_placements=A.placements)
    return DistributedMatrix(layout, _FromLocal.apply(layout, local, piece))


@on_all_ranks
def to_dtensor(A: DistributedMatrix, mesh: Any, placements: Any) -> DTensor:
    """A matrix that is spread over ranks, as a DTensor.

    Parameters
    ----------
    A : DistributedMatrix
    mesh : torch.distributed.device_mesh.DeviceMesh
        Of the ranks of A's layout.
    placements : sequence of Shard or Replicate
        One for each dimension of the mesh.

    Returns
    -------
    DTensor, shape (n, n)
        Symmetric, or lower triangular if A is a factor.
    """
    if not isinstance(A, DistributedMatrix):
        raise TypeError(f"to_dtensor: argument A is a {type(A).__name__} and must be a DistributedMatrix.")
    layout = A.layout
    piece = agreed(
        layout.grid,
        layout.device,
        "to_dtensor",
        lambda: _Piece("to_dtensor", mesh, placements, layout.n),
        [("the placements", str(tuple(placements))), ("what requires a gradient", A.part.requires_grad)],
    )
    _same_ranks("to_dtensor", layout, piece)
    local = _ToLocal.apply(layout, A.part, piece, A.triangular)
    return DTensor.from_local(local, mesh, placements, run_check=False, shape=A.shape, stride=(layout.n, 1))


def _same_ranks(function, layout, piece):
    """The pieces that no rank before has are the whole matrix, once."""
    entries = torch.tensor(piece.shape[0] * piece.shape[1] * piece.first, device=layout.device)
    if layout.grid.total(entries).item() != layout.n**2:
        raise ValueError(f"{function}: the mesh of the DTensor has other ranks than the layout.")
