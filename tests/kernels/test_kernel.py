"""A kernel with more than one implementation: which of them computes a call, and what all must keep to."""

import numpy as np
import pytest

from overbar.kernels import Kernel
from overbar.kernels import kernel as make_kernel


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


#: a kernel's function, signature and kinds, and what is said of what it returns
RETURNED = {
    "complex for real": (np.linalg.eigvals, "(n,n)->(n)", "=", r"output 0 .* dtype complex128, .*'='.*Declare 'c'"),
    "float for int": (lambda A: A[0] / 2, "(n,n)->(n)", "i", "output 0 .* dtype float64, .* says int64"),
    "nothing": (lambda A: None, "(n,n)->(n)", "=", "output 0 .* dtype object"),
    "another shape": (lambda A: A, "(n,n)->(n)", "=", r"output 0 of the kernel has shape \(2, 2\), where .*\(2,\)"),
    "what broadcasts": (lambda A: A[0, 0], "(n,n)->(n)", "=", r"output 0 of the kernel has shape \(\), where "),
    "another number": (lambda A: (A[0], A[0]), "(n,n)->(n)", "=", "the kernel returned 2 arrays, where .* has 1"),
}


@pytest.mark.parametrize("batch", [(), (1,), (2, 1)])
@pytest.mark.parametrize("name", RETURNED)
def test_what_does_not_fit_the_declaration_is_named(name, batch):
    """And neither loses its imaginary part nor is broadcast."""
    function, signature, kinds, words = RETURNED[name]
    kernel = Kernel(function, signature, kinds)
    kernel.name = "mine"
    A = np.broadcast_to([[0.0, 1.0], [-1.0, 0.0]], (*batch, 2, 2))
    with pytest.raises((TypeError, ValueError), match=f"^mine: {words}"):
        kernel(A)


def test_a_stacked_implementation_is_held_against_it_too(kernel):
    kernel.implemented_by(stacked=True)(lambda x, *, by: (x + 1j, x.sum(-1)))
    for x in (np.ones(3), np.ones((2, 3))):
        with pytest.raises(TypeError, match=r"^rotated: output 0 of the kernel has dtype complex128"):
            kernel(x, by=0)


def test_eigenvalues_that_are_declared_complex_are_complex_always():
    kernel = Kernel(np.linalg.eigvals, "(n,n)->(n)", "c")
    (of_rotation,) = kernel(np.array([[0.0, 1.0], [-1.0, 0.0]]))
    np.testing.assert_allclose(np.sort_complex(of_rotation), [-1j, 1j])
    assert kernel(np.eye(2, dtype=np.float32))[0].dtype == np.complex64


def test_inputs_that_do_not_fit_are_named(kernel):
    with pytest.raises(TypeError, match=r"^rotated: got 2 arrays, where \(n\)->\(n\),\(\) has 1"):
        kernel(np.ones(2), np.ones(2), by=0)
    with pytest.raises(ValueError, match=r"^rotated: array 0 of shape \(\) has too few dimensions"):
        kernel(np.array(1.0), by=0)


def test_what_cannot_be_a_kernel_is_refused_when_it_is_made():
    with pytest.raises(TypeError, match=r"the dimension k of '\(n,n\)->\(k\)' is in no input"):
        Kernel(rotated, "(n,n)->(k)", "=")
    with pytest.raises(TypeError, match="kinds 'x' do not fit"):
        Kernel(rotated, "(n)->(n)", "x")
    with pytest.raises(TypeError, match=r"write @kernel\('\(n,n\)->\(n\)'\)"):
        make_kernel(rotated)
