"""PyTorch's own operator database, run against the ops that share a name with a function of torch. May import
`torch_ops`.

`tools/operator_database.py` has the checks, and the table of what is known to fail. An op that is added is tested
without a line here.
"""

from pathlib import Path
from unittest import mock

import pytest

torch = pytest.importorskip("torch")

import torch_ops  # noqa: E402
from tests.conftest import drawn  # noqa: E402
from tools import operator_database as database  # noqa: E402
from tools.operator_database import CATEGORIES, Known, Outcome, Pair, pairs, recorded, run  # noqa: E402

PAGE = Path(__file__).parents[2] / "docs" / "operator_database.md"


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize("name", [name for name in pairs() if drawn("test_samples", name)])
def test_samples(name, category):
    if name in database.ABSENT:
        pytest.skip("not in the database")
    outcome = run(pairs()[name], category)
    assert not outcome.failures, "\n".join([f"{len(outcome.failures)} of {outcome.run}", *outcome.failures[:20]])
    stale = database.stale(pairs()[name], category, outcome)
    assert not stale, f"this no longer fails: {stale}"
    if PAGE.exists() and database.is_steady(name, category):
        says = recorded(PAGE.read_text(encoding="utf-8"))
        assert not says or says.get((name, category)) == database.cell(outcome), (
            "out of date; write it anew with: make operators"
        )


def test_every_op_that_stands_for_a_function_of_torch_is_found():
    found = {pair.op for pair in pairs().values()}
    for module in (torch_ops, torch_ops.linalg):
        for name in module.__all__:
            op = getattr(module, name)
            if getattr(op, "builtin", None) is not None:
                assert op in found, name


def test_every_function_is_in_the_database():
    assert {name for name, pair in pairs().items() if not database.infos(pair)} == set(database.ABSENT)


def test_exceptions_are_of_ops_that_exist():
    names = {name.removeprefix("torch_ops.") for name in pairs()}
    for known in database.EXCEPTIONS:
        assert set(known.ops) <= names
        assert known.category in CATEGORIES


# -- each of the checks can fail ---------------------------------------------------------------------------------------


class Tanh(torch.autograd.Function):
    """torch.tanh, off in one thing."""

    @staticmethod
    def forward(x, value, reverse, forward, constant):
        y = torch.tanh(x)
        return y * value, y

    @staticmethod
    def setup_context(ctx, inputs, outputs):
        _, _, ctx.reverse, ctx.forward_factor, ctx.constant = inputs
        ctx.save_for_backward(outputs[1])
        ctx.save_for_forward(outputs[1])

    @staticmethod
    def backward(ctx, bar, y_bar):
        (y,) = ctx.saved_tensors
        y = y.detach() if ctx.constant else y
        return (bar + y_bar) * (1 - y * y).conj() * ctx.reverse, None, None, None, None

    @staticmethod
    def jvp(ctx, dot, *_):
        (y,) = ctx.saved_tensors
        y_dot = dot * (1 - y * y)
        return y_dot * ctx.forward_factor, y_dot

    @staticmethod
    def vmap(info, in_dims, x, *options):
        return Tanh.apply(x.movedim(in_dims[0], 0), *options), (0, 0)


def tanh(value=1.0, reverse=1.0, forward=1.0, constant=False, flipped=False):
    def op(x):
        if not (x.is_floating_point() or x.is_complex()):
            return torch.tanh(x)
        y = Tanh.apply(x, value, reverse, forward, constant)[0]
        return y.flip(0) if flipped and torch._C._functorch.is_batchedtensor(y) and y.ndim else y

    return Pair("torch_ops.tanh", op, torch.tanh, "torch.tanh")


@pytest.mark.parametrize("category", ["gradient", "forward", "second", "vmap"])
def test_a_right_op_passes(category):
    outcome = run(tanh(), category)
    assert outcome.passed == outcome.run > 0, outcome.failures[:3]


@pytest.mark.parametrize(
    "category, wrong",
    [
        ("value", {"value": 1 + 1e-13}),
        ("gradient", {"reverse": 1.001}),
        ("gradient", {"reverse": 1 + 1e-12}),
        ("forward", {"forward": 1.001}),
        ("second", {"constant": True}),
        ("vmap", {"flipped": True}),
    ],
    ids=str,
)
def test_a_wrong_op_fails(category, wrong):
    assert run(tanh(**wrong), category).failures


def test_what_is_allowed_for_conditioning_is_little():
    inv = Pair("torch_ops.inv", lambda A: torch.linalg.inv(A) * (1 + 1e-11), torch.linalg.inv, "torch.linalg.inv")
    failures = run(inv, "value").failures
    assert any(" float64 " in text for text in failures)
    assert any(" complex128 " in text for text in failures)


def test_a_failure_that_torch_shares_is_a_failure():
    right, wrong = tanh(), tanh(reverse=1.1)
    # as if torch's function were wrong, too: it is looked up by its name in the database
    shared = wrong._replace(builtin=wrong.op)
    with mock.patch.dict(database.database(), {wrong.op: database.infos(right)}):
        outcome = run(shared, "gradient")
    assert outcome.failures
    assert all("gradcheck" in text and "(torch's own fails this, too)" in text for text in outcome.failures)


@pytest.mark.parametrize(
    "error, fails",
    [
        (None, "no error"),
        (ValueError("trace: expected a matrix"), "ValueError instead of RuntimeError"),
        (RuntimeError("something went wrong"), "the message"),
        (RuntimeError("trace of what?"), None),
        (torch.linalg.LinAlgError("trace: expected a matrix, but got tensor with dim 3"), None),
    ],
    ids=str,
)
def test_a_wrong_error_fails(error, fails, monkeypatch):
    def op(input):
        if error:
            raise error

    monkeypatch.setattr(database, "EXCEPTIONS", ())  # our trace takes what PyTorch's does not
    outcome = run(Pair("torch_ops.trace", op, torch.trace, "torch.trace"), "errors")
    assert outcome.run == 1
    assert outcome.passed == (fails is None)
    assert fails is None or fails in outcome.failures[0]


def test_kinds_and_dtypes_of_outputs_count():
    eigh = Pair("torch_ops.eigh", torch.linalg.eigh, torch.linalg.eigh, "torch.linalg.eigh")
    assert run(eigh, "value").failures == []
    bare = eigh._replace(op=lambda A, **options: tuple(torch.linalg.eigh(A, **options)))
    assert "a tuple instead of a linalg_eigh" in run(bare, "value").failures[0]
    det = Pair(
        "torch_ops.det", lambda A: torch.linalg.det(A).to(torch.complex128), torch.linalg.det, "torch.linalg.det"
    )
    assert any("dtype torch.complex128 instead of torch.float32" in text for text in run(det, "value").failures)


def test_an_exception_that_no_longer_occurs_fails(monkeypatch):
    stale = Known(("tanh",), "value", "out of date", "")
    monkeypatch.setattr(database, "EXCEPTIONS", (stale,))
    with pytest.raises(AssertionError, match="no longer fails"):
        test_samples("torch_ops.tanh", "value")


def test_a_known_failure_is_counted_apart(monkeypatch):
    known = Known(("tanh",), "gradient", "differs from torch's", "wrong on purpose")
    monkeypatch.setattr(database, "EXCEPTIONS", (known,))
    outcome = run(tanh(reverse=1.1), "gradient")
    assert outcome.excepted[known] > 0
    assert all("gradcheck" in text for text in outcome.failures)
    assert outcome.passed + outcome.excepted[known] + len(outcome.failures) == outcome.run


def test_the_page_is_read_as_it_is_written():
    outcomes = {category: Outcome(run=k, failures=["wrong"] * (k // 2)) for k, category in enumerate(CATEGORIES)}
    row = database.row(tanh(), outcomes)
    version = torch.__version__.partition("+")[0]
    assert recorded(f"With PyTorch {version}, most pass.\n{row}\n") == {
        ("torch_ops.tanh", category): database.cell(outcome) for category, outcome in outcomes.items()
    }
    assert recorded(f"With PyTorch 1.0, most pass.\n{row}\n") == {}


def test_the_database_leaves_no_mark():
    """What importing it sets, and what drawing samples does to random numbers, is undone."""
    info = database.database()[torch.tanh][0]
    before = torch.random.get_rng_state()
    first = database.drawn(info, "sample_inputs", torch.float64)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(1)
    again = database.drawn(info, "sample_inputs", torch.float64)
    assert all(torch.equal(x.input, y.input) for x, y in zip(first, again, strict=True))
    torch.backends.mkldnn.enabled = torch.backends.mkldnn.enabled  # torch's own tests forbid this
