"""Rows of the speed table beside their limits: what the parts take that no way of computing the same can leave out.

    python -m tools.limits                       all rows, five minutes
    python -m tools.limits --only "backward"     those with this text in them
    OVERBAR_COMPILED=0 python -m tools.limits    many small matrices without numba

A row is a ratio of two things, a target for it, and parts. What is measured are CPU seconds of one thread, the two
things and all parts by turns in one process. The limit is the ratio that a version made of the parts alone would have:
a target beyond it cannot be reached by better code around these parts, only by other parts. What is computed besides
them, and every call, counts as nothing. For small matrices without compiled loops the parts are the rule by the
library's own ops. May import `overbar` and, inside functions, torch, TensorFlow and the fronts.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from overbar._namespace import front as front_of
from overbar.bench import cholesky, overhead, small
from overbar.bench.frameworks import available, front, load
from overbar.bench.harness import Comparison, compare
from overbar.bench.report import duration
from overbar.kernels import _compiled
from overbar.rules._halving import BASE

Things = Mapping[str, Callable[[], object]]


@dataclass(frozen=True)
class Row:
    """A row of the table: `make` returns what is compared, "ours", "other" and the parts by name. `work` says how many
    flops ours takes of those that the other one does, where the row is about a rate."""

    name: str
    target: float
    make: Callable[[], Things]
    framework: str
    work: float = 1.0


def ratios(row: Row, found: Comparison) -> tuple[float, float]:
    """What the row has, and what it would have if ours took the time of its parts."""
    parts = sum(found[name].median for name in found.timings if name not in ("ours", "other"))
    return row.work * found.ratio("other", "ours").median, row.work * found["other"].median / parts


def report(row: Row, found: Comparison) -> list[str]:
    """Lines about a row: target, measured, limit, then each of the things with its time."""
    now, limit = ratios(row, found)
    where = "beyond the limit" if row.target > limit else "within the limit"
    if now >= row.target:
        where = "reached"
    elif now > limit:
        where = "ours takes less than the parts, which bound nothing"
    lines = [f"{row.name}: target {row.target:g}, measured {now:.2f}, limit {limit:.2f} ({where})"]
    whole = found["ours"].median
    for name, timing in found.timings.items():
        lines.append(f"    {duration(timing.median):>9}  {timing.median / whole:5.0%}  {name}")
    return lines


# -- one large matrix --------------------------------------------------------------------------------------------------


def shapes(n: int, smallest: int = BASE) -> list[tuple[int, int, int]]:
    """The products of the reverse rule by halves of a matrix of n rows: 2n³/3 flops, but for blocks of the smallest
    size. Of halves with h rows these are Ā₂₂ L₂₁, the division by L₁₁ and the lower triangle of Ā₂₁ᴴ L₂₁, of which the
    latter two are half a product each."""
    if n <= smallest:
        return []
    h = n // 2
    return [(h, h, h), (h, h, h), *shapes(h, smallest), *shapes(n - h, smallest)]


def _backward(n, dtype):
    torch = load("torch")
    ours, other = cholesky._torch(n, dtype)
    kinds = {h: torch.ones(3, h, h, dtype=getattr(torch, dtype)) for h, _, _ in shapes(n)}

    def products():
        for h, _, _ in shapes(n):
            A, B, C = kinds[h]
            torch.mm(A, B, out=C)

    return {"ours": ours, "other": other, f"products of its blocks, {len(shapes(n))}": products}


def _rate(n):
    torch = load("torch")
    things = _backward(n, "float64")
    A, B, C = torch.ones(3, n, n, dtype=torch.float64)
    return {**things, "other": lambda: torch.mm(A, B, out=C)}


# -- many small matrices -----------------------------------------------------------------------------------------------


def _batch_in_torch(n):
    torch = load("torch")
    A, L_bar = small.matrices(small.SIZES[n], n, "float64")
    ours, other = small.torch_sides(A, L_bar)
    if _compiled.available():
        from overbar.kernels._small_cholesky import small_cholesky, small_cholesky_cotangent

        L = small_cholesky(A)[0]
        parts = {
            "loop of the factor": lambda: small_cholesky(A),
            "loop of the rule": lambda: small_cholesky_cotangent(L, L_bar),
        }
        return {"ours": ours, "other": other, **parts}
    A, L_bar = torch.tensor(A), torch.tensor(L_bar)
    L, eye = torch.linalg.cholesky(A), torch.eye(n, dtype=A.dtype).expand_as(A)
    if front_of(A).prefers_vectors(A, n, len(A)):
        last = front_of(A).xp.batch_last
        X, Y = last(L), last(L_bar)
        return {
            "ours": ours,
            "other": other,
            "PyTorch's factor": lambda: torch.linalg.cholesky_ex(A),
            "L, L̄ and Ā with the batch last, or first": lambda: [last(L) for _ in range(3)],
            "n³/3 products of vectors, and sums": lambda: [(Y[j:, j:] * X[j:, j - 1]).sum(1) for j in range(1, n)],
        }
    return {
        "ours": ours,
        "other": other,
        "PyTorch's factor": lambda: torch.linalg.cholesky_ex(A),
        "its inverse of L": lambda: torch.linalg.solve_triangular(L, eye, upper=False),
        "its three products": lambda: [torch.bmm(L.mT, L_bar) for _ in range(3)],
        "a triangle and the Hermitian part": lambda: (torch.tril(L_bar), (L_bar + L_bar.mT).div_(2)),
    }


def _batch_in_tensorflow(n):
    tf = load("tf")
    A, L_bar = small.matrices(small.SIZES[n], n, "float64")
    ours, other = small.tensorflow_sides(A, L_bar)
    A, L_bar = tf.constant(A), tf.constant(L_bar)
    factor, product = tf.function(tf.linalg.cholesky), tf.function(lambda L, X: tf.matmul(L, X, adjoint_a=True))
    mean = tf.function(lambda X: (X + tf.linalg.matrix_transpose(X)) / 2)
    return {
        "ours": ours,
        "other": other,
        "TensorFlow's factor": lambda: factor(A).numpy(),
        "its product of L and the bar": lambda: product(A, L_bar).numpy(),
        "the Hermitian part": lambda: mean(L_bar).numpy(),
    }


def _logarithm():
    torch = load("torch")
    A, bar = small.matrices(2000, 20, "float32")
    ours, other = small._logarithm(A, bar)
    A, C = torch.tensor(A), torch.tensor(bar)
    return {
        "ours": ours,
        "other": other,
        "torch.linalg.eigh": lambda: torch.linalg.eigh(A),
        "the five products": lambda: [torch.bmm(A, C) for _ in range(5)],
    }


# -- what surrounds an op ----------------------------------------------------------------------------------------------


def _wrapped(name, n):
    """An op with its gradient beside the framework's own, and the least that a wrapper is: a function in Python that
    looks at a size and calls the framework's."""
    op = overhead.ops("torch")[name]
    ours, other = overhead._things("torch", name, op, n, "float64", "forward and gradient")

    def builtin(*args, **kwargs):
        return op.builtin(*args, **kwargs) if args[0].size(-1) <= n else None

    arrays, further = overhead.arguments(name, op, n)
    wrapper = overhead._torch(name, functools.partial(builtin, **further), arrays, False, "forward and gradient")
    return {"ours": ours, "other": other, "the built-in behind a function in Python": wrapper}


def rows() -> list[Row]:
    """All rows, in the order of the table."""
    loops = "with numba" if _compiled.available() else "without numba"
    found = [
        Row(f"PyTorch, Cholesky backward, n = {n}, {dtype}", target, functools.partial(_backward, n, dtype), "torch")
        for n, dtype, target in ((512, "float64", 2.5), (512, "float32", 2.5), (1024, "float32", 3.5))
    ]
    found.append(
        Row("its share of a product's rate, n = 2048", 0.85, functools.partial(_rate, 2048), "torch", work=1 / 3)
    )
    for n in small.SIZES:
        target = small.TARGETS["torch"][not _compiled.available()]
        name = f"PyTorch, {small.SIZES[n]:,} × {n} × {n}, value and gradient, {loops}"
        found.append(Row(name, target, functools.partial(_batch_in_torch, n), "torch"))
    for n in (8, 16):
        name = f"TensorFlow, {small.SIZES[n]:,} × {n} × {n}, value and gradient in a tf.function, {loops}"
        found.append(Row(name, small.TARGETS["tf"][0], functools.partial(_batch_in_tensorflow, n), "tf"))
    found.append(Row("PyTorch, logmh of 2,000 × 20 × 20, float32", 1.5, _logarithm, "torch"))
    for name in ("cholesky", "solve_triangular", "cholesky_inverse", "cholesky_solve", "vector_norm"):
        if not available("torch") or name in overhead.ops("torch"):
            what = functools.partial(_wrapped, name, 8)
            found.append(Row(f"PyTorch, {name} and its gradient, n = 8", 0.97, what, "torch"))
    return found


def one_thread():
    """Let the frameworks that are there compute in one thread, so that CPU time is what a thing takes."""
    if available("torch"):
        load("torch").set_num_threads(1)
        front("torch")
    if available("tf"):
        threading = load("tf").config.threading
        threading.set_intra_op_parallelism_threads(1)
        threading.set_inter_op_parallelism_threads(1)


def measured(row: Row, seconds: float) -> Comparison:
    return compare(row.make(), seconds=seconds, least=7, shortest=2e-3, clock=time.process_time)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="rows whose name has this text")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each row, at least seven rounds")
    chosen = parser.parse_args(arguments)
    one_thread()
    for row in rows():
        if chosen.only in row.name and available(row.framework):
            print("\n".join(report(row, measured(row, chosen.seconds))), flush=True)


if __name__ == "__main__":
    main()
