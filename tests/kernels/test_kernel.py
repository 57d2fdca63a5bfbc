"""A kernel with more than one implementation: which of them computes a call, and what all must keep to."""

import numpy as np
import pytest

from overbar.kernels import Kernel


def rotated(x, *, by):
    """A kernel of one matrix."""
    if not np.isfinite(x).all():
        raise np.linalg.LinAlgError("x is not finite.")
    return np.roll(x, by), x.sum()


@pytest.fixture
def kernel():
    """One of its own for each test, in no list of kernels."""
    return Kernel(rotated, "(n)->(n),()", "==")


@pytest.fixture
def calls(kernel):
    """Another implementation, of stacks and for three rows or more of a dtype, and the calls that it got."""
    calls = []

    @kernel.implemented_by(when=lambda x, *, by: x.shape[-1] >= 3 and x.dtype == np.float64, stacked=True)
    def compiled(x, *, by):
        calls.append(x.shape)
        if not np.isfinite(x).all():
            raise np.linalg.LinAlgError("x is not finite.")
        return np.roll(x, by, axis=-1), x.sum(-1)

    return calls


@pytest.mark.parametrize("batch", [(), (2,), (2, 1, 3), (0, 2)])
@pytest.mark.parametrize("n", [2, 3])
def test_the_one_whose_condition_holds_is_taken(kernel, calls, batch, n):
    x = np.random.default_rng(0).standard_normal((*batch, n))
    y, total = kernel(x, by=1)
    np.testing.assert_array_equal(y, np.roll(x, 1, axis=-1))
    np.testing.assert_allclose(total, x.sum(-1), rtol=1e-15)
    assert (y.shape, total.shape) == (x.shape, batch)
    taken = n >= 3 and 0 not in batch  # of no matrices there is nothing to compute
    assert calls == ([(int(np.prod(batch)), n)] if taken else [])


def test_a_condition_sees_the_dtype(kernel, calls):
    y, _ = kernel(np.ones(3, np.float32), by=1)
    assert (calls, y.dtype) == ([], np.float32)


def test_an_error_names_the_matrix_whatever_computes_it(kernel, calls):
    x = np.ones((2, 3))
    x[1, 0] = np.nan
    with pytest.raises(np.linalg.LinAlgError, match=r"x is not finite\. \(Matrix 1 of the batch\.\)"):
        kernel(x, by=0)
    assert calls


def test_the_last_one_that_is_available_is_taken(kernel):
    asked = []

    def add(mark, available):
        def is_available():
            asked.append(mark)
            return available

        @kernel.implemented_by(available=is_available)
        def marked(x, *, by):
            return x, np.array(mark)

    add(1.0, True)
    add(2.0, True)
    add(3.0, False)
    assert asked == []  # it may import a compiler: not before a call wants it
    assert [float(kernel(np.ones(2), by=0)[1]) for _ in range(3)] == [2.0, 2.0, 2.0]
    assert asked == [3.0, 2.0]  # and only once


def test_what_is_for_a_device_is_no_concern_of_the_host(kernel):
    @kernel.implemented_by(place="device", when=lambda x, *, by: len(x) > 1)
    def on_device(x, *, by):
        raise AssertionError("no array of NumPy's comes here")

    assert float(kernel(np.ones(2), by=0)[1]) == 2.0
    assert kernel.chosen("device", (np.ones(2),), {"by": 0}).function is on_device
    assert kernel.chosen("device", (np.ones(1),), {"by": 0}) is None
    assert kernel.chosen("elsewhere", (np.ones(2),), {"by": 0}) is None
