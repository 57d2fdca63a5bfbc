"""The CO2 record of Mauna Loa as a subject of the demo.

May import NumPy, rich, matplotlib, and `overbar.demo`.
"""

from __future__ import annotations

import numpy as np

from overbar.demo import by_hand, data, plot
from overbar.demo.fit import fit
from overbar.demo.forecast import forecast
from overbar.demo.frameworks import objective
from overbar.demo.model import PARAMETERS, START, Data
from overbar.demo.tables import new_table, number

#: how many years to extrapolate, and how many of the record to show beside the first of them
AHEAD, BEHIND = 10, 4


class MaunaLoa:
    """A parabola and four independent parts: `model`. The likelihood in each framework is in `frameworks`."""

    title = "Gaussian process for the CO₂ record of Mauna Loa"
    picture = "overbar-co2.png"
    parameters = tuple(f"{parameter.part}, {parameter.name}" for parameter in PARAMETERS)
    start = START
    points = 1000  # where nothing is said
    steps = (15, 50)  # from 45 points to all of them

    def __init__(self, series, whole):
        first, last = series.week[[0, -1]]
        self.series, self.data = series, Data.of(series)
        self.subtitle = (
            f"{len(series):,} of {whole:,} weekly means, {series.day(first)} to {series.day(last)}; "
            f"{len(PARAMETERS)} hyperparameters; one set of derivative rules in {{frameworks}}."
        )

    @classmethod
    def prepared(cls, n):
        whole = data.load()
        return cls(whole.thinned(n), len(whole))

    def objective(self, name, built_in=False):
        return objective(name, self.data, built_in=built_in)

    def terms(self, theta):
        return by_hand.gradient_terms(theta, self.data)

    def condition(self, theta):
        return 0.0  # small enough

    def fit(self, name, value_and_gradient, *, iterations, progress):
        return fit(value_and_gradient, len(self.series), iterations=iterations, progress=progress)

    def finish(self, fits, labels, picture):
        """Save the picture; return the tables and the sentence to print."""
        series, theta = self.series, next(iter(fits.values())).theta
        last = series.week[-1]
        past = forecast(theta, series, self.data, np.arange(last - round(BEHIND / data.WEEK), last + 1))
        weeks = np.arange(last + 1, last + 1 + round(AHEAD / data.WEEK))
        future = forecast(theta, series, self.data, weeks)
        plot.save(picture, series, past, future, fits, labels)
        sentence = (
            f"The last mean of the record, of {series.day(last)}, is {series.co2[-1]:.1f} ppm. For "
            f"{series.day(weeks[-1])} the process expects {future.mean[-1]:.1f} ± {2 * future.sd[-1]:.1f} ppm (two "
            "standard deviations)."
        )
        return [_hyperparameters(theta)], sentence


def _hyperparameters(theta):
    table = new_table("The hyperparameters", "", "initial", "fitted", "")
    table.columns[-1].justify = "left"
    for parameter, value in zip(PARAMETERS, np.exp(theta), strict=True):
        table.add_row(f"{parameter.part}, {parameter.name}", number(parameter.start), number(value), parameter.unit)
    return table
