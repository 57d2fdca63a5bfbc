"""Matrices in tiles, chunked in both dimensions: factorisations, triangular systems and products as graphs of tasks.

May import NumPy, Dask and `overbar`. All go to the left: a tile is finished once, from tiles that are finished, by a
chain of tasks with a bounded number of products in each, in a fixed order. So no sum depends on which worker was
quicker, and no partial product waits for another. Of Hermitian and of lower triangular matrices only the lower tiles
are computed; those above are transposes, or zeros, which somebody has to ask for.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import dask.array as da
import numpy as np

from dask_ops import _tiles
from dask_ops._graphs import Alias, Ref, Task, array, named, zeros
from overbar._front import ShapeError, _users_level

__all__ = [
    "add_product",
    "bar_of_factor",
    "cholesky",
    "diagonal",
    "diagonal_embed",
    "inverse_of_factor",
    "operand",
    "solve_triangular",
    "square",
    "tangent_of_factor",
    "transposed",
    "triangle",
]

#: how many products of tiles a task adds at most
PRODUCTS = 4


# ---------------------------------------------------------------------------------------------------------------------
# Arrays


def transposed(A: da.Array) -> da.Array:
    """The conjugate transpose, which remembers what it is of: products and systems read that itself, so that no tile is
    transposed, or sent twice."""
    of = getattr(A, "adjoint_of", None)
    if of is not None:
        return of
    if getattr(A, "is_hermitian", False):
        return A
    T = da.transpose(A, (*range(A.ndim - 2), A.ndim - 1, A.ndim - 2))
    if A.dtype.kind == "c":
        T = da.conj(T)
    if A.ndim == 2:
        T.adjoint_of = A
    return T


def operand(A: da.Array) -> tuple[da.Array, str]:
    """The array whose tiles a product reads, and how: "n", as they are, or "h", their conjugate transposes."""
    of = getattr(A, "adjoint_of", None)
    return (A, "n") if of is None else (of, "h")


def square(A: da.Array, name: str, argument: str) -> da.Array:
    """A matrix whose tiles on the diagonal are square. Another one is chunked anew, with a warning."""
    if A.ndim != 2:
        raise ShapeError(
            f"{name}: argument {argument} of shape {A.shape} is a batch of matrices that are chunked in their last two "
            f"dimensions. Chunk it along the batch only, {argument}.rechunk({{-2: -1, -1: -1}}), or take one matrix."
        )
    if A.chunks[0] != A.chunks[1]:
        rows = A.chunks[0] if len(A.chunks[0]) >= len(A.chunks[1]) else A.chunks[1]
        warnings.warn(
            f"{name}: argument {argument} of shape {A.shape} has tiles on its diagonal that are not square, and is "
            f"chunked anew, which moves all of it between the workers. Make it with chunks=({_words(rows)}, "
            f"{_words(rows)}).",
            da.PerformanceWarning,
            stacklevel=_users_level(),
        )
        A = _like(A, A.rechunk((rows, rows)))
    return A


def _like(A, B):
    if getattr(A, "is_hermitian", False):
        B.is_hermitian = True
    return B


def _words(sizes):
    return str(sizes[0]) if len({*sizes[:-1]}) <= 1 and sizes[-1] <= sizes[0] else str(sizes)


def _starts(sizes):
    return np.cumsum([0, *sizes]).tolist()


class _Chain:
    """Tasks that compute tiles as sums of products."""

    def __init__(self, name, dtype):
        self.name, self.dtype, self.tasks = name, np.dtype(dtype), []

    def put(self, key, function, *args):
        self.tasks.append(Task(key, function, *args))
        return Ref(key)

    def add(
        self,
        key: tuple[Any, ...],
        C: Any,
        shape: Any,
        scale: Any,
        pairs: Sequence[Any],
        *,
        first: Any = None,
        then: Any = None,
        of: Sequence[Any] = (),
    ) -> Any:
        """The tile of this key: C + scale Σ op(A) op(B), for pairs (form, A, B) of references, in this order.

        The first task calls ``first[0](C, *first[1:])``, where that is given, and the last one ``then[0](sum, *of,
        *then[1:])``: a task more for each would cost the scheduler as much as the products do."""
        scale = complex(scale) if self.dtype.kind == "c" else float(scale)
        for start in range(0, max(1, len(pairs)), PRODUCTS):
            some = pairs[start : start + PRODUCTS]
            end = start + PRODUCTS >= len(pairs)
            own = (self.name, *key) if end else (f"{self.name}-sum", *key, start)
            tiles = [tile for _, *both in some for tile in both]
            forms = tuple(form for form, *_ in some)
            last = (then, of) if end else (None, ())
            C = self.put(own, _tiles.step, C, first, shape, self.dtype, scale, forms, last[0], *tiles, *last[1])
            first = None
        return C


# ---------------------------------------------------------------------------------------------------------------------
# The Cholesky decomposition


def cholesky(A: da.Array, argument: str = "A") -> da.Array:
    """The lower factor. From the tile (i, j) of A comes Σ Lᵢₖ Lⱼₖᴴ over k < j, and what is left is factorised, or
    divided by Lⱼⱼᴴ."""
    A = square(A, "cholesky", argument)
    sizes, starts = A.chunks[0], _starts(A.chunks[0])
    name = named("cholesky", A, argument)
    chain = _Chain(name, A.dtype)
    for j in range(len(sizes)):
        for i in range(j, len(sizes)):
            pairs = [("nh", Ref((name, i, k)), Ref((name, j, k))) for k in range(j)]
            first = (_tiles.checked, argument, starts[i], starts[j], i == j)
            if i == j:
                then, of = (_tiles.factor, argument, starts[j]), ()
            else:
                then, of = (_tiles.divided, False, False, True, False), [Ref((name, j, j))]
            chain.add((i, j), Ref((A.name, i, j)), (sizes[i], sizes[j]), -1, pairs, first=first, then=then, of=of)
        chain.tasks += [zeros(name, i, j, (sizes[i], sizes[j]), A.dtype) for i in range(j)]
    L = array(name, chain.tasks, [A], A.chunks, A.dtype)
    L.is_lower = True
    return L


def bar_of_factor(L: da.Array, L_bar: da.Array) -> da.Array:
    """The reverse rule of `cholesky` by tiles, last column first. With T the bar of both triangles together, which is
    twice Ā, each line of the blocked rule says of a tile of L̄ that is finished

        L̄ᵢⱼ ← L̄ᵢⱼ − Σ_{m>i} Tₘᵢᴴ Lₘⱼ − Σ_{j<p≤i} Tᵢₚ Lₚⱼ,    Tᵢⱼ = L̄ᵢⱼ Lⱼⱼ⁻¹,    Tⱼⱼ = 2 chol_bar(Lⱼⱼ, L̄ⱼⱼ)."""
    L = square(L, "cholesky", "L")
    L_bar = L_bar if L_bar.chunks == L.chunks else L_bar.rechunk(L.chunks)
    sizes, dtype = L.chunks[0], np.result_type(L, L_bar)
    name = named("cholesky-bar", L, L_bar)
    both = f"{name}-both"
    chain = _Chain(both, dtype)
    N = len(sizes)
    for j in reversed(range(N)):
        for i in reversed(range(j, N)):
            pairs = [("hn", Ref((both, m, i)), Ref((L.name, m, j))) for m in reversed(range(i + 1, N))]
            pairs += [("nn", Ref((both, i, p)), Ref((L.name, p, j))) for p in reversed(range(j + 1, i + 1))]
            then = (_tiles.bar_of_diagonal,) if i == j else (_tiles.divided, False, False, False, False)
            C = Ref((L_bar.name, i, j))
            chain.add((i, j), C, (sizes[i], sizes[j]), -1, pairs, then=then, of=[Ref((L.name, j, j))])
            chain.put((name, i, j), _halved, Ref((both, i, j)))
            if i != j:
                chain.put((name, j, i), _adjoint, Ref((name, i, j)))
    A_bar = array(name, chain.tasks, [L, L_bar], L.chunks, dtype)
    A_bar.is_hermitian = True
    return A_bar


def _halved(T):
    return T / 2


def _adjoint(A):
    return np.ascontiguousarray(A.T.conj() if A.dtype.kind == "c" else A.T)


def tangent_of_factor(L: da.Array, A_dot: da.Array) -> da.Array:
    """The forward rule of `cholesky` by tiles, first column first, for Hermitian Ȧ:

    Ȧᵢⱼ ← Ȧᵢⱼ − Σ_{k<j} (L̇ᵢₖ Lⱼₖᴴ + Lᵢₖ L̇ⱼₖᴴ),    L̇ⱼⱼ = chol_dot(Lⱼⱼ, Ȧⱼⱼ),    L̇ᵢⱼ = (Ȧᵢⱼ − Lᵢⱼ L̇ⱼⱼᴴ) Lⱼⱼ⁻ᴴ."""
    L = square(L, "cholesky", "L")
    A_dot = A_dot if A_dot.chunks == L.chunks else A_dot.rechunk(L.chunks)
    sizes, dtype = L.chunks[0], np.result_type(L, A_dot)
    name = named("cholesky-tangent", L, A_dot)
    chain = _Chain(name, dtype)
    for j in range(len(sizes)):
        for i in range(j, len(sizes)):
            pairs = []
            for k in range(j):
                pairs.append(("nh", Ref((name, i, k)), Ref((L.name, j, k))))
                pairs.append(("nh", Ref((L.name, i, k)), Ref((name, j, k))))
            if i > j:
                pairs.append(("nh", Ref((L.name, i, j)), Ref((name, j, j))))
            then = (_tiles.tangent_of_diagonal,) if i == j else (_tiles.divided, False, False, True, False)
            C = Ref((A_dot.name, i, j))
            chain.add((i, j), C, (sizes[i], sizes[j]), -1, pairs, then=then, of=[Ref((L.name, j, j))])
        chain.tasks += [zeros(name, i, j, (sizes[i], sizes[j]), dtype) for i in range(j)]
    L_dot = array(name, chain.tasks, [L, A_dot], L.chunks, dtype)
    L_dot.is_lower = True
    return L_dot


def inverse_of_factor(L: da.Array, weight: da.Array | None = None) -> da.Array:
    """w (L Lᴴ)⁻¹ = w Tᴴ T with T = L⁻¹, lower tiles only:

        Tᵢⱼ = −Lᵢᵢ⁻¹ Σ_{j≤k<i} Lᵢₖ Tₖⱼ,    Cᵢⱼ = w Σ_{k≥i} Tₖᵢᴴ Tₖⱼ.

    A row of L is needed no more when that row of T is known."""
    L = square(L, "inverse", "L")
    sizes, N = L.chunks[0], len(L.chunks[0])
    name = named("inverse", L, weight)
    inverse = f"{name}-factor"
    chain = _Chain(inverse, L.dtype)
    for i in range(N):
        chain.put((inverse, i, i), _tiles.inverse_of_triangle, Ref((L.name, i, i)))
        for j in range(i):
            pairs = [("nn", Ref((L.name, i, k)), Ref((inverse, k, j))) for k in range(j, i)]
            then = (_tiles.divided, False, True, False, False)
            chain.add((i, j), None, (sizes[i], sizes[j]), -1, pairs, then=then, of=[Ref((L.name, i, i))])
    tasks, chain = chain.tasks, _Chain(name, L.dtype)
    for i in range(N):
        for j in range(i + 1):
            pairs = [("hn", Ref((inverse, k, i)), Ref((inverse, k, j))) for k in range(i, N)]
            then = None if weight is None and i != j else (_finished, i == j)
            of = () if weight is None else [Ref((weight.name, 0, 0))]
            chain.add((i, j), None, (sizes[i], sizes[j]), 1, pairs, then=then, of=of)
            if i != j:
                chain.put((name, j, i), _adjoint, Ref((name, i, j)))
    found = array(name, tasks + chain.tasks, [L] if weight is None else [L, weight], L.chunks, L.dtype)
    found.is_hermitian = True
    return found


def _finished(C, *weight_and_diagonal):
    """Hermitian to the last bit, and weighted."""
    *weight, diagonal = weight_and_diagonal
    if diagonal:
        C = (C + _adjoint(C)) / 2
    return C * weight[0].astype(C.dtype) if weight else C


# ---------------------------------------------------------------------------------------------------------------------
# Triangular systems and products


def solve_triangular(
    A: da.Array, B: da.Array, upper: bool, left: bool = True, adjoint: bool = False, unitriangular: bool = False
) -> da.Array:
    """op(A)⁻¹ B, or B op(A)⁻¹, by substitution. Tiles of A on the other side of the diagonal are not looked at."""
    of, how = operand(A)
    if how == "h" and A.chunks[0] == A.chunks[1]:
        A, upper, adjoint = of, not upper, not adjoint
    A = square(A, "solve_triangular", "A")
    if B.ndim != 2:
        raise ShapeError(
            f"solve_triangular: argument B of shape {B.shape} is a batch, beside a matrix A in tiles. Put its vectors "
            "side by side as columns of one matrix."
        )
    sizes, N = A.chunks[0], len(A.chunks[0])
    chunks = (sizes, B.chunks[1]) if left else (B.chunks[0], sizes)
    B = B if B.chunks == chunks else B.rechunk(chunks)  # one of few columns is cut as A is, without a word
    starts, dtype = _starts(sizes), np.result_type(A, B)
    name = named("solve-triangular", A, B, upper, left, adjoint, unitriangular)
    chain = _Chain(name, dtype)
    lower = upper == adjoint  # whether op(A) is lower triangular

    def coefficient(i, k):
        """op(A)ᵢₖ: how it is read, and from where."""
        return ("h", Ref((A.name, k, i))) if adjoint else ("n", Ref((A.name, i, k)))

    forwards = lower == left
    for i in range(N) if forwards else reversed(range(N)):
        done = range(i) if forwards else reversed(range(i + 1, N))
        done = list(done)
        for c in range(len(chunks[1] if left else chunks[0])):
            place = (i, c) if left else (c, i)
            pairs = []
            for k in done:
                form, tile = coefficient(i, k) if left else coefficient(k, i)
                other = Ref((name, k, c)) if left else Ref((name, c, k))
                pairs.append((f"{form}n", tile, other) if left else (f"n{form}", other, tile))
            shape = (chunks[0][place[0]], chunks[1][place[1]])
            then = (_tiles.divided, upper, left, adjoint, unitriangular, starts[i])
            chain.add(place, Ref((B.name, *place)), shape, -1, pairs, then=then, of=[Ref((A.name, i, i))])
    return array(name, chain.tasks, [A, B], chunks, dtype)


def add_product(C: da.Array | None, A: da.Array, B: da.Array, scale: Any = 1) -> da.Array:
    """C + scale · A B, or the product alone. What `transposed` made is read where it lies."""
    if B.chunks[0] != A.chunks[1]:  # the one that has more entries stays as it is
        A, B = (A.rechunk({1: B.chunks[0]}), B) if B.size > A.size else (A, B.rechunk({0: A.chunks[1]}))
    (P, how), (Q, how2) = operand(A), operand(B)
    inner = A.chunks[1]
    chunks = (A.chunks[0], B.chunks[1])
    dtype = np.result_type(*[x.dtype for x in (A, B, C) if x is not None])
    if C is not None and C.chunks != chunks:
        C = C.rechunk(chunks)
    name = named("product", C, P, how, Q, how2, scale)
    chain = _Chain(name, dtype)
    lower, lower2 = getattr(A, "is_lower", False), getattr(B, "is_lower", False)
    for i in range(len(chunks[0])):
        for j in range(len(chunks[1])):
            pairs = []
            for k in range(len(inner)):
                if (lower and k > i) or (lower2 and k < j):
                    continue
                left = (P.name, i, k) if how == "n" else (P.name, k, i)
                right = (Q.name, k, j) if how2 == "n" else (Q.name, j, k)
                pairs.append((how + how2, Ref(left), Ref(right)))
            start = None if C is None else Ref((C.name, i, j))
            chain.add((i, j), start, (chunks[0][i], chunks[1][j]), scale, pairs)
    return array(name, chain.tasks, [P, Q] if C is None else [P, Q, C], chunks, dtype)


def triangle(A: da.Array, k: int, upper: bool, halved: bool = False) -> da.Array:
    """The lower or upper triangle of a matrix from its k-th diagonal on; `halved`, with half of its diagonal."""
    name = named("triangle", A, k, upper, halved)
    rows, columns = _starts(A.chunks[0]), _starts(A.chunks[1])
    tasks = []
    for i in range(len(rows) - 1):
        for j in range(len(columns) - 1):
            offset = k + rows[i] - columns[j]  # the diagonal, in the tile
            m, n = A.chunks[0][i], A.chunks[1][j]
            # all entries of a tile lie below its diagonal n − 1, and none below −m
            whole, none = (offset <= 1 - m, offset >= n) if upper else (offset >= n - 1, offset <= -m)
            if none:
                tasks.append(zeros(name, i, j, (m, n), A.dtype))
            elif whole and not (halved and abs(offset) < max(m, n)):
                tasks.append(Alias((name, i, j), Ref((A.name, i, j))))
            else:
                tasks.append(Task((name, i, j), _triangle, Ref((A.name, i, j)), offset, upper, halved))
    found = array(name, tasks, [A], A.chunks, A.dtype)
    found.is_lower = not upper and k <= 0 and A.chunks[0] == A.chunks[1]
    return found


def _triangle(A, k, upper, halved):
    A = np.triu(A, k) if upper else np.tril(A, k)
    if halved:
        m, n = A.shape
        i = np.arange(max(0, -k), max(0, min(m, n - k)))
        A[i, i + k] /= 2
    return A


def diagonal(A: da.Array) -> da.Array:
    """The diagonal of a square matrix, chunked as its rows are."""
    A = square(A, "diagonal", "A")
    name = named("diagonal", A)
    tasks = [Task((name, i), _diagonal, Ref((A.name, i, i))) for i in range(len(A.chunks[0]))]
    return array(name, tasks, [A], A.chunks[:1], A.dtype)


def _diagonal(A):
    return A.diagonal().copy()


def diagonal_embed(d: da.Array) -> da.Array:
    """The diagonal matrix of a vector."""
    name, sizes = named("diagonal-matrix", d), d.chunks[0]
    tasks = []
    for i in range(len(sizes)):
        for j in range(len(sizes)):
            if i == j:
                tasks.append(Task((name, i, i), np.diag, Ref((d.name, i))))
            else:
                tasks.append(zeros(name, i, j, (sizes[i], sizes[j]), d.dtype))
    found = array(name, tasks, [d], (sizes, sizes), d.dtype)
    found.is_hermitian, found.is_lower = d.dtype.kind != "c", True
    return found


def fill_diagonal(A: da.Array, d: da.Array) -> da.Array:
    """A with d on its diagonal."""
    A = square(A, "fill_diagonal", "A")
    d = d if d.chunks[0] == A.chunks[0] else d.rechunk((A.chunks[0],))
    name = named("filled", A, d)
    N, tasks = len(A.chunks[0]), []
    for i in range(N):
        for j in range(N):
            if i == j:
                tasks.append(Task((name, i, i), _filled, Ref((A.name, i, i)), Ref((d.name, i))))
            else:
                tasks.append(Alias((name, i, j), Ref((A.name, i, j))))
    return _like(A if d.dtype.kind != "c" else d, array(name, tasks, [A, d], A.chunks, A.dtype))


def _filled(A, d):
    A = A.copy()
    np.fill_diagonal(A, d)
    return A
