"""Many matrices of order two: eigenvalues, eigenvectors and polar factors by formulas, as exact as an iteration's.

May import `overbar._namespace` and `rules.phases`. A library's loop over matrices of two by two spends most of its
time on calls. Here an entry of all matrices is one vector. There are such formulas for order three, too, by the roots
of a cubic; they lose half of the digits where eigenvalues are close (Kopp 2008, arXiv:physics/0610206), so that they
are not used.
"""

from overbar._namespace import front, mH, namespace
from overbar.rules._phases import OF_EIGENVECTORS

__all__ = ["are_of_two", "eigh_of_two", "polar_of_two"]

#: So many there must be: for fewer, forty calls of array words take as long as the library's loop.
MANY = 1000


def are_of_two(A):
    """Whether these are many matrices of order two, known by now, and quicker by formulas where they are. Not if one is
    not finite, where that can be seen: the library has its own way to say so."""
    shape = namespace(A).static_shape(A)
    if shape is None or len(shape) < 3 or shape[-1] != 2 or shape[-2] != 2:
        return False
    count = 1
    for size in shape[:-2]:
        if type(size) is not int:  # not known yet, or a symbol of a compiler
            return False
        count *= size
    library, xp = front(A), namespace(A)
    if count < MANY or not library.prefers_vectors(A, 2, count):
        return False
    return not library.may_compute(A) or bool(xp.isfinite(xp.max(xp.abs(A))))


def eigh_of_two(A):
    """The eigenvalues in ascending order, and eigenvectors, as `phases.fixed` has them, of Hermitian matrices [[a, b̄],
    [b, d]]. NaN, both, where an entry is not finite.

    By the rotation that makes the matrix diagonal (Jacobi 1846). With b = |b| e^{iφ}, its tangent t is the smaller root
    of t² + 2ζt − 1 = 0, ζ = (d − a)/2|b|; the eigenvalues are a − t|b| and d + t|b|, and the eigenvectors are
    (c, −s e^{iφ}) and (s, c e^{iφ}). |t| ≤ 1, so that nothing cancels but what does in a and d; no square of an entry
    is formed."""
    xp = namespace(A)
    a, d, b = xp.real(A[..., 0, 0]), xp.real(A[..., 1, 1]), A[..., 1, 0]
    size, half_gap = xp.abs(b), d / 2 - a / 2
    # beside such a gap nothing is left of b, and the square of its inverse might overflow
    diagonal = size <= xp.eps(A) ** 2 * xp.abs(half_gap)
    size = xp.where(diagonal, xp.ones_like(size), size)
    zeta = half_gap / size
    tangent = xp.abs(zeta) + xp.sqrt(1 + zeta * zeta)
    tangent = xp.where(zeta < 0, -1 / tangent, 1 / tangent)
    tangent = xp.where(diagonal, xp.zeros_like(tangent), tangent)
    cosine = 1 / xp.sqrt(1 + tangent * tangent)
    sine, moved = tangent * cosine, tangent * size
    finite = xp.isfinite(xp.abs(a) / 4 + xp.abs(d) / 4 + size / 4)
    nan = xp.where(finite, xp.zeros_like(a), xp.zeros_like(a) + float("nan"))
    first, second = a - moved + nan, d + moved + nan
    swap = first > second
    w = xp.stack([xp.where(swap, second, first), xp.where(swap, first, second)], axis=-1)
    phase = _over_size(xp, xp.where(diagonal, xp.ones_like(b), b), size)
    x, y = xp.where(swap, sine, cosine) + nan, xp.where(swap, cosine, -sine) + nan
    (up, down), (up_right, down_right) = _turned(xp, x, y, phase), _turned(xp, -y, x, phase)
    return w, xp.reshape(xp.stack([up, up_right, down, down_right], axis=-1), xp.static_shape(A))


def _turned(xp, x, y, phase):
    """The column (x, e^{iφ} y), for real x and y, with the free factor that `phases.fixed` would choose."""
    first = xp.abs(x) >= OF_EIGENVECTORS * xp.abs(y)
    pivot = xp.where(first, x, y)
    sign = xp.where(pivot < 0, -xp.ones_like(x), xp.ones_like(x))
    x, y = xp.cast(sign * x, phase), xp.cast(sign * y, phase)
    return xp.where(first, x, xp.conj(phase) * x), xp.where(first, phase * y, y)


def _over_size(xp, b, size):
    """b/|b|, for b other than zero."""
    if not xp.is_complex(b):
        return xp.where(b < 0, -xp.ones_like(b), xp.ones_like(b))
    least = xp.smallest_scale(size)  # complex numbers that are smaller overflow as denominators
    scale = xp.where(size < least, xp.ones_like(size) / least, xp.ones_like(size))
    return b * xp.cast(scale, b) / xp.cast(size * scale, b)


def polar_of_two(A, side):
    """U and P of A = U P, or of A = P U for side "left", with the eigenvalues of P, in descending order, and its
    eigenvectors. NaN where an entry is not finite.

    With A = W Σ Vᴴ, Cramer's rule says of the adjugate that adj(A)ᴴ = φ̄ W diag(σ₂, σ₁) Vᴴ, where φ = det A/|det A|. So
    A + φ adj(A)ᴴ = (σ₁ + σ₂) W Vᴴ is a multiple of U, which the norm of a column tells. Its entries may cancel, but not
    all of a column: what they lose is rounding beside σ₁."""
    xp = namespace(A)
    B = A / xp.cast(xp.power_of_two(A), A)
    a, b, c, d = (B[..., i, j] for i in (0, 1) for j in (0, 1))
    det = a * d - b * c
    singular = xp.equal(det, 0)
    det = xp.where(singular, xp.ones_like(det), det)
    phase = _over_size(xp, det, xp.abs(det))
    p, q = a + phase * xp.conj(d), c - phase * xp.conj(b)
    norm = xp.sqrt(xp.abs(p) ** 2 + xp.abs(q) ** 2)
    none = xp.equal(norm, 0)  # A is zero
    norm = xp.cast(xp.where(none, xp.ones_like(norm), norm), A)
    p, q = xp.where(none, xp.ones_like(p), p) / norm, q / norm
    U = xp.reshape(xp.stack([p, -phase * xp.conj(q), q, phase * xp.conj(p)], axis=-1), xp.static_shape(A))
    P = mH(U) @ A if side == "right" else A @ mH(U)
    P = (P + mH(P)) / 2
    w, V = eigh_of_two(P)
    w = xp.maximum(w, xp.zeros_like(w))
    return U, P, xp.stack([w[..., 1], w[..., 0]], axis=-1), xp.stack([V[..., 1], V[..., 0]], axis=-1)
