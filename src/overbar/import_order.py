"""In which order frameworks may be loaded. May import nothing of overbar.

Triton, which comes with PyTorch's builds for CUDA, and TensorFlow cannot be loaded in any order: ``import tensorflow``
and then ``import triton`` ends the process with a segmentation fault, the other way round both work. PyTorch imports
triton when something first needs its compiler, `torch.func.hessian` for instance. So whatever uses both frameworks in
one process calls `triton_first` before it imports TensorFlow: the command line, the tests, and the script that writes
the documents. It is not done by ``import torch_ops``, because triton takes half a second, and comes too late there
where TensorFlow was imported before.
"""

import importlib.util
import sys

__all__ = ["triton_first"]


def triton_first() -> None:
    """Import triton if it is installed, unless TensorFlow is there already."""
    if "tensorflow" not in sys.modules and importlib.util.find_spec("triton") is not None:
        importlib.import_module("triton")
