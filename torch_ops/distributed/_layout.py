"""Which part of a symmetric or triangular matrix lies on which rank, and matrices that lie so.

May import torch and `distributed.grid`.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import torch

from torch_ops.distributed._grid import Grid

__all__ = ["BlockCyclic", "DistributedMatrix"]

DTYPES = (torch.float32, torch.float64)


class BlockCyclic:
    """The lower triangle of an n by n matrix, in square tiles that are dealt out to the ranks of a group in turn.

    Tile (I, J), with I ≥ J, lies on the rank in row I mod P and column J mod Q of a grid of P by Q ranks. In one
    dimension, P = 1, a rank has whole block columns. What a rank has of a matrix, its *part*, is one vector: its block
    columns one after the other, each with the tiles of this rank from the diagonal down, row by row. Nothing of the
    upper triangle is stored, but in the tiles on the diagonal.

    Parameters
    ----------
    n : int
        The size of the matrix.
    block : int, optional
        The size of the tiles; those of the last row and column are smaller where n is no multiple of it. By default
        256, or less if every rank would not have eight tiles in each direction. Large tiles are multiplied faster,
        small ones are dealt out more evenly.
    mesh : torch.distributed.device_mesh.DeviceMesh or ProcessGroup, optional
        A mesh of one dimension or a process group: block columns, dealt out over all ranks. A mesh of two dimensions,
        ``init_device_mesh("cpu", (2, 2))``: the grid. By default, all processes, in one dimension. In a pass over the
        matrix, a rank gets n²/2 numbers of others in one dimension, and n² (1/P + 1/Q)/2 in two.
    device : torch.device, optional
        Where the parts are. By default the current device of the kind that the mesh or the group is for.

    Attributes
    ----------
    tiles : int
        How many tiles the matrix has in a row.
    numbers : int
        How many entries this rank's part has: about n²/2 divided by the number of ranks.
    words : int
        How many numbers this rank has got from others, or given away to be summed, since the layout was made.

    Raises
    ------
    RuntimeError
        There is no process group, or this process is not in it.

    Examples
    --------
    >>> import torch
    >>> from torch_ops.distributed import BlockCyclic, distribute, gaussian_logpdf
    >>> torch.distributed.init_process_group("gloo", store=torch.distributed.HashStore(), rank=0, world_size=1)
    >>> layout = BlockCyclic(3, block=2)
    >>> K = distribute(torch.tensor([[2.0, 1.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 2.0]]), layout)
    >>> K.part
    tensor([2., 1., 1., 2., 0., 1., 2.])
    >>> gaussian_logpdf(torch.ones(3), torch.zeros(3), K)
    tensor(-3.9500)
    >>> torch.distributed.destroy_process_group()
    """

    def __init__(self, n: int, block: int | None = None, mesh: Any = None, *, device: Any = None) -> None:
        self.n = _positive("n", n)
        self.grid = Grid(mesh)
        if block is None:
            block = min(256, math.ceil(self.n / (8 * max(self.grid.rows, self.grid.columns))))
        self.block = _positive("block", block)
        self.tiles = -(-self.n // self.block)
        if device is None:
            device = self.grid.device_type
            device = torch.device(device, torch.cuda.current_device()) if device == "cuda" else device
        self.device = torch.device(device)
        #: the columns of tiles on this rank, and where each begins in the part
        self.columns = range(self.grid.column, self.tiles, self.grid.columns)
        self.starts, self.numbers = {}, 0
        for J in self.columns:
            self.starts[J] = self.numbers
            self.numbers += self.height(J) * self.size(J)

    def __repr__(self) -> str:
        grid = f"{self.grid.rows} by {self.grid.columns}"
        return (
            f"BlockCyclic(n={self.n}, block={self.block}, {grid} ranks, this one ({self.grid.row}, {self.grid.column}))"
        )

    @property
    def words(self) -> int:
        return self.grid.words

    # -- sizes and places

    def span(self, I: int) -> slice:
        """The rows, or columns, of the matrix in those of tiles number I."""
        return slice(I * self.block, min(self.n, (I + 1) * self.block))

    def size(self, I: int) -> int:
        return min(self.n, (I + 1) * self.block) - I * self.block

    def rows_of(self, J: int, column: bool = False) -> range:
        """The rows of tiles from number J on that this rank has tiles in; or the columns, if `column`."""
        place, count = (self.grid.column, self.grid.columns) if column else (self.grid.row, self.grid.rows)
        return range(J + (place - J) % count, self.tiles, count)

    def height(self, J: int, column: bool = False) -> int:
        """How many rows (columns) of the matrix these are."""
        rows = self.rows_of(J, column)
        return len(rows) * self.block - (self.tiles * self.block - self.n if self.tiles - 1 in rows else 0)

    def owns_diagonal(self, J: int) -> bool:
        return self.grid.row == J % self.grid.rows and self.grid.column == J % self.grid.columns

    def owner(self, J: int) -> tuple[int, int]:
        """The row and the column of the rank that has the tile (J, J)."""
        return J % self.grid.rows, J % self.grid.columns

    # -- parts

    def panel(self, part: torch.Tensor, J: int) -> torch.Tensor:
        """The tiles of a part in a column of tiles, one below the other: a view."""
        start, width = self.starts[J], self.size(J)
        return part[start : start + self.height(J) * width].view(-1, width)

    def panels(self, part: torch.Tensor):
        """For each column of tiles on this rank its number, and the view of `panel`."""
        return [(J, self.panel(part, J)) for J in self.columns]

    def places(self):
        """For each tile of this rank the rows and the columns of the matrix, as slices, and where in a part it lies."""
        for J in self.columns:
            start, width = self.starts[J], self.size(J)
            for I in self.rows_of(J):
                stop = start + self.size(I) * width
                yield self.span(I), self.span(J), slice(start, stop)
                start = stop

    def tiles_of(self, part: torch.Tensor):
        """For each tile of a part the rows and the columns of the matrix, as slices, and a view of the tile."""
        for rows, columns, place in self.places():
            yield rows, columns, part[place].view(-1, columns.stop - columns.start)

    def diagonals_of(self, part: torch.Tensor):
        """For each tile of a part on the diagonal its number and a view of it."""
        return [(J, panel[: self.size(J)]) for J, panel in self.panels(part) if self.owns_diagonal(J)]

    def empty(self, dtype: torch.dtype) -> torch.Tensor:
        return torch.empty(self.numbers, dtype=dtype, device=self.device)

    # -- what is the same on every rank

    def own_rows(self, x: torch.Tensor) -> torch.Tensor:
        """Of an x (n, ...) that every rank has, the rows in this rank's rows of tiles, one after the other."""
        return torch.cat([x[self.span(I)] for I in self.rows_of(0)]) if self.rows_of(0) else x[:0]


class DistributedMatrix:
    """A symmetric or lower triangular matrix that is spread over ranks: its layout, and the part on this rank.

    Parameters
    ----------
    layout : BlockCyclic
    part : torch.Tensor
        Of shape ``(layout.numbers,)``, float32 or float64. It may require a gradient, which then is a part, too. An
        entry below the tiles on the diagonal stands for itself and for its mirror image, and its bar is that of both;
        the bar of a tile on the diagonal is symmetric.
    triangular : bool
        Whether it is a Cholesky factor, and not a symmetric matrix.
    """

    def __init__(self, layout: BlockCyclic, part: torch.Tensor, *, triangular: bool = False) -> None:
        if not isinstance(layout, BlockCyclic):
            raise TypeError(f"DistributedMatrix: layout is a {type(layout).__name__} and must be a BlockCyclic.")
        if not isinstance(part, torch.Tensor) or part.dtype not in DTYPES:
            found = part.dtype if isinstance(part, torch.Tensor) else type(part).__name__
            raise TypeError(
                f"DistributedMatrix: part is a {found} and must be a tensor of float32 or float64: convert it."
            )
        if tuple(part.shape) != (layout.numbers,):
            raise ValueError(
                f"DistributedMatrix: part has shape {tuple(part.shape)}, but this rank has {layout.numbers} entries of "
                f"a matrix of size {layout.n} in tiles of {layout.block}: the shape is {(layout.numbers,)}. "
                "`distribute` cuts a whole matrix, and `matrix` computes the tiles."
            )
        if part.device != layout.device:
            raise ValueError(
                f"DistributedMatrix: part is on {part.device}, its layout on {layout.device}. Move the part, or give "
                "BlockCyclic this device."
            )
        self.layout, self.part, self.triangular = layout, part, triangular

    def __repr__(self) -> str:
        kind = "triangular" if self.triangular else "symmetric"
        return f"DistributedMatrix({kind}, {self.part.dtype}, {self.layout!r})"

    @property
    def dtype(self) -> torch.dtype:
        return self.part.dtype

    @property
    def shape(self) -> torch.Size:
        return torch.Size((self.layout.n, self.layout.n))

    def tiles(self):
        """For each tile on this rank the rows and the columns of the matrix, as slices, and the tile, a view.

        To be changed, or read, where nobody differentiates; `matrix` makes tiles that have a derivative."""
        return self.layout.tiles_of(self.part)


def _positive(name, value):
    try:
        value = operator.index(value)
    except TypeError:
        value = -1
    if value < 1:
        raise ValueError(f"BlockCyclic: {name} must be a positive integer.")
    return value
