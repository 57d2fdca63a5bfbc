"""Sizes of blocks that were measured on this machine: `python -m overbar tune` stores them, the rules read them.

May import nothing but the standard library.
"""

from __future__ import annotations

import functools
import json
import os
import warnings
from pathlib import Path

__all__ = ["path", "store", "stored"]

SMALLEST, LARGEST = 8, 16384


def path() -> Path:
    """The file of measured sizes: what OVERBAR_SETTINGS names (os.devnull for none), or ``overbar/settings.json`` where
    the system keeps a user's settings."""
    if given := os.environ.get("OVERBAR_SETTINGS"):
        return Path(given)
    home = os.environ.get("APPDATA") or os.environ.get("XDG_CONFIG_HOME")
    return (Path(home) if home else Path.home() / ".config") / "overbar" / "settings.json"


@functools.cache
def stored() -> dict[str, int]:
    """What the file says, by type of device; nothing where there is none. A file that makes no sense is not used, with
    a warning."""
    try:
        file = path()
        text = file.read_text(encoding="utf-8")
    except (OSError, RuntimeError):  # no such file, or no home
        text = ""
    if not text:
        return {}
    try:
        blocks = json.loads(text)["blocks"]
        if all(type(size) is int and SMALLEST <= size <= LARGEST for size in blocks.values()):
            return dict(blocks)
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    warnings.warn(
        f"{file} holds no sizes of blocks between {SMALLEST} and {LARGEST}, and is not used. Remove it, or write it "
        "anew: python -m overbar tune",
        RuntimeWarning,
        stacklevel=2,
    )
    return {}


def store(device: str, size: int) -> Path:
    """Write the size for a type of device into the file, beside those of other devices."""
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    stored.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what makes no sense is replaced
        blocks = {**stored(), device: int(size)}
    file.write_text(json.dumps({"blocks": blocks}, indent=1) + "\n", encoding="utf-8")
    stored.cache_clear()
    return file
