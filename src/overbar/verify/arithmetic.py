"""Exact arithmetic for references: matrices of mpmath numbers.

May import NumPy, and mpmath where it is used.
"""

from __future__ import annotations

import math

import numpy as np


class Exact:
    """What a reference computes with: NumPy object arrays of mpmath numbers.

    ``+ - * / @``, indexing, `.sum()`, `.diagonal()` and the like work on such arrays by themselves. What they lack is
    here, on arrays without batch dimensions: the functions below, and every function of one number that mpmath has
    (``exp, log, sqrt, sin, cos, tanh, gamma, ...``), which is applied to each entry.

    Parameters
    ----------
    digits : int
        The precision.

    Examples
    --------
    >>> mp = Exact(30)
    >>> L = mp.cholesky(mp.array([[2.0, 1.0], [1.0, 2.0]]))
    >>> print(mp.context.nstr(L[0, 0], 25))
    1.414213562373095048801689
    """

    def __init__(self, digits=50):
        try:
            import mpmath
        except ImportError as error:
            raise ImportError('the exact oracle needs mpmath. Install it with: pip install "overbar[test]"') from error

        class Context(mpmath.MPContext):
            """A number times an array is NumPy's business. mpmath refuses it, too, but writes the whole array into a
            message first that nobody reads, which took half the time of an exact reference."""

            def npconvert(self, x):
                if isinstance(x, np.ndarray):
                    raise TypeError("an array is no number")
                return super().npconvert(x)

        self.context = Context()  # one of our own: nobody else's precision changes
        self.context.dps = digits

    def __getattr__(self, name):
        if name.startswith("__") or name == "context":
            raise AttributeError(name)
        function = getattr(self.context, name)
        applied = np.frompyfunc(function, 1, 1)
        return lambda A: np.asarray(applied(A), dtype=object)

    # -- in and out

    def number(self, x):
        """A Python or NumPy number as an mpmath one, without rounding."""
        return self.context.mpc(complex(x)) if np.iscomplexobj(x) else self.context.mpf(float(x))

    def array(self, A):
        """An array of floats as an object array, without rounding."""
        A = np.asarray(A)
        if A.dtype == object:
            return A
        exact = np.empty(A.shape, dtype=object)
        for index in np.ndindex(A.shape):
            exact[index] = self.number(A[index])
        return exact

    def float(self, A):
        """An object array rounded to float64, to complex128 where a number in it is complex."""
        A = np.asarray(A, dtype=object)
        complex_ = any(isinstance(x, (complex, self.context.mpc)) for x in A.flat)
        return np.array([complex(x) if complex_ else float(x) for x in A.flat]).reshape(A.shape)

    # -- entry by entry

    def power(self, A, p):
        """Aᵖ, entry by entry; the arrays broadcast."""
        return np.asarray(np.frompyfunc(self.context.power, 2, 1)(A, p), dtype=object)

    def conj(self, A):
        return np.asarray(np.frompyfunc(lambda x: self.context.conj(x), 1, 1)(A), dtype=object)

    def real(self, A):
        return np.asarray(np.frompyfunc(lambda x: x.real, 1, 1)(A), dtype=object)

    def imag(self, A):
        return np.asarray(np.frompyfunc(lambda x: x.imag, 1, 1)(A), dtype=object)

    def abs(self, A):
        return np.asarray(np.frompyfunc(abs, 1, 1)(A), dtype=object)

    # -- shapes and triangles

    def zeros(self, shape):
        A = np.empty(shape, dtype=object)
        A[...] = self.context.mpf(0)
        return A

    def eye(self, n):
        A = self.zeros((n, n))
        for i in range(n):
            A[i, i] = self.context.mpf(1)
        return A

    def mT(self, A):
        return A.T

    def mH(self, A):
        return self.conj(A).T

    def tril(self, A, k=0):
        """The entries with j − i ≤ k, zero elsewhere."""
        return self._where(np.tril(np.ones(A.shape, bool), k), A)

    def triu(self, A, k=0):
        """The entries with j − i ≥ k, zero elsewhere."""
        return self._where(np.triu(np.ones(A.shape, bool), k), A)

    def _where(self, keep, A):
        B = self.zeros(A.shape)
        B[keep] = A[keep]
        return B

    # -- linear algebra

    def inner(self, A, B):
        """Re Σ conj(A) B."""
        return sum((self.real(self.conj(A) * B)).flat, start=self.context.mpf(0))

    def cholesky(self, A):
        """The lower factor L of A = L Lᴴ. Reads the lower triangle of A."""
        n, L = len(A), self.zeros(A.shape)
        for j in range(n):
            rest = A[j:, j] - L[j:, :j] @ self.conj(L[j, :j]) if j else A[j:, j]
            L[j, j] = self.context.sqrt(rest[0].real)
            L[j + 1 :, j] = rest[1:] / L[j, j]
        return L

    def solve(self, A, B):
        """A⁻¹ B for square A and a matrix or vector B, by elimination with pivots."""
        n, A, X = len(A), A.copy(), B.copy()
        self._eliminate(A, X)
        for i in reversed(range(n)):
            if i + 1 < n:
                X[i] = X[i] - A[i, i + 1 :] @ X[i + 1 :]
            X[i] = X[i] / A[i, i]
        return X

    def inverse(self, A):
        return self.solve(A, self.eye(len(A)))

    def det(self, A):
        A = A.copy()
        sign = self._eliminate(A, self.zeros((len(A), 0)))
        return math.prod(A.diagonal(), start=self.context.mpf(sign))

    def svd(self, A, full_matrices=False):
        """U, the singular values in descending order, and Vᴴ; the signs and phases are any."""
        ctx = self.context
        m, n = A.shape
        if not m or not n:
            return self.eye(m)[:, : m * full_matrices], self.zeros((0,)), self.eye(n)[: n * full_matrices]
        U, S, Vh = ctx.svd(ctx.matrix(A.tolist()), full_matrices=full_matrices)
        as_array = lambda M: np.array(M.tolist(), dtype=object).reshape(M.rows, M.cols)  # noqa: E731
        return as_array(U), as_array(S)[:, 0], as_array(Vh)

    def _eliminate(self, A, B):
        """Turn A into an upper triangle and B with it, in place. Returns the sign of the permutation."""
        sign = 1
        for j in range(len(A)):
            pivot = max(range(j, len(A)), key=lambda i: abs(A[i, j]))
            if pivot != j:
                sign = -sign
                A[[j, pivot]], B[[j, pivot]] = A[[pivot, j]], B[[pivot, j]]
            for i in range(j + 1, len(A)):
                if A[i, j] != 0:
                    factor = A[i, j] / A[j, j]
                    A[i, j:] = A[i, j:] - factor * A[j, j:]
                    B[i] = B[i] - factor * B[j]
        return sign
