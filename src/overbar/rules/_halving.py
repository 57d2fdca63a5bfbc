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
    n, size = arrays[0].shape[-1], base(arrays[0])
    if n is not None and n <= size:
        return halved(*arrays, depth=0)
    library = front(arrays[0])
    if n is None:
        small = library.xp.minimum(*library.xp.shape(arrays[0])[-2:]) <= 2 * size
        return library.if_else(small, lambda: halved(*arrays, depth=0), lambda: halved(*arrays, depth=DEPTH))
    return library.as_one(halved, *arrays)


def base(A):
    """The size up to which a rule takes matrices like A whole."""
    device = front(A).device_type(A)
    return stored().get(device) or (BASE if device == "cpu" else BASE_ON_DEVICE)


def split_at(A, depth):
    """Where to halve a matrix, None where it stays whole, and the depth of the halves."""
    if depth is not None:
        return (namespace(A).shape(A)[-1] // 2, depth - 1) if depth else (None, None)
    n, k = A.shape[-1], base(A)
    if n <= k:
        return None, None
    while 2 * k < n:  # the smallest base · 2ʲ that is at least half of n, which keeps the blocks aligned
        k *= 2
    return k, None


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
    if len(inverses) == 1:
        B[...] = B @ (xp.mH(inverses[0]) if adjoint else inverses[0])
        return
    count = 1 << ((len(inverses) - 1).bit_length() - 1)  # the largest power of 2 below
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
