"""Each test draws the same numbers wherever and in whatever order it runs."""

import zlib

import numpy as np


def pytest_runtest_setup(item):
    for name in ("rng", "RNG"):
        if hasattr(item.module, name):
            setattr(item.module, name, np.random.default_rng(zlib.crc32(item.name.encode())))
