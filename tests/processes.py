"""Python in a process of its own, with this tree on its path, whether or not overbar is installed; and the ranks of
a test. May import Python's own library, and torch where ranks are run."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run_python(*arguments, environment=None, cwd=None, text=True):
    """What ``python *arguments`` left behind: `returncode`, `stdout` and `stderr`. The tests look at them."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
    environment = {**os.environ, "PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", **(environment or {})}
    return subprocess.run([sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=text)


def run_ranks(function, args, world):
    """Run ``function(rank, *args)`` for each rank in a process of its own, and leave none behind where one fails or the
    test is stopped."""
    import torch

    context = torch.multiprocessing.spawn(function, args=args, nprocs=world, join=False)
    try:
        while not context.join():
            pass
    finally:
        for child in context.processes:
            if child.is_alive():
                child.kill()
            child.join()
