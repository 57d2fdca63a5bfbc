"""The frameworks that bench and demo can run: which are installed, and how to import one without noise.

May import NumPy and, inside `load`, the frameworks and their fronts.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import tempfile
import warnings
from typing import NamedTuple


class Framework(NamedTuple):
    label: str  #: what people call it
    package: str  #: what must be installed
    front: str | None  #: the package that makes overbar's primitives its ops
    extra: str | None  #: the extra of overbar that installs it


#: by the names that the command line uses
FRAMEWORKS = {
    "numpy": Framework("NumPy", "numpy", None, None),
    "torch": Framework("PyTorch", "torch", "torch_ops", "torch"),
    "tf": Framework("TensorFlow", "tensorflow", "tf_ops", "tf"),
}


def available(name: str) -> bool:
    """Whether the framework is installed. Does not import it."""
    return importlib.util.find_spec(FRAMEWORKS[name].package) is not None


def how_to_add(name: str) -> str:
    """A sentence that says which extra brings a framework."""
    framework = FRAMEWORKS[name]
    return f'{framework.label} is not installed. To add it: pip install "overbar[{framework.extra}]"'


def choose(names, default=tuple(FRAMEWORKS)):
    """The frameworks to run, in the order of `FRAMEWORKS`, and those that are missing.

    Without names: all that are installed. Raises ValueError for an unknown name, and for one asked for that is missing.
    """
    for name in names or ():
        if name not in FRAMEWORKS:
            raise ValueError(f"there is no framework {name!r} here. Choose from {', '.join(FRAMEWORKS)}.")
        if not available(name):
            raise ValueError(how_to_add(name))
    wanted = [name for name in default if not names or name in names]
    return [name for name in wanted if available(name)], [name for name in wanted if not available(name)]


def load(name: str):
    """Import a framework and its front; returns the framework. What it says on the terminal meanwhile is dropped."""
    framework = FRAMEWORKS[name]
    with _silence() if framework.package not in sys.modules else contextlib.nullcontext():
        package = importlib.import_module(framework.package)
        if framework.front:
            importlib.import_module(framework.front)
    return package


def front(name: str):
    """The package that makes overbar's primitives ops of a framework."""
    load(name)
    return importlib.import_module(FRAMEWORKS[name].front)


def use_device(names, device: str) -> list[str]:
    """From now on these frameworks compute on a device, called as PyTorch calls it. Returns those that can: NumPy
    computes on the CPU only, TensorFlow on the first GPU, where it has one. Raises ValueError where none can."""
    if device == "cpu":
        return list(names)
    found = []
    if "torch" in names:
        torch = load("torch")
        try:
            torch.empty(1, device=device)
        except (RuntimeError, AssertionError) as error:
            raise ValueError(f"PyTorch has no device {device!r} here: {str(error).partition(chr(10))[0]}") from None
        torch.set_default_device(device)
        found.append("torch")
    if "tf" in names and load("tf").config.list_physical_devices("GPU"):
        found.append("tf")  # it takes the first one by itself
    if not found:
        raise ValueError(f"neither PyTorch nor TensorFlow is here with a device {device!r}. NumPy has the CPU only.")
    return found


def waited(name: str, thing):
    """A thing to time that ends when the device has done what it was given. (TensorFlow's wait for their results.)"""
    if name != "torch" or load("torch").get_default_device().type == "cpu":
        return thing
    torch = load("torch")

    def run():
        result = thing()
        torch.accelerator.synchronize()
        return result

    return run


@contextlib.contextmanager
def _silence():
    """TensorFlow reports on processor and drivers while it is imported. These remarks come from C++ before any setting
    is read that would stop them, so the file that they are written to is exchanged; it is shown if the import fails."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # for its later remarks
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            kept = os.dup(2)
        except OSError:  # no standard error at all
            yield
            return
        try:
            os.dup2(said.fileno(), 2)
            yield
        except BaseException:
            sys.stderr.flush()
            os.dup2(kept, 2)
            said.seek(0)
            os.write(2, said.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
