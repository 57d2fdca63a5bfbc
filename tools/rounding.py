"""Whether two printed results are the same but for rounding, which differs between processors.

May import the standard library.
"""

import re

__all__ = ["agree"]

#: of each number, and of what two of them are compared by, so much counts as rounding: single precision is printed with
#: five digits or more
TOLERANCE = 1e-5

_NUMBER = re.compile(r"((?:[-+]|(?<![\w.]))(?:\d+\.\d*|\.\d+|\d+)(?:e[-+]?\d+)?)(?=j?(?![\w.]))")


def agree(one: str, other: str) -> bool:
    """Whether two texts have the same words and, to rounding, the same numbers. What is small beside the largest
    number is rounding, too; whole numbers without a point are compared as they are.

    Examples
    --------
    >>> agree("tensor([0., 1.])", "tensor([3.2e-08, 1.0000])")
    True
    >>> agree("(2, tensor([1., 1.]))", "(3, tensor([1., 1.]))")
    False
    """
    words, others = (["".join(part.split()) for part in _NUMBER.split(text)] for text in (one, other))
    if words[::2] != others[::2]:
        return False
    pairs = [*zip(words[1::2], others[1::2], strict=True)]
    floats = [(float(a), float(b)) for a, b in pairs if "." in a + b or "e" in a + b]
    largest = max((max(abs(a), abs(b)) for a, b in floats), default=0.0)
    whole = [(a, b) for a, b in pairs if "." not in a + b and "e" not in a + b]
    return all(a == b for a, b in whole) and all(abs(a - b) <= TOLERANCE * largest for a, b in floats)
