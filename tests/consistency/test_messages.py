"""Whose message it is: every error begins with the name of the function that was called, in each library, and says
which of its arguments is meant. May import the fronts and `overbar`.
"""

import functools
import re

import numpy as np
import pytest

import overbar
from overbar.verify import check
from tests.frameworks import tf, tf_ops, torch, torch_ops

ARRAY = {"numpy": np.asarray, "torch": torch.tensor, "tensorflow": tf.constant}
FAILURE = {
    "numpy": np.linalg.LinAlgError,
    "torch": torch.linalg.LinAlgError,
    "tensorflow": tf.errors.InvalidArgumentError,
}
fronts = pytest.mark.parametrize("front", ARRAY)


def with_nan(A):
    A = np.array(A)
    A.flat[:1] = np.nan
    return A


@fronts
@pytest.mark.parametrize("spoiled", [with_nan, np.zeros_like, lambda A: -abs(np.asarray(A))])
def test_an_error_for_numbers_begins_with_the_name(front, spoiled, first):
    primitive = first.primitive
    if primitive.variadic:
        return
    case, array = first.draw(), ARRAY[front]
    for i, argument in enumerate(primitive.arguments):
        arrays = [array(spoiled(A) if k == i else A) for k, A in enumerate(case.arrays)]
        message = f"{primitive.name}: "
        try:
            with np.errstate(all="ignore"):
                primitive(*arrays, **case.options)
        except FAILURE[front] as error:
            message = str(error)
        assert message.startswith(f"{primitive.name}: "), argument
        assert set(re.findall(r"^\w+: argument (\w+)", message)) <= set(primitive.arguments)


CALLS = {
    "polar: argument A is not finite": (overbar.polar, [[np.nan, 0.0], [0.0, 1.0]]),
    "pinv: argument A is not finite": (overbar.pinv, [[np.nan, 0.0], [0.0, 1.0]]),
    "lstsq: argument A is not finite": (overbar.lstsq, [[np.nan, 0.0], [0.0, 1.0]], [1.0, 1.0]),
    "eigh_tridiagonal: the matrix A is not finite": (overbar.eigh_tridiagonal, [1.0, np.nan, 1.0], [1.0, 1.0]),
    "gaussian_logpdf: argument K is not positive definite": (overbar.gaussian_logpdf, [1.0], [0.0], [[-1.0]]),
    "cho_solve: argument L is singular, so that there is no L⁻¹ B.": (overbar.cho_solve, [[0.0]], [1.0]),
    "gaussian_kl: argument other_L is singular": (overbar.gaussian_kl, [1.0], [[1.0]], [1.0], [[0.0]]),
    "inv: argument A is singular": (overbar.inv, [[0.0]]),
    "matrix_power: argument A is singular": (lambda A: overbar.matrix_power(A, n=-1), [[0.0]]),
    "lu_solve: pivot 0 is 0": (overbar.lu_solve, [[1.0]], [0], [1.0]),
}


@pytest.mark.parametrize("words", CALLS)
def test_the_argument_is_called_as_the_function_calls_it(words):
    function, *arrays = CALLS[words]
    with pytest.raises(np.linalg.LinAlgError) as raised:
        function(*map(np.array, arrays))
    assert str(raised.value).startswith(words)


def test_what_the_library_says_comes_behind():
    with pytest.raises(torch.linalg.LinAlgError) as raised:
        torch_ops.inv_quad(torch.zeros(2, 2), torch.ones(2))
    first, second = str(raised.value).split("\n")
    assert first.startswith("inv_quad: argument A is not positive definite")
    assert second.startswith("linalg.cholesky:")


def test_the_second_of_a_batch_of_factors():
    with pytest.raises(np.linalg.LinAlgError, match=r"^cho_solve: argument L \(matrix 1 of the batch\) is singular"):
        overbar.cho_solve(np.array([[[1.0]], [[0.0]]]), np.ones((2, 1, 1)))


def test_what_is_no_array_of_the_library():
    with pytest.raises(TypeError, match=r"^cho_solve: got a ndarray instead of a tensor"):
        torch_ops.cho_solve(torch.eye(2), np.ones(2))
    with pytest.raises(TypeError, match=r"^solve: got a ndarray instead of a tensor"):
        overbar.solve(torch.eye(2), np.ones(2))
    with pytest.raises(TypeError, match=r"^solve: got arrays of "):
        overbar.solve(torch.eye(2), tf.ones(2))
    with pytest.raises(TypeError, match=r"^solve: got a builtins\.set, which is not an array"):
        overbar.solve({1}, np.ones(2))


@fronts
def test_none_for_an_array_that_is_needed(front, first):
    """Also where others may be left out, for which None stands."""
    primitive = first.primitive
    arrays = [ARRAY[front](A) for A in first.draw().arrays]
    if primitive.variadic:
        return
    for i, name in enumerate(primitive.arguments):
        if name not in primitive.absent and len(arrays) > 1:
            given = [None if k == i else A for k, A in enumerate(arrays)]
            with pytest.raises(TypeError) as raised:
                primitive(*given, **first.draw().options)
            assert str(raised.value).startswith(f"{primitive.name}: got a builtins.NoneType, which is not an array")


OPS_WITHOUT_THEIR_ARRAY = {
    "torch_ops.rbf": lambda: torch_ops.rbf(None, torch.ones(1)),
    "torch_ops.affine": lambda: torch_ops.affine(torch.ones(2, 2), None),
    "torch_ops.inv_quad": lambda: torch_ops.inv_quad(None, torch.ones(2)),
    "tf_ops.rbf": lambda: tf_ops.rbf(tf.ones((2, 2)), None),
    "tf_ops.affine": lambda: tf_ops.affine(None, tf.ones((2, 2))),
    "tf_ops.cholesky": lambda: tf_ops.cholesky(None),
}


@pytest.mark.parametrize("name", OPS_WITHOUT_THEIR_ARRAY)
def test_none_for_an_array_of_an_op(name):
    words = rf"^{name.partition('.')[2]}: got a builtins\.NoneType, which is not an array"
    with pytest.raises(TypeError, match=words):
        OPS_WITHOUT_THEIR_ARRAY[name]()


def test_a_sparse_tensor_of_torch_is_refused_by_name(first):
    primitive, case = first.primitive, first.draw()
    arrays = [torch.tensor(A) for A in case.arrays]
    given = lambda A: [list(A)] if primitive.variadic else A  # noqa: E731
    primitive(*given(arrays), **case.options)  # a dense call of these shapes tells nothing of sparse ones
    for i, A in enumerate(arrays):
        sparse = [A.to_sparse() if k == i else B for k, B in enumerate(arrays)]
        with pytest.raises(TypeError) as raised:
            primitive(*given(sparse), **case.options)
        words = f"{primitive.name}: argument {primitive.argument(i)} is a sparse tensor, of layout torch.sparse_coo"
        assert str(raised.value).startswith(words)


def test_an_array_in_the_place_of_a_word_is_refused_by_name(first):
    primitive, case = first.primitive, first.draw()
    for name in primitive.words:
        arrays = [list(case.arrays)] if primitive.variadic else case.arrays
        with pytest.raises(TypeError) as raised:
            primitive(*arrays, **{**case.options, name: np.array([1, 2])})
        assert str(raised.value).startswith(f"{primitive.name}: the option {name} is a numpy.ndarray, an array.")


def test_rows_that_are_none_of_the_factors():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"^lu_solve: argument perm has an entry that is no row"):
        tf_ops.lu_solve(tf.eye(3), tf.constant([1, 2, 3]), tf.eye(3))


@fronts
def test_a_function_of_another_number_of_parameters(front):
    A, args = ARRAY[front]([[2.0, 1.0], [1.0, 3.0]]), ARRAY[front]([1.0])
    one, two = lambda w: w, lambda w, t: w * t
    with pytest.raises(TypeError, match=r"^spectral_function: the option f is called with the eigenvalues alone"):
        overbar.spectral_function(A, f=two, df=two)
    with pytest.raises(TypeError, match=r"^spectral_function: the option f is called with the eigenvalues and 1 of"):
        overbar.spectral_function(A, args, f=one, df=two)

    # what can be called is called, whatever the function that it wraps takes
    wrapped = functools.wraps(two)(lambda w: two(w, 2.0))
    found = overbar.spectral_function(A, f=wrapped, df=wrapped)
    np.testing.assert_allclose(np.asarray(found), 2 * np.asarray(A), rtol=1e-6)

    # a TypeError of its own is its own
    def wrong(w):
        raise TypeError("of my own")

    with pytest.raises(TypeError, match=r"^of my own"):
        overbar.spectral_function(A, f=wrong, df=wrong)


def test_the_exceptions_stay_those_of_the_library():
    """Those of shapes and dtypes, which are more than that of the library, too."""
    with pytest.raises(np.linalg.LinAlgError) as raised:
        overbar.polar(np.full((2, 2), np.nan))
    assert type(raised.value) is np.linalg.LinAlgError
    for call in (lambda: tf_ops.inv(tf.ones((2, 3))), lambda: tf_ops.inv(tf.ones((2, 2), tf.int32))):
        with pytest.raises(tf.errors.InvalidArgumentError) as raised:
            call()
        assert isinstance(raised.value, (ValueError, TypeError))


def test_a_message_shows_the_outputs_of_the_caller_alone():
    with pytest.raises(np.linalg.LinAlgError, match=r"few dimensions for \(m,n\)->\(m,n\),\(p,p\)\. Batch"):
        overbar.polar(np.ones(3))
    with pytest.raises(
        np.linalg.LinAlgError, match=r"dimension m of \(m,n\),\(m,k\?\)->\(n,k\?\),\(k\?\),\(\),\(p\) is 4"
    ):
        overbar.lstsq(np.ones((3, 2)), np.ones((4, 2)))
    with pytest.raises(np.linalg.LinAlgError, match=r"dimension n of \(n\),\(n\),\(n,n\)->\(\) is 4"):
        overbar.gaussian_logpdf(np.ones(3), np.ones(4), np.eye(3))
    assert repr(overbar.polar) == "<primitive polar (m,n)->(m,n),(p,p)>"


@pytest.mark.parametrize("sizes", [(3, 4), (None, None)])
def test_so_does_one_of_a_graph(sizes):
    kind = tf.TensorSpec([sizes[0], 2], tf.float64), tf.TensorSpec([sizes[1], 2], tf.float64)
    with pytest.raises((tf.errors.InvalidArgumentError, ValueError), match="dimension m of ") as raised:
        tf.function(overbar.lstsq, kind)(tf.ones((3, 2), tf.float64), tf.ones((4, 2), tf.float64))
    assert "(q,p)" not in str(raised.value)


RULES = {
    "qr": (lambda A: overbar.sum(overbar.qr(A)[1]), "argument A has columns that depend on each other"),
    "logdet": (overbar.logdet, "in the (reverse|forward) rule: the matrix A is singular"),
    "slogdet": (lambda A: overbar.slogdet(A)[1], "in the (reverse|forward) rule: the matrix A is singular"),
}


@pytest.mark.parametrize("name", RULES)
def test_an_error_in_a_rule_begins_with_the_name_of_the_function(name):
    """The matrix may be one that the rule made: it is not called an argument."""
    A, E = np.zeros((2, 2)), np.eye(2)
    f, words = RULES[name]
    message = f"^{name}: {words}"
    for call in (overbar.grad(f), lambda A: overbar.jvp(f, (A,), (E,)), lambda A: overbar.hvp(f, (A,), E)):
        with pytest.raises(np.linalg.LinAlgError, match=message) as error:
            call(A)
        assert any(note.startswith("Raised in the ") for note in error.value.__notes__)


def test_an_error_in_a_rule_of_tensorflow_begins_with_the_name_of_the_function():
    A = tf.zeros((2, 2), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(A)
        c = tf_ops.logdet(A)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"logdet: in the reverse rule: the matrix A is singular"):
        tape.gradient(c, A)


SWEEPS = {
    "vjp": lambda A: overbar.vjp(overbar.expm, A),
    "jvp": lambda A: overbar.jvp(overbar.expm, (A,), (A,)),
    "jacobian": lambda A: overbar.jacobian(overbar.logdet, A),
    "graph": lambda A: overbar.graph(overbar.logdet, A),
    "grad": lambda A: overbar.grad(overbar.logdet)(A),
    "hvp": lambda A: overbar.hvp(overbar.logdet, (A,), A),
    "of a container": lambda A: overbar.vjp(lambda p: overbar.logdet(p["A"]), {"A": A}),
}


@pytest.mark.parametrize("name", SWEEPS)
@pytest.mark.parametrize("front", ["torch", "tensorflow"])
def test_sweeps_say_what_takes_derivatives_of_tensors(front, name):
    """Whoever wrote overbar.vjp into a rule learns what works there: it passes the oracles, which are NumPy's."""
    there = {"torch": "PyTorch, of which torch.autograd", "tensorflow": "TensorFlow, of which tf.GradientTape"}[front]
    with pytest.raises(TypeError, match=rf"argument .* is a .*{re.escape(there)}.* p\.vjp_rule\(C_bar, C, A\)"):
        SWEEPS[name](ARRAY[front](np.eye(2)))


def test_the_rule_of_a_primitive_is_called_in_a_rule():
    """What that message says: in each library, and to be differentiated again."""
    rng = np.random.default_rng(0)
    A, C_bar = rng.standard_normal((2, 3, 3))
    expected = overbar.vjp(overbar.expm, A)[1](C_bar)[0]
    for array in ARRAY.values():
        X = array(A)
        (bar,) = overbar.expm.vjp_rule(array(C_bar), overbar.expm(X), X)
        np.testing.assert_allclose(bar(), expected, rtol=1e-12)
    X = torch.tensor(A, requires_grad=True)
    assert torch.autograd.gradcheck(lambda X: overbar.expm.vjp_rule(X, overbar.expm(X), X)[0](), X)


def test_sweeps_say_so_before_the_front_is_imported(monkeypatch):
    from overbar import _namespace

    for kept in ("_known", "_found"):
        numpys = {kind: front for kind, front in getattr(_namespace, kept).items() if kind.__module__ != "torch"}
        monkeypatch.setattr(_namespace, kept, numpys)
    with pytest.raises(TypeError, match=r"^vjp: argument 0 is a torch\.Tensor.* With `import torch_ops`"):
        overbar.vjp(overbar.expm, torch.eye(2))


#: what a function returned, the signature, and what there is to say of it
RETURNED = {
    "a list": (lambda x: [x, x], "(n)->(n)", "a list, and must return an array."),
    "a list of one": (lambda x: [x], "(n)->(n)", "a list, and must return an array."),
    "a list for a tuple": (lambda x: [x, x], "(n)->(n),(n)", "a list, and must return a tuple of 2 arrays"),
    "nothing": (lambda x: None, "(n)->(n)", "None, and must return an array. Is a `return` missing?"),
    "nothing as a part": (lambda x: (x, None), "(n)->(n),(n)", "None as output 1, and must return a tuple of 2 arrays"),
    "a number": (lambda x: 1.0, "(n)->()", "the number 1.0, and must return an array."),
    "a dict": (lambda x: {"x": x}, "(n)->(n)", "a dict, and must return an array."),
}


@pytest.mark.parametrize("name", RETURNED)
def test_a_function_that_returns_no_arrays(name):
    """The caller passed an array, and is not told to pass one. `check` takes nothing that a call refuses."""
    function, signature, words = RETURNED[name]
    function.__name__ = "mine"
    primitive = overbar.primitive(signature)(function)
    primitive.vjp(lambda y_bar, y, x: (lambda: x,))
    primitive.jvp(lambda y, x: (lambda x_dot: x_dot,))
    words = re.escape(f"mine: its function returned {words}")
    for array in ARRAY.values():
        with pytest.raises(TypeError, match=f"^{words}"):
            primitive(array(np.ones(2)))
    for shape in ((2,), None):
        with pytest.raises(TypeError, match=words):
            tf.function(primitive.__call__, input_signature=[tf.TensorSpec(shape, tf.float64)])(tf.ones(2, tf.float64))
    with pytest.raises(TypeError, match=f"^{words}"):
        torch.func.vmap(primitive)(torch.ones(3, 2))
    with pytest.raises(TypeError, match=f"^{words}"):
        overbar.vjp(primitive, np.ones(2))
    with pytest.raises(TypeError, match=f"^{words}"):
        check(primitive, cases=[([np.ones(2)], {})])


def test_a_rule_that_gives_no_arrays():
    primitive = overbar.primitive("(n)->(n)")(lambda x: 2 * x)
    primitive.vjp(lambda y_bar, y, x: (lambda: [2 * y_bar],))
    primitive.jvp(lambda y, x: (lambda x_dot: {"x": 2 * x_dot},))
    x = np.ones(2)
    with pytest.raises(
        TypeError, match=r"the reverse rule gave a builtins.list for argument x, .*That is not an array"
    ):
        overbar.vjp(primitive, x)[1](x)
    with pytest.raises(TypeError, match=r"the forward rule gave a builtins.dict as the tangent .*That is not an array"):
        overbar.jvp(primitive, (x,), (x,))


# Primitives of a user's own, whose functions call others with arrays that have the same letters there.


@overbar.primitive("(n,n),(n,n)->(n,n)")
def factor_of_difference(A, B):
    return overbar.cholesky(B - A)


@overbar.primitive("(n,n),(n,n)->(n,n)")
def solved_product(A, B):
    return overbar.solve(A @ B, B)


@overbar.primitive("(n,n),(n,n)->(n,n)")
def factor_by_a_word(A, B):
    return overbar.namespace(A).cholesky(B - A)


@overbar.primitive("(n,n),(n,n)->(n,n)")
def factor_of_a_factor(A, B):
    return factor_of_difference(A, B)


@overbar.primitive("(n,n),(n,n)->(n,n)")
def passed_on(M, A):
    return overbar.cholesky(M) + A


@overbar.primitive("(n,n),(n,n)->(n,n)")
def of_the_same_letter(A, M):
    return overbar.solve(A, M)


@overbar.primitive("(n,n),(n,n)->(n,n)")
def of_its_own(A, B):
    xp = overbar.namespace(A)
    fine = xp.all(xp.real(A) > 5, axis=(-2, -1))
    return overbar._namespace.front(A).require(A, fine, "of_its_own: argument A is too small.")


COMPUTED = {
    factor_of_difference: "factor_of_difference: in cholesky: argument A is not positive definite",
    solved_product: "solved_product: in solve: argument A is singular",
    factor_by_a_word: "factor_by_a_word: in cholesky: argument A is not positive definite",
    factor_of_a_factor: "factor_of_a_factor: in factor_of_difference: in cholesky: argument A is not",
    of_its_own: "of_its_own: argument A is too small.",
}
PASSED = {
    passed_on: "passed_on: argument M is not positive definite: its leading minor of order 1 is not positive. If it "
    "should be, rounding may be the cause: add a small multiple of the identity to M, or compute M in a higher "
    "precision.",
    of_the_same_letter: "of_the_same_letter: argument A is singular, so that there is no A⁻¹ B.",
}


@fronts
@pytest.mark.parametrize("primitive", COMPUTED, ids=lambda p: p.name)
def test_an_array_that_was_computed_is_not_taken_for_the_argument_of_its_letter(front, primitive):
    """Whose remedy would be no remedy: the argument is the identity."""
    A, B = np.eye(2), np.zeros((2, 2))
    with pytest.raises(FAILURE[front]) as raised:
        primitive(ARRAY[front](A), ARRAY[front](B))
    assert str(raised.value).startswith(COMPUTED[primitive])


@fronts
@pytest.mark.parametrize("primitive", PASSED, ids=lambda p: p.name)
def test_an_array_that_was_passed_on_is_called_as_the_caller_calls_it(front, primitive):
    A = ARRAY[front](np.zeros((2, 2)))
    with pytest.raises(FAILURE[front]) as raised:
        primitive(A, A)
    assert str(raised.value).startswith(PASSED[primitive])
    eye = ARRAY[front](np.eye(2))
    if front == "tensorflow":  # where a copy is made of what a tape watches
        A = tf.Variable(A)
        with tf.GradientTape(), pytest.raises(FAILURE[front]) as raised:
            primitive(A, eye)
    if front == "torch":
        with pytest.raises(FAILURE[front]) as raised:
            primitive(A.requires_grad_(True), eye)
    assert str(raised.value).startswith(PASSED[primitive])


@pytest.mark.parametrize(
    "primitive", [factor_of_difference, factor_by_a_word, factor_of_a_factor], ids=lambda p: p.name
)
def test_nor_is_it_in_a_graph(primitive):
    """(What is singular is said there by TensorFlow alone, with the names of its nodes.)"""
    with pytest.raises(tf.errors.InvalidArgumentError) as raised:
        tf.function(lambda A, B: primitive(A, B))(tf.eye(2), tf.zeros((2, 2)))
    assert COMPUTED[primitive] in str(raised.value)


def test_an_argument_that_was_left_out_is_not_named():
    eye = torch.eye(2, dtype=torch.float64)
    with pytest.raises(TypeError, match=r"^solve_continuous_are: .*A has .*R has") as caught:
        torch_ops.solve_continuous_are(eye, eye, eye, eye.float())
    assert "E has" not in str(caught.value)
    assert "S has" not in str(caught.value)


@fronts
def test_a_part_of_an_argument_is_not_the_argument(front):
    """What is said of a block is not true of the matrix, nor of another one that lies beside it in memory."""
    corner = overbar.primitive("(n,n)->(2,2)")(lambda A: overbar.cholesky(A[..., :2, 2:]))
    second = overbar.primitive("(n,n),(n,n)->(n,n)")(lambda A, B: overbar.cholesky(B))
    regular = np.array([[4.0, 0, 0, 3], [0, 4, 3, 0], [0, 3, 4, 0], [3, 0, 0, 4]])
    with pytest.raises(FAILURE[front], match=r"^<lambda>: in cholesky: argument A is not positive definite"):
        corner(ARRAY[front](regular))
    both = ARRAY[front](np.array([[2.0, 0, 1, 2], [0, 2, 2, 1]]))
    with pytest.raises(
        FAILURE[front], match=r"^<lambda>: (in cholesky: argument A|argument B) is not positive definite"
    ):
        second(both[:, :2], both[:, 2:])
