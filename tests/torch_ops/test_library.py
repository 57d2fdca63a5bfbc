"""The primitives as ops of torch.library, and exported programs, with these ops and without. May import `torch_ops`."""

import functools
import gc
import importlib
import io
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import overbar  # noqa: E402
import torch_ops  # noqa: E402 - makes the primitives ops of torch
from overbar import mH, verify  # noqa: E402
from overbar._front import NUMPY  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.rules._frechet import derivative  # noqa: E402
from tests.compare import close  # noqa: E402
from tests.conftest import (  # noqa: E402
    computed_on_the_host,
    drawn,
    repeats_by_numbers,
)
from tests.processes import run_python  # noqa: E402
from tests.torch_ops.common import several, smooth  # noqa: E402
from torch_ops import _blocks, library  # noqa: E402

# torch warns of its own making while it exports
pytestmark = pytest.mark.filterwarnings("ignore")


def registered(primitive):
    return f"overbar::{primitive.name}" in library._registered


def with_primitives(test):
    """A test of registered ops, each of which takes a second, for those that are its turn."""
    some = [p for p in REGISTRY.values() if registered(p) and drawn(test.__name__, p.name)]
    return pytest.mark.parametrize("primitive", some, ids=lambda p: p.name)(test)


def prepared(primitive, tensors):
    """The arguments, those that must be Hermitian made so: what is differentiated is a function of any matrix then."""
    # conj_physical: gradcheck with batched forward gradients fails within torch for any function of x.mH
    return [
        (x + x.conj_physical().mT) / 2 if primitive.argument(i) in primitive.hermitian else x
        for i, x in enumerate(tensors)
    ]


def function(f, primitive, options):
    def g(*tensors):
        tensors = prepared(primitive, tensors)
        outputs = smooth(f(tensors, **options) if primitive.variadic else f(*tensors, **options))
        return outputs[0] if len(outputs) == 1 else outputs

    return g


def tensors(case, requires_grad=True):
    return [torch.tensor(a, requires_grad=requires_grad) for a in case.arrays]


def value_and_gradients(f, inputs):
    outputs = smooth(f(*inputs))
    return *outputs, *torch.autograd.grad(sum(map(_number, outputs)), inputs)


def _number(out):
    weights = torch.linspace(0.5, 1.5, out.numel(), dtype=out.real.dtype).reshape(out.shape)
    return (weights * out.abs().square()).sum() + (weights * (out * (1 + 0.5j)).real).sum()


def same(found, expected, rtol=1e-11):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=rtol * max(1.0, b.abs().max().item()))


# ---------------------------------------------------------------------------------------------------------------------
# Ops of torch.library


def test_the_module_is_imported_when_it_is_asked_for():
    code = "import sys, torch_ops; early = 'torch_ops.library' in sys.modules; torch_ops.library; sys.exit(early)"
    assert run_python("-c", code).returncode == 0
    with pytest.raises(AttributeError, match="torch_ops"):
        torch_ops.libary  # noqa: B018


WITHOUT_TYPES = {
    "cond": "p is a number, a string or None",
    "fill_triangular": "positive may be None",
    "funm": "f and its derivatives are functions",
    "lstsq": "rcond may be None",
    "pinv": "atol and rtol may be None",
    "safe_cholesky": "jitter may be None",
    "spectral_function": "f and its derivatives are functions",
    "triangular_entries": "positive may be None",
}


def test_every_function_of_matrices_is_registered():
    """Should this fail for a new primitive, annotate its option. (Functions of whole arrays have indices, shapes, axes
    and masks for options, which have no type.)"""
    assert {p.name for p in REGISTRY.values() if not registered(p) and not p.signature.whole} == set(WITHOUT_TYPES)


@pytest.mark.slow
@with_primitives
def test_opcheck(primitive):
    """The schema holds, the fake op predicts the real one, autograd is registered, and AOTAutograd traces it."""
    case = verify.draw_cases(primitive)[0]
    case = verify.complete(primitive, case.arrays, case.options)
    assert not primitive.check(NUMPY, case.arrays)
    inputs = tensors(case)
    torch.library.opcheck(library.forward_op(primitive, f"overbar::{primitive.name}"), inputs, case.options)


BLOCKS = {
    "cholesky, reverse": importlib.import_module("overbar.rules._cholesky").reverse_large,
    "cholesky, forward": importlib.import_module("overbar.rules._cholesky").forward_large,
    "lu, reverse": importlib.import_module("overbar.rules._lu")._bar_halved,
    "lu, forward": importlib.import_module("overbar.rules._lu")._dot_halved,
    "cho_solve": importlib.import_module("overbar.rules._triangular")._tril_of_product,
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("rule", BLOCKS)
def test_opcheck_of_rules_by_blocks(rule, dtype):
    """Each as the one op that it is to a compiler, with conjugated views among what it gets."""
    L = torch.linalg.cholesky(2 * torch.eye(300, dtype=dtype) + torch.ones(300, 300, dtype=dtype) / 300)
    X = torch.randn(2, 300, 300, dtype=dtype)
    for arrays in ((L, X[0]), (L.expand(2, 300, 300), X), (L.mH.contiguous().mH, X[0].conj())):
        expected = BLOCKS[rule](*(A.resolve_conj() for A in arrays))
        torch.library.opcheck(_blocks.op_of(BLOCKS[rule]), arrays)
        close(_blocks.as_one_op(BLOCKS[rule], arrays), expected, 1e-11)


def test_opcheck_of_complex_matrices():
    """The conjugations in a rule are not lost in the first call of a graph, where PyTorch watches all ops."""
    for primitive in (overbar.cholesky, overbar.inv_congruence, overbar.cos):
        case = verify.draw_cases(primitive, np.complex128)[0]
        inputs = tensors(case)
        torch.library.opcheck(library.forward_op(primitive, f"overbar::{primitive.name}"), inputs, case.options)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
@with_primitives
def test_derivatives_of_the_op(primitive, dtype):
    """First and second, in both modes, and in batches of gradients."""
    for case in verify.draw_cases(primitive, dtype)[:2]:
        f = function(library.custom_op(primitive), primitive, case.options)
        inputs = tensors(case)
        tight = {"fast_mode": True, "atol": 1e-7, "rtol": 1e-5}
        same(several(f(*inputs)), several(function(primitive, primitive, case.options)(*inputs)), 1e-14)
        assert torch.autograd.gradcheck(f, inputs, check_forward_ad=True, check_batched_grad=True, **tight)
        assert torch.autograd.gradgradcheck(f, inputs, check_fwd_over_rev=True, **tight)


def gram_loss(cholesky):
    return lambda A: cholesky(A @ A.mT + torch.eye(3, dtype=A.dtype)).pow(3).sum()


@pytest.mark.parametrize(
    "transform",
    [
        lambda f: torch.func.grad(f),
        lambda f: torch.func.hessian(f),
        lambda f: torch.func.jacrev(torch.func.jacrev(torch.func.grad(f))),
        lambda f: torch.func.jacfwd(torch.func.jacfwd(f)),
        lambda f: lambda A: torch.vmap(torch.func.hessian(f))(torch.stack([A, 2 * A])),
        lambda f: torch.func.grad(lambda A: torch.vmap(f)(torch.stack([A, 2 * A])).sum()),
    ],
    ids=["grad", "hessian", "reverse thrice", "forward twice", "vmap of hessian", "grad of vmap"],
)
def test_transforms_of_the_op(transform):
    """PyTorch's own custom_op refuses all that are in reverse mode, and is silently wrong in forward mode."""
    A = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    same([transform(gram_loss(library.custom_op(overbar.cholesky)))(A)], [transform(gram_loss(overbar.cholesky))(A)])


MIXTURES = {
    "reverse over reverse": lambda f: torch.func.jacrev(torch.func.jacrev(f)),
    "forward over reverse": lambda f: torch.func.jacfwd(torch.func.jacrev(f)),
    "reverse over forward": lambda f: torch.func.jacrev(torch.func.jacfwd(f)),
    "forward over forward": lambda f: torch.func.jacfwd(torch.func.jacfwd(f)),
    "hessian of vmap": lambda f: torch.func.hessian(lambda A: torch.vmap(f)(torch.stack([A, 2 * A])).sum()),
}


@pytest.mark.parametrize("name", ["logdet", "eigh", "svd", "expm", "inv_quad_logdet"])
@pytest.mark.parametrize("mixture", MIXTURES)
def test_second_derivatives_of_ops_whose_rules_call_primitives(mixture, name):
    """A rule that torch.func calls on the op's way through its levels could not: primitives are Functions to it. Also
    called by its name, as in a program that was loaded."""
    primitive = getattr(overbar, name)
    op = library.custom_op(primitive)

    def number(f):
        def loss(A):
            S = A @ A.mT + torch.diag(torch.arange(1.0, 4.0, dtype=A.dtype))
            found = f(S, A) if name == "inv_quad_logdet" else f(S)
            # neither the signs of vectors matter nor what is hidden
            return sum((x * x).sum() / (k + 1) for k, x in enumerate(several(found)[: primitive.public]) if k != 2)

        return loss

    A = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = MIXTURES[mixture](number(primitive))(A)
    for f in (op, getattr(torch.ops.overbar, name)):
        same([MIXTURES[mixture](number(f))(A)], [expected], 1e-12)


@pytest.mark.parametrize("outer", [lambda f: f, torch.vmap, torch.func.jacfwd, torch.func.jacrev])
def test_functionalize(outer):
    A = torch.eye(3, dtype=torch.float64)[None] + 1
    f = library.custom_op(overbar.logdet)
    same([outer(torch.func.functionalize(f))(A)], [outer(overbar.logdet)(A)])


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128], ids=str)
@pytest.mark.parametrize("name", ["expm", "sinm", "cosm", "expm_frechet"])
def test_exponentials_are_exported_as_ops_of_pytorch(name, dtype):
    """For stacks of any number and size, small and large matrices, and a program that differentiates: to be
    differentiated where there is no overbar."""
    primitive = getattr(overbar, name)
    count, generator = 2 if name == "expm_frechet" else 1, torch.Generator().manual_seed(0)

    def draw(shape):
        return [torch.randn(shape, dtype=dtype, generator=generator) for _ in range(count)]

    sizes = {0: torch.export.Dim("k"), 1: (n := torch.export.Dim("n")), 2: n}
    program = exported(primitive, draw((4, 3, 3)), dynamic_shapes=(tuple(sizes for _ in range(count)),))
    assert not any("overbar" in target for target in targets(program))
    for shape, scale in (((4, 3, 3), 1.0), ((2, 5, 5), 8.0), ((3, 2, 2), 1e-9)):
        inputs = [(scale * A).requires_grad_() for A in draw(shape)]
        if count == 2:
            inputs[1] = draw(shape)[0].requires_grad_()
        found, expected = program.module()(*inputs), primitive(*inputs)
        same([found], [expected])
        bar = torch.randn(shape, dtype=dtype, generator=generator)
        same(*(torch.autograd.grad(f, inputs, bar) for f in (found, expected)))


def test_exported_second_derivatives_of_exponentials():
    A, E, F = (torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(k)) for k in range(3))
    for f in (overbar.expm, overbar.sinm, overbar.cosm):
        second = derivative(f, 2)
        program = exported(second, [A, 1e3 * E, 1e-3 * F])
        assert not any("overbar" in target for target in targets(program))
        same([program.module()(A, 1e3 * E, 1e-3 * F)], [second(A, E, F)])


def test_a_hidden_output_is_hidden_in_the_function_and_not_in_the_op():
    A, B = torch.eye(3) * 2, torch.ones(3, 2)
    assert isinstance(library.custom_op(overbar.inv_congruence)(A, B), torch.Tensor)
    assert len(torch.ops.overbar.inv_congruence(A, B)) == 2


def test_a_name_that_is_taken_again_keeps_nobody_alive():
    def scaled_by(factor):
        @overbar.elementwise
        def scaled(A):
            return factor * A

        scaled.derivative(lambda C, A: factor + 0 * A)
        return scaled

    A, first, alive = torch.ones(2, requires_grad=True), scaled_by(1.0), []
    for factor in (2.0, 3.0, 4.0):
        op = library.custom_op(scaled_by(factor), "mine::scaled")
        assert torch.equal(torch.autograd.grad(op(A).sum(), A)[0], torch.full((2,), factor))
        alive.append(weakref.ref(op.primitive))
    for _ in range(2):  # the second time it is there already
        op = library.custom_op(first, "mine::scaled")
        assert torch.equal(op(A), A)
    gc.collect()
    assert [reference() for reference in alive] == [None] * 3


def test_a_rule_by_blocks_is_differentiated_inside_or_not_at_all():
    """Whoever differentiates it looks inside (`Front.as_one`); as one op it has no derivative, and says so."""
    L = torch.linalg.cholesky(torch.eye(200, dtype=torch.float64) * 2 + 1)
    rule = BLOCKS["cholesky, reverse"]
    x = torch.ones_like(L).requires_grad_()
    (bar,) = torch.autograd.grad((torch_ops._front.TORCH.as_one(rule, L, x) ** 2).sum(), x)
    v = torch.randn(L.shape, dtype=L.dtype).tril()
    expected = 2 * (rule(L, x.detach()) * rule(L, v)).sum()
    assert abs((bar * v).sum() - expected) < 1e-10 * abs(expected)
    with pytest.raises(RuntimeError, match="autograd"):
        _blocks.as_one_op(rule, (L, x)).sum().backward()


@overbar.primitive("(m,n)->(n,n)")
def gram(A, *, scale: float, shift: int | None = None):
    return scale * (mH(A) @ A)


@gram.vjp
def _(C_bar, C, A, *, scale, shift):
    return (lambda: scale * (A @ (C_bar + mH(C_bar))),)


def test_a_primitive_of_the_users_own():
    op = library.custom_op(gram, "mine::gram")
    A = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda A: op(A, scale=2.0), A)
    torch.library.opcheck(torch.ops.mine.gram.default, (A,), {"scale": 2.0})
    assert str(torch.ops.mine.gram.default._schema) == (
        "mine::gram(Tensor A, *, float scale, SymInt? shift=None) -> Tensor"
    )

    @overbar.primitive("(m,n)->(n,n)")
    def gram2(A):
        return 3 * (mH(A) @ A)

    again = library.custom_op(gram2, "mine::gram")  # as when a cell of a notebook is run once more
    torch.testing.assert_close(again(A), 3 * A.mT @ A)


def test_what_cannot_be_registered():
    with pytest.raises(TypeError, match=r"subset: torch.library wants a type for the option index"):
        library.custom_op(overbar.subset)
    with pytest.raises(TypeError, match="concatenate takes any number of arrays"):
        library.custom_op(overbar.concatenate)

    @overbar.primitive("(n,n)->(n,n)")
    def cholesky(A):
        return A

    with pytest.raises(ValueError, match="overbar's own"):
        library.custom_op(cholesky)


def test_the_op_in_a_compiled_function():
    op = library.custom_op(overbar.cholesky)
    A = (torch.eye(4, dtype=torch.float64) * 3 + 1).requires_grad_()
    torch.compiler.reset()
    compiled = torch.compile(op, fullgraph=True, backend="aot_eager", dynamic=True)
    same(value_and_gradients(compiled, [A]), value_and_gradients(op, [A]))


# ---------------------------------------------------------------------------------------------------------------------
# torch.export


class Module(torch.nn.Module):
    def __init__(self, f):
        super().__init__()
        self.f = f

    def forward(self, *tensors):
        return self.f(*tensors)


def exported(f, inputs, **options):
    return torch.export.export(Module(f), tuple(x.detach() for x in inputs), **options)


def targets(program):
    return {str(node.target) for node in program.graph.nodes if node.op == "call_function"}


@pytest.mark.parametrize("dtype", [np.float64, np.complex128])
def test_an_exported_primitive_is_pytorchs_own_ops(first, dtype):
    """It holds nothing of overbar's, and PyTorch's derivative of it is right."""
    case = first.draw(dtype)
    inputs = tensors(case)
    f = function(first.primitive, first.primitive, case.options)
    program = exported(f, inputs)
    if computed_on_the_host(first.primitive) or repeats_by_numbers(first.primitive):
        # the kernel is an op of overbar's, and has no derivative
        same(several(program.module()(*(x.detach() for x in inputs))), several(f(*inputs)))
        return
    assert not any("overbar" in target for target in targets(program))
    if case.options.get("full_matrices"):  # PyTorch's derivative leaves out the bars of the further singular vectors
        same(several(program.module()(*inputs)), several(f(*inputs)))
        return
    same(value_and_gradients(program.module(), inputs), value_and_gradients(f, inputs))


@with_primitives
def test_an_exported_op_keeps_its_rule(primitive):
    case = verify.draw_cases(primitive)[0]
    inputs = tensors(case)
    f = function(library.custom_op(primitive), primitive, case.options)
    program = exported(f, inputs)
    assert f"overbar.{primitive.name}.default" in targets(program)
    same(value_and_gradients(program.module(), inputs), value_and_gradients(f, inputs))


@pytest.mark.parametrize("name", ["cholesky", "cholesky_inverse", "cholesky_solve"])
def test_an_exported_op_serves_all_sizes(name):
    """Though in eager code PyTorch's derivative is that of small matrices only."""
    op, n = getattr(torch_ops, name), torch.export.Dim("n", min=2, max=500)

    def f(A):
        return op(A, A) if name == "cholesky_solve" else op(A)

    def positive(n):
        return torch.eye(n, dtype=torch.float64) * 2 + 1 / n

    program = torch.export.export(Module(f), (positive(5),), dynamic_shapes=(({0: n, 1: n},),))
    for size in (3, 220):
        inputs = [positive(size).requires_grad_()]
        same(value_and_gradients(program.module(), inputs), value_and_gradients(f, inputs))


ANY = {"min": 2, "max": 100_000}


def serves_any_batch(primitive, case):
    """One program, of PyTorch's own ops, for few matrices and for so many that eager code takes a compiled loop."""
    inputs, f = tensors(case), function(primitive, primitive, case.options)
    batch = torch.export.Dim("batch", **ANY)
    program = exported(f, inputs, dynamic_shapes=(tuple({0: batch} for _ in inputs),))
    for copies in (1, 70):
        some = [x.detach().repeat(copies, *[1] * (x.ndim - 1)) for x in inputs]
        same(several(program.module()(*some)), several(f(*some)))


def test_an_exported_primitive_serves_any_batch(first):
    if not first.primitive.signature.whole:  # the shape is an option of some functions of whole arrays
        serves_any_batch(first.primitive, first.draw(np.float64, (7,)))


@pytest.mark.parametrize(
    "name", ["cholesky", "cholesky_update", "eig", "eigh", "lu_solve", "matern", "pinv", "polar", "svd"]
)
def test_an_exported_batch_is_bound_to_no_side_of_a_threshold(name):
    """Nor made a constant, by NumPy's broadcast of shapes or PyTorch's of `take_along_dim`."""
    serves_any_batch(REGISTRY[name], verify.draw_cases(REGISTRY[name], batch=(7,))[0])


COVARIANCES = {
    "rbf": lambda X, Z: torch_ops.rbf(X, X[0] ** 2 + 1, noise=X[:, 0] ** 2),
    "matern_cross": lambda X, Z: torch_ops.matern_cross(X, Z, X[0] ** 2 + 1, nu=1.5),
    "linear": lambda X, Z: torch_ops.linear_covariance(X, X[0] ** 2),
    "squared_distance_cross": lambda X, Z: torch_ops.squared_distance_cross(X, Z, X[0] ** 2 + 1),
}


@pytest.mark.parametrize("name", COVARIANCES)
def test_an_exported_covariance_serves_any_number_of_inputs(name):
    """Also as many as eager code takes by blocks of rows."""
    f = COVARIANCES[name]
    generator = torch.Generator().manual_seed(1)

    def points(count):
        return torch.randn(count, 5, dtype=torch.float64, generator=generator)

    sizes = ({0: torch.export.Dim("n", **ANY)}, {0: torch.export.Dim("m", **ANY)})
    program = exported(f, [points(9), points(7)], dynamic_shapes=(sizes,))
    for n, m in ((5, 4), (500, 600)):
        X, Z = points(n), points(m)
        torch.testing.assert_close(program.module()(X, Z), f(X, Z), rtol=1e-10, atol=1e-10)


def model(cholesky):
    def f(A, B):
        L = cholesky((A + A.mT) / 2)
        return overbar.solve_triangular(L, B, upper=False) + overbar.cho_logdet(L)

    return f


def model_inputs():
    A = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    B = torch.randn(4, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return [(A @ A.mT + torch.eye(4, dtype=A.dtype)).requires_grad_(), B.requires_grad_()]


@pytest.mark.parametrize(
    "cholesky",
    [torch_ops.cholesky, overbar.cholesky, library.custom_op(overbar.cholesky)],
    ids=["op", "primitive", "library"],
)
@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_model(cholesky, strict):
    """Decomposed, saved and loaded."""
    inputs, f = model_inputs(), model(cholesky)
    expected = value_and_gradients(f, inputs)
    program = exported(f, inputs, strict=strict)
    same(value_and_gradients(program.module(), inputs), expected)
    program = program.run_decompositions()
    file = io.BytesIO()
    torch.export.save(program, file)
    file.seek(0)
    same(value_and_gradients(torch.export.load(file).module(), inputs), expected)


def test_absent_parameters_do_not_keep_a_program_from_being_saved():
    inputs = model_inputs()[:1]
    clamped = functools.partial(
        torch_ops.spectral_function, f=lambda w: w.clamp(min=1.0), df=lambda w: (w > 1).to(w.dtype)
    )
    file = io.BytesIO()
    torch.export.save(exported(clamped, inputs), file)
    file.seek(0)
    same(value_and_gradients(torch.export.load(file).module(), inputs), value_and_gradients(clamped, inputs))


@pytest.mark.parametrize("cholesky", [overbar.cholesky, library.custom_op(overbar.cholesky)], ids=["ops", "library"])
def test_an_exported_model_of_any_size(cholesky):
    f, inputs = model(cholesky), model_inputs()
    n = torch.export.Dim("n", min=2)
    program = torch.export.export(
        Module(f), tuple(x.detach() for x in inputs), dynamic_shapes={"tensors": ({0: n, 1: n}, {0: n})}
    )
    for size in (3, 200):
        A = (torch.eye(size, dtype=torch.float64) * size + 1).requires_grad_()
        B = torch.linspace(1, 2, 2 * size, dtype=torch.float64).reshape(size, 2).requires_grad_()
        same(value_and_gradients(program.module(), [A, B]), value_and_gradients(f, [A, B]))


LOAD = """
import sys, torch
{}
assert ("overbar" in sys.modules) == bool({!r})
program = torch.export.load(sys.argv[1])
print(program.module()(2 * torch.eye(4, dtype=torch.float64), torch.ones(4, 2, dtype=torch.float64)).shape)
"""


@pytest.mark.parametrize("kept, imports", [(False, ""), (True, "import torch_ops.library"), (True, "")])
def test_loading_in_another_process(tmp_path, kept, imports):
    """What holds PyTorch's own ops only is loaded without overbar; what holds an op of overbar's is not."""
    program = exported(model(library.custom_op(overbar.cholesky) if kept else overbar.cholesky), model_inputs())
    path = str(tmp_path / "model.pt2")
    torch.export.save(program, path)
    run = run_python("-c", LOAD.format(imports, imports), path)
    if kept and not imports:
        assert run.returncode
        assert "overbar" in run.stderr
    else:
        assert run.stdout == "torch.Size([4, 2])\n", run.stderr
