"""The picture of `bench --scaling`: time against n, and the share of the speed of a matrix product.

May import NumPy, matplotlib and `overbar.bench`.
"""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import NullLocator, PercentFormatter

from overbar.bench.drawing import GREY, INK, saved
from overbar.bench.scaling import LARGE

#: by what was timed
_LINES = {
    "ours": {"color": "#1f6fb4", "marker": "o", "markersize": 4},
    "reverse rule": {"color": "#1f6fb4", "marker": "o", "markersize": 4},
    "built-in": {"color": "#d9541e", "marker": "s", "markersize": 4},
    "function": {"color": INK, "marker": "^", "markersize": 4},
    "product": {"color": GREY, "linestyle": "--", "linewidth": 1},
}
_CALLED = {"product": "product A B", "function": "function alone"}


def save(path, curves):
    """Draw a column for each curve, times above and shares below, and save. `path` is that of a .png, .pdf or .svg."""
    with saved(path, width=max(5.0, 3.8 * len(curves)), height=6.4) as figure:
        rows = figure.subplots(2, len(curves), squeeze=False, sharex="col", sharey="row")
        for curve, times, shares in zip(curves, *rows, strict=True):
            sizes = [point.n for point in curve.points]
            times.set_title(f"{curve.label}\n", pad=2)
            times.text(0, 1.02, curve.what, transform=times.transAxes, fontsize=8, color=GREY)
            for side in (*curve.sides, "product"):
                label = _CALLED.get(side, side)
                if (exponent := curve.exponent(side)) is not None:
                    label += f"  $n^{{{exponent:.2f}}}$"
                times.plot(sizes, 1e3 * np.array(curve.times(side)), label=label, **_LINES[side])
                if side != "product":
                    shares.plot(sizes, curve.shares(side), **_LINES[side])
            times.set(xscale="log", yscale="log")
            times.legend(fontsize=8)
            shares.axhline(1, **_LINES["product"])
            shares.set_xticks(sizes, [f"{n:,}" for n in sizes], rotation=45)
            shares.xaxis.set_minor_locator(NullLocator())
            shares.set_xlabel("n")
        rows[0, 0].set_ylabel(f"ms (exponents from n = {LARGE:,} on)")
        rows[1, 0].set_ylabel("share of the speed of a product")
        rows[1, 0].yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        rows[1, 0].set_ylim(bottom=0)
