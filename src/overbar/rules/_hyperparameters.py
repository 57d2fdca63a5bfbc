"""What length scales, variances and noise must be: their dtype, their shape and their sign.

May import `overbar._namespace` and `overbar._primitive`.
"""

import functools
import operator

from overbar._namespace import front, namespace
from overbar._primitive import dtype_name

_REMEDY = "so that no step of an optimiser leads there."


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


def positive(name, inputs, vectors, **numbers):
    """Vectors, length scales for instance, as rows (..., 1, l), and numbers as (..., 1, 1), both by their names, which
    must all be positive. One look finds out, as a device has to be waited for."""
    names, numbers = [*vectors, *numbers], list(numbers.values())
    rows = [vector[..., None, :] for vector in vectors.values()]
    signs = [namespace(row).all(row > 0, axis=(-2, -1)) for row in rows] + [number > 0 for number in numbers]
    fine = functools.reduce(operator.and_, signs)
    argument = ", ".join(names[:-1]) + " or " * (len(names) > 1) + names[-1]
    message = f"{name}: argument {argument} is not positive. Parametrise it as exp(θ) or softplus(θ), {_REMEDY}"
    rows[0] = front(*inputs, *rows, *numbers).require(rows[0], fine, message, argument)
    return *rows, *[number[..., None, None] for number in numbers]


def not_negative(name, argument, number):
    """A number, which must not be negative, as (..., 1, 1)."""
    message = f"{name}: argument {argument} is negative or NaN. Parametrise it as exp(θ) or softplus(θ), {_REMEDY}"
    return front(number).require(number[..., None, None], number >= 0, message, argument)


def noise_of_rows(name, noise, of, B):
    """Noise (..., k) on the diagonal of a matrix with a row for each of B's, the argument `of`: a variance for all rows
    or one for each."""
    one_or_each(name, "noise", noise, of, B, -2, "one number, or one for each row")
    rows = noise[..., None, :]
    message = (
        f"{name}: argument noise is negative or NaN. It is a variance: parametrise it as exp(θ) or softplus(θ), "
        f"{_REMEDY}"
    )
    return front(B, noise).require(rows, namespace(rows).all(rows >= 0, axis=(-2, -1)), message, "noise")[..., 0, :]
