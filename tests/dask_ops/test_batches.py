"""Every primitive of a batch that is chunked: value and derivatives are NumPy's, chunk by chunk. May import Dask."""

import numpy as np
import pytest

da = pytest.importorskip("dask.array")

import dask  # noqa: E402

import dask_ops  # noqa: E402, F401 - makes the primitives take Dask's arrays
import overbar  # noqa: E402
from overbar._numpy_words import NumpyWords  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.verify import draw_cases  # noqa: E402
from tests.compare import close  # noqa: E402

WITH_CORES = [name for name, primitive in REGISTRY.items() if not primitive.signature.whole]
BATCHES = [(3,), [(3, 1), (2,), ()]]


def chunked(arrays, primitive, size=2):
    """Each array in chunks of at most so many along every batch dimension."""
    cores = primitive.signature.inputs * (len(arrays) if primitive.variadic else 1)
    found = []
    for A, core in zip(arrays, cores, strict=False):
        lead = A.ndim - len(core)
        found.append(da.from_array(A, chunks=(*[min(size, n) for n in A.shape[:lead]], *[-1] * len(core))))
    return found


def called(primitive, options):
    if primitive.variadic:
        return lambda *arrays: primitive(list(arrays), **options)
    return lambda *arrays: primitive(*arrays, **options)


def bars_of(value, rng):
    def one(x):
        if x.dtype.kind not in "fc":
            return None
        bar = rng.normal(size=np.shape(x))
        return (bar + 1j * rng.normal(size=np.shape(x)) if x.dtype.kind == "c" else bar).astype(x.dtype)

    return tuple(map(one, value)) if isinstance(value, tuple) else one(value)


def as_list(x):
    return list(x) if isinstance(x, tuple) else [x]


def test_there_are_as_many_as_the_collection_has():
    assert len(WITH_CORES) > 100
    assert sum(bool(core) for name in WITH_CORES for core in REGISTRY[name].signature.inputs) > 89


@pytest.mark.parametrize("batch", BATCHES, ids=["one", "that broadcast"])
@pytest.mark.parametrize("name", WITH_CORES)
def test_value_and_reverse_rule(name, batch):
    primitive = REGISTRY[name]
    case = draw_cases(primitive, batch=batch)[0]
    f = called(primitive, case.options)
    value, pull = overbar.vjp(f, *case.arrays)
    bars = bars_of(value, np.random.default_rng(0))
    arrays = chunked(case.arrays, primitive)
    found, pulled = overbar.vjp(f, *arrays)
    found = [*as_list(found), *pulled(bars)]
    assert all(isinstance(A, da.Array) for A in found)
    expected = [*as_list(value), *pull(bars)]
    for A, computed, wanted in zip(found, dask.compute(*found), expected, strict=True):
        assert A.dtype == computed.dtype == wanted.dtype
        assert A.shape == np.shape(computed)
        close(computed, wanted, 1e-13)
    assert any(max(A.numblocks, default=1) > 1 for A in found) or not any(A.ndim for A in found)


#: what rearranges an array in ways that do not go by chunks: refused of several
OF_ONE_CHUNK = {("embed", 1), ("reshape", 0), ("subset", 2)}


@pytest.mark.parametrize("size", [-1, 2], ids=["in one chunk", "in several"])
@pytest.mark.parametrize("name", [name for name, primitive in REGISTRY.items() if primitive.signature.whole])
def test_functions_of_whole_arrays(name, size):
    primitive = REGISTRY[name]
    for k, case in enumerate(draw_cases(primitive)):
        f = called(primitive, case.options)
        arrays = [da.from_array(A, chunks=size) for A in case.arrays]
        if size == 2 and (name, k) in OF_ONE_CHUNK:
            with pytest.raises(NotImplementedError):
                f(*arrays)
            continue
        value, pull = overbar.vjp(f, *case.arrays)
        bars = bars_of(value, np.random.default_rng(0))
        found, pulled = overbar.vjp(f, *arrays)
        computed = dask.compute(*as_list(found), *pulled(bars))
        for A, wanted in zip(computed, [*as_list(value), *pull(bars)], strict=True):
            close(A, wanted, 1e-13)


def test_second_derivatives_and_forward_mode(sample):
    primitive = sample.primitive
    if primitive.signature.whole:
        pytest.skip("a function of whole arrays")
    case = sample.draw(np.complex128 if sample.index % 2 else np.float64, batch=(3,))
    f, rng = called(primitive, case.options), np.random.default_rng(0)
    value = f(*case.arrays)
    bars, dots = bars_of(value, rng), tuple(bars_of(A, rng) for A in case.arrays)

    def gradient(*arrays):
        return overbar.vjp(f, *arrays)[1](bars)

    for function in (f, gradient):
        expected = as_list(overbar.jvp(function, case.arrays, dots)[1])
        found = dask.compute(*as_list(overbar.jvp(function, chunked(case.arrays, primitive), dots)[1]))
        for A, wanted in zip(found, expected, strict=True):
            close(A, wanted, 1e-11)


def test_an_error_says_which_matrix_of_the_whole_batch():
    A = np.stack([np.eye(3)] * 7)
    A[5, 1, 1] = -1
    with pytest.raises(np.linalg.LinAlgError, match=r"matrix 5 of the batch.*order 2"):
        overbar.cholesky(da.from_array(A, chunks=(2, 3, 3))).compute()
    with pytest.raises(np.linalg.LinAlgError, match=r"matrix \(1, 5\) of the batch.*order 2"):
        overbar.cholesky(da.from_array(np.stack([np.eye(3) + 0 * A, A]), chunks=(1, 4, 3, 3))).compute()


def test_one_matrix_for_many_right_hand_sides_is_factorised_once(monkeypatch):
    calls = []
    original = NumpyWords.cholesky
    monkeypatch.setattr(
        NumpyWords,
        "cholesky",
        lambda xp, A, *args, **options: calls.append(A.shape) or original(xp, A, *args, **options),
    )
    rng = np.random.default_rng(0)
    K, y = 90 * np.eye(60), rng.normal(size=(6, 60))
    value, pull = overbar.vjp(overbar.gaussian_logpdf, y, 0 * y, K)
    arrays = da.from_array(y, chunks=(6, 60)), da.from_array(0 * y, chunks=(6, 60)), da.from_array(K, chunks=-1)
    found, pulled = overbar.vjp(overbar.gaussian_logpdf, *arrays)
    bars = rng.normal(size=6)
    del calls[:]
    computed = dask.compute(found, *pulled(bars))
    assert len(calls) == 1
    for A, wanted in zip(computed, [value, *pull(bars)], strict=True):
        close(A, wanted)


def test_chunks_of_several_arrays_are_cut_where_any_of_them_is():
    A, B = np.random.default_rng(0).normal(size=(2, 10, 3, 3))
    C = overbar.matmul(da.from_array(A, chunks=(4, 3, 3)), da.from_array(B, chunks=(3, 3, 3)))
    assert C.chunks[0] == (3, 1, 2, 2, 1, 1)
    close(C.compute(), A @ B)


def test_numpys_arrays_beside_dasks_are_converted_and_others_refused():
    A = np.eye(3) + np.zeros((4, 3, 3))
    C = overbar.matmul(da.from_array(A, chunks=(2, 3, 3)), A)
    assert isinstance(C, da.Array)
    close(C.compute(), A @ A)
    torch = pytest.importorskip("torch")
    pytest.importorskip("torch_ops")
    import torch_ops

    assert torch_ops
    with pytest.raises(TypeError, match=r"arrays of Dask and of PyTorch|arrays of PyTorch and of Dask"):
        overbar.matmul(da.from_array(A, chunks=(2, 3, 3)), torch.eye(3))
