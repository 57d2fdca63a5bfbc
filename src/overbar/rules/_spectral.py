"""Functions of symmetric (Hermitian) matrices, with derivatives of any order.

May import `overbar._namespace`, `overbar._primitive`, `rules.decompositions`, `rules.equal_values` and `rules.scalars`.
"""

import functools
import itertools
import math
import operator

import numpy as np

from overbar._namespace import front, mH, mT, namespace
from overbar._primitive import primitive
from overbar.rules._decompositions import eigenpairs
from overbar.rules._equal_values import from_eigen, hermitian_part
from overbar.rules._scalars import FEW, NODES


def _parameters(args, of):
    """The parameters of f, each with a dimension for the eigenvalues: (..., 1)."""
    return () if args is None else tuple(namespace(args).real(args)[..., i : i + 1] for i in range(_count(args, of)))


def _count(args, of):
    """The number of parameters. Where sizes are not known, in a graph, it is that of the derivatives by them."""
    count = of.count if args.shape[-1] is None else args.shape[-1]
    if count is None:
        library = front(args)
        raise library.ShapeError(
            "spectral_function: the number of parameters in args, its last dimension, must be known when the graph is "
            f"built, unless dargs are given. {library.tell_sizes}"
        )
    return count


def decomposition(A, of, args=None):
    """Eigenvalues and eigenvectors. For a function of numbers that are not negative, an eigenvalue that is negative by
    rounding only counts as zero, and one that is negative indeed as NaN, which is what comes of it then."""
    xp = namespace(A)
    w, V = eigenpairs(A)
    w = xp.real(w)
    nonnegative = of.nonnegative(*_parameters(args, of)) if callable(of.nonnegative) else of.nonnegative
    if nonnegative is not False:
        n = xp.sum(xp.ones_like(w), axis=-1, keepdims=True)  # a size may be unknown while a graph is built
        rounding = xp.eps(w) * n * _largest(w)
        limited = xp.where(w < -rounding, xp.full_like(w, math.nan), xp.where(w < 0, xp.zeros_like(w), w))
        w = limited if nonnegative is True else xp.where(nonnegative, limited, w)
    return w, V


def _largest(w):
    """The largest of the eigenvalues in size, (..., 1); zero where there are none."""
    xp = namespace(w)
    return xp.sum(xp.maximum(xp.abs(w[..., :1]), xp.abs(w[..., -1:])), axis=-1, keepdims=True)


def value_of(A, of, args=None):
    """f(A) = V f(w) Vᴴ, with w and V, which are kept for the derivatives."""
    w, V = decomposition(A, of, args)
    C = from_eigen(of.derivative(0)(w, *_parameters(args, of)), V)
    if args is not None:  # the parameters may have batch dimensions that A lacks
        xp, batch = namespace(A), namespace(A).shape(C)[:-2]
        w = xp.broadcast_to(w, (*batch, xp.shape(w)[-1]))
        V = xp.broadcast_to(V, xp.shape(C))
    return C, w, V


# A wide gap is at least one part in so many of the distance between the smallest and the largest eigenvalue. Two wide
# gaps, and two that are neither wide nor those of near pairs (1e-4 of it, often), differ by about this factor at most.
WIDE = 64


class _Pairs:
    """What the derivatives have to know of each pair of eigenvalues: n by n matrices in the dtype of A."""

    def __init__(self, w, V, of, parameters=()):
        self.xp, self.w, self.V, self.of = namespace(w), w, V, of
        self.parameters = parameters
        self.pairwise = tuple(a[..., None] for a in parameters)
        self.x, self.y = w[..., :, None], w[..., None, :]
        self.gap = self.x - self.y
        self.equal = self.xp.equal(self.gap, 0)
        self.slopes = self.ends(1)
        self.divided = of.divided(self.x, self.y, *self.pairwise) if of.divided is not None else self.mean()
        self.first = self.matrix(self.divided)
        self._orders = {}

    def matrix(self, M):
        return self.xp.cast(M, self.V)

    def ends(self, k):
        """The k-th derivative at both eigenvalues of each pair."""
        v = self.of.derivative(k)(self.w, *self.parameters)
        return v[..., :, None], v[..., None, :]

    def between(self, k, t):
        """The k-th derivative at λj + t (λi − λj)."""
        return self.of.derivative(k)(self.y + t * self.gap, *self.pairwise)

    def mean(self):
        """The first divided differences, where there is no formula for them."""
        xp, safe = self.xp, self.xp.where(self.equal, self.xp.ones_like(self.gap), self.gap)
        fx, fy = self.ends(0)
        quotient = (fx - fy) / safe
        # the nodes lie symmetrically: one at 1 − t for a pair is one at t for the pair the other way round
        values = [(c, few, self.between(1, t)) for (t, c), few in zip(NODES, FEW, strict=True) if t < 1 / 2]
        half = sum(c * value for c, _, value in values)
        mean = half + mT(half)
        slope_x, slope_y = map(xp.abs, self.slopes)
        size = xp.abs(fx) + xp.abs(fy) + xp.abs(self.x) * slope_x + xp.abs(self.y) * slope_y
        rounding = 8 * xp.eps(self.w) * size / xp.abs(safe)
        taken = self.equal | (xp.abs(quotient - mean) <= rounding)
        # f may be computed from larger numbers than itself, as w − sin w is, and be off by more than that. Where the
        # gap is so small that half of the digits are lost anyway, it is enough that f′ is smooth between the two.
        root = xp.eps(self.w) ** 0.5
        if self.w.shape[-1] != 0 and xp.near_pairs(self.w, root) != ():  # a size may be unknown, as the pairs may
            few = sum(few * value for _, few, value in values if few)
            slope = xp.max(xp.abs(self.of.derivative(1)(self.w, *self.parameters)), axis=-1, keepdims=True)[..., None]
            smooth = xp.abs(mean - few - mT(few)) <= root * (slope_x + slope_y) + 64 * xp.eps(self.w) * slope
            taken = taken | (smooth & (xp.abs(self.gap) <= root * _largest(self.w)[..., None]))
        return xp.where(taken, mean, quotient)

    def order(self, m):
        """For derivatives of order m: for wide gaps, and then for the narrower ones of pairs that are not near, their
        inverses 1/(λi − λj), and ones for the pairs that remain then, unless it is seen that there are no such gaps;
        and the m-th derivative of f in the middle between the two."""
        if m not in self._orders:
            self._orders[m] = self._order(m)
        return self._orders[m]

    def _order(self, m):
        xp, middle = self.xp, self.between(m, 1 / 2)
        near = self._near(m, middle)
        width = xp.sum(xp.abs(self.w[..., -1:] - self.w[..., :1]), axis=-1)[..., None, None]  # of no eigenvalues, too
        close = near | (xp.abs(self.gap) < width / WIDE)
        one, zero = xp.ones_like(self.gap), xp.zeros_like(self.gap)
        inverse, levels = xp.where(near, zero, 1 / xp.where(near, one, self.gap)), []
        for divided, remaining in [(~close, close), (close & ~near, near)]:
            if not front(divided).may_hold(divided):  # then nothing remains that remained not before
                continue
            levels.append((self.matrix(xp.where(divided, inverse, zero)), self.matrix(xp.where(remaining, one, zero))))
        # An infinite one, between eigenvalues on both sides of a pole, belongs to no near pair, and would make NaN of
        # the zeros there.
        middle = xp.where(self.equal | xp.isfinite(middle), middle, zero)
        return levels, self.matrix(middle)

    def _near(self, m, middle):
        """Which pairs are near, for derivatives of order m.

        All is measured in the units of a slope, f⁽ᵐ⁾ δᵐ⁻¹ with the gap δ, so that no small gap divides:

        - `curved`, the error of the mean of f⁽ᵐ⁾ that is taken for near pairs. It is exact for polynomials of degree 2:
          a third difference. One over the whole interval is 0 for every even function where the eigenvalues are −a and
          a. Of two, over its first and its last three quarters, one is not.
        - `apart`, the distance of that mean from the difference over the gap, for f[x, ..., x, y] and f[x, y, ..., y].
          It tells a jump of f′ between the eigenvalues, which f⁽ᵐ⁾ does not see.
        - the rounding of the difference over the gap, which is ε times the slopes between the two, `own`. (Slopes
          towards eigenvalues further away do not matter: a wide gap has divided before.)
        """
        xp, gap, eps, factorial = self.xp, self.xp.abs(self.gap), self.xp.eps(self.w), math.factorial(m)
        power = gap ** (m - 1)
        x, y = self.ends(m)
        first, last = self.between(m, 1 / 4), self.between(m, 3 / 4)  # counted from y
        thirds = xp.maximum(xp.abs(y - 3 * first + 3 * middle - last), xp.abs(first - 3 * middle + 3 * last - x))
        curved = 64 / 27 * thirds * power  # as if over the whole interval
        rounding = 20 * eps * xp.maximum(xp.maximum(xp.abs(x), xp.abs(y)), xp.abs(middle)) * power

        slope_x, slope_y = map(xp.abs, self.slopes)
        own = xp.maximum(xp.maximum(slope_x, slope_y), xp.abs(self.between(1, 1 / 2)))
        bent_x, bent_y = self.ends(2)
        # the most that f′ and its differences may be off: those of 1 − cos w, for one, have the rounding of 1
        noise = 64 * eps * factorial * (self._largest(own) + xp.abs(self.x * bent_x) + xp.abs(self.y * bent_y))
        apart = xp.maximum(self._apart(m, 0, x, y, middle), self._apart(m, 1, x, y, middle))
        bound = xp.maximum(factorial * eps * own + rounding, xp.minimum(apart, noise))
        return self.equal | (xp.isfinite(own) & (apart <= noise + factorial * 1e-4 * own) & (curved <= bound))

    def _largest(self, own):
        """The largest of the first divided differences of either eigenvalue of a pair with any other, and `own`."""
        xp = self.xp
        if own.shape[-1] == 0:
            return own
        size = xp.abs(self.divided)
        row = xp.max(xp.where(xp.isfinite(size), size, xp.zeros_like(size)), axis=-1)
        return xp.maximum(own, xp.maximum(row[..., :, None], row[..., None, :]))

    def _apart(self, m, end, x, y, middle):
        """|f[x, ..., x, y]| with m times x, or for the other `end` with m times y, as the mean of f⁽ᵐ⁾ less what
        f[x, ..., x, y] = (f⁽ᵏ⁾(x)/k! − f[x, ..., y])/(x − y) makes of it; in the units above and times m!."""
        gap, other = (self.gap, y) if end == 0 else (-self.gap, x)
        here = (x, y)[end]
        difference = self.divided
        for k in range(1, m):
            difference = self.ends(k)[end] / math.factorial(k) * gap ** (k - 1) - difference
        edge, corner = _weights(m)
        mean = edge * (math.comb(m, 2) * here + m * middle) + corner * (m * here + other)
        return self.xp.abs(mean * gap ** (m - 1) - math.factorial(m) * difference)


def _weights(m):
    """Of f⁽ᵐ⁾ in the middle of each edge and at each corner of a simplex, for a mean that is exact to degree 2."""
    return 4 / ((m + 1) * (m + 2)), (2 - m) / ((m + 1) * (m + 2))


def _chain(pairs, factors):
    """Σ f[λ(0), ..., λ(m)] E₁(0, 1) E₂(1, 2) ... over all inner indices, by matrix products.

    A wide gap divides before a narrower one does: of f[x, y, z] with x and y close and z far from them,
    (f[x, y] − f[x, z])/(y − z) keeps all digits, and the difference over x − y would have the rounding of f[x, z].
    """
    m = len(factors)
    if m == 1:
        return pairs.first * factors[0]
    total = 0
    for inverse, remaining in pairs.order(m)[0]:
        links, rest = [inverse * E for E in factors], [remaining * E for E in factors]
        total = total - links[0] @ _chain(pairs, factors[1:]) + _chain(pairs, rest[:-1]) @ links[-1]
        for r in range(m - 1):  # without the eigenvalue between two factors
            joined = links[r] @ factors[r + 1] - rest[r] @ links[r + 1]
            total = total + _chain(pairs, [*rest[:r], joined, *factors[r + 2 :]])
        factors = rest
    return total + _near_chain(pairs, factors)


def _near_chain(pairs, factors):
    """The same where eigenvalues that stand next to each other are near."""
    m = len(factors)
    edge, corner = _weights(m)
    middle = pairs.order(m)[1]
    total = 0
    for r, s in itertools.combinations(range(m + 1), 2):
        total = total + edge * _product(*factors[:r], middle * _product(*factors[r:s]), *factors[s:])
    if corner:
        above, below = map(pairs.matrix, pairs.ends(m))
        total = total + corner * above * _product(*factors)
        for r in range(1, m + 1):
            total = total + corner * _product(_product(*factors[:r]) * below, *factors[r:])
    return total / math.factorial(m)


def _product(*factors):
    return functools.reduce(operator.matmul, factors)


def _derivative(A, E, w, V, args, of):
    """The k-th derivative of f(A) along the k directions in E, for k = 0 f(A) itself."""
    xp, w, parameters = namespace(A), namespace(A).real(w), _parameters(args, of)
    if E.shape[-3] == 0:
        return from_eigen(of.derivative(0)(w, *parameters), V)
    if of.degree is not None:  # the derivatives of a power may overflow where their products with E do not
        size = _largest(w)
        size = 2.0 ** xp.round(xp.log(xp.where(size > 0, size, xp.ones_like(size))) / math.log(2))
        w, E = w / size, E / xp.cast(size, E)[..., None, None]
    pairs = _Pairs(w, V, of, parameters)
    turned = [mH(V) @ (hermitian_part(E[..., r, :, :]) @ V) for r in range(E.shape[-3])]
    if len(turned) == 1:
        total = _chain(pairs, turned)
    else:  # a chain read backwards is the conjugate transpose
        orders = [order for order in itertools.permutations(range(len(turned))) if order[0] < order[-1]]
        total = sum(_chain(pairs, [turned[r] for r in order]) for order in orders)
        total = total + mH(total)
    if of.degree is not None:
        degree = of.degree(*parameters) if callable(of.degree) else of.degree
        if not isinstance(degree, float) or degree:
            half = xp.cast(size ** (degree / 2), V)[..., None]  # its square alone may overflow
            total = total * half * half
    return hermitian_part(V @ (total @ mH(V)))


@primitive("(n,n),(k,n,n),(n),(n,n)->(n,n)", hermitian=("A",))
def spectral_derivative(A, E, w, V, *, of):
    """The k-th derivative of f(A), A Hermitian, along the k directions in E, of which the Hermitian parts count.
    `spectral_function` has the derivation.

    A function of A and E: w and V, the eigenvalues and eigenvectors, depend on A and get no bars. So A is decomposed
    once for the derivatives of every order.
    """
    return _derivative(A, E, w, V, None, of)


@primitive("(n,n),(k,n,n),(n),(n,n),(p)->(n,n)", hermitian=("A",), real=("args",))
def parametric_spectral_derivative(A, E, w, V, args, *, of):
    """The same of a function f with parameters, of which it is a function, too."""
    return _derivative(A, E, w, V, args, of)


class At:
    """f(A) and its derivatives at one matrix, and at one vector of parameters or without any."""

    def __init__(self, A, w, V, args, of):
        self.A, self.w, self.V, self.args, self.of = A, namespace(A).cast(w, V), V, args, of

    def derivative(self, E, of=None):
        """The k-th derivative along the k directions in E, (..., k, n, n)."""
        if self.args is None:
            return spectral_derivative(self.A, E, self.w, self.V, of=of or self.of)
        return parametric_spectral_derivative(self.A, E, self.w, self.V, self.args, of=of or self.of)

    def along(self, E):
        """The first derivative along E, or by self-adjointness the bar of A for the bar E."""
        return self.derivative(E[..., None, :, :])

    def by_parameters(self, E):
        """The derivatives by each parameter of the k-th derivative along E."""
        if self.of.partial is None:
            raise NotImplementedError("spectral_function: d2args are the last derivatives by args that it takes.")
        return [self.derivative(E, self.of.partial(i)) for i in range(_count(self.args, self.of))]

    def args_bar(self, C_bar, E):
        """The bar of the parameters: θ̄ᵢ = ⟨C̄, ∂C/∂θᵢ⟩."""
        xp = namespace(C_bar)
        return xp.stack([xp.sum(xp.real(xp.conj(C_bar) * G), axis=(-2, -1)) for G in self.by_parameters(E)], axis=-1)

    def args_dot(self, E, args_dot):
        """The term of Ċ that comes from the parameters: Σ θ̇ᵢ ∂C/∂θᵢ."""
        xp = namespace(args_dot)
        return sum(
            G * xp.cast(xp.real(args_dot[..., i]), G)[..., None, None] for i, G in enumerate(self.by_parameters(E))
        )


def no_derivative(A):
    """No directions."""
    return A[..., None, :, :][..., :0, :, :]


def _with(E, H, like):
    """The directions E and H, all with the batch dimensions of `like`."""
    xp = namespace(like)
    batch, core = xp.shape(like)[:-2], xp.shape(like)[-2:]
    E = xp.broadcast_to(E, (*batch, E.shape[-3], *core))
    H = xp.broadcast_to(H[..., None, :, :], (*batch, 1, *core))
    return xp.concat([E, H], axis=-3)


def _without(E, r):
    return namespace(E).concat([E[..., :r, :, :], E[..., r + 1 :, :, :]], axis=-3)


def _derivative_vjp(C_bar, C, A, E, w, V, args=None, *, of):
    xp, k, at = namespace(A), E.shape[-3], At(A, w, V, args, of)

    def from_E():
        if k == 0:
            return xp.zeros_like(E)
        if k == 1:
            return at.along(C_bar)[..., None, :, :]
        bars = [at.derivative(_with(_without(E, r), C_bar, C_bar)) for r in range(k)]
        return xp.stack(bars, axis=-3)

    bars = lambda: at.derivative(_with(E, C_bar, C_bar)), from_E, None, None
    return bars if args is None else (*bars, lambda: at.args_bar(C_bar, E))


def _derivative_jvp(C, A, E, w, V, args=None, *, of):
    k, at = E.shape[-3], At(A, w, V, args, of)

    def from_E(E_dot):
        if k == 0:
            return namespace(C).zeros_like(C)
        if k == 1:
            return at.derivative(E_dot)
        return sum(at.derivative(_with(_without(E, r), E_dot[..., r, :, :], C)) for r in range(k))

    dots = lambda A_dot: at.derivative(_with(E, A_dot, C)), from_E, None, None
    return dots if args is None else (*dots, lambda args_dot: at.args_dot(E, args_dot))


for _primitive in (spectral_derivative, parametric_spectral_derivative):
    _primitive.vjp(_derivative_vjp)
    _primitive.jvp(_derivative_jvp)


def register_rules(p, of):
    """Register the two rules of a function of a matrix; `of` makes its function of a number out of its options."""

    @p.vjp
    def _(C_bar, outputs, A, **options):
        at = At(A, *outputs[1:], None, of(**options))
        return (lambda: at.along(C_bar),)

    @p.jvp
    def _(outputs, A, **options):
        at = At(A, *outputs[1:], None, of(**options))
        return (lambda A_dot: (at.along(A_dot),),)


def register_parametric_rules(p, of):
    """The same for a function with parameters, the vector `args`; for an empty one without them."""

    @p.vjp
    def _(C_bar, outputs, A, args, **options):
        given = args if args.shape[-1] != 0 else None
        at = At(A, *outputs[1:], given, of(**options))

        def args_bar():
            return namespace(args).zeros_like(args) if given is None else at.args_bar(C_bar, no_derivative(A))

        return lambda: at.along(C_bar), args_bar

    @p.jvp
    def _(outputs, A, args, **options):
        given = args if args.shape[-1] != 0 else None
        at = At(A, *outputs[1:], given, of(**options))

        def from_args(args_dot):
            return (None if given is None else at.args_dot(no_derivative(A), args_dot),)

        return lambda A_dot: (at.along(A_dot),), from_args


def exact_spectral(mp, A, f):
    """f(A) with 50 digits."""
    matrix = mp.context.matrix(A.tolist())
    real = all(isinstance(a, mp.context.mpf) for a in A.flat)
    w, V = (mp.context.eigsy if real else mp.context.eighe)(matrix)
    w, V = np.array(list(w), dtype=object), np.array(V.tolist(), dtype=object).reshape(A.shape)
    return (V * f(w)) @ mp.mH(V)
