"""Tests of the demo's mode for many length scales. May import `overbar`, the fronts and the frameworks."""

import numpy as np
import pytest

import overbar
from overbar import gp
from overbar._primitive import Primitive
from overbar.demo.fit import Agreement
from overbar.demo.length_scales import MATTER, ManyInputs, truth
from overbar.demo.tables import number, span
from tests.demo.test_command import png_size, run

NAMES = ("numpy", "torch", "tf")


@pytest.fixture(scope="module")
def subject():
    return ManyInputs.prepared(80, 7)


def test_gradients_are_those_of_differences_and_agree(subject):
    theta = subject.start + np.linspace(-0.5, 0.5, 9)
    objectives = {name: subject.objective(name) for name in NAMES}
    here = Agreement.of(theta, objectives, subject.terms(theta), subject.condition(theta))
    K = gp.RBF(np.exp(theta[:7]), np.exp(theta[7]))(subject.X) + np.exp(theta[8]) * np.eye(80)
    assert np.linalg.cond(K) < subject.condition(theta) < 100 * np.linalg.cond(K)
    assert here.rounding == max(1e-11, 2.0**-52 * subject.condition(theta))
    assert here.strict
    assert here.value_difference() < 1e-13
    h = 1e-5
    expected = [
        (objectives["numpy"](theta + h * e)[0] - objectives["numpy"](theta - h * e)[0]) / (2 * h) for e in np.eye(9)
    ]
    np.testing.assert_allclose(here.gradients["torch"], expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(np.add(*subject.terms(theta)), here.gradients["numpy"], rtol=1e-9, atol=1e-9)


def test_the_own_gradient_is_the_same_and_none_of_ours(subject, monkeypatch):
    """Else the ratio would compare a thing with itself, or two things."""
    value, gradient = subject.objective("numpy")(subject.start)
    used, apply = [], Primitive.apply
    monkeypatch.setattr(Primitive, "apply", lambda self, *args: (used.append(self.name), apply(self, *args))[1])
    for name in ("torch", "tf"):
        assert subject.objective(name)(subject.start)[0] == pytest.approx(value, rel=1e-12)
        assert {"rbf", "gaussian_logpdf"} <= set(used)
        used.clear()
        own_value, own_gradient = subject.objective(name, built_in=True)(subject.start)
        assert not used
        assert own_value == pytest.approx(value, rel=1e-12)
        np.testing.assert_allclose(own_gradient, gradient, rtol=1e-9, atol=1e-9)
    assert subject.objective("numpy", built_in=True) is None


def test_the_fits_end_at_one_place_and_find_the_inputs_that_matter():
    subject = ManyInputs.prepared(150, 7)
    fits = {}
    for name in NAMES:
        fits[name] = subject.fit(name, subject.objective(name), iterations=100, progress=lambda *args: None)
    reference = fits["numpy"]
    for fit in fits.values():
        assert fit.converged, fit.message
        assert fit.value == pytest.approx(reference.value, abs=0.01)
        assert fit.path[0][1] == pytest.approx(subject.objective("numpy")(subject.start)[0])
        assert fit.path[-1][1] == pytest.approx(fit.value)
    scales, (variance, noise) = np.exp(reference.theta[:7]), np.exp(reference.theta[7:])
    assert scales[:MATTER].max() < np.sqrt(variance / noise) < scales[MATTER:].min()
    assert 0.7 < noise < 1.3
    X_new = np.random.default_rng(0).uniform(size=(100, 7))
    kernel = gp.RBF(scales, variance)
    mean = overbar.gp_predict(subject.X, subject.y, kernel, noise, X_new).mean + subject.offset
    assert np.sqrt(np.mean((mean - truth(X_new)) ** 2)) < 0.2 * truth(X_new).std()


def test_as_a_user_runs_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("overbar.demo.run.COMPARING", 0.05)
    result = run("demo", "--length-scales", "6", "--n", "60", columns=80)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    for words in ("6 length scales", "own : ours", "length scale of x6", "matters", "Below a length scale of", "agree"):
        assert words in text
    assert max(map(len, result.output.splitlines())) <= 80
    assert "…" not in result.output
    width, height = png_size(tmp_path / "overbar-length-scales.png")
    assert width > 1000
    assert height > 700


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--length-scales", "4"), "from 5 to 100 length scales, not 4"),
        (("--length-scales", "101"), "from 5 to 100 length scales, not 101"),
        (("--length-scales", "6", "--n", "10"), "between 50 and 20,000 points, not 10"),
        (("--length-scales", "6", "--full"), "between 50 and 20,000 points, not 0"),
    ],
)
def test_wrong_usage(arguments, message):
    result = run("demo", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


def test_numbers_and_times_have_no_powers_of_ten_that_a_reader_would_not_write():
    assert [number(x) for x in (0.0123, 1.149, 99.94, 99.96, 999.6, 1000.0, 12345.6)] == [
        "0.0123", "1.15", "99.9", "100", "1,000", "1,000", "12,346",
    ]  # fmt: skip
    assert (span(0.9996), span(1.5), span(3600)) == ("1,000 ms", "1.5 s", "3,600 s")
