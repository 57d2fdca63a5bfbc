"""Products of Householder reflections.

May import `overbar._namespace` and `overbar._primitive`.
"""

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive


@primitive("(m,n),(k)->(m,n)")
def householder_product(A, tau):
    """The first n columns of Q = H₁ H₂ ⋯ H_k, a product of Householder reflections Hᵢ = I − τᵢ vᵢ vᵢᴴ.

    Parameters
    ----------
    A
        m ≥ n. Column i holds what is below entry i of vᵢ; that entry is 1, and those above it are 0. Only what is below
        the diagonal of the first k columns is read. (LAPACK's geqrf leaves the vectors so.)
    tau
        k ≤ n.

    Returns
    -------
    array (..., m, n)

    Raises
    ------
    LinAlgError of the array's library
        A is wider than tall, or there are more numbers in tau than columns.

    Notes
    -----
    With V = [v₁ … v_k], the product is I − V T Vᴴ, where T is upper triangular (Schreiber & Van Loan 1989, "A
    storage-efficient WY representation for products of Householder transformations"). Let D = diag(τ), and W be what is
    above the diagonal of VᴴV. Then T = (I + D W)⁻¹ D (Puglisi 1992; Joffrain and others 2006, "Accumulating Householder
    transformations, revisited"), in a form that holds for τᵢ = 0, too:

        M = I + D W,    P = M⁻¹ D V₁ᴴ,    Q = I₁ − V P,

    where V₁ are the first n rows of V, and I₁ the first n columns of the identity. Differentiate line by line,

        Ṁ = Ḋ W + D Ẇ,    Ṗ = M⁻¹ (Ḋ V₁ᴴ + D V̇₁ᴴ − Ṁ P),    Q̇ = −V̇ P − V Ṗ,

    and go backwards, with S = M⁻ᴴ P̄ and ∘ for the product entry by entry:

        P̄ = −Vᴴ Q̄,    M̄ = −S Pᴴ above the diagonal,    W̄ = Dᴴ M̄
        τ̄ = rowsum(S ∘ conj(V₁ᴴ) + M̄ ∘ conj(W))
        V̄ = −Q̄ Pᴴ + V (W̄ + W̄ᴴ),    and V̄₁ gains Sᴴ D.

    Ā is V̄ below the diagonal. Nothing is divided by. Cost: the function takes 2 m k (k + n) flops in products and a
    triangular solve, each rule some three times as many.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.householder_product(np.array([[0.0], [1.0]]), np.array([1.0]))
    array([[ 0.],
           [-1.]])
    """
    _check(A, tau)
    return _Product(A, tau).Q()


def _check(A, tau):
    m, n = A.shape[-2:]
    k = tau.shape[-1]
    if m is not None and n is not None and m < n:
        raise front(A).ShapeError(
            f"householder_product: argument A of shape {tuple(A.shape)} is wider than tall. It must have m ≥ n rows."
        )
    if k is not None and n is not None and k > n:
        raise front(A).ShapeError(
            f"householder_product: argument tau of shape {tuple(tau.shape)} does not fit A of shape {tuple(A.shape)}: "
            "there are more reflections than columns."
        )


class _Product:
    """The pieces of the product, by the names of the docstring."""

    def __init__(self, A, tau):
        xp = self.xp = namespace(A)
        self.A, self.tau = A, tau
        n, k = xp.shape(A)[-1], xp.shape(tau)[-1]
        self.k = k
        self.is_complete = A.shape[-1] is not None and A.shape[-1] == tau.shape[-1]
        self.is_square = A.shape[-1] is not None and A.shape[-2] == A.shape[-1]
        self.first_columns = (lambda X: X) if self.is_complete else lambda X: X[..., :, :k]
        self.first_rows = (lambda X: X) if self.is_square else lambda X: X[..., :n, :]
        self.D = tau[..., :, None]
        part = self.first_columns(A)
        self.V = xp.tril(part, k=-1) + xp.eye_like(part)
        self.V1H = mH(self.first_rows(self.V))
        self.W = xp.triu(mH(self.V) @ self.V, k=1)
        self.M = self.D * self.W  # the ones on its diagonal are not stored

    def over_M(self, X, adjoint=False):
        """M⁻¹ X, or M⁻ᴴ X."""
        return self.xp.solve_triangular(self.M, X, upper=True, adjoint=adjoint, unitriangular=True)

    def P(self):
        return self.over_M(self.D * self.V1H)

    def Q(self):
        return self.xp.eye_like(self.A) - self.V @ self.P()

    def from_first_columns(self, X):
        """The adjoint of `first_columns`."""
        return X if self.is_complete else X @ self.xp.eye_like(self.A)[..., : self.k, :]

    def from_first_rows(self, X):
        """The adjoint of `first_rows`."""
        return X if self.is_square else self.xp.eye_like(self.A) @ X


@householder_product.vjp
def _(Q_bar, Q, A, tau):
    @once
    def both():
        it = _Product(A, tau)
        xp, P = it.xp, it.P()
        S = it.over_M(-mH(it.V) @ Q_bar, adjoint=True)
        M_bar = -xp.triu(S @ mH(P), k=1)
        W_bar = xp.conj(it.D) * M_bar
        tau_bar = xp.sum(S * xp.conj(it.V1H), axis=-1) + xp.sum(M_bar * xp.conj(it.W), axis=-1)
        V_bar = it.V @ (W_bar + mH(W_bar)) - Q_bar @ mH(P) + it.from_first_rows(mH(xp.conj(it.D) * S))
        return it.from_first_columns(xp.tril(V_bar, k=-1)), tau_bar

    return (lambda: both()[0]), (lambda: both()[1])


@householder_product.jvp
def _(Q, A, tau):
    def Q_dot(A_dot, tau_dot):
        it = _Product(A, tau)
        xp, P, D_dot = it.xp, it.P(), tau_dot[..., :, None]
        V_dot = xp.tril(it.first_columns(A_dot), k=-1)
        W_dot = mH(V_dot) @ it.V
        W_dot = xp.triu(W_dot + mH(W_dot), k=1)
        M_dot = D_dot * it.W + it.D * W_dot
        P_dot = it.over_M(D_dot * it.V1H + it.D * mH(it.first_rows(V_dot)) - M_dot @ P)
        return -V_dot @ P - it.V @ P_dot

    return Q_dot


@householder_product.samples
def _(case):
    yield case(case.normal(5, 3) / 3, case.normal(3))
    yield case(case.normal(4, 4) / 3, case.normal(2))


@householder_product.reference
def _(mp, A, tau):
    m, n = A.shape
    Q = mp.eye(m)
    for i in range(len(tau)):
        v = mp.zeros((m,))
        v[i] = 1
        v[i + 1 :] = A[i + 1 :, i]
        Q = Q - tau[i] * ((Q @ v)[:, None] * mp.conj(v)[None, :])
    return Q[:, :n]
