"""Tests of the harness, with a clock that stands still unless something takes time. May import `overbar.bench`."""

import gc
import json

import numpy as np
import pytest

from overbar.bench.harness import Comparison, Timing, compare, environment


class Clock:
    """Shows how much time the things that were called pretend to have taken."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def __call__(self):
        return self.now

    def thing(self, name, seconds):
        """A function that takes so many seconds; or seconds(n), when called for the n-th time."""
        count = iter(range(10**9))

        def run():
            self.calls.append(name)
            self.now += seconds(next(count)) if callable(seconds) else seconds

        return run


@pytest.fixture
def clock():
    return Clock()


def test_twice_as_slow_is_a_ratio_of_two(clock):
    result = compare({"ours": clock.thing("ours", 0.01), "other": clock.thing("other", 0.02)}, clock=clock)
    ratio = result.ratio("other", "ours")
    assert ratio.median == pytest.approx(2)
    assert ratio.low == pytest.approx(2)
    assert ratio.high == pytest.approx(2)
    assert result.ratio("ours", "other").median == pytest.approx(0.5)
    assert result["ours"].median == pytest.approx(0.01)


def test_a_machine_that_slows_down_does_not_matter(clock):
    """Both sides of a round meet the same machine; from round to round it may become ten times slower."""

    def slower(base):
        return lambda n: base * 1.3**n

    things = {"ours": clock.thing("ours", slower(0.01)), "other": clock.thing("other", slower(0.03))}
    result = compare(things, clock=clock, least=9, most=9, seconds=0)
    assert result.ratio("other", "ours").median == pytest.approx(3)
    assert max(result["ours"].seconds) > 5 * min(result["ours"].seconds)


def test_an_outlier_does_not_matter(clock):
    hiccup = clock.thing("ours", lambda n: 5.0 if n == 6 else 0.01)
    result = compare({"ours": hiccup, "other": clock.thing("other", 0.02)}, clock=clock, least=11, most=11)
    ratio = result.ratio("other", "ours")
    assert ratio.median == pytest.approx(2)
    assert ratio.low == pytest.approx(2)


def test_the_order_turns_around_each_round(clock):
    things = {name: clock.thing(name, 0.01) for name in "abc"}
    compare(things, clock=clock, least=4, most=4)
    warm_up, rounds = clock.calls[:6], clock.calls[6:]
    assert warm_up == list("aabbcc")
    assert rounds == list("abc" + "cba" + "abc" + "cba")


@pytest.mark.parametrize(("seconds", "expected"), [(0.0, 3), (3.0, 3), (10.0, 10), (10.9, 10), (1000.0, 40)])
def test_the_budget_is_kept(clock, seconds, expected):
    """One round of the two things takes a second; at least 3 rounds and at most 40 are asked for."""
    things = {"a": clock.thing("a", 0.25), "b": clock.thing("b", 0.75)}
    result = compare(things, seconds=seconds, least=3, most=40, clock=clock)
    assert result.rounds == expected


def test_short_things_are_called_many_times(clock):
    result = compare({"a": clock.thing("a", 1e-5), "b": clock.thing("b", 1.0)}, shortest=1e-3, clock=clock)
    assert result["a"].calls == 100
    assert result["b"].calls == 1
    assert result["a"].median == pytest.approx(1e-5)
    assert result.ratio("b", "a").median == pytest.approx(1e5)


def test_the_garbage_collector_is_switched_on_again(clock):
    seen = []

    def fails():
        seen.append(gc.isenabled())
        clock.now += 1
        if len(seen) > 3:
            raise RuntimeError("in the middle")

    assert gc.isenabled()
    with pytest.raises(RuntimeError, match="in the middle"):
        compare({"a": fails}, clock=clock)
    assert seen == [True, True, False, False]
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"things": {}}, "at least one thing"),
        ({"things": {"a": int}, "least": 0}, "1 <= least <= most"),
        ({"things": {"a": int}, "least": 5, "most": 4}, "1 <= least <= most"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        compare(**arguments)


def comparison(ratios):
    return Comparison({"a": Timing("a", tuple(ratios)), "b": Timing("b", (1.0,) * len(ratios))})


@pytest.mark.parametrize(("rounds", "cut"), [(1, 0), (5, 0), (6, 0), (8, 0), (9, 1), (12, 2), (20, 5), (100, 39)])
def test_the_interval_is_that_of_the_sign_test(rounds, cut):
    """`cut` is what tables of the sign test give for the median at 95 %: so many values are left out at either end."""
    ratio = comparison(range(rounds)).ratio("a", "b")
    assert (ratio.low, ratio.high) == (cut, rounds - 1 - cut)
    assert ratio.rounds == rounds


def test_the_interval_holds_the_median_as_often_as_it_says():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(1000):
        ratio = comparison(rng.lognormal(size=15)).ratio("a", "b")
        held += ratio.low <= 1 <= ratio.high
    assert 940 <= held <= 995


def test_quartiles_and_record():
    timing = Timing("a", (1.0, 2.0, 3.0, 4.0, 100.0))
    assert timing.median == 3
    assert timing.quartiles == (2, 4)
    record = json.loads(json.dumps(Comparison({"a": timing}).as_dict()))
    assert record["a"]["seconds"] == [1, 2, 3, 4, 100]
    assert record["a"]["median"] == 3


def test_environment_says_what_a_ratio_depends_on():
    where = json.loads(json.dumps(environment()))
    assert where["cores"] >= 1
    assert where["processor"]
    assert where["versions"]["numpy"] == np.__version__
    assert any("openblas" in name or "mkl" in name for name in where["threads"])


def test_an_interval_of_very_many_rounds():
    seconds = tuple(1 + i / 2000 for i in range(2000))
    ratio = Comparison({"a": Timing("a", seconds), "b": Timing("b", (1.0,) * 2000)}).ratio("a", "b")
    # the normal approximation: the median's place is known to 1.96 · √2000 / 2 = 44 of 2000
    assert 1.5 - 46 / 2000 < ratio.low < 1.5 - 42 / 2000
    assert 1.5 + 42 / 2000 < ratio.high < 1.5 + 46 / 2000
