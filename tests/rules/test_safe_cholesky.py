"""The Cholesky decomposition with jitter: which jitter each matrix of a batch gets, derivatives with it, what compilers
and transforms make of it, and what is said where no jitter helps, in NumPy, PyTorch and TensorFlow. May import
`torch_ops` and `tf_ops`."""

import numpy as np
import pytest

import overbar
from overbar._numpy_words import NumpyWords
from tests.frameworks import tf, tf_ops, torch, torch_ops, twice_in_a_graph

RNG = np.random.default_rng(23)
FRONTS = [(overbar, np.array), (torch_ops, torch.tensor), (tf_ops, tf.constant)]
fronts = pytest.mark.parametrize("front", [0, 1, 2], ids=["numpy", "torch", "tf"])
ERRORS = (np.linalg.LinAlgError, torch.linalg.LinAlgError, tf.errors.InvalidArgumentError)


def with_smallest(*smallest, n=5, dtype=np.float64):
    """Matrices with given smallest eigenvalues, the others between 1 and 3."""
    kind = np.dtype(dtype).kind
    M = RNG.normal(size=(len(smallest), n, n)) + (1j * RNG.normal(size=(len(smallest), n, n)) if kind == "c" else 0)
    Q = np.linalg.qr(M)[0]
    w = RNG.uniform(1, 3, (len(smallest), n))
    w[:, 0] = smallest
    A = (Q * w[:, None, :]) @ Q.conj().swapaxes(-1, -2)
    return ((A + A.conj().swapaxes(-1, -2)) / 2).astype(dtype)


def jittered(A, c):
    return A + c[:, None, None] * np.eye(A.shape[-1], dtype=A.dtype)


# far from the edges between two jitters; with 1e-3 as the first they need 0, 1e-3, 1e-1 and 1e-2
SMALLEST, JITTERS = (0.5, -3e-4, -0.04, -0.004), np.array([0, 1e-3, 1e-1, 1e-2])


@fronts
@pytest.mark.parametrize("dtype", [np.float64, np.complex128, np.float32])
def test_each_matrix_has_the_least_jitter_that_works(front, dtype):
    ops, array = FRONTS[front]
    A = with_smallest(*SMALLEST, dtype=dtype)
    noise = A + np.triu(RNG.normal(size=A.shape), 1).astype(dtype)  # which is not read
    L, c = (np.asarray(x) for x in ops.safe_cholesky(array(noise), jitter=1e-3))
    assert L.dtype == dtype
    assert c.dtype == np.empty(0, dtype).real.dtype
    np.testing.assert_allclose(c, JITTERS, rtol=1e-6)
    np.testing.assert_allclose(L, np.linalg.cholesky(jittered(A, c)), atol=1e-10 if c.dtype == float else 1e-3)
    U, _ = ops.safe_cholesky(array(noise), jitter=1e-3, upper=True)
    np.testing.assert_array_equal(U, L.conj().swapaxes(-1, -2))
    single = c.dtype == np.float32
    found = np.asarray(ops.safe_cholesky(array(np.stack([A[0], np.ones((5, 5), dtype)])))[1])
    assert found[0] == 0
    assert any(np.isclose(found[1], (1e-6 if single else 1e-8) * 10.0**i) for i in range(2))
    for shape in ((0, 5, 5), (0, 0), (2, 0, 0)):
        L, c = ops.safe_cholesky(array(np.zeros(shape, dtype)))
        assert tuple(L.shape) == shape
        assert tuple(c.shape) == shape[:-2]
        assert not np.any(np.asarray(c))


def test_a_matrix_that_has_a_factor_is_factorised_once(monkeypatch):
    factorise, count = NumpyWords.cholesky, []

    def counted(xp, A, *args, **options):
        count.append(A.shape)
        return factorise(xp, A, *args, **options)

    monkeypatch.setattr(NumpyWords, "cholesky", counted)
    A = with_smallest(*SMALLEST)
    overbar.safe_cholesky(A[0], jitter=1e-3)
    overbar.safe_cholesky(A[:1], jitter=1e-3)
    assert count == [(5, 5), (1, 5, 5)]
    overbar.safe_cholesky(A[:2], jitter=1e-3)  # where a batch fails NumPy's word looks at each matrix, too
    assert count.count((2, 5, 5)) == 2


def test_the_jitter_is_a_constant_of_the_derivative():
    A, W = with_smallest(*SMALLEST), RNG.normal(size=(4, 5, 5))
    E = RNG.normal(size=A.shape)
    E = E + E.mT

    def loss(A):
        return np.sum(W * np.linalg.cholesky(jittered(A, JITTERS)), axis=(-2, -1))

    h = 1e-5
    slope = (loss(A + h * E) - loss(A - h * E)) / (2 * h)
    _, pullback = overbar.vjp(lambda A: overbar.safe_cholesky(A, jitter=1e-3), A)
    found = {"numpy": pullback((W, None))[0]}
    x = torch.tensor(A, requires_grad=True)
    L, c = torch_ops.safe_cholesky(x, jitter=1e-3)
    (bar,) = torch.autograd.grad((L * torch.tensor(W)).sum() + c.sum(), x)
    found["torch"] = bar.numpy()
    x = tf.constant(A)
    with tf.GradientTape() as tape:
        tape.watch(x)
        L, c = tf_ops.safe_cholesky(x, jitter=1e-3)
        total = tf.reduce_sum(L * W) + tf.reduce_sum(c)
    found["tf"] = tape.gradient(total, x).numpy()
    for name, bar in found.items():
        np.testing.assert_allclose(np.sum(bar * E, axis=(-2, -1)), slope, rtol=1e-6, err_msg=name)
        np.testing.assert_array_equal(bar, bar.mT, err_msg=name)
    _, (L_dot, c_dot) = overbar.jvp(lambda A: overbar.safe_cholesky(A, jitter=1e-3), (A,), (E,))
    np.testing.assert_allclose(np.sum(L_dot * W, axis=(-2, -1)), slope, rtol=1e-6)
    assert c_dot is None or not np.any(c_dot)


def test_second_derivatives_are_those_of_cholesky_at_the_jittered_matrix():
    A, W = with_smallest(*SMALLEST), RNG.normal(size=(4, 5, 5))
    E = RNG.normal(size=A.shape)
    E = E + E.mT

    def second(factor, A):
        x = torch.tensor(A, requires_grad=True)
        (bar,) = torch.autograd.grad((factor(x) * torch.tensor(W)).sum(), x, create_graph=True)
        return torch.autograd.grad((bar * torch.tensor(E)).sum(), x)[0].numpy()

    expected = second(torch_ops.cholesky, jittered(A, JITTERS))
    close = lambda found: np.testing.assert_allclose(found, expected, atol=1e-9 * abs(expected).max())  # noqa: E731
    close(second(lambda x: torch_ops.safe_cholesky(x, jitter=1e-3)[0], A))
    close(twice_in_a_graph(lambda A: tf.reduce_sum(tf_ops.safe_cholesky(A, jitter=1e-3)[0] * W), A, E))


def test_compilers_and_transforms():
    A = with_smallest(*SMALLEST)
    expected = overbar.safe_cholesky(A, jitter=1e-3)
    W = RNG.normal(size=A.shape)
    bar = overbar.vjp(lambda A: overbar.safe_cholesky(A, jitter=1e-3), A)[1]((W, None))[0]
    f = lambda A: torch_ops.safe_cholesky(A, jitter=1e-3, max_tries=3)  # noqa: E731
    for g in (torch.compile(f, backend="aot_eager", fullgraph=True), torch.func.vmap(f)):
        x = torch.tensor(A, requires_grad=True)
        L, c = g(x)
        np.testing.assert_allclose(L.detach(), expected[0], atol=1e-12)
        np.testing.assert_array_equal(c.detach(), expected[1])
        (found,) = torch.autograd.grad((L * torch.tensor(W)).sum(), x)
        np.testing.assert_allclose(found, bar, rtol=1e-9, atol=1e-9)

    def with_bar(transform):
        def run(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                L, c = transform(lambda A: tf_ops.safe_cholesky(A, jitter=1e-3, max_tries=3), x)
                total = tf.reduce_sum(L * W)
            return L, c, tape.gradient(total, x)

        return run

    alone, mapped = (lambda g, x: g(x)), (lambda g, x: tf.vectorized_map(g, x))
    unknown = [tf.TensorSpec([None, None, None], tf.float64)]
    for name, g in {
        "graph": tf.function(with_bar(alone)),
        "sizes unknown": tf.function(with_bar(alone), input_signature=unknown),
        "XLA": tf.function(with_bar(alone), jit_compile=True),
        "vectorized_map": tf.function(with_bar(mapped)),
    }.items():
        for found, exact in zip(g(tf.constant(A)), (*expected, bar), strict=True):
            np.testing.assert_allclose(found, exact, rtol=1e-8, atol=1e-8, err_msg=name)


#: the second matrix, and what is said of it where numbers can be looked at and in a graph
FAR = np.diag([2.0, -3.0, 1.0])
HOPELESS = {
    "indefinite": (FAR, r"eigenvalues.* from -3 to 2; it is Hermitian", r"eigenvalue.*\[-3\].*\[0\]"),
    "asymmetric": (
        FAR + np.eye(3, k=2) / 4,
        r"from -3 to 2; it is not Hermitian: the entries \(0, 2\) and \(2, 0\) differ by 0\.25",
        r"eigenvalue.*\[-3\].*\[0\.25\]",
    ),
    "NaN": (
        np.where(np.eye(3, k=-1) == 1, np.nan, np.eye(3)),
        r"Its entry \(1, 0\) is nan, and 1 more are not finite either",
        r"NaN or infinite:\] \[2\].*rows:\] \[3\]",
    ),
    "infinite": (np.diag([1.0, np.inf, 1.0]), r"Its entry \(1, 1\) is inf", r"infinite:\] \[1\].*rows:\] \[4\]"),
}


@pytest.mark.parametrize("case", HOPELESS)
@fronts
def test_where_no_jitter_helps_the_error_says_how_far_it_is(front, case):
    (ops, array), (M, words, _) = FRONTS[front], HOPELESS[case]
    A = np.stack([np.eye(3), M, np.eye(3)])
    with pytest.raises(ERRORS[front], match=rf"(?s)A \(matrix 1 of the batch\).*adding 0\.1, the last.*{words}"):
        ops.safe_cholesky(array(A), jitter=1e-2, max_tries=2)
    L, c = (np.asarray(x) for x in ops.safe_cholesky(array(A), jitter=1e-2, max_tries=2, on_error="nan"))
    assert np.isnan(L[1]).all()
    np.testing.assert_array_equal(c, [0, np.nan, 0])
    np.testing.assert_array_equal(L[[0, 2]], np.stack([np.eye(3)] * 2))


@pytest.mark.parametrize("case", HOPELESS)
def test_where_no_jitter_helps_in_a_graph(case):
    M, _, words = HOPELESS[case]
    A = tf.constant(np.stack([np.eye(3), M, np.eye(3)]))
    f = lambda A: tf_ops.safe_cholesky(A, jitter=1e-2, max_tries=2)  # noqa: E731
    with pytest.raises(tf.errors.InvalidArgumentError, match=rf"(?s)argument A .*\[1\].*{words}"):
        tf.function(f)(A)
    if case == "indefinite":
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"\[-3\]"):
            tf.function(f)(tf.cast(A, tf.complex64))
        L, c = tf.function(f, jit_compile=True)(A)
        assert np.isnan(L[1]).all()
        np.testing.assert_array_equal(c, [0, np.nan, 0])
        with pytest.raises(torch.linalg.LinAlgError, match=r"Batch element 1.*not positive-definite"):
            torch.compile(torch_ops.safe_cholesky, backend="aot_eager")(torch.tensor(A.numpy()), max_tries=1)


@fronts
def test_options_that_are_none(front):
    ops, array = FRONTS[front]
    A = array(np.eye(2))
    for jitter in (0.0, -1e-6, np.nan, np.inf):
        with pytest.raises(ValueError, match=r"safe_cholesky: the option jitter is .*positive and finite"):
            ops.safe_cholesky(A, jitter=jitter)
    for jitter in ("1e-6", True, 1j):
        with pytest.raises(TypeError, match=r"safe_cholesky: the option jitter is .*real number"):
            ops.safe_cholesky(A, jitter=jitter)
    for tries in (0, -1, 21):
        with pytest.raises(ValueError, match=f"safe_cholesky: the option max_tries is {tries}.*from 1 to 20"):
            ops.safe_cholesky(A, max_tries=tries)
    with pytest.raises(TypeError, match=r"max_tries is 2\.5.*integer"):
        ops.safe_cholesky(A, max_tries=2.5)
    with pytest.raises(ValueError, match=r'safe_cholesky: the option on_error is .*"raise" or "nan"'):
        ops.safe_cholesky(A, on_error="ignore")
