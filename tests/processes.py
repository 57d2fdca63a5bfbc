"""Python in a process of its own, with this tree on its path, whether or not overbar is installed. May import nothing
but Python's own library."""

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
