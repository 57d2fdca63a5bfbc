"""Riccati equations, continuous and discrete, under XLA: by products and inverses of stacks of matrices.

May import tensorflow, NumPy, `overbar` and the neighbours below it: `_in_xla` and `_elimination`. The host finds
invariant subspaces by ordered Schur forms, for which there is no loop here. Some digits of a solution come from the
sign of the Hamiltonian matrix or by doubling; the others, as on the host, by Newton's method, in double precision.
Where the host raises, X is NaN.
"""

import tensorflow as tf

from overbar._namespace import namespace
from overbar.kernels._riccati import continuous_are, discrete_are
from overbar.rules._equal_values import hermitian_part
from tf_ops._elimination import factored, is_regular
from tf_ops._in_xla import cast, double_precision, is_finite, is_zero, loop, norm, power_of_two, sizes, way_of

#: How many steps an iteration may take, each of which squares something: eigenvalues 1e-12 from the boundary take 45.
STEPS = 60

#: How often a solution is corrected by Newton's method. It doubles the digits each time.
CORRECTIONS = 12


@way_of(continuous_are)
def _(*arrays):
    (A, B, Q, R, E, S), costs = _wide(arrays)
    scale = cast(power_of_two(E), E.dtype)
    E = E / scale  # of which X is the inverse in size
    b, r = map(_exponent, (B, R))
    V, W = _inverse(E), _scaled(hermitian_part(_inverse(_scaled(R, -r))), -r)
    F, G, H = _without_E_and_S(A, B, Q, W, V, S)
    G = _scaled(G, -b)
    G = hermitian_part(G @ _scaled(W, r) @ _adjoint(G))
    a, g, h = _exponent(F), _exponent(G) + 2 * b - r, _exponent(H)
    # As on the host: X = 2ᵗ Y, where Y is the solution for 2ᵗ G and 2⁻ᵗ H. What X is as large as, depends.
    scales = tf.stack([tf.math.floor((h - g) / 2), a - g, h - a])

    def residual(X):
        EX = _adjoint(E) @ X
        N = EX @ B + S
        K = W @ _adjoint(N)
        return (A - B @ K) @ V, _adjoint(V) @ hermitian_part(2 * EX @ A - N @ K + Q) @ V

    def attempt(t):
        Y = _by_sign(F, _scaled(G, t + 2 * b - r), _scaled(H, -t))
        return _corrected(hermitian_part(_adjoint(V) @ _scaled(Y, t) @ V), residual, _continuous_lyapunov)

    return _first_of(attempt, scales, arrays, (R, E)) / scale * costs


@way_of(discrete_are)
def _(*arrays):
    (A, B, Q, R, E, S), costs = _wide(arrays)
    scale = cast(power_of_two(E), E.dtype)
    A, B, E = A / scale, B / scale, E / scale  # X is as 1/c² then
    V = _inverse(E)

    def residual(X):
        BX = _adjoint(B) @ X
        K = _solve(R + BX @ B, BX @ A + _adjoint(S))
        F = A - B @ K
        # not in terms of A, but of F: an error of K shows in the second order only
        Z = Q + _adjoint(K) @ R @ K + _adjoint(F) @ X @ F - 2 * S @ K - _adjoint(E) @ X @ E
        return F @ V, _adjoint(V) @ hermitian_part(Z) @ V

    def attempt(x):
        """With X = x I + Y the equation of Y has other costs."""
        at = lambda M, N: _adjoint(M) @ (x * N)  # noqa: E731
        cost = R + at(B, B)
        r = _exponent(cost)
        W = hermitian_part(_inverse(_scaled(cost, -r)))
        F, G, H = _without_E_and_S(A, B, Q + at(A, A) - at(E, E), _scaled(W, -r), V, S + at(A, B))
        b, h = _exponent(G), _exponent(H)
        G = _scaled(G, -b)
        G = hermitian_part(G @ W @ _adjoint(G))
        t = tf.math.floor((h - _exponent(G) - 2 * b + r) / 2)
        Y = _scaled(_by_doubling(F, _scaled(G, t + 2 * b - r), _scaled(H, -t)), t)
        start = x * tf.eye(sizes(A)[1], dtype=A.dtype) + hermitian_part(_adjoint(V) @ Y @ V)
        return _corrected(start, residual, _discrete_lyapunov)

    # Where R is singular, R + x BᴴB need not be. Where Q is small or zero, X may still be as large as R over B².
    shifts = [tf.zeros_like(E[:, :1, :1]), *(cast(x, E.dtype) for x in _sizes_of_solutions(B, Q, R))]
    return _first_of(attempt, tf.stack(shifts), arrays, (E,)) / scale / scale * costs


def _sizes_of_solutions(B, Q, R):
    b = power_of_two(B)
    return power_of_two(Q), power_of_two(R) / b / b


def _first_of(attempt, starts, arrays, invertible):
    """The solution of the first attempt that succeeds, one matrix at a time; NaN where none does, where something is
    not finite, and where what has to be invertible is not."""
    possible = tf.fill(tf.shape(arrays[0])[:1], True)
    for A in arrays:
        possible &= is_finite(A)
    for A in invertible:
        possible &= is_regular(factored(A)[0])

    def step(i, X, open_):
        found, fine = attempt(tf.gather(starts, i))
        fine &= open_
        return i + 1, tf.where(fine[:, None, None], found, X), open_ & ~fine

    A = arrays[0]
    nan = tf.fill(tf.shape(A), tf.constant(float("nan"), tf.float64))
    going = lambda i, _, open_: (i < starts.shape[0]) & tf.reduce_any(open_)  # noqa: E731
    return loop(going, step, [0, tf.ensure_shape(cast(nan, double_precision(arrays)), A.shape), possible])[1]


# -- equations without E and S -----------------------------------------------------------------------------------------


def _without_E_and_S(A, B, Q, W, V, S):
    """E⁻¹ (A − B R⁻¹ Sᴴ), E⁻¹ B and Q − S R⁻¹ Sᴴ, with W = R⁻¹ and V = E⁻¹: the equation of Eᴴ X E. (R may be singular
    where S is zero.)"""
    T = tf.where(is_zero(S), tf.zeros_like(_adjoint(S)), W @ _adjoint(S))
    return V @ (A - B @ T), V @ B, hermitian_part(Q - S @ T)


def _by_sign(A, G, H):
    """Some digits of the stabilising solution of Aᴴ X + X A − X G X + H = 0.

    Roberts (1980), "Linear model reduction and solution of the algebraic Riccati equation by use of the sign function":
    the sign of the Hamiltonian matrix has [I; X] for eigenvectors, of the eigenvalue −1.
    """
    n = sizes(A)[1]
    M = tf.concat([tf.concat([A, -G], -1), tf.concat([-H, -_adjoint(A)], -1)], -2)
    M = M / cast(power_of_two(M), M.dtype)
    _, _, M = loop(*_signs(), [0, _far(M), M])
    M = M + tf.eye(2 * n, dtype=M.dtype)
    W, right = M[:, :, n:], -M[:, :, :n]
    return _solve(_adjoint(W) @ W, _adjoint(W) @ right)


def _by_doubling(A, G, H):
    """The solution of a discrete Riccati equation as the limit of Hₖ, where step k stands for 2ᵏ steps of time, as
    `overbar.kernels._riccati` has it."""
    n = sizes(A)[1]

    def step(count, _, A, G, H):
        W = _solve(tf.eye(n, dtype=A.dtype) + G @ H, tf.concat([A, G], -1))
        WA, WG = W[..., :n], W[..., n:]
        change = hermitian_part(_adjoint(A) @ H @ WA)
        G, H = G + hermitian_part(A @ WG @ _adjoint(A)), H + change
        return count + 1, tf.reduce_any(norm(change) > 1e-15 * norm(H)), A @ WA, G, H

    state = [0, tf.constant(True), A, G, H]
    return loop(lambda count, going, *_: going & (count < STEPS), step, state)[-1]


# -- Newton's method ---------------------------------------------------------------------------------------------------


def _corrected(X, residual, equation):
    """Solutions corrected to rounding, and whether they are solutions, by the criteria of the host.

    `residual` gives of X the matrix F of the closed loop and the residual Z; `equation` the D that takes it away, and
    whether F is stable.
    """

    def step(count, X, before, done, fine):
        F, Z = residual(X)
        D, stable = equation(_adjoint(F), Z)
        D = hermitian_part(D)
        size = norm(X + D)
        change = norm(D) / tf.where(size > 0, size, tf.ones_like(size))
        fine = tf.where(done, fine, stable & tf.math.is_finite(change))
        X = tf.where((fine & ~done)[:, None, None], X + D, X)
        settled = (change < 1e-15) | ((change > before / 4) & (change < 1e-9))
        return count + 1, X, change, done | ~fine | settled, fine

    no = tf.fill(tf.shape(X)[:1], False)
    state = [0, X, tf.fill(tf.shape(X)[:1], tf.constant(float("inf"), tf.float64)), no, no]
    _, X, _, done, fine = loop(
        lambda count, _, __, done, ___: (count < CORRECTIONS) & ~tf.reduce_all(done), step, state
    )
    return X, done & fine


def _continuous_lyapunov(A, Z):
    """The D with A D + D Aᴴ + Z = 0, and whether A is stable: the sign of [A, Z; 0, −Aᴴ] is [−I, 2D; 0, I] then."""
    scale = cast(power_of_two(A), A.dtype)
    A, Z = A / scale, Z / scale
    _, _, A, Z = loop(*_signs(), [0, _far(A), A, Z])
    return Z / 2, norm(A + tf.eye(sizes(A)[1], dtype=A.dtype)) < 1e-6


def _discrete_lyapunov(A, Z):
    """The D with A D Aᴴ − D + Z = 0, and whether A is stable: D is the sum of Aᵏ Z Aᴴᵏ then, of twice as many terms
    with each step (Smith 1968, "Matrix equation XA + BX = C")."""

    def step(count, A, D):
        return count + 1, A @ A, D + A @ D @ _adjoint(A)

    going = lambda count, A, D: (count < STEPS) & tf.reduce_any(norm(A) > 1e-9)  # noqa: E731
    _, A, D = loop(going, step, [0, A, Z])
    return D, norm(A) <= 1e-9


def _signs():
    """Newton's iteration for the sign of A, scaled by norms (Higham 2008, "Functions of matrices", section 5.5), and of
    [A, Z; 0, −Aᴴ], if there is a Z."""

    def step(count, _, A, *Z):
        V = _inverse(A)
        c = cast(tf.sqrt(norm(V) / norm(A)), A.dtype)[:, None, None]
        new = (c * A + V / c) / 2
        Z = [(c * P + V @ P @ _adjoint(V) / c) / 2 for P in Z]
        return count + 1, norm(new - A) / norm(new), new, *Z

    return lambda count, change, *_: (count < STEPS) & tf.reduce_any(change > 1e-10), step


# -- small words -------------------------------------------------------------------------------------------------------


def _wide(arrays):
    """All in double precision, Q and R Hermitian, relative to a power of two as large as the costs; and that."""
    A, B, Q, R, E, S = (tf.cast(M, double_precision(arrays)) for M in arrays)
    costs = cast(tf.maximum(power_of_two(Q), power_of_two(R)), Q.dtype)
    return (A, B, hermitian_part(Q / costs), hermitian_part(R / costs), E, S / costs), costs


def _adjoint(A):
    return tf.linalg.adjoint(A)


def _solve(A, B):
    return namespace(A).solve(A, B, check=False)


def _inverse(A):
    return _solve(A, tf.eye(sizes(A)[1], batch_shape=tf.shape(A)[:1], dtype=A.dtype))


def _far(A):
    """Changes, so that a loop begins."""
    return tf.ones_like(norm(A))


def _exponent(A):
    """That of a power of two as large as the largest entry, for each matrix; zero for zeros."""
    largest = tf.reduce_max(tf.abs(A), axis=[-2, -1], keepdims=True)
    return tf.math.floor(tf.experimental.numpy.log2(tf.where(largest > 0, largest, tf.ones_like(largest))))


def _scaled(A, exponent):
    """A times a power of two, which may itself be out of range."""
    half = tf.math.floor(exponent / 2)
    return A * cast(2.0**half, A.dtype) * cast(2.0 ** (exponent - half), A.dtype)
