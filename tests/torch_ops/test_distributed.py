"""Matrices that are spread over ranks: the numbers of one process, on every rank, and errors on every rank.

May import `overbar`, `tools.scale`, torch and `torch_ops`. A job is a function that every rank runs. Two processes run
all of them, and leave what they have found for the tests; four do so for the slow tests.
"""

import contextlib
import doctest
import math
import os
import re
import sys
import weakref
from dataclasses import dataclass
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch has no torch.distributed")

from torch.utils._python_dispatch import TorchDispatchMode  # noqa: E402

import torch_ops  # noqa: E402
from overbar import gp  # noqa: E402
from tests.processes import ROOT, run_python, run_ranks  # noqa: E402
from tools.scale import Ranks  # noqa: E402

if torch.distributed.is_available():
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Replicate, Shard, distribute_tensor

    import torch_ops.distributed as td
    from torch_ops.distributed import _algorithms as algorithms

#: Sizes and tiles: tiles that do not divide the matrix, a single one, more tiles than ranks and fewer.
SIZES = [(37, 5), (40, 10), (3, 4), (1, 1), (50, 7)]


# ---------------------------------------------------------------------------------------------------------------------
# Processes


@contextlib.contextmanager
def group(rank, world, folder):
    if sys.platform == "linux":
        os.environ["GLOO_SOCKET_IFNAME"] = "lo"  # a host name need not resolve
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    try:
        yield
    finally:
        dist.destroy_process_group()


@pytest.fixture
def alone(tmp_path):
    with group(0, 1, tmp_path):
        yield


def work(rank, world, folder, jobs):
    torch.set_num_threads(1)
    with group(rank, world, folder):
        for job in jobs:
            torch.manual_seed(0)
            torch.save(job(rank), f"{folder}/{job.__name__}-{rank}.pt")


def run_jobs(world, folder, jobs):
    """What each rank has found in each job, by its name."""
    run_ranks(work, (world, str(folder), jobs), world)
    return {
        job.__name__: [torch.load(f"{folder}/{job.__name__}-{rank}.pt", weights_only=False) for rank in range(world)]
        for job in jobs
    }


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return run_jobs(2, tmp_path_factory.mktemp("two"), TWO)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    return run_jobs(4, tmp_path_factory.mktemp("four"), FOUR)


def refused(function):
    """The error that a function raises, by its class and its text."""
    try:
        function()
    except Exception as error:
        return type(error).__name__, str(error)
    return None, "no error"


# ---------------------------------------------------------------------------------------------------------------------
# Problems


def numbers(*shape, dtype=torch.float64):
    return torch.randn(*shape, dtype=torch.float64).to(dtype)


def definite(n, dtype=torch.float64):
    B = numbers(n, n)
    return (B @ B.mT / n + torch.eye(n, dtype=torch.float64)).to(dtype)


@dataclass
class Pair:
    """The same computation on the ranks and in one process, of the same tensors."""

    spread: Any
    single: Any
    inputs: list

    def differences(self):
        """How far value and gradients are from those of one process, each beside the largest entry."""
        found = []
        for function in (self.spread, self.single):
            inputs = [x.clone().requires_grad_() for x in self.inputs]
            value = function(*inputs)
            weights = torch.cos(torch.arange(value.numel(), dtype=value.dtype)).reshape(value.shape)
            found.append([value.detach(), *torch.autograd.grad((weights * value).sum(), inputs)])
        return [((a - b).abs().max() / b.abs().max().clamp(min=1e-300)).item() for a, b in zip(*found, strict=True)]


def problems(layout, dtype=torch.float64):
    """Every function, with its counterpart of one process."""
    n = layout.n
    A, B, y = definite(n, dtype), numbers(n, 2, dtype=dtype), numbers(3, n, dtype=dtype)
    X, t = numbers(n, 2, dtype=dtype), numbers(n, dtype=dtype)
    scales, noise = torch.tensor([1.2, 0.7], dtype=dtype), torch.full((n,), 0.4, dtype=dtype)
    mean = torch.linspace(-1, 1, n, dtype=dtype)

    def factor(A):
        return td.cholesky(td.distribute(A, layout))

    def kernel(scales):
        return gp.RBF(scales, 1.3) + gp.Matern(scales[0]) * gp.Linear(0.5)

    def tile(rows, columns, X, given):
        one = rows == columns
        K = (
            torch_ops.rbf(X[rows], given["l"], noise=0.4)
            if one
            else torch_ops.rbf_cross(X[rows], X[columns], given["l"])
        )
        return K * given["v"]

    return {
        "cholesky": Pair(lambda A: td.gather(factor(A)), torch_ops.cholesky, [A]),
        "gather": Pair(lambda A: td.gather(td.distribute(A, layout)), lambda A: (A + A.mT) / 2, [A]),
        "logdet": Pair(lambda A: td.logdet(td.distribute(A, layout)), torch_ops.logdet, [A]),
        "cho_logdet": Pair(lambda A: td.cho_logdet(factor(A)), torch_ops.logdet, [A]),
        "cholesky_solve": Pair(
            lambda B, A: td.cholesky_solve(B, factor(A)),
            lambda B, A: torch_ops.cholesky_solve(B, torch_ops.cholesky(A)),
            [B, A],
        ),
        "solve_triangular": Pair(
            lambda A, B: td.solve_triangular(factor(A), B),
            lambda A, B: torch_ops.solve_triangular(torch_ops.cholesky(A), B, upper=False),
            [A, B],
        ),
        "solve_triangular, adjoint": Pair(
            lambda A, B: td.solve_triangular(factor(A), B, adjoint=True),
            lambda A, B: torch_ops.solve_triangular(torch_ops.cholesky(A).mT, B, upper=True),
            [A, B],
        ),
        "gaussian_logpdf": Pair(
            lambda y, mean, A: td.gaussian_logpdf(y, mean, td.distribute(A, layout)),
            lambda y, mean, A: torch_ops.gaussian_logpdf(y, mean.expand(3, n), A),
            [y, mean, A],
        ),
        "covariance": Pair(
            lambda X, scales, noise: td.gaussian_logpdf(t, 0.5, td.covariance(layout, kernel(scales), X, noise)),
            lambda X, scales, noise: torch_ops.gp_log_marginal_likelihood(X, t, kernel(scales), noise, mean=0.5),
            [X, scales, noise],
        ),
        "matrix": Pair(
            lambda X, l, v: td.logdet(td.matrix(layout, tile, X, {"l": l, "v": v})),
            lambda X, l, v: torch_ops.logdet(torch_ops.rbf(X, l, noise=0.4) * v),
            [X, scales[0], scales[1]],
        ),
    }  # fmt: skip


NAMES = [
    "cholesky", "gather", "logdet", "cho_logdet", "cholesky_solve", "solve_triangular", "solve_triangular, adjoint",
    "gaussian_logpdf", "covariance", "matrix",
]  # fmt: skip


def all_differences(mesh=None, sizes=SIZES, dtype=torch.float64):
    found = {}
    for n, block in sizes:
        for name, pair in problems(td.BlockCyclic(n, block, mesh), dtype).items():
            found.setdefault(name, []).extend(pair.differences())
    return found


# ---------------------------------------------------------------------------------------------------------------------
# The same numbers


def same_numbers(rank):
    return all_differences()


def same_numbers_in_single_precision(rank):
    return all_differences(sizes=[(37, 5)], dtype=torch.float32)


def wrong_numbers(rank):
    """By a rule for the tiles on the diagonal that is wrong by little, on one of the ranks."""
    with pytest.MonkeyPatch.context() as patch:
        right = algorithms.reverse
        patch.setattr(algorithms, "reverse", lambda L, L_bar: right(L, L_bar) * (1 + 1e-6 * rank))
        return all_differences(sizes=[(37, 5)])


@pytest.mark.parametrize("name", NAMES)
def test_two_ranks_have_the_numbers_of_one_process(two, name):
    for found in two["same_numbers"]:
        assert len(found[name]) >= 2 * len(SIZES)
        assert max(found[name]) < 1e-12
    for found in two["same_numbers_in_single_precision"]:
        assert max(found[name]) < 1e-4


def test_a_wrong_rule_is_caught(two):
    for found in two["wrong_numbers"]:
        for name in NAMES:
            assert (max(found[name]) < 1e-12) == (name == "gather"), name


def test_one_rank_has_the_numbers_of_one_process(alone):
    torch.manual_seed(0)
    for name, found in all_differences(sizes=[(37, 5), (30, None)]).items():
        assert max(found) < 1e-12, name


def in_a_grid(rank):
    return {
        shape: all_differences(init_device_mesh("cpu", shape), [(37, 5), (3, 4)]) for shape in [(2, 2), (4, 1), (4,)]
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_four_ranks_have_the_numbers_of_one_process(four, name):
    for found in four["in_a_grid"]:
        assert len(found) == 3
        for shape in found:
            assert max(found[shape][name]) < 1e-12


def in_a_row_of_a_mesh(rank):
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("model", "data"))
    return all_differences(mesh["data"], [(37, 5)]), all_differences(dist.new_subgroups(2)[0], [(20, 3)])


@pytest.mark.slow
def test_a_part_of_the_ranks_may_have_a_matrix_of_their_own(four):
    for results in four["in_a_row_of_a_mesh"]:
        for found in results:
            assert max(max(found[name]) for name in NAMES) < 1e-12


# ---------------------------------------------------------------------------------------------------------------------
# The same on every rank, again and again


def gaussian_process(layout, X, y):
    scales = torch.tensor([1.0, 2.0], dtype=X.dtype, requires_grad=True)
    noise = torch.tensor(0.3, dtype=X.dtype, requires_grad=True)
    return td.gaussian_logpdf(y, 0.0, td.covariance(layout, gp.RBF(scales), X, noise)), [scales, noise]


def repeated(rank):
    layout, X, y = td.BlockCyclic(53, 8), numbers(53, 2), numbers(53)
    found = []
    for _ in range(2):
        value, parameters = gaussian_process(layout, X, y)
        value.backward()
        found.append([value.detach(), *(x.grad for x in parameters)])
    value, parameters = gaussian_process(layout, X, y)
    found.append([value.detach(), *torch.autograd.grad(value, parameters, retain_graph=True)])
    found.append([value.detach(), *torch.autograd.grad(value, parameters)])  # the factor was written over
    return found


def test_value_and_gradient_have_the_same_bits_on_every_rank_and_in_every_run(two):
    runs = [run for rank in two["repeated"] for run in rank]
    assert len(runs) == 8
    for run in runs:
        assert all(map(torch.equal, run, runs[0]))


def rounded(rank):
    """A tensor that is not quite the same on the ranks: the first one's counts."""
    A = definite(9).requires_grad_()
    value = td.logdet(td.distribute(A * (1 + 1e-14 * rank), td.BlockCyclic(9, 2)))
    value.backward()
    return value.detach(), A.grad


def test_arguments_that_were_rounded_differently_do_not_part_the_ranks(two):
    (zero, zero_bar), (one, one_bar) = two["rounded"]
    assert torch.equal(zero, one)
    assert torch.allclose(zero_bar, one_bar, rtol=1e-13)


def numbers_that_differ(rank):
    """What each rank raises where what is no tensor is not the same on them."""
    layout, X = td.BlockCyclic(9, 2), numbers(9, 2)

    def scaled(rows, columns, factor):
        return factor * torch.eye(9, dtype=torch.float64)[rows, columns]

    given = [
        (gp.RBF(0.5 + 0.1 * rank), 2.0),
        (gp.RBF(0.5), 2.0 + rank),
        (gp.RBF(0.5) if rank else gp.Matern(0.5), 2.0),
        (gp.Matern(0.5, nu=0.5 + rank) + gp.RBF(1.0), 2.0),
    ]
    found = [refused(lambda kernel=k, noise=s: td.covariance(layout, kernel, X, noise)) for k, s in given]
    found += [refused(lambda f=f: td.matrix(layout, scaled, f)) for f in (1.0 + rank, {"a": [1 + rank]})]
    # other functions at other addresses are the same where their names are
    td.covariance(layout, lambda X, X2=None: torch.exp(-torch.cdist(X, X if X2 is None else X2)), X, 1.0)
    return found


def test_numbers_and_options_that_differ_between_ranks_are_an_error_on_each(two):
    for zero, one in zip(*two["numbers_that_differ"], strict=True):
        assert zero == one
        assert zero[0] == "ValueError"
        assert "besides tensors is not the same on every rank" in zero[1]


# ---------------------------------------------------------------------------------------------------------------------
# Second derivatives of a likelihood


def second_differences(mesh=None):
    """How far gradients of a Gaussian process, and products with the Hessian, are from those of one process."""
    return [x for n, block in [(37, 5), (12, 12)] for x in hessian_difference(td.BlockCyclic(n, block, mesh))]


def hessian_difference(layout):
    n, weights = layout.n, torch.tensor([0.7, -0.4], dtype=torch.float64)
    inputs = [numbers(n, 2), numbers(2, n), numbers(2).exp(), torch.tensor([1.3, 0.2, 0.3], dtype=torch.float64)]
    directions = [torch.randn_like(x) for x in inputs]

    def kernel(scales, variance):
        return gp.RBF(scales, variance) + gp.Matern(scales)

    def spread(X, y, scales, others):
        variance, noise, mean = others
        return td.gaussian_logpdf(y, mean, td.covariance(layout, kernel(scales, variance), X, noise))

    def single(X, y, scales, others):
        variance, noise, mean = others
        return torch_ops.gp_log_marginal_likelihood(X, y, kernel(scales, variance), noise, mean=mean)

    results = []
    for function in (spread, single):
        given = [x.clone().requires_grad_() for x in inputs]
        values = function(*given)
        bars = torch.autograd.grad(weights @ values + values.prod(), given, create_graph=True)
        along = sum((bar * d).sum() for bar, d in zip(bars, directions, strict=True))
        results.append([*bars, *torch.autograd.grad(along, given)])
    return [((a - b).abs().max() / b.abs().max()).item() for a, b in zip(*results, strict=True)]


def hessian_products(rank):
    return second_differences()


def hessian_products_in_a_grid(rank):
    return second_differences(init_device_mesh("cpu", (2, 2)))


def wrong_hessian_products(rank):
    with pytest.MonkeyPatch.context() as patch:
        right = algorithms.forward
        patch.setattr(algorithms, "forward", lambda L, A_dot: right(L, A_dot) * (1 + 1e-6 * rank))
        return second_differences()


def test_products_with_the_hessian_are_those_of_one_process(two):
    for found in two["hessian_products"]:
        assert len(found) == 16
        assert max(found) < 1e-12
    assert max(two["wrong_hessian_products"][0]) > 1e-8


@pytest.mark.slow
def test_products_with_the_hessian_in_a_grid(four):
    for found in four["hessian_products_in_a_grid"]:
        assert max(found) < 1e-12


# ---------------------------------------------------------------------------------------------------------------------
# Errors, on every rank


def failures(rank):
    layout, A, X = td.BlockCyclic(23, 4), definite(23), numbers(23, 2)
    K, L = td.distribute(A, layout), td.cholesky(td.distribute(A, layout))
    y, length = numbers(23), torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    bad, infinite, early = A.clone(), A.clone(), A.clone()
    bad[13, 13] = bad[20, 20] = -1
    early[2, 2] = -1
    infinite[17, 5] = math.inf

    def kernel_of_rank(rows, columns, X):
        return gp.RBF(1 / rank)(X[rows], X[columns])

    def half_a_tile(rows, columns, X):
        return (X[rows] @ X[columns].mT).half()

    def dtype_of_rank(rows, columns, X):
        return torch_ops.rbf_cross(X[rows], X[columns], 1.0).to(torch.float32 if rank else torch.float64)

    def closed_over(rows, columns, X):
        return gp.RBF(length)(X[rows], X[columns])

    def negative_noise(first):
        noise = torch.ones(23, dtype=torch.float64)
        noise[first] = -1
        return lambda: td.covariance(layout, gp.RBF(1.0), X, noise)

    def forward_mode():
        with torch.autograd.forward_ad.dual_level():
            return td.covariance(layout, gp.RBF(torch.autograd.forward_ad.make_dual(length.detach(), length)), X)

    def two_losses():
        value, _ = gaussian_process(layout, X, y)
        (value * (1 + rank)).backward()

    def three_times():
        value, (scales, _) = gaussian_process(layout, X, y)
        for _ in range(2):
            (bar,) = torch.autograd.grad(value, scales, create_graph=True)
            value = bar.square().sum()
        return torch.autograd.grad(value, scales, allow_unused=True)

    def again_of_factor():
        A_watched = A.clone().requires_grad_()
        value = td.cho_logdet(td.cholesky(td.distribute(A_watched, layout)))
        (bar,) = torch.autograd.grad(value, A_watched, create_graph=True)
        return torch.autograd.grad(bar.sum(), A_watched, allow_unused=True)

    return {
        "not definite": refused(lambda: td.cholesky(td.distribute(bad, layout))),
        "not definite, first tile": refused(lambda: td.gaussian_logpdf(y, 0.0, td.distribute(early, layout))),
        "not finite": refused(lambda: td.logdet(td.distribute(infinite, layout))),
        "length scale": refused(lambda: td.covariance(layout, gp.RBF(-length.detach()), X)),
        "noise on the last rank": refused(negative_noise(6)),
        "a kernel that fails on one": refused(lambda: td.matrix(layout, kernel_of_rank, X)),
        "closure": refused(lambda: td.matrix(layout, closed_over, X)),
        "shape of a tile": refused(lambda: td.matrix(layout, lambda rows, columns, X: X, X)),
        "dtype of a tile": refused(lambda: td.matrix(layout, half_a_tile, X)),
        "part": refused(lambda: td.DistributedMatrix(layout, torch.zeros(3))),
        "half precision": refused(lambda: td.distribute(A.half(), layout)),
        "y on one rank": refused(lambda: td.gaussian_logpdf(y[: 23 - rank], 0.0, K)),
        "dtype of y": refused(lambda: td.gaussian_logpdf(y.float(), 0.0, K)),
        "y differs": refused(lambda: td.gaussian_logpdf(y + rank, 0.0, K)),
        "a gradient on one rank": refused(lambda: td.gaussian_logpdf(y.clone().requires_grad_(rank == 1), 0.0, K)),
        "layouts differ": refused(lambda: td.distribute(A, td.BlockCyclic(23, 4 + rank))),
        "vector": refused(lambda: td.cholesky_solve(y, L)),
        "no factor": refused(lambda: td.cholesky_solve(y[:, None], K)),
        "a factor": refused(lambda: td.logdet(L)),
        "a tensor": refused(lambda: td.cholesky(A)),
        "rows of X": refused(lambda: td.covariance(layout, gp.RBF(1.0), X[: 23 - rank])),
        "torch.func": refused(lambda: torch.func.grad(lambda A: td.logdet(td.distribute(A, layout)))(A)),
        "forward mode": refused(forward_mode),
        "two losses": refused(two_losses),
        "dtype on one rank": refused(lambda: td.matrix(layout, dtype_of_rank, X)),
        "third derivative": refused(three_times),
        "second derivative of the factor": refused(again_of_factor),
        "placement": refused(lambda: td.to_dtensor(K, init_device_mesh("cpu", (2,)), ["columns"])),
    }  # fmt: skip


LINALG = "_LinAlgError"
EXPECTED = {
    "not definite": (LINALG, "leading minor of order 14 is not positive"),
    "not definite, first tile": (LINALG, "leading minor of order 3 is not positive"),
    "not finite": (LINALG, r"its entry \(17, 5\) is inf"),
    "length scale": (LINALG, "lengthscale"),
    "noise on the last rank": (LINALG, "noise"),
    "a kernel that fails on one": ("ZeroDivisionError|RuntimeError", "division by zero"),
    "closure": ("TypeError", "Pass it behind the function"),
    "shape of a tile": ("ValueError", r"shape must be \(4, 4\)"),
    "dtype of a tile": ("TypeError", "float32 or float64"),
    "part": ("ValueError", r"the shape is \(1"),
    "half precision": ("ValueError", "float16"),
    "y on one rank": ("ValueError", "argument y has shape"),
    "dtype of y": ("TypeError", "Convert one of them"),
    "y differs": ("ValueError", "argument y is not what it is on the first rank"),
    "a gradient on one rank": ("ValueError", "what requires a gradient is not the same on every rank"),
    "layouts differ": ("ValueError", "the layout is not the same on every rank"),
    "vector": ("ValueError", r"B\[:, None\]"),
    "no factor": ("ValueError", "must be a Cholesky factor"),
    "a factor": ("ValueError", "must be a symmetric matrix"),
    "a tensor": ("TypeError", "torch_ops.cholesky"),
    "rows of X": ("ValueError", "23 rows"),
    "torch.func": ("NotImplementedError", "torch.func"),
    "forward mode": ("NotImplementedError", "forward mode"),
    "two losses": ("ValueError", "the derivative by its result is not what it is on the first rank"),
    "dtype on one rank": ("TypeError", "float32 on a rank"),
    "third derivative": ("NotImplementedError", "second ones of gaussian_logpdf"),
    "second derivative of the factor": ("NotImplementedError", "second ones of gaussian_logpdf"),
    "placement": ("ValueError", "neither Shard nor Replicate"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_an_error_is_raised_on_every_rank(two, name):
    kind, words = EXPECTED[name]
    for found, text in (rank[name] for rank in two["failures"]):
        assert found in kind.split("|"), text
        with pytest.raises(RuntimeError, match=words):
            raise RuntimeError(text)


def test_every_failure_is_looked_at(two):
    assert set(two["failures"][0]) == set(EXPECTED)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((0,), ValueError, "n must be a positive integer"),
        ((4, 0), ValueError, "block must be a positive integer"),
        ((4.5,), ValueError, "n must be"),
        ((4, 2, "cpu"), TypeError, "mesh is a str"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(alone, arguments, error, words):
    with pytest.raises(error, match=words):
        td.BlockCyclic(*arguments)


def test_without_a_process_group_there_is_no_layout():
    with pytest.raises(RuntimeError, match="init_process_group"):
        td.BlockCyclic(4)


# ---------------------------------------------------------------------------------------------------------------------
# Parts


def test_the_bar_of_a_part_is_the_derivative_by_its_entries(alone):
    """With tiles of one entry, each of which stands for itself and for its mirror image."""
    layout, y = td.BlockCyclic(5, 1), numbers(5)
    part = td.distribute(definite(5), layout).part.requires_grad_()

    def logpdf(part):
        return td.gaussian_logpdf(y, 0.0, td.DistributedMatrix(layout, part))

    def factor(part):
        return td.cholesky(td.DistributedMatrix(layout, part)).part

    for function in (logpdf, factor):
        assert torch.autograd.gradcheck(function, (part,))


def test_the_tiles_of_a_matrix_are_views_of_its_part(alone):
    layout, A = td.BlockCyclic(11, 4), definite(11)
    A = (A + A.mT) / 2
    K, seen = td.distribute(A, layout), torch.zeros(11, 11)
    for rows, columns, tile in K.tiles():
        assert torch.equal(tile, A[rows, columns])
        seen[rows, columns] += 1
        if rows == columns:
            tile.diagonal().add_(1)
    assert torch.equal(seen.tril(), torch.ones(11, 11).tril())
    assert torch.equal(td.gather(K), A + torch.eye(11))


# ---------------------------------------------------------------------------------------------------------------------
# What a rank holds and sends


#: Of the problem whose numbers are counted.
N, BLOCK = 600, 15


class Held(TorchDispatchMode):
    """How many numbers the tensors that are made here hold at a time, at most."""

    def __init__(self):
        super().__init__()
        self.now, self.most, self.seen = 0, 0, set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        for x in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(x, torch.Tensor):
                self.count(x.untyped_storage())
        return out

    def count(self, storage):
        if storage.data_ptr() in self.seen or not storage.nbytes():
            return
        self.seen.add(storage.data_ptr())
        self.now += storage.nbytes() // 8
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self.forget, storage.data_ptr(), storage.nbytes() // 8)

    def forget(self, pointer, count):
        self.seen.discard(pointer)
        self.now -= count


def held(rank, n=N, block=BLOCK, mesh=None):
    layout, X, y = td.BlockCyclic(n, block, mesh), numbers(n, 2), numbers(n)
    with Held() as mode:
        gaussian_process(layout, X, y)[0].backward()
    return {"most": mode.most, "part": layout.numbers, "words": layout.words}


def held_in_a_grid(rank):
    return held(rank, mesh=init_device_mesh("cpu", (2, 2)))


def check_what_is_held_and_sent(ranks, grid):
    """Two parts and some panels on each rank, the parts a p-th of the matrix each, as the model on paper says; and so
    many words in all."""
    model = Ranks(N, BLOCK, *grid)
    assert [rank["part"] for rank in ranks] == model.parts
    for rank in ranks:
        assert rank["part"] < 1.15 * N * (N + BLOCK) / 2 / len(ranks)
        assert 2 * rank["part"] < rank["most"] < model.memory / 8
    assert sum(rank["words"] for rank in ranks) == pytest.approx(model.words * len(ranks), rel=0.1)


def test_memory_of_one_rank(alone):
    torch.manual_seed(0)
    check_what_is_held_and_sent([held(0)], (1, 1))


def test_memory_falls_as_the_number_of_ranks_and_words_are_as_the_model_says(two):
    check_what_is_held_and_sent(two["held"], (1, 2))


@pytest.mark.slow
def test_memory_and_words_of_four_ranks(four):
    check_what_is_held_and_sent(four["held"], (1, 4))
    check_what_is_held_and_sent(four["held_in_a_grid"], (2, 2))


# ---------------------------------------------------------------------------------------------------------------------
# Examples


def example(*launcher, options):
    """What the example prints in the end, of a small problem."""
    environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    script = str(ROOT / "examples" / "distributed_gp.py")
    result = run_python(*launcher, script, "--points=120", "--steps=4", *options, environment=environment)
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    # two ranks may write on one line
    return len(re.findall(r"rank \d has", result.stdout)), float(lines[-3].removeprefix("loss ")), lines[-2]


def torchrun(count):
    return "-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={count}"


@pytest.mark.slow
def test_the_example_ends_alike_in_one_process_and_in_two():
    alone, together = example(options=["--block=20"]), example(*torchrun(2), options=["--block=20"])
    assert alone == (1, *together[1:])
    assert together[0] == 2
    assert together[1] < 0.8


@pytest.mark.slow
def test_the_example_runs_in_a_grid():
    assert example(*torchrun(4), options=["--grid", "2", "2"]) == (4, *example(options=[])[1:])


def test_examples_of_docstrings_run():
    from torch_ops.distributed import _layout

    failed, tried = doctest.testmod(_layout)
    assert tried > 5
    assert not failed


# ---------------------------------------------------------------------------------------------------------------------
# Beside other things


def dtensors(rank):
    mesh, layout = init_device_mesh("cpu", (2,)), td.BlockCyclic(23, 4)
    A, W = definite(23), numbers(23, 23)
    found = {}
    for placement in (Shard(0), Shard(1), Replicate()):
        given = distribute_tensor(A, mesh, [placement]).requires_grad_()
        K = td.from_dtensor(given, layout)
        K_out, L_out = td.to_dtensor(K, mesh, [placement]), td.to_dtensor(td.cholesky(K), mesh, [placement])
        ((K_out.full_tensor() * W).sum() + (L_out.full_tensor() * W).sum()).backward()
        single = A.clone().requires_grad_()
        L = torch_ops.cholesky(single)
        ((single * W).sum() + (L * W).sum()).backward()
        bar = (single.grad + single.grad.mT) / 2
        assert given.grad.placements == (placement,)
        found[str(placement)] = [
            (K_out.full_tensor() - A).abs().max().item(),
            (L_out.full_tensor() - L).abs().max().item(),
            (given.grad.full_tensor() - bar).abs().max().item(),
        ]
    return found


def test_dtensors_go_in_and_out(two):
    for found in two["dtensors"]:
        assert len(found) == 3
        assert max(max(differences) for differences in found.values()) < 1e-12


class Deep(torch.nn.Module):
    """A Gaussian process of features that a network makes: every rank sees all data."""

    def __init__(self, logpdf):
        super().__init__()
        self.logpdf = logpdf
        self.net = torch.nn.Linear(3, 2, dtype=torch.float64)
        self.scale = torch.nn.Parameter(torch.zeros((), dtype=torch.float64))

    def forward(self, X, y):
        return -self.logpdf(torch.tanh(self.net(X)), y, gp.RBF(self.scale.exp()))


def beside_data_parallel(rank):
    layout = td.BlockCyclic(31, 4)
    X, y, found = numbers(31, 3), numbers(31), []
    spread = lambda X, y, kernel: td.gaussian_logpdf(y, 0.0, td.covariance(layout, kernel, X, 0.1))  # noqa: E731
    single = lambda X, y, kernel: torch_ops.gp_log_marginal_likelihood(X, y, kernel, 0.1)  # noqa: E731
    for logpdf, wrap in ((spread, torch.nn.parallel.DistributedDataParallel), (single, lambda model: model)):
        torch.manual_seed(1)
        model = wrap(Deep(logpdf))
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for _ in range(3):
            optimizer.zero_grad()
            model(X, y).backward()
            optimizer.step()
        found.append([p.detach().clone() for p in model.parameters()])
    return found


def test_a_model_in_data_parallel_trains_as_in_one_process(two):
    for spread, single in two["beside_data_parallel"]:
        assert max((a - b).abs().max() for a, b in zip(spread, single, strict=True)) < 1e-12
    assert all(map(torch.equal, two["beside_data_parallel"][0][0], two["beside_data_parallel"][1][0]))


def under_autocast(rank):
    layout, X, y = td.BlockCyclic(30, 4), numbers(30, 2, dtype=torch.float32), numbers(30, dtype=torch.float32)
    found = []
    for enabled in (True, False):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            value, parameters = gaussian_process(layout, X, y)
            found.append([value, *torch.autograd.grad(value, parameters)])
    return found


def test_autocast_takes_no_digits(two):
    for inside, outside in two["under_autocast"]:
        assert all(map(torch.equal, inside, outside))


def compiled(rank):
    layout, X, y = td.BlockCyclic(20, 4), numbers(20, 2), numbers(20)
    scale = torch.tensor(0.5, dtype=torch.float64, requires_grad=True)

    def loss(scale):
        return td.gaussian_logpdf(2 * y, 0.0, td.covariance(layout, gp.RBF(scale.exp()), X, 0.1)) * 3

    found = []
    for function in (loss, torch.compile(loss, backend="aot_eager")):
        value = function(scale)
        found.append([value.detach(), *torch.autograd.grad(value, scale)])
    return found


@pytest.mark.slow
def test_compiled_programs_run_it_outside_of_their_graphs(four):
    for eager, graph in four["compiled"]:
        assert all(map(torch.equal, eager, graph))


TWO = [
    same_numbers, same_numbers_in_single_precision, wrong_numbers, repeated, rounded, numbers_that_differ,
    failures, held, dtensors,
    beside_data_parallel, under_autocast, hessian_products, wrong_hessian_products,
]  # fmt: skip
FOUR = [in_a_grid, in_a_row_of_a_mesh, held, held_in_a_grid, compiled, hessian_products_in_a_grid]
