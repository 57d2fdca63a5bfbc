"""Timing overbar side by side with what a user would pick instead: the harness, and `python -m overbar bench`.

May import NumPy, SciPy, `overbar` and, inside the functions that time them, the frameworks and their fronts. It lies in
the package and not in the folder benchmarks/ of the repository, so that an installed wheel can measure itself.
"""

from overbar.bench.harness import Comparison, Ratio, Timing, compare, environment
