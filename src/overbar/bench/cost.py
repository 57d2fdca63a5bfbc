"""What a rule costs: each reverse and forward rule beside its own function, in every framework.

May import NumPy, SciPy, `overbar` and, inside functions, the frameworks and their fronts.
"""

from __future__ import annotations

import functools
import math

import numpy as np
import scipy.linalg

from overbar._namespace import front
from overbar.bench.cholesky import Job
from overbar.bench.frameworks import FRAMEWORKS, load
from overbar.rules import REGISTRY
from overbar.verify import Case, Draw, complete, noise

#: The size that is run where nothing is said, and how many times as long as its function a rule may take there.
SIZES = {500: 6.0}

_OFTEN = {"least": 3, "most": 200, "shortest": 2e-4}

RULES = ("reverse", "forward")

#: Why a rule takes longer than that, by the primitive, or by the primitive and the rule.
REASONS = {
    "adjugate": "the function and its rule are made of inverses and products, of which the rule takes more",
    "bilinear_form": "the function reads the n² entries of A once, the bar of A has as many to write",
    "cho_logdet": "the function reads n entries of L, the bar of L has n² to write",
    "cholesky": "the function takes n³/3 flops in one call, the forward rule 5n³/6 in many of small blocks",
    "cholesky_banded": "the function is one call of compiled code, the rule goes from block to block in NumPy",
    "det": "the function takes 2n³/3 flops, the inverse of the rule 2n³ more",
    "diagonal": "the function is a view of n entries, the bar of A has n² to write",
    "gaussian_logpdf_cholesky": "the function solves with L for one column, the bar of L has n² entries to write",
    "kron": "the function writes each number once, the rule reads them and adds up",
    "ldl": "the function takes n³/3 flops, two triangular solves and a product of the rule 3n³ and more",
    "ldl_factor": "the function takes n³/3 flops in one call, three triangular solves and products of the rule 3n³",
    "linear_covariance": "the function is one thin product, the forward rule has a matrix for each of three tangents",
    "lu": "the function takes 2n³/3 flops in one call, the rule 5n³/3 in many of small blocks",
    "matrix_transpose": "function and rule are views, without any work",
    "power": "the function is one call, which takes a microsecond for a small array, each rule ten for two bars",
    "quadratic": "the function reads the n² entries of A once, the bar of A has as many to write",
    "rational_quadratic": "the function goes by blocks in the cache, the forward rule has a matrix for each tangent",
    "rational_quadratic_cross": "as for rational_quadratic",
    "trace": "the function reads n entries of A, the bar of A has n² to write",
}


class Large(Draw):
    """Draws like `Draw`, but matrices so many times as large."""

    def __init__(self, factor, dtype=np.float64):
        super().__init__(0, dtype)
        self.factor = factor

    def _normal(self, *shape):
        return super()._normal(*shape[: len(self.batch)], *(size * self.factor for size in shape[len(self.batch) :]))

    def positive(self, *core):
        return super().positive(*(size * self.factor for size in core))

    def positive_definite(self, n):
        # eigenvalues between 0.4 and 10, without the decomposition of `Draw`
        X = self._normal(n, n)
        return self._cast(0.4 * np.eye(len(X)) + 2.4 * (X @ X.conj().T) / len(X))

    def _well_conditioned(self, n, *views):
        entries = self._normal(n, n)
        return self._cast(np.diag(self.rng.uniform(1, 2, len(entries))) + 0.2 * entries / len(entries) ** 0.5)


def case(name: str, n: int, dtype="float64") -> Case:
    """The first sample of a primitive, with matrices of about n rows: four of a sample become n."""
    primitive = REGISTRY[name]
    draw = Large(max(1, n // 4), np.dtype(dtype))
    drawn = _OWN[name](draw) if name in _OWN else next(iter(primitive.sampler(draw)))
    options = {**drawn.options, "batch_ndim": 0} if primitive.signature.whole else drawn.options
    return complete(primitive, drawn.arrays, options)


def _riccati(draw):
    return draw(draw.square(4), draw.normal(4, 2), draw.positive_definite(4), draw.positive_definite(2))


def _kronecker(draw):
    side = 2 * math.isqrt(draw.factor * 4)  # the product has side⁴ entries
    small = Large(side, draw.dtype)
    return small(small.normal(1, 1), small.normal(1, 1))


def _band(draw, count, **options):
    """A band of so many rows, with a large main diagonal in row 0 or in the middle, and a right-hand side."""
    n = 4 * draw.factor
    ab, b = draw.rng.standard_normal((count, n)), draw.rng.standard_normal((n, 4))
    ab[count // 2 if "l_and_u" in options or count == 3 else 0] += 3 * count
    return draw(draw._cast(ab), draw._cast(b), **options)


def _few_columns(draw, size):
    """A lower factor, and four columns of norms below the size, so that A − V Vᴴ is positive definite, too."""
    L = draw.lower(4)
    n = len(L)
    return draw(draw._cast(L + np.eye(n)), draw._cast(size / (2 * n**0.5) * draw.rng.standard_normal((n, 4))))


def _toeplitz(draw):
    n = 4 * draw.factor
    c, r = draw.rng.standard_normal((2, n))
    c[0] += 2 * n
    return draw(draw._cast(c), draw._cast(r), draw._cast(draw.rng.standard_normal((n, 4))))


def _low_rank(draw):
    """A Gaussian density with a quarter as many columns as there are data."""
    n = 4 * draw.factor
    d = draw.rng.uniform(0.5, 2, n).astype(draw.dtype.type(0).real.dtype)
    return draw(draw.normal(4), draw.normal(4), draw.normal(4, 1), d)


def _reflections(draw):
    n = 4 * draw.factor
    (raw, tau), _ = scipy.linalg.qr(draw.rng.standard_normal((n, max(1, n // 10))), mode="raw")
    return draw(draw._cast(raw), draw._cast(tau))


def _definite_band(draw):
    drawn = _band(draw, 33)
    return draw(drawn.arrays[0], lower=True)


def _packed(draw):
    n = 4 * draw.factor
    return draw(draw._cast(draw.rng.standard_normal(n * (n + 1) // 2)))


def _inputs(draw, sets, *others, **options):
    """As many inputs as a matrix has rows, in 8 dimensions, with a length scale for each."""
    points = draw.rng.uniform(0.5, 2, (sets, 4 * draw.factor, 8))
    return draw(*draw._cast(points), draw._cast([2.0] * 8), *others, **options)


# whose samples are of a fixed size, or of a fixed rank, or would grow too large
_OWN = {
    "add_diagonal": lambda draw: draw(draw.normal(4, 4), draw.real(4 * draw.factor)),
    "cho_solve_banded": lambda draw: _band(draw, 33, lower=True),
    "cholesky_downdate": lambda draw: _few_columns(draw, 0.4),
    "cholesky_update": lambda draw: _few_columns(draw, 1.0),
    "cholesky_banded": _definite_band,
    "fill_triangular": _packed,
    "gaussian_logpdf_low_rank": _low_rank,
    "householder_product": _reflections,
    "kron": _kronecker,
    "linear_covariance": lambda draw: _inputs(draw, 1, draw._cast([0.1])),
    "linear_covariance_cross": lambda draw: _inputs(draw, 2),
    "matern": lambda draw: _inputs(draw, 1, draw._cast(1.5), draw._cast([0.1])),
    "matern_cross": lambda draw: _inputs(draw, 2, draw._cast(1.5)),
    "periodic": lambda draw: _inputs(draw, 1, draw._cast([3.0]), draw._cast(1.5), draw._cast([0.1])),
    "periodic_cross": lambda draw: _inputs(draw, 2, draw._cast([3.0]), draw._cast(1.5)),
    "polar": lambda draw: draw(draw.normal(4, 3)),
    "polynomial_covariance": lambda draw: _inputs(draw, 1, draw._cast(1.5), draw._cast([0.1]), degree=3),
    "polynomial_covariance_cross": lambda draw: _inputs(draw, 2, draw._cast(1.5), degree=3),
    "rational_quadratic": lambda draw: _inputs(draw, 1, draw._cast(0.7), draw._cast(1.5), draw._cast([0.1])),
    "rational_quadratic_cross": lambda draw: _inputs(draw, 2, draw._cast(0.7), draw._cast(1.5)),
    "rbf": lambda draw: _inputs(draw, 1, draw._cast(1.5), draw._cast([0.1])),
    "rbf_cross": lambda draw: _inputs(draw, 2, draw._cast(1.5)),
    "solve_banded": lambda draw: _band(draw, 33, l_and_u=(16, 16)),
    "solve_continuous_are": _riccati,
    "solve_discrete_are": _riccati,
    "solve_toeplitz": _toeplitz,
    "squared_distance": lambda draw: _inputs(draw, 1),
    "squared_distance_cross": lambda draw: _inputs(draw, 2),
    "tridiagonal_solve": lambda draw: _band(draw, 3),
}


def jobs(frameworks, sizes=tuple(SIZES), dtype="float64", names=None, targets=None) -> list[Job]:
    """What there is to measure: for each framework, each size, each rule and each primitive that is a function of
    matrices. (Functions of whole arrays move or add numbers, and their samples are of a fixed size.)"""
    targets = SIZES if targets is None else targets
    names = names or [name for name, primitive in REGISTRY.items() if not primitive.signature.whole]
    found = []
    for framework in frameworks:
        for n in sizes:
            for rule in RULES:
                title = f"{FRAMEWORKS[framework].label}, n = {n}: the {rule} rule beside its function"
                for name in names:
                    things = functools.partial(_things, framework, name, n, dtype, rule)
                    aim = targets.get(n) if dtype == "float64" else None
                    job = Job(
                        framework, title, name, n, ("rule", "function"), things, cost=True, target=aim, options=_OFTEN
                    )
                    found.append(job)
    return found


def _things(framework, name, n, dtype, rule):
    """The rule and the function, on arrays of the framework; in TensorFlow as graphs, and the others as they are."""
    primitive, drawn = REGISTRY[name], case(name, n, dtype)
    arrays, asarray, compiled, finish = _FRAMEWORKS[framework](drawn.arrays)
    library = front(*arrays)
    outputs = tuple(primitive.run(arrays, drawn.options))
    rng = np.random.default_rng(0)
    smooth = [library.xp.is_floating(out) for out in outputs]
    public = range(primitive.public)
    bars = [asarray(_noise(rng, out)) if i in public and smooth[i] else None for i, out in enumerate(outputs)]
    dots = [asarray(_noise(rng, array)) for array in arrays]

    @compiled
    def function(*arrays):
        return tuple(primitive.run(arrays, drawn.options))

    if rule == "reverse":
        used = compiled(
            lambda bars, outputs, arrays: [
                bar for bar in primitive.pull(library, bars, outputs, arrays, drawn.options) if bar is not None
            ]
        )
        return (lambda: finish(used(bars, outputs, arrays))), (lambda: finish(function(*arrays)))
    used = compiled(
        lambda dots, outputs, arrays: [
            dot for dot in primitive.push(library, dots, outputs, arrays, drawn.options) if dot is not None
        ]
    )
    return (lambda: finish(used(dots, outputs, arrays))), (lambda: finish(function(*arrays)))


def _noise(rng, like):
    like = np.asarray(like)
    return noise(rng, like).astype(like.dtype)


def _numpy(arrays):
    return list(arrays), np.asarray, lambda f: f, lambda x: x


def _torch(arrays):
    torch = load("torch")

    def without_gradients(function):
        @functools.wraps(function)
        def run(*args):
            with torch.no_grad():
                return function(*args)

        return run

    return [torch.tensor(A) for A in arrays], torch.tensor, without_gradients, lambda x: x


def _tensorflow(arrays):
    tf = load("tf")
    # .numpy() waits for what is still computed
    return (
        [tf.constant(A) for A in arrays],
        tf.constant,
        lambda f: tf.function(f, autograph=False),
        lambda x: tf.nest.map_structure(lambda t: t.numpy(), x),
    )


_FRAMEWORKS = {"numpy": _numpy, "torch": _torch, "tf": _tensorflow}


def reasons(results) -> list[str]:
    """For each rule that missed its target, why."""
    missed = dict.fromkeys((r.job.what, r.job.table.split(": the ")[1].split()[0]) for r in results if r.met is False)
    return [f"{name}, {rule} rule: {REASONS[name]}." for name, rule in missed if name in REASONS]
