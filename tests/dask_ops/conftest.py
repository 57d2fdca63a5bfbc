"""The tests of Dask compute in their own thread, unless they say otherwise. May import Dask."""

import pytest


@pytest.fixture(autouse=True)
def in_this_thread():
    dask = pytest.importorskip("dask")
    pytest.importorskip("dask.array")
    with dask.config.set(scheduler="synchronous"):
        yield
