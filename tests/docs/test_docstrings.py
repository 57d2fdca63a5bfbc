"""What help() says of an op in each framework: the docstring of its primitive in that framework's words. May import
everything.
"""

import inspect
import re
import unicodedata

import pytest

torch = pytest.importorskip("torch")
tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402
import torch_ops  # noqa: E402
from overbar._docstrings import counterparts, entries, sections  # noqa: E402
from overbar._primitive import Primitive  # noqa: E402
from tests.examples import examples  # noqa: E402

OPS = [
    (front, name)
    for front in (torch_ops, tf_ops)
    for name in front.__all__
    if isinstance(getattr(getattr(front, name), "primitive", None), Primitive)
]
HEADINGS = {
    torch_ops: ["Args:", "Keyword args:", "Returns:", "Raises:", "Shape:", ".. note::", "Derivation:", "Examples::"],
    tf_ops: ["Args:", "Keyword args:", "Returns:", "Raises:", "Shape:", "Note:", "Derivation:", "Examples:"],
}
FOREIGN = {torch_ops: r"\bnumpy\.|\bnp\.|\btf\.|XLA|\(\.\.\.|\[\.\.\.", tf_ops: r"\bnumpy\.(?!ndarray)|\bnp\.|torch\."}

every_op = pytest.mark.parametrize(("front", "name"), OPS, ids=[f"{front.__name__}.{name}" for front, name in OPS])


def documented(front, name):
    op = getattr(front, name)
    if op.__doc__ and "see `overbar." in op.__doc__:
        pytest.skip("an op with options of TensorFlow's own refers to its primitive")
    return op


@every_op
def test_form(front, name):
    op = documented(front, name)
    doc = inspect.getdoc(op)
    first, _, rest = doc.partition("\n\n")
    bare = [p.replace(annotation=p.empty) for p in inspect.signature(op).parameters.values()]
    assert first.startswith(f"{name}{inspect.Signature(bare)} -> ")
    assert rest.startswith(sections(op.primitive.__doc__)[""].split(".")[0].split(" `")[0])
    found = [line for line in doc.splitlines() if line in HEADINGS[front]]
    assert found == [heading for heading in HEADINGS[front] if heading in found]
    assert {"Args:", "Returns:", "Derivation:"} <= set(found)
    assert max(sum(not unicodedata.combining(c) for c in line) for line in rest.splitlines()) <= 120
    for parameter in inspect.signature(op).parameters:
        assert re.search(rf"^    {parameter}( \(.*\))?:", doc, re.M), f"nothing is said about {parameter}"
    for dims in re.findall(r"(?<!Default: )``([(\[].*?[)\]])``", doc):
        assert dims.startswith("(" if front is torch_ops else "[") or "=" in dims


@every_op
def test_speaks_of_its_own_framework_only(front, name):
    doc = inspect.getdoc(documented(front, name)).partition("Derivation:")[0]
    assert not re.search(FOREIGN[front], doc)
    if "Raises:" in doc:
        raised = re.findall(r"^    ([\w.]+):", doc.partition("Raises:")[2].partition("\n\n")[0], re.M)
        assert raised
        errors = {"torch.linalg.LinAlgError": torch.linalg.LinAlgError}
        errors |= {"tf.errors.InvalidArgumentError": tf.errors.InvalidArgumentError}
        errors |= {
            error.__name__: error for error in (IndexError, NotImplementedError, RuntimeError, TypeError, ValueError)
        }
        assert set(raised) <= set(errors)


@every_op
def test_example_runs(front, name):
    op = documented(front, name)
    required = {our for our, default in op.primitive.defaults.items() if default is inspect.Parameter.empty}
    if not required <= set(counterparts(op.primitive, inspect.signature(op).parameters, op.names, {}).values()):
        pytest.skip("an option of the primitive has another name and another meaning in TensorFlow")
    found = examples(inspect.getdoc(op), name)
    assert any(f"{front.__name__}.{name}(" in example.source and example.want for example in found)


def test_wrap_has_an_example_that_runs():
    for front in (torch_ops, tf_ops):
        assert len(examples(inspect.getdoc(front.wrap), "wrap")) >= 4


@pytest.mark.parametrize("name", [name for front, name in OPS if front is torch_ops])
def test_says_what_is_passed_on(name):
    op = getattr(torch_ops, name)
    doc = " ".join(inspect.getdoc(op).split())
    theirs = re.findall(r":func:`([\w.]+)`(?: is no slower|: what it takes)", doc)
    assert len(theirs) == (op.builtin is not None)
    assert ("Every call goes to" in doc) == (op.builtin is not None and op.use_builtin_when is None)
    for function in theirs:
        module, _, attribute = function.rpartition(".")
        assert getattr({"torch": torch, "torch.linalg": torch.linalg}[module], attribute) is op.builtin


def test_the_docstring_of_cholesky():
    doc = inspect.getdoc(torch_ops.cholesky)
    for line in (
        "cholesky(A, *, upper=False, on_error='raise') -> Tensor",
        "    A (Tensor): tensor of shape ``(*, n, n)``, where ``*`` is zero or more batch dimensions.",
        "    upper (bool, optional): Return U = Lᴴ with A = Uᴴ U instead. Default: ``False``.",
        "    torch.linalg.LinAlgError:",
        "    - Output: ``(*, n, n)``",
        "        L̇ = L Φ(L⁻¹ Ȧ L⁻ᴴ).",
        "    >>> torch_ops.cholesky(A)",
    ):
        assert line in doc.splitlines(), line
    doc = inspect.getdoc(tf_ops.cholesky)
    assert "    input: A in the formulas, tensor of shape ``[..., n, n]``." in doc.splitlines()


def test_arguments_by_the_names_of_the_framework():
    doc = inspect.getdoc(torch_ops.sum)
    assert "    dim (int or Sequence[int] or None, optional): Which dimensions to sum over" in doc
    assert "    dtype (torch.dtype or None, optional): See :func:`torch.sum`." in doc
    assert "    input (Tensor): A in the formulas." in doc
    names = counterparts(overbar.add, ["input", "other", "alpha"], {}, {})
    assert names == {"input": "A", "other": "B", "alpha": None}
    names = counterparts(overbar.cho_solve, ["B", "L", "upper"], {}, {})
    assert names == {"B": "B", "L": "L", "upper": "upper"}
    assert "upper" not in inspect.getdoc(tf_ops.triangular_solve).partition("Derivation:")[0]  # it has `lower`


def test_a_primitive_without_documentation_or_with_another_kind_of_it():
    @overbar.elementwise
    def plain(A):
        return A

    @overbar.primitive("(n),(n)->()")
    def dot(a, b):
        """The product of two vectors.

        And more about it, in no particular form.
        """

    assert inspect.getdoc(torch_ops.wrap(plain)).startswith("plain(A) -> Tensor\n\nArgs:\n    A (Tensor):")
    doc = inspect.getdoc(torch_ops.wrap(dot, "dot(input: Tensor, other: Tensor) -> Tensor", input="a", other="b"))
    assert doc.startswith("dot(input, other) -> Tensor\n\nThe product of two vectors.\n\nAnd more about it")
    assert "    - other: ``(*, n)``" in doc


def test_sections_and_entries():
    parameters = ["A, B : array (...)", "    Text", "    more.", "index", "    Any."]
    doc = "\n    ".join(["Sum.", "", "Parameters", "----------", *parameters])
    assert sections(doc) == {"": "Sum.", "Parameters": "\n".join(parameters)}
    assert entries(sections(doc)["Parameters"]) == [
        (["A", "B"], "array (...)", "Text\nmore."),
        ([], "index", "Any."),
    ]
