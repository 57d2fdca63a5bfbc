"""Second derivatives at nearly singular matrices, in all four modes, in NumPy, PyTorch and TensorFlow, against 150
digits. May import the fronts.

What a rule has outside of the column space is zero for a matrix that is square and regular. Kept as rounding, and
divided by the smallest singular value, it costs a first derivative ε κ, and a second one ε κ²: all of its digits.
"""

import numpy as np
import pytest

import overbar
from overbar.verify import Exact
from tests.compare import close, error
from tests.frameworks import tf, tf_ops, torch, torch_ops, twice
from tests.hard_cases.test_modes import FRONT, MODE, random, second, weighted

SMALL = 1e-8


def nearly_singular(rng, shape, dtype="float64", small=SMALL):
    k = min(shape)
    U, V = (np.linalg.qr(random(rng, n, k, dtype=dtype)).Q for n in shape)
    return (U * [*np.linspace(2, 1, k - 1), small]) @ V.conj().T


def of_outputs(outputs):
    return outputs if isinstance(outputs, (tuple, list)) else (outputs,)


def least_squares(mp, A, B, **options):
    """The solution of full rank; the reference of `lstsq` is for tall matrices."""
    return overbar.pinv.exact(mp, A, **overbar.pinv.defaults) @ B


def check(front, mode, primitive, arrays, seed, which=0, tolerance=1e-12, reference=None, **options):
    """Hold the second derivative of a weighted sum of an output, along two matrices, against the exact one."""
    reference = reference or primitive.exact
    A, *others = arrays
    rng, dtype, mp = np.random.default_rng(seed), A.dtype.name, Exact(150)
    D, E = random(rng, *A.shape, dtype=dtype), random(rng, *A.shape, dtype=dtype)
    W = np.asarray(random(rng, *of_outputs(primitive(A, *others, **options))[which].shape, dtype=dtype))

    def loss(xp, X):
        out = of_outputs(primitive(X, *map(xp.array, others), **options))[which]
        return weighted(xp, W, out) if W.ndim else W * out

    def exact(s, t):
        X = mp.array(A) + s * mp.array(D) + t * mp.array(E)
        outputs = reference(mp, X, *map(mp.array, others), **{**primitive.defaults, **options})
        return np.sum(mp.conj(mp.array(W)) * of_outputs(outputs)[which]).real

    h = mp.number(10) ** -40
    truth = (exact(h, h) - exact(h, -h) - exact(-h, h) + exact(-h, -h)) / (4 * h * h)
    assert error(second(mode, front, loss, A, D, E), float(truth)) < tolerance


@FRONT
@MODE
@pytest.mark.parametrize("shape", [(3, 3), (3, 5)], ids=str)
@pytest.mark.parametrize("which", [0, 1], ids=["Q", "R"])
def test_no_column_of_a_square_q_is_divided_by_the_last_pivot(front, mode, shape, which):
    """The last one follows from the others, but for its sign."""
    rng = np.random.default_rng(3)
    A = random(rng, *shape)
    A[:, :3] = nearly_singular(rng, (3, 3))
    check(front, mode, overbar.qr, [A], 4, which)


@MODE
def test_a_complex_q_has_a_phase_that_the_last_pivot_divides(mode):
    for which in (0, 1):
        A = nearly_singular(np.random.default_rng(3), (3, 3), "complex128", 1e-4)
        check("numpy", mode, overbar.qr, [A], 4, which, 1e-9)


def test_pytorch_sees_a_small_pivot_and_takes_this_rule():
    A = nearly_singular(np.random.default_rng(3), (3, 3))
    D, W = np.random.default_rng(4).standard_normal((2, 3, 3))

    def second(qr):
        t = torch.zeros((), dtype=torch.float64, requires_grad=True)
        z = (torch.tensor(W) * qr(torch.tensor(A) + t * torch.tensor(D))[0]).sum()
        (first,) = torch.autograd.grad(z, t, create_graph=True)
        return torch.autograd.grad(first, t)[0]

    close(second(torch_ops.qr), second(overbar.qr), 1e-12)
    assert error(second(torch.linalg.qr), second(overbar.qr)) > 1e-3


@pytest.mark.parametrize("function, jit", [("qr", False), ("qr", True), ("polar", False)])
@pytest.mark.parametrize("shape", [(4, 4), (4, 3), (3, 5)], ids=str)
@pytest.mark.turns(2)
def test_sizes_that_a_graph_does_not_know(shape, function, jit):
    """What is zero for square matrices is left out when the graph runs."""
    A = nearly_singular(np.random.default_rng(3), shape, small=1e-8 if shape == (4, 4) else 0.5)
    D, W = np.random.default_rng(4).standard_normal((2, *shape))

    def loss(A):
        factor = getattr(tf_ops, function)(A)[1 if function == "qr" and shape == (3, 5) else 0]
        return tf.reduce_sum(factor * W)

    expected = twice(loss, tf.constant(A), D)
    unknown = [tf.TensorSpec([None, None], tf.float64)]
    in_a_graph = tf.function(lambda A: twice(loss, A, D), input_signature=unknown, jit_compile=jit)
    close(in_a_graph(tf.constant(A)), expected, 1e-10)


@FRONT
@MODE
@pytest.mark.parametrize("n, side", [(2, "left"), (3, "right"), (4, "left")])
@pytest.mark.parametrize("which", [0, 1], ids=["U", "P"])
def test_polar_factors_of_a_square_matrix(front, mode, n, side, which):
    check(front, mode, overbar.polar, [nearly_singular(np.random.default_rng(5), (n, n))], 6, which, side=side)


@MODE
def test_polar_factors_of_many_small_matrices_and_the_nuclear_norm(mode):
    rng = np.random.default_rng(7)
    A = nearly_singular(rng, (2, 2), small=1e-12)
    check("numpy", mode, overbar.matrix_norm, [A], 8, ord="nuc")
    D, E, W = rng.standard_normal((3, 2, 2))
    loss = lambda xp, X: np.sum(W * overbar.polar(X)[0])  # noqa: E731
    of_one, of_many = (second(mode, "numpy", loss, *(np.tile(X, (k, 1, 1)) for X in (A, D, E))) for k in (1, 1000))
    assert error(of_many / 1000, of_one) < 1e-12


def test_polar_factors_in_single_precision():
    A = nearly_singular(np.random.default_rng(9), (3, 3), small=1e-4)
    A, D, W = (X.astype(np.float32) for X in (A, *np.random.default_rng(9).standard_normal((2, 3, 3))))

    def second_in(dtype):
        X, Y = A.astype(dtype), D.astype(dtype)
        return overbar.hessian(lambda t: np.sum(W * overbar.polar(X + t * Y)[0]))(dtype(0))

    assert error(second_in(np.float32), second_in(np.float64)) < 1e-5


SHAPES = pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)], ids=str)


@FRONT
@MODE
@SHAPES
def test_pseudoinverses_lose_rounding_over_the_smallest_singular_value_once(front, mode, shape):
    A = nearly_singular(np.random.default_rng(10), shape)
    check(front, mode, overbar.pinv, [A], 11, tolerance=1e-6)


@FRONT
@MODE
@SHAPES
def test_least_squares_lose_rounding_over_the_smallest_singular_value_once(front, mode, shape):
    A, B = nearly_singular(np.random.default_rng(12), shape), np.random.default_rng(13).standard_normal((shape[0], 2))
    for singular_values in (True, False):
        check(front, mode, overbar.lstsq, [A, B], 14, 0, 1e-6, least_squares, singular_values=singular_values)


@MODE
@SHAPES
def test_complex_pseudoinverses(mode, shape):
    rng = np.random.default_rng(15)
    A, B = nearly_singular(rng, shape, "complex128"), random(rng, shape[0], 2, dtype="complex128")
    check("numpy", mode, overbar.pinv, [A], 16, tolerance=1e-6)
    check("numpy", mode, overbar.lstsq, [A, B], 16, tolerance=1e-6, reference=least_squares)


@MODE
def test_residuals_of_least_squares(mode):
    rng = np.random.default_rng(17)
    A, b, D, E = nearly_singular(rng, (5, 3)), rng.standard_normal(5), *rng.standard_normal((2, 5, 3))
    found = second(mode, "numpy", lambda xp, X: overbar.lstsq(X, b)[1], A, D, E)

    def by_qr(xp, X):
        Q, _ = overbar.qr(X)
        return np.sum((b - Q @ (overbar.matrix_transpose(Q) @ b)) ** 2)

    assert error(found, second(mode, "numpy", by_qr, A, D, E)) < 1e-6
    square = second(mode, "numpy", lambda xp, X: overbar.lstsq(X, b[:3])[1], A[:3], D[:3], E[:3])
    assert square == 0  # there is no residual, whatever A is


@FRONT
@MODE
def test_hermitian_pseudoinverses(front, mode):
    rng = np.random.default_rng(18)
    Q = np.linalg.qr(rng.standard_normal((3, 3))).Q
    A = (Q * [2.0, -1.0, SMALL]) @ Q.T
    check(front, mode, overbar.pinv, [(A + A.T) / 2], 19, tolerance=1e-6, hermitian=True)


@FRONT
@MODE
def test_each_matrix_of_a_batch_has_its_own_rank(front, mode):
    """Those of full rank leave out what is zero for them; the others keep it."""
    rng = np.random.default_rng(20)
    low = rng.standard_normal((2, 3, 2)) @ rng.standard_normal((2, 2, 3))
    A = np.stack([nearly_singular(rng, (3, 3), small=1e-4), *low, np.zeros((3, 3))])
    W, B, D, E = (rng.standard_normal(A.shape) for _ in range(4))
    E = D = np.concatenate([D[:1], A[1:] @ D[1:] + E[1:] @ A[1:]])  # along which the rank stays, to first order
    losses = (
        lambda xp, X, i: xp.sum(xp.array(W[i]) * xp.ops.pinv(X)),
        lambda xp, X, i: xp.sum(xp.array(W[i]) * overbar.lstsq(X, xp.array(B[i]))[0]),
    )
    for loss in losses:
        together = second(mode, front, lambda xp, X, loss=loss: loss(xp, X, slice(None)), A, D, E)
        alone = [second(mode, front, lambda xp, X, i=i, loss=loss: loss(xp, X, i), A[i], D[i], E[i]) for i in range(4)]
        assert error(together, sum(alone)) < 1e-10


@MODE
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)], ids=str)
def test_pseudoinverses_of_lower_rank(mode, shape):
    """A = F G with F of full column rank and G of full row rank has A⁺ = G⁺ F⁺."""
    rng = np.random.default_rng(21)
    (m, n), W = shape, rng.standard_normal(shape[::-1])
    F, G = nearly_singular(rng, (m, 2), small=1e-5), nearly_singular(rng, (2, n), small=1.0)
    F_dot, F_other = rng.standard_normal((2, m, 2))

    def of_product(xp, F):
        return np.sum(W * overbar.pinv(F @ G, rtol=1e-10))

    def of_factors(xp, F):
        return np.sum(W * (overbar.pinv(G) @ overbar.pinv(F)))

    found, expected = (second(mode, "numpy", loss, F, F_dot, F_other) for loss in (of_product, of_factors))
    assert error(found, expected) < 1e-7


def test_pytorch_takes_this_rule_of_a_pseudoinverse():
    """Its own second derivative is right where the numbers tell that no singular value is small."""
    for small in (1e-1, 1e-5, 1e-7):
        A = torch.tensor(nearly_singular(np.random.default_rng(22), (3, 3), small=small))
        W = torch.tensor(np.random.default_rng(23).standard_normal((3, 3)))
        t = torch.zeros((), dtype=torch.float64, requires_grad=True)

        def second(inverse, A=A, W=W, t=t):
            (first,) = torch.autograd.grad(inverse(A + t * W).sum(), t, create_graph=True)
            return torch.autograd.grad(first, t)[0]

        close(second(torch_ops.pinv), second(torch_ops.inv), 1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5)], ids=str)
@pytest.mark.turns(2)
def test_pseudoinverses_of_sizes_that_a_graph_does_not_know(shape, jit):
    A = nearly_singular(np.random.default_rng(24), shape, small=1e-2)
    D, B = np.random.default_rng(25).standard_normal((2, *shape))

    def loss(A):
        return tf.reduce_sum(tf_ops.pinv(A) * B.T) + tf.reduce_sum(overbar.lstsq(A, tf.constant(B))[0])

    unknown = [tf.TensorSpec([None, None], tf.float64)]
    in_a_graph = tf.function(lambda A: twice(loss, A, D), input_signature=unknown, jit_compile=jit)
    # XLA's singular value decomposition has five digits less
    close(in_a_graph(tf.constant(A)), twice(loss, tf.constant(A), D), 1e-4 if jit else 1e-9)


@pytest.mark.parametrize("rcond", [-1, -0.5])
def test_a_negative_rcond_is_that_of_other_libraries(rcond):
    """LAPACK takes the unit roundoff for it."""
    rng = np.random.default_rng(5)
    A, B, W = rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), rng.standard_normal((3, 2))
    A[:, 2] = A[:, 1]
    expected, _, rank, _ = np.linalg.lstsq(A, B, rcond=rcond)
    (A_bar,) = overbar.vjp(lambda A: overbar.lstsq(A, B)[0], A)[1](W)
    for options in ({}, {"singular_values": False}):
        found = overbar.lstsq(A, B, rcond=rcond, **options)
        assert found[2] == rank == 2
        np.testing.assert_allclose(found[0], expected, rtol=1e-12)
        (bar,) = overbar.vjp(lambda A, o=options: overbar.lstsq(A, B, rcond=rcond, **o)[0], A)[1](W)
        np.testing.assert_allclose(bar, A_bar, rtol=1e-11)
    x = torch.tensor(A, requires_grad=True)
    for place in (torch_ops, torch.linalg):
        with torch_ops.reroute():
            X = place.lstsq(x, torch.tensor(B), rcond=rcond)[0]
        np.testing.assert_allclose(X.detach(), expected, rtol=1e-12)
    wide = overbar.lstsq(A.T, B[:3], rcond=rcond)[0]
    np.testing.assert_allclose(wide, np.linalg.lstsq(A.T, B[:3], rcond=rcond)[0], rtol=1e-12)


@pytest.mark.parametrize("options", [{}, {"singular_values": False}], ids=["", "without singular values"])
@pytest.mark.parametrize("library", ["numpy", "torch", "compiled", "tensorflow", "graph"])
def test_an_rcond_for_each_matrix(library, options):
    """Negative ones, too, each as that of its matrix alone. A compiler does not know the numbers."""
    rng = np.random.default_rng(6)
    A, B, W = (rng.standard_normal((4, *shape)) for shape in [(5, 3), (5, 2), (3, 2)])
    A[..., 2] = A[..., 1] + 1e-5 * A[..., 2]
    rcond = np.array([1e-3, -1, 1e-9, -0.5])
    alone = [overbar.vjp(lambda A, b=B[i], r=rcond[i]: overbar.lstsq(A, b, rcond=r)[0], A[i]) for i in range(4)]
    expected = [np.stack([X for X, _ in alone]), np.stack([back(W[i])[0] for i, (_, back) in enumerate(alone)])]
    ranks = [2, 3, 3, 3]
    if library == "numpy":
        assert list(overbar.lstsq(A, B, rcond=rcond, **options)[2]) == ranks
        X, pullback = overbar.vjp(lambda A: overbar.lstsq(A, B, rcond=rcond, **options)[0], A)
        found = [X, pullback(W)[0]]
        whole = overbar.lstsq(A, B, rcond=np.array([-1, -1, 0, -1]), **options)[0]  # integers
        np.testing.assert_allclose(whole, overbar.lstsq(A, B, rcond=-1)[0], rtol=1e-8)
    elif library in ("torch", "compiled"):

        def solved(A, B, rcond):
            return overbar.lstsq(A, B, rcond=rcond, **options)

        x, y, r = torch.tensor(A, requires_grad=True), torch.tensor(B), torch.tensor(rcond)
        run = torch.compile(solved, fullgraph=True, backend="aot_eager") if library == "compiled" else solved
        X, _, rank, _ = run(x, y, r)
        assert rank.tolist() == ranks
        found = [X.detach(), *torch.autograd.grad(X, x, torch.tensor(W))]
        one = run(x[1], y[1], torch.tensor(-1.0))[0]
        np.testing.assert_allclose(one.detach(), expected[0][1], rtol=1e-8)
    else:

        def solved_with_bar(A, B, rcond):
            with tf.GradientTape() as tape:
                tape.watch(A)
                X = overbar.lstsq(A, B, rcond=rcond, **options)[0]
            return X, tape.gradient(X, A, output_gradients=tf.constant(W))

        run = tf.function(solved_with_bar) if library == "graph" else solved_with_bar
        found = run(tf.constant(A), tf.constant(B), tf.constant(rcond))
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-8, atol=1e-8 * np.abs(y).max())


def test_nan_is_no_tolerance():
    A, B = np.eye(2), np.ones((2, 1))
    for name in ("atol", "rtol"):
        for x in (np.nan, np.float64(np.nan), np.array([1e-3, np.nan])):
            with pytest.raises(ValueError, match=f"pinv: the option {name} is .*NaN is no tolerance"):
                overbar.pinv(np.stack([A, A]), **{name: x})
        for x in (np.nan, torch.tensor(np.nan)):
            with pytest.raises(ValueError, match=f"pinv: the option {name} is .*NaN is no tolerance"):
                torch_ops.pinv(torch.tensor(A), **{name: x})
    with pytest.raises(ValueError, match="lstsq: the option rcond is nan"):
        overbar.lstsq(A, B, rcond=np.nan)
    with pytest.raises(ValueError, match=r"lstsq: the option rcond is .*NaN is no tolerance"):
        overbar.lstsq(np.stack([A, A]), np.stack([B, B]), rcond=np.array([np.nan, -1.0]))
