"""The contract of a front, held by overbar's sweeps over Dask's arrays. May import Dask."""

import gc

import numpy as np
import pytest

da = pytest.importorskip("dask.array")

import dask  # noqa: E402

import dask_ops  # noqa: E402, F401 - makes the primitives take Dask's arrays
import overbar  # noqa: E402
from tests.fronts.contract import FrontContract, made, noted  # noqa: E402


class TestDask(FrontContract):
    """Vectors in chunks of one number each: a rule is run on Dask's arrays."""

    chunks = 1

    @pytest.fixture(autouse=True)
    def _in_this_thread(self):
        with dask.config.set(scheduler="synchronous"):
            yield

    def array(self, x):
        return da.from_array(np.asarray(x), chunks=self.chunks)

    def numpy(self, A):
        assert isinstance(A, da.Array | float)
        return np.asarray(A)

    def pull(self, f, arrays, bars):
        return overbar.vjp(f, *arrays)[1](bars)

    def push(self, f, arrays, dots):
        return overbar.jvp(f, arrays, dots)[1]

    def test_10_errors_are_the_librarys_own(self):
        with pytest.MonkeyPatch.context() as patch:  # what a rule raises comes when it is computed
            patch.setattr(type(self), "reverse", lambda self, f, bar: _computed(FrontContract.reverse(self, f, bar)))
            patch.setattr(type(self), "forward", lambda self, f, dot: _computed(FrontContract.forward(self, f, dot)))
            super().test_10_errors_are_the_librarys_own()


class TestDaskByChunks(TestDask):
    """Vectors in one chunk: a rule is run in a task, on NumPy's arrays."""

    chunks = -1

    def test_12_nothing_outlives_its_use(self):
        x, one = self.vector(2.0, -3.0), self.vector(1.0, 1.0)
        gc.collect()
        gc.disable()
        try:
            y = noted(x)
            self.close(y, [4, 9])
            del y
            bar = self.reverse(lambda x: noted(noted(x)), one)(x)
            self.close(bar, [32, -108])
            del bar
            assert len(made) == 4  # once of a batch of none, which tells the shapes, and in three tasks
            gc.collect()  # Dask's graphs have circles
            assert [ref for ref in made if ref() is not None] == []
        finally:
            gc.enable()


def _computed(derivative):
    return lambda x: derivative(x).compute()
