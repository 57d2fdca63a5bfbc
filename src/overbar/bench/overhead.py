"""Every op that a framework has too, ours beside its own: forward, and forward with gradient.

May import NumPy, `overbar` and, inside functions, the frameworks and their fronts.
"""

from __future__ import annotations

import functools

import numpy as np

from overbar.bench.cholesky import Job
from overbar.bench.frameworks import FRAMEWORKS, front, load

#: The sizes that are run where nothing is said, each with how many times as long as the built-in an op may take: where
#: arrays are small, what surrounds the rule may cost a little; where they are large, nothing may be slower (a twentieth
#: is what the ratio of two equal things is worth).
SIZES = {8: 1.3, 512: 1.05, 1024: 1.05}

#: From here on, the forward pass is timed by itself, too.
LARGE = 512

#: Many short rounds: another program on the machine then disturbs few of them.
_OFTEN = {"least": 5, "most": 2000, "shortest": 2e-4}

MODES = ("forward", "forward and gradient")


def ops(framework: str) -> dict:
    """The ops of a front that stand for a function of the framework itself, by name; those of one output, which both
    sides take in double precision, and whose arguments all have a derivative; without kron, whose result is of size
    n⁴."""
    found = {name: getattr(front(framework), name) for name in front(framework).__all__}
    return {
        name: op
        for name, op in found.items()
        if getattr(op, "builtin", None) is not None
        and op.primitive.public == 1
        and not op.primitive.integer
        and name not in ("kron", "logm")
    }


def arguments(name, op, n, dtype="float64"):
    """Arrays and further arguments for an op: entries between 1/2 and 3/2, matrices n by n and well conditioned,
    symmetric ones positive definite."""
    rng, primitive = np.random.default_rng(n), op.primitive
    arrays = []
    for i in range(2 if primitive.variadic else len(primitive.arguments)):
        core = () if primitive.signature.whole else primitive.signature.inputs[i]
        A = rng.uniform(0.5, 1.5, tuple(int(dim) if dim.isdigit() else n for dim in core) or (n, n))
        if name == "tridiagonal_solve" and i == 0:
            A[1] += 3
        elif len(core) == 2:
            A = A / n + np.eye(n)
            if primitive.argument(i) in primitive.hermitian or name in _SYMMETRIC:
                A = (A + A.T) / 2
        arrays.append(A.astype(dtype))
    if name in ("cholesky_solve", "cholesky_inverse"):
        arrays[0] = np.tril(arrays[0])
    if name == "cholesky_solve" and op.builtin.__module__ != "tensorflow":
        arrays.reverse()  # PyTorch's takes the right-hand side first
    return arrays, _FURTHER.get(name, {})


#: Of these, a framework's function reads one triangle.
_SYMMETRIC = {"logdet"}
_FURTHER = {
    "matrix_power": {"n": 3},
    "concat": {"axis": 0},
    "reshape": {"shape": (-1,)},
    "solve_triangular": {"upper": False},
}


def jobs(frameworks, sizes=tuple(SIZES), dtype="float64") -> list[Job]:
    """What there is to compare: for each framework that has functions of its own, each size and each op."""
    found = []
    for framework in frameworks:
        if framework not in _STEPS:
            continue
        for n in sizes:
            for mode in MODES:
                if mode == "forward" and n < LARGE:
                    continue  # the aim is for forward and gradient there
                title = f"{FRAMEWORKS[framework].label}, n = {n}: {mode}"
                aim = SIZES.get(n) if dtype == "float64" else None
                for name, op in ops(framework).items():
                    things = functools.partial(_things, framework, name, op, n, dtype, mode)
                    job = Job(
                        framework, title, name, n, ("ours", "built-in"), things, cost=True, target=aim, options=_OFTEN
                    )
                    found.append(job)
    return found


def _things(framework, name, op, n, dtype, mode):
    arrays, further = arguments(name, op, n, dtype)
    step = _STEPS[framework]
    return tuple(step(functools.partial(f, **further), arrays, op.primitive.variadic, mode) for f in (op, op.builtin))


def _torch(function, arrays, variadic, mode):
    torch = load("torch")
    tensors = [torch.tensor(A, requires_grad=mode != "forward") for A in arrays]

    def forward():
        return function(tensors) if variadic else function(*tensors)

    bar = torch.ones_like(forward())
    return forward if mode == "forward" else lambda: torch.autograd.grad(forward(), tensors, bar)


def _tensorflow(function, arrays, variadic, mode):
    tf = load("tf")
    tensors = [tf.constant(A) for A in arrays]

    @tf.function
    def forward(*tensors):
        return function(tensors) if variadic else function(*tensors)

    @tf.function
    def gradient(*tensors):
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            out = function(tensors) if variadic else function(*tensors)
        return tape.gradient(out, tensors)

    step = forward if mode == "forward" else gradient
    # .numpy() waits for what is still computed
    return lambda: tf.nest.map_structure(lambda x: x.numpy(), step(*tensors))


_STEPS = {"torch": _torch, "tf": _tensorflow}
