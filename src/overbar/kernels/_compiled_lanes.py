"""Wide vectors, which numba lacks: for loops over many small matrices. May import NumPy, numba and llvmlite, which
compile them, and `compiled` of the kernels.

Eight matrices are computed side by side. An entry of all eight is one vector, `Lanes`, and what happens to one matrix
happens to all in the same instruction; a tile (n, n, 8) has the entries of eight matrices.

What numba has stored of a loop is taken as long as the loop's own file is not changed: after a change of this one the
files `*.nbc` and `*.nbi` in `__pycache__` have to go.
"""

import math

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils  # the only one that is not of numba.extending
from numba.extending import intrinsic, models, register_model

from overbar.kernels._compiled import compiled

#: So many matrices are computed side by side: a vector of the widest processors, in double precision.
LANES = 8

_CONTRACTED = ("contract", "nsz")


class Lanes(types.Type):
    """The type of a vector of eight numbers. (Loops over eight entries of an array would do the same, but LLVM has to
    prove that two arrays are not the same memory, and cannot.)"""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(name=f"Lanes({dtype})")


@register_model(Lanes)
class _Model(models.PrimitiveModel):
    def __init__(self, manager, lanes):
        super().__init__(manager, lanes, ir.VectorType(manager.lookup(lanes.dtype).get_value_type(), LANES))


def _place(context, builder, kind, array, *index):
    """The address of an entry of an array without gaps."""
    array = context.make_array(kind)(context, builder, array)
    where = index[0]
    for size, i in zip(cgutils.unpack_tuple(builder, array.shape)[1:], index[1:], strict=True):
        where = builder.add(builder.mul(where, size), i)
    return builder.gep(array.data, [where])


def _apart(context, builder, kind, array):
    """How far two matrices of a stack are apart."""
    _, m, n = cgutils.unpack_tuple(builder, context.make_array(kind)(context, builder, array).shape)
    return builder.mul(m, n)


def _vector_at(builder, place, kind):
    return builder.bitcast(place, kind.as_pointer())


def _turned(builder, rows):
    """Eight vectors of eight as the columns of the matrix whose rows they are: blocks are swapped, then halves of
    these, then single entries."""
    for width in (4, 2, 1):
        found = list(rows)
        for i in range(LANES):
            if not i & width:
                # of each pair of blocks of this width: the first ones of both rows, and the second ones
                first = [k if not k & width else LANES + k - width for k in range(LANES)]
                second = [k + width if not k & width else LANES + k for k in range(LANES)]
                for where, order in ((i, first), (i + width, second)):
                    mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), order)
                    found[where] = builder.shuffle_vector(rows[i], rows[i + width], mask)
        rows = found
    return rows


@intrinsic
def load(typing, T, i, j):
    """T[i, j] of a tile."""

    def code(context, builder, signature, args):
        vector = context.get_value_type(signature.return_type)
        place = _place(context, builder, T, args[0], *args[1:], ir.Constant(ir.IntType(64), 0))
        return builder.load(_vector_at(builder, place, vector), align=8)

    return Lanes(T.dtype)(T, types.intp, types.intp), code


@intrinsic
def store(typing, T, i, j, x):
    """T[i, j] = x."""

    def code(context, builder, signature, args):
        place = _place(context, builder, T, args[0], *args[1:3], ir.Constant(ir.IntType(64), 0))
        builder.store(args[3], _vector_at(builder, place, args[3].type), align=8)
        return context.get_dummy_value()

    return types.void(T, types.intp, types.intp, x), code


@intrinsic
def less_product(typing, x, y, z):
    """x − y z."""

    def code(context, builder, signature, args):
        product = builder.fmul(args[1], args[2], flags=_CONTRACTED)
        return builder.fsub(args[0], product, flags=_CONTRACTED)

    return x(x, y, z), code


@intrinsic
def plus_product(typing, x, y, z):
    """x + y z."""

    def code(context, builder, signature, args):
        product = builder.fmul(args[1], args[2], flags=_CONTRACTED)
        return builder.fadd(args[0], product, flags=_CONTRACTED)

    return x(x, y, z), code


@intrinsic
def times(typing, x, y):
    """x y."""
    return x(x, y), lambda context, builder, signature, args: builder.fmul(*args)


@intrinsic
def plus(typing, x, y):
    """x + y."""
    return x(x, y), lambda context, builder, signature, args: builder.fadd(*args)


@intrinsic
def minus(typing, x, y):
    """x − y."""
    return x(x, y), lambda context, builder, signature, args: builder.fsub(*args)


@intrinsic
def quotient(typing, x, y):
    """x / y."""
    return x(x, y), lambda context, builder, signature, args: builder.fdiv(*args)


@intrinsic
def where_larger(typing, x, y, a, b):
    """a where x > y, and b elsewhere, as where one of the two is NaN."""

    def code(context, builder, signature, args):
        return builder.select(builder.fcmp_ordered(">", *args[:2]), *args[2:])

    return a(x, y, a, b), code


@intrinsic
def over(typing, number, x):
    """number / x, for one number."""

    def code(context, builder, signature, args):
        vector = args[1].type
        number = builder.insert_element(ir.Constant(vector, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0))
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        number = builder.shuffle_vector(number, ir.Constant(vector, ir.Undefined), zeros)
        return builder.fdiv(number, args[1])

    return x(x.dtype, x), code


def _of_llvm(name, x):
    """The type and the code of one of LLVM's functions of a vector."""

    def code(context, builder, signature, args):
        vector = args[0].type
        full = f"llvm.{name}.v{LANES}f{x.dtype.bitwidth}"
        return builder.call(
            cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector]), full), args
        )

    return x(x), code


@intrinsic
def root(typing, x):
    """The square root; NaN of a negative number."""
    return _of_llvm("sqrt", x)


@intrinsic
def modulus(typing, x):
    """The absolute value."""
    return _of_llvm("fabs", x)


@intrinsic
def gather(typing, A, first, i, j):
    """A[first : first + 8, i, j] of a stack of matrices."""

    def code(context, builder, signature, args):
        place, step = _place(context, builder, A, *args), _apart(context, builder, A, args[0])
        x = ir.Constant(context.get_value_type(signature.return_type), ir.Undefined)
        for w in range(LANES):
            x = builder.insert_element(x, builder.load(place), ir.Constant(ir.IntType(32), w))
            place = builder.gep(place, [step])
        return x

    return Lanes(A.dtype)(A, types.intp, types.intp, types.intp), code


@intrinsic
def scatter(typing, A, first, i, j, x):
    """A[first : first + 8, i, j] = x."""

    def code(context, builder, signature, args):
        place, step = _place(context, builder, A, *args[:4]), _apart(context, builder, A, args[0])
        for w in range(LANES):
            builder.store(builder.extract_element(args[4], ir.Constant(ir.IntType(32), w)), place)
            place = builder.gep(place, [step])
        return context.get_dummy_value()

    return types.void(A, types.intp, types.intp, types.intp, x), code


@intrinsic
def read_eight(typing, A, first, i, j, T, at, step):
    """T[at + k step] = A[first : first + 8, i, j + k] for eight k, where T is taken as a row of vectors."""

    def code(context, builder, signature, args):
        place, apart = _place(context, builder, A, *args[:4]), _apart(context, builder, A, args[0])
        vector = ir.VectorType(context.get_value_type(A.dtype), LANES)
        rows = []
        for _ in range(LANES):
            rows.append(builder.load(_vector_at(builder, place, vector), align=A.dtype.bitwidth // 8))
            place = builder.gep(place, [apart])
        place = _vector_at(builder, context.make_array(T)(context, builder, args[4]).data, vector)
        place = builder.gep(place, [args[5]])
        for column in _turned(builder, rows):
            builder.store(column, place, align=8)
            place = builder.gep(place, [args[6]])
        return context.get_dummy_value()

    return types.void(A, types.intp, types.intp, types.intp, T, types.intp, types.intp), code


@intrinsic
def write_eight(typing, T, at, A, first, i, j):
    """A[first : first + 8, i, j + k] = T[at + k] for eight k, where T is taken as a row of vectors."""

    def code(context, builder, signature, args):
        place, apart = _place(context, builder, A, *args[2:]), _apart(context, builder, A, args[2])
        vector = ir.VectorType(context.get_value_type(A.dtype), LANES)
        column = _vector_at(builder, context.make_array(T)(context, builder, args[0]).data, vector)
        column = builder.gep(column, [args[1]])
        columns = [builder.load(builder.gep(column, [ir.Constant(ir.IntType(64), k)]), align=8) for k in range(LANES)]
        for row in _turned(builder, columns):
            builder.store(row, _vector_at(builder, place, vector), align=A.dtype.bitwidth // 8)
            place = builder.gep(place, [apart])
        return context.get_dummy_value()

    return types.void(T, types.intp, A, types.intp, types.intp, types.intp), code


@compiled
def read(A, first, T, upper, turned):
    """The lower triangles, or the upper ones, of eight matrices of a stack into a tile; or of their transposes,
    `turned`. What is on the other side of the diagonal is not used, and may be anything afterwards."""
    n = len(T)
    across, down = (1, n) if turned else (n, 1)
    for i in range(n):
        begin, end = (i, n) if upper else (0, i + 1)
        if n < LANES:
            for j in range(begin, end):
                x = gather(A, first, i, j)
                if turned:
                    store(T, j, i, x)
                else:
                    store(T, i, j, x)
        else:
            for j in range(begin, end, LANES):
                j = min(j, n - LANES)  # the last eight may begin before those in front of them end
                read_eight(A, first, i, j, T, i * across + j * down, down)


@compiled
def write(T, A, first):
    """A tile into eight matrices of a stack."""
    n = len(T)
    for i in range(n):
        if n < LANES:
            for j in range(n):
                scatter(A, first, i, j, load(T, i, j))
        else:
            for j in range(0, n, LANES):
                j = min(j, n - LANES)
                write_eight(T, i * n + j, A, first, i, j)


@compiled
def read_whole(A, first, T):
    """The columns of eight matrices of a stack (count, m, n) as the rows of a tile (n, m, 8)."""
    n, m, _ = T.shape
    for i in range(m):
        if n < LANES:
            for j in range(n):
                store(T, j, i, gather(A, first, i, j))
        else:
            for j in range(0, n, LANES):
                j = min(j, n - LANES)
                read_eight(A, first, i, j, T, i + j * m, m)


@compiled
def constant(number, dtype):
    """A vector of one number."""
    return load(np.full((1, 1, LANES), number).astype(dtype), 0, 0)


@compiled
def any_positive(x, place):
    """Whether a vector has a positive entry; `place` is a tile (1, 1, 8) for it."""
    store(place, 0, 0, x)
    found = False
    for w in range(LANES):
        found |= place[0, 0, w] > 0
    return found


@compiled
def identity(V):
    """A tile of identity matrices, in place."""
    zero, one = constant(0, V.dtype), constant(1, V.dtype)
    for i in range(len(V)):
        for j in range(len(V)):
            store(V, i, j, zero)
        store(V, i, i, one)


@compiled
def in_order(values, lane, order):
    """Which of the values (1, n, 8) of one matrix is the smallest, the next, and so on, into `order`."""
    for i in range(len(order)):
        x, j = values[0, i, lane], i
        while j > 0 and values[0, order[j - 1], lane] > x:
            order[j] = order[j - 1]
            j -= 1
        order[j] = i


@compiled
def scaled(T, lower, scales, failed):
    """A tile, or the lower triangles of one, in place, by powers of two, so that the largest entry is about 1; a matrix
    that is not finite becomes zero, and `failed` true."""
    m, n, _ = T.shape
    zeros, maxexp = constant(0, T.dtype), np.finfo(T.dtype).maxexp - 2
    largest = total = zeros
    for i in range(m):
        for j in range(i + 1 if lower else n):
            x = load(T, i, j)
            total = plus_product(total, zeros, x)  # NaN if x is not finite
            x = modulus(x)
            largest = where_larger(x, largest, x, largest)
    found = np.empty((1, 2, LANES), T.dtype)
    store(found, 0, 0, largest)
    store(found, 0, 1, total)
    for w in range(LANES):
        failed[w] = found[0, 1, w] != 0
        exponent = 0
        if not failed[w] and found[0, 0, w] > 0:
            # neither it nor its inverse overflows, or is so small that a processor may take it for zero
            exponent = min(max(math.frexp(found[0, 0, w])[1] - 1, -maxexp), maxexp)
        scales[w], found[0, 0, w] = math.ldexp(1.0, exponent), math.ldexp(1.0, -exponent)
    over_scale = load(found, 0, 0)
    for i in range(m):
        for j in range(i + 1 if lower else n):
            store(T, i, j, times(load(T, i, j), over_scale))
    for w in range(LANES):
        if failed[w]:
            for i in range(m):
                for j in range(i + 1 if lower else n):
                    T[i, j, w] = 0


@compiled
def signs(V, k, part):
    """A vector that has the signs with which, of the components of row k of V that are no smaller than this part
    of the largest, the first is positive: that component itself."""
    zero, part = constant(0, V.dtype), constant(part, V.dtype)
    largest = first = zero
    for i in range(V.shape[1]):
        x = modulus(load(V, k, i))
        largest = where_larger(x, largest, x, largest)
    largest = times(part, largest)
    for i in range(V.shape[1] - 1, -1, -1):
        x = load(V, k, i)
        first = where_larger(largest, modulus(x), first, x)
    return first


@compiled
def turn(V, k, sign):
    """Row k of V, in place, negative where the sign is."""
    zero = constant(0, V.dtype)
    for i in range(V.shape[1]):
        x = load(V, k, i)
        store(V, k, i, where_larger(zero, sign, minus(zero, x), x))
