"""Matrices in tiles: values, both rules and second derivatives are NumPy's; and what they cost. May import Dask."""

import functools
import re
import warnings

import numpy as np
import pytest

da = pytest.importorskip("dask.array")

import dask  # noqa: E402

import dask_ops  # noqa: E402, F401 - makes the primitives take Dask's arrays
import overbar  # noqa: E402
from overbar._namespace import mH  # noqa: E402
from tests.compare import close  # noqa: E402

N, TILE = 80, 30  # larger than what the rules take for small, and not a multiple of the tile


def draw(dtype, *shape, rng=None):
    rng = rng or np.random.default_rng([len(shape), *shape])
    x = rng.normal(size=shape)
    return (x + 1j * rng.normal(size=shape) if np.dtype(dtype).kind == "c" else x).astype(dtype)


@functools.cache
def definite(dtype):
    A = draw(dtype, N, N)
    return A @ mH(A) / N + np.eye(N, dtype=dtype)


@functools.cache
def lower(dtype):
    return np.linalg.cholesky(definite(dtype))


def few(dtype):
    return draw(dtype, N, 3)


def solve(A, B, **options):
    return overbar.solve_triangular(A, B, **{"upper": False, **options})


SOLVES = [
    {"upper": upper, "left": left, "adjoint": adjoint, "unitriangular": upper and left}
    for upper in (False, True)
    for left in (False, True)
    for adjoint in (False, True)
]


def _of_solve(dtype, options):
    A = mH(lower(dtype)).copy() if options["upper"] else lower(dtype)
    A = A / 9 + np.eye(N) if options["unitriangular"] else A
    return [A, few(dtype) if options["left"] else few(dtype).T.copy()]


CASES = {
    "cholesky": (overbar.cholesky, lambda t: [definite(t)]),
    "cholesky upper": (functools.partial(overbar.cholesky, upper=True), lambda t: [definite(t)]),
    **{
        f"solve_triangular {' '.join(k for k, on in options.items() if on)}": (
            functools.partial(solve, **options),
            functools.partial(lambda t, o: _of_solve(t, o), o=options),
        )
        for options in SOLVES
    },
    "solve_triangular of a vector": (solve, lambda t: [lower(t), draw(t, N)]),
    "cho_solve": (overbar.cho_solve, lambda t: [lower(t), few(t)]),
    "cho_solve of many": (overbar.cho_solve, lambda t: [lower(t), draw(t, N, N - 7)]),
    "cho_solve upper": (lambda U, B: overbar.cho_solve(U, B, upper=True), lambda t: [mH(lower(t)).copy(), few(t)]),
    "cho_logdet": (overbar.cho_logdet, lambda t: [lower(t)]),
    "cholesky_inverse": (overbar.cholesky_inverse, lambda t: [lower(t)]),
    "inv_quad": (overbar.inv_quad, lambda t: [definite(t), few(t)]),
    "inv_quad_logdet": (
        lambda A, B: (lambda q, d: q + 2 * d)(*overbar.inv_quad_logdet(A, B)),
        lambda t: [definite(t), few(t)],
    ),
    "gaussian_logpdf": (overbar.gaussian_logpdf, lambda t: [draw(t, N), few(t)[:, 0], definite(t)]),
    "gaussian_logpdf_cholesky": (
        overbar.gaussian_logpdf_cholesky,
        lambda t: [draw(t, N), few(t)[:, 0], lower(t)],
    ),
    "quadratic": (overbar.quadratic, lambda t: [definite(t), draw(t, N)]),
    "bilinear_form": (overbar.bilinear_form, lambda t: [draw(t, N), draw(t, N, 60), draw(t, 60)]),
    "congruence": (overbar.congruence, lambda t: [definite(t), few(t)]),
    "matmul": (overbar.matmul, lambda t: [draw(t, N, 50), draw(t, 50, 70)]),
    "matmul with itself": (lambda A: mH(A) @ A, lambda t: [draw(t, N, 50)]),
    "matrix times vector": (lambda A, b: A @ b, lambda t: [draw(t, N, 50), draw(t, 50)]),
    "tril": (overbar.tril, lambda t: [draw(t, N, 50)]),
    "triu": (lambda A: overbar.triu(A, diagonal=-7), lambda t: [draw(t, N, 50)]),
    "trace": (overbar.trace, lambda t: [definite(t)]),
    "diagonal": (overbar.diagonal, lambda t: [definite(t)]),
    "add_diagonal": (overbar.add_diagonal, lambda t: [definite(t), np.abs(draw(t, N)) + 0.1]),
    "index": (lambda A: A[3:60, 5], lambda t: [definite(t)]),
    "arithmetic": (lambda A, B: overbar.sum(overbar.exp(A * B - A / 3), axis=0), lambda t: [definite(t), lower(t)]),
    "concatenate": (lambda A, B: overbar.concatenate([A, B], axis=-1), lambda t: [definite(t), few(t)]),
}


def in_tiles(A, tile=TILE):
    return da.from_array(A, chunks=tuple(min(tile, n) for n in A.shape))


def directions(arrays):
    found = []
    for A in arrays:
        dot = draw(A.dtype, *A.shape, rng=np.random.default_rng(5))
        found.append((dot + mH(dot)) / 2 if A.ndim == 2 and A.shape[0] == A.shape[1] else dot)
    return tuple(found)


@pytest.mark.parametrize("dtype", [np.float64, np.complex128], ids=["real", "complex"])
@pytest.mark.parametrize("case", CASES)
def test_value_and_derivatives(case, dtype):
    f, make = CASES[case]
    arrays = make(dtype)
    tiles = [in_tiles(A) for A in arrays]
    value, pull = overbar.vjp(f, *arrays)
    bar = draw(value.dtype, *value.shape, rng=np.random.default_rng(1))
    found, pulled = overbar.vjp(f, *tiles)
    dots = directions(arrays)

    def gradient(*arrays):
        return overbar.vjp(f, *arrays)[1](bar)

    found = [
        found, *pulled(bar), overbar.jvp(f, tiles, dots)[1], *overbar.jvp(gradient, tiles, dots)[1]
    ]  # fmt: skip
    expected = [value, *pull(bar), overbar.jvp(f, arrays, dots)[1], *overbar.jvp(gradient, arrays, dots)[1]]
    assert all(isinstance(A, da.Array) for A in found)
    for A, wanted in zip(dask.compute(*found), expected, strict=True):
        assert A.dtype == wanted.dtype
        close(A, wanted, 2e-13)


def test_a_wrong_tile_would_be_noticed():
    """The tolerance above is no empty one: a factor with one tile off by a thousandth is seen."""
    L = overbar.cholesky(in_tiles(definite(np.float64))).compute()
    L[60:, :30] *= 1.001
    with pytest.raises(AssertionError):
        close(L, lower(np.float64), 2e-13)


@pytest.mark.parametrize("tile", [27, 40, 79, 80])
def test_any_size_of_tiles_and_single_precision(tile):
    A = definite(np.float32)
    L, pull = overbar.vjp(overbar.cholesky, A)
    found, pulled = overbar.vjp(overbar.cholesky, in_tiles(A, tile))
    computed = dask.compute(found, *pulled(A))
    assert [x.dtype for x in computed] == [np.float32] * 2
    close(computed[0], L, 1e-5)
    close(computed[1], pull(A)[0], 1e-5)


@pytest.mark.parametrize("sizes", [(20, 60), (60, 20)])
def test_products_of_factors_with_matrices_in_other_tiles(sizes):
    """That tiles above the diagonal are zero is known of tiles as they were, and not of those that are cut anew."""
    L, B = lower(np.float64), draw(np.float64, N, N + 10)
    of_tiles = overbar.cholesky(in_tiles(definite(np.float64)))
    big, small = da.from_array(B, chunks=(sizes, N + 10)), da.from_array(B[:, :9], chunks=(sizes, 9))
    for factor, wanted in ((of_tiles, L), (overbar.tril(of_tiles), L)):
        close(overbar.matmul(factor, big).compute(), wanted @ B)
        close(overbar.matmul(factor, small).compute(), wanted @ B[:, :9])
        close(overbar.matmul(da.from_array(B.T, chunks=(N + 10, sizes)), factor).compute(), B.T @ wanted)
        close(overbar.matmul(da.from_array(B.T[:9], chunks=(9, sizes)), factor).compute(), B.T[:9] @ wanted)


def test_tiles_of_different_sizes():
    A, sizes = definite(np.float64), (11, 40, 3, 26)
    found, pulled = overbar.vjp(overbar.cholesky, da.from_array(A, chunks=(sizes, sizes)))
    L, pull = overbar.vjp(overbar.cholesky, A)
    for x, wanted in zip(dask.compute(found, *pulled(A)), [L, *pull(A)], strict=True):
        close(x, wanted, 1e-13)


# ---------------------------------------------------------------------------------------------------------------------
# What is computed


def tasks(*arrays):
    """How many tasks compute arrays, once Dask has left out what nobody needs; without names of others."""
    found = dask.optimize(*arrays)
    keys = set().union(*[dict(A.__dask_graph__()).keys() for A in found])
    return len(keys)


@pytest.mark.parametrize("count", [4, 5, 6, 8, 12])
def test_a_likelihood_takes_no_more_tasks_than_it_may(count):
    n = 40 * count  # with fewer rows the rules take others of their ways, for small matrices
    X, y = da.from_array(np.arange(2.0 * n).reshape(n, 2), chunks=(40, 2)), da.ones(n, chunks=40)

    def by_density(scales, noise):
        return overbar.gaussian_logpdf(y, 0 * y, overbar.rbf(X, scales, 1.0, noise))

    def by_factor(scales, noise):
        return overbar.gaussian_logpdf_cholesky(y, 0 * y, overbar.cholesky(overbar.rbf(X, scales, 1.0, noise)))

    # a bar of the factor takes a task more for each tile, which is too many for four in a row
    for nll in (by_density, by_factor) if count > 4 else (by_density,):
        value, bars = overbar.value_and_grad(nll, argnums=(0, 1))(np.ones(2), 0.1)
        assert count**3 / 24 < tasks(value, *bars) <= count**3 / 2 + 8 * count**2


def test_nothing_above_the_diagonal_is_computed(monkeypatch):
    """Neither of the covariance nor of its bar: Dask drops what a sum of the lower tiles does not ask for."""
    asked = []
    monkeypatch.setattr("dask_ops._blocks._mirrored", lambda A: asked.append(A.shape) or A.T.copy())
    monkeypatch.setattr("dask_ops._tiled._adjoint", lambda A: asked.append(A.shape) or A.T.conj())
    rng = np.random.default_rng(0)
    X, y = da.from_array(rng.normal(size=(60, 2)), chunks=(20, 2)), da.from_array(rng.normal(size=60), chunks=20)

    def nll(scale, noise):
        return -overbar.gaussian_logpdf(y, 0 * y, overbar.rbf(X, scale, 1.0, noise))

    value, bars = overbar.value_and_grad(nll, argnums=(0, 1))(1.0, 0.1)
    dask.compute(value, bars)
    assert asked == []
    overbar.rbf(X, 1.0).compute()
    assert asked == [(20, 20)] * 3


def test_the_same_bits_by_any_number_of_threads():
    A = in_tiles(definite(np.float64), 9)
    L, pull = overbar.vjp(overbar.cholesky, A)
    arrays = [L, pull(L)[0], overbar.inv_quad_logdet(A, few(np.float64))[1]]
    wanted = dask.compute(*arrays)
    for workers in (1, 2, 7):
        found = dask.compute(*arrays, scheduler="threads", num_workers=workers)
        assert all(np.array_equal(x, w) for x, w in zip(found, wanted, strict=True))


def test_a_tile_that_is_not_aligned_gives_the_same_bits():
    """As it comes over a network: an array whose memory starts at an odd address."""
    from dask_ops._tiles import added, factor, solved

    def at_odd_address(A):
        memory = np.empty(A.nbytes + 1, np.uint8)
        B = np.frombuffer(memory[1:].data, A.dtype).reshape(A.shape)
        memory[1:] = np.frombuffer(A.tobytes(), np.uint8)
        assert not B.flags.aligned
        return B

    A, L, B = definite(np.float64), lower(np.float64), draw(np.float64, N, N)
    odd = [at_odd_address(x) for x in (A, L, B)]
    assert np.array_equal(factor(A, "A", 0), factor(odd[0], "A", 0))
    assert np.array_equal(solved(L, B, False, False, True, False, 0), solved(*odd[1:], False, False, True, False, 0))
    for form in ("nn", "nh", "hn", "hh"):
        wanted = added(A, A.shape, A.dtype, -1, (form, form), B, B, L, B)
        assert np.array_equal(added(odd[0], A.shape, A.dtype, -1, (form, form), odd[2], odd[2], odd[1], odd[2]), wanted)
    assert np.array_equal(A, odd[0])  # nobody wrote into what was given


def test_dasks_own_linear_algebra_is_never_taken(monkeypatch):
    def never(*args, **kwargs):
        raise AssertionError("Dask's own")

    for name in ("cholesky", "lu", "solve", "solve_triangular", "inv", "qr", "svd"):
        monkeypatch.setattr(da.linalg, name, never)
    A, B = in_tiles(definite(np.float64)), in_tiles(few(np.float64))
    L = overbar.cholesky(A)
    close(L.compute(), lower(np.float64), 1e-13)
    dask.compute(overbar.inv_quad_logdet(A, B), overbar.cho_solve(L, B), overbar.vjp(overbar.cholesky, A)[1](A))


# ---------------------------------------------------------------------------------------------------------------------
# Errors


@pytest.mark.parametrize("order", [1, 31, 75])
def test_the_leading_minor_is_counted_over_the_whole_matrix(order):
    A = definite(np.float64).copy()
    A[order - 1, order - 1] = -1
    message = None
    try:
        overbar.cholesky(A)
    except np.linalg.LinAlgError as error:
        message = str(error)
    assert f"order {order} " in message
    with pytest.raises(np.linalg.LinAlgError) as caught:
        overbar.cholesky(in_tiles(A)).compute()
    assert str(caught.value) == message
    y = da.ones(N, chunks=TILE)
    with pytest.raises(np.linalg.LinAlgError, match=rf"argument K .*order {order} "):
        overbar.gaussian_logpdf(y, 0 * y, in_tiles(A)).compute()


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (70, 2), (65, 64)])
def test_a_number_that_is_not_finite_is_found(place, number):
    A = definite(np.float64).copy()
    A[place] = number
    with pytest.raises(np.linalg.LinAlgError, match=rf"not finite: its entry \({place[0]}, {place[1]}\) is {number}"):
        overbar.cholesky(in_tiles(A)).compute()
    A = definite(np.float64).copy()
    A[place[::-1]] = number  # of the upper triangle nothing is read
    if place[0] != place[1]:
        close(overbar.cholesky(in_tiles(A)).compute(), lower(np.float64), 1e-13)


def test_noise_that_is_negative_is_found_in_its_task():
    A, noise = in_tiles(definite(np.float64)), np.full(N, 0.1)
    noise[70] = -1
    with pytest.raises(np.linalg.LinAlgError, match="argument noise is negative"):
        overbar.add_diagonal(A, in_tiles(noise)).compute()
    with pytest.raises(np.linalg.LinAlgError, match="argument noise is negative"):
        overbar.add_diagonal(A, -1.0).compute()


def test_a_singular_triangle_says_where():
    L = lower(np.float64).copy()
    L[64, 64] = 0
    with pytest.raises(np.linalg.LinAlgError, match=r"zero at \(64, 64\)"):
        solve(in_tiles(L), in_tiles(few(np.float64))).compute()


def test_tiles_that_are_not_square_are_made_so_with_a_warning():
    A = da.from_array(definite(np.float64), chunks=(20, 40))
    with pytest.warns(da.PerformanceWarning, match=r"cholesky: argument A .* chunks=\(20, 20\)") as caught:
        L = overbar.cholesky(A)
    assert caught[0].filename == __file__
    assert L.chunks == ((20,) * 4,) * 2
    close(L.compute(), lower(np.float64), 1e-13)
    with warnings.catch_warnings():  # vectors are small: nothing is said of them
        warnings.simplefilter("error")
        solve(L, da.from_array(few(np.float64), chunks=(17, 3))).compute()


def test_sizes_that_are_not_known_are_refused():
    A = da.from_array(definite(np.float64), chunks=TILE)
    A = A[da.from_array(np.ones(N, bool), chunks=TILE)]
    with pytest.raises(np.linalg.LinAlgError, match=r"compute_chunk_sizes\(\)"):
        overbar.matmul(A, A)


@pytest.mark.parametrize("name", ["svd", "eigh", "qr", "inv", "logdet", "expm", "lu", "schur", "sqrtmh"])
def test_what_has_no_way_by_tiles_is_refused_by_name(name):
    A = in_tiles(definite(np.float64))
    remedy = re.escape("A.rechunk({-2: -1, -1: -1})")
    with pytest.raises(NotImplementedError, match=rf"^{name} is not computed by tiles.*{remedy}"):
        getattr(overbar, name)(A)
    found = dask.compute(getattr(overbar, name)(A.rechunk({-2: -1, -1: -1})))[0]
    wanted = getattr(overbar, name)(definite(np.float64))
    for x, w in zip(found, wanted, strict=True) if isinstance(wanted, tuple) else [(found, wanted)]:
        close(x, w, 1e-13)


@pytest.mark.parametrize(
    "name, instead",
    [
        ("det", lambda A, B: overbar.exp(overbar.cho_logdet(overbar.cholesky(A)))),
        ("inv", lambda A, B: overbar.cholesky_inverse(overbar.cholesky(A))),
        ("logdet", lambda A, B: overbar.cho_logdet(overbar.cholesky(A))),
        ("safe_cholesky", lambda A, B: overbar.cholesky(overbar.add_diagonal(A, 0.0))),
        ("slogdet", lambda A, B: overbar.cho_logdet(overbar.cholesky(A))),
        ("solve", lambda A, B: overbar.cho_solve(overbar.cholesky(A), B)),
    ],
)
def test_a_refusal_says_what_a_definite_matrix_may_be_given_to(name, instead):
    A = definite(np.float64) / N
    others = (np.ones((N, 2)),) if name == "solve" else ()
    with pytest.raises(NotImplementedError, match=r"For a positive definite matrix .* goes by tiles") as caught:
        getattr(overbar, name)(in_tiles(A), *others)
    for word in re.findall(r"(\w+)\(", str(caught.value).partition("definite matrix")[2]):
        assert hasattr(overbar, word)
    expected = getattr(overbar, name)(A, *others)
    expected = {"slogdet": lambda: expected[1], "safe_cholesky": lambda: expected[0]}.get(name, lambda: expected)()
    close(instead(in_tiles(A), in_tiles(np.ones((N, 2)))).compute(), expected, 1e-10)


def test_a_refusal_does_not_list_thousands_of_chunks():
    with pytest.raises(NotImplementedError, match=r"in chunks 900 of 1 by \(900,\)\.") as caught:
        overbar.expm(da.ones((900, 900), chunks=(1, -1)))
    assert len(str(caught.value)) < 500


def test_a_batch_of_tiles_is_refused():
    A = da.from_array(np.stack([definite(np.float64)] * 2), chunks=(1, TILE, TILE))
    with pytest.raises(np.linalg.LinAlgError, match=r"batch.*rechunk\(\{-2: -1, -1: -1\}\)"):
        overbar.cholesky(A)


def test_shapes_and_dtypes_are_looked_at_before_anything_is_computed():
    A = da.from_array(np.ones((4, 3)), chunks=2)
    with pytest.raises(np.linalg.LinAlgError, match=r"argument A of shape .* is not square"):
        overbar.cholesky(A)
    with pytest.raises(TypeError, match="argument A has dtype int64"):
        overbar.cholesky(da.from_array(np.eye(4, dtype=int), chunks=2))
