"""Words of the array API as primitives: what rules say, where the rules themselves are differentiated in NumPy.

May import `overbar._namespace` and `overbar._primitive`. A framework differentiates its own words. The sweep of NumPy
knows primitives only, so that each word that a rule uses is one, or is made of them (`overbar._traced_words`). Those
that are of no use otherwise are here; those that people use, too, are listed in `_functions`.
"""

import numpy as np

from overbar._namespace import mH, mT, namespace
from overbar._primitive import Primitive, primitive


@primitive("(),()->()")
def divide(A, B):
    """The quotient C = A/B, entry by entry. Ċ = (Ȧ − C Ḃ)/B, hence Ā = C̄/conj(B) and B̄ = −conj(C) Ā."""
    return A / B


@divide.vjp
def _(C_bar, C, A, B):
    conj = namespace(A).conj
    return lambda: C_bar / conj(B), lambda: -conj(C) * (C_bar / conj(B))


@divide.jvp
def _(C, A, B):
    return lambda A_dot: A_dot / B, lambda B_dot: -C * (B_dot / B)


@divide.samples
def _(case):
    yield case(case.normal(3, 2), case.positive(3, 2))


@divide.reference
def _(mp, A, B):
    return A / B


@primitive("(m,n),(n)->(m)")
def matrix_times_vector(A, b):
    """The product c = A b. From ċ = Ȧ b + A ḃ: Ā = c̄ bᴴ and b̄ = Aᴴ c̄, by the argument for `matmul`."""
    return _times_vector(A, b)


@matrix_times_vector.vjp
def _(c_bar, c, A, b):
    return lambda: c_bar[..., :, None] * namespace(b).conj(b)[..., None, :], lambda: _times_vector(mH(A), c_bar)


@matrix_times_vector.jvp
def _(c, A, b):
    return lambda A_dot: _times_vector(A_dot, b), lambda b_dot: _times_vector(A, b_dot)


@matrix_times_vector.samples
def _(case):
    yield case(case.normal(3, 4), case.normal(4))


@matrix_times_vector.reference
def _(mp, A, b):
    return A @ b


def _times_vector(A, b):
    return A @ b if len(b.shape) == 1 else (A @ b[..., None])[..., 0]


@primitive("(m),(m,n)->(n)")
def vector_times_matrix(a, B):
    """The product c = aᵀ B. From ċ = ȧᵀ B + aᵀ Ḃ: ā = conj(B) c̄ and B̄ = conj(a) c̄ᵀ."""
    return _times_vector(mT(B), a)


@vector_times_matrix.vjp
def _(c_bar, c, a, B):
    conj = namespace(B).conj
    return lambda: _times_vector(conj(B), c_bar), lambda: conj(a)[..., :, None] * c_bar[..., None, :]


@vector_times_matrix.jvp
def _(c, a, B):
    return lambda a_dot: _times_vector(mT(B), a_dot), lambda B_dot: _times_vector(mT(B_dot), a)


@vector_times_matrix.samples
def _(case):
    yield case(case.normal(3), case.normal(3, 4))


@vector_times_matrix.reference
def _(mp, a, B):
    return B.T @ a


@primitive("(n),(n)->()")
def vector_times_vector(a, b):
    """The product c = aᵀ b, without a conjugate. From ċ = ȧᵀ b + aᵀ ḃ: ā = conj(b) c̄ and b̄ = conj(a) c̄."""
    return namespace(a, b).sum(a * b, axis=-1) if max(len(a.shape), len(b.shape)) > 1 else a @ b


@vector_times_vector.vjp
def _(c_bar, c, a, b):
    conj = namespace(a, b).conj
    return lambda: conj(b) * c_bar[..., None], lambda: conj(a) * c_bar[..., None]


@vector_times_vector.jvp
def _(c, a, b):
    return lambda a_dot: vector_times_vector(a_dot, b), lambda b_dot: vector_times_vector(a, b_dot)


@vector_times_vector.samples
def _(case):
    yield case(case.normal(3), case.normal(3))


@vector_times_vector.reference
def _(mp, a, b):
    return a.T @ b


@primitive("()->()")
def converted(A, *, dtype):
    """A in another dtype, not a real one for complex A. Ċ = Ȧ, hence Ā = C̄, of which the real part is taken for real
    A."""
    return namespace(A).astype(A, dtype)


@converted.vjp
def _(C_bar, C, A, *, dtype):
    return (lambda: C_bar,)


@converted.jvp
def _(C, A, *, dtype):
    return (lambda A_dot: A_dot,)


@converted.samples
def _(case):
    yield case(case.normal(3, 2), dtype=np.dtype(np.complex128))


@converted.reference
def _(mp, A, *, dtype):
    return A


@primitive("(),()->()")
def selected(A, B, *, mask):
    """A where a mask of the shape of the result holds, B elsewhere. The bar of either is C̄ there and zero elsewhere,
    whatever C̄ is there."""
    return namespace(A, B).where(mask, A, B)


@selected.vjp
def _(C_bar, C, A, B, *, mask):
    xp = namespace(C_bar)
    zero = xp.zeros_like(C_bar)
    return lambda: xp.where(mask, C_bar, zero), lambda: xp.where(mask, zero, C_bar)


@selected.jvp
def _(C, A, B, *, mask):
    xp = namespace(C)
    return (
        lambda A_dot: xp.where(mask, A_dot, xp.zeros_like(A_dot)),
        lambda B_dot: xp.where(mask, xp.zeros_like(B_dot), B_dot),
    )


@selected.samples
def _(case):
    yield case(case.normal(3, 2), case.normal(3, 2), mask=np.array(True))
    yield case(case.normal(3, 2), case.normal(3, 2), mask=np.array(False))


@selected.reference
def _(mp, A, B, *, mask):
    return np.where(mask, A, B)


@primitive("...->...")
def broadcast(A, *, shape, batch_ndim=0):
    """A repeated to a larger shape; its bar is the sum over the repetitions."""
    return namespace(A).broadcast_to(A, (*A.shape[:batch_ndim], *shape))


@broadcast.vjp
def _(C_bar, C, A, *, shape, batch_ndim):
    return (lambda: namespace(C_bar).sum_to(C_bar, A.shape),)


@broadcast.jvp
def _(C, A, *, shape, batch_ndim):
    return (lambda A_dot: namespace(A_dot).broadcast_to(A_dot, C.shape),)


@broadcast.samples
def _(case):
    yield case(case.normal(3, 1), shape=(3, 2))


@broadcast.reference
def _(mp, A, *, shape, batch_ndim):
    return np.broadcast_to(A, shape)


@primitive("...->...")
def permuted(A, *, axes, batch_ndim=0):
    """The dimensions of A in another order; those of the bar go back."""
    return namespace(A).permute_dims(A, _all_axes(axes, batch_ndim))


def _all_axes(axes, batch_ndim):
    return (*range(batch_ndim), *(i % len(axes) + batch_ndim for i in axes))


@permuted.vjp
def _(C_bar, C, A, *, axes, batch_ndim):
    back = tuple(np.argsort(_all_axes(axes, batch_ndim)).tolist())
    return (lambda: namespace(C_bar).permute_dims(C_bar, back),)


@permuted.jvp
def _(C, A, *, axes, batch_ndim):
    return (lambda A_dot: namespace(A_dot).permute_dims(A_dot, _all_axes(axes, batch_ndim)),)


@permuted.samples
def _(case):
    yield case(case.normal(2, 3, 4), axes=(2, 0, 1))


@permuted.reference
def _(mp, A, *, axes, batch_ndim):
    return A.transpose(axes)


@primitive("(n)->(k)")
def gathered(A, *, where):
    """The entries of vectors at positions `where`, integers, of which one may occur several times."""
    return namespace(A).take(A, where, axis=-1)


@gathered.vjp
def _(C_bar, C, A, *, where):
    return (lambda: namespace(C_bar).embed(C_bar, where, A.shape[-1:]),)


@gathered.jvp
def _(C, A, *, where):
    return (lambda A_dot: namespace(A_dot).take(A_dot, where, axis=-1),)


@gathered.samples
def _(case):
    yield case(case.normal(4), where=np.array([2, 0, 2]))


@gathered.reference
def _(mp, A, *, where):
    return A[where]


@primitive("(k)->(n)")
def scattered(B, *, where, size):
    """Vectors of this size, zero but for the sums of the entries of B at positions `where`: the adjoint of
    `gathered`."""
    return namespace(B).embed(B, where, (size,))


@scattered.vjp
def _(C_bar, C, B, *, where, size):
    return (lambda: namespace(C_bar).take(C_bar, where, axis=-1),)


@scattered.jvp
def _(C, B, *, where, size):
    return (lambda B_dot: namespace(B_dot).embed(B_dot, where, (size,)),)


@scattered.samples
def _(case):
    yield case(case.normal(3), where=np.array([2, 0, 2]), size=4)


@scattered.reference
def _(mp, B, *, where, size):
    C = mp.zeros((size,))
    np.add.at(C, where, B)
    return C


WORDS = [p for p in globals().values() if isinstance(p, Primitive)]
