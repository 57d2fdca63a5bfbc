"""Tests of the demo's mathematics: the gradient chained by hand, the three frameworks, the forecast. May import
`overbar`, the fronts and the frameworks."""

import numpy as np
import pytest
import scipy.linalg

from overbar.demo import by_hand, data, model
from overbar.demo.fit import AGREEMENT, Agreement, fit
from overbar.demo.forecast import forecast
from overbar.demo.frameworks import objective
from overbar.demo.model import PARAMETERS, START, Data

NAMES = ("numpy", "torch", "tf")

#: where the fit to all points ends, rounded
FITTED = np.log([0.642, 0.951, 2.03, 108.0, 1.22, 0.305, 0.0391, 0.222])


@pytest.fixture(scope="module")
def series():
    return data.load().thinned(80)


@pytest.fixture(scope="module")
def points(series):
    return Data.of(series)


@pytest.fixture(scope="module")
def objectives(points):
    return {name: objective(name, points) for name in NAMES}


def differences(f, theta, step=1e-4):
    """Central differences of fourth order along each component; the last axis of the result counts them."""
    columns = []
    for unit in step * np.eye(len(theta)):
        near, far = f(theta + unit) - f(theta - unit), f(theta + 2 * unit) - f(theta - 2 * unit)
        columns.append((8 * near - far) / (12 * step))
    return np.stack(columns, axis=-1)


def likelihood(theta, points):
    """The model's description, run by NumPy and SciPy without anything of overbar."""

    def logpdf(y, K):
        L = np.linalg.cholesky(K)
        z = scipy.linalg.solve_triangular(L, y, lower=True)
        return -(np.sum(z * z) / 2 + np.sum(np.log(np.diagonal(L))) + len(y) / 2 * np.log(2 * np.pi))

    return model.negative_log_likelihood(np, logpdf, theta, Data(points.lags, points.index.reshape(-1), points.y))


# -- the data ----------------------------------------------------------------------------------------------------------


def test_the_whole_series():
    series = data.load()
    assert len(series) == 2225
    assert series.day(0) == "1958-03-29"
    assert series.day(series.week[-1]) == "2001-12-29"
    assert np.all(np.diff(series.week) > 0)
    assert series.week[-1] + 1 > len(series)  # some weeks are missing
    assert np.isfinite(series.co2).all()
    np.testing.assert_allclose(series.years()[[0, -1]], [1958.24, 2001.99], atol=0.01)
    assert series.co2[[0, -1]].tolist() == [316.1, 371.5]


def test_thinning():
    series = data.load()
    assert len(series.thinned(0)) == 2225
    thin = series.thinned(100)
    assert len(thin) == 100
    assert thin.week[[0, -1]].tolist() == series.week[[0, -1]].tolist()
    assert np.isin(thin.week, series.week).all()
    for n in (-1, 1, 44, 2226):
        with pytest.raises(ValueError, match=r"between 45 and 2,225 points"):
            series.thinned(n)


def test_the_parabola_is_taken_out(series):
    np.testing.assert_allclose(series.basis().T @ series.residual, 0, atol=1e-8)


# -- the gradient ------------------------------------------------------------------------------------------------------


def test_the_covariance_is_the_table_picked_from(series, points):
    """Against the definition in the docstring, written out for each pair of points."""
    a, ell, b, d, w, c, m, s = (p.start for p in PARAMETERS)
    r = np.abs(series.years()[:, None] - series.years()[None, :])
    K = a**2 * np.exp(-(r**2) / (2 * ell**2))
    K += b**2 * np.exp(-(r**2) / (2 * d**2) - 2 * np.sin(np.pi * r) ** 2 / w**2)
    K += c**2 * np.exp(-r / m) + s**2 * np.eye(len(r))
    np.testing.assert_allclose(model.covariance(np, START, points.lags)[points.index], K, rtol=1e-9)


@pytest.mark.parametrize("theta", [START, FITTED], ids=["initial", "fitted"])
def test_the_value_is_that_of_scipy(points, theta):
    from scipy.stats import multivariate_normal

    K = model.covariance(np, theta, points.lags)[points.index]
    expected = -multivariate_normal(cov=K).logpdf(points.y[:, 0])
    assert by_hand.value_and_gradient(theta, points)[0] == pytest.approx(expected, rel=1e-10)


def test_derivatives_of_the_covariance(points):
    expected = differences(lambda theta: model.covariance(np, theta, points.lags), START, step=1e-3)
    np.testing.assert_allclose(by_hand.derivatives(START, points.lags), expected.T, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("theta", [START, FITTED], ids=["initial", "fitted"])
def test_the_gradient_by_hand_is_that_of_differences(points, theta):
    expected = differences(lambda t: likelihood(t, points), theta)
    _, gradient = by_hand.value_and_gradient(theta, points)
    np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize("theta", [START, FITTED], ids=["initial", "fitted"])
def test_the_gradient_by_hand_is_that_of_the_textbook(points, theta):
    """Rasmussen and Williams (2006), equation 5.9, in which no Cholesky factor is differentiated."""
    inverse = np.linalg.inv(model.covariance(np, theta, points.lags)[points.index])
    alpha = inverse @ points.y
    determinant, fit_term = (
        [np.sum(bar * k_dot[points.index]) / 2 for k_dot in by_hand.derivatives(theta, points.lags)]
        for bar in (inverse, -alpha @ alpha.T)
    )
    _, gradient = by_hand.value_and_gradient(theta, points)
    scale = np.abs(gradient).max()
    np.testing.assert_allclose(gradient, np.add(determinant, fit_term), rtol=1e-9, atol=1e-9 * scale)
    for found, expected in zip(by_hand.gradient_terms(theta, points), (fit_term, determinant), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("name", ["torch", "tf"])
@pytest.mark.parametrize("theta", [START, FITTED], ids=["initial", "fitted"])
def test_the_gradient_by_hand_is_that_of_each_framework_without_overbar(points, theta, name):
    value, gradient = by_hand.value_and_gradient(theta, points)
    own_value, own_gradient = objective(name, points, built_in=True)(theta)
    assert own_value == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(own_gradient, gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())


def test_ours_uses_overbar_and_the_own_one_does_not(points, monkeypatch):
    """Else the ratio would compare a thing with itself."""
    import overbar
    from overbar._primitive import Primitive

    used = []
    apply = Primitive.apply
    monkeypatch.setattr(Primitive, "apply", lambda self, *args: (used.append(self.name), apply(self, *args))[1])
    for name in ("torch", "tf"):
        objective(name, points)(START)
        assert set(used) == {"gaussian_logpdf", "inverse_with_factor"}
        used.clear()
        objective(name, points, built_in=True)(START)
        assert not used
    assert isinstance(overbar.cholesky, Primitive)


# -- agreement ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("theta", [START, FITTED], ids=["initial", "fitted"])
def test_the_frameworks_agree(points, objectives, theta):
    here = Agreement.at(theta, objectives, points)
    assert here.value_difference() < AGREEMENT / 100
    assert here.gradient_difference() < AGREEMENT
    assert here.strict
    assert here.good


@pytest.mark.slow
@pytest.mark.parametrize("theta", [START, FITTED], ids=["initial", "fitted"])
def test_the_frameworks_agree_on_all_points(theta):
    points = Data.of(data.load())
    here = Agreement.at(theta, {name: objective(name, points) for name in NAMES}, points)
    assert here.strict


@pytest.fixture(scope="module")
def fits(points, objectives):
    return {name: fit(objectives[name], len(points)) for name in NAMES}


def test_the_frameworks_agree_where_the_fit_ends(points, objectives, fits):
    for result in fits.values():
        assert result.converged, result.message
        assert Agreement.at(result.theta, objectives, points).good


def test_the_fits_end_at_the_same_place(fits):
    reference = fits["numpy"]
    for result in fits.values():
        assert result.value == pytest.approx(reference.value, rel=1e-9)
        np.testing.assert_allclose(result.theta, reference.theta, atol=1e-5)
        assert result.iterations == len(result.path) - 1
        assert result.path[-1][1] == pytest.approx(result.value)


def test_the_fit_ends_at_a_minimum(points, fits):
    theta, value = fits["numpy"].theta, fits["numpy"].value
    for i in range(len(theta)):
        for step in (-0.5, 0.5):
            moved = theta.copy()
            moved[i] += step
            assert likelihood(moved, points) > value - 0.05
    assert value < likelihood(START, points) - 5


def test_the_iterations_are_bounded(points, objectives):
    seen = []
    result = fit(objectives["numpy"], len(points), iterations=2, progress=lambda *args: seen.append(args))
    assert not result.converged
    assert result.iterations == 2
    assert [iteration for iteration, _ in seen] == [1, 2]


def agreement(values, gradients, terms=1.0):
    names = "abc"[: len(values)]
    return Agreement(
        dict(zip(names, values, strict=True)), dict(zip(names, map(np.array, gradients), strict=True)), terms
    )


def test_how_agreement_is_measured():
    here = agreement([-100.0, -100.0, -101.0], [[1.0, 4.0], [1.0, 4.0], [1.5, 4.0]], terms=10.0)
    assert here.value_difference() == pytest.approx(1 / 101)
    assert here.value_difference("a") == pytest.approx(1 / 101)
    assert here.gradient_difference() == pytest.approx(0.5 / 4)
    assert here.gradient_rounding("c") == pytest.approx(0.05)
    pair = agreement([1.0, 1.0], [[1.0], [1.0]])
    assert (pair.value_difference(), pair.gradient_difference("a")) == (0, 0)
    assert agreement([1.0], [[1.0]]).good


@pytest.mark.parametrize(
    ("values", "gradients", "terms", "strict", "good"),
    [
        ([1.0, 1.0 + 1e-12], [[1.0], [1.0 + 1e-12]], 1.0, True, True),
        ([1.0, 1.0 + 1e-8], [[1.0], [1.0]], 1.0, False, False),
        ([1.0, 1.0], [[1.0], [1.0 + 1e-8]], 1.0, False, False),
        # a small gradient, a difference of large terms: 1e-8 of it is 1e-13 of them
        ([1.0, 1.0], [[1.0], [1.0 + 1e-8]], 1e5, False, True),
        # but not every small gradient excuses every difference
        ([1.0, 1.0], [[1.0], [1.0 + 1e-5]], 1e5, False, False),
    ],
)
def test_what_counts_as_agreement(values, gradients, terms, strict, good):
    here = agreement(values, gradients, terms)
    assert (here.strict, here.good) == (strict, good)


@pytest.mark.parametrize("name", ["cholesky", "solve_triangular", "cho_logdet"])
def test_a_wrong_rule_in_one_framework_is_seen(points, objectives, name, monkeypatch):
    """A factor of 1 + 1e-8 in one of the three rules, in NumPy alone."""
    import overbar

    primitive = getattr(overbar, name)
    rule = primitive.vjp_rule
    wrong = lambda *args, **options: tuple(lambda bar=bar: bar() * (1 + 1e-8) for bar in rule(*args, **options))  # noqa: E731
    theirs = {key: objectives[key](START) for key in ("torch", "tf")}
    monkeypatch.setattr(primitive, "vjp_rule", wrong)
    ours = objectives["numpy"](START)
    monkeypatch.setattr(primitive, "vjp_rule", rule)
    results = {"numpy": lambda theta: ours, **{key: lambda theta, key=key: theirs[key] for key in theirs}}
    assert not Agreement.at(START, results, points).good


# -- the forecast ------------------------------------------------------------------------------------------------------


def test_the_forecast_is_that_of_the_textbook(series, points):
    """Rasmussen and Williams (2006), equations 2.41 and 2.42, with all inverses formed."""
    theta, week = FITTED, np.arange(-5, 2400, 37)
    found = forecast(theta, series, points, week)
    signal = model.lags(np.abs(series.week[:, None] - week))._replace(same=np.zeros((len(series), len(week))))
    k = model.covariance(np, theta, signal)
    inverse = np.linalg.inv(model.covariance(np, theta, points.lags)[points.index])
    H, h = series.basis(), series.basis(week)
    for_beta = np.linalg.inv(H.T @ inverse @ H)
    beta = for_beta @ H.T @ inverse @ series.co2
    rest = h.T - H.T @ inverse @ k
    alone = model.covariance(np, theta, model.lags(np.zeros(1)))[0]
    variance = alone - np.sum(k * (inverse @ k), axis=0) + np.sum(rest * (for_beta @ rest), axis=0)
    np.testing.assert_allclose(found.mean, h @ beta + k.T @ inverse @ (series.co2 - H @ beta), rtol=1e-10)
    np.testing.assert_allclose(found.sd, np.sqrt(variance), rtol=1e-9)


def test_a_parabola_is_extrapolated_exactly(series, points):
    week = np.arange(0, 4000, 500)
    coefficients = [340.0, 30.0, 5.0]
    exact = type(series)(series.week, series.basis() @ coefficients, series.first)
    np.testing.assert_allclose(forecast(START, exact, points, week).mean, series.basis(week) @ coefficients, rtol=1e-9)


def test_the_forecast_becomes_less_certain(series, points):
    last = series.week[-1]
    ahead = forecast(FITTED, series, points, last + 52 * np.arange(1, 11))
    assert np.all(np.diff(ahead.sd) > 0)
    at_the_points = forecast(FITTED, series, points, series.week)
    assert np.abs(at_the_points.mean - series.co2).max() < 3 * at_the_points.sd.max()
