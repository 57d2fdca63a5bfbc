"""Cholesky factors of A ± V Vᴴ from that of A, where V has few columns.

May import NumPy, `overbar._namespace`, `overbar._primitive` and `rules.cholesky`.
"""

import numpy as np

from overbar._namespace import mH, namespace
from overbar._primitive import once, primitive
from overbar.rules._cholesky import cholesky, forward_symbolic, reverse_symbolic

# The rows and columns that are updated at a time.
BLOCK = 64


@primitive("(n,n),(n,k?)->(n,n)")
def cholesky_update(L, V):
    """The Cholesky factor of A + V Vᴴ from that of A = L Lᴴ.

    Parameters
    ----------
    L
        The lower factor; only its lower triangle is read, and only it gets a bar. Invertible.

    Returns
    -------
    array (..., n, n)
        Lower triangular with positive real diagonal.

    Raises
    ------
    LinAlgError of the array's library
        The sum is not positive definite to working precision.

    Notes
    -----
    The rows and columns are cut into a block of b and the rest. With s = 1 (`cholesky_downdate` has s = −1) the new
    factor, written with a prime, has the block

        L₁₁′ = chol(L₁₁ L₁₁ᴴ + s V₁ V₁ᴴ),    L₂₁′ = (L₂₁ L₁₁ᴴ + s V₂ V₁ᴴ) L₁₁′⁻ᴴ,

    and the rest of it is the factor of L₂₂ L₂₂ᴴ + s V₂′ V₂′ᴴ with another V of k columns,

        W = L₁₁⁻¹ V₁,    M Mᴴ = I + s Wᴴ W,    V₂′ = (V₂ − L₂₁ W) M⁻ᴴ,

    as the Schur complement of L₁₁′ shows. All blocks together take O(n² (b + k)) flops, where a new factorisation
    takes O(n³).

    The textbook's rules, Ȧ = L̇ Lᴴ + L L̇ᴴ + ... through those of `cholesky`, take O(n³) (Murray 2016). These here go
    through the blocks in the same order forward, and in the opposite order in reverse: each line above is a product, a
    triangular solve or a Cholesky decomposition, and has its rule. Reverse, for one block:

        G = V̄₂′ M⁻¹,    N̄ = chol_bar(M, −Gᴴ V₂′),    W̄ = 2 s W N̄ − L₂₁ᴴ G,    H = L₁₁⁻ᴴ W̄
        Ā₂₁ = L̄₂₁′ L₁₁′⁻¹,    Ā₁₁ = chol_bar(L₁₁′, L̄₁₁′ − Ā₂₁ᴴ L₂₁′)
        L̄₁₁ = tril(2 Ā₁₁ L₁₁ + Ā₂₁ᴴ L₂₁ − H Wᴴ),      L̄₂₁ = Ā₂₁ L₁₁ − G Wᴴ
        V̄₁ = s (2 Ā₁₁ V₁ + Ā₂₁ᴴ V₂) + H,               V̄₂ = s Ā₂₁ V₁ + G.

    Cost: O(n² (b + k)) too. Where n is not known while a graph is built, everything is one block.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> L = np.array([[2.0, 0.0], [1.0, 2.0]])
    >>> overbar.cholesky_update(L, np.array([0.0, 1.0])).round(4)
    array([[2.    , 0.    ],
           [1.    , 2.2361]])
    """
    return _changed(L, V, 1)


@primitive("(n,n),(n,k?)->(n,n)")
def cholesky_downdate(L, V):
    """The Cholesky factor of A − V Vᴴ from that of A = L Lᴴ.

    Parameters
    ----------
    L
        The lower factor; only its lower triangle is read, and only it gets a bar. Invertible.

    Returns
    -------
    array (..., n, n)
        Lower triangular with positive real diagonal.

    Raises
    ------
    numpy.linalg.LinAlgError, torch.linalg.LinAlgError, tf.errors.InvalidArgumentError
        A − V Vᴴ is not positive definite; the message names the matrix of the batch. Under XLA, which cannot raise, the
        result has NaN.

    Notes
    -----
    That of `cholesky_update` with s = −1, and so are the rules (Murray 2016 for those of the blocks). It is as well
    conditioned as the result: what is lost where A − V Vᴴ is nearly singular is lost in any way of computing it. Cost:
    as `cholesky_update`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> L = np.array([[2.0, 0.0], [1.0, 2.0]])
    >>> overbar.cholesky_downdate(L, np.array([0.0, 1.0])).round(4)
    array([[2.    , 0.    ],
           [1.    , 1.7321]])
    """
    return _changed(L, V, -1)


class _Block:
    """A block of rows and columns of L, what is below it, the same of V, and what becomes of them."""

    def __init__(self, L, V, s, one, last):
        # where everything is one block there is nothing to cut, perhaps not even a known size
        self.s, self.last, self.size = s, last, None if one is None else one.stop - one.start
        self.one, self.two = (slice(None), None) if one is None else (one, slice(one.stop, L.shape[-1]))
        xp = self.xp = namespace(L)
        self.L11, self.V1 = xp.tril(L if one is None else L[..., one, one]), V
        if not last:
            self.L21 = L[..., self.two, one]
            self.V1, self.V2 = self.split_rows(V)
            self.W = xp.solve_triangular(self.L11, self.V1, upper=False)

    def split_rows(self, V):
        """V₁ and V₂."""
        return V[..., : self.size, :], V[..., self.size :, :]

    def A11(self):
        return self.L11 @ mH(self.L11) + self.s * (self.V1 @ mH(self.V1))

    def L21_new(self, L11_new):
        A21 = self.L21 @ mH(self.L11) + self.s * (self.V2 @ mH(self.V1))
        return self.xp.solve_triangular(L11_new, A21, upper=False, left=False, adjoint=True)

    def N(self):
        gram = self.s * (mH(self.W) @ self.W)
        return gram + self.xp.eye_like(gram)

    def V2_new(self, M):
        rest = self.V2 - self.L21 @ self.W
        return self.xp.solve_triangular(M, rest, upper=False, left=False, adjoint=True)


def _cuts(n):
    """Each block, and whether it is the last. None stands for all rows and columns."""
    if n is None or n <= BLOCK:
        return [(None, True)]
    return [(slice(k, min(k + BLOCK, n)), k + BLOCK >= n) for k in range(0, n, BLOCK)]


def _changed(L, V, s):
    """The function of both: block by block, from the top."""
    xp, name = namespace(L), f"L Lᴴ {'+' if s > 0 else '−'} V Vᴴ"
    columns = []
    for one, last in _cuts(L.shape[-1]):
        block = _Block(L, V, s, one, last)
        new = [xp.cholesky(block.A11(), argument=name)]
        if not last:
            new.append(block.L21_new(new[0]))
            V = block.V2_new(xp.cholesky(block.N(), argument=name))
        columns.append((one, new))
    return _assembled(columns)


def _assembled(columns):
    """A lower triangle of its blocks: for each slice of columns the one on the diagonal and, but for the last, what is
    below it."""
    if len(columns) == 1:
        return columns[0][1][0]
    xp = namespace(columns[0][1][0])
    whole = []
    for i, (one, new) in enumerate(columns):
        # the zeros above a block are as wide and high as the blocks to the left of it
        left = [(slice(one.start - k.stop, one.stop - k.stop), below) for k, (_, below) in columns[:i]]
        above = [xp.zeros_like(mH(below[..., rows, :])) for rows, below in left]
        whole.append(xp.concat([*above, *new], axis=-2))
    return xp.concat(whole, axis=-1)


def _old_and_new(L_new, L, V, s):
    """For the rules: each block with the new factors, as far as it has them."""
    for one, last in _cuts(L.shape[-1]):
        block = _Block(L, V, s, one, last)
        block.L11n = L_new if one is None else L_new[..., one, one]
        if not last:
            block.L21n, block.M = L_new[..., block.two, one], cholesky(block.N())
            V = block.V2n = block.V2_new(block.M)
        yield block


def _bars(L_new_bar, L_new, L, V, s):
    """The bars of L and V: through the blocks, from the bottom."""
    xp = namespace(L)
    V2n_bar, columns = None, []
    for block in reversed(list(_old_and_new(L_new, L, V, s))):
        L11, V1, one = block.L11, block.V1, block.one
        L11n_bar = L_new_bar if block.size is None else L_new_bar[..., one, one]
        if not block.last:
            L21, V2, L11n, L21n, W = block.L21, block.V2, block.L11n, block.L21n, block.W
            A21_bar = xp.solve_triangular(L11n, L_new_bar[..., block.two, one], upper=False, left=False)
            L11n_bar = L11n_bar - mH(A21_bar) @ L21n
        A11_bar = reverse_symbolic(block.L11n, L11n_bar)
        L11_bar, V1_bar = 2 * A11_bar @ L11, 2 * s * A11_bar @ V1
        if block.last:
            columns, V2n_bar = [(one, [xp.tril(L11_bar)])], V1_bar
            continue
        G = xp.solve_triangular(block.M, V2n_bar, upper=False, left=False)
        W_bar = 2 * s * W @ reverse_symbolic(block.M, -mH(G) @ block.V2n) - mH(L21) @ G
        H = xp.solve_triangular(L11, W_bar, upper=False, adjoint=True)
        L11_bar = xp.tril(L11_bar + mH(A21_bar) @ L21 - H @ mH(W))
        L21_bar = A21_bar @ L11 - G @ mH(W)
        columns.append((one, [L11_bar, L21_bar]))
        V2n_bar = xp.concat([V1_bar + s * mH(A21_bar) @ V2 + H, s * A21_bar @ V1 + G], axis=-2)
    return _assembled(columns[::-1]), V2n_bar


def _dot(L_dot, V_dot, L_new, L, V, s):
    """The tangent of the new factor: through the blocks, from the top."""
    xp = namespace(L)
    columns = []
    for block in _old_and_new(L_new, L, V, s):
        L11, V1, one = block.L11, block.V1, block.one
        L11_dot = xp.tril(L_dot if block.size is None else L_dot[..., one, one])
        V1_dot, V2_dot = (V_dot, None) if block.last else block.split_rows(V_dot)
        half = L11_dot @ mH(L11) + s * (V1_dot @ mH(V1))
        new = [forward_symbolic(block.L11n, half + mH(half))]
        if not block.last:
            L21, V2, W, M, L11n = block.L21, block.V2, block.W, block.M, block.L11n
            L21_dot = L_dot[..., block.two, one]
            A21_dot = L21_dot @ mH(L11) + L21 @ mH(L11_dot) + s * (V2_dot @ mH(V1) + V2 @ mH(V1_dot))
            rest = A21_dot - block.L21n @ mH(new[0])
            new.append(xp.solve_triangular(L11n, rest, upper=False, left=False, adjoint=True))
            W_dot = xp.solve_triangular(L11, V1_dot - L11_dot @ W, upper=False)
            half = s * (mH(W_dot) @ W)
            M_dot = forward_symbolic(M, half + mH(half))
            rest = V2_dot - L21_dot @ W - L21 @ W_dot - block.V2n @ mH(M_dot)
            V_dot = xp.solve_triangular(M, rest, upper=False, left=False, adjoint=True)
        columns.append((one, new))
    return _assembled(columns)


def _register(p, s):
    @p.vjp
    def _(L_new_bar, L_new, L, V):
        both = once(lambda: _bars(L_new_bar, L_new, L, V, s))
        return lambda: both()[0], lambda: both()[1]

    @p.jvp
    def _(L_new, L, V):
        return lambda L_dot, V_dot: _dot(L_dot, V_dot, L_new, L, V, s)

    @p.samples
    def _(case):
        L, V = case.lower(4), case.normal(4, 2)
        if s < 0:  # so far from the limit of a downdate that no V of other matrices of the batch reaches it
            n = L.shape[-1]
            L, V = (L + 2 * np.eye(n)).astype(case.dtype), V * np.asarray(0.4 / n**0.5, case.dtype)
        yield case(L, V)

    @p.reference
    def _(mp, L, V):
        L = mp.tril(L)
        return mp.cholesky(L @ mp.mH(L) + s * (V @ mp.mH(V)))


_register(cholesky_update, 1)
_register(cholesky_downdate, -1)
