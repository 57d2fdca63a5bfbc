"""One rule, three frameworks: NumPy, PyTorch and TensorFlow (eager, in a graph, under XLA) give the same values, bars,
tangents and second derivatives, to a few units in the last place times a condition number of at most 30; and so does
each framework when it differentiates the bare function itself. May import `torch_ops` and `tf_ops`.

`overbar.check.agreement` computes all of it, and says what is compared with what.

TensorFlow in a graph and under XLA runs for the first sample of each primitive only, as tracing and compiling are slow:
one function gives all of it at once, for a batch that broadcasts.
"""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

import tf_ops  # noqa: E402, F401 - makes the primitives ops of TensorFlow
import torch_ops  # noqa: E402, F401 - and of PyTorch
from overbar import verify  # noqa: E402
from overbar.check.agreement import (  # noqa: E402
    ULPS,
    directions,
    disagreement,
    error,
    hermitian_parts,
    in_a_graph,
    in_numpy,
    in_tensorflow,
    in_torch,
    pull_in_numpy,
    smooth,
    under_xla,
)
from overbar.rules import REGISTRY  # noqa: E402
from tests.conftest import cannot_be_compiled, computed_on_the_host, decomposes  # noqa: E402

DTYPES = [np.float32, np.float64, np.complex64, np.complex128]
BROADCAST = [(3, 1), (4,), ()]
BATCHES = [(), BROADCAST, [(), (2, 3)]]


def assert_agree(primitive, found, expected, dtype):
    errors = disagreement(primitive, found, expected, dtype)
    assert all(e < 1 for e in errors.values()), errors  # NaN fails, too


def assert_a_factor_is_caught(primitive, case, to, found, dtype):
    """What a framework found does not agree with NumPy or PyTorch where their rules are off by 1.001."""
    for name, wrong in factors(primitive, case):
        errors = disagreement(primitive, found, in_numpy(wrong, case, to), dtype)
        if "tangent" in name:
            assert errors["tangents, again"] > 3, name
            assert errors.get("tangents", 4) > 3, name
        else:
            assert errors["bars"] > 3, name
            # Of a linear function, the second derivative is zero, whatever the factor.
            errors = disagreement(primitive, found, in_torch(wrong, case, to), dtype)
            assert max(errors["tangents, again"], errors["second"]) > 3, name


def factors(primitive, case):
    """The mutations of a primitive by 1.001 that change something for this case."""
    for mutation in verify.rule_mutations(primitive, [case]):
        if "1.001" in mutation.name:
            yield mutation


# ---------------------------------------------------------------------------------------------------------------------
# The tests


@pytest.mark.quick
@pytest.mark.parametrize("name", REGISTRY)
def test_every_primitive_in_each_framework(name):
    """Eagerly, once for each: the other tests here ask for more, of a share of the primitives."""
    primitive = REGISTRY[name]
    case = verify.draw_cases(primitive, np.complex128)[0]
    to = directions(primitive, case)
    by_numpy = in_numpy(primitive, case, to)
    assert_agree(primitive, in_torch(primitive, case, to), by_numpy, np.complex128)
    assert_agree(primitive, in_tensorflow(primitive, case, to), by_numpy, np.complex128)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_frameworks_agree(sample, dtype, batch):
    """Eagerly."""
    primitive, case = sample.primitive, sample.draw(dtype, batch)
    to = directions(primitive, case)
    by_numpy, by_torch = in_numpy(primitive, case, to), in_torch(primitive, case, to)
    by_tensorflow = in_tensorflow(primitive, case, to)
    assert_agree(primitive, by_torch, by_numpy, dtype)
    assert_agree(primitive, by_tensorflow, by_numpy, dtype)
    assert_agree(primitive, by_tensorflow, by_torch, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_factor_is_caught(first, dtype):
    primitive, case = first.primitive, first.draw(dtype, BROADCAST)
    to = directions(primitive, case)
    by_torch, by_tensorflow = in_torch(primitive, case, to), in_tensorflow(primitive, case, to)
    assert_a_factor_is_caught(primitive, case, to, by_torch, dtype)
    assert_a_factor_is_caught(primitive, case, to, by_tensorflow, dtype)
    for name, wrong in factors(primitive, case):
        found = in_tensorflow(wrong, case, to)
        group = "bars" if "bar" in name else "tangents"
        assert disagreement(primitive, found, by_torch, dtype)[group] > 3, name


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.turns(2)
def test_a_graph_agrees(first, dtype):
    primitive, case = first.primitive, first.draw(dtype, BROADCAST)
    to = directions(primitive, case)
    found = in_a_graph(primitive, case, to)
    assert_agree(primitive, found, in_numpy(primitive, case, to), dtype)
    assert_agree(primitive, found, in_torch(primitive, case, to), dtype)
    assert_a_factor_is_caught(primitive, case, to, found, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.complex64])
def test_xla_agrees(first, dtype):
    """Not of the functions that call eigh or svd, whose second derivatives take minutes to compile: tests/check
    measures the gradient of each under XLA, and tests/tf_ops those of eigh and of svd in complex64, too."""
    if decomposes(first.primitive):
        pytest.skip("compiling takes minutes, and tests/check does it")
    primitive, case = first.primitive, first.draw(dtype, BROADCAST)
    to = directions(primitive, case)
    if cannot_be_compiled(primitive):
        with pytest.raises(NotImplementedError, match=r"[Ll]eave out jit_compile"):
            under_xla(primitive, case, to)
        return
    found = under_xla(primitive, case, to)
    assert_agree(primitive, found, in_numpy(primitive, case, to), dtype)
    assert_agree(primitive, found, in_torch(primitive, case, to), dtype)
    assert_a_factor_is_caught(primitive, case, to, found, dtype)


# ---------------------------------------------------------------------------------------------------------------------
# The framework's own gradient


#: What is made of the phase of a complex determinant, of which TensorFlow's gradient of tf.linalg.slogdet is zero.
WITHOUT_PHASE = {"adjugate", "det", "logdet", "slogdet"}


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_the_frameworks_own_gradients_agree(sample, dtype):
    """PyTorch and TensorFlow differentiate the bare function, without any rule of ours."""
    primitive, case = sample.primitive, sample.draw(dtype)
    if computed_on_the_host(primitive):
        pytest.skip("computed on the host: there is nothing that a framework could differentiate")
    if primitive.name == "svd" and case.options["full_matrices"]:
        pytest.skip("PyTorch's gradient ignores the bars of singular vectors that belong to no singular value")
    to = directions(primitive, case)
    expected = hermitian_parts(primitive, pull_in_numpy(primitive, case, case.arrays, to.bars))
    tolerance = ULPS * float(np.finfo(dtype).eps)

    x = [torch.tensor(a, requires_grad=True) for a in case.arrays]
    outputs = [out for out in primitive.run(x, case.options)[: primitive.public] if smooth(out.detach().resolve_conj())]
    # one that depends on the arrays by comparisons alone has no gradient
    pairs = [(out, torch.tensor(bar)) for out, bar in zip(outputs, to.bars, strict=True) if out.requires_grad]
    found = torch.autograd.grad([out for out, _ in pairs], x, [bar for _, bar in pairs])
    found = hermitian_parts(primitive, [t.resolve_conj().numpy() for t in found])
    assert np.max([error(a, b) for a, b in zip(found, expected, strict=True)]) < tolerance

    if dtype == np.complex128 and primitive.name in WITHOUT_PHASE:
        return
    if primitive.name == "safe_cholesky" and case.options["jitter"] is not None:
        return  # TensorFlow's gradient of the attempts that failed is NaN, although they are not in the result
    x = [tf.constant(a) for a in case.arrays]
    with tf.GradientTape() as tape:
        tape.watch(x)
        outputs = [out for out in primitive.run(x, case.options)[: primitive.public] if smooth(out)]
    found = tape.gradient(outputs, x, output_gradients=[tf.constant(bar) for bar in to.bars])
    found = hermitian_parts(primitive, [tf.convert_to_tensor(t).numpy() for t in found])
    assert np.max([error(a, b) for a, b in zip(found, expected, strict=True)]) < tolerance
