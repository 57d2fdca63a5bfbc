"""Derivatives of the Cholesky decomposition, overbar's rule beside the built-in one of each framework.

May import NumPy, `overbar` and, inside functions, the frameworks and their fronts.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import numpy as np

import overbar
from overbar.bench.frameworks import front, load, waited
from overbar.bench.harness import Comparison, Ratio, Timing, compare

#: The sizes that `bench` runs where nothing is said. The targets are for the last, float64 and two threads.
SIZES = (256, 512, 1024, 2048)

#: A matrix so small that only what surrounds the rule is timed.
SMALL = 8

#: How many times as large as the lower end of a ratio's interval the upper may be.
SPREAD = 1.5


@dataclass(frozen=True)
class Job:
    """Two things to compare, and how to speak of them.

    Attributes
    ----------
    table : str
        The title of the table that it belongs to.
    what : str
        What stands in its row: the size, or the framework.
    names : pair of str
        What is compared: overbar's side, and the other.
    things : callable
        Makes the two functions to time; called when their turn has come.
    cost : bool
        The ratio says how many times as long overbar's side takes, and not how many times as long the other one.
    target : float, optional
        The ratio that it must reach; where it is a cost, must not exceed.
    options : mapping
        For `harness.compare`.
    """

    framework: str
    table: str
    what: str
    n: int
    names: tuple[str, str]
    things: Callable[[], tuple[Callable[[], object], Callable[[], object]]]
    cost: bool = False
    target: float | None = None
    options: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Result:
    """What was measured of a job."""

    job: Job
    comparison: Comparison

    @property
    def ours(self) -> Timing:
        return self.comparison[self.job.names[0]]

    @property
    def other(self) -> Timing:
        return self.comparison[self.job.names[1]]

    @property
    def ratio(self) -> Ratio:
        """Time of the other side over that of overbar's; the reverse where the job asks for a cost."""
        ours, other = self.job.names
        return self.comparison.ratio(ours, other) if self.job.cost else self.comparison.ratio(other, ours)

    @property
    def too_busy(self) -> bool:
        """Whether the interval of the ratio is so wide that the ratio says nothing: something else kept the machine
        busy."""
        return self.ratio.high > SPREAD * self.ratio.low

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none, or the machine was too busy to know."""
        if self.job.target is None or self.too_busy:
            return None
        return self.ratio.median <= self.job.target if self.job.cost else self.ratio.median >= self.job.target

    def as_dict(self) -> dict:
        """For JSON."""
        return {
            "framework": self.job.framework,
            "table": self.job.table,
            "what": self.job.what,
            "n": self.job.n,
            "ratio": f"{self.job.names[not self.job.cost]} : {self.job.names[self.job.cost]}",
            **asdict(self.ratio),
            "target": self.job.target,
            "met": self.met,
            "too busy": self.too_busy,
            "timings": self.comparison.as_dict(),
        }


def jobs(frameworks, sizes=SIZES, dtype="float64") -> list[Job]:
    """What there is to compare in these frameworks: each size, then the small matrix."""
    found = []
    for name in frameworks:
        title, names, make, target = _LARGE[name]
        for n in sizes:
            aim = target if n == SIZES[-1] and dtype == "float64" else None
            things = functools.partial(make, n, dtype)
            found.append(Job(name, title, f"n = {n}", n, names, things, cost=name == "numpy", target=aim))
    for name in frameworks:
        what, make = _SMALL[name]
        things = functools.partial(make, SMALL, dtype)
        title = f"What surrounds the rule: n = {SMALL}"
        found.append(Job(name, title, what, SMALL, ("ours", "built-in"), things))
    return found


def measure(job, seconds=3.0, **options) -> Result:
    """Run a job for about so many seconds, three to fifty rounds. `options` go to `harness.compare`."""
    things = {name: waited(job.framework, thing) for name, thing in zip(job.names, job.things(), strict=True)}
    return Result(job, compare(things, seconds=seconds, **{"least": 3, "most": 50, **job.options, **options}))


def matrices(n, dtype):
    """A well-conditioned positive definite matrix A and a cotangent of its factor."""
    rng = np.random.default_rng(n)
    X = rng.standard_normal((n, n))
    return (X @ X.T / n + np.eye(n)).astype(dtype), np.tril(rng.standard_normal((n, n))).astype(dtype)


def backward(framework, n, dtype="float64"):
    """A function without arguments that computes overbar's reverse rule in a framework; TensorFlow's with the value."""
    return waited(framework, _LARGE[framework][2](n, dtype)[0])


def _numpy(n, dtype):
    # NumPy has no gradient of its own: the yardstick is the function itself
    A, L_bar = matrices(n, dtype)
    _, pullback = overbar.vjp(overbar.cholesky, A)
    return lambda: pullback(L_bar), lambda: np.linalg.cholesky(A)


def _torch(n, dtype):
    torch = load("torch")
    A, L_bar = map(torch.tensor, matrices(n, dtype))
    A.requires_grad_()

    def backward(cholesky):
        L = cholesky(A)
        return lambda: torch.autograd.grad(L, A, L_bar, retain_graph=True)

    return backward(front("torch").cholesky), backward(torch.linalg.cholesky)


def _torch_small(n, dtype):
    return torch_sides(*matrices(n, dtype))


def torch_sides(A, L_bar):
    """Value and gradient in PyTorch, by overbar's op and by the built-in function."""
    torch = load("torch")
    A, L_bar = torch.tensor(A, requires_grad=True), torch.tensor(L_bar)

    def both(cholesky):
        return lambda: torch.autograd.grad(cholesky(A), A, L_bar)[0]

    return both(front("torch").cholesky), both(torch.linalg.cholesky)


def _tensorflow(n, dtype):
    return tensorflow_sides(*matrices(n, dtype))


def tensorflow_sides(A, L_bar):
    """The same in TensorFlow, in a `tf.function` that returns both."""
    tf = load("tf")
    A, L_bar = tf.constant(A), tf.constant(L_bar)

    def both(cholesky):
        @tf.function
        def step(A):
            with tf.GradientTape() as tape:
                tape.watch(A)
                L = cholesky(A)
            return L, tape.gradient(L, A, output_gradients=L_bar)

        return lambda: step(A)[1].numpy()

    return both(front("tf").cholesky), both(tf.linalg.cholesky)


def _numpy_small(n, dtype):
    A, _ = matrices(n, dtype)
    return lambda: overbar.cholesky(A), lambda: np.linalg.cholesky(A)


#: for each framework: the title, what is compared, the functions, the target for the largest of `SIZES`
_LARGE = {
    "numpy": ("NumPy: the reverse rule beside the function itself", ("reverse rule", "function"), _numpy, None),
    "torch": ("PyTorch: the backward pass alone", ("ours", "built-in"), _torch, 3.0),
    "tf": ("TensorFlow: forward and gradient in a tf.function", ("ours", "built-in"), _tensorflow, 2.5),
}
_SMALL = {
    "numpy": ("NumPy, function", _numpy_small),
    "torch": ("PyTorch, forward and gradient", _torch_small),
    "tf": ("TensorFlow, forward and gradient", _tensorflow),
}
