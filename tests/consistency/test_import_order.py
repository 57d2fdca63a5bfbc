"""Triton, which comes with PyTorch's builds for CUDA, and TensorFlow in one process. May import `overbar`."""

import importlib.util
import sys

import pytest

from tests.processes import run_python

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("triton") is None or importlib.util.find_spec("tensorflow") is None,
    reason="triton and TensorFlow are not both installed",
)

ORDER = """
import sys
from overbar.import_order import triton_first
triton_first()
assert "triton" in sys.modules and "tensorflow" not in sys.modules
import tensorflow, tf_ops, torch, torch_ops
A = torch.eye(2, dtype=torch.float64) * 2
print(torch.func.hessian(torch_ops.logdet)(A)[0, 0, 0, 0].item())
print(torch.compile(torch_ops.logdet, backend="aot_eager", fullgraph=True)(A).exp().item())
triton_first()  # too late, and does nothing
"""


def test_triton_first_and_then_tensorflow():
    found = run_python("-c", ORDER)
    assert found.returncode == 0, found.stderr
    first, second = map(float, found.stdout.split())
    assert first == pytest.approx(-0.25)
    assert second == pytest.approx(4)


def test_the_tests_themselves_do_so():
    assert "triton" in sys.modules


def test_the_command_line_does_so_and_torch_ops_leaves_it_to_the_user():
    code = "import sys, {}; sys.exit('triton' in sys.modules)"
    assert run_python("-c", code.format("torch_ops")).returncode == 0
    found = run_python(
        "-c",
        "import sys, overbar.__main__ as m\ntry: m.main(['check', '--help'])\nfinally: print('triton' in sys.modules)",
    )
    if "The command line needs" in found.stderr:
        pytest.skip("the command line is not installed")
    assert found.stdout.endswith("True\n")


def test_the_order_still_matters():
    """Should this fail, both can be loaded in any order, and `overbar.import_order` can go."""
    assert run_python("-c", "import tensorflow, triton").returncode < 0
