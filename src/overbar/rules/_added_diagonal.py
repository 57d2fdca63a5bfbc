"""Noise on the diagonal of a covariance matrix, or a shift of any square matrix.

May import `overbar._namespace`, `overbar._primitive`, `rules.all_pairs` and `rules.hyperparameters`.
"""

from overbar._namespace import front, namespace
from overbar._primitive import primitive
from overbar.rules._all_pairs import diagonal_of
from overbar.rules._hyperparameters import noise_of_rows, required


def _for_each_row(noise, K):
    """The diagonal that is added, where one number stands for all rows as well."""
    xp = namespace(K)
    return xp.cast(noise, K) + xp.zeros_like(xp.diagonal(K))


@primitive("(n,n),(k?)->(n,n)", real=("noise",))
def add_diagonal(K, noise):
    """A square matrix with noise added to its diagonal, C = K + diag(σ²), without an identity matrix.

    Parameters
    ----------
    K
        A covariance matrix, sums and products of several for instance, or any square matrix. (`rbf` and its like take
        the noise themselves.)
    noise
        The variance of the noise, real and not negative: one for all, or one for each row.

    Returns
    -------
    array (..., n, n)

    Raises
    ------
    LinAlgError of the array's library
        An entry of the noise is negative or NaN. Under XLA, which cannot raise, the result is NaN.
    The library's error for shapes
        There are neither one nor n of them.

    Notes
    -----
    From Ċ = K̇ + diag(ṅ), with n = σ²,

        K̄ = C̄,    n̄ᵢ = Re C̄ᵢᵢ,

    of which one n for all gets the sum. Source: Rasmussen & Williams (2006), equation 2.20, for the noise. Cost: one
    copy of K; the bar of K is that of C.

    Examples
    --------
    >>> import numpy as np, overbar
    >>> C, pullback = overbar.vjp(overbar.add_diagonal, np.ones((2, 2)), 0.5)
    >>> C
    array([[1.5, 1. ],
           [1. , 1.5]])
    >>> float(pullback(np.array([[1.0, 2.0], [3.0, 4.0]]))[1])
    5.0
    """
    rows = required(noise[..., None, :], noise_of_rows("add_diagonal", noise, "K", K))  # which is of matrices
    xp, noise = namespace(K), rows[..., 0, :]
    size = xp.shape(K)[-1]
    shift = _for_each_row(noise, K)
    buffer = front(K).buffer(K, shift[..., None])
    if buffer is None:
        return K + xp.diagonal_embed(shift, size, size)
    buffer[...] = K
    diagonal_of(buffer)[...] += shift
    return buffer


@add_diagonal.vjp
def _(C_bar, C, K, noise):
    return lambda: C_bar, lambda: namespace(C_bar).real(namespace(C_bar).diagonal(C_bar))


@add_diagonal.jvp
def _(C, K, noise):
    xp = namespace(K)

    def from_noise(dot):
        size = xp.shape(K)[-1]
        return xp.diagonal_embed(_for_each_row(dot, K), size, size)

    return lambda K_dot: K_dot, from_noise


@add_diagonal.samples
def _(case):
    yield case(case.normal(4, 4), case.real(4))
    yield case(case.normal(3, 3), case.real(1))


@add_diagonal.reference
def _(mp, K, noise):
    return K + noise[:, None] * mp.eye(len(K))
