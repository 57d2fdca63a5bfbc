"""What length scales, variances and noise must be: their dtype, their shape and their sign.

May import `overbar._namespace` and `overbar._primitive`.
"""

import functools
import operator

from overbar._messages import dtype_name
from overbar._namespace import front, namespace

_REMEDY = "it as exp(θ) or softplus(θ), so that no step of an optimiser leads there."


def real(name, **arguments):
    """Refuse complex arrays, by their names."""
    for argument, A in arguments.items():
        if A is not None and namespace(A).is_complex(A):
            raise front(A).DtypeError(
                f"{name}: argument {argument} has dtype {dtype_name(A.dtype)}, but covariances are "
                f"functions of real numbers. Pass the real and imaginary parts of inputs as dimensions of their own."
            )


def one_or_each(name, argument, A, of, B, axis, words):
    """Refuse a vector A that has neither one entry nor one for each row or column of B, the argument `of`."""
    count, size = A.shape[-1], B.shape[axis]
    if count != 1 and None not in (count, size) and count != size:
        raise front(A, B).ShapeError(
            f"{name}: argument {argument} of shape {tuple(A.shape)} does not fit {of} of shape {tuple(B.shape)}. Pass "
            f"{words}: its last dimension counts them, batch dimensions go in front of it."
        )


def positive(name, vectors, numbers):
    """What `required` has to look at for vectors, as rows, and numbers that must be positive, by their names."""
    names = [*vectors, *numbers]
    argument = ", ".join(names[:-1]) + " or " * (len(names) > 1) + names[-1]
    signs = [namespace(row).all(row > 0, axis=(-2, -1)) for row in vectors.values()]
    fine = functools.reduce(operator.and_, signs + [number > 0 for number in numbers.values()])
    return fine, f"{name}: argument {argument} is not positive. Parametrise {_REMEDY}", argument


def not_negative(name, argument, number):
    """The same for a number that may be zero."""
    return number >= 0, f"{name}: argument {argument} is negative or NaN. Parametrise {_REMEDY}", argument


def noise_of_rows(name, noise, of, B):
    """The same for noise (..., k) on the diagonal of a matrix with a row for each of B's, the argument `of`: a variance
    for all rows or one for each."""
    one_or_each(name, "noise", noise, of, B, -2, "one number, or one for each row")
    message = f"{name}: argument noise is negative or NaN. It is a variance: parametrise {_REMEDY}"
    return namespace(noise).all(noise >= 0, axis=-1), message, "noise"


def required(A, *checks):
    """The matrices A, once all checks are known to hold, each of which says where (booleans of the batch
    dimensions), the message and the argument that it is about."""
    return front(A).require_all(A, checks)
