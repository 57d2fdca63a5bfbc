"""Functions that user code in NumPy needs beside the primitives of the registry: those of NumPy and SciPy, by name.

May import `averages`, `choosing`, `complex_parts`, `contracting`, `exponential_sums`, `networks` and
`special_functions`. Some are primitives, the others are made of primitives. They are offered by `overbar`, and take
arrays of every library; no framework needs ops for them, as it has such functions of its own.
"""

from overbar.rules._averages import mean, std, var
from overbar.rules._choosing import clip, maximum, minimum, relu, where
from overbar.rules._complex_parts import abs, conj, imag, real, sign
from overbar.rules._contracting import einsum, expand_dims, outer, squeeze, stack
from overbar.rules._exponential_sums import logaddexp, logsumexp, softmax
from overbar.rules._networks import affine_columns
from overbar.rules._special_functions import digamma, erf, expm1, gammaln, log1p, polygamma, sigmoid, softplus

FUNCTIONS = {
    f.__name__: f
    for f in (
        abs, affine_columns, clip, conj, digamma, einsum, erf, expand_dims, expm1, gammaln, imag, log1p, logaddexp,
        logsumexp, maximum, mean, minimum, outer, polygamma, real, relu, sigmoid, sign, softmax, softplus, squeeze,
        stack, std, var, where,
    )
}  # fmt: skip

__all__ = [*FUNCTIONS]
