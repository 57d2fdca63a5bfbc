"""The worked example of CONTRIBUTING.md is a rule like any other: it passes every oracle, wrong copies of it fail, each
framework differentiates it twice, and the steps of the text add it to the collection. May import everything.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402
import torch_ops  # noqa: E402
from overbar import verify  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
SHAPES = [(), (3,), (2, 1, 4), [(3, 1), (4,)], (0,)]
DTYPES = [np.float32, np.float64, np.complex64, np.complex128]


def source():
    """The rule file that the text shows."""
    (text,) = [
        block for block in re.findall(r"^```python\n(.*?)^```$", TEXT, re.M | re.S) if "@scaled_gram.vjp" in block
    ]
    return text


@pytest.fixture(scope="module")
def scaled_gram():
    namespace = {"__name__": "gram"}
    exec(compile(source(), "gram.py", "exec"), namespace)
    return namespace["scaled_gram"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", SHAPES, ids=str)
def test_oracles(scaled_gram, dtype, batch):
    rows = verify.check(scaled_gram, dtype, batch=batch)
    if batch == (0,):
        assert {row.note for row in rows} <= {"the arrays have no entries", "complex arrays, or not analytic"}
        return
    applied = {row.oracle for row in rows if row.error is not None}
    assert applied == set(verify.ORACLES) - ({"complex step"} if np.dtype(dtype).kind == "c" else set())


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_wrong_copies_fail(scaled_gram, dtype):
    cases = verify.draw_cases(scaled_gram, dtype)
    mutations = list(verify.rule_mutations(scaled_gram, cases))
    assert len(mutations) >= 18
    for mutation in mutations:
        with pytest.raises(verify.VerificationError):
            verify.check(mutation.primitive, cases=cases)


def inputs(dtype, batch):
    rng = np.random.default_rng(0)
    A = rng.standard_normal((*batch[0], 3, 4)) + 1j * rng.standard_normal((*batch[0], 3, 4))
    d = rng.standard_normal((*batch[1], 4)) + 1j * rng.standard_normal((*batch[1], 4))
    return [x.astype(dtype) if np.dtype(dtype).kind == "c" else x.real.astype(dtype) for x in (A, d)]


BATCHES = [((), ()), ((2,), ()), ((2, 1), (3,))]


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("batch", BATCHES, ids=str)
def test_pytorch(scaled_gram, dtype, batch):
    op = torch_ops.wrap(scaled_gram)
    arrays = [torch.tensor(x, requires_grad=True) for x in inputs(dtype, batch)]
    assert torch.autograd.gradcheck(op, arrays, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(op, arrays, fast_mode=True)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@pytest.mark.parametrize("batch", BATCHES, ids=str)
@pytest.mark.parametrize("mode", ["eager", "graph", "XLA"])
def test_tensorflow(scaled_gram, dtype, batch, mode):
    """First and second derivatives in TensorFlow are those of NumPy and of PyTorch."""
    op = tf_ops.wrap(scaled_gram)
    rng = np.random.default_rng(1)
    arrays = inputs(dtype, batch)
    C, pullback = overbar.vjp(scaled_gram, *arrays)
    C_bar = (rng.standard_normal(C.shape) * (1 + 1j if C.dtype.kind == "c" else 1)).astype(dtype)
    weights = [rng.standard_normal(x.shape).astype(dtype) for x in arrays]

    @tf.autograph.experimental.do_not_convert
    def derivatives(A, d):
        with tf.GradientTape() as outer:
            outer.watch([A, d])
            with tf.GradientTape() as inner:
                inner.watch([A, d])
                C = op(A, d)
            first = inner.gradient(C, [A, d], tf.constant(C_bar))
            total = sum(tf.reduce_sum(tf.math.real(g * w)) for g, w in zip(first, weights, strict=True))
        return C, first, outer.gradient(total, [A, d])

    if mode != "eager":
        derivatives = tf.function(derivatives, jit_compile=mode == "XLA")
    value, first, second = derivatives(*map(tf.constant, arrays))

    tensors = [torch.tensor(x, requires_grad=True) for x in arrays]
    bars = torch.autograd.grad(torch_ops.wrap(scaled_gram)(*tensors), tensors, torch.tensor(C_bar), create_graph=True)
    total = sum((g * torch.tensor(w)).real.sum() for g, w in zip(bars, weights, strict=True))
    expected = torch.autograd.grad(total, tensors)

    np.testing.assert_allclose(value, C, rtol=1e-13, atol=1e-13)
    for found, truth in zip(first, pullback(C_bar), strict=True):
        np.testing.assert_allclose(found, truth, rtol=1e-12, atol=1e-12)
    for found, truth in zip(second, expected, strict=True):
        np.testing.assert_allclose(found, truth.resolve_conj().numpy(), rtol=1e-12, atol=1e-12)
        assert abs(truth).max() > 0.1


def test_the_steps_add_it_to_the_collection(tmp_path):
    """Follow the text in a copy of the repository: write the file, add the three lines, generate the documents."""
    for name in ("src", "torch_ops", "tf_ops", "docs", "tools"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "src" / "overbar" / "rules" / "_gram.py").write_text(source(), encoding="utf-8")
    additions = re.findall(r"^```diff\n\+\+\+ (.*)\n\+(.*)\n```$", TEXT, re.M)
    assert [file for file, _ in additions] == ["src/overbar/rules/__init__.py", "torch_ops/_ops.py", "tf_ops/_ops.py"]
    for file, line in additions:
        path = tmp_path / file
        lines = path.read_text(encoding="utf-8").splitlines()
        similar = "from overbar.rules." if line.startswith("from") else "vec = wrap("
        place = max(i for i, other in enumerate(lines) if other.startswith(similar))
        path.write_text("\n".join([*lines[: place + 1], line, *lines[place + 1 :]]) + "\n", encoding="utf-8")

    for command in (["check", "--select", "E,F,W,I,B,UP,RUF,SIM"], ["format", "--check"]):
        file = "src/overbar/rules/_gram.py"
        style = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", file], cwd=tmp_path, capture_output=True, text=True
        )
        assert style.returncode == 0, style.stdout + style.stderr

    code = """
import runpy
import numpy as np, tensorflow as tf, torch
import overbar, tf_ops, torch_ops
from overbar.verify import check
A, d = np.ones((2, 3)), np.array([1.0, 2.0, 3.0])
assert check(overbar.rules.REGISTRY["scaled_gram"])
print(overbar.scaled_gram(A, d)[0, 0], float(torch_ops.scaled_gram(torch.tensor(A), torch.tensor(d))[0, 0]),
      float(tf_ops.scaled_gram(A, d)[0, 0]))
runpy.run_module("tools.docs", run_name="__main__")
"""
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{tmp_path / 'src'}", "TF_CPP_MIN_LOG_LEVEL": "3"}
    result = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[0] == "6.0 6.0 6.0"
    assert "\n## scaled_gram\n" in (tmp_path / "docs" / "ops.md").read_text(encoding="utf-8")
    assert "| Gram matrices | [`scaled_gram`]" in (tmp_path / "README.md").read_text(encoding="utf-8")
