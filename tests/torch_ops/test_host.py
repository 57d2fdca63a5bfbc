"""Kernels that run on the host (`overbar.kernels`) as ops of torch: every transform of torch.func and those before it,
compilers, fake tensors, dtypes, memory and errors. May import `torch_ops`.

The primitive `hosted` of tests.torch_ops.own, whose kernel has outputs of every kind, is in all tests over primitives,
too. Here it is held against the same function of PyTorch's own ops.
"""

import gc
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode  # noqa: E402
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap  # noqa: E402
from torch.fx.experimental.proxy_tensor import make_fx  # noqa: E402

import overbar  # noqa: E402
import torch_ops  # noqa: E402 - makes the primitives ops of torch
from overbar import verify  # noqa: E402
from overbar.kernels import KERNELS, kernel  # noqa: E402
from tests.torch_ops.own import hosted, product_on_host  # noqa: E402
from tests.underivable import UNDERIVABLE  # noqa: E402
from torch_ops import library  # noqa: E402

A, X = torch.randn(4, 3, 2, dtype=torch.float64), torch.randn(4, 2, dtype=torch.float64)


def plain(A, x):
    y = (A @ x[..., None])[..., 0]
    return y, (y * y.conj()).real.sum(-1)


def number(f):
    def g(A, x):
        y, r = f(A, x)
        return torch.sin(y).real.sum() + r.sum() ** 2 / 10

    return g


def same(found, expected, rtol=1e-13):
    found, expected = (torch.utils._pytree.tree_leaves(t) for t in (found, expected))
    for a, b in zip(found, expected, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol * max(1.0, float(abs(b.detach()).sum())))


def test_the_rules_are_right():
    verify.check(hosted)


def test_another_implementation_of_a_kernel_is_taken(monkeypatch):
    """In eager code, through the dispatcher and under a transform."""
    monkeypatch.setattr(product_on_host, "others", ())
    calls = []

    @product_on_host.implemented_by(when=lambda A, x: A.shape[-1] == 2)
    def counted(A, x):
        calls.append(A.shape)
        return product_on_host.function(A, x)

    same(torch_ops.wrap(hosted)(A, X), plain(A, X))
    same(vmap(torch_ops.wrap(hosted))(A, X), plain(A, X))
    assert len(calls) == 2 * len(A)
    torch_ops.wrap(hosted)(A[..., :1], X[..., :1])
    assert len(calls) == 2 * len(A)


# ---------------------------------------------------------------------------------------------------------------------
# Transforms

BOTH = (0, 1)
TRANSFORMS = {
    "vmap": lambda f: vmap(f)(A, X),
    "vmap over the first": lambda f: vmap(f, (0, None))(A, X[0]),
    "vmap over the last": lambda f: vmap(f, (None, 0))(A[0], X),
    "vmap over the first, beside a batch": lambda f: vmap(f, (0, None))(A[:3, None], X),
    "vmap over the last, beside a batch": lambda f: vmap(f, (None, 0))(A, X[:3]),
    "vmap over another dimension": lambda f: vmap(f, (2, 1), out_dims=-1)(A.movedim(0, 2), X.mT),
    "vmap in vmap": lambda f: vmap(vmap(f, (0, None)), (None, 0))(A, X),
    "vmap in vmap over both": lambda f: vmap(vmap(f))(A.expand(2, 4, 3, 2), X.expand(2, 4, 2)),
    "grad": lambda f: grad(number(f), BOTH)(A, X),
    "grad in vmap": lambda f: vmap(grad(number(f), BOTH))(A, X),
    "grad in vmap over the last": lambda f: vmap(grad(number(f), BOTH), (None, 0))(A[0], X),
    "grad of vmap": lambda f: grad(lambda A, x: vmap(number(f))(A, x).sum(), BOTH)(A, X),
    "jacrev": lambda f: jacrev(f, BOTH)(A[0], X[0]),
    "jacfwd": lambda f: jacfwd(f, BOTH)(A[0], X[0]),
    "jacrev of jacrev": lambda f: jacrev(jacrev(number(f), BOTH), BOTH)(A[0], X[0]),
    "jacfwd of jacfwd": lambda f: jacfwd(jacfwd(number(f), BOTH), BOTH)(A[0], X[0]),
    "jacrev of jacfwd": lambda f: jacrev(jacfwd(number(f), BOTH), BOTH)(A[0], X[0]),
    "hessian": lambda f: hessian(number(f), BOTH)(A[0], X[0]),
    "hessian in vmap": lambda f: vmap(hessian(number(f), BOTH), (0, None))(A, X[0]),
    "third": lambda f: jacfwd(hessian(number(f), 1), 1)(A[0], X[0]),
    "jvp of vjp": lambda f: jvp(lambda A, x: vjp(number(f), A, x)[1](torch.ones_like(x[0, 0])), (A, X), (A + 1, X - 1)),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms(transform):
    same(TRANSFORMS[transform](hosted), TRANSFORMS[transform](plain))


LEGACY = {
    "jacobian": lambda f: torch.autograd.functional.jacobian(f, (A[0], X[0]), vectorize=True),
    "forward jacobian": lambda f: torch.autograd.functional.jacobian(
        f, (A[0], X[0]), vectorize=True, strategy="forward-mode"
    ),
    "hessian": lambda f: torch.autograd.functional.hessian(number(f), (A[0], X[0]), vectorize=True),
    "hessian, forward": lambda f: torch.autograd.functional.hessian(
        number(f), (A[0], X[0]), vectorize=True, outer_jacobian_strategy="forward-mode"
    ),
}


@pytest.mark.parametrize("way", LEGACY)
def test_the_vmap_before_torch_func(way):
    same(LEGACY[way](hosted), LEGACY[way](plain))


def test_batched_gradients():
    """is_grads_batched runs the rule, which has products only, and a second time around one that calls the kernel."""
    a, x = A[0].clone().requires_grad_(), X[0].clone().requires_grad_()
    bars = torch.eye(3, dtype=torch.float64)
    results = []
    for f in (hosted, plain):
        y, r = f(a, x)
        first = torch.autograd.grad(y, (a, x), bars, is_grads_batched=True, retain_graph=True)
        (g,) = torch.autograd.grad(r, x, create_graph=True)
        z, _ = f(a, g)
        results.append([first, torch.autograd.grad(z, (a, x), bars, is_grads_batched=True)])
    same(*results)


# ---------------------------------------------------------------------------------------------------------------------
# Compilers and fake tensors


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.complex64, torch.complex128])
def test_compiled(dtype):
    a, x = A.to(dtype), X.to(dtype)

    def run(f, a, x):
        a, x = a.clone().requires_grad_(), x.clone().requires_grad_()
        return torch.autograd.grad(number(f)(a, x), (a, x))

    compiled = torch.compile(number(hosted), fullgraph=True, backend="aot_eager")
    a, x = a.requires_grad_(), x.requires_grad_()
    found = torch.autograd.grad(compiled(a, x), (a, x))
    same(found, run(plain, a.detach(), x.detach()), 1e-13 if dtype.to_real() == torch.float64 else 1e-5)


def test_compiled_with_dynamic_sizes():
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("aot_eager")
    compiled = torch.compile(number(hosted), fullgraph=True, dynamic=True, backend=counter)
    for batch, m, n in ((4, 3, 2), (5, 4, 3), (2, 7, 4)):
        a = torch.randn(batch, m, n, dtype=torch.float64, requires_grad=True)
        x = torch.randn(batch, n, dtype=torch.float64, requires_grad=True)
        same(*(torch.autograd.grad(f(a, x), (a, x)) for f in (compiled, number(plain))))
    assert counter.frame_count == 1


def test_exported():
    class Model(torch.nn.Module):
        def forward(self, A, x):
            return hosted(A, x)

    batch = torch.export.Dim("batch", min=2)
    program = torch.export.export(Model(), (A, X), dynamic_shapes=({0: batch}, {0: batch}))
    assert any("product_on_host" in str(node.target) for node in program.graph.nodes)
    again = torch.randn(7, 3, 2, dtype=torch.float64), torch.randn(7, 2, dtype=torch.float64)
    same(program.module()(*again), plain(*again))
    a = again[0].clone().requires_grad_()
    with pytest.raises(RuntimeError, match="product_on_host"):  # the rule is not in there; it would not be silent
        program.module()(a, again[1])[0].sum().backward()


@pytest.mark.parametrize("mode", ["fake", "meta"])
def test_shapes_and_dtypes_without_numbers(mode):
    for dtype in (torch.float32, torch.complex128):
        for a, x in ((A[:, None], X[:3]), (A[0], X), (A[:0], X[0])):
            with FakeTensorMode(allow_non_fake_inputs=True):
                fake = [torch.empty(t.shape, dtype=dtype) for t in (a, x)]
                found = hosted(*fake)
            if mode == "meta":
                found = hosted(*(torch.empty(t.shape, dtype=dtype, device="meta") for t in (a, x)))
            expected = hosted(a.to(dtype), x.to(dtype))
            assert [(t.shape, t.dtype) for t in found] == [(t.shape, t.dtype) for t in expected]


def test_opcheck():
    library.custom_op(hosted)
    op = torch.ops.overbar.hosted.default
    for dtype in (torch.float64, torch.complex128):
        for a, x in ((A[0], X[0]), (A, X[0])):
            torch.library.opcheck(op, (a.to(dtype).requires_grad_(), x.to(dtype).requires_grad_()))


PROGRAMS = {
    "compiled": lambda f, x: torch.compile(f, fullgraph=True, backend="aot_eager"),
    "make_fx": lambda f, x: make_fx(f)(x),
    "exported": lambda f, x: torch.export.export(Module(f), (x,)).module(),
    "traced": lambda f, x: torch.jit.trace(f, (x,)),
    "vmap": lambda f, x: vmap(f),
}


class Module(torch.nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, x):
        return self.f(x)


def times(c, name):
    """x ↦ c x as in a cell of a notebook that is run once more: another kernel of the same name."""

    def function(x):
        return c * x

    function.__name__ = name
    scaled = kernel("(n,n)->(n,n)")(function)

    @overbar.primitive("(n,n)->(n,n)")
    def f(A):
        return overbar.front(A).compute(scaled, A)[0]

    return torch_ops.wrap(f)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("name", ["once_more", "continuous_lyapunov"])
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_kernel_with_the_name_of_another_is_another(program, name):
    """The programs of the first one keep it, and overbar's own kernel of this name has its own op."""
    x, programs = torch.ones(1, 1, 1, dtype=torch.float64), {}
    for c in (2.0, 3.0):
        programs[c] = PROGRAMS[program](times(c, name), x)
        assert [(c, run(x).item()) for c, run in programs.items()] == [(c, c) for c in programs]
    if name in KERNELS:
        assert KERNELS[name].__module__.startswith("overbar.")
        A = torch.ones(1, 1, dtype=torch.float64)  # A X + X Aᴴ = A for ones: X = 1/2
        assert abs(make_fx(overbar.solve_continuous_lyapunov)(A, A)(A, A) - 0.5) < 1e-15


def test_a_kernel_that_nobody_has_is_forgotten():
    f = times(2.0, "forgotten")
    f(torch.ones(1, 1))
    alive = weakref.ref(f.primitive.function.__closure__[0].cell_contents)
    assert alive() is not None
    del f
    gc.collect()
    assert alive() is None


# ---------------------------------------------------------------------------------------------------------------------
# A rule that calls a kernel, of which nobody knows a derivative


def by_tape(f):
    def derivative(x):
        x = x if x.requires_grad else x.clone().requires_grad_()
        return torch.autograd.grad(f(x).sum(), x, create_graph=True)[0]

    return derivative


def by_duals(f):
    def derivative(x):
        with torch.autograd.forward_ad.dual_level():
            return torch.autograd.forward_ad.unpack_dual(f(torch.autograd.forward_ad.make_dual(x, x * 0 + 1)))[1]

    return derivative


FIRST = {"autograd": by_tape, "duals": by_duals, "grad": grad, "jacrev": jacrev, "jacfwd": jacfwd}


@pytest.mark.parametrize("way", FIRST)
@pytest.mark.parametrize("rule", UNDERIVABLE)
def test_first_derivatives_by_a_kernel(rule, way):
    """Also where the transform watches the rule of a first derivative."""
    f, x = UNDERIVABLE[rule], torch.tensor(1.0)
    expected = by_tape(f)(x).detach()
    for d in (FIRST[way](f), FIRST[way](library.custom_op(f, "mine::by_kernel"))):
        assert torch.equal(d(x).detach(), expected)
        if way != "autograd" and way != "duals":
            assert torch.equal(make_fx(d)(x)(x), expected)
            assert torch.equal(vmap(d)(torch.stack([x, x])), torch.stack([expected, expected]))
            torch._dynamo.reset()
            assert torch.equal(torch.compile(d, fullgraph=True, backend="aot_eager")(x), expected)


@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        *((outer, inner) for outer in ("grad", "jacrev", "jacfwd") for inner in ("grad", "jacrev", "jacfwd")),
        ("autograd", "autograd"),
        ("duals", "autograd"),
        ("autograd", "duals"),
    ],
)
@pytest.mark.parametrize("rule", UNDERIVABLE)
def test_a_derivative_of_a_kernel_is_refused(rule, outer, inner):
    """It would be too small, without a word. NumPy's sweeps say the same."""
    f, x = UNDERIVABLE[rule], torch.tensor(1.0)
    words = "the kernel double got an array whose derivative is being traced. A kernel has none"
    with pytest.raises(TypeError, match=words):
        overbar.hessian(f)(1.0)
    for g in (f, library.custom_op(f, "mine::by_kernel")):
        second = FIRST[outer](FIRST[inner](g))
        with pytest.raises(TypeError, match=words):
            second(x)
        if (outer, inner) == ("grad", "grad"):
            with pytest.raises(TypeError, match=words):
                make_fx(second)(x)
            with pytest.raises(TypeError, match=words):
                vmap(second)(x[None])


# ---------------------------------------------------------------------------------------------------------------------
# Memory, numbers, errors


@kernel("(n)->(n),()", "==")
def itself_on_host(x):
    if not np.isfinite(x).all():
        raise np.linalg.LinAlgError("x is not finite.")
    return x, np.broadcast_to(x[:1], (3,))[0]


@overbar.primitive("(n)->(n),()")
def itself(x):
    return overbar.front(x).compute(itself_on_host, x)


def test_outputs_have_memory_of_their_own():
    """Also where a kernel returns what it was given, and is one op (under vmap) or called as it is."""
    x = torch.arange(4.0, dtype=torch.float64)
    for f in (itself, vmap(itself), library.custom_op(itself)):
        y, first = f(x[None] if f is not itself else x)
        y += 1
        first += 1
        same(x, torch.arange(4.0, dtype=torch.float64))


def test_views_and_conjugates_reach_the_kernel_as_they_are():
    a = torch.randn(2, 3, dtype=torch.complex128)
    for x in (torch.randn(2, dtype=torch.complex128).conj(), torch.view_as_complex(torch.randn(4, 2).double())[::2]):
        same(hosted(a.mH, x), plain(a.mH, x))
        same(hosted(a.mT, torch._neg_view(x)), plain(a.mT, -x))


def test_empty_batches():
    same(hosted(A[:0], X[:0]), plain(A[:0], X[:0]))
    same(vmap(hosted, (None, 0))(A[0], X[:1]), plain(A[0], X[:1]))


@pytest.mark.parametrize(
    "run",
    [itself, vmap(itself), torch.compile(itself, backend="aot_eager"), library.custom_op(itself)],
    ids=["eager", "vmap", "compiled", "op"],
)
def test_errors_of_the_kernel_are_those_of_the_framework(run):
    x = torch.ones(3, 2, dtype=torch.float64)
    x[1, 1] = torch.nan
    with pytest.raises(torch.linalg.LinAlgError, match=r"x is not finite\. \(Matrix 1 of the batch\.\)"):
        run(x)


def test_a_wrong_shape_is_found_before_the_kernel_runs():
    with pytest.raises(torch_ops._front.ShapeError, match="argument x"):
        hosted(A, X[:, :1])


@pytest.mark.parametrize("name", ["expm", "sqrtm", "logm", "cosm"])
def test_tangents_of_zeros_without_memory_reach_the_kernel(name):
    """Such as torch makes of a product with constants, where a forward pass is differentiated again."""
    op, A, W = getattr(torch_ops, name), torch.eye(2, dtype=torch.float64) + 0.1, torch.tensor([[1.0, 2], [3, 4]])

    def loss(A):
        return (W * op(A)).sum()

    expected = jacrev(jacrev(loss))(A)
    for mode in (jacrev(jacfwd(loss)), jacfwd(jacfwd(loss)), hessian(loss)):
        same(mode(A), expected, 1e-12)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["logm", "solve_discrete_lyapunov"])
def test_a_trace_computes_anew_for_other_numbers(name):
    A = torch.eye(3, dtype=torch.float64) / 2 + 0.1
    arguments = (A,) * len(getattr(overbar, name).arguments)
    traced = torch.jit.trace(getattr(torch_ops, name), arguments, check_trace=False)
    others = [x / 2 for x in arguments]
    same(traced(*others), getattr(torch_ops, name)(*others))
