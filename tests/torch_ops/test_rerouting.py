"""`torch_ops.reroute` and `torch_ops.linalg`, held against PyTorch itself: every spelling of every function with every
argument, and the signatures of the installed torch. May import `torch_ops`.

What PyTorch's functions take is read from PyTorch: from the schemas of its operators, and from the signatures of those
that are written in Python. An argument that no call here gives is a failure.
"""

import ast
import functools
import inspect
import itertools
import math
import pickle
import sys
import threading
import types
import warnings
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import torch_ops  # noqa: E402
from torch_ops import _ops as ops  # noqa: E402
from torch_ops import _rerouting as rerouting  # noqa: E402
from torch_ops import linalg  # noqa: E402
from torch_ops._rerouting import ROUTES  # noqa: E402

D = torch.float64
REMOVED = {"eig", "lstsq", "matrix_rank", "solve", "symeig"}  # of torch and its tensors: they raise, and say why


def square(n=3, seed=0):
    """Not symmetric, with positive distinct eigenvalues."""
    G = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=D)
    return 0.2 * G + torch.diag(torch.arange(1.0, n + 1, dtype=D))


def positive_definite(n=3):
    A = square(n)
    return A @ A.mT


def indefinite():
    """With a block of two among the pivots."""
    return torch.tensor([[0.0, 2.0, 1.0], [2.0, 0.5, -1.0], [1.0, -1.0, 3.0]], dtype=D)


def wide(m=2, n=3):
    return square(3)[:m, :n] + 0.1


def factors():
    return torch.linalg.lu_factor(square())


B = torch.tensor([[1.0, 2.0], [0.5, -1.0], [3.0, 0.25]], dtype=D)

#: the tensors of each function, in PyTorch's order
TENSORS = {
    "cholesky": lambda: [positive_definite()],
    "cholesky_ex": lambda: [positive_definite()],
    "cholesky_inverse": lambda: [square().tril()],
    "cholesky_solve": lambda: [B, square().tril()],
    "eigh": lambda: [positive_definite()],
    "eigvalsh": lambda: [positive_definite()],
    "householder_product": lambda: [square()[:, :2], torch.tensor([0.5, 0.25], dtype=D)],
    "ldl_factor": lambda: [indefinite()],
    "ldl_factor_ex": lambda: [indefinite()],
    "ldl_solve": lambda: [*torch.linalg.ldl_factor(indefinite()), B],
    "lstsq": lambda: [torch.cat([square(), wide()]), torch.cat([B, B[:2]])],
    "lu_solve": lambda: [*factors(), B],
    "older lu_solve": lambda: [B, *factors()],
    "orgqr": lambda: [square()[:, :2], torch.tensor([0.5, 0.25], dtype=D)],
    "pinv": lambda: [positive_definite()],
    "qr": lambda: [wide().mT],
    "solve": lambda: [square(), B],
    "solve_ex": lambda: [square(), B],
    "solve_triangular": lambda: [square(), B],
    "svd": lambda: [wide()],
    "tensorinv": lambda: [square(6).reshape(6, 2, 3)],
    "tensorsolve": lambda: [square(6).reshape(2, 3, 6), wide()],
    "vector_norm": lambda: [wide()],
}

#: values of options other than their defaults, by function and option, or by option alone
VALUES = {
    "UPLO": ["U", "u", "l"],
    "adjoint": [True],
    "atol": [1e-3, torch.tensor(2.0, dtype=D), torch.tensor(2.0)],
    "check_errors": [True],
    "compute_uv": [False],
    "dim": [(-2, -1), (0, 1), (1, 0)],
    ("norm", "dim"): [0, (1,), (0, 1), (-1, 0)],
    ("vector_norm", "dim"): [0, (1,), (0, 1), (1, -2)],
    "dims": [(2,)],
    "driver": [None],
    ("lstsq", "driver"): ["gelsd", "gelss"],
    "dtype": [D, torch.complex128],
    "full_matrices": [False],
    "get_infos": [True],
    "hermitian": [True],
    "ind": [1],
    "keepdim": [True],
    "left": [False],
    "mode": ["complete", "reduced"],
    "n": [2, 0, -3],
    "ord": ["fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf],
    ("vector_norm", "ord"): [2, 3, 1, 0, math.inf, -math.inf, 0.5, -2],
    "p": ["fro", "nuc", 2, -2, 1, -1, math.inf, -math.inf],
    ("norm", "p"): ["fro", "nuc", None, 2, 3, 1, 0, math.inf],
    "pivot": [True],
    "rcond": [1e-3, 1e-12],
    ("pinv", "rcond"): [1e-3, torch.tensor(0.5, dtype=D)],
    "rtol": [1e-3, torch.tensor(0.5, dtype=D)],
    "some": [False],
    "unitriangular": [True],
    "upper": [True],
    ("solve_triangular", "upper"): [True, False],
}

#: options that need another: ``solve_triangular`` without `upper` is no call, and right-hand sides must fit
ALWAYS = {"solve_triangular": {"upper": False}, "tensorinv": {"ind": 1}}


@functools.cache  # asked first when nothing is rerouted
def place_of(function):
    """Where PyTorch has a function, and by what name."""
    for place in (torch.linalg, torch, torch.Tensor):
        for name in dir(place):
            if getattr(place, name, None) is function:
                return place, name
    raise LookupError(function)


def by_name(function):
    """A function that is looked up when it is called, as in most of all code."""
    place, name = place_of(function)
    return functools.wraps(function)(lambda *args, **kwargs: getattr(place, name)(*args, **kwargs))


def arguments(place, name):
    """The arguments of a function of PyTorch's besides its tensors: for each of its overloads the names of those that
    go by position, and of those by keyword."""
    function = inspect.unwrap(getattr(place, name))
    if inspect.isfunction(function):
        if name == "lu":  # torch.lu chooses one of two functions of these arguments
            return [(["pivot", "get_infos"], [])]
        names = [n for n in inspect.signature(function).parameters if n not in ("input", "self", "out")]
        return [(names, [])]
    found = []
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{function.__name__}"):
        options = [a for a in schema.arguments if str(a.type) != "Tensor"]
        if any(a.is_out for a in schema.arguments):
            continue
        found.append(([a.name for a in options if not a.kwarg_only], [a.name for a in options if a.kwarg_only]))
    assert found, function
    return found


def tensors_for(place, name):
    make = TENSORS.get(f"older {name}") if place is not torch.linalg else None
    return (make or TENSORS.get(name) or (lambda: [square()]))()


def calls(place, name):
    """The calls of a function: its tensors, further arguments by position, and by keyword."""
    always = ALWAYS.get(name, {})
    found = {}

    def add(by_position, by_keyword):
        found.setdefault(repr((by_position, by_keyword)), (by_position, by_keyword))

    for by_position, by_keyword in arguments(place, name):
        values = {n: VALUES.get((name, n), VALUES.get(n)) for n in (*by_position, *by_keyword)}
        missing = [n for n, v in values.items() if v is None]
        assert not missing, f"no values for {missing} of {name}"
        add((), dict(always))
        for n, several in values.items():
            for value in several:
                add((), {**always, n: value})
        for k in range(1, len(by_position) + 1):
            for chosen in itertools.product(*(values[n] for n in by_position[:k])):
                add(chosen, {n: v for n, v in always.items() if n not in by_position[:k]})
    return list(found.values())


def outcome(call):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            result = call()
        except Exception as error:
            result = error
    return result, [(w.category, str(w.message).partition(" (Triggered")[0]) for w in said]


def parts(result):
    return list(result) if isinstance(result, tuple) else [result]


def comparable(name, result):
    """The outputs, without what PyTorch leaves open: signs, and the order of eigenvalues."""
    out = parts(result)
    if name in ("eigh", "svd"):
        out = [x.abs() for x in out]
    if name == "cond":  # of zeros PyTorch's is NaN
        out = [torch.where(x.isnan(), math.inf, x) for x in out]
    if name in ("eig", "eigvals"):
        order = out[0].real.argsort()
        out = [out[0][order], *(V[:, order].abs() for V in out[1:])]
    if name == "svd" and out[2].shape[-1] == out[2].shape[-2] > out[1].shape[-1]:  # the others are not unique
        out[2] = out[2][..., :2, :] if "Vh" in dir(result) else out[2][..., :2]
    return out


def same(name, found, expected, label):
    assert type(found) is type(expected), (label, found, expected)
    for a, b in zip(comparable(name, found), comparable(name, expected), strict=True):
        if name == "lstsq" and not b.numel():
            continue  # PyTorch leaves some outputs empty
        assert (a.shape, a.dtype) == (b.shape, b.dtype), label
        few = 1e-10 if b.dtype in (D, torch.complex128) else 1e-5
        torch.testing.assert_close(
            a.detach(), b.detach(), rtol=few, atol=few, equal_nan=True, msg=lambda m: f"{label}: {m}"
        )


def gradient(name, result, x, upper):
    """Of a number that depends on all outputs of which PyTorch knows the derivative."""
    out = comparable(name, result)[: 1 if name == "lstsq" else None]
    out = [torch.view_as_real(t) if t.is_complex() else t for t in out if t.requires_grad]
    total = sum((t * torch.cos(torch.arange(t.numel(), dtype=t.dtype)).reshape(t.shape)).sum() for t in out)
    x = [t for t in x if t.requires_grad]
    bars = torch.autograd.grad(total, x, allow_unused=True)
    bars = [torch.zeros_like(t) if bar is None else bar for t, bar in zip(x, bars, strict=True)]
    if name in ("cholesky_solve", "cholesky_inverse"):  # PyTorch's is wrong in the triangle that is not read
        bars[-1] = bars[-1].triu() if upper else bars[-1].tril()
    return bars


def spelled(function):
    place, name = place_of(function)
    return f"{ {torch: 'torch', torch.linalg: 'torch.linalg', torch.Tensor: 'Tensor'}[place] }.{name}"


SPELLINGS = {spelled(f): f for f in ROUTES}


@pytest.fixture
def every_warning():
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


def compared(spelling, x, by_position, by_keyword):
    """A call with us and without: whether it succeeds, and what differs is a failure. The function is found by its
    name, and where it is kept."""
    function = SPELLINGS[spelling]
    succeeded = [
        compared_once(spelling, x, by_position, by_keyword, by_name(function), False),
        compared_once(spelling, x, by_position, by_keyword, function, True),
    ]
    assert succeeded[0] == succeeded[1]
    return succeeded[0]


def compared_once(spelling, x, by_position, by_keyword, rerouted, watch):
    function, name = SPELLINGS[spelling], spelling.rpartition(".")[2]
    label = f"{spelling} {by_position} {by_keyword} {'watched' if watch else 'by name'}"
    expected, said = outcome(lambda: function(*x, *by_position, **by_keyword))
    with torch_ops.reroute(watch=watch) as routes:
        found, said_rerouted = outcome(lambda: rerouted(*x, *by_position, **by_keyword))
    assert isinstance(found, Exception) or routes.counts == {spelling.replace("Tensor", "torch.Tensor"): 1}, label
    assert said_rerouted == said, label
    if isinstance(expected, Exception):
        assert type(found) is type(expected), (label, found, expected)
        assert str(expected) in str(found), (label, found, expected)
        return False
    assert not isinstance(found, Exception), (label, found)
    same(name, found, expected, label)
    if any(t.requires_grad for t in parts(expected)) and not by_keyword.get("hermitian") and by_position[1:] != (True,):
        upper = by_keyword.get("upper", False) or by_position == (True,)
        bars, _ = outcome(lambda: gradient(name, expected, x, upper))
        if isinstance(bars, RuntimeError):
            return True  # PyTorch has none: of a complete QR, of a condition number
        for a, b in zip(gradient(name, found, x, upper), bars, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9, equal_nan=True, msg=lambda m: f"{label}, bar: {m}")
    return True


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_spelling_with_every_argument(spelling, watched, every_warning):
    """Value, gradient, kind of result, error and warning are those of the library without us."""
    place, name = place_of(SPELLINGS[spelling])
    succeeded = []
    for by_position, by_keyword in calls(place, name):
        x = tensors_for(place, name)
        if by_keyword.get("left") is False:
            x[-1] = x[-1].mT
        if name in ("cholesky_solve", "cholesky_inverse") and (by_position == (True,) or by_keyword.get("upper")):
            x[-1] = x[-1].mT.contiguous()
        x = [t.requires_grad_() if watched and t.is_floating_point() else t for t in x]
        succeeded.append(compared(spelling, x, by_position, by_keyword))
    assert any(succeeded)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_what_torch_refuses_is_refused_with_its_error(spelling, every_warning):
    place, name = place_of(SPELLINGS[spelling])
    always = ALWAYS.get(name, {})
    x = tensors_for(place, name)
    floats = [i for i, t in enumerate(x) if t.is_floating_point()]
    for i in floats:
        wrong = [x[i][..., :2], torch.ones(2, 4, dtype=D), x[i].long(), x[i].flatten()[0], x[i].to(torch.complex64)]
        wrong += [torch.zeros_like(x[i]), -x[i]]
        for y in wrong:
            compared(spelling, [*x[:i], y, *x[i + 1 :]], (), always)
    for given in ({"uper": True}, {"upper": "lower"}, {"dim": 7}, {"ord": "max"}, {"mode": "thin"}, {"UPLO": "X"}):
        compared(spelling, x, (), always | given)
    compared(spelling, x, (None, None, None, None, None), always)
    compared(spelling, x[:-1], (), always)


@pytest.mark.parametrize("spelling", [s for s in SPELLINGS if not s.startswith("Tensor.")])
def test_tensors_by_name(spelling, every_warning):
    """By the names that PyTorch's functions take, some of which are not those of its documentation."""
    place, name = place_of(SPELLINGS[spelling])
    x, always = tensors_for(place, name), ALWAYS.get(name, {})
    schema = next(iter(torch._C._jit_get_schemas_for_operator(f"aten::{SPELLINGS[spelling].__name__}")), None)
    names = [a.name for a in schema.arguments][: len(x)] if schema else ["A" if name == "lu" else "input"]
    documented = dict(zip(["input", *names[1:]], x, strict=True))
    taken = [compared(spelling, [], (), given | always) for given in (documented, dict(zip(names, x, strict=True)))]
    assert any(taken)
    compared(spelling, x[:1], (), {names[0]: x[0]} | always)  # twice


# ---------------------------------------------------------------------------------------------------------------------
# What there is to route


def test_out_none_is_as_if_it_were_not_there(monkeypatch):
    """Libraries hand it on. The op is called at once, without a mode in which PyTorch says what does not fit."""

    def refuse():
        raise AssertionError("the call went through a mode")

    A = torch.eye(2, dtype=torch.float64)
    with torch_ops.reroute() as routes:
        monkeypatch.setattr(rerouting, "_Reroute", refuse)
        L, info = torch.linalg.cholesky_ex(A, out=None)
        inverse = torch.linalg.inv(A, out=None)
    assert torch.equal(L, A)
    assert torch.equal(inverse, A)
    assert not info
    assert {"torch.linalg.cholesky_ex", "torch.linalg.inv"} <= set(routes.counts)


def test_every_function_of_torch_that_an_op_stands_for_is_routed():
    """By the names of the installed torch: in torch.linalg, in torch and as a method, under older names, too."""
    handed = {op.builtin.__name__.removeprefix("linalg_") for op in all_ops() if op.use_builtin_when is None}
    ours = {op.builtin.__name__.removeprefix("linalg_") for op in all_ops() if op.use_builtin_when is not None}
    ours |= {"inverse", "norm", "orgqr", "pinverse"}
    for name in ours - handed:
        for place in (torch.linalg, torch, torch.Tensor):
            function = getattr(place, name, None)
            if function is not None and not elsewhere(place, name):
                assert inspect.unwrap(function) in ROUTES, (place, name)
    assert not handed & {op.__name__ for op in ROUTES.values()}


def all_ops():
    return [op for op in vars(ops).values() if getattr(op, "builtin", None) is not None]


def elsewhere(place, name):
    """Functions that have the name of one of torch.linalg and do something else, or raise always."""
    removed = getattr(getattr(torch, name, None), "__module__", "") == "torch._linalg_utils" or name in REMOVED
    return place is not torch.linalg and (name in ("cond", "polar") or removed)


@pytest.mark.parametrize("name", [n for n in linalg.__all__ if getattr(linalg, n) is not getattr(torch.linalg, n)])
def test_signatures_of_torch_linalg(name):
    """Each overload of the installed torch: its arguments in that order, by these names, and with these defaults."""
    builtin, signature = getattr(torch.linalg, name), inspect.signature(getattr(linalg, name))
    seen = 0
    for schema in torch._C._jit_get_schemas_for_operator(f"aten::{builtin.__name__}"):
        if any(a.is_out for a in schema.arguments):
            continue
        seen += 1
        by_position = [a.name for a in schema.arguments if not a.kwarg_only]
        bound = signature.bind(*by_position, **{a.name: a.name for a in schema.arguments if a.kwarg_only})
        taken = {value: key for key, value in bound.arguments.items()}
        for argument in schema.arguments:
            if str(argument.type) != "Tensor" or argument.name == "rcond":
                assert taken.get(argument.name) == argument.name, argument
                if argument.has_default_value() and not isinstance(argument.default_value, list):
                    ours = signature.parameters[argument.name].default
                    assert ours == argument.default_value or None in (ours, argument.default_value), argument
    assert seen


@pytest.mark.parametrize("what", ["route", "argument"])
def test_a_route_or_an_argument_that_is_missing_is_caught(what, monkeypatch):
    if what == "route":
        monkeypatch.delitem(ROUTES, inspect.unwrap(torch.Tensor.slogdet))
        with pytest.raises(AssertionError, match="slogdet"):
            test_every_function_of_torch_that_an_op_stands_for_is_routed()
    else:
        monkeypatch.setitem(ROUTES, torch.svd, lambda input, some=True: torch_ops.svd(input, False))
        with pytest.raises(AssertionError, match=r"torch\.svd"):
            compared("torch.svd", [wide()], (), {"compute_uv": False})
        with pytest.raises(TypeError):
            inspect.signature(lambda A, full_matrices=True: None).bind("A", "full_matrices", driver="driver")


# ---------------------------------------------------------------------------------------------------------------------
# What the routes are for: numbers that PyTorch's own functions have wrong


def gradient_of(f, A):
    A = A.clone().requires_grad_()
    return torch.autograd.grad(f(A), A)[0]


SINGULAR = torch.tensor([[2.0, -1.0], [4.0, -2.0]], dtype=D)
COFACTORS = torch.tensor([[-2.0, -4.0], [1.0, 2.0]], dtype=D)


@pytest.mark.parametrize("f", [torch.det, torch.linalg.det, torch.Tensor.det])
def test_the_determinant_of_a_singular_matrix_has_its_gradient(f):
    with torch_ops.reroute():
        torch.testing.assert_close(gradient_of(by_name(f), SINGULAR), COFACTORS)
    with torch_ops.reroute(watch=True):
        torch.testing.assert_close(gradient_of(f, SINGULAR), COFACTORS)


@pytest.mark.parametrize("scale", [1e20, 1e-25, 3e37])
@pytest.mark.parametrize(
    "f",
    [
        by_name(torch.linalg.norm),
        by_name(torch.norm),
        by_name(torch.Tensor.norm),
        lambda A: torch.linalg.vector_norm(A, dim=(0, 1)),
        lambda A: torch.linalg.vector_norm(A, 2.0, keepdim=True).sum(),
        lambda A: torch.linalg.matrix_norm(A),
        lambda A: torch.norm(A, p=None),
    ],
)
@pytest.mark.parametrize("mode", ["eager", "mapped", "forward", "second"])
def test_norms_neither_over_nor_underflow(f, scale, mode):
    unit = torch.tensor([[1.0, 2.0], [2.0, 4.0]])
    A = unit * scale
    with torch_ops.reroute():
        if mode == "second":  # of degree -1: what it gives times the scale
            found = torch.func.jvp(torch.func.grad(f), (A,), (torch.eye(2) * scale,))[1]
            expected = (torch.eye(2) - unit / 5) / 5
        elif mode == "forward":
            found, expected = torch.func.jacfwd(f)(A), unit / 5
        elif mode == "mapped":
            found, expected = torch.func.vmap(torch.func.grad(f))(A[None])[0], unit / 5
        else:
            assert f(A) == pytest.approx(5 * scale, rel=1e-6)
            found, expected = gradient_of(f, A), unit / 5
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("ord", [3, 1.5, 0.5, -1, -2.5, 40])
@pytest.mark.parametrize("scale", [1e30, 1e-30])
def test_norms_of_any_order_neither_over_nor_underflow(ord, scale):
    x = torch.tensor([1.0, -2.0, 0.5])

    def f(x):
        return linalg.vector_norm(x, ord)

    assert float(f(x * scale)) / scale == pytest.approx(float(torch.linalg.vector_norm(x.double(), ord)), rel=1e-5)
    expected = gradient_of(lambda x: torch.linalg.vector_norm(x, ord), x.double()).float()
    torch.testing.assert_close(gradient_of(f, x * scale), expected, rtol=1e-5, atol=1e-6)


def test_norms_at_zero():
    for f in (
        linalg.norm,
        linalg.vector_norm,
        lambda x: linalg.vector_norm(x, 3),
        lambda x: linalg.norm(x, dim=1).sum(),
    ):
        assert not gradient_of(f, torch.zeros(2, 2)).any()
    rows = gradient_of(lambda A: linalg.vector_norm(A, dim=-1).sum(), torch.tensor([[0.0, 0.0], [3e30, 4e30]]))
    torch.testing.assert_close(rows, torch.tensor([[0.0, 0.0], [0.6, 0.8]]))
    assert linalg.vector_norm(torch.tensor([math.inf, 1.0])) == math.inf
    assert linalg.vector_norm(torch.tensor([math.nan, 1.0])).isnan()


def test_least_squares_with_a_batch_of_vectors():
    A = torch.stack([square(), square(seed=1)])[..., :2]
    b = torch.stack([B[:, 0], B[:, 1]])
    found, expected = (f(A, b).solution for f in (linalg.lstsq, torch.linalg.lstsq))
    assert found.shape == expected.shape == (2, 2)
    torch.testing.assert_close(found, expected)
    for i in (0, 1):
        bars = [
            torch.func.grad(lambda *x, f=f: f(*x).solution.sum(), i)(A, b) for f in (linalg.lstsq, torch.linalg.lstsq)
        ]
        torch.testing.assert_close(*bars)


def test_a_tolerance_for_each_matrix():
    A = torch.diag_embed(torch.tensor([[3.0, 1.0, 1e-3], [3.0, 1.0, 1e-3]], dtype=D))
    for given in (
        {"rtol": torch.tensor([1e-6, 0.1], dtype=D)},
        {"rcond": torch.tensor([1e-6, 0.5])},
        {"atol": torch.tensor([0.0, 0.1])},
        {"atol": torch.tensor([1.5, 1e-4], dtype=D), "rtol": torch.tensor(0.1, dtype=D)},
    ):
        theirs = {"rtol" if name == "rcond" else name: value.to(D) for name, value in given.items()}
        torch.testing.assert_close(linalg.pinv(A, **given), torch.linalg.pinv(A, **theirs))
        ours = gradient_of(lambda A, given=given: linalg.pinv(A, **given).sum(), A)
        torch.testing.assert_close(ours, gradient_of(lambda A, given=theirs: torch.linalg.pinv(A, **given).sum(), A))
    for name in ("rtol", "atol", "rcond"):
        with pytest.raises(RuntimeError, match=r"not differentiable with respect to argument"):
            linalg.pinv(A, **{name: torch.tensor(0.1, dtype=D, requires_grad=True)})


@pytest.mark.skipif(not hasattr(torch.linalg, "matrix_sqrth"), reason="PyTorch has them since 2.14")
@pytest.mark.parametrize("f", [lambda A: torch.linalg.polar(A)[1], lambda A: torch.linalg.matrix_sqrth(A)])
def test_newer_functions_have_second_derivatives_at_equal_eigenvalues(f):
    """Where PyTorch's are NaN."""
    A = torch.eye(3, dtype=D)
    with torch_ops.reroute():
        second = torch.func.hessian(lambda A: f(A).square().sum())(A)
        assert torch.equal(torch.linalg.matrix_sqrth(-A), 0 * A)
    assert second.isfinite().all()


# ---------------------------------------------------------------------------------------------------------------------
# Activation checkpoints, threads, functions of PyTorch's own


@pytest.mark.parametrize("use_reentrant", [False, True])
@pytest.mark.parametrize("where", ["inside", "outside"])
def test_a_checkpoint_is_rerouted_in_both_of_its_passes(use_reentrant, where):
    from torch.utils.checkpoint import checkpoint

    class Model(torch.nn.Module):
        def forward(self, A):
            return torch.linalg.det(A) + torch.logdet(A @ A.mT + torch.eye(2, dtype=D))

    A = SINGULAR.clone().requires_grad_()
    expected = gradient_of(lambda A: linalg.det(A) + torch.logdet(A @ A.mT + torch.eye(2, dtype=D)), SINGULAR)
    for function in (Model(), Model().forward):
        with torch_ops.reroute():
            out = checkpoint(function, A, use_reentrant=use_reentrant)
            if where == "inside":
                out.backward()
        if where == "outside":
            out.backward()
        torch.testing.assert_close(A.grad, expected)
        A.grad = None
    checkpoint(torch.linalg.det, A, use_reentrant=use_reentrant).backward()  # outside, it is PyTorch's
    assert not A.grad.any()


def test_each_thread_enters_for_itself():
    found = []

    def work():
        found.append(gradient_of(torch.linalg.det, SINGULAR))
        with torch_ops.reroute():
            found.append(gradient_of(torch.linalg.det, SINGULAR))

    with torch_ops.reroute():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert not found[0].any()
    torch.testing.assert_close(found[1], COFACTORS)


def test_a_function_in_somebody_elses_backward_is_rerouted_where_it_is_decorated():
    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx, A):
            ctx.save_for_backward(A)
            return A.sum()

        @staticmethod
        @torch_ops.reroute()
        def backward(ctx, bar):
            with torch.enable_grad():
                A = ctx.saved_tensors[0].detach().requires_grad_()
                return bar * torch.autograd.grad(torch.linalg.det(A), A)[0]

    torch.testing.assert_close(gradient_of(Function.apply, SINGULAR), COFACTORS)


# ---------------------------------------------------------------------------------------------------------------------
# Where the functions are found, and for whom


@pytest.fixture
def no_compiler(monkeypatch):
    """Another test may have compiled something, in which case calls are watched."""
    monkeypatch.setattr(rerouting, "is_compiler_in_use", lambda: False)


def is_ours(det):
    return bool(gradient_of(det, SINGULAR).any())


@pytest.fixture
def library(monkeypatch):
    """A module that has taken functions of PyTorch's for its own before, under other names."""
    module = types.ModuleType("a_library")
    module.determinant, module.table, module.inverse = torch.linalg.det, {"det": torch.linalg.det}, torch.inverse
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_names_of_other_modules_are_found(library, no_compiler):
    before = library.determinant, library.inverse
    with torch_ops.reroute() as routes:
        assert is_ours(lambda A: library.determinant(A))
        library.inverse(torch.eye(2))
        assert not is_ours(library.table["det"])
    assert routes.counts == {"torch.linalg.det": 1, "torch.inverse": 1}
    assert (library.determinant, library.inverse) == before
    with torch_ops.reroute(watch=True):
        assert is_ours(library.table["det"])


def test_what_somebody_else_puts_there_meanwhile_stays(library, no_compiler):
    def other(A):
        return A.sum()

    with torch_ops.reroute():
        library.determinant = other
    assert library.determinant is other
    with torch_ops.reroute():
        assert library.determinant is other
    with torch_ops.reroute():
        library.determinant = torch.linalg.det  # the stand-in, as an import does inside
        assert is_ours(lambda A: library.determinant(A))
    assert not is_ours(library.determinant)


def test_other_functions_are_not_watched(no_compiler):
    """What is not rerouted takes the time that it takes outside: no mode sees it, and its names are what they were."""
    x, before = torch.ones(2), (torch.add, torch.Tensor.__add__, torch.exp, torch.Tensor.exp)
    with torch_ops.reroute():
        assert not torch.overrides.has_torch_function((x,))
        assert (torch.add, torch.Tensor.__add__, torch.exp, torch.Tensor.exp) == before
    with torch_ops.reroute(watch=True):
        assert torch.overrides.has_torch_function((x,))


def test_threads_enter_and_leave_in_any_order(no_compiler):
    inside, done, found, before = threading.Event(), threading.Event(), [], torch.linalg.det

    def det(A):
        return torch.linalg.det(A)

    def other():
        inside.wait()
        found.append(is_ours(det))
        with torch_ops.reroute() as routes:
            found.append(is_ours(det))
            done.set()
            first.join()  # the first thread leaves first
            found.append(is_ours(det))
        found.append(is_ours(det))
        assert routes.counts == {"torch.linalg.det": 2}

    def enter():
        with torch_ops.reroute():
            inside.set()
            done.wait()

    first, second = threading.Thread(target=enter), threading.Thread(target=other)
    first.start()
    second.start()
    second.join()
    assert found == [False, True, True, False]
    assert torch.linalg.det is before


def test_what_was_rerouted_is_reported():
    A = positive_definite().requires_grad_()
    with torch_ops.reroute() as routes:
        assert str(routes) == "nothing was rerouted"
        L = torch.linalg.cholesky(A)
        with torch_ops.reroute() as inner:
            A.logdet()
            L = L + torch.linalg.cholesky(input=A)
        L.sum().backward()  # a rule calls PyTorch's functions
        torch_ops.logm(A).sum().backward()  # and so does an op
        torch.linalg.cholesky(A.detach(), out=torch.empty(0, dtype=D))
    assert inner.counts == {"torch.linalg.cholesky": 1, "torch.Tensor.logdet": 1}
    assert str(routes) == "2 × torch.linalg.cholesky\n1 × torch.Tensor.logdet"


PYTHON_LU = inspect.unwrap(torch.Tensor.lu)


def test_a_function_is_pickled_by_its_name_inside():
    with torch_ops.reroute():
        inside = [pickle.dumps(f) for f in (torch.linalg.det, torch.norm, torch.Tensor.lu)]
    assert [inspect.unwrap(pickle.loads(f)) for f in inside] == [torch.linalg.det, torch.norm, PYTHON_LU]


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
def test_torchscript_compiles_inside_what_it_does_outside(no_compiler):
    def f(A: torch.Tensor):
        return torch.linalg.cholesky(A).sum() + torch.logdet(A) + A.det()

    A = positive_definite()
    with torch_ops.reroute() as routes:
        found = torch.jit.script(f)(A)
    torch.testing.assert_close(found, f(A))
    assert not routes.counts


def test_no_op_calls_what_stands_in_a_name():
    """A rule computes with PyTorch's functions, whoever is inside."""
    names = {name.rpartition(".")[2] for name in rerouting.NAMES.values()}

    def called(source):
        return [
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names
        ]

    assert called("torch.linalg.inv(A); originals.linalg.inv(A); A.det()") == [
        "torch.linalg.inv",
        "originals.linalg.inv",
        "A.det",
    ]
    seen = 0
    for file in Path(torch_ops.__file__).parent.glob("*.py"):
        if file.name == "_examples.py":
            continue
        found = called(file.read_text(encoding="utf-8"))
        seen += len(found)
        roots = ("originals.", "ops.", "rules.", "xp.", "self.", "overbar.")
        assert [call for call in found if not call.startswith(roots)] == [], file.name
    assert seen > 20


# ---------------------------------------------------------------------------------------------------------------------
# The whole process


@pytest.fixture
def installed():
    yield torch_ops.install()
    torch_ops.uninstall()


def test_the_whole_process_is_rerouted_until_it_is_not(library, no_compiler):
    found, before = [], torch.linalg.det

    def det(A):
        return torch.linalg.det(A)

    routes = torch_ops.install()
    try:
        assert torch_ops.install() is routes
        thread = threading.Thread(target=lambda: found.append(is_ours(det)))
        thread.start()
        thread.join()
        assert found == [True]
        with torch_ops.reroute() as inner:
            assert is_ours(lambda A: library.determinant(A))
        assert inner.counts == {"torch.linalg.det": 1}
        assert is_ours(torch.Tensor.det)
    finally:
        torch_ops.uninstall()
    assert routes.counts == {"torch.linalg.det": 2, "torch.Tensor.det": 1}
    torch_ops.uninstall()
    assert not is_ours(det)
    assert torch.linalg.det is before


def test_a_library_imported_afterwards_has_its_own_functions(installed):
    """It looks for what PyTorch hands to it, and has been given what stood in that place."""
    table = {torch.linalg.cholesky: lambda A: "theirs"}

    class Operator:
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func not in table:
                raise NotImplementedError(f"{func} is not implemented")
            return table[func](*args)

    assert torch.linalg.cholesky(Operator()) == "theirs"
    with pytest.raises(NotImplementedError, match="linalg_det"):
        torch.linalg.det(Operator())
    assert not installed.counts


def test_a_subclass_keeps_the_errors_of_torch(installed):
    class Labelled(torch.Tensor):
        pass

    with pytest.raises(TypeError, match="uper"):
        torch.linalg.cholesky(torch.eye(2).as_subclass(Labelled), uper=True)
    assert type(torch.linalg.cholesky(torch.eye(2).as_subclass(Labelled))) is Labelled
    assert not installed.counts


@pytest.mark.filterwarnings("ignore")  # torch warns of its own making while it compiles
def test_compiled_code_in_a_process_that_is_rerouted():
    def f(A):
        return torch.linalg.det(A)

    compiled = torch.compile(f, backend="aot_eager", fullgraph=True)
    assert not is_ours(compiled)
    torch_ops.install()
    try:
        assert is_ours(compiled)
    finally:
        torch_ops.uninstall()
    assert not is_ours(compiled)
