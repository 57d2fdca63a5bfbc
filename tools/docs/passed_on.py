"""Which calls of an op are passed to the framework's own function, in words: the op is asked.

May import both frameworks, `overbar` and its neighbours.
"""

import bisect
import inspect
import itertools

import numpy as np
import tensorflow as tf
import torch
from torch.autograd import forward_ad

from overbar._docstrings import full_name
from tools.docs.common import MODULES, counterparts_of, option_types


def remarks(front, op):
    """Where else an op is found, and which calls of it are passed to the framework's own function."""
    linalg = getattr(front, "linalg", None)
    if getattr(linalg, op.__name__, None) is op:
        yield f"also `{linalg.__name__}.{op.__name__}`"
    builtin = getattr(op, "builtin", None)
    if builtin is None:
        return
    name = f"`{full_name(builtin, MODULES)}`"
    corrected = getattr(op, "corrected_builtin", None) is not None
    if getattr(op, "use_builtin_when", None) is None:
        yield f"passed to {name}" + (", of arguments that it takes" if corrected else "")
        return
    if corrected:
        name += ", with its derivative corrected"
    if (words := passed_on(op)) is not None:
        yield f"passed to {name}: {words}".removesuffix(": ")
    if (reason := getattr(op.use_builtin_when, "reason", None)) is not None:
        yield f"{'all others are' if words is not None else 'its derivatives are'} ours, as {reason}"


HUGE = 4096  # larger matrices are not asked about


def passed_on(op):
    """Which calls `op.use_builtin_when` selects, in words; None where it selects none. It is asked about tensors of
    every dtype, small and large, with and without a batch, with each switch on and off (left out where that is its
    default), inside forward mode and outside."""
    primitive, cores = op.primitive, op.primitive.signature.inputs
    theirs, parameters = counterparts_of(op), inspect.signature(op).parameters
    types = option_types(primitive)
    switches = [name for name, our in theirs.items() if types.get(our) == "bool"]
    dtypes = [torch.float32, torch.float64, torch.complex64, torch.complex128]
    batches = list(itertools.product([(), (3,)], repeat=len(cores)))
    settings = list(itertools.product([False, True], repeat=len(switches)))

    def asked(n, dtype, batch, setting):
        shapes = [(*lead, *[n] * len(core)) for lead, core in zip(batch, cores, strict=True)]
        if op.__module__.startswith("torch_ops"):
            made = [torch.empty(shape, dtype=dtype, device="meta") for shape in shapes]
        else:
            made = [tf.zeros(shape, str(dtype).removeprefix("torch.")) for shape in shapes]
        tensors = dict(zip(primitive.arguments, made, strict=True))
        options = {name: on for name, on in zip(switches, setting, strict=True) if on is not parameters[name].default}
        return bool(op.use_builtin_when(*(tensors[our] for our in theirs.values() if our in tensors), **options))

    chosen = {call for call in itertools.product(dtypes, batches, settings) if asked(2, *call)}
    if not chosen:
        return None
    words, product = [], 1
    for place, (kind, everything) in enumerate((("dtype", dtypes), ("batch", batches), ("setting", settings))):
        found = [x for x in everything if any(call[place] == x for call in chosen)]
        product *= len(found)
        if len(found) == len(everything):
            continue
        if kind == "dtype":
            words.append(" and ".join(str(dtype).removeprefix("torch.") for dtype in found))
        elif kind == "batch":
            others = [batch for batch in everything if batch not in found]
            few = others if len(others) < len(found) else found
            written = " or ".join(_batch_words(primitive, theirs, batch) for batch in few)
            words.append(f"not with {written}" if few is others else f"with {written}")
        else:
            fixed = [{setting[i] for setting in found} for i in range(len(switches))]
            words += [f"`{name}={next(iter(f))}`" for name, f in zip(switches, fixed, strict=True) if len(f) == 1]
            product *= np.prod([len(f) for f in fixed]) / len(found)
    if product != len(chosen):
        raise ValueError(f"the calls of {op.__name__} that are passed on need more words than these: {words}")
    sizes = {}
    for kind in chosen:
        largest = bisect.bisect_left(range(HUGE + 1), True, key=lambda n, kind=kind: n > 2 and not asked(n, *kind)) - 1
        sizes.setdefault(largest, set()).add(str(kind[0]).removeprefix("torch."))
    for largest, dtypes in sorted(sizes.items()):
        of = f" ({' and '.join(sorted(dtypes))})" if len(sizes) > 1 else ""
        words += [f"up to {largest} × {largest}{of}"] if largest < HUGE else []
    with forward_ad.dual_level():
        words += [] if asked(2, *next(iter(chosen))) else ["not in forward mode"]
    return "; ".join(words)


def _batch_words(primitive, theirs, batch):
    names = {our: name for name, our in theirs.items()}
    having = [f"`{names[our]}`" for our, lead in zip(primitive.arguments, batch, strict=True) if lead]
    only = " only" if len(having) < len(batch) else ""
    return "batch dimensions in " + " and ".join(having) + only if having else "no batch dimensions"
