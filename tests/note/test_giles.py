"""The check that M. B. Giles gives as MATLAB code in the appendix of his report (2008), "An extended collection of
matrix derivative results for forward and reverse mode algorithmic differentiation", in Python, over the functions of
the report. May import `overbar`.

Two checks for each function, on random matrices. The forward mode against a complex variable: for an analytic f,

    Ċ = Im f(A + iεȦ, B + iεḂ)/ε,    ε = 1e-20,

which subtracts nothing, so that the small ε costs no digits. And the reverse mode against the forward mode, by the
identity that defines it, with random C̄:

    tr(C̄ᵀ Ċ) = tr(Āᵀ Ȧ) + tr(B̄ᵀ Ḃ).

The functions of a complex variable here are not those of the collection. They are written anew, without a conjugate or
a modulus, which are not analytic: a norm is √(Σ Aᵢⱼ²), a singular value the root of an eigenvalue of AᵀA.

`pytest tests/note/test_giles.py -rP` shows the errors.
"""

import numpy as np
import pytest

import overbar
from tests.compare import error

N, EPS = 5, 1e-20


def square(rng):
    return rng.standard_normal((N, N))


def symmetric(rng):
    X = square(rng)
    return X + X.T


def positive_definite(rng):
    X = square(rng)
    return X @ X.T / N + np.eye(N)


def tall(rng):
    return rng.standard_normal((N + 2, N))


def narrow(rng):
    return rng.standard_normal((N, 3))


def coefficients(rng):
    return rng.standard_normal(5)


# -- the functions of a complex variable -------------------------------------------------------------------------------


def polynomial(A, c):
    """Horner's rule."""
    C = np.zeros_like(A)
    for coefficient in c[::-1]:
        C = C @ A + coefficient * np.eye(N)
    return C


def exponential(A):
    """Taylor's series, of a matrix small enough for it, squared."""
    term = total = np.eye(N, dtype=complex)
    for k in range(1, 25):
        term = term @ A / (16 * k)
        total = total + term
    for _ in range(4):
        total = total @ total
    return total


def cholesky(A):
    L = np.zeros_like(A)
    for j in range(N):
        L[j:, j] = A[j:, j] - L[j:, :j] @ L[j, :j]
        L[j:, j] /= np.sqrt(L[j, j])
    return L


def eigenvalues(A):
    """In ascending order. (What `eig` uses on its way, reflections and norms, is not analytic, but it leaves the
    eigenvalues alone. Of its vectors that is not true.)"""
    w = np.linalg.eigvals(A)
    return w[np.argsort(w.real)]


def projections(A, w):
    """Of a matrix and its eigenvalues wₖ, the projections vₖ vₖᵀ on the eigenvectors, which have no sign that somebody
    chose, as polynomials: Π (A − wⱼ I)/(wₖ − wⱼ) over j ≠ k."""
    ratios = [[(A - w[j] * np.eye(N)) / (w[k] - w[j]) for j in range(N) if j != k] for k in range(N)]
    return np.stack([np.linalg.multi_dot(factors) for factors in ratios])


def eigenvectors(A):
    """The sum of the projections, weighted by 1, 2, …"""
    return np.tensordot(WEIGHTS, projections(A, eigenvalues(A)), 1)


def singular_values(A):
    return np.sqrt(eigenvalues(A.T @ A)[::-1])


def singular_vectors(A):
    """The sum of the uₖ vₖᵀ, weighted by 1, 2, …"""
    s = singular_values(A)
    return A @ np.tensordot(WEIGHTS / s, projections(A.T @ A, s**2), 1)


# -- those of the collection, where they are more than one call --------------------------------------------------------

WEIGHTS = np.arange(1.0, N + 1)


def projections_by_eigh(A):
    V = overbar.eigh(A)[1]
    return overbar.matmul(V * WEIGHTS, overbar.matrix_transpose(V))


def exponential_by_eig(A):
    """V exp(w) V⁻¹ of a general matrix, whose eigenvalues and vectors may be complex."""
    w, V = overbar.eig(A)
    return overbar.matmul(V * overbar.exp(w), overbar.inv(V)).real


def by_svd(A):
    U, _, Vh = overbar.svd(A, full_matrices=False)
    return overbar.matmul(U * WEIGHTS, Vh)


FUNCTIONS = {
    # section 2.2
    "addition": (lambda A, B: A + B, overbar.add, (square, square)),
    "multiplication": (lambda A, B: A @ B, overbar.matmul, (square, square)),
    "inverse": (np.linalg.inv, overbar.inv, (square,)),
    "determinant": (np.linalg.det, overbar.det, (square,)),
    # section 2.3
    "matrix inverse product": (np.linalg.solve, overbar.solve, (square, square)),
    "first quadratic form": (lambda A, B: B.T @ A @ B, overbar.congruence, (square, narrow)),
    "second quadratic form": (lambda A, B: B.T @ np.linalg.inv(A) @ B, overbar.inv_congruence, (square, narrow)),
    "matrix polynomial": (polynomial, overbar.polynomial, (square, coefficients)),
    "matrix exponential": (exponential, overbar.expm, (square,)),
    # section 3
    "eigenvalues": (eigenvalues, overbar.eigvalsh, (symmetric,)),
    "eigenvectors": (eigenvectors, projections_by_eigh, (symmetric,)),
    "both, of a general matrix": (exponential, exponential_by_eig, (square,)),
    "singular values": (singular_values, overbar.svdvals, (tall,)),
    "singular vectors": (singular_vectors, by_svd, (tall,)),
    # section 4
    "Cholesky factorisation": (cholesky, overbar.cholesky, (positive_definite,)),
    # section 5
    "Frobenius norm": (lambda A: np.sqrt((A * A).sum()), overbar.matrix_norm, (tall,)),
    "spectral norm": (lambda A: singular_values(A)[0], lambda A: overbar.matrix_norm(A, ord=2), (tall,)),
}


def errors(name, seed=0, scale=1.0):
    """Of one function: the errors of the value, of the forward mode and of the reverse mode. `scale` makes the forward
    mode wrong."""
    analytic, function, draws = FUNCTIONS[name]
    rng = np.random.default_rng(seed)
    arrays, dots = ([draw(rng) for draw in draws] for _ in range(2))
    at = analytic(*(A + 1j * EPS * A_dot for A, A_dot in zip(arrays, dots, strict=True)))
    C, C_dot = overbar.jvp(function, tuple(arrays), tuple(dots))
    C_dot = scale * np.asarray(C_dot)
    _, pullback = overbar.vjp(function, *arrays)
    C_bar = rng.standard_normal(np.shape(C))
    bars = pullback(C_bar)
    forward = np.sum(C_bar * C_dot)
    reverse = sum(np.sum(A_bar * A_dot) for A_bar, A_dot in zip(bars, dots, strict=True))
    size = np.abs(C_bar * C_dot).sum()
    return error(C, at.real), error(C_dot, at.imag / EPS), abs(forward - reverse) / size


@pytest.mark.parametrize("name", FUNCTIONS)
def test_his_two_checks(name):
    for seed in range(3):
        value, complex_variable, identity = errors(name, seed)
        print(f"{name:28} value {value:.1e}   complex variable {complex_variable:.1e}   identity {identity:.1e}")
        assert value < 1e-12
        assert complex_variable < 1e-11
        assert identity < 1e-12


@pytest.mark.parametrize("name", FUNCTIONS)
def test_both_see_a_factor(name):
    _, complex_variable, identity = errors(name, scale=1.001)
    assert complex_variable > 1e-4
    assert identity > 1e-6
