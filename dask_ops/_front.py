"""The front of Dask's arrays: how primitives are computed on them, lazily.

May import NumPy, Dask, array-api-compat and `overbar`. Dask has no derivatives; overbar's sweeps (`overbar.vjp` and its
like) run over its arrays, and give such arrays.
"""

from __future__ import annotations

import array_api_compat.dask.array
import dask.array as da
import numpy as np

from dask_ops import _tiled
from dask_ops._blocks import Blocks, batched
from dask_ops._graphs import in_words, refuse_unknown
from dask_ops._pairs import of_pairs
from dask_ops._words import DaskWords, NoTiles
from overbar import rules
from overbar._front import NUMPY, Front
from overbar._namespace import register
from overbar.rules import REGISTRY
from overbar.rules._cholesky import forward_large, reverse_large
from overbar.rules._positive_definite import _halved, _weighted
from overbar.rules._triangular import _tril_of_product

__all__ = ["DASK"]


def _by_tiles(H, L):
    """tril((H + Hᴴ) tril(L))."""
    xp = DASK.xp
    return xp.tril(_tiled.add_product(xp.matmul(H, xp.tril(L)), xp.mH(H), xp.tril(L), 1))


#: what goes by blocks of large matrices, as a graph of tiles
_AS_ONE = {
    reverse_large: _tiled.bar_of_factor,
    forward_large: _tiled.tangent_of_factor,
    _halved: _tiled.inverse_of_factor,
    _weighted: _tiled.inverse_of_factor,
    _tril_of_product: _by_tiles,
}

#: primitives whose function is a product, in tiles
_PRODUCTS = {rules.matmul: lambda A, B: _tiled.add_product(None, A, B)}

#: what a positive definite matrix may be given to instead of what has no way by tiles
_OF_DEFINITE = {
    "det": "exp(cho_logdet(cholesky(A)))",
    "inv": "cholesky_inverse(cholesky(A))",
    "logdet": "cho_logdet(cholesky(A))",
    "safe_cholesky": "cholesky(A), after a jitter on the diagonal by add_diagonal(A, jitter),",
    "slogdet": "cho_logdet(cholesky(A))",
    "solve": "cho_solve(cholesky(A), B)",
}


class DaskFront(Front):
    """Dask. An array in one chunk but for its batch dimensions is computed by chunks; a matrix in tiles by the words of
    its primitive, and its rules by theirs."""

    swept = True

    def key(self, arrays):
        for A in arrays:
            if type(A) is not da.Array or any(n != n for n in A.shape):  # a size that is not known is NaN
                raise TypeError
        return self, *[(A.dtype, A.shape) for A in arrays]

    def as_arrays(self, values):
        like = next((v for v in values if hasattr(v, "dtype")), None)
        beside = [] if like is None else [np.empty(0, like.dtype)]  # numbers take the dtype of an array beside them
        found = [da.asarray(v if hasattr(v, "dtype") else NUMPY.as_arrays([v, *beside])[0]) for v in values]
        for A in found:
            refuse_unknown(A, self.ShapeError)
        return found

    def call(self, primitive, arrays, options):
        op = self._by_chunks(primitive, arrays, options)
        if op is not None:
            return op.apply(self, arrays, op.defaults, True)[1]
        try:
            if primitive in _PRODUCTS and not options:
                return (_PRODUCTS[primitive](*arrays),)
            return primitive.run(arrays, options)
        except NoTiles as error:
            raise self._refusal(primitive, error, arrays) from None

    def _by_chunks(self, primitive, arrays, options):
        return of_pairs(primitive, arrays, options) or batched(primitive, arrays, options)

    def _refusal(self, primitive, error, arrays):
        given = ", ".join(
            f"{primitive.argument(i)} of shape {A.shape} in chunks {in_words(A.chunks)}" for i, A in enumerate(arrays)
        )
        if primitive.signature.whole:
            what, remedy = "of an array in several chunks", "Give each array one chunk, A.rechunk(-1)"
        else:
            what = "by tiles of a matrix"
            remedy = "Give each matrix one chunk (batch dimensions may have many), A.rechunk({-2: -1, -1: -1})"
        other = _OF_DEFINITE.get(primitive.name)
        instead = f" For a positive definite matrix {other} goes by tiles." if other else ""
        return NoTiles(
            f"{primitive.name} is not computed {what}: there is no way by tiles for {error}. It got {given}. {remedy}, "
            f"or compute it, A.compute().{instead}"
        )

    def recorded(self, primitive, arrays, options):
        if isinstance(primitive, Blocks):
            return primitive, *primitive.apply(self, arrays, options, True)
        arrays, outputs, lacking = primitive.apply(self, arrays, options, True)
        full = arrays
        if lacking:
            (_, inputs), _ = lacking
            full = [A if index is None else A[index] for A, index in zip(arrays, inputs, strict=True)]
        return self._by_chunks(primitive, full, options) or primitive, arrays, outputs, lacking

    def fits(self, bar, array):
        return False

    def project(self, bar, array, primitive, i):
        # The bar of an argument that is Hermitian is so, too, in the collection; a rule of somebody else's need not
        # make it so, as long as it is right for tangents that are.
        ours = REGISTRY.get(primitive.name) is primitive and primitive.argument(i) in primitive.hermitian
        hermitian = ours or getattr(bar, "is_hermitian", False)
        bar = super().project(bar, array, primitive, i)
        if hermitian and bar.ndim == 2:
            bar.is_hermitian = True
        return bar

    # -- the numbers are not there yet

    def sees_numbers(self, *arrays):
        return False

    def choose(self, mask, yes, no, wait=False):
        return no()

    def repeat(self, counts, step, state):
        raise NoTiles("a loop whose length depends on numbers")

    def require(self, A, fine, message, argument="A", definite=None):
        return da.map_blocks(_required, A, _same_ndim(fine, A), dtype=A.dtype, message=message, argument=argument)

    def as_one(self, function, *arrays):
        by_tiles = _AS_ONE.get(function)
        if by_tiles is None:
            raise NoTiles(f"{function.__module__.rpartition('.')[2]}.{function.__name__}")
        return by_tiles(*arrays)

    def compute(self, kernel, *arrays, **options):
        raise NoTiles("an algorithm that needs all of a matrix at once")


def _same_ndim(fine, A):
    return (
        fine.reshape((1,) * (A.ndim - fine.ndim) + fine.shape)
        if fine.ndim < A.ndim and not fine.ndim
        else fine[(..., *[None] * (A.ndim - fine.ndim))]
    )


def _required(A, fine, message, argument):
    return NUMPY.require(A, fine.reshape(fine.shape[: max(0, fine.ndim - 2)]), message, argument)


DASK = DaskFront(DaskWords(array_api_compat.dask.array))
register(da.Array, DASK)
