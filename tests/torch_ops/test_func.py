"""torch.func over every primitive: each composition of its transforms up to depth three. May import `torch_ops`.

The danger is not an exception, it is a zero: a tangent that a Function loses at the second level leaves a derivative
that looks like one. So every composition is held against a truth that knows neither torch.func nor our forward rules,
and no truth is small.

How. The arrays of a primitive move with two parameters, x = a + D t, and its outputs are condensed to two numbers: a
function F(t, data) from R² to R². Plain reverse mode, in loops, gives its derivatives at t = 0 up to the third
(test_autograd.py holds those against differences). From them NumPy computes what each composition must give.
"""

import itertools
import math
import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.autograd import forward_ad  # noqa: E402
from torch.utils._pytree import tree_map  # noqa: E402

import overbar  # noqa: E402
import torch_ops  # noqa: E402, F401 - makes the primitives ops of torch
from overbar import verify  # noqa: E402
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
    tensors,
    weights,
)
from tests.torch_ops.own import OWN_PRIMITIVES, cubic_product, mahalanobis, moments  # noqa: E402
from torch_ops import _function as wrapper  # noqa: E402

# Of torch.func.vmap, about the function that makes matrices Hermitian here.
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop .* aten..*_conj_physical:UserWarning")

COUNT = 2  # the size of each vmap
EXACT = 1e-9  # relative; what is found is about 1e-15, a lost term is of the size of 1


# ---------------------------------------------------------------------------------------------------------------------
# The transforms, of functions F(t, data). `data` is what vmap maps, and t, unless that is shared.


def grad(F, shared):
    return lambda t, data: torch.func.grad(lambda t: (weights(F(t, data).shape) * F(t, data)).sum())(t)


def vjp(F, shared):
    def transformed(t, data):
        out, pullback = torch.func.vjp(lambda t: F(t, data), t)
        return pullback((1 + out) * weights(out.shape))[0]

    return transformed


def jvp(F, shared):
    return lambda t, data: torch.func.jvp(lambda t: F(t, data), (t,), (weights(t.shape),))[1]


def jacrev(F, shared):
    return lambda t, data: torch.func.jacrev(lambda t: F(t, data))(t)


def jacfwd(F, shared):
    return lambda t, data: torch.func.jacfwd(lambda t: F(t, data))(t)


def vmap(F, shared, dim=0):
    """t and `data` come with the new dimension in front, and it is moved to `dim` first."""

    def transformed(t, data):
        t = t if shared else t.movedim(0, dim)
        data = tree_map(lambda x: x.movedim(0, dim), data)
        return torch.func.vmap(F, in_dims=(None if shared else dim, dim), out_dims=dim)(t, data)

    return transformed


def vmap_last(F, shared):
    """The mapped dimension is the last one, of every argument and of the result."""
    return vmap(F, shared, dim=-1)


def backward(F, shared):
    """torch.autograd.grad, which is no transform: it can only stand outside of all those of torch.func."""

    def transformed(t, data):
        t = t if t.requires_grad else t.clone().requires_grad_()
        out = F(t, data)
        return torch.autograd.grad((weights(out.shape) * out).sum(), t, create_graph=True)[0]

    return transformed


def dual(F, shared):
    """Dual numbers, the same."""

    def transformed(t, data):
        with forward_ad.dual_level():
            out = F(forward_ad.make_dual(t, weights(t.shape)), data)
            return forward_ad.unpack_dual(out).tangent

    return transformed


REVERSE, FORWARD, BATCH = [grad, vjp, jacrev], [jvp, jacfwd], [vmap, vmap_last]
TRANSFORMS = [*REVERSE, *FORWARD, *BATCH]


def transformed(F, composition, shared=False):
    for transform in reversed(composition):
        F = transform(F, shared)
    return F


def name(composition):
    return " of ".join(transform.__name__ for transform in composition)


def one_of_each_kind(depth, seed):
    """A composition for each order of reverse mode, forward mode and vmap, of transforms drawn by the seed."""
    draw = random.Random(seed)
    return [tuple(map(draw.choice, kinds)) for kinds in itertools.product((REVERSE, FORWARD, BATCH), repeat=depth)]


# ---------------------------------------------------------------------------------------------------------------------
# The truth. A jet is the shape of t and the derivatives at t = 0: the k-th has the shape of the value and k times that
# of t, flattened. A transform takes the last derivative away.


def _gradient(t_shape, D, cotangent_moves):
    """The jet of ∇⟨c, F⟩ for fixed c = w, or for c = w ∘ (1 + F), which has derivatives of its own."""
    shape, p = D[0].shape, math.prod(t_shape)
    w = weights(shape).numpy().reshape(-1)
    D = [d.reshape(-1, *(p,) * k) for k, d in enumerate(D)]
    c = [w] if not cotangent_moves else [w * (1 + D[0]), *(np.einsum("o,o...->o...", w, d) for d in D[1:])]
    jet = [np.einsum("o,oi->i", c[0], D[1])]
    if len(D) > 2:
        jet.append(np.einsum("o,oij->ij", c[0], D[2]))
        if cotangent_moves:
            jet[1] = jet[1] + np.einsum("oj,oi->ij", c[1], D[1])
    if len(D) > 3:
        jet.append(np.einsum("o,oijk->ijk", c[0], D[3]))
        if cotangent_moves:
            jet[2] = jet[2] + np.einsum("oj,oik->ijk", c[1], D[2]) + np.einsum("ok,oij->ijk", c[1], D[2])
            jet[2] = jet[2] + np.einsum("ojk,oi->ijk", c[2], D[1])
    return t_shape, [d.reshape(*t_shape, *d.shape[1:]) for d in jet]


def _tangent(t_shape, D):
    v = weights(t_shape).numpy().reshape(-1)
    return t_shape, [d @ v for d in D[1:]]  # all of its derivatives are symmetric: any of the axes will do


def _jacobian(t_shape, D):
    value = D[0].shape
    return t_shape, [d.reshape(*value, *t_shape, *d.shape[len(value) + 1 :]) for d in D[1:]]


def _stack(jets, dim, shared):
    """The jet of a vmap: element b depends on its own t only, unless that is shared."""
    t_shape, value = jets[0][0], jets[0][1][0].shape
    stacked = []
    for k in range(len(jets[0][1])):
        each = [D[k] for _, D in jets]
        if shared or k == 0:
            out = np.stack(each)
        else:
            out = np.zeros((COUNT, *value, *(COUNT, math.prod(t_shape)) * k))
            for b, d in enumerate(each):
                out[(b, *(slice(None),) * len(value), *(b, slice(None)) * k)] = d
            out = out.reshape(COUNT, *value, *(COUNT * math.prod(t_shape),) * k)
        stacked.append(np.moveaxis(out, 0, len(value)) if dim == -1 else out)
    return (t_shape if shared else (COUNT, *t_shape)), stacked


def true_jet(composition, jet_at, shared=False, place=()):
    """The jet of a composition, from the jets of F at each place in the batch."""
    if not composition:
        return (2,), jet_at(place)
    transform, *inner = composition
    if transform in BATCH:
        jets = [true_jet(inner, jet_at, shared, (*place, b)) for b in range(COUNT)]
        return _stack(jets, 0 if transform is vmap else -1, shared)
    t_shape, D = true_jet(inner, jet_at, shared, place)
    if transform in (grad, backward, vjp):
        return _gradient(t_shape, D, transform is vjp)
    return _tangent(t_shape, D) if transform in (jvp, dual) else _jacobian(t_shape, D)


class Subject:
    """A primitive as F(t, data), and its derivatives at each place of a batch.

    The arrays `moving` depend on t, by default all. As a rule vmap maps those and t, and the others are constants that
    it does not see. Where t is shared, it is the other way round.
    """

    def __init__(self, sample, depth, dtype=np.float64, moving=None, shared=False):
        single, batched, lead = sample.draw(dtype), sample.draw(dtype, (COUNT,) * depth), (COUNT,) * depth
        count = len(single.arrays)
        self.depth, self.shared, self.f = depth, shared, op(sample.primitive, single.options)
        self.constants = [torch.tensor(a) for a in single.arrays]
        moving = range(count) if moving is None else moving
        self.directions = {i: D for i, D in enumerate(directions(single.arrays)) if i in moving}
        self.data = {i: torch.tensor(a) for i, a in enumerate(batched.arrays) if (i in moving) != shared}
        self.jets = {}
        for place in np.ndindex(*lead):
            data = {i: a[place] for i, a in self.data.items()}
            t = torch.zeros(2, dtype=torch.float64, requires_grad=True)
            self.jets[place] = [d.numpy() for d in derivatives(lambda t, data=data: self.F(t, data), t, depth)]

    def F(self, t, data):
        x = [data.get(i, constant) for i, constant in enumerate(self.constants)]
        for i, D in self.directions.items():
            x[i] = x[i] + D @ t.to(D.dtype)
        return condensed(self.f(*x))

    def error(self, composition):
        """How far the composition is from the truth, relative to the truth's largest entry."""
        maps = sum(transform in BATCH for transform in composition)
        rest = (0,) * (self.depth - maps)
        _, (truth, *_) = true_jet(composition, lambda place: self.jets[*rest, *place], self.shared)
        assert abs(truth).max() > 1e-6, f"{name(composition)}: this truth shows nothing"
        t = torch.zeros(*(() if self.shared else (COUNT,) * maps), 2, dtype=torch.float64)
        found = transformed(self.F, composition, self.shared)(t, {i: a[rest] for i, a in self.data.items()})
        found = found.detach().numpy()
        return error(found, truth)

    def check(self, compositions):
        wrong = {name(c): off for c in compositions if not (off := self.error(c)) < EXACT}
        assert not wrong


# ---------------------------------------------------------------------------------------------------------------------
# Compositions


def test_compositions_up_to_two(sample):
    Subject(sample, 2).check(c for depth in (1, 2) for c in itertools.product(TRANSFORMS, repeat=depth))


@pytest.mark.slow
@pytest.mark.parametrize("own", OWN_PRIMITIVES, ids=lambda primitive: primitive.name)
def test_compositions_of_three(own):
    """All of them, over primitives that have between them all that the wrapper knows of primitives."""
    Subject(Sample(own, 0), 3).check(itertools.product([*REVERSE, *FORWARD, vmap], repeat=3))


@pytest.mark.slow
def test_compositions_of_three_of_each_kind(first):
    """(27 of the 343, for each primitive others.)"""
    Subject(first, 3).check(one_of_each_kind(3, seed=first.primitive.name))


def test_compositions_of_complex_numbers(first):
    """F takes and returns real numbers: this asks for no convention, and the chain through the arrays is complex."""
    Subject(first, 2, np.complex128).check(one_of_each_kind(2, seed=first.primitive.name))


def test_compositions_with_constants(first):
    """One array moves, and the others are constants that are not mapped; then they are mapped, and it is not."""
    count = len(first.draw().arrays)
    for i, shared in itertools.product(range(count), [False, True]):
        if count > 1 and first.primitive.argument(i) not in first.primitive.integer:
            compositions = one_of_each_kind(2, seed=f"{first.primitive.name} {i} {shared}")
            Subject(first, 2, moving=[i], shared=shared).check(compositions)


@pytest.mark.turns(4)
def test_dual_numbers_and_backward_passes_around_transforms(first):
    """torch.autograd.forward_ad over and under reverse mode, and both around the transforms of torch.func."""
    compositions = [
        (*outside, *inside)
        for size in (1, 2, 3)
        for outside in itertools.product([dual, backward], repeat=size)
        for inside in one_of_each_kind(3 - size, seed=first.primitive.name)
        # torch has dual numbers of one level, which a jvp needs as well
        if dual not in outside or sum(transform in (dual, jvp, jacfwd) for transform in (*outside, *inside)) == 1
    ]
    assert len(compositions) == 24
    Subject(first, 3).check(compositions)


# ---------------------------------------------------------------------------------------------------------------------
# The rest of torch.func


def test_linearize(first):
    """The tangent of torch.func.linearize is that of jvp, at directions that it did not see."""
    case = first.draw()
    f, x = op(first.primitive, case.options), tensors(case, requires_grad=False)
    out, tangent = torch.func.linearize(f, *x)
    rng = np.random.default_rng(3)
    for _ in range(2):
        direction = [torch.tensor(verify.noise(rng, a)) for a in case.arrays]
        value, expected = torch.func.jvp(f, tuple(x), tuple(direction))
        assert max(b.abs().max() for b in several(expected)) > 1e-3  # the sign of a determinant has none
        for a, b in zip(several(tangent(*direction)), several(expected), strict=True):
            close(a, b, 1e-11)
    for a, b in zip(several(out), several(value), strict=True):
        close(a, b, 1e-11)


def test_hessian_of_every_argument(first):
    """torch.func.hessian, with its blocks of different arguments, against reverse mode twice."""
    case = first.draw()
    g, x = loss(first.primitive, case.options), tensors(case)
    every = tuple(range(len(x)))
    found = torch.func.hessian(g, argnums=every)(*(t.detach() for t in x))
    gradient = torch.autograd.grad(g(*x), x, create_graph=True)
    for i, bar in enumerate(gradient):
        if first.primitive.argument(i) in first.primitive.integer:
            continue
        rows = [torch.autograd.grad(entry, x, retain_graph=True, materialize_grads=True) for entry in bar.flatten()]
        for j, blocks in enumerate(zip(*rows, strict=True)):
            expected = torch.stack(blocks).reshape((*bar.shape, *x[j].shape))
            assert i != j or expected.abs().max() > 1e-3
            close(found[i][j], expected, 1e-11)


def test_chunks(first):
    """vmap and jacrev in pieces, of which the last is smaller."""
    case, batched = first.draw(), first.draw(batch=(3,))
    f, x = real_op(first.primitive, case.options), tensors(batched, requires_grad=False)
    found, whole = torch.func.vmap(f, chunk_size=2)(*x), torch.func.vmap(f)(*x)
    for a, b in zip(several(found), several(whole), strict=True):
        # a matrix that has a factor has the jitter 0
        assert b.abs().max() > 1e-3 or (first.primitive.name == "safe_cholesky" and b is whole[1])
        close(a, b, 1e-11)
    g = lambda *points: torch.cat([out.reshape(-1) for out in several(f(*points))])  # noqa: E731
    point = [t[0] for t in x]
    close(torch.func.jacrev(g, chunk_size=2)(*point), torch.func.jacrev(g)(*point), 1e-11)


def test_out_dims_and_in_dims_of_each_argument():
    A, B = torch.randn(3, 4, 5, dtype=torch.float64), torch.randn(4, 2, 6, dtype=torch.float64)
    mapped = torch.func.vmap(lambda A, B: overbar.matmul(A, B), in_dims=(1, 2), out_dims=1)
    with pytest.raises(ValueError, match="sizes"):
        mapped(A, B)  # 4 of one and 6 of the other
    mapped = torch.func.vmap(torch.func.vmap(overbar.matmul, in_dims=(None, 2), out_dims=2), in_dims=(1, None))
    A = torch.randn(3, 7, 4, dtype=torch.float64)
    close(mapped(A, B), torch.einsum("mvn,npk->vmpk", A, B), 1e-11)


def test_a_mask_that_depends_on_the_tensor():
    """``mask=A > 0`` belongs to the levels of A, which the option of a Function does not know."""
    positive = lambda A: (overbar.mask(A, mask=A > 0) ** 3).sum()  # noqa: E731
    expected = lambda A: (torch.where(A > 0, A, 0.0) ** 3).sum()  # noqa: E731
    A = torch.linspace(-1, 2, 12, dtype=torch.float64).reshape(3, 2, 2)
    grad, hessian, jvp = torch.func.grad, torch.func.hessian, lambda f: lambda A: torch.func.jvp(f, (A,), (A,))[1]
    for transform in (grad, hessian, jvp, lambda f: grad(jvp(f)), lambda f: jvp(grad(f)), lambda f: jvp(jvp(f))):
        close(transform(positive)(A[2]), transform(expected)(A[2]), 1e-11)
        close(torch.func.vmap(transform(positive))(A), torch.func.vmap(transform(expected))(A), 1e-11)
        close(transform(lambda A: torch.func.vmap(positive)(A).sum())(A), transform(expected)(A), 1e-11)


def test_vmap_over_an_index():
    x, i = torch.linspace(1, 2, 12, dtype=torch.float64).reshape(4, 3), torch.tensor([[0, 1], [2, 1], [0, 0], [1, 2]])
    some = lambda x, i: overbar.subset(x, index=i)  # noqa: E731
    put = lambda y, i: overbar.embed(y, index=i, shape=(3,))  # noqa: E731
    for transform in (lambda f: f, torch.func.jacrev, torch.func.jacfwd):
        for f, points in ((some, x), (put, x[:, :2])):
            found = torch.func.vmap(transform(f))(points, i)
            close(found, torch.stack([transform(f)(point, j) for point, j in zip(points, i, strict=True)]), 1e-11)
            found = torch.func.vmap(transform(f), in_dims=(None, 0))(points[0], i)
            close(found, torch.stack([transform(f)(points[0], j) for j in i]), 1e-11)
    largest = lambda x: (some(x, x.argsort()[1:]) ** 3).sum()  # noqa: E731
    close(torch.func.hessian(largest)(x[0]), torch.diag(6 * x[0] * torch.tensor([0.0, 1.0, 1.0])), 1e-11)


@pytest.mark.parametrize("own", OWN_PRIMITIVES, ids=lambda primitive: primitive.name)
def test_the_gradients_of_a_module_for_each_sample(own):
    """functional_call: a module that calls the op, its parameters stacked into an ensemble, gradients of each."""
    case, batched = Sample(own, 0).draw(), Sample(own, 0).draw(batch=(3,))
    g = loss(own, case.options)

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.tensor(case.arrays[0]))

        def forward(self, *rest):
            return g(self.weight, *rest)

    model = Model()
    weights, rest = torch.tensor(batched.arrays[0]), tensors(batched, requires_grad=False)[1:]
    of_sample = torch.func.grad(lambda parameters, *rest: torch.func.functional_call(model, parameters, rest))
    found = torch.func.vmap(of_sample)({"weight": weights}, *rest)["weight"]
    for k in range(3):
        model.weight.data = weights[k]
        model.zero_grad()
        model(*(x[k] for x in rest)).backward()
        assert model.weight.grad.abs().max() > 1e-3
        close(found[k], model.weight.grad, 1e-11)


# ---------------------------------------------------------------------------------------------------------------------
# These tests catch wrong wrappers


def _forward_mode_off(ctx, _, *dots):
    """torch calls jvp so: the tangents of a level below are lost."""
    saved = [forward_ad.unpack_dual(x).primal for x in ctx.saved_tensors]
    count = len(saved) - ctx.call.primitive.outputs
    return ctx.call.primitive.push(ctx.call.front, dots, saved[count:], saved[:count], ctx.call.options)


def _tangents_twice(ctx, _, *dots):
    """The saved tensors still carry the tangents of this level."""
    with forward_ad._set_fwd_grad_enabled(True):
        saved = ctx.saved_tensors
        count = len(saved) - ctx.call.primitive.outputs
        return ctx.call.primitive.push(ctx.call.front, dots, saved[count:], saved[:count], ctx.call.options)


RIGHT = wrapper.PrimitiveFunction


def _last_tangent_dropped(ctx, call, *dots):
    return RIGHT_JVP(ctx, call, *dots[:-1], None)


def _inputs_constant(ctx, inputs, outputs):
    call, *arrays = inputs
    RIGHT_SETUP(ctx, (call, *(x.detach() for x in arrays)), outputs)


def _hidden_bars_dropped(ctx, *bars):
    public = ctx.call.primitive.public
    return RIGHT_BACKWARD(ctx, *bars[:public], *(None for _ in bars[public:]))


def _always_first(info, in_dims, *args):
    return RIGHT_VMAP(info, tuple(None if dim is None else 0 for dim in in_dims), *args)


def _out_last(info, in_dims, *args):
    outputs, _ = RIGHT_VMAP(info, in_dims, *args)
    return outputs, tuple(out.ndim - 1 for out in outputs)


RIGHT_JVP, RIGHT_SETUP, RIGHT_BACKWARD, RIGHT_VMAP = RIGHT.jvp, RIGHT.setup_context, RIGHT.backward, RIGHT.vmap


@pytest.mark.parametrize(
    ("primitive", "method", "wrong", "composition"),
    [
        (cubic_product, "jvp", _forward_mode_off, (jvp, jvp)),
        (cubic_product, "jvp", _forward_mode_off, (jacfwd, jvp)),
        (cubic_product, "jvp", _tangents_twice, (jvp, jvp)),
        (cubic_product, "jvp", _last_tangent_dropped, (jvp,)),
        (cubic_product, "jvp", _last_tangent_dropped, (backward, dual)),
        (cubic_product, "setup_context", _inputs_constant, (grad, grad)),
        (cubic_product, "setup_context", _inputs_constant, (jvp, grad)),
        (mahalanobis, "backward", _hidden_bars_dropped, (grad, grad)),
        (mahalanobis, "backward", _hidden_bars_dropped, (vmap, jacrev, jacrev)),
        (cubic_product, "vmap", _always_first, (vmap_last,)),
        (cubic_product, "vmap", _always_first, (grad, vmap_last)),
        (moments, "vmap", _out_last, (vmap,)),
        (moments, "vmap", _out_last, (jvp, vmap)),
    ],
    ids=lambda x: name(x) if isinstance(x, tuple) else getattr(x, "name", None) or getattr(x, "__name__", x),
)
def test_a_wrong_wrapper_is_caught(monkeypatch, primitive, method, wrong, composition):
    # what moves with t is moved to the front by torch, before the op sees it; constants are not
    constants = {"moving": [0], "shared": True} if wrong is _always_first else {}
    subject = Subject(Sample(primitive, 0), 3, **constants)
    assert subject.error(composition) < EXACT
    monkeypatch.setattr(RIGHT, method, staticmethod(wrong))
    try:
        off = subject.error(composition)
    except (RuntimeError, ValueError, AssertionError):
        return  # shapes that do not fit, in torch or in the comparison
    assert off > 1e-3


def test_a_rule_that_takes_an_intermediate_for_a_constant_is_caught():
    """The forward rule of the wrong one is right, so that it is at odds with itself in a second derivative."""

    def vjp_rule(bars, outputs, A, x):
        return mahalanobis.vjp_rule(bars, (outputs[0], outputs[1].detach()), A, x)

    wrong = verify.altered(mahalanobis, vjp_rule=vjp_rule)
    subject = Subject(Sample(wrong, 0), 2)
    assert subject.error((grad,)) < EXACT
    assert max(subject.error(composition) for composition in [(grad, grad), (grad, jvp), (jvp, grad)]) > 1e-3
