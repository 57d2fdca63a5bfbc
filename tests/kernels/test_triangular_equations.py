"""Triangular Sylvester equations by columns, for stacks: the same numbers as by LAPACK's routine, and more digits where
eigenvalues are of different sizes. (Larger ones by that routine are in tests/hard_cases/test_equations.py.)"""

import numpy as np
import pytest

from overbar.kernels._stacks import mH
from overbar.kernels._triangular_equations import by_columns, triangular_sylvester


def triangular(k, n, kind):
    T = np.random.default_rng(n).standard_normal((2, k, n, n))
    T = T[0] if kind is float else T[0] + 1j * T[1]
    return np.triu(T) / max(n, 1) ** 0.5 + 3 * np.eye(n)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1), (5, 3), (40, 20), (20, 40), (0, 2)])
@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("adjoint", [False, True])
def test_by_columns(shape, kind, adjoint):
    m, n = shape
    R, S, F = triangular(3, m, kind), triangular(3, n, kind), np.random.default_rng(1).standard_normal((3, m, n))
    F = F.astype(kind)
    Y = triangular_sylvester(R, S, F.copy(), adjoint, whole=by_columns)
    np.testing.assert_allclose(R @ Y + Y @ (mH(S) if adjoint else S), F, atol=1e-13)
    for i in range(3):
        np.testing.assert_allclose(Y[i], triangular_sylvester(R[i], S[i], F[i].copy(), adjoint), atol=1e-13)


def test_small_eigenvalues_beside_large_ones():
    R = np.array([[[1e150, 1.0], [0.0, 1e-150]]])
    Y = triangular_sylvester(R, R, R @ R, whole=by_columns)
    np.testing.assert_allclose(Y, R / 2, rtol=1e-14)


def test_no_solution():
    R = np.array([[[1.0, 2.0], [0.0, -1.0]]])
    with pytest.raises(np.linalg.LinAlgError, match="negative of one of S"):
        triangular_sylvester(R, R, R.copy(), whole=by_columns)
