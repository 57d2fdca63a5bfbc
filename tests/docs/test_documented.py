"""What a docstring need not say, because the signature says it: help() shows it all the same. May import everything."""

import ast
import importlib
import inspect
import pickle
from pathlib import Path

import pytest

import overbar
from overbar._docstrings import entries, sections
from overbar._primitive import Primitive
from tests.processes import run_python

RULES = Path(overbar.__file__).parent / "rules"


@pytest.fixture
def torch_ops():
    pytest.importorskip("torch")
    return importlib.import_module("torch_ops")


def parts(primitive, heading):
    """What help() lists under a heading: the names or the kind, and the text on one line."""
    listed = entries(sections(inspect.getdoc(primitive)).get(heading, ""))
    return {f"{', '.join(names)} : {kind}".removeprefix(" : "): " ".join(text.split()) for names, kind, text in listed}


def test_every_array_has_its_type_and_one_of_them_the_dtypes(primitive):
    listed = entries(sections(inspect.getdoc(primitive))["Parameters"])
    kinds = {name: kind for names, kind, _ in listed for name in names}
    for name in primitive.arguments:
        assert "array" in kinds[name]
        assert ("integers" in kinds[name]) == (name in primitive.integer)
        assert ("optional" in kinds[name]) == (name in primitive.absent)
    assert sum("float32, float64, complex64 or complex128" in text for _, _, text in listed) == 1
    together = " ".join(text for _, _, text in listed)
    if not primitive.signature.whole:
        assert ("broadcast" in together.replace("broadcasts", "")) == (len(primitive.arguments) > 1)


def test_every_primitive_says_which_dtypes_are_an_error(primitive):
    raises = " ".join(sections(inspect.getdoc(primitive))["Raises"].split())
    assert raises.count("is not floating point") == 1


def test_no_rule_writes_what_its_signature_says():
    for file in RULES.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            doc = ast.get_docstring(node) or "" if isinstance(node, ast.FunctionDef) else ""
            assert "float32, float64, complex64" not in doc, f"{node.name}: the dtypes are added"
            assert "dtype is not floating point" not in doc, f"{node.name}: the errors for a wrong dtype are added"


@overbar.primitive("(n,n),(k),(m,q?),()->()", integer=("p",), real=("t",))
def several(A, p, B, t, *, upper=False):
    """A function of several arrays.

    Parameters
    ----------
    B
        What is special about it.
    upper : bool
        An option.

    Raises
    ------
    LinAlgError of the array's library
        A is singular.
    KeyError
        Never.

    Examples
    --------
    >>> 1
    1
    """


def test_what_is_missing_is_added_in_the_order_of_the_signature():
    assert list(sections(inspect.getdoc(several))) == ["", "Parameters", "Raises", "Examples"]
    assert parts(several, "Parameters") == {
        "A : array (..., n, n)": "",
        "p : array of integers (..., k)": "",
        "B : array (..., m, q) or (m,)": "What is special about it. float32, float64, complex64 or complex128. Batch "
        "dimensions broadcast. Different dtypes are promoted in NumPy, and an error in PyTorch and TensorFlow.",
        "t : array (...)": "",
        "upper : bool": "An option.",
    }
    assert parts(several, "Raises") == {
        "LinAlgError of the array's library": "A is singular. Also where A is not square, the shapes do not fit, or a "
        "dtype is not floating point.",
        "KeyError": "Never.",
        "TypeError": "t is complex.",
        "ValueError": "t is a number that is not finite.",
    }


def test_what_is_said_is_not_said_again():
    @overbar.primitive("(m,n),(p,n)->(m,p)")
    def all_said(A, B):
        """Everything.

        Parameters
        ----------
        A, B : matrix
            float32 only.

        Raises
        ------
        ShapeError
            The shapes do not fit.
        LinAlgError of the array's library
            A dtype is not floating point, but float64.
        """

    assert inspect.getdoc(all_said) == inspect.cleandoc(vars(all_said)["__doc__"])


@pytest.mark.parametrize(
    ("signature", "causes"),
    [
        ("(n,n)->()", "A is not square, or its dtype is not floating point."),
        ("(m,n)->()", "A has less than two dimensions, or its dtype is not floating point."),
        ("(n)->()", "A has no dimension, or its dtype is not floating point."),
        ("()->()", "The dtype is not floating point."),
        ("(),()->()", "The shapes do not broadcast, or a dtype is not floating point."),
        ("(n,n),()->()", "A is not square, or a dtype is not floating point."),
        ("(m,n),(n)->()", "An array has too few dimensions, the shapes do not fit, or a dtype is not floating point."),
        (
            "(m),(n)->()",
            "An array has too few dimensions, batch dimensions do not broadcast, or a dtype is not floating point.",
        ),
        ("(n,n),(m,m)->()", "A or B is not square, the shapes do not fit, or a dtype is not floating point."),
    ],
)
def test_what_does_not_fit_a_signature(signature, causes):
    function = (lambda A, B: A) if "),(" in signature else (lambda A: A)
    found = Primitive(function, signature)
    assert parts(found, "Raises") == {"LinAlgError of the array's library": causes}


@pytest.mark.parametrize(
    "doc",
    ["A sum.\n\nArgs:\n    A: a matrix.\n", "A sum.\n\n:param A: a matrix\n", "A sum.\n\n    Returns:\n        x\n"],
)
def test_a_docstring_in_another_form_stays_as_it_is(doc):
    def total(A):
        return A

    total.__doc__ = doc
    assert overbar.primitive("(n,n)->()")(total).__doc__ == inspect.cleandoc(doc)


def test_a_primitive_without_a_docstring_has_the_sections_alone(torch_ops):
    found = overbar.elementwise(lambda A: A)
    assert list(sections(inspect.getdoc(found))) == ["", "Parameters", "Raises"]
    assert "any shape" in inspect.getdoc(torch_ops.wrap(found))


def test_the_class_and_a_primitive_have_docstrings_of_their_own():
    assert inspect.getdoc(Primitive).startswith("A matrix function, its rules")
    copy = pickle.loads(pickle.dumps(several))
    assert copy.__doc__ == several.__doc__
    other = overbar.elementwise(lambda A: A)
    other.__doc__ = "Another."
    assert other.__doc__.startswith("Another.\n\nParameters")


def test_an_op_does_not_begin_with_what_else_is_an_error(torch_ops):
    """Where what is said before it concerns other libraries."""
    assert "    torch.linalg.LinAlgError:" in inspect.getdoc(torch_ops.ldl_factor).splitlines()
    for name in torch_ops.__all__:
        doc = inspect.getdoc(getattr(torch_ops, name))
        assert ": Also where" not in " ".join(doc.split())


def test_importing_overbar_makes_no_docstrings():
    code = "import overbar, sys; assert 'overbar._documented' not in sys.modules; overbar.det.__doc__; " + (
        "assert 'overbar._documented' in sys.modules"
    )
    assert run_python("-c", code).returncode == 0
