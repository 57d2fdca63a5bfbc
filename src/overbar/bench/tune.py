"""Which size of blocks suits this machine: the reverse rule of the Cholesky decomposition, measured with several.

May import NumPy, `overbar._settings`, `rules.cholesky`, `rules.halving` and `overbar.bench`.

Rules of factorisations go by halves down to blocks of some size. Small blocks take the fewest flops. Large ones take
the fewest steps: that is worth more on a device, which takes time to start each, and where several threads share cores
that other programs use, as each step waits for the last of them.
"""

from __future__ import annotations

import contextlib
import math

from overbar.bench.cholesky import backward
from overbar.bench.harness import Comparison, compare
from overbar.rules import _cholesky as of_cholesky
from overbar.rules import _halving as halving

__all__ = ["BLOCKS", "SIZES", "best", "measure"]

#: Those to choose from; on a CPU multiples of 24, see `rules.halving`.
BLOCKS = {"cpu": (48, 72, 96, 144, 192, 288, 384)}
ON_DEVICE = (128, 256, 512, 768, 1024, 2048)

#: The sizes of the matrices.
SIZES = (512, 1024, 2048)


@contextlib.contextmanager
def _with(block):
    """Blocks of this size everywhere, and by halves where a kernel with blocks of its own would be taken."""
    before = halving.base, of_cholesky.for_blas
    halving.base, of_cholesky.for_blas = lambda A: block, lambda *arrays: False
    try:
        yield
    finally:
        halving.base, of_cholesky.for_blas = before


def measure(framework: str, device: str, n: int, seconds: float) -> Comparison:
    """The reverse rule at one size with each size of blocks that is smaller, by turns."""

    def with_blocks(block):
        rule = backward(framework, n)  # for each of them: a graph keeps the blocks with which it was traced

        def thing():
            with _with(block):
                rule()

        return thing

    blocks = BLOCKS.get(device, ON_DEVICE)
    things = {str(block): with_blocks(block) for block in blocks if block < n}
    return compare(things, seconds=seconds, least=5, most=100)


def best(comparisons: dict[int, Comparison]) -> tuple[int, dict[int, float]]:
    """The size of blocks that takes the least time, over sizes of matrices, and how much longer each of the others
    takes: the geometric mean of its times over those of the best."""
    common = set.intersection(*[set(c.timings) for c in comparisons.values()])
    means = {
        int(block): sum(math.log(c[block].median) for c in comparisons.values()) / len(comparisons) for block in common
    }
    least = min(means, key=means.get)
    return least, {block: math.exp(mean - means[least]) for block, mean in sorted(means.items())}
