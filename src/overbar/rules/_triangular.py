"""Triangular systems, and what a Cholesky factor is good for: solving and the logarithm of the determinant.

May import `overbar._namespace` and `overbar._primitive`.
"""

from overbar._namespace import front, mH, namespace
from overbar._primitive import once, primitive


@primitive("(n,n),(p,q?)->(p,q?)")
def solve_triangular(A, B, *, upper: bool, left=True, unitriangular=False, adjoint=False):
    """The solution X of a triangular system, op(A) X = B or X op(A) = B.

    Parameters
    ----------
    A
        Only the triangle that is asked for is read, and only it gets a bar.
    B : array (..., n, k) or (n,); with ``left=False`` (..., k, n)
        One A for many B is one call of BLAS.
    upper : bool
        Whether A is upper triangular.
    left : bool
        op(A) X = B; otherwise X op(A) = B.
    unitriangular : bool
        Take the diagonal of A for ones, without reading it.
    adjoint : bool
        op(A) = Aᴴ in place of A; which triangle of A is read does not depend on it.

    Returns
    -------
    array of the shape of B

    Raises
    ------
    LinAlgError of the array's library
        In NumPy: A is singular. (Of a singular A, PyTorch and TensorFlow return infinities and NaN, as their own
        functions do.) A NaN in A or B goes through to X.

    Notes
    -----
    Giles (2008), matrix inverse product. From op(A) Ẋ + op(Ȧ) X = Ḃ:

        Ẋ = op(A)⁻¹ (Ḃ − op(Ȧ) X).

    With ⟨X̄, Ẋ⟩ = ⟨op(A)⁻ᴴ X̄, Ḃ − op(Ȧ) X⟩ the reverse rule is

        B̄ = op(A)⁻ᴴ X̄,    Ā = −B̄ Xᴴ    (its adjoint, −X B̄ᴴ, where op(A) = Aᴴ),

    of which the triangle that was read is kept. For X op(A) = B the factors change sides: B̄ = X̄ op(A)⁻ᴴ and Ā = −Xᴴ
    B̄, its adjoint −B̄ᴴ X. Cost: one triangular solve for B̄, and one product for Ā.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> L = np.array([[2.0, 0.0], [1.0, 2.0]])
    >>> overbar.solve_triangular(L, np.array([2.0, 5.0]), upper=False)
    array([1., 2.])
    """
    xp = namespace(A)
    check_sides("solve_triangular", A, B, left)
    return xp.solve_triangular(A, B, upper=upper, left=left, adjoint=adjoint, unitriangular=unitriangular)


def check_sides(name, A, B, left, matrix="A"):
    """Raise where B has not as many rows, or with left=False columns, as the square matrix A: the signature
    "(n,n),(p,q?)" leaves it open on which side A is."""
    n, p = A.shape[-1], B.shape[-2 if left else -1]
    if n is not None and p is not None and n != p:
        raise front(A).ShapeError(
            f"{name}: argument B of shape {tuple(B.shape)} does not fit {matrix} of shape {tuple(A.shape)}: "
            f"it has {p} {'rows' if left else 'columns'}, not {n}."
        )


def _triangle(xp, A, upper, unitriangular):
    return xp.triu(A, k=int(unitriangular)) if upper else xp.tril(A, k=-int(unitriangular))


@solve_triangular.vjp
def _(X_bar, X, A, B, *, upper, left, unitriangular, adjoint):
    xp = namespace(A)

    @once
    def B_bar():
        return xp.solve_triangular(A, X_bar, upper=upper, left=left, adjoint=not adjoint, unitriangular=unitriangular)

    def A_bar():
        minus = -X  # which may be much smaller than Ā
        if left:
            bar = minus @ mH(B_bar()) if adjoint else B_bar() @ mH(minus)
        else:
            bar = mH(B_bar()) @ minus if adjoint else mH(minus) @ B_bar()
        return _triangle(xp, bar, upper, unitriangular)

    return A_bar, B_bar


@solve_triangular.jvp
def _(X, A, B, *, upper, left, unitriangular, adjoint):
    xp = namespace(A)

    def X_dot(A_dot, B_dot):
        A_dot = _triangle(xp, A_dot, upper, unitriangular)
        if adjoint:
            A_dot = mH(A_dot)
        rest = B_dot - (A_dot @ X if left else X @ A_dot)
        return xp.solve_triangular(A, rest, upper=upper, left=left, adjoint=adjoint, unitriangular=unitriangular)

    return X_dot


@solve_triangular.also
def _(*args, trans=0, unit_diagonal=None, **kwargs):
    """scipy.linalg.solve_triangular(A, B, trans=, lower=, unit_diagonal=)."""
    if trans not in (0, "N"):
        A = args[0] if args else kwargs.get("A")
        if trans in (1, "T") and "complex" in str(getattr(A, "dtype", "")):
            raise TypeError("solve_triangular: trans='T' of a complex matrix is solve_triangular(mT(A), B, ...).")
        if trans not in (1, "T", 2, "C"):
            raise TypeError(f"solve_triangular: trans is {trans!r}. Say 'N', 'T' or 'C', or adjoint=True.")
        kwargs["adjoint"] = True
    if unit_diagonal is not None:
        kwargs["unitriangular"] = unit_diagonal
    return args, kwargs


@solve_triangular.samples
def _(case):
    for upper in (False, True):
        for left in (True, False):
            for adjoint in (False, True):
                A = case.upper(4) if upper else case.lower(4)
                B = case.normal(4, 2) if left else case.normal(2, 4)
                yield case(A, B, upper=upper, left=left, adjoint=adjoint)
    yield case(case.square(4), case.normal(4, 2), upper=False)
    yield case(case.lower(4), case.normal(4, 2), upper=False, unitriangular=True)
    yield case(case.upper(4), case.normal(2, 4), upper=True, left=False, unitriangular=True, adjoint=True)


@solve_triangular.reference
def _(mp, A, B, *, upper, left, unitriangular, adjoint):
    T = mp.triu(A, 0) if upper else mp.tril(A, 0)
    if unitriangular:
        for i in range(len(T)):
            T[i, i] = 1
    if adjoint:
        T = mp.mH(T)
    return mp.solve(T, B) if left else mp.mT(mp.solve(mp.mT(T), mp.mT(B)))


@primitive("(n,n),(n,k?)->(n,k?)")
def cho_solve(L, B, *, upper=False):
    """The solution X of A X = B from the Cholesky factor of A.

    Parameters
    ----------
    L
        The lower factor, A = L Lᴴ; only its lower triangle is read, and only it gets a bar.
    upper : bool
        L is the upper factor instead, A = Lᴴ L.

    Returns
    -------
    array of the shape of B

    Raises
    ------
    LinAlgError of the array's library
        L is singular (as in `solve_triangular`).

    Notes
    -----
    With A = L Lᴴ and Ȧ = L̇ Lᴴ + L L̇ᴴ, from A Ẋ + Ȧ X = Ḃ:

        Ẋ = A⁻¹ (Ḃ − L̇ (Lᴴ X) − L (L̇ᴴ X)).

    Reverse: B̄ = A⁻¹ X̄ and, if A were free, Ā = −B̄ Xᴴ; then ⟨Ā, L̇ Lᴴ + L L̇ᴴ⟩ gives L̄ = tril((Ā + Āᴴ) L), that is

        L̄ = −tril(S L),    S = B̄ Xᴴ + X B̄ᴴ.

    Multiplied out the other way, L̄ = −tril(B̄ (Lᴴ X)ᴴ + X (Lᴴ B̄)ᴴ), it takes 6n²k flops, as Lᴴ B̄ is met on the way
    to B̄, which is less for few right-hand sides; the first way takes 2n²k + n³, as half of S L is not needed and half
    of L is zero. Source: Giles (2008), matrix inverse product. Cost: one solution for B̄, as the function, and the
    lesser of these for L̄.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A = np.array([[4.0, 2.0], [2.0, 5.0]])
    >>> overbar.cho_solve(overbar.cholesky(A), np.array([6.0, 7.0]))
    array([1., 1.])
    """
    return namespace(L).cho_solve(L, B, upper=upper)


def _tril_of_product(H, L, out=None):
    """tril((H + Hᴴ) tril(L)) by halves, which leaves out what is above the diagonal of the result and of L: n³ flops
    instead of 2n³."""
    xp, n = namespace(H), H.shape[-1]
    if n < 256:
        C = xp.tril((H + mH(H)) @ xp.tril(L))
        if out is not None:
            out[...] = C
        return C
    one, two = slice(0, n // 2), slice(n // 2, n)
    H11, H22, L11, L21, L22 = H[..., one, one], H[..., two, two], L[..., one, one], L[..., two, one], L[..., two, two]
    out11, out22 = (None, None) if out is None else (out[..., one, one], out[..., two, two])
    S21 = H[..., two, one] + mH(H[..., one, two])
    C11 = _tril_of_product(H11, L11, out11) + xp.tril(mH(S21) @ L21)
    C21 = xp.add_product((H22 + mH(H22)) @ L21, S21, xp.tril(L11), 1)
    C22 = _tril_of_product(H22, L22, out22)
    if out is None:
        return xp.block([[C11, xp.zeros_like(mH(C21))], [C21, C22]])
    out[..., one, one], out[..., one, two], out[..., two, one] = C11, 0, C21
    return out


@cho_solve.vjp
def _(X_bar, X, L, B, *, upper):
    xp = namespace(L)

    @once
    def half():
        return xp.solve_triangular(L, X_bar, upper=upper, adjoint=upper)

    @once
    def B_bar():
        return xp.solve_triangular(L, half(), upper=upper, adjoint=not upper)

    def L_bar():
        n, k = X.shape[-2:]
        if n is None or k is None or n < 64 or 8 * k < n:
            T = mH(xp.triu(L)) if upper else xp.tril(L)
            if n is None or n > 32:
                both = xp.concat([-B_bar(), -X], axis=-1)
                bar = xp.tril(both @ mH(xp.concat([mH(T) @ X, half()], axis=-1)))  # one pass over n² numbers
            else:
                bar = -xp.tril(B_bar() @ mH(mH(T) @ X) + X @ mH(half()))  # fewer steps
        else:
            c = xp.cast(xp.power_of_two(L), L)  # B̄ Xᴴ alone, which is as 1/L⁴, may leave the range of numbers
            product = -(B_bar() * c) @ mH(X * c), (mH(L) if upper else L) / c
            bar = front(L).as_one(_tril_of_product, *product) / c
        return mH(bar) if upper else bar

    return L_bar, B_bar


@cho_solve.jvp
def _(X, L, B, *, upper):
    xp = namespace(L)

    def X_dot(L_dot, B_dot):
        T, T_dot = (mH(xp.triu(L)), mH(xp.triu(L_dot))) if upper else (xp.tril(L), xp.tril(L_dot))
        return cho_solve.function(L, B_dot - T_dot @ (mH(T) @ X) - T @ (mH(T_dot) @ X), upper=upper)

    return X_dot


def factor_of_pair(args, kwargs):
    """The arguments of a call whose first is SciPy's pair (factor, lower), with the factor alone and lower=."""
    if args and isinstance(args[0], tuple) and len(args[0]) == 2:
        (factor, lower), *others = args
        return (factor, *others), {**kwargs, "lower": lower}
    return args, kwargs


@cho_solve.also
def _(*args, **kwargs):
    """scipy.linalg.cho_solve((c, lower), b)."""
    args, kwargs = factor_of_pair(args, kwargs)
    if "b" in kwargs and "B" not in kwargs:
        kwargs["B"] = kwargs.pop("b")
    return args, kwargs


@cho_solve.samples
def _(case):
    yield case(case.lower(4), case.normal(4, 2))
    yield case(case.square(4), case.normal(4, 2))
    yield case(case.upper(4), case.normal(4, 2), upper=True)
    yield case(case.lower(4), case.normal(4, 1))


@cho_solve.reference
def _(mp, L, B, *, upper):
    L = mp.mH(mp.triu(L, 0)) if upper else mp.tril(L, 0)
    return mp.solve(mp.mH(L), mp.solve(L, B))


@primitive("(n,n)->()")
def cho_logdet(L):
    """The logarithm of the determinant of A = L Lᴴ from its Cholesky factor, lower or upper.

    Parameters
    ----------
    L
        Triangular. Only its diagonal is read, and only it gets a bar.

    Returns
    -------
    array (...)
        2 Σ log |Lᵢᵢ|, real.

    Notes
    -----
    From 2 log |z| = log z + conj(log z), with derivative 2 Re(ż/z):

        ċ = 2 Σ Re(L̇ᵢᵢ / Lᵢᵢ),    L̄ = diag(2 c̄ / conj(Lᵢᵢ)).

    With the reverse rule of `cholesky` this becomes the familiar Ā = c̄ A⁻¹ of Giles (2008), section 2.2.4. Cost: n
    logarithms, and one matrix written for L̄.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> float(overbar.cho_logdet(np.diag([1.0, np.e])))
    2.0
    """
    xp = namespace(L)
    return 2 * xp.sum(xp.log(xp.abs(xp.diagonal(L))), axis=-1)


@cho_logdet.vjp
def _(c_bar, c, L):
    xp = namespace(L)
    n = xp.shape(L)[-1]
    return (lambda: xp.diagonal_embed(xp.cast(2 * c_bar[..., None], L) / xp.conj(xp.diagonal(L)), n, n),)


@cho_logdet.jvp
def _(c, L):
    xp = namespace(L)
    return (lambda L_dot: 2 * xp.sum(xp.real(xp.diagonal(L_dot) / xp.diagonal(L)), axis=-1),)


@cho_logdet.samples
def _(case):
    yield case(case.lower(4))
    yield case(case.square(4))


@cho_logdet.reference
def _(mp, L):
    return 2 * mp.log(abs(L.diagonal())).sum()
