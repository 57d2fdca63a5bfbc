"""Every primitive of the registry as a PyTorch op: first and second derivatives, forward and reverse mode, the
transforms of torch.func. May import `torch_ops`.

`torch.autograd.gradcheck` passes a gradient that is off by a factor 1.001; with the tolerances here it does not.
"""

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd.gradcheck import GradcheckError  # noqa: E402

import torch_ops  # noqa: E402 - makes the primitives ops of torch
from overbar import jacobian, verify  # noqa: E402
from overbar._front import NUMPY  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.verify import call  # noqa: E402
from tests.compare import close, error  # noqa: E402
from tests.torch_ops.common import TIGHT, loss, op, real_op, several, tensors  # noqa: E402
from tests.torch_ops.own import OWN_PRIMITIVES  # noqa: E402, F401 - `sample` and `first` run over them, too

# Of torch.func.vmap, about the function that makes matrices Hermitian here.
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop .* aten..*_conj_physical:UserWarning")

DOUBLE = [np.float64, np.complex128]
SINGLE = [np.float32, np.complex64]


# ---------------------------------------------------------------------------------------------------------------------
# Derivatives


@pytest.mark.parametrize("dtype", DOUBLE)
def test_first_derivatives(sample, dtype):
    """Reverse mode, forward mode, both with many directions at a time, and with cotangents that are absent."""
    case = sample.draw(dtype)
    assert torch.autograd.gradcheck(
        op(sample.primitive, case.options),
        tensors(case),
        check_forward_ad=True,
        check_batched_grad=True,
        check_batched_forward_grad=True,
        check_undefined_grad=True,
        **TIGHT,
    )


@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.turns(2)
def test_second_derivatives(sample, dtype):
    """Reverse over reverse and forward over reverse."""
    case = sample.draw(dtype)
    assert torch.autograd.gradgradcheck(
        op(sample.primitive, case.options),
        tensors(case),
        check_fwd_over_rev=True,
        check_rev_over_rev=True,
        check_batched_grad=True,
        **TIGHT,
    )


@pytest.mark.parametrize("dtype", DOUBLE)
@pytest.mark.parametrize("batch", [(), (2, 3), [(3, 1), (4,), ()]], ids=str)
@pytest.mark.turns(2)
def test_derivatives_in_a_batch(first, dtype, batch):
    case = first.draw(dtype, batch)
    inputs = tensors(case)
    assert torch.autograd.gradcheck(op(first.primitive, case.options), inputs, fast_mode=True, **TIGHT)
    assert torch.autograd.gradgradcheck(
        op(first.primitive, case.options), inputs, fast_mode=True, check_fwd_over_rev=True, **TIGHT
    )


def second_derivative_error(primitive, case):
    """A second derivative along a random direction, reverse over reverse and forward over reverse, against fourth-order
    central differences of the first gradient: the largest relative error."""
    g, x = loss(primitive, case.options), tensors(case)
    rng = np.random.default_rng(3)
    v = [torch.tensor(verify.noise(rng, a).astype(a.dtype)) for a in case.arrays]

    def gradient(step):
        points = [(a.detach() + step * d).requires_grad_() for a, d in zip(x, v, strict=True)]
        return torch.autograd.grad(g(*points), points)

    h = 1e-4
    near, near_, far, far_ = (gradient(s * h) for s in (1, -1, 2, -2))
    differences = [(8 * (a - b) - (c - d)) / (12 * h) for a, b, c, d in zip(near, near_, far, far_, strict=True)]
    first = torch.autograd.grad(g(*x), x, create_graph=True)
    inner = sum((a.conj() * d).real.sum() for a, d in zip(first, v, strict=True))
    over_reverse = torch.autograd.grad(inner, x)
    _, over_forward = torch.func.jvp(
        lambda *points: torch.func.grad(g, argnums=tuple(range(len(points))))(*points),
        tuple(t.detach() for t in x),
        tuple(v),
    )
    both = over_reverse, over_forward
    return np.max([error(a, b) for found in both for a, b in zip(found, differences, strict=True)])


@pytest.mark.parametrize("dtype", DOUBLE)
def test_second_derivative_is_that_of_the_first_gradient(sample, dtype):
    assert second_derivative_error(sample.primitive, sample.draw(dtype)) < 1e-7


def test_forward_over_forward_and_reverse_over_forward_agree_with_reverse_over_reverse(first):
    case = first.draw()
    g, x = loss(first.primitive, case.options), tensors(case, requires_grad=False)
    for i in range(len(x)):
        of = lambda t, i=i: g(*x[:i], t, *x[i + 1 :])  # noqa: E731
        expected = torch.func.jacrev(torch.func.jacrev(of))(x[i])
        assert expected.abs().max() > 1e-3 or first.primitive.argument(i) in first.primitive.integer
        for outer, inner in itertools.product((torch.func.jacfwd, torch.func.jacrev), repeat=2):
            close(outer(inner(of))(x[i]), expected, 1e-11)


def test_first_derivatives_agree_with_the_rules_in_numpy(sample):
    """torch.func.jacrev, jacfwd and NumPy's jacobian of the same rule, for each argument."""
    primitive, case = sample.primitive, sample.draw()
    x = tensors(case, requires_grad=False)
    if primitive.outputs == 1 and not primitive.hermitian:
        for i in range(len(x)):
            expected = jacobian(lambda *a: call(primitive, a, case.options), *case.arrays, argnum=i)
            f = op(primitive, case.options)
            close(torch.func.jacrev(f, argnums=i)(*x), expected, 1e-11)
            close(torch.func.jacfwd(f, argnums=i)(*x), expected, 1e-11)
    else:
        f = real_op(primitive, case.options)
        for i in range(len(x)):
            reverse, forward = torch.func.jacrev(f, argnums=i)(*x), torch.func.jacfwd(f, argnums=i)(*x)
            for a, b in zip(several(reverse), several(forward), strict=True):
                close(a, b, 1e-11)


# ---------------------------------------------------------------------------------------------------------------------
# vmap


@pytest.mark.parametrize("dtype", DOUBLE)
def test_vmap_is_a_loop(sample, dtype):
    """For each choice of mapped arguments, mapped along the first and along the last dimension."""
    primitive = sample.primitive
    single, batched = sample.draw(dtype), sample.draw(dtype, (3,))
    f = op(primitive, single.options)
    count = len(single.arrays)
    for mapped in itertools.product([False, True], repeat=count):
        if not any(mapped):
            continue
        x = [torch.tensor(b if m else a) for a, b, m in zip(single.arrays, batched.arrays, mapped, strict=True)]
        expected = [f(*(t[k] if m else t for t, m in zip(x, mapped, strict=True))) for k in range(3)]
        for dim in (0, -1):
            moved = [t.movedim(0, dim) if m else t for t, m in zip(x, mapped, strict=True)]
            in_dims = tuple(dim if m else None for m in mapped)
            found = torch.func.vmap(f, in_dims=in_dims)(*moved)
            for out, loop in zip(several(found), zip(*map(several, expected), strict=True), strict=True):
                close(out, torch.stack(loop), 1e-11)


def test_a_batch_as_large_as_its_matrices_is_a_loop(first):
    """Where every size is 3, shapes do not tell a batch of vectors from a matrix, but the signature does."""
    primitive, options = first.primitive, first.draw().options
    if primitive.signature.whole:
        pytest.skip("a function of whole arrays knows no matrices")
    if primitive.name == "eigh_tridiagonal":
        pytest.skip("its two vectors cannot be of one size")
    if primitive.name == "spectral_function":
        pytest.skip("its functions take as many parameters as there are")
    if primitive.integer:
        pytest.skip("its pivots are not any numbers")
    if primitive.name == "cholesky_downdate":
        pytest.skip("its second matrix must be smaller than the first")
    if primitive.name == "lstsq":
        pytest.skip("what square matrices leave is rounding, and another one in a batch")
    if primitive.name == "cholesky_banded":
        pytest.skip("the band of a positive definite matrix is none")
    if primitive.name == "solve_continuous_are":
        pytest.skip("with such a cross term S, Q − S R⁻¹ Sᵀ is not positive definite, and nothing need be stable")
    rng = np.random.default_rng(0)
    x = []
    for core in primitive.signature.inputs:
        X = torch.tensor(rng.uniform(0.5, 1, (3, *(3,) * len(core))))
        x.append(X + X.mT + 5 * torch.eye(3, dtype=X.dtype) if len(core) == 2 else X)  # positive definite
    f = op(primitive, options)
    for mapped in itertools.product([False, True], repeat=len(x)):
        if any(mapped):
            args = [t if m else t[0] for t, m in zip(x, mapped, strict=True)]
            expected = [f(*(t[k] if m else t for t, m in zip(args, mapped, strict=True))) for k in range(3)]
            for out, loop in zip(several(f(*args)), zip(*map(several, expected), strict=True), strict=True):
                close(out, torch.stack(loop), 1e-11)


def test_vmap_inside_vmap_with_a_batch_is_a_loop(first):
    """The inner one maps every argument, the outer one the first argument only, and there is a batch besides."""
    primitive = first.primitive
    inner, outer, single = first.draw(batch=(4, 2)), first.draw(batch=(3, 4, 2)), first.draw(batch=(2,))
    x = [torch.tensor(outer.arrays[0]), *(torch.tensor(a) for a in inner.arrays[1:])]
    f = op(primitive, single.options)
    found = torch.func.vmap(torch.func.vmap(f), in_dims=(0, *[None] * (len(x) - 1)))(*x)
    for i, j in itertools.product(range(3), range(4)):
        expected = f(x[0][i, j], *(t[j] for t in x[1:]))
        for a, b in zip(*map(several, (found, expected)), strict=True):
            close(a[i, j], b, 1e-11)


def test_vmap_of_derivatives_is_a_loop(sample):
    """Gradients, Jacobians and Hessian-vector products of each element of a batch."""
    single, batched = sample.draw(), sample.draw(batch=(3,))
    g, f = loss(sample.primitive, single.options), real_op(sample.primitive, single.options)
    x = tensors(batched, requires_grad=False)
    every = tuple(range(len(x)))
    gradient = torch.func.grad(g, argnums=every)

    def hvp(*points):
        return torch.func.jvp(gradient, points, points)[1]

    transforms = [gradient, hvp]
    if isinstance(f(*(t[0] for t in x)), torch.Tensor):
        transforms += [torch.func.jacrev(f, argnums=every), torch.func.jacfwd(f, argnums=every)]
    for transform in transforms:
        found = torch.func.vmap(transform)(*x)
        for k in range(3):
            for a, b in zip(found, transform(*(t[k] for t in x)), strict=True):
                close(a[k], b, 1e-11)


# ---------------------------------------------------------------------------------------------------------------------
# Dtypes, and what is not asked for


@pytest.mark.parametrize("dtype", SINGLE)
def test_single_precision_stays_single(sample, dtype):
    case = sample.draw(dtype)
    x = tensors(case)
    wide = [t.detach().to(torch.complex128 if t.is_complex() else torch.float64).requires_grad_() for t in x]
    f, g = op(sample.primitive, case.options), loss(sample.primitive, case.options)
    out, exact = f(*x), f(*wide)
    for a, b in zip(*map(several, (out, exact)), strict=True):
        assert a.dtype == (torch.complex64 if b.is_complex() else torch.float32)
        close(a, b, rtol=1e-5)
    bars = torch.autograd.grad(g(*x), x, create_graph=True)
    wide_bars = torch.autograd.grad(g(*wide), wide)
    assert [bar.dtype for bar in bars] == [t.dtype for t in x]
    for a, b in zip(bars, wide_bars, strict=True):
        close(a, b, rtol=1e-4)
    second = torch.autograd.grad(sum(bar.abs().square().sum() for bar in bars), x)
    assert [bar.dtype for bar in second] == [t.dtype for t in x]
    _, dot = torch.func.jvp(f, tuple(t.detach() for t in x), tuple(t.detach() for t in x))
    for a, b in zip(*map(several, (dot, out)), strict=True):
        assert a.dtype == b.dtype


def test_a_gradient_that_nobody_asks_for_is_not_computed(sample, monkeypatch):
    primitive, case = sample.primitive, sample.draw()
    rule, computed = primitive.vjp_rule, []

    def watched(*args, **options):
        thunks = rule(*args, **options)
        return tuple(lambda i=i, thunk=thunk: computed.append(i) or thunk() for i, thunk in enumerate(thunks))

    monkeypatch.setattr(primitive, "vjp_rule", watched)
    g = loss(primitive, case.options)
    for i in range(len(case.arrays)):
        computed.clear()
        x = [t.detach().requires_grad_(i == j) for j, t in enumerate(tensors(case))]
        torch.autograd.grad(g(*x), x[i])
        assert computed == [i]


def test_the_result_of_constants_is_a_constant(first):
    case = first.draw()
    out = call(first.primitive, tensors(case, requires_grad=False), case.options)
    assert not any(o.requires_grad for o in several(out))


def test_a_graph_shows_the_name_of_the_primitive(first):
    case = first.draw()
    out = call(first.primitive, tensors(case), case.options)
    out = several(out)[0]
    expected = "".join(part.capitalize() for part in first.primitive.name.split("_"))
    names, pending = set(), [out.grad_fn]
    while pending:
        node = pending.pop()
        names.add(type(node).__name__)
        pending += [parent for parent, _ in node.next_functions if parent is not None]
    assert f"{expected}Backward" in names


def test_there_is_an_op_of_each_primitive(primitive):
    names = [name for name in torch_ops.__all__ if getattr(getattr(torch_ops, name), "primitive", None) is primitive]
    assert names


# ---------------------------------------------------------------------------------------------------------------------
# Bad input


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_a_tensor_that_is_not_floating_is_refused_by_name(first, dtype):
    primitive, case = first.primitive, first.draw()
    for i in range(len(case.arrays)):
        if primitive.argument(i) in primitive.integer:
            continue
        x = [t.to(dtype) if i == j else t for j, t in enumerate(tensors(case, requires_grad=False))]
        with pytest.raises(
            torch.linalg.LinAlgError, match=f"argument {_escaped(primitive.argument(i))} has dtype {dtype}"
        ):
            call(primitive, x, case.options)


def test_a_tensor_that_is_not_square_is_refused_by_name(first):
    primitive, case = first.primitive, first.draw()
    for i, core in enumerate(primitive.signature.inputs):
        if len(core) == 2 and core[0] == core[1]:
            x = tensors(case, requires_grad=False)
            x[i] = torch.ones(4, 5, dtype=torch.float64)
            with pytest.raises(
                torch.linalg.LinAlgError, match=f"argument {primitive.argument(i)} of shape.*not square"
            ):
                call(primitive, x, case.options)


def _escaped(name):
    return name.replace("[", r"\[").replace("]", r"\]")


# ---------------------------------------------------------------------------------------------------------------------
# These tests catch wrong rules


def test_a_factor_is_caught_by_the_first_derivative(first):
    for m in verify.rule_mutations(first.primitive):
        if "1.001" not in m.name:
            continue
        caught = 0
        for case in verify.draw_cases(first.primitive):
            forward = "tangent" in m.name
            try:
                torch.autograd.gradcheck(
                    op(m.primitive, case.options), tensors(case), check_forward_ad=forward, **TIGHT
                )
            except GradcheckError:
                caught += 1
        assert caught, m.name


def test_a_saved_intermediate_taken_for_a_constant_is_caught_by_the_second_derivative():
    right = REGISTRY["inv_congruence"]

    def vjp(bars, outputs, A, B):
        C, X = outputs
        return right.vjp_rule(bars, (C, X.detach()), A, B)

    wrong = verify.altered(right, vjp_rule=vjp)

    (case,) = verify.draw_cases(right)
    assert second_derivative_error(right, case) < 1e-7
    assert torch.autograd.gradcheck(op(wrong, case.options), tensors(case), **TIGHT)  # the first one is right
    assert second_derivative_error(wrong, case) > 1e-3


def test_the_tolerances_of_torch_itself_would_not_do():
    """Why TIGHT: gradcheck's own tolerances pass a gradient that is off by 1.001."""
    (case,) = verify.draw_cases(REGISTRY["exp"])
    (mutation,) = [m for m in verify.rule_mutations(REGISTRY["exp"]) if m.name == "bar of A times 1.001"]
    assert torch.autograd.gradcheck(op(mutation.primitive, {}), tensors(case))
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(op(mutation.primitive, {}), tensors(case), **TIGHT)


def test_ops_of_torch_and_numpy_do_not_mix_with_tracing_state():
    """A rule asked by NumPy after torch used it gives the same bars: nothing of a call is kept in the primitive."""
    for primitive in REGISTRY.values():
        case = verify.draw_cases(primitive)[0]
        outputs = primitive.run(case.arrays, case.options)
        bars = [np.ones_like(out) for out in outputs]
        before = primitive.pull(NUMPY, bars, outputs, case.arrays, case.options)
        loss(primitive, case.options)(*tensors(case)).backward()
        after = primitive.pull(NUMPY, bars, outputs, case.arrays, case.options)
        assert all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))
