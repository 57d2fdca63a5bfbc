"""Functions of a matrix with all their Fréchet derivatives: one recurrence for each function, and two rules for all.

May import NumPy, `overbar._namespace`, `overbar._primitive` and `overbar._kernel`.

The k-th Fréchet derivative D^k f(A)[E₁, …, E_k] is the coefficient of ε₁⋯ε_k in f(A + ε₁E₁ + … + ε_kE_k), where every
εᵢ² = 0. A `Jet` is such a polynomial in the εᵢ with matrices for coefficients. Jets can be added and multiplied, and an
algorithm that consists of such steps (scaling and squaring, inverse scaling and squaring) computes, when it is run on
jets, the derivative of what it computes on matrices. That is the function of a block triangular matrix,

    f([[A, E], [0, A]])  =  [[f(A), D f(A)[E]], [0, f(A)]],

for k directions of one with 2^k blocks in a row, without the blocks that are zero or occur twice: a product of jets is
3^k products of matrices in the place of 8^k.

Both rules lead back to the same family. The forward rule is another direction, as D^k f is symmetric and linear in its
directions:

    d/dt D^k f(A + tȦ)[E₁, …]  =  D^(k+1) f(A)[E₁, …, Ȧ].

For the reverse rule write f as a sum of words in A (a polynomial; others are limits of such). Turn the trace of a word
until the moving direction stands last,

    tr(C̄ᴴ A^a E A^b Ȧ A^c)  =  tr(A^c C̄ᴴ A^a E A^b Ȧ),

which is again a word of D^(k+1) f, now with C̄ᴴ as a direction, and each word comes once. Hence

    ⟨C̄, D^(k+1) f(A)[E₁, …, Ȧ]⟩  =  ⟨(D^(k+1) f(A)[E₁, …, C̄ᴴ])ᴴ, Ȧ⟩.

Sources: Higham (2008), Functions of Matrices, chapter 3 (Theorem 3.6: the block triangular matrix); Mathias (1996) and
Higham and Relton (2014) for higher derivatives; Al-Mohy and Higham (2009) for recurrences in the place of blocks.
"""

import functools
import inspect
import math
import operator
import threading

import numpy as np

from overbar._kernel import kernel
from overbar._namespace import mH, namespace
from overbar._primitive import Primitive, once

# The degree of Taylor polynomials, which are evaluated in powers of X⁵ (sine and cosine: of X¹⁰).
DEGREE = 20


class Jet:
    """A polynomial in ε₁, …, ε_k with εᵢ² = 0, and matrices for coefficients.

    ``parts[s]`` is the coefficient of the product of those εᵢ whose bit i is set in s; None is zero. `parts[0]` is the
    matrix itself, and the last part the k-th derivative.
    """

    def __init__(self, parts):
        self.parts = parts

    @classmethod
    def along(cls, A, *directions):
        """A + ε₁E₁ + … + ε_kE_k."""
        parts = [None] * 2 ** len(directions)
        parts[0] = A
        for i, E in enumerate(directions):
            parts[1 << i] = E
        return cls(parts)

    def __matmul__(self, other):
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

    def plus_identity(self, factor):
        """Self + factor · I."""
        A = self.parts[0]
        return Jet([A + factor * namespace(A).eye_like(A), *self.parts[1:]])


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
    total = powers[-1] * c[-1]
    for start in reversed(range(0, len(c) - 1, q)):
        for i in range(1, q):
            total = total + powers[i - 1] * c[start + i]
        total = total.plus_identity(c[start])
        if start:
            total = total @ powers[-1]
    return total


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


def _at_least(xp, x, number):
    least = xp.zeros_like(x) + number
    return xp.where(x > least, x, least)


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


def longest_term(xp, A, degree, order):
    """log₂ of how large the terms with `degree` factors get in the series of a derivative along `order` directions,
    relative to those with one factor A.

    The directions cut the factors into up to order + 1 runs: j runs are about ‖|A|^⌈degree/j⌉‖ʲ. Runs, and not ‖A‖ⁱ,
    because the norm of a matrix far from normal says little about its powers: [[1, 1e9], [0, −1]] needs no more
    scaling than diag(1, −1) does (Al-Mohy and Higham, 2009, A new scaling and squaring algorithm).
    """
    runs = [math.ceil(degree / j) for j in range(order + 1, 0, -1)]
    norm, *norms = run_norms(xp, A, sorted({1, *runs}))
    norm = _at_least(xp, norm, 0.0)
    lengths = sorted(set(runs) - {1})
    found = None
    for j, length in zip(range(order + 1, 0, -1), runs, strict=True):
        if length > 1:
            term = j * (norms[lengths.index(length)] - norm)
            found = term if found is None else xp.where(term > found, term, found)
    return found


def halvings(xp, A, order):
    """How often A must be halved for a Taylor polynomial of exp to be exact to rounding, derivatives included: the
    first term that it lacks, times the `DEGREE` + 1 for each differentiation, is below 2⁻⁵³. An array of whole numbers,
    one for each matrix; 0 where A is not finite."""
    missing = DEGREE + 1
    bits = 53 + order * math.log2(missing) - math.log2(math.factorial(missing))
    s = xp.ceil((longest_term(xp, A, missing, order) + bits) / DEGREE)
    return xp.where(xp.isfinite(s) & (s > 0), s, xp.zeros_like(s))


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

    parts = xp.repeat(s, masked, [P for jet in state for P in jet.parts])
    return [Jet(parts[k * order : (k + 1) * order]) for k in range(count)]


def exponential(xp, X):
    """The jet exp(X): a Taylor polynomial of X/2^s, squared s times."""
    A = X.parts[0]
    s = halvings(xp, A, len(X.parts).bit_length() - 1)
    X = X * xp.cast(2.0 ** (-s), A)[..., None, None]
    total = polynomial_of(powers_of(X, 5), [1 / math.factorial(i) for i in range(DEGREE + 1)])
    (total,) = doubled(xp, s, [total], lambda jets: [jets[0] @ jets[0]])
    return total


def sine_and_cosine(xp, X):
    """The jets sin(X) and cos(X): Taylor polynomials of X/2^s, and the angle doubled s times, as in (c + i s)², but
    with an i of its own beside that of complex matrices: no digit of a small sine is lost."""
    A = X.parts[0]
    s = halvings(xp, A, len(X.parts).bit_length() - 1)
    X = X * xp.cast(2.0 ** (-s), A)[..., None, None]
    powers = powers_of(X @ X, 5)
    half = range(DEGREE // 2 + 1)
    sine = X @ polynomial_of(powers, [(-1) ** i / math.factorial(2 * i + 1) for i in half])
    cosine = polynomial_of(powers, [(-1) ** i / math.factorial(2 * i) for i in half])

    def twice(jets):
        sine, cosine = jets
        return [(sine @ cosine) * 2, cosine @ cosine + (sine @ sine) * -1]

    return doubled(xp, s, [sine, cosine], twice)


# -- a primitive and its derivatives -----------------------------------------------------------------------------------

_algorithms = {}  # by the names of the primitives: the jet of the function from the jet of A
_evaluations = {}  # or its last part, from A and the directions


def evaluate(name, A, *directions, parameters=(), **options):
    """D^k f(A)[E₁, …, E_k], for the function of this name. `parameters` are arrays, a number for each matrix."""
    xp = namespace(A)
    if A.shape[-1] == 0:
        rest = (*directions, *(xp.cast(x, A)[..., None, None] for x in parameters))
        return functools.reduce(operator.add, rest, A)  # nothing, in the shape of the batch
    if name in _evaluations:
        return _evaluations[name](A, *directions, **options)
    algorithm, everywhere = _algorithms[name]
    if everywhere and xp.sees_numbers(A, *directions):
        return algorithm(xp, Jet.along(A, *directions), *parameters, **options).parts[-1]
    (found,) = xp.on_host(_kernel(name, len(directions), len(parameters)), A, *directions, *parameters, **options)
    return found


def algorithm(name, everywhere=False, parameters=0):
    """Say by which function of a namespace and a jet the primitive of this name is computed. `everywhere`: in the words
    of any namespace, for any batch; else in NumPy, for stacks (k, n, n). So many arrays of parameters come behind."""

    def register(function):
        _algorithms[name] = function, everywhere
        for order in range(4):  # before a compiler traces a call: orders above are rare
            _kernel(name, order, parameters)
        return function

    return register


def evaluated_by(name):
    """Say by which function of A, any number of directions and the options the primitive of this name and its
    derivatives are computed, where an algorithm on jets is not all of it."""

    def register(function):
        _evaluations[name] = function
        return function

    return register


@functools.cache
def _kernel(name, order, parameters):
    """The kernel of D^k f."""

    def function(A, *rest, **options):
        jet = Jet.along(A, *rest[:order])
        return _algorithms[name][0](namespace(A), jet, *rest[order:], **options).parts[-1]

    function.__name__ = f"{name}_along_{order}"
    return kernel(_signature(order, parameters), stacked=True)(function)


def _signature(order, parameters):
    return f"{','.join(['(n,n)'] * (order + 1) + ['()'] * parameters)}->(n,n)"


_derivatives = {}  # by the names of their functions, and orders
_lock = threading.RLock()  # while one is made: no other thread may see it without its rules


def differentiable(f, by_parameter=None):
    """Give the primitive f both rules of the family. If it has parameters behind A, ``by_parameter(A, directions,
    *parameters)`` is a list of the derivatives by each of them of D^k f(A)[E₁, …, E_k]."""
    _by_parameters[f.name] = by_parameter
    return _with_rules(f, f, 0)


_by_parameters = {}


def _with_rules(p, f, order):
    """Give p, the derivative of f of this order, both rules of the family."""

    def along(A, directions, parameters, **options):
        return derivative(f, len(directions))(A, *directions, *parameters, **options)

    def replaced(directions, i, E):
        return (*directions[:i], E, *directions[i + 1 :])

    def slopes(A, directions, parameters):
        return once(lambda: _by_parameters[f.name](A, directions, *parameters))

    @p.vjp
    def _(C_bar, C, A, *rest, **options):
        xp, bar, directions, parameters = namespace(A), mH(C_bar), rest[:order], rest[order:]
        by_parameter = slopes(A, directions, parameters)
        return (
            lambda: mH(along(A, (*directions, bar), parameters, **options)),
            *(lambda i=i: mH(along(A, replaced(directions, i, bar), parameters, **options)) for i in range(order)),
            *(
                lambda i=i: xp.sum(xp.real(xp.conj(C_bar) * by_parameter()[i]), axis=(-2, -1))
                for i in range(len(parameters))
            ),
        )

    @p.jvp
    def _(C, A, *rest, **options):
        xp, directions, parameters = namespace(A), rest[:order], rest[order:]
        by_parameter = slopes(A, directions, parameters)
        return (
            lambda A_dot: along(A, (*directions, A_dot), parameters, **options),
            *(lambda E_dot, i=i: along(A, replaced(directions, i, E_dot), parameters, **options) for i in range(order)),
            *(
                lambda dot, i=i: xp.cast(xp.real(dot), C)[..., None, None] * by_parameter()[i]
                for i in range(len(parameters))
            ),
        )

    return p


def by_product(f, g, A, directions, *parameters):
    """D^k (f g)(A)[E₁, …, E_k], where f has the parameters: the product rule, a term for each subset of the Eᵣ."""
    count, total = len(directions), 0
    for s in subsets(2**count - 1):
        chosen = [E for i, E in enumerate(directions) if s >> i & 1]
        others = [E for i, E in enumerate(directions) if not s >> i & 1]
        total = total + derivative(f, len(chosen))(A, *chosen, *parameters) @ derivative(g, len(others))(A, *others)
    return total


def derivative(f, order):
    """The primitive D^k f(A)[E₁, …, E_k], k = order. One that nobody wrote is made when first asked for."""
    if order == 0:
        return f
    found = _derivatives.get((f.name, order))
    if found is None:
        with _lock:
            found = _derivatives.get((f.name, order)) or _made(f, order)
    return found


def _made(f, order):
    names = f.arguments[1:]

    def function(A, *rest, **options):
        if names:
            options["parameters"] = tuple(namespace(x).real(x) for x in rest[order:])
        return evaluate(f.name, A, *rest[:order], **options)

    function.__name__ = function.__qualname__ = f"{f.name}_derivative_{order}"
    names_of_all = ["A", *(f"E{i + 1}" for i in range(order)), *names]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names_of_all]
    for name, default in f.defaults.items():
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default))
    function.__signature__ = inspect.Signature(parameters)
    made = _with_rules(Primitive(function, _signature(order, len(names)), real=f.real), f, order)
    _derivatives[f.name, order] = made
    return made


def first_derivative(f):
    """Make the primitive below the first derivative of f: one that has a name and a docstring of its own."""

    def register(p):
        _derivatives[f.name, 1] = _with_rules(p, f, 1)
        return p

    return register
