"""The QR decomposition: tall, square, wide, and with a complete basis.

May import `overbar._namespace` and `overbar._primitive`.
"""

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive

MODES = ("reduced", "complete")


@primitive("(m,n)->(m,k),(k,n)")
def qr(A, *, mode="reduced"):
    """The QR decomposition A = Q R: Q with orthonormal columns, R upper triangular.

    Parameters
    ----------
    A
        Tall, square or wide. Its first k = min(m, n) columns must be linearly independent.
    mode : str
        "reduced", or "complete" for a square Q. (The name that is a bool in TensorFlow may be one here, too: True is
        "complete".)

    Returns
    -------
    Q : array (..., m, k)
        Square where complete.
    R : array (..., k, n)
        As large as A where complete. Its diagonal is real, of the signs that LAPACK's Householder reflections give it.

    Raises
    ------
    LinAlgError of the array's library
        The derivative raises in NumPy where a number on the diagonal of R is zero: A has linearly dependent columns,
        and Q no derivative. (PyTorch and TensorFlow give infinities and NaN for such columns, as for any singular
        triangular system.)
    ValueError
        There is no such mode.

    Notes
    -----
    Let A be tall or square. Differentiate A = Q R and multiply by R⁻¹ from the right,

        Q̇ = Ȧ R⁻¹ − Q X,    X = Ṙ R⁻¹.

    From Qᴴ Q = I, Qᴴ Q̇ = C − X is skew-Hermitian, where C = Qᴴ Ȧ R⁻¹. X is upper triangular with a real diagonal, so
    that it is what makes C skew:

        X = U(C) = triu(C, 1) + tril(C, −1)ᴴ + Re diag(C),    Ṙ = X R.

    Reverse. ⟨Q̄, Q̇⟩ + ⟨R̄, Ṙ⟩ = ⟨Q̄, Ȧ R⁻¹⟩ + ⟨G, U(Qᴴ Ȧ R⁻¹)⟩ with G = R̄ Rᴴ − Qᴴ Q̄, of which the upper triangle
    matters only; the adjoint of U makes it Hermitian:

        Ā = (Q̄ + Q H) R⁻ᴴ,    H = triu(G, 1) + triu(G, 1)ᴴ + Re diag(G).

    A wide A = [A₁ A₂] has R = [R₁ R₂], where Q and R₁ belong to the square A₁, and R₂ = Qᴴ A₂. So R₂ adds A₂ R̄₂ᴴ to
    Q̄, and Ā₂ = Q R̄₂; forward, Ṙ₂ = Qᴴ Ȧ₂ − Qᴴ Q̇ R₂.

    A complete Q = [Q₁ Q₂] of a tall A has m − n more columns Q₂, any basis of what is orthogonal to A. Differentiating
    Q₁ᴴ Q₂ = 0 gives what is determined of their derivative,

        Q̇₂ = −Q₁ (Q̇₁ᴴ Q₂) = −Q₁ (Q₂ᴴ Ȧ R⁻¹)ᴴ,

    by which Ā gains −Q₂ (Q̄₂ᴴ Q₁) R⁻ᴴ. The rest, a rotation of Q₂ in itself, is arbitrary and taken for zero. The
    derivative of whatever does not depend on the choice of the basis is right, to any order: of Q₂ Q₂ᴴ for instance,
    but not of an entry of Q₂.

    Source: Walter & Lehmann (2018), "Algorithmic differentiation of linear algebra functions"; Liao, Liu, Wang & Xiang
    (2019), "Differentiable programming tensor networks", for wide matrices. Cost of the reverse rule, for n by n: three
    products and a triangular solve, 7n³ flops; the function takes 8n³/3, but not in products.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> Q, R = overbar.qr(np.array([[3.0, 1.0], [4.0, 2.0]]))
    >>> bool(np.allclose(Q @ R, [[3, 1], [4, 2]])), bool(np.isclose(abs(R[0, 0]), 5))
    (True, True)
    """
    if mode not in MODES and not isinstance(mode, bool):
        raise ValueError(
            f"qr: the mode {mode!r} is none of {', '.join(map(repr, MODES))}. For R alone, take the second output of "
            '"reduced".'
        )
    return namespace(A).qr(A, mode="complete" if _complete(mode) else "reduced")


def _complete(mode):
    return mode is True or mode == "complete"


def _upper(C):
    """U(C): the upper triangle X with a real diagonal for which C − X is skew-Hermitian."""
    xp = namespace(C)
    return xp.triu(C, k=1) + mH(xp.tril(C, k=-1)) + _real_diagonal(C)


def _hermitian_from_upper(G):
    """The adjoint of U."""
    xp = namespace(G)
    above = xp.triu(G, k=1)
    return above + mH(above) + _real_diagonal(G)


def _real_diagonal(C):
    xp = namespace(C)
    D = xp.tril(xp.triu(C))
    return (D + mH(D)) / 2


def _others(X, k, A):
    """The columns of X from k on. Where the sizes of A are not known while a graph is built, these are perhaps none,
    and TensorFlow's vectorized_map and tape.jacobian lose the shape of a product without columns: so there all columns,
    zeros for the first k."""
    if None not in A.shape[-2:]:
        return X[..., :, k:]
    xp = namespace(X)
    return xp.where(xp.count(xp.shape(X)[-1], X) >= k, X, xp.zeros_like(X))


def _beside(X, Y, k, A):
    """X with k columns, and what `_others` are in Y, beside each other."""
    return namespace(X).concat([X, Y[..., :, k:] if None in A.shape[-2:] else Y], axis=-1)


def _parts(Q, R, A, complete):
    """Q₁, Q₂, R₁, R₂ and A₂, where the last two are None unless A is wide and Q₂ unless there is one."""
    xp = namespace(A)
    m, n = A.shape[-2:]
    if m is None or n is None:  # not known while a graph is built: all parts are there, some perhaps empty
        m, n = xp.shape(A)[-2:]
        k = xp.minimum(m, n)
        wide = tall = True
    else:
        k = min(m, n)
        wide, tall = n > m, m > n
    Q1, Q2 = (Q[..., :, :k], _others(Q, k, A)) if complete and tall else (Q, None)
    R = R[..., :k, :] if complete and tall else R
    if not wide:
        return k, Q1, Q2, R, None, None
    return k, Q1, Q2, R[..., :, :k], _others(R, k, A), _others(A, k, A)


def _divided(B, R, adjoint=False):
    """B R⁻¹, or B R⁻ᴴ."""
    xp = namespace(R)
    if front(R).swept and front(R).sees_numbers(R):
        # NumPy's word would say it of a matrix that nobody wrote
        R = front(R).require(
            R,
            xp.all(xp.not_equal(xp.diagonal(R), 0), axis=-1),
            "qr: argument A has columns that depend on each other: there is a zero on the diagonal of R, and Q has no "
            "derivative.",
        )
    return xp.solve_triangular(R, B, upper=True, left=False, adjoint=adjoint)


@qr.vjp
def _(bars, outputs, A, *, mode):
    (Q_bar, R_bar), (Q, R) = bars, outputs
    xp = namespace(A)

    def A_bar():
        if 0 in A.shape[-2:]:
            return xp.zeros_like(A)
        k, Q1, Q2, R1, R2, A2 = _parts(Q, R, A, _complete(mode))
        Q1_bar = Q2_bar = R1_bar = R2_bar = None
        if Q_bar is not None:
            Q1_bar, Q2_bar = (Q_bar, None) if Q2 is None else (Q_bar[..., :, :k], _others(Q_bar, k, A))
        if R_bar is not None:
            R1_bar = R_bar if Q2 is None else R_bar[..., :k, :]
            R1_bar, R2_bar = (R1_bar, None) if R2 is None else (R1_bar[..., :, :k], _others(R1_bar, k, A))
        if R2_bar is not None:
            from_R2 = A2 @ mH(R2_bar)
            Q1_bar = from_R2 if Q1_bar is None else Q1_bar + from_R2
        G = 0
        if R1_bar is not None:
            G = xp.triu(R1_bar) @ mH(R1)
        if Q1_bar is not None:
            G = G - mH(Q1) @ Q1_bar
        rest = Q1 @ _hermitian_from_upper(G)
        if Q1_bar is not None:
            rest = rest + Q1_bar
        if Q2_bar is not None:
            rest = rest - Q2 @ (mH(Q2_bar) @ Q1)
        A1_bar = _divided(rest, R1, adjoint=True)
        if R2 is None:
            return A1_bar
        A2_bar = xp.zeros_like(A2) if R2_bar is None else Q1 @ R2_bar
        return _beside(A1_bar, A2_bar, k, A)

    return (A_bar,)


@qr.jvp
def _(outputs, A, *, mode):
    Q, R = outputs
    xp = namespace(A)

    def dots(A_dot):
        if 0 in A.shape[-2:]:
            return xp.zeros_like(Q), xp.zeros_like(R)
        k, Q1, Q2, R1, R2, _ = _parts(Q, R, A, _complete(mode))
        A1_dot = A_dot if R2 is None else A_dot[..., :, :k]
        B = _divided(A1_dot, R1)
        C = mH(Q1) @ B
        X = _upper(C)
        Q_dot, R_dot = B - Q1 @ X, X @ R1
        if R2 is not None:
            R_dot = _beside(R_dot, mH(Q1) @ _others(A_dot, k, A) - (C - X) @ R2, k, A)
        if Q2 is not None:
            Q_dot = _beside(Q_dot, -Q1 @ mH(mH(Q2) @ B), k, A)
            R_dot = xp.concat([R_dot, xp.zeros_like(R[..., k:, :])], axis=-2)
        return Q_dot, R_dot

    return (dots,)


@qr.samples
def _(case):
    yield case(_dominant(case.square(4))[..., :, :-1])
    yield case(_dominant(case.square(3)), mode="complete")
    yield case(_dominant(case.square(5))[..., :-2, :])


def _dominant(A):
    """A with a large diagonal: each entry on that of R has the sign that LAPACK gives it, for matrices nearby, too."""
    return A + 2 * np.eye(A.shape[-1], dtype=A.dtype)


@qr.reference
def _(mp, A, *, mode):
    # by LAPACK's reflections, which take what is left of a column to −sign(Re of its first entry) times its norm
    B, k = A.copy(), min(A.shape)
    for j in range(k):
        v = B[j:, j].copy()
        if len(v) == 1 and v[0].imag == 0:
            continue
        norm = mp.context.sqrt((mp.abs(v) ** 2).sum())
        beta = -norm if v[0].real >= 0 else norm
        v[0] = v[0] - beta
        tau = mp.context.conj(-v[0] / beta)
        v = v / v[0]
        B[j:, j:] = B[j:, j:] - tau * (v[:, None] * (mp.conj(v) @ B[j:, j:])[None, :])
    R = mp.triu(B[:k])
    return mp.mH(mp.solve(mp.mH(R[:, :k]), mp.mH(A[:, :k]))), R
