"""Every op of tf_ops that TensorFlow has too, beside TensorFlow's own: forward, and forward with gradient, in a
tf.function.

May import NumPy, `overbar` and, inside functions, tensorflow and tf_ops. ``python -m
overbar.bench.overhead_tensorflow`` prints the table.
"""

from __future__ import annotations

import numpy as np

from overbar.bench.frameworks import load
from overbar.bench.harness import Comparison, compare

#: Sizes, each with the ratio built-in / ours that every op must reach there: at n = 8 an op may take 1.3 times as long.
SIZES = {8: 1 / 1.3, 512: 0.95, 1024: 0.95}


def ops() -> dict:
    """The ops that TensorFlow has too: for each name, its own function and ours."""
    tf = load("tf")
    import tf_ops

    found = {}
    for name in tf_ops.__all__:
        own = next((getattr(home, name) for home in (tf.linalg, tf.math, tf) if hasattr(home, name)), None)
        if own is not None and hasattr(getattr(tf_ops, name), "primitive"):
            found[name] = own, getattr(tf_ops, name)
    return found


def arguments(name, primitive, n, dtype="float64"):
    """Arrays and further arguments for an op: entries between 1/2 and 3/2, matrices n by n and well conditioned, and
    those that must be so positive definite."""
    rng = np.random.default_rng(n)
    arrays = []
    for i in range(2 if primitive.variadic else len(primitive.arguments)):
        core = () if primitive.signature.whole else primitive.signature.inputs[i]
        A = rng.uniform(0.5, 1.5, (n,) * (len(core) or 2))
        if len(core) == 2:
            A = A / n + np.eye(n)
            if primitive.argument(i) in primitive.hermitian:
                A = (A + A.T) / 2
        arrays.append(A.astype(dtype))
    more = {"concat": {"axis": 0}, "reshape": {"shape": (-1,)}}.get(name, {})
    return [arrays] if primitive.variadic else arrays, more


def measure(
    n, dtype="float64", seconds=1.0, names=None, only_ours=False, **options
) -> dict[tuple[str, str], Comparison]:
    """Time TensorFlow's own function ("built-in") and ours ("ours") by turns: for each op, "forward" and "gradient"
    (which is forward and gradient). `names` are those of the ops, by default all; `only_ours` leaves out those whose
    calls tf_ops hands over to TensorFlow, which are the same graph. `options` go to `harness.compare`."""
    tf = load("tf")
    found = {}
    for name, (own, ours) in ops().items():
        if (names is not None and name not in names) or (only_ours and hasattr(ours, "builtin")):
            continue
        arrays, more = arguments(name, ours.primitive, n, dtype)
        arrays = tf.nest.map_structure(tf.constant, arrays)
        for mode in ("forward", "gradient"):
            things = {"ours": ours, "built-in": own}
            things = {label: _step(tf, function, mode, arrays, more) for label, function in things.items()}
            found[name, mode] = compare(things, seconds=seconds, **options)
    return found


def _step(tf, function, mode, arrays, more):
    @tf.function
    def forward(*arrays):
        return function(*arrays, **more)

    @tf.function
    def gradient(*arrays):
        with tf.GradientTape() as tape:
            tape.watch(arrays)
            out = function(*arrays, **more)
        return out, tape.gradient(out, arrays)

    step = {"forward": forward, "gradient": gradient}[mode]

    # TensorFlow computes on a CPU before it returns; the copy makes sure of it elsewhere
    return lambda: tf.nest.flatten(step(*arrays))[-1].numpy()


def main(seconds=1.0):
    for n, target in SIZES.items():
        for (name, mode), comparison in measure(n, seconds=seconds, only_ours=True, least=5, most=400).items():
            ratio = comparison.ratio("built-in", "ours")
            verdict = "" if ratio.median >= target else f"   less than {target:.2f}"
            print(f"n = {n:4}  {name:16} {mode:8}  built-in / ours {ratio}{verdict}")


if __name__ == "__main__":
    main()
