"""What runs on the host: algorithms that the array libraries lack, each for NumPy's arrays and a file for a subject.

May import NumPy, SciPy, `overbar._signature`, `_messages`, `_numpy_words` and `_jets`: no rule, and no framework. A
kernel is what a primitive's function calls where no product, solve or factorisation of the library itself leads to its
value: a Schur decomposition, a Sylvester equation. It knows no derivative; a primitive around it does. `KERNELS` has
overbar's own, those whose files were imported, which those of the rules do.
"""

from overbar.kernels._kernel import KERNELS, Kernel, kernel

__all__ = ["KERNELS", "Kernel", "kernel"]
