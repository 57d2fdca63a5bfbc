"""The pictures: the record and what the Gaussian process makes of the next years, or the length scales of many inputs;
and the three fits.

May import NumPy, matplotlib, `overbar.bench` and `overbar.demo`.
"""

from __future__ import annotations

import numpy as np

from overbar.bench.drawing import BLUE, COLOURS, GREY, INK, MARKERS, RED, saved


def save(path, series, past, future, fits, labels):
    """Draw and save.

    Parameters
    ----------
    path : pathlib.Path
    series : Series
        The points that were fitted.
    past, future : Forecast
        What the fit says about weeks of the record, and after it.
    fits : dict of Fit
        By the name of the framework.
    labels : dict of str
        What to call the frameworks.
    """
    with saved(path) as figure:
        grid = figure.add_gridspec(2, 2, height_ratios=(1.15, 1), width_ratios=(1.25, 1))
        _record(figure.add_subplot(grid[0, :]), series, future)
        _zoom(figure.add_subplot(grid[1, 0]), series, past, future)
        _fits(figure.add_subplot(grid[1, 1]), fits, labels)


def save_length_scales(path, inputs, matter, long, scales, predicted, fits, labels):
    """Draw and save.

    Parameters
    ----------
    path : pathlib.Path
    inputs : list of str
        What they are called; the first `matter` of them are in the function.
    matter : int
    long : float
        From this length scale on, an input moves the function by less than the noise does.
    scales : dict of ndarray
        The length scales found, by the name of the framework.
    predicted : tuple of ndarray
        At new inputs: the function, its predicted mean and standard deviation.
    fits, labels
        As for `save`.
    """
    with saved(path) as figure:
        grid = figure.add_gridspec(2, 2, height_ratios=(1.15, 1), width_ratios=(1.25, 1))
        _scales(figure.add_subplot(grid[0, :]), inputs, matter, long, scales, labels)
        _predictions(figure.add_subplot(grid[1, 0]), *predicted)
        _fits(figure.add_subplot(grid[1, 1]), fits, labels)


def _scales(axes, inputs, matter, long, scales, labels):
    axes.set_title(f"A length scale for each of {len(inputs)} inputs: the lower, the more an input matters")
    at, sizes = np.arange(len(inputs)), np.linspace(10, 5, len(scales))  # as in _fits
    for (name, found), size in zip(scales.items(), sizes, strict=True):
        axes.plot(
            at,
            found,
            linestyle="",
            color=COLOURS[name],
            marker=MARKERS[name],
            markersize=size,
            markerfacecolor="none",
            markeredgewidth=1.2,
            label=labels[name],
        )
    axes.axvspan(-0.5, matter - 0.5, color=BLUE, alpha=0.08, linewidth=0, label="inputs of the function")
    axes.axhline(long, color=GREY, linewidth=1, linestyle=":", label="as much as the noise")
    axes.set_yscale("log")
    axes.set_xlim(-0.5, len(inputs) - 0.5)
    every = -(-len(inputs) // 25)  # more names would lie on each other
    axes.set_xticks(at[::every], inputs[::every])
    axes.set_ylabel("length scale")
    axes.legend(loc="upper left", fontsize=8.5)


def _predictions(axes, exact, mean, sd):
    axes.set_title(f"{len(exact)} new inputs")
    axes.errorbar(exact, mean, 2 * sd, fmt=".", color=BLUE, ecolor=BLUE, elinewidth=0.6, alpha=0.5, markersize=3)
    ends = [min(exact.min(), mean.min()), max(exact.max(), mean.max())]
    axes.plot(ends, ends, color=INK, linewidth=0.8)
    axes.set_xlabel("the function")
    axes.set_ylabel("predicted, ± 2 standard deviations")


def _record(axes, series, future):
    axes.set_title(f"CO₂ at Mauna Loa: {len(series):,} weekly means, and the next years by a Gaussian process")
    axes.plot(series.years(), series.co2, ".", color=INK, markersize=1.8, label="weekly means")
    _draw(axes, future, RED, "extrapolation, ± 2 standard deviations")
    axes.axvline(future.years[0], color=GREY, linewidth=0.8, linestyle=":")
    axes.set_ylabel("CO₂ (ppm)")
    axes.set_xlim(series.years()[0] - 0.5, future.years[-1] + 0.5)
    axes.legend(loc="upper left", markerscale=4)


def _zoom(axes, series, past, future):
    axes.set_title("The end of the record, closer")
    future = type(future)(*(values[: len(past.years)] for values in future))
    _draw(axes, past, BLUE, "fit, ± 2 sd")
    _draw(axes, future, RED, "extrapolation, ± 2 sd")
    shown = series.years() >= past.years[0]
    axes.plot(series.years()[shown], series.co2[shown], ".", color=INK, markersize=3, label="weekly means")
    axes.axvline(future.years[0], color=GREY, linewidth=0.8, linestyle=":")
    axes.set_ylabel("CO₂ (ppm)")
    axes.set_xlim(past.years[0], future.years[-1])
    axes.legend(loc="upper left", fontsize=8.5)


def _draw(axes, forecast, colour, label):
    axes.plot(forecast.years, forecast.mean, color=colour, linewidth=0.9)
    band = forecast.mean - 2 * forecast.sd, forecast.mean + 2 * forecast.sd
    axes.fill_between(forecast.years, *band, color=colour, alpha=0.28, linewidth=0, label=label)


def _fits(axes, fits, labels):
    axes.set_title("The fits, iteration by iteration")
    best = min(value for fit in fits.values() for _, value in fit.path)
    sizes = np.linspace(9, 4, len(fits))  # where the frameworks agree, the markers lie inside each other
    for (name, fit), size in zip(fits.items(), sizes, strict=True):
        gap = [value - best for _, value in fit.path]
        axes.plot(
            gap,
            color=COLOURS[name],
            marker=MARKERS[name],
            markersize=size,
            markerfacecolor="none",
            markeredgewidth=1.1,
            linewidth=1,
            label=f"{labels[name]}, {fit.seconds:.1f} s",
        )
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=-0.3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("iteration")
    axes.set_ylabel("−log likelihood above its least (nats)")
    axes.legend()
