"""The ops under torch.compile: whole in one graph, with their own derivative, for all sizes. May import `torch_ops`."""

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import overbar  # noqa: E402
import torch_ops  # noqa: E402
from overbar import mH  # noqa: E402
from overbar.verify import call  # noqa: E402

# torch warns of its own making while it compiles
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(autouse=True)
def fresh():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def graphs():
    """How many graphs were compiled since the last reset."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]


def compiled(f, backend="aot_eager", **options):
    from torch._dynamo.utils import counters

    counters.clear()
    return torch.compile(f, fullgraph=True, backend=backend, **options)


def positive_definite(n, dtype=torch.float64):
    X = torch.randn(n, n, dtype=dtype, generator=torch.Generator().manual_seed(n))
    return (X @ X.mH + n * torch.eye(n, dtype=dtype)).requires_grad_()


def of(primitive, options):
    """A primitive by its own name, as a function of tensors only."""
    return lambda *tensors: call(primitive, tensors, options)


def tensors(case):
    return [torch.tensor(a, requires_grad=True) for a in case.arrays]


def value_and_gradients(f, inputs):
    """All outputs, and the gradients of a real number that depends on every entry of them."""
    outputs = f(*inputs)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    total = 0
    for out in outputs:
        weights = torch.linspace(0.5, 1.5, out.numel(), dtype=out.real.dtype).reshape(out.shape)
        total = total + (weights * out.abs().square()).sum() + (weights * (out * (1 + 0.5j)).real).sum()
    return (*outputs, *torch.autograd.grad(total, inputs))


def same(f, g, inputs, rtol=1e-12):
    found, expected = value_and_gradients(f, inputs), value_and_gradients(g, inputs)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=rtol * max(1.0, b.abs().max().item() if b.numel() else 0.0))


# ---------------------------------------------------------------------------------------------------------------------
# Values and first derivatives


def test_importing_the_ops_does_not_import_the_compiler():
    """It would take longer than everything else that is imported."""
    code = "import sys, torch_ops; sys.exit('torch._dynamo' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}).returncode == 0


def test_every_primitive_is_one_call_in_the_graph(sample):
    """By its own name; its options, slices and lists and masks among them, are constants of the graph."""
    case = sample.draw()
    f = of(sample.primitive, case.options)
    same(compiled(f), f, tensors(case))


def test_every_primitive_in_complex_numbers(first):
    case = first.draw(np.complex128)
    f = of(first.primitive, case.options)
    same(compiled(f), f, tensors(case))


def test_every_primitive_without_aot(first):
    case = first.draw(np.float32, (2,))
    f = of(first.primitive, case.options)
    same(compiled(f, backend="eager"), f, tensors(case), rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in torch_ops.__all__ if hasattr(getattr(torch_ops, name), "primitive")])
def test_every_op_by_its_public_name(name):
    op = getattr(torch_ops, name)
    case = overbar.verify.draw_cases(op.primitive)[0]
    order = list(op.__signature__.parameters)
    inputs = tensors(case)
    if op.primitive.name == "cho_solve" and order[0] == "B":
        inputs = inputs[::-1]
    fewer = op.builtin is not None or name == "lstsq"  # options than the primitive has, as PyTorch's function
    options = {k: v for k, v in case.options.items() if k in order or not fewer}

    def f(*inputs):
        if order[0] in options:  # SciPy has an option first
            return op(**dict(zip(op.primitive.arguments, inputs, strict=True)), **options)
        return op(inputs, **options) if op.primitive.variadic else op(*inputs, **options)

    if name == "reshape":
        options = {"shape": case.options["shape"]}
    same(compiled(f), f, inputs)


def model(A):
    """A member of each family: Cholesky, products, triangular systems, rearranging, masking, quadratic forms."""
    B = A[:, :2]
    L = torch_ops.cholesky(A)
    z = torch_ops.solve_triangular(L, B, upper=False)
    part = overbar.subset(overbar.exp(L / 10), index=(slice(0, 2), 1))
    quadratic = overbar.inv_congruence(A, B)
    C = overbar.phi(overbar.matmul(overbar.cholesky(A), z)[..., :2, :])
    return (z * z).sum() + torch_ops.cho_logdet(L) + part.sum() + quadratic.sum() + (C * C).sum()


@pytest.mark.parametrize("backend", ["eager", "aot_eager", "inductor"])
def test_a_model_is_one_graph(backend):
    same(compiled(model, backend), model, [positive_definite(5)])
    assert graphs() == 1


@pytest.mark.parametrize("size", [5, pytest.param(300, marks=pytest.mark.slow)])
def test_the_rule_is_what_is_compiled(size):
    """Not PyTorch's own derivative of the function: a rule that is off by 1.001 shows."""

    @overbar.primitive("(n,n)->(n,n)", hermitian=("A",))
    def wrong(A):
        return overbar.cholesky.function(A)

    @wrong.vjp
    def _(L_bar, L, A):
        return (lambda: 1.001 * overbar.cholesky.vjp_rule(L_bar, L, A, upper=False)[0](),)

    A = positive_definite(size)
    *_, found = value_and_gradients(compiled(of(wrong, {})), [A])
    *_, right = value_and_gradients(of(overbar.cholesky, {}), [A])
    torch.testing.assert_close(found, 1.001 * right, rtol=1e-10, atol=1e-10)
    with pytest.raises(AssertionError):
        same(compiled(of(wrong, {})), of(overbar.cholesky, {}), [A])


# ---------------------------------------------------------------------------------------------------------------------
# A user's own primitives


@overbar.primitive("(m,n)->(n,n),(),(n)", hidden=1)
def gram_and_size(A, *, scale=1.0, squares=True):
    """Three outputs: the Gram matrix, the sum of squares of A, and a hidden one, the sums of its columns."""
    xp = overbar.namespace(A)
    columns = xp.sum(A, axis=-2)
    size = xp.sum(xp.real(A * xp.conj(A)), axis=(-2, -1)) if squares else 0 * xp.sum(xp.real(columns), axis=-1)
    return scale * (mH(A) @ A), size, columns


@gram_and_size.vjp
def _(bars, outputs, A, *, scale, squares):
    def A_bar():
        C_bar, size_bar, columns_bar = bars
        total = 0 * A
        if C_bar is not None:  # a primitive in a rule, which the compiler meets while it traces the rule
            total = total + scale * overbar.matmul(A, C_bar + mH(C_bar))
        if size_bar is not None and squares:
            total = total + 2 * size_bar[..., None, None] * A
        if columns_bar is not None:
            total = total + columns_bar[..., None, :]
        return total

    return (A_bar,)


@gram_and_size.jvp
def _(outputs, A, *, scale, squares):
    xp = overbar.namespace(A)

    def A_dot(A_dot):
        half = mH(A) @ A_dot
        size = 2 * xp.sum(xp.real(xp.conj(A) * A_dot), axis=(-2, -1)) if squares else 0 * outputs[1]
        return scale * (half + mH(half)), size, xp.sum(A_dot, axis=-2)

    return (A_dot,)


@pytest.mark.parametrize("options", [{}, {"scale": 2.5}, {"squares": False}], ids=str)
def test_a_primitive_of_the_users_own(options):
    op = torch_ops.wrap(gram_and_size)
    A = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert len(op(A, **options)) == 2
    same(compiled(lambda A: op(A, **options)), lambda A: gram_and_size(A, **options), [A])
    same(compiled(lambda A: gram_and_size(A, **options)[0]), lambda A: op(A, **options)[0], [A])


@overbar.primitive("(m,n)->(m,n)")
def doubled_in_place(A, *, factor=2.0):
    return factor * A


@doubled_in_place.vjp
def _(C_bar, C, A, *, factor):
    def A_bar():
        out = overbar.namespace(A).buffer(A, C_bar)
        if out is None:
            return factor * C_bar
        out[...] = C_bar
        out *= factor
        return out

    return (A_bar,)


@overbar.primitive("(m,n)->(m,n)")
def without_a_schema(A, *, options=()):
    """Its option has no type that torch.library knows."""
    return 2.0 * A


@without_a_schema.vjp
def _(C_bar, C, A, *, options):
    return doubled_in_place.vjp_rule(C_bar, C, A, factor=2.0)


@pytest.mark.parametrize("primitive, calls", [(doubled_in_place, 1), (without_a_schema, 0)], ids=lambda x: str(x))
def test_a_rule_that_works_in_place_is_one_op_of_the_graph(primitive, calls):
    seen = []

    def backend(graph, _):
        seen.append(graph.code)
        return graph.forward

    from torch._dynamo.backends.common import aot_autograd

    A = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    same(compiled(of(primitive, {}), backend=aot_autograd(fw_compiler=backend)), of(primitive, {}), [A])
    assert sum(f"overbar.{primitive.name}_backward" in code for code in seen) == calls
    assert len(seen) == 2


# ---------------------------------------------------------------------------------------------------------------------
# Sizes, dtypes, errors


@pytest.mark.parametrize("f", [model, lambda A: overbar.cholesky(A).sum()], ids=["model", "cholesky"])
def test_two_graphs_for_all_sizes(f):
    """One for matrices without blocks, one for those with; n = 0 and 1 are special to PyTorch everywhere."""
    g = compiled(f, dynamic=True)
    for n in (5, 6, 60, 300, 129 if f is not model else 400, 700):
        same(g, f, [positive_definite(n)], rtol=1e-10)
    assert graphs() == 2


def test_a_size_marked_as_dynamic():
    g = compiled(model)
    for n in (5, 9):
        A = positive_definite(n)
        torch._dynamo.mark_dynamic(A, (0, 1))
        same(g, model, [A])
    assert graphs() == 1


def test_what_recompiles():
    """Options, dtypes and the number of dimensions are properties of the graph, as with PyTorch's own functions."""
    g = compiled(lambda A, upper: torch_ops.cholesky(A, upper=upper), dynamic=True)
    A = positive_definite(4)
    for count, arguments in enumerate([(A, False), (A, True), (A.float(), False), (torch.stack([A, A]), False)], 1):
        g(*arguments)
        assert graphs() == count
    for arguments in [(positive_definite(6), True), (A.float(), False)]:
        g(*arguments)
    assert graphs() == 4


@pytest.mark.slow
def test_large_matrices_compile_as_fast_as_small_ones():
    """The recursion over blocks is not unrolled: the graphs of n = 300 and n = 1100 have the same size."""
    sizes = []

    def backend(graph, _):
        sizes.append(len(graph.graph.nodes))
        return graph.forward

    from torch._dynamo.backends.common import aot_autograd

    for n in (300, 1100):
        torch.compiler.reset()
        A = positive_definite(n)
        torch.autograd.grad(compiled(of(overbar.cholesky, {}), aot_autograd(fw_compiler=backend))(A).sum(), A)
    assert sizes[:2] == sizes[2:]
    assert max(sizes) < 20


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    A = positive_definite(4).detach().to(dtype).requires_grad_()
    for f in (torch_ops.cholesky, overbar.cholesky):
        (found,), (expected,) = ((torch.autograd.grad(g(A).float().sum(), A)) for g in (compiled(f), f))
        assert found.dtype == dtype
        torch.testing.assert_close(found, expected)


def test_autocast():
    def f(A, B):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            C = A @ B
            return C.sum() + overbar.inv_congruence(A, B).sum() + overbar.cholesky(A).sum()

    inputs = [positive_definite(4, torch.float32), torch.randn(4, 2, requires_grad=True)]
    for a, b in zip(value_and_gradients(compiled(f), inputs), value_and_gradients(f, inputs), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-2)  # of C, which both round, in their own order


@pytest.mark.parametrize(
    "index", [np.array([0, 2, 2]), (slice(None), np.array([0, 1])), np.array([True, False, True]), (0, ...)], ids=str
)
def test_an_index_that_numpy_made(index):
    """Dynamo makes a tensor of it, before we see it."""
    f = of(overbar.subset, {"index": index})
    same(compiled(f), f, [torch.randn(3, 2, dtype=torch.float64, requires_grad=True)])


EACH_CHOLESKY = pytest.mark.parametrize(
    "op", [torch_ops.cholesky, overbar.cholesky, torch.linalg.cholesky], ids=["op", "primitive", "built-in"]
)


@EACH_CHOLESKY
def test_a_failure_is_the_same_error(op):
    """Of the numbers in a matrix, when the graph runs; of its shape, when it is compiled."""
    with pytest.raises(torch.linalg.LinAlgError, match=r"not positive|not PD"):
        compiled(op)(-torch.eye(3, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="square"):
        compiled(op)(torch.ones(2, 3))


# ---------------------------------------------------------------------------------------------------------------------
# Transforms within a compiled function, and what PyTorch itself cannot do yet


def determinant(cholesky):
    """A function of any matrix, by way of a positive definite one."""

    def f(A):
        S = A @ A.mT + torch.eye(A.shape[-1], dtype=A.dtype)
        return cholesky(S).pow(3).sum() + torch_ops.cho_logdet(cholesky(S))

    return f


CHOLESKY = pytest.mark.parametrize("cholesky", [torch_ops.cholesky, overbar.cholesky], ids=["op", "primitive"])
TRANSFORMS = {
    "grad": lambda f: torch.func.grad(f),
    "vmap of grad": lambda f: lambda A: torch.vmap(torch.func.grad(f))(torch.stack([A, 2 * A])),
    "grad of vmap": lambda f: lambda A: torch.func.grad(lambda A: torch.vmap(f)(torch.stack([A, 2 * A])).sum())(A),
    "jvp": lambda f: lambda A: torch.func.jvp(f, (A,), (A,))[1],
    "jacrev of grad": lambda f: torch.func.jacrev(torch.func.grad(f)),
    "hessian": lambda f: torch.func.jacfwd(torch.func.jacrev(f)),
}


@CHOLESKY
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_of_an_op(cholesky, transform):
    A = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    f = TRANSFORMS[transform](determinant(cholesky))
    torch.testing.assert_close(compiled(f)(A), f(A), rtol=1e-11, atol=1e-11)


@EACH_CHOLESKY
def test_no_double_backward_of_a_compiled_function(op):
    """Should this fail for torch.linalg.cholesky, then PyTorch has learned it, and ours should be tried."""
    A = positive_definite(3)
    (A_bar,) = torch.autograd.grad(compiled(lambda A: op(A).pow(3).sum())(A), A, create_graph=True)
    with pytest.raises(RuntimeError, match=r"double backward|not have been used"):
        torch.autograd.grad(A_bar.sum(), A)


FORWARD_OVER_FORWARD = """
import torch, torch_ops, overbar
A = torch.eye(2)
f = torch.func.jacfwd(torch.func.jacfwd(lambda A: {}((A + A.mT) / 2).sum()))
print(f(A).shape)
torch.compile(f, fullgraph=True, backend="aot_eager")(A)
"""


@pytest.mark.slow
@pytest.mark.parametrize("op", ["torch.linalg.cholesky", "overbar.cholesky"])
def test_no_forward_over_forward_in_a_compiled_function(op):
    """Should this fail for torch.linalg.cholesky, then PyTorch has learned it. (In a process of its own: after the
    failure PyTorch takes forward mode for switched on.)"""
    code, env = FORWARD_OVER_FORWARD.format(op), {"PYTHONPATH": ":".join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert run.returncode
    assert run.stdout.startswith("torch.Size([2, 2, 2, 2])")
    assert "TorchRuntimeError" in run.stderr
