"""The QR decomposition: tall, square, wide, and with a complete basis.

May import `overbar._namespace`, `overbar._primitive` and `rules.singular_vectors`.
"""

import numpy as np

from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive
from overbar.rules._singular_vectors import first_and_others

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
    Let A be tall. Differentiate A = Q R and multiply by R⁻¹ from the right,

        Q̇ = Ȧ R⁻¹ − Q X,    X = Ṙ R⁻¹.

    From Qᴴ Q = I, Qᴴ Q̇ = C − X is skew-Hermitian, where C = Qᴴ Ȧ R⁻¹. X is upper triangular with a real diagonal, so
    that it is what makes C skew:

        X = U(C) = triu(C, 1) + tril(C, −1)ᴴ + Re diag(C),    Ṙ = X R.

    Reverse. ⟨Q̄, Q̇⟩ + ⟨R̄, Ṙ⟩ = ⟨Q̄, Ȧ R⁻¹⟩ + ⟨G, U(Qᴴ Ȧ R⁻¹)⟩ with G = R̄ Rᴴ − Qᴴ Q̄, of which the upper triangle
    matters only; the adjoint of U makes it Hermitian:

        Ā = (Q̄ + Q H) R⁻ᴴ,    H = triu(G, 1) + triu(G, 1)ᴴ + Re diag(G).

    A square Q leaves nothing outside of its columns, and its last column follows from the others but for its sign
    (phase), so that only the phase need be divided by the last number on the diagonal of R, which may be small. Q̇ = Q
    Ω, where Ω is the skew-Hermitian S(C) = C − U(C) = tril(C, −1) − tril(C, −1)ᴴ + i Im diag(C). The adjoint of S is
    S*(K) = tril(K − Kᴴ, −1) + i Im diag(K), and with K = QᴴQ̄ − R̄ Rᴴ

        Q̇ = Q Ω,    Ṙ = QᴴȦ − Ω R,    Ā = Q (R̄ + S*(K) R⁻ᴴ).

    These have the same values as the rules above. There, rounding in (I − QQᴴ) Q̄ and in the last columns of C and H
    would be divided, and once more where the rules are differentiated.

    A wide A = [A₁ A₂] has R = [R₁ R₂], where Q and R₁ belong to the square A₁: Ω = S(QᴴȦ₁ R₁⁻¹), and S*(K) R₁⁻ᴴ adds to
    the columns of A₁ alone.

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


def _skew(C):
    """S(C) = C − U(C), which is skew-Hermitian."""
    L = namespace(C).tril(C, k=-1)
    return L - mH(L) + _imaginary_diagonal(C)


def _lower_from_skew(K):
    """The adjoint of S. The last column is zero, but for the imaginary part of its last number."""
    return namespace(K).tril(K - mH(K), k=-1) + _imaginary_diagonal(K)


def _imaginary_diagonal(C):
    xp = namespace(C)
    if not xp.is_complex(C):
        return 0
    D = xp.tril(xp.triu(C))
    return (D - mH(D)) / 2


def _sizes(A):
    """The number k of columns of Q₁, and whether A is tall. Where the sizes are not known while a graph is built, both
    are arrays of the graph: then all parts are there, and none may need another size."""
    m, n = A.shape[-2:]
    if m is not None and n is not None:
        return min(m, n), bool(m > n)
    xp = namespace(A)
    m, n = xp.shape(A)[-2:]
    return xp.minimum(m, n), m > n


def _first_and_others(X, k):
    """The first k columns of X and the others; None where it is known that there are none. Where k is not known while a
    graph is built, there are perhaps none, and TensorFlow's vectorized_map and tape.jacobian lose the shape of a
    product without columns: so then the others are all columns, zeros for the first k."""
    if not _is_known(k):
        xp = namespace(X)
        return X[..., :, :k], xp.where(xp.count(xp.shape(X)[-1], X) >= k, X, xp.zeros_like(X))
    return first_and_others(X, k)


def _beside(X, Y, k):
    """X with k columns, and what are the others in Y, beside each other."""
    return namespace(X).concat([X, Y if _is_known(k) else Y[..., :, k:]], axis=-1)


def _first_rows(X, k):
    return X if _is_known(k) and X.shape[-2] == k else X[..., :k, :]


def _is_known(k):
    return not hasattr(k, "shape")


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
        k, tall = _sizes(A)
        (Q1, Q2), (R1, R2) = _first_and_others(Q, k), _first_and_others(_first_rows(R, k), k)
        K = M = Q1_bar = Q2_bar = R1_bar = R2_bar = 0
        if Q_bar is not None:
            Q1_bar, Q2_bar = _first_and_others(Q_bar, k)
            K = M = mH(Q1) @ Q1_bar
        if R_bar is not None:
            R1_bar, R2_bar = _first_and_others(xp.triu(_first_rows(R_bar, k)), k)
            R1_bar = R1_bar - _imaginary_diagonal(R1_bar)
            K = K - R1_bar @ mH(R1)
            K = K if R2 is None else K - R2_bar @ mH(R2)
        if tall is False:
            A1_bar = Q1 @ (R1_bar + _divided(_lower_from_skew(K), R1, adjoint=True))
        else:
            if tall is True:
                rest = Q1_bar + Q1 @ _hermitian_from_upper(-K)
            else:
                rest = Q1 @ _lower_from_skew(K)
                if Q_bar is not None:
                    rest = rest + xp.where(tall, Q1_bar - Q1 @ M, xp.zeros_like(Q1_bar))
            if Q2 is not None and Q_bar is not None:
                rest = rest - Q2 @ (mH(Q2_bar) @ Q1)
            A1_bar = _divided(rest, R1, adjoint=True)
            if tall is not True and R_bar is not None:
                A1_bar = A1_bar + Q1 @ R1_bar
        if R2 is None:
            return A1_bar
        return _beside(A1_bar, Q1 @ (xp.zeros_like(R2) if R_bar is None else R2_bar), k)

    return (A_bar,)


@qr.jvp
def _(outputs, A, *, mode):
    Q, R = outputs
    xp = namespace(A)

    def dots(A_dot):
        if 0 in A.shape[-2:]:
            return xp.zeros_like(Q), xp.zeros_like(R)
        k, tall = _sizes(A)
        (Q1, Q2), R_all = _first_and_others(Q, k), _first_rows(R, k)
        R1, _ = _first_and_others(R_all, k)
        if tall is True:
            B = _divided(A_dot, R1)
            X = _upper(mH(Q1) @ B)
            Q_dot, R_dot = B - Q1 @ X, X @ R1
        else:
            C = mH(Q1) @ A_dot
            Omega = _skew(_divided(_first_and_others(C, k)[0], R1))
            Q_dot, R_dot = Q1 @ Omega, xp.triu(C - Omega @ R_all)
            if tall is not False:
                A1_dot, _ = _first_and_others(A_dot, k)
                B = _divided(A1_dot, R1)
                outside = _divided(A1_dot - Q1 @ _first_and_others(C, k)[0], R1)
                Q_dot = Q_dot + xp.where(tall, outside, xp.zeros_like(outside))
        if Q2 is not None:
            Q_dot = _beside(Q_dot, -Q1 @ mH(mH(Q2) @ B), k)
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
