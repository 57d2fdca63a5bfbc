"""Private parts of PyTorch and TensorFlow: in one file of each front, and not gone in the version that is installed."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FRONTS = {"torch_ops": "torch", "tf_ops": "tensorflow", "dask_ops": "dask"}

#: how many private names there are at least; so many that none is overlooked
AT_LEAST = {"torch_ops": 11, "tf_ops": 11, "dask_ops": 3}

#: what a framework looks for on our objects, or has on its own, by a name that no module has: and the module that knows
MARKS = {
    "_dynamo_marked_constant": "torch._dynamo.variables.functions",
    "_mode_key": "torch.utils._python_dispatch",
    "_destroy": "torch.library",
    "_unbroadcasted_scale_tril": "torch.distributions.multivariate_normal",
    "_validate_args": "torch.distributions.distribution",
    "_validate_sample": "torch.distributions.distribution",
    "autograph_info__": "tensorflow.python.autograph.impl.api",
    "pfor_converter": "tensorflow.python.ops.parallel_for.pfor",
    "mark_as_unsaveable": "tensorflow.python.framework.func_graph",
    "outer_graph": "tensorflow.python.framework.func_graph",
    "_registry": "tensorflow.python.framework.registry",
}
_OURS = {"self", "cls", "overbar", "torch_ops", "tf_ops", "dask_ops"}
_PRIVATE = re.compile(r"_(?!_)\w+")


def private_names(source, framework):
    """The private names of a framework in a source, with their lines: dotted from the framework on, or the bare name of
    an attribute of something that the source does not tell."""
    found, modules = [], {}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            base = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                full = base + alias.name
                if full.partition(".")[0] != framework:
                    continue
                # import torch.x makes the name torch, and from torch.x import y as z the name z
                bare = framework if not base and not alias.asname else full
                modules[alias.asname or bare.rpartition(".")[2]] = bare
                found.append((full, node.lineno))
    parts_of_words = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if id(node) in parts_of_words:
            continue
        if isinstance(node, ast.Attribute):
            root, parts = node.value, [node.attr]
            while isinstance(root, ast.Attribute):
                root, parts = root.value, [root.attr, *parts]
            name = root.id if isinstance(root, ast.Name) else None
            if name in modules:
                found.append((".".join([modules[name], *parts]), node.lineno))
            elif name not in _OURS:
                found.append((node.attr, node.lineno))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != "tensorflow.python":
            found.append((node.value, node.lineno))  # for getattr, or a __module__
    return [(name, line) for name, line in found if is_private(name)]


def is_private(name):
    parts = name.split(".")
    if len(parts) == 1:
        return name in MARKS or bool(_PRIVATE.fullmatch(name))
    return (
        parts[0] in FRONTS.values()
        and all(map(str.isidentifier, parts))
        and (parts[:2] in (["tensorflow", "python"], ["tensorflow", "__internal__"]) or any(map(_PRIVATE.match, parts)))
    )


def files(front):
    return [file for file in sorted((ROOT / front).rglob("*.py")) if file.name != "_internals.py"]


def is_there(name):
    """Whether the installed framework has what a dotted name says, or knows a mark."""
    parts = name.split(".")
    if len(parts) == 1:
        return name in MARKS and name in Path(importlib.import_module(MARKS[name]).__file__).read_text(encoding="utf-8")
    for count in range(len(parts), 0, -1):
        try:
            value = importlib.import_module(".".join(parts[:count]))
        except ImportError:
            continue
        for part in parts[count:]:
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True
    return False


def gone(source, framework):
    """A sentence for each private name in a source that the installed framework does not have."""
    version = importlib.import_module(framework).__version__
    optional = {ast.unparse(node.args[1]) for node in ast.walk(ast.parse(source)) if _is_hasattr(node)}
    return [
        f"{framework} {version} has no {name}, which line {line} needs: what it is for is said there"
        for name, line in private_names(source, framework)
        if not is_there(name) and repr(name.rpartition(".")[2]) not in optional
    ]


def _is_hasattr(node):
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "hasattr"


@pytest.mark.parametrize("front", FRONTS)
def test_private_names_of_a_framework_are_in_one_file(front):
    assert len(files(front)) > 5
    for file in files(front):
        assert private_names(file.read_text(encoding="utf-8"), FRONTS[front]) == [], file.name


@pytest.mark.parametrize("front", FRONTS)
def test_the_installed_framework_has_them(front):
    pytest.importorskip(FRONTS[front])
    source = (ROOT / front / "_internals.py").read_text(encoding="utf-8")
    assert len(private_names(source, FRONTS[front])) >= AT_LEAST[front]
    assert gone(source, FRONTS[front]) == []


@pytest.mark.parametrize("front", FRONTS)
def test_each_of_them_is_used(front):
    tree = ast.parse((ROOT / front / "_internals.py").read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    names |= {target.id for node in tree.body if isinstance(node, ast.Assign) for target in node.targets}
    assert len(names) >= AT_LEAST[front]
    used = {
        alias.name
        for file in files(front)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom) and node.module == f"{front}._internals"
        for alias in node.names
    }
    assert names == used


@pytest.mark.parametrize(
    ("front", "source", "name"),
    [
        ("torch_ops", "import torch\ntorch._C._is_any_autocast_enabled()", "torch._C._is_any_autocast_enabled"),
        ("torch_ops", "from torch._C import _functorch as f\nf.current_level()", "torch._C._functorch.current_level"),
        ("torch_ops", "from torch.autograd import forward_ad\nforward_ad._x", "torch.autograd.forward_ad._x"),
        ("torch_ops", "def late():\n    import torch._dynamo", "torch._dynamo"),
        ("torch_ops", "def f(A):\n    return A.mT._is_view()", "_is_view"),
        ("torch_ops", "f = lambda m: getattr(m, '_mode_key', None)", "_mode_key"),
        ("tf_ops", "from tensorflow.python.eager import record", "tensorflow.python.eager.record"),
        ("dask_ops", "from dask import _task_spec\n_task_spec.Alias", "dask._task_spec.Alias"),
        ("tf_ops", "import tensorflow as tf\ntf.__internal__.nest", "tensorflow.__internal__.nest"),
        ("tf_ops", "def f(x):\n    x[0].op.pfor_converter = None", "pfor_converter"),
    ],
)
def test_a_private_name_is_found(front, source, name):
    assert name in [found for found, _ in private_names(source, FRONTS[front])]


@pytest.mark.parametrize(
    ("front", "source"),
    [
        ("torch_ops", "import torch\nclass A:\n    def f(self):\n        return self._x + torch.linalg.det(self.A)"),
        ("torch_ops", "from torch_ops import _ops as ops\nops.solve.__name__"),
        ("tf_ops", 'import tensorflow as tf\n"""See tf._private. And more."""\ntf.raw_ops.Qr'),
    ],
)
def test_what_is_public_is_not(front, source):
    assert private_names(source, FRONTS[front]) == []


@pytest.mark.parametrize(
    ("front", "source"),
    [
        ("torch_ops", "import torch\ntorch._C._no_such_question()"),
        ("torch_ops", "from torch._no_such_module import x"),
        ("torch_ops", "def f(x):\n    x._no_such_mark = True"),
        ("tf_ops", "from tensorflow.python.eager import record\nrecord.no_such_recorder"),
    ],
)
def test_what_is_gone_is_named(front, source):
    pytest.importorskip(FRONTS[front])
    (sentence,) = gone(source, FRONTS[front])
    assert re.match(rf"{FRONTS[front]} \d.* has no .*no_such_", sentence)
