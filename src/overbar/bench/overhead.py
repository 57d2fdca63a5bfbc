"""Every op that a framework has too, ours beside its own: forward, and forward with gradient.

May import NumPy, `overbar` and, inside functions, the frameworks and their fronts.
"""

from __future__ import annotations

import functools
import itertools
import math

import numpy as np

from overbar.bench.cholesky import Job
from overbar.bench.frameworks import FRAMEWORKS, front, load

#: The sizes that are run where nothing is said, each with how many times as long as the built-in an op may take: where
#: arrays are small, what surrounds the rule may cost a little; where they are large, hardly anything.
SIZES = {2: 1.3, 8: 1.3, 32: 1.3, 128: 1.1, 512: 1.1}

#: Matrices up to this size are timed in batches, too, of so many.
SMALL, BATCH = 32, 1000

#: From here on, the forward pass is timed by itself, too.
LARGE = 512

#: Many short rounds: another program on the machine then disturbs few of them.
_OFTEN = {"least": 5, "most": 2000, "shortest": 2e-4}

MODES = ("forward", "forward and gradient")

#: of small single matrices in TensorFlow, whose functions are in a tf.function otherwise
EAGERLY = "forward and gradient, eagerly"


def ops(framework: str) -> dict:
    """The ops of a front that stand for a function of the framework itself, by name, and what its module of linear
    algebra is made of besides; without kron, whose result is of size n⁴."""
    there = front(framework)
    found = {name: getattr(there, name) for name in there.__all__}
    found |= {name: getattr(there.linalg, name) for name in there.linalg.__all__ if name in _NORMS}
    return {
        name: op
        for name, op in found.items()
        if getattr(op, "builtin", None) is not None and name != "kron" and name not in _ALONE.get(framework, ())
    }


#: of these the framework has no derivative, or not of a batch
_ALONE = {"torch": {"ldl_factor", "ldl_solve"}, "tf": {"eigh_tridiagonal", "logm", "lu"}}

#: functions of one matrix that are no primitives
_NORMS = {"norm", "vector_norm"}


def reasons(results) -> list[str]:
    """For each op that missed its target, why its derivative is not the framework's, where that is the reason."""
    missed = dict.fromkeys((r.job.framework, r.job.what) for r in results if r.met is False)
    lines = [(name, _reason(framework, name)) for framework, name in missed]
    return [f"{name} is slower because its derivatives are ours: {reason}." for name, reason in lines if reason]


def excused(result) -> bool:
    """Whether there is such a reason."""
    return bool(_reason(result.job.framework, result.job.what))


def _reason(framework, name):
    when = getattr(ops(framework).get(name), "use_builtin_when", None)
    return getattr(when, "reason", None)


def arguments(name, op, n, dtype="float64", batch=()):
    """Arrays and further arguments for an op: entries between 1/2 and 3/2, matrices n by n and well conditioned,
    symmetric ones positive definite."""
    rng, primitive = np.random.default_rng(n), getattr(op, "primitive", None)
    inputs, whole = (("m", "n"),), True
    if primitive is not None:
        inputs, whole = primitive.signature.inputs, primitive.signature.whole
    arrays = []
    for i in range(2 if primitive is not None and primitive.variadic else len(inputs)):
        core = () if whole else inputs[i]
        shape = tuple(int(dim) if dim.isdigit() else n for dim in core) or (n, n)
        A = rng.uniform(0.5, 1.5, (*batch, *shape))
        if name == "tridiagonal_solve" and i == 0:
            A[..., 1, :] += 3
        elif len(core) == 2:
            A = A / n + np.eye(n)
            if primitive.argument(i) in primitive.hermitian or name in _SYMMETRIC:
                A = (A + np.swapaxes(A, -1, -2)) / 2
        if primitive is not None and not whole and primitive.argument(i) in primitive.integer:
            first = 0 if op.builtin.__module__.startswith("tensorflow") else 1
            A = np.broadcast_to(np.arange(first, n + first, dtype=np.int32), A.shape).copy()
        arrays.append(A if A.dtype == np.int32 else A.astype(dtype))
    if name in ("cholesky_solve", "cholesky_inverse"):
        arrays[0] = np.tril(arrays[0])
    if name == "cholesky_solve" and not op.builtin.__module__.startswith("tensorflow"):
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
    """What there is to compare: for each framework that has functions of its own, each size and each op, single
    matrices and, where they are small, batches."""
    found = []
    for framework in frameworks:
        if framework not in _STEPS:
            continue
        for n in sizes:
            ways = [*itertools.product(((), (BATCH,)), MODES), *([((), EAGERLY)] if framework == "tf" else [])]
            for batch, mode in ways:
                # the aim is for forward and gradient of small matrices
                if (mode == "forward" and n < LARGE) or ((batch or mode == EAGERLY) and n > SMALL):
                    continue
                shape = f"n = {n}, {BATCH:,} at a time" if batch else f"n = {n}"
                title = f"{FRAMEWORKS[framework].label}, {shape}: {mode}"
                aim = SIZES.get(n) if dtype == "float64" else None
                for name, op in ops(framework).items():
                    if (batch and name in _SINGLE) or ((framework, name) in _SQUARED and n**4 * math.prod(batch) > 1e8):
                        continue
                    things = functools.partial(_things, framework, name, op, n, dtype, mode, batch)
                    job = Job(
                        framework, title, name, n, ("ours", "built-in"), things, cost=True, target=aim, options=_OFTEN
                    )
                    found.append(job)
    return found


#: A framework's derivative of these makes a matrix of n² by n² entries, which soon does not fit into memory.
_SQUARED = {("tf", "sqrtm")}

#: Those that take no batches, or take an array of any number of dimensions.
_SINGLE = {"trace"}


def _things(framework, name, op, n, dtype, mode, batch=()):
    arrays, further = arguments(name, op, n, dtype, batch)
    step, variadic = _STEPS[framework], getattr(getattr(op, "primitive", None), "variadic", False)
    return tuple(step(name, functools.partial(f, **further), arrays, variadic, mode) for f in (op, op.builtin))


def _differentiable(name, outputs):
    """The outputs that both sides differentiate, as a list."""
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    return outputs[:1] if name == "lstsq" else outputs


def _torch(name, function, arrays, variadic, mode):
    torch = load("torch")
    tensors = [torch.tensor(A, requires_grad=mode != "forward" and A.dtype != np.int32) for A in arrays]
    watched = [x for x in tensors if x.requires_grad]

    def forward():
        return function(tensors) if variadic else function(*tensors)

    def gradient():
        out = [x for x in _differentiable(name, forward()) if x.requires_grad]
        # such bars have no part along the free signs and phases of eigenvectors, of which there is no derivative
        return torch.autograd.grad(out, watched, [x.detach() for x in out])

    return forward if mode == "forward" else gradient


def _tensorflow(name, function, arrays, variadic, mode):
    tf = load("tf")
    tensors = [tf.constant(A) for A in arrays]
    compiled = tf.function if mode in MODES else lambda function: function

    @compiled
    def forward(*tensors):
        return function(tensors) if variadic else function(*tensors)

    @compiled
    def gradient(*tensors):
        with tf.GradientTape() as tape:
            tape.watch([x for x in tensors if x.dtype.is_floating])
            out = _differentiable(name, function(tensors) if variadic else function(*tensors))
            out = [x for x in out if x.dtype.is_floating or x.dtype.is_complex]
        found = tape.gradient(out, tensors, [tf.identity(x) for x in out])
        return [x for x in found if x is not None]

    step = forward if mode == "forward" else gradient
    # .numpy() waits for what is still computed
    return lambda: tf.nest.map_structure(lambda x: x.numpy(), step(*tensors))


_STEPS = {"torch": _torch, "tf": _tensorflow}
