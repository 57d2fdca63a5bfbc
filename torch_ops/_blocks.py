"""A rule that goes by blocks of a matrix as one op, for the graphs of compilers.

May import torch and `torch_ops._internals`. Unrolled, such a rule is another graph for each number of blocks, and one
of thousands of nodes for large matrices; and a graph writes no block in place.
"""

import functools
import re

import torch

from torch_ops._internals import lazy_conjugation


def as_one_op(function, arrays):
    """``function(*arrays)`` as an op of torch.library: for a function of arrays that returns one of the shape to which
    they broadcast, in the dtype of the first."""
    return op_of(function)(*arrays)


_named = {}  # how many functions of a name there were before


@functools.cache
def op_of(function):
    name = f"{function.__module__.rpartition('.')[2]}_{function.__qualname__}".strip("_")
    name = re.sub(r"\W+", "_", name)
    _named[name] = _named.get(name, -1) + 1
    name += f"_{_named[name]}" if _named[name] else ""  # another function of this name
    count = function.__code__.co_argcount - len(function.__defaults__ or ())
    schema = f"({', '.join(f'Tensor {letter}' for letter in 'ABCD'[:count])}) -> Tensor"

    def compute(*arrays):
        with torch.no_grad(), lazy_conjugation():
            out = arrays[0].new_empty(torch.broadcast_shapes(*(A.shape for A in arrays)))
            return function(*arrays, out=out)

    op = torch.library.custom_op(f"overbar::{name}", compute, mutates_args=(), schema=schema)

    @op.register_fake
    def _(*arrays):
        return arrays[0].new_empty(torch.broadcast_shapes(*(A.shape for A in arrays)))

    return op
