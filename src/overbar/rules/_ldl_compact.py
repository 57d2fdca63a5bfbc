"""Factors of symmetric indefinite matrices in one array, as LAPACK has them, and solving with them.

May import NumPy, `overbar._namespace`, `overbar._primitive`, `overbar.kernels`, and `ldl` of the rules.
"""

import numpy as np

from overbar._namespace import front, mH, mT, namespace
from overbar._primitive import once, primitive
from overbar.kernels._ldl import ldl_factor_cotangent, ldl_factor_tangent, ldl_order, sytrf
from overbar.kernels._stacks import lapack
from overbar.rules._ldl import CLEAR, Blocks, eliminated, product_of

# -- factors in one array ----------------------------------------------------------------------------------------------


class _Compact:
    """The factors of A[perm][:, perm] = T D T′ that one array and pivots hold. X′ is Xᴴ, or Xᵀ where A is symmetric."""

    def __init__(self, LD, pivots, hermitian):
        self.xp = xp = namespace(LD)
        self.hermitian = hermitian
        self.perm, self.rows, self.back, double = front(LD).compute(
            ldl_order, xp.detached(xp.real(xp.cast(pivots, LD)))
        )
        self.double = xp.cast(double, LD)[..., :-1]
        self.D = self.block(LD)
        self.T = self.below(LD) + xp.eye_like(LD)
        self.blocks = Blocks(self.D, True, hermitian)

    def turned(self, X):
        return mH(X) if self.hermitian else mT(X)

    def conj(self, X):
        """X, or where A is symmetric conj(X), so that `turned` and this make Xᴴ of it."""
        return X if self.hermitian else self.xp.conj(X)

    def _by_columns(self, X, index):
        """Of each column the entries in the rows with these indices, its own ones. Batch dimensions broadcast."""
        xp = self.xp
        index = index + xp.astype(xp.zeros_like(xp.real(X)), index.dtype)
        return xp.take_along_axis(X + xp.zeros_like(xp.cast(index, X)), index, axis=-2)

    def _first_below(self, X):
        n = self.xp.shape(X)[-1]
        return self.xp.diagonal_embed(self.double * self.xp.diagonal(X, offset=-1), n, n, -1)

    def below(self, LD):
        """What an array like LD holds of T."""
        return self._by_columns(self.xp.tril(LD, k=-1) - self._first_below(LD), self.rows)

    def block(self, LD):
        """What an array like LD holds of D."""
        xp = self.xp
        d, n = xp.diagonal(LD), xp.shape(LD)[-1]
        if self.hermitian:
            d = xp.cast(xp.real(d), d)
        beside = self._first_below(LD)
        return xp.diagonal_embed(d, n, n) + beside + self.turned(beside)

    def stored(self, D):
        """What an array like LD has of one like D."""
        xp, n = self.xp, self.xp.shape(D)[-1]
        d = xp.diagonal(D)
        d = xp.cast(xp.real(d), d) if self.hermitian else d
        return xp.diagonal_embed(d, n, n) + self._first_below(D)

    def packed(self, T, D):
        """An array like LD from one like T, where below D are entries, and one like D."""
        return self._by_columns(self.blocks.below(T), self.back) + self.stored(D)

    def solve_T(self, B):
        return self.xp.solve_triangular(self.T, B, upper=False, unitriangular=True)

    def solve_turned(self, B):
        """T′⁻¹ B."""
        B = self.xp.solve_triangular(self.T, self.conj(B), upper=False, unitriangular=True, adjoint=True)
        return self.conj(B)

    def solve_D(self, B):
        return self.turned(self.blocks.over_D(self.turned(B), last=True))

    def first(self, B):
        """The rows of B in the order of the factors."""
        return self.xp.take_rows(B, self.perm)

    def last(self, B):
        """The rows in the order of A again."""
        return self.xp.take_rows(B, self.xp.argsort(self.perm))


@primitive("(n,n)->(n,n),(n)", hermitian=("A",))
def ldl_factor(A, *, hermitian=False):
    """The factorisation A = L D L′ of a symmetric or Hermitian matrix in one array, as LAPACK's sytrf and hetrf.

    Parameters
    ----------
    A
        Not necessarily definite. Only its lower triangle is read; its bar comes back symmetric, or Hermitian.
    hermitian : bool
        Of a complex A: Hermitian, with L′ = Lᴴ; otherwise symmetric, with L′ = Lᵀ.

    Returns
    -------
    LD : array (..., n, n)
        Zero above the diagonal. The lower triangle of D, with its blocks of one or two rows, and below them L, without
        its ones, whose rows are exchanged as LAPACK says.
    pivots : array of int32 (..., n)
        A block of one at row i was exchanged with row pivots[i] − 1. In a block of two both are negative, and its
        second row was exchanged with row −pivots[i] − 1.

    Raises
    ------
    LinAlgError of the array's library
        In PyTorch: A is singular.

    Notes
    -----
    `ldl` has the factors one by one, and the derivation: with the pivots constant, T = L[perm] and F = T⁻¹ Ȧ T′⁻¹,

        Ḋ = block(F),    Ṫ = T (below(F) D⁻¹),    Ā = sym(T⁻ᴴ F̄ (T′)⁻ᴴ),    F̄ = block(D̄) + below(Tᴴ T̄ D⁻ᴴ).

    As there, the last pivot is divided by nowhere. LAPACK exchanges rows of what is left of A only, so that column j of
    LD has those of T in the order of before the later exchanges. `ldl_solve` solves with such factors.

    Source: de Hoog, Anderssen & Lukas (2011); Bunch & Kaufman (1977). Cost: 5n³ flops for a rule, where the function
    takes n³/3; 3n³, by triangular products on the host, where nobody differentiates it again and nothing is compiled.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> LD, pivots = overbar.ldl_factor(np.array([[4.0, 2.0], [2.0, 3.0]]))
    >>> print(LD, pivots)
    [[4.  0. ]
     [0.5 2. ]] [1 2]
    """
    xp = namespace(A)
    LD, pivots = front(A).compute(sytrf, A, hermitian=hermitian)
    return LD, xp.astype(pivots, xp.int32)


@ldl_factor.vjp
def _(bars, outputs, A, *, hermitian):
    (LD_bar, _), (LD, pivots), xp = bars, outputs, namespace(A)

    def A_bar():
        if LD_bar is None or 0 in A.shape[-2:]:
            return xp.zeros_like(A)
        if front(A).may_compute(LD, LD_bar):
            return front(A).compute(ldl_factor_cotangent, LD, xp.cast(pivots, LD), LD_bar, hermitian=hermitian)[0]
        of = _Compact(LD, pivots, hermitian)
        through = of.blocks.below(mH(of.T) @ of.below(LD_bar))
        F_bar = of.stored(LD_bar) + of.blocks.below(of.conj(of.blocks.over_D(of.conj(through))))  # D⁻ᴴ
        bar = xp.solve_triangular(of.T, F_bar, upper=False, unitriangular=True, adjoint=True)
        bar = of.conj(xp.solve_triangular(of.T, of.conj(bar), upper=False, unitriangular=True, left=False))
        bar = of.last(mT(of.last(mT(bar))))
        return (bar + of.turned(bar)) / 2

    return (A_bar,)


@ldl_factor.jvp
def _(outputs, A, *, hermitian):
    (LD, pivots), xp = outputs, namespace(A)

    def dots(A_dot):
        if 0 in A.shape[-2:]:
            return xp.zeros_like(A), None
        if front(A).may_compute(LD, A_dot):
            return *front(A).compute(ldl_factor_tangent, LD, xp.cast(pivots, LD), A_dot, hermitian=hermitian), None
        of = _Compact(LD, pivots, hermitian)
        F = of.first(mT(of.first(mT((A_dot + of.turned(A_dot)) / 2))))
        F = of.conj(of.solve_T(F))
        F = of.conj(xp.solve_triangular(of.T, F, upper=False, unitriangular=True, left=False, adjoint=True))
        return of.packed(product_of(of.T, of.blocks.over_D(of.blocks.below(F)), True), F), None

    return (dots,)


@ldl_factor.samples
def _(case):
    noise = case.hermitian(4)
    times = noise.shape[-1] // 4
    A = (np.kron(np.eye(times), CLEAR) + noise / (8 * times**0.5)).astype(case.dtype)
    yield case(A, hermitian=True)
    yield case(A, hermitian=case.complex)  # tests move the argument along Hermitian matrices


@ldl_factor.reference
def _(mp, A, *, hermitian):
    name = "hetrf" if np.iscomplexobj(mp.float(A)) else "sytrf"
    _, pivots, _ = lapack(name, mp.float(A).dtype)(mp.float(A), lower=1)  # only for the pivots
    perm, _, back, double = ldl_order(np.asarray(pivots, float))
    A = mp.tril(A) + mp.mH(mp.tril(A, -1))
    T, D = eliminated(mp, A[perm][:, perm], double)
    below = mp.tril(T, -1)
    return np.take_along_axis(below, back, 0) + mp.tril(D), mp.array(pivots)


@primitive("(n,n),(n),(n,k?)->(n,k?)", integer=("pivots",))
def ldl_solve(LD, pivots, B, *, hermitian=False):
    """The solution X of A X = B for a symmetric or Hermitian matrix A whose factors `ldl_factor` has computed.

    Parameters
    ----------
    LD
        The factors. Only the lower triangle is read, and only it gets a bar.
    pivots
        Of `ldl_factor`; they have no derivative.
    hermitian : bool
        As in `ldl_factor`.

    Returns
    -------
    array of the shape of B
        Infinite or NaN where D is singular.

    Raises
    ------
    LinAlgError of the array's library
        The pivots are those of no factorisation.

    Notes
    -----
    With the pivots constant and rows in the order of the factors, A = T D T′, and X = T′⁻¹ V with V = D⁻¹ T⁻¹ B.
    As in `solve`, B̄ = A⁻ᴴ X̄ and Ā = −B̄ Xᴴ, of low rank. From Ȧ = Ṫ D T′ + T Ḋ T′ + T D Ṫ′, for Hermitian A,

        T̄ = (Ā + Āᴴ) T D,    D̄ = Tᴴ Ā T,

    and for symmetric A with ᵀ for the one adjoint and conj(T), conj(T D) for the factors behind Ā. An entry of D beside
    its diagonal stands there twice, and its bar is the sum of both. Forward, Ẋ = A⁻¹ (Ḃ − Ȧ X), where D T′ X = D V.

    Source: Giles (2008), section 2.2.3. Cost: 2n²k flops for the function, and for a rule n²k for each of its five
    products and two solutions.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> LD, pivots = overbar.ldl_factor(np.array([[0.0, 2.0], [2.0, 0.0]]))
    >>> overbar.ldl_solve(LD, pivots, np.array([4.0, 6.0]))
    array([3., 2.])
    """
    if 0 in LD.shape[-2:]:
        return B + namespace(LD).zeros_like(LD) @ B
    of = _Compact(LD, pivots, hermitian)
    return of.last(of.solve_turned(of.solve_D(of.solve_T(of.first(B)))))


@ldl_solve.vjp
def _(X_bar, X, LD, pivots, B, *, hermitian):
    xp = namespace(LD)
    conj = (lambda X: X) if hermitian else xp.conj
    B_bar = once(lambda: conj(ldl_solve(LD, pivots, conj(X_bar), hermitian=hermitian)))

    def LD_bar():
        if 0 in LD.shape[-2:]:
            return xp.zeros_like(LD)
        of = _Compact(LD, pivots, hermitian)
        Y, Z, TD = of.first(B_bar()), of.first(X), conj(of.T @ of.D)
        T_bar = -(Y @ (mH(Z) @ TD) + conj(Z) @ (mH(conj(Y)) @ TD))
        D_bar = -((mH(of.T) @ Y) @ (mH(Z) @ conj(of.T)))
        n = xp.shape(LD)[-1]
        half = D_bar + of.turned(D_bar)
        return of.packed(T_bar, half - xp.diagonal_embed(xp.diagonal(half) / 2, n, n))

    return LD_bar, (lambda: 0 * pivots) if xp.is_floating(pivots) else None, B_bar


@ldl_solve.jvp
def _(X, LD, pivots, B, *, hermitian):
    def dots(LD_dot, _, B_dot):
        if 0 in LD.shape[-2:]:
            return namespace(LD).zeros_like(X)
        of = _Compact(LD, pivots, hermitian)
        Z, T_dot, D_dot = of.first(X), of.below(LD_dot), of.block(LD_dot)
        V = of.turned(of.T) @ Z
        A_dot_X = T_dot @ (of.D @ V) + of.T @ (D_dot @ V + of.D @ (of.turned(T_dot) @ Z))
        return ldl_solve(LD, pivots, B_dot - of.last(A_dot_X), hermitian=hermitian)

    return dots


@ldl_solve.samples
def _(case):
    for hermitian in (False, True):
        LD = case.lower(5)
        n = LD.shape[-1]
        LD[..., range(1, n), range(n - 1)] += 0.25
        pivots = case.normal(5)
        pivots[...] = np.arange(1, n + 1)  # rows that stay
        pivots[..., 0] = 3
        if hermitian:  # a block of two, whose second row is exchanged with the last
            pivots[..., 1:3] = -n
            LD[..., 2, 1] += 3
        yield case(LD, pivots, case.normal(5, 2), hermitian=hermitian)


@ldl_solve.reference
def _(mp, LD, pivots, B, *, hermitian):
    perm, rows, _, double = ldl_order(np.array([float(mp.context.re(x)) for x in pivots]))
    n, turned = len(LD), mp.mH if hermitian else mp.mT
    T, D = mp.eye(n), mp.zeros((n, n))
    for j in range(n):
        D[j, j] = (LD[j, j] + turned(LD[j : j + 1, j : j + 1])[0, 0]) / 2
        if double[j]:
            D[j + 1, j], D[j : j + 1, j + 1 : j + 2] = LD[j + 1, j], turned(LD[j + 1 : j + 2, j : j + 1])
        for i in range(j + 1 + double[j], n):
            T[i, j] = LD[rows[i, j], j]
    X = mp.zeros(B.shape)
    X[perm] = mp.solve(T @ D @ turned(T), B[perm])
    return X
