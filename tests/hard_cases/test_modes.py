"""Second derivatives in all four modes, reverse or forward over reverse or forward, of eigenvectors and singular
vectors at equal and close values, and of general eigenvalues: in NumPy, PyTorch and TensorFlow. May import the fronts.

Projections have them, and the truth is what reverse over reverse mode finds, which `test_degenerate` holds against
formulas. What has none, or none that a rule can know, has to be an error or NaN, and never a number.
"""

import warnings

import numpy as np
import pytest
import scipy.linalg

import overbar
from tests.compare import error
from tests.frameworks import tf, tf_ops, torch, torch_ops

MODES = ["rr", "fr", "rf", "ff"]
MODE = pytest.mark.parametrize("mode", MODES)
DTYPE = pytest.mark.parametrize("dtype", ["float64", "complex128"])
FRONT = pytest.mark.parametrize("front", ["numpy", "torch", "tensorflow"])
ERRORS = (np.linalg.LinAlgError, torch.linalg.LinAlgError, tf.errors.InvalidArgumentError)

# -- the modes ---------------------------------------------------------------------------------------------------------


class Numpy:
    ops, mH, sum, real, exp = overbar, staticmethod(overbar.mH), np.sum, np.real, np.exp
    array = staticmethod(np.asarray)

    @staticmethod
    def dot(loss, A, D):
        return overbar.jvp(loss, (A,), (D,))[1]

    @staticmethod
    def bar(loss, A):
        return overbar.grad(loss)(A)


class Torch:
    ops, sum, real, exp = torch_ops, torch.sum, torch.real, torch.exp
    array = staticmethod(torch.tensor)

    @staticmethod
    def mH(X):
        return X.mH

    @staticmethod
    def dot(loss, A, D):
        return torch.func.jvp(loss, (A,), (D,))[1]

    @staticmethod
    def bar(loss, A):
        return torch.func.grad(loss)(A)


class Tensorflow:
    ops, sum, real, exp, mH = tf_ops, tf.reduce_sum, tf.math.real, tf.exp, staticmethod(tf.linalg.adjoint)
    array = staticmethod(tf.constant)

    @staticmethod
    def dot(loss, A, D):
        with tf.autodiff.ForwardAccumulator(A, D) as accumulator:
            z = loss(A)
        return accumulator.jvp(z)

    @staticmethod
    def bar(loss, A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            z = loss(A)
        return tape.gradient(z, A)


XP = {"numpy": Numpy, "torch": Torch, "tensorflow": Tensorflow}


def second(mode, front, loss, A, D, E):
    """The second derivative of loss(xp, A) along D and E."""
    xp = XP[front]
    A, D, E = (xp.array(X) for X in (A, D, E))

    def inner(X, Y):
        return xp.sum(xp.real(xp.mH(X) @ Y) * xp.array(np.eye(X.shape[-1])))

    def first(X):
        if mode[1] == "f":
            return xp.dot(lambda Y: loss(xp, Y), X, D)
        return inner(xp.bar(lambda Y: loss(xp, Y), X), D)

    return float(xp.dot(first, A, E) if mode[0] == "f" else inner(xp.bar(first, A), E))


def random(rng, *shape, dtype="float64"):
    return rng.standard_normal(shape) + (1j * rng.standard_normal(shape) if dtype == "complex128" else 0)


def hermitian(X):
    return (X + X.conj().T) / 2


def weighted(xp, W, X):
    return xp.sum(xp.real(xp.mH(xp.array(W)) @ X) * xp.array(np.eye(X.shape[-1])))


def with_vectors(rng, values, shape, dtype):
    """A matrix with these singular values, or eigenvalues where there is one size."""
    U = np.linalg.qr(random(rng, shape[0], len(values), dtype=dtype)).Q
    if len(shape) == 1:
        return hermitian((U * values) @ U.conj().T)
    return (U * values) @ np.linalg.qr(random(rng, shape[1], len(values), dtype=dtype)).Q.conj().T


# -- projections -------------------------------------------------------------------------------------------------------


def eigenproblem(gap, dtype, of="eigh"):
    """A loss of projections, a matrix that it is a function of, and two directions."""
    rng = np.random.default_rng(3)
    W, D, E, B = (hermitian(random(rng, 6, 6, dtype=dtype)) for _ in range(4))
    A = with_vectors(rng, [1, 1 + gap, 2, 3, 4, 4], (6,), dtype)
    if of == "eigh":
        return lambda xp, A: weighted(xp, W, gram(xp, xp.ops.eigh(A)[1][:, :2])), A, D, E
    B = B @ B + np.eye(6)
    L = np.linalg.cholesky(B)
    A = hermitian(L @ A @ L.conj().T)
    if of == "A of eigh_generalized":
        return (
            lambda xp, A: weighted(xp, W, gram(xp, xp.ops.eigh_generalized(A, xp.array(B))[1][:, :2])),
            A,
            D,
            E,
        )
    return lambda xp, B: weighted(xp, W, gram(xp, xp.ops.eigh_generalized(xp.array(A), B)[1][:, :2])), B, D, E


def gram(xp, V):
    return V @ xp.mH(V)


@MODE
@FRONT
@DTYPE
@pytest.mark.parametrize("of", ["eigh", "A of eigh_generalized", "B of eigh_generalized"])
def test_projection_on_a_space_of_eigenvectors(mode, front, dtype, of):
    problem = eigenproblem(0, dtype, of)
    assert error(second(mode, front, *problem), second("rr", "numpy", *problem)) < 1e-12


def test_the_projection_that_was_wrong():
    """By hand: it is I less the projection on the third vector v, whose derivatives are those of an isolated one."""
    W, D = np.arange(9.0).reshape(3, 3), np.array([[0, 1.0, 1], [1, 2, 3], [1, 3, 0]])
    for front in XP:
        for mode in MODES:
            loss = lambda xp, A: weighted(xp, W.T, gram(xp, xp.ops.eigh(A)[1][:, :2]))  # noqa: E731
            assert second(mode, front, loss, np.diag([1.0, 1, 2]), D, D) == pytest.approx(-152, rel=1e-13)


def singular_problem(gap, shape, dtype, full_matrices=False):
    rng = np.random.default_rng(7)
    W, X, Y, D, E = (
        random(rng, *sizes, dtype=dtype) for sizes in [(shape[0],) * 2, (shape[1],) * 2, shape[::-1], shape, shape]
    )
    A = with_vectors(rng, [3, 2 + gap, 2, 1], shape, dtype)

    def loss(xp, A):
        if xp is Tensorflow:
            _, U, V = tf_ops.svd(A, full_matrices=full_matrices)
            Vh = tf.linalg.adjoint(V)
        else:
            U, _, Vh = xp.ops.svd(A, full_matrices=full_matrices)
        left, right = U[:, 1:3], Vh[1:3]
        found = weighted(xp, W, left @ xp.mH(left)) + weighted(xp, X, xp.mH(right) @ right)
        found = found + weighted(xp, Y.conj().T, left @ right)
        if full_matrices:
            found = found + weighted(xp, W, gram(xp, U[:, 4:])) + weighted(xp, X, xp.mH(Vh[4:]) @ Vh[4:])
        return found

    return loss, A, D, E


@MODE
@FRONT
@DTYPE
@pytest.mark.parametrize("shape", [(4, 4), (6, 4), (4, 6)])
@pytest.mark.parametrize("full_matrices", [False, True])
def test_projections_on_spaces_of_singular_vectors(mode, front, dtype, shape, full_matrices):
    problem = singular_problem(0, shape, dtype, full_matrices)
    assert error(second(mode, front, *problem), second("rr", "numpy", *problem)) < 1e-12


@DTYPE
@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7, 1e-9, 1e-12])
@pytest.mark.parametrize("problem", [eigenproblem, lambda gap, dtype: singular_problem(gap, (6, 4), dtype)])
def test_what_close_values_cost(problem, gap, dtype):
    """ε over the gap where one pass is forward, ε over its square where both are: or NaN, with a warning."""
    problem, eps = problem(gap, dtype), np.finfo(float).eps
    expected = second("rr", "numpy", *problem)
    for mode in ["fr", "rf"]:
        assert error(second(mode, "numpy", *problem), expected) < 50 * eps / gap
    if gap > 1e-6:
        assert error(second("ff", "numpy", *problem), expected) < 1000 * eps / gap**2
    else:
        with pytest.warns(RuntimeWarning, match="so close that"):
            assert np.isnan(second("ff", "numpy", *problem))


@FRONT
def test_a_vector_out_of_a_space_is_nan_in_reverse_over_forward_mode(front):
    rng = np.random.default_rng(1)
    A = with_vectors(rng, [1, 1, 2, 3], (4,), "float64")
    D, E = (hermitian(random(rng, 4, 4)) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = lambda xp, A: xp.sum(xp.ops.eigh(A)[1][:, :1] ** 4)  # noqa: E731
        assert np.isnan(second("rf", front, one, A, D, E))
    # and of others it is not
    other = lambda xp, A: xp.sum(xp.ops.eigh(A)[1][:, 2:] ** 4)  # noqa: E731
    expected = second("rr", front, other, A, D, E)
    assert error(second("rf", front, other, A, D, E), expected) < 1e-12
    assert error(second("ff", front, other, A, D, E), expected) < 1e-12


@pytest.mark.parametrize("gap", [0, 1e-9, 0.5])
@pytest.mark.parametrize("op", ["eigh", "svd"])
def test_jacobians_of_jacobians(op, gap):
    """torch.func.vmap leaves a batch dimension out of bars, or of vectors, as it happens."""
    rng = np.random.default_rng(5)
    A = torch.tensor(with_vectors(rng, [3, 3 - gap, 2, 1], (4,) if op == "eigh" else (4, 4), "float64"))
    D = torch.tensor(hermitian(random(rng, 4, 4)))

    def projection(A):
        V = torch_ops.eigh(A)[1][:, 2:] if op == "eigh" else torch_ops.svd(A)[0][:, :2]
        return V @ V.mT

    def found(one, other):
        return torch.einsum("abijkl,ij,kl->ab", one(other(projection))(A), D, D)

    jacrev, jacfwd = torch.func.jacrev, torch.func.jacfwd
    expected = found(jacrev, jacrev)
    along = torch.func.jvp(lambda x: torch.func.jvp(projection, (x,), (D,))[1], (A,), (D,))[1]
    assert gap == 1e-9 or error(along, expected) < 1e-12
    # here some bars are small beside what they are the sum of, and rounding is not known for what it is
    assert gap == 1e-9 or error(found(jacrev, jacfwd), expected) < 1e-12
    assert error(found(jacfwd, jacrev), expected) < 1e-12 + 1e-6 * (gap == 1e-9)


# -- general eigenvalues -----------------------------------------------------------------------------------------------


def square(xp, A):
    """tr A²"""
    return xp.sum(xp.real(xp.ops.eigvals(A) ** 2))


def exponential(xp, A):
    """tr e^A"""
    return xp.sum(xp.real(xp.exp(xp.ops.eigvals(A))))


def exact(A, D, E):
    """The second derivative of tr e^A."""
    return np.sum(E.T * scipy.linalg.expm_frechet(A, D, compute_expm=False))


MIX = np.random.default_rng(2).standard_normal((3, 3)) * 0.3 + np.eye(3)
SEMISIMPLE = {
    "identity": (np.eye(2), np.array([[0, 1.0], [3, 0]])),
    "diagonal": (np.diag([-1.0, -1, -2]), np.arange(9.0).reshape(3, 3)),
    "general": (MIX @ np.diag([-1.0, -1, -2]) @ np.linalg.inv(MIX), np.arange(9.0).reshape(3, 3)),
}


@MODE
@FRONT
@pytest.mark.parametrize("case", SEMISIMPLE)
def test_second_derivatives_of_equal_eigenvalues_are_an_error(mode, front, case):
    A, D = SEMISIMPLE[case]
    for loss in (square, exponential):
        with pytest.raises(ERRORS, match=r"as good as equal"):
            second(mode, front, loss, A, D, D)


@MODE
@FRONT
def test_along_the_identity_there_is_nothing_to_tell(mode, front):
    A, D = SEMISIMPLE["general"]
    if mode in ("rr", "rf", "ff"):
        assert second(mode, front, exponential, A, np.eye(3), np.eye(3)) == pytest.approx(
            np.trace(scipy.linalg.expm(A))
        )
    else:
        assert second(mode, front, exponential, A, D, np.eye(3)) == pytest.approx(exact(A, D, np.eye(3)), rel=1e-11)


@pytest.mark.parametrize("one", ["jacfwd", "jacrev"])
@pytest.mark.parametrize("other", ["jacfwd", "jacrev"])
def test_hessians_of_equal_eigenvalues_are_an_error(one, other):
    one, other = getattr(torch.func, one), getattr(torch.func, other)
    with pytest.raises(torch.linalg.LinAlgError, match="as good as equal"):
        one(other(lambda A: square(Torch, A)))(torch.eye(2, dtype=torch.float64))
    A = torch.tensor([[1.0, 2], [3, 4]], dtype=torch.float64)
    expected = 2 * torch.eye(4).reshape(2, 2, 2, 2).mT
    assert error(one(other(lambda A: square(Torch, A)))(A), expected) < 1e-12


@pytest.mark.slow
@MODE
@pytest.mark.turns(2)
def test_under_xla_they_are_nan(mode):
    D = np.array([[0, 1.0], [3, 0]])
    D, I = tf.constant(D), tf.eye(2, dtype=tf.float64)

    def first(X):
        if mode[1] == "f":
            return Tensorflow.dot(lambda Y: square(Tensorflow, Y), X, D)
        return tf.reduce_sum(Tensorflow.bar(lambda Y: square(Tensorflow, Y), X) * D)

    compute = tf.function(
        (lambda X: Tensorflow.dot(first, X, D)) if mode[0] == "f" else (lambda X: Tensorflow.bar(first, X)),
        jit_compile=True,
    )
    assert np.isnan(compute(I).numpy()).all()
    assert np.isfinite(compute(tf.constant([[1.0, 2], [3, 4]], tf.float64)).numpy()).all()


@MODE
def test_near_a_defective_matrix_there_are_digits_or_there_is_an_error(mode):
    rng = np.random.default_rng(4)
    D, E = random(rng, 2, 2), random(rng, 2, 2)
    for delta in 10.0 ** -np.arange(2, 15):
        A = np.array([[0, 1], [delta, 0]])
        assert error(overbar.grad(lambda A: exponential(Numpy, A))(A), scipy.linalg.expm(A).T) < 1e-6
        if delta > 3e-10:
            assert second(mode, "numpy", exponential, A, D, E) == pytest.approx(exact(A, D, E), abs=1e-2)
        else:
            with pytest.raises(np.linalg.LinAlgError, match="as good as equal"):
                second(mode, "numpy", exponential, A, D, E)


@MODE
@FRONT
def test_vectors_of_equal_eigenvalues_have_no_second_derivative(mode, front):
    A, D = SEMISIMPLE["general"]
    W = np.arange(9.0).reshape(3, 3)

    def loss(xp, A):  # of the projection on the space of equal ones, the last two
        V = xp.ops.eig(A)[1]
        return weighted(xp, W.astype(complex), V[:, 1:] @ xp.ops.inv(V)[1:])

    with pytest.raises(ERRORS, match=r"equal"):
        second(mode, front, loss, A, D, D)


@pytest.mark.parametrize("op", ["eigvals", "eig"])
def test_the_error_names_the_matrix_that_vmap_hides(op):
    def loss(A):
        found = getattr(torch_ops, op)(A)
        return (found if op == "eigvals" else found[0]).exp().real.sum()

    A = torch.tensor([[[1.0, 0], [0, 2]], [[0, 1], [0, 0]]], dtype=torch.float64)
    with pytest.raises(torch.linalg.LinAlgError, match=rf"{op}: .*\(matrix 1 of the batch\) is defective"):
        torch.func.vmap(torch.func.grad(loss))(A)


# -- weights that are zero where the value is --------------------------------------------------------------------------


def low_rank(shape, rank, hermitian_too=False):
    """A of this rank, a vector, and directions; and what of a direction keeps the rank."""
    rng = np.random.default_rng(11)
    X, y = random(rng, shape[0], rank), random(rng, shape[0], 1)
    A = X @ (X.T if hermitian_too else random(rng, rank, shape[1]))
    D, E = (hermitian(X) if hermitian_too else X for X in (random(rng, *shape) for _ in range(2)))
    U, _, Vh = np.linalg.svd(A)
    U, V = U[:, rank:], Vh[rank:].T
    return A, y, D, E, lambda E: E - U @ (U.T @ E @ V) @ V.T


def factors(xp, A):
    if xp is Tensorflow:
        s, U, V = tf_ops.svd(A)
        return U, s, V
    U, s, Vh = xp.ops.svd(A, full_matrices=False)
    return U, s, xp.mH(Vh)


@MODE
@FRONT
@pytest.mark.parametrize("shape, rank", [((6, 4), 3), ((6, 4), 2), ((4, 4), 2), ((4, 6), 2)])
def test_weights_that_vanish_twice_at_zero(mode, front, shape, rank):
    """The size of a ridge regression: along what keeps the rank it is that by the normal equations. Where the rank
    rises, the weights move with vectors that no decomposition has, and it has to be NaN."""
    A, y, D, E, keeping = low_rank(shape, rank)

    def loss(xp, A):
        U, s, V = factors(xp, A)
        return xp.sum((V @ ((s / (s**2 + 0.5))[:, None] * (xp.mH(U) @ xp.array(y)))) ** 2)

    def direct(xp, A):
        return xp.sum(xp.ops.solve(xp.mH(A) @ A + np.eye(shape[1]) / 2, xp.mH(A) @ y) ** 2)

    D0, E0 = keeping(D), keeping(E)
    assert error(second(mode, front, loss, A, D0, E0), second("rr", "numpy", direct, A, D0, E0)) < 1e-12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(second(mode, front, loss, A, D, E))


@pytest.mark.parametrize("shape", [(4, 4), (4, 6)])
@pytest.mark.parametrize("mode", ["rr", "fr", "rf"])
def test_weights_of_a_vector_that_is_unique_have_a_second_derivative(mode, shape):
    A, y, D, E, _ = low_rank(shape, 3)

    def loss(xp, A):
        U, s, V = factors(xp, A)
        return xp.sum((V @ ((s / (s**2 + 0.5))[:, None] * (xp.mH(U) @ y))) ** 2)

    def direct(xp, A):
        return xp.sum(xp.ops.solve(xp.mH(A) @ A + np.eye(shape[1]) / 2, xp.mH(A) @ y) ** 2)

    assert error(second(mode, "numpy", loss, A, D, E), second("rr", "numpy", direct, A, D, E)) < 1e-12


@MODE
@FRONT
@pytest.mark.parametrize("rank", [2, 3])
def test_weights_that_vanish_twice_at_the_eigenvalue_zero(mode, front, rank):
    A, y, D, E, keeping = low_rank((5, 5), rank, hermitian_too=True)

    def loss(xp, A):
        w, V = xp.ops.eigh(A)
        return xp.sum(((w / (w + 0.5))[:, None] * (xp.mH(V) @ xp.array(y))) ** 2)

    def direct(xp, A):
        return xp.sum((A @ xp.ops.solve(A + np.eye(5) / 2, y)) ** 2)

    D0, E0 = keeping(D), keeping(E)
    assert error(second(mode, front, loss, A, D0, E0), second("rr", "numpy", direct, A, D0, E0)) < 1e-12
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isnan(second(mode, front, loss, A, D, E))


# -- the Hermitian polar factor, and the nuclear norm, of matrices that keep their rank --------------------------------


@MODE
@FRONT
@pytest.mark.parametrize("shape, rank", [((4, 4), 2), ((6, 4), 2), ((4, 6), 3)])
@pytest.mark.parametrize("side", ["right", "left", "nuclear"])
def test_what_has_a_kink_only_where_the_rank_rises(mode, front, shape, rank, side):
    """As functions of X, with A = X Y. They are homogeneous in X, so that X is a direction without a second derivative;
    along others the roots of regular matrices tell it: that of Yᴴ(XᴴX)Y is Q (R (XᴴX) Rᴴ)^½ Qᴴ with Yᴴ = Q R."""
    rng = np.random.default_rng(2)
    X, D, E = (random(rng, shape[0], rank) for _ in range(3))
    Y, W = random(rng, rank, shape[1]), random(rng, *[shape[side == "right"]] * 2)
    Q, R = np.linalg.qr(Y.T)

    def loss(xp, X):
        A = X @ xp.array(Y)
        if side == "nuclear":
            return xp.ops.matrix_norm(A, ord="nuc")
        return xp.sum(xp.array(W) * xp.ops.polar(A, side=side)[1])

    def direct(xp, X):
        Z = X @ R.T  # X Y = Z Qᴴ
        root = xp.ops.sqrtmh(xp.mH(Z) @ Z)
        if side == "left":  # (Z Zᴴ)^½ = Z (ZᴴZ)^-½ Zᴴ
            return xp.sum(W * (Z @ xp.ops.solve(root, xp.mH(Z))))
        return xp.sum((np.eye(rank) if side == "nuclear" else Q.T @ W @ Q) * root)

    expected = second("rr", "numpy", direct, X, D, E)
    assert error(second(mode, front, loss, X, D, E), expected) < 1e-10
    assert abs(second(mode, front, loss, X, X, E)) < 1e-11 * abs(expected)
