"""The CO2 record of Mauna Loa, 1958 to 2001, from the copy that ships inside statsmodels: nothing is downloaded.

May import NumPy and statsmodels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: the length of a week in years of the Gregorian calendar
WEEK = 7 / 365.2425

#: below so many points there is less than one in a year, and the yearly cycle cannot be seen
FEWEST = 45


@dataclass(frozen=True)
class Series:
    """Weekly means of the CO2 concentration, or some of them.

    Attributes
    ----------
    week : ndarray of int (n,)
        When, in weeks since the first of them; increasing, with gaps where no mean was published.
    co2 : ndarray (n,)
        In parts per million of dry air by volume (ppm).
    first : numpy.datetime64
        The day of week 0.
    """

    week: np.ndarray
    co2: np.ndarray
    first: np.datetime64

    def __len__(self):
        return len(self.week)

    def years(self, week=None):
        """The time of weeks (its own, if none are given) in years of the calendar."""
        new_year = self.first.astype("datetime64[Y]")
        into_the_year = (self.first - new_year.astype("datetime64[D]")).astype(int) / 7
        year = 1970 + new_year.astype(int)
        return year + WEEK * (into_the_year + (self.week if week is None else np.asarray(week)))

    def day(self, week):
        """The date of a week, as text."""
        return str(self.first + 7 * int(week))

    def thinned(self, n):
        """n of the points, evenly spread over the series; all of them for n = 0.

        Raises ValueError where there are not so many, or n is too small to see a yearly cycle.
        """
        if n == 0:
            return self
        if not FEWEST <= n <= len(self):
            raise ValueError(
                f"the series can be thinned to between {FEWEST} and {len(self):,} points, not to {n:,}. "
                "0 stands for all of them."
            )
        keep = np.round(np.linspace(0, len(self) - 1, n)).astype(int)
        return Series(self.week[keep], self.co2[keep], self.first)

    def basis(self, week=None):
        """The parabola's three functions of time, 1, x and x², with x from -1 to 1 over the series: an array (n, 3)."""
        middle, half = (self.week[0] + self.week[-1]) / 2, (self.week[-1] - self.week[0]) / 2
        x = ((self.week if week is None else np.asarray(week)) - middle) / half
        return np.stack([np.ones_like(x), x, x * x], axis=-1)

    @cached_property
    def parabola(self):
        """The coefficients of the parabola in time that fits the series best (least squares)."""
        return np.linalg.lstsq(self.basis(), self.co2, rcond=None)[0]

    @cached_property
    def residual(self):
        """What the parabola leaves, in ppm: the numbers that the Gaussian process has to explain."""
        return self.co2 - self.basis() @ self.parabola


def load() -> Series:
    """The whole weekly series: 2,225 means (ppm) from 1958 to 2001.

    Raises ImportError, naming the extra, where statsmodels is missing.
    """
    try:
        from statsmodels.datasets import co2
    except ImportError as error:
        raise ImportError(
            'the CO2 series ships inside statsmodels. Install it with: pip install "overbar[cli]"'
        ) from error
    table = co2.load_pandas().data["co2"]
    value = table.to_numpy(dtype=np.float64)
    (week,) = np.nonzero(np.isfinite(value))
    return Series(week, value[week], np.datetime64(table.index[0], "D"))
