"""A function of a general square matrix where it is hard, in NumPy, PyTorch and TensorFlow: what f must be, what is
refused, and compilers. May import the fronts. (Repeated eigenvalues and Jordan blocks are in `test_matrix_functions`.)
"""

import functools

import mpmath
import numpy as np
import pytest
import scipy.linalg
import scipy.special

import overbar
from overbar.rules._frechet import derivative
from tests.frameworks import tf, tf_ops, torch, torch_ops

ERRORS = {
    "numpy": np.linalg.LinAlgError,
    "torch": torch.linalg.LinAlgError,
    "tensorflow": tf.errors.InvalidArgumentError,
}
fronts = pytest.mark.parametrize("front", ERRORS)


def value_and_gradient(front, A, **options):
    """f(A), and the gradient of its sum."""
    if front == "numpy":
        C, pullback = overbar.vjp(functools.partial(overbar.funm, **options), A)
        return C, pullback(np.ones_like(C))[0]
    if front == "torch":
        A = torch.tensor(A, requires_grad=True)
        C = torch_ops.funm(A, **options)
        return C.detach().numpy(), torch.autograd.grad(C, A, torch.ones_like(C))[0].numpy()
    A = tf.constant(A)
    with tf.GradientTape() as tape:
        tape.watch(A)
        C = tf_ops.funm(A, **options)
    return C.numpy(), tape.gradient(C, A).numpy()


def of_namespace(name):
    return lambda x: getattr(overbar.namespace(x), name)(x)


def random(n, seed=0):
    """A matrix far from normal, its eigenvalues in the right half-plane."""
    A = np.random.default_rng(seed).standard_normal((n, n))
    return np.triu(A) + 0.3 * np.tril(A, -1) + (2 + n**0.5) * np.eye(n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize(("f", "known"), [("exp", "expm"), ("log", "logm"), ("sqrt", "sqrtm"), ("sin", "sinm")])
def test_functions_that_have_an_algorithm_of_their_own(f, known, dtype):
    A = (random(12) / 2 * (1 + 0.3j if np.dtype(dtype).kind == "c" else 1)).astype(dtype)
    E = random(12, 1).astype(dtype)
    for k in range(3):
        found = derivative(overbar.funm, k)(A, *[E] * k, f=getattr(np, f))
        expected = derivative(getattr(overbar, known), k)(A, *[E] * k)
        assert found.dtype == dtype
        assert abs(found - expected).max() < 2000 * np.finfo(dtype).eps * abs(expected).max()


GAPS = [0.0, 1e-14, 1e-10, 1e-7, 1e-5, 1e-3, 1e-2, 0.1]


@pytest.mark.parametrize("coupling", [0.0, 1.0], ids=["diagonalisable", "defective"])
@pytest.mark.parametrize("gap", GAPS)
def test_close_eigenvalues_with_fifty_digits(gap, coupling):
    """The logarithm where three eigenvalues are gap apart, with and without a full set of vectors at gap 0; its first
    derivative is a block of that of [[A, E], [0, A]]."""
    context = mpmath.mp.clone()
    context.dps = 70
    B = np.diag([1.5, 1.5 + gap, 1.5 + 2.5 * gap, 4.0]) + coupling * np.diag([1.0, 1.0, 0.0], 1)
    P = np.eye(4) + np.array([[0, 1, 0, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]]) / 4
    A, E = P @ B @ np.linalg.inv(P), np.random.default_rng(3).standard_normal((4, 4))
    M = context.matrix(np.block([[A, E], [np.zeros((4, 4)), A]]).tolist())
    truth = np.array(context.logm(M).tolist(), complex).real
    C, C_dot = overbar.jvp(functools.partial(overbar.funm, f=np.log), (A,), (E,))
    assert abs(C - truth[:4, :4]).max() < 1e-12 * abs(truth[:4, :4]).max()
    assert abs(C_dot - truth[:4, 4:]).max() < 1e-12 * abs(truth[:4, 4:]).max()


def test_a_function_of_scipy():
    """Whatever takes complex numbers, under SciPy's name for it, too."""
    A = random(5) / 4
    w, V = np.linalg.eig(A)
    truth = (V * scipy.special.erf(w)) @ np.linalg.inv(V)
    np.testing.assert_allclose(overbar.funm(A, scipy.special.erf), truth, atol=1e-12)
    np.testing.assert_allclose(overbar.funm(A, func=scipy.special.erf), scipy.linalg.funm(A, scipy.special.erf))


def real_exponential(x):
    """What knows real numbers only."""
    return overbar.namespace(x).exp(overbar.namespace(x).real(x))


@fronts
def test_derivatives_that_are_given(front):
    A = np.array([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0], [0.0, 0.0, 1.0 + 1e-9]])
    C, G = value_and_gradient(front, A, f=real_exponential, df=lambda x, k: real_exponential(x))
    np.testing.assert_allclose(C, scipy.linalg.expm(A), rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(G, overbar.vjp(overbar.expm, A)[1](np.ones((3, 3)))[0], rtol=1e-12)


@fronts
def test_a_function_that_is_constant_or_linear(front):
    A = np.array([[1.0, 2.0], [0.0, 1.0]])
    C, G = value_and_gradient(front, A, f=lambda x: 3)
    np.testing.assert_allclose(C, 3 * np.eye(2), atol=1e-14)
    np.testing.assert_allclose(G, 0, atol=1e-14)
    C, G = value_and_gradient(front, A, f=lambda x: 2 * x)
    np.testing.assert_allclose(C, 2 * A, rtol=1e-14)
    np.testing.assert_allclose(G, 2, rtol=1e-13)


@fronts
def test_eigenvalues_near_a_branch_point_and_far_from_it(front):
    """Each cluster has circles of its own; the equal ones are vectors apart."""
    x = np.array([1e-3, 1e-3, 1.0, 1e3])
    V = np.array([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 1]])
    Q, _ = np.linalg.qr(V)
    C, G = value_and_gradient(front, (Q * x) @ Q.T, f=of_namespace("sqrt"))
    r = np.sqrt(x)
    np.testing.assert_allclose(C, (Q * r) @ Q.T, rtol=1e-8)
    truth = Q @ ((Q.T @ np.ones((4, 4)) @ Q) / (r[:, None] + r)) @ Q.T
    np.testing.assert_allclose(G, truth, rtol=1e-8)


@pytest.mark.parametrize("exponent", [-900, -300, 300, 900])
def test_scales(exponent):
    scale = 2.0**exponent
    A, E = random(4), random(4, 1)
    C, C_dot = overbar.jvp(functools.partial(overbar.funm, f=np.sqrt), (A,), (E,))
    found = overbar.jvp(functools.partial(overbar.funm, f=np.sqrt), (A * scale,), (E * scale,))
    np.testing.assert_allclose(found[0] / scale**0.5, C, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(found[1] / scale**0.5, C_dot, rtol=1e-11, atol=1e-12)


# -- what is refused ---------------------------------------------------------------------------------------------------

JORDAN = np.array([[1.0, 1.0], [0.0, 1.0]])
UNKNOWN = {
    "a pole": (np.diag([1.0, 0.0]), lambda x: 1 / x, "f is not finite at 0, an eigenvalue"),
    "a branch point, defective": (
        JORDAN - np.eye(2),
        of_namespace("sqrt"),
        "f is analytic around the eigenvalues near",
    ),
    "a conjugate, defective": (JORDAN, of_namespace("conj"), "f is analytic around the eigenvalues near 1 "),
    "a pole between close ones": (
        np.array([[1e-9, 1.0], [0.0, -1e-9]]),
        lambda x: 1 / (x - 1e-10),
        "no digit of .* is certain|f is analytic",
    ),
    "not real": (-np.eye(2), of_namespace("log"), "not real. Convert A to a complex dtype"),
    "NaN": (np.array([[1.0, np.nan], [0.0, 1.0]]), of_namespace("exp"), "not finite"),
}


@fronts
@pytest.mark.parametrize("case", UNKNOWN)
def test_what_cannot_be_known_is_an_error(front, case):
    A, f, message = UNKNOWN[case]
    with pytest.raises(ERRORS[front], match=f"funm: .*{message}"):
        value_and_gradient(front, A, f=f)


WITHOUT_DERIVATIVE = {
    "a root at zero": (np.diag([1.0, 0.0]), of_namespace("sqrt"), "eigenvalue 0 "),
    "a modulus": (np.diag([1.0, 2.0]), lambda x: x * of_namespace("conj")(x), "eigenvalue 1 "),
    "on a branch cut": (np.diag([-1.0 + 0j, 2.0]), of_namespace("log"), "eigenvalue -1 "),
}


@fronts
@pytest.mark.parametrize("case", WITHOUT_DERIVATIVE)
def test_a_value_without_a_derivative(front, case):
    A, f, message = WITHOUT_DERIVATIVE[case]
    x = np.diagonal(A)
    np.testing.assert_allclose(overbar.funm(A, f=f), np.diag(f(x)), atol=1e-14)
    with pytest.raises(ERRORS[front], match=f"a derivative of f.A. needs that f is analytic around the {message}"):
        value_and_gradient(front, A, f=f)


def test_a_matrix_of_a_batch_is_named():
    A = np.stack([np.eye(2), np.diag([0.0, 1.0])])
    with pytest.raises(np.linalg.LinAlgError, match=r"not finite at 0.*\(Matrix 1 of the batch.\)"):
        overbar.funm(A, f=lambda x: 1 / x)


@fronts
def test_functions_that_are_none(front):
    for options in ({"f": 3}, {"f": None}, {"f": overbar.exp, "df": 2}):
        with pytest.raises(TypeError, match=r"funm: the option d?f is .*must be a function"):
            value_and_gradient(front, np.eye(2), **options)
    with pytest.raises(ERRORS[front] if front == "tensorflow" else RuntimeError if front == "torch" else ValueError):
        value_and_gradient(front, np.eye(2), f=lambda x: x[..., :1])
    other = (lambda x: torch.ones(tuple(x.shape))) if front != "torch" else lambda x: np.ones(x.shape)
    with pytest.raises(TypeError, match=r"funm: f returned a .*Take the functions in it from xp"):
        value_and_gradient(front, np.eye(2), f=other)


def test_a_parameter_that_no_rule_sees_is_refused():
    A, c = torch.eye(2, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    with pytest.raises(TypeError, match="the option f is differentiated with respect to the eigenvalues only"):
        torch_ops.funm(A, f=lambda x: torch.exp(c * x))
    with pytest.raises(TypeError, match="the option f is differentiated with respect to its arguments only"):
        torch.func.grad(lambda c: torch_ops.funm(A, f=lambda x: torch.exp(c * x)).sum())(c.detach())
    torch_ops.funm(A, f=lambda x: torch.exp(c.detach() * x))
    for differentiate in (
        lambda f: overbar.grad(f)(2.0),
        lambda f: overbar.jvp(f, (2.0,), (1.0,)),
        lambda f: overbar.grad(lambda c: c * overbar.grad(f)(c))(2.0),
    ):
        for scale in (0.0, 1.0):  # the matrix moves, too, or does not
            with pytest.raises(TypeError, match="the option f is differentiated with respect to the eigenvalues only"):
                differentiate(lambda c, s=scale: overbar.sum(overbar.funm((1 + s * c) * A.numpy(), f=lambda x: c * x)))


def test_a_trained_parameter_is_a_constant_where_nobody_differentiates():
    """In PyTorch, under no_grad, the network that has it is asked for values only."""
    A, c = torch.tensor(random(3)), torch.nn.Parameter(torch.tensor(0.7, dtype=torch.float64))
    for X in (A, A.clone().requires_grad_()):
        expected = torch_ops.funm(A, f=lambda x: torch.exp(c.detach() * x))
        for mode in (torch.no_grad, torch.inference_mode):
            with mode():
                C = torch_ops.funm(X, f=lambda x: torch.exp(c * x))
            torch.testing.assert_close(C, expected, rtol=0, atol=0)
            assert not C.requires_grad
    # forward mode and torch.func do not end with it
    with torch.no_grad(), torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(c.detach(), torch.ones_like(c))
        with pytest.raises(TypeError, match="with respect to the eigenvalues only"):
            torch_ops.funm(A, f=lambda x: torch.exp(dual * x))
    with torch.no_grad(), pytest.raises(TypeError, match="with respect to its arguments only"):
        torch.func.grad(lambda c: torch_ops.funm(A, f=lambda x: torch.exp(c * x)).sum())(c.detach())
    with torch.no_grad(), pytest.raises(TypeError, match="with respect to the eigenvalues only"):
        torch.func.grad(lambda t: torch_ops.funm(t * A, f=lambda x: torch.exp(c * x)).sum())(c.detach())


# -- compilers and transforms ------------------------------------------------------------------------------------------


def test_graphs_of_tensorflow():
    """Sizes and ranks that are not known, and a batch."""
    A = np.stack([random(3), random(3, 1), np.eye(3)])
    expected = value_and_gradient("numpy", A, f=np.exp)

    @tf.function(input_signature=[tf.TensorSpec([None, None, None], tf.float64)])
    def run(A):
        with tf.GradientTape() as tape:
            tape.watch(A)
            C = tf_ops.funm(A, f=tf.exp)
        return C, tape.gradient(C, A)

    for found, truth in zip(run(tf.constant(A)), expected, strict=True):
        np.testing.assert_allclose(found, truth, rtol=1e-11, atol=1e-11)
    mapped = tf.vectorized_map(lambda A: tf_ops.funm(A, f=tf.exp), tf.constant(A))
    np.testing.assert_allclose(mapped, expected[0], rtol=1e-12)


def test_transforms_of_torch():
    A = torch.tensor(np.stack([random(3), random(3, 1)]))
    f = functools.partial(torch_ops.funm, f=torch.log)
    torch.testing.assert_close(torch.func.vmap(f)(A), f(A))
    H = torch.func.hessian(lambda A: f(A).sum())(A[0])
    expected = torch.func.hessian(lambda A: torch_ops.logm(A).sum())(A[0])
    torch.testing.assert_close(H, expected, rtol=1e-10, atol=1e-11)


def multiple_of_log(c):
    return lambda x: torch.log(x) * c


def test_the_compiler_sees_what_a_function_closes_over():
    A = torch.tensor(random(3), requires_grad=True)
    compiled = torch.compile(lambda A, f: torch_ops.funm(A, f=f).sum(), backend="aot_eager", fullgraph=True)
    expected = torch_ops.logm(A).sum()
    (expected_gradient,) = torch.autograd.grad(expected, A)
    for c in (1.0, 2.0, 3.0):
        found = compiled(A, multiple_of_log(c))
        torch.testing.assert_close(found, c * expected)
        torch.testing.assert_close(torch.autograd.grad(found, A)[0], c * expected_gradient)


# -- where eig has no way out ------------------------------------------------------------------------------------------


def test_eig_names_the_way_out():
    P = torch.tensor(random(3, 5))

    def by_vectors(A):
        w, V = torch_ops.eig(A)
        return (P * ((V * torch.exp(w)[..., None, :]) @ torch.linalg.inv(V))).real.sum()

    A = torch.diag(torch.tensor([2.0, 2.0, 1.0], dtype=torch.float64)).requires_grad_()
    with pytest.raises(torch.linalg.LinAlgError, match=r"equal eigenvalues.*funm\(A, f=f\)"):
        torch.autograd.grad(by_vectors(A), A)
    (G,) = torch.autograd.grad((P * torch_ops.funm(A, f=torch.exp)).sum(), A)
    torch.testing.assert_close(G, torch.autograd.grad((P * torch_ops.expm(A)).sum(), A)[0])
    A = (torch.eye(3, dtype=torch.float64) + torch.eye(3, dtype=torch.float64).roll(1, 1).triu()).requires_grad_()
    with pytest.raises(torch.linalg.LinAlgError, match=r"defective.*funm\(A, f=f\)"):
        torch.autograd.grad(by_vectors(A), A)
