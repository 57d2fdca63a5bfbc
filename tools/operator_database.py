"""PyTorch's own operator database, run against the ops that share a name with a function of torch.

May import `torch_ops`. The installed torch carries, for each of its functions, an `OpInfo` with sample inputs,
reference inputs and inputs that must raise. `pairs` finds the ops that have one; `run` holds one of them against
torch's function in one of the CATEGORIES; `report` says in Markdown what passed:

    python -m tools.operator_database

Nothing is listed by hand but EXCEPTIONS, what is known to fail and why.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import math
import os
import random
import re
import warnings
from dataclasses import dataclass, field
from typing import NamedTuple
from unittest import mock

import numpy as np
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.utils._pytree import tree_flatten, tree_unflatten

import torch_ops

CATEGORIES = ("value", "gradient", "forward", "second", "vmap", "errors")
DOUBLE = (torch.float64, torch.complex128)


# -- which op stands for which function of torch -----------------------------------------------------------------------


class Pair(NamedTuple):
    """An op and the function of torch of that name."""

    name: str
    op: object
    builtin: object
    builtin_name: str


RULE = " (rule)"

# Ops with the name of a function of torch that does something else.
NAMESAKES = {
    "polar": "the polar decomposition; torch.polar makes complex numbers of absolute values and angles",
}


@functools.cache
def pairs() -> dict[str, Pair]:
    """The ops that share a name with a function of torch, by name. It does not import the database.

    An op that passes some calls to torch, those with small matrices above all, is there twice: as it is, and as it
    is where nothing is passed on.
    """
    found, seen = {}, set()
    for place, homes in (("torch_ops", ("linalg", "", "special")), ("torch_ops.linalg", ("linalg",))):
        module = torch_ops if place == "torch_ops" else torch_ops.linalg
        for name in module.__all__:
            op = getattr(module, name)
            if not inspect.isroutine(op) or op in seen or name in NAMESAKES:
                continue
            seen.add(op)
            theirs = {
                ".".join(filter(None, ("torch", home, name))): getattr(
                    getattr(torch, home) if home else torch, name, None
                )
                for home in homes
            }
            stands_for = getattr(op, "builtin", None)
            for full, builtin in theirs.items():
                if builtin is op:
                    break  # torch's own function, which torch_ops.linalg passes on
                if callable(builtin) and stands_for in (None, builtin):
                    pair = Pair(f"{place}.{name}", op, builtin, full)
                    found[pair.name] = pair
                    if hasattr(op, "rule_op"):
                        found[pair.name + RULE] = pair._replace(name=pair.name + RULE, op=op.rule_op)
                    break
    return found


@functools.cache
def database():
    """The OpInfos of the installed torch, by the function that they describe.

    Importing them takes seconds, and leaves its mark on the process: that is undone here.
    """
    with (
        mock.patch.dict(os.environ),
        mock.patch.object(torch.backends, "disable_global_flags"),  # it forbids to set any flag from now on
        warnings.catch_warnings(),
    ):
        # Only torch's own tests would want hypothesis.
        warnings.filterwarnings("ignore", "Fail to import hypothesis", ImportWarning)
        from torch.testing._internal.common_methods_invocations import op_db
    found = {}
    for info in op_db:
        for function in (info.op, *(alias.op for alias in info.aliases)):
            found.setdefault(function, []).append(info)
    return found


def infos(pair):
    """The OpInfos of an op: one, or several where torch describes its variants one by one, or none."""
    return database().get(pair.builtin, [])


@contextlib.contextmanager
def reproducible():
    """Samples that do not depend on who asks for them, and leave the random numbers of the caller alone."""
    from torch.testing._internal import common_utils

    # It would look through the stack for a test of torch's own, for its name to be the seed; which takes longer than
    # all the rest.
    with torch.random.fork_rng(devices=[]), mock.patch.object(common_utils, "extract_test_fn", return_value=None):
        states = random.getstate(), np.random.get_state()  # noqa: NPY002 - torch's samples use NumPy's old generator
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


def drawn(info, kind, *args, **kwargs):
    with reproducible(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of half-precision complex numbers
        return list(getattr(info, kind)("cpu", *args, **kwargs))


# -- one sample --------------------------------------------------------------------------------------------------------


class Call:
    """A sample as a function of its tensors: those that need a gradient, or all."""

    def __init__(self, sample, *, all_tensors=False):
        self.sample = sample
        self.flat, self.spec = tree_flatten((sample.input, sample.args, sample.kwargs))
        self.at = [
            i for i, x in enumerate(self.flat) if isinstance(x, torch.Tensor) and (all_tensors or x.requires_grad)
        ]
        self.tensors = tuple(self.flat[i] for i in self.at)

    def __call__(self, op, tensors, wrapper=None):
        flat = list(self.flat)
        for i, x in zip(self.at, tensors, strict=True):
            flat[i] = x
        input, args, kwargs = tree_unflatten(flat, self.spec)
        return wrapper(op, input, *args, **kwargs) if wrapper else op(input, *args, **kwargs)

    def differentiable(self, op, wrapper=None):
        """The outputs that a derivative is taken of, as torch's own tests choose them (only up to a phase where an
        output has one)."""

        def f(*tensors):
            out = self.sample.output_process_fn_grad(self(op, tensors, wrapper))
            return tuple(x for x in tensors_of(out) if is_inexact(x))

        return f

    def nearby(self):
        return rounded(self.tensors)


def rounded(tensors):
    """The tensors, off by what rounding their entries would change."""
    generator = torch.Generator().manual_seed(0)
    moved = []
    for x in tensors:
        if is_inexact(x):
            wide = x.detach().to(torch.promote_types(x.dtype, torch.float32))
            noise = 2 * torch.rand(x.shape, generator=generator, dtype=torch.float64) - 1
            wide = wide + wide * noise.to(wide.real.dtype) * torch.finfo(x.dtype).eps
            x = wide.to(x.dtype).requires_grad_(x.requires_grad)
        moved.append(x)
    return tuple(moved)


def scaled(x, factor):
    return x * factor if is_inexact(x) else x.clone()


def random_like(tensors, seed):
    generator = torch.Generator().manual_seed(seed)
    made = []
    for x in tensors:
        wide = torch.complex128 if x.is_complex() else torch.float64
        made.append(torch.randn(x.shape, dtype=wide, generator=generator).to(x.dtype))
    return made


def is_inexact(x):
    return x.is_floating_point() or x.is_complex()


def tensors_of(out):
    return [x for x in tree_flatten(out)[0] if isinstance(x, torch.Tensor)]


def difference(ours, theirs, nearby=None, ulps=16):
    """Why two lists of tensors are not the same to some ulps, or None.

    `nearby` gives theirs where the inputs are off by an ulp: what that changes says how well the problem is
    conditioned. Without it, each entry has to be the same to some ulps of its own.
    """
    if len(ours) != len(theirs):
        return f"{len(ours)} outputs instead of {len(theirs)}"
    moved = None
    for k, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        if (a is None) != (b is None):
            return f"output {k}: {'None' if a is None else 'a tensor'} instead of {'None' if b is None else 'a tensor'}"
        if a is None:
            continue
        for what in ("shape", "dtype", "layout", "device"):
            if getattr(a, what) != getattr(b, what):
                return f"output {k}: {what} {getattr(a, what)} instead of {getattr(b, what)}"
        a, b = _plain(a), _plain(b)
        if torch.equal(a, b):
            continue
        if not b.is_floating_point():
            return f"output {k}: other numbers"
        eps = torch.finfo(b.dtype).eps
        a, b = a.double(), b.double()
        finite = torch.isfinite(b)
        if not torch.equal(torch.nan_to_num(a[~finite], 1.5), torch.nan_to_num(b[~finite], 1.5)):
            return f"output {k}: not finite in other places"
        if not torch.isfinite(a[finite]).all():
            return f"output {k}: not finite in other places"
        error = (a[finite] - b[finite]).abs()
        if (error <= ulps * eps * b[finite].abs()).all():
            continue
        if nearby is None:
            return f"output {k}: off by {_figure(error.max())}"
        if moved is None:
            moved = nearby()
        change = (_plain(moved[k]).double() - b).abs().nan_to_num(0.0, posinf=0.0)
        allowed = ulps * (eps * b[finite].abs().max() + change.max())
        if error.max() > allowed:
            return f"output {k}: off by {_figure(error.max())}, where {_figure(allowed)} is allowed"
    return None


def _plain(x):
    x = x.detach().resolve_conj().resolve_neg()
    if x.dtype is torch.complex32:
        return torch.view_as_real(x)
    return torch.view_as_real(x) if x.is_complex() else x


def _figure(x):
    return f"{float(x):.1e}"


# -- what is held against torch ----------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """How many samples of an op passed in a category, and what failed."""

    run: int = 0
    failures: list[str] = field(default_factory=list)
    excepted: dict = field(default_factory=dict)

    @property
    def passed(self):
        return self.run - len(self.failures) - sum(self.excepted.values())


def run(pair, category) -> Outcome:
    """All samples of an op in a category. What EXCEPTIONS knows of is counted apart."""
    outcome = Outcome()
    exceptions = [e for e in EXCEPTIONS if e.covers(pair.name, category)]
    for info in infos(pair):
        for label, check in CHECKS[category](pair, info):
            outcome.run += 1
            why = attempt(check, pair.op)
            if why is None:
                continue
            if attempt(check, pair.builtin) is not None:
                why = f"(torch's own fails this, too) {why}"
            text = f"{info.full_name} {label}: {why}"
            known = next((e for e in exceptions if re.search(e.match, text)), None)
            if known is None:
                outcome.failures.append(text)
            else:
                outcome.excepted[known] = outcome.excepted.get(known, 0) + 1
    return outcome


def stale(pair, category, outcome):
    """The exceptions that should have occurred and did not."""
    expected = [e for e in EXCEPTIONS if e.covers(pair.name, category) and not e.sometimes]
    return [e.match for e in expected if e not in outcome.excepted]


def is_steady(name, category):
    """Whether what is recorded of an op is the same on all processors."""
    return not any(e.sometimes and e.covers(name, category) for e in EXCEPTIONS)


def attempt(check, op):
    """What a check has against an op; an exception is a failure, too."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's own, about its samples
        try:
            return check(op)
        except Exception as error:
            return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def in_order(dtypes):
    return sorted(dtypes, key=str)


def described(dtype, sample):
    """A sample in a few words."""
    flat, spec = tree_flatten((sample.input, sample.args, sample.kwargs))
    words = [
        f"{x.dtype}".removeprefix("torch.") + f"{list(x.shape)}" if isinstance(x, torch.Tensor) else x for x in flat
    ]
    input, args, kwargs = tree_unflatten(words, spec)
    parts = [str(input), *map(str, args), *(f"{k}={v}" for k, v in kwargs.items())]
    return f"{str(dtype).removeprefix('torch.')} ({', '.join(parts)})"


# Each check yields, for each sample, what the sample is, and a function that says what an op does wrong with it.


def check_value(pair, info):
    """Every dtype and every sample: the same numbers, dtypes, shapes and kinds of output as torch's function."""
    from torch.testing._internal.opinfo.core import BinaryUfuncInfo, UnaryUfuncInfo

    elementwise = isinstance(info, (BinaryUfuncInfo, UnaryUfuncInfo))

    def check(sample, op):
        call = Call(sample, all_tensors=True)
        theirs = call(pair.builtin, call.tensors)
        before = [x.clone() for x in call.tensors]
        ours = call(op, call.tensors)
        if type(ours) is not type(theirs):
            return f"a {type(ours).__name__} instead of a {type(theirs).__name__}"
        if difference(call.tensors, before):
            return "the input has changed"

        def nearby():
            return tensors_of(call(pair.builtin, call.nearby()))

        return difference(tensors_of(ours), tensors_of(theirs), None if elementwise else nearby)

    for kind in ("sample_inputs", "reference_inputs"):
        if kind == "reference_inputs" and info.reference_inputs_func is None:
            continue  # they would be the sample inputs again
        for dtype in in_order(info.supported_dtypes("cpu")):
            for sample in drawn(info, kind, dtype):
                label = ("reference " if kind == "reference_inputs" else "") + described(dtype, sample)
                yield label, functools.partial(check, sample)


def differentiable_samples(info, dtypes=None):
    for dtype in in_order(info.supported_backward_dtypes("cpu")):
        if dtypes is None or dtype in dtypes:
            for sample in drawn(info, "sample_inputs", dtype, requires_grad=True):
                yield dtype, sample


def check_gradient(pair, info):
    """The gradient is torch's, in every dtype, and what differences say, in double precision."""

    def gradient(f, tensors):
        out = [y for y in f(*tensors) if y.requires_grad]
        if not out:
            return [None for _ in tensors]
        return torch.autograd.grad(out, tensors, random_like(out, 1), allow_unused=True)

    def check(call, op):
        ours = gradient(call.differentiable(op), call.tensors)
        theirs = gradient(call.differentiable(pair.builtin), call.tensors)
        why = difference(ours, theirs, lambda: gradient(call.differentiable(pair.builtin), call.nearby()))
        return why and f"differs from torch's: {why}"

    for dtype, sample in differentiable_samples(info):
        yield described(dtype, sample), functools.partial(check, Call(sample))
    options = {"check_batched_grad": info.check_batched_grad, "check_grad_dtypes": True}
    yield from by_differences(gradcheck, info, options, FIRST)


def check_forward(pair, info):
    """The tangent is torch's, in every dtype, and what differences say, in double precision. The wrapper is torch's: a
    tangent of a Hermitian matrix is Hermitian."""

    def tangent(f, tensors):
        with forward_ad.dual_level():
            dots = random_like(tensors, 2)
            out = f(*(forward_ad.make_dual(x.detach(), dot) for x, dot in zip(tensors, dots, strict=True)))
            return [forward_ad.unpack_dual(y).tangent for y in out]

    def check(call, op):
        f, g = (call.differentiable(h, info.gradcheck_wrapper) for h in (op, pair.builtin))
        why = difference(tangent(f, call.tensors), tangent(g, call.tensors), lambda: tangent(g, call.nearby()))
        return why and f"differs from torch's: {why}"

    if not info.supports_forward_ad:
        return
    for dtype, sample in differentiable_samples(info):
        yield described(dtype, sample), functools.partial(check, Call(sample))
    options = {
        "check_forward_ad": True,
        "check_backward_ad": False,
        "check_undefined_grad": False,
        "check_batched_grad": False,
        "check_batched_forward_grad": info.check_batched_forward_grad,
    }
    yield from by_differences(gradcheck, info, options, FIRST)


def check_second(pair, info):
    """Reverse and forward derivatives of the gradient are what differences say."""
    if not info.supports_gradgrad:
        return
    options = {
        "check_fwd_over_rev": info.supports_fwgrad_bwgrad,
        "check_undefined_grad": False,
        "check_batched_grad": False,
        "check_grad_dtypes": True,
    }
    yield from by_differences(gradgradcheck, info, options, SECOND)


# A derivative by differences takes 3 ms, and a second one 30 ms; some functions have hundreds of samples. At most so
# many of a dtype are held against differences.
FIRST, SECOND = 72, 36


def by_differences(gradcheck, info, options, at_most):
    """Checks of the samples in double precision by one of torch.autograd's functions."""

    def check(call, op):
        if not call.tensors:
            return None
        f = call.differentiable(op, info.gradcheck_wrapper)
        if not any(y.requires_grad for y in f(*call.tensors)):
            return None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            gradcheck(f, call.tensors, fast_mode=True, nondet_tol=info.gradcheck_nondet_tol, **options)
        return None

    for dtype in DOUBLE:
        for _, sample in thinned(list(differentiable_samples(info, [dtype])), at_most):
            yield f"{gradcheck.__name__} {described(dtype, sample)}", functools.partial(check, Call(sample))


def thinned(samples, at_most):
    """Every s-th sample, so that at most so many are left. s has no factor in common with their number, as the samples
    often are a product of options, of which none should be left out."""
    step = -(-len(samples) // at_most) or 1
    while math.gcd(step, len(samples)) > 1 and len(samples) > at_most:
        step += 1
    return samples[::step]


def check_vmap(pair, info):
    """vmap along the first and the last dimension of each tensor, and with each of several tensors left unbatched, held
    against a loop over torch's function."""

    def loop(call, members):
        return [torch.stack(out) for out in zip(*(tensors_of(call(pair.builtin, x)) for x in members), strict=True)]

    def check(call, in_dims, op):
        # A batch of multiples: they are as triangular, Hermitian and definite as the sample, but not the same.
        members = [
            [x if dim is None else scaled(x, factor) for x, dim in zip(call.tensors, in_dims, strict=True)]
            for factor in (1.0, 1.25, 0.75)
        ]
        stacked = [
            copies[0] if dim is None else torch.stack(copies, dim)
            for copies, dim in zip(zip(*members, strict=True), in_dims, strict=True)
        ]
        ours = torch.func.vmap(lambda *tensors: tuple(tensors_of(call(op, tensors))), in_dims)(*stacked)
        return difference(ours, loop(call, members), lambda: loop(call, map(rounded, members)))

    for dtype in DOUBLE:
        if dtype not in info.supported_dtypes("cpu"):
            continue
        for sample in drawn(info, "sample_inputs", dtype):
            call = Call(sample, all_tensors=True)
            n = len(call.tensors)
            ways = [(0,) * n, (-1,) * n] if n else []
            if n > 1:
                ways += [tuple(None if i == k else 0 for i in range(n)) for k in range(n)]
            for in_dims in ways:
                yield f"in_dims={in_dims} {described(dtype, sample)}", functools.partial(check, call, in_dims)


def check_errors(pair, info):
    """What torch refuses is refused with an exception of that type, and torch's message or one that names the op."""

    def raised(op, call):
        try:
            call(op, call.tensors)
        except Exception as error:
            return error
        return None

    def check(error_input, op):
        call = Call(error_input.sample_input, all_tensors=True)
        theirs, ours = raised(pair.builtin, call), raised(op, call)
        if ours is None:
            return f"no error; torch: {theirs!r}"
        if not isinstance(ours, type(theirs)):
            return f"{type(ours).__name__} instead of {type(theirs).__name__}: {ours}"
        name = pair.builtin.__name__.removeprefix("linalg_")
        if not re.search(error_input.error_regex, str(ours)) and name not in str(ours):
            return f"the message neither is torch's nor names the op: {ours}"
        return None

    if info.error_inputs_func is None:
        return
    for error_input in drawn(info, "error_inputs"):
        sample = error_input.sample_input
        yield described(getattr(sample.input, "dtype", ""), sample), functools.partial(check, error_input)


CHECKS = {
    "value": check_value,
    "gradient": check_gradient,
    "forward": check_forward,
    "second": check_second,
    "vmap": check_vmap,
    "errors": check_errors,
}


# -- what is known to fail ---------------------------------------------------------------------------------------------


class Known(NamedTuple):
    """Something that fails, for a reason. It has to fail for each of the ops, or the entry is out of date; unless it
    does so `sometimes`, as the rounding of the library's kernels has it, which are others on other processors."""

    ops: tuple[str, ...]
    category: str
    match: str  # a regular expression, to be found in what a failure says
    reason: str
    sometimes: bool = False

    def covers(self, name, category):
        return name.removeprefix("torch_ops.") in self.ops and category == self.category


EXCEPTIONS = (
    Known(
        ("add", "mul", "multiply", "sub", "subtract"),
        "gradient",
        r" complex32 .*\(torch's own fails this, too\) NotImplementedError",
        "PyTorch cannot sum complex numbers of half precision, which the gradient of a broadcast input needs.",
    ),
    Known(
        ("cat", "concatenate"),
        "second",
        r"\[0\].*\(torch's own fails this, too\) RuntimeError: The size of tensor a",
        "An empty vector beside matrices is allowed for old times' sake, and PyTorch's second derivative fails there.",
    ),
    Known(
        ("cat", "concatenate"),
        "errors",
        r"out=.*: TypeError instead of RuntimeError: .*out= is not taken",
        "`out=` is refused, whatever else is wrong with the call.",
    ),
    Known(
        ("cholesky", "cholesky (rule)", "linalg.cholesky_ex"),
        "gradient",
        r"^linalg.cholesky(_ex)? complex\d+ .*: differs from torch's",
        "PyTorch's gradient is not Hermitian. Ours is, and passes gradcheck.",
    ),
    Known(
        ("cholesky_inverse", "cholesky_inverse (rule)"),
        "gradient",
        r"^cholesky_inverse \w+ .*: differs from torch's",
        "PyTorch's gradient leaks into the triangle of L that is not read. Ours passes gradcheck.",
    ),
    Known(
        ("cholesky_inverse", "cholesky_inverse (rule)"),
        "forward",
        r"^cholesky_inverse \w+ .*: differs from torch's",
        "PyTorch's tangent is wrong. Ours passes gradcheck.",
    ),
    Known(
        ("cholesky_solve", "cholesky_solve (rule)"),
        "gradient",
        r"^cholesky_solve \w+ .*: differs from torch's",
        "PyTorch's gradient leaks into the triangle of L that is not read. Ours passes gradcheck.",
    ),
    *(
        Known(
            ("eig", "eigvals", "eigvals (rule)"),
            category,
            r"^linalg.eig(vals)? .*output \d: off by",
            "Eigenvalues are in the order of Re w + Im w/π, phases of eigenvectors are fixed. PyTorch leaves both to "
            "LAPACK.",
        )
        for category in ("value", "gradient", "forward", "vmap")
    ),
    *(
        Known(
            ("eigh", "eigh (rule)"),
            category,
            r"^linalg.eigh .*output 1: off by",
            "The signs of the eigenvectors, or their phases, are fixed. PyTorch leaves them to LAPACK.",
        )
        for category in ("value", "vmap")
    ),
    Known(
        ("householder_product (rule)",),
        "gradient",
        r"\[0\]\): differs from torch's: output 0: a tensor instead of None",
        "Without reflections, the gradient is zeros, and PyTorch's none.",
    ),
    *(
        Known(
            ("svd", "svd (rule)"),
            category,
            r"^linalg.svd .*output \d: off by",
            "The signs of the singular vectors, or their phases, are fixed. PyTorch leaves them to LAPACK.",
        )
        for category in ("value", "vmap")
    ),
    *(
        Known(
            ("lstsq", "lstsq (rule)"),
            category,
            r"^linalg.lstsq .*output \d: shape torch.Size\(.*\) instead of torch.Size\(\[(3, )?0\]\)",
            "Residuals, ranks and singular values are there for each driver and shape. PyTorch leaves some empty.",
        )
        for category in ("value", "vmap")
    ),
    Known(
        ("lstsq", "lstsq (rule)"),
        "gradient",
        r"^linalg.lstsq .*differs from torch's: output 0",
        "Singular values have a derivative, which is part of the gradient here. PyTorch's have none.",
    ),
    Known(
        ("lstsq", "lstsq (rule)"),
        "second",
        r"gradgradcheck .*\[3, 3, 2, 3\].*Jacobian mismatch",
        "Singular values 0.001 apart: the differences need a smaller step than gradgradcheck's, with which it passes.",
    ),
    Known(
        ("pinv", "pinv (rule)"),
        "vmap",
        r"^linalg.pinv .*rtol=.*RuntimeError: Either your tensor may have escaped",
        "Tolerances are constants, which vmap cannot batch.",
    ),
    *(
        Known(
            ("pinv", "pinv (rule)"),
            category,
            r"^linalg.pinv.hermitian .*output 0: off by",
            "The Hermitian part is taken, where PyTorch reads the lower triangle.",
        )
        for category in ("value", "gradient", "vmap")
    ),
    *(
        Known(
            ("matrix_exp", "matrix_exp (rule)"),
            category,
            r"^matrix_exp b?float16 .*not finite in other places",
            "PyTorch squares in half precision, where that overflows. Ours squares in single precision.",
        )
        for category in ("value", "gradient", "forward")
    ),
    Known(
        ("matrix_exp", "matrix_exp (rule)"),
        "vmap",
        r"^matrix_exp in_dims=.* float64 .*: off by",
        "Squarings add up rounding: PyTorch's result is some 20 ulps off for such matrices, ours some 5.",
        sometimes=True,
    ),
    *(
        Known(names, category, match, reason)
        for category in ("gradient", "forward")
        for names, match, reason in (
            (
                ("linalg.vector_norm",),
                r"^linalg.vector_norm float16 .*: differs from torch's",
                "PyTorch takes powers in half precision, where they overflow.",
            ),
            (
                ("linalg.norm",),
                r"^linalg.norm.subgradients_at_zero .* nuc, .*: differs from torch's",
                "Of the subgradients of the nuclear norm at zero, ours is 0.",
            ),
        )
    ),
    Known(
        ("linalg.norm",),
        "forward",
        r"^linalg.norm\S* complex64 .*off by 1\..e-0[78], where",
        "The last bits.",
    ),
    Known(
        ("linalg.norm",),
        "second",
        r"^linalg.norm.subgradients_at_zero .*\(torch's own fails this, too\)",
        "There is no second derivative at zero.",
    ),
    Known(
        ("solve (rule)",),
        "value",
        r"^linalg.solve .*(does not fit A|instead of torch.Size)",
        "A batch of vectors is a matrix to the rule; the op makes a column of each.",
    ),
    Known(
        ("solve (rule)",),
        "gradient",
        r"^linalg.solve .*(does not fit A|instead of torch.Size)",
        "A batch of vectors is a matrix to the rule; the op makes a column of each.",
    ),
    Known(
        ("solve (rule)",),
        "forward",
        r"^linalg.solve .*(does not fit A|instead of torch.Size)",
        "A batch of vectors is a matrix to the rule; the op makes a column of each.",
    ),
    Known(
        ("solve (rule)",),
        "second",
        r"^linalg.solve .*(does not fit A|instead of torch.Size)",
        "A batch of vectors is a matrix to the rule; the op makes a column of each.",
    ),
    Known(
        ("solve (rule)",),
        "vmap",
        r"^linalg.solve .*(does not fit A|instead of torch.Size)",
        "A batch of vectors is a matrix to the rule; the op makes a column of each.",
    ),
    Known(
        ("trace (rule)",),
        "value",
        r"^trace u?int\d+ .*: DtypeError",
        "Rules take no integers; the op passes them on.",
    ),
    Known(
        ("trace", "trace (rule)"),
        "errors",
        r"no error; torch: RuntimeError\('trace: expected a matrix",
        "PyTorch takes one matrix, ours a batch, too.",
    ),
)

# What torch's database does not have.
ABSENT: dict[str, str] = {}


# -- the report --------------------------------------------------------------------------------------------------------


def report() -> str:
    """What passed, as a page of Markdown. It takes a minute or two."""
    lines, excepted, total = [], {}, Outcome()
    for pair in pairs().values():
        if not infos(pair):
            continue
        outcomes = {category: run(pair, category) for category in CATEGORIES}
        lines.append(row(pair, outcomes))
        for outcome in outcomes.values():
            total.run += outcome.run
            total.failures += outcome.failures
            for known, count in outcome.excepted.items():
                total.excepted[known] = total.excepted.get(known, 0) + count
                excepted.setdefault(known, []).append(f"`{pair.name}` ({count})")
    ours = sum(RULE not in line for line in lines)
    absent = [f"- `{name}`: {why}" for name, why in ABSENT.items()]
    return "\n".join([
        "# The ops in PyTorch's operator database",
        "",
        "PyTorch tests its own functions with a database of inputs, which comes with it. Here those of each",
        "function run through the op of that name, and through the rule behind it where small matrices, as these are,",
        f"are passed to PyTorch's own function. With PyTorch {torch.__version__.partition('+')[0]}, "
        f"{total.passed:,} of {total.run:,} checks",
        f"of {ours} ops pass.",
        "",
        "- **value**: the same numbers, dtypes, shapes and kinds of output, for all sample and reference inputs in",
        "  every dtype that PyTorch's function takes.",
        "- **gradient**, **forward**: the gradient and the tangent are PyTorch's, for all samples in every dtype.",
        f"  In double precision up to {FIRST} samples of a dtype are held against differences as well.",
        "- **second**: the derivatives of the gradient, in reverse and forward mode, are what differences say, for up",
        f"  to {SECOND} samples of a dtype in double precision.",
        "- **vmap**: along the first and the last dimension, and with each of several inputs left unbatched, as a loop",
        "  over PyTorch's function.",
        "- **errors**: what PyTorch refuses is refused with its exception, and its message or one that names the op.",
        "",
        f"| op | stands for | {' | '.join(CATEGORIES)} |",
        f"| --- | --- | {' | '.join('---' for _ in CATEGORIES)} |",
        *lines,
        "",
        "## Exceptions",
        "",
        "| op (checks) | category | why |",
        "| --- | --- | --- |",
        *(f"| {', '.join(ops)} | {known.category} | {known.reason} |" for known, ops in excepted.items()),
        *(["", "Not run:", "", *absent] if absent else []),
        *(["", "## Failures", "", *(f"- {text}" for text in total.failures)] if total.failures else []),
        "",
    ])  # fmt: skip


def row(pair, outcomes):
    return f"| `{pair.name}` | `{pair.builtin_name}` | {' | '.join(map(cell, outcomes.values()))} |"


def cell(outcome):
    return f"{outcome.passed} of {outcome.run}" if outcome.run else ""


def recorded(page):
    """What a page that `report` wrote says of each op and category, or nothing where it is about another PyTorch."""
    if f"With PyTorch {torch.__version__.partition('+')[0]}," not in page:
        return {}
    rows = re.findall(r"^\| `(torch_ops.*?)` \| `.*?` \| (.*) \|$", page, re.MULTILINE)
    return {
        (name, category): text
        for name, cells in rows
        for category, text in zip(CATEGORIES, cells.split(" | "), strict=True)
    }


if __name__ == "__main__":
    print(report())
