"""How time and memory of the Cholesky decomposition's derivative grow with n, and which share of the speed of a matrix
product it has: overbar's rule, what each framework has built in, and JAX's where it is installed.

May import NumPy, `overbar.bench` and, inside functions, the frameworks and JAX.

For matrices of n rows the rule takes 2n³/3 flops and a product A B 2n³. A rule whose flops are as fast as those of a
product takes a third of its time; its *share* is that third over the time it does take. Where function and rule are
timed together, n³ flops, the share is half of the product's time over theirs.
"""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from overbar.bench import cholesky
from overbar.bench.frameworks import FRAMEWORKS, choose, load, waited
from overbar.bench.harness import Comparison, compare
from overbar.bench.memory import peak

__all__ = ["SIZES", "Curve", "Point", "curves"]

#: Doubled from one to the next, so that a curve of log t against log n has points at equal distances.
SIZES = (64, 128, 256, 512, 1024, 2048, 4096)

#: The exponent is fitted to the sizes from this one on: below, what surrounds the flops bends the curve.
LARGE = 1024

#: How many products A B are as many flops as what is timed: 2n³/3 of the rule alone, n³/3 of the function, or both.
_PRODUCTS = {"numpy": 1 / 3, "torch": 1 / 3, "tf": 1 / 2, "jax": 1 / 3}
_OF_FUNCTION = 1 / 6

#: Whose memory the operating system sees: TensorFlow and JAX keep what they have freed, and use it again.
_SEEN = ("numpy", "torch")


@dataclass(frozen=True)
class Point:
    """What was measured at one size: ours, `built-in` where the framework has it, and a `product` A B."""

    n: int
    comparison: Comparison
    memory: dict[str, float]  #: the peak beyond what was there before, in matrices n × n; nothing where nobody knows


@dataclass(frozen=True)
class Curve:
    """The points of one framework."""

    framework: str
    label: str
    what: str  #: what was timed, in words
    points: tuple[Point, ...]

    @property
    def sides(self) -> list[str]:
        """Those that were timed, without the product."""
        return [name for name in self.points[0].comparison.timings if name != "product"]

    def times(self, side: str) -> list[float]:
        """The median seconds of a side, one for each size."""
        return [point.comparison[side].median for point in self.points]

    def shares(self, side: str) -> list[float]:
        """The share of the speed of a matrix product of the same size."""
        products = _OF_FUNCTION if side == "function" else _PRODUCTS[self.framework]
        return [products / point.comparison.ratio(side, "product").median for point in self.points]

    def exponent(self, side: str) -> float | None:
        """The slope of log t against log n by least squares, over the sizes from `LARGE` on; None below two."""
        large = [(math.log(p.n), math.log(p.comparison[side].median)) for p in self.points if p.n >= LARGE]
        return float(np.polyfit(*zip(*large, strict=True), 1)[0]) if len(large) > 1 else None

    def as_dict(self) -> dict:
        """For JSON."""
        return {
            "framework": self.framework,
            "what": self.what,
            "exponents": {side: self.exponent(side) for side in self.sides},
            "shares": {side: self.shares(side) for side in self.sides},
            "points": [{"n": p.n, "memory": p.memory, "timings": p.comparison.as_dict()} for p in self.points],
        }


def curves(frameworks, sizes=SIZES, dtype="float64") -> dict[str, tuple[str, str, list[Callable[[float], Point]]]]:
    """What there is to measure: by framework its label, what is timed, and for each size a function of the seconds that
    it may take, which measures it and returns the `Point`.

    JAX, whose users have no op of ours, is there where it is installed and no framework was asked for.
    """
    found = {}
    for name in frameworks:
        title, names, make, _ = cholesky._LARGE[name]
        found[name] = (FRAMEWORKS[name].label, title.partition(": ")[2], _of(names, make, name, sizes, dtype))
    if set(frameworks) == set(choose(None)[0]) and importlib.util.find_spec("jax"):
        found["jax"] = ("JAX", "the backward pass alone, in jax.jit", _of(("built-in",), _jax, "jax", sizes, dtype))
    return found


def _of(names, make, framework, sizes, dtype):
    def things(n):
        return {**dict(zip(names, make(n, dtype), strict=True)), "product": _PRODUCT[framework](n, dtype)}

    return [functools.partial(_measure, framework, n, np.dtype(dtype).itemsize * n * n, things) for n in sizes]


def _measure(framework, n, matrix, things, seconds):
    things = {name: waited(framework, thing) for name, thing in things(n).items()}
    comparison = compare(things, seconds=seconds, least=3, most=50)
    peaks = {name: peak(thing) for name, thing in things.items()} if n >= LARGE and framework in _SEEN else {}
    memory = {name: round(most / matrix, 2) for name, most in peaks.items() if most is not None}
    return Point(n, comparison, memory)


def _numpy_product(n, dtype):
    A, B = cholesky.matrices(n, dtype)
    return lambda: A @ B


def _torch_product(n, dtype):
    torch = load("torch")
    A, B = map(torch.tensor, cholesky.matrices(n, dtype))
    return lambda: A @ B


def _tensorflow_product(n, dtype):
    tf = load("tf")
    A, B = map(tf.constant, cholesky.matrices(n, dtype))
    product = tf.function(lambda A: A @ B)
    return lambda: product(A).numpy()


def _jax_product(n, dtype):
    jax, A, B = _jax_matrices(n, dtype)
    product = jax.jit(lambda A, B: A @ B)
    return lambda: product(A, B).block_until_ready()


def _jax(n, dtype):
    jax, A, L_bar = _jax_matrices(n, dtype)
    _, pullback = jax.vjp(jax.numpy.linalg.cholesky, A)
    rule = jax.jit(pullback)
    return (lambda: rule(L_bar)[0].block_until_ready(),)


def _jax_matrices(n, dtype):
    import jax

    jax.config.update("jax_enable_x64", True)
    return jax, *map(jax.numpy.asarray, cholesky.matrices(n, dtype))


_PRODUCT = {"numpy": _numpy_product, "torch": _torch_product, "tf": _tensorflow_product, "jax": _jax_product}
