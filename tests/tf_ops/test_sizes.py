"""Sizes of which some are known while a graph is built and others are not: an array, its cotangent and its tangent each
know some of them. May import `tf_ops`.

The oracle is the same function eagerly, where all sizes are known.
"""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import overbar  # noqa: E402
import tf_ops  # noqa: E402

RNG = np.random.default_rng(5)


def normal(*shape):
    return tf.constant(RNG.standard_normal(shape))


def reverse(f):
    def bars(*x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = f(*x)
        return tape.gradient(z, x)

    return bars


def forward(f):
    def tangent(*x):
        dots = [tf.cos(tf.reshape(tf.range(tf.size(A), dtype=A.dtype), tf.shape(A))) for A in x]
        with tf.autodiff.ForwardAccumulator(list(x), dots) as accumulator:
            z = f(*x)
        return [accumulator.jvp(z)]

    return tangent


def total(f):
    return lambda *x: tf.add_n([tf.reduce_sum(tf.sin(bar)) for bar in f(*x)])


MODES = {
    "reverse": reverse,
    "forward": forward,
    "reverse over reverse": lambda f: reverse(total(reverse(f))),
    "forward over reverse": lambda f: forward(total(reverse(f))),
    "reverse over forward": lambda f: reverse(total(forward(f))),
}


def assert_graph_is_eager(f, arrays, shapes, modes=tuple(MODES), **options):
    for mode in modes:
        derivative = MODES[mode](f)
        specs = [tf.TensorSpec(shape, A.dtype) for shape, A in zip(shapes, arrays, strict=True)]
        graph = tf.function(derivative, input_signature=specs, autograph=False, **options)
        for found, expected in zip(graph(*arrays), derivative(*arrays), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10, err_msg=f"{mode}, {shapes}")


# The cotangents of these have known shapes, as behind a product with weights.

W3, W63, W36 = normal(3, 3), normal(6, 3), normal(3, 6)


def first_vectors(A):
    _, _, V = tf_ops.svd(A)
    return tf.reduce_sum((A @ V[:, :2]) ** 2)


def of_known_vectors(A):
    _, U, V = tf_ops.svd(A)
    V.set_shape((3, 3))
    return tf.reduce_sum(V[:, 0] * W3[0]) ** 2 + tf.reduce_sum(U[:, 0] ** 3) * V[0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("f", [first_vectors, of_known_vectors])
@pytest.mark.turns(2)
def test_singular_vectors_where_some_sizes_are_known(f):
    assert_graph_is_eager(f, [normal(6, 3)], [(None, 3)])
    assert_graph_is_eager(f, [normal(6, 3)], [(6, None)], ["reverse", "forward"])
    assert_graph_is_eager(f, [normal(6, 3)], [(None, None)], ["reverse", "forward"])


def test_so_it_is_under_xla():
    assert_graph_is_eager(first_vectors, [normal(6, 3)], [(None, 3)], ["reverse"], jit_compile=True)


@pytest.mark.parametrize("shape", [(None, 3), (6, None)], ids=str)
def test_least_squares_where_some_sizes_are_known(shape):
    f = lambda A, b: tf.reduce_sum(tf.sin(overbar.lstsq(A, b)[0]))  # noqa: E731
    assert_graph_is_eager(f, [normal(6, 3), normal(6)], [shape, (None,)], ["reverse", "forward"])


@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("known", [(True, False), (False, True)], ids=["rows", "columns"])
@pytest.mark.parametrize("size", [(6, 3), (3, 6)], ids=str)
@pytest.mark.turns(2)
def test_polar_where_some_sizes_are_known(size, known, side):
    weights, A = normal(*size), normal(*size)

    def f(A):
        U, P = tf_ops.polar(A, side=side)
        return tf.reduce_sum(U * weights) + tf.reduce_sum(tf.sin(P))

    shape = tuple(n if there else None for n, there in zip(size, known, strict=True))
    assert_graph_is_eager(f, [A], [shape], ["reverse", "forward"])
    if side == "right":
        assert_graph_is_eager(f, [A], [shape], ["reverse over reverse"])


def of_ldl(A):
    L, D = tf_ops.ldl(A)
    return tf.reduce_sum(W3 * L) + tf.reduce_sum(W3 * D)


def of_tridiagonal(d, e):
    _, V = tf_ops.eigh_tridiagonal(d, e, eigvals_only=False)
    return tf.reduce_sum(tf.sin(V**2))


def with_bars(f, bar):
    """⟨bar, f⟩, where the bar has a known shape and is given as an output gradient."""

    def weighed(*x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = f(*x)
        return tape.gradient(z, x, output_gradients=bar)

    return weighed


@pytest.mark.parametrize("of_d, of_e", [(4, None), (None, 3)])
def test_tridiagonal_eigenvectors_where_some_sizes_are_known(of_d, of_e):
    assert_graph_is_eager(of_tridiagonal, [normal(4), normal(3)], [(of_d,), (of_e,)], ["reverse", "forward"])


@pytest.mark.parametrize(
    "f, arrays, shapes",
    [
        (lambda A: tf_ops.ldl(A)[0], [W3 + tf.transpose(W3)], [(None, None)]),
        (lambda A: tf_ops.ldl_factor(A)[0], [W3 + tf.transpose(W3)], [(None, None)]),
        (tf_ops.polynomial, [normal(3, 3), normal(4)], [(None, None), (None,)]),
        (tf_ops.polynomial, [normal(3, 3), normal(4)], [(None, 3), (None,)]),
        (lambda A: tf_ops.svd(A)[2], [W63], [(None, None)]),
    ],
    ids=["ldl", "ldl_factor", "polynomial", "polynomial of known columns", "svd"],
)
def test_output_gradients_of_known_shape(f, arrays, shapes):
    bars = with_bars(f, normal(3, 3))
    specs = [tf.TensorSpec(shape, A.dtype) for shape, A in zip(shapes, arrays, strict=True)]
    for found, expected in zip(tf.function(bars, input_signature=specs)(*arrays), bars(*arrays), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


# In the loop of a Jacobian without pfor, the gradient of a slice has no rank


@pytest.mark.slow
@pytest.mark.parametrize(
    "f",
    [
        lambda x: tf.reduce_sum(tf.sin(tf_ops.svdvals(x[:2, :2]))),
        lambda x: tf_ops.matrix_norm(x[:2, :2], ord=2),
        lambda x: tf_ops.cond(x[:2, :2]),
        lambda x: tf.reduce_sum(tf.math.real(tf_ops.eigvals(x[:2, :2]) ** 3)),
        lambda x: first_vectors(x[:3, :3]),
        lambda x: tf.reduce_sum(tf.sin(tf_ops.eigh(x[:3, :3])[1] ** 2)),
    ],
    ids=["svdvals", "matrix_norm", "cond", "eigvals", "svd", "eigh"],
)
def test_hessian_of_a_slice_in_a_loop(f):
    def hessian(x, pfor):
        with tf.GradientTape() as outer:
            outer.watch(x)
            with tf.GradientTape() as inner:
                inner.watch(x)
                z = f(x)
            bar = inner.gradient(z, x)
        return outer.jacobian(bar, x, experimental_use_pfor=pfor)

    x = normal(4, 4)
    x = x + tf.transpose(x)
    looped = tf.function(lambda x: hessian(x, False))
    np.testing.assert_allclose(looped(x), hessian(x, True), rtol=1e-8, atol=1e-8)
