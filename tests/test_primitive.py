"""What a primitive takes and refuses: rules that are none, outputs that are not those of its signature, arrays of
libraries that have no front, options that are nonsense, calls as SciPy writes them. May import `overbar`."""

import functools
import pickle
import re
import subprocess
import sys
import threading
import types

import numpy as np
import pytest
import scipy.linalg

import overbar
from overbar._front import NUMPY, ShapeError
from overbar._namespace import namespace
from tests.frameworks import tf, torch
from tests.processes import run_python


def scaled(factor=2.0):
    """A primitive of this test's own: rules registered here must not reach the collection."""

    @overbar.primitive("(m,n)->(m,n)")
    def times(A):
        return factor * A

    @times.vjp
    def _(C_bar, C, A):
        return (lambda: factor * C_bar,)

    @times.jvp
    def _(C, A):
        return (lambda A_dot: factor * A_dot,)

    return times


# ---------------------------------------------------------------------------------------------------------------------
# Registering


@pytest.mark.parametrize("kind", ["vjp", "jvp", "derivative"])
@pytest.mark.parametrize("what", [np.ones((2, 2)), 3.0, [1.0]], ids=["array", "number", "list"])
def test_what_is_registered_as_a_rule_must_be_callable(kind, what):
    mine = scaled()
    before = mine.vjp_rule, mine.jvp_rule
    with pytest.raises(TypeError, match=r"registers a (rule, a )?function"):
        getattr(mine, kind)(what)
    assert (mine.vjp_rule, mine.jvp_rule) == before


@pytest.mark.parametrize("kind", ["vjp", "jvp", "derivative"])
def test_a_rule_is_replaced_only_by_those_who_say_so(kind):
    mine = scaled()
    with pytest.raises(ValueError, match=r"has a (reverse|forward) rule already.*replace=True.*compile these anew"):
        getattr(mine, kind)(lambda *args: None)

    def rule(*args):
        return None

    assert getattr(mine, kind)(replace=True)(rule) is rule
    assert getattr(mine, kind)(rule, replace=True) is rule


@pytest.mark.parametrize("what", ["hermitian", "integer", "real", "steps"])
def test_what_is_said_of_an_argument_names_one_that_is_there(what):
    there, kind = ("tol", "options: tol") if what == "steps" else ("B", "arrays: A, B")

    def function(A, B, *, tol=0.0):
        return A @ B

    assert getattr(overbar.primitive("(n,n),(n,n)->(n,n)", **{what: [there]})(function), what) == (there,)
    with pytest.raises(TypeError, match=rf"^function: {what}= names 'C', and .*no such .*Its {kind}"):
        overbar.primitive("(n,n),(n,n)->(n,n)", **{what: [there, "C"]})(function)


# ---------------------------------------------------------------------------------------------------------------------
# What functions and rules return


WRONG_OUTPUTS = {
    "a matrix for a vector": ("(n,n)->(n)", lambda A: A),
    "a vector for a matrix": ("(m,n)->(m,n)", lambda A: A[..., 0]),
    "transposed": ("(m,n)->(m,n)", lambda A: A.mT),
    "no batch": ("(m,n)->(m,n)", lambda A: A.reshape(-1, *A.shape[-2:])[0]),
    "two sizes of one name": ("(m,n)->(k),(k)", lambda A: (A[..., 0], A[..., 0, :])),
    "a fixed size": ("(m,n)->(2)", lambda A: A[..., 0, :]),
    "too many": ("(m,n)->(m,n)", lambda A: (A, A)),
    "too few": ("(m,n)->(m,n),(m,n)", lambda A: A),
}


@pytest.mark.parametrize("name", WRONG_OUTPUTS)
def test_outputs_are_held_against_the_signature(name):
    signature, function = WRONG_OUTPUTS[name]
    A = np.arange(1.0, 10.0).reshape(3, 3) if signature.startswith("(n,n)") else np.ones((2, 4, 3))
    mine = overbar.primitive(signature)(types.FunctionType(function.__code__, function.__globals__, "mine"))
    with pytest.raises((ShapeError, TypeError), match="mine: its function returned"):
        mine(A)
    mine.vjp(lambda bars, outputs, A: (lambda: np.zeros_like(A),))
    with pytest.raises((ShapeError, TypeError), match="mine: its function returned"):
        overbar.verify.check(mine, cases=[([A], {})])


def test_right_outputs_of_sizes_that_no_input_has_pass():
    @overbar.primitive("(m,n)->(k,k),(k)")
    def mine(A):
        return A[..., :2, :2], A[..., :2, 0]

    assert mine(np.ones((5, 4, 3)))[0].shape == (5, 2, 2)


WRONG_TANGENTS = {
    "no tuple": (lambda C, A: [lambda A_dot: A_dot], TypeError, "must return a tuple with one function for each"),
    "one for each of two": (lambda C, A: (None, None), TypeError, "must return a tuple with one function for each"),
    "two outputs": (lambda C, A: (lambda A_dot: (A_dot, A_dot),), TypeError, "must give one tangent for each of 1"),
    "a shape that does not broadcast": (
        lambda C, A: (lambda A_dot: A_dot[:, :2],),
        ShapeError,
        r"a tangent of shape \(2, 2\) for output 0 of shape \(2, 3\)",
    ),
    "a list": (lambda C, A: (lambda A_dot: A_dot.tolist(),), TypeError, r"a builtins\.list as the tangent of output 0"),
}


@pytest.mark.parametrize("name", WRONG_TANGENTS)
def test_what_a_forward_rule_gives_is_checked(name):
    rule, kind, message = WRONG_TANGENTS[name]
    mine = scaled()
    mine.jvp(rule, replace=True)
    with pytest.raises(kind, match=message):
        overbar.jvp(mine, (np.ones((2, 3)),), (np.ones((2, 3)),))


def test_a_tangent_may_broadcast():
    mine = scaled()
    mine.jvp(lambda C, A: (lambda A_dot: 2 * A_dot[:1, :1],), replace=True)
    _, dot = overbar.jvp(mine, (np.ones((2, 3)),), (np.ones((2, 3)),))
    np.testing.assert_array_equal(dot, np.full((2, 3), 2.0))


def crash(*args):
    return args[0].no_such_attribute


CRASHES = {
    "reverse rule": ("vjp", lambda C_bar, C, A: crash(A), "Raised in the reverse rule of times."),
    "bar": ("vjp", lambda C_bar, C, A: (lambda: crash(A),), "Raised in the reverse rule of times, argument A."),
    "forward rule": ("jvp", lambda C, A: crash(A), "Raised in the forward rule of times."),
    "tangent": ("jvp", lambda C, A: (lambda A_dot: crash(A),), "Raised in the forward rule of times, argument A."),
    "all tangents": ("jvp", lambda C, A: lambda A_dot: crash(A), "Raised in the forward rule of times."),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_crash_inside_a_rule_says_whose_rule_it_was(name):
    kind, rule, note = CRASHES[name]
    mine, A = scaled(), np.ones((2, 2))
    getattr(mine, kind)(rule, replace=True)
    with pytest.raises(AttributeError, match="no_such_attribute") as caught:
        overbar.vjp(mine, A)[1](A) if kind == "vjp" else overbar.jvp(mine, (A,), (A,))
    assert note in caught.value.__notes__


def test_what_a_function_takes_from_a_sweep_around_it_is_named_as_such():
    """Not as a function of another library."""
    A, outside = np.ones((2, 2)), []
    mine = overbar.primitive("(m,n)->(m,n)")(lambda A: outside[-1] * A)
    mine.vjp(lambda C_bar, C, A: (lambda: outside[-1] * C_bar,))

    def of_the_function(c):
        outside.append(c)
        return np.sum(mine(A))

    def of_the_rule(c):
        outside.append(2.0)
        C, pullback = overbar.vjp(mine, A)
        outside.append(c)
        return np.sum(pullback(C)[0])

    for f, where in ((of_the_function, "its function gave"), (of_the_rule, "the reverse rule gave")):
        with pytest.raises(TypeError, match=f"{where} an array that is being differentiated.*make that an argument"):
            overbar.grad(f)(3.0)


def test_a_rule_that_computes_at_once_is_told_to_return_a_function():
    mine, A = scaled(), np.ones((2, 2))
    mine.vjp(lambda C_bar, C, A: (2.0 * C_bar,), replace=True)
    mine.jvp(lambda C, A: (2.0 * A,), replace=True)
    for differentiate in (lambda: overbar.vjp(mine, A)[1](A), lambda: overbar.verify.check(mine, cases=[([A], {})])):
        with pytest.raises(
            TypeError, match=r"^times: the (reverse|forward) rule.* gave a numpy\.ndarray for argument A"
        ):
            differentiate()
    with pytest.raises(
        TypeError, match=r"^times: the reverse rule, registered by @times\.vjp, .*write lambda: \.\.\. in"
    ):
        overbar.vjp(mine, A)[1](A)
    with pytest.raises(TypeError, match=r"^times: the forward rule, registered by @times\.jvp, .*write lambda A_dot: "):
        overbar.jvp(mine, (A,), (A,))


# ---------------------------------------------------------------------------------------------------------------------
# Libraries without a front


@pytest.mark.parametrize(
    "module, name, remedy",
    [
        ("jaxlib._jax", "JAX", "numpy.asarray"),
        ("jax._src.interpreters.partial_eval", "JAX", "numpy.asarray"),
        ("cupy._core.core", "CuPy", "cupy.asnumpy"),
    ],
)
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside NumPy"])
def test_arrays_of_libraries_without_a_front_are_refused_by_name(module, name, remedy, beside):
    foreign = type("Array", (), {"__module__": module, "shape": (2, 2), "dtype": np.dtype(float)})()
    with pytest.raises(TypeError, match=rf"no front for {name}\..*{remedy}"):
        overbar.matmul(np.eye(2) if beside else foreign, foreign)


def test_other_arrays_of_the_array_api_are_refused_too():
    class Array:
        shape, dtype = (2, 2), np.dtype(float)

        def __array_namespace__(self, api_version=None):
            return NUMPY.xp.base

    with pytest.raises(TypeError, match=r"a library for which overbar has no front.*numpy\.asarray"):
        overbar.cholesky(Array())


def test_jax_itself_is_refused():
    if "jax" in sys.modules:  # the tests do not need it
        module = pytest.importorskip("jax.numpy")
        with pytest.raises(TypeError, match="no front for"):
            overbar.cholesky(module.eye(2))


@pytest.mark.parametrize(
    "module, front",
    [
        ("torch._other", "torch_ops"),
        ("tensorflow.python.other", "tf_ops"),
        ("dask.array.other", "dask_ops"),
    ],
)
def test_arrays_whose_front_nobody_has_imported_say_which_it_is(module, front):
    foreign = type("Array", (), {"__module__": module, "shape": (2, 2), "dtype": np.dtype(float)})()
    with pytest.raises(TypeError, match=f"import {front}"):
        overbar.matmul(np.eye(2), foreign)


def test_a_mask_is_not_dropped_silently():
    with pytest.raises(TypeError, match="masked array"):
        overbar.cholesky(np.ma.masked_array(np.eye(2), np.eye(2) == 0))


def test_a_matrix_of_numpys_does_not_become_an_array_silently():
    M = np.array([[1.0, 2.0], [3.0, 4.0]]).view(np.matrix)
    for f in (overbar.det, overbar.grad(lambda x: np.sum(x * x))):
        with pytest.raises(TypeError, match=r"a numpy.matrix, whose \* is the product of matrices.*numpy.asarray"):
            f(M)
    assert overbar.det(np.asarray(M)) == pytest.approx(-2)


# ---------------------------------------------------------------------------------------------------------------------
# Arrays that may be left out


@overbar.primitive("(m,n),(n,n)->(m,n)", absent={"B": lambda A: namespace(A).eye_like(A)[: A.shape[-1]]})
def times_or_itself(A, B=None, *, scale=1.0):
    return scale * (A @ B)


@times_or_itself.vjp
def _(C_bar, C, A, B, *, scale):
    return lambda: scale * (C_bar @ overbar.mH(B)), lambda: scale * (overbar.mH(A) @ C_bar)


@times_or_itself.jvp
def _(C, A, B, *, scale):
    return lambda A_dot: scale * (A_dot @ B), lambda B_dot: scale * (A @ B_dot)


def test_an_array_that_is_left_out_is_made_of_the_others():
    A, B = np.arange(12.0).reshape(4, 3), np.arange(9.0).reshape(3, 3)
    np.testing.assert_array_equal(times_or_itself(A), A)
    np.testing.assert_array_equal(times_or_itself(A, scale=2.0), 2 * A)
    np.testing.assert_array_equal(times_or_itself(A, None, 2.0), 2 * A)
    np.testing.assert_array_equal(times_or_itself(A, B, 2.0), 2 * A @ B)
    np.testing.assert_array_equal(times_or_itself(B=B, A=A), A @ B)
    C, pullback = overbar.vjp(times_or_itself, A)
    np.testing.assert_array_equal(pullback(np.ones_like(C))[0], np.ones_like(A))
    for row in overbar.verify.check(times_or_itself, cases=[([A], {}), ([A, B], {"scale": 0.5})]):
        assert row.passed or row.note


def test_defaults_and_what_makes_absent_arrays_go_together():
    with pytest.raises(TypeError, match="an entry in absent="):
        overbar.primitive("(n),(n)->(n)")(lambda x, y=None: x)
    with pytest.raises(TypeError, match="an entry in absent="):
        overbar.primitive("(n),(n)->(n)", absent={"y": lambda x: x})(lambda x, y: x)


# ---------------------------------------------------------------------------------------------------------------------
# Options


SWITCHES = [(p.name, name) for p in overbar.rules.REGISTRY.values() for name in p.switches]


@pytest.mark.parametrize("name, switch", SWITCHES)
def test_what_is_neither_true_nor_false_is_refused(name, switch):
    """ "no" is true to Python, and would give what was not asked for."""
    primitive = getattr(overbar, name)
    case = overbar.verify.draw_cases(primitive)[0]
    for value in ("no", 2, (), None, 0.0, np.ones(2)):
        with pytest.raises(TypeError, match=rf"{name}: the option {switch} is .*It must be True or False"):
            primitive(*case.arrays, **{**case.options, switch: value})
    for case in overbar.verify.draw_cases(primitive):
        expected = primitive(*case.arrays, **case.options)
        for same in (int(case.options[switch]), np.bool_(case.options[switch])):
            np.testing.assert_equal(primitive(*case.arrays, **{**case.options, switch: same}), expected)


NONSENSE = [
    ("sum", {"axis": "x"}, TypeError),
    ("sum", {"axis": 1.5}, TypeError),
    ("sum", {"axis": (0, 0)}, ValueError),
    ("diagonal", {"offset": "a"}, TypeError),
    ("diagonal", {"offset": 0.5}, TypeError),
    ("diag_embed", {"offset": None}, TypeError),
    ("tril", {"diagonal": 1.0}, TypeError),
    ("triu", {"diagonal": (1,)}, TypeError),
    ("reshape", {"shape": "a"}, TypeError),
    ("reshape", {"shape": (-1, -1)}, ValueError),
    ("subset", {"index": 9}, IndexError),
    ("subset", {"index": "a"}, IndexError),
    ("subset", {"index": (0, 0, 0, 0)}, IndexError),
]


@pytest.mark.parametrize("name, options, error", NONSENSE, ids=lambda x: str(x))
def test_nonsense_among_the_options_is_named(name, options, error):
    (option,) = options
    with pytest.raises(error, match=rf"^{name}: .*{option}"):
        getattr(overbar, name)(np.eye(3), **options)


def test_matrices_that_are_not_finite_are_called_so():
    """Not "did not converge"."""
    for name in ("svd", "svdvals", "pinv", "lstsq", "polar", "cond", "eigh", "eigvalsh", "eig", "eigvals", "schur"):
        primitive = getattr(overbar, name)
        arrays = list(overbar.verify.draw_cases(primitive)[0].arrays)
        arrays[0][-1, 0] = np.nan
        with pytest.raises(np.linalg.LinAlgError, match=r"argument A.* is not finite"):
            primitive(*arrays)


# ---------------------------------------------------------------------------------------------------------------------
# As SciPy writes it


def scipy_calls():
    rng = np.random.default_rng(5)
    A, b, B = rng.standard_normal((5, 5)) + 5 * np.eye(5), rng.standard_normal(5), rng.standard_normal((5, 2))
    S = A @ A.T
    c, r = rng.standard_normal(5) + 6 * np.eye(5)[0], rng.standard_normal(5)
    bands = np.array([[0, 0.1, 0.2, 0.3, 0.4], [3.0, 2.0, 3.0, 4.0, 3.0]])
    for lower in (True, False):
        band = bands if not lower else np.array([bands[1], np.append(bands[0, 1:], 0)])
        factor = scipy.linalg.cho_factor(S, lower=lower)
        yield "cho_solve", (factor, b), {}
        yield "cho_solve", (factor, B), {}
        yield "cho_solve", (factor,), {"b": B}
        yield "cholesky", (S,), {"lower": lower}
        yield "cholesky_banded", (band,), {"lower": lower}
        yield "cho_solve_banded", ((scipy.linalg.cholesky_banded(band, lower=lower), lower), b), {}
        yield "eigvalsh", (A,), {"lower": lower}
        yield "solve_triangular", (A, B), {"lower": lower, "unit_diagonal": True}
        for trans in (0, 1, 2, "N", "T", "C"):
            yield "solve_triangular", (A, b), {"lower": lower, "trans": trans}
    yield "solve_toeplitz", ((c, r), b), {}
    yield "solve_toeplitz", (c, B), {}
    yield "solve_banded", ((1, 1), np.array([r, c + 6, r[::-1]]), b), {}


@pytest.mark.parametrize("name, args, kwargs", [*scipy_calls()], ids=lambda x: x if isinstance(x, str) else "")
def test_a_call_as_scipy_writes_it(name, args, kwargs):
    found, expected = getattr(overbar, name)(*args, **kwargs), getattr(scipy.linalg, name)(*args, **kwargs)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_what_is_another_function_here_is_named():
    for call, words in {
        lambda: overbar.eigh(np.eye(2), np.eye(2)): r"eigh_generalized\(A, B\)",
        lambda: overbar.eigh(np.eye(2), b=np.eye(2)): r"eigh_generalized\(A, B\)",
        lambda: overbar.eigh(np.eye(2), eigvals_only=True): r"eigvalsh\(A\)",
        lambda: overbar.solve_triangular(1j * np.eye(2), np.ones(2), trans="T", lower=True): r"mT\(A\)",
        lambda: overbar.cholesky(np.eye(2), lower=True, upper=False): "both lower and upper",
    }.items():
        with pytest.raises(TypeError, match=words):
            call()


# ---------------------------------------------------------------------------------------------------------------------
# In other processes and threads


def test_a_function_of_each_element_without_a_derivative_is_told_how_it_gets_one():
    @overbar.elementwise
    def cube(A):
        return A**3

    x, remedy = np.ones(2), "Register its derivative, from which both rules are made, with @cube.derivative."
    with pytest.raises(NotImplementedError, match=re.escape(f"cube has no reverse rule. {remedy}")):
        overbar.vjp(cube, x)[1](x)
    with pytest.raises(NotImplementedError, match=re.escape(f"cube has no forward rule. {remedy}")):
        overbar.jvp(cube, (x,), (x,))
    with pytest.raises(ValueError, match=re.escape(f"cube has no rule to check. {remedy}")):
        overbar.verify.check(cube)

    # `derivative` would refuse where one of the two rules is there; and what has core dimensions has no such thing
    cube.vjp(lambda C_bar, C, A: (lambda: 3 * A**2 * C_bar,))
    with pytest.raises(NotImplementedError, match=re.escape("no forward rule. Register one with @cube.jvp.")):
        overbar.jvp(cube, (x,), (x,))
    total = overbar.primitive("(n)->()")(lambda x: x.sum(axis=-1))
    total.name = "total"
    with pytest.raises(NotImplementedError, match=re.escape("no reverse rule. Register one with @total.vjp.")):
        overbar.vjp(total, x)[1](1.0)


SCRIPT = """
import pickle, sys
import numpy as np, overbar
from overbar import mH

@overbar.primitive("(m,n)->(n,n)")
def gram(A, *, scale=1.0):
    return scale * (mH(A) @ A)

@gram.vjp
def _(C_bar, C, A, *, scale):
    return (lambda: scale * (A @ (C_bar + mH(C_bar))),)

@overbar.elementwise
def cube(A):
    return A**3

@cube.derivative
def _(C, A):
    return 3 * A**2

gram(np.ones((3, 2)))  # what a call leaves behind must not be in the way
for p in (gram, cube, overbar.cholesky):
    assert pickle.loads(pickle.dumps(p)) is p
if sys.argv[1:]:
    import cloudpickle
    sys.stdout.buffer.write(cloudpickle.dumps((gram, cube)))
"""


def test_a_primitive_of_a_script_goes_to_other_processes():
    """By pickle where the script is there too, by cloudpickle whole."""
    pytest.importorskip("cloudpickle")
    run = run_python("-W", "ignore", "-c", SCRIPT, "cloudpickle", text=False)
    assert run.returncode == 0, run.stderr
    gram, cube = pickle.loads(run.stdout)
    A = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(overbar.vjp(gram, A)[1](np.eye(2))[0], 2 * A)
    np.testing.assert_array_equal(overbar.vjp(cube, A)[1](A)[0], 3 * A**3)


def test_threads_that_want_a_derivative_nobody_made_yet_all_get_one_with_rules():
    """Derivatives of order two and more of a function of a matrix are primitives made when first asked for."""
    from overbar.rules import _frechet as frechet

    for order in (5, 6, 7):
        barrier, found = threading.Barrier(8), []

        def ask(order=order, barrier=barrier, found=found):
            barrier.wait()
            p = frechet.derivative(overbar.sinm, order)
            found.append((p, p.vjp_rule is not None and p.jvp_rule is not None))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(p) for p, _ in found}) == 1
        assert all(complete for _, complete in found)


def test_a_source_tree_that_nobody_installed_can_be_imported(tmp_path):
    """From a copy of it, with no metadata in sight."""
    import pathlib
    import shutil

    shutil.copytree(pathlib.Path(overbar.__file__).parent, tmp_path / "overbar")
    code = (
        "import importlib.metadata as m, sys\n"
        "def missing(name): raise m.PackageNotFoundError(name)\n"
        "m.version = missing\n"
        f"sys.path.insert(0, {str(tmp_path)!r})\n"
        "import overbar; print(overbar.__version__, overbar.__file__)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert run.stdout.startswith(f"unknown {tmp_path}")


def test_tracebacks_and_profiles_name_the_rule():
    @overbar.primitive("(n)->()")
    def half_norm(x):
        return (x * x).sum(-1) / 2

    @half_norm.vjp
    def _(c_bar, c, x):
        raise ArithmeticError

    @half_norm.jvp
    def _(c, x):
        raise ArithmeticError

    x = np.ones(3)
    for call, rule in (
        (lambda: overbar.vjp(half_norm, x)[1](1.0), "half_norm_vjp_rule"),
        (lambda: overbar.jvp(half_norm, (x,), (x,)), "half_norm_jvp_rule"),
    ):
        with pytest.raises(ArithmeticError) as caught:
            call()
        assert caught.traceback[-1].name == rule
    for primitive in overbar.rules.REGISTRY.values():
        parts = (primitive.vjp_rule, primitive.jvp_rule, primitive.sampler, primitive.exact, primitive.spelling)
        assert not [part for part in parts if part is not None and part.__code__.co_name in ("_", "<lambda>")]


def test_a_derivative_may_be_a_constant():
    """A number, or an array of NumPy's, in every sweep."""

    @overbar.elementwise
    def twice(A):
        return 2 * A

    x = np.array([1.0, 2.0])
    for slope in (lambda C, A: 2, lambda C, A: np.full(A.shape, 2.0), lambda C, A: np.float64(2)):
        twice.derivative(slope, replace=True)
        np.testing.assert_array_equal(overbar.jvp(twice, (x,), (x,))[1], 2 * x)
        np.testing.assert_array_equal(overbar.hvp(lambda x: overbar.sum(twice(x) ** 2), (x,), x), 8 * x)


@pytest.mark.parametrize("name", ["numpy", "traced", "torch", "tf"])
@pytest.mark.parametrize("number", [0.0, 1, 2j])
def test_a_rule_that_gives_a_number_is_named(name, number):
    """A number of Python's has neither shape nor dtype. (One of NumPy's has both.)"""
    product = overbar.primitive("(n),(n)->(n)")(lambda x, d: x * d)
    product.vjp(lambda bar, y, x, d: (lambda: bar * d, lambda: number))
    product.jvp(lambda y, x, d: (lambda dot: dot * d, lambda dot: number))
    x, d = np.array([1.0, 2.0]), np.array([3.0, 4.0])
    bar = rf"product: the reverse rule, .*@product.vjp, gave the number {number!r} as the bar of argument d.*zeros_like"
    dot = rf"product: the forward rule, .*@product.jvp, gave .* {number!r} as the tangent of output 0, for argument d"
    product.name = "product"
    reverse, forward = _differentiated(name, product, x, d)
    with pytest.raises(TypeError, match=bar):
        reverse()
    with pytest.raises(TypeError, match=dot):
        forward()


def _differentiated(name, product, x, d):
    """Functions that differentiate a product by its second argument, in reverse and in forward mode."""
    if name == "numpy":
        return lambda: overbar.vjp(product, x, d)[1](x), lambda: overbar.jvp(product, (x, d), (None, d))
    if name == "traced":
        return (
            lambda: overbar.hvp(lambda d: overbar.sum(product(x, d) ** 2), (d,), x),
            lambda: overbar.jvp(lambda d: overbar.jvp(product, (x, d), (None, d))[1], (d,), (d,)),
        )
    if name == "torch":
        x, d = torch.tensor(x), torch.tensor(d, requires_grad=True)
        return lambda: product(x, d).sum().backward(), lambda: torch.func.jvp(lambda d: product(x, d), (x,), (x,))
    x, d = tf.constant(x), tf.Variable(d)

    def reverse():
        with tf.GradientTape() as tape:
            y = product(x, d)
        return tape.gradient(y, d)

    def forward():
        with tf.autodiff.ForwardAccumulator(d, x):
            return product(x, d)

    return reverse, forward


def test_a_number_of_numpys_is_an_array():
    double = overbar.primitive("()->()")(lambda x: 2 * x)
    double.vjp(lambda bar, y, x: (lambda: np.float64(3.0),))
    np.testing.assert_array_equal(overbar.vjp(double, np.ones(()))[1](np.ones(()))[0], 3.0)


def test_a_rule_that_cannot_be_called_is_refused_when_it_is_registered():
    scaled = overbar.primitive("(n),(n)->(n)")(_scaled)
    for register, rule, message in [
        (
            scaled.vjp,
            lambda bar, y, x: None,
            r"reverse rule.* takes \(bar, y, x\), and gets 4 .*C_bar, C, x, d, by=",
        ),
        (scaled.jvp, lambda y, x, *, by: None, r"forward rule.* takes \(y, x\), and gets 3 arguments by position"),
        (scaled.vjp, lambda bar, y, x, d, e, *, by: None, r"takes \(bar, y, x, d, e\), and gets 4"),
        (scaled.jvp, lambda y, x, d: None, "takes no option by, and gets all options"),
    ]:
        with pytest.raises(TypeError, match=message):
            register(rule)
    for fine in (
        lambda bar, y, x, d, by: None, lambda bar, y, x, d, **options: None, lambda *all, by: None,
        lambda bar, y, x, d=None, e=None, *, by=1: None, lambda bar, y, x, *all, **options: None,
    ):  # fmt: skip
        scaled.vjp(fine, replace=True)


def _scaled(x, d, *, by=1.0):
    return by * x * d


def test_a_rule_that_gives_none_for_a_bar_is_named():
    double = overbar.primitive("(n)->(n)")(lambda x: 2 * x)
    double.vjp(lambda bar, y, x: (lambda: None,))
    with pytest.raises(TypeError, match=r"the reverse rule of .* gave None for argument x. Let it return zeros"):
        overbar.vjp(double, np.ones(3))[1](np.ones(3))


INTEGERS = [np.int64(1), np.int8(-1), np.array(1), (np.int64(0), np.uint8(1))]


@pytest.mark.parametrize("axis", INTEGERS, ids=repr)
@pytest.mark.parametrize("name", ["sum", "logsumexp", "softmax", "mean", "var"])
@pytest.mark.parametrize("library", ["numpy", "torch", "tensorflow"])
def test_integers_of_numpys_are_options_as_those_of_python(library, name, axis):
    """torch.unsqueeze does not take them."""
    A = np.arange(6.0).reshape(2, 3)
    f = getattr(overbar, name)
    plain = tuple(map(int, axis)) if isinstance(axis, tuple) else int(axis)
    C, pullback = overbar.vjp(lambda A: f(A, axis=plain), A)
    expected = [C, pullback(np.cos(C))[0]]
    if library == "numpy":
        C, pullback = overbar.vjp(lambda A: f(A, axis=axis), A)
        found = [C, pullback(np.cos(C))[0]]
    elif library == "torch":
        x = torch.tensor(A, requires_grad=True)
        C = f(x, axis=axis)
        found = [C.detach(), *torch.autograd.grad(C, x, C.detach().cos())]
    else:
        x = tf.constant(A)
        with tf.GradientTape() as tape:
            tape.watch(x)
            C = f(x, axis=axis)
        found = [C, tape.gradient(C, x, output_gradients=tf.cos(C))]
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-13)


def test_other_options_may_be_integers_of_numpys_too():
    A, k = np.eye(3) + np.arange(3.0), np.int64(1)
    x = torch.tensor(A, requires_grad=True)
    for f in (
        lambda A, k: overbar.matrix_power(A, n=k + k),
        lambda A, k: overbar.diagonal(A, offset=k),
        lambda A, k: overbar.tril(A, diagonal=k),
        lambda A, k: overbar.reshape(A, shape=(9 * k, k)),
        lambda A, k: overbar.subset(A, index=(k, slice(None))),
        lambda A, k: overbar.concatenate([A, A], axis=k),
    ):
        C = f(x, k)
        np.testing.assert_array_equal(C.detach(), f(A, 1))
        (bar,) = torch.autograd.grad(C.sum(), x)
        np.testing.assert_allclose(bar, overbar.grad(lambda A, f=f: overbar.sum(f(A, 1)))(A), rtol=1e-13)


def multiple(x, *, by=1.0):
    """x, some times."""
    return by * x


class Scale:
    def __init__(self, by):
        self.by = by

    def times(self, x):
        return self.by * x

    def __call__(self, x):
        return self.by * x


CALLABLES = {
    "multiple": functools.partial(multiple, by=3.0),
    "times": Scale(3.0).times,
    "Scale": Scale(3.0),
}


@pytest.mark.parametrize("name", CALLABLES)
def test_whatever_can_be_called_makes_a_primitive(name):
    primitive = overbar.primitive("(n)->(n)")(CALLABLES[name])
    primitive.vjp(lambda y_bar, y, x, **options: (lambda: 3.0 * y_bar,))
    primitive.jvp(lambda y, x, **options: (lambda x_dot: 3.0 * x_dot,))
    assert primitive.name == name
    assert primitive.__module__ == __name__
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(overbar.vjp(primitive, x)[1](x)[0], [3.0, 6.0])
    np.testing.assert_array_equal(primitive(torch.tensor(x)), [3.0, 6.0])
    np.testing.assert_array_equal(primitive(tf.constant(x)), [3.0, 6.0])
    overbar.verify.check(primitive, cases=[([x], {})])
    assert primitive.defaults == ({"by": 3.0} if name == "multiple" else {})


DEFINITIONS = {
    "without parentheses": (lambda: overbar.primitive(multiple), r"write @overbar\.primitive\('\(n,n\)->\(n\)'\)"),
    "of a primitive": (lambda: overbar.primitive("(n)->(n)")(overbar.exp), "exp is a primitive already"),
    "of no function": (lambda: overbar.elementwise("exp"), "made of a function of arrays, and got a str"),
    "of any keyword": (lambda: overbar.primitive("(n)->(n)")(lambda x, **k: x), "takes any keyword"),
    "of integers alone": (
        lambda: overbar.primitive("(n)->(n)", integer=("p",))(lambda p: p),
        "integer= names all arrays",
    ),
    "of no output": (
        lambda: overbar.primitive("(n)->(n),()", intermediates=1, residuals=1)(lambda x: x),
        "of the 2 outputs .* 1 are intermediates and 1 residuals",
    ),
}


@pytest.mark.parametrize("name", DEFINITIONS)
def test_what_makes_no_primitive_is_refused_at_once(name):
    define, words = DEFINITIONS[name]
    with pytest.raises(TypeError, match=words):
        define()
    assert overbar.exp.function.__qualname__.count("function") == 1


@pytest.mark.parametrize("array", [np.asarray, torch.tensor, tf.constant])
def test_a_step_is_repeated_as_often_as_an_integer_says(array):
    front = overbar._namespace.front(array(1.0))
    assert [float(x) for x in front.repeat(3, lambda i, state: [2 * state[0]], [array(1.0)])] == [8.0]
    assert [float(x) for x in front.repeat(array([2, 3]), lambda i, state: [2 * state[0]], [array(1.0)])] == [8.0]


@overbar.primitive("(n),(k)->(k)", integer=("p",))
def picked(x, p):
    xp = overbar.namespace(x)
    return xp.take_along_axis(x, xp.astype(xp.round(p), xp.int64), axis=-1)


@overbar.primitive("(n),()->(n)", integer=("p",))
def times(x, p):
    return x * p[..., None]


LIBRARIES = {"numpy": np.asarray, "torch": torch.tensor, "tensorflow": tf.constant}
libraries = pytest.mark.parametrize("array", LIBRARIES.values(), ids=LIBRARIES)


@libraries
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint64])
def test_an_index_that_would_be_rounded_is_refused(array, dtype):
    """It would be another entry."""
    entry = 2**24 + 1
    x = np.zeros(entry + 2)
    x[entry] = 1.0
    words = rf"^picked: argument p holds the integer {entry}, which .*float32 of the others may round: .* 16777216\."
    with pytest.raises(TypeError, match=words):
        picked(array(x.astype(np.float32)), array(np.array([0, entry], dtype)))
    np.testing.assert_array_equal(picked(array(x), array(np.array([0, entry], dtype))), [0.0, 1.0])
    np.testing.assert_array_equal(picked(array(x.astype(np.float32)), array(np.array([2**24], dtype))), [0.0])


@libraries
def test_a_number_of_pythons_is_held_against_it_too(array):
    x = array(np.ones(2, np.float32))
    np.testing.assert_array_equal(times(x, 2**24), [2.0**24] * 2)
    with pytest.raises(TypeError, match="argument p holds the integer -16777217"):
        times(x, -(2**24) - 1)
    with pytest.raises(TypeError, match=rf"holds the integer {2**53 + 1}, which .*float64 .*No dtype here holds it"):
        times(array(np.ones(2)), array(np.array(2**53 + 1)))


def test_integers_of_dtypes_that_are_exact_need_no_look(monkeypatch):
    def looked(A):
        raise AssertionError("there is no integer among these that is rounded")

    monkeypatch.setattr(NUMPY, "numbers", looked)
    for dtype in (np.int8, np.uint16, np.bool_):
        np.testing.assert_array_equal(picked(np.ones(2, np.float32), np.array([1], dtype)), [1.0])
    np.testing.assert_array_equal(picked(np.ones(2), np.array([1], np.int32)), [1.0])


def test_integers_in_programs_whose_numbers_nobody_can_look_at():
    x, p = np.arange(3, dtype=np.float32), np.array([2, 0])
    expected = [2.0, 0.0]
    np.testing.assert_array_equal(tf.function(lambda x, p: picked(x, p))(tf.constant(x), tf.constant(p)), expected)
    x, p = torch.tensor(x), torch.tensor(p)
    np.testing.assert_array_equal(torch.func.vmap(picked)(x[None], p[None])[0], expected)
    compiled = torch.compile(lambda x, p: picked(x, p), backend="eager", fullgraph=True)
    np.testing.assert_array_equal(compiled(x, p), expected)


def test_a_function_without_a_name_works_in_a_graph():
    double = overbar.primitive("(n)->(n)")(lambda x: 2 * x)
    np.testing.assert_array_equal(tf.function(lambda x: double(x))(tf.ones(2)), [2.0, 2.0])


@overbar.elementwise
def cis(x):
    """exp(i x) of real x."""
    return overbar.exp(overbar.namespace(x).complex(0.0, x))


@cis.derivative
def _(c, x):
    xp = overbar.namespace(x)
    return xp.complex(-xp.imag(c), xp.real(c))


@libraries
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_complex_array_is_made_of_real_ones(array, dtype):
    x = np.array([0.5, -1.0, 2.0], dtype)
    xp = overbar.namespace(array(x))
    for real, imag in ((array(x), array(2 * x)), (array(x), 1.0), (0.0, array(x))):
        found = np.asarray(xp.complex(real, imag))
        assert found.dtype == np.result_type(dtype, np.complex64)
        np.testing.assert_array_equal(found, np.asarray(real) + 1j * np.asarray(imag))
    np.testing.assert_allclose(cis(array(x)), np.cos(x) + 1j * np.sin(x), rtol=1e-6)


def test_a_function_from_real_to_complex_has_every_derivative():
    """Also where its rule makes complex arrays of real ones. d/dx of Im c is cos x, and then −sin x."""
    x = np.array([0.5, -1.0, 2.0])
    overbar.verify.check(cis, cases=[([x], {})])
    f = lambda x: overbar.sum(overbar.imag(cis(x)))  # noqa: E731
    np.testing.assert_allclose(overbar.hvp(f, (x,), np.ones(3)), -np.sin(x), rtol=1e-12)
    forward = lambda x: overbar.sum(overbar.jvp(lambda x: overbar.imag(cis(x)), (x,), (np.ones(3),))[1])  # noqa: E731
    np.testing.assert_allclose(overbar.grad(forward)(x), -np.sin(x), rtol=1e-12)
    np.testing.assert_allclose(overbar.jvp(forward, (x,), (np.ones(3),))[1], -np.sin(x).sum(), rtol=1e-12)

    X = torch.tensor(x, requires_grad=True)
    assert torch.autograd.gradcheck(cis, X, check_forward_ad=True)
    assert torch.autograd.gradgradcheck(cis, X, check_fwd_over_rev=True)

    X = tf.constant(x)
    for compute in (lambda X: tf.math.imag(cis(X)), tf.function(lambda X: tf.math.imag(cis(X)))):
        with tf.GradientTape() as outer:
            outer.watch(X)
            with tf.GradientTape() as inner:
                inner.watch(X)
                value = compute(X)
            first = inner.gradient(value, X)
        np.testing.assert_allclose(first, np.cos(x), rtol=1e-12)
        np.testing.assert_allclose(outer.gradient(first, X), -np.sin(x), rtol=1e-12)
        with tf.autodiff.ForwardAccumulator(X, tf.ones_like(X)) as dots, tf.GradientTape() as tape:
            tape.watch(X)
            value = compute(X)
            first = tape.gradient(value, X)
        np.testing.assert_allclose(dots.jvp(first), -np.sin(x), rtol=1e-12)
