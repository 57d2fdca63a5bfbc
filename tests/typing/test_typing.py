"""mypy and pyright find nothing wrong with what a user may write, and find everything else: `accepted.py` and
`refused.py` beside this file.
"""

import inspect
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tools.docs.common import is_op  # noqa: E402
from tools.docs.stubs import fits_type, with_types  # noqa: E402

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FILES = ["accepted.py", "refused.py"]

# Errors inside our packages are not a user's, whose checker does not look for errors in what is installed. Most of
# PyTorch's modules have nothing to do with a tensor's types; reading them all would take three times as long.
MYPY = f"""
[mypy]
strict = True
mypy_path = {ROOT}:{ROOT / "src"}
[mypy-overbar.*,torch_ops.*,tf_ops.*]
follow_imports = silent
[mypy-sympy.*,torch._decomp.*,torch._dynamo.*,torch._export.*,torch._higher_order_ops.*,torch._inductor.*,\
torch._library.*,torch._prims.*,torch._prims_common.*,torch._refs.*,torch._subclasses.*,torch.ao.*,torch.compiler.*,\
torch.distributed.*,torch.export.*,torch.fx.*,torch.jit.*,torch.library,torch.masked.*,torch.multiprocessing.*,\
torch.nested.*,torch.onnx.*,torch.package.*,torch.profiler.*,torch.quantization.*,torch.testing.*,torch.utils.*]
follow_imports = skip
"""


def mypy(folder):
    """The errors that mypy --strict finds: file and line, with the message."""
    (folder / "mypy.ini").write_text(MYPY)
    command = [sys.executable, "-m", "mypy", "--config-file", folder / "mypy.ini", "--cache-dir", folder / "cache"]
    result = subprocess.run([*command, *(HERE / file for file in FILES)], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    found = re.findall(r"^(?:.*/)?(\w+\.pyi?):(\d+): error: (.*)$", result.stdout, re.M)
    assert f"Found {len(found)} error" in result.stdout, result.stdout
    return [((file, int(line)), message) for file, line, message in found]


def pyright(folder):
    """The errors that pyright finds (as basedpyright has it, whose wheel holds all that it needs)."""
    config = folder / "pyrightconfig.json"
    settings = {"include": [str(HERE / file) for file in FILES], "extraPaths": [str(ROOT), str(ROOT / "src")]}
    config.write_text(json.dumps({**settings, "typeCheckingMode": "standard"}))
    command = [sys.executable, "-m", "basedpyright", "--project", config, "--pythonpath", sys.executable]
    environment = {**os.environ, "NODE_OPTIONS": ""}
    result = subprocess.run([*command, "--outputjson"], capture_output=True, text=True, env=environment, cwd=folder)
    assert result.returncode in (0, 1), result.stdout + result.stderr
    report = json.loads(result.stdout)
    assert report["summary"]["filesAnalyzed"] == len(FILES)
    return [
        ((Path(found["file"]).name, found["range"]["start"]["line"] + 1), found["message"])
        for found in report["generalDiagnostics"]
        if found["severity"] == "error"
    ]


@pytest.mark.parametrize("checker", [mypy, pyright])
def test_errors_are_where_they_belong(checker, tmp_path):
    errors = checker(tmp_path)
    marked = [
        (file, number)
        for file in FILES
        for number, line in enumerate((HERE / file).read_text(encoding="utf-8").splitlines(), 1)
        if line.endswith("# error")
    ]
    assert len(marked) > 40
    unexpected = [error for error in errors if error[0] not in marked]
    assert unexpected == []
    assert {place for place, _ in errors} == set(marked)


def test_what_is_accepted_runs():
    """The file is not about types alone: what it does works."""
    user = runpy.run_path(str(HERE / "accepted.py"))
    torch.manual_seed(0)
    A, x = torch.eye(2), torch.arange(2.0)
    assert all(torch.is_tensor(value) for value in user["ops"](A, A, x))
    assert user["mirror"](A, A).shape == (2, 2)
    assert np.isfinite(user["by_hand"](np.eye(2), np.ones(2))).all()
    assert user["trained"](user["GaussianProcess"](), x, x).startswith("gram (m,n)->(n,n)")


@pytest.mark.parametrize("name", ["torch_ops", "tf_ops"])
def test_no_default_contradicts_the_type_of_its_option(name):
    front = pytest.importorskip(name)
    for op in filter(lambda op: is_op(front, op), vars(front._ops).values()):
        for parameter in with_types(op, "Any", "").parameters.values():
            default = parameter.default
            if isinstance(default, (bool, int, float, str)) and default is not parameter.empty:
                kind = inspect.formatannotation(parameter.annotation).strip("'")
                assert fits_type(default, kind), f"{op.__name__}: {parameter.name}: {kind} = {default!r}"
    assert not fits_type(False, "str")
    assert not fits_type(1.0, "int")
    assert fits_type(1, "int | None")
