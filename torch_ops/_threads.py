"""How many threads a rule of many steps has. May import torch.

A rule that goes by blocks is many products, most of them small, and each waits for the last of its threads. Beside
other programs that thread has to wait for a core: with two threads on two cores, two busy processes beside them, the
backward pass of a Cholesky decomposition with n = 512 took 124 ms instead of 4, and in one thread 10.
"""

import os

import torch

__all__ = ["alone"]

#: The largest matrix for which one thread is tried: the products of larger ones are long, and threads worth a wait.
LARGEST = 2048

#: As many threads as were measured. More of them do more than one even on a busy machine.
MOST = 4

#: How many times as many threads as cores want to run where a machine counts as busy.
BUSY = 1.25


def alone(n, device):
    """The number of threads to go back to, if a rule for a matrix of this size had better run in one thread, for which
    this asks PyTorch; else 0. Never where somebody asks for deterministic algorithms: the last bits of a product depend
    on the number of threads."""
    if n is None or n > LARGEST or device.type != "cpu":
        return 0
    threads = torch.get_num_threads()
    if not 1 < threads <= MOST or torch.are_deterministic_algorithms_enabled() or not is_busy():
        return 0
    torch.set_num_threads(1)
    return threads


def is_busy():
    """Whether more threads want to run on this machine than it has cores, in the mean of the last minute."""
    try:
        return os.getloadavg()[0] > BUSY * os.cpu_count()
    except (OSError, AttributeError):  # Windows has no such mean
        return False
