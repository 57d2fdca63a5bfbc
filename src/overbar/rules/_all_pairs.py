"""Functions of all pairs of rows of one matrix or two, and the sums over pairs that their derivatives are.

May import `overbar._namespace`, `overbar._primitive` and `rules.differences`. Where memory may be written to and nobody
watches, large matrices are computed by blocks of rows that stay in the cache, and of a symmetric one only the blocks on
and below the diagonal: passing through memory takes longer than all else.

What is computed of pairs is an object with the rows ``Y`` and ``Z``, and ``own`` where they are one set; with ``rows(i,
j, k)``, the matrix of the rows i to j of Y with the first k of Z, in memory of its own; and with ``all()``, the whole
matrix, of one set of rows symmetric to the last bit.
"""

from overbar._namespace import front, mT, namespace
from overbar._primitive import once
from overbar.rules._differences import (
    THIN,
    by_size,
    centred,
    column_sums,
    row_sums,
    squares_by_differences,
    squares_by_product,
    squares_of_sums,
    sums_by_differences,
    sums_of_differences,
    sums_of_differences_cross,
)

#: The entries of a block of rows; on a device, where what takes time is to start a computation, not memory.
BLOCK, ON_DEVICE = 2**17, 2**24


def _rows_of_block(A, m):
    """How many rows of m entries a block has that is computed from A."""
    return max(1, (BLOCK if front(A).on_the_host(A) else ON_DEVICE) // max(1, m))


def _blocks(A, n, m, own):
    """From which row to which a block goes, and how many columns it has."""
    rows = _rows_of_block(A, m)
    for i in range(0, n, rows):
        j = min(i + rows, n)
        yield i, j, j if own else m


def _large(A, n, m):
    """Whether blocks of rows are for such matrices. Not where a size is unknown, or a symbol of a compiler, under which
    nothing is written to: to compare it would bind a graph to one side of the bound."""
    return type(n) is int and type(m) is int and n > _rows_of_block(A, m)


def of_pairs(function, pairs, *numbers, variance=None, diagonal=None):
    """v f(S), S the matrix of the pairs, where ``f(S, *numbers)`` is a function entry by entry; with another diagonal
    (..., n), if one is given."""
    xp = namespace(pairs.Y)
    n, m = pairs.Y.shape[-2], pairs.Z.shape[-2]
    room = None
    if _large(pairs.Y, n, m):
        columns = [xp.sum(Y, axis=-1, keepdims=True) for Y in (pairs.Y, pairs.Z)]
        others = [x for x in (*numbers, variance, None if diagonal is None else diagonal[..., None]) if x is not None]
        room = front(*columns).buffer(columns[0], mT(columns[1]), *others)
    if room is None:
        K = function(pairs.all(), *numbers)
        K = K if variance is None else variance * K
        return K if diagonal is None else xp.fill_diagonal(K, diagonal)
    for i, j, k in _blocks(pairs.Y, n, m, pairs.own):
        K = function(pairs.rows(i, j, k), *numbers)
        if variance is not None:
            K = K * variance
        room[..., i:j, :k] = K
        if pairs.own:
            corner = K[..., i:] * 0.5
            room[..., i:j, i:j] = corner + mT(corner)
            room[..., :i, i:j] = mT(K[..., :i])
    if diagonal is not None:
        diagonal_of(room)[...] = diagonal
    return room


def diagonal_of(A):
    """The diagonal of a square matrix that may be written to, to write to it."""
    n = A.shape[-1]
    return namespace(A).reshape(A, (*A.shape[:-2], n * n))[..., :: n + 1]


def off_diagonal(A):
    """A square matrix with zeros on its diagonal."""
    xp = namespace(A)
    return xp.fill_diagonal(A, xp.zeros_like(xp.diagonal(A)))


def sums_of_pairs(K_bar, K, sets, S, pairs, given, slope=None, relative=(), far=None):
    """Sums over the pairs, for rules. With G = K̄ ∘ K, without its diagonal in one set of rows, or G = K̄ where K is
    None, and H = G ∘ ρ(S), where ρ is `slope`, or 1: a list of functions, a function, and another list.

    The first gives, for each set of rows, Zᵀ Hᵀ and the row sums of H, as a row, and Yᵀ H with the column sums; for one
    set Zᵀ (H + Hᵀ) with its row sums. The second list gives the sum of the entries of G, and of G ∘ τ(S) for each
    function τ among `relative`. ``sets()`` are the rows; ``S()`` is the matrix of the pairs, which can be
    differentiated; ``pairs()`` computes a part of it; and `given` are all arrays that somebody may watch.

    With ``far()``, see `overbar.rules._differences`, it is sums of differences that are asked for: the first list gives
    A and B, or A + B for one set, and the function w, by one product. (Without it there is no such function.)
    """
    unwatched = front(*given).may_write(*given)
    if unwatched and _large(K_bar, *K_bar.shape[-2:]):
        return _by_blocks(K_bar, K, sets, pairs, slope, relative, far)
    return _at_once(K_bar, K, sets, S, slope, relative, far, unwatched)


def _columns(Y):
    """The transpose of Y with a row of ones below it: the libraries multiply matrices of few rows faster than such of
    few columns."""
    xp = namespace(Y)
    one = xp.ones_like(xp.sum(Y, axis=-1, keepdims=True))
    return xp.concat([mT(Y), mT(one)], axis=-2)


def _at_once(K_bar, K, sets, S, slope, relative, far, unwatched):
    # Not with `_columns`: XLA's simplifier makes wrong numbers, or ends the process, of the product of a concatenation
    # with a transposed product (seen with TensorFlow 2.21; a test of graphs in tests/tf_ops has such a product).
    xp, own = namespace(K_bar), len(sets()) == 1

    @once
    def G():
        if K is None:
            return K_bar
        return off_diagonal(K_bar * K) if own else K_bar * K

    H = G if slope is None else once(lambda: slope(S()) * G())
    of_others = [lambda tau=tau: xp.sum(G() * tau(S()), axis=(-2, -1)) for tau in relative]
    sums = [lambda: xp.sum(G(), axis=(-2, -1)), *of_others]
    if far is not None:
        of_sets = sums_of_differences if own else sums_of_differences_cross
        if unwatched:  # a call less
            of_sets = of_sets.function
        found = once(lambda: of_sets(H(), *sets(), far()))
        return [lambda which=which: found()[which] for which in range(len(sets()))], lambda: found()[-1], sums

    def first():
        Z, D = mT(sets()[-1]), sets()[0].shape[-1]
        if not own:
            return Z @ mT(H()), row_sums(H())
        total = row_sums(H()) + column_sums(H())
        return (Z @ mT(H()) + Z @ H() if D is not None and D <= THIN else Z @ (H() + mT(H()))), total

    products = [first] if own else [first, lambda: (mT(sets()[0]) @ H(), column_sums(H()))]
    return products, None, sums


class _Blocks:
    """The blocks H of rows, with the rows i to j and the columns they have, and what is summed up on the way: the
    entries of G and of G ∘ τ(S)."""

    def __init__(self, K_bar, K, own, folded, pairs, slope, relative):
        self.K_bar, self.K, self.own, self.folded, self.slope, self.relative = K_bar, K, own, folded, slope, relative
        self.pairs = pairs() if slope is not None or relative else None
        self.sums = [0] * (1 + len(relative))

    def __iter__(self):
        xp = namespace(self.K_bar)
        for i, j, k in _blocks(self.K_bar, *self.K_bar.shape[-2:], self.folded):
            G = self.K_bar[..., i:j, :k]
            if self.folded:
                # with what is above the diagonal; the block on it is there as it is, and counts once
                G = xp.concat([G[..., :i] + mT(self.K_bar[..., :i, i:j]), G[..., i:]], axis=-1)
            if self.K is not None:
                G = G * self.K[..., i:j, :k]
                if self.own:
                    # the diagonal of the block of the columns from i on
                    xp.reshape(G, (*G.shape[:-2], (j - i) * k))[..., i :: k + 1] = 0
            S = self.pairs and self.pairs.rows(i, j, k)
            for which, tau in enumerate((None, *self.relative)):
                self.sums[which] = self.sums[which] + xp.sum(G if tau is None else G * tau(S), axis=(-2, -1))
            yield i, j, k, G if self.slope is None else self.slope(S) * G


def _by_blocks(K_bar, K, sets, pairs, slope, relative, far):
    """In one pass and without a matrix beside K̄ and K."""
    own = len(sets()) == 1
    # reading what is above the diagonal together with what is below takes longer than another thin product
    folded = own and (slope is not None or relative or sets()[0].shape[-1] > THIN)
    made = []  # the passes through the matrices: one is enough for what all of them give

    def once_through(of_blocks):
        @once
        def passed():
            made.append(of_blocks(_Blocks(K_bar, K, own, folded, pairs, slope, relative), sets(), far))
            return made[-1]

        return passed

    sums, squares = once_through(_sums_of_blocks), once_through(_squares_of_blocks)

    def any_pass():
        return made[0] if made else sums() if far is None else squares()  # which take less

    return (
        [lambda which=which: sums()[0][which] for which in range(len(sets()))],
        lambda: any_pass()[0][-1],
        [lambda which=which: any_pass()[1][which] for which in range(1 + len(relative))],
    )


def _sums_of_blocks(blocks, sets, far):
    """What `sums_of_pairs` gives for each set, of differences also w; and the sums of G."""

    def by_product():
        rows = sets if far is None else centred(*sets)
        columns = [_columns(Y) for Y in rows]
        products = _rooms(blocks, columns)
        for i, j, k, H in blocks:
            products[0][..., i:j] += columns[-1][..., :k] @ mT(H)
            products[-1][..., :k] += columns[0][..., i:j] @ H
        found = [(product[..., :-1, :], product[..., -1:, :]) for product in products]
        if far is None:
            return found
        found = [mT(total * mT(Y) - product) for Y, (product, total) in zip(rows, found, strict=True)]
        return [*found, squares_of_sums(rows, found)]

    def by_differences():
        found, squares = _rooms(blocks, [mT(Y) for Y in sets]), 0
        for i, j, k, H in blocks:
            A, B, w = sums_by_differences(H, sets[0][..., i:j, :], sets[-1][..., :k, :])
            found[0][..., i:j] += mT(A)
            found[-1][..., :k] += mT(B)
            squares = squares + w
        return [*map(mT, found), squares]

    return (by_product() if far is None else by_size(by_product, by_differences, sets[0], far())), blocks.sums


def _squares_of_blocks(blocks, sets, far):
    """w, and the sums of G."""

    def by_product():
        rows = centred(*sets)
        Y, Z = rows[0], rows[-1]
        columns = [_columns(Y), _columns(Z)]
        product, sums = _rooms(blocks, [columns[0], columns[1][..., -1:, :]])
        for i, j, k, H in blocks:
            product[..., i:j] += columns[1][..., :k] @ mT(H)
            sums[..., :k] += column_sums(H)
        return squares_by_product(Y, Z, product[..., -1:, :], sums, product[..., :-1, :])

    def by_differences():
        total = 0
        for i, j, k, H in blocks:
            total = total + squares_by_differences(H, sets[0][..., i:j, :], sets[-1][..., :k, :])
        return total

    return [by_size(by_product, by_differences, sets[0], far())], blocks.sums


def _rooms(blocks, columns):
    """Rooms, all zero, for products of these columns with H, and with Hᵀ, in as many batch dimensions as it has."""
    rooms = []
    for vector, A in zip((mT(blocks.K_bar[..., :1]), blocks.K_bar[..., :1, :]), columns, strict=False):
        rooms.append(front(vector).buffer(vector, A))
        rooms[-1][...] = 0
    return rooms
