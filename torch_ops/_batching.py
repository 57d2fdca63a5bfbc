"""Where vmap's dimension goes in a call of a primitive or a kernel: to the front of the batch dimensions.

May import nothing.
"""


def batched(primitive, options, size, in_dims, inputs):
    """The inputs and options for a call with one more dimension, which becomes the first of the batch dimensions that
    every primitive has: no loop, and an input without it stays as it is."""
    if primitive.signature.whole:
        inputs = [
            x.unsqueeze(0).expand(size, *x.shape) if dim is None else x.movedim(dim, 0)
            for x, dim in zip(inputs, in_dims, strict=True)
        ]
        return inputs, {**options, "batch_ndim": options["batch_ndim"] + 1}
    cores = [len(core) for core in primitive.signature.inputs]
    batch = max(x.ndim - (dim is not None) - core for x, dim, core in zip(inputs, in_dims, cores, strict=True))
    return [
        x if dim is None else _lead(x.movedim(dim, 0), batch + core)
        for x, dim, core in zip(inputs, in_dims, cores, strict=True)
    ], options


def mapped(primitive, inputs, outputs):
    """Where the new dimension is in the outputs: at the front, but for residuals that do not have it, because they come
    from an array that is not mapped."""
    if primitive.differentiable == primitive.outputs:
        return (0,) * len(outputs)
    batch = max(x.ndim - len(core) for x, core in zip(inputs, primitive.signature.inputs, strict=True))
    return tuple(
        0 if i < primitive.differentiable or out.ndim == batch + len(core) else None
        for i, (out, core) in enumerate(zip(outputs, primitive.signature.outputs, strict=True))
    )


def _lead(x, ndim):
    """x (v, ...) with ones behind v until the rest has `ndim` dimensions, where the others' batch dimensions go."""
    return x.reshape(x.shape[0], *(1,) * (ndim - x.ndim + 1), *x.shape[1:])
