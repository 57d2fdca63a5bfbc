"""Whose processor this is, and what is asked of it. May import torch.

PyTorch's linear algebra on x86 is Intel's MKL. At home it is twice as fast with small matrices as elsewhere, and its
products want larger ones: what is quickest differs.
"""

import platform
import threading

import torch

__all__ = ["ON_INTEL", "asked"]


def _vendor():
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as lines:
            return next((line for line in lines if line.startswith("vendor_id")), "")
    except OSError:  # not Linux
        return platform.processor()


#: Whether MKL is there, and computes on a processor of Intel's.
ON_INTEL = torch.backends.mkl.is_available() and "GenuineIntel" in _vendor()


class _Asked(threading.local):
    """Whether this thread is asked for a factor that may become part of one op with what a library makes of it
    (`torch_ops._fused`): for that it has to be ours, and the op gains more than PyTorch's derivative does at home."""

    to_fuse = False


asked = _Asked()
