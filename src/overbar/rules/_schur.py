"""The Schur decomposition, complex and real.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar.kernels` and `rules.phases`.
"""

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive
from overbar.kernels._schur import complex_schur, real_schur, triangular_commutator
from overbar.rules._phases import Largest

OUTPUTS = ("real", "complex")


@primitive("(n,n)->(n,n),(n,n)")
def schur(A, *, output="real"):
    """The Schur decomposition A = Z T Zᴴ: Z unitary, T upper triangular.

    Parameters
    ----------
    output : str
        "real": a real A has real Z and T, where T has a block of two rows and columns for each pair of complex
        eigenvalues. "complex": T is triangular in any case.

    Returns
    -------
    T : array (..., n, n)
        Upper triangular, with the eigenvalues on its diagonal; else with blocks on it which have equal numbers on their
        diagonals, as LAPACK makes them.
    Z : array (..., n, n)
        Orthogonal or unitary. The largest entry of each column is real and positive, which fixes the signs and phases
        that are arbitrary otherwise.

    Raises
    ------
    numpy.linalg.LinAlgError
        A is not finite. The derivative raises where there is none: two eigenvalues are equal to rounding, or a block
        has opposite numbers beside its diagonal (that of a rotation), so that any rotation of its two columns is as
        good. (In a graph of TensorFlow's the error is an InvalidArgumentError or UnknownError with the same message.)
    ValueError
        There is no such output.

    Notes
    -----
    With F = Zᴴ Ȧ Z and the skew-Hermitian Ω = Zᴴ Ż, differentiating A = Z T Zᴴ gives

        F = Ω T − T Ω + Ṫ.

    Ṫ has nothing below the diagonal (the blocks), and there Ω T − T Ω depends on nothing of Ω but what is there, X:

        below(X T − T X) = below(F).

    These are n(n − 1)/2 equations, which are solved as those of a triangular matrix are: with T = [T₁₁ T₁₂; 0 T₂₂],
    first X₂₁ T₁₁ − T₂₂ X₂₁ = F₂₁, a triangular Sylvester equation, then the same for the blocks on the diagonal with
    F₁₁ + T₁₂ X₂₁ and F₂₂ − X₂₁ T₁₂. Equal eigenvalues make them singular. Then

        Ω = X − Xᴴ,    Ż = Z Ω,    Ṫ = F − Ω T + T Ω.

    On its diagonal, Ω has what the convention for the phases demands: if row p has the largest entry of column j,
    Ωⱼⱼ = −i Im (Z (X − Xᴴ))ₚⱼ / Zₚⱼ. In a real block [a b; c a] it has the rotation [0 −ω; ω 0] that keeps the diagonal
    equal, ω = (G₂₂ − G₁₁) / 2(b + c) for the block G of F − X T + T X.

    Reverse, the same backwards. Ω̄ = Zᴴ Z̄ − T̄ Tᴴ + Tᴴ T̄ (of T̄ without what is below), X̄ = below(Ω̄ − Ω̄ᴴ), and

        Ā = Z (T̄ + Y) Zᴴ,    below(Y Tᴴ − Tᴴ Y) = X̄,

    with the adjoints of the two conventions, each of them linear.

    Source: the method of Giles (2008), section 3.1, for eigenvectors; the equations for X are those by which condition
    numbers of the Schur decomposition are defined (Konstantinov, Petkov & Christov 1994). The value is computed on the
    host, by SciPy, and so is X. Cost: eight products and n³ flops for X, where the function takes 25n³.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> T, Z = overbar.schur(np.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> np.diag(T).round(6) + 0.0
    array([3., 1.])
    """
    if output not in OUTPUTS:
        raise ValueError(f"schur: the output {output!r} is none of {', '.join(map(repr, OUTPUTS))}.")
    xp = namespace(A)
    return front(A).compute(complex_schur if output == "complex" or xp.is_complex(A) else real_schur, A)


# -- what is below the blocks ------------------------------------------------------------------------------------------


class _Blocks:
    """Which entries of a matrix belong to the blocks of T on its diagonal, of two where T has an entry below it."""

    def __init__(self, T):
        self.xp = xp = namespace(T)
        self.n = xp.shape(T)[-1]
        self.real = not xp.is_complex(T)  # in complex ones there are no blocks of two
        if self.real:
            self.double = xp.astype(xp.not_equal(xp.diagonal(T, offset=-1), 0), T.dtype)

    def _inside(self, F):
        """What is below the diagonal, and belongs to a block."""
        return self.at(self.double * self.xp.diagonal(F, offset=-1), -1)

    def at(self, d, offset):
        return self.xp.diagonal_embed(d, self.n, self.n, offset)

    def below(self, F):
        lower = self.xp.tril(F, k=-1)
        return lower - self._inside(F) if self.real else lower

    def not_below(self, F):
        upper = self.xp.triu(F)
        return upper + self._inside(F) if self.real else upper


@primitive("(n,n),(n,n)->(n,n)")
def schur_rotation(T, F, *, adjoint=False):
    """The X below the blocks of T for which X T − T X agrees there with F (X Tᴴ − Tᴴ X where `adjoint`)."""
    return front(T).compute(triangular_commutator, T, F, adjoint=adjoint)[0]


def register_rules_of_commutator(p, counted):
    """Give a primitive ``p(T, F, adjoint=...)``, which solves X T − T X = F below ``counted(T, ·)``, what of T counts,
    the rules that come of Ẋ T − T Ẋ = Ḟ − X Ṫ + Ṫ X."""

    @p.vjp
    def _(X_bar, X, T, F, *, adjoint):
        Y = once(lambda: p(T, X_bar, adjoint=not adjoint))

        def T_bar():
            bar = X @ mH(Y()) - mH(Y()) @ X if adjoint else Y() @ mH(X) - mH(X) @ Y()
            return counted(T, bar)

        return T_bar, Y

    @p.jvp
    def _(X, T, F, *, adjoint):
        def X_dot(T_dot, F_dot):
            T_dot = counted(T, T_dot)
            if adjoint:
                T_dot = mH(T_dot)
            return p(T, F_dot - X @ T_dot + T_dot @ X, adjoint=adjoint)

        return X_dot


register_rules_of_commutator(schur_rotation, lambda T, X: _Blocks(T).not_below(X))


# -- the conventions ---------------------------------------------------------------------------------------------------


class _Angles:
    """ω of the real blocks [a b; c a]."""

    def __init__(self, T, blocks):
        xp = self.xp = namespace(T)
        self.blocks, self.double = blocks, blocks.double
        both = self.double * (xp.diagonal(T, offset=1) + xp.diagonal(T, offset=-1))
        # zero for a rotation, where `schur_rotation` raises
        self.factor = self.double / xp.where(xp.equal(both, 0), xp.ones_like(both), 2 * both)

    def dot(self, G):
        d = self.xp.diagonal(G)
        return self.factor * (d[..., 1:] - d[..., :-1])

    def bar(self, omega_bar):
        """The bar of G, which is diagonal."""
        v = self.factor * omega_bar
        zero = self.xp.zeros_like(self.xp.diagonal(self.blocks.at(v, -1))[..., :1])
        return self.blocks.at(self.xp.concat([zero, v], axis=-1) - self.xp.concat([v, zero], axis=-1), 0)


@schur.vjp
def _(bars, outputs, A, *, output):
    (T_bar, Z_bar), (T, Z) = bars, outputs
    xp = namespace(A)

    def A_bar():
        if 0 in A.shape[-2:]:
            return xp.zeros_like(A)
        blocks, Omega_bar, F_bar = _Blocks(T), 0, 0
        if T_bar is not None:
            F_bar = blocks.not_below(T_bar)
            Omega_bar = mH(T) @ F_bar - F_bar @ mH(T)
        if Z_bar is not None:
            Omega_bar = Omega_bar + mH(Z) @ Z_bar
        if not blocks.real:
            Omega_bar = Omega_bar + Largest(Z).bar(Omega_bar)
        skew = Omega_bar - mH(Omega_bar)
        X_bar = blocks.below(skew)
        if blocks.real:
            G_bar = _Angles(T, blocks).bar(xp.diagonal(skew, offset=-1))
            X_bar = X_bar + blocks.below(mH(T) @ G_bar - G_bar @ mH(T))
            F_bar = F_bar + G_bar
        F_bar = F_bar + schur_rotation(T, X_bar, adjoint=True)
        return Z @ F_bar @ mH(Z)

    return (A_bar,)


@schur.jvp
def _(outputs, A, *, output):
    T, Z = outputs
    xp = namespace(A)

    def dots(A_dot):
        if 0 in A.shape[-2:]:
            return xp.zeros_like(T), xp.zeros_like(Z)
        blocks = _Blocks(T)
        F = mH(Z) @ xp.cast(A_dot, Z) @ Z
        X = schur_rotation(T, F)
        if blocks.real:
            X = X + blocks.at(_Angles(T, blocks).dot(F - X @ T + T @ X), -1)
        Omega = X - mH(X)
        if not blocks.real:
            Omega = Omega + blocks.at(Largest(Z).dot(Omega), 0)
        return blocks.not_below(F - Omega @ T + T @ Omega), Z @ Omega

    return (dots,)


@schur.samples
def _(case):
    # LAPACK finds the eigenvalues in an order that may jump. It is known to stay for these, and what is near to them:
    # complex ones, and a pair of complex ones of a real matrix with a single one.
    pair = np.array([[4, 3, 1], [-2, 4, 1], [0, 1, -1]])
    single = np.array([[9, 1, 1], [1, -4, 1], [0, 1, 1]])
    noise = case.normal(3, 3)
    times = np.diag(1.0 + np.arange(noise.shape[-1] // 3))  # more than once where a large matrix is drawn
    yield case((np.kron(times, single if case.complex else pair) + noise / 50).astype(case.dtype))


@schur.reference
def _(mp, A, *, output):
    # The eigenvectors of mpmath, in the order in which LAPACK finds the eigenvalues, made orthogonal.
    real = output == "real" and not any(z.imag for z in A.flat)
    (T0, Z0), n = (real_schur if real else complex_schur)(mp.float(A)), len(A)
    values, V = mp.context.eig(mp.context.matrix(A.tolist()))
    V = np.array(V.tolist(), dtype=object).reshape(n, n)
    wanted, pairs = list(T0.diagonal()), []
    for i in range(n - 1 if real else 0):
        if T0[i + 1, i]:
            pairs.append(i)
            wanted[i] = complex(T0[i, i], np.sqrt(-T0[i + 1, i] * T0[i, i + 1]))
    columns = []
    for j, value in enumerate(wanted):
        if j - 1 in pairs:
            columns.append(mp.imag(columns[-1]))
            columns[-2] = mp.real(columns[-2])
            continue
        v = V[:, min(range(n), key=lambda i: abs(complex(values[i]) - value))]
        columns.append(v if not real or j in pairs else mp.real(v / v[abs(mp.float(v)).argmax()]))
    Q = _orthogonal(mp, np.stack(columns, axis=1))
    for j in pairs:
        P = Q[:, j : j + 2]
        (a, b), (c, d) = mp.mT(P) @ A @ P
        angle = mp.context.atan2(d - a, b + c) / 2
        turned = [P @ _turn(mp, angle + k * mp.context.pi / 2) for k in range(4)]
        Q[:, j : j + 2] = max(turned, key=lambda P, j=j: abs((mp.float(P) * Z0[:, j : j + 2]).sum(0)).sum())
    for j in range(n):
        z = Q[abs(Z0[:, j]).argmax(), j]
        Q[:, j] = Q[:, j] * mp.context.conj(z) / abs(z)
    T = mp.mH(Q) @ A @ Q
    for i in range(n):
        for j in range(i):
            if not (real and j in pairs and i == j + 1):
                T[i, j] = T[i, j] * 0
    return T, Q


def _orthogonal(mp, V):
    """Gram and Schmidt."""
    Q = V.copy()
    for j in range(V.shape[1]):
        for i in range(j):
            Q[:, j] = Q[:, j] - Q[:, i] * (mp.conj(Q[:, i]) * Q[:, j]).sum()
        Q[:, j] = Q[:, j] / mp.context.sqrt((mp.abs(Q[:, j]) ** 2).sum())
    return Q


def _turn(mp, angle):
    cos, sin = mp.context.cos(angle), mp.context.sin(angle)
    return np.array([[cos, -sin], [sin, cos]], dtype=object)
