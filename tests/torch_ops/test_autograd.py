"""Every primitive under PyTorch's autograd: what a user may do with torch's own functions besides asking for a
gradient. May import `torch_ops`.

Primitives are called by their own names, so that the wrapper is what is tested: the ops of `torch_ops` may pass a call
on to PyTorch.
"""

import gc
import itertools
import threading
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd import functional, graph  # noqa: E402
from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402
from torch.utils.checkpoint import checkpoint  # noqa: E402

import overbar  # noqa: E402
import torch_ops  # noqa: E402
from overbar import verify  # noqa: E402
from overbar.verify import call  # noqa: E402
from tests.compare import close, error  # noqa: E402
from tests.conftest import Sample  # noqa: E402
from tests.torch_ops.common import (  # noqa: E402
    condensed,
    derivatives,
    directions,
    loss,
    op,
    real_op,
    several,
    smooth,
    tensors,
)
from tests.torch_ops.own import OWN_PRIMITIVES, cubic_product, moments  # noqa: E402, F401 - `first` runs over them, too
from torch_ops import _function as wrapper  # noqa: E402

DOUBLE = [np.float64, np.complex128]


def gradients(g, x, **options):
    return torch.autograd.grad(g(*x), x, **options)


def outputs_of(first, x):
    return smooth(call(first.primitive, x, first.draw().options))


# ---------------------------------------------------------------------------------------------------------------------
# Derivatives of any order


def highest_errors(primitive, case):
    """For the first, second and third derivative in reverse mode: how far it is from differences of the one before."""
    f, x = op(primitive, case.options), tensors(case, requires_grad=False)
    D = directions(case.arrays)

    def at(t, order):
        t = torch.tensor(t, requires_grad=True)
        F = lambda t: condensed(f(*(a + d @ t.to(d.dtype) for a, d in zip(x, D, strict=True))))  # noqa: E731
        return [d.numpy() for d in derivatives(F, t, order)]

    v, h = np.array([0.6, 0.8]), 1e-3
    near, near_, far, far_ = (at(s * h * v, 2) for s in (1, -1, 2, -2))
    errors = []
    for k, found in enumerate(at(0 * v, 3)[1:]):
        difference = (8 * (near[k] - near_[k]) - (far[k] - far_[k])) / (12 * h)
        assert abs(difference).max() > 1e-4
        errors.append(error(found @ v, difference))
    return errors


@pytest.mark.parametrize("dtype", DOUBLE)
def test_three_derivatives(sample, dtype):
    assert np.max(highest_errors(sample.primitive, sample.draw(dtype))) < 1e-7


def test_a_wrong_third_derivative_is_caught():
    """A rule that is right, and whose derivative is right, but not the derivative of that."""

    def vjp_rule(C_bar, C, A):
        fixed = A.detach()
        return (lambda: C_bar * 3 * (fixed**2 + 2 * fixed * (A - fixed)),)  # 3 A², but for its second derivative

    @overbar.elementwise
    def cube(A):
        return A**3

    wrong = verify.altered(cube, vjp_rule=vjp_rule)
    first, second, third = highest_errors(wrong, verify.Case((np.array([1.0, 2.0]),)))
    assert max(first, second) < 1e-7
    assert third > 1e-2


def test_functions_of_torch_autograd_functional(first):
    case = first.draw()
    f, g, x = real_op(first.primitive, case.options), loss(first.primitive, case.options), tuple(tensors(case))
    flat = lambda *points: torch.cat([out.reshape(-1) for out in several(f(*points))])  # noqa: E731
    jacobian = functional.jacobian(flat, x)
    for options in ({"vectorize": True}, {"vectorize": True, "strategy": "forward-mode"}, {"create_graph": True}):
        for i, (a, b) in enumerate(zip(functional.jacobian(flat, x, **options), jacobian, strict=True)):
            assert b.abs().max() > 1e-3 or first.primitive.argument(i) in first.primitive.integer
            close(a, b, 1e-11)
    c = torch.linspace(1, 2, len(jacobian[0]), dtype=torch.float64)
    for a, J in zip(functional.vjp(flat, x, c)[1], jacobian, strict=True):
        close(a, torch.tensordot(c, J, 1), 1e-11)
    v = tuple(D[..., 0] for D in directions(case.arrays))
    dot = sum((J * t).reshape(len(J), -1).sum(1) for J, t in zip(jacobian, v, strict=True))
    close(functional.jvp(flat, x, v)[1], dot, 1e-11)
    hessian = functional.hessian(g, x)
    ways = [{"vectorize": True}]
    by_forward_mode = {"vectorize": True, "outer_jacobian_strategy": "forward-mode"}
    try:
        functional.hessian(g, x, **by_forward_mode)
    except RuntimeError as error:
        # Of most functions of x.mH with complex x inside, this stops in torch with "please report a bug to PyTorch".
        is_complex = any(out.is_complex() for out in several(op(first.primitive, case.options)(*x)))
        if "has_fw_view" not in str(error) or not is_complex:
            raise
    else:
        ways.append(by_forward_mode)
    for options in ways:
        for i, (found, rows) in enumerate(zip(functional.hessian(g, x, **options), hessian, strict=True)):
            assert max(row.abs().max() for row in rows) > 1e-3 or first.primitive.argument(i) in first.primitive.integer
            for a, b in zip(found, rows, strict=True):
                close(a, b, 1e-11)


def test_many_right_hand_sides_of_one_system_in_functional():
    """torch.autograd.functional maps by an older vmap than torch.func's, which does not know all of torch."""
    A = torch.tensor([[2.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
    B = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 2, 2)
    for f in (
        lambda A, B: torch_ops.solve_triangular(A, B, upper=False),
        lambda A, B: torch_ops.solve_triangular(A, B, upper=False, left=False),
        lambda A, B: torch_ops.cho_solve(A, B),
        lambda A, B: torch_ops.inv_congruence(A, B),
    ):
        jacobian = functional.jacobian(f, (A, B))
        for strategy in ("reverse-mode", "forward-mode"):
            for a, b in zip(functional.jacobian(f, (A, B), vectorize=True, strategy=strategy), jacobian, strict=True):
                assert b.abs().max() > 1e-3
                close(a, b, 1e-11)
        g = lambda A, B: (f(A, B) ** 2).sum()  # noqa: B023, E731 - it is called in this round only
        hessian = functional.hessian(g, (A, B))
        for found, rows in zip(functional.hessian(g, (A, B), vectorize=True), hessian, strict=True):
            for a, b in zip(found, rows, strict=True):
                close(a, b, 1e-11)


# ---------------------------------------------------------------------------------------------------------------------
# Graphs


def test_a_graph_that_is_kept_serves_twice_and_one_that_is_not_says_so(first):
    x = tensors(first.draw())
    out = outputs_of(first, x)
    ones = lambda: [torch.ones_like(o) for o in out]  # noqa: E731 - new ones: torch may add to them, for its own too
    once = torch.autograd.grad(out, x, ones(), retain_graph=True)
    torch.autograd.backward(out, ones(), retain_graph=True)
    torch.autograd.backward(out, ones())
    for t, bar in zip(x, once, strict=True):
        close(t.grad, 2 * bar, 1e-11)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.backward(out, ones())


@pytest.mark.turns(4)
def test_nothing_is_kept_after_a_backward_pass(first):
    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor

    kept = []

    def pack(tensor):
        packed = Kept(tensor.detach())
        kept.append(weakref.ref(packed))
        return packed

    x = tensors(first.draw())
    with graph.saved_tensors_hooks(pack, lambda packed: packed.tensor):
        out = outputs_of(first, x)
    assert kept
    assert all(reference() is not None for reference in kept)
    torch.autograd.backward(out, [torch.ones_like(o) for o in out])
    gc.collect()
    assert all(reference() is None for reference in kept)


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled:UserWarning")
def test_anomaly_mode(first):
    case = first.draw()
    g = loss(first.primitive, case.options)
    expected = gradients(g, tensors(case))
    with torch.autograd.detect_anomaly():
        x = tensors(case)
        found = gradients(g, x, create_graph=True)
        torch.autograd.grad(sum(bar.abs().square().sum() for bar in found), x)
    for a, b in zip(found, expected, strict=True):
        close(a, b, 1e-11)


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled:UserWarning")
def test_anomaly_mode_names_the_primitive_that_made_nan():
    x = torch.zeros(2, requires_grad=True)
    with torch.autograd.detect_anomaly():
        out = overbar.sqrt(x) * 0
        # what torch prints besides is where the call was
        with (
            pytest.raises(RuntimeError, match="Function 'SqrtBackward' returned nan values"),
            pytest.warns(UserWarning, match=r"(?s)Error detected in SqrtBackward.*overbar\.sqrt\(x\) \* 0"),
        ):
            out.sum().backward()


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_activation_checkpoints(first, use_reentrant):
    """The function is computed again in the backward pass, and gives the same derivatives; of second order where torch
    can do that."""
    case, calls = first.draw(), []
    inner = op(first.primitive, case.options)
    norm = lambda out: sum(o.abs().square().sum() for o in several(out))  # noqa: E731

    def f(*points):
        calls.append(points)
        return inner(*points)

    x = tensors(case)
    expected = torch.autograd.grad(norm(inner(*x)), x, create_graph=True)
    out = checkpoint(f, *x, use_reentrant=use_reentrant)
    if use_reentrant:
        torch.autograd.backward(norm(out))
        found = [t.grad for t in x]
    else:
        found = torch.autograd.grad(norm(out), x, create_graph=True)
        second = [torch.autograd.grad(sum(b.abs().square().sum() for b in bars), x) for bars in (found, expected)]
        for a, b in zip(*second, strict=True):
            close(a, b, 1e-11)
    assert len(calls) >= 2
    for a, b in zip(found, expected, strict=True):
        close(a, b, 1e-11)


def test_hooks(first):
    """On an output, on a leaf, and on the node of the graph; what a hook returns takes the place of the cotangent."""
    case = first.draw()
    f = lambda x: smooth(call(first.primitive, x, case.options))[0]  # noqa: E731
    x = tensors(case)
    out = f(x)
    ones = torch.linspace(1, 2, out.numel(), dtype=torch.float64).reshape(out.shape).to(out.dtype)
    expected = torch.autograd.grad(out, x, ones)

    x, seen = tensors(case), []
    out = f(x)
    node = out.grad_fn
    out.register_hook(lambda bar: seen.append("output") or 2 * bar)
    node.register_prehook(lambda bars: seen.append("before") or tuple(b if b is None else 3 * b for b in bars))
    node.register_hook(lambda ins, outs: seen.append("after") or tuple(b if b is None else 5 * b for b in ins))
    x[0].register_hook(lambda bar: seen.append("leaf") or 7 * bar)
    torch.autograd.backward(out, ones)
    for i, (t, bar) in enumerate(zip(x, expected, strict=True)):
        close(t.grad, 2 * 3 * 5 * (7 if i == 0 else 1) * bar, 1e-11)
    assert sorted(set(seen)) == ["after", "before", "leaf", "output"]


def test_hooks_of_a_module():
    class Cubic(torch.nn.Module):
        def forward(self, A, B):
            return cubic_product(A, B)

    A, B = (torch.randn(2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
    expected = torch.autograd.grad(cubic_product(A, B).sum(), (A, B))
    module, seen = Cubic(), []
    module.register_full_backward_hook(lambda module, ins, outs: seen.append(outs) or tuple(2 * b for b in ins))
    module.register_full_backward_pre_hook(lambda module, outs: tuple(3 * b for b in outs))
    module(A, B).sum().backward()
    assert len(seen) == 1
    for t, bar in zip((A, B), expected, strict=True):
        close(t.grad, 6 * bar, 1e-11)


def test_saved_tensors_go_through_hooks(first):
    """Everything that a backward pass needs is saved as tensors, so that hooks may put it elsewhere: here into arrays
    of NumPy, and on the CPU."""
    case = first.draw()
    g = loss(first.primitive, case.options)
    x = tensors(case)
    bars = gradients(g, x, create_graph=True)
    expected = torch.autograd.grad(sum(bar.abs().square().sum() for bar in bars), x)
    packed = []

    def pack(tensor):
        packed.append(tensor)
        return tensor.detach().resolve_conj().numpy().copy()

    for hooks in (graph.saved_tensors_hooks(pack, torch.from_numpy), graph.save_on_cpu()):
        x = tensors(case)
        with hooks:
            out = g(*x)
        found = torch.autograd.grad(out, x, create_graph=True)  # first order: unpacked arrays are constants
        for a, b in zip(found, bars, strict=True):
            close(a, b, 1e-11)
    packed.clear()
    with graph.saved_tensors_hooks(pack, torch.from_numpy):
        outputs_of(first, tensors(case))
    assert packed
    # save_on_cpu copies within the graph, so that a second derivative passes through
    with graph.save_on_cpu():
        x = tensors(case)
        bars = gradients(g, x, create_graph=True)
        found = torch.autograd.grad(sum(bar.abs().square().sum() for bar in bars), x)
    for a, b in zip(found, expected, strict=True):
        close(a, b, 1e-11)


def test_what_hooks_return_is_what_the_rule_sees(first):
    """Zeros instead of what was saved change the gradient, where that depends on the point at all."""
    case = first.draw()

    def bars(x):
        out = outputs_of(first, x)
        return torch.autograd.grad(out, x, [torch.ones_like(o) for o in out])

    right, elsewhere = bars(tensors(case)), bars(tensors(first.draw(rng=1)))
    try:
        with graph.saved_tensors_hooks(lambda t: t.detach(), torch.zeros_like):
            wrong = bars(tensors(case))
    except (RuntimeError, ValueError, RuntimeWarning):
        return  # zeros have no inverse, and are singular values all alike
    same = all(torch.equal(a, b) for a, b in zip(right, wrong, strict=True))
    assert same == all(torch.equal(a, b) for a, b in zip(right, elsewhere, strict=True))


# ---------------------------------------------------------------------------------------------------------------------
# In place


def test_a_tensor_changed_in_place_is_noticed(first):
    """Inputs and outputs are saved; whoever changes one before the backward pass gets torch's own error."""
    case = first.draw()
    leaves = tensors(case)
    for i in range(len(leaves)):
        x = [t * 1 for t in leaves]
        out = outputs_of(first, x)
        x[i].mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.backward(out, [torch.ones_like(o) for o in out])
    for i in range(len(out)):
        out = outputs_of(first, leaves)
        changed = [o.mul_(2) if i == j else o for j, o in enumerate(out)]
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            torch.autograd.backward(changed, [torch.ones_like(o) for o in changed])


def test_results_may_be_changed_in_place(sample):
    """They share no memory with the inputs, and a change after the last use is differentiated as any other."""
    case = sample.draw()
    x = tensors(case, requires_grad=False)
    before = [t.clone() for t in x]
    for out in smooth(call(sample.primitive, x, case.options)):
        out.fill_(7.0)
    assert all(torch.equal(a, b) for a, b in zip(x, before, strict=True))


def test_inputs_are_left_alone(sample):
    """By the function and by both rules."""
    case = sample.draw()
    x = tensors(case)
    versions = [t._version for t in x]
    g = loss(sample.primitive, case.options)
    bars = gradients(g, x, create_graph=True)
    gradients(lambda *x: sum(b.abs().square().sum() for b in bars), x)
    bar_values = [b.detach().clone() for b in gradients(g, x)]
    torch.func.jvp(g, tuple(t.detach() for t in x), tuple(t.detach() for t in x))
    assert versions == [t._version for t in x]
    assert all(np.array_equal(t.detach().numpy(), a) for t, a in zip(x, case.arrays, strict=True))
    for a, b in zip(bar_values, bars, strict=True):
        close(a, b, 1e-11)


# ---------------------------------------------------------------------------------------------------------------------
# Inputs of every kind


def _transposed(leaf):
    return leaf.mT.contiguous().mT if leaf.ndim > 1 else leaf.flip(0).flip(0)


def _strided(leaf):
    wide = torch.stack([leaf, torch.zeros_like(leaf)], -1)
    return wide[..., 0]


def _part(leaf):
    """In the middle of a larger tensor."""
    wide = torch.nn.functional.pad(torch.view_as_real(leaf) if leaf.is_complex() else leaf[..., None], (0, 0, 1, 2))
    wide = wide.narrow(-2, 1, leaf.shape[-1]) if leaf.ndim else wide
    return torch.view_as_complex(wide) if leaf.is_complex() else wide[..., 0]


def _conjugate_view(leaf):
    return leaf.conj().resolve_conj().conj() if leaf.is_complex() else leaf * 1


def _negative_view(leaf):
    return torch._neg_view(-leaf)


LAYOUTS = [_transposed, _strided, _part, _conjugate_view, _negative_view]


@pytest.mark.parametrize("dtype", DOUBLE)
def test_layouts(sample, dtype):
    """Transposed, with strides, in the middle of a larger tensor, with the bits that stand for conjugation and for a
    sign: same values, and same gradients, cotangents of every layout included."""
    case = sample.draw(dtype)
    x = tensors(case)
    f = op(sample.primitive, case.options)
    out = several(f(*x))
    bars = [torch.tensor(verify.noise(np.random.default_rng(1), o.detach().numpy())) for o in out]
    expected = torch.autograd.grad(out, x, bars)
    for layout in LAYOUTS:
        if any(t.ndim == 0 for t in (*x, *out)) and layout in (_part, _transposed):
            continue
        views = [layout(t) for t in x]
        assert all(torch.equal(a, b) for a, b in zip(views, x, strict=True))
        assert not (layout is _negative_view and not all(t.is_neg() for t in views))
        found = several(f(*views))
        for a, b in zip(found, out, strict=True):
            close(a, b, 1e-11)
        for a, b in zip(torch.autograd.grad(found, x, [layout(b) for b in bars]), expected, strict=True):
            close(a, b, 1e-11)


def test_expanded_inputs_and_cotangents(first):
    """A batch that lies in memory once: the gradient is the sum."""
    case = first.draw()
    x, f = tensors(case), op(first.primitive, case.options)
    whole = op(first.primitive, first.draw(batch=(3,)).options)
    out = several(f(*x))
    bars = [torch.tensor(verify.noise(np.random.default_rng(1), o.detach().numpy())) for o in out]
    expected = torch.autograd.grad(out, x, bars)
    many = several(whole(*(t.expand(3, *t.shape) for t in x)))
    for a, b in zip(many, out, strict=True):
        close(a, b.expand(3, *b.shape), 1e-11)
    found = torch.autograd.grad(many, x, [b.expand(3, *b.shape) for b in bars])
    for i, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert b.abs().max() > 1e-3 or first.primitive.argument(i) in first.primitive.integer
        close(a, 3 * b, 1e-11)


def test_any_of_the_inputs_may_be_constant(sample):
    """For each choice of leaves: the same first and second derivatives as with all of them, without the others."""
    case = sample.draw()
    g = loss(sample.primitive, case.options)
    x = tensors(case)
    bars = gradients(g, x, create_graph=True)
    varies = [(False,) if name in sample.primitive.integer else (False, True) for name in sample.primitive.arguments]
    for chosen in itertools.product(*([(False, True)] * len(x) if sample.primitive.variadic else varies)):
        here = [t.detach().requires_grad_(c) for t, c in zip(x, chosen, strict=True)]
        out = g(*here)
        assert out.requires_grad == any(chosen)
        if not any(chosen):
            continue
        leaves = [t for t, c in zip(here, chosen, strict=True) if c]
        found = torch.autograd.grad(out, leaves, create_graph=True)
        wanted = [b for b, c in zip(bars, chosen, strict=True) if c]
        second = torch.autograd.grad(sum(b.abs().square().sum() for b in found), leaves)
        all_second = torch.autograd.grad(sum(b.abs().square().sum() for b in wanted), x, retain_graph=True)
        expected = [b for b, c in zip(all_second, chosen, strict=True) if c]
        for a, b in zip((*found, *second), (*wanted, *expected), strict=True):
            close(a, b, 1e-11)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_without_gradients(first, mode):
    case = first.draw()
    x = tensors(case)
    expected = smooth(call(first.primitive, x, case.options))
    with mode():
        out = smooth(call(first.primitive, x, case.options))
    for a, b in zip(out, expected, strict=True):
        assert not a.requires_grad
        assert a.is_inference() == (mode is torch.inference_mode)
        close(a, b, 1e-11)


def test_an_inference_tensor_cannot_be_saved():
    """As for torch's own functions: an error at the call, not a wrong gradient."""
    with torch.inference_mode():
        A = torch.eye(2)
    B = torch.ones(2, 2, requires_grad=True)
    with pytest.raises(RuntimeError, match="Inference tensors cannot be saved for backward"):
        cubic_product(A, B)
    assert not cubic_product(A, B.detach()).requires_grad


def test_backward_passes_in_threads(first):
    """Each thread with a graph of its own, then all with the same one."""
    case = first.draw()
    g, x = loss(first.primitive, case.options), tensors(case)
    shared = g(*x)
    expected = torch.autograd.grad(shared, x, retain_graph=True)
    found, failed = [], []
    start = threading.Barrier(4)

    def work():
        try:
            start.wait()
            mine = tensors(case)
            found.append(gradients(g, mine))
            found.append(torch.autograd.grad(shared, x, retain_graph=True))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert len(found) == 8
    for bars in found:
        for a, b in zip(bars, expected, strict=True):
            assert torch.equal(a, b)


# ---------------------------------------------------------------------------------------------------------------------
# Kinds of tensors


class Plain(torch.Tensor):
    """A subclass that changes nothing."""


class Logged(torch.Tensor):
    """A subclass that is told of every function."""

    seen = ()

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        cls.seen = (*cls.seen, function)
        return super().__torch_function__(function, types, args, kwargs or {})


def test_parameters():
    A = torch.nn.Parameter(torch.eye(2, dtype=torch.float64) * 4)
    for cholesky in (overbar.cholesky, torch_ops.cholesky):
        A.grad = None
        L = cholesky(A)
        assert type(L) is torch.Tensor
        L.sum().backward()
        close(A.grad, torch.full((2, 2), 0.25, dtype=torch.float64), 1e-11)


@pytest.mark.parametrize("kind", [Plain, Logged])
@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])  # one goes to PyTorch, the other does not
def test_subclasses_of_tensor(kind, dtype):
    """An op does what torch.linalg.cholesky does: it asks the subclass, and returns one."""
    A = (torch.eye(2, dtype=dtype) * 4).as_subclass(kind).requires_grad_()
    Logged.seen = ()
    L = torch_ops.cholesky(A)
    assert type(L) is kind
    assert kind is Plain or torch_ops.cholesky in Logged.seen
    assert type(torch.linalg.cholesky(A)) is kind
    L.sum().abs().backward()
    close(A.grad.as_subclass(torch.Tensor), torch.full((2, 2), 0.25, dtype=dtype), 1e-11)


# ---------------------------------------------------------------------------------------------------------------------
# What nobody needs is not computed


class Kernels(TorchDispatchMode):
    """Of which sizes the first argument of a kernel was."""

    def __init__(self, kernel):
        super().__init__()
        self.kernel, self.sizes = kernel, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket is self.kernel:
            self.sizes.append(args[0].numel())
        return function(*args, **(kwargs or {}))


def traceable(primitive):
    """A copy of the primitive whose bar and tangent of the i-th array run a kernel that nothing else uses, on i + 1
    zeros. (Their value is the same.)"""

    def burden(i, x):
        return x + torch.erfinv(torch.zeros(i + 1, dtype=x.real.dtype)).sum()

    def vjp_rule(*args, **options):
        thunks = primitive.vjp_rule(*args, **options)
        return tuple(lambda i=i, thunk=thunk: burden(i, thunk()) for i, thunk in enumerate(thunks))

    def jvp_rule(*args, **options):
        terms = primitive.jvp_rule(*args, **options)
        if callable(terms):
            return terms
        return tuple(lambda dot, i=i, term=term: term(burden(i, dot)) for i, term in enumerate(terms))

    return verify.altered(primitive, vjp_rule=vjp_rule, jvp_rule=jvp_rule)


def test_kernels_of_a_bar_that_is_not_needed_do_not_run(first):
    """Counted in the dispatcher: in a backward pass, and inside of torch.func, forward over reverse and batched."""
    case, primitive = first.draw(), traceable(first.primitive)
    g = loss(primitive, case.options)
    for i in range(len(case.arrays)):
        x = [t.detach().requires_grad_(i == j) for j, t in enumerate(tensors(case))]
        fixed = [t.detach() for t in x]
        of_one = lambda t, i=i, fixed=fixed: g(*fixed[:i], t, *fixed[i + 1 :])  # noqa: E731
        twice = lambda i=i, x=x: torch.autograd.grad(g(*x), x[i], create_graph=True)[0].abs().square().sum()  # noqa: E731
        grad = torch.func.grad(of_one)
        passes = {
            "backward": lambda i=i, x=x: torch.autograd.grad(g(*x), x[i]),
            "twice": lambda i=i, x=x, twice=twice: torch.autograd.grad(twice(), x[i]),
            "grad": lambda i=i, fixed=fixed: torch.func.grad(g, argnums=i)(*fixed),
            "forward over reverse": lambda i=i, fixed=fixed, grad=grad: torch.func.jvp(grad, (fixed[i],), (fixed[i],)),
            "batched": lambda i=i, fixed=fixed, grad=grad: torch.func.vmap(grad)(torch.stack([fixed[i]] * 2)),
        }
        for name, run in passes.items():
            with Kernels(torch.ops.aten.erfinv) as kernels:
                run()
            assert set(kernels.sizes) == {i + 1}, (name, kernels.sizes)


def test_what_belongs_to_an_absent_cotangent_is_not_computed():
    """moments has two outputs: with a bar for one of them, the rule sees None for the other."""
    seen = []

    def vjp_rule(bars, *args):
        seen.append([bar is None for bar in bars])
        return moments.vjp_rule(bars, *args)

    watched = verify.altered(moments, vjp_rule=vjp_rule)
    A = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    C, s = watched(A)
    torch.autograd.grad(C.sum(), A, retain_graph=True)
    torch.autograd.grad(s.sum(), A, retain_graph=True)
    torch.func.grad(lambda A: watched(A)[1].sum())(A.detach())
    torch.func.vmap(torch.func.grad(lambda A: watched(A)[1].sum()))(A.detach().expand(4, 3, 2))
    assert seen == [[False, True], [True, False], [True, False], [True, False]]


# ---------------------------------------------------------------------------------------------------------------------
# These tests catch wrong wrappers

RIGHT = wrapper.PrimitiveFunction


def _saved_elsewhere(ctx, inputs, outputs):
    """On the context, where no hook and no version counter sees the tensors, and nobody frees them."""
    ctx.call, *arrays = inputs
    ctx.stash = arrays, outputs
    ctx.set_materialize_grads(False)


def _from_elsewhere(ctx, *bars):
    arrays, outputs = ctx.stash
    needed = ctx.needs_input_grad[1:]
    return (None, *ctx.call.primitive.pull(ctx.call.front, bars, outputs, arrays, ctx.call.options, needed))


def _every_bar(ctx, *bars):
    arrays, outputs = ctx.saved_tensors[: -len(bars)], ctx.saved_tensors[-len(bars) :]
    return (None, *ctx.call.primitive.pull(ctx.call.front, bars, outputs, arrays, ctx.call.options))


def _views_returned(call, *inputs):
    return call.primitive.run(inputs, call.options)


def _hooks_ignored(ctx, *bars):
    return _every_bar(ctx, *(torch.ones_like(bar) for bar in bars))


ELSEWHERE = {"setup_context": _saved_elsewhere, "backward": _from_elsewhere}


@pytest.mark.parametrize(
    ("wrong", "test"),
    [
        (ELSEWHERE, test_a_tensor_changed_in_place_is_noticed),
        (ELSEWHERE, test_a_graph_that_is_kept_serves_twice_and_one_that_is_not_says_so),
        (ELSEWHERE, test_nothing_is_kept_after_a_backward_pass),
        (ELSEWHERE, test_saved_tensors_go_through_hooks),
        (ELSEWHERE, test_what_hooks_return_is_what_the_rule_sees),
        ({"backward": _every_bar}, test_kernels_of_a_bar_that_is_not_needed_do_not_run),
        ({"backward": _hooks_ignored}, test_hooks),
        ({"forward": _views_returned}, test_results_may_be_changed_in_place),
    ],
    ids=lambda x: x.__name__ if callable(x) else " and ".join(x),
)
def test_a_wrong_wrapper_is_caught(monkeypatch, wrong, test):
    subject = Sample(overbar.reshape if "forward" in wrong else cubic_product, 0)
    test(subject)
    for method, function in wrong.items():
        monkeypatch.setattr(RIGHT, method, staticmethod(function))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        test(subject)


def test_a_gradient_is_conjugated():
    """And not lazily, as the last step of a rule may be: such a one has no .numpy()."""
    A = torch.randn(3, 3, dtype=torch.complex128, generator=torch.Generator().manual_seed(0)).requires_grad_()
    torch_ops.adjugate(A).real.sum().backward()
    assert not A.grad.is_conj()
    assert A.grad.numpy().shape == (3, 3)
