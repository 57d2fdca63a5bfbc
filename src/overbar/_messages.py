"""What errors say of a matrix: which of the batch it is, what is wrong with it, and what to do.

May import NumPy and SciPy.
"""

from __future__ import annotations

import re

import numpy as np
import scipy.linalg

# -- messages --------------------------------------------------------------------------------------------------------


def dtype_name(dtype):
    """What a message calls a dtype of any library."""
    return getattr(dtype, "name", dtype)


def which_matrix(index):
    """The words that say which matrix of a batch is meant; nothing where there is no batch."""
    index = tuple(int(i) for i in index)
    if not index:
        return ""
    return f" (matrix {index[0] if len(index) == 1 else index} of the batch)"


def placed(message, argument, index):
    """A message about an argument, with the matrix of the batch that is meant."""
    return message.replace(f"argument {argument}", f"argument {argument}{which_matrix(index)}")


def singular(argument, index):
    """The message for a matrix of a batch that has no inverse."""
    return f"argument {argument}{which_matrix(index)} is singular, so that there is no {argument}⁻¹ B."


def no_inverse(argument, index):
    """The same, where the inverse itself was asked for."""
    return f"argument {argument}{which_matrix(index)} is singular: it has no inverse."


def not_finite(argument, index, entry, value, function="cholesky"):
    """The message for a matrix of a batch with an entry that is NaN or infinite."""
    return (
        f"{function}: argument {argument}{which_matrix(index)} is not finite: its entry {tuple(entry)} is {value}. "
        "Remove or replace such entries before the call."
    )


def bad_minor(argument, index, order):
    """The message for a matrix of a batch whose leading minor of this order is not positive."""
    return (
        f"cholesky: argument {argument}{which_matrix(index)} is not positive definite: its leading minor of order "
        f"{order} is not positive. If it should be, rounding may be the cause: add a small multiple of the identity to "
        f"{argument}, or compute {argument} in a higher precision."
    )


def not_positive_definite(A, argument):
    """The message for the first matrix of A (..., n, n; a NumPy array) that has no Cholesky factor."""
    for index in np.ndindex(A.shape[:-2]):
        lower = np.tril(A[index])
        finite = np.isfinite(lower)
        if not finite.all():
            entry = tuple(np.argwhere(~finite)[0].tolist())
            return not_finite(argument, index, entry, lower[entry])
        (potrf,) = scipy.linalg.get_lapack_funcs(("potrf",), (lower,))
        _, info = potrf(lower, lower=True)
        if info > 0:
            return bad_minor(argument, index, info)
    return f"cholesky: argument {argument} is not positive definite to working precision."


def definiteness(A):
    """What is known of a matrix (n, n; a NumPy array) that should be positive definite and is not, in a sentence: where
    its lower triangle is not finite; else its eigenvalues, and how far it is from Hermitian."""
    bad = np.argwhere(~np.isfinite(np.tril(A)))
    if len(bad):
        place = tuple(bad[0].tolist())
        others = f", and {len(bad) - 1} more are not finite either" if len(bad) > 1 else ""
        return f"Its entry {place} is {A[place]}{others}. Remove or replace such entries before the call."
    wide = A.astype(np.result_type(A, np.float64))
    smallest, largest = np.linalg.eigvalsh(wide)[[0, -1]]
    words = f"Its eigenvalues, of the lower triangle and its mirror image, are from {smallest:.6g} to {largest:.6g}"
    gap = abs(wide - wide.conj().T)
    place = tuple(int(i) for i in np.unravel_index(np.argmax(gap), gap.shape))
    if not gap[place]:
        return f"{words}; it is Hermitian."
    return (
        f"{words}; it is not Hermitian: the entries {place} and {place[::-1]} differ by {gap[place]:.6g}, and only the "
        "lower one is read."
    )


def first_not_finite(function, A, argument):
    """The message for the first entry of A (a NumPy array) that is not finite, None where all are."""
    bad = np.argwhere(~np.isfinite(A))
    if not len(bad):
        return None
    place = tuple(bad[0].tolist())
    return not_finite(argument, place[:-2], place[-2:], A[place], function)


def bad_spectrum(function, A, argument):
    """The message where eigenvalues of A (a NumPy array) were not found."""
    return first_not_finite(function, A, argument) or (
        f"{function}: the algorithm did not converge for argument {argument}. Is it scaled extremely?"
    )


# -- whose message it is ---------------------------------------------------------------------------------------------

#: what begins a line of a message from a word that looked at a matrix
_OF_A_WORD = re.compile(r"^(?:(?:cholesky|eigh|eig|svd|solve|inv): )?(?=argument |pivot )")

_NAMED = re.compile(r"^\w+: ")


#: the words that look at a matrix, by what they say of it where they do not give their names
_SAID_BY = (("so that there is no ", "solve"), ("it has no inverse", "inv"))


def of_function(name, arguments, message, argument=None):
    """The message of a word as that of the function that a user called: it begins with its name, says what is wrong
    with which argument, and then what the library says. `argument` is what the matrix is called there, if the word did
    not know. A message that has the name of a function already is left as it is."""
    first, *others = sorted(message.split("\n"), key=lambda line: _OF_A_WORD.match(line) is None)
    word = _OF_A_WORD.match(first)
    if word is not None:
        first = first[word.end() :]
    elif _NAMED.match(first):
        return message

    def put(found):
        if found[1] in arguments:
            return found[0]
        return f"the matrix {found[1]}" if argument is None else f"argument {argument}"

    first = re.sub(r"^argument (\w+)", put, first)
    if argument is not None:
        first = first.replace("no A⁻¹ B", f"no {argument}⁻¹ B")
    return "\n".join([f"{name}: {first}", *others])


def of_inner(name, message, inner, known=None):
    """The message of a function, or of a word, as that of a primitive whose function calls it with an array that is
    none of its own, although it may have the same letter: "f: in cholesky: argument A is ...". `inner` says that it
    comes from a primitive. Where the array is an argument of the primitive, `known` is what the inner function calls
    it and what it is called here: then the message speaks of that. None for a message of the primitive's own."""
    first, *others = sorted(message.split("\n"), key=lambda line: _OF_A_WORD.match(line) is None)
    if not inner and not _OF_A_WORD.match(first):
        return None
    if not _NAMED.match(first):
        word = next((word for words, word in _SAID_BY if words in first), None)
        if word is None:
            return None
        first = f"{word}: {first}"
    if known is not None:
        theirs, ours = map(re.escape, known)
        first = re.sub(
            rf"\b(argument |identity to |compute |no ){theirs}\b", rf"\g<1>{ours}", _NAMED.sub("", first, count=1)
        )
        return "\n".join([f"{name}: {first}", *others])
    return "\n".join([f"{name}: in {first}", *others])


def inner_argument(message):
    """What a function calls the argument of which its message speaks; None where it speaks of none."""
    found = re.match(r"(?:\w+: )?argument (\w+)", message)
    return found and found[1]
