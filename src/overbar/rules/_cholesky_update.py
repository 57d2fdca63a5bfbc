"""Cholesky factors of A ± V Vᴴ from that of A, where V has few columns.

May import NumPy, `overbar._namespace` and `overbar._primitive`.
"""

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive

# The rows and columns that are updated at a time.
BLOCK = 64


@primitive("(n,n),(n,k?)->(n,n)")
def cholesky_update(L, V):
    """The Cholesky factor of A + V Vᴴ from that of A = L Lᴴ.

    Parameters
    ----------
    L
        The lower factor; only its lower triangle is read, and only it gets a bar. It may be singular, if the sum is
        not.

    Returns
    -------
    array (..., n, n)
        Lower triangular with positive real diagonal, with the digits of an orthogonal transformation of [L V]: no
        square of them is formed.

    Raises
    ------
    LinAlgError of the array's library
        The sum is singular, or something is not finite; the message names the matrix of the batch. Under XLA, which
        cannot raise, that matrix is NaN.

    Notes
    -----
    The rows and columns are cut into a block of b and the rest. With s = 1 (`cholesky_downdate` has s = −1) and
    J = diag(I, s I), the rows P = [L₁₁ V₁] of the block and B = [L₂₁ V₂] of the rest are turned by a matrix [Zᴴ Q] with
    Z J Zᴴ = I, Z J Q = 0 and Qᴴ J Q = s I, which for s = 1 is the unitary one of a QR decomposition of Pᴴ:

        P = L₁₁′ Z,    L₂₁′ = B J Zᴴ,    V₂′ = s B J Q.

    V₂′ has k columns and is the V of what is left, L₂₂: B J Bᴴ = L₂₁′ L₂₁′ᴴ + s V₂′ V₂′ᴴ. All blocks together take
    O(n² (b + k)) flops, where a new factorisation takes O(n³).

    The textbook's rules, Ȧ = L̇ Lᴴ + L L̇ᴴ + ... through those of `cholesky`, take O(n³) (Murray 2016) and square the
    condition number. These here go through the blocks in the same order forward, and in the opposite order in reverse.
    With E = L₁₁′⁻¹ Ṗ, X = E J Zᴴ and F = E J Q, so that E = X Z + s F Qᴴ,

        L̇₁₁′ = L₁₁′ Ψ,    Ψ = Φ(X + Xᴴ),    Żᴴ = Zᴴ (X − Ψ)ᴴ + s Q Fᴴ,    Q̇ = −Zᴴ F

    from P J Pᴴ = L₁₁′ L₁₁′ᴴ, Ż = E − Ψ Z and Z J Q = 0. (Q is a basis of its columns, any other one gives the same
    result, and Q̇ is the change that moves least.) So, in reverse, with Y = Φ(L₁₁′ᴴ L̄₁₁′ − K) and K = (Zᴴ)‾ᴴ Zᴴ,

        X̄ = Y + Yᴴ + K,    F̄ = s (Zᴴ)‾ᴴ Q − Z Q̄,    P̄ = L₁₁′⁻ᴴ (X̄ Z + F̄ Qᴴ) J,

    and those of the two products. Source: the rotations of Gill, Golub, Murray and Saunders (1974), "Methods for
    modifying matrix factorizations", for blocks; the derivatives by differentials, as here. Cost: O(n² (b + k)) too.
    Where n is not known while a graph is built, everything is one block.

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
    That of `cholesky_update` with s = −1, and so are the rules. With W = L₁₁⁻¹ V₁, of norm less than one,

        L₁₁′ = L₁₁ T,    T Tᴴ = I − W Wᴴ,    Zᴴ = [I W]ᴴ T⁻ᴴ,    Q = [W; I] M⁻ᴴ,    M Mᴴ = I − Wᴴ W,

    so that no square of L is formed. It is as well conditioned as the result: what is lost where A − V Vᴴ is nearly
    singular is lost in any way of computing it. Source: Bojanczyk, Brent, Van Dooren
    and de Hoog (1987), "A note on downdating the Cholesky factorization", for blocks. Cost: as `cholesky_update`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> L = np.array([[2.0, 0.0], [1.0, 2.0]])
    >>> overbar.cholesky_downdate(L, np.array([0.0, 1.0])).round(4)
    array([[2.    , 0.    ],
           [1.    , 1.7321]])
    """
    return _changed(L, V, -1)


# -- one block ---------------------------------------------------------------------------------------------------------


@primitive("(b,p)->(b,b),(p,p)")
def turned(P, *, s):
    """L′ and [Zᴴ Q] of the rows P = [L V], as in `cholesky_update`."""
    b = P.shape[-2]
    return (_updated if s > 0 else _downdated)(P[..., :b], P[..., b:], "complete")


def _updated(L, V, mode):
    xp, b, argument = namespace(L), L.shape[-1], "L Lᴴ + V Vᴴ"
    P = _beside(L, V)
    scale = xp.power_of_two(P)  # some libraries' QR decompositions square
    Q, R = xp.qr(mH(P / xp.cast(scale, P)), mode=mode)
    if mode == "complete":
        R = R[..., :b, :]
    L, phases, size = _positive(mH(R) * xp.cast(scale, P))
    message = f"argument {argument} is singular to working precision, or not finite: it has no Cholesky factor."
    L = front(L).require(L, xp.all(size > 0, axis=-1), message, argument)
    return L, _beside(Q[..., :b] * phases, Q[..., b:]) if mode == "complete" else None


def _downdated(L, V, mode):
    xp, argument = namespace(L), "L Lᴴ − V Vᴴ"
    W = xp.solve_triangular(L, V, upper=False)
    T = xp.cholesky(_from_identity(W @ mH(W)), argument=argument)
    L_new, phases, _ = _positive(L @ T)
    if mode != "complete":
        return L_new, None
    M = xp.cholesky(_from_identity(mH(W) @ W), argument=argument)
    halves = xp.concat([_identity(T), mH(W)], axis=-2), xp.concat([W, _identity(M)], axis=-2)
    Z, rest = (
        xp.solve_triangular(A, half, upper=False, left=False, adjoint=True)
        for A, half in zip((T, M), halves, strict=True)
    )
    return L_new, _beside(Z * phases, rest)


def _positive(L):
    """A factor whose diagonal is positive, by what its columns were multiplied for that, and that diagonal."""
    xp, d = namespace(L), namespace(L).diagonal(L)
    size = xp.abs(d)
    phases = xp.conj(d / xp.cast(xp.where(size > 0, size, xp.ones_like(size)), d))[..., None, :]
    return xp.fill_diagonal(xp.tril(L * phases), xp.cast(size, d)), phases, size


def _identity(A):
    """With the batch of A."""
    return namespace(A).eye_like(A) + namespace(A).zeros_like(A)


def _from_identity(A):
    return namespace(A).eye_like(A) - A


def _signed(A, b, s):
    """A J."""
    return A if s > 0 else namespace(A).concat([A[..., :b], -A[..., b:]], axis=-1)


def _symmetric(A):
    Y = namespace(A).phi(A)
    return Y + mH(Y)


def _rates(L, Z, rest, P_dot, s):
    """X, F and Ψ. `Z` is Zᴴ here and below, `rest` is Q."""
    xp, b = namespace(L), L.shape[-1]
    E = _signed(xp.solve_triangular(L, P_dot, upper=False), b, s)
    X = E @ Z
    return X, E @ rest, xp.phi(X + mH(X))


def _from_rates(L, Z, rest, X_bar, F_bar, s):
    """P̄."""
    E_bar = _signed(X_bar @ mH(Z) + F_bar @ mH(rest), L.shape[-1], s)
    return namespace(L).solve_triangular(L, E_bar, upper=False, adjoint=True)


def _split(Q, b):
    return Q[..., :b], Q[..., b:]


@turned.jvp
def _(outputs, P, *, s):
    L, Z, rest = outputs[0], *_split(outputs[1], P.shape[-2])

    def dots(P_dot):
        X, F, rate = _rates(L, Z, rest, P_dot, s)
        return L @ rate, namespace(L).concat([Z @ mH(X - rate) + s * (rest @ mH(F)), -(Z @ F)], axis=-1)

    return (dots,)


@turned.vjp
def _(bars, outputs, P, *, s):
    xp, b = namespace(P), P.shape[-2]
    L, Z, rest = outputs[0], *_split(outputs[1], b)
    L_bar, Q_bar = (xp.zeros_like(A) if bar is None else bar for bar, A in zip(bars, outputs, strict=True))

    def P_bar():
        Z_bar, rest_bar = _split(Q_bar, b)
        K = mH(Z_bar) @ Z
        return _from_rates(L, Z, rest, _symmetric(mH(L) @ L_bar - K) + K, s * (mH(Z_bar) @ rest) - mH(Z) @ rest_bar, s)

    return (P_bar,)


# -- all blocks --------------------------------------------------------------------------------------------------------


def _cuts(n):
    """Each block, and the rows below it. None for all rows and columns, where there may be no known size."""
    if n is None or n <= BLOCK:
        return [(None, None)]
    return [(slice(k, min(k + BLOCK, n)), slice(k + BLOCK, n) if k + BLOCK < n else None) for k in range(0, n, BLOCK)]


def _together(L, V):
    """Both with the batch dimensions of both."""
    xp = namespace(L, V)
    nothing = [xp.sum(A[..., :0, :0], axis=(-2, -1))[..., None, None] for A in (L, V)]
    return xp.tril(L) + nothing[1], V + nothing[0]


def _changed(L, V, s):
    """The function of both: block by block, from the top."""
    L, V = _together(L, V)
    change, columns = _updated if s > 0 else _downdated, []
    for one, two in _cuts(L.shape[-1]):
        L11 = L if one is None else L[..., one, one]
        if two is None:
            columns.append((one, [change(L11, V, "reduced")[0]]))
            break
        b = L11.shape[-1]
        L11_new, Q = change(L11, V[..., :b, :], "complete")
        below = _signed(_beside(L[..., two, one], V[..., b:, :]), b, s) @ Q
        columns.append((one, [L11_new, below[..., :b]]))
        V = s * below[..., b:]
    return _assembled(columns)


def _beside(A, B):
    return namespace(A).concat([A, B], axis=-1)


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


class _Step:
    """A block on the way, for the rules: its parts of L and V, and what they have become."""

    def __init__(self, one, two, L, V, L_new, s):
        self.one, self.two, self.s = one, two, s
        self.L11, self.L11_new = (A if one is None else A[..., one, one] for A in (L, L_new))
        self.V1 = V
        if two is None:
            return
        b = self.size = one.stop - one.start
        self.V1, V2 = V[..., :b, :], V[..., b:, :]
        _, Q = turned(_beside(self.L11, self.V1), s=s)
        self.Z, self.rest = _split(Q, b)
        self.L21_new = L_new[..., two, one]
        self.V2_new = s * (_signed(_beside(L[..., two, one], V2), b, s) @ self.rest)


def _steps(L, V, L_new, s):
    L, V = _together(L, V)
    for one, two in _cuts(L.shape[-1]):
        step = _Step(one, two, L, V, L_new, s)
        yield step
        if two is not None:
            V = step.V2_new


def _bars(L_new_bar, L_new, L, V, s):
    """The bars of L and V: through the blocks, from the bottom."""
    xp = namespace(L)
    V2_new_bar, columns = None, []
    for step in reversed(list(_steps(L, V, L_new, s))):
        one, two, L11_new = step.one, step.two, step.L11_new
        inner = mH(L11_new) @ (L_new_bar if one is None else L_new_bar[..., one, one])
        if two is None:
            half = xp.solve_triangular(L11_new, _symmetric(inner), upper=False, adjoint=True)
            L11_bar, V2_new_bar = (half @ xp.solve_triangular(L11_new, A, upper=False) for A in (step.L11, s * step.V1))
            columns = [(one, [xp.tril(L11_bar)])]
            continue
        L21_new_bar, b = L_new_bar[..., two, one], step.size
        K = mH(L21_new_bar) @ step.L21_new
        F_bar = mH(L21_new_bar) @ step.V2_new - s * (mH(step.L21_new) @ V2_new_bar)
        P_bar = _from_rates(L11_new, step.Z, step.rest, _symmetric(inner - K) + K, F_bar, s)
        B_bar = _signed(L21_new_bar @ mH(step.Z) + s * (V2_new_bar @ mH(step.rest)), b, s)
        columns.append((one, [xp.tril(P_bar[..., :b]), B_bar[..., :b]]))
        V2_new_bar = xp.concat([P_bar[..., b:], B_bar[..., b:]], axis=-2)
    return _assembled(columns[::-1]), V2_new_bar


def _dot(L_dot, V_dot, L_new, L, V, s):
    """The tangent of the new factor: through the blocks, from the top."""
    xp, columns = namespace(L), []
    L_dot, V_dot = _together(L_dot, V_dot)
    for step in _steps(L, V, L_new, s):
        one, two, L11_new = step.one, step.two, step.L11_new
        L11_dot = L_dot if one is None else L_dot[..., one, one]
        if two is None:
            left, Z = (
                [xp.solve_triangular(L11_new, A, upper=False) for A in pair]
                for pair in ((L11_dot, V_dot), (step.L11, step.V1))
            )
            X = left[0] @ mH(Z[0]) + s * (left[1] @ mH(Z[1]))
            columns.append((one, [L11_new @ xp.phi(X + mH(X))]))
            break
        b = step.size
        X, F, rate = _rates(L11_new, step.Z, step.rest, _beside(L11_dot, V_dot[..., :b, :]), s)
        B_dot = _signed(_beside(L_dot[..., two, one], V_dot[..., b:, :]), b, s)
        L21_dot = B_dot @ step.Z + step.L21_new @ mH(X - rate) + step.V2_new @ mH(F)
        columns.append((one, [L11_new @ rate, L21_dot]))
        V_dot = s * (B_dot @ step.rest - step.L21_new @ F)
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
