"""How results of any framework are compared. May import NumPy.

A test that needs more than closeness, such as equal bits or a result that is *not* close, uses `error` or NumPy's own
assertions.
"""

import numpy as np


def error(found, expected, axis=None):
    """The largest difference, relative to the largest entry of what is expected, or absolute where all of that
    vanishes. With the axes of a matrix, this of each matrix of a batch. Both have the same shape. It is NaN, and so
    within no tolerance, where a number is infinite or none."""
    found, expected = _wide(found), _wide(expected)
    assert found.shape == expected.shape, f"the shape is {found.shape}, where {expected.shape} is expected"
    scale = np.abs(expected).max(axis, initial=0)
    with np.errstate(invalid="ignore"):  # of infinities: the result says so
        return np.abs(found - expected).max(axis, initial=0) / np.where(scale == 0, 1, scale)


def close(found, expected, rtol=1e-12, axis=None):
    """Assert that the `error` is at most `rtol`."""
    off = error(found, expected, axis)
    assert np.all(off <= rtol), f"off by {off} of the largest entry, where {rtol} is allowed"


def _wide(x):
    """A NumPy array, in double precision at least, of what an array library or a multiprecision library returned."""
    if hasattr(x, "resolve_conj"):  # a tensor of PyTorch, which may be a view of a kind that NumPy has not
        x = x.detach().resolve_conj().resolve_neg()
    x = np.asarray(x.numpy() if hasattr(x, "numpy") else x)
    if x.dtype.kind in "biufc":
        return x.astype(np.result_type(x.dtype, np.float64))
    return x.astype(np.complex128 if x.dtype.kind == "O" else np.float64)  # numbers of mpmath; bfloat16
