"""Jets: polynomials in ε₁, …, ε_k with εᵢ² = 0 and matrices for coefficients, and power series of them.

May import NumPy and `overbar._namespace`. Jets can be added and multiplied, and an algorithm that consists of such
steps (scaling and squaring, inverse scaling and squaring) computes, when it is run on jets, the derivative of what it
computes on matrices: `overbar.rules._frechet` has the derivation.
"""

import functools
import math
import operator

import numpy as np

from overbar._namespace import front, namespace

# The degree of Taylor polynomials, which are evaluated in powers of X⁵ (sine and cosine: of X¹⁰).
DEGREE = 20

# Up to this order of a matrix, a product takes NumPy hardly longer than a call.
SMALL = 32


class Jet:
    """A polynomial in ε₁, …, ε_k with εᵢ² = 0, and matrices for coefficients.

    ``parts[s]`` is the coefficient of the product of those εᵢ whose bit i is set in s; None is zero. `parts[0]` is the
    matrix itself, and the last part the k-th derivative.
    """

    def __init__(self, parts):
        self.parts = parts

    @property
    def xp(self):
        """The namespace of the matrices."""
        return namespace(self.parts[0])

    @property
    def order(self):
        """The number k of directions."""
        return len(self.parts).bit_length() - 1

    @property
    def derivative(self):
        """The k-th derivative, the last part, as a matrix even where it is zero."""
        found = self.parts[-1]
        return self.xp.zeros_like(self.parts[0]) if found is None else found

    @classmethod
    def along(cls, A, *directions):
        """A + ε₁E₁ + … + ε_kE_k."""
        parts = [None] * 2 ** len(directions)
        parts[0] = A
        for i, E in enumerate(directions):
            parts[1 << i] = E
        return cls(parts)

    def __matmul__(self, other):
        if len(self.parts) == 1:
            return Jet([self.parts[0] @ other.parts[0]])
        return Jet([self.coefficient(other, s, subsets(s)) for s in range(len(self.parts))])

    def coefficient(self, other, s, chosen):
        """The part of ε^s of a product, as far as it comes from the chosen parts of self."""
        terms = [(self.parts[t], other.parts[s ^ t]) for t in chosen]
        products = [P @ Q for P, Q in terms if P is not None and Q is not None]
        return functools.reduce(operator.add, products) if products else None

    def __add__(self, other):
        pairs = zip(self.parts, other.parts, strict=True)
        return Jet([P if Q is None else Q if P is None else P + Q for P, Q in pairs])

    def __mul__(self, factor):
        return Jet([None if P is None else P * factor for P in self.parts])

    def __getitem__(self, index):
        """The jets of some matrices of a stack."""
        return Jet([None if P is None else P[index] for P in self.parts])

    def replaced(self, index, other):
        """The jets of a stack, those of some of its matrices replaced."""
        parts = list(self.parts)
        for s, P in enumerate(other.parts):
            if P is None and parts[s] is None:
                continue
            kept = np.zeros_like(self.parts[0]) if parts[s] is None else parts[s]
            parts[s] = np.array(kept, dtype=kept.dtype if P is None else np.result_type(kept, P))
            parts[s][index] = 0 if P is None else P
        return Jet(parts)

    def in_blocks(self):
        """The same jet as one matrix with 2^k blocks in a row, where that is small: a product takes longer to begin
        than to compute there, and this is one instead of 3^k. For NumPy's arrays; others stay as they are."""
        n = self.parts[0].shape[-1]
        there = [P for P in self.parts if P is not None]
        if not all(type(P) is np.ndarray and P.ndim == 2 for P in there) or len(self.parts) * n > SMALL:
            return self
        M = np.zeros((len(self.parts) * n,) * 2, np.result_type(*there))
        for column in range(len(self.parts)):
            for row in subsets(column):
                P = self.parts[column ^ row]
                if P is not None:
                    M[row * n : (row + 1) * n, column * n : (column + 1) * n] = P
        return Jet([M])

    def out_of_blocks(self, order):
        """The jet of this order that `in_blocks` has made one matrix of, if it did."""
        if len(self.parts) == 2**order:
            return self
        n = self.parts[0].shape[-1] >> order
        return Jet([self.parts[0][:n, i * n : (i + 1) * n] for i in range(2**order)])

    def plus_identity(self, factor):
        """Self + factor · I."""
        A = self.parts[0]
        return Jet([A + factor * self.xp.eye_like(A), *self.parts[1:]])


def subsets(s):
    """The subsets t of a set s of bits, from s itself to the empty one."""
    t = s
    while t:
        yield t
        t = (t - 1) & s
    yield 0


def polynomial_of(powers, c):
    """Σ cᵢ Xⁱ for numbers cᵢ, from the powers X, X², …, X^q: Horner's rule in X^q (Paterson and Stockmeyer, 1973), with
    one product for each q coefficients. The degree must be a multiple of q."""
    q = len(powers)
    # the coefficients of X, X², … in the polynomials that stand beside X^q, the highest of which has X^q itself, too
    rows = [c[start + 1 : start + q] for start in range(0, len(c) - 1, q)]
    rows[-1] = [*rows[-1], c[-1]]
    constants = c[:-1:q]
    parts = range(len(powers[0].parts))
    total = None
    for found in zip(*(_combined(powers, s, rows[::-1], constants[::-1]) for s in parts), strict=True):
        total = Jet(found) if total is None else total @ powers[-1] + Jet(found)
    return total


def _combined(powers, s, rows, constants):
    """The parts of ε^s of Σⱼ rⱼ Xʲ for each row, with its constant times the identity."""
    there = [j for j, X in enumerate(powers) if X.parts[s] is not None]
    if len(there) < len(powers):
        rows = [[row[j] for j in there if j < len(row)] for row in rows]
    return powers[0].xp.combined([powers[j].parts[s] for j in there], rows, None if s else constants)


def powers_of(X, count):
    """X, X², …, X^count."""
    powers = [X]
    while len(powers) < count:
        powers.append(powers[-1] @ X)
    return powers


def by_squaring(X, n):
    """X^n for n ≥ 1, by squaring: of a matrix, or of a jet."""
    result = None
    while True:
        if n % 2:
            result = X if result is None else result @ X
        n //= 2
        if not n:
            return result
        X = X @ X


def run_norms(xp, A, lengths):
    """log₂ ‖|A|ʲ‖₁ for the lengths j in ascending order, where |A| has the moduli of the entries.

    They cost a product with a vector each, bound ‖Aʲ‖₁, and say how large the terms of a power series get before they
    cancel. Norms below 2⁻⁶⁰ count as that.
    """
    A = xp.abs(A)
    v = xp.sum(A, axis=-2)
    logarithm, found = 0.0, []
    for j in range(1, lengths[-1] + 1):
        if j > 1:
            v = (v[..., None, :] @ A)[..., 0, :]
        norm = _at_least(xp, xp.max(v, axis=-1), 2.0**-60)
        v = v / norm[..., None]
        logarithm = logarithm + xp.log2(norm)
        if j in lengths:
            found.append(logarithm)
    return found


def _at_least(xp, x, number):
    return xp.maximum(x, xp.zeros_like(x) + number)


def longest_term(xp, A, degree, order, norms_of=run_norms):
    """log₂ of how large the terms with `degree` factors get in the series of a derivative along `order` directions,
    relative to those with one factor A.

    The directions cut the factors into up to order + 1 runs: j runs are about ‖|A|^⌈degree/j⌉‖ʲ. Runs, and not ‖A‖ⁱ,
    because the norm of a matrix far from normal says little about its powers: [[1, 1e9], [0, −1]] needs no more
    scaling than diag(1, −1) does (Al-Mohy and Higham, 2009, A new scaling and squaring algorithm).
    """
    runs = [math.ceil(degree / j) for j in range(order + 1, 0, -1)]
    norm, *norms = norms_of(xp, A, sorted({1, *runs}))
    norm = _at_least(xp, norm, 0.0)
    lengths = sorted(set(runs) - {1})
    found = None
    for j, length in zip(range(order + 1, 0, -1), runs, strict=True):
        if length > 1:
            term = j * (norms[lengths.index(length)] - norm)
            found = term if found is None else xp.where(term > found, term, found)
    return found


def halvings(A, order, norms_of=run_norms):
    """How often A must be halved for a Taylor polynomial of exp to be exact to rounding, derivatives included: the
    first term that it lacks, times the `DEGREE` + 1 for each differentiation, is below 2⁻⁵³. An array of whole numbers,
    one for each matrix; 0 where A is not finite."""
    xp = namespace(A)
    s = xp.ceil((longest_term(xp, A, DEGREE + 1, order, norms_of) + _bits(order)) / DEGREE)
    return xp.where(xp.isfinite(s) & (s > 0), s, xp.zeros_like(s))


def _bits(order):
    """log₂ of how large the first term that the polynomial lacks is for powers of norm 1, in units of 2⁻⁵³."""
    missing = DEGREE + 1
    return 53 + order * math.log2(missing) - math.log2(math.factorial(missing))


def norm_of_no_halving(order):
    """A matrix with at most this 1-norm is not halved: ‖|A|^j‖ ≤ ‖A‖ʲ."""
    return 2 ** (-_bits(order) / DEGREE)


def doubled(xp, s, state, step):
    """`step`, which takes a list of jets, applied s times to those of a matrix, where s differs in a batch."""
    count, order = len(state), len(state[0].parts)

    def masked(i, parts):
        active = (i < s)[..., None, None]
        if len(s.shape):
            # a product that is not wanted must not overflow
            parts_in = [xp.where(active, P, xp.zeros_like(P)) for P in parts]
        else:
            parts_in = parts
        jets = step([Jet(parts_in[k * order : (k + 1) * order]) for k in range(count)])
        found = [P for jet in jets for P in jet.parts]
        return [xp.where(active, P, Q) for P, Q in zip(found, parts, strict=True)] if len(s.shape) else found

    parts = front(s).repeat(s, masked, [P for jet in state for P in jet.parts])
    return [Jet(parts[k * order : (k + 1) * order]) for k in range(count)]


def exponential(X, count=halvings):
    """The jet exp(X): a Taylor polynomial of X/2^s, squared s times, where s is what `count` says."""
    A, xp = X.parts[0], X.xp
    s = count(A, X.order)
    order, X = X.order, (X * xp.cast(2.0 ** (-s), A)[..., None, None]).in_blocks()
    total = polynomial_of(powers_of(X, 5), [1 / math.factorial(i) for i in range(DEGREE + 1)])
    (total,) = doubled(xp, s, [total], lambda jets: [jets[0] @ jets[0]])
    return total.out_of_blocks(order)


def sine_and_cosine(X, count=halvings):
    """The jets sin(X) and cos(X): Taylor polynomials of X/2^s, and the angle doubled s times, as in (c + i s)², but
    with an i of its own beside that of complex matrices: no digit of a small sine is lost."""
    A, xp = X.parts[0], X.xp
    s = count(A, X.order)
    order, X = X.order, (X * xp.cast(2.0 ** (-s), A)[..., None, None]).in_blocks()
    powers = powers_of(X @ X, 5)
    half = range(DEGREE // 2 + 1)
    sine = X @ polynomial_of(powers, [(-1) ** i / math.factorial(2 * i + 1) for i in half])
    cosine = polynomial_of(powers, [(-1) ** i / math.factorial(2 * i) for i in half])

    def twice(jets):
        sine, cosine = jets
        return [(sine @ cosine) * 2, cosine @ cosine + (sine @ sine) * -1]

    return [jet.out_of_blocks(order) for jet in doubled(xp, s, [sine, cosine], twice)]
