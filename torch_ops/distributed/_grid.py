"""A grid of processes, and what they send each other: all that this package asks of torch.distributed.

May import torch. The ranks of a group stand in P rows and Q columns. Everything is sent along a row or along a column,
so that two groups serve, and a group in one row is a grid like others.
"""

from __future__ import annotations

import torch

try:
    import torch.distributed as dist
    from torch.distributed.device_mesh import DeviceMesh
except ImportError as error:  # pragma: no cover
    raise ImportError("torch_ops.distributed needs a PyTorch that was built with torch.distributed.") from error


class Line:
    """The processes of a row or of a column of a grid: `size` of them, of which this one is number `place`."""

    def __init__(self, group=None):
        self.group = group
        self.size = 1 if group is None else dist.get_world_size(group)
        self.place = 0 if group is None else dist.get_rank(group)
        #: Numbers that this process has got from others in `broadcast` and has given others in `sum_to`; in `total`,
        #: which is both, twice. (Of the ways that a backend may take, the least.)
        self.words = 0

    def broadcast(self, x, source):
        """Copy x, contiguous, from the process `source` of the line into x of the others."""
        if self.size > 1 and x.numel():
            dist.broadcast(x, group=self.group, group_src=source)
            self.words += x.numel() * (self.place != source)

    def sum_to(self, x, target):
        """Put the sum of all x, contiguous, into that of the process `target`. Those of the others are lost."""
        if self.size > 1 and x.numel():
            dist.reduce(x, group=self.group, group_dst=target)
            self.words += x.numel() * (self.place != target)

    def total(self, x, op="SUM"):
        """Put the sum (the largest, the least) of all x, contiguous, into each."""
        if self.size > 1 and x.numel():
            dist.all_reduce(x, getattr(dist.ReduceOp, op), group=self.group)
            self.words += 2 * x.numel()

    def gathered(self, value):
        """What all processes of the line have, any Python objects, as a list."""
        if self.size == 1:
            return [value]
        values = [None] * self.size
        dist.all_gather_object(values, value, group=self.group)
        return values


class Grid:
    """The processes of a group, or of a mesh of devices, in `rows` rows and `columns` columns. This process is in row
    `row` and column `column`; `along_row` are those of its row, `along_column` those of its column."""

    def __init__(self, mesh=None):
        if isinstance(mesh, DeviceMesh):
            if mesh.ndim not in (1, 2):
                raise ValueError(
                    f"BlockCyclic: the mesh has {mesh.ndim} dimensions. It needs one, for block columns over all "
                    "ranks, or two, for a grid of rows and columns: init_device_mesh('cpu', (2, 2)), or a part of your "
                    "mesh, mesh['name']."
                )
            if mesh.get_coordinate() is None:
                raise RuntimeError(
                    "BlockCyclic: this process is not in the mesh. Only those in it may make a layout of it."
                )
            groups = [mesh.get_group(i) for i in range(mesh.ndim)]
            self.device_type = mesh.device_type
        else:
            if not (dist.is_available() and dist.is_initialized()):
                raise RuntimeError(
                    "BlockCyclic: there is no process group. Call torch.distributed.init_process_group first, and "
                    "start the program with torchrun, or in one process with init_process_group('gloo', "
                    "store=torch.distributed.HashStore(), rank=0, world_size=1)."
                )
            if mesh is not None and not isinstance(mesh, dist.ProcessGroup):
                raise TypeError(
                    f"BlockCyclic: mesh is a {type(mesh).__name__}. It is None, for all processes, a process group "
                    "that this one is in, or a DeviceMesh."
                )
            groups = [dist.group.WORLD if mesh is None else mesh]
            # init_process_group() without a backend makes one of both kinds, also where there is no GPU
            on_gpu = "nccl" in dist.get_backend(groups[0]) and torch.cuda.is_available()
            self.device_type = "cuda" if on_gpu else "cpu"
        # in one dimension, the matrix is cut into block columns: a single row of processes
        self.along_row = Line(groups[-1])
        self.along_column = Line(groups[0]) if len(groups) == 2 else Line()
        self.rows, self.columns = self.along_column.size, self.along_row.size
        self.row, self.column = self.along_column.place, self.along_row.place

    @property
    def size(self):
        return self.rows * self.columns

    @property
    def words(self):
        return self.along_row.words + self.along_column.words

    def everywhere(self, x, row, column):
        """Copy x from one process to all."""
        if self.column == column:
            self.along_column.broadcast(x, row)
        self.along_row.broadcast(x, column)

    def total(self, x, op="SUM"):
        """Put the sum (the largest, the least) of all x into each: with the same bits, as every column has done the
        same before the rows do."""
        self.along_column.total(x, op)
        self.along_row.total(x, op)
        return x

    def gathered(self, value):
        return [x for row in self.along_column.gathered(self.along_row.gathered(value)) for x in row]
