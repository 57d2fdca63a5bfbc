"""Solutions of ill-conditioned systems, corrected until ten digits are right: for NumPy.

May import NumPy, SciPy and `overbar._messages`.
"""

from __future__ import annotations

import functools
import math
import warnings

import numpy as np
import scipy.linalg
from scipy.linalg import blas

from overbar._messages import which_matrix

_ILL_CONDITIONED = 2e9  # seven digits of sixteen are left


_MOST_STEPS = 5
_LITTLE = 4096  # the entries of which BLAS finds the largest sooner than NumPy, and starts no threads for it


def refined(solve, A, B, X, name, inverse=None):
    """The solution X of A X = B, corrected by X + A⁻¹(B − A X) where A is ill-conditioned; ``solve(A, R, X)`` is A⁻¹R.
    Where corrections do not become small, no digit is certain: a warning says so in the function's name, if it has one.

    A is taken for ill-conditioned where A and X are large beside B. That overlooks right-hand sides which have nothing
    of the direction that A nearly maps to zero, and no solution tells of it: so `inverse` (...), if it is given, is
    about how large A⁻¹ is for each matrix, or less.

    With a residual in twice the working precision each step multiplies the relative error by what that was at first
    (Wilkinson 1963, "Rounding errors in algebraic processes", chapter 3); in working precision it would gain nothing.
    Steps are taken until ten digits are right: one or two up to a condition of 1e12. Cost: n² for well-conditioned
    matrices, for others three products and the solution for another right-hand side in each step. Single precision
    needs none of it, which NumPy's linear algebra computes in double.
    """
    if not X.size or A.dtype.char in "fF" or B.dtype.char in "fF":
        return X
    if A.ndim == B.ndim == 2:
        size = _largest(A)
        known = inverse is not None and _ILL_CONDITIONED < size * float(inverse) < math.inf
        if not (known or size * _largest(X) > _ILL_CONDITIONED * _largest(B)):
            return X
    with np.errstate(all="ignore"):
        size = largest_entry(X)
        lost = told = largest_entry(A) * size > _ILL_CONDITIONED * largest_entry(B)
        if inverse is not None:
            condition = largest_entry(A) * inverse
            # of a solution that is zero, or no number, there is nothing to correct
            lost = lost | ((condition > _ILL_CONDITIONED) & (condition < np.inf) & (size > 0) & (size < np.inf))
        if not lost.any():
            return X
        batch = lost.shape
        A, B, Y = (np.broadcast_to(M, (*batch, *M.shape[-2:]))[lost] for M in (A, B, X))
        first, rate, before = Y.copy(), None, np.inf
        for _ in range(_MOST_STEPS):
            step = solve(A, _residual(A, Y, B), first)
            size = largest_entry(step) / largest_entry(Y)
            rate = size if rate is None else rate
            fine = (rate < 0.1) & (size < before)  # False too where something overflowed, or where A is singular
            Y[fine] += step[fine]
            before = size
            if not (fine & (rate * size > 1e-11)).any():
                break
        # what the next correction would be; where it overflows, and X is not large, it says nothing
        certain = (rate * before < 1e-6) | ~(np.isfinite(rate) | told[lost])
    if name and not certain.all():
        index = tuple(np.argwhere(lost)[np.flatnonzero(~certain)[0]])
        warnings.warn(
            f"{name}: argument A{which_matrix(index)} is ill-conditioned: the result may have no correct digit.",
            scipy.linalg.LinAlgWarning,
            stacklevel=2,
        )
    X[lost] = Y
    return X


@functools.cache
def probe(n):
    """A right-hand side (n, 1) that has something of every direction: signs by chance, the same each time."""
    return np.random.default_rng(n).choice([-1.0, 1.0], (n, 1))


def _largest(A):
    """`largest_entry` of one matrix, as a number of Python's, in less time. A NaN may be overlooked, and the largest of
    complex numbers by a factor of √2."""
    if A.size > _LITTLE:
        return float(max(A.max(), -A.min())) if A.dtype.char == "d" else float(np.abs(A).max())
    entries = A.ravel("K")
    return abs(entries.item((blas.idamax if A.dtype.char == "d" else blas.izamax)(entries)))


def largest_entry(A):
    """The norm max |Aᵢⱼ| of each matrix."""
    return np.abs(A).max((-2, -1), initial=0)


def _residual(A, X, B):
    """B − A X, to about twice the working precision.

    A = A₁ + A₂ and X = X₁ + X₂ are split into leading bits and a rest, with so few bits in A₁ and X₁ that A₁ X₁ has no
    rounding error in any order of summation (Ozaki, Ogita, Oishi & Rump 2012, "Error-free transformations of matrix
    multiplication by using fast routines of matrix multiplication"). The rounding errors of the other products are
    smaller by the bits of A₁.
    """
    bits = (54 - math.ceil(math.log2(2 * A.shape[-1]))) // 2  # 2 n, for complex numbers
    A1, X1 = _leading(A, -1, bits), _leading(X, -2, bits)
    return B - A1 @ X1 - A1 @ (X - X1) - (A - A1) @ X


def _leading(A, axis, bits):
    """The entries of A rounded to so many bits of the largest along an axis."""
    if A.dtype.kind == "c":
        return _leading(A.real, axis, bits) + 1j * _leading(A.imag, axis, bits)
    _, exponent = np.frexp(np.abs(A).max(axis, keepdims=True))
    large = np.ldexp(1.5, exponent + (53 - bits))
    return (A + large) - large
