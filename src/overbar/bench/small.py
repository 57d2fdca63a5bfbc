"""Many small matrices: value and gradient of a batch, beside what a framework has built in.

May import NumPy, `overbar`, the rest of `overbar.bench` and, inside functions, the frameworks and their fronts.
"""

from __future__ import annotations

import functools

import numpy as np

import overbar
from overbar.bench.cholesky import Job, tensorflow_sides, torch_sides
from overbar.bench.frameworks import FRAMEWORKS, front, load
from overbar.kernels import _compiled

#: The sizes that are run where nothing is said, each with the size of the batch; and how many numbers others have.
SIZES = {4: 10_000, 8: 10_000, 16: 10_000, 32: 2_000}
NUMBERS = 2_000_000

#: The same for eigenvectors and singular vectors.
VECTORS = {2: 20_000, 3: 20_000, 8: 5_000, 20: 1_000}

#: How many times as long the other side must take: with compiled loops, and without.
TARGETS = {"numpy": (3.0, 1.0), "torch": (5.0, 2.5), "tf": (1.5, 1.5)}

_OFTEN = {"least": 7, "most": 200}


def jobs(frameworks, sizes=tuple(SIZES), dtype="float64") -> list[Job]:
    """What there is to compare: Cholesky decompositions of each size in each framework, then functions of matrices."""
    found = []
    loops = "with compiled loops" if _compiled.available() else "without compiled loops"
    for name in frameworks:
        title = f"{FRAMEWORKS[name].label}, {loops}: Cholesky decompositions, {_WHAT[name][0]}"
        aim = TARGETS[name][not _compiled.available()] if dtype == "float64" else None
        for n in sizes:
            count = SIZES.get(n) or min(10_000, max(1, NUMBERS // n**2))
            things = functools.partial(_WHAT[name][1], *matrices(count, n, dtype))
            names = ("ours", "built-in")
            found.append(Job(name, title, f"{count:,} × {n} × {n}", n, names, things, target=aim, options=_OFTEN))
    if "torch" in frameworks:
        title = "PyTorch: the logarithm of 2,000 matrices, value and gradient, beside V log(w) Vᵀ"
        things = functools.partial(_logarithm, *matrices(2000, 20, "float32"))
        found.append(Job("torch", title, "20 × 20, float32", 20, ("ours", "naive"), things, target=1.5, options=_OFTEN))
        for title, things in _OF_VECTORS.items():
            for n, count in VECTORS.items():
                sides = functools.partial(things, *matrices(count, n, "float64"))
                label, names = f"{count:,} × {n} × {n}", ("ours", "torch.linalg")
                found.append(Job("torch", title, label, n, names, sides, target=1.0, options=_OFTEN))
    return found


def reasons(results) -> list[str]:
    """For each target that is missed, why."""
    missed = {(r.job.framework, r.job.names[1]) for r in results if r.met is False}
    return [reason for what, reason in _REASONS.items() if what in missed]


_REASONS = {
    ("numpy", "built-in"): "NumPy: products and inverses of a batch are single calls of compiled code.",
    ("torch", "built-in"): 'PyTorch: pip install "overbar[fast]" adds the loops; without them its own loop over LAPACK '
    "is a third of its time, and ours too.",
    ("tf", "built-in"): "TensorFlow: its own loop for the value is a third of its time, and is ours too; a step of a "
    "rule is new memory for the whole batch.",
    ("torch", "naive"): "The logarithm: without the loops, four fifths of the time of either side are the eigenvalues "
    "and eigenvectors.",
}


def matrices(count, n, dtype):
    """Well-conditioned positive definite matrices, and cotangents of their factors."""
    rng = np.random.default_rng(n)
    X = rng.standard_normal((count, n, n))
    return (X @ X.mT / n + np.eye(n)).astype(dtype), rng.standard_normal((count, n, n)).astype(dtype)


def _numpy(A, L_bar):
    def ours():
        return overbar.vjp(overbar.cholesky, A)[1](L_bar)[0]

    def by_hand():  # the symbolic rule, as one writes it with NumPy alone
        L = np.linalg.cholesky(A)
        P = np.tril(L.mT @ L_bar)
        i = np.arange(A.shape[-1])
        P[:, i, i] /= 2
        inverse = np.linalg.inv(L)
        A_bar = inverse.mT @ P @ inverse
        return (A_bar + A_bar.mT) / 2

    return ours, by_hand


def _logarithm(A, bar):
    torch = load("torch")
    A, bar = torch.tensor(A, requires_grad=True), torch.tensor(bar)

    def naive(A):
        w, V = torch.linalg.eigh(A)
        return V @ torch.diag_embed(torch.log(w)) @ V.mT

    def both(log):
        return lambda: torch.autograd.grad(log(A), A, bar)[0]

    return both(front("torch").logmh), both(naive)


def _eigenvectors(A, bar):
    torch = load("torch")
    A, bar = torch.tensor(A, requires_grad=True), torch.tensor(bar)

    def both(eigh):  # of squares, since the signs of vectors are free
        return lambda: torch.autograd.grad(eigh(A)[1] ** 2, A, bar)[0]

    return both(front("torch").eigh), both(torch.linalg.eigh)


def _rotations(A, bar):
    torch = load("torch")
    A, bar = torch.tensor(A, requires_grad=True), torch.tensor(bar)

    def by_svd(A):
        W, _, Vh = torch.linalg.svd(A)
        return (W @ Vh,)

    def both(polar):
        return lambda: torch.autograd.grad(polar(A)[0], A, bar)[0]

    return both(front("torch").polar), both(by_svd)


def _values(A, bar):
    torch = load("torch")
    A = torch.tensor(bar, requires_grad=True)

    def both(svdvals):
        return lambda: torch.autograd.grad(svdvals(A).sum(), A)[0]

    return both(front("torch").svdvals), both(torch.linalg.svdvals)


_OF_VECTORS = {
    "PyTorch: eigenvectors, value and gradient": _eigenvectors,
    "PyTorch: polar factors, value and gradient, beside W Vᴴ": _rotations,
    "PyTorch: singular values, value and gradient": _values,
}


#: for each framework: what is compared with what, and the functions
_WHAT = {
    "numpy": ("value and gradient beside the symbolic rule", _numpy),
    "torch": ("value and gradient", torch_sides),
    "tf": ("value and gradient in a tf.function", tensorflow_sides),
}
