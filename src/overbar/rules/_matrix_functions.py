"""Functions of a square matrix that are entire, or rational: powers, polynomials, exponential, sine and cosine.

May import NumPy, `overbar._jets`, `overbar._namespace`, `overbar._primitive` and `rules.frechet`.
"""

import numpy as np

from overbar._jets import Jet, by_squaring, exponential, halvings, sine_and_cosine
from overbar._namespace import front, mH, namespace
from overbar._primitive import primitive
from overbar.kernels._scaling import halvings_on_host
from overbar.rules._frechet import algorithm, differentiable, evaluate, first_derivative


@primitive("(n,n)->(n,n)")
def matrix_power(A, *, n: int):
    """The power C = Aⁿ of a square matrix, for a whole number n; of the inverse where n is negative.

    Parameters
    ----------
    n : int
        A⁰ is the identity, whatever A is. For other numbers there is `fractional_matrix_power`.

    Returns
    -------
    array (..., n, n)

    Raises
    ------
    ValueError
        n is not an integer.
    LinAlgError of the array's library
        A is singular and n negative.

    Notes
    -----
    By the product rule, Ċ = Σᵢ Aⁱ Ȧ Aⁿ⁻¹⁻ⁱ. The sum is not added up, but found with the power, by squaring: where
    X = A^j and Ẋ is its tangent, the square X² has the tangent X Ẋ + Ẋ X, and the product of two such pairs is one.
    For negative n the same is done to B = A⁻¹, whose tangent is −B Ȧ B.

    Reverse. Ċ is a sum of words with one Ȧ; turned until Ȧ stands last, tr(C̄ᴴ Aⁱ Ȧ Aⁿ⁻¹⁻ⁱ) = tr(Aⁿ⁻¹⁻ⁱ C̄ᴴ Aⁱ Ȧ), they
    are the same sum with C̄ᴴ instead of Ȧ:

        Ā = (Σᵢ Aⁱ C̄ᴴ Aⁿ⁻¹⁻ⁱ)ᴴ.

    Source: Giles (2008), sections 2.2.2 (product) and 2.2.3 (inverse); Higham (2008), Functions of Matrices, section
    3.2. Cost: three products for each one of the function, and one inverse where it has one.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> A = np.array([[1.0, 1.0], [0.0, 2.0]])
    >>> overbar.matrix_power(A, 3)
    array([[1., 7.],
           [0., 8.]])
    >>> overbar.matrix_power(A, -1)
    array([[ 1. , -0.5],
           [ 0. ,  0.5]])
    """
    xp = namespace(A)
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise ValueError(
            f"matrix_power: the option n must be an integer, not {n!r}. For other powers there is "
            "fractional_matrix_power."
        )
    n = int(n)
    if n == 0:
        return A * 0 + xp.eye_like(A)
    return by_squaring(A if n > 0 else xp.inv(A), abs(n))


def _power_along(C, A, E, n):
    """The derivative of Aⁿ along E."""
    xp, n = namespace(A), int(n)
    if n == 0:
        return xp.zeros_like(A) + xp.zeros_like(E)
    if n < 0:
        A = C if n == -1 else xp.solve(A, xp.eye_like(A), check=False)
        E = -(A @ E @ A)
    return by_squaring(Jet.along(A, E), abs(n)).derivative


@matrix_power.vjp
def _(C_bar, C, A, *, n):
    return (lambda: mH(_power_along(C, A, mH(C_bar), n)),)


@matrix_power.jvp
def _(C, A, *, n):
    return (lambda A_dot: _power_along(C, A, A_dot, n),)


@matrix_power.samples
def _(case):
    yield case(case.square(3), n=3)
    # away from singular matrices, where differences of the first derivative are no measure of the second
    yield case(case.positive_definite(3) + np.eye(3, dtype=case.dtype), n=-2)


@matrix_power.reference
def _(mp, A, *, n):
    C, factor = mp.eye(len(A)), A if n > 0 else mp.inverse(A)
    for _ in range(abs(n)):
        C = C @ factor
    return C


@primitive("(n,n),(k)->(n,n)")
def polynomial(A, c):
    """The matrix polynomial, C = c₀ I + c₁ A + c₂ A² + … + c_(k−1) A^(k−1).

    Parameters
    ----------
    c
        The coefficients, lowest first; it has a derivative, too.

    Returns
    -------
    array (..., n, n)
        Zero where there are no coefficients.

    Notes
    -----
    Horner's rule, from the highest coefficient down (Giles 2008, section 2.3.3, matrix polynomial):

        P ← c_(k−1) I,    P ← A P + cᵢ I    for i = k − 2, …, 0.

    Forward, the same recurrence is differentiated: Ṗ ← A Ṗ + Ȧ P + ċᵢ I.

    Reverse. Giles keeps every P and goes back through them. Turning the trace avoids that: Ċ is a sum of terms
    cᵢ Aʲ Ȧ Aⁱ⁻¹⁻ʲ, and tr(C̄ᴴ Aʲ Ȧ Aⁱ⁻¹⁻ʲ) = tr(Aⁱ⁻¹⁻ʲ C̄ᴴ Aʲ Ȧ) is such a term with C̄ᴴ instead of Ȧ. Hence Āᴴ is
    what the forward recurrence gives for Ȧ = C̄ᴴ and ċ = 0; and ⟨C̄, ċᵢ Aⁱ⟩ gives

        c̄ᵢ = tr((Aᴴ)ⁱ C̄).

    Cost: three products for each one of the function for Ā, and one for c̄.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.polynomial(np.array([[0.0, 1.0], [0.0, 0.0]]), np.array([2.0, 3.0, 4.0]))
    array([[2., 3.],
           [0., 2.]])
    """
    return _horner(Jet.along(A), c).parts[0]


def _horner(X, c):
    """The jet Σ cᵢ Xⁱ."""
    xp, k = namespace(c), c.shape[-1]
    coefficient = lambda i: c[..., i, None, None]  # noqa: E731
    if k is None:  # not known while a graph is built
        k = xp.shape(c)[-1]
        zero = sum(map(xp.zeros_like, X.parts), start=xp.zeros_like(xp.sum(c, axis=-1))[..., None, None])
        step = lambda i, parts: (X @ Jet(parts)).plus_identity(coefficient(k - 1 - i)).parts  # noqa: E731
        return Jet(front(zero).repeat(k, step, [zero for _ in X.parts]))
    if k == 0:
        return X * 0
    if k == 1:
        return (X * 0).plus_identity(coefficient(0))
    total = (X * coefficient(k - 1)).plus_identity(coefficient(k - 2))
    for i in reversed(range(k - 2)):
        total = (X @ total).plus_identity(coefficient(i))
    return total


def _traces(A, B, c):
    """tr(Aⁱ B) for as many i as c has entries."""
    xp, k = namespace(A), c.shape[-1]
    trace = lambda B: xp.sum(xp.diagonal(B), axis=-1)[..., None]  # noqa: E731
    if k is None:
        place = xp.arange(xp.shape(c)[-1])
        step = lambda i, state: [A @ state[0], xp.where(xp.equal(place, i), trace(state[0]), state[1])]  # noqa: E731
        zero = xp.zeros_like(A) + xp.zeros_like(B)
        return front(zero).repeat(xp.shape(c)[-1], step, [B + zero, xp.zeros_like(trace(zero)) + xp.zeros_like(c)])[1]
    found = []
    for i in range(k):
        B = A @ B if i else B
        found.append(trace(B))
    return xp.concat(found, axis=-1) if found else c


@polynomial.vjp
def _(C_bar, C, A, c):
    return (
        lambda: mH(_horner(Jet.along(A, mH(C_bar)), c).parts[-1]),
        lambda: _traces(mH(A), C_bar, c),
    )


@polynomial.jvp
def _(C, A, c):
    return (
        lambda A_dot: _horner(Jet.along(A, A_dot), c).parts[-1],
        lambda c_dot: polynomial.function(A, c_dot),
    )


@polynomial.samples
def _(case):
    yield case(case.square(3), case.normal(4))


@polynomial.reference
def _(mp, A, c):
    C, power = mp.zeros(A.shape), mp.eye(len(A))
    for number in c:
        C, power = C + power * number, power @ A
    return C


@primitive("(n,n)->(n,n)")
def expm(A):
    """The matrix exponential, C = exp(A) = I + A + A²/2 + A³/6 + … (to infinity).

    Parameters
    ----------
    A
        Any square matrix.

    Returns
    -------
    array (..., n, n)
        NaN where an entry of A is NaN or infinite.

    Notes
    -----
    Scaling and squaring, exp(A) = exp(A/2ˢ)^(2ˢ), with a Taylor polynomial of degree 20 for A/2ˢ. The number s is
    chosen, for each matrix of a batch, by the powers of |A| and not by its norm: scaling a matrix more than its powers
    need loses the digits of its eigenvalues (Al-Mohy and Higham, 2009, A new scaling and squaring algorithm).

    With L(A, E), the derivative of exp at A along E, which is `expm_frechet`:

        Ċ = L(A, Ȧ) = ∫₀¹ exp((1 − t)A) Ȧ exp(tA) dt,    Ā = L(A, C̄ᴴ)ᴴ.

    The second follows from the first by turning the trace, tr(C̄ᴴ exp((1 − t)A) Ȧ exp(tA)), and putting 1 − t for t.
    L is computed by the same squarings, X² and X Ẋ + Ẋ X, beginning with the derivative of the polynomial (Al-Mohy and
    Higham, 2009, Computing the Fréchet derivative of the matrix exponential). No difference of eigenvalues is divided
    by: equal ones, and matrices that are not diagonalisable, are nothing special. Nor is there a bound for the size of
    C̄. Cost: some 7 + s products for the function, and three for each of them for a rule.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.expm(np.array([[0.0, 2.0], [0.0, 0.0]]))
    array([[1., 2.],
           [0., 1.]])
    """
    return evaluate("expm", A)


def _halvings(A, order):
    """`halvings`, on the host where that is no way to go."""
    library = front(A)
    if len(A.shape) == 2 and library.may_compute(A):
        return library.compute(halvings_on_host, A, order=order)[0]
    return halvings(A, order)


@algorithm("expm", everywhere=True)
def _(xp, X):
    found = xp.expm_along(X.parts[0], *(X.parts[1 << i] for i in range(X.order)))
    return exponential(X, _halvings) if found is None else Jet([None] * (len(X.parts) - 1) + [found])


differentiable(expm)


@expm.samples
def _(case):
    yield case(case.normal(3, 3))


def exact_expm(mp, A):
    """exp(A) by Taylor's series of A/2⁸."""
    A = A / mp.number(2) ** 8
    C = term = mp.eye(len(A))
    for i in range(1, 60):
        term = term @ A / mp.number(i)
        C = C + term
    for _ in range(8):
        C = C @ C
    return C


@expm.reference
def _(mp, A):
    return exact_expm(mp, A)


@first_derivative(expm)
@primitive("(n,n),(n,n)->(n,n)")
def expm_frechet(A, E):
    """The Fréchet derivative of the matrix exponential at A along E: the L of exp(A + tE) = exp(A) + tL + O(t²).

    Parameters
    ----------
    E
        The direction.

    Returns
    -------
    array (..., n, n)
        L alone; SciPy's function of this name also returns exp(A) unless it is told not to.

    Notes
    -----
    Run on A + εE with ε² = 0 instead of A, the algorithm of `expm` gives exp(A) + εL. In the same way it gives the
    derivative of L along Ȧ, the second derivative D² exp(A)[E, Ȧ], as the coefficient of εη in exp(A + εE + ηȦ):

        L̇ = D² exp(A)[E, Ȧ] + L(A, Ė).

    Reverse, by turning traces as in `expm` (`overbar.rules._frechet` has the derivation for every order):

        Ā = (D² exp(A)[E, L̄ᴴ])ᴴ,    Ē = L(A, L̄ᴴ)ᴴ.

    Source: Al-Mohy and Higham (2009), Computing the Fréchet derivative of the matrix exponential; Higham and Relton
    (2014), Higher order Fréchet derivatives of matrix functions. Cost: nine products for each one of `expm` for Ā,
    three for Ē; the function itself takes three.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.expm_frechet(np.zeros((2, 2)), np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[1., 2.],
           [3., 4.]])
    """
    return evaluate("expm", A, E)


@expm_frechet.samples
def _(case):
    yield case(case.normal(3, 3), case.normal(3, 3))


@expm_frechet.reference
def _(mp, A, E):
    n = len(A)
    M = mp.zeros((2 * n, 2 * n))
    M[:n, :n], M[:n, n:], M[n:, n:] = A, E, A
    return exact_expm(mp, M)[:n, n:]


@primitive("(n,n)->(n,n)")
def sinm(A):
    """The matrix sine, C = sin(A) = A − A³/6 + A⁵/120 − … (to infinity).

    Parameters
    ----------
    A
        Any square matrix.

    Returns
    -------
    array (..., n, n)
        NaN where an entry of A is NaN or infinite.

    Notes
    -----
    A Taylor polynomial of A/2ˢ, and s times the formulas of the double angle,

        sin 2X = 2 sin X cos X,    cos 2X = cos² X − sin² X.

    Real matrices stay real, and small ones keep all digits. Where A is large, each doubling doubles the error, as it
    does that of the angle itself: expect to lose log₁₀ ‖A‖ digits of an entry of size 1.

    Run on A + εE with ε² = 0, the algorithm gives sin(A) + εL(A, E), and by turning the trace of the words of which the
    derivative L is a sum (see `overbar.rules._frechet`, also for higher derivatives),

        Ċ = L(A, Ȧ),    Ā = L(A, C̄ᴴ)ᴴ.

    Source: Higham (2008), Functions of Matrices, chapter 12, and theorem 3.6 for the derivative. Cost: 8 + 3s products
    for sine and cosine together, and three for each of them for a rule.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.sinm(np.array([[0.0, 2.0], [0.0, 0.0]]))
    array([[0., 2.],
           [0., 0.]])
    """
    return evaluate("sinm", A)


def _rotations(xp, X):
    """The derivatives of the sine and the cosine by the exponential of the library, without a question about numbers:

        exp([[0, A], [−A, 0]])  =  [[cos A, sin A], [−sin A, cos A]],

    whose argument is linear in A, so that directions become such blocks, too."""

    def block(A):
        zeros = xp.zeros_like(A)
        return xp.concat([xp.concat([zeros, A], axis=-1), xp.concat([-A, zeros], axis=-1)], axis=-2)

    found = xp.expm_along(block(X.parts[0]), *(block(X.parts[1 << i]) for i in range(X.order)))
    n = X.parts[0].shape[-1]
    last = [None] * (len(X.parts) - 1)
    return Jet([*last, found[..., :n, n:]]), Jet([*last, found[..., :n, :n]])


def _sine_and_cosine(xp, X):
    return _rotations(xp, X) if front(X.parts[0]).writes_program() else sine_and_cosine(X, _halvings)


@algorithm("sinm", everywhere=True)
def _(xp, X):
    return _sine_and_cosine(xp, X)[0]


differentiable(sinm)


@sinm.samples
def _(case):
    yield case(case.normal(3, 3))


def _exact_series(mp, A, first):
    """Σ (−1)ʲ A^(2j + first)/(2j + first)!"""
    C = term = mp.eye(len(A)) if first == 0 else A
    for i in range(first + 2, 140, 2):
        term = -term @ A @ A / mp.number(i * (i - 1))
        C = C + term
    return C


@sinm.reference
def _(mp, A):
    return _exact_series(mp, A, 1)


@primitive("(n,n)->(n,n)")
def cosm(A):
    """The matrix cosine, C = cos(A) = I − A²/2 + A⁴/24 − … (to infinity).

    Parameters
    ----------
    A
        Any square matrix.

    Returns
    -------
    array (..., n, n)
        NaN where an entry of A is NaN or infinite.

    Notes
    -----
    Computed with the sine, see `sinm`, which also says how many digits remain where A is large. With the derivative
    L(A, E) of the cosine along E,

        Ċ = L(A, Ȧ),    Ā = L(A, C̄ᴴ)ᴴ.

    Source: Higham (2008), Functions of Matrices, chapter 12, and theorem 3.6 for the derivative. Cost: as `sinm`.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> overbar.cosm(np.array([[0.0, 2.0], [0.0, 0.0]]))
    array([[1., 0.],
           [0., 1.]])
    """
    return evaluate("cosm", A)


@algorithm("cosm", everywhere=True)
def _(xp, X):
    return _sine_and_cosine(xp, X)[1]


differentiable(cosm)


@cosm.samples
def _(case):
    yield case(case.normal(3, 3))


@cosm.reference
def _(mp, A):
    return _exact_series(mp, A, 0)
