"""What covariance functions share: a variance by which they are multiplied, and noise on the diagonal.

May import `overbar._namespace` and `overbar._primitive`. A covariance function comes twice: of one set of inputs,
`own`, with noise, whose matrix is symmetric, and of two (`_cross`).
"""

from overbar._namespace import namespace
from overbar._primitive import once


def one(*arrays):
    """The number 1."""
    xp = namespace(arrays[0])
    return xp.ones_like(xp.sum(arrays[0], axis=(-2, -1)))


def no_noise(*arrays):
    """None, for all rows."""
    return 0 * one(*arrays)[..., None]


def exponential(S):
    """The squared exponential, of squared distances."""
    return namespace(S).exp(S * -0.5)  # a division takes longer


CROSS = {"variance": one}
OWN = CROSS | {"noise": no_noise}


def with_noise(diagonal, noise, X, lengthscale):
    """The diagonal of a covariance of the rows of X with the noise, each of which is a number or one for each row."""
    # NaN where there is a NaN in the row, and where XLA had no other way to say that arguments are not valid
    return diagonal + noise + namespace(X).sum(0 * X + 0 * lengthscale, axis=-1)


def bars_of_scale(K_bar, total, variance, own):
    """Functions that give the bar of the variance v and, in one set of inputs, that of the noise, from the sum of
    K̄ ∘ K, there without its diagonal."""
    if not own:
        return (lambda: total() / variance,)
    xp = namespace(K_bar)
    diagonal = once(lambda: xp.diagonal(K_bar))
    return lambda: total() / variance + xp.sum(diagonal(), axis=-1), diagonal


def tangents_of_scale(K, variance, own):
    """Functions that give the tangent of K along that of the variance and, in one set of inputs, of the noise."""
    xp = namespace(K)

    def from_variance(dot):
        change = (dot / variance)[..., None, None] * K
        return xp.fill_diagonal(change, dot[..., None] + xp.zeros_like(xp.diagonal(change))) if own else change

    return (from_variance, lambda dot: tangent_of_noise(K, dot))[: 1 + own]


def tangent_of_noise(K, dot):
    xp = namespace(K)
    n = xp.shape(K)[-1]
    return xp.diagonal_embed(dot + xp.zeros_like(xp.diagonal(K)), n, n)
