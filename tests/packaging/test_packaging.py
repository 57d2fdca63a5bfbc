"""What is published, what importing it costs, and which layer imports which."""

import ast
import importlib.util
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.processes import run_python

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {"overbar": ROOT / "src" / "overbar"} | {name: ROOT / name for name in ("torch_ops", "tf_ops", "dask_ops")}
EXTRAS = {"torch", "tf", "dask", "fast", "cli", "test", "notebooks", "docs", "all"}


def modules(packages=PACKAGES):
    """The dotted name, the file and whether it is a package's __init__, for each module."""
    for name, folder in packages.items():
        for file in sorted(folder.rglob("*.py")):
            parts = (name, *file.relative_to(folder).with_suffix("").parts)
            is_package = parts[-1] == "__init__"
            yield ".".join(parts[:-1] if is_package else parts), file, is_package


# ---------------------------------------------------------------------------------------------------------------------
# The distribution


@pytest.fixture(scope="module")
def distribution(tmp_path_factory):
    """The sdist, and the wheel built from that sdist, which is how an installer without a wheel gets it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="module")
def wheel(distribution):
    (path,) = distribution.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return Parser().parsestr(wheel.read(name).decode())


def test_wheel_installs_four_packages_and_nothing_else(wheel, metadata):
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert top == {*PACKAGES, f"overbar-{metadata['Version']}.dist-info"}


@pytest.mark.parametrize("package", PACKAGES)
def test_wheel_holds_every_module(wheel, package):
    folder = PACKAGES[package]
    on_disk = {f"{package}/{file.relative_to(folder).as_posix()}" for file in folder.rglob("*.py")}
    in_wheel = {name for name in wheel.namelist() if name.startswith(f"{package}/") and name.endswith(".py")}
    assert in_wheel == on_disk
    assert f"{package}/__init__.py" in in_wheel
    assert f"{package}/py.typed" in wheel.namelist()


@pytest.mark.parametrize("package", ["overbar", "torch_ops", "tf_ops"])
def test_wheel_and_sdist_hold_the_types(wheel, distribution, package):
    folder = PACKAGES[package]
    stubs = {file.relative_to(folder).as_posix() for file in folder.rglob("*.pyi")}
    assert stubs
    assert {f"{package}/{stub}" for stub in stubs} <= set(wheel.namelist())
    (path,) = distribution.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    source = folder.relative_to(ROOT).as_posix()
    assert {f"{source}/{stub}" for stub in stubs} <= names


def test_wheel_holds_the_licence(wheel, metadata):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/licenses/LICENSE")]
    assert wheel.read(name) == (ROOT / "LICENSE").read_bytes()
    assert metadata["License-Expression"] == "Apache-2.0"


def test_wheel_installs_the_command(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
    assert "overbar = overbar.__main__:main" in wheel.read(name).decode()


def test_core_requires_numpy_and_scipy_only(metadata):
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist")]
    core = {requirement.name for requirement in requirements if requirement.marker is None}
    assert core == {"numpy", "scipy", "array-api-compat"}
    assert all("extra" in str(requirement.marker) for requirement in requirements if requirement.marker)


def test_extras(metadata):
    assert set(metadata.get_all("Provides-Extra")) == EXTRAS
    wanted = {extra: set() for extra in EXTRAS}
    for requirement in map(Requirement, metadata.get_all("Requires-Dist")):
        for extra in EXTRAS:
            if requirement.marker and requirement.marker.evaluate({"extra": extra}):
                wanted[extra].add((requirement.name, requirement.specifier))
    assert all(wanted.values())
    assert wanted["all"] == set().union(*(wanted[extra] for extra in EXTRAS - {"all"}))


def test_constraints_fit_the_requirements(metadata):
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = {pin.name.lower().replace("_", "-"): pin for pin in map(Requirement, filter(_is_pin, lines))}
    for requirement in map(Requirement, metadata.get_all("Requires-Dist")):
        if requirement.name != "overbar":
            (pin,) = pins[requirement.name.lower()].specifier
            assert pin.operator == "=="
            assert requirement.specifier.contains(pin.version), f"{requirement} does not allow {pin.version}"


def _is_pin(line):
    return line.strip() and not line.startswith("#")


def test_sdist_holds_what_a_reader_needs(distribution):
    (path,) = distribution.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "Makefile", "constraints.txt", "pyproject.toml", "PKG-INFO"}
    assert wanted <= names
    this = Path(__file__).relative_to(ROOT).as_posix()
    assert this in names
    for folder in ("benchmarks", "docs", "examples", "notebooks"):
        for file in (ROOT / folder).glob("*.*"):
            assert f"{folder}/{file.name}" in names
    assert not [name for name in names if ".venv" in name or "__pycache__" in name]


def test_no_link_of_the_page_on_an_index_leads_nowhere(metadata):
    """There the README stands alone. The links of the repository itself are followed by the tests of the documents."""
    page = metadata.get_payload() or metadata["Description"]
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert "docs/ops.md lists them" in page
    hook = _hook()
    targets = [found[3] + (found[4] or "") for found in hook.LINK.finditer(page)]
    assert not [target for target in targets if target.startswith("#") or (ROOT / target.partition("#")[0]).exists()]


def test_links_lead_to_the_repository_whose_address_is_known():
    text = "[a](docs/ops.md#add) [b](#here) [c](https://d.e/f) `x[1](y)` [g](docs)"
    assert _hook().for_an_index(text, ROOT, "https://h.example/i/") == (
        "[a](https://h.example/i/blob/HEAD/docs/ops.md#add) [b](https://h.example/i/blob/HEAD/README.md#here) "
        "[c](https://d.e/f) `x[1](y)` [g](https://h.example/i/blob/HEAD/docs)"
    )
    assert _hook().for_an_index(text, ROOT, None) == "a b [c](https://d.e/f) `x[1](y)` g"
    picture = "![p](benchmarks/scaling-float64.png) and"
    assert _hook().for_an_index(picture, ROOT, None) == " and"
    drawn = "![p](https://h.example/i/raw/HEAD/benchmarks/scaling-float64.png) and"
    assert _hook().for_an_index(picture, ROOT, "https://h.example/i") == drawn


def _hook():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------------------------------------------------------------
# Importing


def run(code, cwd):
    """Run the code in a Python of its own, away from the repository, with this tree on its path."""
    return run_python("-c", code, cwd=cwd, environment={"PYTHONWARNINGS": "default"})


def test_core_imports_nothing_heavy(tmp_path):
    result = run("import sys, overbar; print('\\n'.join(sys.modules))", tmp_path)
    assert result.returncode == 0, result.stderr
    loaded = set(result.stdout.split())
    assert "overbar" in loaded
    heavy = {"torch", "tensorflow", "mpmath", "matplotlib", "statsmodels", "pandas", "typer", "rich", "threadpoolctl"}
    heavy |= {"numba", "scipy.optimize", "dask", "distributed"}
    assert not loaded & {*heavy, "torch_ops", "tf_ops", "dask_ops", "benchmarks"}


@pytest.mark.parametrize(
    ("package", "framework", "command"),
    [
        ("torch_ops", "torch", 'pip install "overbar[torch]"'),
        ("tf_ops", "tensorflow", 'pip install "overbar[tf]"'),
        ("dask_ops", "dask.array", 'pip install "overbar[dask]"'),
    ],
)
def test_missing_framework_names_the_extra(package, framework, command, tmp_path):
    code = f"""
import sys
sys.modules[{framework!r}] = None
try:
    import {package}
except ImportError as error:
    print(error)
else:
    sys.exit("{package} was imported without {framework}")
"""
    result = run(code, tmp_path)
    assert result.returncode == 0, result.stderr
    assert command in result.stdout


# ---------------------------------------------------------------------------------------------------------------------
# Layers and imports

WORDS = {"_words", "_numpy_words", "_front", "_namespace"}
FRONT = {*WORDS, "_messages", "_routes", "_primitive", "_functions", "kernels", "rules", "_docstrings", "gp"}
FRONT.add("_by_numpy")
ABOVE_RULES = {"rules", "torch_ops", "tf_ops", "dask_ops", "overbar"}
BELOW = {
    "_messages": set(),
    "_refinement": {"_messages"},
    "_settings": set(),
    "_signature": set(),
    "_words": set(),
    "_numpy_words": {"_messages", "_refinement", "_words"},
    "_front": {"_messages", "_numpy_words", "_signature", "_words"},
    "_namespace": {"_front", "_words"},
    "_by_numpy": set(),
    "_docstrings": set(),
    "_routes": set(),
    "_documented": {"_docstrings"},
    "_call": {"_messages", "_namespace", "_signature"},
    "_differentiation": {"_call", "_signature"},
    "_primitive": {"_call", "_differentiation", "_documented", "_namespace", "_signature"},
    "_functions": {"_differentiation", "_front", "_primitive"},
    "_jets": {"_namespace"},
    "kernels": {"_signature", "_messages", "_numpy_words", "_jets"},
    "import_order": set(),
    "rules": {"_namespace", "_primitive", "_call", "_jets", "kernels", "_messages", "_settings"},
    "_traced_functions": {"rules"},
    "_traced": {"_namespace", "_traced_functions", "rules"},
    "_traced_words": {*WORDS, "_traced", "_traced_functions", "rules"},
    "_containers": {"_front", "_namespace", "_traced"},
    "_sweep": {"_containers", "_front", "_namespace", "_primitive", "_traced", "_traced_words", "rules"},
    "_gradients": {"_containers", "_front", "_namespace", "_sweep", "_traced"},
    "gp": {"_containers", "_front", "_gradients", "_messages", "_namespace", "_primitive", "rules"},
    "_checkpoint": {"_differentiation", "_namespace", "_primitive", "_sweep", "_containers", "_traced"},
    "_layout": set(),
    "_graph": {"_front", "_namespace", "_layout", "_primitive", "_sweep", "_containers", "_traced"},
    "verify": {"_front", "_namespace", "_primitive", "rules"},
    "torch_ops": {*FRONT, "_containers"},
    "tf_ops": FRONT | {"_jets"},
    # Dask differentiates nothing: overbar's sweeps do, in the tasks as well.
    "dask_ops": {*WORDS, "_messages", "rules", "_traced", "_traced_words", "_sweep", "_gradients", "gp"},
    # The front door of the core shows what is inside. Those inside do not use it: they import from each other.
    "overbar": {"_namespace", "_primitive", "rules", "_sweep", "_gradients", "gp", "_checkpoint", "_graph", "verify"},
    # Above the fronts: what runs all frameworks side by side. A framework is imported in the function that needs it.
    "bench": {"_settings", "_namespace", "_primitive", "kernels", "_sweep", "verify", *ABOVE_RULES},
    "check": {"_front", "_namespace", "verify", "bench", *ABOVE_RULES},
    "demo": {"_namespace", "_primitive", "_sweep", "gp", "bench", *ABOVE_RULES},
    "__main__": {"_settings", "import_order", "verify", "bench", "check", "demo", *ABOVE_RULES},
}
ABOVE_FRONTS = {"bench", "check", "demo", "__main__"}
OURS = {"overbar", "torch_ops", "tf_ops", "dask_ops", "notebooks", "tests", "tools"}
FRAMEWORKS = {"torch", "tensorflow", "dask", "distributed"}


def layer(module):
    """The layer, in docs/design.md, that a module of ours lies in: `overbar.rules._cholesky` lies in `rules`."""
    first, _, rest = module.partition(".")
    return rest.partition(".")[0] if first == "overbar" and rest else first


def imports(module, source, is_package, *, inside_functions=True):
    """The modules that a module imports, by absolute name, with imports inside functions or without them."""
    package = module if is_package else module.rpartition(".")[0]
    found = set()
    pending = [ast.parse(source)]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            # `from overbar import sweep` imports a module, `from overbar._sweep import vjp` a name in one.
            found.update(f"{base}.{alias.name}" if base in PACKAGES else base for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            found.update(a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str))
        if inside_functions or not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            pending.extend(ast.iter_child_nodes(node))
    return found


def arrows_up(packages=PACKAGES):
    """Every import that DESIGN forbids, as a sentence."""
    complaints = []
    for module, file, is_package in modules(packages):
        own = layer(module)
        if own not in BELOW:
            complaints.append(f"{module}: which layer is it? BELOW in {Path(__file__).name} does not say")
            continue
        for target in imports(module, file.read_text(encoding="utf-8"), is_package):
            if target.partition(".")[0] not in OURS:
                continue
            other = layer(target)
            if target.partition(".")[0] == "overbar" and other not in BELOW:
                other = "overbar"  # `from overbar import vjp`: a name shown at the front door
            if other != own and other not in BELOW[own]:
                complaints.append(f"{module} imports {target}")
    return sorted(complaints)


def framework_imports(packages=PACKAGES):
    """Every module of the core that imports a framework. The command line may, within a command that needs it."""
    return sorted(
        f"{module} imports {target}"
        for module, file, is_package in modules({"overbar": packages["overbar"]})
        for target in imports(
            module, file.read_text(encoding="utf-8"), is_package, inside_functions=layer(module) not in ABOVE_FRONTS
        )
        if target.partition(".")[0] in FRAMEWORKS
    )


def test_no_arrow_up():
    assert not arrows_up()


def circles(package):
    """Modules of a package that import each other, in a circle. (Not its front doors, which show what is inside.)"""
    found, done = [], set()
    arrows = {
        module: imports(module, file.read_text(encoding="utf-8"), is_package)
        for module, file, is_package in modules({package: PACKAGES[package]})
        if not is_package
    }

    def visit(module, path):
        if module in path:
            found.append(" → ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for other in sorted(arrows[module] & arrows.keys()):
                visit(other, [*path, module])
            done.add(module)

    for module in arrows:
        visit(module, [])
    return found


def test_no_rule_or_kernel_imports_another_in_a_circle():
    assert [circle for circle in circles("overbar") if "overbar.rules." in circle or "overbar.kernels." in circle] == []


@pytest.mark.parametrize("package", ["overbar.rules.", "overbar.kernels."])
def test_the_head_of_a_file_says_which_others_of_its_package_it_imports(package):
    for module, file, is_package in modules({"overbar": PACKAGES["overbar"]}):
        if module.startswith(package) and not is_package:
            text = file.read_text(encoding="utf-8")
            said = set(re.findall(r"`(?:rules\.)?(\w+)`", ast.get_docstring(ast.parse(text))))
            used = {name.split(".")[2].lstrip("_") for name in imports(module, text, False) if name.startswith(package)}
            assert used <= said, f"{module} imports {sorted(used - said)}"


def test_core_imports_no_framework():
    assert not framework_imports()


@pytest.fixture
def house(tmp_path):
    """A small tree in which every import is allowed."""
    files = {
        "overbar/__init__.py": "from overbar.rules import cholesky\nfrom overbar._sweep import vjp\n",
        "overbar/_namespace.py": "import numpy as np\nimport array_api_compat.torch_like\n",
        "overbar/_primitive.py": "from overbar._namespace import namespace\n",
        "overbar/kernels/__init__.py": "from overbar.kernels._kernel import kernel\n",
        "overbar/kernels/_kernel.py": "from overbar._signature import Signature\n",
        "overbar/kernels/_lu.py": "import scipy.linalg\nfrom overbar.kernels import kernel\n",
        "overbar/rules/__init__.py": "from overbar.rules._cholesky import cholesky\n",
        "overbar/rules/_cholesky.py": "from .._primitive import primitive\nfrom . import _masking\n",
        "overbar/rules/_masking.py": "from overbar._primitive import primitive\n",
        "overbar/rules/_lu.py": "from overbar.kernels._lu import getrf\n",
        "overbar/_sweep.py": "from overbar import rules\n",
        "overbar/verify/oracles.py": "from overbar.rules import cholesky\n",
        "overbar/__main__.py": "def demo():\n    import torch\n    import torch_ops\n    import overbar\n",
        "torch_ops/__init__.py": "import torch\nfrom overbar.rules import *\nfrom torch_ops._front import TORCH\n",
        "torch_ops/_wrapper.py": "import torch\nfrom overbar._namespace import register\n",
        "tf_ops/__init__.py": "import tensorflow as tf\nfrom overbar._primitive import Primitive\n",
        "dask_ops/__init__.py": "import dask\nfrom overbar._sweep import vjp\n",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return {name: tmp_path / name for name in PACKAGES}


def test_a_house_in_order_passes(house):
    assert not arrows_up(house)
    assert not framework_imports(house)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("overbar/_namespace.py", "from overbar._primitive import primitive"),
        ("overbar/_namespace.py", "from .rules._masking import tril"),
        ("overbar/_primitive.py", "import overbar.rules._cholesky"),
        ("overbar/_primitive.py", "def late():\n    from overbar import rules"),
        ("overbar/kernels/_lu.py", "from overbar.rules._cholesky import cholesky"),
        ("overbar/kernels/_lu.py", "from overbar._namespace import namespace"),
        ("overbar/kernels/_kernel.py", "from overbar import _primitive"),
        ("overbar/rules/_cholesky.py", "from overbar._sweep import vjp"),
        ("overbar/rules/_cholesky.py", "from overbar import vjp"),
        ("overbar/rules/_masking.py", "import overbar"),
        ("overbar/rules/_masking.py", "from .. import verify"),
        ("overbar/_sweep.py", "from overbar.verify import check"),
        ("overbar/_sweep.py", "import torch_ops"),
        ("overbar/verify/oracles.py", "from overbar import sweep"),
        ("overbar/verify/oracles.py", "def late():\n    import tf_ops._recording"),
        ("overbar/verify/oracles.py", "import importlib\nimportlib.import_module('torch_ops')"),
        ("overbar/__init__.py", "import torch_ops"),
        ("overbar/unheard_of.py", "import numpy"),
        ("torch_ops/_wrapper.py", "import tf_ops"),
        ("torch_ops/_wrapper.py", "from overbar._sweep import vjp"),
        ("torch_ops/_wrapper.py", "from overbar import verify"),
        ("torch_ops/_wrapper.py", "from overbar import jvp"),
        ("torch_ops/_wrapper.py", "import overbar.bench.harness"),
        ("tf_ops/__init__.py", "from torch_ops._front import TORCH"),
        ("overbar/_sweep.py", "import dask_ops"),
        ("dask_ops/__init__.py", "import tf_ops"),
        ("dask_ops/__init__.py", "from overbar.verify import check"),
        ("tf_ops/__init__.py", "import overbar._sweep as s"),
        ("tf_ops/__init__.py", "from overbar.__main__ import main"),
    ],
)
def test_an_arrow_up_is_caught(house, file, line):
    path = house["overbar"].parent / file
    path.write_text((path.read_text() if path.exists() else "") + line + "\n")
    assert len(arrows_up(house)) == 1


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("overbar/_namespace.py", "import torch"),
        ("overbar/rules/_cholesky.py", "def late():\n    from tensorflow.linalg import cholesky"),
        ("overbar/verify/oracles.py", "import importlib\nimportlib.import_module('torch.linalg')"),
        ("overbar/__main__.py", "import tensorflow as tf"),
        ("overbar/__main__.py", "try:\n    import torch\nexcept ImportError:\n    torch = None"),
    ],
)
def test_a_framework_in_the_core_is_caught(house, file, line):
    path = house["overbar"].parent / file
    path.write_text(path.read_text() + line + "\n")
    assert len(framework_imports(house)) == 1
