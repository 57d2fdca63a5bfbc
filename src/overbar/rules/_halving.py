"""Where the rules of factorisations cut a large matrix in two.

May import `overbar._namespace` and `overbar._settings`. A rule for the whole matrix at once takes a few calls of the
library, but multiplies what is triangular as if it were full; one for two halves of the matrix, which are halved again,
takes as few flops as can be, nearly all in products.
"""

from overbar._namespace import front, namespace
from overbar._settings import stored

# Up to this size, on a CPU, one rule on the whole matrix is faster than two halves and the products that join them. A
# multiple of 24, as the kernels of BLAS for wide vectors take products by 24 rows: those of blocks of 64 or 128 are
# slower.
BASE = 72

# The same on other devices: an estimate, as each step there takes some ten microseconds to start. `overbar tune`
# measures both on the machine at hand, and what it has stored is taken instead.
BASE_ON_DEVICE = 512

# How often a matrix whose size is not known is halved.
DEPTH = 3


def by_size(halved, *arrays):
    """``halved(*arrays)``, which for large matrices is a step of its own (`Front.as_one`), with memory `out` to write
    into. Where the size is not known while a graph is built, the graph has the whole matrix at once, the depth 0, and
    a fixed one."""
    n, size, library = arrays[0].shape[-1], base(arrays[0]), front(arrays[0])
    # a block of `size` rows and a few more would be worse than none, where halves are no step of a graph, or of tiles
    if n is not None and n <= (4 * size // 3 if library.may_write(*arrays) else size):
        return halved(*arrays, depth=0)
    if n is None:
        small = library.xp.minimum(*library.xp.shape(arrays[0])[-2:]) <= 2 * size
        return library.if_else(small, lambda: halved(*arrays, depth=0), lambda: halved(*arrays, depth=DEPTH))
    return library.as_one(halved, *arrays)


def base(A):
    """The size up to which a rule takes matrices like A whole."""
    library = front(A)
    device = library.device_type(A)
    return stored().get(device) or (BASE * library.wider_blocks(A) if device == "cpu" else BASE_ON_DEVICE)


def split_at(A, depth):
    """Where to halve a matrix, None where it stays whole, and the depth of the halves."""
    if depth is not None:
        return (namespace(A).shape(A)[-1] // 2, depth - 1) if depth else (None, None)
    return half(A.shape[-1], base(A)), None


def half(n, base):
    """Where to halve a matrix of order n, None where it stays whole: the smallest base · 2ʲ that is at least half of n,
    which keeps the blocks aligned."""
    if n <= base:
        return None
    k = base
    while 2 * k < n:
        k *= 2
    return k


def inverses_of_blocks(L):
    """The inverses of the blocks on the diagonal of a lower triangular matrix that `split_at` leaves whole."""
    xp, size = namespace(L), base(L)
    blocks = [L[..., i : i + size, i : i + size] for i in range(0, L.shape[-1], size)]
    return [xp.solve_triangular(block, xp.eye_like(block), upper=False) for block in blocks]


def divide(B, L, inverses, adjoint=False):
    """B ← B L⁻¹, or B L⁻ᴴ, in the memory of B, for a lower triangular matrix and the `inverses_of_blocks` of it: by
    products of matrices, which take two thirds of the time of a library's substitution.

    With halves of L, the columns of X = B L⁻¹ are X₂ = B₂ L₂₂⁻¹ and X₁ = (B₁ − X₂ L₂₁) L₁₁⁻¹; those of B L⁻ᴴ are
    X₁ = B₁ L₁₁⁻ᴴ and X₂ = (B₂ − X₁ L₂₁ᴴ) L₂₂⁻ᴴ."""
    xp = namespace(B)
    count = half(len(inverses), 1)
    if count is None:
        B[...] = B @ (xp.mH(inverses[0]) if adjoint else inverses[0])
        return
    k = sum(block.shape[-1] for block in inverses[:count])
    one, two = slice(0, k), slice(k, None)
    L11, L21, L22 = L[..., one, one], L[..., two, one], L[..., two, two]
    if adjoint:
        divide(B[..., one], L11, inverses[:count], adjoint)
        xp.add_product_to(B[..., two], B[..., one], xp.mH(L21), -1)
        divide(B[..., two], L22, inverses[count:], adjoint)
    else:
        divide(B[..., two], L22, inverses[count:])
        xp.add_product_to(B[..., one], B[..., two], L21, -1)
        divide(B[..., one], L11, inverses[:count])


def parts(out, one, two):
    """The blocks (1, 1), (2, 1) and (2, 2) of memory to write into, if there is any."""
    return (None, None, None) if out is None else (out[..., one, one], out[..., two, one], out[..., two, two])


def updated(block, products, out):
    """The block less a sum of products: in the memory `out`, where there is any."""
    if out is not None:
        out[...] = block
        block = out
    for A, B in products:
        block = added(block, A, B, -1, out)
    return block


def added(C, A, B, scale, out):
    """C + scale A B: in the memory of C, where it is `out`."""
    if out is None:
        return namespace(C).add_product(C, A, B, scale)
    namespace(C).add_product_to(out, A, B, scale)
    return out


def divided(B, L, inverses, adjoint, out):
    """B L⁻¹, or B L⁻ᴴ: in the memory of B, where it is `out`, by the inverses of the blocks on the diagonal of L."""
    if out is None:
        return namespace(B).solve_triangular(L, B, upper=False, adjoint=adjoint, left=False)
    divide(out, L, inverses, adjoint)
    return out


def columns_collide(n, itemsize):
    """Whether the columns of a square matrix of this order begin a multiple of 2,048 bytes apart, as those of 512,
    1,024 or 2,048 numbers in double precision do. A cache has few places for such addresses, and the factorisations of
    PyTorch and TensorFlow, which go down columns, have half of the speed that they have at 500, 1,000 or 2,000."""
    return n * itemsize % 2048 == 0


def cholesky_by_halves(A, factor, size, out=None, updates=()):
    """The lower Cholesky factor, by ``factor(A)`` of blocks up to a size that are Hermitian in their lower triangle,
    and products of halves. `updates` are what is still to be taken from A, Σ X Xᴴ, and `out` is memory for the
    result."""
    L, _ = _factor_and_inverses(A, factor, size, out, updates, last=True)
    return L


def _factor_and_inverses(A, factor, size, out, updates, last):
    """The factor, and the inverses of the blocks on its diagonal, where there is memory to use them in: those that come
    last divide nothing."""
    xp, k = namespace(A), half(A.shape[-1], size)
    if k is None:
        L = factor(updated(A, [(X, xp.mH(X)) for X in updates], out))
        if out is None or last:
            inverses = []
        else:
            inverses = [xp.solve_triangular(L, xp.eye_like(L), upper=False)]
        if out is None:
            return L, inverses
        out[...] = L
        return out, inverses
    one, two = slice(0, k), slice(k, None)
    out11, out21, out22 = parts(out, one, two)
    L11, inverses1 = _factor_and_inverses(A[one, one], factor, size, out11, [X[one] for X in updates], False)
    L21 = updated(A[two, one], [(X[two], xp.mH(X[one])) for X in updates], out21)
    L21 = divided(L21, L11, inverses1, True, out21)
    rest = [*[X[two] for X in updates], L21]
    L22, inverses2 = _factor_and_inverses(A[two, two], factor, size, out22, rest, last)
    if out is None:
        return xp.block([[L11, xp.zeros_like(xp.mH(L21))], [L21, L22]]), inverses1 + inverses2
    out[one, two] = 0
    return out, inverses1 + inverses2
