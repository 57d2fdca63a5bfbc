"""Every primitive of the registry away from the CPU: nothing is copied to or from the host, nobody waits for a number,
no constant appears on another device or in another dtype. May import `torch_ops`.

No accelerator is needed. Plain meta and fake tensors have shapes, dtypes and devices. `OnDevice` tensors have numbers
besides: they show as tensors of another device, every kernel on them runs on the CPU, and the mode `Device` notes what
an accelerator would have to wait for.
"""

import contextlib
import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils._pytree import tree_leaves, tree_map  # noqa: E402

import overbar  # noqa: E402
import torch_ops  # noqa: E402 - makes the primitives ops of torch
from overbar import verify  # noqa: E402
from overbar._namespace import namespace  # noqa: E402
from overbar.rules import REGISTRY, cholesky  # noqa: E402
from overbar.verify import Case, call  # noqa: E402

aten = torch.ops.aten


@pytest.fixture(autouse=True)
def numbers_of_torch(monkeypatch):
    """On the host, too: what is compared to the last bit is computed alike."""
    monkeypatch.setattr("torch_ops._numpy.ONE_THREAD", False)


# ---------------------------------------------------------------------------------------------------------------------
# A device with numbers, which needs no accelerator


class OnDevice(torch.Tensor):
    """A tensor of another device. It says that it is a meta tensor, the one device of which every build of torch knows
    how to record gradients, and has its numbers in the CPU tensor `raw`."""

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, raw):
        tensor = torch.Tensor._make_wrapper_subclass(
            cls,
            raw.shape,
            strides=raw.stride(),
            storage_offset=raw.storage_offset(),
            dtype=raw.dtype,
            device="meta",
        )
        tensor.raw = raw
        return tensor

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise AssertionError(f"{func} on a tensor of the device, outside the mode")


class Device(TorchDispatchMode):
    """Runs the kernels of `OnDevice` tensors. Notes in `found` what no accelerator does without its host: copies
    between the two, kernels that take tensors of both, numbers that Python looks at, shapes that depend on numbers.
    Torch's own check for the errors of LAPACK is counted apart, in `checks`: it waits as torch.linalg does. An op of
    overbar.kernels is a kernel like others here. It says by its name that it works on the host, and waits for that."""

    def __init__(self):
        super().__init__()
        self.found, self.checks = [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
        here = [x for x in tensors if isinstance(x, OnDevice)]
        device = kwargs.get("device")
        stays = bool(here) if device is None else device.type == "meta"
        if func is aten._linalg_check_errors.default:
            self.checks += 1
        elif _depends_on_numbers(func, args) or (tensors and stays != bool(here)) or _mixes(tensors, here):
            self.found.append(str(func))
        func = _PLAIN.get(func, func)
        if stays and device is not None:
            kwargs["device"] = torch.device("cpu")
        args, kwargs = tree_map(lambda x: x.raw if isinstance(x, OnDevice) else x, (args, kwargs))
        result = func(*args, **kwargs)
        if not stays:
            return result

        def wrap(x):
            if not isinstance(x, torch.Tensor):
                return x
            for tensor in here:
                if tensor.raw is x:  # an in-place kernel returns the tensor that it was given
                    return tensor
            return OnDevice(aten._conj_physical(aten._conj(x)) if x.is_conj() else x)

        return tree_map(wrap, result)


# Torch puts off conjugates, minus signs and zeros; what would carry them out does not reach the CPU tensor in a mode.
_PLAIN = {
    aten._efficientzerotensor.default: aten.zeros.default,
    aten._conj.default: aten._conj_physical.default,
    aten._neg_view.default: aten.neg.default,
}


def _depends_on_numbers(func, args):
    if func is aten.index.Tensor:  # said of all indices, true of masks
        return any(i is not None and not i.dtype.is_signed for i in args[1])
    return bool({torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags))


def _mixes(tensors, here):
    """Whether a kernel gets tensors of the device and of the host. (A single number is an argument of the launch.)"""
    return bool(here) and any(x.ndim for x in tensors if not isinstance(x, OnDevice))


class Dtypes(TorchDispatchMode):
    """Notes in `found` the kernels that read or write floating point of another dtype than the allowed ones."""

    def __init__(self, allowed):
        super().__init__()
        self.allowed, self.found = set(allowed), []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for x in tree_leaves((args, kwargs, result)):
            if isinstance(x, torch.Tensor) and x.dtype not in self.allowed and self._counts(x):
                self.found.append(f"{func} {x.dtype}")
        return result

    def _counts(self, x):
        # to torch, the tangent of a Python number is a zero without memory; the meta device says what becomes of it
        zero = x.ndim == 0 and (x._is_zerotensor() or x.is_meta)
        # to torch, Python's 1j is a number in double precision, which the derivative of a product conjugates
        unit = x.ndim == 0 and x.dtype == torch.complex128 and torch.complex64 in self.allowed
        return (x.is_floating_point() or x.is_complex()) and not zero and not unit


# ---------------------------------------------------------------------------------------------------------------------
# Everything that an op does


def backward(primitive, x, options, phase=lambda name: contextlib.nullcontext()):
    """The results of forward, backward and double backward, by phase."""
    results = {}
    leaves = [t.clone().requires_grad_() for t in x]
    with phase("forward"):
        outputs = smooth(call(primitive, leaves, options))
    results["forward"] = outputs
    ones = [torch.ones_like(out) for out in outputs]
    with phase("backward"):
        results["backward"] = torch.autograd.grad(outputs, leaves, ones, retain_graph=True)
        bars = torch.autograd.grad(outputs, leaves, ones, create_graph=True)
    # of a linear function, the gradient does not depend on the input
    bars = [bar for bar in bars if bar.requires_grad]
    if bars:
        with phase("double backward"):
            second = torch.autograd.grad(bars, leaves, [torch.ones_like(bar) for bar in bars], allow_unused=True)
        results["double backward"] = [bar for bar in second if bar is not None]
    return results


def everything(primitive, x, options, phase=lambda name: contextlib.nullcontext()):
    """The results of `backward`, of forward mode, forward over reverse and vmap, by phase."""

    def f(*tensors):
        return call(primitive, tensors, options)

    def loss(*tensors):
        return sum(out.abs().square().square().sum() for out in smooth(f(*tensors)))

    results, plain = backward(primitive, x, options, phase), tuple(x)
    dots = tuple(t + 1 for t in x)  # along the inputs themselves, the derivative of some functions is zero
    with phase("forward mode"):
        results["forward mode"] = smooth(torch.func.jvp(f, plain, dots)[1])
    gradient = torch.func.grad(loss, argnums=tuple(range(len(x))))
    with phase("forward over reverse"):
        results["forward over reverse"] = torch.func.jvp(gradient, plain, dots)[1]
    with phase("vmap"):
        results["vmap"] = torch.func.vmap(gradient)(*[torch.stack([t, t]) for t in plain])
    return results


def smooth(outputs):
    """The outputs that have a derivative."""
    outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
    return [out for out in outputs if out.is_floating_point() or out.is_complex()]


def on_host(case):
    return [torch.tensor(a) for a in case.arrays]


def same_shapes_and_dtypes(found, expected, device):
    for name, outputs in expected.items():
        for a, b in zip(found[name], outputs, strict=True):
            assert (a.shape, a.dtype, a.device.type) == (b.shape, b.dtype, device), name


def same_numbers(found, expected, rtol=0.0):
    for name, outputs in expected.items():
        for a, b in zip(found[name], outputs, strict=True):
            a, b = (x.raw if isinstance(x, OnDevice) else x.detach() for x in (a, b))
            size = float(b.abs().max()) if b.numel() else 0.0
            # what is less than 1e-4 of the inputs may be rounding of nothing
            torch.testing.assert_close(a, b, rtol=0, atol=rtol * max(size, 1e-4), msg=name)


def options_on_device(options):
    """Constants of a user who has them on the device already: index arrays and masks."""

    def convert(value):
        return OnDevice(torch.tensor(value)) if isinstance(value, (list, np.ndarray)) else value

    def converted(name, value):
        if name == "index":
            parts = value if isinstance(value, tuple) else (value,)
            # a boolean index is as good as its positions, but that it would have to be looked at each time
            positions = [np.nonzero(i) if isinstance(i, np.ndarray) and i.dtype == bool else (i,) for i in parts]
            return tuple(map(convert, itertools.chain(*positions)))
        return convert(value)

    return {name: converted(name, value) for name, value in options.items()}


# The rules of eigvals compute eigenvectors, and with them look for errors again, as for a defective matrix.
LOOKS_AGAIN = {"eig", "eigvals"}


def transfers(primitive, arrays, options, run=everything):
    """What needs the host, by phase, and all results."""
    found = {}
    with Device() as device:

        @contextlib.contextmanager
        def phase(name):
            device.found, device.checks = [], 0
            yield
            # only a function looks for errors, and once; its rules need not
            allowed = 0 if "backward" in name else 1
            if primitive.name in LOOKS_AGAIN:
                allowed = device.checks
            found[name] = device.found + ["_linalg_check_errors"] * max(0, device.checks - allowed)

        results = run(primitive, [OnDevice(a) for a in arrays], options, phase)
    return {name: kernels for name, kernels in found.items() if kernels}, results


# ---------------------------------------------------------------------------------------------------------------------
# The tests


def nothing_waits(primitive, case):
    found, results = transfers(primitive, on_host(case), options_on_device(case.options))
    assert not found
    assert set(results) >= {"forward", "backward", "forward mode", "forward over reverse", "vmap"}
    assert all(isinstance(out, OnDevice) for outputs in results.values() for out in outputs)
    same_numbers(results, everything(primitive, on_host(case), case.options), rtol=1e-10)


def test_nothing_waits_for_the_host(sample):
    nothing_waits(sample.primitive, sample.draw())


def test_nothing_waits_for_the_host_with_complex_tensors(first):
    nothing_waits(first.primitive, first.draw(np.complex128))


def test_a_constant_of_the_host_is_copied_and_nothing_else(sample):
    """An index or a mask that is a list or an array of NumPy has to reach the device, by one copy in each call."""
    case = sample.draw()
    constants = [x for x in tree_leaves(case.options) if isinstance(x, np.ndarray)]
    lists = [x for x in case.options.values() for x in (x if isinstance(x, tuple) else (x,)) if isinstance(x, list)]
    found, _ = transfers(sample.primitive, on_host(case), case.options)
    if constants or lists:
        assert set(itertools.chain(*found.values())) == {"aten._to_copy.default"}
        assert len(found["forward"]) == 1
    else:
        assert not found


def test_a_large_cholesky_decomposition_does_not_wait_for_the_host():
    """The blocks of the reverse rule, with and without anyone watching."""
    (case,) = [c for c in verify.draw_cases(cholesky) if not c.options["upper"]]
    G = torch.randn(300, 300, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    A = [G @ G.mT / 300 + torch.eye(300, dtype=torch.float64)]
    found, results = transfers(cholesky, A, case.options)
    assert not found
    same_numbers(results, everything(cholesky, A, case.options), rtol=1e-10)


@pytest.mark.parametrize("n", [8, 300])
def test_public_ops_do_not_wait_for_the_host(n):
    """Whether a call is passed to PyTorch's function or not; decompositions look for errors once."""
    G = torch.randn(n, n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with Device() as device:
        A = OnDevice(G @ G.mT / n + torch.eye(n, dtype=torch.float64)).requires_grad_()
        L = torch_ops.cholesky(A)
        with torch_ops.reroute():
            U = torch.linalg.cholesky_ex(A, upper=True).L
        half = torch_ops.solve_triangular(L, A[:, :1], upper=False)
        X = torch_ops.cholesky_solve(half, U, upper=True)
        torch.autograd.grad(X.square().sum() + torch_ops.cho_logdet(L) + torch_ops.trace(U), A)
    assert not device.found
    assert device.checks == 2


def test_a_number_beside_a_tensor_is_written_on_its_device():
    with Device() as device:
        x = OnDevice(torch.tensor([1.0, 2.0], dtype=torch.float64)).requires_grad_()
        out = torch_ops.wrap(overbar.power)(torch_ops.wrap(overbar.add)(x, 1.0), 2.0)
        (bar,) = torch.autograd.grad(out.sum(), x)
    assert not device.found
    torch.testing.assert_close(out.raw, torch.tensor([4.0, 9.0], dtype=torch.float64))
    torch.testing.assert_close(bar.raw, torch.tensor([4.0, 6.0], dtype=torch.float64))


def test_an_error_of_the_device_names_the_matrix():
    with Device():
        A = OnDevice(torch.stack([torch.eye(2), torch.tensor([[1.0, 2.0], [2.0, 1.0]])]))
        with pytest.raises(torch.linalg.LinAlgError, match=r"matrix 1 of the batch.*leading minor of order 2"):
            cholesky(A)


def test_meta_tensors(sample):
    case = sample.draw(np.float32)
    expected = everything(sample.primitive, on_host(case), case.options)
    found = everything(sample.primitive, [x.to("meta") for x in on_host(case)], case.options)
    same_shapes_and_dtypes(found, expected, "meta")


# Without CUDA, torch cannot index a fake tensor of CUDA, nor record a gradient for it.
@pytest.mark.parametrize("device", ["cpu", *(["cuda"] if torch.cuda.is_available() else [])])
def test_fake_tensors(sample, device):
    case = sample.draw(np.float32)
    expected = everything(sample.primitive, on_host(case), case.options)
    with FakeTensorMode():
        x = [torch.empty(a.shape, dtype=torch.float32, device=device) for a in case.arrays]
        same_shapes_and_dtypes(everything(sample.primitive, x, case.options), expected, device)


def complex_outputs(sample):
    """The dtypes, besides that of its real arguments, that a primitive may compute in: one with eigenvalues is complex
    inside and out. The function given to funm is evaluated in double precision, at complex numbers."""
    if sample.primitive.name == "funm":
        return {torch.float64, torch.complex64, torch.complex128}
    case = sample.draw(np.float32)
    outputs = call(sample.primitive, on_host(case), case.options)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    return {torch.complex64} if any(out.is_complex() for out in outputs) else set()


def test_no_kernel_runs_in_another_dtype(sample):
    case = sample.draw(np.float32)
    with Dtypes({torch.float32, *complex_outputs(sample)}) as dtypes:
        everything(sample.primitive, on_host(case), case.options)
    assert not dtypes.found


def test_no_kernel_on_complex_tensors_runs_in_another_precision(first):
    case = first.draw(np.complex64)
    with Dtypes({torch.complex64, torch.float32, *complex_outputs(first)}) as dtypes:
        everything(first.primitive, on_host(case), case.options)
    assert not dtypes.found


def test_the_default_dtype_does_not_matter(first, monkeypatch):
    monkeypatch.setattr("torch_ops._numpy.FEW", -1)  # while a mode looks on, torch computes
    case = first.draw(np.float32)
    x = on_host(case)
    expected = everything(first.primitive, x, case.options)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64)
        with Dtypes({torch.float32, *complex_outputs(first)}) as dtypes:
            found = everything(first.primitive, x, case.options)
    finally:
        torch.set_default_dtype(before)
    assert not dtypes.found
    same_numbers(found, expected)


@pytest.mark.parametrize("way", ["set_default_device", "with"])
def test_the_default_device_does_not_matter(first, way):
    case = first.draw()
    x = on_host(case)
    expected = everything(first.primitive, x, case.options)
    if way == "with":
        with torch.device("meta"):
            found = everything(first.primitive, x, case.options)
    else:
        try:
            torch.set_default_device("meta")
            found = everything(first.primitive, x, case.options)
        finally:
            torch.set_default_device(None)
    same_shapes_and_dtypes(found, expected, "cpu")
    same_numbers(found, expected)


@contextlib.contextmanager
def deterministic():
    """Torch's deterministic algorithms, which also fill new memory with NaN: what is read of it shows."""
    torch.use_deterministic_algorithms(True)
    try:
        assert torch.empty(1).isnan()
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def test_deterministic_algorithms(first):
    case = first.draw()
    x = on_host(case)
    expected = everything(first.primitive, x, case.options)
    with deterministic():
        found = everything(first.primitive, x, case.options)
    same_numbers(found, expected)


@pytest.mark.parametrize("n", [129, 300])
def test_all_of_a_large_gradient_is_written(n):
    A = torch.eye(n, dtype=torch.float64).add(0.1).requires_grad_()
    with deterministic():
        (bar,) = torch.autograd.grad(cholesky(A).sum(), A)
    assert bar.isfinite().all()


# ---------------------------------------------------------------------------------------------------------------------
# An index is what it is in NumPy, wherever it lies


def test_a_tensor_is_an_index_as_in_numpy():
    A = np.arange(60.0).reshape(3, 4, 5)
    vector, matrix = np.array([0, 2, 2]), np.array([[1, 0], [2, 2]])
    parts = [1, -1, slice(1, 3), slice(None, None, -1), slice(2, 0, -2), slice(9, None, -3), None, ..., vector, matrix]
    count = 0
    for index in itertools.chain(*(itertools.product(parts, repeat=k) for k in (1, 2, 3))):
        if sum(i is ... for i in index) > 1 or {id(vector), id(matrix)} <= set(map(id, index)):
            continue
        expected = A[index]
        found = overbar.subset(
            torch.tensor(A), index=tuple(torch.tensor(i) if isinstance(i, np.ndarray) else i for i in index)
        )
        np.testing.assert_array_equal(found, expected)
        count += 1
    assert count > 1000


def test_a_mask_is_an_index_as_in_numpy():
    A = np.arange(12.0).reshape(3, 4)
    rows, entries = np.array([True, False, True]), A % 5 < 2
    for index in [rows, entries, (rows, slice(None, None, -1)), (rows, 1), (None, entries)]:
        parts = index if isinstance(index, tuple) else (index,)
        x = torch.tensor(A, requires_grad=True)
        found = overbar.subset(x, index=tuple(torch.tensor(i) if isinstance(i, np.ndarray) else i for i in parts))
        np.testing.assert_array_equal(found.detach(), A[index])
        (bar,) = torch.autograd.grad(found.sum(), x)
        expected = np.zeros_like(A)
        expected[index] = 1
        np.testing.assert_array_equal(bar, expected)


# ---------------------------------------------------------------------------------------------------------------------
# These tests catch what they are for


def doubled(change):
    """A primitive which computes 2 A in the way of `change`: right on the CPU."""

    @overbar.elementwise
    def double(A):
        return change(A)

    @double.derivative
    def _(C, A):
        return namespace(A).ones_like(A) + 1

    return double


WAITS = {
    "item": lambda A: A * (2 if A.sum().item() > 0 else 2.0),
    "branch": lambda A: A + A if (A > 0).all() else 2 * A,
    "constant of the host": lambda A: A * torch.full((A.shape[-1],), 2, dtype=A.dtype),
    "constant copied": lambda A: A * torch.full((A.shape[-1],), 2, dtype=A.dtype).to(A.device),
    "array of NumPy": lambda A: A * torch.as_tensor(np.full(A.shape[-1], 2.0), device=A.device),
    "computed on the host": lambda A: (2 * A.cpu()).to(A.device),
    "nonzero": lambda A: A * 2 + 0 * (A != 0).nonzero().sum().to(A.dtype),
    "mask": lambda A: 2 * A + 0 * A[A > 0].sum(),
}


@pytest.mark.parametrize("name", WAITS)
def test_waiting_for_the_host_is_caught(name):
    wrong, x = doubled(WAITS[name]), [torch.tensor([1.0, 2.0], dtype=torch.float64)]
    same_numbers({"forward": [wrong(*x)]}, {"forward": [2 * x[0]]})
    found, _ = transfers(wrong, x, {}, backward)
    assert found["forward"]
    assert not transfers(doubled(lambda A: 2 * A), x, {}, backward)[0]


@pytest.mark.parametrize("way", [lambda A: A.tolist(), lambda A: A.numpy(), np.asarray])
def test_a_copy_as_numbers_of_python_is_refused(way):
    wrong = doubled(lambda A: A * 2 + 0 * len(way(A)))
    with Device() as device:
        try:
            wrong(OnDevice(torch.tensor([1.0, 2.0])))
        except (RuntimeError, TypeError):
            return
    assert device.found


@pytest.mark.parametrize(
    "rule",
    [
        lambda C_bar, C, A: (lambda: C_bar * (2 if C.sum().item() else 2.0),),
        lambda C_bar, C, A: (lambda: 2 * C_bar + 0 * A[A > 0].sum(),),
    ],
)
def test_waiting_for_the_host_in_a_rule_is_caught(rule):
    wrong = verify.altered(doubled(lambda A: 2 * A), vjp_rule=rule)
    found, _ = transfers(wrong, [torch.tensor([1.0, 2.0], dtype=torch.float64)], {}, backward)
    assert "forward" not in found
    assert found["backward"]


def test_a_rule_that_looks_for_errors_again_is_caught():
    right = REGISTRY["inv_congruence"]

    def vjp(bars, outputs, A, B):
        namespace(A).solve(A, B)
        return right.vjp_rule(bars, outputs, A, B)

    (case,) = verify.draw_cases(right)
    found, _ = transfers(verify.altered(right, vjp_rule=vjp), on_host(case), case.options, backward)
    assert "forward" not in found
    assert found["backward"] == ["_linalg_check_errors"] * 2


@pytest.mark.parametrize(
    "change",
    [
        lambda A: (2 * A.double()).to(A.dtype),
        lambda A: (A + 0j).real * 2,
        lambda A: (A * torch.full(A.shape, 2.0, dtype=torch.float64)).to(A.dtype),
    ],
)
def test_another_dtype_is_caught(change):
    with Dtypes({torch.float32}) as dtypes:
        everything(doubled(change), [torch.tensor([1.0, 2.0])], {})
    assert dtypes.found
    with Dtypes({torch.float32}) as dtypes:
        everything(doubled(lambda A: 2 * A), [torch.tensor([1.0, 2.0])], {})
    assert not dtypes.found


def test_a_constant_on_the_default_device_is_caught():
    wrong = doubled(lambda A: A * torch.full((2,), 2.0))
    with torch.device("meta"), pytest.raises(RuntimeError, match="device"):
        everything(wrong, [torch.tensor([1.0, 2.0], device="cpu")], {})


def test_memory_that_nobody_wrote_is_caught():
    wrong = doubled(lambda A: A.new_empty(A.shape))
    x = [torch.tensor([1.0, 2.0])]
    with deterministic(), pytest.raises(AssertionError):
        same_numbers(everything(wrong, x, {}), everything(doubled(lambda A: 2 * A), x, {}))


def test_a_case_without_constants_stays_as_it_is():
    case = Case([np.ones(2)], {"index": (slice(1), 0), "shape": (3, 2), "upper": True})
    assert options_on_device(case.options) == case.options
