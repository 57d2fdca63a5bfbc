"""The ops under torch.compile: whole in one graph, with their own derivative, for all sizes. May import `torch_ops`."""

import functools
import gc
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import overbar  # noqa: E402
import torch_ops  # noqa: E402
from overbar import mH  # noqa: E402
from overbar.rules import REGISTRY  # noqa: E402
from overbar.verify import call, draw_cases  # noqa: E402
from tests.conftest import drawn  # noqa: E402
from tests.processes import run_python  # noqa: E402

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
    assert run_python("-c", code).returncode == 0


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


BY_NAME = [name for name in torch_ops.__all__ if hasattr(getattr(torch_ops, name), "primitive")]


@pytest.mark.parametrize("name", [name for name in BY_NAME if drawn("test_every_op_by_its_public_name", name)])
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
        return (lambda: 1.001 * overbar.cholesky.vjp_rule(L_bar, L, A, **overbar.cholesky.defaults)[0](),)

    A = positive_definite(size)
    *_, found = value_and_gradients(compiled(of(wrong, {})), [A])
    *_, right = value_and_gradients(of(overbar.cholesky, {}), [A])
    torch.testing.assert_close(found, 1.001 * right, rtol=1e-10, atol=1e-10)
    with pytest.raises(AssertionError):
        same(compiled(of(wrong, {})), of(overbar.cholesky, {}), [A])


# ---------------------------------------------------------------------------------------------------------------------
# A user's own primitives


@overbar.primitive("(m,n)->(n,n),(),(n)", intermediates=1)
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


def doubled(C_bar, out=None):
    """2 C̄, in a buffer where there is one."""
    if out is None:
        return 2.0 * C_bar
    out[...] = C_bar
    out *= 2.0
    return out


@doubled_in_place.vjp
def _(C_bar, C, A, *, factor):
    return (lambda: overbar.front(A).as_one(doubled, C_bar),)


@overbar.primitive("(m,n)->(m,n)")
def without_a_schema(A, *, options=()):
    """Its option has no type that torch.library knows."""
    return 2.0 * A


@without_a_schema.vjp
def _(C_bar, C, A, *, options):
    return doubled_in_place.vjp_rule(C_bar, C, A, factor=2.0)


@pytest.mark.parametrize("primitive", [doubled_in_place, without_a_schema], ids=lambda x: str(x))
def test_a_rule_that_works_in_place_is_one_op_of_the_graph(primitive):
    seen = []

    def backend(graph, _):
        seen.append(graph.code)
        return graph.forward

    from torch._dynamo.backends.common import aot_autograd

    A = torch.randn(3, 2, dtype=torch.float64, requires_grad=True)
    same(compiled(of(primitive, {}), backend=aot_autograd(fw_compiler=backend)), of(primitive, {}), [A])
    assert sum("overbar.test_compile_doubled" in code for code in seen) == 1
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


@pytest.mark.parametrize("name", ["cholesky", "eigh", "polar", "rbf"])
def test_one_graph_for_batches_of_any_size(name):
    """Also of so many matrices, or rows, that eager code would take a compiled loop, or blocks."""

    def f(A):
        if name == "rbf":
            return overbar.rbf(A, A[0, 0] * 0 + 1)
        found = getattr(torch_ops, name)(A @ A.mT + torch.eye(3, dtype=A.dtype))
        return found if name == "cholesky" else found[0]

    g = compiled(f, dynamic=True)
    for count in (5, 40, 1000) if name == "rbf" else (5, 40, 3000):
        shape = (count, 3) if name == "rbf" else (count, 3, 3)
        A = torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(count))
        torch.testing.assert_close(g(A), f(A))
    assert graphs() == 1


def test_a_rule_that_is_replaced_is_another_one_after_a_reset():
    """As the docstring of `Primitive.vjp` says."""

    @overbar.primitive("()->()")
    def mine(x):
        return 1 * x

    A = torch.ones((), requires_grad=True)
    g = torch.compile(lambda x: mine(x), fullgraph=True, backend="aot_eager")
    for slope in (2.0, 3.0):
        mine.vjp(lambda bar, y, x, slope=slope: (lambda: slope * bar,), replace=True)
        torch.compiler.reset()
        assert torch.autograd.grad(g(A), A)[0] == slope


@pytest.mark.parametrize("word", ["take_rows", "take_along_axis"])
def test_fewer_indices_than_rows_in_one_graph(word):
    """Neither number is known, and they are not the same."""

    @overbar.primitive("(m,n),(p)->(p,n)")
    def rows(A, keys):
        xp = overbar.namespace(A)
        order = xp.argsort(keys)
        if word == "take_rows":
            return xp.take_rows(A, order)
        return xp.take_along_axis(A, order[..., None], axis=-2)

    g = compiled(lambda A, keys: rows(A, keys), dynamic=True)
    for m, n, p in ((5, 4, 3), (7, 6, 4), (6, 9, 5)):
        A, keys = torch.randn(2, m, n), torch.randn(2, p)
        assert torch.equal(g(A, keys), torch.stack([a[k.argsort()] for a, k in zip(A, keys, strict=True)]))
    assert graphs() == 1


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
    assert max(sizes) < 30  # half of them look for an infinite pivot


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
# What changes between two calls: numbers among the options, which dynamo makes variables of the graph at their second
# value, and functions, of which it compares the code only

OTHERS = {
    "UPLO": ["U"],
    "driver": ["gelsy"],
    "index": [[1, 0], [0, 1], 1],
    "mode": ["complete"],
    "on_error": ["nan"],
    "output": ["complex"],
    "side": ["left"],
    "axis": [0, 1, (0, 1), (1, 0)],
    "rcond": [1e-9, 1e-10, 1e-11],
    "atol": [1e-9, 1e-10, 1e-11],
    "rtol": [1e-9, 1e-10, 1e-11],
    "ord": [1, 2, -1, 1.0, 2.0, float("inf")],
    "p": [1, 2, -1, 1.0, 2.0, float("inf")],
}


def values_of(name, value):
    """This and other values of an option, some of which may be invalid for a primitive."""
    if isinstance(value, bool):
        return [value, not value]
    if isinstance(value, int):
        return [value, value + 1, value + 2, value - 1]
    if isinstance(value, float):
        return [value, 1.5 * value + 0.25, 2 * value + 0.5]
    turned = [value[::-1]] if isinstance(value, (tuple, list)) and all(type(x) is int for x in value) else []
    return [value, *turned, *OTHERS.get(name, [])]


OPTIONS = [
    (p, name)
    for p in REGISTRY.values()
    for name in p.defaults
    if name not in ("batch_ndim", "mask") and p is not overbar.spectral_function
]


def calls_with_values_of(primitive, name):
    """Tensors and options, with values of this option that are valid for them, and different ones."""
    found, seen = [], []
    for case in draw_cases(primitive):
        for value in values_of(name, case.options.get(name, primitive.defaults[name])):
            inputs, options = tensors(case), {**case.options, name: value}
            try:
                value_and_gradients(of(primitive, options), inputs)
            except (ValueError, TypeError, IndexError, RuntimeError):
                continue
            found.append((inputs, options))
            seen.append(repr(value))
        if len(set(seen)) > 1:
            return found
    raise AssertionError(f"{primitive.name}: only one value of {name} is valid")


@pytest.mark.parametrize("primitive, name", OPTIONS, ids=lambda x: getattr(x, "name", x))
@pytest.mark.turns(4)
def test_the_next_value_of_every_option(primitive, name):
    """It has no error, and gives neither the value nor the gradient of the one before."""
    g = compiled(lambda options, *tensors: call(primitive, tensors, options), backend="eager")
    for inputs, options in calls_with_values_of(primitive, name):
        same(functools.partial(g, options), of(primitive, options), inputs)


NUMBERS = {
    "a factor": lambda A, c: overbar.multiply(A, c),
    "a minuend": lambda A, c: overbar.subtract(c, A),
    "a power": lambda A, c: overbar.power(A.abs() + 1, c),
    "a factor of an op": lambda A, c: torch_ops.multiply(A, c),
    "a power of an op": lambda A, c: torch_ops.power(A.abs() + 1, c),
}


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("numbers", [(1, 2, 3, 4), (0.5, 1.5, 2.5, 3.5)], ids=["integers", "floats"])
@pytest.mark.parametrize("f", NUMBERS.values(), ids=NUMBERS)
@pytest.mark.turns(2)
def test_numbers_in_the_places_of_arrays_are_variables_of_one_graph(f, numbers, backend):
    g = compiled(f, backend)
    for c in numbers:
        same(lambda A, c=c: g(A, c), lambda A, c=c: f(A, c), [positive_definite(3)])
    if backend == "eager" or isinstance(numbers[0], int):  # AOTAutograd makes constants of floats
        assert graphs() == 2  # the first takes its number for a constant


def test_sizes_among_the_options_stay_variables():
    def f(A):
        return overbar.reshape(overbar.multiply(A, A.shape[0]), shape=(A.shape[0] * 2, 2))

    g = compiled(f, dynamic=True)
    for n in (6, 8, 10):
        same(g, f, [torch.randn(n, 4, dtype=torch.float64, requires_grad=True)])
    assert graphs() == 1


class Square:
    """An object that can be called, and changed, and has methods."""

    def __init__(self, c):
        self.c = c

    def __call__(self, w):
        return self.c * w * w

    def slope(self, w):
        return 2 * self.c * w


def closures(c):
    return lambda w: c * w * w, lambda w: 2 * c * w


FACTOR = 1.0


def square(w):
    return FACTOR * w * w


def twice(w):
    return 2 * FACTOR * w


def with_factor(c):
    global FACTOR
    FACTOR = c
    return square, twice


def through_another(c):
    times = lambda w: c * w  # noqa: E731
    return lambda w: times(w) * w, lambda w: 2 * times(w)


def changed(thing, c):
    """The same functions, which read what has changed."""
    thing[0].c = c
    return thing[0], thing[0].slope


def from_a_list(held, c):
    held[0] = c
    return held[1:]


HELD = [1.0]
HELD += [lambda w: HELD[0] * w * w, lambda w: 2 * HELD[0] * w]

#: functions f and f′ for a number, and whether a graph can hold them
FUNCTIONS = {
    "closures": (closures, True),
    "defaults": (lambda c: (lambda w, c=c: c * w * w, lambda w, *, c=c: 2 * c * w), True),
    "partials": (
        lambda c: (functools.partial(lambda a, w: a * w * w, c), functools.partial(lambda w, a: 2 * a * w, a=c)),
        True,
    ),
    "globals": (with_factor, True),
    "closures over functions": (through_another, True),
    "functions of torch": (lambda c: (torch.exp, torch.exp) if c == 2 else (torch.sin, torch.cos), True),
    "ops": (
        lambda c: (torch_ops.exp, torch_ops.exp) if c == 2 else (torch_ops.sqrt, lambda w: 0.5 / torch.sqrt(w)),
        True,
    ),
    "objects": (functools.partial(changed, [Square(0.0)]), False),
    "what lists hold": (functools.partial(from_a_list, HELD), False),
    "tensors": (lambda c: closures(torch.tensor(c)), False),
}


def by_name(A, f, df):
    return overbar.spectral_function(A, f=f, df=df)


def by_position(A, f, df):
    return torch_ops.spectral_function(A, None, f, df)


@pytest.mark.parametrize("spectral, backend", [(by_name, "eager"), (by_position, "aot_eager")])
@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.turns(4)
def test_functions_among_the_options_are_never_those_of_the_call_before(kind, spectral, backend):
    """What dynamo cannot look into is computed outside of the graph, and refused where all must be in one."""
    make, fits = FUNCTIONS[kind]
    g = torch.compile(spectral, backend=backend, fullgraph=fits)
    for c in (1.0, 2.0, 3.0):
        f, df = make(c)
        same(functools.partial(g, f=f, df=df), functools.partial(spectral, f=f, df=df), [positive_definite(3)])
    if not fits:
        with pytest.raises(torch._dynamo.exc.Unsupported, match=r"option \w+ is a function that holds a"):
            compiled(lambda A: spectral(A, f, df), backend)(positive_definite(3))


def constant_within(A, c):
    return c * overbar.spectral_function(A, f=lambda w: torch.exp(w), df=lambda w: torch.exp(w))


def closure_within(A, c):
    return overbar.spectral_function(A, f=lambda w: c * torch.exp(w), df=lambda w: c * torch.exp(w))


@pytest.mark.parametrize("f, fullgraph", [(constant_within, True), (closure_within, False)])
def test_a_function_made_within_what_is_compiled(f, fullgraph):
    g = torch.compile(f, backend="aot_eager", fullgraph=fullgraph)
    for c in (1.0, 2.0, 3.0):
        same(functools.partial(g, c=c), functools.partial(f, c=c), [positive_definite(3)])


def test_nothing_grows_with_wraps_compilations_and_functions():
    from torch_ops import _graphs as held

    def of_a_captured_tensor():
        captured = torch.randn(3, 3, dtype=torch.float64)

        @overbar.primitive("(n,n)->(n,n)")
        def scaled(A):
            return captured * A

        @scaled.vjp
        def _(C_bar, C, A):
            return (lambda: captured * C_bar,)

        c = len(alive)

        def f(w):
            return c * w * w

        @overbar.elementwise
        def doubled(A):
            return 2 * A

        doubled.derivative(lambda C, A: 2 + 0 * A)
        op, A = torch_ops.wrap(doubled), positive_definite(3)
        torch_ops.wrap(scaled)(A).sum().backward()
        compiled(lambda A: op(A) + doubled(A))(A).sum().backward()
        compiled(lambda A: overbar.spectral_function(A, f=f, df=f))(A).sum().backward()
        alive.extend(weakref.ref(x) for x in (captured, scaled, doubled, op, f))

    def sizes():
        torch.compiler.reset()
        gc.collect()
        return len(held._objects), len(held._keys)

    alive = []
    of_a_captured_tensor()
    before = sizes()
    for _ in range(4):
        of_a_captured_tensor()
    assert sizes() == before
    assert [reference() for reference in alive] == [None] * len(alive)


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
    run = run_python("-c", FORWARD_OVER_FORWARD.format(op))
    assert run.returncode
    assert run.stdout.startswith("torch.Size([2, 2, 2, 2])")
    assert "torch._dynamo.exc" in run.stderr


@pytest.mark.parametrize("rank", [4, 2])
def test_a_ridge_regression_by_singular_values_of_a_tall_matrix(rank):
    """A maximum in the rule of svd made the compiler's kernels wrong at full rank. Where the rank is less they are NaN,
    as they do without it, and never another number."""
    rng = np.random.default_rng(0)
    K, y = (
        torch.tensor(rng.standard_normal((6, rank)) @ rng.standard_normal((rank, 4))),
        torch.tensor(rng.normal(size=6)),
    )

    def size(K):
        U, s, Vh = torch_ops.svd(K, full_matrices=False)
        return ((Vh.T @ (s / (s**2 + 0.5) * (U.T @ y))) ** 2).sum()

    gradient = torch.func.grad(size)
    torch._dynamo.reset()
    found, expected = torch.compile(gradient)(K), gradient(K)
    assert (found - expected).abs().max() < 1e-12 or (rank == 2 and found.isnan().all())
