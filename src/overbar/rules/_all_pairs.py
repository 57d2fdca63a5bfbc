"""Functions of all pairs of rows of one matrix or two, and the sums over pairs that their derivatives are.

May import `overbar._namespace` and `overbar._primitive`. Where memory may be written to and nobody watches, large
matrices are computed by blocks of rows that stay in the cache, and of a symmetric one only the blocks on and below the
diagonal: passing through memory takes longer than all else.

What is computed of pairs is an object with the rows ``Y`` and ``Z``, and ``own`` where they are one set; with ``rows(i,
j, k)``, the matrix of the rows i to j of Y with the first k of Z, in memory of its own; and with ``all()``, the whole
matrix, of one set of rows symmetric to the last bit.
"""

from overbar._namespace import front, mT, namespace
from overbar._primitive import once

#: The entries of a block of rows; on a device, where what takes time is to start a computation, not memory.
BLOCK, ON_DEVICE = 2**17, 2**24

#: For so many columns, two products take less time than one with the sum of a matrix and its transpose.
THIN = 16


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


def sums_of_pairs(K_bar, K, sets, S, pairs, given, slope=None, relative=()):
    """Sums over the pairs, for rules. With G = K̄ ∘ K, without its diagonal in one set of rows, or G = K̄ where K is
    None, and H = G ∘ ρ(S), where ρ is `slope`, or 1: a list of functions, a function, and another list.

    The first gives, for each set of rows, Zᵀ Hᵀ and the row sums of H, as a row, and Yᵀ H with the column sums; for one
    set Zᵀ (H + Hᵀ) with its row sums. The function gives, for each column d, Σᵢⱼ Hᵢⱼ (yᵢ_d − zⱼ_d)², by one product:
    with the row sums r and the column sums c of H it is Σᵢ rᵢ yᵢ_d² + Σⱼ cⱼ zⱼ_d² − 2 Σᵢ yᵢ_d (H Z)ᵢ_d. The second list
    gives the sum of the entries of G, and of G ∘ τ(S) for each function τ among `relative`. ``sets()`` are the rows;
    ``S()`` is the matrix of the pairs, which can be differentiated; ``pairs()`` computes a part of it; and `given` are
    all arrays that somebody may watch.
    """
    if _large(K_bar, *K_bar.shape[-2:]) and front(*given).may_write(*given):
        return _by_blocks(K_bar, K, sets, pairs, slope, relative)
    return _at_once(K_bar, K, sets, S, slope, relative)


def _columns(Y):
    """The transpose of Y with a row of ones below it: the libraries multiply matrices of few rows faster than such of
    few columns."""
    xp = namespace(Y)
    one = xp.ones_like(xp.sum(Y, axis=-1, keepdims=True))
    return xp.concat([mT(Y), mT(one)], axis=-2)


def _at_once(K_bar, K, sets, S, slope, relative):
    # Not with `_columns`: XLA's simplifier makes wrong numbers, or ends the process, of the product of a concatenation
    # with a transposed product (seen with TensorFlow 2.21; a test of graphs in tests/tf_ops has such a product).
    xp, own = namespace(K_bar), len(sets()) == 1

    @once
    def G():
        if K is None:
            return K_bar
        return off_diagonal(K_bar * K) if own else K_bar * K

    H = G if slope is None else once(lambda: slope(S()) * G())

    def rows():
        return xp.sum(H(), axis=-1)[..., None, :]

    def columns():
        return xp.sum(H(), axis=-2)[..., None, :]

    def first():
        Z, D = mT(sets()[-1]), sets()[0].shape[-1]
        if not own:
            return Z @ mT(H()), rows()
        if D is not None and D <= THIN:
            return Z @ mT(H()) + Z @ H(), rows() + columns()
        return Z @ (H() + mT(H())), rows() + columns()

    def squares():
        Y, Z = sets()[0], sets()[-1]
        return _squares(xp, Y, Z, rows(), columns(), mT(H() @ Z))

    products = [first] if own else [first, lambda: (mT(sets()[0]) @ H(), columns())]
    of_others = [lambda tau=tau: xp.sum(G() * tau(S()), axis=(-2, -1)) for tau in relative]
    return products, squares, [lambda: xp.sum(G(), axis=(-2, -1)), *of_others]


def _squares(xp, Y, Z, rows, columns, product):
    """Σᵢⱼ Hᵢⱼ (yᵢ_d − zⱼ_d)², from the sums of H, as rows, and (H Z)ᵀ.

    y² is never formed: where it is beyond the range of numbers, with a length scale that is tiny beside the distances,
    the covariance is zero, and so is H."""
    outer = xp.sum(mT(rows) * Y * Y, axis=-2) + xp.sum(mT(columns) * Z * Z, axis=-2)
    return outer - 2 * xp.sum(Y * mT(product), axis=-2)


def _by_blocks(K_bar, K, sets, pairs, slope, relative):
    """In one pass and without a matrix beside K̄ and K."""
    xp, own = namespace(K_bar), len(sets()) == 1
    # reading what is above the diagonal together with what is below takes longer than another thin product
    folded = own and (slope is not None or relative or sets()[0].shape[-1] > THIN)

    def computed(of_squares):
        """The products and the sums of G; for the squares one product, and the column sums."""
        columns = [_columns(Y) for Y in sets()]
        matrix = pairs() if slope is not None or relative else None
        products, sums = [_zeros(K_bar[..., :1], columns[0])], [0] * (1 + len(relative))
        if of_squares:
            products.append(_zeros(mT(K_bar[..., :1, :]), columns[-1][..., -1:, :]))
        elif not own:
            products.append(_zeros(mT(K_bar[..., :1, :]), columns[1]))
        for i, j, k in _blocks(K_bar, *K_bar.shape[-2:], folded):
            G = K_bar[..., i:j, :k]
            if folded:
                # with what is above the diagonal; the block on it is there as it is, and counts once
                G = xp.concat([G[..., :i] + mT(K_bar[..., :i, i:j]), G[..., i:]], axis=-1)
            if K is not None:
                G = G * K[..., i:j, :k]
                if own:
                    # the diagonal of the block of the columns from i on
                    xp.reshape(G, (*G.shape[:-2], (j - i) * k))[..., i :: k + 1] = 0
            S = matrix and matrix.rows(i, j, k)
            for which, tau in enumerate((None, *relative)):
                sums[which] = sums[which] + xp.sum(G if tau is None else G * tau(S), axis=(-2, -1))
            H = G if slope is None else slope(S) * G
            products[0][..., i:j] += columns[-1][..., :k] @ mT(H)
            if of_squares:
                products[1][..., :k] += xp.sum(H, axis=-2)[..., None, :]
            else:
                products[-1][..., :k] += columns[0][..., i:j] @ H
        return products, sums

    passes = {}

    def passed(of_squares=None):
        """A pass through the matrices, or any that was made already."""
        if of_squares is None:
            of_squares = next(iter(passes), True)
        if of_squares not in passes:
            passes[of_squares] = computed(of_squares)
        return passes[of_squares]

    def product(which):
        product = passed(False)[0][which]
        return product[..., :-1, :], product[..., -1:, :]

    def squares():
        first, columns = passed(True)[0]
        return _squares(xp, sets()[0], sets()[-1], first[..., -1:, :], columns, first[..., :-1, :])

    return (
        [lambda which=which: product(which) for which in range(len(sets()))],
        squares,
        [lambda which=which: passed()[1][which] for which in range(1 + len(relative))],
    )


def _zeros(column, columns):
    """Room for products of these columns, in as many batch dimensions as a column of the matrix has."""
    product = front(column).buffer(mT(column), columns)
    product[...] = 0
    return product
