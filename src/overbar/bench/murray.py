"""How long each way to differentiate the Cholesky decomposition takes, in NumPy: ``python -m overbar.bench.murray``.

May import NumPy and `overbar.rules`. The times are multiples of that of the function, measured in turns; beside them
stands the multiple that counting flops would make one expect.
"""

import argparse
import statistics
import time

import numpy as np

from overbar.rules import murray

#: name, function, and its flops over those of the function, n³/3, for large n
WAYS = [
    ("symbolic, forward", murray.chol_symbolic_forward, 12),
    ("symbolic, reverse", murray.chol_symbolic_reverse, 12),
    ("Smith, forward", murray.chol_smith_forward, 2),
    ("Smith, reverse", murray.chol_smith_reverse, 2),
    ("unblocked, forward", murray.chol_unblocked_forward, 2),
    ("unblocked, reverse", murray.chol_unblocked_reverse, 2),
    ("blocked, forward", murray.chol_blocked_forward, 2),
    ("blocked, reverse", murray.chol_blocked_reverse, 2),
    ("by halves, forward", murray.chol_recursive_forward, 2.5),
    ("by halves, reverse", murray.chol_recursive_reverse, 2),
]


def ratios(n, repeat):
    """The time of each way over that of the function: medians of `repeat` rounds, in which all take turns."""
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, n + 5))
    A = X @ X.T / n + np.eye(n)
    L, dot = np.linalg.cholesky(A), rng.standard_normal((n, n))
    dot = dot + dot.T
    calls = [(np.linalg.cholesky, (A,)), *((function, (L, dot)) for _, function, _ in WAYS)]
    rounds = []
    for _ in range(repeat):
        times = []
        for function, arguments in calls:
            start = time.perf_counter()
            function(*arguments)
            times.append(time.perf_counter() - start)
        rounds.append(times)
    own, *others = (statistics.median(column) for column in zip(*rounds, strict=True))
    return [other / own for other in others]


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m overbar.bench.murray", description=__doc__.partition(":")[0] + ".")
    parser.add_argument("sizes", nargs="*", type=int, default=[10, 100, 500, 1000], help="of the matrices")
    parser.add_argument("--repeat", type=int, default=5, help="rounds of measurements")
    given = parser.parse_args(arguments)
    columns = [ratios(n, given.repeat) for n in given.sizes]
    print("| way | flops | " + " | ".join(f"n = {n}" for n in given.sizes) + " |")
    print("| --- | --- |" + " --- |" * len(given.sizes))
    for (name, _, flops), *times in zip(WAYS, *columns, strict=True):
        print(f"| {name} | {flops} | " + " | ".join(f"{t:.3g}" for t in times) + " |")


if __name__ == "__main__":
    main()
